# SPDX-License-Identifier: Apache-2.0
"""Measure which backend and precision draws the same masks fastest on this CPU.

``python -m evitsam_ros.autotune MODEL`` works beside a running node, in at most five seconds of one thread.
"""
