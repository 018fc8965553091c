# SPDX-License-Identifier: Apache-2.0
"""Support deprecated names of the Python API: they work for one release and warn."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import Any, TypeVar, cast

Function = TypeVar("Function", bound=Callable[..., Any])


def warn_renamed(old: str, new: str, stacklevel: int = 3) -> None:
    """Warn that ``old`` is now called ``new``."""
    warnings.warn(f"{old} is deprecated; use {new}", DeprecationWarning, stacklevel=stacklevel)


def renamed_keywords(**names: str) -> Callable[[Function], Function]:
    """Make a decorator that accepts old keywords of a function, with a warning.

    Args:
        names: the new keyword by its old one.

    Raises:
        TypeError: (the function) both are given.
    """

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def call(*args: Any, **given: Any) -> Any:
            for old in names.keys() & given.keys():
                if names[old] in given:
                    raise TypeError(f"{function.__qualname__}() got both {names[old]!r} and {old!r}")
                warn_renamed(f"{function.__qualname__}({old}=…)", f"{names[old]}=…")
                given[names[old]] = given.pop(old)
            return function(*args, **given)

        return cast("Function", call)

    return decorate
