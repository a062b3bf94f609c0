"""`sst-tutorial export`: weights as ONNX."""

from sst_tutorial.commands.options import add_command, positive
from sst_tutorial.commands.outputs import checked_output

EXPORT = """\
examples:
  sst-tutorial export ocean-2.onnx                      months of 64 x 64 cells
  sst-tutorial export tuned.onnx --model runs/tuned --shape 96 128

For programs without PyTorch. The file holds first guess and network, for 31 days of one size. In,
floats: anomaly (1, 31, ROWS, COLUMNS) in K, observed, ocean, exists and wanted, 1 or 0. Out: mean
and first_guess (1, ROWS, COLUMNS) in K, to which the prior must be added. Before it is written it
runs once under ONNX Runtime, and the largest difference to PyTorch is printed; takes a minute."""


def add(commands) -> None:
    p = add_command(commands, "export", _export, "write weights as an ONNX file", EXPORT)
    p.add_argument("output", metavar="FILE.onnx", help="file to write")
    p.add_argument("--model", metavar="NAME|FILE", help="weights (default: shipped)")
    p.add_argument(
        "--shape", nargs=2, type=positive, default=(64, 64), metavar=("ROWS", "COLUMNS"),
        help="size of the maps that the file takes (64 64)",
    )  # fmt: skip
    p.add_argument("--overwrite", action="store_true", help="replace FILE.onnx if it exists")


def _export(a) -> None:
    out = checked_output(a.output, a.overwrite, suffixes=(".onnx",))
    from sst_tutorial.export import export_onnx

    apart = export_onnx(out, a.model, tuple(a.shape))
    size = out.stat().st_size / 1e6
    print(f"{out}: {size:.1f} MB, within {apart:.1e} K of PyTorch under ONNX Runtime")
