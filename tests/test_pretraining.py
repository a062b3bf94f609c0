"""Hiding, dropping and asking: nothing hidden is read, nothing unseen is asked for."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from sst_tutorial.model import SpatioTemporalModel
from sst_tutorial.pretraining import (
    MASKS,
    MaskedAutoencoder,
    Windows,
    gappy_record,
    hidden_loss,
    openness,
    pretrain,
    seconds_per_step,
    split_tokens,
    transfer,
)
from sst_tutorial.settings import Settings

ROOT = Path(__file__).parents[1]


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def gappy(B=3, T=6, H=8, W=12, share=0.5):
    """x (B, 1, T, H, W), 0 in the gaps, and missing; whole patches are missing too."""
    x = torch.randn(B, 1, T, H, W, generator=rng())
    missing = torch.rand(x.shape, generator=rng(1)) > share
    missing[:, :, :, :4, :4] = True  # this patch never saw anything
    return x.masked_fill(missing, 0.0), missing


def small(**changes):
    torch.manual_seed(0)
    return MaskedAutoencoder(**({"embed_dim": 16, "depth": 1, "heads": 2} | changes))


def parts_of(kind, ratio, seen, **options):
    clouds = torch.rand(9, seen.shape[2], generator=rng(5))
    return split_tokens(openness(kind, seen, rng(2), clouds), seen, ratio, **options)


# ---- what is hidden ---------------------------------------------------------------------


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("ratio", [0.5, 0.75, 0.95])
def test_kept_and_asked_are_seen_and_apart(kind, ratio):
    _, missing = gappy()
    seen = small().seen(missing)
    parts = parts_of(kind, ratio, seen, most=10**6)
    for b, flat in enumerate(seen.flatten(1)):
        kept = parts.kept[b][parts.kept_there[b]].tolist()
        asked = parts.asked[b][parts.asked_there[b]].tolist()
        known = flat.nonzero()[:, 0].tolist()
        assert sorted(kept + asked) == known  # all that saw something, each once
        assert len(kept) == max(1, round((1 - ratio) * len(known)))


def test_at_most_so_many_are_asked_for():
    seen = torch.ones(2, 6, 6, dtype=torch.bool)
    parts = parts_of("random", 0.75, seen, most=5)
    assert parts.asked.shape == (2, 5) and parts.asked_there.all()


def test_a_tube_goes_through_all_days():
    seen = torch.ones(1, 6, 20, dtype=torch.bool)
    kept = torch.zeros(120, dtype=torch.bool)
    kept[parts_of("tube", 0.75, seen).kept[0]] = True
    kept = kept.view(6, 20)
    assert (kept == kept[:1]).all() and kept[0].sum() == 5
    loose = torch.zeros(120, dtype=torch.bool)
    loose[parts_of("random", 0.75, seen).kept[0]] = True
    assert not (loose.view(6, 20) == loose.view(6, 20)[:1]).all()


def test_clouds_hide_what_other_days_did_not_see():
    seen = torch.ones(1, 4, 10, dtype=torch.bool)
    half = torch.zeros(1, 10)
    half[:, :5] = 1.0  # the only other day saw the first five patches
    score = openness("clouds", seen, rng(), half)
    parts = split_tokens(score, seen, 0.5)
    assert (parts.kept % 10 < 5).all() and (parts.asked[parts.asked_there] % 10 >= 5).all()


def test_what_cannot_be_hidden_is_refused():
    seen = torch.ones(1, 4, 10, dtype=torch.bool)
    for arguments, words in (
        (("squares", seen), "kind='squares'"),
        (("clouds", seen), "needs clouds"),
        (("clouds", seen, rng(), torch.ones(3, 7)), r"\(n, 10\)"),
    ):
        with pytest.raises(ValueError, match=words):
            openness(*arguments)
    for ratio in (0.0, 1.0):
        with pytest.raises(ValueError, match=f"ratio={ratio}"):
            split_tokens(torch.rand(1, 4, 10), seen, ratio)


# ---- what is read and asked -------------------------------------------------------------


@torch.no_grad()
def test_nothing_hidden_reaches_the_answer():
    net = small().eval()
    x, missing = gappy()
    parts = parts_of("random", 0.75, net.seen(missing))
    before = net(x, missing, parts)
    others = torch.ones(3, 36, dtype=torch.bool)
    for b in range(3):
        others[b, parts.kept[b][parts.kept_there[b]]] = False
    others = others.view(3, 1, 6, 2, 3).repeat_interleave(4, 3).repeat_interleave(4, 4)
    torch.testing.assert_close(net(x.masked_fill(others, 7.0), missing, parts), before)
    gaps = x.masked_fill(missing, float("nan"))
    torch.testing.assert_close(net(gaps, missing, parts), before)  # nor what lies in a gap
    assert not torch.allclose(net(x + 1.0, missing, parts), before)  # but the kept do


@torch.no_grad()
def test_a_sample_does_not_depend_on_its_company():
    net = small().eval()
    x, missing = gappy()
    missing[1, :, :4] = True  # fewer tokens: its list is filled up
    parts = parts_of("random", 0.5, net.seen(missing), most=10**6)
    assert not parts.kept_there.all()
    alone = type(parts)(*(p[1:2] for p in parts))
    own = net(x[1:2], missing[1:2], alone)[alone.asked_there]
    torch.testing.assert_close(net(x, missing, parts)[1:2][alone.asked_there], own)


@torch.no_grad()
def test_the_loss_counts_observed_pixels_of_asked_tokens():
    net = small()
    x, missing = gappy()
    parts = parts_of("random", 0.75, net.seen(missing))
    guess = net(x, missing, parts)
    total, count = 0.0, 0
    for b in range(len(x)):
        for a, token in enumerate(parts.asked[b].tolist()):
            if not parts.asked_there[b, a]:
                continue
            day, place = divmod(token, 6)
            row, col = divmod(place, 3)
            box = (b, 0, day, slice(4 * row, 4 * row + 4), slice(4 * col, 4 * col + 4))
            known = ~missing[box].flatten()
            total += (guess[b, a] - x[box].flatten())[known].square().sum()
            count += known.sum()
    torch.testing.assert_close(hidden_loss(net, x, missing, parts), total / count)


# ---- learning and moving over -----------------------------------------------------------


def months(n=12, T=8, H=16, W=16):
    """Anomalies whose months have a mean of their own, seen at half of the pixels."""
    level = torch.randn(n, 1, 1, 1, generator=rng(3))
    x = level + 0.1 * torch.randn(n, T, H, W, generator=rng(4))
    missing = torch.rand(x.shape, generator=rng(5)) > 0.5
    return x[:, None].masked_fill(missing[:, None], 0.0), missing[:, None]


def test_it_learns_from_observations_alone_and_repeats_itself():
    x, missing = months()

    def draw(step, n):
        pick = torch.randint(len(x), (n,), generator=rng(step))
        return x[pick], missing[pick]

    settings = Settings(steps=40, batch_size=6, lr=4e-3, warmup=4)
    first, again = (pretrain(small(), draw, settings, "random", (0.5, 0.9)) for _ in range(2))
    assert first == again
    assert np.mean(first[-8:]) < 0.6 * np.mean(first[:4])


def test_transfer_moves_embedding_and_transformer_and_nothing_else():
    source = small(depth=2, heads=4)
    with torch.no_grad():
        for p in source.parameters():
            p.add_(0.1)
    torch.manual_seed(5)
    target = SpatioTemporalModel(embed_dim=16, hidden=16, spatial_depth=2)
    before = {k: v.clone() for k, v in target.state_dict().items()}
    transfer(source, target)
    changed = {k for k, v in target.state_dict().items() if not torch.equal(v, before[k])}
    assert changed and {k.split(".")[0] for k in changed} == {"encoder", "spatial_tr"}
    # A month of one day that is all seen: the tokens that both read are the same.
    x = torch.randn(1, 1, 1, 8, 8, generator=rng())
    gaps = torch.zeros_like(x, dtype=torch.bool)
    with torch.no_grad():
        tokens, seen, place, _ = target.eval().read(x, gaps)[:4]
        theirs = target._weigh(tokens, seen, place)[0]
        ours = source.encoder(x, gaps) + source.marks(x.shape)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("changes", [{"embed_dim": 32}, {"patch_size": (1, 2, 2)}, {"depth": 1}])
def test_transfer_refuses_what_is_not_alike(changes):
    target = SpatioTemporalModel(embed_dim=16, hidden=16, spatial_depth=2)
    with pytest.raises(ValueError, match="another network than what was pre-trained"):
        transfer(small(**({"depth": 2, "heads": 4} | changes)), target)


def test_dropping_saves_time():
    net, (x, missing) = small(embed_dim=32), months(n=4, T=24, H=32, W=32)
    all_, few = (min(seconds_per_step(net, x, missing, r, 2) for _ in range(2)) for r in (0, 0.95))
    assert few < 0.5 * all_  # 15 times on an idle core


# ---- data -------------------------------------------------------------------------------


def test_a_record_keeps_one_sky_a_day_and_its_noise():
    anomaly = np.zeros((400, 6, 6), np.float32)
    anomaly[:, 0, 0] = np.nan
    clouds = np.random.default_rng(0).random((5, 6, 6)) < 0.4
    record = gappy_record(anomaly, clouds, seed=1)
    seen = np.isfinite(record)
    allowed = clouds & np.isfinite(anomaly[0])
    assert all(any((day == sky).all() for sky in allowed) for day in seen)
    assert abs(record[seen].std() - 0.3) < 0.02 and not seen[:, 0, 0].any()
    np.testing.assert_array_equal(record, gappy_record(anomaly, clouds, seed=1))
    assert not np.array_equal(record, gappy_record(anomaly, clouds, seed=2), equal_nan=True)


def test_windows_are_consecutive_days_of_the_record():
    record = np.arange(1, 21, dtype=np.float32)[:, None, None].repeat(4, 1).repeat(4, 2)
    record[4] = np.nan
    x, missing = Windows(record, days=5)(0, 64)
    assert x.shape == (64, 1, 5, 4, 4) and set(x[:, 0].sign().unique().tolist()) == {-1, 0, 1}
    assert (missing == (x == 0)).all() and missing.any()
    day = x.abs()[:, 0, :, 0, 0]  # (64, 5)
    step = day.diff(dim=1)[(day[:, 1:] > 0) & (day[:, :-1] > 0)]
    assert (step == 1).all()
    again = Windows(record, days=5)(0, 64)[0]
    assert torch.equal(x, again) and not torch.equal(x, Windows(record, days=5)(1, 64)[0])
    with pytest.raises(ValueError, match="record has 20 days, a window 31"):
        Windows(record)


# ---- the script and its record ----------------------------------------------------------


@pytest.fixture(scope="module")
def script():
    path = ROOT / "experiments" / "checks" / "pretraining.py"
    spec = importlib.util.spec_from_file_location("check_pretraining", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_settings_say_only_what_differs(script):
    whole, small_ones = script.read(), script.read(small=True)
    assert whole["ratios"]["pretraining"] == whole["labels"]["pretraining"]
    assert whole["ratios"]["ratios"] != whole["labels"]["ratios"]
    for tables in (whole, small_ones):
        assert all("small" not in table for table in tables.values())
        keys = [job[0] for job in script.jobs_of(tables)]
        assert len(keys) == len(set(keys)) > 20
    assert small_ones["labels"]["training"]["steps"] < whole["labels"]["training"]["steps"]


def test_hidden_cells_of_a_single_day_are_filled_and_others_kept(script):
    model = MaskedAutoencoder(16, (1, 2, 2), depth=1, heads=2, max_T=4)
    field = np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32)
    field[:2, :2] = np.nan  # land
    x, missing, parts, hidden = script.hide(model, field, 0.5, 0)
    made = script.fill(model, x, missing, parts)
    sea = np.isfinite(field)
    np.testing.assert_array_equal(made[sea & ~hidden], field[sea & ~hidden])
    assert (made[hidden] != field[hidden]).all() and not hidden[:2, :2].any()
    assert 0.4 < hidden[sea].mean() < 0.6


def test_kriging_with_the_true_covariance_is_the_best_rival(script):
    grid = np.indices((12, 12)).reshape(2, -1).T
    apart = np.hypot(*(grid[:, None] - grid[None]).transpose(2, 0, 1))
    root = np.linalg.cholesky(np.exp(-apart / 6) + 1e-6 * np.eye(144))
    maps = (np.random.default_rng(0).normal(size=(4000, 144)) @ root.T).reshape(-1, 12, 12)
    maps = maps.astype(np.float32).repeat(2, 1).repeat(2, 2)  # 24 cells a side
    rivals = script.rivals_of(maps[:3900], [0.5])
    error = dict.fromkeys(rivals, 0.0)
    for number, field in enumerate(maps[3900:3912]):
        observed = np.random.default_rng(number).random(field.shape) < 0.5
        for name, rival in rivals.items():
            made = rival(field, observed, 0.5)
            assert made.shape == field.shape and np.isfinite(made).all()
            error[name] += float(np.square(made - field)[~observed].mean())
    assert error["kriging, measured"] == min(error.values())


def test_the_record_is_of_these_settings(script):
    path = ROOT / "experiments" / "results" / "pretraining.json"
    record = json.loads(path.read_text())
    small_run = "--small" in record["command"]
    assert record["settings"] == script.read(small_run) and record["share"] == 1
    for key, rows in record["rows"].items():
        for row in rows:
            seen = row.get("rmse", {"": 0.1}).values()
            assert all(0 < value < 2 for value in seen), key
