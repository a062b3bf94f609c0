"""Samples: reproducible, honest about gaps, and made of the data they are given."""

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

from sst_tutorial.samples import SampleMaker, fixed_months, open_clouds, random_coasts


@pytest.fixture(scope="module")
def maker():
    return SampleMaker("cpu", seed=3, size=16, pieces=8)


def test_a_batch_depends_on_seed_and_step_alone(maker):
    again = SampleMaker("cpu", seed=3, size=16, pieces=8)
    again(7, 4)  # another step in between changes nothing
    for name, tensor in vars(maker(2, 6)).items():
        assert torch.equal(tensor, vars(again(2, 6))[name]), name
    assert not torch.equal(maker(3, 6).anomaly, maker(2, 6).anomaly)


def test_shapes_and_gaps(maker):
    batch = maker(0, 10)
    assert len(batch) == 10 and batch.anomaly.shape == (10, 31, 16, 16)
    assert (batch.anomaly[batch.missing] == 0).all()
    assert batch.missing[batch.days_mask].all()
    assert (batch.missing | ~batch.land[:, None]).all()
    length = (~batch.days_mask).sum(1)
    assert length.min() >= 28 and length.max() == 31
    seen = (~batch.missing).float().mean((1, 2, 3))
    assert 0 < seen.min() and seen.max() < 0.9


def test_the_target_is_the_mean_of_the_complete_days():
    """A constant ocean: whatever the clouds, the target is its value."""
    days = np.full((40, 16, 16), 2.0, "float32")
    days[:, 0, :] = np.nan  # land
    maker = SampleMaker("cpu", 0, 16, real=days, pieces=4, simulated=0.0)
    batch = maker(0, 16)
    ocean = ~batch.land
    assert (batch.land.sum((1, 2)) == 16).all()
    spread = [batch.target[i][ocean[i]].std() for i in range(16)]
    assert max(spread) < 2e-3  # half precision
    for i in range(16):
        seen = ~batch.missing[i]
        if seen.sum() > 200:
            assert batch.anomaly[i][seen].mean() == pytest.approx(
                batch.target[i][ocean[i]].mean().item(), abs=0.15
            )


def test_real_clouds_are_used():
    clouds = np.zeros((5, 16, 16), bool)
    clouds[:, 3, 4] = True
    maker = SampleMaker("cpu", 0, 16, clouds=clouds, pieces=4)
    seen = (~maker(0, 20).missing).sum((1, 2, 3))
    assert (seen <= 31).sum() >= 14  # four fifths see one cell a day


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (dict(real=np.zeros((31, 16, 16))), "more than 31 days"),
        (dict(real=np.zeros((99, 8, 16))), "16, 16"),
        (dict(clouds=np.zeros((3, 16, 16))), "bool"),
        (dict(clouds=np.zeros((3, 8, 8), bool)), "16, 16"),
    ],
)
def test_wrong_data_is_named(arguments, text):
    with pytest.raises(ValueError, match=text):
        SampleMaker("cpu", 0, 16, pieces=4, **arguments)


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


def test_fixed_months_pad_short_months():
    time = pd.date_range("2011-01-01", "2011-03-31")
    values = np.arange(len(time), dtype="float32")[:, None, None] * np.ones((1, 4, 4), "float32")
    values[:, 0, 0] = np.nan
    real = xr.DataArray(values, dims=("time", "lat", "lon"), coords={"time": time})
    exam = fixed_months(real, np.ones((2, 4, 4), bool), draws=2, seed=0)
    assert len(exam) == 6
    assert exam.days_mask.sum(1).tolist() == [0, 3, 0] * 2
    assert exam.target[:, 1, 1].tolist() == pytest.approx([15.0, 44.5, 74.0] * 2)
    assert exam.land[:, 0, 0].all() and exam.missing[:, :, 0, 0].all()


def test_a_day_without_values_is_not_taken_for_land():
    real = np.zeros((60, 16, 16), "float32")
    real[:, :4] = np.nan  # land
    real[17] = np.nan
    with pytest.raises(ValueError, match="real has holes over the ocean on day 17"):
        SampleMaker("cpu", seed=0, size=16, real=real, pieces=4)
    times = pd.date_range("2011-01-01", periods=60)
    series = xr.DataArray(real, {"time": times}, ("time", "lat", "lon"))
    with pytest.raises(ValueError, match="day 17"):
        fixed_months(series, np.ones((5, 16, 16), dtype=bool), draws=1, seed=0)


@pytest.mark.parametrize("batch_size", [2, 8, 12, 64])
def test_small_batches_get_their_share_of_simulated_seas(batch_size):
    maker = SampleMaker("cpu", seed=0, size=16, real=np.zeros((60, 16, 16)), pieces=4)
    asked = []
    ocean = maker._ocean
    maker._ocean = lambda simulated, real: asked.append((simulated, real)) or ocean(simulated, real)
    for step in range(8):
        assert len(maker(step, batch_size)) == batch_size
    simulated, real = np.sum(asked, axis=0)
    assert simulated / (simulated + real) == pytest.approx(0.25, abs=0.02)


def test_files_that_are_no_clouds(tmp_path):
    np.save(tmp_path / "clouds.npy", np.ones((2, 4, 4), dtype=bool))
    (tmp_path / "empty.npz").write_bytes(b"")
    np.savez(tmp_path / "whole.npz", observed=np.ones((2, 4, 4), dtype=bool))
    (tmp_path / "cut.npz").write_bytes((tmp_path / "whole.npz").read_bytes()[:100])
    for name in ("clouds.npy", "empty.npz", "cut.npz"):
        with pytest.raises(ValueError, match="is not an .npz file"):
            open_clouds(tmp_path / name)
