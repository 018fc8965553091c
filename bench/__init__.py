# SPDX-License-Identifier: Apache-2.0
"""Measure the project's own figures with `make bench`: ratios with their lower bounds, taken in one run."""
