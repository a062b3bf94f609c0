"""What the numbers of a file mean: unpacked, within its own valid range, and in which unit."""

import re
import unicodedata
import warnings

import numpy as np
import xarray as xr
from dask.array.core import normalize_chunks

from sst_tutorial.plausible import COLDEST, HOTTEST, KELVIN
from sst_tutorial.quality import numbers
from sst_tutorial.variables import NO_TEMPERATURE

TEMPERATURE = re.compile(r"temp|sst|^tos|theta|skin", re.I)


def decoded(ds: xr.Dataset, names: list[str], where: str) -> xr.Dataset:
    """Those variables alone, unpacked: what is not used need not be readable."""
    variables = {name: _packing_as_numbers(ds.variables[name], name, where) for name in names}
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=xr.SerializationWarning)
            ds = xr.decode_cf(xr.Dataset(variables), decode_times=False, decode_coords=False)
            return ds.assign({k: _chunked(v) for k, v in ds.data_vars.items() if v.ndim > 1})
    except (ValueError, TypeError, OverflowError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"{where}: its values cannot be unpacked ({reason}); repair it") from error


def _packing_as_numbers(variable: xr.Variable, name: str, where: str) -> xr.Variable:
    """A scale_factor that is written as text ("0.01") is a number all the same, and so is one that
    goes by the names of HDF4 (Slope, Intercept); 0 is refused."""
    variable = _renamed_packing(variable, name, where)
    given = {k: v for k, v in variable.attrs.items() if k in ("scale_factor", "add_offset")}
    read = {k: _number(v) for k, v in given.items() if isinstance(v, str)}
    if 0 in np.ravel((given | read).get("scale_factor", 1)):
        raise ValueError(
            f"{where}: the scale_factor of {name!r} is 0, which makes all its values alike; repair "
            "it and pass the Dataset"
        )
    read = {k: v for k, v in read.items() if v is not None}
    if not read:
        return variable
    variable = variable.copy(deep=False)
    variable.attrs = variable.attrs | read
    return variable


_OTHER_NAMES = {"scale_factor": ("slope", "scale"), "add_offset": ("intercept", "offset")}


def _renamed_packing(variable: xr.Variable, name: str, where: str) -> xr.Variable:
    """`variable` with the attributes that xarray reads, for others of the same meaning."""
    attrs = dict(variable.attrs)
    if str(attrs.get("_Unsigned", "")).lower() in ("true", "1"):  # xarray knows "true" alone
        attrs["_Unsigned"] = "true"
    lower = {str(k).lower(): k for k in attrs}
    if variable.dtype.kind in "iu" and not {"scale_factor", "add_offset"} & set(attrs):
        found = {
            cf: lower[k]
            for cf, names in _OTHER_NAMES.items()
            for k in names
            if k in lower and numbers(attrs[lower[k]]).size == 1
        }
        if "scale_factor" in found:
            attrs |= {cf: float(numbers(attrs[k])[0]) for cf, k in found.items()}
            warnings.warn(
                f"{where}: {' and '.join(found.values())} of {name!r} are taken "
                "for its scale_factor and add_offset",
                stacklevel=5,
            )
    variable = variable.copy(deep=False)
    variable.attrs = attrs
    return variable


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def packing_of(field: xr.DataArray, where: str = "the file") -> tuple[float, float]:
    """scale_factor and add_offset; ValueError where they are no numbers."""
    pair = []
    for name, nothing in (("scale_factor", 1.0), ("add_offset", 0.0)):
        given = numbers(field.encoding.get(name, nothing))
        if given.size != 1 or not np.isfinite(given[0]):
            raise ValueError(
                f"{where}: the {name} of {field.name!r} is {field.encoding[name]!r}, no number; "
                "repair it and pass the Dataset"
            )
        pair.append(float(given[0]))
    return tuple(pair)


def in_valid_range(field: xr.DataArray, read_as: str | None, where: str) -> xr.DataArray:
    """`field` within the file's own valid_min, valid_max or valid_range (CF: in packed units)."""
    low, high = _limits(field, packed=None)
    if low is None and high is None:
        return field
    if read_as is not None:
        zero = KELVIN if read_as == "K" else 0.0
        sea = (zero - 1.0, zero + 28.0)  # a range that leaves out most of this is of other units
        readings = (_limits(field, packed=p) for p in (None, True, False))
        fitting = (r for r in readings if _overlap(r, sea) >= 10)
        low, high = next(fitting, (None, None))
        if low is None and high is None:
            warnings.warn(
                f"{where}: the valid range of {field.name!r} is not in its unit and was left alone",
                stacklevel=5,
            )
            return field
    half = 0.5 * abs(packing_of(field)[0]) * ("scale_factor" in field.encoding)  # its rounding
    inside = True if low is None else field >= low - half
    inside = inside if high is None else inside & (field <= high + half)
    return field.where(inside)


def _overlap(limits: tuple, sea: tuple) -> float:
    low = sea[0] if limits[0] is None else max(limits[0], sea[0])
    high = sea[1] if limits[1] is None else min(limits[1], sea[1])
    return high - low


def _limits(field: xr.DataArray, packed: bool | None) -> tuple[float | None, float | None]:
    """The valid range in the unit of the decoded values; packed None = as CF reads its type."""
    attrs, encoding = field.attrs, field.encoding
    pair = numbers(attrs["valid_range"]) if "valid_range" in attrs else ()
    found = {"valid_min": pair[0], "valid_max": pair[1]} if len(pair) == 2 else attrs
    scale = packing_of(field)
    on_disk = np.dtype(encoding.get("dtype", field.dtype))
    limits = []
    for name in ("valid_min", "valid_max"):
        given = numbers(found.get(name, []))
        if given.size != 1 or not np.isfinite(given[0]):
            limits.append(None)
            continue
        whole = (
            isinstance(attrs.get("valid_range", attrs.get(name)), str) or given.dtype.kind in "iu"
        )
        if (
            whole
            and field.dtype.kind == "f"
            and "dtype" not in encoding
            and "source" not in encoding
        ):
            limits.append(None)  # of a packing that is no longer known
            continue
        value = float(given[0])
        if value < 0 and str(encoding.get("_Unsigned", "")).lower() == "true":
            value += 2.0 ** (8 * on_disk.itemsize)
        is_packed = (whole or scale == (1, 0)) if packed is None else packed
        limits.append(value * scale[0] + scale[1] if is_packed else value)
    return tuple(limits)


def unit_of(sst: xr.DataArray, where: str, asked: dict) -> tuple[str | None, str]:
    """The unit, degC or K or None for another quantity, and the words of the file or the caller."""
    if asked["units"] is not None:
        read_as = _spelled(asked["units"])
        if read_as is None:
            raise ValueError(
                f"units={asked['units']!r} is not a temperature unit; use 'degC' or 'K'"
            )
        return read_as, asked["units"]
    stated = sst.attrs.get("units", "")
    stated = stated.decode("utf-8", "replace") if isinstance(stated, bytes) else str(stated)
    read_as = _spelled(stated)
    named = asked["variable"] is not None
    if named and (_is_anomaly(sst) or read_as is None and not _is_temperature(sst)):
        if not stated.strip():
            warnings.warn(
                f"{where}: variable {sst.name!r} states no unit{_guess(sst)} and is taken for no "
                "temperature; if it is one, pass units='degC' or units='K'",
                stacklevel=4,
            )
        return None, stated
    if "units" not in sst.attrs:
        raise ValueError(
            f"{where}: variable {sst.name!r} states no unit{_guess(sst)}; pass units='degC' or "
            "units='K'"
        )
    if read_as is None:
        raise ValueError(
            f"{where}: variable {sst.name!r} has the unit {stated!r}, which is neither degC nor "
            f"K{_guess(sst)}; pass units='degC' or units='K' if the unit is wrong, else convert"
        )
    return read_as, stated


def _is_temperature(field: xr.DataArray) -> bool:
    words = (field.name, field.attrs.get("standard_name", ""), field.attrs.get("long_name", ""))
    return any(TEMPERATURE.search(str(w)) for w in words)


def _is_anomaly(field: xr.DataArray) -> bool:
    """An anomaly of a temperature, for example: its 0 K are no -273 degC."""
    words = (field.name, field.attrs.get("long_name", ""))
    return any(NO_TEMPERATURE.search(str(w)) for w in words)


def _spelled(unit: str) -> str | None:
    """One of "degC" and "K" for the spellings in use, else None."""
    text = unicodedata.normalize("NFKC", str(unit)).lower()
    text = re.sub(r"\(?its-?90\)?|(?<=kelvin) *\(k\)|(?<=celsius) *\(.?c\)", "", text)
    text = re.sub(r"[\s_.°â\ufffd()\[\]-]", "", text)  # â: a degree sign in the wrong encoding
    text = re.sub(
        r"^(\\?degrees?|\\?degs?|o|\\?u00b0|&deg;)|(?<=s)degrees?$", "", text
    )  # o: ordinal
    if text in {"c", "celsius", "celcius", "centigrade", "degc", "cel"}:
        return "degC"
    return "K" if text in {"k", "kelvin", "kelvins", "degk"} else None


def _guess(sst: xr.DataArray) -> str:
    """What the values of `sst` look like, as words for an error message."""
    values = thinned(sst).values
    values = values[np.isfinite(values)]
    if not values.size:
        return ""
    middle = float(np.median(values))
    looks = "neither"
    if COLDEST < middle < HOTTEST:
        looks = "degC"
    elif COLDEST < middle - KELVIN < HOTTEST:
        looks = "kelvin"
    return (
        f" (its values run from {values.min():.4g} to {values.max():.4g}, median {middle:.4g}: "
        f"they look like {looks})"
    )


def thinned(sst: xr.DataArray) -> xr.DataArray:
    """At most 4 fields along the first axis and about 250,000 cells of each."""
    first, *rest = sst.dims
    n = sst.sizes[first]
    step = max(1, int(np.sqrt(np.prod([sst.sizes[d] for d in rest]) / 250_000)))
    days = np.unique(np.linspace(0, n - 1, min(n, 4)).astype(int))
    return sst.isel({first: days, **{d: slice(None, None, step) for d in rest}})


def _chunked(sst: xr.DataArray) -> xr.DataArray:
    """`sst` as a dask array whose chunks are whole multiples of those on disk."""
    if sst.chunks is not None:
        return sst
    on_disk = sst.encoding.get("preferred_chunks", {})
    chunks = normalize_chunks(
        "auto",
        shape=sst.shape,
        dtype=np.dtype("float32"),
        previous_chunks=tuple(on_disk.get(d, n) for d, n in sst.sizes.items()),
    )
    return sst.chunk(dict(zip(sst.dims, chunks, strict=True)))
