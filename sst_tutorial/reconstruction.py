"""From gappy daily maps to complete monthly maps, one month and one tile at a time.

A map of any size is cut into overlapping tiles, each goes through the estimator, and a weighted sum
with soft edges puts them together again, around the dateline too where the grid is global. Only one
month is held in memory, and tiles cost the same wherever they lie, so that memory grows with the
area of the map and time with the area of its ocean.
"""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray as xr
from tqdm.auto import tqdm

from sst_tutorial.data import AXIS_ATTRIBUTES, COLDEST, HOTTEST, SST_ATTRIBUTES, open_sst
from sst_tutorial.months import Batch, Month, month_of
from sst_tutorial.networks import Estimator
from sst_tutorial.prior import is_global, on_the_same_grid
from sst_tutorial.weights import find_weights, fingerprint, load_weights

TILE = 32  # cells on a side of a tile: the size the shipped network was trained on
OVERLAP = 8  # cells over which two neighbours are blended
TILES_AT_ONCE = 16
ON_ONE_CORE = 4  # tiles at once: what they need then stays in its cache


def reconstruct(daily, model=None, climatology=None) -> xr.Dataset:
    """Complete monthly mean maps from gappy daily ones: one step for each calendar month.

    Parameters
    ----------
    daily : what `open_sst` returns: `sst` (time, lat, lon) in degC, NaN = gap, and `ocean_mask`
        (lat, lon). Any other Dataset or DataArray goes through `open_sst` first. May be lazy
        (dask): one month is read at a time. Days that are absent count as not seen.
    model : None for the estimator that comes with the package, its name, the path of a weights
        file or of a run's folder, or an `Estimator` of your own.
    climatology : (dayofyear, lat, lon) in degC on the grid of `daily`, as `daily_climatology`
        returns it, or None: then a smooth map of each month itself is the prior.

    Returns
    -------
    xarray.Dataset, in memory, with
        sst (time, lat, lon) float32, degC: mean over all days of the month, complete over the
            ocean, NaN on land;
        first_guess (time, lat, lon) float32, degC: what the network starts from;
        n_observed (time, lat, lon) int16: days on which the cell was seen;
        time: first day of each month, with `time_bnds`; attributes after CF and ACDD, the
        package version, weights and settings among them.

    A month without any observation, and any part of the sea with none near it, get the prior mean;
    the former is told by a warning. So are months of which `daily` does not have all days.

    Raises ValueError for input that is not daily SST, a climatology of another grid, weights that
    cannot be read, and weights that answer with what no sea can be.

    Chapter: *All together*.
    """
    daily = _tidied(daily)
    estimator, provenance = _estimator(model)
    if climatology is not None:
        climatology = on_the_same_grid(climatology, daily)
    periods = daily.indexes["time"].to_period("M")
    held = periods.value_counts(sort=False).reindex(periods.unique())
    maps = []
    for period in tqdm(held.index, unit="month", disable=None, delay=30):  # None: on a terminal
        month = month_of(daily, period, climatology)
        _warn(month, held[period], climatology)
        sst, first_guess = _maps(estimator, month, is_global(daily["lon"].values))
        maps.append((sst, first_guess, month.observed.sum(0)))
    return _labelled(held, maps, daily, provenance, climatology)


def as_method(model=None):
    """The network as one more method, in the form of `baselines.BASELINES`.

    model: as for `reconstruct`. Returns f(month) -> (H, W) degC, for `evaluation.score_months`.
    """
    estimator, _ = _estimator(model)
    return lambda month: _maps(estimator, month, wraps=False)[0]


# ---------------------------------------------------------------------------- what comes in


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
    return daily if _is_tidy(daily) else open_sst(daily)


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
    return sst.attrs.get("units") in {"degree_Celsius", "degrees_Celsius", "degC", "celsius"}


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


def _warn(month: Month, held: int, climatology) -> None:
    """Tell what a reader of the map should know of the month."""
    if not month.ocean.any():
        warnings.warn(f"{month.name}: ocean_mask is all land, so the map is all NaN", stacklevel=3)
    elif not month.observed.any():
        known = "climatology" if climatology is not None else "placeholder of a month without data"
        mean = month.prior_mean[month.ocean].mean()
        warnings.warn(
            f"{month.name} has no observation: its map is the {known}, {mean:.1f} degC on average",
            stacklevel=3,
        )
    if held < len(month.sst):
        warnings.warn(
            f"{month.name}: daily holds {held} of {len(month.sst)} days, the others count as not "
            "seen",
            stacklevel=3,
        )


# ---------------------------------------------------------------------------- one month


def _maps(estimator: Estimator, month: Month, wraps: bool) -> tuple[np.ndarray, np.ndarray]:
    """(sst, first guess), each (H, W) degC over the ocean; ValueError where no sea is like that."""
    anomalies = np.zeros((2, *month.ocean.shape))
    if month.observed.any():
        anomalies = _tiled(estimator, month, wraps)
    sst, first_guess = (month.complete(anomaly) for anomaly in anomalies)
    known = sst[month.ocean]
    # A network may err by some K beyond what a sea can be, not by more than that.
    low, high = COLDEST - 5, HOTTEST + 5
    if not (np.isfinite(known) & (known > low) & (known < high)).all():
        raise ValueError(
            f"model answers {month.name} with {np.fmin.reduce(known):.4g}.."
            f"{np.fmax.reduce(known):.4g} degC, {(~np.isfinite(known)).sum()} cells not finite: no "
            "sea is like that; train it again"
        )
    return sst, first_guess


def _tiled(estimator, month: Month, wraps: bool, tile=TILE, overlap=OVERLAP) -> np.ndarray:
    """Mean anomaly of the month and its first guess, (2, H, W) in K."""
    H, W = month.ocean.shape
    rows, cols = _tiles(H, tile, overlap), _tiles(W, tile, overlap, wraps)
    window = np.outer(_window(len(rows[0]), overlap), _window(len(cols[0]), overlap))  # (h, w)
    total, weight = np.zeros((2, H, W)), np.zeros((H, W))
    alone = estimator.network.last.weight.device.type == "cpu" and torch.get_num_threads() == 1
    at_once = ON_ONE_CORE if alone else TILES_AT_ONCE
    waiting = []
    for r in rows:
        for c in cols:
            weight[np.ix_(r, c)] += window  # no index of a tile stands twice
            cut = month.cut(r, c)
            if not cut.observed.any():
                continue
            waiting.append((np.ix_(r, c), cut))
            if len(waiting) == at_once:
                _add(total, window, estimator, waiting)
                waiting = []
    if waiting:
        _add(total, window, estimator, waiting)
    return total / weight


def _add(total, window, estimator, tiles) -> None:
    """Estimate all tiles at once and lay them, weighted, on the map."""
    places, cuts = zip(*tiles, strict=True)
    h, w = window.shape
    for place, maps in zip(places, _estimate(estimator, cuts), strict=True):
        total[:, *place] += window * maps[:, :h, :w]


@torch.inference_mode()
def _estimate(estimator: Estimator, months) -> np.ndarray:
    """(B, 2, H, W) in K: mean anomaly and first guess of months of one size, padded as a batch."""
    device = estimator.network.last.weight.device
    batch = Batch.of(months, estimator.patch_size, device)
    was_training = estimator.training
    if was_training:  # to walk through all modules takes as long as a pass of the network
        estimator.eval()
    try:
        estimate = estimator(*batch.inputs)
    finally:
        if was_training:
            estimator.train()
    return torch.stack([estimate.mean, estimate.first_guess], 1).float().cpu().numpy()


# ---------------------------------------------------------------------------- tiles


def _tiles(n: int, tile: int, overlap: int, wraps: bool = False) -> list[np.ndarray]:
    """Indices of the tiles along an axis of n cells: arrays of one length, together all of it.

    Neighbours share `overlap` cells or more. Around a globe tiles go on past its last column, and
    there are two at least: where one begins and ends, another has its middle.
    """
    step, tile = tile - overlap, min(n, tile)
    if wraps:
        starts = np.arange(0, n, n / max(2, -(-n // step))).round().astype(int)
    else:
        starts = np.linspace(0, n - tile, 1 + -(-(n - tile) // step)).round().astype(int)
    return [(start + np.arange(tile)) % n for start in starts]


def _window(n: int, overlap: int) -> np.ndarray:
    """Weights (n,): 1 inside, falling to nearly 0 over `overlap` cells at both ends (sine squared).

    Every cell's weights are divided by their sum, so at the edge of the map, where only one tile
    reaches, that tile counts in full.
    """
    distance = np.minimum(np.arange(n), np.arange(n)[::-1]) + 0.5
    return np.sin(0.5 * np.pi * np.minimum(distance / overlap, 1.0)) ** 2


# ---------------------------------------------------------------------------- what goes out


def _labelled(held, maps, daily, provenance, climatology) -> xr.Dataset:
    """The Dataset with CF 1.11 coordinates and ACDD 1.3 attributes."""
    sst, first_guess, n_observed = (np.stack(x) for x in zip(*maps, strict=True))
    months, axes = held.index, ("time", "lat", "lon")
    first = months.start_time.values.astype("datetime64[ns]")
    after = (months + 1).start_time.values.astype("datetime64[ns]")
    out = xr.Dataset(
        {
            "sst": (axes, sst.astype(np.float32)),
            "first_guess": (axes, first_guess.astype(np.float32)),
            "n_observed": (axes, n_observed.astype(np.int16)),
            "time_bnds": (("time", "bnds"), np.stack([first, after], axis=1)),
        },
        coords={"time": first, "lat": daily["lat"].values, "lon": daily["lon"].values},
    )
    out["sst"].attrs = SST_ATTRIBUTES | {
        "long_name": "monthly mean sea surface temperature",
        "cell_methods": "time: mean",
        "ancillary_variables": "n_observed first_guess",
    }
    out["first_guess"].attrs = {
        "long_name": "monthly mean sea surface temperature before the network adds to it",
        "units": SST_ATTRIBUTES["units"],
        "cell_methods": "time: mean",
    }
    out["n_observed"].attrs = {
        "standard_name": "number_of_observations",
        "long_name": "days of the month on which the cell was seen",
        "units": "1",
    }
    for axis, attributes in AXIS_ATTRIBUTES.items():
        out[axis].attrs = dict(attributes)
    out["time"].attrs["bounds"] = "time_bnds"
    for name in ("time", "time_bnds"):  # CF wants both in the same unit
        out[name].encoding = {"units": "days since 1970-01-01", "dtype": "int32"}
    out.attrs = _attributes(out, daily, held) | provenance
    out.attrs["prior"] = (
        "smooth map of each month itself" if climatology is None else "climatology given"
    )
    return out


def _attributes(out, daily, held) -> dict:
    """ACDD 1.3 discovery attributes that can be told from the data."""
    from sst_tutorial import __version__  # here: the package imports this module first

    months = held.index
    attributes = {
        "Conventions": "CF-1.11, ACDD-1.3",
        "title": "Monthly mean sea surface temperature reconstructed from daily maps with gaps",
        "summary": "Monthly means, complete over the ocean: prior mean, plus a first guess from "
        "the observed daily anomalies around, plus what a neural network adds to it.",
        "keywords": "sea surface temperature, gap filling, monthly mean",
        "source": "daily maps: " + str(daily.attrs.get("title") or daily.attrs.get("source", "?")),
        "processing_level": "L4",
        "standard_name_vocabulary": "CF Standard Name Table",
        "program": f"sst_tutorial {__version__}",
        "sst_tutorial_version": __version__,
        "time_coverage_start": str(months[0].start_time.date()),
        "time_coverage_end": str(months[-1].end_time.date()),
        "time_coverage_resolution": "P1M",
    }
    for axis in ("lat", "lon"):
        values, units = out[axis].values, AXIS_ATTRIBUTES[axis]["units"]
        attributes[f"geospatial_{axis}_min"] = float(values.min())
        attributes[f"geospatial_{axis}_max"] = float(values.max())
        attributes[f"geospatial_{axis}_units"] = units
    partial = [
        f"{month} ({n} of {month.days_in_month} days)"
        for month, n in held.items()
        if n < month.days_in_month
    ]
    if partial:
        attributes["months_with_absent_days"] = ", ".join(partial)
    unseen = [str(month) for month, n in zip(months, out["n_observed"], strict=True) if not n.any()]
    if unseen:
        attributes["months_without_observation"] = ", ".join(unseen)
    return attributes
