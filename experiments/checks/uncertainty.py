"""How sure is it, and is it right to be? Trains the spread of a network and judges it.

    python experiments/checks/uncertainty.py train ocean-1     # minutes on one core
    python experiments/checks/uncertainty.py record ocean-1 ocean-2 --report "..."

`train` freezes the network, lets it answer questions of the years, seas and clouds of
experiments/uncertainty/spread.toml, and teaches a `Spread` how far it errs; with each loss, of
which the better one on the twins is kept. It lies beside the weights (NAME.spread.safetensors).

`record` writes experiments/results/uncertainty.json: for each exam CRPS, spread against error,
z-scores and reliability (see `uncertain.calibration`) of the spread and of what it has to beat:

    constant       the RMS error on the twin of the exam
    table          the same by the days that saw the cell (month) or to the nearest sight (day)
    OI, measured   its own estimate and its own posterior deviation, on some of the questions

The twin of an exam that has none here is all of them pooled. `correlated noise` is the exam again,
its retrievals with as much noise as before, three quarters of the variance shared by neighbours and
for days, as errors are that come from dust or water vapour in the air.
The exams are opened to report: the sentence goes into the ledger.
"""

import argparse
import shlex
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

sys.path.insert(0, str(Path(__file__).parent))
import exams as checks

from sst_tutorial import ledger, runs
from sst_tutorial.benchmark import NOISE, data_file
from sst_tutorial.evaluation import block_bootstrap
from sst_tutorial.exams import EXAMS, Question
from sst_tutorial.months import Batch
from sst_tutorial.reconstruction import as_method, as_sure_method
from sst_tutorial.results import RESULTS, commit, machine, write_results
from sst_tutorial.samples import open_clouds
from sst_tutorial.settings import as_dict, changed, read_settings
from sst_tutorial.uncertain import (
    LOSSES,
    Lessons,
    calibration,
    learn,
    lessons_of,
    read_about,
    save_spread,
    thinned,
)
from sst_tutorial.weights import find_weights, load_weights, spread_file

SETTINGS = RESULTS.parent / "uncertainty" / "spread.toml"
LESSONS = 2400  # samples that the network answers
THINNED = 0.2  # of them
# Twins to choose by and to fit rivals on, and of how many of their questions one is asked.
TWINS = {
    ("smooth", "cloudy"): 2, ("smooth", "clear"): 2, ("lasting", "3 days"): 2,
    ("moving", "8 km"): 4,
}  # fmt: skip
JUDGED = {
    ("smooth", "cloudy"): 1, ("smooth", "clear"): 1, ("lasting", "3 days"): 1,
    ("lasting", "8 days"): 1, ("moving", "8 km"): 2, ("elsewhere", "simulated cloudy"): 1,
    ("elsewhere", "25 km"): 1, ("elsewhere", "0.5 m/s"): 1,
    ("fine", "Alboran"): 4, ("fine", "scenes"): 1,
}  # fmt: skip
WITH_OI = (("smooth", "cloudy"), ("lasting", "3 days"), ("moving", "8 km"))
OI_QUESTIONS = 24  # it solves a large system for each: of a group so many are asked of it
CORRELATED = (("smooth", "cloudy"), ("moving", "8 km"))
SHARED, SHARED_CELLS, SHARED_DAYS = 0.75, 8.0, 4.0  # of the variance of correlated noise; widths
# Where the truth is itself an observation, its noise in K is part of each error: that of the
# covariances which were tuned there.
TRUTH_NOISE = {
    ("fine", "Alboran"): checks.OFF_ALBORAN.noise_variance**0.5,
    ("fine", "scenes"): checks.OF_SCENES.noise_variance**0.5,
}
OI = "OI, measured"
ENSEMBLE = ("ensemble", "ensemble, head", "ensemble, both")  # by its own bar, its head's, both
SEEN_EDGES = np.array([0, 1, 2, 3, 4, 6, 9, 13])  # days that saw the cell; of the month
NEAR_EDGES = np.array([0, 1, 2, 3, 5, 8, 12])  # days to the nearest sight; of a day


def asked(exam, group, twin=False, every=1) -> dict[str, list[Question]]:
    """{"month" or "day": every so manyth of its questions}."""
    made = checks.questions_of(exam, group, twin)
    return {kind: items[::every] for kind, items in made.items()}


# ---------------------------------------------------------------- training


def lessons_for(name, estimator, settings) -> Lessons:
    """Errors of a frozen network on the samples of the settings."""
    daily, years = runs._open_data(settings)
    clouds = open_clouds(data_file(settings.clouds))
    if not checks.answers_days(name):
        settings = changed(settings, daily=0.0)
    samples = runs._samples(daily, years, clouds, settings, settings.seed, "cpu")
    rng, size = torch.Generator().manual_seed(1), settings.batch_size
    steps = range(LESSONS // size)
    return lessons_of(estimator, (thinned(samples(i, size), THINNED, rng) for i in steps))


def twin_lessons(name, estimator) -> dict[tuple, Lessons]:
    """The same of the twins: {(exam, group, question): lessons}."""
    found = {}
    for (exam, group), every in TWINS.items():
        for kind, items in asked(exam, group, True, every).items():
            if kind == "day" and not checks.answers_days(name):
                continue
            months, day = [q.month for q in items], items[0].day
            parts = (months[i : i + 16] for i in range(0, len(months), 16))
            batches = (Batch.of(part, estimator.patch_size, day=day) for part in parts)
            found[exam, group, kind] = lessons_of(estimator, batches)
    return found


@torch.inference_mode()
def told(spread, lessons: Lessons) -> tuple[np.ndarray, np.ndarray]:
    """Errors and standard deviations (N,) over the ocean."""
    sd = torch.cat([spread(part.float()).exp() for part in lessons.clues.split(64)])
    return lessons.error[lessons.ocean].numpy(), sd[lessons.ocean].numpy()


def train(names, settings, seeds=1) -> None:
    for name in names:
        start, estimator = time.perf_counter(), load_weights(name)
        lessons, twins = lessons_for(name, estimator, settings), twin_lessons(name, estimator)
        print(f"{name}: {len(lessons.error)} lessons, {time.perf_counter() - start:.0f} s")
        tried = {}
        for loss in LOSSES:
            for seed in range(settings.seed, settings.seed + seeds):
                size = {"batch_size": settings.batch_size, "steps": settings.steps}
                spread = learn(lessons, loss, lr=settings.lr, seed=seed, **size)
                scores = {k: calibration(*told(spread, part)) for k, part in twins.items()}
                tried[loss, seed] = spread, scores
                mean = np.mean([s["crps"] for s in scores.values()])
                print(name, loss, seed, f"CRPS {mean:.5f} K", flush=True)
        choice = chosen(tried)
        spread, scores = tried[choice, settings.seed]
        about = {
            "command": f"python experiments/checks/uncertainty.py train {name}",
            "settings": as_dict(settings),
            "lessons": len(lessons.error),
            "loss": choice,
            "parameters": sum(p.numel() for p in spread.parameters()),
            "twins": [
                {"loss": loss, "seed": seed, "by": [
                    {"twin": ", ".join(key), "crps": s["crps"], "ratio": s["ratio"],
                     "z_std": s["z_std"]} for key, s in scores.items()]}
                for (loss, seed), (_, scores) in tried.items()
            ],
            "seconds": round(time.perf_counter() - start),
        }  # fmt: skip
        save_spread(spread_file(name), spread, estimator, about)
        for key, s in scores.items():
            print(*key, *(f"{n} {s[n]:.3f}" for n in ("rmse", "sd", "ratio", "z_std", "crps")))


def chosen(tried) -> str:
    """The loss of the smaller mean CRPS over seeds and twins."""
    means = {
        loss: np.mean([s["crps"] for (of, _), (_, scores) in tried.items() if of == loss
                       for s in scores.values()])
        for loss in LOSSES
    }  # fmt: skip
    return min(means, key=means.get)


# ---------------------------------------------------------------- the record


def days_key(question: Question) -> np.ndarray:
    """What the table asks of a judged cell (N,): days that saw it, or days to the nearest sight."""
    seen = question.month.observed  # (T, H, W)
    if question.day is None:
        return np.searchsorted(SEEN_EDGES, seen.sum(0)[question.judged], side="right") - 1
    far = np.abs(np.arange(len(seen)) - question.day)[:, None, None]
    near = np.where(seen, far, len(seen)).min(0)[question.judged]
    return np.searchsorted(NEAR_EDGES, near, side="right") - 1


def error_of(estimate, question) -> np.ndarray:
    """Errors (N,) K over the judged cells."""
    return (estimate - question.truth)[question.judged]


class Ensemble:
    """Several seeds of a network as one: their mean, and how far they lie apart (ddof = 1)."""

    def __init__(self, seeds):
        self.seeds, self.methods = seeds, None

    def __call__(self, month, day=None):
        if self.methods is None:  # after it has come to its process
            self.methods = [as_method(seed) for seed in self.seeds]
        maps = np.stack([method(month, day) for method in self.methods])
        return maps.mean(0), maps.std(0, ddof=1)


class OnTwins:
    """What rivals know: errors of a method on the twins, what its table asks, and what it said."""

    def __init__(self, method, days: bool):
        self.twins = {}
        for key, every in TWINS.items():
            for kind, items in asked(*key, True, every).items():
                if kind == "month" or days:
                    answers = [method(q.month, q.day) for q in items]
                    errors = [error_of(a, q) for (a, _), q in zip(answers, items, strict=True)]
                    said = [sd[q.judged] for (_, sd), q in zip(answers, items, strict=True)]
                    columns = errors, [days_key(q) for q in items], said
                    self.twins[(*key, kind)] = tuple(map(np.concatenate, columns))

    def of(self, key) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Errors, rows and standard deviations of the twin of an exam, or of all of that kind."""
        if key in self.twins:
            return self.twins[key]
        same = [found for (*_, kind), found in self.twins.items() if kind == key[2]]
        return tuple(map(np.concatenate, zip(*same, strict=True)))

    def constant_and_table(self, key) -> tuple[float, np.ndarray]:
        errors, rows, _ = self.of(key)
        constant = float(np.sqrt(np.mean(errors**2)))
        count = np.bincount(rows, minlength=len(SEEN_EDGES))
        square = np.bincount(rows, errors**2, minlength=len(SEEN_EDGES))
        return constant, np.sqrt((square + constant**2) / (count + 1))

    def factor(self, key) -> float:
        """By which its standard deviations must be multiplied so that z has a spread of 1."""
        errors, _, said = self.of(key)
        return float(np.sqrt(np.mean((errors / said) ** 2)))


def judged(pairs, units, block) -> dict:
    """`calibration` of all cells, with an interval of the ratio when units are drawn again."""
    error, sd = (np.concatenate(column) for column in zip(*pairs, strict=True))
    names = list(dict.fromkeys(units))
    sums = np.zeros((2, len(names)))
    for (e, s), unit in zip(pairs, units, strict=True):
        sums[:, names.index(unit)] += np.sum(e**2), np.sum(s**2)

    def ratio(i):
        square, said = sums[:, i].sum(1)
        return (said / square) ** 0.5

    found = calibration(error, sd)
    if len(names) > 1:
        block = min(block, len(names) // 2)
        found["ratio_interval"] = block_bootstrap(ratio, len(names), block=block)
    return found


@dataclass(frozen=True)
class Task:
    """One group of an exam. networks: {name: weights}; twins: {name: OnTwins}; every: one of so
    many questions is asked, of_oi: so many of OI."""

    exam: str
    group: str
    correlated: bool
    networks: dict
    twins: dict
    ensemble: Ensemble | None
    every: int
    of_oi: int

    @property
    def label(self) -> str:
        return self.group + ", correlated noise" * self.correlated


def pairs_of(task: Task, kind: str, items) -> dict[str, list]:
    """{method: [(errors, standard deviations) of each question]}."""
    key, pairs = (task.exam, task.group, kind), {}
    noise = TRUTH_NOISE.get(key[:2], 0.0)
    for name, weights in task.networks.items():
        if kind == "day" and not checks.answers_days(weights):
            continue
        method = as_sure_method(weights)
        constant, table = task.twins[name].constant_and_table(key)
        for question in items:
            estimate, sd = method(question.month, question.day)
            error, said = error_of(estimate, question), sd[question.judged]
            for words, bar in (
                ("", said),
                (", constant", np.full(error.shape, constant)),
                (", table", table[days_key(question)]),
            ):
                pairs.setdefault(name + words, []).append((error, np.hypot(bar, noise)))
    if task.ensemble is not None:
        name = checks.name_of(task.ensemble.seeds[0])
        factor = task.twins["ensemble"].factor(key)
        for i, question in enumerate(items):
            estimate, apart = task.ensemble(question.month, question.day)
            error, apart = error_of(estimate, question), apart[question.judged]
            head = pairs[name][i][1]
            bars = np.hypot(np.maximum(factor * apart, 1e-3), noise), head, np.hypot(head, apart)
            for words, bar in zip(ENSEMBLE, bars, strict=True):
                pairs.setdefault(words, []).append((error, bar))
    return pairs


def oi_pairs(task: Task, items) -> list:
    """The same of optimal interpolation with its posterior deviation."""
    covariance = checks.in_motion() if task.exam == "moving" else checks.off_tasmania()
    found = []
    for question in items:
        ((estimate, sd),) = covariance.posterior(question.month, [question.day])
        found.append((error_of(estimate, question), sd[question.judged]))
    return found


def places_of(task: Task) -> dict[str, dict]:
    """{"month" or "day": what the record says of it}, where one of the networks answers it."""
    torch.set_num_threads(1)
    kinds = asked(task.exam, task.group, every=task.every).items()
    answered = {"month"} | {"day" for w in task.networks.values() if checks.answers_days(w)}
    return {kind: place_of(task, kind, items) for kind, items in kinds if kind in answered}


def place_of(task: Task, kind: str, items) -> dict:
    block = EXAMS[task.exam].block
    if task.correlated:
        rng = np.random.default_rng(8)
        items = [under_correlated_noise(question, rng) for question in items]
    units = [q.unit or q.month.name for q in items]
    pairs = pairs_of(task, kind, items)
    place = {"questions": len(items)}
    place["methods"] = {name: judged(own, units, block) for name, own in pairs.items()}
    if (task.exam, task.group) in TRUTH_NOISE:
        place["truth_noise"] = TRUTH_NOISE[task.exam, task.group]
    if (task.exam, task.group) in WITH_OI:
        few = -(-len(items) // task.of_oi)
        some = {name: own[::few] for name, own in pairs.items()}
        some |= {OI: oi_pairs(task, items[::few])}
        rows = {name: judged(own, units[::few], block) for name, own in some.items()}
        place["with_oi"] = {"questions": len(items[::few]), "methods": rows}
    for name, row in place["methods"].items():
        numbers = (f"{n} {row[n]:.3f}" for n in ("rmse", "ratio", "z_std", "crps"))
        print(task.exam, task.label, kind, name, *numbers, flush=True)
    return place


def correlated_noise(shape, rng) -> np.ndarray:
    """Noise (T, H, W) of variance `NOISE`^2, of which `SHARED` is a Gaussian field in space and
    time. Shared in space alone it hardly harms a month: each day brings another."""
    width = np.array([SHARED_DAYS, SHARED_CELLS, SHARED_CELLS])
    pad = (4 * width).astype(int)
    wide = rng.standard_normal(np.array(shape) + 2 * pad)
    smooth = ndimage.gaussian_filter(wide, width, mode="wrap")
    smooth = smooth[tuple(slice(p, p + n) for p, n in zip(pad, shape, strict=True))]
    smooth = smooth * np.sqrt(np.prod(2 * np.sqrt(np.pi) * width))  # to variance 1
    return NOISE * (SHARED**0.5 * smooth + (1 - SHARED) ** 0.5 * rng.standard_normal(shape))


def under_correlated_noise(question: Question, rng) -> Question:
    """The same question about the same sea under the same clouds."""
    month = question.month
    noise = correlated_noise(month.sst.shape, rng)
    sst = np.where(month.observed, month.truth_of_days + noise, np.nan)
    return replace(question, month=replace(month, sst=sst))


def tasks_of(networks, twins, ensemble, every, of_oi) -> list[Task]:
    """A task for each group, and one more where it is judged again under correlated noise."""
    about = networks, twins, ensemble
    return [
        Task(exam, group, correlated, *about, every * one_of, of_oi)
        for (exam, group), one_of in JUDGED.items()
        for correlated in ((False, True) if (exam, group) in CORRELATED else (False,))
    ]


def command_of(weights, seeds, every, of_oi) -> str:
    """What repeats the record, but for --report: who opens the exams again says anew why."""
    words = ["record", *weights, *(["--ensemble", *seeds] if seeds else [])]
    words += ["--every", str(every), "--oi", str(of_oi)]
    return f"python experiments/checks/uncertainty.py {shlex.join(map(str, words))}"


def record(weights, sentence, seeds=(), jobs=1, every=1, of_oi=OI_QUESTIONS) -> None:
    networks = {checks.name_of(w): w for w in weights}
    ensemble = Ensemble([str(seed) for seed in seeds]) if seeds else None
    found = {
        "command": command_of(weights, seeds, every, of_oi),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "commit": commit(),
        "machine": machine(),
        "one_of": {", ".join(key): every * n for key, n in JUDGED.items()},
        "noise": {"K": NOISE, "shared": SHARED, "cells": SHARED_CELLS, "days": SHARED_DAYS},
        "networks": {name: read_about(spread_file(w)) for name, w in networks.items()},
        "seeds": [checks.name_of(seed) for seed in seeds],
        "exams": {},
    }
    twins = {n: OnTwins(as_sure_method(w), checks.answers_days(w)) for n, w in networks.items()}
    if ensemble is not None:
        twins["ensemble"] = OnTwins(Ensemble(ensemble.seeds), True)
    tasks = tasks_of(networks, twins, ensemble, every, of_oi)
    looks = open_exams(tasks, sentence, found["command"])
    with ProcessPoolExecutor(jobs, get_context("spawn")) as pool:
        for task, places in zip(tasks, pool.map(places_of, tasks), strict=True):
            exam = EXAMS[task.exam]
            about = {"version": exam.version, "seed": exam.seeds[0], "groups": {}}
            groups = found["exams"].setdefault(task.exam, about)["groups"]
            if places:
                groups[task.label] = places
    write_results(found, RESULTS / "uncertainty.json")
    for exam, look in looks.items():
        ledger.enter_scores(look, scores_of(found["exams"][exam]))


def open_exams(tasks, sentence, command) -> dict[str, str]:
    """{exam: its look in the ledger}, entered before the first score."""
    by = {}
    for task in tasks:
        names = by.setdefault(task.exam, set())
        names |= {*task.networks, *(ENSEMBLE if task.ensemble is not None else ())}
        names |= {OI} if (task.exam, task.group) in WITH_OI else set()
    return {
        exam: ledger.open_test(exam, EXAMS[exam].version, "spread", names, sentence, command)
        for exam, names in by.items()
    }


def scores_of(part) -> dict:
    """RMSE in K of the estimates of an exam for its ledger; CRPS stands in the record."""
    scores = {}
    for group, kinds in part["groups"].items():
        place = next(iter(kinds.values()))
        rows = place.get("with_oi", {}).get("methods", {}) | place["methods"]
        bars = (", constant", ", table")  # of the same estimates
        scores[group] = {n: row["rmse"] for n, row in rows.items() if not n.endswith(bars)}
    return scores


# ---------------------------------------------------------------- command line


def main(argv=None) -> int:
    """Train the spread of networks, or judge it and write the record."""
    parser = argparse.ArgumentParser("uncertainty.py", description=main.__doc__)
    parser.add_argument("what", choices=("train", "record"))
    parser.add_argument("names", nargs="+", help="shipped names, files or folders of networks")
    parser.add_argument("--settings", default=SETTINGS, help="of the training (%(default)s)")
    parser.add_argument("--seeds", type=int, default=1, help="to compare the losses by")
    parser.add_argument("--ensemble", nargs="+", default=(), help="seeds, the first also a NAME")
    parser.add_argument("--every", type=int, default=1, help="record: ask one of so many only")
    parser.add_argument("--oi", type=int, default=OI_QUESTIONS, help="questions of a group for OI")
    parser.add_argument("--jobs", type=int, default=1, help="record: processes (%(default)s)")
    parser.add_argument("--report", help="record: what was chosen before, and why; for the ledger")
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    for name in args.names:
        find_weights(name)
    if args.what == "train":
        train(args.names, read_settings(args.settings)[0], args.seeds)
    elif args.report is None:
        parser.error("record opens the exams: say by --report what was chosen before, and why")
    else:
        sentence = ledger.checked_sentence(args.report)
        record(args.names, sentence, args.ensemble, args.jobs, args.every, args.oi)
    return 0


if __name__ == "__main__":
    sys.exit(main())
