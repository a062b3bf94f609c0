"""A trained estimator as an ONNX file, for programs that have no PyTorch: one graph, one size.

The graph holds first guess and network together. Its inputs are floats, and what is a mask is
compared with 0.5 inside, so that any runtime can feed it:

    anomaly   (1, T, H, W) K, observations minus the prior; anything where not observed
    observed  (1, T, H, W) 1 = seen
    ocean     (1, H, W)    1 = sea
    exists    (1, T)       1 = a day that the month has
    wanted    (1, T)       1 = a day of which the mean is asked; all days = the month

Outputs, (1, H, W) in K, 0 on land: `mean`, the anomaly that is asked for, and `first_guess`. The
caller adds the prior, as `reconstruct` does. T, H and W are those of the export and no others.
"""

import io
import logging
import warnings
from contextlib import redirect_stdout

import torch
from torch import Tensor, nn

from sst_tutorial._extras import need
from sst_tutorial.months import DAYS
from sst_tutorial.weights import find_weights, load_weights
from sst_tutorial.whole import whole

INPUTS = ("anomaly", "observed", "ocean", "exists", "wanted")
OUTPUTS = ("mean", "first_guess")
CLOSE = 1e-3  # K: farther from PyTorch, the file is not written


class _WithFloats(nn.Module):
    """The estimator with masks that come as numbers."""

    def __init__(self, estimator):
        super().__init__()
        self.estimator = estimator

    def forward(self, anomaly, observed, ocean, exists, wanted) -> tuple[Tensor, Tensor]:
        masks = (mask > 0.5 for mask in (observed, ocean, exists, wanted))
        return tuple(self.estimator(anomaly, *masks))


def export_onnx(path, model=None, shape=(64, 64)) -> float:
    """Write the weights `model` (a name, a file, None = the default) to `path`, an ONNX file.

    shape: rows and columns, multiples of the network's patch; the file is for months of 31 days of
    this size. Returns the largest difference in K between the file under ONNX Runtime and PyTorch,
    over a month, a single day (of networks that answer for days) and a February with a coast.
    ModuleNotFoundError without the extra `onnx`. ValueError, and no file, for a size that does not
    fit, a network that cannot be exported, or a difference of more than 1e-3 K.
    """
    need("onnx", "onnx", "onnxscript", "onnxruntime")
    import onnxruntime

    with_floats, name = _WithFloats(load_weights(model)).eval(), find_weights(model).stem
    network = with_floats.estimator.network
    for size, patch in zip(shape, network.patch_size[1:], strict=True):
        if size < patch or size % patch:
            raise ValueError(f"shape={tuple(shape)} must be positive multiples of {patch}")
    cases = _cases(shape, getattr(network, "answers_days", True))
    graph = _graph(with_floats, cases[0], name)
    session = onnxruntime.InferenceSession(graph)
    apart = max(_difference(session, with_floats, case) for case in cases)
    if not apart < CLOSE:
        raise ValueError(f"model {name!r} differs from PyTorch by {apart:.1e} K: not written")
    with whole(path) as part:
        part.write_bytes(graph)
    return apart


def _graph(with_floats, example, name) -> bytes:
    """The ONNX file, checked by nobody yet."""
    with warnings.catch_warnings(), redirect_stdout(io.StringIO()):  # of the exporter, on itself
        warnings.simplefilter("ignore")
        logging.getLogger("torch.onnx").setLevel(logging.ERROR)
        try:
            program = torch.onnx.export(
                with_floats, example, dynamo=True, verbose=False, input_names=INPUTS,
                output_names=OUTPUTS,
            )  # fmt: skip
        except (RuntimeError, torch.onnx.OnnxExporterError) as error:
            why = str(error).strip().splitlines()[0]
            raise ValueError(f"model {name!r} cannot be written as ONNX: {why}") from error
    program.model.metadata_props.update(weights=name, units="K")
    return program.model_proto.SerializeToString()


def _cases(shape, answers_days: bool) -> list[tuple[Tensor, ...]]:
    """Inputs of a cloudy month, and of what may go wrong: a coast, 28 days, a single day."""
    draw = torch.Generator().manual_seed(0)
    cases = []
    for days, coast, day in ((DAYS, False, None), (28, True, None), (DAYS, True, 16)):
        if day is not None and not answers_days:
            continue
        anomaly = torch.randn(1, DAYS, *shape, generator=draw)
        observed = (torch.rand(anomaly.shape, generator=draw) < 0.15).float()
        ocean, exists = torch.ones(1, *shape), torch.ones(1, DAYS)
        ocean[:, : shape[0] // 3, : shape[1] // 4] = 1.0 - coast
        exists[:, days:] = 0.0
        wanted = exists.clone() if day is None else torch.eye(DAYS)[day : day + 1]
        cases.append((anomaly, observed, ocean, exists, wanted))
    return cases


@torch.inference_mode()
def _difference(session, model, case) -> float:
    """The largest one of a case, in K."""
    given = {name: tensor.numpy() for name, tensor in zip(INPUTS, case, strict=True)}
    pairs = zip(session.run(OUTPUTS, given), model(*case), strict=True)
    return max(float((torch.from_numpy(a) - b).abs().max()) for a, b in pairs)

