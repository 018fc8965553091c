# SPDX-License-Identifier: Apache-2.0
"""Fixtures that several folders of tests share: real photographs, a random model's bundle, ROS processes."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent
# Loopback only, whatever the machine's network: no test talks to a robot next door.
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
# Nor does one depend on what was measured on this machine before, or leave a measurement behind.
_CACHE = tempfile.TemporaryDirectory(prefix="evitsam-test-cache-")
os.environ["XDG_CACHE_HOME"] = _CACHE.name
# A shell's background job ignores SIGINT, and so would every program that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def photograph() -> np.ndarray:
    """Return the astronaut that comes with the package, ``(512, 512, 3)`` uint8 RGB."""
    image = cv2.imread(str(ROOT / "demo" / "pictures" / "astronaut.jpg"), cv2.IMREAD_COLOR)
    return np.ascontiguousarray(image[..., ::-1])


@pytest.fixture(scope="session")
def random_lite_sam():
    """Lite-SAM with random but lively weights: norms and running statistics are not the neutral ones."""
    import torch

    from evitsam_ros.models import create_model

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return lively(create_model("lite_sam"))


def lively(model, seed: int = 0):
    """Give a model weights and statistics with which a forgotten norm, bias or eps shows."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    for name, value in model.state_dict().items():
        if name.endswith("running_var"):
            value.uniform_(0.5, 2.0, generator=generator)
        elif name.endswith("running_mean"):
            value.normal_(0, 0.3, generator=generator)
        elif "norm" in name and name.endswith("weight"):
            value.uniform_(0.7, 1.3, generator=generator)
        elif name.endswith("bias"):
            value.normal_(0, 0.1, generator=generator)
    return model.eval()


@pytest.fixture(scope="session")
def bundle_folder(tmp_path_factory, random_lite_sam) -> Path:
    """A Lite-SAM bundle with random weights, float32, with ``model.safetensors``."""
    from evitsam_ros.export import export_bundle

    folder = tmp_path_factory.mktemp("engines") / "lite_sam"
    return export_bundle(random_lite_sam, folder, with_weights=True)
