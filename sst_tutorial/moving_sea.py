"""A sea that moves: SST stirred by turbulence that makes its own eddies, fronts and filaments.

Buoyancy at the surface is carried by the flow that it makes itself: surface quasi-geostrophic
turbulence (Held, Pierrehumbert, Garner and Swanson 1995, doi:10.1017/S0022112095000012), on a
doubly periodic square, by a pseudo-spectral method. SST is a tracer in that flow: carried across a
mean north-south gradient it becomes warm and cold anomalies, which the air makes forget.

``moving_anomalies`` does it in torch for many runs at once, on CPU or GPU; ``step`` is the physics
alone; ``moving_ocean`` wraps one run in xarray as ``simulate_ocean`` does. The eddies of
``simulate.ocean_anomalies`` are cheaper and drawn at random; these here live, merge and shear.

Units are km and days. Lengths: R runs, N x N cells, M = N/2+1 columns of a half spectrum.
"""

import math

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
import xarray as xr

from sst_tutorial._checks import require
from sst_tutorial.coast import ocean_mask
from sst_tutorial.simulate import (
    _CF_ATTRIBUTES,
    FREEZING,
    M_PER_S,
    Range,
    _cell_centres,
    _grid,
    climatological_sst,
)

# The flow. Times are in turnovers (wavelength / 2 pi speed; 2.5 days with the defaults), so that a
# slow sea of large eddies and a fast one of small eddies are the same sea.
EDDY_KM = 320.0  # wavelength of the ring in which eddies are made,
EDDIES_ACROSS = 3.2  # or, where it is longer than that, the box divided by this
FORCING = 0.1  # buoyancy variance that the forcing makes in a turnover, of all there is
DRAG = 0.1  # damping of wavelengths longer than the ring, in a turnover
HOLD = 0.2  # rate in a turnover at which the flow returns to its prescribed speed
DISSIPATION = 1.0  # damping at the smallest wavelength kept, in the time to be carried across it

COURANT = 1.8  # of the fastest water and the shortest wave; RK4 is stable up to 2.8
MAX_SIZE = 512  # cells along an edge of moving_ocean's box


class Grid:
    """Wavenumbers of N x N periodic cells, and what follows from them.

    cell_km : (R,) cells of each run. Its device and dtype are those of all that is computed.
    """

    def __init__(self, size: int, cell_km: torch.Tensor):
        self.size, options = size, {"device": cell_km.device, "dtype": cell_km.dtype}
        unit = 2 * math.pi / cell_km[:, None, None]
        ky = unit * torch.fft.fftfreq(size, **options)[:, None]  # (R,N,1) radians per km
        kx = unit * torch.fft.rfftfreq(size, **options)  # (R,1,M)
        self.k = torch.hypot(kx, ky)  # (R,N,M)
        # Products of two waves reach twice as far; a third of the spectrum empty keeps what wraps
        # around off the rest (Orszag 1971).
        self.k_max = unit / 3  # (R,1,1)
        self.kept = self.k < self.k_max
        # u = -d psi/dy, v = d psi/dx with psi = b / |k|: no divergence, whatever b is.
        per_k = torch.where(self.k > 0, 1 / self.k, 0)
        self.to_flow = torch.stack([-1j * ky * per_k, 1j * kx * per_k], 1)  # (R,2,N,M)
        minus_nabla = [-1j * kx * self.kept, -1j * ky * self.kept]
        self.minus_divergence = torch.stack(minus_nabla, 1)[:, :, None]  # (R,2,1,N,M)
        # Every column of the half spectrum but the first and the last stands for two.
        self.twice = torch.full((size // 2 + 1,), 2.0, **options)
        self.twice[[0, -1]] = 1

    def field(self, coefficients):
        """(...,N,M) complex -> (...,N,N)."""
        return torch.fft.irfft2(coefficients, s=(self.size, self.size))

    def rms(self, coefficients):
        """Root mean square of the field with these coefficients: (...,N,M) -> (...,1,1)."""
        power = coefficients.real.square() + coefficients.imag.square()
        return (power * self.twice).sum((-2, -1), keepdim=True).sqrt() / self.size**2


def step(b_hat, t_hat, dt: float, grid: Grid, gradient: float = 0.0):
    """Carry buoyancy and tracer by the flow of that buoyancy: one step of Runge-Kutta, 4th order.

        db/dt = -u . grad b,   dT/dt = -u . grad T - v * gradient,   psi = b / |k|

    No forcing and no friction. b_hat, t_hat: (R,N,M) ``rfft2`` of b in km per day and T in K, zero
    where ``grid.kept`` is False. dt: days, up to about 2.8 / (fastest flow * grid.k_max).
    gradient: K per km northward. Returns both at the later time.
    """
    now = torch.stack([b_hat, t_hat], 1)  # (R,2,N,M)
    one = _tendency(now, grid, gradient)
    two = _tendency(now + dt / 2 * one, grid, gradient)
    three = _tendency(now + dt / 2 * two, grid, gradient)
    four = _tendency(now + dt * three, grid, gradient)
    return (now + dt / 6 * (one + 2 * (two + three) + four)).unbind(1)


def _tendency(now, grid, gradient):
    flow_hat = grid.to_flow * now[:, :1]  # (R,2,N,M)
    flow, carried = grid.field(torch.cat([flow_hat, now], 1)).split(2, 1)  # (R,2,N,N) each
    flux_hat = torch.fft.rfft2(flow[:, :, None] * carried[:, None])  # (R,2,2,N,M): of b and T
    change = (grid.minus_divergence * flux_hat).sum(1)  # (R,2,N,M)
    change[:, 1] -= gradient * flow_hat[:, 1]
    return change


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
    spin_up_days: int = 60,
) -> torch.Tensor:
    """Daily SST anomalies of ``runs`` independent seas in motion, one instant of each day."""
    if device is None:
        device = generator.device if generator is not None else "cpu"
    draw = lambda pair: _draw(pair, runs, generator, device)  # noqa: E731
    grid = Grid(size, draw(cell_km))
    sea = _Sea(grid, M_PER_S * draw(speed)[:, None, None], gradient / 100, memory_days, generator)
    seen = []
    for day in range(1 - spin_up_days, days + 1):
        sea.advance_a_day()
        if day > 0:
            seen.append(grid.field(sea.t_hat))
    return torch.stack(seen, 1)


class _Sea:
    """The state of some runs, and all that acts on it beside the flow."""

    def __init__(self, grid, speed, gradient, memory_days, generator):
        self.grid, self.speed, self.gradient, self.generator = grid, speed, gradient, generator
        box = 2 * math.pi / grid.k[:, :1, 1:2]  # (R,1,1) km
        k_eddy = 2 * math.pi / (box / EDDIES_ACROSS).clamp(max=EDDY_KM)
        turnovers = k_eddy * speed  # (R,1,1) in a day
        ring = torch.exp(-(((grid.k - k_eddy) / (k_eddy / 4)) ** 2)) * grid.kept
        self.ring = ring / ((ring**2 * grid.twice).sum((-2, -1), keepdim=True).sqrt() / grid.size)
        self.kick = speed * (FORCING * turnovers).sqrt()
        self.hold = HOLD * turnovers
        viscous = DISSIPATION * speed * grid.k_max * (grid.k / grid.k_max) ** 8
        self.loss = viscous + DRAG * turnovers * torch.exp(-((grid.k / k_eddy) ** 4)), viscous + 1 / memory_days
        self.b_hat = speed * self.noise()
        self.t_hat = torch.zeros_like(self.b_hat)

    def noise(self):
        """Coefficients (R,N,M) of a random field of unit variance in the ring of wavelengths."""
        white = torch.randn(
            self.grid.k.shape[0], self.grid.size, self.grid.size,
            generator=self.generator, device=self.ring.device,
        )
        return self.ring * torch.fft.rfft2(white)

    def advance_a_day(self):
        grid = self.grid
        fastest = grid.field(grid.to_flow * self.b_hat[:, None]).norm(dim=1).amax((-2,-1), keepdim=True)
        steps = math.ceil(float((fastest * grid.k_max).max()) / COURANT)
        dt = 1 / steps
        self.steps = steps
        keep_b, keep_t = (torch.exp(-dt * loss) for loss in self.loss)
        for _ in range(steps):
            b_hat, t_hat = step(self.b_hat, self.t_hat, dt, grid, self.gradient)
            held = (self.speed / grid.rms(b_hat)) ** (self.hold * dt)
            self.b_hat = keep_b * held * b_hat + self.kick * math.sqrt(dt) * self.noise()
            self.t_hat = keep_t * t_hat


def _draw(pair, runs, generator, device):
    low, high = (pair, pair) if np.isscalar(pair) else pair
    unit = torch.rand(runs, generator=generator, device=device)
    return low * (high / low) ** unit  # (R,)
