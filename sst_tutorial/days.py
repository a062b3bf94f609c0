"""Which UTC day each field belongs to, however its file writes time.

The day is that of the middle of what a field covers. A field that covers more than a day is no
daily map: it is refused, or spread over the days that `cadence` says it stands for.
"""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

DAY = np.timedelta64(1, "D").astype("timedelta64[ns]")
TIME_UNITS = re.compile(
    r"\s*(years?|months?|weeks?|days?|d|hours?|hrs?|h|minutes?|mins?|seconds?|secs?|s|"
    r"milliseconds?|msecs?|microseconds?|nanoseconds?)\s+since\b|.*datenum|.*julian|.*%Y%m%d|"
    r"yyyymmdd|.* since ",
    re.I,
)
LONGEST = 1.75  # days that a daily map may cover: swaths begin and end in the days beside
_DATENUM_1970 = 719_529  # Matlab's number of 1970-01-01
_JULIAN_1970 = 2_440_587.5
_MODIFIED_1970 = 40_587  # of Julian days from 1858-11-17


def moments(time: xr.Variable, name: str, where: str) -> np.ndarray:
    """The time stamps (T,) as datetime64[ns]; ValueError names what cannot be understood."""
    values = np.atleast_1d(_decoded(time, name, where))
    if values.dtype.kind == "O" and values.size and hasattr(values.flat[0], "calendar"):
        try:
            values = xr.CFTimeIndex(values).to_datetimeindex(unsafe=True, time_unit="ns").values
        except (TypeError, ValueError) as error:
            if values.flat[0].year < 1678:  # before datetime64[ns] begins
                raise ValueError(
                    f"{where}: time {name!r} begins in the year {values.flat[0].year}: a "
                    "climatology, no observations, or an origin that is wrong; give each field its "
                    "own date"
                ) from None
            raise ValueError(
                f"{where}: time {name!r} holds dates that do not exist ({error}); convert "
                "its calendar first, ds.convert_calendar('standard', align_on='date')"
            ) from None
    if values.dtype.kind != "M":
        raise ValueError(
            f"{where}: time {name!r} is {values.dtype} (first value {values[:1]}) with the "
            f"unit {time.attrs.get('units')!r}; it needs CF units such as 'days since 1982-01-01'"
        )
    if values.size == 0 or np.isnat(values).any():
        raise ValueError(
            f"{where}: time {name!r} has {values.size} values, {np.isnat(values).sum()} of "
            "them undefined; every field needs its day"
        )
    return _rounded(values.astype("datetime64[ns]"), time)


def _decoded(time: xr.Variable, name: str, where: str) -> np.ndarray:
    """Decoded by xarray, by the spellings that it does not know, or as it is."""
    units = str(time.attrs.get("units", "")).strip()
    if time.dtype.kind in "SUO":
        return _from_text(time)
    if time.dtype.kind not in "iuf" or not (units or _are_dates(time.values)):
        return time.values
    low = re.sub(r"\s+", " ", units.lower())
    raw = time.values.astype(float)
    if re.fullmatch(r"(modified julian (day|date)s?|mjd)\b.*", low) and " since " not in low:
        return _since_1970(raw - _MODIFIED_1970)
    if re.fullmatch(r"unix.*|(seconds|secs?|s) since (the )?(unix )?epoch", low):
        return _since_1970(raw / 86_400)
    if "datenum" in low or re.match(r"days? since 0+-0+-0+", low):
        return _since_1970(raw - _DATENUM_1970)
    # Whatever the calendar calls the origin, days since -4712 (or 4713 BC) are Julian days.
    is_julian = "julian" in low or re.match(r"days? since -471[23]-", low)
    if is_julian and np.nanmin(raw, initial=np.inf) > 2e6:
        return _since_1970(raw - _JULIAN_1970)
    if low == "" or re.fullmatch(r"y{4}-?(m{2}-?d{2}|d{3})[t ]?(h{2}:?)?(m{2}:?)?(s{2})?", low):
        if (raw == raw // 1).all():
            return _from_digits(time, name, where)
    if "%y%m%d" in low or low in ("yyyymmdd", ""):
        date = pd.to_datetime(pd.Series(raw.ravel() // 1).astype("Int64").astype(str), "coerce")
        return date.to_numpy("datetime64[ns]") + ((raw % 1) * 86_400e9).astype("timedelta64[ns]")
    if re.match(r"days? since 0+-0*1-0*1", low):
        raise ValueError(
            f"{where}: time {name!r} is in {units!r}: days from year 0 are counted in more than "
            "one way; convert it (Matlab's datenum minus 719529 is 'days since 1970-01-01') and "
            "pass the Dataset"
        )
    origin = re.search(r" since (\d{1,2})[-/.](\d{1,2})[-/.](\d{4})(?!\d)", low)
    if origin and origin[1] != origin[2]:
        raise ValueError(
            f"{where}: time {name!r} is in {units!r}, whose day and month can be read in two ways; "
            "write the year first and pass the Dataset"
        )
    months = re.fullmatch(r"months? since (.+)", low)
    if months:
        return _months_since(raw, months[1], name, where, units)
    weeks = re.fullmatch(r"weeks? since (.+)", low)
    attrs = time.attrs | {"units": f"days since {weeks[1]}" if weeks else low.replace("hrs", "h")}
    variable = xr.Variable(time.dims, time.values * (7 if weeks else 1), attrs, time.encoding)
    try:
        decoded = xr.decode_cf(xr.Dataset({"stamp": variable}))["stamp"]
        return decoded.values
    except (ValueError, OverflowError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{where}: time {name!r} has the unit {units!r}, which cannot be read (as "
            f"{str(attrs.get('calendar', 'standard'))!r} calendar); it needs CF units such as "
            "'days since 1982-01-01'"
        ) from error


def _are_dates(values: np.ndarray) -> bool:
    """Whole numbers such as 20160301: no count of days or seconds has months and days in it."""
    values = np.atleast_1d(values)
    whole = values.dtype.kind in "iu" or bool((values == values // 1).all())
    return whole and values.size > 0 and None not in _dates(values)


def _dates(values: np.ndarray) -> list:
    """Each of whole numbers 2016061, 20160301, 2016030112, ... as a stamp, or None."""
    words = [str(int(v)) if np.isfinite(v) else "" for v in values.ravel()]
    return [stamp_of(w) if re.fullmatch(r"(19|20)\d{5,12}", w) else None for w in words]


def _from_digits(time: xr.Variable, name: str, where: str) -> np.ndarray:
    stamps = _dates(np.atleast_1d(time.values))
    if None in stamps:
        raise ValueError(f"{where}: time {name!r} holds numbers that are no dates: {time.values}")
    return np.array(stamps)


def _from_text(time: xr.Variable) -> np.ndarray:
    values = np.atleast_1d(time.values)
    if values.dtype.kind == "O" and values.size and not isinstance(values.flat[0], (str, bytes)):
        return values  # dates of another calendar
    if values.dtype.kind == "S" and values.dtype.itemsize == 1 and values.ndim > 0:
        values = np.array(
            [b"".join(np.atleast_1d(v)) for v in values.reshape(-1, values.shape[-1])]
        )
    words = [v.decode() if isinstance(v, bytes) else str(v) for v in values.ravel()]
    stamps = [stamp_of(word) for word in words]
    return np.array(words if None in stamps else stamps)


def _since_1970(days: np.ndarray) -> np.ndarray:
    stamp = np.full(days.shape, np.datetime64("NaT", "ns"))
    good = np.isfinite(days) & (np.abs(days) < 100_000)
    nanoseconds = np.round(days[good] * 86_400e3).astype("int64") * 1_000_000
    stamp[good] = np.datetime64("1970-01-01", "ns") + nanoseconds.astype("timedelta64[ns]")
    return stamp


def _months_since(raw, origin: str, name: str, where: str, units: str) -> np.ndarray:
    """Calendar months after the origin, a fraction as that of the month it falls in."""
    start = stamp_of(origin)
    if start is None or not np.isfinite(raw).all():
        raise ValueError(f"{where}: time {name!r} has the unit {units!r}, which cannot be read")
    whole = np.floor(raw + 1e-6).astype(int)
    first = pd.Timestamp(start)
    days = [first + pd.DateOffset(months=int(m)) for m in whole.ravel()]
    lengths = np.array([d.days_in_month for d in days])
    shift = np.round((raw.ravel() - whole.ravel()).clip(0) * lengths * 86_400).astype("int64")
    return np.array(days, "datetime64[ns]") + shift.astype("timedelta64[s]")


def _rounded(values: np.ndarray, time: xr.Variable) -> np.ndarray:
    """A stamp that rounding left just short of midnight is midnight.

    Short by less than half a minute and no whole second (23:59:59 is meant), or by less than two
    steps of the file's own precision (float32 days since 1900: 5.6 minutes).
    """
    midnight = (values + DAY).astype("datetime64[D]").astype("datetime64[ns]")
    short = (midnight - values).astype(float) / 1e9  # seconds, 0 .. 86400
    whole = np.abs(short - np.round(short)) < 1e-3
    near = (short < 30) & (~whole | (short < 0.5))
    kind = np.dtype(time.encoding.get("dtype", time.dtype))
    units = str(time.attrs.get("units", time.encoding.get("units", ""))).strip().lower()
    origin = stamp_of(units.partition("since")[2].strip())
    if kind.kind == "f" and kind.itemsize <= 4 and origin is not None:
        unit = {"d": 86_400, "h": 3600, "m": 60}.get(units[:1], 1)
        age = np.abs((values - origin).astype(float)) / 1e9 / unit
        near |= short <= 2 * np.spacing(age.astype(kind)).astype(float) * unit
    return np.where(near, midnight, values)


def covered(ds: xr.Dataset, time: str, where: str):
    """Start and end (T,) of what each field covers, by the bounds of its time, or None."""
    named = [ds[time].attrs.get("bounds"), ds[time].encoding.get("bounds")]
    named += ["time_bnds", "time_bounds", f"{time}_bnds", f"{time}_bounds"]
    bounds = next((ds[n] for n in named if n and n in ds.variables), None)
    if bounds is None or bounds.shape != (*ds[time].shape, 2):
        return None
    inherited = {k: v for k, v in ds[time].attrs.items() if k in ("units", "calendar")}
    variable = xr.Variable(
        ("edge",), bounds.values.ravel(), inherited | bounds.attrs, ds[time].encoding
    )
    try:
        start, end = moments(variable, bounds.name, where).reshape(-1, 2).T
    except ValueError:
        return None  # the stamps themselves are readable
    return (start, end) if (end > start).all() else None


def from_attributes(ds: xr.Dataset, where: str):
    """Start and end of a field without a time, by the file's attributes, else by its name."""
    named = {re.sub(r"[\W_]", "", str(k)).lower(): str(k) for k in ds.attrs}
    said = {plain: ds.attrs[name] for plain, name in named.items()}
    pairs = (
        ("timecoveragestart", "timecoverageend"),
        ("starttime", "stoptime"),
        ("starttime", "endtime"),
        ("startdate", "stopdate"),
        ("startdate", "enddate"),
        ("rangebeginningdate", "rangeendingdate"),
    )
    for first, last in pairs:
        start, end = stamp_of(said.get(first)), stamp_of(said.get(last))
        if start is not None:
            end = start if end is None else end
            if end >= start:
                words = [named[k] for k in (first, last) if k in named]
                return start, end, " and ".join(words)
    name = re.sub(r"(?<!\d)((?:19|20)\d\d)([-_.])(\d\d)\2(\d\d)(?!\d)", r"\1\3\4", Path(where).name)
    dates = set(re.findall(r"(?<!\d)((?:19|20)\d{6})(?=\d{6}(?!\d)|(?!\d))", name))
    stamp = stamp_of(next(iter(dates))) if len(dates) == 1 else None
    return None if stamp is None else (stamp, stamp, "its name")


def stamp_of(text) -> np.datetime64 | None:
    """A date of one of the unmistakable spellings, else None."""
    text = re.sub(r"^(\d{4})([/.])(\d{1,2})\2(\d{1,2})(?!\d)", r"\1-\3-\4", str(text).strip())
    text = re.sub(r"^([\d-]{8,10})_(?=\d\d:)", r"\1 ", text)  # as WRF writes it
    text = re.sub(r"^((?:19|20)\d{6})(\d\d)(\d\d)?$", r"\1T\2\g<3>", text)
    iso = r"\d{4}-\d{1,2}-\d{1,2}([T ].*)?|\d{8}(T\d\d(\d\d)?)?|\d{8}([T ]?\d{6}.*)?"
    iso += r"|\d{1,2}[- ][A-Za-z]{3,9}[- ]\d{4}.*|([A-Za-z]{3} )?[A-Za-z]{3,9} +\d{1,2},? .*\d{4}"
    if re.fullmatch(r"\d{4}-?\d{3}(T.*)?", text):  # day of the year
        year, day, clock = re.fullmatch(r"(\d{4})-?(\d{3})(T.*)?", text).groups()
        text = f"{pd.Timestamp(f'{year}-01-01') + pd.Timedelta(days=int(day) - 1):%Y-%m-%d}" + (
            clock or ""
        )
    if not re.fullmatch(iso, text):
        return None
    if re.fullmatch(r"\d{14}.*", text):
        text = f"{text[:8]}T{text[8:14]}"
    stamp = pd.to_datetime(text, errors="coerce", utc=True)
    return None if pd.isna(stamp) else stamp.tz_localize(None).to_datetime64().astype("M8[ns]")


# ---------------------------------------------------------------- more than a day


_LENGTHS = {"d": 1, "w": 7, "m": 30, "y": 365, "a": 365}  # days, by the first letter


def said_width(ds: xr.Dataset) -> float | None:
    """Days that one field covers, if an attribute of the file says it."""
    for name in ("time_coverage_resolution", "temporal_resolution", "temporal_range", "frequency"):
        text = str(ds.attrs.get(name, "")).strip().lower()
        period = re.fullmatch(
            r"p?(\d*)[\s-]*(d|day|daily|w|week|weekly|m|mon|month|monthly|y|year|yearly|annual)s?",
            text,
        )
        if period:
            return float(int(period[1] or 1) * _LENGTHS[period[2][0]])
    words = re.search(
        r"\b(?:(\d+)[\s-]*days?|weekly|monthly)\b.{0,20}\b(mean|average|composite|running|moving)",
        str(ds.attrs.get("title", "")).lower(),
    )
    return None if words is None else float(words[1] or _LENGTHS[words[0][0]])


def days_a_field(stamps: np.ndarray, widths: np.ndarray | None, said: float | None) -> float:
    """How many days one field stands for, 1 for daily maps however many days are absent.

    stamps (T,) datetime64 of all fields; widths (T,) their bounds in days; said by attributes.
    """
    spacing = np.diff(np.unique(stamps.astype("datetime64[D]"))).astype(int)
    if spacing.size and spacing.min() == 1:
        return 1.0
    if widths is not None and np.median(widths) > LONGEST:
        return float(np.median(widths))
    if said is not None and said > 1 and (not spacing.size or spacing.min() >= min(said, 5)):
        return said
    if spacing.size >= 2 and spacing.min() >= 5 and _regular(np.unique(stamps), spacing):
        return float(np.median(spacing))
    return 1.0


def _regular(stamps: np.ndarray, spacing: np.ndarray) -> bool:
    """Does one spacing rule all (weeks, 8 days anew each January, dekads, months), absences apart?

    stamps (T,) sorted; spacing (T - 1,) in days.
    """
    dates = pd.DatetimeIndex(stamps)
    if not dates.to_period("M").has_duplicates and np.ptp(dates.day) <= 2:
        return True  # not more than one a month, always at the same place of it
    if set(dates.day) <= {1, 11, 21}:
        return True
    inside = spacing[dates.year[1:] == dates.year[:-1]]
    return inside.size >= 2 and (inside % inside.min() == 0).all()


def spread(ds: xr.Dataset, start: np.ndarray, end: np.ndarray) -> xr.Dataset:
    """Each field repeated on all the days from start up to, not with, end (T,)."""
    first = start.astype("datetime64[D]")
    last = np.maximum((end - DAY // 2).astype("datetime64[D]"), first)
    lengths = (last - first).astype(int) + 1
    which = np.repeat(np.arange(start.size), lengths)
    days = np.concatenate([f + np.arange(n) for f, n in zip(first, lengths, strict=True)])
    return ds.isel(time=which).assign_coords(time=days.astype("datetime64[ns]"))


def stands_for(cadence, stamps: np.ndarray, start, end) -> tuple[np.ndarray, np.ndarray] | None:
    """Start and end (T,) of the days that each field stands for; None for daily maps.

    cadence : "daily", "monthly" or a number of days ("8", "8D", "8-day"). The bounds of the file
    (start, end) go before; without them a month is that of the stamp, and a number of days begins
    at the stamp, and ends before the next one.
    """
    text = str(cadence).strip().lower()
    days = re.fullmatch(r"(\d+)[\s-]*(d|days?)?", text)
    if text in {"daily", "day", "d", "1d"} or (days and int(days[1]) == 1):
        return None
    if text not in {"monthly", "month", "m"} and not (days and int(days[1]) > 1):
        raise ValueError(f"cadence={cadence!r} must be 'daily', 'monthly' or a number of days")
    if start is not None:
        return start, end
    if not days:
        months = stamps.astype("datetime64[M]")
        return tuple((months + k).astype("datetime64[ns]") for k in (0, 1))
    begin = stamps.astype("datetime64[D]").astype("datetime64[ns]")
    stop = begin + int(days[1]) * DAY
    later = [begin[begin > b].min(initial=stop_b) for b, stop_b in zip(begin, stop, strict=True)]
    return begin, np.minimum(stop, np.array(later, "datetime64[ns]"))
