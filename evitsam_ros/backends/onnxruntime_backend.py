# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime on the CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .base import CPU, Backend, BackendError, FunctionNetwork, Network, Requirement, installed_version
from .registry import register_backend

if TYPE_CHECKING:
    from ..bundle import BundleFiles

PROVIDER = "CPUExecutionProvider"
#: Spinning threads are a little faster and starve everything else that the robot runs.
ENTRIES = {"session.intra_op.allow_spinning": "0"}


DISTRIBUTIONS = ("onnxruntime", "onnxruntime-gpu")


@register_backend
class OnnxRuntimeBackend(Backend):
    """Run networks by ONNX Runtime on the CPU, in float32."""

    name = "onnxruntime"
    title = "ONNX Runtime"
    install_hint = "pip install onnxruntime"
    requirements = (
        Requirement(
            "ONNX Runtime", (("onnxruntime", DISTRIBUTIONS),), "pip install onnxruntime", needed=True
        ),
    )
    auto_rank = 30
    cpu_only = True
    precision = "fp32"

    def version(self) -> str | None:
        """Return the version of ONNX Runtime; None if it is not installed."""
        return installed_version(*DISTRIBUTIONS)

    def load(self, bundle: BundleFiles, network: str, threads: int) -> Network:
        """Open a session of a network on the CPU."""
        try:
            import onnxruntime as ort
        except ImportError as error:
            raise BackendError(f"onnxruntime is not installed ({error}); {self.install_hint}") from error
        ort.disable_telemetry_events()  # on by default, on Linux too since 1.31
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        for name, value in ENTRIES.items():
            options.add_session_config_entry(name, value)
        try:
            session = ort.InferenceSession(str(bundle.networks[network]), options, providers=[PROVIDER])
        except Exception as error:
            raise BackendError(f"onnxruntime cannot load {bundle.networks[network]}: {error}") from error
        names = {entry.name for entry in session.get_inputs()}

        def run(inputs: dict[str, Any]) -> list[Any]:
            return session.run(None, {name: value for name, value in inputs.items() if name in names})

        return FunctionNetwork(run)

    def info(self, bundle: BundleFiles, network: str, threads: int) -> dict[str, str]:
        """Describe how a network runs: device, precision, provider, threads and session entries."""
        info = {"device": CPU, "precision": "fp32", "provider": PROVIDER, "threads": str(threads)}
        return info | ENTRIES
