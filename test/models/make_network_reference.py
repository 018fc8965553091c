# SPDX-License-Identifier: Apache-2.0
"""Record what the official classifiers and segmentation networks give, for test_network_parity.py.

``python -m test.models.make_network_reference CHECKOUT``: a checkout of mit-han-lab/efficientvit. Only
numbers are kept.
"""

import sys
from pathlib import Path

import numpy as np
import torch

from evitsam_ros.models.network_specs import NETWORK_SPECS, NetworkSpec

from .deterministic import image, sample, weights
from .make_reference import DATA, import_official

REFERENCE = DATA / "official_networks.npz"
#: Epsilon of every normalisation, by series.
EPS = {"b": 1e-5, "l": 1e-7}
#: Small inputs, not square: 6 x 4 cells of stride 32 take the quadratic attention of B2, B3 and L, and the
#: linear one of B0 and B1.
SIZE = (192, 128)


def network_input() -> torch.Tensor:
    """``(1, 3, 192, 128)`` float32."""
    return image(SIZE[0])[..., : SIZE[1]].contiguous()


def official_network(modules: dict, spec: NetworkSpec) -> torch.nn.Module:
    """The official network of a specification, with random weights."""
    if spec.kind == "classify":
        return getattr(modules["cls"][0], f"efficientvit_cls_{spec.backbone}")()
    return getattr(modules["seg"][0], f"efficientvit_seg_{spec.backbone}")(dataset=spec.dataset)


@torch.no_grad()
def main() -> None:
    checkout = Path(sys.argv[1])
    modules = {part: import_official(checkout, part) for part in ("cls", "seg")}
    recorded = {}
    for name, spec in NETWORK_SPECS.items():
        if not spec.is_official:
            continue
        network = official_network(modules, spec).eval()
        modules["cls"][1](network, EPS[spec.backbone[0]])
        shapes = {key: tuple(value.shape) for key, value in network.state_dict().items()}
        network.load_state_dict(weights(shapes))
        output = network(network_input())
        recorded[f"{name} keys"] = np.array(sorted(f"{key} {shape}" for key, shape in shapes.items()))
        recorded[f"{name} output"] = sample(output, 256)
        recorded[f"{name} std"] = output.std().numpy()
        print(name, tuple(output.shape), float(output.std()))
    np.savez_compressed(REFERENCE, **recorded)


if __name__ == "__main__":
    main()
