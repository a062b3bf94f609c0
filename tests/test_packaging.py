"""The package can be installed beside what readers have, and its versions agree everywhere."""

import json
import re
import subprocess
import sys
import tomllib
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

import sst_tutorial
from sst_tutorial._extras import PARTS, need

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

# What Google Colab had in August 2026. A floor above it would replace Colab's own package.
COLAB = {
    "torch": "2.11.0", "numpy": "2.1.3", "pandas": "2.2.3", "xarray": "2025.12.0",
    "matplotlib": "3.10.0", "scipy": "1.16.3", "ipywidgets": "7.7.1", "ipython": "7.34.0",
}

# What the extras bring, as it is imported: somebody who only calls `reconstruct` has none of it.
OPTIONAL = (
    *("lightning_fabric", "matplotlib", "cartopy", "cmocean", "PIL", "ipywidgets", "IPython"),
    *("requests", "zarr", "distributed", "onnx", "onnxscript", "onnxruntime"),
)


def requirements():
    """What others make: the extras' references to each other are left out."""
    extras = PROJECT["optional-dependencies"].values()
    found = [Requirement(text) for text in sum(extras, PROJECT["dependencies"])]
    return [requirement for requirement in found if requirement.name != PROJECT["name"]]


def extras_of(extra):
    """The extras that `extra` brings by references, itself included."""
    found = {extra}
    for text in PROJECT["optional-dependencies"][extra]:
        if (requirement := Requirement(text)).name == PROJECT["name"]:
            found = found.union(*map(extras_of, requirement.extras))
    return found


def python(code, missing=()):
    """Run code in a fresh Python where the modules `missing` are as good as not installed."""
    hide = f"import sys; sys.modules.update(dict.fromkeys({list(missing)}))\n"
    return subprocess.run(
        [sys.executable, "-c", hide + code], capture_output=True, text=True, timeout=120
    )


def pins():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    rows = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in rows}


def test_the_package_keeps_colab_as_it_is():
    bounds = {r.name.lower(): r.specifier for r in requirements()}
    for name, version in COLAB.items():
        assert bounds[name].contains(version), f"{name} {version} is what Colab has"


def test_chapters_are_tested_at_the_versions_of_colab():
    lines = (ROOT / ".github" / "colab.txt").read_text().splitlines()
    assert dict(line.split("==") for line in lines if not line.startswith("#")) == COLAB


@pytest.mark.parametrize("text", PROJECT["dependencies"])
def test_the_package_sets_floors_only(text):
    assert {bound.operator for bound in Requirement(text).specifier} == {">="}


def test_every_requirement_is_pinned_within_its_bounds():
    pinned = pins()
    for requirement in requirements():
        version = pinned[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), f"{requirement} but {version} is pinned"


def test_every_requirement_says_what_it_is_for():
    lines = [line.strip() for line in (ROOT / "pyproject.toml").read_text().splitlines()]
    for text in PROJECT["dependencies"] + sum(PROJECT["optional-dependencies"].values(), []):
        assert lines[lines.index(f'"{text}",') - 1].startswith("# "), text


def test_pins_hold_for_every_index():
    assert not [f"{name}=={version}" for name, version in pins().items() if "+" in version]


def test_binder_has_the_same_torch():
    assert f"torch=={pins()['torch']}" in (ROOT / ".binder" / "requirements.txt").read_text()


def test_binder_has_the_extras_that_chapters_use_and_no_others():
    """A module of another extra, or the part of the package that needs one, is not imported."""
    line = (ROOT / ".binder" / "requirements.txt").read_text().splitlines()[-1]
    extras = Requirement(f"sst-tutorial{line.removeprefix('.')}").extras
    assert extras == extras_of("all") - {"all", "download", "onnx"}
    absent = r"^\s*(from|import) (sst_tutorial\.(download|export)|requests|onnx\w*)\b"
    for path in (ROOT / "book" / "chapters").glob("*.ipynb"):
        cells = json.loads(path.read_text())["cells"]
        code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        assert not re.search(absent, "\n".join(code), re.MULTILINE), path.name


def test_the_dev_container_has_a_python_that_will_do_and_makes_the_book():
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    python = container["image"].rpartition(":")[2]
    assert python in SpecifierSet(PROJECT["requires-python"])
    readme = (ROOT / "README.md").read_text()
    assert f"\n{container['postCreateCommand']} " in readme  # as the README says it


def test_the_citation_has_the_version_of_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == sst_tutorial.__version__
    assert citation["license"] == PROJECT["license"]


@pytest.mark.parametrize(
    "file", ["natural_earth/**/*.shp", "weights/ocean-1.safetensors", "presets/quick.toml"]
)
def test_the_package_data_is_there_and_shipped(file):
    package = ROOT / "sst_tutorial"
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = setuptools["package-data"]["sst_tutorial"]
    found = [path.relative_to(package).as_posix() for path in package.glob(file)]
    assert found and all(any(fnmatch(path, p) for p in patterns) for path in found)


def test_every_folder_of_modules_is_shipped():
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    found = {init.parent.relative_to(ROOT) for init in ROOT.glob("sst_tutorial/**/__init__.py")}
    assert {".".join(folder.parts) for folder in found} <= set(setuptools["packages"])


# ---- extras ------------------------------------------------------------------------------


def test_all_is_all_and_the_book_and_the_tests_have_it():
    parts = {"train", "plot", "zarr", "cluster", "download", "onnx"}
    assert parts == set(PARTS), "`need` knows the extras of pyproject.toml"
    assert extras_of("all") == {"all", *parts}
    assert extras_of("book") == {"book", "all", *parts}
    assert extras_of("test") == {"test", "book", "all", *parts}


@pytest.mark.parametrize("extra", PARTS)
def test_what_is_missing_is_one_line_with_the_extra(extra):
    with pytest.raises(ImportError) as caught:
        need(extra, "numpy", "no_such_module", "nor_this")
    line = str(caught.value)
    assert line.startswith(PARTS[extra]) and "\n" not in line
    assert f'needs no_such_module and nor_this: pip install "sst-tutorial[{extra}]"' in line


def test_nothing_missing_is_no_error():
    need("plot", "numpy", "matplotlib")


@pytest.mark.parametrize(
    ("code", "missing", "line"),
    [
        ("import sst_tutorial.plotting", ["cartopy", "cmocean"],
         'plotting needs cartopy and cmocean: pip install "sst-tutorial[plot]"'),
        ("import sst_tutorial; sst_tutorial.download_oisst", ["requests"],
         'downloading needs requests: pip install "sst-tutorial[download]"'),
        ("import os, sst_tutorial; os.makedirs('a'); open('a/zarr.json', 'w').close()\n"
         "sst_tutorial.open_sst('a')", ["zarr"],
         'opening a Zarr store needs zarr: pip install "sst-tutorial[zarr]"'),
        ("import sst_tutorial.training", ["lightning_fabric"],
         'training needs lightning_fabric: pip install "sst-tutorial[train]"'),
        ("import sst_tutorial.runs", ["lightning_fabric"],
         'training needs lightning_fabric: pip install "sst-tutorial[train]"'),
        ("from sst_tutorial.export import export_onnx; export_onnx('a.onnx')", ["onnxruntime"],
         'writing ONNX needs onnxruntime: pip install "sst-tutorial[onnx]"'),
    ],
    ids=["plot", "download", "zarr", "training", "runs", "onnx"],
)
def test_a_missing_extra_is_named_where_it_is_needed(code, missing, line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    last = python(code, missing).stderr.splitlines()[-1]
    assert last == f"ModuleNotFoundError: {line}"


def test_reconstruct_needs_no_extra():
    code = (
        "from sst_tutorial import observe, reconstruct, simulate_clouds, simulate_ocean\n"
        "import sst_tutorial.baselines, sst_tutorial.data, sst_tutorial.evaluation\n"
        "import sst_tutorial.results, sst_tutorial.samples, sst_tutorial.settings\n"
        "sea = simulate_ocean(shape=(16, 16), days=31)\n"
        "month = reconstruct(observe(sea, simulate_clouds(sea)))\n"
        "print(int(month.sst.notnull().sum()) > 0)"
    )
    done = python(code, OPTIONAL)
    assert done.stdout == "True\n", done.stderr


# ---- public names ------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["train", "--help"]])
def test_help_waits_for_no_library(arguments):
    code = (
        "import contextlib\n"
        "import sst_tutorial.cli as cli\n"
        "with contextlib.suppress(SystemExit):\n"
        f"    cli.main({arguments})\n"
        "slow = {'torch', 'xarray', 'numpy', 'pandas', 'dask', 'scipy', 'matplotlib'}\n"
        "sys.exit(f'imported: {found}' if (found := slow & set(sys.modules)) else 0)"
    )
    done = python(code)
    assert done.returncode == 0, done.stderr
    assert "sst-tutorial" in done.stdout


@pytest.mark.parametrize("name", sst_tutorial.__all__)
def test_every_public_name_is_there(name):
    assert name in dir(sst_tutorial)
    assert getattr(sst_tutorial, name).__name__ == name
    assert getattr(sst_tutorial, name).__module__.startswith("sst_tutorial.")


def test_names_and_modules_are_found_in_a_fresh_python():
    code = (
        "import sst_tutorial\n"
        "assert 'torch' not in sys.modules\n"
        "assert 'reconstruct' in dir(sst_tutorial)\n"
        "from sst_tutorial import open_sst, plotting\n"
        "from sst_tutorial import *\n"
        "print(open_sst.__name__, plotting.__name__, sst_tutorial.reconstruct is reconstruct)"
    )
    done = python(code)
    assert done.stdout == "open_sst sst_tutorial.plotting True\n", done.stderr


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'sst_tutorial' has no attribute 'reconstrukt'"):
        sst_tutorial.reconstrukt  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name"):
        exec("from sst_tutorial import reconstrukt")


# ---- records -----------------------------------------------------------------------------


def test_the_records_go_where_the_package_goes():
    """Chapters read them, and Colab has the package alone."""
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert setuptools["package-dir"] == {"sst_tutorial.experiments": "experiments"}
    given = setuptools["package-data"]["sst_tutorial.experiments"]
    left = setuptools["exclude-package-data"]["sst_tutorial.experiments"]

    def ships(name):
        path = PurePosixPath(name)
        return any(map(path.match, flat(given))) and not any(map(path.match, flat(left)))

    def flat(patterns):  # `match` of Python 3.11 takes ** for one folder: so none, one and two
        return [p.replace("**/", stars) for p in patterns for stars in ("", "*/", "*/*/")]

    for name in ("results/oi.json", "results/ablation/full-0/log.csv", "results/ledger.jsonl",
                 "ablation/full.toml"):
        assert (ROOT / "experiments" / name).is_file() and ships(name), name
    for name in ("results/ablation/full-0/steps.csv", "results/ablation/full-0/settings.json",
                 "results/ablation/full-0/weights.safetensors"):
        assert not ships(name), name


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A folder with the package in it, but not the repository, as site-packages is."""
    monkeypatch.delenv("SST_TUTORIAL_LEDGER", raising=False)
    package = tmp_path / "site" / "sst_tutorial"
    package.mkdir(parents=True)
    for path in (ROOT / "sst_tutorial").glob("*.py"):
        (package / path.name).write_text(path.read_text())
    (package / "experiments" / "results").mkdir(parents=True)
    return package


def in_folder(code, package, cwd):
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(package.parent)!r})\n{code}"],
        capture_output=True, text=True, cwd=cwd, timeout=120,
    )  # fmt: skip


def test_an_installed_package_reads_its_own_copy(installed, tmp_path):
    (installed / "experiments" / "results" / "mine.json").write_text('{"a": 1}')
    code = (
        "from sst_tutorial.results import read_results, RESULTS\n"
        "print(read_results('mine'), RESULTS.parent.name)\nread_results('yours')"
    )
    done = in_folder(code, installed, tmp_path)
    assert done.stdout.startswith("{'a': 1} experiments\nyours.json is not here"), done.stderr


def test_an_installed_package_keeps_its_looks_in_the_folder_of_the_user(installed, tmp_path):
    shipped = installed / "experiments" / "results" / "ledger.jsonl"
    shipped.write_text('{"exam": "smooth", "by": ["the book"], "after": null}\n')
    before = shipped.read_text()
    code = (
        "from sst_tutorial.ledger import ledger_path, open_test, read_ledger\n"
        "open_test('smooth', 1, 'month', ['mine'], 'chosen on the twin, by its mean')\n"
        "print(ledger_path(), [look['by'] for look in read_ledger()])"
    )
    done = in_folder(code, installed, tmp_path)
    assert done.stdout == "ledger.jsonl [['the book'], ['mine']]\n", done.stderr
    assert shipped.read_text() == before and len((tmp_path / "ledger.jsonl").read_text()) > 50
