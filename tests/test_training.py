"""The loop learns, stops, resumes to the same weights, and refuses what it should."""

import json
import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from sst_tutorial import training
from sst_tutorial.samples import SampleMaker
from sst_tutorial.training import Config, fit, learning_rate, ocean_rmse, train
from sst_tutorial.weights import build, load_weights

TINY = dict(embed_dim=16, hidden=16, passes=3)
CONFIG = Config(steps=6, batch_size=4, eval_every=3, warmup=2, pieces=4, model=TINY)


@pytest.fixture(scope="module")
def samples():
    return SampleMaker("cpu", seed=1, size=16, pieces=4)


@pytest.fixture(scope="module")
def exams(samples):
    return {"simulated": samples(10_000, 4)}


def run(samples, exams, out, config=CONFIG, resume=False, seed=0):
    torch.manual_seed(seed)
    fabric = Fabric(accelerator="cpu", devices=1)
    out.mkdir(exist_ok=True)
    model = build(config.model)
    return fit(model, samples, exams, config, out, fabric, resume=resume, progress=False)


def same(a, b):
    ours, theirs = a.state_dict(), b.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


def test_a_killed_run_resumes_to_the_same_weights(samples, exams, tmp_path):
    whole = run(samples, exams, tmp_path / "whole")

    class Killed(Exception):
        pass

    def killed(step, batch_size):
        if step == 4:
            raise Killed
        return samples(step, batch_size)

    killed.device = samples.device
    with pytest.raises(Killed):
        run(killed, exams, tmp_path / "cut")
    resumed = run(samples, exams, tmp_path / "cut", resume=True, seed=99)
    assert same(whole, resumed)
    rows = (tmp_path / "cut" / "log.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", "3", "6"]


def test_training_lowers_the_error(samples, exams, tmp_path):
    config = Config(
        steps=40, batch_size=8, eval_every=40, warmup=5, ema=0.8, lr=5e-3, model=TINY, pieces=4
    )
    torch.manual_seed(0)
    before = training.exam_rmse(build(TINY).eval(), training.SETTINGS, exams["simulated"])
    after = run(samples, exams, tmp_path, config)
    assert training.exam_rmse(after, training.SETTINGS, exams["simulated"]) < 0.95 * before


def test_a_diverging_loss_stops_with_its_step_and_a_hint(samples, exams, tmp_path):
    def poisoned(step, batch_size):
        batch = samples(step, batch_size)
        if step == 4:
            batch.target = batch.target * math.nan
        return batch

    poisoned.device = samples.device
    with pytest.raises(ValueError, match=r"steps 4 and 6.*lower lr \(now 0.002\)"):
        run(poisoned, exams, tmp_path)


def test_no_better_exam_stops_early(samples, exams, tmp_path):
    config = Config(
        steps=50, batch_size=2, eval_every=1, warmup=1, lr=0.0, patience=2, model=TINY, pieces=4
    )
    run(samples, exams, tmp_path, config)
    rows = (tmp_path / "log.csv").read_text().splitlines()
    assert len(rows) - 1 == 3  # the first is the best; two more without a better one


def test_a_checkpoint_of_another_architecture_is_refused(samples, exams, tmp_path):
    run(samples, exams, tmp_path)
    other = Config(**vars(CONFIG) | {"model": TINY | {"embed_dim": 32}})
    with pytest.raises(ValueError, match="another architecture"):
        run(samples, exams, tmp_path, other, resume=True)


@pytest.mark.parametrize("damage", ["truncated", "pickle", "absent"])
def test_a_broken_checkpoint_is_refused(samples, exams, tmp_path, damage):
    path = tmp_path / "checkpoint.safetensors"
    if damage == "truncated":
        run(samples, exams, tmp_path)
        path.write_bytes(path.read_bytes()[:5000])
    elif damage == "pickle":
        torch.save({"a": 1}, path)
    with pytest.raises(ValueError, match="cannot resume"):
        run(samples, exams, tmp_path, resume=True)


def test_train_writes_weights_that_load(tmp_path):
    changes = dict(steps=2, batch_size=2, eval_every=1, pieces=4, model=TINY)
    model = train("quick", tmp_path, progress=False, accelerator="cpu", **changes)
    loaded, settings = load_weights(tmp_path / "weights.safetensors")
    assert same(model, loaded) and settings == training.SETTINGS
    assert json.loads((tmp_path / "config.json").read_text())["steps"] == 2


def test_unknown_presets_and_fields_are_named(tmp_path):
    with pytest.raises(ValueError, match="'huge'.*colab"):
        train("huge", tmp_path)
    with pytest.raises(ValueError, match=r"\['stepz'\].*steps"):
        train("quick", tmp_path, stepz=3)


def test_learning_rate_warms_up_and_comes_down():
    config = Config(steps=100, warmup=10, lr=1.0)
    rates = [learning_rate(step, config) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == pytest.approx(1.0)
    assert rates[:10] == sorted(rates[:10]) and rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 0.01


def test_the_loss_sees_the_ocean_only():
    target = torch.zeros(2, 2, 2)
    prediction = torch.tensor([[[3.0, 4.0], [1e6, -1e6]], [[0.0, 0.0], [0.0, 0.0]]])
    land = torch.tensor([[False, False], [True, True]]).expand(2, 2, 2).clone()
    expected = (math.sqrt((9 + 16) / 2) + 0.001) / 2
    assert ocean_rmse(prediction, target, land).item() == pytest.approx(expected, abs=1e-3)
    land[1] = True  # a sample without any ocean
    assert np.isfinite(ocean_rmse(prediction, target, land).item())


def test_two_processes_train_one_network(tmp_path):
    command = [
        *(sys.executable, "-m", "sst_tutorial.cli", "train", "--device", "cpu", "--devices", "2"),
        *("--steps", "3", "--batch-size", "2", "--network", json.dumps(TINY)),
        *("--out", str(tmp_path)),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    rows = (tmp_path / "log.csv").read_text().splitlines()
    assert len(rows) == 2 and rows[1].startswith("3,")
    assert load_weights(tmp_path / "weights.safetensors")[0].corrections is not None


def test_resume_refuses_another_run(tmp_path):
    changes = dict(steps=2, batch_size=2, eval_every=1, pieces=4, model=TINY, progress=False)
    train("quick", tmp_path, accelerator="cpu", **changes)
    other = changes | {"steps": 3}
    with pytest.raises(ValueError, match=r"steps=3 \(was 2\)"):
        train("quick", tmp_path, accelerator="cpu", resume=True, **other)
    with pytest.raises(ValueError, match=r"seed=1 \(was 0\)"):
        train("quick", tmp_path, accelerator="cpu", seed=1, resume=True, **changes)
    train("quick", tmp_path, accelerator="cpu", resume=True, **changes)


def test_a_run_that_stopped_early_stays_stopped(samples, exams, tmp_path):
    config = Config(
        steps=50, batch_size=2, eval_every=1, warmup=1, lr=0.0, patience=2, model=TINY, pieces=4
    )
    run(samples, exams, tmp_path, config)
    before = (tmp_path / "log.csv").read_text()
    run(samples, exams, tmp_path, config, resume=True)
    assert (tmp_path / "log.csv").read_text() == before


def test_a_run_killed_between_log_and_checkpoint_logs_no_step_twice(
    samples, exams, tmp_path, monkeypatch
):
    real, calls = training.save_checkpoint, []

    def dies_at_the_second(*args):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(*args)

    monkeypatch.setattr(training, "save_checkpoint", dies_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        run(samples, exams, tmp_path)
    monkeypatch.setattr(training, "save_checkpoint", real)
    run(samples, exams, tmp_path, resume=True)
    rows = (tmp_path / "log.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["step", "3", "6"]


def test_unknown_precision_is_named(tmp_path):
    with pytest.raises(ValueError, match="bf16-true.*bf16-mixed"):
        train("quick", tmp_path, accelerator="cpu", precision="bf16-true")
