"""Attention across the days: blocks in which the daily tokens of a month ask each other.

The published network gives every day one weight, chosen before any patch has seen its neighbours.
Here each token first looks along the days of its patch, then across the patches of its day, so that
what a front did before and after a cloudy day can be followed. Zero blocks change nothing.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

UNHEARD = -1e4  # a score: its exponential is 0, in half precision too


class SpaceTime(nn.Module):
    """Pre-norm blocks between the embedding and the day weights of `SpatioTemporalModel`.

    Args:
        embed_dim: length D of a token.
        blocks: how many; 0 is the published network.
        heads: attention heads, a divisor of embed_dim.
    """

    def __init__(
        self, embed_dim=128, blocks=0, heads=4, relative=False, null=True, masked=True,
        lean=False, half=False,
    ):
        super().__init__()
        self.relative, self.half = relative, half
        self.blocks = nn.ModuleList(
            _Block(embed_dim, heads, relative, null, masked, lean) for _ in range(blocks)
        )
        # How loudly day and place are told: the marks are the sines of the other modules.
        self.loudness = None
        if blocks and not relative:
            self.loudness = nn.Parameter(torch.full((2, embed_dim), 0.1))

    def forward(self, x: Tensor, day: Tensor, place: Tensor, known: Tensor, shape=None) -> Tensor:
        """x (B, T'N, D) tokens -> the same shape; day (T', D) and place (N, D) are their marks.

        known: (B, T', N) bool, True = the token says something; nobody listens to the others.
        """
        if not len(self.blocks):
            return x
        T, N = len(day), len(place)
        x = x.unflatten(1, (T, N))
        if self.loudness is not None:
            marks = self.loudness[0] * day[:, None] + self.loudness[1] * place  # (T', N, D)
            x = x + marks.to(x.dtype)  # (B, T', N, D)
        days = torch.arange(T, device=x.device)[:, None] - (T - 1) / 2  # (T', 1)
        H, W = shape if shape is not None else (1, N)
        row = torch.arange(H, device=x.device) - (H - 1) / 2
        col = torch.arange(W, device=x.device) - (W - 1) / 2
        places = torch.stack(torch.meshgrid(row, col, indexing="ij"), -1).flatten(0, 1)  # (N, 2)
        if self.half and torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        for block in self.blocks:
            x = block(x, known, days, places)
        return x.flatten(1, 2)


class _Block(nn.Module):
    """Attention over the days of a patch, then over the patches of a day, then a small network."""

    def __init__(self, D: int, heads: int, relative, null, masked, lean):
        super().__init__()
        self.over_days = _Attention(D, heads, True, relative, null, masked, lean)
        self.over_places = _Attention(D, heads, False, relative, null, masked, lean)
        self.mlp = nn.Sequential(
            nn.LayerNorm(D, elementwise_affine=not lean), nn.Linear(D, 2 * D, bias=not lean),
            nn.GELU(), nn.Linear(2 * D, D, bias=not lean),
        )

    def forward(self, x: Tensor, known: Tensor, days, places) -> Tensor:
        """x (B, T', N, D), known (B, T', N)."""
        x = x + self.over_days(x, known, days)
        x = x + self.over_places(x, known, places)
        return x + self.mlp(x)


class _Attention(nn.Module):
    """Multi-head attention along the days or the places, with a null key of value 0: who hears
    nothing that it needs adds nothing, and a row without anything known stays what it was."""

    def __init__(self, D: int, heads: int, along_days: bool, relative, null, masked, lean):
        super().__init__()
        if D % heads:
            raise ValueError(f"heads={heads} does not divide embed_dim={D}")
        self.heads, self.along_days, self.masked = heads, along_days, masked
        self.norm = nn.LayerNorm(D, elementwise_affine=not lean)
        self.q, self.k, self.v, self.out = (nn.Linear(D, D, bias=not lean) for _ in range(4))
        self.null = nn.Parameter(torch.zeros(D)) if null else None
        self.log_width = None
        if relative:  # wide to narrow
            self.log_width = nn.Parameter(torch.linspace(2.0, 0.3, heads))

    def forward(self, x: Tensor, known: Tensor, where) -> Tensor:
        """x (B, T, N, D) attends along T or N; known (B, T, N) bool."""
        B, T, N, D = x.shape
        x = self.norm(x)
        q, k, v = (f(x).unflatten(-1, (self.heads, -1)) for f in (self.q, self.k, self.v))
        last = D // self.heads - 1
        channel = torch.arange(last + 1, device=x.device)
        unheard = (~known)[..., None, None]  # (B, T, N, 1, 1)
        if self.masked:
            q = torch.where(channel == last, 1.0, q)
            k = torch.where(channel == last, torch.where(unheard, UNHEARD, 0.0), k)
            v = torch.where(unheard, 0.0, v)
        if self.log_width is not None:
            n = where.shape[1]
            precision = (-2 * self.log_width).exp()[:, None] * (last + 1) ** 0.5  # (heads, 1)
            square = where.square().sum(1)[:, None]  # (L, 1)
            ask = [where[:, None, i, None] * precision for i in range(n)]  # (L, heads, 1)
            ask.append((-0.5 * precision).expand(len(where), -1, -1))
            ask.append(0.5 * precision * square[:, :, None])
            ask = torch.cat(ask, -1)  # (L, heads, n + 2)
            say = torch.cat([where, square, torch.zeros_like(square)], 1)  # (L, n + 2)
            put = last - n - 2
            ask = F.pad(ask, (put, 1))  # (L, heads, d)
            say = F.pad(say, (put, 1))[:, None]  # (L, 1, d)
            if self.along_days:
                ask, say = ask[:, None], say[:, None]
            mine = (channel >= put) & (channel < last)
            q = torch.where(mine, ask.to(q.dtype), q)
            k = torch.where(mine, say.to(q.dtype), k)
        q, k, v = (a.to(x.dtype).flatten(-2) for a in (q, k, v))  # (B, T, N, D)
        axis = 1 if self.along_days else 2
        if self.null is not None:
            null = self.null.unflatten(0, (self.heads, -1))
            if self.masked:
                null = torch.where(channel == last, 0.0, null)
            if self.log_width is not None:
                null = torch.where(mine, (channel == last - 1).to(null.dtype), null)
            null = null.flatten().to(k.dtype)
            null = null.expand(B, 1, N, D) if axis == 1 else null.expand(B, T, 1, D)
            k = torch.cat([k, null], axis)
            v = torch.cat([v, torch.zeros_like(null)], axis)
        if self.along_days:
            q, k, v = (a.unflatten(-1, (self.heads, -1)).flatten(2, 3) for a in (q, k, v))
        else:
            q, k, v = (a.flatten(0, 1).unflatten(-1, (self.heads, -1)) for a in (q, k, v))
        y = F.scaled_dot_product_attention(*(a.transpose(1, 2) for a in (q, k, v)))
        y = y.transpose(1, 2).reshape(B, T, N, D)
        return self.out(y)
