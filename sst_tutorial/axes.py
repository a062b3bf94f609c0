"""Which coordinates a variable lies on, and a grid that ascends south to north, west to east."""

import re

import numpy as np
import xarray as xr

from sst_tutorial.days import TIME_UNITS

_NAMES = {
    "latitude": {"lat", "latitude", "lats", "nav_lat", "ylat"},
    "longitude": {"lon", "longitude", "lons", "long", "nav_lon", "xlon"},
    "time": {"time", "times", "valid_time", "time_counter", "ocean_time", "date", "day", "t"},
}
_UNITS = {
    "latitude": re.compile(r"(degrees?|degs?|°)[ _]*[ns](orth|outh)?$", re.I),
    "longitude": re.compile(r"(degrees?|degs?|°)[ _]*[ew](ast|est)?$", re.I),
    "time": TIME_UNITS,
}
_BACKWARD = re.compile(r"(degrees?|degs?|°)[ _]*(s(outh)?|w(est)?)$", re.I)
_LETTERS = {"latitude": "Y", "longitude": "X", "time": "T"}
_OTHER = re.compile(r"forecast|reference|grid_l|projection|realization", re.I)
KINDS = tuple(_NAMES)


def find_coordinate(ds: xr.Dataset, sst: xr.DataArray, kind: str, where: str) -> str | None:
    """Name of the 1-D latitude or longitude, or of the time (1-D or scalar; None = has none).

    An axis of the variable goes before any other coordinate, then axis="T", then the standard_name,
    the common name, other names, the unit. Two of one rank are an error.
    """
    ranks = {k: _rank(kind, str(k), v) for k, v in ds.variables.items() if k != sst.name}
    found = [k for k, rank in ranks.items() if rank is not None]
    flat = [k for k in found if ds[k].ndim == 1 or (ds[k].ndim == 2 and ds[k].dtype == "S1")]
    usable = [k for k in flat if ds[k].dims[0] in sst.dims]
    if kind == "time" and not usable:
        usable = [k for k in found if ds[k].size == 1 and ds[k].ndim <= 1]
    if usable:
        rank = {k: (are_row_numbers(ds[k]), k not in sst.dims, ranks[k]) for k in usable}
        best = [str(k) for k in usable if rank[k] == min(rank.values())]
        if not all(_same(ds[best[0]].variable, ds[k].variable) for k in best):
            raise ValueError(
                f"{where} has {len(best)} variables that could be the {kind}: {', '.join(best)}; "
                f"drop the others, ds.drop_vars({best[-1]!r}), and pass the Dataset"
            )
        return best[0]
    if kind == "time":
        return None
    if found and ds[found[0]].ndim > 1:
        raise ValueError(
            f"{where}: {kind} {found[0]!r} is {ds[found[0]].ndim}-D {ds[found[0]].shape}, a swath "
            "or curvilinear grid; regrid to 1-D lat and lon first (xesmf, pyresample or cdo do it)"
        )
    raise ValueError(
        f"{where}: variable {sst.name!r} {sst.dims} has no {kind} coordinate among "
        f"{', '.join(map(str, ds.variables))}; rename the right one to {kind[:3]!r}, or "
        f"give it one, ds.assign_coords({kind[:3]}=...), and pass the Dataset"
    )


def are_row_numbers(coordinate: xr.DataArray) -> bool:
    """0, 1, 2, ... without a unit or a standard_name: the index of a row, no place."""
    values = coordinate.values
    if values.dtype.kind not in "iu" or values.size < 2 or values.ndim != 1:
        return False
    counted = values[0] in (0, 1) and (np.diff(values.astype(int)) == 1).all()
    return bool(counted and not {"units", "standard_name", "axis"} & set(coordinate.attrs))


def refuse_row_numbers(ds: xr.Dataset, names: dict, where: str) -> None:
    lat, lon = ds[names["latitude"]], ds[names["longitude"]]
    if are_row_numbers(lat) and are_row_numbers(lon):
        raise ValueError(
            f"{where}: {lat.name!r} and {lon.name!r} number rows and columns ({lat.values[0]}.."
            f"{lat.values[-1]}, {lon.values[0]}..{lon.values[-1]}, no unit); give them degrees, "
            f"ds.assign_coords({lat.name}=..., {lon.name}=...), and pass the Dataset"
        )


def unrolled(ds: xr.Dataset, sst: xr.DataArray) -> xr.Dataset:
    """`ds` with a regular grid that is written as 2-D lat and lon (NEMO's nav_lat) as 1-D axes.

    Regular is where each of the two varies along one axis only, to a hundredth of a cell. All else
    is left as it is, for `find_coordinate` to refuse.
    """
    for kind in ("latitude", "longitude"):
        others = {str(k): v for k, v in ds.variables.items() if set(v.dims) <= set(sst.dims)}
        ranks = {k: _rank(kind, k, v) for k, v in others.items() if k != sst.name}
        found = [k for k, rank in ranks.items() if rank is not None]
        if not found or any(ds[k].ndim == 1 for k in found):
            continue
        name = min(found, key=ranks.get)
        variable = ds[name].variable
        axis = _only_axis(variable) if variable.ndim == 2 else None
        if axis is not None:
            line = variable.isel({variable.dims[1 - axis]: 0})
            ds = ds.drop_vars(name).assign_coords({name: line})
    return ds


def _only_axis(variable: xr.Variable) -> int | None:
    """The one axis along which the values (H, W) of a variable vary, or None."""
    values = variable.values
    if values.dtype.kind not in "iuf" or not np.isfinite(values).all():
        return None
    for axis in (0, 1):
        lines = values.astype(float) if axis == 0 else values.astype(float).T
        step = np.abs(np.diff(lines, axis=0))
        cell = np.median(step) if step.size else 0.0
        if cell > 0 and np.ptp(lines, axis=1).max() <= 0.01 * cell:
            return axis
    return None


def _same(a: xr.Variable, b: xr.Variable) -> bool:
    return a.equals(b) and a.attrs.get("units") == b.attrs.get("units")


def _rank(kind: str, name: str, variable: xr.Variable) -> int | None:
    """0 for the surest sign that a variable is the latitude, longitude or time; None for none."""
    standard = str(variable.attrs.get("standard_name", "")).lower()
    units = str(variable.attrs.get("units", variable.encoding.get("units", ""))).strip()
    if _OTHER.search(standard) or (kind == "time" and _OTHER.search(name) and standard != "time"):
        return None
    signs = (
        str(variable.attrs.get("axis")).upper() == _LETTERS[kind]
        and (kind == "time" or standard in ("", kind) and "degree" in f"{units}degree"),
        standard == kind,
        name.lower() in (kind, kind[:3]),
        name.lower() in _NAMES[kind],
        bool(_UNITS[kind].match(units)) or (kind == "time" and variable.dtype.kind == "M"),
    )
    return next((rank for rank, sign in enumerate(signs) if sign), None)


def degrees(coordinate: xr.DataArray) -> np.ndarray:
    """Values (N,) in degrees north or east, of whichever way the file counts."""
    units = str(coordinate.attrs.get("units", "")).strip()
    values = coordinate.values.astype(float) * (-1 if _BACKWARD.match(units) else 1)
    return np.rad2deg(values) if re.match(r"rad(ian)?s?$", units, re.I) else values


def refuse_a_list_of_points(ds: xr.Dataset, sst: xr.DataArray, names: dict, where: str) -> None:
    lat, lon = ds[names["latitude"]], ds[names["longitude"]]
    if lat.dims == lon.dims:
        raise ValueError(
            f"{where}: variable {sst.name!r} {sst.dims} is a list of points, lat and lon both lie "
            f"along {lat.dims[0]!r}; put it on a grid of lat and lon first and pass the Dataset"
        )


def ascending(ds: xr.Dataset, where: str) -> xr.Dataset:
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
    for name, values, line in (("lat", lat, "row"), ("lon", lon, "column")):
        if np.unique(values).size != values.size:
            raise ValueError(f"{where}: {name} holds the same value twice; keep one {line} of each")
    east = (lon + 180) % 360 - 180  # [-180, 180)
    _, order = np.unique(east.round(6), return_index=True)  # a closing column 360 = 0 goes
    east = east[order]
    gaps = np.diff(np.append(east, east[0] + 360))
    if gaps.size > 1 and gaps.max() > 1.5 * np.median(gaps):  # not the whole circle
        start = (gaps.argmax() + 1) % east.size
        order = np.roll(order, -start)
        east = np.concatenate([east[start:], east[:start] + 360])
    ds = _take(_take(ds, "lat", np.argsort(lat)), "lon", order)
    return ds if np.array_equal(east, lon) else ds.assign_coords(lon=east)


def _take(ds: xr.Dataset, dim: str, order: np.ndarray) -> xr.Dataset:
    if np.array_equal(order, np.arange(ds.sizes[dim])):
        return ds
    return ds.isel({dim: order})


def refuse_other_grids(parts: list[xr.Dataset], names: list[str]) -> None:
    """The grids of all files must agree to 1e-4 degrees."""
    first = parts[0]
    for part, name in zip(parts, names, strict=True):
        for axis in ("lat", "lon"):
            ours, theirs = first[axis].values, part[axis].values
            if ours.size != theirs.size or np.abs(ours - theirs).max() > 1e-4:
                raise ValueError(
                    f"path: {names[0]} and {name} have different grids, {axis} {_span(ours)} "
                    f"against {_span(theirs)}; open the files of one grid together"
                )


def _span(axis: np.ndarray) -> str:
    return f"{axis[0]:.6g}..{axis[-1]:.6g} ({axis.size})"
