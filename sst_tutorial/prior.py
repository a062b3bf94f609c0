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


def month_prior(
    sst, ocean, climatology=None, wraps=False, quantity: Quantity = SST
) -> np.ndarray:
    """Prior (T, H, W) degC of a month, finite over the ocean.

    sst: (T, H, W) degC, NaN = gap or land. ocean: (H, W) bool. climatology: (T, H, W) degC of the
    same days, or None. wraps: the last column borders the first, see `is_global`. quantity: what
    they are, where that is no temperature in degC.
    """
    if climatology is None:
        smooth = _around_the_globe if wraps else smooth_prior
        return smooth(sst, ocean, quantity=quantity)
    holes = ocean & ~np.isfinite(climatology).all(0)  # (H, W)
    if not holes.any():
        return climatology
    warnings.warn(
        f"climatology has gaps in {holes.sum()} of {ocean.sum()} ocean cells; its smooth "
        "surroundings stand in for them",
        stacklevel=2,
    )
    around = month_prior(np.where(ocean, climatology, np.nan), ocean, None, wraps, quantity)
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

    A smooth map (nothing finer than `block` cells) constant over the month; a second pass leaves
    out what lies more than 4 robust standard deviations from the first. It follows gradients as
    wide as the globe, at a cost linear in the number of cells. `prior_count` (see `smooth_mean`)
    and `block` were chosen on 2011-2012 off Tasmania; a trend in time gained 0.003 K there.

    sst: (T, H, W) degC, NaN = gap. ocean: (H, W) bool. Returns (T, H, W) degC (a read-only view
    of one map), finite everywhere, land included. One observation gives a constant map; none gives
    `EMPTY_MONTH_DEGC` (what is typical of `quantity`) everywhere: the caller should warn, nothing
    is known of such a month.
    """
    seen = np.isfinite(sst) & ocean
    if not seen.any():
        return np.broadcast_to(np.float32(quantity.typical), sst.shape)
    offset = np.float32(np.mean(sst, where=seen, dtype=float))  # keeps float32 sums exact
    sst = (sst - offset).astype(np.float32, copy=False)
    keep = seen
    for _ in range(2):
        total = torch.from_numpy(np.sum(sst, 0, where=keep))
        count = torch.from_numpy(np.sum(keep, 0, dtype=np.float32))
        smooth = smooth_mean(total[None], count[None], block, prior_count)[0].numpy()
        distance = sst - smooth
        np.abs(distance, out=distance)  # a globe is 0.13 GB a copy
        spread = 1.4826 * np.median(distance[seen])
        keep = seen & (distance <= 4 * max(spread, 0.1 * quantity.unit))
    return np.broadcast_to(offset + smooth, sst.shape)


def _around_the_globe(sst, ocean, quantity: Quantity) -> np.ndarray:
    """`smooth_prior` (T, H, W) of a map whose last column borders the first."""
    W = ocean.shape[1]
    around = np.arange(-HALO, W + HALO) % W  # (W + 2 HALO,)
    smooth = smooth_prior(sst[:, :, around], ocean[:, around], quantity=quantity)
    return smooth[:, :, HALO : HALO + W]


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
    sea = climatology.where(daily["ocean_mask"])
    low, high = float(sea.min()), float(sea.max())
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
    return climatology


def _span(axis: np.ndarray) -> str:
    return f"{axis[0]:.6g}..{axis[-1]:.6g} ({axis.size} values)" if axis.size else "(no values)"
