"""Optimal interpolation of a gappy series of any length and area, by what it says of itself.

The covariance is fitted to the variogram of the observations, so that no complete maps, no
climatology and no other years are needed; each cell of each day is estimated from the observations
that tell most of it. Cost is linear in the number of cells that are asked for. A `Month` with a
covariance that is known has `baselines.optimal_interpolation` and `MeasuredCovariance`, whose
patterns need all cells at once.
"""

import numpy as np
import scipy.optimize
import torch

from sst_tutorial.baselines import Covariance

CELLS, DAYS = (0, 1, 2, 3, 4, 6, 8, 12, 16), (0, 1, 2, 3, 4, 6, 8, 11, 15)  # lags of a variogram
LEAST_PAIRS = 30  # of a lag that counts
SMALLEST = 1e-4  # K^2: of the noise, so that a system can be solved; below any retrieval's
REACH_CELLS, REACH_DAYS, NEAR, FAR = 24, 15, 3000, 1500  # where observations are looked for
AT_ONCE = 128  # cells: some MB for the matrices of 48 observations each


# ---------------------------------------------------------------- the covariance


def variogram(anomaly) -> np.ndarray:
    """(lags, 4): cells apart, days apart, half the mean squared difference (K^2), pairs.

    anomaly: (T, H, W) K, NaN = gap; consecutive days. Pairs along rows and columns.
    """
    T, H, W = anomaly.shape
    found = []
    for t in (t for t in DAYS if t <= max(1, T // 2) and t < T):
        for r in (r for r in CELLS if r <= max(H, W) // 2):
            ahead, steps = anomaly[t:], []
            if r < H:
                steps.append((ahead[:, r:] - anomaly[: T - t, : H - r]).ravel())
            if 0 < r < W:
                steps.append((ahead[:, :, r:] - anomaly[: T - t, :, : W - r]).ravel())
            step = np.concatenate(steps)
            step = step[np.isfinite(step)]
            if (r or t) and step.size >= LEAST_PAIRS:
                found.append((r, t, 0.5 * np.mean(np.square(step, dtype=float)), step.size))
    return np.array(found, dtype=float).reshape(-1, 4)


def fit_to_gappy(anomaly) -> Covariance:
    """The `Covariance` whose variogram is that of these observations (T, H, W) K, NaN = gap.

    Its `noise_variance` is all that two neighbours on one day do not share: noise, and what is
    smaller than a cell. ValueError where hardly two observations lie near each other.
    """
    lags = variogram(anomaly)
    if len(lags) < 7:
        raise ValueError(
            f"anomaly has pairs of observations at {len(lags)} distances only, a covariance needs "
            "7; give more days or a larger region"
        )
    r, t, gamma, _ = lags.T
    gamma = np.maximum(gamma, SMALLEST)
    sill = gamma.max()

    near_ones = 1 / (1 + r / 4 + t / 2)  # what lies near decides: there the fit must be good

    def misfit(logs):  # of logarithms, so that a small difference is as heavy as a large one
        trial = Covariance(*np.exp(logs))
        near, apart = (_signal(trial, *lag) for lag in ((0.0, 0.0), (r, t)))
        return near_ones * np.log((trial.noise_variance + near - apart) / gamma)

    start = [0.3 * sill, 3.0, 3.0, sill, 15.0, 20.0, 0.5 * gamma.min()]
    # Beyond four times the longest lag a scale is indistinguishable from infinity.
    far = 4 * max(r.max(), 4.0), 4 * max(t.max(), 4.0)
    low = [1e-6, 0.3, 0.3, 1e-6, 0.6, 0.3, SMALLEST]
    most = [10 * sill, *far, 10 * sill, *far, max(2 * sill, 3 * SMALLEST)]
    start = np.clip(start, np.multiply(low, 1.01), np.multiply(most, 0.99))
    found = scipy.optimize.least_squares(misfit, np.log(start), bounds=(np.log(low), np.log(most)))
    return Covariance(*(float(x) for x in np.exp(found.x)))


def _signal(covariance, r, t):
    """Covariance without the noise at r cells and t days."""
    return sum(s * f for s, f in zip(covariance.space(r), covariance.time(t), strict=True))


# ---------------------------------------------------------------- the estimate


def local_interpolation(
    anomaly, asked, covariance: Covariance, nearest=48, error=None
) -> np.ndarray:
    """Best linear estimate (n,) K of each cell that is asked for from its `nearest` observations.

    anomaly: (T, H, W) K, NaN = gap. asked: (n, 3) whole numbers, day, row, column. The nearest are
    those with the largest covariance, looked for within 24 cells and 15 days. Where there is none
    the estimate is 0. error: (T, H, W) K, standard deviation of each observation where a product
    tells it, NaN or None where it does not, see `noise_of`.
    """
    asked = np.asarray(asked, dtype=int).reshape(-1, 3)
    around = _stencil(covariance, anomaly.shape)
    noise = noise_of(anomaly, error, covariance.noise_variance)  # (T, H, W)
    parts = [asked[i : i + AT_ONCE] for i in range(0, len(asked), AT_ONCE)]
    found = [_estimated(anomaly, noise, part, around, covariance, nearest) for part in parts]
    return np.concatenate([np.empty(0), *found])


def noise_of(anomaly, error, mean: float) -> np.ndarray:
    """Noise variance (T, H, W) K^2 of each observation, from the errors that its product tells.

    `mean`, of a fit to the file, is how much neighbours differ; the errors tell only who has how
    much of it. Neighbours may share errors, and a product may boast or be modest, but on one day
    the pixel with the larger error is mostly the worse one. Where the errors explain less than
    `mean`, all observations have the rest alike. Where there is no error, `mean`.
    """
    if error is None:
        return np.broadcast_to(float(mean), anomaly.shape)
    square = np.square(error, dtype=float)  # (T, H, W)
    known = np.isfinite(anomaly) & np.isfinite(square) & (square > 0)
    of_errors = np.mean(square, where=known) if known.any() else 1.0
    share = min(1.0, mean / of_errors)
    return np.where(known, share * square + mean - share * of_errors, mean)


def _stencil(covariance, shape) -> np.ndarray:
    """Steps (m, 3) in days, rows and columns, those of the largest covariance first.

    Beside the nearest some of the others, so that a wide cloud is bridged."""
    reach = np.minimum((REACH_DAYS, REACH_CELLS, REACH_CELLS), np.array(shape) - 1)
    steps = np.stack(np.meshgrid(*(np.arange(-n, n + 1) for n in reach), indexing="ij"), -1)
    steps = steps.reshape(-1, 3)
    told = _signal(covariance, np.hypot(steps[:, 1], steps[:, 2]), np.abs(steps[:, 0]))
    order = np.argsort(-told, kind="stable")
    rest = order[NEAR:]
    some = np.random.default_rng(0).permutation(len(rest))[:FAR]
    return steps[np.concatenate([order[:NEAR], rest[np.sort(some)]])]


def _estimated(anomaly, noise, asked, around, covariance, nearest):
    """(b,) K for a few of the cells asked for (b, 3)."""
    place = asked[:, None] + around  # (b, m, 3)
    inside = ((place >= 0) & (place < anomaly.shape)).all(-1)
    place = np.where(inside[..., None], place, 0)
    seen = inside & np.isfinite(anomaly[tuple(np.moveaxis(place, -1, 0))])  # (b, m)
    rank = seen.cumsum(1)
    which, column = np.nonzero(seen & (rank <= nearest))
    count = np.minimum(rank[:, -1], nearest)
    chosen = np.zeros((len(asked), max(1, count.max())), int)  # (b, k), into the stencil
    chosen[which, rank[which, column] - 1] = column
    valid = np.arange(chosen.shape[1]) < count[:, None]
    at = np.take_along_axis(place, chosen[..., None], 1)  # (b, k, 3)
    here = tuple(np.moveaxis(at, -1, 0))
    value = np.where(valid, anomaly[here], 0.0).astype(float)
    return _solved(at, value, np.where(valid, noise[here], 1.0), valid, asked, covariance)


def _solved(at, value, noise, valid, asked, covariance):
    """Weights of the observations from their covariances, then their sum (b,)."""
    apart = np.abs(at[:, :, None] - at[:, None])  # (b, k, k, 3)
    step = np.abs(asked[:, None] - at)  # (b, k, 3)
    tables = _tables(covariance, apart, step)
    matrix, told = (
        sum(s[x[..., 1], x[..., 2]] * f[x[..., 0]] for s, f in tables) for x in (apart, step)
    )
    both = valid[:, :, None] & valid[:, None]
    matrix = np.where(both, matrix, 0.0)
    k = np.arange(matrix.shape[1])
    matrix[:, k, k] += noise
    # A small part of the variance: a wide Gaussian has eigenvalues below the last digit.
    matrix[:, k, k] += 1e-6 * (covariance.short_variance + covariance.long_variance)
    factor = torch.linalg.cholesky(torch.from_numpy(matrix))
    weight = torch.cholesky_solve(torch.from_numpy(value)[..., None], factor)[..., 0].numpy()
    return (np.where(valid, told, 0.0) * weight).sum(1)


def _tables(covariance, *steps):
    """(space (rows, columns), time (days)) of both terms, by whole steps apart: each made once."""
    t, h, w = (max(int(s[..., i].max()) for s in steps) + 1 for i in range(3))
    r = np.hypot(np.arange(h)[:, None], np.arange(w))
    return list(zip(covariance.space(r), covariance.time(np.arange(t)), strict=True))
