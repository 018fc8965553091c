# SPDX-License-Identifier: Apache-2.0
"""Open the teacher of a student's embeddings: SAM through transformers, a model of ours, or precomputed
files.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from evitsam_ros.models import create_model
from evitsam_ros.models.timm_backbone import import_torchvision

from .checkpoint import save_weights
from .embedding_shards import ShardEmbeddings
from .inputs import normalise, resized

if TYPE_CHECKING:
    from .dataset import Batch
    from .recipe import Teacher


class TeacherModel(nn.Module):
    """Define a teacher: ``embed(batch)`` is ``(B, 256, h, w)`` float32; ``auto_ppn`` is a proposal head or
    None.
    """

    def __init__(self) -> None:
        super().__init__()
        self.auto_ppn: nn.Module | None = None

    def embed(self, batch: Batch) -> Tensor:
        """Return the embedding of a batch, ``(B, 256, h, w)`` float32."""
        raise NotImplementedError

    def train(self, mode: bool = True) -> TeacherModel:  # noqa: FBT001, FBT002 (torch's signature)
        """Stay in evaluation mode: a teacher is not trained."""
        return super().train(False)


class SamTeacher(TeacherModel):
    """Load SAM ViT-B, L or H from a local folder in the layout of transformers."""

    mean: Tensor
    std: Tensor

    def __init__(self, folder: Path) -> None:
        super().__init__()
        import_torchvision()
        try:
            from transformers import SamModel
        except ImportError as error:
            raise ValueError("a SAM teacher needs transformers: pip install transformers") from error
        if not (folder / "config.json").is_file():
            raise ValueError(f"{folder}: expected a folder with SAM's config.json and model.safetensors")
        self.sam = SamModel.from_pretrained(folder, local_files_only=True, use_safetensors=True)
        self.sam.requires_grad_(False)
        mean, std = torch.tensor([123.675, 116.28, 103.53]), torch.tensor([58.395, 57.12, 57.375])
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)

    def embed(self, batch: Batch) -> Tensor:
        """Return SAM's embedding of a batch."""
        vision: Any = self.sam.config.vision_config
        return self.sam.get_image_embeddings(normalised(batch, self.mean, self.std, vision.image_size))


class ModelTeacher(TeacherModel):
    """Load any model of the registry with a checkpoint."""

    mean: Tensor
    std: Tensor

    def __init__(self, name: str, checkpoint: Path) -> None:
        super().__init__()
        self.model = create_model(name, checkpoint).requires_grad_(False)
        self.auto_ppn = self.model.auto_ppn
        self.register_buffer("mean", torch.tensor(self.model.spec.mean) * 255, persistent=False)
        self.register_buffer("std", torch.tensor(self.model.spec.std) * 255, persistent=False)

    def embed(self, batch: Batch) -> Tensor:
        """Return the model's embedding of a batch."""
        side = min(batch.image.shape[1], self.model.spec.image_size)
        return self.model.embed(normalised(batch, self.mean, self.std, side))[0]


class FileTeacher(TeacherModel):
    """Read embeddings of full images that ``python -m training.precompute`` wrote."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        if not folder.is_dir():
            raise ValueError(f"{folder}: expected the folder that `python -m training.precompute` writes")
        self.folder = folder
        self.shards = ShardEmbeddings(folder)

    def embed(self, batch: Batch) -> Tensor:
        """Read the embeddings of a batch's images.

        Raises:
            ValueError: An image has no file.
        """
        rows = [
            self.shards.read(name) if name in self.shards else read_embedding(self.folder, name)
            for name in batch.names
        ]
        return torch.stack(rows).to(batch.image.device)


def open_teacher(options: Teacher) -> TeacherModel:
    """Open the teacher of a recipe.

    Raises:
        ValueError: its files are missing or invalid.
    """
    path = Path(options.path)
    if options.kind == "sam":
        return SamTeacher(path).eval()
    if options.kind == "files":
        return FileTeacher(path)
    if options.model is None:
        raise ValueError("a teacher of the kind 'model' needs the name of a model of the registry")
    return ModelTeacher(options.model, path).eval()


def normalised(batch: Batch, mean: Tensor, std: Tensor, side: int) -> Tensor:
    """Normalise the views to ``(B, 3, side, side)`` float32 with 0 in the padding."""
    return resized(normalise(batch, mean, std), side)


def embedding_file(folder: Path, name: str) -> Path:
    """Return the path of an image's embedding, in one of 256 folders, so that none grows too large."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    return folder / digest[:2] / f"{digest[2:18]}.safetensors"


def write_embedding(folder: Path, name: str, embedding: Tensor) -> None:
    """Write a ``(256, h, w)`` embedding as float16."""
    save_weights({"embedding": embedding.half().cpu()}, embedding_file(folder, name))


def read_embedding(folder: Path, name: str) -> Tensor:
    """Read a ``(256, h, w)`` float32 embedding; raise ``ValueError`` if it is missing."""
    path = embedding_file(folder, name)
    if not path.is_file():
        raise ValueError(f"{folder} has no embedding of {name}: run `python -m training.precompute` on it")
    return load_file(path)["embedding"].float()
