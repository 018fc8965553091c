# SPDX-License-Identifier: Apache-2.0
"""Encode depth as image_transport's compressedDepth plugin does, by its documented rules."""

from __future__ import annotations

import struct

import cv2
import numpy as np


def rvl(values: np.ndarray) -> bytes:
    """Encode ``(H, W)`` uint16 values number by number, as in the paper."""
    groups: list[int] = []

    def put(number: int) -> None:
        while True:
            group, number = number & 7, number >> 3
            groups.append(group | (8 if number else 0))
            if not number:
                return

    flat, place, previous = values.ravel().astype(int).tolist(), 0, 0
    while place < len(flat):
        zeros = next((i for i, v in enumerate(flat[place:]) if v), len(flat) - place)
        place += zeros
        count = next((i for i, v in enumerate(flat[place:]) if not v), len(flat) - place)
        put(zeros)
        put(count)
        for value in flat[place : place + count]:
            step = value - previous
            put(2 * step if step >= 0 else -2 * step - 1)
            previous = value
        place += count
    groups += [0] * (-len(groups) % 8)
    words = [int("".join(f"{g:x}" for g in groups[i : i + 8]), 16) for i in range(0, len(groups), 8)]
    return struct.pack("<II", values.shape[1], values.shape[0]) + struct.pack(f"<{len(words)}I", *words)


def png(values: np.ndarray) -> bytes:
    return cv2.imencode(".png", values)[1].tobytes()


def with_header(values: np.ndarray, codec: str, a: float = 0.0, b: float = 0.0) -> bytes:
    return struct.pack("<iff", 0, a, b) + (rvl(values) if codec == "rvl" else png(values))
