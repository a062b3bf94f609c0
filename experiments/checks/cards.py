"""The runs of the cards: many of them side by side on a processor, one thread each.

    python experiments/checks/cards.py list
    python experiments/checks/cards.py run addresses --seeds 3 --seconds 60    # one, by `compare`
    python experiments/checks/cards.py many --out runs/cards --workers 24 --wall 480
    python experiments/checks/cards.py collect runs/cards                      # writes records

`many` first takes the speed of each change beside its base, both in turn in one process, in three
processes while the processor is as busy as it will be; the median ratio says how many steps fit
into the seconds. The base takes those of its stored record, whose runs are used where they are the
same runs here; then the runs that are missing are done. Each speed and run is a line of
OUT/runs.jsonl, from where it goes on after it was stopped. `collect` writes
experiments/results/cards.json and the runs of bases that were not stored,
experiments/results/compare/NAME-60s.json. Chapters *Twelve cards*, *What mattered*.
"""

import argparse
import importlib.util
import json
import math
import os
import statistics
import sys
import time
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from scipy import stats

from sst_tutorial import comparing
from sst_tutorial.benchmark import benchmark_folder, data_file
from sst_tutorial.deciding import SMALL, difference, verdict
from sst_tutorial.results import REPOSITORY, RESULTS, rounded, write_results

FOLDER = REPOSITORY / "experiments" / "cards"
BASES = ("quick", "small", "blocks", "real", "moving")
EXAMS_OF_BASES = {"real": ("smooth", "lasting"), "moving": ("moving",)}  # others: simulated
NOT_TIMED = 30  # s that a run may need beside its training
PAIRS = 24  # steps of each, in turn, by which a process tells a ratio


def _classes():
    spec = importlib.util.spec_from_file_location("classes", FOLDER / "classes.py")
    module = sys.modules["classes"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


classes = _classes()


@dataclass(frozen=True)
class Card:
    """One change. base: of BASES. exams: whose twins judge, the first decides. group: `card`, or
    `stage` for a change that is known from the large stage too."""

    id: str
    title: str
    change: dict
    base: str = "quick"
    exams: tuple = ("simulated",)
    group: str = "card"


def _stage(name, title, change, base="small"):
    return Card(name, title, change, base, _exams_of_base(base), "stage")


def _exams_of_base(base: str) -> tuple:
    return EXAMS_OF_BASES.get(base, ("simulated",))


BARE = {"network": {"temporal_heads": 1, "skip": False, "residual_blocks": 0}}
NARROW = {"network": {"name": "convolutions", "skip": True, "width": 16}}
GAUSSIAN = {"first_guess": {"name": "gaussian"}}
HALF = {"embed_dim": 16, "hidden": 16}
CARDS = [
    Card("addresses", "Addresses off", {"spatial_pe": classes.NoAddresses}),
    Card("plain", "Turns off", {"samples": classes.Plain}),
    Card("null_key", "Null key", {"mixer": classes.NoNullKey}, "blocks"),
    Card("deaf", "Both attention layers deaf", {"spatial_tr": classes.Deaf}),
    Card("divided", "Dividing in the embedding", {"encoder": classes.Divided}),
    Card("ema", "No average of the weights", {"ema": 0.0}),
    Card("root", "Root at the end of the loss", {"loss": classes.root_at_the_end}),
    Card(
        "convolutions",
        "Wide convolutions for tokens",
        {"network": {"name": "convolutions", "skip": True, "width": 64}},
    ),
    Card("month_token", "A month token for attention", {"spatial_tr": classes.MonthToken}),
    Card("lasting", "Lasting clouds", {"samples": classes.LastingClouds}),
    Card("half", "Half the oceans", {"pieces": 32}),
    Card("group_norm", "Group norm for batch norm", {"decoder": classes.GroupNormDecoder}),
    # The same questions where real years and real clouds are needed.
    Card("plain_real", "Turns and mixing off", {"samples": classes.Plain}, "real", ("smooth",)),
    Card("half_real", "Half the years", {"train_years": [1997, 2010]}, "real", ("smooth",)),
    Card("lasting_real", "Lasting clouds", {"lasting": 0.5}, "real", ("smooth", "lasting")),
    # The small stage of changes that are known from the large one.
    _stage("depth_0", "No attention between places", {"network.spatial_depth": 0}),
    _stage("residual_0", "No residual blocks", {"network.residual_blocks": 0}),
    _stage("no_adapt", "Nothing bent to the month", {"first_guess.adapt": False}),
    _stage("no_tokens", "Convolutions for tokens", NARROW),
    _stage("no_options", "None of the options", {"first_guess": {"adapt": False}} | BARE),
    _stage("gaussian", "One Gaussian as first guess", GAUSSIAN | BARE),
    _stage(
        "unet", "A U-Net on one Gaussian", GAUSSIAN | {"network": {"name": "unet", "width": 16}}
    ),
    _stage("half_width", "Half as wide", {"network": HALF}),
    _stage(
        "half_width_8",
        "Half as wide, fewer corrections",
        {"first_guess": {"iterations": 4}, "network": HALF},
    ),
    _stage("moving_no_tokens", "Moving sea: convolutions for tokens", NARROW, "moving"),
    _stage("moving_blocks", "Moving sea: attention across days", {"network.blocks": 2}, "moving"),
]
# The same changes at the large stage, runs in experiments/results and those of their base.
LARGE = {
    "depth_0": ("ablation/full_depth_0", "ablation/full"),
    "residual_0": ("ablation/full_blocks_0", "ablation/full"),
    "no_adapt": ("ablation/full_no_adapt", "ablation/full"),
    "no_tokens": ("ablation/corrections_convolutions", "ablation/full"),
    "no_options": ("ablation/corrections_transformer", "ablation/full"),
    "gaussian": ("ablation/gaussian_transformer", "ablation/full"),
    "unet": ("ablation/gaussian_unet", "ablation/full"),
    "half_width": ("lean/h64_p12_r2", "ocean-1/full"),
    "half_width_8": ("lean/h64_p8_r2", "ocean-1/full"),
    "moving_no_tokens": ("moving/convolutions", "moving/tokens"),
    "moving_blocks": ("moving/space_time", "moving/tokens"),
}
LONGEST = {
    "no_tokens": ("tokens/convolutions", "ocean-1/full"),
    "unet": ("tokens/unet", "ocean-1/full"),
}
OF_A_SEA = 32  # months of the same sea that moves, one after another, among those that validate
BY_ID = {card.id: card for card in CARDS}


def exams_of(name: str) -> tuple:
    """Of a base or a card."""
    return BY_ID[name].exams if name in BY_ID else _exams_of_base(name)


def _base(name: str) -> str:
    return BY_ID[name].base if name in BY_ID else name


def _file(base: str):
    return base if base == "quick" else FOLDER / f"{base}.toml"


def plan_of(name: str, seconds: float = 60):
    """The plan of `compare` for a card, or for a base alone."""
    change = BY_ID[name].change if name in BY_ID else {}
    return comparing._plan(_file(_base(name)), change, 1, seconds, None, exams_of(name)[0])


# ---------------------------------------------------------------- one worker


def begin_worker():
    torch.set_num_threads(1)
    sys.stdout = open(os.devnull, "w")


def take_speed(name: str) -> dict:
    return {"kind": "speed", "name": name, "ms": comparing.speed(plan_of(name), PAIRS)}


def one_run(name: str, seed: int, steps: int) -> dict:
    """A run of a card or a base, judged by all of its exams."""
    plan = plan_of(name)
    which = "change" if name in BY_ID else "base"
    settings, slots = plan.of(which)
    settings = comparing.changed(settings, seed=seed, steps=steps, seconds=None)
    cpu = time.process_time()
    estimator, run = comparing.trained(settings, slots)
    run["cpu_s"] = time.process_time() - cpu
    judged = {}
    for exam in exams_of(name):
        squares, cells, _ = comparing.errors_of(estimator, exam)
        rmse = (sum(squares) / sum(cells)) ** 0.5
        judged[exam] = {"rmse_K": rmse, "square_sum": squares, "weight_sum": cells}
    # It may have stopped earlier than asked, by the patience of its settings.
    return {
        "kind": "run",
        "name": name,
        "asked": steps,
        **run,
        "hash": plan.hash(which),
        "exams": judged,
    }


def about_base(name: str, seconds: float) -> dict:
    """What `compare` asks of a stored base before it uses it, and what keeps the stored runs from
    being used here (None: nothing). Some steps of one seed tell whether a run is the same here."""
    plan = plan_of(name, seconds)
    first = {exam: comparing.errors_of(plan.build("base"), exam)[0] for exam in exams_of(name)}
    after, stored = comparing.after_steps(plan), stored_base(name, seconds)
    about = {"kind": "base", "name": name, "first_guess": first, "after_steps": after}
    if stored is None:
        return about | {"differs": "nothing is stored"}
    if len(first) > 1:  # a record holds the months of one exam
        return about | {"differs": "it is judged by more than one exam"}
    same = np.allclose(after, stored["after_steps"], rtol=1e-3)
    steps = None if same else f"the errors after {comparing.FIRST_STEPS} steps"
    return about | {"differs": comparing._differs(stored, plan) or steps}


def stored_base(name: str, seconds: float) -> dict | None:
    path = comparing.STORED / f"{name}-{seconds:g}s.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


# ---------------------------------------------------------------- many at once


@dataclass
class Lines:
    """The file of what is done: a line of JSON for each speed and run."""

    path: Path
    rows: list = field(default_factory=list)

    def __post_init__(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            text = self.path.read_text(encoding="utf-8")
            whole = text[: text.rfind("\n") + 1]  # what was cut off would spoil the next line
            self.path.write_text(whole, encoding="utf-8")
            self.rows = [json.loads(line) for line in whole.splitlines()]

    def add(self, row: dict) -> None:
        self.rows.append(row)
        with self.path.open("a", encoding="utf-8") as f:
            f.write(json.dumps(rounded(row, strict=False)) + "\n")

    def of(self, kind: str, name: str | None = None) -> list[dict]:
        return [r for r in self.rows if r["kind"] == kind and name in (None, r.get("name"))]


def names_that_can_run(only=None, bases=BASES) -> list[str]:
    """Bases and cards for which there is data, all bases first."""
    cards = [card for card in CARDS if (only is None or card.id in only) and card.base in bases]
    bases = [base for base in BASES if any(card.base == base for card in cards)]
    for base in [b for b in bases if b in EXAMS_OF_BASES]:
        try:
            data_file("oisst_tasmania_1982_2016.nc")
            if benchmark_folder() is None:
                raise ValueError("no folder of the benchmark: set SST_TUTORIAL_DATA to its place")
            comparing._months(EXAMS_OF_BASES[base][0])  # of a sea that moves: made and kept now
        except Exception as error:  # no data, or nothing that reads NetCDF: the others can run
            print(f"{base} is left out: {error}", flush=True)
            bases.remove(base)
    return bases + [card.id for card in cards if card.base in bases]


def _keep(job, lines: Lines) -> dict | None:
    """One that fails costs itself alone."""
    try:
        row = job.result()
    except Exception as error:
        print(f"FAILED: {type(error).__name__}: {error}", flush=True)
        return None
    lines.add(row)
    return row


def ratios_of(lines: Lines, name: str) -> list[float]:
    """How much longer a step of a change takes than one of its base, by each process."""
    return [r["ms"]["change"] / r["ms"]["base"] for r in lines.of("speed", name)]


def steps_of(lines: Lines, seconds: float) -> dict[str, int]:
    """How many steps each name does in the seconds: a base those of its stored record, else by the
    median of all looks at it."""
    steps = {}
    for name in dict.fromkeys(r["name"] for r in lines.of("speed")):
        base = _base(name)
        stored = stored_base(base, seconds)
        looks = [r["ms"]["base"] for r in lines.of("speed") if _base(r["name"]) == base]
        wanted = comparing._tidy(1000 * seconds / statistics.median(looks))
        steps[base] = stored["budget"]["steps"]["base"] if stored else wanted
        ratio = statistics.median(ratios_of(lines, name))
        steps[name] = comparing.steps_beside(steps[base], ratio)
    return steps


def done(lines: Lines, name: str, steps: dict[str, int]) -> list[dict]:
    """The runs of a name that took as many steps as they are given now, by seed."""
    runs = {r["seed"]: r for r in lines.of("run", name) if r["asked"] == steps[name]}
    return [runs[seed] for seed in sorted(runs)]


def use_stored(name: str, lines: Lines, seconds: float) -> None:
    """The stored runs of a base, as if they had been done here."""
    about = lines.of("base", name)[-1]
    if about["differs"]:
        print(f"{name} is run again, the stored runs are not used: {about['differs']}", flush=True)
    else:
        stored, have = stored_base(name, seconds), {r["seed"] for r in lines.of("run", name)}
        for run in (r for r in stored["runs"] if r["seed"] not in have):
            sums = {key: run[key] for key in ("rmse_K", "square_sum", "weight_sum")}
            row = {"name": name, "seed": run["seed"], "asked": stored["budget"]["steps"]["base"]}
            lines.add({"kind": "run", "stored": True, **row, "exams": {exams_of(name)[0]: sums}})


def how_many_steps(a, names, pool, lines: Lines) -> tuple[list[str], dict[str, int]]:
    """The names that could be timed, and the steps that each takes in the seconds of a run."""
    changes, bases = ([n for n in names if (n in BASES) is which] for which in (False, True))
    asked = [(about_base, n, a.seconds) for n in bases if not lines.of("base", n)]
    for number in range(a.rounds):
        asked += [(take_speed, n) for n in changes if len(lines.of("speed", n)) <= number]
    for job in [pool.submit(*what) for what in asked]:
        _keep(job, lines)
    steps = steps_of(lines, a.seconds)
    names = [n for n in names if n in steps and lines.of("base", _base(n))]
    for name in (n for n in names if n in BASES):
        use_stored(name, lines, a.seconds)
    return names, steps


def many(a) -> None:
    began = time.monotonic()
    lines = Lines(Path(a.out) / "runs.jsonl")
    torch.set_num_threads(a.workers)  # of this process, which makes the seas that move
    names = names_that_can_run(a.only, a.bases)
    torch.set_num_threads(1)  # as its workers
    for name in names:
        plan_of(name).build("change")  # a wrong setting is told now
    context = get_context("spawn")
    with ProcessPoolExecutor(a.workers, context, begin_worker) as pool:
        lines.add({"kind": "about", "seconds": a.seconds, "workers": a.workers}
                  | comparing._where())  # fmt: skip
        names, steps = how_many_steps(a, names, pool, lines)
        print(f"{time.monotonic() - began:.0f} s: steps {steps}", flush=True)
        stored = [n for n in names if n in BASES and not lines.of("base", n)[-1]["differs"]]
        todo = [(n, s) for n in names if n not in stored
                for s in range(a.base_seeds if n in BASES else a.seeds)]  # fmt: skip
        # Seeds in turn: who is stopped early has some of everything.
        todo.sort(key=lambda x: (x[1] // 3, x[0] in BASES[3:], _base(x[0]) in BASES[3:]))
        have = {(n, r["seed"]) for n in names for r in done(lines, n, steps)}
        todo = [run for run in todo if run not in have]
        print(f"{len(todo)} runs", flush=True)
        running, longest = {}, a.seconds + NOT_TIMED
        while todo or running:
            now = time.monotonic() - began
            while todo and len(running) < a.workers and now + longest < a.wall:
                name, seed = todo.pop(0)
                job = pool.submit(one_run, name, seed, steps[name])
                running[job] = time.monotonic()
            if not running:
                break
            for job in wait(running, return_when=FIRST_COMPLETED).done:
                longest = max(longest, time.monotonic() - running.pop(job) + 5)
                row = _keep(job, lines)
                if row:
                    rmse = next(iter(row["exams"].values()))["rmse_K"]
                    told = f"{row['name']}, seed {row['seed']}: {rmse:.4f} K, {row['cpu_s']:.0f} s"
                    print(f"{time.monotonic() - began:.0f} s: {told}", flush=True)
        print(f"{len(todo)} runs were not started", flush=True)
    show_verdicts(lines, names, steps)


def show_verdicts(lines: Lines, names, steps: dict[str, int]) -> None:
    for card in (BY_ID[n] for n in names if n in BY_ID):
        runs, base = (done(lines, name, steps) for name in (card.id, card.base))
        told = decided(runs, base, card.exams[0])["verdict"] if runs and len(base) > 1 else "-"
        ratios = ratios_of(lines, card.id)
        print(f"{card.id:17s} {card.base:7s} step x {statistics.median(ratios):.3f} "
              f"({min(ratios):.3f} to {max(ratios):.3f}), {steps[card.base]} -> {steps[card.id]} "
              f"steps, {len(runs)} runs beside {len(base)}: {told}")  # fmt: skip


# ---------------------------------------------------------------- from lines to records


def where_of(lines: Lines, name: str) -> dict:
    """Where the runs of a name were begun: what stands before the first of them; `places`: of each
    seed, since some may have been done elsewhere."""
    keys, about, found, places = ("commit", "versions", "machine", "date"), None, None, {}
    for row in lines.rows:
        about = row if row["kind"] == "about" else about
        if row["kind"] == "run" and row["name"] == name:
            found = found or {key: about[key] for key in keys}
            found["machine"] = found["machine"] | {"threads": 1}  # of each run
            cores, torch_here = about["machine"]["cores"], about["versions"]["torch"]
            places[row["seed"]] = f"{cores} cores, torch {torch_here}"
    return found | {"places": places}


def collect(a) -> None:
    lines = Lines(Path(a.out) / "runs.jsonl")
    about = lines.of("about")[-1]
    seconds = about["seconds"]
    steps = steps_of(lines, seconds)
    cards = [card for card in CARDS if done(lines, card.id, steps)] if steps else []
    if not cards:
        raise SystemExit(f"{lines.path} holds no run of a card: do them with `many`")
    where = where_of(lines, cards[0].id)
    where["commit"] = where["commit"] or a.commit
    record = {
        "command": f"python experiments/checks/cards.py many --seconds {seconds:g}",
        "workers": about["workers"],
        "seconds": seconds,
        "small_K": SMALL,
        **where,
        "cards": {},
    }
    # The months of a sea that moves are others on other machines: of no use as stored runs.
    for name in (n for n in BASES[:-1] if any("stored" not in r for r in lines.of("run", n))):
        write_base(lines, name, steps, seconds, where_of(lines, name), a.into)
    for card in cards:
        row = record["cards"][card.id] = about_card(card, lines, steps, seconds)
        print(f"{card.title} ({card.base}): {row['verdict']}")
    record["large"] = {name: large_stage(*runs) for name, runs in LARGE.items()}
    record["longest"] = {name: large_stage(*runs) for name, runs in LONGEST.items()}
    write_results(record, a.into / "cards.json")


def about_card(card: Card, lines: Lines, steps: dict[str, int], seconds: float) -> dict:
    """What the record says of a card: what was changed, how long it took, what came out."""
    runs, base = (done(lines, name, steps) for name in (card.id, card.base))
    found = {exam: decided(runs, base, exam) for exam in card.exams}
    plan = plan_of(card.id, seconds)
    ratios = ratios_of(lines, card.id)
    ratio = statistics.median(ratios)
    ms = statistics.median(row["ms"]["base"] for row in lines.of("speed", card.id))
    return {
        "title": card.title,
        "group": card.group,
        "base": card.base,
        "change": plan.words,
        "where": where_of(lines, card.id),
        "sources": plan.sources,
        "steps": {"base": steps[card.base], "change": steps[card.id]},
        "ms_per_step": {"base": ms, "change": ms * ratio},
        "ratio": {"median": ratio, "of_processes": ratios},
        "cpu_s": statistics.median(run["cpu_s"] for run in runs),
        "seeds": [run["seed"] for run in runs],
        "rmse_K": {
            which: [r["exams"][card.exams[0]]["rmse_K"] for r in x]
            for which, x in (("base", base), ("change", runs))
        },
        "square_sum": [r["exams"][card.exams[0]]["square_sum"] for r in runs],
        **found[card.exams[0]],
        "exams": found,
    }


def large_stage(change: str, base: str) -> dict:
    """The effect of a change by the validation months of stored runs: with its months where they
    were kept, else (runs of version 0.1.0) by the luck of seeds alone."""
    runs = [sorted(RESULTS.glob(f"{name}-[0-9]/run.json")) for name in (change, base)]
    kept = [[json.loads(p.read_text(encoding="utf-8")) for p in paths] for paths in runs]
    about = {
        "runs": [change, base],
        "steps": [int(statistics.median(r["steps"] for r in of)) for of in kept],
        "seconds": [statistics.median(r["seconds"] for r in of) for of in kept],
        "gpu": kept[0][0]["machine"]["gpu"],
    }
    if all((p.parent / "scores.json").exists() for paths in runs for p in paths):
        tables = [[by_unit(p.parent / "scores.json") for p in paths] for paths in runs]
        squares = [np.array([row[0] for row in table]) for table in tables]
        found = difference(*squares, tables[0][0][1], [range(len(of)) for of in kept])
        return about | {"months": True} | {k: getattr(found, k) for k in ("value", "low", "high")}
    a, b = (
        np.array([math.hypot(*r["validation"].values()) / math.sqrt(2) for r in of]) for of in kept
    )
    df = len(a) + len(b) - 2
    spread = math.sqrt((((a - a.mean()) ** 2).sum() + ((b - b.mean()) ** 2).sum()) / df)
    half = stats.t.isf(0.025, df) * spread * math.sqrt(1 / len(a) + 1 / len(b))
    value = a.mean() - b.mean()
    return about | {"months": False, "value": value, "low": value - half, "high": value + half}


def by_unit(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Sums of squares and cells of what shares its weather: a sea, or three months off Tasmania
    under all clouds that were drawn for them."""
    scores = json.loads(path.read_text(encoding="utf-8"))["validation"]
    total = {"square_sum": 0.0, "weight_sum": 0.0}
    for name, sums in scores.items():
        for key in total:
            values = np.array(sums[key])
            if name == "moving_month":
                total[key] = total[key] + values.reshape(-1, OF_A_SEA).sum(1)
            elif name in ("cloudy", "clear"):  # all months of two years, then again
                total[key] = total[key] + values.reshape(-1, 24).sum(0).reshape(-1, 3).sum(1)
    return total["square_sum"], total["weight_sum"]


def decided(runs, base, exam: str) -> dict:
    squares, of_base = (np.array([r["exams"][exam]["square_sum"] for r in x]) for x in (runs, base))
    weights = np.array(base[0]["exams"][exam]["weight_sum"])
    found = difference(squares, of_base, weights, [[r["seed"] for r in x] for x in (runs, base)])
    words = verdict(found, len(weights))
    return {
        "verdict": words,
        "difference_K": found._asdict() | {"scatter": found.scatter._asdict()},
    }


def write_base(lines: Lines, name: str, steps: dict, seconds: float, where: dict, into) -> None:
    """The stored runs of a base, as `compare --store` writes them."""
    plan, about = plan_of(name, seconds), lines.of("base", name)[-1]
    exam = plan.exam
    runs = [
        {key: run[key] for key in ("seed", "steps", "seconds")} | run["exams"][exam]
        for run in done(lines, name, steps)
    ]
    ms = statistics.median(1000 * run["seconds"] / run["steps"] for run in runs)
    record = {
        "format": comparing.FORMAT,
        "command": f"python experiments/checks/cards.py many --seconds {seconds:g}",
        "base": name,
        "hash": plan.hash("base"),
        "settings": comparing.as_dict(plan.base),
        "budget": {
            "asked": {"seconds": seconds},
            "steps": dict.fromkeys(("base", "change"), steps[name]),
            "ms_per_step": dict.fromkeys(("base", "change"), ms),
        },
        "exam": comparing._about(exam),
        "first_guess": about["first_guess"][exam],
        "after_steps": about["after_steps"],
        "runs": runs,
        **where,
    }
    write_results(record, into / "compare" / f"{name}-{seconds:g}s.json")


def show(a) -> None:
    for card in CARDS:
        print(f"{card.id:14s} {card.base:7s} {plan_of(card.id).words}")


def run_one(a) -> None:
    card = BY_ID[a.card]
    path, exam = _file(card.base), card.exams[0]
    comparing.compare(path, card.change, a.seeds, a.seconds, exam=exam, out=a.out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    verbs = parser.add_subparsers(required=True)
    p = verbs.add_parser("list")
    p.set_defaults(go=show)
    p = verbs.add_parser("run")
    p.add_argument("card", choices=sorted(BY_ID))
    p.add_argument("--seeds", type=int, default=3)
    p.add_argument("--seconds", type=float, default=60)
    p.add_argument("--out")
    p.set_defaults(go=run_one)
    p = verbs.add_parser("many")
    p.add_argument("--out", required=True)
    p.add_argument("--workers", type=int, default=24)
    p.add_argument("--seconds", type=float, default=60)
    p.add_argument("--wall", type=float, default=480)
    p.add_argument("--seeds", type=int, default=3)
    p.add_argument("--base-seeds", type=int, default=3)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--only", nargs="+", choices=sorted(BY_ID))
    p.add_argument("--bases", nargs="+", choices=BASES, default=BASES[:-1])
    p.set_defaults(go=many)
    p = verbs.add_parser("collect")
    p.add_argument("out")
    p.add_argument("--commit")
    p.add_argument("--into", type=Path, default=RESULTS)
    p.set_defaults(go=collect)
    a = parser.parse_args()
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # the small stage is a processor, workers too
    a.go(a)


if __name__ == "__main__":
    main()
