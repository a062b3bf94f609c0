"""Optimal interpolation told how lively each month is, by maximum likelihood.

The measured covariance of `oi.py` is that of 1982-2010, the same for every month. The network bends
its corrections to the month at hand; here OI may too: its signal is multiplied by the number under
which the month's own observations are most likely. Nothing is tuned.

    python experiments/checks/oi_variance.py    # a quarter of an hour on one core

writes experiments/results/oi_variance.json. It needs the shared data. Chapter *Judging a
reconstruction*.
"""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))
from oi import LEARNED, cloudy_validation_months, measured_in

from sst_tutorial import open_sst
from sst_tutorial.baselines import observations_of
from sst_tutorial.benchmark import benchmark_months, data_file
from sst_tutorial.evaluation import score_months
from sst_tutorial.prior import daily_climatology
from sst_tutorial.results import RESULTS, write_results
from sst_tutorial.samples import open_clouds

NOISE = 0.09  # K^2
GRID = np.geomspace(0.5, 2.8, 11)


def likelihood(matrix, value):
    """Logarithm of the normal density of value (n,) under a covariance (n, n), lower triangle."""
    factor = torch.linalg.cholesky(matrix)
    white = torch.linalg.solve_triangular(factor, value[:, None], upper=False)  # (n, 1)
    return float(-factor.diagonal().log().sum() - white.square().sum() / 2)


def likeliest(measured, month, grid=GRID):
    """The factor of the signal's variance under which the observations are most likely."""
    day, value, rows, rest = observations_of(month, measured.patterns, measured.rest)
    value, rows, rest, memory = map(torch.as_tensor, (value, rows, rest, measured.memory))
    signal = replace(measured, offset=0.0).between(day, rows, memory)  # (n, n), lower triangle
    signal.diagonal().add_(rest)
    noise = NOISE * torch.eye(len(value), dtype=signal.dtype) + measured.offset
    # (the triangle above the diagonal is not read)
    return float(grid[np.argmax([likelihood(a * signal + noise, value) for a in grid])])


def told(measured, factors):
    """A method: OI with the factor of each month, which it adds to `factors` under its name."""

    def predict(month):
        a = factors[month.name] = likeliest(measured, month)
        lively = replace(measured, patterns=a**0.5 * measured.patterns, rest=a * measured.rest)
        return lively.interpolate(month, NOISE)

    return predict


def scored(measured, months):
    factors = {}
    methods = {"OI, measured": measured.interpolate, "told the variance": told(measured, factors)}
    scores = score_months(methods, months)
    rows = {
        name: {key: score[key] for key in ("rmse", "rmse_interval", "by_month")}
        for name, score in scores.items()
    }
    return rows | {"factor": list(factors.values())}


def main():
    daily = open_sst(data_file("oisst_tasmania_1982_2016.nc"))
    climatology = daily_climatology(daily, LEARNED)
    measured = measured_in(daily, climatology)
    clouds = open_clouds(data_file("cloud_windows_32.npz"))
    validation = cloudy_validation_months(daily, climatology, clouds)[:24]  # one draw of clouds
    results = {"command": "python experiments/checks/oi_variance.py"}
    for name, months in (("validation", validation), ("benchmark", benchmark_months("cloudy"))):
        results[name] = scored(measured, months)
        rows = (results[name][key]["rmse"] for key in ("OI, measured", "told the variance"))
        print(name, *rows, np.mean(results[name]["factor"]), flush=True)
    write_results(results, RESULTS / "oi_variance.json")


if __name__ == "__main__":
    main()
