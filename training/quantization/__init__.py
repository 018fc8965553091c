# SPDX-License-Identifier: Apache-2.0
"""Quantise a bundle's encoder to int8 after training, with metrics on held-out images; no torch."""
