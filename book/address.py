"""The repository's public address: it stands in pyproject.toml alone, and `make address` sets it.

Until it is set (its owner is still the word OWNER), pages show no link that would lead nowhere.
"""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
UNSET = "OWNER"
GITHUB = re.compile(r"https://github\.com/[\w-]+/[\w.-]+")


def repository(root=ROOT):
    """Return the address in pyproject.toml, 'https://github.com/owner/name'."""
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    return settings["project"]["urls"]["Repository"]


def slug(url):
    """Return 'owner/name' of a repository address."""
    return "/".join(url.rstrip("/").split("/")[-2:])


def is_set(url):
    return slug(url).split("/")[0] != UNSET


def pages(url):
    """Return where GitHub publishes the pages of the repository at `url`, with a last slash."""
    owner, name = slug(url).split("/")
    home = f"{owner.lower()}.github.io"
    return f"https://{home}/" if name.lower() == home else f"https://{home}/{name}/"


def release(root=ROOT):
    """Return the tag that launch links open and the setup cell installs: a branch would move."""
    source = (root / "sst_tutorial" / "__init__.py").read_text(encoding="utf-8")
    return "v" + re.search(r'^__version__ = "(.+)"$', source, flags=re.M)[1]


def set_repository(url, root=ROOT):
    """Write `url` into pyproject.toml. Raises ValueError for anything but a GitHub repository."""
    url = url.rstrip("/").removesuffix(".git")
    if not GITHUB.fullmatch(url) or not is_set(url):
        raise ValueError(f"URL={url!r}: give the repository as https://github.com/owner/name")
    path = root / "pyproject.toml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(repository(root), url), encoding="utf-8")
    return url
