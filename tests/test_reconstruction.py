"""reconstruct: any size, any month, any gap; tiles leave no seam; the output says what it is."""

import hashlib
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from torch import nn

import sst_tutorial
from sst_tutorial import reconstruction
from sst_tutorial.baselines import gaussian
from sst_tutorial.data import daily_climatology, open_sst, shared_data
from sst_tutorial.model import SpatioTemporalModel
from sst_tutorial.months import Settings
from sst_tutorial.reconstruction import _tiled, _tiles, _window, reconstruct
from sst_tutorial.simulate import observe, simulate_clouds, simulate_ocean
from sst_tutorial.weights import save_weights

needs_data = pytest.mark.skipif(shared_data() is None, reason="no real data: SST_TUTORIAL_DATA")


class Smooth(nn.Module):
    """A network that looks at one cell alone: what differs between tiles is then the tiling."""

    corrections = None

    def __init__(self, patch_size=(1, 4, 4)):
        super().__init__()
        self.patch_size = patch_size
        self.gain = nn.Parameter(torch.tensor(0.1))

    def forward(self, data, mask, land, days_mask):
        data = data.masked_fill(mask, 0.0)
        assert data.shape[2] % self.patch_size[0] == 0
        return self.gain * data.mean((1, 2)).masked_fill(land, 0.0)


PAIR = (Smooth(), Settings(scale=2.0))


def network():
    torch.manual_seed(0)
    config = dict(embed_dim=16, hidden=16, spatial_depth=1, spatial_heads=2)
    return SpatioTemporalModel(**config), Settings(scale=0.7)


def daily_maps(
    H=20, W=24, start="2016-02-01", days=29, cover=0.7, lat=(-45, -40), lon=(150, 156), seed=0
):
    """What open_sst returns: a gradient, a wave that moves, clouds, and a corner of land."""
    random = np.random.default_rng(seed)
    time = pd.date_range(start, periods=days)
    lat = lat[0] + (np.arange(H) + 0.5) * (lat[1] - lat[0]) / H
    lon = lon[0] + (np.arange(W) + 0.5) * (lon[1] - lon[0]) / W
    turn = np.deg2rad(lon) * 3 + np.arange(days)[:, None, None] / 10
    sst = 15 - 0.3 * (lat[:, None] - lat[0]) + np.sin(turn)
    sst = np.broadcast_to(sst, (days, H, W)).astype("float32")
    ocean = np.ones((H, W), bool)
    ocean[: H // 4, : W // 4] = False
    seen = (random.random(sst.shape) > cover) & ocean
    out = xr.Dataset(
        {
            "sst": (("time", "lat", "lon"), np.where(seen, sst, np.float32(np.nan))),
            "ocean_mask": (("lat", "lon"), ocean),
        },
        coords={"time": time, "lat": lat, "lon": lon},
    )
    out["sst"].attrs["units"] = "degree_Celsius"
    return out


def checked(out, daily):
    """Complete over ocean, NaN on land, plausible, on the grid that came in."""
    ocean = daily["ocean_mask"].values
    for name in ("sst", "baseline"):
        assert out[name].dims == ("time", "lat", "lon")
        assert out[name].dtype == np.float32
        assert np.isfinite(out[name].values[:, ocean]).all()
        assert np.isnan(out[name].values[:, ~ocean]).all()
    assert out["n_observed"].dtype == np.int16
    np.testing.assert_array_equal(out["lat"], daily["lat"])
    np.testing.assert_array_equal(out["lon"], daily["lon"])
    return out


# ------------------------------------------------------------------------ months


def test_one_month():
    daily = daily_maps()
    out = checked(reconstruct(daily, PAIR), daily)
    assert out["time"].values.tolist() == np.array(["2016-02-01"], "datetime64[ns]").tolist()
    np.testing.assert_array_equal(out["n_observed"][0], np.isfinite(daily["sst"]).sum("time"))
    assert abs(float(out["sst"].mean() - daily["sst"].mean())) < 0.3


def test_the_baseline_is_the_gaussian():
    daily = daily_maps()
    out = reconstruct(daily, PAIR)
    expected = gaussian(daily["sst"].values, daily["ocean_mask"].values)
    np.testing.assert_allclose(out["baseline"][0], expected, atol=1e-3)


def test_the_network_is_added_in_kelvin():
    daily = daily_maps()
    silent = Smooth()
    silent.gain.data.zero_()
    a = reconstruct(daily, (silent, Settings(scale=2.0)))
    np.testing.assert_array_equal(a["sst"], a["baseline"])
    b = reconstruct(daily, PAIR)
    np.testing.assert_array_equal(b["baseline"], a["baseline"])
    assert float(abs(b["sst"] - b["baseline"]).max()) > 0.01


@pytest.mark.parametrize("patch", [(1, 4, 4), (2, 8, 4), (5, 4, 8)])
def test_months_of_28_to_31_days_and_three_years(patch):
    daily = daily_maps(H=6, W=5, start="2015-01-01", days=3 * 365 + 1)
    out = checked(reconstruct(daily, (Smooth(patch), Settings())), daily)
    assert out.sizes["time"] == 36
    assert out["time"].dt.day.values.tolist() == [1] * 36
    month = out["time"].to_index().to_period("M")
    assert (out["time_bnds"].values[:, 1] == (month + 1).start_time.values).all()
    alone = reconstruct(daily.sel(time="2016-02"), (Smooth(patch), Settings()))
    xr.testing.assert_allclose(alone["sst"][0], out["sst"].sel(time="2016-02-01"))


def test_months_do_not_touch_each_other():
    daily = daily_maps(days=60)
    changed = daily.copy(deep=True)
    changed["sst"][40:] += 5
    a, b = reconstruct(daily, PAIR), reconstruct(changed, PAIR)
    np.testing.assert_array_equal(a["sst"][0], b["sst"][0])
    assert float(b["sst"][1].mean() - a["sst"][1].mean()) > 1


def test_absent_days_count_as_not_seen_and_are_told():
    daily = daily_maps()
    kept = daily.isel(time=np.r_[0:5, 9:29])
    hidden = daily.copy(deep=True)
    hidden["sst"][5:9] = np.nan
    with pytest.warns(UserWarning, match="2016-02: daily holds 25 of 29 days"):
        out = reconstruct(kept, PAIR)
    np.testing.assert_array_equal(out["sst"], reconstruct(hidden, PAIR)["sst"])
    assert out.attrs["months_with_absent_days"] == "2016-02 (25 of 29 days)"
    assert "months_with_absent_days" not in reconstruct(daily, PAIR).attrs


def test_single_day():
    daily = daily_maps(days=1)
    with pytest.warns(UserWarning, match="1 of 29 days"):
        checked(reconstruct(daily, PAIR), daily)


# ------------------------------------------------------------------------ nothing to see


def test_a_month_without_observation_is_its_prior_mean_with_a_warning():
    daily = daily_maps(days=60)
    daily["sst"][29:] = np.nan  # March
    with pytest.warns(UserWarning, match="2016-03 has no observation"):
        out = checked(reconstruct(daily, PAIR), daily)
    assert out.attrs["months_without_observation"] == "2016-03"
    np.testing.assert_array_equal(out["sst"][1], out["baseline"][1])


def test_a_month_without_observation_is_its_climatology_where_there_is_one():
    daily = daily_maps(H=8, W=8, days=366, start="2016-01-01", cover=0.0)
    climatology = daily_climatology(daily)
    february = daily.sel(time="2016-02").copy(deep=True)
    february["sst"][:] = np.nan
    with pytest.warns(UserWarning, match="its map is the climatology"):
        out = reconstruct(february, PAIR, climatology)
    expected = climatology.sel(dayofyear=slice(32, 60)).mean("dayofyear")
    np.testing.assert_allclose(out["sst"][0], expected, atol=1e-4)


def test_one_observation():
    daily = daily_maps()
    one = daily.copy(deep=True)
    one["sst"][:] = np.nan
    one["sst"][13, 10, 12] = 11.5
    out = checked(reconstruct(one, network()), one)
    assert int(out["n_observed"].sum()) == 1
    assert float(out["baseline"].min()) == pytest.approx(11.5)


def test_all_land():
    daily = daily_maps()
    daily["ocean_mask"][:] = False
    with pytest.warns(UserWarning, match="all land"):
        out = reconstruct(daily, PAIR)
    assert out["sst"].isnull().all()
    assert int(out["n_observed"].sum()) == 0


def test_a_far_empty_sea_gets_the_baseline_not_the_network():
    daily = daily_maps(H=20, W=300)
    daily["sst"][:, :, 100:] = np.nan

    class Loud(Smooth):
        def forward(self, data, mask, land, days_mask):
            return torch.full_like(data[:, 0, 0], 100.0)

    out = checked(reconstruct(daily, (Loud(), Settings())), daily)
    empty = out.isel(lon=slice(200, None))
    np.testing.assert_array_equal(empty["sst"], empty["baseline"])


def test_infinite_values_are_gaps():
    daily = daily_maps()
    dirty = daily.copy(deep=True)
    dirty["sst"].values[3, 10] = np.inf
    clean = daily.copy(deep=True)
    clean["sst"].values[3, 10] = np.nan
    np.testing.assert_array_equal(reconstruct(dirty, PAIR)["sst"], reconstruct(clean, PAIR)["sst"])


# ------------------------------------------------------------------------ shapes and tiles


@pytest.mark.parametrize("H, W", [(5, 7), (1, 9), (9, 1), (1, 1), (64, 64), (65, 63), (70, 131)])
def test_any_shape(H, W):
    daily = daily_maps(H=H, W=W, days=29)
    daily["ocean_mask"][:] = True
    checked(reconstruct(daily, network()), daily)


@pytest.mark.parametrize("n", [1, 3, 16, 47, 48, 63, 64, 65, 100, 113, 720, 1441])
@pytest.mark.parametrize("multiple", [1, 4, 6])
def test_tiles_cover_all_and_overlap(n, multiple):
    tiles = _tiles(n, 64, 16, multiple)
    assert len({len(t) for t in tiles}) == 1
    assert len(tiles[0]) % multiple == 0
    assert set(range(n)) <= set(np.concatenate(tiles))
    assert all(a[-1] - b[0] + 1 >= 16 for a, b in zip(tiles, tiles[1:], strict=False))
    if n > 66:
        assert max(t[-1] for t in tiles) == n - 1  # no padding where there is enough map
        assert len(tiles) <= n / 48 + 1


@pytest.mark.parametrize("n", [5, 36, 48, 72, 360, 1440])
def test_tiles_go_around_the_globe(n):
    tiles = _tiles(n, 64, 16, 4, wraps=True)
    weight = np.zeros(n)
    for t in tiles:
        np.add.at(weight, t % n, _window(len(t), 16))
    assert weight.min() > 0.45  # no cell depends on the rim of a tile alone
    ends = [t[-1] for t in tiles]
    starts = [t[0] for t in tiles[1:]] + [tiles[0][0] + n]
    assert all(end - start + 1 >= 16 for end, start in zip(ends, starts, strict=True))


@pytest.mark.parametrize("wraps", [False, True])
@pytest.mark.parametrize("tile, overlap", [(16, 4), (20, 8), (64, 16)])
def test_blending_is_a_partition_of_unity(tile, overlap, wraps, monkeypatch):
    """What every tile agrees on comes out unchanged, whatever the tiles."""

    def agreed(network, settings, anomaly, missing, land, days_mask):
        return anomaly.mean(1), 0 * anomaly.mean(1) + 3.0

    monkeypatch.setattr(reconstruction, "predict", agreed)
    H, W = 37, 53
    anomaly = np.random.default_rng(0).normal(size=(4, H, W)).astype("float32")
    seen = np.ones(anomaly.shape, bool)
    a, b = _tiled(*PAIR, anomaly, seen, seen[0], wraps, tile, overlap)
    np.testing.assert_allclose(a, anomaly.mean(0), atol=1e-6)
    np.testing.assert_allclose(b, 3.0)


def test_tiles_leave_no_seam():
    """Tiled against untiled, on a map of 3 x 3 tiles with 70 % cloud."""
    daily = daily_maps(H=150, W=160, days=29)
    sst, ocean = daily["sst"].values, daily["ocean_mask"].values
    seen = np.isfinite(sst)
    anomaly = np.where(seen, sst - 15, np.nan).astype("float32")
    whole = _tiled(*PAIR, anomaly, seen, ocean, False, tile=160)
    tiled = _tiled(*PAIR, anomaly, seen, ocean, False)
    for a, b in zip(whole, tiled, strict=True):
        difference = np.abs(a - b)[ocean]
        assert difference.max() < 0.05
        assert np.sqrt(np.mean(difference**2)) < 0.005


def globe(H=24, W=72, **settings):
    daily = daily_maps(H=H, W=W, lat=(-60, 60), lon=(-180, 180), **settings)
    daily["ocean_mask"][:] = True
    daily["sst"] += 0.28 * (daily["lat"] - daily["lat"][0])  # 5 degrees a row: a gentle slope
    return daily


def test_the_globe_has_no_seam_at_the_dateline():
    daily = globe(cover=0.5)
    out = checked(reconstruct(daily, PAIR), daily)
    rolled = daily.roll(lon=31, roll_coords=False)
    turned = reconstruct(rolled, PAIR)["sst"].roll(lon=-31, roll_coords=False)
    difference = turned - out["sst"]  # background and tiles begin elsewhere: a little may differ
    assert float(abs(difference).max()) < 0.15
    assert float(np.sqrt((difference**2).mean())) < 0.04
    east, west = out["sst"][0, :, -1], out["sst"][0, :, 0]
    inner = abs(out["sst"][0].diff("lon"))
    assert float(abs(east - west).mean()) < 2 * float(inner.mean())


def test_only_a_globe_wraps():
    seen = []
    for lon in ((-180, 180), (-180, 175), (0, 360), (150, 156)):
        daily = daily_maps(H=4, W=72, lon=lon)
        seen.append(reconstruction._is_global(daily["lon"].values))
    assert seen == [True, False, True, False]


def test_across_the_dateline():
    daily = daily_maps(lon=(170, 190))
    checked(reconstruct(daily, PAIR), daily)


# ------------------------------------------------------------------------ how it comes in


def test_lazy_input_is_read_month_by_month():
    daily = daily_maps(days=60)
    read = []

    def spy(block, block_info=None):
        if block_info:
            read.append(block_info[0]["array-location"][0])
        return block

    lazy = daily.chunk(time=1)
    lazy["sst"] = lazy["sst"].copy(data=lazy["sst"].data.map_blocks(spy, dtype="float32"))
    out = reconstruct(lazy, PAIR)
    np.testing.assert_array_equal(out["sst"], reconstruct(daily, PAIR)["sst"])
    assert sorted(read) == [(i, i + 1) for i in range(60)]  # each day once
    assert max(day for day, _ in read[:29]) == 28  # February before March


def test_untidy_input_is_tidied():
    daily = daily_maps(cover=0.3)
    expected = reconstruct(daily, PAIR)
    shuffled = daily.isel(time=np.random.default_rng(0).permutation(29))
    xr.testing.assert_allclose(reconstruct(shuffled, PAIR)["sst"], expected["sst"])
    north_first = daily.isel(lat=slice(None, None, -1))
    xr.testing.assert_allclose(reconstruct(north_first, PAIR)["sst"], expected["sst"])
    kelvin = daily.assign(sst=(daily["sst"] + 273.15).assign_attrs(units="K"))
    xr.testing.assert_allclose(reconstruct(kelvin, PAIR)["sst"], expected["sst"], atol=1e-3)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_any_float(dtype):
    daily = daily_maps()
    out = reconstruct(daily.assign(sst=daily["sst"].astype(dtype)), PAIR)
    np.testing.assert_allclose(out["sst"], reconstruct(daily, PAIR)["sst"], atol=0.02)


def test_input_is_left_alone():
    daily = daily_maps()
    before = daily.copy(deep=True)
    model, settings = network()
    model.train()
    reconstruct(daily, (model, settings))
    xr.testing.assert_identical(daily, before)
    assert model.training


def test_same_input_same_output():
    daily = daily_maps()
    xr.testing.assert_identical(reconstruct(daily, network()), reconstruct(daily, network()))


# ------------------------------------------------------------------------ climatology and model


def test_a_climatology_gives_the_anomalies():
    year = daily_maps(H=12, W=12, days=366, start="2016-01-01", cover=0.0)
    climatology = daily_climatology(year)
    daily = year.sel(time="2016-07").copy(deep=True)
    daily["sst"] = daily["sst"].where(np.random.default_rng(0).random(daily["sst"].shape) > 0.97)
    truth = year["sst"].sel(time="2016-07").mean("time")
    with_it = reconstruct(daily, PAIR, climatology)
    assert float(abs(with_it["sst"][0] - truth).mean()) < 0.5
    assert with_it.attrs["prior_mean"] == "climatology given"
    without = reconstruct(daily, PAIR)
    assert without.attrs["prior_mean"].startswith("smooth background")


def test_a_climatology_with_holes():
    year = daily_maps(H=12, W=12, days=366, start="2016-01-01", cover=0.0)
    climatology = daily_climatology(year)
    climatology[:, 6, 6] = np.nan
    daily = year.sel(time="2016-07")
    with pytest.warns(UserWarning, match="climatology has gaps in 1 of 135 ocean cells"):
        checked(reconstruct(daily, PAIR, climatology), daily)


def test_climatology_of_another_grid_is_refused():
    year = daily_maps(H=8, W=8, days=366, start="2016-01-01", cover=0.0)
    climatology = daily_climatology(year)
    with pytest.raises(ValueError, match=r"climatology has lon .*\(6 values\), daily has .*interp"):
        reconstruct(year, PAIR, climatology.isel(lon=slice(6)))
    shifted = climatology.assign_coords(lat=climatology["lat"] + 0.3)
    with pytest.raises(ValueError, match="climatology has lat"):
        reconstruct(year, PAIR, shifted)
    with pytest.raises(ValueError, match="daily_climatology makes one"):
        reconstruct(year, PAIR, year["sst"])
    with pytest.raises(ValueError, match="daily_climatology makes one"):
        reconstruct(year, PAIR, "climatology.nc")


def test_weights_from_a_file_and_what_is_said_of_them(tmp_path):
    config = dict(embed_dim=16, hidden=16, spatial_depth=1, spatial_heads=2)
    model, settings = network()
    path = tmp_path / "mine.safetensors"
    save_weights(path, model.eval(), config, settings, {"why": "test"})
    daily = daily_maps()
    out = reconstruct(daily, path)
    np.testing.assert_array_equal(out["sst"], reconstruct(daily, (model, settings))["sst"])
    assert out.attrs["weights"] == "mine"
    assert out.attrs["weights_sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert '"scale": 0.7' in out.attrs["settings"]
    assert out.attrs["sst_tutorial_version"] == sst_tutorial.__version__


def test_weights_in_memory_are_told_apart():
    daily = daily_maps(days=29)
    model, settings = network()
    a = reconstruct(daily, (model, settings)).attrs["weights_sha256"]
    model.decoder.bias.data += 0.1
    assert reconstruct(daily, (model, settings)).attrs["weights_sha256"] != a


@pytest.mark.parametrize(
    "daily, model, text",
    [
        ("file.nc", PAIR, "got str; open a file with sst_tutorial.open_sst"),
        (np.zeros((29, 4, 4)), PAIR, "got ndarray"),
        (daily_maps().isel(time=slice(0)), PAIR, "daily is empty"),
        (daily_maps().isel(lat=slice(0)), PAIR, "daily is empty"),
        (daily_maps(), Smooth(), "pair .nn.Module, Settings.*got Smooth"),
        (daily_maps(), "no-such-model", "no-such-model"),
        (daily_maps(), 7, "got int"),
        (xr.Dataset({"chlorophyll": ("x", [1.0])}), PAIR, "SST"),
    ],
)
def test_wrong_input_is_named(daily, model, text):
    with pytest.raises(ValueError, match=text):
        reconstruct(daily, model)


def test_kelvin_under_a_celsius_label_is_refused():
    daily = daily_maps()
    daily["sst"] = (daily["sst"] + 273.15).assign_attrs(units="degree_Celsius")
    for climatology in (None, daily_climatology(daily_maps(days=366, cover=0.0))):
        with pytest.raises(ValueError, match="labelled degC but reaches 28"):
            reconstruct(daily, PAIR, climatology)


def test_attributes(tmp_path):
    out = reconstruct(daily_maps(), PAIR)
    assert out.attrs["Conventions"] == "CF-1.11, ACDD-1.3"
    assert out["sst"].attrs["standard_name"] == "sea_surface_temperature"
    assert out["sst"].attrs["cell_methods"] == "time: mean"
    assert out["time"].attrs["bounds"] == "time_bnds"
    assert out.attrs["time_coverage_end"] == "2016-02-29"
    assert out.attrs["geospatial_lat_min"] == pytest.approx(-44.875)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out.to_netcdf(tmp_path / "out.nc")
    back = open_sst(tmp_path / "out.nc")  # our own output is readable input, land mask and all
    np.testing.assert_allclose(back["sst"], out["sst"], atol=1e-5)


# ------------------------------------------------------------------------ real data


@needs_data
def test_alboran():
    daily = open_sst(shared_data() / "alboran_l3_201705.nc")
    with pytest.warns(UserWarning, match="2017-05: daily holds 10 of 31 days"):
        out = checked(reconstruct(daily, network()), daily)
    assert 17 < float(out["baseline"].mean()) < 20
    seen = daily["sst"].mean("time")
    assert float(np.sqrt(((out["baseline"][0] - seen) ** 2).mean())) < 1.0


@needs_data
def test_tasmania_with_its_own_climatology():
    daily = open_sst(shared_data() / "oisst_tasmania_1982_2016.nc")
    climatology = daily_climatology(daily, (2008, 2010))
    month = daily.sel(time="2012-03").load()
    hidden = month.assign(
        sst=month["sst"].where(np.random.default_rng(0).random(month["sst"].shape) > 0.9)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out = checked(reconstruct(hidden, PAIR, climatology), month)
    error = out["baseline"][0] - month["sst"].mean("time")
    assert float(np.sqrt((error**2).mean())) < 0.3


@pytest.mark.parametrize("shape", [(32, 32), (32, 1), (1, 32)])
@pytest.mark.parametrize("looks", [1, 2, 3, 10, 40])
def test_isolated_looks_do_not_run_away(shape, looks):
    """No two neighbours seen on one day: the passes must not adapt to a noise of nothing."""
    rng = np.random.default_rng(looks)
    seen = np.zeros((31, *shape), dtype=bool)
    seen.flat[rng.choice(seen.size, looks, replace=False)] = True
    sst = np.where(seen, 15.5 + 0.5 * rng.standard_normal(seen.shape), np.nan)
    climatology = np.full(seen.shape, 15.0, "float32")
    month = reconstruction.as_method()(sst, np.ones(shape, dtype=bool), climatology)
    assert np.abs(month - 15.5).max() < 2


def test_a_strait_one_column_wide():
    ocean = np.zeros((32, 32), dtype=bool)
    ocean[:, 10] = True
    seen = (np.random.default_rng(0).random((31, 32, 32)) < 0.4) & ocean
    sst = np.where(seen, 15.5, np.nan)
    month = reconstruction.as_method()(sst, ocean, np.full(sst.shape, 15.0, "float32"))
    assert np.abs(month[ocean] - 15.5).max() < 0.5


def test_a_climatology_with_other_axes_or_units():
    daily = simulate_ocean(shape=(16, 16), start="2001-05-01", days=31)
    seen = observe(daily, simulate_clouds(daily, cover=0.8))
    climatology = daily_climatology(
        simulate_ocean(shape=(16, 16), start="2000-01-01", days=366), (2000, 2000)
    )
    expected = reconstruct(seen, None, climatology)
    turned = reconstruct(seen, None, climatology.transpose("dayofyear", "lon", "lat"))
    np.testing.assert_allclose(turned["sst"], expected["sst"])
    with pytest.raises(ValueError, match=r"climatology must be in degC but reaches 2\d\d"):
        reconstruct(seen, None, climatology + 273.15)


def test_as_method_checks_what_every_rival_checks():
    sst, ocean = np.full((30, 8, 8), 15.0), np.ones((8, 8), dtype=bool)
    for climatology in (np.full((8, 8), 15.0), np.full((30, 8, 8), np.nan)):
        with pytest.raises(ValueError, match="climatology"):
            reconstruction.as_method()(sst, ocean, climatology)
