"""Any daily SST file in, one tidy xarray Dataset out: (time, lat, lon), degC, ascending, NaN = gap.

Everything after this module (the book's chapters, the network, the baselines) can rely on that one
layout, because every doubt about a user's file is settled here, with an error rather than a guess.
"""

import glob
import os
import re
import unicodedata
import warnings
from pathlib import Path

import numpy as np
import xarray as xr
from dask.array.core import normalize_chunks

from sst_tutorial._extras import need
from sst_tutorial.coast import ocean_mask

SST_STANDARD_NAMES = {
    "sea_surface_temperature",
    "sea_surface_skin_temperature",
    "sea_surface_subskin_temperature",
    "sea_surface_foundation_temperature",
    "surface_temperature_where_sea",
}
SST_NAMES = {
    "sst",
    "analysed_sst",
    "analyzed_sst",
    "sea_surface_temperature",
    "sst_skin",
    "sst_subskin",
    "sst_foundation",
    "tos",
    "mcsst",
}
# A last resort: something called SST that is not an error, a count, a flag or an anomaly of it.
SST_PATTERN = re.compile(r"sst|sea_?surface_?temp", re.I)
NOT_SST = re.compile(
    r"anom|err|uncert|bias|std|dev|sses|var|(?<![yt])time|count|num|nobs|qual|flag|mask|source|clim"
    r"|mean_of|grad|depth_of|coef",
    re.I,
)
COORDINATE_NAMES = {
    "latitude": {"lat", "latitude", "lats", "nav_lat", "ylat"},
    "longitude": {"lon", "longitude", "lons", "long", "nav_lon", "xlon"},
    "time": {"time", "valid_time", "time_counter", "ocean_time", "date", "day", "t"},
}
COORDINATE_UNITS = {
    "latitude": re.compile(r"degrees?[ _]?n(orth)?$", re.I),
    "longitude": re.compile(r"degrees?[ _]?e(ast)?$", re.I),
    "time": re.compile(r"(days|hours|minutes|seconds) since", re.I),
}
MASK_NAMES = {
    "mask",
    "ocean_mask",
    "sea_mask",
    "land_mask",
    "landmask",
    "land_sea_mask",
    "lsm",
    "lsmask",
}
MASK_STANDARD_NAMES = {"land_binary_mask", "sea_binary_mask", "land_area_fraction"}
WATER = ("water", "sea", "ocean", "open")  # how a flag that means water begins, sea_ice included
KEPT_ATTRIBUTES = ("title", "institution", "source", "references", "license", "product_version")
# CF attributes of what the package writes.
SST_ATTRIBUTES = {"standard_name": "sea_surface_temperature", "units": "degree_Celsius"}
AXIS_ATTRIBUTES = {
    "time": {"standard_name": "time", "axis": "T"},
    "lat": {"standard_name": "latitude", "units": "degrees_north", "axis": "Y"},
    "lon": {"standard_name": "longitude", "units": "degrees_east", "axis": "X"},
}
KELVIN = 273.15
COLDEST, HOTTEST = -5.0, 50.0  # degC; no sea is outside, so what lies outside is a fill or a fault
IN_MEMORY = 256 * 2**20  # bytes of float32 up to which the data are read at once


def open_sst(path, variable: str | None = None, units: str | None = None) -> xr.Dataset:
    """Open daily sea surface temperature from any regular latitude-longitude file.

    Parameters
    ----------
    path : a NetCDF file, a Zarr store, a folder of NetCDF files (searched with its subfolders), a
        glob pattern, a list of files on one grid, or an xarray.Dataset already open (the way in
        for a file that needs a repair first). Beside a final OISST file its `_preliminary` is
        left out.
    variable : name of the SST variable; needed only when the file leaves a choice. Without it the
        CF standard_name decides, then a common name (sst, analysed_sst, tos, ...), then any name
        that contains "sst"; two candidates of the same rank are an error.
    units : "degC" or "K", overrides the unit that the file states or fails to state.

    Returns
    -------
    xarray.Dataset with
        sst (time, lat, lon) float32, degC, NaN = land, cloud or any other gap;
        ocean_mask (lat, lon) bool, True = ocean;
        time: midnight of each UTC day present, sorted, unique (absent days stay absent; several
        times in one day are averaged over what was seen); lat ascending; lon ascending and
        contiguous, starting in [-180, 180) and running past 180 where a region crosses it.
    Up to 256 MiB the values are in memory, above that they are lazy dask arrays.

    The ocean mask is the file's own (`mask`, `land_mask`, ...; flag_meanings are read, and a plain
    0/1 mask is turned the way in which the observed cells are sea) and values outside it become
    NaN. Without one, a file that sees the same cells on each of two days or more has no gaps and
    those cells are its ocean; otherwise ocean is what Natural Earth calls so or was ever seen.

    Values outside -5..50 degC become NaN, with a warning. Quality flags (`quality_level`,
    `l2p_flags`, ...) are left alone: apply them first and pass the Dataset if you need them.

    Raises ValueError, saying what was seen and what to do, for anything else.
    """
    names, datasets = _open_all(path)
    parts = [_read(d, n, variable, units) for n, d in zip(names, datasets, strict=True)]
    sst = _one_field_per_day(_join(parts, names))
    if 4 * sst.size <= IN_MEMORY:
        sst = _load(sst, names[0])
        if not isinstance(path, xr.Dataset):
            for dataset in datasets:
                dataset.close()
    sst = _possible_values(sst, **parts[0].attrs)
    ocean = _own_mask(parts[0], sst)
    if ocean is None:
        ocean = _observed_or_coast(sst)
    else:
        sst = sst.where(ocean)
    return _labelled(sst, ocean, datasets[0].attrs)


def _open_all(path) -> tuple[list[str], list[xr.Dataset]]:
    """Names and open datasets of whatever the user passed as `path`."""
    if isinstance(path, xr.Dataset):
        return ["the Dataset"], [path]
    files = _files(path)
    return [str(f) for f in files], [_open_one(f) for f in files]


def _files(path) -> list[Path]:
    """The files that `path` stands for, without a preliminary one beside its final one."""
    if isinstance(path, (list, tuple)):
        files = [Path(p) for p in path]
    elif not isinstance(path, (str, os.PathLike)):
        raise ValueError(
            f"path is a {type(path).__name__}; pass a file, a folder, a list or an xarray.Dataset "
            "(of a DataArray: da.to_dataset(name='sst'))"
        )
    elif path == "":
        raise ValueError("path='' names no file; '.' is the folder one is in")
    elif "://" in str(path):
        raise ValueError(
            f"path={str(path)!r} is an address, not a file: open it with xarray.open_dataset or "
            "xarray.open_zarr and pass the Dataset"
        )
    elif Path(path).is_dir() and not _is_zarr(Path(path)):
        files = sorted(Path(path).rglob("*.nc")) + sorted(Path(path).rglob("*.nc4"))
    elif Path(path).exists():
        files = [Path(path)]
    else:
        files = [Path(f) for f in sorted(glob.glob(str(path), recursive=True))]
    if not files:
        raise ValueError(f"path={str(path)!r}: no such file, and no NetCDF file there; check it")
    final = {f.name for f in files}
    return [
        f
        for f in files
        if f.name.replace("_preliminary", "", 1) == f.name
        or f.name.replace("_preliminary", "", 1) not in final
    ]


def _is_zarr(path: Path) -> bool:
    return any((path / name).exists() for name in ("zarr.json", ".zgroup", ".zattrs", ".zmetadata"))


def _open_one(file: Path) -> xr.Dataset:
    engine = "zarr" if file.is_dir() else None
    if engine == "zarr":
        need("zarr", "zarr")
    try:
        return xr.open_dataset(file, engine=engine, decode_timedelta=False)
    except FileNotFoundError:
        raise ValueError(f"path={str(file)!r}: no such file; check the name") from None
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0].split(". ")[0]
        raise ValueError(
            f"path={str(file)!r} cannot be read as NetCDF or Zarr ({reason}); is it complete, and "
            "of that format?"
        ) from error


def _read(ds: xr.Dataset, where: str, variable: str | None, units: str | None) -> xr.Dataset:
    """One file's `sst` (time, lat, lon) in degC, and its `mask` if it has one, both sorted."""
    sst = _find_sst(ds, where, variable)
    names = {kind: _find_coordinate(ds, sst, kind, where) for kind in COORDINATE_NAMES}
    read_as, stated = _unit(sst, where, units)
    name, sst = sst.name, _three_axes(ds, sst, names, where)
    sst = sst.astype(np.promote_types(sst.dtype, np.float32))  # 0.1 K are lost in half precision
    out = xr.Dataset({"sst": (sst - KELVIN if read_as == "K" else sst).astype("float32")})
    mask = _find_mask(ds, names, skip=name)
    if mask is not None:
        out["mask"] = (("lat", "lon"), mask.values, mask.attrs)
    out.attrs = {"origin": f"{where}: variable {name!r} in {stated!r}", "read_as": read_as}
    return _ascending(out, where)


def _find_sst(ds: xr.Dataset, where: str, variable: str | None) -> xr.DataArray:
    listed = ", ".join(f"{k} {v.dims}" for k, v in ds.data_vars.items()) or "none"
    if variable is not None:
        if variable not in ds.data_vars:
            raise ValueError(f"variable={variable!r} is not in {where}; it holds: {listed}")
        return ds[variable]
    fields = {k: v for k, v in ds.data_vars.items() if v.ndim >= 2 and v.dtype.kind in "fiu"}
    ranks = (
        [k for k, v in fields.items() if v.attrs.get("standard_name") in SST_STANDARD_NAMES],
        [k for k in fields if str(k).lower() in SST_NAMES],
        [k for k in fields if SST_PATTERN.search(str(k)) and not NOT_SST.search(str(k))],
    )
    found = [str(k) for k in next((rank for rank in ranks if rank), [])]
    if len(found) > 1:  # biases, counts and flags that carry the standard_name of their SST
        found = [k for k in found if not NOT_SST.search(k)] or found
    if len(found) == 1:
        return ds[found[0]]
    if found:
        raise ValueError(
            f"{where} has {len(found)} variables that could be the SST: {', '.join(found)}; "
            f"choose one with variable={found[0]!r}"
        )
    raise ValueError(
        f"{where} has no variable that is SST by its standard_name or name; it holds: {listed}; "
        "name it with variable=..."
    )


def _find_coordinate(ds: xr.Dataset, sst: xr.DataArray, kind: str, where: str) -> str:
    """Name of the 1-D latitude or longitude, or of the time (1-D or scalar), of `sst`."""
    found = [k for k, v in ds.variables.items() if k != sst.name and _is_coordinate(kind, k, v)]
    usable = [k for k in found if ds[k].ndim == 1 and ds[k].dims[0] in sst.dims]
    if kind == "time" and not usable:
        usable = [k for k in found if ds[k].size == 1 and ds[k].ndim <= 1]
    if usable:  # an axis of the variable before any auxiliary one
        return max(usable, key=lambda k: k in sst.dims)
    if found and kind != "time" and ds[found[0]].ndim > 1:
        raise ValueError(
            f"{where}: {kind} {found[0]!r} is {ds[found[0]].ndim}-D {ds[found[0]].shape}, a swath "
            "or curvilinear grid; regrid to 1-D lat and lon first (xesmf, pyresample or cdo do it)"
        )
    seen = ", ".join(map(str, ds.variables))
    remedy = {"time": "add one: ds.expand_dims(time=[numpy.datetime64('2016-02-01')])"}.get(
        kind, f"rename the right one to {kind[:3]!r}"
    )
    raise ValueError(
        f"{where}: variable {sst.name!r} {sst.dims} has no {kind} coordinate among {seen}; "
        f"{remedy} and pass the Dataset"
    )


def _is_coordinate(kind: str, name, variable: xr.Variable) -> bool:
    if kind == "time" and variable.dtype.kind == "M":
        return True
    stated = str(variable.attrs.get("units", variable.encoding.get("units")))
    return (
        variable.attrs.get("standard_name") == kind
        or str(name).lower() in COORDINATE_NAMES[kind]
        or bool(COORDINATE_UNITS[kind].match(stated))
    )


def _unit(sst: xr.DataArray, where: str, units: str | None) -> tuple[str, str]:
    """The unit, degC or K, and the words of the file or the caller."""
    if units is not None:
        read_as = _spelled(units)
        if read_as is None:
            raise ValueError(f"units={units!r} is not a temperature unit; use 'degC' or 'K'")
        return read_as, units
    if "units" not in sst.attrs:
        raise ValueError(
            f"{where}: variable {sst.name!r} states no unit{_guess(sst)}; pass units='degC' or "
            "units='K'"
        )
    stated = str(sst.attrs["units"])
    read_as = _spelled(stated)
    if read_as is None:
        raise ValueError(
            f"{where}: variable {sst.name!r} has the unit {stated!r}, which is neither degC nor "
            f"K{_guess(sst)}; pass units='degC' or units='K' if the unit is wrong, else convert"
        )
    return read_as, stated


def _spelled(unit: str) -> str | None:
    """One of "degC" and "K" for the spellings in use, else None."""
    text = unicodedata.normalize("NFKC", str(unit)).lower()
    text = re.sub(r"[\s_.°º\ufffd]", "", text)
    text = re.sub(r"^(degrees?|degs?)", "", text)
    if text in {"c", "celsius", "celcius", "centigrade"}:
        return "degC"
    return "K" if text in {"k", "kelvin", "kelvins"} else None


def _guess(sst: xr.DataArray) -> str:
    """What the values of `sst` look like, as words for an error message."""
    values = _thinned(sst).values
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


def _thinned(sst: xr.DataArray) -> xr.DataArray:
    """At most 4 fields along the first axis and about 250,000 cells of each."""
    first, *rest = sst.dims
    n = sst.sizes[first]
    step = max(1, int(np.sqrt(np.prod([sst.sizes[d] for d in rest]) / 250_000)))
    days = np.unique(np.linspace(0, n - 1, min(n, 4)).astype(int))
    return sst.isel({first: days, **{d: slice(None, None, step) for d in rest}})


def _three_axes(ds: xr.Dataset, sst: xr.DataArray, names: dict, where: str) -> xr.DataArray:
    """`sst` as a lazy (time, lat, lon) with those three coordinates and no others."""
    axes = {"time": names["time"], "lat": names["latitude"], "lon": names["longitude"]}
    dims = {
        ds[coordinate].dims[0]: axis
        for axis, coordinate in axes.items()
        if ds[coordinate].dims and ds[coordinate].dims[0] in sst.dims
    }
    for dim in set(sst.dims) - set(dims):
        if sst.sizes[dim] > 1:
            raise ValueError(
                f"{where}: variable {sst.name!r} has the axis {dim!r} of length "
                f"{sst.sizes[dim]} beside time, lat and lon; choose one of it, "
                f"ds.isel({{{dim!r}: 0}}), and pass the Dataset"
            )
    time = _days_of(ds[names["time"]], where)
    sst = sst.squeeze(list(set(sst.dims) - set(dims)), drop=True)
    sst = sst.drop_vars(list(sst.coords)).rename(dims)
    if "time" not in sst.dims:
        sst = sst.expand_dims(time=1)
    sst = _chunked(sst.transpose("time", "lat", "lon"))  # (T, H, W)
    return sst.assign_coords(
        time=time,
        lat=ds[names["latitude"]].values.astype(float),
        lon=ds[names["longitude"]].values.astype(float),
    )


def _days_of(time: xr.DataArray, where: str) -> np.ndarray:
    """The time stamps as datetime64[ns], from the real or the noleap calendar."""
    values = np.atleast_1d(time.values)
    if values.dtype.kind == "O":
        try:
            values = xr.CFTimeIndex(values).to_datetimeindex(unsafe=True, time_unit="ns").values
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{where}: time {time.name!r} holds dates that do not exist ({error}); convert "
                "its calendar first, ds.convert_calendar('standard', align_on='date')"
            ) from None
    if values.dtype.kind != "M":
        raise ValueError(
            f"{where}: time {time.name!r} is {values.dtype} (first value {values[:1]}) with the "
            f"unit {time.attrs.get('units')!r}; it needs CF units such as 'days since 1982-01-01'"
        )
    if values.size == 0 or np.isnat(values).any():
        raise ValueError(
            f"{where}: time {time.name!r} has {values.size} values, {np.isnat(values).sum()} of "
            "them undefined; every field needs its day"
        )
    return values.astype("datetime64[ns]")


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


def _ascending(ds: xr.Dataset, where: str) -> xr.Dataset:
    """Latitude south to north; longitude eastward from the widest hole, from [-180, 180) on."""
    lat, lon = ds["lat"].values, ds["lon"].values
    for name, values, low, high in (("lat", lat, -90.01, 90.01), ("lon", lon, -360.5, 540.5)):
        if values.size == 0:
            raise ValueError(f"{where}: {name} has length 0; choose a region that has cells")
        if not (np.isfinite(values).all() and low <= values.min() and values.max() <= high):
            raise ValueError(
                f"{where}: {name} runs from {values.min():.6g} to {values.max():.6g}; it must be "
                "finite and in degrees (a map projection in metres must be regridded first)"
            )
    if np.unique(lat).size != lat.size:
        raise ValueError(f"{where}: lat holds the same value twice; keep one row of each")
    east = (lon + 180) % 360 - 180  # [-180, 180)
    _, order = np.unique(east.round(6), return_index=True)  # a closing column 360 = 0 goes
    east = east[order]
    gaps = np.diff(np.append(east, east[0] + 360))
    if gaps.size > 1 and gaps.max() > 1.5 * np.median(gaps):  # not the whole circle
        start = (gaps.argmax() + 1) % east.size
        order = np.roll(order, -start)
        east = np.concatenate([east[start:], east[:start] + 360])
    ds = _take(_take(ds, "lat", np.argsort(lat)), "lon", order)
    return ds.assign_coords(lon=east)


def _take(ds: xr.Dataset, dim: str, order: np.ndarray) -> xr.Dataset:
    if np.array_equal(order, np.arange(ds.sizes[dim])):
        return ds
    return ds.isel({dim: order})


def _join(parts: list[xr.Dataset], names: list[str]) -> xr.DataArray:
    """All files after one another; their grids must agree to 1e-4 degrees."""
    first = parts[0]
    for part, name in zip(parts, names, strict=True):
        for axis in ("lat", "lon"):
            ours, theirs = first[axis].values, part[axis].values
            if ours.size != theirs.size or np.abs(ours - theirs).max() > 1e-4:
                raise ValueError(
                    f"path: {names[0]} and {name} have different grids, {axis} {_span(ours)} "
                    f"against {_span(theirs)}; open the files of one grid together"
                )
    same = [part["sst"].assign_coords(lat=first["lat"], lon=first["lon"]) for part in parts]
    return xr.concat(same, "time", join="override") if len(same) > 1 else same[0]


def _span(axis: np.ndarray) -> str:
    return f"{axis[0]:.6g}..{axis[-1]:.6g} ({axis.size})"


def _one_field_per_day(sst: xr.DataArray) -> xr.DataArray:
    """Times cut to their UTC day, sorted; the fields of one day averaged over what was seen."""
    sst = sst.assign_coords(time=sst["time"].dt.floor("D"))
    index = sst.indexes["time"]
    if not index.is_unique:
        return sst.groupby("time").mean().transpose("time", "lat", "lon")  # sorts as well
    return sst if index.is_monotonic_increasing else sst.sortby("time")


def _load(sst: xr.DataArray, where: str) -> xr.DataArray:
    try:
        return sst.load()
    except (OSError, RuntimeError, ValueError) as error:
        raise ValueError(
            f"path: the data of {where} (or of a file read with it) break off or cannot be "
            f"decoded ({error}); fetch the file again"
        ) from error


def _possible_values(sst: xr.DataArray, origin: str, read_as: str) -> xr.DataArray:
    """`sst` without values that no sea has; an error where they contradict the stated unit."""
    values = (sst if sst.chunks is None else _thinned(sst)).values
    values = values[~np.isnan(values)]
    if not values.size:
        warnings.warn(f"{origin} holds no observation; its unit was not checked", stacklevel=3)
        return sst
    possible = (values >= COLDEST) & (values <= HOTTEST)
    wrong_way = KELVIN if read_as == "degC" else -KELVIN
    mistaken = (values >= COLDEST + wrong_way) & (values <= HOTTEST + wrong_way)
    as_stored = values + (KELVIN if read_as == "K" else 0)
    if mistaken.sum() > possible.sum():
        other = "K" if read_as == "degC" else "degC"
        raise ValueError(
            f"{origin} is labelled {read_as} but its median is {np.median(as_stored):.4g}, which "
            f"can only be {other}: pass units={other!r}"
        )
    if not possible.any():
        raise ValueError(
            f"{origin} runs from {as_stored.min():.6g} to {as_stored.max():.6g}: no sea is like "
            "that in degC or K; choose another variable=, or repair its scale or fill value"
        )
    if sst.chunks is None and possible.all():
        return sst
    if not possible.all():
        common, number = np.unique(as_stored[~possible], return_counts=True)
        warnings.warn(
            f"{origin}: {100 * (1 - possible.mean()):.2g} % of the values lie outside "
            f"{COLDEST:g}..{HOTTEST:g} degC (most often {common[number.argmax()]:.6g}) and become "
            "NaN",
            stacklevel=3,
        )
    return sst.where((sst >= COLDEST) & (sst <= HOTTEST))


def _find_mask(ds: xr.Dataset, names: dict, skip: str) -> xr.DataArray | None:
    """The file's own land or sea mask (lat, lon), if it has one that does not change in time."""
    grid = [ds[names["latitude"]].dims[0], ds[names["longitude"]].dims[0]]
    for name, variable in ds.variables.items():
        called = str(name).lower() in MASK_NAMES
        called = called or variable.attrs.get("standard_name") in MASK_STANDARD_NAMES
        if (
            not called
            or name == skip
            or variable.dtype.kind not in "biuf"
            or not set(grid) <= set(variable.dims)
        ):
            continue
        others = {d: 0 for d in variable.dims if d not in grid}
        changes = any(ds.sizes[d] > 1 for d in others)
        if changes and "flag_meanings" not in variable.attrs:
            continue  # without flags that say land or water it may as well be a cloud mask
        return ds[name].isel(others, drop=True).transpose(*grid)
    return None


def _own_mask(first: xr.Dataset, sst: xr.DataArray) -> xr.DataArray | None:
    """True where the file's own mask says water; None without a mask that can be understood."""
    if "mask" not in first:
        return None
    mask = first["mask"]
    water = _flagged_water(mask)
    if water is None:
        water = _binary_water(mask, sst)
    if water is None:
        warnings.warn(
            "the file's own mask is neither described by flag_meanings nor a 0/1 mask that agrees "
            "with the data; the coastline is used instead",
            stacklevel=3,
        )
        return None
    return water.drop_attrs()


def _flagged_water(mask: xr.DataArray) -> xr.DataArray | None:
    """Water according to the CF flags of a mask (bits or values)."""
    meanings = str(mask.attrs.get("flag_meanings", "")).lower().split()
    bits = np.atleast_1d(mask.attrs.get("flag_masks", []))
    values = np.atleast_1d(mask.attrs.get("flag_values", []))
    wet = [meaning.startswith(WATER) for meaning in meanings]
    if not any(wet):
        return None
    codes = mask.fillna(0).astype(int) if mask.dtype.kind == "f" else mask.astype(int)
    if bits.size == len(meanings):
        return (codes & int(np.bitwise_or.reduce(bits[wet].astype(int)))) != 0
    return codes.isin(values[wet].astype(int)) if values.size == len(meanings) else None


def _binary_water(mask: xr.DataArray, sst: xr.DataArray) -> xr.DataArray | None:
    """A mask of 0 and 1 (or a fraction), turned so that what was observed is water."""
    values = mask.astype(float).fillna(0)
    if values.min() < 0 or values.max() > 1:
        return None
    one = values > 0.5
    seen = (sst if sst.chunks is None else _thinned(sst)).notnull().any("time").load()
    if not seen.any():  # then the coastline tells the sense
        seen = seen | ocean_mask(seen["lat"].values, seen["lon"].values)
    here = one.sel(lat=seen["lat"], lon=seen["lon"]).values[seen.values]
    share = here.mean() if here.size else 0.5
    if share > 0.9:
        return one
    return ~one if share < 0.1 else None


def _observed_or_coast(sst: xr.DataArray) -> xr.DataArray:
    """Ocean without a mask in the file: the cells of a gap-free series, else coast or observed."""
    seen = sst.notnull()
    ever, always = seen.any("time"), seen.all("time")
    gap_free = (ever == always).all() & ever.any() & (sst.sizes["time"] > 1)
    if sst.chunks is None and gap_free:
        return ever
    coast = xr.zeros_like(ever) | ocean_mask(sst["lat"].values, sst["lon"].values)
    return xr.where(gap_free, ever, ever | coast)


def _labelled(sst: xr.DataArray, ocean: xr.DataArray, attributes: dict) -> xr.Dataset:
    """The finished Dataset with CF attributes and what the source says of itself."""
    out = xr.Dataset({"sst": sst, "ocean_mask": ocean}).drop_encoding()
    out["sst"].attrs = SST_ATTRIBUTES | {"long_name": "daily sea surface temperature"}
    out["ocean_mask"].attrs = {"long_name": "ocean", "comment": "1 = ocean, 0 = land"}
    for axis, axis_attributes in AXIS_ATTRIBUTES.items():
        out[axis].attrs = dict(axis_attributes)
    out.attrs = {k: attributes[k] for k in KEPT_ATTRIBUTES if k in attributes}
    return out
