"""The project kit: its page shows what its commands printed, and its scripts count right."""

import json
import sys

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from test_checks import script

from sst_tutorial.results import read_results

against_truth, judged_rows, moving_file, projects = map(
    script, ("against_truth", "judged_rows", "moving_file", "projects")
)


def test_the_page_shows_what_the_commands_printed():
    kept = read_results("projects")["baselines"]
    shown = projects.baselines()
    assert len(shown) == len(kept) == 4
    for (commands, text), one in zip(shown, kept, strict=True):
        assert commands == one["commands"], "run: python experiments/checks/projects.py"
        assert text.splitlines() == one["rows"] != []


def test_rows_are_kept_and_the_folder_is_changed(tmp_path):
    found = projects.measured("echo '  0.1234 +- 0.1  3 seed(s)  a'; echo runs/x", str(tmp_path))
    assert found["rows"] == ["  0.1234 +- 0.1  3 seed(s)  a"]


def judged(seed, days="2001-06-01", **rmse):
    methods = {name: {"rmse": value} for name, value in rmse.items()}
    return {"file": {}, "period": [days, days], "withheld": {"seed": seed}, "methods": methods}


def test_rows_of_judged_files(tmp_path, capsys):
    files = []
    for seed, (a, b) in enumerate([(0.5, 0.4), (0.7, 0.4)]):
        files.append(tmp_path / f"{seed}.json")
        files[-1].write_text(json.dumps(judged(seed, gaussian=a, OI=b)))
    judged_rows.main(files)
    _, first, second = capsys.readouterr().out.splitlines()
    assert first.split() == ["0.4000", "+-", "0.0000", "2", "seed(s)", "OI"]
    assert second.split() == ["0.6000", "+-", "0.1414", "2", "seed(s)", "gaussian"]
    judged_rows.main(files[:1])
    assert "+-" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "other, words",
    [(judged(0, OI=0.1), "stands twice"), (judged(1, "2002-01-01", OI=0.1), "different data")],
)
def test_files_that_do_not_belong_together_are_refused(other, words):
    with pytest.raises(ValueError, match=words):
        judged_rows.rows([judged(0, OI=0.1), other])


def test_errors_against_the_truth():
    time = pd.date_range("2001-01-01", periods=2)
    truth = np.array([[1.0, 2.0, np.nan], [3.0, 4.0, np.nan]])[:, None]  # (T,H,W), land NaN
    axes = ("time", "lat", "lon")
    complete = xr.Dataset({"sst": (axes, truth)}, {"time": time})
    filled = complete.assign(
        sst=complete.sst + 1.0,
        first_guess=complete.sst + xr.DataArray([0.0, 2.0], dims="time"),
        observed=(axes, np.array([[[1, 1, 0]], [[0, 0, 0]]])),
    )
    found = against_truth.scores(filled, complete)
    assert found["sst"] == (1.0, 1.0)
    assert found["first_guess"] == pytest.approx((2**0.5, 2.0))
    with pytest.raises(ValueError, match="same days"):
        against_truth.scores(filled, complete.isel(time=[0]))


def test_a_file_of_a_sea_that_moves(tmp_path, monkeypatch):
    gappy, complete = tmp_path / "gappy.nc", tmp_path / "complete.nc"
    monkeypatch.setattr(moving_file, "DAYS", 3)
    words = ["moving_file.py", str(gappy), str(complete), "--speed", "0.1"]
    monkeypatch.setattr(sys, "argv", words)
    monkeypatch.setattr(
        moving_file, "moving_ocean",
        lambda **sea: _still(sea) if sea["speed"] == 0.1 else pytest.fail("speed is lost"),
    )  # fmt: skip
    moving_file.main()
    with xr.open_dataset(gappy) as seen, xr.open_dataset(complete) as truth:
        ocean = truth.sst.notnull()
        hidden = (seen.sst.isnull() & ocean).sum() / ocean.sum()
        assert 0.4 < hidden < 1 and seen.sst.shape == truth.sst.shape == (3, 48, 48)


def _still(sea):
    from sst_tutorial.simulate import simulate_ocean

    return simulate_ocean(shape=sea["shape"], start=sea["start"], days=sea["days"], seed=0)
