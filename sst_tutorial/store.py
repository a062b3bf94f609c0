"""Lazy maps into a Zarr store, month by month: what a killed run made is not made again.

A new store is built under another name and appears whole, with all its axes and no map. Then one
month after another is written, by whoever made it, and marked in `made` once all of it is there. A
month without its mark, half written or not begun, is made again by the next run. Only a few months
are under way at a time, so that memory does not grow with their number.
"""

import json
import os
import shutil
import tempfile
import warnings
from pathlib import Path

import numpy as np
import xarray as xr
from tqdm.auto import tqdm

from sst_tutorial.files import is_zarr

MARK = "made"  # name of the variable that says which months are there
MARK_ATTRIBUTES = {
    "standard_name": "status_flag",
    "long_name": "has the map been made",
    "flag_values": np.array([0, 1], np.int8),
    "flag_meanings": "not_yet made",
}
SETTINGS = "made_with"  # name of the attribute that must agree for a run to go on
MADE_BY = ("weights_sha256", "spread_sha256")  # and these


def write_months(
    maps: xr.Dataset, path, about: dict, overwrite: bool = False, client=None
) -> tuple[int, int]:
    """Make the lazy maps of `reconstruct` and write them to the Zarr store `path`.

    maps: lazy, a chunk for each month and region. about: plain words and numbers on which the maps
    depend; a store that was begun with others is refused. overwrite: replace the store, whatever it
    holds. client: of dask.distributed, whose workers must see `path`; None = one region after
    another in this process, on all its cores.

    Returns (months made now, months found made). ValueError where the store holds other maps;
    OSError where it cannot be written: what was marked stays.
    """
    path = Path(path)
    if path.exists() and not is_zarr(path):
        raise ValueError(f"{path} is there and no Zarr store; choose another name")
    about = json.dumps(about, sort_keys=True)
    if overwrite or not path.exists():
        _begin(maps, path, about)
    months = _months(maps)
    mark = _found(maps, path, about)
    missing = [month for month in months if not mark[month].all()]
    at_once = 1
    if client is not None:
        # So that no worker waits, while the last regions of a month are made.
        at_once = 1 + -(-len(client.nthreads()) // len(maps["first_guess"].chunks[1]))
    with tqdm(total=len(missing), unit="month", disable=None, delay=30) as progress:
        for month in _made(maps, path, missing, client, at_once):
            mark[month] = 1
            _write(xr.Dataset({MARK: ("time", mark)}), path, mode="r+")
            progress.update()
    return len(missing), len(months) - len(missing)


def _months(maps: xr.Dataset) -> list[slice]:
    """The steps of each month: the chunks of its maps."""
    ends = np.cumsum(maps["first_guess"].chunks[0]).tolist()
    return [slice(a, b) for a, b in zip([0, *ends], ends, strict=False)]


def _begin(maps: xr.Dataset, path: Path, about: str) -> None:
    """A store with all axes and no map in the place of whatever is there."""
    part = Path(tempfile.mkdtemp(".part", f".{path.name}.", path.parent))
    encoding = {
        # A file for each step and region: what one task writes, no other does.
        name: {"chunks": [1, *(sizes[0] for sizes in field.chunks[1:])]}
        for name, field in maps.data_vars.items()
        if field.chunks is not None
    }
    new = maps.assign_attrs({SETTINGS: about})
    new[MARK] = ("time", np.zeros(maps.sizes["time"], np.int8), MARK_ATTRIBUTES)
    try:
        _write(new, part, mode="w", encoding=encoding, compute=False)
        os.chmod(part, 0o755)  # mkdtemp makes private folders
        if path.exists():
            shutil.rmtree(path)
        part.rename(path)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _found(maps: xr.Dataset, path: Path, about: str) -> np.ndarray:
    """The marks of a store that holds these very maps, or some of them; else ValueError."""
    advice = "choose another name, or --overwrite"
    try:
        with xr.open_zarr(path) as there:
            other = there.attrs.get(SETTINGS)
            mark = there[MARK].values.copy()
            axes = {axis: there[axis].values for axis in ("time", "lat", "lon")}
            made_by = [there.attrs.get(key) for key in MADE_BY]
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"{path} is no store that could be gone on with; {advice}") from error
    if other != about or made_by != [maps.attrs.get(key) for key in MADE_BY]:
        raise ValueError(f"{path} was made with other settings, {other}; {advice}")
    for axis, values in axes.items():
        if not np.array_equal(values, maps[axis].values):
            raise ValueError(f"{path} has another axis {axis!r} than these maps; {advice}")
    return mark


def _made(maps, path, months, client, at_once):
    """Yield each of these months once it is written, in whatever order they are ready."""
    waiting = iter(months)
    if client is None:
        for month in waiting:
            # On this thread: a region takes all cores, and Ctrl-C ends it at once.
            _written(maps, path, month).compute(scheduler="synchronous")
            yield month
        return
    from distributed import as_completed

    def submit(month):
        with warnings.catch_warnings():  # the network and the mask of a large sea go with it
            warnings.filterwarnings("ignore", "Sending large graph")
            future = client.compute(_written(maps, path, month))
        under_way[future] = month
        return future

    under_way: dict = {}
    first = [submit(month) for _, month in zip(range(at_once), waiting, strict=False)]
    ready = as_completed(first)
    for future in ready:
        future.result()  # what failed on a worker fails here
        yield under_way.pop(future)
        for month in waiting:
            ready.add(submit(month))
            break


def _written(maps: xr.Dataset, path: Path, month: slice):
    """What, once computed, has written a month."""
    region, lazy = {"time": month}, [k for k, v in maps.data_vars.items() if v.chunks is not None]
    if "month" in maps.dims:
        k = _months(maps).index(month)
        region["month"] = slice(k, k + 1)
    part = maps[lazy].isel(region)
    return _write(part.drop_vars(list(part.coords)), path, region=region, compute=False)


def _write(maps: xr.Dataset, path: Path, **arguments):
    # Format 2, which every reader of Zarr knows.
    format = {} if "region" in arguments or arguments["mode"] == "r+" else {"zarr_format": 2}
    return maps.to_zarr(path, consolidated=True, **format, **arguments)
