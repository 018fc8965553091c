# SPDX-License-Identifier: Apache-2.0
"""Find the fastest float32 matrix product on this CPU: the lower bound of a multiply-add.

One library alone is no bound if it does not know the CPU: NumPy's BLAS reaches half of OpenVINO's rate on an
AMD EPYC with AVX-512.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..backends.openvino_backend import import_openvino

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

#: Sides of the square matrices: smaller and larger than a core's cache.
SIDES = (512, 1024, 2048)
#: Min duration of a measurement: shorter ones include waking the cores and filling the caches.
LONG_ENOUGH_S = 0.05
TRIALS = 3


@dataclass(frozen=True)
class Product:
    """A product of two ``side`` x ``side`` float32 matrices by a library; ``multiply`` computes it once."""

    library: str
    side: int
    multiply: Callable[[], object]

    def macs_per_s(self) -> float:
        """Return the multiply-adds per second, after a first product has woken the cores."""
        self.multiply()
        begun, times = time.perf_counter(), 0
        while (taken := time.perf_counter() - begun) < LONG_ENOUGH_S:
            self.multiply()
            times += 1
        return times * self.side**3 / taken


def fastest(threads: int) -> Product:
    """Return the library and size with the best trial, on this number of threads.

    NumPy's BLAS reads its number of threads from the environment when it is imported.
    """
    candidates = [product for side in SIDES for product in _products(side, threads)]
    return max(candidates, key=lambda product: max(product.macs_per_s() for _ in range(TRIALS)))


def _products(side: int, threads: int) -> Iterator[Product]:
    matrix = np.random.default_rng(0).standard_normal((side, side), np.float32)
    yield Product("NumPy's BLAS", side, lambda: matrix @ matrix)
    try:
        yield Product("OpenVINO", side, _openvino(matrix, threads))
    except ImportError:
        return


def _openvino(matrix: np.ndarray, threads: int) -> Callable[[], object]:
    """Compile a network of one product; the second factor is a weight, as in the profiled networks."""
    openvino = import_openvino()
    operations = openvino.opset13
    left = operations.parameter(matrix.shape, np.float32)
    model = openvino.Model([operations.matmul(left, operations.constant(matrix), False, False)], [left])
    options = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    request = openvino.Core().compile_model(model, "CPU", options).create_infer_request()
    request.set_input_tensor(openvino.Tensor(matrix))
    return request.infer
