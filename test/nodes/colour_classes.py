# SPDX-License-Identifier: Apache-2.0
"""A semantic bundle that sees colours: its class is the strongest channel of a pixel."""

from __future__ import annotations

from pathlib import Path

import yaml

#: Names and colours of the classes, in the order of the channels.
COLOURS = {"stop": (220, 20, 20), "grass": (20, 220, 20), "water": (20, 20, 220)}
#: (H, W) of the network's input.
SIZE = (64, 96)


def write_colour_classes(folder: Path, *, fails_on_black: bool = False, size: tuple[int, int] = SIZE) -> Path:
    """Write the bundle: logits are the channels, averaged over cells of 8 x 8 pixels.

    Args:
        folder: of the bundle; it must not exist.
        fails_on_black: the network raises on black images.
        size: (H, W) of the network's input.
    """
    import torch

    from evitsam_ros.bundle import sha256
    from evitsam_ros.export import write_network

    class Seen(torch.nn.Module):
        def forward(self, image):
            logits = torch.nn.functional.avg_pool2d(image, 8) * 10
            if fails_on_black:
                beyond = (image.amax() < 0.01).long().reshape(1) * 7
                logits = logits * torch.ones(2).index_select(0, beyond)
            return logits

    folder.mkdir()
    path = folder / "network.onnx"
    dynamic = {"image": {0: "images"}, "logits": {0: "images"}}
    write_network(Seen().eval(), (torch.ones(1, 3, *size),), ["image"], ["logits"], dynamic, path, "fp32")
    description = {
        "format": 3,
        "kind": "semantic",
        "name": "colours",
        "networks": {"network": {"file": path.name, "sha256": sha256(path)}},
        "input_size": list(size),
        "mean": [0.0, 0.0, 0.0],
        "std": [1.0, 1.0, 1.0],
        "stride": 8,
        "classes": [{"name": name, "colour": list(colour)} for name, colour in COLOURS.items()],
    }
    (folder / "model.yaml").write_text(yaml.safe_dump(description))
    return folder
