"""Which files a path stands for, each opened as it is on disk: nothing is decoded here.

What is no daily input (the package's own output, packed or hidden files, files without the
variable) is left out of a folder with a word, never in silence.
"""

import glob
import os
import re
import warnings
from pathlib import Path

import numpy as np
import xarray as xr

from sst_tutorial._extras import need
from sst_tutorial.classic import bytes_missing

_NETCDF = (".nc", ".nc4")
SUFFIXES = (*_NETCDF, ".cdf", ".netcdf", ".h5", ".hdf5", ".he5")
_PACKED = (".gz", ".bz2", ".xz", ".zip", ".z", ".tar", ".tgz", ".zst")


def open_all(path) -> list[tuple[str, xr.Dataset]]:
    """Name and Dataset, as on disk, of whatever the user passed as `path`; own outputs left out."""
    return [(name, _with_plain_words(ds)) for name, ds in _opened(path)]


def _opened(path) -> list[tuple[str, xr.Dataset]]:
    if isinstance(path, xr.Dataset):
        return [("the Dataset", path)]
    if are_datasets(path):
        if not all(isinstance(p, xr.Dataset) for p in path):
            raise ValueError("path is a list of files and Datasets; pass one or the other")
        return [(f"Dataset {k}", ds) for k, ds in enumerate(path)]
    found = _files(path)
    opened, foreign = [], []
    for file in found:
        try:
            opened.append((str(file), open_one(file)))
        except ValueError:  # a NetCDF file that cannot be read is a loss that must be known
            if len(found) == 1 or file.suffix.lower() in _NETCDF or not file.is_file():
                raise
            foreign.append(str(file))
    if foreign:
        left_out(foreign, "no NetCDF in it")
    return _without_own(opened)


def _with_plain_words(ds: xr.Dataset) -> xr.Dataset:
    """`ds` with text attributes as str, where a library wrote bytes or a list of one of them."""

    def plain(value):
        if isinstance(value, (list, tuple, np.ndarray)) and np.size(value) == 1:
            inside = np.ravel(value)[0]
            value = inside if isinstance(inside, (str, bytes)) else value
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else value

    ds = ds.copy()
    for holder in (ds, *ds.variables.values()):
        holder.attrs = {k: plain(v) for k, v in holder.attrs.items()}
    return ds


def are_datasets(path) -> bool:
    """Are these open already, and not ours to close?"""
    several = path if isinstance(path, (list, tuple)) else [path]
    return any(isinstance(p, xr.Dataset) for p in several)


def is_own_output(ds: xr.Dataset) -> bool:
    """Did `reconstruct` write it? Its complete maps are no observations."""
    return str(ds.attrs.get("program", "")).startswith("sst_tutorial")


def left_out(names: list[str], why: str) -> None:
    """Say which files are not used."""
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    warnings.warn(f"path: left out {shown}: {why}", stacklevel=4)


def _files(path) -> list[Path]:
    """The files that `path` stands for, without a preliminary one beside its final one."""
    packed = []
    if isinstance(path, (list, tuple)):
        for p in path:
            if not isinstance(p, (str, os.PathLike)):
                raise ValueError(f"path lists a {type(p).__name__}; list files or Datasets")
        files = [Path(p).expanduser() for p in path]
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
    else:
        place = Path(path).expanduser()
        if place.is_dir() and not is_zarr(place):
            files = files_in(place)
            packed = [f for f in place.rglob("*") if f.suffix.lower() in _PACKED]
        elif place.exists():
            files = [place]
        else:
            files = [Path(f) for f in sorted(glob.glob(str(place), recursive=True))]
    if packed:
        left_out(sorted(map(str, packed)), "packed; unpack first, for example with gunzip")
    files = list({f.resolve(): f for f in reversed(files)}.values())[::-1]  # a link is no second
    if not files:
        raise ValueError(f"path={str(path)!r}: no such file, and no NetCDF file there; check it")
    final = {f.name for f in files}
    return [
        f
        for f in files
        if f.name.replace("_preliminary", "", 1) == f.name
        or f.name.replace("_preliminary", "", 1) not in final
    ]


def files_in(folder: Path) -> list[Path]:
    """NetCDF and HDF5 files and Zarr stores below `folder`, hidden ones ("._a.nc") apart."""
    found = []
    for place, folders, names in os.walk(folder):
        stores = [d for d in folders if is_zarr(Path(place) / d)]
        folders[:] = [d for d in folders if d not in stores and not d.startswith(".")]
        names = [n for n in names if n.lower().endswith(SUFFIXES) and not n.startswith(".")]
        found += [Path(place) / name for name in (*names, *stores)]
    return sorted(found)


def is_zarr(path: Path) -> bool:
    return any((path / name).exists() for name in ("zarr.json", ".zgroup", ".zattrs", ".zmetadata"))


def open_one(file: Path) -> xr.Dataset:
    """One NetCDF file or Zarr store as it is on disk; ValueError where it breaks off or is none."""
    engine = "zarr" if file.is_dir() else None
    if engine == "zarr":
        need("zarr", "zarr")
    if file.suffix.lower() in _PACKED and file.is_file():
        raise ValueError(f"path={str(file)!r} is packed: unpack it first, for example with gunzip")
    try:
        missing = 0 if file.is_dir() else bytes_missing(file)
        if missing:
            raise ValueError(f"it is {missing} bytes shorter than its header says")
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Failed to open Zarr store with consolidated")
            ds = xr.open_dataset(file, engine=engine, decode_cf=False)
    except FileNotFoundError:
        raise ValueError(f"path={str(file)!r}: no such file; check the name") from None
    except Exception as error:  # damaged metadata make the libraries raise whatever they like
        reason = (str(error) or type(error).__name__).splitlines()[0].split(". ")[0]
        raise ValueError(
            f"path={str(file)!r} cannot be read as NetCDF or Zarr ({reason}); is it complete, and "
            "of that format?"
        ) from error
    return _with_its_group(ds, file)


def _with_its_group(ds: xr.Dataset, file: Path) -> xr.Dataset:
    """`ds`, or where it has no field the one group below that has some, with all above it.

    ValueError where several groups have fields: which one is the user's to say.
    """
    if _has_field(ds):
        return ds
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            groups = xr.open_groups(file, engine="zarr" if file.is_dir() else None, decode_cf=False)
    except (OSError, ValueError, TypeError, NotImplementedError):  # a format without groups
        return ds
    held = [name for name, group in groups.items() if _has_field(group)]
    if not held:
        return ds
    if len(held) > 1:
        raise ValueError(
            f"path={str(file)!r} has fields in {len(held)} groups, {', '.join(held)}: open one, "
            f"xarray.open_dataset({str(file)!r}, group={held[0]!r}), and pass the Dataset"
        )
    inside = groups[held[0]]
    for name, other in groups.items():  # coordinates may lie in the groups around or beside it
        around = held[0].startswith(name.rstrip("/") + "/")
        if name != held[0] and (around or _COORDINATE.search(" ".join(map(str, other.variables)))):
            fits = {k: v for k, v in other.variables.items() if k not in inside}
            fits = {k: v for k, v in fits.items() if _fits(v, inside)}
            inside = inside.assign(fits).assign_attrs(other.attrs | inside.attrs)
    return inside


_COORDINATE = re.compile(r"\b(lat|lon|time)", re.I)


def _fits(variable: xr.Variable, ds: xr.Dataset) -> bool:
    return all(ds.sizes.get(d, n) == n for d, n in variable.sizes.items())


def _has_field(ds: xr.Dataset) -> bool:
    """Is there anything in it that could be mapped, coordinates written on two axes apart?"""
    return any(
        v.ndim >= 2
        and v.dtype.kind in "fiu"
        and not re.match(r"(lat|long?)(itude)?s?$", str(k), re.I)
        for k, v in ds.data_vars.items()
    )


def _without_own(opened: list) -> list:
    """Of many files those that hold observations: no output of `reconstruct`, no simulated truth.

    Alone, such a file is opened: one may want to look at it.
    """
    own = [name for name, ds in opened if is_own_output(ds)]
    if 0 < len(own) < len(opened):
        left_out(own, "complete maps that this package made")
        opened = [(name, ds) for name, ds in opened if name not in own]
    seen = [name for name, ds in opened if _simulated(ds) == "seen"]
    truth = [name for name, ds in opened if _simulated(ds) == "complete"]
    if seen and truth:
        left_out(truth, "the complete sea behind a simulated one with gaps")
        opened = [(name, ds) for name, ds in opened if name not in truth]
    return opened


def _simulated(ds: xr.Dataset) -> str | None:
    if "simulat" not in str(ds.attrs.get("title", "")).lower() or "sst" not in ds:
        return None
    return "seen" if "seen between" in str(ds["sst"].attrs.get("long_name")) else "complete"


_MEANS = re.compile(
    r"month|mnmean|[._]mo[._]|8.?day|[._]8d[._]|weekly|annual|yearly|climatolog", re.I
)


def says_means(name: str, ds: xr.Dataset, sst: xr.DataArray) -> bool:
    """Does a file call itself a mean over more than a day, in its name, title or long_name?"""
    words = (Path(name).name, ds.attrs.get("title", ""), sst.attrs.get("long_name", ""))
    return any(_MEANS.search(str(w)) for w in words)
