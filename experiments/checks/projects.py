"""The baselines of the project kit: runs the commands of book/projects.md, keeps what they print.

    python experiments/checks/projects.py

A block of commands with a block of text behind it is a baseline. All run in a folder of their own,
three minutes on an idle core. Writes experiments/results/projects.json; what the page shows must
be the same (tests/test_projects.py).
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sst_tutorial.results import REPOSITORY, RESULTS, commit, machine, write_results

PAGE = REPOSITORY / "book" / "projects.md"
BASELINE = re.compile(r"```bash\n([^`]*)```\n\n```text\n([^`]*)```")


def baselines() -> list[tuple[str, str]]:
    """(commands, what the page says that they print) of each baseline."""
    return BASELINE.findall(PAGE.read_text(encoding="utf-8"))


def measured(commands: str, folder: str) -> dict:
    """Run the commands with `folder` in place of runs/; keep the rows that they print."""
    tools = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    started = time.perf_counter()
    done = subprocess.run(
        ["bash", "-ec", commands.replace("runs/", f"{folder}/")],
        cwd=REPOSITORY, env=os.environ | {"PATH": tools}, text=True, stdout=subprocess.PIPE,
        check=True,
    )  # fmt: skip
    rows = [line for line in done.stdout.splitlines() if re.match(r"  \d\.\d{4}", line)]
    return {"commands": commands, "rows": rows, "seconds": time.perf_counter() - started}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = [measured(commands, folder) for commands, _ in baselines()]
    for one in found:
        print(f"{one['seconds']:.0f} s", *one["rows"], sep="\n")
    record = {"command": "python experiments/checks/projects.py", "commit": commit()}
    write_results(record | {"machine": machine(), "baselines": found}, RESULTS / "projects.json")


if __name__ == "__main__":
    main()
