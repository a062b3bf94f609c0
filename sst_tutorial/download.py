"""NOAA's daily OISST, fetched a day at a time: a file gets its final name only once it is right.

A day is downloaded beside its place as a `.part` file, opened, checked and cut to the region, and
only then renamed. A run that is killed leaves no broken file, and the same call again goes on.
"""

import contextlib
import os
import shutil
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from uuid import uuid4

import numpy as np
import pandas as pd
import xarray as xr
from tqdm.auto import tqdm

from sst_tutorial._extras import need
from sst_tutorial.files import open_one

need("download", "requests")
import requests  # noqa: E402 (`need` speaks before the import can fail)
from urllib3.exceptions import NewConnectionError, SSLError  # noqa: E402

NOAA = (
    "https://www.ncei.noaa.gov/data/sea-surface-temperature-optimum-interpolation/v2.1/access/avhrr"
)
FIRST_DAY = date(1981, 9, 1)
WORKERS = 4  # polite to a public server; more does not help on a home connection
TRIES = 4
PAUSE = 1.0  # seconds before the second try; doubles with each further one
TIMEOUT = (10, 30)  # seconds to connect, and without one byte while reading
LONGEST = 300  # seconds for one file of 1.6 MB, against servers that only trickle
LARGEST = 64 * 2**20  # bytes of one file, against those that never end (unpacked: zeros pack well)
GIVE_UP = 5  # failed days, none fetched meanwhile, after which the server is taken to be down
ABANDONED = 3600  # seconds after which a .part file belongs to no running download

_thread = threading.local()  # one HTTP session, hence one kept connection, per worker
_hdf5 = threading.Lock()  # the HDF5 library is not safe to open and close in several threads


@dataclass(frozen=True)
class Download:
    """What `download_oisst` brought: all three lists are in the order of the days."""

    files: list[Path]  # one per day that exists, new or already there; open_sst(files) reads them
    preliminary: list[date]  # days of `files` that NOAA has not finalised yet
    missing: list[date]  # days that do not exist upstream


class _Broken(Exception):
    """What arrived is not the file of that day; another try may help."""


class _Refused(_Broken):
    """The source will not give it, however often it is asked."""


class _Absent(Exception):
    """The source says that there is no such file."""


@dataclass(frozen=True)
class _Source:
    """Where files come from, and what is known of it by all who fetch from it."""

    base: Path | str
    stop: threading.Event  # nothing more is to be begun
    answered: threading.Event  # it was heard from in this call


def download_oisst(start, end, region=None, to="oisst", source=NOAA, progress=True) -> Download:
    """Download NOAA OISST v2.1 daily files (0.25 degrees), cut to a region, into a folder.

    Parameters
    ----------
    start, end : first and last day, both included: dates or ISO strings. "2016" or "2016-02" mean
        the whole year or month.
    region : {"lat": (south, north), "lon": (west, east)} in degrees, kept are the cells whose
        centre lies inside; longitudes may be 0..360 or -180..180, and west > east crosses the
        dateline: {"lat": (-50, -30), "lon": (160, -170)}. None keeps the files as they are.
    to : folder for `YYYYMM/oisst-avhrr-v02r01.YYYYMMDD.nc`, as upstream; one region per folder.
        Days that are there and right are not fetched again; a preliminary one is replaced once the
        final one exists.
    source : base address of the tree, or a local folder of the same layout.
    progress : show a progress bar.

    Returns
    -------
    Download(files, preliminary, missing). Missing days are also named in a warning; they are
    neither interpolated nor replaced. Read the result with `open_sst(to)`.

    Raises ValueError for an argument that cannot be right, and ConnectionError when days could not
    be fetched although the source does not say they are absent: all others are kept, and the same
    call again resumes.

    Source: Huang et al. 2021, 10.1175/JCLI-D-20-0166.1; data DOI 10.25921/RE9P-PT57.
    """
    days = _days(start, end)
    region = _checked_region(region)
    local = "://" not in str(source)
    if local and not Path(source).is_dir():
        raise ValueError(f"source={str(source)!r} is neither a folder nor an address with ://")
    base = Path(source) if local else _checked_address(str(source).rstrip("/"))
    to = Path(to)
    new = not to.exists()
    to.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(to)
    try:
        found, failed = _all_days(days, region, to, base, progress)
    finally:
        _remove_empty(to, new)
    if failed:
        day, reason = min(failed.items())
        raise ConnectionError(
            f"{len(days) - len(found)} of {len(days)} days could not be fetched from {source} "
            f"(first {day}: {reason}); what could is in {to}: the same call again resumes"
        )
    missing = [day for day in days if found[day] is None]
    if missing:
        shown = ", ".join(map(str, missing[:5])) + (", ..." if len(missing) > 5 else "")
        warnings.warn(
            f"{len(missing)} of {len(days)} days do not exist at {source}: {shown}", stacklevel=2
        )
    files = {day: found[day] for day in days if found[day] is not None}
    preliminary = [day for day, file in files.items() if "_preliminary" in file.name]
    return Download(list(files.values()), preliminary, missing)


def _days(start, end) -> list[date]:
    """Every day from the start of `start` to the end of `end`."""
    first, last = (_period(name, value) for name, value in (("start", start), ("end", end)))
    first, last = first.start_time.date(), last.end_time.date()
    if first < FIRST_DAY:
        raise ValueError(f"start={start!r} is before {FIRST_DAY}, the first day of OISST")
    if last < first:
        raise ValueError(f"end={end!r} is before start={start!r}; exchange them")
    return [day.date() for day in pd.date_range(first, last)]


def _period(name: str, value) -> pd.Period:
    try:
        period = pd.Period(value) if isinstance(value, str) else pd.Period(value, freq="D")
    except (ValueError, TypeError):
        period = pd.NaT
    if period is pd.NaT:
        raise ValueError(f"{name}={value!r} is not a date; write it as 2016-02-01")
    return period


def _checked_region(region) -> dict | None:
    """The region with west in [-180, 180) and east = west .. west + 360."""
    if region is None:
        return None
    try:
        (south, north), (west, east) = ([float(x) for x in region[k]] for k in ("lat", "lon"))
    except (KeyError, TypeError, ValueError):
        raise ValueError(
            f'region={region!r} is not of the form {{"lat": (south, north), "lon": (west, east)}}'
        ) from None
    if not -90 <= south <= north <= 90:
        raise ValueError(f"region lat={region['lat']!r}: needs -90 <= south <= north <= 90")
    if not all(-360 <= x <= 360 for x in (west, east)):
        raise ValueError(f"region lon={region['lon']!r}: needs degrees within -360..360")
    whole_circle = abs(east - west) >= 360
    width = 360.0 if whole_circle else (east - west) % 360
    west = (west + 180) % 360 - 180
    return {"lat": (south, north), "lon": (west, west + width)}


def _checked_address(source: str) -> str:
    """ValueError for an address that no library can ask: no try will help."""
    try:
        session = requests.Session()
        session.get_adapter(session.prepare_request(requests.Request("GET", source)).url)
    except requests.RequestException as error:
        raise ValueError(f"source={source!r} is no address of a web server: {error}") from error
    return source


def _remove_empty(to: Path, new: bool) -> None:
    """Folders into which nothing came; `to` itself where it is ours."""
    for folder in [*(f for f in to.iterdir() if f.is_dir()), *([to] if new else [])]:
        with contextlib.suppress(OSError):  # it holds something
            folder.rmdir()


def _remove_abandoned(to: Path) -> None:
    """Delete what a killed run left; a running one's files are younger."""
    for part in to.rglob("*.part"):
        if time.time() - part.stat().st_mtime > ABANDONED:
            part.unlink(missing_ok=True)


def _all_days(days, region, to, base, progress) -> tuple[dict, dict]:
    """({day: file or None where absent}, {day: reason it failed}) with a few days at a time."""
    found, failed, in_a_row = {}, {}, 0
    pool, source = ThreadPoolExecutor(WORKERS), _Source(base, threading.Event(), threading.Event())
    try:
        tasks = {pool.submit(_one_day, day, region, to, source): day for day in days}
        with tqdm(total=len(days), unit="day", desc="OISST", disable=not progress) as bar:
            for task in as_completed(tasks):
                day = tasks[task]
                try:
                    found[day], in_a_row = task.result(), 0
                except (_Broken, requests.RequestException) as error:
                    failed[day], in_a_row = str(error), in_a_row + 1
                if in_a_row >= GIVE_UP:
                    break
                bar.update()
    finally:  # on Ctrl-C or after giving up, nothing more is begun
        source.stop.set()
        pool.shutdown(cancel_futures=True)
    return found, failed


def _one_day(day: date, region: dict | None, to: Path, source: _Source) -> Path | None:
    """The file of one day, from the folder or the source; None if it exists nowhere."""
    names = [f"oisst-avhrr-v02r01.{day:%Y%m%d}{kind}.nc" for kind in ("", "_preliminary")]
    final, preliminary = (to / f"{day:%Y%m}" / name for name in names)
    if _is_right(final, day, region):
        return final
    if day > date.today():
        return None
    try:
        _fetch(f"{day:%Y%m}/{names[0]}", final, day, region, source)
        preliminary.unlink(missing_ok=True)
        return final
    except _Absent:
        pass
    if _is_right(preliminary, day, region):
        return preliminary
    try:
        _fetch(f"{day:%Y%m}/{names[1]}", preliminary, day, region, source)
        return preliminary
    except _Absent:
        return None


def _is_right(file: Path, day: date, region: dict | None) -> bool:
    """Whether a file of an earlier run can stay."""
    if not file.exists():
        return False
    try:
        with _hdf5:
            held = _check(file, day, file.name).attrs.get("region")
    except _Broken:
        return False
    wanted = _named(region)
    if held != wanted:
        raise ValueError(
            f"to={str(file.parents[1])!r} holds files of region {held or 'the globe'}, not "
            f"{wanted or 'the globe'}; choose another folder"
        )
    return True


def _named(region: dict | None) -> str | None:
    if region is None:
        return None
    (south, north), (west, east) = region["lat"], region["lon"]
    return f"lat {south:g} to {north:g}, lon {west:g} to {east:g}"


def _fetch(name: str, place: Path, day: date, region: dict | None, source: _Source) -> None:
    """Fetch, check, cut, rename; tried again after a pause when something goes wrong."""
    place.parent.mkdir(parents=True, exist_ok=True)
    tries = 1 if isinstance(source.base, Path) else TRIES
    for attempt in range(tries):
        if source.stop.wait(PAUSE * (2**attempt - 1)):
            raise _Broken("stopped")
        part = place.with_name(f".{place.name}.{uuid4().hex}.part")  # two runs cannot mix
        try:
            if isinstance(source.base, Path):
                _copy(source.base / name, part)
            else:
                _download(f"{source.base}/{name}", part, source.answered)
            with _hdf5:
                _cut(part, day, region, name)
            os.replace(part, place)
            return
        except _Refused:
            raise
        except (_Broken, requests.RequestException):
            if attempt == tries - 1:
                raise
        finally:
            part.unlink(missing_ok=True)


def _copy(origin: Path, part: Path) -> None:
    try:
        shutil.copyfile(origin, part)
    except FileNotFoundError:
        raise _Absent from None


def _download(url: str, part: Path, answered: threading.Event) -> None:
    """The bytes behind `url` into `part`; a stall, a short body or an error status raises."""
    if not hasattr(_thread, "session"):
        _thread.session = requests.Session()
        _thread.session.headers["User-Agent"] = "sst-tutorial"
    began, size = time.monotonic(), 0
    try:
        answer = _thread.session.get(url, stream=True, timeout=TIMEOUT)
    except requests.exceptions.ConnectionError as error:
        why = getattr(error.args[0], "reason", None)
        if answered.is_set() or not isinstance(why, NewConnectionError | SSLError):
            raise
        # No such name, nobody listens, no network: what was never heard from will not come up.
        raise _Refused(str(why).split(": ", 1)[-1]) from error
    answered.set()
    with answer:
        if answer.status_code in (404, 410):
            raise _Absent
        if answer.status_code != 200:
            lasting = 400 <= answer.status_code < 500 and answer.status_code not in (408, 429)
            raise (_Refused if lasting else _Broken)(f"HTTP {answer.status_code} from {url}")
        with open(part, "wb") as file:
            for block in answer.iter_content(1 << 12):  # small, so that a trickle is noticed
                file.write(block)
                size += len(block)
                if size > LARGEST:
                    raise _Refused(f"{url} is larger than {LARGEST >> 20} MiB, no OISST file is")
                if time.monotonic() - began > LONGEST:
                    raise _Broken(f"{url} took more than {LONGEST} s")


def _check(file: Path, day: date, name: str) -> xr.Dataset:
    """The whole file, as stored, in memory; raises _Broken unless it is the OISST of that day."""
    try:
        with open_one(file) as opened:
            ds = opened.load()
        decoded = xr.decode_cf(ds[["sst"]])
        days = decoded["time"].values.astype("datetime64[D]")
        impossible = (abs(decoded["sst"] - 20) > 30).values.any()  # outside -10..50 degC
        shape = ds["sst"].shape
        grid = (ds["lat"].size, ds["lon"].size)
    except Exception as error:  # wrong bytes make the HDF5 layers raise whatever they like
        raise _Broken(f"{name} cannot be read ({_first_line(error)})") from error
    if days.tolist() != [day]:
        raise _Broken(f"{name} holds the days {days.astype(str).tolist()}, not {day}")
    if shape[-2:] != grid or np.prod(shape) != np.prod(grid):
        raise _Broken(f"{name}: sst has the shape {shape}, not one field of {grid}")
    if impossible:
        raise _Broken(f"{name} holds temperatures that no sea has")
    return ds


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0] or type(error).__name__


def _cut(part: Path, day: date, region: dict | None, name: str) -> None:
    """Check a fresh download and replace it by its cut to `region`, values and packing kept."""
    ds = _check(part, day, name)
    if region is None:
        return
    (south, north), (west, east) = region["lat"], region["lon"]
    lat = ds["lat"].values
    lon = west + (ds["lon"].values.astype(float) - west) % 360  # from west on, past 180 if need be
    rows = np.flatnonzero((lat >= south) & (lat <= north))
    columns = np.argsort(lon)[: (lon <= east).sum()]
    if not rows.size or not columns.size:
        raise ValueError(f"region {_named(region)} holds no cell of the 0.25 degree grid; widen it")
    ds["lon"] = ("lon", lon.astype(ds["lon"].dtype), ds["lon"].attrs)
    ds = ds.isel(lat=rows, lon=columns).drop_encoding()
    for axis in ("lat", "lon"):
        ds[axis].attrs.pop("grids", None)
        ds.attrs[f"geospatial_{axis}_min"] = float(ds[axis].min())
        ds.attrs[f"geospatial_{axis}_max"] = float(ds[axis].max())
    ds.attrs["region"] = _named(region)
    ds.attrs["history"] = f"{ds.attrs.get('history', '')} Cut to a region by sst_tutorial.".strip()
    stored = {name: {"zlib": True, "complevel": 4} for name in ds.data_vars}
    stored |= {name: {"_FillValue": None} for name in ds.coords}
    try:
        ds.to_netcdf(part, encoding=stored)
    except RuntimeError as error:  # of the NetCDF library
        raise OSError(f"{part} cannot be written ({error}); is the disk full?") from error
