"""The land-sea mask: known places, every way to write a longitude, what cartopy sees."""

import os
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from sst_tutorial.coast import NATURAL_EARTH, ocean_mask, use_shipped_coastline

DATA = Path(
    os.environ.get("SST_TUTORIAL_DATA", Path(__file__).parents[1] / ".." / "shared" / "data")
)


@pytest.mark.parametrize(
    "lat, lon, ocean",
    [
        (-40.0, 160.0, True),  # Tasman Sea
        (-42.0, 146.5, False),  # Tasmania
        (36.0, -4.0, True),  # Alboran Sea
        (40.0, -4.0, False),  # Spain
        (0.0, 0.0, True),  # Gulf of Guinea
        (-85.0, 30.0, False),  # Antarctica
        (-17.0, 180.0, True),
        (67.0, 180.0, False),  # Chukotka, which the dateline cuts in two
    ],
)
def test_known_places(lat, lon, ocean):
    assert ocean_mask([lat], [lon])[0, 0] == ocean


def test_longitude_conventions_agree():
    lat, lon = np.arange(-89.5, 90), np.arange(0.5, 360)
    mask = ocean_mask(lat, lon)
    west_first = (lon + 180) % 360 - 180
    np.testing.assert_array_equal(mask, ocean_mask(lat, west_first))
    np.testing.assert_array_equal(mask[::-1], ocean_mask(lat[::-1], lon))
    weights = np.cos(np.deg2rad(lat))[:, None] * np.ones(360)
    assert abs(np.average(mask, weights=weights) - 0.71) < 0.01  # the ocean's share of the Earth


def test_across_the_dateline():
    lat = np.linspace(-20, 70, 40)
    east = ocean_mask(lat, np.linspace(170.5, 189.5, 20))
    west = ocean_mask(lat, np.linspace(-189.5, -170.5, 20))
    np.testing.assert_array_equal(east, west)
    assert 0 < (~east).sum() < east.size / 2


@pytest.mark.parametrize(
    "lat, lon, named",
    [
        ([95.0], [0.0], "lat"),
        ([0.0], [np.nan], "lon"),
        ([], [0.0], "lat"),
        (np.zeros((2, 2)), [0.0], "lat"),
    ],
)
def test_bad_coordinates(lat, lon, named):
    with pytest.raises(ValueError, match=f"^{named} must"):
        ocean_mask(lat, lon)


def test_cartopy_reads_the_shipped_files():
    cartopy = pytest.importorskip("cartopy")
    assert use_shipped_coastline() == NATURAL_EARTH
    from cartopy.io import shapereader

    for scale, name in (("110m", "coastline"), ("110m", "land"), ("50m", "land")):
        path = shapereader.natural_earth(scale, "physical", name)
        assert Path(path).is_relative_to(NATURAL_EARTH)
        assert len(list(shapereader.Reader(path).geometries())) > 100
    assert cartopy.config["pre_existing_data_dir"] == NATURAL_EARTH


def test_agrees_with_oisst():
    path = DATA / "oisst_tasmania_1982_2016.nc"
    if not path.exists():
        pytest.skip("needs the shared OISST series off Tasmania")
    with xr.open_dataset(path) as data:
        observed = np.isfinite(data["sst"][0].values)
        mask = ocean_mask(data["lat"].values, data["lon"].values)
    assert (mask != observed).mean() < 0.02
