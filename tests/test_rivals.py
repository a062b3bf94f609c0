"""Networks that the book's network is compared with keep the same contract."""

import numpy as np
import pytest
import torch

from sst_tutorial.months import Settings
from sst_tutorial.reconstruction import as_method
from sst_tutorial.rivals import UNet, WithoutTokens
from sst_tutorial.weights import build

OPTIONS = dict(embed_dim=16, hidden=16, passes=3, skip=True, refine=1)


def test_without_tokens_is_the_same_network_with_silent_tokens():
    torch.manual_seed(0)
    whole = build(OPTIONS).eval()
    torch.nn.init.normal_(whole.decoder.head[3].weight)
    silent = WithoutTokens(**OPTIONS).eval()
    silent.load_state_dict(whole.state_dict())
    data, mask = torch.randn(2, 1, 31, 8, 12), torch.rand(2, 1, 31, 8, 12) < 0.7
    assert not torch.allclose(silent(data, mask), whole(data, mask))
    whole.spatial_tr.forward = torch.zeros_like
    torch.testing.assert_close(silent(data, mask), whole(data, mask))


def test_without_tokens_learns_nothing_in_the_token_path():
    rival = WithoutTokens(**OPTIONS)
    torch.nn.init.normal_(rival.decoder.head[3].weight)
    data, mask = torch.randn(2, 1, 31, 8, 8), torch.rand(2, 1, 31, 8, 8) < 0.7
    rival(data, mask).square().mean().backward()
    learned = {name for name, p in rival.named_parameters() if p.grad is not None}
    assert not any(name.startswith(("encoder", "temporal", "spatial_tr")) for name in learned)
    assert any(name.startswith("corrections") for name in learned)


def test_rivals_name_what_is_wrong():
    with pytest.raises(ValueError, match="needs passes > 0 and skip=True"):
        WithoutTokens(embed_dim=16, hidden=16, passes=3)
    data, mask = torch.randn(2, 1, 31, 8, 8), torch.rand(2, 1, 31, 8, 8) < 0.5
    with pytest.raises(ValueError, match=r"land_mask must have shape \(2, 8, 8\)"):
        UNet(width=8)(data, mask, torch.zeros(2, 1, 8, 8, dtype=torch.bool))


@pytest.mark.parametrize("network", [UNet(width=8), WithoutTokens(**OPTIONS)])
def test_rivals_reconstruct_a_map_of_any_size(network):
    rng = np.random.default_rng(0)
    sst = rng.normal(15, 1, (28, 33, 21)).astype("float32")
    sst[rng.random(sst.shape) < 0.8] = np.nan
    ocean = np.ones((33, 21), dtype=bool)
    ocean[:5, :5] = False
    month = as_method((network, Settings()))(sst, ocean)
    assert month.shape == (33, 21) and np.isfinite(month[ocean]).all()
    assert np.isnan(month[~ocean]).all() and abs(month[ocean].mean() - 15) < 0.5
