"""What every estimator promises, whatever stands in its two slots. A new network is one line here,
in ESTIMATORS.

Below the promises: what `build` refuses, and what only one of the networks does.
"""

import copy

import numpy as np
import pytest
import torch

from sst_tutorial.model import SpatioTemporalModel
from sst_tutorial.months import Batch, Month
from sst_tutorial.networks import DAYS_AT_ONCE, Convolutions, Estimator, UNet, build
from sst_tutorial.reconstruction import as_method
from sst_tutorial.training import ocean_rmse
from sst_tutorial.weights import load_weights, save_weights

GAUSSIAN = {"name": "gaussian"}
CORRECTIONS = {"name": "corrections", "iterations": 4}
TRANSFORMER = {"name": "transformer", "embed_dim": 16, "hidden": 16}
OPTIONS = {"skip": True, "temporal_heads": 4, "residual_blocks": 2}

ESTIMATORS = {
    "transformer on gaussian": (GAUSSIAN, TRANSFORMER),
    "transformer on corrections": (CORRECTIONS | {"adapt": True}, TRANSFORMER | OPTIONS),
    "space-time on corrections": (
        CORRECTIONS,
        TRANSFORMER | OPTIONS | {"blocks": 2, "spatial_heads": 2},
    ),
    "question on moving corrections": (
        CORRECTIONS | {"adapt": True, "motion": True},
        TRANSFORMER | OPTIONS | {"blocks": 1, "question": True, "spatial_heads": 2},
    ),
    "daily head on moving corrections": (
        CORRECTIONS | {"adapt": True, "motion": True},
        TRANSFORMER
        | OPTIONS
        | {"blocks": 1, "question": True, "daily_head": True, "spatial_heads": 2},
    ),
    "pixels that ask on corrections": (
        CORRECTIONS,
        TRANSFORMER | OPTIONS | {"question": True, "daily_head": True, "pixel_queries": True},
    ),
    "convolutions on corrections": (
        CORRECTIONS,
        {"name": "convolutions", "skip": True, "width": 16},
    ),
    "unet on gaussian": (GAUSSIAN, {"name": "unet", "width": 8}),
    "unet on corrections": (CORRECTIONS, {"name": "unet", "width": 8}),
}
every_estimator = pytest.mark.parametrize("slots", ESTIMATORS.values(), ids=ESTIMATORS)
MONTHS_ONLY = [name for name in ESTIMATORS if name.startswith("unet")]
ANSWERING = {name: slots for name, slots in ESTIMATORS.items() if name not in MONTHS_ONLY}
every_answering = pytest.mark.parametrize("slots", ANSWERING.values(), ids=ANSWERING)


def talkative(slots, scale=1.0) -> Estimator:
    """A new estimator whose last layers, zero at birth, say something."""
    torch.manual_seed(0)
    estimator = build(*slots, scale)
    torch.nn.init.normal_(estimator.network.last.weight)
    torch.nn.init.normal_(estimator.network.last.bias)
    tune = getattr(estimator.first_guess, "tune", None)
    if tune is not None:
        torch.nn.init.normal_(tune[2].weight, std=0.1)
    return estimator


def inputs(B=3, T=31, H=12, W=16, cover=0.8):
    """Anomaly, observed, ocean, exists: one month in two has land, the first has 28 days."""
    generator = torch.Generator().manual_seed(1)
    anomaly = torch.randn(B, T, H, W, generator=generator)
    observed = torch.rand(B, T, H, W, generator=generator) > cover
    ocean, exists = torch.ones(B, H, W, dtype=torch.bool), torch.ones(B, T, dtype=torch.bool)
    ocean[::2, : H // 3, : W // 3] = False
    exists[0, 28:] = False
    observed &= ocean[:, None] & exists[:, :, None, None]
    return anomaly.masked_fill(~observed, 0.0), observed, ocean, exists


def questions(exists):
    """Days asked for: one of the first sample, all of the second, a week of the third."""
    wanted = exists.clone()
    wanted[::3] = torch.arange(exists.shape[1]) == 5
    wanted[2::3, :10] = wanted[2::3, 17:] = False
    return wanted


def gradients(estimator) -> dict:
    return {name: p.grad for name, p in estimator.named_parameters()}


def trained_once(estimator, anomaly, observed, ocean, exists, *wanted):
    """The estimate, and the gradient of every parameter of the loss of the training."""
    estimator.zero_grad()
    estimate = estimator(anomaly, observed, ocean, exists, *wanted)
    loss = ocean_rmse(estimate.mean, torch.ones_like(estimate.mean), ocean)
    loss.backward()
    return estimate, {name: g.clone() for name, g in gradients(estimator).items()}


# ---------------------------------------------------------------- the promises


@every_estimator
@pytest.mark.parametrize("training", [True, False])
def test_what_was_not_observed_never_matters(slots, training):
    """In gaps, on land, on days that do not exist; even where the mask says it was observed."""
    anomaly, observed, ocean, exists = inputs()
    estimator = talkative(slots).train(training)
    start = copy.deepcopy(estimator.state_dict())
    clean, expected = trained_once(estimator, anomaly, observed, ocean, exists)
    statistics = copy.deepcopy(estimator.state_dict())
    claimed = observed | ~ocean[:, None] | ~exists[:, :, None, None]
    for junk in (torch.nan, torch.inf, -torch.inf, 1e30):
        for mask in (observed, claimed):
            estimator.load_state_dict(start)
            dirty = anomaly.masked_fill(~observed, junk).requires_grad_()
            estimate, found = trained_once(estimator, dirty, mask, ocean, exists)
            assert torch.equal(estimate.mean, clean.mean)
            assert torch.equal(estimate.first_guess, clean.first_guess)
            assert estimate.mean.isfinite().all()
            for name, gradient in found.items():
                assert gradient.isfinite().all() and torch.equal(gradient, expected[name]), name
            for name, value in estimator.state_dict().items():  # of the batch norm
                assert torch.equal(value, statistics[name]), name
            assert dirty.grad.isfinite().all() and (dirty.grad[~observed] == 0).all()
            assert (dirty.grad[observed] != 0).any()


@every_answering
@pytest.mark.parametrize("training", [True, False])
def test_what_was_not_observed_never_matters_to_any_question(slots, training):
    anomaly, observed, ocean, exists = inputs()
    asked = questions(exists)
    estimator = talkative(slots).train(training)
    start = copy.deepcopy(estimator.state_dict())
    clean, expected = trained_once(estimator, anomaly, observed, ocean, exists, asked)
    claimed = observed | ~ocean[:, None] | ~exists[:, :, None, None]
    for junk in (torch.nan, torch.inf, 1e30):
        for mask, wanted in ((observed, asked), (claimed, asked | ~exists)):
            estimator.load_state_dict(start)
            dirty = anomaly.masked_fill(~observed, junk)
            estimate, found = trained_once(estimator, dirty, mask, ocean, exists, wanted)
            assert torch.equal(estimate.mean, clean.mean)
            assert torch.equal(estimate.first_guess, clean.first_guess)
            assert estimate.mean.isfinite().all()
            for name, gradient in found.items():
                assert gradient.isfinite().all() and torch.equal(gradient, expected[name]), name


@every_estimator
def test_a_sample_alone_is_as_in_a_batch(slots):
    estimator = talkative(slots).eval()
    batch = inputs()
    together = estimator(*batch)
    for i in range(3):
        alone = estimator(*(x[i : i + 1] for x in batch))
        torch.testing.assert_close(alone.mean[0], together.mean[i], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(
            alone.first_guess[0], together.first_guess[i], atol=1e-5, rtol=1e-5
        )


@every_estimator
def test_the_order_of_a_batch_does_not_matter(slots):
    estimator = talkative(slots)  # in training mode: the statistics are of all samples
    batch, order = inputs(), torch.tensor([2, 0, 1])
    expected = estimator(*batch).mean[order]
    found = estimator(*(x[order] for x in batch)).mean
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(found, expected[order], atol=1e-2)


@every_answering
def test_all_days_that_exist_are_the_month(slots):
    batch = inputs()
    for training in (True, False):
        expected = talkative(slots).train(training)(*batch)
        found = talkative(slots).train(training)(*batch, batch[3])
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)


@every_answering
def test_every_sample_has_a_question_of_its_own(slots):
    """Alone as in a batch, whatever the others ask and hold; and the question matters."""
    estimator, batch = talkative(slots).eval(), inputs()
    wanted = questions(batch[3])
    together, month = estimator(*batch, wanted), estimator(*batch)
    for i in range(3):
        alone = estimator(*(x[i : i + 1] for x in batch), wanted[i : i + 1])
        for field in (0, 1):
            torch.testing.assert_close(alone[field][0], together[field][i], atol=1e-5, rtol=1e-5)
    others = [batch[0].clone(), *batch[1:]]
    others[0][1:] += 1.0
    found = estimator(*others, torch.cat([wanted[:1], batch[3][1:]]))
    for field in (0, 1):
        torch.testing.assert_close(found[field][0], together[field][0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(together[field][1], month[field][1], atol=1e-5, rtol=1e-5)
    for one, other in zip(together, month, strict=True):
        assert all(not torch.allclose(one[i], other[i], atol=1e-2) for i in (0, 2))
    added = (x.mean - x.first_guess for x in (together, month))  # the network was told, too
    assert not torch.allclose(*(x[::2] for x in added), atol=1e-2)


@every_answering
def test_days_that_do_not_exist_are_not_counted_even_if_asked_for(slots):
    *batch, exists = inputs()
    wanted = questions(exists)
    for training in (True, False):
        expected = talkative(slots).train(training)(*batch, exists, wanted)
        found = talkative(slots).train(training)(*batch, exists, wanted | ~exists)
        assert torch.equal(found.mean, expected.mean)
        assert torch.equal(found.first_guess, expected.first_guess)
    nothing = torch.zeros_like(exists)
    absent, none = (talkative(slots)(*batch, exists, days) for days in (~exists, nothing))
    assert torch.equal(absent.mean, none.mean) and none.mean.isfinite().all()
    assert (none.first_guess == 0).all()


@every_answering
def test_first_guesses_of_all_days_have_the_mean_of_the_month(slots):
    """The question is linear, and one month may be asked 31 at once."""
    estimator = talkative(slots).eval()
    for i, days in ((0, 28), (1, 31)):
        month = [x[i : i + 1].expand(days, *x.shape[1:]) for x in inputs()]
        each = estimator(*month, torch.eye(31, dtype=torch.bool)[:days])
        whole = estimator(*(x[:1] for x in month)).first_guess[0]
        torch.testing.assert_close(each.first_guess.mean(0), whole, atol=1e-5, rtol=1e-5)
        assert each.first_guess.std(0)[month[2][0]].min() > 1e-3


def one_by_one(estimator, batch):
    """What `forward` answers to who asks for every day of its own, (B, T, H, W) each."""
    days = torch.eye(batch[3].shape[1], dtype=torch.bool)
    each = [estimator(*batch, day.expand(len(batch[3]), -1)) for day in days]
    return [torch.stack(field, 1) for field in zip(*each, strict=True)]


def checked_days(estimator, batch):
    """Days at once as days asked alone; nothing on land nor on days that do not exist."""
    with torch.inference_mode():
        found, expected = estimator.days(*batch), one_by_one(estimator, batch)
    there = batch[3][:, :, None, None] & batch[2][:, None]  # (B, T, H, W)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.shape == batch[0].shape and (ours[~there] == 0).all()
        torch.testing.assert_close(ours, theirs * there, atol=1e-5, rtol=1e-5)
    return found


@every_answering
@pytest.mark.parametrize("scale", [1.0, 0.3])
def test_days_at_once_are_the_days_asked_alone(slots, scale):
    estimator, batch = talkative(slots, scale).eval(), inputs()
    mean, first_guess = checked_days(estimator, batch)
    assert (mean - first_guess).std(1)[1].min() > 1e-4  # each day has an answer of its own
    junk = [batch[0].masked_fill(~batch[1], torch.nan), *batch[1:]]
    with torch.inference_mode():
        assert torch.equal(estimator.days(*junk).mean, mean)


@pytest.mark.parametrize(("T", "patch"), [(33, (3, 4, 4)), (32, (2, 4, 8)), (20, (1, 2, 2))])
@pytest.mark.parametrize("blocks", [0, 1])
def test_days_at_once_of_patches_of_several_days(T, patch, blocks):
    slots = (
        CORRECTIONS,
        TRANSFORMER | OPTIONS | {"patch_size": patch, "blocks": blocks, "spatial_heads": 2},
    )
    estimator, batch = talkative(slots).eval(), inputs(T=T)
    batch[3][:, 31:] = batch[1][:, 31:] = False
    batch[1][1, 3:9] = False  # time patches that saw nothing
    checked_days(estimator, batch)


@every_answering
def test_days_at_once_of_months_with_little_in_them(slots):
    """Nothing seen, one day that exists, none that exists, all land."""
    estimator = talkative(slots).eval()
    anomaly, observed, ocean, exists = inputs(B=4)
    observed[0], exists[1, 1:], exists[2], ocean[3] = False, False, False, False
    mean, first_guess = checked_days(estimator, (anomaly, observed, ocean, exists))
    assert (first_guess[0] == 0).all() and (mean[[2, 3]] == 0).all()
    assert mean.isfinite().all() and mean[1].any() and not mean[1, 1:].any()


def test_days_at_once_read_a_month_once_and_answer_in_parts():
    estimator, batch = talkative(ESTIMATORS["space-time on corrections"]).eval(), inputs(B=2)
    seen = {"encoder": [], "mixer": [], "decoder": []}
    for name, sizes in seen.items():
        part = getattr(estimator.network, name)
        part.register_forward_hook(lambda module, args, out, sizes=sizes: sizes.append(len(out)))
    analyse, analysed = estimator.first_guess.analyse, []
    estimator.first_guess.analyse = lambda x, *a: analysed.append(len(x)) or analyse(x, *a)
    estimator.days(*batch)
    assert analysed == seen["encoder"] == seen["mixer"] == [1, 1]
    assert sum(seen["decoder"]) == 28 + 31 and max(seen["decoder"]) == DAYS_AT_ONCE


@every_answering
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_days_at_once_in_every_precision(slots, dtype):
    estimator, batch = talkative(slots).eval(), inputs()
    exact = estimator.days(*batch).mean
    rough = estimator.to(dtype).days(*batch).mean
    assert (rough - exact).square().mean().sqrt() < 0.05 * exact.square().mean().sqrt()


@pytest.mark.parametrize("name", MONTHS_ONLY)
def test_a_network_for_months_alone_has_no_days(name):
    with pytest.raises(ValueError, match="^network UNet answers for whole months only, it has no"):
        talkative(ESTIMATORS[name]).days(*inputs())


@pytest.mark.parametrize("name", MONTHS_ONLY)
def test_a_network_for_months_alone_says_so(name):
    batch = inputs()
    for wanted in (batch[3], questions(batch[3])):
        with pytest.raises(ValueError, match="'unet' answers for whole months only") as error:
            talkative(ESTIMATORS[name])(*batch, wanted)
        assert "\n" not in str(error.value)


@every_estimator
def test_a_short_month_padded_is_the_same_month(slots):
    estimator = talkative(slots).eval()
    anomaly, observed, ocean, exists = (x[:1] for x in inputs())
    expected = estimator(anomaly, observed, ocean, exists)
    sst = torch.where(observed, 15 + anomaly, torch.nan)[0, :28].double().numpy()
    prior = np.full(sst.shape, 15.0)
    batch = Batch.of([Month(sst, ocean[0].numpy(), prior)], estimator.patch_size)
    assert torch.equal(batch.exists, exists) and torch.equal(batch.observed, observed)
    torch.testing.assert_close(estimator(*batch.inputs), expected, atol=1e-5, rtol=1e-5)
    # Days that exist and saw nothing are something else.
    unseen = estimator(anomaly, observed, ocean, torch.ones_like(exists))
    if isinstance(estimator.network, UNet):  # its network cannot tell them apart
        unseen, expected = (x.first_guess for x in (unseen, expected))
    else:
        unseen, expected = unseen.mean, expected.mean
    assert not torch.allclose(unseen, expected, atol=1e-4)


@every_estimator
def test_days_that_do_not_exist_may_be_left_away(slots):
    estimator = talkative(slots).eval()
    anomaly, observed, ocean, exists = (x[:1] for x in inputs())
    short = anomaly[:, :28], observed[:, :28], ocean, exists[:, :28]
    if isinstance(estimator.network, UNet):
        with pytest.raises(ValueError, match="T must be 31"):
            estimator(*short)
        return
    expected = estimator(anomaly, observed, ocean, exists)
    torch.testing.assert_close(estimator(*short), expected, atol=1e-5, rtol=1e-5)


@every_estimator
def test_land_is_exactly_zero(slots):
    anomaly, observed, ocean, exists = inputs()
    for training in (True, False):
        mean, first_guess = talkative(slots).train(training)(anomaly, observed, ocean, exists)
        assert mean.shape == first_guess.shape == (3, 12, 16)
        for field in (mean, first_guess):
            assert (field[~ocean] == 0).all() and (field[ocean] != 0).all()


@every_answering
def test_land_is_exactly_zero_whatever_is_asked(slots):
    anomaly, observed, ocean, exists = inputs()
    for training in (True, False):
        estimator = talkative(slots).train(training)
        for field in estimator(anomaly, observed, ocean, exists, questions(exists)):
            assert field.shape == (3, 12, 16)
            assert (field[~ocean] == 0).all() and (field[ocean] != 0).all()


@every_estimator
def test_a_month_without_observation_is_what_the_network_says_of_nothing(slots):
    anomaly, observed, ocean, exists = inputs()
    nothing = torch.zeros_like(observed)
    for training in (True, False):
        estimator = talkative(slots, scale=2.0).train(training)
        mean, first_guess = estimator(anomaly, nothing, ocean, exists)
        assert mean.isfinite().all() and (first_guess == 0).all()
        guess = estimator.first_guess(torch.zeros_like(anomaly), nothing, ocean, exists)
        said = estimator.network(guess.channels, ~guess.known, ~ocean, ~exists, guess.maps)
        torch.testing.assert_close(mean, 2.0 * said, atol=1e-6, rtol=1e-5)
        mean.square().sum().backward()
        assert all(g is None or g.isfinite().all() for g in gradients(estimator).values())


@every_estimator
def test_one_month_trains_every_parameter(slots):
    estimator = talkative(slots)
    trained_once(estimator, *(x[:1] for x in inputs()))
    untouched = [name for name, g in gradients(estimator).items() if g is None]
    assert untouched == []
    assert all(g.isfinite().all() for g in gradients(estimator).values())
    counted = sum(g.numel() for g in gradients(estimator).values())
    assert counted == sum(p.numel() for p in estimator.parameters()) > 0
    moved = sum(g.numel() for g in gradients(estimator).values() if (g != 0).any())
    assert moved > 0.9 * counted


@every_answering
def test_questions_train_every_parameter(slots):
    *batch, exists = inputs()
    estimator = talkative(slots)
    _, found = trained_once(estimator, *batch, exists, questions(exists))
    assert set(found) == {name for name, _ in estimator.named_parameters()}
    assert all(gradient.isfinite().all() for gradient in found.values())
    still = [name for name, gradient in found.items() if gradient.abs().max() < 1e-7]
    assert still in ([], ["network.temporal.scorer.3.bias"])  # added to all days, it moves nothing


@every_estimator
def test_the_smallest_map_trains(slots):
    estimator = talkative(slots)
    _, H, W = estimator.patch_size
    anomaly, observed, ocean, exists = inputs(B=1, H=H, W=W)
    ocean[:] = True
    estimate, found = trained_once(estimator, anomaly, observed, ocean, exists)
    assert estimate.mean.shape == (1, H, W) and estimate.mean.isfinite().all()
    assert all(gradient.isfinite().all() for gradient in found.values())
    assert estimator.eval()(anomaly, observed, ocean, exists).mean.isfinite().all()


@every_estimator
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_every_precision_trains(slots, dtype):
    estimator = talkative(slots).to(dtype)
    batch = inputs()
    estimate, found = trained_once(estimator, *batch)
    assert estimate.mean.isfinite().all() and estimate.first_guess.isfinite().all()
    assert all(gradient.isfinite().all() for gradient in found.values())
    assert all(value.isfinite().all() for value in estimator.state_dict().values())
    assert (estimate.mean[~batch[2]] == 0).all()
    if dtype is torch.float64:
        assert estimate.mean.dtype == dtype
        single = talkative(slots)(*batch)
        torch.testing.assert_close(
            single.mean.double(), estimate.mean, atol=1e-4, rtol=1e-4, check_dtype=False
        )


@every_estimator
def test_bfloat16_is_close(slots):
    estimator, batch = talkative(slots).eval(), inputs()
    exact = estimator(*batch).mean
    rough = copy.deepcopy(estimator).bfloat16()(*batch).mean.float()
    error, size = (x[batch[2]].square().mean().sqrt() for x in (rough - exact, exact))
    assert error < 0.04 * size  # rounding is relative, to the bias of the last layer too


@every_estimator
def test_nothing_is_added_before_training(slots):
    torch.manual_seed(0)
    estimator, batch = build(*slots, scale=2.0), inputs()
    for training in (True, False):
        mean, first_guess = estimator.train(training)(*batch)
        assert torch.equal(mean, first_guess)
        assert mean[batch[2]].abs().max() > 0.05
    assert not torch.allclose(*talkative(slots)(*batch))


@every_estimator
def test_the_scale_is_a_unit(slots):
    anomaly, *masks = inputs()
    one, two = talkative(slots).eval(), talkative(slots, scale=2.0).eval()
    expected, found = one(anomaly, *masks), two(2 * anomaly, *masks)
    torch.testing.assert_close(found.mean, 2 * expected.mean)
    torch.testing.assert_close(found.first_guess, 2 * expected.first_guess)
    if getattr(one.first_guess, "tune", None) is None:  # linear: the unit does not matter at all
        guess = two(anomaly, *masks).first_guess
        torch.testing.assert_close(guess, expected.first_guess, atol=1e-6, rtol=1e-5)


@every_estimator
def test_saved_and_loaded_it_is_the_same(slots, tmp_path):
    estimator, batch = talkative(slots, scale=1.5), inputs()
    estimator(*batch)  # statistics of its own
    save_weights(tmp_path / "w.safetensors", estimator, *slots, {})
    loaded = load_weights(tmp_path / "w.safetensors")
    assert loaded.scale == 1.5 and not loaded.training
    assert torch.equal(loaded(*batch).mean, estimator.eval()(*batch).mean)


@every_estimator
@pytest.mark.parametrize("shape", [(28, 33, 21), (31, 1, 5)])
def test_a_map_of_any_size(slots, shape):
    rng = np.random.default_rng(0)
    sst = rng.normal(15, 1, shape)
    sst[rng.random(shape) < 0.8] = np.nan
    ocean = np.ones(shape[1:], dtype=bool)
    ocean[:5, :2] = False
    month, estimator = Month(sst, ocean), talkative(slots).eval()
    batch = Batch.of([month], estimator.patch_size)
    estimate = estimator(*batch.inputs)
    H, W = shape[1:]
    assert estimate.mean.shape == batch.ocean.shape
    assert estimate.mean.isfinite().all() and (estimate.mean[:, H:] == 0).all()
    sst = as_method(build(*slots))(month)
    assert sst.shape == ocean.shape and np.isfinite(sst[ocean]).all()
    assert np.isnan(sst[~ocean]).all() and abs(sst[ocean].mean() - 15) < 0.5


@every_estimator
def test_it_trains_compiled_as_one_graph(slots):
    """Whole graph or an error; the "eager" backend needs no compiler."""
    estimator, batch = talkative(slots), inputs(B=2)
    torch._dynamo.reset()
    whole = torch.compile(estimator, fullgraph=True, backend="eager", dynamic=False)
    asked = [()] if "blocks" not in slots[1] else [(), (questions(batch[3]),)]
    for wanted in asked:  # one network with questions is enough: it has all that the others have
        expected = copy.deepcopy(estimator)(*batch, *wanted)
        torch.testing.assert_close(whole(*batch, *wanted), expected)


# ---------------------------------------------------------------- what build refuses


@pytest.mark.parametrize(
    ("first_guess", "network", "text"),
    [
        ({"name": "kriging"}, TRANSFORMER, r"first_guess.name='kriging'.*corrections.*gaussian"),
        ({}, TRANSFORMER, "first_guess.name=None"),
        (GAUSSIAN, {"name": ["unet"]}, r"network.name=\['unet'\], choose one of"),
        (GAUSSIAN, {"name": "os.system"}, "network.name='os.system'.*convolutions.*unet"),
        (GAUSSIAN, TRANSFORMER | {"depth": 3}, r"no setting 'depth'; it has \['embed_dim'.*'skip'"),
        (GAUSSIAN, TRANSFORMER | {"embed_dim": 18}, "embed_dim"),
        (GAUSSIAN, TRANSFORMER | {"embed_dim": "wide"}, "network 'transformer' cannot be built"),
        (GAUSSIAN, TRANSFORMER | {"in_chans": 2}, "'transformer' has no setting 'in_chans'"),
        (GAUSSIAN, TRANSFORMER | {"blocks": 1, "spatial_heads": 3}, "heads=3 does not divide"),
        (GAUSSIAN, {"name": "unet", "width": 12}, "'unet' needs a width.*multiple of 8, got 12"),
        (GAUSSIAN, {"name": "unet", "width": 0}, "'unet' needs a width.*multiple of 8, got 0"),
        (GAUSSIAN, {"name": "convolutions", "skip": True}, "'convolutions' needs skip = true"),
        (CORRECTIONS, {"name": "convolutions"}, "'convolutions' needs skip = true"),
        (CORRECTIONS | {"iterations": 2}, TRANSFORMER, "iterations must be at least 3, got 2"),
        (CORRECTIONS | {"passes": 4}, TRANSFORMER, r"no setting 'passes'; it has \['iterations'"),
    ],
)
def test_build_names_what_is_wrong(first_guess, network, text):
    with pytest.raises(ValueError, match=text) as error:
        build(first_guess, network)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("scale", [0, -1.0, float("nan"), float("inf")])
def test_a_scale_that_is_none_is_refused(scale):
    with pytest.raises(ValueError, match=f"scale must be a positive number of K, got {scale}"):
        build(GAUSSIAN, TRANSFORMER, scale)


def test_build_leaves_its_settings_as_they_are():
    first_guess, network = dict(CORRECTIONS), dict(TRANSFORMER | OPTIONS)
    build(first_guess, network)
    assert (first_guess, network) == (CORRECTIONS, TRANSFORMER | OPTIONS)


# ---------------------------------------------------------------- one network or the other


def test_skip_hands_the_network_the_maps():
    skip = build(CORRECTIONS, TRANSFORMER | {"skip": True}).network
    assert skip.decoder.skip_chans == 2 * 4 + 3
    for slots in ((CORRECTIONS, TRANSFORMER), (GAUSSIAN, TRANSFORMER | {"skip": True})):
        assert build(*slots).network.decoder.skip_chans == 0


def test_convolutions_are_the_transformer_with_silent_tokens():
    torch.manual_seed(0)
    whole = build(CORRECTIONS, TRANSFORMER | {"skip": True, "residual_blocks": 1}).eval()
    decoder, width = whole.network.decoder, 8
    alone = build(
        CORRECTIONS, {"name": "convolutions", "skip": True, "width": width, "residual_blocks": 1}
    ).eval()
    torch.nn.init.normal_(decoder.head[3].weight)
    batch = inputs()
    before = whole(*batch).mean
    with torch.no_grad():
        decoder.deconv.weight.zero_()
        decoder.deconv.bias.zero_()
        alone.network.first.weight.copy_(decoder.head[0].weight[:, width:])
    for ours, theirs in (
        (alone.network.norm, decoder.head[1]),
        (alone.network.last, decoder.head[3]),
        (alone.network.residual_blocks, decoder.residual_blocks),
        (alone.first_guess, whole.first_guess),
    ):
        ours.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(alone(*batch).mean, whole(*batch).mean)
    assert not torch.allclose(whole(*batch).mean, before)


def test_attention_of_an_estimator_is_that_of_its_network():
    estimator = talkative((CORRECTIONS, TRANSFORMER | OPTIONS)).eval()
    batch = inputs()
    plain = estimator(*batch).mean
    attention = estimator.attention(*batch)
    temporal, spatial = attention["temporal"], attention["spatial"]
    assert temporal.shape == (3, 12, 31) and [x.shape for x in spatial] == [(3, 4, 12, 12)] * 2
    assert (temporal[0, :, 28:] == 0).all() and (temporal[1, :, 28:] > 0).any()
    torch.testing.assert_close(temporal.sum(-1), torch.ones(3, 12))
    assert torch.equal(estimator(*batch).mean, plain)


def test_networks_alone_name_what_is_wrong():
    data, mask = torch.randn(2, 1, 31, 8, 8), torch.rand(2, 1, 31, 8, 8) < 0.5
    unet = UNet(width=8)
    with pytest.raises(ValueError, match=r"land must have shape \(2, 8, 8\)"):
        unet(data, mask, torch.zeros(2, 1, 8, 8, dtype=torch.bool))
    with pytest.raises(ValueError, match="missing must be boolean, got torch.float32"):
        unet(data, mask.float())
    with pytest.raises(ValueError, match=r"T, H, W = 31, 8, 6.*multiples of 4"):
        unet(data[..., :6], mask[..., :6])


@pytest.mark.parametrize(
    "network", [SpatioTemporalModel(embed_dim=16, hidden=16), UNet(width=8), Convolutions(1, 5)]
)
def test_networks_do_without_land_and_absent_days(network):
    """The published call: data and mask alone are a month of open sea."""
    data, mask, skip = torch.randn(2, 1, 31, 8, 8), torch.rand(2, 1, 31, 8, 8) < 0.5, None
    if isinstance(network, Convolutions):
        skip = torch.randn(2, 5, 8, 8)
    land, absent = torch.zeros(2, 8, 8, dtype=torch.bool), torch.zeros(2, 31, dtype=torch.bool)
    network.eval()
    torch.testing.assert_close(
        network(data, mask, skip=skip), network(data, mask, land, absent, skip)
    )
    absent[:, 28:] = True  # need not be flagged as missing a second time
    missing = mask | absent[:, None, :, None, None]
    torch.testing.assert_close(
        network(data, mask, land, absent, skip), network(data, missing, land, absent, skip)
    )
