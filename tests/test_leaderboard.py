"""The leaderboard has a row a setting, with the spread of its seeds."""

import json

import pytest

from sst_tutorial.leaderboard import leaderboard


def run_of(folder, name, seed, cloudy, lr=1e-3, done=True, **other):
    (folder / f"{name}-{seed}").mkdir(parents=True)
    record = {"settings": {"seed": seed, "lr": lr}, "validation": {"cloudy": cloudy, "clear": 0.1},
              "done": done, "seconds": 60, "parameters": {"network": 5, "first_guess": 2},
              "machine": {"gpu": None, "cores": 2}, "command": f"train {seed}", "commit": "abc"}
    (folder / f"{name}-{seed}" / "run.json").write_text(json.dumps(record | other))


def test_a_row_of_the_leaderboard_has_the_spread_of_its_seeds(tmp_path):
    for seed, cloudy in ((2, 0.22), (0, 0.18), (1, 0.2)):
        run_of(tmp_path / "q", "wide", seed, cloudy)
    run_of(tmp_path / "q", "narrow", 0, 0.19, lr=2e-3)
    run_of(tmp_path / "q", "killed", 0, 0.01, lr=3e-3, done=False)
    (tmp_path / "q" / "wide-1" / "weights.safetensors").write_bytes(b"weights")
    ((months, rows),) = leaderboard(tmp_path).items()
    assert months == "cloudy, clear" and [row["name"] for row in rows] == ["q/narrow", "q/wide"]
    narrow, wide = rows
    assert narrow["spread_K"] is None and wide["spread_K"] == pytest.approx(0.01)
    assert wide["rmse_K"] == pytest.approx(0.15) and wide["seeds"] == [0, 1, 2]
    assert wide["by_set_K"] == pytest.approx({"cloudy": 0.2, "clear": 0.1})
    assert wide["command"] == "train 0" and wide["commit"] == "abc" and wide["parameters"] == 7
    assert wide["weights"][::2] == [None, None] and len(wide["weights"][1]) == 12


def test_runs_that_were_judged_by_other_months_stand_apart(tmp_path):
    run_of(tmp_path / "one", "a", 0, 0.2)
    run_of(tmp_path / "two", "b", 0, 0.1, lr=2e-3)
    run_of(tmp_path / "one", "c", 0, 0.1, lr=3e-3, validation={"moving_day": 0.4})
    tables = leaderboard(tmp_path, {"two": "older months"})
    assert {k: [row["name"] for row in rows] for k, rows in tables.items()} == {
        "cloudy, clear": ["one/a"],
        "cloudy, clear, older months": ["two/b"],
        "moving_day": ["one/c"],
    }
    assert leaderboard(tmp_path / "nothing") == {}


def test_runs_of_other_classes_are_no_seeds_of_one_setting(tmp_path):
    run_of(tmp_path / "q", "own", 0, 0.2)
    run_of(tmp_path / "q", "own", 1, 0.2)
    run_of(tmp_path / "q", "divided", 0, 0.1, design="divided")
    (rows,) = leaderboard(tmp_path).values()
    assert [(row["name"], row["seeds"]) for row in rows] == [("q/divided", [0]), ("q/own", [0, 1])]
