"""Score sets of weights on the 48 real months, whole and with parts of the network silenced.

    python book/score_seeds.py runs/full0 runs/full1 runs/full2 --out book/results/seeds.json

Each folder holds the weights.safetensors of one `sst-tutorial train --preset full --seed ...`; a
file or the name of shipped weights does as well. Silenced = the output of that part is replaced by
its own mean over all months and places. Chapters *The full GPU run*, *Opening the box*.
"""

import argparse
import sys
from pathlib import Path

import torch

from sst_tutorial import load_weights
from sst_tutorial.evaluation import benchmark_months, score_months, write_results
from sst_tutorial.reconstruction import as_method
from sst_tutorial.weights import find_weights, read_metadata

REGIMES = ("cloudy", "clear")


def find(name):
    """The weights of a run's folder, a file of weights, or shipped weights by name."""
    return find_weights(f"{name}/weights.safetensors" if Path(name).is_dir() else name)


def parts(network):
    """Name -> (module, channels): what to silence at the input of the module, None = its output."""
    attention = [layer.self_attn for layer in network.spatial_tr.enc.layers]
    head, deconv = network.decoder.head[0], network.decoder.deconv
    beside = slice(deconv.out_channels, None)
    return {
        "attention of layer 1": (attention[0], None),
        "attention of layer 2": (attention[1], None),
        "all tokens": (deconv, None),
        "path beside the tokens": (head, beside),
        "both paths": (head, slice(None)),
    }


def silence(module, channels, mean):
    """Hook that puts `mean` in place of a module's output, or of some channels of its input."""
    if channels is None:

        def change(module, inputs, output):
            first = output[0] if isinstance(output, tuple) else output
            new = mean.expand_as(first)
            return (new, *output[1:]) if isinstance(output, tuple) else new

        return module.register_forward_hook(change)

    def change_input(module, inputs):
        x = inputs[0].clone()
        x[:, channels] = mean.expand_as(x[:, channels])
        return (x,)

    return module.register_forward_pre_hook(change_input)


def mean_of(network, settings, months, module, channels):
    """What `silence` needs: the mean over months and places, with the channels kept."""
    found = []

    def keep(module, inputs, output=None):
        x = inputs[0][:, channels] if channels is not None else output
        x = x[0] if isinstance(x, tuple) else x
        axes = (0, 1) if x.ndim == 3 else (0, 2, 3)  # (B, N, D) or (B, C, H, W)
        found.append(x.mean(axes, keepdim=True))

    hook = module.register_forward_hook(keep)
    predict = as_method((network, settings))
    for month in months:
        predict(month.sst, month.ocean_mask, month.climatology)
    hook.remove()
    return torch.stack(found).mean(0)


def scored(network, settings, months):
    """RMSE in K of all cells, of the seldom seen ones, and its 95 % interval."""
    score = score_months({"network": as_method((network, settings))}, months)["network"]
    return {key: score[key] for key in ("rmse", "rmse_seldom_seen", "rmse_interval")}


def main(argv=None):
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser("python book/score_seeds.py", description=main.__doc__)
    parser.add_argument("weights", nargs="+", help="folders of runs, files, or shipped names")
    parser.add_argument("--silence", default="ocean-1", help="weights to take apart (%(default)s)")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(argv)
    months = {regime: benchmark_months(regime) for regime in REGIMES}
    seeds = {}
    for name in args.weights:
        path = find(name)
        network, settings = load_weights(path)
        seed = str(read_metadata(path)["about"]["seed"])
        seeds[seed] = {r: scored(network, settings, months[r]) for r in REGIMES}
        print(seed, seeds[seed], flush=True)
    network, settings = load_weights(args.silence)
    silenced = {"nothing": {r: scored(network, settings, months[r]) for r in REGIMES}}
    for name, (module, channels) in parts(network).items():
        silenced[name] = {}
        for regime in REGIMES:
            mean = mean_of(network, settings, months[regime], module, channels)
            hook = silence(module, channels, mean)
            silenced[name][regime] = scored(network, settings, months[regime])
            hook.remove()
        print(name, silenced[name], flush=True)
    command = (
        "python book/score_seeds.py runs/full0 runs/full1 runs/full2 --out book/results/seeds.json"
    )
    results = {"command": command, "seeds": seeds, "silenced": silenced}
    write_results(results, args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
