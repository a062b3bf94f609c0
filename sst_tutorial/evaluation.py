"""How good is a monthly mean? The same questions put to every method, on the same months.

    sst-tutorial evaluate --regime cloudy --out scores.json

scores the network and its classical rivals on the 48 real months of the benchmark; `--months
simulated` does the same on simulated seas far from Tasmania. A method is any
`predict(sst, ocean_mask, climatology)` returning the mean of the month (H, W) in degC, finite over
ocean. Chapter: *Judging a reconstruction*.
"""

import importlib.util
import json
import sys
import time as clock
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy import ndimage

from sst_tutorial.data import shared_data
from sst_tutorial.simulate import climatological_sst, observe, simulate_clouds, simulate_ocean

SELDOM = 3  # a cell seen on at most this many days of its month is "seldom seen"
CLOUD_EDGES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)  # share of the month's days hidden
COAST_EDGES = (0, 2, 4, 8, 16, np.inf)  # cells
# Seas of the simulated months: far from Tasmania, both hemispheres, tropics to subpolar.
REGIONS = {
    "North Atlantic": ((36.0, 44.0), (-50.0, -42.0)),
    "equatorial Pacific": ((-4.0, 4.0), (-130.0, -122.0)),
    "Mediterranean": ((35.0, 43.0), (1.0, 9.0)),
    "Southern Ocean": ((-58.0, -50.0), (80.0, 88.0)),
    "Kuroshio": ((30.0, 38.0), (141.0, 149.0)),
    "Benguela": ((-33.0, -25.0), (9.0, 17.0)),
}


@dataclass
class Month:
    """One month to be judged on: what was seen, what is known before, and the truth."""

    sst: np.ndarray  # (T, H, W) degC, NaN = gap or land
    ocean_mask: np.ndarray  # (H, W) bool
    climatology: np.ndarray | None  # (T, H, W) degC
    truth: np.ndarray  # (H, W) degC, mean of all T days
    lat: np.ndarray  # (H,) degrees north
    name: str


# ---------------------------------------------------------------- metrics of an error


def rmse(error, weights=None):
    """Root of the (weighted) mean square of `error`, any shape; NaN if it is empty."""
    return float(np.sqrt(bias(np.square(error), weights)))


def bias(error, weights=None):
    """(Weighted) mean of `error`, any shape; NaN if it is empty."""
    error = np.asarray(error, dtype=float)
    return float(np.average(error, weights=weights)) if error.size else float("nan")


def centred_rmse(error, weights=None):
    """RMSE of one map's `error` once its own mean is taken away: is the pattern right?"""
    return rmse(error - bias(error, weights), weights)


def cos_lat_weights(lat, W):
    """Area weights cos(lat) (H, W), for regions so tall that cells differ in size."""
    return np.repeat(np.cos(np.deg2rad(np.asarray(lat, dtype=float)))[:, None], W, axis=1)


def distance_to_coast(ocean_mask):
    """Distance (H, W) in cells from each ocean cell to the nearest land cell, inf without land."""
    if ocean_mask.all():
        return np.full(ocean_mask.shape, np.inf)
    return ndimage.distance_transform_edt(ocean_mask)


def rmse_by(error, key, edges, weights=None):
    """RMSE of the cells whose `key` lies in each bin (low, high]; the first bin includes its low.

    error, key, weights: one shape. Returns a list of {low, high, rmse, cells}, without empty bins.
    """
    weights = np.ones_like(error) if weights is None else weights
    bins = np.clip(np.searchsorted(edges, key, side="left") - 1, 0, len(edges) - 2)
    rows = []
    for b in np.unique(bins):
        inside = bins == b
        rows.append({
            "low": float(edges[b]),
            "high": float(edges[b + 1]),
            "rmse": rmse(error[inside], weights[inside]),
            "cells": int(inside.sum()),
        })
    return rows


def gradient_errors(prediction, truth, ocean_mask):
    """Errors of the differences between neighbouring ocean cells, rows and columns, K per cell."""
    error = np.where(ocean_mask, prediction - truth, np.nan)
    steps = np.concatenate([np.diff(error, axis=0).ravel(), np.diff(error, axis=1).ravel()])
    return steps[np.isfinite(steps)]


# ---------------------------------------------------------------- spectra


def power_spectrum(field, ocean_mask):
    """Radially averaged power of a map: (wavenumber in cycles per cell, power).

    A plane is fitted over ocean and taken away, land becomes 0, a Hann window hides the edges.
    Rings are one fundamental wavenumber wide, up to the Nyquist limit of 0.5 cycles per cell.
    """
    H, W = field.shape
    if min(H, W) < 8:
        raise ValueError(f"a spectrum needs at least 8 x 8 cells, got {H} x {W}")
    row, col = np.indices((H, W))
    plane = np.stack([np.ones((H, W)), row, col], -1)  # (H, W, 3)
    slope = np.linalg.lstsq(plane[ocean_mask], field[ocean_mask], rcond=None)[0]
    flat = np.where(ocean_mask, field - plane @ slope, 0.0)
    window = np.hanning(H)[:, None] * np.hanning(W)
    power = np.abs(np.fft.fft2(flat * window)) ** 2
    k = np.hypot(np.fft.fftfreq(H)[:, None], np.fft.fftfreq(W))
    size = max(H, W)
    ring = np.rint(k * size).astype(int)
    sums = np.bincount(ring.ravel(), power.ravel())
    counts = np.bincount(ring.ravel())
    rings = np.arange(1, size // 2 + 1)
    return rings / size, sums[rings] / np.maximum(counts[rings], 1)


def effective_resolution(wavenumber, error_ratio, threshold=0.5):
    """Wavelength in cells at which PSD(error) / PSD(truth) first rises to `threshold`.

    Smaller is better. Interpolated linearly in wavenumber. A ratio that never rises to it gives
    the shortest wavelength there is (2 cells); one that starts above it gives NaN: nothing is
    resolved.
    """
    if np.isnan(error_ratio).any():
        return float("nan")
    above = np.flatnonzero(np.asarray(error_ratio) >= threshold)
    if above.size == 0:
        return float(1 / wavenumber[-1])
    i = above[0]
    if i == 0:
        return float("nan")
    low, high = error_ratio[i - 1], error_ratio[i]
    share = (threshold - low) / (high - low)
    return float(1 / (wavenumber[i - 1] + share * (wavenumber[i] - wavenumber[i - 1])))


# ---------------------------------------------------------------- uncertainty of a score


def block_bootstrap(statistic, n_months, block=3, draws=1000, seed=0, level=0.95):
    """Interval (low, high) of a statistic when whole blocks of months are drawn again.

    Neighbouring months share their weather, so `block` consecutive months are drawn together,
    the last followed by the first (Politis & Romano 1992). `statistic(index)` gets an array of
    n_months month numbers and returns a float.
    """
    if not 1 <= block <= n_months:
        raise ValueError(f"block must be 1 to {n_months} months, got {block}")
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, n_months, (draws, -(-n_months // block), 1))
    index = (starts + np.arange(block)) % n_months
    index = index.reshape(draws, -1)[:, :n_months]
    values = [statistic(i) for i in index]
    return tuple(float(v) for v in np.quantile(values, [(1 - level) / 2, (1 + level) / 2]))


def rmse_interval(square_sums, weight_sums, **bootstrap):
    """Bootstrap interval of an RMSE from each month's sum of squares and sum of weights."""
    s, w = np.asarray(square_sums), np.asarray(weight_sums)
    return block_bootstrap(lambda i: np.sqrt(s[i].sum() / w[i].sum()), len(s), **bootstrap)


def difference_interval(a, b, **bootstrap):
    """Bootstrap interval of RMSE(a) - RMSE(b), for two rows of `score_months` on the same months.

    The same months are drawn for both, so what is hard for both cancels.
    """
    sa, wa, sb, wb = (
        np.asarray(row["by_month"][key]) for row in (a, b) for key in ("square_sum", "weight_sum")
    )
    if len(sa) != len(sb):
        raise ValueError(f"a and b must be scored on the same months, got {len(sa)} and {len(sb)}")
    return block_bootstrap(
        lambda i: np.sqrt(sa[i].sum() / wa[i].sum()) - np.sqrt(sb[i].sum() / wb[i].sum()),
        len(sa),
        **bootstrap,
    )


# ---------------------------------------------------------------- months to judge on


def benchmark_folder():
    """Folder of the fixed benchmark (beside the shared data), or None where it is absent."""
    data = shared_data()
    folder = None if data is None else data.parent / "benchmark"
    return folder if folder is not None and (folder / "score.py").is_file() else None


def benchmark_module():
    """The benchmark's own score.py. FileNotFoundError where the benchmark is absent."""
    folder = benchmark_folder()
    if folder is None:
        raise FileNotFoundError(
            "no benchmark beside the shared data: set SST_TUTORIAL_DATA, or use --months simulated"
        )
    spec = importlib.util.spec_from_file_location("benchmark_score", folder / "score.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclass looks itself up by name
    spec.loader.exec_module(module)
    return module


def benchmark_months(regime="cloudy"):
    """The 48 real months of 2013-2016 with the benchmark's climatology of 1982-2010."""
    if regime not in ("cloudy", "clear"):
        raise ValueError(f"regime must be 'cloudy' or 'clear', got {regime!r}")
    module = benchmark_module()
    climatology = module._climatology()
    return [
        Month(c.sst, c.ocean, climatology(c), truth, c.lat, str(c.time[0].astype("datetime64[M]")))
        for c, truth in module.cases(regime)
    ]


def simulated_months(regime="cloudy", per_region=6, size=32, noise=0.3, seed=1000):
    """Months of simulated 0.25 degree seas in `REGIONS`, every second month of a year.

    Climatology is the simulator's own zonal mean; clouds hide 91 % (cloudy) or 64 % (clear), as
    in the benchmark. Seeds start at `seed`, apart from those used for training.
    """
    cover = {"cloudy": 0.91, "clear": 0.64}.get(regime)
    if cover is None:
        raise ValueError(f"regime must be 'cloudy' or 'clear', got {regime!r}")
    months = []
    for region, (lat, lon) in REGIONS.items():
        for start in pd.date_range("2001-01", periods=per_region, freq="2MS"):
            number = seed + len(months)
            days = start.days_in_month
            daily = simulate_ocean(lat, lon, (size, size), str(start.date()), days, number)
            seen = observe(daily, simulate_clouds(daily, cover, number), noise, number)
            mean = climatological_sst(daily.lat.values, daily.time.dt.dayofyear.values)
            months.append(Month(
                seen.sst.values,
                daily.ocean_mask.values,
                np.repeat(mean[:, :, None], size, axis=2).astype(np.float32),
                daily.sst.values.mean(0),
                daily.lat.values,
                f"{region} {start:%Y-%m}",
            ))
    return months


# ---------------------------------------------------------------- scoring


def _predict(predict, name, month):
    """One checked prediction (H, W) and the seconds it took."""
    start = clock.perf_counter()
    prediction = np.asarray(predict(month.sst, month.ocean_mask, month.climatology), dtype=float)
    seconds = clock.perf_counter() - start
    if prediction.shape != month.truth.shape:
        raise ValueError(
            f"{name} must return shape {month.truth.shape} for {month.name}, got {prediction.shape}"
        )
    bad = int((~np.isfinite(prediction[month.ocean_mask])).sum())
    if bad:
        raise ValueError(
            f"{name} left {bad} ocean cells of {month.name} without a finite value: "
            "a reconstruction must answer everywhere over ocean"
        )
    return prediction, seconds


def score_months(methods, months, area_weights=False):
    """Put every method to every question on the same months.

    methods: dict name -> predict(sst, ocean_mask, climatology) -> (H, W) degC.
    months: list of `Month`, in time order. area_weights: weigh cells by cos(lat).
    Returns dict name -> dict of plain numbers and lists, ready for JSON; errors in K, lengths in
    cells. ValueError names the method and month of a prediction that is not finite over ocean.
    """
    if not months:
        raise ValueError("months is empty: give at least one Month")
    return {name: _score(predict, name, months, area_weights) for name, predict in methods.items()}


def _score(predict, name, months, area_weights):
    parts = {key: [] for key in ("error", "weight", "days_seen", "hidden", "coast", "steps")}
    by_month = {key: [] for key in ("name", "rmse", "square_sum", "weight_sum")}
    centred, seconds, spectra = [], [], []
    for month in months:
        ocean = month.ocean_mask
        if not ocean.any():
            raise ValueError(f"{month.name} has no ocean cell: leave it out")
        prediction, took = _predict(predict, name, month)
        error = (prediction - month.truth)[ocean]
        H, W = ocean.shape
        weight = cos_lat_weights(month.lat, W)[ocean] if area_weights else np.ones(error.size)
        days_seen = np.isfinite(month.sst).sum(0)[ocean]
        parts["error"].append(error)
        parts["weight"].append(weight)
        parts["days_seen"].append(days_seen)
        parts["hidden"].append(1 - days_seen / len(month.sst))
        parts["coast"].append(distance_to_coast(ocean)[ocean])
        parts["steps"].append(gradient_errors(prediction, month.truth, ocean))
        by_month["name"].append(month.name)
        by_month["rmse"].append(rmse(error, weight))
        by_month["square_sum"].append(float(np.sum(weight * error**2)))
        by_month["weight_sum"].append(float(weight.sum()))
        centred.append(centred_rmse(error, weight) ** 2 * weight.sum())
        seconds.append(took)
        if min(H, W) >= 8:
            spectra.append(_spectra_of(prediction, month))
    error, weight, days_seen, hidden, coast, steps = (np.concatenate(p) for p in parts.values())
    seldom, never = days_seen <= SELDOM, days_seen == 0
    return {
        "rmse": rmse(error, weight),
        "rmse_interval": _interval(by_month),
        "bias": bias(error, weight),
        "centred_rmse": float(np.sqrt(np.sum(centred) / weight.sum())),
        "rmse_seldom_seen": rmse(error[seldom], weight[seldom]),
        "rmse_never_seen": rmse(error[never], weight[never]),
        "share_seldom_seen": float(seldom.mean()),
        "share_never_seen": float(never.mean()),
        "gradient_rmse": rmse(steps),
        "by_cloud_fraction": rmse_by(error, hidden, CLOUD_EDGES, weight),
        "by_distance_to_coast": rmse_by(error, coast, COAST_EDGES, weight),
        "spectrum": _spectrum(spectra),
        "seconds_per_month": float(np.median(seconds)),
        "by_month": by_month,
    }


def _interval(by_month):
    n = len(by_month["rmse"])
    if n == 1:  # one month says nothing about another
        return (float("nan"), float("nan"))
    return rmse_interval(by_month["square_sum"], by_month["weight_sum"], block=min(3, n // 2))


def _spectra_of(prediction, month):
    """(wavenumber, PSD of truth, of prediction, of error), of departures from climatology."""
    prior = 0.0 if month.climatology is None else month.climatology.mean(0)
    fields = (month.truth - prior, prediction - prior, prediction - month.truth)
    powers = [power_spectrum(field, month.ocean_mask) for field in fields]
    return np.stack([powers[0][0], *(p for _, p in powers)])  # (4, rings)


def _spectrum(spectra):
    """Ratios of the mean spectra of all months, and the resolution they imply."""
    if len({s.shape for s in spectra}) != 1:  # none, or maps of several sizes
        return None
    wavenumber, truth, prediction, error = np.mean(spectra, axis=0)
    return {
        "wavelength_cells": (1 / wavenumber).tolist(),
        "power_ratio": (prediction / truth).tolist(),
        "error_ratio": (error / truth).tolist(),
        "effective_resolution_cells": effective_resolution(wavenumber, error / truth),
    }


MONTHS = {"benchmark": benchmark_months, "simulated": simulated_months}


def evaluate(methods, regimes=("cloudy", "clear"), months="benchmark", out=None):
    """Score `methods` on every regime and write the numbers to `out` (.json) if given.

    methods: dict name -> predict, as for `score_months`. months: 'benchmark' or 'simulated'.
    Returns {"months", "threads", "regimes": {regime: {"n_months", "methods": ...}}}.
    """
    if months not in MONTHS:
        raise ValueError(f"months must be one of {', '.join(MONTHS)}, got {months!r}")
    results = {"months": months, "threads": torch.get_num_threads(), "regimes": {}}
    for regime in regimes:
        chosen = MONTHS[months](regime)
        scores = score_months(methods, chosen)
        results["regimes"][regime] = {"n_months": len(chosen), "methods": scores}
    if out is not None:
        write_results(results, out)
    return results


def write_results(results, path):
    """Write nested numbers as strict JSON: 6 significant digits, null for NaN and infinity."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_rounded(results), indent=1, allow_nan=False) + "\n")


def read_results(name):
    """Numbers that `write_results` left in the book's folder of results, or None.

    The folder comes with the source tree, not with the installed package. Where the file is
    absent, says so in one line: the command that makes each file stands beside it in the book.
    """
    for folder in (Path(__file__).parents[1] / "book" / "results", Path.cwd().parent / "results"):
        path = folder / f"{name}.json"
        if path.is_file():
            return json.loads(path.read_text())
    print(f"{name}.json is not here: it comes with a clone of the book, in book/results.")
    return None


def _rounded(x):
    if isinstance(x, dict):
        return {key: _rounded(value) for key, value in x.items()}
    if isinstance(x, (list, tuple)):
        return [_rounded(value) for value in x]
    if isinstance(x, float):
        return float(f"{x:.6g}") if np.isfinite(x) else None
    return x


def table(results):
    """The scores as lines of text: one row a method and regime."""
    head = f"{'':8}{'method':24}{'RMSE':>7}{'95 % interval':>16}{'seldom':>8}{'bias':>8}"
    lines = [head + f"{'gradient':>10}{'resolves':>10}{'s/month':>9}"]
    for regime, scored in results["regimes"].items():
        for name, s in scored["methods"].items():
            low, high = s["rmse_interval"]
            cells = s["spectrum"]["effective_resolution_cells"] if s["spectrum"] else float("nan")
            lines.append(
                f"{regime:8}{name:24}{s['rmse']:7.3f}{low:9.3f}-{high:.3f} "
                f"{s['rmse_seldom_seen']:8.3f}{s['bias']:8.3f}{s['gradient_rmse']:10.3f}"
                f"{cells:10.1f}{s['seconds_per_month']:9.3f}"
            )
    return "\n".join(lines)
