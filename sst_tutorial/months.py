"""From one month of gappy anomalies to what the network reads, and back to kelvin.

`predict` is the one path from observations to a monthly map: training, evaluation and
`reconstruct` all use it. The network reads anomalies divided by a fixed `scale` and learns what a
cheap first guess gets wrong (chapters *Tensors of the sea*, *The loss and the loop*).
`MonthDataset` serves the calendar months of your own series to a PyTorch `DataLoader`.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Tensor
from torch.utils.data import Dataset

from sst_tutorial.baselines import background, gaussian_mean
from sst_tutorial.data import climatology_for
from sst_tutorial.model import SpatioTemporalModel

DAYS = 31  # every month is padded to this length


@dataclass(frozen=True)
class Settings:
    """What belongs to a set of weights beside the weights.

    scale: K by which anomalies are divided, about their spread in the training data.
    """

    scale: float = 1.0

    def __post_init__(self):
        if not self.scale > 0:
            raise ValueError(f"scale must be positive, got {self.scale}")


def predict(
    model: SpatioTemporalModel,
    settings: Settings,
    anomaly: Tensor,
    missing: Tensor,
    land: Tensor,
    days_mask: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Mean anomaly of the month, and the first guess the network started from: two (B, H, W) in K.

    anomaly: (B, T, H, W) K, anything where missing. missing: same shape, bool, True = cloud or
    land. land: (B, H, W) bool. days_mask: (B, T) bool, True = a day that does not exist.

    The first guess is the space-time Gaussian, or, for a model with passes, its own corrections.
    """
    missing = missing | land[:, None]
    if days_mask is not None:
        missing = missing | days_mask[:, :, None, None]
    data = (anomaly / settings.scale)[:, None]  # (B, 1, T, H, W)
    if model.corrections is not None:
        maps = model(data, missing[:, None], land, days_mask, return_first_guess=True)
        monthly, first_guess = (settings.scale * x for x in maps)
        return monthly, first_guess
    first_guess = gaussian_mean(anomaly, ~missing, days_mask=days_mask)  # (B, H, W)
    residual = model(data, missing[:, None], land, days_mask)  # (B, H, W)
    return first_guess + settings.scale * residual, first_guess


def padded_month(values, seen, day, length: int) -> tuple[np.ndarray, ...]:
    """A month as the network wants it: always `DAYS` long, 0 where nothing was seen.

    values: (t, H, W) K of the t days there are. seen: the same shape, bool. day: (t,) their places
    in the month, from 0; the others count as not seen. length: days of the month. Returns anomaly
    (T, H, W) float32, missing (T, H, W) bool, days_mask (T,) bool, True = no such day.
    """
    anomaly = np.zeros((DAYS, *values.shape[1:]), "float32")
    missing = np.ones(anomaly.shape, dtype=bool)
    anomaly[day], missing[day] = np.where(seen, values, 0.0), ~seen
    return anomaly, missing, np.arange(DAYS) >= length


class MonthDataset(Dataset):
    """The calendar months of a series of gappy daily maps, each with the truth that is known.

    Item i is a dict of tensors, ready for the default collate of `DataLoader`:
    anomaly (T, H, W) K, 0 where missing; missing (T, H, W) bool; land (H, W) bool; days_mask (T,)
    bool, True = padding of a short month; target (H, W) K, the mean anomaly of the complete days;
    baseline (H, W) K, the space-time Gaussian; prior (H, W) degC, what to add for a temperature.
    T is always 31.

    Args:
        gappy: `sst` (time, lat, lon) degC with gaps and `ocean_mask`, as `observe` returns it.
        complete: the same days without gaps, the truth.
        climatology: of `daily_climatology`, or None: a smooth background of the month itself.
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
            raise ValueError(f"years={years} leaves no day of the series")
        self.gappy, self.complete, self.climatology = gappy, complete, climatology
        self.ocean = gappy["ocean_mask"].values
        self.month_of_day = pd.DatetimeIndex(gappy["time"].values).to_period("M")
        self.months = self.month_of_day.unique()

    def __len__(self) -> int:
        return len(self.months)

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        days = np.flatnonzero(self.month_of_day == self.months[i])
        sst = self.gappy["sst"].isel(time=days).values  # (t, H, W), t <= 31
        truth = self.complete["sst"].isel(time=days).values
        prior = self._prior(sst, self.gappy["time"].isel(time=days))
        seen = np.isfinite(sst) & self.ocean
        month = self.months[i]
        day = self.gappy.indexes["time"].day[days] - 1
        anomaly, missing, days_mask = padded_month(sst - prior, seen, day, month.days_in_month)
        target = np.where(self.ocean, (truth - prior).mean(0), 0.0).astype("float32")
        if not np.isfinite(target).all():
            raise ValueError(
                f"complete or climatology has gaps over the ocean in {month}: fill them first, a "
                "target must be known everywhere"
            )
        item = {
            "anomaly": torch.from_numpy(anomaly),
            "missing": torch.from_numpy(missing),
            "land": torch.from_numpy(~self.ocean),
            "days_mask": torch.from_numpy(days_mask),
            "target": torch.from_numpy(target),
            "prior": torch.from_numpy(prior.mean(0).astype("float32")),
        }
        item["baseline"] = gaussian_mean(
            item["anomaly"][None], ~item["missing"][None], days_mask=item["days_mask"][None]
        )[0]
        return item

    def _prior(self, sst, time) -> np.ndarray:
        if self.climatology is None:
            return background(sst, self.ocean)
        return climatology_for(self.climatology, time).values
