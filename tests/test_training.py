"""The loop learns, stops, resumes to the same weights, and refuses what it should."""

import csv
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from lightning_fabric import Fabric

from sst_tutorial import training
from sst_tutorial.months import Batch
from sst_tutorial.networks import build
from sst_tutorial.samples import SampleMaker
from sst_tutorial.settings import Settings
from sst_tutorial.steplog import DivergedError
from sst_tutorial.training import (
    fit,
    follow,
    learning_rate,
    loss_of,
    ocean_rmse,
    parameter_groups,
    parts_of_batch,
    validation_rmse,
    validation_sums,
)

CORRECTIONS = {"name": "corrections", "iterations": 3}
TRANSFORMER = {"name": "transformer", "embed_dim": 16, "hidden": 16}
UNET = {"name": "unet", "width": 8}
SETTINGS = Settings(
    steps=6, batch_size=4, eval_every=3, warmup=2, first_guess=CORRECTIONS, network=TRANSFORMER
)
TIMES = {"seconds", "samples_per_s", "ms", "ms_in_data", "mfu"}  # columns that no two runs share


@pytest.fixture(scope="module")
def samples():
    return SampleMaker("cpu", seed=1, size=16, pieces=4)


@pytest.fixture(scope="module")
def validation(samples):
    return {"simulated": samples(10_000, 4)}


def new(settings=SETTINGS):
    return build(settings.first_guess, settings.network, settings.scale)


def run(samples, validation, out, settings=SETTINGS, resume=False, seed=0):
    """(best, state) of a run on the CPU, its logs in `out`."""
    torch.manual_seed(seed)
    fabric = Fabric(accelerator="cpu", devices=1, precision=settings.precision)
    out.mkdir(exist_ok=True)
    return fit(
        new(settings), samples, validation, settings, out, fabric, resume=resume, progress=False
    )


def same(a, b):
    ours, theirs = a.state_dict(), b.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


def rows(path):
    """The rows of a log without its times."""
    with path.open(newline="") as file:
        return [{k: v for k, v in row.items() if k not in TIMES} for row in csv.DictReader(file)]


def steps(path):
    return [int(row["step"]) for row in rows(path)]


class Killed(Exception):
    pass


def killed_at(samples, last):
    def until(step, batch_size):
        if step == last:
            raise Killed
        return samples(step, batch_size)

    return until


# ---------------------------------------------------------------- one run


def test_the_average_forgets_soon_where_it_began(samples, validation, tmp_path, monkeypatch):
    """With the memory of 1000 steps from the first one on, it would still be the beginning."""
    settings = replace(SETTINGS, ema=0.999, lr=1e-2, steps=12, eval_every=12)
    raw = {}
    save = training.save_checkpoint

    def keep(path, model, *rest):
        raw.update({name: p.detach().clone() for name, p in model.named_parameters()})
        save(path, model, *rest)

    monkeypatch.setattr(training, "save_checkpoint", keep)
    best, _ = run(samples, validation, tmp_path, settings)
    torch.manual_seed(0)
    began = dict(new(settings).named_parameters())
    found = dict(best.named_parameters())

    def apart(a, b):
        return sum((a[name] - b[name]).detach().square().sum().item() for name in a) ** 0.5

    assert apart(found, raw) < 0.7 * apart(began, raw)


def test_training_lowers_the_error(samples, validation, tmp_path):
    settings = replace(SETTINGS, steps=40, batch_size=8, eval_every=40, warmup=5, ema=0.8, lr=5e-3)
    torch.manual_seed(0)
    before = validation_rmse(new(settings).eval(), validation["simulated"])
    best, state = run(samples, validation, tmp_path, settings)
    after = validation_rmse(best, validation["simulated"])
    assert after < 0.95 * before
    assert state["step"] == 40 and state["best"] == pytest.approx(after)
    losses = [float(row["loss"]) for row in rows(tmp_path / "steps.csv")]
    assert len(losses) == 40 and np.mean(losses[-10:]) < np.mean(losses[:10])


def test_logs_have_a_row_for_each_step_and_each_evaluation(samples, validation, tmp_path):
    settings = replace(SETTINGS, steps=7)
    run(samples, validation | {"other": samples(9_000, 2)}, tmp_path, settings)
    assert steps(tmp_path / "steps.csv") == [1, 2, 3, 4, 5, 6, 7]
    assert steps(tmp_path / "log.csv") == [3, 6, 7]  # the last step is judged too
    head = (tmp_path / "log.csv").read_text().splitlines()[0]
    assert head == "step,seconds,lr,loss,simulated,other,samples_per_s"
    by_step = [float(row["loss"]) for row in rows(tmp_path / "steps.csv")]
    first = float(rows(tmp_path / "log.csv")[0]["loss"])
    assert first == pytest.approx(np.mean(by_step[:3]), rel=1e-4)


def test_a_new_run_starts_new_logs(samples, validation, tmp_path):
    for _ in range(2):
        run(samples, validation, tmp_path)
    assert steps(tmp_path / "log.csv") == [3, 6]
    assert steps(tmp_path / "steps.csv") == [1, 2, 3, 4, 5, 6]


def test_the_best_weights_are_kept(samples, validation, tmp_path, monkeypatch):
    scores, kept = iter([0.3, 0.1, 0.2]), []

    def judge(average, _):
        kept.append(average.network.decoder.bias.clone())
        return next(scores)

    monkeypatch.setattr(training, "validation_rmse", judge)
    best, state = run(samples, validation, tmp_path, replace(SETTINGS, steps=9, ema=0.0))
    assert (state["best"], state["worse"]) == (0.1, 1)
    assert torch.equal(best.network.decoder.bias, kept[1])
    assert len(kept) == 3 and not torch.equal(kept[1], kept[2])
    assert not best.training


def test_no_better_validation_stops_early(samples, validation, tmp_path):
    settings = replace(
        SETTINGS, steps=50, batch_size=2, eval_every=1, warmup=1, lr=0.0, patience=2
    )
    run(samples, validation, tmp_path, settings)
    assert steps(tmp_path / "log.csv") == [1, 2, 3]  # the first is the best; two more without
    before = (tmp_path / "log.csv").read_text()
    run(samples, validation, tmp_path, settings, resume=True)
    assert (tmp_path / "log.csv").read_text() == before  # what stopped early stays stopped


def test_seconds_end_a_run_with_an_evaluation(samples, validation, tmp_path):
    settings = replace(SETTINGS, seconds=1.0, steps=2, eval_every=10_000)
    _, state = run(samples, validation, tmp_path, settings)
    assert 1.0 <= state["seconds"] < 3.0 and state["step"] > 2
    assert steps(tmp_path / "log.csv") == [state["step"]]
    assert steps(tmp_path / "steps.csv") == list(range(1, state["step"] + 1))
    rates = [float(row["lr"]) for row in rows(tmp_path / "steps.csv")]
    assert rates[-1] < 0.3 * max(rates)  # time makes the rate come down


def test_evaluations_take_none_of_the_seconds(samples, validation, tmp_path, monkeypatch):
    clock = iter(range(100_000))  # every look at the clock takes a second
    monkeypatch.setattr(training.clock, "perf_counter", lambda: next(clock))
    slow = training.validation_rmse

    def takes_long(*arguments):
        for _ in range(1000):
            next(clock)
        return slow(*arguments)

    monkeypatch.setattr(training, "validation_rmse", takes_long)
    settings = replace(SETTINGS, seconds=100.0, eval_every=5)
    _, state = run(samples, validation, tmp_path, settings)
    assert state["step"] > 10 and state["seconds"] < 110


def test_a_diverging_loss_stops_with_its_step_and_a_hint(samples, validation, tmp_path):
    def poisoned(step, batch_size):
        batch = samples(step, batch_size)
        return replace(batch, target=batch.target * math.nan) if step == 4 else batch

    with pytest.raises(DivergedError, match=r"loss of step 5 .*lower lr \(now 0.002\)"):
        run(poisoned, validation, tmp_path)
    losses = [row["loss"] for row in rows(tmp_path / "steps.csv")]
    assert losses[4] == "nan" and math.isfinite(float(losses[3]))


# ---------------------------------------------------------------- resume


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_killed_run_resumes_to_the_same_weights(samples, validation, tmp_path, precision):
    settings = replace(SETTINGS, precision=precision, ema=0.5)
    whole, end = run(samples, validation, tmp_path / "whole", settings)
    with pytest.raises(Killed):
        run(killed_at(samples, 4), validation, tmp_path / "cut", settings)
    resumed, state = run(samples, validation, tmp_path / "cut", settings, resume=True, seed=99)
    assert same(whole, resumed)
    assert (state["step"], state["best"]) == (end["step"], end["best"])
    for log in ("log.csv", "steps.csv"):
        assert rows(tmp_path / "cut" / log) == rows(tmp_path / "whole" / log)
    assert steps(tmp_path / "cut" / "log.csv") == [3, 6]
    assert steps(tmp_path / "cut" / "steps.csv") == [1, 2, 3, 4, 5, 6]


def test_a_run_killed_between_log_and_checkpoint_logs_no_step_twice(
    samples, validation, tmp_path, monkeypatch
):
    real, calls = training.save_checkpoint, []

    def dies_at_the_second(*args):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        real(*args)

    monkeypatch.setattr(training, "save_checkpoint", dies_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        run(samples, validation, tmp_path)
    assert steps(tmp_path / "steps.csv") == [1, 2, 3, 4, 5, 6]
    monkeypatch.setattr(training, "save_checkpoint", real)
    run(samples, validation, tmp_path, resume=True)
    assert steps(tmp_path / "log.csv") == [3, 6]
    assert steps(tmp_path / "steps.csv") == [1, 2, 3, 4, 5, 6]


def test_a_run_of_seconds_resumes_for_the_rest_of_them(samples, validation, tmp_path):
    settings = replace(SETTINGS, seconds=0.6, eval_every=5)
    with pytest.raises(Killed):
        run(killed_at(samples, 7), validation, tmp_path, settings)
    _, state = run(samples, validation, tmp_path, settings, resume=True)
    assert state["step"] > 7 and 0.6 <= state["seconds"] < 2.0
    assert steps(tmp_path / "steps.csv") == list(range(1, state["step"] + 1))


def test_a_checkpoint_of_another_architecture_is_refused(samples, validation, tmp_path):
    run(samples, validation, tmp_path)
    other = replace(SETTINGS, network=TRANSFORMER | {"embed_dim": 32})
    with pytest.raises(ValueError, match="another architecture"):
        run(samples, validation, tmp_path, other, resume=True)


@pytest.mark.parametrize("damage", ["truncated", "pickle", "absent"])
def test_a_broken_checkpoint_is_refused(samples, validation, tmp_path, damage):
    path = tmp_path / "checkpoint.safetensors"
    if damage == "truncated":
        run(samples, validation, tmp_path, replace(SETTINGS, steps=1))
        path.write_bytes(path.read_bytes()[:5000])
    elif damage == "pickle":
        torch.save({"a": 1}, path)
    with pytest.raises(ValueError, match="cannot resume"):
        run(samples, validation, tmp_path, resume=True)


# ---------------------------------------------------------------- a batch in parts


def of_both(samples, validation, tmp_path, settings, parts):
    """The rows of steps.csv of a run whose batch went through at once, and in parts."""
    found = []
    for name, micro_batch in (("whole", None), ("parts", parts)):
        torch.manual_seed(0)
        run(samples, validation, tmp_path / name, replace(settings, micro_batch=micro_batch))
        found.append(rows(tmp_path / name / "steps.csv"))
    return found


@pytest.mark.parametrize("parts", [1, 2, 4, 8, 100])
def test_a_batch_in_parts_has_the_same_gradient(samples, validation, tmp_path, parts):
    settings = replace(SETTINGS, steps=3, batch_size=8, network=UNET)  # no batch norm
    whole, in_parts = of_both(samples, validation, tmp_path, settings, parts)
    for name in ("loss", "grad_norm"):
        found, expected = ([float(row[name]) for row in log] for log in (in_parts, whole))
        assert found == pytest.approx(expected, rel=1e-3)
    assert float(whole[0]["grad_norm"]) > 0


def test_a_batch_in_parts_is_nearly_the_same_with_batch_norm(samples, validation, tmp_path):
    settings = replace(SETTINGS, steps=3, batch_size=8)
    whole, in_parts = of_both(samples, validation, tmp_path, settings, 4)
    found, expected = ([float(row["loss"]) for row in log] for log in (in_parts, whole))
    assert found == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("parts", [3, 5, 7])
def test_parts_that_do_not_divide_the_batch_are_refused(samples, validation, tmp_path, parts):
    settings = replace(SETTINGS, batch_size=8, micro_batch=parts)
    text = f"batch_size=8 does not divide into 1 processes and parts of micro_batch={parts}"
    with pytest.raises(ValueError, match=text):
        run(samples, validation, tmp_path, settings)


def test_a_batch_that_does_not_divide_into_processes_is_refused():
    settings = replace(SETTINGS, batch_size=8)
    assert parts_of_batch(settings, 4) == (2, [slice(0, 2)])
    assert parts_of_batch(replace(settings, micro_batch=2), 2) == (
        4, [slice(0, 2), slice(2, 4)]
    )  # fmt: skip
    for processes in (3, 16):
        with pytest.raises(ValueError, match=f"does not divide into {processes} processes"):
            parts_of_batch(settings, processes)


# ---------------------------------------------------------------- the parts of the loop


def test_the_loss_sees_the_ocean_only():
    target = torch.zeros(2, 2, 2)
    prediction = torch.tensor([[[3.0, 4.0], [1e6, -1e6]], [[0.0, 0.0], [0.0, 0.0]]])
    ocean = torch.tensor([[True, True], [False, False]]).expand(2, 2, 2).clone()
    expected = (math.sqrt((9 + 16) / 2) + 0.001) / 2
    assert ocean_rmse(prediction, target, ocean).item() == pytest.approx(expected, abs=1e-3)
    ocean[1] = False  # a sample without any ocean
    assert np.isfinite(ocean_rmse(prediction, target, ocean).item())


def test_a_perfect_answer_has_a_gradient():
    prediction = torch.zeros(1, 2, 2, requires_grad=True)
    ocean_rmse(prediction, torch.zeros(1, 2, 2), torch.ones(1, 2, 2, dtype=torch.bool)).backward()
    assert prediction.grad.isfinite().all()


def test_learning_rate_warms_up_and_comes_down():
    settings = Settings(steps=100, warmup=10, lr=1.0)
    rates = [learning_rate(step, step / 100, settings) for step in range(100)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == pytest.approx(1.0, abs=0.03)
    assert rates[:10] == sorted(rates[:10]) and rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[9] == 1.0 and rates[-1] < 0.01
    assert learning_rate(50, 0.5, settings) == pytest.approx(0.5)
    for progress in (1.0, 1.7):  # a run of seconds may overshoot
        assert learning_rate(1000, progress, settings) == pytest.approx(1e-3)
    assert learning_rate(0, 0.0, replace(settings, warmup=0)) == 1.0


@pytest.mark.parametrize("first_guess", [{"name": "gaussian"}, CORRECTIONS | {"adapt": True}])
@pytest.mark.parametrize("network", [TRANSFORMER | {"residual_blocks": 1}, UNET])
def test_every_parameter_is_in_one_group(first_guess, network):
    estimator = build(first_guess, network)
    decays, stays = parameter_groups(estimator, 0.02)
    assert decays["weight_decay"] == 0.02 and stays["weight_decay"] == 0.0
    ours = [id(p) for group in (decays, stays) for p in group["params"]]
    assert sorted(ours) == sorted(id(p) for p in estimator.parameters())
    names = {id(p): name for name, p in estimator.named_parameters()}
    stay = [names[id(p)] for p in stays["params"]]
    for name in names.values():
        end, norm = name.split(".")[-1], "norm" in name
        vector = end.endswith("bias") or end.startswith("log_") or end == "scale" or norm
        assert not vector or name in stay, name
    for p in decays["params"]:
        assert p.ndim > 1, names[id(p)]
    assert decays["params"] and stays["params"]


def test_the_average_follows_the_weights_and_copies_the_statistics():
    average, model = new().eval().requires_grad_(False), new()
    torch.nn.init.constant_(average.network.decoder.scale, 1.0)
    torch.nn.init.constant_(model.network.decoder.scale, 3.0)
    norm = model.network.decoder.head[1]
    norm.running_mean.fill_(7.0)
    norm.num_batches_tracked.fill_(5)
    follow(average, model, 0.75)
    assert average.network.decoder.scale.item() == pytest.approx(1.5)
    assert (average.network.decoder.head[1].running_mean == 7.0).all()
    assert average.network.decoder.head[1].num_batches_tracked == 5
    follow(average, model, 0.0)
    assert same(average, model) and model.network.decoder.scale.requires_grad
    unet = replace(SETTINGS, first_guess={"name": "gaussian"}, network=UNET)
    average, model = new(unet), new(unet)
    assert not list(model.buffers())  # nothing to copy is no error
    follow(average, model, 0.0)
    assert same(average, model)


def test_the_validation_error_is_over_every_cell_of_ocean(samples):
    batch, estimator = samples(77, 5), new().eval()
    batch.ocean[:, :5] = False
    with torch.no_grad():
        error = (estimator(*batch.inputs).mean - batch.target)[batch.ocean].double()
    assert validation_rmse(estimator, batch) == pytest.approx(error.square().mean().sqrt().item())
    sums = validation_sums(estimator, batch)
    assert sums["weight_sum"] == [11 * 16] * 5 and len(sums["square_sum"]) == 5
    for at_once in (1, 2, 5):
        again = validation_sums(estimator, batch, at_once)
        assert again["square_sum"] == pytest.approx(sums["square_sum"], rel=1e-5)


def test_validation_counts_land_and_months_without_ocean_as_nothing():
    month = torch.zeros(2, 31, 4, 4)
    ocean = torch.zeros(2, 4, 4, dtype=torch.bool)
    ocean[0, 0] = True
    target = torch.full((2, 4, 4), 1e6).masked_fill(ocean, 2.0)
    exists = torch.ones(2, 31, dtype=torch.bool)
    batch = Batch(month, month > 0, ocean, exists, target=target)
    assert validation_sums(new().eval(), batch) == {"square_sum": [16.0, 0.0], "weight_sum": [4, 0]}
    assert validation_rmse(new().eval(), batch) == 2.0


def test_all_days_count_in_the_loss_over_the_ocean_and_the_days_there_are(samples):
    """By hand: what was asked plus `every_day` times the first maps of all days."""
    maker = SampleMaker("cpu", seed=1, size=16, pieces=4, truth=True, coasts=COASTS, daily=0.5)
    batch = maker(3, 4)
    slots = CORRECTIONS, TRANSFORMER | {"daily_head": True}
    torch.manual_seed(0)
    model = build(*slots)
    torch.nn.init.normal_(model.network.daily_head.last.weight)
    with torch.no_grad():
        estimate, days = model(*batch.inputs, every_day=True)
        total = 0.0
        for b in range(4):
            there = batch.exists[b][:, None, None] & batch.ocean[b]
            total += (days[b] - batch.truth[b])[there].square().mean().sqrt() / 4
        asked = ocean_rmse(estimate.mean, batch.target, batch.ocean)
        assert asked > 0.01
        found = loss_of(model, batch, every_day=0.5)
        torch.testing.assert_close(found, asked + 0.5 * total, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(loss_of(model, batch), asked)
    loss_of(model, batch, every_day=0.5).backward()
    assert model.network.daily_head.last.weight.grad.abs().max() > 0


COASTS = np.arange(16) < np.full((3, 16, 1), 12)


def test_the_truth_of_a_sample_has_the_mean_that_is_its_target():
    maker = SampleMaker("cpu", seed=2, size=16, pieces=4, truth=True, coasts=COASTS,
                        daily=0.5, no_climatology=0.5)  # fmt: skip
    batch = maker(1, 8)
    days = batch.wanted[:, :, None, None]
    mean = (batch.truth * days).sum(1) / days.sum(1)
    torch.testing.assert_close(mean.masked_fill(~batch.ocean, 0.0), batch.target)
    assert SampleMaker("cpu", seed=2, size=16, pieces=4)(1, 8).truth is None
