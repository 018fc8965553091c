# SPDX-License-Identifier: Apache-2.0
"""The field's protocols, each in a file of its own; ``python -m training.evaluate`` runs them."""
