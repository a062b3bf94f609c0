"""Run chapters as on Colab: python book/colab.py [NAME ...], in an environment without this folder.

A reader on Colab has one notebook, the installed package and nothing else. So each chapter is
copied into an empty folder and executed there, by the Python that runs this file; `make test-colab`
gives it Colab's versions. Without names, all chapters in the order of the book.
"""

import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError

BOOK = Path(__file__).resolve().parent
ABSENT = re.compile(r"^.*\bis not here\b.*$|^.*\bcome[s]? with a clone\b.*$", flags=re.M)
MINUTES = 4  # of a cell; Colab's machines are like two cores of this book's


def chapters() -> list[str]:
    contents = (BOOK.parent / "_toc.yml").read_text(encoding="utf-8")
    return re.findall(r"file: book/chapters/(\w+)", contents)


def installed() -> str:
    """Where the package is, which must be elsewhere than in this repository."""
    import sst_tutorial

    place = Path(sst_tutorial.__file__).resolve().parent
    if place.is_relative_to(BOOK.parent):
        raise SystemExit(f"sst_tutorial is imported from {place}: install it, not with -e")
    return str(place)


def complaints(name: str) -> list[str]:
    """Run one chapter; what stopped it, and what it says that it lacks."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{name}.ipynb"
        shutil.copy(BOOK / "chapters" / path.name, path)
        notebook = nbformat.read(path, as_version=4)
        where = {"metadata": {"path": folder}}
        try:
            NotebookClient(
                notebook, timeout=60 * MINUTES, kernel_name="python3", resources=where
            ).execute()
        except (CellExecutionError, CellTimeoutError) as error:
            return [str(error).strip().splitlines()[-1]]
    texts = [
        output.get("text", "")
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "stream"
    ]
    return [found[0] for text in texts for found in ABSENT.finditer(text)]


def main(names: list[str]) -> int:
    unknown = sorted(set(names) - set(chapters()))
    if unknown:
        raise SystemExit(f"there is no chapter {unknown[0]!r}; chapters: {', '.join(chapters())}")
    sys.path[:] = [place for place in sys.path if Path(place or ".").resolve() != BOOK]
    os.chdir(tempfile.gettempdir())
    print(f"the package is in {installed()}", flush=True)
    bad = 0
    for name in names or chapters():
        begin = time.perf_counter()
        found = complaints(name)
        bad += bool(found)
        words = "; ".join(found) or "runs, and lacks nothing"
        print(f"{name}: {words} ({time.perf_counter() - begin:.0f} s)", flush=True)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
