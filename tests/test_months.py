"""Months: what is checked when they are made, and the one crossing from degC to K."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from torch.utils.data import DataLoader

from sst_tutorial.baselines import gaussian
from sst_tutorial.first_guess import gaussian_mean
from sst_tutorial.months import DAYS, Batch, Month, MonthDataset, month_of
from sst_tutorial.prior import EMPTY_MONTH_DEGC, smooth_prior
from sst_tutorial.simulate import observe, simulate_clouds, simulate_ocean


def sea(T=30, H=5, W=7, seed=0):
    """sst (T, H, W) around 15 degC with gaps, and its ocean (H, W) with a corner of land."""
    rng = np.random.default_rng(seed)
    sst = np.where(rng.random((T, H, W)) < 0.3, rng.normal(15, 1, (T, H, W)), np.nan)
    ocean = np.ones((H, W), dtype=bool)
    ocean[:2, :2] = False
    return sst, ocean


def known(T=30, H=5, W=7, seed=0, **changes):
    """A month with a prior, a truth and latitudes; what is on land is NaN. See `of_days`."""
    sst, ocean = sea(T, H, W, seed)
    prior = np.where(ocean, 14.0 + 0.1 * np.arange(T)[:, None, None], np.nan)
    truth = np.where(ocean, 16.0, np.nan)
    parts = {"prior": prior, "truth": truth, "lat": np.linspace(-40, -36, H), "name": "2001-02"}
    return Month(sst, ocean, **parts | changes)


def of_days(T=30, H=5, W=7, seed=0, **changes):
    """The same month, and the truth of each of its days: the mean of all of them is 16 degC."""
    days = 16.0 + 0.2 * (np.arange(T) - (T - 1) / 2)[:, None, None] + np.zeros((T, H, W))
    days[:, ~sea(T, H, W)[1]] = np.nan
    return known(T, H, W, seed, **{"truth_of_days": days} | changes)


# ---------------------------------------------------------------- a month


def test_a_month_forgets_land_and_infinity():
    sst, ocean = sea()
    sst[:, 0, 0] = 12.0
    sst[3, 4, 4], sst[4, 4, 4] = np.inf, -np.inf
    month = Month(sst, ocean)
    assert np.isnan(month.sst[:, ~ocean]).all() and not np.isinf(month.sst).any()
    assert not month.observed[:, ~ocean].any() and not month.observed[3:5, 4, 4].any()
    assert month.observed.sum() == np.isfinite(sst[:, ocean]).sum()
    assert sst[0, 0, 0] == 12.0  # the caller's array is left alone


@pytest.mark.parametrize("kind", [int, "float16", "float32", "float64"])
def test_what_a_month_is_made_of_stays_as_it_is(kind):
    """The caller's array is not touched, and what happens to it later does not touch the month."""
    for ocean in (np.array([[True, False], [True, True]]), np.ones((2, 2), bool)):
        sst = np.full((3, 2, 2), 15).astype(kind)
        before = sst.copy()
        month = Month(sst, ocean)
        np.testing.assert_array_equal(sst, before)
        sst[:] = 20
        assert month.sst.dtype.kind == "f" and np.isnan(month.sst[:, ~ocean]).all()
        assert (month.sst[:, ocean] == 15).all()


def test_kelvin_on_land_or_under_land_is_no_error():
    sst, ocean = sea()
    sst[:, 0, 0] = 288.0
    assert np.isnan(Month(sst, ocean).sst[:, 0, 0]).all()


def test_without_a_prior_the_month_is_its_own():
    sst, ocean = sea()
    month = Month(sst, ocean)
    np.testing.assert_array_equal(month.prior, smooth_prior(np.where(ocean, sst, np.nan), ocean))
    assert (Month(np.full_like(sst, np.nan), ocean).prior == EMPTY_MONTH_DEGC).all()


def test_anomaly_and_complete_undo_each_other():
    month = known()
    np.testing.assert_allclose(month.prior_mean[month.ocean], 14.0 + 0.1 * 14.5)
    seen = month.observed
    np.testing.assert_allclose((month.anomaly + month.prior)[seen], month.sst[seen])
    assert np.isnan(month.anomaly[~seen]).all()
    complete = month.complete(np.full(month.ocean.shape, 0.5))
    np.testing.assert_allclose(complete[month.ocean], 14.0 + 0.1 * 14.5 + 0.5)
    assert np.isnan(complete[~month.ocean]).all()


@pytest.mark.parametrize(
    ("rows", "cols"),
    [(slice(1, 4), slice(2, 7)), (np.array([1, 2, 3]), np.array([5, 6, 0, 1]))],
)
def test_cut_takes_the_same_cells_of_everything(rows, cols):
    month = known()
    part = month.cut(rows, cols)
    for name in ("sst", "prior", "ocean", "truth"):
        expected = getattr(month, name)[..., rows, :][..., cols]
        np.testing.assert_array_equal(getattr(part, name), expected)
    np.testing.assert_array_equal(part.lat, month.lat[rows])
    assert part.name == month.name
    bare = Month(*sea()).cut(rows, cols)
    assert bare.truth is None and bare.lat is None and bare.truth_of_days is None
    days = of_days().cut(rows, cols).truth_of_days
    np.testing.assert_array_equal(days, of_days().truth_of_days[:, rows, :][..., cols])


def test_of_day_is_the_prior_of_that_day_and_its_truth():
    month = of_days()
    for day in (0, 12, 29):
        prior, truth = month.of_day(day)
        np.testing.assert_array_equal(prior, month.prior[day])
        np.testing.assert_array_equal(truth, month.truth_of_days[day])
    assert known().of_day(3)[1] is None
    for day in (-1, 30):
        with pytest.raises(ValueError, match=f"day={day}: 2001-02 has days 0 to 29"):
            month.of_day(day)


def test_a_month_of_land_alone_is_a_month():
    sst, ocean = sea()
    month = Month(sst, np.zeros_like(ocean))
    assert not month.observed.any() and np.isnan(month.complete(0.0)).all()
    assert not Batch.of([month]).ocean.any()


def test_months_and_batches_are_frozen():
    month = known()
    for thing, name in ((month, "sst"), (month, "truth"), (Batch.of([month]), "anomaly")):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(thing, name, None)


def with_value(value, field="sst"):
    def call():
        month = of_days()
        array = np.array(getattr(month, field))
        array[(0,) * (array.ndim - 2) + (4, 4)] = value
        return dataclasses.replace(month, **{field: array})

    return call


WRONG = {  # what is done wrong: (call, what the message says)
    "kelvin": (lambda: Month(sea()[0] + 273.15, sea()[1]), "sst of the month.*in K, subtract"),
    "fill value": (with_value(-999.0), r"sst of 2001-02 .*holds -999.0;.*must become NaN"),
    "large fill value": (with_value(1e20), "sst of 2001-02 must be a sea in degC"),
    "just too cold": (with_value(-5.1), r"-5 to 50, but holds -5.1"),
    "just too hot": (with_value(50.1), r"-5 to 50, but holds 50.1"),
    "prior in kelvin": (with_value(288.0, "prior"), "prior of 2001-02.*subtract 273.15"),
    "truth in kelvin": (with_value(288.0, "truth"), "truth of 2001-02.*subtract 273.15"),
    "days in kelvin": (with_value(288.0, "truth_of_days"), "truth_of_days of 2001-02.*subtract"),
    "days with a hole": (with_value(np.nan, "truth_of_days"), "truth_of_days of 2001-02 has gaps"),
    "days of another month": (
        lambda: of_days(truth_of_days=np.full((31, 5, 7), 15.0)),
        r"truth_of_days of 2001-02 must have shape \(30, 5, 7\), got \(31, 5, 7\)",
    ),
    "prior with a hole": (with_value(np.nan, "prior"), "prior of 2001-02 has gaps over the ocean"),
    "prior with infinity": (with_value(np.inf, "prior"), "prior of 2001-02 has gaps"),
    "truth with a hole": (with_value(np.nan, "truth"), "truth of 2001-02 has gaps over the ocean"),
    "no day": (lambda: known(T=0), r"1 to 31 days, got shape \(0, 5, 7\)"),
    "32 days": (lambda: known(T=32), r"1 to 31 days, got shape \(32, 5, 7\)"),
    "one map": (lambda: Month(sea()[0][0], sea()[1]), r"\(T, H, W\).*got shape \(5, 7\)"),
    "ocean of another shape": (
        lambda: Month(sea()[0], sea()[1].T),
        r"ocean must be bool of shape \(5, 7\), True = sea, got bool \(7, 5\)",
    ),
    "ocean of numbers": (lambda: Month(sea()[0], sea()[1] * 1.0), "True = sea, got float64"),
    "ocean of whole numbers": (lambda: Month(sea()[0], sea()[1].astype("i1")), "got int8"),
    "prior of one map": (
        lambda: known(prior=np.full((5, 7), 15.0)),
        r"prior of 2001-02 must have shape \(30, 5, 7\), got \(5, 7\)",
    ),
    "prior of another month": (
        lambda: known(prior=np.full((31, 5, 7), 15.0)),
        r"prior of 2001-02 must have shape \(30, 5, 7\), got \(31, 5, 7\)",
    ),
    "truth of every day": (
        lambda: known(truth=np.full((30, 5, 7), 15.0)),
        r"truth of 2001-02 must have shape \(5, 7\), got \(30, 5, 7\)",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_month_is_named(what):
    call, text = WRONG[what]
    with pytest.raises(ValueError, match=text):
        call()


def test_the_coldest_and_the_hottest_sea_are_seas():
    assert with_value(-5.0)().sst[0, 4, 4] == -5.0
    assert with_value(50.0)().sst[0, 4, 4] == 50.0


# ---------------------------------------------------------------- a batch


def test_a_batch_is_its_months_in_kelvin():
    months = [known(), known(T=28, H=3, W=9, seed=1)]
    batch = Batch.of(months)
    assert batch.anomaly.shape == (2, DAYS, 5, 9) and batch.anomaly.dtype == torch.float32
    assert len(batch) == 2
    for b, month in enumerate(months):
        T, H, W = month.sst.shape
        here, seen = (b, slice(T), slice(H), slice(W)), month.observed
        np.testing.assert_array_equal(batch.observed[here], seen)
        expected = np.where(seen, month.anomaly, 0.0)
        np.testing.assert_allclose(batch.anomaly[here], expected, atol=1e-6)
        np.testing.assert_array_equal(batch.ocean[b, :H, :W], month.ocean)
        sea = month.ocean
        np.testing.assert_allclose(
            batch.target[b, :H, :W][sea], (month.truth - month.prior_mean)[sea], atol=1e-6
        )
        np.testing.assert_allclose(
            batch.prior[b, :H, :W][sea], month.prior_mean[sea], atol=1e-5
        )
        # What is beside the month is nothing at all.
        assert batch.exists[b].tolist() == [True] * T + [False] * (DAYS - T)
        assert batch.observed[b].sum() == seen.sum() and batch.ocean[b].sum() == sea.sum()
        for field in (batch.target, batch.prior):
            assert (field[b][~batch.ocean[b]] == 0).all()
    assert (batch.anomaly[~batch.observed] == 0).all()


@pytest.mark.parametrize(
    ("patch", "shape"),
    [((1, 4, 4), (31, 8, 8)), ((1, 5, 7), (31, 5, 7)), ((6, 8, 6), (36, 8, 12))],
)
def test_a_batch_is_padded_to_whole_patches(patch, shape):
    batch = Batch.of([known()], patch)
    assert batch.anomaly.shape == (1, *shape)
    assert batch.exists.sum() == 30 and batch.ocean.sum() == 31
    assert batch.target.shape == (1, *shape[1:])


def test_one_unknown_truth_leaves_no_target():
    months = [known(), known(truth=None)]
    assert Batch.of(months).target is None
    assert Batch.of(months[:1]).target is not None
    assert Batch.of(months).prior is not None


def test_the_error_of_each_observation_goes_along():
    """In K where it was seen and is told, 0 elsewhere, in months, cuts, batches and their parts."""
    error = np.full((30, 5, 7), 0.4, np.float32)
    error[:, 2], error[:, 3], error[4] = np.nan, 0.0, -1.0
    month = known(error=error)
    part = month.cut(slice(1, 4), slice(2, 7))
    np.testing.assert_array_equal(part.error, error[:, 1:4, 2:7])
    batch = Batch.of([known(), month], (1, 4, 4))
    told = month.observed & (error > 0)
    assert batch.error[1, :30, :5, :7].numpy()[told] == pytest.approx(0.4)
    assert (batch.error[1] > 0).sum() == told.sum() and (batch.error[0] == 0).all()
    assert torch.equal(batch[1:].error, batch.error[1:]) and Batch.of([known()]).error is None
    with pytest.raises(ValueError, match="error of 2001-02 must have shape .30, 5, 7."):
        known(error=error[:, :4])


def test_some_samples_of_a_batch():
    batch = Batch.of([known(seed=seed) for seed in range(4)])
    for index, samples in ((slice(1, 3), [1, 2]), (torch.tensor([3, 0]), [3, 0])):
        part = batch[index]
        assert len(part) == 2
        for field in dataclasses.fields(Batch):
            if getattr(batch, field.name) is None:  # the whole month is asked, no truth of days
                assert field.name in ("wanted", "truth", "error")
                assert getattr(part, field.name) is None
            else:
                assert torch.equal(getattr(part, field.name), getattr(batch, field.name)[samples])
        wanted = torch.eye(4, 31, dtype=torch.bool)
        assert torch.equal(dataclasses.replace(batch, wanted=wanted)[index].wanted, wanted[samples])
    assert Batch.of([known(truth=None)])[:1].target is None


def test_inputs_are_what_an_estimator_is_called_with():
    batch = Batch.of([known()])
    anomaly, observed, ocean, exists = batch.inputs
    assert anomaly is batch.anomaly and observed is batch.observed
    assert ocean is batch.ocean and exists is batch.exists
    asked = Batch.of([known()], day=3)
    assert len(asked.inputs) == 5 and asked.inputs[4] is asked.wanted


@pytest.mark.parametrize("day", [0, 15, 27])
def test_a_batch_may_ask_for_a_day(day):
    months = [of_days(), of_days(T=28, H=3, W=9, seed=1)]
    batch, whole = Batch.of(months, (2, 4, 4), day=day), Batch.of(months, (2, 4, 4))
    assert batch.wanted.dtype == torch.bool and batch.wanted.shape == (2, 32)
    assert batch.wanted.nonzero().tolist() == [[0, day], [1, day]]
    for name in ("anomaly", "observed", "ocean", "exists"):
        assert torch.equal(getattr(batch, name), getattr(whole, name))
    for b, month in enumerate(months):
        prior, sea = month.prior[day], month.ocean
        H, W = sea.shape
        departure = (month.truth_of_days[day] - prior)[sea]
        np.testing.assert_allclose(batch.prior[b, :H, :W][sea], prior[sea], atol=1e-5)
        np.testing.assert_allclose(batch.target[b, :H, :W][sea], departure, atol=1e-5)
        for field in (batch.target, batch.prior):
            assert (field[b][~batch.ocean[b]] == 0).all()


def test_the_mean_of_all_days_asked_for_is_the_month():
    month = of_days()
    whole, days = Batch.of([month]), [Batch.of([month], day=day) for day in range(30)]
    for name in ("target", "prior"):
        mean = torch.stack([getattr(batch, name) for batch in days]).mean(0)
        torch.testing.assert_close(mean, getattr(whole, name), atol=1e-5, rtol=1e-5)


def test_a_day_that_a_month_lacks_is_refused():
    months = [of_days(T=31), of_days(T=28, name="2001-03")]
    for day in (28, 30, -1):
        with pytest.raises(ValueError, match=f"day={day}: 2001-03 has days 0 to 27"):
            Batch.of(months[::-1], day=day)
    assert Batch.of(months[:1], day=30).wanted[0, 30]
    assert Batch.of([known()], day=3).target is None  # the truth of the month says nothing of it
    assert Batch.of([known(), of_days()], day=3).target is None


def test_of_takes_any_iterable_of_months_but_none():
    assert len(Batch.of(known(seed=seed) for seed in range(2))) == 2
    with pytest.raises(ValueError, match="months is empty"):
        Batch.of([])


@pytest.mark.parametrize(
    ("field", "change", "text"),
    [
        ("anomaly", lambda x: x[0], r"anomaly must be \(B, T, H, W\), got shape \(31, 5, 7\)"),
        ("observed", lambda x: x.float(), r"observed must be bool .*got torch.float32"),
        ("observed", lambda x: x[:, :30], r"observed must be bool \(1, 31, 5, 7\).*30"),
        ("ocean", lambda x: x.int(), "ocean must be bool .*got torch.int32"),
        ("ocean", lambda x: x[0], r"ocean must be bool \(1, 5, 7\), got torch.bool \(5, 7\)"),
        ("exists", lambda x: x[0], r"exists must be bool \(1, 31\), got torch.bool \(31,\)"),
        ("exists", lambda x: x.double(), "exists must be bool .*got torch.float64"),
        ("wanted", lambda x: x[:, :30], r"wanted must be bool \(1, 31\), got .*\(1, 30\)"),
        ("wanted", lambda x: x.float(), "wanted must be bool .*got torch.float32"),
        ("target", lambda x: x[:, None], r"target must be \(1, 5, 7\).*\(1, 1, 5, 7\)"),
        ("prior", lambda x: x.mT, r"prior must be \(1, 5, 7\).*\(1, 7, 5\)"),
    ],
)
def test_what_is_no_batch_is_named(field, change, text):
    batch = Batch.of([of_days()], day=3)
    with pytest.raises(ValueError, match=text):
        dataclasses.replace(batch, **{field: change(getattr(batch, field))})


# ---------------------------------------------------------------- months of a series


@pytest.fixture(scope="module")
def series():
    complete = simulate_ocean(lat=(-42, -38), lon=(150, 154), shape=(16, 16), days=120, seed=4,
                              start="2003-11-15")  # fmt: skip
    return observe(complete, simulate_clouds(complete, cover=0.8, seed=4), seed=4), complete


def test_items_are_calendar_months(series):
    gappy, complete = series
    months = MonthDataset(gappy, complete)
    names = ["2003-11", "2003-12", "2004-01", "2004-02", "2004-03"]
    assert [month.name for month in months] == names and len(months) == 5
    february = months[3]
    assert february.sst.shape == (29, 16, 16)
    batch = Batch.of([february])
    assert not batch.exists[0, 29:].any() and not batch.observed[0, 29:].any()
    assert batch.anomaly.shape == (1, 31, 16, 16)
    truth = complete["sst"].sel(time="2004-02").mean("time").values
    ocean = february.ocean
    got = (batch.target + batch.prior)[0].numpy()
    np.testing.assert_allclose(got[ocean], truth[ocean], atol=1e-3)
    assert (batch.target[0].numpy()[~ocean] == 0).all()


def test_a_loader_batches_months_of_any_length(series):
    months = MonthDataset(*series)
    (batch,) = list(DataLoader(months, batch_size=5, collate_fn=Batch.of))
    assert len(batch) == 5 and batch.exists.sum(1).tolist() == [30, 31, 31, 29, 31]
    means = gaussian_mean(batch.anomaly, batch.observed, exists=batch.exists)
    for month, mean in zip(months, means, strict=True):
        sea = month.ocean
        np.testing.assert_allclose(
            month.complete(mean.numpy())[sea], gaussian(month)[sea], atol=1e-4
        )


def test_years_split_by_time(series):
    early, late = (MonthDataset(*series, years=(y, y)) for y in (2003, 2004))
    assert len(early) == 2 and len(late) == 3
    with pytest.raises(ValueError, match="1990"):
        MonthDataset(*series, years=(1990, 1991))
    with pytest.raises(ValueError, match="same days"):
        MonthDataset(series[0].isel(time=slice(10)), series[1])


def test_a_hole_in_time_leaves_days_unseen_not_absent(series):
    gappy, complete = series
    kept = ~((gappy["time"].dt.month == 1) & gappy["time"].dt.day.isin(range(11, 21))).values
    january = MonthDataset(gappy.isel(time=kept), complete.isel(time=kept))[2]
    assert len(january.sst) == 31 and Batch.of([january]).exists.all()
    assert not january.observed[10:20].any()
    whole = MonthDataset(gappy, complete)[2]
    np.testing.assert_array_equal(january.sst[20:], whole.sst[20:])
    np.testing.assert_array_equal(january.sst[:10], whole.sst[:10])


def test_month_of_puts_days_in_their_place(series):
    gappy, _ = series
    month = month_of(gappy, pd.Period("2003-11", "M"))
    assert month.sst.shape == (30, 16, 16) and month.name == "2003-11"
    assert not month.observed[:14].any() and month.truth is None
    sea = gappy["ocean_mask"].values
    first = gappy["sst"].sel(time="2003-11-15").values
    np.testing.assert_array_equal(month.sst[14][sea], first[sea])
    np.testing.assert_array_equal(month.lat, gappy["lat"])
    np.testing.assert_array_equal(month.ocean, sea)


def warming_year():
    """2004, 0.05 K warmer every day, half a kelvin above its climatology."""
    time = pd.date_range("2004-01-01", "2004-12-31")
    season = 10 + 0.05 * time.day_of_year.values[:, None, None] * np.ones((4, 4))
    axes = {"time": time, "lat": np.arange(4.0), "lon": np.arange(4.0)}
    daily = xr.Dataset(
        {"sst": (tuple(axes), season + 0.5), "ocean_mask": (("lat", "lon"), season[0] > 0)}, axes
    )
    axes = {"dayofyear": np.arange(1, 367), "lat": axes["lat"], "lon": axes["lon"]}
    return daily, xr.DataArray(season, axes)


def test_month_of_leaves_the_series_as_it_is(series):
    gappy = series[0].copy(deep=True)
    gappy["ocean_mask"][0, 0] = False  # what stands on land is forgotten, in the month only
    before = gappy.copy(deep=True)
    for period in gappy.indexes["time"].to_period("M").unique():
        month = month_of(gappy, period)
        assert np.isnan(month.sst[:, 0, 0]).all()
    xr.testing.assert_identical(gappy, before)
    absent = month_of(gappy, pd.Period("1999-03"))
    assert absent.sst.shape[0] == 31 and not absent.observed.any()


def test_month_of_takes_the_climatology_of_its_days():
    daily, climatology = warming_year()
    month = month_of(daily, pd.Period("2004-02", "M"), climatology)
    np.testing.assert_array_equal(month.prior, climatology.sel(dayofyear=range(32, 61)))
    np.testing.assert_allclose(month.anomaly, 0.5, atol=1e-5)


def test_of_part_of_a_month_the_season_is_no_anomaly():
    daily, climatology = warming_year()
    for days in (slice("2004-03-01", "2004-03-31"), slice("2004-03-20", "2004-03-31")):
        part = daily.sel(time=days)
        (month,) = MonthDataset(part, part, climatology)
        np.testing.assert_allclose(Batch.of([month]).target, 0.5, atol=1e-5)


def test_a_target_with_holes_is_refused(series):
    gappy, complete = series
    holed = complete.copy(deep=True)
    ocean = np.argwhere(complete["ocean_mask"].values)[0]
    holed["sst"][40, ocean[0], ocean[1]] = np.nan
    with pytest.raises(ValueError, match="truth of 2003-12 has gaps over the ocean"):
        MonthDataset(gappy, holed)[1]
