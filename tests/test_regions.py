"""Maps of any size: lazy and in parts they are the same; a store goes on where a run was killed."""

import os
import pickle
import signal
import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pytest
import torch
import xarray as xr
from test_reconstruction import SMOOTH, daily_maps, globe, network

from sst_tutorial import cli, prior, regions, store
from sst_tutorial.data import open_sst
from sst_tutorial.networks import build
from sst_tutorial.prior import daily_climatology, smooth_map
from sst_tutorial.reconstruction import reconstruct
from sst_tutorial.simulate import observe, simulate_clouds, simulate_ocean
from sst_tutorial.store import write_months
from sst_tutorial.tiles import tiles_of
from sst_tutorial.weights import save_weights

ABOUT = {"input": "here"}


@pytest.fixture
def parts(monkeypatch):
    """Regions so small that the maps of these tests have several, and few rows at a time."""
    monkeypatch.setattr(regions, "TILES_HIGH", 2)
    monkeypatch.setattr(regions, "REGION", 1)
    monkeypatch.setattr(regions, "READ", 1)
    monkeypatch.setattr(prior, "BAND", 600)


def agree(lazy, eager):
    for name in eager.variables:
        np.testing.assert_allclose(
            lazy[name].astype(float), eager[name].astype(float), rtol=0, atol=1e-5, err_msg=name
        )
        ours, theirs = (
            {key: np.asarray(value).tolist() for key, value in field[name].attrs.items()}
            for field in (lazy, eager)
        )
        assert ours == theirs and lazy[name].dtype == eager[name].dtype


# ------------------------------------------------------------------------ the same maps


def with_errors(daily, seed=5):
    """The same maps seen by two sensors of 0.05 and 1 K, and who saw what."""
    rng = np.random.default_rng(seed)
    error = np.where(rng.random(daily["sst"].shape) < 0.5, 0.05, 1.0).astype(np.float32)
    sst = daily["sst"] + error * rng.standard_normal(error.shape).astype(np.float32)
    return daily.assign(
        sst=sst.assign_attrs(daily["sst"].attrs), sst_error=(daily["sst"].dims, error)
    )


@pytest.mark.parametrize("output", ["monthly", "daily"])
def test_errors_of_observations_reach_every_map(parts, output):
    """In memory and lazily, the sensor that errs more counts less; GaussianMean has no use."""
    torch.manual_seed(0)
    first_guess, network_ = {"name": "corrections", "iterations": 6}, {"name": "convolutions"}
    estimator = build(first_guess, network_ | {"width": 8, "skip": True}).eval()
    truth = daily_maps(H=100, W=40, days=29, cover=0.0)
    daily = with_errors(truth.assign(sst=daily_maps(H=100, W=40, days=29)["sst"]))
    told, untold = (
        reconstruct(ds, estimator, output=output) for ds in (daily, daily.drop_vars("sst_error"))
    )
    truth = truth["sst"].mean("time") if output == "monthly" else truth["sst"]
    errors = [float(((out["sst"] - truth) ** 2).mean()) for out in (told, untold)]
    assert errors[0] < 0.8 * errors[1]
    lazy = reconstruct(daily.chunk(time=7), estimator, output=output).compute()
    np.testing.assert_allclose(lazy["sst"], told["sst"], atol=1e-4)
    blind = (reconstruct(ds, SMOOTH) for ds in (daily, daily.drop_vars("sst_error")))
    xr.testing.assert_equal(*(ds[["sst", "n_observed"]] for ds in blind))


def test_days_come_back_from_another_process():
    """As a worker gets its tasks: pickled, so that nothing is still the same object."""
    daily, estimator = daily_maps(H=100, W=20), network()
    lazy = reconstruct(daily.chunk(time=7), estimator, output="daily")
    agree(pickle.loads(pickle.dumps(lazy)).compute(), reconstruct(daily, estimator, output="daily"))


@pytest.mark.parametrize("output", ["monthly", "daily", "both"])
@pytest.mark.parametrize("make", [lambda: SMOOTH, network])
def test_lazy_maps_are_those_made_in_memory(parts, output, make):
    daily, estimator = daily_maps(H=130, W=40, days=60), make()
    lazy = reconstruct(daily.chunk(time=7), estimator, output=output)
    steps = (1, 1) if output == "monthly" else (29, 31)
    assert lazy["sst"].chunks == (steps, (44, 44, 42), (40,))
    eager = reconstruct(daily, estimator, output=output)
    agree(lazy.compute(), eager)
    assert lazy.attrs.items() <= eager.attrs.items()


def test_nothing_is_read_before_it_is_asked_for(parts):
    daily, read = daily_maps(H=100, W=20, days=60), []

    def spy(block, block_info=None):
        if block_info:
            read.append(block_info[0]["array-location"][0])
        return block

    lazy = daily.chunk(time=1)
    lazy["sst"] = lazy["sst"].copy(data=lazy["sst"].data.map_blocks(spy, dtype="float32"))
    maps = reconstruct(lazy, SMOOTH)
    assert not read
    maps["sst"][1].compute()
    assert {day for day, _ in read} == set(range(29, 60))  # March alone


@pytest.mark.parametrize("chunks", [{"time": 5}, {"lat": 33, "lon": 7}, {"time": 31, "lat": 10}])
def test_a_globe_in_parts_has_no_seam(parts, chunks):
    daily = globe(H=130, cover=0.5)
    agree(reconstruct(daily.chunk(chunks), SMOOTH).compute(), reconstruct(daily, SMOOTH))


@pytest.mark.parametrize("holes", [False, True])
@pytest.mark.parametrize("lazy_climatology", [False, True])
@pytest.mark.filterwarnings("ignore:climatology has gaps")
def test_a_climatology_in_parts(parts, holes, lazy_climatology):
    year = daily_maps(H=100, W=12, days=366, start="2016-01-01", cover=0.0)
    climatology = daily_climatology(year)
    if holes:
        climatology[:, 40:60] = np.nan
    daily = year.isel(time=slice(31, 91)).copy(deep=True)
    seen = np.random.default_rng(0).random(daily["sst"].shape) > 0.9
    daily["sst"] = daily["sst"].where(seen)
    eager = reconstruct(daily, SMOOTH, climatology)
    given = climatology.chunk(dayofyear=50, lat=30) if lazy_climatology else climatology
    agree(reconstruct(daily.chunk(time=9), SMOOTH, given).compute(), eager)


@pytest.mark.filterwarnings("ignore:.*is no temperature")
def test_another_variable_in_parts(parts, tmp_path):
    sea = daily_maps(H=100, W=20, days=29)
    chlorophyll = 10 ** (0.1 * (sea["sst"] - 15)).rename("chlor_a")
    chlorophyll.attrs = {"units": "mg m-3", "long_name": "chlorophyll"}
    chlorophyll.to_netcdf(tmp_path / "chl.nc")
    daily = open_sst(tmp_path / "chl.nc", variable="chlor_a", transform="log10")
    eager = reconstruct(daily, SMOOTH)
    lazy = reconstruct(daily.chunk(time=8), SMOOTH)
    assert lazy.attrs["anomaly_unit"] == eager.attrs["anomaly_unit"]
    agree(lazy.compute(), eager)


def test_a_month_of_which_nothing_is_known_is_told_once(parts):
    daily = daily_maps(H=100, W=20, days=60)
    daily["sst"][:29] = np.nan
    daily["sst"][29:, :60] = np.nan  # of March two regions saw nothing, which is no matter
    lazy = reconstruct(daily.chunk(time=29), SMOOTH)
    with pytest.warns(UserWarning, match="2016-02 has no observation") as told:
        maps = lazy.compute(scheduler="synchronous")
    assert len([w for w in told if "no observation" in str(w.message)]) == 1
    february, march = maps["sst"].values[:, daily["ocean_mask"].values]
    assert np.isnan(february).all() and np.isfinite(march).all()


def test_what_no_sea_can_be_is_refused_when_it_is_made(parts):
    estimator = build({"name": "gaussian"}, {"name": "transformer", "embed_dim": 16}).eval()
    estimator.network.last.bias.data.fill_(500.0)
    lazy = reconstruct(daily_maps(H=100, W=20).chunk(time=9), estimator)
    with pytest.raises(ValueError, match="no sea is like that"):
        lazy.compute()


def test_an_estimator_that_changes_later_does_not_change_the_maps():
    daily, estimator = daily_maps(), network().train()
    lazy, expected = reconstruct(daily.chunk(time=9), estimator), reconstruct(daily, estimator)
    assert estimator.training
    estimator.network.last.bias.data.fill_(5.0)
    agree(lazy.compute(), expected)


# ------------------------------------------------------------------------ regions


@pytest.mark.parametrize("H", [1, 31, 33, 720, 3600])
@pytest.mark.parametrize("W", [1, 40, 7200, 99999])
def test_regions_cover_the_map_and_reach_all_their_tiles(H, W):
    rows = regions.regions_of(H, W)
    assert np.concatenate([np.arange(H)[r] for r in rows]).tolist() == list(range(H))
    assert len({r.stop - r.start for r in rows[:-1]} | {rows[0].stop}) == 1  # as Zarr wants it
    for region in rows:
        tiles, halo = regions._reach(region, H), regions._halo(region, H)
        assert halo.start <= region.start and halo.stop >= region.stop
        covers = [t for t in tiles_of(H, 32, 8) if set(t) & set(range(H)[region])]
        assert len(covers) == len(tiles) and set(np.concatenate(tiles)) <= set(range(H)[halo])


def test_the_halo_costs_little_on_a_fine_globe():
    rows = regions.regions_of(3600, 7200)
    work = sum(len(regions._reach(region, 3600)) for region in rows)
    assert work / len(tiles_of(3600, 32, 8)) < 1.2


def test_the_smooth_map_is_the_same_in_parts(monkeypatch):
    random = np.random.default_rng(0)
    sst = (15 + random.normal(size=(9, 50, 70))).astype("float32")
    sst[random.random(sst.shape) < 0.6] = np.nan
    sst[:, 3] += 20  # to be left out
    ocean = random.random((50, 70)) > 0.2

    def read(rows):
        assert rows.stop - rows.start <= most
        return sst[:, rows]

    most = 50
    whole = smooth_map(read, ocean, wraps=True)
    monkeypatch.setattr(prior, "BAND", 300)
    most = 4
    np.testing.assert_allclose(smooth_map(read, ocean, wraps=True), whole, atol=1e-5)
    monkeypatch.setattr(prior, "COLLECTED", 0)  # the median is counted
    np.testing.assert_allclose(smooth_map(read, ocean, wraps=True), whole, atol=0.05)


def test_a_counted_median_is_the_median(monkeypatch):
    monkeypatch.setattr(prior, "COLLECTED", 0)
    values = np.random.default_rng(0).gamma(0.5, size=50_001).astype("float32")
    found = prior._median((part for part in np.array_split(values, 7)), len(values))
    assert found == pytest.approx(np.median(values), rel=3e-4)


@pytest.mark.filterwarnings("ignore:.*daily holds")
def test_memory_does_not_grow_with_the_months(tmp_path):
    """What is held while a store is written, of 2 months and of 12 of the same sea."""

    def most(months):
        daily = daily_maps(H=60, W=60, start="2015-01-01", days=31 * months)
        daily.chunk(time=10).to_zarr(tmp_path / f"{months}.zarr", zarr_format=2)
        lazy = xr.open_zarr(tmp_path / f"{months}.zarr")
        maps = reconstruct(lazy, SMOOTH, output="daily")
        tracemalloc.start()
        write_months(maps, tmp_path / f"maps{months}.zarr", ABOUT)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    few, many = most(2), most(12)
    assert many < 1.5 * few, (few, many)


# ------------------------------------------------------------------------ the store


@pytest.fixture
def sea():
    return daily_maps(H=100, W=20, days=90)


@pytest.mark.parametrize("output", ["monthly", "daily", "both"])
def test_a_store_holds_the_maps(parts, sea, tmp_path, output):
    maps = reconstruct(sea.chunk(time=9), SMOOTH, output=output)
    assert write_months(maps, tmp_path / "maps.zarr", ABOUT) == (3, 0)
    with xr.open_zarr(tmp_path / "maps.zarr") as found:
        assert (found["made"] == 1).all()
        agree(found.drop_vars("made").compute(), reconstruct(sea, SMOOTH, output=output))
    assert [p.name for p in tmp_path.iterdir()] == ["maps.zarr"]


@pytest.mark.parametrize("output", ["monthly", "both"])
def test_what_is_there_is_not_made_again_and_a_half_month_is(
    parts, sea, tmp_path, monkeypatch, output
):
    path = tmp_path / "maps.zarr"
    maps = reconstruct(sea.chunk(time=9), SMOOTH, output=output)
    with monkeypatch.context() as patched:
        patched.setattr(store, "_written", None)
        with pytest.raises(TypeError):  # killed before the first month
            write_months(maps, path, ABOUT)
    first = store._months(maps)[0]
    mark = np.zeros(maps.sizes["time"], np.int8)
    mark[first] = 1
    store._write(xr.Dataset({"made": ("time", mark)}), path, mode="r+")
    # Month 1 is said to be there, and is left as it is; of month 2 a part is wrong.
    wrong = xr.full_like(maps["sst"][first.stop : first.stop + 1], -9.0).compute()
    store._write(
        wrong.drop_vars(list(wrong.coords)).to_dataset(),
        path,
        region={"time": slice(first.stop, first.stop + 1)},
    )
    assert write_months(maps, path, ABOUT) == (2, 1)
    with xr.open_zarr(path) as found:
        eager = reconstruct(sea, SMOOTH, output=output)
        assert found["sst"][first].isnull().all()
        rest = slice(first.stop, None)
        np.testing.assert_allclose(found["sst"][rest], eager["sst"][rest], atol=1e-5)
        assert (found["made"] == 1).all()
    assert write_months(maps, path, ABOUT) == (0, 3)


def test_a_store_of_other_maps_is_left_alone(parts, sea, tmp_path):
    path = tmp_path / "maps.zarr"
    maps = reconstruct(sea.chunk(time=9), SMOOTH)
    write_months(maps, path, ABOUT)
    other = build({"name": "gaussian"}, {"name": "transformer", "embed_dim": 16}).eval()
    for changed, about, told in (
        (maps, {"input": "there"}, "made with other settings"),
        (reconstruct(sea.chunk(time=9), other), ABOUT, "made with other settings"),
        (reconstruct(sea.isel(time=slice(0, 60)).chunk(), SMOOTH), ABOUT, "another axis 'time'"),
    ):
        with pytest.raises(ValueError, match=told):
            write_months(changed, path, about)
    with xr.open_zarr(path) as found:
        assert found["sst"].notnull().any() and found.sizes["time"] == 3
    assert write_months(maps, path, {"input": "there"}, overwrite=True) == (3, 0)


def test_a_folder_that_is_no_store_is_not_replaced(sea, tmp_path):
    (tmp_path / "maps.zarr").mkdir()
    (tmp_path / "maps.zarr" / "thesis.txt").write_text("years of work")
    maps = reconstruct(sea.chunk(time=9), SMOOTH)
    with pytest.raises(ValueError, match="no Zarr store"):
        write_months(maps, tmp_path / "maps.zarr", ABOUT, overwrite=True)
    assert (tmp_path / "maps.zarr" / "thesis.txt").exists()


def test_a_failed_beginning_leaves_nothing(sea, tmp_path, monkeypatch):
    maps = reconstruct(sea.chunk(time=9), SMOOTH)

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store, "_write", full)
    with pytest.raises(OSError, match="No space"):
        write_months(maps, tmp_path / "maps.zarr", ABOUT)
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------ several processes


@pytest.fixture(scope="module")
def client():
    distributed = pytest.importorskip("distributed", reason="needs the extra cluster")
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs=50
    )
    with cluster, distributed.Client(cluster) as client:
        yield client


def test_workers_make_the_same_maps(client, parts, sea, tmp_path):
    """The workers are other processes: they know neither this one's memory nor its settings."""
    estimator = build({"name": "gaussian"}, {"name": "transformer", "embed_dim": 16}).eval()
    torch.nn.init.normal_(estimator.network.last.weight, std=0.1)
    eager = reconstruct(sea, estimator)
    path = tmp_path / "maps.zarr"
    lazy = reconstruct(sea.chunk(time=9), estimator)
    # The regions are planned here, and their halo follows from the map alone.
    agree(lazy.compute(), eager)
    assert write_months(lazy, path, ABOUT, client=client) == (3, 0)
    with xr.open_zarr(path) as found:
        agree(found.drop_vars("made").compute(), eager)
    assert write_months(lazy, path, ABOUT, client=client) == (0, 3)


def test_what_fails_on_a_worker_is_told_here(client, sea, tmp_path):
    estimator = build({"name": "gaussian"}, {"name": "transformer", "embed_dim": 16}).eval()
    estimator.network.last.bias.data.fill_(500.0)
    lazy = reconstruct(sea.chunk(time=9), estimator)
    with pytest.raises(ValueError, match="no sea is like that"):
        write_months(lazy, tmp_path / "maps.zarr", ABOUT, client=client)
    with xr.open_zarr(tmp_path / "maps.zarr") as found:
        assert (found["made"] == 0).all()


# ------------------------------------------------------------------------ the command line


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    slots = {"name": "gaussian"}, {"name": "transformer", "embed_dim": 16}
    save_weights("tiny.safetensors", build(*slots), *slots, {})
    truth = simulate_ocean(shape=(20, 24), start="2001-01-01", days=120)
    observe(truth, simulate_clouds(truth, cover=0.7)).to_netcdf("gappy.nc")
    return tmp_path


WORDS = ["reconstruct", "gappy.nc", "--model", "tiny.safetensors"]


def test_the_command_writes_a_store(folder, capsys):
    assert cli.main([*WORDS, "maps.nc"]) == 0
    assert cli.main([*WORDS, "maps.zarr"]) == 0
    assert "maps.zarr: 4 month(s) of 20 x 24 cells from" in capsys.readouterr().out
    with xr.open_dataset("maps.nc") as file, xr.open_zarr("maps.zarr") as found:
        agree(found.drop_vars("made").compute(), file.compute())
        assert "sst-tutorial reconstruct" in found.attrs["history"]
    assert cli.main([*WORDS, "maps.zarr"]) == 0
    assert "had 4 of its 4 months already" in capsys.readouterr().err
    assert cli.main([*WORDS, "maps.zarr", "--month", "2001-02"]) == 2
    assert "other settings" in capsys.readouterr().err
    assert cli.main([*WORDS, "maps.zarr", "--month", "2001-02", "--overwrite"]) == 0


@pytest.mark.parametrize(
    "words, told",
    [
        (["a.nc", "--workers", "2"], "a.zarr"),
        (["a.zarr", "--workers", "two"], "--workers 'two'"),
        (["a.zarr", "--workers", "0"], "--workers '0'"),
        (["thesis.zarr", "--overwrite"], "no Zarr store"),
        (["no/a.zarr"], "no folder no"),
    ],
)
def test_mistakes_are_one_line(folder, capsys, words, told):
    (folder / "thesis.zarr").mkdir()
    assert cli.main([*WORDS, *words]) == 2
    err = capsys.readouterr().err.strip()
    assert told in err and len(err.splitlines()) == 1


def test_a_month_without_observation_is_told(folder, capsys):
    with xr.open_dataset("gappy.nc") as file:
        gappy = file.load()
    gappy["sst"][31:59] = np.nan
    gappy.to_netcdf("gappy.nc")
    assert cli.main([*WORDS, "maps.zarr"]) == 0
    assert "no observation in 2001-02: their maps are all NaN" in capsys.readouterr().err


def test_the_command_shares_the_work(folder, capsys):
    pytest.importorskip("distributed", reason="needs the extra cluster")
    assert cli.main([*WORDS, "alone.zarr"]) == cli.main([*WORDS, "two.zarr", "--workers", "2"]) == 0
    assert "two.zarr: 4 month(s)" in capsys.readouterr().out
    with xr.open_zarr("alone.zarr") as alone, xr.open_zarr("two.zarr") as two:
        agree(two.compute(), alone.compute())


@pytest.mark.parametrize("stop", ["SIGKILL", "SIGINT"])
def test_a_stopped_command_is_gone_on_with(folder, capsys, stop):
    """In a process of its own, slowed down, and stopped once a month is marked."""
    if not hasattr(signal, stop):
        pytest.skip(f"no {stop} on this system")
    slow = (
        "import time, sst_tutorial.store as s; old = s._written\n"
        "s._written = lambda *a: (time.sleep(0.5), old(*a))[1]\n"
        "import sys; from sst_tutorial.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    words = [sys.executable, "-c", slow, *WORDS, "maps.zarr"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    child = subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        for _ in range(600):
            time.sleep(0.1)
            if (folder / "maps.zarr").exists():
                with xr.open_zarr("maps.zarr") as found:
                    if found["made"].values.any():
                        break
        child.send_signal(getattr(signal, stop))
        told = child.communicate(timeout=60)[1]
    finally:
        child.kill()
    if stop == "SIGINT":
        assert child.returncode == 130 and "sst-tutorial: interrupted" in told
        assert "Traceback" not in told
    with xr.open_zarr("maps.zarr") as found:
        made = int(found["made"].sum())
    assert 1 <= made < 4
    assert cli.main([*WORDS, "maps.zarr"]) == 0
    assert f"had {made} of its 4 months already" in capsys.readouterr().err
    with xr.open_zarr("maps.zarr") as found:
        assert found["sst"].notnull().any(("lat", "lon")).all() and (found["made"] == 1).all()
