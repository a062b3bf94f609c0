"""Classical rivals of the network: one month of gappy daily maps in, its mean map out.

Every rival is a function `f(sst, ocean_mask, climatology=None, **parameters) -> (H, W)`:

* `sst` (T, H, W) degC, NaN where cloud or land hides the sea, 1 to 31 days;
* `ocean_mask` (H, W) bool, True = ocean; values seen on land are ignored;
* `climatology` (T, H, W) degC of the same days, or None: then `background`, a smooth mean made
  from the month's own observations, stands in for it;
* the result is the mean of all T days in degC, finite on every ocean cell, NaN on land.

Chapter: *Baselines you must beat*.
"""

import numpy as np
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
        # A Gaussian is separable: three dense products, each over one axis, beat one 3-D window.
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


def _check(sst, ocean_mask, climatology):
    """Return the three arrays with land set to NaN in `sst`, or raise ValueError."""
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
    sst, ocean_mask, climatology = _check(sst, ocean_mask, climatology)
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


def background(sst, ocean_mask, block=4, prior_count=10.0):
    """Prior mean of a month from its own observations, where there is no climatology.

    A smooth map (nothing finer than `block` cells) constant over the month; a second pass leaves
    out what lies more than 4 robust standard deviations from the first. It follows gradients as
    wide as the globe, at a cost linear in the number of cells.

    sst: (T, H, W) degC, NaN = gap. ocean_mask: (H, W) bool. Returns (T, H, W) degC (a read-only
    view of one map), finite everywhere, land included. One observation gives a constant map; none
    gives `EMPTY_MONTH_DEGC` everywhere: the caller should warn, nothing is known of such a month.
    """
    sst, ocean_mask, _ = _check(sst, ocean_mask, None)
    seen = np.isfinite(sst)
    if not seen.any():
        return np.broadcast_to(np.float32(EMPTY_MONTH_DEGC), sst.shape)
    offset = np.float32(np.mean(sst, where=seen, dtype=float))  # keeps float32 sums exact
    sst = sst - offset
    keep = seen
    for _ in range(2):
        total = torch.from_numpy(np.sum(sst, 0, where=keep, dtype=np.float32))
        count = torch.from_numpy(np.sum(keep, 0, dtype=np.float32))
        smooth = _smooth_mean(total, count, block, prior_count).numpy()
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
    sst, ocean_mask, climatology = _check(sst, ocean_mask, climatology)
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
