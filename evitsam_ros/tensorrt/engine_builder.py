# SPDX-License-Identifier: Apache-2.0
"""Build an engine of a graph, by TensorRT's parser and builder."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

from ..backends.tensorrt.api import TensorRt, TensorRtError
from ..backends.tensorrt.cuda_memory import open_cuda

if TYPE_CHECKING:
    from onnx import ModelProto

    from .build import NetworkPlan, Progress


def build_engine(
    tensorrt: TensorRt, model: ModelProto, network: NetworkPlan, target: str | None, progress: Progress
) -> memoryview:
    """Parse a graph and build its engine for ``target``, or for the GPU of this machine if it is None.

    Raises:
        BackendError: the engine is for this machine, and CUDA bindings are missing.
        TensorRtError: the parser or the builder fails; has its error messages.
    """
    with open_cuda().active() if target is None else nullcontext():
        return _build(tensorrt, model, network, target, progress)


def _build(
    tensorrt: TensorRt, model: ModelProto, network: NetworkPlan, target: str | None, progress: Progress
) -> memoryview:
    trt = tensorrt.module
    logger = _Logger.of(trt)
    builder = trt.Builder(logger)
    definition = builder.create_network(tensorrt.strongly_typed)
    parser = trt.OnnxParser(definition, logger)
    if not parser.parse(model.SerializeToString()):
        reasons = "; ".join(str(parser.get_error(i)) for i in range(parser.num_errors))
        raise TensorRtError(f"{tensorrt.name} cannot parse {network.onnx.name}: {reasons}")
    config = builder.create_builder_config()
    if hasattr(trt.BuilderFlag, "TF32"):
        # TF32 is on by default; it would multiply in float32 layers and islands with 10 bits of mantissa.
        config.clear_flag(trt.BuilderFlag.TF32)
    if target is not None:
        config.num_compute_capabilities = 1
        config.set_compute_capability(getattr(trt.ComputeCapability, target.upper()), 0)
    for shapes in network.profiles:
        profile = builder.create_optimization_profile()
        for name, (low, best, high) in shapes.items():
            profile.set_shape(name, low, best, high)
        config.add_optimization_profile(profile)
    if tensorrt.has_monitor:
        config.progress_monitor = _monitor(trt, network.network, progress)
    engine = builder.build_serialized_network(definition, config)
    if engine is None:
        errors = " ".join(logger.errors[-3:]) or "no reason given"
        raise TensorRtError(
            f"{tensorrt.name} cannot build the {network.network} for {target or 'this GPU'}: {errors}"
        )
    return memoryview(engine)


class _Logger:
    """Collect TensorRT's error messages for the exception of a failed build."""

    @staticmethod
    def of(trt):
        class Logger(trt.ILogger):
            def __init__(self) -> None:
                trt.ILogger.__init__(self)
                self.errors: list[str] = []

            def log(self, severity, message: str) -> None:
                if severity in (trt.ILogger.ERROR, trt.ILogger.INTERNAL_ERROR):
                    self.errors.append(message)

        return Logger()


def _monitor(trt, network: str, progress: Progress):
    class Monitor(trt.IProgressMonitor):
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.outer: tuple[str, int] | None = None

        def phase_start(self, phase_name, parent_phase, num_steps) -> None:
            if parent_phase is None:
                self.outer = (phase_name, num_steps)

        def step_complete(self, phase_name, step) -> bool:
            if self.outer and phase_name == self.outer[0]:
                progress(f"building {network}", step + 1, self.outer[1])
            return True

        def phase_finish(self, phase_name) -> None:
            pass

    return Monitor()
