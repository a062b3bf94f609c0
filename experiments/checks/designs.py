"""Designs in place of ocean-2's, one change each, at equal seconds of a graphics card.

    python experiments/checks/designs.py list
    python experiments/checks/designs.py many --cards 2 --seconds 380    # waves of 12, a seed each
    python experiments/checks/designs.py many --cards 2 --seconds 130 --seeds 3 \\
        --only base together together_1 together_0
    python experiments/checks/designs.py collect                         # writes designs.json

A wave is one seed of all designs, side by side: as many on each card, other neighbours for each
seed, and all clocks start together. Each leaves a folder in results/designs. `many` goes on where
it was killed: a wave that is not whole is repeated as a whole, since fewer neighbours would mean
more of the card. The moving seas are made once (--seas FILE) and shared by all runs.
Chapter *The second run*.
"""

import argparse
import importlib.util
import inspect
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from sst_tutorial import comparing, networks, runs
from sst_tutorial.deciding import difference
from sst_tutorial.months import Batch
from sst_tutorial.networks import build
from sst_tutorial.results import REPOSITORY, RESULTS, write_results
from sst_tutorial.samples import SampleMaker
from sst_tutorial.settings import Settings, changed, read_settings
from sst_tutorial.whole import whole

FOLDER = REPOSITORY / "experiments" / "designs"
OUT = RESULTS / "designs"
OF_A_SEA = 32  # months of the same sea that moves, one after another, among those that validate
SEEDS = (0, 1, 2)
AFTERWARDS = 3  # the seed of what was looked at after the trial


def _module(name: str, path: Path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tried = _module("designs_tried", FOLDER / "classes.py")
cards = _module("cards_tried", REPOSITORY / "experiments" / "cards" / "classes.py")


@dataclass(frozen=True)
class Design:
    """One change of `base`, in settings or by classes in slots of `compare`."""

    title: str
    settings: dict = field(default_factory=dict)
    slots: dict = field(default_factory=dict)
    base: str = "base"


MOVING_ALONE = {"moving": 1.0, "simulated": 0.0, "no_climatology": 0.0}
# In the order of the plan: embedding, reach, blocks, depth, decoder, month token, land, windows,
# turns; then width.
DESIGNS = {
    "base": Design("ocean-2's own"),
    "divided": Design("Embedding divides by the count", slots={"encoder": tried.Divided}),
    "far_sighted": Design("Heads without a reach", slots={"mixer": tried.FarSighted}),
    "blocks_0": Design("No blocks across days", {"network": {"blocks": 0}}),
    "blocks_4": Design("Four blocks instead of two", {"network": {"blocks": 4}}),
    "pixel_queries": Design("Pixels ask patches", slots={"decoder": tried.PixelQueries}),
    "month_token": Design("A month token asks the days", slots={"temporal": tried.MonthToken}),
    "land_masked": Design("Nobody attends to land", slots={"network": tried.LandMasked}),
    "plain": Design("No turns, no mixing", slots={"samples": cards.Plain}),
    "wide_tokens": Design("Tokens of 192 numbers", {"network": {"embed_dim": 192, "hidden": 192}}),
    "moving_alone": Design("The sea that moves alone", MOVING_ALONE),
    "windows_64": Design(
        "Windows of 64 x 64 cells",
        MOVING_ALONE | {"batch_size": 32},
        {"samples": tried.Wide},
        "moving_alone",
    ),
}

BEST_TWO = {"decoder": tried.PixelQueries, "samples": cards.Plain}
# What helped, together: looked at once, after the trial (`--only`).
TOGETHER = {
    "together": Design("Pixels ask, no turns", slots=BEST_TWO),
    "together_1": Design("The same, one block", {"network": {"blocks": 1}}, BEST_TWO),
    "together_0": Design("The same, no blocks", {"network": {"blocks": 0}}, BEST_TWO),
}
ALL = DESIGNS | TOGETHER


def plan_of(name: str, seed: int, seconds: float | None = None) -> tuple[Settings, dict]:
    """The settings of a run, and the classes that stand in its slots."""
    design = ALL[name]
    settings = changed(read_settings(FOLDER / "base.toml")[0], seed=seed, **design.settings)
    if seconds is not None:
        settings = changed(settings, seconds=seconds)
    if "network" in design.slots:  # another name, the arguments of the base
        network = settings.network | {"name": design.slots["network"].__name__}
        settings = changed(settings, network=network)
    return settings, design.slots


def made(name: str) -> networks.Estimator:
    """A new estimator of a design, whatever the seed."""
    settings, slots = plan_of(name, 0)
    with comparing.in_place(slots), torch.random.fork_rng(devices=[]):
        return build(settings.first_guess, settings.network, settings.scale)


# ---------------------------------------------------------------- runs


def kept_seas(maker: type, path: Path | None) -> type:
    """The sample maker with moving seas that are made once and read from `path`."""

    class Kept(maker):
        def _moving(self, seas):
            if path is None:
                return super()._moving(seas)
            if not path.exists():
                torch.save(super()._moving(seas).cpu(), path)
            return torch.load(path, map_location=self.device)  # (seas, days, size, size)

    return Kept


def one(a) -> None:
    settings, slots = plan_of(a.name, a.seed, a.seconds)
    maker = kept_seas(slots.get("samples", SampleMaker), a.seas)
    command = f"python experiments/checks/designs.py many --seconds {settings.seconds:g}"
    folder = a.out / f"{a.name}-{a.seed}"
    with comparing.in_place(slots | {"samples": maker}):
        runs.train(settings, folder, accelerator=a.device, command=command)
    name_design(folder, a.name)


def name_design(folder: Path, name: str) -> None:
    """Into the record: settings know nothing of classes, and without it all would be one setting.
    Not by `write_results`, which rounds: the settings must stay those of the run."""
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    with whole(folder / "run.json") as part:
        part.write_text(json.dumps(record | {"design": name}, indent=1) + "\n", encoding="utf-8")


def is_whole(out: Path, seed: int, names, seconds: float) -> bool:
    """Is the wave of a seed done, with so many seconds?"""
    for name in names:
        try:
            record = json.loads((out / f"{name}-{seed}" / "run.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        if not record.get("done") or record["settings"]["seconds"] != seconds:
            return False
    return True


def many(a) -> None:
    if a.seas is not None and not a.seas.exists():
        make_seas(a)
    names = a.only or list(DESIGNS)
    for seed in a.seeds:
        if is_whole(a.out, seed, names, a.seconds):
            continue
        begin = time.monotonic()
        failed = wave(a, names, seed)
        took = time.monotonic() - begin
        print(f"seed {seed}: {took:.0f} s, failed: {', '.join(failed) or 'none'}", flush=True)


def make_seas(a) -> None:
    settings = plan_of("base", 0)[0]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    options = {"moving": 1.0, "moving_seas": settings.moving_seas, "pieces": 4}
    kept_seas(SampleMaker, a.seas)(device, 0, **options)


def wave(a, names, seed: int) -> list[str]:
    """All designs of a seed side by side; the names of those that failed."""
    order = random.Random(seed).sample(names, len(names))  # other neighbours for each seed
    children, outputs = {}, []
    with tempfile.TemporaryDirectory() as meeting:
        try:
            for number, name in enumerate(order):
                folder = a.out / f"{name}-{seed}"
                folder.mkdir(parents=True, exist_ok=True)
                outputs.append((folder / "output.txt").open("w"))
                command = [sys.executable, __file__, "one", name, "--seed", str(seed)]
                command += ["--out", str(a.out), "--seconds", str(a.seconds), "--device", a.device]
                command += [] if a.seas is None else ["--seas", str(a.seas)]
                told = {runs.TOGETHER: f"{len(order)}:{name}:{meeting}"}
                if a.cards:
                    told["CUDA_VISIBLE_DEVICES"] = str(number % a.cards)
                children[name] = subprocess.Popen(
                    command, stdout=outputs[-1], stderr=subprocess.STDOUT, env=os.environ | told
                )
            return _ended(children, Path(meeting))
        finally:
            for child in children.values():
                child.terminate()
            for output in outputs:
                output.close()


def _ended(children: dict, meeting: Path) -> list[str]:
    """Wait for all; one that died is not waited for by the others."""
    left = dict(children)
    while left:
        time.sleep(0.5)
        for name in [n for n, child in left.items() if child.poll() is not None]:
            del left[name]
            (meeting / name).touch()
    return [name for name, child in children.items() if child.returncode]


# ---------------------------------------------------------------- from folders to a record


def tables(name: str, out: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """For each question that validates: sums of squares (seeds, units) and cells (units,). A unit
    is what shares its weather: a sea that moves, or three months off Tasmania."""
    found = {}
    for seed in SEEDS:
        path = out / f"{name}-{seed}" / "scores.json"
        for question, sums in json.loads(path.read_text(encoding="utf-8"))["validation"].items():
            squares, cells = (by_unit(question, sums[k]) for k in ("square_sum", "weight_sum"))
            found.setdefault(question, ([], cells))[0].append(squares)
    return {question: (np.array(rows), cells) for question, (rows, cells) in found.items()}


def by_unit(question: str, values) -> np.ndarray:
    if question.startswith("moving"):
        return np.reshape(values, (-1, OF_A_SEA)).sum(1)
    return np.reshape(values, (-1, 24)).sum(0).reshape(-1, 3).sum(1)  # two years, again and again


def record_of(out: Path, name: str, seed: int) -> dict:
    return json.loads((out / f"{name}-{seed}" / "run.json").read_text(encoding="utf-8"))


def about(name: str, out: Path, seeds=SEEDS) -> dict:
    """What the record says of a design; with its difference to its base where there are seeds."""
    design = ALL[name]
    records = [record_of(out, name, seed) for seed in seeds]
    row = {
        "title": design.title,
        "base": design.base,
        "settings": design.settings,
        "classes": {slot: inspect.getsource(made) for slot, made in design.slots.items()},
        "steps": [r["steps"] for r in records],
        "seconds": [r["seconds"] for r in records],
        "parameters": sum(records[0]["parameters"].values()),
        "rmse_K": {q: [r["validation"][q] for r in records] for q in records[0]["validation"]},
    }
    if name in (design.base, "base") or len(seeds) < len(SEEDS):
        return row
    mine, theirs = tables(name, out), tables(design.base, out)
    row["minus_base_K"] = {}
    for question in mine:
        (squares, cells), (of_base, _) = mine[question], theirs[question]
        found = difference(squares, of_base, cells, [SEEDS, SEEDS])
        row["minus_base_K"][question] = {k: getattr(found, k) for k in ("value", "low", "high")}
    return row


def collect(a) -> None:
    first, later = record_of(a.out, "base", SEEDS[0]), record_of(a.out, "base", AFTERWARDS)
    record = {k: first[k] for k in ("command", "commit", "versions", "machine", "date")}
    record |= {"seconds": first["settings"]["seconds"], "side_by_side": len(DESIGNS)}
    record["designs"] = {name: about(name, a.out) for name in DESIGNS}
    names = ["base", *TOGETHER]
    record["together"] = {
        "command": later["command"],
        "seconds": later["settings"]["seconds"],
        "side_by_side": len(names),
        "designs": {name: about(name, a.out, [AFTERWARDS]) for name in names},
    }
    write_results(record, a.into / "designs.json")
    for row in record["designs"].values():
        told = ", ".join(_told(*item) for item in row.get("minus_base_K", {}).items())
        print(f"{row['title']} (steps {row['steps']}): {told or row['rmse_K']}")


def _told(question: str, found: dict) -> str:
    value, low, high = (1000 * found[key] for key in ("value", "low", "high"))
    return f"{question} {value:+.1f} ({low:+.1f} to {high:+.1f}) mK"


def show(a) -> None:
    for name, design in ALL.items():
        count = sum(p.numel() for p in made(name).parameters())
        print(f"{name:14} {design.title}, {count / 1e6:.2f} million numbers")


def check(a) -> None:
    """Each design makes one step on a processor: before a card is borrowed for it."""
    for name in a.only or ALL:
        estimator, slots = made(name), ALL[name].slots
        maker = slots.get("samples", SampleMaker)
        clouds = np.random.default_rng(0).random((40, 32, 32)) < 0.3
        real = np.random.default_rng(1).normal(size=(60, 32, 32)).astype("float32")
        options = {"pieces": 4, "moving": 0.5, "moving_seas": 1, "daily": 0.5, "truth": True}
        made_by = maker("cpu", 0, real=real, clouds=clouds, **options)
        batch: Batch = made_by(0, 4)
        estimate, days = estimator(*batch.inputs, every_day=True)
        (estimate.mean.square().mean() + days.square().mean()).backward()
        print(f"{name}: {tuple(estimate.mean.shape)}, {tuple(days.shape)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, default=OUT)
    verbs = parser.add_subparsers(required=True)
    verbs.add_parser("list").set_defaults(go=show)
    p = verbs.add_parser("check")
    p.set_defaults(go=check)
    p.add_argument("--only", nargs="+", choices=ALL)
    for name, go in (("one", one), ("many", many)):
        p = verbs.add_parser(name)
        p.set_defaults(go=go)
        p.add_argument("--out", type=Path, default=OUT)
        p.add_argument("--seconds", type=float, default=400)
        p.add_argument("--seas", type=Path)
        p.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
        if name == "one":
            p.add_argument("name", choices=ALL)
            p.add_argument("--seed", type=int, default=0)
        else:
            p.add_argument("--only", nargs="+", choices=ALL)
            p.add_argument("--seeds", nargs="+", type=int, default=SEEDS)
            p.add_argument("--cards", type=int, default=1, help="0: no graphics card")
    p = verbs.add_parser("collect")
    p.set_defaults(go=collect)
    p.add_argument("--out", type=Path, default=OUT)
    p.add_argument("--into", type=Path, default=RESULTS)
    a = parser.parse_args()
    a.go(a)


if __name__ == "__main__":
    main()
