"""Any daily SST file in, one tidy xarray Dataset out: (time, lat, lon), degC, ascending, NaN = gap.

Everything after this module (the book's chapters, the network, the baselines) can rely on that one
layout, because every doubt about a user's file is settled here, with an error rather than a guess.
`open_sst` is the only door; behind it each doubt has a room: `files` (which files), `variables`
(which variable), `axes` (which coordinates), `days` (which day), `units` (what its numbers mean),
`quality` (which pixels), `plausible` (which values), `sea_mask` (where the sea is).
"""

import re
import warnings
from dataclasses import dataclass

import numpy as np
import xarray as xr

from sst_tutorial import days, files
from sst_tutorial.axes import (
    KINDS,
    ascending,
    degrees,
    find_coordinate,
    refuse_a_list_of_points,
    refuse_other_grids,
    refuse_row_numbers,
    unrolled,
)
from sst_tutorial.plausible import COLDEST, HOTTEST, KELVIN, guarded, without_codes  # noqa: F401
from sst_tutorial.quality import Rule, advised, find_error, find_quality
from sst_tutorial.quantity import Quantity
from sst_tutorial.sea_mask import find_mask, ocean_of, tell_of_land
from sst_tutorial.units import decoded, in_valid_range, packing_of, thinned, unit_of
from sst_tutorial.variables import NotHere, find_companion, find_sst

VERTICAL_OR_ENSEMBLE = re.compile(r"lev|depth|height|^z|^k$|member|ensemble|realiz|number|^n?ens")
LEVELS = re.compile(r"lev|depth|height|^z|^k$|^s_|sigma|pres")
# Axes of which each slice is one more view of the same day: versions, overpasses, sensors.
VIEWS = re.compile(r"expver|pass|orbit|node|swath|sensor|platform|satellit|view|version|daynight")
KEPT_ATTRIBUTES = ("title", "institution", "source", "references", "license", "product_version")
# CF attributes of what the package writes.
SST_ATTRIBUTES = {"standard_name": "sea_surface_temperature", "units": "degree_Celsius"}
AXIS_ATTRIBUTES = {
    "time": {"standard_name": "time", "axis": "T"},
    "lat": {"standard_name": "latitude", "units": "degrees_north", "axis": "Y"},
    "lon": {"standard_name": "longitude", "units": "degrees_east", "axis": "X"},
}
IN_MEMORY = 256 * 2**20  # bytes of float32 up to which the data are read at once
MOST_MASKS = 8  # files of a larger series whose masks are read


def open_sst(
    path,
    variable: str | None = None,
    units: str | None = None,
    quality: int | str | None = None,
    date: str | None = None,
    cadence: str | int | None = None,
    bias: bool = False,
    transform: str | None = None,
) -> xr.Dataset:
    """Open daily sea surface temperature from any regular latitude-longitude file.

    Parameters
    ----------
    path : a NetCDF file, a Zarr store, a folder of them (searched with its subfolders), a glob
        pattern, a list of files or Datasets on one grid, or an xarray.Dataset already open (the way
        in for a file that needs a repair first). Beside a final OISST file its `_preliminary` is
        left out. Of many files those that hold no daily observations (what `reconstruct` wrote,
        monthly means, other variables) are left out with a warning.
    variable : name of the variable; needed only when the file leaves a choice. Without it the CF
        standard_name decides, then a common name (sst, analysed_sst, tos, ...), then any name that
        contains "sst"; two candidates of the same rank are an error, an anomaly is none. A variable
        that is named here and is no temperature keeps its unit.
    units : "degC" or "K", overrides the unit that the file states or fails to state.
    quality : the worst grade to take, in the file's own scale; "none" takes all. By default the two
        best: `quality_level` >= 4 (GHRSST), `qual_sst` <= 1 (NASA), or those whose flag_meanings
        begin with best, good, acceptable; of NOAA's ACSPO 5 alone, as its makers advise.
    date : the day of a single field whose file has no time. Without it the middle of
        time_coverage_start and time_coverage_end is taken, or the only date in the file's name.
    cadence : what one field stands for where that is no day: "monthly" or a number of days; it is
        repeated on each of them. "daily" takes fields that lie far apart for what they are.
    bias : subtract the file's `sses_bias`.
    transform : "log10" for a variable that is positive and skewed, such as chlorophyll.

    Returns
    -------
    xarray.Dataset with
        sst (time, lat, lon) float32, degC, NaN = land, cloud or any other gap;
        ocean_mask (lat, lon) bool, True = ocean;
        sst_error (time, lat, lon) float32, K, only where the file tells the error of each
            observation (`sses_standard_deviation`, a total uncertainty);
        time: midnight of each UTC day present, sorted, unique (absent days stay absent); lat
        ascending; lon ascending and contiguous, starting in [-180, 180) and running past 180 where
        a region crosses it.
    Up to 256 MiB the values are in memory, above that they are lazy dask arrays.

    A field belongs to the UTC day of the middle of its time bounds, else of its stamp. Several
    fields of a day (overpasses, day and night) become one: in each cell the mean of those of the
    best quality that saw it.

    The ocean mask is the file's own (`mask`, `land_mask`, ...; flag_meanings are read, water on any
    day is water, and a plain 0/1 mask is turned the way in which the observed cells are sea) and
    values outside it become NaN. Without one, a file that sees the same cells on each of two days
    or more has no gaps and those cells are its ocean, unless open sea by Natural Earth is missing;
    otherwise ocean is what Natural Earth calls so or was ever seen.

    Values outside valid_min..valid_max or -5..50 degC become NaN, and so does one exact value that
    fills land or clouds (see `plausible`), each with a warning.

    Raises ValueError, saying what was seen and what to do, for anything else.
    """
    if transform not in (None, "log10"):
        raise ValueError(f"transform={transform!r} is unknown; there is 'log10'")
    opened = files.open_all(path)
    asked = {"variable": variable, "units": units, "quality": quality, "date": date, "bias": bias}
    parts = _read_all(opened, asked)
    first = parts[0]
    masks = _masks(parts)
    joined = _by_day(_join(parts), parts, cadence)
    if 4 * joined["sst"].size <= IN_MEMORY:
        joined = _load(joined, first.where)
        for _, dataset in () if files.are_datasets(path) else opened:
            dataset.close()
    _refuse_nothing_left(joined["sst"], first)
    joined["sst"] = _guarded(joined["sst"], first, transform)
    joined = _one_field_per_day(joined)
    ocean, own = ocean_of(masks, joined["sst"], complete=first.own)
    joined = joined.where(ocean) if own else joined
    if joined["sst"].chunks is None:
        tell_of_land(joined["sst"])
    return _labelled(joined, ocean, first, opened[0][1].attrs, transform)


@dataclass
class _Part:
    """What one file holds: `data` on (time, lat, lon), in its final unit, and how it was read."""

    where: str
    data: xr.Dataset  # sst; grade, error and mask if there are any; start and end of each field
    name: str
    stated: str  # its unit, in the words of the file or the caller
    read_as: str | None  # "degC", "K", or None for what is no temperature
    packing: tuple[float, float]
    rule: Rule | None  # which pixels were taken
    dated: str | None  # how a field without a time got its day
    own: bool  # complete maps that this package made
    means: bool  # fields of more than a day each
    width: float | None  # days that a field covers, by the attributes of the file
    attrs: dict


def _read_all(opened: list, asked: dict) -> list[_Part]:
    """The files that hold daily maps of the variable; the others are left out with a word."""
    parts, without = [], []
    for where, ds in opened:
        try:
            sst = find_sst(ds, where, asked["variable"])
        except NotHere as error:
            without.append((where, error))
        else:
            parts.append(_read(ds, sst, where, asked))
    if not parts:
        raise ValueError(str(without[0][1]))
    if without:
        files.left_out([where for where, _ in without], "no such variable in it")
    means = [part for part in parts if part.means]
    if 0 < len(means) < len(parts):
        files.left_out([part.where for part in means], "means over many days")
        parts = [part for part in parts if not part.means]
    if asked["date"] is not None and len(parts) > 1:
        raise ValueError(f"date={asked['date']!r} is one day, but path has {len(parts)} files")
    _tell(parts, asked["quality"])
    return parts


def _tell(parts: list[_Part], quality) -> None:
    """What was decided for the user, one line each."""
    dated = [part for part in parts if part.dated]
    if dated:
        more = f" and {len(dated) - 1} more files have" if len(dated) > 1 else " has"
        warnings.warn(f"{dated[0].where}{more} no time: {dated[0].dated}", stacklevel=4)
    rule = parts[0].rule
    if rule is not None and rule.selects:
        warnings.warn(
            f"{parts[0].where}: only pixels with {rule} are taken; quality=N sets another limit, "
            "quality='none' takes all",
            stacklevel=4,
        )
    elif rule is not None and quality is None:
        warnings.warn(
            f"{parts[0].where}: {rule.name!r} was left alone, it does not tell which grades are "
            "good; say quality='>=N' or quality='<=N', or quality='none'",
            stacklevel=4,
        )
    if parts[0].own:
        warnings.warn(
            f"{parts[0].where} was made by this package: complete maps, no observations",
            stacklevel=4,
        )


# ---------------------------------------------------------------- one file


def _read(ds: xr.Dataset, sst: xr.DataArray, where: str, asked: dict) -> _Part:
    ds = unrolled(ds, sst)
    axes = {kind: find_coordinate(ds, sst, kind, where) for kind in KINDS}
    refuse_a_list_of_points(ds, sst, axes, where)
    refuse_row_numbers(ds, axes, where)
    own = files.is_own_output(ds)
    start, end, dated = _times(ds, sst, axes, where, asked["date"], own)
    grid = [ds[axes["latitude"]].dims[0], ds[axes["longitude"]].dims[0]]
    names = {
        "sst": str(sst.name),
        "quality": find_quality(ds, sst, grid),
        "bias": find_companion(ds, sst, grid, "sses_bias"),
        "error": find_error(ds, sst, grid),
        "mask": find_mask(ds, sst, grid),
    }
    names = {role: name for role, name in names.items() if name}
    unpacked = decoded(ds, [*names.values(), axes["latitude"], axes["longitude"]], where)
    held = {role: unpacked[name] for role, name in names.items()}
    read_as, stated = unit_of(held["sst"], where, asked)
    rule = Rule.of(held.get("quality"), asked["quality"], where, advised(ds, where))
    packing = packing_of(held["sst"], where)
    fields = _fields(held, rule, read_as, asked["bias"], where)
    tidy = _three_axes(fields, axes, ds, where) | {"start": ("time", start), "end": ("time", end)}
    if "mask" in held:
        tidy["mask"] = _on_grid(held["mask"], grid, axes, ds)
    lat, lon = (degrees(unpacked[axes[kind]]) for kind in ("latitude", "longitude"))
    middle = start + (end - start) // 2
    data = ascending(xr.Dataset(tidy, {"time": middle, "lat": lat, "lon": lon}), where)
    width = days.said_width(ds)
    several = _length(data, width) > days.LONGEST or files.says_means(where, ds, sst)
    return _Part(
        where=where,
        data=data,
        name=names["sst"],
        stated=stated,
        read_as=read_as,
        packing=packing,
        rule=rule,
        dated=dated,
        own=own,
        means=several and not own,
        width=width,
        attrs=dict(held["sst"].attrs),
    )


def _fields(held: dict, rule: Rule | None, read_as: str | None, bias: bool, where: str) -> dict:
    """`sst` in its final unit where its quality suffices, and what else goes along with it."""
    sst = in_valid_range(held["sst"], read_as, where)
    sst = sst.astype(np.promote_types(sst.dtype, np.float32))  # 0.1 K are lost in half precision
    if bias:
        if "bias" not in held:
            raise ValueError(f"bias=True: {where} has no variable sses_bias to subtract")
        sst = sst - held["bias"].fillna(0)
    if rule is not None and rule.selects:
        sst = sst.where(rule.keeps(held["quality"]))
    fields = {"sst": (sst - KELVIN if read_as == "K" else sst).astype("float32")}
    if rule is not None and rule.rising is not None:
        fields["grade"] = rule.grade(held["quality"]).astype("float32")
    if "error" in held:
        error = held["error"].astype("float32")
        fields["error"] = error.where(error > 0)  # 0 or -1: not known
    return fields


def _three_axes(fields: dict, axes: dict, raw: xr.Dataset, where: str) -> dict:
    """The fields as lazy (time, lat, lon), without coordinates."""
    named = {"time": axes["time"], "lat": axes["latitude"], "lon": axes["longitude"]}
    sst = fields["sst"]
    dims = {
        raw[name].dims[0]: axis
        for axis, name in named.items()
        if name and raw[name].dims and raw[name].dims[0] in sst.dims
    }
    others = [d for d in sst.dims if d not in dims and sst.sizes[d] > 1]
    for dim in others:
        if len(others) > 1 or not _are_views(sst, dim):
            which, words = _one_of(dim, raw)
            raise ValueError(
                f"{where}: variable {sst.name!r} has the axis {dim!r} of length "
                f"{sst.sizes[dim]} beside time, lat and lon; choose one of it, "
                f"ds.isel({{{dim!r}: {which}}}){words}, and pass the Dataset"
            )
        warnings.warn(
            f"{where}: of the {sst.sizes[dim]} along {dim!r} the first that is not missing is "
            "taken in each cell and day",
            stacklevel=5,
        )
        first = sst.notnull().argmax(dim).compute()  # the same for grade and error
        fields = {k: v.isel({dim: first}) if dim in v.dims else v for k, v in fields.items()}
    tidy = {}
    for role, field in fields.items():
        field = field.squeeze([d for d in field.dims if d not in dims], drop=True)
        field = field.drop_vars(list(field.coords))
        field = field.rename({d: axis for d, axis in dims.items() if d in field.dims})
        if "time" not in field.dims:  # one field, or grades that hold for all of them
            field = field.expand_dims(time=tidy["sst"].sizes["time"] if tidy else 1)
        tidy[role] = field.transpose("time", "lat", "lon")  # (T, H, W)
    return tidy


def _one_of(dim: str, ds: xr.Dataset) -> tuple[int, str]:
    """An index along an axis to name as an example: of levels the one nearest the surface."""
    if not LEVELS.search(dim.lower()):
        return 0, ""
    if dim not in ds.variables or ds[dim].dtype.kind not in "iuf":
        return 0, " (or -1: whichever end is the surface)"
    pressure = re.search(r"pa$|bar$", str(ds[dim].attrs.get("units", "")), re.I)
    height = ds[dim].values if pressure else -np.abs(ds[dim].values.astype(float))
    k = int(np.argmax(height))
    return k, f" (at {ds[dim].values[k]:g}, nearest the surface)"


def _are_views(sst: xr.DataArray, dim: str) -> bool:
    """Is each slice along `dim` one more view of the same day (and not a level or a member)?

    So it is by its name, or where hardly a cell has more than one value (ERA5's expver).
    """
    if VERTICAL_OR_ENSEMBLE.match(dim.lower()):
        return False
    if VIEWS.search(dim.lower()):
        return True
    rest = [d for d in sst.dims if d != dim]
    sample = thinned(sst.transpose(*rest, dim)).notnull()
    number = sample.sum(dim).values
    return bool((number > 1).sum() <= 0.01 * (number > 0).sum())


def _on_grid(mask: xr.DataArray, grid: list, axes: dict, raw: xr.Dataset) -> xr.DataArray:
    """The file's mask (lat, lon), or (time, lat, lon) where it has more than one day."""
    time = raw[axes["time"]].dims if axes["time"] else ()
    others = {d: 0 for d in mask.dims if d not in (*grid, *time) or mask.sizes[d] == 1}
    mask = mask.isel({d: k for d, k in others.items() if d not in grid}, drop=True)
    mask = mask.drop_vars(list(mask.coords))
    names = dict(zip((*grid, *time), ("lat", "lon", "time"), strict=False))
    mask = mask.rename({d: n for d, n in names.items() if d in mask.dims})
    return mask.transpose(..., "lat", "lon")


def _times(ds: xr.Dataset, sst: xr.DataArray, axes: dict, where: str, date, own: bool):
    """Start and end (T,) of what each field covers, and how they were told without a time."""
    name = axes["time"]
    if date is not None:
        stamp = days.stamp_of(date)
        if stamp is None:
            raise ValueError(f"date={date!r} is no date such as 2016-03-01")
        if name is not None and ds[name].size > 1:
            raise ValueError(
                f"date={date!r} is one day, but {where} has {ds[name].size} times in {name!r}"
            )
        return np.array([stamp]), np.array([stamp]), None
    if name is not None:
        if "climatology" in ds[name].attrs:
            warnings.warn(
                f"{where}: its time {name!r} is climatological, means of many years are taken for "
                "daily maps; they can serve as the climatology beside observations",
                stacklevel=4,
            )
        stamps = days.moments(ds[name].variable, name, where)
        bounds = None if own else days.covered(ds, name, where)
        return (*(bounds or (stamps, stamps)), None)
    grid = {ds[axes[k]].dims[0] for k in ("latitude", "longitude")}
    single = all(sst.sizes[d] == 1 or VIEWS.search(str(d).lower()) for d in set(sst.dims) - grid)
    found = days.from_attributes(ds, where) if single else None
    if found is None:
        raise ValueError(
            f"{where}: variable {sst.name!r} {sst.dims} has no time coordinate among "
            f"{', '.join(map(str, ds.variables))}; pass date='2016-02-01' if it is one day, else "
            "add one, ds.expand_dims(time=[numpy.datetime64('2016-02-01')]), and pass the Dataset"
        )
    start, end, source = found
    middle = start + (end - start) // 2
    words = f"{str(middle)[:10]} was taken from {source}; date='YYYY-MM-DD' says otherwise"
    return np.array([start]), np.array([end]), words


def _length(ds: xr.Dataset, width: float | None) -> float:
    """Days that a field of `ds` stands for, by its bounds, its spacing or the file's own words."""
    covered = ((ds["end"] - ds["start"]) / days.DAY).values
    return days.days_a_field(ds["time"].values, covered if covered.all() else None, width)


# ---------------------------------------------------------------- all files together


def _join(parts: list[_Part]) -> xr.Dataset:
    """All files after one another, of what all of them have."""
    refuse_other_grids([part.data for part in parts], [part.where for part in parts])
    first = parts[0].data
    if len(parts) == 1:
        return first.drop_vars("mask", errors="ignore")
    common = [k for k in first if k != "mask" and all(k in part.data for part in parts)]
    _tell_of_shared_days(parts)
    return xr.concat([part.data[common] for part in parts], "time", join="override")


def _tell_of_shared_days(parts: list[_Part]) -> None:
    held = {}
    for part in parts:
        for day in np.unique(part.data["time"].values.astype("datetime64[D]")):
            held.setdefault(day, []).append(part.where)
    shared = {day: names for day, names in held.items() if len(names) > 1}
    if shared:
        day, names = next(iter(shared.items()))
        warnings.warn(
            f"path: more than one file for {len(shared)} of the days ({day}: "
            f"{', '.join(names[:3])}); their fields are averaged",
            stacklevel=4,
        )


def _by_day(joined: xr.Dataset, parts: list[_Part], cadence) -> xr.Dataset:
    """`joined` with the UTC day of each field as its time; refused if fields are no daily maps."""
    start, end, stamps = (joined[k].values for k in ("start", "end", "time"))
    length = _length(joined, parts[0].width)
    joined = joined.drop_vars(["start", "end"])
    if cadence is None and not parts[0].own:
        _tell_of_running_means(parts[0], start, end, stamps)
    spans = None
    if cadence is not None:
        bounds = (start, end) if (end > start).all() else (None, None)
        spans = days.stands_for(cadence, stamps, *bounds)
    elif length > days.LONGEST and not parts[0].own:
        example = "monthly" if 27 < length < 32 else f"{length:.0f}"
        raise ValueError(
            f"{parts[0].where}: its fields stand for about {length:.0f} days each, they are no "
            f"daily maps; pass cadence={example!r} to take each for all of its days, or "
            "cadence='daily' if each is of one day"
        )
    if spans is None:
        return joined.assign_coords(time=stamps.astype("datetime64[D]").astype("datetime64[ns]"))
    gaps = np.diff(np.unique(stamps.astype("datetime64[D]")))
    if gaps.size and gaps.min() == np.timedelta64(1, "D"):
        raise ValueError(
            f"cadence={cadence!r}: {parts[0].where} has a field for each day; leave it"
        )
    return days.spread(joined, *spans)


def _tell_of_running_means(part: _Part, start, end, stamps) -> None:
    """A field for each day that covers more than one of them is smoother than a daily map."""
    apart = np.diff(np.unique(stamps.astype("datetime64[D]"))).astype(int)
    wide = max(float(np.median((end - start) / days.DAY)), part.width or 0.0)
    if apart.size and apart.min() == 1 and wide > days.LONGEST:
        warnings.warn(
            f"{part.where}: it has a field for each day, but each covers about {wide:.0f} days: "
            "running means are taken for daily maps, and so are what is filled in and its error",
            stacklevel=4,
        )


def _load(ds: xr.Dataset, where: str) -> xr.Dataset:
    try:
        return ds.load()
    except (OSError, RuntimeError, ValueError) as error:
        raise ValueError(
            f"path: the data of {where} (or of a file read with it) break off or cannot be "
            f"decoded ({error}); fetch the file again"
        ) from error


def _guarded(sst: xr.DataArray, part: _Part, transform: str | None) -> xr.DataArray:
    """`sst` without what no measurement is; log10 of it where that was asked for."""
    origin = f"{part.where}: variable {part.name!r} in {part.stated!r}"
    if part.read_as is not None:
        if transform is not None:
            raise ValueError(f"transform={transform!r} is not for temperatures; leave it out")
        return guarded(sst, origin, part.read_as, part.packing)
    sst = without_codes(sst, origin)
    if transform is None:
        return sst
    positive = sst.where(sst > 0)
    if sst.chunks is None and (lost := int(sst.notnull().sum() - positive.notnull().sum())):
        if not positive.notnull().any():
            raise ValueError(
                f"{origin} holds no positive value, it has no log10: leave out "
                f"transform={transform!r}"
            )
        warnings.warn(
            f"{origin}: {lost} values are not positive, have no log10 and become NaN", stacklevel=4
        )
    return np.log10(positive)


def _refuse_nothing_left(sst: xr.DataArray, part: _Part) -> None:
    limited = part.rule is not None and part.rule.selects
    if limited and sst.chunks is None and not sst.notnull().any():
        raise ValueError(
            f"{part.where}: no pixel has {part.rule}; choose another quality=N, or quality='none'"
        )


def _one_field_per_day(ds: xr.Dataset) -> xr.Dataset:
    """Days sorted; of several fields a day the mean of those of the best grade in each cell."""
    index = ds.indexes["time"]
    if index.is_unique:
        ds = ds if index.is_monotonic_increasing else ds.sortby("time")
        return ds.drop_vars("grade", errors="ignore")
    if "error" in ds:  # of those that saw the cell; as if they shared it: they met the same haze
        ds["error"] = ds["error"].where(ds["sst"].notnull())
    if "grade" in ds:
        grade = ds["grade"].where(ds["sst"].notnull())
        best = grade.groupby("time").max().sel(time=ds["time"])
        ds = ds.drop_vars("grade").where((grade == best) | grade.isnull())
    return ds.groupby("time").mean().transpose("time", "lat", "lon")  # sorts as well


def _masks(parts: list[_Part]) -> list[xr.DataArray]:
    """The files' own masks, of a few files where there are many and large."""
    masks = [part.data["mask"] for part in parts if "mask" in part.data]
    if len(masks) > MOST_MASKS and 4 * sum(mask.size for mask in masks) > IN_MEMORY:
        chosen = np.linspace(0, len(masks) - 1, MOST_MASKS).astype(int)
        masks = [masks[k] for k in chosen]
    return [mask.load() for mask in masks]


def _labelled(ds: xr.Dataset, ocean: xr.DataArray, part: _Part, attributes: dict, transform):
    """The finished Dataset with CF attributes and what the source says of itself."""
    out = xr.Dataset({"sst": ds["sst"], "ocean_mask": ocean})
    if "error" in ds and part.read_as is not None:
        out["sst_error"] = ds["error"]
    out = out.drop_encoding()
    out["sst"].attrs = SST_ATTRIBUTES | {"long_name": "daily sea surface temperature"}
    if part.read_as is None:
        quantity = _quantity(part, transform)
        out["sst"].attrs = _other_attributes(quantity)
        out.attrs |= quantity.attributes()
    if "sst_error" in out:
        out["sst_error"].attrs = {"long_name": "standard deviation of the error", "units": "K"}
    out["ocean_mask"].attrs |= {"long_name": "ocean", "comment": "1 = ocean, 0 = land"}
    for axis, axis_attributes in AXIS_ATTRIBUTES.items():
        out[axis].attrs = dict(axis_attributes)
    out.attrs |= {k: str(attributes[k]) for k in KEPT_ATTRIBUTES if k in attributes}
    return out


def _quantity(part: _Part, transform: str | None) -> Quantity:
    """What the variable is, in its own words."""
    standard_name = str(part.attrs.get("standard_name", ""))
    long_name = str(part.attrs.get("long_name", part.name))
    return Quantity(part.name, part.stated or "1", standard_name, long_name, transform or "")


def _other_attributes(quantity: Quantity) -> dict:
    """Of daily maps of a variable that is no temperature: its own words."""
    if quantity.transform:
        return {"long_name": f"log10 of {quantity.long_name}", "units": quantity.units_inside}
    words = {"standard_name": quantity.standard_name, "long_name": quantity.long_name}
    return {k: v for k, v in words.items() if v} | {"units": quantity.units}
