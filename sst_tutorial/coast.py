"""Where the ocean is: a land-sea mask for any grid, from Natural Earth outlines.

The outlines (public domain, https://www.naturalearthdata.com) are shipped with the package in the
layout cartopy looks for: the same files make the mask and draw the maps, with no network.
"""

from functools import cache
from pathlib import Path

import numpy as np
import shapefile
import shapely

NATURAL_EARTH = Path(__file__).parent / "natural_earth"


def use_shipped_coastline() -> Path:
    """Make cartopy draw coasts from the shipped files; returns their folder.

    Shipped are coastline and land at scale 110m, and land alone at 50m; cartopy would fetch any
    other. So draw ``ax.coastlines("110m")`` on wide maps, and on regional ones
    ``ax.add_feature(cartopy.feature.LAND.with_scale("50m"), edgecolor="black")``.
    """
    import cartopy

    cartopy.config["pre_existing_data_dir"] = NATURAL_EARTH
    return NATURAL_EARTH


@cache
def _land() -> tuple[shapely.Geometry, ...]:
    path = NATURAL_EARTH / "shapefiles" / "natural_earth" / "physical" / "ne_50m_land"
    with shapefile.Reader(str(path)) as reader:
        shapes = [shapely.geometry.shape(shape.__geo_interface__) for shape in reader.shapes()]
    for shape in shapes:
        shapely.prepare(shape)
    return tuple(shapes)


def ocean_mask(lat, lon) -> np.ndarray:
    """True where the centre of a grid cell is ocean.

    Parameters
    ----------
    lat : (H,) degrees north, within -90..90, in any order.
    lon : (W,) degrees east; 0..360, -180..180 and grids across the dateline all work.

    Returns
    -------
    (H, W) bool, True = ocean. Lakes count as land, the Caspian Sea as the outline has it.

    Raises ``ValueError`` for coordinates that are not one-dimensional, empty, not finite, or for a
    latitude beyond a pole. Source: Natural Earth 1:50m land polygons.
    """
    lat = _axis("lat", lat)
    lon = _axis("lon", lon)
    if np.abs(lat).max() > 90:
        raise ValueError(
            f"lat must lie within -90..90 degrees, saw {lat.min():g}..{lat.max():g}; "
            "check that lat and lon are not swapped"
        )
    lon = (lon + 180) % 360 - 180
    land = np.zeros((lat.size, lon.size), dtype=bool)
    for shape in _land():
        west, south, east, north = shape.bounds
        rows = np.flatnonzero((lat >= south) & (lat <= north))
        columns = np.flatnonzero((lon >= west) & (lon <= east))
        if rows.size and columns.size:
            box = np.ix_(rows, columns)
            land[box] |= shapely.intersects_xy(shape, lon[columns][None, :], lat[rows][:, None])
    return ~land


def _axis(name: str, values) -> np.ndarray:
    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or values.size == 0:
        raise ValueError(
            f"{name} must be a one-dimensional array of at least one value, "
            f"saw shape {values.shape}; pass the coordinate of the grid, not a mesh"
        )
    if not np.isfinite(values).all():
        raise ValueError(
            f"{name} must be finite, saw {(~np.isfinite(values)).sum()} missing values; "
            "drop them first"
        )
    return values
