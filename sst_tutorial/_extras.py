"""The optional parts of the package: what to say where their requirements are not installed."""

from importlib.util import find_spec

# The extras of pyproject.toml, in the words of somebody who wants to do the thing.
PARTS = {
    "train": "training",
    "plot": "plotting",
    "zarr": "opening a Zarr store",
    "cluster": "sharing the work between processes",
    "download": "downloading",
    "onnx": "writing ONNX",
}


def need(extra: str, *modules: str) -> None:
    """Check that `modules` (top-level names) can be imported, without importing them.

    Raises ModuleNotFoundError, one line with those that are missing and the `extra` to install.
    """
    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        *others, last = missing
        names = f"{', '.join(others)} and {last}" if others else last
        raise ModuleNotFoundError(
            f'{PARTS[extra]} needs {names}: pip install "sst-tutorial[{extra}]"', name=missing[0]
        )
