"""Where the sea is: the file's own mask if it can be trusted, else the coastline and what was seen.

Water is what is water on any day. A mask without flags that differs between days shows clouds, and
cells that were never seen are land only where the outlines know of a coast.
"""

import re
import threading
import warnings

import numpy as np
import xarray as xr
from scipy import ndimage

from sst_tutorial.coast import ocean_mask
from sst_tutorial.quality import numbers

_NAMES = {
    "mask",
    "ocean_mask",
    "sea_mask",
    "land_mask",
    "landmask",
    "land_sea_mask",
    "lsm",
    "lsmask",
    "tmask",
    "wet",
    "sftof",
    "sftlf",
}
_OTHER_NAMES = re.compile(
    r"(land|sea|ocean|water)(_?(sea|land|ocean|water))?_?(mask|frac|fraction|flag|binary_mask)$"
    r"|(frac|mask)_?(land|ocean|sea|rho|t)$|fr_?land$|lnd_?(mask|frac)$|land(_?sea)?$"
    r"|is_?(land|ocean|sea|water)$|tmask\w*$|wet_[ct]$"
)
_STANDARD_NAMES = {"land_binary_mask", "sea_binary_mask", "land_area_fraction", "sea_area_fraction"}
_WATER = ("water", "sea", "ocean", "open")  # how a flag that means water begins, sea_ice included
_UNKNOWN = 0.02  # share of the sea away from coasts that a gap-free series may leave out: islands
COAST_OR_SEEN = "the outlines of Natural Earth, and what was seen"
_AROUND = 0.15  # degrees about the outlines within which coasts of fine grids differ


def find_mask(ds: xr.Dataset, sst: xr.DataArray, grid: list) -> str | None:
    """Name of the file's own land or sea mask, or None."""
    found = {}
    for name, variable in ds.variables.items():
        rank = _rank(str(name).lower(), variable.attrs)
        on_grid = set(grid) <= set(variable.dims) and variable.dtype.kind in "biuf"
        if rank is not None and on_grid and name != sst.name:
            found.setdefault(rank, str(name))
    return found[min(found)] if found else None


def _rank(name: str, attrs: dict) -> int | None:
    """0 for the surest sign that a variable tells land from sea; None for none."""
    flags = re.split(r"[\s,]+", str(attrs.get("flag_meanings", "")).lower())
    both = "land" in flags and any(f.startswith(_WATER) and "ice" not in f for f in flags)
    if name in _NAMES or str(attrs.get("standard_name")) in _STANDARD_NAMES:
        return 0 if name != "mask" or both else 2  # a bare "mask" may be one of clouds
    return 1 if both or _OTHER_NAMES.match(name) else None


def ocean_of(
    masks: list[xr.DataArray], sst: xr.DataArray, complete: bool = False
) -> tuple[xr.DataArray, bool]:
    """True where there is sea, (lat, lon), and whether the file itself says so; its attribute
    `source` tells how it is known.

    masks : those of the files, each (lat, lon) or (time, lat, lon). sst : (time, lat, lon).
    complete : known to have a value in each cell of the sea.
    """
    if complete and not masks:
        return sst.notnull().any("time").assign_attrs(source="cells with a value"), False
    water = _own_mask(masks, sst) if masks else None
    if water is not None:
        return water.drop_attrs().assign_attrs(source="the file's own mask"), True
    if sst.chunks is None:
        return _observed_or_coast(sst), False
    return _once(sst), False


def _own_mask(masks: list[xr.DataArray], sst: xr.DataArray) -> xr.DataArray | None:
    flagged = [_flagged_water(mask) for mask in masks]
    if all(water is not None for water in flagged):
        water = xr.concat([w.any("time") if "time" in w.dims else w for w in flagged], "file")
        water = water.any("file").load()
        if _share_of_seen(water, sst) >= 0.1:
            return water
        warnings.warn(
            "the file's own mask has less than a tenth of what was seen in the water; the "
            "coastline is used instead",
            stacklevel=4,
        )
        return None
    mask = _unchanged(masks)
    water = None if mask is None else _binary_water(mask, sst)
    if mask is None or (water is not None and _hides_sea(water, sst)):
        warnings.warn(
            "the file's own mask differs between days, or hides open sea: it is taken for a cloud "
            "mask, and the coastline is used instead",
            stacklevel=4,
        )
        return None
    if water is None:
        warnings.warn(
            "the file's own mask is neither described by flag_meanings nor a 0/1 mask that agrees "
            "with the data; the coastline is used instead",
            stacklevel=4,
        )
    return water


def _unchanged(masks: list[xr.DataArray]) -> xr.DataArray | None:
    """The mask (lat, lon) that all days of all files have in common; None if they differ."""
    first = None
    for mask in masks:
        values = mask.astype(float).fillna(0).assign_attrs(mask.attrs)
        values = values.transpose("time", "lat", "lon") if "time" in values.dims else values
        first = values[0] if first is None and "time" in values.dims else first
        first = values if first is None else first
        if not (values.values == first.values).all():
            return None
    return first


def _flagged_water(mask: xr.DataArray) -> xr.DataArray | None:
    """Water according to the CF flags of a mask (bits or values)."""
    meanings = str(mask.attrs.get("flag_meanings", "")).lower().replace(",", " ").split()
    bits = numbers(mask.attrs.get("flag_masks", []))
    values = numbers(mask.attrs.get("flag_values", []))
    wet = [meaning.startswith(_WATER) for meaning in meanings]
    if not any(wet):
        return None
    codes = mask.fillna(0).astype(int) if mask.dtype.kind == "f" else mask.astype(int)
    if bits.size == len(meanings):
        return (codes & int(np.bitwise_or.reduce(bits[wet].astype(int)))) != 0
    return codes.isin(values[wet].astype(int)) if values.size == len(meanings) else None


def _binary_water(mask: xr.DataArray, sst: xr.DataArray) -> xr.DataArray | None:
    """A mask of two values (or a fraction, also in per cent), turned so that what was observed is
    water."""
    low, high = float(mask.min()), float(mask.max())
    if low < 0 or high > 1:
        in_percent = 0 <= low and 1 < high <= 100 and "%" in str(mask.attrs.get("units"))
        two = np.isin(mask.values, (low, high)).all() and low != high
        if not (in_percent or two):
            return None
        mask = (mask / 100) if in_percent else (mask - low) / (high - low)
    one = mask > 0.5
    share = _share_of_seen(one, sst)
    if share > 0.9:
        return one
    return ~one if share < 0.1 else None


def _share_of_seen(mask: xr.DataArray, sst: xr.DataArray) -> float:
    """How much of what was seen (of nothing seen, of the sea of the outlines) a mask holds."""
    seen = (sst if sst.chunks is None else _few_days(sst)).notnull().any("time").load()
    if not seen.any():
        seen = seen | ocean_mask(seen["lat"].values, seen["lon"].values)
    here = mask.values[seen.values]
    return float(here.mean()) if here.size else 0.5


def _few_days(sst: xr.DataArray) -> xr.DataArray:
    n = sst.sizes["time"]
    return sst.isel(time=np.unique(np.linspace(0, n - 1, min(n, 4)).astype(int)))


def tell_of_land(sst: xr.DataArray) -> None:
    """A warning where most of what was seen is land: coordinates that are swapped, or mirrored."""
    step = {d: max(1, sst.sizes[d] // 200) for d in ("lat", "lon")}
    seen = sst.isel({d: slice(None, None, n) for d, n in step.items()})
    seen = seen.notnull().any("time")
    land = seen.values & ~ocean_mask(seen["lat"].values, seen["lon"].values)
    if land.sum() > max(20, 0.6 * int(seen.sum())):
        warnings.warn(
            f"{100 * land.sum() / int(seen.sum()):.0f} % of the cells that were seen (lat "
            f"{_ends(seen['lat'])}, lon {_ends(seen['lon'])}) are land by the outlines of Natural "
            "Earth: a lake, or lat and lon that are swapped, mirrored or of another place",
            stacklevel=3,
        )


def _ends(axis: xr.DataArray) -> str:
    return f"{axis.values[0]:.4g}..{axis.values[-1]:.4g}"


def _hides_sea(water: xr.DataArray, sst: xr.DataArray) -> bool:
    """Does a mask of a single day call a quarter of the open sea land? Then it shows its clouds."""
    if sst.sizes["time"] > 1:
        return False
    open_sea = _away_from_coasts(water["lat"].values, water["lon"].values)
    return bool(open_sea.any() and (~water.values & open_sea).sum() > 0.25 * open_sea.sum())


def _away_from_coasts(lat: np.ndarray, lon: np.ndarray) -> np.ndarray:
    """(H, W) True where the outlines have sea and no land within a cell or 0.15 degrees.

    Not in the Antarctic, where they leave out the ice shelves.
    """
    wider, widths = [], []
    for axis in (lat, lon):
        step = np.median(np.diff(axis)) if axis.size > 1 else 1.0
        n = int(np.clip(np.ceil(_AROUND / step), 1, 30))
        around = step * np.arange(1, n + 1)
        wider.append(np.concatenate([axis[0] - around[::-1], axis, axis[-1] + around]))
        widths.append(n)
    land = ~ocean_mask(np.clip(wider[0], -90, 90), wider[1])
    near = ndimage.maximum_filter(land, [2 * n + 1 for n in widths])
    (a, b), (h, w) = widths, (lat.size, lon.size)
    return ~near[a : a + h, b : b + w] & (lat > -60)[:, None]


def _observed_or_coast(sst: xr.DataArray) -> xr.DataArray:
    """Ocean without a mask in the file: the cells of a gap-free series, else coast or observed."""
    seen = sst.notnull()
    both = xr.Dataset({"ever": seen.any("time"), "always": seen.all("time")})
    both = both.compute(scheduler="threads")  # one pass, also from within a task of a cluster
    ever, always = both["ever"], both["always"]
    lat, lon = sst["lat"].values, sst["lon"].values
    coast, source = ocean_mask(lat, lon), COAST_OR_SEEN
    if sst.sizes["time"] > 1 and bool(ever.any()) and bool((ever == always).all()):
        open_sea = _away_from_coasts(lat, lon)
        unseen = (open_sea & ~ever.values).sum() / max(open_sea.sum(), 1)
        if unseen <= _UNKNOWN:
            return ever.assign_attrs(source="cells with a value on every day")
        # Sea, not land: a map that hides a basin for no reason told is worse than one that is only
        # its prior there and says so.
        said = f"{100 * unseen:.0f} % of the open sea was never seen"
        source += f"; {said}, what stands there is no observation"
        warnings.warn(
            f"{said}; it is kept as sea without observations (a mask in the file would say if it "
            "is land)",
            stacklevel=5,
        )
    return (ever | coast).assign_attrs(source=source)


def _once(sst: xr.DataArray) -> xr.DataArray:
    """The same, lazily, and read once however often it is asked for."""
    from dask import array, delayed

    where = _Once(sst)
    shape = (sst.sizes["lat"], sst.sizes["lon"])
    values = array.from_delayed(delayed(where, pure=False)(), shape, bool)
    coords = {k: sst[k] for k in ("lat", "lon")}
    return xr.DataArray(values, coords, ("lat", "lon"), attrs={"source": COAST_OR_SEEN})


class _Once:
    """A call whose result is kept; in another process it is made anew, once there."""

    def __init__(self, sst: xr.DataArray):
        self.sst, self.result, self.lock = sst, None, threading.Lock()

    def __call__(self) -> np.ndarray:
        with self.lock:
            if self.result is None:
                self.result = _observed_or_coast(self.sst).values
        return self.result

    def __getstate__(self):
        return self.sst, self.result

    def __setstate__(self, state):
        (self.sst, self.result), self.lock = state, threading.Lock()
