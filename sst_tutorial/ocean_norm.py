"""Batch norm that knows land: its statistics come from the ocean (chapter "Back to pixels")."""

import torch
from torch import Tensor, nn


class OceanBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm2d whose statistics come from the ocean only and follow the training from step one.

    Plain batch norm counts land pixels, and its running mean starts at 0 and lags for dozens of
    steps, so that an early evaluation is worse than the training it follows.
    """

    def forward(self, x: Tensor, ocean: Tensor | None = None) -> Tensor:
        """x (B, C, H, W); ocean (B, 1, H, W) bool or None = all ocean."""
        if not self.training:
            return super().forward(x)
        # Half precision sums of squares overflow.
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        weight = torch.ones_like(wide[:, :1]) if ocean is None else ocean.to(wide.dtype)
        pixels = weight.sum()
        count = pixels.clamp_min(1.0)
        mean = (wide * weight).sum((0, 2, 3)) / count  # (C,)
        centred = wide - mean[:, None, None]
        var = (centred.square() * weight).sum((0, 2, 3)) / count  # (C,)
        unbiased = var.detach() * count / (count - 1).clamp_min(1.0)
        self._track(mean.detach(), unbiased, pixels > 0)
        scale = self.weight / (var + self.eps).sqrt()
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, var: Tensor, any_ocean: Tensor) -> None:
        """A plain average over the first steps, then the usual exponential one.

        A batch that is all land has no statistics and leaves them as they are.
        """
        self.num_batches_tracked.add_(any_ocean)
        momentum = (1.0 / self.num_batches_tracked.clamp_min(1)).clamp_min(self.momentum)
        dtype = self.running_mean.dtype  # that of the module, half precision included
        momentum = (momentum * any_ocean).to(dtype)
        self.running_mean.lerp_(mean.to(dtype), momentum)
        self.running_var.lerp_(var.to(dtype), momentum)
