"""Fine-tuning on a gappy file: what it may see, what changes, what it leaves and refuses."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from test_judge import a_file, a_moving_field, dataset

from sst_tutorial import fine_tuning, open_sst, reconstruct
from sst_tutorial.cli import main
from sst_tutorial.fine_tuning import Withheld, fine_tune, split
from sst_tutorial.networks import build
from sst_tutorial.settings import Settings, as_dict, read_settings
from sst_tutorial.weights import load_weights, read_metadata, save_weights

NAN = np.nan
FIRST_GUESS = {"name": "corrections", "iterations": 3, "adapt": True}
NETWORK = {"name": "convolutions", "skip": True, "width": 8, "residual_blocks": 1}
QUICK = {"steps": 20, "eval_every": 10, "batch_size": 4}


def weights_at(path, first_guess=FIRST_GUESS, network=NETWORK, daily=0.5):
    """Weights that nobody trained but that say they learned days."""
    torch.manual_seed(0)
    estimator = build(first_guess, network)
    save_weights(path, estimator, first_guess, network, {"settings": {"daily": daily}})
    return path


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    return weights_at(tmp_path_factory.mktemp("start") / "start.safetensors")


@pytest.fixture(scope="module")
def sea():
    return a_file(a_moving_field(T=60, side=10))


@pytest.fixture(scope="module")
def tuned(sea, start, tmp_path_factory):
    out = tmp_path_factory.mktemp("tuned") / "run"
    estimator, scores = fine_tune(sea, start, out, learn="all", progress=False, steps=120, lr=1e-2)
    return out, estimator, scores


# ---------------------------------------------------------------- what comes out


def test_it_learns_and_the_judge_says_so(tuned):
    _, _, scores = tuned
    gain, low, high = scores["gain"]
    assert low < gain < high < -0.02
    rmse = {name: row["rmse"] for name, row in scores["methods"].items()}
    assert gain == pytest.approx(rmse["fine-tuned"] - rmse["network"])
    assert scores["lead"][0] == pytest.approx(rmse[scores["best_classical"]] - rmse["fine-tuned"])
    assert scores["best_classical"] == "local OI" and "better" in fine_tuning.in_words(scores)
    assert scores["period"] == ["2001-06-16", "2001-06-29"]  # the last quarter


def test_it_leaves_the_folder_of_a_run(tuned, start, sea):
    out, estimator, scores = tuned
    assert {f.name for f in out.iterdir()} == {
        "run.json", "log.csv", "scores.json", "weights.safetensors"}  # fmt: skip
    record = json.loads((out / "run.json").read_text())
    assert record["done"] and record["fine_tuning"] and record["settings"]["start"] == str(start)
    assert record["parts"]["train"] == ["2001-05-01", "2001-06-04"]
    assert record["validation"]["after"] < record["validation"]["before"]
    assert 0 < record["kept_step"] <= record["steps"] == 120
    assert record["judged"]["fine-tuned"] == pytest.approx(
        scores["methods"]["fine-tuned"]["rmse"], rel=1e-5
    )
    assert json.loads((out / "scores.json").read_text())["words"] == scores["words"]
    rows = (out / "log.csv").read_text().splitlines()
    assert rows[0] == "step,seconds,loss,withheld" and rows[1].startswith("0,0,nan,")
    with pytest.raises(ValueError, match="is the record of a fine-tuning"):
        read_settings(out / "run.json")
    about = read_metadata(out / "weights.safetensors")["about"]
    assert about["start_sha256"] == read_metadata(start)["sha256"]
    loaded = load_weights(out)
    for name, value in estimator.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value)
    assert np.isfinite(reconstruct(sea, out, output="daily")["sst"]).all()


# ---------------------------------------------------------------- what may be seen


def test_what_is_withheld_is_not_seen(sea):
    samples = Withheld(sea, (1, 1, 1))
    asked = 0
    for step in range(5):
        batch, judged = samples(step, 4)
        assert judged.shape == batch.target.shape and (batch.target[~judged] == 0).all()
        for b in range(4):
            day = int(batch.wanted[b].nonzero())
            assert batch.wanted[b].sum() == 1 and batch.exists[b, day]
            assert not batch.observed[b, day][judged[b]].any()
            assert judged[b].sum() >= fine_tuning.LEAST_WITHHELD
            asked += 1
    assert asked == 20


def test_targets_are_the_observations_less_the_prior_of_their_window(monkeypatch):
    """Where nothing is turned: the target of each cell is what the file has there."""
    monkeypatch.setattr(fine_tuning, "_turned", lambda x, turn: x)
    still = np.broadcast_to(15 + np.arange(64.0).reshape(8, 8) / 20, (50, 8, 8))
    samples = Withheld(a_file(still, noise=0.0), (1, 1, 1))
    for step in range(3):
        batch, judged = samples(step, 4)
        for b in range(4):
            seen = batch.observed[b]
            mean = (batch.anomaly[b] * seen).sum(0) / seen.sum(0)  # (H, W): it never changes
            both = judged[b] & seen.any(0)
            assert both.any()
            torch.testing.assert_close(mean[both], batch.target[b][both], atol=1e-4, rtol=0)


def test_later_parts_teach_nothing(sea, start, tmp_path):
    """Days after the training change nothing in a step; days that are judged not even the stop."""
    odd = sea.copy(deep=True)
    parts = split(sea)
    late = (sea["time"] >= np.datetime64(parts["judge"][0])).values
    odd["sst"][late] = 30 - odd["sst"][late]
    one, _ = fine_tune(sea, start, tmp_path / "a", progress=False, **QUICK)
    two, _ = fine_tune(odd, start, tmp_path / "b", progress=False, **QUICK)
    for name, value in one.state_dict().items():
        assert torch.equal(two.state_dict()[name], value), name
    other, _ = fine_tune(sea, start, tmp_path / "c", progress=False, **QUICK | {"seed": 1})
    assert not torch.equal(other.first_guess.log_cells, one.first_guess.log_cells)
    samples = Withheld(fine_tuning._until(sea, parts["train"][1]), (1, 1, 1))
    assert samples.series.times[-1] == pd.Timestamp(parts["train"][1])


def test_the_parts_follow_each_other_in_time(sea):
    parts = split(sea)
    days = [pd.Timestamp(d) for part in parts.values() for d in part]
    assert days == sorted(days) and list(parts) == ["train", "validation", "judge"]
    assert split(sea, "2001-06-11")["judge"][0] == "2001-06-11"
    gone = sea.copy(deep=True)
    gone["sst"][41] = NAN  # 2001-06-11: a day without an observation is no first day
    assert split(gone, "2001-06-11")["judge"][0] == "2001-06-12"


@pytest.mark.parametrize(("day", "T"), [(0, 60), (59, 60), (30, 60), (3, 20), (19, 20)])
def test_a_window_holds_its_day(day, T):
    rng = np.random.default_rng(0)
    windows = {fine_tuning._window(day, T, rng) for _ in range(200)}
    for begin, end in windows:
        assert 0 <= begin <= day < end <= T and end - begin == min(31, T)
    assert len(windows) == (30 if day == 30 else 1)


def test_a_tile_holds_its_cell():
    rng = np.random.default_rng(0)
    for n, at in ((10, 3), (40, 0), (40, 39), (40, 20)):
        tiles = [fine_tuning._around(at, n, rng) for _ in range(50)]
        assert all(0 <= t.start <= at < t.stop <= n for t in tiles)
        assert {t.stop - t.start for t in tiles} == {min(n, 32)}


# ---------------------------------------------------------------- what may change


@pytest.mark.parametrize("learn", fine_tuning.LEARN)
def test_only_what_may_learn_changes(sea, start, tmp_path, learn):
    estimator, scores = fine_tune(
        sea, start, tmp_path, learn=learn, progress=False, lr=1e-2, **QUICK
    )
    before = load_weights(start).state_dict()
    changed = {n for n, v in estimator.state_dict().items() if not torch.equal(v, before[n])}
    numbers = {f"first_guess.{n}" for n in fine_tuning.NUMBERS}
    assert changed and scores["learn"] == learn
    if learn == "numbers":
        assert changed == numbers
    if learn == "first guess":
        assert numbers < changed and all(n.startswith("first_guess.") for n in changed)
    if learn == "all":
        assert "network.last.weight" in changed
    # The statistics of a norm stay those of the weights it began with.
    assert not any("running" in n for n in changed)


# ---------------------------------------------------------------- other files


def test_another_variable_is_learned_in_its_own_unit(sea, start, tmp_path):
    other = sea.copy()
    other["sst"] = (100 * sea["sst"].astype("float64") + 99_500).astype("float32")
    other["sst"].attrs["units"] = "Pa"
    other.attrs |= {"variable": "pressure", "variable_units": "Pa"}
    _, scores = fine_tune(other, start, tmp_path, progress=False, lr=1e-2, **QUICK)
    assert scores["units"] == "Pa" and 20 < scores["methods"]["fine-tuned"]["rmse"] < 200
    batch, _ = Withheld(other, (1, 1, 1))(0, 4)
    assert 0.3 < float(batch.anomaly[batch.observed].std()) < 3


@pytest.mark.parametrize("shape", [(60, 2, 3), (60, 12, 5), (50, 36, 4)])
def test_odd_shapes(shape, start, tmp_path):
    rng = np.random.default_rng(0)
    sst = 15 + rng.standard_normal(shape)
    sst[rng.random(shape) < 0.5] = NAN
    daily = dataset(sst.astype(np.float32))
    if shape[1] * shape[2] < fine_tuning.LEAST_WITHHELD:
        with pytest.raises(ValueError, match="nothing could be withheld"):
            fine_tune(daily, start, tmp_path, progress=False, **QUICK)
        return
    _, scores = fine_tune(daily, start, tmp_path, progress=False, **QUICK)
    assert np.isfinite(scores["gain"]).all()


def test_a_network_with_patches_meets_tiles_of_their_size(sea, tmp_path):
    network = {"name": "transformer", "embed_dim": 16, "spatial_depth": 1, "spatial_heads": 2}
    path = weights_at(tmp_path / "t.safetensors", network=network | {"hidden": 8})
    _, scores = fine_tune(sea, path, tmp_path / "run", progress=False, **QUICK)
    assert np.isfinite(scores["methods"]["fine-tuned"]["rmse"])


# ---------------------------------------------------------------- refusals


def refused(daily, start, words, **options):
    with pytest.raises(ValueError, match=words) as error:
        fine_tune(daily, start, "nowhere/run", **options)
    assert "\n" not in str(error.value)


def test_what_cannot_be_fine_tuned(sea, start, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(sea.isel(time=slice(20)), start, "has 18 days with observations .* about 35 in all")
    refused(sea, start, "0 to judge.* or another judge_from", judge_from="2002-01-01")
    refused(sea, start, "4 to train", judge_from="2001-05-06")
    refused(sea, start, "judge_from='soon' is no day", judge_from="soon")
    empty = sea.copy(deep=True)
    empty["sst"][:] = NAN
    refused(empty, start, "0 days with observations")
    complete = dataset(a_moving_field(T=60, side=6).astype(np.float32))
    refused(complete, start, "nothing could be withheld")
    refused(sea, "ocean-1", "never learned to answer for single days")
    refused(sea, "no-such", "neither a file")
    refused(sea, start, "'moving' is no setting of fine_tune", moving=0.5)
    refused(sea, start, "lr=-1.0 must be positive", lr=-1.0)
    refused(sea, start, "learn='some', choose one of", learn="some")
    gaussian = weights_at(tmp_path / "g.safetensors", {"name": "gaussian"}, {
        "name": "transformer", "embed_dim": 16, "spatial_depth": 0, "hidden": 8})  # fmt: skip
    refused(sea, gaussian, "has nothing that is learned; choose 'all'", learn="numbers")
    assert not (tmp_path / "nowhere").exists()


def test_a_training_that_runs_away_is_one_line(sea, start, tmp_path):
    with pytest.raises(ValueError, match="lower lr|train it again"):
        fine_tune(sea, start, tmp_path, progress=False, lr=1e4, clip=1e9, warmup=0, **QUICK)
    assert not (tmp_path / "run.json").exists()


def test_the_settings_of_a_fine_tuning_ask_for_days():
    assert fine_tuning.DEFAULTS.daily == 1.0
    known = as_dict(Settings())
    assert set(fine_tuning.CHANGEABLE) <= set(known)


def test_how_fast_it_learns_depends_on_what_may_learn(sea, start, tmp_path):
    for learn, options, lr in (
        ("all", {}, 1e-4),
        ("numbers", {}, 3e-2),
        ("all", {"lr": 0.5e-3}, 0.5e-3),
    ):
        fine_tune(
            sea, start, tmp_path, learn=learn, progress=False, steps=1, batch_size=1, **options
        )
        record = json.loads((tmp_path / "run.json").read_text())
        assert record["settings"]["lr"] == lr and record["learn"] == learn


# ---------------------------------------------------------------- the command


@pytest.fixture(scope="module")
def netcdf(sea, tmp_path_factory):
    path = tmp_path_factory.mktemp("file") / "daily.nc"
    ds = sea.assign(ocean_mask=sea["ocean_mask"].astype("int8")).rename(ocean_mask="mask")
    ds.to_netcdf(path)
    return path


def test_the_command(netcdf, start, tmp_path, capsys):
    out = tmp_path / "mine"
    words = ["fine-tune", str(netcdf), "--from", str(start), "--out", str(out)]
    words += ["--set", "steps=20", "--set", "eval_every=10", "--judge-from", "2001-06-11"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "fine-tuned" in said and "less before" in said and f"--model {out}" in said
    record = json.loads((out / "run.json").read_text())
    assert record["settings"]["steps"] == 20 and record["settings"]["data"] == str(netcdf)
    assert record["command"].startswith("sst-tutorial fine-tune")
    assert main(words) == 2 and "holds a run already" in capsys.readouterr().err
    assert main([*words, "--overwrite", "--learn", "first guess"]) == 0
    capsys.readouterr()
    assert main(["judge", str(netcdf), "--model", str(out), "--draws", "1"]) == 0
    assert "network" in capsys.readouterr().out
    assert open_sst(netcdf)["sst"].shape == (60, 10, 10)


def test_mistakes_at_the_shell_are_one_line(netcdf, start, tmp_path, capsys):
    for words, said in (
        (["--from", "ocean-1"], "never learned"),
        (["--from", str(start), "--judge-from", "August"], "is not a day YYYY-MM-DD"),
        (["--from", str(start), "--set", "speed=3"], "'speed' is no setting"),
        (["--from", str(start), "--set", "lr=fast"], "lr='fast' must be of type float"),
        (["--from", str(start), "--out", str(netcdf)], "is a file; name a folder"),
    ):
        out = [] if "--out" in words else ["--out", str(tmp_path / "x")]
        assert main(["fine-tune", str(netcdf), *words, *out]) == 2
        error = capsys.readouterr().err.strip().splitlines()
        assert said in error[-1] and error[-1].startswith("sst-tutorial: error")
    assert not (tmp_path / "x").exists()
