"""The published transformer in one file, read top to bottom in the order of the chapters.

A month of daily sea surface temperature maps, full of holes, goes in at the top; one complete
monthly map comes out at the bottom:

    daily maps + missing mask                        (B, C, T, H, W)
      -> VideoEncoder                                chapter "Video to tokens"
      -> TemporalPositionalEncoding                  chapter "Telling time"
      -> TemporalAttentionAggregator                 chapter "Which days matter"
      -> SpatialPositionalEncoding2D                 chapter "Telling place"
      -> SpatialTransformer                          chapter "Looking across the ocean"
      -> MonthlyConvDecoder                          chapter "Back to pixels"
      -> monthly map                                 (B, H, W)
    SpatioTemporalModel joins them                   chapter "All together"

The last seven arguments of SpatioTemporalModel are options of this book, off by default. What it
starts from, and other networks for its place, are in `first_guess.py` and `networks.py`.

Letters: B batch, C channels, T days, H and W rows (lat) and columns (lon) of pixels;
T', H', W' the same counted in patches; N = H'W' patches of a map; D = embed_dim.
Parameter names, argument names and the polarity of masks (True = missing, land, no such day)
follow the published form (ESMValGroup/ClimaNet, 2026), whose weights load here.
"""

import math
from contextlib import ExitStack
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sst_tutorial._checks import require, require_mask
from sst_tutorial.first_guess import month_mean
from sst_tutorial.ocean_norm import OceanBatchNorm2d
from sst_tutorial.pixel_queries import PixelQueries
from sst_tutorial.space_time import DailyHead, Question, SpaceTime


def sincos_table(length: int, dim: int) -> Tensor:
    """Sines (even columns) and cosines (odd columns) of positions 0..length-1: (length, dim).

    Wavelengths grow from 2 pi to 10000 * 2 pi (Vaswani et al. 2017, section 3.5).
    """
    position = torch.arange(length).unsqueeze(1)  # (length, 1)
    frequency = torch.exp(torch.arange(0, dim, 2) * (-math.log(10000.0) / dim))  # (dim/2,)
    table = torch.zeros(length, dim)
    table[:, 0::2] = torch.sin(position * frequency)
    table[:, 1::2] = torch.cos(position * frequency)
    return table


class VideoEncoder(nn.Module):
    """Cut the video into patches and turn each into a token (chapter "Video to tokens").

    A missing value is set to zero *and* flagged in a validity channel, so that a zero anomaly and
    a gap stay two different things. Patches as in VideoMAE (Tong et al. 2022).

    Args:
        in_chans: channels C of the input.
        embed_dim: length D of a token.
        patch_size: (Pt, Ph, Pw), days, rows and columns of one patch.
        drop: dropout probability on the tokens.
    """

    def __init__(self, in_chans=1, embed_dim=128, patch_size=(1, 4, 4), drop=0.0):
        super().__init__()
        self.in_chans = in_chans
        self.patch_size = tuple(patch_size)
        self.proj = nn.Conv3d(2 * in_chans, embed_dim, self.patch_size, stride=self.patch_size)
        self.norm = nn.LayerNorm(embed_dim)
        self.drop = nn.Dropout(drop)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (B, C, T, H, W) standardised anomalies; mask the same shape, True = missing.

        Returns tokens (B, T'H'W', D), ordered by day, then row, then column. What lies under the
        mask, NaN and inf included, never reaches a token.
        """
        self._check(x, mask)
        return self.drop(self.embed(self.patches(x, mask)))

    def embed(self, patches: Tensor) -> Tensor:
        """What `patches` returned, or some of them (B, n, 2C Pt Ph Pw) -> tokens (B, n, D)."""
        # The convolution does not overlap, so it is one matrix product: on an H100 its backward
        # pass takes 0.3 ms of a step so, and 5 ms as a Conv3d.
        return self.norm(F.linear(patches, self.proj.weight.flatten(1), self.proj.bias))

    def patches(self, x: Tensor, mask: Tensor) -> Tensor:
        """The values of each patch side by side, gaps 0, then whether each was seen:
        (B, C, T, H, W) twice -> (B, T'H'W', 2C Pt Ph Pw)."""
        x = x.masked_fill(mask, 0.0)  # not x * valid: NaN * 0 is NaN
        x = torch.cat([x, (~mask).to(x.dtype)], dim=1)
        B, C2, T, H, W = x.shape
        Pt, Ph, Pw = self.patch_size
        x = x.view(B, C2, T // Pt, Pt, H // Ph, Ph, W // Pw, Pw)
        x = x.permute(0, 2, 4, 6, 1, 3, 5, 7)  # (B, T', H', W', 2C, Pt, Ph, Pw)
        return x.flatten(4).flatten(1, 3)

    def _check(self, x: Tensor, mask: Tensor) -> None:
        require(x.ndim == 5, f"x must be (B, C, T, H, W), got shape {tuple(x.shape)}")
        C = x.shape[1]
        require(C == self.in_chans, f"x has {C} channels, the encoder in_chans={self.in_chans}")
        require_mask("mask", mask, x.shape)
        for name, size, patch in zip("THW", x.shape[2:], self.patch_size, strict=True):
            require(
                size > 0 and size % patch == 0,
                f"{name}={size} is not a positive multiple of the patch ({patch}); pad or crop it",
            )


class TemporalPositionalEncoding(nn.Module):
    """Fixed sines and cosines that tell a token its day (chapter "Telling time").

    Args:
        embed_dim: length D of a token, even.
        max_len: the most days (time patches T') a video may have.
    """

    def __init__(self, embed_dim=128, max_len=31):
        super().__init__()
        require(embed_dim % 2 == 0, f"embed_dim must be even, got {embed_dim}")
        self.register_buffer("pe", sincos_table(max_len, embed_dim))  # (max_len, D)

    def forward(self, T: int) -> Tensor:
        """Encoding of days 0..T-1: (T, D)."""
        max_len = self.pe.shape[0]
        advice = "build it with larger max_len (max_T)"
        require(1 <= T <= max_len, f"T={T} days, the encoding holds 1 to {max_len}; {advice}")
        return self.pe[:T]


class TemporalAttentionAggregator(nn.Module):
    """Weigh the days of each patch and sum them up (chapter "Which days matter").

    A small network scores each day's token; softmax over the days turns scores into weights.

    Args:
        embed_dim: length D of a token.
        max_T: the most days (time patches T') a video may have.
        heads: scores per day; each weighs its own share of the channels. The published form has 1.
    """

    def __init__(self, embed_dim=128, max_T=31, heads=1):
        super().__init__()
        require(embed_dim % heads == 0, f"heads={heads} does not divide embed_dim={embed_dim}")
        self.heads = heads
        self.pos = TemporalPositionalEncoding(embed_dim, max_T)
        self.scorer = nn.Sequential(
            nn.LayerNorm(embed_dim),
            nn.Linear(embed_dim, embed_dim),
            nn.GELU(),
            nn.Linear(embed_dim, heads),
        )

    def forward(self, x, T, H, W, days_mask=None, seen=None, return_weights=False, marks=None):
        """x (B, T*H*W, D) tokens of T days on an H x W patch grid -> (B, H*W, D).

        days_mask: (B, T) bool, True = a day that does not exist; its weight is exactly 0.
        seen: (B, T, H*W) bool, True = the patch saw something that day. Days that saw nothing get
            weight 0, unless the patch never saw any: then all its existing days count alike.
        return_weights: also return the weights (B, H*W, T), the mean of the heads; they sum to 1
            over T.
        marks: (B, T, D), what is added to the tokens of each day while they are scored.
        """
        B, tokens, D = x.shape
        expected = T * H * W
        require(tokens == expected, f"x has {tokens} tokens, expected {T}*{H}*{W} = {expected}")
        x = x.view(B, T, H * W, D) + self.pos(T).to(x.dtype)[:, None]  # (B, T, N, D)
        scores = self.scorer(x if marks is None else x + marks[:, :, None])  # (B, T, N, heads)
        absent = self._absent(B, T, H * W, days_mask, seen)  # (B, T, N) or None
        if absent is not None:
            scores = scores.masked_fill(absent[..., None], -torch.inf)
        weights = scores.softmax(dim=1)  # (B, T, N, heads)
        if absent is not None:  # a month without a single day: no weights instead of NaN
            weights = weights.masked_fill(absent[..., None], 0.0)
        shares = x.unflatten(-1, (self.heads, -1))  # (B, T, N, heads, D/heads)
        out = (weights[..., None] * shares).sum(1).flatten(2)  # (B, N, D)
        return (out, weights.mean(-1).transpose(1, 2)) if return_weights else out

    @staticmethod
    def _absent(B, T, N, days_mask, seen):
        """(B, T, N) bool, True = weight 0; None when every day counts."""
        absent = None
        if days_mask is not None:
            require_mask("days_mask", days_mask, (B, T))
            absent = days_mask[:, :, None].expand(B, T, N)
        if seen is not None:
            require_mask("seen", seen, (B, T, N))
            looked = seen if absent is None else seen & ~absent
            blind = ~looked.any(dim=1, keepdim=True)  # (B, 1, N): the patch never saw anything
            unseen = ~looked & ~blind
            absent = unseen if absent is None else absent | unseen
        return absent


class SpatialPositionalEncoding2D(nn.Module):
    """Fixed sines and cosines that tell a token its place (chapter "Telling place").

    The first half of the channels encodes the row, the second half the column. Adding the two
    instead would make (h, w) and (w, h) twins.

    Args:
        embed_dim: length D of a token, a multiple of 4.
        max_H, max_W: the most rows and columns of patches.
    """

    def __init__(self, embed_dim=128, max_H=1024, max_W=1024):
        super().__init__()
        require(embed_dim % 4 == 0, f"embed_dim must be a multiple of 4, got {embed_dim}")
        # Two short tables (0.5 MB at the defaults); the full (max_H, max_W, D) one takes 512 MiB.
        self.register_buffer("rows", sincos_table(max_H, embed_dim // 2), persistent=False)
        self.register_buffer("cols", sincos_table(max_W, embed_dim // 2), persistent=False)

    def forward(self, Hp: int, Wp: int) -> Tensor:
        """Encoding of an Hp x Wp patch grid, row-major: (Hp*Wp, D)."""
        max_H, max_W = self.rows.shape[0], self.cols.shape[0]
        holds = f"the encoding holds 1 x 1 to {max_H} x {max_W}"
        advice = "build it with larger max_H, max_W or cut the map into tiles"
        fits = 1 <= Hp <= max_H and 1 <= Wp <= max_W
        require(fits, f"a grid of {Hp} x {Wp} patches, {holds}; {advice}")
        rows = self.rows[:Hp, None].expand(Hp, Wp, -1)  # (H', W', D/2)
        cols = self.cols[None, :Wp].expand(Hp, Wp, -1)  # (H', W', D/2)
        return torch.cat([rows, cols], dim=-1).flatten(0, 1)  # (H'W', D)


class SpatialTransformer(nn.Module):
    """Let every patch attend to every other (chapter "Looking across the ocean").

    Post-norm encoder layers (Vaswani et al. 2017) with GELU.

    Args:
        embed_dim: length D of a token.
        depth: number of layers.
        num_heads: attention heads of a layer; divides embed_dim.
        mlp_ratio: width of the feed-forward layer over D.
        dropout: dropout probability inside the layers.
    """

    def __init__(self, embed_dim=128, depth=2, num_heads=4, mlp_ratio=4.0, dropout=0.0):
        super().__init__()
        divides = embed_dim % num_heads == 0
        require(divides, f"num_heads={num_heads} does not divide embed_dim={embed_dim}")
        layer = nn.TransformerEncoderLayer(
            embed_dim, num_heads, int(mlp_ratio * embed_dim), dropout, "gelu", batch_first=True
        )
        self.enc = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)

    def forward(self, x: Tensor, return_attention: bool = False):
        """x (B, N, D) -> (B, N, D); on request also the attention, a list with one
        (B, heads, N, N) tensor per layer: row i says where patch i looks, each row sums to 1."""
        if len(self.enc.layers) == 0:  # depth 0: tokens that see no other
            return (x, []) if return_attention else x
        if not return_attention:
            return self.enc(x)
        attention = []
        with ExitStack() as hooks:  # ask the same layers for the weights they use anyway
            for layer in (layer.self_attn for layer in self.enc.layers):
                hooks.enter_context(layer.register_forward_pre_hook(_ask, with_kwargs=True))
                keep = layer.register_forward_hook(lambda m, i, o: attention.append(o[1]))
                hooks.enter_context(keep)
            return self.enc(x), attention


def _ask(module, args, kwargs):
    return args, {**kwargs, "need_weights": True, "average_attn_weights": False}


class MonthlyConvDecoder(nn.Module):
    """Turn patch tokens back into a map (chapter "Back to pixels").

    1x1 convolution, transposed convolution with overlapping kernels, convolutional head, one
    learned scale and bias, land set to 0.

    Args:
        embed_dim: length D of a token.
        patch_h, patch_w: rows and columns of pixels in a patch.
        hidden: channels after the 1x1 convolution; half of them at full resolution.
        overlap: pixels by which the kernel of a patch reaches into each neighbour.
        skip_chans: channels of `skip`, maps that reach the head without passing through tokens.
        residual_blocks: of two 3x3 convolutions at full resolution, before the last layer.
        pixel_queries: pixels ask patches, in place of the transposed convolution.
    """

    def __init__(
        self, embed_dim=128, patch_h=4, patch_w=4, hidden=128, overlap=1,
        skip_chans=0, residual_blocks=0, pixel_queries=False,
    ):
        super().__init__()
        self.patch_h, self.patch_w = patch_h, patch_w
        self.skip_chans = skip_chans
        half = hidden // 2
        self.proj = nn.Conv2d(embed_dim, hidden, 1)
        self.queries = self.deconv = None
        if pixel_queries:
            self.queries = PixelQueries(hidden, patch_h, patch_w, skip_chans)
        else:
            kernel = (patch_h + 2 * overlap, patch_w + 2 * overlap)
            self.deconv = nn.ConvTranspose2d(hidden, half, kernel, (patch_h, patch_w), overlap)
        self.head = nn.Sequential(
            nn.Conv2d(half + skip_chans, half, 3, padding=1, bias=False),
            OceanBatchNorm2d(half),
            nn.GELU(),
            nn.Conv2d(half, 1, 1),
        )
        conv = partial(nn.Conv2d, half, half, 3, padding=1)
        self.residual_blocks = nn.ModuleList(
            nn.Sequential(conv(), nn.GELU(), conv()) for _ in range(residual_blocks)
        )
        self.scale = nn.Parameter(torch.ones(1))
        self.bias = nn.Parameter(torch.zeros(1))
        if self.deconv is not None:
            self._even_out(overlap)

    @torch.no_grad()
    def _even_out(self, overlap: int) -> None:
        """Taper the initial kernel so that every pixel starts with the same variance.

        Pixels under two kernels would otherwise start twice as loud as those under one: a
        checkerboard before training has begun.
        """
        rows = _taper(self.patch_h, overlap)
        cols = _taper(self.patch_w, overlap)
        self.deconv.weight.mul_(rows[:, None] * cols[None, :])

    def forward(self, latent: Tensor, out_H: int, out_W: int, land_mask=None, skip=None):
        """latent (B, H'W', D) -> (B, out_H, out_W); land_mask (H, W) or (B, H, W), True = land;
        skip (B, skip_chans, out_H, out_W) when the decoder was built with skip_chans."""
        B, N, D = latent.shape
        Hp, Wp = out_H // self.patch_h, out_W // self.patch_w
        patch, whole = (self.patch_h, self.patch_w), (Hp * self.patch_h, Wp * self.patch_w)
        size = f"out_H, out_W = {out_H}, {out_W} are not multiples of the patch {patch}"
        require((out_H, out_W) == whole, f"{size}; pad or crop the map")
        require(N == Hp * Wp, f"latent has {N} tokens, a {out_H} x {out_W} map needs {Hp * Wp}")
        require(self.skip_chans == 0 or skip is not None, "skip is None, but skip_chans is not 0")
        land = self._land(land_mask, B, out_H, out_W)  # (B, 1, H, W) or None
        x = latent.transpose(1, 2).reshape(B, D, Hp, Wp)  # (B, D, H', W')
        x = self.proj(x)  # (B, hidden, H', W')
        x = self.deconv(x) if self.queries is None else self.queries(x, skip)  # (B, hidden/2, H, W)
        if self.skip_chans:
            x = torch.cat([x, skip.to(x.dtype)], dim=1)  # (B, hidden/2 + skip_chans, H, W)
        conv, norm, act, last = self.head
        x = act(norm(conv(x), None if land is None else ~land))  # (B, hidden/2, H, W)
        for block in self.residual_blocks:
            x = x + block(x if land is None else x.masked_fill(land, 0.0))
        x = last(x) * self.scale + self.bias  # (B, 1, H, W)
        if land is not None:
            x = x.masked_fill(land, 0.0)
        return x.squeeze(1)  # (B, H, W)

    @staticmethod
    def _land(land_mask, B, H, W):
        if land_mask is None:
            return None
        require_mask("land_mask", land_mask, (H, W) if land_mask.ndim == 2 else (B, H, W))
        return land_mask.expand(B, H, W)[:, None]


def _taper(patch: int, overlap: int) -> Tensor:
    """Amplitudes (patch + 2*overlap,) whose squares, laid every `patch` pixels, add up to 1."""
    size = patch + 2 * overlap
    k = torch.arange(size)
    ramp = torch.minimum(k + 1, size - k).clamp(max=2 * overlap + 1).float()
    total = torch.zeros(patch).index_add(0, k % patch, ramp)
    return (ramp / total[k % patch]).sqrt()


class SpatioTemporalModel(nn.Module):
    """The published machine: gappy daily maps in, one monthly map out ("All together").

    Args:
        in_chans: channels C of the input.
        embed_dim: length D of a token, a multiple of 4.
        patch_size: (Pt, Ph, Pw), days, rows and columns of one patch.
        max_T: the most time patches T' a video may have.
        hidden, overlap: of the decoder.
        max_H, max_W: the most rows and columns of patches.
        spatial_depth, spatial_heads: layers and heads of the spatial transformer.
        temporal_heads: scores per day of the temporal aggregator.
        blocks, question, daily_head: of `space_time.py`; attention between the daily tokens,
            whether the day weights are told which days are asked and hear the others too, and
            whether the tokens of each day add to the map of that day.
        skip_chans: channels of the maps that reach the decoder beside the tokens.
        residual_blocks: convolution blocks of the decoder at full resolution.
        pixel_queries: of `pixel_queries.py`, in the decoder.
    """

    def __init__(
        self, in_chans=1, embed_dim=128, patch_size=(1, 4, 4), max_T=64, hidden=128, overlap=1,
        max_H=1024, max_W=1024, spatial_depth=2, spatial_heads=4,
        temporal_heads=1, blocks=0, question=False, daily_head=False,
        skip_chans=0, residual_blocks=0, pixel_queries=False,
    ):
        super().__init__()
        self.patch_size = tuple(patch_size)
        self.encoder = VideoEncoder(in_chans, embed_dim, patch_size)
        self.mixer = SpaceTime(embed_dim, blocks, spatial_heads)
        self.question = Question(embed_dim) if question else None
        self.daily_head = DailyHead(embed_dim, patch_size) if daily_head else None
        self.temporal = TemporalAttentionAggregator(embed_dim, max_T, temporal_heads)
        self.spatial_pe = SpatialPositionalEncoding2D(embed_dim, max_H, max_W)
        self.spatial_tr = SpatialTransformer(embed_dim, spatial_depth, spatial_heads)
        asked = {"pixel_queries": True} if pixel_queries else {}  # other decoders need not know it
        self.decoder = MonthlyConvDecoder(
            embed_dim, *self.patch_size[1:], hidden, overlap, skip_chans + daily_head,
            residual_blocks, **asked,
        )

    @property
    def last(self) -> nn.Conv2d:
        """The layer that makes the map."""
        return self.decoder.head[3]

    def forward(
        self, daily_data: Tensor, daily_mask: Tensor, land_mask_patch=None, days_mask=None,
        skip=None, wanted=None, every_day=False,
    ):
        """Monthly map (B, H, W), in the units of the input, land 0.

        daily_data: (B, C, T, H, W) standardised anomalies; values under the mask do not matter.
        daily_mask: same shape, bool, True = missing (cloud, land, padding).
        land_mask_patch: (H, W) or (B, H, W) bool, True = land; None = no land.
        days_mask: (B, T) bool, True = a day that does not exist (short months padded to 31).
        skip: (B, skip_chans, H, W) maps for the decoder, of a network built with skip_chans.
        wanted: (B, T) bool, True = a day of which the mean is asked; None = all that exist.
        every_day: also return what the daily head adds to each day (B, T, H, W).
        """
        tokens = self.read(daily_data, daily_mask, days_mask)
        shape = daily_data.shape[3:]
        x = self.answer(tokens, shape, land_mask_patch, days_mask, skip, wanted)  # (B, H, W)
        return (x, tokens[-1]) if every_day else x

    def answer(self, tokens, shape, land_mask_patch=None, days_mask=None, skip=None, wanted=None):
        """The map (B, H, W) = (B, *shape) from what `read` returned; the rest as for `forward`."""
        *tokens, days = tokens
        x = self.spatial_tr(self._weigh(*tokens, days_mask, wanted)[0])  # (B, N, D)
        if days is None:
            return self.decoder(x, *shape, land_mask_patch, skip)
        asked = self._days(days_mask, wanted, len(x), days.shape[1])[1]  # (B, T)
        added = month_mean(days, asked)  # (B, H, W)
        if land_mask_patch is not None:
            added = added.masked_fill(land_mask_patch, 0.0)
        maps = [added[:, None].to(x.dtype)]
        if self.decoder.skip_chans > 1:  # it was built with maps of its own
            require(skip is not None, "skip is None, but skip_chans is not 0")
            maps.append(skip)
        return self.decoder(x, *shape, land_mask_patch, torch.cat(maps, 1)) + added

    def attention(self, daily_data, daily_mask, days_mask=None, wanted=None) -> dict:
        """Where the network looks: {"temporal": (B, N, T'), "spatial": a (B, heads, N, N) tensor
        per layer}; arguments as for `forward`."""
        tokens = self.read(daily_data, daily_mask, days_mask)[:3]
        x, weights = self._weigh(*tokens, days_mask, wanted)
        return {"temporal": weights, "spatial": self.spatial_tr(x, return_attention=True)[1]}

    def read(self, daily_data, daily_mask, days_mask=None) -> tuple:
        """What no question changes: the days' tokens after the mixer (B, T'N, D), which of them
        saw something (B, T', N), the marks of their places (N, D), and what the daily head adds to
        each day (B, T, H, W) or None."""
        shape, (Pt, Ph, Pw) = tuple(daily_data.shape), self.patch_size
        require(len(shape) == 5, f"daily_data must be (B, C, T, H, W), got shape {shape}")
        if days_mask is not None:
            require_mask("daily_mask", daily_mask, shape)
            require_mask("days_mask", days_mask, (shape[0], shape[2]))
            daily_mask = daily_mask | days_mask[:, None, :, None, None]
        x = self.encoder(daily_data, daily_mask)  # (B, T'N, D)
        valid = (~daily_mask).float().amax(1, keepdim=True)  # `any` is five times slower on a CPU
        seen = F.max_pool3d(valid, self.patch_size, self.patch_size).flatten(3).squeeze(1) > 0
        grid = shape[2] // Pt, shape[3] // Ph, shape[4] // Pw
        place = self.spatial_pe(*grid[1:])
        x = self.mixer(x, self.temporal.pos(grid[0]), place, seen, grid)
        return x, seen, place, None if self.daily_head is None else self.daily_head(x, grid)

    def _weigh(self, x, seen, place, days_mask=None, wanted=None):
        """The days summed up, with addresses (B, N, D), and the weights of the days (B, N, T')."""
        (B, Tp, N), Pt = seen.shape, self.patch_size[0]
        # A time patch counts when one of its days does.
        days = self._days(days_mask, wanted, B, Tp * Pt)
        exist, asked = (d.view(B, Tp, Pt).any(-1) for d in days)  # (B, T')
        marks = None if self.question is None else self.question(asked).to(x.dtype)
        heard = asked if marks is None else exist
        x, weights = self.temporal(x, Tp, N, 1, ~heard, seen, True, marks)
        return x + place.to(x.dtype), weights

    def _days(self, days_mask, wanted, B: int, T: int) -> tuple[Tensor, Tensor]:
        """Which days exist and which of them are asked for, (B, T) bool each."""
        exist = torch.ones(B, T, dtype=torch.bool, device=self.decoder.scale.device)
        exist = exist if days_mask is None else ~days_mask
        return exist, exist if wanted is None else wanted & exist
