"""One row for every step of a run, written every `EVERY` steps so that a GPU is asked only then.

A GPU works behind the program that feeds it; to read a number is to wait for it. So losses and
times stay on the device until a block of rows is complete, and a loss that is not finite is found
there. Chapter *The loss and the loop*.
"""

import csv
import math
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

EVERY = 20  # steps
COLUMNS = ("step", "lr", "loss", "grad_norm", "clipped", "ms", "ms_in_data", "mfu")
# Dense bf16 or fp16 peak in FLOP/s, from the vendor's data sheets.
PEAK = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L4": 121e12, "T4": 65e12}


class DivergedError(ValueError):
    """The loss is no longer a finite number."""


class StepLog:
    """Collects rows and appends them to a CSV file.

    Args:
        path: of the file, or None to write nothing (the other processes of several).
        device: where the steps run.
        flops: floating-point operations of one step on this device, or None if unknown.
        hint: what to do about a loss that is not finite.
    """

    def __init__(self, path: Path | None, device: torch.device, flops=None, hint: str = ""):
        self.path, self.on_gpu, self.hint = path, device.type == "cuda", hint
        self.rows, self.marks = [], []
        name = torch.cuda.get_device_name(device) if self.on_gpu else "CPU"
        peak = next((peak for card, peak in PEAK.items() if card in name), None)
        self.ms_at_peak = 1000 * flops / peak if flops and peak else None

    def begin(self) -> None:
        self.marks = [self._now()]

    def data_is_there(self) -> None:
        self.marks.append(self._now())

    def end(self, step: int, lr: float, loss: Tensor, norm: Tensor, clipped: Tensor) -> None:
        """The step is under way on the device; its row is written with the next block."""
        numbers = torch.stack([loss, norm, clipped.to(loss.dtype)])
        self.rows.append((step, lr, numbers, [*self.marks, self._now()]))
        if len(self.rows) == EVERY:
            self.flush()

    def flush(self) -> None:
        """Fetch and write what was collected; DivergedError names the first bad step."""
        if not self.rows:
            return
        rows, self.rows = self.rows, []
        fetched = torch.stack([numbers for _, _, numbers, _ in rows]).tolist()  # the one sync
        table, bad = [], None
        for (step, lr, _, marks), (loss, norm, clipped) in zip(rows, fetched, strict=True):
            ms, in_data = self._ms(marks[0], marks[2]), self._ms(marks[0], marks[1])
            mfu = self.ms_at_peak / ms if self.ms_at_peak else ""
            numbers = (lr, loss, norm, clipped, ms, in_data, mfu)
            table.append([step, *(f"{x:.5g}" if x != "" else x for x in numbers)])
            bad = step if bad is None and not math.isfinite(loss) else bad
        if self.path is not None:
            new = not self.path.exists()
            with self.path.open("a", newline="") as file:
                csv.writer(file).writerows([COLUMNS] * new + table)
        if bad is not None:
            raise DivergedError(f"the loss of step {bad} is not a finite number: {self.hint}")

    def _now(self):
        """A mark in time: of the GPU's own work where there is one."""
        if not self.on_gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def _ms(self, begin, end) -> float:
        return begin.elapsed_time(end) if self.on_gpu else 1000 * (end - begin)


def count_flops(estimator: nn.Module, batch) -> float:
    """Floating-point operations of the matrix products of one forward and backward pass."""
    training = estimator.training
    estimator.eval()  # in training the batch norm would count the pass as a step
    # The fused kernels of attention would not be counted.
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        estimator(*batch.inputs).mean.sum().backward()
    estimator.train(training).zero_grad()
    return counter.get_total_flops()
