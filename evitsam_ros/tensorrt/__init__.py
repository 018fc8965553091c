# SPDX-License-Identifier: Apache-2.0
"""Build TensorRT engines: precision in the graph, validation of the masks, build, cache."""
