"""open_sst on files of many kinds."""

import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from sst_tutorial import data
from sst_tutorial.benchmark import shared_data
from sst_tutorial.coast import ocean_mask
from sst_tutorial.data import open_sst
from sst_tutorial.prior import climatology_for, daily_climatology


def sea(lat=(-42, -41, -40), lon=(148, 149, 150, 151), days=3, start="2016-02-01", name="sst"):
    """A small file as a Dataset: degC, 14..16, one cell of land, no two values alike."""
    shape = (days, len(lat), len(lon))
    values = np.linspace(14, 16, np.prod(shape)).reshape(shape)  # (T, H, W)
    values[:, 0, 0] = np.nan
    time = np.datetime64(start, "ns") + np.arange(days) * np.timedelta64(1, "D")
    return xr.Dataset(
        {name: (("time", "lat", "lon"), values, {"units": "degC"})},
        {"time": time, "lat": np.array(lat, float), "lon": np.array(lon, float)},
    )


def real(name):
    folder = shared_data()
    if folder is None or not (folder / name).exists():
        pytest.skip(f"real data {name} absent: set SST_TUTORIAL_DATA")
    return folder / name


def same_values(out, ds, name="sst"):
    np.testing.assert_allclose(out["sst"], ds[name].transpose("time", "lat", "lon"), rtol=1e-6)


def test_the_contract(tmp_path):
    sea().to_netcdf(tmp_path / "a.nc")
    out = open_sst(tmp_path / "a.nc")
    assert out["sst"].dims == ("time", "lat", "lon") and out["sst"].dtype == np.float32
    assert out["sst"].attrs["units"] == "degree_Celsius"
    assert out["ocean_mask"].dims == ("lat", "lon") and out["ocean_mask"].dtype == bool
    assert out["time"].dtype.kind == "M" and out["sst"].chunks is None
    same_values(out, sea())
    out.to_netcdf(tmp_path / "b.nc")
    xr.testing.assert_equal(open_sst(tmp_path / "b.nc"), out)  # what it makes, it reads


@pytest.mark.parametrize("kind", ["float16", "float32", "float64", "int16"])
def test_kelvin_of_any_precision(kind):
    """Half precision knows 288 K, not 273.15: what is subtracted must not be rounded to it."""
    ds = sea()
    ds["sst"] = (ds["sst"].fillna(15).round() + 273).astype(kind).assign_attrs(units="K")
    expected = ds["sst"].astype("float64") - 273.15
    np.testing.assert_allclose(open_sst(ds)["sst"], expected, rtol=0, atol=3e-5)


def test_an_empty_name_is_not_the_folder_one_is_in(tmp_path, monkeypatch):
    sea().to_netcdf(tmp_path / "a.nc")
    monkeypatch.chdir(tmp_path)
    assert open_sst(".").sizes["time"] == 3
    with pytest.raises(ValueError, match="path='' names no file"):
        open_sst("")


# ---------------------------------------------------------------- the variable


@pytest.mark.parametrize(
    "standard_name",
    ["sea_surface_temperature", "sea_surface_skin_temperature", "sea_surface_subskin_temperature",
     "sea_surface_foundation_temperature"],
)  # fmt: skip
def test_variable_by_standard_name(standard_name):
    ds = sea(name="T042")
    ds["T042"].attrs["standard_name"] = standard_name
    ds["sst"] = ds["T042"] + 1  # the standard name goes before the common name
    del ds["sst"].attrs["standard_name"]
    same_values(open_sst(ds), ds, "T042")


@pytest.mark.parametrize("name", ["SST", "analysed_sst", "tos", "SST_skin_Q4plus", "sst4_night"])
def test_variable_by_name(name):
    ds = sea(name=name)
    for other in ("sst_anomaly", "sst_error", "analysis_error", "sst_dtime", "ice", "quality"):
        ds[other] = ds[name] * 0
    same_values(open_sst(ds), ds, name)


def test_two_candidates_are_an_error_that_variable_settles():
    ds = sea().assign(sea_surface_temperature=sea()["sst"] + 1)
    with pytest.raises(
        ValueError, match="2 variables .*: sst, sea_surface_temperature; .*variable="
    ):
        open_sst(ds)
    same_values(open_sst(ds, variable="sea_surface_temperature"), ds, "sea_surface_temperature")


def test_companions_with_the_same_standard_name_are_no_candidates():
    ds = sea()
    for companion in ("sst", "sses_bias", "quality_level", "sst_dtime"):
        ds[companion] = ds["sst"] * (companion == "sst") + 5 * (companion == "quality_level")
        ds[companion].attrs = {"standard_name": "sea_surface_skin_temperature", "units": "degC"}
    same_values(open_sst(ds), sea())


def test_no_candidate_lists_what_there_is():
    with pytest.raises(ValueError, match=r"no variable that is SST .* chlorophyll \('time'"):
        open_sst(sea(name="chlorophyll"))
    with pytest.raises(ValueError, match="variable='nope' is not in .* sst"):
        open_sst(sea(), variable="nope")


# ---------------------------------------------------------------- the unit


@pytest.mark.parametrize(
    "unit",
    ["degC", "deg_C", "degree_C", "degrees_C", "degree_Celsius", "degrees Celsius", "Celsius",
     "celsius", "C", "°C", "℃", "deg C", "degree Celsius"],
)  # fmt: skip
def test_spellings_of_celsius(unit):
    ds = sea()
    ds["sst"].attrs["units"] = unit
    same_values(open_sst(ds), sea())


@pytest.mark.parametrize(
    "unit", ["K", "k", "kelvin", "Kelvin", "kelvins", "degK", "deg_K", "degree_Kelvin", "\u212a"]
)
def test_spellings_of_kelvin(unit):
    ds = sea() + 273.15
    ds["sst"].attrs["units"] = unit
    same_values(open_sst(ds), sea())


@pytest.mark.parametrize("unit", ["", "1", "degF", "fahrenheit", "m", "K-1", "K m", "0.01 degC"])
def test_an_unknown_unit_says_what_it_saw(unit):
    ds = sea()
    ds["sst"].attrs["units"] = unit
    with pytest.raises(
        ValueError, match=f"'sst' has the unit '{unit}'.*14.* look like degC.*units="
    ):
        open_sst(ds)
    same_values(open_sst(ds, units="degC"), sea())


def test_no_unit_says_what_the_values_look_like():
    ds = sea() + 273.15
    ds["sst"].attrs = {}
    with pytest.raises(
        ValueError, match="states no unit .*median 288.* look like kelvin.*units='K'"
    ):
        open_sst(ds)
    same_values(open_sst(ds, units="K"), sea())


def test_a_unit_that_contradicts_the_values():
    warm = sea() + 273.15
    warm["sst"].attrs["units"] = "degC"
    with pytest.raises(ValueError, match="labelled degC but its median is 288.*pass units='K'"):
        open_sst(warm)
    cold = sea()
    with pytest.raises(ValueError, match="labelled K but its median is 15.*pass units='degC'"):
        open_sst(cold, units="K")
    wild = sea() * 1000
    wild["sst"].attrs["units"] = "degC"
    with pytest.raises(ValueError, match="median is 1.503e.04, as if its scale_factor"):
        open_sst(wild)
    with pytest.raises(ValueError, match="units='furlong' is not a temperature unit"):
        open_sst(sea(), units="furlong")


def test_an_undeclared_fill_becomes_nan_with_a_warning():
    ds = sea()
    ds["sst"] = ds["sst"].fillna(-999.0).assign_attrs(units="degC")
    ds["sst"][0] = -999.0
    with pytest.warns(UserWarning, match="exactly -999.*NaN"):
        out = open_sst(ds)
    assert np.isnan(out["sst"][0]).all() and float(out["sst"].min()) > 14


def test_infinity_is_a_gap():
    ds = sea()
    ds["sst"][0, 1, 1] = np.inf
    with pytest.warns(UserWarning, match="most often inf"):
        assert np.isnan(open_sst(ds)["sst"][0, 1, 1])


def test_a_file_without_one_observation_is_opened_with_a_warning():
    ds = sea() * np.nan
    ds["sst"].attrs["units"] = "K"
    with pytest.warns(UserWarning, match="no observation"):
        out = open_sst(ds)
    np.testing.assert_array_equal(out["ocean_mask"], ocean_mask(out["lat"], out["lon"]))


# ---------------------------------------------------------------- space


def test_descending_latitude_is_turned():
    same_values(open_sst(sea().isel(lat=[2, 1, 0])), sea())


def test_axes_in_any_order_and_of_any_name():
    ds = sea().transpose("lon", "time", "lat")
    ds = ds.rename(time="valid_time", lat="LATITUDE", lon="nav_lon")
    same_values(open_sst(ds), sea())


def test_coordinates_by_standard_name_or_unit_on_other_axes():
    ds = sea().rename(lat="y", lon="x").reset_index(["y", "x"])
    ds = ds.rename(y="northing", x="easting")
    ds["northing"].attrs["standard_name"] = "latitude"
    ds["easting"].attrs["units"] = "degrees_east"
    same_values(open_sst(ds.reset_coords()), sea())


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((354, 356, 358, 359), (-6, -4, -2, -1)),  # 0..360
        ((-180, -179, 178, 179), (178, 179, 180, 181)),  # a region the file tears in two
        ((0, 1, 358, 359), (-2, -1, 0, 1)),  # the same at Greenwich
        ((178, 179, 180, 181), (178, 179, 180, 181)),
        ((178, 179, -180, -179), (178, 179, 180, 181)),
        ((200, 210, 220, 230), (-160, -150, -140, -130)),
        ((151, 150, 149, 148), (148, 149, 150, 151)),  # descending
        ((0, 90, 180, 270), (-180, -90, 0, 90)),  # the whole circle
        ((0, 120, 240, 360), (-120, 0, 120)),  # the whole circle, closed
    ],
)
def test_longitudes_ascend_without_a_hole(given, expected):
    ds = sea(lon=given)
    ds["sst"] = (("time", "lat", "lon"), np.zeros((3, 3, 4)) + np.array(given) % 360 / 20)
    ds["sst"].attrs["units"] = "degC"
    out = open_sst(ds)
    np.testing.assert_allclose(out["lon"], expected)
    np.testing.assert_allclose(out["sst"][1, 1], np.array(expected) % 360 / 20, rtol=1e-6)


def test_a_length_one_depth_goes_a_longer_one_is_an_error():
    ds = sea().expand_dims(zlev=[0.0], axis=1)
    same_values(open_sst(ds), sea())
    with pytest.raises(ValueError, match="axis 'zlev' of length 2 .*isel"):
        open_sst(xr.concat([ds, ds.assign_coords(zlev=[5.0])], "zlev"))


def test_curvilinear_and_missing_coordinates():
    ds = sea().rename(lat="y", lon="x").drop_vars(["y", "x"])
    with pytest.raises(ValueError, match="no latitude coordinate among sst, time"):
        open_sst(ds)
    two_d = np.zeros((3, 4))
    ds = ds.assign_coords(lat=(("y", "x"), two_d - 40), lon=(("y", "x"), two_d + 150))
    with pytest.raises(ValueError, match=r"latitude 'lat' is 2-D \(3, 4\).*regrid"):
        open_sst(ds)


@pytest.mark.parametrize(
    ("lat", "message"),
    [
        ((4e6, 4.1e6, 4.2e6), "lat runs from 4e.06 .* in degrees"),
        ((-42, -41, -41), "lat holds the same value twice"),
        ((-42, np.nan, -40), "finite"),
    ],
)
def test_impossible_latitudes(lat, message):
    with pytest.raises(ValueError, match=message):
        open_sst(sea(lat=lat))


def test_an_empty_region():
    with pytest.raises(ValueError, match="lat has length 0"):
        open_sst(sea().sel(lat=slice(50, 60)))


# ---------------------------------------------------------------- time


def test_times_of_one_day_are_averaged_over_what_was_seen():
    ds = xr.concat([sea(), sea() + 2], "time")  # each day twice, and out of order
    ds["time"] = np.concatenate([sea()["time"] + np.timedelta64(h, "h") for h in (3, 15)])
    ds["sst"].attrs["units"] = "degC"
    ds["sst"][0, 1, 1] = np.nan
    out = open_sst(ds.isel(time=[5, 0, 4, 2, 1, 3]))
    np.testing.assert_array_equal(out["time"], sea()["time"])
    expected = sea()["sst"] + 1
    expected[0, 1, 1] += 1
    np.testing.assert_allclose(out["sst"], expected, rtol=1e-6)


def test_absent_days_stay_absent_and_days_are_sorted():
    out = open_sst(sea(days=5).isel(time=[4, 0, 2]))
    same_values(out, sea(days=5).isel(time=[0, 2, 4]))


def test_a_scalar_time_is_one_day():
    assert open_sst(sea().isel(time=0))["sst"].shape == (1, 3, 4)
    aside = sea().isel(time=0, drop=True).assign_coords(time=sea()["time"][:1])
    assert open_sst(aside)["sst"].shape == (1, 3, 4)


def test_a_noleap_calendar_is_read_and_a_360_day_one_is_not(tmp_path):
    ds = sea(start="2017-02-27")
    ds.convert_calendar("noleap").to_netcdf(tmp_path / "noleap.nc")
    same_values(open_sst(tmp_path / "noleap.nc"), ds)
    ds = ds.assign_coords(time=("time", [57, 58, 59], {"units": "days since 2017-01-01"}))
    ds["time"].attrs["calendar"] = "360_day"  # the 30th of February
    with pytest.raises(ValueError, match="dates that do not exist"):
        open_sst(xr.decode_cf(ds))


def test_time_that_is_missing_or_no_time():
    with pytest.raises(ValueError, match="no time coordinate among .*expand_dims"):
        open_sst(sea().isel(time=0, drop=True))
    with pytest.raises(ValueError, match=r"time 'time' is int64 .*days since"):
        open_sst(sea().assign_coords(time=[1, 2, 3]))
    time = sea()["time"].values.copy()
    time[1] = "NaT"
    with pytest.raises(ValueError, match="1 of them undefined"):
        open_sst(sea().assign_coords(time=time))
    with pytest.raises(ValueError, match="time 'time' has 0 values"):
        open_sst(sea().isel(time=slice(0)))


def test_a_time_unit_nobody_can_decode(tmp_path):
    ds = sea().assign_coords(time=("time", [1, 2, 3], {"units": "fortnights since 2016-01-01"}))
    ds.to_netcdf(tmp_path / "a.nc")
    with pytest.raises(ValueError, match="'time' has the unit 'fortnights .*cannot be read"):
        open_sst(tmp_path / "a.nc")


# ---------------------------------------------------------------- files


def test_packed_integers_and_fills(tmp_path):
    packing = {"dtype": "int16", "scale_factor": 0.01, "add_offset": 273.15, "_FillValue": -32768}
    kelvin = sea() + 273.15
    kelvin["sst"].attrs["units"] = "K"
    kelvin.to_netcdf(tmp_path / "a.nc", encoding={"sst": packing})
    out = open_sst(tmp_path / "a.nc")
    np.testing.assert_allclose(out["sst"], sea()["sst"], atol=0.006)
    assert np.isnan(out["sst"][:, 0, 0]).all()


@pytest.mark.parametrize("file_format", ["NETCDF4", "NETCDF3_CLASSIC", "zarr"])
def test_formats(tmp_path, file_format):
    if file_format == "zarr":
        sea().to_zarr(tmp_path / "a", zarr_format=2)
    else:
        sea().to_netcdf(tmp_path / "a", format=file_format)
    same_values(open_sst(str(tmp_path / "a")), sea())


def test_many_files_as_list_glob_or_folder(tmp_path):
    (tmp_path / "201602").mkdir()
    whole = sea(days=4)
    for k, part in enumerate((whole.isel(time=[2, 3]), whole.isel(time=[0, 1], lat=[2, 1, 0]))):
        part.to_netcdf(tmp_path / "201602" / f"{k}.nc")
    files = sorted((tmp_path / "201602").iterdir())
    for path in (files, [str(f) for f in files], tmp_path, str(tmp_path / "*" / "*.nc")):
        same_values(open_sst(path), whole)


def test_a_preliminary_file_yields_to_the_final_one(tmp_path):
    sea(days=1).to_netcdf(tmp_path / "oisst.20160201.nc")
    for day in (1, 2):
        wrong = sea(days=1, start=f"2016-02-0{day}") + 5
        wrong["sst"].attrs["units"] = "degC"
        wrong.to_netcdf(tmp_path / f"oisst.2016020{day}_preliminary.nc")
    out = open_sst(tmp_path)
    assert len(out["time"]) == 2
    np.testing.assert_allclose(out["sst"][0], sea()["sst"][0] * 0 + sea(days=1)["sst"][0])


def test_files_of_different_grids_are_an_error(tmp_path):
    sea().to_netcdf(tmp_path / "a.nc")
    sea(lat=(-42, -41, -39)).to_netcdf(tmp_path / "b.nc")
    with pytest.raises(ValueError, match=r"a.nc and .*b.nc have different grids, lat"):
        open_sst(tmp_path)


def test_files_that_cannot_be_opened(tmp_path):
    with pytest.raises(ValueError, match="none.nc': no such file"):
        open_sst(tmp_path / "none.nc")
    with pytest.raises(ValueError, match="none.nc': no such file"):
        open_sst([tmp_path / "none.nc"])
    with pytest.raises(ValueError, match="no NetCDF file there"):
        open_sst(tmp_path)
    with pytest.raises(ValueError, match=r"path='\[\]': no such file"):
        open_sst([])
    with pytest.raises(ValueError, match="path is a DataArray.*to_dataset"):
        open_sst(sea()["sst"])
    with pytest.raises(ValueError, match="is an address"):
        open_sst("https://example.org/a.nc")
    (tmp_path / "text.nc").write_text("latitude;longitude;sst")
    with pytest.raises(ValueError, match="text.nc' cannot be read"):
        open_sst(tmp_path / "text.nc")
    sea(days=400).to_netcdf(tmp_path / "whole.nc")
    cut = (tmp_path / "whole.nc").read_bytes()
    (tmp_path / "cut.nc").write_bytes(cut[: len(cut) // 2])
    with pytest.raises(ValueError, match="cut.nc' cannot be read"):
        open_sst(tmp_path / "cut.nc")


def test_data_that_break_off(tmp_path):
    noise = np.random.default_rng(0).normal(15, 1, (40, 30, 30))
    ds = sea(lat=range(30), lon=range(30), days=40)
    ds["sst"] = (("time", "lat", "lon"), noise, {"units": "degC"})
    ds.to_netcdf(tmp_path / "a.nc", encoding={"sst": {"zlib": True, "chunksizes": (1, 30, 30)}})
    body = bytearray((tmp_path / "a.nc").read_bytes())
    body[len(body) // 2 : len(body) * 3 // 4] = bytes(len(body) * 3 // 4 - len(body) // 2)
    (tmp_path / "a.nc").write_bytes(body)
    with pytest.raises(ValueError, match="(break off|cannot be read)"):
        open_sst(tmp_path / "a.nc")


def test_big_files_stay_lazy_with_the_same_values(tmp_path, monkeypatch):
    sea(days=40).to_netcdf(tmp_path / "a.nc", encoding={"sst": {"chunksizes": (10, 3, 4)}})
    eager = open_sst(tmp_path / "a.nc")
    monkeypatch.setattr(data, "IN_MEMORY", 0)
    lazy = open_sst(tmp_path / "a.nc")
    assert lazy["sst"].chunks is not None and lazy["ocean_mask"].chunks is not None
    xr.testing.assert_equal(lazy.load(), eager)


# ---------------------------------------------------------------- the mask


def masked(values, name="mask", days=2, **attributes):
    ds = sea(days=days)
    ds[name] = (("lat", "lon"), np.array(values), attributes)
    return ds


LAND = np.array([[1, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])


def test_a_binary_mask_of_either_sense():
    for name, values in (
        ("mask", LAND),
        ("mask", 1 - LAND),
        ("lsm", LAND * 0.8),
        ("mask", LAND > 0),
    ):
        out = open_sst(masked(values, name))
        np.testing.assert_array_equal(out["ocean_mask"], LAND == 0)


def test_a_mask_without_one_observation_is_turned_by_the_coastline():
    for values in (LAND, 1 - LAND):
        ds = masked(values)
        ds["sst"] = ds["sst"] * np.nan
        ds["sst"].attrs["units"] = "degC"
        with pytest.warns(UserWarning, match="no observation"):
            np.testing.assert_array_equal(open_sst(ds)["ocean_mask"], LAND == 0)


def test_values_outside_the_mask_become_nan():
    more_land = LAND.copy()
    more_land[2, 3] = 1
    out = open_sst(masked(more_land))
    assert np.isnan(out["sst"][:, 2, 3]).all() and not out["ocean_mask"][2, 3]
    assert int(out["sst"].notnull().sum()) == 2 * 10


def test_flags_of_a_ghrsst_mask():
    values = np.where(LAND, 2, 1)
    values[1, 1], values[1, 2] = 9, 4  # ice on water; a lake
    out = open_sst(
        masked(
            values.astype("int8"),
            flag_masks=np.array([1, 2, 4, 8], "int8"),
            flag_meanings="water land optional_lake_surface sea_ice",
        )
    )
    assert out["ocean_mask"][1, 1] and not out["ocean_mask"][1, 2] and not out["ocean_mask"][0, 0]
    out = open_sst(
        masked(np.where(LAND, 7, 3), flag_values=np.array([3, 7]), flag_meanings="ocean land")
    )
    np.testing.assert_array_equal(out["ocean_mask"], LAND == 0)


def test_a_mask_that_says_nothing_is_left_with_a_warning():
    for values in (np.arange(12).reshape(3, 4), np.indices((3, 4)).sum(0) % 2):
        with pytest.warns(UserWarning, match="own mask is neither"):
            out = open_sst(masked(values))
        same_values(out, sea(days=2))


def test_a_flag_mask_with_holes_is_land_there():
    values = np.where(LAND, np.nan, 1.0)
    out = open_sst(masked(values, flag_values=np.array([1, 2]), flag_meanings="water land"))
    np.testing.assert_array_equal(out["ocean_mask"], LAND == 0)


def test_a_mask_that_agrees_with_a_third_of_the_data_is_not_turned():
    values = np.zeros((3, 4))
    values.flat[1:5] = 1  # 4 of the 11 cells seen
    with pytest.warns(UserWarning, match="own mask is neither"):
        same_values(open_sst(masked(values)), sea(days=2))


def test_a_ring_with_a_hole_begins_behind_it():
    lon = np.array([k for k in range(0, 360, 10) if k not in (100, 110)], float)
    ds = sea(lon=lon)
    ds["sst"] = (("time", "lat", "lon"), np.zeros((3, 3, 34)) + lon / 20, {"units": "degC"})
    out = open_sst(ds)
    assert out["lon"][0] == 120 and out["lon"][-1] == 450
    np.testing.assert_allclose(out["sst"][0, 0], out["lon"] % 360 / 20, rtol=1e-6)


def test_a_mask_that_changes_daily_is_no_land_mask():
    ds = sea()
    ds["mask"] = ds["sst"] > 15
    same_values(open_sst(ds), sea())


def test_without_a_mask_a_gap_free_series_is_its_own():
    assert not open_sst(sea())["ocean_mask"][0, 0]  # open sea by the coastline, but never seen


def test_without_a_mask_gappy_data_take_the_coast_and_what_was_seen():
    ds = sea(lat=(-44, -42, -40), lon=(143, 146.5, 150, 153))
    ds["sst"][0, 2, 2] = np.nan
    ds["sst"][:, 0, 1] = np.nan
    ds["sst"][:, 1, 1] = np.nan  # the middle of Tasmania
    out = open_sst(ds)
    assert not out["ocean_mask"][1, 1] and int(out["ocean_mask"].sum()) >= 10
    ds["sst"][1, 1, 1] = 15.0
    assert open_sst(ds)["ocean_mask"][1, 1]


# ---------------------------------------------------------------- real files


def test_shared_data_is_a_folder_or_none(monkeypatch, tmp_path):
    monkeypatch.setenv("SST_TUTORIAL_DATA", str(tmp_path))
    assert shared_data() == tmp_path
    monkeypatch.setenv("SST_TUTORIAL_DATA", str(tmp_path / "none"))
    assert shared_data() is None


def test_real_tasmania():
    out = open_sst(real("oisst_tasmania_1982_2016.nc"))
    assert out["sst"].shape == (12784, 32, 32)
    assert abs(1 - out["ocean_mask"].mean() - 0.081) < 0.001  # as its README says
    clim = daily_climatology(out, years=(1982, 2010))
    error = (
        out["sst"].sel(time="2015") - climatology_for(clim, out.sel(time="2015")["time"])
    ).mean()
    assert 0 < float(error) < 2  # the sea off Tasmania warms


def test_real_global_days():
    folder = real("oisst_global")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = open_sst(folder)
    assert out["sst"].shape == (3, 720, 1440) and float(out["lon"][0]) == -179.875
    assert -1.9 < float(out["sst"].min()) and float(out["sst"].max()) < 34
    assert abs(1 - float(out["ocean_mask"].mean()) - 0.33) < 0.01
    tasman = open_sst(folder).sel(lat=-40.125, lon=150.125)["sst"]
    assert (abs(tasman - 13) < 2).all()


def test_real_alboran_with_its_own_mask():
    file = real("alboran_l3_201705.nc")
    out, raw = open_sst(file), xr.open_dataset(file)
    assert out["sst"].shape == (10, 201, 301)
    np.testing.assert_array_equal(out["ocean_mask"], raw["mask"] == 1)
    assert int(raw["SST"].notnull().sum() - out["sst"].notnull().sum()) == 19


def test_real_slstr_scene_states_no_unit():
    file = real("slstr_clouds/slstr_L2_NW_med.nc")
    with pytest.raises(ValueError, match="'SST_skin_Q4plus' states no unit .*kelvin.*units='K'"):
        open_sst(file)
    out = open_sst(file, units="K")
    assert out["sst"].shape == (1, 813, 1204) and 10 < float(out["sst"].median()) < 25
    missing = out["sst"].isnull()[0].where(out["ocean_mask"])
    assert abs(float(missing.mean()) - 0.43) < 0.02  # as its README says


@pytest.mark.parametrize(
    ("name", "units", "shape", "mean", "seen", "ocean"),
    [
        ("oisst_tasmania_1982_2016.nc", None, (12784, 32, 32), 15.655954, 12029744, 941),
        ("oisst_global", None, (3, 720, 1440), 13.781024, 2073450, 691150),
        ("alboran_l3_201705.nc", None, (10, 201, 301), 18.796893, 121224, 22186),
        ("alboran_l3s_2022_jja.nc", None, (92, 40, 41), 22.731172, 47178, 805),
        ("mur_penobscot_201406.nc", None, (30, 72, 71), 11.237736, 107310, 3577),
        ("slstr_clouds/slstr_L2_Alboran.nc", "K", (1, 1082, 1606), 18.399161, 283618, 741769),
        ("slstr_clouds/slstr_L2_NE_atl.nc", "K", (1, 2317, 3230), 9.713772, 1884947, 6191093),
        ("slstr_clouds/slstr_L2_NW_med.nc", "K", (1, 813, 1204), 18.084186, 300015, 525302),
        ("slstr_clouds/slstr_L2_Norwegian_Sea.nc", "K", (1, 1189, 3823), 4.873469, 1133422, 3887717),  # noqa: E501
    ],
)
def test_real_files_keep_their_values(name, units, shape, mean, seen, ocean):
    """What all guards leave alone: measured before there were any."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = open_sst(real(name), units=units)
    values = out["sst"].values
    assert values.shape == shape and int(np.isfinite(values).sum()) == seen
    assert float(np.nanmean(values.astype(float))) == pytest.approx(mean, abs=2e-6)
    assert int(out["ocean_mask"].sum()) == ocean


def test_how_the_ocean_is_known_is_told():
    lat, lon = -45 + 0.25 * np.arange(32.0), 150 + 0.25 * np.arange(32.0)
    sst = np.full((3, 32, 32), 15, np.float32) + np.random.default_rng(0).normal(size=(3, 32, 32))
    axes = {"time": pd.date_range("2016-02-01", periods=3), "lat": lat, "lon": lon}
    ds = xr.Dataset({"sst": (tuple(axes), sst.astype("float32"), {"units": "degC"})}, axes)

    def told(ds):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return open_sst(ds)["ocean_mask"].attrs["source"]

    assert told(ds) == "cells with a value on every day"
    flags = {"flag_values": [0, 1], "flag_meanings": "land water"}
    mask = (("lat", "lon"), np.ones((32, 32), np.int8), flags)
    assert told(ds.assign(mask=mask)) == "the file's own mask"
    gappy = ds.where(np.random.default_rng(1).random(sst.shape) < 0.5)
    assert told(gappy) == "the outlines of Natural Earth, and what was seen"
    basin = ds.where((ds["lat"] > -42) | (ds["lon"] > 153))
    assert "% of the open sea was never seen, what stands there is no obs" in told(basin)
