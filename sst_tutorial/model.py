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

Options that are off by default, and what each is worth, are measured in the chapter "The full GPU
run": `SuccessiveCorrections` (passes), several day scores (day_heads), a path around the tokens
for what is known at each pixel (skip), and more convolutions at full resolution (refine).

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
        heads: scores per day; each weighs its own share of the channels. The published form has 1.
    """

    def __init__(self, embed_dim=128, max_T=31, heads=1):
        super().__init__()
        _require(embed_dim % heads == 0, f"heads={heads} does not divide embed_dim={embed_dim}")
        self.heads = heads
        self.pos = TemporalPositionalEncoding(embed_dim, max_T)
        self.scorer = nn.Sequential(
            nn.LayerNorm(embed_dim),
            nn.Linear(embed_dim, embed_dim),
            nn.GELU(),
            nn.Linear(embed_dim, heads),
        )

    def forward(self, x, T, H, W, days_mask=None, seen=None, return_weights=False):
        """x (B, T*H*W, D) tokens of T days on an H x W patch grid -> (B, H*W, D).

        days_mask: (B, T) bool, True = a day that does not exist; its weight is exactly 0.
        seen: (B, T, H*W) bool, True = the patch saw something that day. Days without a look get
            weight 0, unless the patch never had one: then all its existing days count alike.
        return_weights: also return the weights (B, H*W, T), the mean of the heads; they sum to 1
            over T.
        """
        B, tokens, D = x.shape
        _require(
            tokens == T * H * W,
            f"x has {tokens} tokens, expected T*H*W = {T}*{H}*{W} = {T * H * W}",
        )
        x = x.view(B, T, H * W, D) + self.pos(T).to(x.dtype)[:, None]  # (B, T, N, D)
        scores = self.scorer(x)  # (B, T, N, heads)
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
        skip_chans: channels of `skip`, maps that reach the head without passing through tokens.
        refine: residual blocks of two 3x3 convolutions at full resolution, before the last layer.
    """

    def __init__(
        self, embed_dim=128, patch_h=4, patch_w=4, hidden=128, overlap=1, skip_chans=0, refine=0
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
        self.refine = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(hidden // 2, hidden // 2, 3, padding=1),
                nn.GELU(),
                nn.Conv2d(hidden // 2, hidden // 2, 3, padding=1),
            )
            for _ in range(refine)
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

    def forward(self, latent: Tensor, out_H: int, out_W: int, land_mask=None, skip=None):
        """latent (B, H'W', D) -> (B, out_H, out_W); land_mask (H, W) or (B, H, W), True = land;
        skip (B, skip_chans, out_H, out_W) when the decoder was built with skip_chans."""
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
        if self.skip_chans:
            x = torch.cat([x, skip.to(x.dtype)], dim=1)  # (B, hidden/2 + skip_chans, H, W)
        conv, norm, act, last = self.head
        x = act(norm(conv(x), None if land is None else ~land))  # (B, hidden/2, H, W)
        for block in self.refine:
            x = x + block(x if land is None else x.masked_fill(land, 0.0))
        x = last(x) * self.scale + self.bias  # (B, 1, H, W)
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


# ------------------------------------------------------- Options: dividing by what was seen


class SuccessiveCorrections(nn.Module):
    """Explain the observations coarse to fine, each pass what the wider ones left over.

    A pass spreads the misfit of the observations with a Gaussian in space and an exponential in
    time, and divides by the count of observations under the same kernel:

        analysis += gain * sum(kernel * misfit) / (sum(kernel * observed) + noise)

    Meteorology used this before optimal interpolation (Bergthorsson & Doos 1955, Cressman 1959);
    here the width, memory, noise and gain of every pass are learned, four numbers each. The cost
    does not depend on the number of observations.

    Args:
        passes: number of passes.
        adapt: let a small network bend the four numbers of every pass to the month at hand, from
            its coverage, its spread and the difference between neighbours (a measure of noise).
    """

    def __init__(self, passes=12, adapt=False):
        super().__init__()
        coarse_to_fine = torch.linspace(0, 1, passes)
        self.log_cells = nn.Parameter(math.log(24.0) * (1 - coarse_to_fine))  # 24 to 1 cells
        self.log_days = nn.Parameter(math.log(15.0) - 2.0 * coarse_to_fine)  # 15 to 2 days
        self.log_noise = nn.Parameter(torch.full((passes,), -0.5))
        self.log_gain = nn.Parameter(torch.full((passes,), 0.4))
        self.tune = None
        if adapt:
            self.tune = nn.Sequential(nn.Linear(3, 32), nn.GELU(), nn.Linear(32, 4 * passes))
            nn.init.zeros_(self.tune[2].weight)
            nn.init.zeros_(self.tune[2].bias)

    def forward(self, x: Tensor, observed: Tensor) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """x (B, T, H, W) anomalies, anything where not observed; observed the same shape, bool.

        Returns the analysis (B, T, H, W), complete, and for each pass its increment and its count
        of observations, both (B, T, H, W).
        """
        T, H, W = x.shape[1:]
        x = x.masked_fill(~observed, 0.0)
        seen = observed.to(x.dtype)
        cells, days, noise, gain = self._numbers(x, seen)  # each (passes, b, 1, 1); b = 1 or B
        noise, gain = noise[:, :, None], gain[:, :, None]  # (passes, b, 1, 1, 1)
        day, row, col = (_distances(n, x) for n in (T, H, W))
        along_t = torch.exp(-day / days)[:, :, None]  # (passes, b, 1, T, T)
        along_h = _gaussian(row / cells)[:, :, None, None]  # (passes, b, 1, 1, H, H)
        along_w = _gaussian(col / cells)  # (passes, b, W, W)
        analysis, increments, counts = torch.zeros_like(x), [], []
        for p in range(len(cells)):
            both = torch.stack([(x - analysis) * seen, seen], 1)  # (B, 2, T, H, W)
            both = (both.flatten(1, 3) @ along_w[p]).unflatten(1, (2, T, H))
            both = (along_t[p] @ (along_h[p] @ both).flatten(3)).unflatten(3, (H, W))
            total, count = both.unbind(1)  # (B, T, H, W) each
            increment = gain[p] * total / (count + noise[p])
            analysis = analysis + increment
            increments.append(increment)
            counts.append(count)
        return analysis, increments, counts

    def _numbers(self, x: Tensor, seen: Tensor):
        """Cells, days, noise, gain of every pass, each (passes, b, 1, 1); b = 1, or B to adapt."""
        numbers = torch.stack([self.log_cells, self.log_days, self.log_noise, self.log_gain])
        numbers = numbers[None]  # (1, 4, passes)
        if self.tune is not None:
            bend = self.tune(_features(x, seen)).unflatten(1, (4, -1))  # (B, 4, passes)
            numbers = numbers + bend
        return numbers.exp().permute(1, 2, 0)[..., None, None].unbind()


def _features(x: Tensor, seen: Tensor) -> Tensor:
    """Log coverage, log spread, log difference between neighbours of each month: (B, 3)."""
    looks = seen.sum((1, 2, 3)).clamp_min(1.0)
    mean = (x.sum((1, 2, 3)) / looks)[:, None, None, None]
    spread = ((x - mean).square() * seen).sum((1, 2, 3)) / looks
    pairs = seen[..., 1:] * seen[..., :-1]
    step = ((x[..., 1:] - x[..., :-1]).square() * pairs).sum((1, 2, 3))
    # Few or no pairs say nothing: five that know only the spread keep the logarithm in its range.
    step = (step + 5 * 2 * spread) / (pairs.sum((1, 2, 3)) + 5)
    H, W = x.shape[2:]
    coverage = looks / (31 * H * W)  # of a full month, so that padding days change nothing
    # Kept to what training months show. Outside it `tune` guesses, and the gains run away.
    spread, step = (spread + 1e-3).clamp(0.08, 3.0), (step + 1e-3).clamp(0.03, 1.0)
    return torch.stack([coverage.clamp(0.003, 1.0), spread, step], 1).log()  # (B, 3)


def _gaussian(distance: Tensor) -> Tensor:
    """exp(-distance^2 / 2), cut to zero below 1e-12: a CPU multiplies denormal numbers slowly."""
    return F.threshold(torch.exp(-0.5 * distance.square()), 1e-12, 0.0)


def _distances(n: int, like: Tensor) -> Tensor:
    """|i - j| of n positions: (n, n)."""
    position = torch.arange(n, device=like.device, dtype=like.dtype)
    return (position[:, None] - position[None, :]).abs()


def month_mean(daily: Tensor, days_mask: Tensor | None) -> Tensor:
    """Mean over the days that exist: (B, T, H, W) -> (B, H, W); 0 when there is none."""
    if days_mask is None:
        return daily.mean(1)
    exists = (~days_mask).to(daily.dtype)  # (B, T)
    weights = exists / exists.sum(1, keepdim=True).clamp_min(1.0)
    return (weights[:, None] @ daily.flatten(2)).view_as(daily[:, 0])


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
        passes: > 0 puts that many `SuccessiveCorrections` first; the network then reads their
            analysis, its misfit and its counts, and returns the analysis plus what it adds to it.
            Needs in_chans=1.
        adapt: let the passes adapt to each month.
        day_heads: scores per day of the temporal aggregator.
        skip: hand the decoder what every pass knows of each pixel; needs passes > 0.
        refine: residual convolution blocks of the decoder.
    """

    COUNTS = 3  # of the passes' counts, this many reach the encoder: wide, middle, narrow

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
        passes=0,
        adapt=False,
        day_heads=1,
        skip=False,
        refine=0,
    ):
        super().__init__()
        _require(passes == 0 or in_chans == 1, f"passes needs in_chans=1, got {in_chans}")
        _require(
            passes == 0 or passes >= self.COUNTS,
            f"passes must be 0 or at least {self.COUNTS}, got {passes}",
        )
        _require(
            passes > 0 or not (skip or adapt),
            "skip=True and adapt=True need passes > 0: they work on the passes",
        )
        self.patch_size = tuple(patch_size)
        _, patch_h, patch_w = self.patch_size
        self.corrections = SuccessiveCorrections(passes, adapt) if passes else None
        chans = 2 + self.COUNTS if passes else in_chans
        skip_chans = 2 * passes + 3 if skip else 0
        self.encoder = VideoEncoder(chans, embed_dim, patch_size)
        self.temporal = TemporalAttentionAggregator(embed_dim, max_T, day_heads)
        self.spatial_pe = SpatialPositionalEncoding2D(embed_dim, max_H, max_W)
        self.spatial_tr = SpatialTransformer(embed_dim, spatial_depth, spatial_heads)
        self.decoder = MonthlyConvDecoder(
            embed_dim, patch_h, patch_w, hidden, overlap, skip_chans, refine
        )
        if passes:  # start from the analysis itself: the network adds nothing before it learns
            nn.init.zeros_(self.decoder.head[3].weight)
            nn.init.zeros_(self.decoder.head[3].bias)

    def forward(
        self,
        daily_data: Tensor,
        daily_mask: Tensor,
        land_mask_patch: Tensor | None = None,
        days_mask: Tensor | None = None,
        return_attention: bool = False,
        return_first_guess: bool = False,
    ):
        """Monthly map (B, H, W), in the units of the input, land 0.

        daily_data: (B, C, T, H, W) standardised anomalies; values under the mask do not matter.
        daily_mask: same shape, bool, True = missing (cloud, land, padding).
        land_mask_patch: (H, W) or (B, H, W) bool, True = land; None = no land.
        days_mask: (B, T) bool, True = a day that does not exist (short months padded to 31).
        return_attention: also return {"temporal": (B, H'W', T'), "spatial": one
            (B, heads, H'W', H'W') tensor per layer}.
        return_first_guess: also return the month mean of the corrections (B, H, W), zeros when
            passes=0.
        """
        _require(
            daily_data.ndim == 5,
            f"daily_data must be (B, C, T, H, W), got shape {tuple(daily_data.shape)}",
        )
        _require(
            self.corrections is None or daily_data.shape[1] == 1,
            f"daily_data has {daily_data.shape[1]} channels, a network with passes reads one",
        )
        if days_mask is not None:
            daily_mask = self._hide_days(daily_data, daily_mask, days_mask)
        T, H, W = daily_data.shape[2:]
        Pt, Ph, Pw = self.patch_size
        Tp, Hp, Wp = T // Pt, H // Ph, W // Pw
        first_guess, skip, seen = 0.0, None, None
        if self.corrections is None:
            x = self.encoder(daily_data, daily_mask)  # (B, T'H'W', D)
            seen = self._seen(daily_mask)  # (B, T', H'W')
        else:
            data, mask, skip, first_guess = self._correct(
                daily_data, daily_mask, land_mask_patch, days_mask
            )
            x = self.encoder(data, mask)  # (B, T'H'W', D)
        if days_mask is not None:  # a time patch is absent when all its days are
            days_mask = days_mask.view(-1, Tp, Pt).all(-1)  # (B, T')
        x, weights = self.temporal(x, Tp, Hp, Wp, days_mask, seen, return_weights=True)  # (B, N, D)
        x = x + self.spatial_pe(Hp, Wp).to(x.dtype)  # (B, N, D)
        attention = None
        if return_attention:
            x, attention = self.spatial_tr(x, return_attention=True)
        else:
            x = self.spatial_tr(x)  # (B, N, D)
        out = self.decoder(x, H, W, land_mask_patch, skip) + first_guess  # (B, H, W)
        extras = []
        if return_attention:
            extras.append({"temporal": weights, "spatial": attention})
        if return_first_guess:
            extras.append(first_guess + torch.zeros_like(out))
        return (out, *extras) if extras else out

    def _correct(self, daily_data, daily_mask, land_mask, days_mask):
        """Channels (B, 2 + COUNTS, T, H, W) and their mask for the encoder, maps (B, S, H, W) for
        the decoder or None, and the month mean of the analysis (B, H, W), land 0."""
        _require_mask("daily_mask", daily_mask, daily_data.shape)
        B, _, T, H, W = daily_data.shape
        land = daily_mask.new_zeros(B, 1, H, W)
        if land_mask is not None:
            land = self.decoder._land(land_mask, B, H, W)  # (B, 1, H, W)
        observed = ~(daily_mask[:, 0] | land)  # (B, T, H, W)
        x = daily_data[:, 0].masked_fill(~observed, 0.0)
        analysis, increments, counts = self.corrections(x, observed)
        P = len(counts)
        chosen = [counts[i].log1p() for i in (P // 3, 2 * P // 3, P - 1)]
        misfit = (x - analysis).masked_fill(~observed, 0.0)
        data = torch.stack([misfit, analysis, *chosen], 1)  # (B, C, T, H, W)
        absent = land.expand(B, T, H, W)
        if days_mask is not None:
            absent = absent | days_mask[:, :, None, None]
        mask = torch.stack([~observed] + [absent] * (1 + self.COUNTS), 1)  # (B, C, T, H, W)
        first_guess = month_mean(analysis, days_mask).masked_fill(land[:, 0], 0.0)  # (B, H, W)
        if not self.decoder.skip_chans:
            return data, mask, None, first_guess
        known, maps = torch.zeros_like(first_guess), []
        for increment in increments[:-1]:  # the analysis after each pass, against the last one
            known = known + month_mean(increment, days_mask)
            maps.append(known - first_guess)
        maps.append(first_guess)
        maps += [month_mean(count, days_mask).log1p() for count in counts]
        looks = observed.to(x.dtype).sum(1)  # (B, H, W)
        maps += [looks.log1p(), misfit.sum(1) / (looks + 1), torch.ones_like(looks)]
        return data, mask, torch.stack(maps, 1).masked_fill(land, 0.0), first_guess

    def _seen(self, daily_mask: Tensor) -> Tensor:
        """(B, T', H'W') bool: did the patch see at least one pixel of channel 0 that day?"""
        valid = (~daily_mask[:, :1]).float()  # (B, 1, T, H, W)
        patch = self.patch_size
        return F.max_pool3d(valid, patch, patch).flatten(3).squeeze(1) > 0

    @staticmethod
    def _hide_days(daily_data: Tensor, daily_mask: Tensor, days_mask: Tensor) -> Tensor:
        _require_mask("daily_mask", daily_mask, daily_data.shape)
        _require_mask("days_mask", days_mask, (daily_data.shape[0], daily_data.shape[2]))
        return daily_mask | days_mask[:, None, :, None, None]
