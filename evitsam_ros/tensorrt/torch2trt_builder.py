# SPDX-License-Identifier: Apache-2.0
"""Run ``evitsam build --via torch2trt``: encoder and AutoPPN directly from the checkpoint, without ONNX.

torch2trt converts modules of fixed shapes layer by layer. The decoder has dynamic prompts, so it goes through
ONNX with its islands. torch2trt has no islands: an encoder that needs them fails its proof in fp16.
"""

from __future__ import annotations

import importlib
from contextlib import closing
from typing import TYPE_CHECKING, Any

from ..backends.tensorrt.api import TensorRt, TensorRtError
from ..bundle import HIGH_RES, Bundle
from .build import Options, Progress, Report, graphs_in_precision, plan
from .engine_builder import build_engine
from .engine_validation import engines_runtime
from .precision import convert
from .validate import Proof, ValidationError, prove

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from onnx import ModelProto

    from ..backends.gpu import Gpu
    from ..backends.tensorrt.engine_cache import EngineCache

INSTEAD = "build through ONNX instead: omit --via"

ENCODER_OUTPUTS = ["image_embeddings", *HIGH_RES]
#: Networks that torch2trt cannot trace: their ONNX goes to the same builder.
DECODERS = {"decoder", "foveal_decoder"}


def find_torch2trt(tensorrt: TensorRt, gpu: Gpu | None) -> Any:
    """Import the function ``torch2trt``.

    Raises:
        TensorRtError: it cannot be used here; has the reason and the alternative.
    """
    major = int(tensorrt.version.split(".")[0])
    if tensorrt.kind != "tensorrt" or major > 10:
        raise TensorRtError(f"torch2trt works with TensorRT up to 10, found {tensorrt.name}; {INSTEAD}")
    if gpu is None:
        raise TensorRtError(f"torch2trt builds on the GPU that runs the engine, and there is none; {INSTEAD}")
    try:
        return importlib.import_module("torch2trt").torch2trt
    except ImportError as error:
        raise TensorRtError(
            f"torch2trt cannot be imported ({error}): it is on GitHub only (NVIDIA-AI-IOT/torch2trt) and "
            f"needs torch with CUDA; {INSTEAD}"
        ) from error


def build_with_torch2trt(
    bundle: Bundle,
    options: Options,
    tensorrt: TensorRt,
    gpu: Gpu | None,
    images: Sequence[np.ndarray],
    cache: EngineCache,
    progress: Progress,
) -> Report:
    """Convert the networks, prove the masks on this GPU, and store the engines if they agree.

    Raises:
        TensorRtError: torch2trt cannot be used here, or the bundle has no ``model.safetensors``.
        ValidationError: the masks differ; no engine is stored.
    """
    to_trt = find_torch2trt(tensorrt, gpu)
    if options.precision not in ("fp32", "fp16"):
        raise TensorRtError(f"torch2trt builds fp32 and fp16, not {options.precision}; {INSTEAD}")
    plans = {p.network: p for p in plan(bundle, options, tensorrt, gpu)}
    engines = {}
    made = Report({}, Proof(options.precision, 0, 0.0, 0.0))
    for name, graph in decoder_graphs(bundle, options, images, made, progress).items():
        engines[name] = bytes(build_engine(tensorrt, graph, plans[name], None, progress))
    for done, (name, (module, example, ins, outs)) in enumerate(_modules(bundle).items()):
        progress(f"converting {name}", done, len(plans))
        half = options.precision == "fp16"
        module = to_trt(module, [example], input_names=ins, output_names=outs, fp16_mode=half, use_onnx=False)
        engines[name] = bytes(module.engine.serialize())
    with closing(engines_runtime(tensorrt, engines)) as runtime:
        proof = prove(bundle, runtime, images, options.precision, ran=True)
    if problem := proof.problem():
        raise ValidationError(f"{bundle.name} by torch2trt in {options.precision}: {problem}; {INSTEAD}")
    made.proof = proof
    for name, content in engines.items():
        islands = sorted(made.islands.get(name, ()))
        report = {"proof": proof.as_dict(), "via": "torch2trt", "islands": islands}
        made.engines[name] = cache.store(plans[name].key, content, report)
    return made


def decoder_graphs(
    bundle: Bundle, options: Options, images: Sequence[np.ndarray], report: Report, progress: Progress
) -> dict[str, ModelProto]:
    """Make the decoders' graphs in the precision of the options; errors and islands go into ``report``."""
    graphs = graphs_in_precision(bundle, options, images, report, progress, DECODERS)
    return {
        name: convert(graph, options.half, report.islands.get(name, ())) for name, graph in graphs.items()
    }


def _modules(bundle: Bundle) -> dict[str, tuple[Any, Any, list[str], list[str]]]:
    """Return modules on the GPU, each with an example input and the names of inputs and outputs."""
    import torch

    from ..models import create_model

    weights = bundle.checkpoint
    if weights is None:
        raise TensorRtError(f"{bundle.folder} has no model.safetensors: export it with --with-weights")
    model = create_model(bundle.name, weights, image_size=bundle.image_size).deploy().cuda()
    image = torch.zeros(1, 3, bundle.image_size, bundle.image_size, device="cuda")
    embedding = torch.zeros(1, *bundle.embedding, device="cuda")
    outputs = ENCODER_OUTPUTS[: 1 + len(bundle.high_res_feats)]
    modules: dict[str, tuple[Any, Any, list[str], list[str]]] = {
        "encoder": (model.image_encoder, image, ["image"], outputs)
    }
    if bundle.has_proposals:
        modules["proposals"] = (model.auto_ppn, embedding, ["image_embeddings"], ["heat", "boxes"])
    return modules
