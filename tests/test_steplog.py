"""The log of steps: rows in blocks, and the first bad step by its number."""

import csv
import math
import time

import pytest
import torch
from torch import nn

from sst_tutorial import steplog
from sst_tutorial.months import Batch
from sst_tutorial.networks import build
from sst_tutorial.steplog import COLUMNS, EVERY, DivergedError, StepLog, count_flops

CPU = torch.device("cpu")


def step(log, n, loss=0.5, norm=2.0, clipped=True, lr=1e-3):
    log.begin()
    log.data_is_there()
    log.end(n, lr, torch.tensor(loss), torch.tensor(norm), torch.tensor(clipped))


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_rows_are_written_twenty_at_a_time(tmp_path):
    path = tmp_path / "steps.csv"
    log = StepLog(path, CPU)
    for n in range(1, EVERY):
        step(log, n)
    assert EVERY == 20 and not path.exists()
    step(log, 20)
    assert [row["step"] for row in rows(path)] == [str(n) for n in range(1, 21)]
    for n in range(21, 34):
        step(log, n)
    assert len(rows(path)) == 20
    log.flush()
    assert [row["step"] for row in rows(path)] == [str(n) for n in range(1, 34)]
    log.flush()  # nothing is left
    assert len(rows(path)) == 33 and path.read_text().count("step,lr") == 1


def test_a_row_says_what_happened(tmp_path):
    log = StepLog(tmp_path / "steps.csv", CPU)
    log.begin()
    time.sleep(0.03)
    log.data_is_there()
    time.sleep(0.01)
    log.end(7, 0.00123456, torch.tensor(0.25), torch.tensor(1.5), torch.tensor(False))
    step(log, 8)
    log.flush()
    first, second = rows(tmp_path / "steps.csv")
    assert tuple(first) == COLUMNS
    assert (first["step"], first["lr"], first["loss"]) == ("7", "0.0012346", "0.25")
    assert (first["grad_norm"], first["clipped"]) == ("1.5", "0") and second["clipped"] == "1"
    assert float(first["ms_in_data"]) >= 30 and first["mfu"] == ""
    assert float(first["ms"]) >= float(first["ms_in_data"]) + 10
    assert float(second["ms"]) < float(first["ms"])  # each step has its own clock


def test_a_log_goes_on_where_it_was(tmp_path):
    for n in (1, 2):
        log = StepLog(tmp_path / "steps.csv", CPU)
        step(log, n)
        log.flush()
    assert [row["step"] for row in rows(tmp_path / "steps.csv")] == ["1", "2"]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_the_first_bad_step_is_named(tmp_path, bad):
    path = tmp_path / "steps.csv"
    log = StepLog(path, CPU, hint="lower lr")
    for n in (1, 2):
        step(log, n)
    for n in (3, 4):
        step(log, n, loss=bad)
    with pytest.raises(DivergedError, match="^the loss of step 3 is not a finite number: lower lr"):
        log.flush()
    assert [row["step"] for row in rows(path)] == ["1", "2", "3", "4"]  # to look at
    assert issubclass(DivergedError, ValueError)


def test_a_gradient_that_is_not_finite_is_no_end(tmp_path):
    """A scaler of mixed precision skips such a step by itself."""
    log = StepLog(tmp_path / "steps.csv", CPU)
    step(log, 1, norm=math.inf)
    log.flush()
    assert rows(tmp_path / "steps.csv")[0]["grad_norm"] == "inf"


def test_without_a_path_it_still_watches_the_loss():
    log = StepLog(None, CPU)
    for n in range(1, EVERY):
        step(log, n)
    with pytest.raises(DivergedError, match="step 20"):
        step(log, EVERY, loss=math.nan)


def test_no_number_is_asked_for_before_the_block_is_complete(tmp_path, monkeypatch):
    log = StepLog(tmp_path / "steps.csv", CPU)
    fetched = []
    tolist = torch.Tensor.tolist
    monkeypatch.setattr(torch.Tensor, "tolist", lambda x: fetched.append(1) or tolist(x))
    for n in range(1, 2 * EVERY + 1):
        step(log, n)
    assert len(fetched) == 2


def test_the_use_of_a_card_is_its_share_of_the_peak(tmp_path, monkeypatch):
    monkeypatch.setitem(steplog.PEAK, "CPU", 1e12)
    log = StepLog(tmp_path / "steps.csv", CPU, flops=1e9)  # 1 ms at the peak
    step(log, 1)
    log.flush()
    (row,) = rows(tmp_path / "steps.csv")
    assert float(row["mfu"]) == pytest.approx(1 / float(row["ms"]), rel=1e-3)
    assert StepLog(None, CPU, flops=None).ms_at_peak is None


def test_flops_are_those_of_matrix_products():
    class Lines(nn.Module):
        def __init__(self):
            super().__init__()
            self.line = nn.Linear(8, 8, bias=False)

        def forward(self, anomaly, observed, ocean, exists):
            return type("Estimate", (), {"mean": self.line(anomaly)})

    anomaly = torch.zeros(2, 31, 4, 8)
    batch = Batch(anomaly, anomaly > 0, anomaly[:, 0] > 0, anomaly[:, :, 0, 0] > 0)
    lines = Lines()
    forward = 2 * (2 * 31 * 4) * 8 * 8
    assert count_flops(lines, batch) == 2 * forward  # the input needs no gradient
    assert lines.line.weight.grad is None


def test_to_count_leaves_no_trace():
    """Else a resumed run on a GPU would not be the run that was killed."""
    network = {"name": "transformer", "embed_dim": 16, "hidden": 16}
    estimator = build({"name": "gaussian"}, network)
    before = {name: value.clone() for name, value in estimator.state_dict().items()}
    month = torch.ones(1, 31, 8, 8)
    batch = Batch(month, month > 0, month[:, 0] > 0, month[:, :, 0, 0] > 0)
    for training in (True, False):
        assert count_flops(estimator.train(training), batch) > 1e6
        assert all(module.training is training for module in estimator.modules())
        for name, value in estimator.state_dict().items():  # the batch norm's too
            assert torch.equal(value, before[name]), name


def test_twice_the_samples_are_twice_the_flops():
    estimator = build({"name": "gaussian"}, {"name": "unet", "width": 8})
    month = torch.zeros(2, 31, 8, 8)
    batch = Batch(month, month > 0, month[:, 0] == 0, month[:, :, 0, 0] == 0)
    one, two = count_flops(estimator, batch[:1]), count_flops(estimator, batch)
    assert one > 1e6 and 1.9 < two / one <= 2
    assert all(p.grad is None for p in estimator.parameters())
