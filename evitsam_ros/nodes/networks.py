# SPDX-License-Identifier: Apache-2.0
"""Open the networks that the segmenter's parameters name."""

from __future__ import annotations

from contextlib import ExitStack

from ..backends import BackendError
from ..bundle import BundleError
from ..dense import SemanticSegmenter
from ..segment import Segmenter
from .parameters import SegmenterParameters


def open_networks(parameters: SegmenterParameters) -> tuple[Segmenter, SemanticSegmenter | None]:
    """Open the promptable bundle and, where ``semantic_model`` names one, the semantic one; both or none.

    Raises:
        BundleError: the promptable bundle is missing, damaged or of another kind.
        BackendError: its backend is unknown or not installed.
        ValueError: the same of the semantic bundle; the message names the parameter.
    """
    backend, threads = parameters.backend, parameters.threads
    with ExitStack() as opened:
        segmenter = Segmenter.open(parameters.model, backend, threads, precision=parameters.precision)
        opened.callback(segmenter.close)
        semantic = None
        if parameters.semantic_model:
            try:
                semantic = SemanticSegmenter.open_beside(
                    parameters.semantic_model, backend, threads, parameters.precision
                )
            except (BundleError, BackendError) as error:
                raise ValueError(f"parameter semantic_model: {error}") from error
        opened.pop_all()
    return segmenter, semantic
