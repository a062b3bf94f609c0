"""The step that "A sea that moves" writes out is the package's, and the matrix of "When nothing
can be won" is optimal interpolation."""

import nbformat
import numpy as np
import torch
from notebooks import CHAPTERS, code_cells, definitions

from sst_tutorial.baselines import MeasuredCovariance
from sst_tutorial.months import Month
from sst_tutorial.moving_sea import Grid, step
from sst_tutorial.results import read_results


def test_step_by_hand_is_the_step_of_the_package():
    names = ("step_by_hand", "SIZE", "CELL", "GRADIENT", "K", "KEPT")
    page = definitions("moving_sea", *names)
    grid = Grid(page["SIZE"], torch.tensor([page["CELL"]], dtype=torch.double))
    torch.testing.assert_close(page["K"], grid.k[0])
    assert torch.equal(page["KEPT"], grid.kept[0])
    g = torch.Generator().manual_seed(3)
    white = torch.randn(2, page["SIZE"], page["SIZE"], generator=g, dtype=torch.double)
    now = 20 * torch.fft.rfft2(white) * grid.kept
    later = page["step_by_hand"](*now, 1 / 24)
    package = torch.cat(step(now[:1], now[1:], 1 / 24, grid, page["GRADIENT"]))
    assert (later - now).abs().max() > 1e-2 * now.abs().max()  # something moved
    torch.testing.assert_close(later, package, rtol=1e-9, atol=1e-6)


def test_matrix_of_two_clear_days_is_optimal_interpolation():
    g = torch.Generator().manual_seed(0)
    days = np.arange(7)
    space = torch.randn(64, 64, generator=g).double()
    patterns, memory = space @ space.T / 64, np.exp(-days / 5)
    lag = np.abs(days[:, None] - days)
    C = torch.from_numpy(np.kron(memory[lag], patterns.numpy()))  # (448, 448), days first
    page = definitions_with(C)
    matrix, expected = page["optimal"](C=C)
    variance, directions = np.linalg.eigh(patterns.numpy())
    scaled = directions * variance.clip(0) ** 0.5
    same = MeasuredCovariance(scaled, np.tile(np.exp(-np.arange(31) / 5), (64, 1)),
                              np.zeros(64), offset=0.0)  # fmt: skip
    week = np.full((7, 8, 8), np.nan)
    week[[0, 6]] = torch.randn(2, 8, 8, generator=g).numpy()
    month = Month(week, np.ones((8, 8), bool), prior=np.zeros((7, 8, 8)))
    by_page = torch.from_numpy(week[[0, 6]]).float().flatten() @ matrix
    of_package = same.interpolate(month, noise_variance=page["NOISE"] ** 2, day=3)
    np.testing.assert_allclose(by_page.view(8, 8), of_package, rtol=1e-3, atol=1e-4)
    assert 0 < expected < float(patterns.diag().mean()) ** 0.5


def definitions_with(C):
    """`optimal` of the page, which takes the page's covariance by default, given another."""
    notebook = nbformat.read(CHAPTERS / "nothing_can_be_won.ipynb", as_version=4)
    (source,) = (c.source for c in code_cells(notebook) if "def optimal(" in c.source)
    space = {"torch": torch, "C": C}
    exec(source[: source.index("torch.manual_seed")], space)
    return space


def test_more_steps_lead_as_the_page_says():
    record = read_results("less_time")
    far, near = (record[days]["lead_by_steps"] for days in ("days 1 and 7", "days 3 and 5"))
    page = (CHAPTERS / "nothing_can_be_won.ipynb").read_text(encoding="utf-8")
    assert f"after 3000 the leads are {far['3000']:.0%} and {near['3000']:.0%}".replace(
        "%", " %") in page  # fmt: skip
    assert f"After 600 steps the network leads by {far['600']:.0%}".replace("%", " %") in page
    assert near["600"] < 0  # "it has not yet caught up with OI"
