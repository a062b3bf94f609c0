"""One month, twice: `Month` in degC (numpy) for people, `Batch` in K (torch) for networks.

Of another variable (`quantity.py`) a `Month` has its units, a `Batch` spreads of its anomalies.

`Batch.of(months)` is the only way from one to the other and the only place where anything is
padded. Both are checked once, when they are made, so that what works on them needs no guards.
Masks have one polarity: `observed`, `ocean` and `exists` are True where there is something.
Chapter *Tensors of the sea*.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Tensor
from torch.utils.data import Dataset

from sst_tutorial.prior import climatology_for, is_global, month_prior
from sst_tutorial.quantity import SST, Quantity

DAYS = 31  # every month of a batch is padded to this length


@dataclass(frozen=True)
class Month:
    """One calendar month of gappy daily maps, what was known before, and the truth if it is known.

    Args:
        sst: (T, H, W) degC, anything that is not finite = gap; days that are absent are all gaps.
        ocean: (H, W) bool, True = sea; what stands on land is forgotten.
        prior: (T, H, W) degC, finite over the ocean; None = the smooth prior of the month itself.
        truth: (H, W) degC, the mean of all days, finite over the ocean, or None.
        lat: (H,) degrees north, or None.
        name: what messages and tables call it.
        truth_of_days: (T, H, W) degC, the truth of each day where it is known, or None.
        quantity: what all of these are; another one than temperature has its own units and limits.
        error: (T, H, W) K, standard deviation of each observation where the product tells it (NaN
            or 0 = it does not), or None.

    Raises ValueError, naming what was seen, where shapes or types do not fit and where a value is
    outside the limits of its quantity (-5 to 50 degC): kelvin and fill values end here.
    """

    sst: np.ndarray
    ocean: np.ndarray
    prior: np.ndarray | None = None
    truth: np.ndarray | None = None
    lat: np.ndarray | None = None
    name: str = "the month"
    truth_of_days: np.ndarray | None = None
    quantity: Quantity = SST
    error: np.ndarray | None = None

    def __post_init__(self):
        sst, ocean = np.asarray(self.sst), np.asarray(self.ocean)
        if sst.ndim != 3 or not 1 <= len(sst) <= DAYS:
            raise ValueError(f"sst must be (T, H, W) with 1 to {DAYS} days, got shape {sst.shape}")
        if ocean.shape != sst.shape[1:] or ocean.dtype != bool:
            raise ValueError(
                f"ocean must be bool of shape {sst.shape[1:]}, True = sea, "
                f"got {ocean.dtype} {ocean.shape}"
            )
        # Always a copy: what the caller does with its array later must not change the month.
        sst = np.where(ocean & np.isfinite(sst), sst, np.nan)
        self.quantity.check(f"sst of {self.name}", sst)
        prior = self.prior
        if prior is None:
            prior = month_prior(sst, ocean, quantity=self.quantity)
        prior = np.asarray(prior)
        self._check_field("prior", prior, sst.shape, ocean)
        if self.truth is not None:
            self._check_field("truth", np.asarray(self.truth), ocean.shape, ocean)
        if self.truth_of_days is not None:
            days = np.asarray(self.truth_of_days)
            self._check_field("truth_of_days", days, sst.shape, ocean)
        if self.error is not None and np.shape(self.error) != sst.shape:
            raise ValueError(
                f"error of {self.name} must have shape {sst.shape}, got {np.shape(self.error)}"
            )
        for name, value in (("sst", sst), ("ocean", ocean), ("prior", prior)):
            object.__setattr__(self, name, value)  # the class is frozen for everybody else

    def _check_field(self, name, field, shape, ocean):
        if field.shape != shape:
            raise ValueError(f"{name} of {self.name} must have shape {shape}, got {field.shape}")
        known = field[..., ocean]
        if not np.isfinite(known).all():
            raise ValueError(f"{name} of {self.name} has gaps over the ocean: fill them first")
        self.quantity.check(f"{name} of {self.name}", known)

    @property
    def observed(self) -> np.ndarray:
        """(T, H, W) bool, True = seen; never on land."""
        return np.isfinite(self.sst)

    @property
    def prior_mean(self) -> np.ndarray:
        """(H, W) degC, the mean of the prior over the days."""
        return self.prior.mean(0, dtype=np.float64)

    @property
    def anomaly(self) -> np.ndarray:
        """(T, H, W) K, observations minus prior, NaN = gap."""
        return self.sst - self.prior

    def complete(self, anomaly) -> np.ndarray:
        """Prior mean plus a mean anomaly (H, W) K: degC over the ocean, NaN on land."""
        return np.where(self.ocean, self.prior_mean + anomaly, np.nan)

    def cut(self, rows, cols) -> "Month":
        """The same month on some rows and columns (index arrays or slices)."""
        part = np.ix_(rows, cols) if isinstance(rows, np.ndarray) else (rows, cols)
        return Month(
            self.sst[:, *part],
            self.ocean[part],
            self.prior[:, *part],
            None if self.truth is None else self.truth[part],
            None if self.lat is None else self.lat[rows],
            self.name,
            None if self.truth_of_days is None else self.truth_of_days[:, *part],
            self.quantity,
            None if self.error is None else self.error[:, *part],
        )

    def of_day(self, day: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Prior (H, W) degC of one day, counted from 0, and its truth or None."""
        if not 0 <= day < len(self.sst):
            raise ValueError(f"day={day}: {self.name} has days 0 to {len(self.sst) - 1}")
        known = self.truth_of_days
        return self.prior[day], None if known is None else known[day]


@dataclass(frozen=True)
class Batch:
    """Months as a network reads them: anomalies in K on one device, padded to one shape.

    anomaly (B, T, H, W) K, 0 where not observed. observed (B, T, H, W) bool, True = seen.
    ocean (B, H, W) bool, True = sea. exists (B, T) bool, True = a day of the month (False pads
    short months). wanted (B, T) bool, True = a day whose mean is asked; None = the whole month.
    target (B, H, W) K, the mean anomaly of the days asked for, 0 on land, or None. prior (B, H, W)
    degC, the prior's mean over them, what to add for a temperature, or None. truth (B, T, H, W) K,
    the anomalies of all days of a training sample, or None. error (B, T, H, W) K, the standard
    deviation of each observation, 0 where nobody tells it, or None. Of another variable K stands
    for `quantity.unit` and degC for its own units.
    """

    anomaly: Tensor
    observed: Tensor
    ocean: Tensor
    exists: Tensor
    wanted: Tensor | None = None
    target: Tensor | None = None
    prior: Tensor | None = None
    truth: Tensor | None = None
    error: Tensor | None = None

    def __post_init__(self):
        if self.anomaly.ndim != 4:
            raise ValueError(f"anomaly must be (B, T, H, W), got shape {tuple(self.anomaly.shape)}")
        B, T, H, W = self.anomaly.shape
        masks = {"observed": (B, T, H, W), "ocean": (B, H, W), "exists": (B, T), "wanted": (B, T)}
        maps = {"target": (B, H, W), "prior": (B, H, W)}
        maps |= {"truth": (B, T, H, W), "error": (B, T, H, W)}
        for name, shape in (masks | maps).items():
            tensor = getattr(self, name)
            if tensor is None and (name in maps or name == "wanted"):
                continue
            if tuple(tensor.shape) != shape or (name in masks and tensor.dtype != torch.bool):
                kind = "bool " * (name in masks)
                raise ValueError(
                    f"{name} must be {kind}{shape}, got {tensor.dtype} {tuple(tensor.shape)}"
                )

    @classmethod
    def of(
        cls, months: Sequence[Month], patch=(1, 1, 1), device="cpu", day: int | None = None
    ) -> "Batch":
        """The only crossing from degC to K, from numpy to torch, and the only padding.

        Days are padded to `DAYS`, rows and columns to those of the largest month, all of them up
        to whole patches (Pt, Ph, Pw). Padding is no ocean, was not observed and does not exist.
        day: ask for the map of this day, counted from 0, instead of the month's mean.
        """
        months = list(months)
        if not months:
            raise ValueError("months is empty: give at least one Month")
        largest = np.max([(DAYS, *month.ocean.shape) for month in months], axis=0)
        T, H, W = (-(-n // p) * p for n, p in zip(largest, patch, strict=True))
        B = len(months)
        anomaly = np.zeros((B, T, H, W), np.float32)
        observed = np.zeros((B, T, H, W), bool)
        ocean, exists = np.zeros((B, H, W), bool), np.zeros((B, T), bool)
        target, prior = np.zeros((B, H, W), np.float32), np.zeros((B, H, W), np.float32)
        told = any(month.error is not None for month in months)
        error = np.zeros_like(anomaly) if told else None
        for b, month in enumerate(months):
            t, h, w = month.sst.shape
            seen = month.observed
            unit = month.quantity.unit
            anomaly[b, :t, :h, :w] = np.where(seen, month.anomaly, 0.0) / unit
            observed[b, :t, :h, :w] = seen
            ocean[b, :h, :w], exists[b, :t] = month.ocean, True
            if month.error is not None:
                known = seen & (month.error > 0) & np.isfinite(month.error)
                error[b, :t, :h, :w] = np.where(known, month.error, 0.0) / unit
            mean, truth = (month.prior_mean, month.truth) if day is None else month.of_day(day)
            prior[b, :h, :w] = np.where(month.ocean, mean, 0.0)
            if truth is None:
                target = None
            elif target is not None:
                target[b, :h, :w] = np.where(month.ocean, truth - mean, 0.0) / unit
        wanted = None if day is None else exists & (np.arange(T) == day)  # (B, T)
        arrays = (anomaly, observed, ocean, exists, wanted, target, prior, None, error)
        return cls(*(None if x is None else torch.from_numpy(x).to(device) for x in arrays))

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What an estimator is called with: anomaly, observed, ocean, exists, and wanted if any."""
        inputs = (self.anomaly, self.observed, self.ocean, self.exists)
        return inputs if self.wanted is None else (*inputs, self.wanted)

    def __len__(self) -> int:
        return len(self.anomaly)

    def __getitem__(self, index) -> "Batch":
        """Some of its samples: a slice or an index tensor."""
        parts = (getattr(self, field.name) for field in fields(self))
        return Batch(*(None if x is None else x[index] for x in parts))


# ---------------------------------------------------------------- months of a series


def month_of(
    daily: xr.Dataset,
    period: pd.Period,
    climatology=None,
    truth=None,
    quantity: Quantity = SST,
    smooth=None,
) -> Month:
    """One calendar month of a tidy series (`open_sst` returns one), absent days being gaps.

    climatology: (dayofyear, lat, lon) degC on the same grid, or (time, lat, lon) of all days of the
    month, or None. truth: (H, W) or None. quantity: what `daily` holds, see
    `reconstruction.quantity_of`. smooth: as for `month_prior`.
    """
    days = pd.date_range(period.start_time, periods=period.days_in_month)
    ocean = daily["ocean_mask"].values
    index = daily.indexes["time"]
    begin, end = index.searchsorted([days[0], days[-1] + pd.Timedelta(days=1)])
    here = daily["sst"].isel(time=slice(begin, end))  # a slice copies nothing
    sst = np.full((len(days), *ocean.shape), np.nan, dtype=np.float32)  # (T, H, W)
    sst[index[begin:end].day - 1] = here.values
    sst[~(ocean & np.isfinite(sst))] = np.nan
    error = None
    if "sst_error" in daily:
        error = np.full_like(sst, np.nan)  # (T, H, W)
        error[index[begin:end].day - 1] = daily["sst_error"].isel(time=slice(begin, end)).values
    if climatology is not None:
        if "time" not in climatology.dims:
            climatology = climatology_for(climatology, days)
        climatology = climatology.values  # (T, H, W)
    wraps = is_global(daily["lon"].values)
    prior = month_prior(sst, ocean, climatology, wraps, quantity, smooth)
    lat = daily["lat"].values
    return Month(sst, ocean, prior, truth, lat, str(period), quantity=quantity, error=error)


class MonthDataset(Dataset):
    """The calendar months of a series of gappy daily maps, each a `Month` with its truth.

    For a PyTorch loader: `DataLoader(months, batch_size=8, collate_fn=Batch.of)`.

    Args:
        gappy: `sst` (time, lat, lon) degC with gaps and `ocean_mask`, as `observe` returns it.
        complete: the same days without gaps, the truth.
        climatology: of `daily_climatology`, or None: a smooth prior of the month itself.
        years: (first, last) year, both included, to split by time; None = all.
    """

    def __init__(self, gappy: xr.Dataset, complete: xr.Dataset, climatology=None, years=None):
        if not np.array_equal(gappy["time"].values, complete["time"].values):
            raise ValueError("gappy and complete must hold the same days; select them alike")
        if years is not None:
            first, last = (str(year) for year in years)
            gappy = gappy.sel(time=slice(first, last))
            complete = complete.sel(time=slice(first, last))
        if gappy.sizes["time"] == 0:
            raise ValueError(f"years={years} leaves no day of the series; choose years that it has")
        self.gappy, self.complete, self.climatology = gappy, complete, climatology
        self.periods = gappy.indexes["time"].to_period("M").unique()

    def __len__(self) -> int:
        return len(self.periods)

    def __getitem__(self, i: int) -> Month:
        period = self.periods[i]
        month = month_of(self.gappy, period, self.climatology)
        here = self.complete["sst"].sel(time=self.complete.indexes["time"].to_period("M") == period)
        # An anomaly of the days there are: in part of a month, the season is no anomaly.
        departure = here.values - month.prior[here.indexes["time"].day - 1]  # (t, H, W)
        return replace(month, truth=month.prior_mean + departure.mean(0))
