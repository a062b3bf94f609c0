"""`sst-tutorial fine-tune`: weights learn a gappy file."""

from pathlib import Path

from sst_tutorial.commands.options import (
    INPUT_HELP,
    add_command,
    add_opening_options,
    changes_of,
    opening_options,
    period_of,
)

FINE_TUNE = """\
examples:
  sst-tutorial fine-tune daily.nc --from WEIGHTS --out runs/mine
  sst-tutorial fine-tune daily.nc --from WEIGHTS --judge-from 2022-08-01 --out runs/mine
  sst-tutorial fine-tune l3.nc --from WEIGHTS --quality 3 --set lr=1e-4 --set steps=800

WEIGHTS must have learned single days. Of FILE the first days train: some of their observations are
withheld below the clouds of other days, and are the targets. The days after them say when to stop,
the last quarter (or --judge-from) is judged before and after, beside the classical methods. With
complete maps of years: sst-tutorial train --from WEIGHTS --data FILE.

then: sst-tutorial reconstruct daily.nc complete.nc --daily --model runs/mine"""


def add(commands) -> None:
    p = add_command(
        commands, "fine-tune", _fine_tune, "teach weights a gappy file of your own", FINE_TUNE
    )
    p.add_argument("input", metavar="FILE", help=INPUT_HELP)
    p.add_argument(
        "--from", dest="start", required=True, metavar="NAME|FILE", help="weights to go on from"
    )
    p.add_argument("--out", default="runs/tuned", metavar="FOLDER", help="(%(default)s)")
    p.add_argument(
        "--judge-from", metavar="DATE", help="first day that judges (default: the last quarter)"
    )
    p.add_argument(
        "--learn",
        default="numbers",
        choices=("numbers", "first guess", "all"),
        help="what may change: four numbers of each correction, the first guess, all (%(default)s)",
    )
    p.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="change a setting: steps, seconds, lr, batch_size, seed, ...; may be repeated",
    )
    add_opening_options(p)
    p.add_argument("--device", choices=("auto", "cpu", "cuda"), default="cpu", help="(%(default)s)")
    p.add_argument("--overwrite", action="store_true", help="replace the run in FOLDER")


def _fine_tune(a) -> None:
    out = Path(a.out)
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out {out} is a file; name a folder")
    held = [n for n in ("run.json", "settings.json", "weights.safetensors") if (out / n).exists()]
    if held and not a.overwrite:
        raise ValueError(f"{out} holds a run already; choose another --out, or add --overwrite")
    period_of(a.judge_from, None)
    from sst_tutorial.data import open_sst
    from sst_tutorial.fine_tuning import fine_tune, in_words
    from sst_tutorial.judging import table

    daily = open_sst(a.input, **opening_options(a))
    _, judgement = fine_tune(
        daily,
        a.start,
        out,
        a.judge_from,
        a.learn,
        accelerator=a.device,
        command=a.command_line,
        data=a.input,
        **changes_of(a.set),
    )
    print(table(judgement))
    print(in_words(judgement))
    print(f"{out / 'weights.safetensors'}: use it with --model {out}")
