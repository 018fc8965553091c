# SPDX-License-Identifier: Apache-2.0
"""OpenVINO on the CPU."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from types import ModuleType
from typing import Any

import numpy as np

from ..bundle import Bundle
from .base import CPU, BackendError, Network
from .batch_bucketing import in_few_shapes

#: Input of the encoder, and of no other network.
IMAGE = "image"


def import_openvino() -> ModuleType:
    """The module, without its telemetry: that forks the process, which a node with threads must not be, and
    reports to a server, at every import. ``ImportError`` where it is not installed.
    """
    sys.modules.setdefault("openvino_telemetry", None)
    import openvino

    return openvino


class OpenVinoBackend:
    """``precision`` is what OpenVINO computes in.

    Left alone it would take bfloat16 unasked on CPUs that have it: other masks than the reference's, on some
    machines only. So that is a backend of its own.
    """

    name = "openvino"
    remedy = "pip install openvino"
    precision = "f32"

    def version(self) -> str | None:
        try:
            return version("openvino")
        except PackageNotFoundError:
            return None

    def load(self, bundle: Bundle, network: str, threads: int) -> Network:
        try:
            ov = import_openvino()
        except ImportError as error:
            raise BackendError(f"openvino is not installed ({error}); {self.remedy}") from error
        config = self._config(threads)
        core = ov.Core()
        if self.precision == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise BackendError(
                f"{self.name} needs a CPU with AMX or AVX512-BF16; backend openvino is float32"
            )
        # It refuses weights beside a link, as those of colcon's symlink install.
        path = str(bundle.networks[network].resolve())

        def request_for(images: int) -> Any:
            return core.compile_model(
                _of_batch(core.read_model(path), images), "CPU", config
            ).create_infer_request()

        try:
            requests = {1: request_for(1)}
        except Exception as error:
            raise BackendError(f"openvino cannot load {bundle.networks[network]}: {error}") from error
        outputs = range(len(requests[1].model_outputs))
        names = {name for port in requests[1].model_inputs for name in port.get_names()}

        def run(inputs: dict[str, Any]) -> list[Any]:
            images = len(inputs[IMAGE]) if IMAGE in inputs else 1
            if images not in requests:
                bundle.check(network)  # the file is read again, long after the bundle was opened
                requests[images] = request_for(images)
            request = requests[images]
            request.infer({name: value for name, value in inputs.items() if name in names}, share_inputs=True)
            # The tensors belong to the request and are overwritten by its next call.
            return [np.array(request.get_output_tensor(i).data) for i in outputs]

        return in_few_shapes(run) if "point_coords" in names else run

    def facts(self, bundle: Bundle, network: str, threads: int) -> dict[str, str]:
        precision = {"f32": "fp32"}.get(self.precision, self.precision)
        told = {name: str(value) for name, value in self._config(threads).items()}
        return {"device": CPU, "precision": precision, **told}

    def _config(self, threads: int) -> dict[str, str | int]:
        config = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": self.precision}
        return config | ({"INFERENCE_NUM_THREADS": threads} if threads else {})


class OpenVinoBf16Backend(OpenVinoBackend):
    """On CPUs with AMX an encoder twice as fast; masks differ from the reference's by cells."""

    name = "openvino_bf16"
    precision = "bf16"


def _of_batch(model: Any, images: int) -> Any:
    """Fix the batch of an encoder: OpenVINO plans fixed shapes better."""
    for port in model.inputs:
        if port.get_any_name() == IMAGE:
            sides = [axis.get_length() for axis in list(port.get_partial_shape())[1:]]
            model.reshape({IMAGE: [images, *sides]})
    return model
