"""Did a change matter? Two settings, some seeds each, the same months: a difference and a verdict.

The error of a run is its RMSE over all months. Two things make the difference of two settings
scatter, and each would be another one if the experiment were done again:

    seeds    another start, other samples: each run has luck of its own, on all months
    months   other months would be judged: a change may help one and harm another

Their variances add up. The seed part is the variance of the runs of a setting, the month part that
of the difference from month to month. What a run does to a single month is in both, so it is
counted once (three sums of squares of a table of runs and months, as in a two-way analysis of
variance; Owen 2007 has the same for the bootstrap). Each part is widened by the Student t of its
own degrees of freedom, then the squares are added. One t for the sum, of as many degrees of freedom
as both have together (Satterthwaite 1946), cried wolf in 8 of 100 tries with three pairs.

Two ways to count the luck of seeds, and the narrower is taken. *Pooled*: the scatter of both
settings together, which is what makes ten stored runs of a base worth their disk. Three runs alone
know their own scatter from two degrees of freedom, with a t of 4.3; with ten beside them there are
eleven, with a t of 2.2. *Paired*: the differences of runs of the same seed, which saw the same
samples in the same order and often make the same mistakes. Which of them is narrower is read off
what runs do to single months, once all that is common to a run and to a month is taken away. That
rest is independent of the means that are tested, so choosing by it makes no false alarms.
Chapter *Change one thing*.
"""

import math
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy import stats

SMALL = 0.003  # K, below which nobody would mind: a tenth of what separates good from better
LEVEL = 0.95  # of every interval: one false alarm in 20 tries
POWER = 0.8  # share of tries in which the smallest difference that can be seen is seen
MOST = 1000  # seeds; who needs more needs another experiment
WILD = 0.01  # a change whose runs scatter more than so seldom by chance has a scatter of its own


class Scatter(NamedTuple):
    """Standard deviations in K that other experiments share: of runs of one setting (on fixed
    months), of what a run does to one month, and of what the change does to one month. apart: what
    is left of the variance between two runs where they have the same seed, 0 to 1."""

    seeds: float
    both: float
    change: float = 0.0
    apart: float = 1.0


class Difference(NamedTuple):
    """RMSE of the change less that of its base, in K.

    low, high: its interval at `LEVEL`. seeds, months: standard errors of the two parts. df: degrees
    of freedom of the first. runs: how many of the change and of its base. paired: were runs of the
    same seed subtracted? scatter: see there.
    """

    value: float
    low: float
    high: float
    seeds: float
    months: float
    df: float
    runs: tuple[int, int]
    paired: bool
    scatter: Scatter

    @property
    def half(self) -> float:
        """Half the width of the interval."""
        return (self.high - self.low) / 2

    @property
    def bound(self) -> float:
        """No difference larger than this is likely."""
        return max(abs(self.low), abs(self.high))


def errors_by_month(squares, weights) -> np.ndarray:
    """Errors (runs, months) in K whose mean over the months is the RMSE of each run, exactly.

    squares (runs, months): sums of squared errors; weights (months,): numbers of cells. What a
    month adds to an RMSE is not its own RMSE, since the root is taken of the sum of all: it is the
    slope of that root, so that a month with larger errors counts for more.
    """
    squares, weights = np.asarray(squares, float), np.asarray(weights, float)
    if squares.ndim != 2 or weights.shape != squares.shape[1:] or squares.shape[1] < 3:
        raise ValueError(
            f"squares must be (runs, months) with 3 months or more and weights (months,), got "
            f"{squares.shape} and {weights.shape}"
        )
    if not (np.isfinite(squares).all() and (squares >= 0).all() and (weights > 0).all()):
        raise ValueError("squares must be finite sums of squares, and weights positive")
    rmse = np.sqrt(squares.sum(1, keepdims=True) / weights.sum())  # (runs, 1)
    slope = (squares - rmse**2 * weights) / (2 * np.maximum(rmse, 1e-12) * weights.mean())
    return rmse + slope


def difference(changed, base, weights, seeds=None) -> Difference:
    """The difference of two settings, from sums of squared errors (runs, months) of each.

    seeds: numbers of the runs of the change and of the base; None = runs share none. One run of the
    change is enough where the base has two or more. ValueError where neither has two: then nothing
    tells how lucky a run can be.
    """
    a, b = errors_by_month(changed, weights), errors_by_month(base, weights)
    if len(a) + len(b) < 3:
        raise ValueError("one run each tells nothing of the luck of a run; do two seeds or more")
    spread = _of_runs(a, b)
    both, pairs = _interaction(a, b), _pairs(seeds, len(a))
    apart = 1.0
    if pairs is not None and both:
        apart = min(_interaction(a - b[pairs]) / (2 * both), 1.0)
    if pairs is not None and _pairing_helps(apart, len(a), len(b)):
        tables, paired = (a - b[pairs],), True
        of_seeds = float(tables[0].mean(1).var(ddof=1)) / len(a), len(a) - 1
        rest = _interaction(*tables) / len(a)
    else:
        tables, paired = (a, b), False
        of_seeds = _luck(a.mean(1), b.mean(1), spread)
        rest = both * (1 / len(a) + 1 / len(b))
    profile = tables[0].mean(0) - (0 if paired else b.mean(0))  # (months,)
    months = len(profile)
    of_months = float(profile.var(ddof=1)) / months, months - 1
    half = _half(of_seeds, of_months, rest / months)
    value = float(profile.mean())
    change = math.sqrt(max(of_months[0] * months - rest, 0.0))
    parts = math.sqrt(of_seeds[0]), math.sqrt(of_months[0]), of_seeds[1]
    scatter = Scatter(math.sqrt(spread), math.sqrt(both), change, apart)
    runs = len(a), len(b)
    return Difference(value, value - half, value + half, *parts, runs, paired, scatter)


def _pairs(seeds, n: int) -> list[int] | None:
    """The runs of the base with the seeds of the change; None where there is not one for each."""
    if seeds is None or n < 2:
        return None
    ours, theirs = map(list, seeds)
    return [theirs.index(s) for s in ours] if set(ours) <= set(theirs) else None


def _pairing_helps(apart: float, n: int, m: int) -> bool:
    """Are differences of n pairs expected to have the narrower interval?"""
    if n < 2:
        return False
    paired = _t(n - 1) * math.sqrt(2 * apart / n)
    return paired < _t(n + m - 2) * math.sqrt(1 / n + 1 / m)


def _luck(a, b, spread: float) -> tuple[float, float]:
    """Variance of the difference of the means of runs a and b, and its degrees of freedom."""
    n, m = len(a), len(b)
    if min(n, m) > 1 and a.var(ddof=1) > _wild(n - 1, m - 1) * b.var(ddof=1):
        # The scatter of both would be too small for such a change: Welch's form.
        each = a.var(ddof=1) / n, b.var(ddof=1) / m
        return sum(each), sum(each) ** 2 / (each[0] ** 2 / (n - 1) + each[1] ** 2 / (m - 1))
    return spread * (1 / n + 1 / m), n + m - 2


@cache
def _t(df: float) -> float:
    return float(stats.t.isf((1 - LEVEL) / 2, df))


@cache
def _wild(n: int, m: int) -> float:
    """The ratio of two variances with n and m degrees of freedom that is as seldom as `WILD`."""
    return float(stats.f.isf(WILD, n, m))


def _half(of_seeds: tuple, of_months: tuple, twice: float) -> float:
    """Half an interval, from variances with their degrees of freedom; twice: what is in both."""
    seeds, months = (_t(df) ** 2 * variance for variance, df in (of_seeds, of_months))
    both = seeds + months - _t(of_months[1]) ** 2 * twice
    return math.sqrt(max(both, seeds, months))


def _of_runs(a, b) -> float:
    """Variance of the runs of a setting, from both."""
    a, b = a.mean(1), b.mean(1)
    squares = ((a - a.mean()) ** 2).sum() + ((b - b.mean()) ** 2).sum()
    return float(squares) / (len(a) + len(b) - 2)


def _interaction(*settings) -> float:
    """Variance of what a run does to one month beside what it does to all, from all settings."""
    squares, df = 0.0, 0
    for errors in settings:
        rest = errors - errors.mean(0) - errors.mean(1, keepdims=True) + errors.mean()
        squares += float((rest**2).sum())
        df += (len(errors) - 1) * (errors.shape[1] - 1)
    return squares / df


def scatter_of(base, weights) -> Scatter:
    """What the stored runs of a base tell before any run of the change: (runs, months) sums."""
    errors = errors_by_month(base, weights)
    if len(errors) < 2:
        raise ValueError("one run tells nothing of the luck of a run; do two seeds or more")
    spread = math.sqrt(float(errors.mean(1).var(ddof=1)))
    return Scatter(spread, math.sqrt(_interaction(errors)))


def expected_half(scatter: Scatter, n: int, m: int, months: int) -> float:
    """Half the width of the interval that n runs of the change and m of its base can expect."""
    paired = m >= n and _pairing_helps(scatter.apart, n, m)
    share = 2 * scatter.apart / n if paired else 1 / n + 1 / m
    of_seeds = scatter.seeds**2 * share, n - 1 if paired else n + m - 2
    twice = scatter.both**2 * share / months
    of_months = scatter.change**2 / months + twice, months - 1
    return _half(of_seeds, of_months, twice)


def smallest(scatter: Scatter, n: int, m: int, months: int) -> float:
    """The smallest true difference in K that is found in `POWER` of all tries, if it is the same
    in all months (`scatter.change`).

    Larger than half an interval: a difference just as large as that is found every second time.
    """
    df = n + m - 2
    more = float(stats.t.isf(1 - POWER, df)) / _t(df)
    return expected_half(scatter, n, m, months) * (1 + more)


def more_seeds(found: Difference, months: int, small: float = SMALL) -> int | None:
    """How many more seeds of the change make the interval narrow enough to settle it, if the
    difference stays what it is; None where the months scatter too much for any number.

    Where the base has fewer runs than the change then has, it needs as many.
    """
    (n, m), size = found.runs, abs(found.value)
    wanted = max(size, small - size)  # the interval leaves zero out, or all that is large
    for more in range(1, MOST):
        if expected_half(found.scatter, n + more, max(m, n + more), months) < wanted:
            return more
    return None


def verdict(found: Difference, months: int, small: float = SMALL) -> str:
    """In words: it is smaller than anybody minds, it mattered, or how many seeds would tell.

    In this order: what is surely small has not mattered, even where it is surely not zero.
    """
    told = f"{found.value:+.4f} +- {found.half:.4f} K"
    if found.bound <= small:
        return f"less than {small:g} K ({told})"
    if found.low > 0 or found.high < 0:
        return f"mattered ({told})"
    more = more_seeds(found, months, small)
    if more is None:
        return f"cannot tell ({told}): the months differ too much, more seeds will not help"
    return f"cannot tell ({told}): {more} more seed{'s' * (more > 1)}"
