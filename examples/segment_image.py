# SPDX-License-Identifier: Apache-2.0
"""Segment one image with the library: a box and a click, without ROS.

    python examples/segment_image.py demo/pictures/astronaut.jpg --box 95 0 330 505 --out masks.png

The script prints the score and the box of each mask, and writes the image with the masks drawn in.
"""

import argparse
from pathlib import Path

import cv2

from evitsam_ros.io.image_files import read_image, write_image
from evitsam_ros.segment import Prompt, Segmenter, draw_overlay


def parse_options() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("image", type=Path)
    parser.add_argument("--box", type=float, nargs=4, metavar=("X0", "Y0", "X1", "Y1"))
    parser.add_argument("--point", type=float, nargs=2, metavar=("X", "Y"))
    parser.add_argument("--model", default="efficientnet_sam_lite2", help="name or folder of a bundle")
    parser.add_argument("--out", type=Path, default=Path("masks.png"))
    options = parser.parse_args()
    if options.box is None and options.point is None:
        parser.error("give --box, --point, or both")
    return options


def main() -> None:
    """Encode the image once, decode all prompts in one call, and write the overlay."""
    options = parse_options()
    image = cv2.cvtColor(read_image(options.image), cv2.COLOR_BGR2RGB)
    prompts = []
    if options.box is not None:
        prompts.append(Prompt.parse(box=options.box))
    if options.point is not None:
        prompts.append(Prompt.parse(points=[options.point]))

    segmenter = Segmenter.open(options.model)
    embedding = segmenter.embed(image)  # the slow part; keep it to decode more prompts of this image
    masks = segmenter.decode(embedding, prompts)

    for identity, score, box in zip(masks.object_ids, masks.scores, masks.boxes, strict=True):
        print(f"object {identity}: predicted IoU {score:.2f}, box {box.round(1).tolist()}")
    overlay = draw_overlay(image, masks, prompts=prompts)
    write_image(options.out, cv2.cvtColor(overlay, cv2.COLOR_RGB2BGR))


if __name__ == "__main__":
    main()
