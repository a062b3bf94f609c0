"""Every drawing of the book: plain Python that computes a toy and writes it down as SVG.

    python book/drawings.py          write book/drawings/*.svg, and the alt texts of the chapters
    python book/drawings.py check    print what is out of date, exit status 1 if anything is

How a drawing gets into a page. A Markdown cell says `![alt](../drawings/NAME.svg)`, nothing else:

- website and GitHub: an image file, its alt text is the drawing's own <desc>;
- JupyterLab and a clone: the same file, one folder up;
- Colab opens the notebook alone. Where it does not fetch the file from the repository it shows the
  alt text, so an alt text says all that the drawing says.

Light and dark: an SVG in <img> cannot see the page, but a browser hands it the `color-scheme` of
its <img>, and both the theme's switch and the system set that. So the file asks
`prefers-color-scheme` and paints its own card: where a browser does not hand it on, one reads a
dark card on a light page, and that is all. Colours are classes in one <style>, no CSS variables
(renderers outside browsers lack them).

Phones: a drawing is 360 units wide and no text is below 11.6, which is 11 px in a page of 390 px.

Steps: `sheet.step(words)` begins a step. What is put down after it appears with that step and
stays; what `sheet.only()` holds is seen in that step alone. The file by itself shows the end, so
paper, GitHub and a notebook lose nothing. `NAME.svg#f3` shows step 3: that is all the website's
slider changes (book.js), without a kernel, from a file too. Nothing moves before a reader asks.

A number in a drawing is computed by the function that draws it, never typed; tests compare the toys
with the package. A new drawing is a function with `@drawing(title)` that fills a `Sheet`.
"""

import math
import re
import sys
from contextlib import contextmanager
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import nbformat
import numpy as np

FOLDER = Path(__file__).parent / "drawings"
CHAPTERS = Path(__file__).parent / "chapters"

WIDTH, MARGIN = 360, 12
SHOWN = 480  # px on a wide page
SMALL, BODY = 11.6, 12.6  # the two sizes of text, in units; a phone shows a unit as 0.95 px

# Okabe & Ito's colours, in dark pages lighter: blue, vermilion, green, purple, orange.
LIGHT = {
    "paper": "#ffffff", "edge": "#d4dae0", "ink": "#1b2026", "soft": "#55606b", "line": "#8a949e",
    "box": "#f1f4f6", "lit": "#0b6aa6", "onlit": "#ffffff", "gap": "#ffffff", "land": "#b8b8b8",
    "blue": "#0072b2", "red": "#c8500a", "green": "#007d5a", "purple": "#a8558a",
    "orange": "#b37400",
}
DARK = {
    "paper": "#171b20", "edge": "#39424c", "ink": "#eef1f4", "soft": "#aeb8c2", "line": "#7c8894",
    "box": "#252c34", "lit": "#7cc4f4", "onlit": "#0c1116", "gap": "#2c343d", "land": "#6f767d",
    "blue": "#6cbcf2", "red": "#ff9a62", "green": "#3fcfa0", "purple": "#e39ccb",
    "orange": "#f0b545",
}
# Five points of cmocean's balance, the map of anomalies in every chapter.
BALANCE = ((24, 28, 67), (52, 129, 192), (241, 237, 236), (207, 87, 66), (60, 9, 18))
SERIES = ("blue", "red", "green", "purple", "orange")

DRAWINGS = {}  # name -> (title, function), in the order of this file


def drawing(title):
    """Register a function that fills a `Sheet`; its name is the name of the file."""

    def register(function):
        DRAWINGS[function.__name__] = (title, lambda: function(Sheet(title)))
        return function

    return register


# ---- the sheet --------------------------------------------------------------------------


def style():
    def rules(colours):
        for name, colour in colours.items():
            yield f".{name}{{fill:{colour}}}.s-{name}{{stroke:{colour}}}"

    dark = "".join(rules(DARK))
    return (
        "text{font-family:'Helvetica Neue',Helvetica,Arial,Roboto,sans-serif}"
        ".mono{font-family:ui-monospace,Menlo,Consolas,monospace}.bold{font-weight:600}"
        ".no{fill:none}" + "".join(rules(LIGHT))
        + f"@media (prefers-color-scheme:dark){{{dark}}}"
        + f"@media print{{{''.join(rules(LIGHT))}}}"
    )


def n(value):
    """A coordinate: two decimals at most, no trailing zeros."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def num(value, digits=1, sign=False):
    """A number to read: a true minus, no minus before zero."""
    text = f"{value:{'+' if sign else ''}.{digits}f}"
    if float(text) == 0:
        text = f"{0:.{digits}f}"
    return text.replace("-", "−")


def balance(value, limit):
    """Fill of a cell, and the colour of a text on it."""
    place = 4 * (min(max(value / limit, -1), 1) + 1) / 2
    i = min(int(place), 3)
    share = place - i
    rgb = [round(a + share * (b - a)) for a, b in zip(BALANCE[i], BALANCE[i + 1], strict=True)]
    bright = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]
    return "#{:02x}{:02x}{:02x}".format(*rgb), "#111111" if bright > 125 else "#ffffff"


def wide(words, size, mono=False):
    """Width of a text: an estimate on the large side, for layout and for the test of overlaps."""
    if mono:
        return 0.61 * size * len(words)
    units = sum(
        0.3 if c in "iljtfI.,:;'|!()[]· " else 0.88 if c in "mwMW@→−+=×" else 0.68 if c.isupper()
        else 0.57
        for c in words
    )
    return units * size


class Sheet:
    """One drawing: shapes are put on it, `svg` is the file. `y` is where the next thing may go."""

    def __init__(self, title):
        self.title, self.alt, self.y, self.parts, self.steps = title, "", MARGIN, [], 0

    def add(self, tag, classes, words=None, **attributes):
        inner = "".join(
            f' {key.replace("_", "-")}="{value if isinstance(value, str) else n(value)}"'
            for key, value in attributes.items()
        )
        name = f' class="{classes}"' if classes else ""
        end = "/>" if words is None else f">{escape(words)}</{tag}>"
        self.parts.append(f"<{tag}{name}{inner}{end}")

    def text(self, x, y, words, *, size=SMALL, at="middle", kind="ink", bold=False, mono=False):
        """Words on the baseline `y`."""
        classes = kind + (" bold" if bold else "") + (" mono" if mono else "")
        if kind.startswith("#"):
            classes = "bold" if bold else ""
            self.add("text", classes, words, x=x, y=y, font_size=size, text_anchor=at, fill=kind)
        else:
            self.add("text", classes, words, x=x, y=y, font_size=size, text_anchor=at)

    def rect(
        self, x, y, w, h, kind="box", edge="line", *, fill=None, round_=2, dash=False, width=1
    ):
        extra = {"stroke_dasharray": "3 2"} if dash else {}
        if fill:
            extra["fill"] = fill
        classes = " ".join(([] if fill else [kind]) + ([f"s-{edge}"] if edge else []))
        self.add("rect", classes, x=x, y=y, width=w, height=h, rx=round_,
                 stroke_width=width, **extra)

    def line(self, points, kind="line", *, width=1.2, dash=False, closed=False):
        d = "M" + "L".join(f"{n(x)} {n(y)}" for x, y in points) + "Z" * closed
        extra = {"stroke_dasharray": "4 3"} if dash else {}
        self.add("path", f"no s-{kind}", d=d, stroke_width=width, stroke_linejoin="round", **extra)

    def shape(self, points, kind):
        self.add("path", kind, d="M" + "L".join(f"{n(x)} {n(y)}" for x, y in points) + "Z")

    def arrow(self, *points, kind="soft", width=1.3):
        """A line through `points` with a head at its end."""
        (x0, y0), (x1, y1) = points[-2:]
        length = math.hypot(x1 - x0, y1 - y0)
        ux, uy = (x1 - x0) / length, (y1 - y0) / length
        self.line([*points[:-1], (x1 - 4 * ux, y1 - 4 * uy)], kind, width=width)
        self.shape([(x1, y1), (x1 - 6 * ux - 3 * uy, y1 - 6 * uy + 3 * ux),
                    (x1 - 6 * ux + 3 * uy, y1 - 6 * uy - 3 * ux)], kind)

    def dot(self, x, y, r=3, kind="ink", edge=None):
        classes = f"{kind} s-{edge}" if edge else kind
        self.add("circle", classes, cx=x, cy=y, r=r, stroke_width=1.2)

    def step(self, words):
        """Begin the next step; `words` are what the slider says of it."""
        if self.steps:
            self.parts.append("</g>")
        self.steps += 1
        self.parts.append(f'<g id="f{self.steps}" class="at" aria-label={quoteattr(words)}/>\n<g>')

    @contextmanager
    def only(self):
        """What is put down inside is seen in this step alone."""
        self.parts.append('</g>\n<g class="o">')
        yield
        self.parts.append("</g>\n<g>")

    # ---- things that many drawings hold

    def frame(self, number, words):
        """The heading of a step, at the left."""
        self.dot(MARGIN + 8, self.y + 8, 8.5, "lit")
        self.text(MARGIN + 8, self.y + 12, str(number), kind="onlit", bold=True)
        self.text(MARGIN + 23, self.y + 12.5, words, size=BODY, at="start", bold=True)
        self.y += 24

    def say(self, *lines, x=MARGIN, at="start", kind="soft"):
        for words in lines:
            self.text(x, self.y + 10, words, at=at, kind=kind)
            self.y += 15.5

    def cell(self, x, y, value, limit=1.0, *, w=34, h=22, digits=1, gap="gap"):
        """One number on the colour of an anomaly; NaN is a gap."""
        if math.isnan(value):
            self.rect(x, y, w, h, "gap", dash=True)
            if gap:
                self.text(x + w / 2, y + h / 2 + 4, gap, kind="soft")
            return
        fill, ink = balance(value, limit)
        self.rect(x, y, w, h, edge="line", fill=fill)
        self.text(x + w / 2, y + h / 2 + 4, num(value, digits), kind=ink)

    def grid(self, x, y, values, limit=1.0, *, w=34, h=22, digits=1, gap="gap"):
        for i, row in enumerate(np.atleast_2d(values)):
            for j, value in enumerate(row):
                self.cell(x + j * w, y + i * h, float(value), limit, w=w, h=h, digits=digits,
                          gap=gap)

    def plain(self, x, y, words, *, w=34, h=22, kind="box", ink="ink", edge="line", bold=False):
        """A box with a word."""
        self.rect(x, y, w, h, kind, edge)
        self.text(x + w / 2, y + h / 2 + 4, words, kind=ink, bold=bold)

    def sheets(self, x, y, w, h, count=3, step=6, kind="box"):
        """A stack of sheets, the first one in front."""
        for k in reversed(range(count)):
            self.rect(x + step * k, y - step * k, w, h, kind)

    def svg(self):
        height = n(self.y + MARGIN)
        assert self.alt, self.title
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            f'width="{SHOWN}" height="{n(float(height) * SHOWN / WIDTH)}" role="img" '
            f'aria-labelledby="title desc">\n<title id="title">{escape(self.title)}</title>\n'
            f'<desc id="desc">{escape(self.alt)}</desc>\n'
            f'<style>{style()}{self.style_of_steps()}</style>\n'
        )
        card = (f'<rect class="paper s-edge" x="0.5" y="0.5" width="{WIDTH - 1}" '
                f'height="{n(float(height) - 1)}" rx="6"/>\n')
        parts = "\n".join([*self.parts, *["</g>"] * bool(self.steps)])
        return head + card + parts.replace("<g>\n</g>\n", "") + "\n</svg>\n"

    def style_of_steps(self):
        """Of step k hide what stands behind the beginning of step k + 1."""
        if not self.steps:
            return ""
        return ".o{display:none}.at:target~.o{display:inline}" + "".join(
            f"#f{k}:target~#f{k + 1}~g{{display:none}}" for k in range(1, self.steps))


class Axes:
    """A small plot on a sheet: a box, a zero line, and a scale for x and y."""

    def __init__(self, sheet, x, y, w, h, x_range, y_range, zero=True):
        self.s, self.x, self.y, self.w, self.h = sheet, x, y, w, h
        self.xr, self.yr = x_range, y_range
        sheet.rect(x, y, w, h, "no", "edge")
        if zero and y_range[0] < 0 < y_range[1]:
            sheet.line([self.at(x_range[0], 0), self.at(x_range[1], 0)], "line", width=0.8)

    def at(self, x, y):
        return (self.x + self.w * (x - self.xr[0]) / (self.xr[1] - self.xr[0]),
                self.y + self.h * (self.yr[1] - y) / (self.yr[1] - self.yr[0]))

    def curve(self, xs, ys, kind="blue", **style):
        self.s.line([self.at(a, b) for a, b in zip(xs, ys, strict=True)], kind, width=1.8, **style)

    def dots(self, xs, ys, kind="ink", r=3):
        for a, b in zip(xs, ys, strict=True):
            self.s.dot(*self.at(a, b), r, kind)

    def bar(self, x, value, width, kind="blue"):
        (left, top), (_, base) = self.at(x, max(value, 0)), self.at(x, min(value, 0))
        self.s.rect(left - width / 2, top, width, base - top, kind, None, round_=1)


# ---- the whole machine ------------------------------------------------------------------

COLUMNS, ROWS = (16, 101, 186), (48, 128, 190, 252)
BOX_W, BOX_H = 75, 50
RAIL = 312
PARTS = {  # name -> (column, row)
    "days + mask": (0, 0), "− prior": (1, 0), "first guess": (2, 0),
    "tokens": (0, 1), "space-time": (1, 1), "day marks": (2, 1),
    "day weights": (0, 2), "places": (1, 2), "transformer": (2, 2),
    "decoder": (0, 3),
}
HERE = {  # chapter -> the parts that it builds
    "divide_by_what_was_seen": ["first guess"],
    "video_to_tokens": ["tokens"],
    "telling_time": ["day marks"],
    "which_days": ["day weights"],
    "telling_place": ["places"],
    "looking_across": ["transformer"],
    "back_to_pixels": ["decoder"],
    "all_together": [*PARTS, "map"],
    "across_the_days": ["space-time"],
}


def machine(s, lit=()):
    """The machine with some parts lit; none lit is the plain drawing."""
    here = " and ".join(lit) if len(lit) < 3 else "everything"
    heading = f"You are here: {here}" if lit else "From a cloudy month to one map"
    s.text(MARGIN + 2, 26, heading, size=BODY, at="start", bold=True)

    # The rails that bring prior and first guess straight to the sum.
    s.line([(138.5, ROWS[0]), (138.5, 38), (RAIL + 32, 38), (RAIL + 32, ROWS[3] + 25)])
    s.arrow((RAIL + 32, ROWS[3] + 25), (RAIL + 10, ROWS[3] + 25), kind="line")
    s.arrow((261, ROWS[0] + 25), (RAIL, ROWS[0] + 25), (RAIL, ROWS[3] + 15), kind="line")
    s.text(RAIL - 4, ROWS[0] + 42, "first", at="end", kind="soft")
    s.text(RAIL - 4, ROWS[0] + 55, "guess", at="end", kind="soft")
    s.text(RAIL + 28, 54, "prior", at="end", kind="soft")

    s.rect(8, ROWS[1] - 19, 261, 3 * 62 + 14, "no", "line", dash=True, round_=4)
    s.text(263, ROWS[1] - 6, "the network", at="end", kind="soft")
    middle = [(x + BOX_W / 2) for x in COLUMNS]
    for row in range(3):
        for a, b in ((0, 1), (1, 2)):
            y = ROWS[row] + BOX_H / 2
            s.arrow((COLUMNS[a] + BOX_W, y), (COLUMNS[b], y))
    for row in (0, 1, 2):
        under, over = ROWS[row] + BOX_H, ROWS[row + 1]
        turn = over - (24 if row == 0 else 6)
        s.arrow((middle[2], under), (middle[2], turn), (middle[0], turn), (middle[0], over))
    s.arrow((COLUMNS[0] + BOX_W, ROWS[3] + 25), (RAIL - 10, ROWS[3] + 25))
    s.text(178, ROWS[3] + 20, "what the network adds", kind="soft")

    for name, (column, row) in PARTS.items():
        x, y = COLUMNS[column], ROWS[row]
        on = name in lit
        s.rect(x, y, BOX_W, BOX_H, "lit" if on else "box", "lit" if on else "line", round_=4,
               dash=name == "space-time")
        ink = "onlit" if on else "ink"
        glyph(s, name, x + BOX_W / 2, y + 19, "onlit" if on else "soft", "lit" if on else "box")
        s.text(x + BOX_W / 2, y + 44, name, kind=ink, bold=on)
    s.dot(RAIL, ROWS[3] + 25, 10, "paper", "ink")
    s.text(RAIL, ROWS[3] + 29.5, "+", size=14, bold=True)
    on = "map" in lit
    s.arrow((RAIL, ROWS[3] + 35), (RAIL, 318))
    s.rect(RAIL - 32, 318, 64, BOX_H, "lit" if on else "box", "lit" if on else "line", round_=4)
    glyph(s, "map", RAIL, 337, "onlit" if on else "soft", "lit" if on else "box")
    s.text(RAIL, 362, "map", kind="onlit" if on else "ink", bold=True)
    s.text(16, 338, "map = prior + first guess", size=BODY, at="start", bold=True)
    s.text(16, 355, "+ what the network adds", size=BODY, at="start", bold=True)
    s.y = 366
    where = f" The part of this chapter is lit: {here}." if lit else ""
    s.alt = (
        "Flow chart. Daily maps and their mask, minus the prior, give a first guess. It feeds the "
        "network: tokens, an optional space-time step, day marks, day weights, places, transformer,"
        " decoder. Two lines pass the network by: the map is prior plus first guess plus what the "
        f"network adds.{where}"
    )
    return s


def glyph(s, name, x, y, kind, paper):
    """A small sign of a part, centred on (x, y), about 30 x 20."""
    if name == "days + mask":
        for k in (2, 1, 0):
            s.rect(x - 13 + 5 * k, y - 4 - 4 * k, 16, 12, paper, kind)
        s.rect(x - 11, y - 2, 5, 5, kind, None)
    elif name == "− prior":
        for k in range(3):
            s.line([(x - 13, y - 4 + 6 * k), (x - 4, y - 7 + 6 * k), (x + 4, y - 4 + 6 * k),
                    (x + 13, y - 7 + 6 * k)], kind)
    elif name == "first guess":
        s.line([(x + t, y + 7 - 14 * math.exp(-((t / 7) ** 2))) for t in range(-15, 16, 2)], kind,
               width=1.6)
    elif name == "tokens":
        for k in range(4):
            s.rect(x - 16 + 8.5 * k, y - 9, 6, 17, kind if k % 2 else paper, kind)
    elif name == "space-time":
        s.arrow((x - 12, y + 8), (x - 12, y - 10), kind=kind)
        s.arrow((x - 12, y + 8), (x + 14, y + 8), kind=kind)
        s.text(x + 2, y + 2, "opt.", kind=kind)
    elif name == "day marks":
        s.dot(x, y, 10, paper, kind)
        s.line([(x, y - 7), (x, y), (x + 5, y + 3)], kind, width=1.6)
    elif name == "day weights":
        for k, height in enumerate((6, 16, 0, 11, 4)):
            s.rect(x - 15 + 6.5 * k, y + 8 - height, 4.5, height, kind, None, round_=0)
        s.line([(x - 17, y + 8.5), (x + 17, y + 8.5)], kind)
    elif name == "places":
        for k in range(-1, 2):
            s.line([(x - 12, y + 7 * k), (x + 12, y + 7 * k)], kind, width=0.8)
            s.line([(x + 8 * k, y - 10), (x + 8 * k, y + 10)], kind, width=0.8)
        s.dot(x + 8, y - 7, 3.5, kind)
    elif name == "transformer":
        spots = [(x - 14, y + 7), (x - 4, y - 8), (x + 6, y + 8), (x + 15, y - 5)]
        for k, a in enumerate(spots):
            for b in spots[k + 1:]:
                s.line([a, b], kind, width=0.8)
        for a in spots:
            s.dot(*a, 3, kind)
    elif name == "decoder":
        s.rect(x - 17, y - 3, 6, 6, kind, None)
        s.arrow((x - 9, y), (x - 1, y), kind=kind)
        s.rect(x + 1, y - 9, 18, 18, paper, kind)
        for k in (1, 2):
            s.line([(x + 1 + 6 * k, y - 9), (x + 1 + 6 * k, y + 9)], kind, width=0.7)
            s.line([(x + 1, y - 9 + 6 * k), (x + 19, y - 9 + 6 * k)], kind, width=0.7)
    elif name == "map":
        s.rect(x - 14, y - 11, 28, 20, paper, kind)
        s.line([(x - 14, y + 2), (x - 5, y - 3), (x + 3, y + 3), (x + 14, y - 4)], kind, width=1.6)


for _chapter, _lit in {"": (), **HERE}.items():
    _title = f"The whole machine: {_chapter.replace('_', ' ')}" if _chapter else "The whole machine"
    DRAWINGS[f"here_{_chapter}" if _chapter else "machine"] = (
        _title, lambda title=_title, lit=tuple(_lit): machine(Sheet(title), lit))


# ---- toys that several drawings share ---------------------------------------------------

GAP = math.nan
# Two days of 4 x 4 pixels, anomalies in K; patches of 2 x 2 are A, B (north), C, D (south).
TOY = np.array([
    [[0.4, 0.6, GAP, GAP], [0.2, 0.4, GAP, 1.0], [-0.2, GAP, 0.6, 0.8], [-0.4, -0.2, 0.4, 0.6]],
    [[GAP, GAP, 0.8, 1.2], [GAP, GAP, 1.0, GAP], [GAP, -0.6, GAP, GAP], [-0.6, -0.4, GAP, GAP]],
])
NAMES = "ABCD"
# A token of three numbers that one can read: sum / 4, share seen, east minus west.
EMBED = np.array([
    [0.25, 0.25, 0.25, 0.25, 0, 0, 0, 0],
    [0, 0, 0, 0, 0.25, 0.25, 0.25, 0.25],
    [-0.5, 0.5, -0.5, 0.5, 0, 0, 0, 0],
])


def patches(days):
    """(T, 4, 4) -> (T, 4, 4): four patches a day, row by row, of four pixels each."""
    return days.reshape(-1, 2, 2, 2, 2).transpose(0, 1, 3, 2, 4).reshape(-1, 4, 4)


def numbers_of(patch):
    """Four values with zeros in the gaps, then four flags: (8,)."""
    return np.concatenate([np.nan_to_num(patch), np.isfinite(patch).astype(float)])


def toy_tokens():
    """(2 days, 4 patches, 3 numbers)."""
    return np.array([[EMBED @ numbers_of(p) for p in day] for day in patches(TOY)])


def softmax(scores):
    powers = np.exp(scores - scores.max(0))
    return powers / powers.sum(0)


def gauss(distance, width):
    return np.exp(-0.5 * (np.asarray(distance) / width) ** 2)


def apart(a, b):
    return np.abs(np.subtract.outer(np.asarray(a, float), np.asarray(b, float)))


def rms(values):
    return float(np.sqrt(np.nanmean(np.square(values))))


def words_of(values, digits=1):
    return ", ".join(num(v, digits) for v in np.ravel(values))


def token(s, x, y, values, *, w=34, h=20, digits=2, series=None):
    """A token as a column of boxes; a coloured edge tells whose it is."""
    for k, value in enumerate(values):
        s.cell(x, y + k * h, float(value), 1.2, w=w, h=h, digits=digits)
    if series:
        s.rect(x - 1.5, y - 1.5, w + 3, h * len(values) + 3, "no", series, width=2.2)


# ---- a month of ocean -------------------------------------------------------------------

# The truth of one cell on eight days of two months, K from the mean of each; which days are seen.
SEA_DAYS = np.array([[0.6, 0.8, 0.4, -0.3, -0.7, -0.6, -0.2, 0.0],
                     [-0.5, -0.2, 0.4, 0.7, 0.5, 0.0, -0.4, -0.5]])
NOISE_OF_DAYS = np.array([[0.3, -0.2, -0.3, 0.1, 0.4, -0.3, 0.2, -0.1],
                          [0.1, 0.4, -0.1, 0.3, -0.4, 0.2, -0.3, 0.2]])
SEEN_DAYS = {"noise": [range(8), range(8)], "gaps": [(0, 1, 2), (0, 6, 7)],
             "bias": [(0, 1, 2), (2, 3, 4)]}


def errors_of(cause):
    """Mean of the seen days minus mean of all days, for the two months: [K, K]."""
    noise = NOISE_OF_DAYS if cause == "noise" else 0 * NOISE_OF_DAYS
    return [float((sea + more)[list(days)].mean() - sea.mean())
            for sea, more, days in zip(SEA_DAYS, noise, SEEN_DAYS[cause], strict=True)]


@drawing("Noise, gaps, clear-sky bias: two months of one cell")
def three_causes(s):
    headings = {"noise": "Noise: every day seen, none of them right",
                "gaps": "Gaps: three days seen, by luck",
                "bias": "Clear-sky bias: the warm days are seen"}
    for number, (cause, words) in enumerate(headings.items(), start=1):
        s.frame(number, words)
        for month, (sea, days) in enumerate(zip(SEA_DAYS, SEEN_DAYS[cause], strict=True)):
            days = list(days)
            report = (sea + NOISE_OF_DAYS[month] * (cause == "noise"))[days]
            axes = Axes(s, 16 + 170 * month, s.y, 158, 62, (-0.5, 7.5), (-1.3, 1.3), zero=False)
            axes.curve(range(8), sea, "soft")
            for value, kind in ((sea.mean(), "ink"), (report.mean(), "red")):
                s.line([axes.at(-0.4, value), axes.at(7.4, value)], kind, dash=True, width=1.6)
            axes.dots(days, report, "red")
            error = errors_of(cause)[month]
            s.text(axes.x + 79, s.y + 76, f"month {month + 1}: {num(error, 2, sign=True)} K")
        s.y += 86
    s.say("grey: the sea · red dots: what was seen",
          "dashed: mean of all days, and in red that of the seen days",
          "In month 1 luck and bias look the same. Month 2 tells.")
    first, second, third = (" and ".join(num(e, 2, sign=True) for e in errors_of(cause))
                            for cause in headings)
    s.alt = ("Three frames, each with the same eight days of one cell in two months. 1, noise: all "
             "days are seen, the dots scatter about the curve, and the mean is off by "
             f"{first} K. 2, gaps: three days are seen, in month 1 warm ones, in month 2 cold ones;"
             f" the mean is off by {second} K. 3, clear-sky bias: three days are seen, warm ones in"
             f" both months; the mean is off by {third} K.")
    return s


# ---- tensors ----------------------------------------------------------------------------

# Before the layer norm a uniform patch of temperature x is the list x * w + b.
LIST_W, LIST_B = np.array([1.0, -0.2, -0.7]), np.array([-0.3, 0.9, 0.1])
TEMPERATURES = (290.0, 300.0, -1.0, 1.0)


def layer_norm(values):
    centred = values - values.mean(-1, keepdims=True)
    return centred / centred.std(-1, keepdims=True)


@drawing("What a layer norm leaves of kelvin")
def only_the_direction(s):
    lists = np.outer(TEMPERATURES, LIST_W) + LIST_B
    normed = layer_norm(lists)
    names = ("290 K", "300 K", "−1", "+1")
    for number, words, values, digits in ((1, "A token of three numbers: x · w + b", lists, 1),
                                          (2, "After the layer norm", normed, 2)):
        s.frame(number, words)
        for k, name in enumerate(names):
            s.text(56, s.y + 15, name, at="end", kind=SERIES[k], bold=True)
            for j in range(3):
                s.plain(66 + 76 * j, s.y, num(values[k, j], digits), w=76)
            s.y += 22
        s.y += 8
    s.frame(3, "Drawn as arrows: only the direction is left")
    # Lists of mean 0 lie in a plane; two axes of it.
    plane = np.array([[1, -1, 0], [1, 1, -2]]) / np.sqrt([[2], [6]])
    tips = normed @ plane.T / np.sqrt(3)  # on the circle of radius 1
    x, y, r = 180, s.y + 76, 58
    s.dot(x, y, r, "no", "line")
    for k, (a, b) in enumerate(tips):
        tip = x + r * a, y - r * b
        s.arrow((x, y), tip, kind=SERIES[k], width=2.6 if k == 0 else 1.6)
        if k == 1:
            continue  # the same arrow as k = 0
        words = "290 K and 300 K" if k == 0 else names[k]
        side = 0 if abs(a) < 0.2 else math.copysign(1, a)
        s.text(tip[0] + 8 * side, tip[1] + (4 if side else -6), words, kind=SERIES[k], bold=True,
               at={0: "middle", 1: "start", -1: "end"}[side])
    s.y += 144
    s.say("−1 and +1 point far apart. 290 K and 300 K point the",
          "same way: nothing is left to tell them apart.")
    told = "; ".join(f"{name}: {words_of(v, 2)}" for name, v in zip(names, normed, strict=True))
    s.alt = ("Frame 1: for 290 K, 300 K, −1 and +1 a list of three numbers x times w plus b, those "
             f"of kelvin in the hundreds. Frame 2, after the layer norm: {told}. Frame 3: the four "
             "as arrows in a circle; those of 290 K and 300 K lie on each other, those of −1 and "
             "+1 point far apart.")
    return s



@drawing("Five axes: B, C, T, H, W")
def five_axes(s):
    B, C, T, H, W = 2, 1, 3, 4, 5
    s.y = 22
    for b in range(B):
        x, y = 38 + 164 * b, 66
        side = 17
        for k in reversed(range(T)):
            s.rect(x + 11 * k, y - 11 * k, W * side, H * side, "box", "line")
            if k:
                s.text(x + 11 * k + W * side - 4, y - 11 * k + 12.5, f"{k + 1}", at="end",
                       kind="soft")
        for i in range(1, H):
            s.line([(x, y + side * i), (x + W * side, y + side * i)], "edge", width=0.8)
        for j in range(1, W):
            s.line([(x + side * j, y), (x + side * j, y + H * side)], "edge", width=0.8)
        s.rect(x, y, W * side, H * side, "no", "line")
        s.text(x + W * side - 4, y + 12.5, "1", at="end", kind="soft")
        s.text(x + W * side / 2, y + H * side + 15, f"W = {W} columns", kind="red", bold=True)
        s.text(x - 5, y + H * side - 6, f"H = {H}", at="end", kind="blue", bold=True)
        s.text(x + W * side + 31, y + 16, f"T = {T}", at="start", kind="green", bold=True)
        s.text(x + W * side + 31, y + 31, "days", at="start", kind="green", bold=True)
        s.text(x + 40, 28, f"month {b + 1}", kind="purple", bold=True)
    s.y = 162
    s.say(f"Two months: B = {B}. One quantity, the temperature: C = {C}.",
          f"The tensor has the shape (B, C, T, H, W) = ({B}, {C}, {T}, {H}, {W}),",
          f"and {B} · {C} · {T} · {H} · {W} = {B * C * T * H * W} numbers. x[1, 0, 2] is a sheet:",
          "month 2, day 3 (we count from 0).")
    s.alt = (f"Two stacks of {T} sheets each, one stack for a month: B = {B}. Each sheet is a day, "
             f"a grid of H = {H} rows and W = {W} columns; the depth of a stack is T = {T} days. "
             f"With C = {C} quantity the tensor has shape ({B}, {C}, {T}, {H}, {W}) and "
             f"{B * C * T * H * W} numbers.")
    return s


@drawing("Three masks for three reasons")
def three_masks(s):
    land = np.zeros((4, 4), bool)
    land[2:, 0] = land[3, 1] = True
    cloud = np.zeros((3, 4, 4), bool)
    cloud[0, :2, 1:3] = cloud[1, 1:4, 2:] = cloud[1, 0, 0] = True
    exists = np.array([True, True, False])
    side = 22
    s.text(MARGIN, 26, "a box of three days, a month of two", size=BODY, at="start", bold=True)
    for t in range(3):
        x, y = 20 + 112 * t, 52
        s.text(x + 44, 44, f"day {t + 1}", kind="ink" if exists[t] else "soft")
        for i in range(4):
            for j in range(4):
                at = (x + j * side, y + i * side, side, side)
                if not exists[t]:
                    s.rect(*at, "box", "edge", dash=True)
                elif land[i, j]:
                    s.rect(*at, "land")
                    s.text(at[0] + 11, at[1] + 15, "L", kind="#111111")
                elif cloud[t, i, j]:
                    s.rect(*at, "gap")
                    s.text(at[0] + 11, at[1] + 15, "c", kind="soft")
                else:
                    s.rect(*at, "blue")
    s.text(20 + 224 + 44, 52 + 48, "no such day", kind="soft")
    s.y = 152
    observed = (~cloud & ~land & exists[:, None, None]).sum()
    s.say(f"L  land, {land.sum()} cells, the same every day: land_mask (H, W)",
          f"c  cloud, {(cloud & ~land & exists[:, None, None]).sum()} cells: daily_mask "
          "(B, C, T, H, W), land included",
          f"day {int(np.argmin(exists)) + 1} does not exist: days_mask (B, T)",
          f"blue  what was seen: {observed} of {cloud.size} numbers")
    s.alt = (f"Three day maps of 4 by 4 cells. On days 1 and 2 the same {land.sum()} cells in the "
             "south-west are land, some others are cloud, the rest is seen. Day 3 is an empty "
             f"dashed map: no such day. Only {observed} of the {cloud.size} numbers were observed.")
    return s


# ---- baselines --------------------------------------------------------------------------


@drawing("The mean of what was seen, one step")
def mean_of_seen_days(s):
    days = np.array([
        [0.8, GAP, GAP, 0.4, GAP], [GAP, 0.2, GAP, 0.6, -0.2], [GAP, GAP, GAP, GAP, GAP]])
    total, count = np.nansum(days, 1), np.isfinite(days).sum(1)
    s.frame(1, "Three cells, five days, gaps (K)")
    for t in range(5):
        s.text(92 + 46 * t, s.y + 9, f"day {t + 1}", kind="soft")
    for i in range(3):
        s.text(MARGIN, s.y + 30 + 26 * i, f"cell {i + 1}", at="start")
    s.grid(69, s.y + 14, days, 1.2, w=46, h=26)
    s.y += 100
    s.frame(2, "Sum what was seen, count it, divide")
    means = []
    for i in range(3):
        mean = total[i] / count[i] if count[i] else GAP
        means.append(mean)
        s.text(MARGIN, s.y + 14, f"cell {i + 1}", at="start")
        rule = (f"{num(total[i])} / {count[i]} = {num(mean, 2)} K" if count[i]
                else "0 / 0: never seen, no answer")
        s.text(69, s.y + 14, rule, at="start", kind="ink" if count[i] else "red")
        s.y += 20
    s.y += 6
    s.say("Each cell is alone. Nobody asks the neighbour, and a day",
          "counts the same whether it has company or not.")
    s.alt = ("Frame 1: three cells on five days; cell 1 was seen on two days, cell 2 on three, cell"
             f" 3 never. Frame 2: the sum over the number seen gives {num(means[0], 2)} K for cell "
             f"1, {num(means[1], 2)} K for cell 2, and for cell 3 nothing over nothing, no answer.")
    return s


DAYS = np.arange(9.0)
LINE = np.array([0.9, 1.1, GAP, GAP, GAP, 0.3, GAP, -0.2, GAP])  # one cell, nine days, K


def normalised(values, places, width):
    """Weights (target, place), the mean that divides by all weights, that which does not."""
    weights = gauss(apart(places, places), width)
    seen = np.isfinite(values)
    total = weights @ np.nan_to_num(values)
    return weights, total / weights.sum(1), total / (weights @ seen)


@drawing("A Gaussian with gaps, one step")
def gaussian_step(s):
    width, target = 1.5, 3
    weights, plain, divided = normalised(LINE, DAYS, width)
    seen = np.isfinite(LINE)
    s.step(f"a bell over day {target + 1}: how much each day shall weigh")
    s.frame(1, f"Lay a bell over day {target + 1}")
    axes = Axes(s, 40, s.y, 300, 82, (-0.5, 8.5), (-0.5, 1.4))
    fine = np.linspace(-0.5, 8.5, 91)
    axes.curve(fine, gauss(fine - target, width), "orange")
    axes.dots(DAYS[seen], LINE[seen])
    for t in DAYS:
        s.text(axes.at(t, 0)[0], s.y + 95, num(t + 1, 0), kind="red" if t == target else "soft",
               bold=t == target)
    s.text(36, axes.at(0, 1)[1] + 4, "1", at="end", kind="soft")
    s.text(36, axes.at(0, 0)[1] + 4, "0", at="end", kind="soft")
    s.y += 102
    s.say("dots: seen, K · bell: weight of a day for day 4")
    s.y += 6
    s.step("weigh what was seen, sum, divide by the weight of what was seen")
    s.frame(2, "Weigh what was seen, sum, divide")
    row = weights[target]
    for name, values in (("value", np.where(seen, LINE, 0)), ("weight", row),
                         ("seen", seen.astype(float))):
        s.text(MARGIN, s.y + 15, name, at="start")
        for t in range(9):
            text = num(values[t], 0 if name == "seen" else 1 if name == "value" else 2)
            s.plain(58 + 32 * t, s.y, text, w=32, h=21, kind="box" if seen[t] else "gap",
                    ink="ink" if seen[t] else "soft")
        s.y += 21
    total, near, every = row @ np.nan_to_num(LINE), row @ seen, row.sum()
    s.y += 7
    s.text(MARGIN, s.y + 9, f"total: Σ weight · value = {num(total, 2)}", at="start")
    s.text(348, s.y + 9, f"near: Σ weight · seen = {num(near, 2)}", at="end")
    s.text(MARGIN, s.y + 27, f"total / near = {num(divided[target], 2)} K", size=BODY, at="start",
           kind="blue", bold=True)
    s.text(348, s.y + 27, f"total / {num(every, 2)} (all days) = {num(plain[target], 2)} K",
           at="end", kind="soft")
    s.y += 40
    s.step("slide the bell over all days")
    s.frame(3, "Slide the bell over all days")
    axes = Axes(s, 40, s.y, 300, 78, (-0.5, 8.5), (-0.5, 1.4))
    axes.dots(DAYS[seen], LINE[seen])
    for t in range(len(DAYS)):
        s.step(f"day {t + 1}: total / near {num(divided[t], 2)} K, a gap as 0 {num(plain[t], 2)} K")
        with s.only():
            axes.curve(fine, gauss(fine - t, width), "orange")
        if t:
            axes.curve(DAYS[t - 1:t + 1], divided[t - 1:t + 1], "blue")
    s.step("divided by what was seen, the curve stays with the dots")
    axes.curve(DAYS, plain, "soft", dash=True)
    s.text(axes.at(4.1, 0)[0], axes.at(0, 0.84)[1], "total / near", at="start", kind="blue",
           bold=True)
    s.text(axes.at(2.6, 0)[0], axes.at(0, -0.32)[1], "a gap counts as 0", at="start", kind="soft")
    s.y += 80
    s.alt = (f"Frame 1: nine days of one cell, seen on four; a bell lies over day {target + 1}. "
             f"Frame 2: weights times values sum to {num(total, 2)}, weights of the seen days to "
             f"{num(near, 2)}; their ratio is {num(divided[target], 2)} K. Dividing by all weights "
             f"would give {num(plain[target], 2)} K. Frame 3: the bell slid over all days; the "
             "curve of total over near passes near the dots, the plain one sags in the gaps.")
    return s


WHERE, VALUE, TARGET, NOISE = np.array([2.0, 3.0, 13.0]), np.array([0.9, 0.7, -0.5]), 8.0, 0.09


def alike(r):
    """Covariance in K^2 of anomalies r cells apart, same day, as the chapter has it."""
    return 0.6 * np.exp(-r / 9) + 0.4 * np.exp(-((r / 8.5) ** 2))


@drawing("Optimal interpolation, one step")
def oi_step(s):
    matrix = alike(apart(WHERE, WHERE)) + NOISE * np.eye(3)
    c = alike(np.abs(WHERE - TARGET))
    w = np.linalg.solve(matrix, c)
    g = gauss(WHERE - TARGET, 5)
    g = g / g.sum()
    s.frame(1, "Three observations, one question")
    axes = Axes(s, 24, s.y, 312, 66, (0, 15), (-0.9, 1.3))
    axes.dots(WHERE, VALUE)
    for name, x, y in zip("123", WHERE, VALUE, strict=True):
        px, py = axes.at(x, y)
        s.text(px + (12 if name != "1" else -12), py + 4, name, bold=True)
    x, y = axes.at(TARGET, 0)
    s.text(x, y - 6, "?", size=BODY, kind="red", bold=True)
    s.dot(x, y, 3, "paper", "red")
    s.y += 76
    s.frame(2, "How alike are all of them?")
    top = s.y + 4
    s.text(79, top + 6, "with each other", kind="soft")
    s.text(232, top + 6, "with the target", kind="soft")
    for i in range(3):
        for j in range(3):
            s.plain(22 + 38 * j, top + 12 + 23 * i, num(matrix[i, j], 2), w=38, h=23,
                    kind="lit" if i == j else "box", ink="onlit" if i == j else "ink")
        s.text(154, top + 28 + 23 * i, f"w{'₁₂₃'[i]}", kind="green", bold=True)
        s.plain(213, top + 12 + 23 * i, num(c[i], 2), w=38, h=23)
    s.text(182, top + 51, "=", size=14)
    s.y = top + 88
    s.say("On the diagonal the noise is added: "
          f"{num(alike(0.0), 2)} + {num(NOISE, 2)} = {num(matrix[0, 0], 2)} K².")
    s.y += 5
    s.frame(3, "Solve for the weights")
    for name, weights, kind in (("OI", w, "green"), ("Gaussian", g, "orange")):
        s.text(MARGIN, s.y + 14, name, at="start", kind=kind, bold=True)
        for i in range(3):
            s.rect(78 + 90 * i, s.y + 3, 48 * max(weights[i], 0), 14, kind, None)
            s.text(78 + 90 * i + 48 * max(weights[i], 0) + 4, s.y + 14.5, num(weights[i], 2),
                   at="start")
        s.y += 22
    for i in range(3):
        s.text(78 + 90 * i, s.y + 10, f"observation {i + 1}", at="start", kind="soft")
    s.y += 19
    pair, pair_g = w[0] + w[1], g[0] + g[1]
    s.say(f"OI: 1 and 2 together {num(pair, 2)}, 3 alone {num(w[2], 2)}: like ones share a vote.",
          f"Gaussian: {num(pair_g, 2)} against {num(g[2], 2)}. It counts heads.")
    s.alt = ("Frame 1: observations 1 and 2 stand side by side on the left of a question mark, 3 "
             "stands alone on the right, about as far. Frame 2: a 3 by 3 matrix says how alike "
             "they are, with the noise on its diagonal. Frame 3: solved, 1 and 2 share "
             f"{num(pair, 2)} and 3 has {num(w[2], 2)}; the Gaussian gives {num(pair_g, 2)} and "
             f"{num(g[2], 2)}.")
    return s


EOF_TOY = np.array([[0.8, GAP, 0.4, -0.4], [0.4, 0.3, GAP, -0.2], [GAP, -0.6, -0.4, GAP]])


def eof_rounds(matrix, rounds):
    """The matrix with its gaps filled by its first pattern, after each round."""
    known = np.isfinite(matrix)
    filled, steps = np.where(known, matrix, 0.0), []
    for _ in range(rounds):
        u, size, v = np.linalg.svd(filled, full_matrices=False)
        pattern = size[0] * np.outer(u[:, 0], v[0])
        steps.append((filled, pattern, size))
        filled = np.where(known, matrix, pattern)
    return steps, filled


@drawing("Filling with patterns (EOF, DINEOF), one step")
def eof_step(s):
    known = np.isfinite(EOF_TOY)
    steps, filled = eof_rounds(EOF_TOY, 60)
    start, pattern, _ = steps[0]
    limit = 1.2

    def table(title, x, values, mark):
        s.text(x + 70, s.y + 9, title, kind="soft")
        s.grid(x, s.y + 14, values, limit, w=35, h=23)
        for i, j in zip(*np.nonzero(mark), strict=True):
            s.rect(x + 35 * j + 1, s.y + 15 + 23 * i, 33, 21, "no", "orange", width=2)

    s.frame(1, "Cells by days; zeros into the gaps")
    table("what was seen", 20, EOF_TOY, ~known)
    table("with zeros", 196, start, ~known)
    s.text(178, s.y + 52, "→", size=14)
    s.y += 94
    s.frame(2, "Keep its strongest pattern")
    table("cell pattern × day pattern", 20, pattern, ~known)
    s.text(178, s.y + 52, "→", size=14)
    table("put into the gaps", 196, np.where(known, EOF_TOY, pattern), ~known)
    s.y += 94
    s.frame(3, "Repeat until nothing changes")
    i, j = 2, 0
    picks = (1, 2, 5, 20, 60)
    chain = [eof_rounds(EOF_TOY, k)[1][i, j] for k in picks]
    s.text(MARGIN, s.y + 14, "round", at="start", kind="soft")
    s.text(MARGIN, s.y + 38, "cell 3, day 1", at="start", kind="soft")
    for k, (count, value) in enumerate(zip(picks, chain, strict=True)):
        s.text(112 + 50 * k, s.y + 14, str(count))
        s.cell(92 + 50 * k, s.y + 22, value, limit, w=40, h=23, digits=2)
    s.y += 54
    s.say("Cell 3 goes against cells 1 and 2 wherever both were seen.",
          "So the pattern says: cold there on day 1. No covariance",
          "function was needed, only other days.")
    s.alt = ("Frame 1: a table of 3 cells by 4 days with four gaps, first empty, then zero. Frame "
             "2: its strongest pattern, a column times a row, goes into the gaps. Frame 3: repeated"
             f", the gap of cell 3 on day 1 goes {words_of(chain, 2)} K in rounds "
             f"{', '.join(map(str, picks))}.")
    return s


# ---- divide by what was seen ------------------------------------------------------------

CELLS = np.arange(12.0)
# Anomalies along one row of cells on one day, K: a broad wave with a sharp front.
REPORTS = np.array([0.6, GAP, 0.9, 0.8, GAP, GAP, -0.5, -0.7, GAP, GAP, GAP, GAP])
PASSES = ((4.0, 0.5), (2.0, 0.5), (1.0, 0.5))  # width in cells and noise of each pass


def one_pass(values, analysis, width, noise):
    """Misfit, its total, the count, and the increment total / (count + noise): (cells,) each."""
    seen = np.isfinite(values)
    kernel = gauss(apart(CELLS, CELLS), width)
    misfit = np.where(seen, values - analysis, 0.0)
    total, count = kernel @ misfit, kernel @ seen
    return misfit, total, count, total / (count + noise)


def coarse_to_fine_toy():
    """Analysis after 0, 1, 2, 3 passes: (4, cells)."""
    analyses = [np.zeros(len(CELLS))]
    for width, noise in PASSES:
        analyses.append(analyses[-1] + one_pass(REPORTS, analyses[-1], width, noise)[3])
    return np.array(analyses)


@drawing("Total over count: divide by what was seen")
def total_over_count(s):
    width, noise = 1.5, 0.5
    seen = np.isfinite(REPORTS)
    _, total, count, increment = one_pass(REPORTS, np.zeros(12), width, noise)
    s.frame(1, "Spread the values, spread the flags")
    for name, values, kind in (("seen", REPORTS, None), ("total", total, "red"),
                               ("count", count, "green")):
        s.text(MARGIN - 4, s.y + 15, name, at="start", kind=kind or "ink", bold=bool(kind))
        for i in range(8):
            x = 48 + 37 * i
            if name == "seen":
                s.cell(x, s.y, values[i], 1.2, w=37, gap="")
            else:
                s.plain(x, s.y, num(values[i], 2), w=37)
        s.y += 22
    s.y += 4
    s.say("the first eight of twelve cells · one Gaussian, 1.5 cells wide")
    s.y += 5
    s.frame(2, "Divide, and doubt a small count")
    axes = Axes(s, 40, s.y, 300, 92, (-0.5, 11.5), (-1.1, 1.3))
    axes.curve(CELLS, total / count, "soft", dash=True)
    axes.curve(CELLS, increment, "blue")
    axes.dots(CELLS[seen], REPORTS[seen])
    s.text(*axes.at(8.2, -0.95), "total / count", at="start", kind="soft")
    s.text(*axes.at(7.1, 0.3), "total / (count + ½)", at="start", kind="blue", bold=True)
    s.text(34, axes.at(0, 1)[1] + 4, "1 K", at="end", kind="soft")
    s.text(34, axes.at(0, 0)[1] + 4, "0", at="end", kind="soft")
    s.text(34, axes.at(0, -1)[1] + 4, "−1", at="end", kind="soft")
    s.y += 98
    last = len(CELLS) - 1
    s.say("Far from data the plain ratio repeats the last report: "
          f"{num(total[last] / count[last], 2)} K.",
          f"The count there is {num(count[last], 2)}, so with {num(noise)} below the line",
          f"the answer is {num(increment[last], 2)} K: back to the prior.")
    s.alt = ("Frame 1: a row of cells, some seen; the values and the flags are spread with the same"
             " Gaussian into total and count. Frame 2: dots and two curves. Total over count "
             f"repeats the last report to the end of the row, {num(total[last] / count[last], 2)} "
             "K; with a half added to the count the curve returns to "
             f"{num(increment[last], 2)} K there.")
    return s


@drawing("One correction, step by step")
def one_correction(s):
    analyses = coarse_to_fine_toy()
    width, noise = PASSES[1]
    before, after = analyses[1], analyses[2]
    misfit, total, count, increment = one_pass(REPORTS, before, width, noise)
    seen = np.isfinite(REPORTS)
    left = np.where(seen, REPORTS - after, GAP)
    where_seen = np.where(seen, misfit, GAP)
    fine = np.linspace(-0.5, 11.5, 97)

    def panel(number, words):
        s.frame(number, words)
        axes = Axes(s, 40, s.y - 2, 300, 58, (-0.5, 11.5), (-1.15, 1.15))
        s.text(34, axes.at(0, 0)[1] + 4, "0", at="end", kind="soft")
        s.y += 64
        return axes

    def bars(axes):
        for x, m in zip(CELLS[seen], misfit[seen], strict=True):
            axes.bar(x, m, 9, "red")

    s.step("the analysis so far, and the reports")
    axes = panel(1, "The analysis so far, and the reports")
    axes.curve(CELLS, before, "blue")
    axes.dots(CELLS[seen], REPORTS[seen])
    s.step("misfit: what the analysis left over at the reports")
    bars(panel(2, f"Misfit: report − analysis ({num(rms(where_seen), 2)} K)"))
    s.step("spread the misfits with one bell")
    axes = panel(3, f"Spread it, {num(width, 0)} cells wide, and divide")
    bars(axes)
    sums_at = s.y + 10
    for i in range(len(CELLS)):
        rule = (f"{num(total[i], 2)} / ({num(count[i], 2)} + ½) = {num(increment[i], 2)} K")
        if i:
            s.step(f"cell {i + 1}: {rule}")
        with s.only():
            axes.curve(fine, gauss(fine - CELLS[i], width), "orange")
            s.text(MARGIN, sums_at, f"cell {i + 1}: total / (count + ½) = {rule}", at="start")
        if i:
            axes.curve(CELLS[i - 1:i + 1], increment[i - 1:i + 1], "green")
    s.step("add it to the analysis: one pass is done")
    axes = panel(4, f"Add it. Left over: {num(rms(left), 2)} K")
    axes.curve(CELLS, before, "soft", dash=True)
    axes.curve(CELLS, after, "blue")
    axes.dots(CELLS[seen], REPORTS[seen])
    s.say("K: root mean square over the reports that were seen.")
    s.alt = ("Four panels over one row of cells. 1: a smooth curve misses the dots. 2: bars show "
             f"the misfit at the dots, {num(rms(where_seen), 2)} K. 3: a green curve spreads the "
             "bars and divides by their count. 4: added to the old dashed curve it gives a blue one"
             f" nearer to the dots; {num(rms(left), 2)} K is left over for the next pass.")
    return s


@drawing("Coarse to fine: three passes")
def coarse_to_fine(s):
    analyses = coarse_to_fine_toy()
    seen = np.isfinite(REPORTS)
    left = [rms((REPORTS - a)[seen]) for a in analyses]
    for k, (width, _) in enumerate(PASSES, start=1):
        s.frame(k, f"{num(width, 0)} cell{'s' * (width > 1)} wide: misfit {num(left[k - 1], 2)} → "
                   f"{num(left[k], 2)} K")
        axes = Axes(s, 40, s.y - 2, 300, 70, (-0.5, 11.5), (-1.0, 1.2))
        s.text(34, axes.at(0, 0)[1] + 4, "0", at="end", kind="soft")
        axes.curve(CELLS, analyses[k - 1], "soft", dash=True)
        axes.curve(CELLS, analyses[k], "blue")
        axes.dots(CELLS[seen], REPORTS[seen])
        start = axes.at(11.3 - 2 * width, 1.02)
        s.line([start, axes.at(11.3, 1.02)], "orange", width=4)
        s.y += 76
    s.say("dashed: before the pass · blue: after it · dots: seen",
          "orange: two widths, from one flank of the bell to the other",
          "The wide pass fills the gap, the narrow ones draw the front.")
    s.alt = ("Three panels with the same dots. Pass 1, "
             f"{num(PASSES[0][0], 0)} cells wide, draws a shallow slope; pass 2, half as wide, a "
             "steeper one; pass 3 follows the dots and the sharp front between them. The misfit "
             f"falls from {num(left[0], 2)} over {num(left[1], 2)} and {num(left[2], 2)} to "
             f"{num(left[3], 2)} K.")
    return s


CROWD_AT, CROWD = np.array([2.0] * 6 + [5.0]), np.array([1.0] * 6 + [-1.0])
CROWD_ASKED, CROWD_LENGTH, CROWD_NOISE = 3.5, 3.0, 0.09


def guesses_of_passes(passes):
    """The guess for CROWD_ASKED after each pass of one width, divided by the count at the place of
    the guess (as the package does), and divided at the report (Bratseth 1986): (2, passes)."""
    among = gauss(apart(CROWD_AT, CROWD_AT), CROWD_LENGTH)
    noisy = among + CROWD_NOISE * np.eye(len(CROWD))
    to = gauss(CROWD_AT - CROWD_ASKED, CROWD_LENGTH)
    here, there, found = np.zeros(len(CROWD)), np.zeros(len(CROWD)), np.zeros((2, passes + 1))
    for k in range(passes):
        left = CROWD - here
        found[0, k + 1] = found[0, k] + to @ left / (to.sum() + CROWD_NOISE)
        here = here + among @ left / (among.sum(1) + CROWD_NOISE)
        left = (CROWD - there) / noisy.sum(0)  # each report divided by the company it has
        found[1, k + 1] = found[1, k] + to @ left
        there = there + noisy @ left
    return found[:, 1:]


def guess_of_head():
    scores = -((CROWD_AT - CROWD_ASKED) ** 2) / (2 * CROWD_LENGTH**2)
    return float(softmax(scores) @ CROWD)


def guess_of_oi():
    among = gauss(apart(CROWD_AT, CROWD_AT), CROWD_LENGTH) + CROWD_NOISE * np.eye(len(CROWD))
    to = gauss(CROWD_AT - CROWD_ASKED, CROWD_LENGTH)
    return float(to @ np.linalg.solve(among, CROWD))


@drawing("The crowd: one pass, many passes, optimal interpolation")
def the_crowd(s):
    s.frame(1, "Six reports at one place, one at another")
    axes = Axes(s, 24, s.y, 312, 78, (0.4, 6.6), (-1.5, 1.8))
    x, y = axes.at(2, 1)
    for k in range(6):
        s.dot(x - 8 + 3.2 * k, y - 4 + (k % 2) * 8, 3)
    s.text(x + 16, y + 4, "6 × (+1 K)", at="start")
    axes.dots([5], [-1])
    x, y = axes.at(5, -1)
    s.text(x + 10, y + 4, "−1 K", at="start")
    x, y = axes.at(CROWD_ASKED, 0)
    s.dot(x, y, 3, "paper", "red")
    s.text(x + 8, y - 6, "?", kind="red", bold=True, size=BODY)
    s.y += 88
    s.frame(2, "The guess half-way, in K")
    picks = (1, 5, 20, 200)
    found = guesses_of_passes(max(picks))
    ours, theirs = found[:, [k - 1 for k in picks]]
    head, oi = guess_of_head(), guess_of_oi()

    def bar(value, kind, h=13):
        s.rect(146, s.y + 3, max(190 * abs(value), 1), h, kind, None, round_=1)
        s.text(151 + 190 * abs(value), s.y + 3 + h - 2, num(value, 2), at="start")

    s.text(138, s.y + 13, "one attention head", at="end")
    bar(head, "red")
    s.y += 24
    for k, a, b in zip(picks, ours, theirs, strict=True):
        s.text(138, s.y + 20, f"{k} pass{'es' * (k > 1)}", at="end")
        bar(a, "blue", 12)
        s.y += 14
        bar(b, "purple", 12)
        s.y += 21
    s.text(138, s.y + 13, "OI", at="end")
    bar(oi, "green")
    s.y += 24
    s.text(MARGIN, s.y + 10, "blue: divide by the count at the place asked (ours)", at="start",
           kind="blue")
    s.text(MARGIN, s.y + 26, "purple: divide at the report (Bratseth): it ends at OI", at="start",
           kind="purple")
    s.y += 34
    s.say("One pass lets six speak six times. What the crowd said is",
          "then no longer left over, and the loner is heard.")
    s.alt = ("Frame 1: six reports of +1 K at one place, one of −1 K at another; the question lies "
             f"half-way. Frame 2, bars of the guess: one attention head {num(head, 2)} K; after "
             f"{', '.join(map(str, picks))} passes {words_of(ours, 2)} K when divided at the place "
             f"asked, {words_of(theirs, 2)} K when divided at the report; optimal interpolation "
             f"{num(oi, 2)} K.")
    return s


PLACES, FRONT = np.arange(6.0), np.array([1.0, 1.0, 1.0, -1.0, -1.0, -1.0])
HEARD = np.array([0.8, GAP, 0.9, -0.7, -0.8, -0.6])


def two_kernels(asker=1, width=2.0, care=1.5):
    """Weights of the patches for one of them: by places, and by places and content."""
    seen = np.isfinite(HEARD)
    scores = np.where(seen, -0.5 * ((PLACES - PLACES[asker]) / width) ** 2, -np.inf)
    return softmax(scores), softmax(scores + care * FRONT * FRONT[asker])


@drawing("A pass knows places, a head knows the data")
def pass_and_head(s):
    by_place, by_data = two_kernels()
    values = np.nan_to_num(HEARD)
    s.frame(1, "Patch 2 was hidden. A front runs by 3 | 4")
    for i in range(6):
        s.cell(50 + 48 * i, s.y, HEARD[i], 1.2, w=44, h=26, gap="?")
        s.text(72 + 48 * i, s.y + 40, str(i + 1), kind="red" if i == 1 else "soft", bold=i == 1)
    s.line([(192, s.y - 4), (192, s.y + 30)], "purple", width=2.4)
    s.y += 50
    for number, words, weights, kind in (
            (2, "A pass: weights know only places", by_place, "blue"),
            (3, "A head: the key also says the side of the front", by_data, "red")):
        s.frame(number, words)
        for i in range(6):
            height = 52 * weights[i]
            s.rect(58 + 48 * i, s.y + 48 - height, 28, height, kind, None, round_=1)
            s.text(72 + 48 * i, s.y + 44 - height, num(weights[i], 2))
        s.line([(46, s.y + 48.5), (340, s.y + 48.5)])
        s.y += 58
        s.text(MARGIN, s.y + 8, f"Σ weight · value = {num(weights @ values, 2)} K", at="start",
               kind=kind, bold=True, size=BODY)
        s.y += 20
    s.say("Both are softmax weights times values. Where the keys know",
          "nothing but the place, the head is the pass.")
    s.alt = ("Six patches in a row, warm 1 to 3, cold 4 to 6, patch 2 hidden. Bars of weights for "
             f"patch 2. By places alone: {words_of(by_place, 2)}, and the guess is "
             f"{num(by_place @ values, 2)} K. With the side of the front in the key: "
             f"{words_of(by_data, 2)}, and the guess is {num(by_data @ values, 2)} K.")
    return s


# ---- video to tokens --------------------------------------------------------------------


@drawing("Cut two days into patches")
def cut_into_patches(s):
    s.frame(1, "Two days of 4 × 4 pixels")
    for t in range(2):
        x = 18 + 172 * t
        s.text(x + 72, s.y + 9, f"day {t + 1}", kind="soft")
        s.grid(x, s.y + 15, TOY[t], 1.4, w=36, h=24, gap="·")
        for k in range(4):
            s.rect(x + 72 * (k % 2), s.y + 15 + 48 * (k // 2), 72, 48, "no", SERIES[k], width=2.6)
    s.y += 122
    s.frame(2, "Patches of 1 day, 2 rows, 2 columns")
    for t in range(2):
        x = 18 + 172 * t
        for k in range(4):
            px, py = x + 76 * (k % 2), s.y + 12 + 62 * (k // 2)
            s.text(px + 34, py, f"{NAMES[k]}, day {t + 1}", kind=SERIES[k], bold=True)
            s.grid(px, py + 5, patches(TOY)[t, k].reshape(2, 2), 1.4, w=34, h=21, gap="·")
    s.y += 128
    s.say("T' = 2, H' = 2, W' = 2: eight patches. A dot is a gap.")
    s.alt = ("Frame 1: two days of 4 by 4 pixels with anomalies and gaps; coloured frames cut each "
             "into four quarters. Frame 2: the quarters lie apart as eight patches of four pixels: "
             "A, B in the upper row, C, D in the lower, for day 1 and day 2. A and D of day 2 saw "
             "nothing.")
    return s


@drawing("A patch becomes a token, with numbers")
def patch_to_token(s):
    patch = patches(TOY)[0, 1]
    eight = numbers_of(patch)
    made = EMBED @ eight
    s.frame(1, "Patch B of day 1: four values, four flags")
    s.grid(20, s.y + 4, patch.reshape(2, 2), 1.4, w=36, h=24)
    s.text(112, s.y + 32, "→", size=14)
    for half in range(2):
        for k in range(4):
            at = (134 + 53 * k, s.y + 4 + 24 * half)
            if half:
                s.plain(*at, num(eight[4 + k], 0), w=53, h=24, kind="lit" if eight[4 + k] else
                        "gap", ink="onlit" if eight[4 + k] else "soft")
            else:
                s.cell(*at, eight[k], 1.4, w=53, h=24)
    s.y += 62
    s.frame(2, "Times a matrix of 3 × 8")
    s.text(18 + 34 * 2 + 54, s.y + 9, "for the values", kind="soft")
    s.text(18 + 34 * 6 + 54, s.y + 9, "for the flags", kind="soft")
    for i in range(3):
        for j in range(8):
            weight = EMBED[i, j]
            s.plain(54 + 34 * j, s.y + 15 + 22 * i, num(weight, 2) if weight % 0.5 else
                    num(weight), kind="box" if weight else "gap", ink="ink" if weight else "soft")
        s.text(MARGIN, s.y + 30 + 22 * i, f"row {i + 1}", at="start", kind="soft")
    s.y += 92
    s.frame(3, "The token: D = 3 numbers")
    meanings = ("sum of the values / 4", "share that was seen", "east minus west, halved")
    token(s, 56, s.y + 2, made, w=48, h=22, series="red")
    for i, words in enumerate(meanings):
        terms = [(EMBED[i, j], eight[j]) for j in range(8) if EMBED[i, j] and eight[j]]
        rule = " + ".join(f"{num(a, 2)} · {num(b)}" for a, b in terms)
        s.text(116, s.y + 17 + 22 * i, f"= {rule}", at="start")
        s.text(212, s.y + 17 + 22 * i, words, at="start", kind="soft")
    s.y += 76
    s.say("These weights were chosen to be readable; a network learns",
          "its own, 128 rows of 32. A gap is 0 with flag 0.")
    s.alt = (f"Frame 1: a patch with one value, {num(np.nanmax(patch))} K, and three gaps becomes "
             f"eight numbers: values {words_of(eight[:4])} and flags {words_of(eight[4:], 0)}. "
             "Frame 2: a matrix of three rows and eight columns. Frame 3: their product is a token "
             f"of three numbers, {words_of(made, 2)}: a quarter of the sum, the share seen, and "
             "east minus west.")
    return s


@drawing("All tokens in a row")
def tokens_in_a_row(s):
    made = toy_tokens()
    s.frame(1, "Eight tokens, in this order")
    for t in range(2):
        for k in range(4):
            x = 16 + 41.5 * (4 * t + k)
            s.text(x + 18, s.y + 10, NAMES[k], kind=SERIES[k], bold=True)
            token(s, x, s.y + 16, made[t, k], w=37, series=SERIES[k])
        s.line([(16 + 166 * t, s.y + 84), (176 + 166 * t, s.y + 84)], "soft")
        s.text(96 + 166 * t, s.y + 98, f"day {t + 1}", kind="soft")
    s.y += 112
    s.frame(2, "The shapes on the way")
    lines = [
        ("(1, 1, 2, 4, 4)", "B, C, T, H, W: the video"),
        ("(1, 2, 2, 4, 4)", "values and flags: 2C channels"),
        ("(1, 3, 2, 2, 2)", "conv: B, D, T', H', W'"),
        ("(1, 3, 8)", "flatten(2): day, row, column"),
        ("(1, 8, 3)", "transpose(1, 2): B, T'H'W', D"),
    ]
    for shape, words in lines:
        s.text(MARGIN + 8, s.y + 12, shape, at="start", mono=True)
        s.text(142, s.y + 12, words, at="start", kind="soft")
        s.y += 19
    hidden = made[1, 0]
    s.y += 3
    s.say(f"A and D of day 2 saw nothing: both are {words_of(hidden, 0)}.")
    s.alt = ("Frame 1: a row of eight columns of three numbers, tokens A, B, C, D of day 1, then of"
             " day 2; those of A and D on day 2 are all zero. Frame 2: the shapes on the way, from "
             "(1, 1, 2, 4, 4) with flags to (1, 2, 2, 4, 4), through the convolution to "
             "(1, 3, 2, 2, 2), flattened to (1, 3, 8), and transposed to (1, 8, 3).")
    return s


# ---- telling time -----------------------------------------------------------------------


def sincos(position, dim):
    """Sines (even) and cosines (odd) of a position: (dim,)."""
    angles = position * 10000.0 ** (-np.arange(0, dim, 2) / dim)
    return np.stack([np.sin(angles), np.cos(angles)], -1).ravel()


@drawing("A day as the hands of clocks")
def clocks(s):
    hands, days, dim = (0, 8, 16), (0, 2, 4, 6, 8), 128
    s.y = 14
    for c, day in enumerate(days):
        s.text(116 + 50 * c, s.y + 10, f"day {day}", bold=True)
    s.y += 18
    for hand in hands:
        omega = 10000.0 ** (-2 * hand / dim)
        s.text(MARGIN, s.y + 20, f"hand {hand}", at="start", bold=True)
        s.text(MARGIN, s.y + 36, f"{num(2 * math.pi / omega)} days", at="start", kind="soft")
        for c, day in enumerate(days):
            x, y, angle = 116 + 50 * c, s.y + 24, day * omega
            s.dot(x, y, 20, "box", "line")
            s.line([(x, y), (x + 17 * math.sin(angle), y - 17 * math.cos(angle))], "red", width=2.4)
            s.dot(x, y, 2.4, "red")
        s.y += 54
    angle = days[1]
    s.y += 2
    s.say("A hand is two numbers, the sine and the cosine of its angle.",
          f"Hand 0 on day {days[1]}: {num(math.sin(angle), 2)} and {num(math.cos(angle), 2)}. "
          "The quick hand tells",
          "neighbours apart, the slow ones tell early from late.")
    s.alt = (f"Clock faces in three rows, for days {', '.join(map(str, days))}. The hand of the "
             f"first row turns once in {num(2 * math.pi)} days and stands differently every time; "
             "the second takes three times as long; the third, ten times as long, moves on by "
             f"half a quarter in two steps. Hand 0 on day {days[1]} is the pair "
             f"{num(math.sin(angle), 2)}, {num(math.cos(angle), 2)}.")
    return s


def marks(days, dim=4):
    return np.array([sincos(d, dim) for d in range(days)])


@drawing("A mark makes two hidden days differ")
def marked_tokens(s):
    hidden = np.array([0.3, -0.5, 0.7, 0.2])
    table = marks(2)
    s.text(MARGIN, 26, "two days of one patch, both hidden", size=BODY, at="start", bold=True)
    s.y = 40
    for t in range(2):
        x = 20 + 174 * t
        s.text(x + 70, s.y + 10, f"day {t}", kind="soft", bold=True)
        for k, (name, values, series) in enumerate((("token", hidden, "blue"),
                                                    ("mark", table[t], "orange"),
                                                    ("sum", hidden + table[t], "green"))):
            px = x + 54 * k
            s.text(px + 19, s.y + 27, name, kind=series, bold=True)
            token(s, px, s.y + 34, values, w=38, h=22, series=series)
            if k:
                s.text(px - 8, s.y + 83, "+=" [k - 1], size=14)
        if t == 0:
            s.line([(x + 160, s.y + 4), (x + 160, s.y + 124)], "edge")
    s.y += 132
    same = hidden + table[0] - hidden - table[1]
    s.say("blue: a hidden patch always gives the same token",
          "orange: sine and cosine of a quick and of a slow hand",
          f"green: now they lie {num(np.linalg.norm(same), 2)} apart: "
          "\"I saw nothing, on day 1\"")
    s.alt = ("Two days of one hidden patch, each as three columns of four numbers. The tokens are "
             f"equal, {words_of(hidden)}. The marks differ: {words_of(table[0], 2)} on day 0, "
             f"{words_of(table[1], 2)} on day 1. So the sums differ: "
             f"{words_of(hidden + table[0], 2)} and {words_of(hidden + table[1], 2)}.")
    return s


@drawing("A bag of days")
def bag_of_days(s):
    days = np.array([0.2, 0.5, 0.9])
    slope = np.array([0.5, 0.3, 0.2])
    forward, backward = days @ slope, days[::-1] @ slope
    by_token = softmax(2 * days)
    unmarked = by_token @ days
    unmarked_back = softmax(2 * days[::-1]) @ days[::-1]

    def row(values, weights, result, kind):
        for k, (v, w) in enumerate(zip(values, weights, strict=True)):
            x = 14 + 90 * k
            s.text(x, s.y + 10, f"{num(w, 2)} ×", at="start", kind=kind)
            s.cell(x + 38, s.y - 4, v, 1.2, w=32, h=21)
            s.text(x + 80, s.y + 11, "+" if k < 2 else "=", size=13)
        s.text(318, s.y + 11, f"{num(result, 2)} K", kind=kind, bold=True, size=BODY)
        s.y += 29

    s.frame(1, "Weights from the token alone")
    row(days, by_token, unmarked, "blue")
    row(days[::-1], softmax(2 * days[::-1]), unmarked_back, "blue")
    s.say("A month that warms and the same month played backwards:",
          "each day takes its weight along. Nothing changes.")
    s.y += 6
    s.frame(2, "Weights that know the day")
    row(days, slope, forward, "red")
    row(days[::-1], slope, backward, "red")
    s.say("Now the first day counts most, whatever it holds,",
          "and the two months differ.")
    s.alt = ("Frame 1: three days, 0.2, 0.5, 0.9 K, and the same backwards; each day keeps its "
             f"weight, and both sums are {num(unmarked, 2)} K. Frame 2: the weights belong to the "
             f"days of the calendar, {words_of(slope)}; forwards the sum is {num(forward, 2)} K, "
             f"backwards {num(backward, 2)} K.")
    return s


# ---- which days matter ------------------------------------------------------------------

SCORES = np.array([2.0, 1.0, 0.0, 1.0])


@drawing("From scores to weights")
def scores_to_weights(s):
    def rows(scores, names=("score", "e^score", "weight"), in_steps=False):
        powers, weights = np.exp(scores), softmax(scores)
        for name, values, kind, end, words in (
                ("score", scores, "ink", "", ""),
                ("e^score", powers, "soft", f"Σ = {num(powers.sum(), 2)}",
                 "the exponential of each score, and their sum"),
                ("weight", weights, "blue", f"Σ = {num(weights.sum(), 0)}",
                 f"divided by {num(powers.sum(), 2)}: the weights are {words_of(weights, 2)}")):
            if name not in names:
                continue
            if in_steps and words:
                s.step(words)
            s.text(MARGIN, s.y + 15, name, at="start", kind=kind, bold=kind == "blue")
            for k, v in enumerate(values):
                text = "−∞" if np.isneginf(v) else num(v, 0 if name == "score" else 2)
                hidden = np.isneginf(scores[k])
                s.plain(70 + 52 * k, s.y, text, w=52, h=22, kind="gap" if hidden else "box",
                        ink="red" if hidden else kind, bold=kind == "blue")
            if end:
                s.text(286, s.y + 15, end, at="start", kind="soft")
            s.y += 22
        for k, v in enumerate(weights):
            s.rect(82 + 52 * k, s.y + 44 - 62 * v, 28, 62 * v, "blue", None, round_=1)
        s.line([(70, s.y + 44.5), (278, s.y + 44.5)])
        s.y += 58

    cloudy = np.array([*SCORES[:3], -np.inf])
    s.step("four days, a score each")
    s.frame(1, "Four days, all seen")
    rows(SCORES, in_steps=True)
    s.step("a cloud over day 4: its score is minus infinity")
    s.frame(2, "Day 4 is hidden: its score is −∞")
    rows(cloudy, in_steps=True)
    louder, top, last = cloudy.copy(), s.y, 3
    for score in range(last + 1):
        louder[2] = score
        weights = softmax(louder)
        s.step(f"day 3 has score {score}: the weights are {words_of(weights, 2)}")
        if score == 0:
            s.frame(3, f"Day 3 speaks up, from score 0 to {last}")
            top = s.y
        s.y = top
        if score == last:
            rows(louder, ("score", "weight"))
        else:
            with s.only():
                rows(louder, ("score", "weight"))
    s.say("One point more is e = 2.72 times the weight against the",
          "others. A score of −∞ becomes 0, and the others share the 1.")
    s.alt = ("Frame 1: scores 2, 1, 0, 1 of four days, their exponentials, and the weights "
             f"{words_of(softmax(SCORES), 2)}, drawn as bars; they sum to 1. Frame 2: day 4 is "
             "hidden, its score is minus infinity, its weight 0, and the others become "
             f"{words_of(softmax(cloudy)[:3], 2)}. Frame 3: day 3 rises to score {last}: its weight"
             f" is {num(weights[2], 2)}, those of days 1 and 2 fall to {words_of(weights[:2], 2)}.")
    return s


def toy_day_weights(eager=2.0):
    """Scores and weights (2 days, 4 patches) of the toy month: the more was seen, the louder."""
    share = toy_tokens()[..., 1]
    scores = np.where(share > 0, eager * share, -np.inf)
    return scores, softmax(scores)


@drawing("Attention over days, one step")
def attention_over_days(s):
    made = toy_tokens()
    scores, weights = toy_day_weights()
    s.frame(1, "A score for each day of each patch")
    for k in range(4):
        s.text(118 + 62 * k, s.y + 10, f"patch {NAMES[k]}", kind=SERIES[k], bold=True)
    for t in range(2):
        s.text(MARGIN, s.y + 31 + 24 * t, f"day {t + 1}", at="start")
        for k in range(4):
            hidden = np.isneginf(scores[t, k])
            s.plain(87 + 62 * k, s.y + 16 + 24 * t, "−∞" if hidden else num(scores[t, k]), w=62,
                    h=24, kind="gap" if hidden else "box", ink="red" if hidden else "ink")
    s.y += 72
    s.say("here 2 × share seen, a hidden day −∞; (B, T', N) = (1, 2, 4)")
    s.y += 5
    s.frame(2, "Softmax down each column: over the days")
    for t in range(2):
        s.text(MARGIN, s.y + 17 + 24 * t, f"day {t + 1}", at="start")
        for k in range(4):
            s.plain(87 + 62 * k, s.y + 2 + 24 * t, num(weights[t, k], 2), w=62, h=24)
            s.rect(87 + 62 * k, s.y + 22 + 24 * t, 62 * weights[t, k], 4, SERIES[k], None, round_=0)
    s.y += 62
    s.frame(3, "Weights times tokens, summed")
    month = (weights[..., None] * made).sum(0)
    for k in range(4):
        x = 87 + 62 * k
        token(s, x + 10, s.y + 2, month[k], w=42, h=20, series=SERIES[k])
    s.text(MARGIN, s.y + 18, "one token", at="start")
    s.text(MARGIN, s.y + 34, "a patch:", at="start")
    s.text(MARGIN, s.y + 50, "(1, 4, 3)", at="start", kind="soft")
    s.y += 72
    rule = " + ".join(f"{num(w, 2)} · {num(x, 2)}" for w, x in
                      zip(weights[:, 1], made[:, 1, 0], strict=True))
    s.say(f"B, first number: {rule} = {num(month[1, 0], 2)}")
    s.alt = ("Frame 1: a table of scores for two days and patches A to D; day 2 of A and D is "
             "hidden and scores minus infinity. Frame 2: a softmax over the days of each patch: A "
             f"{words_of(weights[:, 0], 2)}, B {words_of(weights[:, 1], 2)}, C "
             f"{words_of(weights[:, 2], 2)}, D {words_of(weights[:, 3], 2)}. Frame 3: the weighted "
             "sums, one token of three numbers a patch.")
    return s


# ---- telling place ----------------------------------------------------------------------


@drawing("Half for the row, half for the column")
def address(s):
    dim = 4
    s.text(MARGIN, 26, "the address of 2 × 2 patches, D = 4", size=BODY, at="start", bold=True)
    s.y = 36
    for k in range(4):
        row, col = divmod(k, 2)
        x, y = 34 + 168 * col, s.y + 78 * row
        s.text(x, y + 14, f"{NAMES[k]}: row {row}, column {col}", at="start", kind=SERIES[k],
               bold=True)
        values = np.concatenate([sincos(row, dim // 2), sincos(col, dim // 2)])
        for c, v in enumerate(values):
            s.cell(x + 34 * c, y + 22, v, 1.4, w=34, h=24, digits=2)
        s.rect(x - 1, y + 21, 70, 26, "no", "blue", width=2.2)
        s.rect(x + 67, y + 21, 70, 26, "no", "orange", width=2.2)
        s.text(x + 34, y + 62, "row", kind="blue")
        s.text(x + 102, y + 62, "column", kind="orange")
    s.y += 158
    s.say("A and B share the row half, A and C the column half.",
          "No two addresses are equal. They are added to the tokens.")
    s.alt = ("Four patches, each with an address of four numbers. The first two, framed blue, are "
             "sine and cosine of the row; the last two, framed orange, of the column. A and B have "
             f"the row half {words_of(sincos(0, 2), 2)}, C and D {words_of(sincos(1, 2), 2)}; A "
             f"and C the column half {words_of(sincos(0, 2), 2)}. No two addresses are equal.")
    return s


def twin_groups(side=3, added=True):
    """For each place of a grid the number of the first place with the same address: (side**2,)."""
    table = [np.round(sincos(k, 4), 9) for k in range(side)]
    found, groups = [], []
    for row in range(side):
        for col in range(side):
            a, b = table[row], table[col]
            whole = tuple(np.round(a + b, 6)) if added else tuple(np.concatenate([a, b]))
            if whole not in found:
                found.append(whole)
            groups.append(found.index(whole))
    return groups


@drawing("Twins: two places, one address")
def twins(s):
    s.y = 16
    for k, (name, added) in enumerate((("added", True), ("side by side", False))):
        groups, x = twin_groups(added=added), 28 + 172 * k
        s.text(x + 66, s.y + 10, name, bold=True, size=BODY)
        pairs = [g for g in sorted(set(groups)) if groups.count(g) > 1]
        for place, group in enumerate(groups):
            row, col = divmod(place, 3)
            at = (x + 44 * col, s.y + 20 + 34 * row)
            s.plain(*at, f"{row}, {col}", w=44, h=34)
            if group in pairs:
                s.rect(at[0] + 3, at[1] + 3, 38, 28, "no", SERIES[pairs.index(group)], width=3)
        different = len(set(groups))
        s.text(x + 66, s.y + 140, f"{different} addresses for 9 places",
               kind="red" if added else "green", bold=True)
    s.y += 152
    s.say("Row, column of each place. Frames of one colour: twins.",
          "Row 0 + column 2 is row 2 + column 0, whatever the table.")
    s.alt = ("Two grids of 3 by 3 places. Left, row and column added: mirror places such as (0, 1) "
             "and (1, 0) carry frames of one colour, they are twins; "
             f"{len(set(twin_groups()))} addresses for 9 places. Right, row and column side by "
             f"side: no twins, {len(set(twin_groups(added=False)))} addresses.")
    return s


# ---- looking across the ocean -----------------------------------------------------------

ASKS = np.array([1.0, 0.5])  # query of patch D
OFFERS = np.array([[-1.0, 0.5], [1.0, 1.0], [0.5, -1.0], [1.0, -2.0]])  # keys of A, B, C, D
SAYS = np.array([0.4, 0.9, -0.3, 0.0])  # values, K


def head_step():
    scores = OFFERS @ ASKS / math.sqrt(len(ASKS))
    weights = softmax(scores)
    return scores, weights, float(weights @ SAYS)


@drawing("Attention between places, one step")
def attention_between_places(s):
    scores, weights, heard = head_step()
    s.step("patch D was hidden: it asks")
    s.frame(1, "Patch D was hidden. It asks all four")
    top = s.y + 2
    middles = [(48 + 48 * (k % 2), top + 17 + 34 * (k // 2)) for k in range(4)]
    for k, (x, y) in enumerate(middles):
        s.plain(x - 24, y - 17, NAMES[k] + (" ?" if k == 3 else ""), w=48, h=34,
                kind="lit" if k == 3 else "box", ink="onlit" if k == 3 else "ink", bold=True)
    s.text(150, s.y + 16, "query of D", at="start", kind="purple", bold=True)
    for c, v in enumerate(ASKS):
        s.plain(230 + 44 * c, s.y + 2, num(v), w=44, h=21)
    s.text(150, s.y + 46, "\"what I am looking for\"", at="start", kind="soft")
    s.text(150, s.y + 62, "d = 2 numbers", at="start", kind="soft")
    s.y += 82
    for k in range(4):
        product = " + ".join(f"{num(a)} · {num(b)}" if b >= 0 else f"{num(a)} · ({num(b)})"
                             for a, b in zip(ASKS, OFFERS[k], strict=True))
        s.step(f"D and the key of {NAMES[k]}: ({product}) / √2 = {num(scores[k], 2)}")
        if k == 0:
            s.frame(2, "Score: query · key / √d")
            for name, x in (("key", 76), ("score", 166)):
                s.text(x, s.y + 9, name, kind="soft")
        with s.only():
            x, y = middles[k]
            s.rect(x - 24, y - 17, 48, 34, "no", SERIES[k], width=4)
        y = s.y + 15 + 24 * k
        s.text(24, y + 16, NAMES[k], kind=SERIES[k], bold=True)
        for c in range(2):
            s.plain(38 + 38 * c, y, num(OFFERS[k, c]), w=38)
        s.text(166, y + 15, num(scores[k], 2))
    s.step("softmax: the four scores become weights that sum to 1")
    s.text(226, s.y + 9, "weight", kind="soft")
    for k in range(4):
        y = s.y + 15 + 24 * k
        s.rect(200, y + 1, 64 * weights[k], 20, SERIES[k], None, round_=1)
        s.text(204 + 64 * weights[k], y + 15, num(weights[k], 2), at="start")
    s.step("each patch says its value, as loudly as its weight")
    s.text(300, s.y + 9, "value", kind="soft")
    for k in range(4):
        s.cell(280, s.y + 15 + 24 * k, SAYS[k], 1.2, w=40)
    s.y += 120
    s.step(f"weights times values, summed: {num(heard, 2)} K for patch D")
    s.frame(3, "Hear: weights times values, summed")
    rule = " + ".join(f"{num(w, 2)} · {num(v)}" if v >= 0 else f"{num(w, 2)} · ({num(v)})"
                      for w, v in zip(weights, SAYS, strict=True))
    s.text(MARGIN, s.y + 10, rule, at="start")
    s.text(MARGIN, s.y + 28, f"= {num(heard, 2)} K for patch D", at="start", size=BODY, bold=True,
           kind="purple")
    s.y += 36
    s.alt = (f"Frame 1: patches A to D; D is hidden and asks with the query {words_of(ASKS)}. Frame"
             f" 2: its products with the keys of A to D over the root of 2 give scores "
             f"{words_of(scores, 2)}, the softmax weights {words_of(weights, 2)}. Frame 3: these "
             f"times the values {words_of(SAYS)} K sum to {num(heard, 2)} K.")
    return s


@drawing("Four heads share a token")
def four_heads(s):
    D, heads = 128, 4
    s.frame(1, f"Cut each token: D = {D} = {heads} × {D // heads}")
    for h in range(heads):
        s.rect(24 + 78 * h, s.y + 2, 78, 20, SERIES[h], "paper", round_=0, width=2)
        s.text(63 + 78 * h, s.y + 38, f"{h * D // heads} to {(h + 1) * D // heads - 1}",
               kind="soft")
    s.y += 50
    s.frame(2, "Each head has its own weights")
    spots = [(0, 0), (1, 0), (2, 0), (0, 1), (1, 1), (2, 1)]
    wishes = [gauss([math.dist(p, (1, 1)) for p in spots], 0.7),
              np.array([0.1, 0.1, 1, 0.1, 0.1, 1]), np.ones(6), np.array([1, 0.05, 0.05, 0.6, 0.05,
                                                                          0.05])]
    words = ("who is near?", "who is east?", "everybody", "who is west?")
    for h in range(heads):
        x = 24 + 78 * h
        shares = wishes[h] / wishes[h].sum()
        for (c, r), share in zip(spots, shares, strict=True):
            s.rect(x + 6 + 21 * c, s.y + 4 + 21 * r, 21, 21, "no", "line", round_=0)
            s.dot(x + 16.5 + 21 * c, s.y + 14.5 + 21 * r, 1 + 12 * math.sqrt(share), SERIES[h])
        s.text(x + 37, s.y + 62, words[h], kind=SERIES[h])
    s.y += 74
    s.frame(3, "Join the four answers, mix with a matrix")
    for h in range(heads):
        s.rect(24 + 78 * h, s.y + 2, 78, 20, SERIES[h], "paper", round_=0, width=2)
    s.arrow((180, s.y + 25), (180, s.y + 40))
    s.text(188, s.y + 37, f"nn.Linear({D}, {D})", at="start", kind="soft", mono=True)
    s.rect(24, s.y + 42, 312, 20, "box", "line", round_=0)
    s.y += 64
    s.alt = (f"Frame 1: a token of {D} numbers is cut into {heads} coloured parts of {D // heads}. "
             "Frame 2: on a small grid each head spreads its weights in its own way: near patches, "
             "eastern ones, all alike, western ones. Frame 3: the four answers are joined into one "
             f"list of {D} and mixed by a matrix.")
    return s


@drawing("A layer: listen, think, and keep what was there")
def transformer_layer(s):
    for k, (name, order, kind) in enumerate((
            ("post-norm (this book)", ["attention", "+", "norm", "MLP", "+", "norm"], "blue"),
            ("pre-norm (most today)", ["norm", "attention", "+", "norm", "MLP", "+"], "green"))):
        x = 96 + 170 * k
        s.text(x, 26, name, kind=kind, bold=True)
        s.text(x, 46, "x (B, N, D)", kind="soft")
        y, start = 51, 51
        for part in order:
            if part == "+":
                s.arrow((x, y), (x, y + 15))
                y += 24
                s.line([(x, start + 4), (x - 62, start + 4), (x - 62, y), (x - 15, y)], kind,
                       width=1.8)
                s.arrow((x - 20, y), (x - 9, y), kind=kind)
                s.dot(x, y, 9, "paper", kind)
                s.text(x, y + 4.5, "+", size=13, bold=True)
                y += 9
                if name.startswith("pre"):
                    start = y
            else:
                s.arrow((x, y), (x, y + 15))
                y += 15
                lit = part in ("attention", "MLP")
                words = {"attention": "listen", "MLP": "think"}.get(part, "layer norm")
                s.rect(x - 45, y, 90, 25, "lit" if lit else "box", "line", round_=4)
                s.text(x, y + 17, words, kind="onlit" if lit else "ink", bold=lit)
                y += 25
                if part == "norm" and name.startswith("post"):
                    start = y
        s.arrow((x, y), (x, y + 14), kind="soft")
    s.y = 306
    s.say("listen: attention, tokens ask each other · think: two linear",
          "layers, each token alone. The coloured line carries the token",
          "past both. In pre-norm nothing ever changes that line.")
    s.alt = ("Two columns. Post-norm, as in this book: listen, add the token itself, layer norm, "
             "think, add, layer norm. Pre-norm: layer norm, listen, add, layer norm, think, add. A "
             "coloured line carries the token past each of the two steps to the plus sign; in "
             "pre-norm no norm lies on that line.")
    return s


# ---- back to pixels ---------------------------------------------------------------------

STRENGTH = np.array([1.0, 0.5, -0.5])  # three tokens, one number each


def stamped(overlap, patch=4, stamp=None):
    """What each token presses (tokens, pixels) before the rim is cut, and how many stamps lie."""
    size = patch + 2 * overlap
    stamp = np.ones(size) if stamp is None else stamp
    pressed = np.zeros((len(STRENGTH), len(STRENGTH) * patch + 2 * overlap))
    lies = np.zeros_like(pressed)
    for k, strength in enumerate(STRENGTH):
        pressed[k, k * patch:k * patch + size] = strength * stamp
        lies[k, k * patch:k * patch + size] = 1
    keep = slice(overlap, pressed.shape[1] - overlap)
    return pressed[:, keep], lies[:, keep].sum(0)


@drawing("Stamps that overlap: a transposed convolution, one step")
def stamps(s):
    pressed, count = stamped(1)
    side, left = 27, 28
    s.step("three tokens, one number each")
    s.frame(1, "Three tokens, one number each")
    for k, v in enumerate(STRENGTH):
        s.cell(left + side * (4 * k + 1), s.y + 1, v, 1.6, w=side * 2, h=22)
    s.y += 32
    for k in range(3):
        s.step(f"token {NAMES[k]} presses its stamp, {num(STRENGTH[k])} strong")
        if k == 0:
            s.frame(2, "Each presses its stamp: 6 pixels, every 4")
        for p in range(12):
            if pressed[k, p]:
                s.cell(left + side * p, s.y, pressed[k, p], 1.6, w=side, h=20)
            else:
                s.rect(left + side * p, s.y, side, 20, "no", "edge")
        s.text(8, s.y + 14, NAMES[k], at="start", kind=SERIES[k], bold=True)
        s.y += 23
    s.y += 6
    s.step("where two stamps lie on a pixel, they add up")
    s.frame(3, "Add up, pixel by pixel")
    s.grid(left, s.y, pressed.sum(0), 1.6, w=side, h=22)
    s.text(12, s.y + 15, "Σ", at="start")
    s.y += 26
    for p in range(12):
        s.text(left + side * (p + 0.5), s.y + 11, str(int(count[p])),
               kind="red" if count[p] > 1 else "soft", bold=bool(count[p] > 1))
    s.text(8, s.y + 11, "laid", at="start", kind="soft")
    s.y += 18
    for k in (1, 2):
        s.line([(left + side * 4 * k, s.y - 46), (left + side * 4 * k, s.y)], "purple", width=2,
               dash=True)
    s.y += 4
    s.say("laid: stamps on a pixel. Beside each joint (dashed) there are",
          "two: a patch reaches over its rim and can hide the joint.")
    s.alt = (f"Frame 1: three tokens, {words_of(STRENGTH)}. Frame 2: each presses a stamp of six "
             "pixels, one every four, on a line of twelve; neighbours overlap by two. Frame 3: "
             f"added up the line reads {words_of(pressed.sum(0))}. The number of stamps on the "
             f"pixels is {' '.join(str(int(c)) for c in count)}.")
    return s


def taper(patch=4, overlap=1):
    """Amplitudes whose squares add up to 1 where stamps overlap, as the package has them."""
    size = patch + 2 * overlap
    ramp = np.minimum(np.minimum(np.arange(1, size + 1), np.arange(size, 0, -1)), 2 * overlap + 1.0)
    total = np.zeros(patch)
    for k in range(size):
        total[k % patch] += ramp[k]
    return np.sqrt(ramp / total[np.arange(size) % patch])


@drawing("A softer rim: squares that add up to one")
def soft_rim(s):
    for number, words, stamp in ((1, "Stamps of ones", np.ones(6)), (2, "Softer rims", taper())):
        s.frame(number, words)
        axes = Axes(s, 44, s.y - 2, 296, 84, (-0.6, 11.6), (0, 2.25), zero=False)
        loud = np.zeros(14)
        for k in range(3):
            at = np.arange(6) + 4 * k
            loud[at] += stamp**2
            for p, v in zip(at - 1, stamp, strict=True):
                if 0 <= p < 12:
                    axes.bar(p + 0.24 * (k - 1), v**2, 6, SERIES[k])
        loud = loud[1:-1]
        steps = [axes.at(p + d, v) for p, v in enumerate(loud) for d in (-0.5, 0.5)]
        s.line(steps, "ink", width=1.8)
        for v in (1, 2):
            s.text(38, axes.at(0, v)[1] + 4, str(v), at="end", kind="soft")
        s.y += 92
    s.say("bars: squares of the stamps of three tokens; line: their sum,",
          "the variance of a fresh map. The pixels at the ends have no",
          f"second stamp. Amplitudes: {words_of(taper(), 2)}")
    s.alt = ("Two plots over twelve pixels. 1: three stamps of ones; where two overlap the squares "
             "sum to 2, elsewhere to 1, a wallpaper. 2: stamps with amplitudes "
             f"{words_of(taper(), 2)}; now the squares sum to 1 on every pixel but the outermost.")
    return s


@drawing("Transpose before reshape")
def transpose_first(s):
    tokens = np.array([[1.0, 10], [2, 20], [3, 30], [4, 40]])  # (N, D)
    right = tokens.T.reshape(2, 2, 2)
    wrong = tokens.reshape(2, 2, 2)
    s.frame(1, "Four tokens of two numbers: (N, D) = (4, 2)")
    for k in range(4):
        s.text(58 + 66 * k, s.y + 10, NAMES[k], kind=SERIES[k], bold=True)
        for c in range(2):
            s.plain(38 + 66 * k, s.y + 16 + 22 * c, num(tokens[k, c], 0), w=40)
        s.rect(36.5 + 66 * k, s.y + 14.5, 43, 47, "no", SERIES[k], width=2.2)
    s.y += 72
    for number, words, maps, kind in ((2, "transpose, then reshape: two maps", right, "green"),
                                      (3, "reshape alone: right shape, wrong sea", wrong, "red")):
        s.frame(number, words)
        for c in range(2):
            x = 38 + 132 * c
            s.text(x + 40, s.y + 9, f"channel {c}", kind="soft")
            for k in range(4):
                value = maps[c].ravel()[k]
                owner = int(np.argwhere(tokens == value)[0, 0])
                s.plain(x + 40 * (k % 2), s.y + 15 + 26 * (k // 2), num(value, 0), w=40, h=26,
                        ink=SERIES[owner], bold=True)
            s.rect(x, s.y + 15, 80, 52, "no", kind, width=2)
        s.text(290, s.y + 46, "✓" if number == 2 else "✗", size=20, kind=kind, bold=True)
        s.y += 78
    s.say("Channel 0 should hold 1 2 3 4. Both have shape (D, H', W').")
    s.alt = ("Frame 1: tokens A to D with the numbers 1 and 10, 2 and 20, 3 and 30, 4 and 40. Frame"
             f" 2: transposed, then reshaped, channel 0 is {words_of(right[0], 0)} and channel 1 "
             f"{words_of(right[1], 0)}. Frame 3: reshaped alone, channel 0 is "
             f"{words_of(wrong[0], 0)} and channel 1 {words_of(wrong[1], 0)}: the tokens are torn "
             "apart, with no error.")
    return s


@drawing("The decoder, stage by stage")
def decoder_stages(s):
    stages = [
        ("tokens", "(B, N, D)", "a row of 256", "row"),
        ("reshape", "(B, D, H', W')", "16 × 16 patches", 4),
        ("1 × 1 convolution", "(B, hidden, H', W')", "each patch alone", 4),
        ("stamps", "(B, hidden/2, H, W)", "64 × 64 pixels", 12),
        ("3 × 3, norm, GELU", "(B, hidden/2, H, W)", "the sea only", 12),
        ("1 × 1, scale, bias", "(B, 1, H, W)", "one channel", 12),
        ("land to 0", "(B, H, W)", "the map", 12),
    ]
    s.y = 14
    for k, (name, shape, note, cut) in enumerate(stages):
        y, side = s.y, 36
        if cut == "row":
            for c in range(6):
                s.rect(16 + 7 * c, y + 2, 5, 32, SERIES[c % 5], None, round_=0)
        else:
            depth = 1 if k >= 5 else 3
            for d in reversed(range(depth)):
                s.rect(18 + 5 * d, y + 6 - 3 * d, side - 6, side - 6, "box", "soft", round_=1)
            for c in range(1, cut if cut == 4 else 8):
                step = (side - 6) / (cut if cut == 4 else 8)
                s.line([(18 + step * c, y + 6), (18 + step * c, y + side)], "line", width=0.5)
                s.line([(18, y + 6 + step * c), (18 + side - 6, y + 6 + step * c)], "line",
                       width=0.5)
            if k == 6:
                s.shape([(18, y + 36), (18, y + 20), (30, y + 36)], "land")
        s.text(70, y + 17, name, at="start", bold=True, kind="blue" if "stamps" in name else "ink")
        s.text(70, y + 33, note, at="start", kind="soft")
        s.text(348, y + 24, shape, at="end", mono=True)
        if k < len(stages) - 1:
            s.arrow((33, y + 39), (33, y + 49), kind="line")
        s.y += 50
    s.y -= 8
    s.alt = ("Seven stages from top to bottom with their shapes: tokens (B, N, D), reshape to 16 by"
             " 16 patches (B, D, H', W'), 1 by 1 convolution, stamps that make 64 by 64 pixels "
             "(B, hidden/2, H, W), 3 by 3 convolution with norm and GELU, 1 by 1 convolution with "
             "scale and bias (B, 1, H, W), and land set to 0 (B, H, W).")
    return s


# ---- all together -----------------------------------------------------------------------


@drawing("Shapes through the machine")
def shapes_through(s):
    T, H, W, D, patch = 31, 64, 64, 128, 4
    N = (H // patch) * (W // patch)
    rows = [
        ("daily maps", (1, 1, T, H, W)), ("tokens", (1, T * N, D)), ("one month", (1, N, D)),
        ("with places", (1, N, D)), ("after talking", (1, N, D)), ("map", (1, H, W)),
    ]
    s.text(MARGIN, 26, "one month of 64 × 64 pixels", size=BODY, at="start", bold=True)
    s.y = 36
    largest = max(math.prod(shape) for _, shape in rows)
    for name, shape in rows:
        count = math.prod(shape)
        s.text(MARGIN, s.y + 12, name, at="start", bold=True)
        s.text(110, s.y + 12, "(" + ", ".join(map(str, shape)) + ")", at="start", mono=True)
        s.text(348, s.y + 12, f"{count:,}", at="end", kind="soft")
        s.rect(MARGIN, s.y + 18, max(336 * count / largest, 1.5), 8, "blue", None, round_=1)
        s.y += 36
    s.say("bar: how many numbers. The days are summed up early,",
          "so only 256 tokens have to talk to each other.")
    s.alt = ("Six rows with shapes and bars of how many numbers there are: "
             + "; ".join(f"{name} {shape}, {math.prod(shape):,}" for name, shape in rows)
             + ". The tokens of all days are by far the longest bar.")
    return s


@drawing("Prior + first guess + what the network adds")
def three_parts(s):
    x = CELLS
    prior = 12 + 0.25 * x
    analysis = coarse_to_fine_toy()[-1]
    truth = prior + 1.0 * np.where(x < 4.5, np.cos(0.25 * (x - 2.5)), -0.85 * np.exp(-((x - 7) / 3)
                                                                                    ** 2))
    seen = np.isfinite(REPORTS)
    added = 0.6 * (truth - prior - analysis)  # a network that has learned a part of the rest
    whole = prior + analysis + added
    for number, words, draw in (
            (1, "Prior: what is usual here", ("prior",)),
            (2, "+ first guess: what the reports say", ("prior", "guess")),
            (3, "+ what the network adds = the map", ("guess", "map"))):
        s.frame(number, words)
        axes = Axes(s, 44, s.y - 2, 296, 72, (-0.5, 11.5), (11.2, 15.2))
        for v in (12, 14):
            s.text(40, axes.at(0, v)[1] + 4, f"{v} °C", at="end", kind="soft")
        axes.curve(x, truth, "line", dash=True)
        if "prior" in draw:
            axes.curve(x, prior, "purple")
        if "guess" in draw:
            axes.curve(x, prior + analysis, "green")
        if "map" in draw:
            axes.curve(x, whole, "blue")
        if number > 1:
            axes.dots(x[seen], (prior + REPORTS)[seen])
        s.y += 80
    errors = [rms(truth - e) for e in (prior, prior + analysis, whole)]
    s.say("dashed: the truth, which nobody has · dots: reports",
          f"error of the row of cells: {num(errors[0], 2)}, then {num(errors[1], 2)}, then "
          f"{num(errors[2], 2)} K",
          "(a toy: the network's share is put in by hand)")
    s.alt = ("Three plots of one row of cells in °C with the truth dashed. 1: the prior, a straight"
             " slope. 2: prior plus first guess follows the reported dots. 3: with what the network"
             f" adds it follows the truth between the dots too. The error falls from "
             f"{num(errors[0], 2)} over {num(errors[1], 2)} to {num(errors[2], 2)} K.")
    return s


# ---- experiments ------------------------------------------------------------------------

HARD, LUCK = (290, 180, 240, 330), (-8, 3, 5)  # mK: of four months, of three seeds
HELPED = -6  # mK, by the change
SMALL_MK = 3  # nobody minds less


def runs_and_months():
    """Errors in mK of three seeds on four months: (base, change), (3, 4) each, whole numbers."""
    rng = np.random.default_rng(4)
    base = np.add.outer(LUCK, HARD) + rng.integers(-3, 4, (3, 4))
    return base, base + HELPED + rng.integers(-2, 3, (3, 4))


def table_of_runs(s, values, left, names, words, sign=False):
    """Rows of seeds, columns of months, and the mean of each row beside it."""
    s.text(left + 70, s.y + 10, words, kind="soft")
    for row, (name, errors) in enumerate(zip(names, values, strict=True)):
        y = s.y + 17 + 22 * row
        if name:
            s.text(left - 5, y + 15, name, at="end", kind="soft")
        for column, error in enumerate(errors):
            s.plain(left + 35 * column, y, num(error, 0, sign), w=35)


@drawing("The luck of a run and the hardness of a month")
def same_seed_same_month(s):
    base, change = runs_and_months()
    rest = change - base
    s.frame(1, "Months are hard, runs have luck")
    names = [f"seed {i}" for i in range(3)]
    table_of_runs(s, base, 58, names, "base: 4 months (mK)")
    table_of_runs(s, change, 207, [""] * 3, "change: the same months")
    s.y += 92
    spread = base.max() - base.min()
    s.say(f"The errors differ by up to {spread} mK, from month to month",
          "and from seed to seed. The change is lost among them.")
    s.y += 6
    s.frame(2, "Subtract: same seed, same month")
    table_of_runs(s, rest, 58, names, "change − base (mK)", sign=True)
    s.text(277, s.y + 10, "mean of the row", kind="soft")
    for row, mean in enumerate(rest.mean(1)):
        s.text(277, s.y + 32 + 22 * row, num(mean, 1, sign=True), bold=True)
    s.y += 92
    mean = rest.mean()
    s.say("What is hard for both, and lucky for both, is gone.",
          f"What is left is {num(mean, 1, sign=True)} mK, and how it scatters: down the rows",
          "(other seeds) and along them (other months).")
    s.y += 6
    s.frame(3, "An interval, and three things to say")
    axes = Axes(s, 14, s.y, 128, 96, (-12, 12), (0, 3), zero=False)
    left, right = axes.at(-SMALL_MK, 0)[0], axes.at(SMALL_MK, 0)[0]
    s.rect(left, s.y, right - left, 96, "box", None, round_=0)
    s.line([axes.at(0, 0), axes.at(0, 3)], "soft", dash=True)
    said = ((-6, 3, "mattered", "zero is outside"), (0.6, 1.8, "less than 3 mK", "all is inside"),
            (-3.5, 7, "cannot tell", "both may be"))
    for row, (middle, half, words, why) in enumerate(said):
        height = 2.5 - row
        ends = [axes.at(middle - half, height), axes.at(middle + half, height)]
        s.line(ends, "blue", width=2.4)
        s.dot(*axes.at(middle, height), 4, "blue")
        s.text(150, s.y + 20 + 32 * row, words, at="start", bold=True)
        s.text(250, s.y + 20 + 32 * row, why, at="start", kind="soft")
    s.text(78, s.y + 109, "change − base (mK)", kind="soft")
    s.y += 116
    s.say(f"Dashed: no difference. Grey: less than {SMALL_MK} mK, nobody minds.")
    s.alt = (f"Frame 1: two tables of errors in mK, base and change, three seeds on the same four "
             f"months; they differ by up to {spread} mK. Frame 2: the differences of the same seed "
             f"and month lie between {num(rest.min(), 0)} and {num(rest.max(), 0)} mK, their mean "
             f"is {num(mean, 1)}. Frame 3: three intervals. One leaves zero out: mattered. One "
             f"lies within {SMALL_MK} mK of zero: less than {SMALL_MK} mK. One holds zero and "
             "large differences: cannot tell.")
    return s


# ---- a sea that moves -------------------------------------------------------------------

PAIR, PAIR_NOISE = 0.8, 0.25  # covariance of two cells of variance 1; variance of the noise


def two_cell_days(n=400, seed=6):
    """(A as seen, B) of n days of two Gaussian cells."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=n)
    b = PAIR * a + math.sqrt(1 - PAIR**2) * rng.normal(size=n)
    return a + math.sqrt(PAIR_NOISE) * rng.normal(size=n), b


@drawing("Two cells: the best estimate is the mean of a slice")
def two_cells(s):
    seen, hidden = two_cell_days()
    weight = PAIR / (1 + PAIR_NOISE)
    today, half = 0.9, 0.15
    thin = np.abs(seen - today) < half
    s.frame(1, "A is seen, B is not")
    s.cell(96, s.y, today, 1.6, w=62, h=34)
    s.plain(158, s.y, "?", w=62, h=34)
    s.text(127, s.y + 49, "A, noisy", kind="soft")
    s.text(189, s.y + 49, "B, hidden", kind="soft")
    s.y += 62
    s.frame(2, "All days on which A looked like today")
    axes = Axes(s, 60, s.y, 240, 150, (-2.6, 2.6), (-2.6, 2.6))
    left, right = axes.at(today - half, 0)[0], axes.at(today + half, 0)[0]
    s.rect(left, s.y, right - left, 150, "box", "lit", round_=0)
    for x, y, inside in zip(seen, hidden, thin, strict=True):
        if max(abs(x), abs(y)) < 2.55:
            s.dot(*axes.at(x, y), 2.2 if inside else 1.3, "lit" if inside else "line")
    mean = hidden[thin].mean()
    s.dot(*axes.at(today, mean), 5, "orange", "ink")
    s.text(54, s.y + 79, "B", at="end", kind="soft")
    s.text(180, s.y + 166, "A, as it was seen", kind="soft")
    s.y += 174
    s.say(f"{thin.sum()} such days. Their mean, {num(mean, 2, sign=True)} K, is the estimate")
    s.say("with the smallest mean square error, on any sea.")
    s.y += 6
    s.frame(3, "The means of all slices")
    axes = Axes(s, 60, s.y, 240, 96, (-2.6, 2.6), (-2, 2))
    axes.curve([-2.5, 2.5], [-2.5 * weight, 2.5 * weight], "blue")
    for middle in np.arange(-1.5, 1.6, 0.5):
        inside = np.abs(seen - middle) < 0.25
        s.dot(*axes.at(middle, hidden[inside].mean()), 4, "orange", "ink")
    s.y += 104
    s.say("On a Gaussian sea they lie on a line. Its slope is",
          f"{num(PAIR, 1)} / {num(1 + PAIR_NOISE, 2)} = {num(weight, 2)}, the weight of optimal "
          "interpolation.")
    s.alt = (f"Frame 1: cell A is seen at {num(today)}, cell B is hidden. Frame 2: B against A as "
             f"seen on {len(seen)} days, an oval cloud of dots; the {thin.sum()} days with A near "
             f"{num(today)} lie in a thin slice, and their mean is {num(mean, 2)}. Frame 3: the "
             f"means of many slices lie near a straight line with slope {num(weight, 2)}.")
    return s


@drawing("Which way? A front, a current and their product")
def which_way(s):
    s.frame(1, "Yesterday's sky: which side is warm?")
    for x, sides, words in ((34, (1, -1), "the west: +1"), (202, (-1, 1), "the east: −1")):
        for k, side in enumerate(sides):
            s.cell(x + 62 * k, s.y, side, 1.4, w=62, h=30)
        s.dot(x + 62, s.y + 15, 5, "orange", "ink")
        s.text(x + 62, s.y + 44, words, kind="soft")
    s.y += 58
    s.frame(2, "The buoy: which way does the water go?")
    for x, way, words in ((34, 1, "east: +1"), (202, -1, "west: −1")):
        s.arrow((x + 62 - 40 * way, s.y + 10), (x + 62 + 40 * way, s.y + 10), kind="ink", width=2)
        s.text(x + 62, s.y + 30, words, kind="soft")
    s.y += 44
    s.frame(3, "Tomorrow, where you float (the dot)")
    signs = np.array([1.0, -1.0])
    table = np.outer(signs, signs)  # rows: the warm side, columns: the current
    for j, words in enumerate(("to the east", "to the west", "mean")):
        s.text(154 + 76 * j, s.y + 11, words, kind="soft")
    s.y += 17
    for i, words in enumerate(("west is warm", "east is warm")):
        s.text(108, s.y + 19, words, at="end", kind="soft")
        for j in range(2):
            s.cell(116 + 76 * j, s.y, table[i, j], 1.4, w=76, h=28)
        s.plain(268, s.y, num(table[i].mean()), w=76, h=28)
        s.y += 28
    s.text(108, s.y + 19, "mean", at="end", kind="soft")
    for j in range(2):
        s.plain(116 + 76 * j, s.y, num(table[:, j].mean()), w=76, h=28)
    s.y += 38
    s.say("Who knows one of the two data and not the other knows",
          "nothing: all means are zero. Both together tell all.")
    s.alt = ("Frame 1: a front with you, a dot, on it; the warm water lies on the west side (+1) "
             "or on the east side (−1). Frame 2: the current runs to the east (+1) or to the west "
             "(−1). Frame 3: a table of tomorrow's temperature at the dot, the product of both: "
             f"{num(table[0, 0])} and {num(table[0, 1])} where the west is warm, "
             f"{num(table[1, 0])} and {num(table[1, 1])} where the east is. Every row and every "
             "column has the mean zero.")
    return s


def two_waves(lengths=(400.0, 100.0)):
    """Places in km, and (wave, 2, places): buoyancy of height 1 and its streamfunction, b / k."""
    x = np.linspace(0, 800, 161)
    k = 2 * math.pi / np.array(lengths)[:, None]
    b = np.sin(k * x)
    return x, np.stack([b, b / k], 1)


@drawing("Buoyancy makes the flow, the flow carries buoyancy")
def flow_makes_flow(s):
    x, waves = two_waves()
    s.frame(1, "Divide each wave by its wavenumber")
    psi_range = (-80, 80)
    for column, (wave, words) in enumerate(zip(waves, ("400 km", "100 km"), strict=True)):
        left = 22 + 166 * column
        for (name, limits, kind), values, top in zip(
                (("buoyancy", (-1.4, 1.4), "purple"), ("streamfunction", psi_range, "blue")),
                wave, (s.y, s.y + 62), strict=True):
            axes = Axes(s, left, top, 150, 44, (0, 800), limits)
            axes.curve(x, values, kind)
            s.text(left + 75, top + 56, f"{name}, {words}", kind="soft")
    s.y += 130
    ratio = np.abs(waves[0, 1]).max() / np.abs(waves[1, 1]).max()
    slopes = [np.abs(np.gradient(wave[1], x)).max() for wave in waves]
    s.say(f"The hills of the long wave are {num(ratio, 0)} times higher, and as steep.")
    s.y += 6
    s.frame(2, "Water runs along the lines of the hill")
    cx, cy = 180, s.y + 50
    for r in (14, 28, 42):
        s.add("circle", "no s-blue", cx=cx, cy=cy, r=r, stroke_width=1.4)
        for turn in (0, 1):  # clockwise: down on the east, up on the west
            side = 1 - 2 * turn
            s.arrow((cx + side * r, cy - 5 * side), (cx + side * r, cy + 5 * side), kind="blue")
    s.text(cx, cy + 4, "hill", kind="soft")
    s.y += 104
    s.say("the hill on the right hand; the steeper, the faster")
    s.y += 6
    s.frame(3, "And carries what it finds")
    top, wide = s.y, 200
    for k, value in enumerate((0.9, 0.45, 0.0, -0.45, -0.9)):
        fill, _ = balance(value, 1.4)
        s.rect(80, top + 18 * k, wide, 18, edge=None, fill=fill, round_=0)
    cold, _ = balance(-0.8, 1.4)
    warm, _ = balance(0.8, 1.4)
    s.rect(122, top + 26, 26, 46, edge="line", fill=cold, round_=10)
    s.rect(212, top + 18, 26, 46, edge="line", fill=warm, round_=10)
    s.arrow((135, top + 84), (135, top + 10), kind="ink", width=2)
    s.arrow((225, top + 8), (225, top + 80), kind="ink", width=2)
    s.text(72, top + 14, "warm", at="end", kind="soft")
    s.text(72, top + 86, "cold", at="end", kind="soft")
    s.y += 96
    s.say("Cold water on one side, warm on the other: a new front.",
          "Buoyancy is carried too, so the hills change: back to 1.")
    s.alt = ("Frame 1: two waves of buoyancy of equal height, 400 and 100 km long. Their "
             f"streamfunctions differ: the long one is {num(ratio, 0)} times higher, and both have "
             f"the same greatest slope, {num(slopes[0])} and {num(slopes[1])}. Frame 2: arrows run "
             "clockwise along the rings of a hill of the streamfunction. Frame 3: between warm "
             "water in the north and cold in the south the west side carries cold water north, the "
             "east side warm water south, and a front stands between. Then back to frame 1.")
    return s


# ---- your own sea -----------------------------------------------------------------------

TODAY = np.array([0.3, 0.6, 0.8, GAP, 0.7, 0.9, 0.4, GAP])  # cells of a row, K
OTHER_DAY = np.array([1, 1, 0, 0, 1, 0, 1, 1], bool)  # what another day saw
ANSWER_WIDTH, RETRIEVAL = 1.2, 0.3  # of the answer's bell, cells; noise of one observation, K


def under_another_sky():
    """(left, withheld, answer): the last a bell over what is left."""
    left = np.where(OTHER_DAY, TODAY, GAP)
    withheld = np.where(OTHER_DAY, GAP, TODAY)
    return left, withheld, normalised(left, np.arange(len(TODAY)), ANSWER_WIDTH)[2]


@drawing("A target from a gappy file: observations withheld")
def withheld_target(s):
    left, withheld, answer = under_another_sky()
    w, x = 38, 28
    s.frame(1, "A day that saw much of the sea (K)")
    s.grid(x, s.y, TODAY, w=w, h=26, gap="")
    s.y += 38
    s.frame(2, "The clouds of another day, laid over it")
    for k, clear in enumerate(OTHER_DAY):
        s.rect(x + w * k, s.y, w, 26, "gap" if clear else "box")
        if not clear:
            s.text(x + w * (k + 0.5), s.y + 17, "cloud", kind="soft")
    s.y += 38
    s.frame(3, "What is left: the network sees this")
    s.grid(x, s.y, left, w=w, h=26, gap="")
    s.y += 38
    s.frame(4, "What was withheld: the target")
    s.grid(x, s.y, withheld, w=w, h=26, gap="")
    s.y += 31
    known = np.isfinite(withheld)
    for k in np.flatnonzero(known):
        s.text(x + w * (k + 0.5), s.y + 12, num(answer[k], 2), kind="blue", bold=True)
    s.text(MARGIN, s.y + 30, "blue: what a network says there", at="start", kind="blue")
    error = rms(answer[known] - withheld[known])
    s.y += 38
    s.say(f"Error: {num(error, 2)} K at {known.sum()} cells. Where nobody saw anything",
          "there is no target, and no loss.")
    s.y += 6
    s.frame(5, "The target is noisy. Does it matter?")
    axes = Axes(s, 60, s.y, 240, 118, (-1, 1), (0, 1.2))
    fine = np.linspace(-1, 1, 81)
    axes.curve(fine, fine**2, "blue")
    axes.curve(fine, fine**2 + RETRIEVAL**2, "red")
    for level, kind in ((0, "blue"), (RETRIEVAL**2, "red")):
        s.dot(*axes.at(0, level), 4, kind, "ink")
    s.text(axes.at(-0.55, 0)[0], axes.at(0, 0.62)[1], "withheld", at="start", kind="red", bold=True)
    s.text(axes.at(-0.28, 0)[0], axes.at(0, 0.3)[1], "truth", at="start", kind="blue", bold=True)
    s.y += 122
    s.text(180, s.y + 10, "how far the answer is from the truth (K)", kind="soft")
    s.y += 17
    s.say("Mean square error (K²), up. Noise lifts the curve by",
          f"{num(RETRIEVAL)}² = {num(RETRIEVAL**2, 2)} and leaves its lowest point where it was.")
    s.alt = (f"Frame 1: a row of {len(TODAY)} cells, {np.isfinite(TODAY).sum()} of them seen, as "
             f"{words_of(TODAY[np.isfinite(TODAY)])} K. Frame 2: another day's clouds hide "
             f"{(~OTHER_DAY).sum()} cells. Frame 3: {np.isfinite(left).sum()} observations are "
             f"left, the network sees these. Frame 4: the {known.sum()} withheld, "
             f"{words_of(withheld[known])} K, are the target; a network says "
             f"{words_of(answer[known], 2)} K there, its error is {num(error, 2)} K. Frame 5: mean "
             "square error against the distance of the answer from the truth; the curve at what "
             f"was withheld lies {num(RETRIEVAL**2, 2)} above that at the truth, and both are "
             "lowest at zero.")
    return s


STORED = np.array([28815, 28990, 28905, -32768, 29010, 28640])  # as a file holds a row of cells
FILL, SCALE, KELVIN_AT_0 = -32768, 0.01, 273.15
GRADES = np.array([5, 5, 3, 0, 4, 2])


def decoded_row():
    """(kelvin, degC, what quality leaves) of `STORED`."""
    kelvin = np.where(STORED == FILL, GAP, SCALE * STORED)
    celsius = kelvin - KELVIN_AT_0
    return kelvin, celsius, np.where(GRADES >= 4, celsius, GAP)


@drawing("From the numbers of a file to temperatures")
def stored_to_sea(s):
    kelvin, celsius, kept = decoded_row()
    w, x = 54, 18

    def row(values, digits, kind="box"):
        for k, value in enumerate(values):
            there = np.isfinite(value)
            s.plain(x + w * k, s.y, num(value, digits) if there else "gap", w=w, h=26,
                    kind=kind if there else "gap", ink="ink" if there else "soft")
        s.y += 38

    s.frame(1, "What lies in the file: whole numbers")
    row(STORED, 0)
    s.frame(2, f"Times {num(SCALE, 2)}; {num(FILL, 0)} was a gap: kelvin")
    row(kelvin, 2)
    s.frame(3, f"Less {num(KELVIN_AT_0, 2)}: degrees Celsius")
    row(celsius, 2)
    s.frame(4, "The grade of each pixel, 5 is best")
    row(GRADES, 0)
    s.frame(5, "Grades 4 and 5: what is taken")
    row(kept, 2)
    means = [np.nanmean(values) for values in (celsius, kept)]
    s.say(f"Mean with all grades {num(means[0], 2)} °C, with the best {num(means[1], 2)} °C:",
          "bad pixels are often cloud, and cold.")
    cells = ", ".join("gap" if np.isnan(v) else num(v, 2) for v in kept)
    s.alt = (f"Frame 1: a row of six whole numbers as a file holds them, {STORED[0]} to "
             f"{STORED[-1]}, one is {num(FILL, 0)}. Frame 2: times {num(SCALE, 2)} they are "
             f"kelvin, and the fourth is a gap. Frame 3: less {num(KELVIN_AT_0, 2)} they are "
             f"degrees Celsius. Frame 4: the grades, {', '.join(map(str, GRADES))}. Frame 5: with "
             f"grades 4 and 5 there remain {cells}. The mean rises from {num(means[0], 2)} to "
             f"{num(means[1], 2)} °C.")
    return s


ROWS_OF_MAP, CUT = 104, 52  # of the drawing of regions; tiles as the package has them
TILE, STEP = 32, 24


def tile_starts(rows=ROWS_OF_MAP):
    count = 1 + math.ceil((rows - TILE) / STEP)
    return np.linspace(0, rows - TILE, count).round().astype(int)


def halo_of(first, after, rows=ROWS_OF_MAP):
    """(tiles, first row read, row after the last) of a region."""
    tiles = [t for t in tile_starts(rows) if t + TILE > first and t < after]
    return tiles, tiles[0], tiles[-1] + TILE


@drawing("A region, its tiles and its halo")
def region_and_halo(s):
    x, unit = 24, 3.0

    def bar(first, after, words, kind="box", edge="line", ink="ink", h=18):
        s.rect(x + unit * first, s.y, unit * (after - first), h, kind, edge, round_=2)
        s.text(x + unit * (first + after) / 2, s.y + h - 5, words, kind=ink)

    starts = tile_starts()
    s.frame(1, f"{ROWS_OF_MAP} rows of a map (south at the left), {len(starts)} tiles")
    for k, start in enumerate(starts):
        bar(start, start + TILE, f"{start}–{start + TILE - 1}")
        s.y += 21 if k < len(starts) - 1 else 26
    s.frame(2, f"Two regions, cut at row {CUT}")
    bar(0, CUT, "region A", "lit", "lit", "onlit")
    bar(CUT, ROWS_OF_MAP, "region B", "lit", "lit", "onlit")
    s.y += 30
    s.frame(3, "Region A alone: what must it read?")
    tiles, first, after = halo_of(0, CUT)
    for start in tiles:
        bar(start, start + TILE, "its tile")
        s.y += 21
    bar(0, CUT, "to keep", "lit", "lit", "onlit")
    bar(CUT, after, "halo", "gap", "orange")
    s.y += 30
    twice = len(tiles) + len(halo_of(CUT, ROWS_OF_MAP)[0]) - len(starts)
    s.say(f"It reads rows {first} to {after - 1} and keeps 0 to {CUT - 1}. Of the {len(starts)} "
          "tiles", f"{twice} lie in both regions, and are made twice. No seam.")
    s.y += 6
    s.frame(4, "Months times regions: the tasks")
    for j, region in enumerate("BA"):
        s.text(58, s.y + 26 * j + 17, region, at="end", kind="soft")
        for i, month in enumerate(("Jan", "Feb", "Mar", "Apr")):
            s.plain(66 + 64 * i, s.y + 26 * j, month, w=60, h=22)
    s.y += 58
    s.say("The regions of a month share its prior, months share", "nothing: any worker takes "
          "any task.")
    s.alt = (f"Frame 1: the {ROWS_OF_MAP} rows of a map and its {len(starts)} tiles of {TILE} "
             f"rows, which begin at {', '.join(map(str, starts))} and overlap. Frame 2: the map is "
             f"cut at row {CUT} into regions A and B. Frame 3: region A needs {len(tiles)} tiles, "
             f"reads rows {first} to {after - 1}, keeps 0 to {CUT - 1}; the rest is its halo. "
             f"{twice} of the tiles lie in both regions. Frame 4: a table of two regions and four "
             "months, eight tasks; months share nothing.")
    return s


# ---- part III: the run ------------------------------------------------------------------

# A day of sea, rows from north to south: "." seen, "#" cloud. OTHER_SKY is another day's.
DAY_SEEN = ("#####.....", "######....", "#####.....", "####......", "#####.....", "######....",
            "######....")
OTHER_SKY = ("..........", "....####..", "..#######.", "..########", "..#######.", "....####..",
             "..........")


def ways_to_hide(seed=4):
    """{way: (cells that are asked, cells that are left)} of one day, (rows, columns) bool each."""
    seen, clear = (np.array([[c == "." for c in row] for row in sky])
                   for sky in (DAY_SEEN, OTHER_SKY))
    by_cloud = seen & ~clear
    chosen = np.random.default_rng(seed).permutation(np.flatnonzero(seen))[:by_cloud.sum()]
    by_chance = np.isin(np.arange(seen.size), chosen).reshape(seen.shape)
    return {"by chance": (by_chance, seen & ~by_chance), "by a cloud": (by_cloud, seen & ~by_cloud),
            "the real gap": (~seen, seen)}


def steps_to_nearest(asked, left):
    """Mean distance in cells from each asked cell to the nearest that is left."""
    away = np.argwhere(asked)[:, None] - np.argwhere(left)
    return np.hypot(*np.moveaxis(away, -1, 0)).min(1).mean()


@drawing("Two ways to hide what was seen, and the real gap")
def two_ways_to_hide(s):
    ways = ways_to_hide()
    seen = ways["the real gap"][1]
    none = np.zeros_like(seen)
    panels = {"one day, half seen": (none, seen),
              "hidden by chance": ways["by chance"],
              "hidden by a cloud": ways["by a cloud"],
              "the real task": ways["the real gap"]}
    unit, away = 15, {}
    for k, (name, (asked, left)) in enumerate(panels.items()):
        x, y = (16, 194)[k % 2], 34 + 168 * (k // 2)
        s.dot(x + 8, y - 15, 8.5, "lit")
        s.text(x + 8, y - 11, str(k + 1), kind="onlit", bold=True)
        s.text(x + 21, y - 11, name, at="start", bold=True)
        for (i, j), is_left in np.ndenumerate(left):
            box = (x + unit * j, y + unit * i, unit, unit)
            if asked[i, j]:
                s.rect(*box, "orange", "line", round_=1)
            elif is_left:
                s.rect(*box, "blue", "line", round_=1)
            else:
                s.rect(*box, "gap", "edge", round_=1)
        y += unit * len(left) + 14
        if k:
            away[name] = steps_to_nearest(asked, left)
            s.text(x, y, f"{asked.sum()} cells asked, the next", at="start", kind="soft")
            s.text(x, y + 15, f"blue one {num(away[name])} cells away", at="start", kind="soft")
        else:
            s.text(x, y, "blue: seen. empty: cloud", at="start", kind="soft")
            s.text(x, y + 15, "orange: asked for", at="start", kind="soft")
    s.y = 330
    chance, cloud, real = away.values()
    s.alt = ("Frame 1: a day of 7 by 10 cells, the right half seen, the left under cloud. Frame 2: "
             f"{panels['hidden by chance'][0].sum()} seen cells are hidden one by one; from such a "
             f"cell the nearest that is left is {num(chance)} cells away on average. Frame 3: as "
             f"many cells hidden in one piece, the shape of another day's cloud: {num(cloud)} "
             f"cells "
             f"away. Frame 4: the cells under the day's own cloud: "
             f"{num(real)} cells away.")
    return s


TWELVE = np.array([210, 180, 150, 130, 160, 200, 260, 310, 280, 230, 190, 240])  # mK, 12 months
BEHIND = np.array([27, 6, 18, -9, 24, 15, 42, 33, 12, 36, -6, 24])  # what the second method adds


def drawn_blocks(draws=1000, seed=1):
    """95 % intervals (mK): each method, the difference in the same blocks, and in other blocks."""
    rng, n = np.random.default_rng(seed), len(TWELVE)
    months = (rng.integers(0, n, (2, draws, n // 3, 1)) + np.arange(3)) % n
    a, b, apart = (np.sqrt((errors[i]**2).mean((1, 2))) for errors, i in (
        (TWELVE, months[0]), (TWELVE + BEHIND, months[0]), (TWELVE + BEHIND, months[1])))
    return [np.quantile(x, [0.025, 0.975]) for x in (a, b, b - a, apart - a)], months[0, 0]


@drawing("Blocks of months, drawn again")
def blocks_of_months(s):
    (a, b, paired, apart), months = drawn_blocks()
    n = len(TWELVE)
    s.frame(1, "Two methods, the same twelve months (mK)")
    axes = Axes(s, 40, s.y, 290, 88, (0.3, n + 0.7), (80, 390), zero=False)
    for level in (100, 200, 300):
        s.text(36, axes.at(0, level)[1] + 4, str(level), at="end", kind="soft")
    x = np.arange(1, n + 1)
    axes.dots(x - 0.12, TWELVE, "blue", 4)
    axes.dots(x + 0.12, TWELVE + BEHIND, "red", 4)
    s.y += 93
    s.say("A month that is hard for one is hard for the other.")
    s.y += 6
    s.frame(2, "Draw four blocks of three months, some twice")
    for k, block in enumerate(months):
        for j, month in enumerate(block):
            s.plain(18 + 84 * k + 25 * j, s.y, str(month + 1), w=25, h=22)
    s.y += 28
    s.say("One draw makes one score. A thousand draws say how much", "the score scatters.")
    s.y += 6
    s.frame(3, "95 % of a thousand draws")
    top = s.y
    left = Axes(s, 128, top, 100, 100, (140, 340), (0, 4), zero=False)
    right = Axes(s, 246, top, 100, 100, (-110, 130), (0, 4), zero=False)
    s.line([right.at(0, 0), right.at(0, 4)], "soft", dash=True)
    rows = (("blue", left, a, "blue"), ("red", left, b, "red"),
            ("same blocks", right, paired, "purple"), ("other blocks", right, apart, "line"))
    for k, (name, axes, ends, kind) in enumerate(rows):
        height = 3.5 - k
        s.line([axes.at(end, height) for end in ends], kind, width=6)
        words = name if k < 2 else f"red − blue, {name.split()[0]}"
        s.text(122, axes.at(0, height)[1] + 4, words, at="end", bold=k == 2)
    s.text(178, top + 114, "error (mK)", kind="soft")
    s.text(296, top + 114, "difference (mK)", kind="soft")
    s.y = top + 122
    s.say("same, other: do both methods get the same blocks? Then what",
          "is hard for both cancels, and zero lies outside.")
    inside = [f"{num(low, 0)} to {num(high, 0)}" for low, high in (a, b, paired, apart)]
    s.alt = ("Frame 1: errors of two methods, blue and red, in twelve months, 120 to 345 mK; red "
             "lies a little above blue in ten of them. Frame 2: four blocks of three neighbouring "
             f"months, drawn at random. Frame 3: 95 % intervals of a thousand draws: blue "
             f"{inside[0]} mK, red {inside[1]}, they overlap; red minus blue in the same blocks "
             f"{inside[2]}, outside zero; in other blocks {inside[3]}.")
    return s


def lanes(pieces, start, compute):
    """[(begin, end) on the processor], [(begin, end) on the card] of one step."""
    orders = [(start * k, start * (k + 1)) for k in range(pieces)]
    card, free = [], 0.0
    for _, ready in orders:
        card.append((max(free, ready), max(free, ready) + compute))
        free = card[-1][1]
    return orders, card


WAYS = {"Operation by operation": lanes(6, 3, 2), "Compiled: pieces joined": lanes(3, 3, 2),
        "One graph: recorded, replayed": lanes(1, 1.5, 6)}


@drawing("Who waits for whom? A step on a graphics card")
def who_waits(s):
    told = []
    for k, (name, (orders, card)) in enumerate(WAYS.items(), start=1):
        s.frame(k, name)
        unit, x = 12.2, 74
        for row, words in enumerate(("processor", "card")):
            s.text(x - 6, s.y + 16 + 28 * row, words, at="end", kind="soft")
        s.rect(x + unit * orders[0][1], s.y + 28, unit * (card[-1][1] - orders[0][1]), 22, "orange",
               None, round_=0)
        for begin, end in orders:
            s.rect(x + unit * begin, s.y, unit * (end - begin), 22, "box", "line")
        for begin, end in card:
            s.rect(x + unit * begin, s.y + 28, unit * (end - begin), 22, "blue", "paper")
        whole = card[-1][1]
        busy = sum(end - begin for begin, end in card) / whole
        told.append(f"{num(whole)} units of time, the card computes for {busy:.0%} of them")
        s.text(x + unit * whole + 6, s.y + 44, num(whole), at="start", bold=True)
        s.y += 58
    s.say("grey: the processor starts a piece. blue: the card computes",
          "it. orange: the card waits for the next order. A piece takes",
          "as long to start, whether it is large or small.")
    s.alt = ("Three frames with two rows each, the processor that starts pieces of work above, the "
             f"card that computes them below. Frame 1, operation by operation, six pieces: "
             f"{told[0]}"
             f". Frame 2, compiled, three pieces: {told[1]}. Frame 3, one graph, one order: "
             f"{told[2]}. Between the pieces of frames 1 and 2 the card waits.")
    return s


# ---- how sure is it? --------------------------------------------------------------------

SEEN_BAR, HIDDEN_BAR = 0.1, 0.4  # K, how far the estimate errs where the sea was seen, and not


def bars_and_errors(n=400, seed=4):
    """Standard deviations (n,) K of errors, half of them small, and errors (n,) drawn from them."""
    rng = np.random.default_rng(seed)
    bars = np.where(np.arange(n) % 2, HIDDEN_BAR, SEEN_BAR)
    return bars, bars * rng.normal(size=n)


@drawing("An error bar can be tested: errors in units of their bars")
def bar_and_truth(s):
    bars, errors = bars_and_errors()
    few = slice(0, 8)
    s.frame(1, "An estimate, its bar, and the truth")
    axes = Axes(s, 34, s.y, 300, 112, (-0.6, 7.6), (-1, 1))
    for level in (-0.5, 0, 0.5):
        s.text(31, axes.at(0, level)[1] + 4, num(level), at="end", kind="soft")
    for i, (bar, error) in enumerate(zip(bars[few], errors[few], strict=True)):
        s.line([axes.at(i, -bar), axes.at(i, bar)], "blue", width=2.6)
        s.dot(*axes.at(i, 0), 3.4, "blue")
        x, y = axes.at(i, -error)
        s.line([(x - 4, y - 4), (x + 4, y + 4)], "red", width=2)
        s.line([(x - 4, y + 4), (x + 4, y - 4)], "red", width=2)
    s.y += 118
    s.say("blue: estimate (0) and one standard deviation to both sides",
          "(K). red: the truth. Cells that were seen have short bars.")
    s.y += 8
    z = errors[few] / bars[few]
    s.frame(2, "Divide each error by its own bar")
    for i, value in enumerate(z):
        s.cell(14 + 42 * i, s.y, float(value), 3.0, w=38)
    s.y += 28
    within = int((np.abs(z) <= 1).sum())
    share = float((np.abs(errors / bars) <= 1).mean())
    s.say(f"{within} of 8 lie within 1; of 400 such cells {100 * share:.0f} %. If bars are",
          "right and errors Gaussian it is 68 %, and z has a spread of 1.")
    s.y += 8
    s.frame(3, "Right on average is not right")
    one = float(np.sqrt(np.mean(errors**2)))
    seen, hidden = (float(np.sqrt(np.mean(errors[bars == b] ** 2))) for b in (SEEN_BAR, HIDDEN_BAR))
    for x, words, said in ((20, "one bar for all", (one, one)),
                           (190, "its own bar", (SEEN_BAR, HIDDEN_BAR))):
        axes = Axes(s, x, s.y + 18, 150, 92, (-0.6, 1.6), (0, 0.52))
        s.text(x + 75, s.y + 11, words, bold=True)
        for i, (told, happened) in enumerate(zip(said, (seen, hidden), strict=True)):
            axes.bar(i - 0.2, told, 24, "blue")
            axes.bar(i + 0.2, happened, 24, "red")
            for shift, value in ((-0.2, told), (0.2, happened)):
                px, py = axes.at(i + shift, value)
                s.text(px, py - 3, num(value, 2))
            s.text(axes.at(i, 0)[0], s.y + 123, ("seen", "hidden")[i], kind="soft")
    s.y += 130
    s.say("blue: what is said (K). red: the RMS error (K). One bar for all",
          "is right for nobody, although its z has a spread of 1 too.")
    s.alt = (f"Frame 1: eight estimates with error bars, short and long in turn, and crosses for "
             f"the truth. Frame 2: each error divided by its own bar; {within} of 8 lie within 1, "
             f"of 400 such cells {100 * share:.0f} %, where 68 % are expected. Frame 3: one bar "
             f"for all says {num(one, 2)} K where cells were seen and where they were hidden, "
             f"while the errors are {num(seen, 2)} and {num(hidden, 2)} K. Bars of their own say "
             f"{SEEN_BAR} and {HIDDEN_BAR} K.")
    return s


@drawing("One step of the loop, and what a checkpoint holds")
def one_step(s):
    w, h = 92, 40

    def box(column, y, *words, lit=False):
        x = (14, 134, 254)[column]
        s.rect(x, y, w, h, "lit" if lit else "box", "lit" if lit else "line", round_=4)
        for k, line in enumerate(words):
            base = y + h / 2 + 4.5 + 15 * (k - (len(words) - 1) / 2)
            s.text(x + w / 2, base, line, kind="onlit" if lit else "ink", bold=lit)
        return x

    s.frame(1, "Every step")
    first, second, third = s.y + 2, s.y + 76, s.y + 150
    box(0, first, "samples of", "seed and step")
    box(1, first, "the model")
    box(2, first, "its error:", "the loss")
    s.arrow((106, first + 20), (134, first + 20))
    s.arrow((226, first + 20), (254, first + 20))
    s.arrow((300, first + h), (300, second))
    box(2, second, "its slopes:", "the gradient")
    box(1, second, "clipped to", "length 1")
    box(0, second, "AdamW, with", "its memory", lit=True)
    s.arrow((254, second + 20), (226, second + 20))
    s.arrow((134, second + 20), (106, second + 20))
    s.text(112, first + 62, "rate of the step", at="start", kind="soft")
    s.arrow((110, first + 58), (86, second), kind="soft")
    s.arrow((60, second + h), (60, third))
    box(0, third, "the weights", lit=True)
    s.arrow((106, third + 20), (134, third + 20))
    box(1, third, "their running", "average", lit=True)
    s.line([(60, third + h), (60, third + 52), (349, third + 52), (349, first - 8),
            (180, first - 8)], "line")
    s.arrow((180, first - 8), (180, first), kind="line")
    s.text(262, third + 68, "back into the model", kind="soft")
    s.y = third + 80
    s.frame(2, "Now and then")
    y = s.y + 2
    box(0, y, "judge", "the average")
    box(1, y, "keep the best", lit=True)
    box(2, y, "save all that", "is blue")
    s.arrow((106, y + 20), (134, y + 20))
    s.arrow((226, y + 20), (254, y + 20))
    s.y = y + h + 8
    s.say("Blue, and the number of the step: what the next step needs.",
          "A run that is killed goes on from it as if nothing had been.")
    s.alt = ("Frame 1, every step, a circle: samples made from seed and step; the model; its loss; "
             "its slopes, the gradient; clipped to length 1; AdamW with its memory, at the rate "
             "of the "
             "step; the new weights, which go back into the model, and their running average. "
             "Frame 2, now and then: judge the average, keep the best, save. Blue boxes are what a "
             "checkpoint holds: AdamW's memory, the weights, the average and the best.")
    return s


SAID = np.array([[0.9, 1.3, 1.1, 0.7], [-0.2, 0.4, 0.1, -0.3]])  # two months, four patches


def said_to_patches(s, *tables):
    """Tables of two months and four patches below each other, each with its name."""
    for number, (values, words) in enumerate(tables):
        top = s.y + 62 * number
        for row in range(2):
            s.text(62, top + 15 + 24 * row, f"month {row + 1}", at="end", kind="soft")
        s.grid(68, top, values, 2.0, w=34, h=24)
        s.text(212, top + 28, words, at="start", bold=True)
    s.y += 62 * len(tables) - 6


@drawing("Two roads to the map")
def two_roads(s):
    s.frame(1, "From the observations to the map")
    y = s.y
    s.plain(14, y + 34, "corrections", w=78, h=30)
    s.arrow((80, y + 34), (100, y + 18))
    s.arrow((92, y + 49), (236, y + 49))
    s.rect(100, y, 132, 36, "lit", "lit", round_=4)
    s.text(166, y + 15, "tokens, day weights", kind="onlit")
    s.text(166, y + 30, "attention 1, attention 2", kind="onlit")
    s.arrow((232, y + 18), (252, y + 34))
    s.text(164, y + 62, "the road beside", kind="soft")
    s.plain(236, y + 34, "convolutions", w=82, h=30)
    s.line([(53, y + 64), (53, y + 98), (267, y + 98)], "line")
    s.arrow((261, y + 98), (267, y + 98), kind="line")
    s.text(156, y + 92, "first guess", kind="soft")
    s.arrow((277, y + 64), (277, y + 88))
    s.text(284, y + 80, "residual", at="start", kind="soft")
    s.dot(277, y + 98, 10, "paper", "ink")
    s.text(277, y + 102.5, "+", size=14, bold=True)
    s.arrow((287, y + 98), (308, y + 98))
    s.plain(308, y + 86, "map", w=40, h=24, bold=True)
    s.y += 124
    s.frame(2, "To ablate: say the average, always")
    said_to_patches(s, (SAID, "attention says"), (np.full_like(SAID, SAID.mean()), "ablated"))
    s.say("One number for four patches (columns) in two months.",
          "Ablated, it tells no place and no month apart.")
    s.alt = ("Frame 1: the corrections make a first guess, which goes straight to the sum. Two "
             "roads lead from them to the last convolutions, whose residual is added: one through "
             "tokens, day weights and two layers of attention, one beside them. Frame 2: what "
             f"attention says to four patches in two months, {num(SAID.min())} to "
             f"{num(SAID.max())}. Ablated, all eight numbers are their mean, "
             f"{num(SAID.mean())}.")
    return s


@drawing("One message a month")
def one_message(s):
    of_months = SAID.mean(1)
    s.frame(1, "What is left of what attention says")
    said_to_patches(s, (SAID, "attention says"),
                    (np.full_like(SAID, SAID.mean()), "one mean for all"),
                    (of_months[:, None].repeat(4, 1), "a mean each month"))
    s.say("The last table tells the two months apart, and no places.")
    s.alt = (f"Three tables of four patches in two months. What attention says, {num(SAID.min())} "
             f"to {num(SAID.max())}. One mean for all: eight times {num(SAID.mean())}. A mean each "
             f"month: four times {num(of_months[0])} in the first month, four times "
             f"{num(of_months[1])} in the second.")
    return s


# ---- learning without labels ------------------------------------------------------------

HIDDEN_OF = {  # way to hide -> for each of 4 days the patches (row, column) that are kept
    "tube": [[(0, 1), (2, 3), (3, 0)]] * 4,
    "random": [[(0, 1), (1, 3), (3, 2)], [(0, 0), (2, 1), (2, 3)], [(1, 2), (3, 0), (3, 3)],
               [(0, 3), (1, 0), (2, 2)]],
    "clouds": [[(0, 0), (0, 1), (1, 0), (1, 1), (2, 0)], [(0, 0), (0, 1)],
               [], [(2, 3), (3, 1), (3, 2), (3, 3), (2, 2)]],
}


@drawing("Three ways to hide the tokens of a month")
def three_ways_to_hide(s):
    words = {"tube": "a place, on all days", "random": "any token, on any day",
             "clouds": "what other days' clouds cover"}
    for number, (kind, days) in enumerate(HIDDEN_OF.items(), 1):
        s.frame(number, f"{kind}: {words[kind]}")
        for day, kept in enumerate(days):
            for i, j in np.ndindex(4, 4):
                here = (i, j) in kept
                s.rect(16 + 84 * day + 18 * j, s.y + 18 * i, 16, 16, "lit" if here else "box",
                       dash=not here)
            s.text(51 + 84 * day, s.y + 86, f"day {day + 1}", kind="soft")
        s.y += 98
    number = sum(map(len, HIDDEN_OF["tube"]))
    assert all(sum(map(len, days)) == number for days in HIDDEN_OF.values())
    s.say(f"Kept (filled): {number} of {16 * 4} tokens, the same number each time.")
    s.alt = ("Three rows of four days, each a grid of four by four patches; filled ones are kept. "
             "Frame 1, tube: the same three places are kept on every day. Frame 2, random: three "
             "places a day, other ones each day. Frame 3, clouds: five patches side by side on day "
             "1, two on day 2, none on day 3, five in another corner on day 4. Each row keeps "
             f"{number} of 64.")
    return s


@drawing("Hide, drop, ask")
def hide_drop_ask(s):
    values = [0.8, math.nan, 0.6, 0.7, math.nan, -0.2, -0.5, math.nan]
    seen = [k for k, v in enumerate(values) if not math.isnan(v)]
    kept, asked = [2, 5], 6
    hidden = [k for k in seen if k not in kept]
    x = [18 + 41 * k for k in range(8)]
    s.frame(1, "Eight tokens; three saw nothing")
    s.grid(x[0], s.y, np.array(values), w=41, gap="")
    s.y += 36
    s.frame(2, f"Hide {len(hidden)} of the {len(seen)} that saw something")
    for k, value in enumerate(values):
        if k in hidden:
            s.plain(x[k], s.y, "?", w=41, ink="red", edge="red", bold=True)
        else:
            s.cell(x[k], s.y, value, w=41, gap="")
    s.y += 36
    s.frame(3, "Drop: the transformer reads what is left")
    s.rect(120, s.y, 120, 34, "box")
    for n_, k in enumerate(kept):
        s.cell(133 + 54 * n_, s.y + 6, values[k], w=40)
        s.text(153 + 54 * n_, s.y + 48, f"number {k + 1}", kind="soft")
    s.y += 64
    s.frame(4, "Ask a hidden token: it knows its number alone")
    near = np.array([math.exp(-abs(k - asked) / 1.5) for k in kept])
    weight = near / near.sum()
    guess = float(weight @ [values[k] for k in kept])
    s.plain(18, s.y, f"number {asked + 1}?", w=82, edge="red", ink="red")
    s.arrow((102, s.y + 11), (126, s.y + 11))
    pairs = zip(weight, kept, strict=True)
    rule = " + ".join(f"{num(w, 2)} · ({num(values[k])})" for w, k in pairs)
    s.text(132, s.y + 15, f"{rule} = {num(guess, 2)}", at="start")
    s.y += 30
    error = guess - values[asked]
    s.say(f"Observed was {num(values[asked])} K. It learns from the error of {num(error, 2)} K.",
          "The three that saw nothing are never asked for.")
    s.alt = (f"Frame 1: eight tokens in a row; {len(values) - len(seen)} saw nothing, the others "
             f"hold numbers. Frame 2: {len(hidden)} of these {len(seen)} are replaced by question "
             f"marks. Frame 3: the {len(kept)} that are left, numbers {kept[0] + 1} and "
             f"{kept[1] + 1}, go into the transformer alone. Frame 4: the hidden token {asked + 1} "
             f"asks by its number, looks at the two with weights {num(weight[0], 2)} and "
             f"{num(weight[1], 2)}, and guesses {num(guess, 2)} K; observed was "
             f"{num(values[asked])} K.")
    return s


# ---- attention across the days -------------------------------------------------------------

OF_C, ASKER = np.array([1.0, 0.8, np.nan, np.nan, 0.2]), 2  # K of five days; day 3 asks


def near_sighted(reach=1.0):
    """Weights of the days that saw the patch, and of the null key: (5,), a number."""
    kernel = np.where(np.isnan(OF_C), 0.0, gauss(np.arange(5) - ASKER, reach))
    return kernel / (kernel.sum() + 1), 1 / (kernel.sum() + 1)


@drawing("Attention across the days, with a null key")
def days_and_places(s):
    weights, null = near_sighted()
    heard = np.nansum(weights * OF_C)
    s.frame(1, "Patch C, five days. Day 3 saw nothing, and asks")
    for t in range(5):
        s.text(71 + 50 * t, s.y + 10, f"day {t + 1}", bold=t == ASKER,
               kind="purple" if t == ASKER else "ink")
    s.text(MARGIN, s.y + 31, "K", at="start")
    s.grid(46, s.y + 16, OF_C, 1.2, w=50)
    s.y += 50
    s.frame(2, "Near days count more: reach 1 day, and a null key")
    kernel = np.where(np.isnan(OF_C), np.nan, gauss(np.arange(5) - ASKER, 1.0))
    for t in range(5):
        s.rect(46 + 50 * t, s.y + 2, 50, 22, "gap" if np.isnan(kernel[t]) else "box")
        if not np.isnan(kernel[t]):
            s.text(71 + 50 * t, s.y + 17, num(kernel[t], 2))
    s.plain(304, s.y + 2, "1", w=38)
    s.text(323, s.y + 37, "null", kind="soft")
    s.text(MARGIN, s.y + 37, "exp(−r² / 2); a day that saw nothing is never asked", at="start",
           kind="soft")
    s.y += 48
    s.frame(3, "Divide by all of them, the null key too")
    for t in range(5):
        s.plain(46 + 50 * t, s.y + 2, num(weights[t], 2), w=50,
                kind="gap" if np.isnan(OF_C[t]) else "box")
    s.plain(304, s.y + 2, num(null, 2), w=38)
    rule = " + ".join(f"{num(w, 2)} · {num(v)}" for w, v in zip(weights, OF_C, strict=True)
                      if not np.isnan(v))
    s.text(MARGIN, s.y + 42, f"{rule} = {num(heard, 2)} K", at="start", bold=True)
    s.y += 58
    s.frame(4, "Then across the patches of the day: two hops")
    top = s.y + 14
    for t in range(5):
        s.text(MARGIN, top + 15 + 22 * t, f"day {t + 1}", at="start", kind="soft")
        for k in range(4):
            asks = (t, k) == (ASKER, 2)
            s.rect(92 + 62 * k, top + 22 * t, 62, 22, "lit" if asks else "box")
    for k in range(4):
        s.text(123 + 62 * k, s.y + 9, NAMES[k], kind=SERIES[k], bold=True)
    s.arrow((123, top + 11), (123, top + 11 + 22 * ASKER), kind="blue", width=2)
    s.arrow((123, top + 11 + 22 * ASKER), (240, top + 11 + 22 * ASKER), kind="red", width=2)
    s.y = top + 116
    s.say("1: along the days of patch A. 2: across the patches of day 3.")
    s.alt = (f"Frame 1: patch C on five days: {words_of(OF_C[:2])} K on days 1 and 2, 0.2 K on day "
             "5, nothing on days 3 and 4; day 3 asks. Frame 2: kernels of the days that saw it, "
             f"{words_of(kernel[[0, 1, 4]], 2)}, and 1 for the null key. Frame 3: divided by their "
             f"sum they are {words_of(weights[[0, 1, 4]], 2)} and {num(null, 2)} for the null key; "
             f"the days' values then sum to {num(heard, 2)} K. Frame 4: a table of five days and "
             "four patches; an arrow goes down the days of patch A to day 3, another from there "
             "across the patches to C.")
    return s


# ---- to the files -----------------------------------------------------------------------

IMAGE = re.compile(r"!\[[^\]]*\]\(\.\./drawings/(\w+)\.svg\)")


def draw(name):
    """The text of one SVG file, and its alt text."""
    if name not in DRAWINGS:
        raise ValueError(f"a page shows the drawing {name!r}, write a function of that name here")
    sheet = DRAWINGS[name][1]()
    return sheet.svg(), sheet.alt


def with_alts(source):
    """A Markdown cell whose drawings carry the alt texts of this file."""
    return IMAGE.sub(lambda m: f"![{draw(m[1])[1]}](../drawings/{m[1]}.svg)", source)


def stale():
    """Yield (path, new text) of each drawing and chapter that is not as this file has it."""
    for name in DRAWINGS:
        path, text = FOLDER / f"{name}.svg", draw(name)[0]
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            yield path, text
    for path in sorted(CHAPTERS.glob("*.ipynb")):
        notebook = nbformat.read(path, as_version=4)
        changed = False
        for cell in notebook.cells:
            if cell.cell_type == "markdown" and (new := with_alts(cell.source)) != cell.source:
                cell.source, changed = new, True
        if changed:
            yield path, nbformat.writes(notebook) + "\n"


def main(arguments):
    if arguments not in ([], ["check"]):
        print(__doc__.split("\n\n")[1], file=sys.stderr)
        return 2
    FOLDER.mkdir(exist_ok=True)
    found = list(stale())
    for path, text in found:
        print(f"{path.name}: {'out of date' if arguments else 'written'}")
        if not arguments:
            path.write_text(text, encoding="utf-8")
    return 1 if found and arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
