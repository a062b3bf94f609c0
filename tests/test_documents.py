"""What the README and CONTRIBUTING name is there: commands, options, targets, files, links."""

import re
import shlex
from pathlib import Path

import pytest

from sst_tutorial import cli

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", "CONTRIBUTING.md", "experiments/README.md"]
# Named on purpose though they are not there: examples of what a reader makes, and what is built.
MADE_BY_READERS = {
    "ice_at_the_edge.ipynb", "tests/answers/NAME.py", "book/locale/de/LC_MESSAGES/book.po",
    "book/locale", "_build/words/_build/gettext/book.pot",
}  # fmt: skip
FOLDERS = ("book/", "tests/", "experiments/", "sst_tutorial/", ".github/")


def text_of(page):
    return (ROOT / page).read_text(encoding="utf-8")


def code_of(page):
    """Lines of code blocks, and what stands between backticks in the text."""
    text = text_of(page)
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```", text, flags=re.S | re.M)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```", "", text, flags=re.S | re.M))
    return [line.strip() for block in blocks for line in block.splitlines()] + inline


def words_of(line):
    """A line of a shell as words, without its comment; [] where it is none."""
    try:
        return shlex.split(line, comments=True)
    except ValueError:
        return []


def parsers():
    """{command: its parser}."""
    return next(a for a in cli._parser()._actions if a.choices).choices


def calls(*start):
    """(page, words after `start`) of each command that begins with these words."""
    for page in PAGES:
        for line in code_of(page):
            words = words_of(line)
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):  # OMP_NUM_THREADS=1 ...
                words = words[1:]
            if words[: len(start)] == list(start):
                yield page, words[len(start) :]


def test_commands_and_options_are_known():
    known, found = parsers(), 0
    for page, words in calls("sst-tutorial"):
        options = [word.split("=")[0] for word in words if word.startswith("--")]
        commands = [word for word in words[:1] if not word.startswith("-")]
        for command in commands:
            assert command in known, f"{page}: sst-tutorial {command}"
        there = {"--help", "--version"} | {
            option for command in commands for option in known[command]._option_string_actions
        }
        assert set(options) <= there, f"{page}: sst-tutorial {' '.join(words)}"
        found += 1
    assert found > 5


def test_the_readme_names_every_command():
    assert {name for name in parsers() if name not in text_of("README.md")} == set()


def test_targets_of_make_are_there():
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), flags=re.M))
    asked = {words[0] for _, words in calls("make") if words}
    assert {"book", "test"} <= asked <= targets


def test_scripts_have_the_options_they_are_called_with():
    found = 0
    for page, words in calls("python"):
        if words[:1] == ["-m"] or not words:
            continue
        script = ROOT / words[0]
        assert script.is_file(), f"{page}: python {words[0]}"
        source = script.read_text(encoding="utf-8")
        options = [word.split("=")[0] for word in words[1:] if word.startswith("--")]
        missing = [option for option in options if f'"{option}"' not in source]
        assert not missing, f"{page}: python {' '.join(words)}"
        found += 1
    assert found > 5


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_are_there(page):
    named = {word for line in code_of(page) for word in words_of(line)}
    paths = {w.rstrip("/.,") for w in named if w.startswith(FOLDERS) and not re.search(r"[*<]", w)}
    missing = {p for p in paths - MADE_BY_READERS if not (ROOT / p.split("::")[0]).exists()}
    assert not missing


def test_links_lead_somewhere():
    found = [
        (ROOT / page).parent / link
        for page in PAGES
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text_of(page))
        if "://" not in link
    ]
    assert len(found) > 10 and not [path for path in found if not path.exists()]


def test_python_in_the_pages_imports_what_is_there():
    imports = [
        line for page in PAGES for line in code_of(page)
        if re.match(r"(from|import) sst_tutorial\b", line)
    ]  # fmt: skip
    assert len(imports) > 3
    for line in imports:
        exec(line, {})
