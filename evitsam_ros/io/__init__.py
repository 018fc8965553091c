# SPDX-License-Identifier: Apache-2.0
"""Readers and writers of images: messages, files, folders, videos, cameras and bags. No ROS."""
