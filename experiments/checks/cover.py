"""Draw the picture of the front page: a month of cloudy days, and the same month filled.

    python experiments/checks/cover.py     # ten seconds; writes book/_static/cover.png
"""

import cartopy.crs as ccrs
import cmocean
import matplotlib.pyplot as plt
import numpy as np

from sst_tutorial import reconstruct
from sst_tutorial.coast import use_shipped_coastline
from sst_tutorial.results import REPOSITORY
from sst_tutorial.simulate import observe, simulate_clouds, simulate_ocean

COVER = REPOSITORY / "book" / "_static" / "cover.png"
NIGHT, CLOUD, LAND, INK = "#0c2233", "#e9eef2", "#6b6f5e", "#ffffff"
SHOWN = [2, 6, 9, 14, 22, 30]  # the days that lie as cards, back to front
SEA = dict(cmap=cmocean.cm.thermal, vmin=8, vmax=24)


def month():
    """Return (truth, what is seen): 31 simulated days of the Tasman Sea, (T, H, W)."""
    truth = simulate_ocean(lat=(-48, -35), lon=(144, 162), shape=(88, 120), start="2013-01-01",
                           days=31, seed=4)
    return truth, observe(truth, simulate_clouds(truth, cover=0.8, seed=4), noise=0.3, seed=4)


def card(fig, box, daily, sst, clouds):
    """Draw one map in `box` (left, bottom, width, height)."""
    ax = fig.add_axes(box, projection=ccrs.PlateCarree())
    ax.set_aspect("auto")
    ax.set_facecolor(clouds)
    ax.pcolormesh(daily.lon, daily.lat, sst, **SEA)
    ax.contourf(daily.lon, daily.lat, ~daily.ocean_mask, levels=[0.5, 1], colors=[LAND])
    ax.spines["geo"].set(edgecolor=NIGHT, linewidth=1.5)
    return ax


def draw():
    truth, seen = month()
    filled = reconstruct(seen, "ocean-1").sst.isel(time=0).values
    error = np.sqrt(np.nanmean((filled - truth.sst.mean("time").values) ** 2))
    hidden = 1 - seen.sst.count() / truth.sst.count()
    fig = plt.figure(figsize=(12, 4.9), dpi=110, facecolor=NIGHT)
    for place, day in enumerate(SHOWN):
        box = (0.02 + 0.03 * place, 0.30 - 0.045 * place, 0.28, 0.54)
        card(fig, box, seen, seen.sst[day], CLOUD)
    card(fig, (0.57, 0.075, 0.41, 0.765), seen, filled, LAND)
    words = dict(color=INK, fontsize=17, va="center")
    fig.text(0.02, 0.92, f"31 days, {float(hidden):.0%} hidden by clouds", **words)
    fig.text(0.57, 0.92, f"one month, complete to {error:.2f} K", **words)
    fig.text(0.51, 0.45, "\N{RIGHTWARDS ARROW}", **words | {"fontsize": 42, "ha": "center"})
    fig.savefig(COVER, facecolor=NIGHT)


if __name__ == "__main__":
    use_shipped_coastline()
    draw()
