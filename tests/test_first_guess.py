"""First guesses against slow explicit loops, and what they hand on to a network."""

import math

import pytest
import torch

from sst_tutorial.first_guess import (
    GaussianMean,
    SuccessiveCorrections,
    _motion,
    gaussian_analysis,
    gaussian_mean,
    month_mean,
)


def gappy(B=2, T=5, H=8, W=12, share=0.3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(B, T, H, W, generator=generator)
    return x, torch.rand(B, T, H, W, generator=generator) < share


def spread(field, cells, days):
    """Sum of kernel times field over all other places and days, cell by cell, in float64."""
    B, T, H, W = field.shape
    out = torch.zeros_like(field)
    day, row, col = torch.arange(T), torch.arange(H), torch.arange(W)
    for t in range(T):
        for h in range(H):
            for w in range(W):
                near = -0.5 * ((row[:, None] - h) ** 2 + (col - w) ** 2) / cells**2  # (H, W)
                kernel = torch.exp(near - (day - t).abs()[:, None, None] / days)  # (T, H, W)
                out[:, t, h, w] = (kernel * field).sum((1, 2, 3))
    return out


def adapting(iterations=4, std=0.5):
    torch.manual_seed(0)
    corrections = SuccessiveCorrections(iterations, adapt=True)
    torch.nn.init.normal_(corrections.tune[2].weight, std=std)
    return corrections


# ---------------------------------------------------------------- successive corrections


def test_iterations_are_their_definition():
    x, observed = gappy()
    corrections = SuccessiveCorrections(iterations=3)
    torch.nn.init.normal_(corrections.log_noise)
    analysis, increments, counts = corrections.analyse(x, observed)
    expected = torch.zeros_like(x, dtype=torch.float64)
    seen = observed.double()
    for i in range(3):
        cells, days, noise, gain = (
            numbers[i].exp().item()
            for numbers in (
                corrections.log_cells,
                corrections.log_days,
                corrections.log_noise,
                corrections.log_gain,
            )
        )
        count = spread(seen, cells, days)
        increment = gain * spread((x - expected) * seen, cells, days) / (count + noise)
        torch.testing.assert_close(counts[i].double(), count, atol=1e-4, rtol=1e-5)
        torch.testing.assert_close(increments[i].double(), increment, atol=1e-4, rtol=1e-4)
        expected = expected + increment
    torch.testing.assert_close(analysis.double(), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("junk", [math.nan, math.inf, 1e30])
def test_what_was_not_observed_does_not_matter(junk):
    x, observed = gappy()
    corrections = adapting(std=0.1)
    clean = corrections.analyse(x, observed)[0]
    x[~observed] = junk
    torch.testing.assert_close(corrections.analyse(x, observed)[0], clean, atol=0, rtol=0)


def test_kernels_hold_no_denormal_numbers():
    """They are right but slow: a CPU multiplies them a hundred times slower."""
    x, observed = gappy(B=1, H=40, W=40, share=0.02)
    with torch.no_grad():
        _, increments, counts = SuccessiveCorrections(iterations=12).analyse(x, observed)
    smallest = torch.finfo(torch.float32).tiny
    for map in (*increments, *counts):
        assert not ((map != 0) & (map.abs() < smallest)).any()


def test_each_month_of_a_batch_adapts_by_itself():
    x, observed = gappy(B=3)
    observed[1] &= gappy(B=1, share=0.2, seed=1)[1][0]
    corrections = adapting()
    together = corrections.analyse(x, observed)[0]
    for i in range(3):
        alone = corrections.analyse(x[i : i + 1], observed[i : i + 1])[0]
        torch.testing.assert_close(together[i], alone[0], atol=1e-5, rtol=1e-5)
    torch.nn.init.zeros_(corrections.tune[2].weight)  # no longer the same for every month
    assert not torch.allclose(corrections.analyse(x, observed)[0], together)


def test_days_without_observation_at_the_end_change_nothing():
    x, observed = gappy(T=20)
    corrections = adapting()
    expected = corrections.analyse(x, observed)[0]
    x, observed = (torch.cat([a, torch.zeros_like(a[:, :11])], 1) for a in (x, observed))
    found = corrections.analyse(x, observed)[0][:, :20]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_a_month_without_observation_gets_no_correction():
    x, observed = gappy()
    nothing = torch.zeros_like(observed)
    for corrections in (SuccessiveCorrections(4), adapting()):
        assert (corrections.analyse(x, nothing)[0] == 0).all()


def noisy(error, seed=0):
    """A smooth month seen through white noise of these errors: (truth, seen, observed)."""
    generator = torch.Generator().manual_seed(seed)
    row, col = torch.arange(24.0)[:, None], torch.arange(24.0)
    truth = (torch.sin(row / 5) + torch.cos(col / 4)).expand(error.shape)
    seen = truth + error * torch.randn(error.shape, generator=generator)
    return truth, seen, torch.rand(error.shape, generator=generator) < 0.5


def sensors(good, bad, shape=(2, 9, 24, 24), seed=1):
    which = torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < 0.5
    return torch.where(which, good, bad)


def test_errors_that_are_alike_or_not_told_change_nothing():
    error = torch.full((2, 9, 24, 24), 0.3)
    _, x, observed = noisy(error)
    for corrections in (SuccessiveCorrections(6), adapting()):
        expected = corrections.analyse(x, observed)
        for told in (error, torch.zeros_like(error)):
            found = corrections.analyse(x, observed, error=told)
            torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_an_observation_with_a_large_error_counts_less():
    error = sensors(0.1, 0.9)
    truth, x, observed = noisy(error)
    corrections = SuccessiveCorrections(6)
    blind, told = (corrections.analyse(x, observed, error=e)[0] - truth for e in (None, error))
    assert told.square().mean() < 0.8 * blind.square().mean()


def test_errors_that_the_observations_do_not_bear_out_are_not_believed():
    claimed, true = sensors(0.1, 0.9), torch.full((2, 9, 24, 24), 0.3)
    _, x, observed = noisy(true)
    _, worse, _ = noisy(claimed)
    corrections = SuccessiveCorrections(6)

    def moved(x, error):
        found, blind = (corrections.analyse(x, observed, error=e)[0] for e in (error, None))
        return (found - blind).std()

    assert moved(x, claimed) < 0.05 * moved(worse, claimed)
    assert moved(worse, 1.0 - claimed) == 0  # told the wrong way round


def test_a_network_reads_the_plain_counts_whatever_errors_are_told():
    error = sensors(0.1, 0.9)
    _, x, observed = noisy(error)
    corrections = SuccessiveCorrections(6)
    _, blind_steps, blind = corrections.analyse(x, observed)
    _, steps, counts = corrections.analyse(x, observed, error=error)
    torch.testing.assert_close(counts, blind, atol=0, rtol=0)
    assert not torch.allclose(steps[-1], blind_steps[-1], atol=1e-3)


def test_each_month_of_a_batch_has_its_own_errors():
    error = sensors(0.1, 0.9)
    error[1] = 0.3
    _, x, observed = noisy(error)
    corrections = adapting()
    together = corrections.analyse(x, observed, error=error)[0]
    for i in range(2):
        part = slice(i, i + 1)
        alone = corrections.analyse(x[part], observed[part], error=error[part])[0]
        torch.testing.assert_close(together[part], alone, atol=1e-5, rtol=1e-5)


def test_gradients_reach_all_four_numbers():
    x, observed = gappy()
    corrections = SuccessiveCorrections(iterations=3)
    corrections.analyse(x, observed)[0].square().mean().backward()
    for name, parameter in corrections.named_parameters():
        assert parameter.grad.isfinite().all() and (parameter.grad != 0).all(), name


def test_the_four_numbers_are_those_of_the_start_and_of_each_month_if_they_adapt():
    x, observed = gappy()
    corrections = SuccessiveCorrections(iterations=3)
    cells, days, noise, gain = (n[:, 0, 0, 0] for n in corrections.numbers(x, observed.float()))
    torch.testing.assert_close(cells, torch.tensor([24.0, 24.0**0.5, 1.0]))
    torch.testing.assert_close(days[[0, -1]].log().diff(), torch.tensor([-2.0]))
    torch.testing.assert_close(noise.log(), torch.full((3,), -0.5))
    torch.testing.assert_close(gain.log(), torch.full((3,), 0.4))
    of_each = adapting().numbers(x, observed.float())
    assert all(n.shape[1:] == (len(x), 1, 1) for n in of_each)


def test_too_few_iterations_are_refused():
    with pytest.raises(ValueError, match="iterations must be at least 3, got 2"):
        SuccessiveCorrections(iterations=2)


# ---------------------------------------------------------------- what is handed on


def month(B=2, T=31, H=8, W=12):
    """What `Estimator` gives a first guess: 0 where not observed, land, and a month of 28 days."""
    x, observed = gappy(B, T, H, W, share=0.2)
    ocean, exists = torch.ones(B, H, W, dtype=torch.bool), torch.ones(B, T, dtype=torch.bool)
    ocean[:, :3, :5] = False
    exists[0, 28:] = False
    observed &= ocean[:, None] & exists[:, :, None, None]
    return x.masked_fill(~observed, 0.0), observed, ocean, exists


def asked(exists):
    """Days of which the mean is asked: one of the first sample, a week of the second."""
    wanted = torch.zeros_like(exists)
    wanted[0, 4] = wanted[1, 10:17] = True
    return wanted


@pytest.mark.parametrize("first_guess", [GaussianMean(), adapting()])
@pytest.mark.parametrize("some", [False, True])
def test_what_is_handed_on_has_the_shapes_it_says(first_guess, some):
    x, observed, ocean, exists = month()
    wanted = asked(exists) if some else None
    mean, daily, channels, known, maps = first_guess(x, observed, ocean, exists, wanted)
    assert mean.shape == (2, 8, 12) and daily.shape == (2, 31, 8, 12)
    assert channels.shape == known.shape == (2, first_guess.chans, 31, 8, 12)
    assert maps.shape[:2] == (2, first_guess.skip_chans) and known.dtype == torch.bool
    assert (mean[~ocean] == 0).all() and (mean[ocean] != 0).all()
    expected = month_mean(daily, wanted if some else exists)
    torch.testing.assert_close(mean[ocean], expected[ocean])
    assert channels.isfinite().all() and maps.isfinite().all()
    assert not (known & ~(ocean[:, None] & exists[:, :, None, None])[:, None]).any()
    assert (known.any(1) >= observed).all()  # what was observed is told


@pytest.mark.parametrize("some", [False, True])
def test_channels_and_maps_of_corrections_are_what_they_say(some):
    x, observed, ocean, exists = month()
    corrections = adapting(iterations=4)
    wanted = asked(exists) if some else exists
    guess = corrections(x, observed, ocean, exists, wanted if some else None)
    analysis, increments, counts = corrections.analyse(x, observed)
    torch.testing.assert_close(guess.daily, analysis)
    misfit = torch.where(observed, x - analysis, 0.0)
    there = ocean[:, None] & exists[:, :, None, None]
    torch.testing.assert_close(guess.channels[:, 0], misfit)
    torch.testing.assert_close(guess.channels[:, 1], analysis)
    assert torch.equal(guess.known[:, 0], observed) and torch.equal(guess.known[:, 1], there)
    days = wanted[:, :, None, None]
    number = (observed & days).sum(1).float()
    expected = [
        *(month_mean(sum(increments[: i + 1]), wanted) - guess.mean for i in range(3)),
        guess.mean,
        *(month_mean(count, wanted).log1p() for count in counts),
        number.log1p(),
        (misfit * days).sum(1) / (number + 1),
        torch.ones_like(number),
    ]
    expected = torch.stack(expected, 1) * ocean[:, None]
    torch.testing.assert_close(guess.maps, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("first_guess", [GaussianMean(), adapting()])
def test_the_question_changes_the_mean_and_the_maps_alone(first_guess):
    x, observed, ocean, exists = month()
    whole = first_guess(x, observed, ocean, exists)
    same = first_guess(x, observed, ocean, exists, exists)
    for ours, theirs in zip(same, whole, strict=True):
        assert torch.equal(ours, theirs)
    some = first_guess(x, observed, ocean, exists, asked(exists))
    for name in ("daily", "channels", "known"):
        assert torch.equal(getattr(some, name), getattr(whole, name))
    assert not torch.allclose(some.mean, whole.mean, atol=0.01)
    assert some.maps.shape == whole.maps.shape
    assert not some.maps.numel() or not torch.allclose(some.maps, whole.maps, atol=0.01)
    none = first_guess(x, observed, ocean, exists, torch.zeros_like(exists))
    assert (none.mean == 0).all() and none.maps.isfinite().all()


@pytest.mark.parametrize("first_guess", [GaussianMean(), adapting()])
def test_days_asked_one_by_one_have_the_mean_of_the_month(first_guess):
    x, observed, ocean, exists = month()
    for b, days in ((0, 28), (1, 31)):
        one = [a[b : b + 1].expand(days, *a.shape[1:]) for a in (x, observed, ocean, exists)]
        each = first_guess(*one, torch.eye(31, dtype=torch.bool)[:days]).mean
        whole = first_guess(*(a[:1] for a in one))
        torch.testing.assert_close(each.mean(0), whole.mean[0], atol=1e-5, rtol=1e-5)
        days_of_analysis = whole.daily[0, :days].masked_fill(~ocean[b], 0.0)
        torch.testing.assert_close(each, days_of_analysis, atol=1e-5, rtol=1e-5)


def test_the_gaussian_hands_on_the_anomalies_themselves():
    x, observed, ocean, exists = month()
    guess = GaussianMean(cells=2.0, days=1.5)(x, observed, ocean, exists)
    assert torch.equal(guess.channels[:, 0], x) and torch.equal(guess.known[:, 0], observed)
    torch.testing.assert_close(guess.daily, gaussian_analysis(x, observed, 2.0, 1.5))
    assert not torch.allclose(guess.daily, gaussian_analysis(x, observed))
    expected = gaussian_mean(x, observed, 2.0, 1.5, exists).masked_fill(~ocean, 0.0)
    torch.testing.assert_close(guess.mean, expected)


def test_month_mean_leaves_out_days_that_do_not_exist():
    daily, _ = gappy(B=2, T=4)
    exists = torch.tensor([[True, True, False, False], [False] * 4])
    mean = month_mean(daily, exists)
    torch.testing.assert_close(mean[0], daily[0, :2].mean(0))
    assert (mean[1] == 0).all()
    torch.testing.assert_close(month_mean(daily, torch.ones_like(exists)), daily.mean(1))


def test_month_mean_of_several_questions_about_one_month():
    daily, _ = gappy(B=1, T=4)
    wanted = torch.tensor([[True] * 4, [False, True, False, False], [False] * 4])
    mean = month_mean(daily, wanted)
    torch.testing.assert_close(mean[0], daily[0].mean(0))
    torch.testing.assert_close(mean[1], daily[0, 1])
    assert mean.shape == (3, 8, 12) and (mean[2] == 0).all()


@pytest.mark.parametrize("first_guess", [GaussianMean(), adapting()])
def test_a_month_is_read_once_and_asked_often(first_guess):
    """Several questions about one month as each of them alone; and a call is read and answer."""
    x, observed, ocean, exists = (a[:1] for a in month())
    day = torch.arange(31)
    wanted = torch.stack([exists[0], day == 4, day < 3, day < 0])
    answers = first_guess.answer(first_guess.read(x, observed, ocean, exists), wanted)
    for q, question in enumerate(wanted):
        alone = first_guess(x, observed, ocean, exists, question[None])
        for name in ("daily", "channels", "known"):
            assert torch.equal(getattr(answers, name), getattr(alone, name))
        torch.testing.assert_close(answers.mean[q], alone.mean[0], atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(answers.maps[q], alone.maps[0], atol=1e-5, rtol=1e-5)


# ---------------------------------------------------------------- how fast the sea changes


def test_motion_is_the_mean_square_of_pairs():
    """Against loops over all pairs; five pairs that know only the spread are added."""
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(2, 7, 8, 9, generator=rng).double()
    seen = torch.rand(x.shape, generator=rng) < 0.4
    found = _motion(x * seen, seen.double()).exp()
    for b in range(2):
        values = x[b][seen[b]]
        spread = values.var(unbiased=False) + 1e-3
        torch.testing.assert_close(found[b, 1], spread)
        for column, (axis, lag) in enumerate(((2, 1), (2, 4), (0, 1), (0, 3)), start=2):
            squares = [10 * spread]
            for place in seen[b].nonzero().tolist():
                other = list(place)
                other[axis] += lag
                if other[axis] < x.shape[axis + 1] and seen[b][tuple(other)]:
                    squares.append((x[b][tuple(place)] - x[b][tuple(other)]).square())
            expected = sum(squares) / (len(squares) - 1 + 5)
            torch.testing.assert_close(found[b, column], expected)


def test_motion_of_nothing_is_finite_and_padding_days_change_nothing():
    nothing = torch.zeros(1, 3, 2, 2)
    assert _motion(nothing, nothing).isfinite().all()
    rng = torch.Generator().manual_seed(1)
    x, seen = torch.randn(1, 28, 8, 8, generator=rng), torch.ones(1, 28, 8, 8)
    longer = [torch.cat([a, torch.zeros(1, 3, 8, 8)], 1) for a in (x, seen)]
    torch.testing.assert_close(_motion(*longer), _motion(x, seen))


@torch.no_grad()
def test_padding_and_land_do_not_bend_corrections_that_see_motion():
    """Their coverage is of the ocean: a map padded with land has the same first guess (that of
    `ocean-1` moves by some mK)."""
    rng = torch.Generator().manual_seed(3)
    x, seen = torch.randn(2, 31, 8, 8, generator=rng), torch.rand(2, 31, 8, 8, generator=rng) < 0.3
    ocean, exists = torch.ones(2, 8, 8, dtype=torch.bool), torch.ones(2, 31, dtype=torch.bool)
    wide = [torch.nn.functional.pad(a, (0, 8, 0, 4)) for a in (x, seen, ocean)]
    for motion in (True, False):
        corrections = SuccessiveCorrections(4, adapt=True, motion=motion)
        torch.manual_seed(0)
        torch.nn.init.normal_(corrections.tune[2].weight, std=0.3)
        narrow = corrections(x * seen, seen, ocean, exists).mean
        padded = corrections(wide[0] * wide[1], wide[1], wide[2], exists).mean[:, :8, :8]
        same = torch.allclose(narrow, padded, atol=1e-5)
        assert same == motion
