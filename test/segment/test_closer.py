# SPDX-License-Identifier: Apache-2.0
"""Closer looks: exact coordinates, by networks that are thresholds; the shipped model; order and budget."""

import cv2
import numpy as np
import pytest

from evitsam_ros.segment import CloserLooks, Prompt, Segmenter, closer, look_closer
from evitsam_ros.segment.iou import mask_iou

from .threshold_network import discs, threshold_segmenter


def box_of(x: float, y: float, radius: float) -> Prompt:
    return Prompt.parse(box=(x - radius, y - radius, x + radius, y + radius))


@pytest.mark.parametrize("size", [(256, 256), (192, 320), (320, 192)])
@pytest.mark.parametrize("place", [(0.5, 0.5), (0.1, 0.12), (0.93, 0.9), (0.31, 0.77)])
@pytest.mark.parametrize("kind", ["box", "point"])
def test_a_small_object_is_drawn_where_it_is(size, place, kind):
    segmenter, _ = threshold_segmenter()
    x, y = place[0] * size[1], place[1] * size[0]
    image, (truth,) = discs(size, (x, y, 17))
    prompt = box_of(x, y, 17) if kind == "box" else Prompt.parse(points=[(x, y)])
    first = segmenter.decode(segmenter.embed(image), [prompt])
    found = look_closer(segmenter, image, first, CloserLooks(1))
    mask = found.full()[0]
    assert mask_iou(mask, truth) > 0.93 > mask_iou(first.full()[0], truth)
    for drawn, right in zip(np.nonzero(mask), np.nonzero(truth), strict=True):
        assert abs(drawn.mean() - right.mean()) < 0.4
    np.testing.assert_allclose(found.areas[0], truth.sum(), rtol=0.1)
    ys, xs = np.nonzero(truth)
    np.testing.assert_allclose(found.boxes[0], [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1], atol=3)
    assert list(found.timings) == ["decode", "closer"]


def test_everything_of_full_size_is_taken_from_the_windows():
    segmenter, _ = threshold_segmenter()
    places = [(60.0, 60.0, 17.0), (190.0, 180.0, 20.0)]
    image, truths = discs((256, 256), *places)
    masks = segmenter.decode(segmenter.embed(image), [box_of(*place) for place in places])
    # The first masks are of all that is bright; a window shows one disc alone.
    found = look_closer(segmenter, image, masks, CloserLooks(2))
    full = found.full()
    assert (mask_iou(full, truths) > 0.93).all()
    labels = found.label_map()
    np.testing.assert_array_equal(labels, full[0] * 1 + full[1] * 2)
    for index in range(2):
        part, (top, left) = found.crop(index)
        np.testing.assert_array_equal(
            full[index, top : top + part.shape[0], left : left + part.shape[1]], part
        )
        (outline,) = found.contours()[index]
        drawn = cv2.drawContours(np.zeros(labels.shape, np.uint8), [outline], -1, 1, cv2.FILLED)
        np.testing.assert_array_equal(drawn > 0, full[index])
        np.testing.assert_array_equal(found.select(np.array([index])).full()[0], full[index])
        # In the cells of the image it is the same object.
        rows, columns = found.transform.upsampling()
        assert mask_iou(rows @ found.logits[index] @ columns.T > 0, truths[index]) > 0.6
    assert not len(found.select(np.zeros(2, bool)))
    # One look: the other mask stays as it was.
    one = look_closer(segmenter, image, masks, CloserLooks(1))
    assert [mask is None for mask in one.closer] == [False, True]
    np.testing.assert_array_equal(one.full()[1], masks.full()[1])


def test_a_mask_of_something_else_is_dropped():
    segmenter, _ = threshold_segmenter()
    image, _ = discs((256, 256), (60.0, 60.0, 17.0))
    masks = segmenter.decode(segmenter.embed(image), [box_of(60.0, 60.0, 17.0)])
    found = look_closer(segmenter, 255 - image, masks, CloserLooks(1))
    assert set(found.closer) == {None}
    np.testing.assert_array_equal(found.full(), masks.full())
    np.testing.assert_array_equal(found.logits, masks.logits)


def test_the_smallest_objects_are_first_and_the_largest_excluded():
    segmenter, calls = threshold_segmenter()
    place = [(40.0, 40.0, 12.0), (128.0, 128.0, 100.0), (200.0, 60.0, 20.0)]
    image, _ = discs((256, 256), *place)
    boxes = [box_of(*each) for each in place]
    masks = segmenter.decode(segmenter.embed(image), boxes)
    calls.clear()
    chosen = []

    class Spy(Segmenter):
        def embed_batch(self, frames):
            chosen.extend(frame.size for frame in frames)
            return super().embed_batch(frames)

    spy = Spy(segmenter.bundle, segmenter.runtime)
    # All masks are of all that is bright: as large as each other, and in the order of the prompts then.
    look_closer(spy, image, masks, CloserLooks(5))
    assert chosen == [(64, 64), (80, 80)] and calls == [1, 1]


def test_windows_are_encoded_together_where_the_runtime_gains_by_it():
    segmenter, calls = threshold_segmenter(batch=4)
    place = [(40.0 + 40 * n, 100.0, 12.0) for n in range(5)]
    image, _ = discs((256, 256), *place)
    masks = segmenter.decode(segmenter.embed(image), [box_of(*each) for each in place])
    calls.clear()
    look_closer(segmenter, image, masks, CloserLooks(5))
    assert calls == [4, 1]


@pytest.mark.parametrize("size", [(256, 256), (200, 256)])
def test_a_window_that_is_the_image_gives_the_direct_result(size, monkeypatch, photograph):
    """With the shipped network."""
    monkeypatch.setattr(closer, "LARGEST", 1.0)
    image = np.ascontiguousarray(photograph[: size[0] * 2 : 2, : size[1] * 2 : 2])
    segmenter = Segmenter.open("lite_sam", "onnxruntime")
    height, width = size
    prompt = Prompt.parse(box=(0.2 * width, 0.1 * height, 0.8 * width, 0.9 * height))
    direct = segmenter.decode(segmenter.embed(image), [prompt])
    found = look_closer(segmenter, image, direct, CloserLooks(1))
    assert found.closer[0] is not None and found.closer[0].origin == (0, 0)
    assert direct.areas[0] > 0.05 * width * height
    np.testing.assert_array_equal(found.full(), direct.full())
    np.testing.assert_array_equal(found.areas, direct.areas)
    np.testing.assert_array_equal(found.boxes, direct.boxes)
    rows, columns = (int(cells) for cells in direct.transform.image_cells)
    np.testing.assert_allclose(found.logits[:, :rows, :columns], direct.logits[:, :rows, :columns], atol=1e-4)


def test_without_looks_masks_are_unchanged():
    segmenter, calls = threshold_segmenter()
    image, _ = discs((256, 256), (60, 60, 17))
    masks = segmenter.decode(segmenter.embed(image), [box_of(60, 60, 17)])
    calls.clear()
    assert look_closer(segmenter, image, masks, CloserLooks(0)) is masks
    late = CloserLooks(3, seconds=0.1, per_look=0.01)
    assert look_closer(segmenter, image, masks, late, spent=0.2) is masks and late.left_out == 1
    assert not calls


def test_looks_fit_into_the_latency_budget():
    looks = CloserLooks(10, seconds=1.0)
    assert looks.fitting(4, spent=0.1) == 1 and looks.left_out == 3  # nothing is known of their cost
    looks.learn(1, 0.2)
    assert looks.fitting(4, spent=0.1) == 4  # (0.9 - 0.1) / 0.2
    assert looks.fitting(9, spent=0.35) == 2 and looks.left_out == 7
    assert looks.fitting(9, spent=0.95) == 0 and looks.left_out == 9
    looks.learn(0, 0.0)
    looks.learn(2, 0.2)
    assert looks.per_look == pytest.approx(0.2 + 0.2 * (0.1 - 0.2))
    assert CloserLooks(10).fitting(12, spent=100.0) == 10
