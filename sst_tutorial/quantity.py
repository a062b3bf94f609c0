"""What is mapped: a quantity, its words, its limits, and how much of it counts as one kelvin.

Temperature is the one that the package was made for. Any other one that has anomalies (salinity,
sea level, log10 of chlorophyll) keeps its numbers everywhere, in `daily["sst"]` and in a `Month`
too; only networks see them divided by `unit`, the spread of the file's own anomalies: they learned
from anomalies of about 1 K, and their learned widths bend with the spread they meet. Limits are
those of the file, widened by its range: nobody knows here what the quantity can be.
"""

from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from sst_tutorial.plausible import COLDEST, HOTTEST

TEMPERATURE_UNITS = {"degree_Celsius", "degrees_Celsius", "degC", "celsius"}
# Names that the output of `reconstruct` gives to something else.
TAKEN = {"first_guess", "n_observed", "observed", "time", "lat", "lon", "month", "bnds"}
TAKEN |= {"time_bnds", "month_bnds"}
MEDIAN = (
    "10 to the power of a mean of log10: the geometric mean, and where log10 is spread evenly to "
    "both sides the median; the arithmetic mean is larger"
)


@dataclass(frozen=True)
class Quantity:
    """name, units, standard_name and long_name of the variable as its file has it.

    transform: "log10" where `sst` holds log10 of it. low, high: what its values (after `transform`)
    may be; an answer may leave them by `margin`. typical: stands for a month of which nothing is
    known. unit: how much counts as 1 K for networks and for the floor of the smooth prior.
    """

    name: str = "sst"
    units: str = "degree_Celsius"
    standard_name: str = "sea_surface_temperature"
    long_name: str = "sea surface temperature"
    transform: str = ""
    low: float = COLDEST
    high: float = HOTTEST
    margin: float = 5.0
    typical: float = 18.0  # global mean SST
    unit: float = 1.0

    @classmethod
    def of(cls, daily: xr.Dataset) -> "Quantity":
        """That of what `open_sst` returns; limits of another variable come by `measured`."""
        known = daily.attrs
        if "variable" not in known:
            return SST
        words = (known.get(f"variable_{key}", "") for key in ("units", "standard_name"))
        long_name = known.get("variable_long_name", known["variable"])
        transform = known.get("transform", "")
        return cls(known["variable"], *words, long_name, transform, -np.inf, np.inf, 0.0, 0.0)

    @property
    def is_sst(self) -> bool:
        return self.name == SST.name and self.units == SST.units

    @property
    def units_inside(self) -> str:
        """Those of the values that the package works on; log10 in the way of UDUNITS."""
        return f"lg(re {self.units})" if self.transform else self.units

    def attributes(self) -> dict:
        """What a Dataset must carry for `of` to find the quantity again."""
        words = {"units": self.units, "standard_name": self.standard_name}
        words |= {"long_name": self.long_name}
        said = {"variable": self.name} | {f"variable_{k}": v for k, v in words.items() if v}
        return said | ({"transform": self.transform} if self.transform else {})

    def measured(self, values, anomalies) -> "Quantity":
        """With limits from all that is known of the quantity, and the unit from its anomalies.

        values: (N,), anomalies: (N,), finite. Of no anomaly, or anomalies without spread, 1.
        """
        if not len(values):
            return self
        low, high = float(np.min(values)), float(np.max(values))
        spread = float(np.std(anomalies, dtype=float)) if len(anomalies) else 0.0
        # Anomalies below the rounding of float32 are none: of a constant sea, for example.
        unit = spread if spread > 1e-6 * max(abs(low), abs(high)) else 1.0
        wide = max(high - low, unit)
        return replace(
            self, low=low - wide, high=high + wide, margin=5 * unit, unit=unit,
            typical=float(np.mean(values, dtype=float)),
        )  # fmt: skip

    def check(self, name: str, values) -> None:
        """ValueError where one of `values`, NaN apart, is outside low..high."""
        lowest, highest = np.nanmin(values, initial=np.inf), np.nanmax(values, initial=-np.inf)
        if lowest >= self.low and highest <= self.high or lowest > highest:
            return
        odd = highest if highest > self.high else lowest
        if self.is_sst:
            raise ValueError(
                f"{name} must be a sea in degC, {self.low:g} to {self.high:g}, but holds "
                f"{odd:.1f}; if it is in K, subtract 273.15; a fill value must become NaN"
            )
        raise ValueError(
            f"{name} must be {self.name} in {self.units_inside!r}, {self.low:.4g} to "
            f"{self.high:.4g} by the file's own values, but holds {odd:.4g}; a fill value must "
            "become NaN"
        )

    def outwards(self, values):
        """Values as the file has them: `transform` undone."""
        return np.power(10.0, values, dtype=np.float32) if self.transform else values

    def named(self) -> str:
        """The name of the variable in an output."""
        return f"{self.name}_complete" if self.name in TAKEN else self.name

    def labels(self, long_name: str) -> dict:
        """CF attributes of a map of it: `long_name` has a gap where the name goes."""
        labels = {"units": self.units, "long_name": long_name.format(self.long_name)}
        if self.standard_name:
            labels = {"standard_name": self.standard_name} | labels
        return labels | ({"comment": MEDIAN} if self.transform else {})


SST = Quantity()
