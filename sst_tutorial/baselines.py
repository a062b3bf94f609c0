"""Classical methods: one month of gappy daily maps in, its mean map out, or the map of one day.

Every baseline is a function `f(month, **parameters, day=None) -> (H, W)`: from a `Month` to the
mean of all its days in degC, or to the map of one day, counted from 0; finite on every ocean cell,
NaN on land. They work on anomalies, the observations minus the month's prior (a climatology, or a
smooth prior where there is none), and add the prior again. The network has the same form, see
`reconstruction.as_method`.

Chapter: *Baselines you must beat*.
"""

from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.optimize
import torch

from sst_tutorial.first_guess import gaussian_analysis
from sst_tutorial.months import Month

MAX_OBSERVATIONS = 20_000  # of one optimal interpolation: the matrix then takes 3.2 GB


def _complete(month: Month, anomaly, day=None) -> np.ndarray:
    """Prior of the month, or of one of its days, plus an anomaly (H, W) K: degC, NaN on land."""
    if day is None:
        return month.complete(anomaly)
    return np.where(month.ocean, month.of_day(day)[0] + np.asarray(anomaly, float), np.nan)


def _asked(month: Month, day) -> np.ndarray:
    """The days of which the mean is asked, from 0; ValueError where the month has no such day."""
    if day is not None:
        month.of_day(day)
    return np.arange(len(month.sst)) if day is None else np.array([day])


# ---------------------------------------------------------------- the simple ones


def climatology_mean(month: Month, day=None) -> np.ndarray:
    """The mean of the prior: what is known before any observation."""
    return _complete(month, 0.0, day)


def _mean_of_seen(x, when_empty):
    """Mean over days of what is not NaN, (H, W); never-seen cells take the mean of all seen."""
    seen = np.isfinite(x)
    count = seen.sum(0)
    overall = np.mean(x, where=seen) if seen.any() else when_empty
    total = np.sum(x, 0, where=seen)
    return np.where(count > 0, total / np.maximum(count, 1), overall)


def mean_of_days(month: Month, day=None) -> np.ndarray:
    """Mean of the days on which each cell was seen, also where one day is asked for; the prior
    serves an empty month only."""
    empty = month.prior_mean if day is None else month.of_day(day)[0]
    return np.where(month.ocean, _mean_of_seen(month.sst, empty), np.nan)


def mean_anomaly(month: Month, day=None) -> np.ndarray:
    """Prior plus the mean anomaly of the seen days: the season no longer biases the mean."""
    return _complete(month, _mean_of_seen(month.anomaly, 0.0), day)


def gaussian(month: Month, cells=1.2, days=3.0, day=None) -> np.ndarray:
    """Space-time Gaussian of anomalies, averaged over the month; see `gaussian_analysis`."""
    x = torch.from_numpy(month.anomaly.astype(np.float32))[None]  # (1, T, H, W)
    daily = gaussian_analysis(x, torch.isfinite(x), cells, days)[0].numpy()  # (T, H, W)
    return _complete(month, daily[_asked(month, day)].mean(0), day)


def linear_in_time(month: Month, day=None) -> np.ndarray:
    """Anomalies of each cell joined by straight lines in time, held constant at both ends."""
    anomaly = month.anomaly
    seen = np.isfinite(anomaly)
    T = len(anomaly)
    days = np.arange(T)[:, None, None]
    before = np.maximum.accumulate(np.where(seen, days, -1), 0)  # last seen day, -1 = none yet
    after = np.minimum.accumulate(np.where(seen, days, T)[::-1], 0)[::-1]  # next one, T = none
    before, after = np.where(before < 0, after, before), np.where(after == T, before, after)
    left = np.take_along_axis(anomaly, before.clip(0, T - 1), 0)
    right = np.take_along_axis(anomaly, after.clip(0, T - 1), 0)
    filled = left + (right - left) * (days - before) / np.maximum(after - before, 1)
    filled = filled[_asked(month, day)].mean(0)
    filled = np.where(seen.any(0), filled, _mean_of_seen(anomaly, 0.0))
    return _complete(month, filled, day)


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
    month: Month, covariance=Covariance(), max_observations=MAX_OBSERVATIONS, day=None, error=None
) -> np.ndarray:
    """Best linear estimate of the month mean, given the covariance of anomalies and the noise.

    Solves (C + noise I) a = anomalies by Cholesky in float64 and multiplies by the covariance of
    each cell's *month mean* with each observation, so no daily map is ever made (Bretherton,
    Davis & Fandry 1976), or by that of one day where it is asked for. Time grows with the cube of
    the number of observations, memory with its square: more than `max_observations` (3.2 GB at
    20000) is a ValueError. error: (T, H, W) K, standard deviation of each observation where it is
    known (`sst_error` of `open_sst`), in the place of the covariance's own noise; NaN = not known.
    """
    anomaly, asked = month.anomaly, _asked(month, day)
    seen, row, col = np.nonzero(np.isfinite(anomaly))  # sorted by day
    if len(seen) == 0:
        return _complete(month, 0.0, day)
    cells, index = _cells(row, col)
    noise = covariance.noise_variance if error is None else _noise(month, error, covariance)
    factor = _factor(seen, cells, index, covariance, max_observations, noise)
    weight = _solved(factor, torch.from_numpy(anomaly[seen, row, col].astype(float))).numpy()
    mean = _mean_of_weighted(month.ocean.shape, asked, seen, cells, index, weight, covariance)
    return _complete(month, mean, day)


def with_month_mean(month: Month, method=optimal_interpolation, **parameters) -> np.ndarray:
    """A method around the prior shifted by the mean of all anomalies seen in the month."""
    seen = month.observed
    shift = np.mean(month.anomaly, where=seen) if seen.any() else 0.0
    given = {"name": month.name, "quantity": month.quantity}
    shifted = Month(month.sst, month.ocean, month.prior + shift, **given)
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


def _noise(month, error, covariance):
    """Noise variance (n,) K^2 of the observations of a month, sorted by day."""
    error = np.asarray(error)
    if error.shape != month.sst.shape:
        raise ValueError(f"error must have shape {month.sst.shape}, got {error.shape}")
    square = np.square(error[month.observed], dtype=float)
    return np.where(square > 0, square, covariance.noise_variance)  # NaN is not above 0


def _factor(day, cells, index, covariance, max_observations, noise=None):
    """Upper Cholesky factor (n, n) of the covariance of all observations, noise included: that of
    the covariance, or `noise` K^2, one number or one (n,) for each."""
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
    matrix.flat[:: n + 1] += covariance.noise_variance if noise is None else noise
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
    factor = torch.as_tensor(matrix).mT  # (n, n), upper triangle, column-major
    torch.linalg.cholesky(factor, upper=True, out=factor)
    return factor


def _solved(factor, observed):
    """(C + noise I)^-1 times the observations (n,), from the upper factor of C + noise I."""
    weight = torch.linalg.solve_triangular(factor.mT, observed[:, None], upper=False)
    return torch.linalg.solve_triangular(factor, weight, upper=True)[:, 0]


def _mean_of_weighted(shape, asked, day, cells, index, weight, covariance):
    """Mean (H, W) over the days that are asked for, from the weights of the observations.

    Both terms of the covariance are space times time, so the mean over days acts on the time
    factor alone, and the observations of one cell add up before the map is made.
    """
    H, W = shape
    lag = np.abs(asked[:, None] - day)  # (asked, n)
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
    device: where the systems are solved.
    """

    patterns: np.ndarray
    memory: np.ndarray
    rest: np.ndarray
    offset: float = 0.36
    device: str = "cpu"

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

    @classmethod
    def of_formula(cls, covariance: Covariance, ocean, K=300) -> "MeasuredCovariance":
        """The patterns of a formula on an ocean (H, W) bool, K of each of its two terms: so it can
        be used with `superob` and `nearest`. Its noise is not taken over."""
        row, col = np.nonzero(ocean)
        apart = np.hypot(row[:, None] - row, col[:, None] - col)  # (cells, cells)
        patterns, memory, rest = [], [], np.zeros(len(row))
        factors = covariance.time(np.arange(31.0))
        for space, time in zip(covariance.space(apart), factors, strict=True):
            variance, vectors = np.linalg.eigh(space)
            some = vectors[:, -K:] * np.maximum(variance[-K:], 0.0) ** 0.5
            patterns.append(some)
            memory.append(np.tile(time, (some.shape[1], 1)))
            rest += np.maximum(space.diagonal() - (some**2).sum(1), 0.0)
        return cls(np.hstack(patterns), np.vstack(memory), rest, offset=0.0)

    def interpolate(
        self,
        month: Month,
        noise_variance=0.09,
        max_observations=MAX_OBSERVATIONS,
        superob=1,
        nearest=None,
        day=None,
    ) -> np.ndarray:
        """Best linear estimate of the month mean, as `optimal_interpolation` makes it, or of one
        day (counted from 0).

        The ocean must be that of the maps that were measured, or part of a box that was measured
        in all its cells. Two ways to make it small, as is done where there are many observations:
        superob: those of a day in each box of so many cells a side become one, their mean.
        nearest: each cell of a day is estimated from so many of them, those that alone tell most
        of it. The month is then the mean of its days, 31 times the work; those that tell most of
        the month lie together in its middle (on a moving sea 50 of them had 0.313 K, the mean of
        days 0.217 K, all at once 0.205 K).
        """
        small = {"superob": superob, "nearest": nearest}
        return self.estimates(month, (day,), noise_variance, max_observations, **small)[0]

    def estimates(
        self,
        month: Month,
        days,
        noise_variance=0.09,
        max_observations=MAX_OBSERVATIONS,
        superob=1,
        nearest=None,
    ) -> list[np.ndarray]:
        """`interpolate` for each of `days` (None = the month mean); the system is solved once."""
        patterns, rest = self._of_ocean(month.ocean)
        asked = [_asked(month, day) for day in days]
        seen, *found = observations_of(month, patterns, noise_variance + rest, superob)
        if len(seen) == 0:
            return [_complete(month, 0.0, day) for day in days]
        _few_enough(len(seen), max_observations)
        value, rows, noise, patterns, memory = (
            torch.as_tensor(x, dtype=torch.float64, device=self.device)
            for x in (*found, patterns, self.memory)
        )
        matrix = self.between(seen, rows, memory)  # (n, n), lower triangle
        matrix.diagonal().add_(noise)
        weight = _solved(_cholesky(matrix), value) if nearest is None else None
        maps = []
        for day, wanted in zip(days, asked, strict=True):
            lag = np.abs(wanted[:, None] - np.arange(len(month.sst)))  # (days asked for, T)
            if nearest is None:
                known = memory[:, lag].mean(1)[:, seen]  # (K, n)
                mean = patterns @ ((rows.T * known) @ weight) + self.offset * weight.sum()
            else:
                mean = 0.0
                for of_day in lag:
                    covariance = patterns @ (rows.T * memory[:, of_day[seen]]) + self.offset
                    mean = mean + _from_the_nearest(covariance, matrix, value, nearest) / len(lag)
            anomaly = np.zeros(month.ocean.shape)
            anomaly[month.ocean] = mean.cpu().numpy()
            maps.append(_complete(month, anomaly, day))
        return maps

    def posterior(
        self, month: Month, days, noise_variance=0.09, max_observations=MAX_OBSERVATIONS
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """`estimates` with the standard deviation (H, W) in K of the error of each, NaN on land.

        It follows from where and when the sea was seen, not from the values, and is right as far as
        the covariance and the noise are; see `expected_error` for the same of a formula. Patterns
        beyond the K that were kept are new on every day, as `estimates` takes them.
        """
        patterns, rest = self._of_ocean(month.ocean)
        seen, *found = observations_of(month, patterns, noise_variance + rest)
        _few_enough(len(seen), max_observations)
        value, rows, noise, patterns, rest, memory = (
            torch.as_tensor(x, dtype=torch.float64, device=self.device)
            for x in (*found, patterns, rest, self.memory)
        )
        if len(seen):
            matrix = self.between(seen, rows, memory)  # (n, n), lower triangle
            matrix.diagonal().add_(noise)
            factor = _cholesky(matrix)
            weight = _solved(factor, value)
        answers = []
        for day in days:
            asked = _asked(month, day)
            lags = memory[:, np.abs(asked[:, None] - asked)].mean((1, 2))  # (K,)
            variance = patterns.square() @ lags + self.offset + rest / len(asked)  # (cells,)
            mean = torch.zeros_like(variance)
            if len(seen):
                lag = np.abs(asked[:, None] - np.arange(len(month.sst)))  # (days asked for, T)
                known = memory[:, lag].mean(1)[:, seen]  # (K, n)
                shared = patterns @ (rows.T * known) + self.offset  # (cells, n)
                mean = shared @ weight
                white = torch.linalg.solve_triangular(factor.mT, shared.T, upper=False)
                variance = variance - white.square().sum(0)
            maps = np.zeros((2, *month.ocean.shape))
            maps[:, month.ocean] = torch.stack([mean, variance.clamp_min(0.0).sqrt()]).cpu()
            sd = np.where(month.ocean, maps[1], np.nan)
            answers.append((_complete(month, maps[0], day), sd))
        return answers

    def _of_ocean(self, ocean):
        """Patterns and rest of the ocean cells."""
        known, cells = len(self.patterns), int(ocean.sum())
        if known == cells:
            return self.patterns, self.rest
        if known == ocean.size:
            return self.patterns[ocean.ravel()], self.rest[ocean.ravel()]
        raise ValueError(f"the month has {cells} ocean cells, the patterns have {known}")

    def between(self, seen, rows, memory):
        """Covariance (n, n) of the observations without noise, its lower triangle; they are sorted
        by day."""
        matrix = rows.new_zeros(len(seen), len(seen))
        days = {d: slice(*np.searchsorted(seen, (d, d + 1))) for d in np.unique(seen)}
        for d, here in days.items():
            for e, there in days.items():
                if e <= d:
                    left = rows[here] * memory[:, d - e]
                    matrix[here, there] = left @ rows[there].T + self.offset
        return matrix


def observations_of(month, patterns, noise, superob=1):
    """Days (n,), anomalies (n,), patterns (n, K) and noise (n,) of what was seen, sorted by day.

    noise: (cells,) K^2 of an observation of each cell. superob: see `interpolate`.
    """
    day, row, col = np.nonzero(month.observed)
    number = np.cumsum(month.ocean.ravel()).reshape(month.ocean.shape) - 1  # of each ocean cell
    value, cell = month.anomaly[day, row, col].astype(float), number[row, col]
    if superob == 1 or len(day) == 0:
        return day, value, patterns[cell], noise[cell]
    box = np.stack([day, row // superob, col // superob], 1)
    box, index, count = np.unique(box, axis=0, return_inverse=True, return_counts=True)
    order = np.argsort(index.reshape(len(day)), kind="stable")
    starts = np.cumsum(count) - count

    def mean(x):
        return (np.add.reduceat(x[order], starts).T / count).T

    # Their errors are independent, so that of the mean shrinks with the number.
    return box[:, 0], mean(value), mean(patterns[cell]), mean(noise[cell]) / count


def _from_the_nearest(covariance, matrix, value, nearest):
    """Estimate (cells,) of each cell from those observations that alone would tell most of it.

    covariance: (cells, n) of cells and observations. matrix: (n, n) of the observations with their
    noise, lower triangle. value: (n,).
    """
    told = covariance.square() / matrix.diagonal()  # variance that one observation explains
    nearest = told.topk(min(nearest, len(value)), dim=1).indices  # (cells, few)
    estimate = []
    for some, shared in zip(nearest.split(64), covariance.split(64), strict=True):
        one, other = some[:, :, None], some[:, None, :]
        system = matrix[torch.maximum(one, other), torch.minimum(one, other)]  # (64, few, few)
        factor = torch.linalg.cholesky(system)
        weight = torch.cholesky_solve(value[some][..., None], factor)[..., 0]
        estimate.append((shared.gather(1, some) * weight).sum(1))
    return torch.cat(estimate)


# ---------------------------------------------------------------- DINEOF


def _fill_with_eofs(matrix, seen, rank, smooth=None, tolerance=1e-3, max_iterations=100):
    """Replace unseen entries by those of the matrix's own rank-`rank` SVD, until they settle.

    matrix: (cells, T). The leading right singular vectors come from its small Gram matrix, which
    `smooth` (T, T) may smooth in time.
    """
    n = matrix.shape[1]
    scale = matrix[seen].std()
    for _ in range(max_iterations):
        gram = matrix.T @ matrix
        if smooth is not None:
            gram = smooth @ gram @ smooth.T
        leading = scipy.linalg.eigh(gram, subset_by_index=[n - rank, n - 1])[1]  # (n, rank)
        filled = np.where(seen, matrix, (matrix @ leading) @ leading.T)
        change = np.sqrt(np.mean((filled - matrix) ** 2))
        matrix = filled
        if change <= tolerance * scale:
            break
    return matrix


def _chosen_rank(matrix, seen, held_out, max_rank, smooth=None, patience=2):
    """Rank (0 = no EOF at all) with the smallest error on the held-out observations.

    Stops once `patience` ranks in a row did not improve on the best.
    """
    truth = matrix[held_out]
    trial = np.where(held_out, 0.0, matrix)
    errors = [np.sqrt(np.mean(truth**2))]
    for rank in range(1, max_rank + 1):
        trial = _fill_with_eofs(trial, seen & ~held_out, rank, smooth)  # from the rank before
        errors.append(np.sqrt(np.mean((trial[held_out] - truth) ** 2)))
        if rank - np.argmin(errors) >= patience:
            break
    return int(np.argmin(errors))


def _filled_by_dineof(anomaly, max_rank, held_out, seed, smooth=None):
    """Anomalies (T, cells) K without their gaps, see `dineof`."""
    if not 0 < held_out < 1:
        raise ValueError(f"held_out must be a share between 0 and 1, got {held_out}")
    matrix = anomaly.T.astype(float)  # (cells, T)
    seen = np.isfinite(matrix)
    offset = matrix[seen].mean() if seen.any() else 0.0
    matrix = np.where(seen, matrix - offset, 0.0)
    aside = seen & (np.random.default_rng(seed).random(seen.shape) < held_out)
    if aside.any() and (seen & ~aside).any():
        max_rank = min(max_rank, min(matrix.shape) - 1)
        for rank in range(1, _chosen_rank(matrix, seen, aside, max_rank, smooth) + 1):
            matrix = _fill_with_eofs(matrix, seen, rank, smooth)
    return offset + matrix.T


def dineof(month: Month, max_rank=8, held_out=0.05, seed=0, day=None) -> np.ndarray:
    """DINEOF: the gaps of the month's anomalies filled by an iterated truncated SVD.

    Gaps start at the mean anomaly. The rank, 0 to `max_rank`, is the one that best predicts a
    random share `held_out` of the observations, put aside; then the fill is repeated with all of
    them (Beckers & Rixen 2003). One month is few images for an EOF method, yet filling
    2011-2012 in one piece was worse. The same `seed` gives the same result.
    """
    filled = _filled_by_dineof(month.anomaly[:, month.ocean], max_rank, held_out, seed)
    mean = np.zeros(month.ocean.shape)
    mean[month.ocean] = filled[_asked(month, day)].mean(0)
    return _complete(month, mean, day)


def dineof_of_series(
    anomaly, ocean, max_rank=30, held_out=0.05, seed=0, smooth_days=0.5
) -> np.ndarray:
    """DINEOF as it is mostly used: (T, H, W) K without gaps over the ocean, of a whole series.

    anomaly: (T, H, W) K of consecutive days, NaN = gap. ocean: (H, W) bool. As `dineof`, but its
    modes are smoothed in time, here by a Gaussian of `smooth_days` (0 = not), so that a day that
    saw little borrows from its neighbours (Alvera-Azcarate et al. 2009). In a summer off
    Alboran 0, 0.5, 1 and 2 days had 0.69, 0.56, 0.61 and 0.69 K below clouds that were moved.
    """
    smooth = None
    if smooth_days > 0:
        days = np.arange(len(anomaly))
        smooth = np.exp(-0.5 * ((days[:, None] - days) / smooth_days) ** 2)  # (T, T)
        smooth /= smooth.sum(1, keepdims=True)
    filled = np.full(anomaly.shape, np.nan)
    filled[:, ocean] = _filled_by_dineof(anomaly[:, ocean], max_rank, held_out, seed, smooth)
    return filled


BASELINES = {
    "climatology": climatology_mean,
    "mean of days": mean_of_days,
    "mean anomaly": mean_anomaly,
    "linear in time": linear_in_time,
    "gaussian": gaussian,
    "optimal interpolation": optimal_interpolation,
    "dineof": dineof,
}
