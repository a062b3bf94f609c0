"""A figure for a phone: its panels below each other, laid out again for a narrow screen.

A page is 7 to 8 inches wide, a phone shows it at half its size, and numbers of 7.5 points have 5 px
there. So a figure that would be too small is drawn a second time: narrow, its panels stacked, no
text below `SMALLEST`. The second picture travels inside the first one, in a chunk of the PNG file
that every reader skips, and the website hands it to narrow screens (book/_ext/finish_pages.py).
Only `make book` and `make run-notebooks` ask for it: they set SST_TUTORIAL_PHONE.
"""

import io
import os
import textwrap
import time
from contextlib import ExitStack, contextmanager

from matplotlib.gridspec import GridSpec
from matplotlib.text import Text
from matplotlib.transforms import IdentityTransform
from PIL import Image
from PIL.PngImagePlugin import PngInfo

CHUNK = b"phOn"  # small first two letters: not needed to show the file, and nobody's standard
WIDTH = 4.2  # inches
SMALLEST = 8.2  # points; 9 px in a folded answer, the narrowest place on a screen of 390 px
SHOWN, READABLE = 348, 9.0  # px: how wide a picture is there, and how small a text may be
DPI = 130
SCREENS = "(max-width: 600px)"
SCREEN = 10.5  # inches, the height of a phone: a longer stack of pictures gets two columns
COVERED = 0.18  # of a panel, by its legend
BAR = 0.16  # inches, how broad a colour bar is beside several panels
spent = 0.0  # seconds: a reader's run does not draw for phones
PLACES = {2: ("left", "right"), 3: ("left", "middle", "right")}


def wanted() -> bool:
    return bool(os.environ.get("SST_TUTORIAL_PHONE"))


def too_small(figure, width=None) -> bool:
    """Would a phone show a text of `figure` at less than `READABLE` px?

    width: of the picture in inches; None = what is left when its margins are cut.
    """
    width = width or figure.get_tightbbox().width + 0.2
    smallest = min((text.get_size() for text in _texts(figure)), default=99)
    return smallest * 100 / 72 * min(1, SHOWN / (100 * width)) < READABLE


def webp(figure) -> bytes:
    """The narrow form of `figure` as a WebP file; the figure itself stays as it is."""
    global spent
    start, raw = time.perf_counter(), io.BytesIO()
    with narrow(figure):
        figure.savefig(raw, dpi=DPI, facecolor="white", bbox_inches="tight", pad_inches=0.03)
    picture = Image.open(raw).convert("RGB")
    # Curves and coarse maps are smaller without loss, in 256 colours; smooth maps with it.
    few = picture.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
    ways = [_packed(few.convert("RGB"), lossless=True, quality=80), _packed(picture, quality=70)]
    spent += time.perf_counter() - start
    return min(ways, key=len)


def _packed(picture, **how):
    packed = io.BytesIO()
    picture.save(packed, "webp", method=4, **how)
    return packed.getvalue()


def add_to_outputs(shell):
    """From now on each figure that a notebook shows brings its narrow form along."""
    import matplotlib.pyplot as plt
    from IPython.core.pylabtools import print_figure
    from matplotlib.figure import Figure

    def png(figure):
        wide = print_figure(figure, "png")
        if wide is None or not too_small(figure):
            return wide
        both, inside = io.BytesIO(), PngInfo()
        inside.add(CHUNK, webp(figure))
        Image.open(io.BytesIO(wide)).save(both, "png", pnginfo=inside)
        return both.getvalue()

    # Jupyter's backend, when it is loaded, sets its own way of showing figures: load it before.
    plt.switch_backend(plt.get_backend())
    shell.display_formatter.formatters["image/png"].for_type(Figure, png)


# ---- the narrow form --------------------------------------------------------------------


@contextmanager
def narrow(figure):
    """Lay `figure` out for a phone inside the `with`, and as it was behind it."""
    with ExitStack() as undo:
        figure.draw_without_rendering()
        size = figure.get_size_inches().copy()
        undo.callback(figure.set_size_inches, size)
        panels = _panels(figure)
        panels = _stack(figure, panels, undo) if panels else {}
        _fold_legends(figure, undo)
        _larger_text(figure, undo)
        high = sum(height for _, height in panels.values()) + 0.5 * len(panels)
        figure.set_size_inches(WIDTH, high or size[1])
        for _ in range(3):
            _fit_height(figure, panels, undo)
        _lift_legends(figure, undo)
        _break_texts(figure, undo)
        for _ in range(2):
            _fit_height(figure, panels, undo)
        _thin_ticks(figure, undo)
        yield figure


def _panels(figure):
    """{(row, column): axes in this place} of a figure with one plain grid, else None."""
    found, grids = {}, set()
    for ax in figure.axes:
        place = ax.get_subplotspec()
        if place is None or not ax.get_visible():
            continue
        if len(place.rowspan) > 1 or len(place.colspan) > 1:
            return None
        grids.add(place.get_gridspec())
        found.setdefault((place.rowspan.start, place.colspan.start), []).append(ax)
    return found if len(grids) == 1 else None


def _stack(figure, panels, undo):
    """Put the panels into a grid for a phone."""
    rows, columns = (1 + max(place[i] for place in panels) for i in (0, 1))
    pictures = all(_keeps_shape(axes[0]) for axes in panels.values())
    boxes = [_inches(axes[0]) for axes in panels.values()]
    if columns == 1:
        new = {place: place for place in panels}
    elif rows == 2 and pictures:  # what stood below each other now stands side by side
        new = {(row, column): (column, row) for row, column in panels}
    elif pictures and WIDTH * sum(box[1] / box[0] for box in boxes) > SCREEN:
        new = {place: divmod(i, 2) for i, place in enumerate(sorted(panels))}
    else:
        new = {place: (i, 0) for i, place in enumerate(sorted(panels))}
    first = {row: panels[min(p for p in panels if p[0] == row)][0] for row, _ in panels}
    last = {column: panels[max(p for p in panels if p[1] == column)][0] for _, column in panels}
    height = {place: _inches(axes[0])[1] for place, axes in panels.items()}
    grid = GridSpec(
        1 + max(row for row, _ in new.values()),
        1 + max(column for _, column in new.values()),
        figure=figure,
    )
    for place, axes in panels.items():
        for ax in axes:
            undo.callback(ax.set_subplotspec, ax.get_subplotspec())
            ax.set_subplotspec(grid[new[place]])
        if new[place][1] == 0 and axes[0] is not first[place[0]]:
            _label_as(axes[0], first[place[0]], "y", undo)
        if new[place][0] == grid.nrows - 1 and axes[0] is not last[place[1]]:
            _label_as(axes[0], last[place[1]], "x", undo)
        if rows == 1 and columns in PLACES and columns > grid.ncols:  # a text says "on the left"
            _name(axes[0], PLACES[columns][place[1]], ":\n" if grid.ncols > 1 else ": ", undo)
    return {new[place]: (axes[0], height[place]) for place, axes in panels.items()}


def _name(ax, name, between, undo):
    """Say in the title, or in the legend that stands in its place, where the panel stood."""
    legend, title = ax.get_legend(), ax.get_title()
    if legend and not title and legend.get_window_extent().y1 > ax.get_window_extent().y1 + 5:
        undo.callback(legend.set_title, legend.get_title().get_text())
        legend.set_title(name.capitalize())
    else:
        words = f"{name.capitalize()}{between}{title}" if title else name.capitalize()
        _change(ax.title, "text", words, undo)


def _label_as(ax, leader, axis, undo):
    """Numbers and a label at the `axis` of `ax`, if the `leader` of its row or column has them."""
    side = {"x": "labelbottom", "y": "labelleft"}[axis]
    shown = getattr(leader, f"{axis}axis").get_tick_params().get(side, True)
    own = getattr(ax, f"{axis}axis")
    if shown and not own.get_tick_params().get(side, True):
        undo.callback(ax.tick_params, axis=axis, **{side: False})
        ax.tick_params(axis=axis, **{side: True})
        if not own.label.get_text():
            _change(own.label, "text", getattr(leader, f"{axis}axis").label.get_text(), undo)


def _fit_height(figure, panels, undo):
    """As high as the panels need: pictures keep their shape, others their height."""
    if not panels:
        return
    grid = next(iter(panels.values()))[0].get_gridspec()
    figure.draw_without_rendering()
    needed, given = [0.0] * grid.nrows, [0.0] * grid.nrows
    for (row, _), (ax, height) in panels.items():
        width, given[row] = _inches(ax, original=True)
        box = _inches(ax)
        needed[row] = max(needed[row], width * box[1] / box[0] if _keeps_shape(ax) else height)
    grid.set_height_ratios(needed)
    # Not the whole way: a higher figure has a broader bar, so narrower panels, and it would swing.
    figure.set_figheight(max(1, figure.get_figheight() + 0.7 * (sum(needed) - sum(given))))
    for ax in figure.axes:  # a bar as long as the stack would be as broad as a panel's numbers
        bar = getattr(ax, "_colorbar_info", {"parents": []})
        if len(bar["parents"]) > 1 and bar["location"] in ("left", "right"):
            undo.callback(bar.update, aspect=bar["aspect"])
            bar["aspect"] = max(bar["aspect"], bar["shrink"] * figure.get_figheight() / BAR)


def _keeps_shape(ax):
    return ax.get_aspect() != "auto" and ax.get_adjustable() == "box"


def _inches(ax, original=False):
    """Width and height of the drawn panel, or of the place that it has."""
    box, size = ax.get_position(original), ax.get_figure().get_size_inches()
    return box.width * size[0], box.height * size[1]


def _texts(figure):
    """All texts that are seen."""
    return [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]


def _change(artist, what, value, undo):
    undo.callback(getattr(artist, f"set_{what}"), getattr(artist, f"get_{what}")())
    getattr(artist, f"set_{what}")(value)


def _fold_legends(figure, undo):
    """Fewer columns for a legend that is wider than the panel."""
    room = (WIDTH - 0.6) * figure.dpi
    for legend in _legends(figure):
        wide = legend._ncols
        while legend.get_window_extent().width > room and legend._ncols > 1:
            _columns(legend, legend._ncols - 1)
        if legend._ncols < wide:
            undo.callback(_columns, legend, wide)


def _lift_legends(figure, undo):
    """A legend that covers much of a narrow panel goes above it, where there is no title."""
    figure.draw_without_rendering()
    for ax in figure.axes:
        legend = ax.get_legend()
        if legend is None or ax.get_title():
            continue
        box, panel = legend.get_window_extent(), ax.get_window_extent()
        if box.width * box.height > COVERED * panel.width * panel.height or legend._ncols > 1:
            old = legend._bbox_to_anchor
            undo.callback(legend.set_bbox_to_anchor, old, old and IdentityTransform())
            undo.callback(legend.set_loc, legend._loc_real)
            legend.set_loc("lower center")
            legend.set_bbox_to_anchor((0.5, 1), transform=ax.transAxes)


def _legends(figure):
    found = [*figure.legends, *(ax.get_legend() for ax in figure.axes)]
    return [legend for legend in found if legend is not None]


def _columns(legend, number):
    """Set `legend` again with `number` columns."""
    legend.set_ncols(number)
    words = [text.get_text() for text in legend.get_texts()]
    legend._init_legend_box(legend.legend_handles, words)
    legend._legend_box.set_offset(legend._findoffset)


def _larger_text(figure, undo):
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            for which in ("major", "minor"):
                ticks = axis.get_ticklabels(which=which)
                if ticks and (size := ticks[0].get_size()) < SMALLEST:
                    undo.callback(axis.set_tick_params, which=which, labelsize=size)
                    axis.set_tick_params(which=which, labelsize=SMALLEST)
    for text in _texts(figure):
        if text.get_size() < SMALLEST:
            _change(text, "size", SMALLEST, undo)


def _break_texts(figure, undo):
    """Titles and labels that stand out of a narrow figure get more lines."""
    page = figure.bbox
    figure.draw_without_rendering()
    for ax in figure.axes:
        slot = ax.get_window_extent()
        middle = (slot.x0 + slot.x1) / 2
        alone = ax.get_subplotspec() is None or ax.get_gridspec().ncols == 1
        room = 2 * min(middle, page.width - middle) if alone else 1.12 * slot.width
        for text in (ax.title, ax.xaxis.label):
            _break_lines(text, text.get_window_extent().width, room, undo)
        high = ax.yaxis.label.get_window_extent().height
        _break_lines(ax.yaxis.label, high, 1.15 * slot.height, undo)
    if figure.get_suptitle():
        _break_lines(figure._suptitle, figure._suptitle.get_window_extent().width, page.width, undo)


def _break_lines(text, long, room, undo):
    words = text.get_text()
    if long > room and text.get_size() > SMALLEST:
        smaller = max(SMALLEST, text.get_size() * room / long)
        long *= smaller / text.get_size()
        _change(text, "size", smaller, undo)
    if long <= 1.01 * room or " " not in words:
        return
    letters = max(8, int(len(max(words.split("\n"), key=len)) * room / long))
    lines = [textwrap.fill(line, letters) for line in words.split("\n")]
    _change(text, "text", "\n".join(lines), undo)


def _thin_ticks(figure, undo):
    """Turn words under an axis that touch each other, leave out every other number."""
    figure.draw_without_rendering()
    for ax in figure.axes:
        ticks = [t for t in ax.xaxis.get_major_ticks() if t.label1.get_visible()]
        ticks = [t for t in ticks if t.label1.get_text()]
        boxes = sorted((t.label1.get_window_extent() for t in ticks), key=lambda box: box.x0)
        if not any(b.x0 < a.x1 + 6 for a, b in zip(boxes, boxes[1:], strict=False)):
            continue
        words = [t.label1.get_text() for t in ticks]
        if any(sum(c.isalpha() for c in word) > 3 for word in words):
            for tick in ticks:
                for what, value in ("rotation", 30), ("ha", "right"), ("rotation_mode", "anchor"):
                    _change(tick.label1, what, value, undo)
        else:
            undo.callback(ax.xaxis.set_major_formatter, ax.xaxis.get_major_formatter())
            undo.callback(ax.xaxis.set_major_locator, ax.xaxis.get_major_locator())
            ax.xaxis.set_ticks([t.get_loc() for t in ticks][::2], labels=words[::2])
