# SPDX-License-Identifier: Apache-2.0
"""Latency by stage, on the machine that runs it."""
