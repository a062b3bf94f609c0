"""The classes that the chapters from "Telling place" to "All together" write out are those of the
package, key by key, and the loop of "The loss and the loop" is the package's, step by step."""

import csv

import nbformat
import pytest
import torch
from lightning_fabric import Fabric
from notebooks import CHAPTERS as FOLDER
from notebooks import definitions

import sst_tutorial
from sst_tutorial.networks import build
from sst_tutorial.ocean_norm import OceanBatchNorm2d
from sst_tutorial.samples import SampleMaker
from sst_tutorial.settings import changed, settings_of
from sst_tutorial.training import fit as fit_of_package

CHAPTERS = {
    "SpatialPositionalEncoding2D": "telling_place",
    "SpatialTransformer": "looking_across",
    "MonthlyConvDecoder": "back_to_pixels",
    "SpatioTemporalModel": "all_together",
}


def twins(name, **arguments):
    """(class of the page, class of the package), built alike and with equal weights."""
    of_page = definitions(CHAPTERS[name], name)[name](**arguments)
    of_package = getattr(sst_tutorial, name)(**arguments)
    of_page.load_state_dict(of_package.state_dict())  # strict: every key and shape
    return of_page, of_package


def close(a, b):
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", CHAPTERS)
def test_state_dict_keys_and_shapes(name):
    of_page, of_package = twins(name)
    shapes = [{k: v.shape for k, v in m.state_dict().items()} for m in (of_page, of_package)]
    assert shapes[0] == shapes[1]
    assert list(shapes[0]) == list(shapes[1])


@pytest.mark.parametrize("name", CHAPTERS)
def test_module_is_short_enough_to_read(name):
    notebook = nbformat.read(FOLDER / f"{CHAPTERS[name]}.ipynb", as_version=4)
    cells = [c.source for c in notebook.cells if f"class {name}(" in c.source]
    assert len(cells) == 1
    code = [line for line in cells[0].splitlines() if line.strip()]
    assert 15 <= len(code) <= 50, len(code)


@pytest.mark.parametrize("grid", [(16, 16), (3, 40), (1, 1)])
def test_place(grid):
    of_page, of_package = twins("SpatialPositionalEncoding2D", embed_dim=32, max_H=20, max_W=40)
    close(of_page(*grid), of_package(*grid))


@pytest.mark.parametrize("grid", [(21, 4), (4, 41), (0, 4)])
def test_place_refuses_what_the_table_lacks(grid):
    for encoding in twins("SpatialPositionalEncoding2D", embed_dim=32, max_H=20, max_W=40):
        with pytest.raises(ValueError, match="patches"):
            encoding(*grid)


def test_place_added_has_twins_and_side_by_side_has_none():
    names = definitions("telling_place", "added", "SpatialPositionalEncoding2D")
    sound = names["SpatialPositionalEncoding2D"]()
    assert len(torch.unique(names["added"](32, 32), dim=0)) == 528
    assert len(torch.unique(sound(32, 32), dim=0)) == 1024


@pytest.mark.parametrize("training", [True, False])
def test_transformer_and_its_attention(training):
    of_page, of_package = twins("SpatialTransformer", embed_dim=32, depth=3, num_heads=2)
    x = torch.randn(2, 30, 32)  # (B, N, D)
    of_page.train(training), of_package.train(training)
    (a, weights_a), (b, weights_b) = (m(x, return_attention=True) for m in (of_page, of_package))
    close(a, b)
    close(of_page(x), of_package(x))
    assert len(weights_a) == len(weights_b) == 3
    for one, other in zip(weights_a, weights_b, strict=True):
        close(one, other)


def test_head_by_hand_is_scaled_dot_product_attention():
    head = definitions("looking_across", "attention_head")["attention_head"]
    tokens, *matrices = (torch.randn(n, 8) for n in (10, 8, 8, 8))
    heard, weights = head(tokens, *matrices)
    q, k, v = (tokens @ m for m in matrices)
    close(heard, torch.nn.functional.scaled_dot_product_attention(q[None], k[None], v[None])[0])
    close(weights.sum(1), torch.ones(10))


@pytest.mark.parametrize("overlap", [0, 1, 2])
def test_decoder_with_and_without_land(overlap):
    of_page, of_package = twins("MonthlyConvDecoder", embed_dim=16, hidden=8, overlap=overlap)
    latent, coast = torch.randn(2, 24, 16), torch.rand(16, 24) < 0.3  # (B, N, D), (H, W)
    for land in (None, coast, torch.stack([coast, ~coast])):
        for training in (True, False):
            of_page.train(training), of_package.train(training)
            close(of_page(latent, 16, 24, land), of_package(latent, 16, 24, land))
    for key, value in of_page.state_dict().items():  # the running statistics too
        close(value, of_package.state_dict()[key])


def test_decoder_is_born_with_the_same_stamps():
    of_page = definitions("back_to_pixels", "MonthlyConvDecoder")["MonthlyConvDecoder"]
    torch.manual_seed(3)
    one = of_page(overlap=2).deconv.weight
    torch.manual_seed(3)
    close(one, sst_tutorial.MonthlyConvDecoder(overlap=2).deconv.weight)


def test_norm_of_a_batch_of_land_keeps_its_statistics():
    of_page = definitions("back_to_pixels", "OceanBatchNorm2d")["OceanBatchNorm2d"](3)
    of_package = OceanBatchNorm2d(3)
    ocean = torch.rand(4, 1, 8, 8) < 0.5
    for where in (ocean, torch.zeros_like(ocean), ocean):
        x = torch.randn(4, 3, 8, 8)
        close(of_page(x, where), of_package(x, where))
        for key, value in of_page.state_dict().items():
            close(value, of_package.state_dict()[key])


@pytest.mark.parametrize("patch", [(1, 4, 4), (2, 4, 2)])
@pytest.mark.parametrize("training", [True, False])
def test_whole_machine(patch, training):
    of_page, of_package = twins(
        "SpatioTemporalModel",
        in_chans=2,
        embed_dim=16,
        hidden=8,
        patch_size=patch,
        spatial_heads=2,
    )
    of_page.train(training), of_package.train(training)
    data = torch.randn(2, 2, 12, 16, 8)  # (B, C, T, H, W)
    mask = torch.rand(data.shape) < 0.8
    absent = torch.zeros(2, 12, dtype=torch.bool)
    absent[1, 9:] = True
    land = torch.rand(2, 16, 8) < 0.2
    for coast in (None, land[0], land):
        for days in (None, absent):
            close(of_page(data, mask, coast, days), of_package(data, mask, coast, days))


def test_whole_machine_ignores_what_lies_under_the_mask():
    of_page, _ = twins("SpatioTemporalModel", embed_dim=16, hidden=8, spatial_heads=2)
    data, mask = torch.randn(1, 1, 5, 8, 8), torch.rand(1, 1, 5, 8, 8) < 0.5
    clean, poisoned = of_page(data, mask), of_page(data.masked_fill(mask, torch.nan), mask)
    assert clean.isfinite().all()
    close(clean, poisoned)


TINY = settings_of(
    "quick", steps=7, batch_size=4, warmup=2, eval_every=3, pieces=4,
    first_guess={"iterations": 3}, network={"embed_dim": 16, "hidden": 16},
)  # fmt: skip


def new_estimator(seed=0):
    torch.manual_seed(seed)
    return build(TINY.first_guess, TINY.network)


@pytest.fixture(scope="module")
def samples():
    return SampleMaker("cpu", seed=1, size=16, pieces=4)


@pytest.mark.parametrize("micro_batch", [None, 2])
def test_loop_of_the_page_is_that_of_the_package(samples, micro_batch, tmp_path):
    fit = definitions("loss_and_loop", "fit")["fit"]
    settings = changed(TINY, micro_batch=micro_batch)
    fabric = Fabric(accelerator="cpu", devices=1)
    months = samples(1000, 4)
    a, log = fit(new_estimator(), samples, months, settings, tmp_path / "page.pt", fabric)
    b, _ = fit_of_package(
        new_estimator(), samples, {"months": months}, settings, tmp_path, fabric, progress=False
    )
    assert a.state_dict().keys() == b.state_dict().keys()
    for key, value in a.state_dict().items():
        close(value, b.state_dict()[key])
    with (tmp_path / "steps.csv").open() as file:
        theirs = [(float(row["loss"]), float(row["grad_norm"])) for row in csv.DictReader(file)]
    torch.testing.assert_close(torch.tensor(log["loss"]), torch.tensor(theirs), rtol=1e-3, atol=0)
    assert [step for step, _ in log["rmse"]] == [3, 6, 7]


def test_loop_of_the_page_resumes_to_the_same_weights(samples, tmp_path):
    fit = definitions("loss_and_loop", "fit")["fit"]
    fabric, months, path = Fabric(accelerator="cpu", devices=1), samples(1000, 4), tmp_path / "c.pt"

    def killed(step, batch_size):
        if step == 5:
            raise KeyboardInterrupt
        return samples(step, batch_size)

    whole, log = fit(new_estimator(), samples, months, TINY, tmp_path / "whole.pt", fabric)
    with pytest.raises(KeyboardInterrupt):
        fit(new_estimator(), killed, months, TINY, path, fabric)
    resumed, log_resumed = fit(new_estimator(9), samples, months, TINY, path, fabric, resume=True)
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key])
    assert log_resumed == log
    assert not list(tmp_path.glob("*.partial"))
