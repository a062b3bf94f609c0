"""An ONNX file computes what PyTorch computes, takes numbers for masks, and refuses in one line."""

import json

import numpy as np
import pytest
import torch

from sst_tutorial.weights import load_weights

onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: extra onnx")
pytest.importorskip("onnxscript", reason="onnxscript is not installed: extra onnx")

from sst_tutorial import export  # noqa: E402
from sst_tutorial.cli import main  # noqa: E402

ROWS, COLUMNS = 24, 32


@pytest.fixture(scope="module", params=["ocean-1", "ocean-2"])
def exported(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("onnx") / f"{request.param}.onnx"
    return request.param, path, export.export_onnx(path, request.param, (ROWS, COLUMNS))


def test_the_file_computes_what_pytorch_computes(exported):
    name, path, apart = exported
    assert 0 < apart < 1e-4
    session = onnxruntime.InferenceSession(path)
    assert [i.name for i in session.get_inputs()] == list(export.INPUTS)
    assert {i.type for i in session.get_inputs()} == {"tensor(float)"}
    draw = np.random.default_rng(3)  # another month than the one that was compared
    anomaly = draw.standard_normal((1, 31, ROWS, COLUMNS), np.float32)
    observed = (draw.random(anomaly.shape) < 0.1).astype(np.float32)
    anomaly[observed == 0] = 99.0  # what was not seen may be anything
    ocean, exists = np.ones((1, ROWS, COLUMNS), np.float32), np.ones((1, 31), np.float32)
    ocean[:, :7, :9] = 0.2  # below one half: land
    given = dict(zip(export.INPUTS, (anomaly, observed, ocean, exists, exists), strict=True))
    mean, first_guess = session.run(None, given)
    with torch.inference_mode():
        masks = (torch.from_numpy(mask) > 0.5 for mask in (observed, ocean, exists))
        estimate = load_weights(name)(torch.from_numpy(anomaly), *masks)
    assert np.abs(mean - estimate.mean.numpy()).max() < 1e-4
    assert np.abs(first_guess - estimate.first_guess.numpy()).max() < 1e-4
    assert (mean[:, :7, :9] == 0).all() and np.abs(mean).max() > 0.1


def test_a_graph_that_differs_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "_graph", lambda *_: b"")
    monkeypatch.setattr(onnxruntime, "InferenceSession", lambda _: None)
    monkeypatch.setattr(export, "_difference", lambda *_: 0.1)
    with pytest.raises(ValueError, match=r"differs from PyTorch by 1.0e-01 K: not written"):
        export.export_onnx(tmp_path / "a.onnx", None, (ROWS, COLUMNS))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["a.nc"], "must end in .onnx"),
        (["a.onnx", "--shape", "30", "32"], "shape=(30, 32) must be positive multiples of 4"),
        (["a.onnx", "--model", "ocean-9"], "neither a file"),
        (["no/a.onnx"], "there is no folder"),
    ],
)
def test_mistakes_are_one_line(tmp_path, monkeypatch, capsys, words, line):
    monkeypatch.chdir(tmp_path)
    assert main(["export", *words]) == 2
    said = capsys.readouterr().err
    assert line in said and said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_command_tells_the_difference(tmp_path, monkeypatch, capsys):
    def written(path, model, shape):
        path.write_bytes(json.dumps([model, shape]).encode())
        return 2e-7

    monkeypatch.setattr(export, "export_onnx", written)
    out = tmp_path / "a.onnx"
    assert main(["export", str(out), "--model", "ocean-1", "--shape", "8", "12"]) == 0
    assert json.loads(out.read_text()) == ["ocean-1", [8, 12]]
    assert "within 2.0e-07 K of PyTorch" in capsys.readouterr().out
