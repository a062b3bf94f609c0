"""The Ocean Under the Clouds: from gappy daily sea surface temperature to complete monthly maps."""

from sst_tutorial.data import open_sst
from sst_tutorial.download import download_oisst
from sst_tutorial.model import (
    MonthlyConvDecoder,
    SpatialPositionalEncoding2D,
    SpatialTransformer,
    SpatioTemporalModel,
    TemporalAttentionAggregator,
    TemporalPositionalEncoding,
    VideoEncoder,
)
from sst_tutorial.reconstruction import reconstruct
from sst_tutorial.simulate import observe, simulate_clouds, simulate_ocean
from sst_tutorial.weights import load_weights

__version__ = "0.1.0"

__all__ = [
    "MonthlyConvDecoder",
    "SpatialPositionalEncoding2D",
    "SpatialTransformer",
    "SpatioTemporalModel",
    "TemporalAttentionAggregator",
    "TemporalPositionalEncoding",
    "VideoEncoder",
    "download_oisst",
    "load_weights",
    "observe",
    "open_sst",
    "reconstruct",
    "simulate_clouds",
    "simulate_ocean",
]
