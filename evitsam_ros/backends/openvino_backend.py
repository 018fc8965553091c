# SPDX-License-Identifier: Apache-2.0
"""OpenVINO on the CPU."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np

from ..bundle_forms import find_form
from .base import CPU, Backend, BackendError, FunctionNetwork, Network, Requirement, installed_version
from .batch_bucketing import in_buckets
from .registry import register_backend

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from ..bundle import BundleFiles

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

    By default OpenVINO uses bfloat16 on CPUs that have it, and the masks differ from the reference's. So
    bfloat16 is a separate backend.

    Attributes:
        hint: the precision that OpenVINO is configured with.
        capability: OpenVINO's name of the required CPU capability; empty: none.
        needs: the same in messages.
    """

    name = "openvino"
    title = "OpenVINO"
    install_hint = "pip install openvino"
    requirements = (
        Requirement("OpenVINO", (("openvino", ("openvino",)),), "pip install openvino (faster on x86 CPUs)"),
    )
    auto_rank: ClassVar[int | None] = 20
    cpu_only = True
    precision: ClassVar[str] = "fp32"
    hint: ClassVar[str] = "f32"
    capability: ClassVar[str] = ""
    needs: ClassVar[str] = ""

    def version(self) -> str | None:
        """Return the version of OpenVINO; None if it is not installed."""
        return installed_version("openvino")

    def load(self, bundle: BundleFiles, network: str, threads: int) -> Network:
        """Compile a network on the CPU, for each batch size of images that it is called with."""
        try:
            ov = import_openvino()
        except ImportError as error:
            raise BackendError(f"openvino is not installed ({error}); {self.install_hint}") from error
        core = ov.Core()
        if not self._is_capable(core):
            raise BackendError(f"{self.name} needs {self.needs}; backend openvino is float32")
        config = self._config(threads)
        # OpenVINO rejects weights beside a link, as those of colcon's symlink install.
        path = str(self._file(bundle, network).resolve())

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
        """Describe how a network runs: device, precision and configuration."""
        config = {name: str(value) for name, value in self._config(threads).items()}
        return {"device": CPU, "precision": self._precision_of(bundle, network), **config}

    def problem(self, bundle: BundleFiles, network: str) -> str:
        """Return the reason why a network cannot run here; empty if it can."""
        if missing := super().problem(bundle, network):
            return missing
        return (
            "" if not self.capability or self._is_capable(import_openvino().Core()) else f"needs {self.needs}"
        )

    def _is_capable(self, core: Any) -> bool:
        return not self.capability or self.capability in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")

    def _file(self, bundle: BundleFiles, network: str) -> Path:
        """Return the file that a network is read from."""
        return bundle.networks[network]

    def _precision_of(self, bundle: BundleFiles, network: str) -> str:
        return self.precision

    def _config(self, threads: int) -> dict[str, str | int]:
        config = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": self._hint()}
        return config | ({"INFERENCE_NUM_THREADS": threads} if threads else {})

    def _hint(self) -> str:
        return self.hint


class OpenVinoVariant(OpenVinoBackend):
    """OpenVINO in another precision: taken by name, or where it was measured and its masks compared."""

    auto_rank = None
    variant_of = "openvino"


@register_backend
class OpenVinoBf16Backend(OpenVinoVariant):
    """OpenVINO in bfloat16: on CPUs with AMX the encoder is twice as fast; masks differ by cells."""

    name = "openvino_bf16"
    title = "OpenVINO, bfloat16"
    precision = "bf16"
    hint = "bf16"
    capability = "BF16"
    needs = "a CPU with AMX or AVX512-BF16"


@register_backend
class OpenVinoFp16Backend(OpenVinoVariant):
    """OpenVINO in float16, which Arm CPUs compute in."""

    name = "openvino_fp16"
    title = "OpenVINO, float16"
    precision = "fp16"
    hint = "f16"
    capability = "FP16"
    needs = "a CPU with float16 arithmetic (Arm v8.2)"


@register_backend
class OpenVinoInt8Backend(OpenVinoVariant):
    """OpenVINO on the int8 forms of a bundle; all other layers compute in bfloat16 where the CPU has it."""

    name = "openvino_int8"
    title = "OpenVINO, int8"
    precision = "int8"

    def load(self, bundle: BundleFiles, network: str, threads: int) -> Network:
        """Compile the int8 form of a network, or the network itself without one."""
        if not any(find_form(bundle, each, "int8") for each in bundle.networks):
            raise BackendError(
                f"{bundle.name} has no int8 form of a network; make one with "
                f"'evitsam quantize {bundle.name} --data DATA'"
            )
        return super().load(bundle, network, threads)

    def problem(self, bundle: BundleFiles, network: str) -> str:
        """Return the reason why the int8 form of a network cannot be used; empty if it can."""
        form = find_form(bundle, network, "int8")
        if form is None:
            return f"the bundle has no int8 form of the {network}"
        return super().problem(bundle, network) if form.held_out else "its int8 form has no held-out figures"

    def _file(self, bundle: BundleFiles, network: str) -> Path:
        form = find_form(bundle, network, "int8")
        return super()._file(bundle, network) if form is None else form.file

    def _precision_of(self, bundle: BundleFiles, network: str) -> str:
        if find_form(bundle, network, "int8"):
            return "int8"
        return {"f32": "fp32"}.get(self._hint(), self._hint())

    def _hint(self) -> str:
        return "bf16" if OpenVinoBf16Backend()._is_capable(import_openvino().Core()) else "f32"


def _of_batch(model: Any, images: int) -> Any:
    """Fix the batch of an encoder: OpenVINO plans fixed shapes better."""
    for port in model.inputs:
        if port.get_any_name() == IMAGE:
            sides = [axis.get_length() for axis in list(port.get_partial_shape())[1:]]
            model.reshape({IMAGE: [images, *sides]})
    return model
