# SPDX-License-Identifier: Apache-2.0
"""The fastest float32 matrix product that is to be had on this CPU: what a multiply-add costs at least.

One library's product is no ceiling where that library does not know the CPU: NumPy's BLAS reaches half of
what OpenVINO's does on an AMD EPYC with AVX-512.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from ..backends.openvino_backend import import_openvino

#: Sides of the square matrices: what fits into a core's cache, and what does not.
SIDES = (512, 1024, 2048)
#: A measurement takes so long at least: shorter ones are of cores and caches that are still asleep.
LONG_ENOUGH_S = 0.05
TRIALS = 3


@dataclass(frozen=True)
class Product:
    """A product of two ``side`` x ``side`` float32 matrices by a library; ``multiply`` does it once."""

    library: str
    side: int
    multiply: Callable[[], object]

    def macs_per_s(self) -> float:
        """Multiply-adds a second, once the first product has woken the cores, for long enough."""
        self.multiply()
        begun, times = time.perf_counter(), 0
        while (taken := time.perf_counter() - begun) < LONG_ENOUGH_S:
            self.multiply()
            times += 1
        return times * self.side**3 / taken


def fastest(threads: int) -> Product:
    """The best of every library and size by its best trial, on so many threads.

    NumPy's BLAS takes its number of threads from the environment, before it is imported.
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
    """A network that is one product, the second factor its weights as in the networks that are profiled."""
    openvino = import_openvino()
    operations = openvino.opset13
    left = operations.parameter(matrix.shape, np.float32)
    model = openvino.Model([operations.matmul(left, operations.constant(matrix), False, False)], [left])
    options = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    request = openvino.Core().compile_model(model, "CPU", options).create_infer_request()
    request.set_input_tensor(openvino.Tensor(matrix))
    return request.infer
