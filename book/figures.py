"""Figures have numbers: 6.2 is the second one of chapter 6. This file writes them into notebooks.

    python book/figures.py        after figures or chapters were added, moved or taken out

The website counts the figures that have a caption (Sphinx's numfig) and shows number and caption.
Jupyter and Colab show neither. So a cell below each figure repeats them, and the website leaves
that cell out. The text cites a figure by a link, [Figure 6.2](#fig-tokens-patch): its words are
right wherever it is read. A figure of another chapter is [Figure 6.2](NAME.ipynb#fig-tokens-patch).
"""

import re

import nbformat
import notebooks

TAG = "caption"
CITED = re.compile(r"\[Figure [\d.?]+\]\(([\w./]*)#(fig-[\w-]+)\)")
TYPED = re.compile(r"\b(?:[Ff]igure|Fig\.) \d+\.\d+")
FOLDED = {"hide-output", "hide-cell"}  # the caption of an answer gives the answer away


def captioned(notebook):
    """Yield each cell whose figure has a caption, with its `figure` metadata."""
    for cell in notebooks.code_cells(notebook):
        figure = cell.metadata.get("mystnb", {}).get("figure", {})
        if "caption" in figure:
            yield cell, figure


def numbers():
    """Return {name of a figure: its number, such as '6.2'} of all chapters."""
    return {
        figure.get("name"): f"{chapter}.{count}"
        for chapter, path in enumerate(notebooks.chapters(), start=1)
        for count, (_, figure) in enumerate(captioned(nbformat.read(path, 4)), start=1)
    }


def shown(notebook):
    """Return {name: number} as the caption cells of a notebook have them."""
    return {
        cell.id.removeprefix("caption-"): re.search(r"Figure (\d+\.\d+)", cell.source)[1]
        for cell in notebook.cells
        if TAG in notebooks.tags(cell)
    }


def caption_cell(cell, figure, number):
    """Return the cell that tells number and caption below the figure of `cell`."""
    words = f"**Figure {number}.** {figure['caption']}"
    if FOLDED & set(notebooks.tags(cell)):
        summary = f"<details><summary>Figure {number}</summary>"
        words = f"{summary}\n\n{figure['caption']}\n\n</details>"
    return nbformat.v4.new_markdown_cell(
        f'<a id="{figure["name"]}"></a>\n\n{words}',
        id=f"caption-{figure['name']}",
        metadata={"tags": [TAG, "remove-cell"]},
    )


def renewed(notebook, numbered):
    """Return the cells of a notebook with the caption cells and cited numbers of `numbered`."""
    captions = {
        id(cell): caption_cell(cell, figure, numbered[figure["name"]])
        for cell, figure in captioned(notebook)
    }
    cells = []
    for cell in notebook.cells:
        if TAG in notebooks.tags(cell):
            continue
        if cell.cell_type == "markdown":
            cell.source = cited(cell.source, numbered)
        cells += [cell, captions[id(cell)]] if id(cell) in captions else [cell]
    return cells


def cited(text, numbered):
    """Return `text` with the number of each figure that it cites. KeyError: no such figure."""
    return CITED.sub(lambda m: f"[Figure {numbered[m[2]]}]({m[1]}#{m[2]})", text)


def problems(path, numbered):
    """Return what is wrong with the figures of the notebook at `path`, one sentence each."""
    notebook = nbformat.read(path, as_version=4)
    text = [
        cell.source
        for cell in notebook.cells
        if cell.cell_type == "markdown" and TAG not in notebooks.tags(cell)
    ]
    found = [problem for source in text for problem in of_text(source, numbered)]
    for number, cell in enumerate(notebook.cells, start=1):
        figure = cell.metadata.get("mystnb", {}).get("figure", {})
        if draws(cell) and not {"caption", "name"} <= figure.keys():
            found.append(f"cell {number} draws a figure without mystnb.figure.caption and .name")
        elif draws(cell) and not any(f"(#{figure['name']})" in source for source in text):
            found.append(
                f"no text cites the figure of cell {number}: [Figure ?](#{figure['name']})"
            )
    if not found and renewed(nbformat.read(path, as_version=4), numbered) != notebook.cells:
        found = ["shows or cites another number than the page: run python book/figures.py"]
    return found


def of_text(source, numbered):
    for _, name in CITED.findall(source):
        if name not in numbered:
            yield f"text cites {name!r}, no figure has this name"
    for typed in TYPED.findall(CITED.sub("", source)):
        yield f"text says {typed!r}, which no command keeps right: link it, [Figure ?](#fig-name)"


def draws(cell):
    """Does the page show a figure or a slider of this cell?"""
    return (
        cell.cell_type == "code"
        and "live" not in notebooks.tags(cell)
        and any(
            "image/png" in output.get("data", {})
            or "data-labels" in output.get("data", {}).get("text/html", "")
            for output in cell.outputs
        )
    )


def write():
    """Write all numbers; return the files that changed."""
    numbered, changed = numbers(), []
    for path in notebooks.chapters():
        notebook = nbformat.read(path, as_version=4)
        before = nbformat.writes(notebook)
        notebook.cells = renewed(notebook, numbered)
        if nbformat.writes(notebook) != before:
            nbformat.write(notebook, path)
            changed.append(path)
    return changed


if __name__ == "__main__":
    for path in write():
        print(f"{path.name}: new numbers of figures")
