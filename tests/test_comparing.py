"""`compare` from end to end with runs of two steps, and what it refuses before it trains."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sst_tutorial import cli, comparing, model, networks, runs, training
from sst_tutorial.comparing import PARTS, compare, errors_of, in_place, speed, store
from sst_tutorial.model import MonthlyConvDecoder, SpatialTransformer, VideoEncoder
from sst_tutorial.samples import SampleMaker
from sst_tutorial.settings import as_dict, read_settings

SMALL = """
steps = 2
batch_size = 2
pieces = 4
warmup = 1
[first_guess]
name = "corrections"
iterations = 3
[network]
name = "transformer"
embed_dim = 16
hidden = 16
spatial_depth = 1
skip = true
"""


@pytest.fixture
def base(tmp_path, monkeypatch):
    """A settings file; few months to judge by; stored runs lie in a folder of their own."""
    (tmp_path / "tiny.toml").write_text(SMALL)
    few = comparing._months("simulated")
    monkeypatch.setattr(comparing, "_months", lambda exam: (few[0][::9], few[1][::9]))
    monkeypatch.setattr(comparing, "STORED", tmp_path / "stored")
    monkeypatch.chdir(tmp_path)
    return str(tmp_path / "tiny.toml")


@pytest.fixture
def trained(monkeypatch):
    """What was trained: (seed, steps, lr) of each run, in their order. It stands for `runs.train`:
    the last layer gets random numbers of the seed, and the random numbers of all are changed."""
    asked = []

    def train(settings, out, progress):
        asked.append((settings.seed, settings.steps, settings.lr))
        torch.manual_seed(settings.seed)
        estimator, _ = runs._estimator(settings)
        torch.nn.init.normal_(estimator.network.last.weight, std=0.01 + settings.lr)
        (Path(out) / "run.json").write_text(json.dumps({"steps": settings.steps, "seconds": 1.5}))
        return estimator

    monkeypatch.setattr(comparing, "train", train)
    return asked


def test_several_changes_are_told_and_a_list_is_one(base, trained, capsys):
    compare(base, {"network.patch_size": [1, 4, 8]}, seeds=1, steps=1)
    assert "at once" not in capsys.readouterr().out
    compare(base, {"lr": 1e-3, "network": {"spatial_depth": 2}}, seeds=1, steps=1)
    told = "Several things change at once (lr=0.001, network.spatial_depth=2)"
    assert told in capsys.readouterr().out


def test_two_real_runs(base, capsys):
    found = compare(base, {"lr": 1e-3}, seeds=1, steps=1)
    run, (first, second) = found.record["runs"]["change"][0], found.record["runs"]["base"]
    assert run["steps"] == 1 and run["seconds"] > 0 and first["seed"] == 0 and second["seed"] == 1
    assert len({x["rmse_K"] for x in (run, first, second)}) == 3
    assert found.verdict.split(" (")[0] in ("mattered", "less than 0.003 K", "cannot tell")


def test_stored_runs_are_used_and_a_record_is_left(base, trained, capsys, tmp_path):
    path = store(base, seeds=3, steps=2)
    assert path.name == "tiny-2steps.json" and [t[0] for t in trained] == [0, 1, 2]
    trained.clear()
    numbers = torch.random.get_rng_state()
    found = compare(base, {"lr": 1e-3}, seeds=2, steps=2, out="record.json")
    assert torch.equal(torch.random.get_rng_state(), numbers)
    assert trained == [(0, 2, 1e-3), (1, 2, 1e-3)]  # the base was not run again
    said = capsys.readouterr().out
    assert said.index("the smallest difference that can be seen is") < said.index("change, seed 0")
    assert said.rstrip().endswith(f"lr=0.001: {found.verdict}") and str(found) == found.verdict
    record = json.loads((tmp_path / "record.json").read_text())
    assert record["verdict"] == found.verdict and record["change"] == "lr=0.001"
    assert record["settings"]["lr"] == 1e-3 and len(record["runs"]["base"]) == 3
    for run in record["runs"]["change"]:
        assert run["steps"] == 2 and run["seconds"] > 0
        rmse = (sum(run["square_sum"]) / sum(run["weight_sum"])) ** 0.5
        assert run["rmse_K"] == pytest.approx(rmse, rel=1e-5)
    ours, theirs = ([r["rmse_K"] for r in record["runs"][w]] for w in ("change", "base"))
    theirs = theirs[:2] if record["difference_K"]["paired"] else theirs
    wanted = np.mean(ours) - np.mean(theirs)
    assert record["difference_K"]["value"] == pytest.approx(wanted, abs=1e-6)
    assert record["machine"]["cores"] and "commit" in record


def test_the_same_again_with_more_seeds_does_only_those(base, trained, capsys):
    words = ["compare", "--base", base, "--set", "lr=1e-3", "--steps", "2", "--out", "r.json"]
    assert cli.main([*words, "--seeds", "1"]) == 0
    assert [t[0] for t in trained] == [0, 1, 0]  # of the base two: one tells nothing of its luck
    trained.clear()
    assert cli.main([*words, "--seeds", "2"]) == 0
    assert trained == [(1, 2, 1e-3)]
    assert "No runs are stored as tiny-2steps.json" in capsys.readouterr().out
    assert json.loads(open("r.json").read())["command"].endswith("--out r.json --seeds 2")
    words[4] = "lr=3e-3"
    assert cli.main(words) == 2 and "r.json holds another comparison" in capsys.readouterr().err


def test_a_killed_comparison_goes_on_and_no_run_is_lost(base, trained, monkeypatch):
    store(base, seeds=2, steps=1)
    really, trained[:] = comparing.train, []

    def killed(settings, *arguments, **options):
        if settings.seed == 2:
            raise KeyboardInterrupt
        return really(settings, *arguments, **options)

    monkeypatch.setattr(comparing, "train", killed)
    with pytest.raises(KeyboardInterrupt):
        compare(base, {"lr": 1e-3}, seeds=3, steps=1, out="r.json")
    assert json.loads(Path("r.json").read_text())["verdict"] is None
    monkeypatch.setattr(comparing, "train", really)
    compare(base, {"lr": 1e-3}, seeds=3, steps=1, out="r.json")
    assert [t[0] for t in trained] == [0, 1, 2]
    found = compare(base, {"lr": 1e-3}, seeds=1, steps=1, out="r.json")
    assert len(trained) == 3 and len(found.record["runs"]["change"]) == 3


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("hash", "0" * 12, "their settings"),
        ("first_guess", [1.0] * 8, "the months that judge"),
        ("machine", {"gpu": "another"}, "the graphics card (stored another, here None)"),
        ("exam", {}, "the exam"),
    ],
)
def test_other_runs_are_named_and_the_base_is_run_again(base, trained, capsys, key, value, words):
    path = store(base, seeds=2, steps=1)
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {key: value}))
    trained.clear()
    compare(base, {"lr": 1e-3}, seeds=1, steps=1)
    assert [t[0] for t in trained] == [0, 1, 0]
    said = capsys.readouterr().out
    assert f"The stored runs of tiny differ in {words}" in said and "run again" in said


def test_another_torch_is_asked_by_a_few_steps(base, trained, capsys):
    """Runs of another version stand beside new ones where the same seed still takes these steps."""
    path = store(base, seeds=2, steps=1)
    record = json.loads(path.read_text())
    record["versions"]["torch"] = "1.0.0"
    for after, done in (
        (record["after_steps"], [0]),
        ([1.01 * x for x in record["after_steps"]], [0, 1, 0]),
        (None, [0, 1, 0]),  # of a record that did not ask
    ):
        path.write_text(json.dumps(record | {"after_steps": after}))
        trained.clear()
        compare(base, {"lr": 1e-3}, seeds=1, steps=1)
        assert [t[0] for t in trained] == done
        told = "differ in the version of torch (stored ['1', '0'], here" in capsys.readouterr().out
        assert told == (len(done) > 1)


def test_another_seed_is_told_by_the_first_steps(base, monkeypatch):
    """Or the comparison above could not tell other random numbers from rounding."""
    plan = comparing._plan(base, {}, 1, None, 1, None)
    first, again = (comparing.after_steps(plan) for _ in range(2))
    assert first == again
    really = torch.manual_seed
    monkeypatch.setattr(torch, "manual_seed", lambda seed: really(seed + 1))
    assert not np.allclose(comparing.after_steps(plan), first, rtol=1e-3)


def test_storing_more_runs_keeps_those_that_are_there(base, trained):
    first = json.loads(store(base, seeds=2, steps=1).read_text())
    trained.clear()
    second = json.loads(store(base, seeds=3, steps=1).read_text())
    assert [t[0] for t in trained] == [2] and second["runs"][:2] == first["runs"]


def test_a_change_that_does_nothing_is_less_than_anybody_minds(base, trained):
    """The same weights by another name: runs of the same seed are the same runs."""

    class Encoder(VideoEncoder):
        pass

    store(base, seeds=3, steps=2)
    found = compare(base, {"encoder": Encoder}, seeds=2, steps=2)
    assert found.verdict.startswith("less than 0.003 K (+0.0000 +- 0.0000 K")
    assert found.record["change"] == "encoder=Encoder"
    assert "class Encoder(VideoEncoder)" in found.record["sources"]["encoder"]


def test_every_slot_takes_a_class_and_gives_the_old_one_back(base):
    before = {name: getattr(model, name) for name in PARTS.values()}
    for slot, name in PARTS.items():
        own = type("Own", (before[name],), {})
        plan = comparing._plan(base, {slot: own}, 1, None, 1, None)
        assert isinstance(getattr(plan.build("change").network, slot), own)
        assert not isinstance(getattr(plan.build("base").network, slot), own)
    for slot, own in (("network", networks.UNet), ("first_guess", networks.GaussianMean)):
        own = type("Own", (own,), {"__init__": own.__init__})
        plan = comparing._plan(base, {slot: own}, 1, None, 1, None)
        assert isinstance(getattr(plan.build("change"), slot), own)
    assert {name: getattr(model, name) for name in PARTS.values()} == before
    assert "Own" not in networks.NETWORKS and "Own" not in networks.FIRST_GUESSES
    with pytest.raises(RuntimeError), in_place({"encoder": nn.Identity}):
        raise RuntimeError
    assert model.VideoEncoder is before["VideoEncoder"]


def test_samples_and_loss_are_slots_of_the_training(base):
    asked = []

    class Own(SampleMaker):
        pass

    before = training.ocean_rmse, runs._samples
    loss_that_ships = training.ocean_rmse

    def loss(prediction, target, ocean):
        asked.append(prediction.shape)
        return loss_that_ships(prediction, target, ocean)

    plan = comparing._plan(base, {"samples": Own, "loss": loss}, 1, None, 1, None)
    with in_place(plan.slots):
        maker = runs._samples(None, None, None, plan.base, 0, "cpu")
        assert isinstance(maker, Own) and runs.SampleMaker is SampleMaker  # of the validation
    found = compare(base, {"loss": loss}, seeds=1, steps=1)
    assert asked and "def loss(prediction" in found.record["sources"]["loss"]
    assert (training.ocean_rmse, runs._samples) == before
    with pytest.raises(ValueError, match="loss=3 must be"):
        compare(base, {"loss": 3}, steps=1)


def test_a_class_of_a_file_on_the_command_line(base, trained, tmp_path, capsys):
    (tmp_path / "mine.py").write_text(
        "from sst_tutorial.model import VideoEncoder\n\n\nclass Mine(VideoEncoder):\n    pass\n"
    )
    words = ["compare", "--base", base, "--steps", "1", "--seeds", "1", "--out", "r.json", "--set"]
    assert cli.main([*words, "encoder=mine.py:Mine"]) == 0
    record = json.loads(Path("r.json").read_text())
    assert record["change"] == "encoder=Mine" and "class Mine" in record["sources"]["encoder"]
    for value, told in (("no.py:Mine", "no file 'no.py'"), ("mine.py:Thine", "no class 'Thine'")):
        assert cli.main([*words, f"encoder={value}"]) == 2
        assert told in capsys.readouterr().err


class Shy(MonthlyConvDecoder):
    """Forgets the land."""

    def forward(self, latent, out_H, out_W, land_mask=None, skip=None):
        return super().forward(latent, out_H, out_W, None, skip)


def test_a_class_that_breaks_a_promise_is_told_so_before_it_trains(base, trained):
    with pytest.raises(ValueError, match=r"decoder=Shy breaks .* land must be exactly 0"):
        compare(base, {"decoder": Shy}, steps=1)
    assert trained == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lr": 2e-3}, "is what tiny does already"),
        ({"network.depth": 0}, "no setting 'depth'"),
        ({"speed": 3}, "unknown setting 'speed'"),
        ({"seed": 3}, "seed=3 is no change"),
        ({"steps": 3}, "steps=3 is no change"),
        ({"head": VideoEncoder}, "'head' is no slot for a class"),
        ({"encoder": 3}, "encoder=3 must be a class"),
        ({"network.name": "convolutions", "spatial_tr": SpatialTransformer}, "only the network"),
    ],
)
def test_a_change_that_is_none(base, trained, change, words):
    with pytest.raises(ValueError, match=words):
        compare(base, change, steps=1)
    assert trained == []


def test_arguments_that_make_no_sense(base, capsys):
    with pytest.raises(ValueError, match="change is empty"):
        compare(base)
    for options, words in (
        ({"seeds": 0}, "seeds=0"),
        ({"steps": 1, "seconds": 2}, "not both"),
        ({"steps": 0}, "steps=0"),
        ({"seconds": -1}, "seconds=-1"),
        ({"exam": "finals"}, "exam='finals': choose one of"),
        ({"out": "x.csv"}, "out='x.csv'"),
        ({"stored": "nowhere.json", "steps": 1}, "no such file"),
    ):
        with pytest.raises(ValueError, match=words):
            compare(base, {"lr": 1e-3}, **options)
    for words, told in (
        (["--set", "lr=1"], "None"),
        ([], "--set KEY=VALUE is missing"),
        (["--store", "3", "--set", "lr=1"], "--store runs the base alone"),
        (["--set", "lr=1e-3", "--small", "-1"], "--small -1.0"),
        (["--store", "1"], "store two or more"),
    ):
        if told != "None":
            assert cli.main(["compare", "--base", base, *words]) == 2
            assert told in capsys.readouterr().err


def test_a_slower_change_gets_fewer_steps(base, trained, monkeypatch, capsys):
    monkeypatch.setattr(comparing, "speed", lambda plan: {"base": 100.0, "change": 100.0})
    path = store(base, seeds=2, seconds=0.2)
    record = json.loads(path.read_text())
    assert path.name == "tiny-0.2s.json" and record["budget"]["steps"]["base"] == 2
    for ms, steps in ((200.0, 1), (51.0, 4), (103.0, 2)):  # 3 % is noise of the clock
        # On another day all is slower by 3: the stored steps hold, only the ratio counts.
        monkeypatch.setattr(comparing, "speed", lambda plan, ms=ms: {"base": 300, "change": 3 * ms})
        trained.clear()
        compare(base, {"lr": 1e-3}, seeds=1, seconds=0.2)
        assert [t[1] for t in trained] == [steps]
    assert "1 run(s) of 4 steps, the base has 2" in capsys.readouterr().out


def test_steps_find_the_stored_runs_that_took_as_many(base, trained, monkeypatch, capsys):
    monkeypatch.setattr(comparing, "speed", lambda plan: {"base": 100.0, "change": 100.0})
    path = store(base, seeds=2, seconds=0.2)  # 2 steps
    trained.clear()
    compare(base, {"lr": 1e-3}, seeds=1, steps=2)
    compare(base, {"lr": 1e-3}, seeds=1, steps=2, stored=path)
    assert [t[0] for t in trained] == [0, 0]
    compare(base, {"lr": 1e-3}, seeds=1, steps=3)
    assert [t[0] for t in trained] == [0, 0, 0, 1, 0]
    compare(base, {"lr": 1e-3}, seeds=1, steps=3, stored=path)
    assert "differ in their budget (stored {'seconds': 0.2}" in capsys.readouterr().out


def test_speed_tells_a_heavy_network_from_a_light_one(base):
    heavy = comparing._plan(base, {"network.embed_dim": 128, "network.blocks": 2}, 1, None, 1, None)
    ms = speed(heavy)
    assert ms["change"] > 1.3 * ms["base"] > 0


def test_a_ratio_of_speeds_is_that_of_most_pairs(base, monkeypatch):
    """One lucky step of either setting decided, when the fastest of each were compared."""
    clock, calls = [0.0], {"base": 0, "change": 0}

    def stepper(plan, which):
        def step():
            calls[which] += 1
            load = 1 + calls[which] % 3  # of other programs, on both alike
            lucky = 0.1 if which == "change" and calls[which] == 7 else 1
            clock[0] += {"base": 0.1, "change": 0.13}[which] * load * lucky

        return step, None

    monkeypatch.setattr(comparing, "_stepper", stepper)
    monkeypatch.setattr(comparing.time, "process_time", lambda: clock[0])
    ms = speed(comparing._plan(base, {"lr": 1e-3}, 1, None, 1, None))
    assert ms["change"] / ms["base"] == pytest.approx(1.3, rel=1e-3)
    assert comparing.steps_beside(270, 1.3) == 208 and comparing.steps_beside(270, 1.04) == 270


def test_the_loss_in_its_slot_is_the_one_that_is_timed(base):
    asked = []

    def loss(*arguments):
        asked.append(len(arguments))
        return comparing.ocean_rmse(*arguments)

    speed(comparing._plan(base, {"loss": loss}, 1, None, 1, None), pairs=1)
    assert len(asked) == 3  # two to warm up, one pair; the base has its own


def test_months_of_both_kinds_of_clouds_are_one_unit():
    """They are the same seas: as two they would pretend to know twice as much."""
    settings = read_settings_of_quick()
    squares, cells, names = errors_of(settings, "simulated")
    assert len(squares) == len(cells) == len(names) == 36 == len(set(names))
    batch = comparing._months("simulated")
    assert sum(cells) == sum(m.ocean.sum() for m in batch[0])


def read_settings_of_quick():
    return comparing._plan("quick", {}, 1, None, 1, None).build("base")


def test_neighbouring_months_count_as_one_where_they_share_their_weather():
    squares, cells, names = comparing._blocks(np.arange(7.0), np.ones(7), list("abcdefg"), "smooth")
    assert squares.tolist() == [3, 12, 6] and cells.tolist() == [3, 3, 1]
    assert names == ["a + b + c", "d + e + f", "g"]


def test_a_record_of_a_run_may_be_the_base(base, tmp_path):
    settings = read_settings(base)[0]
    folder = tmp_path / "mine-0"
    folder.mkdir()
    record = {"format": "sst_tutorial run 1", "settings": as_dict(settings)}
    (folder / "run.json").write_text(json.dumps(record))
    plan = comparing._plan(str(folder / "run.json"), {"lr": 1e-3}, 1, None, 1, None)
    assert plan.name == "mine-0" and plan.base == settings and plan.changed.lr == 1e-3


def test_the_hash_is_of_what_changes_the_answer(base):
    def of(change, **options):
        return comparing._plan(base, change, 1, *options.values(), None).hash("change")

    same = of({"lr": 1e-3}, seconds=None, steps=1)
    assert same == of({"lr": 1e-3}, seconds=5, steps=None)  # the budget has a place of its own
    assert len({same, of({"lr": 2.1e-3}, seconds=None, steps=1)}) == 2
    own = type("Own", (VideoEncoder,), {})
    assert of({"encoder": own}, seconds=None, steps=1) != of({}, seconds=None, steps=1)
