"""Does it help a network to be told the error of each observation, and does it ever harm?

    python experiments/checks/uneven_errors.py   # ten minutes of a core; results/uneven_errors.json

Months that may choose (twins of exams, never the exams): what was seen of the truth gets new noise,
whose standard deviation differs between days, sensors or pixels, and the same months are filled
twice, with the error told and without. Nothing is trained. Among the cases are products that err in
what they tell: errors that claim to differ and do not, that are half of what they are, that are
told the wrong way round.
"""

import sys
from dataclasses import replace

import numpy as np
import torch

from sst_tutorial.benchmark import (
    MOVING_VALIDATION,
    benchmark_module,
    moving_fields,
    moving_months,
    simulated_months,
)
from sst_tutorial.evaluation import difference_interval
from sst_tutorial.exams import EXAMS, Question
from sst_tutorial.months import Batch
from sst_tutorial.results import RESULTS, write_results
from sst_tutorial.weights import load_weights

SEEDS, WINDOWS, BLOCK = 3, 16, 2
ASKED = {  # sea and question of each network
    "ocean-1": (("simulated", "month"), ("smooth, cloudy", "month"), ("smooth, clear", "month"),
                ("moving", "month")),
    "ocean-2": (("smooth, cloudy", "day"), ("lasting, 6 days", "day"), ("moving", "month"),
                ("moving", "day")),
}  # fmt: skip


def any_error(rng, shape):
    return np.exp(rng.uniform(np.log(0.1), np.log(1.0), shape))


def of_days(rng, shape):
    return any_error(rng, (shape[0], 1, 1)) * np.ones(shape)


def sensors(good, bad, by_pixel=False):
    """One of two sensors on each day, or in each pixel."""

    def draw(rng, shape):
        who = rng.random(shape if by_pixel else (shape[0], 1, 1))
        return np.where(who < 0.5, good, bad) * np.ones(shape)

    return draw


def even(rng, shape):
    return np.full(shape, 0.3)


# name: (true error, what is told of it), each (T, H, W) K
CASES = {
    "0.1 to 1 K by day": (of_days, lambda true, rng: true),
    "0.2 or 0.8 K by day": (sensors(0.2, 0.8), lambda true, rng: true),
    "0.15 or 0.45 K by day": (sensors(0.15, 0.45), lambda true, rng: true),
    "0.1 or 0.9 K by pixel": (sensors(0.1, 0.9, by_pixel=True), lambda true, rng: true),
    "told half of it": (of_days, lambda true, rng: true / 2),
    "0.3 K, told 0.1 to 1 K": (even, lambda true, rng: any_error(rng, true.shape)),
    "told the wrong way round": (of_days, lambda true, rng: 0.1 / true),
    "0.3 K": (even, lambda true, rng: true),
}


def months_of(sea: str) -> list:
    """Some months that know the truth of their days, spread over those of the twin."""
    if sea == "simulated":  # without noise what was seen is the truth
        months = [
            replace(m, truth_of_days=np.where(m.observed, m.sst, m.prior))
            for m in simulated_months("cloudy", noise=0, seed=EXAMS["simulated"].seeds[True])
        ]
    elif sea == "moving":
        fields = moving_fields(MOVING_VALIDATION, seas=2)
        months = moving_months(benchmark_module().cloud_windows(), MOVING_VALIDATION, fields=fields)
    else:
        exam, group = sea.split(", ")
        months = [q.month for q in EXAMS[exam].questions(group, twin=True)["month"]]
    chosen = np.unique(np.linspace(0, len(months) - 1, WINDOWS).astype(int))
    return [months[i] for i in chosen]


def with_noise(month, case, rng):
    """The same month seen anew, its errors told."""
    draw, tell = CASES[case]
    true = draw(rng, month.sst.shape)
    sst = month.truth_of_days + true * rng.standard_normal(true.shape)
    sst = np.where(month.observed, sst, np.nan).astype(np.float32)
    return replace(month, sst=sst, error=tell(true, rng).astype(np.float32))


@torch.inference_mode()
def square_sums(estimator, months, day) -> np.ndarray:
    """Sum of squares of each month (n, 2), untold and told."""
    sums = []
    for month in months:
        batch = Batch.of([month], estimator.patch_size, day=day)
        prior = month.prior_mean if day is None else month.of_day(day)[0]
        truth, (H, W) = Question(month, day).truth, month.ocean.shape
        row = []
        for error in (None, batch.error):
            map_ = prior + estimator(*batch.inputs, error=error).mean[0, :H, :W].numpy()
            row.append(np.sum((map_ - truth)[month.ocean] ** 2))
        sums.append(row)
    return np.array(sums)


def compared(estimator, months, question, case) -> dict:
    """RMSE without, and the change by what is told, as a share of it, with its 95 % interval."""
    sums = np.zeros((len(months), 2))
    for seed in range(SEEDS):
        rngs = [np.random.default_rng([seed, i]) for i in range(len(months))]
        noisy = [with_noise(m, case, rng) for m, rng in zip(months, rngs, strict=True)]
        sums += square_sums(estimator, noisy, None if question == "month" else 15)
    cells = [SEEDS * m.ocean.sum() for m in months]
    untold, told = ({"by_month": {"square_sum": s, "weight_sum": cells}} for s in sums.T)
    rmse = np.sqrt(sums.sum(0) / np.sum(cells))
    span = difference_interval(told, untold, block=BLOCK)
    return {
        "untold": float(rmse[0]),
        "told": float(rmse[1]),
        "change": float(rmse[1] / rmse[0] - 1),
        "interval": [float(end / rmse[0]) for end in span],
    }


def main():
    torch.set_num_threads(1)
    found, seas = {}, {}
    for model, questions in ASKED.items():
        estimator, found[model] = load_weights(model).eval(), {}
        for sea, question in questions:
            seas[sea] = months = seas.get(sea) or months_of(sea)
            rows = {case: compared(estimator, months, question, case) for case in CASES}
            found[model][f"{sea}, {question}"] = rows
            for case, row in rows.items():
                low, high = (100 * end for end in row["interval"])
                print(
                    f"{model:16}{sea:17}{question:7}{case:26}{row['untold']:7.3f}"
                    f"{100 * row['change']:+7.1f} % ({low:+.1f} to {high:+.1f})",
                    flush=True,
                )
    results = {"command": "python experiments/checks/uneven_errors.py", "seeds": SEEDS,
               "windows": WINDOWS, "networks": found}  # fmt: skip
    write_results(results, RESULTS / "uneven_errors.json")


if __name__ == "__main__":
    sys.exit(main())
