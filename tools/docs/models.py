# SPDX-License-Identifier: Apache-2.0
"""The page of the models, from the registry, the catalogue of downloads and the published figures."""

from __future__ import annotations

from pathlib import Path

from evitsam_ros.bundle import DEFAULT_MODEL
from evitsam_ros.catalogue import CATALOGUE
from evitsam_ros.models.network_specs import NETWORK_SPECS
from evitsam_ros.models.published import PUBLISHED
from evitsam_ros.models.specs import SPECS, TIMM_PREFIX, ModelSpec

from .markdown import code, page, table

NOTES = """\
- **`efficientnet_sam_lite2`** is not a model of the papers. It has SAM's heads behind an ImageNet backbone,
  with high-resolution features as SAM 2 has them. It is the default because its masks of boxes are better
  than those of `lite_sam`, and its encoder takes 0.6 of the multiply-adds.
- **`lite_sam`** is a reconstruction: the paper publishes counts, not the layout.
- **SAM's family** loads the official checkpoints. SAM's ViT is our own code. The encoders of MobileSAM and
  TinySAM (TinyViT), RepViT-SAM and EdgeSAM (RepViT) are the layers of timm, with a map of the official names.
  Their export needs timm; their use does not. Weights that are never used are left out: MobileSAM's
  classifier and EdgeSAM's region proposals.
- **EdgeSAM's** IoU head is not trained, so its masks are ranked by their stability. Its licence (S-Lab 1.0)
  forbids commercial use.
- **EfficientViT-SAM** on a Jetson AGX Orin takes 8.2, 10.2, 12.9, 22.5 and 37.2 ms for L0 to XL1, as its
  authors publish it (TensorRT fp16). This project did not measure it.
"""
ENGINES = Path(__file__).parents[2] / "engines"
INTRODUCTION = """\
`evitsam models` and `evitsam models --dense` print these tables with the models that are installed.
[Models](../models.md) describes how to get the weights.
"""
PUBLISHED_NOTE = """\
The published figures are those of the papers and repositories. They belong to the official weights on COCO
val2017, and this project did not measure them. mAP uses the boxes of a ViTDet detector. Box mIoU uses
annotated boxes. The shipped models were trained on some thousands of images and are far from these figures:
see
[Accuracy](../accuracy.md) and the model cards in `engines/`.
"""


def models_page() -> str:
    """Return the page."""
    header = ["model", "parameters", "encoder", "input", "everything mode", "weights", "licence", "published"]
    promptable = table(header, [_row(spec) for spec in SPECS.values()])
    sources = table(
        ["model", "source of the published figure"],
        [[code(name), f"{figure.source}: {figure}"] for name, figure in PUBLISHED.items()],
    )
    dense = table(
        ["network", "kind", "parameters", "multiply-adds", "input (height x width)", "classes", "weights"],
        [
            [
                code(spec.name),
                spec.kind,
                f"{spec.params / 1e6:.2f} M",
                f"{spec.macs / 1e9:.2f} G",
                " x ".join(map(str, spec.size)),
                str(spec.classes or ""),
                _weights(spec.name),
            ]
            for spec in NETWORK_SPECS.values()
        ],
    )
    return page(
        "Models",
        INTRODUCTION,
        "## Promptable segmentation",
        promptable,
        f"{code(TIMM_PREFIX + 'NAME')} is SAM's heads around the backbone NAME of timm.",
        NOTES,
        PUBLISHED_NOTE,
        sources,
        "## Semantic segmentation, classification, super-resolution",
        dense,
    )


def _row(spec: ModelSpec) -> list[str]:
    return [
        code(spec.name) + (" (default)" if spec.name == DEFAULT_MODEL else ""),
        f"{spec.params / 1e6:.2f} M",
        f"{spec.macs / 1e9:.1f} GMAC",
        str(spec.image_size),
        "AutoPPN" if spec.has_proposals else "grid",
        _weights(spec.name),
        spec.licence,
        str(PUBLISHED.get(spec.name, "")),
    ]


def _weights(name: str) -> str:
    if (ENGINES / name / "model.yaml").is_file():
        return "shipped"
    return code(f"evitsam fetch {name}") if name in CATALOGUE else "none"
