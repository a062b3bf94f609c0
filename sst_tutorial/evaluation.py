"""How good is a monthly mean, or a map of one day? The same questions put to every method.

A method is any `predict(month, day=None) -> (H, W)` degC, finite over the ocean, and one that is
asked for months only may do without `day`. The questions come from `exams.py`, numbers are written
by `results.py`. `sst-tutorial evaluate` does all three.
Chapter: *Judging a reconstruction*.
"""

import time as clock

import numpy as np
import torch
from scipy import ndimage

from sst_tutorial.exams import EXAMS, Question

SELDOM = 3  # a cell seen on at most this many days of its month is "seldom seen"
CLOUD_EDGES = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)  # share of the month's days hidden
COAST_EDGES = (0, 2, 4, 8, 16, np.inf)  # cells


# ---------------------------------------------------------------- metrics of an error


def rmse(error, weights=None):
    """Root of the (weighted) mean square of `error`, any shape; NaN if it is empty."""
    return float(np.sqrt(bias(np.square(error), weights)))


def bias(error, weights=None):
    """(Weighted) mean of `error`, any shape; NaN if it is empty."""
    error = np.asarray(error, dtype=float)
    return float(np.average(error, weights=weights)) if error.size else float("nan")


def centred_rmse(error, weights=None):
    """RMSE of one map's `error` once its own mean is taken away: is the pattern right?"""
    return rmse(error - bias(error, weights), weights)


def distance_to_coast(ocean_mask):
    """Distance (H, W) in cells from each ocean cell to the nearest land cell, inf without land."""
    if ocean_mask.all():
        return np.full(ocean_mask.shape, np.inf)
    return ndimage.distance_transform_edt(ocean_mask)


def rmse_by(error, key, edges, weights=None):
    """RMSE of the cells whose `key` lies in each bin (low, high]; the first bin includes its low.

    error, key, weights: one shape. Returns a list of {low, high, rmse, cells}, without empty bins.
    """
    weights = np.ones_like(error) if weights is None else weights
    bins = np.clip(np.searchsorted(edges, key, side="left") - 1, 0, len(edges) - 2)
    rows = []
    for b in np.unique(bins):
        inside = bins == b
        rows.append({
            "low": float(edges[b]),
            "high": float(edges[b + 1]),
            "rmse": rmse(error[inside], weights[inside]),
            "cells": int(inside.sum()),
        })
    return rows


def gradient_errors(prediction, truth, ocean_mask):
    """Errors of the differences between neighbouring ocean cells, rows and columns, K per cell."""
    error = np.where(ocean_mask, prediction - truth, np.nan)
    steps = np.concatenate([np.diff(error, axis=0).ravel(), np.diff(error, axis=1).ravel()])
    return steps[np.isfinite(steps)]


# ---------------------------------------------------------------- spectra


def power_spectrum(field, ocean_mask):
    """Radially averaged power of a map: (wavenumber in cycles per cell, power).

    A plane is fitted over ocean and taken away, land becomes 0, a Hann window hides the edges.
    Rings are one fundamental wavenumber wide, up to the Nyquist limit of 0.5 cycles per cell.
    """
    H, W = field.shape
    if min(H, W) < 8:
        raise ValueError(f"a spectrum needs at least 8 x 8 cells, got {H} x {W}")
    row, col = np.indices((H, W))
    plane = np.stack([np.ones((H, W)), row, col], -1)  # (H, W, 3)
    slope = np.linalg.lstsq(plane[ocean_mask], field[ocean_mask], rcond=None)[0]
    flat = np.where(ocean_mask, field - plane @ slope, 0.0)
    window = np.hanning(H)[:, None] * np.hanning(W)
    power = np.abs(np.fft.fft2(flat * window)) ** 2
    k = np.hypot(np.fft.fftfreq(H)[:, None], np.fft.fftfreq(W))
    size = max(H, W)
    ring = np.rint(k * size).astype(int)
    sums = np.bincount(ring.ravel(), power.ravel())
    counts = np.bincount(ring.ravel())
    rings = np.arange(1, size // 2 + 1)
    return rings / size, sums[rings] / np.maximum(counts[rings], 1)


def effective_resolution(wavenumber, error_ratio, threshold=0.5):
    """Wavelength in cells at which PSD(error) / PSD(truth) first rises to `threshold`.

    Smaller is better. Interpolated linearly in wavenumber. A ratio that never rises to it gives
    the shortest wavelength there is (2 cells); one that starts above it gives NaN: nothing is
    resolved.
    """
    if np.isnan(error_ratio).any():
        return float("nan")
    above = np.flatnonzero(np.asarray(error_ratio) >= threshold)
    if above.size == 0:
        return float(1 / wavenumber[-1])
    i = above[0]
    if i == 0:
        return float("nan")
    low, high = error_ratio[i - 1], error_ratio[i]
    share = (threshold - low) / (high - low)
    return float(1 / (wavenumber[i - 1] + share * (wavenumber[i] - wavenumber[i - 1])))


# ---------------------------------------------------------------- uncertainty of a score


def block_bootstrap(statistic, n_months, block=3, draws=1000, seed=0, level=0.95):
    """Interval (low, high) of a statistic when whole blocks of months are drawn again.

    Neighbouring months share their weather, so `block` consecutive months are drawn together,
    the last followed by the first (Politis & Romano 1992). `statistic(index)` gets an array of
    n_months month numbers and returns a float.
    """
    if not 1 <= block <= n_months:
        raise ValueError(f"block must be 1 to {n_months} months, got {block}")
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, n_months, (draws, -(-n_months // block), 1))
    index = (starts + np.arange(block)) % n_months
    index = index.reshape(draws, -1)[:, :n_months]
    values = [statistic(i) for i in index]
    return tuple(float(v) for v in np.quantile(values, [(1 - level) / 2, (1 + level) / 2]))


def rmse_interval(square_sums, weight_sums, **bootstrap):
    """Bootstrap interval of an RMSE from each month's sum of squares and sum of weights."""
    s, w = np.asarray(square_sums), np.asarray(weight_sums)
    return block_bootstrap(lambda i: np.sqrt(s[i].sum() / w[i].sum()), len(s), **bootstrap)


def difference_interval(a, b, **bootstrap):
    """Bootstrap interval of RMSE(a) - RMSE(b), for two rows of `score_months` on the same months.

    The same months are drawn for both, so what is hard for both cancels.
    """
    sa, wa, sb, wb = (
        np.asarray(row["by_month"][key]) for row in (a, b) for key in ("square_sum", "weight_sum")
    )
    if len(sa) != len(sb):
        raise ValueError(f"a and b must be scored on the same months, got {len(sa)} and {len(sb)}")
    return block_bootstrap(
        lambda i: np.sqrt(sa[i].sum() / wa[i].sum()) - np.sqrt(sb[i].sum() / wb[i].sum()),
        len(sa),
        **bootstrap,
    )


def paired_difference(runs_a, runs_b, **bootstrap):
    """RMSE(a) - RMSE(b) of two settings, each trained with several seeds, and its interval.

    runs_a, runs_b: for each seed the pair (square_sums, weight_sums), one number a month, of the
    same months in all of them; the numbers of seeds may differ. The RMSE of a setting is the mean
    over its seeds. Returns (difference, (low, high)), from the bootstrap of `block_bootstrap`.

    Months are drawn together for both, as in `difference_interval`, and seeds with them: n - 1 of
    the n of a setting, since drawing n makes their mean scatter too little (Rao & Wu 1988). One
    seed tells nothing of the luck of training: then the interval is that of the months alone.
    """
    a, b = (np.asarray(runs, dtype=float) for runs in (runs_a, runs_b))  # (seeds, 2, months)
    for name, runs in (("runs_a", a), ("runs_b", b)):
        if runs.ndim != 3 or runs.shape[1] != 2 or 0 in runs.shape:
            raise ValueError(
                f"{name} must hold (square_sums, weight_sums) for each seed, got shape {runs.shape}"
            )
    if a.shape[2] != b.shape[2]:
        raise ValueError(
            f"runs_a and runs_b must be scored on the same months, got {a.shape[2]} and "
            f"{b.shape[2]}"
        )
    rng = np.random.default_rng(bootstrap.get("seed", 0) + 1)

    def some_of(runs):
        return runs[rng.integers(len(runs), size=max(len(runs) - 1, 1))]

    def mean_rmse(runs, months):
        squares, weights = runs[:, :, months].sum(2).T  # (seeds,) each
        return float(np.sqrt(squares / weights).mean())

    every = np.arange(a.shape[2])
    return mean_rmse(a, every) - mean_rmse(b, every), block_bootstrap(
        lambda i: mean_rmse(some_of(a), i) - mean_rmse(some_of(b), i), len(every), **bootstrap
    )


# ---------------------------------------------------------------- scoring


def _predict(predict, name, question):
    """One checked prediction (H, W) and the seconds it took."""
    month, day = question.month, question.day
    start = clock.perf_counter()
    prediction = predict(month) if day is None else predict(month, day=day)
    prediction = np.asarray(prediction, dtype=float)
    seconds = clock.perf_counter() - start
    if prediction.shape != month.ocean.shape:
        raise ValueError(
            f"{name} must return shape {month.ocean.shape} for {month.name}, got {prediction.shape}"
        )
    bad = int((~np.isfinite(prediction[month.ocean])).sum())
    if bad:
        raise ValueError(
            f"{name} left {bad} ocean cells of {month.name} without a finite value: "
            "a reconstruction must answer everywhere over ocean"
        )
    return prediction, seconds


def score_months(methods, months, block=3):
    """Put every method to every question on the same months.

    methods: dict name -> predict(month, day=None) -> (H, W) degC.
    months: list of `Month` with their truth, of which the mean is asked, or of `exams.Question`,
    in time order. block: units of it that are drawn together for an interval, see `block_bootstrap`
    Returns dict name -> dict of plain numbers and lists, ready for JSON; errors in K, lengths in
    cells. ValueError names the method and month of a prediction that is not finite over ocean.
    """
    if not months:
        raise ValueError("months is empty: give at least one Month")
    questions = [m if isinstance(m, Question) else Question(m) for m in months]
    return {name: _score(predict, name, questions, block) for name, predict in methods.items()}


def _score(predict, name, questions, block):
    parts = {key: [] for key in ("error", "days_seen", "hidden", "coast", "steps")}
    by_month = {key: [] for key in ("name", "rmse", "square_sum", "weight_sum")}
    centred, seconds, spectra = [], [], []
    for question in questions:
        month, judged = question.month, question.judged
        if not month.ocean.any():
            raise ValueError(f"{month.name} has no ocean cell: leave it out")
        if not judged.any():
            raise ValueError(f"{month.name} has no cell to judge: leave it out")
        prediction, took = _predict(predict, name, question)
        error = (prediction - question.truth)[judged]
        days_seen = month.observed.sum(0)[judged]
        parts["error"].append(error)
        parts["days_seen"].append(days_seen)
        parts["hidden"].append(1 - days_seen / len(month.sst))
        parts["coast"].append(distance_to_coast(month.ocean)[judged])
        parts["steps"].append(gradient_errors(prediction, question.truth, judged))
        by_month["name"].append(month.name)
        by_month["rmse"].append(rmse(error))
        by_month["square_sum"].append(float(np.sum(error**2)))
        by_month["weight_sum"].append(float(error.size))
        centred.append(centred_rmse(error) ** 2 * error.size)
        seconds.append(took)
        if min(month.ocean.shape) >= 8 and (judged == month.ocean).all():
            spectra.append(_spectra_of(prediction, question))
    error, days_seen, hidden, coast, steps = (np.concatenate(p) for p in parts.values())
    seldom, never = days_seen <= SELDOM, days_seen == 0
    return {
        "rmse": rmse(error),
        "rmse_interval": _interval(by_month, questions, block),
        "bias": bias(error),
        "centred_rmse": float(np.sqrt(np.sum(centred) / error.size)),
        "rmse_seldom_seen": rmse(error[seldom]),
        "rmse_never_seen": rmse(error[never]),
        "share_seldom_seen": float(seldom.mean()),
        "share_never_seen": float(never.mean()),
        "gradient_rmse": rmse(steps),
        "by_cloud_fraction": rmse_by(error, hidden, CLOUD_EDGES),
        "by_distance_to_coast": rmse_by(error, coast, COAST_EDGES),
        "spectrum": _spectrum(spectra),
        "seconds_per_month": float(np.median(seconds)),
        "by_month": by_month,
    }


def by_unit(by_month, questions):
    """Sums of squares and weights of each unit of the questions: {"unit", "square_sum",
    "weight_sum"}, lists in the order in which the units first appear.

    by_month: of a row of `score_months`, on these questions.
    """
    keys = [i if q.unit is None else q.unit for i, q in enumerate(questions)]
    units = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    number = [units[key] for key in keys]
    sums = {key: np.bincount(number, by_month[key]) for key in ("square_sum", "weight_sum")}
    names = [key if isinstance(key, str) else by_month["name"][key] for key in units]
    return {"unit": names} | {key: values.tolist() for key, values in sums.items()}


def _interval(by_month, questions, block):
    sums = by_unit(by_month, questions)
    n = len(sums["unit"])
    if n == 1:  # one month says nothing about another
        return (float("nan"), float("nan"))
    return rmse_interval(sums["square_sum"], sums["weight_sum"], block=min(block, n // 2))


def _spectra_of(prediction, question):
    """(wavenumber, PSD of truth, of prediction, of error), of departures from the prior."""
    month, truth, day = question.month, question.truth, question.day
    prior = month.prior_mean if day is None else month.of_day(day)[0]
    fields = (truth - prior, prediction - prior, prediction - truth)
    powers = [power_spectrum(field, month.ocean) for field in fields]
    return np.stack([powers[0][0], *(p for _, p in powers)])  # (4, rings)


def _spectrum(spectra):
    """Ratios of the mean spectra of all months, and the resolution they imply."""
    if len({s.shape for s in spectra}) != 1:  # none, or maps of several sizes
        return None
    wavenumber, truth, prediction, error = np.mean(spectra, axis=0)
    return {
        "wavelength_cells": (1 / wavenumber).tolist(),
        "power_ratio": (prediction / truth).tolist(),
        "error_ratio": (error / truth).tolist(),
        "effective_resolution_cells": effective_resolution(wavenumber, error / truth),
    }


# ---------------------------------------------------------------- all of it


def evaluate(methods, groups=None, months="smooth", validation=False, daily=False, opening=None):
    """Score `methods` on every group of one exam.

    methods: dict name -> predict, as for `score_months`. groups: some of the exam's, None = all
    that ask such a question.
    months: a name of `exams.EXAMS`. validation: the exam's twin, for choices, instead of the exam.
    daily: the questions for a day, instead of those for the month. opening: called once, when the
    questions are there and before the first is asked.
    Returns {"months", "version", "seed", "validation", "question", "threads", "regimes":
    {group: {"n_months", "methods": ...}}}.
    """
    if months not in EXAMS:
        raise ValueError(f"months must be one of {', '.join(EXAMS)}, got {months!r}")
    exam, question = EXAMS[months], "day" if daily else "month"
    scored = {
        "months": months,
        "version": exam.version,
        "seed": exam.seeds[validation],
        "validation": validation,
        "question": question,
        "threads": torch.get_num_threads(),
        "regimes": {},
    }
    for group in groups or ():
        if group not in exam.groups:
            known = ", ".join(map(repr, exam.groups))
            raise ValueError(f"regime {group!r} is not of {months}; it has {known}")
    for group in exam.groups if groups is None else groups:
        asked = exam.questions(group, validation)
        if question not in asked and groups is None:
            continue
        if question not in asked:
            raise ValueError(f"{months}, {group} asks for no {question}; it has {', '.join(asked)}")
        if opening is not None and not scored["regimes"]:
            opening()
        scored["regimes"][group] = {
            "n_months": len(asked[question]),
            "methods": score_months(methods, asked[question], exam.block),
        }
    return scored


def table(results):
    """The scores as lines of text: one row a method and regime."""
    wide = max([8, *(len(group) + 2 for group in results["regimes"])])
    head = f"{'':{wide}}{'method':24}{'RMSE':>7}{'95 % interval':>16}{'seldom':>8}{'bias':>8}"
    lines = [head + f"{'gradient':>10}{'resolves':>10}{'s/month':>9}"]
    for regime, scored in results["regimes"].items():
        for name, s in scored["methods"].items():
            low, high = s["rmse_interval"]
            cells = s["spectrum"]["effective_resolution_cells"] if s["spectrum"] else float("nan")
            lines.append(
                f"{regime:{wide}}{name:24}{s['rmse']:7.3f}{low:9.3f}-{high:.3f} "
                f"{s['rmse_seldom_seen']:8.3f}{s['bias']:8.3f}{s['gradient_rmse']:10.3f}"
                f"{cells:10.1f}{s['seconds_per_month']:9.3f}"
            )
    return "\n".join(lines)
