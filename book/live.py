"""Write what the page *Under your own clouds* computes with: python book/live.py

Two networks as 16-bit floats and a month of two seas, each in a script of its own: a page opened from
a disk may not fetch data, but it may load scripts. The seas are simulated, so their anomalies and
their truth are known and no climatology is needed.
"""

import base64
import json
from pathlib import Path

import numpy as np
import torch

from sst_tutorial.moving_sea import moving_anomalies
from sst_tutorial.simulate import cloud_masks, ocean_anomalies
from sst_tutorial.weights import find_weights, load_weights, read_metadata

HERE = Path(__file__).parent / "_static" / "live"
DAYS, SIDE, COVER = 31, 32, 0.85
SEAS = {"quiet": ("ocean-1", 25.0), "moving": ("ocean-2-preview", 8.0)}  # its network, km a cell
SMALL = 20480
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
    # Of small tensors also what 16 bits leave over: that takes a third off the largest difference.
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
        "layout": [[k, len(v), len(part)] for (k, v), part in zip(state.items(), parts, strict=True)],
        "data": packed(torch.cat(sum(parts, []))),
    }


def sea(name: str) -> dict:
    """A month of anomalies in K (T, H, W) and the clouds over it, True = hidden."""
    net, km = SEAS[name]
    draw = torch.Generator().manual_seed(20260101)
    if name == "quiet":
        truth = ocean_anomalies(1, DAYS, SIDE, SIDE, draw, cell_km=(km, km))[0]
    else:
        truth = moving_anomalies(1, DAYS, 128, draw, cell_km=km)[0, :, :SIDE, :SIDE]
    hidden = cloud_masks(1, DAYS, SIDE, SIDE, torch.tensor([COVER]), draw, cell_km=(km, km))[0]
    bits = np.packbits(hidden.numpy().astype(np.uint8).ravel(), bitorder="little")
    return {
        "network": net, "km": km, "T": DAYS, "H": SIDE, "W": SIDE, "truth": packed(truth),
        "clouds": base64.b64encode(bits.tobytes()).decode(),
    }  # fmt: skip


def write(kind: str, name: str, content: dict) -> Path:
    """A script that adds `content` to globalThis.oceanData."""
    text = json.dumps(content, separators=(",", ":"))
    path = HERE / f"{name}.js"
    path.write_text(f'(globalThis.oceanData ??= {{}})["{name}"] = {text};\n')
    print(f"{kind} {path.name}: {path.stat().st_size / 1e6:.2f} MB")
    return path


if __name__ == "__main__":
    for one, (net, _) in SEAS.items():
        write("sea", one, sea(one))
        write("network", net, network(net))
