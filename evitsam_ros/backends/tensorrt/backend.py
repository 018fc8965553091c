# SPDX-License-Identifier: Apache-2.0
"""Run TensorRT engines of the cache. Embeddings stay on the GPU between encoder and decoder."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, cast

from ...bundle import Bundle, BundleFiles, sha256
from ..base import GPU, Backend, BackendError, Network, Requirement
from ..device_clock import DeviceClock
from ..gpu import Gpu, find_gpu
from ..registry import register_backend
from .api import TensorRtError, find_tensorrt
from .cuda_memory import Pool, open_cuda
from .device_preprocess import DevicePreprocess, compile_kernel
from .engine_cache import EngineCache, EngineKey, check_entry
from .engine_network import RUNTIME_CACHE_SUFFIX, EngineNetwork

if TYPE_CHECKING:
    from pathlib import Path

    from ..runtime import Runtime

#: The order in which engines of one network are preferred.
PRECISIONS = ("fp16", "bf16", "fp32", "int8")


@register_backend
class TensorRtBackend(Backend):
    """TensorRT on the GPU of this machine.

    Attributes:
        precisions: precisions of the engines to use, in the order of preference.
    """

    name = "tensorrt"
    title = "TensorRT"
    install_hint = "TensorRT comes with JetPack, or by apt from NVIDIA; then: evitsam build --model BUNDLE"
    requirements = (
        Requirement(
            "TensorRT", (("tensorrt", ("tensorrt",)),), "comes with JetPack, or: apt install tensorrt"
        ),
        Requirement(
            "TensorRT-RTX",
            (("tensorrt_rtx_bindings", ("tensorrt_rtx_cu12_bindings",)),),
            "pip install tensorrt-rtx-cu12-bindings tensorrt-rtx-cu12-libs (engines for named GPUs)",
        ),
        Requirement(
            "CUDA bindings",
            (("cuda", ("cuda-bindings",)), ("pycuda", ("pycuda",))),
            "pip install cuda-bindings (12.x on JetPack 6), to run engines",
        ),
    )
    auto_rank = 0
    precisions: ClassVar[tuple[str, ...]] = PRECISIONS

    def __init__(self) -> None:
        self._pool: Pool | None = None
        self._opened: list[EngineNetwork | DevicePreprocess] = []
        self._loaded: dict[str, Path] = {}

    def version(self) -> str | None:
        """Return the version of TensorRT; None if TensorRT or a GPU is missing."""
        try:
            found = find_tensorrt().version
        except TensorRtError:
            return None
        return found if find_gpu() else None

    def auto_reason(self, bundle: BundleFiles) -> str:
        """Return the reason for a choice by ``auto``; empty if this backend cannot run."""
        return "" if self.version() is None else "engine in the cache"

    def gpu_name(self) -> str | None:
        """Return the name of the GPU."""
        gpu = find_gpu()
        return gpu.name if gpu else None

    def engine(self, bundle: BundleFiles, network: str) -> Path:
        """Find the engine of a network for this GPU and this TensorRT.

        Raises:
            BackendError: there is no such engine; has the reason and the command that builds it.
        """
        try:
            tensorrt = find_tensorrt()
        except TensorRtError as error:
            raise BackendError(str(error)) from error
        gpu = find_gpu()
        if gpu is None:
            raise BackendError("no NVIDIA GPU, or its driver is missing (check with nvidia-smi)")
        path, reason = EngineCache().best(
            EngineKey(
                model=bundle.name,
                network=network,
                onnx=sha256(bundle.networks[network]),
                runtime=tensorrt.name,
                target=f"{gpu.name} {gpu.target}",
                precision="",
            ),
            self.precisions,
        )
        if path is None:
            only = f" --precision {self.precisions[0]}" if len(self.precisions) == 1 else ""
            raise BackendError(f"{reason}; build it: evitsam build --model {bundle.name}{only}")
        return path

    def load(self, bundle: BundleFiles, network: str, threads: int) -> Network:
        """Load the engine of a network.

        Raises:
            BackendError: there is no engine, or it cannot be loaded.
        """
        path = self._loaded[network] = self.engine(bundle, network)
        if self._pool is None:
            self._pool = Pool(open_cuda())
        tensorrt = find_tensorrt()
        kernels = path.with_suffix(RUNTIME_CACHE_SUFFIX) if tensorrt.kind == "tensorrt_rtx" else None
        opened = EngineNetwork(tensorrt, path.read_bytes(), path.name, self._pool, kernels)
        self._opened.append(opened)
        return opened

    def info(self, bundle: BundleFiles, network: str, threads: int) -> dict[str, str]:
        """Return device, precision and engine of a network."""
        # A build may have stored a newer one meanwhile.
        path = self._loaded.get(network) or self.engine(bundle, network)
        key = check_entry(path).key
        return {
            "device": GPU,
            "precision": key["precision"],
            "profiles": str(key["profiles"]),
            "flags": ", ".join(key["flags"]) or "none",
            "engine": path.name,
            "engine_sha256": sha256(path),
        }

    def device_clock(self) -> DeviceClock:
        """Return a clock that times copies and engines by CUDA events from now on."""
        pool = cast("Pool", self._pool)  # of the networks, which are loaded first
        if pool.clock is not None:
            pool.clock.close()
        pool.clock = DeviceClock(pool.cuda, pool.stream)
        return pool.clock

    def preprocess(self, bundle: Bundle) -> DevicePreprocess | None:
        """Return the GPU's preprocessing; None if NVRTC is missing, so that the host preprocesses."""
        try:
            cubin = compile_kernel(cast("Gpu", find_gpu()).target)
        except BackendError:
            return None
        pool = cast("Pool", self._pool)
        opened = DevicePreprocess(pool, cubin, bundle.image_size, bundle.mean, bundle.std)
        self._opened.append(opened)
        return opened

    def close(self) -> None:
        """Free the engines and the GPU's memory; networks raise ``BackendError`` from then on."""
        for opened in self._opened:
            with suppress(Exception):  # a failed GPU; the rest is freed when the process exits
                opened.close()
        self._opened.clear()
        if self._pool is not None:
            self._pool.close()


def of_precision(precision: str) -> type[TensorRtBackend]:
    """Make a variant, as ``tensorrt_int8``, that uses engines of one precision only."""
    members = {
        "name": f"tensorrt_{precision}",
        "title": f"TensorRT, {precision}",
        "auto_rank": None,
        "variant_of": "tensorrt",
        "precision": precision,
        "precisions": (precision,),
    }
    return type(f"TensorRt{precision.title()}Backend", (TensorRtBackend,), members)


for _precision in PRECISIONS:
    register_backend(of_precision(_precision))


def engines_missing(runtime: Runtime) -> bool:
    """Return whether this machine could run TensorRT engines, but ``runtime`` does not."""
    return (
        not any(name.startswith("tensorrt") for name in runtime.backends)
        and TensorRtBackend().version() is not None
    )
