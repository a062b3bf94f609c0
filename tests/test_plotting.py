"""The figures show the right numbers at the right place, and the slider needs nothing else."""

import base64
import io
import re
import socket

import matplotlib

matplotlib.use("agg")

import cartopy.crs as ccrs
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from PIL import Image

from sst_tutorial import plotting


@pytest.fixture(autouse=True)
def _close_and_no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a figure asked for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    yield
    plt.close("all")


def grid(lat, lon, values=None, days=None):
    shape = (len(lat), len(lon))
    sst = np.add.outer(np.asarray(lat, float), np.zeros(len(lon))) if values is None else values
    coords, dims = {"lat": lat, "lon": lon}, ("lat", "lon")
    if days:
        coords["time"] = pd.date_range("2001-02-01", periods=days)
        sst, dims = np.broadcast_to(sst, (days, *shape)).copy(), ("time", "lat", "lon")
    return xr.Dataset(
        {"sst": (dims, sst), "ocean_mask": (("lat", "lon"), np.ones(shape, bool))}, coords
    )


TASMANIA = grid(np.linspace(-45, -37, 16), np.linspace(147, 155, 16), days=3)


def pixel(figure, lat, lon):
    """Colour drawn at a place of the first map."""
    ax = figure.axes[0]
    figure.canvas.draw()
    x, y = ax.projection.transform_point(lon, lat, ccrs.PlateCarree())
    column, row = ax.transData.transform((x, y)).round().astype(int)
    image = np.asarray(figure.canvas.buffer_rgba())
    return image[len(image) - 1 - row, column, :3].astype(int)


def is_grey(colour):
    return np.ptp(colour) < 12 and 150 < colour.mean() < 215


@pytest.mark.parametrize(
    ("lat", "lon", "projection"),
    [
        ((-45, -37), (147, 155), ccrs.Mercator),
        ((58, 76), (-20, 15), ccrs.LambertConformal),
        ((-90, 90), (0, 360), ccrs.Robinson),
        ((-90, 90), (-180, 180), ccrs.Robinson),
    ],
)
def test_projection_fits_the_region(lat, lon, projection):
    cells = [(np.arange(12) + 0.5) / 12 * (b - a) + a for a, b in (lat, lon)]
    figure = plotting.plot_map(grid(*cells)["sst"])
    assert type(figure.axes[0].projection) is projection
    figure.canvas.draw()


def test_values_lie_where_they_belong():
    warm_north = plotting.plot_map(TASMANIA["sst"][0], cmap="bwr", limits=(-45, -37))
    assert pixel(warm_north, -37.8, 153)[0] > 230 > pixel(warm_north, -44.6, 153)[0]
    assert is_grey(pixel(warm_north, -42.3, 147.6))  # Tasmania


@pytest.mark.parametrize("west", [170, -190, 165.5])
def test_a_region_across_the_dateline(west):
    lon = west + (np.arange(20) + 0.5)
    east_is_warm = np.broadcast_to(np.arange(20.0), (10, 20))
    figure = plotting.plot_map(
        grid(np.linspace(-22, -12, 10), lon, east_is_warm)["sst"], cmap="bwr", limits=(0, 19)
    )
    left, right = pixel(figure, -20, lon[1]), pixel(figure, -20, lon[-2])
    assert left[2] > 230 > left[0] and right[0] > 230 > right[2]
    assert is_grey(pixel(figure, -17.8, 178.0)), "Fiji's Viti Levu lies at 178 E"
    labels = [t.get_text() for t in figure.axes[0].get_xticklabels()]
    assert "180°" in labels and any("W" in t for t in labels)


@pytest.mark.parametrize("first", [0, -180])
def test_the_globe_has_no_seam(first):
    lon = first + (np.arange(72) + 0.5) * 5
    lat = (np.arange(36) + 0.5) * 5 - 90
    figure = plotting.plot_map(grid(lat, lon, np.ones((36, 72)))["sst"], cmap="bwr", limits=(0, 1))
    for place in (-40, -150), (-40, 165), (-40, -20), (0, -179), (-40, 1):
        assert pixel(figure, *place)[0] > 230, place
    assert is_grey(pixel(figure, -25, 133)) and is_grey(pixel(figure, 50, 90))


def test_a_gap_is_white_and_a_land_cell_grey():
    data = grid(TASMANIA["lat"].values, TASMANIA["lon"].values)
    data["sst"][:8] = np.nan
    data["ocean_mask"][:8, 8:] = False
    figure = plotting.plot_map(data["sst"], like=data)
    assert (pixel(figure, -43.3, 149.3) > 250).all()
    assert is_grey(pixel(figure, -43.3, 153.3))
    assert not is_grey(pixel(figure, -39.3, 153.3))


def test_a_mask_shows_on_land():
    figure = plotting.plot_map(
        np.ones((16, 16)), like=TASMANIA, cmap="bwr", limits=(0, 1), fill_land=False
    )
    assert pixel(figure, -42.3, 147.6)[0] > 230  # Tasmania


def test_plain_arrays_and_tensors_need_a_grid():
    values = torch.zeros(16, 16, requires_grad=True)
    with pytest.raises(ValueError, match=r"fields\[0\].*like="):
        plotting.plot_map(values)
    with pytest.raises(ValueError, match=r"\(4, 4\).*\(16, 16\).*to_pixels"):
        plotting.plot_map(torch.zeros(4, 4), like=TASMANIA)
    with pytest.raises(ValueError, match="one map"):
        plotting.plot_map(TASMANIA["sst"].isel(time=[0, 1]))
    assert plotting.plot_map(values, like=TASMANIA)


def test_maps_share_limits_and_one_bar():
    low, high = TASMANIA["sst"][0], TASMANIA["sst"][0] + 10
    figure = plotting.plot_maps([low, high, low], ["a", "b", "c"], columns=2)
    meshes = [ax.collections[0] for ax in figure.axes[:3]]
    assert len({mesh.get_clim() for mesh in meshes}) == 1
    assert len(figure.axes) == 5 and not figure.axes[3].get_visible()  # 2 x 2 and a bar
    with pytest.raises(ValueError, match="titles has 1"):
        plotting.plot_maps([low, high], ["a"])
    with pytest.raises(ValueError, match="fields is empty"):
        plotting.plot_maps([])


def test_days_carry_their_dates():
    figure = plotting.plot_days(TASMANIA, [0, 2])
    assert [ax.get_title() for ax in figure.axes[:2]] == ["1 Feb", "3 Feb"]


def test_errors_are_symmetric_and_state_the_rmse():
    truth = TASMANIA["sst"][0]
    figure = plotting.plot_errors({"warm": truth + 1, "cold": truth.values - 2}, truth)
    assert [ax.get_title() for ax in figure.axes[:2]] == ["warm: 1.00 K", "cold: 2.00 K"]
    low, high = figure.axes[0].collections[0].get_clim()
    assert low == -high and high == pytest.approx(2)


def test_an_empty_map_is_drawn():
    assert plotting.plot_map(TASMANIA["sst"][0] * np.nan)


def test_patches_spread_over_their_pixels():
    spread = plotting.to_pixels(torch.tensor([[1, 2], [3, 4]]), (2, 3))
    assert spread.shape == (4, 6)
    assert spread[0].tolist() == [1, 1, 1, 2, 2, 2] and spread[3, 0] == 3


def test_pca_gives_near_tokens_near_colours():
    rng = np.random.default_rng(0)
    kinds = rng.normal(size=(4, 32))
    tokens = kinds[np.repeat(range(4), 50)] + 0.01 * rng.normal(size=(200, 32))
    colours = plotting.pca_rgb(torch.tensor(tokens).view(20, 10, 32)).reshape(4, 50, 3)
    assert colours.min() >= 0 and colours.max() <= 1
    apart = np.linalg.norm(colours.mean(1)[:, None] - colours.mean(1), axis=-1)[
        ~np.eye(4, dtype=bool)
    ]
    assert colours.std(1).max() < 0.05 < 0.3 < apart.min()
    # A token far off, left out of the fit, does not squeeze the others together.
    outlier = np.r_[tokens, 1000 * np.ones((1, 32))]
    again = plotting.pca_rgb(outlier, fit=np.arange(201) < 200)[:200]
    np.testing.assert_allclose(again, colours.reshape(200, 3), atol=1e-6)


def test_cube_and_weights():
    assert plotting.plot_cube(TASMANIA, 3)
    figure = plotting.plot_weights(torch.full((28,), 1 / 28), np.ones(28), "even")
    assert len(figure.axes[0].patches) == 28
    shade = figure.axes[1].images[0].cmap
    assert sum(shade(1.0)[:3]) < 0.3 < 2.9 < sum(shade(0.0)[:3])  # white is hidden, as on maps
    with pytest.raises(ValueError, match="pick one patch"):
        plotting.plot_weights(np.ones((2, 28)))


def images(page):
    sources = re.findall(r'src="data:image/webp;base64,([^"]+)"', page.data)
    return [Image.open(io.BytesIO(base64.b64decode(s))) for s in sources]


def test_frames_show_one_image_at_a_time_and_need_nothing_else():
    def draw(i):
        figure, ax = plt.subplots(figsize=(2, 2))
        ax.set_facecolor("red" if i else "blue")
        return figure

    page = plotting.frames(draw, ["one", 'a "quoted" <two>'], lambda i: f"square {i} & co", start=1)
    first, second = (np.asarray(image)[80, 80] for image in images(page))
    assert first[2] > 200 > first[0] and second[0] > 200 > second[2]
    assert page.data.count("display:block") == 1 and "square 1 &amp; co" in page.data
    assert 'aria-label="Day"' in page.data and "&lt;two&gt;" in page.data
    assert "<script" not in page.data and "http" not in page.data and " id=" not in page.data
    assert plt.get_fignums() == []


def test_frames_reject_what_a_reader_could_not_use():
    figure = plt.figure()
    with pytest.raises(ValueError, match="draw has 1 entries for 2 labels"):
        plotting.frames([figure], ["a", "b"], ["x", "y"])
    with pytest.raises(ValueError, match="alt is empty at position 0"):
        plotting.frames([figure], ["a"], [" "])
    with pytest.raises(ValueError, match="start must be within 0..0"):
        plotting.frames([figure], ["a"], ["x"], start=1)


def test_a_month_of_maps_stays_small_and_changes_with_the_day():
    values = np.random.default_rng(0).normal(size=(64, 64)).cumsum(0).cumsum(1)
    month = grid(np.linspace(-45, -37, 64), np.linspace(147, 155, 64), values, days=4)
    month["sst"][1:, 32:] = np.nan
    page = plotting.day_slider(month, lambda day: f"day {day}")
    assert len(page.data) < 4 * 8000
    shown = [np.asarray(image, int) for image in images(page)]
    assert np.abs(shown[0] - shown[1]).mean() > 5
    assert np.array_equal(shown[0].shape, shown[3].shape)
