"""A file appears whole or not at all, whoever writes it and however the writing ends."""

import errno
import os
import signal
import stat
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch

from sst_tutorial import kept, training
from sst_tutorial.networks import build
from sst_tutorial.results import write_results
from sst_tutorial.weights import save_checkpoint, save_weights
from sst_tutorial.whole import undisturbed, whole

SLOTS = ({"name": "gaussian"}, {"name": "unet", "width": 8})


def weights(path):
    save_weights(path, build(*SLOTS), *SLOTS, {})


def checkpoint(path):
    estimator = build(*SLOTS)
    parts = (estimator, estimator, estimator, torch.optim.AdamW(estimator.parameters()))
    save_checkpoint(path, *parts, {"step": 1})


WRITERS = {
    "bytes": lambda path: _write(path, b"new"),
    "results": lambda path: write_results({"a": 1.5}, path),
    "weights": weights,
    "checkpoint": checkpoint,
    "kept array": lambda path: kept._keep(path, np.zeros(9), {}),
}
every_writer = pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)


def _write(path, content):
    with whole(path) as part:
        part.write_bytes(content)


@every_writer
@pytest.mark.parametrize("old", [None, b"old"])
def test_a_full_disk_leaves_what_was_there(write, old, tmp_path, monkeypatch):
    path = tmp_path / "file.json"
    if old is not None:
        path.write_bytes(old)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)  # the last moment at which it can be noticed
    with pytest.raises(OSError, match="file.json cannot be written.*is the disk full") as error:
        write(path)
    assert "\n" not in str(error.value)
    assert os.listdir(tmp_path) == ([] if old is None else ["file.json"])
    assert old is None or path.read_bytes() == old


@every_writer
def test_what_is_written_is_for_all_to_read_and_replaces_what_was_there(write, tmp_path):
    path, before = tmp_path / "file.json", os.umask(0o027)
    try:
        path.write_bytes(b"old")
        write(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
    finally:
        os.umask(before)
    assert os.listdir(tmp_path) == ["file.json"] and path.read_bytes() != b"old"


def test_a_name_stands_for_the_old_file_until_the_new_one_is_whole(tmp_path):
    """Renamed, not copied: who reads meanwhile has the old file, all of it."""
    path = tmp_path / "a"
    path.write_bytes(b"old")
    with path.open("rb") as reader:
        with whole(path) as part:
            part.write_bytes(b"new")
            assert path.read_bytes() == b"old" and part.parent == path.parent
            assert part.name.startswith(".")  # `open_sst` of the folder passes it by
        assert path.read_bytes() == b"new" and reader.read() == b"old"


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, SystemExit])
def test_whatever_ends_the_writing_leaves_no_part(error, tmp_path):
    with pytest.raises(error), whole(tmp_path / "a") as part:
        part.write_bytes(b"half")
        raise error
    assert os.listdir(tmp_path) == []


def test_no_folder_is_told(tmp_path):
    with pytest.raises(OSError, match="a cannot be written"):
        _write(tmp_path / "none" / "a", b"")


def test_signals_wait_and_then_come(tmp_path):
    with pytest.raises(KeyboardInterrupt), undisturbed():
        os.kill(os.getpid(), signal.SIGINT)
        _write(tmp_path / "a", b"all of it")
    assert (tmp_path / "a").read_bytes() == b"all of it"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_other_threads_write_too(tmp_path):
    """Only the main thread may look after signals."""
    thread = threading.Thread(target=_write, args=(tmp_path / "a", b"new"))
    thread.start()
    thread.join()
    assert (tmp_path / "a").read_bytes() == b"new"


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_killed_at_any_moment_nothing_half_has_the_name(tmp_path, stop):
    program = (
        "import signal; from sst_tutorial.whole import whole\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)\n"  # not as under nohup
        "print(flush=True)\n"
        "while True:\n"
        f"    with whole({str(tmp_path / 'file')!r}) as part: part.write_bytes(bytes(2_000_000))\n"
    )
    for moment in (0.05, 0.11, 0.17):
        with subprocess.Popen([sys.executable, "-c", program], stdout=-1) as child:
            child.stdout.readline()
            time.sleep(moment)
            child.send_signal(stop)
            assert child.wait(60) == -stop
        left = os.listdir(tmp_path)
        if stop is signal.SIGKILL:  # after that nobody can clean up; but it is hidden
            left = [name for name in left if not name.startswith(".")]
        assert left == ["file"] and (tmp_path / "file").stat().st_size == 2_000_000
        (tmp_path / "file").unlink()


def test_half_a_row_of_a_log_is_no_row(tmp_path):
    log = tmp_path / "log.csv"
    log.write_text("step,loss\n1,0.5\n2,0.4\n12,0")
    training._cut_logs(tmp_path, 20)
    assert log.read_text() == "step,loss\n1,0.5\n2,0.4\n"
    training._cut_logs(tmp_path, 1)
    assert log.read_text() == "step,loss\n1,0.5\n"
    training._cut_logs(tmp_path, 0)
    assert not log.exists()
