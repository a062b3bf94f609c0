"""Save and load trained networks as safetensors, with everything needed to rebuild them inside.

A file holds the state_dict; its metadata holds the constructor arguments of
`SpatioTemporalModel`, the `Settings` of the input, and the command that trained it. Pickles are
refused: they can run code.
"""

import hashlib
import json
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from sst_tutorial.model import SpatioTemporalModel
from sst_tutorial.months import Settings
from sst_tutorial.rivals import UNet, WithoutTokens

FORMAT = "sst_tutorial 1"
SHIPPED = files("sst_tutorial") / "weights"
DEFAULT = "ocean-1"
NETWORKS = {"transformer": SpatioTemporalModel, "unet": UNet, "without tokens": WithoutTokens}


def save_weights(path, model: nn.Module, config: dict, settings: Settings, about: dict) -> None:
    """Write `model` to `path` (safetensors).

    config: {"network": name in NETWORKS, and the arguments of its constructor}. about: anything
    worth knowing (training command, data, scores); must turn into JSON.
    """
    state = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    metadata = {
        "format": FORMAT,
        "sha256": fingerprint(state),
        "config": json.dumps(config),
        "settings": json.dumps(asdict(settings)),
        "about": json.dumps(about),
    }
    save_file(state, str(path), metadata)


def fingerprint(state: dict[str, Tensor]) -> str:
    """Checksum of all tensors, so that a changed file is noticed."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous().flatten()
        digest.update(name.encode() + tensor.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def find_weights(name_or_path=None) -> Path:
    """Path of a shipped set of weights by name (None = the default), or of a user's own file."""
    name = DEFAULT if name_or_path is None else str(name_or_path)
    shipped = Path(str(SHIPPED / f"{name}.safetensors"))
    path = shipped if shipped.exists() else Path(name)
    if not path.is_file():
        names = sorted(p.stem for p in Path(str(SHIPPED)).glob("*.safetensors"))
        raise ValueError(f"model {name!r} is neither a file nor a shipped name; shipped: {names}")
    return path


def read_metadata(path) -> dict:
    """Config, settings and about of a weights file, each a dict, and the sha256 of its tensors."""
    try:
        with safe_open(str(path), "pt") as f:
            metadata = f.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ValueError(
            f"{path} is not a readable safetensors file ({error}); it may be truncated, or a "
            "pickle (.pt, .pth), which is refused because it can run code"
        ) from error
    if metadata.get("format") != FORMAT:
        raise ValueError(
            f"{path} has format {metadata.get('format')!r}, expected {FORMAT!r}; write it with "
            "sst_tutorial.weights.save_weights"
        )
    try:
        parts = {key: json.loads(metadata[key]) for key in ("config", "settings", "about")}
        return parts | {"sha256": metadata["sha256"]}
    except (KeyError, ValueError) as error:
        raise ValueError(f"{path} has damaged metadata ({error!r}); fetch it again") from error


def build(config: dict) -> nn.Module:
    """A new network from {"network": name in NETWORKS, and its constructor's arguments}."""
    arguments = dict(config)
    name = arguments.pop("network", "transformer")
    if name not in NETWORKS:
        raise ValueError(f"network={name!r}, choose one of {sorted(NETWORKS)}")
    try:
        return NETWORKS[name](**arguments)
    except TypeError as error:
        raise ValueError(f"network {name!r} cannot be built from {arguments}: {error}") from error


def load_weights(name_or_path=None) -> tuple[SpatioTemporalModel, Settings]:
    """Rebuild a trained network, in eval mode, on the CPU: (model, settings).

    name_or_path: a shipped name, a path, or None for the default.
    """
    path = find_weights(name_or_path)
    metadata = read_metadata(path)
    model = build(metadata["config"])
    with safe_open(str(path), "pt") as f:
        state = {name: f.get_tensor(name) for name in f.keys()}
    if fingerprint(state) != metadata["sha256"]:
        raise ValueError(f"{path} was changed after it was saved (sha256 differs); fetch it again")
    load_state(model, state, path)
    return model.eval(), Settings(**metadata["settings"])


def load_state(model: nn.Module, state: dict[str, Tensor], path) -> None:
    """Put `state` into `model`, or say in one line that it belongs to another network."""
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip()
        raise ValueError(
            f"{path} holds another architecture than its config says: {first}"
        ) from error
