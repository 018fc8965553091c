# SPDX-License-Identifier: Apache-2.0
"""PyTorch: on the CPU the reference, the plain form of every network; on a GPU the way without TensorRT."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

from ..bundle import CHECKPOINT, DENSE_NETWORK, Bundle, BundleFiles
from .base import CPU, GPU, Backend, BackendError, FunctionNetwork, Network, Requirement, installed_version
from .gpu import find_gpu, gpu_index
from .registry import register_backend

if TYPE_CHECKING:
    from pathlib import Path

#: Inputs of the decoder that stay float32: coordinates and labels.
COORDINATES = (1, 2)
#: The same of the region decoder, and its cells.
COORDINATES_AND_CELLS = (1, 2, 3)


@register_backend
class TorchBackend(Backend):
    """PyTorch; ``auto`` takes it on a GPU only."""

    name = "torch"
    title = "torch"
    install_hint = "pip install torch"
    requirements = (
        Requirement(
            "torch", (("torch", ("torch",)),), "pip install torch (export, training, reference backend)"
        ),
    )
    auto_rank = 10

    def __init__(self) -> None:
        self._models: dict[str, Any] = {}

    def version(self) -> str | None:
        """Return the version of torch; None if it is not installed."""
        return installed_version("torch")

    def auto_reason(self, bundle: BundleFiles) -> str:
        # torch is not imported on machines without a GPU.
        """Return why ``auto`` takes this backend: torch can use a GPU; empty otherwise."""
        if find_gpu() is None or find_spec("torch") is None or bundle.checkpoint is None:
            return ""
        return "on the GPU, fp16" if self.gpu_name() else ""

    def precision_here(self) -> str:
        """Return ``fp16`` on a GPU and ``fp32`` on the CPU."""
        return "fp16" if self.gpu_name() else "fp32"

    def gpu_name(self) -> str | None:
        """Return the name of torch's GPU; None on the CPU."""
        import torch

        return torch.cuda.get_device_name(gpu_index()) if torch.cuda.is_available() else None

    def load(self, bundle: BundleFiles, network: str, threads: int) -> Network:
        """Build a network from the checkpoint, on the GPU if there is one."""
        try:
            import torch
        except ImportError as error:
            raise BackendError(f"torch is not installed ({error}); {self.install_hint}") from error
        if threads:
            torch.set_num_threads(threads)
        on_gpu = torch.cuda.is_available()
        # Which GPU is the current one belongs to the thread, and inference has a thread of its own.
        current = partial(torch.cuda.device, gpu_index()) if on_gpu else nullcontext
        device = f"cuda:{gpu_index()}" if on_gpu else "cpu"
        with current():
            module = self._on_gpu(bundle, network) if on_gpu else self._plain(bundle, network)

        def run(inputs: dict[str, Any]) -> list[Any]:
            with torch.inference_mode(), current():
                outputs = module(*(torch.as_tensor(value, device=device) for value in inputs.values()))
            outputs = outputs if isinstance(outputs, (tuple, list)) else [outputs]
            if network == "encoder":  # stays where it is: the decoder reads it
                return list(outputs)
            return [output.cpu().numpy() for output in outputs]

        return FunctionNetwork(run)

    def info(self, bundle: BundleFiles, network: str, threads: int) -> dict[str, str]:
        """Describe how a network runs: device, precision and form."""
        import torch

        if torch.cuda.is_available():
            return {"device": GPU, "precision": "fp16", "form": "channels last, CUDA graphs"}
        return {"device": CPU, "precision": "fp32", "form": "plain", "threads": str(torch.get_num_threads())}

    def synchronize(self) -> None:
        """Wait for the GPU: a call only queues its work."""
        import torch

        if torch.cuda.is_available():
            torch.cuda.synchronize(gpu_index())

    def close(self) -> None:
        """Drop the models, and return the GPU memory that torch keeps for the next one."""
        import torch

        self._models.clear()
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()

    def _dense(self, bundle: BundleFiles) -> Any:
        """The network of a bundle of kind ``semantic`` or ``upscale``, in evaluation mode."""
        from ..models.efficientvit.build import create_network

        size = tuple(bundle.description["input_size"])
        return create_network(bundle.name, self._weights(bundle), size=size)

    def _plain(self, bundle: BundleFiles, network: str) -> Any:
        from ..models.decoder_rewrites import DeployedDecoder
        from ..models.foveal_decoder import FovealDecoder

        if network == DENSE_NETWORK:
            return self._dense(bundle)
        model = self._model(bundle)
        if network == "decoder":
            return DeployedDecoder(model, "plain").eval()
        if network == "foveal_decoder":
            return FovealDecoder(model).eval()
        return {"encoder": model.image_encoder, "proposals": model.auto_ppn}[network]

    def _on_gpu(self, bundle: BundleFiles, network: str) -> Any:
        import torch

        from ..models.decoder_rewrites import DeployedDecoder
        from ..models.foveal_decoder import FovealDecoder
        from .torch_gpu import Graphed, Halved, InPowersOfTwo, halve

        if network == DENSE_NETWORK:
            # In float32: at full size the attention's sums leave the range of float16.
            return self._dense(bundle).cuda().to(memory_format=torch.channels_last)

        key = f"{bundle.name} halved"
        if key not in self._models:
            deployed: Any = halve(self._model(bundle).deploy())
            self._models[key] = deployed.cuda().to(memory_format=torch.channels_last)
        model = self._models[key]
        if network == "decoder":
            return Graphed(Halved(DeployedDecoder(model).eval(), kept=COORDINATES))
        if network == "foveal_decoder":
            return InPowersOfTwo(Graphed(Halved(FovealDecoder(model).eval(), kept=COORDINATES_AND_CELLS)))
        return Graphed(Halved({"encoder": model.image_encoder, "proposals": model.auto_ppn}[network]))

    def _model(self, bundle: BundleFiles) -> Any:
        from ..models import create_model

        if bundle.name not in self._models:
            weights = self._weights(bundle)
            side = cast("Bundle", bundle).image_size
            self._models[bundle.name] = create_model(bundle.name, weights, image_size=side)
        return self._models[bundle.name]

    @staticmethod
    def _weights(bundle: BundleFiles) -> Path:
        if bundle.checkpoint is None:
            raise BackendError(
                f"the torch backend needs {bundle.folder / CHECKPOINT}, which this bundle was exported "
                "without; export it with 'evitsam export --with-weights'"
            )
        return bundle.checkpoint
