"""Attention across the days: blocks in which the daily tokens of a month ask each other.

The published network gives every day one weight, chosen before any patch has seen its neighbours.
Here each token first looks along the days of its patch, then across the patches of its day, so that
what a front did before and after a cloudy day can be followed. Zero blocks change nothing.

`DailyHead` lets the tokens of each day answer for that day, so that a month has 31 targets to
learn from instead of one. `Question` tells the day weights which days are asked for: a plain
`SpatioTemporalModel` gives all other days the weight 0; one with a question listens to all of them,
the near ones more.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

UNHEARD = -1e4  # a score: its exponential is 0, in half precision too


class SpaceTime(nn.Module):
    """Pre-norm blocks between the embedding and the day weights of `SpatioTemporalModel`.

    Neither norms nor layers have offsets: the sums over all tokens that their gradients need made
    a step a tenth longer. Under autocast tokens stay in half precision from block to block (a
    further eighth). On an H100 two blocks so take 14 ms of a step of 128 samples, and took 21.

    Args:
        embed_dim: length D of a token.
        blocks: how many; 0 is the published network.
        heads: attention heads, a divisor of embed_dim that leaves each at least two numbers.
    """

    def __init__(self, embed_dim=128, blocks=0, heads=4):
        super().__init__()
        self.blocks = nn.ModuleList(_Block(embed_dim, heads) for _ in range(blocks))
        # How loudly day and place are told: the marks are the sines of the other modules.
        self.loudness = nn.Parameter(torch.full((2, embed_dim), 0.1)) if blocks else None

    def forward(self, x: Tensor, day: Tensor, place: Tensor, known: Tensor, grid) -> Tensor:
        """x (B, T'N, D) tokens -> the same shape; day (T', D) and place (N, D) are their marks.

        known: (B, T', N) bool, True = the token says something; nobody listens to the others.
        grid: (T', H', W'), N = H'W'.
        """
        if self.loudness is None:
            return x
        T, N = len(day), len(place)
        when, where = _positions(grid, x.device)  # (T', 1) days, (N, 2) rows and columns
        marks = self.loudness[0] * day[:, None] + self.loudness[1] * place  # (T', N, D)
        x = x.unflatten(1, (T, N)) + marks.to(x.dtype)  # (B, T', N, D)
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        for block in self.blocks:
            x = block(x, known, when, where)
        return x.flatten(1, 2)


def _positions(grid, device) -> tuple[Tensor, Tensor]:
    """Days (T', 1) and rows and columns (H'W', 2) of a grid of patches, counted from its middle:
    half precision holds small numbers best."""
    day, row, col = (torch.arange(n, device=device) - (n - 1) / 2 for n in grid)
    return day[:, None], torch.cartesian_prod(row, col)


class _Block(nn.Module):
    """Attention over the days of a patch, then over the patches of a day, then a small network."""

    def __init__(self, D: int, heads: int):
        super().__init__()
        self.over_days = _Attention(D, heads, axis=1)
        self.over_places = _Attention(D, heads, axis=2)
        self.mlp = nn.Sequential(
            nn.LayerNorm(D, elementwise_affine=False),
            nn.Linear(D, 2 * D, bias=False),
            nn.GELU(),
            nn.Linear(2 * D, D, bias=False),
        )

    def forward(self, x: Tensor, known: Tensor, when: Tensor, where: Tensor) -> Tensor:
        """x (B, T', N, D), known (B, T', N), when (T', 1), where (N, 2)."""
        x = x + self.over_days(x, known, when)
        x = x + self.over_places(x, known, where)
        return x + self.mlp(x)


class _Attention(nn.Module):
    """Multi-head attention along an axis. Heads are near-sighted, but for the last one: the score
    of a key at distance r loses (r / reach)^2 / 2, with a reach of 1, 2, 4, ... days or patches, a
    Gaussian as in the corrections, whose width the data can overrule. A null key of value 0 stands
    beside the query: who hears nothing that it needs adds nothing, and a row without anything known
    stays what it was.

    A mask or a table of biases would keep the fast kernels away. So the last numbers of each head
    are given away: their product is the bias, and for keys that say nothing it is `UNHEARD`.
    """

    def __init__(self, D: int, heads: int, axis: int):
        super().__init__()
        self.spare = axis + 3  # numbers that `_bias` takes: axis 1 has one coordinate, 2 has two
        if D % heads or D // heads <= self.spare:
            raise ValueError(
                f"heads={heads} does not divide embed_dim={D} into more than {self.spare} numbers "
                "each"
            )
        self.heads, self.axis = heads, axis
        self.norm = nn.LayerNorm(D, elementwise_affine=False)
        self.q, self.k, self.v, self.out = (nn.Linear(D, D, bias=False) for _ in range(4))
        self.null = nn.Parameter(torch.zeros(D))
        sharp = 0.5 ** torch.arange(heads)  # 1 / reach; powers of 2 are exact in half precision
        sharp[-1] = 0.0
        self.register_buffer("sharp", sharp, persistent=False)

    def forward(self, x: Tensor, known: Tensor, position: Tensor) -> Tensor:
        """x (B, T, N, D) attends along T (axis 1) or N (axis 2); known (B, T, N) bool; position
        (T or N, dims) of the tokens along that axis."""
        x = self.norm(x)
        d = x.shape[-1] // self.heads
        q_bias, k_bias = self._bias(position, d)  # (T, 1, D) or (1, N, D)
        number = torch.arange(x.shape[-1], device=x.device) % d  # (D,), of its head
        taken = number >= d - self.spare
        silent = ~known[..., None]  # (B, T, N, 1)
        if not torch.compiler.is_compiling() and torch.is_inference_mode_enabled():
            q, k, v = self._in_place(x, silent, q_bias, k_bias)
        else:
            q, k, v = self.q(x) / math.sqrt(d), self.k(x), self.v(x).masked_fill(silent, 0.0)
            q = torch.where(taken, q_bias.to(q.dtype), q)
            k = torch.where(taken, k_bias.to(k.dtype), k)
            k = k.masked_fill(silent & (number == d - 1), UNHEARD)
        k, v = self._with_null(k, v, taken)
        y = F.scaled_dot_product_attention(*(self._rows(a) for a in (q, k, v)), scale=1.0)
        return self.out(y.transpose(1, 2).reshape(x.shape))

    def _in_place(self, x, silent, q_bias, k_bias) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values as `forward` makes them to learn, but written over what the
        layers return: a whole tile of 31 days so takes 59 ms on two cores, and took 61 to 67."""
        d = x.shape[-1] // self.heads
        q, k, v = F.linear(x, self.q.weight / math.sqrt(d)), self.k(x), self.v(x)
        for a, bias in ((q, q_bias), (k, k_bias)):
            a, bias = (b.unflatten(-1, (self.heads, d))[..., -self.spare :] for b in (a, bias))
            a.copy_(bias)  # (B, T, N, heads, spare)
        k.unflatten(-1, (self.heads, d))[..., -1].masked_fill_(silent, UNHEARD)
        return q, k, v.mul_(~silent)

    def _with_null(self, k: Tensor, v: Tensor, taken: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values with the null key at their end; taken (D,) bool, numbers of the bias."""
        null = self.null.masked_fill(taken, 0.0).to(k.dtype)  # (D,)
        null = null.expand_as(k.narrow(self.axis, 0, 1))
        return torch.cat([k, null], self.axis), torch.cat([v, torch.zeros_like(null)], self.axis)

    def _bias(self, position: Tensor, d: int) -> tuple[Tensor, Tensor]:
        """Last numbers of queries and keys, whose product is -|a - b|^2 / 2 for positions a and b
        in units of the reach: a b - b^2/2 - a^2/2, and one more that is free to say `UNHEARD`."""
        at = position[:, None] * self.sharp[:, None]  # (L, heads, dims)
        square, one = at.square().sum(-1, keepdim=True) / 2, torch.ones_like(at[..., :1])
        ends = torch.cat([at, one, -square, one], -1), torch.cat([at, -square, one, 0 * one], -1)
        ends = (F.pad(end, (d - end.shape[-1], 0)).flatten(1) for end in ends)  # (L, D) each
        return tuple(end.unsqueeze(2 - self.axis) for end in ends)

    def _rows(self, x: Tensor) -> Tensor:
        """(B, T, N, D) -> (B, N heads, T, d) or (B T, heads, N, d), without a copy."""
        x = x.unflatten(-1, (self.heads, -1))  # (B, T, N, heads, d)
        x = x.flatten(2, 3) if self.axis == 1 else x.flatten(0, 1)
        return x.transpose(1, 2)


class DailyHead(nn.Module):
    """One layer from the token of a day to its patch of that day's map; it begins by adding 0."""

    def __init__(self, embed_dim, patch_size):
        super().__init__()
        self.patch_size = tuple(patch_size)
        self.last = nn.Linear(embed_dim, math.prod(patch_size))
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor, grid: tuple[int, int, int]) -> Tensor:
        """x (B, T'N, D) with a grid (T', H', W') of patches -> maps (B, T, H, W), float32."""
        x = self.last(x).float()  # (B, T'N, Pt Ph Pw)
        x = x.unflatten(1, grid).unflatten(-1, self.patch_size)  # (B, T', H', W', Pt, Ph, Pw)
        x = x.permute(0, 1, 4, 2, 5, 3, 6)  # (B, T', Pt, H', Ph, W', Pw)
        return x.flatten(5, 6).flatten(3, 4).flatten(1, 2)


class Question(nn.Module):
    """Marks of days: how far each lies from the middle of the days asked for, and whether it is one
    of them. Added to the tokens when days are weighed."""

    def __init__(self, embed_dim=128):
        super().__init__()
        self.loudness = nn.Parameter(torch.full((2, embed_dim), 0.1))

    def forward(self, asked: Tensor) -> Tensor:
        """asked (B, T') bool -> (B, T', D)."""
        weight = asked.to(self.loudness.dtype)
        D, day = self.loudness.shape[1], torch.arange(weight.shape[1], device=weight.device)
        middle = (weight * day).sum(1, keepdim=True) / weight.sum(1, keepdim=True).clamp_min(1)
        frequency = torch.exp(torch.arange(0, D, 2, device=day.device) * (-math.log(1e4) / D))
        angle = (day - middle)[..., None] * frequency  # (B, T', D/2)
        far = torch.stack([angle.sin(), angle.cos()], -1).flatten(2)  # (B, T', D)
        return self.loudness[0] * far.to(weight.dtype) + self.loudness[1] * weight[..., None]
