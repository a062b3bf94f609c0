"""What is learning without labels worth? Four tables, all judged on 2011-2012; the test stays shut.

    python experiments/checks/pretraining.py            # ten processes on an H100, some 7 minutes
    python experiments/checks/pretraining.py --small    # ten processors, some 16 minutes

writes experiments/results/pretraining.json. Settings: experiments/pretraining/*.toml.

    labels, ratios   masked pre-training on 29 gappy years, then 1, 5 or 29 years of complete maps
    gappy            trained on withheld observations alone, beside the same questions with answers
    single_day       random patches of single days hidden, beside Gaussian, kriging and cubic RBF

Jobs are processes side by side. The record is written after each, and what it holds is not done
again, so that a killed run goes on. It needs the shared data. Chapter *Learning without labels*.
"""

import argparse
import json
import tempfile
import time
import tomllib
import warnings
from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from dataclasses import replace
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from scipy.interpolate import RBFInterpolator
from scipy.linalg import cho_factor, cho_solve
from torch.nn import functional as F

from sst_tutorial import open_sst
from sst_tutorial.baselines import dineof, fit_covariance, gaussian, optimal_interpolation
from sst_tutorial.benchmark import (
    CLOUDY,
    MIDDLE_DAY,
    MOVING_VALIDATION,
    data_file,
    of_years,
    training_days,
    validation_months,
)
from sst_tutorial.fine_tuning import Withheld, _fit
from sst_tutorial.first_guess import normalised_convolution
from sst_tutorial.months import Batch, Month
from sst_tutorial.moving_sea import moving_anomalies
from sst_tutorial.networks import build
from sst_tutorial.pretraining import (
    MaskedAutoencoder,
    Parts,
    Windows,
    gappy_record,
    openness,
    pretrain,
    seconds_per_step,
    split_tokens,
    transfer,
)
from sst_tutorial.prior import climatology_for, daily_climatology
from sst_tutorial.results import REPOSITORY, RESULTS, commit, machine, versions, write_results
from sst_tutorial.runs import validation_batches
from sst_tutorial.samples import SampleMaker, open_clouds
from sst_tutorial.settings import Settings, changed
from sst_tutorial.training import fit, validation_rmse

SETTINGS = REPOSITORY / "experiments" / "pretraining"
LEARNED, VALIDATION = (1982, 2010), (2011, 2012)
YEARS = {"train": LEARNED, "val": VALIDATION, "clim": LEARNED}
MIDDLE = 15.0  # degC that stand for an anomaly of 0 where temperatures are asked for
DROPPED = (0.0, 0.5, 0.75, 0.9, 0.95)  # of which the time of a step is measured
DRAWS = 2  # of the clouds over the months that judge `gappy`
MAPS = 48  # that judge `single_day`, for each ratio
SIDES = (32, 64, 128)  # cells of the maps that are timed
WIDTHS = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8)  # cells, of the Gaussian in space


def read(small=False, folder=SETTINGS) -> dict:
    """{experiment: its settings}; one with a `base` says only what differs, and so does the table
    [small] of each."""
    found = {path.stem: tomllib.loads(path.read_text()) for path in sorted(folder.glob("*.toml"))}
    bases = {f"{name}.toml": table for name, table in found.items()}
    tables = {}
    for name, own in found.items():
        table = bases.get(own.get("base"), {}) | own
        changes = table.pop("small", {})
        for key, value in changes.items() if small else ():
            table[key] = table[key] | value if isinstance(value, dict) else value
        tables[name] = table
    return tables


def settings_of(table: dict, seed: int, share: float) -> Settings:
    """Those of a table [training] or [pretraining], with a share of its steps."""
    settings = changed(Settings(), **table, seed=seed)
    steps = max(2, round(share * settings.steps))
    warmup = min(settings.warmup, steps // 4)
    return replace(settings, steps=steps, warmup=warmup, eval_every=steps)


# ---------------------------------------------------------------- data


@cache
def sea():
    """The complete series with its climatology, anomalies (days, H, W) K of both parts, clouds."""
    daily = open_sst(data_file("oisst_tasmania_1982_2016.nc"))
    daily = daily.assign(climatology=daily_climatology(daily, LEARNED))
    parts = training_days(daily, YEARS), of_years(daily, VALIDATION)
    means = [climatology_for(daily["climatology"], part["time"]) for part in parts]
    anomalies = [(part["sst"] - mean).values for part, mean in zip(parts, means, strict=True)]
    return daily, anomalies, open_clouds(data_file("cloud_windows_32.npz"))


def last_years(n: int) -> np.ndarray:
    """(days, H, W) K, the last n years that may teach, less the two months before 2011."""
    past, _ = sea()[1]
    days = training_days(sea()[0], YEARS).indexes["time"]
    return past[days.year > LEARNED[1] - n]


def on_patches(clouds, patch) -> torch.Tensor:
    """Share of each patch that was seen: (n, H, W) bool -> (n, N)."""
    seen = torch.from_numpy(clouds).float()[:, None]
    return F.avg_pool2d(seen, tuple(patch[1:])).flatten(1)


# ---------------------------------------------------------------- labels, ratios


def few_labels(table, kind, ratio, seed, share, device, times=1, near=True):
    """Yields a row for each number of years with labels; kind None = from scratch, `times` the
    steps."""
    masked, about = None, {}
    if kind is not None:
        settings = settings_of(table["pretraining"], seed, share)
        masked, about = pretrained(table["network"], settings, kind, ratio, near, device)
    for years in table["label_years"]:
        settings = settings_of(table["training"], seed, share)
        steps = times * settings.steps
        settings = replace(settings, steps=steps, eval_every=steps)
        torch.manual_seed(seed)
        network = {"name": "transformer"} | table["network"]
        estimator = build({"name": "gaussian"}, network)
        if masked is not None:
            transfer(masked.cpu(), estimator.network)
        row = {"kind": kind, "ratio": ratio, "seed": seed, "label_years": years, "steps": steps}
        yield row | trained(estimator.to(device), settings, years, device) | about


def pretrained(network, settings, kind, ratio, near, device):
    """(the network, its record) after pre-training on the gappy record of all 29 years."""
    clouds = sea()[2]
    windows = Windows(gappy_record(last_years(29), clouds), seed=settings.seed, device=device)
    torch.manual_seed(settings.seed)
    masked = MaskedAutoencoder(network["embed_dim"], near=near).to(device)
    begin = time.perf_counter()
    open_sky = on_patches(clouds, masked.patch_size).to(device)
    losses = pretrain(masked, windows, settings, kind, ratio, open_sky)
    end = max(1, len(losses) // 20)
    about = {
        "near": near, "lr": settings.lr,
        "pretraining_steps": len(losses), "pretraining_seconds": time.perf_counter() - begin,
        "hidden_rmse_K": [np.mean(part) ** 0.5 for part in (losses[:end], losses[-end:])],
    }  # fmt: skip
    return masked, about


@cache
def judges(device) -> dict:
    return validation_batches(sea()[0], YEARS, sea()[2], (1, 4, 4), device)


def trained(estimator, settings, years, device) -> dict:
    samples = SampleMaker(
        device, settings.seed, real=last_years(years), clouds=sea()[2], pieces=16,
        simulated=settings.simulated,
    )  # fmt: skip
    fabric = Fabric(accelerator="cuda" if device == "cuda" else "cpu", devices=1)
    judge = judges(device)
    with tempfile.TemporaryDirectory() as out:
        best, state = fit(estimator, samples, judge, settings, Path(out), fabric, progress=False)
    rmse = {name: validation_rmse(best, batch) for name, batch in judge.items()}
    return {"rmse": rmse, "seconds": state["seconds"]}


def first_guess(table, seed, share, device):
    """The row of who learns nothing: the Gaussian that all others start from."""
    network = {"name": "transformer"} | table["network"]
    estimator = build({"name": "gaussian"}, network).to(device).eval()
    rmse = {name: validation_rmse(estimator, batch) for name, batch in judges(device).items()}
    return [{"kind": "first guess", "seed": seed, "steps": 0, "rmse": rmse}]


# ---------------------------------------------------------------- gappy


class Years:
    """Questions of `Withheld` from many years, each year by itself: a question takes a copy of its
    series."""

    def __init__(self, parts: list[Withheld], seed: int):
        self.parts, self.seed = parts, seed

    def __call__(self, step: int, batch_size: int):
        pick = np.random.default_rng([self.seed, step, 1]).integers(len(self.parts))
        return self.parts[pick](step, batch_size)


class Answered(Withheld):
    """The same questions, with the complete and noiseless map for an answer: what labels are."""

    truth = None  # (T, H, W) degC

    def _answers(self, withheld):
        return self.truth


def questions(anomaly, time, answered, seed, patch) -> Years:
    """Of a complete series (days, H, W) K, made gappy once and for all."""
    record, parts = gappy_record(anomaly, sea()[2]), []
    for year in np.unique(time.year):
        here = time.year == year
        daily = sea()[0].drop_vars("climatology").sel(time=time[here])
        daily = daily.assign(sst=daily["sst"].copy(data=MIDDLE + record[here]))
        part = (Answered if answered else Withheld)(daily, patch, seed)
        part.truth = MIDDLE + anomaly[here]
        parts.append(part)
    return Years(parts, seed)


@cache
def days_that_judge() -> dict:
    """{"cloudy", "clear"}: months whose 16th is asked, their climatology taken off."""
    daily, _, clouds = sea()
    part, few = of_years(daily, VALIDATION), clouds[clouds.mean((1, 2)) < CLOUDY]
    found = {}
    for name, those, seed in (("cloudy", few, 5), ("clear", clouds, 6)):
        months = validation_months(part, daily["climatology"], those, DRAWS, seed)
        found[name] = [_without_climatology(m) for m in months]
    return found


def _without_climatology(m: Month) -> Month:
    sst, days = (MIDDLE + x - m.prior for x in (m.sst, m.truth_of_days))
    mean = np.where(m.ocean, days.mean(0), np.nan)
    return Month(sst, m.ocean, None, mean, m.lat, m.name, days)


def rmse_of_days(estimator, device) -> dict:
    """RMSE (K) of `days_that_judge`."""
    return {
        name: validation_rmse(estimator, Batch.of(m, estimator.patch_size, device, MIDDLE_DAY))
        for name, m in days_that_judge().items()
    }


def gappy(table, years, answered, seed, share, device):
    """Trained on the gappy record of so many years, with no other answer than what was withheld."""
    time_axis = training_days(sea()[0], YEARS).indexes["time"]
    time_axis = time_axis[time_axis.year > LEARNED[1] - years]
    settings = settings_of(table["training"], seed, share)
    torch.manual_seed(seed)
    estimator = build(table["first_guess"], table["network"]).to(device)
    patch = estimator.patch_size
    samples = questions(last_years(years), time_axis, answered, seed, patch)
    past = of_years(sea()[0], VALIDATION).indexes["time"]
    batch, judged = questions(sea()[1][1], past, False, 99, patch)(0, 64)
    held = Batch(*(x if x is None else x.to(device) for x in vars(batch).values()))
    judged = judged.to(device)

    @torch.no_grad()
    def withheld(candidate) -> float:
        error = candidate(*held.inputs).mean - held.target
        return float(error[judged].square().mean().sqrt())

    fabric = Fabric(accelerator="cuda" if device == "cuda" else "cpu", devices=1)
    with tempfile.TemporaryDirectory() as out:
        best, state = _fit(
            estimator, list(estimator.parameters()), samples, withheld, settings, Path(out),
            fabric, False,
        )  # fmt: skip
    best = best.to(device).eval().requires_grad_(False)
    return [{
        "answers": "complete maps" if answered else "withheld", "years": years, "seed": seed,
        "steps": state["step"], "seconds": state["seconds"],
        "rmse": rmse_of_days(best, device), "withheld_rmse": withheld(best),
    }]  # fmt: skip


def untrained(table, seed, share, device):
    """The row of the network before it learns anything: its first guess."""
    estimator = build(table["first_guess"], table["network"]).to(device).eval()
    return [{"method": "first guess", "rmse": rmse_of_days(estimator, device)}]


def classical(table, seed, share, device):
    """The same days by methods that learn from no other month; OI in the cloudy regime only, where
    it is fast. Its covariance was tuned on these two years."""
    methods, rows = {"gaussian": gaussian, "DINEOF": dineof, "OI": optimal_interpolation}, []
    for name, method in methods.items():
        rmse = {}
        for regime, months in days_that_judge().items():
            if (name, regime) == ("OI", "clear"):
                continue
            square, cells = 0.0, 0
            for m in months[:: max(1, round(0.1 / share))]:
                flat = replace(m, prior=np.full(m.sst.shape, MIDDLE, np.float32))
                error = (method(flat, day=MIDDLE_DAY) - m.truth_of_days[MIDDLE_DAY])[m.ocean]
                square, cells = square + float((error**2).sum()), cells + error.size
            rmse[regime] = (square / cells) ** 0.5
        rows.append({"method": name, "rmse": rmse})
    return rows


# ---------------------------------------------------------------- single days


def maps_of(name, share, device):
    """Complete maps (n, H, W) K, NaN = land: those that teach, in order, and those that judge."""
    if name == "Tasmania":
        past, judged = sea()[1]
        return past, judged[:: len(judged) // MAPS][:MAPS]
    runs, days = (8, 60) if device == "cuda" else (2, 20)
    fields = []
    for seed, seas in ((5, runs), (MOVING_VALIDATION, 3)):
        draw = torch.Generator(device).manual_seed(seed)
        x = moving_anomalies(seas, days, 128, draw, device).cpu().numpy()
        x = x.reshape(seas, days, 4, 32, 4, 32).transpose(0, 2, 4, 1, 3, 5)  # windows of 32 cells
        fields.append(x.reshape(-1, 32, 32))
    return fields[0], fields[1][:: len(fields[1]) // MAPS][:MAPS]


def single_day(table, name, seed, share, device, near=True):
    """RMSE (K) of the hidden cells, for each ratio, of the network."""
    teach, judged = maps_of(name, share, device)
    settings = settings_of(table["pretraining"], seed, share)
    torch.manual_seed(seed)
    model = MaskedAutoencoder(**table["network"], max_T=4, near=near).to(device)
    begin = time.perf_counter()
    pretrain(model, Windows(teach, 1, seed, device), settings, "random", table["trained_on"])
    seconds = time.perf_counter() - begin
    model = model.cpu().eval()
    found = scored(model, judged, table["ratios"])["network"]
    row = {"sea": name, "method": "network", "seed": seed, "near": near, "lr": settings.lr}
    return [row | {"steps": settings.steps, "seconds": seconds, "rmse": found}]


def space_alone(table, name, share, device):
    """The same of its rivals."""
    teach, judged = maps_of(name, share, device)
    model = MaskedAutoencoder(**table["network"], max_T=4).eval()  # says what a patch is
    found = scored(model, judged, table["ratios"], rivals_of(teach, table["ratios"]))
    del found["network"]
    return [{"sea": name, "method": key, "rmse": rmse} for key, rmse in found.items()]


def scored(model, judged, ratios, rivals=()) -> dict:
    """{method: {ratio: RMSE in K}} over the hidden cells of all maps."""
    rivals, found = dict(rivals), {}
    for ratio in ratios:
        sums, cells = dict.fromkeys(("network", *rivals), 0.0), 0
        for number, field in enumerate(judged):
            x, missing, parts, hidden = hide(model, field, ratio, number)
            made = {"network": fill(model, x, missing, parts)}
            made |= {key: rival(field, ~hidden, ratio) for key, rival in rivals.items()}
            for key, guess in made.items():
                sums[key] += float(np.square(guess - field)[hidden].sum())
            cells += int(hidden.sum())
        for key, total in sums.items():
            found.setdefault(key, {})[ratio] = (total / cells) ** 0.5
    return found


def hide(model, field, ratio, seed):
    """A map (H, W) as the network reads it, its parts, and which of its cells are hidden (H, W)."""
    x = torch.from_numpy(np.ascontiguousarray(field))[None, None, None].float()
    missing = x.isnan()
    draw = torch.Generator().manual_seed(seed)
    seen = model.seen(missing)
    parts = split_tokens(openness("random", seen, draw), seen, ratio, seen.numel(), draw)
    tokens = torch.zeros(seen.numel(), dtype=torch.bool)
    tokens[parts.asked[parts.asked_there]] = True
    p, q = model.patch_size[1:]
    grid = tokens.view(field.shape[0] // p, field.shape[1] // q)
    hidden = grid.repeat_interleave(p, 0).repeat_interleave(q, 1) & ~missing[0, 0, 0]
    return x.nan_to_num(0.0), missing, parts, hidden.numpy()


@torch.inference_mode()
def fill(model, x, missing, parts: Parts) -> np.ndarray:
    """The map (H, W) K that the network makes of one day: hidden patches guessed, others kept."""
    guess = model(x, missing, parts)[0]  # (A, P)
    p, q = model.patch_size[1:]
    H, W = x.shape[3:]
    field = x[0, 0, 0].view(H // p, p, W // q, q).transpose(1, 2).reshape(-1, p * q).clone()
    field[parts.asked[0]] = guess
    return field.view(H // p, W // q, p, q).transpose(1, 2).reshape(H, W).numpy()


def rivals_of(teach, ratios) -> dict:
    """{name: (map, observed, ratio) -> map}; widths and covariances are those of the maps that
    teach."""
    width = widths_of(teach[:: max(1, len(teach) // 60)][:60], ratios)
    covariance = fit_covariance(teach, max_days=16)
    cells = np.isfinite(teach).all(0)
    flat = teach[:, cells].astype(float)
    measured = flat.T @ flat / len(flat)
    row, col = np.nonzero(cells)
    formula = sum(covariance.space(np.hypot(row[:, None] - row, col[:, None] - col)))

    def kriging(matrix):
        def rival(field, observed, ratio):
            seen, out = observed[cells], np.full(field.shape, np.nan)
            some = matrix[np.ix_(seen, seen)] + 1e-4 * np.eye(seen.sum())
            out[cells] = matrix[:, seen] @ np.linalg.solve(some, field[cells][seen].astype(float))
            return out

        return rival

    return {
        "Gaussian": lambda field, observed, ratio: smoothed(field, observed, width[ratio]),
        "cubic RBF": cubic,
        "kriging, formula": kriging(formula),
        "kriging, measured": kriging(measured),
    }


def smoothed(field, observed, width):
    seen = observed & np.isfinite(field)
    x = torch.from_numpy(np.where(seen, field, 0.0))[None, None].float()
    out = np.full(field.shape, field[seen].mean())
    for wider in (9, 3, 1):
        seen_too = torch.from_numpy(seen)[None, None]
        mean, count = normalised_convolution(x, seen_too, width * wider, 1.0)
        out = np.where(count[0, 0] > 1e-6, mean[0, 0], out)
    return out


def widths_of(maps, ratios) -> dict:
    """The width, of `WIDTHS`, that hides least of the maps that teach, for each ratio."""
    rng, best = np.random.default_rng(0), {}
    for ratio in ratios:
        errors = dict.fromkeys(WIDTHS, 0.0)
        for field in maps:
            patches = rng.random((field.shape[0] // 2, field.shape[1] // 2)) < ratio
            hidden = patches.repeat(2, 0).repeat(2, 1) & np.isfinite(field)
            for width in WIDTHS:
                error = smoothed(field, ~hidden, width) - field
                errors[width] += float(np.square(error)[hidden].sum())
        best[ratio] = min(errors, key=errors.get)
    return best


def cubic(field, observed, ratio):
    seen, out = observed & np.isfinite(field), np.full(field.shape, np.nan)
    where = np.argwhere(np.isfinite(field))
    values = RBFInterpolator(np.argwhere(seen), field[seen].astype(float), kernel="cubic")(where)
    out[tuple(where.T)] = values
    return out


# ---------------------------------------------------------------- how fast


def speed(tables, share, device) -> dict:
    """Seconds of a pre-training step by what is dropped: the median, on this machine, while nothing
    else of this program runs."""
    table, clouds = tables["labels"], sea()[2]
    windows = Windows(gappy_record(last_years(2), clouds), device=device)
    size = table["pretraining"]["batch_size"] if device == "cuda" else 8
    x, missing = windows(0, size)
    torch.manual_seed(0)
    model = MaskedAutoencoder(table["network"]["embed_dim"]).to(device)
    times = 20 if device == "cuda" else 4
    steps = {str(ratio): seconds_per_step(model, x, missing, ratio, times) for ratio in DROPPED}
    return {"device": device, "batch_size": size, "step_seconds_by_dropped": steps}


def map_speed(table, seed, share, device):
    """Seconds of one thread for a single map, half of it hidden, by the side of the map in cells;
    the first of two for small ones warms up."""
    torch.manual_seed(seed)
    model = MaskedAutoencoder(**table["network"], max_T=4).eval()
    rng, rows = np.random.default_rng(seed), []
    for side in SIDES if share == 1 else SIDES[:2]:
        field = rng.standard_normal((side, side), dtype=np.float32)
        x, missing, parts, hidden = hide(model, field, 0.5, seed)
        row, col = np.argwhere(~hidden).T
        r, c = np.indices(field.shape).reshape(2, -1)

        def network(x=x, missing=missing, parts=parts):
            fill(model, x, missing, parts)

        def kriging(row=row, col=col, r=r, c=c, value=field[~hidden]):
            matrix = np.exp(-np.hypot(row[:, None] - row, col[:, None] - col) / 9.0)
            factor = cho_factor(matrix + 1e-4 * np.eye(len(row)), overwrite_a=True)
            weight = cho_solve(factor, value)
            for part in np.array_split(np.arange(len(r)), max(1, len(r) // 1024)):
                apart = np.hypot(r[part][:, None] - row, c[part][:, None] - col)
                np.exp(-apart / 9.0) @ weight

        def cubic_rbf(field=field, hidden=hidden):
            cubic(field, ~hidden, 0.5)

        for name, task in {"network": network, "kriging": kriging, "cubic RBF": cubic_rbf}.items():
            for _ in range(2 if side < 100 else 1):
                begin = time.perf_counter()
                task()
                seconds = time.perf_counter() - begin
            rows.append({"side": side, "method": name, "seconds": seconds})
    return rows


# ---------------------------------------------------------------- jobs


def jobs_of(tables) -> list[tuple]:
    """(key, function, table, arguments), in the order in which they are worth having."""
    jobs = []
    labels, ratios, one = tables["labels"], tables["ratios"], tables["single_day"]
    jobs.append(("labels/first guess", first_guess, labels, (0,)))
    jobs.append(("gappy/classical", classical, tables["gappy"], (0,)))
    jobs.append(("gappy/first guess", untrained, tables["gappy"], (0,)))
    jobs.append(("single_day/speed", map_speed, one, (0,)))
    jobs += [(f"single_day/rivals, {name}", space_alone, one, (name,)) for name in one["seas"]]
    for seed in labels["seeds"]:
        for near in labels["near"]:
            told = "" if near else ", own keys"
            for ratio in labels["ratios"]:
                for kind in labels["kinds"]:
                    key = f"labels/{kind}-{ratio}-{seed}{told}"
                    jobs.append((key, few_labels, labels, (kind, ratio, seed), {"near": near}))
            for name in one["seas"] if seed in one["seeds"] else ():
                key = f"single_day/{name}-{seed}{told}"
                jobs.append((key, single_day, one, (name, seed), {"near": near}))
        for times in (2, 1):
            key = f"labels/scratch-{times}-{seed}"
            jobs.append((key, few_labels, labels, (None, None, seed), {"times": times}))
        for years in tables["gappy"]["record_years"]:
            for answered in (False, True):
                key = f"gappy/{'complete' if answered else 'withheld'}-{years}-{seed}"
                jobs.append((key, gappy, tables["gappy"], (years, answered, seed)))
    for seed in ratios["seeds"]:
        for ratio in ratios["ratios"]:
            for kind in ratios["kinds"]:
                key = f"ratios/{kind}-{ratio}-{seed}"
                jobs.append((key, few_labels, ratios, (kind, ratio, seed)))
    return jobs


def at_ease():
    """What every process sets: one thread, and no cuDNN attention, see `runs.train`."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.set_float32_matmul_precision("high")
    torch.backends.cuda.enable_cudnn_sdp(False)


def one_job(job, share, device, rows):
    """Put (key, row) into the queue `rows` as they come."""
    at_ease()
    key, function, table, arguments, *more = job
    for row in function(table, *arguments, share, device, **(more[0] if more else {})):
        rows.put((key, row))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=RESULTS / "pretraining.json")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--jobs", type=int, default=8, help="processes side by side")
    parser.add_argument("--small", action="store_true", help="smaller networks, fewer steps")
    parser.add_argument("--share", type=float, default=1.0, help="of the steps of the settings")
    parser.add_argument("--seconds", type=float, default=1e9, help="no job starts after so many")
    parser.add_argument("--only", default="", help="jobs whose name begins so")
    args = parser.parse_args()
    begin = time.perf_counter()
    at_ease()
    tables = read(args.small)
    record = {"settings": tables, "share": args.share, "done": [], "rows": {}}
    if args.out.exists():
        before = json.loads(args.out.read_text())
        if any(before[key] != record[key] for key in ("settings", "share")):
            parser.error(f"--out {args.out} has other settings; give another, or remove it")
        record = before
    jobs = [job for job in jobs_of(tables) if job[0].startswith(args.only)]
    todo = [job for job in jobs if job[0] not in record["done"]]
    for key, *_ in todo:  # half a job begins anew
        record["rows"].pop(key, None)
    words = " --small" * args.small + f" --share {args.share:g}" * (args.share != 1)
    record |= {"command": "python experiments/checks/pretraining.py" + words}
    record |= {"commit": commit(), "machine": machine(), "versions": versions()}
    if "speed" not in record:
        record["speed"] = speed(tables, args.share, args.device)
        write_results(record, args.out)
        print(f"{time.perf_counter() - begin:.0f} s: speed {record['speed']}", flush=True)
    left = do(todo, record, args, begin)
    if left:
        print(f"{left} jobs not done: run again to go on", flush=True)


def do(todo: list, record: dict, args, begin: float) -> int:
    """Do jobs side by side and write the record as their rows come; how many were not begun."""
    context = get_context("spawn")
    with context.Manager() as manager, ProcessPoolExecutor(args.jobs, context) as pool:
        rows, running = manager.Queue(), {}
        while todo or running:
            late = time.perf_counter() - begin > args.seconds
            while todo and len(running) < args.jobs and not late:
                job = todo.pop(0)
                running[pool.submit(one_job, job, args.share, args.device, rows)] = job[0]
            if not running:
                break
            ended = wait(running, timeout=1, return_when=FIRST_COMPLETED).done
            new = not rows.empty()
            while not rows.empty():
                key, row = rows.get()
                record["rows"].setdefault(key, []).append(row)
            for done in ended:
                key, error = running.pop(done), done.exception()
                if error is None:
                    record["done"].append(key)
                told = f"failed: {error!r}" if error else "done"  # the others go on
                print(f"{time.perf_counter() - begin:.0f} s: {key} {told}", flush=True)
            if new or ended:
                write_results(record, args.out)
    return len(todo)


if __name__ == "__main__":
    main()
