# SPDX-License-Identifier: Apache-2.0
"""Inference runtimes behind one interface, and the choice among them.

A backend is a module that registers a subclass of :class:`Backend`, and is imported below.
"""

from . import onnxruntime_backend, openvino_backend, torch_backend
from .base import PRECISION_CHOICES, PRECISIONS, Backend, BackendError, FunctionNetwork, Network, Requirement
from .choice import Candidate, Choice, NetworkChoice
from .registry import BACKENDS, backend_choices, register_backend
from .runtime import Encoded, Runtime
from .selection import open_runtime
from .tensorrt.backend import engines_missing

__all__ = [
    "BACKENDS",
    "PRECISIONS",
    "PRECISION_CHOICES",
    "Backend",
    "BackendError",
    "Candidate",
    "Choice",
    "Encoded",
    "FunctionNetwork",
    "Network",
    "NetworkChoice",
    "Requirement",
    "Runtime",
    "backend_choices",
    "engines_missing",
    "onnxruntime_backend",
    "open_runtime",
    "openvino_backend",
    "register_backend",
    "torch_backend",
]
