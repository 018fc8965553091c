# SPDX-License-Identifier: Apache-2.0
"""Quantise the encoder to int8: NNCF's post-training quantisation of the OpenVINO model.

Matrix products and convolutions become int8; layers that NNCF keeps in float (normalisations, GELU) compute
in float32 or bfloat16, as the runtime is configured. So do the products of linear attention, with sums over
all positions that have outliers. With accuracy control NNCF returns the layers with the largest loss to
float, until the masks of training images meet the limit.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from evitsam_ros.backends import Encoded
from evitsam_ros.backends.openvino_backend import import_openvino
from evitsam_ros.bundle import sha256
from evitsam_ros.segment import Embedding, Prompt, Segmenter
from evitsam_ros.segment.transform import Transform

from ..evaluation.mask_metrics import mask_iou
from .calibration import encoder_input

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from ..records import Record

#: Boxes per image; their masks are compared while layers are selected.
BOXES = 8


def import_nncf() -> Any:
    """Import NNCF without OpenVINO's telemetry and log output.

    Raises:
        ValueError: NNCF is not installed.
    """
    import_openvino()
    try:
        import nncf
    except ImportError as error:
        raise ValueError(
            f"NNCF is not installed ({error}): pip install -r requirements/quantize.txt"
        ) from error
    logging.getLogger("nncf").setLevel(logging.WARNING)
    return nncf


def quantize_encoder(segmenter: Segmenter, images: Sequence[Record], max_drop: float | None = None) -> Any:
    """Quantise the encoder of a bundle; return an OpenVINO model of any batch size.

    Args:
        segmenter: of the bundle, in float32; its decoder predicts the masks of accuracy control.
        images: training images for the ranges of activations; also for the masks of accuracy control.
        max_drop: max loss of mean box IoU on ``images``; layers are returned to float until it is met. None:
            no accuracy control.

    Raises:
        ValueError: NNCF is not installed.
    """
    bundle = segmenter.bundle
    model = import_openvino().Core().read_model(str(bundle.networks["encoder"].resolve()))
    if max_drop is None:
        return quantize_network(model, images, partial(encoder_input, bundle))
    nncf = import_nncf()
    return nncf.quantize_with_accuracy_control(
        model,
        nncf.Dataset(list(images), partial(encoder_input, bundle)),
        nncf.Dataset(list(images)),
        partial(box_iou, segmenter),
        max_drop=max_drop,
        drop_type=nncf.DropType.ABSOLUTE,
        **_options(nncf, model, images),
    )


def quantize_network(model: Any, images: Sequence[Any], network_input: Callable[[Any], Any]) -> Any:
    """Quantise a network; return an OpenVINO model.

    Args:
        model: an OpenVINO model in float32.
        images: of the training split, for the ranges of activations.
        network_input: makes the network's input of one of them.

    Raises:
        ValueError: NNCF is not installed.
    """
    nncf = import_nncf()
    return nncf.quantize(model, nncf.Dataset(list(images), network_input), **_options(nncf, model, images))


def _options(nncf: Any, model: Any, images: Sequence[Any]) -> dict[str, Any]:
    return {
        # Symmetric weights, asymmetric activations: GELU and Hard-Swish have short negative tails.
        "preset": nncf.QuantizationPreset.MIXED,
        "subset_size": len(images),
        "fast_bias_correction": True,
        "ignored_scope": nncf.IgnoredScope(names=linear_attention(model)),
    }


def linear_attention(model: Any) -> list[str]:
    """Return the names of the products of linear attention in an OpenVINO model, in no order.

    These are the products of two activations on the way to a division, back to the last layer with weights:
    the sums, and the normaliser that divides them.
    """
    found: set[str] = set()
    waiting = [node for node in model.get_ops() if node.get_type_name() == "Divide"]
    seen = {node.get_name() for node in waiting}
    while waiting:
        node = waiting.pop()
        sources = [port.get_source_output().get_node() for port in node.inputs()]
        if node.get_type_name() in ("MatMul", "Convolution", "GroupConvolution"):
            if any(_is_constant(source) for source in sources):
                continue
            found.add(node.get_friendly_name())
        waiting += [source for source in sources if source.get_name() not in seen]
        seen |= {source.get_name() for source in sources}
    return list(found)


def _is_constant(node: Any) -> bool:
    """Return whether a node is a weight, or one that is stored in another type or shape."""
    while node.get_type_name() in ("Convert", "Reshape", "Transpose"):
        node = node.input(0).get_source_output().get_node()
    return bool(node.get_type_name() == "Constant")


def box_iou(segmenter: Segmenter, encoder: Any, records: Iterable[Record]) -> tuple[float, list[float]]:
    """Compute the mean IoU of box prompts on embeddings of another encoder, and that of each image.

    Args:
        segmenter: its decoder predicts the masks.
        encoder: a compiled OpenVINO model of one image.
        records: images with masks.
    """
    means = []
    for record in records:
        outputs = encoder(encoder_input(segmenter.bundle, record))
        first, *rest = (np.array(outputs[port]) for port in encoder.outputs)
        transform = Transform.of(segmenter.bundle, (record.height, record.width))
        embedding = Embedding(Encoded(first, tuple(rest)), transform)
        prompts = [Prompt(box=box) for box in record.boxes[:BOXES]]
        found = segmenter.decode(embedding, prompts).full()
        ious = [mask_iou(mask, record.read_mask(i).astype(bool)) for i, mask in enumerate(found)]
        means.append(float(np.mean(ious)))
    return float(np.mean(means)), means


def save_model(model: Any, path: Path) -> Path:
    """Write an OpenVINO IR, ``.xml`` and ``.bin``; the first names the hash of the second.

    Engines and choices are stored by the hash of a network's file: it has to change with the weights.

    Returns:
        The file of the weights.
    """
    openvino, weights = import_openvino(), path.with_suffix(".bin")
    openvino.save_model(model, str(path), compress_to_fp16=False)
    model.set_rt_info(sha256(weights), ["weights_sha256"])
    openvino.save_model(model, str(path), compress_to_fp16=False)
    return weights
