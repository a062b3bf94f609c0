"""Months: what the network is given, and what comes back."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from sst_tutorial.baselines import gaussian_mean
from sst_tutorial.model import SpatioTemporalModel
from sst_tutorial.months import MonthDataset, Settings, predict
from sst_tutorial.simulate import observe, simulate_clouds, simulate_ocean

SMALL = dict(embed_dim=16, hidden=16)


@pytest.fixture(scope="module")
def series():
    complete = simulate_ocean(lat=(-42, -38), lon=(150, 154), shape=(16, 16), days=120, seed=4,
                              start="2003-11-15")  # fmt: skip
    return observe(complete, simulate_clouds(complete, cover=0.8, seed=4), seed=4), complete


def test_items_are_calendar_months(series):
    gappy, complete = series
    months = MonthDataset(gappy, complete)
    assert [str(m) for m in months.months] == [
        "2003-11",
        "2003-12",
        "2004-01",
        "2004-02",
        "2004-03",
    ]
    february = months[3]
    assert february["days_mask"].sum() == 2 and february["missing"][29:].all()
    assert february["anomaly"].shape == (31, 16, 16)
    truth = complete["sst"].sel(time="2004-02").mean("time").values
    ocean = ~february["land"].numpy()
    got = (february["target"] + february["prior"]).numpy()
    np.testing.assert_allclose(got[ocean], truth[ocean], atol=1e-3)
    assert (february["target"].numpy()[~ocean] == 0).all()


def test_a_loader_batches_months_of_any_length(series):
    loader = DataLoader(MonthDataset(*series), batch_size=5)
    (batch,) = list(loader)
    expected = gaussian_mean(batch["anomaly"], ~batch["missing"], days_mask=batch["days_mask"])
    torch.testing.assert_close(batch["baseline"], expected)


def test_years_split_by_time(series):
    early, late = (MonthDataset(*series, years=(y, y)) for y in (2003, 2004))
    assert len(early) == 2 and len(late) == 3
    with pytest.raises(ValueError, match="1990"):
        MonthDataset(*series, years=(1990, 1991))
    with pytest.raises(ValueError, match="same days"):
        MonthDataset(series[0].isel(time=slice(10)), series[1])


@pytest.mark.parametrize("passes", [0, 4])
def test_predict_starts_from_its_first_guess(passes):
    """With the last layer at zero the network adds nothing, whatever the scale."""
    model = SpatioTemporalModel(**SMALL, passes=passes).eval()
    torch.nn.init.zeros_(model.decoder.head[3].weight)
    torch.nn.init.zeros_(model.decoder.head[3].bias)
    anomaly = torch.randn(2, 31, 16, 16)
    missing = torch.rand(2, 31, 16, 16) < 0.8
    land = torch.zeros(2, 16, 16, dtype=torch.bool)
    land[:, :3] = True
    monthly, guess = predict(model, Settings(scale=2.0), anomaly, missing, land)
    torch.testing.assert_close(monthly[~land], guess[~land])
    assert guess[~land].abs().max() > 0.05
    nan = anomaly.masked_fill(missing, torch.nan)
    torch.testing.assert_close(predict(model, Settings(scale=2.0), nan, missing, land)[0], monthly)


def test_options_keep_the_promises_of_the_default():
    """Padded days, values under the mask and on land change nothing with every option on."""
    torch.manual_seed(0)
    options = dict(passes=5, adapt=True, skip=True, day_heads=4, refine=1)
    model = SpatioTemporalModel(**SMALL, **options).eval()
    torch.nn.init.normal_(model.decoder.head[3].weight)
    torch.nn.init.normal_(model.corrections.tune[2].weight, std=0.1)
    data = torch.randn(2, 1, 28, 16, 16)
    mask = torch.rand(2, 1, 28, 16, 16) < 0.8
    land = torch.rand(2, 16, 16) < 0.2
    plain = model(data, mask, land)
    assert (plain[land] == 0).all()
    padded = torch.cat([data, torch.full((2, 1, 3, 16, 16), torch.inf)], 2)
    padded_mask = torch.cat([mask, torch.zeros(2, 1, 3, 16, 16, dtype=torch.bool)], 2)
    days = torch.arange(31).expand(2, -1) >= 28
    out, guess = model(padded, padded_mask, land, days, return_first_guess=True)
    torch.testing.assert_close(out, plain, atol=1e-5, rtol=0)
    hidden = mask | land[:, None, None]
    dirty = data.masked_fill(hidden, torch.nan)
    torch.testing.assert_close(model(dirty, mask, land), plain, atol=1e-5, rtol=0)
    out, attention = model(data, mask, land, return_attention=True)
    assert attention["temporal"].shape == (2, 16, 28)
    torch.testing.assert_close(attention["temporal"].sum(-1), torch.ones(2, 16))
    nothing = model(data, torch.ones_like(mask), land)
    assert nothing.isfinite().all()
    with pytest.raises(ValueError, match="passes > 0"):
        SpatioTemporalModel(skip=True)
    with pytest.raises(ValueError, match="in_chans=1"):
        SpatioTemporalModel(in_chans=2, passes=4)
    with pytest.raises(ValueError, match="at least 3"):
        SpatioTemporalModel(passes=2)


def test_a_hole_in_time_leaves_days_unseen_not_absent(series):
    gappy, complete = series
    kept = ~((gappy["time"].dt.month == 1) & gappy["time"].dt.day.isin(range(11, 21))).values
    january = MonthDataset(gappy.isel(time=kept), complete.isel(time=kept))[2]
    assert not january["days_mask"].any()
    assert january["missing"][10:20].all()
    whole = MonthDataset(gappy, complete)[2]
    assert torch.equal(january["missing"][20:], whole["missing"][20:])


def test_a_target_with_holes_is_refused(series):
    gappy, complete = series
    holed = complete.copy(deep=True)
    ocean = np.argwhere(complete["ocean_mask"].values)[0]
    holed["sst"][40, ocean[0], ocean[1]] = np.nan
    with pytest.raises(ValueError, match="gaps over the ocean in 2003-12"):
        MonthDataset(gappy, holed)[1]


def test_a_scale_of_zero_is_refused():
    with pytest.raises(ValueError, match="scale must be positive, got 0"):
        Settings(0)
