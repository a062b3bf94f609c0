"""Slides show what a class looks at, cover the answers, and give no solution away."""

import re

import nbformat
import notebooks
import pytest
import slides

markdown, code = nbformat.v4.new_markdown_cell, nbformat.v4.new_code_cell


def printed(text):
    return [nbformat.v4.new_output("stream", text=text)]


@pytest.fixture
def small(tmp_path):
    """A chapter of one section with everything that a chapter has."""
    (tmp_path / "one.svg").write_text("<svg/>")
    cells = [
        markdown("# A title\n\nA question? And more."),
        markdown("## Setup"),
        code("import secret", metadata={"tags": ["setup"]}),
        markdown("## A section\n\nIt opens.\n\n![a drawing](one.svg)\n\n**Predict:** what?"),
        code("print(1)", metadata={"tags": ["hide-output"]}, outputs=printed("the answer\n")),
        markdown("<details><summary>Why</summary>\n\nBecause of $x$.\n\n</details>"),
        code("print(2)", outputs=printed("two\n")),
        markdown("### A map\n\n[Figure 3.1](#fig-map) is small."),
        code("draw()", metadata={"mystnb": {"figure": {"name": "fig-map", "caption": "A map."}}},
             outputs=[nbformat.v4.new_output("display_data", data={"image/png": "AA=="})]),
        nbformat.v4.new_markdown_cell("**Figure 3.1.** A map.", id="caption-fig-map",
                                      metadata={"tags": ["caption", "remove-cell"]}),
        code("x = 1\n" * 40, outputs=printed("long code\n")),
        code("return ...", metadata={"tags": ["exercise"]}),
        code("return 42", metadata={"tags": ["solution", "hide-cell"]}, outputs=printed("no\n")),
    ]
    path = tmp_path / "small.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    return slides.slides_of(path)


def test_a_slide_for_each_thing_to_look_at(small):
    title, found = small
    assert title == "A title"
    assert "A question? And more." in found[0]
    assert any("data:image/svg+xml" in one and 'alt="a drawing"' in one for one in found)
    assert any('class="question"' in one and "what?" in one for one in found)
    assert any("print(2)" in one and "two" in one for one in found)
    assert any("return ..." in one for one in found)


def test_a_figure_has_its_number_and_no_link_leads_nowhere(small):
    figure, = [one for one in small[1] if "data:image/png" in one]
    assert "<h2>A map: Figure 3.1</h2>" in figure
    text = "".join(small[1])
    assert "Figure 3.1 is small." in text and "#fig-map" not in text


def test_answers_are_covered_and_solutions_are_not_there(small):
    text = "".join(small[1])
    for answer in ("the answer", "Because of"):
        assert [one for one in small[1] if answer in one and 'class="answer"' in one]
        assert not [one for one in small[1] if answer in one and 'class="answer"' not in one]
    for hidden in ("return 42", "secret", "x = 1\nx = 1"):
        assert hidden not in text


@pytest.mark.parametrize("path", notebooks.chapters(), ids=lambda path: path.stem)
def test_every_chapter_has_slides_that_stand_alone(path, tmp_path, monkeypatch):
    monkeypatch.setattr(slides, "OUT", tmp_path)
    made, number = slides.write(path.stem)
    page = made.read_text()
    assert number >= 20 and page.count("<section") == number
    assert 'class="answer"' in page and "def solution_" not in page
    assert not re.search(r'(?:src|href)="https?:', page.partition("<body")[0])
    assert "TITLE" not in page.partition("</head>")[0]
    assert all('alt="' in tag for tag in re.findall(r"<img\b[^>]*>", page))
