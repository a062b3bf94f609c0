"""The live cells of *Learning without labels* for five seeds: does a start on torn maps help who
has no more than eight complete months?

    python experiments/checks/few_labels.py   # a minute; results/few_labels.json

It runs the page's own cells, so that a reader who changes the seed finds these numbers.
"""

import sys
from collections import defaultdict

import nbformat
import numpy as np
import torch
from torch.nn import functional as F

from sst_tutorial.results import REPOSITORY, RESULTS, machine, write_results

PAGE = REPOSITORY / "book" / "chapters" / "without_labels.ipynb"
CELLS = ("from sst_tutorial.pretraining import", "sea = ocean_anomalies", "def taught(",
         "def estimator(", "def learn(")  # fmt: skip
SEEDS = range(5)


def page() -> dict:
    """What the cells of the page define."""
    notebook = nbformat.read(PAGE, as_version=4)
    space = {"np": np, "torch": torch, "F": F, "defaultdict": defaultdict, "print": lambda *_: None}
    for mark in CELLS:
        (source,) = (c.source for c in notebook.cells if c.cell_type == "code" and mark in c.source)
        exec(source, space)
    return space


def main():
    space, rows = page(), []
    record = {"command": "python experiments/checks/few_labels.py", "machine": machine()}
    for seed in SEEDS:
        start, _ = space["taught"](seed)
        both = (space["estimator"](which, 1 + seed) for which in (None, start))
        scratch, pre = map(space["learn"], both)
        rows.append({"seed": seed, "scratch": scratch, "pre-trained": pre})
        print(rows[-1], flush=True)
        write_results(record | {"rows": rows}, RESULTS / "few_labels.json")


if __name__ == "__main__":
    sys.exit(main())
