"""Designs that were tried in place of a part of ocean-2's, each short, for a slot of `compare`.

The table of the trial is in experiments/checks/designs.py; chapter *The second run*. Two more,
`Plain` and parts of settings, are in experiments/cards/classes.py and need no class.
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
    """Each pixel asks the 3 x 3 patches around it, with what the maps of the first guess know of
    it, in place of a transposed convolution."""

    HEADS = 4

    def __init__(self, embed_dim=128, patch_h=4, patch_w=4, hidden=128, *others, **options):
        super().__init__(embed_dim, patch_h, patch_w, hidden, *others, **options)
        half, cells = hidden // 2, patch_h * patch_w
        self.deconv = None
        self.pixel = nn.Parameter(0.02 * torch.randn(cells, half))
        self.ask = nn.Conv2d(self.skip_chans, half, 1)
        self.key, self.value = nn.Conv2d(hidden, half, 1), nn.Conv2d(hidden, half, 1)
        self.near = nn.Parameter(torch.zeros(self.HEADS, cells, 9))

    def forward(self, latent, out_H, out_W, land_mask=None, skip=None):
        """latent (B, H'W', D) -> (B, out_H, out_W); skip (B, skip_chans, out_H, out_W)."""
        B, N, D = latent.shape
        grid = out_H // self.patch_h, out_W // self.patch_w
        land = self._land(land_mask, B, out_H, out_W)  # (B, 1, H, W) or None
        x = self.proj(latent.transpose(1, 2).reshape(B, D, *grid))  # (B, hidden, H', W')
        x = self._looked_up(x, skip.to(x.dtype))  # (B, hidden/2, H, W)
        x = torch.cat([x, skip.to(x.dtype)], dim=1)
        conv, norm, act, last = self.head
        x = act(norm(conv(x), None if land is None else ~land))
        for block in self.residual_blocks:
            x = x + block(x if land is None else x.masked_fill(land, 0.0))
        x = last(x) * self.scale + self.bias  # (B, 1, H, W)
        x = x if land is None else x.masked_fill(land, 0.0)
        return x.squeeze(1)

    def _looked_up(self, x, skip):
        """x (B, hidden, H', W') patches, skip (B, skip_chans, H, W) -> (B, hidden/2, H, W)."""
        B, _, H, W = x.shape
        h, w, heads = self.patch_h, self.patch_w, self.HEADS
        q = self.ask(skip)  # (B, half, H h, W w)
        d = q.shape[1] // heads
        q = q.view(B, heads, d, H, h, W, w).permute(0, 3, 5, 1, 4, 6, 2).flatten(4, 5)
        q = q + self.pixel.view(h * w, heads, d).transpose(0, 1)  # (B, H', W', heads, h w, d)
        k, v = (self._around(part(x)) for part in (self.key, self.value))
        score = q @ k.transpose(-1, -2) / math.sqrt(d) + self.near  # (B, H', W', heads, h w, 9)
        y = score.softmax(-1).to(v.dtype) @ v  # (B, H', W', heads, h w, d)
        y = y.unflatten(4, (h, w)).permute(0, 3, 6, 1, 4, 2, 5)  # (B, heads, d, H', h, W', w)
        return y.reshape(B, heads * d, H * h, W * w)

    def _around(self, a):
        """(B, half, H', W') -> the nine patches around each (B, H', W', heads, 9, d)."""
        B, C, H, W = a.shape
        a = F.unfold(a, 3, padding=1).view(B, self.HEADS, C // self.HEADS, 9, H, W)
        return a.permute(0, 4, 5, 1, 3, 2)


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
