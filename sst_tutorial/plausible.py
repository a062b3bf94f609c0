"""What a sea can be: codes that pass for temperatures and faults of scale or unit are found here.

Nothing is known of the file but its values, so there are two questions. Is one exact value too
common, and does it break with its neighbours (a fill)? And do most values lie outside what a sea
at that latitude, longitude and month can be (a wrong unit, a scale applied twice or never)?
"""

import warnings

import numpy as np
import xarray as xr

KELVIN = 273.15
COLDEST, HOTTEST = -5.0, 50.0  # degC; no sea is outside, so what lies outside is a fill or a fault
FREEZING = (-2.1, -1.5)  # degC; under sea ice an analysis repeats one value over whole regions

# What the coldest and the warmest sea of a latitude can be, winter and summer, degC: wide, so that
# ice, upwelling (Peru 13, Benguela 10), the Persian Gulf (36) and a skin on a calm noon all fit.
_LATITUDES = [0, 10, 20, 25, 30, 35, 40, 45, 50, 60, 70, 80, 90]
_HIGH = {
    "winter": [36, 35, 33, 32, 30, 27, 24, 20, 17, 14, 12, 8, 5],
    "summer": [36, 37, 38, 39, 39, 37, 35, 33, 31, 30, 24, 15, 8],
}
_LOW = {  # shores that freeze far south in winter: the Yellow Sea, the Chesapeake, the Black Sea
    "winter": [12, 11, 8, 5, 1, -3, -3, -3, -3, -3, -3, -3, -3],
    "summer": [12, 12, 11, 9, 8, 7, 4, 1, -3, -3, -3, -3, -3],
}
_LOW_SOUTH = {
    "winter": [12, 11, 9, 8, 7, 4.5, 2.5, 0, -3, -3, -3, -3, -3],
    "summer": [12, 11, 10, 9, 8, 7, 5, 2, -1, -3, -3, -3, -3],
}
_MILD_WINTER = [12, 12, 12, 12, 10, 8, 5.5, 3.5, 1, -3, -3, -3, -3]
_MILD = (  # west, east, south, north of northern seas that no continent cools
    (-40, -1, 20, 60),  # the eastern Atlantic
    (-6, 20, 30, 43.5),  # the Mediterranean without the heads of the Adriatic ...
    (20, 36.5, 30, 40),  # ... and of the Aegean
    (-160, -122, 20, 60),  # the eastern Pacific
)
_ROUNDING = 1e-4  # degC; a code may leave unpacking and K - 273.15 as values this far apart
_PACKINGS = ((0.01, KELVIN), (0.01, 0.0), (0.001, KELVIN), (0.001, 293.15), (0.001, 20.0))


def possible_sea(lat, lon, month: int) -> tuple[np.ndarray, np.ndarray]:
    """Lowest and highest temperature (H, W) degC of any sea there in that month (1..12).

    lat : (H,) degrees north. lon : (W,) degrees east, any turn. The bounds are wide by intention: a
    series of which more than half lies outside has a fault of unit or scale, a single value need
    not.
    """
    lat = np.asarray(lat, float)[:, None]
    lon = (np.asarray(lon, float)[None, :] + 180) % 360 - 180
    south = lat < 0
    warmth = 0.5 + 0.5 * np.cos(2 * np.pi * (month - np.where(south, 2.5, 8.5)) / 12)  # (H, 1)

    def at(table):
        return np.interp(np.abs(lat), _LATITUDES, table)

    def between(winter, summer):
        return winter + warmth * (summer - winter)

    high = between(at(_HIGH["winter"]), at(_HIGH["summer"]))
    low = np.where(
        south,
        between(at(_LOW_SOUTH["winter"]), at(_LOW_SOUTH["summer"])),
        between(at(_LOW["winter"]), at(_LOW["summer"])),
    )
    mild = np.zeros((lat.size, lon.size), bool)
    for west, east, bottom, top in _MILD:
        mild |= (lon >= west) & (lon <= east) & (lat >= bottom) & (lat <= top)
    low = np.where(mild, np.maximum(low, at(_MILD_WINTER)), low)
    return low, np.broadcast_to(high, low.shape)


def guarded(
    sst: xr.DataArray, origin: str, read_as: str, packing: tuple = (1.0, 0.0)
) -> xr.DataArray:
    """`sst` (time, lat, lon) in degC without fills and without values that no sea has.

    origin, read_as : whose it is, and the unit ("degC" or "K") it was read as, for the messages.
    packing : scale and offset of the file, if it has them. Warns of what becomes NaN; raises
    ValueError, with the suspicion, where most values are no sea at that place and month.
    """
    stored = KELVIN if read_as == "K" else 0.0
    sample = _sample(sst)
    if not np.isfinite(sample.values).any():
        warnings.warn(f"{origin} holds no observation; its unit was not checked", stacklevel=4)
        return sst
    sst, sample = _without_codes(sst, sample, origin, stored)
    sst, sample = _without_daily_fills(sst, sample, origin, stored)
    _refuse_another_scale(sample, origin, read_as, packing)
    _refuse_wrapped_integers(sample, origin, packing[0], stored)
    values = sample.values[~np.isnan(sample.values)]
    inside = (values >= COLDEST) & (values <= HOTTEST)
    if sst.chunks is None and inside.all():
        return sst
    if not inside.all():
        common, number = np.unique(values[~inside] + stored, return_counts=True)
        warnings.warn(
            f"{origin}: {100 * (1 - inside.mean()):.2g} % of the values lie outside "
            f"{COLDEST:g}..{HOTTEST:g} degC (most often {common[number.argmax()]:.6g}) and become "
            "NaN",
            stacklevel=4,
        )
    return sst.where((sst >= COLDEST) & (sst <= HOTTEST))


def guarded_tidy(daily: xr.Dataset) -> xr.Dataset:
    """The layout of `open_sst`, made or filled by other hands, behind the same guard as its files.

    Values out of any sea's range are left to `Month`, which refuses them. Lazy arrays pass: they
    are read month by month, and those of `open_sst` were guarded there.
    """
    sst = daily["sst"]
    if sst.chunks is not None:
        return daily
    if "variable" in daily.attrs:  # of another quantity, see `quantity.py`
        kept = without_codes(sst, "sst")
        return daily if kept is sst else daily.assign(sst=kept.assign_attrs(sst.attrs))
    within = sst.where(daily["ocean_mask"] & (sst >= COLDEST) & (sst <= HOTTEST))
    sample = _sample(within)
    if not np.isfinite(sample.values).any():
        return daily
    kept, sample = _without_codes(sst, sample, "sst", 0.0)
    kept, sample = _without_daily_fills(kept, sample, "sst", 0.0)
    _refuse_another_scale(sample, "sst", "degC", (1.0, 0.0))
    return daily if kept is sst else daily.assign(sst=kept.assign_attrs(sst.attrs))


def without_codes(field: xr.DataArray, origin: str) -> xr.DataArray:
    """The same for a variable that is no temperature: its fills alone, judged by its own spread."""
    return _without_codes(field, _sample(field), origin, 0.0, temperature=False)[0]


def _sample(sst: xr.DataArray) -> xr.DataArray:
    """All of it where it is in memory and below 16 million values, else pairs of days; loaded."""
    most, days = (16_000_000, None) if sst.chunks is None else (2_000_000, 8)
    if sst.size <= most and days is None:
        return sst
    n = sst.sizes["time"]
    cells = sst.sizes["lat"] * sst.sizes["lon"]
    days = min(n, days or max(2, most // cells))
    first = np.unique(np.linspace(0, max(n - 2, 0), max(1, days // 2)).astype(int))
    chosen = np.unique(np.concatenate([first, np.minimum(first + 1, n - 1)]))  # neighbours in time
    step = max(1, int(np.ceil(np.sqrt(chosen.size * cells / most))))
    return sst.isel(time=chosen, lat=slice(None, None, step), lon=slice(None, None, step)).load()


# ---------------------------------------------------------------- one exact value


def _without_codes(sst, sample, origin, stored, temperature=True):
    """Both without the codes that pass for values, with a warning that names each and its share."""
    codes, shares = _codes(sample.values, temperature)
    if not codes:
        return sst, sample
    for code, share in zip(codes, shares, strict=True):
        warnings.warn(
            f"{origin}: {100 * share:.2g} % of the values are exactly {code + stored:.6g}, far "
            "more than any near it, and break with their neighbours: a fill value for land or "
            "cloud, which becomes NaN",
            stacklevel=5,
        )
    near = _ROUNDING if temperature else 0.0
    return tuple(
        x.where(~np.logical_or.reduce([abs(x - c) <= near for c in codes])) for x in (sst, sample)
    )


def _codes(values: np.ndarray, temperature: bool) -> tuple[list, list]:
    """Exact values of (T, H, W) that are fills, and the share of each."""
    values = _rounded(values) if temperature else values
    distinct, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    total = counts.sum()
    often = np.argsort(counts)[::-1][:5]
    often = [k for k in often if counts[k] >= max(min(30, 0.1 * total), 5e-4 * total, 3)]
    codes, shares = [], []
    while often:  # one at a time: the next is judged without those found
        found = next((k for k in often if _is_code(values, distinct, counts, k, temperature)), None)
        if found is None:
            break
        code = distinct[found]
        codes.append(code)
        shares.append(counts[found] / total)
        values = np.where(values == code, np.nan, values)
        often = [k - (k > found) for k in often if k != found]
        distinct, counts = np.delete(distinct, found), np.delete(counts, found)
    island = _island(distinct) if temperature else np.zeros(distinct.size, bool)
    if counts[island].sum() >= max(30, 5e-4 * total):
        several = distinct[island]
        values = np.where(np.isin(values, several), several[0], values)
        few, number = np.unique(values[np.isfinite(values)], return_counts=True)
        if _is_code(values, few, number, int(few.searchsorted(several[0])), temperature):
            codes += list(several)
            shares += list(counts[island] / total)
    return codes, shares


def _rounded(values: np.ndarray) -> np.ndarray:
    small = np.abs(values) < 1000
    return np.where(small, np.where(small, values, 0).round(4), values)


def _island(distinct: np.ndarray) -> np.ndarray:
    """Which of `distinct` (N,), sorted, are up to six values side by side, far from all others:
    the codes 251 .. 255 of a byte."""
    ends = np.flatnonzero(np.diff(distinct) >= 4) + 1
    for inside in np.split(np.arange(distinct.size), ends):
        rest = np.delete(distinct, inside)
        if 1 < inside.size <= 6 and rest.size >= 8:
            gap = np.abs(rest[:, None] - distinct[inside]).min()
            if gap >= 5 * np.diff(rest).max():
                return np.isin(distinct, distinct[inside])
    return np.zeros(distinct.size, bool)


def _is_code(values, distinct, counts, k, temperature) -> bool:
    """Is the value `distinct[k]` too common for a measurement, and unlike what lies beside it?

    Rounded data repeat each value as often as those next to it, ice repeats one but borders on
    water of nearly the same temperature: both are kept.
    """
    code, others = distinct[k], np.delete(distinct, k)
    if others.size < 2:
        return False
    kelvin = 1.0 if temperature else np.ptp(np.percentile(others, [25, 75])) / 2
    gap = np.abs(others - code).min() / kelvin if kelvin else np.inf
    widest = np.diff(others).max() / kelvin if kelvin else 0
    near = np.delete(counts, k)[np.abs(others - code) <= 1.5 * kelvin]
    usual = np.sort(counts)[::-1][min(3, counts.size - 1)]  # beyond three that may all be codes
    spike = distinct.size >= 8 and counts[k] >= max(10 * near.max(initial=0), 2 * usual)
    alone = gap >= 4 and gap >= 5 * widest
    if not (spike or alone):
        return False
    across, elsewhere = _steps(values, code)
    if across.size < 5 or elsewhere.size < 20:  # nothing beside it: its own distance must do
        return alone or (across.size < 5 and gap >= 2 and counts[k] >= 30)
    frozen = temperature and FREEZING[0] <= code <= FREEZING[1]
    return np.median(across) >= max(1.2 if frozen else 0.3 * kelvin, 3 * np.median(elsewhere))


def _steps(values: np.ndarray, code) -> tuple[np.ndarray, np.ndarray]:
    """Differences between neighbours of which one is `code`, and between those of which none is."""
    across, elsewhere = [], []
    for axis in range(values.ndim):
        n = values.shape[axis]
        a, b = (values.take(range(s, n - 1 + s), axis) for s in (0, 1))
        step = np.abs(a - b)
        seen, one, two = np.isfinite(step), a == code, b == code
        across.append(step[seen & (one ^ two)])
        elsewhere.append(step[seen & ~one & ~two])
    return np.concatenate(across), np.concatenate(elsewhere)


def _without_daily_fills(sst, sample, origin, stored):
    """Both without the values that fill the gaps of a day, another each day (its mean).

    They are known on half of the days or more, and not where all days share one: ice on a lake.
    """
    fills = np.array([_daily_fill(field) for field in sample.values])  # (T,)
    known = np.isfinite(fills)
    some = np.isfinite(sample.values).any((1, 2)).sum()
    if known.sum() < max(3, some / 2) or np.unique(fills[known]).size < known.sum() / 2:
        return sst, sample
    first = known.argmax()
    warnings.warn(
        f"{origin}: on {known.sum()} of {some} days one exact value, another each day "
        f"({fills[first] + stored:.6g} on {str(sample['time'].values[first])[:10]}), fills many "
        "cells: gaps that were filled with a mean, which become NaN",
        stacklevel=4,
    )

    def emptied(fields):  # (..., H, W)
        flat = fields.reshape(-1, *fields.shape[-2:])
        gone = np.array([_rounded(f) == _daily_fill(f) for f in flat]).reshape(fields.shape)
        return np.where(gone, np.nan, fields)

    grid = ["lat", "lon"]
    whole = sst if sst.chunks is None else sst.chunk(dict.fromkeys(grid, -1))
    out = xr.apply_ufunc(
        emptied, whole, input_core_dims=[grid], output_core_dims=[grid], dask="parallelized",
        output_dtypes=[sst.dtype], keep_attrs=True,
    )  # fmt: skip
    return out, sample.copy(data=emptied(sample.values))


def _daily_fill(field: np.ndarray) -> float:
    """The value of (H, W) that a twentieth or more of its cells share, 20 times as many as any
    other value; NaN if there is none, or hardly another value."""
    distinct, counts = np.unique(_rounded(field[np.isfinite(field)]), return_counts=True)
    if distinct.size < 9:
        return np.nan
    most, total = counts.max(), counts.sum()
    others = np.delete(counts, counts.argmax())
    enough = most >= max(30, 0.05 * total) and total - most >= 0.05 * total
    return float(distinct[counts.argmax()]) if enough and most >= 20 * others.max() else np.nan


# ---------------------------------------------------------------- another scale


def _refuse_wrapped_integers(sample: xr.DataArray, origin, scale: float, stored: float) -> None:
    """Integers without a sign that were read with one lose the upper half of their values."""
    values = sample.values[np.isfinite(sample.values)]
    outside = values[(values < COLDEST) | (values > HOTTEST)]
    if scale == 1.0 or outside.size < 0.01 * values.size or np.unique(outside).size < 8:
        return
    low, high = (
        np.percentile(values[(values >= COLDEST) & (values <= HOTTEST)], q) for q in (0, 100)
    )
    for bits in (8, 16):
        for turn in (2.0**bits * scale, -(2.0**bits) * scale):
            moved = outside + turn
            if np.mean((moved >= low - 10) & (moved <= high + 10)) > 0.9:
                raise ValueError(
                    f"{origin}: {100 * outside.size / values.size:.0f} % of the values, such as "
                    f"{outside[0] + stored:.6g}, become sea if 2**{bits} steps of its scale_factor "
                    f"are {'added' if turn > 0 else 'taken away'}: its integers were read with the "
                    f"wrong sign; set _Unsigned = {'true' if turn > 0 else 'false'!r} and pass it"
                )


def _refuse_another_scale(sample: xr.DataArray, origin, read_as, packing) -> None:
    low, high, values = _bounds(sample)
    if not values.size:
        return
    outside = ((values < low) | (values > high)).mean()
    flat = _too_flat(sample, values)
    if outside <= 0.5 and not flat:
        return
    as_stored = values + (KELVIN if read_as == "K" else 0)
    seen = f"its median is {np.median(as_stored):.4g}"
    suspicions = _suspicions(as_stored, seen, read_as, values.std(), packing, flat)
    for words, repaired in suspicions:
        fits = ((repaired >= low) & (repaired <= high)).mean() > 0.9
        if fits and (not values.std() > 0.1 or repaired.std() > 0.1):
            raise ValueError(f"{origin} is labelled {read_as} but {words}")
    if flat and outside <= 0.5:
        return  # a very calm sea, but no fault of scale explains it
    if not ((values >= COLDEST) & (values <= HOTTEST)).any():
        raise ValueError(
            f"{origin} runs from {as_stored.min():.6g} to {as_stored.max():.6g}: no sea is like "
            "that in degC or K; choose another variable=, or repair its scale or fill value"
        )
    raise ValueError(
        f"{origin} is labelled {read_as} but {100 * outside:.0f} % of its values, median "
        f"{np.median(as_stored):.4g}, are no sea at that latitude and month (there {low.min():.0f} "
        f"to {high.max():.0f} degC): look at its unit, scale, coordinates and dates"
    )


def _suspicions(stored, seen, read_as, spread, packing, flat):
    """What may have happened, in words, and the values (N,) in degC if that is undone."""
    other = "K" if read_as == "degC" else "degC"
    repair = "repair it and pass the Dataset"
    if not flat:
        yield f"{seen}, which fits {other}: pass units={other!r}", stored - KELVIN * (other == "K")
        yield f"{seen}, which fits degrees Fahrenheit: {repair}", (stored - 32) / 1.8
        yield f"{seen}, as if 273.15 had been subtracted twice: {repair}", stored + KELVIN
        yield f"{seen}, as if 273.15 had been added twice: {repair}", stored - 2 * KELVIN
    seen = f"its spread {spread:.2g} K and {seen}, as if"
    for scale, offset in (*([] if packing == (1.0, 0.0) else [packing]), *_PACKINGS):
        what = f"its scale_factor ({scale:g}) and add_offset ({offset:g}) had been"
        for zero in (0, KELVIN):
            yield f"{seen} {what} applied twice: {repair}", (stored - offset) / scale - zero
            if not flat:
                yield f"{seen} {what} forgotten: {repair}", stored * scale + offset - zero


def _bounds(sample: xr.DataArray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Lowest and highest possible sea at each value that is there, and these values (N,)."""
    step = max(1, int(np.sqrt(sample.size / 1_000_000)))
    thin = sample.isel(time=slice(None, None, step), lat=slice(None, None, step))
    months = thin["time"].dt.month.values
    table = {m: possible_sea(thin["lat"].values, thin["lon"].values, m) for m in set(months)}
    low, high = (np.stack([table[m][side] for m in months]) for side in (0, 1))
    there = np.isfinite(thin.values)
    return low[there], high[there], thin.values[there].astype(float)


def _too_flat(sample: xr.DataArray, values: np.ndarray) -> bool:
    """Less spread than any sea has over 3 degrees of latitude and ten days; ice may."""
    wide = np.ptp(sample["lat"].values) >= 3 and sample.sizes["time"] >= 10
    return bool(wide and values.size > 1000 and np.median(values) > -1 and 0 < values.std() < 0.08)
