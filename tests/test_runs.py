"""A run is one settings file and leaves one folder, which fed back is the same run."""

import csv
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from sst_tutorial import benchmark, runs, samples
from sst_tutorial.results import is_done, write_record
from sst_tutorial.runs import plan, run_all, train
from sst_tutorial.samples import random_coasts
from sst_tutorial.settings import as_dict, changed, read_settings, settings_of
from sst_tutorial.training import validation_rmse
from sst_tutorial.weights import load_weights, read_metadata

TINY = settings_of(
    "quick",
    steps=4,
    batch_size=4,
    eval_every=2,
    warmup=1,
    pieces=4,
    first_guess={"iterations": 3},
    network={"embed_dim": 8, "hidden": 8, "spatial_depth": 1, "spatial_heads": 2},
)
IN_A_FILE = """
preset = "quick"
steps = 4
batch_size = 4
eval_every = 2
warmup = 1
pieces = 4
first_guess = {iterations = 3}
network = {embed_dim = 8, hidden = 8, spatial_depth = 1, spatial_heads = 2}
"""
COMMAND = [sys.executable, "-m", "sst_tutorial.cli"]


@pytest.fixture(autouse=True)
def same_coasts(monkeypatch):
    """The world's coast takes seconds to draw and is the same for every run."""
    monkeypatch.setattr(runs, "random_coasts", cache(random_coasts))


random_coasts = cache(random_coasts)


def do(settings, out, **options):
    return train(settings, out, progress=False, accelerator="cpu", **options)


def same(a, b):
    ours, theirs = a.state_dict(), b.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[k], theirs[k]) for k in ours)


def record(folder):
    return json.loads((folder / "run.json").read_text())


def rows(path):
    """The rows of a log without its times."""
    times = {"seconds", "samples_per_s", "ms", "ms_in_data", "mfu"}
    with path.open(newline="") as file:
        return [{k: v for k, v in row.items() if k not in times} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """(folder, estimator) of a finished run of TINY."""
    folder = tmp_path_factory.mktemp("runs") / "new" / "tiny"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "random_coasts", random_coasts)
        return folder, do(TINY, folder, command="sst-tutorial train")


# ---------------------------------------------------------------- what a run leaves


def test_a_run_leaves_one_folder(done):
    folder, estimator = done
    names = {"run.json", "scores.json", "log.csv", "steps.csv", "settings.json"}
    assert {f.name for f in folder.iterdir()} == names | {
        "weights.safetensors",
        "checkpoint.safetensors",
    }
    assert is_done(folder, TINY) and same(load_weights(folder), estimator)
    assert [row["step"] for row in rows(folder / "log.csv")] == ["2", "4"]
    assert [row["step"] for row in rows(folder / "steps.csv")] == ["1", "2", "3", "4"]


def test_the_record_of_a_run_says_how_it_went(done):
    folder, estimator = done
    told = record(folder)
    assert told["steps"] == 4 and told["seconds"] > 0 and told["processes"] == 1
    assert told["command"] == "sst-tutorial train" and told["years"] is None
    assert sum(told["parameters"].values()) == sum(p.numel() for p in estimator.parameters())
    assert set(told["parameters"]) == {"first_guess", "network"}
    best = min(float(row["simulated"]) for row in rows(folder / "log.csv"))
    assert told["validation"] == {"simulated": pytest.approx(best, rel=1e-4)}
    scores = json.loads((folder / "scores.json").read_text())["validation"]["simulated"]
    assert len(scores["square_sum"]) == len(scores["weight_sum"]) == 32
    rmse = (sum(scores["square_sum"]) / sum(scores["weight_sum"])) ** 0.5
    assert rmse == pytest.approx(best, rel=1e-4)
    validation = runs.validation_batches(None, None, None, (1, 4, 4), "cpu")["simulated"]
    assert validation_rmse(estimator, validation) == pytest.approx(best, rel=1e-4)


def test_weights_tell_how_they_were_made(done):
    folder, _ = done
    metadata = read_metadata(folder / "weights.safetensors")
    assert metadata["about"]["settings"] == as_dict(TINY)
    assert metadata["about"]["command"] == "sst-tutorial train"
    config = {"first_guess": TINY.first_guess, "network": TINY.network, "scale": TINY.scale}
    assert metadata["config"] == config


def test_a_record_fed_back_repeats_the_run_bit_by_bit(done, tmp_path):
    folder, estimator = done
    (settings,) = read_settings(folder / "run.json")
    torch.rand(7)  # whatever happened before
    again = do(settings, tmp_path)
    assert same(again, estimator)
    for log in ("log.csv", "steps.csv"):
        assert rows(tmp_path / log) == rows(folder / log)
    assert record(tmp_path)["settings"] == record(folder)["settings"]
    assert (tmp_path / "scores.json").read_text() == (folder / "scores.json").read_text()


def test_another_seed_is_another_run(done, tmp_path):
    assert not same(do(changed(TINY, seed=1), tmp_path), done[1])
    assert rows(tmp_path / "steps.csv") != rows(done[0] / "steps.csv")


def test_a_run_starts_from_the_weights_it_is_told(tmp_path):
    settings = changed(TINY, start="ocean-1", steps=1, batch_size=1, lr=1e-5)
    ocean_1 = load_weights("ocean-1")
    estimator, slots = runs._estimator(settings)
    assert same(estimator, ocean_1)
    batch = runs.validation_batches(None, None, None, (1, 4, 4), "cpu")["simulated"][:2]
    with torch.no_grad():
        assert torch.equal(estimator(*batch.inputs).mean, ocean_1(*batch.inputs).mean)
    tuned = do(settings, tmp_path)
    assert not same(tuned, ocean_1)  # it learned, a little
    with torch.no_grad():
        moved = (tuned(*batch.inputs).mean - ocean_1(*batch.inputs).mean).abs().max()
    assert 0 < moved < 0.05
    config = read_metadata(tmp_path / "weights.safetensors")["config"]
    assert (config["first_guess"], config["network"]) == slots
    assert same(load_weights(tmp_path), tuned)
    with pytest.raises(ValueError, match="model 'ocean-0' is neither"):
        do(changed(TINY, start="ocean-0"), tmp_path / "none")


def test_a_run_may_start_from_another_run(done, tmp_path):
    folder, estimator = done
    assert same(runs._estimator(changed(TINY, start=str(folder)))[0], estimator)


def test_a_mistake_is_told_before_anything_is_written(tmp_path):
    out = tmp_path / "out"
    for settings, text in (
        (changed(TINY, batch_size=8, micro_batch=3), "does not divide"),
        (changed(TINY, data="absent.nc"), "no file 'absent.nc'"),
        (changed(TINY, clouds="absent.npz"), "no file 'absent.npz'"),
        (changed(TINY, network={"name": "unet", "width": 3}), "'unet' needs a width"),
        (changed(TINY, pieces=3), "pieces must be at least 4, got 3"),
    ):
        with pytest.raises(ValueError, match=text):
            do(settings, out)
        assert not out.exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match="device='cuda'.* finds no GPU"):
        train(TINY, tmp_path, accelerator="cuda")


def test_a_run_on_real_data_keeps_its_years_apart(tmp_path, monkeypatch):
    days = pd.date_range("2001-01-01", "2002-12-31")
    rng = np.random.default_rng(0)
    sst = 15 + 5 * np.sin(2 * np.pi * days.day_of_year.values[:, None, None] / 365.25)
    sst = (sst + rng.normal(size=(len(days), 32, 32))).astype("float32")
    sst[:, :4] = np.nan
    axes = {"time": days, "lat": -45 + 0.25 * np.arange(32), "lon": 150 + 0.25 * np.arange(32)}
    daily = xr.Dataset({"sst": (tuple(axes), sst, {"units": "degC"})}, axes)
    daily.to_netcdf(tmp_path / "sea.nc")
    np.savez(tmp_path / "clouds.npz", observed=rng.random((40, 32, 32)) < 0.3)
    seen = []
    make = runs.SampleMaker
    monkeypatch.setattr(
        runs, "SampleMaker", lambda *a, **k: seen.append(k.get("real")) or make(*a, **k)
    )
    settings = changed(
        TINY,
        steps=1,
        data=str(tmp_path / "sea.nc"),
        clouds=str(tmp_path / "clouds.npz"),
        train_years=(2001, 2001),
        val_years=(2002, 2002),
    )
    do(settings, tmp_path / "out")
    assert seen[0].shape == (365 - 60, 32, 32)  # none within 60 days of those that judge
    assert np.isnan(seen[0][:, :4]).all() and abs(np.nanmean(seen[0])) < 0.5  # anomalies
    told = record(tmp_path / "out")
    assert told["years"] == {"train": [2001, 2001], "val": [2002, 2002], "clim": [2001, 2001]}
    assert set(told["validation"]) == {"cloudy", "clear"}
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())["validation"]
    assert {len(s["square_sum"]) for s in scores.values()} == {8 * 12}
    assert set(scores["clear"]["weight_sum"]) == {28 * 32}
    assert read_settings(tmp_path / "out" / "run.json") == [settings]
    clouds = np.load(tmp_path / "clouds.npz")["observed"]
    parts = *runs._open_data(settings), clouds, (1, 4, 4), "cpu"
    batches = runs.validation_batches(*parts, lasting=0.5)
    assert set(batches) == {"cloudy", "clear", "lasting"}
    lasting = batches["lasting"]
    change = (lasting.observed[:, 1:28] != lasting.observed[:, :27]).any(-1).any(-1)  # (B, 27)
    assert change.sum(1).max() == 9 and change.sum(1).float().mean() > 8  # a draw may come twice
    assert (lasting.anomaly[:, 0] != lasting.anomaly[:, 1]).any()  # the noise is new each day
    torch.testing.assert_close(lasting.target, batches["cloudy"].target)
    with pytest.raises(ValueError, match="no day that sees less than 0.45"):
        np.savez(tmp_path / "clouds.npz", observed=np.ones((4, 32, 32), bool))
        do(settings, tmp_path / "clear")


# ---------------------------------------------------------------- a sea that moves


@pytest.fixture
def quick_seas(monkeypatch):
    """One moving sea that costs nothing: noise."""

    def noise(runs, days, size, generator, device, cell_km=None, speed=None):
        return torch.randn(runs, days, size, size, generator=generator, device=device)

    monkeypatch.setattr(samples, "moving_anomalies", noise)
    monkeypatch.setattr(benchmark, "moving_anomalies", noise)
    monkeypatch.setattr(samples, "MOVING_SIZE", 32)
    monkeypatch.setattr(samples, "MOVING_DAYS", 40)
    monkeypatch.setattr(runs, "moving_months", partial(benchmark.moving_months, seas=1))


@pytest.mark.parametrize(
    ("moving", "ask_days", "names"),
    [
        (0.0, 0.5, {"simulated"}),
        (0.5, 0.0, {"moving_month", "simulated"}),
        (0.5, 0.5, {"moving_month", "moving_day", "simulated"}),
        (1.0, 0.0, {"moving_month"}),
        (1.0, 0.1, {"moving_month", "moving_day"}),
    ],
)
def test_validation_asks_what_the_training_asks(quick_seas, moving, ask_days, names):
    clouds = np.zeros((4, 32, 32), bool)
    clouds[:, ::5] = True
    batches = runs.validation_batches(None, None, clouds, (1, 4, 4), "cpu", moving, ask_days)
    assert set(batches) == names
    for name, batch in batches.items():
        if name == "moving_day":
            month = batches["moving_month"]
            assert (batch.wanted.nonzero()[:, 1] == benchmark.MIDDLE_DAY).all()
            assert batch.wanted.sum() == len(batch) == 32
            assert torch.equal(batch.anomaly, month.anomaly)
            assert batch.target.std() > 3 * month.target.std()  # noise of a day, and its mean
        else:
            assert batch.wanted is None
        if name.startswith("moving"):
            assert (batch.observed[0, 0] == torch.from_numpy(clouds[0])).all()


def test_a_run_on_a_sea_that_moves_and_asks_for_days(quick_seas, tmp_path, monkeypatch):
    observed = np.random.default_rng(0).random((20, 32, 32)) < 0.3
    np.savez(tmp_path / "clouds.npz", observed=observed)
    settings = changed(TINY, moving=1.0, moving_seas=2, lasting=0.5, daily=0.5, no_climatology=0.3)
    settings = changed(settings, clouds=str(tmp_path / "clouds.npz"))
    settings = changed(settings, network={"blocks": 1, "question": True, "embed_dim": 16})
    given, make = [], runs.SampleMaker
    monkeypatch.setattr(runs, "SampleMaker", lambda *a, **k: given.append(k) or make(*a, **k))
    estimator = do(settings, tmp_path / "whole")
    expected = {"moving": 1.0, "moving_seas": 2, "lasting": 0.5, "daily": 0.5}
    expected["no_climatology"] = 0.3
    assert {key: given[0][key] for key in expected} == expected
    told = record(tmp_path / "whole")
    assert set(told["validation"]) == {"moving_month", "moving_day"}
    assert read_settings(tmp_path / "whole" / "run.json") == [settings]
    monkeypatch.setattr(runs, "SampleMaker", make)
    kill(settings, tmp_path / "cut", 3, monkeypatch)
    assert same(do(settings, tmp_path / "cut", resume=True), estimator)
    assert same(load_weights(tmp_path / "cut"), estimator)


# ---------------------------------------------------------------- a killed run


class Killed(Exception):
    pass


def dying_at(step):
    class Dying(runs.SampleMaker):
        def __call__(self, n, batch_size):
            if n == step:
                raise Killed
            return super().__call__(n, batch_size)

    return Dying


def kill(settings, out, step, monkeypatch):
    """A run that dies at this step."""
    with monkeypatch.context() as patch:
        patch.setattr(runs, "SampleMaker", dying_at(step))
        with pytest.raises(Killed):
            do(settings, out)


def test_a_killed_run_resumes_to_the_same_folder(done, tmp_path, monkeypatch):
    kill(TINY, tmp_path, 3, monkeypatch)
    assert not (tmp_path / "run.json").exists() and not is_done(tmp_path, TINY)
    assert runs._was_killed(tmp_path, TINY)
    assert not runs._was_killed(tmp_path, changed(TINY, lr=1e-3))
    resumed = do(TINY, tmp_path, resume=True)
    assert same(resumed, done[1]) and is_done(tmp_path, TINY)
    for log in ("log.csv", "steps.csv"):
        assert rows(tmp_path / log) == rows(done[0] / log)
    assert same(do(TINY, tmp_path, resume=True), resumed)  # nothing is left to do


def test_resume_refuses_another_run(tmp_path, monkeypatch):
    kill(TINY, tmp_path, 3, monkeypatch)
    for changes, text in (
        ({"steps": 3}, r"steps=3 \(was 4\)"),
        ({"seed": 1}, r"seed=1 \(was 0\)"),
        ({"network": {"hidden": 16}}, r"network=.*'hidden': 16.*\(was .*'hidden': 8"),
    ):
        with pytest.raises(ValueError, match=text):
            do(changed(TINY, **changes), tmp_path, resume=True)
    (tmp_path / "settings.json").write_text("{")
    with pytest.raises(ValueError, match="cannot resume: .*settings.json is missing or broken"):
        do(TINY, tmp_path, resume=True)
    with pytest.raises(ValueError, match="cannot resume: .*settings.json is missing or broken"):
        do(TINY, tmp_path / "none", resume=True)


def test_a_new_run_forgets_the_old_one_at_once(done, tmp_path, monkeypatch):
    """Killed before its first evaluation, it must not go on from another run's checkpoint."""
    do(TINY, tmp_path)
    other = changed(TINY, lr=1e-4)
    kill(other, tmp_path, 1, monkeypatch)
    assert not is_done(tmp_path, TINY) and not is_done(tmp_path, other)
    assert not runs._was_killed(tmp_path, other) and not runs._was_killed(tmp_path, TINY)


# ---------------------------------------------------------------- many runs: the plan


def write(path, text=IN_A_FILE):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_runs_lie_in_the_results_of_their_experiment(tmp_path):
    file = write(tmp_path / "experiments" / "ablation" / "unet.toml")
    results = tmp_path / "experiments" / "results"
    assert plan(file) == [(file, TINY, results / "ablation" / "unet-0")]
    deep = write(tmp_path / "experiments" / "a" / "b" / "c.toml", IN_A_FILE + "\nseed = 3")
    assert plan(deep)[0][2] == results / "a" / "b" / "c-3"
    assert plan(write(tmp_path / "experiments" / "d.toml"))[0][2] == results / "d-0"


def test_elsewhere_runs_lie_beside_their_file_or_where_told(tmp_path, monkeypatch):
    file = write(tmp_path / "mine.toml")
    assert plan(file)[0][2] == tmp_path / "results" / "mine-0"
    assert plan(file, tmp_path / "there")[0][2] == tmp_path / "there" / "mine-0"
    monkeypatch.chdir(tmp_path)
    assert plan("mine.toml")[0][2] == tmp_path / "results" / "mine-0"


def test_a_folder_is_all_its_files_with_all_their_seeds(tmp_path):
    for name in ("b", "a"):
        write(tmp_path / f"{name}.toml", "seeds = [0, 7]\n" + IN_A_FILE)
    write(tmp_path / "notes.md", "no settings")
    planned = plan(tmp_path)
    assert [folder.name for _, _, folder in planned] == ["a-0", "a-7", "b-0", "b-7"]
    assert [settings.seed for _, settings, _ in planned] == [0, 7, 0, 7]


def test_a_record_needs_a_place_to_go(done, tmp_path):
    path = done[0] / "run.json"
    with pytest.raises(ValueError, match="is the record of a run that is done; say where"):
        plan(path)
    assert plan(path, tmp_path) == [(path, TINY, tmp_path / done[0].name)]


def test_repeated_records_do_not_replace_each_other(done, tmp_path):
    """All records have one name, run.json, and may be repeated into one folder."""
    text = (done[0] / "run.json").read_text()
    records = [write(tmp_path / name / "run.json", text) for name in ("full-0", "unet-0")]
    folders = [plan(path, tmp_path / "again")[0][2] for path in records]
    assert folders == [tmp_path / "again" / name for name in ("full-0", "unet-0")]


def test_a_plan_that_cannot_be_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    write(tmp_path / "twice" / "unet.toml")
    write(tmp_path / "twice" / "UNet.toml")
    write(tmp_path / "wrong" / "a.toml")
    write(tmp_path / "wrong" / "b.toml", "stepz = 3")
    write(tmp_path / "unbuilt" / "c.toml", '[network]\nname = "convolutions"')
    write(tmp_path / "dataless" / "d.toml", 'data = "absent.nc"')
    write(tmp_path / "taken" / "e.toml")
    write(tmp_path / "taken" / "results" / "e-0", "a file")
    for path, text in (
        ("empty", "holds no settings file"),
        ("twice", "holds two files of the name 'unet'; rename one"),
        ("wrong", "b.toml: unknown setting 'stepz'"),
        ("unbuilt", "c.toml: .*'convolutions' needs skip"),
        ("dataless", "d.toml: no file 'absent.nc'"),
        ("taken", "e-0, where the run of .*e.toml should lie, is a file"),
        ("absent.toml", "absent.toml: no such settings file"),
    ):
        with pytest.raises(ValueError, match=text):
            plan(tmp_path / path)
        with pytest.raises(ValueError, match=text):
            run_all(tmp_path / path)


# ---------------------------------------------------------------- many runs: done


@pytest.fixture
def shell(monkeypatch):
    """Commands that were run; each leaves the record that a run would leave, or fails."""
    called, meetings = [], []

    class Shell:
        failing = ()

        def run(self, command, **options):
            called.append([str(word) for word in command])
            arguments = dict(zip(command, command[1:], strict=False))
            settings = changed(
                read_settings(arguments["--settings"])[0], seed=int(arguments["--seed"])
            )
            if "env" in options:  # a folder to meet in, and how many will come
                number, _, folder = options["env"][runs.TOGETHER].split(":", 2)
                meetings.append((Path(folder).is_dir(), folder, int(number)))
            if "stdout" in options:
                options["stdout"].write("step 1\nthe last word\n")
            failed = settings.seed in self.failing
            if not failed:
                write_record(runs.Path(arguments["--out"]), settings, "", done=True)
            return SimpleNamespace(wait=lambda: int(failed), terminate=lambda: None)

    shell = Shell()
    shell.called, shell.meetings = called, meetings
    stand_in = SimpleNamespace(Popen=shell.run, STDOUT=subprocess.STDOUT)
    monkeypatch.setattr(runs, "subprocess", stand_in)
    return shell


def test_what_is_missing_is_done_and_what_is_done_is_left(tmp_path, shell, capsys):
    file = write(tmp_path / "a.toml", "seeds = [0, 1]\n" + IN_A_FILE)
    assert run_all(tmp_path, device="cpu") == 0
    out = tmp_path / "results"
    assert shell.called == [
        [*COMMAND, "train", "--settings", str(file), "--seed", str(seed),
         "--out", str(out / f"a-{seed}"), "--device", "cpu", "--overwrite"]
        for seed in (0, 1)
    ]  # fmt: skip
    assert "0 of 2 runs are done" in capsys.readouterr().out
    assert run_all(tmp_path) == 0 and len(shell.called) == 2
    assert "2 of 2 runs are done" in capsys.readouterr().out
    (out / "a-1" / "run.json").unlink()
    assert run_all(file) == 0 and len(shell.called) == 3
    assert shell.called[2][7] == "1"


def test_what_is_stale_is_done_again(tmp_path, shell):
    write(tmp_path / "a.toml")
    write(tmp_path / "b.toml", IN_A_FILE + "lr = 0.001\n")
    run_all(tmp_path)
    write(tmp_path / "b.toml", IN_A_FILE + "lr = 0.002\n")
    assert run_all(tmp_path) == 0
    assert [call[5].endswith("b.toml") for call in shell.called] == [False, True, True]
    assert record(tmp_path / "results" / "b-0")["settings"]["lr"] == 0.002


def test_what_was_killed_goes_on(tmp_path, shell):
    write(tmp_path / "a.toml", "seeds = [0, 1, 2]\n" + IN_A_FILE)
    for seed, left in ((0, TINY), (1, TINY), (2, changed(TINY, lr=0.5))):
        folder = tmp_path / "results" / f"a-{seed}"
        write(folder / "settings.json", json.dumps(as_dict(changed(left, seed=seed))))
        if seed != 1:
            write(folder / "checkpoint.safetensors", "")
    run_all(tmp_path)
    # The second left no checkpoint, the third was a run of other settings.
    assert [call[-1] for call in shell.called] == ["--resume", "--overwrite", "--overwrite"]


@pytest.mark.parametrize("at_once", [1, 3])
def test_failed_runs_are_counted(tmp_path, shell, at_once, capsys):
    write(tmp_path / "a.toml", "seeds = [0, 1, 2, 3]\n" + IN_A_FILE)
    shell.failing = (1, 3)
    assert run_all(tmp_path, at_once=at_once) == 2
    assert len(shell.called) == 4  # one that fails does not stop the others
    if at_once > 1:
        assert [there for there, _, _ in shell.meetings] == [True] * 4
        assert [number for _, _, number in shell.meetings] == [3, 3, 3, 1]  # of each wave
        folders = [folder for _, folder, _ in shell.meetings]
        assert len(set(folders[:3])) == 1 and len(set(folders)) == 2
        assert not any(Path(folder).exists() for folder in folders)
        said = capsys.readouterr().out
        assert said.count("FAILED  the last word") == 2 and said.count(": done  the last") == 2
        assert "step 1" in (tmp_path / "results" / "a-1" / "output.txt").read_text()


# ---------------------------------------------------------------- clocks that start together


def waiting(monkeypatch, folder, number):
    monkeypatch.setenv(runs.TOGETHER, f"{number}:mine-0:{folder}")
    thread = threading.Thread(target=runs.wait_for_the_others, daemon=True)
    thread.start()
    return thread


def test_a_run_alone_does_not_wait(tmp_path, monkeypatch):
    monkeypatch.delenv(runs.TOGETHER, raising=False)
    runs.wait_for_the_others()
    monkeypatch.setenv(runs.TOGETHER, f"1:mine-0:{tmp_path}")
    runs.wait_for_the_others()
    runs.wait_for_the_others()  # the other processes of one run count once
    assert [file.name for file in tmp_path.iterdir()] == ["mine-0"]


def test_runs_wait_until_all_are_ready_or_have_ended(tmp_path, monkeypatch):
    folder = tmp_path / "with: a colon"
    folder.mkdir()
    (folder / "other-0").touch()
    thread = waiting(monkeypatch, folder, 3)
    thread.join(0.3)
    assert thread.is_alive() and len(list(folder.iterdir())) == 2
    (folder / "other-1").touch()
    thread.join(10)
    assert not thread.is_alive()


def test_a_run_does_not_wait_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(runs, "PATIENCE", 0.2)
    begin = time.monotonic()
    thread = waiting(monkeypatch, tmp_path, 2)
    thread.join(10)
    assert not thread.is_alive() and time.monotonic() - begin >= 0.2


def test_one_that_fails_is_not_waited_for(tmp_path, shell):
    (planned,) = plan(write(tmp_path / "a.toml"))
    meeting = tmp_path / "meeting"
    meeting.mkdir()
    shell.failing = (0,)
    assert runs._one(planned, "cpu", (meeting, 2), runs._Children()) == 1
    assert [file.name for file in meeting.iterdir()] == ["a-0"]


def test_the_clock_starts_when_all_are_ready(tmp_path, monkeypatch):
    """What a run waits for the others, and the compiling before it, is no time of training."""
    called = []

    def wait():
        called.append((tmp_path / "checkpoint.safetensors").exists())
        time.sleep(2.0)

    monkeypatch.setattr(runs, "wait_for_the_others", wait)
    do(changed(TINY, eval_every=4), tmp_path)
    assert called == [False] and 0 < record(tmp_path)["seconds"] < 2.0


# ---------------------------------------------------------------- real processes


def test_two_runs_side_by_side(tmp_path, capsys):
    file = write(tmp_path / "tiny.toml", "seeds = [0, 1]\n" + IN_A_FILE)
    assert run_all(file, tmp_path / "out", at_once=2, device="cpu") == 0
    for seed in (0, 1):
        folder = tmp_path / "out" / f"tiny-{seed}"
        assert is_done(folder, changed(TINY, seed=seed))
        assert "weights.safetensors: use it with" in (folder / "output.txt").read_text()
    assert run_all(file, tmp_path / "out", at_once=2) == 0
    assert "2 of 2 runs are done" in capsys.readouterr().out


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_runs_too(tmp_path, stop):
    """Otherwise they would run on, unseen, and the next command would start them again."""
    file = write(tmp_path / "two.toml", "seeds = [0, 1]\n" + IN_A_FILE)
    program = (
        "import signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored in the background,
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"  # and under nohup
        "from sst_tutorial import cli, runs\n"
        "def one(run, device, meet, children):\n"
        "    return children.run(['sh', '-c', f'echo $$ > {run[2]}; exec sleep 600'])\n"
        "runs._one = one\n"
        f"sys.exit(cli.main(['run', {str(file)!r}, '--out', {str(tmp_path)!r}, '--at-once', '2']))"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=-1, stderr=-1) as parent:
        written = [tmp_path / f"two-{seed}" for seed in (0, 1)]
        deadline = time.monotonic() + 60
        while not all(path.exists() and path.read_text().strip() for path in written):
            assert time.monotonic() < deadline and parent.poll() is None
            time.sleep(0.05)
        parent.send_signal(stop)
        assert parent.wait(30) == 128 + stop
    for path in written:
        with pytest.raises(ProcessLookupError):
            os.kill(int(path.read_text()), 0)


def test_after_the_end_no_run_is_started(tmp_path):
    with runs._Children() as children:
        assert children.run([sys.executable, "-c", "raise SystemExit(3)"]) == 3
    assert children.run(["true"]) == -signal.SIGTERM


def test_two_processes_train_one_network(tmp_path):
    file = write(tmp_path / "tiny.toml")
    command = [*COMMAND, "train", "--settings", str(file), "--device", "cpu", "--devices", "2"]
    command += ["--steps", "3", "--out", str(tmp_path / "out")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("use it with --model") == 1  # one of them speaks
    log = rows(tmp_path / "out" / "log.csv")
    assert [row["step"] for row in log] == ["2", "3"]
    assert [row["step"] for row in rows(tmp_path / "out" / "steps.csv")] == ["1", "2", "3"]
    assert is_done(tmp_path / "out", changed(TINY, steps=3))
    assert record(tmp_path / "out")["processes"] == 2
    assert load_weights(tmp_path / "out").network.patch_size == (1, 4, 4)


def test_a_closed_pipe_does_not_stop_a_run(tmp_path):
    file, out = write(tmp_path / "tiny.toml"), tmp_path / "out"
    command = [*COMMAND, "train", "--settings", str(file), "--device", "cpu", "--out", str(out)]
    command += ["--set", "eval_every=1"]
    line = f"set -o pipefail; {shlex.join(command)} | head -1"
    ended = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith("step 1 ") and ended.stdout.count("\n") == 1
    assert "Error" not in ended.stderr
    assert (out / "weights.safetensors").exists()
    assert is_done(out, changed(TINY, eval_every=1))


def test_settings_in_a_file_are_those_of_a_call(tmp_path):
    assert read_settings(write(tmp_path / "tiny.toml")) == [TINY]


def test_a_network_for_whole_months_is_not_asked_for_days(tmp_path):
    settings = settings_of("quick", daily=0.5, first_guess={"name": "gaussian"},
                           network={"name": "unet"})  # fmt: skip
    with pytest.raises(ValueError, match="daily=0.5: network 'unet' answers for whole months"):
        train(settings, tmp_path / "out", accelerator="cpu")
    assert not (tmp_path / "out").exists()
