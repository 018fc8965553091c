# SPDX-License-Identifier: Apache-2.0
"""Compressed depth against encoders that follow the plugin's documented rules."""

import struct
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from evitsam_ros.geometry3d import DepthError, compressed_metres

from .depth_encoders import png, with_header

DEPTH_MAX, QUANTISATION = 10.0, 100.0


def scene(rng: np.random.Generator, holes: float = 0.1) -> np.ndarray:
    """Metres ``(H, W)`` with holes, of a random size; smooth, so that differences are small and large."""
    height, width = rng.integers(1, 90, 2).tolist()
    depths = (
        2
        + np.sin(np.arange(width) / 9)
        + rng.normal(0, 0.02, (height, width))
        + np.arange(height)[:, None] / 60
    )
    depths[rng.random((height, width)) < holes] = np.nan
    depths[: height // 3] = np.nan if rng.random() < 0.5 else 4.0
    return depths.astype(np.float32)


def message(data: bytes, form: str) -> SimpleNamespace:
    return SimpleNamespace(data=data, format=form)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("codec", ["png", "rvl"])
def test_millimetres_are_decoded_exactly(codec, seed):
    depths = scene(np.random.default_rng(seed), holes=(0.0, 0.1, 0.9, 1.0)[seed % 4])
    stored = np.nan_to_num(depths * 1000).astype(np.uint16)
    expected = np.where(stored > 0, stored / 1000, np.nan)
    for encoding in ("16UC1", "mono16"):
        made = message(with_header(stored, codec), f"{encoding}; compressedDepth {codec}")
        np.testing.assert_allclose(compressed_metres(made), expected, rtol=1e-6)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("codec", ["png", "rvl"])
def test_metres_are_decoded_within_the_quantisation(codec, seed):
    depths = scene(np.random.default_rng(100 + seed))
    a = QUANTISATION * (QUANTISATION + 1)
    b = 1 - a / DEPTH_MAX
    with np.errstate(invalid="ignore"):
        stored = np.where(depths < DEPTH_MAX, a / depths + b, 0).astype(np.uint16)
    made = message(with_header(stored, codec, a, b), f"32FC1; compressedDepth {codec}")
    found = compressed_metres(made)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(depths))
    # One step of the stored inverse.
    np.testing.assert_allclose(found, depths, rtol=DEPTH_MAX / a)


def test_formats_of_older_plugins_and_other_transports():
    depths = scene(np.random.default_rng(5))
    stored = np.nan_to_num(depths * 1000).astype(np.uint16)
    expected = np.where(stored > 0, stored / 1000, np.nan)
    for form in ("16UC1", "16UC1; compressedDepth"):
        found = compressed_metres(message(with_header(stored, "png"), form))
        np.testing.assert_allclose(found, expected, rtol=1e-6)
    found = compressed_metres(message(png(stored), "16UC1; png compressed "))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    tiff = cv2.imencode(".tiff", depths)[1].tobytes()
    np.testing.assert_array_equal(compressed_metres(message(tiff, "32FC1; tiff compressed ")), depths)


GOOD = np.full((20, 30), 1500, np.uint16)


@pytest.mark.parametrize(
    ("data", "form", "text"),
    [
        (with_header(GOOD, "png")[:12], "16UC1; compressedDepth png", "is cut off"),
        (with_header(GOOD, "png")[:-30], "16UC1; compressedDepth png", "is cut off"),
        (with_header(GOOD, "rvl")[:-8], "16UC1; compressedDepth rvl", "is cut off|pixels that it claims"),
        (with_header(GOOD, "rvl")[:15], "16UC1; compressedDepth rvl", "is cut off"),
        (
            with_header(GOOD, "rvl").replace(struct.pack("<II", 30, 20), struct.pack("<II", 30, 19)),
            "16UC1; compressedDepth rvl",
            "does not have the 570 pixels that it claims",
        ),
        (
            struct.pack("<iff", 0, 0, 0) + struct.pack("<II", 65536, 65536) + bytes(64),
            "16UC1; compressedDepth rvl",
            "image is 65536x65536",
        ),
        (
            struct.pack("<iff", 0, 0, 0) + struct.pack("<II", 30, 20) + b"\xff" * 64,
            "16UC1; compressedDepth rvl",
            "a number that no image has|is cut off",
        ),
        (
            struct.pack("<iff", 0, 0, 0) + struct.pack("<II", 30, 20) + bytes(64),
            "16UC1; compressedDepth rvl",
            "does not have the 600 pixels",
        ),
        (with_header(GOOD.astype(np.uint8), "png"), "16UC1; compressedDepth png", "uint8 .*expected 16 bits"),
        (
            with_header(GOOD, "png"),
            "rgb8; compressedDepth png",
            "no encoding of depths; expected one of 32FC1",
        ),
        (with_header(GOOD, "png", np.nan, 1), "32FC1; compressedDepth png", "quantisation parameters nan"),
        (
            cv2.imencode(".jpg", GOOD.astype(np.uint8))[1].tobytes(),
            "16UC1; jpeg compressed mono8",
            "JPEG cannot",
        ),
        (b"", "16UC1; compressedDepth png", "is cut off"),
    ],
)
def test_data_without_depth_are_rejected(data, form, text):
    with pytest.raises(
        DepthError, match=f"compressed depth of {len(data)} bytes, format '{form}', .*({text})"
    ):
        compressed_metres(message(data, form))


def test_noise_is_rejected_or_decoded():
    rng = np.random.default_rng(8)
    stored, seen = np.nan_to_num(scene(rng) * 1000).astype(np.uint16), {True: 0, False: 0}
    for codec in ("png", "rvl"):
        sound = with_header(stored, codec)
        for _ in range(300):
            data = bytearray(sound)
            for place in rng.integers(0, len(data), int(rng.integers(1, 4))):
                data[place] = int(rng.integers(256))
            try:
                compressed_metres(message(bytes(data), f"16UC1; compressedDepth {codec}"))
            except DepthError:
                seen[False] += 1
            else:
                seen[True] += 1
    assert min(seen.values()) > 5
