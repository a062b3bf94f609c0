"""Arrays kept on disk: made once, made again when the file is broken, carried elsewhere."""

import os
import stat

import numpy as np
import pytest

from sst_tutorial.kept import kept, kept_file, kept_folder

ABOUT = {"version": 1, "seed": 7}


@pytest.fixture
def folder(monkeypatch, tmp_path):
    monkeypatch.setenv("SST_TUTORIAL_CACHE", str(tmp_path / "own"))
    return tmp_path / "own"


class Maker:
    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return np.arange(12, dtype=np.float16).reshape(3, 4) + self.calls


def test_what_is_kept_is_made_once(folder):
    make = Maker()
    first, second = (kept("sea", ABOUT, make) for _ in range(2))
    assert make.calls == 1 and first.dtype == second.dtype == np.float16
    np.testing.assert_array_equal(first, second)
    (path,) = folder.iterdir()  # no temporary file beside it
    assert path == kept_file("sea", ABOUT)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_other_words_are_another_array(folder):
    make = Maker()
    for about in (ABOUT, ABOUT | {"seed": 8}, ABOUT | {"version": 2}):
        kept("sea", about, make)
    kept("lake", ABOUT, make)
    assert make.calls == 4 and len(list(folder.iterdir())) == 4
    kept("sea", dict(reversed(ABOUT.items())), make)  # the same words in another order
    assert make.calls == 4


@pytest.mark.parametrize("broken", ["cut", "changed", "empty", "other", "text", "folder"])
def test_a_broken_file_is_made_again(folder, broken):
    make = Maker()
    kept("sea", ABOUT, make)
    path = kept_file("sea", ABOUT)
    data = path.read_bytes()
    if broken == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif broken == "changed":  # one bit of the array
        where = data.index(np.float16(3).tobytes() + np.float16(4).tobytes())
        path.write_bytes(data[:where] + bytes([data[where] ^ 1]) + data[where + 1 :])
    elif broken == "empty":
        path.write_bytes(b"")
    elif broken == "other":
        kept("sea", {"version": 9}, Maker())
        os.replace(kept_file("sea", {"version": 9}), path)
    elif broken == "text":
        path.write_text("no archive")
    else:
        path.unlink()
        path.mkdir()
        with pytest.warns(UserWarning, match="cannot be written"):
            kept("sea", ABOUT, make)
        path.rmdir()
    again = kept("sea", ABOUT, make)
    assert make.calls == (3 if broken == "folder" else 2)
    np.testing.assert_array_equal(kept("sea", ABOUT, make), again)
    assert [p.name for p in folder.iterdir()] == [path.name]


def test_a_file_goes_along_to_another_folder(folder, monkeypatch, tmp_path):
    first = kept("sea", ABOUT, Maker())
    path = kept_file("sea", ABOUT)
    monkeypatch.setenv("SST_TUTORIAL_CACHE", str(tmp_path / "there"))
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / path.name).write_bytes(path.read_bytes())

    def never():
        raise AssertionError("it was there")

    np.testing.assert_array_equal(kept("sea", ABOUT, never), first)


def test_a_maker_that_fails_leaves_nothing(folder):
    def fails():
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        kept("sea", ABOUT, fails)
    assert not folder.exists()


def test_where_nothing_can_be_written_it_says_so(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SST_TUTORIAL_CACHE", str(tmp_path / "file"))
    make = Maker()
    with pytest.warns(UserWarning, match="SST_TUTORIAL_CACHE"):
        assert kept("sea", ABOUT, make).shape == (3, 4)


def test_the_folder_is_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.delenv("SST_TUTORIAL_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert kept_folder() == tmp_path / "sst-tutorial"
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for none in ("", "relative/path"):  # the specification: a relative path counts as none
        monkeypatch.setenv("XDG_CACHE_HOME", none)
        assert kept_folder() == tmp_path / "home" / ".cache" / "sst-tutorial"
    monkeypatch.setenv("SST_TUTORIAL_CACHE", "here")
    assert str(kept_folder()) == "here"
