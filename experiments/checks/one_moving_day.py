"""One day of the sea that moves, as five methods have it: small maps for figures.

    python experiments/checks/one_moving_day.py                # minutes

writes experiments/results/one_moving_day.json: truth, what was seen, the Gaussian, optimal
interpolation with its covariance measured in such seas, ocean-1 (which knows no days: the mean of
the month) and ocean-2, for the first month of the twin of the exam `moving`, day 16. Rounded to
hundredths of a kelvin. Not chosen by how it looks.
"""

import numpy as np
from exams import in_motion, questions_of

from sst_tutorial.baselines import gaussian
from sst_tutorial.reconstruction import as_method
from sst_tutorial.results import RESULTS, commit, write_results


def main():
    item = questions_of("moving", "8 km", True)["day"][0]
    month, day = item.month, item.day
    prior = month.of_day(day)[0]  # maps are stored as anomalies
    maps = {"truth": item.truth, "seen": month.sst[day]}
    methods = {
        "Gaussian": gaussian(month, day=day),
        "OI": in_motion().estimates(month, [day])[0],
        "ocean-1": as_method("ocean-1")(month),
        "ocean-2": as_method("ocean-2")(month, day=day),
    }
    wrong = {
        name: float(np.sqrt(np.mean((found - item.truth)[item.judged] ** 2)))
        for name, found in methods.items()
    }
    maps = {name: field - prior for name, field in (maps | methods).items()}
    print(wrong)
    stored = {
        name: [[None if np.isnan(x) else round(float(x), 2) for x in row] for row in field]
        for name, field in maps.items()
    }
    record = {
        "command": "python experiments/checks/one_moving_day.py",
        "day": day + 1,
        "rmse_K": {name: round(error, 4) for name, error in wrong.items()},
        "maps": stored,
        "commit": commit(),
    }
    write_results(record, RESULTS / "one_moving_day.json")


if __name__ == "__main__":
    main()
