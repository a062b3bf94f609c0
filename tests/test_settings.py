"""A settings file says what differs from a preset; whatever it says wrong is named."""

import dataclasses
import json

import pytest

from sst_tutorial.networks import build
from sst_tutorial.settings import (
    PRECISIONS,
    RECORD_FORMAT,
    Settings,
    as_dict,
    changed,
    preset_names,
    read_settings,
    settings_of,
)


@pytest.fixture
def read(tmp_path):
    """read(text) -> the settings of a file with that text."""

    def call(text, name="run.toml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return read_settings(path)

    return call


def record(of, **changes):
    return json.dumps({"format": RECORD_FORMAT, "settings": as_dict(of)} | changes)


# ---------------------------------------------------------------- presets


def test_there_are_three_presets():
    assert preset_names() == ["colab", "full", "quick"]


@pytest.mark.parametrize("name", ["colab", "full", "quick"])
def test_every_preset_builds(name):
    settings = settings_of(name)
    estimator = build(settings.first_guess, settings.network, settings.scale)
    assert sum(p.numel() for p in estimator.parameters()) > 10_000


def test_colab_is_full_in_parts_that_fit_a_t4():
    full, colab = as_dict(settings_of("full")), as_dict(settings_of("colab"))
    differs = {key for key in full if full[key] != colab[key]}
    assert differs == {"micro_batch", "precision", "compile", "pieces"}


def test_full_is_the_run_that_made_ocean_1():
    from sst_tutorial.weights import find_weights, read_metadata

    config, full = read_metadata(find_weights("ocean-1"))["config"], settings_of("full")
    assert (config["first_guess"], config["network"]) == (full.first_guess, full.network)
    assert config["scale"] == full.scale


def test_settings_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        settings_of("quick").steps = 3


# ---------------------------------------------------------------- a file


def test_a_file_holds_what_differs(read):
    (settings,) = read('preset = "full"\nsteps = 7\nlr = 1\n[network]\nembed_dim = 64\n')
    expected = dataclasses.replace(
        settings_of("full"),
        steps=7,
        lr=1.0,
        network=settings_of("full").network | {"embed_dim": 64},
    )
    assert settings == expected and type(settings.lr) is float


def test_an_empty_file_is_the_defaults(read):
    assert read("") == [Settings()]
    assert Settings() != settings_of("quick")


def test_a_table_of_another_name_replaces_the_preset_s(read):
    (settings,) = read('preset = "full"\n[network]\nname = "unet"\n')
    assert settings.network == {"name": "unet"}
    assert settings.first_guess == settings_of("full").first_guess
    (settings,) = read('preset = "full"\n[first_guess]\nname = "gaussian"\ncells = 2.0\n')
    assert settings.first_guess == {"name": "gaussian", "cells": 2.0}


def test_a_table_of_the_same_name_is_merged(read):
    preset = settings_of("full").network
    for name in ('name = "transformer"\n', ""):
        (settings,) = read(f'preset = "full"\n[network]\n{name}skip = false\n')
        assert settings.network == preset | {"skip": False} != preset


def test_changes_merge_as_in_a_file():
    full = settings_of("full")
    assert changed(full, network={"hidden": 64}).network == full.network | {"hidden": 64}
    assert changed(full, network={"name": "unet"}).network == {"name": "unet"}
    assert settings_of("full", network={"hidden": 64}) == changed(full, network={"hidden": 64})
    assert changed(full) == full and changed(full, seed=3) == settings_of("full", seed=3)
    assert settings_of("full").network == full.network  # nobody else's table was touched
    with pytest.raises(ValueError, match="unknown setting 'stepz'"):
        changed(full, stepz=3)


def test_years_become_pairs(read):
    (settings,) = read("train_years = [1982, 2008]\n")
    assert settings.train_years == (1982, 2008) and settings.val_years is None
    assert settings_of("quick", val_years=(2009, 2010)).val_years == (2009, 2010)


def test_seeds_are_as_many_runs(read):
    runs = read("seeds = [0, 1, 5]\nsteps = 9\n")
    assert runs == [Settings(seed=seed, steps=9) for seed in (0, 1, 5)]
    assert read("seed = 4\n") == [Settings(seed=4)]


def test_seeds_are_for_files():
    with pytest.raises(ValueError, match="seeds belong into a settings file"):
        settings_of("quick", seeds=[0, 1])
    with pytest.raises(ValueError, match="seeds belong into a settings file"):
        changed(Settings(), seeds=[0, 1])


# ---------------------------------------------------------------- a record


def test_a_record_fed_back_is_the_same_settings(read):
    settings = settings_of("full", seed=2, seconds=60.0, train_years=(1982, 2008), data="sst.nc")
    assert read(record(settings), "run.json") == [settings]
    assert read(record(Settings()), "run.json") == [Settings()]


def test_a_record_may_say_more(read):
    text = record(Settings(seed=3), commit="abc", done=True, seconds=3.1)
    assert read(text, "run.json") == [Settings(seed=3)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (record(Settings(), format="sst_tutorial run 0"), "format 'sst_tutorial run 0', this"),
        (record(Settings(), format=None), "has format None, this version reads 'sst_tutorial run"),
        (record(Settings(), settings=[1]), "this version reads"),
        (json.dumps({"steps": 3}), "has format None"),
        ("[1, 2]", "is not the record of a run"),
        ("3", "is not the record of a run"),
        ("{", "is not the record of a run"),
        ("[" * 100_000, "is not the record of a run"),
        ("", "is not the record of a run"),
        (record(Settings()).replace('"steps"', '"passes"'), "unknown setting 'passes'"),
    ],
)
def test_another_record_is_refused(read, text, message):
    with pytest.raises(ValueError, match=f"run.json.*{message}"):
        read(text, "run.json")


# ---------------------------------------------------------------- what is refused

WRONG = {  # text of the file: what the message says
    "stepz = 3": "unknown setting 'stepz'; known are batch_size, .*preset, .*seeds, .*warmup",
    'preset = "huge"': r"preset='huge', choose one of \['colab', 'full', 'quick'\]",
    "preset = 3": r"preset=3, choose one of",
    "steps = 3.0": "steps=3.0 must be of type int",
    "steps = true": "steps=True must be of type int",
    'steps = "3"': "steps='3' must be of type int",
    'lr = "fast"': "lr='fast' must be of type float",
    "lr = true": "lr=True must be of type float",
    "precision = 32": "precision=32 must be of type str",
    "compile = 1": "compile=1 must be of type bool",
    'network = "unet"': "network='unet' must be of type dict",
    "first_guess = []": r"first_guess=\[\] must be of type dict",
    "data = 3": "data=3 must be of type str",
    'seconds = "60"': "seconds='60' must be of type float",
    "micro_batch = 2.5": "micro_batch=2.5 must be of type int",
    "train_years = 1982": "train_years=1982 must be two years",
    "val_years = [2009]": r"val_years=\[2009\] must be two years",
    "val_years = [2009, 2010, 2011]": "must be two years",
    "clim_years = [1982, 2010.0]": r"clim_years=\[1982, 2010.0\] must be two years",
    'clim_years = ["1982", "2010"]': "must be two years",
    "steps = 0": "steps=0 must be positive",
    "batch_size = -1": "batch_size=-1 must be positive",
    "micro_batch = 0": "micro_batch must be positive",
    "micro_batch = -2": "micro_batch=-2 must be positive",
    "seconds = 0": "seconds and micro_batch must be positive",
    "seconds = -1.0": "seconds=-1.0 must be positive",
    "seconds = inf": "seconds=inf must be positive",
    "lr = 0": "lr=0.0 must be positive",
    "lr = nan": "lr=nan must be positive",
    "scale = 0": "scale=0.0 must be positive",
    "eval_every = 0": "eval_every=0 must be positive",
    "patience = 0": "patience=0 must be positive",
    "clip = 0": "clip=0.0 must be positive",
    "ema = 1.1": "ema=1.1 must be 0 to 1",
    "simulated = -0.1": "simulated=-0.1 must be 0 to 1",
    "moving = 1.1": "moving=1.1 must be 0 to 1",
    "lasting = -0.1": "lasting=-0.1 must be 0 to 1",
    "daily = 2": "daily=2.0 must be 0 to 1",
    "moving_seas = 0": "moving_seas=0 must be positive",
    "moving_seas = 1.5": "moving_seas=1.5 must be of type int",
    "seed = -1": "seed=-1 must be 0 to 4294967295",
    "seed = 4294967296": "seed=4294967296 must be 0",
    'precision = "bf16-true"': "precision='bf16-true', choose one of .*bf16-mixed",
    "warmup = -1": "warmup=-1 must be 0 or more",
    "weight_decay = -0.1": "weight_decay=-0.1 must be 0 or more",
    "[first_guess]\ndays = inf": "first_guess.days=inf must be a finite number",
    "[network]\noverlap = nan": "network.overlap=nan must be a finite number",
    "seed = 1\nseeds = [1, 2]": "give seed or seeds, not both",
    "seeds = []": r"seeds=\[\] must be a list of different whole numbers",
    "seeds = [1, 1]": r"seeds=\[1, 1\] must be a list of different",
    "seeds = 3": "seeds=3 must be a list of different",
    'seeds = ["a"]': "seed='a' must be of type int",
    "seeds = [1, true]": "seed=True must be of type int",
    "steps = ": "is not a TOML file.*see the presets",
    f"steps = {'[' * 100_000}": "is not a TOML file",
    "steps = 3\nsteps = 4": "is not a TOML file",
}


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_in_a_file_is_named(read, text):
    with pytest.raises(ValueError, match=WRONG[text]) as error:
        read(text)
    assert "run.toml" in str(error.value) and "\n" not in str(error.value)


def test_every_type_of_setting_is_checked(read):
    """None of the settings takes anything: a new one with another type must be thought of."""
    for field in dataclasses.fields(Settings):
        with pytest.raises(ValueError, match=f"{field.name}="):
            read(json.dumps({"format": RECORD_FORMAT, "settings": {field.name: [[]]}}), "run.json")
        optional = field.default is None
        text = json.dumps({"format": RECORD_FORMAT, "settings": {field.name: None}})
        if optional:
            assert read(text, "run.json") == [Settings()]
        else:
            with pytest.raises(ValueError, match=f"{field.name}=None must be of type"):
                read(text, "run.json")


@pytest.mark.parametrize("precision", PRECISIONS)
def test_known_precisions_are_taken(precision):
    assert settings_of("quick", precision=precision).precision == precision


@pytest.mark.parametrize("name", ["absent.toml", "absent.json"])
def test_a_missing_file_is_named(tmp_path, name):
    with pytest.raises(ValueError, match=f"{name}: no such"):
        read_settings(tmp_path / name)


def test_a_file_that_is_no_text_is_refused(tmp_path):
    for name in ("run.toml", "run.json"):
        (tmp_path / name).write_bytes(b"\xff\xfe\x00")
        with pytest.raises(ValueError, match=f"{name} is not"):
            read_settings(tmp_path / name)


def test_an_unknown_preset_or_setting_of_a_call_is_named():
    with pytest.raises(ValueError, match="'huge'.*colab"):
        settings_of("huge")
    with pytest.raises(ValueError, match="unknown setting 'stepz'; known are.*steps"):
        settings_of("quick", stepz=3)
    with pytest.raises(ValueError, match="bf16-true.*bf16-mixed"):
        settings_of("quick", precision="bf16-true")
