"""How often does `compare` cry wolf, and how often does it find what is there?

    python experiments/checks/compare.py simulate       # minutes, from the scatter of stored runs
    python experiments/checks/compare.py nothing        # six runs of a change, 2 minutes
    python experiments/checks/compare.py known

Of the two changes one does nothing (the weights start from other random numbers, the samples are
the same), the other is known to matter (an eighth of the learning rate, in a run that has no time
for it). Six seeds of each make twenty sets of three, and each set is one try against the ten stored
runs of the base. Writes experiments/results/compare/checks.json and the records of both changes.
"""

import itertools
import json
import sys

import numpy as np
import torch

from sst_tutorial.comparing import STORED, _where, compare
from sst_tutorial.deciding import SMALL, difference, scatter_of, smallest
from sst_tutorial.model import VideoEncoder
from sst_tutorial.results import write_results

TRIES = 2000  # a rate of 0.05 is known to 0.005
BASE = "quick-10s"
KNOWN = {"lr": 5e-4}


class AnotherStart(VideoEncoder):
    """The encoder that ships, after one random number more: all weights that follow are others."""

    def __init__(self, *arguments):
        torch.rand(1)
        super().__init__(*arguments)


CHANGES = {"nothing": {"encoder": AnotherStart}, "known": KNOWN}


def tables(rng, scatter, n, m, months, alike, effect=0.0, change=0.0):
    """Sums of squares of n runs of a change and of m of its base, (runs, months) each, on months
    that are as hard for both. alike: correlation of two runs of the same seed."""
    hard = 0.25 + 0.05 * rng.standard_normal(months)

    def draw(shape):
        base = rng.standard_normal((m, *shape))
        own = rng.standard_normal((n, *shape))
        return alike * base[:n] + np.sqrt(1 - alike**2) * own, base

    runs, both = draw((1,)), draw((months,))
    helped = effect + change * rng.standard_normal(months)
    luck = np.sqrt(max(scatter.seeds**2 - scatter.both**2 / months, 0.0))  # the mean has both
    errors = [hard + luck * s + scatter.both * e for s, e in zip(runs, both, strict=True)]
    return (errors[0] + helped) ** 2, errors[1] ** 2


def said(found) -> str:
    """The first word of a verdict, without counting how many seeds would tell."""
    if found.bound <= SMALL:
        return "less"
    return "mattered" if zero_is_outside(found) else "cannot"


def zero_is_outside(found) -> bool:
    return found.low > 0 or found.high < 0


def rate(rng, scatter, n, m, months, alike, effect=0.0, change=0.0, tries=TRIES):
    """Shares of the verdicts' first words, of intervals that leave zero out, and of pairs."""
    counts = dict.fromkeys(("mattered", "less", "cannot", "zero_outside", "paired"), 0)
    seeds = range(n), range(m)
    for _ in range(tries):
        sums = tables(rng, scatter, n, m, months, alike, effect, change)
        found = difference(*sums, np.ones(months), seeds)
        counts[said(found)] += 1
        counts["zero_outside"] += zero_is_outside(found)
        counts["paired"] += found.paired
    return {key: value / tries for key, value in counts.items()}


def peeking(rng, scatter, m, months, looks=(3, 4, 5, 6, 7, 8, 9, 10), tries=TRIES):
    """Share of false alarms of somebody who adds a seed until it `mattered`, or ten are done."""
    alarms = 0
    for _ in range(tries):
        a, b = tables(rng, scatter, max(looks), m, months, 0.0)
        founds = (difference(a[:n], b, np.ones(months), (range(n), range(m))) for n in looks)
        alarms += any(zero_is_outside(found) for found in founds)
    return alarms / tries


def simulate() -> dict:
    record = json.loads((STORED / f"{BASE}.json").read_text())
    squares = np.array([run["square_sum"] for run in record["runs"]])
    scatter = scatter_of(squares, record["runs"][0]["weight_sum"])
    months, rng = squares.shape[1], np.random.default_rng(0)
    least = smallest(scatter, 3, 10, months)
    rows = []
    for n, m in ((3, 10), (3, 3), (1, 10), (10, 10)):
        for alike in (0.0, 0.9, 0.99):
            for change in (0.0, 0.003):
                row = {"seeds": n, "of_base": m, "alike": alike, "by_month_K": change}
                nothing = rate(rng, scatter, n, m, months, alike, 0.0, change)
                there = rate(rng, scatter, n, m, months, alike, least, change, TRIES // 4)
                rows.append(row | {"nothing": nothing, "smallest": there})
                print(row, nothing, there, flush=True)
    return {
        "scatter_K": scatter._asdict(),
        "months": months,
        "tries": TRIES,
        "smallest_K": least,
        "rows": rows,
        "peeking": peeking(rng, scatter, 10, months),
    }


def tries_of(path) -> dict:
    """All sets of three seeds of a record, each a try: how often is it called what?"""
    record = json.loads(path.read_text())
    ours, base = record["runs"]["change"], record["runs"]["base"]
    squares, weights = ([run["square_sum"] for run in runs] for runs in (ours, base))
    squares = [run["square_sum"] for run in ours]
    of_base, cells = np.array([run["square_sum"] for run in base]), np.array(base[0]["weight_sum"])
    seeds, words, paired, outside, halves = [run["seed"] for run in base], [], 0, 0, []
    for three in itertools.combinations(range(len(ours)), 3):
        some = np.array([squares[i] for i in three])
        found = difference(some, of_base, cells, ([ours[i]["seed"] for i in three], seeds))
        words.append(said(found))
        paired += found.paired
        outside += zero_is_outside(found)
        halves.append(found.half)
    count = {word: words.count(word) for word in ("mattered", "less", "cannot")}
    return {
        "change": record["change"],
        "verdict_of_all": record["verdict"],
        "tries": len(words),
        "paired": paired,
        "zero_outside": outside,
        "median_half_K": float(np.median(halves)),
        **count,
    }


def main(what: str) -> None:
    path, command = STORED / "checks.json", f"python experiments/checks/compare.py {what}"
    if what == "simulate":
        found = simulate()
    elif what in CHANGES:
        out = STORED / f"{what}-10s.json"
        compare("quick", CHANGES[what], seeds=6, seconds=10, out=out, command=command)
        found = tries_of(out)
        print(found)
    else:
        sys.exit(__doc__)
    before = json.loads(path.read_text()) if path.exists() else {}
    write_results(before | {what: {"command": command} | found | _where()}, path)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) == 2 else "")
