"""Early errors on shapes and masks, one line each, for modules that anybody may call."""

import torch
from torch import Tensor

LARGEST = 1_000_000  # of a setting: damaged files would otherwise ask for a billion layers


def require(condition: bool, message: str) -> None:
    """Raise `ValueError(message)`; conditions on shapes are free under torch.compile."""
    if not condition:
        raise ValueError(message)


def require_kinds(arguments: dict, parameters) -> None:
    """TypeError where an argument is of another kind than the default of its parameter (of
    `inspect.signature`), a count below zero, or too large for any."""
    for name, value in arguments.items():
        default = parameters[name].default
        if not _alike(value, default):
            raise TypeError(f"{name} must be like {default!r}, got {value!r}")


def _alike(value, default) -> bool:
    if isinstance(default, tuple):
        pair = isinstance(value, (list, tuple)) and len(value) == len(default)
        return pair and all(map(_alike, value, default))
    kinds = (int, float) if type(default) is float else (type(default),)
    least = 0 if type(default) is int else -LARGEST  # a whole number counts something
    return type(value) in kinds and (type(value) is str or least <= value < LARGEST)


def require_mask(name: str, mask: Tensor, shape: tuple[int, ...]) -> None:
    require(
        mask.dtype == torch.bool,
        f"{name} must be boolean, got {mask.dtype}; convert it, for example with `{name} > 0`",
    )
    require(
        tuple(mask.shape) == tuple(shape),
        f"{name} must have shape {tuple(shape)}, got {tuple(mask.shape)}",
    )
