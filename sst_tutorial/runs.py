"""One run: a settings file in, one folder out. A folder of settings: what is missing or stale.

    sst-tutorial run experiments/ablation --at-once 6

`train` does one run in this process; `run_all` starts one process for each, several at a time.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path

import numpy as np
import torch
import xarray as xr

from sst_tutorial._extras import need
from sst_tutorial.benchmark import (
    MIDDLE_DAY,
    MOVING_VALIDATION,
    cloudy,
    data_file,
    moving_months,
    of_years,
    split_years,
    training_days,
    under_lasting_clouds,
    validation_months,
)
from sst_tutorial.data import open_sst
from sst_tutorial.months import Batch
from sst_tutorial.networks import Estimator, build
from sst_tutorial.prior import climatology_for, daily_climatology
from sst_tutorial.results import is_done, write_record, write_results
from sst_tutorial.samples import SampleMaker, open_clouds, random_coasts
from sst_tutorial.settings import Settings, as_dict, changed, read_settings
from sst_tutorial.training import fit, parts_of_batch, validation_sums
from sst_tutorial.weights import find_weights, load_weights, read_metadata, save_weights
from sst_tutorial.whole import whole

need("train", "lightning_fabric")
from lightning_fabric import Fabric, seed_everything  # noqa: E402

TOGETHER = "SST_TUTORIAL_TOGETHER"  # number:name:folder, where so many runs meet
PATIENCE = 600  # seconds, after which a run starts without the others; not `Settings.patience`
PROGRESS = "settings.json"  # the settings of a run that is not finished, for --resume
CHECKPOINT = "checkpoint.safetensors"


def train(
    settings: Settings,
    out="runs/quick",
    resume: bool = False,
    progress: bool = True,
    accelerator: str = "auto",
    devices="auto",
    command: str = "sst_tutorial.runs.train",
) -> Estimator:
    """Do one run and leave its folder `out`, see `results.py`; return the trained estimator.

    settings: of `settings.settings_of` or `read_settings`. resume: go on from the checkpoint in
    `out`, bit by bit as if the run had not been killed (a run of so many seconds: for the rest of
    its seconds). accelerator, devices: of Lightning Fabric.
    """
    _check_device(accelerator)
    torch.set_float32_matmul_precision("high")
    # cuDNN's attention gave gradients that were not finite after 140 to 500 steps of space-time
    # blocks (torch 2.11, H100, eager and compiled); beside it the other kernels ran through.
    torch.backends.cuda.enable_cudnn_sdp(False)
    fabric = Fabric(accelerator=accelerator, devices=devices, precision=settings.precision)
    fabric.launch()
    parts_of_batch(settings, fabric.world_size)  # an error now, before anything is written
    out = Path(out)
    seed_everything(settings.seed, verbose=False)
    estimator, slots = _estimator(settings)
    if resume:
        _check_same_run(out, settings)
    daily, years = _open_data(settings)
    clouds = None if settings.clouds is None else open_clouds(data_file(settings.clouds))
    seed = settings.seed + 1000 * fabric.global_rank
    samples = _samples(daily, years, clouds, settings, seed, fabric.device)
    kinds = settings.moving, settings.daily, settings.lasting
    patch = estimator.patch_size
    validation = validation_batches(daily, years, clouds, patch, fabric.device, *kinds)
    if fabric.is_global_zero:
        _begin(out, settings, resume)
    what = estimator.to(fabric.device), samples, validation, settings
    best, state = fit(*what, out, fabric, resume, progress, ready=wait_for_the_others)
    if fabric.is_global_zero:
        found = {"years": years, "steps": state["step"], "seconds": state["seconds"]}
        scores = {name: validation_sums(best, batch) for name, batch in validation.items()}
        _leave(out, settings, command, best, slots, scores, found, fabric.world_size)
    return best.cpu()


def _begin(out: Path, settings: Settings, resume: bool) -> None:
    """The folder of a run, which holds its settings from now on."""
    out.mkdir(parents=True, exist_ok=True)
    if not resume:  # killed early, this run must not go on from one that was here before
        for name in ("run.json", "scores.json", "weights.safetensors", CHECKPOINT):
            (out / name).unlink(missing_ok=True)
    with whole(out / PROGRESS) as part:
        part.write_text(json.dumps(as_dict(settings), indent=1))


def _leave(out: Path, settings, command, best, slots, scores, found, processes) -> None:
    """Weights, scores and the record of a run that is done; scores: `validation_sums` by name."""
    about = {"command": command, "settings": as_dict(settings), "years": found["years"]}
    about["validation_rmse_K"] = _rmse(scores)
    save_weights(out / "weights.safetensors", best, *slots, about)
    write_results({"validation": scores}, out / "scores.json")
    parts = {"first_guess": best.first_guess, "network": best.network}
    count = {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
    found = found | {"parameters": count}
    if settings.start is not None:  # what the settings say of the slots did not count
        found |= {"first_guess": slots[0], "network": slots[1], "scale": best.scale}
    found |= {"processes": processes, "validation": _rmse(scores)}
    write_record(out, settings, command, **found, done=True)


def is_first_process() -> bool:
    """Of those that `train` started to share its work, or the only one: who speaks for all."""
    together = torch.distributed.is_available() and torch.distributed.is_initialized()
    return not together or torch.distributed.get_rank() == 0


def _check_device(device: str) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device='cuda': torch finds no GPU here; leave it away")


def _rmse(scores: dict) -> dict:
    return {
        name: (sum(s["square_sum"]) / sum(s["weight_sum"])) ** 0.5 for name, s in scores.items()
    }


def settings_of_killed(out) -> Settings:
    """The settings of the run in the folder `out`, which need not be finished."""
    path = Path(out) / PROGRESS
    try:
        return changed(Settings(), **json.loads(path.read_text()))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise ValueError(
            f"cannot resume: {path} is missing or broken ({error}); start without --resume"
        ) from error


def _check_same_run(out: Path, settings: Settings) -> None:
    """ValueError where a resumed run is asked for anything else than the run that was killed."""
    before, now = as_dict(settings_of_killed(out)), as_dict(settings)
    other = [f"{k}={now[k]!r} (was {before[k]!r})" for k in now if now[k] != before[k]]
    if other:
        raise ValueError(
            f"to resume needs the settings of the killed run, not {', '.join(other)}; give those, "
            "or start without resume in another folder"
        )


def _estimator(settings: Settings) -> tuple[Estimator, tuple[dict, dict]]:
    """A new estimator, or the one of `settings.start`, and what its two slots were built from."""
    if settings.start is None:
        slots = settings.first_guess, settings.network
        estimator = build(*slots, settings.scale)
    else:
        config = read_metadata(find_weights(settings.start))["config"]
        slots = config["first_guess"], config["network"]
        estimator = load_weights(settings.start)
    if settings.every_day and getattr(estimator.network, "daily_head", None) is None:
        raise ValueError(
            f"every_day={settings.every_day} needs a network with daily_head = true; leave it away"
        )
    if settings.daily and not getattr(estimator.network, "answers_days", True):
        raise ValueError(
            f"daily={settings.daily}: network {slots[1]['name']!r} answers for whole months only; "
            "leave daily away"
        )
    return estimator, slots


def _open_data(settings: Settings) -> tuple[xr.Dataset | None, dict | None]:
    """The complete daily series with its `climatology`, and the years of the run."""
    if settings.data is None:
        return None, None
    daily = open_sst(data_file(settings.data))
    years = split_years(daily, settings.train_years, settings.val_years, settings.clim_years)
    climatology = daily_climatology(daily, years["clim"])
    return daily.assign(climatology=climatology), years


def _samples(daily, years, clouds, settings: Settings, seed: int, device) -> SampleMaker:
    real = None
    if daily is not None:
        part = training_days(daily, years)
        real = (part["sst"] - climatology_for(daily["climatology"], part["time"])).values
    return SampleMaker(
        device,
        seed,
        real=real,
        clouds=clouds,
        coasts=random_coasts(64, 32, seed=0),
        pieces=settings.pieces,
        simulated=settings.simulated,
        moving=settings.moving,
        moving_seas=settings.moving_seas,
        lasting=settings.lasting,
        daily=settings.daily,
        no_climatology=settings.no_climatology,
        truth=settings.every_day > 0,
    )


def validation_batches(
    daily, years, clouds, patch, device, moving=0.0, ask_days=0.0, lasting=0.0
) -> dict[str, Batch]:
    """Fixed months to choose by: those of the validation years, or of simulated seas; of a sea that
    moves where some of the training moves, and one of its days where days are asked for; under
    clouds that stay for three days where some of the training's do."""
    batches = {}
    if moving:
        months = moving_months(clouds, seed=MOVING_VALIDATION, device=device)
        batches["moving_month"] = Batch.of(months, patch, device)
        if ask_days:
            batches["moving_day"] = Batch.of(months, patch, device, day=MIDDLE_DAY)
    if daily is None:
        if moving < 1:
            batches["simulated"] = SampleMaker(device, seed=999_999, pieces=16)(0, 32)
        return batches
    if clouds is None:
        batch = SampleMaker("cpu", seed=999_999, pieces=16)(0, 32)
        clouds = batch.observed[batch.exists].numpy()
    few = cloudy(clouds)
    part, climatology = of_years(daily, years["val"]), daily["climatology"]
    months = validation_months(part, climatology, few, draws=8, seed=5)
    clear = validation_months(part, climatology, clouds, draws=8, seed=6)
    batches["cloudy"] = Batch.of(months, patch, device)
    batches["clear"] = Batch.of(clear, patch, device)
    if lasting:
        rng = np.random.default_rng(7)
        months = [under_lasting_clouds(month, few, 3, rng) for month in months]
        batches["lasting"] = Batch.of(months, patch, device)
    return batches


# ---------------------------------------------------------------- several runs


def run_folder(path: Path, seed: int, out: Path | None = None) -> Path:
    """Where the run of a settings file lies: `results` of the folder `experiments` above it, by
    the names of its folder and file, or beside the file where there is no such folder. out: the
    folder to lie in instead; a record that is repeated keeps the name of its own folder there."""
    path = path.resolve()
    name = path.parent.name if path.name == "run.json" else f"{path.stem}-{seed}"
    if out is not None:
        return out / name
    for parent in path.parents:
        if parent.name == "experiments":
            return parent / "results" / path.parent.relative_to(parent) / name
    return path.parent / "results" / name


def plan(path, out=None) -> list[tuple[Path, Settings, Path]]:
    """(settings file, settings, folder) of each run that a file or a folder asks for."""
    path, out = Path(path), None if out is None else Path(out)
    if path.suffix == ".json" and out is None:
        raise ValueError(f"{path} is the record of a run that is done; say where to with --out")
    files = [path]
    if path.is_dir():
        files = sorted(path.glob("*.toml"))
        if not files:
            raise ValueError(f"{path} holds no settings file (*.toml)")
    stems = [file.stem.lower() for file in files]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        raise ValueError(f"{path} holds two files of the name {twice[0]!r}; rename one")
    runs = [(f, s, run_folder(f, s.seed, out)) for f in files for s in read_settings(f)]
    for file, settings, folder in runs:
        if folder.exists() and not folder.is_dir():
            raise ValueError(f"{folder}, where the run of {file} should lie, is a file")
        try:  # what is wrong is better known now than after the runs before it
            _estimator(settings)
            for name in filter(None, (settings.data, settings.clouds)):
                data_file(name)
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from error
    return runs


def run_all(path, out=None, at_once: int = 1, device: str = "auto") -> int:
    """Do the runs of a settings file or folder that are missing or stale; how many failed. At the
    end it prints the validation errors of all that are done.

    Each is a process of its own, `at_once` of them side by side; a killed one goes on where it
    was. Side by side, their words go to `output.txt` in their folders, and the clocks of all start
    together when the last of them has compiled: otherwise the first and the last would have the
    card to themselves for a while, and equal seconds would not be equal work.
    """
    _check_device(device)
    runs = plan(path, out)
    todo = [run for run in runs if not is_done(run[2], run[1])]
    print(f"{len(runs) - len(todo)} of {len(runs)} runs are done", flush=True)

    failed = 0
    for start in range(0, len(todo), at_once):
        wave = todo[start : start + at_once]
        with (
            tempfile.TemporaryDirectory() as meeting,
            ThreadPoolExecutor(at_once) as pool,
            _Children() as children,
        ):
            meet = None if at_once == 1 else (Path(meeting), len(wave))
            done = pool.map(_one, wave, repeat(device), repeat(meet), repeat(children))
            failed += sum(code != 0 for code in done)
    for _, settings, folder in runs:
        if is_done(folder, settings):
            rmse = json.loads((folder / "run.json").read_text()).get("validation", {})
            told = ", ".join(f"{name} {value:.4f}" for name, value in rmse.items())
            print(f"{_from_here(folder)}: validation RMSE (K) {told}", flush=True)
    return failed


def _from_here(folder: Path) -> Path:
    """A shorter name, if there is one; the command in a record should not name a machine."""
    return folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder


class _Children:
    """Processes that end with the block in which they were started, however that ends: without
    this, a program that gets SIGTERM leaves its runs behind, and the next one starts them again."""

    def __init__(self):
        self.started, self.lock, self.closed, self.before = [], threading.Lock(), False, {}

    def run(self, command, **options) -> int:
        """Its exit status; from any thread."""
        with self.lock:
            if self.closed:
                return -signal.SIGTERM
            child = subprocess.Popen(command, **options)
            self.started.append(child)
        return child.wait()

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            stops = [getattr(signal, s) for s in ("SIGTERM", "SIGHUP") if hasattr(signal, s)]
            stops = [s for s in stops if signal.getsignal(s) is signal.SIG_DFL]  # not under nohup
            self.before = {s: signal.signal(s, self._leave) for s in stops}
        return self

    @staticmethod
    def _leave(number, frame):
        raise SystemExit(128 + number)  # as a shell says it

    def __exit__(self, *_):
        with self.lock:
            self.closed = True
        for child in self.started:
            child.terminate()  # of one that has ended, nothing
        for child in self.started:
            child.wait()
        for stop, handler in self.before.items():
            signal.signal(stop, handler)


def _one(run, device: str, meet: tuple[Path, int] | None, children: _Children) -> int:
    """Do one run in a process of its own; its exit status. meet: the folder where runs side by
    side wait for each other, and how many they are."""
    file, settings, folder = run
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "sst_tutorial.cli", "train", "--settings", str(file)]
    command += ["--seed", str(settings.seed), "--out", str(_from_here(folder)), "--device", device]
    command += ["--resume"] if _was_killed(folder, settings) else ["--overwrite"]
    if meet is None:
        print(f"{_from_here(folder)}:", flush=True)
        return children.run(command)
    meeting, number = meet
    environment = os.environ | {TOGETHER: f"{number}:{folder.name}:{meeting}"}
    with (folder / "output.txt").open("w") as output:
        code = children.run(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
    # The others need not wait for one that died.
    (meeting / folder.name).touch()
    last = (folder / "output.txt").read_text().strip().splitlines()[-1:]
    end = "done" if code == 0 else "FAILED"
    print(f"{_from_here(folder)}: {end}  {''.join(last)}", flush=True)
    return code


def wait_for_the_others() -> None:
    """Return when all runs that were started side by side have come so far (or ended)."""
    if not os.environ.get(TOGETHER):
        return
    number, name, folder = os.environ[TOGETHER].split(":", 2)
    Path(folder, name).touch()
    begin = time.monotonic()
    while len(list(Path(folder).iterdir())) < int(number) and time.monotonic() < begin + PATIENCE:
        time.sleep(0.1)


def _was_killed(folder: Path, settings: Settings) -> bool:
    """Does `folder` hold a checkpoint of exactly these settings?"""
    try:
        return settings_of_killed(folder) == settings and (folder / CHECKPOINT).exists()
    except ValueError:
        return False
