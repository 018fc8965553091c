# SPDX-License-Identifier: Apache-2.0
"""Test that cuda-bindings 12 and 13 have the functions that the code calls, with their arguments."""

import ast
from importlib.metadata import version
from pathlib import Path

import pytest

runtime = pytest.importorskip("cuda.bindings.runtime", reason="cuda-bindings is not installed")
nvrtc = pytest.importorskip("cuda.bindings.nvrtc", reason="cuda-bindings is not installed")

FOLDER = Path(__file__).parents[3] / "evitsam_ros" / "backends" / "tensorrt"
#: Names by which the code calls the modules.
MODULES = {"self.api": runtime, "runtime": runtime, "nvrtc": nvrtc}


def calls() -> dict[str, tuple[object, set[int]]]:
    """Return the functions of the bindings that the code calls: module, and numbers of arguments."""
    found: dict[str, tuple[object, set[int]]] = {}
    for file in ("cuda_calls.py", "device_preprocess.py"):
        for node in ast.walk(ast.parse((FOLDER / file).read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                module = MODULES.get(ast.unparse(node.func.value))
                if module is not None:
                    counts = found.setdefault(node.func.attr, (module, set()))[1]
                    counts.add(len(node.args))
    return found


def test_the_major_version_is_one_that_is_supported():
    assert version("cuda-bindings").split(".")[0] in ("12", "13")


def test_the_calls_are_found():
    assert {"cudaMalloc", "cudaMemcpyAsync", "cudaGraphInstantiate", "nvrtcCompileProgram"} <= set(calls())


@pytest.mark.parametrize("name", calls())
def test_functions_accept_the_arguments_of_their_calls(name):
    """The first line of a docstring is the signature, since these functions are compiled."""
    module, counts = calls()[name]
    signature = getattr(module, name).__doc__.strip().splitlines()[0]
    arguments = [each for each in signature[signature.index("(") + 1 : -1].split(",") if each.strip()]
    limits = range(len([each for each in arguments if "=" not in each]), len(arguments) + 1)
    assert all(count in limits for count in counts), f"{signature} is called with {counts}"
