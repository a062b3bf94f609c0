"""Learning without labels: hide tokens of a gappy month, encode what is left, guess the others.

Nobody has to know the complete map for that: the targets are observations. The hidden tokens are
dropped *before* the transformer, so that it has less to do (He et al. 2021; in time as well: Tong
et al. 2022, Feichtenhofer et al. 2022). What has learned so, the embedding and the transformer,
moves into a `SpatioTemporalModel` (`transfer`), which then learns the month from few complete maps.

The second way without labels, to train from gappy data alone, is `fine_tuning.Withheld`: there the
question is that of the reconstruction itself, and nothing is thrown away afterwards.

Chapter *Learning without labels*.
"""

import time as clock
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sst_tutorial._checks import require
from sst_tutorial.benchmark import NOISE
from sst_tutorial.model import (
    SpatialPositionalEncoding2D,
    SpatialTransformer,
    SpatioTemporalModel,
    TemporalPositionalEncoding,
    VideoEncoder,
)
from sst_tutorial.months import DAYS
from sst_tutorial.samples import _turned
from sst_tutorial.settings import Settings
from sst_tutorial.training import learning_rate, parameter_groups

MASKS = ("tube", "random", "clouds")
NEAR = 6.0  # how much stronger than usual the first scores of a question are


# ---------------------------------------------------------------- which tokens are hidden


class Parts(NamedTuple):
    """Tokens, by their number in a month, that are read and that are asked for.

    kept (B, K) and asked (B, A) int; kept_there and asked_there, bool of the same shapes, are False
    where a sample has fewer than K or A.
    """

    kept: Tensor
    kept_there: Tensor
    asked: Tensor
    asked_there: Tensor


def openness(kind: str, seen: Tensor, generator=None, clouds=None) -> Tensor:
    """How late each token is hidden, 0 to 1: (B, T', N), the smallest first.

    kind: "tube" hides a place on all days, "random" any token, "clouds" what the clouds of other
    days cover. seen (B, T', N) bool says how many tokens there are. clouds: (n, N) share of each
    patch that was seen on n days, for "clouds"; a day of the month takes one of them.
    """
    require(kind in MASKS, f"kind={kind!r}, choose one of {MASKS}")
    B, T, N = seen.shape
    options = {"generator": generator, "device": seen.device}
    if kind == "tube":
        return torch.rand(B, 1, N, **options).expand(B, T, N)
    noise = torch.rand(B, T, N, **options)
    if kind == "random":
        return noise
    require(clouds is not None, "kind='clouds' needs clouds, what was seen on other days")
    require(clouds.shape[1:] == (N,), f"clouds must be (n, {N}), got {tuple(clouds.shape)}")
    day = torch.randint(len(clouds), (B, T), **options)
    return 0.99 * clouds[day] + 0.01 * noise  # noise decides between patches that are alike


def split_tokens(score: Tensor, seen: Tensor, ratio: float, most=256, generator=None) -> Parts:
    """Hide a share `ratio` of the tokens that saw something, those of the lowest score; of the
    hidden ones ask for `most`, drawn at random.

    score, seen: (B, T', N). A token that saw nothing is neither read nor asked for.
    """
    require(0 < ratio < 1, f"ratio={ratio} must be between 0 and 1")
    score, seen = score.flatten(1), seen.flatten(1)  # (B, M)
    number = seen.sum(1, keepdim=True)  # (B, 1)
    keep = ((1 - ratio) * number).round().clamp_min(1)
    order = score.masked_fill(~seen, -1.0).argsort(1, descending=True)  # (B, M)
    rank = order.argsort(1)  # of each token
    K = int(keep.max())
    kept, kept_there = order[:, :K], torch.arange(K, device=seen.device) < keep  # (B, K)
    hidden = seen & (rank >= keep)
    lot = torch.rand(score.shape, generator=generator, device=score.device)
    lot = lot.masked_fill(~hidden, -1.0)
    drawn, asked = lot.topk(min(most, max(1, int(hidden.sum(1).max()))), 1)  # (B, A)
    return Parts(kept, kept_there, asked, drawn >= 0)


# ---------------------------------------------------------------- the network


class MaskedAutoencoder(nn.Module):
    """Reads some tokens of a month and guesses the pixels of others.

    The embedding and the transformer are those of `SpatioTemporalModel`, and a token is told its
    day and its place as there, so that both can be moved over. A hidden token is asked for by its
    day and place alone: it looks at what was read, and only there. So the cost grows with the
    number of tokens asked for and not with its square.

    Args:
        embed_dim, patch_size, max_T: as in `SpatioTemporalModel`.
        depth, heads: of the transformer.
        layers: of the questions.
        near: whether the keys of the questions begin as their queries, so that at first a token
            that is asked for looks near itself.
    """

    def __init__(
        self, embed_dim=128, patch_size=(1, 4, 4), depth=2, heads=4, layers=1, max_T=64,
        near=True,
    ):  # fmt: skip
        super().__init__()
        self.patch_size = tuple(patch_size)
        self.encoder = VideoEncoder(1, embed_dim, patch_size)
        self.day = TemporalPositionalEncoding(embed_dim, max_T)
        self.place = SpatialPositionalEncoding2D(embed_dim)
        self.transformer = SpatialTransformer(embed_dim, depth, heads)
        self.question = nn.Parameter(torch.zeros(embed_dim))
        self.layers = nn.ModuleList(_Ask(embed_dim, heads, near) for _ in range(layers))
        self.pixels = nn.Linear(embed_dim, int(np.prod(self.patch_size)))

    def forward(self, x: Tensor, missing: Tensor, parts: Parts) -> Tensor:
        """x (B, 1, T, H, W) anomalies and missing, the same shape, bool -> the guessed pixels of
        the tokens asked for (B, A, Pt Ph Pw)."""
        marks = self.marks(x.shape)  # (M, D)
        patches = _take(self.encoder.patches(x, missing), parts.kept)  # (B, K, 2 Pt Ph Pw)
        tokens = self.encoder.embed(patches) + marks[parts.kept]  # (B, K, D)
        absent = ~parts.kept_there
        tokens = self.transformer.enc(tokens, src_key_padding_mask=absent)
        asked = self.question + marks[parts.asked]  # (B, A, D)
        for layer in self.layers:
            asked = layer(asked, tokens, absent)
        return self.pixels(asked)

    def marks(self, shape) -> Tensor:
        """Day and place of every token of maps of the shape (B, C, T, H, W): (T'N, D)."""
        T, H, W = (n // p for n, p in zip(shape[2:], self.patch_size, strict=True))
        return (self.day(T)[:, None] + self.place(H, W)).flatten(0, 1)

    def seen(self, missing: Tensor) -> Tensor:
        """Which tokens saw something: missing (B, 1, T, H, W) -> (B, T', N) bool."""
        valid = (~missing[:, 0]).float()
        return F.max_pool3d(valid, self.patch_size, self.patch_size).flatten(2) > 0


class _Ask(nn.Module):
    """The tokens asked for look at those that were read, each for itself."""

    def __init__(self, D: int, heads: int, near: bool):
        super().__init__()
        self.before, self.between = nn.LayerNorm(D), nn.LayerNorm(D)
        self.look = nn.MultiheadAttention(D, heads, batch_first=True)
        self.think = nn.Sequential(nn.Linear(D, 4 * D), nn.GELU(), nn.Linear(4 * D, D))
        # Keys begin as queries do: then marks that are alike find each other, and who is asked for
        # looks at its neighbours from the first step on. With keys of their own the network stayed
        # for hundreds of steps at the mean of the month: simulated seas, random mask of 0.9, after
        # 250 steps of 8 months 0.76 K, so 0.71 K; 0.89 K to say nothing, noise 0.3 K included.
        if near:
            with torch.no_grad():
                query, key, _ = self.look.in_proj_weight.chunk(3)
                key.copy_(query.mul_(NEAR**0.5))

    def forward(self, asked: Tensor, tokens: Tensor, absent: Tensor) -> Tensor:
        """asked (B, A, D), tokens (B, K, D), absent (B, K) bool, True = no such token."""
        q = self.before(asked)
        found, _ = self.look(q, tokens, tokens, key_padding_mask=absent, need_weights=False)
        asked = asked + found
        return asked + self.think(self.between(asked))


def _take(tokens: Tensor, index: Tensor) -> Tensor:
    """tokens (B, M, D) and index (B, K) -> (B, K, D)."""
    return tokens.gather(1, index[..., None].expand(-1, -1, tokens.shape[2]))


def hidden_loss(model: MaskedAutoencoder, x: Tensor, missing: Tensor, parts: Parts) -> Tensor:
    """Mean square error, in units of x squared, at the observed pixels of the tokens asked for."""
    guess = model(x, missing, parts)  # (B, A, P)
    truth, valid = _take(model.encoder.patches(x, missing), parts.asked).chunk(2, -1)  # (B, A, P)
    weight = valid * parts.asked_there[..., None]
    return ((guess - truth).square() * weight).sum() / weight.sum().clamp_min(1)


def transfer(source: MaskedAutoencoder, target: SpatioTemporalModel) -> None:
    """Copy embedding and transformer; day weights and decoder of `target` stay as they are.

    ValueError where the two are not alike.
    """
    for name, ours, theirs in (
        ("encoder", source.encoder, target.encoder),
        ("spatial_tr", source.transformer, target.spatial_tr),
    ):
        try:
            theirs.load_state_dict(ours.state_dict())
        except RuntimeError as error:
            raise ValueError(
                f"{name} of the target is another network than what was pre-trained: build both "
                "with the same embed_dim, patch_size, depth and heads, and one channel "
                f"({str(error).splitlines()[1].strip()})"
            ) from error


# ---------------------------------------------------------------- data and loop


def gappy_record(anomaly: np.ndarray, clouds: np.ndarray, seed=0, noise=NOISE) -> np.ndarray:
    """What a satellite would have left of complete days: (days, H, W) K, NaN = gap or land.

    anomaly: (days, H, W) K, NaN = land. clouds: (n, H, W) bool, True = observed: every day gets one
    of them and white noise of standard deviation `noise`, once and for all.
    """
    rng = np.random.default_rng(seed)
    seen = clouds[rng.integers(len(clouds), size=len(anomaly))]
    noisy = anomaly + noise * rng.standard_normal(anomaly.shape, dtype=np.float32)
    return np.where(seen, noisy, np.nan).astype(np.float32)


class Windows:
    """Draws windows of `days` days from a record with gaps, turned, mirrored, of either sign.

    record: (n, H, W) K, NaN = gap; kept on `device`. Called with (step, batch_size) it answers with
    x (B, 1, days, H, W), 0 in the gaps, and missing, the same shape, True = gap.
    """

    def __init__(self, record: np.ndarray, days=DAYS, seed=0, device="cpu"):
        require(len(record) >= days, f"record has {len(record)} days, a window {days}")
        self.record, self.days, self.seed = torch.as_tensor(record, device=device), days, seed

    def __call__(self, step: int, batch_size: int) -> tuple[Tensor, Tensor]:
        host = torch.Generator().manual_seed(self.seed * 1_000_003 + step)
        start = torch.randint(len(self.record) - self.days + 1, (batch_size,), generator=host)
        sign = 1 - 2 * torch.randint(2, (batch_size,), generator=host)
        turn = int(torch.randint(8, (), generator=host))
        index = (start[:, None] + torch.arange(self.days)).to(self.record.device)
        x = _turned(self.record[index][:, None], turn)  # (B, 1, days, H, W)
        x = x * sign.to(x.device)[:, None, None, None, None]
        return x.nan_to_num(0.0), x.isnan()


def pretrain(
    model: MaskedAutoencoder,
    windows: Windows,
    settings: Settings,
    kind: str,
    ratio: float | tuple[float, float],
    clouds: Tensor | None = None,
) -> list[float]:
    """Train `model` where it is; the loss of every step.

    settings: steps, batch_size, lr, weight_decay, warmup, clip, scale and seed of them count. kind,
    clouds: as for `openness`. ratio: share of the tokens that is hidden, or (low, high), from which
    every step draws its own.
    """
    device = next(model.parameters()).device
    generator = torch.Generator(device).manual_seed(settings.seed)
    host = np.random.default_rng(settings.seed)
    groups = parameter_groups(model, settings.weight_decay)
    optimizer = torch.optim.AdamW(groups, settings.lr, betas=(0.9, 0.95))
    losses = []
    for step in range(settings.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, step / settings.steps, settings)
        x, missing = windows(step, settings.batch_size)
        seen = model.seen(missing)
        share = host.uniform(*ratio) if isinstance(ratio, (tuple, list)) else ratio
        score = openness(kind, seen, generator, clouds)
        parts = split_tokens(score, seen, share, generator=generator)
        loss = hidden_loss(model, x / settings.scale, missing, parts)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.detach())
    return torch.stack(losses).tolist()


def seconds_per_step(
    model: MaskedAutoencoder, x: Tensor, missing: Tensor, ratio: float, steps=10
) -> float:
    """Median seconds of forward and backward where a share of the tokens is dropped, 0 = none. The
    questions are the same for all shares."""
    generator = torch.Generator(x.device).manual_seed(0)
    seen, times = model.seen(missing), []
    score = openness("random", seen, generator)
    parts = split_tokens(score, seen, 0.95, generator=generator)
    read = split_tokens(score, seen, max(ratio, 1e-6))
    parts = parts._replace(kept=read.kept, kept_there=read.kept_there)
    for _ in range(steps + 2):  # the first two warm up
        begin = clock.perf_counter()
        hidden_loss(model, x, missing, parts).backward()
        if x.is_cuda:
            torch.cuda.synchronize()
        times.append(clock.perf_counter() - begin)
    model.zero_grad()
    return float(np.median(times[2:]))
