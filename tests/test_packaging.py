"""The package can be installed beside what readers have, and its versions agree everywhere."""

import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import sst_tutorial

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

# What Google Colab had in August 2026. A floor above it would replace Colab's own package.
COLAB = {
    "torch": "2.11.0", "numpy": "2.1.3", "pandas": "2.2.3", "xarray": "2025.12.0",
    "matplotlib": "3.10.0", "scipy": "1.16.3", "ipywidgets": "7.7.1",
}


def requirements():
    extras = PROJECT["optional-dependencies"].values()
    return [Requirement(text) for text in sum(extras, PROJECT["dependencies"])]


def pins():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    rows = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in rows}


def test_the_package_keeps_colab_as_it_is():
    bounds = {r.name.lower(): r.specifier for r in requirements()}
    for name, version in COLAB.items():
        assert bounds[name].contains(version), f"{name} {version} is what Colab has"


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


def test_the_citation_has_the_version_of_the_package():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == sst_tutorial.__version__
    assert citation["license"] == PROJECT["license"]


def test_the_package_data_is_there():
    package = ROOT / "sst_tutorial"
    assert list(package.glob("natural_earth/**/*.shp"))
