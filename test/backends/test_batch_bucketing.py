# SPDX-License-Identifier: Apache-2.0
"""Any number of prompts in portions of few sizes gives what one call gives."""

import numpy as np
import pytest

from evitsam_ros.backends.batch_bucketing import SIZES, SPARE, buckets, in_buckets


@pytest.mark.parametrize("count", [*range(1, 70), 100, 256, 1024])
def test_portions_cover_all_rows_in_known_sizes_and_waste_little(count):
    made = list(buckets(count))
    assert sum(rows for rows, _ in made) == count
    assert all(rows <= size and size in SIZES and size - rows <= SPARE * size for rows, size in made)
    assert len(made) <= count // SIZES[-1] + len(SIZES)


@pytest.mark.parametrize("count", [1, 3, 5, 9, 41, 70])
@pytest.mark.parametrize("masks", ["one for all", "one each"])
def test_rows_are_returned_in_order(count, masks):
    """A made-up network of which every row is known: its prompt's first number, times its mask's."""
    seen = set()

    def run(inputs):
        coords, mask = inputs["point_coords"], inputs["mask_input"]
        assert inputs["image_embeddings"].shape == (1, 8) and len(mask) in (1, len(coords))
        seen.add(len(coords))
        return [coords[:, 0] * mask[:, 0], coords]

    rng = np.random.default_rng(count)
    mask = rng.random((1 if masks == "one for all" else count, 2))
    coords = rng.random((count, 3))
    product, same = in_buckets(run)(
        {"image_embeddings": np.zeros((1, 8)), "point_coords": coords, "mask_input": mask}
    )
    np.testing.assert_array_equal(same, coords)
    np.testing.assert_array_equal(product, coords[:, 0] * mask[:, 0])
    assert seen <= set(SIZES)
