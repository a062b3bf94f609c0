"""Train the network: an explicit loop on Lightning Fabric that a reader can copy.

    sst-tutorial train --preset quick --out runs/quick

The loop knows nothing of the model's inside: it asks `months.predict` for a map and compares it
with the truth over the ocean. Chapters *The loss and the loop*, *The full GPU run*.
"""

import copy
import csv
import json
import math
import time as clock
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from lightning_fabric import Fabric, seed_everything
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from sst_tutorial.data import open_sst
from sst_tutorial.months import Settings, predict
from sst_tutorial.samples import (
    Batch,
    SampleMaker,
    fixed_months,
    open_clouds,
    random_coasts,
    real_anomalies,
)
from sst_tutorial.weights import build, load_state, save_weights


@dataclass(frozen=True)
class Config:
    """One training run. The presets below are all there is to choose from; change what you like."""

    steps: int = 300
    batch_size: int = 16
    lr: float = 2e-3
    weight_decay: float = 0.02
    warmup: int = 30  # steps
    clip: float = 1.0  # largest gradient norm
    ema: float = 0.99  # memory of the averaged weights that are kept
    eval_every: int = 100  # steps
    patience: int = 10  # evaluations without a better one before the run stops
    precision: str = "32-true"  # of Lightning Fabric; "bf16-mixed" on a GPU
    compile: bool = False
    pieces: int = 64  # simulated oceans kept ready
    simulated: float = 0.25  # their share of the samples where real data is given
    model: dict = field(default_factory=dict)  # for weights.build


SMALL = dict(embed_dim=32, hidden=32, passes=6, skip=True)
FULL = dict(passes=12, adapt=True, day_heads=4, skip=True, refine=2)
PRESETS = {
    "quick": Config(  # a laptop's CPU, under 2 minutes
        steps=240, batch_size=8, lr=4e-3, warmup=20, eval_every=60, model=SMALL
    ),
    "colab": Config(  # one T4; meant to take under 20 minutes, not yet timed on one
        steps=4000,
        batch_size=64,
        lr=1e-3,
        warmup=200,
        ema=0.999,
        eval_every=250,
        precision="16-mixed",
        pieces=512,
        model=FULL,
    ),
    "full": Config(  # one H100 or H200
        steps=4000,
        batch_size=256,
        lr=1e-3,
        warmup=300,
        ema=0.999,
        eval_every=500,
        precision="bf16-mixed",
        compile=True,
        pieces=2048,
        model=FULL,
    ),
}

PRECISIONS = ("32-true", "16-mixed", "bf16-mixed")  # the averaged weights stay in float32
SETTINGS = Settings(scale=1.0)  # K; anomalies off Tasmania spread by 0.93 K
CLIM_YEARS, TRAIN_YEARS, VAL_YEARS = (1982, 2010), (1982, 2010), (2011, 2012)
CLOUDY = 0.45  # looks with less sea seen than this make the cloudy regime


class DivergedError(ValueError):
    """The loss is no longer a finite number."""


def ocean_rmse(prediction: Tensor, target: Tensor, land: Tensor) -> Tensor:
    """RMSE over the ocean of each sample, averaged: (B, H, W) three times -> scalar in K.

    The root is taken per sample, so that hard months do not drown the easy ones. A sample
    without ocean counts as next to nothing.
    """
    ocean = (~land).to(prediction.dtype)
    square = ((prediction - target).square() * ocean).sum((1, 2))
    return (square / ocean.sum((1, 2)).clamp_min(1) + 1e-6).sqrt().mean()


def learning_rate(step: int, config: Config) -> float:
    """Linear warm-up, then half a cosine down to a thousandth."""
    if step < config.warmup:
        return config.lr * (step + 1) / config.warmup
    progress = (step - config.warmup) / max(1, config.steps - config.warmup)
    return config.lr * max(1e-3, 0.5 * (1 + math.cos(math.pi * progress)))


def fit(
    model: nn.Module,
    samples: SampleMaker,
    exams: dict[str, Batch],
    config: Config,
    out: Path,
    fabric: Fabric,
    settings: Settings = SETTINGS,
    resume: bool = False,
    progress: bool = True,
) -> nn.Module:
    """Train `model` for config.steps steps; return the averaged weights' best version.

    samples(step, batch_size) makes a batch. exams: fixed batches by name; the mean of their RMSE
    decides which weights are kept and when to stop. Writes log.csv and checkpoint.safetensors
    to `out` at every evaluation; `resume` continues from that checkpoint.
    """
    average = copy.deepcopy(model).eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(
        model.parameters(), config.lr, betas=(0.9, 0.99), weight_decay=config.weight_decay
    )
    best, state = copy.deepcopy(average), {"step": 0, "best": math.inf, "worse": 0, "seconds": 0.0}
    scaler = getattr(fabric.strategy.precision, "scaler", None)  # of the loss, in 16-mixed
    if resume:
        state = load_checkpoint(out / "checkpoint.safetensors", model, average, best, optimizer)
        if scaler is not None:
            scaler.load_state_dict(state["scaler"])
        if fabric.is_global_zero:
            _cut_log(out / "log.csv", state["step"])
    else:
        (out / "log.csv").unlink(missing_ok=True)
    raw = model
    model, optimizer = fabric.setup(torch.compile(model) if config.compile else model, optimizer)
    started, losses = clock.perf_counter() - state["seconds"], []
    first = state["step"]
    for step in range(first, config.steps):
        if state["worse"] >= config.patience:
            break
        batch = samples(step, config.batch_size)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, config)
        model.train()
        prediction, _ = predict(
            model, settings, batch.anomaly, batch.missing, batch.land, batch.days_mask
        )
        loss = ocean_rmse(prediction, batch.target, batch.land)
        optimizer.zero_grad()
        fabric.backward(loss)
        fabric.clip_gradients(model, optimizer, max_norm=config.clip, error_if_nonfinite=False)
        optimizer.step()
        follow(average, raw, min(config.ema, (step + 1) / (step + 10)))
        losses.append(loss.detach())
        last = step + 1 == config.steps
        if (step + 1) % config.eval_every and not last:
            continue
        mean_loss = float(fabric.all_reduce(torch.stack(losses).mean()))
        if not math.isfinite(mean_loss):
            kept = f"the last good weights are in {out / 'checkpoint.safetensors'}"
            raise DivergedError(
                f"the loss is {mean_loss} between steps {step + 2 - len(losses)} and {step + 1}: "
                f"lower lr (now {config.lr}), or use precision='32-true'; "
                + (kept if state["step"] else "nothing was saved yet")
            )
        scores = {name: exam_rmse(average, settings, exam) for name, exam in exams.items()}
        scores = fabric.broadcast(scores)  # all processes must stop at the same step
        seconds = clock.perf_counter() - started
        batches_a_second = len(losses) / (seconds - state["seconds"])
        row = {
            "step": step + 1,
            "seconds": round(seconds, 1),
            "lr": learning_rate(step, config),
            "loss": mean_loss,
            **scores,
            "samples_per_s": batches_a_second * config.batch_size * fabric.world_size,
            "share_in_data": seconds_for_a_batch(samples, config) * batches_a_second,
        }
        score = sum(scores.values()) / len(scores)
        if score < state["best"]:
            state.update(best=score, worse=0)
            best.load_state_dict(average.state_dict())
        else:
            state["worse"] += 1
        state.update(step=step + 1, seconds=seconds)
        if scaler is not None:
            state["scaler"] = scaler.state_dict()
        losses = []
        if fabric.is_global_zero:
            report(out / "log.csv", row, progress)
            save_checkpoint(out / "checkpoint.safetensors", raw, average, best, optimizer, state)
    return best


@torch.no_grad()
def follow(average: nn.Module, model: nn.Module, memory: float) -> None:
    """Exponential moving average of the weights; statistics of the batch norm are copied."""
    ours, theirs = list(average.parameters()), [p.detach() for p in model.parameters()]
    torch._foreach_lerp_(ours, theirs, 1 - memory)
    for mine, other in zip(average.buffers(), model.buffers(), strict=True):
        mine.copy_(other)


@torch.no_grad()
def exam_rmse(model: nn.Module, settings: Settings, exam: Batch, at_once: int = 64) -> float:
    """RMSE in K over every ocean cell of the exam."""
    square, cells = 0.0, 0
    for start in range(0, len(exam), at_once):
        part = exam.part(start, start + at_once)
        prediction, _ = predict(
            model, settings, part.anomaly, part.missing, part.land, part.days_mask
        )
        error = (prediction - part.target)[~part.land]
        square, cells = square + float(error.double().square().sum()), cells + error.numel()
    return math.sqrt(square / cells)


def seconds_for_a_batch(samples: SampleMaker, config: Config) -> float:
    """How long the device needs to make one batch; a GPU works ahead, so wait for it."""
    wait = torch.cuda.synchronize if samples.device.type == "cuda" else (lambda: None)
    wait()
    began = clock.perf_counter()
    samples(0, config.batch_size)
    wait()
    return clock.perf_counter() - began


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


def _cut_log(path: Path, step: int) -> None:
    """Drop the rows after `step`: a run killed between log and checkpoint writes them again."""
    if path.exists():
        head, *rows = path.read_text().splitlines(keepends=True)
        path.write_text(head + "".join(r for r in rows if int(r.split(",")[0]) <= step))


def save_checkpoint(path: Path, model, average, best, optimizer, state: dict) -> None:
    """Everything a killed run needs, in one safetensors file that appears whole or not at all."""
    tensors = {}
    for prefix, module in (("model", model), ("average", average), ("best", best)):
        tensors |= {f"{prefix}/{k}": v for k, v in module.state_dict().items()}
    for i, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{i}/{k}": torch.as_tensor(v) for k, v in moments.items()}
    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    partial = path.with_suffix(".partial")
    save_file(tensors, str(partial), {"state": json.dumps(state)})
    partial.replace(path)


def load_checkpoint(path: Path, model, average, best, optimizer) -> dict:
    """Put a checkpoint back into its parts and return where the run stood."""
    try:
        with safe_open(str(path), "pt") as f:
            tensors = {name: f.get_tensor(name) for name in f.keys()}
            state = json.loads(f.metadata()["state"])
    except (SafetensorError, OSError, KeyError, TypeError) as error:
        raise ValueError(
            f"cannot resume from {path} ({error}); it is missing, truncated or not a checkpoint "
            "of this package: start without --resume"
        ) from error
    moments: dict[int, dict[str, Tensor]] = {}
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}, "best": {}}
    for name, tensor in tensors.items():
        part, key = name.split("/", 1)
        if part == "optimizer":
            i, moment = key.split("/")
            moments.setdefault(int(i), {})[moment] = tensor
        else:
            parts[part][key] = tensor
    for module, part in ((model, "model"), (average, "average"), (best, "best")):
        load_state(module, parts[part], path)
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": moments, "param_groups": groups})
    return state


def train(
    preset: str = "quick",
    out="runs/quick",
    seed: int = 0,
    data=None,
    clouds=None,
    resume: bool = False,
    progress: bool = True,
    accelerator: str = "auto",
    devices="auto",
    **changes,
) -> nn.Module:
    """Train one network and write `out`/weights.safetensors; return it.

    preset: "quick", "colab" or "full". data: a file of complete daily SST (`open_sst` reads it)
    whose years 1982-2010 are trained on and 2011-2012 examined; None = the simulated ocean.
    clouds: a file of real looks that `open_clouds` reads; None = simulated clouds.
    changes: fields of `Config` to change, for example steps=50 or model={"passes": 12}.
    """
    if preset not in PRESETS:
        raise ValueError(f"preset={preset!r}, choose one of {sorted(PRESETS)}")
    unknown = set(changes) - set(asdict(PRESETS[preset]))
    if unknown:
        raise ValueError(f"{sorted(unknown)} are not fields of Config: {sorted(asdict(Config()))}")
    config = replace(PRESETS[preset], **changes)
    if config.precision not in PRECISIONS:
        raise ValueError(f"precision={config.precision!r}, choose one of {PRECISIONS}")
    torch.set_float32_matmul_precision("high")
    fabric = Fabric(accelerator=accelerator, devices=devices, precision=config.precision)
    fabric.launch()
    out = Path(out)
    files = {"data": data and str(data), "clouds": clouds and str(clouds)}
    run = asdict(config) | files | {"seed": seed, "processes": fabric.world_size}
    if resume:
        _check_same_run(out / "config.json", run)
    out.mkdir(parents=True, exist_ok=True)
    seed_everything(seed, verbose=False)
    model = build(config.model).to(fabric.device)
    series = None if data is None else real_anomalies(open_sst(data), CLIM_YEARS)
    clouds = None if clouds is None else open_clouds(clouds)
    samples = _samples(series, clouds, config, seed + 1000 * fabric.global_rank, fabric.device)
    exams = make_exams(series, clouds, fabric.device)
    if fabric.is_global_zero:
        (out / "config.json").write_text(json.dumps(run, indent=1))
    best = fit(model, samples, exams, config, out, fabric, SETTINGS, resume, progress)
    if fabric.is_global_zero:
        about = {"preset": preset, "seed": seed, **asdict(config)}
        save_weights(out / "weights.safetensors", best, config.model, SETTINGS, about)
    return best.cpu()


def _check_same_run(path: Path, run: dict) -> None:
    """ValueError where a resumed run is asked for anything else than the run that was killed."""
    if not path.exists():
        return
    before = json.loads(path.read_text())
    other = [f"{k}={run[k]!r} (was {v!r})" for k, v in before.items() if run.get(k, v) != v]
    if other:
        raise ValueError(
            f"to resume needs the arguments of the killed run, not {', '.join(other)}; give those, "
            "or start without resume in another folder"
        )


def _samples(series, clouds, config: Config, seed: int, device) -> SampleMaker:
    real = None if series is None else of_years(series, TRAIN_YEARS).values
    coasts = random_coasts(64, 32, seed=0)
    return SampleMaker(
        device,
        seed,
        real=real,
        clouds=clouds,
        coasts=coasts,
        pieces=config.pieces,
        simulated=config.simulated,
    )


def make_exams(series, clouds, device) -> dict[str, Batch]:
    """Fixed months to judge by: those of the validation years, or of simulated seas."""
    if series is None:
        return {"simulated": SampleMaker(device, seed=999_999, pieces=16)(0, 32)}
    series = of_years(series, VAL_YEARS)
    if clouds is None:
        batch = SampleMaker("cpu", seed=999_999, pieces=16)(0, 32)
        clouds = (~batch.missing)[~batch.days_mask].numpy()
    ocean_seen = clouds.mean((1, 2))
    if not (ocean_seen < CLOUDY).any():
        raise ValueError(f"clouds holds no look that sees less than {CLOUDY} of its cells")
    return {
        "cloudy": fixed_months(series, clouds[ocean_seen < CLOUDY], 8, seed=5, device=device),
        "clear": fixed_months(series, clouds, 8, seed=6, device=device),
    }


def of_years(series, years: tuple[int, int]):
    """The days of `series` (time, lat, lon) in the years first to last, both included."""
    first, last = years
    part = series.sel(time=slice(str(first), str(last)))
    if part.sizes["time"] == 0:
        raise ValueError(f"data holds no day of {first}-{last}, which the run needs")
    return part
