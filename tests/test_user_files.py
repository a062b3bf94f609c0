"""The files that people really have: each situation with its right value, or its right refusal.

A table. Each case makes a small invented input in a folder, says how it is opened, and what must
come out: the sea as it was seen (within a tolerance), or one line that names the cause. The letters
are those of the kinds: A codes that pass for temperatures, B quality, C which variable and which
time, D one day speaks for all, E advice, F what counts as a day, G folders, H decoding, I the rest.
"""

import gzip
import re
import warnings
from dataclasses import dataclass, field

import numpy as np
import pytest
import xarray as xr
from scipy import ndimage

from sst_tutorial import cli, data
from sst_tutorial.data import open_sst
from sst_tutorial.plausible import possible_sea

LAT, LON = np.linspace(35, 41, 24), np.linspace(-18, -10, 32)
KELVIN = 273.15


def smooth(seed, sigma, shape=(31, 24, 32)):
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal(shape), sigma)
    return noise / noise.std()  # (T, H, W)


def sea(days=31, start="2016-03-01", clouds=0.5, units="degC", name="sst", seed=0):
    """A smooth sea near 16 degC under smooth clouds, as a Dataset; no land."""
    shape = (days, 24, 32)
    sst = 16 - (LAT[:, None] - 38) * 0.3 + 0.5 * smooth(seed, (4, 3, 3), shape)
    sst = np.where(np.broadcast_to(hidden(days, clouds, seed), shape), np.nan, sst)
    sst = (sst + (KELVIN if units in ("K", "kelvin") else 0)).astype("float32")
    time = np.datetime64(start, "ns") + np.arange(days) * np.timedelta64(1, "D")
    return xr.Dataset(
        {name: (("time", "lat", "lon"), sst, {"units": units})},
        {"time": time, "lat": LAT, "lon": LON},
    )


def hidden(days=31, clouds=0.5, seed=0):
    """True where cloud is, (T, H, W)."""
    if not clouds:
        return np.zeros((days, 24, 32), bool)
    cover = smooth(seed + 100, (0.5, 2, 2), (days, 24, 32))
    return cover > np.quantile(cover, 1 - clouds)


def changed(ds, name="sst", values=None, attrs=None, **encoding):
    """`ds` with other values of a variable; attrs are added, encoding is how it is written."""
    values = ds[name].values if values is None else np.asarray(values)
    ds = ds.assign({name: (ds[name].dims, values, ds[name].attrs | (attrs or {}))})
    ds[name].encoding = encoding
    return ds


@dataclass
class Case:
    given: object  # path or Dataset
    seen: xr.Dataset | None = None  # what must come out, in degC
    error: str | None = None  # or the words of the refusal
    warns: str | None = None  # words of a warning that must come
    options: dict = field(default_factory=dict)
    ocean: np.ndarray | None = None  # (H, W)
    within: float = 0.02  # K


CASES = {}


def case(build):
    assert build.__name__ not in CASES
    CASES[build.__name__] = build
    return build


def saved(ds, folder, name="a.nc", **options):
    ds.to_netcdf(folder / name, **options)
    return folder / name


# ------------------------------------------------------------- A1: one exact value fills the gaps


@case
def A1_zero_in_celsius(tmp):
    return Case(saved(sea().fillna(0), tmp), sea(), warns="50 % .* exactly 0, .* fill value")


@case
def A1_freezing_point_in_kelvin(tmp):
    return Case(saved(sea(units="K").fillna(KELVIN), tmp), sea(), warns="exactly 273.15, .* fill")


@case
def A1_uint8_code_zero(tmp):
    ds = changed(sea().fillna(-3.0), dtype="uint8", scale_factor=0.15, add_offset=-3.0)
    return Case(saved(ds, tmp), sea(), warns="exactly -3, .* fill", within=0.08)


@case
def A1_ice_under_every_cloud(tmp):
    return Case(saved(sea().fillna(-1.8), tmp), sea(), warns="exactly -1.8, .* fill")


@case
def A1_a_plausible_constant(tmp):
    return Case(saved(sea().fillna(20.0), tmp), sea(), warns="exactly 20, .* fill")


@case
def A1_two_codes_land_and_cloud(tmp):
    ds = sea().fillna(0)
    ds["sst"][:, :6, :8] = 5.0
    seen = sea()
    seen["sst"][:, :6, :8] = np.nan
    return Case(saved(ds, tmp), seen, warns="exactly 5, .* fill")


@case
def A1_land_alone(tmp):
    ds = sea(clouds=0)
    seen = sea(clouds=0)
    ds["sst"][:, :6, :8], seen["sst"][:, :6, :8] = 0.0, np.nan
    return Case(saved(ds, tmp), seen, warns="exactly 0, .* fill")


@case
def A1_whole_days(tmp):
    ds = sea()
    ds["sst"][10:14] = 12.0
    seen = sea()
    seen["sst"][10:14] = np.nan
    return Case(saved(ds, tmp), seen, warns="exactly 12, .* fill")


@case
def A1_one_value_of_two_overpasses(tmp):
    """The code must go before the two looks of a day are averaged."""
    ds = xr.concat([sea().fillna(0), sea(seed=0, clouds=0.5)], "time")
    ds["time"] = np.concatenate([sea()["time"].values + np.timedelta64(h, "h") for h in (2, 14)])
    return Case(saved(ds, tmp), sea(), warns="exactly 0")


@case
def A1_one_cell(tmp):
    ds = sea().isel(lat=[5], lon=[7])
    return Case(saved(ds.fillna(0), tmp), ds, warns="exactly 0, .* fill")


@case
def A1_lazily(tmp):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "IN_MEMORY", 0)
        out = open_sst(sea().fillna(0).chunk(time=5))
    return Case(out.compute(), sea())


@case
def A1_polar_clouds_as_ice(tmp):
    ds = changed(sea(), values=sea()["sst"] - 16).assign_coords(lat=LAT + 37)
    return Case(saved(ds.fillna(-1.8), tmp), ds, warns="exactly -1.8, .* fill")


@case
def A1_not_so_rounded_data(tmp):
    ds = changed(sea(), values=np.round(sea()["sst"].values * 2) / 2)
    return Case(saved(ds, tmp), ds)


@case
def A1_not_so_a_constant_sea(tmp):
    ds = sea() * 0 + 15
    return Case(saved(changed(ds, attrs={"units": "degC"}), tmp), ds)


@case
def A1_not_so_sea_ice(tmp):
    """An analysis repeats -1.8 under ice; the edge of the ice is smooth."""
    ds = sea(clouds=0).assign_coords(lat=LAT + 37)
    cold = np.maximum(4.5 - 0.3 * np.arange(24)[:, None] + 0.5 * (ds["sst"].values - 16), -1.8)
    ds = changed(ds, values=cold.astype("float32"))
    return Case(saved(ds, tmp), ds)


# ------------------------------------------------------------- A2: the file's own valid range


def bytes_with_a_code(**attrs):
    """uint8 of 0.15 K in which code 255 (35.25 degC) is cloud."""
    codes = np.where(hidden(), 255, np.round((sea()["sst"].fillna(0).values + 3) / 0.15))
    ds = changed(sea(), values=codes.astype("uint8"), attrs=attrs)
    ds["sst"].attrs |= {"scale_factor": np.float32(0.15), "add_offset": np.float32(-3.0)}
    return ds


@case
def A2_valid_range_of_bytes(tmp):
    ds = bytes_with_a_code(valid_range=np.array([1, 240], "uint8"))
    return Case(saved(ds, tmp), sea(), within=0.08)


@case
def A2_valid_max_of_integers(tmp):
    packed = np.where(hidden(), 3105, np.round(sea()["sst"].fillna(0) * 100)).astype("int16")
    ds = changed(sea(), values=packed, attrs={"valid_max": np.int16(3100)})
    ds["sst"].attrs["scale_factor"] = 0.01
    return Case(saved(ds, tmp), sea())


@case
def A2_range_as_text(tmp):
    return Case(saved(bytes_with_a_code(valid_range="1b, 240b"), tmp), sea(), within=0.08)


@case
def A2_range_in_unpacked_units(tmp):
    """A range of the type of the scale, wider than that of the data, is of unpacked values."""
    ds = bytes_with_a_code(valid_range=np.array([-2.0, 33.0], "float32"))
    return Case(saved(ds, tmp), sea(), within=0.08)


@case
def A2_floats_with_valid_min(tmp):
    values = np.where(hidden(), 4.5, sea()["sst"]).astype("float32")
    ds = changed(sea(), values=values, attrs={"valid_min": np.float32(5)})
    return Case(saved(ds, tmp), sea())


@case
def A2_signed_bytes_that_are_unsigned(tmp):
    ds = bytes_with_a_code(valid_max=np.int8(-16), _Unsigned="true")  # 240
    ds["sst"] = ds["sst"].astype("int8").assign_attrs(ds["sst"].attrs)
    return Case(saved(ds, tmp), sea(), within=0.08)


@case
def A2_decoded_by_the_user(tmp):
    file = saved(bytes_with_a_code(valid_range=np.array([1, 240], "uint8")), tmp)
    return Case(xr.open_dataset(file).load(), sea(), within=0.08)


@case
def A2_not_decoded_by_the_user(tmp):
    file = saved(bytes_with_a_code(valid_range=np.array([1, 240], "uint8")), tmp)
    return Case(xr.open_dataset(file, decode_cf=False).load(), sea(), within=0.08)


@case
def A2_a_range_of_another_unit_is_no_range(tmp):
    ds = changed(sea(units="K"), attrs={"valid_min": np.float32(-2), "valid_max": np.float32(45)})
    return Case(saved(ds, tmp), sea(), warns="valid range .* not in its unit")


@case
def A2_a_range_left_over_from_a_packing(tmp):
    ds = changed(sea(), attrs={"valid_min": np.int16(-300), "valid_max": np.int16(4500)})
    return Case(ds, sea())


# ------------------------------------------------------------- A3: what a sea there can be


@case
def A3_scaled_twice(tmp):
    ds = changed(sea(units="K"), values=sea(units="K")["sst"] * 0.01 + KELVIN)
    ds["sst"].attrs["units"] = "K"
    return Case(saved(ds, tmp), error="labelled K .* scale_factor .* applied twice")


@case
def A3_scaled_twice_in_celsius(tmp):
    ds = changed(sea(), values=sea()["sst"] * 0.01, attrs={"units": "degC"})
    return Case(saved(ds, tmp), error="scale_factor .* applied twice")


@case
def A3_scaled_twice_where_seas_freeze(tmp):
    """2.9 degC is a sea of the Bohai in March, but none has a spread of 0.01 K."""
    ds = changed(sea(units="K"), values=sea(units="K")["sst"] * 0.01 + KELVIN)
    return Case(saved(ds.assign_coords(lon=LON + 133), tmp), error="applied twice")


@case
def A3_fahrenheit(tmp):
    ds = changed(sea(), values=sea()["sst"] * 1.8 + 32)
    return Case(saved(ds, tmp), error="labelled degC but its median is 60.*Fahrenheit")


@case
def A3_fahrenheit_of_a_cold_sea(tmp):
    ds = changed(sea(), values=(sea()["sst"] - 13) * 1.8 + 32).assign_coords(lat=LAT + 25)
    return Case(saved(ds, tmp), error="Fahrenheit")


@case
def A3_kelvin_labelled_celsius(tmp):
    ds = changed(sea(units="K"), attrs={"units": "degC"})
    return Case(saved(ds, tmp), error="labelled degC but its median is 28.*pass units='K'")


@case
def A3_kelvin_subtracted_twice(tmp):
    return Case(saved(changed(sea(), values=sea()["sst"] - KELVIN), tmp), error="subtracted twice")


@case
def A3_never_scaled(tmp):
    ds = changed(sea(), values=np.round(sea()["sst"] * 100))
    return Case(saved(ds, tmp), error="scale_factor .0.01. .* forgotten")


@case
def A3_on_the_wrong_latitude(tmp):
    ds = sea().assign_coords(lat=LAT + 45)
    return Case(saved(ds, tmp), error="100 % of its values.* no sea at that latitude and month")


# ------------------------------------------------------------- A4: a Dataset that looks tidy


def tidy(fill):
    ds = open_sst(sea())
    return ds.assign(sst=ds["sst"].fillna(fill).assign_attrs(ds["sst"].attrs))


@case
def A4_minus_999(tmp):
    return Case(tidy(-999), sea(), warns="exactly -999")


@case
def A4_minus_32768(tmp):
    return Case(tidy(-32768), sea(), warns="exactly -32768")


@case
def A4_zero(tmp):
    return Case(tidy(0), sea(), warns="exactly 0")


@case
def A4_a_few_large(tmp):
    ds = tidy(np.nan)
    ds["sst"][0, 3, 4] = 1e20
    return Case(ds, sea().where(ds["sst"].values < 100), warns="lie outside")


# ------------------------------------------------------------- B: quality


def graded(levels=(5, 1), name="quality_level", bad=-9.0, **attrs):
    """A sea of which every seventh cell is graded bad and is 9 K too cold; and the right one."""
    poor = np.arange(32)[None, None, :] % 7 == 0
    ds = changed(sea(), values=sea()["sst"] + np.where(poor, bad, 0).astype("float32"))
    grades = np.broadcast_to(np.where(poor, levels[1], levels[0]), ds["sst"].shape)
    ds[name] = (ds["sst"].dims, grades.astype("int8").copy(), attrs)
    return ds, sea().where(~poor)


@case
def B1_ghrsst(tmp):
    ds, seen = graded()
    return Case(saved(ds, tmp), seen, warns="only pixels with quality_level >= 4")


@case
def B1_modis(tmp):
    ds, seen = graded((0, 3), "qual_sst")
    return Case(saved(ds, tmp), seen, warns="only pixels with qual_sst <= 1")


@case
def B1_by_the_words_of_its_flags(tmp):
    ds, seen = graded((2, 1), "sst_quality", flag_meanings="missing suspect good")
    ds["sst_quality"].attrs["flag_values"] = np.array([0, 1, 2], "int8")
    return Case(saved(ds, tmp), seen, warns="sst_quality >= 2")


@case
def B1_flags_as_text(tmp):
    ds, seen = graded((0, 2), "DQF", flag_values="0b, 1b, 2b", flag_meanings="good degraded bad")
    return Case(saved(ds, tmp), seen, warns="DQF <= 0")


@case
def B1_grades_that_hold_for_all_days(tmp):
    ds, seen = graded()
    return Case(saved(ds.assign(quality_level=ds["quality_level"][0]), tmp), seen)


@case
def B1_of_another_variable(tmp):
    ds, seen = graded((0, 3), "qual_sst")
    ds["qual_chlor_a"] = ds["qual_sst"] * 0 + 4
    return Case(saved(ds, tmp), seen, warns="qual_sst <= 1")


@case
def B1_another_limit(tmp):
    ds, seen = graded((3, 2))
    return Case(saved(ds, tmp), seen, options={"quality": 3})


@case
def B1_a_limit_with_its_sense(tmp):
    ds, seen = graded((1, 6), "quality_code")
    return Case(saved(ds, tmp), seen, options={"quality": "<=2"})


@case
def B1_none(tmp):
    ds, _ = graded()
    return Case(saved(ds, tmp), ds, options={"quality": "none"})


@case
def B1_a_scale_that_does_not_tell(tmp):
    ds, _ = graded((1, 6), "quality_code", bad=0)
    return Case(saved(ds, tmp), ds, warns="'quality_code' was left alone")


@case
def B1_nothing_left(tmp):
    ds, _ = graded((3, 2))
    return Case(saved(ds, tmp), error="no pixel has quality_level >= 4; choose another quality=N")


@case
def B1_no_grades(tmp):
    return Case(saved(sea(), tmp), options={"quality": 4}, error="quality=4: .* no variable of gra")


@case
def B2_bias(tmp):
    ds = changed(sea(), values=sea()["sst"] + 0.4).assign(sses_bias=sea()["sst"] * 0 + 0.4)
    return Case(saved(ds, tmp), sea(), options={"bias": True})


@case
def B2_bias_left_alone(tmp):
    ds = sea().assign(sses_bias=sea()["sst"] * 0 + 0.4)
    return Case(saved(ds, tmp), sea())


@case
def B2_bias_missing(tmp):
    return Case(saved(sea(), tmp), options={"bias": True}, error="no variable sses_bias")


@case
def B3_two_overpasses_the_best_of_each_cell(tmp):
    """By day one pass of grade 4 that is 1 K too warm, by night one of grade 5 that sees half."""
    warm = changed(sea(clouds=0), values=sea(clouds=0)["sst"] + 1)
    both = xr.concat([warm, sea()], "time")
    hours = [sea()["time"].values + np.timedelta64(h, "h") for h in (13, 1)]
    both = both.assign_coords(time=np.concatenate(hours))
    grades = np.repeat([4, 5], 31)[:, None, None] * np.ones((62, 24, 32))
    both["quality_level"] = (("time", "lat", "lon"), grades.astype("int8"))
    seen = sea().fillna(warm)
    return Case(saved(both, tmp), seen)


# ------------------------------------------------------------- C1: which time


@case
def C1_a_reference_time_beside(tmp):
    ds = sea(days=1).isel(time=0)
    ds = ds.assign_coords(forecast_reference_time=np.datetime64("2016-01-31", "ns"))
    ds["forecast_reference_time"].attrs["standard_name"] = "forecast_reference_time"
    return Case(saved(ds[["forecast_reference_time", "sst"]], tmp), sea(days=1))


@case
def C1_as_cfgrib_writes_it(tmp):
    ds = sea().rename(time="valid_time")
    ds["valid_time"].attrs["standard_name"] = "time"
    ds = ds.rename_dims(valid_time="time").reset_index("valid_time")
    ds = ds.assign_coords(time=("time", np.array(ds["valid_time"] - np.timedelta64(40, "D"))))
    ds["time"].attrs["standard_name"] = "forecast_reference_time"
    return Case(saved(ds, tmp), sea())


@case
def C1_axis_before_name(tmp):
    ds = sea(days=1).isel(time=0).reset_coords(drop=True)
    ds = ds.assign_coords(
        t=np.datetime64("2016-03-01", "ns"), day=np.datetime64("2016-01-02", "ns")
    )
    ds["t"].attrs["axis"] = "T"
    return Case(saved(ds, tmp), sea(days=1))


@case
def C1_two_left(tmp):
    ds = sea(days=1).isel(time=0).reset_coords(drop=True)
    ds = ds.assign_coords(begin=np.datetime64("2016-03-01", "ns"), end=np.datetime64("2016-03-02"))
    return Case(saved(ds, tmp), error="2 variables that could be the time: begin, end")


# ------------------------------------------------------------- C2: which variable


@case
def C2_an_anomaly_that_inherited_the_name(tmp):
    ds = sea()
    ds["sst_anom"] = (ds["sst"] - 16).assign_attrs(
        units="degC", standard_name="sea_surface_temperature"
    )
    return Case(saved(ds, tmp), sea())


@case
def C2_by_its_long_name(tmp):
    ds = sea()
    ds["field"] = (ds["sst"] - 16).assign_attrs(
        units="degC", standard_name="sea_surface_temperature", long_name="departure from the mean"
    )
    return Case(saved(ds, tmp), sea())


@case
def C2_an_anomaly_alone(tmp):
    ds = (sea() - 16).rename(sst="sst_anomaly")
    ds["sst_anomaly"].attrs = {"units": "degC", "standard_name": "sea_surface_temperature"}
    return Case(saved(ds, tmp), error="no variable that is SST")


@case
def C2_a_trend_called_sst(tmp):
    ds = changed(sea(), attrs={"long_name": "linear trend of sea surface temperature"})
    return Case(saved(ds, tmp), error="no variable that is SST")


@case
def C2_a_difference(tmp):
    ds = (sea() - 16).rename(sst="sst_diff_model_obs")
    ds["sst_diff_model_obs"].attrs["units"] = "degC"
    return Case(saved(ds, tmp), error="no variable that is SST")


@case
def C2_another_variable_by_name(tmp):
    ds = (sea() + 20).rename(sst="salinity")
    ds["salinity"].attrs["units"] = "1e-3"
    return Case(saved(ds, tmp), sea() + 20, options={"variable": "salinity"})


@case
def C2_log_of_chlorophyll(tmp):
    ds = (10 ** (sea() - 16)).rename(sst="chlor_a")
    ds["chlor_a"].attrs["units"] = "mg m-3"
    options = {"variable": "chlor_a", "transform": "log10"}
    return Case(saved(ds, tmp), sea() - 16, options=options)


@case
def C2_a_fill_in_another_variable(tmp):
    ds = (sea() + 20).rename(sst="salinity").fillna(0)
    ds["salinity"].attrs["units"] = "1e-3"
    options = {"variable": "salinity"}
    return Case(saved(ds, tmp), sea() + 20, options=options, warns="exactly 0")


# ------------------------------------------------------------- D: one day speaks for all


def daily_files(tmp, ds):
    for k in range(ds.sizes["time"]):
        saved(ds.isel(time=[k]), tmp, f"d{k:02}.nc")
    return tmp


EVERYWHERE = np.ones((24, 32), bool)


@case
def D1_a_cloud_mask_in_daily_files(tmp):
    ds = sea().assign(mask=(("time", "lat", "lon"), hidden().astype("int8")))
    ds = ds.assign(mask=ds["mask"].where(np.arange(31)[:, None, None] > 0, 0).astype("int8"))
    folder = daily_files(tmp, ds.isel(time=slice(0, 6)))
    return Case(folder, sea().isel(time=slice(0, 6)), ocean=EVERYWHERE, warns="cloud mask")


@case
def D1_in_one_file_clear_is_one(tmp):
    ds = sea().assign(mask=(("time", "lat", "lon"), (~hidden()).astype("int8")))
    return Case(saved(ds, tmp), sea(), ocean=EVERYWHERE, warns="cloud mask")


@case
def D1_a_cloud_mask_of_one_day(tmp):
    ds = sea(days=1).assign(mask=(("lat", "lon"), hidden(1)[0].astype("int8")))
    return Case(saved(ds, tmp), sea(days=1), ocean=EVERYWHERE, warns="cloud mask")


@case
def D1_flags_water_on_any_day(tmp):
    """A swath: outside it a day's mask is missing, which is no land."""
    west = np.arange(32) < 16
    ds, land = sea(), np.zeros((24, 32), bool)
    land[:3, :5] = True
    flags = np.where(land, 2, 1) * np.ones((31, 1, 1))
    flags[0] *= west
    flags[1:] *= ~west | (np.arange(31)[1:, None, None] > 15)
    attrs = {"flag_masks": np.array([1, 2], "int8"), "flag_meanings": "water land"}
    ds["mask"] = (("time", "lat", "lon"), flags.astype("int8"), attrs)
    return Case(daily_files(tmp, ds), sea().where(~land), ocean=~land)


@case
def D1_a_land_mask_stays_one(tmp):
    land = np.zeros((24, 32), "int8")
    land[:3, :5] = 1
    ds = sea().assign(mask=(("lat", "lon"), land))
    return Case(daily_files(tmp, ds), sea().where(land == 0), ocean=land == 0)


def half_swath(days, west):
    return sea(days=days, clouds=0).where(np.arange(32) < west)


@case
def D2_two_days_of_half_a_swath(tmp):
    return Case(saved(half_swath(2, 16), tmp), half_swath(2, 16), ocean=EVERYWHERE)


@case
def D2_a_missing_corner(tmp):
    ds = sea(days=5, clouds=0)
    ds["sst"][:, :7, :9] = np.nan
    return Case(saved(ds, tmp), ds, ocean=EVERYWHERE)


@case
def D2_a_month_of_a_narrow_strip(tmp):
    return Case(saved(half_swath(31, 29), tmp), half_swath(31, 29), ocean=EVERYWHERE)


@case
def D2_ten_days_of_three_quarters(tmp):
    return Case(saved(half_swath(10, 24), tmp), half_swath(10, 24), ocean=EVERYWHERE)


@case
def D2_lazily(tmp):
    ds = half_swath(2, 16).chunk(time=1)
    return Case(ds, half_swath(2, 16), ocean=EVERYWHERE)


# ------------------------------------------------------------- E: advice


@case
def E1_kelvin_with_zeros(tmp):
    ds = sea(units="K").fillna(0)
    return Case(saved(ds, tmp), sea(), warns="50 % .* exactly 0")


@case
def E1_obeying_bad_advice(tmp):
    ds = sea(units="K").fillna(0)
    return Case(saved(ds, tmp), options={"units": "degC"}, error="median is 28.*units='K'")


@case
def E1_mostly_zeros(tmp):
    ds = sea(units="K", clouds=0.9).fillna(0)
    return Case(saved(ds, tmp), sea(clouds=0.9), warns="90 % .* exactly 0")


@case
def E1_units_against_label_and_values(tmp):
    return Case(saved(sea(), tmp), options={"units": "K"}, error="median is 1.*pass units='degC'")


@case
def E2_expver(tmp):
    late = np.arange(31)[:, None, None] >= 20
    ds = xr.concat([sea().where(~late), sea().where(late)], "expver")
    return Case(saved(ds.assign_coords(expver=[1, 5]), tmp), sea(), warns="'expver' the first")


@case
def E2_ascending_and_descending_pass(tmp):
    other = changed(sea(seed=0, clouds=0), values=sea(clouds=0)["sst"] + 1)
    ds = xr.concat([sea(), other], "pass")
    return Case(saved(ds, tmp), sea().fillna(other), warns="'pass' the first")


@case
def E2_an_axis_of_any_name_that_is_complementary(tmp):
    east = np.arange(32) >= 16
    ds = xr.concat([sea().where(~east), sea().where(east)], "tile")
    return Case(saved(ds, tmp), sea(), warns="'tile' the first")


@case
def E2_a_bad_first_pass_does_not_hide_a_good_second(tmp):
    ds, seen = graded()
    other = sea(clouds=0).assign(quality_level=ds["quality_level"] * 0 + 5)
    ds = xr.concat([ds, other], "pass").transpose("time", "pass", "lat", "lon")
    return Case(saved(ds, tmp), seen.fillna(sea(clouds=0)))


@case
def E2_levels_are_a_choice(tmp):
    ds = xr.concat([sea(), sea()], "depth").assign_coords(depth=[0.5, 1.5])
    return Case(saved(ds, tmp), error="axis 'depth' of length 2")


def timeless(**attrs):
    return sea(days=1).isel(time=0, drop=True).assign_attrs(attrs)


@case
def E3_coverage_in_the_attributes(tmp):
    ds = timeless(
        time_coverage_start="2016-03-01T00:25:00.000Z", time_coverage_end="2016-03-02T02:50:00.000Z"
    )
    return Case(
        saved(ds, tmp), sea(days=1), warns="2016-03-01 was taken from time_coverage_start and"
    )


@case
def E3_other_attributes(tmp):
    ds = timeless(start_date="01-MAR-2016 21:59:06.4", stop_date="01-MAR-2016 22:02:06.4")
    return Case(saved(ds, tmp), sea(days=1), warns="2016-03-01 was taken from start_date")


@case
def E3_packed_stamps(tmp):
    ds = timeless(start_time="20160301T190000Z", stop_time="20160302T030000Z")
    return Case(saved(ds, tmp), sea(days=1), warns="from start_time and stop_time")


@case
def E3_the_name_of_the_file(tmp):
    given = saved(timeless(), tmp, "20160301120000-XYZ-L3C.nc")
    return Case(given, sea(days=1), warns="2016-03-01 was taken from its name")


@case
def E3_date(tmp):
    return Case(saved(timeless(), tmp), sea(days=1), options={"date": "2016-03-01"})


@case
def E3_nothing_known(tmp):
    return Case(saved(timeless(), tmp), error="no time coordinate .* pass date='2016-02-01'")


@case
def E3_a_month_is_no_day(tmp):
    ds = timeless(time_coverage_start="2016-03-01", time_coverage_end="2016-03-31")
    return Case(saved(ds, tmp), error="about 30 days each.*cadence='monthly'")


# ------------------------------------------------------------- F1: the middle of the bounds


def bounded(shift, width=1.0, name="time_bnds"):
    """Stamps `shift` days after the start of what each field covers."""
    ds, unit = sea(), "days since 2016-01-01"
    start = np.arange(31) + 60.0
    ds = ds.assign_coords(time=("time", start + shift, {"units": unit}))
    ds[name] = (("time", "nv"), np.stack([start, start + width], 1))
    ds["time"].attrs["bounds"] = name
    return ds


@case
def F1_stamps_at_the_end(tmp):
    return Case(saved(bounded(1.0), tmp), sea())


@case
def F1_bounds_of_another_name(tmp):
    return Case(saved(bounded(1.0, name="edges"), tmp), sea())


@case
def F1_bounds_not_announced(tmp):
    ds = bounded(1.0)
    del ds["time"].attrs["bounds"]
    return Case(saved(ds, tmp), sea())


@case
def F1_from_noon_to_noon(tmp):
    ds = bounded(0.5)
    ds["time_bnds"] = ds["time_bnds"] - 0.4  # 14:24 the day before to 14:24: the middle is 02:24
    return Case(saved(ds, tmp), sea())


@case
def F1_bounds_without_width(tmp):
    return Case(saved(bounded(0.0, width=0.0), tmp), sea())


# ------------------------------------------------------------- F2: just short of midnight


def stamped(values, units, dtype="float64"):
    ds = sea().assign_coords(time=("time", np.asarray(values).astype(dtype), {"units": units}))
    return ds


@case
def F2_float_days(tmp):
    return Case(saved(stamped(np.arange(31) + 60 - 1e-6, "days since 2016-01-01"), tmp), sea())


@case
def F2_float32_days_since_1900(tmp):
    days = np.nextafter((np.arange(31) + 42428).astype("float32"), np.float32(0))
    return Case(saved(stamped(days, "days since 1900-01-01", "float32"), tmp), sea())


@case
def F2_float_hours(tmp):
    hours = (np.arange(31) + 60) * 24 - 0.001
    return Case(saved(stamped(hours, "hours since 2016-01-01"), tmp), sea())


@case
def F2_the_last_second_of_a_day_is_meant(tmp):
    seconds = (np.arange(31) + 61) * 86400 - 1
    return Case(saved(stamped(seconds, "seconds since 2016-01-01", "int64"), tmp), sea())


# ------------------------------------------------------------- F3: not daily


def every(n, count, start="2016-01-01"):
    stamps = np.datetime64(start, "ns") + np.arange(count) * np.timedelta64(n, "D")
    return sea(days=count).assign_coords(time=stamps)


@case
def F3_monthly(tmp):
    months = np.arange("2016-01", "2016-07", dtype="M8[M]").astype("M8[ns]")
    ds = sea(days=6).assign_coords(time=months)
    return Case(saved(ds, tmp), error="about 31 days each.*cadence='monthly'")


@case
def F3_eight_days(tmp):
    return Case(saved(every(8, 6), tmp), error="about 8 days each.*cadence='8'")


@case
def F3_weekly_with_a_hole(tmp):
    ds = every(7, 8).isel(time=[0, 1, 2, 4, 5, 6, 7])
    return Case(saved(ds, tmp), error="about 7 days each")


@case
def F3_one_month_by_its_bounds(tmp):
    ds = sea(days=1).assign(time_bnds=(("time", "nv"), [[0.0, 31.0]]))
    ds["time_bnds"].attrs["units"] = "days since 2016-03-01"
    return Case(saved(ds, tmp), error="about 31 days each")


@case
def F3_by_an_attribute(tmp):
    ds = sea(days=1).assign_attrs(temporal_range="8-day")
    return Case(saved(ds, tmp), error="about 8 days each")


@case
def F3_cadence_monthly(tmp):
    ds = sea(days=3).assign_coords(time=np.array(["2016-01-15", "2016-02-15", "2016-03-15"], "M8"))
    seen = ds.isel(time=np.repeat([0, 1, 2], [31, 29, 31]))
    days = np.datetime64("2016-01-01", "ns") + np.arange(91) * np.timedelta64(1, "D")
    return Case(saved(ds, tmp), seen.assign_coords(time=days), options={"cadence": "monthly"})


@case
def F3_cadence_of_eight_days(tmp):
    ds = every(8, 4)
    days = np.datetime64("2016-01-01", "ns") + np.arange(32) * np.timedelta64(1, "D")
    seen = ds.isel(time=np.repeat(np.arange(4), 8)).assign_coords(time=days)
    return Case(saved(ds, tmp), seen, options={"cadence": "8D"})


@case
def F3_clear_days_of_a_week_each(tmp):
    ds = every(8, 6)
    return Case(saved(ds, tmp), ds, options={"cadence": "daily"})


@case
def F3_not_so_daily_with_absences(tmp):
    ds = sea().isel(time=[0, 6, 12, 13, 20, 30])
    return Case(saved(ds, tmp), ds)


@case
def F3_not_so_irregular_days(tmp):
    ds = sea().isel(time=[0, 6, 13, 21, 30])
    return Case(saved(ds, tmp), ds)


# ------------------------------------------------------------- G1: what lies in the folder too


def own_output(tmp, name="out.nc"):
    ds = sea(days=1).assign_attrs(program="sst_tutorial 0.2.0").fillna(16)
    return saved(ds, tmp, name)


@case
def G1_its_own_output(tmp):
    saved(sea(), tmp)
    own_output(tmp)
    return Case(tmp, sea(), warns="left out .*out.nc: complete maps that this package made")


@case
def G1_by_a_pattern(tmp):
    saved(sea(), tmp)
    own_output(tmp)
    return Case(str(tmp / "*.nc"), sea(), warns="left out .*out.nc")


@case
def G1_simulated_truth(tmp):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp)
        cli.main(["simulate", "gappy.nc", "--truth", "truth.nc", "--shape", "16", "16"])
        seen = xr.open_dataset(tmp / "gappy.nc").load()
    return Case(tmp, seen, warns="left out .*truth.nc: the complete sea")


@case
def G1_monthly_means(tmp):
    saved(sea(), tmp)
    ds = sea(days=1).assign(time_bnds=(("time", "nv"), [[0.0, 31.0]]))
    ds["time_bnds"].attrs["units"] = "days since 2016-03-01"
    saved(ds, tmp, "m.nc")
    return Case(tmp, sea(), warns="left out .*m.nc: means over many days")


@case
def G1_means_by_name(tmp):
    saved(sea(), tmp)
    saved(sea(days=1), tmp, "sst_monthly_201603.nc")
    return Case(tmp, sea(), warns="left out .*sst_monthly_201603.nc: means")


@case
def G1_two_files_claim_a_day(tmp):
    saved(sea(), tmp)
    saved(sea().isel(time=slice(0, 2)), tmp, "b.nc")
    return Case(
        tmp, sea(), warns="more than one file for 2 of the days .2016-03-01: .*a.nc, .*b.nc"
    )


@case
def G1_another_variable(tmp):
    saved(sea(), tmp)
    saved(sea(name="chlorophyll"), tmp, "chl.nc")
    return Case(tmp, sea(), warns="left out .*chl.nc: no such variable")


@case
def G1_a_year_of_monthly_means(tmp):
    saved(sea(), tmp)
    months = np.arange("2016-01", "2017-01", dtype="M8[M]").astype("M8[ns]")
    saved(sea(days=12).assign_coords(time=months), tmp, "m.nc")
    return Case(tmp, sea(), warns="left out .*m.nc: means over many days")


@case
def G1_a_link(tmp):
    (tmp / "b.nc").symlink_to(saved(sea(), tmp))
    return Case(tmp, sea())


# ------------------------------------------------------------- G2: names


@case
def G2_capitals_and_h5(tmp):
    saved(sea().isel(time=slice(0, 10)), tmp, "A.NC")
    saved(sea().isel(time=slice(10, 20)), tmp, "b.h5")
    saved(sea().isel(time=slice(20, 31)), tmp, "c.Nc4")
    return Case(tmp, sea())


@case
def G2_packed_and_hidden(tmp):
    saved(sea(), tmp)
    (tmp / "._a.nc").write_bytes(b"\0\5\26\7")
    (tmp / "b.nc.gz").write_bytes(gzip.compress(b"CDF"))
    return Case(tmp, sea(), warns="left out .*b.nc.gz: packed")


@case
def G2_no_hdf_at_all(tmp):
    saved(sea(), tmp)
    (tmp / "b.h5").write_bytes(b"not one byte of HDF")
    return Case(tmp, sea(), warns="left out .*b.h5: no NetCDF in it")


@case
def G2_a_broken_netcdf_is_a_loss(tmp):
    saved(sea(), tmp)
    (tmp / "b.nc").write_bytes(b"half a download")
    return Case(tmp, error="b.nc' cannot be read")


@case
def G2_packed_alone(tmp):
    (tmp / "b.nc.gz").write_bytes(gzip.compress(b"CDF"))
    return Case(tmp / "b.nc.gz", error="is packed: unpack it first")


@case
def G2_home(tmp):
    saved(sea(), tmp)
    return Case("~/a.nc", sea())


@case
def G2_home_in_a_list(tmp):
    saved(sea(), tmp)
    return Case(["~/a.nc"], sea())


@case
def G2_a_list_of_datasets(tmp):
    return Case([sea().isel(time=slice(0, 9)), sea().isel(time=slice(9, None))], sea())


@case
def G2_a_list_of_anything(tmp):
    return Case([sea(), "a.nc"], error="list of files and Datasets")


@case
def G2_a_list_of_numbers(tmp):
    return Case([1, 2], error="path lists a int")


@case
def G2_a_zarr_store_in_the_folder(tmp):
    saved(sea().isel(time=slice(0, 9)), tmp)
    sea().isel(time=slice(9, None)).to_zarr(tmp / "b.zarr", consolidated=False)
    return Case(tmp, sea())


# ------------------------------------------------------------- H1: only what is used


def with_odd(name, values, **attrs):
    return sea().assign({name: ("time", values, attrs)})


@case
def H1_undecodable_times_elsewhere(tmp):
    return Case(saved(with_odd("orbit", np.arange(31.0), units="days since launch"), tmp), sea())


@case
def H1_times_out_of_range_elsewhere(tmp):
    ds = with_odd("dtime", np.full(31, 1e18), units="days since 2016-01-01")
    return Case(saved(ds, tmp), sea())


@case
def H1_a_scale_that_is_a_word_elsewhere(tmp):
    return Case(saved(with_odd("gain", np.arange(31), scale_factor="two"), tmp), sea())


@case
def H1_two_fills_elsewhere(tmp):
    ds = with_odd("wind", np.arange(31.0), missing_value="none")
    return Case(saved(ds, tmp), sea())


@case
def H1_a_scale_that_is_a_word_here(tmp):
    ds = changed(sea(), attrs={"scale_factor": "two"})
    return Case(saved(ds, tmp), error="a.nc: the scale_factor .*'two'.* no number")


# ------------------------------------------------------------- H2: units of time


def march(values, units):
    return saved_time(np.asarray(values, float), units)


def saved_time(values, units):
    return stamped(values, units, values.dtype)


@case
def H2_months_since(tmp):
    ds = sea(days=6).assign_coords(
        time=("time", np.arange(6), {"units": "months since 2016-01-01"})
    )
    return Case(saved(ds, tmp), error="about 31 days each")


@case
def H2_months_since_with_cadence(tmp):
    ds = sea(days=2).assign_coords(time=("time", [0.5, 1.5], {"units": "months since 2016-02-01"}))
    days = np.datetime64("2016-02-01", "ns") + np.arange(60) * np.timedelta64(1, "D")
    seen = ds.isel(time=np.repeat([0, 1], [29, 31])).assign_coords(time=days)
    return Case(saved(ds, tmp), seen, options={"cadence": "monthly"})


@case
def H2_matlab_datenum(tmp):
    return Case(saved(march(np.arange(31) + 736390.5, "days since 0000-00-00"), tmp), sea())


@case
def H2_datenum_by_name(tmp):
    return Case(saved(march(np.arange(31) + 736390, "Matlab datenum"), tmp), sea())


@case
def H2_from_the_year_0(tmp):
    ds = march(np.arange(31) + 736390, "days since 0000-01-01 00:00:00")
    return Case(saved(ds, tmp), error="counted in more than one way.*719529")


@case
def H2_capitals(tmp):
    return Case(saved(march(np.arange(31) + 60, "DAYS SINCE 2016-01-01 00:00:00"), tmp), sea())


@case
def H2_weeks(tmp):
    return Case(saved(march((np.arange(31) + 60) / 7, "weeks since 2016-01-01"), tmp), sea())


@case
def H2_julian_days(tmp):
    return Case(saved(march(np.arange(31) + 2457449.0, "Julian days"), tmp), sea())


@case
def H2_written_as_a_date(tmp):
    return Case(saved(saved_time(np.arange(31) + 20160301, "day as %Y%m%d.%f"), tmp), sea())


@case
def H2_written_as_text(tmp):
    words = np.array([str(t)[:10] for t in sea()["time"].values], object)
    return Case(saved(sea().assign_coords(time=words), tmp), sea())


@case
def H2_written_as_characters(tmp):
    words = np.array([str(t)[:10] for t in sea()["time"].values], object)
    return Case(saved(sea().assign_coords(time=words), tmp, format="NETCDF3_CLASSIC"), sea())


@case
def H2_whole_numbers_that_are_dates(tmp):
    return Case(saved(sea().assign_coords(time=np.arange(31) + 20160301), tmp), sea())


@case
def H2_not_clear(tmp):
    ds = march(np.arange(31) + 60, "decimal year")
    return Case(saved(ds, tmp), error="time 'time' .*'decimal year'")


# ------------------------------------------------------------- I2: odd spellings


@case
def I2_ordinal_sign(tmp):
    return Case(saved(sea(units="\u00baC"), tmp), sea())


@case
def I2_letter_o(tmp):
    return Case(saved(sea(units="oC"), tmp), sea())


@case
def I2_degree_sign_in_the_wrong_encoding(tmp):
    return Case(saved(sea(units="\u00c2\u00b0C"), tmp), sea())


@case
def I2_deg_point(tmp):
    return Case(saved(sea(units="deg. C"), tmp), sea())


@case
def I2_flags_as_text(tmp):
    land = np.zeros((24, 32), bool)
    land[:3, :5] = True
    attrs = {"flag_masks": "1b, 2b, 4b", "flag_meanings": "water land ice"}
    ds = sea().assign(mask=(("lat", "lon"), np.where(land, 2, 1).astype("int8"), attrs))
    return Case(saved(ds, tmp), sea().where(~land), ocean=~land)


@case
def I2_degrees_west(tmp):
    ds = sea().assign_coords(lon=("lon", -LON, {"units": "degrees_west"}))
    return Case(saved(ds, tmp), sea())


@case
def I2_degrees_south(tmp):
    ds = sea().assign_coords(lat=("lat", -LAT, {"units": "degrees_south"}))
    return Case(saved(ds, tmp), sea())


@case
def I2_a_list_of_points(tmp):
    ds = sea().stack(station=("lat", "lon")).reset_index("station")
    return Case(saved(ds, tmp), error="a list of points.*along 'station'")


# ------------------------------------------------------------- I3: holes in a store, cut files


def holed(tmp, zarr_format, **encoding):
    """A Zarr store of which the chunks of four days are gone."""
    whole = sea(clouds=0)
    store = tmp / "a.zarr"
    encoding |= {"chunks": (1, 24, 32)}
    whole.to_zarr(store, zarr_format=zarr_format, consolidated=False, encoding={"sst": encoding})
    for day in range(3, 7):
        (store / "sst" / (f"{day}.0.0" if zarr_format == 2 else f"c/{day}/0/0")).unlink()
    gone = np.isin(np.arange(31), range(3, 7))[:, None, None]
    return store, whole.where(~gone)


@case
def I3_zarr_3(tmp):
    store, seen = holed(tmp, 3, dtype="int16", scale_factor=0.01, add_offset=20.0)
    return Case(store, seen, warns="exactly 20, .* fill")


@case
def I3_zarr_2(tmp):
    store, seen = holed(tmp, 2, dtype="int16", scale_factor=0.01, add_offset=20.0)
    return Case(store, seen, warns="exactly 20, .* fill")


@case
def I3_zarr_of_floats(tmp):
    store, seen = holed(tmp, 3, dtype="float32", fill_value=0.0)
    return Case(store, seen, warns="exactly 0, .* fill")


@case
def I3_a_classic_file_cut_short(tmp):
    body = saved(sea(), tmp, format="NETCDF3_CLASSIC").read_bytes()
    (tmp / "cut.nc").write_bytes(body[: len(body) - 20_000])
    return Case(tmp / "cut.nc", error="shorter than its header says")


# ------------------------------------------------------------- siblings, found later

GRADES = np.arange(6, dtype="int8")
OCEANSITES = (
    "no_qc_performed good_data probably_good_data potentially_correctable bad_data value_changed"
)


@case
def B4_confidence(tmp):
    words = "unprocessed cloudy bad suspect acceptable excellent"
    ds, seen = graded((5, 2), "confidence_level", flag_values=GRADES, flag_meanings=words)
    return Case(saved(ds, tmp), seen, warns="confidence_level >= 4")


@case
def B4_as_the_makers_advise(tmp):
    ds, seen = graded((5, 4))
    name = "20160301000000-STAR-L3U_GHRSST-SSTsubskin-VIIRS_NPP-ACSPO_V2.80-v02.0-fv01.0.nc"
    return Case(saved(ds, tmp, name), seen, warns="quality_level >= 5")


@case
def B4_against_the_advice_of_the_makers(tmp):
    ds, _ = graded((5, 4), bad=0)
    ds = ds.assign_attrs(source="NOAA ACSPO 2.80")
    return Case(saved(ds, tmp), ds, options={"quality": 4})


@case
def B4_a_scale_with_the_good_in_the_middle(tmp):
    """OceanSITES: 0 is unknown, 1 good, 4 bad."""
    ds, seen = graded((1, 0), "sst_qc", flag_values=GRADES, flag_meanings=OCEANSITES)
    return Case(saved(ds, tmp), seen, warns="only pixels with sst_qc 1 are taken")


@case
def B4_a_scale_in_the_middle_and_a_limit(tmp):
    ds, seen = graded((1, 4), "sst_qc", flag_values=GRADES, flag_meanings=OCEANSITES)
    return Case(saved(ds, tmp), seen, options={"quality": "<=2"})


@case
def B4_known_by_its_flags_alone(tmp):
    ds, seen = graded((0, 2), "pixels", flag_values=GRADES[:3], flag_meanings="clear hazy cloudy")
    return Case(saved(ds, tmp), seen, warns="pixels <= 0")


@case
def B4_a_status_flag(tmp):
    ds, seen = graded((0, 2), "state", flag_values=GRADES[:3], flag_meanings="good suspect bad")
    ds["state"].attrs["standard_name"] = "sea_surface_temperature status_flag"
    return Case(saved(ds, tmp), seen, warns="state <= 0")


@case
def B4_not_so_grades_of_another_variable(tmp):
    ds, _ = graded((0, 2), "wind_speed_qc", flag_values=GRADES[:3], flag_meanings="good fair bad")
    return Case(saved(ds.assign(wind_speed=ds["sst"]), tmp), ds)


@case
def B4_not_so_grades_of_a_packed_variable(tmp):
    ds, _ = graded((0, 2), "wind_qc", flag_values=GRADES[:3], flag_meanings="good fair bad")
    ds["wind"] = ds["sst"].fillna(0)
    ds["wind"].encoding = {"dtype": "int16", "scale_factor": 0.01}
    ds["level"] = (("lat", "lon"), np.ones((24, 32), "int8"))
    return Case(saved(ds, tmp), ds)


@case
def B4_a_helper_of_the_same_name_as_another_variable(tmp):
    ds, seen = graded((5, 1))
    ds["level"] = (("lat", "lon"), np.ones((24, 32), "int8"))
    return Case(saved(ds, tmp), seen, warns="quality_level >= 4")


@case
def B4_not_so_flags_without_grades(tmp):
    ds, _ = graded((0, 2), "source", flag_values=GRADES[:3], flag_meanings="none avhrr modis")
    return Case(saved(ds, tmp), ds)


def unrolled(turn=0.0):
    """The same grid with 2-D lat and lon, turned by some degrees a column."""
    lat, lon = np.meshgrid(LAT, LON, indexing="ij")
    ds = sea().rename(lat="y", lon="x").drop_vars(["y", "x"])
    ds["nav_lat"] = (("y", "x"), lat + turn * np.arange(32), {"units": "degrees_north"})
    ds["nav_lon"] = (("y", "x"), lon, {"units": "degrees_east"})
    return ds


@case
def I4_a_regular_grid_with_2d_axes(tmp):
    return Case(saved(unrolled(), tmp), sea())


@case
def I4_a_regular_grid_with_2d_axes_the_other_way(tmp):
    return Case(saved(unrolled().transpose("x", "y", "time"), tmp), sea())


@case
def I4_a_turned_grid(tmp):
    return Case(saved(unrolled(0.05), tmp), error="2-D .24, 32., a swath or curvilinear grid")


@case
def I4_radians(tmp):
    axes = {k: (k, np.deg2rad(v), {"units": "radians"}) for k, v in (("lat", LAT), ("lon", LON))}
    return Case(saved(sea().assign_coords(axes), tmp), sea())


@case
def I4_columns_that_share_a_longitude(tmp):
    ds = sea().assign_coords(lon=np.round(LON))
    return Case(saved(ds, tmp), error="lon holds the same value twice")


@case
def I4_celsius_degree(tmp):
    return Case(saved(sea(units="Celsius (degree)"), tmp), sea())


@case
def I4_a_unit_of_bytes(tmp):
    ds = sea(units="K")
    ds["sst"].attrs["units"] = b"kelvin"
    return Case(ds, sea())


def packed_in_hundredths(**attrs):
    codes = np.round(sea()["sst"].fillna(-327.68) * 100).astype("int16")
    return changed(sea(), values=codes, attrs={"_FillValue": np.int16(-32768)} | attrs)


CORNER = np.zeros((24, 32), bool)
CORNER[:3, :5] = True


def masked(values, name="mask", **attrs):
    return sea().assign({name: (("lat", "lon"), values, attrs)})


@case
def D3_a_fraction_in_per_cent(tmp):
    about = {"name": "frac", "standard_name": "land_area_fraction", "units": "%"}
    values = np.where(CORNER, 98.0, 3.0)
    return Case(saved(masked(values, **about), tmp), sea().where(~CORNER), ocean=~CORNER)


@case
def D3_a_sea_fraction_of_cmip(tmp):
    values = np.where(CORNER, 0.0, 100.0)
    given = saved(masked(values, "sftof", units="%"), tmp)
    return Case(given, sea().where(~CORNER), ocean=~CORNER)


@case
def D3_a_mask_of_one_and_two(tmp):
    values = np.where(CORNER, 2, 1).astype("int8")
    return Case(saved(masked(values), tmp), sea().where(~CORNER), ocean=~CORNER)


@case
def D3_a_mask_of_three_codes_is_not_guessed(tmp):
    values = np.where(CORNER, 3, 1 + (np.arange(32) > 20)).astype("int8")
    return Case(saved(masked(values), tmp), sea(), ocean=EVERYWHERE)


@case
def H3_a_scale_as_text(tmp):
    return Case(saved(packed_in_hundredths(scale_factor="0.01", add_offset="0"), tmp), sea())


@case
def H3_a_scale_of_zero(tmp):
    return Case(
        saved(packed_in_hundredths(scale_factor=0.0), tmp), error="scale_factor of 'sst' is 0"
    )


@case
def H4_in_a_group(tmp):
    return Case(saved(sea(), tmp, group="data"), sea())


@case
def H4_in_a_group_with_its_axes_above(tmp):
    saved(sea()[["time", "lat", "lon"]].assign_attrs(title="above"), tmp)
    bare = sea().drop_vars(["time", "lat", "lon"])
    return Case(saved(bare, tmp, group="science/level3", mode="a"), sea())


@case
def H4_in_a_group_of_a_store(tmp):
    sea().to_zarr(tmp / "a.zarr", group="data", consolidated=False)
    return Case(tmp / "a.zarr", sea())


@case
def H4_in_two_groups(tmp):
    saved(sea(), tmp, group="day")
    file = saved(sea(), tmp, group="night", mode="a")
    return Case(
        file, error="^path=.* has fields in 2 groups, /day, /night: open one, .*group='/day'"
    )


@case
def H5_julian_days_by_their_origin(tmp):
    ds = march(np.arange(31) + 2457449.0, "days since -4712-01-01 12:00:00")
    ds["time"].attrs["calendar"] = "julian"
    return Case(saved(ds, tmp), sea())


@case
def E4_a_date_with_dashes_in_the_name(tmp):
    given = saved(timeless(), tmp, "sst_2016-03-01_L3.nc")
    return Case(given, sea(days=1), warns="2016-03-01 was taken from its name")


@case
def E4_two_dates_in_the_name(tmp):
    return Case(saved(timeless(), tmp, "sst_2016-03-01_2016-03-31.nc"), error="no time coordinate")


@case
def F4_three_days_by_an_attribute(tmp):
    ds = every(3, 20).assign_attrs(time_coverage_resolution="P3D")
    return Case(saved(ds, tmp), error="about 3 days each.*cadence='3'")


@case
def F4_three_days_by_the_title(tmp):
    ds = every(3, 20).assign_attrs(title="SST, 3-day composite")
    return Case(saved(ds, tmp), error="about 3 days each")


@case
def F4_a_month_by_the_frequency_of_cmip(tmp):
    return Case(saved(sea(days=1).assign_attrs(frequency="mon"), tmp), error="about 30 days each")


@case
def F4_every_third_day_is_no_mean(tmp):
    return Case(saved(every(3, 20), tmp), every(3, 20))


@case
def F4_running_means(tmp):
    seen = sea().assign_coords(time=sea()["time"] + np.timedelta64(4, "D"))
    return Case(
        saved(bounded(4.0, width=8.0), tmp), seen, warns="each covers about 8 days: running"
    )


@case
def F4_running_means_by_the_title(tmp):
    ds = sea().assign_attrs(title="5-day running mean of SST")
    return Case(saved(ds, tmp), sea(), warns="each covers about 5 days: running")


# ------------------------------------------------------------- more siblings of each kind


@case
def A5_five_codes_side_by_side(tmp):
    """AMSR2 in bytes: 251 .. 255 are land, ice, rain and no observation, 0.15 K apart."""
    codes = np.where(np.arange(24)[:, None] < 12, 253, np.where(np.arange(32) < 16, 254, 251))
    stored = np.where(hidden(), codes, np.round((sea()["sst"].fillna(0).values + 3) / 0.15))
    stored[:, :3, :3] = 255
    ds = changed(sea(), values=stored.astype("uint8"))
    ds["sst"].attrs |= {"scale_factor": 0.15, "add_offset": -3.0}
    seen = sea()
    seen["sst"][:, :3, :3] = np.nan
    return Case(saved(ds, tmp), seen, warns="exactly 34.95, .* fill", within=0.08)


@case
def A5_a_code_that_rounding_split(tmp):
    random = np.random.default_rng(0)
    both = random.choice(np.float32([0, 3.05e-5]), (31, 24, 32))
    return Case(saved(sea().fillna(xr.DataArray(both, dims=("time", "lat", "lon"))), tmp), sea(),
                warns="exactly 0, .* fill")  # fmt: skip


def filled_by_means():
    return sea().fillna(sea().mean(("lat", "lon")))


@case
def A5_the_mean_of_each_day(tmp):
    ds = changed(filled_by_means(), attrs={"units": "degC"})
    return Case(saved(ds, tmp), sea(), warns="on 31 of 31 days one exact value, another each day")


@case
def A5_the_mean_of_each_day_lazily(tmp):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "IN_MEMORY", 0)
        out = open_sst(changed(filled_by_means(), attrs={"units": "degC"}).chunk(time=5, lat=10))
    assert out["sst"].chunks is not None
    return Case(out.compute(), sea())


@case
def A5_not_so_ice_on_a_lake_all_winter(tmp):
    """One value, the same on all days, that meets the water smoothly."""
    ds = sea(clouds=0).assign_coords(lat=LAT + 12, lon=LON - 65)
    cold = np.maximum(2.5 - 0.25 * np.arange(24)[:, None] + 0.5 * (ds["sst"].values - 16), 0)
    ds = changed(ds, values=cold.astype("float32"))
    return Case(saved(ds, tmp), ds)


def in_bytes(kind, **attrs):
    """uint8 of 0.15 K from -3 degC, read as int8: 18 degC is byte 140."""
    stored = np.where(hidden(), 255, np.round((sea()["sst"].fillna(0).values + 3) / 0.15))
    ds = changed(sea(), values=stored.astype("uint8").astype(kind), attrs=attrs)
    ds["sst"].attrs |= {"scale_factor": 0.15, "add_offset": -3.0}
    return ds


@case
def A6_unsigned_with_a_capital(tmp):
    ds = in_bytes("int8", _Unsigned="True", _FillValue=np.int8(-1))
    return Case(saved(ds, tmp), sea(), within=0.08)


@case
def A6_unsigned_forgotten(tmp):
    """The warmer half would become NaN."""
    ds = in_bytes("int8", _FillValue=np.int8(-1))
    return Case(saved(ds, tmp), error=r"if 2\*\*8 steps .* added: .* _Unsigned = 'true'")


def under_cloud(name, cloudy, clear, dtype="int8", **attrs):
    """A sea without gaps that is 9 K too cold below cloud, with a variable that tells; and the
    right one."""
    ds = sea(clouds=0)
    ds = changed(ds, values=ds["sst"].values - 9 * hidden().astype("float32"))
    ds[name] = (ds["sst"].dims, np.where(hidden(), cloudy, clear).astype(dtype), attrs)
    return ds, sea(clouds=0).where(~hidden())


def words_of(*meanings):
    values = np.arange(len(meanings), dtype="int8")
    return {"flag_values": values, "flag_meanings": " ".join(meanings)}


for label, name, values, attrs, told in (
    ("clear_cloud", "cloud_mask", (1, 0), words_of("clear", "cloud"), "cloud_mask <= 0"),
    ("no_cloud", "cloud_flag", (1, 0), words_of("no_cloud", "cloud"), "cloud_flag <= 0"),
    ("valid", "flag", (1, 0), words_of("valid", "invalid"), "flag <= 0"),
    ("clear_sky", "status", (1, 0), words_of("clear_sky", "cloud_contaminated", "none"), "status"),
    ("one_is_cloud", "cloud", (1, 0), {"long_name": "cloud mask, 1 = cloud"}, "cloud <= 0"),
    ("zero_is_good", "quality_flag", (1, 0), {"comment": "0=good, 1=bad"}, "quality_flag <= 0"),
    ("one_is_good", "quality_flag", (0, 1), {"comment": "1=good, 0=bad"}, "quality_flag >= 1"),
    ("qc", "QC", (3, 0), {"comment": "0 = good, 3 = bad"}, "QC <= 1"),
    ("capitals", "quality", (1, 0), words_of("GOOD", "BAD"), "quality <= 0"),
    ("bits", "l2p_flags", (64, 0),
     {"flag_masks": np.int8([1, 2, 4, 64]), "flag_meanings": "microwave land ice cloud"},
     "l2p_flags without its bits of cloud"),
    ("bits_cloudy", "rejection", (9, 1),
     {"flag_masks": np.int8([1, 8]), "flag_meanings": "not_cloud cloudy"}, "rejection without"),
    ("five_is_best", "quality", (2, 5), {"long_name": "quality, 5 is best"}, "quality >= 4"),
):  # fmt: skip

    def by_words(tmp, name=name, values=values, attrs=attrs, told=told):
        ds, seen = under_cloud(name, *values, **attrs)
        return Case(saved(ds, tmp), seen, warns=told)

    CASES[f"B5_{label}"] = by_words


@case
def B5_a_cloud_mask_that_does_not_tell(tmp):
    ds, _ = under_cloud("cloud_mask", 1, 0)
    return Case(saved(ds, tmp), ds, warns="'cloud_mask' was left alone")


@case
def B5_a_cloud_mask_and_its_sense(tmp):
    ds, seen = under_cloud("cloud_mask", 1, 0)
    return Case(saved(ds, tmp), seen, options={"quality": "<=0"})


@case
def B5_grades_before_a_cloud_mask(tmp):
    ds, seen = graded()
    ds["cloud_mask"] = ds["quality_level"] * 0 + 1
    return Case(saved(ds, tmp), seen, warns="quality_level >= 4")


@case
def C3_named_without_a_unit(tmp):
    """An array without a name, of which nobody can say that its 289 are kelvin."""
    file = tmp / "a.nc"
    nameless = sea(units="K")["sst"].rename(None)
    nameless.attrs = {}
    nameless.to_netcdf(file)
    return Case(
        file,
        sea(),
        options={"variable": "__xarray_dataarray_variable__", "units": "K"},
    )


@case
def C4_numbers_of_rows_beside_degrees(tmp):
    ds = sea().assign_coords(lat=np.arange(24), lon=np.arange(32))
    ds["latitude"] = ("lat", LAT, {"units": "degrees_north"})
    ds["longitude"] = ("lon", LON, {"units": "degrees_east"})
    return Case(saved(ds, tmp), sea())


@case
def C4_numbers_of_rows_alone(tmp):
    ds = sea().assign_coords(lat=np.arange(24), lon=np.arange(32))
    return Case(saved(ds, tmp), error=r"number rows and columns \(0..23, 0..31, no unit\)")


@case
def C4_lat_and_lon_interchanged(tmp):
    ds = sea().rename(lat="y", lon="lat").rename(y="lon")
    turned = ds.transpose("time", "lat", "lon")
    return Case(saved(ds, tmp), turned, warns="are land by the outlines .* swapped, mirrored")


@case
def D4_a_cloud_mask_beside_a_land_mask(tmp):
    ds = sea()
    ds["mask"] = (ds["sst"].dims, hidden().astype("int8"))
    land = np.arange(24)[:, None] * np.ones(32) < 3
    ds["land_mask"] = (("lat", "lon"), land.astype("int8"))
    ds["sst"] = ds["sst"].where(~ds["land_mask"].astype(bool))
    return Case(saved(ds, tmp), ds[["sst"]], ocean=~land)


for name, wet, attrs in (
    ("mask_rho", 1, {}),
    ("land", 0, {}),
    ("landfrac", 0, {}),
    ("tmaskutil", 1, {}),
    ("water_mask", 1, {}),
    ("oceanmask", 1, {}),
    ("landsea", 0, {}),
    ("surface_type", 0, words_of("ocean", "land")),
):

    def by_name(tmp, name=name, wet=wet, attrs=attrs):
        land = (np.arange(24)[:, None] < 6) & (np.arange(32) < 8)
        ds = sea().where(~xr.DataArray(land, dims=("lat", "lon")))
        ds["sst"].attrs = {"units": "degC"}
        mask = np.where(land, 1 - wet, wet).astype("int8")
        return Case(saved(ds.assign({name: (("lat", "lon"), mask, attrs)}), tmp), ds, ocean=~land)

    CASES[f"D4_{name}"] = by_name


@case
def D4_flags_that_are_no_mask(tmp):
    """Bits of which "ocean" is never set would make all of it land."""
    ds, seen = under_cloud("flags", 64, 0)
    meanings = {"flag_masks": np.int8([1, 2, 64]), "flag_meanings": "ocean land cloud"}
    ds["flags"].attrs = meanings
    return Case(saved(ds, tmp), seen, warns="less than a tenth of what was seen")


def with_levels(dim, levels, **attrs):
    deep = np.stack([sea()["sst"].values - k for k in (6, 3, 0)], 1)
    ds = xr.Dataset({"temp": (("time", dim, "lat", "lon"), deep, {"units": "degC"})}, sea().coords)
    return ds if levels is None else ds.assign_coords({dim: (dim, levels, attrs)})


@case
def E5_the_surface_of_roms_comes_last(tmp):
    ds = with_levels("s_rho", [-0.9, -0.5, -0.1], positive="up")
    return Case(saved(ds, tmp), options={"variable": "temp"}, error=r"\{'s_rho': 2\}\) .at -0.1")


@case
def E5_the_surface_of_depths(tmp):
    ds = with_levels("depth", [100.0, 50.0, 0.5])
    return Case(saved(ds, tmp), options={"variable": "temp"}, error=r"\{'depth': 2\}\) .at 0.5")


@case
def E5_levels_without_numbers(tmp):
    ds = with_levels("level", None)
    return Case(saved(ds, tmp), options={"variable": "temp"}, error="whichever end is the surface")


@case
def E5_a_climatology(tmp):
    ds = sea().drop_vars("time")
    ds["time"] = ("time", np.arange(31), {"units": "days since 0001-03-01"})
    return Case(saved(ds, tmp), error="begins in the year 1: a climatology")


def stamped_as(values, units=None, **attrs):
    attrs = attrs if units is None else attrs | {"units": units}
    return sea().drop_vars("time").assign_coords(time=("time", values, attrs))


DAYS_OF_MARCH = np.datetime64("2016-03-01") + np.arange(31)


def counted(origin, unit="D"):
    return (DAYS_OF_MARCH - np.datetime64(origin)) / np.timedelta64(1, unit)


def written(pattern):
    return np.array([f"{day.item():{pattern}}" for day in DAYS_OF_MARCH])


for label, values, units in (
    ("modified_julian", counted("1858-11-17"), "modified julian day"),
    ("mjd", counted("1858-11-17"), "MJD"),
    ("unix", counted("1970-01-01", "s"), "unix time"),
    ("epoch", counted("1970-01-01", "s"), "seconds since epoch"),
    ("day_of_year", written("%Y%j").astype(int), None),
    ("day_of_year_units", written("%Y%j").astype(int), "yyyyddd"),
    ("hours", written("%Y%m%d00").astype("int64"), "YYYYMMDDHH"),
    ("hours_no_unit", written("%Y%m%d12").astype("int64"), None),
    ("seconds", written("%Y%m%d000000").astype("int64"), None),
    ("floats", written("%Y%m%d").astype(float), None),
    ("slashes", written("%Y/%m/%d"), None),
    ("points", written("%Y.%m.%d"), None),
    ("wrf", written("%Y-%m-%d_00:00:00"), None),
    ("digits", written("%Y%m%d0000"), None),
    ("month_name", written("%d %b %Y"), None),
    ("month_first", written("%b %d, %Y"), None),
    ("ctime", written("%a %b %d 00:00:00 %Y"), None),
    ("japan", written("%Y-%m-%dT20:00:00+09:00"), None),
    ("utc", counted("1981-01-01", "s"), "seconds since 1981-01-01 00:00:00 UTC"),
):

    def at_times(tmp, values=values, units=units):
        return Case(saved(stamped_as(values, units), tmp), sea())

    CASES[f"H6_{label}"] = at_times


@case
def H6_day_or_month_first(tmp):
    ds = stamped_as(counted("1950-01-02"), "days since 02-01-1950")
    return Case(saved(ds, tmp), error="day and month can be read in two ways")


@case
def H6_seconds_that_look_like_no_date(tmp):
    ds = stamped_as(counted("1970-01-01", "s").astype("int64"))
    return Case(saved(ds, tmp), error="with the unit None; it needs CF units")


@case
def H7_slope_and_intercept(tmp):
    stored = np.where(hidden(), 65535, np.round((sea()["sst"].fillna(0).values + 2) / 0.01))
    ds = changed(sea(), values=stored.astype("uint16"), attrs={"Slope": 0.01, "Intercept": -2.0})
    return Case(saved(ds, tmp), sea(), warns="Slope and Intercept of 'sst' are taken|exactly 653")


@case
def H7_attributes_in_lists_and_bytes(tmp):
    ds = stamped_as(counted("1950-01-01"), b"days since 1950-01-01")
    ds["sst"].attrs["units"] = ["degC"]
    return Case(ds, sea())


@case
def H8_coordinates_in_a_group_beside(tmp):
    """An L2 file of NASA: the refusal is that of a swath, not of two groups."""
    lines = ("number_of_lines", "pixels_per_line")
    lat, lon = np.meshgrid(LAT, LON, indexing="ij")
    sst = xr.Dataset({"sst": (lines, sea()["sst"].values[0], {"units": "degC"})})
    sst.to_netcdf(tmp / "a.nc", group="geophysical_data")
    place = {"latitude": (lines, lat), "longitude": (lines, lon + 0.3 * lat)}
    xr.Dataset(place).to_netcdf(tmp / "a.nc", mode="a", group="navigation_data")
    return Case(tmp / "a.nc", error="2-D .* a swath or curvilinear grid")


for unit, spelled in enumerate(
    ("degree_Celsius (ITS-90)", "deg-C", "Cel", "Kelvin (K)", "\\degree C", "℃", "°K")
):

    def in_unit(tmp, spelled=spelled):
        ds = sea(units="K" if "K" in spelled else "degC")
        return Case(saved(changed(ds, attrs={"units": spelled}), tmp), sea())

    CASES[f"I5_unit_{unit}"] = in_unit


# ------------------------------------------------------------- the table


@pytest.mark.parametrize("name", CASES)
def test_case(name, tmp_path, monkeypatch):
    for home in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(home, str(tmp_path))
    made = CASES[name](tmp_path)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        if made.error is not None:
            with pytest.raises(ValueError, match=made.error) as refusal:
                open_sst(made.given, **made.options)
            assert "\n" not in str(refusal.value)
            return
        out = open_sst(made.given, **made.options)
    words = " | ".join(str(w.message) for w in told)
    if made.warns is not None:
        assert any(re.search(made.warns, str(w.message)) for w in told), words
    else:
        kinds = ("fill value", "lie outside", "left out", "cloud mask", "no time", "running means")
        assert not any(kind in words for kind in kinds), words
    seen = made.seen[next(iter(made.seen.data_vars))].transpose("time", "lat", "lon")
    seen = seen.values - (KELVIN if np.nanmedian(seen) > 200 else 0)
    np.testing.assert_array_equal(out["time"], made.seen["time"].values.astype("M8[D]"))
    for axis in ("lat", "lon"):
        np.testing.assert_allclose(out[axis], made.seen[axis])
    np.testing.assert_array_equal(np.isnan(out["sst"]), np.isnan(seen))
    assert np.nanmax(np.abs(out["sst"].values - seen)) < made.within
    if made.ocean is not None:
        np.testing.assert_array_equal(out["ocean_mask"], made.ocean)


# ------------------------------------------------------------- what no table shows


def test_reconstruct_guards_a_tidy_dataset_as_open_sst_does():
    from sst_tutorial.reconstruction import reconstruct

    right = reconstruct(open_sst(sea()))
    with pytest.warns(UserWarning, match="exactly 0, .* fill value"):
        out = reconstruct(tidy(0))
    np.testing.assert_array_equal(out["sst"], right["sst"])
    kelvin = open_sst(sea())
    kelvin["sst"] = (kelvin["sst"] * 0.01).assign_attrs(kelvin["sst"].attrs)
    with pytest.raises(ValueError, match="applied twice"):
        reconstruct(kelvin)


@pytest.mark.parametrize(
    ("build", "words", "told"),
    [
        (B1_ghrsst, [], "quality_level >= 4 are taken; --quality N sets another"),
        (B1_another_limit, ["--quality", "3"], "quality_level >= 3"),
        (B1_none, ["--quality", "none"], ""),
        (B2_bias, ["--bias"], ""),
        (E3_date, ["--date", "2016-03-01"], ""),
        (F3_cadence_monthly, ["--cadence", "monthly"], ""),
        (F3_cadence_of_eight_days, ["--cadence", "8"], ""),
        (C2_another_variable_by_name, ["--variable", "sst", "--units", "degC"], None),
    ],
)
def test_the_command_line_says_the_same(tmp_path, capsys, monkeypatch, build, words, told):
    """Each option reaches `open_sst` as it is, and messages speak of options."""
    made, asked = build(tmp_path), {}

    def recorded(path, **options):
        asked.update(options)
        return open_sst(path, **options)

    monkeypatch.setattr("sst_tutorial.data.open_sst", recorded)
    status = cli.main(["reconstruct", str(made.given), str(tmp_path / "monthly.nc"), *words])
    err = capsys.readouterr().err
    if told is None:  # the variable is not there
        assert status == 2 and "--variable sst is not in" in err and "\n" not in err.strip()
        return
    assert status == 0 and told in err
    expected, out = open_sst(made.given, **made.options), open_sst(made.given, **asked)
    xr.testing.assert_identical(out, expected)


def test_errors_on_the_command_line_name_options(tmp_path, capsys):
    for build, told in (
        (F3_monthly, "--cadence monthly"),
        (E3_nothing_known, "--date 2016-02-01"),
        (B1_nothing_left, "--quality N, or --quality none"),
        (A3_kelvin_labelled_celsius, "pass --units K"),
    ):
        made = build(tmp_path)
        assert cli.main(["reconstruct", str(made.given), str(tmp_path / "out.nc")]) == 2
        err = capsys.readouterr().err
        assert told in err and err.count("error:") == 1 and "Traceback" not in err


def test_the_ocean_mask_of_a_lazy_series_is_made_once(monkeypatch):
    """Each month asks for it; each time the whole series was read."""
    reads = []

    def counted(block):
        reads.append(1)
        return block

    monkeypatch.setattr(data, "IN_MEMORY", 0)
    ds = sea().chunk(time=1)
    ds["sst"] = ds["sst"].copy(data=ds["sst"].data.map_blocks(counted, dtype="float32"))
    out = open_sst(ds)
    reads.clear()
    assert out["ocean_mask"].chunks is not None
    for _ in range(3):
        assert out["ocean_mask"].load().all()
        out = out.assign(ocean_mask=out["ocean_mask"])
    assert len(reads) <= 31


def test_the_ocean_mask_of_a_lazy_series_survives_a_pickle(monkeypatch):
    import pickle

    monkeypatch.setattr(data, "IN_MEMORY", 0)
    out = open_sst(sea().chunk(time=5))
    back = pickle.loads(pickle.dumps(out["ocean_mask"]))
    np.testing.assert_array_equal(back, out["ocean_mask"])


def test_the_error_of_each_pixel_goes_along():
    ds, _ = graded()
    ds["sses_standard_deviation"] = (ds["sst"] * 0 + 0.3).fillna(0.7)
    out = open_sst(ds, quality="none")
    assert (
        out["sst_error"].dims == ("time", "lat", "lon") and out["sst_error"].attrs["units"] == "K"
    )
    np.testing.assert_allclose(out["sst_error"].where(out["sst"].notnull()).mean(), 0.3, rtol=1e-5)
    assert "sst_error" not in open_sst(sea())


@pytest.mark.parametrize(
    ("name", "attrs"),
    [
        ("sea_surface_temperature_total_uncertainty", {}),
        ("sst_uncertainty", {}),
        ("u", {"standard_name": "sea_surface_temperature standard_error"}),
    ],
)
def test_the_error_of_each_pixel_by_other_names(name, attrs):
    ds = sea()
    ds[name] = (ds["sst"] * 0 + 0.3).assign_attrs(attrs, units="K")
    np.testing.assert_allclose(open_sst(ds)["sst_error"].mean(), 0.3, rtol=1e-5)
    ds[name].attrs["units"] = "percent"
    assert "sst_error" not in open_sst(ds)


def test_an_error_of_nothing_or_less_is_not_known():
    """-1 and 0 are how files write that they do not know; nobody measures without an error."""
    ds = sea().assign(sst_uncertainty=sea()["sst"] * 0 + 0.3)
    ds["sst_uncertainty"].attrs = {"units": "K"}
    ds["sst_uncertainty"][:, :5], ds["sst_uncertainty"][:, 5:9] = 0.0, -1.0
    out = open_sst(ds)["sst_error"].values
    assert np.isnan(out[:, :9]).all() and np.nanmax(np.abs(out - 0.3)) < 1e-6


def test_a_variable_without_a_unit_is_told_to_be_no_temperature():
    nameless = sea(units="K").rename(sst="Band1")
    nameless["Band1"].attrs = {}
    with pytest.warns(UserWarning, match="look like kelvin.* taken for no temperature"):
        assert "variable" in open_sst(nameless, variable="Band1").attrs


def test_parts_of_an_error_and_errors_of_an_analysis_are_no_noise():
    ds = sea()
    for name in ("uncorrelated_uncertainty", "analysis_error", "err", "sst_uncertainty_random"):
        ds[name] = ds["sst"] * 0 + 0.3
    assert "sst_error" not in open_sst(ds)


def day_and_night(axis):
    """Two passes a day, the first 1 K warmer, by night half of the cells; each with its error."""
    day, night = sea(clouds=0), sea()
    passes = []
    for hour, ds, error in ((13, changed(day, values=day["sst"] + 1), 0.6), (1, night, 0.2)):
        ds["sses_standard_deviation"] = ds["sst"] * 0 + error
        ds["sses_standard_deviation"] = ds["sses_standard_deviation"].fillna(5.0)
        passes.append(ds if axis else ds.assign_coords(time=ds["time"] + np.timedelta64(hour, "h")))
    return passes, (day, night)


@pytest.mark.parametrize("how", ["one file", "two files", "an axis"])
def test_day_and_night_become_one_field_with_the_error_of_those_that_saw(tmp_path, how):
    passes, (day, night) = day_and_night(how == "an axis")
    by_night = np.isfinite(night["sst"].values)
    if how == "two files":
        paths = [saved(ds, tmp_path, f"{name}.nc") for ds, name in zip(passes, "dn", strict=True)]
        with pytest.warns(UserWarning, match="more than one file for 31 of the days"):
            out = open_sst(paths)
    elif how == "one file":
        out = open_sst(xr.concat(passes, "time"))
    else:
        with pytest.warns(UserWarning, match="of the 2 along 'daynight' the first"):
            out = open_sst(xr.concat(passes[::-1], "daynight"))
    assert out["sst"].shape == day["sst"].shape
    more = np.where(by_night, 0.0 if how == "an axis" else 0.5, 1.0)
    ocean = out["ocean_mask"].values
    np.testing.assert_allclose(
        out["sst"].values[:, ocean], (day["sst"] + more).values[:, ocean], atol=2e-2
    )
    error = np.where(by_night, 0.2 if how == "an axis" else 0.4, 0.6)
    np.testing.assert_allclose(out["sst_error"].values[:, ocean], error[:, ocean], rtol=1e-5)


def test_another_variable_keeps_its_words():
    ds = (10 ** (sea() - 16)).rename(sst="chlor_a")
    ds["chlor_a"].attrs = {"units": "mg m-3", "long_name": "chlorophyll"}
    out = open_sst(ds, variable="chlor_a", transform="log10")
    assert out.attrs["variable"] == "chlor_a"
    assert out["sst"].attrs == {"long_name": "log10 of chlorophyll", "units": "lg(re mg m-3)"}
    with pytest.raises(ValueError, match="transform='log10' is not for temperatures"):
        open_sst(sea(), transform="log10")
    with pytest.raises(ValueError, match="no variable that is SST"):
        open_sst(ds)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"quality": "best"}, "quality='best' is no grade"),
        ({"quality": True}, "quality=True is no grade"),
        ({"date": "yesterday"}, "date='yesterday' is no date"),
        ({"date": "2016-03-01"}, "is one day, but .* has 31 times"),
        ({"cadence": "fortnightly"}, "cadence='fortnightly' must be"),
        ({"cadence": "monthly"}, "has a field for each day"),
        ({"transform": "ln"}, "transform='ln' is unknown"),
        ({"units": "F"}, "units='F' is not a temperature unit"),
    ],
)
def test_bad_options(options, words):
    with pytest.raises(ValueError, match=words):
        open_sst(sea(), **options)


@pytest.mark.parametrize(
    ("where", "month", "coldest", "warmest"),
    [
        ((29.5, 48.5), 8, 30, 37.5),  # Kuwait Bay in summer
        ((29.5, 48.5), 1, 11, 20),  # and in winter
        ((20, 38), 8, 28, 35),  # Red Sea
        ((13, 43), 6, 25, 34),
        ((-15, -75.5), 9, 12.5, 20),  # upwelling: Peru,
        ((-26, 14.5), 8, 10.5, 18),  # the Benguela,
        ((20, -17.5), 3, 14, 22),  # Mauritania,
        ((38, -123.5), 5, 8, 14),  # California,
        ((18, 57.5), 8, 16, 28),  # Oman
        ((39, 119), 2, -1.8, 3),  # ice in the Bohai
        ((37.5, -76), 2, -0.5, 8),  # the Chesapeake
        ((46, 37), 2, -1, 4),  # the Sea of Azov
        ((46, 37), 8, 20, 31),
        ((48, -63), 4, -1.8, 4),  # Gulf of St Lawrence
        ((44, -48), 5, 0, 16),  # the Labrador Current
        ((59, 149), 7, -1, 16),  # Okhotsk
        ((65, 23), 8, 5, 25),  # Bothnia in a hot summer
        ((80, 0), 3, -1.9, 4),
        ((-75, -170), 1, -1.9, 2),
        ((-47, -60), 9, 3, 9),  # the Falkland Current
        ((36, 15), 8, 20, 31.5),  # the Mediterranean
        ((43, 5), 2, 9, 15),
        ((40, 25), 2, 8, 16),
        ((37.5, -70), 2, 4, 24),  # across the Gulf Stream
        ((42, 145), 3, -1, 8),  # Oyashio
        ((0, -91), 9, 16, 28),  # Galapagos
        ((5, 150), 5, 27, 32),
        ((-42, 147), 7, 9, 15),
        ((-18, 147), 2, 26, 33),
    ],
)
def test_the_band_holds_real_seas(where, month, coldest, warmest):
    low, high = possible_sea([where[0]], [where[1]], month)
    assert low[0, 0] < coldest and warmest < high[0, 0]


def test_the_band_is_narrow_enough_to_be_of_use():
    low, high = possible_sea([38], [-14], 3)
    assert 2.9 < low[0, 0] and high[0, 0] < 35.25
    assert possible_sea([38], [-14], 3)[0] == possible_sea([38], [346], 3)[0]
