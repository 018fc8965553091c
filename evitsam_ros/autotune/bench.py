# SPDX-License-Identifier: Apache-2.0
"""The networks that are measured: loaded with one thread, run on real tensors, proved on real masks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from ..backends import BACKENDS, PRECISIONS, BackendError, Encoded, Network, Runtime
from ..bundle import Bundle, BundleFiles
from ..segment import Segmenter
from ..segment.transform import Transform, preprocess
from .proof import Proof, compare, decoder_feed, foveal_feed, prompts_for, proposals_for
from .race import Race

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from .budget import Budget
    from .dense_proof import DenseProof


class RememberedNetwork(Network):
    """A network that keeps its outputs by its inputs.

    Args:
        network: loaded.
        clock: seconds.
    """

    def __init__(self, network: Network, clock: Callable[[], float]) -> None:
        self._network, self._clock = network, clock
        self._known: dict[int, list[Any]] = {}

    def __call__(self, inputs: dict[str, Any]) -> list[Any]:
        """Return the outputs; run the network only where they are not known."""
        key = _key(inputs)
        if key not in self._known:
            self._known[key] = self._network(inputs)
        return self._known[key]

    def timed(self, inputs: dict[str, Any]) -> float:
        """Run the network in any case; return the seconds that it took."""
        start = self._clock()
        outputs = self._network(inputs)
        taken = self._clock() - start
        self._known[_key(inputs)] = outputs
        return taken


def _key(inputs: dict[str, Any]) -> int:
    arrays = [(name, np.ascontiguousarray(value)) for name, value in sorted(inputs.items())]
    return hash(tuple((name, value.shape, hash(value.tobytes())) for name, value in arrays))


#: Share of the remaining time that one race may take: later networks and the proof need some.
RACE_SHARE = 0.5
#: Seconds that the masks of an image take to compare, about.
COMPARE_S = 0.05
#: Characters of the reason why a network cannot be loaded.
LONGEST_REASON = 100

AnyBundle = TypeVar("AnyBundle", bound=BundleFiles)


class Bench(ABC, Generic[AnyBundle]):
    """Load, time and prove networks of a bundle.

    Args:
        bundle: an opened bundle.
        images: ``(H, W, 3)`` uint8 RGB, real photographs.
        reference: the backend in float32; its answers are the reference.
        budget: of time; all methods raise ``OutOfTimeError`` where it is used up.
    """

    def __init__(
        self, bundle: AnyBundle, images: Sequence[np.ndarray], reference: str, budget: Budget
    ) -> None:
        self._bundle, self._images, self._reference, self._budget = bundle, images, reference, budget
        self._backends = {kind.name: kind() for kind in BACKENDS.values() if kind.cpu_only}
        self._loaded: dict[tuple[str, str], RememberedNetwork] = {}
        self._load_s: dict[str, float] = {}
        self._run_s: dict[str, float] = {}

    def load_problem(self, network: str, name: str) -> str:
        """Load a network; return why a backend cannot, empty where it can."""
        try:
            self._load(network, name)
        except BackendError as error:
            text = " ".join(str(error).split())
            return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]}…"
        return ""

    def race(self, network: str, names: Sequence[str]) -> Race:
        """Time backends on one network in turns, on all images; the reference comes first."""
        feeds = self._feeds(network)
        loaded = {name: self._load(network, name) for name in names}
        last: dict[str, float] = {}

        def runner(name: str) -> Callable[[int], float]:
            def run(turn: int) -> float:
                self._budget.check(last.get(name, max(last.values(), default=0.0)))
                last[name] = self._run_s[network] = loaded[name].timed(feeds[turn % len(feeds)])
                return last[name]

            return run

        budget = self._budget.part(RACE_SHARE)
        race = Race({name: runner(name) for name in names}, lambda: budget.allows(sum(last.values())))
        race.run()
        return race

    @abstractmethod
    def prove(self, backends: Mapping[str, str], compared: Collection[str]) -> Proof | DenseProof:
        """Compare answers with those of float32.

        Args:
            backends: by network.
            compared: networks to compare.
        """

    def release(self, keep: Collection[tuple[str, str]] = ()) -> None:
        """Free all networks but those of these pairs of a network and a backend."""
        for key in set(self._loaded) - set(keep):
            del self._loaded[key]

    def _load(self, network: str, name: str) -> RememberedNetwork:
        key = network, name
        if key not in self._loaded:
            self._budget.check(self._load_s.get(network, 0.0))
            start = self._budget.clock()
            loaded = self._backends[name].load(self._bundle, network, 1)
            self._loaded[key] = RememberedNetwork(loaded, self._budget.clock)
            self._load_s[network] = self._budget.clock() - start
        return self._loaded[key]

    def _feeds(self, network: str) -> list[dict[str, Any]]:
        """Make the inputs of a network on every image, from float32's embeddings."""
        return [self._feed(network, image) for image in self._images]

    @abstractmethod
    def _feed(self, network: str, image: np.ndarray) -> dict[str, Any]:
        """Make the inputs of a network on an image."""


class MaskBench(Bench[Bundle]):
    """Load, time and prove the networks of a promptable bundle."""

    def prove(self, backends: Mapping[str, str], compared: Collection[str]) -> Proof:
        """Compare masks with those of float32.

        Args:
            backends: by network; encoder and decoder are in float32 where they are not named.
            compared: networks to compare by outputs and masks, a decoder among them.
        """
        networks = {"encoder", "decoder", *backends}
        names = {name: backends.get(name, self._reference) for name in networks}
        reference = self._segmenter(dict.fromkeys(networks, self._reference))
        lowest = max((BACKENDS[name].precision for name in names.values()), key=PRECISIONS.index)
        candidate = self._segmenter(names)
        # Both pipelines decode boxes and points of every image; later proofs remember these.
        decoded = 4 * len(self._images) if "decoder" in compared else 0
        self._budget.check(COMPARE_S * len(self._images) + decoded * self._run_s.get("decoder", 0.0))
        return compare(reference, candidate, self._images, lowest, networks=compared)

    def _segmenter(self, backends: Mapping[str, str]) -> Segmenter:
        loaded = {network: self._load(network, name) for network, name in backends.items()}
        return Segmenter(self._bundle, Runtime(dict(loaded), "being measured"))

    def _feed(self, network: str, image: np.ndarray) -> dict[str, Any]:
        bundle = self._bundle
        blob = preprocess(image, bundle.image_size, bundle.mean, bundle.std)
        if network == "encoder":
            return {"image": blob}
        embeddings, *high_res = self._load("encoder", self._reference)({"image": blob})
        if network == "proposals":
            return {"image_embeddings": embeddings}
        encoded, transform = Encoded(embeddings, tuple(high_res)), Transform.of(bundle, image.shape[:2])
        if network == "decoder":
            boxes = [prompt for prompt in prompts_for(image) if prompt.box is not None]
            return decoder_feed(boxes, encoded, transform)
        return foveal_feed(proposals_for(image)[0], encoded, transform)
