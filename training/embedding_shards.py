# SPDX-License-Identifier: Apache-2.0
"""Store the embeddings of the images of tar shards as shards beside them: one file per shard, not per image.

``sa_000000.tar`` has its embeddings in ``sa_000000.embeddings.tar``, one member ``NAME.safetensors`` per
image, in the order of the images. Any reader of webdataset's layout can read both together. The index
``sa_000000.embeddings.json`` is written last: a shard is complete if its index exists.
"""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from .sa1b import EMBEDDINGS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

SHARD, INDEX, MEMBER = EMBEDDINGS, ".embeddings.json", ".safetensors"
FLOAT16, INT8 = "float16", "int8"


def quantise(embedding: Tensor) -> tuple[Tensor, Tensor]:
    """Quantise ``(C, h, w)`` to int8, symmetric with a scale for each channel.

    Returns:
        ``(C, h, w)`` int8, and ``(C, 1, 1)`` float32 scales.
    """
    scale = embedding.float().abs().amax((1, 2), keepdim=True).clamp_min(1e-12) / 127
    return (embedding.float() / scale).round().clamp(-127, 127).to(torch.int8), scale


def pack(embedding: Tensor, kind: str) -> tuple[bytes, float]:
    """Pack an embedding as safetensors.

    Args:
        embedding: ``(C, h, w)``.
        kind: ``float16`` or ``int8``.

    Returns:
        The bytes, and the relative error: the norm of the difference, by that of the embedding.
    """
    given = embedding.detach().float().cpu()
    if kind == INT8:
        values, scale = quantise(given)
        tensors = {"embedding": values.contiguous(), "scale": scale.contiguous()}
    else:
        tensors = {"embedding": given.half().contiguous()}
    lost = (unpack(tensors) - given).norm() / given.norm().clamp_min(1e-12)
    return save(tensors), float(lost)


def unpack(tensors: dict[str, Tensor]) -> Tensor:
    """Return ``(C, h, w)`` float32 from the tensors of :func:`pack`."""
    values = tensors["embedding"].float()
    return values * tensors["scale"] if "scale" in tensors else values


def shard_file(out: Path, shard: Path) -> Path:
    """Return the path of a shard's embeddings."""
    return out / f"{shard.stem}{SHARD}"


def index_file(out: Path, shard: Path) -> Path:
    """Return the path of the index of a shard's embeddings."""
    return out / f"{shard.stem}{INDEX}"


def read_index(file: Path) -> dict[str, Any]:
    """Read the index of a shard's embeddings.

    Raises:
        ValueError: it is damaged.
    """
    try:
        content = json.loads(file.read_text())
        if not (isinstance(content["images"], int) and content["images"] == len(content["places"])):
            raise ValueError("the number of images is not that of their places")
        float(content["relative_error"]["mean"])
        for place, size in content["places"].values():
            if not (isinstance(place, int) and isinstance(size, int) and place >= tarfile.BLOCKSIZE):
                raise ValueError(f"a place is {place}, {size}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{file} is damaged ({error}); remove it and precompute the shard") from error
    return content


@dataclass
class ShardIndex:
    """Collect the index of a shard: places, number of images, mean and max relative error."""

    images: int = 0
    total: float = 0.0
    worst: float = 0.0
    places: dict[str, list[int]] = field(default_factory=dict)

    def add(self, name: str, place: int, size: int, error: float) -> None:
        """Add an image: its name, and the place of its member's content."""
        if name in self.places:
            raise ValueError(f"the shard has two images called {name}; expected names that are different")
        self.places[name] = [place, size]
        self.images += 1
        self.total += error
        self.worst = max(self.worst, error)

    def as_json(self, kind: str) -> dict[str, Any]:
        """Return the content of the index."""
        mean = self.total / max(1, self.images)
        error = {"mean": mean, "max": self.worst}
        return {"dtype": kind, "images": self.images, "relative_error": error, "places": self.places}


def write_shard(
    out: Path, shard: Path, embeddings: Iterable[tuple[str, Tensor]], kind: str
) -> dict[str, Any]:
    """Write the embeddings of a shard; the files appear when they are complete.

    Args:
        out: existing folder.
        shard: the shard of images.
        embeddings: names and ``(C, h, w)``, computed as they are written.
        kind: ``float16`` or ``int8``.

    Returns:
        The content of the index.
    """
    written, target = ShardIndex(), shard_file(out, shard)
    temporary = target.with_suffix(".tmp")
    with tarfile.open(temporary, "w") as tar:
        for name, embedding in embeddings:
            data, error = pack(embedding, kind)
            member = tarfile.TarInfo(f"{name}{MEMBER}")
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
            padded = -(-len(data) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
            written.add(name, tar.offset - padded, len(data), error)
    temporary.replace(target)
    index, new = index_file(out, shard), index_file(out, shard).with_suffix(".tmp")
    content = written.as_json(kind)
    new.write_text(json.dumps(content))
    new.replace(index)
    return content


class ShardEmbeddings:
    """Embeddings by name out of all shards of a folder.

    The indices are read once: about 100 bytes of memory an image.

    Raises:
        ValueError: An index is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self._places: dict[str, tuple[Path, int, int]] = {}
        for index in sorted(folder.glob(f"*{INDEX}")):
            shard = index.with_name(index.name.removesuffix(INDEX) + SHARD)
            places = read_index(index)["places"]
            self._places |= {name: (shard, place, size) for name, (place, size) in places.items()}

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def read(self, name: str) -> Tensor:
        """Return the embedding of an image, ``(C, h, w)`` float32.

        Raises:
            ValueError: The shard is missing, damaged, or not the one of the index.
        """
        shard, place, size = self._places[name]
        try:
            with shard.open("rb") as file:
                file.seek(place - tarfile.BLOCKSIZE)
                head = tarfile.TarInfo.frombuf(file.read(tarfile.BLOCKSIZE), "utf-8", "surrogateescape")
                # The header of a long name or of one beyond ASCII has a part of it only.
                is_plain = name.isascii() and len(f"{name}{MEMBER}") <= tarfile.LENGTH_NAME
                if head.size != size or (is_plain and head.name != f"{name}{MEMBER}"):
                    raise ValueError(f"{head.name} is at the place of {name}{MEMBER}")
                return unpack(load(file.read(size)))
        except (OSError, ValueError, KeyError, tarfile.TarError, SafetensorError) as error:
            raise ValueError(
                f"{shard}: the embedding of {name} cannot be read ({error}); remove "
                f"{shard.name.removesuffix(SHARD)}{INDEX} and precompute the shard"
            ) from error
