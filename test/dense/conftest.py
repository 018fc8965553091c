# SPDX-License-Identifier: Apache-2.0
"""Bundles of random networks, small enough for a busy machine."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from evitsam_ros.dense_export import export_network
from evitsam_ros.models.efficientvit.build import create_network

from ..models.deterministic import weights

#: (H, W) of the networks' inputs; not square.
SEMANTIC_SIZE, TILE = (96, 128), (48, 40)


def lively_network(name: str, size: tuple[int, int]) -> torch.nn.Module:
    """A network with weights that make every norm, bias and branch show."""
    network = create_network(name, size=size)
    network.load_state_dict(weights({k: tuple(v.shape) for k, v in network.state_dict().items()}))
    return network


def exported(folder: Path, name: str, size: tuple[int, int], **options) -> Path:
    """The bundle of :func:`lively_network`."""
    checkpoint = folder / "checkpoint.safetensors"
    save_file(lively_network(name, size).state_dict(), checkpoint)
    return export_network(name, checkpoint, folder / name, size=size, **options)


@pytest.fixture(scope="session")
def semantic_folder(tmp_path_factory) -> Path:
    """A bundle of kind ``semantic`` for CamVid's classes, with ``model.safetensors``."""
    folder = tmp_path_factory.mktemp("semantic")
    return exported(folder, "efficientvit_seg_b0_camvid", SEMANTIC_SIZE, with_weights=True)


@pytest.fixture(scope="session")
def upscale_folder(tmp_path_factory) -> Path:
    """A bundle of kind ``upscale``."""
    return exported(tmp_path_factory.mktemp("upscale"), "efficientvit_sr_tiny", TILE)
