"""The first guess of a month: from observations alone to an analysis a network can start from.

Both classes here fill one slot of `networks.Estimator`. Each reads a month once (`read`) and can
then be asked for the mean of any of its days (`answer`, a `FirstGuess`); called, it does both:

- `GaussianMean` divides a Gaussian sum of the observations by their Gaussian count; nothing in it
  is learned;
- `SuccessiveCorrections` does that a dozen times, coarse to fine, with widths that are learned.
  Off Tasmania it is worth most of what the whole estimator gains (chapter *The full GPU run*).
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# A Gaussian count below this is "nothing near": the ratio would be decided by rounding.
TINY_COUNT = 1e-6
LEAST_TRUST, MOST_TRUST = 0.25, 2.0  # of an observation whose product tells its error


class Reading(NamedTuple):
    """What no question changes, in the units of the input.

    daily (B, T, H, W); channels (B, C, T, H, W) that a network may read, and known (same shape,
    bool) where each of them says something; observed (B, T, H, W) and ocean (B, H, W) as they came
    in; increments and counts, of every correction if there are any, each (B, T, H, W).
    """

    daily: Tensor
    channels: Tensor
    known: Tensor
    observed: Tensor
    ocean: Tensor
    increments: list[Tensor]
    counts: list[Tensor]


class FirstGuess(NamedTuple):
    """What a first guess hands on, in the units of its input.

    mean (B, H, W) of the days that are wanted, land 0; daily, channels and known as in `Reading`;
    maps (B, S, H, W), what is known of each pixel in those days, land 0; S may be 0.
    """

    mean: Tensor
    daily: Tensor
    channels: Tensor
    known: Tensor
    maps: Tensor


def month_mean(daily: Tensor, wanted: Tensor) -> Tensor:
    """Mean over some days (B, T) bool: (B, T, H, W) -> (B, H, W); 0 when there is none.

    One month may be asked several questions at once: (1, T, H, W) and (Q, T) -> (Q, H, W).
    """
    days = wanted.to(daily.dtype)
    weights = days / days.sum(1, keepdim=True).clamp_min(1.0)
    weights = weights.unflatten(0, (len(daily), -1))  # (B, 1, T), or (1, Q, T)
    return (weights @ daily.flatten(2)).flatten(0, 1).unflatten(1, daily.shape[2:])


# ---------------------------------------------------------------- one Gaussian


class GaussianMean(nn.Module):
    """The space-time Gaussian of the anomalies; a network then reads the anomalies themselves."""

    chans, skip_chans = 1, 0  # channels C and maps S of its FirstGuess

    def __init__(self, cells=1.2, days=3.0):
        super().__init__()
        if not (0 < cells < math.inf and 0 < days < math.inf):
            raise ValueError(f"cells and days must be positive, got {cells} and {days}")
        self.cells, self.days = cells, days

    def forward(self, x: Tensor, observed, ocean, exists, wanted=None) -> FirstGuess:
        """x (B, T, H, W) anomalies, 0 where not observed; the rest as in `months.Batch`; wanted
        (B, T) bool, True = a day of which the mean is asked, None = all that exist."""
        reading = self.read(x, observed, ocean, exists)
        return self.answer(reading, exists if wanted is None else wanted)

    def read(self, x: Tensor, observed, ocean, exists) -> Reading:
        daily = gaussian_analysis(x, observed, self.cells, self.days)  # (B, T, H, W)
        return Reading(daily, x[:, None], observed[:, None], observed, ocean, [], [])

    def answer(self, reading: Reading, wanted: Tensor) -> FirstGuess:
        """wanted (B, T), or (Q, T) of a reading of one month: then mean and maps are (Q, ...)."""
        mean = month_mean(reading.daily, wanted).masked_fill(~reading.ocean, 0.0)
        maps = mean.new_zeros(len(mean), 0, 1, 1)
        return FirstGuess(mean, *reading[:3], maps)


def gaussian_analysis(anomaly: Tensor, observed: Tensor, cells=1.2, days=3.0) -> Tensor:
    """Daily maps (B, T, H, W) of the space-time Gaussian of anomalies, batched, on any device.

    anomaly: (B, T, H, W) K, anything where not observed. observed: same shape, True = seen.
    cells, days: standard deviations (the defaults were chosen on 2011-2012 off Tasmania). Where
    nothing is near, Gaussians 4 and 16 times wider answer, and at last the mean of all seen.
    """
    seen = observed.bool()
    total = torch.where(seen, anomaly, 0.0).sum((1, 2, 3), dtype=torch.float32)
    fallback = total / seen.sum((1, 2, 3)).clamp(min=1)
    filled = fallback[:, None, None, None]
    for widen in (16, 4, 1):
        mean, count = normalised_convolution(anomaly, seen, cells * widen, days * widen)
        filled = torch.where(count > TINY_COUNT, mean, filled)  # (B, T, H, W)
    return filled


def gaussian_mean(anomaly, observed, cells=1.2, days=3.0, exists=None) -> Tensor:
    """Month mean (B, H, W) K of `gaussian_analysis`; exists (B, T) bool or None = all days."""
    daily = gaussian_analysis(anomaly, observed, cells, days)
    return daily.mean(1) if exists is None else month_mean(daily, exists)


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
        sums = sums @ _gaussian(_distances(W, sums) / cells)  # over W
        sums = _gaussian(_distances(H, sums) / cells) @ sums  # over H
        sums = _gaussian(_distances(T, sums) / days) @ sums.flatten(2)  # (2B, T, HW), over T
        total, count = sums.view(2, B, T, H, W)
        near = count > TINY_COUNT
        mean = torch.where(near, total / count.clamp(min=TINY_COUNT), 0.0)
    return mean, count


# ---------------------------------------------------------------- a dozen of them


class SuccessiveCorrections(nn.Module):
    """Explain the observations coarse to fine, each correction what the wider ones left over
    (chapter "Divide by what was seen").

    A correction spreads the misfit of the observations with a Gaussian in space and an exponential
    in time, and divides by the count of observations under the same kernel:

        analysis += gain * sum(kernel * misfit) / (sum(kernel * observed) + noise)

    Meteorology used this before optimal interpolation (Bergthorsson & Doos 1955, Cressman 1959);
    here the width, memory, noise and gain of every correction are learned, four numbers each. The
    cost does not depend on the number of observations.

    Where the product tells the `error` of each observation, misfit and count are weighed by the
    trust in it, see `_trust`. What the network reads stays the plain count, which it learned:
    weighed counts made maps of the moving sea up to 6 % worse.

    Args:
        iterations: number of corrections, at least 3.
        adapt: let a small network bend the four numbers of every correction to the month at hand,
            from its coverage, its spread and the difference between neighbours (a noise measure).
        motion: let that network also see how fast the sea changes: the differences between cells
            4 apart and between days 1 and 3 apart.
    """

    COUNTS = 3  # of the counts of observations, this many are channels: wide, middle, narrow
    uses_error = True

    def __init__(self, iterations=12, adapt=False, motion=False):
        super().__init__()
        if iterations < self.COUNTS:
            raise ValueError(f"iterations must be at least {self.COUNTS}, got {iterations}")
        self.chans, self.skip_chans = 2 + self.COUNTS, 2 * iterations + 3
        coarse_to_fine = torch.linspace(0, 1, iterations)
        self.log_cells = nn.Parameter(math.log(24.0) * (1 - coarse_to_fine))  # 24 to 1 cells
        self.log_days = nn.Parameter(math.log(15.0) - 2.0 * coarse_to_fine)  # 15 to 2 days
        self.log_noise = nn.Parameter(torch.full((iterations,), -0.5))
        self.log_gain = nn.Parameter(torch.full((iterations,), 0.4))
        self.tune, self.motion = None, motion
        if adapt:
            features = 6 if motion else 3
            self.tune = nn.Sequential(
                nn.Linear(features, 32), nn.GELU(), nn.Linear(32, 4 * iterations)
            )
            nn.init.zeros_(self.tune[2].weight)
            nn.init.zeros_(self.tune[2].bias)

    def forward(self, x: Tensor, observed, ocean, exists, wanted=None, error=None) -> FirstGuess:
        """x (B, T, H, W) anomalies, 0 where not observed; the rest as in `months.Batch`; wanted
        (B, T) bool, True = a day of which the mean is asked, None = all that exist."""
        reading = self.read(x, observed, ocean, exists, error)
        return self.answer(reading, exists if wanted is None else wanted)

    def read(self, x: Tensor, observed, ocean, exists, error=None) -> Reading:
        """The channels are misfit, analysis and three counts."""
        seen_on = ocean if self.motion else None
        analysis, increments, counts = self.analyse(x, observed, seen_on, error)
        n = len(counts)
        chosen = [counts[i].log1p() for i in (n // 3, 2 * n // 3, n - 1)]
        misfit = (x - analysis).masked_fill(~observed, 0.0)
        channels = torch.stack([misfit, analysis, *chosen], 1)  # (B, C, T, H, W)
        there = ocean[:, None] & exists[:, :, None, None]  # (B, T, H, W)
        known = torch.stack([observed] + [there] * (1 + self.COUNTS), 1)  # (B, C, T, H, W)
        return Reading(analysis, channels, known, observed, ocean, increments, counts)

    def answer(self, reading: Reading, wanted: Tensor) -> FirstGuess:
        """wanted (B, T), or (Q, T) of a reading of one month: then mean and maps are (Q, ...).

        The maps are the analysis after each correction against the last one, the last one, the
        counts, the number of observations, the mean misfit, and one for the ocean.
        """
        daily, channels, known, observed, ocean, increments, counts = reading
        mean = month_mean(daily, wanted).masked_fill(~ocean, 0.0)  # (B, H, W)
        so_far, maps = torch.zeros_like(mean), []
        for increment in increments[:-1]:
            so_far = so_far + month_mean(increment, wanted)
            maps.append(so_far - mean)
        maps.append(mean)
        maps += [month_mean(count, wanted).log1p() for count in counts]
        days, misfit = wanted[:, :, None, None], channels[:, 0]
        number = (observed & days).to(misfit.dtype).sum(1)  # (B, H, W)
        total = (misfit * days).sum(1)
        maps += [number.log1p(), total / (number + 1), torch.ones_like(number)]
        maps = torch.stack(maps, 1).masked_fill(~ocean[:, None], 0.0)  # (B, S, H, W)
        return FirstGuess(mean, daily, channels, known, maps)

    def analyse(
        self, x: Tensor, observed: Tensor, ocean: Tensor | None = None, error: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """x (B, T, H, W) anomalies, anything where not observed; observed the same shape, bool;
        ocean (B, H, W) bool, where something could be seen, None = on the whole map; error the
        shape of x, standard deviation of each observation, 0 = not told, None = of none.

        Returns the analysis (B, T, H, W), complete, and for each correction its increment and its
        count of observations, both (B, T, H, W), all in float32 at least.
        """
        days = x.shape[1]
        x = x.masked_fill(~observed, 0.0)
        x = x.to(torch.promote_types(x.dtype, torch.float32))
        # Eight days at a time: a GPU multiplies 31 x 31 matrices slower than 32 x 32 ones. A CPU
        # does not: there the padding and the copies that it brings are 6 % of the analysis.
        spare = -days % 8 if x.is_cuda else 0
        x, seen = (F.pad(a, (0, 0, 0, 0, 0, spare)) for a in (x, observed.to(x.dtype)))
        T, H, W = x.shape[1:]
        cells, memory, noise, gain = self.numbers(x, seen, ocean)  # each (n, b, 1, 1)
        noise, gain = noise[:, :, None], gain[:, :, None]  # (n, b, 1, 1, 1)
        day, row, col = (_distances(n, x) for n in (T, H, W))
        along_t = torch.exp(-day / memory)[:, :, None]  # (n, b, 1, T, T)
        along_h = _gaussian(row / cells)[:, :, None, None]  # (n, b, 1, 1, H, H)
        along_w = _gaussian(col / cells)  # (n, b, W, W)
        analysis, increments, counts = torch.zeros_like(x), [], []
        if error is not None:
            error = F.pad(error.to(x.dtype), (0, 0, 0, 0, 0, spare))
            number = seen.sum((1, 2, 3), keepdim=True).clamp_min(1.0)  # (B, 1, 1, 1)
            told = number, *_borne_out(x, seen, error)
        for i in range(len(cells)):
            misfit = (x - analysis) * seen
            fields = [misfit, seen]
            if error is not None:
                trust = _trust(misfit, *told)
                fields = [misfit * trust, seen, seen * trust]
            kinds = len(fields)
            both = torch.stack(fields, 1)  # (B, 2 or 3, T, H, W)
            both = (both.flatten(1, 3) @ along_w[i]).unflatten(1, (kinds, T, H))
            both = (along_t[i] @ (along_h[i] @ both).flatten(3)).unflatten(3, (H, W))
            total, count, *weighed = both.unbind(1)  # (B, T, H, W) each
            increment = gain[i] * total / ((weighed[0] if weighed else count) + noise[i])
            analysis = analysis + increment
            increments.append(increment[:, :days])
            counts.append(count[:, :days])
        return analysis[:, :days], increments, counts

    def numbers(self, x: Tensor, seen: Tensor, ocean: Tensor | None = None):
        """Cells, days, noise, gain of every correction, each (n, b, 1, 1); b = 1, or B to adapt.

        x (B, T, H, W) in the units of the input, 0 where not observed; seen the same shape, 1 where
        observed; ocean (B, H, W) bool or None as in `analyse`, of which only `motion` asks.
        """
        numbers = torch.stack([self.log_cells, self.log_days, self.log_noise, self.log_gain])
        numbers = numbers[None]  # (1, 4, n)
        if self.tune is not None:
            features = _motion(x, seen, ocean) if self.motion else _features(x, seen)
            bend = self.tune(features.to(self.log_cells.dtype))
            numbers = numbers + bend.unflatten(1, (4, -1))  # (B, 4, n)
        return numbers.to(x.dtype).exp().permute(1, 2, 0)[..., None, None].unbind()


def _borne_out(x: Tensor, seen: Tensor, error: Tensor) -> tuple[Tensor, Tensor]:
    """By how much the error variance of each observation exceeds their mean (B, T, H, W), and that
    mean (B, 1, 1, 1), both as far as the observations themselves bear it out.

    Neighbours differ more where their errors are large, if what the product tells is true: the
    slope of their squared difference against the sum of their error variances is 1 then, and 0
    where the product tells nothing. Without that, errors that only claim to differ made maps 4 to
    17 % worse.
    """
    square = error.masked_fill(seen == 0, 0.0).square()  # 0 where nobody tells it
    known = (square > 0).to(x.dtype)
    number = known.sum((1, 2, 3), keepdim=True).clamp_min(1.0)
    mean = square.sum((1, 2, 3), keepdim=True) / number  # (B, 1, 1, 1)
    pairs = [_beside(x, square, known, axis) for axis in (2, 3)]
    difference, errors, both = (torch.cat(part, 1) for part in zip(*pairs, strict=True))  # (B, n)
    number = both.sum(1, keepdim=True).clamp_min(1.0)
    errors = (errors - (errors * both).sum(1, keepdim=True) / number) * both
    slope = (difference * errors).sum(1) / errors.square().sum(1).clamp_min(1e-8)
    slope = slope.clamp(0.0, 1.0)[:, None, None, None]  # (B, 1, 1, 1)
    return slope * (square - mean) * known, slope * mean


def _beside(x, square, known, axis: int) -> list[Tensor]:
    """Of neighbours along an axis, (B, n) each: squared difference, sum of their error variances,
    and 1 where both are known."""
    n = x.shape[axis] - 1
    a, b = ([field.narrow(axis, k, n) for field in (x, square, known)] for k in (0, 1))
    fields = ((a[0] - b[0]).square(), a[1] + b[1], a[2] * b[2])
    return [field.flatten(1) for field in fields]


def _trust(misfit: Tensor, number: Tensor, excess: Tensor, mean: Tensor) -> Tensor:
    """Weight (B, T, H, W) of each observation in a correction, 1 where nobody tells its error.

    Of what is left to explain, the part that is no noise is the same for all of them: a wide
    correction, which explains much, trusts all alike, a narrow one tells them apart. Arguments: the
    misfit, the number of observations (B, 1, 1, 1), and what `_borne_out` returns.
    """
    variance = misfit.square().sum((1, 2, 3), keepdim=True) / number
    variance = torch.maximum(variance, mean) + 1e-8
    return (variance / (variance + excess)).clamp(LEAST_TRUST, MOST_TRUST)


def _features(x: Tensor, seen: Tensor) -> Tensor:
    """Log coverage, log spread, log difference between neighbours of each month: (B, 3)."""
    coverage, spread = _coverage_and_spread(x, seen)
    step = _step(x, seen, 3, 1, spread)
    # Kept to what training months show. Outside it `tune` guesses, and the gains run away.
    spread, step = (spread + 1e-3).clamp(0.08, 3.0), (step + 1e-3).clamp(0.03, 1.0)
    return torch.stack([coverage, spread, step], 1).log()  # (B, 3)


def _motion(x: Tensor, seen: Tensor, ocean: Tensor | None = None) -> Tensor:
    """Log coverage, log spread, and the log mean square difference of pairs of observations 1 and 4
    cells, 1 and 3 days apart: (B, 6)."""
    coverage, spread = _coverage_and_spread(x, seen, ocean)
    spread = spread + 1e-3
    steps = [_step(x, seen, axis, lag, spread) for axis, lag in ((3, 1), (3, 4), (1, 1), (1, 3))]
    numbers = [coverage, spread.clamp(0.01, 6.0)]
    return torch.stack(numbers + [s.clamp(0.004, 6.0) for s in steps], 1).log()


def _coverage_and_spread(x: Tensor, seen: Tensor, ocean=None) -> tuple[Tensor, Tensor]:
    """Share of a full month that was seen, and variance of what was, of each month: (B,) each.

    Of a full month of the `ocean` (B, H, W). Without one, as `ocean-1` learned it, of the whole
    map: there land and padding look like clouds, and bend the first guess by some mK.
    """
    number = seen.sum((1, 2, 3)).clamp_min(1.0)
    mean = (x.sum((1, 2, 3)) / number)[:, None, None, None]
    spread = ((x - mean).square() * seen).sum((1, 2, 3)) / number
    cells = x.shape[2] * x.shape[3] if ocean is None else ocean.sum((1, 2)).clamp_min(1)
    coverage = number / (31 * cells)  # of a full month, so that padding days change nothing
    return coverage.clamp(0.003, 1.0), spread


def _step(x: Tensor, seen: Tensor, axis: int, lag: int, spread: Tensor) -> Tensor:
    """Mean square difference (B,) of pairs that lie `lag` apart along an axis."""
    n = x.shape[axis] - lag
    if n <= 0:
        return 2 * spread
    pairs = seen.narrow(axis, 0, n) * seen.narrow(axis, lag, n)
    square = (x.narrow(axis, 0, n) - x.narrow(axis, lag, n)).square()
    # Few pairs say nothing: five that know only the spread keep the logarithm in its range.
    return ((square * pairs).sum((1, 2, 3)) + 5 * 2 * spread) / (pairs.sum((1, 2, 3)) + 5)


def _gaussian(distance: Tensor) -> Tensor:
    """exp(-distance^2 / 2), cut to zero below 1e-12: a CPU multiplies denormal numbers slowly."""
    return F.threshold(torch.exp(-0.5 * distance.square()), 1e-12, 0.0)


def _distances(n: int, like: Tensor) -> Tensor:
    """|i - j| of n positions: (n, n)."""
    position = torch.arange(n, device=like.device, dtype=like.dtype)
    return (position[:, None] - position[None, :]).abs()
