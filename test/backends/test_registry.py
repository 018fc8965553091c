# SPDX-License-Identifier: Apache-2.0
"""A backend is added in one place: whoever lists or chooses backends finds it there."""

import subprocess
import sys
import textwrap

import pytest

from evitsam_ros.backends import BACKENDS, Backend, BackendError, register_backend
from evitsam_ros.backends.registry import auto_backends, exclude_failed, find_backend

PLUGIN = """
    from evitsam_ros.backends import Backend, FunctionNetwork, Requirement, register_backend

    @register_backend
    class AbacusBackend(Backend):
        name = "abacus"
        title = "Abacus"
        install_hint = "pip install abacus"
        requirements = (Requirement("Abacus", (("abacus", ("abacus",)),), "pip install abacus"),)
        auto_rank = -1
        cpu_only = True

        def version(self):
            return "1.0"

        def load(self, bundle, network, threads):
            return FunctionNetwork(lambda inputs: [network])

        def info(self, bundle, network, threads):
            return {"device": "CPU", "precision": "wood"}
"""


def run_with_plugin(code: str) -> str:
    script = textwrap.dedent(PLUGIN) + textwrap.dedent(code)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_new_backend_is_a_choice_of_parameter_and_command():
    pytest.importorskip("rclpy")
    printed = run_with_plugin("""
        from evitsam_ros.cli.program import build_parser
        from evitsam_ros.nodes.parameters import PARAMETERS
        print("parameter", "abacus" in PARAMETERS["backend"].choices)
        for command in ("segment", "bag", "verify", "profile"):
            try:
                build_parser().parse_args([command, "--help"])
            except SystemExit:
                pass
    """)
    assert printed.startswith("parameter True")
    assert printed.count("abacus") >= 4  # a command each


def test_a_new_backend_is_looked_for_by_the_doctor_and_taken_by_auto():
    printed = run_with_plugin("""
        from evitsam_ros.backends import open_runtime
        from evitsam_ros.bundle import open_bundle
        from evitsam_ros.doctor import findings
        print([(f.found, f.remedy) for f in findings() if f.name == "Abacus"])
        runtime = open_runtime(open_bundle("lite_sam"))
        print(runtime.description)
        print(runtime.info()["encoder"], runtime.networks["proposals"]({}))
    """)
    found, description, info = printed.splitlines()
    assert found == "[(None, 'pip install abacus')]"
    assert description.startswith("encoder: abacus 1.0 (fastest here on a CPU); decoder: abacus 1.0")
    assert info == "{'runtime': 'abacus 1.0', 'device': 'CPU', 'precision': 'wood'} ['proposals']"


def test_a_name_is_registered_once_and_an_incomplete_backend_not_made():
    with pytest.raises(ValueError, match="'openvino' is registered already"):
        register_backend(BACKENDS["openvino"])
    with pytest.raises(BackendError, match="'abacus' is unknown; expected auto, "):
        find_backend("abacus")

    class Incomplete(Backend):
        name = "incomplete"

    with pytest.raises(TypeError, match="abstract"):
        Incomplete()


def test_auto_tries_gpus_before_cpus():
    assert [backend.name for backend in auto_backends()] == ["tensorrt", "torch", "openvino", "onnxruntime"]


@pytest.mark.parametrize(
    ("excluded", "failed", "expected"),
    [
        ((), ("tensorrt",), ("tensorrt",)),
        (("tensorrt",), ("torch",), ("tensorrt", "torch")),
        ((), ("openvino",), ("openvino",)),
        (("openvino",), ("onnxruntime",), ("onnxruntime",)),
        (("torch", "onnxruntime"), ("openvino",), ("torch", "openvino")),
        ((), ("openvino", "onnxruntime"), ("openvino",)),
        (("openvino",), ("tensorrt",), ("openvino", "tensorrt")),
    ],
)
def test_after_a_failure_another_backend_is_always_left(excluded, failed, expected):
    assert exclude_failed(frozenset(excluded), frozenset(failed)) == frozenset(expected)


def test_the_only_backend_of_the_cpu_is_tried_again(monkeypatch):
    monkeypatch.setattr(BACKENDS["openvino"], "version", lambda self: None)
    assert exclude_failed(frozenset(), frozenset({"onnxruntime"})) == frozenset()
