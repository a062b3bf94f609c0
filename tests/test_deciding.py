"""Did a change matter? False alarms, what is found, and each part of the variance by hand."""

import numpy as np
import pytest
from scipy import stats

from sst_tutorial.deciding import (
    Scatter,
    difference,
    errors_by_month,
    expected_half,
    more_seeds,
    scatter_of,
    smallest,
    verdict,
)

MONTHS = 36
ONES = np.ones(MONTHS)
LUCK, BOTH = 0.001, 0.003  # K, of a run on all months and on each of them
SCATTER = Scatter(np.hypot(LUCK, BOTH / np.sqrt(MONTHS)), BOTH)  # a mean over months has both


def squares(rng, runs, effect=0.0, hard=0.25, luck=None, own=None):
    """Sums of squares of runs whose errors have the scatter of SCATTER."""
    luck = rng.standard_normal((runs, 1)) if luck is None else luck
    own = rng.standard_normal((runs, MONTHS)) if own is None else own
    return (hard + effect + LUCK * luck + BOTH * own) ** 2


def share_that_mattered(n, m, effect, tries=400, alike=0.0, change=0.0):
    rng, found = np.random.default_rng(0), 0
    for _ in range(tries):
        hard = 0.25 + 0.05 * rng.standard_normal(MONTHS)
        luck, own = rng.standard_normal((m, 1)), rng.standard_normal((m, MONTHS))
        base = squares(rng, m, 0.0, hard, luck, own)
        rest = np.sqrt(1 - alike**2)
        luck = alike * luck[:n] + rest * rng.standard_normal((n, 1))
        own = alike * own[:n] + rest * rng.standard_normal((n, MONTHS))
        helped = effect + change * rng.standard_normal(MONTHS)
        changed = squares(rng, n, helped, hard, luck, own)
        d = difference(changed, base, ONES, (range(n), range(m)))
        found += d.low > 0 or d.high < 0
    return found / tries


@pytest.mark.parametrize("alike", [0.0, 0.9, 0.99])
@pytest.mark.parametrize(("n", "m"), [(3, 10), (3, 3), (10, 10)])
def test_nothing_matters_in_at_most_one_try_of_twenty(n, m, alike):
    # 400 tries of 0.05 scatter by 0.011: a rate of 0.05 stays below 0.08 in all but 1 of 300.
    assert share_that_mattered(n, m, 0.0, alike=alike) < 0.08


@pytest.mark.parametrize("change", [0.0, 0.004])
def test_a_change_that_acts_month_by_month_makes_no_more_false_alarms(change):
    assert share_that_mattered(3, 10, 0.0, change=change) < 0.08


def test_the_smallest_difference_is_found_in_most_tries_and_a_large_one_in_all():
    least = smallest(SCATTER, 3, 10, MONTHS)
    assert 0.72 < share_that_mattered(3, 10, least) < 0.9
    assert share_that_mattered(3, 10, -3 * least, tries=60) == 1.0


def test_errors_by_month_have_the_rmse_as_their_mean():
    rng = np.random.default_rng(1)
    s, w = rng.random((4, MONTHS)), rng.integers(1, 9, MONTHS)
    errors = errors_by_month(s, w)
    np.testing.assert_allclose(errors.mean(1), np.sqrt(s.sum(1) / w.sum()))
    # To first order they are what a bootstrap of the months sees: a month left out, by hand.
    without = np.sqrt(s[0, 1:].sum() / w[1:].sum())
    told = errors[0].mean() + (errors[0].mean() - errors[0, 0]) / (MONTHS - 1)
    assert without == pytest.approx(told, rel=0.01)


def test_only_seeds_scatter_by_hand():
    """All months alike: a t test of the runs, two-sided, with the variance of both settings."""
    a, b = np.array([0.26, 0.262, 0.261]), np.array([0.25, 0.251, 0.249, 0.2505])
    d = difference(*((x[:, None] * ONES) ** 2 for x in (a, b)), ONES)
    pooled = (2 * a.var(ddof=1) + 3 * b.var(ddof=1)) / 5
    half = stats.t.ppf(0.975, 5) * np.sqrt(pooled * (1 / 3 + 1 / 4))
    assert d.value == pytest.approx(a.mean() - b.mean())
    assert d.half == pytest.approx(half) and d.df == 5 and not d.paired


def test_only_months_scatter_by_hand():
    helped = np.random.default_rng(2).normal(0.01, 0.02, MONTHS)
    base = np.full((3, MONTHS), 0.25)
    d = difference((base[:2] + helped) ** 2, base**2, ONES)
    assert d.seeds == 0
    assert d.months == pytest.approx(helped.std(ddof=1) / np.sqrt(MONTHS), rel=0.15)
    assert d.half == pytest.approx(stats.t.ppf(0.975, MONTHS - 1) * d.months)


def test_runs_of_the_same_seed_cancel_and_without_their_numbers_they_do_not():
    rng = np.random.default_rng(3)
    luck, own = rng.standard_normal((10, 1)), rng.standard_normal((10, MONTHS))
    base = squares(rng, 10, luck=luck, own=own)
    close = own[:3] + 0.05 * rng.standard_normal((3, MONTHS))
    changed = squares(rng, 3, 0.0005, luck=luck[:3] + [[0.02], [0], [-0.02]], own=close)
    paired = difference(changed, base, ONES, (range(3), range(10)))
    alone = difference(changed, base, ONES)
    strangers = difference(changed, base, ONES, (range(20, 23), range(10)))
    assert paired.paired and paired.low > 0 and paired.value == pytest.approx(5e-4, abs=5e-5)
    assert not alone.paired and alone.low < 0 and alone[:6] == strangers[:6]


def test_pairs_are_found_by_their_numbers_not_by_their_order():
    rng = np.random.default_rng(4)
    base = squares(rng, 10)
    other = difference(base[[7, 2, 5]], base, ONES, ([7, 2, 5], range(10)))
    assert other.paired and other[:3] == (0.0, 0.0, 0.0)
    assert verdict(other, MONTHS).startswith("less than 0.003 K")


def test_a_change_whose_runs_scatter_wildly_is_not_helped_by_a_calm_base():
    rng = np.random.default_rng(5)
    base = squares(rng, 10)
    wild = squares(rng, 3, luck=np.array([[-30.0], [0], [36]]))
    d = difference(wild, base, ONES)
    assert d.df < 3 and d.low < 0 < d.high


def test_the_verdict_has_three_answers():
    rng = np.random.default_rng(6)
    base = squares(rng, 10)
    large, none = (difference(squares(rng, 6, e), base, ONES) for e in (0.02, 0.0))
    assert verdict(large, MONTHS).startswith("mattered (+0.0")
    assert verdict(none, MONTHS).startswith("less than 0.003 K (")
    assert "less than" not in verdict(none, MONTHS, small=0.9 * none.bound)
    few = difference(squares(rng, 2, luck=np.array([[2.0], [5]])), base[:2], ONES)
    words = verdict(few, MONTHS, small=0.0005)
    assert words.startswith("cannot tell (") and words.endswith("more seeds")
    more = int(words.split()[-3])
    wanted = max(abs(few.value), 0.0005 - abs(few.value))
    assert expected_half(few.scatter, 2 + more, 2 + more, MONTHS) < wanted
    assert expected_half(few.scatter, 1 + more, max(2, 1 + more), MONTHS) >= wanted
    assert more == more_seeds(few, MONTHS, 0.0005)


def test_a_small_change_that_is_sure_is_told_to_be_small():
    rng = np.random.default_rng(7)
    luck = np.zeros((10, 1))
    base = squares(rng, 10, luck=luck, own=np.zeros((10, MONTHS)))
    found = difference(base[:3] + 1e-3, base, ONES)
    assert found.low > 0 and verdict(found, MONTHS).startswith("less than 0.003 K (+0.00")
    assert verdict(found, MONTHS, small=1e-3).startswith("mattered (+0.00")


def test_months_that_differ_too_much_ask_for_no_more_seeds():
    rng = np.random.default_rng(8)
    helped = 0.1 * rng.standard_normal(MONTHS)
    base = squares(rng, 10)
    d = difference(squares(rng, 3, helped - helped.mean()), base, ONES)
    assert more_seeds(d, MONTHS) is None and "more seeds will not help" in verdict(d, MONTHS)


def test_the_scatter_is_found_again():
    rng = np.random.default_rng(9)
    s = scatter_of(squares(rng, 300), ONES)
    assert s.seeds == pytest.approx(SCATTER.seeds, rel=0.1)
    assert s.both == pytest.approx(BOTH, rel=0.1)


def test_what_it_refuses():
    one = np.ones((1, MONTHS))
    with pytest.raises(ValueError, match="one run each tells nothing"):
        difference(one, one, ONES)
    with pytest.raises(ValueError, match="one run tells nothing"):
        scatter_of(one, ONES)
    with pytest.raises(ValueError, match=r"got \(1, 36\) and \(2,\)"):
        errors_by_month(one, np.ones(2))
    for bad in (np.nan, -1.0):
        with pytest.raises(ValueError, match="finite sums"):
            errors_by_month(bad * one, ONES)
    assert difference(one, np.ones((2, MONTHS)), ONES).value == 0
