"""The simulated ocean and clouds: physics, statistics, seeds, any grid, and refusals."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import uniform_filter1d

from sst_tutorial import simulate
from sst_tutorial.benchmark import shared_data
from sst_tutorial.simulate import (
    MIDLATITUDE,
    climatological_sst,
    cloud_masks,
    observe,
    ocean_anomalies,
    simulate_clouds,
    simulate_ocean,
)

CHECK = Path(__file__).parents[1] / "experiments" / "checks" / "simulation.py"
spec = importlib.util.spec_from_file_location("check_simulation", CHECK)
check = importlib.util.module_from_spec(spec)
spec.loader.exec_module(check)

real_data = pytest.mark.skipif(shared_data() is None, reason="no real data: SST_TUTORIAL_DATA")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def year():
    return simulate_ocean(shape=(32, 32))


@pytest.fixture(scope="module")
def anomalies():
    """(8,90,32,32) K with the settings of simulate_ocean on 25 km cells."""
    return ocean_anomalies(8, 90, 32, 32, seeded(3), **MIDLATITUDE)


# --- the ocean -------------------------------------------------------------------------------
def test_dataset_is_complete_and_described(year):
    assert year["sst"].dims == ("time", "lat", "lon") and year["sst"].dtype == "float32"
    assert year["sst"].attrs["units"] == "degree_Celsius"
    ocean = year["ocean_mask"].values
    assert ocean.dtype == bool and 0.8 < ocean.mean() < 1
    assert np.isfinite(year["sst"].values[:, ocean]).all()
    assert np.isnan(year["sst"].values[:, ~ocean]).all()
    for name in ("lat", "lon", "time"):
        assert year[name].to_index().is_monotonic_increasing


def test_one_seed_one_ocean():
    first, same, other = (ocean_anomalies(2, 4, 16, 20, seeded(seed)) for seed in (1, 1, 2))
    assert first.shape == (2, 4, 16, 20) and first.dtype == torch.float32
    assert torch.equal(first, same)
    assert (first - other).abs().mean() > 0.1
    assert (first[0] - first[1]).abs().mean() > 0.1


def test_flow_moves_water_without_making_or_losing_heat():
    box = simulate._Box(48, 48, (25.0, 25.0), False, "cpu")
    spectral = simulate._Spectral(
        box, box.k2 * torch.exp(-box.k2 * 60.0**2), simulate._Draw(1, seeded(), "cpu")
    )
    psi = spectral.noise() / spectral.speed * 20  # 20 km a day
    u, v = box.field(-1j * box.ky * psi), box.field(1j * box.kx * psi)
    divergence = box.field(1j * box.kx * torch.fft.rfft2(u) + 1j * box.ky * torch.fft.rfft2(v))
    assert divergence.abs().max() < 1e-3 * (v.std() / 60)
    warm = 1 + box.field(spectral.noise())[:, None]
    moved = box.advect(warm, u, v)
    assert (moved - warm).std() > 0.1  # it moves
    assert abs(float(moved.mean() - warm.mean())) < 0.01  # heat stays
    assert abs(float(moved.std() / warm.std()) - 1) < 0.05  # fronts are not smeared out


def test_steady_flow_carries_water_the_right_way():
    box = simulate._Box(40, 40, (25.0, 25.0), False, "cpu")
    field = torch.zeros(1, 1, box.rows, box.columns)
    field[..., 10, 10] = 1.0
    east, north = torch.full((1, box.rows, box.columns), 50.0), torch.zeros(1, 1, 1)
    moved = box.advect(field, east, north.expand_as(east))
    assert moved[0, 0, 10, 12] == pytest.approx(1.0, abs=1e-3)  # two cells of 25 km to the east


def test_amplitude_and_spectrum(anomalies):
    a = anomalies.numpy()
    assert 0.8 < a.std() < 1.25
    k, power = check.spectrum(a, 25.0)
    assert -3.5 < check.slope(k, power, 70, 500) < -1.8


def test_memory_of_one_to_a_few_weeks(anomalies):
    a = anomalies.numpy()
    lag = [(a[:, n:] * a[:, :-n]).mean() / (a**2).mean() for n in (1, 7, 15)]
    assert lag[0] > 0.93 and 0.55 < lag[1] < 0.85 and 0.35 < lag[2] < 0.75


def test_samples_differ_in_strength():
    std = ocean_anomalies(16, 8, 24, 24, seeded(4)).std((1, 2, 3))
    assert std.max() > 2 * std.min() and std.min() > 0.1 and std.max() < 2.5


def test_amplitude_setting():
    quiet, loud = (ocean_anomalies(4, 5, 24, 24, seeded(5), amplitude=size) for size in (0.2, 2.0))
    torch.testing.assert_close(10 * quiet, loud, rtol=1e-4, atol=1e-4)


def test_seasons():
    lat = np.array([-60.0, -40, 0, 40, 60])
    sst = climatological_sst(lat, np.arange(1, 366))
    hottest = sst.argmax(0)
    assert 40 < hottest[1] < 80 and 220 < hottest[3] < 260  # February/March and August
    swing = np.ptp(sst, axis=0) / 2
    assert swing[3] > swing[1] > 2 > 1 > swing[2]
    assert (np.diff(sst.mean(0)[2:]) < 0).all() and (np.diff(sst.mean(0)[:3]) > 0).all()


def test_globe_closes_on_itself():
    globe = simulate_ocean((-90, 90), (0, 360), (36, 72), days=5)
    sst = globe["sst"].values
    assert np.isfinite(sst[:, globe["ocean_mask"].values]).all() and np.nanmin(sst) >= -1.8
    free = ocean_anomalies(4, 5, 40, 64, seeded(6), periodic_lon=True).numpy()
    seam = np.abs(free[..., 0] - free[..., -1]).mean()
    assert seam < 1.2 * np.abs(np.diff(free, axis=-1)).mean()
    cut = ocean_anomalies(4, 5, 40, 64, seeded(6), periodic_lon=False).numpy()
    assert np.abs(cut[..., 0] - cut[..., -1]).mean() > 2 * seam


def test_across_the_dateline():
    pacific = simulate_ocean((-20, -10), (170, -170), (20, 40), days=2)
    assert pacific["lon"].values[[0, -1]] == pytest.approx([170.25, 189.75])
    same = simulate_ocean((-20, -10), (170, 190), (20, 40), days=2)
    assert pacific.equals(same)


def test_fine_grid_is_interpolated():
    fine = simulate_ocean((36, 37), (-2, -1), (100, 80), days=2)["sst"].values[0]
    assert fine.shape == (100, 80)
    step = np.nanmax(np.abs(np.diff(fine, axis=0)))
    assert 0 < step < 0.2  # 1 km cells


@pytest.mark.parametrize(
    "bad, named",
    [
        ({"shape": (1, 64)}, "H"),
        ({"shape": (64, 64, 2)}, "shape"),
        ({"shape": (64, 3.5)}, "W"),
        ({"lat": (-45, -95)}, "lat"),
        ({"lat": (-37, -45)}, "lat"),
        ({"lon": (0, 400)}, "lon"),
        ({"days": 0}, "days"),
        ({"start": "yesterdayish"}, "start"),
        ({"amplitude": -1.0}, "amplitude"),
        ({"eddy_share": 1.5}, "eddy_share"),
        ({"weather_days": (9, 3)}, "weather_days"),
    ],
)
def test_bad_oceans(bad, named):
    with pytest.raises(ValueError, match=f"^{named} must"):
        simulate_ocean(**{"shape": (8, 8), "days": 2} | bad)


def test_bad_core_sizes():
    with pytest.raises(ValueError, match="^batch must"):
        ocean_anomalies(0, 2, 8, 8)
    with pytest.raises(ValueError, match="^cell_km must"):
        ocean_anomalies(1, 2, 8, 8, cell_km=(25.0, 0.0))


# --- the clouds ------------------------------------------------------------------------------
@pytest.mark.parametrize("cover", [0.3, 0.6, 0.8, 0.95])
@pytest.mark.parametrize("swath", [True, False])
def test_cover_is_met_over_the_ocean(year, cover, swath):
    cloudy = simulate_clouds(year, cover, swath=swath)
    assert cloudy.name == "cloudy" and cloudy.dtype == bool and cloudy.dims == year["sst"].dims
    assert abs(cloudy.values[:, year["ocean_mask"].values].mean() - cover) < 0.02


def test_cover_per_sample():
    cover = torch.tensor([0.3, 0.5, 0.7, 0.95])
    masks = cloud_masks(4, 31, 24, 24, cover, seeded())
    assert masks.dtype == torch.bool and masks.shape == (4, 31, 24, 24)
    torch.testing.assert_close(masks.float().mean((1, 2, 3)), cover, atol=0.02, rtol=0)
    assert torch.equal(masks, cloud_masks(4, 31, 24, 24, cover, seeded()))


def test_cover_is_met_even_on_one_small_day():
    for seed in range(8):  # on some of them the swath misses the region altogether
        mask = cloud_masks(1, 1, 8, 8, 0.5, seeded(seed))
        assert abs(float(mask.float().mean()) - 0.5) < 0.04


def test_clouds_persist_and_days_differ():
    masks = cloud_masks(8, 31, 32, 32, 0.7, seeded(1), swath=False).float()
    daily = masks.mean((2, 3))
    assert daily.std() > 0.15 and (daily > 0.98).any() and (daily < 0.4).any()
    rest = masks - masks.mean((1, 2, 3), keepdim=True)
    lag = [float((rest[:, n:] * rest[:, :-n]).mean() / (rest**2).mean()) for n in (1, 2, 8)]
    assert lag[0] > 0.25 and lag[0] > lag[1] > lag[2]


def test_swath_edges_are_straight_bands():
    off = simulate._off_swath(simulate._Draw(1, seeded(), "cpu"), 200, 32, 32, (25.0, 25.0))
    assert abs(float(off.float().mean()) - 0.12) < 0.05
    turns = off[0].int().diff(dim=-1).abs().sum(-1)  # (T,H) edges met along a row
    assert turns.max() <= 2


def test_clear_sky_bias(year):
    sst, ocean = year["sst"].values, year["ocean_mask"].values
    anomaly = sst - uniform_filter1d(np.nan_to_num(sst), 31, axis=0, mode="nearest")

    def reached(cloudy):
        return float(anomaly[~cloudy & ocean].mean() - anomaly[:, ocean].mean())

    for wanted in (-0.1, 0.2):
        cloudy = simulate_clouds(year, 0.8, seed=2, clear_sky_bias=wanted).values
        assert abs(cloudy[:, ocean].mean() - 0.8) < 0.02
        assert reached(cloudy) == pytest.approx(wanted, abs=0.01)
    unbiased = [reached(simulate_clouds(year, 0.8, seed).values) for seed in range(6)]
    assert abs(np.mean(unbiased)) < 0.05
    with pytest.raises(ValueError, match="^clear_sky_bias must"):
        simulate_clouds(year, 0.8, clear_sky_bias=5.0)


@pytest.mark.parametrize("cover", [0.2, 0.99, float("nan"), torch.tensor([0.5, 1.2])])
def test_bad_cover(cover):
    with pytest.raises(ValueError, match="^cover must"):
        cloud_masks(2, 3, 8, 8, cover)


def test_bad_clouds(year):
    with pytest.raises(ValueError, match="^cover must"):
        cloud_masks(2, 3, 8, 8, torch.tensor([0.5, 0.6, 0.7]))
    with pytest.raises(ValueError, match="^daily must"):
        simulate_clouds(year["sst"].transpose("lat", "lon", "time"))
    with pytest.raises(ValueError, match="^daily must"):
        simulate_clouds(year["sst"] * np.nan)


# --- what is seen ----------------------------------------------------------------------------
def test_observe(year):
    cloudy = simulate_clouds(year, 0.7)
    seen = observe(year, cloudy, noise=0.3, seed=1)
    assert seen["sst"].dtype == "float32" and "ocean_mask" in seen
    assert seen["sst"].attrs["units"] == "degree_Celsius"
    finite = np.isfinite(seen["sst"].values)
    np.testing.assert_array_equal(finite, ~cloudy.values & year["ocean_mask"].values)
    error = (seen["sst"] - year["sst"]).values[finite]
    assert abs(error.std() - 0.3) < 0.01 and abs(error.mean()) < 0.01
    clean = observe(year["sst"], cloudy, noise=0)["sst"]
    np.testing.assert_array_equal(clean.values[finite], year["sst"].values[finite])


def test_bad_observations(year):
    cloudy = simulate_clouds(year, 0.7)
    with pytest.raises(ValueError, match="^noise must"):
        observe(year, cloudy, noise=-0.1)
    with pytest.raises(ValueError, match="^cloudy must"):
        observe(year, cloudy.isel(time=slice(10)))
    with pytest.raises(ValueError, match="^cloudy must"):
        observe(year, cloudy.assign_coords(lat=cloudy.lat + 1))
    with pytest.raises(ValueError, match="^cloudy must"):
        observe(year, cloudy.astype(float))


# --- against real data -----------------------------------------------------------------------
@real_data
def test_like_oisst():
    real = check.sea_statistics(check.real_anomalies()[None, -3650:])
    made = check.sea_statistics(
        check.simulated_anomalies(check.OISST_SMOOTHING_KM, runs=4, days=365)
    )
    for name in ("std_K", "std_within_31_days_K", "gradient_rms_K_per_100km"):
        assert made[name] == pytest.approx(real[name], rel=0.3)
    for lag in (1, 3, 7, 15):
        pair = (each["correlation_lag_days"][lag] for each in (made, real))
        assert abs(np.subtract(*pair)) < 0.12
    for cells in (1, 4, 8):
        pair = (each["correlation_lag_cells_east"][cells] for each in (made, real))
        assert abs(np.subtract(*pair)) < 0.15


@real_data
def test_clouds_like_slstr():
    made_up = check.simulated_windows()
    made = check.cloud_statistics(made_up, np.ones_like(made_up))
    real = check.cloud_statistics(*check.real_windows())
    for group in ("cover 0.30-0.60", "cover 0.60-0.80", "cover 0.80-0.95"):
        for name in ("clear_largest_share", "cloud_largest_share", "edges_per_pair_of_cells"):
            assert made[group][name] == pytest.approx(real[group][name], rel=0.35)
        patch = "clear_patch_of_a_cell_mean_cells"
        assert made[group][patch] == pytest.approx(real[group][patch], rel=0.35)
