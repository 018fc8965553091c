# SPDX-License-Identifier: Apache-2.0
"""A bundle that sees: its masks are coloured regions of the image."""

from __future__ import annotations

from pathlib import Path

from bench.known_bundle import SIDE, depth_in_box, export_known, labelled


def write_colour_bundle(folder: Path) -> Path:
    """Export the bundle: a mask is the strongly coloured part of the box, or what surrounds the point.

    Proposals lie in the middle of coloured patches; their boxes reach ten of 64 cells to each side.
    """
    import torch

    def coloured(image):
        return (image.amax(1) - image.amin(1) - 0.8) * 20

    class Encoder(torch.nn.Module):
        def forward(self, image):
            return image * 1.0

    class Decoder(torch.nn.Module):
        def forward(self, image_embeddings, coords, labels, mask_input, has_mask_input):
            x, y, box = depth_in_box(coords, labels)
            point = labelled(coords, labels, 1)
            near = 14 - torch.maximum((x - point[:, 0]).abs(), (y - point[:, 1]).abs())
            has_box = (labels == 2).any(1)[:, None, None]
            logits = torch.minimum(torch.where(has_box, box, near) * 4, coloured(image_embeddings))
            logits = logits + (mask_input.sum() + has_mask_input.sum()) * 0
            iou = torch.stack([logits.amin((1, 2)) * 0 + v for v in (0.5, 0.9, 0.4)], dim=1)
            return torch.stack([logits - 9, logits, logits + 0.1], dim=1), iou

    class Proposals(torch.nn.Module):
        def forward(self, embedding):
            seen = (coloured(embedding) > 0).float()[None]
            heat = torch.nn.functional.avg_pool2d(seen, 13, 1, 6) * 0.9
            return heat, torch.full((1, 4, SIDE, SIDE), 10 / SIDE) + embedding.sum() * 0

    networks = {"encoder": Encoder(), "decoder": Decoder(), "proposals": Proposals()}
    return export_known(folder, "colour", networks, (3, SIDE, SIDE))
