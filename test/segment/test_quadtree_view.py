# SPDX-License-Identifier: Apache-2.0
"""Views hold their points and the whole image; masks land where they belong, nearly as the decoder's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evitsam_ros.bundle import FOVEAL_STRIDES
from evitsam_ros.segment import Masks, Prompt, Segmenter
from evitsam_ros.segment.decoder_inputs import prompt_arrays
from evitsam_ros.segment.quadtree_view import (
    RING_CELLS,
    SPLITS,
    Views,
    focus_point,
    needs_refinement,
    outlines,
)
from evitsam_ros.segment.transform import Transform

WIDE = Transform((480, 640), 640, 640, (160, 160))
SIDES = st.integers(8, 1200)


def boxed(*box: float) -> Prompt:
    x0, y0, x1, y1 = box
    return Prompt(points=[((x0 + x1) / 2, (y0 + y1) / 2)], labels=[1], box=box)


def areas_of(cells: np.ndarray, side: int) -> list[tuple[slice, slice]]:
    """Rows and columns of the embedding that numbered cells stand for, counted out level by level."""
    table = []
    for stride in FOVEAL_STRIDES:
        for row in range(side // stride):
            for column in range(side // stride):
                table.append(
                    (slice(row * stride, (row + 1) * stride), slice(column * stride, (column + 1) * stride))
                )
    return [table[cell] for cell in cells]


@pytest.mark.parametrize(
    ("size", "count"), [((480, 640), 56), ((360, 640), 51), ((640, 640), 61), ((9, 640), 35)]
)
def test_views_have_as_many_cells_as_counted_by_hand(size, count):
    """Five cells of stride 8 along the longest side, less 2 x 2 that the next level has, and so on."""
    transform = Transform(size, 640, 640, (160, 160))
    assert Views.around(np.array([[5.0, 5.0]]), transform).cells().shape == (1, count)


@settings(deadline=None)  # the machine may be busy
@given(SIDES, SIDES, st.sampled_from([14, 32, 40, 64]), st.floats(0, 1), st.floats(0, 1))
def test_views_cover_the_image_once_and_are_finest_at_the_point(height, width, side, right, down):
    transform = Transform((height, width), 16 * side, 1024, (4 * side, 4 * side))
    point = np.array([right * width, down * height])
    views = Views.around(point[None], transform)
    (cells,) = views.cells()
    seen = np.zeros((side, side), int)
    width_at = np.zeros((side, side), int)
    for area in areas_of(cells, side):
        seen[area] += 1
        width_at[area] = area[0].stop - area[0].start
    rows, columns = (-(-v // 4) for v in transform.visible_cells)
    assert seen.max() == 1 and seen[:rows, :columns].all()
    x, y = np.minimum(point / transform.pixels_per_cell / 4, (columns - 0.5, rows - 0.5)).astype(int)
    assert width_at[y, x] == 1


def disc(radius: float, x: float, y: float) -> np.ndarray:
    """Low-res logits of a disc."""
    rows, columns = np.mgrid[:160, :160] + 0.5
    return (radius - np.hypot(columns - x, rows - y)).astype(np.float32)


@settings(deadline=None)  # the machine may be busy
@given(st.lists(st.tuples(st.floats(0, 150), st.floats(0, 160), st.floats(0, 160)), min_size=1, max_size=3))
def test_views_along_outlines_show_every_place_once_and_are_alike(discs):
    views = Views.along(outlines(np.stack([disc(*one) for one in discs]), WIDE), WIDE)
    for cells in views.cells():
        assert len(cells) == 4 * 5 + 3 * SPLITS
        seen = np.zeros((40, 40), int)
        for area in areas_of(cells, 40):
            seen[area] += 1
        assert seen.max() == 1 and seen[:30].all()


def test_views_are_finest_along_outlines():
    """A disc of 24 low-res cells' radius crosses 28 cells of the embedding."""
    mask = disc(24.0, 80.0, 60.0)
    views = Views.along(outlines(mask[None], WIDE), WIDE)
    inside = (mask > 0).reshape(40, 4, 40, 4).swapaxes(1, 2).reshape(40, 40, 16)
    crossed = inside.any(2) & ~inside.all(2)
    assert crossed.sum() == 28
    assert views.closest[0][crossed[:32]].all() and views.closest[0].sum() == 4 * 28
    # In the middle nothing is to be seen, and it is looked at in large cells.
    assert not views.closest[0, 15, 20]


def test_prompts_beyond_the_foveal_decoder_have_no_view():
    assert focus_point(Prompt(box=(1, 2, 30, 40))) is None
    assert focus_point(Prompt(points=[(5, 5)], labels=[0], box=(1, 2, 30, 40))) is None
    assert focus_point(Prompt(points=[(5, 5)], mask=np.zeros((160, 160), np.float32))) is None
    prompt = Prompt(points=[(5, 5), (15, 25), (300, 300)], labels=[1, 1, 0])
    np.testing.assert_array_equal(focus_point(prompt), [10, 15])


def test_a_proposal_box_is_not_passed_to_the_decoder():
    plain, guess = Prompt(points=[(50, 60)]), Prompt(points=[(50, 60)], proposal_box=(40, 50, 70, 80))
    for one, other in zip(prompt_arrays([plain], WIDE), prompt_arrays([guess], WIDE), strict=True):
        np.testing.assert_array_equal(one, other)


def ramps(views: Views, side: int) -> np.ndarray:
    """For each cell 16 logits that say where they lie: 3 y + 5 x of their middles, in low-res logits."""
    y1, x1, y2, x2 = np.unravel_index(np.arange(16), (2, 2, 2, 2))
    rows = []
    for cells in views.cells():
        row = []
        for vertical, horizontal in areas_of(cells, side):
            stride = vertical.stop - vertical.start
            y = 4 * vertical.start + stride * (2 * y1 + y2 + 0.5)
            x = 4 * horizontal.start + stride * (2 * x1 + x2 + 0.5)
            row.append(3 * y + 5 * x)
        rows.append(np.concatenate(row))
    return np.array(rows, np.float32)


def test_masks_return_to_where_their_cells_are():
    """Bilinear interpolation keeps a plane a plane, but for borders, where there is no neighbour."""
    views = Views.around(np.array([[320.0, 240.0], [3.0, 470.0], [630.0, 100.0]]), WIDE)
    placed = views.scatter_to_image(ramps(views, 40))
    y, x = np.mgrid[:160, :160] + 0.5
    inside = np.s_[:, 8:112, 8:152]
    np.testing.assert_allclose(
        placed[inside], np.broadcast_to(3 * y + 5 * x, placed.shape)[inside], atol=1e-2
    )
    assert (placed[:, 128:] == placed[:, 127:128]).all(), "beyond the last cells the mask goes on"
    for halved, mask in zip(views.split[-2], placed, strict=True):
        near = halved.repeat(2 * 4, axis=0).repeat(2 * 4, axis=1)
        assert near.sum() == (4 * RING_CELLS) ** 2
        at = np.pad(near, [(0, 160 - side) for side in near.shape])
        np.testing.assert_array_equal(mask[at], (3 * y + 5 * x)[at].astype(np.float32))


def test_masks_along_outlines_return_to_where_their_cells_are():
    views = Views.along(outlines(np.stack([disc(20, 70, 50), disc(50, 60, 60)]), WIDE), WIDE)
    placed = views.scatter_to_image(ramps(views, 40))
    y, x = np.mgrid[:160, :160] + 0.5
    inside = np.s_[:, 8:112, 8:152]  # large cells at the border have no neighbours beyond
    expected = np.broadcast_to(3 * y + 5 * x, placed.shape)
    np.testing.assert_allclose(placed[inside], expected[inside], atol=1e-2)
    for closest, mask in zip(views.closest, placed, strict=True):
        at = np.pad(closest.repeat(4, axis=0).repeat(4, axis=1), ((0, 32), (0, 0)))
        np.testing.assert_array_equal(mask[at], (3 * y + 5 * x)[at].astype(np.float32))


def test_a_small_mask_at_its_point_was_seen_well_and_a_large_one_was_not():
    points = np.array([[328.0, 248.0], [328.0, 248.0], [100.0, 248.0]])
    masks = np.stack([disc(4, 82, 62), disc(40, 82, 62), disc(4, 82, 62)])
    assert needs_refinement(points, outlines(masks, WIDE), WIDE).tolist() == [False, True, True]


def test_some_of_the_views_are_those_of_some_of_the_points():
    points = np.random.default_rng(0).uniform((0, 0), (640, 480), (9, 2))
    some = np.array([4, 4, 1])
    np.testing.assert_array_equal(
        Views.around(points, WIDE)[some].cells(), Views.around(points[some], WIDE).cells()
    )


@pytest.mark.parametrize("multimask", [False, True])
def test_only_low_scores_are_dropped(photograph, multimask):
    segmenter = Segmenter.open("lite_sam")
    embedding = segmenter.embed(photograph)
    prompts = [boxed(180, 20, 280, 160), Prompt(points=[(220, 90)]), boxed(385, 250, 445, 330)]
    prompts += segmenter.propose(embedding, 32)
    everything = segmenter.decode(embedding, prompts, multimask, foveal=True)
    least = float(np.median(everything.scores))
    good = segmenter.decode(embedding, prompts, multimask, foveal=True, min_score=least)
    expected = everything.select(everything.scores >= least)
    assert len(everything) == len(prompts) * (3 if multimask else 1) > len(good) > 0
    np.testing.assert_array_equal(good.logits, expected.logits)
    np.testing.assert_array_equal(good.scores, expected.scores)
    np.testing.assert_array_equal(good.object_ids, expected.object_ids)
    assert [id(p) for p in good.prompts] == [id(p) for p in expected.prompts]


def agreement(a: Masks, b: Masks) -> np.ndarray:
    a, b = a.unpadded_logits > 0, b.unpadded_logits > 0
    return (a & b).sum((1, 2)) / (a | b).sum((1, 2))


def test_masks_are_roughly_the_decoders(photograph):
    """An approximation, whose price in recall is in the README; what it cannot take is the decoder's."""
    segmenter = Segmenter.open("lite_sam")
    embedding = segmenter.embed(photograph)
    prompts = [
        boxed(180, 20, 280, 160),  # the face
        boxed(385, 250, 445, 330),  # in the model of the orbiter
        Prompt(points=[(220, 90)]),
        Prompt(box=(180, 20, 280, 160)),
    ]
    complete = segmenter.decode(embedding, prompts, multimask=True)
    near = segmenter.decode(embedding, prompts, multimask=True, foveal=True)
    # Alone or with others: the products round differently.
    np.testing.assert_allclose(near.logits[9:], complete.logits[9:], atol=1e-3)
    iou = agreement(near, complete)[:9]
    assert not (near.logits[:9] == complete.logits[:9]).all()
    assert iou.min() > 0.4 and iou.mean() > 0.75, iou  # a lone click is ambiguous
    np.testing.assert_allclose(near.scores, complete.scores, atol=0.1)


def test_refinement_agrees_with_the_decoder(photograph):
    segmenter = Segmenter.open("lite_sam")
    embedding = segmenter.embed(photograph)
    once = segmenter.everything(embedding, 64, refine=False)
    twice = segmenter.everything(embedding, 64)
    np.testing.assert_array_equal(once.scores, twice.scores)
    complete = segmenter.decode(embedding, twice.prompts, multimask=True)
    complete = complete.select(3 * np.arange(len(twice)) + twice.mask_indices)
    before, after = agreement(once, complete), agreement(twice, complete)
    assert after.mean() > before.mean() + 0.02, (before, after)
    again = (once.logits != twice.logits).any((1, 2))
    points = np.stack([focus_point(prompt) for prompt in once.prompts])
    coarse = needs_refinement(points, outlines(once.logits, once.transform), once.transform)
    assert again.any() and not (again & ~coarse).any()


def test_refinement_accepts_prompts_of_every_kind(photograph):
    """As with tracking, where known objects are asked for by points and boxes beside the proposals."""
    segmenter = Segmenter.open("lite_sam")
    loose = segmenter.thresholds().replace(
        pred_iou_thresh=0.0, stability_score_thresh=0.0, box_nms_thresh=1.0, proposal_nms_thresh=1.0
    )
    also = [
        Prompt(points=[(220, 90), (230, 120)]),
        boxed(180, 20, 280, 160),
        Prompt(box=(180, 20, 280, 160)),
        Prompt(points=[(220, 90)], mask=disc(20.0, 70.0, 28.0)),
    ]
    found = segmenter.everything(photograph, 24, loose, extra_prompts=also)
    once = segmenter.everything(photograph, 24, loose, extra_prompts=also, refine=False)
    assert {id(prompt) for prompt in found.prompts} >= {id(prompt) for prompt in also}
    changed = (found.logits != once.logits).any((1, 2))
    assert changed.any() and (agreement(found, once)[changed] >= 0.45).all()
    for prompt in also[2:]:  # the decoder itself drew these
        assert not changed[[i for i, other in enumerate(found.prompts) if other is prompt]].any()


@pytest.mark.parametrize("seed", range(12))
def test_masks_of_the_full_image_reach_its_borders(seed):
    """Images of any size: where all cells are inside, so is every pixel, whichever cell the image ends in."""
    rng = np.random.default_rng(seed)
    sizes = [(1024, 1280), (512, 640), (480, 800)] if seed == 0 else rng.integers(40, 1400, (4, 2)).tolist()
    for height, width in sizes:
        transform = Transform((height, width), 640, 640, (160, 160))
        points = rng.uniform(0, (width, height), (3, 2))
        views = Views.around(points, transform)
        logits = views.scatter_to_image(np.ones((3, 16 * views.cells().shape[1]), np.float32))
        masks = Masks(logits, np.ones(3, np.float32), np.arange(3) + 1, transform)
        assert masks.full().all(), (height, width)
