"""reconstruct: any size, any month, any gap; tiles leave no seam; the output says what it is."""

import copy
import threading
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from torch import nn

import sst_tutorial
from sst_tutorial import tiles, weights
from sst_tutorial.baselines import gaussian
from sst_tutorial.benchmark import shared_data
from sst_tutorial.data import open_sst
from sst_tutorial.first_guess import GaussianMean
from sst_tutorial.months import Month, month_of
from sst_tutorial.networks import Estimator, build
from sst_tutorial.prior import daily_climatology, is_global
from sst_tutorial.reconstruction import as_method, reconstruct
from sst_tutorial.simulate import observe, simulate_clouds, simulate_ocean
from sst_tutorial.tiles import DAYS, tiled, tiles_of, window_of
from sst_tutorial.weights import (
    find_weights,
    fingerprint,
    load_weights,
    read_metadata,
    save_weights,
)

needs_data = pytest.mark.skipif(shared_data() is None, reason="no real data: SST_TUTORIAL_DATA")


class Smooth(nn.Module):
    """A network that looks at one cell alone: what differs between tiles is then the tiling."""

    def __init__(self, patch_size=(1, 4, 4), gain=0.1):
        super().__init__()
        self.patch_size = patch_size
        self.last = nn.Linear(1, 1, bias=False)
        nn.init.constant_(self.last.weight, gain)

    def forward(self, data, missing, land, no_such_day, skip, wanted=None):
        data = data.masked_fill(missing, 0.0)
        assert data.shape[2] % self.patch_size[0] == 0
        return self.last.weight * data.mean((1, 2)).masked_fill(land, 0.0)


def smooth(scale=2.0, **arguments):
    return Estimator(GaussianMean(), Smooth(**arguments), scale).eval()


SMOOTH = smooth()
FIRST_GUESS = {"name": "gaussian"}
NETWORK = {"name": "transformer", "embed_dim": 16, "hidden": 16, "spatial_depth": 1}
NETWORK |= {"spatial_heads": 2}


def network():
    """A small transformer that says something, never trained."""
    torch.manual_seed(0)
    estimator = build(FIRST_GUESS, NETWORK, scale=0.7).eval()
    nn.init.normal_(estimator.network.last.weight, std=0.1)
    return estimator


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
    for name in ("sst", "first_guess"):
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
    out = checked(reconstruct(daily, SMOOTH), daily)
    assert out["time"].values.tolist() == np.array(["2016-02-01"], "datetime64[ns]").tolist()
    np.testing.assert_array_equal(out["n_observed"][0], np.isfinite(daily["sst"]).sum("time"))
    assert abs(float(out["sst"].mean() - daily["sst"].mean())) < 0.3


def test_the_first_guess_is_the_gaussian():
    daily = daily_maps()
    out = reconstruct(daily, SMOOTH)
    expected = gaussian(Month(daily["sst"].values, daily["ocean_mask"].values))
    np.testing.assert_allclose(out["first_guess"][0], expected, atol=1e-3)


def test_the_network_is_added_in_kelvin():
    daily = daily_maps()
    a = reconstruct(daily, smooth(gain=0.0))
    np.testing.assert_array_equal(a["sst"], a["first_guess"])
    b = reconstruct(daily, SMOOTH)
    np.testing.assert_array_equal(b["first_guess"], a["first_guess"])
    assert float(abs(b["sst"] - b["first_guess"]).max()) > 0.01


@pytest.mark.parametrize("patch", [(1, 4, 4), (2, 8, 4), (5, 4, 8)])
def test_months_of_28_to_31_days_and_three_years(patch):
    daily = daily_maps(H=6, W=5, start="2015-01-01", days=3 * 365 + 1)
    estimator = smooth(patch_size=patch)
    out = checked(reconstruct(daily, estimator), daily)
    assert out.sizes["time"] == 36
    assert out["time"].dt.day.values.tolist() == [1] * 36
    month = out["time"].to_index().to_period("M")
    assert (out["time_bnds"].values[:, 1] == (month + 1).start_time.values).all()
    alone = reconstruct(daily.sel(time="2016-02"), estimator)
    xr.testing.assert_allclose(alone["sst"][0], out["sst"].sel(time="2016-02-01"))


def test_months_do_not_touch_each_other():
    daily = daily_maps(days=60)
    changed = daily.copy(deep=True)
    changed["sst"][40:] += 5
    a, b = reconstruct(daily, SMOOTH), reconstruct(changed, SMOOTH)
    np.testing.assert_array_equal(a["sst"][0], b["sst"][0])
    assert float(b["sst"][1].mean() - a["sst"][1].mean()) > 1


def test_absent_days_count_as_not_seen_and_are_told():
    daily = daily_maps()
    kept = daily.isel(time=np.r_[0:5, 9:29])
    hidden = daily.copy(deep=True)
    hidden["sst"][5:9] = np.nan
    with pytest.warns(UserWarning, match="2016-02: daily holds 25 of 29 days"):
        out = reconstruct(kept, SMOOTH)
    np.testing.assert_array_equal(out["sst"], reconstruct(hidden, SMOOTH)["sst"])
    assert out.attrs["months_with_absent_days"] == "2016-02 (25 of 29 days)"
    assert "months_with_absent_days" not in reconstruct(daily, SMOOTH).attrs


def test_single_day():
    daily = daily_maps(days=1)
    with pytest.warns(UserWarning, match="1 of 29 days"):
        checked(reconstruct(daily, SMOOTH), daily)


# ------------------------------------------------------------------------ nothing to see


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("output", ["monthly", "both"])
def test_a_month_of_which_nothing_is_known_is_nan_with_a_warning(output, lazy):
    """It was 18 degC everywhere, between months of 12."""
    daily = daily_maps(days=60)
    daily["sst"][29:] = np.nan  # March
    daily = daily.chunk(time=1) if lazy else daily
    with pytest.warns(UserWarning, match="2016-03 has no observation, and no climatology is given"):
        out = reconstruct(daily, network(), output=output).compute()
    march = out["time"].dt.month == 3
    assert march.any() and out["sst"][march].isnull().all()
    assert out["first_guess"][march].isnull().all()
    ocean = daily["ocean_mask"].values
    assert np.isfinite(out["sst"].values[~march.values][:, ocean]).all()
    if output == "both":
        means = out["sst_mean_of_month"]
        assert means[1].isnull().all() and np.isfinite(means[0].values[ocean]).all()
    if not lazy:
        assert out.attrs["months_without_observation"] == "2016-03"


def test_a_month_without_observation_is_its_climatology_where_there_is_one():
    daily = daily_maps(H=8, W=8, days=366, start="2016-01-01", cover=0.0)
    climatology = daily_climatology(daily)
    february = daily.sel(time="2016-02").copy(deep=True)
    february["sst"][:] = np.nan
    with pytest.warns(UserWarning, match="its map is the climatology"):
        out = reconstruct(february, SMOOTH, climatology)
    expected = climatology.sel(dayofyear=slice(32, 60)).mean("dayofyear")
    np.testing.assert_allclose(out["sst"][0], expected, atol=1e-4)


def test_one_observation():
    daily = daily_maps()
    one = daily.copy(deep=True)
    one["sst"][:] = np.nan
    one["sst"][13, 10, 12] = 11.5
    out = checked(reconstruct(one, network()), one)
    assert int(out["n_observed"].sum()) == 1
    assert float(out["first_guess"].min()) == pytest.approx(11.5)


def test_all_land():
    daily = daily_maps()
    daily["ocean_mask"][:] = False
    with pytest.warns(UserWarning, match="all land"):
        out = reconstruct(daily, SMOOTH)
    assert out["sst"].isnull().all()
    assert int(out["n_observed"].sum()) == 0


def test_a_far_empty_sea_gets_the_first_guess_not_the_network():
    daily = daily_maps(H=20, W=300)
    daily["sst"][:, :, 100:] = np.nan

    class Loud(Smooth):
        def forward(self, data, missing, land, no_such_day, skip, wanted=None):
            return torch.full_like(data[:, 0, 0], 20.0)

    out = checked(reconstruct(daily, Estimator(GaussianMean(), Loud())), daily)
    assert float((out["sst"] - out["first_guess"]).max()) == pytest.approx(20, abs=1e-4)
    empty = out.isel(lon=slice(200, None))
    np.testing.assert_array_equal(empty["sst"], empty["first_guess"])


def test_infinite_values_are_gaps():
    daily = daily_maps()
    dirty = daily.copy(deep=True)
    dirty["sst"].values[3, 10] = np.inf
    clean = daily.copy(deep=True)
    clean["sst"].values[3, 10] = np.nan
    a, b = reconstruct(dirty, SMOOTH), reconstruct(clean, SMOOTH)
    np.testing.assert_array_equal(a["sst"], b["sst"])


# ------------------------------------------------------------------------ shapes and tiles


@pytest.mark.parametrize("H, W", [(5, 7), (1, 9), (9, 1), (1, 1), (64, 64), (65, 63), (70, 131)])
def test_any_shape(H, W):
    daily = daily_maps(H=H, W=W, days=29)
    daily["ocean_mask"][:] = True
    checked(reconstruct(daily, network()), daily)


@pytest.mark.parametrize("n", [1, 3, 16, 31, 32, 33, 47, 63, 64, 65, 100, 113, 720, 1441])
@pytest.mark.parametrize("tile, overlap", [(32, 8), (64, 16)])
def test_tiles_cover_all_and_overlap(n, tile, overlap):
    tiles = tiles_of(n, tile, overlap)
    assert {len(t) for t in tiles} == {min(n, tile)}
    assert set(range(n)) == set(np.concatenate(tiles))  # no index beside the map
    assert all(a[-1] - b[0] + 1 >= overlap for a, b in zip(tiles, tiles[1:], strict=False))
    assert len(tiles) <= n / (tile - overlap) + 1


@pytest.mark.parametrize("n", [33, 36, 48, 64, 72, 360, 1440])
@pytest.mark.parametrize("tile, overlap", [(32, 8), (32, 16)])
def test_tiles_go_around_the_globe(n, tile, overlap):
    tiles = tiles_of(n, tile, overlap, wraps=True)
    weight = np.zeros(n)
    for t in tiles:
        assert len(set(t)) == tile and set(t) <= set(range(n))
        np.add.at(weight, t, window_of(tile, overlap))
    assert weight.min() > 0.45  # no cell depends on the rim of a tile alone
    starts = [t[0] for t in tiles] + [tiles[0][0] + n]
    assert all(a + tile - b >= overlap for a, b in zip(starts, starts[1:], strict=False))


def test_a_small_globe_has_two_tiles_and_no_seam():
    whole, turned = tiles_of(24, 32, 8, wraps=True)
    np.testing.assert_array_equal(whole, np.arange(24))
    np.testing.assert_array_equal(turned, np.roll(np.arange(24), 12))


@pytest.mark.parametrize("wraps", [False, True])
@pytest.mark.parametrize("tile, overlap", [(16, 4), (20, 8), (32, 8), (64, 16)])
def test_blending_is_a_partition_of_unity(tile, overlap, wraps, monkeypatch):
    """What every tile agrees on comes out unchanged, whatever the tiles."""

    def agreed(estimator, months, question, spread):
        fields = [m.anomaly if question is DAYS else m.anomaly.mean(0)[None] for m in months]
        return np.stack([np.stack([field, 0 * field + 3.0]) for field in fields])

    monkeypatch.setattr(tiles, "_estimate", agreed)
    H, W = 37, 53
    anomaly = np.random.default_rng(0).normal(size=(4, H, W)).astype("float32")
    month = Month(anomaly + 15, np.ones((H, W), bool), np.full((4, H, W), 15.0, "float32"))
    a, b = tiled(SMOOTH, month, wraps, None, tile, overlap)
    np.testing.assert_allclose(a[0], anomaly.mean(0), atol=1e-5)
    np.testing.assert_allclose(b, 3.0, rtol=1e-6)
    a, b = tiled(SMOOTH, month, wraps, DAYS, tile, overlap)
    np.testing.assert_allclose(a, anomaly, atol=1e-5)
    assert b.shape == (4, H, W)


def test_tiles_leave_no_seam():
    """Tiled against untiled, on a map of 7 x 7 tiles with 70 % cloud."""
    daily = daily_maps(H=150, W=160, days=29)
    sst, ocean = daily["sst"].values, daily["ocean_mask"].values
    month = Month(sst, ocean, np.full(sst.shape, 15.0, "float32"))
    whole = tiled(SMOOTH, month, False, tile=160)
    parts = tiled(SMOOTH, month, False)
    for a, b in zip(whole, parts, strict=True):
        difference = np.abs(a - b)[:, ocean]
        assert difference.max() < 0.05
        assert np.sqrt(np.mean(difference**2)) < 0.005


def globe(H=24, W=72, **settings):
    daily = daily_maps(H=H, W=W, lat=(-60, 60), lon=(-180, 180), **settings)
    daily["ocean_mask"][:] = True
    daily["sst"] += 0.28 * (daily["lat"] - daily["lat"][0])  # 5 degrees a row: a gentle slope
    return daily


def test_the_globe_has_no_seam_at_the_dateline():
    daily = globe(cover=0.5)
    out = checked(reconstruct(daily, SMOOTH), daily)
    rolled = daily.roll(lon=31, roll_coords=False)
    turned = reconstruct(rolled, SMOOTH)["sst"].roll(lon=-31, roll_coords=False)
    difference = turned - out["sst"]  # prior and tiles begin elsewhere: a little may differ
    assert float(abs(difference).max()) < 0.15
    assert float(np.sqrt((difference**2).mean())) < 0.04
    east, west = out["sst"][0, :, -1], out["sst"][0, :, 0]
    inner = abs(out["sst"][0].diff("lon"))
    assert float(abs(east - west).mean()) < 2 * float(inner.mean())


@pytest.mark.parametrize("W", [12, 24, 32, 33])
def test_a_small_globe_may_begin_anywhere(W):
    """One tile that did not go on past its last column differed by up to 0.7 K."""
    daily = globe(W=W, cover=0.5)
    rolled = daily.roll(lon=W // 2, roll_coords=False)
    turned = reconstruct(rolled, SMOOTH)["sst"].roll(lon=-(W // 2), roll_coords=False)
    difference = turned - reconstruct(daily, SMOOTH)["sst"]
    assert float(abs(difference).max()) < 0.29
    assert float(np.sqrt((difference**2).mean())) < 0.06


def test_only_a_globe_wraps():
    seen = []
    for lon in ((-180, 180), (-180, 175), (0, 360), (150, 156)):
        daily = daily_maps(H=4, W=72, lon=lon)
        seen.append(is_global(daily["lon"].values))
    assert seen == [True, False, True, False]


def test_across_the_dateline():
    daily = daily_maps(lon=(170, 190))
    checked(reconstruct(daily, SMOOTH), daily)


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
    out = reconstruct(lazy, SMOOTH).compute(scheduler="synchronous")
    np.testing.assert_array_equal(out["sst"], reconstruct(daily, SMOOTH)["sst"])
    assert sorted(read) == [(i, i + 1) for i in range(60)]  # each day once
    in_march = [day >= 29 for day, _ in read]
    assert np.diff(in_march).sum() == 1  # one month after the other


def test_untidy_input_is_tidied():
    daily = daily_maps(cover=0.3)
    expected = reconstruct(daily, SMOOTH)
    shuffled = daily.isel(time=np.random.default_rng(0).permutation(29))
    xr.testing.assert_allclose(reconstruct(shuffled, SMOOTH)["sst"], expected["sst"])
    north_first = daily.isel(lat=slice(None, None, -1))
    xr.testing.assert_allclose(reconstruct(north_first, SMOOTH)["sst"], expected["sst"])
    kelvin = daily.assign(sst=(daily["sst"] + 273.15).assign_attrs(units="K"))
    xr.testing.assert_allclose(reconstruct(kelvin, SMOOTH)["sst"], expected["sst"], atol=1e-3)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_any_float(dtype):
    daily = daily_maps()
    out = reconstruct(daily.assign(sst=daily["sst"].astype(dtype)), SMOOTH)
    np.testing.assert_allclose(out["sst"], reconstruct(daily, SMOOTH)["sst"], atol=0.02)


def test_input_is_left_alone():
    daily = daily_maps()
    before = daily.copy(deep=True)
    estimator = network().train()
    weights = copy.deepcopy(estimator.state_dict())
    reconstruct(daily, estimator)
    xr.testing.assert_identical(daily, before)
    assert estimator.training and estimator.network.training
    torch.testing.assert_close(estimator.state_dict(), weights, rtol=0, atol=0)


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
    with_it = reconstruct(daily, SMOOTH, climatology)
    assert float(abs(with_it["sst"][0] - truth).mean()) < 0.5
    assert with_it.attrs["prior"] == "climatology given"
    without = reconstruct(daily, SMOOTH)
    assert without.attrs["prior"] == "smooth map of each month itself"


def test_a_climatology_with_holes():
    year = daily_maps(H=12, W=12, days=366, start="2016-01-01", cover=0.0)
    climatology = daily_climatology(year)
    climatology[:, 6, 6] = np.nan
    daily = year.sel(time="2016-07")
    with pytest.warns(UserWarning, match="climatology has gaps in 1 of 135 ocean cells"):
        checked(reconstruct(daily, SMOOTH, climatology), daily)


def test_climatology_of_another_grid_is_refused():
    year = daily_maps(H=8, W=8, days=366, start="2016-01-01", cover=0.0)
    climatology = daily_climatology(year)
    with pytest.raises(ValueError, match=r"climatology has lon .*\(6 values\), daily has .*interp"):
        reconstruct(year, SMOOTH, climatology.isel(lon=slice(6)))
    shifted = climatology.assign_coords(lat=climatology["lat"] + 0.3)
    with pytest.raises(ValueError, match="climatology has lat"):
        reconstruct(year, SMOOTH, shifted)
    with pytest.raises(ValueError, match="daily_climatology makes one"):
        reconstruct(year, SMOOTH, year["sst"])
    with pytest.raises(ValueError, match="daily_climatology makes one"):
        reconstruct(year, SMOOTH, "climatology.nc")


def test_weights_from_a_file_or_a_run_and_what_is_said_of_them(tmp_path):
    estimator = network()
    (tmp_path / "my-run").mkdir()
    path, run = tmp_path / "mine.safetensors", tmp_path / "my-run"
    for file in (path, run / "weights.safetensors"):
        save_weights(file, estimator, FIRST_GUESS, NETWORK, {"why": "test"})
    daily = daily_maps()
    expected = reconstruct(daily, estimator)
    assert expected.attrs["weights"] == "SpatioTemporalModel"
    for model, name in ((path, "mine"), (str(path), "mine"), (run, "my-run"), (str(run), "my-run")):
        out = reconstruct(daily, model)
        np.testing.assert_array_equal(out["sst"], expected["sst"])
        assert out.attrs["weights"] == name
        assert out.attrs["weights_sha256"] == expected.attrs["weights_sha256"]
        assert out.attrs["scale"] == 0.7
        assert out.attrs["sst_tutorial_version"] == sst_tutorial.__version__


def test_the_fingerprint_is_of_the_numbers_not_of_the_file(tmp_path):
    estimator = network()
    daily, said = daily_maps(), {}
    turned = dict(reversed(NETWORK.items()))
    for name, slot, about in (
        ("a", NETWORK, {"x": 1, "y": 2}),
        ("b", turned, {"y": 2, "x": 1}),
        ("c", NETWORK, {"long": "z" * 99}),
    ):
        path = tmp_path / f"{name}.safetensors"
        save_weights(path, estimator, FIRST_GUESS, slot, about)
        said[name] = reconstruct(daily, path).attrs["weights_sha256"]
        assert said[name] == read_metadata(path)["sha256"]
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 3
    assert set(said.values()) == {fingerprint(estimator.state_dict())}


def test_the_default_is_the_shipped_network():
    daily = daily_maps()
    out = reconstruct(daily)
    assert out.attrs["weights"] == find_weights().stem
    np.testing.assert_array_equal(out["sst"], reconstruct(daily, load_weights())["sst"])


def test_weights_in_memory_are_told_apart():
    daily = daily_maps(days=29)
    estimator = network()
    a = reconstruct(daily, estimator).attrs["weights_sha256"]
    estimator.network.decoder.bias.data += 0.1
    assert reconstruct(daily, estimator).attrs["weights_sha256"] != a


@pytest.mark.parametrize(
    "bias, told",
    [
        (np.nan, r"nan\.\.nan degC, 450 cells not finite"),
        (np.inf, r"inf\.\.inf degC, 450 cells not finite"),
        (500.0, r"36\d(\.\d)?\.\.36\d(\.\d)? degC, 0 cells not finite"),  # 15 + 0.7 * 500
        (-100.0, r"-5\d.*\.\.-5\d.* degC, 0 cells not finite"),
    ],
)
def test_an_answer_that_no_sea_can_be_is_refused_in_one_line(bias, told):
    estimator = network()
    estimator.network.last.bias.data.fill_(bias)
    daily = daily_maps()
    message = f"^model answers 2016-02 with {told}: no sea is like that; train it again$"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match=message):
            reconstruct(daily, estimator)
        with pytest.raises(ValueError, match=message):
            as_method(estimator)(month_of(daily, pd.Period("2016-02")))


def test_one_bad_cell_is_enough_to_refuse():
    class OneCell(Smooth):
        def forward(self, data, missing, land, no_such_day, skip, wanted=None):
            out = 0 * data[:, 0, 0]
            out[:, 15, 15] = torch.nan
            return out

    daily = daily_maps()
    with pytest.raises(ValueError, match=r"with 1\d.*\.\.1\d.* degC, 1 cells not finite"):
        reconstruct(daily, Estimator(GaussianMean(), OneCell()))


def test_weights_that_are_not_numbers_are_refused(tmp_path):
    estimator = network()
    estimator.network.decoder.proj.weight.data[0, 0] = torch.nan
    path = tmp_path / "broken.safetensors"
    save_weights(path, estimator, FIRST_GUESS, NETWORK, {})
    for load in (load_weights, lambda path: reconstruct(daily_maps(), path)):
        with pytest.raises(ValueError, match="broken.*not finite, in network.decoder.proj.weight"):
            load(path)


@pytest.mark.parametrize(
    "daily, model, text",
    [
        ("file.nc", SMOOTH, "got str; open a file with sst_tutorial.open_sst"),
        (np.zeros((29, 4, 4)), SMOOTH, "got ndarray"),
        (daily_maps().isel(time=slice(0)), SMOOTH, "daily is empty"),
        (daily_maps().isel(lat=slice(0)), SMOOTH, "daily is empty"),
        (daily_maps(), Smooth(), "an Estimator as load_weights returns, got Smooth"),
        (daily_maps(), (SMOOTH, 1.0), "got tuple"),
        (daily_maps(), "no-such-model", "no-such-model"),
        (daily_maps(), 7, "got int"),
        (xr.Dataset({"chlorophyll": ("x", [1.0])}), SMOOTH, "SST"),
    ],
)
def test_wrong_input_is_named(daily, model, text):
    with pytest.raises(ValueError, match=text):
        reconstruct(daily, model)


def year_of_climatology():
    return daily_climatology(daily_maps(days=366, start="2016-01-01", cover=0.0))


def test_kelvin_under_a_celsius_label_is_refused():
    daily = daily_maps()
    daily["sst"] = (daily["sst"] + 273.15).assign_attrs(units="degree_Celsius")
    for climatology in (None, year_of_climatology()):
        with pytest.raises(
            ValueError, match=r"sst of 2016-02 must be a sea in degC.*holds 2[89]\d\..*subtract 273"
        ):
            reconstruct(daily, SMOOTH, climatology)


@pytest.mark.parametrize("fill, told", [(-999.0, "-999.0"), (9999.0, "9999.0"), (-32.768, "-32.8")])
def test_a_fill_value_is_refused_by_name(fill, told):
    """In a Dataset that looks tidy, nobody has looked for fill values."""
    words = f"of 2016-02 must be a sea in degC, -5 to 50, but holds {told};.*fill.*become NaN"
    for place in ((slice(None), 10, 12), (3, 10, 12)):
        daily = daily_maps()
        daily["sst"][place] = fill
        with pytest.raises(ValueError, match=f"sst {words}"):
            reconstruct(daily, SMOOTH)
    climatology = year_of_climatology()
    climatology[:, 10, 12] = fill
    words = f"climatology must be a sea in degC, -5 to 50, but runs .*{told}.*fill.*become NaN"
    with pytest.raises(ValueError, match=words):
        reconstruct(daily_maps(), SMOOTH, climatology)


def test_a_fill_value_on_land_does_not_matter():
    daily, climatology = daily_maps(), year_of_climatology()
    expected = reconstruct(daily, SMOOTH, climatology)
    daily["sst"][:, 0, 0] = -999.0
    climatology[:, 0, 0] = -999.0
    out = reconstruct(daily, SMOOTH, climatology)
    np.testing.assert_array_equal(out["sst"], expected["sst"])
    np.testing.assert_array_equal(out["n_observed"], expected["n_observed"])


def test_attributes(tmp_path):
    out = reconstruct(daily_maps(), SMOOTH)
    assert out.attrs["Conventions"] == "CF-1.11, ACDD-1.3"
    assert out["sst"].attrs["standard_name"] == "sea_surface_temperature"
    assert out["sst"].attrs["cell_methods"] == "time: mean"
    assert out["sst"].attrs["ancillary_variables"] == "n_observed first_guess"
    assert out["first_guess"].attrs["units"] == out["sst"].attrs["units"] == "degree_Celsius"
    assert set(out.data_vars) == {"sst", "first_guess", "n_observed", "time_bnds"}
    assert out["time"].attrs["bounds"] == "time_bnds"
    assert out.attrs["time_coverage_end"] == "2016-02-29"
    assert out.attrs["geospatial_lat_min"] == pytest.approx(-44.875)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out.to_netcdf(tmp_path / "out.nc")
    back = open_sst(tmp_path / "out.nc")  # our own output is readable input, land mask and all
    np.testing.assert_allclose(back["sst"], out["sst"], atol=1e-5)


# ------------------------------------------------------------------------ cores


@pytest.fixture
def threads():
    """Set the number of threads; it is what it was afterwards."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("output", ["monthly", "daily"])
def test_the_number_of_cores_does_not_matter(threads, output):
    daily, maps = daily_maps(H=70, W=70), []
    for n in (1, 2, 3):
        threads(n)
        maps.append(reconstruct(daily, network(), output=output)["sst"])
        assert torch.get_num_threads() == n
    for other in maps[1:]:
        np.testing.assert_allclose(other, maps[0], atol=1e-5)


def test_every_core_has_tiles_of_its_own(threads, monkeypatch):
    threads(2)
    estimate, seen = tiles._estimate, []

    def spy(estimator, months, question, spread):
        seen.append((threading.get_ident(), torch.get_num_threads(), len(months)))
        return estimate(estimator, months, question, spread)

    monkeypatch.setattr(tiles, "_estimate", spy)
    reconstruct(daily_maps(H=70, W=70), network())  # 9 tiles
    assert sorted(tiles for *_, tiles in seen) == [1, 4, 4]
    assert threading.get_ident() not in {who for who, *_ in seen}
    assert {n for _, n, _ in seen} == {1}


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("cores", [1, 2])
def test_what_breaks_on_a_core_leaves_all_as_it_was(threads, monkeypatch, error, cores):
    threads(cores)
    begun = []

    def breaks(*_):
        begun.append(1)
        raise error("broken")

    monkeypatch.setattr(tiles, "_estimate", breaks)
    estimator = network().train()
    with pytest.raises(error, match="broken"):
        reconstruct(daily_maps(H=200, W=200), estimator)  # 64 tiles, 16 parts
    assert torch.get_num_threads() == cores and estimator.training and len(begun) <= 16
    assert not [t for t in threading.enumerate() if t.name.startswith("tiles")]


# ------------------------------------------------------------------------ daily maps


def checked_daily(out, daily):
    """Every day of the months at hand, complete over ocean, on the grid that came in."""
    ocean, time = daily["ocean_mask"].values, out.indexes["time"]
    months = daily.indexes["time"].to_period("M").unique()
    assert len(time) == sum(months.days_in_month) and time.is_unique
    assert set(time.to_period("M")) == set(months)
    for name in ("sst", "first_guess"):
        assert out[name].dims == ("time", "lat", "lon") and out[name].dtype == np.float32
        assert np.isfinite(out[name].values[:, ocean]).all()
        assert np.isnan(out[name].values[:, ~ocean]).all()
    assert out["observed"].dtype == np.int8
    held = out["observed"].sel(time=daily["time"])
    np.testing.assert_array_equal(held, np.isfinite(daily["sst"]) & daily["ocean_mask"])
    assert int(out["observed"].sum()) == int(held.sum())  # absent days saw nothing
    np.testing.assert_array_equal(out["lat"], daily["lat"])
    np.testing.assert_array_equal(out["lon"], daily["lon"])
    return out


def asking_each_day(daily, estimator, period, climatology=None):
    """Daily maps in the slow way: the question put to the method day by day."""
    month, method = month_of(daily, pd.Period(period), climatology), as_method(estimator)
    return np.stack([method(month, day) for day in range(len(month.sst))])


@pytest.mark.parametrize("make", [network, smooth])
@pytest.mark.parametrize("H, W", [(20, 24), (40, 70)])
@pytest.mark.parametrize(
    "start, days", [("2015-02-01", 28), ("2016-02-01", 29), ("2016-07-01", 31)]
)
def test_daily_maps_are_those_asked_day_by_day(make, H, W, start, days):
    daily, estimator = daily_maps(H=H, W=W, start=start, days=days), make()
    out = checked_daily(reconstruct(daily, estimator, output="daily"), daily)
    np.testing.assert_allclose(out["sst"], asking_each_day(daily, estimator, start[:7]), atol=1e-5)
    assert float(out["sst"].std("time").max()) > 0.1


def test_daily_maps_of_the_big_options():
    """All that a network of ours may have: corrections, maps beside the tokens, blocks."""
    torch.manual_seed(0)
    slot = NETWORK | {"skip": True, "temporal_heads": 2, "residual_blocks": 1, "blocks": 1}
    slot["patch_size"] = (2, 4, 4)
    estimator = build({"name": "corrections", "iterations": 4, "adapt": True}, slot, 0.7).eval()
    nn.init.normal_(estimator.network.last.weight, std=0.1)
    daily = daily_maps(H=40, W=40)
    out = checked_daily(reconstruct(daily, estimator, output="daily"), daily)
    np.testing.assert_allclose(out["sst"], asking_each_day(daily, estimator, "2016-02"), atol=1e-5)
    assert float(abs(out["sst"] - out["first_guess"]).mean()) > 0.01


def test_the_first_guess_of_a_day_is_the_gaussian_of_that_day():
    daily = daily_maps()
    out = reconstruct(daily, SMOOTH, output="daily")
    assert float(abs(out["first_guess"][3] - out["first_guess"][20]).max()) > 0.3
    month = reconstruct(daily, SMOOTH)
    mean = out["first_guess"].mean("time")
    np.testing.assert_allclose(mean, month["first_guess"][0], atol=1e-4)


def test_the_mean_is_that_of_the_daily_maps():
    daily = daily_maps(start="2015-02-01", days=28 + 31)
    both, alone = (reconstruct(daily, network(), output=o) for o in ("both", "daily"))
    checked_daily(both, daily)
    xr.testing.assert_identical(both["sst"], alone["sst"])
    assert set(both.data_vars) - set(alone.data_vars) == {"sst_mean_of_month", "month_bnds"}
    for i, days in enumerate((slice(0, 28), slice(28, 59))):
        expected = both["sst"].values[days].astype(float).mean(0).astype(np.float32)
        np.testing.assert_array_equal(both["sst_mean_of_month"][i], expected)
    month = reconstruct(daily, network())
    for name in ("time", "time_bnds"):
        ours = both[name.replace("time", "month")]
        np.testing.assert_array_equal(ours, month[name])
        assert ours.attrs == month[name].attrs | ({"bounds": "month_bnds"} if ours.attrs else {})
    assert float(abs(both["sst_mean_of_month"].values - month["sst"].values)[:, 10:].max()) < 0.5


def test_absent_days_have_maps_too():
    daily = daily_maps()
    kept, hidden = daily.isel(time=np.r_[0:5, 9:29]), daily.copy(deep=True)
    hidden["sst"][5:9] = np.nan
    with pytest.warns(UserWarning, match="2016-02: daily holds 25 of 29 days"):
        out = checked_daily(reconstruct(kept, network(), output="daily"), kept)
    same = reconstruct(hidden, network(), output="daily")
    np.testing.assert_array_equal(out["sst"], same["sst"])
    absent = "2016-02-06, 2016-02-07, 2016-02-08, 2016-02-09"
    assert out.attrs["days_without_observation"] == absent
    assert same.attrs["days_without_observation"] == absent
    assert out.attrs["months_with_absent_days"] == "2016-02 (25 of 29 days)"
    assert "months_with_absent_days" not in same.attrs
    full = reconstruct(daily, network(), output="daily")
    assert "days_without_observation" not in full.attrs


def test_one_day_at_hand_gives_the_days_of_its_month():
    daily = daily_maps(days=40).isel(time=slice(38, 39))  # 10 March
    with pytest.warns(UserWarning, match="2016-03: daily holds 1 of 31 days"):
        out = checked_daily(reconstruct(daily, network(), output="both"), daily)
    assert out.sizes["time"] == 31 and out.sizes["month"] == 1
    assert out["observed"].any(("lat", "lon")).values.nonzero()[0].tolist() == [9]


def test_daily_maps_of_months_without_observation():
    year = daily_maps(H=8, W=8, days=366, start="2016-01-01", cover=0.0)
    climatology = daily_climatology(year)
    daily = year.sel(time=slice("2016-02", "2016-03")).copy(deep=True)
    daily["sst"][:29] = np.nan
    with pytest.warns(UserWarning, match="2016-02 has no observation: its map is the climatology"):
        out = reconstruct(daily, network(), climatology, output="daily")
    checked_daily(out, daily)
    expected = climatology.sel(dayofyear=slice(32, 60))
    np.testing.assert_allclose(out["sst"][:29], expected, atol=1e-5)
    assert out.attrs["months_without_observation"] == "2016-02"
    assert out.attrs["days_without_observation"].count(",") == 28
    daily["ocean_mask"][:] = False
    with pytest.warns(UserWarning, match="all land"):
        out = reconstruct(daily, network(), output="both")
    assert out["sst"].isnull().all() and out["sst_mean_of_month"].isnull().all()


def test_daily_maps_have_the_prior_of_their_day():
    year = daily_maps(H=12, W=12, days=366, start="2016-01-01", cover=0.0)
    season = xr.DataArray(5 + 0.05 * np.arange(366, dtype="float32"), dims="time")
    year["sst"] = (0 * year["sst"] + season).assign_attrs(year["sst"].attrs)
    climatology, daily = daily_climatology(year), year.sel(time="2016-07").copy(deep=True)
    daily["sst"][1:-1] = np.nan
    out = reconstruct(daily, SMOOTH, climatology, output="daily")
    assert float((out["first_guess"][-1] - out["first_guess"][0]).mean()) == pytest.approx(1.5)
    asked = asking_each_day(daily, SMOOTH, "2016-07", climatology)
    np.testing.assert_allclose(out["sst"], asked, atol=1e-5)


def test_daily_maps_of_a_globe_have_no_seam():
    daily = globe(cover=0.5, days=29)
    out = checked_daily(reconstruct(daily, SMOOTH, output="daily"), daily)
    rolled = daily.roll(lon=31, roll_coords=False)
    turned = reconstruct(rolled, SMOOTH, output="daily")["sst"].roll(lon=-31, roll_coords=False)
    difference = turned - out["sst"]
    assert float(np.sqrt((difference**2).mean())) < 0.05
    east, west = out["sst"][:, :, -1], out["sst"][:, :, 0]
    assert float(abs(east - west).mean()) < 2 * float(abs(out["sst"].diff("lon")).mean())


def test_days_are_answered_in_parts_whatever_the_size(monkeypatch):
    estimator, sizes = network(), []
    decoder = estimator.network.decoder
    decoder.register_forward_hook(lambda module, args, out: sizes.append(len(out)))
    reconstruct(daily_maps(H=70, W=70), estimator, output="daily")
    assert max(sizes) <= 8 and sum(sizes) == 9 * 29


def test_daily_maps_of_an_estimator_in_training_mode():
    daily, estimator = daily_maps(), network().train()
    weights = copy.deepcopy(estimator.state_dict())
    out = reconstruct(daily, estimator, output="daily")
    assert estimator.training and estimator.network.training
    torch.testing.assert_close(estimator.state_dict(), weights, rtol=0, atol=0)
    np.testing.assert_array_equal(out["sst"], reconstruct(daily, network(), output="daily")["sst"])


def saved(path, daily=None, network=NETWORK):
    """Weights whose run asked for single days with that share, or did not say."""
    torch.manual_seed(0)
    about = {} if daily is None else {"settings": {"daily": daily}}
    save_weights(path, build(FIRST_GUESS, network), FIRST_GUESS, network, about)
    return path


def test_weights_that_never_learned_days_are_refused(tmp_path):
    daily, month = daily_maps(), month_of(daily_maps(), pd.Period("2016-02"))
    never = [saved(tmp_path / "a.safetensors"), saved(tmp_path / "b.safetensors", 0.0), "ocean-1"]
    for model, name in zip(never, ("a", "b", "ocean-1"), strict=True):
        words = (
            f"^model '{name}' never learned to answer for single days.*weights that did: .*daily"
        )
        for output in ("daily", "both"):
            with pytest.raises(ValueError, match=words) as error:
                reconstruct(daily, model, output=output)
            assert "\n" not in str(error.value)
        with pytest.raises(ValueError, match=words):
            as_method(model)(month, 3)
        assert np.isfinite(as_method(model)(month)[month.ocean]).all()
    learned = saved(tmp_path / "c.safetensors", 0.25)
    checked_daily(reconstruct(daily, learned, output="daily"), daily)
    assert np.isfinite(as_method(learned)(month, 3)[month.ocean]).all()


def test_weights_that_learned_days_are_named(tmp_path, monkeypatch):
    saved(tmp_path / "sea-9.safetensors", 0.5)
    saved(tmp_path / "sea-8.safetensors")
    (tmp_path / "sea-9.spread.safetensors").write_bytes(b"no weights of a network")
    monkeypatch.setattr(weights, "SHIPPED", tmp_path)
    with pytest.raises(ValueError, match=r"'sea-8'.* weights that did: sea-9, and any"):
        reconstruct(daily_maps(), tmp_path / "sea-8.safetensors", output="daily")


def test_a_network_for_months_alone_has_no_daily_maps(tmp_path):
    daily, unet = daily_maps(), {"name": "unet", "width": 8}
    path = saved(tmp_path / "unet.safetensors", 0.0, unet)
    for model, name in ((path, "unet"), (build(FIRST_GUESS, unet), "UNet")):
        checked(reconstruct(daily, model), daily)
        with pytest.raises(ValueError, match=f"^model '{name}' answers for whole months only"):
            reconstruct(daily, model, output="daily")
        with pytest.raises(ValueError, match="whole months only"):
            as_method(model)(month_of(daily, pd.Period("2016-02")), 3)


def test_an_output_that_there_is_not_is_named():
    with pytest.raises(
        ValueError, match="output='hourly', choose one of 'monthly', 'daily', 'both'"
    ):
        reconstruct(daily_maps(), SMOOTH, output="hourly")


def test_a_day_that_the_month_has_not_is_named():
    month = month_of(daily_maps(), pd.Period("2016-02"))
    for day in (-1, 29):
        with pytest.raises(ValueError, match=f"day={day}: 2016-02 has days 0 to 28"):
            as_method(SMOOTH)(month, day)
    for day in (0, np.int64(28)):
        assert np.isfinite(as_method(SMOOTH)(month, day)[month.ocean]).all()


@pytest.mark.parametrize("bias", [np.nan, 500.0])
def test_no_day_leaves_that_no_sea_can_be(bias):
    class OneDay(Smooth):
        def forward(self, data, missing, land, no_such_day, skip, wanted=None):
            return torch.where(wanted[:, 13, None, None], bias, 0 * data[:, 0, 0])

    estimator, daily = Estimator(GaussianMean(), OneDay()), daily_maps()
    with pytest.raises(ValueError, match="^model answers 2016-02 with .*no sea is like that"):
        reconstruct(daily, estimator, output="daily")
    method, month = as_method(estimator), month_of(daily, pd.Period("2016-02"))
    assert np.isfinite(method(month, 12)[month.ocean]).all()
    with pytest.raises(ValueError, match="no sea is like that"):
        method(month, 13)


@pytest.mark.parametrize("output", ["daily", "both"])
def test_attributes_of_daily_maps(tmp_path, output):
    daily = daily_maps()
    out = reconstruct(daily, network(), output=output)
    assert out["sst"].attrs["standard_name"] == "sea_surface_temperature"
    assert out["sst"].attrs["cell_methods"] == "time: mean"
    assert out["sst"].attrs["ancillary_variables"] == "observed first_guess"
    assert out["observed"].attrs["flag_meanings"] == "not_observed observed"
    assert out["observed"].attrs["flag_values"].dtype == out["observed"].dtype
    first, after = out["time_bnds"].values.T
    np.testing.assert_array_equal(first, out["time"])
    np.testing.assert_array_equal(after - first, np.timedelta64(1, "D"))
    assert out.attrs["title"].startswith("Daily mean sea surface temperature")
    assert out.attrs["time_coverage_resolution"] == "P1D"
    assert out.attrs["time_coverage_start"] == "2016-02-01"
    assert out.attrs["time_coverage_end"] == "2016-02-29"
    assert out.attrs["weights"] == "SpatioTemporalModel" and out.attrs["scale"] == 0.7
    if output == "both":
        assert out["month"].attrs["bounds"] == "month_bnds"
        assert out["month"].attrs["standard_name"] == "time"
        assert out["sst_mean_of_month"].attrs["cell_methods"] == "month: mean"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        out.to_netcdf(tmp_path / "out.nc")
    with xr.open_dataset(tmp_path / "out.nc", decode_times=False) as raw:
        assert raw["time"].attrs["units"] == "days since 1970-01-01"
        assert "units" not in raw["time_bnds"].attrs  # those of its axis
        assert "_FillValue" not in raw["observed"].attrs
    with pytest.warns(UserWarning, match="made by this package: complete maps"):
        back = open_sst(tmp_path / "out.nc")  # our own output is readable input
    np.testing.assert_allclose(back["sst"], out["sst"], atol=1e-5)
    np.testing.assert_array_equal(back["time"], out["time"])
    np.testing.assert_array_equal(back["ocean_mask"], daily["ocean_mask"])


# ------------------------------------------------------------------------ real data


@needs_data
def test_daily_maps_of_alboran():
    daily = open_sst(shared_data() / "alboran_l3_201705.nc")
    with pytest.warns(UserWarning, match="2017-05: daily holds 10 of 31 days"):
        out = checked_daily(reconstruct(daily, network(), output="both"), daily)
    seen = out["first_guess"].sel(time=daily["time"]) - daily["sst"]
    assert float(np.sqrt((seen**2).mean())) < 0.5


@needs_data
def test_alboran():
    daily = open_sst(shared_data() / "alboran_l3_201705.nc")
    with pytest.warns(UserWarning, match="2017-05: daily holds 10 of 31 days"):
        out = checked(reconstruct(daily, network()), daily)
    assert 17 < float(out["first_guess"].mean()) < 20
    seen = daily["sst"].mean("time")
    assert float(np.sqrt(((out["first_guess"][0] - seen) ** 2).mean())) < 1.0


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
        out = checked(reconstruct(hidden, SMOOTH, climatology), month)
    error = out["first_guess"][0] - month["sst"].mean("time")
    assert float(np.sqrt((error**2).mean())) < 0.3


@pytest.mark.parametrize("shape", [(32, 32), (32, 1), (1, 32)])
@pytest.mark.parametrize("looks", [1, 2, 3, 10, 40])
def test_isolated_looks_do_not_run_away(shape, looks):
    """No two neighbours seen on one day: corrections must not adapt to a noise of nothing."""
    rng = np.random.default_rng(looks)
    seen = np.zeros((31, *shape), dtype=bool)
    seen.flat[rng.choice(seen.size, looks, replace=False)] = True
    sst = np.where(seen, 15.5 + 0.5 * rng.standard_normal(seen.shape), np.nan)
    month = Month(sst, np.ones(shape, dtype=bool), np.full(seen.shape, 15.0, "float32"))
    assert np.abs(as_method()(month) - 15.5).max() < 2


def test_a_strait_one_column_wide():
    ocean = np.zeros((32, 32), dtype=bool)
    ocean[:, 10] = True
    seen = (np.random.default_rng(0).random((31, 32, 32)) < 0.4) & ocean
    sst = np.where(seen, 15.5, np.nan)
    estimate = as_method()(Month(sst, ocean, np.full(sst.shape, 15.0, "float32")))
    assert np.abs(estimate[ocean] - 15.5).max() < 0.5


def test_a_climatology_with_other_axes_or_units():
    daily = simulate_ocean(shape=(16, 16), start="2001-05-01", days=31)
    seen = observe(daily, simulate_clouds(daily, cover=0.8))
    climatology = daily_climatology(
        simulate_ocean(shape=(16, 16), start="2000-01-01", days=366), (2000, 2000)
    )
    expected = reconstruct(seen, None, climatology)
    turned = reconstruct(seen, None, climatology.transpose("dayofyear", "lon", "lat"))
    np.testing.assert_allclose(turned["sst"], expected["sst"])
    with pytest.raises(ValueError, match=r"climatology must be a sea in degC.* from 2\d\d"):
        reconstruct(seen, None, climatology + 273.15)


def test_as_method_is_reconstruct():
    daily = daily_maps(H=40, W=50)
    month = month_of(daily, pd.Period("2016-02"))
    estimate = as_method(SMOOTH)(month)
    np.testing.assert_array_equal(
        estimate.astype("float32"), reconstruct(daily, SMOOTH)["sst"][0].values
    )
    assert np.isnan(estimate[~month.ocean]).all()


def test_as_method_is_checked_like_every_baseline():
    sst, ocean = np.full((30, 8, 8), 15.0), np.ones((8, 8), dtype=bool)
    for prior in (np.full((8, 8), 15.0), np.full((30, 8, 8), np.nan)):
        with pytest.raises(ValueError, match="prior"):
            as_method()(Month(sst, ocean, prior))
    with pytest.raises(ValueError, match="got int"):
        as_method(7)
