"""Pixels ask patches: a way back to pixels in which each pixel chooses whom to believe.

A transposed convolution lays the same stencil around every patch, whatever was seen there. Here
each pixel asks the nine patches around it: its question is what the first guess knows of it (how
often it was seen, what each correction left), and its place in its patch. In a minute of a card
that was worth 2 % of the error of `ocean-2`'s design, with a fifth fewer numbers
(`experiments/checks/designs.py`; chapter *The second run*).
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sst_tutorial._checks import require


class PixelQueries(nn.Module):
    """In place of the transposed convolution of `MonthlyConvDecoder`.

    Args:
        hidden: channels of the patches; half of them come out.
        patch_h, patch_w: rows and columns of pixels in a patch.
        skip_chans: maps of the first guess that pixels ask with, 1 or more.
        heads: attention heads, a divisor of hidden / 2.
    """

    def __init__(self, hidden, patch_h, patch_w, skip_chans, heads=4):
        super().__init__()
        half, cells = hidden // 2, patch_h * patch_w
        require(skip_chans > 0, "pixel_queries needs skip = true: pixels ask with these maps")
        require(half % heads == 0, f"pixel_queries: hidden={hidden} / 2 is no multiple of {heads}")
        self.patch_h, self.patch_w, self.heads = patch_h, patch_w, heads
        self.pixel = nn.Parameter(0.02 * torch.randn(cells, half))
        self.ask = nn.Conv2d(skip_chans, half, 1)
        self.key, self.value = nn.Conv2d(hidden, half, 1), nn.Conv2d(hidden, half, 1)
        self.near = nn.Parameter(torch.zeros(heads, cells, 9))  # of nine patches, by the pixel

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """x (B, hidden, H', W') patches, skip (B, skip_chans, H, W) -> (B, hidden/2, H, W)."""
        B, _, H, W = x.shape
        h, w = self.patch_h, self.patch_w
        q = self.ask(skip.to(x.dtype))  # (B, hidden/2, H' h, W' w)
        d = q.shape[1] // self.heads
        q = q.view(B, self.heads, d, H, h, W, w).permute(0, 3, 5, 1, 4, 6, 2).flatten(4, 5)
        q = q + self.pixel.view(h * w, self.heads, d).transpose(0, 1)  # (B, H', W', heads, h w, d)
        k, v = (self._around(part(x)) for part in (self.key, self.value))
        scores = q @ k.transpose(-1, -2) / math.sqrt(d) + self.near  # (B, H', W', heads, h w, 9)
        y = scores.softmax(-1).to(v.dtype) @ v  # (B, H', W', heads, h w, d)
        y = y.unflatten(4, (h, w)).permute(0, 3, 6, 1, 4, 2, 5)  # (B, heads, d, H', h, W', w)
        return y.reshape(B, self.heads * d, H * h, W * w)

    def _around(self, a: Tensor) -> Tensor:
        """(B, hidden/2, H', W') -> the nine patches around each (B, H', W', heads, 9, d); beyond
        the edge they are 0."""
        B, C, H, W = a.shape
        a = F.unfold(a, 3, padding=1).view(B, self.heads, C // self.heads, 9, H, W)
        return a.permute(0, 4, 5, 1, 3, 2)
