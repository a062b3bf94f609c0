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

Four options are off by default (temporal_heads, blocks, skip_chans, residual_blocks). What it
starts from, and other networks for its place, are in `first_guess.py` and `networks.py`.

Letters: B batch, C channels, T days, H and W rows (lat) and columns (lon) of pixels;
T', H', W' the same counted in patches; N = H'W' patches of a map; D = embed_dim.
Parameter names, argument names and the polarity of masks (True = missing, land, no such day)
follow the published form (ESMValGroup/ClimaNet, 2026), whose weights load here.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sst_tutorial._checks import require, require_mask
from sst_tutorial.ocean_norm import OceanBatchNorm2d
from sst_tutorial.space_time import SpaceTime


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

    def __init__(self, in_chans=1, embed_dim=128, patch_size=(1, 4, 4), drop=0.0, divide=False):
        super().__init__()
        self.in_chans = in_chans
        self.counts = nn.Linear(in_chans, embed_dim, bias=False) if divide else None
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
        x = x.masked_fill(mask, 0.0)  # not x * valid: NaN * 0 is NaN
        valid = (~mask).to(x.dtype)
        patches = self._patches(torch.cat([x, valid], dim=1))  # (B, T'H'W', 2C Pt Ph Pw)
        # The convolution does not overlap, so it is one matrix product: on an H100 its backward
        # pass takes 0.3 ms of a step so, and 5 ms as a Conv3d.
        if self.counts is not None:
            values, valid = patches.unflatten(-1, (2, self.in_chans, -1)).unbind(2)  # (B,T'N,C,P)
            count = valid.sum(-1, keepdim=True)
            values = values * (values.shape[-1] / count.clamp_min(1.0))
            patches = torch.stack([values, valid], 2).flatten(2)
        x = F.linear(patches, self.proj.weight.flatten(1), self.proj.bias)  # (B, T'H'W', D)
        if self.counts is not None:
            x = x + self.counts(count.squeeze(-1).log1p())
        return self.drop(self.norm(x))

    def _patches(self, x: Tensor) -> Tensor:
        """(B, 2C, T, H, W) -> (B, T'H'W', 2C Pt Ph Pw), the pixels of each patch side by side."""
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

    def __init__(self, embed_dim=128, max_T=31, heads=1, ask=False):
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
        self.asked = nn.Parameter(torch.full((2, embed_dim), 0.1)) if ask else None

    def _question(self, wanted, dtype):
        """Marks (B, T, D) that tell which days are asked and how far from them each day is."""
        w = wanted.to(self.asked.dtype)
        day = torch.arange(w.shape[1], device=w.device, dtype=w.dtype)
        middle = (w * day).sum(1, keepdim=True) / w.sum(1, keepdim=True).clamp_min(1)
        D = self.asked.shape[1]
        even = torch.arange(0, D, 2, device=w.device)
        angle = (day - middle)[..., None] * torch.exp(even * (-math.log(10000.0) / D))
        far = torch.stack([angle.sin(), angle.cos()], -1).flatten(-2)  # (B, T, D)
        return (self.asked[0] * far + self.asked[1] * w[..., None]).to(dtype)

    def forward(self, x, T, H, W, days_mask=None, seen=None, return_weights=False, wanted=None):
        """x (B, T*H*W, D) tokens of T days on an H x W patch grid -> (B, H*W, D).

        days_mask: (B, T) bool, True = a day that does not exist; its weight is exactly 0.
        seen: (B, T, H*W) bool, True = the patch saw something that day. Days that saw nothing get
            weight 0, unless the patch never saw any: then all its existing days count alike.
        return_weights: also return the weights (B, H*W, T), the mean of the heads; they sum to 1
            over T.
        """
        B, tokens, D = x.shape
        expected = T * H * W
        require(tokens == expected, f"x has {tokens} tokens, expected {T}*{H}*{W} = {expected}")
        x = x.view(B, T, H * W, D) + self.pos(T).to(x.dtype)[:, None]  # (B, T, N, D)
        if self.asked is None or wanted is None:
            scores = self.scorer(x)  # (B, T, N, heads)
        else:
            scores = self.scorer(x + self._question(wanted, x.dtype)[:, :, None])
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
        require(
            1 <= Hp <= max_H and 1 <= Wp <= max_W,
            f"a grid of {Hp} x {Wp} patches, the encoding holds 1 x 1 to {max_H} x {max_W}; "
            "build it with larger max_H, max_W or cut the map into tiles",
        )
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
        attention, hooks = [], []
        for layer in self.enc.layers:  # ask the same layers for the weights they use anyway
            hooks.append(layer.self_attn.register_forward_pre_hook(self._ask, with_kwargs=True))
            keep = layer.self_attn.register_forward_hook(lambda m, i, o: attention.append(o[1]))
            hooks.append(keep)
        try:
            return self.enc(x), attention
        finally:
            for hook in hooks:
                hook.remove()

    @staticmethod
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
    """

    def __init__(
        self, embed_dim=128, patch_h=4, patch_w=4, hidden=128, overlap=1,
        skip_chans=0, residual_blocks=0, queries=False,
    ):
        super().__init__()
        self.patch_h, self.patch_w = patch_h, patch_w
        self.skip_chans = skip_chans
        self.proj = nn.Conv2d(embed_dim, hidden, 1)
        self.deconv = nn.ConvTranspose2d(
            hidden,
            hidden // 2,
            (patch_h + 2 * overlap, patch_w + 2 * overlap),
            stride=(patch_h, patch_w),
            padding=overlap,
        )
        self.head = nn.Sequential(
            nn.Conv2d(hidden // 2 + skip_chans, hidden // 2, 3, padding=1, bias=False),
            OceanBatchNorm2d(hidden // 2),
            nn.GELU(),
            nn.Conv2d(hidden // 2, 1, 1),
        )
        self.residual_blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(hidden // 2, hidden // 2, 3, padding=1),
                nn.GELU(),
                nn.Conv2d(hidden // 2, hidden // 2, 3, padding=1),
            )
            for _ in range(residual_blocks)
        )
        self.scale = nn.Parameter(torch.ones(1))
        self.bias = nn.Parameter(torch.zeros(1))
        self._even_out(overlap)
        self.queries = None
        if queries:
            self.deconv = None
            self.queries = PixelQueries(hidden, patch_h, skip_chans)

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
        x = self.proj(x)
        if self.queries is None:
            x = self.deconv(x)  # (B, hidden/2, H, W)
        else:
            x = self.queries(x, skip)
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


class PixelQueries(nn.Module):
    """Each pixel asks the 3 x 3 patches around it, with what the skip maps know of it."""

    def __init__(self, hidden, patch, skip_chans, heads=4):
        super().__init__()
        self.patch, self.heads = patch, heads
        half = hidden // 2
        self.pixel = nn.Parameter(0.02 * torch.randn(patch * patch, half))
        self.ask = nn.Conv2d(skip_chans, half, 1)
        self.key = nn.Conv2d(hidden, half, 1)
        self.value = nn.Conv2d(hidden, half, 1)
        self.bias = nn.Parameter(torch.zeros(heads, patch * patch, 9))

    def forward(self, x, skip):
        B, D, H, W = x.shape
        P, h = self.patch, self.heads
        q = self.ask(skip.to(x.dtype))  # (B, half, HP, WP)
        C = q.shape[1]
        q = q.view(B, h, C // h, H, P, W, P).permute(0, 3, 5, 1, 4, 6, 2).flatten(4, 5)
        q = q + self.pixel.view(P * P, h, C // h).transpose(0, 1)  # (B, H, W, h, PP, d)
        def around(a):
            a = F.unfold(a, 3, padding=1).view(B, h, C // h, 9, H, W)
            return a.permute(0, 4, 5, 1, 3, 2)  # (B, H, W, h, 9, d)
        k, v = around(self.key(x)), around(self.value(x))
        score = q @ k.transpose(-1, -2) / (C // h) ** 0.5 + self.bias
        y = score.softmax(-1) @ v  # (B, H, W, h, PP, d)
        y = y.unflatten(4, (P, P)).permute(0, 3, 6, 1, 4, 2, 5)  # (B, h, d, H, P, W, P)
        return y.reshape(B, C, H * P, W * P)


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
        blocks: of space-time attention between the daily tokens, see `space_time.py`.
        skip_chans: channels of the maps that reach the decoder beside the tokens.
        residual_blocks: convolution blocks of the decoder at full resolution.
    """

    def __init__(
        self, in_chans=1, embed_dim=128, patch_size=(1, 4, 4), max_T=64, hidden=128, overlap=1,
        max_H=1024, max_W=1024, spatial_depth=2, spatial_heads=4,
        temporal_heads=1, blocks=0, skip_chans=0, residual_blocks=0,
        divide=False, relative=False, null=True, masked=True, month_token=False, queries=False,
        lean=False, half=False, ask=False,
    ):
        super().__init__()
        self.patch_size = tuple(patch_size)
        self.encoder = VideoEncoder(in_chans, embed_dim, patch_size, divide=divide)
        self.mixer = SpaceTime(embed_dim, blocks, spatial_heads, relative, null, masked, lean, half)
        self.month_token = nn.Parameter(torch.zeros(embed_dim)) if month_token else None
        self.temporal = TemporalAttentionAggregator(embed_dim, max_T, temporal_heads, ask)
        self.spatial_pe = SpatialPositionalEncoding2D(embed_dim, max_H, max_W)
        self.spatial_tr = SpatialTransformer(embed_dim, spatial_depth, spatial_heads)
        self.decoder = MonthlyConvDecoder(
            embed_dim, *self.patch_size[1:], hidden, overlap, skip_chans, residual_blocks,
            queries,
        )

    @property
    def last(self) -> nn.Conv2d:
        """The layer that makes the map."""
        return self.decoder.head[3]

    def forward(
        self, daily_data: Tensor, daily_mask: Tensor, land_mask_patch=None, days_mask=None,
        skip=None, wanted=None,
    ) -> Tensor:
        """Monthly map (B, H, W), in the units of the input, land 0.

        daily_data: (B, C, T, H, W) standardised anomalies; values under the mask do not matter.
        daily_mask: same shape, bool, True = missing (cloud, land, padding).
        land_mask_patch: (H, W) or (B, H, W) bool, True = land; None = no land.
        days_mask: (B, T) bool, True = a day that does not exist (short months padded to 31).
        skip: (B, skip_chans, H, W) maps for the decoder, of a network built with skip_chans.
        wanted: (B, T) bool, True = a day of which the mean is asked; None = all that exist.
        """
        x, _ = self._of_month(daily_data, daily_mask, days_mask, wanted)  # (B, N, D)
        H, W = daily_data.shape[3:]
        return self.decoder(self.spatial_tr(x), H, W, land_mask_patch, skip)  # (B, H, W)

    def attention(self, daily_data, daily_mask, days_mask=None, wanted=None) -> dict:
        """Where the network looks: {"temporal": (B, N, T'), "spatial": a (B, heads, N, N) tensor
        per layer}; arguments as for `forward`."""
        x, weights = self._of_month(daily_data, daily_mask, days_mask, wanted)
        return {"temporal": weights, "spatial": self.spatial_tr(x, return_attention=True)[1]}

    def _of_month(self, daily_data, daily_mask, days_mask, wanted=None):
        """Tokens of the month with their addresses (B, N, D), and the weights of the days."""
        shape, (Pt, Ph, Pw) = tuple(daily_data.shape), self.patch_size
        require(len(shape) == 5, f"daily_data must be (B, C, T, H, W), got shape {shape}")
        T, H, W = shape[2:]
        Tp, Hp, Wp = T // Pt, H // Ph, W // Pw
        if days_mask is not None:
            require_mask("daily_mask", daily_mask, daily_data.shape)
            require_mask("days_mask", days_mask, (len(daily_data), T))
            daily_mask = daily_mask | days_mask[:, None, :, None, None]
        x = self.encoder(daily_data, daily_mask)  # (B, T'H'W', D)
        seen, place = self._seen(daily_mask), self.spatial_pe(Hp, Wp)  # (B, T', N), (N, D)
        month = None
        if self.month_token is not None:
            B, N = len(x), len(place)
            x = torch.cat([x, self.month_token.to(x.dtype).expand(B, N, -1)], 1)
            whole = torch.ones(B, dtype=torch.bool, device=x.device)
            if wanted is not None:
                exist = torch.ones_like(wanted) if days_mask is None else ~days_mask
                whole = (wanted == exist).all(1)
            month = whole
            seen = torch.cat([seen, torch.ones_like(seen[:, :1])], 1)
            Tp = Tp + 1
        x = self.mixer(x, self.temporal.pos(Tp), place, seen, (Hp, Wp))  # (B, T'H'W', D)
        unasked, question = days_mask, None
        if self.temporal.asked is not None:
            exist = torch.ones(len(x), T, dtype=torch.bool, device=x.device)
            exist = exist if days_mask is None else ~days_mask
            question = exist if wanted is None else wanted & exist
        elif wanted is not None:
            unasked = ~wanted if days_mask is None else days_mask | ~wanted
        if unasked is not None:  # a time patch has no weight when none of its days has
            unasked = unasked.view(len(x), -1, Pt).all(-1)  # (B, T')
        if month is not None:
            days = unasked if unasked is not None else torch.zeros(len(x), Tp - 1, dtype=torch.bool, device=x.device)
            unasked = torch.cat([days | month[:, None], ~month[:, None]], 1)
        x, weights = self.temporal(x, Tp, Hp, Wp, unasked, seen, True, question)
        return x + place.to(x.dtype), weights  # (B, N, D), (B, N, T')

    def _seen(self, daily_mask: Tensor) -> Tensor:
        """(B, T', N) bool: does any channel say something about the patch that day?"""
        valid = (~daily_mask).any(1, keepdim=True).float()  # (B, 1, T, H, W)
        return F.max_pool3d(valid, self.patch_size, self.patch_size).flatten(3).squeeze(1) > 0
