# SPDX-License-Identifier: Apache-2.0
"""The one exception of this package."""


class FetchError(ValueError):
    """A file that cannot be downloaded, does not pass the checks, or cannot be installed."""
