"""Each promise holds for the networks that ship, and each bug of the list is found by name."""

import pytest
import torch

from sst_tutorial import promises
from sst_tutorial.networks import build
from sst_tutorial.promises import what_is_wrong
from sst_tutorial.settings import settings_of

QUICK = settings_of("quick")
SMALL = QUICK.network | {"embed_dim": 16, "hidden": 16}


def made(sabotage=None, first_guess=QUICK.first_guess, **network):
    def make():
        estimator = build(first_guess, (network if "name" in network else SMALL | network))
        if sabotage is not None:
            sabotage(estimator.network)
        return estimator

    return make


@pytest.mark.parametrize(
    "network",
    [
        {},
        {"blocks": 1, "spatial_depth": 0, "embed_dim": 16, "spatial_heads": 2},
        {"name": "convolutions", "skip": True, "width": 16},
    ],
)
def test_the_networks_that_ship_keep_them(network):
    numbers = torch.random.get_rng_state()
    assert what_is_wrong(made(**network)) == []
    assert torch.equal(torch.random.get_rng_state(), numbers)


def test_a_network_of_days_on_another_first_guess_keeps_them():
    network = {"name": "unet", "width": 8}
    assert what_is_wrong(made(first_guess={"name": "gaussian"}, **network)) == []


def no_gradient(m):
    m.encoder.register_forward_hook(lambda m, i, o: o.detach())


def frozen(m):
    m.decoder.requires_grad_(False)


def scrambled(m):
    m.spatial_tr.register_forward_hook(lambda m, i, o: o.transpose(1, 2).reshape(o.shape))


def sigmoid(m):
    m.register_forward_hook(lambda m, i, o: o.sigmoid())


def inverted(m):
    m.register_forward_pre_hook(lambda m, a: (a[0], ~a[1], *a[2:]))


def one_pixel_less(m):
    m.register_forward_hook(lambda m, i, o: o[:, :-1])


def mixes_months(m):
    m.encoder.register_forward_hook(lambda m, i, o: o + o.mean(0, keepdim=True))


def no_last(m):
    m.decoder.head = m.decoder.head[:3]


@pytest.mark.parametrize(  # all promises of a network cost seconds, so each bug meets one
    ("sabotage", "words"),
    [
        (no_gradient, "moves: training does not reach network.encoder.proj.weight"),
        (frozen, "moves: training does not reach network.decoder"),
        (scrambled, "nudge: a nudge of one patch shows most elsewhere"),
        (sigmoid, "land: land must be exactly 0, it is up to 0.5"),
        (inverted, "poison: NaN where the mask says missing changes the map"),
        (one_pixel_less, "answers: a map|answers: it stops with"),
        (mixes_months, "alone_as_in_a_batch: a month alone has another map"),
        (no_last, "builds: "),
    ],
)
def test_each_bug_is_told_in_words(sabotage, words, monkeypatch):
    asked = getattr(promises, f"_{words.split(':')[0]}")
    monkeypatch.setattr(promises, "THEN", (asked,) if asked in promises.THEN else ())
    wrong = what_is_wrong(made(sabotage))
    assert any(sentence.startswith(tuple(words.split("|"))) for sentence in wrong), wrong
    assert all("\n" not in sentence and len(sentence) < 300 for sentence in wrong)


def test_a_network_that_learns_nothing_is_told_so(monkeypatch):
    def deaf(m):  # it says what it hears, times nothing
        m.register_forward_hook(lambda m, i, o: o * 1e-6)

    monkeypatch.setattr(promises, "THEN", (promises._overfit,))
    wrong = what_is_wrong(made(deaf))
    assert any(sentence.startswith("overfit: after 60 steps") for sentence in wrong), wrong


def test_what_is_no_network_at_all():
    def make():
        raise TypeError("__init__() takes 1 positional argument\nand more lines")

    assert what_is_wrong(make) == [
        "builds: it stops with TypeError: __init__() takes 1 positional argument"
    ]
