"""The trial of designs: each builds, keeps its promise, and the record says what its runs say."""

import json

import numpy as np
import pytest
import torch
from test_checks import script

from sst_tutorial.results import RESULTS, read_results
from sst_tutorial.settings import as_dict

RECORD = read_results("designs")
designs = script("designs")


def inputs(land=False):
    """A month of 16 x 16 cells: anomaly, observed, ocean, exists."""
    draw = torch.Generator().manual_seed(0)
    ocean = torch.ones(2, 16, 16, dtype=torch.bool)
    if land:
        ocean[:, :8] = False
    observed = (torch.rand(2, 31, 16, 16, generator=draw) < 0.3) & ocean[:, None]
    anomaly = torch.randn(2, 31, 16, 16, generator=draw).masked_fill(~observed, 0.0)
    return anomaly, observed, ocean, torch.ones(2, 31, dtype=torch.bool)


@pytest.mark.parametrize("name", designs.ALL)
def test_a_design_starts_as_the_first_guess_and_learns(name):
    estimator = designs.made(name)
    month = inputs(land=True)
    estimate, days = estimator(*month, every_day=True)
    assert torch.equal(estimate.mean, estimate.first_guess) and days.shape == (2, 31, 16, 16)
    assert not estimate.mean[:, :8].any()  # land
    torch.nn.init.normal_(estimator.network.last.weight)
    after = estimator(*month)
    assert not torch.allclose(after.mean, after.first_guess, atol=1e-3)
    after.mean.square().mean().backward()
    silent = [n for n, p in estimator.named_parameters() if p.grad is None]
    assert not [n for n in silent if "daily_head" not in n], silent


def test_pixels_see_their_nine_patches_alone():
    ask = designs.tried.PixelQueries(8, 2, 2, 8, skip_chans=3).queries
    a = torch.zeros(1, 8, 6, 6)
    a[0, :, 2, 3] = 1.0
    around = ask._around(ask.value(a) - ask.value(torch.zeros_like(a)))
    heard = around.abs().sum((0, 3, 4, 5)) > 0  # (H', W')
    rows, cols = heard.nonzero().T
    assert (rows.min(), rows.max(), cols.min(), cols.max()) == (1, 3, 2, 4)
    assert heard.sum() == 9


def test_land_is_not_heard():
    estimator = designs.made("land_masked")
    plain = designs.made("base")
    plain.load_state_dict(estimator.state_dict())
    for one in (estimator, plain):
        one.eval()
        torch.nn.init.constant_(one.network.last.weight, 0.1)
    sea, coast = inputs(), inputs(land=True)
    assert torch.allclose(estimator(*sea).mean, plain(*sea).mean, atol=1e-5)
    assert not torch.allclose(estimator(*coast).mean, plain(*coast).mean, atol=1e-5)


def test_a_divided_patch_does_not_know_how_much_of_it_was_seen_but_by_its_count():
    encoder = designs.tried.Divided(1, 8, (1, 2, 2))
    torch.nn.init.zeros_(encoder.count.weight)
    torch.nn.init.ones_(encoder.proj.weight)
    encoder.proj.weight.data[:, 1:] = 0.0  # deaf to the flags
    encoder.norm = torch.nn.Identity()
    x = torch.full((1, 1, 1, 2, 4), 3.0)
    hidden = torch.tensor([[False, False, True, False], [False, False, True, True]])
    tokens = encoder(x, hidden[None, None, None])  # two patches: all seen, a quarter seen
    assert torch.allclose(tokens[0, 0], tokens[0, 1], atol=1e-6)


def test_wide_windows_are_sewn_from_skies():
    clouds = np.zeros((20, 32, 32), bool)
    clouds[10:] = True
    maker = designs.tried.Wide("cpu", 0, clouds=clouds, moving=1.0, moving_seas=1, pieces=4)
    assert maker.size == 64 and tuple(maker.clouds.shape[1:]) == (64, 64)
    quarters = maker.clouds.unflatten(1, (2, 32)).unflatten(3, (2, 32))
    share = quarters.float().mean((2, 4))  # (n, 2, 2): each is one sky
    assert set(share.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("name", RECORD["designs"])
def test_the_record_follows_from_the_runs(name):
    row = RECORD["designs"][name]
    runs = [RESULTS / "designs" / f"{name}-{seed}" for seed in designs.SEEDS]
    told = [json.loads((run / "run.json").read_text()) for run in runs]
    assert row["steps"] == [r["steps"] for r in told]
    assert {r["settings"]["seconds"] for r in told} == {RECORD["seconds"]}
    for seed, record in enumerate(told):  # the settings of today are those of the runs
        settings, _ = designs.plan_of(name, seed, RECORD["seconds"])
        assert as_dict(settings) == record["settings"]
    assert ("minus_base_K" in row) == (name != "base")
    for question, found in row.get("minus_base_K", {}).items():
        mine = row["rmse_K"][question]
        theirs = RECORD["designs"][row["base"]]["rmse_K"][question]
        assert found["value"] == pytest.approx(np.mean(mine) - np.mean(theirs), abs=1.5e-5)
        assert found["low"] < found["value"] < found["high"]


def test_a_wave_that_is_not_whole_is_repeated(tmp_path):
    names = ["base", "divided"]
    for name in names:
        (tmp_path / f"{name}-0").mkdir()
        record = {"done": True, "settings": {"seconds": 5.0}}
        (tmp_path / f"{name}-0" / "run.json").write_text(json.dumps(record))
    assert designs.is_whole(tmp_path, 0, names, 5.0)
    assert not designs.is_whole(tmp_path, 0, names, 6.0)
    assert not designs.is_whole(tmp_path, 1, names, 5.0)
    (tmp_path / "divided-0" / "run.json").unlink()
    assert not designs.is_whole(tmp_path, 0, names, 5.0)
