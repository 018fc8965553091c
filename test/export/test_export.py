# SPDX-License-Identifier: Apache-2.0
"""Exported networks: the same numbers as torch, and the graph that robots need."""

import copy
import os
import shutil
from collections import Counter

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
import yaml

from evitsam_ros.backends import BackendError, open_runtime
from evitsam_ros.bundle import HIGH_RES, BundleError, open_bundle, sha256
from evitsam_ros.bundle_folder import replace_bundle
from evitsam_ros.export import export, export_bundle
from evitsam_ros.models import create_model, model_spec
from evitsam_ros.models.decoder_rewrites import DeployedDecoder
from evitsam_ros.models.foveal_decoder import FovealDecoder
from evitsam_ros.models.sam import Sam
from evitsam_ros.segment import Prompt, Segmenter
from evitsam_ros.segment.mask_filter import Thresholds
from test.conftest import lively
from test.models.logits import with_large_logits
from test.models.small_vit import small_vit

#: SAM's ViT-B is small here; MobileSAM and EdgeSAM have all kinds of layers of the others of the family.
MODELS = ["lite_sam", "efficientvit_sam_l0", "efficientnet_sam_lite0", "sam_vit_b", "mobile_sam", "edge_sam"]


@pytest.fixture(scope="module", params=MODELS)
def exported(request, tmp_path_factory):
    torch.manual_seed(0)
    if request.param == "sam_vit_b":
        model = lively(Sam(model_spec("sam_vit_b"), small_vit()))
    else:
        # The shipped Lite-SAM has a box prior, official checkpoints have none.
        model = lively(create_model(request.param, box_prior=request.param == "lite_sam"))
    if not model.spec.rates_itself:
        with_large_logits(model)
    folder = tmp_path_factory.mktemp("exported") / request.param
    return model, open_bundle(export_bundle(model, folder))


def session(bundle, name: str) -> ort.InferenceSession:
    return ort.InferenceSession(str(bundle.networks[name]), providers=["CPUExecutionProvider"])


def relative(ours: np.ndarray, reference: torch.Tensor) -> float:
    return float(np.abs(ours - reference.numpy()).max() / reference.abs().max())


def high_res(bundle, generator) -> dict[str, torch.Tensor]:
    """Random high-resolution features, where the model has some."""
    return {
        name: torch.randn(1, *shape, generator=generator)
        for name, shape in zip(HIGH_RES, bundle.high_res_feats, strict=False)
    }


def test_encoder_agrees_with_torch(exported):
    model, bundle = exported
    image = torch.randn(
        1, 3, bundle.image_size, bundle.image_size, generator=torch.Generator().manual_seed(2)
    )
    with torch.no_grad():
        embedding, high_res = model.embed(image)
    outputs = session(bundle, "encoder").run(None, {"image": image.numpy()})
    assert [output.shape[1:] for output in outputs[1:]] == list(bundle.high_res_feats)
    for ours, reference in zip(outputs, (embedding, *high_res), strict=True):
        assert float(np.abs(ours - reference.numpy()).mean() / reference.std()) < 1e-4
        assert relative(ours, reference) < 1e-3


@pytest.mark.parametrize(("count", "points", "masks"), [(1, 2, 1), (7, 4, 1), (3, 1, 3), (1, 11, 1)])
def test_decoder_agrees_with_torch_for_any_number_of_prompts_and_points(exported, count, points, masks):
    model, bundle = exported
    generator = torch.Generator().manual_seed(count + points)
    inputs = {
        "image_embeddings": torch.randn(1, *bundle.embedding, generator=generator),
        "point_coords": torch.rand(count, points, 2, generator=generator) * bundle.prompt_size,
        "point_labels": torch.randint(-1, 4, (count, points), generator=generator).float(),
        "mask_input": torch.randn(masks, 1, *bundle.mask_size, generator=generator),
        "has_mask_input": torch.ones(masks) * float(masks > 1),
        **high_res(bundle, generator),
    }
    with torch.no_grad():
        reference = DeployedDecoder(model, "plain")(*inputs.values())
    ours = session(bundle, "decoder").run(None, {name: value.numpy() for name, value in inputs.items()})
    assert [o.shape for o in ours] == [(count, 3, *bundle.mask_size), (count, 3)]
    for output, expected in zip(ours, reference, strict=True):
        assert relative(output, expected) < 1e-4


@pytest.mark.parametrize(("count", "points", "cells"), [(1, 3, 64), (5, 4, 9), (2, 3, 1600)])
def test_foveal_decoder_agrees_with_torch_for_any_cells(exported, count, points, cells):
    model, bundle = exported
    if not bundle.has_foveal:
        assert not bundle.has_proposals
        pytest.skip("only what proposes needs views")
    generator = torch.Generator().manual_seed(count + points)
    inputs = {
        "image_embeddings": torch.randn(1, *bundle.embedding, generator=generator),
        "point_coords": torch.rand(count, points, 2, generator=generator) * bundle.prompt_size,
        "point_labels": torch.randint(-1, 4, (count, points), generator=generator).float(),
        "cells": torch.randint(
            0, 1600 + 400 + 100 + 25, (count, cells), generator=generator, dtype=torch.int32
        ),
        **high_res(bundle, generator),
    }
    with torch.no_grad():
        reference = FovealDecoder(model)(*inputs.values())
    feed = {name: value.numpy() for name, value in inputs.items()}
    ours = session(bundle, "foveal_decoder").run(None, feed)
    assert [o.shape for o in ours] == [(count, 3, 16 * cells), (count, 3)]
    for output, expected in zip(ours, reference, strict=True):
        assert relative(output, expected) < 1e-4


def test_weights_of_both_decoders_are_stored_once(exported):
    _, bundle = exported
    shared = bundle.folder / "decoder.weights"
    if not bundle.has_foveal:
        assert not shared.exists()
        return
    both = [bundle.networks[name] for name in ("decoder", "foveal_decoder")]
    assert all(path.stat().st_size < 0.05 * shared.stat().st_size for path in both)
    decoder = onnx.load(str(both[0]))
    large = sum(len(t.raw_data) for t in decoder.graph.initializer if len(t.raw_data) >= 4096)
    # Beside it the positions of all strides, which the decoder has of the finest only.
    assert shared.stat().st_size < 1.25 * large
    assert {p.key: p.value for p in decoder.metadata_props} == {"weights_sha256": sha256(shared)}


def test_sam_family_segments_on_every_cpu_runtime(exported, photograph):
    """A box, and everything mode by a grid, whole and foveal."""
    model, bundle = exported
    if not model.spec.is_sam_family:
        pytest.skip("other tests segment with these")
    assert bundle.has_foveal and not bundle.has_proposals
    drawn, found = {}, {}
    none = Thresholds(pred_iou_thresh=-np.inf, stability_score_thresh=0.0, box_nms_thresh=1.0)
    for backend in ("onnxruntime", "openvino"):
        segmenter = Segmenter.open(bundle.folder, backend)
        embedding = segmenter.embed(photograph)
        drawn[backend] = segmenter.decode(embedding, [Prompt(box=(100, 30, 300, 400))]).logits
        foveal = segmenter.everything(embedding, 16, none, look_again=False)
        grid = segmenter.everything(embedding, thresholds=none, grid=2)
        assert grid.logits.shape[1:] == foveal.logits.shape[1:] == bundle.mask_size
        found[backend] = len(foveal), len(grid)
        assert min(found[backend]) > 0
        segmenter.close()
    assert found["onnxruntime"] == found["openvino"]
    scale = drawn["onnxruntime"].std()
    assert np.abs(drawn["openvino"] - drawn["onnxruntime"]).max() < 1e-2 * scale


@pytest.mark.parametrize("storage", ["fp32", "fp16"])
def test_networks_read_their_weights_from_the_checkpoint(storage, tmp_path, photograph):
    """A tensor is stored once, and every runtime finds it where it lies, transposed or not."""
    torch.manual_seed(3)
    model = lively(create_model("efficientnet_sam_lite0", image_size=320))
    bundle = open_bundle(export_bundle(model, tmp_path / "once", storage=storage, with_weights=True))
    size = {path.name: path.stat().st_size for path in bundle.folder.iterdir()}
    graphs = sum(length for name, length in size.items() if name.endswith(".onnx"))
    checkpoint = size["model.safetensors"]
    assert checkpoint >= 6.9e6 * (4 if storage == "fp32" else 2)
    assert size["decoder.weights"] < 0.12 * checkpoint and graphs < 0.1 * checkpoint
    prompt = [Prompt(box=(100, 30, 300, 400)), Prompt(box=(200, 200, 420, 500))]
    drawn = {}
    for backend in ("torch", "onnxruntime", "openvino"):
        segmenter = Segmenter.open(bundle.folder, backend)
        drawn[backend] = segmenter.decode(segmenter.embed(photograph), prompt).logits
    scale = drawn["torch"].std()
    assert np.abs(drawn["onnxruntime"] - drawn["torch"]).max() < 1e-2 * scale
    assert np.abs(drawn["openvino"] - drawn["onnxruntime"]).max() < 1e-2 * scale
    again = create_model("efficientnet_sam_lite0", bundle.folder / "model.safetensors", image_size=320)
    image = torch.randn(1, 3, 320, 320, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected, found = model.embed(image)[0], again.embed(image)[0]
    assert float((found - expected).abs().mean() / expected.std()) < (1e-4 if storage == "fp32" else 1e-2)


@pytest.mark.parametrize("name", ["mobile_sam", "edge_sam"])
def test_bundles_of_sams_family_load_their_own_weights_again(name, tmp_path, photograph):
    """A bundle keeps our names; the plain form in torch gives the masks of the networks."""
    torch.manual_seed(4)
    model = lively(create_model(name, image_size=128))
    folder = export_bundle(model, tmp_path / name, with_weights=True)
    again = create_model(name, folder / "model.safetensors", image_size=128)
    for key, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[key], value), key
    drawn = {}
    for backend in ("torch", "onnxruntime"):
        segmenter = Segmenter.open(folder, backend)
        prompt = [Prompt(box=(100, 30, 300, 400))]
        drawn[backend] = segmenter.decode(segmenter.embed(photograph), prompt, multimask=True).logits
    assert np.abs(drawn["onnxruntime"] - drawn["torch"]).max() < 1e-2 * drawn["torch"].std()


def test_official_checkpoints_give_bundles_their_licence(tmp_path):
    torch.save(create_model("edge_sam").state_dict(), tmp_path / "edge_sam_3x.pth")
    folder = export("edge_sam", tmp_path / "edge_sam_3x.pth", tmp_path / "edge_sam", image_size=128)
    assert "non-commercial" in open_bundle(folder).description["licence"]
    export("edge_sam", None, tmp_path / "random", image_size=128)
    assert "licence" not in open_bundle(tmp_path / "random").description


def test_a_changed_checkpoint_is_noticed_when_networks_read_from_it(tmp_path):
    model = create_model("efficientnet_sam_lite0", image_size=64)
    folder = export_bundle(model, tmp_path / "small", with_weights=True)
    content = bytearray((folder / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(BundleError, match=r"model\.safetensors is not the file of this bundle"):
        open_bundle(folder)


def test_graphs_meet_the_constraints_of_tensorrt(exported):
    _, bundle = exported
    for name, path in bundle.networks.items():
        model = onnx.load(str(path))
        kinds = Counter(node.op_type for node in model.graph.node)
        assert model.opset_import[0].version == 20
        assert not {"Shape", "OneHot", "Tile", "Expand", "If", "Loop", "NonZero"} & set(kinds), name
        assert kinds["Erf"] == kinds["Tanh"] == 0, "GELU has to be one node"
        assert kinds["Gelu"] > 0


def test_fp16_storage_halves_the_files_and_keeps_the_masks(tmp_path, random_lite_sam, bundle_folder):
    small = open_bundle(export_bundle(random_lite_sam, tmp_path / "small", storage="fp16", with_weights=True))
    large = open_bundle(bundle_folder)
    sizes = [
        sum(path.stat().st_size for path in bundle.folder.iterdir() if path.suffix != ".yaml")
        for bundle in (small, large)
    ]
    assert sizes[0] < 0.6 * sizes[1]
    image = np.random.default_rng(0).standard_normal((1, 3, 640, 640)).astype(np.float32)
    a, b = (session(bundle, "encoder").run(None, {"image": image})[0] for bundle in (small, large))
    assert np.abs(a - b).mean() / b.std() < 5e-3


def test_fp16_storage_keeps_values_beyond_float16(tmp_path, random_lite_sam):
    name = "image_encoder.neck.laterals.2.1.running_var"
    wide = copy.deepcopy(random_lite_sam)
    wide.get_buffer(name).fill_(80_000.0)
    folder = export_bundle(wide, tmp_path / "wide", storage="fp16", with_weights=True)
    again = create_model("lite_sam", folder / "model.safetensors")
    assert torch.equal(again.get_buffer(name), wide.get_buffer(name))
    image = torch.randn(1, 3, 640, 640, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected, got = (model.image_encoder(image) for model in (wide, again))
    assert (expected - got).abs().mean() / expected.std() < 5e-3


def test_export_replaces_bundles_only(tmp_path, random_lite_sam):
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.tex").write_text("…")
    with pytest.raises(ValueError, match="is not a bundle"):
        export_bundle(random_lite_sam, tmp_path / "precious")
    assert (tmp_path / "precious" / "thesis.tex").exists()
    with pytest.raises(ValueError, match="fp8"):
        export_bundle(random_lite_sam, tmp_path / "new", storage="fp8")
    assert not (tmp_path / "new").exists()


def test_killed_export_leaves_no_half_bundle(tmp_path, random_lite_sam, monkeypatch):
    def dies(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("evitsam_ros.export.sha256", dies)
    with pytest.raises(KeyboardInterrupt):
        export_bundle(random_lite_sam, tmp_path / "lite_sam")
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(0)
    return create_model("efficientnet_sam_lite0", image_size=64)


@pytest.fixture(scope="module")
def tiny_bundle(tiny, tmp_path_factory):
    return export_bundle(tiny, tmp_path_factory.mktemp("tiny") / "tiny", with_weights=True)


@pytest.fixture
def old(tiny_bundle, tmp_path):
    """A bundle with its weights, beside which somebody put files of their own."""
    folder = tmp_path / "bundles" / "tiny"
    shutil.copytree(tiny_bundle, folder)
    (folder / "epoch_12.pt").write_bytes(b"weeks of work")
    (folder / "MODEL_CARD.md").write_text("card")
    (folder / "runs" / "a").mkdir(parents=True)
    (folder / "runs" / "a" / "log.txt").write_text("log")
    (folder / "latest.pt").symlink_to("epoch_12.pt")
    return folder


def contents(folder) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_exporting_again_keeps_foreign_files(tiny, old):
    before = contents(old)
    assert (old / "decoder.weights").exists() and open_bundle(old).checkpoint is not None
    (old / "decoder.weights").write_bytes(b"damaged")
    export_bundle(tiny, old, extra={"licence": "new"})
    after, bundle = contents(old), open_bundle(old)
    assert bundle.description["licence"] == "new"
    others = {"epoch_12.pt", "MODEL_CARD.md", "runs/a/log.txt", "latest.pt", "model.safetensors"}
    assert {name: after[name] for name in others} == {name: before[name] for name in others}
    assert (old / "latest.pt").is_symlink()
    # The checkpoint that is kept is not the one of these networks, and nobody takes it for that.
    assert bundle.checkpoint is None
    assert [path.name for path in old.parent.iterdir()] == ["tiny"]
    with pytest.raises(BackendError, match="exported without"):
        open_runtime(bundle, "torch")


def test_only_files_of_the_old_bundle_are_deleted(tiny, old):
    """A network under a name that the new bundle does not use, as the old description lists it."""
    description = yaml.safe_load((old / "model.yaml").read_text())
    (old / "encoder.onnx").rename(old / "vision.onnx")
    description["networks"]["encoder"]["file"] = "vision.onnx"
    (old / "model.yaml").write_text(yaml.safe_dump(description))
    export_bundle(tiny, old)
    assert not (old / "vision.onnx").exists() and (old / "epoch_12.pt").exists()


@pytest.mark.parametrize("step", range(4))
def test_an_export_interrupted_anywhere_leaves_the_old_bundle_or_the_new_one(tmp_path, step, monkeypatch):
    """Before or after either of the two renames that exchange them."""
    old, new = tmp_path / "old", tmp_path / ".new"
    for folder, text in ((old, "old"), (new, "new")):
        folder.mkdir()
        (folder / "model.yaml").write_text(text)
    (old / "mine.pt").write_text("mine")
    rename, done = os.replace, []

    def interrupted(source, target):
        done.append(1)
        at = 2 * (len(done) - 1)
        if at == step:
            raise KeyboardInterrupt
        rename(source, target)
        if at + 1 == step:
            raise KeyboardInterrupt

    monkeypatch.setattr("evitsam_ros.bundle_folder.os.replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        replace_bundle(old, new)
    assert (old / "model.yaml").read_text() == ("new" if step == 3 else "old")
    assert (old / "mine.pt").read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} <= {"old", ".new"}


def test_a_bundle_behind_a_link_is_replaced_at_the_target(tiny, old, tmp_path):
    link = tmp_path / "current"
    link.symlink_to(old, target_is_directory=True)
    assert export_bundle(tiny, link, extra={"licence": "new"}) == link
    assert link.is_symlink() and open_bundle(old).description["licence"] == "new"
    assert (old / "epoch_12.pt").exists()
    dangling = tmp_path / "next"
    dangling.symlink_to(tmp_path / "elsewhere" / "tiny")
    export_bundle(tiny, dangling)
    assert dangling.is_symlink() and open_bundle(tmp_path / "elsewhere" / "tiny").has_foveal
    with pytest.raises(ValueError, match=r"epoch_12\.pt is a file; expected a new folder"):
        export_bundle(tiny, old / "epoch_12.pt")
