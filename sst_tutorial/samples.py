"""Training samples made on the device, so that the GPU never waits for a disk.

Each batch is new: a piece of complete ocean (real analyses where given, and simulated ones, at rest
or in motion), other clouds drawn over it, retrieval noise added. The truth is the mean of the
complete days that are asked for. A batch depends on (seed, step) alone, so a resumed run sees what
the killed one would have seen (chapter *The loss and the loop*).

The batches of `AHEAD` steps are made together: a sample takes some sixty small operations, and
started one batch at a time they kept a CPU busy for 10 of the 41 ms that an H100 needed for a step.
"""

import math
import zipfile

import numpy as np
import torch
from torch import Tensor

from sst_tutorial.benchmark import NOISE, always_there
from sst_tutorial.coast import ocean_mask
from sst_tutorial.months import DAYS, Batch
from sst_tutorial.moving_sea import moving_anomalies
from sst_tutorial.prior import smooth_mean
from sst_tutorial.simulate import cloud_masks, ocean_anomalies

AHEAD = 4  # steps
PARTS = 8  # of the samples made together; those of a part share their turn
MOVING_SIZE, MOVING_DAYS = 128, 200  # of a moving sea that is kept ready
MOVING_CELLS, MOVING_SPEED = (4.0, 16.0), (0.15, 0.36)  # km and m/s, those of the exam inside
SLOPE, TREND = 2.5, 1.0  # K from edge to edge and from the first day to the last: see `_climate`
LONGEST = 9  # days that a lasting cloud stays
MARGIN = 8  # simulated pieces are this much larger than a sample and are cropped at random


def random_coasts(n: int, size: int, seed: int, degrees=0.25) -> np.ndarray:
    """n pieces of the world's coast: ocean masks (n, size, size), True = ocean, 30 % or more."""
    rng, coasts = np.random.default_rng(seed), []
    cell = degrees * np.arange(size)
    while len(coasts) < n:
        ocean = ocean_mask(rng.uniform(-65, 65) + cell, rng.uniform(-180, 170) + cell)
        if 0.3 <= ocean.mean() < 1:
            coasts.append(ocean)
    return np.stack(coasts)


def open_clouds(path) -> np.ndarray:
    """What a real instrument saw, from an .npz file: bool (n, H, W), True = observed.

    The file holds `observed`, either so or packed by `numpy.packbits(axis=1)` from (n, H * H).
    """
    try:
        with np.load(path) as archive:
            observed = archive["observed"]
    except (OSError, EOFError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"clouds={str(path)!r} is not an .npz file with an array 'observed' ({error})"
        ) from error
    if observed.dtype == np.uint8 and observed.ndim == 2:
        side = math.isqrt(8 * observed.shape[1])
        bits = np.unpackbits(observed, axis=1)[:, : side * side]
        observed = bits.reshape(-1, side, side).astype(bool)
    if observed.dtype != bool or observed.ndim != 3:
        raise ValueError(
            f"clouds={str(path)!r}: 'observed' must be bool (n, H, W), True = observed, got "
            f"{observed.dtype} {observed.shape}"
        )
    if not observed.any():
        raise ValueError(f"clouds={str(path)!r}: in its {len(observed)} days nothing was observed")
    return observed


class SampleMaker:
    """Draws batches of size x size cells and 31 days on one device.

    Args:
        device: where samples are made and stay.
        seed: the same seed gives the same batches.
        size: rows and columns of a sample.
        real: (days, size, size) K complete anomalies in time order, NaN = land, or None.
        clouds: (n, size, size) bool, True = observed: days of a real instrument, or None.
        coasts: (n, size, size) bool, True = ocean: half of the simulated samples get one; or None.
        pieces: how many simulated oceans (and a quarter as many cloud months) are kept ready.
        simulated: share of samples from the simulated ocean; all that do not move if real is None.
        moving: share of samples from a sea that moves.
        moving_seas: how many of those are kept ready, each of 128 x 128 cells and 200 days; half of
            them are the usual one, the others have cells of 4 to 16 km and 0.15 to 0.36 m/s.
        lasting: of the samples under `clouds`, the share whose clouds stay for 2 to 9 days; in the
            others every day has its own.
        daily: share of samples that ask for the map of one day instead of the month's mean.
        no_climatology: share of samples of which no climatology is known: their gradients and
            trends are part of the anomaly, and the prior is a smooth map of the observations.
        truth: hand out the true maps of all days too.
    """

    def __init__(
        self,
        device,
        seed,
        size=32,
        real=None,
        clouds=None,
        coasts=None,
        pieces=2048,
        simulated=0.25,
        moving=0.0,
        moving_seas=16,
        lasting=0.0,
        daily=0.0,
        no_climatology=0.0,
        truth=False,
    ):
        self.device, self.seed, self.size = torch.device(device), seed, size
        self.moving, self.lasting, self.daily = moving, lasting, daily
        self.no_climatology, self.truth = no_climatology, truth
        self.simulated = 1.0 - moving if real is None else simulated
        if max(moving, self.simulated + moving) > 1:
            raise ValueError(
                f"simulated={simulated} and moving={moving} are more than all samples; choose "
                "shares that are at most 1 together"
            )
        self.rng = torch.Generator(device=self.device).manual_seed(seed)
        self.host = torch.Generator().manual_seed(seed)  # numbers the host needs, without a sync
        self.real, self.real_ocean = self._real(real)
        self.clouds = self._clouds(clouds)
        self.made = (None, ())  # the block of samples that was made last
        self.coasts = None if coasts is None else torch.as_tensor(coasts, device=self.device)
        if pieces < 4:
            raise ValueError(f"pieces must be at least 4, got {pieces}")
        wide, long = size + MARGIN, DAYS + MARGIN
        self.ocean = ocean_anomalies(pieces, long, wide, wide, generator=self.rng).half()
        cover = 0.32 + 0.63 * self._uniform(pieces // 4)
        clouds = cloud_masks(pieces // 4, long, wide, wide, cover=cover, generator=self.rng)
        self.cloud_months = ~clouds  # True = observed
        self.moving_sea = self._moving(moving_seas) if moving else None

    def _moving(self, seas: int):
        """(seas, MOVING_DAYS, MOVING_SIZE, MOVING_SIZE) K, half precision."""
        box = {"size": MOVING_SIZE, "generator": self.rng, "device": self.device}
        usual = moving_anomalies(-(-seas // 2), MOVING_DAYS, **box).half()
        box |= {"cell_km": MOVING_CELLS, "speed": MOVING_SPEED}
        others = [moving_anomalies(seas // 2, MOVING_DAYS, **box).half()] if seas > 1 else []
        return torch.cat([usual, *others])

    def _real(self, real):
        if real is None:
            return None, None
        real = torch.as_tensor(np.asarray(real), device=self.device)
        if real.ndim != 3 or tuple(real.shape[1:]) != (self.size, self.size) or len(real) <= DAYS:
            raise ValueError(
                f"real must be (more than {DAYS} days, {self.size}, {self.size}), got "
                f"{tuple(real.shape)}; cut the region or set size"
            )
        ocean = always_there(real.isfinite(), "real")
        return torch.where(ocean, real, 0.0).half(), ocean

    def _clouds(self, clouds):
        if clouds is None:
            return None
        clouds = torch.as_tensor(np.asarray(clouds), device=self.device)
        if clouds.dtype != torch.bool or tuple(clouds.shape[1:]) != (self.size, self.size):
            raise ValueError(
                f"clouds must be bool (n, {self.size}, {self.size}), True = observed, got "
                f"{clouds.dtype} {tuple(clouds.shape)}"
            )
        order = clouds.float().mean((1, 2)).argsort()  # most clouded first
        return clouds[order]

    def __call__(self, step: int, batch_size: int) -> Batch:
        """The batch of this step, with its target."""
        block = step // AHEAD
        if self.made[0] != (block, batch_size):
            self.made = (block, batch_size), self._block(block, AHEAD * batch_size)
        # Every AHEADth sample, so that each batch has samples of every part.
        fields = [x[step % AHEAD :: AHEAD].contiguous() for x in self.made[1]]
        if not self.daily:
            fields[4] = None  # whole months are what is asked for by default
        return Batch(*fields[:6], truth=fields[6] if self.truth else None)

    def _block(self, block: int, n: int) -> tuple[Tensor, ...]:
        """n samples, the fields of `Batch` but for the prior."""
        self.rng.manual_seed(self.seed * 1_000_003 + block)
        self.host.manual_seed(self.seed * 1_000_003 + block)
        parts, drawn = [], block * n
        for size in _split(n, PARTS):
            before = _made_up(self.simulated, self.moving, drawn)
            drawn += size
            after = _made_up(self.simulated, self.moving, drawn)
            parts.append(self._part(size, *(b - a for a, b in zip(before, after, strict=True))))
        return tuple(torch.cat(column) for column in zip(*parts, strict=True))

    def _part(self, n: int, simulated: int, moving: int) -> tuple[Tensor, ...]:
        """n samples that share their flips and turns, some of them from made-up oceans."""
        real = 0 if self.real is None else n - simulated - moving
        # (n, T, H, W), (n, H, W)
        truth, ocean = self._ocean(n - real - moving, real, moving)
        if self.no_climatology:
            unknown = self._uniform(n) < self.no_climatology
            truth = truth + self._climate(n) * unknown[:, None, None, None]
        turn = self._integer(8)
        truth, ocean = _turned(truth, turn), _turned(ocean, turn)
        if self._integer(2):
            truth = truth.flip(1)
        length = torch.where(self._uniform(n) < 0.5, DAYS, 28 + self._integers(4, n))
        exists = torch.arange(DAYS, device=self.device) < length[:, None]  # (n, T)
        wanted = self._wanted(length, exists)  # (n, T)
        days, asked = exists[:, :, None, None], wanted[:, :, None, None]
        target = (truth * asked).sum(1) / wanted.sum(1)[:, None, None]  # (n, H, W)
        target = target.masked_fill(~ocean, 0.0)
        noise = torch.where(self._uniform(n) < 0.7, NOISE, 0.05 + 0.45 * self._uniform(n))
        observed = self._seen(n) & ocean[:, None] & days
        noisy = truth + noise[:, None, None, None] * self._normal(truth.shape)
        noisy = torch.where(observed, noisy, 0.0)
        if self.no_climatology:  # as `month_prior` does; white noise needs no second pass
            prior = smooth_mean(noisy.sum(1), observed.float().sum(1)) * unknown[:, None, None]
            noisy = torch.where(observed, noisy - prior[:, None], 0.0)
            target = (target - prior).masked_fill(~ocean, 0.0)
            truth = truth - prior[:, None]
        fields = (noisy, observed, ocean, exists, wanted, target)
        return (*fields, truth) if self.truth else fields

    def _climate(self, n: int) -> Tensor:
        """(n, T, H, W) K: gradients from edge to edge and trends over the month, which are part of
        the anomaly where no climatology is known."""
        across = torch.linspace(-0.5, 0.5, self.size, device=self.device)
        along = torch.linspace(-0.5, 0.5, DAYS, device=self.device)[:, None, None]
        slope, trend = SLOPE * self._normal((2, n, 1, 1, 1)), TREND * self._normal((n, 1, 1, 1))
        return slope[0] * across[:, None] + slope[1] * across + trend * along

    def _wanted(self, length: Tensor, exists: Tensor) -> Tensor:
        """(n, T) bool: all days of the month, or for a share of the samples one of them."""
        if not self.daily:
            return exists
        day = (self._uniform(len(length)) * length).long()
        one = torch.arange(DAYS, device=self.device) == day[:, None]  # (n, T)
        alone = self._uniform(len(length)) < self.daily
        return torch.where(alone[:, None], one, exists)

    def _ocean(self, simulated: int, real: int, moving: int) -> tuple[Tensor, Tensor]:
        """Complete anomalies (n, T, H, W) K and where there is sea (n, H, W)."""
        fields, oceans = [], []
        if real:
            field = self._mixed(real)
            fields.append(field * (0.8 + 0.45 * self._uniform(real))[:, None, None, None])
            oceans.append(self.real_ocean.expand(real, -1, -1))
        if simulated:
            pick = self._integers(len(self.ocean), simulated)
            fields.append(self._crop(self.ocean[pick]).float())
            oceans.append(self._coast(simulated))
        if moving:
            fields.append(self._in_motion(moving))
            oceans.append(self._coast(moving))
        field = torch.cat(fields)
        n = len(field)
        sign = 1 - 2 * self._integers(2, n)  # a warm month is as likely as a cold one
        offset = 0.6 * self._normal((n,))  # the climate moves on after the climatology ends
        return field * sign[:, None, None, None] + offset[:, None, None, None], torch.cat(oceans)

    def _coast(self, n: int) -> Tensor:
        """Where there is sea (n, H, W): everywhere, or for half of the samples off some coast."""
        ocean = torch.ones(n, self.size, self.size, dtype=torch.bool, device=self.device)
        if self.coasts is None:
            return ocean
        ocean = self.coasts[self._integers(len(self.coasts), n)]
        return ocean | (self._uniform(n) < 0.5)[:, None, None]

    def _in_motion(self, n: int) -> Tensor:
        """(n, T, H, W) K: windows of the moving seas, which have no edges, livelier or quieter."""
        sea = self._integers(len(self.moving_sea), n)[:, None, None, None]
        start = [self._integers(high, n) for high in (MOVING_DAYS - DAYS + 1, *[MOVING_SIZE] * 2)]
        length = (DAYS, self.size, self.size)
        t, h, w = (
            s[:, None] + torch.arange(count, device=self.device)
            for s, count in zip(start, length, strict=True)
        )
        h, w = (h % MOVING_SIZE)[:, None, :, None], (w % MOVING_SIZE)[:, None, None, :]
        field = self.moving_sea[sea, t[:, :, None, None], h, w].float()
        return field * (0.6 + 0.6 * self._uniform(n))[:, None, None, None]

    def _mixed(self, n: int) -> Tensor:
        """(n, T, H, W) K: windows of the record, half of them two, mixed so that the covariance
        stays what it was: far more months than the record holds."""
        angle = self._uniform(n) * math.pi / 2 * (self._uniform(n) < 0.5)
        angle = angle[:, None, None, None]
        return self._window(n) * angle.cos() + self._window(n) * angle.sin()

    def _window(self, n: int) -> Tensor:
        start = self._integers(len(self.real) - DAYS + 1, n)
        days = torch.arange(DAYS, device=self.device)
        return self.real[start[:, None] + days].float()  # (n, T, H, W)

    def _seen(self, n: int) -> Tensor:
        """(n, T, H, W) bool, True = no cloud: simulated months, or a real one each day."""
        simulated = n if self.clouds is None else round(0.2 * n)
        pick = self._integers(len(self.cloud_months), simulated)
        parts = [_turned(self._crop(self.cloud_months[pick]), self._integer(8))]
        if simulated < n:
            rest = n - simulated
            cloudiest = (self._uniform(rest) < 0.6)[:, None]  # from the more clouded half only
            reach = torch.where(cloudiest, len(self.clouds) // 2, len(self.clouds))
            pick = (self._uniform(rest, DAYS) * reach).long()  # (rest, T)
            if self.lasting:
                pick = pick.gather(1, self._last_change(rest))
            parts.append(_turned(self.clouds[pick], self._integer(8)))
        return torch.cat(parts)[torch.randperm(n, generator=self.rng, device=self.device)]

    def _last_change(self, n: int) -> Tensor:
        """(n, T): the day on which the clouds of each day came; itself where none last."""
        stay = 2 + self._integers(LONGEST - 1, n)
        stay = torch.where(self._uniform(n) < self.lasting, stay, 1)[:, None]
        day = torch.arange(DAYS, device=self.device)
        return (day - (day + self._integers(LONGEST, n, 1)) % stay).clamp_min(0)

    def _crop(self, piece: Tensor) -> Tensor:
        t, h, w = (self._integer(MARGIN + 1) for _ in range(3))
        return piece[:, t : t + DAYS, h : h + self.size, w : w + self.size]

    def _uniform(self, *shape) -> Tensor:
        return torch.rand(shape, generator=self.rng, device=self.device)

    def _normal(self, shape) -> Tensor:
        return torch.randn(shape, generator=self.rng, device=self.device)

    def _integers(self, high: int, *shape) -> Tensor:
        return torch.randint(high, shape, generator=self.rng, device=self.device)

    def _integer(self, high: int) -> int:
        return int(torch.randint(high, (), generator=self.host))


def _split(n: int, parts: int) -> list[int]:
    """n as at most `parts` whole numbers, none of them 0."""
    return [len(part) for part in np.array_split(np.arange(n), parts) if len(part)]


def _made_up(simulated: float, moving: float, n: int) -> tuple[int, int]:
    """How many of the first n samples are simulated and how many of the others move: each sample
    is one or the other or real, and the shares hold in the long run."""
    at_rest = math.floor(simulated * n)
    of_others = moving / (1 - simulated) if simulated < 1 else 0.0
    return at_rest, math.floor(of_others * (n - at_rest))


def _turned(x: Tensor, turn: int) -> Tensor:
    """One of the eight ways to lay a square, on the last two axes."""
    if turn & 1:
        x = x.flip(-1)
    if turn & 2:
        x = x.flip(-2)
    return x.transpose(-1, -2) if turn & 4 else x
