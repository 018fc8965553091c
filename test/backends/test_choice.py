# SPDX-License-Identifier: Apache-2.0
"""A choice of backends belongs to a machine, its runtimes and a bundle; anything else is measured again."""

import dataclasses
import json
import shutil

import pytest

from evitsam_ros.backends import BackendError, Candidate, Choice, NetworkChoice, open_runtime
from evitsam_ros.backends import choice as module
from evitsam_ros.backends.choice import choice_path, measured_models, read_choice, store_choice
from evitsam_ros.backends.onnxruntime_backend import OnnxRuntimeBackend
from evitsam_ros.backends.openvino_backend import OpenVinoBackend
from evitsam_ros.backends.processor import processor
from evitsam_ros.bundle import open_bundle

CPU = "model name : Lark 9\nflags : fpu avx2\n"
CPUINFO = f"processor : 0\n{CPU}\nprocessor : 1\n{CPU}"


@pytest.fixture
def bundle():
    return open_bundle("lite_sam")


@pytest.fixture
def stored(bundle, monkeypatch, tmp_path):
    """Store a choice of two networks in an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    candidates = (
        Candidate("openvino", 150.0, verdict="float32"),
        Candidate("onnxruntime", 130.0, "mask IoU", 1.0, 0.999),
    )
    choice = Choice(
        {name: NetworkChoice("onnxruntime", candidates) for name in ("encoder", "decoder", "proposals")},
        {"foveal_decoder": "no time was left"},
        4.5,
        2,
    )
    store_choice(bundle, choice)
    return choice


def test_a_choice_is_read_as_it_was_stored(bundle, stored):
    assert read_choice(bundle) == stored and measured_models() == ["lite_sam"]
    assert not [path for path in choice_path(bundle).parent.iterdir() if path.suffix == ".tmp"]


@pytest.mark.parametrize("damage", ["cut", "empty", "changed", "binary", "gone", "another key"])
def test_a_damaged_record_is_none(bundle, stored, damage):
    path = choice_path(bundle)
    content = path.read_text()
    match damage:
        case "cut":
            path.write_text(content[: len(content) // 2])
        case "empty":
            path.write_text("")
        case "changed":
            path.write_text(content.replace("onnxruntime", "openvino"))
        case "binary":
            path.write_bytes(bytes(range(256)))
        case "gone":
            path.unlink()
        case "another key":
            path.write_text(json.dumps(json.loads(content) | {"key": {}}))
    assert read_choice(bundle) is None
    assert "(fastest here on a CPU)" in open_runtime(bundle).description


@pytest.mark.parametrize(
    ("name", "change"),
    [("processor", lambda: "Lark 10 (0)"), ("cpu_count", lambda: 96), ("FORMAT", 99)],
)
def test_another_machine_or_rule_measures_again(bundle, stored, monkeypatch, name, change):
    monkeypatch.setattr(module, name, change)
    assert read_choice(bundle) is None


@pytest.mark.parametrize("runtime", [OnnxRuntimeBackend, OpenVinoBackend])
def test_another_version_of_a_runtime_measures_again(bundle, stored, monkeypatch, runtime):
    monkeypatch.setattr(runtime, "version", lambda self: "99.0")
    assert read_choice(bundle) is None


def test_a_record_copied_to_the_place_of_another_is_none(bundle, stored, monkeypatch):
    old = choice_path(bundle)
    monkeypatch.setattr(module, "processor", lambda: "Lark 10 (0)")
    shutil.copy(old, choice_path(bundle))
    assert read_choice(bundle) is None


@pytest.mark.parametrize("place", ["sha256", "weights", "forms"])
def test_other_networks_are_measured_again(bundle, stored, place):
    entry = dict(bundle.description["networks"]["decoder"])
    form = {"precision": "int8", "file": "decoder.int8.xml", "sha256": "0" * 64}
    entry |= {
        "sha256": {"sha256": "0" * 64},
        "weights": {"weights": {"file": "decoder.weights", "sha256": "0" * 64}},
        "forms": {"forms": [form]},
    }[place]
    networks = bundle.description["networks"] | {"decoder": entry}
    other = dataclasses.replace(bundle, description=bundle.description | {"networks": networks})
    assert read_choice(other) is None
    assert read_choice(bundle) == stored


def test_the_processors_instructions_count_and_its_number_of_cores_does_not(tmp_path, monkeypatch):
    file = tmp_path / "cpuinfo"
    file.write_text(CPUINFO)
    first = processor(file)
    assert first.startswith("Lark 9 (")
    file.write_text(CPUINFO.partition("\n\n")[0])
    assert processor(file) == first
    file.write_text(CPUINFO.replace("avx2", "avx2 avx512_bf16"))
    assert processor(file) != first
    file.write_text(CPUINFO)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert processor(file) != first


def test_auto_runs_the_stored_choice_and_float32_without_one(bundle, stored):
    stored = dataclasses.replace(
        stored, networks={name: NetworkChoice("openvino", ()) for name in ("encoder", "decoder")}
    )
    store_choice(bundle, stored)
    runtime = open_runtime(bundle)
    assert runtime.choice == stored and runtime.backends == {"openvino"}
    assert "encoder: openvino " in runtime.description and "(measured)" in runtime.description
    assert (
        runtime.info()["encoder"]["measured"] == "openvino" and "measured" not in runtime.info()["proposals"]
    )


def test_a_backend_given_by_name_is_not_replaced_by_a_choice(bundle, stored):
    for runtime in (open_runtime(bundle, "openvino"), open_runtime(bundle, precision="fp32")):
        assert runtime.choice is None and runtime.backends == {"openvino"}


def test_a_choice_of_a_backend_that_failed_is_passed_over(bundle, stored):
    store_choice(
        bundle,
        dataclasses.replace(stored, networks={n: NetworkChoice("onnxruntime", ()) for n in bundle.networks}),
    )
    assert open_runtime(bundle).backends == {"onnxruntime"}
    runtime = open_runtime(bundle, exclude=frozenset({"onnxruntime"}))
    assert runtime.backends == {"openvino"} and runtime.choice is None


def test_a_choice_of_two_runtimes_or_of_an_unknown_one_is_none(bundle, stored):
    """Their threads would get in each other's way."""
    assert open_runtime(bundle).backends == {"openvino"}  # its fourth network would run there
    store_choice(bundle, dataclasses.replace(stored, networks={"encoder": NetworkChoice("abacus", ())}))
    assert read_choice(bundle) is None


@pytest.mark.parametrize(
    ("backend", "precision", "expected"),
    [
        ("auto", "fp32", "fp32"),
        ("onnxruntime", "fp32", "fp32"),
        ("openvino", "fp32", "fp32"),
        ("onnxruntime", "bf16", r"encoder would run in fp32 \(onnxruntime"),
        ("openvino_bf16", "fp32", "precision fp32: encoder would run in bf16|needs a CPU with AMX"),
        ("auto", "int8", "no int8 form.*evitsam quantize"),
        ("openvino", "int8", "no int8 form"),
        ("auto", "int4", "precision 'int4' is unknown; expected one of auto, fp32, fp16, bf16, int8"),
    ],
)
def test_a_precision_is_kept_or_rejected_with_the_remedy(bundle, backend, precision, expected):
    if expected == precision:
        runtime = open_runtime(bundle, backend, precision=precision)
        assert {facts["precision"] for facts in runtime.info().values()} == {precision}
        return
    with pytest.raises(BackendError, match=expected):
        open_runtime(bundle, backend, precision=precision)
