"""What does fine-tuning on a gappy file bring? Trained on June and July off Alboran, judged on
August.

What may learn and how fast is chosen on July, by weights that learned from June alone and never saw
a day of August. Then August is opened once, with everything frozen, for three seeds.

    python experiments/checks/fine_tuning.py     # 20 minutes on two cores

writes experiments/results/fine_tuning.json. It needs the shared data. Runs that are done (in
runs/fine_tuning) are not repeated. Chapter *Teach it your sea*.
"""

import argparse
import json
import warnings
from pathlib import Path

from sst_tutorial import open_sst
from sst_tutorial.benchmark import data_file
from sst_tutorial.fine_tuning import AFTER, BEFORE, fine_tune, in_words
from sst_tutorial.judging import table
from sst_tutorial.results import RESULTS, commit, machine, write_results
from sst_tutorial.weights import find_weights, read_metadata

FILE = "alboran_l3s_2022_jja.nc"
# (what may learn, learning rate): the choice on July is among these.
CHOICES = (
    ("numbers", 1e-2),
    ("numbers", 3e-2),
    ("first guess", 3e-3),
    ("all", 1e-4),
    ("all", 3e-4),
)
SEEDS = (0, 1, 2)
KEPT = ("rmse", "interval", "bias", "minus_best", "by_days_since_observation", "by_coverage")


def one(daily, start, name, judge_from, learn, lr, seed):
    """Scores and record of a run, done now or before."""
    folder = Path("runs/fine_tuning") / name
    path, sha = folder / "run.json", read_metadata(find_weights(start))["sha256"]
    if not path.is_file() or json.loads(path.read_text())["start"] != sha:
        told = {"command": "experiments/checks/fine_tuning.py", "data": FILE}
        fine_tune(daily, start, folder, judge_from, learn, lr=lr, seed=seed, **told)
    return (json.loads((folder / f).read_text()) for f in ("scores.json", "run.json"))


def log_of(name):
    lines = (Path("runs/fine_tuning") / name / "log.csv").read_text().splitlines()
    keys = lines[0].split(",")
    return [dict(zip(keys, map(float, line.split(",")), strict=True)) for line in lines[1:]]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--from", dest="start", default="ocean-2")
    start = parser.parse_args().start
    warnings.simplefilter("ignore")
    daily = open_sst(data_file(FILE))
    until_july, chosen = daily.sel(time=slice(None, "2022-07-31")), []
    for learn, lr in CHOICES:
        name = f"july-{learn.replace(' ', '_')}-{lr:g}"
        scores, record = one(until_july, start, name, "2022-07-01", learn, lr, 0)
        rows = scores["methods"]
        chosen.append(
            {"learn": learn, "lr": lr, "july": rows[AFTER]["rmse"], "gain": scores["gain"],
             "before": rows[BEFORE]["rmse"], "kept_step": record["kept_step"]}
        )  # fmt: skip
        print(chosen[-1], flush=True)
    best = min(chosen, key=lambda row: row["july"])
    runs = []
    for seed in SEEDS:
        scores, record = one(
            daily, start, f"august-{seed}", "2022-08-01", best["learn"], best["lr"], seed
        )
        if seed == SEEDS[0]:
            first = scores
            print(table(scores))
        print(f"seed {seed}: {in_words(scores)}", flush=True)
        after = scores["methods"][AFTER]
        runs.append(
            {"seed": seed, "rmse": after["rmse"], "interval": after["interval"],
             "gain": scores["gain"], "lead": scores["lead"], "kept_step": record["kept_step"],
             "steps": record["steps"], "seconds": record["seconds"], "words": in_words(scores),
             "log": log_of(f"august-{seed}")}
        )  # fmt: skip
        _write(start, record, chosen, best, first, runs)


def _write(start, record, chosen, best, first, runs):
    """The record of all that is done so far."""
    methods = {
        name: {key: row[key] for key in KEPT if key in row}
        for name, row in first["methods"].items()
    }
    results = {
        "command": f"python experiments/checks/fine_tuning.py --from {start}",
        "commit": commit(), "machine": machine(), "file": FILE, "start": start,
        "start_sha256": read_metadata(find_weights(start))["sha256"], "parts": record["parts"],
        "choice_on_july": chosen, "chosen": {k: best[k] for k in ("learn", "lr")},
        "parameters_that_learn": record["parameters_that_learn"],
        "best_classical": first["best_classical"], "withheld": {
            k: first["withheld"][k] for k in ("observations", "days", "noise_at_most")},
        "august": methods, "runs": runs,
    }  # fmt: skip
    write_results(results, RESULTS / "fine_tuning.json")


if __name__ == "__main__":
    main()
