"""The small live pieces of the chapters, used in a browser from the disk, compute what they say."""

import os
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
PIECES = ROOT / "book" / "_static" / "pieces"


@pytest.fixture(scope="module")
def used(site, in_the_browser):
    """What came of using each piece."""
    return in_the_browser("pieces.mjs", site, *os.environ.get("SHOTS", "").split())


def test_each_piece_is_small():
    files = sorted(PIECES.iterdir())
    assert len(files) == 5
    assert all(file.stat().st_size <= 15_000 for file in files)


def test_pieces_complain_of_nothing_and_hinder_nobody(used):
    assert used["faults"] == [] and used["axe"] == []
    assert set(used["early"]) == {0}  # nothing is fetched before its place comes near
    assert min(used["fallback"]) > 80  # and until then a sentence stands there


def softmax(scores):
    powers = np.exp(scores)
    return powers / powers.sum()


def test_the_scores_under_the_hand(used):
    found = used["softmax"]
    assert found["start"] == pytest.approx(softmax([2, 1, 0, 1]))
    assert found["raised"] == pytest.approx(softmax([2.5, 1, 0, 1]))
    assert found["shifted"] == pytest.approx(found["raised"])
    assert found["hidden"] == pytest.approx(softmax([2.5, -np.inf, 0, 1]))
    assert found["none"] == [None] * 4 and "0 divided by 0" in found["says"]


def test_the_row_that_follows_the_pointer(used):
    found = used["attention"]
    rows = [np.array(found[key]["weights"]) for key in ("start", "pointed", "moved")]
    for row in rows:
        assert row.sum() == pytest.approx(1) and len(row) == 96
        assert 0.63 < np.mean(row == 0) < 0.7  # two thirds of the map are hidden, as is said
    assert found["pointed"]["says"].startswith("Row 8, column 11,")
    assert found["moved"]["says"].startswith("Row 7, column 10,")
    # A move computes the row of the patch that asks, not those of all 96 for the same error.
    assert found["powers"] <= 2 * 96
    assert found["moved"]["error"] == found["pointed"]["error"] == found["start"]["error"]
    # What the question above the piece leads to: likeness repairs a wide head, and then is ahead.
    errors = {tuple(map(float, key.split())): e for key, e in found["errors"].items()}
    assert errors[4, 0] > 1.5 * errors[4, 1]
    assert min(e for (_, care), e in errors.items() if care) < min(
        e for (_, care), e in errors.items() if not care)


def passes(seen, report, widths, noise=0.6, gain=1.5):
    """The passes of the chapter on one row."""
    seen, report = np.array(seen), np.array(report)
    analysis = np.zeros(len(report))
    far = np.subtract.outer(np.arange(len(report)), np.arange(len(report)))
    for cells in widths:
        near = np.exp(-0.5 * (far / cells) ** 2) * seen
        analysis = analysis + gain * near @ (report - analysis) / (near.sum(1) + noise)
    return analysis


def test_the_passes_of_the_row(used):
    found = used["corrections"]
    start, done, turned = found["start"], found["passes"], found["turned"]
    for number, after in enumerate(done, start=1):
        expected = passes(start["seen"], start["report"], start["widths"][:number])
        assert after["analysis"] == pytest.approx(expected, abs=1e-9)
    assert turned["analysis"] == pytest.approx(
        passes(start["seen"], start["report"], start["widths"][::-1]), abs=1e-9)
    # The order moves the error, hardly what is left over: that is what the reader shall find.
    assert turned["error"] > 1.3 * done[-1]["error"]
    assert max(turned["misfit"], done[-1]["misfit"]) < 0.1
    assert sum(found["keyed"]["seen"]) == sum(start["seen"]) + 1
    assert sum(found["tapped"]["seen"]) == sum(start["seen"]) + 1


def test_a_handout_leaves_the_answers_out(used):
    assert used["paper"][""] > 10 and used["paper"]["#handout"] == 0
