"""What a run leaves: one folder with a record, logs and scores, which a page of the book reads.

    run.json       command, settings, commit, versions, machine, seconds; is itself a settings file
    log.csv        a row for each evaluation
    scores.json    validation errors, month by month

and, not committed, steps.csv (a row for each step), the weights, and what a killed run goes on
from: settings.json and checkpoint.safetensors. Of runs side by side, output.txt is what they said.
"""

import json
import math
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sst_tutorial.settings import RECORD_FORMAT, Settings, as_dict, read_settings
from sst_tutorial.whole import whole

REPOSITORY = Path(__file__).resolve().parents[1]
# Of the source tree, else the copy that was installed with the package (pyproject.toml).
EXPERIMENTS = REPOSITORY / "experiments"
if not EXPERIMENTS.is_dir():
    EXPERIMENTS = Path(__file__).with_name("experiments")
RESULTS = EXPERIMENTS / "results"
PACKAGES = ("sst-tutorial", "torch", "numpy", "lightning-fabric", "xarray")


def write_record(folder: Path, settings: Settings, command: str, **found) -> None:
    """Write `folder`/run.json; found: what the run adds, such as seconds and scores."""
    record = {
        "format": RECORD_FORMAT,
        "command": command,
        "settings": as_dict(settings),
        "commit": commit(),
        "versions": versions(),
        "machine": machine(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }
    # The settings unrounded: fed back, they must be the same run.
    _write(rounded(record | found) | {"settings": record["settings"]}, folder / "run.json")


def is_done(folder: Path, settings: Settings) -> bool:
    """Does `folder` hold the finished run of exactly these settings?"""
    path = folder / "run.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return bool(record["done"]) and read_settings(path) == [settings]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False  # missing, unfinished, or written by another version


def commit() -> str | None:
    """The commit of the source tree, "+" behind it where the tree has changes; None without git.

    `$SST_TUTORIAL_COMMIT` speaks first, for a copy of the tree that came without its history.
    """
    if told := os.environ.get("SST_TUTORIAL_COMMIT"):
        return told
    head, changes = _git("rev-parse", "HEAD"), _git("status", "--porcelain")
    return head[:12] + "+" * bool(changes) if head else None


def _git(*words) -> str:
    """What git says of the source tree; nothing where there is no git or no history."""
    try:
        call = ["git", "-C", str(REPOSITORY), *words]
        return subprocess.run(call, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def machine() -> dict:
    """What computed: processor kind and cores, and the GPU if torch sees one."""
    import torch

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {"system": f"{platform.system()} {platform.machine()}", "cores": os.cpu_count(),
            "threads": torch.get_num_threads(), "gpu": gpu}  # fmt: skip


def versions() -> dict:
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def write_results(results, path) -> None:
    """Write nested numbers as strict JSON: 6 significant digits, null for NaN and infinity.

    The file appears whole or not at all.
    """
    _write(rounded(results), Path(path))


def _write(results, path: Path) -> None:
    text = json.dumps(results, indent=1, allow_nan=False) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as part:
        part.write_text(text, encoding="utf-8")


def read_results(name: str):
    """Numbers that a command left in experiments/results/`name`.json, or None.

    The folder comes with the source tree and with the installed package. Where the file is absent,
    says so in one line: the command that makes each file stands beside it in the book.
    """
    for folder in (RESULTS, Path("../../experiments/results")):  # the second from a page's folder
        path = folder / f"{name}.json"
        if path.is_file():
            return json.loads(path.read_text(encoding="utf-8"))
    print(f"{name}.json is not here: it comes with the package, in {RESULTS}; install it again")
    return None


def rounded(x, strict=True, digits=6):
    """Nested numbers with so many significant digits. strict: None stands for NaN and infinity, as
    JSON has neither."""
    if isinstance(x, dict):
        return {str(key): rounded(value, strict, digits) for key, value in x.items()}
    if isinstance(x, (list, tuple)):
        return [rounded(value, strict, digits) for value in x]
    if isinstance(x, float):
        return float(f"{x:.{digits}g}") if math.isfinite(x) or not strict else None
    return x
