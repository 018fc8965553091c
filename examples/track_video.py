# SPDX-License-Identifier: Apache-2.0
"""Segment all objects of a video with ids that last, without ROS.

    python examples/track_video.py walk.mp4 --out walk_masks.avi

The script prints in how many frames each id was seen, and writes the video with the masks drawn in.
"""

import argparse
from collections import Counter
from pathlib import Path

import cv2

from evitsam_ros.io.sources import open_sequence
from evitsam_ros.io.video_files import VideoWriter
from evitsam_ros.segment import Frame, Segmenter, draw_overlay
from evitsam_ros.tracking import TrackedCamera


def main() -> None:
    """Track every frame in its order; an object keeps its id and its colour."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("video", type=Path, help="video file, or folder of frames")
    parser.add_argument("--model", default="efficientnet_sam_lite2", help="name or folder of a bundle")
    parser.add_argument("--max-prompts", type=int, default=64, help="more prompts find more objects")
    parser.add_argument("--out", type=Path, default=Path("masks.avi"))
    options = parser.parse_args()

    camera = TrackedCamera(Segmenter.open(options.model))
    sequence = open_sequence(options.video)
    seen: Counter[int] = Counter()
    writer = VideoWriter(options.out, sequence.rate)
    try:
        for _, pixels in sequence.frames:
            image = cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB)
            masks = camera.everything(Frame(image), options.max_prompts)
            seen.update(masks.object_ids.tolist())
            writer.add(cv2.cvtColor(draw_overlay(image, masks), cv2.COLOR_RGB2BGR))
        writer.finish()  # the file appears under its name now
    finally:
        writer.discard()  # removes what is not finished
    for identity, frames in sorted(seen.items()):
        print(f"object {identity}: {frames} frames")


if __name__ == "__main__":
    main()
