"""Successive corrections and the other options of the network, against slow explicit loops."""

import math

import pytest
import torch

from sst_tutorial.model import SpatioTemporalModel, SuccessiveCorrections, month_mean

FULL = dict(
    embed_dim=16, hidden=16, spatial_heads=2, passes=4, adapt=True, day_heads=4, skip=True, refine=2
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


def test_passes_are_their_definition():
    x, observed = gappy()
    corrections = SuccessiveCorrections(passes=3)
    torch.nn.init.normal_(corrections.log_noise)
    analysis, increments, counts = corrections(x, observed)
    expected = torch.zeros_like(x, dtype=torch.float64)
    seen = observed.double()
    for p in range(3):
        cells, days, noise, gain = (
            numbers[p].exp().item()
            for numbers in (
                corrections.log_cells,
                corrections.log_days,
                corrections.log_noise,
                corrections.log_gain,
            )
        )
        count = spread(seen, cells, days)
        increment = gain * spread((x - expected) * seen, cells, days) / (count + noise)
        torch.testing.assert_close(counts[p].double(), count, atol=1e-4, rtol=1e-5)
        torch.testing.assert_close(increments[p].double(), increment, atol=1e-4, rtol=1e-4)
        expected = expected + increment
    torch.testing.assert_close(analysis.double(), expected, atol=1e-4, rtol=1e-4)


def test_what_was_not_observed_does_not_matter():
    x, observed = gappy()
    corrections = SuccessiveCorrections(passes=4, adapt=True)
    torch.nn.init.normal_(corrections.tune[2].weight, std=0.1)
    clean = corrections(x, observed)[0]
    x[~observed] = math.nan
    torch.testing.assert_close(corrections(x, observed)[0], clean)


def test_kernels_hold_no_denormal_numbers():
    """They are right but slow: a CPU multiplies them a hundred times slower."""
    x, observed = gappy(B=1, H=40, W=40, share=0.02)
    with torch.no_grad():
        _, increments, counts = SuccessiveCorrections(passes=12)(x, observed)
    smallest = torch.finfo(torch.float32).tiny
    for map in (*increments, *counts):
        assert not ((map != 0) & (map.abs() < smallest)).any()


def test_each_month_of_a_batch_adapts_by_itself():
    x, observed = gappy(B=3)
    observed[1] &= gappy(B=1, share=0.2, seed=1)[1][0]
    corrections = SuccessiveCorrections(passes=4, adapt=True)
    torch.nn.init.normal_(corrections.tune[2].weight, std=0.5)
    together = corrections(x, observed)[0]
    for i in range(3):
        alone = corrections(x[i : i + 1], observed[i : i + 1])[0]
        torch.testing.assert_close(together[i], alone[0], atol=1e-5, rtol=1e-5)


def test_a_month_without_observation_gets_no_correction():
    x, observed = gappy()
    for adapt in (False, True):
        corrections = SuccessiveCorrections(passes=4, adapt=adapt)
        assert (corrections(x, torch.zeros_like(observed))[0] == 0).all()


def test_gradients_reach_all_four_numbers():
    x, observed = gappy()
    corrections = SuccessiveCorrections(passes=3)
    corrections(x, observed)[0].square().mean().backward()
    for name, parameter in corrections.named_parameters():
        assert parameter.grad.isfinite().all() and (parameter.grad != 0).all(), name


def test_month_mean_leaves_out_days_that_do_not_exist():
    daily, _ = gappy(B=2, T=4)
    days_mask = torch.tensor([[False, False, True, True], [True] * 4])
    mean = month_mean(daily, days_mask)
    torch.testing.assert_close(mean[0], daily[0, :2].mean(0))
    assert (mean[1] == 0).all()
    torch.testing.assert_close(month_mean(daily, None), daily.mean(1))


def model(**options):
    torch.manual_seed(0)
    return SpatioTemporalModel(**FULL | options).eval()


def inputs(B=2, T=31, H=16, W=20):
    x, observed = gappy(B, T, H, W, share=0.2)
    land = torch.zeros(B, H, W, dtype=torch.bool)
    land[:, :3, :5] = True
    days_mask = torch.zeros(B, T, dtype=torch.bool)
    days_mask[0, 28:] = True
    return x[:, None], ~observed[:, None], land, days_mask


def test_before_training_the_answer_is_the_analysis():
    data, mask, land, days_mask = inputs()
    out, first_guess = model()(data, mask, land, days_mask, return_first_guess=True)
    torch.testing.assert_close(out, first_guess)
    assert (out[land] == 0).all() and (out[~land] != 0).any()


@pytest.mark.parametrize("options", [{}, {"adapt": False}, {"skip": False}, {"refine": 0}])
def test_padding_days_and_what_lies_under_the_mask_change_nothing(options):
    network = model(**options)
    torch.nn.init.normal_(network.decoder.head[3].weight)
    data, mask, land, days_mask = inputs(B=1)
    whole = network(data, mask, land, days_mask)
    short = network(data[:, :, :28], mask[:, :, :28], land)
    torch.testing.assert_close(whole, short, atol=1e-4, rtol=1e-4)
    data[mask | land[:, None, None]] = math.nan
    torch.testing.assert_close(network(data, mask, land, days_mask), whole)


def test_options_that_need_passes_say_so():
    for options, text in (
        ({"passes": 0, "adapt": False}, "need passes > 0"),
        ({"passes": 2}, "at least 3, got 2"),
        ({"in_chans": 2}, "needs in_chans=1, got 2"),
    ):
        with pytest.raises(ValueError, match=text):
            model(**options)


def test_a_second_channel_is_not_ignored():
    data, mask, land, days_mask = inputs()
    with pytest.raises(ValueError, match="has 2 channels, a network with passes reads one"):
        model()(data.repeat(1, 2, 1, 1, 1), mask.repeat(1, 2, 1, 1, 1), land, days_mask)
