"""A sea that moves: SST stirred by turbulence that makes its own eddies, fronts and filaments.

Buoyancy at the surface is carried by the flow that it makes itself: surface quasi-geostrophic
turbulence (Held, Pierrehumbert, Garner and Swanson 1995, doi:10.1017/S0022112095000012), on a
doubly periodic square, by a pseudo-spectral method. SST is a tracer in that flow: carried across a
mean north-south gradient it becomes warm and cold anomalies, which the air makes it forget.

``moving_anomalies`` does it for many runs at once, on CPU or GPU; ``step`` is the physics alone;
``moving_ocean`` wraps one run in xarray as ``simulate_ocean`` does.

Units are km and days. Shapes: R runs, N x N cells, M = N/2 + 1 columns of a half spectrum.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
import xarray as xr

from sst_tutorial._checks import require
from sst_tutorial.simulate import (
    M_PER_S,
    Range,
    _cell_centres,
    _grid,
    as_dataset,
    climatological_sst,
    dates,
)

EDDY_KM = 320.0  # wavelength of the ring in which eddies are made,
EDDIES_ACROSS = 3.2  # or, where that is shorter, the width of the box divided by this
# Rates in a turnover, wavelength / (2 pi speed), 2.5 days by default: so a slow sea of large
# eddies and a fast one of small eddies are the same sea. Ten times the two rates take the
# correlation over 15 days from 0.62 to 0.55. The price of the memory: nothing is settled, eddies
# go on merging. Waves longer than 700 km have 0.18 of the variance of buoyancy after 120 days from
# the start, 0.36 after 200 and 0.57 after 400 (with ten times the rates 0.07, 0.14 and 0.20), and
# the correlation over 15 days grows from 0.55 to 0.68 within the half year after the spin-up.
# Without drag it is 0.65 instead of 0.62.
FORCING = 0.001  # share of the buoyancy variance that is made in the ring
DRAG = 0.001  # damping of what is longer than the ring
HOLD = 0.2  # return to the prescribed speed; the flow then stays within 6 % of it
COURANT = 1.8  # of the fastest water and the shortest wave; RK4 is stable up to 2.8
WIDE_KM, WIDEST_KM = 1024.0, 4000.0  # least box of moving_ocean, and its widest region


# ---------------------------------------------------------------- the physics


class Grid:
    """Wavenumbers of N x N periodic cells, and what is made of them.

    cell_km : (R,) size of the cells of each run; its device and dtype are those of all results.
    """

    def __init__(self, size: int, cell_km: torch.Tensor):
        self.size, like = size, {"device": cell_km.device, "dtype": cell_km.dtype}
        unit = 2 * math.pi / cell_km[:, None, None]
        ky = unit * torch.fft.fftfreq(size, **like)[:, None]  # (R,N,1) radians per km
        kx = unit * torch.fft.rfftfreq(size, **like)  # (R,1,M)
        self.k = torch.hypot(kx, ky)  # (R,N,M)
        # A product of two waves reaches twice as far and wraps around. With the last third empty,
        # what wraps falls there and is cut off (Orszag 1971).
        self.k_max = unit / 3  # (R,1,1)
        self.kept = self.k < self.k_max  # (R,N,M)
        # u = -d psi/dy, v = d psi/dx and psi = b / |k|: no divergence, whatever b is.
        per_k = torch.where(self.k > 0, 1 / self.k, 0)
        self.to_flow = torch.stack([-1j * ky * per_k, 1j * kx * per_k], 1)  # (R,2,N,M)
        minus_nabla = torch.stack([-1j * kx * self.kept, -1j * ky * self.kept], 1)
        self.minus_divergence = minus_nabla[:, :, None]  # (R,2,1,N,M)
        # Every column of the half spectrum but the first and the last stands for two.
        self.twice = torch.full((size // 2 + 1,), 2.0, **like)
        self.twice[[0, -1]] = 1

    def field(self, coefficients):
        """Fourier coefficients (...,N,M) -> field (...,N,N)."""
        return torch.fft.irfft2(coefficients, s=(self.size, self.size))

    def rms(self, coefficients):
        """Root mean square of the field that has these coefficients: (R,N,M) -> (R,1,1)."""
        power = (coefficients * coefficients.conj()).real * self.twice
        return power.sum((-2, -1), keepdim=True).sqrt() / self.size**2


def step(b_hat, t_hat, dt: float, grid: Grid, gradient: float = 0.0):
    """Carry buoyancy and tracer with the flow of that buoyancy: a Runge-Kutta step of 4th order.

        db/dt = -u . grad b        dT/dt = -u . grad T - v * gradient        psi_hat = b_hat / |k|

    Neither forced nor damped, so the variances of b and T and the mean of psi * b stay.

    b_hat, t_hat : (R,N,M) ``torch.fft.rfft2`` of buoyancy, scaled to km per day so that its root
        mean square is that of the flow, and of the tracer in K; zero outside ``grid.kept``.
    dt : days, at most 2.8 / (speed of the fastest water * ``grid.k_max``).
    gradient : K per km northward that T has in the mean, beside its anomalies.

    Returns both at the later time. It checks nothing: ``moving_anomalies`` does.
    """
    now = torch.stack([b_hat, t_hat], 1)  # (R,2,N,M)
    one = _tendency(now, grid, gradient)
    two = _tendency(now + dt / 2 * one, grid, gradient)
    three = _tendency(now + dt / 2 * two, grid, gradient)
    four = _tendency(now + dt * three, grid, gradient)
    return (now + dt / 6 * (one + 2 * (two + three) + four)).unbind(1)


def _tendency(now, grid, gradient):
    """d/dt of (b, T), as coefficients (R,2,N,M): two batched transforms, no more."""
    flow_hat = grid.to_flow * now[:, :1]  # (R,2,N,M)
    fields = grid.field(torch.cat([flow_hat, now], 1))  # (R,4,N,N)
    flow, carried = fields[:, :2, None], fields[:, None, 2:]  # (R,2,1,N,N), (R,1,2,N,N)
    flux_hat = torch.fft.rfft2(flow * carried)  # (R,2,2,N,M): u, v times b, T
    change = (grid.minus_divergence * flux_hat).sum(1)  # (R,2,N,M)
    change[:, 1] -= gradient * flow_hat[:, 1]
    return change


class _Sea:
    """Some runs at one time, and what acts on them beside the flow: forcing, drag, friction, air.

    speed : (R,1,1) km per day. gradient : K per km. The rest as for ``moving_anomalies``.
    """

    def __init__(self, grid, speed, gradient, memory_days, generator):
        self.grid, self.speed, self.gradient, self.generator = grid, speed, gradient, generator
        box_km = 2 * math.pi / grid.k[:, :1, 1:2]  # (R,1,1)
        k_eddy = 2 * math.pi / (box_km / EDDIES_ACROSS).clamp(max=EDDY_KM)
        turnovers = k_eddy * speed  # (R,1,1) in a day
        ring = torch.exp(-((4 * grid.k / k_eddy - 4) ** 2)) * grid.kept  # (R,N,M)
        self.ring = ring / grid.rms(ring) / grid.size  # makes noise of unit variance
        self.kick = speed * (FORCING * turnovers).sqrt()
        self.hold = HOLD * turnovers
        # As fast as the flow crosses the shortest wave, and an eighth power slower on longer ones.
        friction = speed * grid.k_max * (grid.k / grid.k_max) ** 8
        drag = DRAG * turnovers * torch.exp(-((grid.k / k_eddy) ** 4))
        self.loss = torch.stack([friction + drag, friction + 1 / memory_days], 1)  # (R,2,N,M)
        self.b_hat = speed * self.noise()  # (R,N,M)
        self.t_hat = torch.zeros_like(self.b_hat)

    def noise(self):
        """Coefficients (R,N,M) of a random field of unit variance in the ring of wavelengths."""
        shape = (len(self.ring), self.grid.size, self.grid.size)
        white = torch.randn(shape, generator=self.generator, device=self.ring.device)
        return self.ring * torch.fft.rfft2(white)

    def advance_a_day(self):
        left = 1.0
        while left > 0:
            # Each step as long as the fastest water allows: a day in equal steps, if it stays so.
            flow = self.grid.field(self.grid.to_flow * self.b_hat[:, None])  # (R,2,N,N)
            per_day = float((flow.norm(dim=1) * self.grid.k_max).max()) / COURANT
            dt = left / max(1, math.ceil(left * per_day))
            b_hat, t_hat = step(self.b_hat, self.t_hat, dt, self.grid, self.gradient)
            keep_b, keep_t = torch.exp(-dt * self.loss).unbind(1)  # exact, however stiff
            held = (self.speed / self.grid.rms(b_hat)) ** (self.hold * dt)
            self.b_hat = held * keep_b * b_hat + self.kick * math.sqrt(dt) * self.noise()
            self.t_hat = keep_t * t_hat
            left -= dt


# ---------------------------------------------------------------- what others call


def moving_anomalies(
    runs: int,
    days: int,
    size: int = 128,
    generator: torch.Generator | None = None,
    device: torch.device | str | None = None,
    cell_km: Range = 8.0,
    speed: Range = 0.24,
    gradient: float = 1.0,
    memory_days: float = 25.0,
    spin_up_days: int = 120,
    flow: bool = False,
):
    """Daily SST anomalies of ``runs`` independent seas in motion, one instant of each day.

    Each is a periodic square: its east is beside its west, its north beside its south, and the
    mean of its anomalies is 0. The number of steps follows from the fastest water of all runs, so
    a run comes out otherwise in other company. 365 days of one run, with those of the spin-up,
    take 9 s on one thread, four times that on a loaded machine. A second thread saves a fifth
    where a core is idle; where both are busy it makes a run sixteen times slower.

    Parameters
    ----------
    runs, days, size : seas, days, and cells along an edge (even, at least 16).
    generator : the same seed gives the same sea on the same device. Its device is used when
        ``device`` is not given.
    cell_km : 2..25. Waves shorter than three cells do not exist, those below six are damped.
        Boxes narrower than 1024 km have smaller eddies (``EDDIES_ACROSS``).
    speed : root mean square speed of the flow in m/s, 0.05..0.6. For a pair (low, high) of this
        or of ``cell_km`` each run draws its own, uniformly in the logarithm.
    gradient : K per 100 km northward that the flow stirs; the anomalies are proportional to it.
    memory_days : after which the air has taken an anomaly down to 1/e.
    spin_up_days : days before the first one, for turbulence and tracer to develop.
    flow : return the flow of each day too.

    Returns
    -------
    (runs, days, size, size) float32 in K; rows run south to north, columns west to east. With
    ``flow`` a pair of this and (runs, days, 2, size, size) km per day, eastward and northward.

    Raises ``ValueError`` for numbers out of these ranges.
    """
    for name, value, least in (("runs", runs, 1), ("days", days, 1), ("size", size, 16)):
        _check_whole(name, value, least)
    _check_whole("spin_up_days", spin_up_days, 0)
    require(size % 2 == 0, f"size must be even, saw {size}; take {size + 1}")
    require(math.isfinite(gradient), f"gradient must be finite, saw {gradient!r}; 1 is usual")
    require(memory_days > 0, f"memory_days must be above 0, saw {memory_days!r}; 25 is usual")
    if device is None:
        device = generator.device if generator is not None else "cpu"
    cell_km = _draw("cell_km", cell_km, 2, 25, runs, generator, device)  # (R,)
    speed = _draw("speed", speed, 0.05, 0.6, runs, generator, device)[:, None, None] * M_PER_S
    sea = _Sea(Grid(size, cell_km), speed, gradient / 100, memory_days, generator)
    seen = torch.empty(runs, days, size, size, device=device)
    flows = torch.empty(runs, days, 2, size, size, device=device) if flow else None
    for day in range(-spin_up_days, days):
        sea.advance_a_day()
        if day >= 0:
            seen[:, day] = sea.grid.field(sea.t_hat)
            if flow:
                flows[:, day] = sea.grid.field(sea.grid.to_flow * sea.b_hat[:, None])
    return (seen, flows) if flow else seen


def paths(flow: torch.Tensor, start: torch.Tensor, day: int, cell_km: float = 8.0, parts=8):
    """Where water was and will be that is at `start` on a day: (P, days, 2) in cells, row first.

    flow (days, 2, N, N) km per day, eastward and northward, of one periodic sea; start (P, 2) in
    cells. Steps of 1 / parts days by the midpoint rule, in flows between two days' interpolated.
    Positions are not wrapped: a path leaves the box on one side and goes on there.
    """
    days, size = len(flow), flow.shape[-1]
    flow = flow.flip(1) / cell_km  # northward first, as rows are, in cells per day

    def at(where, time):
        now = flow[int(time)].lerp(flow[min(int(time) + 1, days - 1)], time % 1)  # (2, N, N)
        low = where.floor().long()
        share, speed = where - low, 0
        for i in (0, 1):
            for j in (0, 1):
                weight = (share[:, 0] - 1 + i).abs() * (share[:, 1] - 1 + j).abs()
                corner = now[:, (low[:, 0] + i) % size, (low[:, 1] + j) % size]  # (2, P)
                speed = speed + (weight * corner).T
        return speed  # (P, 2)

    way = {day: start}
    for sign, last in ((1, days - 1), (-1, 0)):
        where, dt = start, sign / parts
        for n in range(abs(last - day) * parts):
            time = day + n * dt
            half = where + dt / 2 * at(where, time)
            where = where + dt * at(half, time + dt / 2)
            if (n + 1) % parts == 0:
                way[day + sign * (n + 1) // parts] = where
    return torch.stack([way[d] for d in range(days)], 1)


def moving_ocean(
    lat: tuple[float, float] = (-45.0, -37.0),
    lon: tuple[float, float] = (147.0, 155.0),
    shape: tuple[int, int] = (64, 64),
    start: str = "2001-01-01",
    days: int = 365,
    seed: int = 0,
    device: torch.device | str = "cpu",
    cell_km: float = 8.0,
    **anomaly,
) -> xr.Dataset:
    """Complete daily SST of a region, as of ``simulate_ocean``, with a sea that moves.

    The zonal-mean climatology of the region plus the anomalies of one run, which lies with its
    south-west corner on the region's. The flow knows no coast: land is cut out of an open sea.

    Parameters
    ----------
    lat, lon, shape, start, days, seed, device : as for ``simulate_ocean``, but the region is at
        most 4000 km long and wide.
    cell_km : cells on which the sea is computed, in a box at least 1024 km and one eddy wider than
        the region. Larger cells of the region are means of them, smaller ones are interpolated.
    anomaly : further settings for ``moving_anomalies``: speed, gradient, memory_days, spin_up_days.

    Returns
    -------
    Dataset: ``sst`` (time, lat, lon) degC float32, land NaN, and ``ocean_mask`` (lat, lon) bool.

    Raises ``ValueError`` for a region, a date or a setting out of range.
    """
    lat, lon = _cell_centres(lat, lon, shape)
    time = dates(start, days)
    region_km = [n * cell for n, cell in zip(shape, _grid(lat, lon)[0], strict=True)]
    require(
        max(region_km) <= WIDEST_KM,
        f"lat and lon must span at most {WIDEST_KM:.0f} km, saw {max(region_km):.0f}; "
        "take a smaller region, or simulate_ocean",
    )
    generator = torch.Generator(device).manual_seed(int(seed))
    cell_km = float(_draw("cell_km", cell_km, 2, 25, 1, generator, device))
    size = 2 * math.ceil(max(WIDE_KM, max(region_km) + EDDY_KM) / cell_km / 2)
    sea = moving_anomalies(1, days, size, generator, device, cell_km, **anomaly)[0]  # (T,N,N)
    anomalies = _cut(sea, cell_km, region_km, shape).cpu().numpy()  # (T,H,W)
    mean = climatological_sst(lat, time.day_of_year)[:, :, None]  # (T,H,1)
    source = f"sst_tutorial.moving_sea.moving_ocean, seed {seed}"
    return as_dataset(mean + anomalies, lat, lon, time, source)


def _cut(sea, cell_km, region_km, shape):
    """(T,N,N) -> (T,H,W): the corner that the region covers, on the region's cells."""
    h, w = (math.ceil(km / cell_km) + 1 for km in region_km)
    scale = [cell_km * n / km for n, km in zip(shape, region_km, strict=True)]
    # Antialias: a cell wider than one of the sea takes the mean over its width.
    cut = F.interpolate(
        sea[:, None, :h, :w], scale_factor=scale, mode="bicubic", antialias=True,
        recompute_scale_factor=False,
    )  # fmt: skip
    return cut[:, 0, : shape[0], : shape[1]]


def _check_whole(name, value, least):
    require(
        isinstance(value, (int, np.integer)) and value >= least,
        f"{name} must be a whole number of at least {least}, saw {value!r}; ask for more",
    )


def _draw(name, value, low, high, runs, generator, device):
    """(R,) numbers, uniform in the logarithm between the two of a pair; a number is a pair too."""
    pair = (value, value) if np.isscalar(value) else tuple(value)
    require(
        len(pair) == 2 and low <= pair[0] <= pair[1] <= high,
        f"{name} must be a number or (low, high) within {low:g}..{high:g}, "
        f"saw {value!r}; swap or clip the ends",
    )
    unit = torch.rand(runs, generator=generator, device=device)
    return pair[0] * (pair[1] / pair[0]) ** unit
