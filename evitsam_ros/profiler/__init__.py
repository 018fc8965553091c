# SPDX-License-Identifier: Apache-2.0
"""Measure the latency of each stage beside its lower bound: offline, live, and as benchmarks."""
