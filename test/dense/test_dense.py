# SPDX-License-Identifier: Apache-2.0
"""Exported networks on every runtime of a CPU give what the torch network gives."""

import cv2
import numpy as np
import pytest
import torch

from evitsam_ros.dense import SemanticSegmenter, Upscaler
from evitsam_ros.dense.fit import Fit
from evitsam_ros.segment import Masks
from evitsam_ros.segment.transform import Transform

from .conftest import SEMANTIC_SIZE, TILE, exported, lively_network

NAME = "efficientvit_seg_b0_camvid"


@pytest.fixture(scope="module")
def street(photograph):
    """``(90, 150, 3)`` uint8 RGB: another aspect ratio than the network's input."""
    return np.ascontiguousarray(cv2.resize(photograph, (150, 90), interpolation=cv2.INTER_AREA))


@torch.no_grad()
def expected_logits(image) -> np.ndarray:
    fit = Fit.of(image.shape[:2], SEMANTIC_SIZE, 8)
    network = lively_network(NAME, SEMANTIC_SIZE)
    mean, std = network.spec.mean, network.spec.std
    logits = network(torch.from_numpy(fit.network_input(image, mean, std)))[0].numpy()
    return logits[:, : fit.content[0] // 8, : fit.content[1] // 8]


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino", "torch"])
def test_logits_are_those_of_the_network(semantic_folder, street, backend):
    expected = expected_logits(street)
    found = SemanticSegmenter.open(semantic_folder, backend, threads=1).logits(street)
    assert found.shape == expected.shape
    assert np.abs(found - expected).mean() < 1e-4 * expected.std()


def test_fp16_storage_keeps_the_classes(tmp_path, semantic_folder, street):
    half = exported(tmp_path, NAME, SEMANTIC_SIZE, storage="fp16", with_weights=True)
    maps = [
        SemanticSegmenter.open(folder, "onnxruntime", threads=1).segment(street).labels
        for folder in (half, semantic_folder)
    ]
    assert (maps[0] == maps[1]).mean() > 0.98
    sizes = [(folder / "network.onnx").stat().st_size for folder in (half, semantic_folder)]
    total = [sum(file.stat().st_size for file in folder.iterdir()) for folder in (half, semantic_folder)]
    assert sizes[0] and total[0] < 0.6 * total[1]


def test_label_map_has_the_requested_size(semantic_folder, street):
    segmenter = SemanticSegmenter.open(semantic_folder, "onnxruntime", threads=1)
    found = segmenter.segment(street, with_confidence=True)
    assert found.labels.shape == found.confidence.shape == street.shape[:2]
    assert found.labels.min() >= 1 and found.labels.max() <= 11
    assert sum(found.shares().values()) == pytest.approx(1)
    coarse = segmenter.segment(street, full_size=False)
    np.testing.assert_array_equal(coarse.labels, segmenter.logits(street).argmax(0) + 1)
    assert coarse.confidence is None


def test_classes_that_are_not_kept_and_pixels_of_low_confidence_are_void(semantic_folder, street):
    segmenter = SemanticSegmenter.open(semantic_folder, "onnxruntime", threads=1)
    complete = segmenter.segment(street, with_confidence=True)
    first = next(iter(complete.shares()))
    only = segmenter.segment(street, only=[first])
    number = complete.classes.names.index(first) + 1
    np.testing.assert_array_equal(only.labels, np.where(complete.labels == number, number, 0))
    threshold = float(np.median(complete.confidence))
    sure = segmenter.segment(street, score_threshold=threshold)
    np.testing.assert_array_equal(sure.labels == 0, complete.confidence < threshold)
    assert not segmenter.segment(street, only=[]).labels.any()
    with pytest.raises(ValueError, match=r"class 'moon' is unknown.*sky"):
        segmenter.segment(street, only=["moon"])
    each = [segmenter.segment(street, confidence_of=name).class_confidence for name in complete.classes.names]
    np.testing.assert_allclose(sum(each), 1, rtol=1e-4)
    np.testing.assert_allclose(np.max(each, axis=0), complete.confidence, rtol=1e-4)


def test_overlay_has_the_colours_of_the_classes(semantic_folder, street):
    found = SemanticSegmenter.open(semantic_folder, "onnxruntime", threads=1).segment(street)
    drawn = found.overlay(street, alpha=1.0)
    np.testing.assert_array_equal(drawn, found.classes.palette[found.labels])


@pytest.mark.parametrize("shape", [(10, 10), (10, 10, 4), (0, 10, 3)])
def test_images_of_another_shape_are_rejected(semantic_folder, upscale_folder, shape):
    image = np.zeros(shape, np.uint8)
    with pytest.raises(ValueError, match=r"expected \(H, W, 3\) uint8"):
        SemanticSegmenter.open(semantic_folder, "onnxruntime").segment(image)
    with pytest.raises(ValueError, match=r"expected \(H, W, 3\) uint8"):
        Upscaler.open(upscale_folder, "onnxruntime").upscale(image)


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
@torch.no_grad()
def test_a_tile_equals_the_networks_output(upscale_folder, street, backend):
    tile = np.ascontiguousarray(street[: TILE[0], : TILE[1]])
    found = Upscaler.open(upscale_folder, backend, threads=1).upscale(tile)
    image = torch.from_numpy(tile.transpose(2, 0, 1)[None].astype(np.float32) / 255)
    large = lively_network("efficientvit_sr_tiny", TILE)(image)[0].numpy().transpose(1, 2, 0)
    expected = np.clip(np.rint(large * 255), 0, 255).astype(int)
    assert found.shape == (2 * TILE[0], 2 * TILE[1], 3)
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_images_of_any_size_are_upscaled_in_tiles(upscale_folder, street):
    upscaler = Upscaler.open(upscale_folder, "onnxruntime", threads=1)
    for height, width in ((90, 150), (7, 5), (48, 41)):
        large = upscaler.upscale(np.ascontiguousarray(street[:height, :width]))
        assert large.shape == (2 * height, 2 * width, 3)
    # A part of the image that one tile alone answers for.
    complete, tile = (
        upscaler.upscale(street),
        upscaler.upscale(np.ascontiguousarray(street[: TILE[0], : TILE[1]])),
    )
    kept = slice(0, 2 * (TILE[1] - 8 - 16))
    np.testing.assert_array_equal(complete[kept, kept], tile[kept, kept])


def test_the_torch_backend_requires_weights(upscale_folder):
    with pytest.raises(ValueError, match=r"model\.safetensors.*--with-weights"):
        Upscaler.open(upscale_folder, "torch")


@pytest.mark.parametrize("size", [(90, 150), (64, 64), (101, 37)])
def test_masks_get_their_majority_class(semantic_folder, photograph, size):
    """Against a plain count of full-size pixels; a mask whose two best classes are near is left out."""
    image = np.ascontiguousarray(cv2.resize(photograph, size[::-1], interpolation=cv2.INTER_AREA))
    segmenter = SemanticSegmenter.open(semantic_folder, "onnxruntime", threads=1)
    logits = np.random.default_rng(3).normal(0, 1, (12, 8, 8)).astype(np.float32)
    logits = np.stack([cv2.resize(each, (64, 64), interpolation=cv2.INTER_CUBIC) for each in logits])
    ids = np.arange(5, 17)
    masks = Masks(logits, np.ones(12, np.float32), ids, Transform(size, 64, 64, (64, 64)))
    labels, found, compared = segmenter.segment(image).labels, segmenter.classify(image, masks), 0
    for identity, mask in zip(ids.tolist(), masks.full(), strict=True):
        counts = np.bincount(labels[mask], minlength=12)
        best, second = np.sort(counts)[[-1, -2]]
        if best > second + 0.1 * counts.sum():
            assert found.names[identity] == found_name(segmenter, counts.argmax())
            assert found.shares[identity] == pytest.approx(best / counts.sum(), abs=0.05)
            compared += 1
    assert compared > 3 and {"preprocess", "network", "classify"} <= set(found.timings)
    with pytest.raises(ValueError, match="that of the masks"):
        segmenter.classify(image[:-1], masks)


def found_name(segmenter, label: int) -> str:
    return segmenter.bundle.classes.names[label - 1]
