"""Arrays that take minutes to make and never change: made once, then read from a folder.

The folder is `$SST_TUTORIAL_CACHE`, else `sst-tutorial` in the user's cache (`$XDG_CACHE_HOME`,
else `~/.cache`). A file holds the array and the words that say what it is, and nothing of the
machine that made it, so that it may be carried to another. It may be deleted at any time.
"""

import hashlib
import json
import os
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from sst_tutorial.whole import whole


def kept_folder() -> Path:
    """Where arrays are kept; it need not exist yet."""
    if own := os.environ.get("SST_TUTORIAL_CACHE"):
        return Path(own)
    users = os.environ.get("XDG_CACHE_HOME", "")
    # A relative path is none, says the XDG base directory specification.
    return (Path(users) if os.path.isabs(users) else Path.home() / ".cache") / "sst-tutorial"


def kept_file(name: str, about: dict) -> Path:
    """The file of the array `name` that was made from `about` (plain numbers and words)."""
    return kept_folder() / f"{name}-{hashlib.sha256(_words(about)).hexdigest()[:12]}.npz"


def kept(name: str, about: dict, make: Callable[[], np.ndarray]) -> np.ndarray:
    """The array of `name` and `about`: read where it is kept, else made by make() and kept.

    A file that is broken or holds something else is made again. Where nothing can be written, a
    warning says so and the array is made each time.
    """
    path = kept_file(name, about)
    try:
        with np.load(path) as archive:
            if archive["about"].tobytes() == _words(about):
                return archive["array"]  # read whole, its checksum with it
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        pass
    array = make()
    try:
        _keep(path, array, about)
    except OSError as error:
        warnings.warn(
            f"{path} cannot be written ({error}), so {name} is made again the next time; set "
            "SST_TUTORIAL_CACHE to a folder that can be",
            stacklevel=2,
        )
    return array


def _words(about: dict) -> bytes:
    return json.dumps(about, sort_keys=True).encode()


def _keep(path: Path, array: np.ndarray, about: dict) -> None:
    """A file that appears whole or not at all, whoever else writes it at the same time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as part, part.open("wb") as file:
        np.savez(file, array=array, about=np.frombuffer(_words(about), np.uint8))
