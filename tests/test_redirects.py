"""Pages of the old, numbered chapter names lead to the pages of today."""

from types import SimpleNamespace

import notebooks
import pytest
from _ext import page_fixes


def test_each_old_page_leads_to_a_page_of_the_contents(tmp_path):
    page_fixes.write_redirects(tmp_path)
    pages = sorted((tmp_path / "book" / "chapters").iterdir())
    assert [page.stem for page in pages] == page_fixes.OLD_CHAPTERS and len(pages) == 15
    listed = [path.stem for path in notebooks.chapters()]
    for page in pages:
        target = page_fixes.new_name(page.stem)
        assert target in listed, page.name
        text = page.read_text(encoding="utf-8")
        for part in ('<html lang="en">', "<title>Moved: ",
                     f'<meta http-equiv="refresh" content="0; url={target}.html">',
                     f'<link rel="canonical" href="{target}.html">', f'<a href="{target}.html">'):
            assert part in text, page.name


@pytest.mark.parametrize("builder, exception, written", [
    ("html", None, True), ("linkcheck", None, False), ("html", ValueError("stopped"), False),
])
def test_only_a_finished_website_gets_them(tmp_path, builder, exception, written):
    app = SimpleNamespace(builder=SimpleNamespace(name=builder), outdir=tmp_path)
    page_fixes.redirect_old_chapters(app, exception)
    assert (tmp_path / "book" / "chapters" / "01_month_of_ocean.html").exists() is written
