# SPDX-License-Identifier: Apache-2.0
"""PyTorch, the reference: the plain form of every network, on the CPU or on CUDA."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from ..bundle import Bundle
from .base import BackendError, Network

WEIGHTS = "model.safetensors"


class TorchBackend:
    name = "torch"
    remedy = "pip install torch"

    def __init__(self) -> None:
        self._models: dict[str, Any] = {}

    def version(self) -> str | None:
        try:
            return version("torch")
        except PackageNotFoundError:
            return None

    def load(self, bundle: Bundle, network: str, threads: int) -> Network:
        try:
            import torch

            from ..models.decoder_rewrites import DeployedDecoder
        except ImportError as error:
            raise BackendError(f"torch is not installed ({error}); {self.remedy}") from error
        if threads:
            torch.set_num_threads(threads)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        model = self._model(bundle).to(device)
        modules = {
            "encoder": model.image_encoder,
            "decoder": DeployedDecoder(model, "plain").eval().to(device),
            "proposals": model.auto_ppn,
        }
        module = modules[network]

        def run(inputs: dict[str, Any]) -> list[Any]:
            with torch.inference_mode():
                outputs = module(*(torch.as_tensor(value, device=device) for value in inputs.values()))
            if network == "encoder":
                return [outputs]
            return [output.cpu().numpy() for output in outputs]

        return run

    def _model(self, bundle: Bundle) -> Any:
        from ..models import create_model

        if bundle.name not in self._models:
            weights = bundle.folder / WEIGHTS
            if not weights.is_file():
                raise BackendError(
                    f"the torch backend needs {weights}, which this bundle was exported without; "
                    "export it with 'evitsam export --with-weights'"
                )
            self._models[bundle.name] = create_model(bundle.name, weights)
        return self._models[bundle.name]
