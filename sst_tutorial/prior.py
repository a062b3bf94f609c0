"""The prior of a month: an SST for every day and cell, known before its days are weighed.

`month_prior` is the one call. With a climatology, the prior is the climatology of those days, its
holes filled; without one, a smooth map of the month's own observations. Everything that follows
(baselines, network) works on anomalies, the departures from it. Chapters *Tensors of the sea*,
*Baselines you must beat*.
"""

import warnings

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
import xarray as xr

from sst_tutorial.quantity import SST, Quantity

# The prior of a month without an observation and without a climatology.
EMPTY_MONTH_DEGC = SST.typical
HALO = 64  # columns by which a globe is continued before its smooth prior is estimated
BAND = 2**18  # cells whose days are looked at together: copies of a whole globe take memory
COLLECTED = 2**25  # numbers of which a median is taken as it is defined


def month_prior(
    sst, ocean, climatology=None, wraps=False, quantity: Quantity = SST, smooth=None
) -> np.ndarray:
    """Prior (T, H, W) degC of a month, finite over the ocean.

    sst: (T, H, W) degC, NaN = gap or land. ocean: (H, W) bool. climatology: (T, H, W) degC of the
    same days, or None. wraps: the last column borders the first, see `is_global`. quantity: what
    they are, where that is no temperature in degC. smooth: (H, W), the smooth map of the month (of
    its climatology where there is one) for who has only a part of the month; None = of these.
    """
    if climatology is None:
        if smooth is None:
            smooth = smooth_map(lambda rows: sst[:, rows], ocean, wraps, quantity=quantity)
        return np.broadcast_to(smooth, sst.shape)
    holes = ocean & ~np.isfinite(climatology).all(0)  # (H, W)
    if not holes.any():
        return climatology
    warnings.warn(
        f"climatology has gaps in {holes.sum()} of {ocean.sum()} ocean cells; its smooth "
        "surroundings stand in for them",
        stacklevel=2,
    )
    around = month_prior(climatology, ocean, None, wraps, quantity, smooth)
    return np.where(np.isfinite(climatology), climatology, around)


def is_global(lon) -> bool:
    """Does the column east of the last of these longitudes (W,) coincide with the first?"""
    lon = np.asarray(lon)
    if lon.size < 3:
        return False
    spacing = (lon[-1] - lon[0]) / (lon.size - 1)
    return bool(abs(spacing * lon.size - 360) < 0.1 * spacing)


# ---------------------------------------------------------------- without a climatology


def smooth_prior(
    sst, ocean, block=4, prior_count=20.0, quantity: Quantity = SST
) -> np.ndarray:
    """Prior of a month from its own observations, where there is no climatology.

    sst: (T, H, W) degC, NaN = gap. ocean: (H, W) bool. Returns `smooth_map` of them for each day,
    (T, H, W) degC (a read-only view of one map).
    """
    smooth = smooth_map(lambda rows: sst[:, rows], ocean, False, block, prior_count, quantity)
    return np.broadcast_to(smooth, sst.shape)


def smooth_map(
    read, ocean, wraps=False, block=4, prior_count=20.0, quantity: Quantity = SST
) -> np.ndarray:
    """Smooth map (H, W) degC of the observations of a month, finite everywhere, land included.

    Nothing in it is finer than `block` cells; a second pass leaves out what lies more than 4
    robust standard deviations from the first. It follows gradients as wide as the globe, at a cost
    linear in the number of cells. `prior_count` (see `smooth_mean`) and `block` were chosen on
    2011-2012 off Tasmania; a trend in time gained 0.003 K there. One observation gives a constant
    map; none gives `EMPTY_MONTH_DEGC` (what is typical of `quantity`): the caller should warn,
    nothing is known of such a month.

    read: from a slice of rows to their days (T, h, W) degC, NaN = gap; called three times for each
    `row_bands`, so that a month need not fit into memory. ocean: (H, W) bool. wraps: the last
    column borders the first.
    """
    H, W = ocean.shape
    around = np.arange(-HALO, W + HALO) % W if wraps else slice(None)

    def bands():
        for rows in row_bands(H, W):
            sst = read(rows)[:, :, around]  # (T, h, W or W + 2 HALO)
            yield rows, sst, np.isfinite(sst) & ocean[rows, around]

    total, count = _sums(bands(), H, ocean[:1, around].size)
    if not count.any():
        return np.full((H, W), quantity.typical, np.float32)
    offset = np.float32(total.sum() / count.sum(dtype=float))  # keeps float32 sums exact
    smooth = _smooth(total - offset * count, count, block, prior_count)

    def distances():
        for rows, sst, seen in bands():
            yield rows, sst, seen, np.abs(sst - offset - smooth[rows])

    spread = 1.4826 * _median((far[seen] for *_, seen, far in distances()), count.sum(dtype=float))
    most = 4 * max(spread, 0.1 * quantity.unit)
    kept = ((rows, sst, seen & (far <= most)) for rows, sst, seen, far in distances())
    total, count = _sums(kept, *count.shape)
    smooth = offset + _smooth(total - offset * count, count, block, prior_count)
    return smooth[:, HALO : HALO + W] if wraps else smooth


def row_bands(rows: int, columns: int) -> list[slice]:
    """Rows of a map in parts of `BAND` cells or less, one row at least."""
    step = max(1, BAND // columns)
    return [slice(first, min(first + step, rows)) for first in range(0, rows, step)]


def _sums(bands, H: int, W: int) -> tuple[np.ndarray, np.ndarray]:
    """Sum float64 and number float32, both (H, W), of what bands (rows, sst, where) hold."""
    total, count = np.empty((H, W)), np.empty((H, W), np.float32)
    for rows, sst, where in bands:
        np.sum(sst, 0, dtype=float, where=where, out=total[rows])
        np.sum(where, 0, dtype=np.float32, out=count[rows])
    return total, count


def _smooth(total, count, block, prior_count) -> np.ndarray:
    """`smooth_mean` of one map (H, W)."""
    total, count = torch.from_numpy(total.astype(np.float32))[None], torch.from_numpy(count)[None]
    return smooth_mean(total, count, block, prior_count)[0].numpy()


def _median(parts, n: float) -> float:
    """Median of n positive float32 in all parts; of very many to 1 in 4000, by counting.

    The bits of positive floats are in the order of their values: those that are shifted away are
    the last of the fraction.
    """
    if n <= COLLECTED:
        return float(np.median(np.concatenate(list(parts))))
    counts = np.zeros(2**20, int)  # eight bits of the exponent, twelve of the fraction
    for part in parts:
        counts += np.bincount(part.view(np.uint32) >> 11, minlength=len(counts))
    bits = np.searchsorted(np.cumsum(counts), n / 2)
    return float(np.uint32((bits << 11) + (1 << 10)).view(np.float32))


def smooth_mean(total, count, block=4, prior_count=20.0):
    """Smooth mean maps (n, H, W) from sums and counts of observations (n, H, W) each.

    Coarsens until one block holds all, then comes back: each block is the average of its own
    observations and of its parent, which weighs as much as `prior_count` observations. Empty
    blocks so inherit from wider and wider surroundings. Smoothing flattens a gradient; smoothing
    the rest gives it back (Tukey's twicing). Cost is linear in the number of cells.
    """
    smooth = _smoothed(total, count, block, prior_count)
    return smooth + _smoothed(total - count * smooth, count, block, prior_count)


def _smoothed(total, count, block, prior_count):
    levels = [torch.stack([total, count], 1)]  # (n, 2, H, W), then half, a quarter ...
    while max(levels[-1].shape[2:]) > 1:
        levels.append(_coarsen(levels[-1]))
    total, count = levels[-1].split(1, 1)  # (n, 1, 1, 1) each
    mean = total / count.clamp(min=1)
    finest = min(int(np.log2(block)), len(levels) - 1)
    for level in reversed(levels[finest:-1]):
        total, count = level.split(1, 1)
        mean = F.interpolate(mean, scale_factor=2.0, mode="bilinear")
        mean = mean[..., : total.shape[2], : total.shape[3]]  # drop the padding of an odd size
        mean = (total + prior_count * mean) / (count + prior_count)
    mean = F.interpolate(mean, scale_factor=2.0**finest, mode="bilinear")
    H, W = levels[0].shape[2:]
    return mean[:, 0, :H, :W]


def _coarsen(x: torch.Tensor) -> torch.Tensor:
    """Sums over 2 x 2 blocks: (n, C, H, W) -> (n, C, ceil(H/2), ceil(W/2))."""
    x = F.pad(x, (0, x.shape[-1] % 2, 0, x.shape[-2] % 2))
    return 4 * F.avg_pool2d(x, 2)


# ---------------------------------------------------------------- with a climatology


def daily_climatology(daily, years: tuple[int, int] | None = None) -> xr.DataArray:
    """Mean SST of each day of the year, smoothed over 31 days, wrapping around New Year.

    Parameters
    ----------
    daily : the Dataset of `open_sst`, or its `sst` (time, lat, lon) in degC; gaps may be NaN.
    years : first and last year to use, both included; None for all of them.

    Returns
    -------
    DataArray (dayofyear, lat, lon) float32 in degC, dayofyear = 1..366. Each value is the mean of
    every observation within 15 days of that day of year, whichever the year; NaN where there is
    none. Day 60 is 29 February in leap years and 1 March in others, as in numpy and pandas.

    Raises ValueError when `years` selects no day, or the days do not reach round the year.
    """
    sst = daily["sst"] if isinstance(daily, xr.Dataset) else daily
    if years is not None:
        first, last = years
        sst = sst.sel(time=(sst["time"].dt.year >= first) & (sst["time"].dt.year <= last))
    if sst.sizes["time"] == 0:
        raise ValueError(f"years={years} selects no day of daily; choose years that it holds")
    by_day = sst.groupby("time.dayofyear")
    every_day = np.arange(1, 367)
    total = _around(by_day.sum("time").reindex(dayofyear=every_day, fill_value=0.0))
    count = _around(by_day.count("time").reindex(dayofyear=every_day, fill_value=0))
    days = np.unique(sst["time"].dt.dayofyear)
    longest = np.diff(np.append(days, days[0] + 366)).max()
    if longest > 31:
        raise ValueError(
            f"daily holds {days.size} of the 366 days of the year, with a hole of {longest - 1} "
            "days; a climatology needs a whole year at least"
        )
    mean = (total / count.where(count > 0)).astype("float32").transpose("dayofyear", ...)
    quantity = Quantity.of(daily) if isinstance(daily, xr.Dataset) else SST
    name = f"climatological {'log10 of ' * bool(quantity.transform)}{quantity.long_name}"
    mean.attrs = {"units": quantity.units_inside, "long_name": name}
    return mean.rename("climatology")


def climatology_for(climatology, time) -> xr.DataArray:
    """Climatology of given days: (T, lat, lon) in degC with the coordinate `time`.

    `climatology` is the result of `daily_climatology`; `time` holds T dates (DataArray, index,
    array or list). Raises ValueError where `climatology` has no dayofyear axis of 1..366.
    """
    if isinstance(climatology, xr.Dataset):
        climatology = climatology["climatology"]
    if "dayofyear" not in climatology.dims or climatology.sizes["dayofyear"] != 366:
        raise ValueError(
            f"climatology has the axes {dict(climatology.sizes)}; it needs dayofyear of length "
            "366, as daily_climatology returns"
        )
    if not np.array_equal(climatology.indexes.get("dayofyear"), np.arange(1, 367)):
        raise ValueError("climatology must have the days 1 to 366, in order, on its axis dayofyear")
    time = pd.DatetimeIndex(np.atleast_1d(time)).as_unit("ns")
    day = xr.DataArray(time, dims="time", coords={"time": time}).dt.dayofyear
    picked = climatology.sel(dayofyear=day).drop_vars("dayofyear")
    return picked.transpose("time", "lat", "lon")


def _around(field: xr.DataArray) -> xr.DataArray:
    """Sum over the 31 days around each day of the year, day 366 being followed by day 1."""
    wide = field.pad(dayofyear=15, mode="wrap")  # (396, lat, lon)
    wide = wide.assign_coords(dayofyear=np.arange(-14, 382))
    return wide.rolling(dayofyear=31, center=True).sum().sel(dayofyear=slice(1, 366))


def on_the_same_grid(climatology, daily: xr.Dataset) -> xr.DataArray:
    """The climatology (dayofyear, lat, lon) with exactly the coordinates of `daily`; ValueError
    where it is something else."""
    if isinstance(climatology, xr.Dataset) and "climatology" in climatology:
        climatology = climatology["climatology"]
    if not isinstance(climatology, xr.DataArray) or set(climatology.dims) != {
        "dayofyear",
        "lat",
        "lon",
    }:
        seen = getattr(climatology, "dims", type(climatology).__name__)
        raise ValueError(
            f"climatology must be a DataArray (dayofyear, lat, lon), got {seen}; "
            "daily_climatology makes one from years of daily maps"
        )
    for axis in ("lat", "lon"):
        ours, theirs = daily[axis].values, climatology[axis].values
        if ours.shape != theirs.shape or np.abs(ours - theirs).max() > 1e-4:
            raise ValueError(
                f"climatology has {axis} {_span(theirs)}, daily has {_span(ours)}; "
                "make it on the same grid, or interpolate it with climatology.interp"
            )
    climatology = climatology.assign_coords(lat=daily["lat"], lon=daily["lon"])
    _check_values(climatology, daily)
    return climatology


def _check_values(climatology: xr.DataArray, daily: xr.Dataset) -> None:
    """ValueError for one with empty days, or of another quantity than `daily`."""
    sea = climatology.where(daily["ocean_mask"])
    low, high = sea.min(("lat", "lon")), sea.max(("lat", "lon"))  # (366,)
    empty = int(low.isnull().sum())
    if empty and daily["ocean_mask"].any():
        raise ValueError(
            f"climatology has no value over the ocean on {empty} of its 366 days; make it from "
            "years that saw them, with daily_climatology"
        )
    low, high = float(low.min()), float(high.max())
    quantity = Quantity.of(daily)
    if not quantity.is_sst:
        stated = climatology.attrs.get("units", quantity.units_inside)
        if stated != quantity.units_inside:
            raise ValueError(
                f"climatology is in {stated!r}, daily in {quantity.units_inside!r}; make it from "
                "years of the same variable and transform, with daily_climatology"
            )
    elif low < SST.low or high > SST.high:
        raise ValueError(
            f"climatology must be a sea in degC, {SST.low:g} to {SST.high:g}, but runs from "
            f"{low:.1f} to {high:.1f}; if it is in K, subtract 273.15; a fill value must become NaN"
        )


def _span(axis: np.ndarray) -> str:
    return f"{axis[0]:.6g}..{axis[-1]:.6g} ({axis.size} values)" if axis.size else "(no values)"
