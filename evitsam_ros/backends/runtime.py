# SPDX-License-Identifier: Apache-2.0
"""The networks of a bundle on their backend, as the segmenter uses them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..bundle import HIGH_RES
from .base import BackendError, Network, Preprocess

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from .choice import Choice
    from .device_clock import DeviceClock


@dataclass(frozen=True)
class Encoded:
    """The encoder's output for N images, on the device of its runtime.

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
        """Return the decoders' inputs of one image, by name."""
        names = ("image_embeddings", *HIGH_RES)
        return dict(zip(names, (self.image_embeddings, *self.high_res), strict=False))


@dataclass(frozen=True)
class Runtime:
    """Hold the loaded networks of a bundle.

    Attributes:
        networks: by name.
        description: which backend runs each network, and why.
        backends: the names of these backends.
        preprocess: makes the encoder's input on the device; None: the host makes it.
        batch: max images of an encoder call, where several cost less together than one by one.
        info: gathers by network: ``runtime`` with its version, ``device``, ``precision``, and its flags.
        synchronize: waits for the work that was queued, where a call does not.
        device_clock: starts timing the work on the device; None if the backend cannot.
        release: frees the backend's resources, for :meth:`close`.
        choice: the measured and proved choice, if there is one; otherwise None.
    """

    networks: dict[str, Network]
    description: str
    backends: frozenset[str] = frozenset()
    preprocess: Preprocess | None = None
    batch: int = 1
    info: Callable[[], dict[str, dict[str, str]]] = dict
    synchronize: Callable[[], None] = lambda: None
    device_clock: Callable[[], DeviceClock | None] = lambda: None
    release: Callable[[], None] = lambda: None
    choice: Choice | None = None

    def close(self) -> None:
        """Drop the networks and free their resources; later calls raise ``BackendError``.

        No other thread may be in a call. Closing twice is allowed.
        """
        self.networks.update(dict.fromkeys(self.networks, _ClosedNetwork()))
        self.release()

    def max_prompts_per_call(self, network: str, count: int, usual: int, tokens: int | None = None) -> int:
        """Return how many of ``count`` prompts a decoder takes; see :meth:`.base.Network`."""
        return self.networks[network].max_prompts_per_call(count, usual, tokens)

    def token_limits(self, network: str) -> tuple[int, int] | None:
        """Return the min and max tokens of a prompt that a decoder takes; None where it takes any number."""
        return self.networks[network].token_limits()

    def encode(self, blob: Any) -> Encoded:
        """Encode ``(N, 3, S, S)`` float32; embeddings and features stay on the device of the runtime."""
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
        """Decode prompts as in ``decoder.onnx``: low-res logits ``(B, 3, h, w)`` and IoU ``(B, 3)``."""
        return self._decode("decoder", encoded, coords, labels, mask_input=masks, has_mask_input=has_mask)

    def decode_foveal(
        self, encoded: Encoded, coords: np.ndarray, labels: np.ndarray, cells: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Decode as in ``foveal_decoder.onnx``: logits of the cells ``(B, 3, 16 * K)`` and IoU ``(B, 3)``."""
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
        """Run AutoPPN: heat ``(1, 1, h, w)`` and distances ``(1, 4, h, w)``."""
        heat, boxes = self.networks["proposals"]({"image_embeddings": encoded.image_embeddings})
        return heat, boxes


class _ClosedNetwork(Network):
    def __call__(self, inputs: dict[str, Any]) -> list[Any]:
        raise BackendError("the runtime is closed; open the model again")
