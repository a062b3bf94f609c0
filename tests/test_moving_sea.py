"""The sea that moves: what its flow must keep, what it must look like, seeds, and refusals."""

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from sst_tutorial import open_sst, simulate_ocean
from sst_tutorial.moving_sea import (
    Grid,
    _cut,
    _Sea,
    moving_anomalies,
    moving_ocean,
    paths,
    step,
)
from sst_tutorial.simulate import M_PER_S, climatological_sst

CHECK = Path(__file__).parents[1] / "experiments" / "checks" / "simulation.py"
spec = importlib.util.spec_from_file_location("check_simulation", CHECK)
check = importlib.util.module_from_spec(spec)
spec.loader.exec_module(check)

CELL, SPEED = 8.0, 20.0  # km, km per day


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def exact_grid(size):
    """In double precision: what is left of an error is then that of the method."""
    return Grid(size, torch.tensor([CELL], dtype=torch.float64))


def waves(grid, longest=8, seed=0):
    """Coefficients (1,N,M) of a random field of long waves, root mean square 1."""
    white = torch.randn(1, grid.size, grid.size, generator=seeded(seed), dtype=torch.float64)
    long = (grid.k > 0) & (grid.k < longest * grid.k[:, :1, 1:2])
    coefficients = torch.fft.rfft2(white) * long
    return coefficients / grid.rms(coefficients)


def carried(grid, b_hat, t_hat, days, steps, gradient=0.0):
    for _ in range(steps):
        b_hat, t_hat = step(b_hat, t_hat, days / steps, grid, gradient)
    return b_hat, t_hat


@pytest.fixture(scope="module")
def developed():
    """(6,60,64,64) K: 64 cells of 16 km make a box as wide as the default 128 of 8 km."""
    return moving_anomalies(6, 60, 64, seeded(1), cell_km=16.0).numpy()


# --- the physics -----------------------------------------------------------------------------
def test_flow_has_no_divergence_and_the_speed_of_its_buoyancy():
    grid = exact_grid(32)
    b_hat = waves(grid)
    u, v = grid.field(grid.to_flow * b_hat[:, None])[0]
    u_hat, v_hat = torch.fft.fft2(u), torch.fft.fft2(v)
    k = 2 * math.pi * torch.fft.fftfreq(32, CELL, dtype=torch.float64)
    divergence = torch.fft.ifft2(1j * (k * u_hat + k[:, None] * v_hat)).real
    rotation = torch.fft.ifft2(1j * (k * v_hat - k[:, None] * u_hat)).real
    assert divergence.abs().max() < 1e-12 * rotation.abs().max()
    assert float((u**2 + v**2).mean()) == pytest.approx(1)


def test_variances_and_energy_are_kept():
    grid = exact_grid(32)
    now = SPEED * waves(grid), waves(grid, seed=1)
    later = carried(grid, *now, days=4, steps=80)
    per_k = torch.where(grid.k > 0, 1 / grid.k, 0)

    def kept(b_hat, t_hat):  # psi * b is (b / sqrt|k|)^2
        return torch.stack([grid.rms(b_hat), grid.rms(t_hat), grid.rms(b_hat * per_k.sqrt())]) ** 2

    torch.testing.assert_close(kept(*later), kept(*now), rtol=1e-3, atol=0)
    assert grid.rms(later[0] - now[0]) > SPEED  # it is another sea by then


def test_parallel_flow_is_steady_and_shears_a_tracer():
    size, days = 64, 2.0
    grid = exact_grid(size)
    x = CELL * torch.arange(size, dtype=torch.float64)
    k = 2 * math.pi / (size * CELL)
    b = SPEED * torch.cos(k * x)[:, None].expand(size, size)  # so u is SPEED sin(ky), v is 0
    t = torch.cos(2 * k * x).expand(size, size)
    b_hat, t_hat = torch.fft.rfft2(b)[None], torch.fft.rfft2(t)[None]
    b_hat, t_hat = carried(grid, b_hat, t_hat, days, steps=40)
    torch.testing.assert_close(grid.field(b_hat)[0], b, rtol=0, atol=1e-10)
    sheared = torch.cos(2 * k * (x - SPEED * torch.sin(k * x)[:, None] * days))
    torch.testing.assert_close(grid.field(t_hat)[0], sheared, rtol=0, atol=1e-6)


def test_northward_water_brings_the_south():
    grid = exact_grid(32)
    b_hat = SPEED * waves(grid)
    _, t_hat = step(b_hat, torch.zeros_like(b_hat), 1e-4, grid, gradient=0.01)
    northward = grid.field(grid.to_flow[:, 1] * b_hat)
    torch.testing.assert_close(grid.field(t_hat), -0.01e-4 * northward, rtol=0, atol=1e-7)


def test_half_the_step_makes_a_sixteenth_of_the_error():
    grid = exact_grid(32)
    now = SPEED * waves(grid), waves(grid, seed=1)
    truth = torch.stack(carried(grid, *now, days=0.5, steps=128))
    errors = [(torch.stack(carried(grid, *now, 0.5, n)) - truth).abs().max() for n in (8, 16, 32)]
    assert 13 < errors[0] / errors[1] < 19 and 13 < errors[1] / errors[2] < 19


def test_no_place_is_special():
    grid = exact_grid(32)
    fields = grid.field(torch.stack([SPEED * waves(grid), waves(grid, seed=1)]))  # (2,1,N,N)

    def later(fields):
        hats = carried(grid, *torch.fft.rfft2(fields), days=1, steps=20, gradient=0.01)
        return grid.field(torch.stack(hats))

    moved = later(fields.roll((5, 9), (-2, -1)))
    torch.testing.assert_close(moved, later(fields).roll((5, 9), (-2, -1)), rtol=0, atol=1e-9)


def test_speed_is_held():
    speed = torch.tensor([0.1, 0.24, 0.5])[:, None, None] * M_PER_S
    sea = _Sea(Grid(32, torch.full((3,), 16.0)), speed, 0.01, 25.0, seeded())
    for day in range(60):
        sea.advance_a_day()
        if day >= 20:
            u, v = sea.grid.field(sea.grid.to_flow * sea.b_hat[:, None]).unbind(1)
            rms = (u**2 + v**2).mean((1, 2)).sqrt()
            torch.testing.assert_close(rms, speed[:, 0, 0], rtol=0.15, atol=0)


def test_forcing_has_unit_variance_and_its_wavelength():
    grid = Grid(64, torch.full((64,), 16.0))
    noise = _Sea(grid, torch.full((64, 1, 1), SPEED), 0.01, 25.0, seeded()).noise()
    assert float(grid.field(noise).var()) == pytest.approx(1, abs=0.1)
    power = noise.abs().square()
    wavelength = 2 * math.pi / float((grid.k * power).sum() / power.sum())
    assert wavelength == pytest.approx(320, rel=0.1)


# --- what it looks like ----------------------------------------------------------------------
def test_strength_and_memory(developed):
    a = developed.astype("float64")
    assert a.std() == pytest.approx(1.4, abs=0.25)
    month = a.reshape(6, 2, 30, 64, 64).mean(2)
    assert month.std() == pytest.approx(1.25, abs=0.25) and month.std() < 0.95 * a.std()
    lag = [(a[:, n:] * a[:, :-n]).mean() / (a**2).mean() for n in (1, 3, 7, 15)]
    assert lag == sorted(lag, reverse=True)
    assert np.allclose(lag, (0.98, 0.91, 0.78, 0.62), rtol=0, atol=(0.02, 0.06, 0.1, 0.12))


def test_spectrum_falls_as_turbulence_does(developed):
    k, power = check.spectrum(developed, 16.0)
    assert -3 < check.slope(k, power, 100, 300) < -1.5  # where eddies break up into filaments
    assert check.slope(k, power, 48, 64) < -5  # the shortest waves are damped, no noise piles up


def test_fronts_are_sharper_than_chance(developed):
    gradient = np.diff(developed.astype("float64"), axis=-1)
    assert (gradient**4).mean() / (gradient**2).mean() ** 2 > 4  # 3 of a Gaussian field


def test_one_seed_one_sea():
    settings = {"size": 16, "spin_up_days": 3, "cell_km": (8.0, 25.0), "speed": (0.1, 0.4)}
    first, same, other = (
        moving_anomalies(2, 4, generator=seeded(n), **settings) for n in (1, 1, 2)
    )
    assert first.shape == (2, 4, 16, 16) and first.dtype == torch.float32
    assert torch.equal(first, same) and not torch.allclose(first, other, atol=0.01)
    assert not torch.allclose(first[0], first[1], atol=0.01)
    assert first.mean((-2, -1)).abs().max() < 1e-5


def test_anomalies_are_proportional_to_the_gradient():
    settings = {"size": 16, "spin_up_days": 5}
    weak, strong = (
        moving_anomalies(1, 2, generator=seeded(), gradient=g, **settings) for g in (1.0, -3.0)
    )
    torch.testing.assert_close(-3 * weak, strong, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("cell_km", [2.0, 25.0])
@pytest.mark.parametrize("speed", [0.05, 0.6])
@pytest.mark.parametrize("size", [16, 32])
def test_corners_are_stable(cell_km, speed, size):
    sea = moving_anomalies(
        2, 4, size, seeded(), cell_km=cell_km, speed=speed, spin_up_days=6 if speed > 0.1 else 30
    )
    assert torch.isfinite(sea).all()
    # Water comes from no farther than an eddy or two, whatever the grid.
    eddy_km = min(320, size * cell_km / 3.2)
    assert 0.03 < sea.std() / (eddy_km / 100) < 1.5


@pytest.mark.parametrize(
    "bad, named",
    [
        ({"runs": 0}, "runs"),
        ({"days": 0}, "days"),
        ({"days": -3}, "days"),
        ({"days": 2.5}, "days"),
        ({"size": 33}, "size"),
        ({"size": 14}, "size"),
        ({"cell_km": 1.0}, "cell_km"),
        ({"cell_km": (8.0, 50.0)}, "cell_km"),
        ({"speed": 0.0}, "speed"),
        ({"speed": (0.4, 0.2)}, "speed"),
        ({"speed": (0.1, 0.2, 0.3)}, "speed"),
        ({"gradient": math.nan}, "gradient"),
        ({"memory_days": 0}, "memory_days"),
        ({"spin_up_days": -1}, "spin_up_days"),
    ],
)
def test_bad_seas(bad, named):
    with pytest.raises(ValueError, match=f"^{named} must") as error:
        moving_anomalies(**{"runs": 1, "days": 1, "size": 16, "spin_up_days": 0} | bad)
    assert "\n" not in str(error.value)


# --- the Dataset -----------------------------------------------------------------------------
@pytest.fixture(scope="module")
def tasmania():
    return moving_ocean(shape=(32, 64), days=3, seed=4, cell_km=25.0, spin_up_days=30)


def test_dataset_is_that_of_the_other_simulator(tasmania):
    other = simulate_ocean(shape=(32, 64), days=3)
    assert tasmania.sizes == other.sizes and tasmania["sst"].dtype == "float32"
    for name in ("time", "lat", "lon", "ocean_mask"):
        assert tasmania[name].identical(other[name])
    assert tasmania["sst"].attrs == other["sst"].attrs
    assert tasmania.attrs["Conventions"] == other.attrs["Conventions"]
    np.testing.assert_array_equal(
        np.isnan(tasmania["sst"].values), np.broadcast_to(~other["ocean_mask"], (3, 32, 64))
    )


def test_dataset_needs_no_tidying(tasmania):
    tidy = open_sst(tasmania)
    assert tidy["sst"].equals(tasmania["sst"])
    assert tidy["ocean_mask"].equals(tasmania["ocean_mask"])


def test_dataset_is_climatology_and_one_sea(tasmania):
    same, other = (
        moving_ocean(shape=(32, 64), days=3, seed=seed, cell_km=25.0, spin_up_days=30)
        for seed in (4, 5)
    )
    assert tasmania.equals(same) and not tasmania.equals(other)
    days = tasmania["time"].dt.dayofyear.values
    anomaly = tasmania["sst"] - climatological_sst(tasmania["lat"], days)[:, :, None]
    assert 0.3 < float(anomaly.std()) < 2.5 and abs(float(anomaly.mean())) < 1.5


@pytest.mark.parametrize("cells", [(40, 30), (7, 200)])
def test_region_lies_on_the_sea(cells):
    y, x = (8.0 * (torch.arange(64) + 0.5)[:, None], 8.0 * (torch.arange(64) + 0.5))
    wave = lambda y, x: torch.sin(x / 50) + torch.cos(y / 60)  # noqa: E731
    (H, W), (tall, wide) = cells, (300.0, 350.0)
    cut = _cut(wave(y, x)[None], 8.0, (tall, wide), cells)
    y, x = (torch.arange(H) + 0.5)[:, None] * tall / H, (torch.arange(W) + 0.5) * wide / W
    error = (cut[0] - wave(y, x)).abs()  # cells of 43 km blunt the crests, most of all at an edge
    assert cut.shape == (1, H, W) and error.mean() < 0.01 and error.max() < 0.08


@pytest.mark.parametrize(
    "bad, named",
    [
        ({"lon": (0, 100)}, "lat and lon"),
        ({"shape": (1, 64)}, "H"),
        ({"days": 0}, "days"),
        ({"start": "yesterdayish"}, "start"),
        ({"cell_km": 0.0}, "cell_km"),
        ({"speed": 0.0}, "speed"),
    ],
)
def test_bad_oceans(bad, named):
    with pytest.raises(ValueError, match=f"^{named} must"):
        moving_ocean(**{"shape": (8, 8), "days": 1, "cell_km": 25.0} | bad)


# ---------------------------------------------------------------- where the water goes


def test_water_in_a_steady_stream_goes_straight_on_and_over_the_edge():
    flow = torch.zeros(5, 2, 16, 16)
    flow[:, 0], flow[:, 1] = 16.0, -8.0  # km per day east and south; cells of 8 km
    way = paths(flow, torch.tensor([[3.0, 14.5], [0.25, 0.0]]), day=1)
    assert way.shape == (2, 5, 2)
    days = torch.arange(5.0)[:, None] - 1
    step = torch.tensor([-1.0, 2.0])  # rows count northward
    torch.testing.assert_close(way[0], torch.tensor([3.0, 14.5]) + days * step)
    torch.testing.assert_close(way[1], torch.tensor([0.25, 0.0]) + days * step)


def test_water_stays_on_the_lines_of_a_steady_streamfunction():
    size, cell = 64, 8.0
    k = 2 * math.pi / (size * cell)
    where = cell * torch.arange(size).double()
    y, x = where[:, None], where
    strength = 20 / k  # at most 20 km per day
    u = strength * k * torch.sin(k * y).expand(size, size)  # u = -d psi/dy, psi = cos ky + cos kx
    v = -strength * k * torch.sin(k * x).expand(size, size)
    flow = torch.stack([u, v]).expand(21, 2, size, size)
    start = torch.tensor([[10.0, 20.0], [32.0, 5.0], [40.5, 40.5]]).double()
    way = paths(flow, start, day=10, cell_km=cell)

    def psi(at):
        return torch.cos(k * cell * at[..., 0]) + torch.cos(k * cell * at[..., 1])

    assert (psi(way) - psi(start)[:, None]).abs().max() < 0.01
    assert (way - start[:, None]).abs().amax((1, 2)).min() > 5  # and it went somewhere
    torch.testing.assert_close(way[:, 10], start)


def test_the_flow_that_comes_with_anomalies_is_theirs():
    def sea(**more):
        g = torch.Generator().manual_seed(3)
        return moving_anomalies(2, 3, 32, g, cell_km=16.0, spin_up_days=10, **more)

    (anomaly, flow), alone = sea(flow=True), sea()
    assert torch.equal(anomaly, alone) and flow.shape == (2, 3, 2, 32, 32)
    speed = flow.square().sum(2).mean((1, 2, 3)).sqrt() / M_PER_S
    assert ((speed - 0.24).abs() < 0.06).all()
    hat = torch.fft.rfft2(flow)
    ky = torch.fft.fftfreq(32)[:, None]
    kx = torch.fft.rfftfreq(32)
    divergence = torch.fft.irfft2(2j * math.pi * (kx * hat[:, :, 0] + ky * hat[:, :, 1]))
    assert divergence.abs().max() < 1e-3 * flow.abs().max()
