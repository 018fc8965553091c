# SPDX-License-Identifier: Apache-2.0
"""Write the pages of docs/reference/ from the code: ``./env.sh python -m tools.docs``."""
