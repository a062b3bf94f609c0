"""An estimate is a prior + a first guess + what a network adds: `Estimator` joins the last two.

Its two slots are filled by name from a settings file, see `build`:

- first guess: a class of `first_guess.py`, called with anomalies and masks, see its `forward`, or
  in two steps, `read` and `answer`; `chans` and `skip_chans` are the C and S of its `FirstGuess`;
  one with `uses_error` is told the `error` of each observation, where somebody knows it;
- network: any module that is called as the published `SpatioTemporalModel` is. Here are two that
  have no tokens: what is the transformer worth? Chapter *The full GPU run*.

A new network is a class here, a line in `NETWORKS`, a line in tests/test_contract.py and a settings
file. What it promises:

    __init__(in_chans=1, skip_chans=0, ...)    C and S; all others are keys of the table [network]
    patch_size                                 (Pt, Ph, Pw): T, H and W come as multiples of these
    last                                       its last layer, with weight and bias: 0 at first
    forward(data, missing, land=None, no_such_day=None, skip=None, wanted=None) -> (B, H, W)

forward answers in units of `scale`, 0 on land. data (B, C, T, H, W) are the channels of the first
guess; missing, bool of that shape, is True where they say nothing and may be anything. land
(B, H, W) and no_such_day (B, T) are bool, True = land, a day that the month has not; None = there
is none. skip (B, S, H, W) are the maps of the first guess, to be read only where skip_chans is not
0: `skip = true` in the settings sees to that. wanted (B, T) is bool, True = a day of which the mean
is asked, None = the whole month; a network that knows no other question says so by ValueError and
has `answers_days = False`. One that also has `read` and `answer`, as the transformer has them, does
what no question changes once for all days of a month.
"""

from inspect import signature
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sst_tutorial._checks import require, require_kinds, require_mask
from sst_tutorial.first_guess import GaussianMean, SuccessiveCorrections
from sst_tutorial.model import SpatioTemporalModel
from sst_tutorial.months import DAYS
from sst_tutorial.ocean_norm import OceanBatchNorm2d

DAYS_AT_ONCE = 8  # single days of a month that go through a network together


class Estimate(NamedTuple):
    """Mean anomaly of the days asked for (B, H, W) in K, land 0, and the first guess of it."""

    mean: Tensor
    first_guess: Tensor


class Estimator(nn.Module):
    """First guess plus what a network adds to it, in K.

    Args:
        first_guess: from observations to a `FirstGuess`.
        network: reads its channels and maps, answers with a residual map.
        scale: K by which anomalies are divided, about their spread in the training data.
    """

    def __init__(self, first_guess: nn.Module, network: nn.Module, scale: float = 1.0):
        super().__init__()
        if not 0 < scale < float("inf"):
            raise ValueError(f"scale must be a positive number of K, got {scale}")
        self.first_guess, self.network, self.scale = first_guess, network, scale

    @property
    def patch_size(self) -> tuple[int, int, int]:
        """Days, rows and columns of which an input must be a multiple; `Batch.of` pads to it."""
        return self.network.patch_size

    def forward(
        self, anomaly: Tensor, observed: Tensor, ocean: Tensor, exists: Tensor, wanted=None,
        every_day=False, error=None,
    ):  # fmt: skip
        """The fields of `months.Batch`, as `batch.inputs` has them; what is not observed may hold
        anything.

        wanted: (B, T) bool, True = a day of which the mean is asked, some of those that exist: the
        whole month (None), one day, or any between. The same weights answer all of them.
        every_day: return the `Estimate` and what a network with a daily head makes of all days in
            one go (B, T, H, W) K, to learn from; `days` gives better maps.
        error: (B, T, H, W) K as in `Batch`, for a first guess that `uses_error`; others go without.
        """
        wanted = None if wanted is None else wanted & exists
        scaled = self._scaled(anomaly, observed, ocean, exists)
        guess = self.first_guess(*scaled, wanted, **self._error(error))
        inputs = self._inputs(guess, ocean, exists)
        skip = guess.maps.to(inputs[0].dtype)  # (B, S, H, W)
        if every_day:
            added, days = self.network(*inputs, skip, wanted, every_day=True)
        else:
            added = self.network(*inputs, skip, wanted)  # (B, H, W)
        estimate = Estimate(self.scale * (guess.mean + added), self.scale * guess.mean)
        return (estimate, self.scale * (guess.daily + days)) if every_day else estimate

    def days(
        self, anomaly: Tensor, observed: Tensor, ocean: Tensor, exists: Tensor, error=None
    ) -> Estimate:
        """The maps of all days, in eval mode those that `forward` gives to who asks for each alone.

        Arguments as for `forward`. Both fields of the answer are (B, T, H, W) K, 0 on land and on
        days that do not exist. What no question changes is done once; the rest is done for
        `DAYS_AT_ONCE` days at a time, which bounds the memory under `torch.inference_mode()`.
        ValueError where the network answers for whole months only.
        """
        require(
            getattr(self.network, "answers_days", True),
            f"network {type(self.network).__name__} answers for whole months only, it has no days",
        )
        fields = [anomaly, observed, ocean, exists] + ([] if error is None else [error])
        months = zip(*(a.split(1) for a in fields), strict=True)
        mean, first_guess = zip(*(self._days_of(*month) for month in months), strict=True)
        return Estimate(torch.cat(mean), torch.cat(first_guess))

    def _days_of(self, anomaly, observed, ocean, exists, error=None) -> tuple[Tensor, Tensor]:
        """`days` of one month, (1, T, H, W) each."""
        scaled = self._scaled(anomaly, observed, ocean, exists)
        reading = self.first_guess.read(*scaled, **self._error(error))
        inputs, tokens = self._inputs(reading, ocean, exists), None
        if hasattr(self.network, "read"):
            tokens = self.network.read(*inputs[:2], inputs[3])
        mean, first_guess = torch.zeros_like(reading.daily), torch.zeros_like(reading.daily)
        there = exists[0].nonzero()[:, 0]
        for i in range(0, len(there), DAYS_AT_ONCE):
            days = there[i : i + DAYS_AT_ONCE]  # (Q,)
            wanted = F.one_hot(days, exists.shape[1]).bool()  # (Q, T)
            guess = self.first_guess.answer(reading, wanted)
            month = [a.expand(len(days), *a.shape[1:]) for a in inputs]  # the same for each
            skip = guess.maps.to(month[0].dtype)  # (Q, S, H, W)
            if tokens is None:
                added = self.network(*month, skip, wanted)  # (Q, H, W)
            else:
                x, seen, *others = tokens
                same = (x.expand(len(days), -1, -1), seen.expand(len(days), -1, -1), *others)
                added = self.network.answer(same, ocean.shape[1:], *month[2:], skip, wanted)
            mean[0, days] = self.scale * (guess.mean + added)
            first_guess[0, days] = self.scale * guess.mean
        return mean, first_guess

    def attention(self, anomaly, observed, ocean, exists, wanted=None) -> dict:
        """Where a network with tokens looks, see `SpatioTemporalModel.attention`."""
        reading = self.first_guess.read(*self._scaled(anomaly, observed, ocean, exists))
        channels, missing, _, no_such_day = self._inputs(reading, ocean, exists)
        return self.network.attention(channels, missing, no_such_day, wanted)

    def _scaled(self, anomaly, observed, ocean, exists):
        """What a first guess reads, with only what can have been observed."""
        observed = observed & ocean[:, None] & exists[:, :, None, None]
        x = anomaly.to(self.network.last.weight.dtype) / self.scale  # (B, T, H, W)
        return x.masked_fill(~observed, 0.0), observed, ocean, exists

    def _error(self, error: Tensor | None) -> dict:
        """What a first guess is told of the errors of its observations, in units of `scale`."""
        if error is None or not getattr(self.first_guess, "uses_error", False):
            return {}
        return {"error": error.to(self.network.last.weight.dtype) / self.scale}

    def _inputs(self, guess, ocean, exists):
        """The network's inputs from a first guess or its reading, in the published polarity of
        masks: data and missing (B, C, T, H, W), land (B, H, W), no_such_day (B, T)."""
        channels = guess.channels.to(self.network.last.weight.dtype)
        return channels, ~guess.known, ~ocean, ~exists


# ---------------------------------------------------------------- networks without tokens


class Convolutions(nn.Module):
    """The transformer's decoder without the tokens: convolutions over the maps of a first guess.

    Args:
        in_chans: channels of the first guess, not read.
        skip_chans: maps of the first guess; needs some, as `SuccessiveCorrections` has.
        width: channels at full resolution.
        residual_blocks: of two 3x3 convolutions.
    """

    patch_size = (1, 1, 1)

    def __init__(self, in_chans=1, skip_chans=0, width=64, residual_blocks=2):
        super().__init__()
        require(
            skip_chans > 0, "network 'convolutions' needs skip = true and a first guess with maps"
        )
        self.first = nn.Conv2d(skip_chans, width, 3, padding=1, bias=False)
        self.norm = OceanBatchNorm2d(width)
        self.residual_blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, 3, padding=1),
                nn.GELU(),
                nn.Conv2d(width, width, 3, padding=1),
            )
            for _ in range(residual_blocks)
        )
        self.last = nn.Conv2d(width, 1, 1)

    def forward(
        self, data: Tensor, missing: Tensor, land=None, no_such_day=None, skip=None, wanted=None
    ):
        """skip (B, skip_chans, H, W), of the days wanted, and land (B, H, W) or None -> (B, H, W),
        land 0."""
        ocean = None if land is None else ~land[:, None]  # (B, 1, H, W)
        x = self.first(skip)  # (B, width, H, W)
        x = F.gelu(self.norm(x, ocean))
        for block in self.residual_blocks:
            x = x + block(x if land is None else x.masked_fill(~ocean, 0.0))
        x = self.last(x).squeeze(1)  # (B, H, W)
        return x if land is None else x.masked_fill(land, 0.0)


class UNet(nn.Module):
    """The network that every reader will ask for: the month as a stack of images, one map out.

    The days and their validity masks are channels (Ronneberger et al. 2015; as DINCAE uses it for
    clouds, Barth et al. 2020).

    Args:
        in_chans: channels C of the first guess.
        skip_chans: not used.
        width: channels at full resolution; twice and four times as many further down.
    """

    patch_size = (1, 4, 4)  # two halvings
    answers_days = False  # nothing tells it which day is asked for

    def __init__(self, in_chans=1, skip_chans=0, width=40):
        super().__init__()
        require(
            width > 0 and width % 8 == 0,
            f"network 'unet' needs a width that is a multiple of 8, got {width}",
        )
        self.down1 = _block(2 * in_chans * DAYS, width)
        self.down2 = _block(width, 2 * width)
        self.bottom = _block(2 * width, 4 * width)
        self.up2 = _block(6 * width, 2 * width)
        self.up1 = _block(3 * width, width)
        self.last = nn.Conv2d(width, 1, 1)

    def forward(
        self, data: Tensor, missing: Tensor, land=None, no_such_day=None, skip=None, wanted=None
    ):
        """data, missing (B, C, 31, H, W), H and W multiples of 4; land (B, H, W) or None; a day
        that does not exist is one that saw nothing. Returns (B, H, W), land 0."""
        B, _, T, H, W = data.shape
        require(wanted is None, "network 'unet' answers for whole months only, wanted must be None")
        require(
            T == DAYS and H % 4 == 0 and W % 4 == 0,
            f"T, H, W = {T}, {H}, {W}: T must be {DAYS}, H and W multiples of 4; `Batch.of` pads",
        )
        require_mask("missing", missing, data.shape)
        if land is not None:
            require_mask("land", land, (B, H, W))
        if no_such_day is not None:
            missing = missing | no_such_day[:, None, :, None, None]
        x = torch.cat([data.masked_fill(missing, 0.0), (~missing).to(data.dtype)], 1)
        fine = self.down1(x.flatten(1, 2))  # (B, 2CT, H, W) -> (B, width, H, W)
        middle = self.down2(F.max_pool2d(fine, 2))  # (B, 2 width, H/2, W/2)
        x = self.bottom(F.max_pool2d(middle, 2))  # (B, 4 width, H/4, W/4)
        x = self.up2(torch.cat([_twice(x), middle], 1))  # (B, 2 width, H/2, W/2)
        x = self.up1(torch.cat([_twice(x), fine], 1))  # (B, width, H, W)
        x = self.last(x).squeeze(1)  # (B, H, W)
        return x if land is None else x.masked_fill(land, 0.0)


def _block(inside: int, outside: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, padding=1),
        nn.GroupNorm(8, outside),
        nn.GELU(),
        nn.Conv2d(outside, outside, 3, padding=1),
        nn.GroupNorm(8, outside),
        nn.GELU(),
    )


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="bilinear")


# ---------------------------------------------------------------- from settings to an estimator

FIRST_GUESSES = {"gaussian": GaussianMean, "corrections": SuccessiveCorrections}
NETWORKS = {"transformer": SpatioTemporalModel, "convolutions": Convolutions, "unet": UNet}


def build(first_guess: dict, network: dict, scale: float = 1.0) -> Estimator:
    """A new estimator that starts as its first guess: the network adds nothing before it learns.

    first_guess: {"name": of FIRST_GUESSES, and arguments of its constructor}. network: the same of
    NETWORKS; "skip": True hands it the maps of the first guess. ValueError names what is wrong.
    """
    guess = _made(FIRST_GUESSES, "first_guess", first_guess)
    arguments = dict(network)
    skip = network.get("skip", False)
    require(type(skip) is bool, f"network.skip must be true or false, got {skip!r}")
    skip_chans = guess.skip_chans if arguments.pop("skip", False) else 0
    net = _made(NETWORKS, "network", arguments, in_chans=guess.chans, skip_chans=skip_chans)
    nn.init.zeros_(net.last.weight)
    nn.init.zeros_(net.last.bias)
    return Estimator(guess, net, scale)


def _made(classes: dict, slot: str, settings: dict, **given) -> nn.Module:
    arguments = dict(settings)
    name = arguments.pop("name", None)
    if not isinstance(name, str) or name not in classes:
        raise ValueError(f"{slot}.name={name!r}, choose one of {sorted(classes)}")
    known = [key for key in signature(classes[name]).parameters if key not in given]
    unknown = sorted(set(arguments) - set(known))
    if unknown:
        known += ["skip"] * (slot == "network")
        raise ValueError(f"{slot} {name!r} has no setting {unknown[0]!r}; it has {known}")
    try:
        require_kinds(arguments, signature(classes[name]).parameters)
        return classes[name](**given, **arguments)
    except (TypeError, RuntimeError, ZeroDivisionError) as error:
        raise ValueError(
            f"{slot} {name!r} cannot be built from {arguments}: {str(error).splitlines()[0]}"
        ) from error
