"""The command `sst-tutorial`: everything the package does that a shell user wants.

Parsing is cheap: torch and xarray are imported by the subcommand that needs them. A mistake of the
user ends in one line on stderr and exit status 2, never in a traceback.
"""

import argparse
import contextlib
import glob
import io
import os
import re
import shlex
import signal
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

from sst_tutorial.whole import whole

PROGRAM = "sst-tutorial"
INTERRUPTED = "interrupted; no output was left half written"

EXPORT = """\
examples:
  sst-tutorial export ocean-2.onnx                      months of 64 x 64 cells
  sst-tutorial export tuned.onnx --model runs/tuned --shape 96 128

For programs without PyTorch. The file holds first guess and network, for 31 days of one size. In,
floats: anomaly (1, 31, ROWS, COLUMNS) in K, observed, ocean, exists and wanted, 1 or 0. Out: mean
and first_guess (1, ROWS, COLUMNS) in K, to which the prior must be added. Before it is written it
runs once under ONNX Runtime, and the largest difference to PyTorch is printed; takes a minute."""

RECONSTRUCT = """\
examples:
  sst-tutorial reconstruct may.nc may_complete.nc
  sst-tutorial reconstruct "daily/2016*.nc" 2016.nc --month 2016-02 --month 2016-03
  sst-tutorial reconstruct daily.nc monthly.nc --climatology thirty_years_of_daily_maps.nc
  sst-tutorial reconstruct odd.nc monthly.nc --variable temp_skin --units K --overwrite
  sst-tutorial reconstruct l3.nc monthly.nc --quality 3 --bias     more pixels, their bias removed
  sst-tutorial reconstruct one.nc monthly.nc --date 2016-03-01     a file that has no time
  sst-tutorial reconstruct weekly.nc monthly.nc --cadence 7        fields of seven days each
  sst-tutorial reconstruct may.nc may_daily.nc --daily --model runs/mine
  sst-tutorial reconstruct chl.nc monthly.nc --variable chlor_a --transform log10
  sst-tutorial reconstruct "years/*.nc" years.zarr --workers 4    large: month by month; the same
                                                  command again goes on after a kill

OUTPUT.nc holds, for each calendar month: sst (monthly mean in degC, complete over the ocean, NaN
on land), first_guess (the same without the network), sst_uncertainty (standard deviation of the
error of sst in K, for networks that tell it) and n_observed (days each cell was seen). With --daily
it holds these of every day of these months, but observed (0 or 1); with --both also
sst_mean_of_month, the mean of those maps. A variable that is no temperature keeps its name and
units; what the network is worth for it is untested.
Give --climatology wherever there is one: the less a month saw, the more it matters."""

SIMULATE = """\
examples:
  sst-tutorial simulate gappy.nc
  sst-tutorial simulate gappy.nc --truth complete.nc --days 31 --cover 0.9 --seed 3
  sst-tutorial simulate pacific.nc --region -20 20 170 -150 --shape 80 80 --start 2015-11-01

then: sst-tutorial reconstruct gappy.nc monthly.nc"""

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

EVALUATE = """\
examples:
  sst-tutorial evaluate --regime cloudy                the benchmark off Tasmania, if it is here
  sst-tutorial evaluate --months simulated --methods network gaussian "optimal interpolation"
  sst-tutorial evaluate --methods network --model runs/quick/weights.safetensors --out scores.json
  sst-tutorial evaluate --months moving --validation --daily --methods gaussian "linear in time"

exams for --months, and their groups for --regime:
  smooth     48 months of real analyses off Tasmania, 2013-2016: cloudy, clear
  lasting    the same under clouds that stay for "1 day", "2 days", 3, 4, 6, "8 days"
  moving     192 windows of seas whose eddies and fronts travel: "8 km"
  fine       real fine maps, judged by what was seen below moved clouds
  elsewhere  seas and settings that no network here was trained on
  simulated  simulated seas, which need no data: cloudy, clear
Exams are opened to report; choose by their twins of other years or seeds, --validation. With
--report "what was chosen, and why" the look is entered in the ledger of the test.

RMSE of monthly means in K (or of maps of day 16, --daily) with its 95 % interval, RMSE where a cell
was seen on 3 days or fewer, bias, RMSE of gradients, cells resolved, and seconds a month."""

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

DOWNLOAD = """\
examples:
  sst-tutorial download 2016-02-01 2016-02-29 --region -45 -37 147 155 --to oisst
  sst-tutorial download 2016-02 2016-04 --to oisst          whole globe, 1.6 MB a day
  sst-tutorial download 2016 2016 --source /data/mirror     a folder in NOAA's layout

The same command again resumes. Then: sst-tutorial reconstruct oisst monthly.nc"""


def main(argv: list[str] | None = None) -> int:
    """Run `sst-tutorial` with these arguments (None = those of the shell); the exit status.

    0 = done; 1 = `doctor` found something; 2 = the user's mistake, one line on stderr says which;
    130 = interrupted.
    """
    out, err = _Quiet(sys.stdout), _Quiet(sys.stderr)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), _interruptible():
        try:
            return _main(argv)
        finally:  # a closed pipe is met here, where it is silenced, not at the interpreter's exit
            sys.stdout.flush()


def _main(argv: list[str] | None) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = _show_warning
        try:
            arguments = _parser().parse_args(argv)
            words = sys.argv[1:] if argv is None else argv
            arguments.command_line = shlex.join([PROGRAM, *words])
            return arguments.run(arguments) or 0
        except KeyboardInterrupt:
            _say(INTERRUPTED)
            return 130
        except (ValueError, OSError, ImportError) as error:
            _say(f"error: {_with_options(str(error))}")
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, MemoryError) or re.search("(out of|allocate) memory", str(error)):
                _say(f"error: out of memory ({error}); choose fewer months or a smaller region")
            elif "NetCDF" in str(error):
                _say(f"error: {error}: an input breaks off or cannot be decoded; fetch it again")
            else:
                raise  # no mistake of the user: the traceback tells more
        return 2


@contextlib.contextmanager
def _interruptible():
    """Ctrl-C raises KeyboardInterrupt, but not amid an import: it ends the program at once there.

    torch cannot bear an exception while it is loaded (the process aborts with a C++ message), and
    who imports has nothing half written: see `whole.py`.
    """
    main_thread = threading.current_thread() is threading.main_thread()
    if not main_thread or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield  # ignored in the background, or the caller looks after it
        return
    signal.signal(signal.SIGINT, _interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _interrupted(number, frame):
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            _say(INTERRUPTED)
            os._exit(130)
        frame = frame.f_back
    raise KeyboardInterrupt


class _Quiet:
    """An output that a closed pipe (`sst-tutorial ... | head`) silences: the work goes on."""

    def __init__(self, stream):
        self.stream = io.StringIO() if stream is None else stream  # None: closed from the start

    def write(self, text):
        with self._named(), contextlib.suppress(BrokenPipeError):
            return self.stream.write(text)

    def flush(self):
        try:
            with self._named():
                self.stream.flush()
        except BrokenPipeError:  # what is still in the buffer goes nowhere, at the exit too
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())

    @contextlib.contextmanager
    def _named(self):
        """What cannot be written is the output of the command, not one of its files."""
        try:
            yield
        except BrokenPipeError:
            raise
        except OSError as error:
            name = getattr(self.stream, "name", "the output")
            raise OSError(f"{name} cannot be written: {error.strerror}") from error

    def __getattr__(self, name):
        return getattr(self.stream, name)


def _say(message: str) -> None:
    print(f"{PROGRAM}: {' '.join(message.split())}", file=sys.stderr)


def _with_options(message: str) -> str:
    """`units='K'`, as the functions say it to their callers, in the shell's words: `--units K`."""
    message = re.sub(r"\bbias=True", "--bias", message)
    message = re.sub(r"\bperiod=", "--judge-from, --judge-to: ", message)
    options = "variable|units|quality|date|cadence|transform"

    def option(found):  # '>=3' keeps its quotes, a shell would take it for a file
        name, value = found.groups()
        return f"--{name} {value if re.search('[<> ]', value) else value.strip(chr(39))}"

    return re.sub(rf"\b({options})=('[^']*'|[\w.-]+)", option, message)


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    _say(f"warning: {_with_options(str(message))}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        PROGRAM,
        description="Complete monthly maps of sea surface temperature from gappy daily ones.",
        epilog=f"`{PROGRAM} COMMAND --help` has examples. Start with `{PROGRAM} doctor`.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (
        _add_reconstruct,
        _add_doctor,
        _add_simulate,
        _add_download,
        _add_train,
        _add_fine_tune,
        _add_run,
        _add_compare,
        _add_evaluate,
        _add_judge,
        _add_export,
    ):
        add(commands)
    return parser


class _Version(argparse.Action):
    def __call__(self, parser, namespace, values, option_string=None):
        from sst_tutorial import __version__

        print(f"{PROGRAM} {__version__}")
        parser.exit()


def _add_command(commands, name, run, help, epilog=None) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=help,
        description=help[0].upper() + help[1:] + ".",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    return parser


INPUT_HELP = "NetCDF file, Zarr store, folder of NetCDF files, or a quoted pattern"

# ---------------------------------------------------------------------------- reconstruct


def _add_reconstruct(commands) -> None:
    p = _add_command(
        commands, "reconstruct", _reconstruct, "fill a file of gappy daily maps", RECONSTRUCT
    )
    p.add_argument("input", metavar="INPUT", help=INPUT_HELP)
    p.add_argument(
        "output",
        metavar="OUTPUT",
        help="the file to write, .nc; or a Zarr store, .zarr, for what is larger than memory",
    )
    p.add_argument(
        "--climatology",
        metavar="FILE",
        help="years of daily maps on the same grid, or a climatology (dayofyear, lat, lon) in degC",
    )
    _add_opening_options(p)
    p.add_argument(
        "--model",
        metavar="NAME|FILE",
        help="weights: name, file or run folder (default: ocean-2; ocean-1 makes months faster)",
    )
    p.add_argument(
        "--month",
        action="append",
        metavar="YYYY-MM",
        help="only this month (or YYYY, this year); may be repeated (default: all of INPUT)",
    )
    daily = p.add_mutually_exclusive_group()
    daily.add_argument(
        "--daily",
        dest="maps",
        action="store_const",
        const="daily",
        default="monthly",
        help="complete daily maps instead of monthly means; needs weights that learned them",
    )
    daily.add_argument(
        "--both",
        dest="maps",
        action="store_const",
        const="both",
        help="daily maps, and the mean of each month",
    )
    p.add_argument(
        "--workers",
        metavar="N|ADDRESS",
        help="of a Zarr store: share the months between N processes of this machine, or the "
        "workers of the dask scheduler at ADDRESS, such as tcp://10.0.0.1:8786",
    )
    p.add_argument("--overwrite", action="store_true", help="replace OUTPUT if it exists")


def _add_opening_options(p) -> None:
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


def _opening_options(a) -> dict:
    names = ("variable", "units", "quality", "bias", "date", "cadence", "transform")
    return {name: getattr(a, name) for name in names}


def _reconstruct(a) -> None:
    output = _output_of(a)
    from sst_tutorial.data import open_sst
    from sst_tutorial.reconstruction import reconstruct

    begin = time.perf_counter()
    daily = _chosen_months(open_sst(a.input, **_opening_options(a)), a.month)
    if a.climatology is None and not _saw_anything(daily):
        raise ValueError(
            f"{a.input} has no observation over the ocean; without --climatology there is nothing "
            "to reconstruct from"
        )
    climatology = None
    if a.climatology is not None:
        climatology = _climatology(a.climatology, daily.attrs.get("variable"), a.transform)
    if _is_zarr(output):
        maps = _into_store(a, output, daily, climatology)
    else:
        # Here, not where it is written: there a signal has to wait.
        maps = reconstruct(daily, a.model, climatology, a.maps).load(scheduler="synchronous")
        _write(maps, output, a.command_line)
    monthly = a.maps == "monthly"
    ocean = int(maps["first_guess"][0].notnull().sum())
    days = int(maps["time"].dt.days_in_month.sum()) if monthly else maps.sizes["time"]
    seen = sum(int(step.sum()) for step in maps["n_observed" if monthly else "observed"])
    size = " x ".join(str(maps.sizes[d]) for d in ("lat", "lon"))
    print(
        f"{output}: {maps.sizes['time']} {'month' if monthly else 'day'}(s) of {size} cells from "
        f"{100 * seen / max(1, days * ocean):.1f} % of the ocean's cell-days, "
        f"{time.perf_counter() - begin:.1f} s"
    )


def _is_zarr(path: Path) -> bool:
    return path.suffix.lower() == ".zarr"


def _output_of(a) -> Path:
    """OUTPUT; ValueError where it cannot be written, or lacks what it needs."""
    output = Path(a.output)
    if _is_zarr(output):
        from sst_tutorial._extras import need

        need("zarr", "zarr")
        need("cluster", *(["distributed"] if a.workers else []))
        begun = output.is_dir() and not a.overwrite  # then it is gone on with
        _checked_output(output, a.overwrite or begun, a.input, a.climatology, suffixes=(".zarr",))
        return output
    if a.workers:
        raise ValueError(f"--workers is for a Zarr store; {output} is none, {output.stem}.zarr is")
    return _checked_output(output, a.overwrite, a.input, a.climatology)


def _into_store(a, output: Path, daily, climatology):
    """The maps of a Zarr store that is whole, opened again."""
    import pandas as pd
    import xarray as xr

    from sst_tutorial.reconstruction import reconstruct
    from sst_tutorial.store import write_months

    if daily["sst"].chunks is None:
        daily = daily.chunk(time=31)
    maps = reconstruct(daily, a.model, climatology, a.maps)
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    maps = maps.assign_attrs(date_created=now, history=f"{now} {a.command_line}")
    apart = ("output", "model", "overwrite", "workers", "run", "command_line")
    about = {k: v for k, v in vars(a).items() if k not in apart and v not in (None, False)}
    with _client(a.workers) as client:
        made, found = write_months(maps, output, about, a.overwrite, client)
    if found:
        _say(f"{output} had {found} of its {made + found} months already")
    maps = xr.open_zarr(output)
    seen = maps["n_observed" if a.maps == "monthly" else "observed"]
    index, names = seen.indexes["time"].strftime("%Y-%m"), []
    for name in pd.unique(index):
        if not any(bool((step > 0).any()) for step in seen[index == name]):
            names.append(name)
    if names:
        _show_warning(f"no observation in {', '.join(names)}: see their first_guess", None, "", 0)
    return maps


@contextlib.contextmanager
def _client(workers: str | None):
    """The workers of `--workers`, as a client of dask.distributed; None = no others."""
    if workers is None:
        yield None
        return
    if "://" not in workers and not (workers.isdigit() and int(workers)):
        raise ValueError(f"--workers {workers!r} is neither a number nor an address like tcp://...")
    import dask
    from distributed import Client, LocalCluster

    if "://" in workers:
        with Client(workers, timeout=30) as client:
            yield client
        return
    # One thread each: a region works on one core there, and memory is that of one region. Nobody
    # sees the profile that a worker takes of itself, a hundred times a second.
    dask.config.set({"distributed.worker.profile.enabled": False})
    # And no MALLOC_TRIM_THRESHOLD_, which makes the system clear each tensor's memory anew: 31 ms
    # of a core for a tile instead of 12.
    dask.config.set({"distributed.nanny.pre-spawn-environ": {"OMP_NUM_THREADS": 1}})
    cluster = LocalCluster(
        n_workers=int(workers), threads_per_worker=1, dashboard_address=":0", silence_logs=50
    )
    with cluster, Client(cluster) as client:
        yield client


def _chosen_months(daily, months):
    """The days of `daily` in the months (YYYY-MM) or years (YYYY) asked for."""
    if not months:
        return daily
    index = daily.indexes["time"]
    chosen = index != index  # all False
    for month in months:
        if not re.fullmatch(r"\d{4}(-(0[1-9]|1[0-2]))?", month):
            raise ValueError(f"--month {month!r} is not YYYY-MM or YYYY, for example 2016-02")
        here = index.strftime("%Y-%m-").str.startswith(f"{month}-")
        if not here.any():
            raise ValueError(
                f"--month {month}: INPUT has no such day, it runs from {index[0]:%Y-%m-%d} to "
                f"{index[-1]:%Y-%m-%d}"
            )
        chosen = chosen | here
    return daily.isel(time=chosen)


def _saw_anything(daily) -> bool:
    """Is there one observation over ocean? Reads day by day and stops at the first."""
    seen = (day.where(daily["ocean_mask"]).notnull().any() for day in daily["sst"])
    return any(map(bool, seen))


def _climatology(path, variable=None, transform=None):
    """A climatology from a file of one, or made from a file of daily maps.

    variable: its name, where it is no temperature."""
    import xarray as xr

    from sst_tutorial.data import open_sst
    from sst_tutorial.files import is_zarr, open_one
    from sst_tutorial.prior import daily_climatology

    try:
        if Path(path).is_file() or is_zarr(Path(path)):
            with open_one(Path(path)) as stored:
                names = [k for k, v in stored.data_vars.items() if "dayofyear" in v.dims]
                if len(names) == 1:
                    return xr.decode_cf(stored[names], decode_times=False)[names[0]].load()
        return daily_climatology(open_sst(path, variable, transform=transform))
    except ValueError as error:
        raise ValueError(f"--climatology {path}: {error}") from error


def _checked_output(path, overwrite: bool, *inputs, suffixes=(".nc", ".nc4")) -> Path:
    """The path to write to, or ValueError now rather than after minutes of work."""
    path = Path(path)
    if path.is_dir() and not (_is_zarr(path) and ".zarr" in suffixes):
        raise ValueError(f"{path} is a folder; name a file to write, for example {path}/out.nc")
    if path.suffix.lower() not in suffixes:
        also = " (or in .zarr)" if suffixes[0] == ".nc" else ""
        raise ValueError(f"{path} must end in {suffixes[0]}{also}, the only format written")
    folder = path.resolve().parent if path.is_symlink() else path.parent
    if not folder.is_dir():
        raise ValueError(f"{path} cannot be written: there is no folder {folder}; make it")
    if not os.access(folder, os.W_OK):
        raise ValueError(f"{path} cannot be written: no permission to write in {folder}")
    for other in inputs:
        if other and _reads(other, path):
            raise ValueError(
                f"{path} is also an input ({other}), or would be one the next time; choose another "
                "name for the output"
            )
    if path.exists() and not overwrite:
        raise ValueError(f"{path} exists; choose another name or add --overwrite")
    return path


def _reads(given: str, path: Path) -> bool:
    """Is `path` one of the files that the input `given` stands for, now or once it is written?"""
    folder, absolute = Path(given), Path(os.path.abspath(path))
    if folder.is_dir():
        inside = path.resolve().is_relative_to(folder.resolve())
        found = [*folder.rglob("*.nc"), *folder.rglob("*.nc4")]
    else:
        inside = not folder.exists() and absolute.match(os.path.abspath(given))
        found = [folder] if folder.exists() else map(Path, glob.glob(given, recursive=True))
    return inside or (path.exists() and any(path.samefile(f) for f in found if f.exists()))


def _write(dataset, path: Path, command_line: str) -> None:
    """Compressed NetCDF that appears whole or not at all."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    dataset = dataset.assign_attrs(date_created=now, history=f"{now} {command_line}")
    encoding = {
        name: {"zlib": True, "complevel": 4, "shuffle": True}
        for name, variable in dataset.data_vars.items()
        if variable.ndim > 1 and variable.dtype.kind in "fib"
    }
    with whole(path) as part:
        dataset.to_netcdf(part, engine="netcdf4", encoding=encoding)


# ---------------------------------------------------------------------------- doctor


def _add_doctor(commands) -> None:
    _add_command(commands, "doctor", _doctor, "check that everything needed is there and works")


def _doctor(a) -> int:
    checks = [("Python", _check_python), *_package_checks()]
    checks += [
        ("coastline", _check_coastline),
        ("weights", _check_weights),
        ("reconstruction", _check_reconstruction),
        ("NetCDF", _check_netcdf),
        ("stored results", _check_records),
        ("device", _check_device),
    ]
    failed = 0
    for name, check in checks:
        try:
            mark, text = "OK", check()
        except _Absent as absent:
            mark, text = "--", absent
        except Exception as error:  # whatever breaks is what the doctor is there to tell
            mark, text = "FAIL", f"{type(error).__name__}: {error}"
            failed += 1
        print(f"{f'[{mark}]':7}{name:18}{' '.join(str(text).split())}")
    print("all is well" if not failed else f"{failed} of {len(checks)} checks failed")
    return 1 if failed else 0


def _check_python() -> str:
    return ".".join(map(str, sys.version_info[:3]))  # pip refuses to install on an older one


class _Absent(Exception):
    """An optional package is not installed: nothing is wrong, and this says how to get it."""


def _package_checks():
    """One check for each requirement in the package's metadata, those of extras included."""
    from importlib.metadata import PackageNotFoundError, requires, version

    from packaging.requirements import Requirement

    from sst_tutorial._extras import PARTS

    def checker(requirement, extra):
        def check():
            try:
                found = version(requirement.name)
            except PackageNotFoundError:
                if extra:
                    raise _Absent(f'not installed: pip install "{PROGRAM}[{extra}]"') from None
                raise
            if not requirement.specifier.contains(found, prereleases=True):
                raise RuntimeError(f"{found}, but {requirement.specifier} is needed")
            return found

        return check

    try:
        needed = [Requirement(r) for r in requires(PROGRAM) or []]
    except PackageNotFoundError:

        def not_installed():
            raise RuntimeError(f"{PROGRAM} is not installed; run `pip install -e .`")

        return [(PROGRAM, not_installed)]
    checks: dict = {}
    for extra in ("", *PARTS):  # a requirement that no extra asks for holds without one
        for r in needed:
            if r.marker is None or r.marker.evaluate({"extra": extra}):
                checks.setdefault(r.name, checker(r, extra))
    return list(checks.items())


def _check_coastline() -> str:
    import numpy as np

    from sst_tutorial.coast import ocean_mask

    ocean = ocean_mask(np.array([-40.0, 46.0]), np.array([-30.0, 8.0]))  # Atlantic, Alps
    if ocean.tolist() != [[True, True], [True, False]]:
        raise RuntimeError(f"the land mask is wrong: {ocean.tolist()}")
    return "shipped Natural Earth outlines"


def _check_weights() -> str:
    from sst_tutorial.weights import find_weights, load_weights

    estimator = load_weights()
    return f"{find_weights().stem}, {sum(p.numel() for p in estimator.parameters()):,} parameters"


def _check_reconstruction() -> str:
    from sst_tutorial.reconstruction import reconstruct
    from sst_tutorial.simulate import observe, simulate_clouds, simulate_ocean

    truth = simulate_ocean(shape=(32, 32), start="2001-01-01", days=31)
    begin = time.perf_counter()
    monthly = reconstruct(observe(truth, simulate_clouds(truth, cover=0.7)))
    seconds = time.perf_counter() - begin
    error = float(abs(monthly["sst"][0] - truth["sst"].mean("time")).mean())
    if not error < 1.0:
        raise RuntimeError(f"a simulated month came out wrong by {error:.2f} K on average")
    return f"a simulated month of 32 x 32 cells in {seconds:.1f} s, off by {error:.2f} K"


def _check_netcdf() -> str:
    import xarray as xr

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "check.nc"
        xr.Dataset({"sst": ("lat", [1.0, 2.0])}).to_netcdf(path, engine="netcdf4")
        with xr.open_dataset(path) as back:
            if back["sst"].values.tolist() != [1.0, 2.0]:
                raise RuntimeError("a file written and read again differs")
    return "written and read again"


def _check_records() -> str:
    from sst_tutorial.results import RESULTS

    found = sum(1 for _ in RESULTS.rglob("*.json"))
    if not found:
        raise _Absent("chapters will lack numbers: install the package again")
    return f"{found} records that chapters read"


def _check_device() -> str:
    import torch

    if torch.cuda.is_available():
        return f"GPU {torch.cuda.get_device_name()}"
    return f"CPU, {torch.get_num_threads()} threads (a GPU is not needed)"


# ---------------------------------------------------------------------------- simulate


def _add_simulate(commands) -> None:
    p = _add_command(
        commands, "simulate", _simulate, "write a made-up ocean as seen through clouds", SIMULATE
    )
    p.add_argument("output", metavar="OUTPUT.nc", help="the gappy daily maps")
    p.add_argument("--truth", metavar="FILE.nc", help="write the complete daily maps as well")
    _add_region(p, default=[-45.0, -37.0, 147.0, 155.0])
    p.add_argument(
        "--shape", nargs=2, type=int, default=[64, 64], metavar=("ROWS", "COLUMNS"), help="64 64"
    )
    p.add_argument("--start", default="2001-01-01", metavar="DATE", help="first day (%(default)s)")
    p.add_argument("--days", type=int, default=365, help="number of days (%(default)s)")
    p.add_argument("--cover", type=float, default=0.8, help="cloudy share, 0.3-0.95 (%(default)s)")
    p.add_argument("--noise", type=float, default=0.3, help="retrieval noise in K (%(default)s)")
    p.add_argument("--seed", type=int, default=0, help="same seed, same ocean (%(default)s)")
    p.add_argument("--overwrite", action="store_true", help="replace files that exist")


def _add_region(parser, default=None) -> None:
    shown = "%(default)s" if default else "whole globe"
    parser.add_argument(
        "--region",
        nargs=4,
        type=float,
        default=default,
        metavar=("SOUTH", "NORTH", "WEST", "EAST"),
        help=f"edges in degrees; WEST > EAST crosses the dateline ({shown})",
    )


def _simulate(a) -> None:
    output = _checked_output(a.output, a.overwrite)
    truth_path = None if a.truth is None else _checked_output(a.truth, a.overwrite)
    if truth_path is not None and truth_path.resolve() == output.resolve():
        raise ValueError(f"--truth {a.truth} is OUTPUT.nc itself; choose another name")
    from sst_tutorial.simulate import observe, simulate_clouds, simulate_ocean

    south, north, west, east = a.region
    truth = simulate_ocean((south, north), (west, east), tuple(a.shape), a.start, a.days, a.seed)
    gappy = observe(truth, simulate_clouds(truth, a.cover, a.seed), a.noise, a.seed)
    _write(gappy, output, a.command_line)
    print(f"{output}: {a.days} days of {a.shape[0]} x {a.shape[1]} cells, gappy")
    if truth_path is not None:
        _write(truth, truth_path, a.command_line)
        print(f"{truth_path}: the same, complete")


# ---------------------------------------------------------------------------- download


def _add_download(commands) -> None:
    p = _add_command(
        commands, "download", _download, "fetch NOAA OISST daily maps, free and anonymous", DOWNLOAD
    )
    p.add_argument("start", metavar="START", help="first day (or month, or year)")
    p.add_argument("end", metavar="END", help="last day, included (or month, or year)")
    _add_region(p)
    p.add_argument("--to", default="oisst", metavar="FOLDER", help="where to (%(default)s)")
    p.add_argument("--source", metavar="URL|FOLDER", help="another copy of NOAA's tree")


def _download(a) -> int:
    from sst_tutorial.download import NOAA, download_oisst

    region = None
    if a.region:
        region = {"lat": tuple(a.region[:2]), "lon": tuple(a.region[2:])}
    got = download_oisst(a.start, a.end, region, a.to, a.source or NOAA)
    print(f"{a.to}: {len(got.files)} files, {len(got.missing)} days missing upstream")
    if not got.files:
        raise ValueError(f"no day from {a.start} to {a.end} exists upstream; data begin 1981-09-01")
    return 0


# ---------------------------------------------------------------------------- train


def _add_train(commands) -> None:
    p = _add_command(commands, "train", _train, "train a network of your own", TRAIN)
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
    p.add_argument("--steps", type=_positive, help="training steps (default: the settings')")
    p.add_argument("--seconds", type=_positive, help="train so long instead")
    p.add_argument("--batch-size", type=_positive, help="samples a step (default: the settings')")
    p.add_argument("--seed", type=int, help="same seed, same weights (default: the settings')")
    p.add_argument(
        "--device", choices=("auto", "cpu", "cuda"), default="auto", help="(%(default)s)"
    )
    p.add_argument(
        "--devices", type=_positive, help="GPUs (or processes on a CPU) that share the work"
    )
    p.add_argument("--resume", action="store_true", help="go on from FOLDER's checkpoint, as begun")
    p.add_argument("--overwrite", action="store_true", help="replace the run in FOLDER")


_YEARS = {
    "train": "years to train on (all before those that judge)",
    "val": "years that judge (the last two)",
    "clim": "years of the climatology (those to train on)",
}


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def _changes(pairs: list[str]) -> dict:
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
    from sst_tutorial.settings import changed, read_settings, settings_of

    options = ("data", "clouds", "train_years", "val_years", "clim_years", "start", "steps")
    options += ("seconds", "batch_size", "seed")
    given = {name: getattr(a, name) for name in options if getattr(a, name) is not None}
    changes = _changes(a.set) | given
    if a.resume and not (a.settings or a.preset):
        from sst_tutorial.runs import settings_of_killed

        settings = changed(settings_of_killed(out), **changes)  # `train` refuses any other
    elif a.settings:
        runs = read_settings(a.settings)
        if len(runs) > 1 and "seed" not in changes:
            raise ValueError(f"{a.settings} has {len(runs)} seeds: choose one with --seed")
        settings = changed(runs[0], **changes)
    else:
        settings = settings_of(a.preset or "quick", **changes)

    from sst_tutorial.runs import train

    train(
        settings,
        out,
        resume=a.resume,
        accelerator=a.device,
        devices=a.devices or "auto",
        command=a.command_line,
    )
    print(f"{out / 'weights.safetensors'}: use it with --model {out}")


# ---------------------------------------------------------------------------- fine-tune


def _add_fine_tune(commands) -> None:
    p = _add_command(
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
    _add_opening_options(p)
    p.add_argument("--device", choices=("auto", "cpu", "cuda"), default="cpu", help="(%(default)s)")
    p.add_argument("--overwrite", action="store_true", help="replace the run in FOLDER")


def _fine_tune(a) -> None:
    out = Path(a.out)
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out {out} is a file; name a folder")
    held = [n for n in ("run.json", "settings.json", "weights.safetensors") if (out / n).exists()]
    if held and not a.overwrite:
        raise ValueError(f"{out} holds a run already; choose another --out, or add --overwrite")
    _period(a.judge_from, None)
    from sst_tutorial.data import open_sst
    from sst_tutorial.fine_tuning import fine_tune, in_words
    from sst_tutorial.judging import table

    daily = open_sst(a.input, **_opening_options(a))
    _, judgement = fine_tune(
        daily,
        a.start,
        out,
        a.judge_from,
        a.learn,
        accelerator=a.device,
        command=a.command_line,
        data=a.input,
        **_changes(a.set),
    )
    print(table(judgement))
    print(in_words(judgement))
    print(f"{out / 'weights.safetensors'}: use it with --model {out}")


# ---------------------------------------------------------------------------- run


def _add_run(commands) -> None:
    p = _add_command(commands, "run", _run, "do the runs that settings files describe", RUN)
    p.add_argument("path", metavar="FILE|FOLDER", help="settings (.toml), a record (.json), folder")
    p.add_argument("--out", metavar="FOLDER", help="where the folders of the runs go (see below)")
    p.add_argument(
        "--at-once", type=_positive, default=1, metavar="N", help="side by side (%(default)s)"
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


# ---------------------------------------------------------------------------- compare


def _add_compare(commands) -> None:
    p = _add_command(
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
        "--seeds", type=_positive, default=3, metavar="N", help="runs of the change (%(default)s)"
    )
    length = p.add_mutually_exclusive_group()
    length.add_argument("--seconds", type=_positive, help="of training, for both (60)")
    length.add_argument("--steps", type=_positive, help="of training, for both, instead")
    p.add_argument("--exam", metavar="NAME", help="whose twin judges (default: by the base's data)")
    p.add_argument("--small", type=float, metavar="K", help="a difference nobody minds (0.003)")
    p.add_argument("--out", metavar="FILE.json", help="write all numbers here; goes on from FILE")
    p.add_argument("--store", type=_positive, metavar="N", help="store N runs of the base instead")


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
    changes = {key: _class_of(value) for key, value in _changes(a.set).items()}
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


# ---------------------------------------------------------------------------- evaluate


def _add_evaluate(commands) -> None:
    p = _add_command(
        commands, "evaluate", _evaluate, "score the network and the classical baselines", EVALUATE
    )
    p.add_argument(
        "--months",
        choices=("smooth", "lasting", "moving", "fine", "elsewhere", "simulated", "benchmark"),
        default="smooth",
        metavar="EXAM",
        help="see below (%(default)s; its name was benchmark, which still goes)",
    )
    p.add_argument(
        "--regime", nargs="+", metavar="NAME", help="groups of the exam (default: all of them)"
    )
    p.add_argument("--validation", action="store_true", help="the exam's twin, to choose by")
    p.add_argument("--daily", action="store_true", help="maps of one day instead of the month")
    p.add_argument(
        "--methods", nargs="+", metavar="NAME", help="network and baselines (default: all)"
    )
    p.add_argument("--model", metavar="NAME|FILE", help="weights of the network (default: shipped)")
    p.add_argument("--out", metavar="FILE.json", help="write all numbers here as well")
    p.add_argument("--overwrite", action="store_true", help="replace FILE.json if it exists")
    p.add_argument(
        "--report", metavar="SENTENCE", help="what was chosen and why, for the ledger of the test"
    )


def _evaluate(a) -> None:
    from sst_tutorial.baselines import BASELINES
    from sst_tutorial.evaluation import evaluate, table
    from sst_tutorial.reconstruction import as_method
    from sst_tutorial.results import write_results

    names = a.methods or ["network", *BASELINES]
    unknown = [name for name in names if name != "network" and name not in BASELINES]
    if unknown:
        raise ValueError(
            f"--methods {unknown[0]!r} is unknown; there are: network, {', '.join(BASELINES)}"
        )
    if a.model is not None and "network" not in names:
        raise ValueError(f"--model {a.model} has no use without network among --methods")
    out = None if a.out is None else _checked_output(a.out, a.overwrite, suffixes=(".json",))
    if a.report is not None:
        _check_report(a)
    methods = {n: as_method(a.model) if n == "network" else BASELINES[n] for n in names}
    regimes = None if a.regime in (None, ["both"]) else a.regime
    of_test_years = a.months in ("smooth", "benchmark", "lasting") and not a.validation
    if of_test_years and "network" in names:
        _warn_of_test_years(a.model)
    results = evaluate(methods, regimes, a.months, a.validation, a.daily)
    print(table(results))
    if out is not None:
        write_results({"command": a.command_line, **results}, out)
    _enter(a, results, "network" in names)


def _check_report(a) -> None:
    """What is wrong with --report is told before minutes of work."""
    from sst_tutorial.ledger import checked_sentence, is_locked, read_ledger

    checked_sentence(a.report)
    if not is_locked(a.months, a.validation):
        raise ValueError("--report: twins and simulated months are no test; leave it away")
    read_ledger()


def _enter(a, results, with_network: bool) -> None:
    """The look into the ledger, or a line that says that it was none of a report."""
    from sst_tutorial.ledger import is_locked, ledger_path, read_ledger, report

    if a.report is not None:
        from sst_tutorial.weights import find_weights

        weights = find_weights(a.model) if with_network else None
        report(results, a.report, weights, a.command_line)
        print(f"{ledger_path()}: look {len(read_ledger())} at the test")
    elif is_locked(a.months, a.validation):
        print(f"The test {a.months} was opened, and no ledger knows: choose by --validation, and")
        print('report with --report "what was chosen, and why".')


def _warn_of_test_years(model) -> None:
    """A network that learned from the benchmark's years must not be judged on them."""
    from sst_tutorial.benchmark import TEST_YEARS
    from sst_tutorial.weights import find_weights, read_metadata

    years = read_metadata(find_weights(model))["about"].get("years")
    first, last = TEST_YEARS
    for name, span in years.items() if isinstance(years, dict) else ():
        match span:  # anything may stand there
            case [int(begin), int(end)] if begin <= last and first <= end:
                warnings.warn(
                    f"--model {model} saw {begin}-{end} ({name}), the benchmark is {first}-{last}: "
                    "if its data were those of the benchmark, the score says nothing",
                    stacklevel=2,
                )


# ---------------------------------------------------------------------------- judge


def _add_judge(commands) -> None:
    p = _add_command(
        commands, "judge", _judge, "score methods on a file by its own observations", JUDGE
    )
    p.add_argument("input", metavar="FILE", help=INPUT_HELP)
    p.add_argument("--out", metavar="FILE.json", help="write all numbers here as well")
    p.add_argument("--figure", metavar="FILE.png", help="draw them; FILE.json has the words for it")
    _add_opening_options(p)
    p.add_argument(
        "--model",
        metavar="NAME|FILE",
        help="weights of the network, which must have learned single days (default: shipped, "
        "ocean-2)",
    )
    p.add_argument(
        "--draws", type=_positive, default=8, help="how often clouds are moved (%(default)s)"
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
        out = _checked_output(a.out, a.overwrite, a.input, suffixes=(".json",))
    if a.figure is not None:
        from sst_tutorial._extras import need

        need("plot", "matplotlib")
        figure = _checked_output(a.figure, a.overwrite, a.input, suffixes=(".png",))
    left = None
    if a.hide is not None:
        left = _checked_output(a.hide, a.overwrite, a.input, a.out, a.figure)
    from sst_tutorial.data import open_sst
    from sst_tutorial.judging import draw, hide, judge, table
    from sst_tutorial.results import write_results

    daily = open_sst(a.input, **_opening_options(a))
    period = _period(a.judge_from, a.judge_to)
    if left is not None:
        _write(hide(daily, a.seed, period), left, a.command_line)
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


def _period(*days):
    """(first, last) as `judge` takes them, from dates in the words of the shell."""
    for option, day in zip(("--judge-from", "--judge-to"), days, strict=True):
        if day is not None and not re.fullmatch(r"\d{4}-\d\d-\d\d", day):
            raise ValueError(f"{option} {day!r} is not a day YYYY-MM-DD, for example 2022-08-01")
    return days


def _save(figure, path: Path) -> None:
    """A PNG that appears whole or not at all."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=156)  # twice the pixels of a telephone
    with whole(path) as part:
        part.write_bytes(drawn.getvalue())


# ---------------------------------------------------------------------------- export


def _add_export(commands) -> None:
    p = _add_command(commands, "export", _export, "write weights as an ONNX file", EXPORT)
    p.add_argument("output", metavar="FILE.onnx", help="file to write")
    p.add_argument("--model", metavar="NAME|FILE", help="weights (default: shipped)")
    p.add_argument(
        "--shape", nargs=2, type=_positive, default=(64, 64), metavar=("ROWS", "COLUMNS"),
        help="size of the maps that the file takes (64 64)",
    )  # fmt: skip
    p.add_argument("--overwrite", action="store_true", help="replace FILE.onnx if it exists")


def _export(a) -> None:
    out = _checked_output(a.output, a.overwrite, suffixes=(".onnx",))
    from sst_tutorial.export import export_onnx

    apart = export_onnx(out, a.model, tuple(a.shape))
    size = out.stat().st_size / 1e6
    print(f"{out}: {size:.1f} MB, within {apart:.1e} K of PyTorch under ONNX Runtime")


if __name__ == "__main__":
    sys.exit(main())
