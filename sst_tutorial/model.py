"""The whole network in one file, read top to bottom in the order of the chapters.

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

Letters: B batch, C channels, T days, H and W rows (lat) and columns (lon) of pixels;
T', H', W' the same counted in patches; N = H'W' patches of a map; D = embed_dim.
Parameter names follow the published form (ESMValGroup/ClimaNet, 2026), whose weights load here.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def _require(condition: bool, message: str) -> None:
    """Raise `ValueError(message)`; conditions on shapes are free under torch.compile."""
    if not condition:
        raise ValueError(message)


def _require_mask(name: str, mask: Tensor, shape: tuple[int, ...]) -> None:
    _require(
        mask.dtype == torch.bool,
        f"{name} must be boolean, got {mask.dtype}; convert it, for example with `{name} > 0`",
    )
    _require(
        tuple(mask.shape) == tuple(shape),
        f"{name} must have shape {tuple(shape)}, got {tuple(mask.shape)}",
    )


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


# ---------------------------------------------------------------------------- Video to tokens


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
        x = x.masked_fill(mask, 0.0)  # not x * valid: NaN * 0 is NaN
        valid = (~mask).to(x.dtype)
        x = self.proj(torch.cat([x, valid], dim=1))  # (B, 2C, T, H, W) -> (B, D, T', H', W')
        x = x.flatten(2).transpose(1, 2)  # (B, T'H'W', D)
        return self.drop(self.norm(x))

    def _check(self, x: Tensor, mask: Tensor) -> None:
        _require(x.ndim == 5, f"x must be (B, C, T, H, W), got shape {tuple(x.shape)}")
        _require(
            x.shape[1] == self.in_chans,
            f"x has {x.shape[1]} channels, this encoder was built with in_chans={self.in_chans}",
        )
        _require_mask("mask", mask, x.shape)
        for name, size, patch in zip("THW", x.shape[2:], self.patch_size, strict=True):
            _require(
                size > 0 and size % patch == 0,
                f"{name}={size} is not a positive multiple of the patch ({patch}); pad or crop it, "
                "nothing is dropped in silence",
            )


# ------------------------------------------------------------------------------- Telling time


class TemporalPositionalEncoding(nn.Module):
    """Fixed sines and cosines that tell a token its day (chapter "Telling time").

    Args:
        embed_dim: length D of a token, even.
        max_len: the most days (time patches T') a video may have.
    """

    def __init__(self, embed_dim=128, max_len=31):
        super().__init__()
        _require(embed_dim % 2 == 0, f"embed_dim must be even, got {embed_dim}")
        self.register_buffer("pe", sincos_table(max_len, embed_dim))  # (max_len, D)

    def forward(self, T: int) -> Tensor:
        """Encoding of days 0..T-1: (T, D)."""
        max_len = self.pe.shape[0]
        _require(
            1 <= T <= max_len,
            f"T={T} days, the encoding holds 1 to {max_len}; build it with larger max_len (max_T)",
        )
        return self.pe[:T]


# -------------------------------------------------------------------------- Which days matter


class TemporalAttentionAggregator(nn.Module):
    """Weigh the days of each patch and sum them up (chapter "Which days matter").

    A small network scores each day's token; softmax over the days turns scores into weights.

    Args:
        embed_dim: length D of a token.
        max_T: the most days (time patches T') a video may have.
    """

    def __init__(self, embed_dim=128, max_T=31):
        super().__init__()
        self.pos = TemporalPositionalEncoding(embed_dim, max_T)
        self.scorer = nn.Sequential(
            nn.LayerNorm(embed_dim),
            nn.Linear(embed_dim, embed_dim),
            nn.GELU(),
            nn.Linear(embed_dim, 1),
        )

    def forward(self, x, T, H, W, days_mask=None, seen=None, return_weights=False):
        """x (B, T*H*W, D) tokens of T days on an H x W patch grid -> (B, H*W, D).

        days_mask: (B, T) bool, True = a day that does not exist; its weight is exactly 0.
        seen: (B, T, H*W) bool, True = the patch saw something that day. Days without a look get
            weight 0, unless the patch never had one: then all its existing days count alike.
        return_weights: also return the weights (B, H*W, T), which sum to 1 over T.
        """
        B, tokens, D = x.shape
        _require(
            tokens == T * H * W,
            f"x has {tokens} tokens, expected T*H*W = {T}*{H}*{W} = {T * H * W}",
        )
        x = x.view(B, T, H * W, D) + self.pos(T).to(x.dtype)[:, None]  # (B, T, N, D)
        scores = self.scorer(x).squeeze(-1)  # (B, T, N)
        absent = self._absent(scores, days_mask, seen)
        if absent is not None:
            scores = scores.masked_fill(absent, -torch.inf)
        weights = scores.softmax(dim=1)  # (B, T, N)
        if absent is not None:  # a month without a single day: no weights instead of NaN
            weights = weights.masked_fill(absent, 0.0)
        out = torch.einsum("btn,btnd->bnd", weights, x)  # (B, N, D)
        return (out, weights.transpose(1, 2)) if return_weights else out

    @staticmethod
    def _absent(scores, days_mask, seen):
        """(B, T, N) bool, True = weight 0; None when every day counts."""
        B, T, N = scores.shape
        absent = None
        if days_mask is not None:
            _require_mask("days_mask", days_mask, (B, T))
            absent = days_mask[:, :, None].expand(B, T, N)
        if seen is not None:
            _require_mask("seen", seen, (B, T, N))
            looked = seen if absent is None else seen & ~absent
            blind = ~looked.any(dim=1, keepdim=True)  # (B, 1, N): the patch never had a look
            unseen = ~looked & ~blind
            absent = unseen if absent is None else absent | unseen
        return absent


# ------------------------------------------------------------------------------ Telling place


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
        _require(embed_dim % 4 == 0, f"embed_dim must be a multiple of 4, got {embed_dim}")
        # Two short tables (0.5 MB at the defaults); the full (max_H, max_W, D) one takes 512 MiB.
        self.register_buffer("rows", sincos_table(max_H, embed_dim // 2), persistent=False)
        self.register_buffer("cols", sincos_table(max_W, embed_dim // 2), persistent=False)

    def forward(self, Hp: int, Wp: int) -> Tensor:
        """Encoding of an Hp x Wp patch grid, row-major: (Hp*Wp, D)."""
        max_H, max_W = self.rows.shape[0], self.cols.shape[0]
        _require(
            1 <= Hp <= max_H and 1 <= Wp <= max_W,
            f"a grid of {Hp} x {Wp} patches, the encoding holds 1 x 1 to {max_H} x {max_W}; "
            "build it with larger max_H, max_W or cut the map into tiles",
        )
        rows = self.rows[:Hp, None].expand(Hp, Wp, -1)  # (H', W', D/2)
        cols = self.cols[None, :Wp].expand(Hp, Wp, -1)  # (H', W', D/2)
        return torch.cat([rows, cols], dim=-1).flatten(0, 1)  # (H'W', D)


# ------------------------------------------------------------------ Looking across the ocean


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
        _require(
            embed_dim % num_heads == 0,
            f"num_heads={num_heads} does not divide embed_dim={embed_dim}",
        )
        layer = nn.TransformerEncoderLayer(
            embed_dim, num_heads, int(mlp_ratio * embed_dim), dropout, "gelu", batch_first=True
        )
        self.enc = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)

    def forward(self, x: Tensor, return_attention: bool = False):
        """x (B, N, D) -> (B, N, D); on request also the attention, a list with one
        (B, heads, N, N) tensor per layer: row i says where patch i looks, each row sums to 1."""
        if not return_attention:
            return self.enc(x)
        attention, hooks = [], []
        for layer in self.enc.layers:  # ask the same layers for the weights they use anyway
            hooks.append(layer.self_attn.register_forward_pre_hook(self._ask, with_kwargs=True))
            hooks.append(
                layer.self_attn.register_forward_hook(lambda m, i, o: attention.append(o[1]))
            )
        try:
            return self.enc(x), attention
        finally:
            for hook in hooks:
                hook.remove()

    @staticmethod
    def _ask(module, args, kwargs):
        return args, {**kwargs, "need_weights": True, "average_attn_weights": False}


# ----------------------------------------------------------------------------- Back to pixels


class OceanBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm2d whose statistics come from the ocean only and follow the training from step one.

    Plain batch norm counts land pixels, and its running mean starts at 0 and lags for dozens of
    steps, so that an early evaluation is worse than the training it follows.
    """

    def forward(self, x: Tensor, ocean: Tensor | None = None) -> Tensor:
        """x (B, C, H, W); ocean (B, 1, H, W) bool or None = all ocean."""
        if not self.training:
            return super().forward(x)
        wide = x.float()  # half precision sums of squares overflow
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
        momentum = (momentum * any_ocean).to(mean.dtype)
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(var, momentum)


class MonthlyConvDecoder(nn.Module):
    """Turn patch tokens back into a map (chapter "Back to pixels").

    1x1 convolution, transposed convolution with overlapping kernels, convolutional head, one
    learned scale and bias, land set to 0.

    Args:
        embed_dim: length D of a token.
        patch_h, patch_w: rows and columns of pixels in a patch.
        hidden: channels after the 1x1 convolution; half of them at full resolution.
        overlap: pixels by which the kernel of a patch reaches into each neighbour.
    """

    def __init__(self, embed_dim=128, patch_h=4, patch_w=4, hidden=128, overlap=1):
        super().__init__()
        self.patch_h, self.patch_w = patch_h, patch_w
        self.proj = nn.Conv2d(embed_dim, hidden, 1)
        self.deconv = nn.ConvTranspose2d(
            hidden,
            hidden // 2,
            (patch_h + 2 * overlap, patch_w + 2 * overlap),
            stride=(patch_h, patch_w),
            padding=overlap,
        )
        self.head = nn.Sequential(
            nn.Conv2d(hidden // 2, hidden // 2, 3, padding=1, bias=False),  # the norm has a bias
            OceanBatchNorm2d(hidden // 2),
            nn.GELU(),
            nn.Conv2d(hidden // 2, 1, 1),
        )
        self.scale = nn.Parameter(torch.ones(1))
        self.bias = nn.Parameter(torch.zeros(1))
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

    def forward(self, latent: Tensor, out_H: int, out_W: int, land_mask: Tensor | None = None):
        """latent (B, H'W', D) -> (B, out_H, out_W); land_mask (H, W) or (B, H, W), True = land."""
        B, N, D = latent.shape
        Hp, Wp = out_H // self.patch_h, out_W // self.patch_w
        _require(
            out_H % self.patch_h == 0 and out_W % self.patch_w == 0,
            f"out_H, out_W = {out_H}, {out_W} are not multiples of the patch "
            f"({self.patch_h}, {self.patch_w}); pad or crop the map",
        )
        _require(N == Hp * Wp, f"latent has {N} tokens, a {out_H} x {out_W} map needs {Hp * Wp}")
        _require(
            not self.training or B > 1 or N > 1,
            "B=1 with one token: batch statistics of a single patch say nothing; "
            "train on larger maps or more months, or call .eval()",
        )
        land = self._land(land_mask, B, out_H, out_W)  # (B, 1, H, W) or None
        x = latent.transpose(1, 2).reshape(B, D, Hp, Wp)  # (B, D, H', W')
        x = self.deconv(self.proj(x))  # (B, hidden/2, H, W)
        conv, norm, act, last = self.head
        x = norm(conv(x), None if land is None else ~land)
        x = last(act(x)) * self.scale + self.bias  # (B, 1, H, W)
        if land is not None:
            x = x.masked_fill(land, 0.0)
        return x.squeeze(1)  # (B, H, W)

    @staticmethod
    def _land(land_mask, B, H, W):
        if land_mask is None:
            return None
        if land_mask.ndim == 2:
            _require_mask("land_mask", land_mask, (H, W))
        else:
            _require_mask("land_mask", land_mask, (B, H, W))
        return land_mask.expand(B, H, W)[:, None]


def _taper(patch: int, overlap: int) -> Tensor:
    """Amplitudes (patch + 2*overlap,) whose squares, laid every `patch` pixels, add up to 1."""
    size = patch + 2 * overlap
    k = torch.arange(size)
    ramp = torch.minimum(k + 1, size - k).clamp(max=2 * overlap + 1).float()
    total = torch.zeros(patch).index_add(0, k % patch, ramp)
    return (ramp / total[k % patch]).sqrt()


# ------------------------------------------------------------------------------- All together


class SpatioTemporalModel(nn.Module):
    """The whole machine: gappy daily maps in, one complete monthly map out ("All together").

    Args:
        in_chans: channels C of the input; channel 0 is the daily anomaly itself.
        embed_dim: length D of a token, a multiple of 4.
        patch_size: (Pt, Ph, Pw), days, rows and columns of one patch.
        max_T: the most time patches T' a video may have.
        hidden, overlap: of the decoder.
        max_H, max_W: the most rows and columns of patches.
        spatial_depth, spatial_heads: layers and heads of the spatial transformer.
    """

    def __init__(
        self,
        in_chans=1,
        embed_dim=128,
        patch_size=(1, 4, 4),
        max_T=64,
        hidden=128,
        overlap=1,
        max_H=1024,
        max_W=1024,
        spatial_depth=2,
        spatial_heads=4,
    ):
        super().__init__()
        _, patch_h, patch_w = patch_size
        self.encoder = VideoEncoder(in_chans, embed_dim, patch_size)
        self.temporal = TemporalAttentionAggregator(embed_dim, max_T)
        self.spatial_pe = SpatialPositionalEncoding2D(embed_dim, max_H, max_W)
        self.spatial_tr = SpatialTransformer(embed_dim, spatial_depth, spatial_heads)
        self.decoder = MonthlyConvDecoder(embed_dim, patch_h, patch_w, hidden, overlap)

    def forward(
        self,
        daily_data: Tensor,
        daily_mask: Tensor,
        land_mask_patch: Tensor | None = None,
        days_mask: Tensor | None = None,
        return_attention: bool = False,
    ):
        """Monthly map (B, H, W), in the units of the input, land 0.

        daily_data: (B, C, T, H, W) standardised anomalies; values under the mask do not matter.
        daily_mask: same shape, bool, True = missing (cloud, land, padding).
        land_mask_patch: (H, W) or (B, H, W) bool, True = land; None = no land.
        days_mask: (B, T) bool, True = a day that does not exist (short months padded to 31).
        return_attention: also return {"temporal": (B, H'W', T'), "spatial": one
            (B, heads, H'W', H'W') tensor per layer}.
        """
        if days_mask is not None:
            daily_mask = self._hide_days(daily_data, daily_mask, days_mask)
        x = self.encoder(daily_data, daily_mask)  # (B, T'H'W', D)
        T, H, W = daily_data.shape[2:]
        Pt, Ph, Pw = self.encoder.patch_size
        Tp, Hp, Wp = T // Pt, H // Ph, W // Pw
        seen = self._seen(daily_mask)  # (B, T', H'W')
        if days_mask is not None:  # a time patch is absent when all its days are
            days_mask = days_mask.view(-1, Tp, Pt).all(-1)  # (B, T')
        x, weights = self.temporal(x, Tp, Hp, Wp, days_mask, seen, return_weights=True)  # (B, N, D)
        x = x + self.spatial_pe(Hp, Wp).to(x.dtype)  # (B, N, D)
        attention = None
        if return_attention:
            x, attention = self.spatial_tr(x, return_attention=True)
        else:
            x = self.spatial_tr(x)  # (B, N, D)
        out = self.decoder(x, H, W, land_mask_patch)  # (B, H, W)
        return (out, {"temporal": weights, "spatial": attention}) if return_attention else out

    def _seen(self, daily_mask: Tensor) -> Tensor:
        """(B, T', H'W') bool: did the patch see at least one pixel of channel 0 that day?"""
        valid = (~daily_mask[:, :1]).float()  # (B, 1, T, H, W)
        patch = self.encoder.patch_size
        return F.max_pool3d(valid, patch, patch).flatten(3).squeeze(1) > 0

    @staticmethod
    def _hide_days(daily_data: Tensor, daily_mask: Tensor, days_mask: Tensor) -> Tensor:
        _require_mask("daily_mask", daily_mask, daily_data.shape)
        _require_mask("days_mask", days_mask, (daily_data.shape[0], daily_data.shape[2]))
        return daily_mask | days_mask[:, None, :, None, None]
