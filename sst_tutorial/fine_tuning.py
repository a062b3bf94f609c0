"""Teach weights your own sea, from the gappy file alone: an explicit loop on Lightning Fabric.

    sst-tutorial fine-tune FILE --from WEIGHTS --out runs/mine

Nobody has the complete maps of a gappy file. But its observations can be withheld below the clouds
of other days, as the judge does (`judging.py`): the network is asked for that day, and what was
withheld is the target. The file is split in time. The first days train, the days after them say
when to stop, and the last are judged once, before and after, beside the classical methods; no
observation of a later part is ever seen in training, not even as input.

Complete maps of other years need none of this: `sst-tutorial train --from WEIGHTS --data FILE`.

Chapter *Teach it your sea*.
"""

import copy
import math
import time as clock
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from sst_tutorial._extras import need
from sst_tutorial.exams import under_other_skies
from sst_tutorial.judging import (
    _opened,
    difference,
    judge,
    series_of,
    sky_of,
    well_seen_days,
)
from sst_tutorial.months import DAYS, Batch, Month
from sst_tutorial.networks import Estimator
from sst_tutorial.reconstruction import _check_days
from sst_tutorial.results import write_record, write_results
from sst_tutorial.samples import _turned
from sst_tutorial.settings import Settings, as_dict, changed
from sst_tutorial.tiles import TILE
from sst_tutorial.training import follow, learning_rate, ocean_rmse, parameter_groups, report
from sst_tutorial.weights import find_weights, load_weights, read_metadata, save_weights

need("train", "lightning_fabric")
from lightning_fabric import Fabric, seed_everything  # noqa: E402

# What may change (four numbers of each correction; all of the first guess; everything), and how
# fast unless `lr` is given. On two months off Alboran the numbers were the best to teach: a month
# of data is learned by heart by half a million weights within a hundred steps.
LEARN = {"numbers": 3e-2, "first guess": 1e-3, "all": 1e-4}
NUMBERS = ("log_cells", "log_days", "log_noise", "log_gain")
# `daily` = 1 says that every question is for one day. The averaged weights remember some 20 steps.
DEFAULTS = Settings(
    steps=300, batch_size=8, weight_decay=0.0, warmup=10, ema=0.95, eval_every=25, patience=4,
    daily=1.0,
)  # fmt: skip
CHANGEABLE = ("seed", "steps", "seconds", "batch_size", "lr", "weight_decay", "warmup", "clip")
CHANGEABLE += ("ema", "eval_every", "patience")
JUDGED, STOPPED = 0.25, 0.25  # of the file; of what is left of it
# Days with observations in each part. With fewer, half of them well seen, hardly a cloud differs
# from the others, and an RMSE tells nothing.
LEAST = {"train": 14, "validation": 6, "judge": 6}
LEAST_WITHHELD = 10  # cells of a question: fewer are mostly one cloud's edge
MOST_CELL_DAYS = 20_000_000  # of the training: each question takes a copy, 80 MB
WITHHELD, BEFORE, AFTER = "withheld", "network", "fine-tuned"


def fine_tune(
    daily,
    start,
    out="runs/tuned",
    judge_from=None,
    learn="numbers",
    progress: bool = True,
    accelerator: str = "cpu",
    command: str = "sst_tutorial.fine_tuning.fine_tune",
    data: str | None = None,
    **changes,
) -> tuple[Estimator, dict]:
    """Go on from the weights `start` on a gappy series; leave a run's folder `out`.

    Parameters
    ----------
    daily : what `open_sst` returns, or takes when it is open: 35 days with observations or more.
    start : weights that learned single days: name, file or run's folder, as for `reconstruct`.
    out : the folder: run.json, log.csv, scores.json, weights.safetensors. Use it as
        `reconstruct(daily, model=out)`.
    judge_from : first day of the judged part, which teaches nothing; None = the last quarter.
    learn : what may change: "numbers" (four of each correction), "first guess", or "all".
    accelerator : of Lightning Fabric.
    command, data : what the record says of where it came from.
    changes : settings of the run, of `CHANGEABLE`; the others are in `DEFAULTS`, lr in `LEARN`.

    Returns (estimator, judgement): the judgement is that of `judging.judge` on the last part, with
    the rows "network" (before) and "fine-tuned" (after), and "gain" and "lead": [difference, low,
    high] in K of after less before, and of the best classical method less after.

    A file of 40 x 40 cells and 92 days takes 2 minutes on two cores.

    Raises ValueError for weights that have no days, a file that is too short or complete, unknown
    settings, and a training that runs away.
    """
    settings = _settings(start, data, learn, changes)
    path = find_weights(start)
    estimator = load_weights(start)
    _check_days(str(start), estimator, path.stem)
    learning = _to_learn(estimator, learn)
    daily = _opened(daily)
    parts = split(daily, judge_from)
    samples = Withheld(_until(daily, parts["train"][1]), estimator.patch_size, settings.seed)
    known = _until(daily, parts["validation"][1])

    def stop_by(candidate) -> float:
        found = judge(known, ["network"], candidate, period=parts["validation"])
        return found["methods"]["network"]["rmse"]

    stop_by(estimator)  # what cannot be judged must be known before anything is written
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    for name in ("run.json", "log.csv", "scores.json", "weights.safetensors"):
        (out / name).unlink(missing_ok=True)
    fabric = Fabric(accelerator=accelerator, devices=1, precision=settings.precision)
    fabric.launch()
    seed_everything(settings.seed, verbose=False)
    before = copy.deepcopy(estimator)
    estimator = estimator.to(fabric.device)
    best, state = _fit(estimator, learning, samples, stop_by, settings, out, fabric, progress)

    scores = judge(daily, model={BEFORE: before, AFTER: best}, period=(parts["judge"][0], None))
    scores |= {"learn": learn, **_gains(scores)}
    found = {"learn": learn, "parts": parts, "start": read_metadata(path)["sha256"]}
    numbers = sum(p.numel() for p in learning)
    _leave(out, settings, command, best, path, scores, found, state, numbers)
    return best, scores


def _settings(start, data, learn: str, changes: dict) -> Settings:
    """Of the run; ValueError for what is unknown."""
    unknown = sorted(set(changes) - set(CHANGEABLE))
    if unknown:
        raise ValueError(f"{unknown[0]!r} is no setting of fine_tune; known are {CHANGEABLE}")
    if learn not in LEARN:
        raise ValueError(f"learn={learn!r}, choose one of {', '.join(map(repr, LEARN))}")
    return changed(replace(DEFAULTS, start=str(start), data=data, lr=LEARN[learn]), **changes)


def _leave(out: Path, settings, command, best, path, scores, found, state, numbers) -> None:
    """Weights, scores and the record; path: of the weights at the start, found: about the run,
    numbers: how many parameters learned."""
    config = read_metadata(path)["config"]
    about = {"command": command, "settings": as_dict(settings), "learn": found["learn"]}
    about |= {"parts": found["parts"], "start_sha256": found["start"]}
    slots = config["first_guess"], config["network"]
    save_weights(out / "weights.safetensors", best, *slots, about)
    write_results(scores, out / "scores.json")
    rmse = {name: row["rmse"] for name, row in scores["methods"].items()}
    write_record(
        out, settings, command, fine_tuning=True, **found, steps=state["step"],
        kept_step=state["kept"], seconds=state["seconds"], parameters_that_learn=numbers,
        validation={"before": state["before"], "after": state["best"]}, judged=rmse, done=True,
    )  # fmt: skip


# ---------------------------------------------------------------- the parts of the file


def split(daily, judge_from=None) -> dict:
    """{"train", "validation", "judge"}: the first and the last day of each, "YYYY-MM-DD".

    ValueError where one of them has too few days with observations, and how many are needed.
    """
    index = daily.indexes["time"]
    seen = daily["sst"].where(daily["ocean_mask"]).notnull().any(("lat", "lon")).values  # (T,)
    days = index[seen]
    if judge_from is None:
        first_judged = days[len(days) - round(JUDGED * len(days))] if len(days) > 1 else index[-1]
    else:
        first_judged = _day(judge_from)
    before = days[days < first_judged]
    first_stopped = before[-max(1, round(STOPPED * len(before)))] if len(before) else first_judged
    held = {
        "train": days[days < first_stopped],
        "validation": days[(days >= first_stopped) & (days < first_judged)],
        "judge": days[days >= first_judged],
    }
    short = [name for name, least in LEAST.items() if len(held[name]) < least]
    if short:
        found = ", ".join(f"{len(held[n])} to {n}" for n in held)
        least = ", ".join(f"{n} to {name}" for name, n in LEAST.items())
        raise ValueError(
            f"daily has {len(days)} days with observations ({found}), too few to fine-tune: it "
            f"needs {least}, about 35 in all; give a longer series"
            + ("" if judge_from is None else ", or another judge_from")
        )
    return {name: [str(d[0].date()), str(d[-1].date())] for name, d in held.items()}


def _day(text):
    try:
        return pd.Timestamp(text).normalize()
    except (TypeError, ValueError) as error:
        raise ValueError(f"judge_from={text!r} is no day such as 2022-08-01") from error


def _until(daily, last):
    return daily.sel(time=slice(None, last))


# ---------------------------------------------------------------- samples


class Withheld:
    """Draws questions from a gappy series: windows of up to 31 days, some of their days hidden by
    the clouds of other days, and one of these days asked.

    Draws are those of the judge (a quarter of the well-seen days at once, in runs of a few days).
    A window lies anywhere around its day, as the day of a calendar month does; of a larger map a
    tile is taken, of the size in which `reconstruct` cuts it. Tiles are turned and mirrored.

    daily: tidy, as `open_sst` returns it; all its days may be seen, all may be asked.
    """

    def __init__(self, daily, patch_size, seed: int = 0):
        size = daily["sst"].size
        if size > MOST_CELL_DAYS:
            raise ValueError(
                f"daily has {size} cell-days to train on, {MOST_CELL_DAYS} are taken; choose a "
                "region or fewer days"
            )
        self.series, self.patch_size, self.seed = series_of(daily), patch_size, seed
        self.well_seen = well_seen_days(self.series.left)

    def __call__(self, step: int, batch_size: int) -> tuple[Batch, Tensor]:
        """A batch that asks for a day of each sample, and where (B, H, W) its target is known."""
        rng = np.random.default_rng([self.seed, step])
        asked = [self._question(rng) for _ in range(batch_size)]
        months, days, truths = zip(*asked, strict=True)
        batch = Batch.of(months, self.patch_size)
        B, T, H, W = batch.anomaly.shape
        wanted = torch.arange(T) == torch.tensor(days)[:, None]  # (B, T)
        target = torch.full((B, H, W), torch.nan)
        for b, truth in enumerate(truths):
            h, w = truth.shape
            target[b, :h, :w] = torch.from_numpy(truth)
        judged = target.isfinite()
        batch = replace(batch, wanted=wanted, target=target.nan_to_num(0.0), prior=None)
        turn = int(rng.integers(8 if H == W else 4))  # a transposed oblong is another shape
        fields = (batch.anomaly, batch.observed, batch.ocean, batch.target, judged)
        anomaly, observed, ocean, target, judged = (_turned(x, turn) for x in fields)
        batch = replace(batch, anomaly=anomaly, observed=observed, ocean=ocean, target=target)
        if batch.error is not None:
            batch = replace(batch, error=_turned(batch.error, turn))
        return batch, judged

    def _question(self, rng) -> tuple[Month, int, np.ndarray]:
        """(window, day of it, anomaly (h, w) of the prior that was withheld on it, NaN = not)."""
        series = self.series
        for _ in range(100):
            sky = sky_of(self.well_seen, rng.integers(1_000), rng)
            left, withheld = under_other_skies(series.left, series.ocean, sky)
            number = np.isfinite(withheld).sum((1, 2))  # (T,)
            days = np.flatnonzero(number >= LEAST_WITHHELD)
            if len(days):
                break
        else:
            raise ValueError(
                "nothing could be withheld: on its well-seen days the file has hardly a cell that "
                "the clouds of another day hide; complete maps go through `sst-tutorial train "
                "--from WEIGHTS --data FILE`"
            )
        day = int(rng.choice(days))
        begin, end = _window(day, len(left), rng)
        error = None if series.error is None else series.error[begin:end]
        month = Month(left[begin:end], series.ocean, quantity=series.quantity, error=error)
        row, col = rng.permutation(np.argwhere(np.isfinite(withheld[day])))[0]
        places = zip((row, col), series.ocean.shape, strict=True)
        tile = tuple(_around(at, n, rng) for at, n in places)
        month, day = month.cut(*tile), day - begin
        truth = self._answers(withheld)[begin + day][tile] - month.prior[day]
        return month, day, (truth / series.quantity.unit).astype(np.float32)

    def _answers(self, withheld):
        """(T, H, W) what the days are compared with, NaN = nothing; who knows more may say more."""
        return withheld


def _window(day: int, T: int, rng) -> tuple[int, int]:
    """First day, and the day after the last, of a window of up to 31 days that holds `day`."""
    length = min(DAYS, T)
    first, last = max(0, day - length + 1), min(day, T - length)
    begin = int(rng.integers(first, last + 1))
    return begin, begin + length


def _around(at: int, n: int, rng) -> slice:
    """A tile's place along an axis of n cells, so that it holds the cell `at`."""
    if n <= TILE:
        return slice(0, n)
    begin = int(rng.integers(max(0, at - TILE + 1), min(at, n - TILE) + 1))
    return slice(begin, begin + TILE)


# ---------------------------------------------------------------- the loop


def _to_learn(estimator: Estimator, learn: str) -> list[nn.Parameter]:
    """The parameters that may change; all others are frozen."""
    names = {
        "all": lambda name: True,
        "first guess": lambda name: name.startswith("first_guess."),
        "numbers": lambda name: name in {f"first_guess.{n}" for n in NUMBERS},
    }[learn]
    for name, parameter in estimator.named_parameters():
        parameter.requires_grad_(names(name))
    chosen = [p for p in estimator.parameters() if p.requires_grad]
    if not chosen:
        raise ValueError(
            f"learn={learn!r}: the first guess of these weights has nothing that is learned; "
            "choose 'all'"
        )
    return chosen


def _fit(estimator, learning, samples, stop_by, settings, out, fabric, progress):
    """The best averaged weights, by `stop_by`, and where the run ended."""
    raw, average = estimator, copy.deepcopy(estimator).requires_grad_(False)
    best = copy.deepcopy(average)
    groups = parameter_groups(nn.ParameterList(learning), settings.weight_decay)
    groups = [group for group in groups if group["params"]]
    optimizer = torch.optim.AdamW(groups, settings.lr, betas=(0.9, 0.99))
    score = stop_by(average)
    state = {"step": 0, "kept": 0, "before": score, "best": score, "worse": 0, "seconds": 0.0}
    report(
        out / "log.csv", {"step": 0, "seconds": 0.0, "loss": math.nan, WITHHELD: score}, progress
    )
    # In eval mode: the statistics of a norm, of eight samples of one sea, would be its weather.
    model, optimizer = fabric.setup(raw.eval(), optimizer)
    losses, begin, done = [], clock.perf_counter(), 0.0
    while done < 1 and state["worse"] < settings.patience:
        step = state["step"]
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, done, settings)
        batch, judged = samples(step, settings.batch_size)
        batch, judged = _moved(batch, fabric), judged.to(fabric.device)
        estimate = model(*batch.inputs, error=batch.error)
        loss = ocean_rmse(estimate.mean, batch.target, judged)
        fabric.backward(loss)
        fabric.clip_gradients(model, optimizer, max_norm=settings.clip, error_if_nonfinite=False)
        optimizer.step()
        optimizer.zero_grad()
        state["step"] = step = step + 1
        follow(average, raw, min(settings.ema, step / (step + 9)))
        losses.append(float(loss.detach()))
        if not math.isfinite(losses[-1]):
            raise ValueError(f"the loss of step {step} is not finite; lower lr={settings.lr:g}")
        state["seconds"] = clock.perf_counter() - begin
        done = state["seconds"] / settings.seconds if settings.seconds else step / settings.steps
        if step % settings.eval_every and done < 1:
            continue
        score = stop_by(average)
        state["worse"] += 1
        if score < state["best"]:
            state.update(best=score, worse=0, kept=step)
            best.load_state_dict(average.state_dict())
        row = {"step": step, "seconds": state["seconds"], "loss": float(np.mean(losses))}
        report(out / "log.csv", row | {WITHHELD: score}, progress)
        losses = []
    return best.cpu().requires_grad_(True), state


def _moved(batch: Batch, fabric) -> Batch:
    parts = ["anomaly", "observed", "ocean", "exists", "wanted", "target"]
    parts += ["error"] * (batch.error is not None)
    return replace(batch, **{name: getattr(batch, name).to(fabric.device) for name in parts})


# ---------------------------------------------------------------- what came out


def _gains(scores) -> dict:
    """What fine-tuning brought, and by how much it leads the best classical method."""
    rows = scores["methods"]
    classical = [name for name in rows if name not in (BEFORE, AFTER)]
    best = min(classical, key=lambda name: rows[name]["rmse"])
    return {
        "gain": difference(scores, AFTER, BEFORE),
        "best_classical": best,
        "lead": difference(scores, best, AFTER),
    }


def in_words(scores) -> str:
    """What the judgement of `fine_tune` says, in two sentences."""
    units = scores["units"]
    gain, lead, best = scores["gain"], scores["lead"], scores["best_classical"]
    told = "better" if gain[2] < 0 else "worse" if gain[1] > 0 else "not told apart"
    ahead = "ahead of" if lead[1] > 0 else "behind" if lead[2] < 0 else "not told apart from"
    return (
        f"Fine-tuned less before: {gain[0]:+.3f} {units} ({gain[1]:+.3f} to {gain[2]:+.3f}), "
        f"{told}. {best} less fine-tuned: {lead[0]:+.3f} {units} ({lead[1]:+.3f} to "
        f"{lead[2]:+.3f}), {ahead} the best classical method."
    )
