"""Rows of a leaderboard from what `sst-tutorial judge` wrote, a row for each method, best first.

    python experiments/checks/judged_rows.py judged-0.json judged-1.json judged-2.json

Give files of the same data and period, judged with other seeds: other clouds hide other
observations. The rows look as those of `leaderboard.py`; their spread is that of the clouds.
"""

import json
import sys
from pathlib import Path

import numpy as np


def rows(judged: list[dict]) -> list[tuple]:
    """(mean RMSE in K, standard deviation or None, count, method), best first."""
    if len({json.dumps([one["file"], one["period"]]) for one in judged}) > 1:
        raise ValueError("the files judge different data or days; give one file's, other seeds")
    seeds = [one["withheld"]["seed"] for one in judged]
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds={seeds}: one stands twice; judge with another --seed")
    methods = set.intersection(*(set(one["methods"]) for one in judged))
    found = []
    for name in methods:
        rmse = [one["methods"][name]["rmse"] for one in judged]
        spread = np.std(rmse, ddof=1) if len(rmse) > 1 else None
        found.append((float(np.mean(rmse)), spread, len(rmse), name))
    return sorted(found, key=lambda row: row[0])


def main(paths) -> None:
    if not paths:
        sys.exit("name files that `sst-tutorial judge --out` wrote")
    judged = [json.loads(Path(path).read_text(encoding="utf-8")) for path in paths]
    print(f"RMSE (K) at withheld observations, {' to '.join(judged[0]['period'])}")
    for rmse, spread, count, name in rows(judged):
        spread = "" if spread is None else f" +- {spread:.4f}"
        print(f"  {rmse:.4f}{spread:10} {count} seed(s)  {name}")


if __name__ == "__main__":
    main(sys.argv[1:])
