"""The website as a browser sees it: light pages, no complaint, nothing that hinders anybody.

Four pages here; `make website` looks at all of them and runs Lighthouse too. Chromium, node and
the packages of tests/website/package-lock.json do the looking; where they are absent, it skips.
"""

import html
import json
import os
import re
import shutil
import subprocess
from base64 import b64decode
from io import BytesIO
from pathlib import Path

import figures
import nbformat
import notebooks
import pytest
from _ext import finish_pages, sources
from PIL import Image

from sst_tutorial import phone

HERE = Path(__file__).parent / "website"
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
ALL = os.environ.get("SST_TUTORIAL_PAGES") == "all"
# The front page; a chapter with a slider, tables, folded cells and formulas; a list of references;
# a chapter whose figures come from a method of the package and have no form for phones.
PAGES = ["book/index.html", "book/chapters/month_of_ocean.html", "book/bibliography.html",
         "book/chapters/teach_your_sea.html"]
AUDITED = ["book/index.html", "book/chapters/month_of_ocean.html", "book/chapters/which_days.html"]
MAX_BYTES = 800_000


# ---- in the browser ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser():
    """Return a function that runs check.mjs and gives its lines."""
    for tool in (CHROMIUM, "node", "npm"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not on this machine")
    if not (HERE / "node_modules" / "puppeteer-core").is_dir() or ALL:
        leave_out = [] if ALL else ["--omit=optional"]
        done = subprocess.run(["npm", "ci", *leave_out], cwd=HERE, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"npm ci failed: {done.stderr.strip().splitlines()[-1:]}")

    def check(*arguments):
        done = subprocess.run(["node", "check.mjs", *arguments], cwd=HERE, capture_output=True,
                              text=True)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    return check


@pytest.fixture(scope="module")
def loads(browser, site):
    """Each page at 1400 and 390 px, light and dark."""
    found = browser(str(site), *([] if ALL else PAGES))
    assert len(found) >= 4 * len(PAGES)
    return found


def worst(loads, fault):
    """Collect what `fault` finds in each load, with the page, its width and its scheme."""
    return [(one["page"], one["width"], one["scheme"], found) for one in loads
            if (found := fault(one))]


@pytest.mark.parametrize("what", ["console", "failed", "hosts", "small"])
def test_a_page_complains_of_nothing(loads, what):
    """No console message, failed request, other host, or shrunk figure that does not enlarge."""
    assert worst(loads, lambda one: one[what]) == []


def test_no_page_is_heavy(loads):
    assert worst(loads, lambda one: one["bytes"] if one["bytes"] > MAX_BYTES else None) == []


def test_nothing_hinders_a_screen_reader(loads):
    def serious(one):
        return [rule for rule in one["axe"] if rule["impact"] in ("serious", "critical")]

    assert worst(loads, serious) == []


def test_no_page_is_wider_than_its_screen(loads):
    assert worst(loads, lambda one: one["overflow"]["page"]) == []
    assert worst(loads, lambda one: one.get("overflow320", {}).get("page")) == []


def test_sliders_speak_and_fit_a_thumb(loads):
    found = [one for one in loads if one["sliders"]]
    assert found
    for one in found:
        for slider in one["sliders"]:
            assert slider["says"], one["page"]
            assert slider["height"] >= (40 if one["width"] < 600 else 24), one["page"]


def test_a_phone_gets_the_figures_drawn_for_it(loads):
    """And shows their smallest text at 9 px or more; sst_tutorial/phone.py has the sizes."""
    for one in loads:
        if one["width"] > 600:
            assert one["phone"] == [], one["page"]
            continue
        for figure in one["phone"]:
            scale = figure["shown"] / figure["own"]
            assert phone.SMALLEST * 100 / 72 * scale >= 9, (one["page"], figure)
    month = [one for one in loads if "month_of_ocean" in one["page"] and one["width"] < 600]
    assert month and all(len(one["phone"]) >= 5 for one in month)


def test_the_dark_turns_charts_round_and_dims_maps(loads):
    for one in (one for one in loads if "month_of_ocean" in one["page"]):
        kinds = one["filters"]
        assert len(kinds["chart"]) >= 2 and len(kinds["other"]) >= 4
        dark = one["scheme"] == "dark"
        assert set(kinds["chart"]) == {"invert(1) hue-rotate(180deg)" if dark else "none"}
        assert set(kinds["other"]) == {"brightness(0.85)" if dark else "none"}


def test_a_figure_opens_at_its_own_size_on_a_phone(loads):
    found = [one["enlarged"] for one in loads if one.get("enlarged")]
    assert found
    assert all(one["shown"] >= one["own"] > 390 for one in found), found
    # Sphinx makes links of the pictures of the first page: book.js frees them.
    assert [one for one in loads if one["page"] == "book/index.html" and one.get("enlarged")]


def test_formulas_are_drawn_when_a_reader_comes_to_them(loads):
    found = [one for one in loads if one.get("formulas", {}).get("all")]
    assert found
    assert worst(found, lambda one: one["formulas"]["all"] - one["formulas"]["drawn"]) == []


@pytest.mark.skipif(not ALL, reason="Lighthouse takes minutes: `make website`")
def test_lighthouse(browser, site):
    found = browser(str(site), "--lighthouse", *AUDITED)
    for one in found:
        print(one)
        assert one["performance"] >= (0.85 if one["device"] == "phone" else 0.95), one
        assert one["accessibility"] == one["best-practices"] == one["seo"] == 1, one


# ---- what the last pass does to a page --------------------------------------------------

PAGE = """\
<head><title>A page &#8212; The Book</title>
<script defer src="a/scripts/fontawesome.js"></script>
<script src="a/copybutton.js"></script>
<script>window.MathJax = {{}}</script>
<script defer="defer" src="a/mathjax/tex-chtml.js"></script>
</head><body data-x="1"><article class="bd-article">
<p>{text}</p>
<p><img alt="x" src="one.png"></p><p><img alt="y" src="one.png"></p><p><img src="data:abc"></p>
<table><thead><tr><th></th><th>K</th></tr></thead></table>
</article></body>
"""
SENTENCE = "A sentence &amp; a half that is long enough to say what a page is about."


@pytest.fixture
def page(tmp_path):
    finish_pages.Image.new("RGB", (40, 30)).save(tmp_path / "one.png")

    def make(text, base=""):
        done = finish_pages.finished(PAGE.format(text=text), "p.html", tmp_path, base, "v1")
        return done

    return make


def test_mathjax_comes_only_with_formulas(page):
    plain, formula = page(SENTENCE), page(SENTENCE + '<span class="math">x</span>')
    assert "athjax" not in plain.lower()
    assert '<body data-mathjax="a/mathjax/tex-chtml.js" data-x="1">' in formula
    assert "window.MathJax" in formula and "<script defer src=\"a/copybutton.js\">" in formula
    assert "fontawesome.js" not in plain + formula


def test_pictures_are_sized_and_wait(page):
    done = page(SENTENCE)
    assert '<img width="40" height="30" alt="x"' in done
    assert '<img loading="lazy" decoding="async" width="40" height="30" alt="y"' in done
    assert '<img src="data:abc">' in done


@pytest.mark.parametrize("paper, chart", [(0.97, True), (0.84, False)])
def test_a_chart_is_nearly_all_paper(tmp_path, paper, chart):
    picture = finish_pages.Image.new("RGB", (100, 100), (254, 254, 254))
    picture.paste((31, 119, 180), (0, 0, 100, round(100 * (1 - paper))))
    picture.save(tmp_path / "one.png")
    body = '<article class="bd-article"><img src="one.png"><img class="a" src="one.png"></article>'
    done = finish_pages.sized_images(body, tmp_path)
    assert re.findall(r'class="([^"]*)" ?(?:src|>)', done.partition("<img")[2]) == (
        ["chart", "chart a"] if chart else ["a"])


def words_of(cell, text):
    """What is said of a figure: its caption, labels and titles, and the lines that cite it."""
    figure = cell.metadata["mystnb"]["figure"]
    labels = re.findall(r'"([^"\n]*)"', re.sub(r"\{.*?\}", "", cell.source))  # no f-string's names
    lines = [line for line in text.splitlines() if f"#{figure['name']})" in line]
    return [figure["caption"], *(label for label in labels if " " in label), *lines]


@pytest.mark.parametrize("path", notebooks.chapters(), ids=lambda path: path.stem)
def test_no_word_is_wrong_where_a_chart_is_turned_round(path):
    """On dark pages black is white there, and dark is pale."""
    notebook = nbformat.read(path, as_version=4)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    for cell, figure in figures.captioned(notebook):
        png = next((output.data["image/png"] for output in cell.outputs
                    if "image/png" in output.get("data", {})), None)
        if png is None or not finish_pages.is_chart(Image.open(BytesIO(b64decode(png)))):
            continue
        for words in words_of(cell, text):
            words = words.replace("white noise", "")
            found = re.findall(r"\b(?:black|white|pale|dark)\w*", words, flags=re.I)
            assert not found, f"{figure['name']}: {found} in {words!r}"


def test_a_drawing_with_steps_says_what_they_are(tmp_path):
    (tmp_path / "d.svg").write_text(
        '<svg viewBox="0 0 360 90"><g id="f1" class="at" aria-label="a &lt; b"/>\n<g><rect/></g>'
        """<g id="f2" class="at" aria-label='say "so"'/><g><rect/></g></svg>""")
    (tmp_path / "plain.svg").write_text('<svg viewBox="0 0 360 90"></svg>')
    body = '<article class="bd-article"><img src="d.svg"><img src="plain.svg"></article>'
    done = finish_pages.sized_images(body, tmp_path)
    told = re.findall(r'data-steps="([^"]*)"', done)
    assert [json.loads(html.unescape(text)) for text in told] == [["a < b", 'say "so"']]
    script = (Path(finish_pages.__file__).parents[1] / "_static" / "book.js").read_text()
    assert "`${file}#f${step}`" in script and "prefers-reduced-motion: reduce" in script


def test_a_page_is_described_in_its_own_words(page):
    assert f'<meta name="description" content="{SENTENCE}">' in page(SENTENCE)
    assert "og:url" not in page(SENTENCE) and "og:image" not in page(SENTENCE)
    known = page(SENTENCE, "https://sea.github.io/clouds/")
    assert 'property="og:url" content="https://sea.github.io/clouds/p.html"' in known
    assert 'content="https://sea.github.io/clouds/_static/cover.png"' in known


def test_an_empty_head_of_a_table_is_no_head(page):
    assert "<thead><tr><td></td><th>K</th></tr></thead>" in page(SENTENCE)


def test_launch_links_open_the_release():
    links = ('<a href="https://colab.research.google.com/github/a/b/blob/main/x.ipynb">'
             '<a href="https://mybinder.org/v2/gh/a/b/main?urlpath=x">'
             '<a href="https://github.com/a/b/edit/main/x.ipynb">')
    done = finish_pages.at_release(links, "v1")
    assert "/a/b/blob/v1/x" in done and "/a/b/v1?urlpath" in done and "/a/b/edit/main/x" in done


@pytest.mark.parametrize("base", ["", "https://sea.github.io/clouds/"])
def test_site_files(tmp_path, base):
    finish_pages.write_site_files(tmp_path, base, ["book/index.html"])
    assert (tmp_path / "sitemap.xml").exists() == bool(base)
    assert ("Sitemap: " in (tmp_path / "robots.txt").read_text()) == bool(base)
    assert f'href="{base or "/"}book/index.html"' in (tmp_path / "404.html").read_text()
    if base:
        assert f"<loc>{base}book/index.html</loc>" in (tmp_path / "sitemap.xml").read_text()


# ---- what of a source is left out -------------------------------------------------------


def test_the_sentence_before_a_live_cell_is_left_out():
    def cells(tags):
        return {"cells": [
            {"cell_type": "markdown", "metadata": {},
             "source": ["Text.\n", "\n", "In Colab or JupyterLab, the next cell moves."]},
            {"cell_type": "code", "metadata": {"tags": tags}, "source": "f()"},
        ]}

    assert sources.without_announcements(cells(["live"]))["cells"][0]["source"] == "Text.\n\n"
    assert "next cell" in str(sources.without_announcements(cells([]))["cells"][0]["source"])


def test_a_figure_of_another_chapter_is_linked_by_its_name():
    text = "See [Figure 2.1](other.ipynb#fig-x) in [the other](other.ipynb#head)."
    page = {"cells": [{"cell_type": "markdown", "source": [text]}]}
    assert sources.with_known_figures(page)["cells"][0]["source"] == (
        "See [Figure 2.1](#fig-x) in [the other](other.ipynb#head).")


def test_a_page_without_an_address_leaves_out_what_needs_it():
    text = ("a\n<!-- needs the address -->\nColab\n<!-- end -->\nb\n"
            "git clone https://github.com/OWNER/x\n"
            'pip install "sst-tutorial[all] @ git+https://github.com/OWNER/x"\n')
    assert sources.with_address(text, False) == 'a\nb\npip install ".[all]"\n'
    known = text.replace("OWNER", "sea")
    assert sources.with_address(known, True).startswith("a\nColab\nb\ngit clone https://github.com/sea")
