"""Every exam of `sst_tutorial.exams`, one record: who errs by how much, at what cost?

    python experiments/checks/exams.py                 # classical methods; an hour on one core
    python experiments/checks/exams.py ocean-1 runs/mine-0 --exams moving,lasting \
        --report "what was chosen before, and by what"      # minutes
    python experiments/checks/exams.py --validation --jobs 16    # the twins, for choices
    python experiments/checks/exams.py ocean-1 --time    # adds the seconds of a core, minutes

writes experiments/results/exams.json, or exams_validation.json. What the record holds of the same
version and seeds stays: classical methods that are missing and the networks that are named are
added. The exams themselves are opened to report: a look at them by a network needs a sentence,
which goes into the ledger (`sst_tutorial/ledger.py`).

RMSE in K with its 95 % interval (whole months, or months of a sea, are drawn again), the square
sums of each unit, median seconds for a question as it was scored (on a GPU if there is one), and
the difference from optimal interpolation, its covariance measured or tuned there. The fields of
moving seas are kept on disk, 12 MB and less, see `sst_tutorial.kept`.
"""

import argparse
import json
import re
import shlex
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache, partial
from multiprocessing import get_context

import numpy as np
import torch

from sst_tutorial import ledger, open_sst
from sst_tutorial.baselines import (
    BASELINES,
    Covariance,
    MeasuredCovariance,
    optimal_interpolation,
)
from sst_tutorial.benchmark import data_file, of_years
from sst_tutorial.evaluation import by_unit, difference_interval, rmse_interval, score_months
from sst_tutorial.exams import EXAMS, LEARNED, OTHER_SEAS
from sst_tutorial.kept import kept
from sst_tutorial.moving_sea import moving_anomalies
from sst_tutorial.prior import climatology_for, daily_climatology
from sst_tutorial.results import RESULTS, commit, machine, rounded
from sst_tutorial.weights import find_weights, read_metadata
from sst_tutorial.whole import whole

PATTERNS = 300
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
REFERENCE, TUNED = "OI, measured", "OI, tuned there"
# What networks are compared with: the first of these that a group has.
REFERENCES = (TUNED, "OI, measured there", REFERENCE, "optimal interpolation")
# Found by Nelder and Mead on the twins: of `fine` off Alboran on two of four draws of clouds, with
# superobs of 2 x 2 cells since a month holds ten thousand observations (0.540 K before, 0.494 K),
# and on every third of the scenes, of which the times do not count (0.390 K, 0.363 K).
OFF_ALBORAN = Covariance(0.59, 2.48, 1.61, 5.70, 36.9, 8.87, 0.072)
OF_SCENES = Covariance(0.093, 28.0, 14.2, 0.476, 63.3, 26.9, 0.003)
CLASSICAL = ("climatology", "mean anomaly", "linear in time", "gaussian")
# How large problems are made small, and what that costs in error.
SUPEROBS = {f"OI, superobs of {n} x {n}": {"superob": n} for n in (2, 4)}
LOCAL = {f"OI, {n} nearest": {"nearest": n} for n in (50, 100, 200)}
MONTHS_TOO = "OI, 50 nearest"  # a month takes seconds; of the others only days are asked
TIMED = (("smooth", "cloudy"), ("smooth", "clear"), ("moving", "8 km"))
REPORTED = ("smooth", "lasting", "moving", "fine", "elsewhere")


# ---------------------------------------------------------------- covariances


def anomalies_off_tasmania():
    """(days, cells) K of the years that networks learn from."""
    daily = open_sst(data_file("oisst_tasmania_1982_2016.nc"))
    past = of_years(daily, LEARNED)
    anomaly = past["sst"] - climatology_for(daily_climatology(daily, LEARNED), past["time"])
    return anomaly.values[:, daily["ocean_mask"].values].astype(float)


def anomalies_in_motion(seas=12, days=200, size=32, **sea):
    """(windows, days, cells) K of other seas than those of the exams."""
    generator = torch.Generator(DEVICE).manual_seed(5)
    fields = moving_anomalies(seas, days, 128, generator, DEVICE, **sea).cpu().numpy()
    parts = fields.reshape(seas, days, 4, size, 4, size).transpose(0, 2, 4, 1, 3, 5)
    return parts.reshape(-1, days, size * size).astype(float)


def on_device(covariance: MeasuredCovariance) -> MeasuredCovariance:
    return replace(covariance, device=DEVICE)


@cache
def off_tasmania() -> MeasuredCovariance:
    return on_device(MeasuredCovariance.of(anomalies_off_tasmania(), PATTERNS))


@cache
def in_motion(name="moving") -> MeasuredCovariance:
    """Of the sea of training, or of one of `OTHER_SEAS`; kept on disk, since it takes minutes."""
    sea = OTHER_SEAS.get(name, {})
    seas = 12 if name == "moving" else 6

    def make():
        found = MeasuredCovariance.of(anomalies_in_motion(seas, **sea), PATTERNS, offset=0.0)
        # (cells + 31, K + 1): patterns with the rest as a last column, and below them the memory
        upper = np.column_stack([found.patterns, found.rest])
        array = np.vstack([upper, np.pad(found.memory.T, ((0, 0), (0, 1)))])
        return array.astype(np.float32)

    array = kept("moving-covariance", {"version": 2, "seed": 5, "seas": seas, **sea}, make)
    array = array.astype(float)
    upper, memory = array[:-31], array[-31:, :-1].T
    return MeasuredCovariance(upper[:, :-1], memory, upper[:, -1], 0.0, DEVICE)


@cache
def of_both_seas() -> MeasuredCovariance:
    """Off Tasmania and the moving sea pooled, in the cells of the former; pieces of 200 days."""
    real = anomalies_off_tasmania()
    pieces = real[: len(real) // 200 * 200].reshape(-1, 200, real.shape[1])
    ocean = open_sst(data_file("oisst_tasmania_1982_2016.nc"))["ocean_mask"].values
    moving = anomalies_in_motion(seas=4)[:, :, ocean.ravel()]  # 64 windows beside 52 pieces
    return on_device(MeasuredCovariance.of(np.concatenate([pieces, moving]), PATTERNS))


@cache
def off_alboran() -> MeasuredCovariance:
    ocean = questions_of("fine", "Alboran", True)["day"][0].month.ocean
    return on_device(MeasuredCovariance.of_formula(OFF_ALBORAN, ocean))


def covariances(exam: str, group: str) -> dict:
    """Rows of optimal interpolation, all observations at once: {name: what makes its covariance}"""
    if group == "clear":  # ten seconds a month
        return {REFERENCE: off_tasmania}
    if exam in ("smooth", "lasting"):
        return {REFERENCE: off_tasmania, "OI, both seas pooled": of_both_seas}
    if exam == "moving":
        return {REFERENCE: in_motion}
    if group in OTHER_SEAS:
        return {REFERENCE: in_motion, "OI, measured there": partial(in_motion, group)}
    if group == "Alboran":
        return {TUNED: off_alboran}
    return {}


# ---------------------------------------------------------------- methods


def classical(exam: str, group: str, local: bool) -> list[str]:
    """Names of the classical methods of a group; local: those from the nearest observations."""
    names = [*CLASSICAL, *(covariances(exam, group) or ["optimal interpolation"])]
    if group == "scenes":
        names.append(TUNED)
    if exam in ("smooth", "lasting", "moving"):
        names += SUPEROBS
    if local and group in ("cloudy", "3 days", "8 km"):
        names += LOCAL
    return names


def method_of(name: str, exam: str, group: str, questions: dict):
    """predict(month, day=None) of a row."""
    if name in BASELINES:
        return BASELINES[name]
    if group == "scenes":
        return partial(optimal_interpolation, covariance=OF_SCENES)
    made = covariances(exam, group)
    if name in SUPEROBS | LOCAL:
        return partial(made[REFERENCE]().interpolate, **(SUPEROBS | LOCAL)[name])
    asked = [question for items in questions.values() for question in items]
    estimates = made[name]().estimates
    if name == TUNED:
        noise = OFF_ALBORAN.noise_variance
        estimates = partial(estimates, noise_variance=noise, superob=2)
    return solved_once(estimates, asked)


def solved_once(estimates, questions):
    """All questions about a month from one solution; its seconds are those of the first.

    estimates(month, days) -> the maps of these days.
    """
    days, known = {}, {}
    for question in questions:
        days.setdefault(id(question.month), []).append(question.day)

    def method(month, day=None):
        asked = days[id(month)]
        if id(month) not in known:
            known[id(month)] = dict(zip(asked, estimates(month, asked), strict=True))
        return known[id(month)][day]

    return method


def answers_days(weights) -> bool:
    """Was it trained on questions for a day?"""
    about = read_metadata(find_weights(weights))["about"]
    return bool(about.get("settings", {}).get("daily"))


def name_of(weights) -> str:
    """Of a run `question/name-seed`, of other files their name."""
    path = find_weights(weights).resolve()
    return "/".join(path.parts[-3:-1]) if path.stem == "weights" else path.stem


# ---------------------------------------------------------------- scores


@cache
def questions_of(exam: str, group: str, twin: bool) -> dict:
    return EXAMS[exam].questions(group, twin)


def scored(task) -> dict:
    """{question: (facts of the question, row of the method)} of one method on one group."""
    exam, group, twin, name, weights = task
    torch.set_num_threads(1)  # as many processes as are wanted, each of one
    asked = questions_of(exam, group, twin)
    method = method_of(name, exam, group, asked) if weights is None else network(weights)
    found = {}
    for question, items in asked.items():
        if not is_asked(name, weights, question):
            continue
        score = score_months({name: method}, items)[name]
        sums = by_unit(score["by_month"], items)
        block = min(EXAMS[exam].block, len(sums["unit"]) // 2)
        squares, cells = sums["square_sum"], sums["weight_sum"]
        departure = [(q.truth - prior_of(q))[q.judged] for q in items]
        facts = {
            "questions": len(items),
            "truth_std": round(float(np.std(np.concatenate(departure))), 6),
            "seen": round(float(np.mean([q.month.observed[:, q.month.ocean].mean()
                                         for q in items])), 4),
            "units": sums["unit"],
            "cells": [int(n) for n in cells],
            "block": block,
        }  # fmt: skip
        row = {
            "rmse": score["rmse"],
            "interval": rmse_interval(squares, cells, block=block),
            "seconds": score["seconds_per_month"],
            "square_sum": squares,
            "commit": commit(),
            "machine": machine()["gpu"] or "a core of {system}".format(**machine()),
        }
        found[question] = facts, row
    return found


def core_seconds(task) -> dict:
    """{question: seconds of processor time} of one method, each question alone, median of three:
    on one core, and whatever else the machine does."""
    exam, group, twin, name, weights = task
    torch.set_num_threads(1)
    found = {}
    for question, items in questions_of(exam, group, twin).items():
        if not is_asked(name, weights, question):
            continue
        took = []
        for item in items[:: max(1, len(items) // 3)][:3]:
            alone = {question: [item]}
            method = method_of(name, exam, group, alone) if weights is None else network(weights)
            words = {} if item.day is None else {"day": item.day}
            start = time.process_time()
            method(item.month, **words)
            took.append(time.process_time() - start)
        found[question] = float(np.median(took))
    return found


@cache
def network(weights):
    from sst_tutorial.reconstruction import as_method

    return as_method(weights)


def is_asked(name, weights, question) -> bool:
    """Is this method asked such a question?"""
    if weights is not None:
        return question == "month" or answers_days(weights)
    return question == "day" or name not in LOCAL or name == MONTHS_TOO


def prior_of(question):
    month, day = question.month, question.day
    return month.prior_mean if day is None else month.of_day(day)[0]


def minus_reference(row, reference, facts) -> list[float]:
    """RMSE less that of the reference, and the ends of its interval."""
    cells = facts["cells"]
    pair = [{"by_month": {"square_sum": r["square_sum"], "weight_sum": cells}}
            for r in (row, reference)]  # fmt: skip
    return [row["rmse"] - reference["rmse"], *difference_interval(*pair, block=facts["block"])]


# ---------------------------------------------------------------- the record


def read_record(path) -> dict:
    """What stands in the record of exams that are still the same."""
    record = json.loads(path.read_text()) if path.is_file() else {"exams": {}}
    for name, exam in list(record["exams"].items()):
        now = EXAMS.get(name)
        if now is None or (exam["version"], tuple(exam["seeds"])) != (now.version, now.seeds):
            del record["exams"][name]
    return record


def add(record, task, found) -> None:
    """Lay the rows of a task into the record; ValueError where its questions are others."""
    exam, group, _, name, _ = task
    now = EXAMS[exam]
    stored = record["exams"].setdefault(
        exam, {"version": now.version, "seeds": now.seeds, "groups": {}}
    )
    for question, (facts, row) in found.items():
        place = stored["groups"].setdefault(group, {}).setdefault(question, facts | {"methods": {}})
        if abs(place["truth_std"] / facts["truth_std"] - 1) > 1e-4:
            raise ValueError(
                f"the truth of {exam}, {group} has a std of {facts['truth_std']} K, in the record "
                f"{place['truth_std']} K: it was made on another machine; bring the fields that "
                "are kept there, see sst_tutorial/kept.py"
            )
        place["methods"][name] = row


def add_seconds(args, record, path) -> int:
    """Time what the record holds of the methods known here, a group of each kind."""
    weights = {name_of(w): w for w in args.weights}
    for exam, group in TIMED:
        for place in (groups := record["exams"][exam]["groups"][group]).values():
            place["core"] = "{system}, one core".format(**machine())
        names = {name for place in groups.values() for name in place["methods"]}
        for name in names & {*classical(exam, group, True), *weights}:
            task = exam, group, args.validation, name, weights.get(name)
            for question, seconds in core_seconds(task).items():
                groups[question]["methods"][name]["core_seconds"] = seconds
                print(exam, group, question, name, round(seconds, 3), flush=True)
        write(record, path)
    return 0


def with_differences(record) -> dict:
    for exam in record["exams"].values():
        for group in exam["groups"].values():
            for place in group.values():
                methods = place["methods"]
                oi = next((name for name in REFERENCES if name in methods), None)
                place["oi"] = oi
                for name, row in methods.items():
                    row.pop("minus_oi", None)
                    if oi is not None and name != oi:
                        row["minus_oi"] = minus_reference(row, methods[oi], place)
    return record


def write(record, path) -> None:
    """One line for each list of numbers, six digits; the file appears whole or not at all."""
    text = json.dumps(rounded(record, strict=False), indent=1, allow_nan=False)
    text = re.sub(r"\[[^\[\]{}]*\]", lambda match: " ".join(match[0].split()), text)
    with whole(path) as part:
        part.write_text(text + "\n", encoding="utf-8")


# ---------------------------------------------------------------- command line


def tasks_of(args, record) -> list:
    tasks = []
    for exam in args.exams.split(","):
        if exam not in EXAMS:
            raise ValueError(f"--exams {exam!r} is unknown; there are: {', '.join(EXAMS)}")
        for group in EXAMS[exam].groups:
            stored = record["exams"].get(exam, {}).get("groups", {}).get(group, {})
            known = {name for place in stored.values() for name in place["methods"]}
            wanted = classical(exam, group, args.local)
            names = [name for name in wanted if args.again or name not in known]
            tasks += [(exam, group, args.validation, name, None) for name in names]
            tasks += [(exam, group, args.validation, name_of(w), w) for w in args.weights]
    return tasks


def open_exams(tasks, sentence, command) -> dict[str, str]:
    """{exam: its look in the ledger}, of those on which networks are scored; before they are."""
    by = {}
    for exam, _, _, name, weights in tasks:
        if weights is not None:
            by.setdefault(exam, set()).add(name)
    about = "month, day"
    return {
        exam: ledger.open_test(exam, EXAMS[exam].version, about, names, sentence, command)
        for exam, names in by.items()
    }


def main(argv=None):
    """Score methods on the exams and add them to the record."""
    parser = argparse.ArgumentParser("exams.py", description=main.__doc__)
    parser.add_argument("weights", nargs="*", help="folders of runs, files or shipped names")
    parser.add_argument("--validation", action="store_true", help="the twins, for choices")
    parser.add_argument("--exams", default=",".join(REPORTED), help="with commas (%(default)s)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (%(default)s)")
    parser.add_argument("--local", action="store_true", help="OI from the nearest too: an hour")
    parser.add_argument("--time", action="store_true", help="no scores: seconds of those there")
    parser.add_argument("--again", action="store_true", help="classical methods too")
    parser.add_argument("--report", help="what was chosen, and by what; for the ledger of the test")
    args = parser.parse_args(argv)
    path = RESULTS / ("exams_validation.json" if args.validation else "exams.json")
    record = read_record(path)
    if args.time:
        return add_seconds(args, record, path)
    opened = bool(args.weights) and not args.validation
    if opened and args.report is None:
        parser.error("a network on the test needs --report SENTENCE: what was chosen, and by what")
    tasks, scores = tasks_of(args, record), {}
    words = shlex.join(sys.argv[1:] if argv is None else argv)
    record["command"] = f"python experiments/checks/exams.py {words}".strip()
    record["date"] = time.strftime("%Y-%m-%d", time.gmtime())
    looks = open_exams(tasks, args.report, record["command"]) if opened else {}
    with ProcessPoolExecutor(args.jobs, get_context("spawn")) as pool:
        for task, found in zip(tasks, pool.map(scored, tasks), strict=True):
            add(record, task, found)
            write(with_differences(record), path)
            told = {question: round(row["rmse"], 4) for question, (_, row) in found.items()}
            if task[-1] is not None:
                scores.setdefault(task[0], {})[f"{task[1]}: {task[3]}"] = told
            print(*task[:2], task[3], told, flush=True)
    for exam, look in looks.items():
        ledger.enter_scores(look, scores[exam])
    return 0


if __name__ == "__main__":
    sys.exit(main())
