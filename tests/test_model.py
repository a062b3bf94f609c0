"""Every promise of the model: shapes, names, gaps, land, short months, errors, attention."""

import math

import pytest
import torch
from torch import nn

from sst_tutorial.model import (
    MonthlyConvDecoder,
    SpatialPositionalEncoding2D,
    SpatialTransformer,
    SpatioTemporalModel,
    TemporalAttentionAggregator,
    TemporalPositionalEncoding,
    VideoEncoder,
    sincos_table,
)
from sst_tutorial.ocean_norm import OceanBatchNorm2d
from sst_tutorial.pixel_queries import PixelQueries


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def small_model(**changes):
    settings = dict(embed_dim=16, hidden=16, spatial_depth=2, spatial_heads=2, max_T=40)
    return SpatioTemporalModel(**(settings | changes))


def month(B=2, T=6, H=16, W=12, cover=0.6):
    """(daily, mask, land): daily and mask (B, 1, T, H, W), land (H, W) flagged missing as well."""
    daily = torch.randn(B, 1, T, H, W)
    land = torch.zeros(H, W, dtype=torch.bool)
    land[:3, :5] = True
    return daily, (torch.rand_like(daily) < cover) | land, land


# ------------------------------------------------------------------------ published form


def test_parameter_counts_of_the_published_form():
    def count(module):
        return sum(p.numel() for p in module.parameters())

    model = SpatioTemporalModel()
    assert count(model) == 766_468
    assert count(model.encoder) == 4_480
    assert count(model.temporal) == 16_897
    assert count(model.spatial_tr) == 396_544
    assert count(model.decoder) == 348_547


def published_shapes(D=128, hidden=128, depth=2, patch=(1, 4, 4), max_T=64, overlap=1):
    """Names and shapes of the published weights, written out independently of the model."""
    half = hidden // 2
    kernel = (patch[1] + 2 * overlap, patch[2] + 2 * overlap)
    shapes = {
        "encoder.proj.weight": (D, 2, *patch),
        "encoder.proj.bias": (D,),
        "encoder.norm.weight": (D,),
        "encoder.norm.bias": (D,),
        "temporal.pos.pe": (max_T, D),
        "temporal.scorer.0.weight": (D,),
        "temporal.scorer.0.bias": (D,),
        "temporal.scorer.1.weight": (D, D),
        "temporal.scorer.1.bias": (D,),
        "temporal.scorer.3.weight": (1, D),
        "temporal.scorer.3.bias": (1,),
        "decoder.proj.weight": (hidden, D, 1, 1),
        "decoder.proj.bias": (hidden,),
        "decoder.deconv.weight": (hidden, half, *kernel),
        "decoder.deconv.bias": (half,),
        "decoder.head.0.weight": (half, half, 3, 3),
        "decoder.head.1.weight": (half,),
        "decoder.head.1.bias": (half,),
        "decoder.head.1.running_mean": (half,),
        "decoder.head.1.running_var": (half,),
        "decoder.head.1.num_batches_tracked": (),
        "decoder.head.3.weight": (1, half, 1, 1),
        "decoder.head.3.bias": (1,),
        "decoder.scale": (1,),
        "decoder.bias": (1,),
    }
    layer = {
        "self_attn.in_proj_weight": (3 * D, D),
        "self_attn.in_proj_bias": (3 * D,),
        "self_attn.out_proj.weight": (D, D),
        "self_attn.out_proj.bias": (D,),
        "linear1.weight": (4 * D, D),
        "linear1.bias": (4 * D,),
        "linear2.weight": (D, 4 * D),
        "linear2.bias": (D,),
        "norm1.weight": (D,),
        "norm1.bias": (D,),
        "norm2.weight": (D,),
        "norm2.bias": (D,),
    }
    for n in range(depth):
        shapes |= {f"spatial_tr.enc.layers.{n}.{name}": s for name, s in layer.items()}
    return shapes


def test_published_weights_load_unchanged():
    model = SpatioTemporalModel()
    assert {k: tuple(v.shape) for k, v in model.state_dict().items()} == published_shapes()
    assert len(published_shapes()) == 49
    weights = {k: torch.randn(s) for k, s in published_shapes().items()}
    weights["decoder.head.1.num_batches_tracked"] = torch.tensor(7)
    model.load_state_dict(weights, strict=True)
    assert torch.equal(
        model.state_dict()["decoder.deconv.weight"], weights["decoder.deconv.weight"]
    )
    assert model.decoder.deconv.stride == (4, 4)
    assert model.decoder.deconv.padding == (1, 1)


@pytest.mark.parametrize("patch", [(1, 4, 4), (2, 4, 2), (3, 2, 4), (6, 8, 6)])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_patch_and_channels_give_the_map(patch, channels):
    daily = torch.randn(2, channels, 6, 16, 12)
    model = small_model(patch_size=patch, in_chans=channels)
    out = model(daily, torch.zeros_like(daily, dtype=torch.bool))
    assert out.shape == (2, 16, 12)
    assert out.isfinite().all()
    out.sum().backward()  # every weight takes part, so none can go untrained unnoticed
    untouched = [n for n, p in model.named_parameters() if p.grad is None]
    assert untouched == []


def test_the_whole_is_the_sum_of_its_parts():
    daily, mask, land = month()
    model = small_model().eval()
    tokens = model.encoder(daily, mask)
    assert tokens.shape == (2, 6 * 4 * 3, 16)
    seen = (~mask).view(2, 6, 4, 4, 3, 4).any(5).any(3).flatten(2)  # patches by hand
    pooled = model.temporal(tokens, 6, 4, 3, seen=seen)
    assert pooled.shape == (2, 12, 16)
    latent = model.spatial_tr(pooled + model.spatial_pe(4, 3))
    torch.testing.assert_close(model.decoder(latent, 16, 12, land), model(daily, mask, land))


# ------------------------------------------------------------------------ positions


@pytest.mark.parametrize("dim", [4, 16, 128])
def test_every_place_of_a_64_x_64_grid_is_its_own(dim):
    table = SpatialPositionalEncoding2D(dim)(64, 64)
    assert table.shape == (64 * 64, dim)
    smallest = torch.nn.functional.pdist(table[torch.randperm(4096)[:1500]]).min()
    assert smallest > 1e-4
    assert len(torch.unique(table, dim=0)) == 64 * 64
    grid = table.view(64, 64, dim)
    assert torch.equal(grid[5, :, : dim // 2], grid[5, :1, : dim // 2].expand(64, -1))  # row only
    assert torch.equal(grid[:, 5, dim // 2 :], grid[:1, 5, dim // 2 :].expand(64, -1))  # col only
    assert not torch.allclose(grid[3, 9], grid[9, 3])


def test_2d_encoding_is_row_major_for_uneven_grids():
    encoding = SpatialPositionalEncoding2D(8, max_H=5, max_W=9)
    table = encoding(5, 9)
    assert torch.equal(table[2 * 9 + 7, :4], sincos_table(5, 4)[2])
    assert torch.equal(table[2 * 9 + 7, 4:], sincos_table(9, 4)[7])


def test_temporal_encoding_values():
    table = TemporalPositionalEncoding(6, max_len=31)(31)
    day, k = 17, 2
    angle = day / 10000 ** (2 * k / 6)
    assert table.shape == (31, 6)
    assert table[day, 2 * k].item() == pytest.approx(math.sin(angle), abs=1e-6)
    assert table[day, 2 * k + 1].item() == pytest.approx(math.cos(angle), abs=1e-6)
    assert torch.equal(TemporalPositionalEncoding(6, max_len=64)(31), table)


def test_no_half_gigabyte_of_tables():
    model = SpatioTemporalModel()
    held = [*model.parameters(), *model.buffers()]
    assert sum(t.numel() * t.element_size() for t in held) < 50e6
    with torch.profiler.profile(
        profile_memory=True, activities=[torch.profiler.ProfilerActivity.CPU]
    ) as profile:
        SpatioTemporalModel()
    biggest = max(event.cpu_memory_usage for event in profile.events())
    assert biggest < 50e6  # nor on the way


def test_encodings_are_not_state_but_follow_the_model():
    encoding = SpatialPositionalEncoding2D(8)
    assert list(encoding.state_dict()) == []
    assert encoding.double()(2, 2).dtype == torch.float64


# ------------------------------------------------------------------------ gaps


@pytest.mark.parametrize("junk", [float("nan"), float("inf"), -float("inf"), 1e30])
def test_nothing_under_the_mask_reaches_output_or_gradient(junk):
    daily, mask, land = month()
    model = small_model()  # in training mode: batch statistics must stay clean as well
    clean = daily.masked_fill(mask, 0.0).requires_grad_()
    dirty = daily.masked_fill(mask, junk).requires_grad_()
    a, b = model(clean, mask, land), model(dirty, mask, land)
    assert torch.equal(a, b)
    assert b.isfinite().all()
    b.square().mean().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters())
    assert dirty.grad.isfinite().all()
    assert (dirty.grad[mask] == 0).all()
    assert (dirty.grad[~mask] != 0).any()


def test_a_gap_is_not_a_zero():
    daily = torch.zeros(1, 1, 4, 8, 8)
    nothing = torch.zeros_like(daily, dtype=torch.bool)
    encoder = VideoEncoder(embed_dim=16)
    assert not torch.allclose(encoder(daily, nothing), encoder(daily, ~nothing))


def test_tokens_are_ordered_by_day_row_column():
    daily = torch.zeros(1, 1, 3, 8, 12)
    mask = torch.zeros_like(daily, dtype=torch.bool)
    encoder = VideoEncoder(embed_dim=8)
    before = encoder(daily, mask)
    daily[0, 0, 2, 4:8, 8:12] = 1.0  # day 2, patch row 1, patch column 2
    changed = (encoder(daily, mask) != before).any(-1)[0]
    assert changed.nonzero().flatten().tolist() == [2 * 6 + 1 * 3 + 2]


def test_standardised_anomalies_survive_the_layer_norm():
    daily = torch.ones(1, 1, 1, 4, 4)
    mask = torch.zeros_like(daily, dtype=torch.bool)
    encoder = VideoEncoder()
    moved = encoder(daily, mask) - encoder(-daily, mask)
    in_kelvin = encoder(300 * daily, mask) - encoder(290 * daily, mask)
    assert moved.norm() > 100 * in_kelvin.norm()  # why the data layer gives anomalies


def test_all_days_missing_gives_a_finite_map():
    daily = torch.full((2, 1, 31, 8, 8), float("nan"))
    everything = torch.ones_like(daily, dtype=torch.bool)
    model = small_model()
    for days in (None, torch.zeros(2, 31, dtype=torch.bool), torch.ones(2, 31, dtype=torch.bool)):
        for training in (True, False):
            out = model.train(training)(daily, everything, days_mask=days)
            assert out.isfinite().all()
            out.sum().backward()
            assert all(p.grad.isfinite().all() for p in model.parameters())


def test_a_patch_that_saw_nothing_weighs_nothing_that_day():
    daily, mask, _ = month(cover=0.3)
    mask[:, :, 2, :4, :4] = True  # patch 0 is hidden on day 2 ...
    mask[:, :, :, 4:8, :4] = True  # ... and patch 3 every day
    weights = small_model().attention(daily, mask)["temporal"]  # (B, N, T)
    assert (weights[:, 0, 2] == 0).all()
    assert (weights[:, 3] > 0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 12))


# ------------------------------------------------------------------------ months of any length


@pytest.mark.parametrize("days", [28, 29, 30, 31])
def test_padding_a_month_to_31_days_changes_nothing(days):
    daily, mask, land = month(T=days)
    model = small_model().eval()
    with torch.no_grad():
        short = model(daily, mask, land)
        pad = (0, 0, 0, 0, 0, 31 - days)
        padded = nn.functional.pad(daily, pad, value=float("nan"))
        for flag in (True, False):  # the padding need not be flagged as missing a second time
            padded_mask = nn.functional.pad(mask, pad, value=flag)
            days_mask = (torch.arange(31) >= days).expand(2, 31)
            long = model(padded, padded_mask, land, days_mask)
            torch.testing.assert_close(long, short, atol=1e-5, rtol=0)
            weights = model.attention(padded, padded_mask, days_mask)["temporal"]
            assert (weights[..., days:] == 0).all()  # exactly


def test_absent_days_may_differ_within_a_batch():
    daily, mask, land = month(T=31)
    days_mask = torch.arange(31) >= torch.tensor([[28], [30]])  # (2, 31)
    model = small_model().eval()
    out = model(daily, mask, land, days_mask)
    for b, days in enumerate((28, 30)):
        alone = model(daily[b : b + 1, :, :days], mask[b : b + 1, :, :days], land)
        torch.testing.assert_close(out[b : b + 1], alone, atol=1e-5, rtol=0)


def test_a_time_patch_is_absent_when_all_its_days_are():
    daily, mask, _ = month(T=6, cover=0.3)
    days_mask = torch.tensor([[0, 0, 0, 1, 1, 1]], dtype=torch.bool).expand(2, 6)
    model = small_model(patch_size=(2, 4, 4)).eval()
    weights = model.attention(daily, mask, days_mask)["temporal"]
    assert (weights[..., 1] > 0).any()  # half a patch exists
    assert (weights[..., 2] == 0).all()
    hidden = torch.where(days_mask[:, None, :, None, None], torch.randn_like(daily), daily)
    torch.testing.assert_close(
        model(hidden, mask, days_mask=days_mask), model(daily, mask, days_mask=days_mask)
    )


# ------------------------------------------------------------------------ land


def test_land_mask_of_one_map_or_of_each():
    daily, mask, land = month()
    model = small_model().eval()
    one = model(daily, mask, land)
    each = model(daily, mask, land.expand(2, 16, 12))
    assert one.shape == each.shape == (2, 16, 12)
    assert torch.equal(one, each)
    assert (one[:, land] == 0).all()
    assert (one[:, ~land] != 0).all()
    other = torch.stack([land, ~land])
    out = model(daily, mask, other)
    assert (out[0, land] == 0).all() and (out[1, ~land] == 0).all()
    assert (out[1, land] != 0).all()


def test_land_values_touch_neither_ocean_nor_statistics():
    ocean = torch.rand(3, 1, 8, 8) > 0.4
    x = torch.randn(3, 5, 8, 8)
    on_land_only = torch.where(ocean, x, 1e4 * torch.randn_like(x))
    a, b = OceanBatchNorm2d(5), OceanBatchNorm2d(5)
    where = ocean.expand_as(x)
    torch.testing.assert_close(a(x, ocean)[where], b(on_land_only, ocean)[where])
    torch.testing.assert_close(a.running_mean, b.running_mean)
    torch.testing.assert_close(a.running_var, b.running_var)
    pixels = x.transpose(0, 1)[:, ocean[:, 0]]  # (C, ocean pixels)
    torch.testing.assert_close(a.running_mean, pixels.mean(1))
    torch.testing.assert_close(a.running_var, pixels.var(1))


def test_ocean_batch_norm_is_batch_norm_without_land():
    x = torch.randn(4, 3, 6, 5) * 3 + 2
    ours, torchs = OceanBatchNorm2d(3), nn.BatchNorm2d(3)
    torch.testing.assert_close(ours(x), torchs(x))
    ours.eval(), torchs.eval()
    torchs.load_state_dict(ours.state_dict())
    torch.testing.assert_close(ours(x), torchs(x))


def test_a_batch_without_ocean_leaves_the_statistics_alone():
    norm = OceanBatchNorm2d(3)
    norm(torch.randn(2, 3, 4, 4))
    before = {k: v.clone() for k, v in norm.state_dict().items()}
    out = norm(torch.randn(2, 3, 4, 4), torch.zeros(2, 1, 4, 4, dtype=torch.bool))
    assert out.isfinite().all()
    for name, value in norm.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_statistics_of_half_precision_are_those_of_single():
    """Sums of squares over a map are larger than half precision reaches (65504)."""
    x = 30 + torch.randn(4, 3, 64, 64)
    single, half = OceanBatchNorm2d(3), OceanBatchNorm2d(3).half()
    torch.testing.assert_close(half(x.half()).float(), single(x), atol=0.05, rtol=0)
    torch.testing.assert_close(half.running_var.float(), single.running_var, atol=0.02, rtol=0)


def test_evaluation_follows_training_after_few_steps():
    daily, mask, land = month(B=4)
    model = small_model()
    target = torch.randn(4, 16, 12)
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3)
    for _ in range(5):
        optimiser.zero_grad()
        trained = model(daily, mask, land)
        (trained - target).square().mean().backward()
        optimiser.step()
    with torch.no_grad():
        trained = model(daily, mask, land)
        judged = model.eval()(daily, mask, land)
    assert (trained - judged).abs().max() < 0.05 * trained.std()


@pytest.mark.parametrize("patch, overlap", [((1, 4, 4), 1), ((1, 2, 4), 1), ((1, 8, 8), 2)])
def test_decoder_starts_even(patch, overlap):
    """Equal variance over the phases of a patch: no checkerboard before training."""
    decoder = MonthlyConvDecoder(32, *patch[1:], hidden=64, overlap=overlap)
    with torch.no_grad():
        grid = decoder.deconv(torch.randn(16, 64, 16, 16))
    inner = (
        grid[:, :, patch[1] : -patch[1], patch[2] : -patch[2]] - decoder.deconv.bias[:, None, None]
    )
    B, C, H, W = inner.shape
    phases = inner.reshape(B, C, H // patch[1], patch[1], W // patch[2], patch[2])
    variance = phases.square().mean((0, 1, 2, 4))  # (patch_h, patch_w)
    assert variance.max() / variance.min() < 1.25


# ------------------------------------------------------------------------ attention on request


def test_attention_on_request_is_that_of_the_normal_path():
    daily, mask, land = month()
    model = small_model().eval()
    plain = model(daily, mask, land)
    attention = model.attention(daily, mask)
    assert attention["temporal"].shape == (2, 12, 6)
    assert len(attention["spatial"]) == 2
    for layer in attention["spatial"]:
        assert layer.shape == (2, 2, 12, 12)
        torch.testing.assert_close(layer.sum(-1), torch.ones(2, 2, 12))
    assert torch.equal(model(daily, mask, land), plain)  # no hook is left behind
    assert not model.spatial_tr.enc.layers[0].self_attn._forward_hooks
    assert not model.spatial_tr.enc.layers[0].self_attn._forward_pre_hooks
    x = torch.randn(2, 12, 16)
    asked, _ = model.spatial_tr(x, return_attention=True)
    torch.testing.assert_close(asked, model.spatial_tr(x), atol=1e-6, rtol=1e-5)


def test_temporal_weights_do_make_the_output():
    aggregator = TemporalAttentionAggregator(8, max_T=5)
    x = torch.randn(2, 5 * 6, 8)
    out, weights = aggregator(x, 5, 2, 3, return_weights=True)
    assert weights.shape == (2, 6, 5)
    days = x.view(2, 5, 6, 8) + aggregator.pos(5)[:, None]
    torch.testing.assert_close(out, torch.einsum("bnt,btnd->bnd", weights, days))
    torch.testing.assert_close(aggregator(x, 5, 2, 3), out)


def test_far_patches_talk_to_each_other():
    daily, mask, _ = month(cover=0.0)
    model = small_model().eval()
    before = model(daily, mask)
    daily[:, :, :, :4, :4] += 3.0
    assert (model(daily, mask)[:, -4:, -4:] - before[:, -4:, -4:]).abs().min() > 0


# ------------------------------------------------------------------------ precision and compile


def test_bf16_autocast():
    daily, mask, land = month()
    model = small_model()
    with torch.autocast("cpu", torch.bfloat16):
        rough = model(daily.masked_fill(mask, float("nan")), mask, land)
        rough.float().square().mean().backward()
    assert rough.isfinite().all()
    assert all(p.grad.isfinite().all() for p in model.parameters())
    assert model.decoder.head[1].running_var.isfinite().all()
    model.eval()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        rough = model(daily, mask, land)
    exact = model(daily, mask, land)
    assert (rough.float() - exact).abs().max() < 0.1 * exact.std()


@pytest.mark.parametrize("training", [False, True])
def test_the_checks_do_not_break_the_graph(training):
    """Whole graph or an error; the "eager" backend needs no compiler."""
    daily, mask, land = month()
    days_mask = torch.arange(6).expand(2, 6) >= 5
    model = small_model(spatial_depth=1).train(training)
    torch._dynamo.reset()
    whole = torch.compile(model, fullgraph=True, backend="eager", dynamic=False)
    expected = model(daily, mask, land, days_mask)
    torch.testing.assert_close(whole(daily, mask, land, days_mask), expected)


def test_compiled_model_gives_the_same_map():
    from torch._inductor.cpp_builder import get_cpp_compiler
    from torch._inductor.exc import InvalidCxxCompiler

    try:
        get_cpp_compiler()
    except InvalidCxxCompiler:
        pytest.skip("torch.compile needs a C++ compiler and finds none here")
    daily = torch.randn(1, 1, 2, 8, 8)
    mask = torch.rand_like(daily) < 0.5
    encoder = VideoEncoder(embed_dim=8).eval()  # one module: compiling all takes half a minute
    torch._dynamo.reset()
    with torch.no_grad():
        torch.testing.assert_close(torch.compile(encoder)(daily, mask), encoder(daily, mask))


# ------------------------------------------------------------------------ wrong input


def bad(model=None, daily=None, mask=None, land=None, days=None, **shape):
    d, m, _ = month(**shape)
    daily = d if daily is None else daily
    mask = m if mask is None else mask
    return lambda: (model or small_model())(daily, mask, land, days)


ERRORS = {  # what is done wrong: (call, every text the message must hold)
    "H": (bad(H=15), ["H=15", "multiple", "(4)", "pad or crop"]),
    "W": (bad(W=10), ["W=10", "multiple", "pad or crop"]),
    "T and Pt": (bad(small_model(patch_size=(4, 4, 4))), ["T=6", "multiple", "pad or crop"]),
    "T too long": (bad(small_model(max_T=5)), ["T=6", "1 to 5", "max_T"]),
    "rows": (bad(small_model(max_H=3)), ["4 x 3", "max_H", "tiles"]),
    "columns": (bad(small_model(max_W=2)), ["4 x 3", "max_W", "tiles"]),
    "no channel axis": (
        bad(daily=torch.zeros(2, 6, 16, 12)),
        ["(B, C, T, H, W)", "(2, 6, 16, 12)"],
    ),
    "channels": (bad(small_model(in_chans=2)), ["1 channels", "in_chans=2"]),
    "float mask": (bad(mask=torch.zeros(2, 1, 6, 16, 12)), ["mask", "torch.float32", "mask > 0"]),
    "mask shape": (
        bad(mask=torch.zeros(2, 1, 6, 16, 8, dtype=torch.bool)),
        ["mask", "(2, 1, 6, 16, 12)", "(2, 1, 6, 16, 8)"],
    ),
    "mask without channels": (
        bad(mask=torch.zeros(2, 6, 16, 12, dtype=torch.bool)),
        ["mask", "(2, 6, 16, 12)"],
    ),
    "land shape": (
        bad(land=torch.zeros(12, 16, dtype=torch.bool)),
        ["land_mask", "(16, 12)", "(12, 16)"],
    ),
    "land of another batch": (
        bad(land=torch.zeros(3, 16, 12, dtype=torch.bool)),
        ["land_mask", "(2, 16, 12)", "(3, 16, 12)"],
    ),
    "land of numbers": (bad(land=torch.zeros(16, 12)), ["land_mask", "torch.float32", "> 0"]),
    "days shape": (
        bad(days=torch.zeros(2, 5, dtype=torch.bool)),
        ["days_mask", "(2, 6)", "(2, 5)"],
    ),
    "days without batch": (
        bad(days=torch.zeros(6, dtype=torch.bool)),
        ["days_mask", "(2, 6)", "(6,)"],
    ),
    "days of numbers": (bad(days=torch.zeros(2, 6)), ["days_mask", "torch.float32", "> 0"]),
    "no day": (bad(T=0), ["T=0", "positive multiple"]),
    "odd embed_dim": (lambda: small_model(embed_dim=18), ["embed_dim", "18", "multiple of 4"]),
    "odd time embed_dim": (lambda: TemporalPositionalEncoding(7), ["embed_dim", "7", "even"]),
    "heads": (lambda: small_model(spatial_heads=3), ["num_heads=3", "embed_dim=16"]),
    "tokens and T*H*W": (
        lambda: TemporalAttentionAggregator(8)(torch.zeros(1, 12, 8), 3, 2, 3),
        ["12 tokens", "3*2*3", "18"],
    ),
    "seen shape": (
        lambda: TemporalAttentionAggregator(8)(
            torch.zeros(1, 12, 8), 3, 2, 2, seen=torch.zeros(1, 12, dtype=torch.bool)
        ),
        ["seen", "(1, 3, 4)", "(1, 12)"],
    ),
    "latent of another map": (
        lambda: MonthlyConvDecoder(8, hidden=8)(torch.zeros(2, 5, 8), 8, 8),
        ["latent", "5 tokens", "8 x 8", "4"],
    ),
    "out_H": (
        lambda: MonthlyConvDecoder(8, hidden=8)(torch.zeros(2, 4, 8), 9, 8),
        ["out_H", "9", "pad or crop"],
    ),
    "empty grid": (lambda: SpatialPositionalEncoding2D(8)(0, 4), ["0 x 4", "1 x 1"]),
}


@pytest.mark.parametrize("what", ERRORS)
def test_wrong_input_is_named(what):
    call, texts = ERRORS[what]
    with pytest.raises(ValueError) as error:
        call()
    missing = [text for text in texts if text not in str(error.value)]
    assert not missing, f"{error.value!r} does not say {missing}"


def test_one_token_is_fine():
    daily, mask, _ = month(B=1, H=4, W=4, cover=0.0)
    for training in (True, False):
        model = small_model().train(training)
        out = model(daily, mask)
        assert out.shape == (1, 4, 4) and out.isfinite().all()
        out.square().sum().backward()
        assert all(p.grad.isfinite().all() for p in model.parameters())


def test_training_reduces_the_error():
    daily, mask, land = month(B=8, T=4, H=8, W=8, cover=0.3)
    target = daily.mean((1, 2)).masked_fill(land[:8, :8], 0.0)
    mask, land = mask[..., :8, :8], land[:8, :8]
    model = small_model()
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(40):
        optimiser.zero_grad()
        loss = (model(daily, mask, land) - target).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


def test_attention_layers_are_independent_of_the_batch():
    layers = SpatialTransformer(16, depth=1, num_heads=2).eval()
    x = torch.randn(3, 10, 16)
    torch.testing.assert_close(layers(x)[1:2], layers(x[1:2]))


# ------------------------------------------------------------------------ options


OPTIONS = dict(temporal_heads=4, blocks=2, question=True, skip_chans=3, residual_blocks=2)


def test_options_are_off_in_the_published_form():
    plain, same = SpatioTemporalModel(), SpatioTemporalModel(
        temporal_heads=1, blocks=0, question=False, skip_chans=0, residual_blocks=0
    )
    assert plain.state_dict().keys() == same.state_dict().keys()
    assert small_model(**OPTIONS).state_dict().keys() > small_model().state_dict().keys()


@pytest.mark.parametrize("option", [*OPTIONS, "pixel_queries"])
def test_each_option_keeps_the_promises(option):
    """Padded days, values under the mask and on land change nothing."""
    options = OPTIONS | {"pixel_queries": True} if option == "pixel_queries" else OPTIONS
    also = {"skip_chans": 3} if option == "pixel_queries" else {}
    model = small_model(**{option: options[option]}, **also).eval()
    skip = torch.randn(2, 3, 16, 12)
    daily, mask, land = month(T=28)
    plain = model(daily, mask, land, skip=skip)
    assert (plain[:, land] == 0).all() and (plain[:, ~land] != 0).all()
    padded = torch.cat([daily, torch.full((2, 1, 3, 16, 12), torch.inf)], 2)
    padded_mask = torch.cat([mask, torch.zeros(2, 1, 3, 16, 12, dtype=torch.bool)], 2)
    days_mask = torch.arange(31).expand(2, -1) >= 28
    out = model(padded, padded_mask, land, days_mask, skip)
    torch.testing.assert_close(out, plain, atol=1e-5, rtol=0)
    dirty = daily.masked_fill(mask, torch.nan)
    torch.testing.assert_close(model(dirty, mask, land, skip=skip), plain, atol=0, rtol=0)
    weights = model.attention(padded, padded_mask, days_mask)["temporal"]
    assert weights.shape == (2, 12, 31) and (weights[..., 28:] == 0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 12))
    nothing = model(daily, torch.ones_like(mask), land, skip=skip)
    assert nothing.isfinite().all()


def test_each_temporal_head_weighs_its_own_channels():
    aggregator = TemporalAttentionAggregator(8, max_T=5, heads=2)
    torch.nn.init.normal_(aggregator.scorer[3].weight)
    x = torch.randn(1, 5, 8)
    out, weights = aggregator(x, 5, 1, 1, return_weights=True)
    days = x + aggregator.pos(5)
    each = aggregator.scorer(days).softmax(1)  # (1, 5, 2)
    expected = [(each[..., h : h + 1] * days[..., 4 * h : 4 * h + 4]).sum(1) for h in range(2)]
    torch.testing.assert_close(out, torch.cat(expected, -1)[:, None])
    torch.testing.assert_close(weights[0, 0], each.mean(-1)[0])
    assert not torch.allclose(each[..., 0], each[..., 1])


def test_skip_reaches_the_map_pixel_by_pixel():
    daily, mask, land = month()
    model = small_model(skip_chans=2).eval()
    skip = torch.zeros(2, 2, 16, 12)
    before = model(daily, mask, land, skip=skip)
    skip[0, 1, 9, 7] = 3.0
    changed = model(daily, mask, land, skip=skip) != before
    assert changed[0, 9, 7] and not changed[1].any()
    rows, cols = changed[0].nonzero().T
    assert rows.min() >= 8 and rows.max() <= 10 and cols.min() >= 6 and cols.max() <= 8  # 3 x 3


def test_channels_last_input_is_read_alike():
    daily, mask, land = month()
    daily = torch.cat([daily, daily.flip(2)], 1)
    mask = torch.cat([mask, mask.flip(2)], 1)
    model = small_model(in_chans=2).eval()
    expected = model(daily, mask, land)
    turned = daily.to(memory_format=torch.channels_last_3d)
    turned_mask = mask.to(memory_format=torch.channels_last_3d)
    torch.testing.assert_close(model(turned, turned_mask, land), expected)


# ------------------------------------------------------------------------ pixels that ask


def test_pixels_ask_as_written_by_hand():
    torch.manual_seed(0)
    ask = PixelQueries(16, 2, 3, skip_chans=5, heads=2)
    x, skip = torch.randn(2, 16, 3, 4), torch.randn(2, 5, 6, 12)
    torch.nn.init.normal_(ask.near)
    found = ask(x, skip)
    assert found.shape == (2, 8, 6, 12)
    b, row, col, head = 1, 3, 11, 1  # patch (1, 3), at the eastern edge: three neighbours are empty
    cell = (row % 2) * 3 + col % 3
    dims = slice(4 * head, 4 * head + 4)
    q = ask.ask(skip)[b, dims, row, col] + ask.pixel[cell, dims]
    keys, values = (torch.nn.functional.pad(part(x), (1, 1, 1, 1))[b, dims] for part in
                    (ask.key, ask.value))  # fmt: skip
    around = [(1 + i, 3 + j) for i in range(3) for j in range(3)]
    scores = torch.stack([q @ keys[:, i, j] / 2 for i, j in around]) + ask.near[head, cell]
    by_hand = sum(w * values[:, i, j] for w, (i, j) in zip(scores.softmax(0), around, strict=True))
    torch.testing.assert_close(found[b, dims, row, col], by_hand)


def test_pixels_that_ask_need_maps_to_ask_with():
    with pytest.raises(ValueError, match="skip = true"):
        small_model(pixel_queries=True)
    with pytest.raises(ValueError, match="no multiple of 4"):
        PixelQueries(12, 2, 2, skip_chans=1)
