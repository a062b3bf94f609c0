"""`sst-tutorial doctor`: is all there that is needed, and does it work?"""

import sys
import tempfile
import time
from pathlib import Path

from sst_tutorial.commands.options import add_command
from sst_tutorial.commands.words import PROGRAM


def add(commands) -> None:
    add_command(commands, "doctor", _doctor, "check that everything needed is there and works")


def _doctor(a) -> int:
    checks = [("Python", _check_python), *_package_checks()]
    checks += [
        ("coastline", _check_coastline),
        ("weights", _check_weights),
        ("reconstruction", _check_reconstruction),
        ("NetCDF", _check_netcdf),
        ("stored results", _check_records),
        ("device", _check_device),
    ]
    failed = 0
    for name, check in checks:
        try:
            mark, text = "OK", check()
        except _Absent as absent:
            mark, text = "--", absent
        except Exception as error:  # whatever breaks is what the doctor is there to tell
            mark, text = "FAIL", f"{type(error).__name__}: {error}"
            failed += 1
        print(f"{f'[{mark}]':7}{name:18}{' '.join(str(text).split())}")
    print("all is well" if not failed else f"{failed} of {len(checks)} checks failed")
    return 1 if failed else 0


def _check_python() -> str:
    return ".".join(map(str, sys.version_info[:3]))  # pip refuses to install on an older one


class _Absent(Exception):
    """An optional package is not installed: nothing is wrong, and this says how to get it."""


def _package_checks():
    """One check for each requirement in the package's metadata, those of extras included."""
    from importlib.metadata import PackageNotFoundError, requires, version

    from packaging.requirements import Requirement

    from sst_tutorial._extras import PARTS

    def checker(requirement, extra):
        def check():
            try:
                found = version(requirement.name)
            except PackageNotFoundError:
                if extra:
                    raise _Absent(f'not installed: pip install "{PROGRAM}[{extra}]"') from None
                raise
            if not requirement.specifier.contains(found, prereleases=True):
                raise RuntimeError(f"{found}, but {requirement.specifier} is needed")
            return found

        return check

    try:
        needed = [Requirement(r) for r in requires(PROGRAM) or []]
    except PackageNotFoundError:

        def not_installed():
            raise RuntimeError(f"{PROGRAM} is not installed; run `pip install -e .`")

        return [(PROGRAM, not_installed)]
    checks: dict = {}
    for extra in ("", *PARTS):  # a requirement that no extra asks for holds without one
        for r in needed:
            if r.marker is None or r.marker.evaluate({"extra": extra}):
                checks.setdefault(r.name, checker(r, extra))
    return list(checks.items())


def _check_coastline() -> str:
    import numpy as np

    from sst_tutorial.coast import ocean_mask

    ocean = ocean_mask(np.array([-40.0, 46.0]), np.array([-30.0, 8.0]))  # Atlantic, Alps
    if ocean.tolist() != [[True, True], [True, False]]:
        raise RuntimeError(f"the land mask is wrong: {ocean.tolist()}")
    return "shipped Natural Earth outlines"


def _check_weights() -> str:
    from sst_tutorial.weights import find_weights, load_weights

    estimator = load_weights()
    return f"{find_weights().stem}, {sum(p.numel() for p in estimator.parameters()):,} parameters"


def _check_reconstruction() -> str:
    from sst_tutorial.reconstruction import reconstruct
    from sst_tutorial.simulate import observe, simulate_clouds, simulate_ocean

    truth = simulate_ocean(shape=(32, 32), start="2001-01-01", days=31)
    begin = time.perf_counter()
    monthly = reconstruct(observe(truth, simulate_clouds(truth, cover=0.7)))
    seconds = time.perf_counter() - begin
    error = float(abs(monthly["sst"][0] - truth["sst"].mean("time")).mean())
    if not error < 1.0:
        raise RuntimeError(f"a simulated month came out wrong by {error:.2f} K on average")
    return f"a simulated month of 32 x 32 cells in {seconds:.1f} s, off by {error:.2f} K"


def _check_netcdf() -> str:
    import xarray as xr

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "check.nc"
        xr.Dataset({"sst": ("lat", [1.0, 2.0])}).to_netcdf(path, engine="netcdf4")
        with xr.open_dataset(path) as back:
            if back["sst"].values.tolist() != [1.0, 2.0]:
                raise RuntimeError("a file written and read again differs")
    return "written and read again"


def _check_records() -> str:
    from sst_tutorial.results import RESULTS

    found = sum(1 for _ in RESULTS.rglob("*.json"))
    if not found:
        raise _Absent("chapters will lack numbers: install the package again")
    return f"{found} records that chapters read"


def _check_device() -> str:
    import torch

    if torch.cuda.is_available():
        return f"GPU {torch.cuda.get_device_name()}"
    return f"CPU, {torch.get_num_threads()} threads (a GPU is not needed)"
