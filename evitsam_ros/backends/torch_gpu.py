# SPDX-License-Identifier: Apache-2.0
"""PyTorch on a GPU without TensorRT: half precision with float32 islands, channels last, CUDA graphs."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ..models.box_prior import BoxPrior
from ..models.layers import LayerNorm2d
from ..models.prompt_encoder import RandomPositionEmbedding

if TYPE_CHECKING:
    from collections.abc import Callable

#: Modules that stay float32, as measured for TensorRT's graphs; linear attention always does.
ISLANDS = (LayerNorm2d, RandomPositionEmbedding, BoxPrior)
#: Max number of cached graphs: a decoder has one for each number of prompts and of points.
MAX_GRAPHS = 32
#: Runs before a graph is recorded; cuDNN and cuBLAS choose their kernels in the first.
WARM_UP = 3


def halve(model: nn.Module, dtype: torch.dtype = torch.float16) -> nn.Module:
    """Weights of everything but the islands to half precision, in place."""
    for module in model.modules():
        if isinstance(module, ISLANDS):
            continue
        for name, parameter in module.named_parameters(recurse=False):
            setattr(module, name, nn.Parameter(parameter.detach().to(dtype), requires_grad=False))
        for name, buffer in module.named_buffers(recurse=False):
            if buffer.is_floating_point():
                module.register_buffer(name, buffer.to(dtype))
    return model


class Halved(nn.Module):
    """A network of a halved model with float32 outside: coordinates and labels stay as they are."""

    def __init__(self, network: nn.Module, dtype: torch.dtype = torch.float16, kept: tuple[int, ...] = ()):
        super().__init__()
        self.network, self.dtype, self.kept = network, dtype, kept

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """Cast the inputs to half precision, and the outputs to float32."""
        cast = [x if i in self.kept else x.to(self.dtype) for i, x in enumerate(inputs)]
        outputs = self.network(*cast)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        return tuple(output.float() for output in outputs)


class Graphed:
    """A module on a GPU by CUDA graphs, one for each set of shapes; outputs are the caller's own."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.graphs: OrderedDict[tuple, tuple] = OrderedDict()

    def __call__(self, *inputs: Tensor) -> list[Tensor]:
        """Replay the graph of the inputs' shapes; record it first if there is none."""
        key = tuple(tuple(x.shape) for x in inputs)
        if key not in self.graphs:
            self.graphs[key] = self._record(inputs)
            while len(self.graphs) > MAX_GRAPHS:
                self.graphs.popitem(last=False)
        self.graphs.move_to_end(key)
        graph, places, outputs = self.graphs[key]
        for place, value in zip(places, inputs, strict=True):
            place.copy_(value)
        graph.replay()
        return [output.clone() for output in outputs]

    def _record(self, inputs: tuple[Tensor, ...]) -> tuple:
        places = [x.clone() for x in inputs]
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                self.module(*places)
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            outputs = self.module(*places)
        return graph, places, outputs


class InPowersOfTwo:
    """Pad a network's prompts to a power of two: few shapes, so few graphs. The first input is the image's,
    and so are others without one row per prompt.
    """

    def __init__(self, network: Callable[..., list[Tensor]]) -> None:
        self.network = network

    def __call__(self, image: Tensor, *prompts: Tensor) -> list[Tensor]:
        """Pad the prompts, run the network, and crop the outputs."""
        count = len(prompts[0])
        missing = (1 << (count - 1).bit_length()) - count
        filled = [
            torch.cat([x, x[-1:].expand(missing, *x.shape[1:])]) if len(x) == count else x for x in prompts
        ]
        return [output[:count] for output in self.network(image, *filled)]
