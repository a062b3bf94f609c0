"""How far are filled daily maps from the truth, where the truth is known?

    python experiments/checks/against_truth.py filled.nc complete.nc

filled.nc: of `sst-tutorial reconstruct --daily`; complete.nc: of `simulate --truth` or of
`moving_file.py`. RMSE in K over all cells and days, and over those that were not observed.
"""

import sys

import numpy as np
import xarray as xr


def scores(filled, complete) -> dict[str, tuple[float, float]]:
    """{map: (RMSE of all cells, RMSE of hidden cells)} in K."""
    if not filled.sst.time.equals(complete.sst.time) or filled.sst.shape != complete.sst.shape:
        raise ValueError(
            f"filled {filled.sst.shape} and complete {complete.sst.shape} must have the same days "
            "and cells; fill the file that was made with this truth"
        )
    found = {}
    for name in ("first_guess", "sst"):
        square = (filled[name].values - complete.sst.values) ** 2  # (T,H,W)
        hidden = square[filled.observed.values == 0]
        found[name] = tuple(float(np.sqrt(np.nanmean(x))) for x in (square, hidden))
    return found


def main(paths) -> None:
    if len(paths) != 2:
        sys.exit("name two files: filled.nc complete.nc")
    with xr.open_dataset(paths[0]) as filled, xr.open_dataset(paths[1]) as complete:
        for name, (every, hidden) in scores(filled, complete).items():
            print(f"  {every:.4f} (hidden cells {hidden:.4f})  {name}")


if __name__ == "__main__":
    main(sys.argv[1:])
