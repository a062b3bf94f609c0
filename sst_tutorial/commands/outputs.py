"""Files that commands write: refused before the work, and whole or not there at all."""

import glob
import os
import time
from pathlib import Path

from sst_tutorial.whole import whole


def is_zarr(path: Path) -> bool:
    return path.suffix.lower() == ".zarr"


def checked_output(path, overwrite: bool, *inputs, suffixes=(".nc", ".nc4")) -> Path:
    """The path to write to, or ValueError now rather than after minutes of work."""
    path = Path(path)
    if path.is_dir() and not (is_zarr(path) and ".zarr" in suffixes):
        raise ValueError(f"{path} is a folder; name a file to write, for example {path}/out.nc")
    if path.suffix.lower() not in suffixes:
        also = " (or in .zarr)" if suffixes[0] == ".nc" else ""
        raise ValueError(f"{path} must end in {suffixes[0]}{also}, the only format written")
    folder = path.resolve().parent if path.is_symlink() else path.parent
    if not folder.is_dir():
        raise ValueError(f"{path} cannot be written: there is no folder {folder}; make it")
    if not os.access(folder, os.W_OK):
        raise ValueError(f"{path} cannot be written: no permission to write in {folder}")
    for other in inputs:
        if other and _reads(other, path):
            raise ValueError(
                f"{path} is also an input ({other}), or would be one the next time; choose another "
                "name for the output"
            )
    if path.exists() and not overwrite:
        raise ValueError(f"{path} exists; choose another name or add --overwrite")
    return path


def _reads(given: str, path: Path) -> bool:
    """Is `path` one of the files that the input `given` stands for, now or once it is written?"""
    folder, absolute = Path(given), Path(os.path.abspath(path))
    if folder.is_dir():
        inside = path.resolve().is_relative_to(folder.resolve())
        found = [*folder.rglob("*.nc"), *folder.rglob("*.nc4")]
    else:
        inside = not folder.exists() and absolute.match(os.path.abspath(given))
        found = [folder] if folder.exists() else map(Path, glob.glob(given, recursive=True))
    return inside or (path.exists() and any(path.samefile(f) for f in found if f.exists()))


def write(dataset, path: Path, command_line: str) -> None:
    """Compressed NetCDF that appears whole or not at all."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    dataset = dataset.assign_attrs(date_created=now, history=f"{now} {command_line}")
    encoding = {
        name: {"zlib": True, "complevel": 4, "shuffle": True}
        for name, variable in dataset.data_vars.items()
        if variable.ndim > 1 and variable.dtype.kind in "fib"
    }
    with whole(path) as part:
        dataset.to_netcdf(part, engine="netcdf4", encoding=encoding)
