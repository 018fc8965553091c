# SPDX-License-Identifier: Apache-2.0
"""The old names of the Python API do what the new ones do, and warn."""

import warnings

import numpy as np
import pytest

from evitsam_ros.deprecation import renamed_keywords
from evitsam_ros.segment import Frame, Prompt, Segmenter, Thresholds


@pytest.fixture(scope="module")
def segmenter():
    return Segmenter.open("lite_sam", "onnxruntime")


def test_an_old_keyword_is_passed_on_under_its_new_name():
    @renamed_keywords(old="new")
    def function(first, new=0):
        """Say so."""
        return first, new

    assert function.__name__ == "function" and function.__doc__ == "Say so."
    with pytest.warns(DeprecationWarning, match=r"function\(old=…\) is deprecated; use new=…") as caught:
        assert function(1, old=2) == (1, 2)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert function(1, new=2) == function(1, 2) == (1, 2)
    with pytest.raises(TypeError, match="both 'new' and 'old'"):
        function(1, old=2, new=3)


def test_thresholds_are_known_by_their_old_names():
    new = Thresholds(
        pred_iou_thresh=0.3, stability_score_thresh=0.4, box_nms_thresh=0.5, objectness_thresh=0.6
    )
    with pytest.warns(DeprecationWarning):
        assert Thresholds(score=0.3, stability=0.4, nms=0.5, heat=0.6) == new
    with pytest.warns(DeprecationWarning):
        assert (new.score, new.stability, new.nms, new.heat, new.same) == (0.3, 0.4, 0.5, 0.6, 0.9)
    with pytest.warns(DeprecationWarning, match=r"Thresholds\.but is deprecated; use Thresholds\.replace"):
        assert new.but(score=0.1, nms=None) == new.replace(pred_iou_thresh=0.1)
    assert Thresholds.from_description({"score": 0.3, "min_region": 0.2}).pred_iou_thresh == 0.3
    with pytest.raises(AttributeError, match="no attribute 'iou'"):
        new.iou  # noqa: B018
    with pytest.raises(TypeError, match="iou"):
        Thresholds.from_description({"iou": 0.3})


def test_the_segmenters_old_keywords_work(segmenter, photograph):
    embedding, prompt = segmenter.embed(photograph), Prompt(points=[(220, 90)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        everything = segmenter.everything(embedding, max_prompts=9, extra_prompts=[prompt], refine=False)
        grid = segmenter.everything(embedding, points_per_side=3)
        proposed = segmenter.propose(embedding, max_prompts=9, objectness_thresh=0.2)
        decoded = segmenter.decode(embedding, [prompt], min_score=2.0)
    with pytest.warns(DeprecationWarning, match="top_n"):
        old = segmenter.everything(embedding, top_n=9, also=[prompt], look_again=False)
    np.testing.assert_array_equal(old.logits, everything.logits)
    with pytest.warns(DeprecationWarning, match="points_per_side"):
        np.testing.assert_array_equal(segmenter.everything(embedding, grid=3).logits, grid.logits)
    with pytest.warns(DeprecationWarning, match="objectness_thresh"):
        found = segmenter.propose(embedding, top_n=9, heat=0.2)
    assert [p.points.tolist() for p in found] == [p.points.tolist() for p in proposed]
    with pytest.warns(DeprecationWarning, match="min_score"):
        assert len(segmenter.decode(embedding, [prompt], least_score=2.0)) == len(decoded) == 0
    with pytest.warns(DeprecationWarning, match="empty_result"):
        assert len(segmenter.nothing(Frame(photograph))) == 0
    with pytest.warns(DeprecationWarning, match="exclude"):
        opened = Segmenter.open("lite_sam", avoid=frozenset({"openvino"}))
    assert "openvino failed" in opened.description
