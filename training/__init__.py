# SPDX-License-Identifier: Apache-2.0
"""Offline training and evaluation. Run from the checkout; never installed on the robot."""
