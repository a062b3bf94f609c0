"""Where do the milliseconds of a training step go? A profile of the loop on one GPU.

    python experiments/checks/speed.py    # 3 minutes on an H100; writes results/speed.json

Trains the preset `full` on simulated seas for some steps in three ways: operation by operation,
compiled, and compiled into one graph that the card replays (what `training.fit` does). For each:
milliseconds of a step, milliseconds in which the card computed, kernels started, the largest of
them, and what the arithmetic alone would take at the peak rate. Chapter *The full GPU run*.
"""

import copy
import time

import torch
from lightning_fabric import Fabric
from torch.profiler import ProfilerActivity, profile

from sst_tutorial.networks import build
from sst_tutorial.results import RESULTS, commit, machine, write_results
from sst_tutorial.samples import SampleMaker
from sst_tutorial.settings import settings_of
from sst_tutorial.steplog import PEAK, count_flops
from sst_tutorial.training import follow, ocean_rmse, parameter_groups

WAYS = {"operation by operation": None, "compiled": {}, "one graph": {"mode": "reduce-overhead"}}
WARM_UP, STEPS, PROFILED = 12, 60, 8


def one_way(options, settings, samples, fabric) -> dict:
    """Milliseconds and kernels of a step compiled with these options (None = not at all)."""
    torch._dynamo.reset()
    raw = build(settings.first_guess, settings.network, settings.scale).to(fabric.device)
    average = copy.deepcopy(raw).eval().requires_grad_(False)
    groups = parameter_groups(raw, settings.weight_decay)
    optimizer = torch.optim.AdamW(groups, settings.lr, fused=True)
    model = raw if options is None else torch.compile(raw, **options)
    model, optimizer = fabric.setup(model, optimizer)

    def steps(n):
        for step in range(n):
            batch = samples(step, settings.batch_size)
            loss = ocean_rmse(model(*batch.inputs).mean, batch.target, batch.ocean)
            fabric.backward(loss)
            # To ask whether the norm is finite would make the processor wait at every step.
            fabric.clip_gradients(
                model, optimizer, max_norm=settings.clip, error_if_nonfinite=False
            )
            optimizer.step()
            optimizer.zero_grad()
            follow(average, raw, settings.ema)
        torch.cuda.synchronize()

    steps(WARM_UP)
    begin = time.perf_counter()
    steps(STEPS)
    ms = 1000 * (time.perf_counter() - begin) / STEPS
    with profile(activities=[ProfilerActivity.CUDA]) as recorded:
        steps(PROFILED)
    kernels = sorted(recorded.key_averages(), key=lambda e: -e.self_device_time_total)
    busy = sum(e.self_device_time_total for e in kernels) / 1000 / PROFILED
    largest = {e.key[:60]: e.self_device_time_total / 1000 / PROFILED for e in kernels[:8]}
    return {
        "ms": ms,
        "samples_per_s": 1000 * settings.batch_size / ms,
        "ms_computing": busy,
        "kernels": sum(e.count for e in kernels) / PROFILED,
        "largest_kernels_ms": largest,
    }


def main():
    if not torch.cuda.is_available():
        raise SystemExit("this check needs an NVIDIA GPU; torch finds none here")
    torch.set_float32_matmul_precision("high")
    settings = settings_of("full")
    fabric = Fabric(accelerator="cuda", devices=1, precision=settings.precision)
    samples = SampleMaker(fabric.device, seed=0, pieces=512)
    estimator = build(settings.first_guess, settings.network).to(fabric.device)
    flops = count_flops(estimator, samples(0, 2)) / 2 * settings.batch_size
    name = torch.cuda.get_device_name()
    peak = next((peak for card, peak in PEAK.items() if card in name), float("nan"))
    results = {
        "command": "python experiments/checks/speed.py",
        "commit": commit(),
        "machine": machine(),
        "batch_size": settings.batch_size,
        "gflop_a_sample": flops / settings.batch_size / 1e9,
        "ms_at_peak": 1000 * flops / peak,
        "ways": {},
    }
    for way, options in WAYS.items():
        results["ways"][way] = one_way(options, settings, samples, fabric)
        print(way, results["ways"][way], flush=True)
    write_results(results, RESULTS / "speed.json")


if __name__ == "__main__":
    main()
