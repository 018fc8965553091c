# SPDX-License-Identifier: Apache-2.0
"""Measure the cost of ROS beside the inference."""
