"""The judge: a file scored by its own observations, withheld below the clouds of other days."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import ndimage

import sst_tutorial
from sst_tutorial import judging, open_sst
from sst_tutorial.baselines import Covariance, optimal_interpolation
from sst_tutorial.benchmark import shared_data
from sst_tutorial.cli import main
from sst_tutorial.exams import under_other_skies
from sst_tutorial.judging import draw, hide, judge, table
from sst_tutorial.local_oi import fit_to_gappy, local_interpolation, noise_of, variogram
from sst_tutorial.months import Month
from sst_tutorial.results import write_results

NAN = np.nan
QUICK = ["mean of days", "linear in time"]


def a_file(field, cover=0.5, noise=0.2, seed=0, start="2001-05-01"):
    """An opened Dataset of a field (T, H, W) degC below clouds of several cells, with noise."""
    rng = np.random.default_rng(seed)
    T, H, W = field.shape
    clouds = ndimage.gaussian_filter(rng.standard_normal(field.shape), (0.7, 2.5, 2.5))
    seen = clouds > np.quantile(clouds, cover)
    sst = np.where(seen, field + noise * rng.standard_normal(field.shape), NAN).astype(np.float32)
    return dataset(sst, start)


def dataset(sst, start="2001-05-01", ocean=None):
    T, H, W = sst.shape
    ocean = np.ones((H, W), bool) if ocean is None else ocean
    data = {"sst": (("time", "lat", "lon"), sst), "ocean_mask": (("lat", "lon"), ocean)}
    axes = {
        "time": pd.date_range(start, periods=T),
        "lat": -40 + 0.25 * np.arange(H),
        "lon": 150 + 0.25 * np.arange(W),
    }
    ds = xr.Dataset(data, axes)
    ds["sst"].attrs["units"] = "degree_Celsius"
    return ds


def a_moving_field(T=60, side=16, seed=3):
    """Anomalies with a memory of some days, smooth over some cells, standard deviation 1 K."""
    rng = np.random.default_rng(seed)
    field = ndimage.gaussian_filter(rng.standard_normal((T + 40, side, side)), (0, 2, 2))
    field /= field.std()
    for t in range(1, len(field)):
        field[t] = 0.85 * field[t - 1] + (1 - 0.85**2) ** 0.5 * field[t]
    return 15 + field[40:]


def without_seconds(results):
    text = json.loads(json.dumps(results))
    for row in text["methods"].values():
        row.pop("seconds")
    return text


# ---------------------------------------------------------------- files whose best is known


def test_a_sea_that_never_changes_is_best_filled_by_its_mean():
    rng = np.random.default_rng(1)
    still = np.broadcast_to(15 + rng.standard_normal((12, 12)), (48, 12, 12))
    results = judge(a_file(still, noise=0.4))
    assert results["take"] == "mean of days", results["words"]
    rows = results["methods"]
    assert "linear in time" not in results["tied"] and rows["linear in time"]["minus_best"][1] > 0
    # What is left is the noise of the withheld and that of a mean of some 15.
    assert rows["mean of days"]["rmse"] == pytest.approx(0.4 * (1 + 1 / 15) ** 0.5, rel=0.06)


def test_a_field_with_a_covariance_is_best_filled_by_interpolation():
    daily = a_file(a_moving_field())
    assert judge(daily)["take"] == "local OI"  # with the network too, which it cannot tell apart
    results = judge(daily, list(judging.METHODS))
    assert results["take"] == results["best"] == "local OI", results["words"]
    assert results["words"].startswith("Take local OI: it errs by 0.")
    rows = results["methods"]
    assert all(row["minus_best"][1] > 0 for name, row in rows.items() if name != "local OI")
    low, high = rows["local OI"]["interval"]
    assert 0.2 < low < rows["local OI"]["rmse"] < high < 1


def test_methods_that_are_alike_cannot_be_told_apart():
    daily = a_file(a_moving_field(side=8))
    methods = {name: lambda month, day=None: month.prior_mean for name in ("one", "two")}
    results = judge(daily, methods)
    assert results["tied"] == ["one", "two"] and results["take"] == "one"
    assert "cannot tell one and two apart" in results["words"]


def test_few_days_cannot_tell():
    results = judge(a_file(a_moving_field(T=12, side=8)), QUICK)
    assert results["take"] is None and results["withheld"]["days"] < judging.FEW
    assert results["words"].startswith("The data cannot tell: ")


def test_an_error_that_is_known_is_told():
    field = np.broadcast_to(15.0, (40, 6, 7))
    daily = a_file(field, noise=0.0)
    wrong = judge(daily, {"wrong": lambda month, day=None: np.full((6, 7), 16.5)})
    row = wrong["methods"]["wrong"]
    assert row["rmse"] == pytest.approx(1.5) and row["bias"] == pytest.approx(1.5)
    assert row["interval"] == pytest.approx([1.5, 1.5])
    total = wrong["withheld"]["observations"]
    assert total > 100
    for key in judging.KEYS:
        bins = row[f"by_{key}"]
        assert sum(b["observations"] for b in bins) == total
        assert all(b["rmse"] == pytest.approx(1.5) for b in bins)
    assert sum(row["square_sum"]) == pytest.approx(1.5**2 * total)


# ---------------------------------------------------------------- what a method may see


def test_no_method_ever_sees_what_is_withheld(monkeypatch):
    """Each observation has a value of its own; those withheld in a draw reach nobody in it."""
    daily = a_file(15 + np.arange(40 * 36).reshape(40, 6, 6) / 500, noise=0.0)
    total, checked = [], set()
    now = {}  # of the draw: what is withheld, values (n,) and where (T, H, W)

    def watched(sst, ocean, sky):
        left, withheld = under_other_skies(sst, ocean, sky)
        where = np.isfinite(withheld)
        assert not np.isfinite(left[where]).any()
        total.append(int(where.sum()))
        now.update(values=withheld[where], where=where)
        return left, withheld

    def through(name):  # what works on anomalies of the whole series
        inner = getattr(judging, name)

        def outer(anomaly, *rest, **words):
            assert np.isnan(anomaly[now["where"]]).all()
            checked.add(name)
            return inner(anomaly, *rest, **words)

        monkeypatch.setattr(judging, name, outer)

    monkeypatch.setattr(judging, "under_other_skies", watched)
    for name in ("dineof_of_series", "fit_to_gappy", "local_interpolation"):
        through(name)

    def spy(month, day=None):
        assert not np.isin(month.sst[month.observed], now["values"]).any()
        checked.add("month")
        return month.prior_mean

    judge(daily, {"spy": spy}, draws=4)
    judge(daily, ["dineof", "local OI"], draws=4)
    assert checked == {"month", "dineof_of_series", "fit_to_gappy", "local_interpolation"}
    assert sum(total) > 100


def test_a_draw_hides_some_days_and_leaves_the_others():
    sst = a_file(a_moving_field(side=8))["sst"].values
    ocean = np.ones((8, 8), bool)
    rng, well_seen = np.random.default_rng(0), judging.well_seen_days(sst)
    skies = [judging.sky_of(well_seen, draw, rng) for draw in range(4)]
    moved = np.array([sky != np.arange(60) for sky in skies])
    assert (moved.sum(0) <= 1).all() and 0 < moved.sum(1).max() <= 15
    count = np.isfinite(sst).sum((1, 2))
    assert (moved.any(0) == (count >= np.median(count))).all()
    left, withheld = under_other_skies(sst, ocean, skies[0])
    stays = ~moved[0]
    np.testing.assert_array_equal(left[stays], sst[stays])
    assert not np.isfinite(withheld[stays]).any() and np.isfinite(withheld).any()


def test_days_since_a_cell_was_seen():
    seen = np.array([0, 0, 1, 0, 0, 1, 1], bool)[:, None, None]
    age = judging._age(seen)[:, 0, 0]
    np.testing.assert_array_equal(age, [np.inf, np.inf, 0, 1, 2, 0, 0])


def test_windows_hold_their_day_and_calendar_months_are_whole():
    daily = a_file(a_moving_field(T=70, side=6))
    sst = daily["sst"].values
    asked = np.stack([np.arange(70), np.zeros(70, int), np.zeros(70, int)], 1)
    question = judging.Question(
        sst, daily["ocean_mask"].values, asked, daily.indexes["time"], *(daily[k].values for k in
        ("lat", "lon"))
    )  # fmt: skip
    held = []

    def seen(month, day):
        held.append((len(month.sst), day))
        return np.where(month.observed[day], month.sst[day], -1.0)

    for adapter in (judging._by_windows, judging._by_calendar):
        held.clear()
        expected = np.where(np.isfinite(sst[:, 0, 0]), sst[:, 0, 0], -1)
        np.testing.assert_allclose(adapter(seen)(question), expected, rtol=1e-6)
        assert len(held) == 70
        if adapter is judging._by_windows:
            inner = held[10:-10]
            assert all(n == 31 and 10 <= day <= 20 for n, day in inner)
        else:
            assert {n for n, _ in held} == {31, 30}


# ---------------------------------------------------------------- seeds and order


def test_the_same_seed_gives_the_same_and_days_may_come_in_any_order():
    daily = a_file(a_moving_field(T=40, side=8))
    once = without_seconds(judge(daily, QUICK, seed=4))
    assert without_seconds(judge(daily, QUICK, seed=4)) == once
    order = np.random.default_rng(0).permutation(40)
    assert without_seconds(judge(daily.isel(time=order), QUICK, seed=4)) == once
    assert judge(daily, QUICK, seed=5)["methods"] != once["methods"]


def test_absent_days_are_days_without_observations():
    daily = a_file(a_moving_field(T=40, side=8))
    daily["sst"][17:20] = NAN
    once = without_seconds(judge(daily, QUICK))
    without = daily.isel(time=np.r_[0:17, 20:40])
    assert without_seconds(judge(without, QUICK)) == once and once["file"]["days"] == 40


def test_a_large_file_is_cut(monkeypatch):
    monkeypatch.setattr(judging, "MOST_CELL_DAYS", 30 * 36)
    monkeypatch.setattr(judging, "MOST_DAYS", 30)
    daily = a_file(a_moving_field(T=40, side=12))
    daily["ocean_mask"][:, :6] = False
    daily["sst"][:] = daily["sst"].where(daily["ocean_mask"])
    about = judge(daily, QUICK)["file"]
    assert about["days"] == 30 and about["last_day"] == "2001-06-09" and not about["whole_file"]
    assert about["rows"] * about["columns"] == about["ocean_cells"] == 36
    monkeypatch.setattr(judging, "MOST_JUDGED", 5)
    few = judge(daily, QUICK)["withheld"]
    assert few["observations"] <= 5 * few["days"] * 2


def test_a_period_judges_its_days_alone_and_hides_no_others():
    daily = a_file(a_moving_field(T=60, side=8))
    times, seen = daily.indexes["time"], []

    def spy(month, day=None):
        seen.append(int(month.observed.sum()))
        return month.prior_mean

    results = judge(daily, {"spy": spy}, period=("2001-06-10", None))
    dates = results["withheld"]["by_day"]["date"]
    assert results["period"] == ["2001-06-10", "2001-06-29"] and 8 <= len(dates) <= 12
    assert min(dates) >= "2001-06-10" and "judged from 2001-06-10" in table(results)
    early = judge(daily, {"spy": spy}, period=(None, "2001-05-20"))
    assert max(early["withheld"]["by_day"]["date"]) <= "2001-05-20"
    with pytest.raises(ValueError, match="has no such day, it runs from 2001-05-01 to 2001-06-29"):
        judge(daily, QUICK, period=("2002-01-01", None))
    with pytest.raises(ValueError, match="period=.* must be two days"):
        judge(daily, QUICK, period=("soon", None))
    whole = judge(daily, QUICK, period=(times[0], times[-1]))
    assert without_seconds(whole) == without_seconds(judge(daily, QUICK))
    assert "judged from" not in table(whole)


def test_several_networks_side_by_side_and_their_difference():
    daily = a_file(a_moving_field(T=40, side=8))
    methods = {"a": lambda month, day=None: month.prior[day], "b": lambda month, day=None:
        month.prior[day] + 1.0}  # fmt: skip
    results = judge(daily, methods)
    rmse = {name: row["rmse"] for name, row in results["methods"].items()}
    more, low, high = judging.difference(results, "b", "a")
    assert more == pytest.approx(rmse["b"] - rmse["a"]) and 0 < low < more < high
    less = judging.difference(results, "a", "b")
    np.testing.assert_allclose(less, [-more, -high, -low])


# ---------------------------------------------------------------- other variables, errors of pixels


def test_another_variable_is_judged_in_its_own_unit():
    """The same sea in pascals: all methods err a hundred times as much."""
    daily = a_file(a_moving_field(T=60, side=10))
    other = daily.copy()
    other["sst"] = (100 * daily["sst"].astype("float64") + 101_000 - 1500).astype("float32")
    other["sst"].attrs["units"] = "Pa"
    other.attrs |= {"variable": "pressure", "variable_units": "Pa"}
    results, expected = judge(other, draws=4), judge(daily, draws=4)
    assert results["units"] == "Pa" and results["take"] == expected["take"]
    for name in judging.METHODS:
        ratio = results["methods"][name]["rmse"] / expected["methods"][name]["rmse"]
        assert ratio == pytest.approx(100, rel=0.03), name


def an_uneven_file(T=60, side=14):
    """Half of the pixels have four times the noise of the others, and the file says so."""
    field = a_moving_field(T=T, side=side)
    rng = np.random.default_rng(4)
    error = np.where(rng.random(field.shape) < 0.5, 0.2, 0.8).astype(np.float32)
    daily = a_file(field, noise=0.0)
    daily["sst"] += error * rng.standard_normal(field.shape).astype(np.float32)
    told = daily.assign(sst_error=(("time", "lat", "lon"), error))
    return daily, told


def test_local_oi_trusts_the_better_pixels():
    daily, told = an_uneven_file()
    results = [judge(d, ["local OI", "gaussian"]) for d in (daily, told)]
    rows = [r["methods"] for r in results]
    assert rows[0]["gaussian"]["rmse"] == rows[1]["gaussian"]["rmse"]
    # The withheld have a noise of 0.58 K themselves: what is left to win is the rest.
    without, with_errors = ((row["local OI"]["rmse"] ** 2 - 0.34) ** 0.5 for row in rows)
    assert with_errors < 0.96 * without  # 0.946


def test_errors_share_out_the_noise_that_the_file_shows():
    anomaly = np.zeros((2, 3, 3))
    anomaly[0, 0, 0] = NAN
    even = np.full(anomaly.shape, 0.5)
    np.testing.assert_allclose(noise_of(anomaly, even, 0.09), 0.09)  # a modest product
    np.testing.assert_allclose(noise_of(anomaly, even / 100, 0.09), 0.09)  # one that boasts
    np.testing.assert_array_equal(noise_of(anomaly, None, 0.09), np.full(anomaly.shape, 0.09))
    uneven = even.copy()
    uneven[1] = 0.1
    noise = noise_of(anomaly, uneven, 0.09)
    assert noise[np.isfinite(anomaly)].mean() == pytest.approx(0.09)
    assert noise[0, 1, 1] == pytest.approx(25 * noise[1, 1, 1])
    uneven[1, 2, 2] = NAN
    assert noise_of(anomaly, uneven, 0.09)[1, 2, 2] == 0.09


def test_optimal_interpolation_takes_the_errors_for_its_noise():
    rng = np.random.default_rng(0)
    sst = np.where(rng.random((6, 5, 7)) < 0.3, 15 + rng.standard_normal((6, 5, 7)), NAN)
    month = Month(sst, np.ones((5, 7), bool), np.full(sst.shape, 15.0))
    covariance = Covariance(noise_variance=0.25)
    same = np.where(rng.random(sst.shape) < 0.5, 0.5, NAN)  # NaN: as the covariance has it
    for day in (None, 2):
        known = optimal_interpolation(month, covariance, day=day)
        told = optimal_interpolation(month, covariance, day=day, error=same)
        np.testing.assert_allclose(told, known)
        # Endless noise is no observation.
        without = Month(np.where(np.arange(7) < 3, sst, NAN), month.ocean, month.prior)
        endless = np.broadcast_to(np.where(np.arange(7) < 3, 0.5, 1e6), sst.shape)
        found = optimal_interpolation(month, covariance, day=day, error=endless)
        expected = optimal_interpolation(without, covariance, day=day)
        np.testing.assert_allclose(found, expected, atol=1e-6)
    with pytest.raises(ValueError, match=r"error must have shape \(6, 5, 7\)"):
        optimal_interpolation(month, error=np.ones((5, 7)))


# ---------------------------------------------------------------- refusals


def refused(daily, words, **options):
    with pytest.raises(ValueError, match=words) as error:
        judge(daily, **options)
    assert "\n" not in str(error.value)


def test_files_that_cannot_be_judged():
    field = a_moving_field(T=20, side=6).astype(np.float32)
    refused(dataset(field, ocean=np.zeros((6, 6), bool)), "all land, 6 x 6")
    refused(dataset(field[:4]), "on 4 days; .* needs 6 days")
    one = np.full_like(field, NAN)
    refused(dataset(one.copy()), "0 observations on 0 days")
    one[3, 2, 2] = 15
    refused(dataset(one), "1 observations? on 1 days?")
    refused(dataset(field), "nothing could be withheld")


def test_wrong_arguments():
    daily = a_file(a_moving_field(T=30, side=6))
    refused(daily, "draws must be a whole number of at least 1, got 0", draws=0)
    refused(daily, "draws must be .* got 2.5", draws=2.5)
    refused(daily, "seed must be a whole number of at least 0, got -1", seed=-1)
    refused(daily, "'krige' is unknown; there are: mean of days", methods=["krige"])
    refused(daily, "methods is empty", methods=[])
    refused(
        daily, "holes left .* without", methods={"holes": lambda month, day=None: month.sst[day]}
    )
    refused(daily, r"odd: must return shape \(6, 6\), got \(2,\)", methods={
        "odd": lambda month, day=None: np.zeros(2)})  # fmt: skip
    refused(daily, "never learned to answer for single days", model="ocean-1", methods=QUICK)


def test_shipped_weights_that_learned_days_are_judged_by_default():
    daily = a_file(a_moving_field(T=30, side=6))
    network = judge(daily, draws=1)["methods"]["network"]
    named = judge(daily, draws=1, methods="network", model="ocean-2")["methods"]["network"]
    assert network["rmse"] == named["rmse"] > 0


@pytest.mark.parametrize("shape", [(30, 1, 1), (30, 1, 9), (30, 2, 2), (12, 3, 5)])
def test_odd_shapes_end_in_numbers_or_one_line(shape):
    rng = np.random.default_rng(0)
    sst = 15 + rng.standard_normal(shape)
    sst[rng.random(shape) < 0.5] = NAN
    results = judge(dataset(sst.astype(np.float32)))
    assert all(np.isfinite(row["rmse"]) for row in results["methods"].values())
    table(results), draw(results)


# ---------------------------------------------------------------- local interpolation


def test_local_interpolation_with_all_observations_is_optimal_interpolation():
    rng = np.random.default_rng(0)
    sst = np.where(rng.random((6, 5, 7)) < 0.3, 15 + rng.standard_normal((6, 5, 7)), NAN)
    month = Month(sst, np.ones((5, 7), bool))
    covariance = Covariance(0.6, 2.0, 3.0, 0.8, 5.0, 20.0, 0.09)
    expected = optimal_interpolation(month, covariance, day=2)
    row, col = np.indices((5, 7)).reshape(2, -1)
    asked = np.stack([np.full(35, 2), row, col], 1)
    found = local_interpolation(month.anomaly, asked, covariance, nearest=1000)
    np.testing.assert_allclose(found + month.prior[2].ravel(), expected.ravel(), atol=1e-4)
    few = local_interpolation(month.anomaly, asked, covariance, nearest=5)
    assert 0 < np.abs(few - found).max() < 1


def test_where_nothing_is_seen_the_estimate_is_zero():
    empty = np.full((4, 3, 3), NAN)
    assert local_interpolation(empty, [(1, 1, 1)], Covariance()).tolist() == [0.0]
    assert local_interpolation(empty, np.empty((0, 3), int), Covariance()).shape == (0,)


def test_a_variogram_is_half_the_mean_squared_difference():
    rng = np.random.default_rng(0)
    noise = 0.5 * rng.standard_normal((40, 20, 20))
    noise[rng.random(noise.shape) < 0.6] = NAN
    lags = variogram(noise)
    np.testing.assert_allclose(lags[:, 2], 0.25, rtol=0.1)
    assert (lags[:, 3] >= 30).all() and not ((lags[:, 0] == 0) & (lags[:, 1] == 0)).any()
    r1 = lags[(lags[:, 0] == 1) & (lags[:, 1] == 0)][0]
    rows, cols = noise[:, 1:] - noise[:, :-1], noise[:, :, 1:] - noise[:, :, :-1]
    steps = np.concatenate([rows[np.isfinite(rows)], cols[np.isfinite(cols)]])
    assert r1[2] == pytest.approx(0.5 * np.mean(steps**2)) and r1[3] == len(steps)


def test_the_fit_finds_the_noise_and_the_variance():
    field = a_moving_field(T=120, side=24) - 15
    noisy = field + 0.5 * np.random.default_rng(0).standard_normal(field.shape)
    noisy[np.random.default_rng(1).random(field.shape) < 0.5] = NAN
    found = fit_to_gappy(noisy)
    assert 0.15 < found.noise_variance < 0.4
    assert 0.6 < found.short_variance + found.long_variance < 2.5
    with pytest.raises(ValueError, match="a covariance needs 7"):
        fit_to_gappy(np.full((10, 5, 5), NAN))


# ---------------------------------------------------------------- written, drawn, asked by a shell


@pytest.fixture(scope="module")
def netcdf(tmp_path_factory):
    path = tmp_path_factory.mktemp("judge") / "daily.nc"
    daily = a_file(a_moving_field(T=40, side=8))
    daily["ocean_mask"] = daily["ocean_mask"].astype("int8")
    daily.rename(ocean_mask="mask").to_netcdf(path)
    return path


def test_json_and_back(tmp_path):
    results = judge(a_file(a_moving_field(T=40, side=8)), QUICK)
    write_results(results, tmp_path / "judged.json")
    back = json.loads((tmp_path / "judged.json").read_text())
    assert back["words"] == results["words"] and back["take"] == results["take"]
    for name, row in results["methods"].items():
        assert back["methods"][name]["rmse"] == pytest.approx(row["rmse"], rel=1e-5)
    assert table(back).splitlines()[3:] == table(results).splitlines()[3:]
    assert len(draw(back).axes) == 2
    assert back["methods"]["linear in time"]["by_days_since_observation"][-1]["high"] in (
        None, 8, 4, 2)  # fmt: skip


def test_the_figure_shows_what_its_words_say():
    results = judge(a_file(a_moving_field(T=40, side=8)), QUICK)
    above, below = draw(results).axes
    best, *_ = (label.get_text() for label in above.get_yticklabels())
    assert best == results["best"] and f"first: {best}" in results["figure_alt"]
    assert "(K)" in above.get_xlabel() and below.get_ylim()[0] == 0
    for row in results["methods"].values():
        assert f"{row['rmse']:.2f}" in results["figure_alt"]


def test_the_command(netcdf, tmp_path, capsys):
    out, figure = tmp_path / "j.json", tmp_path / "j.png"
    words = ["judge", str(netcdf), "--draws", "2", "--out", str(out), "--figure", str(figure)]
    assert main(words) == 0
    said = capsys.readouterr().out
    record = json.loads(out.read_text())
    assert record["words"] in said and "local OI" in said and record["command"].endswith("j.png")
    assert figure.read_bytes()[:4] == b"\x89PNG"
    for name in ("--out", "--figure"):
        where = out if name == "--out" else figure
        before = where.read_bytes()
        assert main(["judge", str(netcdf), name, str(where)]) == 2
        assert "exists" in capsys.readouterr().err and where.read_bytes() == before
    assert main([*words, "--overwrite"]) == 0
    assert not list(tmp_path.glob(".*"))


def test_mistakes_at_the_shell_are_one_line(netcdf, tmp_path, capsys):
    for words, said in (
        (["--out", str(tmp_path / "j.nc")], "must end in .json"),
        (["--figure", str(tmp_path / "no" / "j.png")], "no folder"),
        (["--seed", "-1"], "seed must be"),
        (["--model", "ocean-1"], "never learned"),
        (["--judge-from", "June"], "--judge-from 'June' is not a day YYYY-MM-DD"),
        (["--judge-from", "2031-01-01"], "error: --judge-from, --judge-to: 2031-01-01 to 2001-"),
        (["--variable", "salt"], "salt"),
    ):
        assert main(["judge", str(netcdf), *words]) == 2
        error = capsys.readouterr().err.strip().splitlines()
        assert said in error[-1] and error[-1].startswith("sst-tutorial: error")


def test_a_closed_pipe_stops_the_printing_only(netcdf, tmp_path):
    out = tmp_path / "piped.json"
    program = f"from sst_tutorial.cli import main; raise SystemExit(main({['judge', str(netcdf), '--draws', '1', '--out', str(out)]}))"  # noqa: E501
    work = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    work.stdout.close()
    error = work.stderr.read().decode()
    assert work.wait(120) == 0 and "Traceback" not in error and "Broken" not in error
    assert json.loads(out.read_text())["methods"]


def test_it_is_in_the_package_by_name():
    assert sst_tutorial.judge is judge and "judge" in sst_tutorial.__all__


# ---------------------------------------------------------------- real files


@pytest.mark.skipif(shared_data() is None, reason="no shared data here: set SST_TUTORIAL_DATA")
def test_a_summer_off_alboran():
    daily = open_sst(shared_data() / "alboran_l3s_2022_jja.nc")
    results = judge(daily, ["mean of days", "gaussian", "local OI"], draws=4)
    assert results["take"] == "local OI" and results["withheld"]["days"] > 30
    assert results["methods"]["local OI"]["rmse"] < 0.7


def test_the_network_is_told_the_errors_of_the_file():
    """A file of two sensors, 0.05 and 1 K: told who saw what it errs less."""
    rng = np.random.default_rng(2)
    field = a_moving_field(T=40)
    daily = a_file(field, noise=0.0)
    error = np.where(rng.random(field.shape) < 0.5, 0.05, 1.0).astype(np.float32)
    daily["sst"] += error * rng.standard_normal(field.shape).astype(np.float32)
    told = daily.assign(sst_error=(daily["sst"].dims, error))
    rmse = [judge(ds, "network", draws=2)["methods"]["network"]["rmse"] for ds in (told, daily)]
    # All errors hold the noise of what was withheld, 0.71 K, which nothing can foretell.
    excess = [value**2 - 0.5 for value in rmse]
    assert excess[0] < 0.9 * excess[1], rmse


def test_the_table_tells_how_sure_each_bin_is():
    results = judge(a_file(a_moving_field()), QUICK, draws=4)
    lines = table(results).splitlines()
    first = results["methods"]["mean of days"]["by_days_since_observation"]
    at = lines.index("RMSE by days since the cell was seen (the last: or never before)")
    spans = [
        f"{low:.2f}-{high:.2f}" for low, high in (b["interval"] for b in first if b["interval"])
    ]
    assert lines[at + 4].startswith("  95 % interval") and lines[at + 4].split()[3:] == spans
    assert len(spans) > 1 and max(map(len, lines[at:-1])) < 90


# ---------------------------------------------------------------- maps of other programs


def test_maps_made_elsewhere_are_scored_where_nobody_saw(tmp_path):
    """What `reconstruct` makes of the file that `hide` writes has the row of the network."""
    a_file(a_moving_field(T=40)).to_netcdf(tmp_path / "a.nc")
    where = {name: str(tmp_path / name) for name in ("a.nc", "left.nc", "maps.nc", "j.json")}
    asked = ["--judge-from", "2001-05-10", "--seed", "3"]
    assert main(["judge", where["a.nc"], "--hide", where["left.nc"], *asked]) == 0
    left, full = (open_sst(where[name])["sst"] for name in ("left.nc", "a.nc"))
    assert 0.7 < left.notnull().sum() / full.notnull().sum() < 0.97
    np.testing.assert_array_equal(left, full.where(left.notnull()))
    assert main(["reconstruct", where["left.nc"], where["maps.nc"], "--daily"]) == 0
    filled = ["--filled", f"mine={where['maps.nc']}", "--out", where["j.json"]]
    assert main(["judge", where["a.nc"], *asked, *filled]) == 0
    results = json.loads((tmp_path / "j.json").read_text())
    mine, network = (results["methods"][name] for name in ("mine", "network"))
    assert mine["rmse"] == pytest.approx(network["rmse"], abs=1e-3)
    assert results["withheld"]["draws"] == 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda maps: maps.isel(time=slice(0, 12)), "mine: its maps lack .* along time"),
        (lambda maps: maps.isel(lat=slice(1, None)), "mine: its maps lack .* along lat"),
        (lambda maps: maps.assign_coords(lon=maps["lon"] + 0.1), "mine: .* along lon"),
        (lambda maps: maps.where(maps["lat"] > -39), "mine left .* without a finite value"),
        (None, "mine holds the withheld observations themselves: fill what `hide`"),
    ],
)
def test_maps_that_cannot_be_scored_are_refused(change, words):
    daily = a_file(a_moving_field(T=30))
    maps = daily.fillna(15.0) if change is None else change(hide(daily).fillna(15.0))
    with pytest.raises(ValueError, match=words):
        judge(daily, QUICK, filled={"mine": maps})


def test_maps_with_the_name_of_a_method_are_refused():
    daily = a_file(a_moving_field(T=30))
    with pytest.raises(ValueError, match="filled: 'linear in time' is a method here already"):
        judge(daily, QUICK, filled={"linear in time": hide(daily)})


def test_a_filled_file_without_a_name_is_refused(tmp_path, capsys):
    a_file(a_moving_field(T=30)).to_netcdf(tmp_path / "a.nc")
    assert main(["judge", str(tmp_path / "a.nc"), "--filled", "maps.nc"]) == 2
    assert "--filled 'maps.nc' is not NAME=MAPS.nc" in capsys.readouterr().err


def test_what_is_left_of_another_variable_keeps_its_words():
    ds = 10 ** (a_file(a_moving_field(T=30)).drop_vars("ocean_mask") - 15)
    ds = ds.rename(sst="chlor_a")
    ds["chlor_a"].attrs = {"units": "mg m-3", "long_name": "chlorophyll"}
    daily = open_sst(ds, variable="chlor_a", transform="log10")
    left = hide(daily)
    assert left["chlor_a"].attrs["units"] == "mg m-3"
    again = open_sst(left, variable="chlor_a", transform="log10")["sst"]
    seen = again.notnull().values
    np.testing.assert_allclose(again.values[seen], daily["sst"].values[seen], atol=1e-5)


def test_maps_that_differ_in_their_rounding_alone_are_level():
    """A network's maps, handed back by --filled, were "ahead by 0.000 (0.000 to 0.000)"."""
    square = np.random.default_rng(0).uniform(5, 6, 20)
    rows = {
        name: {"rmse": float(np.sqrt(s.mean() / 100)), "square_sum": s}
        for name, s in {"worse": 1.3 * square, "one": square * (1 + 1e-6), "same": square}.items()
    }
    found = judging._compared(rows, np.full(20, 100.0), "K")
    assert found["best"] == "same" and found["tied"] == ["one", "same"] and found["take"] == "one"
