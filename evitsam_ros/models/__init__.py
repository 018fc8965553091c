# SPDX-License-Identifier: Apache-2.0
"""The networks. Specifications need no torch; building a model imports it on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .specs import SPECS, ModelSpec, list_models, model_spec

if TYPE_CHECKING:
    from .registry import create_model
    from .sam import Sam

__all__ = ["SPECS", "ModelSpec", "Sam", "create_model", "list_models", "model_spec"]


def __getattr__(name: str) -> Any:
    if name == "create_model":
        from .registry import create_model

        return create_model
    if name == "Sam":
        from .sam import Sam

        return Sam
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
