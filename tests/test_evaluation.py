"""Metrics against numbers worked out by hand, and the benchmark against its own score."""

import json
from dataclasses import replace

import numpy as np
import pytest

from sst_tutorial import benchmark, exams
from sst_tutorial import evaluation as ev
from sst_tutorial.baselines import BASELINES
from sst_tutorial.exams import Exam, Question
from sst_tutorial.months import Month
from sst_tutorial.results import write_results

NAN = np.nan


def simple_month(seed=0, size=16, name="2001-01"):
    rng = np.random.default_rng(seed)
    truth = 15 + rng.standard_normal((size, size))
    ocean = np.ones((size, size), dtype=bool)
    ocean[:, :3] = False
    sst = np.where(rng.random((30, size, size)) < 0.1, truth, NAN)
    sst[:, ~ocean] = NAN
    lat = np.linspace(-40, -36, size)
    return Month(sst, ocean, np.full(sst.shape, 15.0), np.where(ocean, truth, NAN), lat, name)


def shifted(by):
    """A method that knows the truth of `simple_month(0)` and misses it by a constant."""
    truth = simple_month().truth
    return lambda month: truth + by


def test_error_metrics_by_hand():
    error = np.array([1.0, 3.0])
    assert ev.bias(error) == 2
    assert ev.rmse(error) == pytest.approx(np.sqrt(5))
    assert ev.centred_rmse(error) == pytest.approx(1)  # 5 = 2^2 + 1^2
    assert ev.bias(error, [3, 1]) == pytest.approx(1.5)
    assert ev.rmse(error, [3, 1]) == pytest.approx(np.sqrt(3))
    assert np.isnan(ev.rmse(np.array([])))


def test_distance_to_coast():
    ocean = np.array([[False, True, True, True]])
    np.testing.assert_allclose(ev.distance_to_coast(ocean), [[0, 1, 2, 3]])
    assert np.isinf(ev.distance_to_coast(np.ones((2, 2), dtype=bool))).all()


def test_rmse_by_bins_close_on_the_right():
    rows = ev.rmse_by(np.array([1.0, 2.0, 2.0, 9.0]), np.array([0.0, 1.0, 1.5, np.inf]),
                      (0, 1, 2, np.inf))
    assert rows == [
        {"low": 0, "high": 1, "rmse": pytest.approx(np.sqrt(2.5)), "cells": 2},
        {"low": 1, "high": 2, "rmse": 2, "cells": 1},
        {"low": 2, "high": np.inf, "rmse": 9, "cells": 1},
    ]


def test_gradient_errors_ignore_land_and_offsets():
    truth = np.zeros((1, 4))
    prediction = np.array([[5.0, 7.0, 99.0, 1.0]])
    ocean = np.array([[True, True, False, True]])
    np.testing.assert_allclose(ev.gradient_errors(prediction, truth, ocean), [2.0])


def test_spectrum_peaks_at_the_wavelength_of_a_wave():
    wave = np.tile(np.sin(2 * np.pi * np.arange(64) / 8), (64, 1))
    sea = np.ones((64, 64), dtype=bool)
    wavenumber, power = ev.power_spectrum(wave, sea)
    assert wavenumber[np.argmax(power)] == pytest.approx(1 / 8)
    plane = np.add.outer(np.arange(64.0), 3 * np.arange(64.0))
    np.testing.assert_allclose(ev.power_spectrum(wave + plane, sea)[1], power, atol=1e-6)
    np.testing.assert_allclose(ev.power_spectrum(3 * wave, sea)[1], 9 * power)


def test_effective_resolution_by_hand():
    k = np.array([0.1, 0.2, 0.3, 0.4])
    # 0.5 lies a quarter of the way from 0.4 (k = 0.2) to 0.8 (k = 0.3): 1 / 0.225.
    assert ev.effective_resolution(k, [0.1, 0.4, 0.8, 0.3]) == pytest.approx(1 / 0.225)
    assert ev.effective_resolution(k, [0.1, 0.2, 0.3, 0.4]) == pytest.approx(2.5)
    assert np.isnan(ev.effective_resolution(k, [0.6, 0.1, 0.1, 0.1]))


def test_effective_resolution_of_nothing_is_no_number():
    assert np.isnan(ev.effective_resolution(np.arange(1, 9) / 16, np.full(8, NAN)))


def test_effective_resolution_of_a_cut_off():
    """A prediction without any wave shorter than 8 cells resolves about 8 cells."""
    noise = np.random.default_rng(0).standard_normal((128, 128))
    k = np.hypot(np.fft.fftfreq(128)[:, None], np.fft.fftfreq(128))
    smooth = np.fft.ifft2(np.fft.fft2(noise) * (k < 1 / 8)).real
    sea = np.ones((128, 128), dtype=bool)
    wavenumber, truth = ev.power_spectrum(noise, sea)
    error = ev.power_spectrum(noise - smooth, sea)[1]
    assert ev.effective_resolution(wavenumber, error / truth) == pytest.approx(8, rel=0.1)


def test_block_bootstrap_draws_whole_blocks():
    drawn = []
    ev.block_bootstrap(lambda i: drawn.append(i) or 0.0, 10, block=3, draws=50)
    for index in drawn:
        assert len(index) == 10
        for start in (0, 3, 6):
            np.testing.assert_array_equal(index[start : start + 3], (index[start] + range(3)) % 10)


def test_block_bootstrap_covers_the_mean_of_noise():
    hits = 0
    for seed in range(100):
        x = np.random.default_rng(seed).standard_normal(48)
        low, high = ev.block_bootstrap(lambda i, x=x: x[i].mean(), 48, draws=200, seed=seed)
        hits += low <= 0 <= high
    assert 84 <= hits <= 99  # about 95 %, less what 16 blocks cost


def test_difference_interval_is_paired():
    """B is worse than A by a hair in every month: hopeless unpaired, certain paired."""
    hard = np.random.default_rng(0).uniform(0.5, 2, 24)
    row = lambda x: {"by_month": {"square_sum": x**2, "weight_sum": np.ones(24)}}  # noqa: E731
    low, high = ev.difference_interval(row(hard), row(hard + 0.02))
    assert -0.03 < low < high < -0.01
    with pytest.raises(ValueError, match="same months"):
        ev.difference_interval(row(hard), {"by_month": {"square_sum": [1], "weight_sum": [1]}})


def test_score_of_a_constant_error():
    score = ev.score_months({"m": shifted(0.5)}, [simple_month()])["m"]
    for key in ("rmse", "bias", "rmse_seldom_seen", "rmse_never_seen"):
        assert score[key] == pytest.approx(0.5)
    assert score["centred_rmse"] == pytest.approx(0, abs=1e-9)
    assert score["gradient_rmse"] == pytest.approx(0, abs=1e-9)
    assert np.isnan(score["rmse_interval"]).all()  # one month says nothing about another
    np.testing.assert_allclose(score["spectrum"]["power_ratio"], 1)
    np.testing.assert_allclose(score["spectrum"]["error_ratio"], 0, atol=1e-12)
    n_ocean = simple_month().ocean.sum()
    for rows in (score["by_cloud_fraction"], score["by_distance_to_coast"]):
        assert sum(row["cells"] for row in rows) == n_ocean


def test_three_months_have_an_interval_and_land_has_no_score():
    months = [simple_month(), simple_month(1), simple_month(2)]
    low, high = ev.score_months({"m": shifted(0.5)}, months)["m"]["rmse_interval"]
    assert low < high
    months[1] = replace(months[1], ocean=np.zeros_like(months[1].ocean))
    with pytest.raises(ValueError, match="2001-01 has no ocean cell"):
        ev.score_months({"m": shifted(0.5)}, months)


def test_maps_of_two_sizes_have_no_common_spectrum():
    months = [simple_month(), simple_month(size=20)]
    score = ev.score_months({"m": BASELINES["mean of days"]}, months)["m"]
    assert score["spectrum"] is None and score["rmse"] > 0


def test_scores_of_two_months_pool_their_cells():
    months = [simple_month(), simple_month()]
    errors = iter([1.0, -1.0])
    predict = lambda month: shifted(next(errors))(month)  # noqa: E731
    score = ev.score_months({"m": predict}, months)["m"]
    assert score["rmse"] == pytest.approx(1)
    assert score["bias"] == pytest.approx(0, abs=1e-12)
    assert score["centred_rmse"] == pytest.approx(0, abs=1e-9)  # each map's own mean is taken away


def test_a_gap_over_ocean_is_an_error():
    def holed(month):
        return np.where(np.arange(256).reshape(16, 16) == 40, NAN, 1.0)

    with pytest.raises(ValueError, match="holed left 1 ocean cells of 2001-01"):
        ev.score_months({"holed": holed}, [simple_month()])
    with pytest.raises(ValueError, match=r"shape \(16, 16\)"):
        ev.score_months({"m": lambda month: np.zeros(3)}, [simple_month()])
    with pytest.raises(ValueError, match="months is empty"):
        ev.score_months({}, [])


def test_simulated_months_rank_the_baselines(monkeypatch):
    monkeypatch.setattr(benchmark, "REGIONS", {"Kuroshio": benchmark.REGIONS["Kuroshio"]})
    names = ("climatology", "mean of days", "gaussian", "optimal interpolation")
    methods = {name: BASELINES[name] for name in names}
    months = benchmark.simulated_months("cloudy", per_region=2)
    assert [month.name for month in months] == ["Kuroshio 2001-01", "Kuroshio 2001-03"]
    hidden = np.mean([np.isnan(m.sst[:, m.ocean]).mean() for m in months])
    assert hidden == pytest.approx(0.91, abs=0.02)
    rmse = {name: s["rmse"] for name, s in ev.score_months(methods, months).items()}
    assert rmse["optimal interpolation"] < rmse["gaussian"] < rmse["mean of days"]
    assert rmse["gaussian"] < rmse["climatology"]


def test_without_the_benchmark_it_says_so(monkeypatch, tmp_path):
    monkeypatch.setenv("SST_TUTORIAL_DATA", str(tmp_path))
    exams._smooth_months.cache_clear()  # another test may have read them
    with pytest.raises(FileNotFoundError, match="no benchmark.*--months simulated"):
        ev.evaluate({"climatology": BASELINES["climatology"]})


@pytest.fixture
def small_exam(monkeypatch):
    """An exam of two months in each of two groups; a month knows its day 15 too."""

    def make(group, twin):
        months = [simple_month(), simple_month(1, name="2001-02")]
        day = [Question(month, 15, month.truth) for month in months]
        return {"month": [Question(m) for m in months]} | ({} if group == "clear" else {"day": day})

    exam = Exam(5, (20, 21), ("cloudy", "clear"), make)
    monkeypatch.setitem(ev.EXAMS, "simulated", exam)
    return exam


def test_every_method_is_scored_printed_and_written(small_exam, tmp_path):
    out = tmp_path / "baselines.json"
    scored = ev.evaluate(BASELINES, months="simulated")
    write_results(scored, out)
    printed = ev.table(scored)
    results = json.loads(out.read_text())
    assert list(results["regimes"]) == ["cloudy", "clear"]
    for regime in results["regimes"].values():
        assert list(regime["methods"]) == list(BASELINES) and regime["n_months"] == 2
    assert all(name in printed for name in BASELINES)
    assert (results["version"], results["seed"], results["question"]) == (5, 20, "month")
    assert not results["validation"]


def test_the_twin_and_the_days_are_asked_by_name(small_exam):
    methods = {"gaussian": BASELINES["gaussian"]}
    scored = ev.evaluate(methods, ["cloudy"], "simulated", validation=True, daily=True)
    assert (scored["seed"], scored["question"], list(scored["regimes"])) == (21, "day", ["cloudy"])
    month = simple_month()
    error = (BASELINES["gaussian"](month, day=15) - month.truth)[month.ocean]
    row = scored["regimes"]["cloudy"]["methods"]["gaussian"]
    assert row["by_month"]["rmse"][0] == pytest.approx(ev.rmse(error))


def test_the_opening_is_told_once_before_the_first_question(small_exam):
    told = []

    def method(month):
        told.append("asked")
        return month.truth

    ev.evaluate({"m": method}, None, "simulated", opening=lambda: told.append("opened"))
    assert told == ["opened"] + 4 * ["asked"]
    with pytest.raises(ValueError, match="'foggy'"):
        ev.evaluate({"m": method}, ["foggy"], "simulated", opening=lambda: told.append("opened"))
    assert told.count("opened") == 1


def test_what_an_exam_has_not_is_told(small_exam):
    methods = {"gaussian": BASELINES["gaussian"]}
    with pytest.raises(ValueError, match="months must be one of smooth, .*got 'other'"):
        ev.evaluate(methods, months="other")
    with pytest.raises(ValueError, match="'foggy' is not of simulated; it has 'cloudy', 'clear'"):
        ev.evaluate(methods, ["cloudy", "foggy"], "simulated")
    with pytest.raises(ValueError, match="simulated, clear asks for no day; it has month"):
        ev.evaluate(methods, ["cloudy", "clear"], "simulated", daily=True)
    assert list(ev.evaluate(methods, None, "simulated", daily=True)["regimes"]) == ["cloudy"]


def test_lines_of_a_table_are_as_long_as_its_head(small_exam):
    scored = ev.evaluate({"gaussian": BASELINES["gaussian"]}, months="simulated")
    scored["regimes"]["memory of 80 days"] = scored["regimes"]["clear"]
    assert len({len(line) for line in ev.table(scored).splitlines()}) == 1


@pytest.fixture(scope="module")
def real_months():
    """The benchmark, read once: its climatology takes seconds."""
    if benchmark.benchmark_folder() is None:
        pytest.skip("the benchmark is not beside the shared data: set SST_TUTORIAL_DATA")
    return benchmark.benchmark_months("cloudy")


def test_benchmark_gives_the_published_figures(real_months):
    published = {"climatology": 1.206, "mean of days": 0.689, "mean anomaly": 0.458,
                 "linear in time": 0.456}
    scores = ev.score_months({name: BASELINES[name] for name in published}, real_months)
    assert {name: round(s["rmse"], 3) for name, s in scores.items()} == published


def test_we_score_as_the_benchmark_does(real_months):
    prior = {month.name: month.prior for month in real_months}

    def predict(case):
        name = str(case.time[0].astype("datetime64[M]"))
        return BASELINES["gaussian"](Month(case.sst, case.ocean, prior[name]))

    theirs = benchmark.benchmark_module().score(predict, "cloudy")
    ours = ev.score_months({"gaussian": BASELINES["gaussian"]}, real_months)["gaussian"]
    for our_key, their_key in (("rmse", "rmse"), ("rmse_seldom_seen", "rmse_seldom_seen"),
                               ("bias", "bias"), ("share_never_seen", "never_seen")):
        assert ours[our_key] == pytest.approx(theirs[their_key], abs=1e-6)
    assert ours["rmse"] < 0.27


def test_optimal_interpolation_leads_on_real_months(real_months):
    methods = {name: BASELINES[name] for name in ("gaussian", "optimal interpolation", "dineof")}
    rmse = {name: s["rmse"] for name, s in ev.score_months(methods, real_months[:6]).items()}
    assert rmse["optimal interpolation"] < rmse["gaussian"] < rmse["dineof"]
