"""The command line: it does the work, and a user's mistake is one line and exit status 2."""

import functools
import importlib.metadata
import io
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from sst_tutorial import cli, evaluation, runs
from sst_tutorial import weights as weights_module
from sst_tutorial.benchmark import shared_data
from sst_tutorial.commands import doctor, evaluate
from sst_tutorial.data import open_sst
from sst_tutorial.months import Month
from sst_tutorial.networks import build
from sst_tutorial.prior import daily_climatology
from sst_tutorial.settings import as_dict, read_settings, settings_of
from sst_tutorial.weights import save_weights

COMMANDS = ["reconstruct", "doctor", "simulate", "download", "train", "fine-tune", "run"]
COMMANDS += ["compare", "evaluate", "judge"]
SLOTS = (
    {"name": "gaussian"},
    {"name": "transformer", "embed_dim": 16, "hidden": 16, "spatial_depth": 1, "spatial_heads": 2},
)


def dataset(days=29, start="2016-02-01", value=15.0, units="degree_Celsius", cover=0.5):
    random = np.random.default_rng(0)
    sst = value + random.normal(size=(days, 8, 12)).astype("float32")
    sst[random.random(sst.shape) < cover] = np.nan
    return xr.Dataset(
        {"sst": (("time", "lat", "lon"), sst, {"units": units})},
        coords={
            "time": pd.date_range(start, periods=days),
            "lat": ("lat", -40 + 0.25 * np.arange(8), {"units": "degrees_north"}),
            "lon": ("lon", 155 + 0.25 * np.arange(12), {"units": "degrees_east"}),
        },
    )


def save_tiny(path, **about):
    torch.manual_seed(0)
    estimator = build(*SLOTS)
    torch.nn.init.normal_(estimator.network.last.weight, std=0.1)
    save_weights(path, estimator, *SLOTS, about)


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_tiny(path)
    return str(path)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dataset().to_netcdf("in.nc")
    return tmp_path


@pytest.fixture
def run(capsys, weights):
    """run("reconstruct", ...) -> (status, stdout, stderr); --model is filled in."""

    def call(*words):
        words = [str(w) for w in words]
        if words[0] == "reconstruct" and "--model" not in words:
            words += ["--model", weights]
        try:
            status = cli.main(words)
        except SystemExit as stop:  # argparse
            status = stop.code
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


# ------------------------------------------------------------------------ it works


def test_reconstruct(folder, run):
    status, out, err = run("reconstruct", "in.nc", "out.nc")
    assert (status, err) == (0, "")
    assert out.startswith("out.nc: 1 month(s) of 8 x 12 cells from ")
    with xr.open_dataset("out.nc") as monthly:
        assert monthly["time"].values.tolist() == [np.datetime64("2016-02-01", "ns").astype(int)]
        assert np.isfinite(monthly["sst"]).all()
        assert monthly["sst"].encoding["zlib"]
        assert monthly["time"].encoding["units"] == "days since 1970-01-01"
        assert monthly.attrs["weights"] == "tiny"
        assert "sst-tutorial reconstruct in.nc out.nc" in monthly.attrs["history"]
        assert monthly["n_observed"].dtype == np.int16
        assert np.isfinite(monthly["first_guess"]).all()
        assert float(abs(monthly["sst"] - monthly["first_guess"]).max()) > 0
    assert os.listdir(folder).count("in.nc") == 1
    assert sorted(os.listdir(folder)) == ["in.nc", "out.nc"]  # no temporary file


def test_resume_needs_no_word_again(folder, run, trained):
    settings = settings_of("colab", steps=7, lr=0.25, network={"name": "unet"})
    (folder / "new").mkdir()
    (folder / "new" / "settings.json").write_text(json.dumps(as_dict(settings)))
    (folder / "new" / "checkpoint.safetensors").write_text("")
    assert run("train", "--out", "new", "--resume")[0] == 0
    assert run("train", "--out", "new", "--resume", "--steps", "7", "--set", "lr=0.25")[0] == 0
    assert [asked for asked, *_ in trained] == [settings, settings]
    (folder / "new" / "settings.json").write_text('{"lr": ')
    status, _, err = run("train", "--out", "new", "--resume")
    assert status == 2 and "settings.json is missing or broken" in err and err.count("\n") == 1


def test_resume_refuses_what_contradicts(folder, run):
    (folder / "new").mkdir()
    (folder / "new" / "settings.json").write_text(json.dumps(as_dict(settings_of("quick"))))
    (folder / "new" / "checkpoint.safetensors").write_text("")
    for words, text in (
        (["--steps", "7"], "steps=7 (was 240)"),
        (["--preset", "colab"], "(was "),
        (["--set", "network.name=unet"], "'unet'"),
    ):
        status, _, err = run("train", "--out", "new", "--resume", *words)
        last = err.splitlines()[-1]  # before it, a warning of mixed precision on a CPU
        assert status == 2 and "needs the settings of the killed run" in last and text in last
        assert "Traceback" not in err


def test_overwrite(folder, run):
    (folder / "out.nc").write_text("old")
    status, _, err = run("reconstruct", "in.nc", "out.nc")
    assert status == 2 and "add --overwrite" in err
    assert (folder / "out.nc").read_text() == "old"
    assert run("reconstruct", "in.nc", "out.nc", "--overwrite")[0] == 0
    assert open_sst("out.nc").sizes["time"] == 1


def test_months_are_chosen(folder, run):
    dataset(days=450, start="2015-01-01").to_netcdf("long.nc")
    words = ["--month", "2015-03", "--month", "2016-02"]
    status, _, err = run("reconstruct", "long.nc", "out.nc", *words)
    assert (status, err) == (0, "")
    with xr.open_dataset("out.nc") as monthly:
        assert monthly["time"].dt.strftime("%Y-%m").values.tolist() == ["2015-03", "2016-02"]
    assert run("reconstruct", "long.nc", "year.nc", "--month", "2015")[0] == 0
    with xr.open_dataset("year.nc") as monthly:
        assert monthly.sizes["time"] == 12


def test_climatology_from_years_or_from_a_climatology(folder, run):
    dataset(days=366, start="2012-01-01", cover=0.0).to_netcdf("years.nc")
    daily_climatology(open_sst("years.nc")).to_netcdf("climatology.nc")
    for name in ("years.nc", "climatology.nc"):
        status, _, err = run("reconstruct", "in.nc", f"from_{name}", "--climatology", name)
        assert (status, err) == (0, "")
    with xr.open_dataset("from_years.nc") as a, xr.open_dataset("from_climatology.nc") as b:
        np.testing.assert_array_equal(a["sst"], b["sst"])
        assert a.attrs["prior"] == "climatology given"


def test_variable_and_units(folder, run):
    odd = dataset(value=288.0).rename(sst="temp")
    del odd["temp"].attrs["units"]
    odd.to_netcdf("odd.nc")
    status, _, err = run("reconstruct", "odd.nc", "out.nc")
    assert status == 2 and "name it with --variable ..." in err
    status, _, err = run("reconstruct", "odd.nc", "out.nc", "--variable", "temp")
    assert status == 2 and "--units K" in err
    status, _, err = run("reconstruct", "odd.nc", "out.nc", "--variable", "temp", "--units", "K")
    assert (status, err) == (0, "")
    with xr.open_dataset("out.nc") as monthly:
        assert abs(float(monthly["sst"].mean()) - 14.85) < 0.3


def test_daily_maps(folder, run):
    save_tiny(folder / "days.safetensors", settings={"daily": 0.5})
    words = ["reconstruct", "in.nc", "daily.nc", "--daily", "--model", "days.safetensors"]
    status, out, err = run(*words)
    assert (status, err) == (0, "")
    assert out.startswith("daily.nc: 29 day(s) of 8 x 12 cells from 5")
    with xr.open_dataset("daily.nc") as daily, xr.open_dataset("in.nc") as seen:
        np.testing.assert_array_equal(daily["time"], seen["time"])
        np.testing.assert_array_equal(daily["observed"], np.isfinite(seen["sst"]))
        assert daily["observed"].dtype == np.int8 and daily["observed"].encoding["zlib"]
        assert np.isfinite(daily["sst"]).all() and "sst_mean_of_month" not in daily
        assert daily.attrs["weights"] == "days" and "--daily" in daily.attrs["history"]
    status, out, err = run(*words[:2], "both.nc", "--both", *words[4:])
    assert (status, err) == (0, "") and out.startswith("both.nc: 29 day(s) of 8 x 12 cells")
    with xr.open_dataset("daily.nc") as daily, xr.open_dataset("both.nc") as both:
        xr.testing.assert_identical(daily["sst"], both["sst"])
        mean = both["sst"].astype(float).mean("time")
        np.testing.assert_allclose(both["sst_mean_of_month"][0], mean, atol=1e-6)
    for name in ("daily.nc", "both.nc"):  # its own output is input
        np.testing.assert_allclose(open_sst(name)["sst"], daily["sst"], atol=1e-5)
        assert run("reconstruct", name, "again.nc", "--overwrite")[0] == 0


def test_the_folder_of_a_run_is_a_model(folder, run):
    (folder / "runs" / "mine").mkdir(parents=True)
    save_tiny(folder / "runs" / "mine" / "weights.safetensors")
    assert run("reconstruct", "in.nc", "file.nc")[0] == 0
    status, _, err = run("reconstruct", "in.nc", "run.nc", "--model", "runs/mine")
    assert (status, err) == (0, "")
    with xr.open_dataset("run.nc") as a, xr.open_dataset("file.nc") as b:
        np.testing.assert_array_equal(a["sst"], b["sst"])
        assert (a.attrs["weights"], b.attrs["weights"]) == ("mine", "tiny")
        assert a.attrs["weights_sha256"] == b.attrs["weights_sha256"]


def test_simulate_then_reconstruct(folder, run):
    words = ["--days", "31", "--shape", "16", "16", "--cover", "0.7", "--truth", "truth.nc"]
    status, out, err = run("simulate", "gappy.nc", *words)
    assert (status, err) == (0, "")
    assert "gappy.nc" in out and "truth.nc" in out
    truth = open_sst("truth.nc")
    gaps = open_sst("gappy.nc")["sst"].isnull() & truth["ocean_mask"]
    assert abs(float(gaps.sum() / (31 * truth["ocean_mask"].sum())) - 0.7) < 0.05
    assert run("reconstruct", "gappy.nc", "monthly.nc")[0] == 0
    with xr.open_dataset("monthly.nc") as monthly:
        error = monthly["first_guess"][0] - truth["sst"].mean("time")
        assert float(abs(error).mean()) < 1.0


def test_doctor(run, monkeypatch, weights):
    import sst_tutorial.weights

    monkeypatch.setattr(sst_tutorial.weights, "DEFAULT", weights.removesuffix(".safetensors"))
    monkeypatch.setattr(doctor, "_package_checks", lambda: [("numpy", lambda: "2")])
    monkeypatch.setattr(doctor, "_check_weights", lambda: "tiny")
    monkeypatch.setattr(doctor, "_check_reconstruction", lambda: "fine")
    status, out, _ = run("doctor")
    assert status == 0, out
    assert out.count("[OK]") == 8 and "all is well" in out

    def broken():
        raise RuntimeError("no coast\nat all")

    monkeypatch.setattr(doctor, "_check_coastline", broken)
    status, out, _ = run("doctor")
    assert status == 1
    assert "[FAIL] coastline" in out and "RuntimeError: no coast at all" in out
    assert "1 of 8 checks failed" in out


def test_doctor_says_what_is_lost_without_the_stored_results(monkeypatch, tmp_path):
    import sst_tutorial.results

    assert int(doctor._check_records().split()[0]) > 50
    monkeypatch.setattr(sst_tutorial.results, "RESULTS", tmp_path)
    with pytest.raises(doctor._Absent, match="chapters will lack numbers: install the package"):
        doctor._check_records()


def test_doctor_reads_the_package_requirements():
    names = {name for name, _ in doctor._package_checks()}
    assert names == {"sst-tutorial"} or {"torch", "xarray", "netCDF4", "matplotlib"} <= names
    assert not {"pytest", "jupyter-book"} & names  # what makes and tests the book is no part of it


REQUIRES = [
    "numpy>=2.0",
    'matplotlib>=3.10; extra == "plot"',
    'lightning-fabric>=2.4; extra == "train"',
    'zarr>=3.0; extra == "zarr"',
    'sst-tutorial[plot,train,zarr]; extra == "all"',
    'pytest>=8; extra == "test"',
]


@pytest.mark.parametrize(
    "installed, status, lines",
    [
        (
            {"numpy": "2.1", "matplotlib": "3.10.0", "lightning-fabric": "2.5", "zarr": "3.1"},
            0,
            ["[OK]   numpy             2.1", "[OK]   lightning-fabric  2.5",
             "[OK]   matplotlib        3.10.0", "[OK]   zarr              3.1", "all is well"],
        ),
        (
            {"numpy": "2.1", "zarr": "3.1"},
            0,
            ["[OK]   numpy             2.1",
             '[--]   lightning-fabric  not installed: pip install "sst-tutorial[train]"',
             '[--]   matplotlib        not installed: pip install "sst-tutorial[plot]"',
             "[OK]   zarr              3.1", "all is well"],
        ),
        (
            {"matplotlib": "3.9", "zarr": "3.1", "lightning-fabric": "2.5"},
            1,
            ["[FAIL] numpy             PackageNotFoundError: No package metadata was found for "
             "numpy",
             "[OK]   lightning-fabric  2.5",
             "[FAIL] matplotlib        RuntimeError: 3.9, but >=3.10 is needed",
             "[OK]   zarr              3.1", "2 of 11 checks failed"],
        ),
    ],
    ids=["all", "without two extras", "broken"],
)  # fmt: skip
def test_doctor_checks_the_extras_that_are_there(run, monkeypatch, installed, status, lines):
    def version(name):
        if name not in installed:
            raise importlib.metadata.PackageNotFoundError(name)
        return installed[name]

    monkeypatch.setattr(importlib.metadata, "requires", lambda name: REQUIRES)
    monkeypatch.setattr(importlib.metadata, "version", version)
    others = ("python", "coastline", "weights", "reconstruction", "netcdf", "records", "device")
    for check in others:
        monkeypatch.setattr(doctor, f"_check_{check}", lambda: "fine")
    found, out, _ = run("doctor")
    assert [line for line in out.splitlines() if not line.endswith(" fine")] == lines
    assert found == status


def test_download_from_a_local_tree(folder, run):
    if shared_data() is None:
        pytest.skip("no real data: SST_TUTORIAL_DATA")
    source = shared_data() / "oisst_global"
    words = ["--region", "-45", "-37", "147", "155", "--source", source, "--to", "got"]
    status, out, _ = run("download", "1981-09-01", "1981-09-02", *words)
    assert status == 0
    assert "got: 2 files" in out
    assert run("reconstruct", "got", "out.nc")[0] == 0


@pytest.fixture
def trained(monkeypatch):
    """What `runs.train` was asked for, a list of (settings, out, named arguments)."""
    asked = []
    monkeypatch.setattr(
        runs, "train", lambda settings, out, **named: asked.append((settings, out, named))
    )
    return asked


def test_train_passes_on_what_was_asked(folder, run, trained):
    words = ["--steps", "2", "--batch-size", "3", "--device", "cpu", "--seed", "5"]
    words += ["--devices", "2", "--clouds", "looks.npz", "--data", "years.nc"]
    words += ["--train-years", "1982", "2000", "--val-years", "2003", "2004"]
    words += ["--clim-years", "1982", "2002", "--from", "ocean-1"]
    words += ["--set", "first_guess.iterations=4", "--set", "lr=5e-4", "--set", "scale=1"]
    status, out, err = run("train", "--preset", "colab", "--out", "new", *words)
    assert (status, err) == (0, "")
    assert out == "new/weights.safetensors: use it with --model new\n"
    settings, to, named = trained[0]
    assert to == Path("new")
    assert settings == settings_of(
        "colab", steps=2, batch_size=3, seed=5, clouds="looks.npz", data="years.nc",
        train_years=(1982, 2000), val_years=(2003, 2004), clim_years=(1982, 2002),
        start="ocean-1", first_guess={"iterations": 4}, lr=5e-4, scale=1.0,
    )  # fmt: skip
    command = named.pop("command")
    assert command.startswith("sst-tutorial train --preset colab --out new --steps 2 ")
    assert named == {"resume": False, "accelerator": "cpu", "devices": 2}


@pytest.mark.parametrize(
    "pair, changes",
    [
        ("seed=3", {"seed": 3}),
        ("seconds=1.5", {"seconds": 1.5}),
        ("compile=true", {"compile": True}),
        ("precision=bf16-mixed", {"precision": "bf16-mixed"}),  # a word needs no quotes
        ('precision="bf16-mixed"', {"precision": "bf16-mixed"}),
        ("val_years=[1999, 2000]", {"val_years": (1999, 2000)}),
        ("network.spatial_depth=0", {"network": {"spatial_depth": 0}}),
        ("network.name=unet", {"network": {"name": "unet"}}),
    ],
)
def test_set_changes_a_setting(folder, run, trained, pair, changes):
    assert run("train", "--out", "new", "--set", pair)[0] == 0
    assert trained[0][0] == settings_of("quick", **changes)


def test_settings_come_from_a_file_or_from_a_record(folder, run, trained):
    Path("mine.toml").write_text('preset = "colab"\nsteps = 7\n[network]\nname = "unet"\n')
    record = {"format": "sst_tutorial run 1", "settings": {"steps": 9, "seed": 4}}
    Path("run.json").write_text(json.dumps(record))
    for words in (["mine.toml"], ["mine.toml", "--set", "lr=0.1", "--seed", "2"], ["run.json"]):
        assert run("train", "--out", "new", "--settings", *words)[0] == 0
    plain, with_changes, repeated = (settings for settings, _, _ in trained)
    assert plain == settings_of("colab", steps=7, network={"name": "unet"})
    expected = settings_of("colab", steps=7, network={"name": "unet"}, lr=0.1, seed=2)
    assert with_changes == expected
    assert [repeated] == read_settings("run.json") and repeated.steps == 9


def test_one_of_the_seeds_of_a_file_is_trained(folder, run, trained):
    Path("three.toml").write_text("seeds = [0, 1, 2]\nsteps = 7\n")
    status, _, err = run("train", "--out", "new", "--settings", "three.toml")
    assert status == 2 and trained == []
    assert err == (
        "sst-tutorial: error: three.toml has 3 seeds: choose one with --seed\n"
    )
    assert run("train", "--out", "new", "--settings", "three.toml", "--seed", "1")[0] == 0
    assert trained[0][0].seed == 1 and trained[0][0].steps == 7


def test_train_does_not_replace_a_run_unasked(folder, run, trained):
    (folder / "new").mkdir()
    for name in ("settings.json", "checkpoint.safetensors", "weights.safetensors"):
        (folder / "new" / name).write_text("hours of work")
    (folder / "new" / "settings.json").write_text(json.dumps(as_dict(settings_of("quick"))))
    status, _, err = run("train", "--out", "new")
    assert status == 2 and trained == []
    assert "add --overwrite or --resume" in err and err.count("\n") == 1
    assert run("train", "--out", "new", "--resume")[0] == 0
    assert run("train", "--out", "new", "--overwrite")[0] == 0
    assert [named["resume"] for _, _, named in trained] == [True, False]


def test_run_passes_on_what_was_asked(folder, run, monkeypatch):
    asked, failed = [], [0, 0, 2]
    monkeypatch.setattr(runs, "run_all", lambda *words: asked.append(words) or failed[len(asked)-1])
    assert run("run", "mine.toml")[0] == 0
    words = ["experiments/ablation", "--out", "to", "--at-once", "3", "--device", "cpu"]
    assert run("run", *words)[0] == 0
    assert asked == [("mine.toml", None, 1, "auto"), ("experiments/ablation", "to", 3, "cpu")]
    status, _, err = run("run", "mine.toml")
    assert status == 2
    assert err == "sst-tutorial: error: 2 run(s) failed; each says why above\n"
    failed.append(1)
    _, _, err = run("run", "mine.toml", "--at-once", "2")
    assert err.endswith("1 run(s) failed; each says why in output.txt of its folder\n")


@pytest.fixture
def evaluated(monkeypatch):
    """What `evaluation.evaluate` was asked for; it answers without a score."""
    asked = []

    def evaluate(methods, regimes, months, validation, daily, opening):
        asked.append((methods, regimes, months, validation, daily))
        return {"months": months, "regimes": {}}

    monkeypatch.setattr(evaluation, "evaluate", evaluate)
    return asked


def test_evaluate_passes_on_what_was_asked(folder, run, weights, evaluated):
    words = ["--methods", "network", "gaussian", "--model", weights, "--regime", "clear"]
    status, out, err = run("evaluate", *words, "--months", "simulated", "--out", "s.json")
    assert (status, err) == (0, "")
    assert out.split()[:2] == ["method", "RMSE"]
    (methods, *asked), = evaluated
    assert list(methods) == ["network", "gaussian"]
    assert asked == [["clear"], "simulated", False, False]
    sst, ocean = np.full((30, 6, 6), 12.0), np.ones((6, 6), bool)
    for predict in methods.values():
        predicted = predict(Month(sst, ocean))
        assert predicted.shape == (6, 6) and np.isfinite(predicted).all()
    written = json.loads(Path("s.json").read_text())
    assert written["command"].startswith("sst-tutorial evaluate --methods network gaussian")
    assert written["months"] == "simulated" and written["regimes"] == {}


def test_evaluate_asks_for_the_twin_the_days_and_all_groups(folder, run, evaluated):
    words = ["evaluate", "--methods", "gaussian", "--months", "lasting"]
    assert run(*words, "--validation", "--daily", "--regime", "1 day", "3 days")[0] == 0
    for all_of_them in ([], ["--regime", "both"]):
        assert run(*words, *all_of_them)[0] == 0
    assert [asked[1:] for asked in evaluated] == [
        (["1 day", "3 days"], "lasting", True, True),
        (None, "lasting", False, False),
        (None, "lasting", False, False),
    ]


def test_evaluate_knows_the_exams_without_importing_them(run):
    from sst_tutorial.exams import EXAMS

    parser = next(a for a in cli._parser()._actions if a.choices).choices["evaluate"]
    (months,) = (action for action in parser._actions if action.dest == "months")
    assert set(months.choices) == set(EXAMS)
    assert all(f"  {name} " in evaluate.EVALUATE for name in EXAMS if name != "benchmark")


def test_evaluate_writes_whole_files_and_replaces_none_unasked(folder, run, evaluated, monkeypatch):
    words = ["evaluate", "--methods", "gaussian", "--months", "simulated", "--out", "scores.json"]
    Path("scores.json").write_text("old")
    status, _, err = run(*words)
    assert status == 2 and evaluated == []  # told before hours of work, not after
    assert err == (
        "sst-tutorial: error: scores.json exists; choose another name or add --overwrite\n"
    )
    assert Path("scores.json").read_text() == "old"
    assert run(*words, "--overwrite")[0] == 0
    assert json.loads(Path("scores.json").read_text())["months"] == "simulated"
    monkeypatch.setattr(
        evaluation, "evaluate", lambda *_: {"regimes": {}, "odd": complex(1, 1)}  # not JSON
    )
    with pytest.raises(TypeError):
        run(*words, "--overwrite")
    assert json.loads(Path("scores.json").read_text())["months"] == "simulated"
    assert sorted(os.listdir(folder)) == ["in.nc", "scores.json"]  # no .partial


@pytest.mark.parametrize("years", [{"train": [2000, 2014]}, {"clim": [2016, 2020]}])
def test_a_network_that_saw_the_years_of_the_benchmark_is_told(folder, run, evaluated, years):
    save_tiny("seen.safetensors", years={"val": [2011, 2012]} | years)
    words = ["evaluate", "--methods", "network", "--model", "seen.safetensors"]
    status, _, err = run(*words)
    (name, (first, last)), = years.items()
    assert status == 0 and err.count("\n") == 1
    assert err.startswith(
        f"sst-tutorial: warning: --model seen.safetensors saw {first}-{last} ({name}), the "
        "benchmark is 2013-2016"
    )
    assert run(*words, "--months", "simulated")[2] == ""
    assert run(*words, "--months", "lasting")[2] == err
    assert run(*words, "--months", "lasting", "--validation")[2] == ""


@pytest.mark.parametrize(
    "about",
    [{}, {"years": None}, {"years": {"train": [1982, 2012]}}, {"years": [2013, 2016]}]
    + [{"years": {"train": span}} for span in (2014, [2014], ["2013", "2016"], None)],
)
def test_a_network_that_did_not_is_not(folder, run, evaluated, about):
    save_tiny("unseen.safetensors", **about)
    words = ["evaluate", "--methods", "network", "--model", "unseen.safetensors"]
    assert run(*words)[::2] == (0, "")
    assert run("evaluate", "--methods", "network")[::2] == (0, "")  # ocean-1


@pytest.mark.parametrize("buffered", [True, False])
def test_a_closed_pipe_stops_nothing(folder, buffered):
    """`sst-tutorial simulate ... | true`: the work is done and nothing is complained of."""
    command = [sys.executable, "-m", "sst_tutorial.cli", "simulate", "s.nc", "--days", "2"]
    assert into_a_closed_pipe([*command, "--shape", "8", "8", "--truth", "t.nc"], buffered)
    assert sorted(os.listdir(folder)) == ["in.nc", "s.nc", "t.nc"]


@pytest.mark.parametrize("closed", ["2>&1 | true", ">&-", "2>&-", ">&- 2>&-"])
def test_nobody_needs_to_listen(folder, closed):
    """Neither warnings nor what is printed need anybody who reads them."""
    dataset(days=10).to_netcdf("part.nc")  # this gives a warning
    command = f"{sys.executable} -m sst_tutorial.cli reconstruct part.nc out.nc {closed}"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True)
    assert done.returncode == 0 and "Traceback" not in done.stderr
    assert open_sst("out.nc").sizes["time"] == 1


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["--version"]])
def test_a_closed_pipe_is_no_trouble_for_help(words):
    assert into_a_closed_pipe([sys.executable, "-m", "sst_tutorial.cli", *words], True)


@pytest.mark.parametrize("act", ["write", "flush"])
def test_a_full_disk_behind_the_output_is_named(act):
    """A bare "No space left" leaves the reader to guess which file it was."""

    class Full(io.StringIO):
        name = "<stdout>"

        def write(self, text):
            raise OSError(28, "No space left on device")

        flush = functools.partialmethod(write, "")

    with pytest.raises(OSError, match="^<stdout> cannot be written: No space left on device$"):
        getattr(cli._Quiet(Full()), act)(*(["text"] if act == "write" else []))


def into_a_closed_pipe(command, buffered) -> bool:
    """Does the command succeed without a word on stderr where nobody reads its output?"""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"}
    environment |= {} if buffered else {"PYTHONUNBUFFERED": "1"}
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            command, stdout=write, stderr=subprocess.PIPE, text=True, timeout=120, env=environment
        )
    finally:
        os.close(write)
    return (done.returncode, done.stderr) == (0, "")


# ------------------------------------------------------------------------ help


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_enough_to_work_from(command, run):
    status, out, _ = run(command, "--help")
    assert status == 0
    assert f"usage: sst-tutorial {command}" in out
    if command != "doctor":
        assert f"  sst-tutorial {command} " in out  # an example
    assert max(map(len, out.splitlines())) <= 105


def test_help_lists_every_command(run):
    status, out, _ = run("--help")
    assert status == 0
    assert all(command in out for command in COMMANDS)


# ------------------------------------------------------------------------ mistakes


def text_file(path):
    (path / "notes.nc").write_text("these are not the data")


def truncated(path):
    (path / "half.nc").write_bytes((path / "in.nc").read_bytes()[:3000])


def no_sst(path):
    xr.Dataset({"chlorophyll": ("x", [1.0])}).to_netcdf(path / "chl.nc")


def celsius_as_kelvin(path):
    dataset(units="K").to_netcdf(path / "k.nc")


def no_unit(path):
    dataset(units="furlong").to_netcdf(path / "u.nc")


def nothing_seen(path):
    dataset(cover=1.1).to_netcdf(path / "empty.nc")


def other_grid(path):
    dataset(days=366, start="2012-01-01", cover=0).isel(lat=slice(5)).to_netcdf(path / "clim.nc")


def fill_in_climatology(path):
    years = dataset(days=366, start="2012-01-01", cover=0)
    climatology = daily_climatology(open_sst(years))
    climatology[:, 4, 4] = -999.0
    climatology.to_netcdf(path / "clim.nc")


def days_from_0(path):
    climatology = daily_climatology(open_sst(dataset(days=366, start="2012-01-01", cover=0)))
    climatology.assign_coords(dayofyear=np.arange(366)).to_netcdf(path / "clim.nc")


def cut_climatology(path):
    """A classic file that breaks off; the NetCDF library reads zeros there."""
    climatology = daily_climatology(open_sst(dataset(days=366, start="2012-01-01", cover=0)))
    climatology.to_netcdf(path / "whole.nc", format="NETCDF3_CLASSIC")
    (path / "clim.nc").write_bytes((path / "whole.nc").read_bytes()[:100_000])


def climatology_without_a_day(path):
    climatology = daily_climatology(open_sst(dataset(days=366, start="2012-01-01", cover=0)))
    climatology[40] = np.nan
    climatology.to_netcdf(path / "clim.nc")


def shape_of_words(path):
    dataset().to_zarr(path / "odd.zarr", zarr_format=3, consolidated=False)
    described = path / "odd.zarr" / "sst" / "zarr.json"
    described.write_text(json.dumps(json.loads(described.read_text()) | {"shape": "word"}))


def scale_of_nothing(path):
    packed = dataset(cover=0).astype("int16")
    packed["sst"].attrs |= {"units": "degC", "scale_factor": np.nan}
    packed.to_netcdf(path / "nan.nc")


def blind_clouds(path):
    np.savez(path / "blind.npz", observed=np.zeros((4, 32, 32), bool))
    np.savez(path / "none.npz", observed=np.zeros((0, 32, 32), bool))


def nan_weights(path):
    estimator = build(*SLOTS)
    estimator.network.decoder.bias.data.fill_(torch.nan)
    save_weights(path / "nan.safetensors", estimator, *SLOTS, {})


def hot_weights(path):
    estimator = build(*SLOTS)
    estimator.network.last.bias.data.fill_(500.0)
    (path / "hot").mkdir()
    save_weights(path / "hot" / "weights.safetensors", estimator, *SLOTS, {})


def no_toml(path):
    (path / "odd.toml").write_text("steps = = 3")


def unknown_setting(path):
    (path / "odd.toml").write_text("stepps = 3")


def unknown_network(path):
    (path / "odd.toml").write_text('[network]\nname = "perceptron"')


def impossible_network(path):
    (path / "odd.toml").write_text('[network]\nname = "transformer"\nlayers = 3')


def other_record(path):
    (path / "run.json").write_text('{"format": "sst_tutorial run 0", "settings": {}}')


def record(path):
    (path / "run.json").write_text('{"format": "sst_tutorial run 1", "settings": {}}')


def empty_folder(path):
    (path / "nothing").mkdir()


def pickle_weights(path):
    torch.save({"a": torch.zeros(2)}, path / "model.pt")


def no_time(path):
    dataset().isel(time=0, drop=True).to_netcdf(path / "map.nc")


def swath(path):
    ds = dataset(days=1)
    lat, lon = np.meshgrid(ds["lat"], ds["lon"], indexing="ij")
    lat = lat + 0.02 * np.arange(lat.shape[1])  # turned: it is no grid of lat and lon
    ds = ds.drop_vars(["lat", "lon"]).rename(lat="y", lon="x")
    ds.assign_coords(lat=(("y", "x"), lat), lon=(("y", "x"), lon)).to_netcdf(path / "swath.nc")


MISTAKES = {  # name: (what makes the file, command line, words that the message must have)
    "missing file": (None, "reconstruct nowhere.nc out.nc", ["nowhere.nc"]),
    "missing folder of output": (None, "reconstruct in.nc no/out.nc", ["no folder no"]),
    "not NetCDF": (text_file, "reconstruct notes.nc out.nc", ["notes.nc"]),
    "truncated": (truncated, "reconstruct half.nc out.nc", ["half.nc"]),
    "no SST": (no_sst, "reconstruct chl.nc out.nc", ["chl.nc", "chlorophyll"]),
    "wrong variable": (None, "reconstruct in.nc out.nc --variable tos", ["tos", "sst"]),
    "wrong unit": (celsius_as_kelvin, "reconstruct k.nc out.nc", ["K", "degC"]),
    "unknown unit": (no_unit, "reconstruct u.nc out.nc", ["furlong"]),
    "unknown --units": (None, "reconstruct in.nc out.nc --units F", ["--units F", "degC"]),
    "no time": (no_time, "reconstruct map.nc out.nc", ["time"]),
    "swath": (swath, "reconstruct swath.nc out.nc", ["2-D"]),
    "nothing seen": (nothing_seen, "reconstruct empty.nc out.nc", ["no observation"]),
    "output is a folder": (None, "reconstruct in.nc .", ["is a folder"]),
    "output is no .nc": (None, "reconstruct in.nc out.csv", ["out.csv", "must end in .nc"]),
    "output is input": (None, "reconstruct in.nc in.nc --overwrite", ["also an input"]),
    "month absent": (None, "reconstruct in.nc out.nc --month 2017-05", ["2017-05", "2016-02-29"]),
    "month misspelt": (None, "reconstruct in.nc out.nc --month Feb", ["'Feb'", "YYYY-MM"]),
    "thirteenth month": (None, "reconstruct in.nc out.nc --month 2016-13", ["YYYY-MM"]),
    "no climatology": (None, "reconstruct in.nc out.nc --climatology no.nc", ["no.nc"]),
    "short climatology": (
        None,
        "reconstruct in.nc out.nc --climatology in.nc",
        ["--climatology in.nc", "year"],
    ),
    "other grid": (other_grid, "reconstruct in.nc out.nc --climatology clim.nc", ["same grid"]),
    "days from 0": (
        days_from_0, "reconstruct in.nc out.nc --climatology clim.nc", ["days 1 to 366"]
    ),
    "no name": (None, "reconstruct '' out.nc", ["path=''", "names no file"]),
    "no model": (None, "reconstruct in.nc out.nc --model best", ["'best'", "shipped"]),
    "no days": (None, "reconstruct in.nc out.nc --daily", ["'tiny' never learned", "daily=0.5"]),
    "no days of ocean-1": (
        None, "reconstruct in.nc out.nc --both --model ocean-1", ["'ocean-1' never learned"]
    ),
    "fill in climatology": (
        fill_in_climatology,
        "reconstruct in.nc out.nc --climatology clim.nc",
        ["-999.0", "must become NaN"],
    ),
    "climatology that breaks off": (
        cut_climatology,
        "reconstruct in.nc out.nc --climatology clim.nc",
        ["--climatology clim.nc", "shorter than its header says"],
    ),
    "climatology without a day": (
        climatology_without_a_day,
        "reconstruct in.nc out.nc --climatology clim.nc",
        ["no value over the ocean on 1 of its 366 days"],
    ),
    "shape of words": (shape_of_words, "reconstruct odd.zarr out.nc", ["odd.zarr", "integers"]),
    "scale of nothing": (scale_of_nothing, "reconstruct nan.nc out.nc", ["scale_factor", "nan"]),
    "train blind": (
        blind_clouds, "train --out new --clouds blind.npz", ["4 days nothing was observed"]
    ),
    "train with no clouds": (
        blind_clouds, "train --out new --clouds none.npz", ["0 days nothing was observed"]
    ),
    "train fewer than none": (
        None, "train --out new --set network.residual_blocks=-1", ["like 0, got -1"]
    ),
    "download from nowhere": (
        None, "download 2016-02-01 2016-02-01 --source ftp://x --to new", ["no address", "ftp://x"]
    ),
    "weights of NaN": (
        nan_weights, "reconstruct in.nc out.nc --model nan.safetensors", ["nan.saf", "not finite"]
    ),
    "weights of 500 degC": (
        hot_weights, "reconstruct in.nc out.nc --model hot", ["51", "no sea is like that"]
    ),
    "pickle": (pickle_weights, "reconstruct in.nc out.nc --model model.pt", ["pickle"]),
    "simulated region": (None, "simulate s.nc --region -95 0 0 10", ["-95"]),
    "simulated cover": (None, "simulate s.nc --days 5 --cover 2", ["cover"]),
    "simulated start": (None, "simulate s.nc --start yesterdayish", ["yesterdayish"]),
    "simulated days": (None, "simulate s.nc --days 0", ["days", "0"]),
    "simulated ages": (None, "simulate s.nc --days 100000000", ["days", "at most 100000"]),
    "simulated noise": (None, "simulate s.nc --noise 1e9 --days 2", ["noise", "0 to 10"]),
    "truth is output": (None, "simulate s.nc --truth s.nc", ["--truth"]),
    "download dates": (None, "download 2016-02-02 2016-02-01", ["2016-02-01", "before"]),
    "download nonsense": (None, "download soon later", ["'soon'"]),
    "download source": (None, "download 2016 2016 --source nowhere", ["nowhere"]),
    "train into a file": (None, "train --out in.nc", ["--out in.nc is a file"]),
    "train resume": (None, "train --out new --resume", ["checkpoint"]),
    "train set": (None, "train --out new --set nonsense", ["--set 'nonsense'", "KEY=VALUE"]),
    "train set key": (None, "train --out new --set a.b.c=1", ["--set 'a.b.c=1'", "KEY=VALUE"]),
    "train set unknown": (
        None, "train --out new --set banana=3", ["unknown setting 'banana'", "batch_size", "lr"]
    ),
    "train set type": (None, "train --out new --set lr=fast", ["lr='fast'", "float"]),
    "train set table": (None, "train --out new --set network=3", ["network=3", "dict"]),
    "train network": (
        None, "train --out new --set network.name=perceptron", ["'perceptron'", "unet"]
    ),
    "train first guess": (
        None, "train --out new --set first_guess.name=gaussian --set first_guess.cells=wide",
        ["'gaussian'", "cells must be like 1.2, got 'wide'"],
    ),
    "train skip": (None, "train --out new --set network.skip=yes", ["network.skip must be true"]),
    "train network option": (
        None, "train --out new --set network.layers=3", ["'transformer'", "layers"]
    ),
    "train preset": (None, "train --out new --preset huge", ["'huge'", "colab", "quick"]),
    "train settings": (None, "train --out new --settings no.toml", ["no.toml", "no such"]),
    "train settings broken": (
        no_toml, "train --out new --settings odd.toml", ["odd.toml", "not a TOML file"]
    ),
    "train settings unknown": (
        unknown_setting, "train --out new --settings odd.toml", ["odd.toml", "'stepps'", "steps"]
    ),
    "train record": (
        other_record, "train --out new --settings run.json", ["run.json", "sst_tutorial run 0"]
    ),
    "train from": (None, "train --out new --from best --steps 1", ["'best'", "shipped"]),
    "train years": (None, "train --out new --set train_years=1982", ["train_years=1982", "years"]),
    "train seed": (None, "train --out new --seed -1", ["seed=-1", "4294967295"]),
    "run nothing": (None, "run nowhere.toml", ["nowhere.toml", "no such settings file"]),
    "run empty folder": (empty_folder, "run nothing", ["nothing", "no settings file"]),
    "run broken": (no_toml, "run odd.toml", ["odd.toml", "not a TOML file"]),
    "run unknown setting": (unknown_setting, "run odd.toml", ["odd.toml", "'stepps'"]),
    "run unknown network": (unknown_network, "run odd.toml", ["odd.toml", "'perceptron'"]),
    "run impossible network": (impossible_network, "run odd.toml", ["odd.toml", "layers"]),
    "run record": (record, "run run.json", ["run.json", "--out"]),
    "run old record": (other_record, "run run.json --out x", ["run.json", "sst_tutorial run 0"]),
    "run data": (None, "run in.nc", ["in.nc", "not a TOML file"]),
    "evaluate out": (None, "evaluate --out .", [". is a folder"]),
    "evaluate out is no .json": (None, "evaluate --out scores.csv", ["must end in .json"]),
    "evaluate out in no folder": (None, "evaluate --out no/s.json", ["no folder no"]),
    "train data": (None, "train --out new --data no.nc --steps 1", ["no.nc"]),
    "evaluate method": (None, "evaluate --methods magic", ["'magic'", "gaussian"]),
    "evaluate model": (None, "evaluate --methods gaussian --model x", ["--model x"]),
}


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_is_one_line_and_status_2(what, folder, run):
    prepare, line, texts = MISTAKES[what]
    if prepare is not None:
        prepare(folder)
    before = set(os.listdir(folder))
    status, out, err = run(*shlex.split(line))
    assert status == 2
    *warnings, error = err.splitlines()
    assert error.startswith("sst-tutorial: error: "), err
    assert all(line.startswith("sst-tutorial: warning: ") for line in warnings), err
    assert "Traceback" not in err
    assert all(text in error for text in texts), err
    assert out == ""
    assert set(os.listdir(folder)) == before  # nothing written, not even half


@pytest.mark.parametrize(
    "line", ["", "recontruct in.nc out.nc", "reconstruct in.nc", "train --steps 0", "doctor now",
     "train --preset quick --settings a.toml", "train --train-years 2000", "run",
     "run a.toml --at-once 0", "reconstruct in.nc out.nc --daily --both"],
)  # fmt: skip
def test_a_wrong_command_line_is_argparse_s(line, run, folder):
    status, _, err = run(*(line.split() or ["--nothing"]))
    assert status == 2
    assert "usage: sst-tutorial" in err and "error:" in err


def test_a_folder_without_permission(folder, run, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    status, _, err = run("reconstruct", "in.nc", "out.nc")
    assert status == 2
    assert err == "sst-tutorial: error: out.nc cannot be written: no permission to write in .\n"


def test_ctrl_c(folder, run, monkeypatch):
    from sst_tutorial import tiles

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(tiles, "tiled", interrupted)
    status, out, err = run("reconstruct", "in.nc", "out.nc")
    assert status == 130
    assert err == "sst-tutorial: interrupted; no output was left half written\n"
    assert os.listdir(folder) == ["in.nc"]


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), RuntimeError("NetCDF: HDF error")]
)
@pytest.mark.parametrize("words", ["reconstruct in.nc out.nc", "simulate out.nc --days 2"])
def test_a_full_disk_leaves_nothing_behind(folder, run, monkeypatch, error, words):
    def full(self, path, **_):
        open(path, "wb").write(b"half")
        raise error

    monkeypatch.setattr(xr.Dataset, "to_netcdf", full)
    status, _, err = run(*words.split())
    assert status == 2 and err.count("\n") == 1
    assert err.startswith(f"sst-tutorial: error: out.nc cannot be written ({error}); is the disk f")
    assert os.listdir(folder) == ["in.nc"]


def test_a_full_disk_is_told_by_the_other_writers(folder, run, evaluated, monkeypatch):
    def full(*_):
        raise weights_module.SafetensorError("No space left on device")

    monkeypatch.setattr(weights_module, "save_file", full)
    with pytest.raises(OSError, match="a.safetensors cannot be written.*is the disk full?"):
        save_tiny("a.safetensors")
    written = Path.write_text
    monkeypatch.setattr(Path, "write_text", lambda _, text, **__: written(Path("/dev/full"), text))
    status, _, err = run("evaluate", "--months", "simulated", "--out", "s.json")
    assert status == 2 and "s.json cannot be written" in err
    assert os.listdir(folder) == ["in.nc"]


@pytest.mark.parametrize("stop, status", [("SIGTERM", -15), ("SIGINT", 130), ("SIGHUP", -1)])
def test_a_signal_waits_until_the_file_is_whole(folder, stop, status):
    """Killed while it writes, the program leaves a whole file and no temporary one."""
    program = (
        "import os, signal, sys, xarray as xr\n"
        "from sst_tutorial import cli\n"
        "write = xr.Dataset.to_netcdf\n"
        "def slow(self, path, **words):\n"
        f"    os.kill(os.getpid(), signal.{stop})\n"
        "    write(self, path, **words)\n"
        "xr.Dataset.to_netcdf = slow\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # ignored in the background,
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"  # and under nohup
        "sys.exit(cli.main(['simulate', 's.nc', '--days', '2', '--shape', '8', '8']))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(os.listdir(folder)) == ["in.nc", "s.nc"]
    assert open_sst("s.nc").sizes["time"] == 2


@pytest.mark.parametrize(
    "error, text",
    [
        (MemoryError("Unable to allocate 9 EiB"), "out of memory (Unable to allocate 9 EiB)"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "out of memory (DefaultCPU"),
        (torch.OutOfMemoryError("CUDA out of memory."), "out of memory (CUDA"),
        (RuntimeError("NetCDF: HDF error"), "an input breaks off or cannot be decoded"),
    ],
)
def test_what_the_libraries_cannot_do_is_one_line(folder, run, monkeypatch, error, text):
    from sst_tutorial import reconstruction

    def fails(*_, **__):
        raise error

    monkeypatch.setattr(reconstruction, "month_of", fails)
    status, _, err = run("reconstruct", "in.nc", "out.nc")
    assert status == 2 and err.count("\n") == 1 and text in err
    fault = lambda *_, **__: torch.zeros(2) @ torch.zeros(3)  # noqa: E731
    monkeypatch.setattr(reconstruction, "month_of", fault)
    with pytest.raises(RuntimeError, match="inconsistent tensor size"):  # a fault of the package
        run("reconstruct", "in.nc", "out.nc")


@pytest.mark.parametrize("seconds", [0.0, 0.2, 0.5, 1.0])
def test_ctrl_c_during_the_imports(folder, seconds):
    """torch, half loaded, cannot bear an exception: it aborts the process."""
    begun = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
    program = begun + "print(flush=True); from sst_tutorial.__main__ import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "reconstruct", "in.nc", "out.nc"]
    with subprocess.Popen(command, stdout=-1, stderr=-1, text=True) as child:
        child.stdout.readline()
        time.sleep(0.03 + seconds)
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (
        130, "sst-tutorial: interrupted; no output was left half written\n"
    )
    assert os.listdir(folder) == ["in.nc"]


def test_attributes_may_be_anything(folder, run):
    odd = dataset().assign_attrs(title=np.array([1, 2]), source=3.5)
    odd["sst"].attrs |= {"long_name": np.array([1.0, 2.0]), "standard_name": np.array([1, 2])}
    odd.to_netcdf("odd.nc")
    assert run("reconstruct", "odd.nc", "out.nc")[::2] == (0, "")
    with xr.open_dataset("out.nc") as maps:
        assert maps.attrs["source"] == "daily maps: [1 2]"


def test_a_climatology_may_be_a_zarr_store(folder, run):
    dataset(days=366, start="2012-01-01", cover=0.0).to_netcdf("years.nc")
    climatology = daily_climatology(open_sst("years.nc"))
    climatology.to_netcdf("clim.nc")
    climatology.to_dataset(name="clim").to_zarr("clim.zarr", consolidated=False)
    for name in ("clim.nc", "clim.zarr"):
        assert run("reconstruct", "in.nc", f"{name}.nc", "--climatology", name)[::2] == (0, "")
    with xr.open_dataset("clim.nc.nc") as a, xr.open_dataset("clim.zarr.nc") as b:
        np.testing.assert_array_equal(a["sst"], b["sst"])


def test_ctrl_c_while_words_are_read(run, monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_parser", interrupted)
    status, _, err = run("doctor")
    assert (status, err) == (130, "sst-tutorial: interrupted; no output was left half written\n")


def test_no_output_is_an_input(folder, run):
    """Neither the file itself by another way, nor one among many, nor one of the next time."""
    (folder / "days").mkdir()
    for name in ("a", "b"):
        dataset(start={"a": "2016-02-01", "b": "2016-03-01"}[name]).to_netcdf(f"days/{name}.nc")
    (folder / "link.nc").symlink_to("in.nc")
    (folder / "elsewhere").symlink_to("days")
    (folder / "days" / "far.nc").symlink_to(folder / "in.nc")
    before = {path: path.read_bytes() for path in folder.rglob("*.nc")}
    for given, output in (
        ("in.nc", "link.nc"),
        ("link.nc", "in.nc"),
        ("i?.nc", "in.nc"),
        ("days", "days/a.nc"),
        ("days", "days/new.nc"),
        ("days", "elsewhere/new.nc"),
        ("days", "in.nc"),
        ("days/*.nc", "days/new.nc"),
        (".", "out.nc"),
    ):
        status, _, err = run("reconstruct", given, output, "--overwrite")
        assert status == 2 and f"{output} is also an input ({given})" in err, (given, output, err)
    assert {path: path.read_bytes() for path in folder.rglob("*.nc")} == before
    (folder / "days" / "far.nc").unlink()
    for given in ("days", "days/*.nc", "*/*.nc"):
        assert run("reconstruct", given, "out.nc", "--overwrite")[0] == 0


def test_an_output_goes_where_its_link_leads(folder, run):
    (folder / "there").mkdir()
    (folder / "out.nc").symlink_to("there/real.nc")
    assert run("reconstruct", "in.nc", "out.nc")[0] == 0
    assert (folder / "out.nc").is_symlink() and os.listdir("there") == ["real.nc"]
    (folder / "lost.nc").symlink_to("nowhere/real.nc")
    status, _, err = run("reconstruct", "in.nc", "lost.nc")
    assert status == 2 and "lost.nc cannot be written: there is no folder" in err


def test_warnings_are_one_line_each(folder, run):
    dataset(days=10).to_netcdf("part.nc")
    status, _, err = run("reconstruct", "part.nc", "out.nc")
    assert status == 0
    assert err.splitlines() == [
        "sst-tutorial: warning: 2016-02: daily holds 10 of 29 days, the others count as not seen"
    ]


@pytest.mark.skipif(shared_data() is None, reason="no real data: SST_TUTORIAL_DATA")
def test_the_real_alboran_file(folder, run):
    status, out, _ = run("reconstruct", shared_data() / "alboran_l3_201705.nc", "out.nc")
    assert status == 0
    assert "201 x 301" in out
