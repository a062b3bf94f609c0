"""Is the sea that moves like real ones? The same statistics of both, side by side.

    python experiments/checks/moving_sea.py   # a minute; writes experiments/results/moving_sea.json

Made: four seas of half a year on 8 km cells with the default settings, also averaged over 24 km.
Real: OISST off Tasmania, 1982-2010, minus its climatology; the Alboran Sea in two gappy products;
a fine analysis off Maine; what is clear in four SLSTR scenes (fronts alone, there is one day).
The short records know no climatology. There an anomaly is what is left without the mean of its day
and the mean of its cell, which takes away what lasts, so a made sea cut to as many days and
kilometres stands beside it. Nothing is tuned to these numbers. Needs the shared real data.
"""

import numpy as np
import torch
import xarray as xr
from scipy.ndimage import gaussian_filter
from simulation import DIGITS, DX, DY, OISST_SMOOTHING_KM, real_anomalies, slope, spectrum

from sst_tutorial import open_sst
from sst_tutorial.benchmark import data_file, shared_data
from sst_tutorial.moving_sea import moving_anomalies
from sst_tutorial.results import RESULTS, rounded, write_results
from sst_tutorial.simulate import KM_PER_DEGREE

CELL = 8.0  # km
RUNS, DAYS = 4, 180
LAGS = (1, 3, 7, 15)  # days
MONTH = 30  # days
BANDS = ((150, 500), (50, 150), (25, 50), (8, 25))  # km, of slopes of the spectrum
SHORT = {  # file -> cells averaged to come near 8 km
    "alboran_l3_201705": 4,
    "alboran_l3s_2022_jja": 1,
    "mur_penobscot_201406": 8,
}


def made_seas() -> np.ndarray:
    """(RUNS, DAYS, 128, 128) K."""
    return moving_anomalies(RUNS, DAYS, 128, torch.Generator().manual_seed(1), cell_km=CELL).numpy()


def statistics(anomalies: np.ndarray, cell_km: tuple[float, float]) -> dict:
    """How an anomaly field (runs, T, H, W), NaN = gap, varies; cells are (north-south, east-west).

    None stands for what the record is too short, too small or too cloudy to tell.
    """
    a = anomalies.astype("float64")
    return {
        "cell_km": list(cell_km),
        "std_day_K": float(np.sqrt(np.nanmean(a**2))),
        "std_month_mean_K": std_of_month_mean(a),
        "correlation_lag_days": {lag: correlation(a, lag) for lag in LAGS},
        "gradient_kurtosis": gradient_kurtosis(a, cell_km),
    } | zonal(a, cell_km[1])


def std_of_month_mean(a):
    """Means over 30 days of cells seen on half of them; two months at least."""
    months = a.shape[1] // MONTH
    if months < 2:
        return None
    a = a[:, : months * MONTH].reshape(a.shape[0], months, MONTH, *a.shape[2:])
    seen = np.isfinite(a).sum(2)
    mean = np.nansum(a, 2)[seen >= MONTH / 2] / seen[seen >= MONTH / 2]
    return float(np.sqrt((mean**2).mean()))


def correlation(a, lag):
    """Over all pairs of days of which both were seen."""
    if lag >= a.shape[1]:
        return None
    early, late = a[:, :-lag], a[:, lag:]
    both = np.isfinite(early) & np.isfinite(late)
    early, late = early[both], late[both]
    return float((early * late).mean() / np.sqrt((early**2).mean() * (late**2).mean()))


def gradient_kurtosis(a, cell_km):
    """Of differences between neighbours, per km; 3 for a Gaussian field, more with fronts."""
    steps = [np.diff(a, axis=axis) / cell_km[axis] for axis in (-2, -1)]
    steps = np.concatenate([step[np.isfinite(step)] for step in steps])
    return float((steps**4).mean() / (steps**2).mean() ** 2)


def zonal(a, dx):
    """Spectrum along rows, or along pieces of rows without a gap, and its slopes."""
    n = a.shape[-1]
    if np.isnan(a).any():
        n = min(n, round(160 / dx))  # longer pieces are rare between clouds
    starts = range(0, a.shape[-1] - n + 1, max(1, n // 2))
    pieces = np.concatenate([a[..., i : i + n].reshape(-1, n) for i in starts])
    pieces = pieces[np.isfinite(pieces).all(-1)]
    if len(pieces) < 100:
        return {"slopes": None, "spectrum": None}
    k, power = spectrum(pieces[:, None, None], dx)
    fits = [b for b in BANDS if b[0] >= 2 * dx and ((1 / k >= b[0]) & (1 / k <= b[1])).sum() > 1]
    return {
        "slopes": {f"{s}-{w} km": slope(k, power, s, w) for s, w in fits},
        "spectrum": {"cycles_per_km": k.tolist(), "K2_km": power.tolist()},
    }


def averaged(a, n):
    """(..., H, W) -> (..., H/n, W/n): means of n x n cells, NaN where any of them is."""
    h, w = (size // n for size in a.shape[-2:])
    return a[..., : h * n, : w * n].reshape(*a.shape[:-2], h, n, w, n).mean((-3, -1))


def short_record(name) -> tuple[np.ndarray, tuple[float, float]]:
    """SST (T,H,W) of every day from first to last, NaN = gap or no file, and its cells in km."""
    sst = open_sst(data_file(f"{name}.nc"))["sst"].resample(time="1D").asfreq()
    dlat, dlon = (float(np.diff(sst[axis]).mean()) for axis in ("lat", "lon"))
    east_west = dlon * KM_PER_DEGREE * np.cos(np.deg2rad(float(sst["lat"].mean())))
    return sst.values, (dlat * KM_PER_DEGREE, float(east_west))


def departures(sst):
    """SST (..., T, H, W) without the mean of its cell, then without the mean of its day."""
    sst = sst - np.nansum(sst, -3, keepdims=True) / seen(sst, -3)
    return sst - np.nansum(sst, (-2, -1), keepdims=True) / seen(sst, (-2, -1))


def seen(sst, axes):
    return np.maximum(np.isfinite(sst).sum(axes, keepdims=True), 1)


def beside_short(name, n, made) -> dict:
    """Statistics of a short record, as it is and averaged to about 8 km, and of a made one."""
    sst, cell_km = short_record(name)
    T, *shape = sst.shape
    H, W = (max(4, round(m * km / CELL)) for m, km in zip(shape, cell_km, strict=True))
    pieces = made[:, : DAYS // T * T, :H, :W].reshape(-1, T, H, W)
    out = {"days": T, "real": statistics(departures(sst)[None], cell_km)}
    if n > 1:
        wide = tuple(n * km for km in cell_km)
        out["real_averaged"] = statistics(departures(averaged(sst, n))[None], wide)
    return out | {"made_of_this_size": statistics(departures(pieces), (CELL, CELL))}


def slstr_fronts() -> dict:
    """Kurtosis of gradients in each scene, of pixels and of cells of 7 x 7, all of them clear."""
    out = {}
    for path in sorted((shared_data() / "slstr_clouds").glob("slstr_L2_*.nc")):
        with xr.open_dataset(path, decode_timedelta=False) as scene:
            sst = scene["SST_skin_Q4plus"].values
            step = abs(float(np.diff(scene["lat_intern"]).mean())) * KM_PER_DEGREE
        row = {"pixel_km": step, "pixels": gradient_kurtosis(sst[None], 2 * [step])}
        wide = averaged(sst, 7)
        row |= {"cells_km": 7 * step, "cells": gradient_kurtosis(wide[None], 2 * [7 * step])}
        out[path.stem.removeprefix("slstr_L2_")] = row | {"clear": int(np.isfinite(wide).sum())}
    return out


def compare() -> dict:
    """All statistics, real and made."""
    made = made_seas()
    width = (0, 0, OISST_SMOOTHING_KM / CELL, OISST_SMOOTHING_KM / CELL)
    smooth = gaussian_filter(made, width, mode="wrap")
    results = {
        "made_8km": statistics(made, (CELL, CELL)),
        "made_24km": statistics(averaged(made, 3), (3 * CELL, 3 * CELL)),
        "made_24km_smoothed_as_oisst": statistics(averaged(smooth, 3), (3 * CELL, 3 * CELL)),
        "oisst_tasmania_1982_2010": statistics(real_anomalies()[None], (DY, DX)),
    }
    results |= {name: beside_short(name, n, made) for name, n in SHORT.items()}
    return rounded(results | {"slstr_gradient_kurtosis": slstr_fronts()}, digits=DIGITS)


def main() -> None:
    if shared_data() is None:
        raise SystemExit("the real data are not here: set SST_TUTORIAL_DATA to their folder")
    results = {"command": "python experiments/checks/moving_sea.py"} | compare()
    write_results(results, RESULTS / "moving_sea.json")


if __name__ == "__main__":
    main()
