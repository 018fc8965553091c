# SPDX-License-Identifier: Apache-2.0
"""Image and prompts in, masks out."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from ..backends import Runtime, open_runtime
from ..backends.base import Encoded
from ..bundle import Bundle, open_bundle
from .budget import LatencyBudget
from .coverage import SHARE, covering_points
from .decoder_inputs import prompt_arrays, token_count
from .everything import Thresholds, choose, decode_proposals, drop_covered, grid_prompts
from .expected_iou import expected_iou, is_ambiguous
from .fovea import Views, looks_at
from .frame import Frame
from .masks import Masks
from .prompt import Prompt, PromptError, check_prompts
from .second_look import look_again_at
from .small_regions import remove_small_regions
from .transform import Transform, preprocess, resized_shape

#: Prompts a decoder call where the runtime does not say: on a CPU 16 cost the same a prompt as 64, at a
#: quarter of the memory.
CHUNK = 16
#: The same of the foveal decoder, whose prompts are little work each.
FOVEAL_CHUNK = 64


@dataclass(frozen=True)
class Embedding:
    """What the encoder says of one frame; decode any number of prompts on it.

    Attributes:
        data: the encoder's arrays, on the runtime's own device.
        transform: geometry of the frame.
        stamp, frame_id: of the frame.
        timings: seconds by stage that the frame took; its share where it was encoded with others.
    """

    data: Encoded
    transform: Transform
    stamp: float | None = None
    frame_id: str = ""
    timings: Mapping[str, float] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class _Kept:
    """Which masks of a decoder call are answers: ``(K,)`` numbers of their prompts in the call, of the masks
    among a prompt's three, of their places among a prompt's answers, and their predicted IoU."""

    prompts: np.ndarray
    masks: np.ndarray
    places: np.ndarray
    scores: np.ndarray

    @classmethod
    def of(cls, iou: np.ndarray, rank: np.ndarray, multimask: bool, least: float) -> _Kept:
        """Of predicted IoU ``(B, 3)``: all masks, or each prompt's first by ``rank (B, 3)``; without those
        below ``least``."""
        chosen = np.tile(np.arange(iou.shape[1]), (len(iou), 1)) if multimask else rank.argmax(1)[:, None]
        found = np.take_along_axis(iou, chosen, axis=1)
        prompts, places = np.nonzero(~(found < least))  # NaN stays, for whoever proves a runtime
        return cls(prompts, chosen[prompts, places], places, found[prompts, places])


class Segmenter:
    """The three verbs: :meth:`embed`, :meth:`decode`, :meth:`propose`; and :meth:`everything` of them.

    Attributes:
        bundle: the opened bundle.
        description: which runtime was chosen for each network, and why.
        min_region: holes and specks smaller than this share of their mask are removed; the bundle's at first.
        timings: seconds by stage since the last :meth:`embed`, summed over calls.

    Not thread-safe: one thread owns a segmenter.
    """

    def __init__(self, bundle: Bundle, runtime: Runtime) -> None:
        self.bundle = bundle
        self.runtime = runtime
        self.min_region = self.thresholds().min_region
        self.timings: dict[str, float] = {}

    @classmethod
    def open(
        cls,
        model: str | Path,
        backend: str = "auto",
        threads: int = 0,
        avoid: frozenset[str] = frozenset(),
    ) -> Segmenter:
        """Open a bundle by name or folder.

        Args:
            model: a bundle's name, or its folder.
            backend: ``auto``, ``tensorrt``, ``onnxruntime``, ``openvino`` or ``torch``.
            threads: CPU threads for a network; 0: as many as there are cores.
            avoid: runtimes that ``auto`` does not choose, as they failed.

        Raises:
            BundleError: the bundle is missing or damaged.
            BackendError: the backend is unknown or not installed.
        """
        bundle = open_bundle(model)
        return cls(bundle, open_runtime(bundle, backend, threads, avoid))

    @property
    def description(self) -> str:
        return self.runtime.description

    def close(self) -> None:
        """Free what the runtime holds; no other thread may be using it. Closing twice is allowed."""
        self.runtime.close()

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the time of a block to a stage of :attr:`timings`."""
        start = time.perf_counter()
        yield
        self.timings[stage] = self.timings.get(stage, 0.0) + time.perf_counter() - start

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
        data = self._encode(frames)
        share = {stage: seconds / len(frames) for stage, seconds in self.timings.items()}
        parts = [data] if len(frames) == 1 else [data[i : i + 1] for i in range(len(frames))]
        return [
            Embedding(part, self._transform(frame), frame.stamp, frame.frame_id, share)
            for frame, part in zip(frames, parts, strict=True)
        ]

    def _encode(self, frames: Sequence[Frame]) -> Encoded:
        """The embeddings and features of N frames, on the runtime's device; starts :attr:`timings`."""
        bundle, self.timings = self.bundle, {}
        with self.timed("preprocess"):
            if self.runtime.preprocess is not None:
                sizes = [resized_shape(frame.size, bundle.image_size) for frame in frames]
                blob = self.runtime.preprocess([frame.image for frame in frames], sizes)
            else:
                blobs = [preprocess(f.image, bundle.image_size, bundle.mean, bundle.std) for f in frames]
                blob = blobs[0] if len(blobs) == 1 else np.concatenate(blobs)
        with self.timed("encode"):
            return self.runtime.encode(blob)

    def nothing(self, frame: Frame) -> Masks:
        """The answer when nothing was asked for, without running a network."""
        self.timings = {}
        empty = np.zeros((0, *self.bundle.mask_size), np.float32)
        return Masks(empty, np.zeros(0, np.float32), np.zeros(0, int), self._transform(frame))

    def _transform(self, frame: Frame) -> Transform:
        return Transform.of(self.bundle, frame.size)

    def decode(
        self,
        embedding: Embedding,
        prompts: Sequence[Prompt],
        multimask: bool = False,
        foveal: bool = False,
        least_score: float = -np.inf,
        min_region: float | None = None,
    ) -> Masks:
        """Decode prompts, all in one batch.

        Args:
            embedding: of the frame that the prompts refer to.
            prompts: in pixels of the original image.
            multimask: give the three masks of each prompt, in its order; otherwise the best of the three
                by predicted IoU (of a lone point also by what the masks expect, see ``Bundle.expected_iou``).
            foveal: look closely at each prompt's points only, where the bundle can: many times faster; the
                same masks, whose outlines are the coarser the farther they are from the points.
            least_score: leave out masks of less predicted IoU.
            min_region: remove holes and specks smaller than this share of their mask; None: as
                :attr:`min_region`.

        Raises:
            PromptError: naming the prompt that is wrong.
        """
        transform = embedding.transform
        prompts = check_prompts(prompts, transform.size)
        for index, prompt in enumerate(prompts):
            if prompt.mask is not None and prompt.mask.shape != transform.mask_size:
                raise ValueError(
                    f"prompt {index}: mask has shape {prompt.mask.shape}; expected low-res logits "
                    f"{transform.mask_size}"
                )
        depth, drawn = 3 if multimask else 1, 0
        # Memory that is never written to costs nothing.
        logits = np.empty((len(prompts) * depth, *transform.mask_size), np.float32)
        scores = np.empty(len(logits), np.float32)
        rows, levels = np.empty(len(logits), int), np.empty(len(logits), int)
        with self.timed("decode"):
            for members, network in self.batches(prompts, foveal and self.bundle.has_foveal):
                batch = [prompts[index] for index in members]
                kept, part = self._decode_batch(embedding, batch, network, multimask, least_score)
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
            with self.timed("clean"):
                self._clean(logits, transform, min_region)
        asked = rows // depth
        ids = [p.object_id if p.object_id is not None else i + 1 for i, p in enumerate(prompts)]
        answered = tuple(prompts[index] for index in asked)
        return Masks(logits, scores, np.array(ids, int)[asked], transform, answered, levels[:drawn][order])

    @staticmethod
    def _clean(logits: np.ndarray, transform: Transform, min_region: float) -> None:
        """Remove small regions of ``(M, h, w)`` in place, without looking at the padding."""
        height, width = transform.visible_cells
        logits[:, :height, :width] = remove_small_regions(logits[:, :height, :width], min_region)

    def batches(self, prompts: Sequence[Prompt], foveal: bool) -> Iterator[tuple[list[int], str]]:
        """Indices of prompts of one kind, at most a chunk together, and the decoder that they are for.

        Only prompts with as many points go together: a padding point is a token that the decoder sees, so
        padding beyond SAM's own would change the masks.
        """
        kinds: dict[tuple[str, int, bool, bool], list[int]] = {}
        for index, prompt in enumerate(prompts):
            network = "foveal_decoder" if foveal and looks_at(prompt) is not None else "decoder"
            kind = (network, len(prompt.points), prompt.box is not None, prompt.mask is not None)
            kinds.setdefault(kind, []).append(index)
        for (network, *_), members in kinds.items():
            usual = FOVEAL_CHUNK if network == "foveal_decoder" else CHUNK
            tokens = token_count(prompts[members[0]])
            try:
                self._check_tokens(network, prompts[members[0]])
            except PromptError as error:
                raise PromptError(f"prompt {members[0]}: {error}") from error
            while members:
                count = self.runtime.at_once(network, len(members), usual, tokens)
                yield members[:count], network
                members = members[count:]

    def check(self, prompt: Prompt) -> None:
        """Raise ``PromptError`` if the decoder of this runtime takes no prompt of so many points."""
        self._check_tokens("decoder", prompt)

    def _check_tokens(self, network: str, prompt: Prompt) -> None:
        limits, tokens = self.runtime.token_limits(network), token_count(prompt)
        if limits is not None and not limits[0] <= tokens <= limits[1]:
            raise PromptError(
                f"{len(prompt.points)} points and {'a' if prompt.box is not None else 'no'} box are {tokens} "
                f"tokens; the engine of the {network} takes {limits[0]} to {limits[1]}. One that takes every "
                f"prompt: evitsam build {self.bundle.name}"
            )

    def _decode_batch(
        self,
        embedding: Embedding,
        batch: list[Prompt],
        network: str,
        multimask: bool,
        least_score: float,
    ) -> tuple[_Kept, np.ndarray]:
        """What is kept of prompts of one kind, and its low-res logits ``(K, h, w)``."""
        transform = embedding.transform
        coords, labels, masks, has_mask = prompt_arrays(batch, transform)
        if network == "decoder":
            low_res, iou = self.runtime.decode(embedding.data, coords, labels, masks, has_mask)
            rank = iou if multimask else self._rank(batch[0], iou, low_res, transform)
            kept = _Kept.of(iou, rank, multimask, least_score)
            return kept, low_res[kept.prompts, kept.masks]
        views = Views.around(np.stack([looks_at(prompt) for prompt in batch]), transform)
        drawn, iou = self.runtime.decode_foveal(embedding.data, coords, labels, views.cells())
        kept = _Kept.of(iou, iou, multimask, least_score)
        return kept, views[kept.prompts].place(drawn[kept.prompts, kept.masks])

    def _rank(self, prompt: Prompt, iou: np.ndarray, masks: np.ndarray, transform: Transform) -> np.ndarray:
        """``(B, 3)``: by what prompts like this one choose among their ``masks (B, 3, h, w)``.

        Predicted IoU; for a lone point the bundle's share of it is replaced by what the masks expect.
        """
        share = self.bundle.expected_iou
        if not share or not is_ambiguous(prompt):
            return iou
        height, width = transform.visible_cells
        return (1 - share) * iou + share * expected_iou(masks[..., :height, :width])

    def propose(self, embedding: Embedding, top_n: int = 64, heat: float | None = None) -> list[Prompt]:
        """Prompts for the whole image, best first: AutoPPN's where the bundle has it, else a square grid.

        Args:
            embedding: of the frame.
            top_n: at most so many; a grid has the largest square number that is not more.
            heat: least confidence of a proposal; by default the bundle's.

        Raises:
            ValueError: ``top_n`` is not 1 to 1024.
        """
        if not 1 <= top_n <= 1024:
            raise ValueError(f"top_n is {top_n}; expected 1 to 1024")
        with self.timed("propose"):
            if not self.bundle.has_proposals:
                return grid_prompts(embedding.transform.size, max(1, int(top_n**0.5)))
            threshold = self.thresholds().but(heat=heat).heat
            maps = self.runtime.propose(embedding.data)
            boxes = self.bundle.proposals_as == "boxes"
            return decode_proposals(*maps, embedding.transform, top_n, threshold, boxes)

    def thresholds(self) -> Thresholds:
        """The bundle's own thresholds for everything mode, or the defaults."""
        return Thresholds().but(**self.bundle.thresholds)

    def everything(
        self,
        image: np.ndarray | Frame | Embedding,
        top_n: int = 64,
        thresholds: Thresholds | None = None,
        grid: int | None = None,
        also: Sequence[Prompt] = (),
        budget: LatencyBudget | None = None,
        foveal: bool = True,
        look_again: bool = True,
    ) -> Masks:
        """All objects of an image, best first, with ids 1, 2, 3, …

        Proposals that overlap are decoded once; up to a quarter of ``top_n`` goes to points between them.
        Points alone are ambiguous: all three masks of each compete.

        Args:
            image: ``(H, W, 3)`` uint8 RGB, a frame, or an embedding made before.
            top_n: how many prompts to decode at most.
            thresholds: what to keep; by default the bundle's.
            grid: SAM's way instead of proposals, ``grid`` x ``grid`` points, with the decoder itself.
            also: prompts that come before the proposals, as for objects known from the last frame.
            budget: decode no more than there is time for; it learns from every frame.
            foveal: see :meth:`decode`.
            look_again: after a foveal decoding, draw the chosen masks by looking along their outlines.
        """
        embedding = image if isinstance(image, Embedding) else self.embed(image)
        thresholds = thresholds or self.thresholds()
        if grid is not None:
            prompts = grid_prompts(embedding.transform.size, grid)
        else:
            prompts = self._spread(embedding, top_n, thresholds, list(also)[:top_n])
        if budget is not None:
            prompts = budget.cut(prompts, sum(self.timings.values()))
        ambiguous = any(prompt.box is None for prompt in prompts)
        masks = self.decode(
            embedding,
            prompts,
            multimask=ambiguous,
            foveal=foveal and grid is None,
            least_score=thresholds.score,
            min_region=0.0,  # of the chosen ones, below
        )
        with self.timed("filter"):
            chosen = choose(masks, thresholds)
        if foveal and look_again and grid is None and self.bundle.has_foveal:
            with self.timed("look again"):
                chosen = look_again_at(self, embedding, chosen)
        if thresholds.min_region > 0:
            with self.timed("clean"):
                chosen = replace(chosen, logits=chosen.logits.copy())
                self._clean(chosen.logits, chosen.transform, thresholds.min_region)
        if budget is not None:
            afterwards = self.timings["filter"] + self.timings.get("look again", 0.0)
            budget.learn(len(prompts), self.timings["decode"], afterwards)
        return chosen

    def _spread(
        self, embedding: Embedding, top_n: int, thresholds: Thresholds, also: list[Prompt]
    ) -> list[Prompt]:
        """``also``, then the proposals that look elsewhere, then points where none of them does."""
        proposed = drop_covered(self.propose(embedding, top_n, thresholds.heat), also, thresholds.same)
        prompts = [*also, *proposed][:top_n]
        if self.bundle.has_proposals and self.bundle.proposals_as == "points":
            spare = min(top_n - len(prompts), int(top_n * SHARE))
            prompts += covering_points(prompts, embedding.transform.size, spare)
        return prompts
