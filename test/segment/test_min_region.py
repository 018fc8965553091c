# SPDX-License-Identifier: Apache-2.0
"""Small regions are removed from every answer, as the bundle or the caller says."""

from dataclasses import replace

import numpy as np

from evitsam_ros.segment import Prompt, Segmenter
from evitsam_ros.segment.small_regions import remove_small_regions

BOXES = [Prompt(box=(100, 30, 300, 400)), Prompt(box=(20, 20, 120, 500))]


def test_decoded_masks_lose_regions_below_the_share(bundle_folder, photograph):
    segmenter = Segmenter.open(bundle_folder, "onnxruntime")
    embedding = segmenter.embed(photograph)
    plain = segmenter.decode(embedding, BOXES, multimask=True)
    assert segmenter.min_region == 0.0 and "clean" not in plain.timings
    cleaned = segmenter.decode(embedding, BOXES, multimask=True, min_region=0.2)
    np.testing.assert_array_equal(cleaned.unpadded_logits, remove_small_regions(plain.unpadded_logits, 0.2))
    assert (cleaned.logits != plain.logits).any() and cleaned.timings["clean"] > 0
    segmenter.min_region = 0.2
    np.testing.assert_array_equal(segmenter.decode(embedding, BOXES, multimask=True).logits, cleaned.logits)


def test_a_bundle_defines_the_share_and_everything_mode_applies_it_last(bundle_folder, photograph):
    opened = Segmenter.open(bundle_folder, "onnxruntime")
    keep_all = {"score": 0.0, "stability": 0.0, "heat": 0.0, "nms": 0.9}
    with_share = replace(opened.bundle, thresholds={**keep_all, "min_region": 0.1})
    segmenter = Segmenter(with_share, opened.runtime)
    assert segmenter.min_region == 0.1
    embedding = segmenter.embed(photograph)
    found = segmenter.everything(embedding, max_prompts=9)
    plain = segmenter.everything(
        embedding, max_prompts=9, thresholds=segmenter.thresholds().replace(min_region=0.0)
    )
    assert len(found) == len(plain) > 0
    np.testing.assert_array_equal(found.unpadded_logits, remove_small_regions(plain.unpadded_logits, 0.1))
