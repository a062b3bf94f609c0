"""Classical methods: one month of gappy daily maps in, its mean map out.

Every baseline is a function `f(month, **parameters) -> (H, W)`: from a `Month` to the mean of all
its days in degC, finite on every ocean cell, NaN on land. They work on anomalies, the
observations minus the month's prior (a climatology, or a smooth prior where there is none), and
add the prior again. The network has the same form, see `reconstruction.as_method`.

Chapter: *Baselines you must beat*.
"""

from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.optimize
import torch

from sst_tutorial.first_guess import gaussian_mean
from sst_tutorial.months import Month

MAX_OBSERVATIONS = 20_000  # of one optimal interpolation: the matrix then takes 3.2 GB

# ---------------------------------------------------------------- the simple ones


def climatology_mean(month: Month) -> np.ndarray:
    """The mean of the prior: what is known before any observation."""
    return month.complete(0.0)


def _mean_of_seen(x, when_empty):
    """Mean over days of what is not NaN, (H, W); never-seen cells take the mean of all seen."""
    seen = np.isfinite(x)
    count = seen.sum(0)
    overall = np.mean(x, where=seen) if seen.any() else when_empty
    total = np.sum(x, 0, where=seen)
    return np.where(count > 0, total / np.maximum(count, 1), overall)


def mean_of_days(month: Month) -> np.ndarray:
    """Mean of the days on which each cell was seen; the prior serves an empty month only."""
    return np.where(month.ocean, _mean_of_seen(month.sst, month.prior_mean), np.nan)


def mean_anomaly(month: Month) -> np.ndarray:
    """Prior plus the mean anomaly of the seen days: the season no longer biases the mean."""
    return month.complete(_mean_of_seen(month.anomaly, 0.0))


def gaussian(month: Month, cells=1.2, days=3.0) -> np.ndarray:
    """Space-time Gaussian of anomalies, averaged over the month; see `gaussian_mean`."""
    x = torch.from_numpy(month.anomaly.astype(np.float32))[None]  # (1, T, H, W)
    return month.complete(gaussian_mean(x, torch.isfinite(x), cells, days)[0].numpy())


def linear_in_time(month: Month) -> np.ndarray:
    """Anomalies of each cell joined by straight lines in time, held constant at both ends."""
    anomaly = month.anomaly
    seen = np.isfinite(anomaly)
    T = len(anomaly)
    day = np.arange(T)[:, None, None]
    before = np.maximum.accumulate(np.where(seen, day, -1), 0)  # last seen day, -1 = none yet
    after = np.minimum.accumulate(np.where(seen, day, T)[::-1], 0)[::-1]  # next one, T = none
    before, after = np.where(before < 0, after, before), np.where(after == T, before, after)
    left = np.take_along_axis(anomaly, before.clip(0, T - 1), 0)
    right = np.take_along_axis(anomaly, after.clip(0, T - 1), 0)
    filled = left + (right - left) * (day - before) / np.maximum(after - before, 1)
    return month.complete(np.where(seen.any(0), filled.mean(0), _mean_of_seen(anomaly, 0.0)))


# ---------------------------------------------------------------- optimal interpolation


@dataclass(frozen=True)
class Covariance:
    """Covariance of SST anomalies at distance r (cells) and lag t (days), in K^2:

    short_variance exp(-r / short_cells - t / short_days)
    + long_variance exp(-(r / long_cells)^2 - t / long_days), plus noise_variance on each retrieval.

    The defaults were tuned on 2011-2012 off Tasmania (0.25 degree cells, retrieval noise 0.3 K).
    """

    short_variance: float = 0.6
    short_cells: float = 9.0
    short_days: float = 7.0
    long_variance: float = 0.4
    long_cells: float = 72**0.5
    long_days: float = 60.0
    noise_variance: float = 0.09

    def space(self, r):
        """The two spatial factors at distances r, variances included."""
        return (
            self.short_variance * np.exp(-r / self.short_cells),
            self.long_variance * np.exp(-((r / self.long_cells) ** 2)),
        )

    def time(self, t):
        """The two temporal factors at lags t >= 0."""
        return np.exp(-t / self.short_days), np.exp(-t / self.long_days)


def optimal_interpolation(
    month: Month, covariance=Covariance(), max_observations=MAX_OBSERVATIONS
) -> np.ndarray:
    """Best linear estimate of the month mean, given the covariance of anomalies and the noise.

    Solves (C + noise I) a = anomalies by Cholesky in float64 and multiplies by the covariance of
    each cell's *month mean* with each observation, so no daily map is ever made (Bretherton,
    Davis & Fandry 1976). Time grows with the cube of the number of observations, memory with its
    square: more than `max_observations` (3.2 GB at 20000) is a ValueError.
    """
    anomaly = month.anomaly
    day, row, col = np.nonzero(np.isfinite(anomaly))  # sorted by day
    if len(day) == 0:
        return month.complete(0.0)
    cells, index = _cells(row, col)
    factor = _factor(day, cells, index, covariance, max_observations)
    weight = _solved(factor, anomaly[day, row, col])
    return month.complete(_mean_of_weighted(anomaly.shape, day, cells, index, weight, covariance))


def with_month_mean(month: Month, method=optimal_interpolation, **parameters) -> np.ndarray:
    """A method around the prior shifted by the mean of all anomalies seen in the month."""
    seen = month.observed
    shift = np.mean(month.anomaly, where=seen) if seen.any() else 0.0
    shifted = Month(month.sst, month.ocean, month.prior + shift, name=month.name)
    return method(shifted, **parameters)


def expected_error(
    month: Month, covariance=Covariance(), max_observations=MAX_OBSERVATIONS
) -> np.ndarray:
    """Standard deviation (H, W) in K of the error of `optimal_interpolation`, NaN on land.

    It follows from where and when the sea was seen, not from the values, and is right as far as
    the covariance and the noise are (Bretherton, Davis & Fandry 1976).
    """
    day, row, col = np.nonzero(month.observed)
    T, H, W = month.sst.shape
    days = np.arange(T)
    lags = covariance.time(np.abs(days[:, None] - days))
    prior = sum(v * f.mean() for v, f in zip(covariance.space(0.0), lags, strict=True))
    if len(day) == 0:
        return np.where(month.ocean, np.sqrt(prior), np.nan)
    cells, index = _cells(row, col)
    factor = _factor(day, cells, index, covariance, max_observations)
    over_month = [f.mean(0) for f in covariance.time(np.abs(days[:, None] - day))]  # (n,) each
    variance = np.empty((H, W))
    for r in range(H):
        distance = np.hypot(r - cells[:, 0], np.arange(W)[:, None] - cells[:, 1])  # (W, cells)
        space = covariance.space(distance)
        c = sum(s[:, index] * f for s, f in zip(space, over_month, strict=True))  # (W, n)
        known = torch.linalg.solve_triangular(factor.mT, torch.from_numpy(c.T), upper=False)
        variance[r] = prior - known.square().sum(0).numpy()
    return np.where(month.ocean, np.sqrt(np.maximum(variance, 0.0)), np.nan)


def _cells(row, col):
    """Distinct cells (cells, 2) of the observations, and the cell (n,) of each of them."""
    cells, index = np.unique(np.stack([row, col], 1), axis=0, return_inverse=True)
    return cells, index.reshape(len(row))


def _factor(day, cells, index, covariance, max_observations):
    """Upper Cholesky factor (n, n) of the covariance of all observations, noise included."""
    n = _few_enough(len(day), max_observations)
    row, col = cells[index].T
    rows, cols = np.arange(np.ptp(row) + 1), np.arange(np.ptp(col) + 1)
    apart = covariance.space(np.hypot(rows[:, None], cols))  # by rows and columns in between
    matrix = np.zeros((n, n))
    for start in range(0, n, 256):  # few rows at a time keep the temporaries small
        stop = min(start + 256, n)  # the matrix is symmetric: nothing after these rows is needed
        some = slice(start, stop)
        step = np.abs(row[some, None] - row[:stop]), np.abs(col[some, None] - col[:stop])
        lags = covariance.time(np.abs(day[some, None] - day[:stop]))
        matrix[some, :stop] = sum(s[step] * f for s, f in zip(apart, lags, strict=True))
    matrix.flat[:: n + 1] += covariance.noise_variance
    return _cholesky(matrix)


def _few_enough(n, max_observations):
    if n > max_observations:
        raise ValueError(
            f"the month holds {n} observations, more than max_observations={max_observations}: "
            "cut the region into smaller tiles, or use gaussian"
        )
    return n


def _cholesky(matrix):
    """Upper Cholesky factor of a matrix of which only the lower triangle is filled, in its place.

    torch's: scipy's, on two threads, has crashed on matrices of 1.5 GB.
    """
    factor = torch.from_numpy(matrix).mT  # (n, n), upper triangle, column-major
    torch.linalg.cholesky(factor, upper=True, out=factor)
    return factor


def _solved(factor, observed):
    """(C + noise I)^-1 times the observations (n,), from the upper factor of C + noise I."""
    observed = torch.from_numpy(observed.astype(float))[:, None]  # (n, 1)
    weight = torch.linalg.solve_triangular(factor.mT, observed, upper=False)
    return torch.linalg.solve_triangular(factor, weight, upper=True).numpy()[:, 0]


def _mean_of_weighted(shape, day, cells, index, weight, covariance):
    """Month mean (H, W) from the weights of the observations.

    Both terms of the covariance are space times time, so the mean over the month's days acts on
    the time factor alone, and the observations of one cell add up before the map is made.
    """
    T, H, W = shape
    lag = np.abs(np.arange(T)[:, None] - day)  # (T, n)
    cell_weight = [
        np.bincount(index, factor.mean(0) * weight, minlength=len(cells))
        for factor in covariance.time(lag)
    ]
    mean = np.empty((H, W))
    for row in range(H):
        distance = np.hypot(row - cells[:, 0], np.arange(W)[:, None] - cells[:, 1])  # (W, cells)
        mean[row] = sum(s @ w for s, w in zip(covariance.space(distance), cell_weight, strict=True))
    return mean


def fit_covariance(anomaly, max_cells=16, max_days=45, noise_variance=0.09):
    """Least-squares fit of a `Covariance` to complete daily anomalies.

    anomaly: (days, H, W) K, consecutive days, NaN on land only; give the fitting years, never the
    years to be judged. Compares along rows and columns up to `max_cells` and `max_days` apart.
    `noise_variance` (K^2) is the retrieval's and is passed through: complete maps do not tell it.
    """
    anomaly = np.asarray(anomaly, dtype=np.float32)
    if anomaly.ndim != 3 or len(anomaly) <= max_days or min(anomaly.shape[1:]) <= max_cells:
        raise ValueError(
            f"anomaly must be (days, H, W) with more than {max_days} days and {max_cells} cells "
            f"a side, got shape {anomaly.shape}"
        )
    lags = [(r, t) for r in range(0, max_cells + 1, 2) for t in range(0, max_days + 1, 3)]
    measured = np.array([_lagged_covariance(anomaly, *lag) for lag in lags])
    r, t = np.array(lags, dtype=float).T

    def misfit(logs):  # logarithms keep all six parameters positive
        trial = Covariance(*np.exp(logs))
        return sum(s * f for s, f in zip(trial.space(r), trial.time(t), strict=True)) - measured

    variance = measured[0]
    start = [0.5 * variance, 5.0, 5.0, 0.5 * variance, 10.0, 50.0]
    # Beyond four times the longest lag a scale is indistinguishable from infinity.
    most = [np.inf, 4 * max_cells, 4 * max_days] * 2
    found = scipy.optimize.least_squares(misfit, np.log(start), bounds=(-np.inf, np.log(most)))
    return Covariance(*(float(x) for x in np.exp(found.x)), noise_variance)


def _lagged_covariance(anomaly, r, t):
    """Mean product of anomalies r cells (along rows or columns) and t days apart."""
    N, H, W = anomaly.shape
    # Daily anomalies hardly change in 5 days: every fifth start is as good and 5 times faster.
    today, later = anomaly[: N - t : 5], anomaly[t::5]
    along_rows = today[:, : H - r] * later[:, r:]
    along_columns = today[:, :, : W - r] * later[:, :, r:]
    return 0.5 * (np.nanmean(along_rows, dtype=float) + np.nanmean(along_columns, dtype=float))


@dataclass(frozen=True)
class MeasuredCovariance:
    """Covariance of the anomalies of complete maps, without a formula: a sum over patterns (EOFs),
    each with a memory of its own. The best OI of this book.

    patterns: (cells, K), each times the standard deviation of its amplitude in K. memory: (K, 31)
    autocorrelation of the amplitude, 0 to 30 days apart. rest: (cells,) K^2, variance of all other
    patterns. offset: K^2, variance of a constant, for a month whose mean differs from the years
    that were measured; 0.36, like K = 200, was chosen on 2011-2012 (100 to 300 patterns tie there).
    """

    patterns: np.ndarray
    memory: np.ndarray
    rest: np.ndarray
    offset: float = 0.36

    @classmethod
    def of(cls, anomaly, K=200, offset=0.36) -> "MeasuredCovariance":
        """anomaly: (days, cells) K of the ocean, complete and in time order, or (pieces, days,
        cells) of several seas or windows."""
        anomaly = anomaly if anomaly.ndim == 3 else anomaly[None]
        flat = anomaly.reshape(-1, anomaly.shape[-1])  # (pieces days, cells)
        variance, patterns = np.linalg.eigh(flat.T @ flat / len(flat))
        variance, patterns = variance[::-1], patterns[:, ::-1]  # the largest first
        amplitude = anomaly @ patterns[:, :K]  # (pieces, days, K)
        n = amplitude.shape[1]
        # Divided by all days, not by the pairs that are t apart: only so is the memory of a short
        # series one that can be (positive definite). Of the 29 years it moves OI by 0.00002 K.
        memory = np.stack(
            [(amplitude[:, : n - t] * amplitude[:, t:]).sum(1).mean(0) / n for t in range(31)], 1
        )
        rest = patterns[:, K:] ** 2 @ variance[K:]
        return cls(patterns[:, :K] * variance[:K] ** 0.5, memory / memory[:, :1], rest, offset)

    def interpolate(
        self, month: Month, noise_variance=0.09, max_observations=MAX_OBSERVATIONS, day=None
    ) -> np.ndarray:
        """Best linear estimate of the month mean, as `optimal_interpolation` makes it, or of one
        day (counted from 0); the ocean must be that of the maps that were measured."""
        anomaly = month.anomaly[:, month.ocean].astype(float)  # (T, cells)
        T, cells = anomaly.shape
        if cells != len(self.patterns):
            known = len(self.patterns)
            raise ValueError(f"the month has {cells} ocean cells, the patterns have {known}")
        if day is not None:
            month.of_day(day)  # ValueError where the month has no such day
        asked = np.arange(T) if day is None else np.array([day])
        seen, cell = np.nonzero(np.isfinite(anomaly))  # days and cells, sorted by day
        if len(seen) == 0:
            return self._answer(month, asked, np.zeros(cells))
        n = _few_enough(len(seen), max_observations)
        matrix = np.zeros((n, n))
        rows = [np.flatnonzero(seen == d) for d in range(T)]
        for d, here in enumerate(rows):
            for e, there in enumerate(rows[: d + 1]):
                left = self.patterns[cell[here]] * self.memory[:, d - e]
                block = left @ self.patterns[cell[there]].T + self.offset
                matrix[here[:, None], there] = block
        matrix.flat[:: n + 1] += noise_variance + self.rest[cell]
        weight = _solved(_cholesky(matrix), anomaly[seen, cell])
        lag = np.abs(asked[:, None] - np.arange(T))
        over_days = self.memory[:, lag].mean(1)[:, seen].T  # (n, K), mean asked for with each day
        amplitude = (self.patterns[cell] * over_days).T @ weight  # (K,)
        return self._answer(month, asked, self.patterns @ amplitude + self.offset * weight.sum())

    @staticmethod
    def _answer(month, asked, anomaly):
        answer = np.full(month.ocean.shape, np.nan)
        prior = month.prior[asked].mean(0, dtype=np.float64)
        answer[month.ocean] = prior[month.ocean] + anomaly
        return answer


# ---------------------------------------------------------------- DINEOF


def _fill_with_eofs(matrix, seen, rank, tolerance=1e-3, max_iterations=100):
    """Replace unseen entries by those of the matrix's own rank-`rank` SVD, until they settle.

    matrix: (cells, T). The leading right singular vectors come from its small Gram matrix.
    """
    n = matrix.shape[1]
    scale = matrix[seen].std()
    for _ in range(max_iterations):
        gram = matrix.T @ matrix
        leading = scipy.linalg.eigh(gram, subset_by_index=[n - rank, n - 1])[1]  # (n, rank)
        filled = np.where(seen, matrix, (matrix @ leading) @ leading.T)
        change = np.sqrt(np.mean((filled - matrix) ** 2))
        matrix = filled
        if change <= tolerance * scale:
            break
    return matrix


def _chosen_rank(matrix, seen, held_out, max_rank, patience=2):
    """Rank (0 = no EOF at all) with the smallest error on the held-out observations.

    Stops once `patience` ranks in a row did not improve on the best.
    """
    truth = matrix[held_out]
    trial = np.where(held_out, 0.0, matrix)
    errors = [np.sqrt(np.mean(truth**2))]
    for rank in range(1, max_rank + 1):
        trial = _fill_with_eofs(trial, seen & ~held_out, rank)  # starts from the rank before
        errors.append(np.sqrt(np.mean((trial[held_out] - truth) ** 2)))
        if rank - np.argmin(errors) >= patience:
            break
    return int(np.argmin(errors))


def dineof(month: Month, max_rank=8, held_out=0.05, seed=0) -> np.ndarray:
    """DINEOF: the gaps of the month's anomalies filled by an iterated truncated SVD.

    Gaps start at the mean anomaly. The rank, 0 to `max_rank`, is the one that best predicts a
    random share `held_out` of the observations, put aside; then the fill is repeated with all of
    them (Beckers & Rixen 2003). One month is few images for an EOF method, yet filling
    2011-2012 in one piece was worse. The same `seed` gives the same result.
    """
    if not 0 < held_out < 1:
        raise ValueError(f"held_out must be a share between 0 and 1, got {held_out}")
    matrix = month.anomaly[:, month.ocean].T.astype(float)  # (cells, T)
    seen = np.isfinite(matrix)
    offset = matrix[seen].mean() if seen.any() else 0.0
    matrix = np.where(seen, matrix - offset, 0.0)
    aside = seen & (np.random.default_rng(seed).random(seen.shape) < held_out)
    if aside.any() and (seen & ~aside).any():
        max_rank = min(max_rank, min(matrix.shape) - 1)
        for rank in range(1, _chosen_rank(matrix, seen, aside, max_rank) + 1):
            matrix = _fill_with_eofs(matrix, seen, rank)
    mean = np.zeros(month.ocean.shape)
    mean[month.ocean] = offset + matrix.mean(1)
    return month.complete(mean)


BASELINES = {
    "climatology": climatology_mean,
    "mean of days": mean_of_days,
    "mean anomaly": mean_anomaly,
    "linear in time": linear_in_time,
    "gaussian": gaussian,
    "optimal interpolation": optimal_interpolation,
    "dineof": dineof,
}
