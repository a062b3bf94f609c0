"""Save and load trained estimators and running ones as safetensors.

A file of weights holds the state_dict; its metadata holds the settings of the two slots, the scale,
and the command that trained it. Pickles are refused: they can run code. Files of format 1
(`ocean-1`) are renamed on the way in, see `_renamed`; weights of the published network go straight
into `SpatioTemporalModel.load_state_dict`.
"""

import hashlib
import json
import warnings
from importlib.resources import files
from pathlib import Path
from textwrap import shorten

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from sst_tutorial.networks import Estimator, build
from sst_tutorial.whole import whole

FORMAT = "sst_tutorial 2"
SHIPPED = files("sst_tutorial") / "weights"
DEFAULT = "ocean-2"  # months and days; ahead of `ocean-1` in months of OISST and of moving seas


def save_weights(path, estimator: Estimator, first_guess: dict, network: dict, about: dict) -> None:
    """Write `estimator` to `path` (safetensors).

    first_guess, network: what `networks.build` made it from. about: anything worth knowing
    (training command, data, scores); must turn into JSON.
    """
    state = {k: v.detach().cpu().contiguous() for k, v in estimator.state_dict().items()}
    config = {"first_guess": first_guess, "network": network, "scale": estimator.scale}
    metadata = {
        "format": FORMAT,
        "sha256": fingerprint(state),
        "config": json.dumps(config),
        "about": json.dumps(about),
    }
    _save_whole(state, path, metadata)


def _save_whole(tensors: dict[str, Tensor], path, metadata: dict) -> None:
    """A safetensors file that appears whole or not at all."""
    with whole(path) as part:
        try:
            save_file(tensors, str(part), metadata)
        except SafetensorError as error:
            raise OSError(error) from error


def fingerprint(state: dict[str, Tensor]) -> str:
    """Checksum of all tensors, so that a changed file is noticed."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous().flatten()
        digest.update(name.encode() + tensor.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def shipped_weights() -> list[Path]:
    """The files of networks that come with the package; what lies beside them is none."""
    found = sorted(Path(str(SHIPPED)).glob("*.safetensors"))
    return [path for path in found if not path.stem.endswith(".spread")]


def spread_file(name_or_path=None) -> Path:
    """Where the standard deviations of a network's errors are kept, see `uncertain.py`; it need
    not exist."""
    path = find_weights(name_or_path)
    return path.with_name(f"{path.stem}.spread.safetensors")


def find_weights(name_or_path=None) -> Path:
    """Path of shipped weights by name (None = the default), of a run's folder, or of a file."""
    name = DEFAULT if name_or_path is None else str(name_or_path)
    shipped = Path(str(SHIPPED / f"{name}.safetensors"))
    path = shipped if shipped.exists() else Path(name)
    path = path / "weights.safetensors" if path.is_dir() else path
    if not path.is_file():
        names = [p.stem for p in shipped_weights()]
        raise ValueError(
            f"model {name!r} is neither a file, nor a run's folder, nor a shipped name; shipped: "
            f"{names}"
        )
    return path


def read_metadata(path) -> dict:
    """Config ("first_guess", "network", "scale") and about of a weights file, each a dict, its
    format, and the sha256 of its tensors."""
    try:
        with safe_open(str(path), "pt") as f:
            metadata = f.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{path} is not a readable safetensors file ({error}); it may be truncated, or a "
            "pickle (.pt, .pth), which is refused because it can run code"
        ) from error
    found = metadata.get("format")
    if found not in (FORMAT, "sst_tutorial 1"):
        raise ValueError(
            f"{path} has format {found!r}, expected {FORMAT!r}; write it with "
            "sst_tutorial.weights.save_weights"
        )
    try:
        config, about = (json.loads(metadata[key]) for key in ("config", "about"))
        if found == "sst_tutorial 1":
            config = _config_of_format_1(config, json.loads(metadata["settings"]))
        parts = {key: config[key] for key in ("first_guess", "network", "scale")}
        if not all(isinstance(x, dict) for x in (parts["first_guess"], parts["network"], about)):
            raise ValueError("config and about must be tables")
        return {"format": found, "config": parts, "about": about, "sha256": metadata["sha256"]}
    except (KeyError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{path} has damaged metadata ({error!r}); fetch it again") from error


def load_weights(name_or_path=None) -> Estimator:
    """Rebuild a trained estimator, in eval mode, on the CPU.

    name_or_path: a shipped name, the folder of a run, a path, or None for the default.
    """
    path = find_weights(name_or_path)
    metadata = read_metadata(path)
    with safe_open(str(path), "pt") as f:
        state = {name: f.get_tensor(name) for name in f.keys()}
    if fingerprint(state) != metadata["sha256"]:
        raise ValueError(f"{path} was changed after it was saved (sha256 differs); fetch it again")
    broken = sorted(name for name, tensor in state.items() if not _all_finite(tensor))
    if broken:
        raise ValueError(f"{path} holds numbers that are not finite, in {broken[0]}: train again")
    config = metadata["config"]
    try:
        with warnings.catch_warnings():  # of torch, about layers without numbers
            warnings.simplefilter("ignore")
            estimator = build(config["first_guess"], config["network"], 1.0 * config["scale"])
    except (ValueError, TypeError, OverflowError) as error:
        raise ValueError(f"{path}: {error}") from error
    if metadata["format"] == "sst_tutorial 1":
        state = {_renamed(name): tensor for name, tensor in state.items()}
    load_state(estimator, state, path)
    return estimator.eval()


def _all_finite(tensor: Tensor) -> bool:
    """Are all of them finite numbers of a kind that a layer holds?"""
    if tensor.is_complex():
        return False
    return bool(tensor.to(torch.float32).isfinite().all())  # 8 bit floats cannot be asked


def load_state(module: nn.Module, state: dict[str, Tensor], path) -> None:
    """Put `state` into `module`, or say in one line that it belongs to another one."""
    try:
        module.load_state_dict(state)
    except RuntimeError as error:
        first = shorten(str(error).splitlines()[1], 200, placeholder=" ...")
        raise ValueError(
            f"{path} holds another architecture than its config says: {first}"
        ) from error


# ---------------------------------------------------------------- checkpoints of a run


def save_checkpoint(path: Path, model, average, best, optimizer, state: dict) -> None:
    """Everything a killed run needs, in one safetensors file that appears whole or not at all."""
    tensors = {}
    for prefix, module in (("model", model), ("average", average), ("best", best)):
        tensors |= {f"{prefix}/{k}": v for k, v in module.state_dict().items()}
    for i, moments in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{i}/{k}": torch.as_tensor(v) for k, v in moments.items()}
    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}
    _save_whole(tensors, path, {"state": json.dumps(state)})


def load_checkpoint(path: Path, model, average, best, optimizer) -> dict:
    """Put a checkpoint back into its parts and return where the run stood."""
    try:
        with safe_open(str(path), "pt") as f:
            tensors = {name: f.get_tensor(name) for name in f.keys()}
            state = json.loads(f.metadata()["state"])
    except (SafetensorError, OSError, KeyError, TypeError) as error:
        raise ValueError(
            f"cannot resume from {path} ({error}); it is missing, truncated or not a checkpoint "
            "of this package: start without --resume"
        ) from error
    moments: dict[int, dict[str, Tensor]] = {}
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "average": {}, "best": {}}
    for name, tensor in tensors.items():
        part, key = name.split("/", 1)
        if part == "optimizer":
            i, moment = key.split("/")
            moments.setdefault(int(i), {})[moment] = tensor
        else:
            parts[part][key] = tensor
    for module, part in ((model, "model"), (average, "average"), (best, "best")):
        load_state(module, parts[part], path)
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": moments, "param_groups": groups})
    return state


# ---------------------------------------------------------------- files of format 1


def _config_of_format_1(old: dict, settings: dict) -> dict:
    """The two slots of a file that had one class with options for both."""
    old = dict(old)
    iterations, adapt = old.pop("passes", 0), old.pop("adapt", False)
    first_guess = {"name": "gaussian"}
    if iterations:
        first_guess = {"name": "corrections", "iterations": iterations, "adapt": adapt}
    names = {"day_heads": "temporal_heads", "refine": "residual_blocks"}
    network = {"name": old.pop("network", "transformer")}
    network |= {names.get(key, key): value for key, value in old.items()}
    return {"first_guess": first_guess, "network": network, "scale": settings["scale"]}


def _renamed(name: str) -> str:
    """`corrections.log_cells` -> `first_guess.log_cells`, `encoder...` -> `network.encoder...`."""
    if name.startswith("corrections."):
        return name.replace("corrections.", "first_guess.", 1)
    return f"network.{name}".replace("decoder.refine.", "decoder.residual_blocks.")
