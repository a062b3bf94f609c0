"""A run is one settings file: what differs from a preset, and nothing else.

    preset = "full"
    seeds = [0, 1, 2]
    seconds = 300
    [network]
    name = "unet"

A table with another `name` replaces the preset's table, otherwise its keys are merged into it. The
record that a run leaves (run.json) is itself such a file: it names every setting and no preset.
Presets are the files in `presets/`; what neither file nor preset names is as in `Settings`.
"""

import dataclasses
import json
import math
import tomllib
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from pathlib import Path

RECORD_FORMAT = "sst_tutorial run 1"
FOLDER = files("sst_tutorial") / "presets"
PRECISIONS = ("32-true", "16-mixed", "bf16-mixed")  # the averaged weights stay in float32


@dataclass(frozen=True)
class Settings:
    """One training run."""

    seed: int = 0
    steps: int = 300
    seconds: float | None = None  # train that long instead of `steps`, evaluations not counted
    batch_size: int = 16  # samples of one step, over all devices and all parts
    micro_batch: int | None = None  # samples that go through the network at once; None = all
    lr: float = 2e-3
    weight_decay: float = 0.02
    warmup: int = 30  # steps in which the learning rate climbs to lr
    clip: float = 1.0  # largest gradient norm
    ema: float = 0.99  # memory of the averaged weights that are kept
    eval_every: int = 100  # steps
    patience: int = 10  # evaluations without a better one before the run stops
    precision: str = "32-true"  # of Lightning Fabric; "bf16-mixed" on a GPU
    compile: bool = False
    pieces: int = 64  # simulated oceans kept ready
    simulated: float = 0.25  # their share of the samples where real data is given
    moving: float = 0.0  # share of samples from a sea that moves
    moving_seas: int = 16  # of those kept ready
    lasting: float = 0.0  # share of the samples under `clouds` whose clouds stay for days
    daily: float = 0.0  # share of samples that ask for one day instead of the month
    no_climatology: float = 0.0  # share of samples of which no climatology is known
    every_day: float = 0.0  # weight, in the loss, of the first maps of all days (daily_head)
    data: str | None = None  # file of complete daily SST; None = simulated seas
    clouds: str | None = None  # what a real instrument saw; None = simulated clouds
    train_years: tuple | None = None  # [first, last]; None = all before the validation years
    val_years: tuple | None = None  # None = the last two years of the data
    clim_years: tuple | None = None  # None = the training years
    start: str | None = None  # weights to go on from; None = a new estimator
    scale: float = 1.0  # K; anomalies off Tasmania spread by 0.93 K
    first_guess: dict = field(default_factory=lambda: {"name": "corrections"})
    network: dict = field(default_factory=lambda: {"name": "transformer"})


def preset_names() -> list[str]:
    return sorted(Path(str(f)).stem for f in FOLDER.iterdir() if f.name.endswith(".toml"))


def settings_of(preset: str = "quick", **changes) -> Settings:
    """The settings of a preset with some of them changed; tables are merged as in a file."""
    return _merged({"preset": preset} | changes, "settings")


def changed(settings: Settings, **changes) -> Settings:
    """`settings` with some of them changed; tables are merged as in a file."""
    return _merged(changes, "settings", as_dict(settings))


def read_settings(path) -> list[Settings]:
    """The runs of a settings file (.toml) or of the record of a run (.json), one for each seed."""
    path = Path(path)
    values = _read_record(path) if path.suffix == ".json" else _read_toml(path)
    seeds = values.pop("seeds", None)
    if seeds is None:
        return [_merged(values, str(path))]
    if "seed" in values:
        raise ValueError(f"{path}: give seed or seeds, not both")
    if not isinstance(seeds, list) or not seeds or len(set(map(str, seeds))) < len(seeds):
        raise ValueError(f"{path}: seeds={seeds!r} must be a list of different whole numbers")
    return [_merged(values | {"seed": seed}, str(path)) for seed in seeds]


def _read_toml(path: Path) -> dict:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path}: no such settings file; check the name") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is not a TOML file ({error}); see the presets") from error


def _read_record(path: Path) -> dict:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        found = record.get("format")
    except FileNotFoundError:
        raise ValueError(f"{path}: no such record; check the name") from None
    except (ValueError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} is not the record of a run ({error})") from error
    if found != RECORD_FORMAT or not isinstance(record.get("settings"), dict):
        raise ValueError(
            f"{path} has format {found!r}, this version reads {RECORD_FORMAT!r}; repeat the run "
            "from its settings file"
        )
    if record.get("fine_tuning"):
        raise ValueError(f"{path} is the record of a fine-tuning; repeat it by its command")
    return dict(record["settings"])


def _merged(values: dict, where: str, base: dict | None = None) -> Settings:
    values = dict(values)
    name = values.pop("preset", None)
    known = {f.name: f for f in dataclasses.fields(Settings)}
    if "seeds" in values:
        raise ValueError(f"{where}: seeds belong into a settings file, a run each; give one seed")
    unknown = sorted(set(values) - set(known))
    if unknown:
        listed = ", ".join(sorted([*known, "preset", "seeds"]))
        raise ValueError(f"{where}: unknown setting {unknown[0]!r}; known are {listed}")
    base = dict(base or {})
    if name is not None:
        if name not in preset_names():
            raise ValueError(f"{where}: preset={name!r}, choose one of {preset_names()}")
        base = tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))
    for key, value in values.items():
        old = base.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            same = value.get("name", old.get("name")) == old.get("name")
            value = old | value if same else value
        base[key] = value
    settings = Settings(**{k: _typed(k, v, known[k], where) for k, v in base.items()})
    _check(settings, where)
    return settings


def _typed(key: str, value, setting, where: str):
    """The value in the type of its setting, or ValueError."""
    kind, optional = str(setting.type), "None" in str(setting.type)
    if value is None and optional:
        return None
    if "tuple" in kind:
        pair = isinstance(value, (list, tuple)) and len(value) == 2
        if pair and all(type(year) is int for year in value):
            return tuple(value)
        raise ValueError(f"{where}: {key}={value!r} must be two years, for example [1982, 2010]")
    wanted = {"int": int, "float": float, "str": str, "bool": bool, "dict": dict}
    name = next(n for n in wanted if n in kind)
    if name == "float" and type(value) is int:
        value = float(value)
    if type(value) is not wanted[name]:
        raise ValueError(f"{where}: {key}={value!r} must be of type {name}")
    return value


def _check(settings: Settings, where: str) -> None:
    """ValueError for numbers with which no run can be."""
    positive = ("steps", "batch_size", "lr", "clip", "eval_every", "patience", "scale")
    positive += ("moving_seas",)
    for key in (*positive, *(k for k in ("seconds", "micro_batch") if getattr(settings, k))):
        if not 0 < getattr(settings, key) < float("inf"):
            raise ValueError(f"{where}: {key}={getattr(settings, key)} must be positive")
    if settings.seconds == 0 or settings.micro_batch == 0:
        raise ValueError(f"{where}: seconds and micro_batch must be positive, or left away")
    for key in ("warmup", "weight_decay", "every_day"):
        if not 0 <= getattr(settings, key) < float("inf"):
            raise ValueError(f"{where}: {key}={getattr(settings, key)} must be 0 or more")
    if not 0 <= settings.seed < 2**32:
        raise ValueError(f"{where}: seed={settings.seed} must be 0 to 4294967295")
    for key in ("ema", "simulated", "moving", "lasting", "daily", "no_climatology"):
        if not 0 <= getattr(settings, key) <= 1:
            raise ValueError(f"{where}: {key}={getattr(settings, key)} must be 0 to 1")
    for slot in ("first_guess", "network"):  # a record has no infinity
        for key, value in getattr(settings, slot).items():
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{where}: {slot}.{key}={value} must be a finite number")
    if settings.precision not in PRECISIONS:
        raise ValueError(f"{where}: precision={settings.precision!r}, choose one of {PRECISIONS}")


def as_dict(settings: Settings) -> dict:
    """All settings, for a record; JSON turns the pairs of years into lists."""
    return json.loads(json.dumps(asdict(settings)))
