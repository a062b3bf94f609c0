"""`sst-tutorial run`: the runs that settings files describe."""

from sst_tutorial.commands.options import add_command, positive

RUN = """\
examples:
  sst-tutorial run experiments/ablation --at-once 6     what is missing or stale of a folder
  sst-tutorial run mine.toml                            one settings file, for each of its seeds
  sst-tutorial run experiments/results/ocean-1/full-0/run.json --out again    repeat a record

A settings file holds what differs from a preset, for example:
  preset = "full"
  seeds = [0, 1, 2]
  seconds = 60
  [network]
  name = "unet"

Each run leaves a folder: run.json, log.csv, steps.csv, scores.json and its weights. That of
experiments/ablation/full.toml, seed 0, is experiments/results/ablation/full-0; elsewhere `results`
lies beside the file. At the end stand the validation errors of all that is done."""


def add(commands) -> None:
    p = add_command(commands, "run", _run, "do the runs that settings files describe", RUN)
    p.add_argument("path", metavar="FILE|FOLDER", help="settings (.toml), a record (.json), folder")
    p.add_argument("--out", metavar="FOLDER", help="where the folders of the runs go (see below)")
    p.add_argument(
        "--at-once", type=positive, default=1, metavar="N", help="side by side (%(default)s)"
    )
    p.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="(%(default)s)"
    )


def _run(a) -> int:
    from sst_tutorial.runs import run_all

    failed = run_all(a.path, a.out, a.at_once, a.device)
    if failed:
        place = "above" if a.at_once == 1 else "in output.txt of its folder"
        raise ValueError(f"{failed} run(s) failed; each says why {place}")
    return 0
