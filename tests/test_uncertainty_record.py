"""The record of how sure it is, on made-up exams: what stands in it, and what it is made from."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage

from sst_tutorial import exams
from sst_tutorial.exams import Exam, Question
from sst_tutorial.ledger import read_ledger
from sst_tutorial.months import Month
from sst_tutorial.networks import build
from sst_tutorial.uncertain import Spread, save_spread
from sst_tutorial.weights import save_weights, spread_file

FOLDER = Path(__file__).parents[1] / "experiments" / "checks"
SLOTS = {"name": "corrections", "iterations": 3}, {"name": "transformer", "embed_dim": 16}


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("check_uncertainty", FOLDER / "uncertainty.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclass looks itself up by name
    spec.loader.exec_module(module)
    return module


def some_months(n=4, H=12, seed=0):
    rng, months = np.random.default_rng(seed), []
    ocean = np.ones((H, H), bool)
    ocean[:2] = False
    for i in range(n):
        truth = 15 + ndimage.gaussian_filter(rng.normal(size=(30, H, H)), 2) * 5
        sst = np.where(
            rng.random(truth.shape) < 0.1, truth + 0.3 * rng.normal(size=truth.shape), np.nan
        )
        prior, mean = np.full(truth.shape, 15.0), truth.mean(0)
        months.append(Month(sst, ocean, prior, mean, name=f"m {i}", truth_of_days=truth))
    return months


@pytest.fixture
def made_up(script, monkeypatch, tmp_path, in_this_process):
    """(script, {name: weights}) with an exam of four months, and two networks with their spread."""

    def make(group, twin):
        return exams.month_and_day(some_months(seed=5 + twin), lambda name: name, day=3)

    monkeypatch.setitem(exams.EXAMS, "small", Exam(7, (1, 2), ("a", "b"), make, block=1))
    for name, value in {
        "TWINS": {("small", "a"): 1},
        "JUDGED": {("small", "a"): 1, ("small", "b"): 2},
        "WITH_OI": (("small", "a"),),
        "CORRELATED": (("small", "a"),),
        "TRUTH_NOISE": {("small", "b"): 0.5},
        "RESULTS": tmp_path,
    }.items():
        monkeypatch.setattr(script, name, value)
    monkeypatch.setenv("SST_TUTORIAL_LEDGER", str(tmp_path / "ledger.jsonl"))
    patterns = np.random.default_rng(0).normal(size=(120, 4))
    memory = np.tile(0.9 ** np.arange(31), (4, 1))
    measured = script.checks.MeasuredCovariance(patterns, memory, np.full(120, 0.1))
    monkeypatch.setattr(script.checks, "off_tasmania", lambda: measured)

    monkeypatch.setattr(script, "ProcessPoolExecutor", in_this_process)
    paths = {}
    for seed, (name, daily) in enumerate({"both": 0.5, "months": 0.0, "again": 0.5}.items()):
        torch.manual_seed(seed)
        estimator, paths[name] = build(*SLOTS).eval(), tmp_path / f"{name}.safetensors"
        torch.nn.init.normal_(estimator.network.last.weight, std=0.05)
        save_weights(paths[name], estimator, *SLOTS, {"settings": {"daily": daily}})
        save_spread(spread_file(paths[name]), Spread(8), estimator, {"loss": "crps"})
    return script, {name: str(path) for name, path in paths.items()}


def test_the_record_holds_all_methods_on_the_same_questions(made_up, tmp_path):
    script, paths = made_up
    pair, seeds_of = [paths["both"], paths["months"]], [paths["both"], paths["again"]]
    script.record(pair, "nothing was chosen by these four months", seeds_of, of_oi=2)
    record = json.loads((tmp_path / "uncertainty.json").read_text())
    assert record["networks"] == {"both": {"loss": "crps"}, "months": {"loss": "crps"}}
    groups = record["exams"]["small"]["groups"]
    assert set(groups) == {"a", "a, correlated noise", "b"}
    month, day = groups["a"]["month"]["methods"], groups["a"]["day"]["methods"]
    own = {"both", "both, constant", "both, table"}
    seeds = {"ensemble", "ensemble, head", "ensemble, both"}
    assert set(month) == own | {n.replace("both", "months", 1) for n in own} | seeds
    assert set(day) == own | seeds  # the other one answers for months alone
    assert groups["a"]["month"]["questions"] == 4 and groups["b"]["month"]["questions"] == 2
    assert month["both"]["cells"] == 4 * 120
    assert month["both"]["rmse"] == month["both, table"]["rmse"]  # one estimate, three bars
    small = groups["a"]["month"]["with_oi"]
    assert small["questions"] == 2 and set(small["methods"]) == set(month) | {script.OI}
    assert small["methods"]["both"]["cells"] == small["methods"][script.OI]["cells"] == 240
    # In b the truth has noise: it is in every bar.
    assert groups["b"]["month"]["truth_noise"] == 0.5
    assert min(part["sd"] for part in groups["b"]["month"]["methods"]["both"]["bins"]) >= 0.5
    (entry,) = read_ledger(tmp_path / "ledger.jsonl")
    assert entry["exam"] == "small" and script.OI in entry["by"]
    assert not [name for name in entry["by"] if "constant" in name]
    assert set(entry["scores_K"]["a"]) == {"both", "months", script.OI, *script.ENSEMBLE}
    assert set(entry["by"]) == set(entry["scores_K"]["a"])
    words = f"record {' '.join(pair)} --ensemble {' '.join(seeds_of)} --every 1 --oi 2"
    assert record["command"] == f"python experiments/checks/uncertainty.py {words}"


def test_constant_and_table_come_from_the_twin(made_up):
    script, paths = made_up
    twins = script.OnTwins(script.as_sure_method(paths["both"]), True)
    questions = exams.EXAMS["small"].questions("a", twin=True)["month"]
    errors, days = [], []
    for question in questions:
        estimate = script.as_method(paths["both"])(question.month)
        errors.append((estimate - question.truth)[question.judged])
        days.append(question.month.observed.sum(0)[question.judged])
    errors, days = np.concatenate(errors), np.concatenate(days)
    constant, table = twins.constant_and_table(("small", "a", "month"))
    assert constant == pytest.approx(np.sqrt(np.mean(errors**2)))
    three = errors[days == 3]
    expected = np.sqrt((np.sum(three**2) + constant**2) / (len(three) + 1))
    assert table[3] == pytest.approx(expected)
    # An exam without a twin here has those of all, of its own kind of question.
    assert twins.constant_and_table(("small", "b", "month"))[0] == constant
    assert twins.constant_and_table(("small", "b", "day"))[0] != constant


def test_table_asks_for_days_seen_or_for_the_nearest_sight(script):
    sst = np.full((10, 1, 3), np.nan)
    sst[4, 0, 0] = sst[[0, 9], 0, 1] = 15.0
    month = Month(sst, np.ones((1, 3), bool), np.full(sst.shape, 15.0), truth=np.full((1, 3), 15.0),
                  truth_of_days=np.full(sst.shape, 15.0))  # fmt: skip
    assert script.days_key(Question(month)).tolist() == [1, 2, 0]
    far = script.days_key(Question(month, 6))
    assert script.NEAR_EDGES[far].tolist() == [2, 3, 8]  # 2 days, 3 days, never in these 10


def test_correlated_noise_is_as_strong_and_shared(script):
    noise = script.correlated_noise((1000, 24, 24), np.random.default_rng(0))
    assert noise.std() == pytest.approx(script.NOISE, rel=0.05)
    cells = np.mean(noise[:, :, 1:] * noise[:, :, :-1]) / noise.var()
    days = np.mean(noise[1:] * noise[:-1]) / noise.var()
    far = np.mean(noise[20:] * noise[:-20]) / noise.var()
    assert cells == pytest.approx(script.SHARED, abs=0.05)
    assert days == pytest.approx(script.SHARED, abs=0.06) and abs(far) < 0.1
    (question,) = exams.month_and_day(some_months(1), str, day=3)["month"]
    again = script.under_correlated_noise(question, np.random.default_rng(0))
    assert np.array_equal(again.month.observed, question.month.observed)
    assert np.array_equal(again.truth, question.truth)
    assert not np.array_equal(again.month.sst, question.month.sst, equal_nan=True)


def test_the_exams_are_not_opened_without_a_sentence(script, capsys):
    with pytest.raises(SystemExit):
        script.main(["record", "ocean-1"])
    assert "say by --report" in capsys.readouterr().err
    with pytest.raises(ValueError, match="must be a sentence"):
        script.main(["record", "ocean-1", "--report", "look"])
