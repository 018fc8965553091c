# SPDX-License-Identifier: Apache-2.0
"""Official weights: catalogue, download, checks, installation as bundles, and bundles as one file."""
