"""Space-time blocks: attention against slow loops, who is heard, and the network without them."""

import math

import pytest
import torch
from torch.nn import functional as F

from sst_tutorial.model import SpatioTemporalModel, TemporalAttentionAggregator, sincos_table
from sst_tutorial.space_time import DailyHead, Question, SpaceTime, _Attention, _positions


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def loud(module):
    """The module with every parameter at random: nothing is zero or one by birth."""
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return module


def tokens(B=2, T=4, N=3, D=16, share=0.6):
    """x (B, TN, D), marks of day (T, D) and place (N, D), and known (B, T, N)."""
    known = torch.rand(B, T, N) < share
    return torch.randn(B, T * N, D), torch.randn(T, D), torch.randn(N, D), known


def row(T=4, N=3):
    """The grid of `tokens`: one row of N patches."""
    return T, 1, N


# ---------------------------------------------------------------- by definition


def listen(module, line, known, position):
    """What the tokens (L, D) of one line hear, one head and token after the other; position
    (L, dims). The last numbers of a head are no part of what is asked and said, see `_Attention`.
    """
    D, spare = line.shape[1], position.shape[1] + 3
    x = module.norm(line)
    q, k, v = module.q(x), module.k(x), module.v(x)  # (L, D) each
    heard = torch.zeros_like(line)
    for head in range(module.heads):
        first, end = head * D // module.heads, (head + 1) * D // module.heads
        said, mine = slice(first, end - spare), slice(first, end)
        reach = math.inf if head == module.heads - 1 else 2.0**head
        for i in range(len(line)):
            scale = math.sqrt(end - first)
            shares = [torch.exp(q[i, said] @ module.null[said] / scale)]
            values = [torch.zeros_like(v[i, mine])]
            for j in range(len(line)):
                if known[j]:
                    far = (position[i] - position[j]).square().sum() / reach**2
                    shares.append(torch.exp(q[i, said] @ k[j, said] / scale - far / 2))
                    values.append(v[j, mine])
            total = sum(shares)
            heard[i, mine] = sum(s / total * v for s, v in zip(shares, values, strict=True))
    return module.out(heard)


@torch.no_grad()
def test_blocks_are_their_definition():
    B, T, N, D = 2, 4, 6, 24
    mixer = loud(SpaceTime(D, blocks=2, heads=3)).double()
    x, day, place, known = tokens(B, T, N, D)
    x, day, place = x.double(), day.double(), place.double()
    found = mixer(x, day, place, known, (T, 2, 3))
    when = torch.tensor([[0.0], [1], [2], [3]]).double()
    where = torch.tensor([[0.0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]).double()
    assert found.shape == x.shape and found.dtype == torch.float64
    expected = x.view(B, T, N, D).clone()
    for t in range(T):
        for n in range(N):
            expected[:, t, n] += mixer.loudness[0] * day[t] + mixer.loudness[1] * place[n]
    for block in mixer.blocks:
        before = expected.clone()
        for b in range(B):
            for n in range(N):
                expected[b, :, n] += listen(block.over_days, before[b, :, n], known[b, :, n], when)
        before = expected.clone()
        for b in range(B):
            for t in range(T):
                expected[b, t] += listen(block.over_places, before[b, t], known[b, t], where)
        norm, wide, act, narrow = block.mlp
        expected = expected + narrow(act(wide(norm(expected))))
    torch.testing.assert_close(found, expected.flatten(1, 2))


@pytest.mark.parametrize("heads", [1, 2, 4])
@pytest.mark.parametrize("axis", [1, 2])
@torch.no_grad()
def test_attention_is_its_definition(heads, axis):
    module = loud(_Attention(32, heads, axis)).double()
    x, known = torch.randn(2, 3, 5, 32).double(), torch.rand(2, 3, 5) < 0.5
    known[0, 0], known[0, 1] = True, False
    position = _positions((3, 1, 5), x.device)[axis - 1].double()
    found = module(x, known, position)
    for b in range(2):
        for a in range(5 if axis == 1 else 3):
            line = (b, slice(None), a) if axis == 1 else (b, a)
            torch.testing.assert_close(found[line], listen(module, x[line], known[line], position))


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_attention_written_in_place_is_the_one_that_learns(axis, dtype):
    module = loud(_Attention(32, 4, axis)).to(dtype)
    x, known = torch.randn(2, 7, 6, 32, dtype=dtype), torch.rand(2, 7, 6) < 0.7
    known[0, 0], known[1, :, 2] = False, False
    position = _positions((7, 2, 3), x.device)[axis - 1]
    learning, before = module(x, known, position), x.clone()
    assert learning.requires_grad
    with torch.inference_mode():
        quick = module(x, known, position)
        other = module(x, torch.ones_like(known), position)
    torch.testing.assert_close(quick, learning, atol=1e-5, rtol=1e-5)
    assert torch.equal(x, before) and (other - quick).abs().max() > 1e-2


def test_a_null_key_that_draws_all_silences_the_others():
    module = loud(_Attention(16, 2, 2))
    x, known = torch.randn(1, 1, 4, 16), torch.ones(1, 1, 4, dtype=torch.bool)
    with torch.no_grad():
        module.q.weight[:] = 1  # all ask for the same thing,
        module.norm = torch.nn.Identity()
        module.null[:] = 1e4 * torch.sign(x.sum())
    x = x.abs() * torch.sign(x.sum())
    where = _positions((1, 1, 4), x.device)[1]
    torch.testing.assert_close(module(x, known, where), torch.zeros(1, 1, 4, 16))


# ---------------------------------------------------------------- who is heard


def test_tokens_that_are_not_known_are_never_heard():
    mixer = loud(SpaceTime(16, blocks=2, heads=2))
    x, day, place, known = tokens()
    expected, told = mixer(x, day, place, known, row()), known.flatten(1)
    for junk in (1e4, -1e4):
        other = x.masked_fill(~told[..., None], junk).requires_grad_()
        found = mixer(other, day, place, known, row())
        assert torch.equal(found[told], expected[told])
        assert not torch.allclose(found[~told], expected[~told])
        (gradient,) = torch.autograd.grad(found[told].square().sum(), other)
        assert (gradient[~told] == 0).all() and (gradient[told] != 0).any(-1).all()
    # Nor by each other: a token that is not known depends on itself and on those that are.
    one = torch.zeros_like(told)
    one[0, (~told[0]).nonzero()[0, 0]] = True
    found = mixer(x.masked_fill(one[..., None], 7.0), day, place, known, row())
    assert torch.equal(found[~one], expected[~one])


def test_samples_do_not_hear_each_other():
    mixer = loud(SpaceTime(16, blocks=1, heads=2))
    x, day, place, known = tokens(B=3)
    together = mixer(x, day, place, known, row())
    for i in range(3):
        alone = mixer(x[i : i + 1], day, place, known[i : i + 1], row())
        torch.testing.assert_close(alone[0], together[i])


def test_days_that_do_not_exist_change_nothing():
    mixer = loud(SpaceTime(16, blocks=2, heads=2))
    x, day, place, known = tokens(T=4)
    expected = mixer(x, day, place, known, row())
    x = torch.cat([x, torch.randn(2, 3 * 3, 16)], 1)  # three more days of three patches
    known = torch.cat([known, torch.zeros(2, 3, 3, dtype=torch.bool)], 1)
    day = torch.cat([day, torch.randn(3, 16)])
    found = mixer(x, day, place, known, row(7))
    torch.testing.assert_close(found[:, : 4 * 3], expected)


def test_where_nothing_is_known_nothing_is_heard():
    mixer = loud(SpaceTime(16, blocks=2, heads=2))
    x, day, place, known = tokens()
    nothing = torch.zeros_like(known)
    found = mixer(x.requires_grad_(), day, place, nothing, row())
    found.square().sum().backward()
    assert found.isfinite().all() and x.grad.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in mixer.parameters())
    for axis in (1, 2):
        position = _positions(row(), x.device)[axis - 1]
        heard = loud(_Attention(16, 2, axis))(x.view(2, 4, 3, 16), nothing, position)
        torch.testing.assert_close(heard, torch.zeros(2, 4, 3, 16))


def test_one_block_hears_a_far_patch_of_a_far_day():
    """By two hops: first along the days of its patch, then across the patches of a day."""
    T, N = 31, 16
    mixer = loud(SpaceTime(16, blocks=1, heads=2))
    x, day, place, known = tokens(1, T, N, share=2.0)
    here, far = T * N - 1, 0  # the last patch of the last day, the first of the first
    same_day_far, same_patch_far = (T - 1) * N, N - 1
    probe = x.requires_grad_()
    (heard,) = torch.autograd.grad(mixer(probe, day, place, known, row(T, N))[0, here].sum(), probe)
    assert (heard[0] != 0).any(-1).all()
    known.view(1, -1)[0, same_day_far] = False  # the messenger, who has seen nothing
    (heard,) = torch.autograd.grad(mixer(probe, day, place, known, row(T, N))[0, here].sum(), probe)
    assert (heard[0, far] == 0).all() and (heard[0, same_patch_far] != 0).any()


def test_tokens_are_told_their_day_and_place():
    mixer = loud(SpaceTime(16, blocks=1, heads=1))  # the one head that sees equally far
    x, day, place, known = tokens(share=2.0)
    grid = x.view(2, 4, 3, 16)
    days, places = torch.tensor([2, 0, 3, 1]), torch.tensor([1, 2, 0])
    moved = grid[:, days][:, :, places].flatten(1, 2)

    def mixed(x):
        return mixer(x, day, place, known, row()).view(2, 4, 3, 16)

    assert not torch.allclose(mixed(moved), mixed(x)[:, days][:, :, places], atol=1e-2)
    torch.nn.init.zeros_(mixer.loudness)  # untold, they do not know
    torch.testing.assert_close(mixed(moved), mixed(x)[:, days][:, :, places])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_rows_that_know_nothing_are_finite_in_half_precision(dtype):
    mixer = loud(SpaceTime(32, blocks=2, heads=4))
    x, day, place, known = tokens(2, 31, 12, 32, share=0.2)
    known[0], known[1, :, 3], known[1, 4] = False, False, False
    single = mixer(x, day, place, known, (31, 3, 4))
    mixer, x = mixer.to(dtype), x.to(dtype).requires_grad_()
    found = mixer(x, day, place, known, (31, 3, 4))  # the marks may stay in single precision
    assert found.dtype == dtype and found.isfinite().all()
    assert (found.float() - single).abs().mean() < 0.05 * single.abs().mean()
    found.float().square().mean().backward()
    assert x.grad.isfinite().all()
    assert all(p.grad.isfinite().all() for p in mixer.parameters())


# ---------------------------------------------------------------- in the network


def test_without_blocks_it_is_not_there():
    mixer = SpaceTime(16, blocks=0)
    x, day, place, known = tokens()
    assert mixer(x, day, place, known, row()) is x
    assert not list(mixer.parameters()) and not mixer.state_dict()
    assert not [key for key in SpatioTemporalModel().state_dict() if "mixer" in key]


def test_blocks_are_added_to_the_published_network():
    plain, mixed = SpatioTemporalModel().state_dict(), SpatioTemporalModel(blocks=2).state_dict()
    added = mixed.keys() - plain.keys()
    assert len(plain) == 49 and plain.keys() < mixed.keys()
    assert {key.split(".")[0] for key in added} == {"mixer"}
    assert mixed["mixer.loudness"].shape == (2, 128)
    assert len(added) == 1 + 2 * (2 * 5 + 2)  # marks; two attentions and a small network a block


def test_heads_that_do_not_divide_are_named():
    for D, heads in ((18, 4), (8, 16), (8, 8), (16, 4)):
        with pytest.raises(ValueError, match=f"heads={heads} does not divide embed_dim={D}"):
            SpaceTime(D, blocks=1, heads=heads)


def small(**changes):
    settings = dict(embed_dim=16, hidden=16, spatial_heads=2, spatial_depth=1, max_T=12)
    return loud(SpatioTemporalModel(**settings | changes)).eval()


def gappy(B=2, T=6, H=8, W=12):
    daily = torch.randn(B, 1, T, H, W)
    return daily, torch.rand_like(daily) < 0.6


@torch.no_grad()
def test_a_day_asked_hears_the_others_only_through_blocks():
    """Without blocks, the day's tokens alone answer: what the other days held does not matter."""
    daily, missing = gappy()
    wanted = torch.zeros(2, 6, dtype=torch.bool)
    wanted[0, 2] = wanted[1, 5] = True
    for b in range(2):
        missing[b, :, wanted[b].nonzero()[0, 0], :4, :4] = True  # a patch that day did not see
    others = ~wanted[:, None, :, None, None]
    changed = torch.where(others, daily.flip(2) + 1, daily)
    seen_otherwise = torch.where(others, ~missing, missing)
    for blocks in (0, 1):
        network = small(blocks=blocks)
        expected = network(daily, missing, wanted=wanted)
        for data, mask in ((changed, missing), (daily, seen_otherwise)):
            moved = (network(data, mask, wanted=wanted) - expected).abs().amax((1, 2))
            assert (moved < 1e-5).all() if blocks == 0 else (moved > 1e-2).all()
        assert not torch.allclose(network(daily, missing, wanted=wanted.flip(1)), expected)


@torch.no_grad()
def test_days_that_are_not_asked_have_no_weight():
    network = small(blocks=1, patch_size=(3, 4, 4))
    daily, missing = gappy(T=12)
    missing[0, :, 3:6, :4, :4] = True
    wanted = torch.zeros(2, 12, dtype=torch.bool)
    wanted[0, 4] = wanted[1, [0, 11]] = True
    weights = network.attention(daily, missing, wanted=wanted)["temporal"]  # (B, N, T')
    torch.testing.assert_close(weights[0], F.one_hot(torch.full((6,), 1), 4).float())
    assert (weights[1, :, 1:3] == 0).all() and (weights[1, :, [0, 3]] > 0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 6))


# ---------------------------------------------------------------- the question


def one_day(day, T=6, B=2):
    return (torch.arange(T) == day).expand(B, T)


def test_a_question_marks_days_by_their_distance_from_what_is_asked():
    question = Question(16)
    with torch.no_grad():
        question.loudness[0], question.loudness[1] = 1.0, 0.0
        marks = question(one_day(2))  # (B, T, D)
        torch.testing.assert_close(marks[0, 2:], sincos_table(4, 16))
        mirrored = sincos_table(3, 16) * torch.tensor([-1.0, 1.0]).repeat(8)  # sines change sign
        torch.testing.assert_close(marks[0, :3], mirrored.flip(0))
        asked = one_day(1) | one_day(4)
        torch.testing.assert_close(question(asked)[0], question(asked.flip(1))[0])  # same middle
        question.loudness[0], question.loudness[1] = 0.0, 1.0
        torch.testing.assert_close(question(asked), asked[..., None].expand(-1, -1, 16).float())
        assert question(torch.zeros(2, 6, dtype=torch.bool)).isfinite().all()


@torch.no_grad()
def test_with_a_question_other_days_are_heard_and_the_day_matters():
    daily, missing = gappy()
    network = small(question=True)
    answers = [network(daily, missing, wanted=one_day(day)) for day in range(6)]
    assert all((a - b).abs().max() > 1e-3 for a, b in zip(answers, answers[1:], strict=False))
    changed = torch.where(one_day(2)[:, None, :, None, None], daily, daily + 1)
    assert (network(changed, missing, wanted=one_day(2)) - answers[2]).abs().max() > 1e-3
    weights = network.attention(daily, missing, wanted=one_day(2))["temporal"]
    assert (weights > 0).sum() > weights.shape[0] * weights.shape[1]
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 6))
    whole = torch.ones(2, 6, dtype=torch.bool)
    torch.testing.assert_close(network(daily, missing, wanted=whole), network(daily, missing))


@torch.no_grad()
def test_days_that_do_not_exist_are_not_heard_with_a_question():
    network = small(question=True, blocks=1)
    daily, missing = gappy()
    padded = torch.cat([daily, torch.full((2, 1, 3, 8, 12), torch.nan)], 2)
    hidden = torch.cat([missing, torch.zeros(2, 1, 3, 8, 12, dtype=torch.bool)], 2)
    days_mask = torch.arange(9).expand(2, -1) >= 6
    for wanted in (None, one_day(3)):
        longer = None if wanted is None else one_day(3, T=9)
        found = network(padded, hidden, None, days_mask, wanted=longer)
        torch.testing.assert_close(found, network(daily, missing, wanted=wanted))


def test_marks_are_added_to_the_scores_only():
    aggregator = TemporalAttentionAggregator(8, max_T=5)
    x, marks = torch.randn(1, 5, 8), torch.randn(1, 5, 8)
    out, weights = aggregator(x, 5, 1, 1, None, None, True, marks)
    days = x + aggregator.pos(5)
    torch.testing.assert_close(weights[0, 0], aggregator.scorer(days + marks)[0, :, 0].softmax(0))
    torch.testing.assert_close(out, weights @ days)


# ---------------------------------------------------------------- the daily head


def test_the_daily_head_lays_each_patch_where_it_belongs():
    """With time patches of 2 days too: token by token, pixel by pixel."""
    grid, (Pt, Ph, Pw) = (3, 2, 4), (2, 4, 4)
    head = DailyHead(16, (Pt, Ph, Pw))
    x = torch.randn(2, 3 * 2 * 4, 16)
    assert (head(x, grid) == 0).all()  # before it learns
    torch.nn.init.normal_(head.last.weight)
    maps, told = head(x, grid), head.last(x).view(2, *grid, Pt, Ph, Pw)
    assert maps.shape == (2, 6, 8, 16)
    for t, row, col in [(0, 0, 0), (5, 7, 15), (3, 2, 9)]:
        patch = told[:, t // Pt, row // Ph, col // Pw, t % Pt, row % Ph, col % Pw]
        torch.testing.assert_close(maps[:, t, row, col], patch)


@torch.no_grad()
@pytest.mark.parametrize("blocks", [0, 1])
def test_the_map_is_the_decoders_plus_the_daily_heads_mean_of_what_is_asked(blocks):
    daily, missing = gappy()
    network = small(daily_head=True, question=True, blocks=blocks)
    land = torch.zeros(2, 8, 12, dtype=torch.bool)
    land[:, :2, 3:] = True
    days_mask = torch.arange(6).expand(2, -1) == 5
    seen = []
    network.decoder.register_forward_hook(lambda module, args, out: seen.append((args, out)))
    for wanted in (None, one_day(2), one_day(1) | one_day(4)):
        found, days = network(daily, missing, land, days_mask, wanted=wanted, every_day=True)
        asked = ~days_mask if wanted is None else wanted
        added = torch.stack([d[a].mean(0) for d, a in zip(days, asked, strict=True)])
        args, decoded = seen[-1]
        torch.testing.assert_close(args[-1][:, 0], added.masked_fill(land, 0.0))
        torch.testing.assert_close(found, decoded + added.masked_fill(land, 0.0))
        assert (found[land] == 0).all() and added.abs().max() > 0.01


def test_a_network_without_a_daily_head_has_no_days_to_give():
    assert small()(*gappy(), every_day=True)[1] is None
