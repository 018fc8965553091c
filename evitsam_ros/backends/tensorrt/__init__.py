# SPDX-License-Identifier: Apache-2.0
"""Run TensorRT engines: the backend, the cache that it takes them from, and the memory of the GPU."""
