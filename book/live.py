"""Write what the page *Under your own clouds* computes with.

Two networks as 16-bit floats and a month of two seas, each in a script of its own: a page opened
from a disk may not fetch data, but it may load scripts. The seas are simulated, so their anomalies
and their truth are known and no climatology is needed. The networks are the shipped weights again
and 2.5 MB each, so the builder of the pages writes them beside the built ones
(book/_ext/live_networks.py); the months are small and stored: python book/live.py writes them.
"""

import base64
import json
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import least_squares
from scipy.sparse.linalg import LinearOperator, cg

from sst_tutorial.first_guess import gaussian_mean
from sst_tutorial.moving_sea import moving_anomalies
from sst_tutorial.simulate import cloud_masks, ocean_anomalies
from sst_tutorial.weights import find_weights, load_weights, read_metadata
from sst_tutorial.whole import whole

HERE = Path(__file__).parent / "_static" / "live"
DAYS, SIDE, COVER, NOISE = 31, 32, 0.85, 0.3
DRAWN, SEED = 12, 20260101
FRAMES = 10  # of the stored example
# Its network, km a cell, and the anomaly in K at the ends of the colours.
SEAS = {"quiet": ("ocean-1", 25.0, 1.5), "moving": ("ocean-2", 8.0, 3.0)}
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
    worst; `rmse` holds the mean of all of them. The interpolation is told the covariance of other
    months of this sea.
    """
    net, km, most = SEAS[name]
    config = read_metadata(find_weights(net))["config"]
    truth, hidden, noise = drawn(name, SEED)
    maps = estimates(net, truth + noise, ~hidden)
    rmse = {key: (m - truth.mean(1)).square().mean((1, 2)).sqrt() for key, m in maps.items()}
    median = (rmse["firstGuess"] - rmse["mean"]).argsort()[DRAWN // 2]
    terms = fitted_terms(drawn(name, SEED + 1)[0].numpy())
    rmse["oi"] = torch.tensor([
        _rms(interpolated(x.numpy(), seen.numpy(), terms), month.mean(0))
        for x, seen, month in zip(truth + noise, ~hidden, truth.numpy(), strict=True)
    ])
    bits = np.packbits(hidden[median].numpy().astype(np.uint8).ravel(), bitorder="little")
    return {
        "network": net, "days": config["network"].get("question", False),
        "km": km, "most": most, "T": DAYS, "H": SIDE, "W": SIDE,
        "truth": packed(truth[median]),
        "clouds": base64.b64encode(bits.tobytes()).decode(), "drawn": DRAWN,
        "rmse": {key: round(float(values.mean()), 3) for key, values in rmse.items()},
        "terms": terms,
        "play": example(net, truth[median], hidden[median], noise[median], terms, most),
    }  # fmt: skip


def drawn(name: str, seed: int) -> tuple:
    """`DRAWN` months of a sea: anomalies in K, clouds, True = hidden, and noise, (B, T, H, W)."""
    _, km, _ = SEAS[name]
    draw = torch.Generator().manual_seed(seed)
    if name == "quiet":
        truth = ocean_anomalies(DRAWN, DAYS, SIDE, SIDE, draw, cell_km=(km, km))  # (B, T, H, W)
    else:
        runs = moving_anomalies(DRAWN // 3, DAYS, 128, draw, cell_km=km)[..., : 3 * SIDE, :SIDE]
        truth = runs.unflatten(2, (3, SIDE)).transpose(1, 2).flatten(0, 1)  # (B, T, H, W)
    hidden = cloud_masks(DRAWN, DAYS, SIDE, SIDE, COVER, draw, cell_km=(km, km))
    return truth, hidden, NOISE * torch.randn(truth.shape, generator=draw)


def example(net, truth, hidden, noise, terms, most) -> dict:
    """What network and interpolation make of the days so far, each time a tenth more was seen: maps
    of the month as bytes, 0 to 255 for -most to most, and their errors in K."""
    share = (~hidden).sum((1, 2)).cumsum(0) / (~hidden).sum()  # (T,)
    days = [int((share < k / FRAMES - 1e-6).sum()) + 1 for k in range(1, FRAMES)] + [DAYS]
    play = {"days": sorted(set(days)), "mean": [], "oi": [], "rmse": []}
    for last in play["days"]:
        seen = ~hidden
        seen[last:] = False
        observed = truth + noise
        maps = {"mean": estimates(net, observed[None], seen[None])["mean"][0].numpy(),
                "oi": interpolated(observed.numpy(), seen.numpy(), terms)}  # fmt: skip
        for key in ("mean", "oi"):
            steps = np.clip((maps[key] / most + 1) * 127.5, 0, 255).round().astype(np.uint8)
            play[key].append(base64.b64encode(steps.tobytes()).decode())
        month = truth.mean(0).numpy()
        play["rmse"].append([round(_rms(maps[key], month), 3) for key in ("mean", "oi")])
    return play


def _rms(a, b) -> float:
    return float(np.sqrt(np.square(a - b).mean()))


# ---- optimal interpolation, as oi.js has it -------------------------------------------------


def curves(terms, T, H, W):
    """Of each term (variance K^2, cells, days) its tables over days, rows and columns."""
    far = [np.abs(np.subtract.outer(np.arange(n), np.arange(n))) for n in (T, H, W)]
    for variance, cells, days in terms:
        rows, columns = ((1 + d / cells) * np.exp(-d / cells) for d in far[1:])
        yield variance * np.exp(-far[0] / days), rows, columns


def interpolated(anomaly, seen, terms, noise=NOISE) -> np.ndarray:
    """Best linear estimate (H, W) in K of the month mean, from (T, H, W)."""
    shape, tables = anomaly.shape, list(curves(terms, *anomaly.shape))

    def covariance(x):
        return sum(np.tensordot(t, r @ x.reshape(shape) @ c, 1) for t, r, c in tables)

    def system(x):
        return (seen * covariance(x)).ravel() + noise**2 * x

    size = anomaly.size
    known = np.where(seen, anomaly, 0.0).ravel()
    weight, _ = cg(LinearOperator((size, size), system, dtype=float), known, rtol=1e-3)
    return covariance(weight).mean(0)


def fitted_terms(truth) -> list:
    """Two terms whose covariance is that of complete months (B, T, H, W): variance, cells, days."""
    cells, days = (0, 1, 2, 4, 7, 11, 16), (0, 1, 3, 6, 10, 15, 22)
    lags = np.array([(t, y, x) for t in days for y in cells for x in cells])
    T, H, W = truth.shape[1:]
    measured = [
        (truth[:, t:, y:, x:] * truth[:, : T - t, : H - y, : W - x]).mean() for t, y, x in lags
    ]

    def misfit(logs):
        tables = curves(np.exp(logs).reshape(2, 3), T, H, W)
        t, y, x = lags.T
        return sum(a[0, t] * b[0, y] * c[0, x] for a, b, c in tables) - measured

    variance = measured[0]
    start = np.log([variance / 2, 3.0, 5.0, variance / 2, 8.0, 30.0])
    most = np.log([np.inf, 60.0, 200.0] * 2)  # beyond, a scale is as good as infinite
    found = least_squares(misfit, start, bounds=(-np.inf, most))
    return np.exp(found.x).reshape(2, 3).round(3).tolist()


@torch.inference_mode()
def estimates(net: str, anomaly, seen) -> dict:
    """Maps of the month means (B, H, W) in K, under the names of engine.js."""
    everywhere = torch.ones_like(seen[:, 0])
    estimate = load_weights(net)(anomaly, seen, everywhere, torch.ones_like(seen[:, :, 0, 0]))
    gaussian = gaussian_mean(anomaly, seen)
    return {"gaussian": gaussian, "firstGuess": estimate.first_guess, "mean": estimate.mean}


def write(name: str, content: dict, folder: Path = HERE) -> Path:
    """A script that adds `content` to globalThis.oceanData; it appears whole or not at all."""
    text = json.dumps(content, separators=(",", ":"))
    with whole(folder / f"{name}.js") as part:
        part.write_text(f'(globalThis.oceanData ??= {{}})["{name}"] = {text};\n')
    return folder / f"{name}.js"


def write_networks(folder: Path) -> list[Path]:
    """The scripts of the networks of both seas in `folder`, those alone that are not there or older
    than their weights or than this file."""
    written = []
    for name, *_ in SEAS.values():
        path, sources = folder / f"{name}.js", (find_weights(name), Path(__file__))
        newest = max(source.stat().st_mtime for source in sources)
        if not path.exists() or path.stat().st_mtime < newest:
            written.append(write(name, network(name), folder))
    return written


def still() -> Path:
    """The picture that stands where the script does not run."""
    import cmocean
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

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
    for one in SEAS:
        print(write(one, sea(one)))
    print(still())
