"""`sst-tutorial judge`: methods on a file, by its own observations."""

import io
from pathlib import Path

from sst_tutorial.commands.options import (
    INPUT_HELP,
    add_command,
    add_opening_options,
    opening_options,
    period_of,
    positive,
)
from sst_tutorial.commands.outputs import checked_output, write
from sst_tutorial.whole import whole

JUDGE = """\
examples:
  sst-tutorial judge daily.nc
  sst-tutorial judge daily.nc --out judged.json --figure judged.png
  sst-tutorial judge l3.nc --quality 3 --bias --model runs/mine
  sst-tutorial judge daily.nc --judge-from 2022-08-01     all days are seen, these are judged
  sst-tutorial judge daily.nc --hide left.nc              for another program to fill (DINEOF, ...)
  sst-tutorial judge daily.nc --filled mine=complete.nc  what that made of left.nc

Observations of well-seen days are withheld below the clouds of other days of FILE, and the daily
maps of each method are scored there: RMSE in K with its 95 % interval, by coverage of the day, by
days since the cell was seen and by distance to the coast. The last line says which method to take,
or that the data cannot tell. The errors hold the noise of single observations."""


def add(commands) -> None:
    p = add_command(
        commands, "judge", _judge, "score methods on a file by its own observations", JUDGE
    )
    p.add_argument("input", metavar="FILE", help=INPUT_HELP)
    p.add_argument("--out", metavar="FILE.json", help="write all numbers here as well")
    p.add_argument("--figure", metavar="FILE.png", help="draw them; FILE.json has the words for it")
    add_opening_options(p)
    p.add_argument(
        "--model",
        metavar="NAME|FILE",
        help="weights of the network, which must have learned single days (default: shipped, "
        "ocean-2)",
    )
    p.add_argument(
        "--draws", type=positive, default=8, help="how often clouds are moved (%(default)s)"
    )
    p.add_argument("--seed", type=int, default=0, help="same seed, same clouds (%(default)s)")
    p.add_argument(
        "--hide",
        metavar="LEFT.nc",
        help="only write what is left of FILE in the first draw, for another program to fill",
    )
    p.add_argument(
        "--filled",
        action="append",
        default=[],
        metavar="NAME=MAPS.nc",
        help="score complete daily maps that another program made of LEFT.nc beside all others, "
        "with the same --seed and days; may be repeated (then one draw is judged)",
    )
    for end, which in (("from", "first"), ("to", "last")):
        p.add_argument(
            f"--judge-{end}",
            metavar="DATE",
            help=f"{which} day that is judged (default: the file's {which}); all days are seen",
        )
    p.add_argument("--overwrite", action="store_true", help="replace files that exist")


def _judge(a) -> None:
    out = figure = None
    if a.out is not None:
        out = checked_output(a.out, a.overwrite, a.input, suffixes=(".json",))
    if a.figure is not None:
        from sst_tutorial._extras import need

        need("plot", "matplotlib")
        figure = checked_output(a.figure, a.overwrite, a.input, suffixes=(".png",))
    left = None
    if a.hide is not None:
        left = checked_output(a.hide, a.overwrite, a.input, a.out, a.figure)
    from sst_tutorial.data import open_sst
    from sst_tutorial.judging import draw, hide, judge, table
    from sst_tutorial.results import write_results

    daily = open_sst(a.input, **opening_options(a))
    period = period_of(a.judge_from, a.judge_to)
    if left is not None:
        write(hide(daily, a.seed, period), left, a.command_line)
        print(f"{left}: fill it, then judge with --filled NAME=MAPS.nc and the same --seed")
        return
    filled = dict(_filled(words, daily) for words in a.filled)
    how = {"model": a.model, "draws": a.draws, "seed": a.seed, "period": period}
    results = judge(daily, **how, filled=filled)
    if out is not None:
        write_results({"command": a.command_line, **results}, out)
    if figure is not None:
        _save(draw(results), figure)
    print(table(results))


def _filled(words: str, daily) -> tuple:
    """(name, maps) of "NAME=MAPS.nc", opened as the variable that `daily` holds."""
    from sst_tutorial.data import open_sst

    name, equals, path = words.partition("=")
    if not (name and equals and path):
        raise ValueError(f"--filled {words!r} is not NAME=MAPS.nc, for example mine=complete.nc")
    about = {key: daily.attrs[key] for key in ("variable", "transform") if key in daily.attrs}
    return name, open_sst(path, **about)


def _save(figure, path: Path) -> None:
    """A PNG that appears whole or not at all."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=156)  # twice the pixels of a telephone
    with whole(path) as part:
        part.write_bytes(drawn.getvalue())
