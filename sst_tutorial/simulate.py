"""A made-up ocean and made-up clouds: daily SST with moving eddies and fronts, and what hides it.

Two torch functions do the physics, on CPU or GPU, for a batch of samples at once:
``ocean_anomalies`` (tracers stirred by a non-divergent flow) and ``cloud_masks`` (drifting random
fields cut at a level). ``simulate_ocean``, ``simulate_clouds`` and ``observe`` wrap them in xarray.
"""

import math

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
import xarray as xr
from scipy.fft import next_fast_len
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import uniform_filter1d

from sst_tutorial.coast import ocean_mask
from sst_tutorial.data import AXIS_ATTRIBUTES, SST_ATTRIBUTES
from sst_tutorial.prior import is_global

KM_PER_DEGREE = 111.2
M_PER_S = 86.4  # km per day

PATCH_KM = 300.0  # size of the patches of sea that are livelier or quieter than the rest
LIVELY = 0.15  # logarithmic standard deviation of their strength
MEANDER_K, MEANDER_KM = 0.7, 400.0  # strength and size of what stands still
EDDY_RENEWAL_DAYS = 20  # after which an eddy has its own water again
OFF_SWATH = 1000.0  # thicker than any cloud, whose thickness has unit variance
MOST_NOISE = 10.0  # K, of one retrieval: with more, what is simulated is no sea
MOST_DAYS = 100_000  # two and a half centuries
SPIN_UP_DAYS = 15  # for the flow to draw fronts out of round blobs

Range = float | tuple[float, float]

# Tuned against OISST off Tasmania, 1982-2010: see experiments/checks/simulation.py.
MIDLATITUDE = {
    "amplitude": 1.14,
    "eddy_share": 0.3,
    "weather_km": 450.0,
    "weather_days": 28.0,
    "eddy_km": 75.0,
    "eddy_days": 30.0,
    "flow": 0.2,
    "smooth_km": 10.0,
}


# ---------------------------------------------------------------------------------------------
# The ocean
# ---------------------------------------------------------------------------------------------
def ocean_anomalies(
    batch: int,
    T: int,
    H: int,
    W: int,
    generator: torch.Generator | None = None,
    device: torch.device | str | None = None,
    cell_km: tuple[float, float] = (25.0, 25.0),
    amplitude: Range = (0.4, 1.5),
    eddy_share: Range = (0.1, 0.5),
    weather_km: Range = (200.0, 800.0),
    weather_days: Range = (10.0, 60.0),
    eddy_km: Range = (50.0, 130.0),
    eddy_days: Range = (15.0, 60.0),
    flow: Range = (0.05, 0.3),
    smooth_km: Range = (5.0, 30.0),
    periodic_lon: bool = False,
) -> torch.Tensor:
    """Daily SST anomalies of ``batch`` independent pieces of ocean.

    Two tracers are carried by the same eddying, non-divergent flow. *Weather* is what the air does
    to the mixed layer: noise with covariance exp(-r / weather_km), forgotten in ``weather_days``
    (Frankignoul and Hasselmann 1977). *Eddies* are warm and cold cores that sit on the stream
    function and drift westward with it. The flow draws both out into fronts and filaments, by
    semi-Lagrangian steps of one day (Staniforth and Cote 1991). Every setting that is a pair
    (low, high) is drawn anew, uniformly, for each sample.

    Parameters
    ----------
    batch, T, H, W : samples, days, rows (south to north), columns (west to east).
    generator : the same seed gives the same ocean, though CPU and GPU draw different ones. Its
        device is used when ``device`` is not given.
    cell_km : size (north-south, east-west) of a grid cell. Below about 6 km the fields are
        computed on coarser cells and interpolated.
    amplitude : standard deviation in K over many days and a wide sea, before stirring and blur
        take away a tenth or two.
    eddy_share : part of the variance that belongs to the eddies, 0..1.
    weather_km, weather_days : scales after which the weather's covariance has fallen to 1/e.
    eddy_km : radius of an eddy; at least 1.5 cells. eddy_days : time in which the flow changes.
    flow : root mean square speed in m/s.
    smooth_km : standard deviation of a Gaussian that blurs the fields as a product's footprint
        does; at least 0.4 cells. 10 gives a spectrum between k^-2 and k^-3, 20 looks like OISST.
    periodic_lon : True when the last column touches the first, as on a global grid.

    Returns
    -------
    (batch, T, H, W) float32 in K.

    Raises ``ValueError`` for sizes below 2 (batch and T: below 1) and settings out of range.
    """
    _check_sizes(batch, T, H, W)
    if device is None:
        device = generator.device if generator is not None else "cpu"
    draw = _Draw(batch, generator, torch.device(device))
    share = draw.uniform("eddy_share", eddy_share, low=0, high=1)  # (B,1,1)
    amplitude = draw.uniform("amplitude", amplitude, low=0)
    flow = draw.uniform("flow", flow, low=0) * M_PER_S
    weather_km = draw.uniform("weather_km", weather_km, low=1)
    weather_days = draw.uniform("weather_days", weather_days, low=0.1)
    eddy_km = draw.uniform("eddy_km", eddy_km, low=1)
    eddy_days = draw.uniform("eddy_days", eddy_days, low=0.1)
    smooth_km = draw.uniform("smooth_km", smooth_km, low=0)

    box = _Box(H, W, cell_km, periodic_lon, draw.device)
    # On a coarse grid an eddy fills a cell, and a value is the mean of a cell.
    coarsest = max(box.dy, box.dx)
    eddy_km, smooth_km = eddy_km.clamp(min=1.5 * coarsest), smooth_km.clamp(min=0.4 * coarsest)
    stream = _Stream(box, eddy_km, eddy_days, flow, draw)
    weather = _Spectral(box, (box.k2 + weather_km**-2) ** -1.5, draw)
    patches = _Spectral(box, torch.exp(-box.k2 * PATCH_KM**2 / 2), draw)
    keep_weather = torch.exp(-1 / weather_days)
    tracer = box.field(torch.stack([stream.psi, weather.noise()], 1))  # (B,2,Hb,Wb)
    parts = torch.cat([torch.sqrt(share), torch.sqrt(1 - share)], 1)[..., None]  # (B,2,1,1)
    # Some patches of sea are livelier than others; the last term keeps the variance.
    lively = torch.exp(LIVELY * box.field(patches.noise()) - LIVELY**2)[:, None]  # (B,1,Hb,Wb)
    gain = amplitude[..., None] * parts * lively  # (B,2,Hb,Wb)
    days = []
    for day in range(-SPIN_UP_DAYS, T):
        u, v = stream.next_day()
        forcing = torch.sqrt(1 - keep_weather**2) * weather.noise()
        u, v, home, forcing = box.field(torch.stack([u, v, stream.psi, forcing], 1)).unbind(1)
        eddies, warmth = box.advect(tracer, u, v).unbind(1)  # each (B,Hb,Wb)
        eddies = eddies + (home - eddies) / EDDY_RENEWAL_DAYS
        tracer = torch.stack([eddies, keep_weather * warmth + forcing], 1)
        if day >= 0:
            days.append((gain * tracer).sum(1))  # (B,Hb,Wb)
    smooth = torch.exp(-box.k2 * smooth_km**2 / 2)[:, None]  # (B,1,Hb,Wb/2+1)
    sea = box.field(torch.fft.rfft2(torch.stack(days, 1)) * smooth)  # (B,T,Hb,Wb)
    return box.cut(sea)  # (B,T,H,W)


class _Draw:
    """Random numbers of one call: a generator, a device and a batch size."""

    def __init__(self, batch, generator, device):
        self.batch, self.generator, self.device = batch, generator, device

    def normal(self, *shape):
        return torch.randn(self.batch, *shape, generator=self.generator, device=self.device)

    def uniform(self, name, value, low=-math.inf, high=math.inf):
        pair = (value, value) if np.isscalar(value) else tuple(value)
        if len(pair) != 2 or not low <= pair[0] <= pair[1] <= high:
            raise ValueError(
                f"{name} must be a number or (low, high) within {low:g}..{high:g}, "
                f"saw {value!r}; swap or clip the ends"
            )
        unit = torch.rand(self.batch, 1, 1, generator=self.generator, device=self.device)
        return pair[0] + (pair[1] - pair[0]) * unit  # (B,1,1)


class _Box:
    """A doubly periodic box around the piece of ocean, wide enough that its ends do not talk."""

    MIN_KM = 1500.0  # several eddies and weather systems must fit, however small the grid
    LEAST_CELL_KM = 6.0  # finer cells would be crossed too fast for one step a day

    def __init__(self, H, W, cell_km, periodic_lon, device):
        self.H, self.W = H, W
        dy, dx = (float(c) for c in cell_km)
        if not (dy > 0 and dx > 0):
            raise ValueError(
                f"cell_km must be two positive numbers of km, saw {cell_km!r}; "
                "give (north-south, east-west)"
            )
        rows, columns = self._size(H, dy), W if periodic_lon else self._size(W, dx)
        # A fine grid would need a huge box: solve it on coarser cells and interpolate.
        few_enough = max(rows, columns) / max(160, 1.25 * max(H, W))
        coarse = max(1.0, few_enough, self.LEAST_CELL_KM / min(dy, dx))
        self.coarse = 1.0 if periodic_lon else coarse
        if self.coarse > 1:
            rows, columns = rows / self.coarse, columns / self.coarse
        self.dy, self.dx = dy * self.coarse, dx * self.coarse
        self.rows = next_fast_len(math.ceil(rows), real=True)
        self.columns = W if periodic_lon else next_fast_len(math.ceil(columns), real=True)
        ky = torch.fft.fftfreq(self.rows, self.dy, device=device) * 2 * math.pi
        kx = torch.fft.rfftfreq(self.columns, self.dx, device=device) * 2 * math.pi
        self.ky, self.kx = ky[:, None], kx[None, :]
        self.k2 = self.ky**2 + self.kx**2  # (Hb, Wb/2+1), radians per km, squared
        # Every column of the half spectrum but the first (and an even last) stands for two.
        self.twice = torch.full_like(kx, 2.0)
        self.twice[0] = 1
        if self.columns % 2 == 0:
            self.twice[-1] = 1
        y = torch.arange(self.rows, device=device, dtype=torch.float32)
        x = torch.arange(self.columns, device=device, dtype=torch.float32)
        self.y, self.x = y[:, None], x[None, :]

    def field(self, coefficients):
        """Fourier coefficients (...,Hb,Wb/2+1) -> field (...,Hb,Wb)."""
        return torch.fft.irfft2(coefficients, s=(self.rows, self.columns))

    def _size(self, n, cell):
        return max(n + min(n / 4, 600 / cell), self.MIN_KM / cell)

    def advect(self, tracer, u, v):
        """Semi-Lagrangian step of one day: each cell takes the value where its water came from.

        tracer (B,C,Hb,Wb); u, v (B,Hb,Wb) in km per day.
        """
        flow = torch.stack([u / self.dx, v / self.dy], 1)  # (B,2,Hb,Wb) in cells per day
        middle = self._sample(flow, flow / 2, "bilinear")  # the flow met half-way along the path
        return self._sample(tracer, middle, "bicubic")

    def _sample(self, field, back, mode):
        """field (B,C,Hb,Wb) ``back`` (B,2,Hb,Wb) cells upstream, around the periodic box."""
        pad = min(16, self.rows, self.columns)
        reach = max(pad - 3, 0)  # bicubic weights need a margin
        back = back.clamp(-reach, reach)
        wide = F.pad(field, (pad, pad, pad, pad), mode="circular")
        x = 2 * (self.x + pad - back[:, 0]) / (self.columns + 2 * pad - 1) - 1
        y = 2 * (self.y + pad - back[:, 1]) / (self.rows + 2 * pad - 1) - 1
        return F.grid_sample(wide, torch.stack([x, y], -1), mode=mode, align_corners=True)

    def cut(self, field):
        """(B,C,Hb,Wb) -> (B,C,H,W): the piece asked for, interpolated if the box is coarser."""
        if self.coarse == 1:
            return field[..., : self.H, : self.W]
        h, w = math.ceil(self.H / self.coarse) + 1, math.ceil(self.W / self.coarse) + 1
        size = (round(h * self.coarse), round(w * self.coarse))
        fine = F.interpolate(field[..., :h, :w], size=size, mode="bicubic", align_corners=False)
        return fine[..., : self.H, : self.W]


class _Spectral:
    """Random fields of unit variance with a given power per wavenumber, in Fourier space."""

    def __init__(self, box, power, draw):
        self.box, self.draw = box, draw
        total = (power * box.twice).sum((-2, -1), keepdim=True)  # (B,1,1)
        power = power / total * (box.rows * box.columns)
        # A real transform keeps the real part only of columns that stand for one: twice the power.
        self.root = torch.sqrt(power / box.twice * (box.rows * box.columns))  # (B,Hb,Wb/2+1)
        # Root mean square of the flow's speed for a stream function of unit variance.
        speed2 = (power * box.k2 * box.twice).sum((-2, -1), keepdim=True)
        self.speed = torch.sqrt(speed2 / (box.rows * box.columns))

    def noise(self):
        """Fourier coefficients (B,Hb,Wb/2+1) of a fresh random field."""
        real, imaginary = self.draw.normal(2, *self.root.shape[-2:]).unbind(1)
        return torch.complex(real, imaginary) * self.root


class _Stream:
    """A stream function of eddies that drift westward and are forgotten; day after day its flow."""

    def __init__(self, box, eddy_km, eddy_days, flow, draw):
        self.box = box
        self.spectrum = _Spectral(box, box.k2 / (box.k2 + (2 / eddy_km) ** 2) ** 4, draw)
        self.keep = torch.exp(-1 / eddy_days)
        # Long Rossby waves go west, the longest fastest; 4 km a day is typical of middle latitudes.
        self.drift = torch.exp(1j * box.kx * 4.0 / (1 + box.k2 * eddy_km**2))
        self.to_velocity = flow / self.spectrum.speed
        self.psi = self.spectrum.noise()  # (B,Hb,Wb/2+1) Fourier coefficients

    def next_day(self):
        """Coefficients (B,Hb,Wb/2+1) of u and v in km per day; psi has moved on by a day."""
        fresh = torch.sqrt(1 - self.keep**2) * self.spectrum.noise()
        self.psi = self.keep * self.drift * self.psi + fresh
        # u = -d psi/dy, v = d psi/dx: no divergence, whatever psi is.
        u = -1j * self.box.ky * self.psi * self.to_velocity
        return u, 1j * self.box.kx * self.psi * self.to_velocity


# Zonal means in degC, every 10 degrees from pole to pole, in round numbers: the yearly mean, and
# how far late August is above it. The south, colder in August, has less land and a smaller swing.
_LATITUDES = np.arange(-90, 91, 10)
# fmt: off
_MEAN = (-1.8, -1.8, -1.6, 1.0, 7.0, 14.5, 20.5, 24.5, 26.8, 27.2,
         27.7, 26.0, 22.5, 16.5, 10.0, 6.5, 2.5, -1.3, -1.7)
_SWING = (0.0, 0.0, -0.2, -0.9, -1.4, -2.4, -2.7, -2.0, -1.1, -0.3,
          0.6, 1.9, 3.6, 4.8, 4.2, 3.4, 2.2, 0.6, 0.1)
# fmt: on
FREEZING = -1.8


def climatological_sst(lat, dayofyear) -> np.ndarray:
    """Zonal-mean SST in degC for (T,) days of the year and (H,) degrees north -> (T,H).

    Warmest about 25 August north of the thermal equator and half a year later south of it.
    """
    mean = PchipInterpolator(_LATITUDES, _MEAN)(np.asarray(lat, float))
    swing = PchipInterpolator(_LATITUDES, _SWING)(np.asarray(lat, float))
    season = np.cos(2 * np.pi * (np.asarray(dayofyear, float) - 238) / 365.25)
    return mean + swing * season[:, None]


def simulate_ocean(
    lat: tuple[float, float] = (-45.0, -37.0),
    lon: tuple[float, float] = (147.0, 155.0),
    shape: tuple[int, int] = (64, 64),
    start: str = "2001-01-01",
    days: int = 365,
    seed: int = 0,
    device: torch.device | str = "cpu",
    **anomaly,
) -> xr.Dataset:
    """Complete daily SST of any region: seasonal cycle, large-scale gradient, eddies and fronts.

    Parameters
    ----------
    lat, lon : outer edges (south, north) and (west, east) in degrees. ``lon=(170, -170)`` crosses
        the dateline; 360 degrees of longitude make a globe whose east meets its west.
    shape : (rows, columns). start, days : first day and number of days.
    seed : the same seed, region, shape and days give the same ocean.
    device : where it is computed; the result lies on the host in any case.
    anomaly : settings handed to ``ocean_anomalies`` in place of ``MIDLATITUDE``: amplitude, ...

    Returns
    -------
    Dataset: ``sst`` (time, lat, lon) degC float32, land NaN, and ``ocean_mask`` (lat, lon) bool.
    Latitude and longitude ascend; across the dateline longitude runs past 180.

    Raises ``ValueError`` for edges outside -90..90, an empty region, or a shape below 2 x 2.
    """
    lat, lon = _cell_centres(lat, lon, shape)
    time = dates(start, days)
    cell_km, periodic = _grid(lat, lon)
    generator = torch.Generator(device).manual_seed(int(seed))
    settings = MIDLATITUDE | {"periodic_lon": periodic} | anomaly
    anomalies = ocean_anomalies(1, days, *shape, generator, device, cell_km, **settings)
    anomalies = anomalies[0].cpu().numpy()  # (T,H,W)
    mean = climatological_sst(lat, time.day_of_year)[:, :, None]  # (T,H,1)
    mean = mean + _standing_meanders(*shape, cell_km, periodic, generator)  # (T,H,W)
    return as_dataset(mean + anomalies, lat, lon, time, f"sst_tutorial.simulate_ocean, seed {seed}")


def dates(start, days: int) -> pd.DatetimeIndex:
    """So many days from `start` on, or ValueError."""
    if not isinstance(days, (int, np.integer)) or not 1 <= days <= MOST_DAYS:
        raise ValueError(
            f"days must be a whole number of at least 1 and at most {MOST_DAYS}, saw {days!r}; "
            "simulate pieces of them"
        )
    try:
        return pd.date_range(start, periods=days)
    except ValueError as error:
        raise ValueError(
            f"start must be a date like '2001-01-01', saw {start!r}; {error}"
        ) from None


def as_dataset(sst, lat, lon, time, source: str) -> xr.Dataset:
    """Simulated sst (T, H, W) degC as a Dataset: nothing colder than ice, the coast cut out."""
    ocean = ocean_mask(lat, lon)
    sst = np.maximum(sst, FREEZING).astype("float32")
    sst[:, ~ocean] = np.nan
    data = xr.Dataset(
        {"sst": (("time", "lat", "lon"), sst), "ocean_mask": (("lat", "lon"), ocean)},
        {"time": time, "lat": lat, "lon": lon},
        {"Conventions": "CF-1.11", "title": "Simulated sea surface temperature", "source": source},
    )
    for name, attributes in _CF_ATTRIBUTES.items():
        data[name].attrs = dict(attributes)
    return data


_CF_ATTRIBUTES = {
    "sst": SST_ATTRIBUTES | {"long_name": "simulated daily sea surface temperature"},
    "ocean_mask": {
        "standard_name": "sea_binary_mask",
        "long_name": "True where the cell is ocean",
    },
    "lat": AXIS_ATTRIBUTES["lat"],
    "lon": AXIS_ATTRIBUTES["lon"],
}


def _standing_meanders(H, W, cell_km, periodic_lon, generator):
    """(H,W) K that never change: seas warmer or colder than their latitude, thanks to currents."""
    box = _Box(H, W, cell_km, periodic_lon, generator.device)
    power = torch.exp(-box.k2 * MEANDER_KM**2 / 2)
    pattern = _Spectral(box, power, _Draw(1, generator, generator.device))
    return MEANDER_K * box.cut(box.field(pattern.noise())[:, None])[0, 0].cpu().numpy()


def _grid(lat, lon):
    """Size of a cell in km (north-south, east-west), and whether east meets west."""
    dlat, dlon = abs(float(lat[1] - lat[0])), abs(float(lon[1] - lon[0]))
    shrink = max(float(np.cos(np.deg2rad(lat)).mean()), 0.05)
    return (dlat * KM_PER_DEGREE, dlon * KM_PER_DEGREE * shrink), is_global(lon)


def _cell_centres(lat, lon, shape):
    for name, pair in (("lat", lat), ("lon", lon), ("shape", shape)):
        if len(pair) != 2:
            raise ValueError(f"{name} must be a pair of numbers, saw {pair!r}")
    (south, north), (west, east), (H, W) = lat, lon, shape
    if not -90 <= south < north <= 90:
        raise ValueError(
            f"lat must be (south, north) within -90..90 degrees, saw {lat!r}; "
            "swap or clip the edges"
        )
    if east <= west:
        east = east + 360  # a region across the dateline, or a whole circle
    if not (np.isfinite([west, east]).all() and -360 <= west < east <= west + 360 and east <= 540):
        raise ValueError(
            f"lon must be (west, east) in degrees, at most 360 apart, saw {lon!r}; "
            "use 0..360 or -180..180"
        )
    _check_sizes(1, 1, H, W)
    dlat, dlon = (north - south) / H, (east - west) / W
    return south + dlat * (np.arange(H) + 0.5), west + dlon * (np.arange(W) + 0.5)


def _check_sizes(batch, T, H, W):
    for name, value, least in (("batch", batch, 1), ("T", T, 1), ("H", H, 2), ("W", W, 2)):
        if not isinstance(value, (int, np.integer)) or value < least:
            raise ValueError(
                f"{name} must be a whole number of at least {least}, saw {value!r}; "
                "ask for a larger piece of ocean"
            )


# ---------------------------------------------------------------------------------------------
# The clouds
# ---------------------------------------------------------------------------------------------
def cloud_masks(
    batch: int,
    T: int,
    H: int,
    W: int,
    cover: float | torch.Tensor = 0.8,
    generator: torch.Generator | None = None,
    device: torch.device | str | None = None,
    cell_km: tuple[float, float] = (25.0, 25.0),
    swath: bool = True,
    periodic_lon: bool = False,
) -> torch.Tensor:
    """Where clouds and swath edges hide the sea: (batch, T, H, W) bool, True = hidden.

    A drifting random field, smoother and longer-lived at large scales than at small ones, is cut at
    the level that gives ``cover``: single days run from almost clear to overcast.

    Parameters
    ----------
    batch, T, H, W, generator, device, cell_km, periodic_lon : as for ``ocean_anomalies``.
    cover : hidden share of all cells and days, 0.30..0.95: one number, or a tensor (batch,).
    swath : hide also what lies between two passes of a polar orbiter, 12 % of the cells.

    Raises ``ValueError`` for a cover out of range or of another length than the batch.
    """
    cover = _check_cover(cover)
    if cover.ndim and len(cover) != batch:
        raise ValueError(
            f"cover must be one number or one for each of the {batch} samples, saw {len(cover)}"
        )
    field = _cloud_fields(batch, T, H, W, generator, device, cell_km, swath, periodic_lon)
    cover = cover.to(field.device).expand(batch)  # (B,)
    everywhere = torch.ones(H, W, dtype=torch.bool, device=field.device)
    return _cut_at_cover(field, cover, everywhere)


def _check_cover(cover):
    cover = torch.as_tensor(cover, dtype=torch.float32)
    if cover.ndim > 1 or not bool(((cover >= 0.3) & (cover <= 0.95)).all()):
        raise ValueError(
            f"cover must be a share within 0.30..0.95, saw {cover.tolist()}; "
            "0.8 means that clouds hide 80 % of the sea"
        )
    return cover


def _cloud_fields(batch, T, H, W, generator, device, cell_km, swath, periodic_lon):
    """Thickness (B,T,H,W): the larger, the more surely hidden."""
    _check_sizes(batch, T, H, W)
    if device is None:
        device = generator.device if generator is not None else "cpu"
    draw = _Draw(batch, generator, torch.device(device))
    box = _Box(H, W, cell_km, periodic_lon, draw.device)
    size_km = draw.uniform("size_km", (300.0, 900.0))
    slope = draw.uniform("slope", (1.4, 1.9))  # from ragged to smooth outlines
    # Fronts and bands: systems are longer along one direction than across it.
    angle, stretch = draw.uniform("angle", (0.0, math.pi)), draw.uniform("stretch", (1.0, 1.7))
    along = box.kx * torch.cos(angle) + box.ky * torch.sin(angle)
    across = box.ky * torch.cos(angle) - box.kx * torch.sin(angle)
    k2 = (along * stretch) ** 2 + (across / stretch) ** 2  # (B,Hb,Wb/2+1)
    cloud = _Spectral(box, (k2 + size_km**-2) ** -slope, draw)
    # Weather systems live for days, small clouds for hours: memory fades with wavenumber.
    days = draw.uniform("days", (2.0, 6.0)) / torch.sqrt(1 + k2 * size_km**2 / 4)
    keep = torch.exp(-1 / days)  # (B, Hb, Wb/2+1)
    wind_x = draw.uniform("wind", (-100.0, 400.0))  # km a day, mostly from the west
    wind_y = draw.uniform("wind", (-100.0, 100.0))
    drift = torch.exp(-1j * (box.kx * wind_x + box.ky * wind_y))
    now, fields = cloud.noise(), []
    for _ in range(T):
        now = keep * drift * now + torch.sqrt(1 - keep**2) * cloud.noise()
        fields.append(box.cut(box.field(now)[:, None])[:, 0])  # (B,H,W)
    field = torch.stack(fields, 1)  # (B,T,H,W)
    if swath:
        field = field + OFF_SWATH * _off_swath(draw, T, H, W, cell_km)
    return field


def _off_swath(draw, T, H, W, cell_km):
    """Bands a polar orbiter missed, (B,T,H,W) bool: slanted, 12 % of all, elsewhere every day."""
    y = torch.arange(H, device=draw.device) * cell_km[0]
    x = torch.arange(W, device=draw.device) * cell_km[1]
    across = x[None, :] + 0.2 * y[:, None]  # (H,W) km; tracks lean about 11 degrees from north
    phase = torch.rand(draw.batch, T, 1, 1, generator=draw.generator, device=draw.device)
    return (across / 2800 + phase) % 1 < 0.12


def _cut_at_cover(field, cover, ocean):
    """Cut each sample at the level that hides ``cover`` of its ocean: (B,T,H,W) bool."""
    values = field[..., ocean].flatten(1)  # (B,N)
    if values.shape[1] > 1_000_000:  # a million cells fix the level well enough
        spread = torch.linspace(0, values.shape[1] - 1, 1_000_000, dtype=torch.float64)
        values = values[:, spread.long().to(values.device)]
    ordered = values.sort(1).values
    rank = ((1 - cover) * (values.shape[1] - 1)).round().long()  # (B,)
    level = ordered.gather(1, rank[:, None])[..., None, None]  # (B,1,1,1)
    return field > level


def simulate_clouds(
    daily: xr.Dataset | xr.DataArray,
    cover: float = 0.8,
    seed: int = 0,
    clear_sky_bias: float = 0.0,
    swath: bool = True,
) -> xr.DataArray:
    """Clouds over a simulated or any complete daily SST.

    Parameters
    ----------
    daily : Dataset with ``sst``, or the DataArray (time, lat, lon) itself; land is NaN.
    cover : share of ocean cells and days hidden, 0.30..0.95, met within 0.02.
    clear_sky_bias : K by which the sea that is seen is warmer than all of it, relative to the
        running mean of 31 days: sunny, calm days warm the water that they show. 0 means that
        clouds know nothing of the sea.
    swath : also hide the bands between two passes of the satellite.

    Returns
    -------
    DataArray ``cloudy`` (time, lat, lon) bool, True = hidden.

    Raises ``ValueError`` for a cover out of range or a bias the sea is too uniform to give.
    """
    sst = _daily_sst(daily)
    values = sst.values
    T, H, W = values.shape
    _check_sizes(1, T, H, W)
    ocean = np.isfinite(values).any(0)
    if not ocean.any():
        raise ValueError("daily must hold some ocean, saw no finite value; choose another region")
    cell_km, periodic = _grid(sst["lat"].values, sst["lon"].values)
    cover = _check_cover(cover)
    generator = torch.Generator().manual_seed(int(seed))
    field = _cloud_fields(1, T, H, W, generator, None, cell_km, swath, periodic)
    if clear_sky_bias:
        field = _prefer_warm(field, values, ocean, cover, clear_sky_bias)
    cloudy = _cut_at_cover(field, cover.reshape(1), torch.as_tensor(ocean))[0].numpy()
    return xr.DataArray(
        cloudy,
        sst.coords,
        sst.dims,
        name="cloudy",
        attrs={"long_name": "True where cloud or a missed swath hides the sea"},
    )


def _daily_sst(daily):
    sst = daily["sst"] if isinstance(daily, xr.Dataset) else daily
    if sst.dims != ("time", "lat", "lon"):
        raise ValueError(
            f"daily must have dimensions (time, lat, lon), saw {sst.dims}; transpose it"
        )
    return sst


def _prefer_warm(field, sst, ocean, cover, bias):
    """Mix minus the SST anomaly into the cloud field until clear cells are ``bias`` K warmer."""
    month = min(31, sst.shape[0])
    filled = np.where(ocean, np.nan_to_num(sst), 0)
    anomaly = filled - uniform_filter1d(filled, month, axis=0, mode="nearest")
    anomaly, wet = torch.as_tensor(anomaly)[None], torch.as_tensor(ocean)  # (1,T,H,W), (H,W)
    std = max(float(anomaly[..., wet].std()), 1e-6)

    def mixed(share):  # the field has unit variance, but for what lies off the swath
        return math.sqrt(1 - share**2) * field - share * anomaly / std

    def reached(share):
        seen = wet & ~_cut_at_cover(mixed(share), cover.reshape(1), wet)
        return float(anomaly[seen].mean() - anomaly[..., wet].mean())

    least, most = reached(-0.95), reached(0.95)
    if not least <= bias <= most:
        raise ValueError(
            f"clear_sky_bias must lie within {least:.2f}..{most:.2f} K for this sea and "
            f"cover, saw {bias:g}; ask for less, or for more cover"
        )
    low, high = -0.95, 0.95
    for _ in range(8):  # the bias grows with the share: halve the interval
        share = (low + high) / 2
        low, high = (share, high) if reached(share) < bias else (low, share)
    return mixed((low + high) / 2)


def observe(
    daily: xr.Dataset | xr.DataArray, cloudy: xr.DataArray, noise: float = 0.3, seed: int = 0
) -> xr.Dataset:
    """What a satellite would report: Dataset with ``sst`` NaN under clouds and noisy elsewhere.

    ``daily`` is the complete sea, ``cloudy`` (time, lat, lon) True where it is hidden; ``noise`` is
    the standard deviation in K of a retrieval error drawn for every cell and day on its own.
    Raises ``ValueError`` for a negative noise or grids that differ.
    """
    if not 0 <= noise <= MOST_NOISE:
        raise ValueError(
            f"noise must be a standard deviation in K of 0 to {MOST_NOISE:g}, saw {noise!r}; "
            "0.3 is usual for an infrared radiometer"
        )
    sst = _daily_sst(daily)
    if cloudy.dims != sst.dims or not all(cloudy[d].equals(sst[d]) for d in sst.dims):
        raise ValueError(
            f"cloudy must lie on the grid and days of daily {dict(sst.sizes)}, "
            f"saw {dict(cloudy.sizes)}; make the clouds from the same daily field"
        )
    if cloudy.dtype != bool:
        raise ValueError(
            f"cloudy must be boolean, True = hidden, saw {cloudy.dtype}; use .astype(bool)"
        )
    error = noise * np.random.default_rng(seed).standard_normal(sst.shape, dtype="float32")
    seen = (sst + error).where(~cloudy).astype("float32").assign_attrs(sst.attrs)
    seen.attrs["long_name"] = "daily sea surface temperature seen between clouds"
    out = seen.rename("sst").to_dataset()
    if isinstance(daily, xr.Dataset) and "ocean_mask" in daily:
        out["ocean_mask"] = daily["ocean_mask"]
    return out.assign_attrs(daily.attrs if isinstance(daily, xr.Dataset) else {})
