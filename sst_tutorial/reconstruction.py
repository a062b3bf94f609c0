"""From gappy daily maps to complete monthly maps, one month and one tile at a time.

A map of any size is cut into overlapping tiles, each goes through `months.predict`, and a weighted
sum with soft edges puts them together again, around the dateline too where the grid is global.
Only one month is held in memory, and tiles cost the same wherever they lie, so that memory grows
with the area of the map and time with the area of its ocean.
"""

import hashlib
import json
import warnings
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import nn
from tqdm.auto import tqdm

from sst_tutorial.baselines import background, checked_month
from sst_tutorial.data import climatology_for, open_sst
from sst_tutorial.months import Settings, predict
from sst_tutorial.weights import find_weights, fingerprint, load_weights

TILE = 32  # cells on a side of a tile: the size the shipped network was trained on
OVERLAP = 8  # cells over which two neighbours are blended
TILES_AT_ONCE = 16
HALO = 64  # columns by which a globe is continued before its background is estimated


def reconstruct(daily, model=None, climatology=None) -> xr.Dataset:
    """Complete monthly mean maps from gappy daily ones: one step for each calendar month.

    Parameters
    ----------
    daily : what `open_sst` returns: `sst` (time, lat, lon) in degC, NaN = gap, and `ocean_mask`
        (lat, lon). Any other Dataset or DataArray goes through `open_sst` first. May be lazy
        (dask): one month is read at a time. Days that are absent count as not seen.
    model : None for the network that comes with the package, its name, the path of a weights file,
        or a pair (nn.Module, Settings) of your own.
    climatology : (dayofyear, lat, lon) in degC on the grid of `daily`, as `daily_climatology`
        returns it, or None: then the smooth background of each month itself is the prior mean.

    Returns
    -------
    xarray.Dataset, in memory, with
        sst (time, lat, lon) float32, degC: mean over all days of the month, complete over the
            ocean, NaN on land;
        baseline (time, lat, lon) float32, degC: the same by the cheap first guess alone, which
            the network starts from (see `months.predict`);
        n_observed (time, lat, lon) int16: days on which the cell was seen;
        time: first day of each month, with `time_bnds`; attributes after CF and ACDD, the
        package version, weights and settings among them.

    A month without any observation, and any part of the sea with none near it, get the baseline,
    which there is the prior mean; the former is told by a warning. So are months of which `daily`
    does not have all days.

    Raises ValueError for input that is not daily SST, a climatology of another grid, and weights
    that cannot be read.

    Chapter: *All together*.
    """
    daily = _tidied(daily)
    network, settings, provenance = _network(model)
    if climatology is not None:
        climatology = _on_the_same_grid(climatology, daily)
    months = daily.indexes["time"].to_period("M").unique()
    maps = []
    for month in tqdm(months, unit="month", disable=None, delay=30):  # None: only on a terminal
        maps.append(_month(month, daily, network, settings, climatology))
    return _labelled(months, maps, daily, provenance, climatology)


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


def _network(model) -> tuple[nn.Module, Settings, dict]:
    """(network, settings, attributes that say which network it was)."""
    if isinstance(model, tuple) and len(model) == 2 and isinstance(model[0], nn.Module):
        network, settings = model
        name, digest = type(network).__name__, fingerprint(network.state_dict())
    elif model is None or isinstance(model, (str, Path)):
        path = find_weights(model)
        network, settings = load_weights(model)
        name, digest = path.stem, hashlib.sha256(path.read_bytes()).hexdigest()
    else:
        raise ValueError(
            "model must be None, a name, a path or a pair (nn.Module, Settings) as load_weights "
            f"returns, got {type(model).__name__}"
        )
    provenance = {"weights": name, "weights_sha256": digest}
    return network, settings, provenance | {"settings": json.dumps(asdict(settings))}


def _on_the_same_grid(climatology, daily: xr.Dataset) -> xr.DataArray:
    """The climatology with exactly the coordinates of `daily`, or ValueError."""
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
    if (warmest := float(climatology.max())) > 50:
        raise ValueError(f"climatology must be in degC but reaches {warmest:.1f}; subtract 273.15")
    return climatology.assign_coords(lat=daily["lat"], lon=daily["lon"])


def _span(axis: np.ndarray) -> str:
    return f"{axis[0]:.6g}..{axis[-1]:.6g} ({axis.size} values)" if axis.size else "(no values)"


def _is_global(lon: np.ndarray) -> bool:
    """Does the column east of the last one coincide with the first?"""
    if lon.size < 3:
        return False
    spacing = (lon[-1] - lon[0]) / (lon.size - 1)
    return bool(abs(spacing * lon.size - 360) < 0.1 * spacing)


# ---------------------------------------------------------------------------- one month


def _month(month: pd.Period, daily, network, settings, climatology) -> tuple[np.ndarray, ...]:
    """(sst, baseline, n_observed), each (H, W), and how many days of the month `daily` holds."""
    days = pd.date_range(month.start_time, periods=month.days_in_month)
    ocean = daily["ocean_mask"].values
    here = daily["sst"].sel(time=daily.indexes["time"].to_period("M") == month)
    sst = np.full((len(days), *ocean.shape), np.nan, dtype=np.float32)  # (T, H, W)
    sst[here.indexes["time"].day - 1] = here.values
    observed = np.isfinite(sst) & ocean  # (T, H, W)
    sst[~observed] = np.nan
    warmest = np.nanmax(sst, initial=-np.inf)
    if warmest > 50:
        raise ValueError(
            f"daily is labelled degC but reaches {warmest:.1f} in {month}; if it is in K, subtract "
            "273.15 or pass it through open_sst(daily, units='K')"
        )
    wraps = _is_global(daily["lon"].values)
    if climatology is None:
        prior = _background(sst, ocean, wraps)  # (T, H, W)
    else:
        prior = _complete(climatology_for(climatology, days).values, ocean, wraps)
    if not observed.any():
        _warn_of_unseen(month, prior.mean(0)[ocean], climatology)
    if len(here["time"]) < len(days):
        warnings.warn(
            f"{month}: daily holds {len(here['time'])} of {len(days)} days, the others count as "
            "not seen",
            stacklevel=3,
        )
    sst, baseline = _mean_maps(network, settings, sst, ocean, prior, wraps)
    return sst, baseline, observed.sum(0), len(here["time"])


def _mean_maps(network, settings, sst, ocean, prior, wraps) -> tuple[np.ndarray, np.ndarray]:
    """(sst, baseline), each (H, W) degC, from sst (T, H, W), which is overwritten."""
    prior_mean = prior.mean(0, dtype=np.float64)  # (H, W)
    sst -= prior  # from here on anomalies, in place: a globe is 0.13 GB a copy
    observed = np.isfinite(sst)
    maps = np.zeros(ocean.shape), np.zeros(ocean.shape)
    if observed.any():
        maps = _tiled(network, settings, sst, observed, ocean, wraps)
    monthly, baseline = (np.where(ocean, prior_mean + x, np.nan) for x in maps)
    return monthly, baseline


def as_method(model=None):
    """The network as one more rival, with the signature of `baselines.BASELINES`.

    model: as for `reconstruct`. Returns f(sst, ocean_mask, climatology=None) -> (H, W) degC, with
    sst (T, H, W) degC, NaN = gap; for `evaluation.score_months` and the benchmark's `score`.
    """
    network, settings, _ = _network(model)

    def predict_month(sst, ocean_mask, climatology=None):
        sst, ocean_mask, climatology = checked_month(sst, ocean_mask, climatology)
        sst = sst.astype(np.float32)
        prior = background(sst, ocean_mask) if climatology is None else climatology
        return _mean_maps(network, settings, sst, ocean_mask, prior, False)[0]

    return predict_month


def _warn_of_unseen(month: pd.Period, prior: np.ndarray, climatology) -> None:
    if not prior.size:
        warnings.warn(f"{month}: ocean_mask is all land, so the map is all NaN", stacklevel=4)
        return
    known = "climatology" if climatology is not None else "placeholder of a month without data"
    warnings.warn(
        f"{month} has no observation: its map is the {known}, {prior.mean():.1f} degC on average",
        stacklevel=4,
    )


def _background(sst: np.ndarray, ocean: np.ndarray, wraps: bool) -> np.ndarray:
    """`background` (T, H, W), continued around the globe where the map is one."""
    if not wraps:
        return background(sst, ocean)
    W = ocean.shape[1]
    around = np.arange(-HALO, W + HALO) % W  # (W + 2 HALO,)
    return background(sst[:, :, around], ocean[:, around])[:, :, HALO : HALO + W]


def _complete(prior: np.ndarray, ocean: np.ndarray, wraps: bool) -> np.ndarray:
    """A climatology (T, H, W) whose holes over ocean are filled with its own smooth background."""
    holes = ocean & ~np.isfinite(prior).all(0)  # (H, W)
    if not holes.any():
        return prior
    warnings.warn(
        f"climatology has gaps in {holes.sum()} of {ocean.sum()} ocean cells; its smooth "
        "surroundings stand in for them",
        stacklevel=4,
    )
    return np.where(np.isfinite(prior), prior, _background(prior, ocean, wraps))


# ---------------------------------------------------------------------------- tiles


def _tiled(network, settings, anomaly, observed, ocean, wraps, tile=TILE, overlap=OVERLAP):
    """Monthly anomaly and its baseline, two (H, W) arrays in K, from anomaly (T, H, W)."""
    days, *patch = network.patch_size
    T, H, W = anomaly.shape
    rows = _tiles(H, tile, overlap, patch[0])
    cols = _tiles(W, tile, overlap, patch[1], wraps)
    window = np.outer(_window(len(rows[0]), overlap), _window(len(cols[0]), overlap))  # (h, w)
    total = np.zeros((3, H, W))  # monthly, baseline, weight
    cuts, places = [], []
    corners = [(r, c) for r in rows for c in cols]
    for n, (r, c) in enumerate(corners, start=1):
        c = c % W if wraps else c
        inside = np.outer(r < H, c < W)  # (h, w), False = padding
        place = np.ix_(r.clip(max=H - 1), c.clip(max=W - 1))
        np.add.at(total[2], place, window * inside)
        seen = observed[:, *place] & inside  # (T, h, w)
        if seen.any():
            cuts.append((anomaly[:, *place], seen, ~ocean[place] | ~inside))
            places.append((place, window * inside))
        if len(cuts) == TILES_AT_ONCE or (n == len(corners) and cuts):
            for (place, weight), maps in zip(
                places, _run(network, settings, cuts, days), strict=True
            ):
                for layer, values in zip(total, maps, strict=False):
                    np.add.at(layer, place, weight * values)
            cuts, places = [], []
    return total[0] / total[2], total[1] / total[2]


def _tiles(n: int, tile: int, overlap: int, multiple: int, wraps: bool = False):
    """Indices of the tiles along an axis of n cells: arrays of one length, together all of it.

    Neighbours share `overlap` cells or more. An axis shorter than a tile is one tile, rounded up
    to whole patches: indices from n on are padding. Around a globe they are to be taken modulo n.
    """
    tile = _rounded_up(tile, multiple)
    step = tile - overlap
    if wraps:
        starts = np.arange(0, n, n / -(-n // step)).round().astype(int)
    elif n <= tile:
        return [np.arange(_rounded_up(n, multiple))]
    else:
        starts = np.linspace(0, n - tile, 1 + -(-(n - tile) // step)).round().astype(int)
    return [start + np.arange(tile) for start in starts]


def _rounded_up(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple


def _window(n: int, overlap: int) -> np.ndarray:
    """Weights (n,): 1 inside, falling to nearly 0 over `overlap` cells at both ends (sine squared).

    Every cell's weights are divided by their sum, so at the edge of the map, where only one tile
    reaches, that tile counts in full.
    """
    distance = np.minimum(np.arange(n), np.arange(n)[::-1]) + 0.5
    return np.sin(0.5 * np.pi * np.minimum(distance / overlap, 1.0)) ** 2


@torch.inference_mode()
def _run(network, settings, cuts, days):
    """`predict` on a batch of cuts: a list of (monthly, baseline) pairs of (h, w) arrays."""
    device = next(network.parameters()).device
    anomaly, seen, land = (
        torch.from_numpy(np.stack(x)).to(device) for x in zip(*cuts, strict=True)
    )
    B, T = anomaly.shape[:2]
    extra = _rounded_up(T, days) - T
    pad = (0, 0, 0, 0, 0, extra)
    anomaly = nn.functional.pad(anomaly, pad)  # (B, T', h, w), T' whole time patches
    missing = nn.functional.pad(~seen, pad, value=True)
    absent = (torch.arange(T + extra, device=device) >= T).expand(B, -1)  # (B, T')
    was_training = network.training
    if was_training:  # to walk through all modules takes as long as a pass of the network
        network.eval()
    try:
        monthly, baseline = predict(network, settings, anomaly, missing, land, absent)
    finally:
        if was_training:
            network.train()
    return list(zip(monthly.float().cpu().numpy(), baseline.float().cpu().numpy(), strict=True))


# ---------------------------------------------------------------------------- what goes out


def _labelled(months, maps, daily, provenance, climatology) -> xr.Dataset:
    """The Dataset with CF 1.11 coordinates and ACDD 1.3 attributes."""
    sst, baseline, n_observed, held = (np.stack(x) for x in zip(*maps, strict=True))
    axes = ("time", "lat", "lon")
    first = months.start_time.values.astype("datetime64[ns]")
    after = (months + 1).start_time.values.astype("datetime64[ns]")
    out = xr.Dataset(
        {
            "sst": (axes, sst.astype(np.float32)),
            "baseline": (axes, baseline.astype(np.float32)),
            "n_observed": (axes, n_observed.astype(np.int16)),
            "time_bnds": (("time", "bnds"), np.stack([first, after], axis=1)),
        },
        coords={"time": first, "lat": daily["lat"].values, "lon": daily["lon"].values},
    )
    out["sst"].attrs = {
        "standard_name": "sea_surface_temperature",
        "long_name": "monthly mean sea surface temperature",
        "units": "degree_Celsius",
        "cell_methods": "time: mean",
        "ancillary_variables": "n_observed baseline",
    }
    out["baseline"].attrs = {
        "long_name": "monthly mean sea surface temperature before the network adds to it",
        "units": "degree_Celsius",
        "cell_methods": "time: mean",
    }
    out["n_observed"].attrs = {
        "standard_name": "number_of_observations",
        "long_name": "days of the month on which the cell was seen",
        "units": "1",
    }
    out["time"].attrs = {"standard_name": "time", "axis": "T", "bounds": "time_bnds"}
    for name in ("time", "time_bnds"):  # CF wants both in the same unit
        out[name].encoding = {"units": "days since 1970-01-01", "dtype": "int32"}
    out["lat"].attrs = {"standard_name": "latitude", "units": "degrees_north", "axis": "Y"}
    out["lon"].attrs = {"standard_name": "longitude", "units": "degrees_east", "axis": "X"}
    out.attrs = _attributes(out, daily, months, held) | provenance
    out.attrs["prior_mean"] = (
        "smooth background of each month itself" if climatology is None else "climatology given"
    )
    return out


def _attributes(out, daily, months, held) -> dict:
    """ACDD 1.3 discovery attributes that can be told from the data."""
    from sst_tutorial import __version__  # here: the package imports this module first

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
    for axis, units in (("lat", "degrees_north"), ("lon", "degrees_east")):
        values = out[axis].values
        attributes[f"geospatial_{axis}_min"] = float(values.min())
        attributes[f"geospatial_{axis}_max"] = float(values.max())
        attributes[f"geospatial_{axis}_units"] = units
    partial = [
        f"{month} ({n} of {month.days_in_month} days)"
        for month, n in zip(months, held, strict=True)
        if n < month.days_in_month
    ]
    if partial:
        attributes["months_with_absent_days"] = ", ".join(partial)
    unseen = [str(month) for month, n in zip(months, out["n_observed"], strict=True) if not n.any()]
    if unseen:
        attributes["months_without_observation"] = ", ".join(unseen)
    return attributes
