# SPDX-License-Identifier: Apache-2.0
"""A page to watch and prompt a segmenter from a browser: the server and the page, without ROS."""
