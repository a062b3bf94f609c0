"""Weights: what ships gives the numbers it always gave, and what is broken is refused."""

import json
import warnings

import numpy as np
import pytest
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from sst_tutorial import weights
from sst_tutorial.benchmark import benchmark_folder, benchmark_months
from sst_tutorial.evaluation import score_months
from sst_tutorial.networks import build
from sst_tutorial.reconstruction import as_method
from sst_tutorial.weights import (
    find_weights,
    fingerprint,
    load_weights,
    read_metadata,
    save_weights,
)

GAUSSIAN = {"name": "gaussian"}
TINY = {"name": "transformer", "embed_dim": 16, "hidden": 16}


def saved(path, network=TINY, scale=1.0, about=None):
    """A new estimator, written to `path`."""
    torch.manual_seed(0)
    estimator = build(GAUSSIAN, network, scale).eval()
    torch.nn.init.normal_(estimator.network.last.weight)
    save_weights(path, estimator, GAUSSIAN, network, about or {})
    return estimator


# ---------------------------------------------------------------- what ships


def made_up_months():
    """Two months that no random generator made: one of 28 days, one with land; 24 x 20 cells."""
    b, t, h, w = np.ogrid[:2, :31, :24, :20]
    wave = 1.3 * np.sin(0.31 * h + 0.17 * w + b) + 0.9 * np.sin(0.05 * h * w + 0.11 * t)
    anomaly = wave + 0.4 * np.sin(1.7 * h * w + 2.3 * t * h + 0.9 * t * w)
    number = (((b * 31 + t) * 24 + h) * 20 + w).astype(np.uint64)
    number = number * np.uint64(2654435761) % np.uint64(2**32)
    observed = (number >> np.uint64(12)) % np.uint64(100) < 9 + 12 * b  # 9 % and 21 % seen
    ocean = np.ones((2, 24, 20), bool)
    ocean[1, :9, 13:] = ocean[1, 20:, :4] = False
    exists = np.ones((2, 31), bool)
    exists[0, 28:] = False
    observed = observed & ocean[:, None] & exists[:, :, None, None]
    anomaly = np.where(observed, anomaly, 0.0).astype(np.float32)
    return tuple(map(torch.from_numpy, (anomaly, observed, ocean, exists)))


# (month, row, column): mean and first guess in K, as version 0.1.0 computed them (torch 2.13, CPU).
OCEAN_1 = {
    (0, 0, 0): (0.6391581, 0.6368850),
    (0, 11, 7): (-1.7370864, -1.7270327),
    (0, 23, 19): (-0.8727576, -0.8293096),
    (0, 4, 16): (-1.5308775, -1.4522809),
    (1, 0, 0): (1.6064888, 1.6438963),
    (1, 12, 9): (0.3785388, 0.3609883),
    (1, 19, 2): (0.7510958, 0.7482032),
    (1, 8, 12): (-0.7509761, -0.7397390),
}


@torch.no_grad()
def test_ocean_1_gives_the_numbers_it_always_gave():
    mean, first_guess = load_weights("ocean-1")(*made_up_months())
    found = [(float(mean[place]), float(first_guess[place])) for place in OCEAN_1]
    np.testing.assert_allclose(found, list(OCEAN_1.values()), rtol=0, atol=1e-5)


@pytest.mark.skipif(benchmark_folder() is None, reason="no benchmark here: SST_TUTORIAL_DATA")
@pytest.mark.parametrize(("regime", "rmse"), [("cloudy", 0.2086), ("clear", 0.0863)])
def test_ocean_1_scores_as_it_always_did(regime, rmse):
    months = benchmark_months(regime)
    scores = score_months({"network": as_method("ocean-1")}, months)["network"]
    assert len(months) == 48 and scores["rmse"] == pytest.approx(rmse, abs=2e-4)


SHIPPED = {  # largest size, settings in the command, validation RMSE of cloudy months in K
    "ocean-1": (4_000_000, "--preset full", 0.19),
    "ocean-2": (8_000_000, "--settings experiments/ocean-2/longer.toml", 0.185),
}


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_network_is_small_and_says_where_it_comes_from(name):
    path, (size, settings, rmse) = find_weights(name), SHIPPED[name]
    assert path.stat().st_size <= size
    about = read_metadata(path)["about"]
    assert f"sst-tutorial train {settings}" in about["command"]
    assert about["validation_rmse_K"]["cloudy"] < rmse


def test_the_default_answers_for_months_and_days():
    assert load_weights().network.daily_head is not None
    assert find_weights() == find_weights("ocean-2")


def test_a_shipped_network_fills_its_two_slots():
    config = read_metadata(find_weights("ocean-1"))["config"]
    assert config["first_guess"] == {"name": "corrections", "iterations": 12, "adapt": True}
    assert config["network"]["name"] == "transformer" and config["network"]["temporal_heads"] == 4
    estimator = load_weights("ocean-1")
    assert estimator.scale == config["scale"] == 1.0 and not estimator.training
    with safe_open(str(find_weights("ocean-1")), "pt") as file:
        assert len(file.keys()) == len(estimator.state_dict())


# ---------------------------------------------------------------- a round trip


@pytest.mark.parametrize("network", [TINY, {"name": "unet", "width": 8}])
def test_a_round_trip(tmp_path, network):
    path = tmp_path / "weights.safetensors"
    estimator = saved(path, network, 2.0, {"seed": 1})
    batch = made_up_months()
    for name in (path, str(path), tmp_path):  # a file, or the folder of a run
        loaded = load_weights(name)
        assert torch.equal(loaded(*batch).mean, estimator(*batch).mean)
        assert loaded.scale == 2.0 and not loaded.training
    metadata = read_metadata(path)
    assert metadata["about"] == {"seed": 1} and metadata["format"] == "sst_tutorial 2"
    assert metadata["config"] == {"first_guess": GAUSSIAN, "network": network, "scale": 2.0}
    assert metadata["sha256"] == fingerprint(estimator.state_dict())


def test_the_fingerprint_is_that_of_the_numbers(tmp_path):
    estimator = saved(tmp_path / "a.safetensors", about={"seed": 1})
    saved(tmp_path / "b.safetensors", about={"seed": 2})
    a, b = (read_metadata(tmp_path / f"{x}.safetensors")["sha256"] for x in "ab")
    assert a == b
    with torch.no_grad():
        estimator.network.last.bias += 1e-7
    assert fingerprint(estimator.state_dict()) != a


# ---------------------------------------------------------------- what is refused


def test_what_is_broken_is_refused(tmp_path):
    saved(tmp_path / "good.safetensors")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes((tmp_path / "good.safetensors").read_bytes()[:3000])
    pickle = tmp_path / "model.pt"
    torch.save(build(GAUSSIAN, TINY).state_dict(), pickle)
    bare = tmp_path / "bare.safetensors"
    save_file({"a": torch.zeros(1)}, str(bare))
    other = tmp_path / "other.safetensors"
    save_weights(other, build(GAUSSIAN, TINY | {"hidden": 32}), GAUSSIAN, TINY, {})
    unknown = tmp_path / "unknown.safetensors"
    save_weights(unknown, build(GAUSSIAN, TINY), GAUSSIAN, TINY | {"depth": 3}, {})
    (tmp_path / "folder").mkdir()
    for path, text in (
        (cut, "truncated"),
        (pickle, "pickle"),
        (bare, "format None"),
        (other, "another architecture"),
        (unknown, "has no setting 'depth'"),
        (tmp_path / "absent.safetensors", "ocean-1"),
        (tmp_path / "folder", "nor a run's folder.*ocean-1"),
    ):
        with pytest.raises(ValueError, match=text):
            load_weights(path)


OF_TWO_SLOTS = {"first_guess": GAUSSIAN, "network": TINY, "scale": 1.0}
META = {
    "format": "sst_tutorial 2",
    "config": json.dumps(OF_TWO_SLOTS),
    "about": "{}",
    "sha256": fingerprint({"a": torch.zeros(1)}),
}


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"format": "sst_tutorial 3"}, "format 'sst_tutorial 3', expected 'sst_tutorial 2'"),
        ({"config": "{"}, "damaged metadata"),
        ({"config": "[]"}, "damaged metadata"),
        ({"config": "{}"}, "damaged metadata.*first_guess"),
        ({"config": json.dumps(OF_TWO_SLOTS | {"network": "unet"})}, "must be tables"),
        ({"about": "3"}, "must be tables"),
        ({"sha256": "0"}, "sha256 differs"),
        (
            {"config": json.dumps(OF_TWO_SLOTS | {"network": {"name": "os.system"}})},
            "network.name='os.system'",
        ),
        ({"config": json.dumps(OF_TWO_SLOTS | {"scale": "big"})}, "w.safetensors: "),
        ({"config": json.dumps(OF_TWO_SLOTS | {"scale": 0})}, "scale must be a positive number"),
        ({}, "another architecture"),
        ({"config": "[" * 100_000}, "damaged metadata"),
        ({"about": "[" * 100_000}, "damaged metadata"),
        *(
            ({"config": json.dumps(OF_TWO_SLOTS | {slot: table | {key: value}})}, text)
            for slot, table, key, value, text in (
                ("first_guess", GAUSSIAN, "cells", "wide", "cells must be like 1.2, got 'wide'"),
                ("first_guess", GAUSSIAN, "cells", [1], r"cells must be like 1.2, got \[1\]"),
                ("first_guess", GAUSSIAN, "cells", 0, "cells and days must be positive"),
                ("first_guess", GAUSSIAN, "cells", float("inf"), "cells must be like 1.2"),
                ("first_guess", GAUSSIAN, "cells", float("nan"), "cells must be like 1.2"),
                ("first_guess", GAUSSIAN, "days", None, "days must be like 3.0, got None"),
                ("first_guess", GAUSSIAN, "days", 10**400, "days must be like 3.0"),
                ("first_guess", {"name": "corrections"}, "adapt", "no", "adapt must be like False"),
                ("network", TINY, "skip", "yes", "network.skip must be true or false"),
                ("network", TINY, "spatial_depth", 10**9, "spatial_depth must be like 2"),
                ("network", TINY, "embed_dim", 0, "cannot be built"),
                ("network", TINY, "patch_size", [1, 4], r"patch_size must be like \(1, 4, 4\)"),
            )
        ),
        ({"config": json.dumps(OF_TWO_SLOTS | {"scale": 10**400})}, "w.safetensors: "),
        ({"config": json.dumps(OF_TWO_SLOTS | {"scale": [1]})}, "w.safetensors: "),
    ],
)
def test_tampered_metadata_is_refused(tmp_path, changes, text):
    path = tmp_path / "w.safetensors"
    save_file({"a": torch.zeros(1)}, str(path), META | changes)
    with warnings.catch_warnings(), pytest.raises(ValueError, match=text) as error:
        warnings.simplefilter("error")
        load_weights(path)
    assert "\n" not in str(error.value) and str(path) in str(error.value)


def test_tampered_metadata_of_format_1_is_refused(tmp_path):
    path = tmp_path / "w.safetensors"
    meta = META | {"format": "sst_tutorial 1", "config": json.dumps({"network": "os.system"})}
    for settings, text in (("{}", "damaged metadata"), ('{"scale": 1.0}', "'os.system'")):
        save_file({"a": torch.zeros(1)}, str(path), meta | {"settings": settings})
        with pytest.raises(ValueError, match=text):
            load_weights(path)
    save_file({"a": torch.zeros(1)}, str(path), meta)  # settings are missing
    with pytest.raises(ValueError, match="damaged metadata"):
        load_weights(path)


def test_a_changed_number_is_noticed(tmp_path):
    path = tmp_path / "w.safetensors"
    saved(path)
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="sha256 differs"):
        load_weights(path)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_precisions_are_read(tmp_path, dtype):
    path, estimator = tmp_path / "w.safetensors", saved(tmp_path / "full.safetensors")
    save_weights(path, build(GAUSSIAN, TINY).to(dtype), GAUSSIAN, TINY, {})
    assert {p.dtype for p in load_weights(path).parameters()} == {torch.float32}
    save_weights(path, estimator.to(dtype), GAUSSIAN, TINY, {})
    mean = load_weights(path)(*made_up_months()).mean
    expected = load_weights(tmp_path / "full.safetensors")(*made_up_months()).mean
    torch.testing.assert_close(mean, expected, rtol=0.1, atol=0.1)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.float8_e4m3fn])
def test_numbers_of_odd_kinds_end_in_no_traceback(tmp_path, dtype):
    path = tmp_path / "w.safetensors"
    state = {"a": torch.ones(2).to(dtype)}
    save_file(state, str(path), META | {"sha256": fingerprint(state)})
    with pytest.raises(ValueError, match="w.safetensors holds"):
        load_weights(path)


def test_a_file_of_weights_is_whole_or_absent(tmp_path, monkeypatch):
    def full(tensors, path, metadata):
        open(path, "wb").write(b"half")
        raise SafetensorError("No space left on device")

    saved(tmp_path / "old.safetensors")
    before = (tmp_path / "old.safetensors").read_bytes()
    monkeypatch.setattr(weights, "save_file", full)
    for name in ("old", "new"):
        with pytest.raises(OSError, match=f"{name}.safetensors cannot be written .No space left"):
            saved(tmp_path / f"{name}.safetensors")
    assert [p.name for p in tmp_path.iterdir()] == ["old.safetensors"]
    assert (tmp_path / "old.safetensors").read_bytes() == before


def test_numbers_that_are_not_finite_are_refused(tmp_path):
    path, estimator = tmp_path / "w.safetensors", build(GAUSSIAN, TINY)
    torch.nn.init.constant_(estimator.network.last.bias, torch.nan)
    save_weights(path, estimator, GAUSSIAN, TINY, {})
    with pytest.raises(ValueError, match="not finite, in network.decoder.head.3.bias"):
        load_weights(path)
