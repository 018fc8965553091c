# SPDX-License-Identifier: Apache-2.0
"""Bundles of the kinds semantic and upscale: what they say, and what is rejected."""

import shutil

import numpy as np
import onnx
import onnxruntime
import pytest
import yaml

from evitsam_ros.bundle import BundleError, bundle_kind, open_bundle
from evitsam_ros.dense import open_semantic, open_upscale
from evitsam_ros.dense.class_tables import class_table
from evitsam_ros.dense_export import export_network

from .conftest import SEMANTIC_SIZE, TILE


def edit(folder, **changes) -> None:
    path = folder / "model.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **changes}))


def test_semantic_bundle_has_its_classes(semantic_folder):
    bundle = open_semantic(semantic_folder)
    assert bundle.input_size == SEMANTIC_SIZE and bundle.stride == 8
    assert bundle.classes == class_table("camvid")
    assert bundle_kind(semantic_folder) == "semantic" and bundle.checkpoint is not None


def test_upscale_bundle_has_its_tile(upscale_folder):
    bundle = open_upscale(upscale_folder)
    assert bundle.input_size == TILE and bundle.scale == 2 and bundle.checkpoint is None


def test_a_bundle_without_a_kind_is_promptable(bundle_folder):
    assert bundle_kind(bundle_folder) == "promptable"
    assert "kind" not in yaml.safe_load((bundle_folder / "model.yaml").read_text())


def test_another_kind_is_named_with_its_command(semantic_folder, upscale_folder, bundle_folder):
    with pytest.raises(BundleError, match=r"of kind 'semantic'; expected 'promptable'.*segment --semantic"):
        open_bundle(semantic_folder)
    with pytest.raises(BundleError, match=r"of kind 'upscale'; expected 'semantic'.*evitsam upscale"):
        open_semantic(upscale_folder)
    with pytest.raises(BundleError, match=r"of kind 'promptable'; expected 'upscale'"):
        open_upscale(bundle_folder)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"format": 1}, "format"),
        ({"kind": "depth"}, "kind: 'depth' is unknown; expected one of promptable, semantic, upscale"),
        ({"kind": ["semantic"]}, "is unknown"),
        ({"classes": []}, "classes"),
        ({"classes": [{"name": "road", "colour": [1, 2, 300]}]}, r"classes\.0\.colour\.2"),
        ({"input_size": [96]}, "input_size"),
    ],
)
def test_wrong_description_names_the_entry(semantic_folder, tmp_path, changes, text):
    folder = shutil.copytree(semantic_folder, tmp_path / "bundle")
    edit(folder, **changes)
    with pytest.raises(BundleError, match=text):
        open_semantic(folder)


def test_changed_network_is_named(semantic_folder, tmp_path):
    folder = shutil.copytree(semantic_folder, tmp_path / "bundle")
    path = folder / "network.onnx"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(BundleError, match=r"network\.onnx is not the file of this bundle"):
        open_semantic(folder)


def test_overlap_of_a_full_tile_is_rejected(upscale_folder, tmp_path):
    folder = shutil.copytree(upscale_folder, tmp_path / "bundle")
    edit(folder, overlap=20)
    with pytest.raises(BundleError, match="overlap: 20 leaves no pixel of a tile of 48x40"):
        open_upscale(folder)


@pytest.mark.parametrize("kind", ["semantic", "upscale"])
def test_graph_has_no_shape_tensors_and_accepts_batches(kind, semantic_folder, upscale_folder):
    bundle = open_semantic(semantic_folder) if kind == "semantic" else open_upscale(upscale_folder)
    path = bundle.networks["network"]
    operators = {node.op_type for node in onnx.load(str(path), load_external_data=False).graph.node}
    assert not operators & {"Shape", "ConstantOfShape", "Pad", "If", "BatchNormalization"}
    session = onnxruntime.InferenceSession(str(path))
    images = np.random.default_rng(0).normal(size=(2, 3, *bundle.input_size)).astype(np.float32)
    together = session.run(None, {"image": images})[0]
    for index in range(2):
        (alone,) = session.run(None, {"image": images[index : index + 1]})
        np.testing.assert_allclose(together[index], alone[0], rtol=1e-3, atol=1e-4 * alone.std())


def test_classifiers_have_no_bundle(tmp_path):
    with pytest.raises(ValueError, match="efficientvit_cls_b0 is a classifier"):
        export_network("efficientvit_cls_b0", None, tmp_path / "bundle", size=(64, 64))
    assert not list(tmp_path.iterdir())


def test_size_and_storage_are_checked_before_the_export(tmp_path):
    with pytest.raises(ValueError, match="multiples of 32"):
        export_network("efficientvit_seg_b0_camvid", None, tmp_path / "bundle", size=(360, 480))
    with pytest.raises(ValueError, match="storage 'int4' is unknown"):
        export_network("efficientvit_sr_tiny", None, tmp_path / "bundle", storage="int4")
