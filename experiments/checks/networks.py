"""Score networks side by side: skill on the benchmark and elsewhere, and milliseconds a month.

    python experiments/checks/networks.py ocean-1 experiments/results/tokens/unet-0 ...

writes experiments/results/networks.json, in about 10 minutes on 2 cores for seven networks. Each
argument is the folder of a run, with its weights in it, or the name of shipped weights; all others
are compared with the first. All networks and the classical methods beside them are timed in turns
on the same months, in this one run: nothing else should run on the machine. Chapter *The full GPU
run*.
"""

import argparse
import shlex
import sys
import time as clock
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from sst_tutorial import load_weights
from sst_tutorial.baselines import BASELINES
from sst_tutorial.benchmark import MONTHS, REGIMES, benchmark_months
from sst_tutorial.evaluation import difference_interval, score_months
from sst_tutorial.reconstruction import as_method
from sst_tutorial.results import RESULTS, write_results

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
                predict(month)
                took[name].append(1000 * (clock.perf_counter() - start))
    return {name: float(np.median(times)) for name, times in took.items()}


def milliseconds_by_observations(methods, month, numbers=(500, 1000, 2000, 4000, 8000)):
    """The same for a clear month of which all but n observations were taken away."""
    seen = np.flatnonzero(month.observed)
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
    parser = argparse.ArgumentParser("python experiments/checks/networks.py")
    parser.add_argument("networks", nargs="+", help="run folders or shipped names")
    parser.add_argument("--out", type=Path, default=RESULTS / "networks.json")
    words = sys.argv[1:] if argv is None else argv
    args = parser.parse_args(words)
    names = [Path(name).name for name in args.networks]
    if len(set(names)) < len(names):
        parser.error(f"two networks have one name: {', '.join(names)}")
    estimators = {n: load_weights(path) for n, path in zip(names, args.networks, strict=True)}
    methods = {name: as_method(estimator) for name, estimator in estimators.items()}
    timed = methods | {name: BASELINES[name] for name in CLASSICAL}
    clear = benchmark_months("clear")
    times = {
        "cloudy": milliseconds(timed, benchmark_months("cloudy"), rounds=3),
        "clear": milliseconds(timed, clear[::4], rounds=1),
    }
    reference = names[0]
    by_number = milliseconds_by_observations(
        {name: timed[name] for name in (reference, "optimal interpolation")}, clear[0]
    )
    print(times, by_number, flush=True)
    results = {
        "command": shlex.join(["python", "experiments/checks/networks.py", *words]),
        "threads": torch.get_num_threads(),
        "milliseconds": times,
        "milliseconds_by_observations": by_number,
        "parameters": {
            name: sum(p.numel() for p in estimator.parameters())
            for name, estimator in estimators.items()
        },
        "networks": skill(methods, reference),
    }
    write_results(results, args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
