# SPDX-License-Identifier: Apache-2.0
"""``python -m evitsam_ros.cli``."""

import sys

from ..start import evitsam

sys.exit(evitsam())
