"""How sure is an estimate? A light head that watches a frozen network and says by how much it errs.

The head sees no truth, but what decides an error: how much was seen around a cell and how long ago,
how rough the observations are there, where the estimate is steep and where the network changed its
first guess, whether a month or a day is asked. It answers with a standard deviation in K; that of
the estimate's error, if errors are Gaussian. It lies beside the weights of its network:

    ocean-1.safetensors    ocean-1.spread.safetensors

Chapter *How sure is it?* Training: `experiments/checks/uncertainty.py`.
"""

import json
import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from scipy.special import erf
from torch import Tensor, nn
from torch.nn import functional as F

from sst_tutorial.first_guess import _distances, _gaussian, _motion, month_mean
from sst_tutorial.months import Batch
from sst_tutorial.networks import Estimate, Estimator
from sst_tutorial.weights import _save_whole, fingerprint, load_state, spread_file

FORMAT = "sst_tutorial spread 1"
# Cells and days of the Gaussians in which observations are counted, and whether their roughness is
# told too.
AROUND = (
    (1.2, 1.0, False),
    (1.2, 4.0, True),
    (4.0, 2.0, True),
    (4.0, 8.0, False),
    (10.0, 8.0, True),
)
CLUES = (
    *(f"seen within {cells:g} cells, {days:g} days" for cells, days, _ in AROUND),
    *(f"roughness within {cells:g} cells, {days:g} days" for cells, days, told in AROUND if told),
    "days since the cell was seen",
    "days until the cell is seen",
    "days to the nearer of them",
    "days of the month that saw the cell",
    "ocean",
    "share of ocean around",
    "coverage of the month",
    "spread of the month",
    "step to the next cell",
    "step over 4 cells",
    "step to the next day",
    "step over 3 days",
    "days asked for",
    "share of them that saw the cell",
    "what the network added",
    "steepness of the estimate",
)
TINY = 0.02  # K and counts, so that a logarithm stays finite
FARTHEST = 4.0  # standard deviations of a clue; what lies further out is told as this
LEAST, MOST = 0.005, 10.0  # K, of an answer


class Scene(NamedTuple):
    """What no question changes: clues of each day (B, T, C, H, W) and of the month (B, S, H, W)."""

    daily: Tensor
    month: Tensor
    observed: Tensor
    ocean: Tensor


def scene_of(anomaly: Tensor, observed: Tensor, ocean: Tensor, exists: Tensor) -> Scene:
    """The fields of `months.Batch`, in K; what is not observed may hold anything."""
    observed = observed & ocean[:, None] & exists[:, :, None, None]
    x = anomaly.float().masked_fill(~observed, 0.0)  # (B, T, H, W)
    seen = observed.float()
    numbers = _motion(x, seen, ocean)  # (B, 6), logarithms
    spread = numbers[:, 1].exp()[:, None, None, None]  # K^2
    middle = (x.sum((1, 2, 3)) / seen.sum((1, 2, 3)).clamp_min(1))[:, None, None, None]
    x = (x - middle) * seen  # squares of small numbers lose less
    fields = torch.cat([seen, x, x.square()])  # (3 B, T, H, W)
    near = {cells: _across(fields, cells) for cells in {cells: None for cells, *_ in AROUND}}
    counts, rough = [], []
    for cells, days, told in AROUND:
        number = _along(near[cells][: len(seen)], days)
        counts.append((number + TINY).log())
        if told:
            total, square = _along(near[cells][len(seen) :], days).chunk(2)
            variance = square - total.square() / number.clamp_min(1e-6)
            # One observation says nothing: two that know only the month's spread keep it in range.
            rough.append((((variance + 2 * spread) / (number + 2)).clamp_min(1e-4)).log() / 2)
    # Of an endless sea: the edge of a tile looks like a coast, for nothing is known beyond either.
    share = _across(ocean.float()[:, None], 4.0)[:, 0] / (2 * math.pi * 4.0**2)
    share = share * exists.float().mean(1)[:, None, None]
    before, after = ((a + 1).log() for a in _days_to(observed))
    daily = [*counts, *rough, before, after, torch.minimum(before, after)]
    month = [seen.sum(1).log1p(), ocean.float(), share]
    month += [n[:, None, None].expand_as(share) for n in numbers.T]
    return Scene(torch.stack(daily, 2), torch.stack(month, 1), observed, ocean)


def clues_of(scene: Scene, wanted: Tensor, estimate: Estimate) -> Tensor:
    """(Q, F, H, W), the clues named in `CLUES`, of Q = B questions, one for each month, or of Q
    questions about one month. wanted: (Q, T) bool. estimate: maps (Q, H, W) K."""
    mean, first_guess = (a.float() for a in estimate[:2])
    Q = len(wanted)
    daily = month_mean(scene.daily, wanted)  # (Q, C, H, W)
    number = wanted.sum(1)[:, None, None].float()
    asked = (scene.observed & wanted[:, :, None, None]).float().sum(1) / number.clamp_min(1)
    last = [
        number.log().expand_as(mean),
        asked,
        ((mean - first_guess).abs() + TINY).log(),
        (_steepness(mean, scene.ocean) + TINY).log(),
    ]
    month = scene.month.expand(Q, -1, -1, -1)
    return torch.cat([daily, month, torch.stack(last, 1)], 1)


def _across(x: Tensor, cells: float) -> Tensor:
    """Gaussian sums (B, T, H, W) around each cell; outside the box is nothing."""
    row, col = (_gaussian(_distances(n, x) / cells) for n in x.shape[2:])
    return row @ (x @ col)


def _along(x: Tensor, days: float) -> Tensor:
    """Gaussian sums (B, T, H, W) around each day."""
    return (_gaussian(_distances(x.shape[1], x) / days) @ x.flatten(2)).view_as(x)


def _days_to(observed: Tensor) -> tuple[Tensor, Tensor]:
    """Days since each cell was last seen and until it is next seen, (B, T, H, W) each; where it
    never was, as many as there are days."""
    days = [~day for day in observed.unbind(1)]
    return _count(days), _count(days[::-1]).flip(1)


def _count(unseen: list[Tensor]) -> Tensor:
    """Days (B, T, H, W) since any of these, each (B, H, W) bool, was False. Day by day: for
    four tiles at once `cummax` takes a CPU three times as long."""
    T = len(unseen)
    far, days = torch.full_like(unseen[0], T, dtype=torch.float32), []
    for day in unseen:
        far = (far + 1) * day
        days.append(far)
    return torch.stack(days, 1).clamp_max(T)


def _steepness(mean: Tensor, ocean: Tensor) -> Tensor:
    """Root mean square difference (Q, H, W) in K to the neighbours of a cell that are ocean."""
    ocean = ocean.expand_as(mean).float()
    square, count = torch.zeros_like(mean), torch.zeros_like(mean)
    for axis in (1, 2):
        n = mean.shape[axis] - 1
        both = ocean.narrow(axis, 0, n) * ocean.narrow(axis, 1, n)
        step = (mean.narrow(axis, 0, n) - mean.narrow(axis, 1, n)).square() * both
        for start in (0, 1):
            square.narrow(axis, start, n).add_(step)
            count.narrow(axis, start, n).add_(both)
    return (square / count.clamp_min(1)).sqrt()


# ---------------------------------------------------------------- the head


class Spread(nn.Module):
    """Clues (Q, F, H, W) -> logarithm of the standard deviation in K (Q, H, W).

    width: channels. `middle` and `unit` bring each clue to mean 0 and spread 1; `unseen` (2,) is
    the answer in K for a month and for a day where nothing was seen in a whole tile, NaN = unknown.
    """

    def __init__(self, width=32):
        super().__init__()
        chans = len(CLUES)
        for name, value in (("middle", 0.0), ("unit", 1.0)):
            self.register_buffer(name, torch.full((chans,), value))
        self.register_buffer("unseen", torch.full((2,), math.nan))
        self.first = nn.Conv2d(chans, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 1)
        self.third = nn.Conv2d(width, width, 1)
        self.last = nn.Conv2d(width, 1, 1)
        nn.init.zeros_(self.last.weight)

    def forward(self, clues: Tensor) -> Tensor:
        x = (clues - self.middle[:, None, None]) / self.unit[:, None, None]
        x = x.clamp(-FARTHEST, FARTHEST)
        x = F.gelu(self.first(x))  # (Q, width, H, W)
        x = x + F.gelu(self.second(x))
        x = x + F.gelu(self.third(x))
        return self.last(x)[:, 0].clamp(math.log(LEAST), math.log(MOST))

    def of(self, batch: Batch, estimate: Estimate) -> Tensor:
        """Standard deviation (B, H, W) in K of the error of an estimate of this batch, land 0."""
        clues = clues_of(scene_of(*batch.inputs[:4]), _wanted(batch), estimate)
        return self(clues).exp().masked_fill(~batch.ocean, 0.0)

    def of_days(self, batch: Batch, days: Estimate) -> Tensor:
        """The same of each day, (B, T, H, W), 0 on days that do not exist; days: of
        `Estimator.days`."""
        out = torch.zeros_like(days.mean)
        for b in range(len(out)):
            month = batch[b : b + 1]
            there = month.exists[0].nonzero()[:, 0]  # (Q,)
            wanted = F.one_hot(there, month.exists.shape[1]).bool()
            maps = Estimate(days.mean[b, there], days.first_guess[b, there])
            sd = self(clues_of(scene_of(*month.inputs[:4]), wanted, maps)).exp()  # (Q, H, W)
            out[b, there] = sd.masked_fill(~month.ocean, 0.0)
        return out


def _wanted(batch: Batch) -> Tensor:
    return batch.exists if batch.wanted is None else batch.wanted & batch.exists


def gaussian_nll(log_sd: Tensor, error: Tensor) -> Tensor:
    """Minus the logarithm of the Gaussian density of an error, but for a constant, each cell."""
    return log_sd + 0.5 * (error / log_sd.exp()).square()


def gaussian_crps(log_sd: Tensor, error: Tensor) -> Tensor:
    """Continuous ranked probability score in K of a Gaussian around the estimate, each cell
    (Gneiting et al. 2005)."""
    sd = log_sd.exp()
    z = error / sd
    density = torch.exp(-0.5 * z.square()) / math.sqrt(2 * math.pi)
    return sd * (z * torch.erf(z / math.sqrt(2)) + 2 * density - 1 / math.sqrt(math.pi))


LOSSES = {"likelihood": gaussian_nll, "crps": gaussian_crps}


# ---------------------------------------------------------------- how it learns


class Lessons(NamedTuple):
    """Clues (N, F, H, W) in half precision, errors of the estimate (N, H, W) K, ocean (N, H, W)."""

    clues: Tensor
    error: Tensor
    ocean: Tensor


def thinned(batch: Batch, share: float, rng: torch.Generator) -> Batch:
    """A batch of which some samples lose most of their days, so that a sea that was hardly seen is
    met in training: a kept day is as likely as the square of a uniform number."""
    few = torch.rand(len(batch), generator=rng) < share
    odds = torch.where(few, torch.rand(len(batch), generator=rng).square(), 1.0)
    kept = torch.rand(batch.exists.shape, generator=rng) < odds[:, None]  # (B, T)
    observed = batch.observed & kept[:, :, None, None].to(batch.observed.device)
    return replace(batch, observed=observed, anomaly=batch.anomaly.masked_fill(~observed, 0.0))


@torch.inference_mode()
def lessons_of(estimator: Estimator, batches) -> Lessons:
    """What a frozen estimator errs by on batches with their target."""
    parts = []
    for batch in batches:
        estimate = estimator(*batch.inputs)
        clues = clues_of(scene_of(*batch.inputs[:4]), _wanted(batch), estimate).half()
        parts.append((clues, estimate.mean - batch.target, batch.ocean))
    return Lessons(*(torch.cat(column) for column in zip(*parts, strict=True)))


def learn(
    lessons: Lessons, loss="likelihood", steps=1500, batch_size=24, lr=2e-3, seed=0, width=32
):
    """A `Spread` that learned from the errors of an estimate.

    loss: of `LOSSES`, averaged over the ocean. Samples are flipped and turned; the learning rate
    falls to zero along half a cosine.
    """
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed)
    spread = Spread(width)
    sea = lessons.clues.movedim(1, -1)[lessons.ocean].float()  # (cells, F)
    spread.middle.copy_(sea.mean(0))
    spread.unit.copy_(sea.std(0).clamp_min(1e-3))
    nn.init.constant_(
        spread.last.bias, float(lessons.error[lessons.ocean].square().mean().log() / 2)
    )
    spread.unseen.copy_(_errors_of_nothing(lessons))
    optimizer = torch.optim.AdamW(spread.parameters(), lr, weight_decay=0.01)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = lr * min((step + 1) / 50, 0.5 * (1 + math.cos(math.pi * step / steps)))
        pick = torch.randint(len(lessons.error), (batch_size,), generator=rng)
        clues, error, ocean = (_turned(a[pick], step) for a in lessons)
        value = LOSSES[loss](spread(clues.float()), error)
        value = (value * ocean).sum() / ocean.sum()
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(spread.parameters(), 1.0)
        optimizer.step()
    return spread.eval()


def _errors_of_nothing(lessons: Lessons) -> Tensor:
    """RMS error (2,) K for a month and for a day of samples that saw nothing, NaN without any."""
    days = lessons.clues[:, CLUES.index("days of the month that saw the cell")]
    nothing = (days == 0).all(2).all(1)
    of_day = lessons.clues[:, CLUES.index("days asked for"), 0, 0] == 0
    kinds = (nothing & ~of_day, nothing & of_day)
    return torch.stack([lessons.error[k][lessons.ocean[k]].square().mean().sqrt() for k in kinds])


def _turned(x: Tensor, turn: int) -> Tensor:
    """One of the eight ways to lay a square."""
    dims = [d for bit, d in ((1, -1), (2, -2)) if turn & bit]
    x = x.flip(dims) if dims else x
    return x.transpose(-1, -2) if turn & 4 else x


# ---------------------------------------------------------------- its file


def save_spread(path, spread: Spread, estimator: Estimator, about: dict) -> None:
    """Write the head of this very estimator. about: what is worth knowing; must turn into JSON."""
    state = {k: v.detach().cpu().contiguous() for k, v in spread.state_dict().items()}
    metadata = {
        "format": FORMAT,
        "sha256": fingerprint(state),
        "network_sha256": fingerprint(estimator.state_dict()),
        "width": str(spread.first.out_channels),
        "about": json.dumps(about),
    }
    _save_whole(state, path, metadata)


def load_spread(model, estimator: Estimator) -> Spread | None:
    """The head that came with a network (its shipped name, path or folder), in eval mode on the
    CPU; None where it has none, as an `Estimator` that somebody built. ValueError for one that is
    damaged or belongs to other weights."""
    path = None if isinstance(model, Estimator) else spread_file(model)
    if path is None or not path.is_file():
        return None
    try:
        with safe_open(str(path), "pt") as f:
            metadata = f.metadata() or {}
            state = {name: f.get_tensor(name) for name in f.keys()}
        if metadata.get("format") != FORMAT or fingerprint(state) != metadata["sha256"]:
            raise ValueError(f"format {metadata.get('format')!r}, or numbers that were changed")
        width, network = int(metadata["width"]), metadata["network_sha256"]
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise ValueError(f"{path} is no spread of this version ({error}); make it again") from error
    if network != fingerprint(estimator.state_dict()):
        raise ValueError(f"{path} was made for other weights than those beside it; make it again")
    spread = Spread(width)
    load_state(spread, state, path)
    return spread.eval()


def read_about(path) -> dict:
    """What was told to `save_spread`."""
    with safe_open(str(path), "pt") as f:
        return json.loads(f.metadata()["about"])


# ---------------------------------------------------------------- is it right?

INSIDE = {1: 0.6827, 2: 0.9545}  # shares of a Gaussian within so many standard deviations
BINS = 10
LEVELS = (0.5, 0.8, 0.9, 0.95)  # of central intervals


def crps_of(error, sd) -> np.ndarray:
    """`gaussian_crps` of arrays."""
    error, sd = (torch.as_tensor(np.asarray(a), dtype=torch.float64) for a in (error, sd))
    return gaussian_crps(sd.log(), error).numpy()


def calibration(error, sd) -> dict:
    """Do errors (N,) spread as their standard deviations (N,) say, both in K?

    Returns rmse; sd, the root mean square of what was said; ratio, sd by rmse: below 1 too sure;
    crps (smaller is better, of a Gaussian); z_std and within_1, within_2 of z = error / sd, which
    are 1 and `INSIDE` if all is right; inside, the share within each central interval of `LEVELS`;
    bins, tenths of the cells from the surest to the least sure: {sd, rmse} of each; pit, shares of
    the errors in tenths of their own distributions, 0.1 each if all is right.
    """
    error, sd = np.asarray(error, float), np.asarray(sd, float)
    if error.shape != sd.shape or error.ndim != 1 or not len(error) or not (sd > 0).all():
        raise ValueError(
            f"error and sd must be (N,) of one length, sd above 0, got {error.shape} and "
            f"{sd.shape}, smallest sd {sd.min(initial=np.inf):.3g}"
        )
    z = error / sd
    rank = 0.5 * (1 + erf(z / math.sqrt(2)))  # of each error in its own distribution
    order = np.argsort(sd, kind="stable")
    parts = np.array_split(order, min(BINS, len(order)))
    rmse, said = _rms(error), _rms(sd)
    return {
        "cells": len(error),
        "rmse": rmse,
        "sd": said,
        "ratio": said / rmse,
        "crps": float(crps_of(error, sd).mean()),
        "z_std": _rms(z),
        **{f"within_{n}": float((np.abs(z) <= n).mean()) for n in INSIDE},
        "inside": [float((np.abs(2 * rank - 1) <= level).mean()) for level in LEVELS],
        "bins": [{"sd": _rms(sd[part]), "rmse": _rms(error[part])} for part in parts],
        "pit": (np.histogram(rank, BINS, (0, 1))[0] / len(rank)).tolist(),
    }


def _rms(x) -> float:
    return float(np.sqrt(np.mean(np.square(x))))
