# SPDX-License-Identifier: Apache-2.0
"""The segmenter with an encoder that waits, or fails, as files in the bundle's folder say.

While ``closed`` exists an image that is encoded waits, and ``in_work`` exists. While ``fails`` exists the
encoder raises.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from evitsam_ros.nodes import segmenter as node
from evitsam_ros.segment import Segmenter


class Gate:
    """The test's side."""

    def __init__(self, folder: Path) -> None:
        self._closed, self._fails = folder / "closed", folder / "fails"
        self._in_work = folder / "in_work"

    def close(self) -> None:
        self._closed.touch()

    def open(self) -> None:
        for file in (self._closed, self._fails):
            file.unlink(missing_ok=True)

    def fail(self) -> None:
        self._fails.touch()

    @property
    def in_work(self) -> bool:
        """Whether an image waits in the encoder."""
        return self._in_work.exists()

    def pass_by(self) -> None:
        """The node's side: an image is encoded."""
        if self._closed.exists():
            self._in_work.touch()
            while self._closed.exists():
                time.sleep(0.005)
            self._in_work.unlink()
        if self._fails.exists():
            raise RuntimeError("the encoder fails, as the test asks")


class Gated(Segmenter):
    @classmethod
    def open(cls, *args: Any, **options: Any) -> Segmenter:
        opened = super().open(*args, **options)
        encoder, gate = opened.runtime.networks["encoder"], Gate(opened.bundle.folder)

        def encode(inputs: dict[str, Any]) -> list[Any]:
            gate.pass_by()
            return encoder(inputs)

        opened.runtime.networks["encoder"] = encode
        return opened


if __name__ == "__main__":
    from evitsam_ros.nodes import inference

    node.Segmenter = inference.Segmenter = Gated
    sys.exit(node.main())
