# SPDX-License-Identifier: Apache-2.0
"""The package ``evitsam_interfaces``, which is optional."""

from __future__ import annotations

from importlib.util import find_spec

#: Whether its services and messages can be used.
HAS_INTERFACES = find_spec("evitsam_interfaces") is not None
#: Features that are off without it.
WHAT_IS_OFF = (
    "evitsam_interfaces is not installed: ~/segment, ~/add_objects, ~/remove_objects and ~/instances are off "
    "(build interfaces/evitsam_interfaces of this repository with colcon)"
)
