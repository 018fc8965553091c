# SPDX-License-Identifier: Apache-2.0
"""Post-training quantisation of a bundle's encoder to int8, with its figures on held-out images; no torch."""
