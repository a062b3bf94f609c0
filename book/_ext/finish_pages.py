"""The last pass over each built page: lighter, found by search engines, right for screen readers.

Themes and extensions decide what a page loads and how its buttons are called; what they get wrong
for this book is repaired here, on the HTML they wrote: small functions, one reason each.
"""

import html
import io
import json
import re
import sys
from functools import cache
from pathlib import Path

from PIL import Image, ImageChops

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import address  # noqa: E402  (book/address.py)

from sst_tutorial import phone  # noqa: E402

FINISHED = "<!-- finished -->\n"
SITE = "The Ocean Under the Clouds"
ABOUT = ("A book and a package that fill the gaps in satellite maps of the sea: from the first "
         "cloudy map to a transformer trained on a graphics card. Every page runs.")
PAPER = 245  # of 255, the darkest of red, green and blue: white, but for what a palette rounds
CHART = 0.86  # of a picture is paper. Charts have 0.88 to 0.97, maps and strips of grey to 0.84.
SCRIPT = re.compile(r"[ \t]*<script\b[^>]*>.*?</script>\n?", flags=re.S)


# ---- lighter ----------------------------------------------------------------------------


def lighter_scripts(page):
    """Drop scripts that a page does not use, let the others wait, and keep MathJax for formulas."""
    body = page.partition("<body")[2]
    unused = ["scripts/fontawesome.js",  # 540 kB packed; the icon fonts draw the same icons
              "sphinx-thebe.js", "THEBE_JS_URL"]  # no page starts a kernel
    if "sd-tab-set" not in body:
        unused.append("design-tabs.js")
    if not re.search(r'class="(?:[^"]* )?(?:toggle|admonition [^"]*dropdown)[ "]', body):
        unused += ["togglebutton.js", "togglebuttonSelector", "toggleHint", "toggleOpenOnPrint"]
    if "search-results" not in body:
        unused += ["searchtools.js", "language_data.js", "searchindex.js"]
    if 'class="math' not in body:
        unused.append("window.MathJax")
    formulas = None

    def one(match):
        nonlocal formulas
        script = match[0]
        if any(name in script for name in unused):
            return ""
        if "mathjax/" in script:  # book.js loads it when it is needed
            formulas = re.search(r'src="([^"]+)"', script)[1]
            return ""
        if "src=" not in script or "documentation_options" in script:  # others read its constants
            return script
        return re.sub(r"<script(?! (?:async|defer))", "<script defer", script)

    page = SCRIPT.sub(one, page)
    if formulas and 'class="math' in body:
        page = page.replace("<body ", f'<body data-mathjax="{formulas}" ', 1)
    # Style first, then scripts.
    return re.sub(r'<link rel="preload" as="script"[^>]*>\n?', "", page)


@cache
def size_of(path):
    """Return width and height of a picture as the page shows it, or None where it has none."""
    if path.suffix == ".svg":
        head = path.read_text(encoding="utf-8")[:2000]
        box = re.search(r'viewBox="[\d.-]+[ ,]+[\d.-]+[ ,]+([\d.]+)[ ,]+([\d.]+)"', head)
        return (round(float(box[1])), round(float(box[2]))) if box else None
    with Image.open(path) as picture:
        return picture.size


def is_chart(picture):
    """Is a picture lines and dots on paper? Dark pages turn such a picture round (book.css)."""
    red, green, blue = picture.convert("RGB").split()
    counts = ImageChops.darker(ImageChops.darker(red, green), blue).histogram()
    return sum(counts[PAPER:]) > CHART * sum(counts)


@cache
def shows_chart(path):
    if path.suffix != ".png":
        return False
    with Image.open(path) as picture:
        return is_chart(picture)


@cache
def steps_of(path):
    """Return what is said of each step of a drawing that has steps (book/drawings.py), as JSON."""
    if path.suffix != ".svg":
        return ""
    found = re.findall(r"""<g id="f\d+" class="at" aria-label=(?:"([^"]*)"|'([^']*)')""",
                       path.read_text(encoding="utf-8"))
    words = [html.unescape(a or b) for a, b in found]
    return json.dumps(words, ensure_ascii=False) if words else ""


@cache
def phone_form(path):
    """Move a figure's form for phones out of its file (see sst_tutorial/phone.py); return that."""
    narrow = path.with_suffix(".phone.webp")
    if path.suffix == ".png":
        figure = Image.open(io.BytesIO(path.read_bytes()))
        if found := dict(figure.private_chunks).get(phone.CHUNK):
            narrow.write_bytes(found)
            figure.save(path, optimize=True)
    return narrow if narrow.is_file() else None


def with_phone_form(tag, source, narrow):
    """Let a narrow screen fetch the form of a figure that was drawn for it, and only that."""
    width, height = (round(100 * side / phone.DPI) for side in size_of(narrow))
    name = source[: source.rfind("/") + 1] + narrow.name
    return (f'<picture><source media="{phone.SCREENS}" srcset="{name}" width="{width}" '
            f'height="{height}">{tag}</picture>')


def sized_images(page, folder):
    """Give pictures their size, so that nothing jumps, and let those below the first wait.

    A drawing with steps also gets what is said of them: book.js puts a slider below it.
    """
    first = True

    def one(match):
        nonlocal first
        tag = match[0]
        source = re.search(r'src="([^"]+)"', tag)[1]
        path = (folder / source).resolve()
        if source.startswith("data:") or not path.is_file():
            return tag
        extra = "" if first else ' loading="lazy" decoding="async"'
        first = False
        size = size_of(path)
        if size and not re.search(r"\b(?:width|height)=", tag):
            extra += ' width="{}" height="{}"'.format(*size)
        if steps := steps_of(path):
            extra += f' data-steps="{html.escape(steps)}"'
        if shows_chart(path) and 'class="' in tag:
            tag = tag.replace('class="', 'class="chart ', 1)
        elif shows_chart(path):
            extra += ' class="chart"'
        tag = tag.replace("<img", "<img" + extra, 1)
        narrow = phone_form(path)
        return with_phone_form(tag, source, narrow) if narrow else tag

    head, article, body = page.partition('<article class="bd-article"')
    return head + article + re.sub(r"<img\b[^>]*>", one, body)


# ---- read by everybody ------------------------------------------------------------------


def right_names(page):
    """Name what the theme leaves without a name, or names otherwise than it reads."""
    # A label must hold the words that are seen: the search button reads "Search Ctrl+K".
    page = re.sub(r'(<button class="btn search-button-field[^>]*?) aria-label="Search"', r"\1",
                  page)
    for side in ("primary", "secondary"):
        page = page.replace(
            f'title="Toggle {side} sidebar"',
            f'title="Toggle {side} sidebar" aria-label="Toggle {side} sidebar"')
    # A folded cell already reads "Show a solution"; the label says something else.
    page = page.replace('<summary aria-label="Toggle hidden content">', "<summary>")
    # All of a page stands in a landmark, the sidebar with the book's name too.
    page = page.replace('<div id="pst-primary-sidebar"',
                        '<div id="pst-primary-sidebar" role="region" aria-label="The book"')
    # The head over the row names of a pandas table is empty; it names nothing, so it is no head.
    page = re.sub(r"<th((?: [^>]*)?)>\s*(?:<p></p>)?\s*</th>", r"<td\1></td>", page)
    # A list must hold items: entries of the bibliography are that.
    return page.replace('role="doc-biblioentry"', 'role="listitem"')


# ---- found ------------------------------------------------------------------------------


def description(page):
    """Return a page's first paragraph as one line of at most 160 characters, or the book's own."""
    article = page.partition('<article class="bd-article"')[2]
    for text in re.findall(r"<p>(.*?)</p>", article, flags=re.S)[:4]:
        plain = html.unescape(" ".join(re.sub(r"<[^>]+>", "", text).split()))
        if len(plain) < 40 or plain.startswith(("Open in", "Run this chapter")):
            continue
        if len(plain) > 160:
            plain = plain[:158].rsplit(" ", 1)[0] + " …"
        return plain
    return ABOUT


def head_of(page, name, base):
    """Return the lines that tell search engines and chat windows what a page is."""
    title = html.unescape(re.search(r"<title>(.*?)</title>", page, flags=re.S)[1])
    about = description(page)
    named = {"og:type": "article", "og:title": title, "og:description": about, "og:site_name": SITE}
    lines = [f'<meta name="description" content="{html.escape(about)}">']
    if base:  # these need whole addresses; Sphinx writes the canonical one
        named |= {"og:url": base + name, "og:image": base + "_static/cover.png",
                  "og:image:alt": "Daily maps with holes, and the complete map made of them"}
        lines.append('<meta name="twitter:card" content="summary_large_image">')
    lines += [f'<meta property="{key}" content="{html.escape(value)}">'
              for key, value in named.items()]
    return "".join(f"    {line}\n" for line in lines)


def one_title(page):
    """The front page's title is the book's, once."""
    return re.sub(r"<title>(.+?) &#8212; \1</title>", r"<title>\1</title>", page)


def at_release(page, tag):
    """Launch links open the released notebooks: those of a branch may need a newer package."""
    page = re.sub(r'(href="https://colab\.research\.google\.com/github/[^/"]+/[^/"]+/blob/)main/',
                  rf"\1{tag}/", page)
    return re.sub(r'(href="https://mybinder\.org/v2/gh/[^/"]+/[^/"]+/)main\?', rf"\1{tag}?", page)


def finished(page, name, site, base, tag):
    """Return the HTML of the page called `name` ('book/setup.html') in its last form."""
    page = one_title(page)
    # Sphinx, MyST and the theme each write the viewport: once is enough.
    head, first, rest = page.partition('<meta name="viewport"')
    page = head + first + re.sub(r'<meta name="viewport"[^>]*>', "", rest)
    page = re.sub(r"</title>\n?", lambda m: m[0] + head_of(page, name, base), page, count=1)
    page = lighter_scripts(page)
    page = sized_images(page, (site / name).parent)
    page = right_names(page)
    return at_release(page, tag) + FINISHED


# ---- the site's other files -------------------------------------------------------------

NOT_FOUND = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<link rel="icon" href="data:,">
<title>Not found: {site}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 1.1rem/1.6 system-ui, sans-serif; max-width: 34rem; margin: 15vh auto; }}
main {{ padding: 0 1rem; }}
a {{ color: inherit; }}
</style>
</head>
<body>
<main>
<h1>Under a cloud</h1>
<p>There is no page at this address. It may have moved.</p>
<p><a href="{home}">Go to the first page of {site}</a></p>
</main>
</body>
</html>
"""

HOME = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{site}</title>
<meta name="description" content="{about}">
<meta http-equiv="refresh" content="0; url=book/index.html">
{canonical}</head>
<body>
<p><a href="book/index.html">{site}</a></p>
</body>
</html>
"""


def write_site_files(site, base, names):
    """Write the forwarding to the first page, 404.html, robots.txt and the sitemap."""
    canonical = f'<link rel="canonical" href="{base}book/index.html">\n' if base else ""
    home = HOME.format(site=SITE, about=html.escape(ABOUT), canonical=canonical)
    (site / "index.html").write_text(home, encoding="utf-8")
    # A host shows 404.html at whatever address was asked for, so the link must be whole.
    page = NOT_FOUND.format(site=SITE, home=f"{base or '/'}book/index.html")
    (site / "404.html").write_text(page, encoding="utf-8")
    robots = "User-agent: *\nAllow: /\n" + (f"Sitemap: {base}sitemap.xml\n" if base else "")
    (site / "robots.txt").write_text(robots, encoding="utf-8")
    if base:
        rows = "".join(f"<url><loc>{base}{name}</loc></url>\n" for name in sorted(names))
        (site / "sitemap.xml").write_text(
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n{rows}</urlset>\n',
            encoding="utf-8")


ICON = re.compile(r'([^{}]*\.fa-[\w-]+:before[^{}]*)\{content:"\\?([^"]+)"\}')


def subset_icons(site, pages):
    """Cut the icon fonts to the icons in use: 300 kB become 10, and 80 kB of rules go."""
    from fontTools import subset, ttLib

    style = site / "_static" / "styles" / "pydata-sphinx-theme.css"
    css = style.read_text(encoding="utf-8")
    scripts = "".join(path.read_text(encoding="utf-8")
                      for path in (site / "_static" / "scripts").glob("*theme.js"))
    used = set(re.findall(r"\bfa-[\w-]+", scripts + "".join(pages)))
    points = {0xF107}  # the arrow of menus, drawn by sphinx-book-theme.css

    def one(match):
        if not used & {name[1:] for name in re.findall(r"\.fa-[\w-]+", match[1])}:
            return ""
        points.add(int(match[2], 16) if len(match[2]) > 1 else ord(match[2]))
        return match[0]

    css = ICON.sub(one, css)
    css = re.sub(r'(url\(\.\./vendor/fontawesome/webfonts/[\w-]+)\.woff2\) format\("woff2"\),'
                 r'url\([^)]*\) format\("truetype"\)', r'\1.woff) format("woff")', css)
    style.write_text(css, encoding="utf-8")
    for path in (site / "_static" / "vendor" / "fontawesome" / "webfonts").glob("*.ttf"):
        font = ttLib.TTFont(path)
        cutter = subset.Subsetter()
        cutter.populate(unicodes=points)
        cutter.subset(font)
        font.flavor = "woff"
        font.save(path.with_suffix(".woff"))


def finish(app, exception):
    if exception is not None or app.builder.name != "html":
        return
    site = Path(app.outdir)
    url = address.repository()
    base = address.pages(url) if address.is_set(url) else ""
    names = [f"{name}.html" for name in app.env.found_docs]
    pages = []
    for name in [*names, "genindex.html", "search.html"]:
        path = site / name
        page = path.read_text(encoding="utf-8")
        if not page.endswith(FINISHED):  # a page that did not change was not written again
            page = finished(page, name, site, base, address.release())
            path.write_text(page, encoding="utf-8")
        pages.append(page)
    subset_icons(site, pages)
    write_site_files(site, base, names)


def setup(app):
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
