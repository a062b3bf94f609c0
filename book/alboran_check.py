"""A small real test at 2 km cells: the Alboran Sea, hidden also by the clouds of other days.

    python book/alboran_check.py        # a minute; writes book/results/alboran.json

The scene is the real L3 file of ten days. For each shift of the clouds by 1 to 9 days the methods
see what is left; they are scored on cells with at least 6 of 10 looks, against the mean of those
looks. Part of the truth is what the methods saw, so the figures compare methods and no more.
"""

from pathlib import Path

import numpy as np

from sst_tutorial import open_sst
from sst_tutorial.baselines import BASELINES
from sst_tutorial.data import shared_data
from sst_tutorial.evaluation import rmse, write_results
from sst_tutorial.reconstruction import as_method

OUT = Path(__file__).parent / "results" / "alboran.json"
RIVALS = ("mean of days", "linear in time", "gaussian", "dineof")
LOOKS = 6  # a cell with fewer looks has no truth


def main():
    if shared_data() is None:
        raise SystemExit("the Alboran file is not here: set SST_TUTORIAL_DATA to its folder")
    daily = open_sst(shared_data() / "alboran_l3_201705.nc")
    sst, ocean = daily.sst.values, daily.ocean_mask.values  # (T, H, W), (H, W)
    seen = np.isfinite(sst)
    scored = ocean & (seen.sum(0) >= LOOKS)
    truth = np.nanmean(sst[:, scored], 0)
    methods = {"network": as_method()} | {name: BASELINES[name] for name in RIVALS}
    errors = {name: [] for name in methods}
    for shift in range(1, len(sst)):
        left = np.where(seen & np.roll(seen, shift, 0), sst, np.nan)
        for name, predict in methods.items():
            errors[name].append(predict(left, ocean)[scored] - truth)
    results = {
        "command": "python book/alboran_check.py",
        "cells": int(scored.sum()),
        "rmse_by_shift": {name: [rmse(e) for e in es] for name, es in errors.items()},
        "rmse": {name: rmse(np.stack(es)) for name, es in errors.items()},
    }
    write_results(results, OUT)
    for name, es in errors.items():
        print(f"{name:15}", *(f"{rmse(e):.3f}" for e in es), f" all {results['rmse'][name]:.3f}")


if __name__ == "__main__":
    main()
