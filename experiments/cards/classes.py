"""The changes of the cards that need more than a setting: each short, each for a slot of `compare`.

    from classes import Deaf
    compare("quick", {"spatial_tr": Deaf}, seeds=3, seconds=60)

The table of the cards is in experiments/checks/cards.py; chapter *Twelve cards*.
"""

import torch
from torch import nn

from sst_tutorial.model import (
    MonthlyConvDecoder,
    SpatialPositionalEncoding2D,
    SpatialTransformer,
    VideoEncoder,
)
from sst_tutorial.samples import MARGIN, SampleMaker
from sst_tutorial.space_time import SpaceTime


class NoAddresses(SpatialPositionalEncoding2D):
    """No token is told its place."""

    def forward(self, Hp, Wp):
        return torch.zeros_like(super().forward(Hp, Wp))  # (H'W', D)


class Plain(SampleMaker):
    """Seas and clouds as they are: not turned, not reversed in time, no two months mixed."""

    _mixed = SampleMaker._window

    def _integer(self, high):
        drawn = super()._integer(high)
        return drawn if high == MARGIN + 1 else 0  # where a piece is cut is no turn


class Deaf(SpatialTransformer):
    """Every place attends to itself alone, in all layers."""

    def forward(self, x, return_attention=False):
        others = ~torch.eye(x.shape[1], dtype=torch.bool, device=x.device)  # (N, N)
        return self.enc(x, mask=others)  # (B, N, D)


class MonthToken(SpatialTransformer):
    """One token more to look at: the mean of the month, and a learned mark."""

    def __init__(self, embed_dim=128, depth=2, num_heads=4):
        super().__init__(embed_dim, depth, num_heads)
        self.mark = nn.Parameter(torch.zeros(embed_dim))

    def forward(self, x, return_attention=False):
        month = x.mean(1, keepdim=True) + self.mark  # (B, 1, D)
        return super().forward(torch.cat([month, x], 1))[:, 1:]  # (B, N, D)


class Divided(VideoEncoder):
    """A patch half under cloud is a sum of half as many terms: divide by the share that was seen.

    Per channel; the validity flags stay what they are.
    """

    def patches(self, x, mask):
        patches = super().patches(x, mask)  # (B, T'H'W', 2C Pt Ph Pw)
        data, valid = patches.unflatten(2, (2, self.in_chans, -1)).unbind(2)
        seen = valid.mean(3, keepdim=True)  # (B, T'H'W', C, 1)
        data = data / seen.clamp_min(1 / valid.shape[3])
        return torch.stack([data, valid], 2).flatten(2)


class GroupNormDecoder(MonthlyConvDecoder):
    """Each sample is normalised by itself, in four groups of channels, land and all."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.head[1] = _FourGroups(self.head[1].num_features)


class _FourGroups(nn.GroupNorm):
    def __init__(self, channels):
        super().__init__(4, channels)

    def forward(self, x, ocean=None):
        return super().forward(x)


class NoNullKey(SpaceTime):
    """Whoever attends must listen to somebody."""

    def __init__(self, embed_dim=128, blocks=0, heads=4):
        super().__init__(embed_dim, blocks, heads)
        for block in self.blocks:
            for attention in (block.over_days, block.over_places):
                del attention.null
                attention._with_null = lambda k, v, taken: (k, v)


class LastingClouds(SampleMaker):
    """In half of the months the clouds of a day stay for 2 to 9 days."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.lasting = 0.5

    def _seen(self, n):
        seen = super()._seen(n)  # (n, T, H, W)
        day = self._last_change(n)  # (n, T)
        return seen.gather(1, day[:, :, None, None].expand_as(seen))


def root_at_the_end(prediction, target, ocean):
    """One root of the mean over all samples, in place of the mean of their roots."""
    weight = ocean.to(prediction.dtype)  # (B, H, W)
    square = (prediction - target).square() * weight
    return (square.sum() / weight.sum().clamp_min(1) + 1e-6).sqrt()
