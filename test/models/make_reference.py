# SPDX-License-Identifier: Apache-2.0
"""Record what the official EfficientViT-SAM says, for test_official_parity.py.

``python -m test.models.make_reference CHECKOUT [SITE]``: a checkout of mit-han-lab/efficientvit and, where it
is not installed, a folder with segment_anything. Only numbers are kept.
"""

import importlib
import sys
import types
from pathlib import Path

import numpy as np
import torch

from .deterministic import PROMPTS, image, mask_prompt, sample, weights

DATA = Path(__file__).parent / "data"
SIZES = {"l0": 512, "l1": 512, "l2": 512, "xl0": 1024, "xl1": 1024}


class Absent(types.ModuleType):
    """Stands for an import that the networks do not need."""

    __all__ = ()

    def __getattr__(self, name: str):
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {"__init__": lambda self, *a, **k: None})


def import_official(checkout: Path, part: str = "sam"):
    """The official module of a part of the models, without what its other parts import; and set_norm_eps."""
    absent = (
        *("torchvision", "torchvision.transforms", "torchvision.transforms.functional", "torchvision.ops"),
        *(
            "torchvision.ops.boxes",
            "efficientvit.apps",
            "efficientvit.apps.trainer",
            "efficientvit.apps.utils",
        ),
        *("efficientvit.apps.trainer.run_config", "efficientvit.models.nn.triton_rms_norm"),
    )
    for name in absent:
        sys.modules[name] = Absent(name)
        parent, _, child = name.rpartition(".")
        if parent in sys.modules and isinstance(sys.modules[parent], Absent):
            setattr(sys.modules[parent], child, sys.modules[name])
    package = types.ModuleType("efficientvit.models.efficientvit")
    package.__path__ = [str(checkout / "efficientvit/models/efficientvit")]
    sys.modules[package.__name__] = package
    sys.path.insert(0, str(checkout))
    module = importlib.import_module(f"efficientvit.models.efficientvit.{part}")
    return module, importlib.import_module("efficientvit.models.nn.norm").set_norm_eps


@torch.no_grad()
def record(model, size: int, heads: bool, outputs: dict[int, dict] | None = None) -> dict[str, np.ndarray]:
    """Samples of the embedding and, with ``heads``, of logits and IoU for every kind of prompt.

    ``outputs`` are the arguments with which the mask decoder gives so many masks.
    """
    outputs = outputs or {1: {"multimask_output": False}, 3: {"multimask_output": True}}
    embedding = model.image_encoder(image(size))
    result = {"embedding": sample(embedding, 1024), "embedding_std": embedding.std().numpy()}
    for name, (points, labels, box, with_mask) in (PROMPTS if heads else {}).items():
        clicks = (torch.tensor([points]), torch.tensor([labels])) if points else None
        sparse, dense = model.prompt_encoder(
            points=clicks,
            boxes=torch.tensor([box]) if box else None,
            masks=mask_prompt() if with_mask else None,
        )
        for masks, choice in outputs.items():
            logits, iou = model.mask_decoder(
                image_embeddings=embedding,
                image_pe=model.prompt_encoder.get_dense_pe(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                **choice,
            )
            key = f"{name}_{masks}"
            result |= {
                f"{key}_logits": sample(logits),
                f"{key}_std": logits.std().numpy(),
                f"{key}_iou": iou[0].numpy(),
            }
    return result


def main() -> None:
    checkout = Path(sys.argv[1])
    sys.path[:0] = sys.argv[2:]
    module, set_norm_eps = import_official(checkout)
    for name, size in SIZES.items():
        model = getattr(module, f"efficientvit_sam_{name}")().eval()
        set_norm_eps(model, 1e-6)
        shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
        model.load_state_dict(weights(shapes))
        numbers = record(model, size, heads=name in ("l0", "xl0"))
        keys = np.array(sorted(f"{key} {shape}" for key, shape in shapes.items()))
        np.savez_compressed(DATA / f"official_{name}.npz", keys=keys, **numbers)
        print(name, {key: value.shape for key, value in numbers.items()})


if __name__ == "__main__":
    main()
