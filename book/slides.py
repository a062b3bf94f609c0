"""Slides of chapters: python book/slides.py [NAME ...] writes _build/slides/NAME.html.

One file each, that needs no network and no kernel. A slide is what a class looks at: a heading with
its opening, a drawing, a figure, a question, short code with what it prints. The rest of the
text stands in the notes (key N). Answers and solutions are folded cells of the notebook, so they
become slides of their own that stay covered until the next key. Exercises are shown, not solved.
slides.html holds the page around them.
"""

import base64
import html
import re
import sys
from pathlib import Path

import figures
import nbformat
import notebooks
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "_build" / "slides"
GLANCE = 260  # characters of text
LINES = 22  # of code or of text on one slide; more stays in the notebook
SKIPPED = ("Objectives", "Prerequisites", "Time and machine", "Setup", "References")
DRAWING = re.compile(r"!\[([^\]]*)\]\(([^)]+)\)")
CITED = re.compile(r"\[(Figure [\d.]+)\]\([^)]*\)")  # a slide has no such place to go to
FORMULA = {"inline": r"\({}\)", "block": r"\[{}\]"}
SHAPES = {".svg": "svg+xml", ".png": "png", ".webp": "webp"}

markdown = MarkdownIt("commonmark", {"html": True}).enable("table").use(
    dollarmath_plugin,
    renderer=lambda text, options: html.escape(
        FORMULA["block" if options["display_mode"] else "inline"].format(text)
    ),
)


def slides_of(path: Path) -> tuple[str, list[str]]:
    """The title of a chapter, and its slides as HTML."""
    notebook = nbformat.read(path, as_version=4)
    title, heading, slides, skip = "", "", [], False
    numbered = figures.shown(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            if {"links", figures.TAG} & set(notebooks.tags(cell)):
                continue
            text = CITED.sub(r"\1", cell.source)
            for part in re.split(r"^(?=#{1,3} )", text, flags=re.M):
                found = re.match(r"(#{1,3}) (.+)\n*", part)
                if found:
                    part, heading = part[found.end() :], found[2]
                    title, skip = title or heading, heading in SKIPPED
                if not skip:
                    slides += of_text(heading, part, path.parent, bool(found))
        elif not skip and not {"setup", "live", "remove-cell", "check", "solution"} & set(
            notebooks.tags(cell)
        ):
            slides += of_code(heading, cell, numbered)
    return title, slides


def slide(heading: str, body: str, notes: str = "", kind: str = "") -> str:
    aside = f"<aside>{markdown.render(notes)}</aside>" if notes.strip() else ""
    return (f'<section class="{kind}"><h2>{markdown.renderInline(heading)}</h2>'
            f"<div>{body}</div>{aside}</section>")  # fmt: skip


def of_text(heading: str, text: str, folder: Path, begins: bool) -> list[str]:
    """Opening and lists, then each drawing, question and folded answer by itself."""
    made, answers = [], re.findall(r"<details>(.*?)</details>", text, flags=re.S)
    text = re.sub(r"<details>.*?</details>", "", text, flags=re.S)
    text = re.sub(r"<div data-piece.*?</div>", "", text, flags=re.S)
    drawings, plain = DRAWING.findall(text), DRAWING.sub("", text)
    asked = re.findall(r"^\*\*(?:Predict|Guess first).*$", plain, flags=re.M)
    items = re.findall(r"^(?:- |\d+\. ).*$", plain, flags=re.M)
    formulas = re.findall(r"^\$\$.*?\$\$", plain, flags=re.M | re.S)
    if begins or items or formulas:
        parts = [opening(plain), "\n".join(items), *formulas]
        made.append(slide(heading, markdown.render("\n\n".join(parts)), plain))
    for alt, source in drawings:
        made.append(slide(heading, picture((folder / source).resolve(), alt), kind="drawing"))
    made += [slide(heading, markdown.render(question), kind="question") for question in asked]
    for answer in answers:
        words = re.sub(r"<summary>(.*?)</summary>", r"**\1**\n\n", answer, flags=re.S)
        made.append(slide(heading, markdown.render(words), kind="answer"))
    return made


def opening(text: str) -> str:
    """The first paragraph, as many of its sentences as a class reads at a glance."""
    first = text.strip().partition("\n\n")[0]
    if re.match(r"- |\d+\. |\$\$|\||\*\*(?:Predict|Guess)", first):
        return ""
    shown = ""
    for sentence in re.split(r"(?<=[.?!:])\s+(?!\w\))", first):
        if shown and len(shown) + len(sentence) > GLANCE:
            break
        shown += sentence + " "
    return shown


def picture(path: Path, alt: str) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    return embedded(alt, f"{SHAPES[path.suffix]};base64,{data}")


def embedded(alt: str, data: str) -> str:
    return f'<img alt="{html.escape(alt)}" src="data:image/{data}">'


def of_code(heading: str, cell, numbered: dict[str, str]) -> list[str]:
    """Short code with what it prints, and each figure by itself, with its number."""
    hidden = {"hide-input", "hide-cell"} & set(notebooks.tags(cell))
    kind = "answer" if "hide-output" in notebooks.tags(cell) else ""
    made, printed = [], ""
    for output in cell.outputs:
        data = output.get("data", {})
        if "image/png" in data:
            meta = cell.metadata.get("mystnb", {})
            alt = meta.get("image", {}).get("alt", "")
            image = embedded(alt, f"png;base64,{data['image/png']}")
            number = numbered.get(meta.get("figure", {}).get("name"))
            named = f"{heading}: Figure {number}" if number else heading
            made.append(slide(named, image, alt, f"drawing {kind}"))
        elif output.output_type == "stream" and output.text.count("\n") <= LINES:
            printed += f"<pre class='out'>{html.escape(output.text.rstrip())}</pre>"
    code = f"<pre>{html.escape(cell.source)}</pre>"
    short = cell.source.count("\n") + printed.count("\n") < LINES
    if "exercise" in notebooks.tags(cell) or (not hidden and short and printed and not kind):
        made.insert(0, slide(heading, code + printed))
    elif printed:
        made.insert(0, slide(heading, printed, kind=kind))
    return made


def write(name: str) -> tuple[Path, int]:
    """Write the slides of a chapter; return the file and their number."""
    title, slides = slides_of(notebooks.CHAPTERS / f"{name}.ipynb")
    OUT.mkdir(parents=True, exist_ok=True)
    page = (Path(__file__).with_suffix(".html")).read_text(encoding="utf-8")
    page = page.replace("TITLE", html.escape(title)).replace("SLIDES", "\n".join(slides))
    (OUT / f"{name}.html").write_text(page, encoding="utf-8")
    return OUT / f"{name}.html", len(slides)


if __name__ == "__main__":
    for one in sys.argv[1:] or [path.stem for path in notebooks.chapters()]:
        made, number = write(one)
        print(f"{made.relative_to(ROOT)}: {number} slides")
