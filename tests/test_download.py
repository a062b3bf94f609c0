"""The OISST download against a loopback server that misbehaves on request."""

import contextlib
import gzip
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import requests
import xarray as xr

from sst_tutorial import download
from sst_tutorial.benchmark import shared_data
from sst_tutorial.data import open_sst
from sst_tutorial.download import download_oisst

TASMAN = {"lat": (-45, -37), "lon": (147, 155)}


def name_of(day, kind=""):
    return f"{day:%Y%m}/oisst-avhrr-v02r01.{day:%Y%m%d}{kind}.nc"


def write_day(root, day, kind="", value=None, held=None):
    """A global OISST look-alike at 2.5 degrees: packed, zlev, 0..360, fill on land."""
    lat, lon = np.arange(-88.75, 90, 2.5), np.arange(1.25, 360, 2.5)
    sst = 2800 * np.cos(np.radians(lat))[:, None] + 0.1 * lon + 10 * day.day
    sst = np.full_like(sst, value) if value is not None else sst
    sst[:6] = -999
    held = held or day
    ds = xr.Dataset(
        {
            "sst": (
                ("time", "zlev", "lat", "lon"),
                sst[None, None].astype("int16"),
                {"units": "Celsius", "_FillValue": np.int16(-999), "scale_factor": 0.01},
            )
        },
        {
            "time": (
                "time",
                np.array([(held - date(1978, 1, 1)).days], "float32"),
                {"units": "days since 1978-01-01 12:00:00"},
            ),
            "zlev": ("zlev", np.zeros(1, "float32"), {"units": "meters"}),
            "lat": ("lat", lat.astype("float32"), {"units": "degrees_north"}),
            "lon": ("lon", lon.astype("float32"), {"units": "degrees_east"}),
        },
        {"title": "look-alike"},
    )
    file = root / name_of(day, kind)
    file.parent.mkdir(parents=True, exist_ok=True)
    ds.to_netcdf(file, encoding={"sst": {"zlib": True}})
    return file


class Server:
    """Serves `root`; `faults[path]` is a list of faults, one for each coming request of it."""

    def __init__(self, root):
        self.root, self.faults, self.asked = Path(root), defaultdict(list), Counter()
        self.down, self.stop, self.pause = None, threading.Event(), 0.0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.answer(self)

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_port}"

    def answer(self, request):
        path = request.path.lstrip("/")
        self.asked[path] += 1
        fault = self.faults[path].pop(0) if self.faults[path] else self.down
        time.sleep(self.pause)
        file = self.root / path
        if isinstance(fault, int) or not file.is_file():
            return self.reply(request, b"<html>sorry</html>", status=fault or 404)
        body = file.read_bytes()
        if fault == "html":
            self.reply(request, b"<html>Down for maintenance</html>")
        elif fault == "flipped":
            a, b = len(body) // 4, len(body) * 3 // 4
            self.reply(request, body[:a] + bytes(b - a) + body[b:])
        elif fault == "short":  # a proper answer of half the file
            self.reply(request, body[: len(body) // 2])
        elif fault in ("truncated", "stalled"):
            self.reply(request, body[: len(body) // 2], announce=len(body))
            if fault == "stalled":
                self.stop.wait(20)
            request.close_connection = True
        elif fault == "endless":
            self.reply(request, b"", announce=10**10)
            with contextlib.suppress(ConnectionError):
                while not self.stop.is_set():
                    request.wfile.write(bytes(1 << 16))
            request.close_connection = True
        elif fault == "zipped zeros":
            packed = gzip.compress(bytes(1 << 24))
            self.reply(request, packed, encoding="gzip")
        elif fault == "trickle":
            self.reply(request, b"", announce=len(body))
            for k in range(0, len(body), 256):
                if self.stop.wait(0.1):
                    break
                request.wfile.write(body[k : k + 256])
        else:
            self.reply(request, body)

    def reply(self, request, body, status=200, announce=None, encoding=None):
        request.send_response(status)
        if encoding:
            request.send_header("Content-Encoding", encoding)
        request.send_header("Content-Length", str(len(body) if announce is None else announce))
        request.end_headers()
        request.wfile.write(body)
        request.wfile.flush()

    def close(self):
        self.stop.set()
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture(scope="module")
def upstream(tmp_path_factory):
    """1 to 4 February 2020 final, 5 February preliminary only, 6 February absent."""
    root = tmp_path_factory.mktemp("upstream")
    for day in range(1, 5):
        write_day(root, date(2020, 2, day))
    write_day(root, date(2020, 2, 5), "_preliminary")
    return root


@pytest.fixture
def server(upstream, monkeypatch):
    monkeypatch.setattr(download, "PAUSE", 0.01)
    monkeypatch.setattr(download, "TIMEOUT", (2, 0.4))
    monkeypatch.setenv("NO_PROXY", "*")
    running = Server(upstream)
    yield running
    running.close()


def fetch(server, to, start="2020-02-01", end="2020-02-04", region=TASMAN, **more):
    return download_oisst(start, end, region, to=to, source=server.url, progress=False, **more)


def leftovers(folder):
    """Whatever lies in `folder` beside files under their final name."""
    return [f for f in Path(folder).rglob("*") if f.is_file() and f.suffix != ".nc"]


def test_days_arrive_cut_to_the_region_and_unchanged(server, upstream, tmp_path):
    got = fetch(server, tmp_path)
    assert [f.name[-11:-3] for f in got.files] == ["20200201", "20200202", "20200203", "20200204"]
    assert (got.preliminary, got.missing) == ([], [])
    ours, whole = open_sst(tmp_path), open_sst(upstream / "202002")
    assert ours["sst"].shape == (4, 3, 3)  # (T, H, W), 2.5 degree cells in 8 x 8 degrees
    np.testing.assert_array_equal(
        ours["sst"], whole["sst"].sel(lat=ours["lat"], lon=ours["lon"], time=ours["time"])
    )
    raw = xr.open_dataset(got.files[0], mask_and_scale=False)
    assert raw["sst"].dtype == "int16" and "lat -45 to -37" in raw.attrs["region"]
    assert os.stat(got.files[0]).st_mode & 0o044  # readable by others, as any file of the user
    assert not leftovers(tmp_path)


def test_without_a_region_the_bytes_are_those_of_the_source(server, upstream, tmp_path):
    got = fetch(server, tmp_path, end="2020-02-01", region=None)
    assert got.files[0].read_bytes() == (upstream / name_of(date(2020, 2, 1))).read_bytes()


@pytest.mark.parametrize("lon", [(170, -170), (170, 190), (-190, -170)])
def test_a_region_across_the_dateline_is_contiguous(server, tmp_path, lon):
    fetch(server, tmp_path, end="2020-02-01", region={"lat": (-10, 10), "lon": lon})
    east = open_sst(tmp_path)["lon"].values
    np.testing.assert_allclose(east, np.arange(171.25, 190, 2.5))


def test_a_region_across_greenwich_is_contiguous(server, tmp_path):
    fetch(server, tmp_path, end="2020-02-01", region={"lat": (30, 40), "lon": (-6, 5)})
    np.testing.assert_allclose(open_sst(tmp_path)["lon"], [-3.75, -1.25, 1.25, 3.75])


@pytest.mark.parametrize(
    "faults",
    [
        [500, 503],
        [429],
        ["truncated"],
        ["short"],
        ["stalled"],
        ["html"],
        ["flipped"],
        [500, "stalled", "flipped"],
    ],
    ids=str,
)
def test_a_fault_is_tried_again_until_the_file_is_right(server, tmp_path, faults):
    path = name_of(date(2020, 2, 2))
    server.faults[path] = list(faults)
    got = fetch(server, tmp_path)
    assert server.asked[path] == len(faults) + 1
    assert len(got.files) == 4 and np.isfinite(open_sst(tmp_path)["sst"]).all()
    assert not leftovers(tmp_path)


@pytest.mark.parametrize("fault", [500, "truncated", "short", "html", "flipped"])
def test_a_day_that_stays_broken_is_named_and_the_others_are_kept(server, tmp_path, fault):
    path = name_of(date(2020, 2, 2))
    server.faults[path] = [fault] * 10
    with pytest.raises(ConnectionError, match=r"1 of 4 days .* 2020-02-02.*same call") as error:
        fetch(server, tmp_path)
    assert server.asked[path] == download.TRIES and str(tmp_path) in str(error.value)
    assert len(list(tmp_path.rglob("*.nc"))) == 3 and not leftovers(tmp_path)
    del server.faults[path]
    before = server.asked.total()
    assert len(fetch(server, tmp_path).files) == 4
    assert server.asked.total() == before + 1  # only the day that was lacking


def test_a_trickle_is_given_up(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "LONGEST", 0.5)
    server.faults[name_of(date(2020, 2, 1))] = ["trickle"]
    began = time.monotonic()
    assert len(fetch(server, tmp_path, end="2020-02-01").files) == 1
    assert time.monotonic() - began < 8


@pytest.mark.parametrize("fault", ["endless", "zipped zeros"])
def test_what_is_too_large_is_given_up_at_once(server, tmp_path, monkeypatch, fault):
    """Counted as it is unpacked: 16 MiB of zeros come as 16 KiB."""
    monkeypatch.setattr(download, "LARGEST", 1 << 22)
    path = name_of(date(2020, 2, 1))
    server.faults[path] = [fault] * 9
    began = time.monotonic()
    with pytest.raises(ConnectionError, match="larger than 4 MiB"):
        fetch(server, tmp_path / "to", end="2020-02-01")
    assert server.asked[path] == 1 and time.monotonic() - began < 20
    assert not (tmp_path / "to").exists()


@pytest.mark.parametrize(
    "source, error, text",
    [
        ("http://127.0.0.1:9", ConnectionError, "Connection refused"),
        ("http://nowhere.invalid", ConnectionError, "Failed to resolve"),
        ("http://127.0.0.1:port", ValueError, "no address of a web server: Failed to parse"),
        ("ftp://127.0.0.1", ValueError, "no address of a web server: No connection adapters"),
        ("https://", ValueError, "no address of a web server"),
    ],
)
def test_what_cannot_be_asked_is_not_asked_again(tmp_path, monkeypatch, source, error, text):
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(download, "PAUSE", 1000.0)  # a second try would wait that long
    with pytest.raises(error, match=text):
        download_oisst("2020-02-01", "2020-02-02", to=tmp_path / "to", source=source)
    assert os.listdir(tmp_path) == []  # no empty folder
    (tmp_path / "own").mkdir()
    with pytest.raises(error, match=text):
        download_oisst("2020-02-01", "2020-02-02", to=tmp_path / "own", source=source)
    assert os.listdir(tmp_path) == ["own"] and os.listdir(tmp_path / "own") == []


def test_a_server_that_answered_before_is_asked_again(server, tmp_path, monkeypatch):
    """Refused for a moment amid thousands of days, it is worth a pause."""
    monkeypatch.setattr(download, "WORKERS", 1)
    get, calls = requests.Session.get, []

    def sometimes(session, url, **words):
        calls.append(url)
        if len(calls) == 2:  # the server has answered once
            return get(session, "http://127.0.0.1:9", **words)
        return get(session, url, **words)

    monkeypatch.setattr(requests.Session, "get", sometimes)
    assert len(fetch(server, tmp_path).files) == 4 and len(calls) == 5


@pytest.mark.parametrize("error", [OSError(28, "No space left"), RuntimeError("NetCDF: HDF error")])
def test_a_full_disk_leaves_nothing_half(server, tmp_path, monkeypatch, error):
    write, written = xr.Dataset.to_netcdf, []

    def full(self, path, **words):
        written.append(path)
        if len(written) > 2:
            Path(path).write_bytes(b"half")
            raise error
        return write(self, path, **words)

    monkeypatch.setattr(xr.Dataset, "to_netcdf", full)
    with pytest.raises(OSError, match="No space left|is the disk full"):
        fetch(server, tmp_path)
    assert len(open_sst(tmp_path)["time"]) == 2 and not leftovers(tmp_path)
    monkeypatch.setattr(xr.Dataset, "to_netcdf", write)
    assert len(fetch(server, tmp_path).files) == 4


def test_a_running_download_s_parts_are_left_alone(server, tmp_path):
    for name, age in (("young", 600), ("old", 2 * download.ABANDONED)):
        part = tmp_path / "202002" / f".{name}.part"
        part.parent.mkdir(exist_ok=True)
        part.write_bytes(b"half")
        os.utime(part, (time.time() - age,) * 2)
    fetch(server, tmp_path)
    assert [part.name for part in leftovers(tmp_path)] == [".young.part"]


def test_a_refusal_is_not_asked_again(server, tmp_path):
    path = name_of(date(2020, 2, 1))
    server.faults[path] = [403] * 9
    with pytest.raises(ConnectionError, match="HTTP 403"):
        fetch(server, tmp_path, end="2020-02-01")
    assert server.asked[path] == 1


def test_a_server_that_is_down_is_left_alone(server, tmp_path):
    server.down = 500
    with pytest.raises(ConnectionError, match="366 of 366 days"):
        fetch(server, tmp_path, start="2020", end="2020")
    assert server.asked.total() <= download.TRIES * (download.GIVE_UP + 2 * download.WORKERS)


def test_no_server_at_all(tmp_path, monkeypatch):
    monkeypatch.setattr(download, "PAUSE", 0.01)
    monkeypatch.setenv("NO_PROXY", "*")
    with pytest.raises(ConnectionError, match="1 of 1 days"):
        download_oisst("2020-02-01", "2020-02-01", to=tmp_path, source="http://127.0.0.1:9")


def test_a_file_of_another_day_is_refused(server, tmp_path, monkeypatch):
    write_day(tmp_path / "up", date(2020, 2, 1), held=date(2020, 2, 9))
    server.root = tmp_path / "up"
    with pytest.raises(ConnectionError, match="holds the days .'2020-02-09'"):
        fetch(server, tmp_path / "to", end="2020-02-01")


def test_preliminary_and_missing_days_are_reported(server, tmp_path):
    with pytest.warns(UserWarning, match="1 of 6 days do not exist .* 2020-02-06"):
        got = fetch(server, tmp_path, end="2020-02-06")
    assert got.preliminary == [date(2020, 2, 5)] and got.missing == [date(2020, 2, 6)]
    assert got.files[-1].name.endswith("20200205_preliminary.nc") and len(got.files) == 5


def test_a_preliminary_day_is_replaced_by_the_final_one(server, tmp_path):
    day = date(2020, 2, 5)
    server.root = tmp_path / "up"
    write_day(server.root, day, "_preliminary", value=1000)
    first = fetch(server, tmp_path / "to", day, day)
    again = fetch(server, tmp_path / "to", day, day)
    assert again == first and server.asked[name_of(day, "_preliminary")] == 1
    write_day(server.root, day, value=2000)
    got = fetch(server, tmp_path / "to", day, day)
    assert got.preliminary == [] and list((tmp_path / "to").rglob("*.nc")) == got.files
    assert float(open_sst(tmp_path / "to")["sst"].mean()) == 20


def test_the_future_is_missing_without_being_asked(server, tmp_path):
    with pytest.warns(UserWarning, match="365 of 365 days"):
        got = fetch(server, tmp_path, start="2199", end="2199")
    assert len(got.missing) == 365 and not server.asked


def test_a_second_run_asks_for_nothing_and_repairs_what_broke(server, tmp_path):
    files = fetch(server, tmp_path).files
    before = server.asked.total()
    fetch(server, tmp_path)
    assert server.asked.total() == before
    whole = files[1].read_bytes()
    files[1].write_bytes(whole[: len(whole) // 2])
    fetch(server, tmp_path)
    assert server.asked.total() == before + 1
    np.testing.assert_array_equal(open_sst(files[1])["time"], np.array(["2020-02-02"], "M8[ns]"))


def test_another_region_in_the_same_folder_is_refused(server, tmp_path):
    fetch(server, tmp_path, end="2020-02-01")
    with pytest.raises(ValueError, match="lat -45 to -37, lon 147 to 155, not the globe"):
        fetch(server, tmp_path, end="2020-02-01", region=None)


def test_a_killed_run_leaves_no_broken_file_and_resumes(server, tmp_path):
    server.pause = 0.3
    for day in (3, 4):
        server.faults[name_of(date(2020, 2, day))] = ["stalled"] * 9
    run = (
        "from sst_tutorial.download import download_oisst\n"
        f"download_oisst('2020-02-01', '2020-02-04', {TASMAN}, {str(tmp_path)!r}, {server.url!r})"
    )
    root = Path(download.__file__).parents[1]
    child = subprocess.Popen([sys.executable, "-c", run], cwd=root, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while len(leftovers(tmp_path)) < 2 or len(list(tmp_path.rglob("*.nc"))) < 2:
            assert time.monotonic() < deadline and child.poll() is None
            time.sleep(0.02)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    finished = list(tmp_path.rglob("*.nc"))
    assert len(finished) == 2 and len(open_sst(tmp_path)["time"]) == 2
    server.faults.clear()
    server.asked.clear()
    assert len(fetch(server, tmp_path).files) == 4
    assert set(server.asked) == {name_of(date(2020, 2, day)) for day in (3, 4)}
    for part in leftovers(tmp_path):
        os.utime(part, (0, 0))
    fetch(server, tmp_path)
    assert not leftovers(tmp_path)


def test_a_local_folder_is_a_source(upstream, tmp_path):
    with pytest.warns(UserWarning, match="2020-02-06"):
        got = download_oisst(
            "2020-02-04", "2020-02-06", TASMAN, to=tmp_path, source=upstream, progress=False
        )
    assert len(got.files) == 2 and got.preliminary == [date(2020, 2, 5)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("yesterday?", "2020-02-01"), "start='yesterday\\?' is not a date"),
        (("2020-02-30", "2020-03-01"), "start='2020-02-30' is not a date"),
        ((None, "2020-03-01"), "start=None is not a date"),
        (("2020-02-02", "2020-02-01"), "end='2020-02-01' is before start"),
        (("1980-01-01", "1982-01-01"), "before 1981-09-01"),
        (("2020-02-01", "2020-02-01", (147, 155, -45, -37)), "not of the form"),
        (("2020-02-01", "2020-02-01", {"lat": (-37, -45), "lon": (1, 2)}), "south <= north"),
        (("2020-02-01", "2020-02-01", {"lat": (-45, -37), "lon": (1, 999)}), "-360..360"),
        (("2020-02-01", "2020-02-01", {"lat": (0.1, 0.2), "lon": (1, 2)}), "no cell"),
    ],
)
def test_impossible_arguments(upstream, tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        download_oisst(*arguments, to=tmp_path, source=upstream, progress=False)


def test_values_of_no_sea_are_refused(tmp_path):
    write_day(tmp_path / "up", date(2020, 2, 1), value=9000)
    with pytest.raises(ConnectionError, match="temperatures that no sea has"):
        download_oisst("2020-02-01", "2020-02-01", to=tmp_path / "to", source=tmp_path / "up")


def test_a_source_that_is_not_there(tmp_path):
    with pytest.raises(ValueError, match="neither a folder nor an address"):
        download_oisst("2020-02-01", "2020-02-01", to=tmp_path, source=tmp_path / "none")


@pytest.fixture
def real(server):
    folder = shared_data()
    if folder is None or not (folder / "oisst_global").is_dir():
        pytest.skip("real OISST files are absent: set SST_TUTORIAL_DATA")
    server.root = folder / "oisst_global"
    return server


def test_real_oisst_through_every_fault(real, tmp_path):
    days = [date(1981, 9, day) for day in (1, 2, 3)]
    for day, fault in zip(days, ("truncated", "flipped", "stalled"), strict=True):
        real.faults[name_of(day)] = [500, fault]
    with pytest.warns(UserWarning, match="1981-09-04"):
        got = fetch(real, tmp_path, "1981-09-01", "1981-09-04")
    ours, whole = open_sst(tmp_path), open_sst(real.root)
    assert ours["sst"].shape == (3, 32, 32) and got.missing == [date(1981, 9, 4)]
    there = whole.sel(lat=ours["lat"], lon=ours["lon"])
    np.testing.assert_array_equal(ours["sst"], there["sst"])
    assert sum(f.stat().st_size for f in got.files) < 200_000 and not leftovers(tmp_path)
