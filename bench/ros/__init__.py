# SPDX-License-Identifier: Apache-2.0
"""What ROS adds: a camera's image is published, its mask is received, and next to nothing is inferred."""
