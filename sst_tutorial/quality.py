"""Which pixels of a product to trust: its quality levels, its bias and its error.

A product that grades its pixels is read as its makers advise, the two best grades, and says so.
"""

import re
from dataclasses import dataclass

import numpy as np
import xarray as xr

_NAME = re.compile(r"qual|proximity_confidence|^dqf$", re.I)
_NO_SCALE = re.compile(r"sses|bits?$|file_quality", re.I)
_BEST = re.compile(r"(best|good|acceptable|excellent|optimal|high)(_|$)", re.I)
_RISING = re.compile(r"quality_level|proximity_confidence", re.I)  # GHRSST: 0 no data .. 5 best
_FALLING = re.compile(r"^qual_", re.I)  # NASA: 0 best .. 4 failure


def numbers(attribute) -> np.ndarray:
    """The numbers of an attribute, written as numbers or as text such as "1b, 2b, 4b"."""
    if isinstance(attribute, str):
        found = re.findall(r"[-+]?\d+\.?\d*(?:e[-+]?\d+)?", attribute, re.I)
        return np.array([float(n) for n in found])
    values = np.atleast_1d(attribute)
    return values if values.dtype.kind in "biuf" else np.array([])


def find_quality(ds: xr.Dataset, sst: xr.DataArray, grid: list) -> str | None:
    """Name of the variable that grades the pixels of `sst`, if there is one."""
    helpers = str(sst.attrs.get("ancillary_variables", "")).split()
    own = str(sst.name).lower()

    def belongs(name) -> bool:
        about = re.match(r"qual_(.+)|(.+)_qual", str(name).lower())
        about = next((g for g in about.groups() if g), "") if about else ""
        return (
            not re.search(r"sst|chl|temp", about)
            or about in own
            or (about, own)
            == (
                "sst",
                "sea_surface_temperature",
            )
        )

    found = [
        str(k)
        for k, v in ds.variables.items()
        if k != sst.name
        and set(grid) <= set(v.dims)
        and set(v.dims) <= set(sst.dims)
        and v.dtype.kind in "iuf"
        and (_NAME.search(str(k)) or "quality_flag" in str(v.attrs.get("standard_name")))
        and not _NO_SCALE.search(str(k))
        and belongs(k)
    ]
    rank = {
        k: (k not in helpers, own not in k.lower(), k.lower() != "quality_level") for k in found
    }
    return min(found, key=rank.get, default=None)


@dataclass(frozen=True)
class Rule:
    """Which pixels are taken: those whose `name` is `limit` or better."""

    name: str
    rising: bool | None  # is a high grade a good one? None = the file does not tell
    limit: float | None  # the worst grade taken; None = all

    @classmethod
    def of(cls, levels: xr.DataArray | None, quality, where: str):
        """The rule for a file whose grades are `levels`, or None where it has none.

        quality : None for the two best grades of the scale; a grade of the file, the worst to take
        (">=3" or "<=3" where the file does not tell its sense); "none" for all.
        """
        asked, limit = _asked(quality)
        if levels is None:
            if limit is not None:
                raise ValueError(f"quality={quality!r}: {where} has no variable of grades")
            return None
        rising, default = _scale(levels)
        if asked == "none":
            return cls(str(levels.name), rising, None)
        rising = rising if asked is None else asked
        if rising is None and limit is not None:
            raise ValueError(
                f"quality={quality!r}: {where} does not tell whether a high {levels.name} is good; "
                f"say quality='>={limit:g}' or quality='<={limit:g}'"
            )
        return cls(str(levels.name), rising, default if limit is None else limit)

    def grade(self, levels: xr.DataArray) -> xr.DataArray:
        """Grades of which a higher one is better."""
        return levels if self.rising else -levels.astype(float)

    def keeps(self, levels: xr.DataArray) -> xr.DataArray:
        return levels >= self.limit if self.rising else levels <= self.limit

    def __str__(self) -> str:
        return f"{self.name} {'>=' if self.rising else '<='} {self.limit:g}"


def _asked(quality):
    """("none" | True for ">=" | False for "<=" | None, the grade | None)."""
    if quality is None:
        return None, None
    text = str(quality).strip().lower()
    if text in {"none", "all", "off"}:
        return "none", None
    found = re.fullmatch(r"(>=|<=)?\s*(\d+(?:\.0*)?)", text)
    if not found or isinstance(quality, bool):
        raise ValueError(
            f"quality={quality!r} is no grade; give one of the file's, such as 4, or 'none'"
        )
    sense, grade = found.groups()
    return None if sense is None else sense == ">=", float(grade)


def _scale(levels: xr.DataArray) -> tuple[bool | None, float | None]:
    """Is a high grade good, and the worst grade to take by default; None = not told."""
    meanings = re.split(r"[\s,;]+", str(levels.attrs.get("flag_meanings", "")).strip())
    values = numbers(levels.attrs.get("flag_values", []))
    if values.size == len(meanings) > 1:
        good = np.array([bool(_BEST.match(m)) for m in meanings])
        if good.any() and not good.all():
            rising = bool(values[good].mean() > values[~good].mean())
            return rising, float(values[good].min() if rising else values[good].max())
    said = " ".join(str(levels.attrs.get(k, "")) for k in ("long_name", "comment", "description"))
    if _FALLING.search(str(levels.name)) or re.search(r"\b0\W*(is|=|:)?\W*(best|good)", said, re.I):
        return False, 1.0
    if _RISING.search(str(levels.name)):
        return True, 4.0
    return None, None
