# SPDX-License-Identifier: Apache-2.0
"""Implement ``evitsam segment | bag | label | models | export | build | bench | profile …``."""

from .program import build_parser, main

__all__ = ["build_parser", "main"]
