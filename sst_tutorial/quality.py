"""Which pixels of a product to trust: its quality levels, its bias and its error.

A product that grades its pixels is read as its makers advise, the two best grades, and says so.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

_NAME = re.compile(r"qual|confidence|^dqf$|_qc$|^qc(_|$)", re.I)
# Of clouds, not of grades: the last choice.
_CLOUD_NAME = re.compile(
    r"^(\w+_)?cloud_?(mask|flags?|screen|tests?|prob\w*|conf\w*)$|^clouds?$"
    r"|^prob\w*_of_(cloud|clear)\w*$|^clear_?sky_?(mask|flag|prob\w*|conf\w*)$",
    re.I,
)
_NO_SCALE = re.compile(r"sses|bits?$|file_quality", re.I)
_BEST = re.compile(
    r"(best|good|acceptable|excellent|optimal|high|pass(ed)?|valid|(confident(ly)?_)?clear"
    r"|(no|non|not)_cloudy?|cloud_?free)(_|$)",
    re.I,
)
_BAD = re.compile(
    r"(very_)?(bad|worst|poor|fail(ed)?|suspect|degraded|invalid)|cloud(y|s|_\w*contaminat\w*)?$",
    re.I,
)
_CLOUD_BIT = re.compile(r"(?!(no|non|not|un)_?cloud)(\w*_)?cloud(y|s)?(_\w+)?$", re.I)
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
    """Name of the variable that grades the pixels of `sst`, if there is one.

    It is known by its name or standard_name, or by flag_meanings that tell good pixels from bad.
    """
    helpers = str(sst.attrs.get("ancillary_variables", "")).split()
    own = str(sst.name).lower()
    fields = {  # that have grades of their own
        str(k).lower()
        for k, v in ds.data_vars.items()
        if len(str(k)) > 2 and v.ndim > 1 and (v.dtype.kind == "f" or "scale_factor" in v.attrs)
    }

    def belongs(name) -> bool:
        name = str(name).lower()
        about = re.match(r"qual_(.+)|(.+)_qual", name)
        about = next((g for g in about.groups() if g), "") if about else ""
        if re.search(r"sst|chl|temp", about) and about not in own:
            return (about, own) == ("sst", "sea_surface_temperature")
        return own in name or not any(k in name for k in fields - {name})  # "wind_speed_qc"

    found = [
        str(k)
        for k, v in ds.variables.items()
        if k != sst.name
        and set(grid) <= set(v.dims)
        and set(v.dims) <= set(sst.dims)
        and v.dtype.kind in "iuf"
        and _grades(str(k), v)
        and not _NO_SCALE.search(str(k))
        and (k in helpers or belongs(k))
    ]
    rank = {
        k: (
            not _NAME.search(k) and not _flags(ds[k])[0].size,
            k not in helpers,
            own not in k.lower(),
            k.lower() != "quality_level",
        )
        for k in found
    }
    return min(found, key=rank.get, default=None)


def _grades(name: str, variable: xr.Variable) -> bool:
    standard_name = str(variable.attrs.get("standard_name"))
    if _NAME.search(name) or re.search("quality_flag|temperature status_flag", standard_name):
        return True
    if _CLOUD_NAME.match(name) or _cloud_bits(variable):
        return True
    values, meanings = _flags(variable)
    good, bad = ([bool(words.match(m)) for m in meanings] for words in (_BEST, _BAD))
    return values.size > 0 and any(good) and any(bad)


def _flags(levels) -> tuple[np.ndarray, list[str]]:
    """flag_values and the meaning of each; none where they do not fit together."""
    values, meanings = numbers(levels.attrs.get("flag_values", [])), _meanings(levels)
    return (values, meanings) if values.size == len(meanings) > 1 else (np.array([]), [])


def _meanings(levels) -> list[str]:
    return re.split(r"[\s,;]+", str(levels.attrs.get("flag_meanings", "")).strip())


def _cloud_bits(levels) -> int:
    """The bits of a variable of flag_masks that mean cloud, or grade a pixel as bad; 0 for none."""
    masks, meanings = numbers(levels.attrs.get("flag_masks", [])), _meanings(levels)
    if masks.size != len(meanings) or "flag_values" in levels.attrs:
        return 0
    pairs = zip(masks.astype(int), meanings, strict=True)
    return int(np.bitwise_or.reduce([b for b, m in pairs if _CLOUD_BIT.match(m)] or [0]))


def _said(levels) -> tuple[np.ndarray, list[str]]:
    """The same from words such as "0 = good, 1 = bad" or "0 (best) to 4 (failure)"."""
    text = " ".join(str(levels.attrs.get(k, "")) for k in ("long_name", "comment", "description"))
    pairs = re.findall(r"\b(\d+)\s*(?:=|:|is\b|-|\()\s*[\"']?([a-z][a-z_]*)", text, re.I)
    return np.array([float(n) for n, _ in pairs]), [word for _, word in pairs]


_ERROR = re.compile(
    r"sses_standard_deviation|total_uncertainty|^(sst|sea_surface_temperature)_(uncertainty|error)$"
    r"|^uncertainty$",
    re.I,
)


def find_error(ds: xr.Dataset, sst: xr.DataArray, grid: list) -> str | None:
    """Name of the variable that tells the error of each observation (K), if there is one: by its
    name, or by the standard_name of `sst` with the modifier standard_error."""
    told = f"{sst.attrs.get('standard_name', 'sea_surface_temperature')} standard_error"
    found = [
        str(k)
        for k, v in ds.variables.items()
        if k != sst.name
        and set(grid) <= set(v.dims) <= set(sst.dims)
        and v.dtype.kind in "iuf"
        and (_ERROR.search(str(k)) or v.attrs.get("standard_name") == told)
        and not re.search("%|percent", str(v.attrs.get("units", "")))
    ]
    return min(found, key=lambda k: ("sses" not in k.lower(), len(k)), default=None)


@dataclass(frozen=True)
class Rule:
    """Which pixels are taken: those whose `name` is `limit` or better, or one of `grades`."""

    name: str
    rising: bool | None  # is a high grade a good one? None = the file does not tell
    limit: float | None  # the worst grade taken; None = all
    grades: tuple = ()  # the good ones of a scale that neither rises nor falls
    bits: int = 0  # none of which a pixel may have

    @classmethod
    def of(cls, levels: xr.DataArray | None, quality, where: str, advice: float | None = None):
        """The rule for a file whose grades are `levels`, or None where it has none.

        quality : None for the two best grades of the scale, or its makers' `advice`; a grade of
        the file, the worst to take (">=3" or "<=3" where the file does not tell its sense); "none"
        for all.
        """
        asked, limit = _asked(quality)
        if levels is None:
            if limit is not None:
                raise ValueError(f"quality={quality!r}: {where} has no variable of grades")
            return None
        rising, default, grades = _scale(levels)
        default = advice if rising and advice is not None else default
        bits = _cloud_bits(levels)
        if asked is None and limit is None and (grades or bits):
            return cls(str(levels.name), None, None, grades, bits)
        if asked == "none":
            return cls(str(levels.name), rising, None)
        rising = rising if asked is None else asked
        if rising is None and limit is not None:
            raise ValueError(
                f"quality={quality!r}: {where} does not tell whether a high {levels.name} is good; "
                f"say quality='>={limit:g}' or quality='<={limit:g}'"
            )
        return cls(str(levels.name), rising, default if limit is None else limit)

    @property
    def selects(self) -> bool:
        """Are some pixels left out?"""
        return self.limit is not None or bool(self.grades) or bool(self.bits)

    def grade(self, levels: xr.DataArray) -> xr.DataArray:
        """Grades of which a higher one is better."""
        return levels if self.rising else -levels.astype(float)

    def keeps(self, levels: xr.DataArray) -> xr.DataArray:
        if self.bits:
            return (levels.fillna(0).astype("int64") & self.bits) == 0
        if self.grades:
            return levels.isin(self.grades)
        return levels >= self.limit if self.rising else levels <= self.limit

    def __str__(self) -> str:
        if self.bits:
            return f"{self.name} without its bits of cloud ({self.bits})"
        if self.grades:
            return f"{self.name} {' or '.join(f'{g:g}' for g in self.grades)}"
        return f"{self.name} {'>=' if self.rising else '<='} {self.limit:g}"


def advised(ds: xr.Dataset, where: str) -> float | None:
    """The worst grade that the makers of a file advise, where that is not the second best.

    NOAA says of its ACSPO products: use quality_level 5 alone.
    """
    words = [Path(where).name, *map(str, ds.attrs.values())]
    return 5.0 if any("ACSPO" in w for w in words) else None


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


def _scale(levels: xr.DataArray) -> tuple[bool | None, float | None, tuple]:
    """Is a high grade good, and the worst grade to take by default (None = not told); or, where
    bad grades lie on both sides of the good ones (OceanSITES: 0 unknown, 1 good, 4 bad), these."""
    values, meanings = _flags(levels)
    good = np.array([bool(_BEST.match(m)) for m in meanings], dtype=bool)
    if good.any() and not good.all():
        best, rest = values[good], values[~good]
        if best.min() > rest.max():
            return True, float(best.min()), ()
        if best.max() < rest.min():
            return False, float(best.max()), ()
        return None, None, tuple(float(v) for v in np.sort(best))
    values, words = _said(levels)
    good, bad = (np.array([bool(w.match(m)) for m in words], bool) for w in (_BEST, _BAD))
    if _FALLING.search(str(levels.name)) or (good & (values == 0)).any():
        return False, min(1.0, values[bad].min(initial=np.inf) - 1), ()
    if good.sum() == 1:  # "1 = good", "5 is best": the two best, but no bad one
        return True, max(values[good][0] - 1, values[bad].max(initial=-np.inf) + 1), ()
    if words and bad.all() and words[0].startswith("cloud"):  # "1 = cloud"
        return False, values.min() - 1, ()
    if _RISING.search(str(levels.name)):
        return True, 4.0, ()
    return None, None, ()
