# SPDX-License-Identifier: Apache-2.0
"""Record outputs of the official code of SAM's family, for test/models/test_sam_family_parity.py.

``python -m tools.make_sam_reference NAME CHECKOUT``: a name of the registry and a checkout of its project,
see :data:`PROJECTS`. test/models/deterministic.py draws the weights from the names in the official state
dict. Only numbers are stored: names and shapes, and samples of the embedding, of logits and of IoU.
"""

from __future__ import annotations

import importlib
import sys
import types
from pathlib import Path

import numpy as np
import torch

from evitsam_ros.models.timm_backbone import import_timm
from test.models.deterministic import weights
from test.models.make_reference import Absent, record

DATA = Path(__file__).parent.parent / "test" / "models" / "data"
#: By registry name: project on GitHub, folder in it, package, and the function of its ``build_sam``.
PROJECTS = {
    "sam_vit_b": ("facebookresearch/segment-anything", ".", "segment_anything", "build_sam_vit_b"),
    "sam_vit_l": ("facebookresearch/segment-anything", ".", "segment_anything", "build_sam_vit_l"),
    "sam_vit_h": ("facebookresearch/segment-anything", ".", "segment_anything", "build_sam_vit_h"),
    "mobile_sam": ("ChaoningZhang/MobileSAM", ".", "mobile_sam", "build_sam_vit_t"),
    "tiny_sam": ("xinghaochen/TinySAM", ".", "tinysam", "build_sam_vit_t"),
    "repvit_sam": ("THU-MIG/RepViT", "sam", "repvit_sam", "build_sam_repvit"),
    "edge_sam": ("chongzhou96/EdgeSAM", ".", "edge_sam", "build_edge_sam"),
}
#: Arguments with which a mask decoder gives one mask or three, where they are not SAM's.
OUTPUTS = {
    "tiny_sam": {3: {}},
    "edge_sam": {1: {"num_multimask_outputs": 1}, 3: {"num_multimask_outputs": 3}},
}
#: What a project imports for parts that are not built here.
ABSENT = {
    "edge_sam": (
        *("mmdet", "mmdet.models", "mmdet.models.dense_heads", "mmdet.models.necks", "mmengine"),
        *("projects", "projects.EfficientDet", "loralib", "yacs", "yacs.config"),
    )
}
#: Of these, names and shapes only: they take minutes on a CPU, and the code is that of the small one.
LARGE = ("sam_vit_l", "sam_vit_h")


def stub(name: str, **attributes: object) -> types.ModuleType:
    """Register a module with these attributes alone."""
    module = types.ModuleType(name)
    vars(module).update(attributes)
    sys.modules[name] = module
    return module


def import_builders(folder: Path, package: str) -> types.ModuleType:
    """Import ``build_sam`` of a project without the imports of its package (torchvision, viewers)."""
    import_timm()
    from timm.layers import DropPath, SqueezeExcite, to_2tuple, trunc_normal_
    from timm.models import register_model

    # Names that later versions of timm moved.
    stub("timm.models.layers", DropPath=DropPath, to_2tuple=to_2tuple, trunc_normal_=trunc_normal_)
    sys.modules["timm.models.layers"].SqueezeExcite = SqueezeExcite
    stub("timm.models.registry", register_model=register_model)
    for name in ABSENT.get(package, ()):
        sys.modules[name] = Absent(name)
    stub(package, __path__=[str(folder / package)])
    return importlib.import_module(f"{package}.build_sam")


def main(name: str, checkout: str) -> None:
    """Record the official numbers of a model of ``PROJECTS`` from a checkout of its project."""
    _, folder, package, builder = PROJECTS[name]
    build = getattr(import_builders(Path(checkout) / folder, package), builder)
    with torch.device("meta" if name in LARGE else "cpu"):
        model = build().eval()
    shapes = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    numbers = {}
    if name not in LARGE:
        model.load_state_dict(weights(shapes))
        model.train().eval()  # TinyViT caches its biases here
        numbers = record(model, 1024, heads=True, outputs=OUTPUTS.get(name))
    keys = np.array(sorted(f"{key} {shape}" for key, shape in shapes.items()))
    np.savez_compressed(DATA / f"official_{name}.npz", keys=keys, **numbers)
    print(name, len(keys), {key: value.shape for key, value in numbers.items()})


if __name__ == "__main__":
    main(*sys.argv[1:])
