# SPDX-License-Identifier: Apache-2.0
"""Linear attention stays in float where a network is quantised: NNCF on a block with large sums."""

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from evitsam_ros.backends.openvino_backend import import_openvino
from evitsam_ros.models.efficientvit.linear_attention import MultiScaleLinearAttention
from evitsam_ros.models.sam_vit import VitBlock
from training.quantization.post_training import linear_attention

from ...conftest import ROOT, lively

pytestmark = pytest.mark.skipif(find_spec("nncf") is None, reason="NNCF is not installed")

#: In a process of its own, without torch, as the command runs. Prints the products that the rule finds, and
#: the relative error and the quantised products of int8 with and without it.
RUN = '''
import json, sys
sys.modules["torch"] = None
import numpy as np
from evitsam_ros.backends.openvino_backend import import_openvino
from training.quantization.post_training import import_nncf, linear_attention
ov, nncf = import_openvino(), import_nncf()
core = ov.Core()
def image(seed):
    """Noise with outliers at one position of thirty."""
    rng = np.random.default_rng(seed)
    far = np.where(rng.random((1, 1, 16, 16)) < 1 / 30, 20, 1)
    return (rng.normal(size=(1, 32, 16, 16)) * far).astype(np.float32)
images = [image(seed) for seed in range(8)]
wanted = core.compile_model(sys.argv[1], "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(images[0])[0]
names = linear_attention(core.read_model(sys.argv[1]))
answer = {"names": names}
for label, ignored in (("with", names), ("without", [])):
    model = nncf.quantize(
        core.read_model(sys.argv[1]), nncf.Dataset(images), preset=nncf.QuantizationPreset.MIXED,
        fast_bias_correction=True, ignored_scope=nncf.IgnoredScope(names=ignored),
    )
    found = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(images[0])[0]
    quantised = [
        op.get_friendly_name() for op in model.get_ops() if op.get_type_name() in ("MatMul", "Convolution")
        and "FakeQuantize" in {port.get_source_output().get_node().get_type_name() for port in op.inputs()}
    ]
    error = float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted))
    answer[label] = {"error": error, "int8": quantised}
print(json.dumps(answer))
'''


def export(module: torch.nn.Module, shape: tuple[int, ...], path: Path) -> Path:
    torch.onnx.export(module.eval(), (torch.zeros(shape),), str(path), opset_version=20, dynamo=False)
    return path


def test_products_of_linear_attention_stay_in_float_and_layers_do_not(tmp_path):
    torch.manual_seed(0)
    attention = lively(MultiScaleLinearAttention(32))
    with torch.no_grad():
        attention.qkv.conv.weight *= 30
        attention.proj.conv.weight /= 30
    path = export(attention, (1, 32, 16, 16), tmp_path / "attention.onnx")
    command = [sys.executable, "-c", RUN, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=600)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert len(found["names"]) == 3 and all("MatMul" in name for name in found["names"])
    assert not set(found["names"]) & set(found["with"]["int8"]) and found["with"]["int8"]
    assert set(found["names"]) & set(found["without"]["int8"]), "NNCF would not quantise them: drop the rule"
    assert found["with"]["error"] < 0.95 * found["without"]["error"]


@pytest.mark.parametrize("name", ["softmax", "lite_sam", "efficientnet_sam_lite2"])
def test_other_networks_have_none(name, tmp_path):
    """Neither attention by softmax nor the divisions of layer normalisations count."""
    path = ROOT / "engines" / name / "encoder.onnx"
    if name == "softmax":
        path = export(VitBlock(64, 2, everywhere=False), (1, 14, 14, 64), tmp_path / "vit.onnx")
    model = import_openvino().Core().read_model(str(path))
    products = [node for node in model.get_ops() if node.get_type_name() == "MatMul"]
    assert linear_attention(model) == [] and bool(products) == (name == "softmax")
