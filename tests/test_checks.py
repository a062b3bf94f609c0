"""The scripts of experiments/checks on made-up months: they run, and their results say how."""

import importlib.util
import json
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from sst_tutorial.baselines import MeasuredCovariance
from sst_tutorial.evaluation import score_months
from sst_tutorial.months import Batch, Month
from sst_tutorial.networks import build
from sst_tutorial.prior import daily_climatology
from sst_tutorial.runs import validation_batches
from sst_tutorial.simulate import observe, simulate_clouds, simulate_ocean
from sst_tutorial.weights import load_weights, save_weights

matplotlib.use("agg")
FOLDER = Path(__file__).parents[1] / "experiments" / "checks"


def script(name):
    """A script as a module, without its `main` being called."""
    spec = importlib.util.spec_from_file_location(f"check_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


alboran, ablate, cover, less_time, networks, oi, simulation, uneven_errors = map(
    script,
    ("alboran", "ablate", "cover", "less_time", "networks", "oi", "simulation", "uneven_errors"),
)


def gappy(size=12, days=28, seed=0, share=0.2):
    """(sst (T, H, W) with gaps, ocean): waves about 15 degC, the first two rows land."""
    rng = np.random.default_rng(seed)
    sst = 15 + rng.normal(size=(days, size, size)).cumsum(0) / 5
    ocean = np.arange(size)[:, None].repeat(size, 1) >= 2
    return np.where(rng.random(sst.shape) < share, sst, np.nan), ocean


def some_months(regime="cloudy", n=3):
    months = []
    for seed in range(n):
        sst, ocean = gappy(seed=seed, share={"cloudy": 0.1, "clear": 0.3}[regime])
        truth = np.where(ocean, np.nanmean(sst), np.nan)
        months.append(Month(sst, ocean, np.full(sst.shape, 14.5), truth, name=f"month {seed}"))
    return months


def results_of(module, monkeypatch, tmp_path, *words):
    """What `main` writes, given the words of its command line."""
    monkeypatch.setattr(module, "RESULTS", tmp_path)
    name = Path(module.__file__).stem
    module.main(*([list(words)] if words else []))
    (path,) = tmp_path.glob("*.json")
    results = json.loads(path.read_text())
    command = results.pop("command")
    assert command == " ".join(["python", f"experiments/checks/{name}.py", *words])
    assert command.split(" ocean-1")[0] in module.__doc__
    return results


# ---------------------------------------------------------------- alboran


def test_alboran(monkeypatch, tmp_path):
    sst, ocean = gappy(days=5, share=0.9)
    sst[:3] = np.where(np.isfinite(sst[:3]), sst[:3], 15.0)
    axes = {"time": pd.date_range("2017-05-01", periods=5), "lat": np.arange(12.0)}
    axes["lon"] = np.arange(12.0)
    daily = xr.Dataset({"sst": (list(axes), sst), "ocean_mask": (("lat", "lon"), ocean)}, axes)
    monkeypatch.setattr(alboran, "shared_data", lambda: tmp_path)
    monkeypatch.setattr(alboran, "open_sst", lambda path: daily)
    monkeypatch.setattr(alboran, "DAYS_SEEN", 3)
    results = results_of(alboran, monkeypatch, tmp_path)
    assert results["cells"] == 120
    assert set(results["rmse"]) == {*alboran.NETWORKS, *alboran.COMPARED}
    assert all(len(errors) == 4 for errors in results["rmse_by_shift"].values())


def test_alboran_hides_what_other_days_did_not_see(monkeypatch):
    monkeypatch.setattr(alboran, "DAYS_SEEN", 2)
    sst, ocean = np.full((3, 1, 2), np.nan), np.ones((1, 2), dtype=bool)
    sst[:2] = [[[1.0, 2.0]], [[3.0, 4.0]]]
    shown = []

    def predict(month):
        shown.append(month.sst[:, 0, 0])
        return np.array([[2.0, 3.5]])

    errors = alboran.errors_by_shift(sst, ocean, {"m": predict})["m"]
    nan = np.nan  # seen on days 0 and 1, hidden where the day one or two before was not
    np.testing.assert_array_equal(shown, [[nan, 3, nan], [1, nan, nan]])
    np.testing.assert_allclose(errors, [[0.0, 0.5]] * 2)  # the truth is 2 and 3


# ---------------------------------------------------------------- ablate


@pytest.fixture
def small():
    """A transformer with both paths, that says something."""
    torch.manual_seed(0)
    network = {"name": "transformer", "embed_dim": 16, "hidden": 16, "spatial_heads": 2}
    slots = {"name": "corrections", "iterations": 3}, network | {"skip": True}
    estimator = build(*slots).eval()
    torch.nn.init.normal_(estimator.network.last.weight, std=0.3)
    return estimator, slots


def test_ablate(monkeypatch, tmp_path):
    monkeypatch.setattr(ablate, "benchmark_months", some_months)
    results = results_of(ablate, monkeypatch, tmp_path, "ocean-1")
    assert list(results["seeds"]) == ["1"]
    assert results["seeds"]["1"] == results["ablated"].pop("nothing")
    assert list(results["ablated"]) == list(ablate.parts(load_weights("ocean-1").network))
    errors = [row["cloudy"]["rmse"] for row in results["ablated"].values()]
    assert len(set(errors)) == len(errors) == 7


def test_ablated_parts_come_back(small):
    estimator, _ = small
    months = some_months()
    whole = ablate.score_of(estimator, months)
    for places, own in ablate.parts(estimator.network).values():
        assert ablate.ablated(estimator, months, places, own)["rmse"] != whole["rmse"]
        assert ablate.score_of(estimator, months)["rmse"] == whole["rmse"]


def test_an_ablation_is_paired_with_the_whole():
    whole = score_months({"zero": lambda month: 0 * month.truth}, some_months())["zero"]
    worse = score_months({"cold": lambda month: 0 * month.truth - 1}, some_months())["cold"]
    row = ablate.against(worse, whole)
    assert row["worse_months"] == len(some_months()) and min(row["minus_nothing"]) > 0
    assert ablate.against(whole, whole) == ablate.kept(whole) | {
        "minus_nothing": (0.0, 0.0),
        "worse_months": 0,
    }


def test_only_a_transformer_has_parts(tmp_path, capsys):
    slots = {"name": "corrections", "iterations": 3}, {"name": "convolutions", "skip": True}
    save_weights(tmp_path / "weights.safetensors", build(*slots), *slots, {})
    with pytest.raises(SystemExit):
        ablate.main([str(tmp_path)])
    assert "has no transformer" in capsys.readouterr().err


def test_a_hook_changes_what_it_says_and_no_more():
    x = torch.arange(24.0).view(1, 3, 2, 4)
    module = torch.nn.Identity()
    handle = ablate.hook(module, slice(1, None), ablate.own_mean)
    y = module(x)
    handle.remove()
    torch.testing.assert_close(y[:, :1], x[:, :1])
    torch.testing.assert_close(y[0, 1:], x[0, 1:].mean((1, 2), keepdim=True).expand(2, 2, 4))
    torch.testing.assert_close(module(x), x)
    tokens = torch.arange(12.0).view(1, 4, 3)  # (B, N, D): the mean over the places N
    handle = ablate.hook(module, None, ablate.own_mean)
    torch.testing.assert_close(module(tokens), tokens.mean(1, keepdim=True).expand(1, 4, 3))
    handle.remove()


# ---------------------------------------------------------------- networks


def test_networks(monkeypatch, tmp_path, small):
    estimator, slots = small
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    save_weights(tmp_path / "runs" / "mine" / "weights.safetensors", estimator, *slots, {})
    monkeypatch.setattr(networks, "benchmark_months", some_months)
    monkeypatch.setattr(networks, "MONTHS", {"benchmark": some_months})
    run = f"{tmp_path}/runs/mine"
    results = results_of(networks, monkeypatch, tmp_path, "ocean-1", run)
    assert set(results["networks"]) == set(results["parameters"]) == {"ocean-1", "mine"}
    assert results["networks"]["ocean-1"]["benchmark"]["clear"]["minus_reference"] == [0, 0]
    assert results["networks"]["mine"]["benchmark"]["cloudy"]["rmse"] > 0
    assert set(results["milliseconds"]["clear"]) == {"ocean-1", "mine", *networks.CLASSICAL}
    assert len(results["milliseconds_by_observations"]["ocean-1"]) == 5


def test_networks_of_one_name_are_refused(capsys):
    with pytest.raises(SystemExit):
        networks.main(["runs/a/full-0", "runs/b/full-0"])
    assert "two networks have one name" in capsys.readouterr().err


# ---------------------------------------------------------------- optimal interpolation


def complete_years(first, last):
    """What `open_sst` makes of a complete series of 4 x 5 cells."""
    time = pd.date_range(f"{first}-01-01", f"{last}-12-31")
    rng = np.random.default_rng(0)
    sst = 15 + rng.normal(size=(len(time), 4, 5)).cumsum(0) / 20
    sst[:, 0, 0] = np.nan
    axes = {"time": time, "lat": np.arange(4.0), "lon": np.arange(5.0)}
    daily = xr.Dataset({"sst": (list(axes), sst.astype("float32"))}, axes)
    return daily.assign(ocean_mask=daily["sst"].notnull().all("time"))


def test_oi_of_real_months():
    daily = complete_years(2009, 2012)
    climatology = daily_climatology(daily, (2009, 2010))
    measured = oi.measured_in(daily, climatology, (2009, 2010))
    assert isinstance(measured, MeasuredCovariance) and len(measured.patterns) == 19
    clouds = np.random.default_rng(0).random((60, 4, 5)) < np.linspace(0.1, 0.9, 60)[:, None, None]
    months = oi.cloudy_validation_months(daily, climatology, clouds)
    assert len(months) == 24 * 8
    years = {"val": oi.VALIDATION}
    expected = validation_batches(
        daily.assign(climatology=climatology), years, clouds, (1, 1, 1), "cpu"
    )["cloudy"]
    batch = Batch.of(months)
    for ours, theirs in zip((*batch.inputs, batch.target), (*expected.inputs, expected.target),
                            strict=True):  # fmt: skip
        assert torch.equal(ours, theirs)  # the months by which runs are chosen
    assert np.isfinite(measured.interpolate(months[0])[months[0].ocean]).all()


def test_oi(monkeypatch, tmp_path):
    region = {"Kuroshio": oi.REGIONS["Kuroshio"]}
    monkeypatch.setattr(oi, "REGIONS", region)
    monkeypatch.setattr(oi, "benchmark_folder", lambda: None)
    rng = np.random.default_rng(0)
    past = rng.normal(size=(80, 32, 32)).cumsum(0) / 5
    monkeypatch.setattr(oi, "past_anomalies", lambda lat, lon, seed: past - past.mean(0))
    named = [Month(m.sst, m.ocean, m.prior, m.truth, name=f"Kuroshio {m.name}")
             for m in some_months()]  # fmt: skip
    monkeypatch.setattr(oi, "simulated_months", lambda regime: named)
    results = results_of(oi, monkeypatch, tmp_path)
    assert set(results) == {"threads", "covariance", "simulated"}
    cloudy = results["simulated"]["cloudy"]
    assert set(cloudy) == {"OI, fitted", "OI, fitted to each sea"}
    assert len(cloudy["OI, fitted to each sea"]["by_month"]["square_sum"]) == 3


# ---------------------------------------------------------------- simulation, cover


def test_simulation(monkeypatch, tmp_path):
    made = simulation.simulated_anomalies(10.0, runs=1, days=45)
    assert made.shape == (1, 45, 26, 24)
    rng = np.random.default_rng(0)
    hidden = rng.random((30, 16, 16)) < np.linspace(0.3, 0.94, 30)[:, None, None]
    monkeypatch.setattr(simulation, "shared_data", lambda: tmp_path)
    monkeypatch.setattr(simulation, "real_anomalies", lambda: made[0])
    monkeypatch.setattr(simulation, "simulated_anomalies", lambda smooth_km: made)
    monkeypatch.setattr(simulation, "real_windows", lambda: (hidden, np.ones_like(hidden)))
    monkeypatch.setattr(simulation, "simulated_windows", lambda: hidden)
    results = results_of(simulation, monkeypatch, tmp_path)
    assert results["sea"]["simulated"] == results["sea"]["oisst_1982_2010"]
    assert 0.5 < results["sea"]["simulated"]["std_K"] < 2
    assert results["clouds"]["slstr"]["cover 0.60-0.80"]["windows"] > 3


def test_cover(monkeypatch, tmp_path):
    truth = simulate_ocean(shape=(16, 20), days=31)
    seen = observe(truth, simulate_clouds(truth))
    monkeypatch.setattr(cover, "month", lambda: (truth, seen))
    monkeypatch.setattr(cover, "COVER", tmp_path / "cover.png")
    cover.draw()
    assert (tmp_path / "cover.png").stat().st_size > 10_000


# ---------------------------------------------------------------- uneven errors


def test_uneven_errors(monkeypatch, tmp_path):
    """Months of waves: errors that are alike change nothing, uneven ones are of use when told."""
    turn = np.arange(28)[:, None, None] / 9 + np.arange(12)[:, None] / 7 + np.arange(12) / 5
    wave = 15 + np.sin(turn)  # (T, H, W)
    ocean = gappy()[1]
    seen = np.where(np.isfinite(gappy(share=0.4)[0]), wave, np.nan)
    prior = np.full(wave.shape, 15.0)
    month = Month(seen, ocean, prior, wave.mean(0), truth_of_days=wave)
    monkeypatch.setattr(uneven_errors, "SEEDS", 2)
    monkeypatch.setattr(uneven_errors, "months_of", lambda sea: [month] * 4)
    asked = {"ocean-1": (("waves", "month"),), "ocean-2": (("waves", "day"),)}
    monkeypatch.setattr(uneven_errors, "ASKED", asked)
    found = results_of(uneven_errors, monkeypatch, tmp_path)["networks"]
    for rows in (found["ocean-1"]["waves, month"], found["ocean-2"]["waves, day"]):
        assert list(rows) == list(uneven_errors.CASES)
        assert abs(rows["0.3 K"]["change"]) < 1e-4
        assert rows["0.1 or 0.9 K by pixel"]["change"] < -0.03
        for row in rows.values():
            assert row["change"] == pytest.approx(row["told"] / row["untold"] - 1, abs=1e-4)


# ---------------------------------------------------------------- all


@pytest.mark.parametrize(
    "module", [alboran, ablate, cover, less_time, networks, oi, simulation, uneven_errors]
)
def test_a_script_says_its_command_and_its_duration(module):
    assert f"python experiments/checks/{Path(module.__file__).name}" in module.__doc__
    assert "minute" in module.__doc__ or "seconds" in module.__doc__


@pytest.mark.parametrize(
    "name, module",
    [("alboran", alboran), ("ablated", ablate), ("less_time", less_time), ("oi", oi),
     ("simulation", simulation), ("uneven_errors", uneven_errors)],  # fmt: skip
)
def test_stored_results_name_the_command_that_makes_them(name, module):
    stored = json.loads((FOLDER.parent / "results" / f"{name}.json").read_text())
    assert stored["command"] in module.__doc__


def test_weights_of_oi_are_those_of_its_maps(monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    gains = script("following").gains
    anomaly = np.random.default_rng(0).normal(size=(200, 9)).cumsum(1)
    covariance = MeasuredCovariance.of(anomaly, 4, offset=0.0)
    days, prior = np.array([0, 1, 4]), np.full((5, 3, 3), 10.0)
    gain = gains(covariance, days, 2, 0.09)  # (cells, days, cells)
    assert gain.shape == (9, 3, 9) and np.abs(gain).max() > 0.05
    for n, day in enumerate(days):
        for cell in range(9):
            sst = np.full((5, 3, 3), np.nan)
            sst[days] = 10.0
            sst[day, cell // 3, cell % 3] += 1.0
            month = Month(sst, np.ones((3, 3), bool), prior)
            answer = covariance.interpolate(month, day=2) - 10.0
            np.testing.assert_allclose(answer.ravel(), gain[:, n, cell], atol=1e-9)


def test_oi_looks_at_the_place_wherever_the_water_went(monkeypatch):
    """Its weights are the same for all windows: ways that go east and west alike give share 0."""
    monkeypatch.syspath_prepend(FOLDER)
    following = script("following")
    monkeypatch.setattr(following, "RUNS", 2)
    look = torch.rand(31, 32, 32, generator=torch.Generator().manual_seed(0))
    look = look.expand(4, -1, -1, -1)
    east = torch.tensor([0.0, 5.0]).expand(31, 2)
    way = torch.stack([east, -east, -east, east])
    told = following.answer_of(look, torch.ones(4), way)
    np.testing.assert_allclose(told["share_of_the_way"], 0.0, atol=1e-4)
    np.testing.assert_allclose(told["weight_of_the_day"], look[0].sum((1, 2)), rtol=1e-4)
    assert told["rmse_K"] == 1.0
