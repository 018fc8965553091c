# SPDX-License-Identifier: Apache-2.0
"""Describe the models of the package without torch: names, sizes and published counts."""

from __future__ import annotations

from dataclasses import dataclass, replace

#: SAM's pixel mean and standard deviation, on the 0..1 scale.
MEAN = (123.675 / 255, 116.28 / 255, 103.53 / 255)
STD = (58.395 / 255, 57.12 / 255, 57.375 / 255)
#: SAM, and the families that keep its frame of 1024 pixels and the numbers of its heads.
SAM_FAMILIES = ("sam", "mobile_sam", "tiny_sam", "repvit_sam", "edge_sam")
APACHE = "Apache-2.0"
#: ``timm`` names of backbones with the layers of official image encoders.
TINY_VIT = "tiny_vit_5m_224"
#: The licence of EdgeSAM's code and weights.
S_LAB = "S-Lab-1.0 (non-commercial)"
#: Before the ``timm`` name of a backbone: the name of the model around it.
TIMM_PREFIX = "timm_sam_"


@dataclass(frozen=True)
class ModelSpec:
    """Describe a model by its sizes and costs.

    Attributes:
        name: registry name.
        family: ``efficientvit_sam``, ``lite_sam``, ``backbone_sam`` (any ``timm`` backbone), or one of
            :data:`SAM_FAMILIES`.
        image_size: side in pixels of the padded square that the encoder takes.
        prompt_size: side in pixels of the square in which prompt coordinates live.
        embedding: (channels, h, w) of the image embedding.
        mask_size: (h, w) of the low-res logits.
        params: parameters of the model, as published where a paper gives them.
        macs: multiply-adds of the encoder for one image, likewise.
        has_proposals: whether the model comes with AutoPPN.
        mean, std: normalisation of RGB on the 0..1 scale.
        backbone: ``timm`` name of the image encoder's backbone; empty where its layers are our own.
        high_res: (channels, h, w) of each high-resolution feature that the encoder gives the decoder, of
            strides 4 and 8; empty where there are none.
        decoder_eps: epsilon of the layer norms of the decoder's transformer.
        licence: of the published weights, or of ours.
        rates_itself: whether the decoder predicts the IoU of its masks; else their stability stands for it.
    """

    name: str
    family: str
    image_size: int
    prompt_size: int
    embedding: tuple[int, int, int]
    mask_size: tuple[int, int]
    params: int
    macs: int
    has_proposals: bool
    mean: tuple[float, float, float] = MEAN
    std: tuple[float, float, float] = STD
    backbone: str = ""
    high_res: tuple[tuple[int, int, int], ...] = ()
    decoder_eps: float = 1e-6
    licence: str = APACHE
    rates_itself: bool = True

    @property
    def scales(self) -> bool:
        """Whether embedding and masks grow with the image.

        EfficientViT-SAM's neck gives 64 x 64 always; SAM's ViT has a position for each of 64 x 64 patches.
        """
        return self.family not in ("efficientvit_sam", "sam")

    @property
    def is_sam_family(self) -> bool:
        """Whether this is SAM, or a model that replaces SAM's image encoder alone."""
        return self.family in SAM_FAMILIES

    @property
    def is_official(self) -> bool:
        """Whether others published weights of this model, under :attr:`licence`."""
        return self.is_sam_family or self.family == "efficientvit_sam"

    def at(self, image_size: int) -> ModelSpec:
        """The same model for another input size; the same weights fit.

        Raises:
            ValueError: the model has one size only, or the size is not a multiple of 32.
        """
        if image_size == self.image_size:
            return self
        if not self.scales:
            raise ValueError(f"{self.name} takes images of {self.image_size} pixels only")
        if image_size < 64 or image_size % 32:
            raise ValueError(f"image size {image_size} is not a multiple of 32 of at least 64")
        cells = image_size // 16
        return replace(
            self,
            image_size=image_size,
            prompt_size=image_size,
            embedding=(self.embedding[0], cells, cells),
            mask_size=(4 * cells, 4 * cells),
            macs=round(self.macs * (image_size / self.image_size) ** 2),
            high_res=_high_res(cells) if self.high_res else (),
        )


def _high_res(cells: int) -> tuple[tuple[int, int, int], ...]:
    """Shapes of the high-resolution features for an embedding of ``cells`` x ``cells``, stride 4 first."""
    return (32, 4 * cells, 4 * cells), (64, 2 * cells, 2 * cells)


def _efficientvit_sam(size: str, image_size: int, params: float, macs: float) -> ModelSpec:
    # The neck upsamples every size to 64x64, and prompts always live in SAM's 1024 frame.
    return ModelSpec(
        name=f"efficientvit_sam_{size}",
        family="efficientvit_sam",
        image_size=image_size,
        prompt_size=1024,
        embedding=(256, 64, 64),
        mask_size=(256, 256),
        params=round(params * 1e6),
        macs=round(macs * 1e9),
        has_proposals=False,
    )


def _sam_family(
    name: str, family: str, params: float, macs: float, backbone: str = "", licence: str = APACHE
) -> ModelSpec:
    """SAM's sizes around another encoder; its decoder's transformer keeps torch's epsilon."""
    return ModelSpec(
        name=name,
        family=family,
        image_size=1024,
        prompt_size=1024,
        embedding=(256, 64, 64),
        mask_size=(256, 256),
        params=round(params * 1e6),
        macs=round(macs * 1e9),
        has_proposals=False,
        backbone=backbone,
        decoder_eps=1e-5,
        licence=licence,
        rates_itself=family != "edge_sam",  # EdgeSAM's IoU head is not trained
    )


def _lite_sam(name: str, params: float, macs: float) -> ModelSpec:
    return ModelSpec(
        name=name,
        family="lite_sam",
        image_size=640,
        prompt_size=640,
        embedding=(256, 40, 40),
        mask_size=(160, 160),
        params=round(params * 1e6),
        macs=round(macs * 1e9),
        has_proposals=True,
    )


def _backbone_sam(
    name: str, backbone: str, params: float, macs: float, mean: float = 127 / 255, std: float = 128 / 255
) -> ModelSpec:
    """Lite-SAM's sizes around another encoder."""
    return replace(
        _lite_sam(name, params, macs),
        family="backbone_sam",
        mean=(mean,) * 3,
        std=(std,) * 3,
        backbone=backbone,
        high_res=_high_res(40),
    )


#: Slim heads (prompt encoder and mask decoder) plus AutoPPN, in millions of parameters.
_LITE_SAM_HEADS = 3.014 + 0.055

SPECS: dict[str, ModelSpec] = {
    spec.name: spec
    for spec in (
        _efficientvit_sam("l0", 512, 34.79, 34.7),
        _efficientvit_sam("l1", 512, 47.65, 48.9),
        _efficientvit_sam("l2", 512, 61.33, 68.4),
        _efficientvit_sam("xl0", 1024, 116.96, 184.5),
        _efficientvit_sam("xl1", 1024, 203.35, 321.2),
        _sam_family("sam_vit_b", "sam", 93.74, 487.0),
        _sam_family("sam_vit_l", "sam", 312.34, 1491.0),
        _sam_family("sam_vit_h", "sam", 641.09, 2976.0),
        _sam_family("mobile_sam", "mobile_sam", 9.81, 38.8, TINY_VIT),
        _sam_family("tiny_sam", "tiny_sam", 9.81, 38.8, TINY_VIT),
        _sam_family("repvit_sam", "repvit_sam", 27.22, 113.3, "repvit_m2_3"),
        _sam_family("edge_sam", "edge_sam", 9.58, 20.0, "repvit_m1", S_LAB),
        _lite_sam("lite_sam", 1.16 + _LITE_SAM_HEADS, 10.9),
        _lite_sam("lite_sam_x2", 2.19 + _LITE_SAM_HEADS, 22.3),
        _lite_sam("lite_sam_x3", 3.63 + _LITE_SAM_HEADS, 38.0),
        _backbone_sam("efficientnet_sam_lite0", "tf_efficientnet_lite0", 7.06, 5.08),
        _backbone_sam("efficientnet_sam_lite1", "tf_efficientnet_lite1", 7.82, 6.04),
        _backbone_sam("efficientnet_sam_lite2", "tf_efficientnet_lite2", 8.46, 6.65),
    )
}


def list_models() -> list[str]:
    """The registry's names, small to large within a family."""
    return list(SPECS)


def model_spec(name: str) -> ModelSpec:
    """Look a model up by its registry name, or by ``timm_sam_`` and a ``timm`` name.

    Raises:
        ValueError: the name is unknown; the message lists the choices.
    """
    if name in SPECS:
        return SPECS[name]
    if name.startswith(TIMM_PREFIX) and name != TIMM_PREFIX:
        # SAM's mean and standard deviation are ImageNet's, which most of timm's weights expect.
        spec = _backbone_sam(name, name.removeprefix(TIMM_PREFIX), 0.0, 0.0)
        return replace(spec, mean=MEAN, std=STD)
    raise ValueError(
        f"model {name!r} is unknown; expected one of {', '.join(SPECS)}, or {TIMM_PREFIX}NAME with the name "
        "of a timm backbone"
    )
