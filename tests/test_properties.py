"""What must hold for every network, first guess and input: hypothesis looks for what breaks it."""

import copy
import tempfile
import warnings
from functools import cache
from pathlib import Path

import netCDF4
import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_contract import ANSWERING, ESTIMATORS, talkative

from sst_tutorial.data import open_sst
from sst_tutorial.months import Batch, Month
from sst_tutorial.reconstruction import reconstruct
from sst_tutorial.tiles import tiled

CLASSIC = ("NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA")

MADE = {name: talkative(slots).eval() for name, slots in ESTIMATORS.items()}
for estimator in MADE.values():  # so that the answer stays a sea
    with torch.no_grad():
        estimator.network.last.weight.mul_(0.05)
every = pytest.mark.parametrize("estimator", MADE.values(), ids=MADE)
few = settings(
    max_examples=4, deadline=None, derandomize=True, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip


@st.composite
def seas(draw, most=9):
    """A tidy series of a part of a month; whatever shape, cover, land and first day."""
    H, W = draw(st.integers(1, most)), draw(st.integers(1, most))
    T, cover = draw(st.integers(1, 29)), draw(st.sampled_from([0.0, 0.5, 0.9, 0.99]))
    random = np.random.default_rng(draw(st.integers(0, 2**16)))
    south, west = draw(st.sampled_from([(-45, 150), (88, 10), (-89, 176), (-5, -178)]))
    # By sea and latitude: a temperature that the guard believes.
    level = 15.0 if abs(south) < 60 else 1.0
    level = 27.0 if abs(south) < 10 else level
    sst = level + random.normal(0, 0.5, (T, H, W))
    ocean = random.random((H, W)) > draw(st.sampled_from([0.0, 0.3]))
    ocean[0, 0] = True
    seen = ocean & (random.random((T, H, W)) >= cover)
    seen[0, 0, 0] = True
    out = xr.Dataset(
        {
            "sst": (("time", "lat", "lon"), np.where(seen, sst, np.nan).astype(np.float32)),
            "ocean_mask": (("lat", "lon"), ocean),
        },
        {
            "time": pd.date_range("2016-02-01", periods=T),
            "lat": south + 0.1 * np.arange(H),
            "lon": west + 0.25 * np.arange(W),
        },
    )
    out["sst"].attrs["units"] = "degree_Celsius"
    return out


def filled(daily, estimator):
    with warnings.catch_warnings():  # of absent days
        warnings.simplefilter("ignore")
        return reconstruct(daily, estimator)["sst"]


def close(a, b, atol=2e-3):
    np.testing.assert_allclose(np.asarray(a), np.asarray(b), atol=atol, rtol=0)


@every
@few
@given(daily=seas())
def test_complete_over_the_ocean_and_a_shift_shifts(estimator, daily):
    out = filled(daily, estimator)
    assert (np.isfinite(out.values[0]) == daily["ocean_mask"].values).all()
    warmer = (daily["sst"] + 0.5).assign_attrs(daily["sst"].attrs)
    close(filled(daily.assign(sst=warmer), estimator), out + 0.5)


@every
@few
@given(daily=seas(), value=st.sampled_from([np.nan, np.inf, -np.inf]))
def test_land_gaps_cloudy_days_types_and_chunks_do_not_matter(estimator, daily, value):
    out = filled(daily, estimator)
    sst, ocean = daily["sst"], daily["ocean_mask"]
    dirty = sst.where(sst.notnull() | ~ocean, value).where(ocean, 999.0).assign_attrs(sst.attrs)
    close(filled(daily.assign(sst=dirty), estimator), out, 1e-6)
    close(filled(daily.assign(sst=sst.astype("float64")), estimator), out, 1e-5)
    close(filled(daily.chunk(time=7), estimator), out, 1e-6)
    days = pd.date_range("2016-02-01", periods=29)
    close(filled(daily.reindex(time=days).assign(ocean_mask=ocean), estimator), out, 1e-6)


@every
@few
@given(daily=seas())
def test_the_order_of_axes_and_days_does_not_matter(estimator, daily):
    out = filled(daily, estimator)
    turned = daily.isel(time=slice(None, None, -1), lat=slice(None, None, -1)).transpose(
        "lon", "time", "lat"
    )
    turned = turned.rename(ocean_mask="mask").assign_coords(lon=(daily["lon"] + 360))
    turned["mask"].attrs = {"flag_values": [0, 1], "flag_meanings": "land water"}
    close(filled(turned, estimator), out, 1e-4)


@every
@few
@given(daily=seas(), more=st.integers(1, 6))
def test_a_batch_padding_and_precision(estimator, daily, more):
    sst = daily["sst"].values
    month = Month(sst, daily["ocean_mask"].values)
    H, W = month.ocean.shape
    wide = Month(np.zeros((31, H + more, W + more)), np.ones((H + more, W + more), bool))
    one = Batch.of([month], estimator.patch_size)
    with torch.inference_mode():
        alone = estimator(*one.inputs)
        same = Batch.of([month, month], estimator.patch_size)
        for a, b in zip(alone, estimator(*same.inputs), strict=True):
            close(a[0], b[1], 1e-4)
        # The first guess alone; a network may look beyond the map.
        padded = Batch.of([month, wide], estimator.patch_size)
        found = estimator(*padded.inputs).first_guess[0, :H, :W]
    if getattr(estimator.first_guess, "tune", None) is None or more == 0:
        close(alone.first_guess[0, :H, :W], found, 1e-3)
    else:  # known: `adapt` reads the coverage of the padded map; here it bends by less than 0.5 K
        assert (alone.first_guess[0, :H, :W] - found).abs().max() < 0.5


@every
@few
@given(daily=seas(), c=st.sampled_from([-1.0, 0.25, 2.0]))
def test_a_constant_sea_is_a_constant_first_guess(estimator, daily, c):
    """Prior and first guess agree on it, to the last cell; the network adds what it adds to 0 K."""
    sst = daily["sst"]
    level = float(sst.mean().round())
    flat = sst.where(sst.isnull(), level).assign_attrs(sst.attrs)
    added = []
    for value in (level, level + c):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            out = reconstruct(daily.assign(sst=(flat + value - level).assign_attrs(sst.attrs)),
                              estimator)  # fmt: skip
        guess = out["first_guess"].where(daily["ocean_mask"], value)
        close(guess, np.full_like(guess, value), 1e-4)
        added.append(out["sst"] - out["first_guess"])
    close(*added, 1e-4)


@every
@few
@given(daily=seas(), odd=st.sampled_from([-0.3, 0.0, 2.1]))
def test_one_observation_is_the_first_guess_everywhere(estimator, daily, odd):
    value = float(daily["sst"].mean().round()) + odd
    only = np.full(daily["sst"].shape, np.nan, np.float32)
    only[-1, 0, 0] = value
    alone = daily.assign(sst=(daily["sst"].dims, only, daily["sst"].attrs))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        out = reconstruct(alone, estimator)
    here = daily["ocean_mask"].values
    close(out["first_guess"].values[0][here], value, 1e-4)
    assert int(out["n_observed"].sum()) == 1


@every
@few
@given(daily=seas(), gap=st.booleans())
def test_other_months_and_kelvin_do_not_matter(estimator, daily, gap):
    out = filled(daily, estimator)
    sst, attrs = daily["sst"], daily["sst"].attrs
    later = sst.assign_coords(time=sst["time"] + np.timedelta64(62, "D"))
    later = later.where(False) if gap else later[::-1].assign_coords(time=later["time"])
    longer = xr.Dataset({"sst": xr.concat([sst, later], "time"), "ocean_mask": daily["ocean_mask"]})
    longer["sst"].attrs = attrs
    both = filled(longer, estimator)
    assert list(both["time"].dt.month.values)[0] == 2 and both.sizes["time"] >= 2
    close(both[0], out[0], 1e-5)
    kelvin = (sst.astype(float) + 273.15).assign_attrs(units="K")
    mask = daily["ocean_mask"].astype("int8").assign_attrs(
        flag_values=np.array([0, 1], np.int8), flag_meanings="land water"
    )
    close(filled(xr.Dataset({"sst": kelvin, "mask": mask}), estimator), out, 1e-3)


@every
@few
@given(
    seed=st.integers(0, 2**16),
    turn=st.integers(1, 35),
    start=st.sampled_from([-180, 0]),
    lazy=st.booleans(),
)
def test_where_a_globe_is_cut_does_not_matter(estimator, seed, turn, start, lazy):
    random = np.random.default_rng(seed)
    lat, lon = np.linspace(-80, 80, 9), start + 10.0 * np.arange(36)
    sst = 27 * np.cos(np.radians(lat))[:, None] ** 2 + random.normal(0, 0.5, (28, 9, 36))
    sst[random.random(sst.shape) < 0.8] = np.nan

    def globe(sst, lon):
        ds = xr.Dataset(
            {"sst": (("time", "lat", "lon"), sst.astype(np.float32), {"units": "degree_Celsius"}),
             "ocean_mask": (("lat", "lon"), np.ones(sst.shape[1:], bool))},
            {"time": pd.date_range("2015-02-01", periods=28), "lat": lat, "lon": lon},
        )  # fmt: skip
        return filled(ds.chunk(time=14) if lazy else ds, estimator)

    turned = globe(np.roll(sst, -turn, 2), lon + 10.0 * turn)
    np.testing.assert_array_equal(turned["lon"], lon + 10.0 * turn)
    close(np.roll(turned, turn, 2), globe(sst, lon), 1e-5)


@every
@few
@given(daily=seas(), dtype=st.sampled_from([torch.float64, torch.bfloat16, torch.float16]))
def test_precision_of_the_file_and_of_the_network(estimator, daily, dtype):
    out = filled(daily, estimator)
    half = daily["sst"].astype("float16").astype("float32").assign_attrs(daily["sst"].attrs)
    stored = daily["sst"].astype("float16").assign_attrs(daily["sst"].attrs)
    close(filled(daily.assign(sst=stored), estimator), out, 0.03)  # steps of 16 mK above 16 degC
    assert float(abs(half - daily["sst"]).max()) <= 0.0079
    other = copy.deepcopy(estimator).to(dtype)
    close(filled(daily, other), out, 1e-3 if dtype is torch.float64 else 0.15)


@every
@few
@given(daily=seas(), factor=st.sampled_from([0.0, 1e2, 1e6, 1e30, -1e38, np.nan, np.inf]))
def test_what_leaves_is_a_sea_or_an_error(estimator, daily, factor):
    wild = copy.deepcopy(estimator)
    with torch.no_grad():
        wild.network.last.weight.mul_(factor)
        wild.network.last.bias.mul_(factor)
    try:
        out = filled(daily, wild).values[0]
    except ValueError as error:
        assert "no sea is like that" in str(error) and "\n" not in str(error)
        return
    known = out[daily["ocean_mask"].values]
    assert np.isfinite(known).all() and (known > -15).all() and (known < 60).all()


@pytest.mark.parametrize("name", ANSWERING)
@few
@given(daily=seas(most=5))
def test_every_day_is_complete_and_a_shift_shifts(name, daily):
    def days(daily):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return reconstruct(daily, MADE[name], output="daily")["sst"]

    out, ocean = days(daily), daily["ocean_mask"].values
    assert out.sizes["time"] == 29
    assert (np.isfinite(out.values) == ocean).all()
    warmer = (daily["sst"] + 0.5).assign_attrs(daily["sst"].attrs)
    close(days(daily.assign(sst=warmer)), out + 0.5)
    turned = daily.isel(time=slice(None, None, -1)).assign_coords(lon=daily["lon"] + 360)
    turned = turned.rename(ocean_mask="mask")
    turned["mask"].attrs = {"flag_values": [0, 1], "flag_meanings": "land water"}
    close(days(turned), out, 1e-4)


@every
@few
@given(seed=st.integers(0, 2**16), long=st.integers(33, 70), across=st.booleans())
def test_tiles_are_the_whole_where_the_network_is_silent(estimator, seed, long, across):
    """Beyond one tile the first guess sees less; by how much must stay small."""
    random = np.random.default_rng(seed)
    shape = (28, long, 5) if across else (28, 5, long)
    smooth = np.sin(np.arange(long) / 9)[:, None] if across else np.sin(np.arange(long) / 9)
    sst = 15 + np.broadcast_to(smooth, shape[1:]) + random.normal(0, 0.2, shape)
    sst[random.random(shape) < 0.6] = np.nan
    month = Month(sst, np.ones(shape[1:], bool))
    _, tiles = tiled(estimator, month, False)
    _, whole = tiled(estimator, month, False, tile=long)
    assert abs(tiles - whole).max() < 0.1


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(kind=st.sampled_from(sorted(CLASSIC)), keep=st.floats(0, 1), records=st.booleans())
def test_a_classic_file_cut_anywhere_is_no_sea_of_zeros(kind, keep, records):
    content = classic_file(kind, records)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cut.nc"
        path.write_bytes(content[: int(keep * len(content))])
        if keep == 1:
            assert float(open_sst(path)["sst"].min()) > 10
            return
        with pytest.raises(ValueError) as error:
            open_sst(path)
        assert "cut.nc" in str(error.value) and "\n" not in str(error.value)


@cache
def classic_file(kind, records) -> bytes:
    """A month of 3 x 4 cells near 15 degC, time as the axis that grows or not."""
    sst = np.random.default_rng(0).normal(15, 1, (28, 3, 4))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "whole.nc"
        with netCDF4.Dataset(path, "w", format=kind) as file:
            file.title = "odd"  # three letters, so that something is filled up
            for name, size in (("time", None if records else 28), ("lat", 3), ("lon", 4)):
                file.createDimension(name, size)
            axes = {"time": np.arange(28.0), "lat": np.arange(3.0), "lon": 150 + np.arange(4.0)}
            units = {"time": "days since 2015-02-01", "lat": "degrees_north", "lon": "degrees_east"}
            for name, values in axes.items():
                file.createVariable(name, "f8", (name,)).units = units[name]
                file[name][:] = values
            file.createVariable("sst", "f4", ("time", "lat", "lon")).units = "degree_Celsius"
            file["sst"][:] = sst
        return path.read_bytes()
