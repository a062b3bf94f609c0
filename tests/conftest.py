"""The built book, made once for all tests that look at pages, and the package as it was."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

ROOT = Path(__file__).parents[1]


def build(folder):
    """Build the book into `folder`: outputs as stored, since nbval runs the notebooks here."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    config["execute"]["execute_notebooks"] = "off"
    extensions = config["sphinx"]["local_extensions"]
    extensions.update(dict.fromkeys(extensions, str(ROOT / "book" / "_ext")))
    (folder / "_config.yml").write_text(yaml.safe_dump(config))
    done = subprocess.run(
        [Path(sys.executable).with_name("jupyter-book"), "build", ROOT, "-W", "-n", "--keep-going",
         "-q", "--config", folder / "_config.yml", "--path-output", folder],
        capture_output=True, text=True,
    )
    (folder / "errors.txt").write_text(done.stderr if done.returncode else "")


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The folder of the built book; SST_TUTORIAL_SITE names one that is there already."""
    if named := os.environ.get("SST_TUTORIAL_SITE"):
        return Path(named).resolve()
    # Workers of pytest-xdist have a folder each below one that they share.
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder = shared / "site"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            folder.mkdir()
            build(folder)
    assert (folder / "errors.txt").read_text() == ""
    return folder / "_build" / "html"


@pytest.fixture
def in_this_process():
    """In place of a ProcessPoolExecutor: what has been patched is patched in its tasks too."""

    class Here:
        def __init__(self, *_):
            pass

        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        map = staticmethod(map)

    return Here


@pytest.fixture(scope="session")
def in_the_browser():
    """Call with a script of tests/live and its arguments: what the script says it found."""
    chromium = os.environ.get("CHROMIUM", "/usr/bin/chromium")
    for tool in (chromium, "node"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not on this machine")
    if not (ROOT / "tests" / "website" / "node_modules" / "puppeteer-core").is_dir():
        pytest.skip("puppeteer-core is not installed: tests/test_website.py installs it")

    def run(script, *arguments):
        done = subprocess.run(["node", ROOT / "tests" / "live" / script, *arguments],
                              capture_output=True, text=True,
                              env=os.environ | {"CHROMIUM": chromium})
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


@pytest.fixture(autouse=True)
def package_as_it_was():
    """Undo what a page that a test executes sets in the package (`regions.REGION = 1`): on the same
    process other tests follow."""
    before = _constants()
    yield
    for (module, name), value in before.items():
        if getattr(module, name) is not value:
            setattr(module, name, value)


def _constants():
    modules = [m for name, m in list(sys.modules.items()) if name.startswith("sst_tutorial")]
    return {(m, k): v for m in modules for k, v in list(vars(m).items()) if k.isupper()}
