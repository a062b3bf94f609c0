"""Write what the page *Under your own clouds* computes with: python book/live.py

Two networks as 16-bit floats and a month of two seas, each in a script of its own: a page opened
from a disk may not fetch data, but it may load scripts. The seas are simulated, so their anomalies
and their truth are known and no climatology is needed.
"""

import base64
import json
from pathlib import Path

import cmocean
import matplotlib
import numpy as np
import torch

from sst_tutorial.first_guess import gaussian_mean
from sst_tutorial.moving_sea import moving_anomalies
from sst_tutorial.simulate import cloud_masks, ocean_anomalies
from sst_tutorial.weights import find_weights, load_weights, read_metadata

matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402

HERE = Path(__file__).parent / "_static" / "live"
DAYS, SIDE, COVER, NOISE = 31, 32, 0.85, 0.3
DRAWN, SEED = 12, 20260101
# Its network, km a cell, and the anomaly in K at the ends of the colours.
SEAS = {"quiet": ("ocean-1", 25.0, 1.5), "moving": ("ocean-2-preview", 8.0, 3.0)}
SMALL = 5000
UNUSED = ("pos.pe", "num_batches_tracked")  # sines the page makes itself, and a counter


def packed(values) -> str:
    """Numbers as 16-bit floats in base64."""
    halves = np.asarray(values, "<f2")
    if not np.isfinite(halves).all():
        raise ValueError("a number is too large for 16 bits")
    return base64.b64encode(halves.tobytes()).decode()


def network(name: str) -> dict:
    """Weights and settings of a shipped estimator, as engine.js reads them."""
    estimator, config = load_weights(name), read_metadata(find_weights(name))["config"]
    state = {k: v.flatten() for k, v in estimator.state_dict().items() if not k.endswith(UNUSED)}
    # Of small tensors also what 16 bits leave over: 9e-4 K from PyTorch become 5e-4 K.
    parts = [[v, v - v.half()] if len(v) <= SMALL else [v] for v in state.values()]
    guess, net = config["first_guess"], config["network"]
    return {
        "name": name,
        "scale": config["scale"],
        "iterations": guess["iterations"],
        "motion": guess.get("motion", False),
        "question": net.get("question", False),
        "heads": net["temporal_heads"],
        "spatialHeads": estimator.network.spatial_tr.enc.layers[0].self_attn.num_heads,
        "depth": len(estimator.network.spatial_tr.enc.layers),
        "residualBlocks": net["residual_blocks"],
        "layout": [
            [k, len(v), len(part)] for (k, v), part in zip(state.items(), parts, strict=True)
        ],
        "data": packed(torch.cat([part for both in parts for part in both])),
    }


def sea(name: str) -> dict:
    """A month of anomalies in K (T, H, W) and the clouds over it, True = hidden.

    Of `DRAWN` months it is the one that gains the median by the network, neither the best nor the
    worst; `rmse` holds the mean of all of them.
    """
    net, km, most = SEAS[name]
    draw = torch.Generator().manual_seed(SEED)
    if name == "quiet":
        truth = ocean_anomalies(DRAWN, DAYS, SIDE, SIDE, draw, cell_km=(km, km))  # (B, T, H, W)
    else:
        runs = moving_anomalies(DRAWN // 3, DAYS, 128, draw, cell_km=km)[..., : 3 * SIDE, :SIDE]
        truth = runs.unflatten(2, (3, SIDE)).transpose(1, 2).flatten(0, 1)  # (B, T, H, W)
    hidden = cloud_masks(DRAWN, DAYS, SIDE, SIDE, COVER, draw, cell_km=(km, km))
    maps = estimates(net, truth + NOISE * torch.randn(truth.shape, generator=draw), ~hidden)
    rmse = {key: (m - truth.mean(1)).square().mean((1, 2)).sqrt() for key, m in maps.items()}
    median = (rmse["firstGuess"] - rmse["mean"]).argsort()[DRAWN // 2]
    bits = np.packbits(hidden[median].numpy().astype(np.uint8).ravel(), bitorder="little")
    return {
        "network": net, "km": km, "most": most, "T": DAYS, "H": SIDE, "W": SIDE,
        "truth": packed(truth[median]),
        "clouds": base64.b64encode(bits.tobytes()).decode(), "drawn": DRAWN,
        "rmse": {key: round(float(values.mean()), 3) for key, values in rmse.items()},
    }  # fmt: skip


@torch.inference_mode()
def estimates(net: str, anomaly, seen) -> dict:
    """Maps of the month means (B, H, W) in K, under the names of engine.js."""
    everywhere = torch.ones_like(seen[:, 0])
    estimate = load_weights(net)(anomaly, seen, everywhere, torch.ones_like(seen[:, :, 0, 0]))
    gaussian = gaussian_mean(anomaly, seen)
    return {"gaussian": gaussian, "firstGuess": estimate.first_guess, "mean": estimate.mean}


def write(kind: str, name: str, content: dict) -> Path:
    """A script that adds `content` to globalThis.oceanData."""
    text = json.dumps(content, separators=(",", ":"))
    path = HERE / f"{name}.js"
    path.write_text(f'(globalThis.oceanData ??= {{}})["{name}"] = {text};\n')
    print(f"{kind} {path.name}: {path.stat().st_size / 1e6:.2f} MB")
    return path


def still() -> Path:
    """The picture that stands where the script does not run."""
    truth, hidden = stored("quiet")
    noisy = truth + NOISE * np.random.default_rng(SEED).standard_normal(truth.shape, np.float32)
    maps = estimates("ocean-1", *(torch.from_numpy(a)[None] for a in (noisy, ~hidden)))
    clearest = hidden.mean((1, 2)).argmin()
    sky = np.where(hidden[clearest], np.nan, noisy[clearest])
    most = SEAS["quiet"][2]
    panels = {"One day": sky, "The month, filled": maps["mean"][0].numpy(),
              "The true month": truth.mean(0)}  # fmt: skip
    figure, axes = plt.subplots(1, 3, figsize=(6, 2.2), layout="constrained")
    for ax, (title, field) in zip(axes, panels.items(), strict=True):
        image = ax.imshow(field, cmocean.cm.balance, vmin=-most, vmax=most, origin="lower")
        ax.set(title=title, xticks=[], yticks=[], facecolor="#8c939c")
    figure.colorbar(image, ax=axes, label="anomaly (K)")
    figure.savefig(HERE / "still.png", dpi=165)
    return HERE / "still.png"


def stored(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Anomalies (T, H, W) float32 and clouds, True = hidden, of a month that was written."""
    month = json.loads((HERE / f"{name}.js").read_text().partition("] = ")[2].rstrip(";\n"))
    shape = month["T"], month["H"], month["W"]
    truth = np.frombuffer(base64.b64decode(month["truth"]), "<f2").reshape(shape)
    bits = np.frombuffer(base64.b64decode(month["clouds"]), np.uint8)
    hidden = np.unpackbits(bits, count=truth.size, bitorder="little").reshape(shape)
    return truth.astype(np.float32), hidden.astype(bool)


if __name__ == "__main__":
    for one, (net, *_) in SEAS.items():
        write("sea", one, sea(one))
        write("network", net, network(net))
    still()
