# SPDX-License-Identifier: Apache-2.0
"""Engines of semantic and upscale bundles: built for a named target, proved by mean IoU and PSNR."""

import json

import cv2
import numpy as np
import pytest

from evitsam_ros.autotune.dense_proof import class_ious
from evitsam_ros.backends import FunctionNetwork, Runtime, open_runtime
from evitsam_ros.backends.tensorrt.engine_cache import EngineCache
from evitsam_ros.bundle import DENSE_NETWORK
from evitsam_ros.cli import main
from evitsam_ros.dense import SemanticSegmenter, open_semantic, open_upscale
from evitsam_ros.tensorrt.dense_validation import feeds_for, prove
from evitsam_ros.tensorrt.profiles import profiles_for

from ..dense.conftest import SEMANTIC_SIZE, TILE, exported
from ..nodes.colour_classes import write_colour_classes


@pytest.fixture(scope="module")
def upscale_folder(tmp_path_factory):
    return exported(tmp_path_factory.mktemp("upscale"), "efficientvit_sr_tiny", TILE)


@pytest.fixture(scope="module")
def semantic_folder(tmp_path_factory):
    return exported(tmp_path_factory.mktemp("semantic"), "efficientvit_seg_b0_camvid", SEMANTIC_SIZE)


@pytest.fixture(scope="module")
def colours(tmp_path_factory):
    return write_colour_classes(tmp_path_factory.mktemp("engines") / "colours")


@pytest.fixture(scope="module")
def street(photograph):
    return np.ascontiguousarray(cv2.resize(photograph, (72, 54), interpolation=cv2.INTER_AREA))


def altered(bundle, change) -> Runtime:
    """The bundle's runtime with its output changed."""
    network = open_runtime(bundle, "onnxruntime").networks[DENSE_NETWORK]
    changed = FunctionNetwork(lambda inputs: [change(np.asarray(network(inputs)[0]))])
    return Runtime({DENSE_NETWORK: changed}, "altered")


@pytest.fixture(scope="module")
def file(tmp_path_factory, street):
    path = tmp_path_factory.mktemp("images") / "street.png"
    cv2.imwrite(str(path), street)
    return str(path)


@pytest.mark.parametrize("kind", ["semantic", pytest.param("upscale", marks=pytest.mark.slow)])
def test_one_command_builds_proves_and_keeps_the_engine(rtx, cache_home, kind, request, file, capsys):
    """The semantic network has linear attention: its sums leave the range of half precision first."""
    folder = request.getfixturevalue(f"{kind}_folder")
    arguments = ["build", "--model", str(folder), "--target", "sm86", "--tensorrt", "tensorrt_rtx"]
    assert main([*arguments, "--images", file]) == 0
    printed = capsys.readouterr().out
    assert "Built, not run" in printed and {"semantic": "mean IoU 0.9", "upscale": "PSNR"}[kind] in printed
    (entry,) = EngineCache().entries()
    assert entry.key["network"] == DENSE_NETWORK and not entry.problem
    assert entry.report["proof"]["value"] >= entry.report["proof"]["min_value"]
    assert entry.report["proof"]["ran"] is False
    assert main([*arguments, "--dry-run"]) == 0
    assert "is in the cache" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["semantic", "upscale"])
def test_verify_compares_a_backend_with_float32(kind, request, file, tmp_path, capsys):
    folder, record = request.getfixturevalue(f"{kind}_folder"), tmp_path / "proof.json"
    command = ["verify", "--model", str(folder), "--backend", "openvino", "--images", file]
    assert main([*command, "--json", str(record)]) == 0
    proof = json.loads(record.read_text())
    assert proof["images"] == 1 and proof["networks"]["network"]["cosine"] > 0.999
    assert proof["value"] >= proof["min_value"]


def test_mean_iou_is_that_of_a_plain_count(colours, street):
    """The candidate takes grass for water: grass has no pixel right, water has those that it had."""
    bundle = open_semantic(colours)
    swapped = altered(bundle, lambda logits: np.stack([logits[:, 0], logits[:, 1] * 0 - 9, logits[:, 2]], 1))
    right, found = SemanticSegmenter.open(colours, "onnxruntime"), SemanticSegmenter(bundle, swapped)
    a, b = right.segment(street).labels, found.segment(street).labels
    expected = []
    for label in (1, 2, 3):
        union = ((a == label) | (b == label)).sum()
        if union >= 0.001 * a.size:
            expected.append(((a == label) & (b == label)).sum() / union)
    assert class_ious(right, found, [street]) == pytest.approx(expected)
    assert 0 < np.mean(expected) < 1
    proof = prove(bundle, swapped, [street], "fp16", ran=False)
    assert proof.value == pytest.approx(np.mean(expected))
    assert proof.problem() == f"mean IoU is {proof.value:.4f}; fp16 needs 0.97"


def test_psnr_is_that_of_the_noise(upscale_folder, street):
    bundle = open_upscale(upscale_folder)
    brighter = altered(bundle, lambda image: image * 0 + 0.5)
    same = prove(bundle, open_runtime(bundle, "onnxruntime"), [street], "fp32", ran=True)
    assert not same.problem() and same.value == 100
    proof = prove(bundle, brighter, [street], "fp16", ran=True)
    assert proof.value < 25 and "PSNR is" in proof.problem()


def test_values_that_are_not_finite_are_named(colours, street):
    bundle = open_semantic(colours)
    proof = prove(bundle, altered(bundle, lambda logits: logits * np.nan), [street], "fp16", ran=True)
    assert "the network gives 288 values that are not finite" in proof.problem()


def test_shapes_are_those_of_the_bundle(semantic_folder, upscale_folder, street):
    for bundle, size in (
        (open_semantic(semantic_folder), SEMANTIC_SIZE),
        (open_upscale(upscale_folder), TILE),
    ):
        (profile,) = profiles_for(bundle, DENSE_NETWORK, ((1, 16),), batch=2)
        assert profile == {"image": ((1, 3, *size), (1, 3, *size), (2, 3, *size))}
        feeds = feeds_for(bundle, {}, [street])[DENSE_NETWORK]
        assert 1 <= len(feeds) <= 6 and {feed["image"].shape for feed in feeds} == {(1, 3, *size)}


def test_torch2trt_is_for_promptable_bundles(semantic_folder, capsys):
    command = ["build", "--model", str(semantic_folder), "--via", "torch2trt", "--target", "sm86"]
    assert main([*command, "--tensorrt", "tensorrt_rtx"]) == 1
    assert "--via torch2trt is for promptable bundles" in capsys.readouterr().err
