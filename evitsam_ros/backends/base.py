# SPDX-License-Identifier: Apache-2.0
"""What a runtime has to offer, and what the segmenter sees of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..bundle import HIGH_RES, Bundle
from .device_clock import DeviceClock

#: Where a network computes.
CPU, GPU = "CPU", "GPU"


class BackendError(ValueError):
    """A runtime that is unknown, not installed, or that refused a network; the message has the remedy."""


class Network(Protocol):
    """A loaded network. Arrays between networks of one runtime may stay on its device."""

    def __call__(self, inputs: dict[str, Any]) -> list[Any]:
        """Run on named inputs; outputs in the order of the ONNX file."""


class Backend(Protocol):
    """A runtime.

    Attributes:
        name: as in ``backend=``.
        remedy: the command that installs it.
    """

    name: str
    remedy: str

    def version(self) -> str | None:
        """Its version, or None when it is not installed."""

    def load(self, bundle: Bundle, network: str, threads: int) -> Network:
        """Load a network of a bundle by its name; ``BackendError`` if it cannot."""

    def facts(self, bundle: Bundle, network: str, threads: int) -> dict[str, str]:
        """How it runs: ``device``, ``precision``, and whatever else its speed depends on."""


@dataclass(frozen=True)
class Encoded:
    """What the encoder gives for N images, on the device of its runtime.

    Attributes:
        image_embeddings: ``(N, 256, h, w)``.
        high_res: the high-resolution features ``(N, 32, 4h, 4w)`` and ``(N, 64, 2h, 2w)``; empty where the
            model has none.
    """

    image_embeddings: Any
    high_res: tuple[Any, ...] = ()

    def __getitem__(self, images: slice) -> Encoded:
        return Encoded(self.image_embeddings[images], tuple(feature[images] for feature in self.high_res))

    def feed(self) -> dict[str, Any]:
        """The decoders' inputs of one image, by name."""
        names = ("image_embeddings", *HIGH_RES)
        return dict(zip(names, (self.image_embeddings, *self.high_res), strict=False))


@dataclass(frozen=True)
class Runtime:
    """The networks of a bundle, each on its runtime.

    Attributes:
        networks: by name.
        description: which runtime each network got, and why.
        backends: the names of these runtimes.
        preprocess: where the runtime makes the encoder's input itself: images ``(H, W, 3)`` uint8 RGB and the
            (h, w) of each in it -> its own ``(N, 3, S, S)`` array.
        batch: most images of an encoder call, where several cost less together than one by one.
        facts: gathers by network: ``runtime`` with its version, ``device``, ``precision``, and its flags.
        wait: returns when the work that was queued is done, where a call does not wait for it.
        device_clock: times the work on the device from then on, where the runtime can.
        release: frees what the backends hold, for :meth:`close`.
    """

    networks: dict[str, Network]
    description: str
    backends: frozenset[str] = frozenset()
    preprocess: Callable[[Sequence[np.ndarray], Sequence[tuple[int, int]]], Any] | None = None
    batch: int = 1
    facts: Callable[[], dict[str, dict[str, str]]] = dict
    wait: Callable[[], None] | None = None
    device_clock: Callable[[], DeviceClock] | None = None
    release: Callable[[], None] | None = None

    def close(self) -> None:
        """Let the networks go and free what they hold; a call of one raises ``BackendError`` from then on.

        No other thread may be in a call. Closing twice is allowed.
        """
        self.networks.update(dict.fromkeys(self.networks, _closed))
        if self.release is not None:
            self.release()

    def at_once(self, network: str, count: int, usual: int, tokens: int | None = None) -> int:
        """How many of ``count`` prompts of ``tokens`` tokens a decoder takes in a call.

        ``usual``, or what its engine holds. Tokens are points and two corners, or points and a padding one.
        """
        prompts = getattr(self.networks[network], "prompts", None)
        return prompts(count, tokens) if prompts else min(count, usual)

    def token_limits(self, network: str) -> tuple[int, int] | None:
        """Fewest and most tokens of a prompt that a decoder takes; None where it takes any number."""
        limits = getattr(self.networks[network], "token_limits", None)
        return limits() if limits else None

    def encode(self, blob: Any) -> Encoded:
        """``(N, 3, S, S)`` float32 -> embeddings and features, on the device of the runtime."""
        embeddings, *high_res = self.networks["encoder"]({"image": blob})
        return Encoded(embeddings, tuple(high_res))

    def decode(
        self,
        encoded: Encoded,
        coords: np.ndarray,
        labels: np.ndarray,
        masks: np.ndarray,
        has_mask: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Prompts as in ``decoder.onnx`` -> low-res logits ``(B, 3, h, w)`` and IoU ``(B, 3)``."""
        return self._decode("decoder", encoded, coords, labels, mask_input=masks, has_mask_input=has_mask)

    def decode_foveal(
        self, encoded: Encoded, coords: np.ndarray, labels: np.ndarray, cells: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """As in ``foveal_decoder.onnx`` -> logits of the cells ``(B, 3, 16 * K)`` and IoU ``(B, 3)``."""
        return self._decode("foveal_decoder", encoded, coords, labels, cells=cells)

    def _decode(
        self, network: str, encoded: Encoded, coords: np.ndarray, labels: np.ndarray, **rest: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        prompts = {"point_coords": coords, "point_labels": labels, **rest}
        image = encoded.feed()
        # The order of the ONNX file, which torch relies on: high-resolution features come last.
        first = {"image_embeddings": image.pop("image_embeddings")}
        masks, iou = self.networks[network]({**first, **prompts, **image})
        return masks, iou

    def propose(self, encoded: Encoded) -> tuple[np.ndarray, np.ndarray]:
        """AutoPPN's heat ``(1, 1, h, w)`` and distances ``(1, 4, h, w)``."""
        heat, boxes = self.networks["proposals"]({"image_embeddings": encoded.image_embeddings})
        return heat, boxes


def _closed(inputs: dict[str, Any]) -> list[Any]:
    raise BackendError("the runtime is closed; open the model again")
