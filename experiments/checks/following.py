"""Does a network follow the water, or does it stay at the place?

    python experiments/checks/following.py ocean-2 runs/ocean-2-0 ...    # a minute a network
    python experiments/checks/following.py OI    # a minute; the first time five more

writes experiments/results/following.json. A sea that moves is seen on all days but some around day
16, and the map of day 16 is asked for. The gradient of the answer at the middle of the window by
every observation of another day is where the network looks. Where is the centre of that look, on
the way from the place (0) to where the same water is on that day (1)?

One number for each day, over all windows: the least squares of look = share * displacement, and
its 95 % interval (whole seas are drawn again). The first guess of the same network, which knows
distances only, must have 0.

Optimal interpolation is linear: its gradients are its weights, and they are the same for every
window, so that it must have 0 too. Some weights are below zero, as some gradients of a network are;
for a centre those of a day need a sum that is not near zero, see `weight_of_the_day`.
"""

import argparse
import json

import numpy as np
import torch
from exams import in_motion

from sst_tutorial.baselines import MeasuredCovariance
from sst_tutorial.moving_sea import moving_anomalies, paths
from sst_tutorial.results import RESULTS, commit, machine, write_results
from sst_tutorial.weights import load_weights

DAY, SIZE, MIDDLE = 15, 32, 16
SEED, RUNS, WINDOWS = 777, 6, 16  # a sea that nothing was trained or judged on
HIDDEN = 1  # days before and after day 16 that are under cloud too
NOISE = 0.3


def windows(runs=RUNS, seed=SEED):
    """Anomalies (n, 31, 32, 32) K and paths (n, 31, 2), cells from the middle of each window."""
    generator = torch.Generator().manual_seed(seed)
    sea, flow = moving_anomalies(runs, 31, 128, generator, flow=True)
    corner = torch.cartesian_prod(torch.arange(0, 128, 32), torch.arange(0, 128, 32))  # (16, 2)
    pieces, ways = [], []
    for field, current in zip(sea, flow, strict=True):
        for row, col in corner.tolist():
            pieces.append(field[:, row : row + SIZE, col : col + SIZE])
        middle = (corner + MIDDLE).float()
        ways.append(paths(current, middle, DAY) - middle[:, None])
    return torch.stack(pieces), torch.cat(ways)


def look(estimator, anomaly, seen, asked):
    """Gradients (n, T, H, W) of the answer in the middle of the window, of first guess and map."""
    n = len(anomaly)
    x = torch.where(seen, anomaly, 0.0).requires_grad_()
    ocean, exists = torch.ones(n, SIZE, SIZE, dtype=torch.bool), torch.ones(n, 31, dtype=torch.bool)
    estimate = estimator(x, seen, ocean, exists, asked.expand(n, -1))
    around = slice(MIDDLE - 1, MIDDLE + 2)
    answers = (m[:, around, around].mean((1, 2)).sum() for m in estimate[::-1])
    looks = [torch.autograd.grad(answer, x, retain_graph=True)[0] for answer in answers]
    return looks, [m.detach() for m in estimate[::-1]]


def share(gradient, way, draws=2000):
    """(T,) on each day, of the way from the place to the water, of which `look` is the centre; and
    the ends of its interval (2, T)."""
    cells = torch.arange(SIZE) - MIDDLE
    where = torch.stack(torch.meshgrid(cells, cells, indexing="ij"), -1).float()  # (H, W, 2)
    along = torch.einsum("nthw,hwc,ntc->nt", gradient, where, way)
    whole = torch.einsum("nthw,ntc,ntc->nt", gradient, way, way)
    # Windows of one sea are alike: (seas, T).
    along, whole = (x.view(RUNS, -1, x.shape[1]).sum(1) for x in (along, whole))
    drawn = torch.randint(RUNS, (draws, RUNS), generator=torch.Generator().manual_seed(SEED))
    again = along[drawn].sum(1) / whole[drawn].sum(1)  # (draws, T)
    return along.sum(0) / whole.sum(0), again.quantile(torch.tensor([0.025, 0.975]), 0)


def row_of(estimator, truth, noise, seen, way) -> dict:
    """What the record says of a network: of its first guess and of its map."""
    asked, gradients, errors = torch.arange(31) == DAY, ([], []), ([], [])
    for i in range(0, len(truth), 8):
        part = slice(i, i + 8)
        looks, maps = look(estimator, truth[part] + noise[part], seen[part], asked)
        for kind in (0, 1):
            gradients[kind].append(looks[kind])
            errors[kind].append((maps[kind] - truth[part, DAY]).square().mean((1, 2)))
    row = {}
    for kind, key in ((0, "first guess"), (1, "map")):
        row[key] = answer_of(torch.cat(gradients[kind]), torch.cat(errors[kind]), way)
    return row


def answer_of(gradient, square_error, way) -> dict:
    """What the record says of one answer, from (n, T, H, W) and the mean square error of each."""
    value, interval = share(gradient, way)
    return {
        "share_of_the_way": [round(s, 4) for s in value.tolist()],
        "interval": [[round(s, 4) for s in end] for end in interval.tolist()],
        "weight_of_the_day": [round(w, 5) for w in gradient.sum((2, 3)).mean(0).tolist()],
        "rmse_K": round(square_error.mean().sqrt().item(), 4),
    }


# ---------------------------------------------------------------- optimal interpolation


def gains(covariance: MeasuredCovariance, days, asked, noise_variance):
    """(cells, days, cells): the map of day `asked`, for each observation of a sea that was seen
    whole on `days`, by the optimal interpolation of a covariance without offset.

    The system is solved for the amplitudes of the patterns, 8,400 numbers. One for all
    observations of 28 days would take a matrix of 6.6 GB.
    """
    patterns, memory = covariance.patterns, covariance.memory  # (cells, K), (K, 31)
    K, T = patterns.shape[1], len(days)
    heard = patterns / (noise_variance + covariance.rest)[:, None]  # what nobody explains is noise
    apart = memory[:, np.abs(days[:, None] - days)]  # (K, T, T)
    # B H' (H B H' + R)^-1 = B (1 + H' R^-1 H B)^-1 H' R^-1, B of the amplitudes, H the patterns.
    matrix = np.einsum("kl,lts->tksl", patterns.T @ heard, apart).reshape(T * K, T * K)
    matrix.flat[:: T * K + 1] += 1
    wanted = (memory[:, np.abs(days - asked)].T[:, :, None] * np.eye(K)).reshape(T * K, K)
    amplitudes = np.linalg.solve(matrix.T, wanted).T.reshape(K, T, K)
    return np.einsum("ck,ktl->ctl", patterns, amplitudes, optimize=True) @ heard.T


def row_of_oi(covariance, truth, noise, seen, way) -> dict:
    """What the record says of optimal interpolation: it has no first guess, only a map."""
    days = np.flatnonzero(seen[0].all((1, 2)))
    gain = torch.from_numpy(gains(covariance, days, DAY, NOISE**2))
    told = (truth + noise)[:, days].flatten(2).double()  # (n, days, cells)
    error = torch.einsum("ctd,ntd->nc", gain, told) - truth[:, DAY].flatten(1)
    around = slice(MIDDLE - 1, MIDDLE + 2)
    weight = gain.view(SIZE, SIZE, -1)[around, around].mean((0, 1)).view(len(days), SIZE, SIZE)
    look_of_all = torch.zeros(31, SIZE, SIZE)
    look_of_all[days] = weight.float()
    return {
        "map": answer_of(look_of_all.expand(len(truth), -1, -1, -1), error.square().mean(1), way)
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("networks", nargs="+", help="names or folders of runs, or OI")
    arguments = parser.parse_args()
    truth, way = windows()
    noise = NOISE * torch.randn(truth.shape, generator=torch.Generator().manual_seed(SEED))
    seen = torch.ones(truth.shape, dtype=torch.bool)
    seen[:, DAY - HIDDEN : DAY + HIDDEN + 1] = False
    path = RESULTS / "following.json"
    found = json.loads(path.read_text()) if path.is_file() else {"networks": {}}
    for name in arguments.networks:
        if name == "OI":
            row = found["OI"] = row_of_oi(in_motion(), truth, noise, seen, way)
        else:
            row = row_of(load_weights(name).eval(), truth, noise, seen, way)
            found["networks"][name.rstrip("/").split("/")[-1].removesuffix(".safetensors")] = row
        print(name, {k: (r["rmse_K"], r["share_of_the_way"][10:22]) for k, r in row.items()})
    moved = way.square().sum(-1).mean(0).sqrt()
    found |= {
        "command": "python experiments/checks/following.py ocean-2 RUNS OI",
        "sea": {"seed": SEED, "runs": RUNS, "windows": len(truth), "noise_K": NOISE},
        "hidden_days_beside_the_day": HIDDEN,
        "rms_way_cells": [round(m, 3) for m in moved.tolist()],
        "commit": commit(),
        "machine": machine(),
    }
    write_results(found, path)


if __name__ == "__main__":
    main()
