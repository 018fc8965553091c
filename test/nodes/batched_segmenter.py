# SPDX-License-Identifier: Apache-2.0
"""The segmenter on a runtime that takes two images a call, as engines built with ``--batch 2`` do.

It prints how many images every encoder call had.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from typing import Any

from evitsam_ros.nodes import segmenter as node
from evitsam_ros.segment import Segmenter


class Batched(Segmenter):
    @classmethod
    def open(cls, *args: Any, **options: Any) -> Segmenter:
        opened = super().open(*args, **options)
        opened.runtime = replace(opened.runtime, batch=2)
        encoder = opened.runtime.networks["encoder"]

        def encode(inputs: dict[str, Any]) -> list[Any]:
            print(f"images in the call: {len(inputs['image'])}", flush=True)
            time.sleep(0.05)  # so that the other camera's frame comes meanwhile
            return encoder(inputs)

        opened.runtime.networks["encoder"] = encode
        return opened


if __name__ == "__main__":
    node.Segmenter = Batched
    sys.exit(node.main())
