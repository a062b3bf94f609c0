"""How good is everything on a sea that moves? Monthly means and the map of day 16, in K.

    python experiments/checks/moving_oi.py    # 3 minutes on one GPU; writes results/moving_oi.json

The 192 validation months of `benchmark.moving_months`, those by which the runs of
experiments/moving are judged: real clouds, noise of 0.3 K, cells of 8 km. The Gaussian, and optimal
interpolation with the covariance measured in other seas of the same settings (300 EOFs, each with
its own memory); run folders or names of weights may be given to score them beside. `--report` takes
the months of the test instead, which are kept to report by.
"""

import argparse
import sys

import numpy as np
import torch

from sst_tutorial.baselines import MeasuredCovariance, gaussian
from sst_tutorial.benchmark import (
    MIDDLE_DAY,
    MOVING_TEST,
    MOVING_VALIDATION,
    data_file,
    moving_months,
)
from sst_tutorial.evaluation import block_bootstrap
from sst_tutorial.months import Batch
from sst_tutorial.moving_sea import moving_anomalies
from sst_tutorial.results import RESULTS, commit, machine, write_results
from sst_tutorial.samples import open_clouds
from sst_tutorial.training import validation_sums
from sst_tutorial.weights import find_weights, load_weights

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
WINDOWS_OF_A_MONTH = 16


def measured(seas=12, days=200, size=32) -> MeasuredCovariance:
    """The covariance of windows of other seas with the settings of the test."""
    generator = torch.Generator(device=DEVICE).manual_seed(5)
    fields = moving_anomalies(seas, days, 128, generator, DEVICE).cpu().numpy()
    parts = fields.reshape(seas, days, 4, size, 4, size).transpose(0, 2, 4, 1, 3, 5)
    anomaly = parts.reshape(-1, days, size * size).astype(float)  # (windows, days, cells)
    return MeasuredCovariance.of(anomaly, K=300, offset=0.0)


def row(square_sums, cells) -> dict:
    """RMSE of all months with its interval; whole months of a sea are drawn, with their windows."""
    squares, cells = (np.asarray(x, float).reshape(-1, WINDOWS_OF_A_MONTH).sum(1)
                      for x in (square_sums, cells))  # fmt: skip
    interval = block_bootstrap(
        lambda i: np.sqrt(squares[i].sum() / cells[i].sum()), len(squares), block=2
    )
    return {"rmse": float(np.sqrt(squares.sum() / cells.sum())), "interval": interval,
            "square_sum": squares.tolist(), "cells": cells.tolist()}  # fmt: skip


def of_maps(maps, truths) -> dict:
    squares = [float(np.square(a - b).sum()) for a, b in zip(maps, truths, strict=True)]
    return row(squares, [truth.size for truth in truths])


def main(argv=None):
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser("moving_oi.py", description=main.__doc__)
    parser.add_argument("runs", nargs="*", help="folders of runs, or shipped names")
    parser.add_argument("--months", type=int, help="only so many windows, for a trial")
    parser.add_argument("--report", action="store_true", help="the months of the test")
    args = parser.parse_args(argv)
    name = "moving_test" if args.report else "moving_oi"
    seed = MOVING_TEST if args.report else MOVING_VALIDATION
    clouds = open_clouds(data_file("cloud_windows_32.npz"))
    months = moving_months(clouds, seed, device=DEVICE)[: args.months]
    truth = {"month": [m.truth for m in months], "day": [m.truth_of_days[15] for m in months]}
    oi = measured()
    rows = {
        "OI, measured": {
            "month": of_maps([oi.interpolate(m) for m in months], truth["month"]),
            "day": of_maps([oi.interpolate(m, day=MIDDLE_DAY) for m in months], truth["day"]),
        },
        "gaussian": {"month": of_maps([gaussian(m) for m in months], truth["month"])},
    }
    print({name: {k: v["rmse"] for k, v in r.items()} for name, r in rows.items()}, flush=True)
    for run in args.runs:
        estimator = load_weights(run).to(DEVICE)
        rows[find_weights(run).parent.name] = {
            question: row(*validation_sums(estimator, Batch.of(
                months, estimator.patch_size, DEVICE, day)).values())
            for question, day in (("month", None), ("day", MIDDLE_DAY))
        }  # fmt: skip
        last = list(rows)[-1]
        print(last, {k: v["rmse"] for k, v in rows[last].items()}, flush=True)
    results = {
        "command": " ".join(["python experiments/checks/moving_oi.py", *(argv or sys.argv[1:])]),
        "commit": commit(),
        "machine": machine(),
        "months": len(months),
        "truth_std": {k: float(np.std(np.stack(v) - np.mean(v))) for k, v in truth.items()},
        "methods": rows,
    }
    write_results(results, RESULTS / f"{name}.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
