"""A small real test at 2 km cells: the Alboran Sea, hidden also by the clouds of other days.

    python experiments/checks/alboran.py     # a minute; writes experiments/results/alboran.json

The scene is the real L3 file of ten days. For each shift of the clouds by 1 to 9 days the methods
see what is left; they are scored on cells seen on at least 6 of 10 days, against the mean of those
observations. Part of the truth is what the methods saw, so the figures compare methods and no more.
"""

import numpy as np

from sst_tutorial import open_sst
from sst_tutorial.baselines import BASELINES
from sst_tutorial.benchmark import shared_data
from sst_tutorial.evaluation import rmse
from sst_tutorial.months import Month
from sst_tutorial.reconstruction import as_method
from sst_tutorial.results import RESULTS, write_results

NETWORKS = ("ocean-1", "ocean-2")
COMPARED = ("mean of days", "linear in time", "gaussian", "dineof")
DAYS_SEEN = 6  # a cell seen on fewer days has no truth


def errors_by_shift(sst, ocean, methods) -> dict[str, list[np.ndarray]]:
    """Errors (cells,) in K of each method under clouds shifted by 1, 2, ... days.

    sst: (T, H, W) degC, NaN = gap. ocean: (H, W) bool. methods: name -> predict(month).
    """
    seen = np.isfinite(sst)
    scored = ocean & (seen.sum(0) >= DAYS_SEEN)
    truth = np.nanmean(sst[:, scored], 0)
    errors = {name: [] for name in methods}
    for shift in range(1, len(sst)):
        left = np.where(seen & np.roll(seen, shift, 0), sst, np.nan)
        month = Month(left, ocean, name=f"clouds shifted by {shift} days")
        for name, predict in methods.items():
            errors[name].append(predict(month)[scored] - truth)
    return errors


def main():
    if shared_data() is None:
        raise SystemExit("the Alboran file is not here: set SST_TUTORIAL_DATA to its folder")
    daily = open_sst(shared_data() / "alboran_l3_201705.nc")
    methods = {name: as_method(name) for name in NETWORKS}
    methods |= {name: BASELINES[name] for name in COMPARED}
    errors = errors_by_shift(daily.sst.values, daily.ocean_mask.values, methods)
    results = {
        "command": "python experiments/checks/alboran.py",
        "cells": len(errors[NETWORKS[0]][0]),
        "rmse_by_shift": {name: [rmse(e) for e in es] for name, es in errors.items()},
        "rmse": {name: rmse(np.stack(es)) for name, es in errors.items()},
    }
    write_results(results, RESULTS / "alboran.json")
    for name, es in errors.items():
        print(f"{name:15}", *(f"{rmse(e):.3f}" for e in es), f" all {results['rmse'][name]:.3f}")


if __name__ == "__main__":
    main()
