"""The network in the page gives the maps that PyTorch gives, to a thousandth of a kelvin."""

import base64
import gzip
import json
import os
import shutil
import subprocess
from pathlib import Path

import live
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
NETWORKS = [net for net, *_ in live.SEAS.values()]


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """The folder of the networks' scripts, as the builder of the pages writes them."""
    folder = tmp_path_factory.mktemp("networks")
    assert [path.name for path in live.write_networks(folder)] == [f"{n}.js" for n in NETWORKS]
    return folder


def stored(name):
    """The month that book/live.py wrote into NAME.js."""
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


def in_the_page(folder, net, anomaly, seen, ocean, asked, times=1):
    given = {"net": str(folder / f"{net}.js"), "size": {"T": T, "H": H, "W": W}, "times": times,
             "anomaly": anomaly.ravel().tolist(), "seen": seen.ravel().astype(int).tolist(),
             "ocean": ocean.ravel().astype(int).tolist(), "asked": asked.tolist()}
    return in_node("run.js", given)


def in_node(script, given):
    if shutil.which("node") is None:
        pytest.skip("node is not on this machine")
    done = subprocess.run(["node", ROOT / "tests" / "live" / script], input=json.dumps(given),
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
@pytest.mark.parametrize(("sea", "day"), [("quiet", None), ("moving", None), ("moving", DAY)])
def test_the_page_computes_what_pytorch_computes(networks, sea, day, kind):
    truth, seen, ocean = case(sea, kind)
    noise = 0.3 * np.random.default_rng(0).standard_normal(truth.shape, np.float32)
    asked = np.ones(T, bool) if day is None else np.arange(T) == day
    net = live.SEAS[sea][0]
    page = in_the_page(networks, net, truth + noise, seen, ocean, asked)
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


def test_the_page_fetches_no_more_than_it_may(networks):
    """Scripts and one network, packed as hosts pack them: 2.2 MB."""
    names = ["matrix", "first_guess", "oi", "space_time", "engine", "page", "quiet"]
    files = [*(LIVE / f"{name}.js" for name in names), networks / f"{NETWORKS[0]}.js"]
    assert sum(len(gzip.compress(file.read_bytes())) for file in files) < 2_200_000


def test_networks_are_written_anew_with_their_weights_and_only_then(tmp_path):
    (first, *others) = live.write_networks(tmp_path)
    assert others and live.write_networks(tmp_path) == []
    os.utime(first, (0, 0))  # the weights are newer
    assert live.write_networks(tmp_path) == [first]


def test_the_built_book_has_its_networks_and_the_repository_has_not(site):
    for net in NETWORKS:
        assert (site / "_static" / "live" / f"{net}.js").stat().st_size > 1_000_000
        assert not (LIVE / f"{net}.js").exists()


@pytest.fixture(scope="module")
def visit(site, in_the_browser):
    """What came of using the built page in a browser, from the disk."""
    return in_the_browser("paint.mjs", site / "book" / "live.html")


def test_a_reader_paints_and_the_page_complains_of_nothing(visit):
    assert visit["faults"] == [] and visit["overflow"] <= 0
    assert visit["fetched"] == []  # no network before it is asked for
    assert visit["before"] != visit["painted"]
    assert visit["tapped"] > 0
    assert visit["spoken"].endswith("clear.")


def test_the_stored_example_plays_and_stops_and_stands_still_for_who_wants_that(visit):
    first, second = visit["example"]
    assert all(said.startswith("A stored example, from days 1 to ") for said in (first, second))
    assert first != second
    assert visit["stopped"]
    assert visit["still"]["playing"] is None
    assert f"days 1 to {T}" in visit["still"]["says"]


def test_the_example_is_what_the_methods_of_today_make_of_it():
    """The last frame of each sea and the error printed with it, of the weights as they are."""
    for sea in ("quiet", "moving"):
        month, (truth, _, _) = stored(sea), case(sea, "clouds")
        assert month["network"] == live.SEAS[sea][0]
        *_, (network, oi) = month["play"]["rmse"]
        for name, error in (("mean", network), ("oi", oi)):
            levels = np.frombuffer(base64.b64decode(month["play"][name][-1]), np.uint8)
            drawn = (levels.reshape(H, W) / 127.5 - 1) * month["most"]
            assert abs(np.sqrt(np.square(drawn - truth.mean(0)).mean()) - error) < 0.005
        assert month["rmse"]["mean"] < month["rmse"]["firstGuess"] < month["rmse"]["gaussian"]


def test_the_interpolation_of_the_page_is_the_exact_one():
    """Against the solved system of all observations: to 0.02 K, a tenth of its error."""
    month, (truth, seen, _) = stored("quiet"), case("quiet", "clouds")
    seen = seen & (np.random.default_rng(1).random(seen.shape) < 0.5)  # 2400: solved in a second
    anomaly = truth + 0.3 * np.random.default_rng(0).standard_normal(truth.shape, np.float32)
    covariance = 0
    at = np.nonzero(seen)
    for tables in live.curves(month["terms"], T, H, W):
        days, rows, columns = (table[np.ix_(n, n)] for table, n in zip(tables, at, strict=True))
        covariance = covariance + days * rows * columns
    weight = np.linalg.solve(covariance + 0.09 * np.eye(seen.sum()), anomaly[seen])
    spread = np.zeros(seen.shape)
    spread[seen] = weight
    exact = sum(np.tensordot(days, rows @ spread @ columns, 1).mean(0)
                for days, rows, columns in live.curves(month["terms"], T, H, W))
    page = in_node("oi_run.js", {"anomaly": anomaly.ravel().tolist(), "terms": month["terms"],
                                 "seen": seen.ravel().astype(int).tolist(), "noise": 0.3})
    assert np.abs(np.array(page).reshape(H, W) - exact).max() < 0.02
    assert np.abs(live.interpolated(anomaly, seen, month["terms"]) - exact).max() < 0.02


def test_the_painted_skies_are_reconstructed_as_by_pytorch(visit):
    quiet, moving = NETWORKS
    assert [run["net"] for run in visit["runs"]] == [quiet, moving, quiet]
    for run in visit["runs"]:
        anomaly, seen = (np.array(run[key]).reshape(T, H, W) for key in ("anomaly", "seen"))
        asked, ocean = np.array(run["asked"]), np.ones((H, W), bool)
        maps = in_torch(run["net"], anomaly.astype(np.float32), seen == 1, ocean, asked)
        for name in ("mean", "firstGuess"):
            assert np.abs(np.array(run[name]) - maps[name].numpy().ravel()).max() < CLOSE, name
        assert run["status"].startswith("Done: the network errs")
