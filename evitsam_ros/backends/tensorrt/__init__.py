# SPDX-License-Identifier: Apache-2.0
"""Run TensorRT engines: the backend, the engine cache, CUDA calls and memory."""
