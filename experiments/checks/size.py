"""How do time and memory grow with a map, what do workers bring, and where does the time go?

    python experiments/checks/size.py                       # half an hour; writes results/size.json
    python experiments/checks/size.py line year             # some parts of it
    python experiments/checks/size.py profile --as before   # with another package on PYTHONPATH

The inputs are made-up globes (latitude, waves, real coasts, clouds that hide 62 % of the sea),
packed to 16 bits in a Zarr store of 8 days and 240 rows a chunk. What is timed is the command that
a user types, `sst-tutorial reconstruct globe.zarr maps.zarr --model ocean-1`, from start to end: by
the clock, by the processors (all threads and processes together, which others on the machine
hardly change), and the memory of all its processes, looked at every 0.1 s. (`ocean-2` takes longer:
a month of 0.25 degrees 50 s, `ocean-1` 22.5 s, by the clock on two idle cores.) Parts:

    line     one month, grids of 2 to 0.125 degrees, 2 threads
    fine     one month of 0.05 degrees, 3600 x 7200, 2 threads
    months   1 degree: 1, 3 and 12 months with 1 worker, 12 months with 2
    year     0.25 degrees: 12 months with 2 workers and with 1
    profile  one month of 0.25 degrees in memory, 2 threads: processor seconds by function

At the end the projection to 40 years on 100 workers is made from what is there. Chapter *When one
machine is not enough*.
"""

import argparse
import cProfile
import json
import os
import pstats
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from scipy.ndimage import zoom

from sst_tutorial.coast import ocean_mask
from sst_tutorial.results import commit, machine, write_results

PARTS = ("line", "fine", "months", "year", "profile")
MODEL = "ocean-1"  # the record was made with it
LINE = (90, 180, 360, 720, 1440)  # rows; twice as many columns
# Of the projection. A processor core for an hour, on demand, at the large sellers of 2026.
YEARS, WORKERS, DOLLARS_AN_HOUR = 40, 100, 0.05
GRIDS = {"0.25": 720, "0.05": 3600}  # degrees: rows
WATCHED = ("tiled", "month_prior", "guarded_tidy", "load_weights")


# ---------------------------------------------------------------- a globe to measure on


def axes(H):
    lat = -90 + (np.arange(H) + 0.5) * 180 / H
    return lat, -180 + (np.arange(2 * H) + 0.5) * 180 / H


def sea(H, days):
    """Daily maps (H, 2 H) degC of the globe, NaN = cloud or land, one after another."""
    lat, lon = axes(H)
    ocean, random = ocean_mask(lat, lon), np.random.default_rng(0)
    warm = 28 * np.cos(np.deg2rad(lat))[:, None] ** 1.5
    for day in range(days):
        clouds = zoom(random.normal(size=(-(-H // 8), -(-2 * H // 8))), 8, order=1)[:H, : 2 * H]
        waves = np.sin(np.deg2rad(20 * lon) + lat[:, None] / 3 + day / 8)
        yield np.where((clouds > 0.2) & ocean, warm + waves, np.nan).astype(np.float32)


def write_globe(path, H, months):
    days = pd.date_range("2001-01-01", pd.Timestamp("2001-01-01") + pd.DateOffset(months=months))
    days, (lat, lon) = days[:-1], axes(H)
    chunks = (8, min(H, 240), 2 * H)
    import dask.array as da

    empty = da.full((len(days), H, 2 * H), np.nan, np.float32, chunks=chunks)
    out = xr.Dataset(
        {
            "sst": (("time", "lat", "lon"), empty, {"units": "degree_Celsius"}),
            "ocean_mask": (("lat", "lon"), ocean_mask(lat, lon).astype(np.int8)),
        },
        coords={"time": days, "lat": lat, "lon": lon},
    )
    packed = {"dtype": "int16", "scale_factor": 0.01, "_FillValue": -32768, "chunks": chunks}
    out.to_zarr(path, compute=False, encoding={"sst": packed}, zarr_format=2)
    maps = sea(H, len(days))
    for first in range(0, len(days), 8):
        here = slice(first, min(first + 8, len(days)))
        block = np.stack([next(maps) for _ in range(here.stop - here.start)])  # (8, H, 2 H)
        part = xr.Dataset({"sst": (("time", "lat", "lon"), block)})
        part.to_zarr(path, region={"time": here})


# ---------------------------------------------------------------- the command, watched


def measured(globe, folder, threads, workers=0) -> dict:
    """Seconds and GB of `sst-tutorial reconstruct` of this globe."""
    import psutil

    out = Path(folder) / "maps.zarr"
    words = [sys.executable, "-m", "sst_tutorial.cli", "reconstruct", str(globe), str(out)]
    words += ["--model", MODEL]
    words += ["--overwrite"] + (["--workers", str(workers)] if workers else [])
    begin, used, most, largest = time.perf_counter(), _processor_seconds(), 0, 0
    child = subprocess.Popen(words, env={**os.environ, "OMP_NUM_THREADS": str(threads)})
    family = psutil.Process(child.pid)
    while child.poll() is None:
        try:
            sizes = [p.memory_info().rss for p in [family, *family.children(recursive=True)]]
        except psutil.NoSuchProcess:
            continue
        most, largest = max(most, sum(sizes)), max(largest, *sizes)
        time.sleep(0.1)
    if child.returncode:
        raise SystemExit(f"{' '.join(words)} ended with {child.returncode}")
    load = os.getloadavg()[0]
    row = {"seconds": time.perf_counter() - begin, "gb": most / 1e9, "gb_of_one": largest / 1e9}
    row["cpu_seconds"] = _processor_seconds() - used
    row |= {"threads": threads, "workers": workers, "load_at_end": load}
    print(row, flush=True)
    return row


def _processor_seconds() -> float:
    """Of all processes that this one started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def one_globe(H, months, *ways) -> list[dict]:
    with tempfile.TemporaryDirectory() as folder:
        globe = Path(folder) / "globe.zarr"
        write_globe(globe, H, months)
        about = {"rows": H, "columns": 2 * H, "cells": 2 * H * H, "months": months}
        about["ocean_cells"] = int(ocean_mask(*axes(H)).sum())
        return [about | measured(globe, folder, *way) for way in ways]


# ---------------------------------------------------------------- where the time goes


def profiled(H=720) -> dict:
    """Processor seconds, of all threads, of one month in memory: the steps one can name."""
    import torch

    from sst_tutorial.reconstruction import reconstruct

    torch.set_num_threads(2)
    lat, lon = axes(H)
    sst, days = np.stack(list(sea(H, 31))), pd.date_range("2001-01-01", periods=31)
    daily = xr.Dataset(
        {"sst": (("time", "lat", "lon"), sst, {"units": "degree_Celsius"})},
        coords={"time": days, "lat": lat, "lon": lon},
    )
    daily["ocean_mask"] = ("lat", "lon"), ocean_mask(lat, lon)
    profile, begin = cProfile.Profile(time.process_time), time.process_time()
    profile.runcall(reconstruct, daily, MODEL)
    seconds, found = time.process_time() - begin, {}
    for (_, _, name), (_, _, _, cumulative, _) in pstats.Stats(profile).stats.items():
        if name in WATCHED:
            found[name] = max(found.get(name, 0.0), cumulative)
    return {"seconds": seconds, "rows": H, "columns": 2 * H, **found, "commit": commit()}


# ---------------------------------------------------------------- 40 years


def projection(results) -> dict:
    """Processor seconds of a month, its start with it, times months; nobody waits for a disk."""
    rows = {row["rows"]: row for part in ("line", "fine") for row in results.get(part, ())}
    found = {}
    for degrees, height in GRIDS.items():
        if height not in rows:
            continue
        seconds = rows[height]["cpu_seconds"]
        hours = seconds * 12 * YEARS / 3600  # of all workers together
        found[degrees] = {
            "core_seconds_a_month": seconds,
            "core_hours": hours,
            "hours": hours / WORKERS,
            "dollars": hours * DOLLARS_AN_HOUR,
        }
    assumptions = {"years": YEARS, "workers": WORKERS, "dollars_a_core_hour": DOLLARS_AN_HOUR}
    return {"assumptions": assumptions, "degrees": found}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)} (all)")
    parser.add_argument("--as", dest="name", default="after", help="name of the profile")
    a = parser.parse_args()
    for part in a.parts:
        if part not in PARTS:
            parser.error(f"{part!r} is no part; there are {', '.join(PARTS)}")
    path = Path(__file__).parents[1] / "results" / "size.json"  # whoever's package it is
    for part in a.parts or PARTS:
        if part == "line":
            found = [row for H in LINE for row in one_globe(H, 1, (2,))]
        elif part == "fine":
            found = one_globe(3600, 1, (2,))
        elif part == "months":
            found = [row for months in (1, 3) for row in one_globe(180, months, (1, 1))]
            found += one_globe(180, 12, (1, 1), (1, 2))
        elif part == "year":
            found = one_globe(720, 12, (1, 2), (1, 1))
        else:
            found = profiled()
        # Read now: other parts may have been measured meanwhile.
        results = json.loads(path.read_text()) if path.exists() else {}
        results |= {"command": "python experiments/checks/size.py", "machine": machine()}
        results["commit"] = commit()
        if part == "profile":
            found = results.get("profile", {}) | {a.name: found}
        results[part] = found
        results["projection"] = projection(results)
        write_results(results, path)
        print(json.dumps(results[part], indent=1))


if __name__ == "__main__":
    main()
