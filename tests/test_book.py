"""Every chapter keeps the rules of the book, and the gate closes on one that does not."""

import re
import subprocess
import sys
from pathlib import Path

import figures
import nbformat
import notebooks
import numpy as np
import pytest

import sst_tutorial

ROOT = Path(__file__).parents[1]
CHAPTERS = notebooks.chapters()
BROKEN = Path(__file__).parent / "broken_notebook" / "broken.ipynb"

markdown = nbformat.v4.new_markdown_cell


def code(source, *tags, **metadata):
    return nbformat.v4.new_code_cell(source, metadata={"tags": list(tags), **metadata})


def exercise(number):
    return [
        markdown(f"### Exercise {number}: Double it\n\n**Expected:** four."),
        code(f"guess_{number} = ...\n\ndef answer_{number}(x):\n    return ...", "exercise"),
        code(f"def solution_{number}(x):\n    return 2 * x", "solution", "hide-cell"),
        code(f"check(answer_{number}, solution_{number}, (2,), (3,))", "check"),
    ]


@pytest.fixture(scope="module")
def chapter(tmp_path_factory):
    """The smallest notebook that keeps all rules, executed by the command authors use."""
    figure = {"image": {"alt": "A straight line that rises from one on the first day to two on the "
                               "second, without any scatter."}}
    cells = [
        markdown("# A title\n\nA question?"),
        markdown("## Objectives\n\n- one"),
        markdown("## Prerequisites\n\n- **Necessary:** none\n- **Helpful:** none"),
        markdown("## Time and machine\n\n- **Reading:** 1 minute\n- **Running:** unknown"),
        markdown("## Setup"),
        code("", "setup"),
        code("SIZE = 3\n\ndef triple(x):\n    return SIZE * x"),
        code("class Layer(torch.nn.Linear):\n    FACTOR = triple(2)"),
        code("import sys\nprint('w' * 9, file=sys.stderr)\nprint(Layer(2, 2).FACTOR)"),
        code("import xarray as xr\nxr.DataArray([1.0])"),
        code("plt.plot([1, 2])\nplt.show()", mystnb=figure),
        markdown("## Exercises"), *exercise(1), *exercise(2), *exercise(3),
        markdown("## What you can now do\n\nMuch."),
        markdown("## What's next\n\nMore."),
        markdown("## References\n\n- none"),
    ]
    path = tmp_path_factory.mktemp("chapters") / "small.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    assert notebooks.run(path) == []
    return path


def changed(chapter, tmp_path, edit):
    """Return the problems of `chapter` after `edit(notebook)`."""
    notebook = nbformat.read(chapter, as_version=4)
    edit(notebook)
    path = tmp_path / chapter.name
    nbformat.write(notebook, path)
    return "\n".join(notebooks.problems(path))


# ---- the chapters -----------------------------------------------------------------------


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapter_keeps_the_rules(path):
    assert notebooks.problems(path) == []


def test_contents_list_every_chapter_once():
    assert sorted(CHAPTERS) == sorted(notebooks.CHAPTERS.glob("*.ipynb"))


def test_bibliography_has_each_paper_that_a_chapter_links():
    known = (ROOT / "book" / "references.bib").read_text().lower()
    for path in [*CHAPTERS, *ROOT.glob("book/*.md")]:
        for doi in re.findall(r"https://doi\.org/(10\.[^\s\"\\]+?)[).,]*(?=[\s\"\\]|$)",
                              path.read_text()):
            assert doi.lower() in known, f"{path.name} links {doi}: add it to references.bib"


def test_figure_names_are_unique_in_the_book():
    names = [
        cell.metadata["mystnb"]["figure"]["name"]
        for path in CHAPTERS
        for cell in nbformat.read(path, as_version=4).cells
        if "name" in cell.metadata.get("mystnb", {}).get("figure", {})
    ]
    assert len(names) == len(set(names)), sorted(n for n in names if names.count(n) > 1)


@pytest.fixture(scope="module")
def numbered():
    return figures.numbers()


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_chapter_shows_and_cites_the_numbers_of_its_figures(path, numbered):
    assert figures.problems(path, numbered) == []


def test_links_to_other_pages_exist():
    for path in [*CHAPTERS, *ROOT.glob("book/*.md")]:
        for target in re.findall(r"\]\(([\w./-]+\.(?:ipynb|md))[)#]", path.read_text()):
            assert (path.parent / target).exists(), f"{path.name} links {target}"


# ---- the gate closes --------------------------------------------------------------------


def test_broken_notebook_is_refused_by_the_checker():
    found = "\n".join(notebooks.problems(BROKEN))
    for complaint in [
        "sections are", "**Necessary:**", "not the setup cell", "launch links",
        "code changed after the outputs", "over 75 columns", "a path of one machine",
        "a memory address", "stopped with AssertionError", "alt text should have 10 words",
        "draws a figure without alt text", "its figure is missing", "has 1 exercises",
        "**Expected:**", "not collapsed", "does not match", "leaves nothing to do",
        "needs check(answer_1, solution_1, ...)", "shows the answer to the prediction",
        "asks for real data", "no exercise asks to predict",
        "should show 'not tried yet' and no more",
    ]:
        assert complaint in found


def test_broken_notebook_is_refused_by_nbval():
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist",
         "--nbval-lax", str(BROKEN)],
        capture_output=True, text=True, cwd=ROOT,
    )
    assert done.returncode == 1, done.stdout
    assert "1 failed" in done.stdout and "this cell must fail under nbval" in done.stdout


@pytest.mark.parametrize("fault, complaint", [
    (lambda cells: cells[7].update(source="SIZE = 4"), "code changed after"),
    (lambda cells: cells[6].update(source="# mine"), "not the setup cell"),
    (lambda cells: cells[1].update(source="elsewhere"), "launch links"),
    (lambda cells: cells[10].update(execution_count=None), "never run"),
    (lambda cells: cells[11].update(outputs=[]), "its figure is missing"),
    (lambda cells: cells[11].metadata.pop("mystnb"), "without alt text"),
    (lambda cells: cells.pop(3), "sections are"),
    (lambda cells: cells[16].update(outputs=[]), "prints nothing"),
    (lambda cells: cells[0].update(source="# A title\n\n```{note}\nno\n```"), "MyST directive"),
    (lambda cells: cells[5].update(source="## Setup\n\n**Predict:** what?"), "'hide-output'"),
    (lambda cells: cells[7].update(source="from sst_tutorial import open_sst"), "asks for real"),
    (lambda cells: cells[15].outputs.append(
        nbformat.v4.new_output("stream", text="4")), "'not tried yet' and no more"),
    (lambda cells: [c.update(source=c.source.replace("guess", "aim")) for c in cells],
     "no exercise asks to predict"),
    (lambda cells: cells[9].outputs.append(nbformat.v4.new_output("stream", name="stderr")),
     "stored stderr"),
    (lambda cells: cells[9].outputs[0].update(text=" 40%|####   | 4/10"), "a progress bar"),
    (lambda cells: cells[0].update(source="# A title\n" + "x" * 550_000), "over 550 kB"),
    (lambda cells: cells[10].outputs[0].data.update({"text/html": "<img src='a.png'>"}),
     "has no name"),
])
def test_each_fault_is_named(chapter, tmp_path, fault, complaint):
    assert complaint in changed(chapter, tmp_path, lambda notebook: fault(notebook.cells))


def test_a_name_with_a_number_is_refused(chapter, tmp_path):
    for name in ("05_video_to_tokens", "5_tokens", "Tokens", "to-tokens"):
        path = tmp_path / f"{name}.ipynb"
        path.write_text(chapter.read_text())
        assert "without a number" in "\n".join(notebooks.problems(path)), name


def test_budget_is_kept(chapter, tmp_path):
    def slow(notebook):
        notebook.metadata["sst_tutorial"].update(seconds=65, memory_gb=1.6)

    found = changed(chapter, tmp_path, slow)
    assert "took 65 s" in found and "took 1.6 GB" in found


@pytest.mark.parametrize("alt", [
    "A plot.",
    "Figure showing the sea surface temperature of one month in the Tasman Sea, with clouds.",
    "Image of the sea surface temperature of one month in the Tasman Sea, with some clouds.",
    "TODO say here what one sees in the map of the month, its colours, its land and its gaps.",
])
def test_vague_alt_text_is_refused(alt):
    assert notebooks.vague(alt, "")


# ---- numbers of figures -----------------------------------------------------------------


def figure(name, *tags):
    """A cell that has drawn the figure called `name`."""
    drawn = nbformat.v4.new_output("display_data", data={"image/png": "AA=="})
    cell = code("draw()", *tags, mystnb={"figure": {"caption": f"The {name}.", "name": name}})
    cell.outputs = [drawn]
    return cell


@pytest.fixture
def two(tmp_path, monkeypatch):
    """Two chapters with two figures and one, which cite each other; nothing is numbered yet."""
    first = [markdown("[Figure ?](#fig-b) is not [Figure ?](#fig-a)."), figure("fig-a"),
             figure("fig-b", "hide-output")]
    second = [markdown("See [Figure ?](#fig-c) and [Figure ?](first.ipynb#fig-b)."),
              figure("fig-c")]
    paths = [tmp_path / "first.ipynb", tmp_path / "second.ipynb"]
    for path, cells in zip(paths, (first, second), strict=True):
        nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    monkeypatch.setattr(notebooks, "chapters", lambda: paths)
    return paths


def sources(path):
    return [cell.source for cell in nbformat.read(path, as_version=4).cells]


def test_numbers_are_those_of_chapter_and_order(two):
    assert figures.write() == two and figures.write() == []
    assert sources(two[0])[0] == "[Figure 1.2](#fig-b) is not [Figure 1.1](#fig-a)."
    assert sources(two[1])[0] == "See [Figure 2.1](#fig-c) and [Figure 1.2](first.ipynb#fig-b)."
    assert sources(two[0])[2] == '<a id="fig-a"></a>\n\n**Figure 1.1.** The fig-a.'
    assert all(figures.problems(path, figures.numbers()) == [] for path in two)


def test_numbers_follow_figures_and_chapters_that_move(two, monkeypatch):
    figures.write()
    notebook = nbformat.read(two[0], as_version=4)
    head, *drawn = notebook.cells
    notebook.cells = [head, *drawn[2:], *drawn[:2]]
    nbformat.write(notebook, two[0])
    monkeypatch.setattr(notebooks, "chapters", lambda: two[::-1])
    stale = "run python book/figures.py"
    assert all(stale in figures.problems(path, figures.numbers())[0] for path in two)
    figures.write()
    assert sources(two[0])[0] == "[Figure 2.1](#fig-b) is not [Figure 2.2](#fig-a)."
    assert sources(two[1])[0] == "See [Figure 1.1](#fig-c) and [Figure 2.1](first.ipynb#fig-b)."


def test_the_caption_of_an_answer_is_folded(two):
    figures.write()
    below = sources(two[0])[4]
    assert below.startswith('<a id="fig-b"></a>\n\n<details><summary>Figure 1.2</summary>')


@pytest.mark.parametrize("fault, complaint", [
    (lambda cells: cells[0].update(source=cells[0].source.replace("1.2", "1.3")), "book/figures"),
    (lambda cells: cells[2].update(source="**Figure 1.9.** The fig-a."), "book/figures"),
    (lambda cells: cells.pop(2), "book/figures"),
    (lambda cells: cells[1].metadata["mystnb"]["figure"].update(caption="New."), "book/figures"),
    (lambda cells: cells[1].metadata["mystnb"]["figure"].pop("name"), "without mystnb.figure"),
    (lambda cells: cells[0].update(source="[Figure 1.2](#fig-b)"), "no text cites the figure of"),
    (lambda cells: cells[0].update(source="[Figure 1.2](#fig-z)"), "no figure has this name"),
    (lambda cells: cells[0].update(source="See figure 1.2."), "text says 'figure 1.2'"),
])
def test_a_wrong_number_is_refused(two, fault, complaint):
    figures.write()
    numbered = figures.numbers()
    notebook = nbformat.read(two[0], as_version=4)
    fault(notebook.cells)
    nbformat.write(notebook, two[0])
    assert complaint in "\n".join(figures.problems(two[0], numbered))


def test_a_run_keeps_the_names_of_captions(two):
    figures.write()
    notebook = nbformat.read(two[0], as_version=4)
    notebooks.fill_shared_cells(notebook, two[0])
    assert [cell.id for cell in notebook.cells if "links" not in notebooks.tags(cell)] == [
        "cell-001", "cell-003", "caption-fig-a", "cell-004", "caption-fig-b"]


# ---- what run stores --------------------------------------------------------------------


def test_stored_outputs_are_clean(chapter):
    text = chapter.read_text()
    assert "w" * 9 not in text  # stderr
    assert not notebooks.UUID.search(text)  # the random ids of xarray's tables
    assert "id-0" in text
    assert str(chapter.parent) not in text
    assert re.search(r"\*\*Running:\*\* \d+ s on 2 CPU cores, \d\.\d GB", text)


def test_a_second_run_changes_nothing(chapter, tmp_path):
    again = tmp_path / chapter.name
    again.write_text(chapter.read_text())
    notebooks.run(again)
    costs = re.compile(r'"(seconds|memory_gb)": [\d.]+|Running:\*\* .*? of memory')
    assert costs.sub("", again.read_text()) == costs.sub("", chapter.read_text())


def test_a_failing_cell_stores_nothing(chapter, tmp_path):
    notebook = nbformat.read(chapter, as_version=4)
    notebook.cells[7].source = "1 / 0"
    path = tmp_path / chapter.name
    nbformat.write(notebook, path)
    before = path.read_text()
    with pytest.raises(Exception, match="ZeroDivisionError"):
        notebooks.run(path)
    assert path.read_text() == before


def test_definitions_come_without_running_the_page(chapter, monkeypatch, capsys):
    monkeypatch.setattr(notebooks, "CHAPTERS", chapter.parent)
    names = notebooks.definitions("small", "Layer", "SIZE")
    assert names["Layer"].FACTOR == 6 and names["SIZE"] == 3
    assert capsys.readouterr().out == ""
    with pytest.raises(KeyError):
        notebooks.definitions("small", "Absent")


# ---- the address ------------------------------------------------------------------------


def test_the_address_is_the_same_everywhere():
    url = re.escape(notebooks.address())
    for path in notebooks.shown_addresses():
        text = path.read_text(encoding="utf-8")
        other = re.sub(rf"{url}\b", "", text)
        assert not re.search(r"github\.com/[\w-]+/sst-tutorial", other), path
        if path.name in ("README.md", "CITATION.cff", "setup.md"):
            assert other != text, f"{path.name} should show the address"


@pytest.fixture
def copied(tmp_path, monkeypatch, chapter):
    """All files that show the address and one chapter, in a folder of their own."""
    for folder in ("book/chapters", "sst_tutorial"):
        (tmp_path / folder).mkdir(parents=True)
    for name in ("README.md", "CITATION.cff", "pyproject.toml", "book/setup.md",
                 "sst_tutorial/__init__.py"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    page = tmp_path / "book" / "chapters" / chapter.name
    page.write_text(chapter.read_text())
    monkeypatch.setattr(notebooks, "ROOT", tmp_path)
    monkeypatch.setattr(notebooks, "CHAPTERS", page.parent)
    return page


def test_one_command_sets_the_address_everywhere(copied):
    old = notebooks.address()
    assert notebooks.main(["address", "https://github.com/sea/clouds/"]) is None
    assert notebooks.address() == "https://github.com/sea/clouds"
    for path in notebooks.shown_addresses():
        text = path.read_text()
        assert old not in text and "sea/clouds" in text, path
    assert notebooks.problems(copied) == []
    text = copied.read_text()
    release = f"v{sst_tutorial.__version__}"
    assert f"git+https://github.com/sea/clouds@{release}" in text
    assert f"/github/sea/clouds/blob/{release}/book/chapters/small.ipynb" in text
    assert f"/v2/gh/sea/clouds/{release}?labpath=" in text
    assert "blob/main" not in text and "OWNER" not in text


def test_a_chapter_without_an_address_promises_nothing(copied, monkeypatch):
    monkeypatch.setattr(notebooks, "address", lambda: "https://github.com/OWNER/sst-tutorial")
    assert "git+" not in notebooks.setup_source() and "OWNER" not in notebooks.setup_source()
    assert "http" not in notebooks.links_source(copied)


@pytest.mark.parametrize("url", [
    "http://github.com/sea/clouds", "https://gitlab.com/sea/clouds", "github.com/sea/clouds",
    "https://github.com/OWNER/sst-tutorial", "https://github.com/sea", "",
])
def test_an_address_that_is_none_is_refused(copied, capsys, url):
    before = (notebooks.ROOT / "pyproject.toml").read_text()
    with pytest.raises(SystemExit) as stopped:
        notebooks.main(["address", url])
    assert stopped.value.code == 2 and f"URL={url!r}" in capsys.readouterr().err
    assert (notebooks.ROOT / "pyproject.toml").read_text() == before


# ---- with and without the real data, and edited while it runs ---------------------------


def test_a_page_that_reads_real_data_is_found(chapter, tmp_path, monkeypatch):
    monkeypatch.setenv("SST_TUTORIAL_DATA", str(tmp_path))
    assert notebooks.same(chapter) == []
    notebook = nbformat.read(chapter, as_version=4)
    notebook.cells[9].source = "import os\nprint(os.environ['SST_TUTORIAL_DATA'])"
    other = tmp_path / chapter.name
    nbformat.write(notebook, other)
    found = "\n".join(notebooks.same(other))
    assert "cell 10 says something else" in found


@pytest.mark.parametrize("then, now", [
    ("took 3.2 s, 1.04 K", "took 11 s, 1.04 K"), ("12 ms", "9,000 ms"),
])
def test_seconds_are_not_compared(then, now):
    def cell(text):
        output = nbformat.v4.new_output("stream", text=text)
        return nbformat.v4.new_code_cell(outputs=[output])

    assert notebooks.text_of(cell(then)) == notebooks.text_of(cell(now))
    assert notebooks.text_of(cell("1.04 K")) != notebooks.text_of(cell("1.05 K"))
    assert notebooks.differing("a\nb", "a\nc") == ("b", "c")
    assert notebooks.differing("a\nb", "a") == ("1 lines", "0 lines")


def test_text_that_was_edited_during_a_run_is_kept(chapter, tmp_path, monkeypatch):
    path = tmp_path / chapter.name
    path.write_text(chapter.read_text())
    execute = notebooks.execute

    def meanwhile(change):
        def slow(notebook, path):
            newer = nbformat.read(path, as_version=4)
            change(newer.cells)
            nbformat.write(newer, path)
            return execute(notebook, path)
        return slow

    monkeypatch.setattr(notebooks, "execute", meanwhile(
        lambda cells: cells[2].update(source="## Objectives\n\n- another")))
    assert notebooks.run(path) == []
    assert "- another" in path.read_text()
    monkeypatch.setattr(notebooks, "execute", meanwhile(
        lambda cells: cells[7].update(source="SIZE = 4")))
    with pytest.raises(RuntimeError, match="changed while it ran"):
        notebooks.run(path)


def test_memory_is_that_of_the_page_and_not_of_who_ran_it(tmp_path):
    """A large program that runs a page is not a large page."""
    held = np.ones(100_000_000)  # 0.8 GB
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x = 1")])
    _, memory = notebooks.execute(notebook, tmp_path / "small.ipynb")
    assert 0.01 < memory < 0.5 and held[-1] == 1


@pytest.mark.parametrize("path", notebooks.chapters(), ids=lambda path: path.stem)
def test_two_folds_of_a_cell_have_two_names(path):
    for cell in notebooks.code_cells(nbformat.read(path, as_version=4)):
        if {"hide-input", "hide-output"} <= set(notebooks.tags(cell)):
            assert "{type}" in cell.metadata["mystnb"]["code_prompt_show"], cell.source[:60]
