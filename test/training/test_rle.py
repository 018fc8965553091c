# SPDX-License-Identifier: Apache-2.0
"""Compressed RLE against a plain decoder and pycocotools."""

import re

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as codec

from training import rle
from training.rle import Fault, find_faults, from_runs, runs_of


def plain_runs(counts: bytes) -> list[int] | None:
    """The runs by the definition, one character after the other; None if the last number is cut off."""
    runs: list[int] = []
    value = shift = 0
    for character in counts:
        bits = character - 48
        if not 0 <= bits < 64:
            return None
        value |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                value -= 1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return None if shift or not runs else runs


def random_masks(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    sizes = rng.integers(1, 50, (count, 2))
    return [(rng.random(size) < rng.random() ** 3).astype(np.uint8) for size in sizes]


def test_rles_of_pycocotools_are_valid_and_their_runs_are_the_mask(monkeypatch):
    masks = random_masks(300)
    strings = [codec.encode(np.asfortranarray(mask))["counts"] for mask in masks]
    for chunk in (2**17, 50):
        monkeypatch.setattr(rle, "CHUNK", chunk)
        assert not find_faults(strings, [mask.size for mask in masks]).any()
    for mask, string in zip(masks, strings, strict=True):
        runs = runs_of(string)
        assert runs == plain_runs(string)
        flat = np.repeat(np.arange(len(runs)) % 2, runs)
        np.testing.assert_array_equal(flat.reshape(mask.shape, order="F"), mask)


def test_a_mask_of_many_pixels_has_long_numbers():
    mask = np.zeros((8000, 8000), np.uint8, order="F")
    mask[:, 1:-1] = 1
    string = codec.encode(mask)["counts"]
    assert find_faults([string], [mask.size]).tolist() == [Fault.NONE]
    assert find_faults([string], [mask.size + 1]).tolist() == [Fault.MISFIT]


COUNTS = st.binary(max_size=12) | st.text("0123P`o", max_size=12).map(str.encode)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(st.lists(st.tuples(COUNTS, st.integers(1, 99)), max_size=6))
def test_faults_are_those_of_a_plain_decoder(drawn):
    strings, pixels = [s for s, _ in drawn], [p for _, p in drawn]
    for string, size, fault in zip(strings, pixels, find_faults(strings, pixels), strict=True):
        runs = plain_runs(string)
        if runs is None or re.search(rb"[P-o]{6}", string):  # a number of more than six characters
            expected = Fault.DAMAGED
        elif min(runs) < 0 or sum(runs) != size:
            expected = Fault.MISFIT
        else:
            expected = Fault.LOOSE if 0 in runs[1:] else Fault.NONE
        assert fault == expected
        if fault in (Fault.NONE, Fault.LOOSE):
            assert runs_of(string) == runs
            found = codec.decode(from_runs(runs, 1, size))
            np.testing.assert_array_equal(found[0], np.repeat(np.arange(len(runs)) % 2, runs))


def test_a_string_of_endless_runs_is_damaged(monkeypatch):
    monkeypatch.setattr(rle, "MAX_LENGTH", 50)
    strings = [b"8" + b"0" * count for count in (48, 49, 50)]
    assert find_faults(strings, [8] * 3).tolist() == [Fault.LOOSE, Fault.LOOSE, Fault.DAMAGED]


def test_runs_of_no_pixel_are_joined_as_pycocotools_writes_masks():
    for runs in ([0, 0, 5, 0, 3, 0], [0, 4, 0, 0, 0, 4], [8], [0, 8], [0, 0, 0, 8], [2, 0, 0, 0, 6]):
        flat = np.repeat(np.arange(len(runs)) % 2, runs).astype(np.uint8)
        assert from_runs(runs, 4, 2) == codec.encode(np.asfortranarray(flat.reshape((4, 2), order="F")))
