"""Figures of the sea: arrays or xarray in, a matplotlib Figure out; nothing is changed or kept.

Maps are cartopy maps with the shipped coast. Land is grey, a gap is white, colours are cmocean's.
Every function that takes a map accepts an `xarray.DataArray` (lat, lon), or a plain array or tensor
(H, W) together with `like=`, any xarray object on the same grid. `frames` turns figures into a
slider that needs no kernel and no network.
"""

# ruff: noqa: E402 (`need` speaks before an import can fail)

import base64
import html
import io
import json
from collections.abc import Callable, Sequence
from functools import cache

from ._extras import need

need("plot", "matplotlib", "cartopy", "cmocean", "PIL", "IPython")

import cartopy.crs as ccrs
import cartopy.feature as cfeature
import cmocean
import matplotlib.pyplot as plt
import numpy as np
import shapely
import xarray as xr
from IPython.display import HTML
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Affine2D
from PIL import Image

from . import phone
from .coast import _land, use_shipped_coastline

LAND, GAP = "0.72", "white"


# ------------------------------------------------------------------------------------- maps


def plot_map(
    field, title="", *, like=None, limits=None, cmap=None, units="°C", figsize=None, fill_land=True
) -> Figure:
    """One map with coast, labelled gridlines and a colour bar.

    field: (lat, lon) DataArray, or (H, W) array with `like`; NaN = gap (white) or land (grey).
        (H, W, 3) in 0..1 is taken as red, green and blue, and gets no colour bar.
    like: xarray object on the same grid; cells outside its `ocean_mask`, if any, are painted grey.
    limits: (low, high) of the colours; None = 1st to 99th percentile of the field.
    cmap: colour map or name; None = cmocean thermal. units: label of the colour bar.
    fill_land: False draws the coast as a line only, for a field that says something on land.

    Returns the Figure; `figure.axes[0]` is the map, draw on it with `transform=PlateCarree()`.
    """
    return plot_maps(
        [field],
        [title],
        like=like,
        limits=limits,
        cmap=cmap,
        units=units,
        figsize=figsize,
        fill_land=fill_land,
    )


def plot_maps(
    fields: Sequence,
    titles: Sequence[str] | None = None,
    *,
    like=None,
    columns: int | None = None,
    limits: tuple[float, float] | None = None,
    cmap=None,
    units: str = "°C",
    figsize: tuple[float, float] | None = None,
    fill_land: bool = True,
) -> Figure:
    """Several maps of one grid side by side, with one colour bar for all of them.

    fields: list of maps as in `plot_map`, all on one grid. columns: maps in a row, None = up to 4.
    The other arguments are those of `plot_map`; limits=None covers all the fields.
    Raises ValueError for no field, or for titles that do not match the fields.
    """
    fields = [_as_map(f"fields[{i}]", field, like) for i, field in enumerate(fields)]
    if not fields:
        raise ValueError("fields is empty; give at least one map")
    titles = [""] * len(fields) if titles is None else list(titles)
    if len(titles) != len(fields):
        raise ValueError(f"titles has {len(titles)} entries, fields {len(fields)}; give one each")
    columns = min(len(fields), columns or 4)
    rows = -(-len(fields) // columns)
    grid = _Grid(fields[0], like, fill_land)
    limits = limits or _limits(fields)
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=figsize or grid.figsize(rows, columns),
        subplot_kw={"projection": grid.projection},
        squeeze=False,
        layout="constrained",
    )
    for i, ax in enumerate(axes.flat):
        if i >= len(fields):
            ax.set_visible(False)
            continue
        last_row = i + columns >= len(fields)
        mesh = grid.draw(ax, fields[i], limits, cmap, left=i % columns == 0, bottom=last_row)
        ax.set_title(titles[i], fontsize=10)
        if len(fields) == 1:  # in a slider, 4.6 inches wide, this is 9 px on a phone
            ax.tick_params(labelsize=8.6)
    if fields[0].ndim == 2:
        figure.colorbar(mesh, ax=axes, label=units, shrink=0.85, extend="both", aspect=28, pad=0.02)
    return figure


def plot_days(
    daily,
    days: Sequence[int],
    *,
    like=None,
    columns=None,
    limits=None,
    cmap=None,
    units="°C",
    figsize=None,
) -> Figure:
    """Chosen days of (time, lat, lon) `daily`, one map each, with their dates and a shared bar.

    daily: DataArray (time, lat, lon) or Dataset with `sst`. days: positions in time, from 0.
    """
    if isinstance(daily, xr.Dataset):
        like, daily = daily if like is None else like, daily["sst"]
    chosen = [daily.isel(time=day) for day in days]
    titles = [_date(day["time"]) for day in chosen]
    return plot_maps(
        chosen,
        titles,
        like=like,
        columns=columns,
        limits=limits,
        cmap=cmap,
        units=units,
        figsize=figsize,
    )


def plot_errors(estimates: dict, truth, *, like=None, columns=None, limit=None, figsize=None):
    """Maps of estimate minus truth in K, red = too warm, with the RMSE in each title.

    estimates: name -> map. truth: map. limit: the colours run from -limit to +limit; None = 98th
    percentile of all absolute errors.
    """
    truth = _as_map("truth", truth, like)
    maps = {n: _as_map(f"estimates[{n!r}]", e, truth) for n, e in estimates.items()}
    errors = {name: field - truth.values for name, field in maps.items()}
    if limit is None:
        limit = float(np.nanpercentile(np.abs(np.stack(list(errors.values()))), 98))
    titles = [f"{n}: {np.sqrt(np.nanmean(e.values**2)):.2f} K" for n, e in errors.items()]
    return plot_maps(
        list(errors.values()),
        titles,
        like=like,
        columns=columns,
        figsize=figsize,
        limits=(-limit, limit),
        cmap=cmocean.cm.balance,
        units="error (K)",
    )


def to_pixels(values, patch: tuple[int, int] = (4, 4)) -> np.ndarray:
    """Values of patches (H', W') or (H', W', 3) spread over their pixels: (H, W) or (H, W, 3)."""
    return np.repeat(np.repeat(_array(values), patch[0], axis=0), patch[1], axis=1)


def pca_rgb(tokens, fit: np.ndarray | None = None) -> np.ndarray:
    """The three main directions of tokens (..., D) as colours (..., 3) in 0..1.

    Similar tokens get similar colours. `fit` (..., bool) picks the tokens, ocean say, that set
    directions and range; None = all. Each direction's 2nd to 98th percentile fills the range.
    """
    tokens = _array(tokens).astype(float)
    flat = tokens.reshape(-1, tokens.shape[-1])  # (N, D)
    used = flat if fit is None else flat[_array(fit).reshape(-1)]
    centre = used.mean(0)
    directions = np.linalg.svd(used - centre, full_matrices=False)[2][:3]  # (3, D)
    # The sign of a direction is arbitrary: make its largest entry positive, so that runs agree.
    largest = np.abs(directions).argmax(1)
    directions *= np.sign(directions[np.arange(3), largest])[:, None]
    low, high = np.percentile((used - centre) @ directions.T, [2, 98], axis=0)
    colours = ((flat - centre) @ directions.T - low) / np.maximum(high - low, 1e-12)
    return colours.clip(0, 1).reshape(*tokens.shape[:-1], 3)


class _Grid:
    """Projection, cell edges and land of one latitude-longitude grid.

    Longitudes are kept relative to the middle of the grid, so that neither the dateline nor the
    seam of a global grid ever lies inside it.
    """

    def __init__(self, field: xr.DataArray, like, fill_land):
        lat, lon = field["lat"].values, field["lon"].values
        self.lat_edges = _edges(lat).clip(-90, 90)
        lon_edges = _edges(lon)
        self.centre = float(lon_edges[0] + lon_edges[-1]) / 2
        self.x_edges = lon_edges - self.centre
        self.crs = ccrs.PlateCarree(central_longitude=self.centre)
        self.globe = self.x_edges[-1] - self.x_edges[0] > 180
        self.projection = self._projection()
        self.fill = LAND if fill_land else "none"
        known = fill_land and like is not None and "ocean_mask" in like
        self.land = ~like["ocean_mask"].values if known else None

    def _projection(self):
        south, north = self.lat_edges.min(), self.lat_edges.max()
        if self.globe:
            return ccrs.Robinson(self.centre)
        if max(abs(south), abs(north)) > 62:  # Mercator would blow up the poleward side
            return ccrs.LambertConformal(
                self.centre, (south + north) / 2, standard_parallels=(south, north)
            )
        return ccrs.Mercator(self.centre)

    def figsize(self, rows, columns):
        if self.globe:
            aspect, width = 1.9, 7.6 if columns == 1 else 4.6
        else:
            shrink = np.cos(np.deg2rad(self.lat_edges.mean()))
            aspect = np.ptp(self.x_edges) * shrink / np.ptp(self.lat_edges)
            aspect = np.clip(aspect, 0.5, 2.5)
            width = 4.6 * min(1, aspect) if columns == 1 else 2.75
        width = min(width, 7 / columns)  # the page of a book is about 8 inches wide
        return columns * width + 1.0, rows * (width / aspect + 0.4)

    def draw(self, ax, field, limits, cmap, left, bottom):
        """The field, land and gridlines on `ax`; returns the mesh."""
        ax.set_facecolor(GAP)
        low, high = limits if field.ndim == 2 else (None, None)
        # Degrees relative to the middle go straight to the map: cartopy need not wrap anything.
        x, y = np.meshgrid(self.x_edges, self.lat_edges)
        mesh = ax.pcolormesh(
            x,
            y,
            np.ma.masked_invalid(field.values) if field.ndim == 2 else field.values,
            transform=self.crs,
            cmap=cmap or cmocean.cm.thermal,
            vmin=low,
            vmax=high,
            shading="flat",
            rasterized=True,
        )
        if self.land is not None:
            paint = np.ma.masked_where(~self.land, self.land)
            ax.pcolormesh(x, y, paint, transform=self.crs, cmap=ListedColormap([LAND]), zorder=1.5)
        if self.globe:
            use_shipped_coastline()
            land = cfeature.LAND.with_scale("110m")
            ax.add_feature(land, facecolor=self.fill, edgecolor="0.35", linewidth=0.3, zorder=2)
            ax.set_global()
        else:
            west, east = self.x_edges[[0, -1]]
            south, north = self.lat_edges.min(), self.lat_edges.max()
            land = [
                _shifted(g, self.centre)
                for g in _land_in(west + self.centre, south, east + self.centre, north)
            ]
            ax.add_geometries(
                land, self.crs, facecolor=self.fill, edgecolor="0.35", linewidth=0.5, zorder=2
            )
            ax.set_extent([west, east, south, north], crs=self.crs)
        self._label(ax, left, bottom)
        return mesh

    def _label(self, ax, left, bottom):
        style = {"linewidth": 0.4, "color": "0.4", "alpha": 0.5, "linestyle": ":"}
        if not isinstance(self.projection, ccrs.Mercator):
            lines = ax.gridlines(**style, zorder=3)
            lines.left_labels, lines.bottom_labels = left, bottom and not self.globe
            lines.xlabel_style = lines.ylabel_style = {"size": 7.5, "color": "0.25"}
            return
        # Meridians and parallels of a Mercator map are straight: ticks do, five times faster.
        few = MaxNLocator(4, steps=[1, 2, 3, 5, 10])
        lon = few.tick_values(*(self.x_edges[[0, -1]] + self.centre))
        lat = few.tick_values(self.lat_edges.min(), self.lat_edges.max())
        lon = lon[(lon > self.x_edges[0] + self.centre) & (lon < self.x_edges[-1] + self.centre)]
        lat = lat[(lat > self.lat_edges.min()) & (lat < self.lat_edges.max())]
        ax.set_xticks(lon - self.centre, crs=self.crs)
        ax.set_yticks(lat, crs=self.crs)
        ax.set_xticklabels([_degrees((x + 180) % 360 - 180, "E", "W") for x in lon])
        ax.set_yticklabels([_degrees(y, "N", "S") for y in lat])
        ax.tick_params(
            labelsize=7.5, labelcolor="0.25", length=2, labelleft=left, labelbottom=bottom
        )
        ax.set(xlabel="", ylabel="")
        ax.grid(**style)


@cache
def _land_in(west, south, east, north):
    """Land polygons (degrees, as far past 180 as the box goes) cut to a box with a small margin."""
    box = shapely.box(west - 1, south - 1, east + 1, north + 1)
    found = []
    for turn in (-360, 0, 360):
        here = shapely.transform(box, lambda xy, t=turn: xy - [t, 0])
        for shape in _land():
            if shapely.intersects(shape, here):
                cut = shapely.intersection(shape, here)
                found.append(shapely.transform(cut, lambda xy, t=turn: xy + [t, 0]))
    return tuple(found)


def _shifted(geometry, centre):
    return shapely.transform(geometry, lambda xy: xy - [centre, 0])


def _edges(centres: np.ndarray) -> np.ndarray:
    """Edges (n + 1) of cells around evenly or nearly evenly spaced centres (n)."""
    if len(centres) < 2:
        raise ValueError(f"a map needs 2 rows and 2 columns or more, saw an axis of {len(centres)}")
    middle = (centres[1:] + centres[:-1]) / 2
    return np.r_[2 * centres[0] - middle[0], middle, 2 * centres[-1] - middle[-1]]


def _degrees(value, positive, negative) -> str:
    side = positive if value > 0 else negative if value < 0 and value != -180 else ""
    return f"{abs(value):g}°{side}"


def _array(values) -> np.ndarray:
    """Arrays, lists, DataArrays and tensors as NumPy."""
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)


def _as_map(name, field, like) -> xr.DataArray:
    """`field` as a DataArray (lat, lon) or (lat, lon, rgb), in memory."""
    if isinstance(field, xr.DataArray) and {"lat", "lon"} <= set(field.dims):
        rest = [d for d in field.dims if d not in ("lat", "lon")]
        field = field.transpose("lat", "lon", *rest)
    elif like is None:
        raise ValueError(
            f"{name} is a plain array without lat and lon; pass like=, an xarray object on its grid"
        )
    else:
        values, shape = _array(field), (like.sizes["lat"], like.sizes["lon"])
        if values.shape not in (shape, (*shape, 3)):
            raise ValueError(
                f"{name} has shape {values.shape}, the grid of like is {shape}; spread patches "
                "over their pixels with to_pixels, or pick one day"
            )
        dims = ("lat", "lon", "rgb")[: values.ndim]
        field = xr.DataArray(values, {"lat": like["lat"], "lon": like["lon"]}, dims)
    if field.ndim == 3 and field.shape[2] != 3 or field.ndim not in (2, 3):
        raise ValueError(f"{name} must be one map (lat, lon), saw {field.dims}; pick one day")
    return field.astype(float)


def _limits(fields):
    finite = np.concatenate([f.values[np.isfinite(f.values)] for f in fields])
    if finite.size == 0:
        return 0.0, 1.0
    low, high = np.percentile(finite, [1, 99])
    return (float(low), float(high)) if high > low else (float(low) - 0.5, float(low) + 0.5)


def _date(time) -> str:
    return f"{time.dt.day.item()} {time.dt.strftime('%b').item()}"


# ----------------------------------------------------------------------------- not maps


def plot_cube(
    daily, days: int = 8, *, first: int = 0, limits=None, cmap=None, units="°C"
) -> Figure:
    """A month as a data cube: slanted sheets, one per day, the first in front.

    daily: DataArray (time, lat, lon), or Dataset with `sst`. `days` days are drawn, from position
    `first` on.
    """
    if isinstance(daily, xr.Dataset):
        daily = daily["sst"]
    values = daily.values[first : first + days]
    T, H, W = values.shape
    low, high = limits or _limits([daily[first : first + days]])
    figure, ax = plt.subplots(figsize=(7.2, 4.2), layout="constrained")
    step_x, step_y, lean = 0.34 * W, 0.10 * H, 0.22
    for t in reversed(range(T)):  # the last day first, so that earlier days cover it
        place = Affine2D().skew(0, np.arctan(lean)).translate(t * step_x, t * step_y)
        frame = plt.Rectangle((0, 0), W, H, facecolor="0.93", edgecolor="0.2", linewidth=0.8)
        frame.set_transform(place + ax.transData)
        ax.add_patch(frame)
        mesh = ax.pcolormesh(
            np.arange(W + 1),
            np.arange(H + 1),
            np.ma.masked_invalid(values[t]),
            vmin=low,
            vmax=high,
            cmap=cmap or cmocean.cm.thermal,
            transform=place + ax.transData,
            rasterized=True,
        )
        mesh.set_zorder(frame.get_zorder())
    ax.set_xlim(-0.16 * W, (T - 1) * step_x + 1.04 * W)
    ax.set_ylim(-0.16 * H, (T - 1) * step_y + (1.06 + lean * W / H) * H)
    ax.set_aspect("equal")
    ax.set_axis_off()
    _name_edges_of_cube(ax, values.shape, daily.sizes["time"], (step_x, step_y, lean))
    figure.colorbar(mesh, ax=ax, label=units, shrink=0.8, aspect=25, extend="both")
    return figure


def _name_edges_of_cube(ax, shape, all_days, steps) -> None:
    """T, H, W and their numbers. steps: of a sheet to the right and up, and its lean."""
    (T, H, W), (step_x, step_y, lean) = shape, steps
    ax.text(-0.03 * W, H / 2, f"H = {H} rows", rotation=90, ha="right", va="center")
    ax.text(
        W / 2,
        lean * W / 2 - 0.05 * H,
        f"W = {W} columns",
        ha="center",
        va="top",
        rotation=np.degrees(np.arctan(lean)),
    )
    last = (W + (T - 1) * step_x, lean * W + (T - 1) * step_y - 0.06 * H)
    ax.annotate(
        "",
        xy=last,
        xytext=(1.04 * W, lean * W - 0.06 * H),
        arrowprops={"arrowstyle": "->", "color": "0.2"},
    )
    ax.text(
        (last[0] + W) / 2 + 0.1 * W,
        (last[1] + lean * W) / 2 - 0.16 * H,
        f"T: {T} of {all_days} days",
        ha="left",
        va="top",
    )


def plot_weights(weights, seen=None, title="", *, plain=True) -> Figure:
    """Bars of the weight each day gets, over a strip of the share of the patch seen that day.

    weights: (T,), summing to 1. seen: (T,) in 0..1, drawn from white (hidden) to
    black, or None. plain: draw the equal weight 1/T too.
    """
    weights = _array(weights)
    if weights.ndim != 1:
        raise ValueError(f"weights must be (T,), saw shape {weights.shape}; pick one patch")
    day = np.arange(1, len(weights) + 1)
    ratios = [4, 1] if seen is not None else [1]
    figure, axes = plt.subplots(
        len(ratios),
        1,
        figsize=(7, 2.9),
        sharex=True,
        squeeze=False,
        layout="constrained",
        height_ratios=ratios,
    )
    top = axes[0, 0]
    top.bar(day, weights, color=cmocean.cm.deep(0.55), width=0.85)
    if plain:
        top.axhline(1 / len(weights), color="0.3", linestyle="--", linewidth=1)
        top.annotate(
            "equal weights",
            (day[-1] + 0.5, 1 / len(weights)),
            ha="right",
            va="bottom",
            fontsize=8,
            color="0.3",
        )
    top.set(ylabel="weight", title=title)
    if seen is not None:
        strip = axes[1, 0]
        strip.imshow(
            _array(seen)[None].astype(float),
            aspect="auto",
            cmap=cmocean.cm.gray_r,  # white is no data, as on the maps
            vmin=0,
            vmax=1,
            extent=(0.5, len(day) + 0.5, 0, 1),
        )
        strip.set_yticks([0.5], ["seen"])
    axes[-1, 0].set(
        xlabel="day (below: black wholly seen, white hidden)" if seen is not None else "day",
        xlim=(0.3, len(day) + 0.7),
    )
    return figure


# ------------------------------------------------------------------------------- sliders


def frames(
    draw: Callable[[int], Figure] | Sequence[Figure],
    labels: Sequence[str],
    alt: Callable[[int], str] | Sequence[str],
    *,
    name: str = "Day",
    start: int = 0,
    dpi: int = 80,
    quality: int = 55,
) -> HTML:
    """Figures behind a slider that needs no kernel and no network: one HTML output.

    draw: function of the position 0, 1, ... that returns a Figure, or a list of Figures. The
        function may change and return one Figure again and again, which is faster.
    labels: text shown beside the slider for each position.
    alt: what is seen in each frame, a list or a function of the position.
    name: what the slider moves through. start: position shown first.
    Each frame is a WebP image; `dpi` and `quality` set the size (31 small maps: about 200 kB).

    Raises ValueError for no label, an empty alt text, or lists of different lengths.
    """
    n = len(labels)
    for key, value in (("draw", draw), ("alt", alt)):
        if not callable(value) and len(value) != n:
            raise ValueError(f"{key} has {len(value)} entries for {n} labels; give one each")
    if not 0 <= start < n:
        raise ValueError(f"start must be within 0..{n - 1}, the positions of labels, saw {start}")
    pictures, previous = [], None
    for i in range(n):
        figure = draw(i) if callable(draw) else draw[i]
        if previous not in (None, figure):
            plt.close(previous)
        previous = figure
        text = alt(i) if callable(alt) else alt[i]
        if not text.strip():
            raise ValueError(f"alt is empty at position {i}; say what is seen there")
        pictures.append(_picture(figure, text, i == start, dpi, quality))
    plt.close(previous)
    return HTML(
        _SLIDER.format(
            pictures="\n".join(pictures),
            name=html.escape(name),
            last=n - 1,
            start=start,
            label=html.escape(labels[start]),
            labels=html.escape(json.dumps(list(labels))),
        )
    )


def _picture(figure, alt: str, shown: bool, dpi: int, quality: int) -> str:
    """The tag of a frame, with a narrow picture for phones where one is wanted."""
    width = round(100 * figure.get_figwidth())  # as wide as the notebook shows a figure
    picture = (
        f'<img src="data:image/webp;base64,{_webp(figure, dpi, quality)}" '
        f'alt="{html.escape(alt)}" style="display:{"block" if shown else "none"};'
        f'width:{width}px;max-width:100%;background:white">'
    )
    if phone.wanted() and phone.too_small(figure, figure.get_figwidth()):
        narrow = base64.b64encode(phone.webp(figure)).decode()
        picture = (
            f'<picture><source media="{phone.SCREENS}" '
            f'srcset="data:image/webp;base64,{narrow}">{picture}</picture>'
        )
    return picture


# Handlers stand in the tags, so that a page, a file and Colab need no script, id or library.
_SLIDER = """<figure style="margin:0" data-labels="{labels}">
<div>{pictures}</div>
<div style="display:flex;gap:0.75em;align-items:center;margin-top:0.4em">
<input type="range" aria-label="{name}" min="0" max="{last}" value="{start}" step="1" \
style="flex:1;max-width:22em" oninput="const f=this.closest('figure');\
f.querySelectorAll('img').forEach((m,i)=>{{m.style.display=i==this.value?'block':'none'}});\
f.querySelector('output').textContent=JSON.parse(f.dataset.labels)[this.value]">
<span>{name}: <output aria-live="polite">{label}</output></span>
</div>
</figure>"""


def _webp(figure: Figure, dpi: int, quality: int) -> str:
    """The figure as base64 WebP."""
    raw = io.BytesIO()
    figure.savefig(raw, format="png", dpi=dpi, facecolor="white")
    packed = io.BytesIO()
    Image.open(raw).convert("RGB").save(packed, "webp", quality=quality, method=6)
    return base64.b64encode(packed.getvalue()).decode()


def plot_day(daily, day: int, *, like=None, limits=None, cmap=None, units="°C", figsize=None):
    """One day of (time, lat, lon) `daily` with its date; the still beside `day_slider`."""
    return plot_days(
        daily, [day], like=like, limits=limits, cmap=cmap, units=units, figsize=figsize
    )


def day_slider(
    daily,
    alt,
    *,
    like=None,
    limits=None,
    cmap=None,
    units="°C",
    start=0,
    figsize=(4, 3.8),
    dpi=72,
    quality=25,
) -> HTML:
    """`frames` over all days of a month of maps; 31 days of 64 x 64 make about 130 kB.

    daily: DataArray (time, lat, lon) or Dataset with `sst`. alt: function of the day, from 0.
    start: day shown first.
    """
    if isinstance(daily, xr.Dataset):
        like, daily = daily if like is None else like, daily["sst"]
    figure = plot_day(
        daily,
        0,
        like=like,
        limits=limits or _limits([daily]),
        cmap=cmap,
        units=units,
        figsize=figsize,
    )
    ax = figure.axes[0]
    ax.set_title("")  # the slider shows the date
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # laid out once; every frame keeps its place

    def draw(day):  # the same figure with other colours: far faster than a new one
        ax.collections[0].set_array(np.ma.masked_invalid(daily.values[day]))
        return figure

    labels = [_date(time) for time in daily["time"]]
    return frames(draw, labels, alt, start=start, dpi=dpi, quality=quality)
