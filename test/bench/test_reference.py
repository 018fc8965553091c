# SPDX-License-Identifier: Apache-2.0
"""Test that the reference and our path give the same mask: the comparison is of equal results."""

import numpy as np

from bench.reference import Reference
from evitsam_ros.segment import Prompt, Segmenter

from ..conftest import ROOT


def test_reference_and_ours_give_the_same_mask(photograph):
    bundle = ROOT / "engines" / "lite_sam"
    image = np.ascontiguousarray(photograph[:360])
    box = (95.0, 0.0, 330.0, 350.0)
    segmenter = Segmenter.open(bundle, "onnxruntime")
    ours = segmenter.decode(segmenter.embed(image), [Prompt(box=box)]).full()[0]
    theirs = Reference("lite_sam", bundle / "model.safetensors").mask(image, box)
    assert theirs.shape == ours.shape == (360, 512) and 0.05 < ours.mean() < 0.6
    assert (ours & theirs).sum() / (ours | theirs).sum() > 0.97
