# SPDX-License-Identifier: Apache-2.0
"""Run `make demo`: a camera topic in, masks out, over real ROS 2, on this CPU."""
