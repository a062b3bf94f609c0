"""Early errors on shapes and masks, one line each, for modules that anybody may call."""

import torch
from torch import Tensor


def require(condition: bool, message: str) -> None:
    """Raise `ValueError(message)`; conditions on shapes are free under torch.compile."""
    if not condition:
        raise ValueError(message)


def require_mask(name: str, mask: Tensor, shape: tuple[int, ...]) -> None:
    require(
        mask.dtype == torch.bool,
        f"{name} must be boolean, got {mask.dtype}; convert it, for example with `{name} > 0`",
    )
    require(
        tuple(mask.shape) == tuple(shape),
        f"{name} must have shape {tuple(shape)}, got {tuple(mask.shape)}",
    )
