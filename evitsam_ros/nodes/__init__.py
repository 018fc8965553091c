# SPDX-License-Identifier: Apache-2.0
"""Everything that knows ROS: topics, QoS, parameters, lifecycle, messages to and from dataclasses."""
