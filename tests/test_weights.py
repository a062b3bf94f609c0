"""Weights: what ships loads and wins; what is broken is refused."""

import json

import pytest
import torch
from safetensors.torch import save_file

from sst_tutorial.months import Settings
from sst_tutorial.weights import build, find_weights, load_weights, read_metadata, save_weights

TINY = dict(embed_dim=16, hidden=16)


def test_a_round_trip(tmp_path):
    for config in (TINY, {"network": "unet", "width": 8}):
        model = build(config).eval()
        save_weights(tmp_path / "w.safetensors", model, config, Settings(2.0), {"seed": 1})
        loaded, settings = load_weights(tmp_path / "w.safetensors")
        data, mask = torch.randn(1, 1, 31, 8, 8), torch.rand(1, 1, 31, 8, 8) < 0.5
        torch.testing.assert_close(loaded(data, mask), model(data, mask))
        assert settings.scale == 2.0 and not loaded.training
        assert read_metadata(tmp_path / "w.safetensors")["about"] == {"seed": 1}


def test_the_shipped_network_is_small_and_says_where_it_comes_from():
    path = find_weights()
    assert path.stat().st_size <= 4_000_000
    about = read_metadata(path)["about"]
    assert "sst-tutorial train --preset full" in about["command"]
    assert about["validation_rmse_K"]["cloudy"] < 0.19
    assert load_weights("ocean-1")[0].corrections is not None


def test_what_is_broken_is_refused(tmp_path):
    good = tmp_path / "good.safetensors"
    save_weights(good, build(TINY), TINY, Settings(), {})
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(good.read_bytes()[:3000])
    pickle = tmp_path / "model.pt"
    torch.save(build(TINY).state_dict(), pickle)
    bare = tmp_path / "bare.safetensors"
    save_file({"a": torch.zeros(1)}, str(bare))
    other = tmp_path / "other.safetensors"
    save_weights(other, build(TINY | {"hidden": 32}), TINY, Settings(), {})
    unknown = tmp_path / "unknown.safetensors"
    save_weights(unknown, build(TINY), {"depth": 3}, Settings(), {})
    for path, text in (
        (cut, "truncated"),
        (pickle, "pickle"),
        (bare, "format None"),
        (other, "another architecture"),
        (unknown, "cannot be built"),
        (tmp_path / "absent.safetensors", "ocean-1"),
    ):
        with pytest.raises(ValueError, match=text):
            load_weights(path)


def test_tampered_metadata_is_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    meta = {"format": "sst_tutorial 1", "config": json.dumps({"network": "os.system"})}
    meta |= {"settings": "{}", "about": "{}", "sha256": ""}
    save_file({"a": torch.zeros(1)}, str(path), meta)
    with pytest.raises(ValueError, match="network='os.system'"):
        load_weights(path)


def test_a_changed_number_is_noticed(tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(path, build(TINY), TINY, Settings(), {})
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="sha256 differs"):
        load_weights(path)
