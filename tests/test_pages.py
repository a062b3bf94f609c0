"""The website builds without a warning, needs no network, and every page is whole."""

import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import figures
import yaml

ROOT = Path(__file__).parents[1]


class Links(HTMLParser):
    """Collects what a page loads at once, where it links to, and images without alt text."""

    def __init__(self):
        super().__init__()
        self.loaded, self.linked, self.silent, self.ids = [], [], [], set()

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.ids.add(attributes.get("id"))
        if tag in ("script", "img", "iframe", "source") and attributes.get("src"):
            self.loaded.append(attributes["src"])
        if tag == "link" and attributes.get("rel") in ("stylesheet", "preload", "icon"):
            self.loaded.append(attributes["href"])
        if tag == "a" and attributes.get("href"):
            self.linked.append(attributes["href"])
        if tag == "img" and not attributes.get("alt"):
            self.silent.append(attributes.get("src"))


@cache
def read(page):
    links = Links()
    links.feed(page.read_text(encoding="utf-8"))
    return links


def pages(site):
    found = sorted(site.glob("book/**/*.html"))
    assert len(found) >= 6
    return found


def test_every_listed_page_is_built(site):
    contents = yaml.safe_load((ROOT / "_toc.yml").read_text())
    listed = [page["file"] for part in contents["parts"] for page in part["chapters"]]
    for name in [contents["root"], *listed]:
        assert (site / f"{name}.html").exists(), name


def test_no_page_loads_anything_from_the_network(site):
    for page in pages(site):
        links = read(page)
        assert [url for url in links.loaded if re.match(r"(https?:)?//", url)] == [], page.name


def test_every_local_file_and_anchor_exists(site):
    for page in pages(site):
        links = read(page)
        for url in links.loaded + links.linked:
            parts = urlsplit(url)
            if parts.scheme or parts.netloc or not (parts.path or parts.fragment):
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            assert target.exists(), f"{page.name} links {url}"
            if parts.fragment and target.suffix == ".html":
                assert unquote(parts.fragment) in read(target).ids, f"{page.name} links {url}"


def test_every_image_has_alt_text(site):
    for page in pages(site):
        assert read(page).silent == [], page.name


def test_a_page_has_one_thebe_script(site):
    for page in pages(site):
        assert page.read_text().count("THEBE_JS_URL =") <= 1, page.name


def test_formulas_come_from_the_vendored_copy(site):
    assert "_static/mathjax/tex-chtml.js" in (site / "book" / "notation.html").read_text()


def test_a_page_without_formulas_names_no_mathjax(site):
    assert not re.search("mathjax[/=]", (site / "book" / "index.html").read_text().lower())


def test_pages_show_no_dead_address_and_announce_no_cell_that_is_not_there(site):
    for page in pages(site):
        text = page.read_text(encoding="utf-8")
        assert "OWNER" not in text, page.name
        assert not re.search(r"In (Colab or )?JupyterLab,? the next cell", text), page.name


def test_every_page_says_what_it_is(site):
    seen = {}
    for page in pages(site):
        text = page.read_text(encoding="utf-8")
        if 'http-equiv="refresh"' in text:
            continue
        about = re.search(r'<meta name="description" content="([^"]{40,170})">', text)
        assert about and text.count("<title>") == text.count('name="viewport"') == 1, page.name
        assert 'property="og:title"' in text, page.name
        seen.setdefault(about[1], []).append(page.name)
    assert [names for names in seen.values() if len(names) > 1] == []


def test_pictures_have_their_size_and_wait_below_the_first(site):
    for page in pages(site):
        article = page.read_text(encoding="utf-8").partition('<article class="bd-article"')[2]
        files = re.findall(r"<img\b[^>]*src=\"(?!data:)[^>]*>", article)
        assert all("width=" in tag for tag in files), page.name
        assert [i for i, tag in enumerate(files) if "lazy" not in tag] in ([], [0]), page.name


def test_site_has_the_files_that_hosts_and_search_engines_ask_for(site):
    for name in ("index.html", "404.html", "robots.txt", "_static/favicon.svg"):
        assert (site / name).is_file(), name


CAPTION = re.compile(r'<span class="caption-number">(Figure [\d.]+) </span>.*?href="#([\w-]+)"')
CITED = re.compile(r'<a class="reference internal" href="[^"#]*#(fig-[\w-]+)">(?:<span[^>]*>)?'
                   r"([^<]*)<")


def test_pages_show_the_numbers_that_the_text_cites(site):
    texts = [page.read_text(encoding="utf-8") for page in pages(site)]
    shown = {name: number for text in texts for number, name in CAPTION.findall(text)}
    assert shown == {name: f"Figure {number}" for name, number in figures.numbers().items()}
    links = [link for text in texts for link in CITED.findall(text)]
    assert len(links) > 100
    assert [link for link in links if link[1] != shown[link[0]]] == []


def test_pages_leave_out_the_captions_that_notebooks_show(site):
    for page in pages(site):
        assert "<strong>Figure " not in page.read_text(encoding="utf-8"), page.name
