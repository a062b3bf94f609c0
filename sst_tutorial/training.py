"""Train an estimator: an explicit loop on Lightning Fabric that a reader can copy.

    sst-tutorial train --preset quick --out runs/quick

The loop knows nothing of the estimator's inside: it asks for a map and compares it with the truth
over the ocean. Of the rest each thing has one place: `ocean_rmse` is the loss, `validation_rmse`
judges, `fit` names the optimiser, and samples may come from anything that answers with a `Batch`.
Chapters *The loss and the loop*, *The full GPU run*.
"""

import copy
import csv
import math
import time as clock
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from sst_tutorial._extras import need
from sst_tutorial.months import Batch
from sst_tutorial.networks import Estimator
from sst_tutorial.settings import Settings
from sst_tutorial.steplog import StepLog, count_flops
from sst_tutorial.weights import load_checkpoint, save_checkpoint
from sst_tutorial.whole import whole

need("train", "lightning_fabric")
from lightning_fabric import Fabric  # noqa: E402


def ocean_rmse(prediction: Tensor, target: Tensor, ocean: Tensor) -> Tensor:
    """RMSE over the ocean of each sample, averaged: (B, H, W) three times -> scalar in K.

    The root is taken per sample, so that hard months do not drown the easy ones. A sample
    without ocean counts as next to nothing.
    """
    weight = ocean.to(prediction.dtype)
    square = ((prediction - target).square() * weight).sum((1, 2))
    return (square / weight.sum((1, 2)).clamp_min(1) + 1e-6).sqrt().mean()


def loss_of(model: nn.Module, batch: Batch, every_day: float = 0.0) -> Tensor:
    """`ocean_rmse` of what was asked and, weighed by `every_day`, of what the daily head makes of
    all days: 31 more targets of each sample, for one layer's work."""
    if not every_day:
        return ocean_rmse(model(*batch.inputs).mean, batch.target, batch.ocean)
    estimate, days = model(*batch.inputs, every_day=True)
    there = batch.ocean[:, None] & batch.exists[:, :, None, None]  # (B, T, H, W)
    maps = (x.flatten(1, 2) for x in (days, batch.truth, there))  # (B, T H, W)
    asked = ocean_rmse(estimate.mean, batch.target, batch.ocean)
    return asked + every_day * ocean_rmse(*maps)


def learning_rate(step: int, progress: float, settings: Settings) -> float:
    """Linear warm-up over steps, then half a cosine over the progress 0..1, to a thousandth."""
    if step < settings.warmup:
        return settings.lr * (step + 1) / settings.warmup
    return settings.lr * max(1e-3, 0.5 * (1 + math.cos(math.pi * min(progress, 1.0))))


def parameter_groups(module: nn.Module, weight_decay: float) -> list[dict]:
    """Two groups for AdamW: matrices and kernels decay; norms, biases, the decoder's scale and the
    logarithms of the corrections (all of them vectors) do not, for zero is no simpler than one."""
    matrices = [p for p in module.parameters() if p.ndim > 1]
    vectors = [p for p in module.parameters() if p.ndim <= 1]
    return [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]


def fit(
    estimator: Estimator,
    samples: Callable[[int, int], Batch],
    validation: dict[str, Batch],
    settings: Settings,
    out: Path,
    fabric: Fabric,
    resume: bool = False,
    progress: bool = True,
    ready=None,
) -> tuple[Estimator, dict]:
    """Train `estimator`; return the averaged weights' best version and where the run ended.

    samples(step, batch_size) makes a batch from these two numbers alone, as a `SampleMaker` does.
    validation: fixed batches by name; the mean of their RMSE decides which weights are kept and
    when to stop. Writes log.csv, steps.csv and checkpoint.safetensors to `out`; `resume` continues
    from that checkpoint. ready() is called when all is compiled, before the clock of the training
    starts.
    """
    on_gpu = fabric.device.type == "cuda"
    local, parts = parts_of_batch(settings, fabric.world_size)
    raw, average = estimator, copy.deepcopy(estimator).eval().requires_grad_(False)
    best = copy.deepcopy(average)
    optimizer = torch.optim.AdamW(
        parameter_groups(raw, settings.weight_decay), settings.lr, betas=(0.9, 0.99), fused=on_gpu
    )
    state = {"step": 0, "best": math.inf, "worse": 0, "seconds": 0.0}
    scaler = getattr(fabric.strategy.precision, "scaler", None)  # of the loss, in 16-mixed
    if resume:
        state = load_checkpoint(out / "checkpoint.safetensors", raw, average, best, optimizer)
        if scaler is not None:
            scaler.load_state_dict(state["scaler"])
    if fabric.is_global_zero:
        _cut_logs(out, state["step"])
    flops = count_flops(raw, samples(0, local)[:1]) * local if on_gpu else None
    log = _step_log(out, settings, fabric, flops)
    # One graph of all kernels: launched one by one they kept a CPU busy for 27 ms a step.
    mode = "reduce-overhead" if on_gpu and fabric.world_size == 1 else None
    model = torch.compile(raw, mode=mode) if settings.compile else raw
    model, optimizer = fabric.setup(model, optimizer)
    step, losses, begin = state["step"], [], clock.perf_counter()
    first = step
    done = _progress(step, state["seconds"], settings)  # 0 to 1
    while done < 1 and state["worse"] < settings.patience:
        lr = learning_rate(step, done, settings)
        for group in optimizer.param_groups:
            group["lr"] = lr
        log.begin()
        batch = samples(step, local)
        log.data_is_there()
        loss, norm = descend(model, optimizer, batch, parts, settings, fabric)
        step += 1
        follow(average, raw, min(settings.ema, step / (step + 9)))
        log.end(step, lr, loss, norm, norm > settings.clip)
        losses.append(loss)
        if step == first + 1:
            if ready is not None:
                ready()
            begin = clock.perf_counter()  # the time to compile is no time of training
        seconds = state["seconds"] + clock.perf_counter() - begin
        done = _progress(step, seconds, settings)
        if fabric.world_size > 1 and settings.seconds:
            done = fabric.broadcast(done)  # all processes must stop at the same step
        if step % settings.eval_every and done < 1:
            continue
        log.flush()
        seconds = state["seconds"] + clock.perf_counter() - begin
        scores = keep_the_better(average, best, validation, state, fabric)
        mean_loss = float(fabric.all_reduce(torch.stack(losses).mean()))
        speed = settings.batch_size * len(losses) / (seconds - state["seconds"])
        row = {"step": step, "seconds": seconds, "lr": lr, "loss": mean_loss, **scores}
        state.update(step=step, seconds=seconds)
        if scaler is not None:
            state["scaler"] = scaler.state_dict()
        if fabric.is_global_zero:
            report(out / "log.csv", row | {"samples_per_s": speed}, progress)
            save_checkpoint(out / "checkpoint.safetensors", raw, average, best, optimizer, state)
        losses, begin = [], clock.perf_counter()  # the time to evaluate does not count either
    return best, state


def descend(model, optimizer, batch: Batch, parts, settings: Settings, fabric: Fabric):
    """One step down the loss of a batch: (loss, norm of its gradient before it was clipped)."""
    model.train()
    loss = torch.zeros((), device=fabric.device)
    for n, part in enumerate(parts, start=1):  # a small card takes the batch in parts
        with fabric.no_backward_sync(model, enabled=n < len(parts)):
            piece = batch[part]
            share = loss_of(model, piece, settings.every_day) / len(parts)
            fabric.backward(share)
            loss += share.detach()
    norm = fabric.clip_gradients(model, optimizer, max_norm=settings.clip, error_if_nonfinite=False)
    optimizer.step()
    optimizer.zero_grad()
    return loss, norm


def keep_the_better(average, best, validation: dict, state: dict, fabric: Fabric) -> dict:
    """Judge the average, which becomes the best or counts as one more that is not: its scores."""
    scores = {name: validation_rmse(average, part) for name, part in validation.items()}
    scores = fabric.broadcast(scores)
    score = sum(scores.values()) / len(scores)
    if score < state["best"]:
        state.update(best=score, worse=0)
        best.load_state_dict(average.state_dict())
    else:
        state["worse"] += 1
    return scores


def _step_log(out: Path, settings: Settings, fabric: Fabric, flops) -> StepLog:
    return StepLog(
        out / "steps.csv" if fabric.is_global_zero else None,
        fabric.device,
        flops=flops,
        hint=f"lower lr (now {settings.lr}), or use precision='32-true'; the weights of the last "
        f"evaluation, if there was one, are in {out / 'checkpoint.safetensors'}",
    )


def parts_of_batch(settings: Settings, processes: int) -> tuple[int, list[slice]]:
    """Samples of a step on one of the processes, and the parts in which they are computed."""
    local = settings.batch_size // processes
    micro = min(settings.micro_batch or local, local)
    if local * processes != settings.batch_size or local % micro:
        raise ValueError(
            f"batch_size={settings.batch_size} does not divide into {processes} processes and "
            f"parts of micro_batch={micro}; choose numbers that do"
        )
    return local, [slice(begin, begin + micro) for begin in range(0, local, micro)]


def _progress(step: int, seconds: float, settings: Settings) -> float:
    return seconds / settings.seconds if settings.seconds else step / settings.steps


@torch.no_grad()
def follow(average: nn.Module, model: nn.Module, memory: float) -> None:
    """Exponential moving average of the weights; statistics of the batch norm are copied."""
    ours, theirs = list(average.parameters()), [p.detach() for p in model.parameters()]
    torch._foreach_lerp_(ours, theirs, 1 - memory)
    buffers = list(average.buffers())
    if buffers:  # `UNet` has none
        torch._foreach_copy_(buffers, list(model.buffers()))


@torch.no_grad()
def validation_sums(estimator: nn.Module, batch: Batch, at_once: int = 64) -> dict:
    """Sum of squared errors in K^2 and number of ocean cells of each month of a fixed batch."""
    squares, cells = [], []
    for start in range(0, len(batch), at_once):
        part = batch[start : start + at_once]
        error = (estimator(*part.inputs).mean - part.target).double()  # (B, H, W)
        squares += (error.square() * part.ocean).sum((1, 2)).tolist()
        cells += part.ocean.sum((1, 2)).tolist()
    return {"square_sum": squares, "weight_sum": cells}


def validation_rmse(estimator: nn.Module, batch: Batch) -> float:
    """RMSE in K over every ocean cell of a fixed batch."""
    sums = validation_sums(estimator, batch)
    return math.sqrt(sum(sums["square_sum"]) / sum(sums["weight_sum"]))


def report(path: Path, row: dict, progress: bool) -> None:
    """Append one line to the log, and show it."""
    new = not path.exists()
    with path.open("a", newline="") as f:
        writer = csv.DictWriter(f, row)
        if new:
            writer.writeheader()
        writer.writerow({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()})
    if progress:
        print("  ".join(f"{k} {v:.4g}" for k, v in row.items()), flush=True)


def _cut_logs(out: Path, step: int) -> None:
    """Drop the rows after `step`: a run killed between log and checkpoint writes them again, and a
    new run starts at 0."""
    for path in (out / "log.csv", out / "steps.csv"):
        if path.exists() and step == 0:
            path.unlink()
        elif path.exists():
            lines = path.read_text().splitlines(keepends=True)
            rows = [row for row in lines[1:] if row.endswith("\n")]  # the last may be half a row
            kept = [row for row in rows if int(row.split(",")[0]) <= step]
            with whole(path) as part:
                part.write_text("".join(lines[:1] + kept))
