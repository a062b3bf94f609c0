"""Score networks side by side: skill on the benchmark and elsewhere, and milliseconds a month.

    python book/score_networks.py ocean-1 runs/lean_0 ... --out book/results/networks.json

Each argument is the folder of one `sst-tutorial train --preset full ...` (book/results/runs holds
their configurations and logs), or the name of shipped weights. All networks and the classical
methods beside them are timed in turns on the same months, in this one run: nothing else should run
on the machine. Chapter *The full GPU run*.
"""

import argparse
import sys
import time as clock
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from score_seeds import REGIMES, find

from sst_tutorial import load_weights
from sst_tutorial.baselines import BASELINES
from sst_tutorial.evaluation import (
    MONTHS,
    benchmark_months,
    difference_interval,
    score_months,
    write_results,
)
from sst_tutorial.reconstruction import as_method

CLASSICAL = ("linear in time", "gaussian", "optimal interpolation")


def skill(methods, reference):
    """RMSE of each network, and its difference from the reference, on all months there are."""
    rows = {name: {} for name in methods}
    for source, months in MONTHS.items():
        for regime in REGIMES:
            scores = score_months(methods, months(regime))
            for name, score in scores.items():
                keys = ("rmse", "rmse_seldom_seen", "rmse_interval")
                row = {key: score[key] for key in keys}
                row["minus_reference"] = difference_interval(score, scores[reference])
                rows[name].setdefault(source, {})[regime] = row
            print(source, regime, {n: round(s["rmse"], 4) for n, s in scores.items()}, flush=True)
    return rows


def milliseconds(methods, months, rounds):
    """Median milliseconds a month of each method, all in turns on the same months."""
    took = {name: [] for name in methods}
    for _ in range(rounds):
        for name, predict in methods.items():
            for month in months:
                start = clock.perf_counter()
                predict(month.sst, month.ocean_mask, month.climatology)
                took[name].append(1000 * (clock.perf_counter() - start))
    return {name: float(np.median(times)) for name, times in took.items()}


def milliseconds_by_observations(methods, numbers=(500, 1000, 2000, 4000, 8000)):
    """The same for a clear month of which all but n observations were taken away."""
    month = benchmark_months("clear")[0]
    seen = np.flatnonzero(np.isfinite(month.sst))
    seen = np.random.default_rng(0).permutation(seen)
    rows = {name: [] for name in methods}
    for n in numbers:
        sst = np.full_like(month.sst, np.nan)
        sst.flat[seen[:n]] = month.sst.flat[seen[:n]]
        times = milliseconds(methods, [replace(month, sst=sst)], rounds=3)
        for name, took in times.items():
            rows[name].append(took)
    return {"observations": list(numbers), **rows}


def main(argv=None):
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser("python book/score_networks.py", description=main.__doc__)
    parser.add_argument("networks", nargs="+", help="the first is the reference")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(argv)
    paths = {Path(name).name: find(name) for name in args.networks}
    methods = {name: as_method(path) for name, path in paths.items()}
    timed = methods | {name: BASELINES[name] for name in CLASSICAL}
    times = {
        "cloudy": milliseconds(timed, benchmark_months("cloudy"), rounds=3),
        "clear": milliseconds(timed, benchmark_months("clear")[::4], rounds=1),
    }
    reference = next(iter(methods))
    by_number = milliseconds_by_observations({
        name: timed[name] for name in (reference, "optimal interpolation")
    })
    print(times, by_number, flush=True)
    results = {
        "command": f"python book/score_networks.py {' '.join(args.networks)} --out {args.out}",
        "threads": torch.get_num_threads(),
        "milliseconds": times,
        "milliseconds_by_observations": by_number,
        "parameters": {
            name: sum(p.numel() for p in load_weights(path)[0].parameters())
            for name, path in paths.items()
        },
        "networks": skill(methods, reference),
    }
    write_results(results, args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
