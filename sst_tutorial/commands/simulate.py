"""`sst-tutorial simulate`: a sea that was made up, seen through clouds."""

from sst_tutorial.commands.options import add_command, add_region
from sst_tutorial.commands.outputs import checked_output, write

SIMULATE = """\
examples:
  sst-tutorial simulate gappy.nc
  sst-tutorial simulate gappy.nc --truth complete.nc --days 31 --cover 0.9 --seed 3
  sst-tutorial simulate pacific.nc --region -20 20 170 -150 --shape 80 80 --start 2015-11-01

then: sst-tutorial reconstruct gappy.nc monthly.nc"""


def add(commands) -> None:
    p = add_command(
        commands, "simulate", _simulate, "write a made-up ocean as seen through clouds", SIMULATE
    )
    p.add_argument("output", metavar="OUTPUT.nc", help="the gappy daily maps")
    p.add_argument("--truth", metavar="FILE.nc", help="write the complete daily maps as well")
    add_region(p, default=[-45.0, -37.0, 147.0, 155.0])
    p.add_argument(
        "--shape", nargs=2, type=int, default=[64, 64], metavar=("ROWS", "COLUMNS"), help="64 64"
    )
    p.add_argument("--start", default="2001-01-01", metavar="DATE", help="first day (%(default)s)")
    p.add_argument("--days", type=int, default=365, help="number of days (%(default)s)")
    p.add_argument("--cover", type=float, default=0.8, help="cloudy share, 0.3-0.95 (%(default)s)")
    p.add_argument("--noise", type=float, default=0.3, help="retrieval noise in K (%(default)s)")
    p.add_argument("--seed", type=int, default=0, help="same seed, same ocean (%(default)s)")
    p.add_argument("--overwrite", action="store_true", help="replace files that exist")


def _simulate(a) -> None:
    output = checked_output(a.output, a.overwrite)
    truth_path = None if a.truth is None else checked_output(a.truth, a.overwrite)
    if truth_path is not None and truth_path.resolve() == output.resolve():
        raise ValueError(f"--truth {a.truth} is OUTPUT.nc itself; choose another name")
    from sst_tutorial.simulate import observe, simulate_clouds, simulate_ocean

    south, north, west, east = a.region
    truth = simulate_ocean((south, north), (west, east), tuple(a.shape), a.start, a.days, a.seed)
    gappy = observe(truth, simulate_clouds(truth, a.cover, a.seed), a.noise, a.seed)
    write(gappy, output, a.command_line)
    print(f"{output}: {a.days} days of {a.shape[0]} x {a.shape[1]} cells, gappy")
    if truth_path is not None:
        write(truth, truth_path, a.command_line)
        print(f"{truth_path}: the same, complete")
