# SPDX-License-Identifier: Apache-2.0
"""Implement the published protocols, one per file; ``python -m training.evaluate`` runs them."""
