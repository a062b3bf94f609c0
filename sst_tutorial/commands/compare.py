"""`sst-tutorial compare`: change one thing."""

import sys
from pathlib import Path

from sst_tutorial.commands.options import add_command, changes_of, positive

COMPARE = """\
examples:
  sst-tutorial compare --base quick --set network.spatial_depth=0 --seeds 3 --seconds 60
  sst-tutorial compare --set lr=2e-3 --steps 100 --out lr.json     equal steps instead of seconds
  sst-tutorial compare --set lr=2e-3 --steps 100 --seeds 8 --out lr.json    five seeds more
  sst-tutorial compare --base mine.toml --set network.name=unet
  sst-tutorial compare --set encoder=mine.py:Mine               a class of your own
  sst-tutorial compare --base quick --store 10 --seconds 60        runs of the base, for all to use

Change one thing: both settings train equally long and are judged on the same months, those of the
twin of an exam. Before the runs it prints the smallest difference that they can see, after them
whether the change mattered, is smaller than anybody minds, or how many more seeds would tell. Runs
of the base that are stored with the book are used, if they are of the same settings and kind of
machine. On a processor the seconds are those of the stored base, counted in steps."""


def add(commands) -> None:
    p = add_command(
        commands, "compare", _compare, "change one thing, and say whether it mattered", COMPARE
    )
    p.add_argument(
        "--base", default="quick", metavar="NAME|FILE", help="preset or settings file (%(default)s)"
    )
    p.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="the change, for example lr=5e-4, network.spatial_depth=0 or encoder=mine.py:Mine",
    )
    p.add_argument(
        "--seeds", type=positive, default=3, metavar="N", help="runs of the change (%(default)s)"
    )
    length = p.add_mutually_exclusive_group()
    length.add_argument("--seconds", type=positive, help="of training, for both (60)")
    length.add_argument("--steps", type=positive, help="of training, for both, instead")
    p.add_argument("--exam", metavar="NAME", help="whose twin judges (default: by the base's data)")
    p.add_argument("--small", type=float, metavar="K", help="a difference nobody minds (0.003)")
    p.add_argument("--out", metavar="FILE.json", help="write all numbers here; goes on from FILE")
    p.add_argument("--store", type=positive, metavar="N", help="store N runs of the base instead")


def _compare(a) -> None:
    if not a.set and not a.store:
        raise ValueError("--set KEY=VALUE is missing: change something")
    if a.store and (a.set or a.out or a.small):
        raise ValueError("--store runs the base alone: leave --set, --out and --small away")
    if a.small is not None and not a.small > 0:
        raise ValueError(f"--small {a.small} must be a positive number of K")
    from sst_tutorial.comparing import compare, store

    how = {"seconds": a.seconds, "steps": a.steps, "exam": a.exam}
    if a.store:
        print(f"{store(a.base, a.store, **how)}: {a.store} runs of {a.base}")
        return
    how |= {} if a.small is None else {"small": a.small}
    changes = {key: _class_of(value) for key, value in changes_of(a.set).items()}
    compare(a.base, changes, a.seeds, **how, out=a.out, command=a.command_line)


def _class_of(value):
    """The class of "file.py:Name"; any other value as it is."""
    file, colon, name = value.partition(".py:") if isinstance(value, str) else (value, "", "")
    if not colon:
        return value
    import importlib.util

    path = Path(f"{file}.py")
    if not path.is_file():
        raise ValueError(f"--set: no file {str(path)!r}; say file.py:Class, from this folder")
    spec = importlib.util.spec_from_file_location(f"own_{path.stem}", path)
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not callable(getattr(module, name, None)):
        raise ValueError(f"--set: {path} has no class {name!r}")
    return getattr(module, name)
