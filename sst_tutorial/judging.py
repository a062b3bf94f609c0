"""Which method for this file? It is judged on itself: `judge`, and `sst-tutorial judge FILE`.

Observations of well-seen days are withheld below the clouds of other days of the same file, and the
daily map of every method is scored at what was withheld. There is no doubt about that truth but its
own noise, which all methods meet alike. Clouds are moved in time as they lie, some days in a row,
so that those who bridge a long cloud are asked to. Each well-seen day is judged once; in each draw
most of the file stays as it is.

A method sees the file without what is withheld. Those that answer for a `Month` get windows of 31
days with the asked day near the middle (a network: its calendar month, as `reconstruct` gives it);
DINEOF and local optimal interpolation get the whole series, as they are mostly used. What they fit,
they fit to what is left.

Chapter: *Bring your file*.
"""

import time as clock
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import xarray as xr

from sst_tutorial._extras import need
from sst_tutorial.baselines import dineof_of_series, gaussian, linear_in_time, mean_of_days
from sst_tutorial.data import AXIS_ATTRIBUTES
from sst_tutorial.evaluation import (
    COAST_EDGES,
    bias,
    difference_interval,
    distance_to_coast,
    rmse,
    rmse_interval,
)
from sst_tutorial.exams import under_other_skies
from sst_tutorial.local_oi import fit_to_gappy, local_interpolation, variogram
from sst_tutorial.months import DAYS, Month, month_of
from sst_tutorial.prior import smooth_prior
from sst_tutorial.quantity import SST, Quantity
from sst_tutorial.reconstruction import _tidied, as_method, quantity_of
from sst_tutorial.weights import DEFAULT

DRAWS = 8  # each well-seen day is judged twice, below other clouds
PARTS = 4  # a draw hides the well-seen days of one part of the days, in runs of a few days
RUN = 5
LEAST_DAYS = 6  # with observations: fewer have no other days to take clouds from
NO_DIFFERENCE = 1e-3  # of the smallest error: maps that differ in their rounding alone are level
FEW = 10  # judged days: intervals from fewer are too narrow to choose by
# Of a file, what a laptop judges in minutes. DINEOF takes longest, by cells times days squared.
MOST_DAYS, MOST_CELL_DAYS, MOST_CELL_DAYS_DAYS = 184, 2_000_000, 1e8
MOST_JUDGED = 400  # cells of a day and draw, at random: more tell hardly more
BLOCK = 5  # judged days that are drawn together for an interval
MARGIN = 10  # days of a window before and after those that are asked of it
KEYS = {  # what the rows are sorted by, the edges of their bins and their unit
    "coverage": ((0.0, 0.1, 0.25, 0.5, 0.75, 1.0), "the share of the sea that was seen on the day"),
    "days_since_observation": (
        (0, 1, 2, 4, 8, np.inf),
        "days since the cell was seen (the last: or never before)",
    ),
    "distance_to_coast": (COAST_EDGES, "cells from the coast"),
}


@dataclass(frozen=True)
class Question:
    """A draw: what the methods see, and where they are asked.

    left: (T, H, W) degC of consecutive days, NaN = gap. ocean: (H, W) bool. asked: (n, 3) day, row,
    column, in order of days. times: (T,) dates. lat: (H,), lon: (W,). quantity: what it is, where
    it is no temperature. error: (T, H, W) K, standard deviation of each observation where the file
    tells it (NaN = it does not), or None.
    """

    left: np.ndarray
    ocean: np.ndarray
    asked: np.ndarray
    times: pd.DatetimeIndex
    lat: np.ndarray
    lon: np.ndarray
    quantity: Quantity = SST
    error: np.ndarray | None = None

    @property
    def prior(self) -> np.ndarray:
        """(T, H, W) degC, the smooth prior of the whole series."""
        return smooth_prior(self.left, self.ocean, quantity=self.quantity)


class LeftOut(ValueError):
    """This method has no answer for this file; the others have."""


# ---------------------------------------------------------------- methods: Question -> (n,) degC


def _by_windows(method) -> Callable:
    """method(month, day) -> (H, W), asked in windows of up to 31 days around each day."""

    def answer(question):
        T = len(question.left)
        step = DAYS - 2 * MARGIN
        for first in range(0, T, step):
            begin = max(0, min(first - MARGIN, T - DAYS))
            days = np.unique(question.asked[:, 0])
            days = days[(days >= first) & (days < first + step)]
            if len(days):
                part = slice(begin, begin + DAYS)
                name = f"the {len(question.left[part])} days from {question.times[begin]:%Y-%m-%d}"
                about = {"lat": question.lat, "name": name, "quantity": question.quantity}
                month = Month(question.left[part], question.ocean, **about)
                for day in days:
                    yield day, method(month, day=int(day - begin))

    return lambda question: _picked(question, answer(question))


def _by_calendar(method) -> Callable:
    """method(month, day) -> (H, W), asked in calendar months, as `reconstruct` asks."""

    def answer(question):
        daily = xr.Dataset(
            {
                "sst": (("time", "lat", "lon"), question.left),
                "ocean_mask": (("lat", "lon"), question.ocean),
            },
            {"time": question.times, "lat": question.lat, "lon": question.lon},
        )
        if question.error is not None:
            daily["sst_error"] = (("time", "lat", "lon"), question.error)
        periods = question.times.to_period("M")
        days = np.unique(question.asked[:, 0])
        for period in periods[days].unique():
            month = month_of(daily, period, quantity=question.quantity)
            for day in days[periods[days] == period]:
                yield day, method(month, day=int(question.times[day].day - 1))

    return lambda question: _picked(question, answer(question))


def _picked(question, maps) -> np.ndarray:
    """(n,) of maps that come as (day, (H, W))."""
    day, row, col = question.asked.T
    values = np.full(len(day), np.nan)
    for which, field in maps:
        field = np.asarray(field, dtype=float)
        if field.shape != question.ocean.shape:
            raise ValueError(f"must return shape {question.ocean.shape}, got {field.shape}")
        here = day == which
        values[here] = field[row[here], col[here]]
    return values


def _dineof(question) -> np.ndarray:
    prior, unit = question.prior, question.quantity.unit
    filled = prior + unit * dineof_of_series((question.left - prior) / unit, question.ocean)
    return filled[tuple(question.asked.T)]


def _local_oi(question) -> np.ndarray:
    prior, unit = question.prior, question.quantity.unit
    anomaly = (question.left - prior) / unit
    error = None if question.error is None else question.error / unit
    try:
        covariance = fit_to_gappy(anomaly)
    except ValueError as failed:
        raise LeftOut(str(failed)) from failed
    estimate = local_interpolation(anomaly, question.asked, covariance, error=error)
    return prior[tuple(question.asked.T)] + unit * estimate


# From the simplest to the one that asks most: of those that tie the first is to be taken.
METHODS = {
    "mean of days": _by_windows(mean_of_days),
    "linear in time": _by_windows(linear_in_time),
    "gaussian": _by_windows(gaussian),
    "dineof": _dineof,
    "local OI": _local_oi,
}


def _chosen(methods, model) -> dict:
    """{name: Question -> (n,)} of those that are asked for."""
    if methods is None:
        chosen = dict(METHODS)
    elif isinstance(methods, dict):
        chosen = {name: _by_windows(method) for name, method in methods.items()}
    else:
        names = [methods] if isinstance(methods, str) else list(methods)
        unknown = [name for name in names if name not in METHODS and name != "network"]
        if unknown:
            known = ", ".join((*METHODS, "network"))
            raise ValueError(f"methods: {unknown[0]!r} is unknown; there are: {known}")
        chosen = {name: METHODS[name] for name in METHODS if name in names}
        model = DEFAULT if model is None and "network" in names else model
    if model is not None:
        models = model if isinstance(model, dict) else {"network": model}
        chosen |= {name: _by_calendar(as_method(one)) for name, one in models.items()}
    elif methods is None:
        chosen["network"] = _by_calendar(as_method(DEFAULT))
    if not chosen:
        raise ValueError("methods is empty: give at least one")
    return chosen


# ---------------------------------------------------------------- the file and what is withheld


def _opened(daily) -> xr.Dataset:
    """As `open_sst` returns it; with "variable" among its attributes it is no temperature."""
    of_open_sst = isinstance(daily, xr.Dataset) and {"sst", "ocean_mask"} <= set(daily.data_vars)
    if of_open_sst and "variable" in daily.attrs:
        return daily
    return _tidied(daily)


def _period(period, index):
    """(first, last) day that is judged; ValueError where the file has none of them."""
    try:
        first, last = (None if day is None else pd.Timestamp(day) for day in period or (None, None))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"period={period!r} must be two days, for example ('2022-08-01', None)"
        ) from error
    first, last = index[0] if first is None else first, index[-1] if last is None else last
    if not ((index >= first) & (index <= last)).any():
        raise ValueError(
            f"period={first:%Y-%m-%d} to {last:%Y-%m-%d}: daily has no such day, it runs from "
            f"{index[0]:%Y-%m-%d} to {index[-1]:%Y-%m-%d}"
        )
    return first, last


def _part(daily, last):
    """The `Question` without what is asked of what can be judged in minutes: the last half of a
    year (up to a month after the last day that is judged), and the box with the most sea in it."""
    index = daily.indexes["time"]
    index = index[index <= last + pd.Timedelta(days=DAYS)]
    index = index[index > index[-1] - pd.Timedelta(days=MOST_DAYS)]
    T = (index[-1] - index[0]).days + 1
    cells = int(min(MOST_CELL_DAYS / T, MOST_CELL_DAYS_DAYS / T**2))
    rows, cols = _box(daily["ocean_mask"].values, cells)
    return series_of(daily.sel(time=index).isel(lat=rows, lon=cols))


def _judged_part(daily, period):
    """The `_part` of it, its well-seen days (T,) within the period, and (first, last) of that."""
    first, last = _period(period, daily.indexes["time"])
    series = _part(daily, last)
    among = (series.times >= first) & (series.times <= last)
    return series, well_seen_days(series.left, among), (first, last)


def series_of(daily) -> Question:
    """All of `daily` as arrays of consecutive days, nothing withheld and nothing asked."""
    ocean = daily["ocean_mask"].values
    if not ocean.any():
        raise ValueError(f"daily is all land, {ocean.shape[0]} x {ocean.shape[1]} cells of it")
    index = daily.indexes["time"]
    times = pd.date_range(index[0], index[-1])

    def every_day(name):
        field = np.full((len(times), *ocean.shape), np.nan, np.float32)  # (T, H, W)
        field[times.get_indexer(index)] = daily[name].values
        return field

    sst = every_day("sst")
    sst[~(ocean & np.isfinite(sst))] = np.nan
    with warnings.catch_warnings():  # that the skill is untested: this is the test
        warnings.filterwarnings("ignore", "(?s).*skill of the network is untested")
        quantity = quantity_of(daily)
    error = every_day("sst_error") if "sst_error" in daily else None
    axes = (daily[axis].values for axis in ("lat", "lon"))
    return Question(sst, ocean, np.empty((0, 3), int), times, *axes, quantity, error)


def _box(ocean, most):
    """Rows and columns, as slices, of the box of up to `most` cells that has the most sea."""
    H, W = ocean.shape
    if H * W <= most:
        return slice(0, H), slice(0, W)
    side = int(most**0.5)
    h = min(H, max(side, most // W))
    w = min(W, most // h)
    total = np.pad(ocean, ((1, 0), (1, 0))).cumsum(0).cumsum(1)  # (H + 1, W + 1)
    inside = total[h:, w:] - total[:-h, w:] - total[h:, :-w] + total[:-h, :-w]
    row, col = np.unravel_index(inside.argmax(), inside.shape)
    return slice(row, row + h), slice(col, col + w)


def well_seen_days(sst, among=True) -> np.ndarray:
    """(T,) bool: of the days `among` (T,) those that saw as much as their median or more."""
    seen = np.isfinite(sst).sum((1, 2))
    n = int((seen > 0).sum())
    if n < LEAST_DAYS:
        raise ValueError(
            f"daily has {seen.sum()} observations on {n} days; to be judged it needs "
            f"{LEAST_DAYS} days with observations, give a longer series"
        )
    some = (seen > 0) & among
    return some & (seen >= (np.median(seen[some]) if some.any() else 0))


def sky_of(well_seen, draw, rng) -> np.ndarray:
    """The day (T,) whose clouds hide each day as well; its own = none."""
    T = len(well_seen)
    days, run = np.arange(T), max(1, min(RUN, T // (2 * PARTS)))
    lag = rng.integers(run, T - run + 1)  # not the clouds of the days beside
    hidden = well_seen & (days // run % PARTS == draw % PARTS)
    return np.where(hidden, (days + lag) % T, days)


def _asked_of(withheld, rng):
    """(n, 3) day, row, column of what is judged: all that is withheld, of large maps a part."""
    asked = np.argwhere(np.isfinite(withheld))
    order = rng.permutation(len(asked))  # so that the first of a day are any of them
    order = order[np.argsort(asked[order, 0], kind="stable")]
    day = asked[order, 0]
    rank = np.arange(len(day)) - np.searchsorted(day, day)
    return asked[np.sort(order[rank < MOST_JUDGED])]


def _age(seen) -> np.ndarray:
    """Days (T, H, W) since each cell was seen, 0 = seen today, inf = never before."""
    days = np.arange(len(seen))[:, None, None]
    last = np.maximum.accumulate(np.where(seen, days, -1), 0)
    return np.where(last < 0, np.inf, days - last)


# ---------------------------------------------------------------- the judge


def hide(daily, seed=0, period=None) -> xr.Dataset:
    """What the methods see in the first draw of `judge`: gappy maps for any other program to fill.

    Fill them (with DINEOF's or DINCAE's own program, for example), and hand the complete maps to
    `judge(daily, seed=seed, period=period, filled={name: maps})`, which scores them where nobody
    saw. Arguments as for `judge`. Returns (time, lat, lon) of consecutive days, named and in units
    as in the file, NaN = gap, `ocean_mask`, and `sst_error` where the file has it.
    """
    series, well_seen, _ = _judged_part(_opened(daily), period)
    sky = sky_of(well_seen, 0, np.random.default_rng(seed))
    left, _ = under_other_skies(series.left, series.ocean, sky)
    quantity, axes = series.quantity, ("time", "lat", "lon")
    name = "sst" if quantity.is_sst else quantity.name
    coords = {"time": series.times, "lat": series.lat, "lon": series.lon}
    out = xr.Dataset({name: (axes, quantity.outwards(left).astype(np.float32))}, coords)
    out[name].attrs = quantity.labels("{}, some observations withheld")
    out["ocean_mask"] = (axes[1:], series.ocean)
    if series.error is not None:
        out["sst_error"] = (axes, np.where(np.isfinite(left), series.error, np.nan))
        out["sst_error"].attrs["units"] = "K"
    for axis, attributes in AXIS_ATTRIBUTES.items():
        out[axis].attrs = dict(attributes)
    return out


def _of_maps(maps: xr.Dataset) -> Callable:
    """Question -> (n,) of complete maps that somebody else made, tidy."""

    def answer(question):
        index = [maps.indexes["time"].get_indexer(question.times)]
        for axis, values in (("lat", question.lat), ("lon", question.lon)):
            apart = np.abs(maps[axis].values - values[:, None])  # (n, N)
            index.append(np.where(apart.min(1) < 1e-3, apart.argmin(1), -1))
        asked = [i[k] for i, k in zip(index, question.asked.T, strict=True)]
        for axis, places in zip(("time", "lat", "lon"), asked, strict=True):
            if (places < 0).any():
                raise ValueError(
                    f"its maps lack {(places < 0).sum()} of the {len(places)} judged cells along "
                    f"{axis}: they must have the days and the grid of what `hide` returns"
                )
        return maps["sst"].values[tuple(asked)].astype(float)

    return answer


def _refuse_copies(error, truth, name) -> None:
    """Who answers with what was withheld has seen it."""
    if np.mean(np.abs(error) < 0.02 * truth.std()) > 0.5:
        raise ValueError(
            f"{name} holds the withheld observations themselves: fill what `hide` returns "
            "(`sst-tutorial judge FILE --hide LEFT.nc` writes it), not the file"
        )


def judge(daily, methods=None, model=None, draws=DRAWS, seed=0, period=None, filled=None) -> dict:
    """How well does each method fill this file? Judged by its own observations, withheld.

    Parameters
    ----------
    daily : what `open_sst` returns, or what it takes when it is open: at least 6 days with
        observations, with clouds. Of more than 184 days the last are judged, of a large map the box
        with the most sea (54 x 54 cells of 184 days, 108 x 108 of 92).
    methods : None for all; names out of `METHODS` and "network"; or a dict
        {name: method(month, day=None) -> (H, W) degC} instead of them.
    model : weights of the network, as for `reconstruct`; they must have learned single days. None
        for `ocean-2`, which comes with the package. A dict
        {name: weights} puts several of them side by side.
    draws : how often clouds are moved. Each draw hides a quarter of the well-seen days (the better
        half), so that of 8 draws each is judged twice. Time grows with their number.
    seed : the same seed, the same clouds.
    period : (first, last) day that is judged, None = that of the file; all days are seen all the
        same. So weights can be judged by days that they did not learn from.
    filled : {name: Dataset}, complete daily maps as `open_sst` returns them, made by any program
        from what `hide` returns for the same seed and period; that one draw is judged then.

    Returns
    -------
    dict of plain numbers, ready for JSON (`results.write_results`): "file"; "withheld"; "methods"
    {name: rmse, interval, bias, minus_best, by_coverage, by_days_since_observation,
    by_distance_to_coast, square_sum of each day, seconds}, errors in K (or the unit of another
    variable); "left_out" {name: why}; "best", "tied" and "take", names; "words", the advice in a
    sentence; "figure_alt". Intervals are of 95 % and come of drawing days again, 5 in a row; those
    of `minus_best` hold for all methods together.

    40 x 40 cells of 92 days took two minutes on a busy core, more than half of it the network.

    Raises ValueError for a file that is all land, has too few days or no clouds, for methods that
    are unknown and for those that leave gaps.
    """
    for name, value, least in (("draws", draws, 1), ("seed", seed, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
    chosen = _chosen(methods, model)
    if filled:
        if same := sorted(set(filled) & set(chosen)):
            raise ValueError(f"filled: {same[0]!r} is a method here already; choose another name")
        draws = 1
        chosen |= {name: _of_maps(maps) for name, maps in filled.items()}
    daily = _opened(daily)
    series, well_seen, (first, last) = _judged_part(daily, period)
    facts, answers, seconds, left_out = _ask_all(chosen, series, well_seen, draws, seed)
    for name in filled or ():
        _refuse_copies(answers[name][0] - facts["truth"], facts["truth"], name)
    rows = {
        name: _row(np.concatenate(answers[name]) - facts["truth"], facts) | {"seconds": s}
        for name, s in ((name, seconds[name]) for name in chosen if name not in left_out)
    }
    if not rows:
        raise ValueError(f"no method has an answer: {'; '.join(left_out.values())}")
    units = daily["sst"].attrs.get("units", "1") if "variable" in daily.attrs else "K"
    times = series.times
    results = {
        "file": _about(series.left, series.ocean, times, daily),
        "period": [str(max(first, times[0]).date()), str(min(last, times[-1]).date())],
        "units": units,
        "withheld": _about_withheld(series, facts, draws, seed),
        "methods": rows,
        "left_out": left_out,
    }
    results |= _compared(rows, results["withheld"]["by_day"]["observations"], units)
    results["figure_alt"] = _in_words(results)
    return results


def _ask_all(chosen: dict, series, well_seen, draws: int, seed: int) -> tuple:
    """(facts of all judged cells, answers of each method by draw, its seconds, {name: why} of
    those that left themselves out)."""
    rng = np.random.default_rng(seed)
    found, answers, seconds, left_out = [], {name: [] for name in chosen}, {}, {}
    for draw in range(draws):
        sky = sky_of(well_seen, draw, rng)
        left, withheld = under_other_skies(series.left, series.ocean, sky)
        asked = _asked_of(withheld, rng)
        if not len(asked):
            continue
        question = replace(series, left=left, asked=asked)
        found.append(_facts(question, withheld))
        for name in [name for name in chosen if name not in left_out]:
            begin = clock.perf_counter()
            try:
                answers[name].append(_answer(chosen[name], name, question))
            except LeftOut as error:
                left_out[name] = str(error)
            seconds[name] = seconds.get(name, 0.0) + clock.perf_counter() - begin
    if not found:
        raise ValueError(
            "nothing could be withheld: on its well-seen days the file has no cell that the clouds "
            "of another day hide; a complete file needs no judge, see `evaluate`"
        )
    facts = {key: np.concatenate([f[key] for f in found]) for key in found[0]}
    return facts, answers, seconds, left_out


def _facts(question, withheld) -> dict:
    """What is known of each judged cell: its truth, its day, and what the rows are sorted by."""
    at = tuple(question.asked.T)
    seen = np.isfinite(question.left)
    coverage = seen.sum((1, 2)) / question.ocean.sum()  # (T,)
    return {
        "truth": withheld[at].astype(float),
        "day": at[0],
        "coverage": coverage[at[0]],
        "days_since_observation": _age(seen)[at],
        "distance_to_coast": distance_to_coast(question.ocean)[at[1:]],
    }


def _answer(answer, name, question) -> np.ndarray:
    try:
        values = answer(question)
    except LeftOut:
        raise
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    bad = int((~np.isfinite(values)).sum())
    if bad:
        raise ValueError(
            f"{name} left {bad} of {len(values)} judged cells without a finite value; it must "
            "answer everywhere over the ocean"
        )
    return values


def _row(error, facts) -> dict:
    """Scores of a method from its errors (n,)."""
    squares, numbers = _sums(error, facts["day"])
    row = {"rmse": rmse(error), "interval": _interval(squares, numbers), "bias": bias(error)}
    for key, (edges, _) in KEYS.items():
        bins = _bins(facts[key], edges)
        row[f"by_{key}"] = [
            {
                "low": float(edges[b]),
                "high": float(edges[b + 1]),
                "rmse": rmse(error[bins == b]),
                "interval": _interval(*_sums(error[bins == b], facts["day"][bins == b])),
                "observations": int((bins == b).sum()),
            }
            for b in np.unique(bins)
        ]
    return row | {"square_sum": squares.tolist()}


def _bins(key, edges):
    """Number of the bin (low, high] of each; the first includes its low."""
    return np.clip(np.searchsorted(edges, key, side="left") - 1, 0, len(edges) - 2)


def _sums(error, day):
    """Sums of squares, and cells, of each judged day."""
    index = np.unique(day, return_inverse=True)[1]
    return np.bincount(index, error**2), np.bincount(index).astype(float)


def _block(days: int) -> int:
    return max(1, min(BLOCK, days // 3))


def _interval(squares, numbers):
    """[low, high] of an RMSE, or None: from two days nobody can tell."""
    n = len(squares)
    return list(rmse_interval(squares, numbers, block=_block(n))) if n > 2 else None


# ---------------------------------------------------------------- what is said


def _about(sst, ocean, times, daily) -> dict:
    seen = np.isfinite(sst)[:, ocean]  # (T, cells)
    H, W = ocean.shape
    return {
        "first_day": str(times[0].date()),
        "last_day": str(times[-1].date()),
        "days": len(times),
        "rows": H,
        "columns": W,
        "ocean_cells": int(ocean.sum()),
        "seen": float(seen.mean()),
        "whole_file": bool(H * W == daily["ocean_mask"].size and times[0] == daily["time"][0]),
    }


def _about_withheld(series, facts, draws, seed) -> dict:
    """How much was judged, and how sure the truth is."""
    sst, times = series.left, series.times
    lags = variogram(sst - series.prior)
    beside = [gamma for r, t, gamma, _ in lags if (r, t) == (1, 0)]
    days, numbers = np.unique(facts["day"], return_counts=True)
    edges = KEYS["days_since_observation"][0]
    gaps = _age(np.isfinite(sst))[:, np.isfinite(sst).any(0)]  # of cells that were ever seen
    gaps = _bins(gaps[gaps > 0], edges)
    return {
        "observations": len(facts["truth"]),
        "days": len(days),
        "draws": draws,
        "seed": seed,
        "truth_std": float(facts["truth"].std()),
        # Of two cells side by side on one day: what they do not share, noise or not.
        "noise_at_most": float(beside[0] ** 0.5) if beside else None,
        "share_by_days_since_observation": {
            name: (np.bincount(bins, minlength=len(edges) - 1) / len(bins)).tolist()
            for name, bins in (
                ("withheld", _bins(facts["days_since_observation"], edges)),
                ("gaps_of_the_file", gaps),
            )
        },
        "by_day": {"date": [str(times[d].date()) for d in days], "observations": numbers.tolist()},
    }


def difference(results, name, other) -> list:
    """[RMSE of `name` less that of `other`, low, high]: their paired 95 % interval."""
    rows, numbers = results["methods"], results["withheld"]["by_day"]["observations"]
    sums = [
        {"by_month": {"square_sum": rows[n]["square_sum"], "weight_sum": numbers}}
        for n in (name, other)
    ]
    interval = difference_interval(*sums, block=_block(len(numbers)))
    return [rows[name]["rmse"] - rows[other]["rmse"], *interval]


def _compared(rows, numbers, units) -> dict:
    """Which to take: the smallest error, or the simplest of those that cannot be told from it."""
    best = min(rows, key=lambda name: rows[name]["rmse"])
    days, others = len(numbers), [name for name in rows if name != best]
    level = 1 - 0.05 / max(1, len(others))  # so that all of them hold together in 95 of 100 files

    def sums(name):
        return {"by_month": {"square_sum": rows[name]["square_sum"], "weight_sum": numbers}}

    tied = [best]
    for name in others if days > 2 else ():
        span = difference_interval(sums(name), sums(best), block=_block(days), level=level)
        rows[name]["minus_best"] = [rows[name]["rmse"] - rows[best]["rmse"], *span]
        if span[0] <= 0 or span[1] <= NO_DIFFERENCE * rows[best]["rmse"]:
            tied.append(name)
    tied = [name for name in rows if name in tied]  # from the simplest on
    take = tied[0] if days >= FEW else None
    smallest = f"{best} has the smallest error, {rows[best]['rmse']:.3f} {units}"
    if take is None:
        words = f"The data cannot tell: {days} days were judged, {FEW} are needed; {smallest}."
    elif len(tied) > 1:
        apart = ", ".join(tied[:-1]) + " and " + tied[-1]
        words = f"The data cannot tell {apart} apart ({smallest}); take {take}, the simplest."
    else:
        words = f"Take {best}: it errs by {rows[best]['rmse']:.3f} {units}"
        if others:
            second = min(others, key=lambda name: rows[name]["rmse"])
            more, low, high = rows[second]["minus_best"]
            words += f"; the next, {second}, by {more:.3f} more ({low:.3f} to {high:.3f})"
        words += "."
    return {"best": best, "tied": tied, "take": take, "level_of_differences": level, "words": words}


def _between(edges, whole=True) -> str:
    """The bin (low, high] in words; whole: of whole numbers from 1 on."""
    low, high = edges["low"], np.inf if edges["high"] is None else edges["high"]  # None: of JSON
    if not whole:
        return f"{low:g}-{high:g}"
    if np.isinf(high):
        return f"> {low:g}"
    return f"{high:g}" if high - low == 1 else f"{low + 1:g}-{high:g}"


def _span(interval, digits=3) -> str:
    return "" if interval is None else f"{interval[0]:.{digits}f}-{interval[1]:.{digits}f}"


def table(results) -> str:
    """The judgement as lines of text."""
    about, withheld, units = results["file"], results["withheld"], results["units"]
    noise = withheld["noise_at_most"]
    part = results["period"] != [about["first_day"], about["last_day"]]
    lines = [
        f"{about['first_day']} to {about['last_day']}, {about['rows']} x {about['columns']} cells, "
        f"{about['ocean_cells']} of sea, {100 * about['seen']:.0f} % seen"
        + ("" if about["whole_file"] else " (a part of the file)"),
        f"withheld: {withheld['observations']} observations of {withheld['days']} days, noise "
        + ("unknown" if noise is None else f"of one at most {noise:.2f} {units}")
        + (", judged from {} to {}".format(*results["period"]) if part else ""),
        "",
        f"{'method':18}{'RMSE':>7}{'95 % interval':>15}{'bias':>8}{'more than the best':>28}"
        f"{'seconds':>9}",
    ]
    for name, row in results["methods"].items():
        more = row.get("minus_best")
        more = "" if more is None else f"{more[0]:.3f} ({more[1]:.3f} to {more[2]:.3f})"
        lines.append(
            f"{name:18}{row['rmse']:7.3f}{_span(row['interval']):>15}{row['bias']:8.3f}{more:>28}"
            f"{row['seconds']:9.1f}"
        )
    for key, (_, words) in KEYS.items():
        rows = [row[f"by_{key}"] for row in results["methods"].values()]
        lines += ["", f"RMSE by {words}"]
        lines.append(" " * 18 + "".join(f"{_between(b, key != 'coverage'):>11}" for b in rows[0]))
        lines.append(f"{'observations':18}" + "".join(f"{b['observations']:11}" for b in rows[0]))
        for name, bins in zip(results["methods"], rows, strict=True):
            lines.append(f"{name:18}" + "".join(f"{b['rmse']:11.3f}" for b in bins))
            lines.append(
                "  95 % interval   " + "".join(f"{_span(b['interval'], 2):>11}" for b in bins)
            )
    lines += ["", *(f"left out: {name}: {why}" for name, why in results["left_out"].items())]
    return "\n".join([*lines, results["words"]])


def _in_words(results) -> str:
    """What the figure shows, for those who do not see it."""
    units, key = results["units"], "by_days_since_observation"
    ordered = sorted(results["methods"].items(), key=lambda item: item[1]["rmse"])
    said = []
    for name, row in ordered:
        span = row["interval"]
        span = "" if span is None else f" ({span[0]:.2f} to {span[1]:.2f})"
        said.append(f"{name} {row['rmse']:.2f}{span}")
    bins = ordered[0][1][key]
    ends = [0] if len(bins) == 1 else [0, len(bins) - 1]
    after = [
        f"after {_between(bins[b])} day{'s' * (bins[b]['high'] != 1)} "
        + ", ".join(f"{name} {row[key][b]['rmse']:.2f}" for name, row in ordered)
        for b in ends
    ]
    return (
        f"Two panels. Above, root mean square error in {units} at withheld observations, with 95 % "
        f"intervals, the smallest first: {', '.join(said)}. Below, the same by days since the cell "
        f"was last seen: {'; '.join(after)}."
    )


COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vPX"


def draw(results):
    """Figure of a judgement: RMSE by method, and by days since the cell was seen. Its alternative
    text is `results["figure_alt"]`."""
    need("plot", "matplotlib")
    from matplotlib.figure import Figure

    ordered = sorted(results["methods"].items(), key=lambda item: item[1]["rmse"])
    style = {
        name: {"color": COLOURS[i % len(COLOURS)], "marker": MARKERS[i % len(MARKERS)]}
        for i, name in enumerate(results["methods"])
    }
    # 5 inches wide with letters of 11 points: on a telephone of 390 pixels they are 12 high.
    figure = Figure(figsize=(5, 7), layout="constrained")
    above, below = figure.subplots(2, 1, height_ratios=(0.4 + 0.25 * len(ordered), 2))
    for place, (name, row) in enumerate(ordered):
        if row["interval"] is not None:
            above.plot(row["interval"], [place, place], color=style[name]["color"], lw=2)
        above.plot(row["rmse"], place, ls="", ms=8, **style[name])
    above.set_yticks(range(len(ordered)), [name for name, _ in ordered], fontsize=11)
    above.set_ylim(len(ordered) - 0.5, -0.5)  # the smallest error on top
    above.set_xlim(0, 1.1 * above.get_xlim()[1])
    above.locator_params("x", nbins=5)
    above.set_xlabel(f"RMSE at withheld observations ({results['units']})", fontsize=11)
    bins = ordered[0][1]["by_days_since_observation"]
    for name, row in ordered:
        values = [b["rmse"] for b in row["by_days_since_observation"]]
        below.plot(values, label=name, lw=1.5, ms=7, **style[name])
    below.set_xticks(range(len(bins)), [_between(b) for b in bins])
    below.set_ylim(bottom=0)
    below.set_xlabel("days since the cell was seen (last: or never)", fontsize=11)
    below.set_ylabel(f"RMSE ({results['units']})", fontsize=11)
    figure.legend(
        *below.get_legend_handles_labels(), fontsize=11, ncols=2, loc="outside lower center"
    )
    for axes in (above, below):
        axes.tick_params(labelsize=11)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.3)
    return figure
