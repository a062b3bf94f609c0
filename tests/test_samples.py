"""Samples: reproducible, honest about gaps, made of the data given; and which days may judge."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from sst_tutorial.benchmark import GAP_DAYS, split_years, training_days, validation_months
from sst_tutorial.months import Batch
from sst_tutorial.samples import SampleMaker, open_clouds, random_coasts


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
