# SPDX-License-Identifier: Apache-2.0
"""The same bundle on every runtime gives the reference's numbers, and the choice is explained."""

import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from evitsam_ros.backends import BACKENDS, BackendError, Network, open_runtime
from evitsam_ros.backends.onnxruntime_backend import OnnxRuntimeBackend
from evitsam_ros.bundle import BundleError, open_bundle
from evitsam_ros.segment import Frame, Prompt, PromptError, Segmenter

PROMPTS = [Prompt(box=(40, 50, 300, 400)), Prompt(points=[(200, 220), (20, 30)], labels=[1, 0])]


@pytest.fixture(scope="module")
def reference(bundle_folder, photograph):
    segmenter = Segmenter.open(bundle_folder, "torch")
    return segmenter.decode(segmenter.embed(photograph), PROMPTS, multimask=True)


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino", "auto"])
def test_backend_agrees_with_torch(bundle_folder, photograph, reference, backend):
    segmenter = Segmenter.open(bundle_folder, backend)
    masks = segmenter.decode(segmenter.embed(photograph), PROMPTS, multimask=True)
    scale = reference.logits.std()
    assert np.abs(masks.logits - reference.logits).mean() / scale < 1e-4
    np.testing.assert_allclose(masks.scores, reference.scores, atol=1e-3)


def test_bfloat16_is_a_separate_backend(photograph):
    """Where the CPU has it, the shipped weights give float32's masks; elsewhere it says what it needs."""
    import openvino

    if "BF16" not in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        with pytest.raises(BackendError, match="AMX or AVX512-BF16"):
            Segmenter.open("lite_sam", "openvino_bf16")
        return
    masks = {}
    for backend in ("openvino", "openvino_bf16"):
        segmenter = Segmenter.open("lite_sam", backend)
        masks[backend] = segmenter.decode(segmenter.embed(photograph), PROMPTS).logits > 0
    a, b = masks.values()
    iou = (a & b).sum((1, 2)) / (a | b).sum((1, 2))
    assert iou.min() > 0.95 and (a != b).any()


def test_openvino_encodes_several_images_as_it_does_one(bundle_folder):
    encode = Segmenter.open(bundle_folder, "openvino").runtime.encode
    side = open_bundle(bundle_folder).image_size
    images = np.random.default_rng(0).standard_normal((3, 3, side, side), np.float32)
    together = encode(images).image_embeddings
    alone = [encode(image[None]).image_embeddings for image in images]
    np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-4)


def test_auto_names_each_networks_runtime_and_the_device(bundle_folder):
    text = Segmenter.open(bundle_folder).description
    for network in ("encoder", "decoder", "proposals"):
        assert f"{network}: o" in text
    assert "Runs on the CPU" in text


def test_without_openvino_everything_falls_to_onnxruntime(bundle_folder):
    """As on a Jetson: in a process in which openvino cannot be found."""
    code = f"""
        import importlib.metadata as metadata
        real = metadata.version
        def version(name):
            if name == "openvino":
                raise metadata.PackageNotFoundError(name)
            return real(name)
        metadata.version = version
        import sys
        sys.modules["openvino"] = None
        import numpy as np
        from evitsam_ros.segment import Segmenter
        segmenter = Segmenter.open({str(bundle_folder)!r})
        segmenter.embed(np.zeros((40, 60, 3), np.uint8))
        print(segmenter.description)
    """
    result = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "encoder: onnxruntime" in result.stdout
    assert "openvino not installed" in result.stdout


@pytest.mark.parametrize(
    ("backend", "precision", "flag", "value"),
    [
        ("onnxruntime", "fp32", "session.intra_op.allow_spinning", "0"),
        ("openvino", "fp32", "INFERENCE_NUM_THREADS", "1"),
        ("torch", "fp32", "form", "plain"),
    ],
)
def test_a_runtime_describes_its_networks(bundle_folder, backend, precision, flag, value):
    facts = open_runtime(open_bundle(bundle_folder), backend, threads=1).info()
    assert set(facts) == {"encoder", "decoder", "proposals", "foveal_decoder"}
    for info in facts.values():
        assert info["runtime"].startswith(f"{backend} ") and info["device"] == "CPU"
        assert info["precision"] == precision and info[flag] == value


def test_networks_of_everything_mode_are_loaded_on_first_use(bundle_folder, photograph, monkeypatch):
    load, loaded = OnnxRuntimeBackend.load, []

    def recording(self, bundle, network, threads):
        loaded.append(network)
        return load(self, bundle, network, threads)

    monkeypatch.setattr(OnnxRuntimeBackend, "load", recording)
    segmenter = Segmenter.open(bundle_folder, "onnxruntime")
    segmenter.decode(segmenter.embed(photograph), PROMPTS)
    assert loaded == ["encoder", "decoder"]
    for _ in range(2):
        embedding = segmenter.embed(photograph)
        segmenter.propose(embedding, 8)
        segmenter.decode(
            embedding, [Prompt(points=[(50, 60)], labels=[1], box=(40, 50, 70, 80))], foveal=True
        )
    assert sorted(loaded[2:]) == ["foveal_decoder", "proposals"]


@pytest.mark.parametrize("file", ["foveal_decoder.onnx", "decoder.weights"])
def test_a_file_swapped_before_a_late_network_is_loaded_is_noticed(bundle_folder, tmp_path, photograph, file):
    folder = tmp_path / "lite_sam"
    shutil.copytree(bundle_folder, folder)
    segmenter = Segmenter.open(folder, "onnxruntime")
    embedding = segmenter.embed(photograph)
    right = (folder / file).read_bytes()
    (folder / file).write_bytes(right[:-4] + bytes(4))
    prompt = [Prompt(points=[(50, 60)], labels=[1])]
    with pytest.raises(BundleError, match=f"{file} is not the file of this bundle"):
        segmenter.decode(embedding, prompt, foveal=True)
    (folder / file).write_bytes(right)
    assert len(segmenter.decode(embedding, prompt, foveal=True)) == 1


def test_a_closed_segmenter_raises_an_error(bundle_folder, photograph):
    segmenter = Segmenter.open(bundle_folder, "onnxruntime")
    embedding = segmenter.embed(photograph)
    for _ in range(2):
        segmenter.close()
    with pytest.raises(BackendError, match="the runtime is closed; open the model again"):
        segmenter.decode(embedding, PROMPTS)


def test_prompts_that_an_engine_does_not_hold_are_rejected_by_name(bundle_folder, photograph):
    """An engine of 2 to 12 tokens: a mask alone is one, eleven points and a box are thirteen."""
    segmenter = Segmenter.open(bundle_folder, "onnxruntime")
    decode = segmenter.runtime.networks["decoder"]
    at_once = []

    class Engine(Network):
        def __call__(self, inputs):
            at_once.append(inputs["point_coords"].shape[:2])
            return decode(inputs)

        def token_limits(self):
            return 2, 12

        def max_prompts_per_call(self, count, usual, tokens=None):
            return min(count, 4)

    segmenter.runtime.networks["decoder"] = Engine()
    embedding = segmenter.embed(photograph)
    points = np.tile([[30.0, 40.0]], (12, 1))
    fits = [Prompt(points=points[:11]), Prompt(points=points[:10], box=(9, 9, 99, 99)), PROMPTS[0]]
    too_many = Prompt(points=points[:11], box=(9, 9, 99, 99))
    alone = Prompt(mask=np.zeros(segmenter.bundle.mask_size, np.float32))
    assert len(segmenter.decode(embedding, fits * 5)) == 15
    assert {tokens for _, tokens in at_once} == {12, 2} and {count for count, _ in at_once} == {4, 1}
    with pytest.raises(PromptError, match=r"prompt 3: 11 points and a box are 13 tokens; .* 2 to 12.*build"):
        segmenter.decode(embedding, [*fits, too_many])
    for prompt in fits:
        segmenter.check(prompt)
    for prompt in (too_many, alone, Prompt(points=points)):
        with pytest.raises(PromptError, match="takes 2 to 12"):
            segmenter.check(prompt)


def test_batched_embeddings_equal_single_ones(bundle_folder, photograph):
    segmenter = Segmenter.open(bundle_folder, "onnxruntime")
    frames = [Frame(photograph, stamp=1.0), Frame(photograph[::-1, :300].copy(), stamp=2.0)]
    alone = [segmenter.decode(segmenter.embed(frame), PROMPTS[1:]).logits for frame in frames]
    calls, encode = [], segmenter.runtime.networks["encoder"]
    segmenter.runtime.networks["encoder"] = lambda inputs: calls.append(1) or encode(inputs)
    embeddings = segmenter.embed_batch(frames)
    assert calls == [1] and [e.stamp for e in embeddings] == [frame.stamp for frame in frames]
    for embedding, logits in zip(embeddings, alone, strict=True):
        np.testing.assert_allclose(segmenter.decode(embedding, PROMPTS[1:]).logits, logits, atol=1e-3)
    assert calls == [1]
    assert embeddings[0].timings == embeddings[1].timings and embeddings[0].timings["encode"] > 0
    segmenter.embed(frames[0])
    assert calls == [1, 1]


def test_unknown_backend_names_the_choices(bundle_folder):
    with pytest.raises(
        BackendError,
        match=r"'cuda' is unknown; expected auto, onnxruntime, openvino, .*_bf16, .*tensorrt_int8",
    ):
        open_runtime(open_bundle(bundle_folder), "cuda")


def test_torch_backend_names_the_missing_file(bundle_folder, tmp_path):
    copy = tmp_path / "lite_sam"
    shutil.copytree(bundle_folder, copy)
    (copy / "model.safetensors").unlink()
    with pytest.raises(BundleError, match=r"model\.safetensors is missing"):
        Segmenter.open(copy, "torch")


def test_every_backend_is_known_by_its_name():
    for name, backend in BACKENDS.items():
        assert backend.name == name and backend.install_hint and backend.title and backend.requirements


def test_openvino_telemetry_is_off():
    """Its telemetry would fork a process that asks the network, on every start of a node."""
    pytest.importorskip("openvino")
    code = (
        "import sys; from evitsam_ros.segment import Segmenter; Segmenter.open('lite_sam', 'openvino');"
        "print([name for name in sys.modules if name.startswith('openvino_telemetry.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
