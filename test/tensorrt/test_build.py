# SPDX-License-Identifier: Apache-2.0
"""Test real engines by the real builder, for named targets, on a machine without a GPU."""

import json
import shutil
from dataclasses import replace

import numpy as np
import onnx
import pytest
import yaml
from onnx import numpy_helper

from evitsam_ros.backends.gpu import Gpu
from evitsam_ros.backends.tensorrt.api import TensorRtError, describe, find_tensorrt
from evitsam_ros.backends.tensorrt.engine_cache import EngineCache
from evitsam_ros.bundle import open_bundle, sha256
from evitsam_ros.cli import main
from evitsam_ros.export import export_bundle
from evitsam_ros.models import create_model
from evitsam_ros.segment import Prompt
from evitsam_ros.segment.decoder_inputs import FOVEAL_CHUNK, prompt_arrays, token_count
from evitsam_ros.segment.prompt import MAX_POINTS, PromptError
from evitsam_ros.segment.quadtree_view import Views
from evitsam_ros.segment.transform import Transform
from evitsam_ros.tensorrt.build import (
    NetworkPlan,
    Options,
    Report,
    graphs_in_precision,
    plan,
    prove_emulated,
    resolve_target,
)
from evitsam_ros.tensorrt.engine_builder import build_engine
from evitsam_ros.tensorrt.onnx_types import element_types, load_graph
from evitsam_ros.tensorrt.precision import convert
from evitsam_ros.tensorrt.profiles import profiles_for
from evitsam_ros.tensorrt.torch2trt_builder import decoder_graphs, find_torch2trt
from evitsam_ros.tensorrt.validate import Proof

from ..conftest import ROOT, lively


@pytest.mark.parametrize(
    ("model", "precision"),
    [("lite_sam", "fp16"), ("lite_sam", "bf16"), ("lite_sam", "int8"), ("efficientnet_sam_lite2", "fp16")],
)
def test_one_command_builds_proves_and_keeps_the_engines(rtx, cache_home, model, precision, capsys):
    """The last bundle has high-resolution features: more outputs of the encoder, inputs of the decoders."""
    bundle = ROOT / "engines" / model
    arguments = ["build", "--model", str(bundle), "--precision", precision, "--target", "sm86"]
    assert main([*arguments, "--tensorrt", "tensorrt_rtx", "--count", "1", "--layers"]) == 0
    output = capsys.readouterr().out
    assert "Built, not run: there is no sm86 here" in output and "IoU 0.9" in output
    assert "float32" in output and "decoder" in output
    entries = EngineCache().entries()
    assert [e.key["network"] for e in entries] == sorted(open_bundle(bundle).networks)
    for entry in entries:
        assert not entry.problem and entry.engine.parent == cache_home
        assert entry.engine.read_bytes()[:4] == b"ptrt" or entry.size > 100_000
        assert entry.report["proof"]["mean_iou"] > 0.95 and entry.report["proof"]["ran"] is False
    # Asked again it would build nothing.
    assert main([*arguments, "--tensorrt", "tensorrt_rtx", "--dry-run"]) == 0
    assert capsys.readouterr().out.count("is in the cache") == 4
    assert main(["engines", "--json", "-"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 4


@pytest.fixture
def overflowing_bundle(tmp_path):
    """Scale the layer before the final norm of the shipped model by 400.

    The function is the same in float32; in float16 the norm's squares overflow.
    """
    folder = tmp_path / "overflowing"
    shutil.copytree(ROOT / "engines" / "lite_sam", folder)
    model = load_graph(folder / "encoder.onnx")
    mean = next(n for n in model.graph.node if n.op_type == "ReduceMean" and "neck" in n.name)
    layer = next(n for n in model.graph.node if n.output[0] == mean.input[0])
    for tensor in model.graph.initializer:
        if tensor.name in layer.input:
            scaled = numpy_helper.to_array(tensor) * np.float32(400)
            tensor.CopyFrom(numpy_helper.from_array(scaled, tensor.name))
    onnx.save(model, folder / "encoder.onnx")
    description = yaml.safe_load((folder / "model.yaml").read_text())
    description["networks"]["encoder"]["sha256"] = sha256(folder / "encoder.onnx")
    (folder / "model.yaml").write_text(yaml.safe_dump(description))
    return folder


def test_an_overflow_gets_an_island_or_fails_the_proof(
    rtx, cache_home, overflowing_bundle, monkeypatch, capsys
):
    arguments = ["build", "--model", str(overflowing_bundle), "--target", "sm86", "--count", "1"]
    assert main([*arguments, "--tensorrt", "tensorrt_rtx"]) == 0
    islands = next(e.report["islands"] for e in EngineCache().entries() if e.key["network"] == "encoder")
    assert any("neck/norm" in name for name in islands)
    for entry in EngineCache().entries():
        entry.engine.unlink()
    assert main([*arguments, "--tensorrt", "tensorrt_rtx", "--rewrite"]) == 0
    fewer = next(e.report["islands"] for e in EngineCache().entries() if e.key["network"] == "encoder")
    assert not any("neck/norm" in name for name in fewer), "scaled, the norm needs no island"
    for entry in EngineCache().entries():
        entry.engine.unlink()
    monkeypatch.setattr("evitsam_ros.tensorrt.build.choose_islands", lambda *_: frozenset())
    assert main([*arguments, "--tensorrt", "tensorrt_rtx"]) == 1
    output = capsys.readouterr().err
    assert "masks agree by IoU 0." in output and "fp16 needs 0.99 and 0.95" in output
    assert "the first to break is /neck/norm/Pow (Pow) of the encoder" in output
    assert not EngineCache().entries()


def test_unknown_targets_and_missing_gpus_are_named(rtx):
    with pytest.raises(TensorRtError, match=r"no GPU found on this machine: .*--target \{sm75, sm80"):
        resolve_target("auto", rtx, None)
    with pytest.raises(TensorRtError, match="does not build for 'sm87'; it builds for sm75"):
        resolve_target("sm87", rtx, None)
    orin = Gpu("Orin", "sm87")
    assert resolve_target("auto", rtx, orin) == resolve_target("sm87", rtx, orin) == ("Orin sm87", True)
    assert resolve_target("sm86", rtx, orin) == ("sm86", False)


class _Flags:
    STRONGLY_TYPED = 1


@pytest.mark.parametrize(
    ("version", "flags", "typed"), [("10.3.0", _Flags, 2), ("10.13.2", _Flags, 2), ("11.4.0", object, 0)]
)
def test_versions_differ_in_a_small_record(version, flags, typed):
    """Use a recording stand-in: these versions cannot be installed here."""
    module = type("trt", (), {"__version__": version, "NetworkDefinitionCreationFlag": flags})
    found = describe(module, "tensorrt")
    assert (found.name, found.strongly_typed) == (f"tensorrt {version}", typed)
    assert found.targets() == []
    module.__version__ = "8.6.1"
    with pytest.raises(TensorRtError, match=r"8\.6\.1 is too old: expected 10\.3"):
        describe(module, "tensorrt")


def test_no_tensorrt_is_an_error_with_the_remedy(monkeypatch):
    monkeypatch.setattr("evitsam_ros.backends.tensorrt.api.MODULES", (("no_such_module", "tensorrt"),))
    with pytest.raises(TensorRtError, match=r"no TensorRT here .*JetPack .*pip install tensorrt-rtx"):
        find_tensorrt()


def test_a_missing_torch2trt_is_an_error_with_reason_and_alternative(rtx, cache_home, capsys):
    arguments = ["build", "--model", str(ROOT / "engines" / "lite_sam"), "--target", "sm86"]
    arguments += ["--via", "torch2trt"]
    assert main([*arguments, "--tensorrt", "tensorrt_rtx"]) == 1
    output = capsys.readouterr().err
    assert "works with TensorRT up to 10, found tensorrt_rtx 1.7" in output and "omit --via" in output
    ten = replace(rtx, kind="tensorrt", version="10.3.0")
    with pytest.raises(TensorRtError, match="there is none"):
        find_torch2trt(ten, None)
    with pytest.raises(TensorRtError, match=r"torch2trt cannot be imported .* on GitHub only"):
        find_torch2trt(ten, Gpu("Orin", "sm87"))
    with pytest.raises(TensorRtError, match="up to 10, found tensorrt 11"):
        find_torch2trt(replace(ten, version="11.4.0"), Gpu("Orin", "sm87"))


def test_profiles_cover_the_calls_of_the_segmenter():
    bundle = open_bundle(ROOT / "engines" / "lite_sam")
    prompts = Options().prompts
    small, large, many = profiles_for(bundle, "decoder", prompts)
    assert small["point_coords"] == ((1, 1, 2), (16, 3, 2), (16, 12, 2))
    assert large["point_labels"] == ((64, 1), (256, 3), (256, 12))
    assert many["point_labels"] == ((1, 13), (1, 13), (16, 66)) and many["mask_input"][2][0] == 16
    assert large["mask_input"][2] == (256, 1, 160, 160) and large["mask_input"][0][0] == 1
    (images,) = profiles_for(bundle, "encoder", prompts, batch=16)
    assert images["image"] == ((1, 3, 640, 640), (1, 3, 640, 640), (16, 3, 640, 640))
    assert profiles_for(bundle, "proposals", prompts) == ()
    views, many = profiles_for(bundle, "foveal_decoder", prompts)
    assert many["point_labels"] == ((1, 13), (1, 13), (16, 66))
    assert many["cells"][2][1] == views["cells"][2][1]
    least, best, most = views["cells"]
    pictures = [
        Transform(size, 640, 640, (160, 160)) for size in ((480, 640), (640, 640), (1, 900), (720, 1280))
    ]
    kinds = {Views.around(np.zeros((1, 2)), image).cells().shape[1] for image in pictures}
    kinds |= {Views.along(np.zeros((1, 40, 40)), image).cells().shape[1] for image in pictures}
    sent = [(count, cells) for count in (1, 17, FOVEAL_CHUNK) for cells in kinds]
    assert all(least[0] <= n <= most[0] and least[1] <= k <= most[1] for n, k in [best, *sent])
    transform = Transform((480, 640), 640, 640, (160, 160))
    for kind in ("box", "proposal_box"):
        labels = prompt_arrays([Prompt(points=[(9, 9)], **{kind: (5, 5, 20, 20)})], transform)[1]
        assert views["point_labels"][0][1] <= labels.shape[1] <= views["point_labels"][2][1]
    assert views["point_labels"] == ((1, 2), (64, 2), (64, 12))


@pytest.mark.parametrize("points", [1, 9, 10, 11, 64])
def test_every_prompt_that_the_check_allows_fits_one_profile_of_both_decoders(points):
    """Check all numbers of points up to the max, with a box, a mask or neither."""
    bundle = open_bundle(ROOT / "engines" / "lite_sam")
    transform = Transform((480, 640), 640, 640, (160, 160))
    mask = np.zeros((160, 160), np.float32)
    for network, given in (("decoder", {"mask": mask}), ("decoder", {}), ("foveal_decoder", {})):
        profiles = profiles_for(bundle, network, Options().prompts, points)
        for count in range(0 if given else 1, points + 1):
            places = np.full((count, 2), 9.0)
            for box in ({}, {"box": (5, 5, 20, 20)}):
                prompt = Prompt(points=places, **given, **box)
                tokens = prompt_arrays([prompt], transform)[1].shape[1]
                assert tokens == token_count(prompt)
                limits = [(p["point_labels"][0][1], p["point_labels"][2][1]) for p in profiles]
                assert any(least <= tokens <= most for least, most in limits), (network, tokens)
    assert MAX_POINTS == 64 == Options().points
    with pytest.raises(PromptError, match="at most 64"):
        Prompt(points=np.zeros((65, 2)))


def test_points_of_a_build_are_an_option(rtx, cache_home, capsys):
    arguments = ["build", "--model", str(ROOT / "engines" / "lite_sam"), "--target", "sm86", "--dry-run"]
    assert main([*arguments, "--points", "20"]) == 0
    assert "prompts 1..16 of 13..22 tokens" in capsys.readouterr().out
    for wrong in ("0", "65"):
        with pytest.raises(SystemExit):
            main([*arguments, "--points", wrong])
        assert f"'{wrong}': expected a number from 1 to 64" in capsys.readouterr().err


def test_builders_disable_tf32(rtx, tmp_path, monkeypatch):
    """TF32 is on in the real builder's default configuration, and off when it builds."""
    real, seen = rtx.module.Builder, []
    flag = rtx.module.BuilderFlag.TF32

    class Builder(real):
        def build_serialized_network(self, definition, config):
            seen.append(config.get_flag(flag))
            return real.build_serialized_network(self, definition, config)

        def create_builder_config(self):
            config = real.create_builder_config(self)
            seen.append(config.get_flag(flag))
            return config

    monkeypatch.setattr(rtx.module, "Builder", Builder)
    model = load_graph(ROOT / "engines" / "lite_sam" / "proposals.onnx")
    build_engine(rtx, model, NetworkPlan("proposals", tmp_path / "p.onnx", (), None), "sm86", lambda *_: None)
    assert seen == [True, False]


def test_decoders_beside_torch2trt_are_built_in_the_precision_of_their_key(photograph):
    """Their graphs compute in float16 outside of islands, and give the masks of float32."""
    bundle = open_bundle(ROOT / "engines" / "lite_sam")
    report = Report({}, Proof("fp16", 0, 0.0, 0.0))
    graphs = decoder_graphs(bundle, Options("fp16"), [photograph], report, lambda *_: None)
    assert set(graphs) == {"decoder", "foveal_decoder"} == set(report.islands)
    for name, graph in graphs.items():
        types = element_types(graph)
        kinds = {n.name: types[n.output[0]] for n in graph.graph.node if n.op_type in ("MatMul", "Gemm")}
        half = [node for node, kind in kinds.items() if kind == onnx.TensorProto.FLOAT16]
        assert len(half) > 0.8 * len(kinds) and set(kinds) - set(half) <= report.islands[name]
    plain = decoder_graphs(bundle, Options("fp32"), [photograph], report, lambda *_: None)
    assert onnx.TensorProto.FLOAT16 not in element_types(plain["decoder"]).values()


def test_keys_differ_in_every_input_of_a_build(rtx):
    bundle = open_bundle(ROOT / "engines" / "lite_sam")
    base = plan(bundle, Options("fp16", "sm86"), rtx, None)[1].key
    others = [
        plan(bundle, Options("bf16", "sm86"), rtx, None)[1].key,
        plan(bundle, Options("fp16", "sm80"), rtx, None)[1].key,
        plan(bundle, Options("fp16", "sm86", prompts=((1, 8),)), rtx, None)[1].key,
        plan(bundle, Options("fp16", "auto"), rtx, Gpu("RTX 3090", "sm86"))[1].key,
    ]
    assert len({key.digest for key in (base, *others)}) == 5
    single, batched = (plan(bundle, Options("fp16", "sm86", batch=n), rtx, None)[0].key for n in (1, 4))
    assert single.network == "encoder" and single.digest != batched.digest


def test_a_graph_that_cannot_be_parsed_is_rejected_with_the_parsers_message(rtx, tmp_path):
    model = load_graph(ROOT / "engines" / "lite_sam" / "proposals.onnx")
    model.graph.node[0].op_type = "Unheard"
    network = NetworkPlan("proposals", tmp_path / "proposals.onnx", (), None)
    with pytest.raises(TensorRtError, match=r"cannot parse proposals\.onnx: .*Unheard"):
        build_engine(rtx, model, network, "sm86", lambda *_: None)


EFFICIENTVIT_SAM, EVERY_PRECISION = ("l0", "l1", "l2", "xl0", "xl1"), ("fp32", "fp16", "bf16", "int8")
#: Builds of EfficientViT-SAM that make test does too; the others take minutes.
QUICK = (("l0", "fp32"), ("l0", "fp16"))


@pytest.mark.parametrize(
    ("size", "precision"),
    [
        pytest.param(size, precision, marks=[] if (size, precision) in QUICK else pytest.mark.slow)
        for size in EFFICIENTVIT_SAM
        for precision in EVERY_PRECISION
    ],
)
def test_every_efficientvit_sam_builds_in_every_precision(rtx, tmp_path, photograph, size, precision):
    """The weights are random; other nodes break in half precision than with official weights."""
    folder = export_bundle(lively(create_model(f"efficientvit_sam_{size}")), tmp_path / size)
    bundle, options = open_bundle(folder), Options(precision, "sm86")
    report = Report({}, Proof(precision, 0, 0.0, 0.0))
    graphs = graphs_in_precision(bundle, options, [photograph], report)
    for p in plan(bundle, options, rtx, None):
        graph = convert(graphs[p.network], options.half, report.islands.get(p.network, ()))
        assert len(build_engine(rtx, graph, p, "sm86", lambda *_: None)) > 4_000_000
    for network, errors in report.errors.items():
        assert {e.name for e in errors if e.broken} <= report.islands[network]


def test_emulated_float32_is_the_reference_itself(photograph):
    bundle = open_bundle(ROOT / "engines" / "lite_sam")
    graphs = {name: load_graph(path) for name, path in bundle.networks.items()}
    proof = prove_emulated(bundle, graphs, Options("fp32"), {}, [photograph])
    assert proof.mean_iou > 0.9999 and not proof.problem()
    assert set(proof.networks) == set(bundle.networks)
    assert convert(graphs["encoder"], "fp32", ()) is graphs["encoder"]


def test_verify_compares_a_backend_with_the_reference(capsys):
    arguments = ["verify", "--model", str(ROOT / "engines" / "lite_sam"), "--count", "1"]
    arguments += ["--precision", "fp16"]
    assert main([*arguments, "--backend", "openvino"]) == 0
    assert "masks, IoU" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--backend", "abacus"])
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert "argument --backend: invalid choice: 'abacus'" in error and "openvino_bf16" in error
