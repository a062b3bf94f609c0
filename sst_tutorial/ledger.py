"""Who opened the test, when, and what for: a line for each look, and none is taken out.

    sst-tutorial evaluate --months smooth --report "ocean-2 shipped: best of six on 2011-2012"

A test that is looked at to choose by becomes a validation. Nobody can see afterwards whether it
was; but it can be written down how often it was opened and by what, with the sentence that says
what had been chosen before, and why. That line is written before the first score is seen, so that
a run that is killed leaves it too; the scores get a line of their own when all are there. Each line
holds a digest of the line before it, so that one that is changed or missing is found. Choose by the
twins of the exams (`--validation`), which are no tests, and which anybody may open at any time.
Chapter *Change one thing*.
"""

import hashlib
import json
import os
import time
from pathlib import Path

from sst_tutorial.results import REPOSITORY, RESULTS, commit, rounded

NAME = "ledger.jsonl"
LEAST = 5  # words of a sentence that says what was chosen and why
DIGITS = 12  # of a digest


def is_locked(exam: str, validation: bool) -> bool:
    """Does an entry belong into the ledger? The simulated months are open to all who learn."""
    return not validation and exam != "simulated"


def ledger_path() -> Path:
    """Where looks are entered: `$SST_TUTORIAL_LEDGER`, else the ledger of the source tree. The one
    of an installed package is the book's: there it is `ledger.jsonl` in the working folder."""
    if own := os.environ.get("SST_TUTORIAL_LEDGER"):
        return Path(own)
    return RESULTS / NAME if RESULTS.is_relative_to(REPOSITORY / "experiments") else Path(NAME)


def checked_sentence(text: str) -> str:
    """The sentence in one line; ValueError where it says nothing."""
    text = " ".join(text.split())
    if len(text.split()) < LEAST:
        raise ValueError(
            f"report={text!r} must be a sentence of {LEAST} words or more that says what was "
            "chosen, and by what"
        )
    return text


def open_test(
    exam: str, version: int, question: str, by, sentence: str, command=None, weights=None, path=None
) -> str:
    """Enter a look at an exam before its first score is seen; the digest of the line, which
    `enter_scores` asks for.

    by: names of the methods that are scored. weights: file of the network, or None where none or
    several are scored. ValueError for the simulated months, which are no test, and for a sentence
    that says nothing.
    """
    exam = {"benchmark": "smooth"}.get(exam, exam)  # its name in 0.1
    if not is_locked(exam, validation=False):
        raise ValueError(f"exam={exam!r}: simulated months are no test, leave report away")
    entry = {
        "date": _today(),
        "exam": exam,
        "version": version,
        "question": question,
        "by": sorted(by),
        "report": checked_sentence(sentence),
        "weights": None if weights is None else _of_weights(weights),
        "scores_K": None,
        "commit": commit(),
        "command": command,
    }
    return enter(entry, path)


def enter_scores(opened: str, scores: dict, path=None) -> None:
    """The scores of a look, {group: {method: K}}; opened: what `open_test` returned."""
    enter({"date": _today(), "scores_of": opened, "scores_K": rounded(scores)}, path)


def _today() -> str:
    return time.strftime("%Y-%m-%d", time.gmtime())


def _of_weights(path) -> dict:
    """Digests of a file of weights and of the settings in it."""
    from sst_tutorial.weights import read_metadata

    path = Path(path)
    settings = json.dumps(read_metadata(path)["config"], sort_keys=True).encode()
    return {"name": path.stem, "digest": digest(path.read_bytes()), "settings": digest(settings)}


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:DIGITS]


def enter(entry: dict, path=None) -> str:
    """Append one line, and return its digest; what stands there already must be whole."""
    path = ledger_path() if path is None else Path(path)
    _looks(path)
    lines = _lines(path)
    after = digest(lines[-1].encode()) if lines else None
    line = json.dumps(entry | {"after": after}, ensure_ascii=False)
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    return digest(line.encode())


def read_ledger(path=None) -> list[dict]:
    """All looks, oldest first, each with its scores; [] where there is no ledger. "scores_K" is
    None for one that ended before them. ValueError for a ledger that was changed or from which a
    line is missing. Without a path: those of the book, then those that were entered beside it.
    """
    if path is not None:
        return _looks(Path(path))
    book, own = RESULTS / NAME, ledger_path()
    both = own != book and "SST_TUTORIAL_LEDGER" not in os.environ
    return [*(_looks(book) if both else []), *_looks(own)]


def _looks(path: Path) -> list[dict]:
    looks, after = {}, None
    for number, line in enumerate(_lines(path), start=1):
        try:
            entry = json.loads(line)
            if entry["after"] != after:
                raise ValueError(f"line {number} does not follow the one before it")
            after = digest(line.encode())
            if "scores_of" in entry:
                looks[entry["scores_of"]]["scores_K"] = entry["scores_K"]
            else:
                looks[after] = entry
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"{path}: {error}; nothing may be changed there, take it from the history of the "
                "repository"
            ) from error
    return list(looks.values())


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
