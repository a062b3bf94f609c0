"""Who opened the test, when, and what for: one line for each look, and none is taken out.

    sst-tutorial evaluate --months smooth --report "ocean-2 shipped: best of six on 2011-2012"

A test that is looked at to choose by becomes a validation. Nobody can see afterwards whether it
was; but it can be written down how often it was opened and by what, with the sentence that says
what had been chosen before, and why. Each line holds a digest of the line before it, so that one
that is changed or missing is found. Choose by the twins of the exams (`--validation`), which are
no tests, and which anybody may open at any time. Chapter *Change one thing*.
"""

import hashlib
import json
import os
import time
from collections import Counter
from pathlib import Path

from sst_tutorial.results import RESULTS, commit

NAME = "ledger.jsonl"
LEAST = 5  # words of a sentence that says what was chosen and why
DIGITS = 12  # of a digest


def is_locked(exam: str, validation: bool) -> bool:
    """Does an entry belong into the ledger? The simulated months are open to all who learn."""
    return not validation and exam != "simulated"


def ledger_path() -> Path:
    """`$SST_TUTORIAL_LEDGER`, else the one of the source tree, else one in this folder."""
    if own := os.environ.get("SST_TUTORIAL_LEDGER"):
        return Path(own)
    return RESULTS / NAME if RESULTS.is_dir() else Path(NAME)


def checked_sentence(text: str) -> str:
    """The sentence in one line; ValueError where it says nothing."""
    text = " ".join(text.split())
    if len(text.split()) < LEAST:
        raise ValueError(
            f"report={text!r} must be a sentence of {LEAST} words or more that says what was "
            "chosen, and by what"
        )
    return text


def report(scored: dict, sentence: str, weights=None, command=None, path=None) -> dict:
    """Enter a look at the test: what `evaluation.evaluate` returned, and why it was asked.

    weights: file of the network, or None where none was scored. Returns the entry. ValueError for a
    twin, for the simulated months, and for a sentence that says nothing.
    """
    exam = {"benchmark": "smooth"}.get(scored["months"], scored["months"])  # its name in 0.1
    if not is_locked(exam, scored["validation"]):
        raise ValueError(f"{exam}: twins and simulated months are no test, leave report away")
    scores = {
        group: {name: float(f"{s['rmse']:.6g}") for name, s in part["methods"].items()}
        for group, part in scored["regimes"].items()
    }
    by = {name for methods in scores.values() for name in methods}
    about = scored["version"], scored["question"]
    return look(exam, *about, by, sentence, scores, command, weights, path)


def look(
    exam: str, version: int, question: str, by, sentence: str, scores: dict, command=None,
    weights=None, path=None,
) -> dict:
    """Enter a look at an exam by some methods, whose scores are given; returns the entry. weights:
    file of the network, or None where none or several were scored."""
    entry = {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "exam": exam,
        "version": version,
        "question": question,
        "by": sorted(by),
        "report": checked_sentence(sentence),
        "weights": None if weights is None else _of_weights(weights),
        "scores_K": scores,
        "commit": commit(),
        "command": command,
    }
    enter(entry, path)
    return entry


def _of_weights(path) -> dict:
    """Digests of a file of weights and of the settings in it."""
    from sst_tutorial.weights import read_metadata

    path = Path(path)
    settings = json.dumps(read_metadata(path)["config"], sort_keys=True).encode()
    return {"name": path.stem, "digest": digest(path.read_bytes()), "settings": digest(settings)}


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:DIGITS]


def enter(entry: dict, path=None) -> None:
    """Append one line; what stands there already must be whole."""
    path = ledger_path() if path is None else Path(path)
    read_ledger(path)
    lines = _lines(path)
    after = digest(lines[-1].encode()) if lines else None
    line = json.dumps(entry | {"after": after}, ensure_ascii=False)
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def read_ledger(path=None) -> list[dict]:
    """All entries, oldest first; [] where there is no ledger. ValueError for one that was changed
    or from which a line is missing."""
    path = ledger_path() if path is None else Path(path)
    entries, after = [], None
    for number, line in enumerate(_lines(path), start=1):
        try:
            entry = json.loads(line)
            if entry["after"] != after:
                raise ValueError(f"line {number} does not follow the one before it")
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path}: {error}; nothing may be changed there, take it from the history of the "
                "repository"
            ) from error
        entries.append(entry)
        after = digest(line.encode())
    return entries


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []


def table(entries=None) -> str:
    """How often each exam was opened, and by what, as lines of text."""
    entries = read_ledger() if entries is None else entries
    if not entries:
        return "The test was never opened."
    lines = [f"The test was opened {len(entries)} times: "]
    counts = Counter(exam for entry in entries for exam in entry["exam"].split(", "))
    lines[0] += ", ".join(f"{exam} {count}" for exam, count in counts.most_common())
    for entry in entries:
        lines.append(f"{entry['date']}  {entry['exam']}: {', '.join(entry['by'])}")
        lines.append(f"            {entry['report']}")
    return "\n".join(lines)


# ---------------------------------------------------------------- the leaderboard


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
        key = months, of_settings
        groups.setdefault(key, []).append((path.parent, record))
    tables: dict[str, list[dict]] = {}
    for (months, of_settings), runs in groups.items():
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
