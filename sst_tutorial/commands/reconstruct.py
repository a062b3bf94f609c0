"""`sst-tutorial reconstruct`: a file of gappy maps in, complete maps out."""

import contextlib
import re
import time
from pathlib import Path

from sst_tutorial.commands.options import (
    INPUT_HELP,
    add_command,
    add_opening_options,
    opening_options,
)
from sst_tutorial.commands.outputs import checked_output, is_zarr, write
from sst_tutorial.commands.words import say, show_warning

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


def add(commands) -> None:
    p = add_command(
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
    add_opening_options(p)
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


def _reconstruct(a) -> None:
    output = _output_of(a)
    from sst_tutorial.data import open_sst
    from sst_tutorial.reconstruction import reconstruct

    begin = time.perf_counter()
    daily = _chosen_months(open_sst(a.input, **opening_options(a)), a.month)
    if a.climatology is None and not _saw_anything(daily):
        raise ValueError(
            f"{a.input} has no observation over the ocean; without --climatology there is nothing "
            "to reconstruct from"
        )
    climatology = None
    if a.climatology is not None:
        climatology = _climatology(a.climatology, daily.attrs.get("variable"), a.transform)
    if is_zarr(output):
        maps = _into_store(a, output, daily, climatology)
    else:
        # Here, not where it is written: there a signal has to wait.
        maps = reconstruct(daily, a.model, climatology, a.maps).load(scheduler="synchronous")
        write(maps, output, a.command_line)
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


def _output_of(a) -> Path:
    """OUTPUT; ValueError where it cannot be written, or lacks what it needs."""
    output = Path(a.output)
    if is_zarr(output):
        from sst_tutorial._extras import need

        need("zarr", "zarr")
        need("cluster", *(["distributed"] if a.workers else []))
        begun = output.is_dir() and not a.overwrite  # then it is gone on with
        checked_output(output, a.overwrite or begun, a.input, a.climatology, suffixes=(".zarr",))
        return output
    if a.workers:
        raise ValueError(f"--workers is for a Zarr store; {output} is none, {output.stem}.zarr is")
    return checked_output(output, a.overwrite, a.input, a.climatology)


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
        say(f"{output} had {found} of its {made + found} months already")
    maps = xr.open_zarr(output)
    seen = maps["n_observed" if a.maps == "monthly" else "observed"]
    index, names = seen.indexes["time"].strftime("%Y-%m"), []
    for name in pd.unique(index):
        if not any(bool((step > 0).any()) for step in seen[index == name]):
            names.append(name)
    if names:
        are = "all NaN, no climatology is given" if climatology is None else "the climatology"
        show_warning(f"no observation in {', '.join(names)}: their maps are {are}", None, "", 0)
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
