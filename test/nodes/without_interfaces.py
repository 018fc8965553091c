# SPDX-License-Identifier: Apache-2.0
"""The segmenter on a machine that has no evitsam_interfaces."""

import sys

if __name__ == "__main__":
    sys.modules["evitsam_interfaces"] = None  # as if it were not installed
    from evitsam_ros.nodes import segmenter

    sys.exit(segmenter.main())
