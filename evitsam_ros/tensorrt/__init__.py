# SPDX-License-Identifier: Apache-2.0
"""From a bundle to verified TensorRT engines: precision in the graph, build, proof, cache."""
