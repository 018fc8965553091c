# SPDX-License-Identifier: Apache-2.0
"""`make bench`: the project's own figures, each with its floor, as ratios that were measured in one run."""
