"""Score sets of weights on the 48 months of the test, whole and with parts of the network ablated.

    python experiments/checks/ablate.py ocean-1                  # experiments/results/ablated.json

in less than a minute. Each argument is the folder of a run, a file of weights or a shipped name.
All are scored whole, the first is taken apart. Ablated = the output of that part is replaced by its
own mean over all months and places, or, where the table says so, over all places of the month.
Each ablation is also compared with the whole network month by month, as two methods are.
Chapters *The full GPU run*, *Opening the box*.
"""

import argparse
import shlex
import sys
from pathlib import Path

import torch

from sst_tutorial import load_weights
from sst_tutorial.benchmark import REGIMES, benchmark_months
from sst_tutorial.evaluation import difference_interval, score_months
from sst_tutorial.model import SpatioTemporalModel
from sst_tutorial.reconstruction import as_method
from sst_tutorial.results import RESULTS, write_results
from sst_tutorial.weights import find_weights, read_metadata


def parts(network):
    """Name -> (places, own): what to ablate of a transformer.

    places: list of (module, channels of its input; None = its output). own: keep the mean over the
    places of each month, instead of the mean over all months.
    """
    attention = [(layer.self_attn, None) for layer in network.spatial_tr.enc.layers]
    head, deconv = network.decoder.head[0], network.decoder.deconv
    one = {f"attention of layer {i}": ([a], False) for i, a in enumerate(attention, start=1)}
    return one | {
        "attention of all layers": (attention, False),
        "attention of all layers, own mean kept": (attention, True),
        "all tokens": ([(deconv, None)], False),
        "path beside the tokens": ([(head, slice(deconv.out_channels, None))], False),
        "both paths": ([(head, slice(None))], False),
    }


def places_of(x):
    """The axes of an output over places: of tokens (B, N, D), of maps (B, C, H, W)."""
    return (1,) if x.ndim == 3 else (2, 3)


def hook(module, channels, change):
    """Put `change(x)` in place of a module's output x, or of some channels x of its input."""
    if channels is None:

        def of_output(module, inputs, output):
            if isinstance(output, tuple):  # of attention: (output, weights)
                return (change(output[0]), *output[1:])
            return change(output)

        return module.register_forward_hook(of_output)

    def of_input(module, inputs):
        x = inputs[0].clone()
        x[:, channels] = change(x[:, channels])
        return (x,)

    return module.register_forward_pre_hook(of_input)


def mean_of(estimator, months, module, channels):
    """The mean over months and places of what `hook` would change, its channels kept."""
    found = []

    def keep(x):
        found.append(x.mean((0, *places_of(x)), keepdim=True))
        return x

    handle = hook(module, channels, keep)
    predict = as_method(estimator)
    for month in months:
        predict(month)
    handle.remove()
    return torch.stack(found).mean(0)


def own_mean(x):
    """Every place of a month gets the mean over its places."""
    return x.mean(places_of(x), keepdim=True).expand_as(x)


def score_of(estimator, months):
    return score_months({"network": as_method(estimator)}, months)["network"]


def kept(score):
    """RMSE in K of all cells, of the seldom seen ones, its 95 % interval, without the bias of each
    month, and month by month."""
    keys = ("rmse", "rmse_seldom_seen", "rmse_interval", "centred_rmse")
    by_month = {key: score["by_month"][key] for key in ("name", "rmse")}
    return {key: score[key] for key in keys} | {"by_month": by_month}


def against(score, whole):
    """`kept`, the 95 % interval of the paired difference, and in how many months it is worse."""
    pairs = zip(score["by_month"]["rmse"], whole["by_month"]["rmse"], strict=True)
    return kept(score) | {
        "minus_nothing": difference_interval(score, whole),
        "worse_months": sum(a > b for a, b in pairs),
    }


def ablated(estimator, months, places, own):
    """`score_of` without some parts, which come back afterwards."""
    changes = []
    for module, channels in places:  # all means are those of the whole network
        mean = None if own else mean_of(estimator, months, module, channels)
        changes.append(own_mean if own else lambda x, mean=mean: mean.expand_as(x))
    handles = [hook(*place, change) for place, change in zip(places, changes, strict=True)]
    try:
        return score_of(estimator, months)
    finally:
        for handle in handles:
            handle.remove()


def main(argv=None):
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser("python experiments/checks/ablate.py")
    parser.add_argument("weights", nargs="+", help="run folders, files or shipped names")
    parser.add_argument("--out", type=Path, default=RESULTS / "ablated.json")
    args = parser.parse_args(argv)
    estimator = load_weights(args.weights[0])
    if not isinstance(estimator.network, SpatioTemporalModel):
        parser.error(f"{args.weights[0]} has no transformer, of which parts could be ablated")
    months = {regime: benchmark_months(regime) for regime in REGIMES}
    seeds = {}
    for name in args.weights:
        about = read_metadata(find_weights(name))["about"]
        seed = str(about.get("settings", about)["seed"])
        seeds[seed] = {r: kept(score_of(load_weights(name), months[r])) for r in REGIMES}
        print(seed, seeds[seed], flush=True)
    whole = {r: score_of(estimator, months[r]) for r in REGIMES}
    rows = {"nothing": {r: kept(whole[r]) for r in REGIMES}}
    for name, part in parts(estimator.network).items():
        scores = {r: ablated(estimator, months[r], *part) for r in REGIMES}
        rows[name] = {r: against(scores[r], whole[r]) for r in REGIMES}
        print(name, {r: round(row["rmse"], 4) for r, row in rows[name].items()}, flush=True)
    words = sys.argv[1:] if argv is None else argv
    command = shlex.join(["python", "experiments/checks/ablate.py", *words])
    write_results({"command": command, "seeds": seeds, "ablated": rows}, args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
