"""The network in the page gives the maps that PyTorch gives, to a thousandth of a kelvin."""

import base64
import gzip
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from sst_tutorial.first_guess import gaussian_mean
from sst_tutorial.weights import load_weights

ROOT = Path(__file__).parents[1]
LIVE = ROOT / "book" / "_static" / "live"
T, H, W = 31, 32, 32
DAY = 17
CLOSE = 1e-3  # K


def stored(name):
    """What book/live.py wrote into NAME.js."""
    return json.loads((LIVE / f"{name}.js").read_text().partition("] = ")[2].rstrip(";\n"))


def case(sea, kind):
    """Truth, seen (T, H, W) and ocean (H, W) of a stored month, or of one that is all odd."""
    month = stored(sea)
    truth = np.frombuffer(base64.b64decode(month["truth"]), "<f2").reshape(T, H, W)
    bits = np.frombuffer(base64.b64decode(month["clouds"]), np.uint8)
    seen = np.unpackbits(bits, count=T * H * W, bitorder="little").reshape(T, H, W) == 0
    ocean = np.ones((H, W), bool)
    if kind == "coast":  # two patches without sea, a coast across others, and days of nothing
        ocean[:8, :5] = ocean[20:, 30:] = False
        seen[3:9] = False
    if kind == "nothing":
        seen[:] = False
    if kind == "one":
        seen[:] = False
        seen[4, 5, 6] = True
    if kind == "all":
        seen[:] = True
    return truth.astype(np.float32), seen, ocean


def in_the_page(net, anomaly, seen, ocean, asked, times=1):
    if shutil.which("node") is None:
        pytest.skip("node is not on this machine")
    given = {"net": net, "size": {"T": T, "H": H, "W": W}, "times": times,
             "anomaly": anomaly.ravel().tolist(), "seen": seen.ravel().astype(int).tolist(),
             "ocean": ocean.ravel().astype(int).tolist(), "asked": asked.tolist()}
    done = subprocess.run(["node", ROOT / "tests" / "live" / "run.js"], input=json.dumps(given),
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def in_torch(net, anomaly, seen, ocean, asked):
    estimator = load_weights(net)
    inputs = [torch.from_numpy(a)[None] for a in (anomaly, seen, ocean)]
    inputs.append(torch.ones(1, T, dtype=torch.bool))
    wanted = torch.from_numpy(asked)[None]
    with torch.inference_mode():
        estimate = estimator(*inputs, wanted)
        weights = estimator.attention(*inputs, wanted)["temporal"][0]
        seas = inputs[1] & inputs[2][:, None]
        gaussian = gaussian_mean(inputs[0], seas, exists=wanted) * inputs[2]
    return {"mean": estimate.mean, "firstGuess": estimate.first_guess, "gaussian": gaussian,
            "weights": weights}


@pytest.mark.parametrize("kind", ["clouds", "coast", "nothing", "one", "all"])
@pytest.mark.parametrize(("sea", "net", "day"), [
    ("quiet", "ocean-1", None),
    ("moving", "ocean-2-preview", None),
    ("moving", "ocean-2-preview", DAY),
])
def test_the_page_computes_what_pytorch_computes(sea, net, day, kind):
    truth, seen, ocean = case(sea, kind)
    noise = 0.3 * np.random.default_rng(0).standard_normal(truth.shape, np.float32)
    asked = np.ones(T, bool) if day is None else np.arange(T) == day
    page = in_the_page(net, truth + noise, seen, ocean, asked)
    for name, expected in in_torch(net, truth + noise, seen, ocean, asked).items():
        off = np.abs(np.array(page[name]) - expected.numpy().ravel()).max()
        assert off < CLOSE, (name, off)


def test_the_stored_months_are_of_use():
    """Clouds hide about what was asked for, and the sea has something to find."""
    for sea in ("quiet", "moving"):
        truth, seen, _ = case(sea, "clouds")
        assert 0.1 < seen.mean() < 0.2
        assert truth.mean(0).std() > 0.1
        assert np.abs(truth).max() < 8


def test_the_page_fetches_no_more_than_it_may():
    """Scripts and one network, packed as hosts pack them: 2.2 MB."""
    names = ["matrix", "first_guess", "engine", "page", "quiet", "ocean-1"]
    packed = sum(len(gzip.compress((LIVE / f"{name}.js").read_bytes())) for name in names)
    assert packed < 2_200_000


@pytest.fixture(scope="module")
def visit(site):
    """What came of using the built page in a browser, from the disk."""
    chromium = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    for tool in (chromium, "node"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not on this machine")
    if not (ROOT / "tests" / "website" / "node_modules" / "puppeteer-core").is_dir():
        pytest.skip("puppeteer-core is not installed: tests/test_website.py installs it")
    done = subprocess.run(["node", ROOT / "tests" / "live" / "paint.mjs",
                           site / "book" / "live.html"], capture_output=True, text=True,
                          env=os.environ | {"CHROMIUM": chromium})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_reader_paints_and_the_page_complains_of_nothing(visit):
    assert visit["faults"] == [] and visit["overflow"] <= 0
    assert visit["fetched"] == []  # no network before it is asked for
    assert visit["before"] != visit["painted"]
    assert visit["tapped"] > 0
    assert visit["spoken"].endswith("clear.")


def test_the_painted_skies_are_reconstructed_as_by_pytorch(visit):
    assert [run["net"] for run in visit["runs"]] == ["ocean-1", "ocean-2-preview", "ocean-1"]
    for run in visit["runs"]:
        anomaly, seen = (np.array(run[key]).reshape(T, H, W) for key in ("anomaly", "seen"))
        asked, ocean = np.array(run["asked"]), np.ones((H, W), bool)
        maps = in_torch(run["net"], anomaly.astype(np.float32), seen == 1, ocean, asked)
        for name in ("mean", "firstGuess"):
            assert np.abs(np.array(run[name]) - maps[name].numpy().ravel()).max() < CLOSE, name
        assert run["status"].startswith("Done in")
