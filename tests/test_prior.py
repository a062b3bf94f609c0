"""The prior of a month: climatologies, and the smooth map that stands in where there is none."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from sst_tutorial.prior import (
    EMPTY_MONTH_DEGC,
    climatology_for,
    daily_climatology,
    is_global,
    month_prior,
    on_the_same_grid,
    smooth_prior,
)

NAN = np.nan

# ---------------------------------------------------------------- without a climatology


def globe():
    """A map with 30 degrees from equator to pole, and its ocean."""
    lat = np.linspace(-89, 89, 90)
    truth = np.repeat((30 * np.cos(np.deg2rad(lat)) ** 2 - 1)[:, None], 180, axis=1)
    return truth.astype("float32"), np.ones((90, 180), dtype=bool)


def test_smooth_prior_follows_equator_to_pole():
    truth, ocean = globe()
    rng = np.random.default_rng(0)
    noisy = truth + 0.3 * rng.standard_normal((3, 90, 180)).astype("float32")
    sst = np.where(rng.random(noisy.shape) < 0.1, noisy, NAN)
    error = smooth_prior(sst, ocean)[0] - truth
    assert np.sqrt(np.mean(error**2)) < 0.4
    assert abs(error.mean()) < 0.05


def test_smooth_prior_leaves_out_a_wild_value():
    sst = np.full((2, 16, 16), 15.0, dtype="float32")
    sst[0, 8, 8] = -40.0
    prior = smooth_prior(sst, np.ones((16, 16), dtype=bool))
    np.testing.assert_allclose(prior, 15.0, atol=1e-3)


@pytest.mark.parametrize("shape", [(1, 1, 1), (31, 7, 33), (2, 5, 1)])
def test_smooth_prior_of_one_and_of_no_observation(shape):
    sst = np.full(shape, NAN)
    ocean = np.ones(shape[1:], dtype=bool)
    np.testing.assert_array_equal(smooth_prior(sst, ocean), EMPTY_MONTH_DEGC)
    sst[0, 0, 0] = 12.5
    np.testing.assert_allclose(smooth_prior(sst, ocean), 12.5, atol=1e-5)


def test_smooth_prior_forgets_what_stands_on_land():
    truth, ocean = globe()
    ocean[:, :30] = False
    sst = np.repeat(truth[None], 2, axis=0)
    dirty = np.where(ocean, sst, 1e6)
    np.testing.assert_array_equal(smooth_prior(dirty, ocean), smooth_prior(sst, ocean))


# ---------------------------------------------------------------- the one call


def warm_east(W=40):
    """(3, 8, W) degC that rises from west to east, all seen, and its ocean."""
    sst = np.broadcast_to(np.linspace(10, 20, W, dtype="float32"), (3, 8, W)).copy()
    return sst, np.ones((8, W), dtype=bool)


def test_without_a_climatology_the_prior_is_the_smooth_one():
    sst, ocean = warm_east()
    np.testing.assert_array_equal(month_prior(sst, ocean), smooth_prior(sst, ocean))


def test_on_a_globe_the_last_column_borders_the_first():
    ocean = np.ones((16, 90), dtype=bool)
    wave = np.cos(2 * np.pi * np.arange(90) / 90 + 0.6)
    sst = np.broadcast_to(15 + 4 * wave, (2, 16, 90)).astype("float32")
    around = month_prior(sst, ocean, wraps=True)
    assert around.shape == sst.shape
    seam = np.abs(around[0, 8, 0] - around[0, 8, -1])
    assert seam < 0.5 * np.abs(np.subtract(*month_prior(sst, ocean)[0, 8, [0, -1]]))
    for shift in (16, 32):  # whole blocks: it does not matter where a map of the globe is cut
        turned = month_prior(np.roll(sst, shift, 2), ocean, wraps=True)
        np.testing.assert_allclose(np.roll(turned, -shift, 2), around, atol=0.1)


def test_a_complete_climatology_is_the_prior():
    sst, ocean = warm_east()
    ocean[:, :3] = False
    climatology = np.where(ocean, sst - 1.0, NAN)
    np.testing.assert_array_equal(month_prior(sst, ocean, climatology), climatology)


def test_holes_of_a_climatology_are_filled_with_a_warning():
    sst, ocean = warm_east()
    climatology = sst - 1.0
    climatology[:, 2:4, 5:9] = NAN
    with pytest.warns(UserWarning, match="gaps in 8 of 320 ocean cells"):
        prior = month_prior(sst, ocean, climatology)
    known = np.isfinite(climatology)
    np.testing.assert_array_equal(prior[known], climatology[known])
    np.testing.assert_allclose(prior[~known], (sst - 1.0)[~known], atol=0.7)


def test_a_month_that_saw_nothing_gets_a_finite_prior():
    sst, ocean = warm_east()
    nothing = np.full_like(sst, NAN)
    assert (month_prior(nothing, ocean) == EMPTY_MONTH_DEGC).all()
    assert (month_prior(nothing, ocean, wraps=True) == EMPTY_MONTH_DEGC).all()


@pytest.mark.parametrize(
    ("lon", "expected"),
    [
        (np.arange(0.125, 360, 0.25), True),
        (np.arange(-180.0, 180.0), True),
        (np.arange(0, 360, 120.0), True),
        (np.arange(0, 361.0), False),  # the last is the first once more
        (np.arange(147.125, 155, 0.25), False),
        (np.arange(0, 357.0), False),
        (np.array([0.0, 180.0]), False),
        (np.array([5.0]), False),
    ],
)
def test_a_globe_is_known_by_its_longitudes(lon, expected):
    assert is_global(lon) is expected


# ---------------------------------------------------------------- climatology


def years_of_sea(first=1999, last=2001):
    """Degrees = day of the year / 20, so that the answer is known; one cell of land."""
    time = pd.date_range(f"{first}-01-01", f"{last}-12-31")
    sst = np.broadcast_to(time.day_of_year.values[:, None, None] / 20, (len(time), 3, 4)).copy()
    sst[:, 0, 0] = NAN
    axes = {"time": time, "lat": [-42.0, -41.0, -40.0], "lon": [148.0, 149.0, 150.0, 151.0]}
    return xr.Dataset({"sst": (tuple(axes), sst), "ocean_mask": (("lat", "lon"), sst[0] > 0)}, axes)


def test_climatology_is_a_31_day_mean_that_wraps():
    clim = daily_climatology(years_of_sea())
    assert clim.dims == ("dayofyear", "lat", "lon") and clim.shape == (366, 3, 4)
    assert clim.dtype == np.float32 and np.isnan(clim[:, 0, 0]).all()
    np.testing.assert_allclose(clim.sel(dayofyear=200)[1, 1], 10, rtol=1e-6)
    # Around 1 January: 352..365 and 1..16 of three years, 366 of the leap year 2000 only.
    seen = np.r_[np.arange(352, 366).repeat(3), 366, np.arange(1, 17).repeat(3)]
    np.testing.assert_allclose(clim.sel(dayofyear=1)[1, 1], seen.mean() / 20, rtol=1e-5)


def test_climatology_of_chosen_years_and_gaps():
    daily = years_of_sea()
    daily["sst"].loc[{"time": "2001"}] += 9
    first = daily_climatology(daily, years=(1999, 2000))
    np.testing.assert_allclose(first.sel(dayofyear=200)[1, 1], 10, rtol=1e-6)
    daily["sst"].loc[{"time": "2000"}] = NAN
    both = daily_climatology(daily["sst"])  # the Dataset or its sst
    np.testing.assert_allclose(both.sel(dayofyear=200)[1, 1], 14.5, rtol=1e-6)


def test_climatology_refuses_what_is_not_a_year():
    daily = years_of_sea()
    with pytest.raises(ValueError, match=r"years=\(2030, 2031\) selects no day"):
        daily_climatology(daily, years=(2030, 2031))
    with pytest.raises(
        ValueError, match="200 of the 366 days of the year, with a hole of 166 days"
    ):
        daily_climatology(daily.isel(time=slice(200)))


def test_climatology_for_days_of_any_year():
    clim = daily_climatology(years_of_sea())
    time = np.array(["2016-02-29", "2015-03-01", "2016-12-31"], "M8[D]")
    picked = climatology_for(clim, time)
    assert picked.dims == ("time", "lat", "lon")
    np.testing.assert_array_equal(picked, clim.sel(dayofyear=[60, 60, 366]))
    daily = years_of_sea()
    anomaly = daily["sst"] - climatology_for(clim, daily["time"])  # aligns by coordinate
    assert anomaly.shape == daily["sst"].shape
    for days in (np.arange(366), np.arange(366, 0, -1)):
        other = clim.assign_coords(dayofyear=days)
        with pytest.raises(ValueError, match="must have the days 1 to 366, in order"):
            climatology_for(other, time)
    with pytest.raises(ValueError, match="must have the days 1 to 366, in order"):
        climatology_for(clim.drop_vars("dayofyear"), time)
    with pytest.raises(ValueError, match="needs dayofyear of length 366"):
        climatology_for(daily["sst"], time)


def test_a_climatology_of_another_grid_is_refused():
    daily = years_of_sea()
    clim = daily_climatology(daily)
    assert on_the_same_grid(clim.to_dataset(), daily).equals(clim)
    nearly = clim.assign_coords(lon=clim["lon"] + 1e-5)  # float32 in one of two files
    assert (on_the_same_grid(nearly, daily)["lon"] == daily["lon"]).all()
    with pytest.raises(ValueError, match=r"climatology has lon 149..152 .* daily has 148..151"):
        on_the_same_grid(clim.assign_coords(lon=clim["lon"] + 1), daily)
    with pytest.raises(ValueError, match=r"must be a DataArray \(dayofyear, lat, lon\), got"):
        on_the_same_grid(daily["sst"], daily)
