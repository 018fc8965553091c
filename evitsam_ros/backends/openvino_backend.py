# SPDX-License-Identifier: Apache-2.0
"""OpenVINO on the CPU."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from ..bundle import Bundle
from .base import BackendError, Network


class OpenVinoBackend:
    name = "openvino"
    remedy = "pip install openvino"

    def version(self) -> str | None:
        try:
            return version("openvino")
        except PackageNotFoundError:
            return None

    def load(self, bundle: Bundle, network: str, threads: int) -> Network:
        try:
            import openvino as ov
        except ImportError as error:
            raise BackendError(f"openvino is not installed ({error}); {self.remedy}") from error
        # On CPUs with AMX or AVX512-BF16 OpenVINO would compute in bfloat16 unasked: other masks than the
        # reference's, on some machines only.
        config: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        if threads:
            config["INFERENCE_NUM_THREADS"] = threads
        try:
            core = ov.Core()
            compiled = core.compile_model(
                _one_image(core.read_model(str(bundle.networks[network]))), "CPU", config
            )
        except Exception as error:
            raise BackendError(f"openvino cannot load {bundle.networks[network]}: {error}") from error
        request = compiled.create_infer_request()
        names = {name for port in compiled.inputs for name in port.get_names()}

        def run(inputs: dict[str, Any]) -> list[Any]:
            request.infer({name: value for name, value in inputs.items() if name in names}, share_inputs=True)
            # The tensors belong to the request and are overwritten by its next call.
            return [np.array(request.get_output_tensor(i).data) for i in range(len(compiled.outputs))]

        return run


def _one_image(model: Any) -> Any:
    """Fix the batch of an encoder to one image: OpenVINO plans fixed shapes better."""
    for port in model.inputs:
        if port.get_any_name() == "image":
            sides = [axis.get_length() for axis in list(port.get_partial_shape())[1:]]
            model.reshape({"image": [1, *sides]})
    return model
