"""From gappy daily maps to complete monthly or daily ones, one month and one tile at a time.

A month goes through the estimator in overlapping tiles (`tiles.py`). What is lazy is made in parts,
by `regions.py`. Here is what stands around it: what comes in, the months in turn, and what goes out
with its attributes.
"""

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from tqdm.auto import tqdm

from sst_tutorial.data import AXIS_ATTRIBUTES, open_sst
from sst_tutorial.months import Month, month_of
from sst_tutorial.networks import Estimator
from sst_tutorial.plausible import guarded_tidy
from sst_tutorial.prior import is_global, on_the_same_grid
from sst_tutorial.quantity import TEMPERATURE_UNITS, Quantity
from sst_tutorial.tiles import DAYS, blank_maps, maps_of_month, warn_of_month
from sst_tutorial.uncertain import load_spread
from sst_tutorial.weights import (
    find_weights,
    fingerprint,
    load_weights,
    read_metadata,
    shipped_weights,
    spread_file,
)

OUTPUTS = ("monthly", "daily", "both")
MONTHS_MEASURED = 6  # of another variable, to tell the spread of its anomalies
CELLS_MEASURED = 2**21  # of a lazy one, at most
COUNT_ATTRIBUTES = {
    "standard_name": "number_of_observations",
    "long_name": "days of the month on which the cell was seen",
    "units": "1",
}
FLAG_ATTRIBUTES = {
    "standard_name": "status_flag",
    "long_name": "was the cell seen on that day",
    "flag_values": np.array([0, 1], np.int8),
    "flag_meanings": "not_observed observed",
}
UNCERTAINTY_ATTRIBUTES = {
    "standard_name": "sea_surface_temperature standard_error",
    "units": "K",
    "comment": "as a light network tells it that learned from the errors of the estimate in other "
    "years and seas, with white noise on each observation; errors that observations share, in "
    "space or in time, are not in it. Not defined in a month without any observation",
}


def reconstruct(daily, model=None, climatology=None, output="monthly") -> xr.Dataset:
    """Complete maps from gappy daily ones: the mean of each calendar month, or each of its days.

    Parameters
    ----------
    daily : what `open_sst` returns: `sst` (time, lat, lon) in degC, NaN = gap, and `ocean_mask`
        (lat, lon). Any other Dataset or DataArray goes through `open_sst` first. Days that are
        absent count as not seen. `sst_error`, if it is there, tells observations apart: those with
        a large error count less. If it is lazy (dask, `daily.chunk()`), so is the answer.
    model : None for `ocean-2`, which comes with the package; a name (`ocean-1` takes less than half
        of the time and knows months of smooth seas only), the path of a weights file or of a run's
        folder, or an `Estimator` of your own.
    climatology : (dayofyear, lat, lon) in degC on the grid of `daily`, as `daily_climatology`
        returns it, or None: then a smooth map of each month itself is the prior.
    output : "monthly"; "daily" for a map of every day of these months, the absent ones too; "both"
        for those and their mean over each month. The network is asked for the month itself, for
        each day, and for each day, so that "both" may differ a little from "monthly".

    Returns
    -------
    xarray.Dataset, in memory where `daily` is; else lazy, see `regions`: nothing is made before it
    is asked for, by `compute`, `to_zarr` or `store.write_months`, on whatever scheduler dask has,
    and attributes that tell of months and days without observation are left out. "monthly" has
        sst (time, lat, lon) float32, degC: mean over all days of the month, complete over the
            ocean (but for a month of which nothing is known), NaN on land;
        first_guess (time, lat, lon) float32, degC: what the network starts from;
        n_observed (time, lat, lon) int16: days on which the cell was seen;
        sst_uncertainty (time, lat, lon) float32, K: standard deviation of the error of `sst`, for a
            network by name or path that has a file of it (those shipped have); NaN on land and in a
            month without any observation;
        time: first day of each month, with `time_bnds`; attributes after CF and ACDD, the
        package version, weights and settings among them.
    For "daily" with the same for each day, but `observed` (time, lat, lon) int8, 1 = seen that day,
    instead of `n_observed`. For "both" also
        sst_mean_of_month (month, lat, lon) float32, degC: the mean of the days of `sst`;
        month: first day of each month, with `month_bnds`.
    Another variable (`open_sst(..., variable=...)`) has its own name in the place of sst, its units
    and its standard_name, and a log10 is undone. The network then sees its anomalies divided by
    their spread; that it learned from temperatures alone is told by a warning.
    A year of a globe of 0.25 degrees is 3.4 GB of daily maps: make them lazily.

    A month without any observation is its climatology, or NaN where there is none, and a warning
    tells so; any part of the sea with no observation near it gets the prior mean. Months of which
    `daily` does not have all days are told by a warning too.

    Raises ValueError for input that is not daily SST, a climatology of another grid, weights that
    cannot be read, that never learned to answer for single days where daily maps are asked for, and
    that answer with what no sea can be.

    Chapter: *All together*.
    """
    if output not in OUTPUTS:
        raise ValueError(f"output={output!r}, choose one of {', '.join(map(repr, OUTPUTS))}")
    daily = _tidied(daily)
    question = None if output == "monthly" else DAYS
    estimator, provenance = _estimator(model)
    if question is DAYS:
        _check_days(model, estimator, provenance["weights"])
    if climatology is not None:
        climatology = on_the_same_grid(climatology, daily)
    quantity = quantity_of(daily, climatology)
    periods = daily.indexes["time"].to_period("M")
    held = periods.value_counts(sort=False).reindex(periods.unique())
    _warn_of_absent_days(held)
    if daily["sst"].chunks is None:
        make = _maps_in_memory
    else:
        from sst_tutorial.regions import lazy_maps as make  # here: dask is slow to import

    turned, climatology, columns = _from_the_dateline(daily, climatology)
    # Of another variable nobody knows how far the errors of temperature tell of its errors.
    spread = load_spread(model, estimator) if quantity.is_sst else None
    found = make(estimator, turned, held, climatology, question, quantity, spread)
    sst, first_guess, seen, *sure = (_turned_back(field, columns) for field in found)
    maps = (quantity.outwards(sst), quantity.outwards(first_guess), seen)
    out = _labelled(held, maps, daily, climatology, question, quantity)
    if sure:
        _with_uncertainty(out, sure[0], question)
        provenance["spread_sha256"] = fingerprint(spread.state_dict())
    if output == "both":
        out = _with_means(out, sst, held.index, quantity)
    return out.assign_attrs(provenance)


def _maps_in_memory(estimator, daily, held, climatology, question, quantity, spread) -> tuple:
    """(sst, first guess, seen), each (steps, H, W), and the standard deviation if there is a
    `spread` to tell it. held: number of days by month."""
    steps = len(held) if question is None else sum(held.index.days_in_month)
    shape, end = (steps, *daily["ocean_mask"].shape), 0
    sst, first_guess = np.empty(shape, np.float32), np.empty(shape, np.float32)
    seen = np.empty(shape, np.int16 if question is None else np.int8)
    sure = [] if spread is None else [np.empty(shape, np.float32)]
    for period in tqdm(held.index, unit="month", disable=None, delay=30):  # None: on a terminal
        month = month_of(daily, period, climatology, quantity=quantity)
        warn_of_month(month, climatology)
        wraps = is_global(daily["lon"].values)
        if climatology is None and not month.observed.any():
            maps = blank_maps(month, question, spread)
        else:
            maps = maps_of_month(estimator, month, wraps, question, spread=spread)
        here = slice(end, end := end + len(maps[0]))
        for field, values in zip((sst, first_guess, *sure), maps, strict=True):
            field[here] = values
        seen[here] = month.observed.sum(0) if question is None else month.observed
    return sst, first_guess, seen, *sure


def as_method(model=None):
    """The network as one more method, in the form of `baselines.BASELINES`.

    model: as for `reconstruct`. Returns f(month, day=None) -> (H, W) degC, for
    `evaluation.score_months`: the month's mean, or the map of one day, counted from 0.
    """
    estimator, provenance = _estimator(model)

    def method(month: Month, day: int | None = None) -> np.ndarray:
        if day is not None:
            _check_days(model, estimator, provenance["weights"])
        return maps_of_month(estimator, month, False, day)[0][0]

    return method


def as_sure_method(model=None):
    """As `as_method`, but f returns two maps (H, W): degC, and the standard deviation of its error
    in K. ValueError where the network has no file that tells it, see `uncertain.py`."""
    estimator, provenance = _estimator(model)
    spread = load_spread(model, estimator)
    if spread is None:
        raise ValueError(
            f"model={provenance['weights']!r} has no {spread_file(model).name} beside it, the file "
            "that tells how far it errs; take a shipped name, or `as_method`"
        )

    def method(month: Month, day: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        if day is not None:
            _check_days(model, estimator, provenance["weights"])
        sst, _, sd = maps_of_month(estimator, month, False, day, spread=spread)
        return sst[0], sd[0]

    return method


# ---------------------------------------------------------------------------- what comes in


def _from_the_dateline(daily: xr.Dataset, climatology) -> tuple:
    """Both with the columns of a globe from the dateline on, and by how many they were turned.

    Where a globe is cut must not matter: blocks of the smooth prior and tiles begin at the first
    column, and a cut elsewhere moved single cells by 0.1 K. A map that is no globe stays as it is.
    """
    lon = daily["lon"].values
    columns = int(np.argmin((lon + 180 + 1e-4) % 360)) if is_global(lon) else 0
    if columns:
        lon = (np.roll(lon, -columns) + 180 + 1e-4) % 360 - 180 - 1e-4
        daily = daily.roll(lon=-columns).assign_coords(lon=lon)
        if climatology is not None:
            climatology = climatology.roll(lon=-columns).assign_coords(lon=lon)
    return daily, climatology, columns


def _turned_back(field, columns: int):
    """A map (steps, H, W), in memory or lazy, as it lay before."""
    if not columns:
        return field
    turned = np.roll(field, columns, axis=2)
    return turned if isinstance(turned, np.ndarray) else turned.rechunk(field.chunks)


def quantity_of(daily: xr.Dataset, climatology=None) -> Quantity:
    """What a tidy series holds; of another variable than temperature with limits and unit by the
    values and anomalies of `MONTHS_MEASURED` months at most, evenly spread, and a warning."""
    quantity = Quantity.of(daily)
    if quantity.is_sst:
        return quantity
    if daily["sst"].chunks is not None:  # it may be too large for a month of it to be read whole
        step = int(np.ceil(np.sqrt(daily["ocean_mask"].size / CELLS_MEASURED)))
        thin = {"lat": slice(None, None, step), "lon": slice(None, None, step)}
        daily = daily.isel(thin)
        climatology = None if climatology is None else climatology.isel(thin)
    periods = daily.indexes["time"].to_period("M").unique()
    chosen = np.unique(np.linspace(0, len(periods) - 1, MONTHS_MEASURED).astype(int))
    values, anomalies = [], []
    for period in periods[chosen]:
        # Unit 0: no floor under what counts as odd to the smooth prior.
        month = month_of(daily, period, climatology, quantity=replace(quantity, unit=0.0))
        values.append(month.sst[month.observed])
        anomalies.append(month.anomaly[month.observed])
        if climatology is not None:
            values.append(month.prior[:, month.ocean].ravel())
    # Lazy series are not read twice; their other months may hold a little more than these.
    quantity = quantity.measured(np.concatenate(values), np.concatenate(anomalies))
    warnings.warn(
        f"{quantity.name} is no temperature: the skill of the network is untested for it unless it "
        f"is judged on these data; its anomalies are used at their spread, {quantity.unit:.3g} "
        f"{quantity.units_inside} for 1 K",
        stacklevel=3,
    )
    return quantity


def _tidied(daily) -> xr.Dataset:
    """`daily` as `open_sst` would return it; what already looks like that is left as it is."""
    if isinstance(daily, xr.DataArray):
        daily = daily.to_dataset(name=daily.name or "sst")
    if not isinstance(daily, xr.Dataset):
        raise ValueError(
            f"daily must be an xarray Dataset, got {type(daily).__name__}; "
            "open a file with sst_tutorial.open_sst first"
        )
    empty = {str(dim): n for dim, n in daily.sizes.items() if n == 0}
    if empty:
        raise ValueError(f"daily is empty, its axes have lengths {dict(daily.sizes)}; select less")
    return guarded_tidy(daily) if _is_tidy(daily) else open_sst(daily)


def _is_tidy(daily: xr.Dataset) -> bool:
    if not {"sst", "ocean_mask"} <= set(daily.data_vars):
        return False
    sst, ocean = daily["sst"], daily["ocean_mask"]
    if sst.dims != ("time", "lat", "lon") or ocean.dims != ("lat", "lon") or ocean.dtype != bool:
        return False
    axes = [daily.indexes.get(axis) for axis in sst.dims]
    if not all(i is not None and i.is_monotonic_increasing and i.is_unique for i in axes):
        return False
    days = axes[0]
    if not isinstance(days, pd.DatetimeIndex) or (days != days.normalize()).any():
        return False
    stated, quantity = sst.attrs.get("units"), Quantity.of(daily)
    return stated in (TEMPERATURE_UNITS if quantity.is_sst else {quantity.units_inside})


def _estimator(model) -> tuple[Estimator, dict]:
    """(estimator, attributes that say which one it was)."""
    if isinstance(model, Estimator):
        estimator, name = model, type(model.network).__name__
    elif model is None or isinstance(model, (str, Path)):
        estimator, path = load_weights(model), find_weights(model)
        name = path.parent.name if path.stem == "weights" else path.stem
    else:
        raise ValueError(
            "model must be None, a name, a path or an Estimator as load_weights returns, "
            f"got {type(model).__name__}"
        )
    # Of the tensors: the same numbers in another file are the same network.
    provenance = {"weights": name, "weights_sha256": fingerprint(estimator.state_dict())}
    return estimator, provenance | {"scale": float(estimator.scale)}


def _check_days(model, estimator: Estimator, name: str) -> None:
    """ValueError where the network does not know, or never learned, to answer for a single day."""
    if not getattr(estimator.network, "answers_days", True):
        raise ValueError(
            f"model {name!r} answers for whole months only, it has no daily maps; ask for monthly "
            "ones, or train a transformer with daily=0.5"
        )
    if isinstance(model, Estimator) or _learned_days(find_weights(model)):
        return  # who holds an estimator knows what it learned
    shipped = [path for path in shipped_weights() if _learned_days(path)]
    raise ValueError(
        f"model {name!r} never learned to answer for single days, it has no daily maps; weights "
        f"that did: {', '.join(p.stem for p in shipped) or 'none of those shipped'}, and any of a "
        "run with the setting daily, for example daily=0.5"
    )


def _learned_days(path: Path) -> bool:
    """Was there a daily question in the training of this file?"""
    settings = read_metadata(path)["about"].get("settings")
    daily = settings.get("daily") if isinstance(settings, dict) else None
    return isinstance(daily, (int, float)) and daily > 0


def _warn_of_absent_days(held) -> None:
    for month, days in held[held < held.index.days_in_month].items():
        warnings.warn(
            f"{month}: daily holds {days} of {month.days_in_month} days, the others count as not "
            "seen",
            stacklevel=3,
        )


# ---------------------------------------------------------------------------- what goes out


def _labelled(held, maps, daily, climatology, question, quantity) -> xr.Dataset:
    """The Dataset with CF 1.11 coordinates and ACDD 1.3 attributes."""
    sst, first_guess, seen = maps  # (steps, H, W) each
    steps, axes = held.index, ("time", "lat", "lon")
    if question is DAYS:
        days = [pd.period_range(m.start_time, m.end_time, freq="D") for m in steps]
        steps = days[0].append(days[1:])
    first, bounds = _bounds(steps)
    what = "monthly" if question is None else "daily"
    counted = "n_observed" if question is None else "observed"
    out = xr.Dataset(
        {
            quantity.named(): (axes, sst),
            "first_guess": (axes, first_guess),
            counted: (axes, seen),
            "time_bnds": (("time", "bnds"), bounds),
        },
        coords={"time": first, "lat": daily["lat"].values, "lon": daily["lon"].values},
    )
    out[quantity.named()].attrs = quantity.labels(f"{what} mean {{}}") | {
        "cell_methods": "time: mean",
        "ancillary_variables": f"{counted} first_guess",
    }
    before = quantity.labels(f"{what} mean {{}} before the network adds to it")
    out["first_guess"].attrs = before | {"cell_methods": "time: mean"}
    out["first_guess"].attrs.pop("standard_name", None)  # it is not the map to take
    out[counted].attrs = COUNT_ATTRIBUTES if question is None else FLAG_ATTRIBUTES
    for axis, attributes in AXIS_ATTRIBUTES.items():
        out[axis].attrs = dict(attributes)
    _bounded(out, "time")
    out.attrs = _attributes(out, daily, held, question, quantity)
    out.attrs["prior"] = (
        "smooth map of each month itself" if climatology is None else "climatology given"
    )
    return out


def _with_uncertainty(out: xr.Dataset, sd, question) -> None:
    """Lay the standard deviation in K of each value of `sst` into the output."""
    what = "monthly" if question is None else "daily"
    out["sst_uncertainty"] = (("time", "lat", "lon"), sd)
    out["sst_uncertainty"].attrs = UNCERTAINTY_ATTRIBUTES | {
        "long_name": f"standard deviation of the error of the {what} mean sea surface temperature",
    }
    out["sst"].attrs["ancillary_variables"] += " sst_uncertainty"


def _bounds(periods) -> tuple[np.ndarray, np.ndarray]:
    """First moments (n,) of periods of time, and where they begin and end (n, 2)."""
    first = periods.start_time.values.astype("datetime64[ns]")
    after = (periods + 1).start_time.values.astype("datetime64[ns]")
    return first, np.stack([first, after], axis=1)


def _bounded(out: xr.Dataset, axis: str) -> None:
    """Tie an axis of time to its bounds; CF wants both in the same unit."""
    out[axis].attrs["bounds"] = f"{axis}_bnds"
    for name in (axis, f"{axis}_bnds"):
        out[name].encoding = {"units": "days since 1970-01-01", "dtype": "int32"}


def _with_means(out: xr.Dataset, inside, months, quantity) -> xr.Dataset:
    """Daily maps with the mean of each month, on an axis of its own.

    inside: (T, H, W), the maps as the package works on them: the mean is taken there.
    """
    period = out.indexes["time"].to_period("M")
    means = [inside[period == m].mean(0, dtype=np.float64) for m in months]
    first, bounds = _bounds(months)
    # By this name `open_sst` knows that it is not the daily SST.
    name = f"{quantity.named()}_mean_of_month"
    means = quantity.outwards(np.stack(means).astype(np.float32))
    out[name] = (("month", "lat", "lon"), means)
    what = f"mean of the daily maps of {quantity.name} over the month"
    out[name].attrs = quantity.labels(what) | {"cell_methods": "month: mean"}
    out = out.assign_coords(month=("month", first, dict(AXIS_ATTRIBUTES["time"])))
    out["month_bnds"] = (("month", "bnds"), bounds)
    _bounded(out, "month")
    return out


def _attributes(out, daily, held, question, quantity) -> dict:
    """ACDD 1.3 discovery attributes that can be told from the data."""
    from sst_tutorial import __version__  # here: the package imports this module first

    months, monthly = held.index, question is None
    what = "Monthly" if monthly else "Daily"
    attributes = {
        "Conventions": "CF-1.11, ACDD-1.3",
        "title": f"{what} mean {quantity.long_name} reconstructed from daily maps with gaps",
        "summary": f"{what} means, complete over the ocean: prior mean, plus a first guess from "
        "the observed daily anomalies around, plus what a neural network adds to it.",
        "keywords": f"{quantity.long_name}, gap filling, {what.lower()} mean",
        "source": f"daily maps: {daily.attrs.get('title', daily.attrs.get('source', '?'))}",
        "processing_level": "L4",
        "standard_name_vocabulary": "CF Standard Name Table",
        "program": f"sst_tutorial {__version__}",
        "sst_tutorial_version": __version__,
        "time_coverage_start": str(months[0].start_time.date()),
        "time_coverage_end": str(months[-1].end_time.date()),
        "time_coverage_resolution": "P1M" if monthly else "P1D",
    }
    if source := daily["ocean_mask"].attrs.get("source"):
        attributes["ocean"] = f"known from {source}"
    if not quantity.is_sst:
        attributes["anomaly_unit"] = f"{quantity.unit:.6g} {quantity.units_inside} for 1 K"
        attributes["skill"] = (
            f"untested for {quantity.name} unless judged: the network learned from temperatures"
        )
    for axis in ("lat", "lon"):
        values, units = out[axis].values, AXIS_ATTRIBUTES[axis]["units"]
        attributes[f"geospatial_{axis}_min"] = float(values.min())
        attributes[f"geospatial_{axis}_max"] = float(values.max())
        attributes[f"geospatial_{axis}_units"] = units
    return attributes | _attributes_of_gaps(out, held, monthly)


def _attributes_of_gaps(out, held, monthly: bool) -> dict:
    """Which months and days lack what was seen."""
    attributes = {}
    partial = [
        f"{month} ({n} of {month.days_in_month} days)"
        for month, n in held.items()
        if n < month.days_in_month
    ]
    if partial:
        attributes["months_with_absent_days"] = ", ".join(partial)
    seen = out["n_observed" if monthly else "observed"]
    if seen.chunks is not None:
        return attributes  # nobody knows before the maps are made
    seen = seen.values.any((1, 2))  # (steps,)
    time = out.indexes["time"]
    unseen = sorted(set(time.strftime("%Y-%m")) - set(time[seen].strftime("%Y-%m")))
    if unseen:
        attributes["months_without_observation"] = ", ".join(unseen)
    if not monthly and not seen.all():
        attributes["days_without_observation"] = ", ".join(time[~seen].strftime("%Y-%m-%d"))
    return attributes
