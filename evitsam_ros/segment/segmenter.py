# SPDX-License-Identifier: Apache-2.0
"""Image and prompts in, masks out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..backends import Encoded, Runtime, open_runtime
from ..bundle import Bundle, open_bundle
from ..deprecation import renamed_keywords, warn_renamed
from .decoder_inputs import batches, check_tokens, prompt_arrays
from .frame import Embedding, Frame
from .mask_filter import Thresholds
from .mask_generator import GeneratorOptions, MaskGenerator
from .mask_ranking import Selection, rank_masks
from .masks import Masks
from .prompt import Prompt, check_prompts
from .proposals import decode_proposals, grid_prompts
from .quadtree_view import Views, focus_point
from .small_regions import clean_masks
from .timing import StageTimer
from .transform import Transform, preprocess, resized_shape

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from .budget import LatencyBudget


class Segmenter:
    """The three verbs: :meth:`embed`, :meth:`decode`, :meth:`propose`; and :meth:`everything` of them.

    Attributes:
        bundle: the opened bundle.
        description: which runtime was chosen for each network, and why.
        min_region: holes and specks smaller than this share of their mask are removed; the bundle's at first.

    Not thread-safe: one thread owns a segmenter.
    """

    def __init__(self, bundle: Bundle, runtime: Runtime) -> None:
        self.bundle = bundle
        self.runtime = runtime
        self.min_region = self.thresholds().min_region

    @classmethod
    @renamed_keywords(avoid="exclude")
    def open(
        cls,
        model: str | Path,
        backend: str = "auto",
        threads: int = 0,
        exclude: frozenset[str] = frozenset(),
        precision: str = "auto",
    ) -> Segmenter:
        """Open a bundle by name or folder.

        Args:
            model: a bundle's name, or its folder.
            backend: ``auto``, or a backend's name.
            threads: CPU threads for a network; 0: as many as there are cores.
            exclude: backends that ``auto`` passes over because they failed.
            precision: ``fp32``, ``fp16``, ``bf16`` or ``int8``; ``auto``: the fastest that was measured and
                proved on this machine before, else float32 on a CPU.

        Raises:
            BundleError: the bundle is missing or damaged.
            BackendError: the backend is unknown or not installed, or does not compute in the precision.
        """
        bundle = open_bundle(model)
        return cls(bundle, open_runtime(bundle, backend, threads, exclude, precision))

    @property
    def description(self) -> str:
        """Return which backend runs each network, and why."""
        return self.runtime.description

    def close(self) -> None:
        """Free the runtime's resources; no other thread may be using it. Closing twice is allowed."""
        self.runtime.close()

    def new_timer(self) -> StageTimer:
        """Make the timer of one call; a subclass may return one that records more."""
        return StageTimer()

    def embed(self, image: np.ndarray | Frame) -> Embedding:
        """Encode an image: ``(H, W, 3)`` uint8 RGB, or a :class:`Frame`.

        Raises:
            ValueError: the image has another shape or type.
        """
        frame = image if isinstance(image, Frame) else Frame(image)
        return self.embed_batch([frame])[0]

    def embed_batch(self, frames: Sequence[Frame]) -> list[Embedding]:
        """Encode several frames in one call, of one camera or of several.

        Where ``runtime.batch``, the largest number of frames, is more than 1, this is faster than one call
        for each frame.

        Args:
            frames: to encode, at least one.

        Returns:
            The embedding of each frame; its timings are an equal share of the call.
        """
        data, timings = self._encode(frames)
        share = {stage: seconds / len(frames) for stage, seconds in timings.items()}
        parts = [data] if len(frames) == 1 else [data[i : i + 1] for i in range(len(frames))]
        return [
            Embedding(part, self._transform(frame), frame.stamp, frame.frame_id, share)
            for frame, part in zip(frames, parts, strict=True)
        ]

    def _encode(self, frames: Sequence[Frame]) -> tuple[Encoded, Mapping[str, float]]:
        """Encode N frames in one call; the arrays stay on the runtime's device. With seconds by stage."""
        bundle, timer = self.bundle, self.new_timer()
        with timer.stage("preprocess"):
            if self.runtime.preprocess is not None:
                sizes = [resized_shape(frame.size, bundle.image_size) for frame in frames]
                blob = self.runtime.preprocess([frame.image for frame in frames], sizes)
            else:
                blobs = [preprocess(f.image, bundle.image_size, bundle.mean, bundle.std) for f in frames]
                blob = blobs[0] if len(blobs) == 1 else np.concatenate(blobs)
        with timer.stage("encode"):
            return self.runtime.encode(blob), timer.seconds

    def nothing(self, frame: Frame) -> Masks:
        """Do as :meth:`empty_result`; deprecated."""
        warn_renamed("Segmenter.nothing", "Segmenter.empty_result")
        return self.empty_result(frame)

    def empty_result(self, frame: Frame) -> Masks:
        """Return no masks of a frame, without running a network."""
        empty = np.zeros((0, *self.bundle.mask_size), np.float32)
        return Masks(empty, np.zeros(0, np.float32), np.zeros(0, int), self._transform(frame))

    def _transform(self, frame: Frame) -> Transform:
        return Transform.of(self.bundle, frame.size)

    @renamed_keywords(least_score="min_score")
    def decode(
        self,
        embedding: Embedding,
        prompts: Sequence[Prompt],
        multimask: bool = False,
        foveal: bool = False,
        min_score: float = -np.inf,
        min_region: float | None = None,
    ) -> Masks:
        """Decode prompts, all in one batch.

        Args:
            embedding: of the frame that the prompts refer to.
            prompts: in pixels of the original image.
            multimask: give the three masks of each prompt, in its order; otherwise the best of the three by
                predicted IoU (for a single point also by expected IoU, see ``Bundle.expected_iou``).
            foveal: use the foveal decoder, if the bundle has one: many times faster; outlines are coarser
                with the distance from the points.
            min_score: drop masks of lower predicted IoU.
            min_region: remove holes and specks smaller than this share of their mask; None: as
                :attr:`min_region`.

        Raises:
            PromptError: naming the prompt that is wrong.
        """
        transform = embedding.transform
        timer, prompts = self.new_timer(), check_prompts(prompts, transform.size)
        for index, prompt in enumerate(prompts):
            if prompt.mask is not None and prompt.mask.shape != transform.mask_size:
                raise ValueError(
                    f"prompt {index}: mask has shape {prompt.mask.shape}; expected low-res logits "
                    f"{transform.mask_size}"
                )
        depth, drawn = 3 if multimask else 1, 0
        # Memory that is never written to is not allocated.
        logits = np.empty((len(prompts) * depth, *transform.mask_size), np.float32)
        scores = np.empty(len(logits), np.float32)
        rows, levels = np.empty(len(logits), int), np.empty(len(logits), int)
        with timer.stage("decode"):
            for members, network in self.batches(prompts, foveal and self.bundle.has_foveal):
                batch = [prompts[index] for index in members]
                kept, part = self._decode_batch(embedding, batch, network, multimask, min_score)
                into = slice(drawn, drawn + len(kept.scores))
                logits[into], scores[into], levels[into] = part, kept.scores, kept.masks
                rows[into] = np.array(members)[kept.prompts] * depth + kept.places
                drawn = into.stop
        order = np.argsort(rows[:drawn], kind="stable")
        logits, scores, rows = logits[:drawn], scores[:drawn][order], rows[:drawn][order]
        if (order[:-1] > order[1:]).any():
            logits = logits[order]
        if min_region is None:
            min_region = self.min_region
        if min_region > 0:
            with timer.stage("clean"):
                clean_masks(logits, transform, min_region)
        asked = rows // depth
        ids = [p.object_id if p.object_id is not None else i + 1 for i, p in enumerate(prompts)]
        answered = tuple(prompts[index] for index in asked)
        levels, numbers = levels[:drawn][order], np.array(ids, int)[asked]
        return Masks(logits, scores, numbers, transform, answered, levels, timer.seconds)

    def batches(self, prompts: Sequence[Prompt], foveal: bool) -> Iterator[tuple[list[int], str]]:
        """Group prompts into decoder calls; see :func:`.decoder_inputs.batches`."""
        return batches(prompts, self.runtime, foveal, self.bundle.name)

    def check(self, prompt: Prompt) -> None:
        """Raise ``PromptError`` if the decoder of this runtime takes no prompt of so many points."""
        check_tokens(prompt, "decoder", self.runtime, self.bundle.name)

    def _decode_batch(
        self,
        embedding: Embedding,
        batch: list[Prompt],
        network: str,
        multimask: bool,
        min_score: float,
    ) -> tuple[Selection, np.ndarray]:
        """Decode prompts of one kind: the kept masks, and their low-res logits ``(K, h, w)``."""
        transform = embedding.transform
        coords, labels, masks, has_mask = prompt_arrays(batch, transform)
        if network == "decoder":
            low_res, iou = self.runtime.decode(embedding.data, coords, labels, masks, has_mask)
            share = 0.0 if multimask else self.bundle.expected_iou
            rank = rank_masks(batch[0], iou, low_res, transform, share)
            kept = Selection.choose(iou, rank, multimask, min_score)
            return kept, low_res[kept.prompts, kept.masks]
        points = [point for point in map(focus_point, batch) if point is not None]
        views = Views.around(np.stack(points), transform)
        drawn, iou = self.runtime.decode_foveal(embedding.data, coords, labels, views.cells())
        kept = Selection.choose(iou, iou, multimask, min_score)
        return kept, views[kept.prompts].scatter_to_image(drawn[kept.prompts, kept.masks])

    @renamed_keywords(top_n="max_prompts", heat="objectness_thresh")
    def propose(
        self, embedding: Embedding, max_prompts: int = 64, objectness_thresh: float | None = None
    ) -> list[Prompt]:
        """Propose prompts for the full image: AutoPPN's, best first, or a square grid without it.

        Args:
            embedding: of the frame.
            max_prompts: max number of prompts; a grid has the largest square number up to it.
            objectness_thresh: min confidence of a proposal; None: the bundle's.

        Raises:
            ValueError: ``max_prompts`` is not 1 to 1024.
        """
        if not 1 <= max_prompts <= 1024:
            raise ValueError(f"max_prompts is {max_prompts}; expected 1 to 1024")
        if not self.bundle.has_proposals:
            return grid_prompts(embedding.transform.size, max(1, int(max_prompts**0.5)))
        threshold = self.thresholds().replace(objectness_thresh=objectness_thresh).objectness_thresh
        maps = self.runtime.propose(embedding.data)
        boxes = self.bundle.proposals_as == "boxes"
        return decode_proposals(*maps, embedding.transform, max_prompts, threshold, boxes)

    def thresholds(self) -> Thresholds:
        """Return the bundle's own thresholds for everything mode, or the defaults."""
        return Thresholds.from_description(self.bundle.thresholds)

    @renamed_keywords(top_n="max_prompts", grid="points_per_side", also="extra_prompts", look_again="refine")
    def everything(
        self,
        image: np.ndarray | Frame | Embedding,
        max_prompts: int = 64,
        thresholds: Thresholds | None = None,
        points_per_side: int | None = None,
        extra_prompts: Sequence[Prompt] = (),
        budget: LatencyBudget | None = None,
        foveal: bool = True,
        refine: bool = True,
    ) -> Masks:
        """Generate the masks of all objects of an image; see :class:`.mask_generator.MaskGenerator`."""
        options = GeneratorOptions(
            max_prompts=max_prompts,
            thresholds=thresholds,
            points_per_side=points_per_side,
            foveal=foveal,
            refine=refine,
            budget=budget,
        )
        return MaskGenerator(self, options).generate(image, extra_prompts)
