"""The paths say what the chapters announce, and name sections that exist."""

import re
from pathlib import Path

import nbformat
import notebooks
import pytest

PAGE = (Path(__file__).parents[1] / "book" / "paths.md").read_text(encoding="utf-8")
ANNOUNCED = re.compile(r"\*\*Reading:\*\* (\d+) minutes, and (\d+) more for the exercises")
ROW = re.compile(r"\| (\d+): \[(.+?)\]\(chapters/(\w+)\.ipynb\) \| (\d+)(?: \+ (\d+))? \| (.+) \|")
SUM = re.compile(r"\| \*\*Sum\*\* \| \*\*(\d+) \+ (\d+)\*\* \| \*\*(\d+) minutes\*\* \|")
TABLES = [t for t in re.findall(r"(?:^\|.*\n)+", PAGE, flags=re.M) if "| Minutes |" in t]


def chapter(name):
    """(number, title, minutes to read, minutes of the exercises, headings)."""
    path = notebooks.CHAPTERS / f"{name}.ipynb"
    notebook = nbformat.read(path, as_version=4)
    text = "\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")
    reading, exercises = ANNOUNCED.search(text).groups()
    heads = [h for level in (2, 3) for h in notebooks.headings(notebook, level)]
    title = notebooks.headings(notebook, 1)[0]
    number = notebooks.chapters().index(path) + 1
    return number, title, int(reading), int(exercises), heads


@pytest.mark.parametrize("table", TABLES, ids=range(len(TABLES)))
def test_minutes_are_those_of_the_chapters_and_add_up(table):
    rows = ROW.findall(table)
    assert rows and len(rows) == table.count("\n") - 3, "a row has another form than the others"
    read = done = 0
    for number, title, name, reading, exercises, _ in rows:
        announced = chapter(name)
        assert (int(number), title, int(reading)) == announced[:3], f"{name} says {announced[:4]}"
        read += int(reading)
        if exercises:
            assert int(exercises) == announced[3], f"{name} says {announced[:4]}"
            done += int(exercises)
    assert SUM.search(table).groups() == (str(read), str(done), str(read + done))


def test_the_first_table_repeats_the_sums():
    told = re.findall(r"\]\(#([\w-]+)\) \| (\d+) minutes \|", PAGE)
    assert len(told) == 7
    for anchor, minutes in told:
        section = re.split(r"^## ", PAGE, flags=re.M)
        own = [s for s in section if s.splitlines()[0].lower().replace(" ", "-") == anchor]
        assert SUM.search(own[0])[3] == minutes, anchor


def test_sections_to_skip_exist():
    count = 0
    for _, _, name, _, _, note in ROW.findall(PAGE):
        for section in re.findall(r"(?<!\*)\*([^*]+)\*(?!\*)", note):
            assert section in chapter(name)[4], f"{name} has no section {section!r}"
            count += 1
    assert count > 20


def test_what_the_head_of_a_chapter_lets_one_skip_exists():
    count = 0
    for path in notebooks.chapters():
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            for line in re.findall(r"^- \*\*Short of time\?\*\* (.*)$", cell.source, flags=re.M):
                named = set(re.findall(r"\*([^*]+)\*", line))
                missing = named - set(notebooks.headings(notebook, 2))
                assert named and not missing, f"{path.stem} has no section {missing}"
                count += 1
    assert count >= 7
