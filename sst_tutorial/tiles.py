"""One month of any size through an estimator, tile by tile.

A map is cut into overlapping tiles, each goes through the estimator, and a weighted sum with soft
edges puts them together again, around the dateline too where the grid is global. Tiles cost the
same wherever they lie: time grows with the area of the ocean.
"""

import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import product

import numpy as np
import torch

from sst_tutorial.months import Batch, Month
from sst_tutorial.networks import Estimator
from sst_tutorial.quantity import Quantity

DAYS = slice(None)  # the question for every day of a month; None is the one for its mean
TILE = 32  # cells on a side of a tile: the size the shipped network was trained on
OVERLAP = 8  # cells over which two neighbours are blended
TILES_AT_ONCE = 16
ON_ONE_CORE = 4  # tiles at once: what they need then stays in its cache


def maps_of_month(
    estimator: Estimator, month: Month, wraps: bool, question, rows=None, spread=None
) -> tuple:
    """(sst, first guess), each (Q, H, W) degC over the ocean; ValueError where no sea is like that.
    With a `spread` also the standard deviation in K of what sst errs by, NaN in a month that saw
    nothing: how far its prior errs, nobody knows.

    question: None = the mean of the month, a number = that day of it, counted from 0, both Q = 1;
    DAYS = each of its days, Q = T. rows: of its tiles, where they are those of a larger map.
    """
    if question is None:
        prior = month.prior_mean[None]  # (1, H, W)
    else:
        prior = month.prior if question is DAYS else month.of_day(question)[0][None]  # (Q, H, W)
    anomalies = np.zeros((2, 1, 1, 1), np.float32)
    sure = [] if spread is None else [np.full(prior.shape, np.nan, np.float32)]
    if month.observed.any():
        found = tiled(estimator, month, wraps, question, rows=rows, spread=spread)
        anomalies, sure = found[:2], [np.where(month.ocean, sd, np.nan) for sd in found[2:]]
    quantity = month.quantity
    sst, first_guess = (
        np.where(month.ocean, prior + quantity.unit * anomaly, np.nan) for anomaly in anomalies
    )
    for field in (sst, first_guess):
        _refuse_no_sea(field[:, month.ocean], month)
    return sst, first_guess, *sure


def blank_maps(month: Month, question, spread=None) -> tuple:
    """As `maps_of_month`, for a month of which nothing is known: no observation and no climatology.
    Any number would be a guess (it was 18 degC, the mean of all seas)."""
    steps = 1 if question is None else len(month.sst)
    nothing = np.full((steps, *month.ocean.shape), np.nan, np.float32)
    return (nothing,) * (2 if spread is None else 3)


def _refuse_no_sea(known: np.ndarray, month: Month) -> None:
    """ValueError where a map over the ocean, (Q, n), holds what no sea can be."""
    quantity = month.quantity
    # A network may err by some K beyond what a sea can be, not by more than that.
    low, high = quantity.low - quantity.margin, quantity.high + quantity.margin
    if not (np.isfinite(known) & (known > low) & (known < high)).all():
        raise ValueError(
            f"model answers {month.name} with {np.fmin.reduce(known, None):.4g}.."
            f"{np.fmax.reduce(known, None):.4g} {unit_of(quantity)}, {(~np.isfinite(known)).sum()} "
            "cells not finite: no sea is like that; train it again"
        )


def tiled(
    estimator,
    month: Month,
    wraps: bool,
    question=None,
    tile=TILE,
    overlap=OVERLAP,
    rows=None,
    spread=None,
) -> np.ndarray:
    """Anomaly of what is asked, see `maps_of_month`, and the first guess of it, (2, Q, H, W) in K;
    with a `spread` (3, Q, H, W). Where tiles meet, their errors are nearly the same: standard
    deviations are blended like maps."""
    T, H, W = month.sst.shape
    rows = tiles_of(H, tile, overlap) if rows is None else rows
    cols = tiles_of(W, tile, overlap, wraps)
    h, w, Q = len(rows[0]), len(cols[0]), T if question is DAYS else 1
    window = np.outer(window_of(h, overlap), window_of(w, overlap)).astype(np.float32)  # (h, w)
    kinds = 2 if spread is None else 3
    total, weight = np.zeros((kinds, Q, H, W), np.float32), np.zeros((H, W), np.float32)
    seen, places = month.observed.any(0), []
    for place in product(rows, cols):
        weight[np.ix_(*place)] += window  # no index of a tile stands twice
        if seen[np.ix_(*place)].any():
            places.append(place)
        elif spread is not None:
            unseen = float(spread.unseen[int(question is not None)])
            total[2:, :, *np.ix_(*place)] += window * unseen
    with closing(_estimates(estimator, month, places, question, spread)) as estimates:
        for place, maps in estimates:
            total[:, :, *np.ix_(*place)] += window * maps[:, :Q, :h, :w]
    total /= weight
    return total


def _estimates(estimator: Estimator, month: Month, places, question, spread=None):
    """Yield each of these tiles, (rows, cols), with its maps (2 or 3, Q, h, w), in order.

    On a CPU every core takes tiles of its own: two cores that share the work on the same tiles are
    hardly faster than one.
    """
    threads, at_once, workers = torch.get_num_threads(), TILES_AT_ONCE, 1
    if _device(estimator).type == "cpu":
        at_once = min(ON_ONE_CORE, max(1, -(-len(places) // threads)))
        workers = max(1, min(threads, -(-len(places) // at_once)))
    parts = [places[i : i + at_once] for i in range(0, len(places), at_once)]

    def maps_of(part):
        return _estimate(estimator, [month.cut(*place) for place in part], question, spread)

    was_training = estimator.training
    if was_training:  # to walk through all modules takes as long as a pass of the network
        estimator.eval()
    pool = ThreadPoolExecutor(workers, "tiles")
    torch.set_num_threads(threads // workers)  # of each worker
    try:
        all_maps = (map if workers == 1 else pool.map)(maps_of, parts)
        for part, maps in zip(parts, all_maps, strict=True):
            yield from zip(part, maps, strict=True)
    finally:
        pool.shutdown(cancel_futures=True)  # interrupted, nobody waits for the rest
        torch.set_num_threads(threads)
        if was_training:
            estimator.train()


def _device(estimator: Estimator) -> torch.device:
    return estimator.network.last.weight.device


@torch.inference_mode()
def _estimate(estimator: Estimator, months, question, spread=None) -> np.ndarray:
    """(B, 2, Q, H, W) in K: what is asked and its first guess, of months of one size, padded as a
    batch; Q as in `maps_of_month`, padded too. With a `spread` its standard deviation as third."""
    day = None if question is DAYS else question
    batch = Batch.of(months, estimator.patch_size, _device(estimator), day)
    estimate = (estimator.days if question is DAYS else estimator)(*batch.inputs, error=batch.error)
    maps = list(estimate[:2])
    if spread is not None:
        here = spread.to(batch.anomaly.device)
        maps.append((here.of_days if question is DAYS else here.of)(batch, estimate))
    maps = torch.stack([m.float() for m in maps], 1).cpu().numpy()  # (B, 2 or 3, [T,] H, W)
    return maps if question is DAYS else maps[:, :, None]


# ---------------------------------------------------------------------------- tiles


def tiles_of(n: int, tile: int, overlap: int, wraps: bool = False) -> list[np.ndarray]:
    """Indices of the tiles along an axis of n cells: arrays of one length, together all of it.

    Neighbours share `overlap` cells or more. Around a globe tiles go on past its last column, and
    there are two at least: where one begins and ends, another has its middle.
    """
    step, tile = tile - overlap, min(n, tile)
    if wraps:
        starts = np.arange(0, n, n / max(2, -(-n // step))).round().astype(int)
    else:
        starts = np.linspace(0, n - tile, 1 + -(-(n - tile) // step)).round().astype(int)
    return [(start + np.arange(tile)) % n for start in starts]


def window_of(n: int, overlap: int) -> np.ndarray:
    """Weights (n,): 1 inside, falling to nearly 0 over `overlap` cells at both ends (sine squared).

    Every cell's weights are divided by their sum, so at the edge of the map, where only one tile
    reaches, that tile counts in full.
    """
    distance = np.minimum(np.arange(n), np.arange(n)[::-1]) + 0.5
    return np.sin(0.5 * np.pi * np.minimum(distance / overlap, 1.0)) ** 2


# ---------------------------------------------------------------------------- what is told


def warn_of_month(month: Month, climatology) -> None:
    """Tell what a reader of the map should know of the month."""
    if not month.ocean.any():
        warnings.warn(f"{month.name}: ocean_mask is all land, so the map is all NaN", stacklevel=3)
    elif not month.observed.any() and climatology is None:
        warn_of_nothing(month.name)
    elif not month.observed.any():
        mean = month.prior_mean[month.ocean].mean()
        warnings.warn(
            f"{month.name} has no observation: its map is the climatology, {mean:.1f} "
            f"{unit_of(month.quantity)} on average",
            stacklevel=3,
        )


def warn_of_nothing(name: str) -> None:
    warnings.warn(
        f"{name} has no observation, and no climatology is given: its map is all NaN; give a "
        "climatology, or months that saw something",
        stacklevel=4,
    )


def unit_of(quantity: Quantity) -> str:
    return "degC" if quantity.is_sst else quantity.units_inside
