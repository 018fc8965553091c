# SPDX-License-Identifier: Apache-2.0
"""``python -m evitsam_ros.cli``."""

import sys

from .program import main

sys.exit(main())
