"""Change one thing, train both, and say whether it mattered.

    compare(base="quick", change={"network.spatial_depth": 0}, seeds=3, seconds=60)
    sst-tutorial compare --base quick --set network.spatial_depth=0 --seeds 3 --seconds 60

Both are judged on the same months, those of an exam's twin. Ten runs of a base are stored
(experiments/results/compare), so that a change needs three runs of its own; what they tell is in
`deciding.py`. A change is a setting, or a class of your own in a slot:

    encoder, mixer, temporal, spatial_tr, decoder    a part of `model.SpatioTemporalModel`, built
                                                     with the arguments of what it replaces
    spatial_pe                                       likewise: how loudly places are told
    network, first_guess                             a whole slot of `networks.Estimator`
    samples, loss                                    a `samples.SampleMaker`; a function that is
                                                     called as `training.ocean_rmse` is

The promises of `promises.py` are asked of a part of the network before anything is trained.

Equal seconds. A processor that others use too gives a run of so many seconds now 300 steps, now
600. So on a processor the seconds are those of the stored base: both settings take some steps in
turn, timed by the processor's own clock, and the change gets so many steps as it could do while the
base does its own. On a graphics card, which is rarely shared, seconds are seconds of the clock.
"""

import hashlib
import inspect
import json
import math
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

from sst_tutorial import model, networks, runs, training
from sst_tutorial.deciding import (
    SMALL,
    Difference,
    difference,
    scatter_of,
    smallest,
    verdict,
)
from sst_tutorial.exams import EXAMS
from sst_tutorial.months import Batch
from sst_tutorial.promises import what_is_wrong
from sst_tutorial.results import RESULTS, commit, machine, versions, write_results
from sst_tutorial.runs import train
from sst_tutorial.samples import SampleMaker
from sst_tutorial.settings import (
    Settings,
    as_dict,
    changed,
    preset_names,
    read_settings,
    settings_of,
)
from sst_tutorial.training import ocean_rmse, validation_sums

FORMAT = "sst_tutorial compare 1"
STORED = RESULTS / "compare"
PARTS = {
    "encoder": "VideoEncoder",
    "mixer": "SpaceTime",
    "temporal": "TemporalAttentionAggregator",
    "spatial_pe": "SpatialPositionalEncoding2D",
    "spatial_tr": "SpatialTransformer",
    "decoder": "MonthlyConvDecoder",
}
WHOLE = {"network": networks.NETWORKS, "first_guess": networks.FIRST_GUESSES}
TAUGHT = ("samples", "loss")  # slots of the training, not of the network
NOT_A_CHANGE = ("seed", "steps", "seconds", "preset")
FIRST_STEPS = 5  # by which two versions of torch are compared
# Of the trial of speed. Two settings with the same steps, on a busy processor: ratios of 0.94 to
# 1.04 by the median of 12 pairs, of 0.80 to 1.18 by the fastest of five steps of each.
PAIRS = 12
TIMING = 0.05  # of the ratio of two speeds that is taken for noise: both get the same steps


@dataclass(frozen=True)
class Comparison:
    """What came out. verdict: in words; difference: of `deciding.py`, in K; record: all numbers, as
    they are written to a file. Printed, it is its verdict."""

    verdict: str
    difference: Difference
    record: dict = field(repr=False)

    def __str__(self):
        return self.verdict


def compare(
    base="quick",
    change=None,
    seeds: int = 3,
    seconds: float | None = None,
    steps: int | None = None,
    exam: str | None = None,
    small: float = SMALL,
    out=None,
    stored=None,
    command: str = "sst_tutorial.comparing.compare",
) -> Comparison:
    """Train `base` with one thing changed, and say whether its error changed with it.

    base: name of a preset, a settings file, or the record of a run. change: {setting: value}, a
    setting of a table as "network.spatial_depth"; or {slot: class}, see above. seeds: runs of the
    change, 0 to seeds - 1. seconds (60) or steps: of both. exam: whose twin judges; by default
    `simulated`, `moving` for a base that trains on seas that move, `smooth` for one with data.
    small: K below which nobody would mind. out: a .json file for the record; where it holds runs of
    the same comparison already, all of them count and only those that are missing are done. stored:
    the record of a base to use in place of the package's.
    ValueError for a change that names nothing, changes nothing, or breaks a promise.
    """
    if not change:
        raise ValueError('change is empty: say what to change, for example {"lr": 1e-3}')
    plan = _plan(base, change, seeds, seconds, steps, exam)
    out = None if out is None else _checked(out)
    _ask_promises(plan)
    runs_of_base, budget = _stored_base(plan, stored)
    before = _runs_before(out, plan, budget)
    seeds = max(seeds, len(before["change"]))
    _announce(plan, budget, runs_of_base, seeds, small)
    done = before | ({} if runs_of_base is None else {"base": runs_of_base})
    record = _record(plan, command, small, budget, done)

    def keep(which, runs):
        record["runs"][which] = runs
        if out is not None:  # killed, it goes on from here
            write_results(record, out)

    if runs_of_base is None:
        runs_of_base = _train(plan, "base", range(max(seeds, 2)), budget, before["base"], keep)
    runs = _train(plan, "change", range(seeds), budget, before["change"], keep)
    found, months = _decide(runs, runs_of_base), len(runs[0]["square_sum"])
    words = verdict(found, months, small)
    record["verdict"] = words
    record["difference_K"] = found._asdict() | {"scatter": found.scatter._asdict()}
    keep("change", runs)
    print(f"{plan.words}: {words}")
    return Comparison(words, found, record)


def _record(plan, command: str, small: float, budget: dict, done: dict) -> dict:
    """Of a comparison that has no verdict yet; done: its runs so far."""
    return {
        "format": FORMAT,
        "command": command,
        "base": plan.name,
        "change": plan.words,
        "sources": plan.sources,
        "verdict": None,
        "difference_K": None,
        "small_K": small,
        "budget": budget,
        "exam": _about(plan.exam),
        "settings": as_dict(plan.changed),
        "hash": {"base": plan.hash("base"), "change": plan.hash("change")},
        "runs": done,
        **_where(),
    }


def store(base="quick", seeds=10, seconds=None, steps=None, exam=None, folder=None) -> Path:
    """Train `seeds` runs of a base and write their errors, month by month, for `compare` to use;
    the path. Runs of the same settings that the file holds already are kept."""
    if seeds < 2:
        raise ValueError(f"seeds={seeds}: to tell the luck of a run, store two or more")
    plan = _plan(base, {}, seeds, seconds, steps, exam)
    budget = _budget(plan, None)
    path = (STORED if folder is None else Path(folder)) / f"{plan.name}-{_label(budget)}.json"
    before = []
    if path.exists():
        record = json.loads(path.read_text(encoding="utf-8"))
        if not _differs(record, plan):
            before, budget = record["runs"], record["budget"]
    runs = []
    for seed in range(seeds):
        runs += _train(plan, "base", [seed], budget, before)
        record = {
            "format": FORMAT,
            "command": f"sst-tutorial compare --base {base} --store {seeds} "
            + " ".join(f"--{k} {v:g}" for k, v in budget["asked"].items()),
            "base": plan.name,
            "hash": plan.hash("base"),
            "settings": as_dict(plan.base),
            "budget": budget,
            "exam": _about(plan.exam),
            "first_guess": errors_of(plan.build("base"), plan.exam)[0],
            "after_steps": after_steps(plan),
            "runs": runs,
            **_where(),
        }
        write_results(record, path)
    return path


# ---------------------------------------------------------------- what is compared


@dataclass(frozen=True)
class Plan:
    """Two settings and the classes that stand in slots of the second."""

    name: str
    base: Settings
    changed: Settings
    slots: dict
    words: str
    changes: int
    sources: dict
    exam: str
    asked: dict

    def of(self, which: str) -> tuple[Settings, dict]:
        return (self.base, {}) if which == "base" else (self.changed, self.slots)

    def build(self, which: str) -> networks.Estimator:
        settings, slots = self.of(which)
        with in_place(slots), torch.random.fork_rng(devices=[]):
            return networks.build(settings.first_guess, settings.network, settings.scale)

    def hash(self, which: str) -> str:
        """Of the settings and the sources, not of the seed nor of how long they train."""
        settings = as_dict(self.of(which)[0])
        for name in ("seed", "steps", "seconds"):
            del settings[name]
        sources = {} if which == "base" else self.sources
        words = json.dumps([settings, sources], sort_keys=True).encode()
        return hashlib.sha256(words).hexdigest()[:12]


def _plan(base, change, seeds, seconds, steps, exam) -> Plan:
    if type(seeds) is not int or seeds < 1:
        raise ValueError(f"seeds={seeds!r} must be a whole number of at least 1")
    if seconds is not None and steps is not None:
        raise ValueError("give seconds or steps, not both")
    asked = {"steps": steps} if steps is not None else {"seconds": seconds or 60}
    for name, value in asked.items():
        if not 0 < value < math.inf or (name == "steps" and type(value) is not int):
            raise ValueError(f"{name}={value!r} must be a positive number")
    if base in preset_names():
        name, settings = base, settings_of(base)
    else:
        settings = read_settings(base)[0]
        name = Path(base).parent.name if Path(base).suffix == ".json" else Path(base).stem
    values, slots = _sorted_out(change)
    if "network" in slots:  # it is told what the network of the base was told of the maps
        skip = settings.network.get("skip", False)
        values["network"] = {"name": _name(slots["network"]), "skip": skip}
    if "first_guess" in slots:
        values["first_guess"] = {"name": _name(slots["first_guess"])}
    other = changed(settings, **values)
    if change and other == settings and not slots:
        raise ValueError(f"change={change!r} is what {name} does already; change something")
    if set(PARTS) & set(slots) and other.network["name"] != "transformer":
        raise ValueError(f"{', '.join(slots)}: only the network 'transformer' has these parts")
    if exam is None:
        exam = "moving" if settings.moving else "smooth" if settings.data else "simulated"
    if exam not in EXAMS or exam == "fine":
        raise ValueError(f"exam={exam!r}: choose one of {', '.join(set(EXAMS) - {'fine'})}")
    told = {}
    for key, value in change.items():
        if isinstance(value, dict):
            told |= {f"{key}.{inner}": v for inner, v in value.items()}
        else:
            told[key] = _name(value) if callable(value) else value
    words = ", ".join(f"{key}={value}" for key, value in told.items())
    sources = {slot: _source(made) for slot, made in slots.items()}
    return Plan(name, settings, other, slots, words, len(told), sources, exam, asked)


def _sorted_out(change: dict) -> tuple[dict, dict]:
    """Settings, their tables merged from dotted names, and classes by slot."""
    values, slots = {}, {}
    for key, value in change.items():
        if key in NOT_A_CHANGE:
            raise ValueError(f"{key}={value!r} is no change: seeds, seconds and steps are for both")
        if callable(value):
            known = (*PARTS, *WHOLE, *TAUGHT)
            if key not in known:
                raise ValueError(f"change={key!r} is no slot for a class; slots are {known}")
            slots[key] = value
            continue
        if key in PARTS or key in TAUGHT:
            raise ValueError(f"{key}={value!r} must be a class that builds this part")
        table, dot, inner = key.partition(".")
        if dot:
            values.setdefault(table, {})[inner] = value
        elif isinstance(value, dict):
            values.setdefault(key, {}).update(value)
        else:
            values[key] = value
    return values, slots


def _name(made) -> str:
    return getattr(made, "__name__", None) or getattr(made, "func", made).__name__


def _source(made) -> str:
    """The text of a class, or its name where there is none to be had."""
    try:
        return inspect.getsource(getattr(made, "func", made))
    except (OSError, TypeError):
        return _name(made)


@contextmanager
def in_place(slots: dict):
    """Within it, estimators are built with these classes in their slots."""
    with ExitStack() as stack:
        for slot, made in slots.items():
            if slot in PARTS:
                stack.enter_context(patch.object(model, PARTS[slot], made))
            elif slot == "loss":
                stack.enter_context(patch.object(training, "ocean_rmse", made))
            elif slot == "samples":
                stack.enter_context(patch.object(runs, "_samples", _drawn_by(made)))
            else:
                stack.enter_context(patch.dict(WHOLE[slot], {_name(made): made}))
        yield


def _drawn_by(made):
    """`runs._samples` with another maker: the months that stop a run stay what they were."""
    really = runs._samples

    def samples(*arguments):
        with patch.object(runs, "SampleMaker", made):
            return really(*arguments)

    return samples


def _ask_promises(plan: Plan) -> None:
    if not set(plan.slots) - set(TAUGHT):
        plan.build("change")  # a wrong setting is told now, not after a minute
        return
    wrong = what_is_wrong(lambda: plan.build("change"))
    if wrong:
        raise ValueError(f"{plan.words} breaks {len(wrong)} promise(s): " + "; ".join(wrong))


# ---------------------------------------------------------------- the months that judge


@cache
def _months(exam: str) -> tuple[list, list[str]]:
    """All months of an exam's twin, and the unit that each belongs to: the sea and the month,
    whatever its clouds."""
    questions = [q for g in EXAMS[exam].groups for q in _of_group(exam, g)]
    names = [q.month.name if q.unit is None else q.unit for q in questions]
    return [q.month for q in questions], names


def _of_group(exam: str, group: str) -> list:
    return EXAMS[exam].questions(group, True).get("month", [])


def errors_of(estimator, exam: str) -> tuple[list[float], list[float], list[str]]:
    """Sums of squared errors in K^2 and numbers of cells of each unit of months of an exam's twin,
    and the names of the units."""
    months, names = _months(exam)
    sums = {"square_sum": [], "weight_sum": []}
    shapes = list(dict.fromkeys(m.ocean.shape for m in months))
    order = [i for shape in shapes for i, m in enumerate(months) if m.ocean.shape == shape]
    for shape in shapes:
        batch = Batch.of([m for m in months if m.ocean.shape == shape], estimator.patch_size)
        for key, values in validation_sums(estimator.eval(), batch).items():
            sums[key] += values
    units = {name: number for number, name in enumerate(dict.fromkeys(names))}
    number = [units[names[i]] for i in order]
    squares, cells = (np.bincount(number, sums[k]) for k in ("square_sum", "weight_sum"))
    squares, cells, told = _blocks(squares, cells, list(units), exam)
    return squares.tolist(), cells.tolist(), told


def _blocks(squares, cells, names, exam):
    """Months that follow each other share their weather: they count as one. Simulated seas have a
    seed each and share nothing."""
    block = 1 if exam == "simulated" else EXAMS[exam].block
    number = np.arange(len(names)) // block
    told = [" + ".join(names[i] for i in np.flatnonzero(number == b)) for b in np.unique(number)]
    return np.bincount(number, squares), np.bincount(number, cells), told


def _about(exam: str) -> dict:
    made = EXAMS[exam]
    return {"name": exam, "twin": True, "version": made.version, "seed": made.seeds[True]}


# ---------------------------------------------------------------- seconds and steps


def _budget(plan: Plan, stored: dict | None) -> dict:
    """How long each setting trains: {"asked", "steps": {"base", "change"}, "ms_per_step"}."""
    budget = {"asked": plan.asked}
    if "steps" in plan.asked:
        return budget | {"steps": dict.fromkeys(("base", "change"), plan.asked["steps"])}
    if torch.cuda.is_available():
        return budget
    ms = speed(plan)
    steps = stored["steps"]["base"] if stored else _tidy(1000 * plan.asked["seconds"] / ms["base"])
    other = steps_beside(steps, ms["change"] / ms["base"])
    return budget | {"steps": {"base": steps, "change": other}, "ms_per_step": ms}


def steps_beside(steps: int, ratio: float) -> int:
    """How many steps a change does while its base does `steps`; ratio: how much longer its take."""
    return steps if abs(ratio - 1) < TIMING else max(1, round(steps / ratio))


def _tidy(number: float) -> int:
    """Two digits: nobody's clock is better."""
    return max(1, int(float(f"{number:.2g}")))


def speed(plan: Plan, pairs: int = PAIRS) -> dict[str, float]:
    """Milliseconds of a step of the base and of the change, of the processor's own time: the median
    step of the base, times the median ratio of two steps that followed each other, since another
    program's load is much the same for both."""
    both = {which: _stepper(plan, which)[0] for which in ("base", "change")}
    ms = {which: [] for which in both}
    for number in range(2 + pairs):  # the first two are slower
        for which in both if number % 2 else reversed(both):
            begin = time.process_time()
            both[which]()
            ms[which].append(1000 * (time.process_time() - begin))
    base, change = (np.array(values[2:]) for values in ms.values())
    step = np.median(base)
    found = {"base": step, "change": step * np.median(change / base)}
    return {which: float(f"{value:.4g}") for which, value in found.items()}


def _stepper(plan: Plan, which: str, lr: float = 1e-5):
    """One step of training, samples included, as a function, and the estimator that it trains."""
    settings, slots = plan.of(which)
    estimator = plan.build(which).train()
    samples = slots.get("samples", SampleMaker)("cpu", seed=0, pieces=4)
    loss_of = slots.get("loss", ocean_rmse)
    optimizer = torch.optim.AdamW(estimator.parameters(), lr)
    number = iter(range(10**9))

    def step():
        batch = samples(next(number), settings.batch_size)
        loss = loss_of(estimator(*batch.inputs).mean, batch.target, batch.ocean)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step, estimator


def _label(budget: dict) -> str:
    asked = budget["asked"]
    return f"{asked['steps']}steps" if "steps" in asked else f"{asked['seconds']:g}s"


# ---------------------------------------------------------------- stored runs, and new ones


def _stored_base(plan: Plan, stored) -> tuple[list[dict] | None, dict]:
    """The runs of the base that may be used, or None, and the budget of both settings."""
    label = _label({"asked": plan.asked})
    paths = [STORED / f"{plan.name}-{label}.json", *sorted(STORED.glob(f"{plan.name}-*.json"))]
    if stored is not None:
        paths = [Path(stored)]
        if not paths[0].is_file():
            raise ValueError(f"stored={str(stored)!r}: no such file")
    records = [json.loads(p.read_text(encoding="utf-8")) for p in paths if p.is_file()]
    record = next((r for r in records if stored or _asked_alike(r, plan)), None)
    if record is None:
        print(f"No runs are stored as {paths[0].name}: those of the base are done now.")
        return None, _budget(plan, None)
    other = _differs(record, plan)
    if other:
        print(f"The stored runs of {plan.name} differ in {other}: the base is run again.")
        return None, _budget(plan, None)
    return record["runs"], _budget(plan, record["budget"])


def _differs(record: dict, plan: Plan) -> str | None:
    """What keeps stored runs from standing beside new ones, in words; None = nothing.

    Rounding differs between processors, and turns a run into another one as a seed does; the months
    must be the same, by the errors of the untrained base. Another version of torch may draw other
    random numbers or step otherwise: so many steps of one seed tell, before rounding does.
    """
    here = _where()
    for what, ours, theirs in (
        ("their format", FORMAT, record.get("format")),
        ("their settings", plan.hash("base"), record.get("hash")),
        ("the exam", _about(plan.exam), record.get("exam")),
        ("the graphics card", here["machine"]["gpu"], record["machine"].get("gpu")),
        ("the system", here["machine"]["system"], record["machine"].get("system")),
    ):
        if ours != theirs:
            return f"{what} (stored {theirs}, here {ours})"
    if not _asked_alike(record, plan):
        return f"their budget (stored {record['budget']['asked']}, here {plan.asked})"
    found, theirs = errors_of(plan.build("base"), plan.exam)[0], record["first_guess"]
    if len(found) != len(theirs) or not np.allclose(found, theirs, rtol=1e-3):
        return "the months that judge"
    if _minor(here) == _minor(record):
        return None
    found, theirs = after_steps(plan), record.get("after_steps")
    if theirs is None or not np.allclose(found, theirs, rtol=1e-3):
        return f"the version of torch (stored {_minor(record)}, here {_minor(here)})"
    return None


def after_steps(plan: Plan) -> list[float]:
    """Sums of squared errors of the months after `FIRST_STEPS` steps of the base, seed 0."""
    settings = plan.base
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        step, estimator = _stepper(plan, "base", settings.lr)
        for _ in range(FIRST_STEPS):
            step()
    return errors_of(estimator, plan.exam)[0]


def _asked_alike(record: dict, plan: Plan) -> bool:
    """The same seconds, or the steps that they were."""
    budget = record["budget"]
    if plan.asked == budget["asked"]:
        return True
    return "steps" in budget and plan.asked == {"steps": budget["steps"]["base"]}


def _minor(record: dict) -> list[str]:
    return (record["versions"]["torch"] or "").split(".")[:2]


def _where() -> dict:
    return {
        "commit": commit(),
        "versions": versions(),
        "machine": machine(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def _announce(plan, budget, runs_of_base, seeds, small) -> None:
    """Before the run: how long it takes, and what it will be able to see."""
    if plan.changes > 1:
        print(f"Several things change at once ({plan.words}): the answer will be of all together.")
    steps, ms = budget.get("steps"), budget.get("ms_per_step")
    told = f"{plan.words}: {seeds} run(s)"
    if steps:
        told += f" of {steps['change']} steps, the base has {steps['base']}"
    if ms:
        told += f" (a step takes {ms['change']:.0f} ms, of the base {ms['base']:.0f} ms)"
    print(told)
    if runs_of_base is None:
        print("What can be seen is known when the base has been run.")
        return
    squares, weights = _sums(runs_of_base)
    least = smallest(scatter_of(squares, weights), seeds, len(squares), len(weights))
    advice = "" if least <= small else f"; that is more than {small:g} K, take more seeds"
    print(
        f"Beside {len(squares)} stored runs the smallest difference that can be seen is "
        f"{least:.4f} K, if all months agree{advice}"
    )


def _train(plan: Plan, which: str, seeds, budget: dict, before=(), keep=None) -> list[dict]:
    """Runs of one of the two settings: {"seed", "square_sum", "weight_sum", "rmse_K", "steps",
    "seconds"} each; those among `before` are taken over. keep(which, runs): called after each."""
    have = {run["seed"]: run for run in before}
    settings, slots = plan.of(which)
    settings = changed(settings, **_length(budget, which))
    runs = []
    for seed in seeds:
        if seed not in have:
            have[seed] = _one_run(changed(settings, seed=seed), slots, plan.exam)
            run = have[seed]
            took = f", {run['seconds']:.0f} s" if "seconds" in budget["asked"] else ""
            told = f"  {which}, seed {seed}: {run['rmse_K']:.4f} K after {run['steps']} steps"
            print(told + took, flush=True)
        runs.append(have[seed])
        if keep is not None:
            keep(which, runs)
    return runs


def _length(budget: dict, which: str) -> dict:
    if "steps" in budget:
        return {"steps": budget["steps"][which], "seconds": None}
    return {"seconds": float(budget["asked"]["seconds"])}


def _one_run(settings: Settings, slots: dict, exam: str) -> dict:
    estimator, run = trained(settings, slots)
    squares, cells, _ = errors_of(estimator, exam)
    rmse = math.sqrt(sum(squares) / sum(cells))
    return run | {"rmse_K": rmse, "square_sum": squares, "weight_sum": cells}


def trained(settings: Settings, slots: dict) -> tuple[networks.Estimator, dict]:
    """A run with classes in their slots, and {"seed", "steps", "seconds"} of it."""
    state = torch.random.get_rng_state(), np.random.get_state()  # noqa: NPY002
    try:
        with tempfile.TemporaryDirectory() as folder, in_place(slots):
            estimator = train(settings, folder, progress=False)
            run = json.loads((Path(folder) / "run.json").read_text(encoding="utf-8"))
    finally:  # who runs this in a notebook keeps the random numbers of its other cells
        torch.random.set_rng_state(state[0])
        np.random.set_state(state[1])  # noqa: NPY002
    return estimator, {
        "seed": settings.seed,
        "steps": run["steps"],
        "seconds": run["seconds"],
    }


def _sums(runs: list[dict]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([r["square_sum"] for r in runs]), np.array(runs[0]["weight_sum"])


def _decide(runs, runs_of_base) -> Difference:
    squares, weights = _sums(runs)
    seeds = [[run["seed"] for run in which] for which in (runs, runs_of_base)]
    return difference(squares, _sums(runs_of_base)[0], weights, seeds)


def _checked(out) -> Path:
    path = Path(out)
    if path.suffix != ".json" or path.is_dir():
        raise ValueError(f"out={str(out)!r} must be the name of a .json file")
    return path


def _runs_before(out: Path | None, plan: Plan, budget: dict) -> dict[str, list]:
    """Runs of the same comparison that a record holds already."""
    nothing = {"base": [], "change": []}
    if out is None or not out.exists():
        return nothing
    try:
        record = json.loads(out.read_text(encoding="utf-8"))
        hashes = {which: plan.hash(which) for which in nothing}
        same = record["format"] == FORMAT and record["hash"] == hashes
        same = same and record["exam"] == _about(plan.exam)
        same = same and record["budget"]["asked"] == budget["asked"]
        if not same:
            raise ValueError(f"{out} holds another comparison; choose another name")
        budget.update(record["budget"])  # timed again, its steps would be others
        return record["runs"]
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{out} is no record of a comparison; choose another name") from error
