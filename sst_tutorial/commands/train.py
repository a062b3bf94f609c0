"""`sst-tutorial train`: a network of one's own."""

from pathlib import Path

from sst_tutorial.commands.options import add_command, changes_of, positive

TRAIN = """\
examples:
  sst-tutorial train                                  on simulated seas, a laptop's CPU, minutes
  sst-tutorial train --preset full --data years.nc --out runs/mine       one large GPU, minutes
  sst-tutorial train --set network.spatial_depth=0 --set seconds=60 --out runs/shallow
  sst-tutorial train --from ocean-1 --data years.nc --steps 500 --out runs/tuned
  sst-tutorial train --out runs/quick --resume        goes on after a kill, as it was begun

--set changes any setting: seed, steps, seconds, batch_size, ... first_guess.name, network.name; an
unknown one is told with all that are known. The last two years of --data judge, all before train.

then: sst-tutorial reconstruct gappy.nc monthly.nc --model runs/quick"""

_YEARS = {
    "train": "years to train on (all before those that judge)",
    "val": "years that judge (the last two)",
    "clim": "years of the climatology (those to train on)",
}


def add(commands) -> None:
    p = add_command(commands, "train", _train, "train a network of your own", TRAIN)
    source = p.add_mutually_exclusive_group()
    source.add_argument("--preset", metavar="NAME", help="quick, colab or full (quick)")
    source.add_argument("--settings", metavar="FILE", help="a settings file or record instead")
    p.add_argument("--out", default="runs/quick", metavar="FOLDER", help="(%(default)s)")
    p.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a setting, for example lr=5e-4 or network.spatial_depth=0; may be repeated",
    )
    p.add_argument(
        "--data", metavar="FILE", help="complete daily SST to train on (default: simulated seas)"
    )
    p.add_argument(
        "--clouds",
        metavar="FILE.npz",
        help="what a real instrument saw, array 'observed' (default: simulated clouds)",
    )
    for which in ("train", "val", "clim"):
        p.add_argument(
            f"--{which}-years",
            nargs=2,
            type=int,
            metavar=("FIRST", "LAST"),
            help=f"{_YEARS[which]}",
        )
    p.add_argument(
        "--from", dest="start", metavar="NAME|FILE", help="fine-tune these weights (default: none)"
    )
    p.add_argument("--steps", type=positive, help="training steps (default: the settings')")
    p.add_argument("--seconds", type=positive, help="train so long instead")
    p.add_argument("--batch-size", type=positive, help="samples a step (default: the settings')")
    p.add_argument("--seed", type=int, help="same seed, same weights (default: the settings')")
    p.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="(%(default)s)"
    )
    p.add_argument(
        "--devices", type=positive, help="GPUs (or processes on a CPU) that share the work"
    )
    p.add_argument("--resume", action="store_true", help="go on from FOLDER's checkpoint, as begun")
    p.add_argument("--overwrite", action="store_true", help="replace the run in FOLDER")


def _train(a) -> None:
    out = Path(a.out)
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out {out} is a file; name a folder")
    held = any((out / name).exists() for name in ("settings.json", "weights.safetensors"))
    if held and not (a.overwrite or a.resume):
        raise ValueError(
            f"{out} holds a run already; choose another --out, or add --overwrite or --resume"
        )
    if a.resume and not (out / "checkpoint.safetensors").exists():
        advice = "start anew with --overwrite" if held else "leave --resume away"
        raise ValueError(f"--resume: {out} has no checkpoint.safetensors yet; {advice}")
    settings = _settings(a, out)

    from sst_tutorial.runs import is_first_process, train

    train(
        settings,
        out,
        resume=a.resume,
        accelerator=a.device,
        devices=a.devices or "auto",
        command=a.command_line,
    )
    if is_first_process():
        print(f"{out / 'weights.safetensors'}: use it with --model {out}")


def _settings(a, out: Path):
    """Of a preset, a file or the run that was killed, with what the other options change."""
    from sst_tutorial.settings import changed, read_settings, settings_of

    options = ("data", "clouds", "train_years", "val_years", "clim_years", "start", "steps")
    options += ("seconds", "batch_size", "seed")
    given = {name: getattr(a, name) for name in options if getattr(a, name) is not None}
    changes = changes_of(a.set) | given
    if a.resume and not (a.settings or a.preset):
        from sst_tutorial.runs import settings_of_killed

        return changed(settings_of_killed(out), **changes)  # `train` refuses any other
    if not a.settings:
        return settings_of(a.preset or "quick", **changes)
    runs = read_settings(a.settings)
    if len(runs) > 1 and "seed" not in changes:
        raise ValueError(f"{a.settings} has {len(runs)} seeds: choose one with --seed")
    return changed(runs[0], **changes)
