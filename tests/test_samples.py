"""Samples: reproducible, honest about gaps, made of the data given; and which days may judge."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from sst_tutorial import benchmark, samples
from sst_tutorial.benchmark import (
    GAP_DAYS,
    MOVING_TEST,
    MOVING_VALIDATION,
    moving_months,
    split_years,
    training_days,
    validation_months,
)
from sst_tutorial.months import Batch
from sst_tutorial.prior import smooth_mean, smooth_prior
from sst_tutorial.samples import SampleMaker, open_clouds, random_coasts
from sst_tutorial.settings import settings_of


@pytest.fixture(scope="module")
def maker():
    return SampleMaker("cpu", seed=3, size=16, pieces=8)


def same(a, b):
    names = [field.name for field in dataclasses.fields(Batch)]
    return all(
        getattr(a, name) is getattr(b, name) is None
        or torch.equal(getattr(a, name), getattr(b, name))
        for name in names
    )


def test_without_new_options_batches_are_the_old_ones():
    """To the last bit, whether the options that came later are named or left away."""
    off = dict.fromkeys(("moving", "lasting", "daily", "no_climatology"), 0.0)
    for options in ({}, off | {"moving_seas": 3}):
        batch = SampleMaker("cpu", seed=3, pieces=8, **options)(0, 16)
        assert batch.anomaly.double().sum().item() == pytest.approx(48182.0784, abs=1e-3)
        assert batch.target.double().sum().item() == pytest.approx(6236.2660, abs=1e-3)
        assert batch.wanted is None and len(batch.inputs) == 4
    t, h, w = np.ogrid[:60, :16, :16]
    real = np.sin(0.3 * t + 0.2 * h) + np.cos(0.1 * t * w)
    real[:, :3, :4] = np.nan
    clouds = (t * 7 + h * 5 + w * 3) % 11 < t % 9
    maker = SampleMaker("cpu", seed=5, size=16, real=real, clouds=clouds, pieces=8)
    for step, anomaly, target, seen in (
        (0, 1612.38736, 180.60387, 11982),
        (6, -5043.09529, -562.11585, 10780),
    ):
        batch = maker(step, 6)
        assert batch.anomaly.double().sum().item() == pytest.approx(anomaly, abs=1e-3)
        assert batch.target.double().sum().item() == pytest.approx(target, abs=1e-3)
        assert batch.observed.sum() == seen


def test_a_batch_depends_on_seed_and_step_alone(maker):
    again = SampleMaker("cpu", seed=3, size=16, pieces=8)
    again(7, 4)  # another step in between changes nothing
    for step in (2, 3, 2, 0, 5):  # of the same block, of another one, and back
        assert same(maker(step, 6), again(step, 6))
    assert not same(maker(3, 6), maker(2, 6))
    assert not same(SampleMaker("cpu", seed=4, size=16, pieces=8)(2, 6), maker(2, 6))


def test_no_sample_comes_twice(maker):
    found = torch.cat([maker(step, 6).target for step in range(9)]).flatten(1)
    assert len(torch.unique(found, dim=0)) == 54


def test_random_numbers_are_new_in_every_block(maker):
    """Not only the flips and crops, which the host draws."""
    lengths = [maker(step, 32).exists.sum(1) for step in (0, samples.AHEAD, 2 * samples.AHEAD)]
    assert len({tuple(length.tolist()) for length in lengths}) == 3


def test_the_cloudier_half_of_real_clouds_is_preferred():
    """0.6 of the months take their days from it alone, the others from all: 0.8 of the days."""
    clouds = np.zeros((40, 16, 16), bool)
    clouds[::2] = True
    batch = SampleMaker("cpu", seed=1, size=16, clouds=clouds, pieces=4)(0, 300)
    share = batch.observed.float().mean((2, 3))[batch.exists]
    hidden, clear = (share == 0).sum(), (share == 1).sum()
    assert 0.74 < float(hidden / (hidden + clear)) < 0.86


def test_shapes_and_gaps(maker):
    batch = maker(0, 10)
    assert len(batch) == 10 and batch.anomaly.shape == (10, 31, 16, 16)
    assert (batch.anomaly[~batch.observed] == 0).all()
    assert not batch.observed[~batch.exists].any()
    assert (~batch.observed | batch.ocean[:, None]).all()
    length = batch.exists.sum(1)
    assert length.min() >= 28 and length.max() == 31
    assert (batch.exists[:, 1:] <= batch.exists[:, :-1]).all()  # the padding stands at the end
    seen = batch.observed.float().mean((1, 2, 3))
    assert 0 < seen.min() and seen.max() < 0.9
    assert batch.target.isfinite().all() and batch.prior is None


def test_the_target_is_the_mean_of_the_complete_days():
    """A constant ocean: whatever the clouds, the target is its value."""
    days = np.full((40, 16, 16), 2.0, "float32")
    days[:, 0, :] = np.nan  # land
    maker = SampleMaker("cpu", 0, 16, real=days, pieces=4, simulated=0.0)
    batch = maker(0, 16)
    ocean = batch.ocean
    assert ((~ocean).sum((1, 2)) == 16).all()
    spread = [batch.target[i][ocean[i]].std() for i in range(16)]
    assert max(spread) < 2e-3  # half precision
    for i in range(16):
        seen = batch.observed[i]
        if seen.sum() > 200:
            assert batch.anomaly[i][seen].mean() == pytest.approx(
                batch.target[i][ocean[i]].mean().item(), abs=0.15
            )


@pytest.fixture
def quick_seas(monkeypatch):
    """Moving seas that cost nothing: noise, of fewer cells and days."""

    def noise(runs, days, size, generator, device, cell_km=8.0, speed=0.24):
        assert (cell_km, speed) in ((8.0, 0.24), ((4.0, 16.0), (0.15, 0.36)))
        return torch.randn(runs, days, size, size, generator=generator, device=device)

    monkeypatch.setattr(samples, "moving_anomalies", noise)
    monkeypatch.setattr(samples, "MOVING_SIZE", 16)
    monkeypatch.setattr(samples, "MOVING_DAYS", 40)


def clear(**options):
    """A maker without noise whose real clouds hide nothing: what is observed is the truth."""
    clouds = np.ones((4, 16, 16), bool)
    maker = SampleMaker("cpu", 0, 16, clouds=clouds, pieces=4, **options)
    maker._normal = torch.zeros
    return maker


def test_the_target_is_the_mean_of_the_days_asked_for():
    batch = clear(daily=0.5, coasts=random_coasts(2, 16, seed=0))(0, 64)
    alone, checked = batch.wanted.sum(1) == 1, set()
    assert 20 < alone.sum() < 44
    assert torch.equal(batch.wanted[~alone], batch.exists[~alone])
    assert not (batch.wanted & ~batch.exists).any()
    for anomaly, observed, ocean, exists, wanted, target in zip(
        batch.anomaly, batch.observed, batch.ocean, batch.exists, batch.wanted, batch.target,
        strict=True,
    ):  # fmt: skip
        seen = observed[wanted].all(0)  # on all days asked for
        mean = anomaly[wanted].mean(0)
        torch.testing.assert_close(target[seen], mean[seen], atol=1e-5, rtol=1e-5)
        assert (target[~ocean] == 0).all()
        if seen.any():
            month = anomaly[exists].mean(0)
            checked.add((wanted.sum().item() == 1, torch.allclose(target[seen], month[seen])))
    assert checked == {(True, False), (False, True)}


def test_every_day_of_a_month_is_asked_for():
    maker = SampleMaker("cpu", 0, 16, pieces=4, daily=1.0)
    length = torch.full((6000,), 28)
    length[3000:] = 31
    exists = torch.arange(31) < length[:, None]
    wanted = maker._wanted(length, exists)
    assert (wanted.sum(1) == 1).all() and not (wanted & ~exists).any()
    for days, part in ((28, wanted[:3000]), (31, wanted[3000:])):
        often = part.sum(0)[:days] / (3000 / days)
        assert 0.6 < often.min() and often.max() < 1.4
    batch = maker(0, 8)
    assert (batch.wanted.sum(1) == 1).all() and len(batch.inputs) == 5


def test_a_day_is_another_question_of_the_same_sample():
    """The numbers after the question are others, the sea before it is the same."""
    whole, days = (clear(daily=daily, coasts=random_coasts(2, 16, 0)) for daily in (0.0, 1.0))
    whole._seen = days._seen = lambda n: torch.ones(n, 31, 16, 16, dtype=torch.bool)
    whole, days = (maker._block(0, 8) for maker in (whole, days))
    assert torch.equal(whole[2][0], days[2][0]) and torch.equal(whole[3][0], days[3][0])
    torch.testing.assert_close(whole[0][0], days[0][0])


# ---------------------------------------------------------------- seas that move


def counted(maker, batch_size, steps=40):
    """Samples (parts, 3) that are simulated, real and moving, of each part; no sea is made."""
    asked = []

    def sea(*counts):
        n = sum(counts)
        asked.append(counts)
        return torch.zeros(n, 31, 16, 16), torch.ones(n, 16, 16, dtype=torch.bool)

    maker._ocean = sea
    maker._seen = lambda n: torch.ones(n, 31, 16, 16, dtype=torch.bool)
    for block in range(steps // samples.AHEAD):
        fields = maker._block(block, samples.AHEAD * batch_size)
        assert len(fields[0]) == samples.AHEAD * batch_size
    return np.array(asked)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 16])
@pytest.mark.parametrize(
    ("simulated", "moving"), [(0.25, 0.5), (0.4, 0.4), (0.5, 0.5), (0.0, 1.0), (1.0, 0.0), (0, 0.3)]
)
def test_shares_of_real_simulated_and_moving_seas(quick_seas, batch_size, simulated, moving):
    real = np.zeros((60, 16, 16))
    maker = SampleMaker("cpu", 0, 16, real, pieces=4, simulated=simulated, moving=moving)
    asked = counted(maker, batch_size)
    assert (asked >= 0).all() and (asked.sum(1) <= -(-4 * batch_size // samples.PARTS)).all()
    shares = asked.sum(0) / asked.sum()
    expected = [simulated, 1 - simulated - moving, moving]
    np.testing.assert_allclose(shares, expected, atol=1.5 / asked.sum())


@pytest.mark.parametrize("moving", [0.0, 0.3, 0.5, 1.0])
def test_without_real_data_all_that_does_not_move_is_simulated(quick_seas, moving):
    for batch_size in (1, 3, 16):
        asked = counted(SampleMaker("cpu", 0, 16, pieces=4, moving=moving), batch_size)
        assert (asked >= 0).all() and (asked[:, 1] == 0).all()
        assert asked[:, 2].sum() == pytest.approx(moving * asked.sum(), abs=1.5)


def test_samples_are_of_the_seas_they_should_be(quick_seas):
    """Told apart by their size: real ones of 2 K, simulated ones of 10 K, moving ones of 100 K."""
    real = np.full((60, 16, 16), 2.0)
    maker = clear(real=real, simulated=0.25, moving=0.5)
    maker.ocean = torch.full_like(maker.ocean, 10.0)
    maker.moving_sea = torch.full_like(maker.moving_sea, 100.0)
    batch = maker(0, 64)
    size = batch.target.abs().amax((1, 2))
    moving, simulated = size > 30, (size > 5) & (size < 30)
    assert (moving.sum(), simulated.sum()) == (32, 16)
    assert size[moving].min() > 39.9 and size[moving].max() < 120.1  # livelier or quieter
    assert size[moving].std() > 10 and (size[simulated] == 10).all()
    assert size[~moving & ~simulated].min() > 1.5 and size[~moving & ~simulated].max() < 3.6
    assert (batch.target[moving] > 0).any() and (batch.target[moving] < 0).any()


def test_moving_seas_have_no_edges(quick_seas):
    """Windows of any day and place, across the edge, at the speed of the sea."""
    maker = SampleMaker("cpu", 0, 16, pieces=4, moving=1.0, moving_seas=2)
    assert maker.moving_sea.shape == (2, 40, 16, 16) and maker.moving_sea.dtype == torch.float16
    t, h, w = torch.meshgrid(torch.arange(40), torch.arange(16), torch.arange(16), indexing="ij")
    starts = {}
    for axis, place in enumerate((t, h, w), start=1):
        maker.moving_sea = torch.stack([1.0 + place, 101.0 + place]).half()
        field = maker._in_motion(60)
        assert field.shape == (60, 31, 16, 16)
        line = field.movedim(axis, -1)
        assert (line == line[:, :1, :1]).all()  # it changes along this axis alone
        line = line[:, 0, 0]
        step = line.diff(dim=1)
        scale = step.median(1).values[:, None]
        assert scale.min() > 0.39 and scale.max() < 1.21
        first = (line / scale).round().long() % 100 - 1  # (60, days or cells)
        expected = first[:, :1] + torch.arange(first.shape[1])
        assert torch.equal(first, expected if axis == 1 else expected % 16)
        starts[axis] = set(first[:, 0].tolist())
        second = (line / scale)[:, 0] > 100
        assert second.any() and not second.all()
    assert starts[1] <= set(range(10)) and len(starts[1]) == 10  # 31 of 40 days
    assert len(starts[2]) > 12 and len(starts[3]) > 12


def test_moving_seas_need_no_coast_and_take_one(quick_seas):
    bare = SampleMaker("cpu", 0, 16, pieces=4, moving=1.0)(0, 24)
    assert bare.ocean.all()
    coasts = random_coasts(3, 16, seed=0)
    batch = SampleMaker("cpu", 0, 16, coasts=coasts, pieces=4, moving=1.0)(0, 40)
    open_sea = batch.ocean.all(2).all(1)
    assert 8 < open_sea.sum() < 32
    assert not (batch.observed & ~batch.ocean[:, None]).any()
    assert (batch.target[~batch.ocean] == 0).all() and (batch.target[batch.ocean] != 0).all()


def test_shares_of_more_than_all_samples_are_refused(quick_seas):
    real = np.zeros((60, 16, 16))
    for options in (
        {"real": real, "simulated": 0.5, "moving": 0.6},
        {"real": real, "moving": 0.8},  # a quarter is simulated by default
        {"moving": 1.1},
    ):
        with pytest.raises(ValueError, match=f"moving={options['moving']} are more than all"):
            SampleMaker("cpu", 0, 16, pieces=4, **options)
    SampleMaker("cpu", 0, 16, real, pieces=4, simulated=0.3, moving=0.7)


def test_no_sea_moves_where_none_is_asked_for(monkeypatch):
    monkeypatch.setattr(samples, "moving_anomalies", None)
    assert SampleMaker("cpu", 0, 16, pieces=4).moving_sea is None


def test_with_all_options_a_batch_depends_on_seed_and_step_alone(monkeypatch):
    """The sea that really moves, a small one."""
    monkeypatch.setattr(samples, "MOVING_SIZE", 16)
    monkeypatch.setattr(samples, "MOVING_DAYS", 32)
    clouds = np.random.default_rng(0).random((50, 16, 16)) < 0.3
    options = dict(moving=0.5, moving_seas=2, lasting=0.5, daily=0.5, clouds=clouds, pieces=4)
    one, two = (SampleMaker("cpu", seed=3, size=16, **options) for _ in range(2))
    assert torch.equal(one.moving_sea, two.moving_sea) and one.moving_sea.std() > 0.1
    two(7, 4)
    for step in (2, 3, 0, 5):
        assert same(one(step, 4), two(step, 4))
    assert one(0, 4).target.isfinite().all() and not same(one(0, 4), one(1, 4))


# ---------------------------------------------------------------- clouds that last


def stays(days):
    """How long each cloud stays, from the day (31,) on which the cloud of each day came."""
    return torch.unique_consecutive(days, return_counts=True)[1].tolist()


def test_lasting_clouds_stay_for_2_to_9_days():
    came = SampleMaker("cpu", 0, 16, pieces=4, lasting=1.0)._last_change(2000)
    day = torch.arange(31)
    assert came.shape == (2000, 31) and (came >= 0).all() and (came <= day).all()
    assert torch.equal(came.gather(1, came), came)  # on the day it came it is new
    lengths, before, after = set(), set(), set()
    for sample in came:
        first, *whole, last = stays(sample)
        assert len(set(whole)) == 1 and max(first, last) <= whole[0]  # cut by the month
        lengths.add(whole[0])
        before.add(first)
        after.add(last)
    assert lengths == set(range(2, 10)) and before >= set(range(1, 9)) <= after


@pytest.mark.parametrize("lasting", [0.25, 0.75])
def test_clouds_last_for_a_share_of_the_samples(lasting):
    came = SampleMaker("cpu", 0, 16, pieces=4, lasting=lasting)._last_change(4000)
    daily = (came == torch.arange(31)).all(1)
    assert 1 - daily.float().mean() == pytest.approx(lasting, abs=0.03)


@pytest.mark.parametrize("lasting", [0.0, 0.5, 1.0])
def test_real_clouds_last_and_simulated_ones_are_left_alone(lasting):
    """Real clouds that are told apart: one cell of 256 is seen."""
    clouds = np.eye(256, dtype=bool).reshape(256, 16, 16)
    maker = SampleMaker("cpu", 0, 16, clouds=clouds, pieces=4, lasting=lasting)
    lasted, real = [], 0
    for _ in range(10):
        seen = maker._seen(50)
        for sample in seen.flatten(2):
            if (sample.sum(1) == 1).all():
                real += 1
                lasted.append(max(stays(sample.float().argmax(1))) >= 2)
                assert max(stays(sample.float().argmax(1))) <= 2 * samples.LONGEST
    assert real == 10 * 40
    by_chance = 1 - (1 - 1 / 128) ** 30  # of a cloud, drawn from half of them, comes twice running
    expected = lasting + (1 - lasting) * by_chance
    assert np.mean(lasted) == pytest.approx(expected, abs=0.12)


# ---------------------------------------------------------------- coasts, clouds, shares


def test_half_of_the_simulated_samples_have_a_coast():
    coasts = random_coasts(3, 16, seed=0)
    batch = SampleMaker("cpu", 0, 16, coasts=coasts, pieces=4)(0, 40)
    open_sea = batch.ocean.all(2).all(1)
    assert 8 < open_sea.sum() < 32
    land = ~batch.ocean
    assert (batch.target[land] == 0).all() and (batch.target[~land] != 0).all()
    assert not (batch.observed & land[:, None]).any()
    for sample in batch.ocean[~open_sea]:  # one of the three, in one of its eight turns
        assert any((sample.sum() == coast.sum()) for coast in coasts)


def test_real_clouds_are_used():
    clouds = np.zeros((5, 16, 16), bool)
    clouds[:, 3, 4] = True
    maker = SampleMaker("cpu", 0, 16, clouds=clouds, pieces=4)
    seen = maker(0, 20).observed.sum((1, 2, 3))
    assert (seen <= 31).sum() >= 14  # four fifths see one cell a day


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (dict(real=np.zeros((31, 16, 16))), "more than 31 days"),
        (dict(real=np.zeros((99, 8, 16))), "16, 16"),
        (dict(clouds=np.zeros((3, 16, 16))), "bool"),
        (dict(clouds=np.zeros((3, 8, 8), bool)), "16, 16"),
        (dict(real=np.zeros((99, 16))), "99, 16"),
    ],
)
def test_wrong_data_is_named(arguments, text):
    with pytest.raises(ValueError, match=text):
        SampleMaker("cpu", 0, 16, pieces=4, **arguments)


def test_too_few_pieces_are_refused():
    with pytest.raises(ValueError, match="pieces must be at least 4, got 3"):
        SampleMaker("cpu", 0, 16, pieces=3)


def test_clouds_open_packed_or_plain(tmp_path):
    looks = np.random.default_rng(0).random((6, 32, 32)) < 0.3
    np.savez(tmp_path / "plain.npz", observed=looks)
    np.savez(tmp_path / "packed.npz", observed=np.packbits(looks.reshape(6, -1), axis=1))
    for name in ("plain.npz", "packed.npz"):
        assert np.array_equal(open_clouds(tmp_path / name), looks)
    np.savez(tmp_path / "float.npz", observed=looks.astype(float))
    (tmp_path / "text.npz").write_text("no archive")
    np.savez(tmp_path / "other.npz", cloudy=looks)
    for name in ("float.npz", "text.npz", "other.npz", "absent.npz"):
        with pytest.raises(ValueError, match=name):
            open_clouds(tmp_path / name)


def test_coasts_hold_sea_and_land():
    coasts = random_coasts(3, 16, seed=0)
    share = coasts.mean((1, 2))
    assert coasts.shape == (3, 16, 16) and (share >= 0.3).all() and (share < 1).all()


def test_a_day_without_values_is_not_taken_for_land():
    real = np.zeros((60, 16, 16), "float32")
    real[:, :4] = np.nan  # land
    real[17] = np.nan
    with pytest.raises(ValueError, match="real has holes over the ocean on day 17"):
        SampleMaker("cpu", seed=0, size=16, real=real, pieces=4)


@pytest.mark.parametrize("batch_size", [2, 8, 12, 64])
def test_small_batches_get_their_share_of_simulated_seas(batch_size):
    maker = SampleMaker("cpu", seed=0, size=16, real=np.zeros((60, 16, 16)), pieces=4)
    asked = []
    ocean = maker._ocean
    maker._ocean = lambda *counts: asked.append(counts) or ocean(*counts)
    for step in range(8):
        assert len(maker(step, batch_size)) == batch_size
    simulated, real, moving = np.sum(asked, axis=0)
    assert moving == 0
    assert simulated / (simulated + real) == pytest.approx(0.25, abs=0.02)


def test_files_that_are_no_clouds(tmp_path):
    np.save(tmp_path / "clouds.npy", np.ones((2, 4, 4), dtype=bool))
    (tmp_path / "empty.npz").write_bytes(b"")
    np.savez(tmp_path / "whole.npz", observed=np.ones((2, 4, 4), dtype=bool))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:100])
    for name in ("clouds.npy", "empty.npz", "cut.npz"):
        with pytest.raises(ValueError, match="is not an .npz file"):
            open_clouds(tmp_path / name)


# ---------------------------------------------------------------- months of a sea that moves


@pytest.fixture(scope="module")
def quick_fields():
    """The months of a sea that moves, without the sea: noise of 1 K in its place."""

    def noise(runs, days, size, generator, device):
        return torch.randn(runs, days, size, size, generator=generator, device=device)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(benchmark, "moving_anomalies", noise)
        yield


@pytest.fixture(scope="module")
def moving(quick_fields):
    clouds = np.random.default_rng(0).random((40, 32, 32)) < np.linspace(0, 1, 40)[:, None, None]
    return clouds, moving_months(clouds, seas=1)


def test_months_of_a_moving_sea_know_the_truth_of_each_day(moving):
    _, months = moving
    assert len(months) == 2 * 16 and len({month.name for month in months}) == 32
    assert months[0].name == "sea 0, day 0, window 0, 0"
    for month in months:
        assert month.sst.shape == month.truth_of_days.shape == (31, 32, 32)
        assert month.ocean.all() and (month.prior == 15).all()
        np.testing.assert_allclose(month.truth, month.truth_of_days.mean(0), atol=1e-5)
        noise = (month.sst - month.truth_of_days)[month.observed]
        assert noise.std() == pytest.approx(0.3, rel=0.06) and abs(noise.mean()) < 0.05
        assert month.truth_of_days.std() == pytest.approx(1, rel=0.05)
    batch = Batch.of(months[:2], day=benchmark.MIDDLE_DAY)
    expected = np.stack([month.truth_of_days[15] - 15 for month in months[:2]])
    np.testing.assert_allclose(batch.target, expected, atol=1e-5)


def test_windows_of_a_moving_sea_tile_it_and_its_months_are_apart(quick_fields, moving):
    generator = torch.Generator().manual_seed(MOVING_TEST)
    fields = benchmark.moving_anomalies(1, 91, 128, generator, "cpu").numpy()[0]
    months = iter(moving[1])
    for start in (0, 60):
        for row in range(0, 128, 32):
            for col in range(0, 128, 32):
                month = next(months)
                assert month.name == f"sea 0, day {start}, window {row}, {col}"
                part = fields[start : start + 31, row : row + 32, col : col + 32]
                np.testing.assert_allclose(month.truth_of_days, 15 + part, atol=1e-5)


def test_moving_months_see_through_the_cloudiest_days(moving):
    clouds, months = moving
    known = {look.tobytes() for look in clouds if look.mean() < benchmark.CLOUDY}
    seen = {look.tobytes() for month in months for look in month.observed}
    assert 10 < len(known) < 30 and seen == known
    with pytest.raises(ValueError, match="clouds holds no day that sees less than 0.45"):
        moving_months(np.ones((3, 32, 32), bool), seas=1)


def test_moving_months_are_those_of_their_seed(moving):
    clouds, months = moving
    assert MOVING_TEST != MOVING_VALIDATION
    again = moving_months(clouds, seas=1)
    other = moving_months(clouds, seed=MOVING_VALIDATION, seas=1)
    np.testing.assert_array_equal(months[5].sst, again[5].sst)
    assert not np.array_equal(months[5].truth, other[5].truth)
    assert not np.array_equal(months[5].observed, other[5].observed)


def test_moving_months_without_clouds_take_simulated_ones(quick_fields):
    months = moving_months(seas=1)
    hidden = np.mean([~month.observed for month in months])
    assert hidden == pytest.approx(0.91, abs=0.03)
    assert not np.array_equal(months[0].observed, months[1].observed)


# ---------------------------------------------------------------- which days train, which judge


def years_of_sea(first=2001, last=2012):
    """Complete daily maps (time, 2, 3) of so many degrees as the day of the year, one cell land."""
    time = pd.date_range(f"{first}-01-01", f"{last}-12-31")
    sst = np.broadcast_to(time.day_of_year.values[:, None, None] / 20.0, (len(time), 2, 3)).copy()
    sst[:, 0, 0] = np.nan
    axes = {"time": time, "lat": [-41.0, -40.0], "lon": [148.0, 149.0, 150.0]}
    return xr.Dataset({"sst": (tuple(axes), sst)}, axes)


def test_the_last_two_years_judge_and_all_before_train():
    assert split_years(years_of_sea()) == {
        "clim": (2001, 2010),
        "train": (2001, 2010),
        "val": (2011, 2012),
    }


def test_years_may_be_chosen():
    series = years_of_sea()
    assert split_years(series, val_years=(2006, 2007)) == {
        "clim": (2001, 2005),
        "train": (2001, 2005),
        "val": (2006, 2007),
    }
    chosen = split_years(series, (2004, 2012), [2001, 2002], (2001, 2012))
    assert chosen == {"clim": (2001, 2012), "train": (2004, 2012), "val": (2001, 2002)}


@pytest.mark.parametrize(
    ("years", "text"),
    [
        (dict(train_years=(2001, 2011)), r"\(2001, 2011\) and val_years=\(2011, 2012\) share"),
        (dict(train_years=(2005, 2012), val_years=(2004, 2005)), "share a year"),
        (dict(train_years=(1990, 1999)), "train_years=1990-1999: the data run from 2001 to 2012"),
        (dict(val_years=(2013, 2014)), "val_years=2013-2014: the data run from 2001 to 2012"),
        (dict(val_years=(2012, 2011)), "val_years=2012-2011.*in order"),
        (dict(val_years=(2001, 2002)), "train_years=2001-2000: the data run"),
        (dict(clim_years=(1982, 2000)), "clim_years=1982-2000"),
    ],
)  # fmt: skip
def test_years_that_cannot_be_are_refused(years, text):
    with pytest.raises(ValueError, match=text):
        split_years(years_of_sea(), **years)


def test_between_training_and_validation_lie_60_days():
    series = years_of_sea()
    years = split_years(series, train_years=(2001, 2010))
    days = training_days(series, years)["time"].values
    assert days[0] == np.datetime64("2001-01-01") and GAP_DAYS == 60
    assert days[-1] == np.datetime64("2010-11-01")  # 60 days before 31 December are left out
    assert (np.datetime64("2011-01-01") - days[-1]) / np.timedelta64(1, "D") == 61
    years = split_years(series, (2005, 2012), (2003, 2004))
    days = training_days(series, years)["time"].values
    assert days[0] == np.datetime64("2005-03-02") and days[-1] == np.datetime64("2012-12-31")
    assert (days[0] - np.datetime64("2004-12-31")) / np.timedelta64(1, "D") == 61


def test_validation_years_amid_those_of_training_leave_gaps_on_both_sides():
    series = years_of_sea()
    years = {"train": (2001, 2012), "val": (2006, 2006)}  # as nobody may ask for: worst case
    days = pd.DatetimeIndex(training_days(series, years)["time"].values)
    inside = (days >= "2005-11-02") & (days <= "2007-03-01")
    assert not inside.any() and len(days) == 12 * 365 + 3 - 365 - 120


def test_validation_months_are_all_months_under_other_clouds():
    daily = years_of_sea(2011, 2011)
    season = np.zeros((366, 2, 3))
    axes = {"dayofyear": np.arange(1, 367), "lat": daily["lat"], "lon": daily["lon"]}
    climatology = xr.DataArray(season, axes)
    clouds = np.zeros((5, 2, 3), bool)
    clouds[:4, 1, 1:] = clouds[4] = True
    months = validation_months(daily, climatology, clouds, draws=2, seed=0)
    assert len(months) == 24 and len({month.name for month in months}) == 24
    assert months[1].name == "2011-02, clouds 0" and len(months[1].sst) == 28
    ocean = np.isfinite(daily["sst"].values[0])
    for month, (_, part) in zip(months, daily["sst"].groupby("time.month"), strict=False):
        assert (month.ocean == ocean).all() and (month.prior == 0).all()
        np.testing.assert_allclose(month.truth[ocean], part.values.mean(0)[ocean])
        looks = month.observed.reshape(len(part), -1)
        kinds = [clouds[0].ravel(), ocean.ravel()]
        assert all(any((look == kind).all() for kind in kinds) for look in looks)
        noise = (month.sst - part.values)[month.observed]
        assert 0.15 < noise.std() < 0.45 and abs(noise.mean()) < 0.15
    assert not np.array_equal(months[0].observed, months[12].observed)  # another draw
    again = validation_months(daily, climatology, clouds, draws=2, seed=0)
    other = validation_months(daily, climatology, clouds, draws=2, seed=1)
    np.testing.assert_array_equal(months[5].sst, again[5].sst)
    assert not np.array_equal(months[5].sst, other[5].sst)
    batch = Batch.of(months[:3])
    assert batch.exists.sum(1).tolist() == [31, 28, 31]
    assert not batch.ocean[:, 0, 0].any() and not batch.observed[:, :, 0, 0].any()


def test_validation_of_a_day_without_values_is_refused():
    daily = years_of_sea(2011, 2011)
    daily["sst"][17] = np.nan
    climatology = xr.DataArray(
        np.zeros((366, 2, 3)), {"dayofyear": np.arange(1, 367)}, ("dayofyear", "lat", "lon")
    )
    with pytest.raises(ValueError, match="data has holes over the ocean on day 17"):
        validation_months(daily, climatology, np.ones((5, 2, 3), bool), draws=1, seed=0)


# ---------------------------------------------------------------- without a climatology


def test_without_a_climatology_the_prior_is_that_of_the_observations():
    """Gradients and trends are in the anomaly, less the smooth map of what was seen."""
    known, unknown = (
        SampleMaker("cpu", seed=3, size=16, pieces=8, no_climatology=share)
        for share in (1e-9, 1.0)
    )
    a, b = known(0, 64), unknown(0, 64)
    assert torch.equal(a.observed, b.observed) and torch.equal(a.ocean, b.ocean)
    changed = (a.target - b.target)[a.ocean]
    assert changed.abs().mean() > 0.2
    assert (b.target[~b.ocean] == 0).all() and (b.anomaly[~b.observed] == 0).all()
    for i in range(4):  # the same change in all that was seen and in the target, but for the trend
        seen = a.observed[i]
        difference = torch.where(seen, a.anomaly[i] - b.anomaly[i], torch.nan)
        trend = difference.nanmean((1, 2)) - (a.target[i] - b.target[i])[a.ocean[i]].mean()
        assert trend.nanmean().abs() < 0.6
        assert b.anomaly[i][seen].mean().abs() < 0.35  # its own smooth map takes the mean away
    with pytest.raises(ValueError, match="no_climatology"):
        settings_of("quick", no_climatology=1.5)


def test_the_smooth_map_is_that_of_reconstruct():
    rng = torch.Generator().manual_seed(0)
    sst = 15 + torch.randn(3, 20, 12, 16, generator=rng)
    seen = torch.rand(sst.shape, generator=rng) < 0.3
    total = torch.where(seen, sst - 15, 0.0).sum(1)
    maps = smooth_mean(total, seen.float().sum(1))
    for i in range(3):
        gappy = torch.where(seen[i], sst[i], torch.nan).numpy()
        expected = smooth_prior(gappy, np.ones((12, 16), bool))[0]
        # `smooth_prior` starts from the mean of all and leaves out what is odd: 4 deviations.
        np.testing.assert_allclose(15 + maps[i].numpy(), expected, atol=0.05)
