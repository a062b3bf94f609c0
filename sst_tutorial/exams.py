"""Exams: fixed lists of questions by which methods are compared.

A question is the mean of a month, or the map of one of its days. Each exam has a version, a seed,
and a twin for choices, made in the same way from other years or another seed: whoever chooses a
setting by the twin may report the exam itself.

    smooth     48 months of real analyses off Tasmania, 2013-2016 (twin: 2011-2012)
    lasting    the same sea and years under clouds that stay for 1 to 8 days
    moving     192 windows of seas that move, cells of 8 km
    fine       real fine maps; observations withheld below moved clouds are the truth
    elsewhere  seas and settings that no network of this package was trained on
    simulated  the months of `elsewhere` that need no data and a second to make

All but the last need the shared data. The seed and the version of an exam are part of each record.

Turbulence amplifies rounding: on another kind of machine the seed of a sea that moves makes other
months of the same sea. They are made once and kept on disk (`kept.py`); where the files are carried
along, the exam is the same to the last digit. How much may hang on it: optimal interpolation has
0.199 K (month) and 0.435 K (day) on the twin of `moving`, 0.212 K and 0.464 K on the exam, which
differ by nothing but their seeds. Six seas are few: compare methods on the same months, in pairs.

Chapter *Judging a reconstruction*.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
import torch
import xarray as xr

from sst_tutorial.benchmark import (
    MIDDLE_DAY,
    MOVING_TEST,
    MOVING_VALIDATION,
    REGIMES,
    benchmark_module,
    benchmark_months,
    cloudy,
    data_file,
    moving_fields,
    moving_months,
    of_years,
    simulated_months,
    under_lasting_clouds,
    validation_months,
)
from sst_tutorial.coast import ocean_mask
from sst_tutorial.data import open_sst
from sst_tutorial.kept import kept
from sst_tutorial.months import Month
from sst_tutorial.prior import daily_climatology

LEARNED, CHOSEN_BY = (1982, 2010), (2011, 2012)  # years off Tasmania
STAYS = (1, 2, 3, 4, 6, 8)  # days that the clouds of `lasting` stay
# Training moves with 0.24 m/s and a memory of 25 days in cells of 4 to 16 km. Two months of two
# seas each: they tell 5 % between methods; an interval from so few comes out too narrow.
OTHER_SEAS = {
    "4 km": {"cell_km": 4.0},
    "16 km": {"cell_km": 16.0},
    "25 km": {"cell_km": 25.0},
    "0.1 m/s": {"speed": 0.1},
    "0.5 m/s": {"speed": 0.5},
    "memory 8 days": {"memory_days": 8.0},
    "memory 80 days": {"memory_days": 80.0},
}


@dataclass(frozen=True)
class Question:
    """One map that is asked of a method.

    month: what the method sees. day: None = the mean of the month, else the map of this day,
    counted from 0. truth: (H, W) degC, NaN = not judged there; None = the month's own. unit: what
    is drawn together when an interval is estimated; None = the month alone.
    """

    month: Month
    day: int | None = None
    truth: np.ndarray | None = None
    unit: str | None = None

    def __post_init__(self):
        truth, month = self.truth, self.month
        if truth is None:
            truth = month.truth if self.day is None else month.of_day(self.day)[1]
        if truth is None:
            raise ValueError(f"{month.name} has no truth to judge by; give one")
        if truth.shape != month.ocean.shape:
            raise ValueError(
                f"truth of {month.name} must have shape {month.ocean.shape}, got {truth.shape}"
            )
        object.__setattr__(self, "truth", truth)

    @property
    def judged(self) -> np.ndarray:
        """(H, W) bool, True = the truth is known here."""
        return self.month.ocean & np.isfinite(self.truth)


@dataclass(frozen=True)
class Exam:
    """Questions in groups, each of its own kind of month.

    version: changes with anything that changes a number. seeds: of the exam and of its twin.
    groups: names. make(group, twin): its questions, {"month": [...], "day": [...]} or one of them.
    block: units, in their order, that are alike and are drawn together for an interval.
    """

    version: int
    seeds: tuple[int, int]
    groups: tuple[str, ...]
    make: Callable[[str, bool], dict[str, list[Question]]]
    block: int = 3

    def questions(self, group: str, twin: bool = False) -> dict[str, list[Question]]:
        """Those of a group; ValueError names the groups where there is no such one."""
        if group not in self.groups:
            raise ValueError(f"group must be one of {', '.join(self.groups)}, got {group!r}")
        return self.make(group, twin)


def month_and_day(months, unit: Callable[[str], str], day=MIDDLE_DAY) -> dict:
    """Both questions of months that know the truth of their days. unit: from a name to its unit."""
    return {
        "month": [Question(m, unit=unit(m.name)) for m in months],
        "day": [Question(m, day, unit=unit(m.name)) for m in months],
    }


def _before_the_comma(name):
    return name.split(",")[0]


# ---------------------------------------------------------------- off Tasmania


@cache  # both regimes and all of `lasting` start from it
def _smooth_months(regime: str, twin: bool) -> list[Month]:
    if not twin:
        return benchmark_months(regime)
    daily = open_sst(data_file("oisst_tasmania_1982_2016.nc"))
    climatology = daily_climatology(daily, LEARNED)
    clouds = benchmark_module().cloud_windows()
    clouds = cloudy(clouds) if regime == "cloudy" else clouds
    # The first of the draws by which every training run is judged, see `runs.validation_batches`.
    seed = {"cloudy": 5, "clear": 6}[regime]
    return validation_months(of_years(daily, CHOSEN_BY), climatology, clouds, draws=2, seed=seed)


def _smooth(regime, twin):
    return month_and_day(_smooth_months(regime, twin), _before_the_comma)


def _lasting(group, twin):
    stay = int(group.split()[0])
    clouds = cloudy(benchmark_module().cloud_windows())
    rng = np.random.default_rng([LASTING.seeds[twin], stay])
    months = _smooth_months("cloudy", twin)
    months = [under_lasting_clouds(month, clouds, stay, rng) for month in months]
    return month_and_day(months, _before_the_comma)


# ---------------------------------------------------------------- seas that move


def _moving(twin, seeds, version, seas, name="moving", **sea):
    """Windows of seas whose fields are kept on disk, in half precision."""
    seed = seeds[twin]
    about = {"version": version, "seed": seed, "seas": seas, **sea}
    device = "cuda" if torch.cuda.is_available() else "cpu"
    make = partial(moving_fields, seed, seas, device, **sea)
    fields = kept(name, about, lambda: make().astype(np.float16))
    months = moving_months(benchmark_module().cloud_windows(), seed, fields=fields)
    return month_and_day(months, lambda name: name.split(", window")[0])


# ---------------------------------------------------------------- fine and real

SCENES = {False: ("NE_atl", "NW_med"), True: ("Norwegian_Sea", "Alboran")}
SIDE, WELL_SEEN, LEAST = 64, 0.9, 50  # of a window of a scene; of its ocean; cells to judge by
DRAWS = 4  # of clouds for each month off Alboran


def _fine(group, twin):
    rng = np.random.default_rng(FINE.seeds[twin])
    return _below_clouds_of_other_scenes(twin, rng) if group == "scenes" else _alboran(twin, rng)


def _alboran(twin, rng):
    """Days of the Alboran Sea in cells of 1/16 degree, each hidden by the clouds of another day of
    its month as well. The truth is what that withheld, so that all errors hold the noise of single
    retrievals. The month is not asked: nobody knows it, since its mean over the days that a cell
    was seen is another thing where the sea warms by some degrees in a month."""
    daily = open_sst(data_file("alboran_l3s_2022_jja.nc"))
    ocean, questions = daily["ocean_mask"].values, []
    for month in (6,) if twin else (7, 8):
        here = daily.isel(time=daily["time"].dt.month == month)
        sst, name = here["sst"].values, f"2022-{month:02}"
        for draw in range(DRAWS):
            sky = _elsewhere_in(len(sst), rng)
            left, withheld = under_other_skies(sst, ocean, sky)
            left = Month(left, ocean, name=f"{name}, clouds {draw}")
            for day in np.flatnonzero(np.isfinite(withheld).sum((1, 2)) >= LEAST):
                unit = f"{name}-{day + 1:02}"
                questions.append(Question(left, int(day), withheld[day], unit))
    return {"day": questions}


def under_other_skies(sst, ocean, sky):
    """(what is left, what is withheld), each (T, H, W) degC, NaN = not: each day is hidden by the
    clouds of day `sky` (T,) as well; a day that is its own stays as it was."""
    seen = np.isfinite(sst) & ocean
    other = seen[sky]
    return np.where(other, sst, np.nan), np.where(seen & ~other, sst, np.nan)


def _elsewhere_in(n, rng):
    """A permutation of n that leaves nothing in its place: one long circle, drawn at random."""
    order = rng.permutation(n)
    circle = np.empty(n, int)
    circle[order] = np.roll(order, 1)
    return circle


def _below_clouds_of_other_scenes(twin, rng, count=64):
    """Windows of single scenes, cells of about 1.2 km, hidden by the clouds of other windows. A
    scene is a month of one day. The truth is what was withheld, with its noise."""
    sst, oceans, names, clouds = [], [], [], []
    for scene in SCENES[twin]:
        path = data_file(f"slstr_clouds/slstr_L2_{scene}.nc")
        with xr.open_dataset(path, decode_timedelta=False) as data:
            field = data["SST_skin_Q4plus"].isel(time=0).values - 273.15
            lat, lon = data["lat_intern"].values, data["lon_intern"].values
        for row in range(0, len(lat) - SIDE + 1, SIDE):
            for col in range(0, len(lon) - SIDE + 1, SIDE):
                part = np.s_[row : row + SIDE, col : col + SIDE]
                seen = np.isfinite(field[part])
                if 0.1 < seen.mean() < 0.6:
                    clouds.append(seen)
                if seen.mean() < WELL_SEEN:  # so that it is of the ocean too
                    continue
                sst.append(field[part])
                oceans.append(seen | ocean_mask(lat[part[0]], lon[part[1]]))
                names.append(f"{scene} {row}, {col}")
    questions = []
    for i in np.sort(rng.permutation(len(sst))[:count]):
        other = clouds[rng.integers(len(clouds))]
        left = Month(np.where(other, sst[i], np.nan)[None], oceans[i], name=names[i])
        questions.append(Question(left, None, np.where(other, np.nan, sst[i])))
    return {"month": questions}


# ---------------------------------------------------------------- simulated


def _simulated(regime, twin):
    months = simulated_months(regime, seed=SIMULATED.seeds[twin])
    return {"month": [Question(month) for month in months]}


def _elsewhere(group, twin):
    if group.startswith("simulated"):
        return _simulated(group.split()[1], twin)
    number = list(OTHER_SEAS).index(group)
    seeds = [seed + 10 * number for seed in ELSEWHERE.seeds]
    return _moving(twin, seeds, ELSEWHERE.version, seas=2, **OTHER_SEAS[group])


# ---------------------------------------------------------------- all of them

SMOOTH = Exam(1, (2013, 5), REGIMES, _smooth)
LASTING = Exam(
    1, (9_000_002, 9_000_001), tuple(f"{n} day{'s' * (n > 1)}" for n in STAYS), _lasting
)
MOVING = Exam(
    2,
    (MOVING_TEST, MOVING_VALIDATION),
    ("8 km",),
    lambda group, twin: _moving(twin, MOVING.seeds, MOVING.version, seas=6),
    block=2,
)
FINE = Exam(1, (2022, 2021), ("Alboran", "scenes"), _fine)
SIMULATED = Exam(1, (1000, 3000), REGIMES, _simulated)
ELSEWHERE = Exam(
    2,
    (8_000_002, 8_000_001),
    (*(f"simulated {regime}" for regime in REGIMES), *OTHER_SEAS),
    _elsewhere,
    block=2,
)
EXAMS = {
    "smooth": SMOOTH,
    "lasting": LASTING,
    "moving": MOVING,
    "fine": FINE,
    "elsewhere": ELSEWHERE,
    "simulated": SIMULATED,
    "benchmark": SMOOTH,  # its name in version 0.1
}
