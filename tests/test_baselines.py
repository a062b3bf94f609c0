"""Each baseline against a case small enough to work out by hand."""

import numpy as np
import pytest
import torch

from sst_tutorial import baselines
from sst_tutorial.baselines import (
    BASELINES,
    Covariance,
    MeasuredCovariance,
    expected_error,
    optimal_interpolation,
    with_month_mean,
)
from sst_tutorial.first_guess import gaussian_mean, normalised_convolution
from sst_tutorial.months import Month

NAN = np.nan
SEA = np.ones((1, 3), dtype=bool)


def brute_force(values, observed, cells, days):
    """The definition, one output point after the other."""
    T, H, W = values.shape
    mean = np.zeros((T, H, W))
    count = np.zeros((T, H, W))
    t, i, j = np.indices((T, H, W))
    for point in np.ndindex(T, H, W):
        far = ((t - point[0]) / days) ** 2 + ((i - point[1]) / cells) ** 2
        weight = np.exp(-0.5 * (far + ((j - point[2]) / cells) ** 2)) * observed
        count[point] = weight.sum()
        mean[point] = (weight * np.where(observed, values, 0)).sum() / max(count[point], 1e-6)
    return mean, count


@pytest.fixture
def gappy():
    rng = np.random.default_rng(0)
    values = rng.standard_normal((2, 5, 4, 7)).astype("float32")
    observed = rng.random(values.shape) < 0.3
    values[~observed] = NAN
    return torch.from_numpy(values), torch.from_numpy(observed)


def test_normalised_convolution_is_its_definition(gappy):
    values, observed = gappy
    mean, count = normalised_convolution(values, observed, 1.2, 2.0)
    for b in range(2):
        expected = brute_force(values[b].numpy(), observed[b].numpy(), 1.2, 2.0)
        np.testing.assert_allclose(mean[b], expected[0], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(count[b], expected[1], rtol=1e-4, atol=1e-5)


def test_normalised_convolution_gradient(gappy):
    values, observed = gappy
    values = values[:1, :3, :3, :3].double().nan_to_num().requires_grad_()
    seen = observed[:1, :3, :3, :3]
    assert torch.autograd.gradcheck(
        lambda v: normalised_convolution(v, seen, 1.0, 2.0)[0], values
    )
    values = gappy[0].clone().requires_grad_()  # NaN in the gaps must not reach the gradient
    normalised_convolution(values, observed, 1.0, 2.0)[0].sum().backward()
    assert torch.isfinite(values.grad).all()


def test_normalised_convolution_keeps_float32_under_autocast(gappy):
    values, observed = gappy
    plain, _ = normalised_convolution(values, observed, 1.2, 2.0)
    with torch.autocast("cpu", torch.bfloat16):
        mean, _ = normalised_convolution(values, observed, 1.2, 2.0)
    assert mean.dtype == torch.float32
    torch.testing.assert_close(mean, plain, rtol=0, atol=0)


def test_normalised_convolution_of_nothing_is_zero():
    values = torch.full((1, 2, 3, 3), NAN)
    mean, count = normalised_convolution(values, torch.zeros(1, 2, 3, 3).bool(), 1.0, 1.0)
    assert (mean == 0).all() and (count == 0).all()


def test_normalised_convolution_refuses_unlike_shapes():
    with pytest.raises(ValueError, match="one shape"):
        normalised_convolution(torch.zeros(1, 2, 3, 3), torch.zeros(2, 3, 3), 1.0, 1.0)
    with pytest.raises(ValueError, match="positive"):
        normalised_convolution(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2), 0, 1)


def test_gaussian_mean_skips_days_that_do_not_exist():
    anomaly = torch.randn(2, 28, 4, 4)
    seen = torch.rand(2, 28, 4, 4) < 0.2
    padded = torch.cat([anomaly, torch.full((2, 3, 4, 4), NAN)], 1)
    padded_seen = torch.cat([seen, torch.zeros(2, 3, 4, 4, dtype=torch.bool)], 1)
    exists = torch.arange(31).expand(2, 31) < 28
    torch.testing.assert_close(
        gaussian_mean(padded, padded_seen, exists=exists),
        gaussian_mean(anomaly, seen),
    )


# ---------------------------------------------------------------- baselines, by hand


def days_of(*cells):
    """(T, 1, W) from one list of days per cell."""
    return np.array(cells, dtype=float).T[:, None, :]


def test_climatology_mean():
    sst, prior = days_of([NAN] * 2, [9, 9], [NAN, 9]), days_of([1, 3], [2, 2], [5, 6])
    result = baselines.climatology_mean(Month(sst, SEA, prior))
    np.testing.assert_allclose(result, [[2, 2, 5.5]])


def test_mean_of_days():
    # Seen values 1, 3, 8: the cell never seen gets their mean, 4.
    result = baselines.mean_of_days(Month(days_of([1, 3], [NAN, 8], [NAN, NAN]), SEA))
    np.testing.assert_allclose(result, [[2, 8, 4]])


def test_mean_anomaly():
    # Anomalies +1 (day 1), -1 (day 2); the third cell gets their mean, 0.
    prior = days_of([10, 12], [10, 12], [10, 12])
    sst = days_of([11, NAN], [NAN, 11], [NAN, NAN])
    np.testing.assert_allclose(baselines.mean_anomaly(Month(sst, SEA, prior)), [[12, 10, 11]])


def test_linear_in_time():
    # 0 . 2 . -> 0 1 2 2, mean 1.25;  . 4 . . -> 4;  never seen -> mean of 0, 2, 4 = 2.
    sst = days_of([0, NAN, 2, NAN], [NAN, 4, NAN, NAN], [NAN] * 4)
    result = baselines.linear_in_time(Month(sst, SEA, np.zeros((4, 1, 3))))
    np.testing.assert_allclose(result, [[1.25, 4, 2]])


def test_gaussian_of_two_observations():
    # One day, cells 0 and 2 seen: the cell between is their mean; at cell 0 the other one weighs
    # exp(-0.5 (2 / 1.2)^2).
    w = np.exp(-0.5 * (2 / 1.2) ** 2)
    result = baselines.gaussian(Month(days_of([1], [NAN], [3]), SEA, np.full((1, 1, 3), 0.0)))
    expected = [[(1 + 3 * w) / (1 + w), 2, (3 + w) / (1 + w)]]
    np.testing.assert_allclose(result, expected, rtol=1e-5)


def test_gaussian_far_from_everything_takes_a_wider_one():
    sst = np.full((1, 1, 300), NAN)
    sst[0, 0, 0], sst[0, 0, 299] = 1.0, 3.0
    month = Month(sst, np.ones((1, 300), dtype=bool), np.zeros((1, 1, 300)))
    result = baselines.gaussian(month)
    np.testing.assert_allclose(result[0, [0, 60, 240, 299]], [1, 1, 3, 3], atol=0.01)
    assert 1.0 - 1e-6 <= result.min() and result.max() <= 3.0 + 1e-6


def test_optimal_interpolation_of_one_observation():
    # Weight = cov(month mean at cell, observation) / (variance + noise).
    c = Covariance()
    sst = days_of([NAN, 2.0], [NAN, NAN], [NAN, NAN])
    result = optimal_interpolation(Month(sst, SEA, np.zeros((2, 1, 3))))
    for cell in range(3):
        cov = [
            0.6 * np.exp(-cell / 9 - t / 7) + 0.4 * np.exp(-(cell**2) / 72 - t / 60) for t in (0, 1)
        ]
        expected = np.mean(cov) / (1 + c.noise_variance) * 2.0
        np.testing.assert_allclose(result[0, cell], expected, rtol=1e-12)


def gappy_month(seed=3, shape=(4, 3, 5), ocean=None):
    """Anomalies of about 1 K around a prior of 0 degC, two in five observed."""
    rng = np.random.default_rng(seed)
    sst = np.where(rng.random(shape) < 0.4, rng.standard_normal(shape), NAN)
    ocean = np.ones(shape[1:], dtype=bool) if ocean is None else ocean
    return Month(sst, ocean, np.zeros(shape))


def test_optimal_interpolation_is_the_mean_of_daily_kriging():
    """The analytic month mean against daily maps made with the full covariance matrix."""
    month = gappy_month()
    sst = month.sst
    t, i, j = (a.ravel() for a in np.indices(sst.shape))
    lag = abs(t[:, None] - t)
    r = np.hypot(i[:, None] - i, j[:, None] - j)
    full = 0.6 * np.exp(-r / 9 - lag / 7) + 0.4 * np.exp(-(r**2) / 72 - lag / 60)
    seen = np.isfinite(sst.ravel())
    matrix = full[np.ix_(seen, seen)] + 0.09 * np.eye(seen.sum())
    daily = full[:, seen] @ np.linalg.solve(matrix, sst.ravel()[seen])
    result = optimal_interpolation(month)
    np.testing.assert_allclose(result, daily.reshape(sst.shape).mean(0), rtol=1e-9, atol=1e-9)


def test_with_month_mean_moves_the_prior_by_what_was_seen():
    month = gappy_month()
    shift = np.nanmean(month.sst)
    shifted = Month(month.sst, month.ocean, month.prior + shift)
    np.testing.assert_allclose(with_month_mean(month), optimal_interpolation(shifted))
    covariance = Covariance(short_cells=2.0)
    np.testing.assert_allclose(
        with_month_mean(month, covariance=covariance), optimal_interpolation(shifted, covariance)
    )
    means = with_month_mean(month, baselines.climatology_mean)
    np.testing.assert_allclose(means, np.full((3, 5), shift))
    empty = Month(np.full((2, 1, 3), NAN), SEA, np.full((2, 1, 3), 9.0))
    np.testing.assert_allclose(with_month_mean(empty), [[9, 9, 9]])


def test_expected_error_of_one_look_and_of_none():
    ocean = np.array([[True, True, False]])
    sst = np.full((1, 1, 3), np.nan)
    prior = np.sqrt(0.6 + 0.4)
    np.testing.assert_allclose(expected_error(Month(sst, ocean)), [[prior, prior, np.nan]])
    sst[0, 0, 0] = 15.0
    c = 0.6 * np.exp(-1 / 9) + 0.4 * np.exp(-1 / 72)
    expected = [np.sqrt(1 - 1 / 1.09), np.sqrt(1 - c**2 / 1.09), np.nan]
    np.testing.assert_allclose(expected_error(Month(sst, ocean)), [expected])


def test_expected_error_is_the_error_made():
    """Fields drawn from the covariance itself: the error is as large as was said."""
    T, H, W = 3, 4, 5
    t, h, w = (x.ravel() for x in np.indices((T, H, W)))
    r = np.hypot(h[:, None] - h, w[:, None] - w)
    space, time = Covariance().space(r), Covariance().time(np.abs(t[:, None] - t))
    full = sum(s * f for s, f in zip(space, time, strict=True))
    rng = np.random.default_rng(0)
    root = np.linalg.cholesky(full + 1e-9 * np.eye(len(full)))
    seen, ocean = rng.random((T, H, W)) < 0.3, np.ones((H, W), dtype=bool)
    errors = []
    for _ in range(400):
        truth = (root @ rng.standard_normal(len(full))).reshape(T, H, W)
        sst = np.where(seen, truth + 0.3 * rng.standard_normal(truth.shape), np.nan)
        month = Month(sst, ocean, np.zeros((T, H, W)))
        errors.append(optimal_interpolation(month) - truth.mean(0))
    made = np.sqrt(np.mean(np.square(errors), axis=0))
    np.testing.assert_allclose(made, expected_error(month), rtol=0.12)


def measured(cells=12, days=90, **parameters):
    """The covariance of anomalies that last about five days, and the anomalies (days, cells)."""
    rng = np.random.default_rng(0)
    mix = rng.standard_normal((cells, cells))
    anomaly = np.zeros((days, cells))
    for t in range(1, days):
        anomaly[t] = 0.8 * anomaly[t - 1] + mix @ rng.standard_normal(cells)
    return MeasuredCovariance.of(anomaly, **parameters), anomaly


def test_measured_covariance_splits_the_variance_that_was_measured():
    covariance, anomaly = measured(K=4)
    assert covariance.patterns.shape == (12, 4) and covariance.memory.shape == (4, 31)
    variance = (covariance.patterns**2).sum(1) + covariance.rest
    np.testing.assert_allclose(variance, (anomaly**2).mean(0))
    np.testing.assert_allclose(covariance.memory[:, 0], 1)
    assert (covariance.memory[:, 1] > covariance.memory[:, 8]).all()
    complete, _ = measured(K=12)
    np.testing.assert_allclose(
        complete.patterns @ complete.patterns.T, anomaly.T @ anomaly / 90, atol=1e-9
    )
    np.testing.assert_allclose(complete.rest, 0, atol=1e-12)


def test_measured_covariance_is_textbook_optimal_interpolation():
    """Against daily maps made with the dense matrix of all days and cells."""
    covariance, _ = measured(K=4, offset=0.25)
    ocean = np.ones((3, 5), dtype=bool)
    ocean[0, :3] = False  # 12 cells of sea
    month = gappy_month(shape=(6, 3, 5), ocean=ocean)
    day, cell = (x.ravel() for x in np.indices((6, 12)))
    patterns = covariance.patterns[cell]  # (days * cells, K)
    lag = np.abs(day[:, None] - day)
    full = np.full(lag.shape, 0.25)
    for k in range(4):
        full += np.outer(patterns[:, k], patterns[:, k]) * covariance.memory[k][lag]
    values = month.sst[:, ocean].ravel()
    seen = np.isfinite(values)
    noise = np.diag(0.04 + covariance.rest[cell[seen]])
    matrix = full[np.ix_(seen, seen)] + noise
    daily = full[:, seen] @ np.linalg.solve(matrix, values[seen])
    result = covariance.interpolate(month, noise_variance=0.04)
    np.testing.assert_allclose(result[ocean], daily.reshape(6, 12).mean(0), rtol=1e-8, atol=1e-10)
    assert np.isnan(result[~ocean]).all()


def test_measured_covariance_of_a_day_is_textbook_optimal_interpolation():
    """Mapped before the mean is taken, the days have the mean that the month has."""
    covariance, _ = measured(K=4, offset=0.25)
    ocean = np.ones((3, 5), dtype=bool)
    ocean[0, :3] = False  # 12 cells of sea
    month = gappy_month(shape=(6, 3, 5), ocean=ocean)
    season = np.arange(6.0)[:, None, None] + np.zeros((6, 3, 5))
    month = Month(month.sst + season, ocean, season)
    seen = np.argwhere(month.observed[:, ocean])  # (n, 2), days and cells

    def between(a, b):
        lag = abs(a[0] - b[0])
        shared = covariance.patterns[a[1]] * covariance.patterns[b[1]] * covariance.memory[:, lag]
        return shared.sum() + 0.25

    matrix = np.array([[between(a, b) for b in seen] for a in seen])
    matrix += np.diag(0.04 + covariance.rest[seen[:, 1]])
    weight = np.linalg.solve(matrix, month.anomaly[:, ocean][tuple(seen.T)])
    days = []
    for day in range(6):
        days.append(covariance.interpolate(month, noise_variance=0.04, day=day))
        expected = [
            day + np.dot([between((day, cell), a) for a in seen], weight) for cell in range(12)
        ]
        np.testing.assert_allclose(days[day][ocean], expected, rtol=1e-8, atol=1e-10)
        assert np.isnan(days[day][~ocean]).all()
    assert np.ptp(np.stack(days)[:, ocean] - season[:, ocean], axis=0).min() > 0.01
    whole = covariance.interpolate(month, noise_variance=0.04)
    np.testing.assert_allclose(np.mean(days, axis=0), whole, rtol=1e-10)
    for day in (-1, 6):
        with pytest.raises(ValueError, match=f"day={day}: the month has days 0 to 5"):
            covariance.interpolate(month, day=day)


def test_measured_covariance_of_pieces_pairs_no_days_of_two_pieces():
    rng = np.random.default_rng(1)
    pieces = np.cumsum(rng.standard_normal((3, 40, 5)), axis=1)
    found = MeasuredCovariance.of(pieces, K=4)
    flat = pieces.reshape(120, 5)
    whole = MeasuredCovariance.of(flat, K=4)
    np.testing.assert_allclose(abs(found.patterns), abs(whole.patterns))
    np.testing.assert_allclose(found.rest, whole.rest, atol=1e-12)
    for k in range(4):
        pattern = found.patterns[:, k] / np.linalg.norm(found.patterns[:, k])
        for lag in (1, 7, 30):
            pairs = [
                (piece[t] @ pattern) * (piece[t + lag] @ pattern)
                for piece in pieces
                for t in range(40 - lag)
            ]
            # Over all days, not over the pairs: otherwise it may be no covariance that can be.
            expected = np.sum(pairs) / np.sum((flat @ pattern) ** 2)
            np.testing.assert_allclose(found.memory[k, lag], expected, rtol=1e-8, atol=1e-10)
    one, same = MeasuredCovariance.of(pieces[:1], K=4), MeasuredCovariance.of(pieces[0], K=4)
    for name in ("patterns", "memory", "rest"):
        np.testing.assert_array_equal(getattr(one, name), getattr(same, name))


def test_measured_covariance_of_few_days_can_be_one():
    rng = np.random.default_rng(2)
    covariance = MeasuredCovariance.of(np.cumsum(rng.standard_normal((1, 45, 6)), axis=1), K=5)
    lag = np.abs(np.arange(31)[:, None] - np.arange(31))
    for memory in covariance.memory:
        assert np.linalg.eigvalsh(memory[lag]).min() > -1e-9


def test_measured_covariance_of_a_month_without_observation_is_the_prior():
    covariance, _ = measured(K=4)
    ocean = np.ones((3, 4), dtype=bool)
    prior = np.full((2, 3, 4), 11.0)
    prior[1] = 13.0
    month = Month(np.full((2, 3, 4), NAN), ocean, prior)
    np.testing.assert_array_equal(covariance.interpolate(month), np.full((3, 4), 12.0))
    np.testing.assert_array_equal(covariance.interpolate(month, day=1), np.full((3, 4), 13.0))


def test_measured_covariance_refuses_another_ocean():
    covariance, _ = measured(K=4)
    with pytest.raises(ValueError, match="month has 15 ocean cells, the patterns have 12"):
        covariance.interpolate(gappy_month())


# ---------------------------------------------------------------- one day, and less of everything


@pytest.mark.parametrize("name", BASELINES)
def test_the_days_of_a_month_have_the_mean_of_the_month(name):
    """Every method is linear in its daily maps, or has the same map for all days."""
    rng = np.random.default_rng(4)
    ocean = np.ones((6, 7), dtype=bool)
    ocean[0, :2] = False
    sst = np.where(rng.random((9, 6, 7)) < 0.4, 15 + rng.standard_normal((9, 6, 7)), NAN)
    prior = 15 + np.arange(9)[:, None, None] * np.ones((6, 7)) / 10
    month, method = Month(sst, ocean, prior), BASELINES[name]
    days = np.stack([method(month, day=day) for day in range(9)])
    assert np.isnan(days[:, ~ocean]).all() and np.isfinite(days[:, ocean]).all()
    np.testing.assert_allclose(days.mean(0), method(month), rtol=1e-6)
    with pytest.raises(ValueError, match="day=9.*days 0 to 8"):
        method(month, day=9)


def test_one_day_by_hand():
    sst, prior = days_of([0, NAN, 2], [NAN, 4, NAN], [NAN] * 3), np.zeros((3, 1, 3))
    prior[1] = 10.0
    month = Month(sst, SEA, prior)
    np.testing.assert_array_equal(baselines.climatology_mean(month, day=1), [[10, 10, 10]])
    # Anomalies 0, 2 -> their line has 1 on day 1; -6 alone; the mean of 0, 2, -6 is -4 / 3.
    np.testing.assert_allclose(
        baselines.linear_in_time(month, day=1), [[11, 4, 10 - 4 / 3]]
    )
    np.testing.assert_allclose(baselines.mean_anomaly(month, day=1), [[11, 4, 10 - 4 / 3]])
    np.testing.assert_allclose(baselines.mean_of_days(month, day=1), [[1, 4, 2]])
    empty = Month(np.full((3, 1, 3), NAN), SEA, prior)
    np.testing.assert_array_equal(baselines.mean_of_days(empty, day=1), [[10, 10, 10]])


def a_sea(seed=0, days=200, size=6, offset=0.2):
    """The covariance of a smooth sea of size x size cells, and a month of it."""
    rng = np.random.default_rng(seed)
    row, col = (x.ravel() for x in np.indices((size, size)))
    root = np.exp(-np.hypot(row[:, None] - row, col[:, None] - col) / 3)
    anomaly = np.zeros((days, size * size))
    for t in range(1, days):
        anomaly[t] = 0.9 * anomaly[t - 1] + 0.2 * root @ rng.standard_normal(size * size)
    covariance = MeasuredCovariance.of(anomaly, K=20, offset=offset)
    truth = anomaly[-31:].reshape(31, size, size)
    noisy = truth + 0.3 * rng.standard_normal(truth.shape)
    sst = np.where(rng.random(truth.shape) < 0.3, noisy, NAN)
    ocean = np.ones((size, size), dtype=bool)
    return covariance, Month(sst, ocean, np.zeros(sst.shape), truth.mean(0), truth_of_days=truth)


def test_all_observations_are_the_nearest_when_so_many_are_asked_for():
    covariance, month = a_sea()
    n = int(month.observed.sum())
    for day in (None, 0, 15):
        full = covariance.interpolate(month, day=day)
        for nearest in (n, n + 1000):
            few = covariance.interpolate(month, nearest=nearest, day=day)
            np.testing.assert_allclose(few, full, rtol=1e-8, atol=1e-10)
    error = [
        np.sqrt(np.mean((covariance.interpolate(month, nearest=k) - month.truth) ** 2))
        for k in (1, 30, n)
    ]
    assert error[0] > error[1] > 0.9 * error[2]


def test_the_nearest_observation_is_the_one_that_tells_most():
    """One observation for each cell: of three, that with the largest correlation."""
    covariance, month = a_sea(offset=0.0)
    sst = np.full((3, 6, 6), NAN)
    places = [(0, 0, 0), (1, 2, 3), (2, 5, 5)]
    for place, value in zip(places, (1.0, -2.0, 3.0), strict=True):
        sst[place] = value
    month = Month(sst, month.ocean, np.zeros(sst.shape))
    answer = covariance.interpolate(month, nearest=1, day=1)
    cells = [6 * row + col for _, row, col in places]
    patterns, memory, rest = covariance.patterns, covariance.memory, covariance.rest
    for row, col in ((0, 1), (2, 2), (5, 4)):
        told = []
        for (d, i, j), c in zip(places, cells, strict=True):
            shared = (patterns[6 * row + col] * patterns[c]) @ memory[:, abs(d - 1)]
            own = patterns[c] @ patterns[c] + rest[c] + 0.09
            told.append((shared**2 / own, shared / own * sst[d, i, j]))
        np.testing.assert_allclose(answer[row, col], max(told)[1], rtol=1e-9)


def test_superobs_are_means_of_boxes():
    """A day seen in a whole box: one observation of its mean, with the noise of that."""
    covariance, month = a_sea(offset=0.0)
    sst = np.full((1, 6, 6), NAN)
    sst[0, 2:4, 4:6] = [[1.0, 2.0], [3.0, 6.0]]
    month = Month(sst, month.ocean, np.zeros(sst.shape))
    cells = [6 * row + col for row in (2, 3) for col in (4, 5)]
    mean = covariance.patterns[cells].mean(0)  # (K,)
    own = mean @ mean + (covariance.rest[cells] + 0.09).mean() / 4
    expected = covariance.patterns @ mean / own * 3.0
    found = covariance.interpolate(month, superob=2)
    np.testing.assert_allclose(found.ravel(), expected, rtol=1e-9)
    single = np.where(np.indices((6, 6)).sum(0) == 0, 1.0, NAN)[None]
    single = Month(single, month.ocean, np.zeros((1, 6, 6)))
    np.testing.assert_allclose(
        covariance.interpolate(single, superob=2), covariance.interpolate(single), rtol=1e-9
    )


def test_superobs_cost_little_error():
    covariance, month = a_sea(size=8)
    error = {
        superob: np.sqrt(
            np.mean((covariance.interpolate(month, superob=superob) - month.truth) ** 2)
        )
        for superob in (1, 2, 8)
    }
    assert error[1] < 1.02 * error[2] and error[2] < 1.5 * error[1] and error[2] < error[8]


def test_several_days_are_solved_at_once():
    covariance, month = a_sea()
    together = covariance.estimates(month, (None, 3, 30))
    for found, day in zip(together, (None, 3, 30), strict=True):
        np.testing.assert_array_equal(found, covariance.interpolate(month, day=day))
    empty = Month(np.full((4, 6, 6), NAN), month.ocean, np.full((4, 6, 6), 7.0))
    for small in ({}, {"superob": 2}, {"nearest": 5}):
        np.testing.assert_array_equal(covariance.interpolate(empty, **small), np.full((6, 6), 7.0))


def test_a_box_that_was_measured_serves_a_coast_in_it():
    covariance, month = a_sea()
    coast = month.ocean.copy()
    coast[:2, :4] = False
    cut = Month(month.sst, coast, month.prior)
    inside = MeasuredCovariance(
        covariance.patterns[coast.ravel()], covariance.memory, covariance.rest[coast.ravel()], 0.2
    )
    np.testing.assert_array_equal(covariance.interpolate(cut), inside.interpolate(cut))
    assert np.isnan(covariance.interpolate(cut)[:2, :4]).all()


def test_the_patterns_of_a_formula_are_the_formula():
    """All of them: then the same interpolation; few: nearly, the rest counts as noise."""
    formula, month = Covariance(), gappy_month(shape=(5, 4, 6))
    ocean = month.ocean.copy()
    ocean[0, 0] = False
    month = Month(month.sst, ocean, month.prior)
    for day in (None, 2):
        full = optimal_interpolation(month, formula, day=day)
        exact = MeasuredCovariance.of_formula(formula, ocean, K=23)
        np.testing.assert_allclose(exact.interpolate(month, day=day), full, rtol=1e-6, atol=1e-8)
        apart = [
            np.nanmax(np.abs(some.interpolate(month, day=day) - full))
            for some in (MeasuredCovariance.of_formula(formula, ocean, K) for K in (4, 18))
        ]
        assert 1e-6 < apart[1] < apart[0]
    variance = (exact.patterns**2).sum(1) + exact.rest
    np.testing.assert_allclose(variance, 1.0)


def test_optimal_interpolation_refuses_more_than_memory_allows():
    month = Month(np.zeros((2, 1, 3)), SEA, np.zeros((2, 1, 3)))
    with pytest.raises(ValueError, match="max_observations=5"):
        optimal_interpolation(month, max_observations=5)
    covariance, _ = measured(cells=3, K=2)
    with pytest.raises(ValueError, match="max_observations=5"):
        covariance.interpolate(month, max_observations=5)


def test_fit_covariance_recovers_its_own_field():
    """White noise filtered to exp(-t/7) in time, smooth in space: the scales come back."""
    rng = np.random.default_rng(0)
    H = W = 24
    r = np.hypot(*(a[:, None] - a for a in (i.ravel() for i in np.indices((H, W)))))
    root = np.linalg.cholesky(np.exp(-((r / 6) ** 2)) + 1e-6 * np.eye(H * W))
    rho = np.exp(-1 / 10)
    field = np.empty((2500, H * W))
    field[0] = root @ rng.standard_normal(H * W)
    for t in range(1, len(field)):
        field[t] = rho * field[t - 1] + np.sqrt(1 - rho**2) * root @ rng.standard_normal(H * W)
    c = baselines.fit_covariance(field.reshape(-1, H, W), max_cells=10, max_days=30)
    r, t = np.array([0.0, 4.0, 8.0, 0.0]), np.array([0.0, 0.0, 0.0, 10.0])
    fitted = sum(s * f for s, f in zip(c.space(r), c.time(t), strict=True))
    np.testing.assert_allclose(fitted, np.exp(-((r / 6) ** 2) - t / 10), atol=0.1)


def test_dineof_completes_a_rank_one_field():
    # x(t, cell) = a(t) b(cell): EOFs must find the hidden tenth, the mean anomaly cannot.
    rng = np.random.default_rng(1)
    field = np.sin(np.arange(30) / 3)[:, None, None] * np.linspace(-1, 1, 64).reshape(1, 8, 8)
    sst = np.where(rng.random(field.shape) < 0.7, field, NAN)
    ocean = np.ones((8, 8), dtype=bool)
    month = Month(sst, ocean, np.zeros_like(field))
    error = baselines.dineof(month) - field.mean(0)
    other = baselines.mean_anomaly(month) - field.mean(0)
    assert np.abs(error).max() < 0.02 < np.abs(other).max()


def test_dineof_of_noise_chooses_no_eof():
    rng = np.random.default_rng(2)
    sst = np.where(rng.random((20, 8, 8)) < 0.5, rng.standard_normal((20, 8, 8)), NAN)
    matrix = sst.reshape(20, -1).T
    seen = np.isfinite(matrix)
    aside = seen & (rng.random(seen.shape) < 0.3)
    assert baselines._chosen_rank(np.where(seen, matrix, 0), seen, aside, 5) == 0


# ---------------------------------------------------------------- the common contract


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 6, 5), (31, 9, 4), (28, 1, 12)])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.3, 1.0])
@pytest.mark.parametrize("with_climatology", [True, False])
def test_contract(name, shape, share, with_climatology):
    rng = np.random.default_rng(0)
    ocean = rng.random(shape[1:]) < 0.8
    ocean[0, 0] = True
    sst = 15 + rng.standard_normal(shape)
    sst[rng.random(shape) >= share] = NAN
    if share:
        sst[0, 0, 0] = 15.0  # at least one observation
    before = sst.copy()
    prior = np.full(shape, 14.0) if with_climatology else None
    result = BASELINES[name](Month(sst, ocean, prior))
    assert result.shape == shape[1:]
    assert np.isfinite(result[ocean]).all() and np.isnan(result[~ocean]).all()
    np.testing.assert_array_equal(sst, before)


@pytest.mark.parametrize("name", BASELINES)
def test_values_on_land_do_not_count(name):
    sst = np.full((3, 4, 4), 15.0)
    ocean = np.ones((4, 4), dtype=bool)
    ocean[0] = False
    sst[:, 0] = 99.0
    result = BASELINES[name](Month(sst, ocean, np.full(sst.shape, 15.0)))
    np.testing.assert_allclose(result[1:], 15.0, atol=1e-5)


def test_bad_input_is_named():
    """Every baseline gets a `Month`, and there is no other way to one."""
    ocean = np.ones((4, 4), dtype=bool)
    with pytest.raises(ValueError, match="degC"):
        Month(np.full((3, 4, 4), 288.0), ocean)
    with pytest.raises(ValueError, match="ocean must be bool"):
        Month(np.zeros((3, 4, 4)), ocean.astype(int))
    with pytest.raises(ValueError, match="sst must be"):
        Month(np.zeros((4, 4)), ocean)
    with pytest.raises(ValueError, match="prior"):
        Month(np.zeros((3, 4, 4)), ocean, np.zeros((2, 4, 4)))


def test_between_near_and_far_a_gaussian_four_times_wider_answers():
    """Two observations 40 cells apart: 10 cells off only the nearer one counts, not a blend."""
    sst = np.full((1, 1, 41), np.nan)
    sst[0, 0, [0, 40]] = 11.0, 9.0
    month = Month(sst, np.ones((1, 41), bool), np.full(sst.shape, 10.0))
    filled = baselines.gaussian(month)[0]
    np.testing.assert_allclose(filled[[0, 10, 20, 30, 40]], [11, 11, 10, 9, 9], atol=1e-3)


def test_dineof_holds_out_others_with_another_seed():
    random = np.random.default_rng(0)
    waves = np.sin(np.outer(np.arange(28), [0.2, 0.5, 0.9])) @ random.normal(size=(3, 36))
    sst = 15 + waves.reshape(28, 6, 6) + 0.5 * random.normal(size=(28, 6, 6))
    sst[random.random(sst.shape) < 0.5] = np.nan
    month = Month(sst, np.ones((6, 6), bool))
    maps = [baselines.dineof(month, seed=seed) for seed in range(6)]
    assert len({m.tobytes() for m in maps}) > 1  # the number of patterns hangs on them
    np.testing.assert_array_equal(baselines.dineof(month, seed=3), maps[3])
