"""Is the simulated ocean like the real one? The same statistics of both, side by side.

    python experiments/checks/simulation.py   # a minute; writes experiments/results/simulation.json

Sea: anomalies of daily OISST off Tasmania, 1982-2010, against the simulation on the same grid, once
as it is and once smoothed as an optimum interpolation smooths. Clouds: patches in the SLSTR scenes
against simulated ones. Needs the shared real data.
"""

import numpy as np
import torch
import xarray as xr
from scipy.ndimage import label, uniform_filter1d

from sst_tutorial import open_sst, simulate
from sst_tutorial.benchmark import data_file, of_years, shared_data
from sst_tutorial.coast import ocean_mask
from sst_tutorial.prior import climatology_for, daily_climatology
from sst_tutorial.results import RESULTS, rounded, write_results

YEARS = (1982, 2010)
DY, DX = 27.8, 20.9  # km between cells of the Tasmanian grid
OPEN = (slice(0, 26), slice(8, 32))  # rows and columns without land
OISST_SMOOTHING_KM = 20.0  # Gaussian that explains how fast the OISST spectrum drops below 150 km
LAGS = range(1, 16)  # days
RUNS, DAYS = 12, 730
DIGITS = 3  # significant ones: what a reader can use, and what another machine repeats


def real_anomalies() -> np.ndarray:
    """OISST minus its daily climatology of the same years, (T,H,W) in K, off the coast."""
    daily = of_years(open_sst(data_file("oisst_tasmania_1982_2016.nc")), YEARS)
    daily = daily.isel(lat=OPEN[0], lon=OPEN[1])
    return (daily["sst"] - climatology_for(daily_climatology(daily), daily["time"])).values


def simulated_anomalies(smooth_km, seed=1, runs=RUNS, days=DAYS) -> np.ndarray:
    """(runs, T, H, W) in K with the settings of simulate_ocean, but for the smoothing."""
    settings = simulate.MIDLATITUDE | {"smooth_km": smooth_km}
    generator = torch.Generator().manual_seed(seed)
    rows, columns = OPEN[0].stop, OPEN[1].stop - OPEN[1].start
    return simulate.ocean_anomalies(
        runs, days, rows, columns, generator, cell_km=(DY, DX), **settings
    ).numpy()


def sea_statistics(anomalies: np.ndarray) -> dict:
    """Numbers that say how an anomaly field (runs, T, H, W) varies in space and time."""
    a = anomalies.astype("float64")
    power = np.mean(a**2)
    region = a.mean((2, 3))
    within_month = a - uniform_filter1d(a, 31, axis=1)
    gradient = np.hypot(np.gradient(a, DY, axis=2), np.gradient(a, DX, axis=3)) * 100
    corr = lambda x, lag: float((x[:, lag:] * x[:, :-lag]).mean() / (x**2).mean())  # noqa: E731
    along = lambda x, lag: float((x[..., lag:] * x[..., :-lag]).mean() / power)  # noqa: E731
    cycles_per_km, zonal = spectrum(a, DX)
    return {
        "std_K": float(np.sqrt(power)),
        "std_of_region_mean_K": float(region.std()),
        "std_within_31_days_K": float(within_month[:, 15:-15].std()),
        "gradient_rms_K_per_100km": float(np.sqrt((gradient**2).mean())),
        "gradient_99_over_median": float(np.quantile(gradient, 0.99) / np.median(gradient)),
        "excess_kurtosis": float((a**4).mean() / power**2 - 3),
        "slope_150_500km": slope(cycles_per_km, zonal, 150, 500),
        "slope_60_150km": slope(cycles_per_km, zonal, 60, 150),
        "correlation_lag_days": {lag: corr(a, lag) for lag in LAGS},
        "correlation_lag_days_of_region_mean": {k: corr(region, k) for k in (1, 7, 15, 30)},
        "correlation_lag_cells_east": {n: along(a, n) for n in (1, 2, 4, 8, 16)},
        "correlation_7_days_by_wavelength_km": memory_by_scale(a, 7),
        "spectrum": {"cycles_per_km": cycles_per_km.tolist(), "K2_km": zonal.tolist()},
    }


def spectrum(a, dx):
    """Mean one-dimensional power along the last axis after removing the mean and a Hann taper."""
    n = a.shape[-1]
    taper = np.hanning(n + 2)[1:-1]
    f = np.fft.rfft((a - a.mean(-1, keepdims=True)) * taper)
    power = (np.abs(f) ** 2).mean((0, 1, 2)) * 2 * dx / (taper**2).sum()
    return np.fft.rfftfreq(n, dx)[1:], power[1:]


def slope(k, power, shortest_km, longest_km):
    use = (1 / k >= shortest_km) & (1 / k <= longest_km)
    return float(np.polyfit(np.log(k[use]), np.log(power[use]), 1)[0])


def memory_by_scale(a, lag):
    """Correlation over ``lag`` days of the part of the field between two wavelengths."""
    h, w = a.shape[2:]
    taper = np.hanning(h + 2)[1:-1, None] * np.hanning(w + 2)[1:-1]
    f = np.fft.rfft2(a * taper)
    k = np.hypot(np.fft.fftfreq(h, DY)[:, None], np.fft.rfftfreq(w, DX))
    out = {}
    for shortest, longest in ((500, 2000), (200, 333), (125, 200)):
        g = f[..., (1 / np.maximum(k, 1e-9) >= shortest) & (1 / np.maximum(k, 1e-9) < longest)]
        shifted = (g[:, lag:] * g[:, :-lag].conj()).real.mean()
        out[f"{shortest}-{longest}"] = float(shifted / (np.abs(g) ** 2).mean())
    return out


def real_windows(pixels: int = 21, size: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Hidden cells in windows of the four SLSTR scenes: (n,H,W) bool, and where there is ocean.

    ``pixels`` scene pixels make a cell (21: about 25 km), seen when half of its ocean is.
    """
    hidden, oceans = [], []
    for path in sorted((shared_data() / "slstr_clouds").glob("slstr_L2_*.nc")):
        with xr.open_dataset(path, decode_timedelta=False) as scene:
            seen = np.isfinite(scene["SST_skin_Q4plus"].values[0])
            ocean = ocean_mask(scene["lat_intern"].values, scene["lon_intern"].values)
        wet = cells(ocean, pixels)
        share = cells(seen & ocean, pixels) / np.maximum(wet, 1)
        wet = wet >= 0.5 * pixels**2
        for i in range(0, wet.shape[0] - size + 1, 4):
            for j in range(0, wet.shape[1] - size + 1, 4):
                cut = np.s_[i : i + size, j : j + size]
                if wet[cut].mean() >= 0.9:
                    hidden.append(share[cut] < 0.5)
                    oceans.append(wet[cut])
    return np.array(hidden), np.array(oceans)


def cells(pixel, pixels):
    """How many of the pixels of each cell are True: (h,w)."""
    h, w = (n // pixels for n in pixel.shape)
    return pixel[: h * pixels, : w * pixels].reshape(h, pixels, w, pixels).sum((1, 3))


def simulated_windows(size: int = 32, seed: int = 2) -> np.ndarray:
    """(n,H,W) bool: every third day of months whose cover is anything from 0.35 to 0.95."""
    cover = torch.linspace(0.35, 0.95, 120)
    masks = simulate.cloud_masks(
        120, 31, size, size, cover, torch.Generator().manual_seed(seed), cell_km=(25.0, 25.0)
    )
    return masks[:, ::3].flatten(0, 1).numpy()


def cloud_statistics(hidden: np.ndarray, ocean: np.ndarray) -> dict:
    """Patch statistics of windows (n,H,W), apart for three classes of cover."""
    cover = (hidden & ocean).sum((1, 2)) / ocean.sum((1, 2))
    out = {
        "windows": len(hidden),
        "cover_deciles": np.quantile(cover, np.linspace(0, 1, 11)).tolist(),
    }
    for low, high in ((0.3, 0.6), (0.6, 0.8), (0.8, 0.95)):
        chosen = np.flatnonzero((cover >= low) & (cover < high))
        rows = [patches(hidden[n], ocean[n]) for n in chosen]
        means = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
        out[f"cover {low:.2f}-{high:.2f}"] = {
            "windows": len(rows),
            "cover": float(cover[chosen].mean()),
        } | means
    return out


def patches(hidden: np.ndarray, ocean: np.ndarray) -> dict:
    """Of one window (H,W): how many patches, how large, how ragged."""
    seen, hidden = ~hidden & ocean, hidden & ocean
    out = {}
    for name, what in (("clear", seen), ("cloud", hidden)):
        sizes = np.bincount(label(what)[0].ravel())[1:]
        out[f"{name}_patches_per_1000_cells"] = 1000 * sizes.size / ocean.sum()
        out[f"{name}_patch_of_a_cell_mean_cells"] = float((sizes**2).sum() / sizes.sum())
        out[f"{name}_largest_share"] = float(sizes.max() / sizes.sum())
    edges = pairs = 0
    for axis in (0, 1):
        wet = np.delete(ocean, 0, axis) & np.delete(ocean, -1, axis)
        edges += (np.diff(seen, axis=axis) & wet).sum()
        pairs += wet.sum()
    out["edges_per_pair_of_cells"] = float(edges / pairs)
    return out


def compare() -> dict:
    """All statistics, real and simulated."""
    hidden, ocean = real_windows()
    made_up = simulated_windows()
    settings = simulate.MIDLATITUDE
    return rounded(
        {
            "sea": {
                "grid_km": [DY, DX],
                "settings": settings,
                "oisst_smoothing_km": OISST_SMOOTHING_KM,
                "oisst_1982_2010": sea_statistics(real_anomalies()[None]),
                "simulated_smoothed_as_oisst": sea_statistics(
                    simulated_anomalies(OISST_SMOOTHING_KM)
                ),
                "simulated": sea_statistics(simulated_anomalies(settings["smooth_km"])),
            },
            "clouds": {
                "cell_km": 25,
                "slstr": cloud_statistics(hidden, ocean),
                "simulated": cloud_statistics(made_up, np.ones_like(made_up)),
            },
        },
        digits=DIGITS,
    )


def main() -> None:
    if shared_data() is None:
        raise SystemExit("the real data are not here: set SST_TUTORIAL_DATA to their folder")
    results = {"command": "python experiments/checks/simulation.py"} | compare()
    write_results(results, RESULTS / "simulation.json")


if __name__ == "__main__":
    main()
