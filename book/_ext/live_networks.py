"""Networks that run in a page are written beside the built pages, from the shipped weights."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def write_networks(app, exception):
    if exception is None and app.builder.name == "html":
        import live  # book/live.py; it imports torch, which other builders do not need

        folder = Path(app.outdir) / "_static" / "live"
        folder.mkdir(parents=True, exist_ok=True)
        live.write_networks(folder)


def setup(app):
    app.connect("build-finished", write_networks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
