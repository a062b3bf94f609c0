"""Who is best on the months that choose? A row for each setting of which runs are stored.

    python experiments/checks/leaderboard.py [FOLDER ...]

FOLDER: runs of your own (run.json, scores.json and weights of each seed); without one, those of
experiments/results. Of the latter it writes experiments/results/leaderboard.json.
"""

import sys
from pathlib import Path

from sst_tutorial.leaderboard import leaderboard
from sst_tutorial.results import RESULTS, commit, write_results

# Runs of a sea that remembered less, see the log of 2026-11-26 in experiments/README.md.
APART = {"moving": "version 1 of the sea that moves"}


def main(folders) -> None:
    for folder in folders or [RESULTS]:
        tables = leaderboard(Path(folder), None if folders else APART)
        if not tables:
            sys.exit(f"{folder} holds no finished run (run.json)")
        for months, rows in tables.items():
            print(f"validation RMSE (K), mean of {months}")
            for row in rows:
                spread = "" if row["spread_K"] is None else f" +- {row['spread_K']:.4f}"
                rmse, seeds = row["rmse_K"], len(row["seeds"])
                print(f"  {rmse:.4f}{spread:10} {seeds} seed(s)  {row['name']}")
        if not folders:
            command = "python experiments/checks/leaderboard.py"
            found = {"command": command, "commit": commit(), "tables": tables}
            write_results(found, RESULTS / "leaderboard.json")


if __name__ == "__main__":
    main(sys.argv[1:])
