"""The exams: fixed, versioned, apart from their twins, and what they ask."""

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from sst_tutorial import benchmark, exams
from sst_tutorial.benchmark import benchmark_folder, under_lasting_clouds
from sst_tutorial.evaluation import by_unit, score_months
from sst_tutorial.exams import EXAMS, Exam, Question, month_and_day
from sst_tutorial.months import Month

needs_data = pytest.mark.skipif(
    benchmark_folder() is None, reason="no shared data here: set SST_TUTORIAL_DATA"
)
NAN = np.nan


@pytest.fixture(autouse=True)
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("SST_TUTORIAL_CACHE", str(tmp_path / "kept"))


@pytest.fixture
def quick_seas(monkeypatch):
    """Seas that move, without the sea: noise; and two of each at most."""
    asked = []

    def noise(runs, days, size, generator, device, **sea):
        asked.append(sea)
        return torch.randn(min(runs, 2), days, size, size, generator=generator, device=device)

    monkeypatch.setattr(benchmark, "moving_anomalies", noise)
    return asked


def a_month(days=4, name="2001-01", truth=True):
    rng = np.random.default_rng(days)
    field = 15 + rng.standard_normal((days, 5, 6))
    ocean = np.ones((5, 6), bool)
    ocean[0, 0] = False
    sst = np.where(rng.random(field.shape) < 0.5, field, NAN)
    known = {"truth": field.mean(0), "truth_of_days": field} if truth else {}
    return Month(sst, ocean, np.full(field.shape, 15.0), name=name, **known)


# ---------------------------------------------------------------- questions


def test_a_question_takes_the_truth_of_its_month():
    month = a_month()
    np.testing.assert_array_equal(Question(month).truth, month.truth)
    np.testing.assert_array_equal(Question(month, 2).truth, month.truth_of_days[2])
    assert (Question(month, 2).judged == month.ocean).all()


def test_a_question_may_bring_a_truth_with_holes():
    month = a_month(truth=False)
    truth = np.full((5, 6), NAN)
    truth[0, 0], truth[2, 3] = 14.0, 16.0  # the first is land
    question = Question(month, 1, truth)
    assert question.judged.sum() == 1 and question.judged[2, 3]


def test_questions_without_an_answer_are_refused():
    with pytest.raises(ValueError, match="2001-01 has no truth"):
        Question(a_month(truth=False))
    with pytest.raises(ValueError, match="2001-01 has no truth"):
        Question(a_month(truth=False), 1)
    with pytest.raises(ValueError, match="day=4.*days 0 to 3"):
        Question(a_month(), 4)
    with pytest.raises(ValueError, match=r"truth of 2001-01 must have shape \(5, 6\)"):
        Question(a_month(), 0, np.zeros(3))


def test_only_what_is_known_is_judged():
    """A method that errs by 1 K where the truth is known and wildly elsewhere errs by 1 K."""
    month = a_month(truth=False)
    truth = np.full((5, 6), NAN)
    truth[2, 2:5] = 15.0

    def method(month, day=None):
        assert day == 1
        return np.where(np.isfinite(truth), 16.0, 25.0)

    score = score_months({"m": method}, [Question(month, 1, truth)])["m"]
    assert score["rmse"] == pytest.approx(1) and score["by_month"]["weight_sum"] == [3]
    assert score["spectrum"] is None
    with pytest.raises(ValueError, match="2001-01 has no cell to judge"):
        score_months({"m": method}, [Question(month, 1, np.full((5, 6), NAN))])


def test_units_are_pooled_in_their_order():
    months = [a_month(name=f"{unit}, {n}") for n in range(2) for unit in ("b", "a")]
    questions = month_and_day(months, lambda name: name.split(",")[0], day=2)["day"]
    assert [q.unit for q in questions] == ["b", "a", "b", "a"] and questions[0].day == 2
    sums = by_unit({"square_sum": [1, 2, 3, 4], "weight_sum": [10, 20, 30, 40]}, questions)
    assert sums == {"unit": ["b", "a"], "square_sum": [4, 6], "weight_sum": [40, 60]}
    alone = [Question(a_month()), Question(a_month())]  # of one name, and yet two
    sums = by_unit({"name": ["x", "x"], "square_sum": [1, 2], "weight_sum": [10, 20]}, alone)
    assert sums == {"unit": ["x", "x"], "square_sum": [1, 2], "weight_sum": [10, 20]}


def test_a_group_that_is_not_there():
    exam = Exam(1, (1, 2), ("a", "b"), lambda group, twin: {"month": [group, twin]})
    assert exam.questions("b", True) == {"month": ["b", True]}
    with pytest.raises(ValueError, match="one of a, b, got 'c'"):
        exam.questions("c")


# ---------------------------------------------------------------- clouds that stay


@pytest.mark.parametrize("stay", [1, 2, 5, 40])
def test_clouds_stay_and_noise_does_not(stay):
    rng = np.random.default_rng(0)
    truth = np.full((31, 8, 8), 15.0)
    ocean = np.ones((8, 8), bool)
    ocean[0] = False
    month = Month(np.full(truth.shape, NAN), ocean, truth, truth.mean(0), truth_of_days=truth)
    clouds = rng.random((500, 8, 8)) < 0.5
    again = under_lasting_clouds(month, clouds, stay, np.random.default_rng(3))
    observed = again.observed
    assert not observed[:, 0].any()
    same = (observed[1:] == observed[:-1]).all((1, 2))
    changes = np.flatnonzero(~same) + 1
    if stay == 1:
        assert not same.any()
    elif stay == 40:
        assert len(changes) <= 1
    else:
        assert (np.diff(changes) == stay).all() and 0 < changes[0] <= stay
        assert len(changes) >= 31 // stay - 1
    noise = (again.sst - truth)[observed]
    assert noise.std() == pytest.approx(0.3, rel=0.1)
    if stay > 1:
        both = observed[1:] & observed[:-1]
        steps = np.diff(again.sst, axis=0)[both]
        assert steps.std() == pytest.approx(0.3 * 2**0.5, rel=0.1)
    np.testing.assert_array_equal(again.truth, month.truth)


# ---------------------------------------------------------------- the fixed ones


def test_every_exam_has_a_version_two_seeds_and_groups():
    assert EXAMS["benchmark"] is EXAMS["smooth"]
    for name, exam in EXAMS.items():
        assert exam.version >= 1 and len(set(exam.seeds)) == 2, name
        assert len(set(exam.groups)) == len(exam.groups) >= 1
        assert not any("," in group for group in exam.groups)


@needs_data
def test_smooth_is_the_benchmark_and_its_twin_the_years_before():
    asked = EXAMS["smooth"].questions("cloudy")
    assert [q.month.name for q in asked["month"][:2]] == ["2013-01", "2013-02"]
    assert len(asked["month"]) == len(asked["day"]) == 48
    for month, day in zip(asked["month"], asked["day"], strict=True):
        assert day.month is month.month and day.day == 15
        ocean = month.month.ocean
        mean = month.month.truth_of_days.mean(0)
        np.testing.assert_allclose(mean[ocean], month.truth[ocean], atol=1e-4)
        noise = (month.month.sst - month.month.truth_of_days)[month.month.observed]
        assert abs(noise.std() - 0.3) < 0.03
    twin = EXAMS["smooth"].questions("cloudy", twin=True)["month"]
    assert len(twin) == 48 and len({q.unit for q in twin}) == 24
    assert {q.unit[:4] for q in twin} == {"2011", "2012"}


@needs_data
def test_smooths_twin_is_the_first_of_what_judges_a_training_run():
    daily = exams.open_sst(exams.data_file("oisst_tasmania_1982_2016.nc"))
    climatology = exams.daily_climatology(daily, (1982, 2010))
    clouds = benchmark.benchmark_module().cloud_windows()
    part = benchmark.of_years(daily, (2011, 2012)).isel(time=slice(0, 59))
    few = clouds[clouds.mean((1, 2)) < benchmark.CLOUDY]
    judging = benchmark.validation_months(part, climatology, few, draws=1, seed=5)
    twin = EXAMS["smooth"].questions("cloudy", twin=True)["month"]
    for ours, theirs in zip(twin, judging, strict=False):
        np.testing.assert_array_equal(ours.month.sst, theirs.sst)


@needs_data
def test_lasting_is_the_same_sea_under_other_clouds():
    smooth = EXAMS["smooth"].questions("cloudy")["month"]
    asked = EXAMS["lasting"].questions("6 days")
    for ours, theirs in zip(asked["month"], smooth, strict=True):
        np.testing.assert_array_equal(ours.truth, theirs.truth)
        np.testing.assert_array_equal(ours.month.prior, theirs.month.prior)
        changed = (ours.month.observed[1:] != ours.month.observed[:-1]).any((1, 2)).sum()
        assert 1 <= changed <= 6
    again = EXAMS["lasting"].questions("6 days")["day"]
    np.testing.assert_array_equal(again[3].month.sst, asked["day"][3].month.sst)
    one = EXAMS["lasting"].questions("1 day")["month"][0].month
    assert (one.observed[1:] != one.observed[:-1]).any((1, 2)).sum() > 20  # else: both see nothing
    twin = EXAMS["lasting"].questions("6 days", twin=True)["month"]
    assert {q.unit[:4] for q in twin} == {"2011", "2012"}


@needs_data
def test_moving_is_made_once_and_kept(quick_seas):
    first = EXAMS["moving"].questions("8 km")
    assert len(quick_seas) == 1
    again = EXAMS["moving"].questions("8 km")
    assert len(quick_seas) == 1
    twin = EXAMS["moving"].questions("8 km", twin=True)
    assert len(quick_seas) == 2
    assert len(first["month"]) == 2 * 2 * 16  # of two seas here, of six in earnest
    assert first["month"][0].unit == "sea 0, day 0" and first["month"][16].unit == "sea 0, day 60"
    for question in ("month", "day"):
        for a, b, c in zip(first[question], again[question], twin[question], strict=True):
            np.testing.assert_array_equal(a.month.sst, b.month.sst)
            assert not np.array_equal(a.truth, c.truth)


@needs_data
def test_moving_is_moving_months_rounded(quick_seas):
    ours = EXAMS["moving"].questions("8 km", twin=True)["month"][5].month
    clouds = benchmark.benchmark_module().cloud_windows()
    theirs = benchmark.moving_months(clouds, EXAMS["moving"].seeds[1])[5]
    np.testing.assert_array_equal(ours.observed, theirs.observed)
    np.testing.assert_allclose(ours.truth_of_days, theirs.truth_of_days, atol=2e-3)


@needs_data
def test_elsewhere_asks_other_seas_than_training_and_than_each_other(quick_seas):
    exam = EXAMS["elsewhere"]
    truths = []
    for group, sea in exams.OTHER_SEAS.items():
        truths.append(exam.questions(group)["day"][0].truth)
        assert quick_seas[-1] == sea
        exam.questions(group, twin=True)
    assert len(quick_seas) == 2 * len(exams.OTHER_SEAS)
    for i, one in enumerate(truths):
        assert not any(np.array_equal(one, other) for other in truths[:i])


def test_simulated_has_a_twin_of_other_seeds(monkeypatch):
    monkeypatch.setattr(benchmark, "REGIONS", {"Kuroshio": benchmark.REGIONS["Kuroshio"]})
    monkeypatch.setattr(
        exams, "simulated_months", partial(exams.simulated_months, per_region=1, size=12)
    )
    (ours,) = EXAMS["simulated"].questions("clear")["month"]
    (twin,) = EXAMS["simulated"].questions("clear", twin=True)["month"]
    (same,) = EXAMS["elsewhere"].questions("simulated clear")["month"]
    np.testing.assert_array_equal(ours.month.sst, same.month.sst)
    assert not np.array_equal(ours.truth, twin.truth)


# ---------------------------------------------------------------- fine and real


@needs_data
@pytest.mark.parametrize("twin", [False, True])
def test_alboran_judges_what_was_withheld(twin):
    daily = exams.open_sst(exams.data_file("alboran_l3s_2022_jja.nc"))
    ((question, asked),) = EXAMS["fine"].questions("Alboran", twin).items()
    assert question == "day" and len(asked) > 40
    for q in asked[::7]:
        day = daily.sel(time=f"{q.month.name[:7]}-{q.day + 1:02}")["sst"].values
        assert q.judged.sum() >= exams.LEAST
        np.testing.assert_array_equal(q.truth[q.judged], day[q.judged])
        assert not q.month.observed[q.day][q.judged].any()
        # Nothing is lost: what was seen is shown or judged.
        seen = np.isfinite(day) & q.month.ocean
        np.testing.assert_array_equal(seen, q.month.observed[q.day] | q.judged)
    assert {q.month.name[:7] for q in asked} == ({"2022-06"} if twin else {"2022-07", "2022-08"})


@needs_data
def test_scenes_are_judged_below_clouds_of_other_windows():
    asked = EXAMS["fine"].questions("scenes")["month"]
    assert len(asked) == 64 and len({q.month.name for q in asked}) == 64
    assert {q.month.name.rsplit(" ", 2)[0] for q in asked} == set(exams.SCENES[False])
    for q in asked:
        assert q.month.sst.shape == (1, 64, 64) and q.day is None
        assert not (q.judged & q.month.observed[0]).any()
        assert 0.01 < q.month.observed.mean() < 0.6 and q.judged.sum() > 1000
    twin = EXAMS["fine"].questions("scenes", twin=True)["month"]
    assert {q.month.name.rsplit(" ", 2)[0] for q in twin} <= set(exams.SCENES[True])


@pytest.mark.parametrize("n", [2, 3, 30, 31])
def test_every_day_gets_the_clouds_of_another(n):
    for seed in range(20):
        other = exams._elsewhere_in(n, np.random.default_rng(seed))
        assert sorted(other) == list(range(n)) and (other != np.arange(n)).all()


# ---------------------------------------------------------------- the record


@pytest.fixture
def script(monkeypatch, tmp_path, in_this_process):
    """experiments/checks/exams.py on an exam of three small months, in this process."""
    import importlib.util

    path = Path(__file__).parents[1] / "experiments" / "checks" / "exams.py"
    spec = importlib.util.spec_from_file_location("check_exams", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def make(group, twin):
        months = [a_month(days=n + 3 + 10 * twin, name=f"{group} {n}") for n in range(4)]
        return month_and_day(months, lambda name: name, day=1)

    exam = Exam(3, (11, 12), ("a", "b"), make)
    monkeypatch.setattr(module, "EXAMS", {"tiny": exam})
    monkeypatch.setattr(module, "RESULTS", tmp_path)
    monkeypatch.setenv("SST_TUTORIAL_LEDGER", str(tmp_path / "ledger.jsonl"))
    monkeypatch.setattr(module, "commit", lambda: "abc")

    monkeypatch.setattr(module, "ProcessPoolExecutor", in_this_process)
    return module


WHY = "chosen on the twin, by the mean of its months"


def record_of(script, *words):
    if words and not words[0].startswith("--"):
        words += ("--report", WHY)
    assert script.main([*words, "--exams", "tiny"]) == 0
    name = "exams_validation.json" if "--validation" in words else "exams.json"
    return json.loads((script.RESULTS / name).read_text())


def test_a_record_says_what_it_is_of(script):
    record = record_of(script)
    tiny = record["exams"]["tiny"]
    assert (tiny["version"], tiny["seeds"]) == (3, [11, 12])
    place = tiny["groups"]["a"]["day"]
    assert set(place["methods"]) == {*script.CLASSICAL, "optimal interpolation"}
    row = place["methods"]["gaussian"]
    assert row["rmse"] == pytest.approx((sum(row["square_sum"]) / sum(place["cells"])) ** 0.5)
    assert row["interval"][0] < row["rmse"] < row["interval"][1]
    assert place["questions"] == 4 and place["units"] == ["a 0", "a 1", "a 2", "a 3"]
    assert record["command"] == "python experiments/checks/exams.py --exams tiny"
    assert record_of(script, "--validation")["exams"]["tiny"]["groups"] != tiny["groups"]


def test_rows_are_added_and_not_made_again(script, monkeypatch):
    before = record_of(script)
    monkeypatch.setattr(script, "CLASSICAL", (*script.CLASSICAL, "mean of days"))
    made, scored = [], script.scored
    monkeypatch.setattr(script, "scored", lambda task: made.append(task[3]) or scored(task))
    after = record_of(script)
    assert made == ["mean of days"] * 2
    old, new = (r["exams"]["tiny"]["groups"]["b"]["month"]["methods"] for r in (before, after))
    for name, row in old.items():
        for key in ("rmse", "seconds", "square_sum"):
            assert new[name][key] == row[key]


def test_networks_are_compared_with_the_reference_in_pairs(script, monkeypatch):
    monkeypatch.setattr(script, "REFERENCES", ("OI that is not here", "gaussian"))
    record_of(script)
    methods = record_of(script, "ocean-1")["exams"]["tiny"]["groups"]["a"]["month"]["methods"]
    low, high = methods["ocean-1"]["minus_oi"][1:]
    difference = methods["ocean-1"]["rmse"] - methods["gaussian"]["rmse"]
    assert methods["ocean-1"]["minus_oi"][0] == pytest.approx(difference, abs=1e-5)
    assert low <= difference + 1e-6 and high >= difference - 1e-6
    assert "minus_oi" not in methods["gaussian"]
    assert record_of(script)["exams"]["tiny"]["groups"]["a"]["month"]["oi"] == "gaussian"
    record = record_of(script)
    assert "ocean-1" not in record["exams"]["tiny"]["groups"]["a"]["day"]["methods"]
    assert "ocean-1" in record["exams"]["tiny"]["groups"]["a"]["month"]["methods"]  # stays


def test_a_network_opens_the_test_with_a_sentence_that_stays(script, capsys):
    with pytest.raises(SystemExit) as stop:
        script.main(["ocean-1", "--exams", "tiny"])
    assert stop.value.code == 2 and "--report" in capsys.readouterr().err
    assert not script.ledger.read_ledger()
    script.main(["ocean-1", "--exams", "tiny", "--validation"])
    record_of(script)
    assert not script.ledger.read_ledger()  # twins, and classical methods, which choose nothing
    record = record_of(script, "ocean-1")
    (entry,) = script.ledger.read_ledger()
    assert (entry["exam"], entry["by"], entry["report"]) == ("tiny", ["ocean-1"], WHY)
    rmse = record["exams"]["tiny"]["groups"]["a"]["month"]["methods"]["ocean-1"]["rmse"]
    assert entry["scores_K"]["a: ocean-1"]["month"] == pytest.approx(rmse, abs=1e-4)


def test_a_run_that_is_killed_has_looked(script, monkeypatch):
    monkeypatch.setattr(script, "scored", lambda task: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        record_of(script, "ocean-1")
    (entry,) = script.ledger.read_ledger()
    assert entry["report"] == WHY and entry["by"] == ["ocean-1"] and entry["scores_K"] is None


def test_another_version_starts_anew_and_other_months_are_refused(script, monkeypatch):
    record_of(script, "ocean-1")
    exam = script.EXAMS["tiny"]
    other = Exam(exam.version, exam.seeds, exam.groups, lambda g, t: exam.make(g, True))
    monkeypatch.setattr(script, "EXAMS", {"tiny": other})
    script.questions_of.cache_clear()
    with pytest.raises(ValueError, match="tiny, a has a std of.*made on another machine"):
        record_of(script, "--again")
    monkeypatch.setattr(script, "EXAMS", {"tiny": Exam(4, exam.seeds, exam.groups, exam.make)})
    script.questions_of.cache_clear()
    methods = record_of(script)["exams"]["tiny"]["groups"]["a"]["month"]["methods"]
    assert "ocean-1" not in methods and "gaussian" in methods


def test_one_solution_serves_all_questions_of_a_month(script):
    solved = []

    def estimates(month, days):
        solved.append(days)
        return [np.full((5, 6), -1.0 if day is None else day) for day in days]

    month, other = a_month(8), a_month(5)
    questions = [Question(month), Question(month, 7), Question(other, 1)]
    method = script.solved_once(estimates, questions)
    assert method(month)[0, 0] == -1 and method(month, day=7)[0, 0] == 7
    assert method(other, day=1)[0, 0] == 1 and solved == [[None, 7], [1]]


@pytest.mark.parametrize("name", ["exams", "exams_validation"])
def test_stored_records_are_of_the_exams_as_they_are(name):
    path = Path(__file__).parents[1] / "experiments" / "results" / f"{name}.json"
    assert path.stat().st_size < 300_000
    for exam, stored in json.loads(path.read_text())["exams"].items():
        now = EXAMS[exam]
        assert (stored["version"], tuple(stored["seeds"])) == (now.version, now.seeds)
        assert set(stored["groups"]) <= set(now.groups)
