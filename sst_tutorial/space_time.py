"""Attention across the days: blocks in which the daily tokens of a month ask each other.

The published network gives every day one weight, chosen before any patch has seen its neighbours.
Here each token first looks along the days of its patch, then across the patches of its day, so that
what a front did before and after a cloudy day can be followed. Zero blocks change nothing.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class SpaceTime(nn.Module):
    """Pre-norm blocks between the embedding and the day weights of `SpatioTemporalModel`.

    Args:
        embed_dim: length D of a token.
        blocks: how many; 0 is the published network.
        heads: attention heads, a divisor of embed_dim.
    """

    def __init__(self, embed_dim=128, blocks=0, heads=4):
        super().__init__()
        self.blocks = nn.ModuleList(_Block(embed_dim, heads) for _ in range(blocks))
        # How loudly day and place are told: the marks are the sines of the other modules.
        self.loudness = nn.Parameter(torch.full((2, embed_dim), 0.1)) if blocks else None

    def forward(self, x: Tensor, day: Tensor, place: Tensor, known: Tensor) -> Tensor:
        """x (B, T'N, D) tokens -> the same shape; day (T', D) and place (N, D) are their marks.

        known: (B, T', N) bool, True = the token says something; nobody listens to the others.
        """
        if self.loudness is None:
            return x
        T, N = len(day), len(place)
        marks = self.loudness[0] * day[:, None] + self.loudness[1] * place  # (T', N, D)
        x = x.unflatten(1, (T, N)) + marks.to(x.dtype)  # (B, T', N, D)
        for block in self.blocks:
            x = block(x, known)
        return x.flatten(1, 2)


class _Block(nn.Module):
    """Attention over the days of a patch, then over the patches of a day, then a small network."""

    def __init__(self, D: int, heads: int):
        super().__init__()
        self.over_days, self.over_places = _Attention(D, heads), _Attention(D, heads)
        self.mlp = nn.Sequential(
            nn.LayerNorm(D), nn.Linear(D, 2 * D), nn.GELU(), nn.Linear(2 * D, D)
        )

    def forward(self, x: Tensor, known: Tensor) -> Tensor:
        """x (B, T', N, D), known (B, T', N)."""
        along_days = self.over_days(x.transpose(1, 2), known.transpose(1, 2))  # (B, N, T', D)
        x = x + along_days.transpose(1, 2)
        x = x + self.over_places(x, known)
        return x + self.mlp(x)


class _Attention(nn.Module):
    """Multi-head attention over axis 2 with a null key of value 0: who hears nothing that it needs
    adds nothing, and a row without anything known stays what it was."""

    def __init__(self, D: int, heads: int):
        super().__init__()
        if D % heads:
            raise ValueError(f"heads={heads} does not divide embed_dim={D}")
        self.heads = heads
        self.norm, self.qkv, self.out = nn.LayerNorm(D), nn.Linear(D, 3 * D), nn.Linear(D, D)
        self.null = nn.Parameter(torch.zeros(heads, 1, D // heads))

    def forward(self, x: Tensor, known: Tensor) -> Tensor:
        """x (B, A, L, D) attends over L; known (B, A, L) bool."""
        B, A, L, D = x.shape
        qkv = self.qkv(self.norm(x)).view(B * A, L, 3, self.heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (BA, heads, L, D/heads) each
        null = self.null.to(k.dtype).expand(B * A, -1, -1, -1)  # (BA, heads, 1, D/heads)
        k, v = torch.cat([k, null], 2), F.pad(v, (0, 0, 0, 1))  # L + 1 keys, the last one null
        heard = F.pad(known.reshape(B * A, 1, 1, L), (0, 1), value=True)
        y = F.scaled_dot_product_attention(q, k, v, heard)  # (BA, heads, L, D/heads)
        return self.out(y.transpose(1, 2).reshape(B, A, L, D))
