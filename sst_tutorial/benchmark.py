"""Which months may judge, and where their data lie.

Months with their truth: the validation years of a training series (choices are made there), the 48
months of the fixed benchmark (opened to report), simulated seas far from any training, and seas
that move. `exams.py` makes fixed, versioned lists of them. Chapter *Judging a reconstruction*.
"""

import importlib.util
import os
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray as xr

from sst_tutorial.months import DAYS, Month
from sst_tutorial.moving_sea import moving_anomalies
from sst_tutorial.prior import climatology_for
from sst_tutorial.simulate import (
    climatological_sst,
    cloud_masks,
    observe,
    simulate_clouds,
    simulate_ocean,
)

REGIMES = ("cloudy", "clear")
CLOUDY = 0.45  # days that see less of the sea than this make the cloudy regime
NOISE = 0.3  # K, standard deviation of a satellite retrieval
GAP_DAYS = 60  # left out between training and validation: the memory of the sea
TEST_YEARS = (2013, 2016)  # of the benchmark: never trained on
MOVING_VALIDATION, MOVING_TEST = 7_000_001, 7_000_002  # seeds of the seas that move
MIDDLE_DAY = 15  # the 16th, of which a daily map is judged
PRIOR_OF_MOVING = 15.0  # degC
MOVING_SIDE, MOVING_APART = 128, 60  # cells of such a sea; days from one of its months to the next
# Seas of the simulated months: far from Tasmania, both hemispheres, tropics to subpolar.
REGIONS = {
    "North Atlantic": ((36.0, 44.0), (-50.0, -42.0)),
    "equatorial Pacific": ((-4.0, 4.0), (-130.0, -122.0)),
    "Mediterranean": ((35.0, 43.0), (1.0, 9.0)),
    "Southern Ocean": ((-58.0, -50.0), (80.0, 88.0)),
    "Kuroshio": ((30.0, 38.0), (141.0, 149.0)),
    "Benguela": ((-33.0, -25.0), (9.0, 17.0)),
}


# ---------------------------------------------------------------- where data lie


def shared_data() -> Path | None:
    """Folder of the real sample data, or None where there is none.

    It is `$SST_TUTORIAL_DATA` if that is set, else `../shared/data` beside the source tree.
    """
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("SST_TUTORIAL_DATA") or beside)
    return folder if folder.is_dir() else None


def benchmark_folder() -> Path | None:
    """Folder of the fixed benchmark (beside the shared data), or None where it is absent."""
    data = shared_data()
    folder = None if data is None else data.parent / "benchmark"
    return folder if folder is not None and (folder / "score.py").is_file() else None


def data_file(name: str) -> Path:
    """The file of this name: as it stands, else in the shared data or the benchmark's folder."""
    folders = [Path(), *(f for f in (shared_data(), benchmark_folder()) if f is not None)]
    for folder in folders:
        if (folder / name).exists():
            return folder / name
    raise ValueError(
        f"no file {name!r}, neither here nor in the folder of the shared data "
        f"(SST_TUTORIAL_DATA={os.environ.get('SST_TUTORIAL_DATA', '')!r}); check the name"
    )


# ---------------------------------------------------------------- years


def split_years(series, train_years=None, val_years=None, clim_years=None) -> dict:
    """Years for the climatology, for training and for validation: {"train", "val", "clim"}.

    series: anything with a daily `time`. What is None is chosen: the last two years judge, all
    before them train and make the climatology. ValueError where the series has no day of them or
    training and validation share a year.
    """
    years = series["time"].dt.year
    first, last = int(years.min()), int(years.max())
    val = tuple(val_years or (last - 1, last))
    train = tuple(train_years or (first, val[0] - 1))
    chosen = {"train": train, "val": val, "clim": tuple(clim_years or train)}
    for name, (begin, end) in chosen.items():
        if begin > end or not ((years >= begin) & (years <= end)).any():
            raise ValueError(
                f"{name}_years={begin}-{end}: the data run from {first} to {last}; choose years in "
                "order that they hold"
            )
    if train[0] <= val[1] and val[0] <= train[1]:
        raise ValueError(f"train_years={train} and val_years={val} share a year; keep them apart")
    return chosen


def of_years(series, years: tuple[int, int]):
    """The days of `series` in the years first to last, both included."""
    return series.sel(time=slice(*(str(year) for year in years)))


def training_days(series, years: dict):
    """The days of the training years, without those within `GAP_DAYS` of a validation day."""
    part = of_years(series, years["train"])
    gap = np.timedelta64(GAP_DAYS, "D")
    begin, end = (np.datetime64(f"{year}") for year in (years["val"][0], years["val"][1] + 1))
    time = part["time"].values
    return part.isel(time=(time < begin - gap) | (time >= end + gap))


# ---------------------------------------------------------------- months


def validation_months(daily: xr.Dataset, climatology, clouds, draws: int, seed: int) -> list[Month]:
    """Every calendar month of complete daily maps under `draws` sets of clouds, with retrieval
    noise: an observing system simulation experiment.

    daily: `sst` (time, lat, lon) degC, NaN = land only. climatology: of `daily_climatology`.
    clouds: (n, H, W) bool, True = observed; each day gets one of them. The first draw is the same
    whatever their number.
    """
    rng = np.random.default_rng(seed)
    sst, lat = daily["sst"], daily["lat"].values
    ocean = always_there(np.isfinite(sst.values), "data")
    prior = climatology_for(climatology, daily["time"]).values
    period = daily.indexes["time"].to_period("M")
    months = []
    for draw in range(draws):
        for month in period.unique():
            here = period == month
            truth = sst.values[here]
            sea = _observed(truth, ocean, clouds, rng)
            mean = np.where(ocean, truth, 0.0).mean(0)
            name = f"{month}, clouds {draw}"
            months.append(Month(sea, ocean, prior[here], mean, lat, name, truth))
    return months


def _observed(truth, ocean, clouds, rng, stay=1):
    """What is seen of the truth (T, H, W), with noise: each day gets one of the clouds (n, H, W),
    True = observed, which then stay for so many days, the first of them for some of those."""
    T = len(truth)
    pick = rng.integers(len(clouds), size=T)
    if stay > 1:
        day = np.arange(T)
        pick = pick[np.maximum(day - (day + rng.integers(stay)) % stay, 0)]
    noisy = truth + NOISE * rng.standard_normal(truth.shape)
    return np.where(clouds[pick] & ocean, noisy, np.nan)


def under_lasting_clouds(month: Month, clouds, stay: int, rng) -> Month:
    """The same month, of which the truth of each day is known, seen anew: each of the clouds
    (n, H, W), True = observed, stays for `stay` days, while the noise is new each day."""
    sst = _observed(month.truth_of_days, month.ocean, clouds, rng, stay)
    return replace(month, sst=sst)


def always_there(known, name: str):
    """Ocean (H, W) of complete days: known (days, H, W) bool, tensor or array, False = no value."""
    ocean = known.any(0)
    incomplete = (~known & ocean).any(1).any(1)
    if incomplete.any():
        day = int(incomplete.nonzero()[0][0])
        raise ValueError(f"{name} has holes over the ocean on day {day}: fill or leave out the day")
    return ocean


def benchmark_module():
    """The benchmark's own score.py. FileNotFoundError where the benchmark is absent."""
    folder = benchmark_folder()
    if folder is None:
        raise FileNotFoundError(
            "no benchmark beside the shared data: set SST_TUTORIAL_DATA, or use --months simulated"
        )
    spec = importlib.util.spec_from_file_location("benchmark_score", folder / "score.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclass looks itself up by name
    spec.loader.exec_module(module)
    return module


def benchmark_months(regime="cloudy") -> list[Month]:
    """The 48 months of 2013-2016: real analyses of the sea, borrowed real clouds, white noise; the
    prior is the benchmark's climatology of 1982-2010."""
    _check_regime(regime)
    module = benchmark_module()
    climatology = module._climatology()
    daily = module.open_sst(*map(str, TEST_YEARS))
    months = []
    for case, truth in module.cases(regime):
        name = str(case.time[0].astype("datetime64[M]"))
        days = daily.sel(time=case.time).values
        prior = climatology(case)
        months.append(Month(case.sst, case.ocean, prior, truth, case.lat, name, days))
    return months


def simulated_months(regime="cloudy", per_region=6, size=32, noise=NOISE, seed=1000) -> list[Month]:
    """Months of simulated 0.25 degree seas in `REGIONS`, every second month of a year.

    The prior is the simulator's own zonal mean; clouds hide 91 % (cloudy) or 64 % (clear), as
    in the benchmark. Seeds start at `seed`, apart from those used for training.
    """
    _check_regime(regime)
    cover = {"cloudy": 0.91, "clear": 0.64}[regime]
    months = []
    for region, (lat, lon) in REGIONS.items():
        for start in pd.date_range("2001-01", periods=per_region, freq="2MS"):
            number = seed + len(months)
            days = start.days_in_month
            daily = simulate_ocean(lat, lon, (size, size), str(start.date()), days, number)
            seen = observe(daily, simulate_clouds(daily, cover, number), noise, number)
            mean = climatological_sst(daily.lat.values, daily.time.dt.dayofyear.values)
            months.append(Month(
                seen.sst.values,
                daily.ocean_mask.values,
                np.repeat(mean[:, :, None], size, axis=2).astype(np.float32),
                daily.sst.values.mean(0),
                daily.lat.values,
                f"{region} {start:%Y-%m}",
            ))
    return months


def moving_fields(seed: int, seas=6, device="cpu", **sea) -> np.ndarray:
    """Anomalies of which `moving_months` are cut: (seas, 2, 31, 128, 128) K, two months of each sea
    that lie 29 days apart. sea: settings of `moving_anomalies`; its cells are of 8 km by default.

    The same seed gives the same fields on the same kind of device. Turbulence amplifies rounding,
    so that on another they are other months of the same sea.
    """
    generator = torch.Generator(device=device).manual_seed(seed)
    days = MOVING_APART + DAYS
    fields = moving_anomalies(seas, days, MOVING_SIDE, generator, device, **sea).cpu().numpy()
    return np.stack([fields[:, start : start + DAYS] for start in (0, MOVING_APART)], 1)


def moving_months(
    clouds=None, seed=MOVING_TEST, seas=6, size=32, device="cpu", fields=None
) -> list[Month]:
    """Months of 31 days of a sea that moves, cells of 8 km, apart from those used for training:
    two months of each sea, 16 windows of each month, 0.3 K of noise.

    clouds: (n, 32, 32) bool, True = observed, of which every day gets one of those that make the
    cloudy regime; None = simulated clouds. The prior is constant, the truth is known each day.
    fields: of `moving_fields`; None = made from the same seed.
    """
    if fields is None:
        fields = moving_fields(seed, seas, device)
    rng = np.random.default_rng(seed)
    if clouds is None:
        draw = torch.Generator().manual_seed(seed)
        cover = torch.full((64,), 0.91)
        hidden = cloud_masks(64, DAYS, size, size, cover, draw, cell_km=(8.0, 8.0))
        clouds = ~hidden.numpy().reshape(-1, size, size)
    else:
        clouds = cloudy(clouds)
    ocean, months = np.ones((size, size), bool), []
    for sea, start in ((sea, start) for sea in range(len(fields)) for start in (0, 1)):
        month = PRIOR_OF_MOVING + fields[sea, start].astype(np.float32)
        for row in range(0, MOVING_SIDE, size):
            for col in range(0, MOVING_SIDE, size):
                truth = month[:, row : row + size, col : col + size]
                sst = _observed(truth, ocean, clouds, rng).astype(np.float32)
                prior = np.full(truth.shape, PRIOR_OF_MOVING, np.float32)
                name = f"sea {sea}, day {start * MOVING_APART}, window {row}, {col}"
                months.append(Month(sst, ocean, prior, truth.mean(0), None, name, truth))
    return months


def cloudy(clouds):
    """Those of the clouds (n, H, W), True = observed, that make the cloudy regime."""
    few = clouds[clouds.mean((1, 2)) < CLOUDY]
    if len(few) == 0:
        raise ValueError(
            f"clouds holds no day that sees less than {CLOUDY} of its cells; take those of a "
            "cloudier sea or season"
        )
    return few


def _check_regime(regime):
    if regime not in REGIMES:
        raise ValueError(f"regime must be 'cloudy' or 'clear', got {regime!r}")


MONTHS = {"benchmark": benchmark_months, "simulated": simulated_months}
