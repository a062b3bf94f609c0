"""Who is best by the months that choose: a row for each setting of which finished runs are stored.

Nothing is opened for it: these are validation months. `experiments/checks/leaderboard.py` prints
it.
"""

import json
from pathlib import Path

from sst_tutorial.ledger import digest
from sst_tutorial.results import RESULTS


def leaderboard(folder=RESULTS, apart: dict | None = None) -> dict[str, list[dict]]:
    """A row for each setting of which `folder` holds finished runs, best first, with the spread of
    its seeds; one table for each set of months that chose. apart: {question: words} of runs that
    were judged by other months of the same name, which have a table of their own.

    A row: name, rmse_K (mean over seeds of the mean over the sets of months), spread_K (standard
    deviation over seeds, None for one), seeds, rmse_K by set, seconds, parameters, command and
    commit of the first seed, digests of the settings (beside the seed) and, where weights lie in
    the folders, of those. Validation months: nothing is opened.
    """
    groups: dict[tuple, list] = {}
    folder = Path(folder)
    for path in sorted(folder.rglob("run.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        if not (record.get("done") and record.get("validation")):
            continue
        settings = {k: v for k, v in record["settings"].items() if k != "seed"}
        of_settings = digest(json.dumps(settings, sort_keys=True).encode())
        question = path.relative_to(folder).parts[0]
        months = ", ".join([*record["validation"], *filter(None, [(apart or {}).get(question)])])
        key = months, of_settings, record.get("design")  # classes in slots, which no setting names
        groups.setdefault(key, []).append((path.parent, record))
    tables: dict[str, list[dict]] = {}
    for (months, of_settings, _), runs in groups.items():
        tables.setdefault(months, []).append(_row(folder, of_settings, runs))
    return {k: sorted(rows, key=lambda row: row["rmse_K"]) for k, rows in sorted(tables.items())}


def _row(folder: Path, of_settings: str, runs: list) -> dict:
    runs.sort(key=lambda run: run[1]["settings"]["seed"])
    place, first = runs[0]
    each = [sum(r["validation"].values()) / len(r["validation"]) for _, r in runs]
    mean = sum(each) / len(each)
    spread = None
    if len(each) > 1:
        spread = (sum((x - mean) ** 2 for x in each) / (len(each) - 1)) ** 0.5
    sets = first["validation"]
    files = [path / "weights.safetensors" for path, _ in runs]
    return {
        "name": str(place.relative_to(folder)).rsplit("-", 1)[0],
        "rmse_K": mean,
        "spread_K": spread,
        "seeds": [r["settings"]["seed"] for _, r in runs],
        "by_set_K": {k: sum(r["validation"][k] for _, r in runs) / len(runs) for k in sets},
        "seconds": sum(r["seconds"] for _, r in runs) / len(runs),
        "parameters": sum(first["parameters"].values()),
        "machine": first["machine"]["gpu"] or f"{first['machine']['cores']} cores",
        "command": first["command"],
        "commit": first["commit"],
        "settings": of_settings,
        "weights": [digest(f.read_bytes()) if f.is_file() else None for f in files],
    }
