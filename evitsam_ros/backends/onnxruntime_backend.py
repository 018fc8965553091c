# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime on the CPU."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ..bundle import Bundle
from .base import CPU, BackendError, Network

PROVIDER = "CPUExecutionProvider"
#: Spinning threads are a little faster and starve everything else that the robot runs.
ENTRIES = {"session.intra_op.allow_spinning": "0"}


class OnnxRuntimeBackend:
    name = "onnxruntime"
    remedy = "pip install onnxruntime"

    def version(self) -> str | None:
        for package in ("onnxruntime", "onnxruntime-gpu"):
            try:
                return version(package)
            except PackageNotFoundError:
                continue
        return None

    def load(self, bundle: Bundle, network: str, threads: int) -> Network:
        try:
            import onnxruntime as ort
        except ImportError as error:
            raise BackendError(f"onnxruntime is not installed ({error}); {self.remedy}") from error
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

        return run

    def facts(self, bundle: Bundle, network: str, threads: int) -> dict[str, str]:
        told = {"device": CPU, "precision": "fp32", "provider": PROVIDER, "threads": str(threads)}
        return told | ENTRIES
