"""Salinity, sea level, log10 of chlorophyll, an anomaly: the same way, in their own words."""

import warnings

import numpy as np
import pytest
import xarray as xr
from test_reconstruction import SMOOTH, daily_maps, network

from sst_tutorial.cli import main
from sst_tutorial.data import open_sst
from sst_tutorial.prior import daily_climatology
from sst_tutorial.quantity import SST, Quantity
from sst_tutorial.reconstruction import quantity_of, reconstruct

# Name: attributes, and the variable as a line in a sea of about 12 to 18 "degC".
VARIABLES = {
    "so": ({"units": "1e-3", "standard_name": "sea_water_salinity"}, (0.05, 34.0)),
    "sla": (
        {"units": "m", "standard_name": "sea_surface_height_above_sea_level"},
        (0.1, -1.4),
    ),
    "sst_anomaly": (
        {"units": "K", "standard_name": "surface_temperature_anomaly"},
        (1.0, -15.0),
    ),
    "pressure": ({"units": "Pa"}, (100.0, 101_000.0)),
}
every = pytest.mark.parametrize("name", VARIABLES)


def file_of(name):
    """A file's Dataset of the variable, and the temperatures it was made of."""
    sea = daily_maps()
    attributes, (slope, zero) = VARIABLES[name]
    ds = (sea["sst"].astype("float64") * slope + zero).rename(name).to_dataset()
    ds[name].attrs = attributes | {"long_name": f"the {name}"}
    return ds.assign(mask=sea["ocean_mask"]), sea


def filled(daily, *args, **kwargs):
    with pytest.warns(UserWarning, match="skill of the network is untested"):
        return reconstruct(daily, *args, **kwargs)


def chlorophyll():
    ds, sea = file_of("so")
    ds = (10 ** (0.3 * sea["sst"] - 5)).rename("chlor_a").to_dataset()
    ds["chlor_a"].attrs = {
        "units": "mg m-3",
        "standard_name": "mass_concentration_of_chlorophyll_a_in_sea_water",
        "long_name": "chlorophyll",
    }
    return ds.assign(mask=sea["ocean_mask"]), sea


@every
@pytest.mark.parametrize("output", ["monthly", "daily", "both"])
def test_its_own_words_numbers_and_mask(name, output):
    ds, sea = file_of(name)
    daily = open_sst(ds, variable=name)
    np.testing.assert_array_equal(daily["ocean_mask"], sea["ocean_mask"])
    out = filled(daily, SMOOTH, output=output)
    attributes, (slope, zero) = VARIABLES[name]
    assert "sst" not in out
    for key in ("units", "standard_name"):
        assert out[name].attrs.get(key) == attributes.get(key)
        assert key == "standard_name" or out["first_guess"].attrs[key] == attributes[key]
    assert f"the {name}" in out[name].attrs["long_name"] and "untested" in out.attrs["skill"]
    ocean = sea["ocean_mask"].values
    values = out[name].values
    assert np.isfinite(values[:, ocean]).all() and np.isnan(values[:, ~ocean]).all()
    assert values[:, ocean].min() > slope * 10 + zero and values[:, ocean].max() < slope * 20 + zero
    if output == "both":
        mean = out[f"{name}_mean_of_month"]
        np.testing.assert_allclose(mean[0], values.mean(0), rtol=1e-5, atol=1e-6)
        assert mean.attrs["units"] == attributes["units"]


@every
def test_the_network_sees_the_same_anomalies_whatever_the_unit(name):
    """A line in the temperatures gives the same line in the answer, to rounding in float32."""
    ds, sea = file_of(name)
    _, (slope, zero) = VARIABLES[name]
    quantity = quantity_of_quietly(open_sst(ds, variable=name))
    plain = sea.assign(sst=sea["sst"].assign_attrs(units="x"))
    plain.attrs |= Quantity("x", "x", "", "x").attributes()
    ours, theirs = (filled(x, network()) for x in (open_sst(ds, variable=name), plain))
    rounding = 4e-7 * abs(zero) / slope + 1e-4  # of float32 values far from 0
    np.testing.assert_allclose((ours[name] - zero) / slope, theirs["x"], atol=10 * rounding)
    assert quantity.unit == pytest.approx(slope * quantity_of_quietly(plain).unit, rel=1e-2)


def quantity_of_quietly(daily):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return quantity_of(daily)


@pytest.mark.parametrize("output", ["monthly", "daily", "both"])
def test_log10_is_undone(output):
    ds, sea = chlorophyll()
    daily = open_sst(ds, variable="chlor_a", transform="log10")
    out = filled(daily, SMOOTH, output=output)
    assert out["chlor_a"].attrs["units"] == "mg m-3" and "median" in out["chlor_a"].comment
    assert out["chlor_a"].standard_name == ds["chlor_a"].standard_name
    plain = sea.assign(sst=(0.3 * sea["sst"] - 5).assign_attrs(units="1"))
    plain.attrs |= Quantity("y", "1", "", "y").attributes()
    expected = 10 ** filled(plain, SMOOTH, output=output)["y"]
    np.testing.assert_allclose(out["chlor_a"], expected, rtol=1e-3)
    if output == "both":  # the mean of the logarithms
        mean = 10 ** np.log10(out["chlor_a"]).mean("time")
        np.testing.assert_allclose(out["chlor_a_mean_of_month"][0], mean, rtol=1e-4)


def test_log10_of_what_is_not_positive():
    ds, _ = chlorophyll()
    with pytest.raises(ValueError, match="no positive value"):
        open_sst(ds.assign(chlor_a=-ds["chlor_a"]), "chlor_a", transform="log10")
    ds["chlor_a"][3, 10, 10:14] = [0.0, -1.0, -2.0, -3.0]
    with pytest.warns(UserWarning, match="4 values are not positive"):
        daily = open_sst(ds, variable="chlor_a", transform="log10")
    assert np.isnan(daily["sst"][3, 10, 10:14]).all()


def test_a_month_without_observation_and_a_constant_one():
    ds, _ = file_of("so")
    daily = open_sst(ds, variable="so")
    later = daily.isel(time=[0]).assign_coords(time=[np.datetime64("2016-03-01")])
    two = xr.concat([daily, later.assign(sst=later["sst"] * np.nan)], "time", data_vars="minimal",
                    coords="minimal", compat="override", join="override")  # fmt: skip
    two["sst"].attrs = daily["sst"].attrs
    with pytest.warns(UserWarning, match="2016-03 has no observation"):
        out = filled(two, SMOOTH)
    assert out["so"][1].isnull().all() and 34 < float(out["so"][0].mean()) < 36
    flat = daily.assign(sst=(daily["sst"] * 0 + 34.5).assign_attrs(daily["sst"].attrs))
    np.testing.assert_allclose(filled(flat, SMOOTH)["so"].values[0, 10], 34.5, atol=1e-3)


def test_its_climatology_must_be_of_the_same_words():
    ds, sea = file_of("so")
    daily = open_sst(ds, variable="so")
    year = np.arange("2015-01-01", "2016-01-01", dtype="datetime64[D]").astype("datetime64[ns]")
    field = daily["sst"].mean("time").expand_dims(time=year).transpose("time", "lat", "lon")
    years = daily.drop_dims("time").assign(sst=field)
    climatology = daily_climatology(years)
    assert climatology.attrs["units"] == "1e-3" and "the so" in climatology.attrs["long_name"]
    out = filled(daily, SMOOTH, climatology)
    assert np.isfinite(out["so"].values[0][sea["ocean_mask"].values]).all()
    with pytest.raises(ValueError, match="climatology is in 'degree_Celsius', daily in '1e-3'"):
        reconstruct(daily, SMOOTH, climatology.assign_attrs(units="degree_Celsius"))


def test_an_answer_far_from_all_that_was_seen_is_refused():
    daily = open_sst(file_of("so")[0], variable="so")
    estimator = network()
    estimator.network.last.bias.data.fill_(1e4)
    with pytest.raises(ValueError, match="1e-3"), pytest.warns(UserWarning):
        reconstruct(daily, estimator)


def test_a_name_that_the_output_needs():
    ds, _ = file_of("so")
    out = filled(open_sst(ds.rename(so="observed"), variable="observed"), SMOOTH)
    assert {"observed_complete", "n_observed"} <= set(out)


def test_temperature_is_what_it_was():
    assert Quantity.of(daily_maps()) is SST and SST.unit == 1.0
    out = reconstruct(daily_maps(), SMOOTH)
    assert out["sst"].attrs["standard_name"] == "sea_surface_temperature"
    assert "skill" not in out.attrs


@pytest.mark.parametrize("flags", [[], ["--both"]])
def test_the_command(tmp_path, capsys, monkeypatch, flags):
    monkeypatch.chdir(tmp_path)
    ds, _ = chlorophyll()
    ds.to_netcdf("chl.nc")
    words = "reconstruct chl.nc out.nc --variable chlor_a --transform log10".split()
    if flags:
        monkeypatch.setattr("sst_tutorial.reconstruction._check_days", lambda *a: None)
    assert main(words + flags) == 0
    said = capsys.readouterr()
    assert "skill of the network is untested" in said.err
    assert ("29 day" if flags else "1 month") in said.out
    with xr.open_dataset("out.nc") as out:
        assert out["chlor_a"].attrs["units"] == "mg m-3"
        assert 0 < float(out["chlor_a"].min()) < float(out["chlor_a"].max()) < 100
