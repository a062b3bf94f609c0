"""A map of any size as tasks of dask: one a month and region, so that many workers share them.

A region is a band of rows. Its task reads these rows and those around them that its tiles reach
(the halo), so that no seam shows where two regions meet; a tile that lies in two is made twice.
What a region cannot know of itself, the smooth prior of the whole month, is a task of its own.
Tasks read their part of the input themselves, also more than once: held for each other, the days
of a month would fill the memory that a region saves.
"""

import copy
import threading
from contextlib import nullcontext
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
import xarray as xr
from dask import array, delayed, is_dask_collection, optimize

from sst_tutorial.months import month_of
from sst_tutorial.networks import Estimator
from sst_tutorial.prior import climatology_for, is_global, row_bands, smooth_map
from sst_tutorial.quantity import Quantity
from sst_tutorial.tiles import (
    DAYS,
    OVERLAP,
    TILE,
    blank_maps,
    maps_of_month,
    tiles_of,
    warn_of_month,
    warn_of_nothing,
)
from sst_tutorial.uncertain import Spread

REGION = 2**24  # values that a region reads: 64 MB of float32, about ten times that at work
TILES_HIGH = 8  # rows of tiles in a region, at least: the halo then is 17 % of the work, not more
READ = 2**26  # values that are read at once for a smooth prior: all of a globe of 0.25 degrees
_alone = threading.Lock()


def lazy_maps(
    estimator, daily: xr.Dataset, held, climatology, question, quantity, spread=None
) -> tuple:
    """(sst, first guess, seen), dask arrays (steps, H, W) of what `reconstruct` labels, and the
    standard deviation where there is a `spread` to tell it.

    daily: tidy, its `sst` lazy. held: number of days by month. Chunks are a month of a region.
    """
    H, W = daily["ocean_mask"].shape
    regions = regions_of(H, W)
    made_by = _MadeBy(copy.deepcopy(estimator).eval(), spread, question is DAYS, quantity)
    made_by = delayed(made_by, traverse=False)  # once, for all tasks
    if climatology is not None:
        climatology = delayed(_Held(climatology), traverse=False)
    ocean = daily["ocean_mask"].data
    ocean = delayed(ocean) if isinstance(ocean, array.Array) else delayed(ocean, traverse=False)
    kinds = (np.float32, np.float32, np.int16 if question is None else np.int8)
    kinds += (np.float32,) * (spread is not None)
    names = [name for name in ("sst", "sst_error") if name in daily]
    months = [[] for _ in kinds]
    end = 0
    for period, days in held.items():
        here = slice(end, end := end + days)
        series = _Held(daily[names].isel(time=here))
        smooth = None
        if len(regions) > 1:
            sst = _Held(series.field["sst"])
            smooth = delayed(_smooth)(sst, ocean, climatology, period, quantity)
        steps = period.days_in_month if question is DAYS else 1
        parts = [[] for _ in kinds]
        for rows in regions:
            own = _Held(series.field.isel(lat=_halo(rows, H)))
            task = delayed(_region, nout=len(kinds))
            maps = task(made_by, own, ocean, climatology, smooth, period, rows)
            shape = (steps, rows.stop - rows.start, W)
            for part, values, kind in zip(parts, maps, kinds, strict=True):
                part.append(array.from_delayed(values, shape, kind))
        for month, part in zip(months, parts, strict=True):
            month.append(array.concatenate(part, axis=1))
    return tuple(array.concatenate(month) for month in months)


def regions_of(H: int, W: int) -> list[slice]:
    """Bands of rows of one height (the last may be lower) that cover a map."""
    rows = max(TILES_HIGH * (TILE - OVERLAP), REGION // (31 * W))
    height = -(-H // max(1, round(H / rows)))
    return [slice(first, min(first + height, H)) for first in range(0, H, height)]


def _reach(rows: slice, H: int) -> list[np.ndarray]:
    """The tiles of a map of H rows, each its indices, that lie in `rows` at least in part."""
    tiles = tiles_of(H, TILE, OVERLAP)
    return [tile for tile in tiles if tile[-1] >= rows.start and tile[0] < rows.stop]


def _halo(rows: slice, H: int) -> slice:
    tiles = _reach(rows, H)
    return slice(int(tiles[0][0]), int(tiles[-1][-1]) + 1)


class _MadeBy(NamedTuple):
    """What is the same for all regions and months: by what maps are made, and which."""

    estimator: Estimator
    spread: Spread | None
    daily: bool  # not `DAYS`, which is no longer itself where another process unpacks it
    quantity: Quantity


class _Held:
    """Lazy fields that dask hands on as they are: the task that gets them reads what it needs."""

    def __init__(self, field: xr.DataArray | xr.Dataset):
        # Without what the part does not need: a task is sent to its worker with its graph.
        self.field = optimize(field)[0] if is_dask_collection(field) else field

    def load(self) -> xr.DataArray | xr.Dataset:
        # On this thread: within a task, dask would send its own tasks to the scheduler and wait.
        return self.field.compute(scheduler="synchronous")

    def of(self, period: pd.Period, rows: slice) -> xr.DataArray:
        """Some rows of a climatology on the days of a month, (T, h, W)."""
        days = pd.date_range(period.start_time, periods=period.days_in_month)
        return _Held(climatology_for(self.field.isel(lat=rows), days)).load()


def _smooth(series, ocean, climatology, period, quantity) -> np.ndarray | None:
    """Smooth map (H, W) of a month, or of its climatology if that has holes; else None."""
    wraps = is_global(series.field["lon"].values)
    if climatology is not None:
        return _smooth_climatology(climatology, ocean, period, quantity, wraps)
    anything = False

    def read(rows):
        nonlocal anything
        days = _Held(series.field.isel(lat=rows)).load().values  # (T, h, W)
        anything = anything or bool((np.isfinite(days) & ocean[rows]).any())
        return days

    smooth = smooth_map(_reading_much(read, ocean), ocean, wraps, quantity=quantity)
    if not anything:
        warn_of_nothing(str(period))
    return smooth if anything else np.full_like(smooth, np.nan)


def _smooth_climatology(climatology, ocean, period, quantity, wraps):
    read = _reading_much(lambda rows: climatology.of(period, rows).values, ocean)
    bands = row_bands(*ocean.shape)
    if all((np.isfinite(read(rows)).all(0) | ~ocean[rows]).all() for rows in bands):
        return None
    return smooth_map(read, ocean, wraps, quantity=quantity)


def _reading_much(read, ocean):
    """`read`, but with many `row_bands` at once: a chunk of the input is not opened for each."""
    step = row_bands(*ocean.shape)[0].stop
    height = step * max(1, READ // (31 * step * ocean.shape[1]))
    first, days = 0, None

    def some(rows):
        nonlocal first, days
        if days is None or not first <= rows.start < first + height:
            first, days = rows.start, None  # the old ones first make room
            days = read(slice(first, min(first + height, len(ocean))))
        return days[:, rows.start - first : rows.stop - first]

    return some


def _region(made_by: _MadeBy, series, ocean, climatology, smooth, period, rows) -> tuple:
    """(sst, first guess, seen) of some rows of a month, each (steps, h, W), and the standard
    deviation if there is a `spread`."""
    estimator, spread, daily_maps, quantity = made_by
    question = DAYS if daily_maps else None
    halo, tiles = _halo(rows, len(ocean)), _reach(rows, len(ocean))
    # Where torch has several threads it takes them all for one region; more would add memory.
    with _alone if torch.get_num_threads() > 1 else nullcontext():
        daily = series.load().assign(ocean_mask=(("lat", "lon"), ocean[halo]))
        known = None if climatology is None else climatology.of(period, halo)
        smooth = None if smooth is None else smooth[halo]
        nothing = smooth is not None and np.isnan(smooth).all()  # see `_smooth`
        month = month_of(daily, period, known, None, quantity, None if nothing else smooth)
        if smooth is None and known is None:  # this region is the whole map
            nothing = not month.observed.any()
        if halo == slice(0, len(ocean)):
            warn_of_month(month, known)
        tiles = [tile - halo.start for tile in tiles]
        if nothing:
            maps = blank_maps(month, question, spread)
        else:
            wraps = is_global(daily["lon"].values)
            maps = maps_of_month(estimator, month, wraps, question, tiles, spread)
    seen = month.observed if question is DAYS else month.observed.sum(0, dtype=np.int16)[None]
    inner = slice(rows.start - halo.start, rows.stop - halo.start)
    sst, first_guess, *sure = (a[:, inner].astype(np.float32) for a in maps)
    seen = seen[:, inner].astype(np.int8 if question is DAYS else np.int16)
    return sst, first_guess, seen, *sure
