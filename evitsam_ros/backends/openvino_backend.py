# SPDX-License-Identifier: Apache-2.0
"""OpenVINO on the CPU."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any, ClassVar, cast

import numpy as np

from ..bundle import BundleFiles
from .base import CPU, Backend, BackendError, FunctionNetwork, Network, Requirement, installed_version
from .batch_bucketing import in_buckets
from .registry import register_backend

#: Input of the encoder, and of no other network.
IMAGE = "image"


def import_openvino() -> ModuleType:
    """Import OpenVINO without its telemetry.

    At every import that forks the process, which a node with threads must not do, and reports to a server.

    Raises:
        ImportError: it is not installed.
    """
    cast("dict[str, Any]", sys.modules).setdefault("openvino_telemetry", None)
    import openvino

    return openvino


@register_backend
class OpenVinoBackend(Backend):
    """OpenVINO in float32.

    By default it would use bfloat16 on CPUs that have it, whose masks differ from the reference's. So that is
    a backend of its own.

    Attributes:
        hint: the precision that OpenVINO is configured with.
    """

    name = "openvino"
    title = "OpenVINO"
    install_hint = "pip install openvino"
    requirements = (
        Requirement("OpenVINO", (("openvino", ("openvino",)),), "pip install openvino (faster on x86 CPUs)"),
    )
    auto_rank: ClassVar[int | None] = 20
    cpu_only = True
    hint: ClassVar[str] = "f32"

    def version(self) -> str | None:
        return installed_version("openvino")

    def load(self, bundle: BundleFiles, network: str, threads: int) -> Network:
        try:
            ov = import_openvino()
        except ImportError as error:
            raise BackendError(f"openvino is not installed ({error}); {self.install_hint}") from error
        config = self._config(threads)
        core = ov.Core()
        if self.hint == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise BackendError(
                f"{self.name} needs a CPU with AMX or AVX512-BF16; backend openvino is float32"
            )
        # OpenVINO rejects weights beside a link, as those of colcon's symlink install.
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

        return FunctionNetwork(in_buckets(run) if "point_coords" in names else run)

    def info(self, bundle: BundleFiles, network: str, threads: int) -> dict[str, str]:
        precision = {"f32": "fp32"}.get(self.hint, self.hint)
        config = {name: str(value) for name, value in self._config(threads).items()}
        return {"device": CPU, "precision": precision, **config}

    def _config(self, threads: int) -> dict[str, str | int]:
        config = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": self.hint}
        return config | ({"INFERENCE_NUM_THREADS": threads} if threads else {})


@register_backend
class OpenVinoBf16Backend(OpenVinoBackend):
    """OpenVINO in bfloat16: on CPUs with AMX the encoder is twice as fast; masks differ by cells."""

    name = "openvino_bf16"
    title = "OpenVINO, bfloat16"
    auto_rank = None
    variant_of = "openvino"
    precision = "bf16"
    hint = "bf16"


def _of_batch(model: Any, images: int) -> Any:
    """Fix the batch of an encoder: OpenVINO plans fixed shapes better."""
    for port in model.inputs:
        if port.get_any_name() == IMAGE:
            sides = [axis.get_length() for axis in list(port.get_partial_shape())[1:]]
            model.reshape({IMAGE: [images, *sides]})
    return model
