"""Which variable of a file is the sea surface temperature: by its standard_name, else its name.

An anomaly, a trend or an error is none, whatever else it says of itself.
"""

import re

import xarray as xr

SST_STANDARD_NAMES = {
    "sea_surface_temperature",
    "sea_surface_skin_temperature",
    "sea_surface_subskin_temperature",
    "sea_surface_foundation_temperature",
    "surface_temperature_where_sea",
}
SST_NAMES = {
    "sst",
    "analysed_sst",
    "analyzed_sst",
    "sea_surface_temperature",
    "sst_skin",
    "sst_subskin",
    "sst_foundation",
    "tos",
    "mcsst",
}
# A last resort: something called SST that is not an error, a count, a flag or an anomaly of it.
SST_PATTERN = re.compile(r"sst|sea_?surface_?temp", re.I)
NOT_SST = re.compile(
    r"anom|err|uncert|bias|std|dev|sses|var|(?<![yt])time|count|num|nobs|qual|flag|mask|source|clim"
    r"|mean_of|grad|depth_of|coef|trend|tendency|diff(?!usiv)|minus|delta",
    re.I,
)
# What rules out a variable whatever else it says of itself, in its name or its long_name.
NO_TEMPERATURE = re.compile(
    r"anom|trend|tendency|differenc|diff_|_diff|minus|departure|deviation|uncertain|^error|error_?of"
    r"|(standard|estimated|analysis|sst|retrieval)[ _]error|gradient|number of",
    re.I,
)


class NotHere(ValueError):
    """A file without the variable."""


def find_sst(ds: xr.Dataset, where: str, variable: str | None) -> xr.DataArray:
    listed = ", ".join(f"{k} {v.dims}" for k, v in ds.data_vars.items()) or "none"
    if variable is not None:
        if variable not in ds.data_vars:
            raise NotHere(f"variable={variable!r} is not in {where}; it holds: {listed}")
        return ds[variable]
    fields = {str(k): v for k, v in ds.data_vars.items() if v.ndim >= 2 and v.dtype.kind in "fiu"}
    temperatures = [
        k
        for k, v in fields.items()
        if not NO_TEMPERATURE.search(k) and not NO_TEMPERATURE.search(str(v.attrs.get("long_name")))
    ]
    ranks = (
        [
            k
            for k in temperatures
            if str(fields[k].attrs.get("standard_name")) in SST_STANDARD_NAMES
        ],
        [k for k in temperatures if k.lower() in SST_NAMES],
        [k for k in temperatures if SST_PATTERN.search(k) and not NOT_SST.search(k)],
    )
    found = next((rank for rank in ranks if rank), [])
    if len(found) > 1:  # biases, counts and flags that carry the standard_name of their SST
        found = [k for k in found if not NOT_SST.search(k)] or found
    if len(found) == 1:
        return ds[found[0]]
    if found:
        raise ValueError(
            f"{where} has {len(found)} variables that could be the SST: {', '.join(found)}; "
            f"choose one with variable={found[0]!r}"
        )
    no_sst = [k for k in fields if k not in temperatures]
    but = f" ({', '.join(no_sst)}: an anomaly, a trend or an error is none)" if no_sst else ""
    raise NotHere(
        f"{where} has no variable that is SST by its standard_name or name{but}; it holds: "
        f"{listed}; name it with variable=..."
    )


def find_companion(ds: xr.Dataset, sst: xr.DataArray, grid: list, name: str) -> str | None:
    """A variable on the grid of `sst` that is called `name`, whatever comes before or after."""
    found = [
        str(k)
        for k, v in ds.variables.items()
        if name in str(k).lower() and set(grid) <= set(v.dims) <= set(sst.dims)
    ]
    return min(found, key=len, default=None)
