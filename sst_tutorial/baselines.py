"""Classical rivals of the network: one month of gappy daily maps in, its mean map out.

Every rival is a function `f(sst, ocean_mask, climatology=None, **parameters) -> (H, W)`:

* `sst` (T, H, W) degC, NaN where cloud or land hides the sea, 1 to 31 days;
* `ocean_mask` (H, W) bool, True = ocean; values seen on land are ignored;
* `climatology` (T, H, W) degC of the same days, or None: then `background`, a smooth mean made
  from the month's own observations, stands in for it;
* the result is the mean of all T days in degC, finite on every ocean cell, NaN on land.

Chapter: *Baselines you must beat*.
"""

from dataclasses import dataclass

import numpy as np
import scipy.linalg
import scipy.optimize
import torch
import torch.nn.functional as F

# Global mean SST: what `background` falls back on when a month holds no observation at all.
EMPTY_MONTH_DEGC = 18.0
# A Gaussian count below this is "nothing near": the ratio would be decided by rounding.
TINY_COUNT = 1e-6


# ---------------------------------------------------------------- the torch core


def _gaussian_matrix(n: int, sigma: float, like: torch.Tensor) -> torch.Tensor:
    """Weights exp(-(i - j)^2 / 2 sigma^2) between the n positions of one axis, (n, n)."""
    position = torch.arange(n, device=like.device, dtype=like.dtype)
    return torch.exp(-0.5 * ((position[:, None] - position[None, :]) / sigma) ** 2)


def normalised_convolution(values, observed, cells, days):
    """Gaussian mean of what was observed around each cell and day.

    Divides the Gaussian sum of the values by the Gaussian count of the observations, so gaps
    have no weight (Knutsson & Westin 1993). Differentiable in `values`; sums are taken in float32
    even under autocast. Outside the box counts as not observed.

    values: (B, T, H, W), anything (NaN too) where not observed. observed: same shape, True = seen.
    cells, days: standard deviations of the Gaussian along H and W, and along T.
    Returns (mean, count), both (B, T, H, W); mean is 0 where count is below `TINY_COUNT`.
    """
    if values.ndim != 4 or values.shape != observed.shape:
        raise ValueError(
            "values and observed must share one shape (B, T, H, W), got "
            f"{tuple(values.shape)} and {tuple(observed.shape)}"
        )
    if cells <= 0 or days <= 0:
        raise ValueError(f"cells and days must be positive, got {cells} and {days}")
    B, T, H, W = values.shape
    with torch.autocast(values.device.type, enabled=False):
        seen = observed.bool()
        values = values.to(torch.promote_types(values.dtype, torch.float32))
        values = torch.where(seen, values, 0.0)  # not `values * seen`: NaN * 0 is NaN
        sums = torch.cat([values, seen.to(values.dtype)])  # (2B, T, H, W)
        # A Gaussian is separable: one product with a dense matrix per axis. On a CPU that is
        # faster than 1-D convolutions (720 x 1440 map: 2 s against 10 s) and has no cut-off.
        sums = sums @ _gaussian_matrix(W, cells, sums)  # over W
        sums = _gaussian_matrix(H, cells, sums) @ sums  # over H
        sums = _gaussian_matrix(T, days, sums) @ sums.flatten(2)  # (2B, T, HW), over T
        total, count = sums.view(2, B, T, H, W)
        near = count > TINY_COUNT
        mean = torch.where(near, total / count.clamp(min=TINY_COUNT), 0.0)
    return mean, count


def gaussian_mean(anomaly, observed, cells=1.2, days=3.0, days_mask=None):
    """Month mean of the space-time Gaussian of anomalies, batched, on any device.

    anomaly: (B, T, H, W) K, anything where not observed. observed: same shape, True = seen.
    cells, days: standard deviations (the defaults were chosen on 2011-2012 off Tasmania).
    days_mask: (B, T), True = this day does not exist, or None. Returns (B, H, W) K; where nothing
    is near, Gaussians 4 and 16 times wider answer, and at last the mean of all that was seen.
    """
    seen = observed.bool()
    total = torch.where(seen, anomaly, 0.0).sum((1, 2, 3), dtype=torch.float32)
    fallback = total / seen.sum((1, 2, 3)).clamp(min=1)
    filled = fallback[:, None, None, None]
    for widen in (16, 4, 1):
        mean, count = normalised_convolution(anomaly, seen, cells * widen, days * widen)
        filled = torch.where(count > TINY_COUNT, mean, filled)  # (B, T, H, W)
    if days_mask is None:
        return filled.mean(1)
    exists = (~days_mask)[:, :, None, None]
    return (filled * exists).sum(1) / exists.sum(1).clamp(min=1)


# ---------------------------------------------------------------- checks and the prior mean


def checked_month(sst, ocean_mask, climatology):
    """The three arrays, land and infinities NaN in `sst`; ValueError where they do not fit."""
    sst, ocean_mask = np.asarray(sst), np.asarray(ocean_mask)
    if sst.ndim != 3 or sst.shape[0] == 0:
        raise ValueError(f"sst must be (T, H, W) with at least one day, got shape {sst.shape}")
    if ocean_mask.shape != sst.shape[1:] or ocean_mask.dtype != bool:
        raise ValueError(
            f"ocean_mask must be bool of shape {sst.shape[1:]}, True = ocean, "
            f"got {ocean_mask.dtype} {ocean_mask.shape}"
        )
    sst = np.where(ocean_mask & np.isfinite(sst), sst, np.nan)
    warmest = np.nanmax(sst, initial=-np.inf)
    if warmest > 100:
        raise ValueError(f"sst must be in degC, got a value of {warmest:.1f}: subtract 273.15")
    if climatology is not None:
        climatology = np.asarray(climatology)
        if climatology.shape != sst.shape or not np.isfinite(climatology[:, ocean_mask]).all():
            raise ValueError(
                f"climatology must have shape {sst.shape} and be finite over ocean, got shape "
                f"{climatology.shape}: give the climatology of the same days and cells, or None"
            )
    return sst, ocean_mask, climatology


def _anomaly(sst, ocean_mask, climatology):
    """Checked (anomaly (T, H, W) K, prior month mean (H, W) degC, ocean_mask)."""
    sst, ocean_mask, climatology = checked_month(sst, ocean_mask, climatology)
    if climatology is None:
        climatology = background(sst, ocean_mask)
    return sst - climatology, climatology.mean(0), ocean_mask


def _coarsen(x: torch.Tensor) -> torch.Tensor:
    """Sums over 2 x 2 blocks: (C, H, W) -> (C, ceil(H/2), ceil(W/2))."""
    x = F.pad(x, (0, x.shape[-1] % 2, 0, x.shape[-2] % 2))
    return 4 * F.avg_pool2d(x[None], 2)[0]


def _smooth_mean(total, count, block, prior_count):
    """Smooth mean map (H, W) from sums and counts of observations (H, W) each.

    Coarsens until one block holds all, then comes back: each block is the average of its own
    observations and of its parent, which weighs as much as `prior_count` observations. Empty
    blocks so inherit from wider and wider surroundings. Cost is linear in the number of cells.
    """
    levels = [torch.stack([total, count])]  # (2, H, W), then half, a quarter ...
    while max(levels[-1].shape[1:]) > 1:
        levels.append(_coarsen(levels[-1]))
    total, count = levels[-1]
    mean = total / count.clamp(min=1)
    finest = min(int(np.log2(block)), len(levels) - 1)
    for total, count in reversed(levels[finest:-1]):
        mean = F.interpolate(mean[None, None], scale_factor=2.0, mode="bilinear")[0, 0]
        mean = mean[: total.shape[0], : total.shape[1]]  # drop the padding of an odd size
        mean = (total + prior_count * mean) / (count + prior_count)
    mean = F.interpolate(mean[None, None], scale_factor=2.0**finest, mode="bilinear")[0, 0]
    H, W = levels[0].shape[1:]
    return mean[:H, :W]


def background(sst, ocean_mask, block=4, prior_count=20.0):
    """Prior mean of a month from its own observations, where there is no climatology.

    A smooth map (nothing finer than `block` cells) constant over the month; a second pass leaves
    out what lies more than 4 robust standard deviations from the first. It follows gradients as
    wide as the globe, at a cost linear in the number of cells. `prior_count` (see `_smooth_mean`)
    and `block` were chosen on 2011-2012 off Tasmania; a trend in time gained 0.003 K there.

    sst: (T, H, W) degC, NaN = gap. ocean_mask: (H, W) bool. Returns (T, H, W) degC (a read-only
    view of one map), finite everywhere, land included. One observation gives a constant map; none
    gives `EMPTY_MONTH_DEGC` everywhere: the caller should warn, nothing is known of such a month.
    """
    sst, ocean_mask, _ = checked_month(sst, ocean_mask, None)
    seen = np.isfinite(sst)
    if not seen.any():
        return np.broadcast_to(np.float32(EMPTY_MONTH_DEGC), sst.shape)
    offset = np.float32(np.mean(sst, where=seen, dtype=float))  # keeps float32 sums exact
    sst = (sst - offset).astype(np.float32)
    keep = seen
    for _ in range(2):
        total = torch.from_numpy(np.sum(sst, 0, where=keep))
        count = torch.from_numpy(np.sum(keep, 0, dtype=np.float32))
        smooth = _smooth_mean(total, count, block, prior_count)
        # Smoothing flattens a gradient; smoothing the rest gives it back (Tukey's twicing).
        smooth += _smooth_mean(total - count * smooth, count, block, prior_count)
        smooth = smooth.numpy()
        distance = np.abs(sst - smooth)
        spread = 1.4826 * np.median(distance[seen])
        keep = seen & (distance <= 4 * max(spread, 0.1))
    return np.broadcast_to(offset + smooth, sst.shape)


# ---------------------------------------------------------------- the rivals


def climatology_mean(sst, ocean_mask, climatology=None):
    """The mean of the climatology: what is known before looking. Shapes and units as above."""
    _, prior, ocean_mask = _anomaly(sst, ocean_mask, climatology)
    return np.where(ocean_mask, prior, np.nan)


def _mean_of_seen(x, when_empty):
    """Mean over days of what is not NaN, (H, W); never-seen cells take the mean of all seen."""
    seen = np.isfinite(x)
    count = seen.sum(0)
    overall = np.mean(x, where=seen) if seen.any() else when_empty
    total = np.sum(x, 0, where=seen)
    return np.where(count > 0, total / np.maximum(count, 1), overall)


def mean_of_days(sst, ocean_mask, climatology=None):
    """Mean of the days on which each cell was seen; `climatology` serves an empty month only."""
    sst, ocean_mask, climatology = checked_month(sst, ocean_mask, climatology)
    empty = EMPTY_MONTH_DEGC if climatology is None else climatology.mean(0)
    return np.where(ocean_mask, _mean_of_seen(sst, empty), np.nan)


def mean_anomaly(sst, ocean_mask, climatology=None):
    """Climatology plus the mean anomaly of the seen days: the season no longer biases the mean."""
    anomaly, prior, ocean_mask = _anomaly(sst, ocean_mask, climatology)
    return np.where(ocean_mask, prior + _mean_of_seen(anomaly, 0.0), np.nan)


def gaussian(sst, ocean_mask, climatology=None, cells=1.2, days=3.0):
    """Space-time Gaussian of anomalies, averaged over the month; see `gaussian_mean`."""
    anomaly, prior, ocean_mask = _anomaly(sst, ocean_mask, climatology)
    x = torch.from_numpy(anomaly.astype(np.float32))[None]  # (1, T, H, W)
    mean = gaussian_mean(x, torch.isfinite(x), cells, days)[0].numpy()
    return np.where(ocean_mask, prior + mean, np.nan)


def linear_in_time(sst, ocean_mask, climatology=None):
    """Anomalies of each cell joined by straight lines in time, held constant at both ends."""
    anomaly, prior, ocean_mask = _anomaly(sst, ocean_mask, climatology)
    seen = np.isfinite(anomaly)
    T = len(anomaly)
    day = np.arange(T)[:, None, None]
    before = np.maximum.accumulate(np.where(seen, day, -1), 0)  # last seen day, -1 = none yet
    after = np.minimum.accumulate(np.where(seen, day, T)[::-1], 0)[::-1]  # next one, T = none
    before, after = np.where(before < 0, after, before), np.where(after == T, before, after)
    left = np.take_along_axis(anomaly, before.clip(0, T - 1), 0)
    right = np.take_along_axis(anomaly, after.clip(0, T - 1), 0)
    filled = left + (right - left) * (day - before) / np.maximum(after - before, 1)
    mean = np.where(seen.any(0), filled.mean(0), _mean_of_seen(anomaly, 0.0))
    return np.where(ocean_mask, prior + mean, np.nan)


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
    sst, ocean_mask, climatology=None, covariance=Covariance(), max_observations=20_000
):
    """Best linear estimate of the month mean, given the covariance of anomalies and the noise.

    Solves (C + noise I) a = anomalies by Cholesky in float64 and multiplies by the covariance of
    each cell's *month mean* with each observation, so no daily map is ever made (Bretherton,
    Davis & Fandry 1976). Time grows with the cube of the number of observations, memory with its
    square: more than `max_observations` (3.2 GB at 20000) is a ValueError.
    """
    anomaly, prior, ocean_mask = _anomaly(sst, ocean_mask, climatology)
    day, row, col = np.nonzero(np.isfinite(anomaly))  # sorted by day
    if len(day) == 0:
        return np.where(ocean_mask, prior, np.nan)
    cells, index = _cells(row, col)
    factor = _factor(day, cells, index, covariance, max_observations)
    observed = torch.from_numpy(anomaly[day, row, col].astype(float))[:, None]  # (n, 1)
    weight = torch.linalg.solve_triangular(factor.mT, observed, upper=False)
    weight = torch.linalg.solve_triangular(factor, weight, upper=True).numpy()[:, 0]
    mean = _mean_of_weighted(anomaly.shape, day, cells, index, weight, covariance)
    return np.where(ocean_mask, prior + mean, np.nan)


def expected_error(sst, ocean_mask, covariance=Covariance(), max_observations=20_000):
    """Standard deviation (H, W) in K of the error of `optimal_interpolation`, NaN on land.

    It follows from where and when the sea was seen, not from the values, and is right as far as
    the covariance and the noise are (Bretherton, Davis & Fandry 1976). sst: (T, H, W), NaN = gap.
    """
    sst, ocean_mask, _ = checked_month(sst, ocean_mask, None)
    day, row, col = np.nonzero(np.isfinite(sst))
    T, H, W = sst.shape
    days = np.arange(T)
    lags = covariance.time(np.abs(days[:, None] - days))
    prior = sum(v * f.mean() for v, f in zip(covariance.space(0.0), lags, strict=True))
    if len(day) == 0:
        return np.where(ocean_mask, np.sqrt(prior), np.nan)
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
    return np.where(ocean_mask, np.sqrt(np.maximum(variance, 0.0)), np.nan)


def _cells(row, col):
    """Distinct cells (cells, 2) of the observations, and the cell (n,) of each of them."""
    cells, index = np.unique(np.stack([row, col], 1), axis=0, return_inverse=True)
    return cells, index.reshape(len(row))


def _factor(day, cells, index, covariance, max_observations):
    """Upper Cholesky factor (n, n) of the covariance of all observations, noise included."""
    n = len(day)
    if n > max_observations:
        raise ValueError(
            f"sst holds {n} observations, more than max_observations={max_observations}: "
            "cut the region into smaller tiles, or use gaussian"
        )
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
    # torch's Cholesky, in place: scipy's, on two threads, has crashed on matrices of 1.5 GB.
    factor = torch.from_numpy(matrix).mT  # (n, n), upper triangle, column-major
    torch.linalg.cholesky(factor, upper=True, out=factor)
    return factor


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


def dineof(sst, ocean_mask, climatology=None, max_rank=8, held_out=0.05, seed=0):
    """DINEOF: the gaps of the month's anomalies filled by an iterated truncated SVD.

    Gaps start at the mean anomaly. The rank, 0 to `max_rank`, is the one that best predicts a
    random share `held_out` of the observations, put aside; then the fill is repeated with all of
    them (Beckers & Rixen 2003). One month is few images for an EOF method, yet filling
    2011-2012 in one piece was worse. The same `seed` gives the same result.
    """
    if not 0 < held_out < 1:
        raise ValueError(f"held_out must be a share between 0 and 1, got {held_out}")
    anomaly, prior, ocean_mask = _anomaly(sst, ocean_mask, climatology)
    matrix = anomaly[:, ocean_mask].T.astype(float)  # (cells, T)
    seen = np.isfinite(matrix)
    offset = matrix[seen].mean() if seen.any() else 0.0
    matrix = np.where(seen, matrix - offset, 0.0)
    aside = seen & (np.random.default_rng(seed).random(seen.shape) < held_out)
    if aside.any() and (seen & ~aside).any():
        max_rank = min(max_rank, min(matrix.shape) - 1)
        for rank in range(1, _chosen_rank(matrix, seen, aside, max_rank) + 1):
            matrix = _fill_with_eofs(matrix, seen, rank)
    month = np.full(ocean_mask.shape, np.nan)
    month[ocean_mask] = prior[ocean_mask] + offset + matrix.mean(1)
    return month


BASELINES = {
    "climatology": climatology_mean,
    "mean of days": mean_of_days,
    "mean anomaly": mean_anomaly,
    "linear in time": linear_in_time,
    "gaussian": gaussian,
    "optimal interpolation": optimal_interpolation,
    "dineof": dineof,
}
