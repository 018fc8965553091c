# SPDX-License-Identifier: Apache-2.0
"""Store the weights of a bundle: float16 on request, and each tensor once.

``model.safetensors`` is the checkpoint, for fine-tuning and for the torch backend. The networks are made of
mostly the same tensors: they read them from that file, as ONNX's external data. The remaining weights, which
the decoders mostly share, are stored in a file beside them.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import onnx
import torch
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnx.external_data_helper import set_external_data
from safetensors.torch import save_file

from .bundle import sha256
from .models.backbone_encoder import BackboneEncoder

if TYPE_CHECKING:
    from pathlib import Path


#: Min size of constants to move; smaller ones stay in the network, in float32.
SMALL = 4096
#: Where tensors in the decoders' file begin: so they can be mapped into memory.
PAGE = 4096
#: The decoders, and the file of their common tensors beside the checkpoint.
DECODERS, DECODER_WEIGHTS = ("decoder", "foveal_decoder"), "decoder.weights"


def save_checkpoint(model: torch.nn.Module, path: Path, storage: str) -> None:
    """Write a model's state dict as safetensors, float16 where ``storage`` is ``fp16``.

    A ``timm`` encoder is written with its neck folded, as the network has it: it can be trained on like that.
    """
    if isinstance(getattr(model, "image_encoder", None), BackboneEncoder):
        model = copy.deepcopy(model)
        model.image_encoder = cast("BackboneEncoder", model.image_encoder).fold_()
    state = model.state_dict()
    if storage == "fp16":
        state = {name: _as_fp16(tensor) for name, tensor in state.items()}
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)


def _as_fp16(tensor: torch.Tensor) -> torch.Tensor:
    """Rounded to float16 if all of it stays finite: the variances of wide activations leave its range."""
    if not tensor.is_floating_point():
        return tensor
    rounded = tensor.to(torch.float16)
    return rounded if rounded.isfinite().all() else tensor


def store_as_fp16(path: Path) -> None:
    """Keep large constants as float16 behind a Cast; runtimes fold the cast when they load the file."""
    model = onnx.load(str(path))
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < SMALL:
            continue
        values = numpy_helper.to_array(tensor)
        if np.abs(values).max(initial=0.0) > np.finfo(np.float16).max:
            continue
        name = tensor.name
        stored = numpy_helper.from_array(values.astype(np.float16), f"{name}.fp16")
        tensor.CopyFrom(stored)
        casts.append(helper.make_node("Cast", [f"{name}.fp16"], [name], to=TensorProto.FLOAT))
    _put_first(model, casts)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))


def share_weights(networks: dict[str, Path], checkpoint: Path) -> dict[str, list[Path]]:
    """Let networks read their large constants from the checkpoint, where there is one, and share the rest.

    Args:
        networks: ONNX files by name; rewritten.
        checkpoint: ``model.safetensors`` beside them, or a file that does not exist.

    Returns:
        By network: the files that it reads its weights from.
    """
    models = {name: onnx.load(str(path)) for name, path in networks.items()}
    read: dict[str, list[Path]] = {}
    if checkpoint.is_file():
        places = _places(checkpoint)
        for name, model in models.items():
            if _read_from(model, checkpoint, places):
                read.setdefault(name, []).append(checkpoint)
    decoders = [name for name in DECODERS if name in models]
    if len(decoders) == len(DECODERS):
        shared = checkpoint.with_name(DECODER_WEIGHTS)
        _move([models[name] for name in decoders], shared)
        for name in decoders:
            read.setdefault(name, []).append(shared)
    for name, files in read.items():
        # Engines are kept by the hash of the network: it has to change with the weights.
        helper.set_model_props(models[name], {"weights_sha256": " ".join(sha256(path) for path in files)})
        networks[name].write_bytes(models[name].SerializeToString())
        onnx.checker.check_model(str(networks[name]), full_check=True)
    return read


@dataclass(frozen=True)
class _Place:
    """Locate a tensor's bytes in a file; ``shape`` is set if the network has its transpose."""

    offset: int
    length: int
    shape: tuple[int, int] | None = None


def _places(checkpoint: Path) -> dict[bytes, _Place]:
    """The large tensors of a safetensors file by their bytes, and matrices by those of their transposes.

    The format: eight bytes with the length of the header, a JSON header, the tensors.
    """
    content = checkpoint.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    places: dict[bytes, _Place] = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        low, high = entry["data_offsets"]
        if high - low < SMALL:
            continue
        data = content[start + low : start + high]
        places.setdefault(data, _Place(start + low, high - low))
        if len(shape := entry["shape"]) == 2:
            matrix = np.frombuffer(data, np.uint8).reshape(*shape, -1)
            transpose = np.ascontiguousarray(matrix.swapaxes(0, 1)).tobytes()
            places.setdefault(transpose, _Place(start + low, high - low, tuple(shape)))
    return places


def _read_from(model: ModelProto, checkpoint: Path, places: dict[bytes, _Place]) -> bool:
    """Point constants to the checkpoint where it has them; whether it has any."""
    transposes = []
    found = False
    for tensor in model.graph.initializer:
        place = places.get(tensor.raw_data) if len(tensor.raw_data) >= SMALL else None
        if place is None or (place.shape and tuple(tensor.dims) != place.shape[::-1]):
            continue
        found = True
        if place.shape:
            name, tensor.name = tensor.name, f"{tensor.name}.stored"
            tensor.dims[:] = place.shape
            transposes.append(helper.make_node("Transpose", [tensor.name], [name], perm=[1, 0]))
        _point(tensor, checkpoint.name, place.offset, place.length)
    _put_first(model, transposes)
    return found


def _move(models: list[ModelProto], shared: Path) -> None:
    """Move large constants that lie in the networks to one file, equal ones once."""
    tensors = [t for model in models for t in model.graph.initializer if len(t.raw_data) >= SMALL]
    places: dict[bytes, int] = {}
    with shared.open("wb") as file:
        # Long ones first: the positions of one decoder are the beginning of the other's.
        for tensor in sorted(tensors, key=lambda t: -len(t.raw_data)):
            content = tensor.raw_data
            place = next((at for known, at in places.items() if known.startswith(content)), None)
            if place is None:
                file.write(bytes(-file.tell() % PAGE))
                place = places[content] = file.tell()
                file.write(content)
            _point(tensor, shared.name, place, len(content))


def _point(tensor: TensorProto, file: str, offset: int, length: int) -> None:
    """Make a constant one of ``length`` bytes at an offset of a file."""
    if not tensor.HasField("raw_data"):
        tensor.raw_data = b""
    set_external_data(tensor, file, offset, length)
    tensor.ClearField("raw_data")


def _put_first(model: ModelProto, nodes: list[NodeProto]) -> None:
    """Put nodes before all others."""
    nodes = [*nodes, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
