"""Tensors and a description in one safetensors file, written whole or not at all."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

ENTRY = "about"  # the JSON in the file's header; one file, for two cannot be replaced at once

Parts = Mapping[str, Mapping[str, Tensor]]  # no name has a slash


def write_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Replace the file; a crash leaves the old one or the new one, never a part.

    Nothing is copied in memory of tensors that are contiguous and on the CPU. No two may share
    their memory.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid4().hex}")
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        save_file(plain, part, {ENTRY: json.dumps(about)})
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `write_tensors` wrote, on the CPU; raises ValueError if it is no such file."""
    try:
        with safe_open(path, "pt") as file:
            about = (file.metadata() or {}).get(ENTRY)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged or no safetensors file: {error}") from error
    if about is None:
        raise ValueError(f"{path} was not written by Atelier: it has no description.")
    return tensors, json.loads(about)


def write_parts(path: Path, parts: Parts, about: Mapping[str, Any]) -> None:
    """As `write_tensors`, of tensors by the name of their part and their own."""
    tensors = {f"{part}/{key}": value for part, own in parts.items() for key, value in own.items()}
    write_tensors(path, tensors, about)


def read_parts(path: Path) -> tuple[dict[str, dict[str, Tensor]], dict[str, Any]]:
    """What `write_parts` wrote, without the parts that were empty; raises as `read_tensors`."""
    tensors, about = read_tensors(path)
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        part, key = name.split("/")
        parts.setdefault(part, {})[key] = tensor
    return parts, about


def copy_weights(network: nn.Module) -> dict[str, Tensor]:
    """On the CPU, and unchanged by what becomes of the network."""
    return {name: weights.detach().cpu().clone() for name, weights in network.state_dict().items()}
