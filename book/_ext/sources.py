"""What of a source the website leaves out: cells that need a kernel, and an address not yet set.

And how it finds a figure of another chapter.
"""

import json
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import address  # noqa: E402  (book/address.py)

# A sentence that announces a live cell, which the page drops.
ANNOUNCES = re.compile(r"^In (?:Colab or )?JupyterLab\b.*\bnext cell\b.*$\n*", flags=re.M)
# In a notebook a link to another chapter's figure names the file; MyST knows figures by name alone.
ELSEWHERE = re.compile(r"\]\(\w+\.ipynb(#fig-[\w-]+\))")
NEEDS_ADDRESS = re.compile(r"<!-- needs the address -->\n(.*?)<!-- end -->\n", flags=re.S)


def without_announcements(notebook):
    """Drop the sentence before each cell that is not on the page."""
    cells = notebook["cells"]
    for cell, following in zip(cells, cells[1:], strict=False):
        if "live" in following["metadata"].get("tags", []) and cell["cell_type"] == "markdown":
            cell["source"] = ANNOUNCES.sub("", "".join(cell["source"]))
    return notebook


def with_known_figures(notebook):
    """Link a figure of another chapter by its name."""
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = ELSEWHERE.sub(r"](\1", "".join(cell["source"]))
    return notebook


def with_address(text, is_set):
    """Keep the parts of a page that need the repository's address, or leave them out."""
    text = NEEDS_ADDRESS.sub(lambda part: part[1] if is_set else "", text)
    if not is_set:  # a command to copy must not name a repository that does not exist
        text = re.sub(rf"^git clone \S*/{address.UNSET}/.*\n", "", text, flags=re.M)
        text = re.sub(rf'"sst-tutorial(\[\w+\])? @ git\+\S*/{address.UNSET}/\S*?"', r'".\1"', text)
    return text


def read(app, docname, source):
    path = Path(app.env.doc2path(docname))
    if path.suffix == ".ipynb":
        notebook = with_known_figures(without_announcements(json.loads(source[0])))
        source[0] = json.dumps(notebook)
    elif path.suffix == ".md":
        source[0] = with_address(source[0], address.is_set(address.repository()))


def link_repository(app, config):
    """Give the theme its links to the repository, or none while the address is not set."""
    url = address.repository()
    known = address.is_set(url)
    options = config.html_theme_options
    for button in ("use_repository_button", "use_edit_page_button", "use_issues_button"):
        options[button] = known
    if known:
        options.update(repository_url=url, repository_branch="main")
        config.html_baseurl = address.pages(url)
    else:
        options.update(repository_url="", launch_buttons={})


def setup(app):
    app.connect("config-inited", link_repository, priority=1)
    app.connect("source-read", read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
