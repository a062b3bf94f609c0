"""The command line: it does the work, and a user's mistake is one line and exit status 2."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from sst_tutorial import cli
from sst_tutorial.data import open_sst, shared_data
from sst_tutorial.model import SpatioTemporalModel
from sst_tutorial.months import Settings
from sst_tutorial.weights import save_weights

COMMANDS = ["reconstruct", "doctor", "simulate", "download", "train", "evaluate"]


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


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    config = dict(embed_dim=16, hidden=16, spatial_depth=1, spatial_heads=2)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(path, SpatioTemporalModel(**config), config, Settings(), {})
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
    assert os.listdir(folder).count("in.nc") == 1
    assert sorted(os.listdir(folder)) == ["in.nc", "out.nc"]  # no temporary file


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
    from sst_tutorial.data import daily_climatology

    dataset(days=366, start="2012-01-01", cover=0.0).to_netcdf("years.nc")
    daily_climatology(open_sst("years.nc")).to_netcdf("climatology.nc")
    for name in ("years.nc", "climatology.nc"):
        status, _, err = run("reconstruct", "in.nc", f"from_{name}", "--climatology", name)
        assert (status, err) == (0, "")
    with xr.open_dataset("from_years.nc") as a, xr.open_dataset("from_climatology.nc") as b:
        np.testing.assert_array_equal(a["sst"], b["sst"])
        assert a.attrs["prior_mean"] == "climatology given"


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
        error = monthly["baseline"][0] - truth["sst"].mean("time")
        assert float(abs(error).mean()) < 1.0


def test_doctor(run, monkeypatch, weights):
    import sst_tutorial.weights

    monkeypatch.setattr(sst_tutorial.weights, "DEFAULT", weights.removesuffix(".safetensors"))
    monkeypatch.setattr(cli, "_package_checks", lambda: [("numpy", lambda: "2")])
    monkeypatch.setattr(cli, "_check_weights", lambda: "tiny")
    monkeypatch.setattr(cli, "_check_reconstruction", lambda: "fine")
    status, out, _ = run("doctor")
    assert status == 0, out
    assert out.count("[OK]") == 7 and "all is well" in out

    def broken():
        raise RuntimeError("no coast\nat all")

    monkeypatch.setattr(cli, "_check_coastline", broken)
    status, out, _ = run("doctor")
    assert status == 1
    assert "[FAIL] coastline" in out and "RuntimeError: no coast at all" in out
    assert "1 of 7 checks failed" in out


def test_doctor_reads_the_package_requirements():
    names = {name for name, _ in cli._package_checks()}
    assert names == {"sst-tutorial"} or {"torch", "xarray", "netCDF4"} <= names


def test_download_from_a_local_tree(folder, run):
    if shared_data() is None:
        pytest.skip("no real data: SST_TUTORIAL_DATA")
    source = shared_data() / "oisst_global"
    words = ["--region", "-45", "-37", "147", "155", "--source", source, "--to", "got"]
    status, out, _ = run("download", "1981-09-01", "1981-09-02", *words)
    assert status == 0
    assert "got: 2 files" in out
    assert run("reconstruct", "got", "out.nc")[0] == 0


def test_train_passes_on_what_was_asked(folder, run, monkeypatch):
    from sst_tutorial import training

    asked = []
    monkeypatch.setattr(training, "train", lambda *args, **named: asked.append((args, named)))
    words = ["--steps", "2", "--batch-size", "3", "--device", "cpu", "--seed", "5"]
    words += ["--devices", "2"]
    words += ["--clouds", "looks.npz", "--network", '{"passes": 4}']
    status, out, _ = run("train", "--preset", "colab", "--out", "new", *words)
    assert status == 0 and "new/weights.safetensors" in out
    args, named = asked[0]
    assert args == ("colab", Path("new"), 5, None, "looks.npz")
    changes = {"steps": 2, "batch_size": 3, "model": {"passes": 4}}
    assert named == {"resume": False, "accelerator": "cpu", "devices": 2} | changes
    status, _, err = run("train", "--out", "new", "--network", "passes=4")
    assert status == 2 and "is not a JSON object" in err and err.count("\n") == 1


def test_train_does_not_replace_weights_unasked(folder, run):
    (folder / "new").mkdir()
    (folder / "new" / "weights.safetensors").write_text("hours of work")
    status, _, err = run("train", "--out", "new")
    assert status == 2
    assert "add --overwrite or --resume" in err and err.count("\n") == 1


def test_evaluate_passes_on_what_was_asked(folder, run, weights, monkeypatch):
    from sst_tutorial import evaluation

    asked = {}

    def evaluate(methods, regimes, months, out):
        asked.update(methods=methods, regimes=regimes, months=months, out=out)
        return {"regimes": {}}

    monkeypatch.setattr(evaluation, "evaluate", evaluate)
    words = ["--methods", "network", "gaussian", "--model", weights, "--regime", "clear"]
    assert run("evaluate", *words, "--months", "simulated", "--out", "s.json")[0] == 0
    assert list(asked["methods"]) == ["network", "gaussian"]
    assert (asked["regimes"], asked["months"], asked["out"]) == (("clear",), "simulated", "s.json")
    month = np.full((30, 6, 6), 12.0)
    predicted = asked["methods"]["network"](month, np.ones((6, 6), bool))
    assert predicted.shape == (6, 6) and np.isfinite(predicted).all()


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


def pickle_weights(path):
    torch.save({"a": torch.zeros(2)}, path / "model.pt")


def no_time(path):
    dataset().isel(time=0, drop=True).to_netcdf(path / "map.nc")


def swath(path):
    ds = dataset(days=1)
    lat, lon = np.meshgrid(ds["lat"], ds["lon"], indexing="ij")
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
    "no model": (None, "reconstruct in.nc out.nc --model best", ["'best'", "shipped"]),
    "pickle": (pickle_weights, "reconstruct in.nc out.nc --model model.pt", ["pickle"]),
    "simulated region": (None, "simulate s.nc --region -95 0 0 10", ["-95"]),
    "simulated cover": (None, "simulate s.nc --days 5 --cover 2", ["cover"]),
    "simulated start": (None, "simulate s.nc --start yesterdayish", ["yesterdayish"]),
    "simulated days": (None, "simulate s.nc --days 0", ["days", "0"]),
    "truth is output": (None, "simulate s.nc --truth s.nc", ["--truth"]),
    "download dates": (None, "download 2016-02-02 2016-02-01", ["2016-02-01", "before"]),
    "download nonsense": (None, "download soon later", ["'soon'"]),
    "download source": (None, "download 2016 2016 --source nowhere", ["nowhere"]),
    "train into a file": (None, "train --out in.nc", ["--out in.nc is a file"]),
    "train resume": (None, "train --out new --resume", ["checkpoint"]),
    "train network": (None, "train --out new --network [1]", ["not a JSON object but a list"]),
    "train seed": (None, "train --out new --seed -1", ["--seed -1"]),
    "evaluate out": (None, "evaluate --out .", ["--out . is a folder"]),
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
    status, out, err = run(*line.split())
    assert status == 2
    *warnings, error = err.splitlines()
    assert error.startswith("sst-tutorial: error: "), err
    assert all(line.startswith("sst-tutorial: warning: ") for line in warnings), err
    assert "Traceback" not in err
    assert all(text in error for text in texts), err
    assert out == ""
    assert set(os.listdir(folder)) - before <= {"new"}  # nothing half written


@pytest.mark.parametrize(
    "line", ["", "recontruct in.nc out.nc", "reconstruct in.nc", "train --steps 0", "doctor now"]
)
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
    from sst_tutorial import reconstruction

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(reconstruction, "_tiled", interrupted)
    status, out, err = run("reconstruct", "in.nc", "out.nc")
    assert status == 130
    assert err == "sst-tutorial: interrupted; no output was left half written\n"
    assert os.listdir(folder) == ["in.nc"]


def test_a_full_disk_leaves_nothing_behind(folder, run, monkeypatch):
    def full(self, path, **_):
        open(path, "wb").write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(xr.Dataset, "to_netcdf", full)
    status, _, err = run("reconstruct", "in.nc", "out.nc")
    assert status == 2 and "No space left" in err
    assert os.listdir(folder) == ["in.nc"]


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
