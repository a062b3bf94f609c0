"""The Ocean Under the Clouds: from gappy daily sea surface temperature to complete monthly maps."""

import os
import sys
from importlib import import_module

__version__ = "0.2.0"

# Public name -> the module that has it. The module is imported when the name is first used, so
# `sst-tutorial --help` does not wait for torch, and nobody needs the extras of another's task.
_MODULES = {
    "MonthlyConvDecoder": "model",
    "SpatialPositionalEncoding2D": "model",
    "SpatialTransformer": "model",
    "SpatioTemporalModel": "model",
    "TemporalAttentionAggregator": "model",
    "TemporalPositionalEncoding": "model",
    "VideoEncoder": "model",
    "download_oisst": "download",
    "judge": "judging",
    "load_weights": "weights",
    "observe": "simulate",
    "open_sst": "data",
    "reconstruct": "reconstruction",
    "simulate_clouds": "simulate",
    "simulate_ocean": "simulate",
}

__all__ = list(_MODULES)


def __getattr__(name):
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value  # found at once the next time
    return value


def __dir__():
    return sorted({*globals(), *__all__})


if "ipykernel" in sys.modules and os.environ.get("SST_TUTORIAL_PHONE"):
    from IPython import get_ipython

    import_module(f"{__name__}.phone").add_to_outputs(get_ipython())
