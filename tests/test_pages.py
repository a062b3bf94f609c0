"""The website builds without a warning, needs no network, and every page is whole."""

import re
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The built book: outputs as stored, since nbval runs the notebooks in this same suite."""
    folder = tmp_path_factory.mktemp("site")
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    config["execute"]["execute_notebooks"] = "off"
    config["sphinx"]["local_extensions"]["page_fixes"] = str(ROOT / "book" / "_ext")
    (folder / "_config.yml").write_text(yaml.safe_dump(config))
    done = subprocess.run(
        [Path(sys.executable).with_name("jupyter-book"), "build", ROOT, "-W", "-n", "--keep-going",
         "-q", "--config", folder / "_config.yml", "--path-output", folder],
        capture_output=True, text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder / "_build" / "html"


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
