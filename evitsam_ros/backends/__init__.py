# SPDX-License-Identifier: Apache-2.0
"""Inference runtimes behind one protocol, and the choice among them."""

from .base import Backend, BackendError, Network, Runtime
from .registry import BACKENDS, engines_missing, in_precision, open_runtime

__all__ = [
    "BACKENDS",
    "Backend",
    "BackendError",
    "Network",
    "Runtime",
    "engines_missing",
    "in_precision",
    "open_runtime",
]
