"""The cards: their table, their records, and what the pages show of both."""

import json
import re
import sys

import failures
import nbformat
import notebooks
import numpy as np
import pytest
import torch
from test_checks import script

from sst_tutorial import comparing
from sst_tutorial.deciding import difference, verdict
from sst_tutorial.model import VideoEncoder
from sst_tutorial.results import RESULTS, read_results

RECORD = read_results("cards")
PAGES = [notebooks.CHAPTERS / f"{name}.ipynb" for name in ("cards", "what_mattered")]


@pytest.fixture(scope="module")
def cards():
    yield script("cards")
    sys.modules.pop("classes", None)


def test_every_card_builds_and_changes_something(cards):
    twelve = [c for c in cards.CARDS if c.group == "card" and c.base in ("quick", "blocks")]
    assert len(twelve) == 12 == len({c.title for c in twelve})
    assert len(cards.BY_ID) == len(cards.CARDS)
    for card in cards.CARDS:
        plan = cards.plan_of(card.id)
        assert plan.build("change") is not None
        assert plan.hash("change") != plan.hash("base"), card.id
    known = {c.id for c in cards.CARDS if c.group == "stage"}
    assert known == set(cards.LARGE) >= set(cards.LONGEST)


@pytest.mark.parametrize("name", RECORD["cards"])
def test_the_verdict_follows_from_the_runs(name):
    card = RECORD["cards"][name]
    path = RESULTS / "compare" / f"{card['base']}-60s.json"
    if not path.is_file():  # of a sea that moves no base is stored
        assert card["base"] == "moving"
        return
    base = json.loads(path.read_text())["runs"]
    squares = np.array([run["square_sum"] for run in base])
    seeds = card["seeds"], [run["seed"] for run in base]
    cells = base[0]["weight_sum"]
    if len(card["square_sum"][0]) == len(cells):
        found = difference(card["square_sum"], squares, cells, seeds)
        assert found.value == pytest.approx(card["difference_K"]["value"], abs=2e-6)
        assert verdict(found, len(cells)).split(" (")[0] == card["verdict"].split(" (")[0]
    rmse = np.sqrt(np.sum(card["square_sum"], 1) / np.sum(cells))
    assert rmse == pytest.approx(card["rmse_K"]["change"], rel=1e-5)
    assert len(card["seeds"]) >= 3 and len(base) >= 3


def test_steps_are_those_that_equal_seconds_give():
    for name, card in RECORD["cards"].items():
        ms, steps = card["ms_per_step"], card["steps"]
        # Medians of a few measurements on a busy machine: 15 % is what two of them differ by.
        wanted = steps["base"] * ms["base"] / ms["change"]
        assert steps["change"] == pytest.approx(wanted, rel=0.15), name


def test_the_large_stage_is_that_of_the_stored_runs(cards):
    for part, table in (("large", cards.LARGE), ("longest", cards.LONGEST)):
        for name, runs in table.items():
            found, stored = cards.large_stage(*runs), RECORD[part][name]
            for key in ("value", "low", "high"):
                assert found[key] == pytest.approx(stored[key], rel=1e-4, abs=1e-7), name
            assert found["low"] < found["value"] < found["high"]


def test_the_stored_minute_is_used_where_it_may_be(capsys):
    """A reader's change then needs three runs, with another torch too."""
    plan = comparing._plan("quick", {"ema": 0.0}, 3, 60, None, None)
    record = read_results("compare/quick-60s")
    assert len(record["runs"]) == 10 and record["budget"]["asked"] == {"seconds": 60}
    assert comparing._differs(record, plan) is None


def test_classes_on_the_page_are_those_that_ran(cards):
    source = (cards.FOLDER / "classes.py").read_text()
    text = "\n".join(c.source for c in nbformat.read(PAGES[0], as_version=4).cells)
    shown = [cell for block in re.findall(r"```python\n(.*?)\n```", text, re.S)
             for cell in block.split("\n\n\n")]  # fmt: skip
    assert len(shown) >= 9
    for one in shown:
        assert f"{one}\n" in source, one.splitlines()[0]
    for name in re.findall(r'show\("(\w+)"', text):
        assert name in RECORD["cards"]
    for words in re.findall(r"--set (\S+)", text):
        slot, _, name = words.partition("=experiments/cards/classes.py:")
        assert not name or name in source
    for slot in re.findall(r"--set (\w+)=experiments", text):
        assert slot in (*comparing.PARTS, *comparing.TAUGHT)


def test_dividing_in_the_embedding_divides(cards):
    """A class that overrides a method under its old name changes nothing, without a word."""
    encoder = cards.classes.Divided(embed_dim=8, patch_size=(1, 2, 2))
    x = torch.tensor([[1.0, 2.0], [3.0, 4.0]]).view(1, 1, 1, 2, 2)
    mask = torch.tensor([[False, False], [True, True]]).view(x.shape)
    patch = encoder.patches(x, mask)  # (1, 1, 8): values, then flags
    assert patch.flatten().tolist() == [2.0, 4.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0]
    plain = VideoEncoder(embed_dim=8, patch_size=(1, 2, 2))
    plain.load_state_dict(encoder.state_dict())
    assert not torch.allclose(encoder(x, mask), plain(x, mask))


def test_half_a_line_is_no_run(cards, tmp_path):
    lines = cards.Lines(tmp_path / "runs.jsonl")
    lines.add({"kind": "run", "name": "ema", "seed": 0})
    with lines.path.open("a") as f:
        f.write('{"kind": "run", "name": "ema", "se')  # killed here
    again = cards.Lines(lines.path)
    assert [r["seed"] for r in again.of("run", "ema")] == [0] and again.of("run", "deaf") == []
    again.add({"kind": "run", "name": "deaf", "seed": 1})
    assert [r["name"] for r in cards.Lines(lines.path).of("run")] == ["ema", "deaf"]


def looks(cards, lines, name, *ms):
    for base, change in ms:
        lines.add({"kind": "speed", "name": name, "ms": {"base": base, "change": change}})


def test_steps_are_those_of_the_stored_base_times_the_median_ratio(cards, tmp_path):
    lines = cards.Lines(tmp_path / "runs.jsonl")
    looks(cards, lines, "ema", (110, 108), (300, 303), (100, 140))  # the last look is thrown out
    looks(cards, lines, "deaf", (90, 180), (200, 410), (100, 199))
    looks(cards, lines, "moving_blocks", (100, 200), (120, 240), (600, 1200))  # no stored base
    assert cards.steps_of(lines, 60) == {
        "quick": 270, "ema": 270, "deaf": 135, "moving": 500, "moving_blocks": 250,
    }  # fmt: skip
    assert cards.steps_of(lines, 5)["quick"] == 48  # no such record: by the looks, 105 ms


def test_stored_runs_are_used_where_they_are_the_same_runs(cards, tmp_path, monkeypatch):
    found = cards.about_base("quick", 60)
    assert found["differs"] is None
    assert cards.about_base("quick", 5)["differs"] == "nothing is stored"
    lines = cards.Lines(tmp_path / "runs.jsonl")
    looks(cards, lines, "deaf", (100, 100))
    lines.add(found)
    cards.use_stored("quick", lines, 60)
    del lines.rows[-3:]
    lines.path.write_text("".join(json.dumps(row) + "\n" for row in lines.rows))  # stopped, and
    cards.use_stored("quick", lines, 60)  # begun again
    cards.use_stored("quick", lines, 60)
    runs = cards.done(cards.Lines(lines.path), "quick", cards.steps_of(lines, 60))
    assert [run["seed"] for run in runs] == list(range(10)) and len(lines.of("run")) == 10

    after = cards.comparing.after_steps  # another processor or torch that steps otherwise
    monkeypatch.setattr(
        cards.comparing, "after_steps", lambda plan: [x * 1.01 for x in after(plan)]
    )
    monkeypatch.setattr(cards.comparing, "_differs", lambda *record_and_plan: None)
    other = cards.about_base("quick", 60)
    assert other["differs"] == "the errors after 5 steps"
    again = cards.Lines(tmp_path / "other.jsonl")
    again.add(other)
    cards.use_stored("quick", again, 60)
    assert again.of("run") == []


def test_failures_are_those_of_the_log():
    assert failures.PAGE.read_text() == failures.page(), "run: python book/failures.py"
    found = failures.failed()
    assert len(found) >= 13 and all(len(words) > 40 for *_, words in found)
    assert [date for date, *_ in found] == sorted((d for d, *_ in found), reverse=True)
