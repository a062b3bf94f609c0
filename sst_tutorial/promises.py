"""Is a network of your own fit to be compared? What every estimator promises, asked in words.

The contract test of the package (tests/test_contract.py) holds these promises against the networks
that ship; here they are asked of any class, in seconds, before it costs minutes of training. To
them come the four tests of the chapter *All together*: overfit, moves, nudge, poison.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from sst_tutorial._checks import require
from sst_tutorial.months import DAYS
from sst_tutorial.networks import Estimator
from sst_tutorial.simulate import cloud_masks, ocean_anomalies
from sst_tutorial.training import ocean_rmse

B, SIDE = 3, 32  # months of a test, and their pixels each way
STEPS, LEFT = 60, 0.5  # of the overfit, and what it may leave of the first guess's squared error
# Of a nudge. The networks that ship show all six where they are; with tokens scrambled two are hit
# by luck at most.
SPOTS = ((8, 20), (20, 8), (16, 24), (4, 12), (24, 4), (12, 28))
LONGEST = 200  # characters of somebody else's error message
# Added to the scores of all days alike, it moves no weight: chapter *All together*.
MAY_REST = ("network.temporal.scorer.3.bias",)


class Broken(Exception):
    """A promise that does not hold, in words."""


def what_is_wrong(make: Callable[[], Estimator]) -> list[str]:
    """What the estimators that `make` builds break of the promises, a sentence each; [] = nothing.

    A promise that builds on one that is broken is not asked. The random numbers of the caller
    stay as they were.
    """
    with torch.random.fork_rng(devices=[]):
        wrong = [_told(make, ask) for ask in FIRST]
        if any(wrong):
            return [next(filter(None, wrong))]
        return [sentence for ask in THEN if (sentence := _told(make, ask))]


def _told(make, ask) -> str | None:
    try:
        ask(make)
    except Broken as broken:
        return f"{ask.__name__.strip('_')}: {broken}"
    except Exception as error:  # of code that we do not know
        lines = str(error).strip().splitlines() or [""]
        words = f"{type(error).__name__}: {lines[0]}"[:LONGEST]
        return f"{ask.__name__.strip('_')}: it stops with {words}"
    return None


def _inputs(side: int = SIDE) -> tuple[Tensor, ...]:
    """Anomaly, observed, ocean, exists of B months: one in two has land, the first has 28 days."""
    generator = torch.Generator().manual_seed(1)
    anomaly = ocean_anomalies(B, DAYS, side, side, generator=generator)
    observed = ~cloud_masks(B, DAYS, side, side, cover=0.8, generator=generator)
    ocean, exists = torch.ones(B, side, side, dtype=torch.bool), torch.ones(B, DAYS).bool()
    ocean[::2, : side // 4, : side // 4] = False
    exists[0, 28:] = False
    observed &= ocean[:, None] & exists[:, :, None, None]
    return anomaly.masked_fill(~observed, 0.0), observed, ocean, exists


def _talkative(make) -> Estimator:
    """A new estimator whose last layer, zero at birth, says something."""
    torch.manual_seed(0)
    estimator = make()
    nn.init.normal_(estimator.network.last.weight)
    nn.init.normal_(estimator.network.last.bias)
    return estimator


def _close(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a, b, rtol=1e-4, atol=1e-4)


# ---------------------------------------------------------------- without these no other is asked


def _builds(make) -> None:
    network = make().network
    for name in ("patch_size", "last"):
        require(hasattr(network, name), f"the network has no {name}, see `networks.py`")


def _answers(make) -> None:
    anomaly, observed, ocean, exists = _inputs()
    found = _talkative(make).eval()(anomaly, observed, ocean, exists).mean
    if found.shape != ocean.shape:
        raise Broken(f"a map must have shape {tuple(ocean.shape)}, it has {tuple(found.shape)}")
    if not found.isfinite().all():
        raise Broken("the map of a month under clouds has values that are not finite")


# ---------------------------------------------------------------- the promises


def _poison(make) -> None:
    anomaly, observed, ocean, exists = _inputs()
    clean, dirty = (_network_alone(make, junk) for junk in (0.0, torch.nan))
    if not torch.equal(clean, dirty):
        raise Broken("NaN where the mask says missing changes the map: is the mask turned round?")
    for training in (False, True):
        clean = _talkative(make).train(training)(anomaly, observed, ocean, exists).mean
        for junk in (torch.nan, torch.inf, 1e30):
            estimator = _talkative(make).train(training)
            dirty = anomaly.masked_fill(~observed, junk)
            if not torch.equal(estimator(dirty, observed, ocean, exists).mean, clean):
                raise Broken(f"{junk} where nothing was observed changes the map; mask it first")
    if torch.equal(_talkative(make).eval()(anomaly + 1.0, observed, ocean, exists).mean, clean):
        raise Broken("what was observed does not change the map either")


def _network_alone(make, junk: float) -> Tensor:
    """What the network makes of random channels with `junk` in their gaps."""
    estimator = _talkative(make).eval()
    anomaly, observed, ocean, exists = _inputs()
    guess = estimator.first_guess(anomaly, observed, ocean, exists)
    data = torch.randn(guess.channels.shape, generator=torch.Generator().manual_seed(2))
    missing = ~observed[:, None].expand_as(data)  # (B, C, T, H, W)
    return estimator.network(
        data.masked_fill(missing, junk), missing, ~ocean, ~exists, guess.maps.detach()
    )


def _land(make) -> None:
    anomaly, observed, ocean, exists = _inputs()
    for training in (True, False):
        found = _talkative(make).train(training)(anomaly, observed, ocean, exists).mean
        if (found[~ocean] != 0).any():
            worst = found[~ocean].abs().max().item()
            raise Broken(f"land must be exactly 0, it is up to {worst:.2g}; mask the last map")


def _starts_as_first_guess(make) -> None:
    torch.manual_seed(0)
    estimate = make()(*_inputs())
    if not torch.equal(estimate.mean, estimate.first_guess):
        raise Broken("with `last` at zero something is added all the same; let `last` make the map")


def _alone_as_in_a_batch(make) -> None:
    estimator, months = _talkative(make).eval(), _inputs()
    together = estimator(*months).mean
    for i in range(B):
        if not _close(estimator(*(x[i : i + 1] for x in months)).mean[0], together[i]):
            raise Broken("a month alone has another map than in a batch: do months mix?")


def _short_months(make) -> None:
    anomaly, observed, ocean, exists = _inputs()
    estimator = _talkative(make).eval()
    expected = estimator(anomaly, observed, ocean, exists).mean
    claimed = observed | ~exists[:, :, None, None]
    other = anomaly.masked_fill(~exists[:, :, None, None], 5.0)
    if not torch.equal(estimator(other, claimed, ocean, exists).mean, expected):
        raise Broken("what stands in days that do not exist changes the map")


def _any_map(make) -> None:
    estimator = _talkative(make).eval()
    _, height, width = estimator.patch_size
    anomaly, observed, ocean, exists = _inputs()
    size = slice(2 * height), slice(3 * width)
    cut = (anomaly[:, :, *size], observed[:, :, *size], ocean[:, *size], exists)
    found = estimator(*cut).mean
    if found.shape != cut[2].shape or not found.isfinite().all():
        raise Broken(f"a map of {2 * height} x {3 * width} pixels comes out wrong")
    found = estimator(anomaly, torch.zeros_like(observed), ocean, exists).mean
    if not found.isfinite().all():
        raise Broken("a month without any observation gives values that are not finite")


def _moves(make) -> None:
    estimator = _talkative(make)
    *months, exists = _inputs()
    # Not ones, to which a network that only adds a constant could come as near as any.
    target = torch.randn(months[2].shape, generator=torch.Generator().manual_seed(2))
    ocean_rmse(estimator(*months, exists).mean, target, months[2]).backward()
    for name, p in estimator.named_parameters():
        if not p.requires_grad or p.grad is None:
            raise Broken(f"training does not reach {name}; does `forward` use it?")
        if not p.grad.isfinite().all():
            raise Broken(f"the gradient of {name} is not finite")
        if (p.grad == 0).all() and name not in MAY_REST:
            raise Broken(f"the gradient of {name} is 0 everywhere; is something clipped for good?")


def _nudge(make) -> None:
    """Of the network alone, since a first guess would be right of its own; of the maps only where
    it does not read the days, since maps may pass by what is mixed up."""
    estimator = _talkative(make).eval()
    _, height, width = estimator.patch_size
    months = [x[1:2] for x in _inputs()]  # the one without land
    guess = estimator.first_guess(*months)
    generator = torch.Generator().manual_seed(3)
    data, maps = (torch.randn(x.shape, generator=generator) for x in (guess.channels, guess.maps))
    seen, land, absent = torch.zeros_like(guess.known), ~months[2], ~months[3]
    misses = 0
    for row, col in SPOTS:
        spot = ..., slice(row, row + max(height, 4)), slice(col, col + max(width, 4))
        change = torch.zeros(1)
        for nudged in (data, maps):
            if change.any():
                break
            with torch.no_grad():
                before = estimator.network(data, seen, land, absent, maps)
                nudged[spot] += 1.0
                change = (estimator.network(data, seen, land, absent, maps) - before).abs()[0]
                nudged[spot] -= 1.0
        if not change.any():
            raise Broken("a nudge of one patch, seen on all days, changes nothing")
        r, c = divmod(int(change.argmax()), SIDE)
        inside = all(s.start - 3 <= at < s.stop + 3 for s, at in zip(spot[1:], (r, c), strict=True))
        misses += not inside
    if misses > 1:
        raise Broken(
            "a nudge of one patch shows most elsewhere on the map: rows and columns mixed?"
        )


def _overfit(make) -> None:
    torch.manual_seed(0)
    estimator = make().train()
    anomaly, observed, ocean, exists = _inputs()
    truth = ocean_anomalies(B, DAYS, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    target = truth.mean(1)  # (B, H, W)
    network = estimator.network.parameters()
    optimiser = torch.optim.AdamW([p for p in network if p.requires_grad], lr=3e-3)
    first = None
    for _ in range(STEPS):
        estimate = estimator(anomaly, observed, ocean, exists)
        error = (estimate.mean - target)[ocean].square().mean()
        if first is None:
            first = (estimate.first_guess.detach() - target)[ocean].square().mean()
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
    left = (error / first).item()
    if not left < LEFT:
        raise Broken(
            f"after {STEPS} steps on one batch {left:.2f} of the first guess's squared error is "
            f"left, it should be less than {LEFT}; does it learn at all?"
        )


FIRST = (_builds, _answers)
THEN = (_poison, _land, _starts_as_first_guess, _alone_as_in_a_batch, _short_months, _any_map)
THEN += (_moves, _nudge, _overfit)
