"""Options that several commands have, and what their words mean."""

import argparse
import re

INPUT_HELP = "NetCDF file, Zarr store, folder of NetCDF files, or a quoted pattern"


def add_command(commands, name, run, help, epilog=None) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=help,
        description=help[0].upper() + help[1:] + ".",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


def add_opening_options(p) -> None:
    """What `open_sst` may be told of INPUT, for every command that reads one."""
    p.add_argument("--variable", help="the variable of INPUT, where its name leaves a doubt")
    p.add_argument("--units", help="unit of INPUT, degC or K, where the file is wrong or silent")
    p.add_argument(
        "--quality",
        metavar="N",
        help="lowest quality_level (highest qual_sst) to take, or 'none' for all (default: the two "
        "best of its scale, such as quality_level >= 4, qual_sst <= 1)",
    )
    p.add_argument("--bias", action="store_true", help="subtract the sses_bias of INPUT")
    p.add_argument("--date", metavar="YYYY-MM-DD", help="the day of INPUT, if it has no time")
    p.add_argument(
        "--cadence",
        help="what one field of INPUT stands for: daily, monthly, or a number of days such as 8",
    )
    p.add_argument(
        "--transform", choices=["log10"], help="of another variable before all else: log10"
    )


def opening_options(a) -> dict:
    names = ("variable", "units", "quality", "bias", "date", "cadence", "transform")
    return {name: getattr(a, name) for name in names}


def add_region(parser, default=None) -> None:
    shown = "%(default)s" if default else "whole globe"
    parser.add_argument(
        "--region",
        nargs=4,
        type=float,
        default=default,
        metavar=("SOUTH", "NORTH", "WEST", "EAST"),
        help=f"edges in degrees; WEST > EAST crosses the dateline ({shown})",
    )


def positive(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def changes_of(pairs: list[str]) -> dict:
    """`lr=5e-4`, `network.name=unet` as settings: each value as TOML reads it, else a word."""
    import tomllib

    changes: dict = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not re.fullmatch(r"\w+(\.\w+)?", key):
            raise ValueError(f"--set {pair!r} is not KEY=VALUE, for example --set lr=5e-4")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        table, dot, inner = key.partition(".")
        if dot:
            changes.setdefault(table, {})[inner] = value
        else:
            changes[key] = value
    return changes


def period_of(*days):
    """(first, last) as `judge` takes them, from dates in the words of the shell."""
    for option, day in zip(("--judge-from", "--judge-to"), days, strict=True):
        if day is not None and not re.fullmatch(r"\d{4}-\d\d-\d\d", day):
            raise ValueError(f"{option} {day!r} is not a day YYYY-MM-DD, for example 2022-08-01")
    return days
