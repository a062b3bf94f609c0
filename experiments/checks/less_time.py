"""Exercise 4 of *When nothing can be won* with more steps: how far ahead is the network then?

    python experiments/checks/less_time.py   # two minutes; results/less_time.json

It runs the page's own cells, so a reader who sets `steps=3000` in his answer finds these numbers.
"""

import sys

import nbformat
import numpy as np
import torch

from sst_tutorial.results import REPOSITORY, RESULTS, write_results

PAGE = REPOSITORY / "book" / "chapters" / "nothing_can_be_won.ipynb"
CELLS = ("from torch import nn", "def moving(", "root = ", "def optimal(", "def train(",
         "def duel(")  # fmt: skip
SEEN = {"days 1 and 7": (0, 6), "days 3 and 5": (2, 4)}
STEPS = (600, 3000)


def page() -> dict:
    """What the cells of the page define that the exercise needs."""
    notebook = nbformat.read(PAGE, as_version=4)
    space = {"np": np, "torch": torch}
    torch.manual_seed(0)  # as the page's first cell
    for mark in CELLS:
        (source,) = (c.source for c in notebook.cells if c.cell_type == "code" and mark in c.source)
        exec(source, space)
    return space


def leads(space: dict, seen: tuple[int, int]) -> dict:
    """Lead of a network of width 256 over OI, as a share of OI's error, by training steps."""
    test, of_oi = space["duel"](seen)
    trained = {}
    for steps in STEPS:
        _, errors = space["train"](space["moving"], test, 256, steps=steps, seen=seen)
        trained[str(steps)] = 1 - errors[steps] / of_oi
    return {"oi_rmse": of_oi, "lead_by_steps": trained}


def main():
    space = page()
    results = {"command": "python experiments/checks/less_time.py"}
    write_results(results | {name: leads(space, seen) for name, seen in SEEN.items()},
                  RESULTS / "less_time.json")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
