"""The spread of an estimate: what it sees, that it learns, where it lies, whether it is right."""

import numpy as np
import pytest
import torch
import xarray as xr
from scipy.stats import norm

from sst_tutorial import open_sst, reconstruct
from sst_tutorial.baselines import MeasuredCovariance
from sst_tutorial.months import Batch, Month
from sst_tutorial.networks import build
from sst_tutorial.reconstruction import as_method, as_sure_method
from sst_tutorial.simulate import observe, simulate_clouds, simulate_ocean
from sst_tutorial.store import write_months
from sst_tutorial.uncertain import (
    CLUES,
    INSIDE,
    LOSSES,
    Lessons,
    Spread,
    _days_to,
    calibration,
    clues_of,
    crps_of,
    gaussian_crps,
    gaussian_nll,
    learn,
    lessons_of,
    load_spread,
    read_about,
    save_spread,
    scene_of,
    thinned,
)
from sst_tutorial.weights import load_weights, save_weights, shipped_weights, spread_file

SLOTS = {"name": "corrections", "iterations": 3}, {"name": "transformer", "embed_dim": 16}


def network():
    torch.manual_seed(0)
    return build(*SLOTS).eval()


def a_batch(B=2, T=31, H=12, W=16, seen=0.2, seed=0):
    rng = np.random.default_rng(seed)
    ocean = np.ones((H, W), bool)
    ocean[:3, :4] = False
    months = []
    for _ in range(B):
        truth = np.full((T, H, W), 15.0) + rng.normal(size=(T, 1, 1)) * 0.3
        sky = rng.random((T, H, W)) < seen
        sst = np.where(sky & ocean, truth + 0.3 * rng.normal(size=truth.shape), np.nan)
        prior = np.full(truth.shape, 15.0)
        months.append(Month(sst, ocean, prior, truth.mean(0), truth_of_days=truth))
    return months


def clue(clues, name):
    return clues[:, CLUES.index(name)]


def clues_about(batch, estimator=None):
    estimate = (estimator or network())(*batch.inputs)
    wanted = batch.exists if batch.wanted is None else batch.wanted
    return clues_of(scene_of(*batch.inputs[:4]), wanted, estimate)


# ---------------------------------------------------------------- clues


@torch.inference_mode()
def test_clues_say_what_their_names_say():
    months = a_batch()
    batch = Batch.of(months, network().patch_size, day=4)
    clues = clues_about(batch)
    assert clues.shape[:2] == (2, len(CLUES)) and clues.isfinite().all()
    H, W = months[0].ocean.shape
    seen = torch.from_numpy(months[1].observed)  # (T, H, W)
    far = torch.where(seen, (torch.arange(31) - 4).abs()[:, None, None], 31)
    nearest = clue(clues, "days to the nearer of them")[1, :H, :W].exp() - 1
    torch.testing.assert_close(nearest, far.amin(0).float())
    number = clue(clues, "days of the month that saw the cell")[1, :H, :W].exp() - 1
    torch.testing.assert_close(number, seen.sum(0).float())
    assert torch.equal(clue(clues, "ocean")[1, :H, :W].bool(), torch.from_numpy(months[1].ocean))
    assert (clue(clues, "days asked for") == 0).all()
    month = clues_about(Batch.of(months, network().patch_size))
    torch.testing.assert_close(clue(month, "days asked for").exp().mean(), torch.tensor(31.0))


@torch.inference_mode()
def test_clues_are_gaussian_sums_around_each_cell_and_day():
    batch = Batch.of(a_batch(T=30), network().patch_size)
    seen, (row, col, day) = batch.observed.double(), (torch.arange(n) for n in (12, 16, 31))
    scene = scene_of(*batch.inputs[:4])

    def sums(x, cells, days):
        ways = (torch.exp(-(((n[:, None] - n) / s) ** 2) / 2) for n, s in
                ((day, days), (row, cells), (col, cells)))  # fmt: skip
        return torch.einsum("btij,ts,ik,jl->bskl", x, *(way.double() for way in ways))

    for name, (cells, days) in {
        "seen within 1.2 cells, 1 days": (1.2, 1.0),
        "seen within 4 cells, 8 days": (4.0, 8.0),
        "seen within 10 cells, 8 days": (10.0, 8.0),
    }.items():
        found = scene.daily[:, :, CLUES.index(name)].double().exp() - 0.02
        torch.testing.assert_close(found, sums(seen, cells, days), atol=1e-4, rtol=1e-4)
    there = (batch.ocean[:, None] & batch.exists[:, :, None, None]).double()
    share = sums(there, 4.0, 1e6)[:, 0] / (2 * np.pi * 4.0**2 * 31)
    torch.testing.assert_close(scene.month[:, 2].double(), share, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("seen", [0.0, 0.1, 0.6, 1.0])
def test_days_to_an_observation_are_counted(seen):
    T, sky = 9, np.random.default_rng(1).random((2, 9, 3, 4)) < seen
    since, until = (a.numpy() for a in _days_to(torch.from_numpy(sky)))
    for b, t, i, j in np.ndindex(sky.shape):
        when = np.flatnonzero(sky[b, :, i, j])
        assert since[b, t, i, j] == min([t - d for d in when if d <= t], default=T)
        assert until[b, t, i, j] == min([d - t for d in when if d >= t], default=T)


@torch.inference_mode()
def test_more_observations_are_more_counts_everywhere():
    few, many = (Batch.of(a_batch(seen=s), network().patch_size) for s in (0.05, 0.5))
    for name in (n for n in CLUES if n.startswith("seen within")):
        ocean = few.ocean
        assert (clue(clues_about(few), name) < clue(clues_about(many), name))[ocean].all(), name


@torch.inference_mode()
def test_what_was_not_observed_tells_nothing():
    batch = Batch.of(a_batch(), network().patch_size)
    poisoned = torch.where(batch.observed, batch.anomaly, float("nan"))
    a = scene_of(batch.anomaly, batch.observed, batch.ocean, batch.exists)
    b = scene_of(poisoned, batch.observed, batch.ocean, batch.exists)
    assert torch.equal(a.daily, b.daily) and torch.equal(a.month, b.month)


@torch.inference_mode()
@pytest.mark.parametrize("seen", [0.0, 1.0])
def test_a_month_that_saw_nothing_or_all_has_finite_clues(seen):
    batch = Batch.of(a_batch(seen=seen, T=28), network().patch_size)
    assert clues_about(batch).isfinite().all()


@torch.inference_mode()
def test_all_days_at_once_are_each_day_alone():
    estimator, spread = network(), filled_spread()
    months = a_batch(B=2, T=30)
    batch = Batch.of(months, estimator.patch_size)
    together = spread.of_days(batch, estimator.days(*batch.inputs[:4]))
    for day in (0, 17):
        alone = Batch.of(months, estimator.patch_size, day=day)
        expected = spread.of(alone, estimator(*alone.inputs))
        torch.testing.assert_close(together[:, day], expected, atol=1e-5, rtol=1e-4)
    assert (together[:, 30:] == 0).all() and (together[:, :30][:, :, 3:, 4:] > 0).any()


def filled_spread(seed=0):
    torch.manual_seed(seed)
    spread = Spread(8)
    torch.nn.init.normal_(spread.last.weight, std=0.3)
    return spread.eval()


# ---------------------------------------------------------------- losses and lessons


def test_losses_are_those_of_a_gaussian():
    error, sd = torch.tensor([0.3, -1.0, 2.0]).double(), torch.tensor([0.5, 0.2, 3.0]).double()
    nll = gaussian_nll(sd.log(), error)
    expected = -norm.logpdf(error.numpy(), scale=sd.numpy()) - 0.5 * np.log(2 * np.pi)
    np.testing.assert_allclose(nll, expected, rtol=1e-9)
    grid = np.linspace(-40, 40, 400_001)
    for e, s, found in zip(error, sd, gaussian_crps(sd.log(), error), strict=True):
        gap = norm.cdf(grid, scale=float(s)) - (grid >= float(e))
        assert float(found) == pytest.approx(np.trapezoid(gap**2, grid), abs=1e-3)
    with np.errstate(all="raise"):
        assert crps_of([0.0], [1.0])[0] == pytest.approx((np.sqrt(2) - 1) / np.sqrt(np.pi))


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_a_spread_learns_where_errors_are_large(loss):
    """Errors three times as large where the clue says so: both sides are found within a tenth."""
    rng = torch.Generator().manual_seed(0)
    clues = torch.randn(64, len(CLUES), 8, 8, generator=rng)
    large = torch.rand(64, 1, 1, generator=rng) < 0.5
    clues[:, 3] = torch.where(large, 1.0, -1.0)
    error = torch.randn(64, 8, 8, generator=rng) * torch.where(large, 0.6, 0.2)
    ocean = torch.ones(64, 8, 8, dtype=torch.bool)
    spread = learn(Lessons(clues.half(), error, ocean), loss, steps=150, width=8, lr=1e-2)
    with torch.inference_mode():
        sd = spread(clues).exp()
    there = large[:, 0, 0]
    assert float(sd[there].mean()) == pytest.approx(0.6, rel=0.1)
    assert float(sd[~there].mean()) == pytest.approx(0.2, rel=0.1)


def test_lessons_are_errors_of_the_estimate():
    estimator = network()
    batch = Batch.of(a_batch(), estimator.patch_size)
    lessons = lessons_of(estimator, [batch, batch])
    with torch.inference_mode():
        expected = estimator(*batch.inputs).mean - batch.target
    torch.testing.assert_close(lessons.error, torch.cat([expected, expected]))
    assert lessons.clues.shape[:2] == (4, len(CLUES))


def test_thinning_takes_whole_days_of_some_samples():
    batch = Batch.of(a_batch(B=40), (1, 1, 1))
    thin = thinned(batch, 0.5, torch.Generator().manual_seed(0))
    lost = batch.observed & ~thin.observed
    of_day = lost.sum((2, 3))
    assert ((of_day == 0) | (of_day == batch.observed.sum((2, 3)))).all()
    touched = lost.any(3).any(2).any(1)
    assert 8 < touched.sum() < 32
    assert (thin.anomaly[~thin.observed] == 0).all()
    assert not thinned(batch, 0.0, torch.Generator()).observed.ne(batch.observed).any()


# ---------------------------------------------------------------- is it right?


def test_calibration_of_errors_that_are_as_said():
    rng = np.random.default_rng(0)
    sd = rng.uniform(0.1, 0.5, 40_000)
    found = calibration(sd * rng.standard_normal(40_000), sd)
    assert found["ratio"] == pytest.approx(1, abs=0.02)
    assert found["z_std"] == pytest.approx(1, abs=0.02)
    for n, share in INSIDE.items():
        assert found[f"within_{n}"] == pytest.approx(share, abs=0.01)
    np.testing.assert_allclose(found["inside"], (0.5, 0.8, 0.9, 0.95), atol=0.01)
    np.testing.assert_allclose(found["pit"], 0.1, atol=0.01)
    for part in found["bins"]:
        assert part["rmse"] == pytest.approx(part["sd"], rel=0.06)
    assert [p["sd"] for p in found["bins"]] == sorted(p["sd"] for p in found["bins"])


def test_calibration_tells_who_is_too_sure():
    error = np.random.default_rng(0).standard_normal(20_000)
    right, sure = calibration(error, np.ones(20_000)), calibration(error, np.full(20_000, 0.5))
    assert sure["ratio"] == pytest.approx(0.5, abs=0.01)
    assert sure["z_std"] == pytest.approx(2, abs=0.03)
    assert sure["within_1"] < right["within_1"] - 0.2 and sure["crps"] > right["crps"]


@pytest.mark.parametrize("sd", [np.zeros(3), np.ones(4), np.array([1, np.nan, 1])])
def test_calibration_refuses_what_is_no_deviation(sd):
    with pytest.raises(ValueError, match="^error and sd must be"):
        calibration(np.zeros(3), sd)


# ---------------------------------------------------------------- posterior of OI


def test_posterior_of_oi_is_that_of_a_gaussian_process():
    """Two cells, three days, done once more by hand with dense matrices."""
    rng = np.random.default_rng(0)
    patterns, memory = (
        rng.normal(size=(2, 2)),
        np.stack([0.9 ** np.arange(31), 0.5 ** np.arange(31)]),
    )
    covariance = MeasuredCovariance(patterns, memory, np.array([0.1, 0.2]), offset=0.3)
    sst = np.full((3, 1, 2), 15.0)
    sst[0, 0, 0] = np.nan
    sst[1] += 1.0
    month = Month(sst, np.ones((1, 2), bool), np.full(sst.shape, 15.0))

    lag = np.abs(np.subtract.outer(np.arange(3), np.arange(3)))
    full = np.einsum("ik,jk,kts->titj".replace("titj", "tisj"), patterns, patterns, memory[:, lag])
    full = full.reshape(6, 6) + 0.3
    truth = full + np.kron(np.eye(3), np.diag([0.1, 0.2]))
    seen = np.isfinite(sst).ravel()
    system = (truth + 0.09 * np.eye(6))[np.ix_(seen, seen)]
    for day, ask in ((None, np.kron(np.ones(3) / 3, np.eye(2))), (2, np.eye(6)[4:])):
        shared = ask @ full[:, seen]  # what lies beyond the patterns is new on every day
        expected = ask @ truth @ ask.T - shared @ np.linalg.solve(system, shared.T)
        mean = shared @ np.linalg.solve(system, (sst - 15).ravel()[seen])
        ((estimate, sd),) = covariance.posterior(month, [day])
        np.testing.assert_allclose(sd.ravel() ** 2, np.diag(expected), rtol=1e-6)
        np.testing.assert_allclose(estimate.ravel() - 15, mean, rtol=1e-6)
        np.testing.assert_allclose(estimate, covariance.interpolate(month, day=day), rtol=1e-9)


def test_posterior_without_observations_is_the_prior():
    covariance = MeasuredCovariance(np.full((2, 1), 2.0), np.ones((1, 31)), np.zeros(2), 0.0)
    month = Month(np.full((4, 1, 2), np.nan), np.ones((1, 2), bool), np.full((4, 1, 2), 15.0))
    ((estimate, sd),) = covariance.posterior(month, [None])
    np.testing.assert_allclose(sd, 2.0)
    np.testing.assert_allclose(estimate, 15.0)


# ---------------------------------------------------------------- its file, and the product


@pytest.fixture(scope="module")
def sure(tmp_path_factory):
    """A file of weights with the spread beside it."""
    path = tmp_path_factory.mktemp("sure") / "mine.safetensors"
    estimator = network()
    save_weights(path, estimator, *SLOTS, {"settings": {"daily": 0.5}})
    save_spread(spread_file(path), filled_spread(), estimator, {"why": "test"})
    return path


@pytest.fixture(scope="module")
def daily():
    sea = simulate_ocean((30, 40), (140, 150), (40, 44), "2015-02-01", 59, seed=1)
    seen = observe(sea, simulate_clouds(sea, 0.9, seed=2), 0.3, seed=3)
    seen["ocean_mask"][:6, :7] = False
    return seen.assign(sst=seen["sst"].where(seen["ocean_mask"]))


def test_a_spread_comes_back_as_it_was(sure):
    estimator = network()
    spread = load_spread(sure, estimator)
    for name, tensor in filled_spread().state_dict().items():
        torch.testing.assert_close(
            spread.state_dict()[name], tensor, rtol=0, atol=0, equal_nan=True
        )
    assert read_about(spread_file(sure)) == {"why": "test"}
    assert load_spread(estimator, estimator) is None  # somebody's own: nobody knows its file


def test_a_spread_of_other_weights_is_refused(sure, tmp_path):
    path = tmp_path / "mine.safetensors"
    other = network()
    with torch.no_grad():
        other.network.last.bias += 1.0
    save_weights(path, other, *SLOTS, {})
    assert load_spread(path, other) is None
    spread_file(path).write_bytes(spread_file(sure).read_bytes())
    with pytest.raises(ValueError, match="mine.spread.safetensors was made for other weights"):
        load_spread(path, other)
    spread_file(path).write_bytes(b"nothing")
    with pytest.raises(ValueError, match="is no spread of this version"):
        load_spread(path, other)


@pytest.mark.parametrize("output", ["monthly", "daily", "both"])
def test_reconstruct_says_how_sure_it_is(sure, daily, output):
    out = reconstruct(daily, sure, output=output)
    sd, sst = out["sst_uncertainty"], out["sst"]
    assert sd.dims == sst.dims and sd.dtype == np.float32
    ocean = daily["ocean_mask"].values
    assert np.isnan(sd.values[:, ~ocean]).all()
    assert (sd.values[:, ocean] > 0).all() and sd.values[:, ocean].std() > 0
    assert sd.attrs["standard_name"] == "sea_surface_temperature standard_error"
    assert sd.attrs["units"] == "K"
    assert "sst_uncertainty" in sst.attrs["ancillary_variables"].split()
    plain = reconstruct(daily, load_weights(sure), output=output)
    assert "sst_uncertainty" not in plain
    assert "sst_uncertainty" not in plain["sst"].attrs["ancillary_variables"]
    np.testing.assert_array_equal(plain["sst"], sst)  # the spread changes no estimate


@pytest.mark.parametrize("output", ["monthly", "daily"])
def test_lazy_maps_are_as_sure(sure, daily, output):
    lazy = reconstruct(daily.chunk({"time": 20, "lat": 16}), sure, output=output)
    assert lazy["sst_uncertainty"].chunks is not None
    expected = reconstruct(daily, sure, output=output)["sst_uncertainty"]
    np.testing.assert_allclose(lazy["sst_uncertainty"].values, expected, atol=1e-5)


def test_a_written_file_is_read_again(sure, daily, tmp_path):
    reconstruct(daily, sure, output="daily").to_netcdf(tmp_path / "days.nc")
    with xr.open_dataset(tmp_path / "days.nc") as out:
        assert out["sst_uncertainty"].attrs["standard_name"].endswith("standard_error")
    again = open_sst(tmp_path / "days.nc")  # two variables of a temperature: sst is the one
    assert float(again["sst"].mean()) > 5


def test_a_month_that_saw_nothing_is_not_told(sure, daily):
    blind = daily.assign(sst=daily["sst"].where(daily["time"].dt.month == 2))
    with pytest.warns(UserWarning, match="no observation"):
        sd = reconstruct(blind, sure)["sst_uncertainty"]
    ocean = daily["ocean_mask"].values
    assert np.isnan(sd.values[1]).all() and np.isfinite(sd.values[0][ocean]).all()


def test_tiles_that_saw_nothing_have_the_spread_of_nothing(tmp_path):
    path, estimator, spread = tmp_path / "n.safetensors", network(), filled_spread()
    spread.unseen.copy_(torch.tensor([0.7, 0.9]))
    save_weights(path, estimator, *SLOTS, {"settings": {"daily": 0.5}})
    save_spread(spread_file(path), spread, estimator, {})
    sst = np.full((31, 32, 100), np.nan)
    sst[3, :, :8] = 15.0
    month = Month(sst, np.ones((32, 100), bool), np.full(sst.shape, 15.0))
    method = as_sure_method(path)
    for day, unseen in ((None, 0.7), (5, 0.9)):
        estimate, sd = method(month, day)
        np.testing.assert_allclose(sd[:, -20:], unseen, rtol=1e-6)
        assert np.abs(sd[:, :8] - unseen).max() > 1e-3
        np.testing.assert_array_equal(estimate, as_method(path)(month, day))


def test_who_has_no_spread_says_so(tmp_path):
    save_weights(tmp_path / "bare.safetensors", network(), *SLOTS, {})
    with pytest.raises(ValueError, match="'bare' has no bare.spread.safetensors"):
        as_sure_method(tmp_path / "bare.safetensors")


def test_another_variable_has_no_uncertainty(sure, daily):
    salt = xr.Dataset({"salinity": daily["sst"].drop_attrs()})
    salt["salinity"].attrs["units"] = "1e-3"
    salt = open_sst(salt, variable="salinity")
    with pytest.warns(UserWarning, match="no temperature"):
        out = reconstruct(salt, sure)
    assert not [name for name in out if "uncertainty" in name]


def test_a_store_of_another_spread_is_not_gone_on_with(sure, daily, tmp_path):
    lazy = reconstruct(daily.chunk({"time": 59}), sure)
    assert write_months(lazy, tmp_path / "out.zarr", {"a": 1}) == (2, 0)
    assert write_months(lazy, tmp_path / "out.zarr", {"a": 1}) == (0, 2)
    with xr.open_zarr(tmp_path / "out.zarr") as written:
        assert np.isfinite(written["sst_uncertainty"].values).any(axis=(1, 2)).all()
    for attrs in ({"spread_sha256": "another"}, {}):
        other = lazy.copy()
        other.attrs = {k: v for k, v in lazy.attrs.items() if k != "spread_sha256"} | attrs
        with pytest.raises(ValueError, match="made with other settings"):
            write_months(other, tmp_path / "out.zarr", {"a": 1})


# ---------------------------------------------------------------- those shipped


@pytest.mark.parametrize("path", shipped_weights(), ids=lambda path: path.stem)
def test_shipped_spreads_are_right_on_a_simulated_sea(path):
    """A quick look at months nobody learned from; the record has the exams."""
    if not spread_file(path.stem).is_file():
        pytest.skip("this network ships without a spread")
    assert spread_file(path.stem).stat().st_size < 400_000
    from sst_tutorial.benchmark import simulated_months

    method, errors, said = as_sure_method(path.stem), [], []
    for month in simulated_months("cloudy", per_region=1, seed=3000):
        estimate, sd = method(month)
        errors.append((estimate - month.truth)[month.ocean])
        said.append(sd[month.ocean])
    found = calibration(np.concatenate(errors), np.concatenate(said))
    assert 0.75 < found["ratio"] < 1.35, found["ratio"]
    assert found["bins"][-1]["rmse"] > 1.5 * found["bins"][0]["rmse"]
