"""A run leaves a record: strict JSON that says what was done, and by what."""

import json
import math
import os
import subprocess

import pytest

from sst_tutorial import __version__, results
from sst_tutorial.results import (
    commit,
    is_done,
    machine,
    read_results,
    write_record,
    write_results,
)
from sst_tutorial.settings import RECORD_FORMAT, Settings, as_dict, read_settings, settings_of

SETTINGS = settings_of("quick", seed=3, train_years=(1982, 2008), seconds=1.5)


def read(path):
    return json.loads(path.read_text())


# ---------------------------------------------------------------- numbers


def test_results_are_strict_json_of_six_digits(tmp_path):
    path = tmp_path / "new folder" / "numbers.json"
    numbers = {
        "rmse": 0.123456789,
        "interval": (1.0, math.inf),
        "by_month": {"name": ["2001-02"], 3: [math.nan, 12345678.9]},
        "count": 123456789,
        "done": True,
        "none": None,
    }
    write_results(numbers, path)
    assert read(path) == {
        "rmse": 0.123457,
        "interval": [1.0, None],
        "by_month": {"name": ["2001-02"], "3": [None, 12345700.0]},
        "count": 123456789,
        "done": True,
        "none": None,
    }
    assert "NaN" not in path.read_text() and path.read_text().endswith("}\n")


def test_results_appear_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "numbers.json"
    write_results({"a": 1}, path)
    with pytest.raises(TypeError):
        write_results({"a": object()}, path)
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        write_results({"a": 2}, path)
    assert read(path) == {"a": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["numbers.json"]


def test_results_are_read_by_name(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results")
    monkeypatch.chdir(tmp_path)
    assert read_results("made_up") is None
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and "made_up.json is not here" in said
    write_results([1.5], tmp_path / "results" / "made_up.json")
    assert read_results("made_up") == [1.5] and capsys.readouterr().out == ""


def test_a_page_in_its_folder_finds_results_beside_the_book(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "RESULTS", tmp_path / "site-packages")
    write_results([2.5], tmp_path / "experiments" / "results" / "made_up.json")
    page = tmp_path / "book" / "chapters"
    page.mkdir(parents=True)
    monkeypatch.chdir(page)
    assert read_results("made_up") == [2.5]


@pytest.mark.parametrize("folder", ["/", "/tmp"])
def test_results_are_missed_politely_near_the_root(folder, monkeypatch, capsys):
    """As on Colab, where a notebook works in /content."""
    monkeypatch.chdir(folder)
    assert read_results("made_up") is None
    assert "made_up.json is not here" in capsys.readouterr().out


# ---------------------------------------------------------------- the record of a run


def test_a_record_says_what_was_done_and_by_what(tmp_path):
    write_record(tmp_path, SETTINGS, "sst-tutorial train", seconds=1.23456789, done=True)
    record = read(tmp_path / "run.json")
    assert record["format"] == RECORD_FORMAT and record["command"] == "sst-tutorial train"
    assert record["settings"] == as_dict(SETTINGS) and record["seconds"] == 1.23457
    assert record["versions"]["sst-tutorial"] is not None and record["versions"]["torch"]
    assert set(record["machine"]) == {"system", "cores", "threads", "gpu"}
    assert len(record["date"]) == 10 and "commit" in record and record["done"] is True


def test_a_record_is_itself_a_settings_file(tmp_path):
    write_record(tmp_path, SETTINGS, "")
    assert read_settings(tmp_path / "run.json") == [SETTINGS]


@pytest.mark.parametrize("lr", [0.001, 0.0012345678901, 1 / 3])
def test_rounding_does_not_change_the_settings_of_a_record(tmp_path, lr):
    """Six digits are enough for scores; the settings must come back as they were."""
    settings = settings_of("quick", lr=lr)
    write_record(tmp_path, settings, "", done=True)
    assert read_settings(tmp_path / "run.json") == [settings]
    assert is_done(tmp_path, settings)


def test_only_the_finished_run_of_these_settings_is_done(tmp_path):
    folder = tmp_path / "run"
    assert not is_done(folder, SETTINGS)
    folder.mkdir()
    assert not is_done(folder, SETTINGS)
    write_record(folder, SETTINGS, "", done=True)
    assert is_done(folder, SETTINGS)
    for other in (Settings(), settings_of("quick"), settings_of("quick", seed=3)):
        assert not is_done(folder, other)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "3",
        "null",
        '{"done": true}',
        '{"done": true, "format": "another", "settings": {}}',
        json.dumps({"done": False, "format": RECORD_FORMAT, "settings": as_dict(SETTINGS)}),
        json.dumps({"format": RECORD_FORMAT, "settings": as_dict(SETTINGS)}),
        json.dumps({"done": True, "format": RECORD_FORMAT, "settings": {"passes": 12}}),
        json.dumps({"done": True, "format": RECORD_FORMAT, "settings": [as_dict(SETTINGS)]}),
    ],
)
def test_a_broken_record_is_not_done(tmp_path, text):
    (tmp_path / "run.json").write_text(text)
    assert not is_done(tmp_path, SETTINGS)


def test_a_record_that_is_no_text_is_not_done(tmp_path):
    (tmp_path / "run.json").write_bytes(b"\xff\xfe\x00")
    assert not is_done(tmp_path, SETTINGS)
    (tmp_path / "folder" / "run.json").mkdir(parents=True)
    assert not is_done(tmp_path / "folder", SETTINGS)


# ---------------------------------------------------------------- commit and machine


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """git(*words) in a repository of its own, with one commit of one file."""

    def git(*words):
        who = ("-c", "user.name=a", "-c", "user.email=a@b")
        call = ["git", "-C", str(tmp_path), *who, *words]
        return subprocess.run(call, check=True, capture_output=True, text=True).stdout.strip()

    monkeypatch.setattr(results, "REPOSITORY", tmp_path)
    monkeypatch.delenv("SST_TUTORIAL_COMMIT", raising=False)
    git("init", "-q")
    (tmp_path / "file").write_text("1")
    git("add", "file")
    git("commit", "-q", "-m", "first")
    return git


def test_the_commit_tells_a_changed_tree(tree, tmp_path):
    head = tree("rev-parse", "HEAD")[:12]
    assert commit() == head
    (tmp_path / "file").write_text("2")
    assert commit() == head + "+"


def test_without_history_the_environment_may_tell_the_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "REPOSITORY", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.delenv("SST_TUTORIAL_COMMIT", raising=False)
    assert commit() is None
    monkeypatch.setenv("SST_TUTORIAL_COMMIT", "abc123")
    assert commit() == "abc123"
    monkeypatch.setenv("PATH", "")  # no git at all
    assert commit() == "abc123"


def test_the_machine_is_told():
    told = machine()
    assert told["threads"] >= 1 and told["cores"] >= 1 and told["system"]
    assert __version__.count(".") == 2
