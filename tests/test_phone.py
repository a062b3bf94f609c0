"""A figure has a second form for phones: readable, small, and the first stays as it was."""

import base64
import io
import os

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from _ext import finish_pages
from nbclient import NotebookClient
from notebooks import chapters, with_palette
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sst_tutorial import phone, plotting


@pytest.fixture(autouse=True)
def _layout():
    with plt.rc_context({"figure.constrained_layout.use": True}):
        yield
    plt.close("all")


def maps(rows, columns, size=(7.6, 3)):
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, sharey=True)
    for i, ax in enumerate(axes.flat):
        shown = ax.imshow(np.eye(8), origin="lower")
        ax.set_title(f"map {i}", fontsize=7)
        ax.tick_params(labelsize=7)
    axes[0, 0].set_ylabel("row")
    figure.colorbar(shown, ax=axes, label="K")
    return figure


def curves(columns=2):
    figure, axes = plt.subplots(1, columns, figsize=(7.6, 3), sharey=True, squeeze=False)
    for ax in axes.flat:
        ax.plot([0, 1, 4], [1, 3, 2])
        ax.set(xlabel="day", title="a title that is much longer than a phone is broad, and longer")
    axes[0, 0].set_ylabel("error (K)")
    return figure


def legend():
    figure, ax = plt.subplots(figsize=(7.6, 3))
    for name in ("measured covariance", "plain covariance", "gaussian width", "network"):
        ax.errorbar([0, 1], [0, 1], 0.1, label=f"{name}, and more")
    ax.legend(ncols=4, fontsize=8)
    return figure


def grid(figure):
    places = [ax.get_subplotspec() for ax in figure.axes]
    return [(place.rowspan.start, place.colspan.start) for place in places if place]


def sizes(figure):
    return [text.get_size() for text in phone._texts(figure)]


FIGURES = {"1 x 3": lambda: maps(1, 3), "2 x 3": lambda: maps(2, 3, (7.6, 5)), "curves": curves,
           "legend": legend}


@pytest.mark.parametrize("name", FIGURES)
def test_every_word_is_readable_on_a_phone(name):
    figure = FIGURES[name]()
    assert phone.too_small(figure)
    width = Image.open(io.BytesIO(phone.webp(figure))).width / phone.DPI
    assert width < 1.05 * phone.WIDTH  # else something stands out
    scale = min(1, phone.SHOWN / (100 * width))
    with phone.narrow(figure):
        assert min(sizes(figure)) * 100 / 72 * scale >= phone.READABLE


@pytest.mark.parametrize("name", FIGURES)
def test_the_figure_itself_stays_as_it_is(name):
    figure = FIGURES[name]()

    def state():
        figure.draw_without_rendering()
        return (*figure.get_size_inches(), grid(figure), sizes(figure),
                [text.get_text() for text in phone._texts(figure)])

    before = state()
    with phone.narrow(figure):
        assert state() != before
    assert state() == before


def test_panels_stack_and_pairs_stay_pairs():
    for figure, places in [
        (maps(1, 2), [(0, 0), (1, 0)]),
        (maps(1, 4), [(0, 0), (0, 1), (1, 0), (1, 1)]),  # longer than a screen: two columns
        (maps(2, 3, (7.6, 5)), [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1)]),
        (curves(), [(0, 0), (1, 0)]),
    ]:
        with phone.narrow(figure):
            assert grid(figure) == places


def test_maps_keep_their_shape_and_fill_the_width():
    figure = maps(1, 2)
    with phone.narrow(figure):
        figure.draw_without_rendering()
        for ax in figure.axes[:2]:
            width, height = phone._inches(ax)
            assert width == pytest.approx(height, rel=0.01)
            assert width > 0.9 * phone._inches(ax, original=True)[0] > 0.6 * phone.WIDTH


def test_a_panel_below_another_gets_numbers_and_says_where_it_stood():
    figure = curves()
    with phone.narrow(figure):
        left, right = figure.axes
        assert right.yaxis.get_tick_params()["labelleft"]
        assert right.get_ylabel() == left.get_ylabel() == "error (K)"
        assert left.get_title().startswith("Left: a title") and "\n" in left.get_title()
        assert right.get_title().startswith("Right: a title")
    assert figure.axes[1].get_ylabel() == ""


def test_a_wide_legend_folds():
    figure = legend()
    with phone.narrow(figure):
        figure.draw_without_rendering()
        box = figure.axes[0].get_legend().get_window_extent()
        assert box.x0 >= 0 and box.x1 <= figure.bbox.width
        assert phone._inches(figure.axes[0])[0] > 0.8 * phone.WIDTH


def test_numbers_below_an_axis_do_not_touch():
    figure, axes = plt.subplots(1, 4, figsize=(7.6, 3))
    for ax in axes:
        ax.imshow(np.eye(8))
        ax.set_xticks(range(8), [f"{148 + i}°E" for i in range(8)], fontsize=5)
    with phone.narrow(figure):
        figure.draw_without_rendering()
        words = [label for label in axes[0].get_xticklabels() if label.get_text()]
        boxes = [label.get_window_extent() for label in words]
    assert 2 <= len(boxes) <= 4
    assert all(a.x1 < b.x0 for a, b in zip(boxes, boxes[1:], strict=False))


def test_a_figure_that_a_phone_shows_well_has_no_second_form():
    figure, ax = plt.subplots(figsize=(4.5, 3))
    ax.set_xlabel("day")
    assert not phone.too_small(figure)
    assert phone.too_small(figure, 7)


# ---- in a notebook ----------------------------------------------------------------------

CELLS = [
    "import matplotlib.pyplot as plt\nimport sst_tutorial",
    "fig, axes = plt.subplots(1, 2, figsize=(7.6, 3))\nplt.show()",
    "fig, ax = plt.subplots(figsize=(4, 3))\nplt.show()",
]


@pytest.mark.parametrize("asked", ["1", ""])
def test_a_notebook_stores_it_when_it_is_asked_to(monkeypatch, asked):
    monkeypatch.setitem(os.environ, "SST_TUTORIAL_PHONE", asked)
    monkeypatch.delitem(os.environ, "MPLBACKEND", raising=False)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    NotebookClient(notebook, kernel_name="python3").execute()
    wide, small = (cell.outputs[0].data["image/png"] for cell in notebook.cells[1:])
    assert bool(narrow_form(wide)) == bool(asked)
    assert not narrow_form(small)
    if asked:  # and the cleaning of outputs keeps it
        assert narrow_form(with_palette(wide)) == narrow_form(wide)
        assert len(narrow_form(wide)) < 20_000


def narrow_form(png):
    figure = Image.open(io.BytesIO(base64.b64decode(png)))
    return dict(figure.private_chunks).get(phone.CHUNK)


def test_frames_of_a_slider_have_it_too(monkeypatch):
    def slider():
        return plotting.frames([curves(), curves()], ["a", "b"], ["two curves", "two more"]).data

    assert "<picture>" not in slider()
    monkeypatch.setenv("SST_TUTORIAL_PHONE", "1")
    page = slider()
    assert page.count(f'<source media="{phone.SCREENS}" srcset="data:image/webp;base64,') == 2
    assert page.count("<img") == page.count("</picture>") == 2


def test_every_wide_figure_of_the_book_is_stored_for_phones():
    """`make run-notebooks` does it. At 560 px, 10 points are 8.6 px on a phone."""
    lacking = [
        f"{path.name}, cell {number}"
        for path in chapters()
        for number, cell in enumerate(nbformat.read(path, as_version=4).cells, start=1)
        for output in cell.get("outputs", [])
        if (png := output.get("data", {}).get("image/png"))
        and Image.open(io.BytesIO(base64.b64decode(png))).width > 560
        and not narrow_form(png)
    ]
    assert lacking == []


# ---- on a page --------------------------------------------------------------------------


def test_a_page_hands_it_to_narrow_screens(tmp_path):
    inside = PngInfo()
    inside.add(phone.CHUNK, phone.webp(curves()))
    (tmp_path / "_images").mkdir()
    Image.new("RGB", (760, 300)).save(tmp_path / "_images" / "one.png", pnginfo=inside)
    Image.new("RGB", (400, 300)).save(tmp_path / "_images" / "two.png")
    body = ('<article class="bd-article"><img alt="two curves" src="_images/one.png">'
            '<img alt="x" src="_images/two.png">')
    done = finish_pages.sized_images(body, tmp_path)
    form = Image.open(tmp_path / "_images" / "one.phone.webp")
    height = round(100 * form.height / phone.DPI)
    assert form.width / phone.DPI == pytest.approx(phone.WIDTH, rel=0.05)
    assert (f'<picture><source media="(max-width: 600px)" srcset="_images/one.phone.webp" '
            f'width="{round(100 * form.width / phone.DPI)}" height="{height}">'
            '<img width="760" height="300" alt="two curves"') in done
    assert done.count("<picture>") == done.count("</picture>") == 1
    assert not Image.open(tmp_path / "_images" / "one.png").private_chunks
    finish_pages.phone_form.cache_clear()  # a later build finds the form beside the figure
    assert finish_pages.sized_images(body, tmp_path) == done
