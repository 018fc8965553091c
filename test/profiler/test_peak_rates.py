# SPDX-License-Identifier: Apache-2.0
"""Test the measuring process: its rates are plausible, it exits, and its product is the fastest."""

import time

import numpy as np
import pytest

from evitsam_ros.profiler import gemm_peak
from evitsam_ros.profiler.gemm_peak import Product, fastest
from evitsam_ros.profiler.peak_rates import PeakRates


def test_measures_in_a_process_that_ends():
    with PeakRates(1) as found:
        for _ in range(2):
            found.measure()
        process = found._process
    assert process.poll() == 0
    assert found.side in gemm_peak.SIDES and found.library
    # Slower than a thousandth of any CPU of this century, or faster than any: the unit would be wrong.
    assert len(found.macs_per_s) == 2 and all(1e8 < rate < 1e14 for rate in found.macs_per_s)
    assert len(found.bytes_per_s) == 2 and all(1e8 < rate < 1e13 for rate in found.bytes_per_s)


def test_a_process_that_died_is_an_error():
    with pytest.raises((RuntimeError, BrokenPipeError)), PeakRates(1) as found:
        found._process.terminate()
        found._process.wait()
        found.measure()


def test_every_library_multiplies(monkeypatch):
    pytest.importorskip("openvino")
    monkeypatch.setattr(gemm_peak, "SIDES", (64,))
    matrix = np.random.default_rng(0).standard_normal((64, 64), np.float32)
    found = {product.library: product for product in gemm_peak._products(64, 1)}
    assert set(found) == {"NumPy's BLAS", "OpenVINO"}
    for product in found.values():
        result = product.multiply()
        result = result if isinstance(result, np.ndarray) else result[0]
        np.testing.assert_allclose(result, matrix @ matrix, rtol=1e-4, atol=1e-4)


def test_the_fastest_is_taken_and_small_products_are_repeated(monkeypatch):
    counts = {"slow": 0, "fast": 0}

    def product(library, delay):
        def multiply():
            counts[library] += 1
            time.sleep(delay)

        return Product(library, 100, multiply)

    monkeypatch.setattr(gemm_peak, "SIDES", (100,))
    monkeypatch.setattr(
        gemm_peak, "_products", lambda side, threads: [product("slow", 0.02), product("fast", 0.002)]
    )
    best = fastest(1)
    assert best.library == "fast" and counts["fast"] > 2 * counts["slow"]
    # A million multiply-adds in two milliseconds and a bit.
    assert 1e8 < best.macs_per_s() < 5e8
