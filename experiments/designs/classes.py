"""Designs that were tried in place of a part of ocean-2's, each short, for a slot of `compare`.

The table of the trial is in experiments/checks/designs.py; chapter *The second run*. `Plain`, seas
without turns, is in experiments/cards/classes.py; the other changes are settings.
"""

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from sst_tutorial.model import (
    MonthlyConvDecoder,
    SpatioTemporalModel,
    TemporalAttentionAggregator,
    VideoEncoder,
)
from sst_tutorial.samples import SampleMaker, random_coasts
from sst_tutorial.space_time import SpaceTime


class Divided(VideoEncoder):
    """A patch half under cloud is a sum of half as many terms: divide by the share that was seen,
    and tell the logarithm of the count."""

    def __init__(self, in_chans=1, embed_dim=128, patch_size=(1, 4, 4), drop=0.0):
        super().__init__(in_chans, embed_dim, patch_size, drop)
        self.count = nn.Linear(in_chans, embed_dim, bias=False)

    def embed(self, patches):
        """patches (B, n, 2C Pt Ph Pw) -> tokens (B, n, D)."""
        data, valid = patches.unflatten(2, (2, self.in_chans, -1)).unbind(2)  # (B, n, C, Pt Ph Pw)
        share = valid.mean(3, keepdim=True)  # (B, n, C, 1)
        data = data / share.clamp_min(1 / valid.shape[3])
        even = torch.stack([data, valid], 2).flatten(2)
        token = F.linear(even, self.proj.weight.flatten(1), self.proj.bias)
        return self.norm(token + self.count((valid.shape[3] * share.squeeze(3)).log1p()))


class FarSighted(SpaceTime):
    """All heads see all days and all places alike: they have the marks alone to go by."""

    def __init__(self, embed_dim=128, blocks=0, heads=4):
        super().__init__(embed_dim, blocks, heads)
        for block in self.blocks:
            for attention in (block.over_days, block.over_places):
                attention.sharp.zero_()


class MonthToken(TemporalAttentionAggregator):
    """A token of the month asks the days of each patch, with queries, keys and values, in place of
    a small network that gives each day a score."""

    def __init__(self, embed_dim=128, max_T=31, heads=1):
        super().__init__(embed_dim, max_T, heads)
        self.scorer = nn.Sequential(nn.LayerNorm(embed_dim), nn.Linear(embed_dim, embed_dim))
        self.token = nn.Parameter(torch.randn(heads, embed_dim // heads))
        self.value = nn.Linear(embed_dim, embed_dim)

    def forward(self, x, T, H, W, days_mask=None, seen=None, return_weights=False, marks=None):
        """As the class above: x (B, T*H*W, D) -> (B, H*W, D)."""
        B, _, D = x.shape
        x = x.view(B, T, H * W, D) + self.pos(T).to(x.dtype)[:, None]  # (B, T, N, D)
        told = x if marks is None else x + marks[:, :, None]
        keys = self.scorer(told).unflatten(-1, (self.heads, -1))  # (B, T, N, heads, d)
        scores = (keys * self.token).sum(-1) / math.sqrt(D // self.heads)  # (B, T, N, heads)
        absent = self._absent(B, T, H * W, days_mask, seen)  # (B, T, N) or None
        if absent is not None:
            scores = scores.masked_fill(absent[..., None], -torch.inf)
        weights = scores.softmax(dim=1)
        if absent is not None:
            weights = weights.masked_fill(absent[..., None], 0.0)
        values = self.value(told).unflatten(-1, (self.heads, -1))  # (B, T, N, heads, d)
        out = (weights[..., None] * values).sum(1).flatten(2)  # (B, N, D)
        return (out, weights.mean(-1).transpose(1, 2)) if return_weights else out


class LandMasked(SpatioTemporalModel):
    """No patch attends to one that is land through and through."""

    def answer(self, tokens, shape, land_mask_patch=None, days_mask=None, skip=None, wanted=None):
        seen, days = tokens[1], tokens[-1]  # (B, T', N), (B, T, H, W)
        silent = ~seen.any(1)  # (B, N)
        silent = silent & ~silent.all(1, keepdim=True)
        x = self._weigh(*tokens[:-1], days_mask, wanted)[0]  # (B, N, D)
        x = self.spatial_tr.enc(x, src_key_padding_mask=silent)
        asked = self._days(days_mask, wanted, len(x), days.shape[1])[1].to(days.dtype)  # (B, T)
        added = (days * asked[:, :, None, None]).sum(1) / asked.sum(1)[:, None, None].clamp_min(1)
        if land_mask_patch is not None:
            added = added.masked_fill(land_mask_patch, 0.0)
        maps = torch.cat([added[:, None].to(x.dtype), skip], 1)
        return self.decoder(x, *shape, land_mask_patch, maps) + added


class PixelQueries(MonthlyConvDecoder):
    """Each pixel asks the 3 x 3 patches around it. It has since become an option of the network,
    `network.pixel_queries`; the runs were made with a class that stood here (commit cd17fb8)."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options, pixel_queries=True)


class Wide(SampleMaker):
    """Windows of 64 x 64 cells, each sky sewn together from four. There is no record of so large a
    piece of real sea here: only for seas that are made up."""

    def __init__(self, device, seed, size=32, real=None, clouds=None, coasts=None, **options):
        draw = np.random.default_rng(seed)
        four = [np.asarray(clouds)[draw.permutation(len(clouds))] for _ in range(4)]
        rows = [np.concatenate(four[i : i + 2], 2) for i in (0, 2)]
        wide = np.concatenate(rows, 1)  # (n, 2 size, 2 size)
        coasts = random_coasts(64, 2 * size, seed=0)
        super().__init__(device, seed, 2 * size, None, wide, coasts, **options)
