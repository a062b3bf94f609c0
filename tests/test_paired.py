"""Two settings with several seeds each: their difference, and what makes its interval wide."""

import numpy as np
import pytest

from sst_tutorial.evaluation import difference_interval, paired_difference

MONTHS = 24


def run(rmse, cells=100.0):
    """(square_sums, weight_sums) of a run with this RMSE, one number or one a month."""
    weights = np.full(MONTHS, cells)
    return np.broadcast_to(rmse, MONTHS) ** 2 * weights, weights


def width(interval):
    return interval[1] - interval[0]


def test_the_difference_by_hand():
    difference, (low, high) = paired_difference([run(0.3), run(0.5)], [run(0.2)])
    assert difference == pytest.approx(0.2)  # (0.3 + 0.5) / 2 - 0.2
    assert low == pytest.approx(0.1) and high == pytest.approx(0.3)  # one of two seeds drawn


def test_months_with_more_cells_count_more():
    squares, weights = run(0.1)
    squares[0], weights[0] = 900.0, 900.0  # one month: 1 K in 900 cells
    difference, _ = paired_difference([(squares, weights)], [run(0.0)])
    assert difference == pytest.approx(np.sqrt((23 + 900) / (2300 + 900)))


def test_what_is_hard_for_both_cancels():
    hard = 0.2 + 0.1 * np.random.default_rng(0).random(MONTHS)
    difference, (low, high) = paired_difference([run(hard + 0.01)] * 3, [run(hard)] * 3)
    assert difference == pytest.approx(0.01, abs=1e-3)
    assert 0.009 < low <= difference <= high < 0.011


def test_one_seed_each_is_the_interval_of_the_months():
    rng = np.random.default_rng(1)
    a, b = run(0.2 + 0.05 * rng.random(MONTHS)), run(0.2 + 0.05 * rng.random(MONTHS))
    rows = [{"by_month": {"square_sum": s, "weight_sum": w}} for s, w in (a, b)]
    assert paired_difference([a], [b])[1] == pytest.approx(difference_interval(*rows))


def test_seeds_that_scatter_widen_it():
    steady = paired_difference([run(0.21)] * 3, [run(0.20)] * 3)
    lucky = paired_difference([run(r) for r in (0.19, 0.21, 0.23)], [run(0.20)] * 3)
    assert lucky[0] == pytest.approx(steady[0])
    assert width(steady[1]) < 1e-9
    assert lucky[1][0] < 0 < lucky[1][1]


def test_the_scatter_of_seeds_is_neither_lost_nor_doubled():
    """Drawing 3 of 3 seeds would give 0.82 of the standard error."""
    rng, widths = np.random.default_rng(2), []
    for _ in range(100):
        seeds = [run(0.3 + 0.01 * e) for e in rng.standard_normal(3)]
        widths.append(width(paired_difference(seeds, [run(0.3)], draws=200, level=0.68)[1]) ** 2)
    expected = 2 * 0.01 / np.sqrt(3)  # plus and minus one standard error
    assert np.sqrt(np.mean(widths)) == pytest.approx(expected, rel=0.2)


def test_the_same_twice_and_what_it_refuses():
    a, b = [run(0.2), run(0.25)], [run(0.3)]
    assert paired_difference(a, b, seed=3) == paired_difference(a, b, seed=3)
    with pytest.raises(ValueError, match="same months, got 24 and 12"):
        paired_difference(a, [(np.ones(12), np.ones(12))])
    with pytest.raises(ValueError, match="runs_b must hold"):
        paired_difference(a, [])
