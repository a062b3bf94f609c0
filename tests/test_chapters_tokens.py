"""The classes that the chapters on tokens write out are those of the package, for equal weights."""

import pytest
import torch
from notebooks import definitions

from sst_tutorial import model as package


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def written(chapter, name):
    return definitions(chapter, name)[name]


def twins(cls, name, **settings):
    """The chapter's module and the package's, with the same weights, in eval mode."""
    ours, theirs = cls(**settings), getattr(package, name)(**settings)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    shapes = [[t.shape for t in m.state_dict().values()] for m in (ours, theirs)]
    assert shapes[0] == shapes[1]
    theirs.load_state_dict(ours.state_dict())
    ours.load_state_dict(theirs.state_dict())
    return ours.eval(), theirs.eval()


# ------------------------------------------------------------------------ video to tokens


@pytest.fixture(scope="module")
def encoder():
    return written("video_to_tokens", "VideoEncoder")


@pytest.mark.parametrize(
    "settings",
    [{}, {"in_chans": 2, "embed_dim": 24, "patch_size": (2, 3, 4)}, {"drop": 0.5}],
)
def test_encoder_is_the_packages(encoder, settings):
    ours, theirs = twins(encoder, "VideoEncoder", **settings)
    x = torch.randn(2, settings.get("in_chans", 1), 4, 12, 8)
    mask = torch.rand_like(x) < 0.6
    x[mask] = torch.nan
    tokens = ours(x, mask)
    assert tokens.isfinite().all()
    # The chapter convolves, the package takes one matrix product: they round differently.
    torch.testing.assert_close(tokens, theirs(x, mask), rtol=0, atol=1e-5)


def test_encoder_refuses_what_it_would_drop(encoder):
    x = torch.zeros(1, 1, 2, 10, 8)
    with pytest.raises(ValueError, match="10"):
        encoder()(x, torch.zeros_like(x, dtype=torch.bool))
    with pytest.raises(ValueError, match="mask"):
        encoder()(x[..., :8, :], torch.zeros(1, 1, 2, 8, 8))


# ---------------------------------------------------------------------------- telling time


@pytest.mark.parametrize("settings", [{}, {"embed_dim": 6, "max_len": 64}])
def test_time_marks_are_the_packages(settings):
    cls = written("telling_time", "TemporalPositionalEncoding")
    ours, theirs = cls(**settings), package.TemporalPositionalEncoding(**settings)
    assert list(ours.state_dict()) == list(theirs.state_dict()) == ["pe"]
    assert not list(ours.parameters())
    for T in (1, 28, 31):
        torch.testing.assert_close(ours(T), theirs(T))
    with pytest.raises(ValueError, match="65"):
        ours(65)


# ------------------------------------------------------------------------- which days matter


@pytest.fixture(scope="module")
def aggregator():
    return written("which_days", "TemporalAttentionAggregator")


@pytest.mark.parametrize("settings", [{}, {"embed_dim": 16, "max_T": 40}])
@pytest.mark.parametrize("masks", ["", "seen", "days_mask", "seen days_mask"])
def test_aggregator_is_the_packages(aggregator, settings, masks):
    ours, theirs = twins(aggregator, "TemporalAttentionAggregator", **settings)
    x = torch.randn(2, 31 * 6, settings.get("embed_dim", 128))
    given = {
        "seen": torch.rand(2, 31, 6) < 0.2,
        "days_mask": torch.arange(31).expand(2, 31) >= torch.tensor([[28], [31]]),
    }
    given["seen"][0, :, 2] = False  # a patch that was never seen
    given = {name: given[name] for name in masks.split()}
    out, weights = ours(x, 31, 2, 3, **given, return_weights=True)
    torch.testing.assert_close((out, weights), theirs(x, 31, 2, 3, **given, return_weights=True))
    torch.testing.assert_close(out, ours(x, 31, 2, 3, **given))
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 6))
    if "days_mask" in given:
        assert (weights[0, :, 28:] == 0).all()


def test_aggregator_of_no_day_at_all_is_finite(aggregator):
    ours, theirs = twins(aggregator, "TemporalAttentionAggregator")
    x, none = torch.randn(1, 31, 128), torch.ones(1, 31, dtype=torch.bool)
    out = ours(x, 31, 1, 1, days_mask=none)
    assert out.isfinite().all()
    torch.testing.assert_close(out, theirs(x, 31, 1, 1, days_mask=none))
