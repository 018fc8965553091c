# SPDX-License-Identifier: Apache-2.0
"""``evitsam segment``."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from .options import add_model, add_prompts, prompts_of


def add(commands) -> None:
    parser = commands.add_parser("segment", help="segment a picture, a video or a folder of frames")
    parser.add_argument("image", type=Path, help="picture, video file or folder")
    add_prompts(parser)
    add_model(parser)
    parser.add_argument(
        "--track", action="store_true", help="of a video or a folder: objects keep their ids, prompts follow"
    )
    parser.add_argument(
        "--out", type=Path, help="picture with the masks drawn in (default: IMAGE_masks.png); video or folder"
    )
    parser.add_argument("--json", type=Path, help="masks as RLE, with boxes and scores; a sequence: as COCO")


def run(options: argparse.Namespace) -> int:
    import cv2

    from ..segment import Segmenter, draw_overlay
    from ..sources import VIDEOS

    prompts = prompts_of(options)
    if options.image.is_dir() or options.image.suffix.lower() in VIDEOS:
        return _segment_sequence(options, prompts)
    if options.track:
        raise ValueError("--track is for a video or a folder of frames")
    picture = cv2.imread(str(options.image), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError(f"{options.image} cannot be read as a picture")
    image = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    segmenter = Segmenter.open(options.model, options.backend)
    if options.everything:
        masks = segmenter.everything(image, options.top_n)
    else:
        masks = segmenter.decode(segmenter.embed(image), prompts)
    out = options.out or options.image.with_name(f"{options.image.stem}_masks.png")
    overlay = draw_overlay(image, masks, prompts=prompts)
    if not cv2.imwrite(str(out), cv2.cvtColor(overlay, cv2.COLOR_RGB2BGR)):
        raise ValueError(f"{out} cannot be written")
    if options.json:
        options.json.write_text(json.dumps(_as_json(masks, segmenter, options.image)))
    print(f"{segmenter.description}")
    for box, score, identity in zip(masks.boxes, masks.scores, masks.object_ids, strict=True):
        print(f"{identity:4d}  score {score:.3f}  box {', '.join(f'{v:.1f}' for v in box)}")
    stages = ", ".join(f"{name} {seconds * 1e3:.1f} ms" for name, seconds in segmenter.timings.items())
    print(f"{len(masks)} masks ({stages}) -> {out}")
    return 0


def _segment_sequence(options: argparse.Namespace, prompts: list) -> int:
    from ..segment import Segmenter
    from ..sources import open_source
    from ..tracking.sequence import segment_sequence

    segmenter = Segmenter.open(options.model, options.backend)
    out = options.out or options.image.with_name(f"{options.image.stem}_masks.avi")
    numbered = {number: prompt for number, prompt in enumerate(prompts, start=1)} or None
    report = segment_sequence(
        segmenter,
        open_source(str(options.image), loop=False),
        out,
        prompts=numbered,
        top_n=options.top_n,
        track=options.track,
    )
    if options.json:
        options.json.write_text(json.dumps(report))
    objects = {annotation["track_id"] for annotation in report["annotations"]}
    print(f"{segmenter.description}")
    frames, masks = len(report["images"]), len(report["annotations"])
    print(f"{frames} frames, {masks} masks, {len(objects)} ids -> {out}")
    return 0


def _as_json(masks, segmenter, image: Path) -> dict:
    records = [
        {"id": int(identity), "score": float(score), "box": [float(v) for v in box], "segmentation": rle}
        for identity, score, box, rle in zip(
            masks.object_ids, masks.scores, masks.boxes, masks.rle(), strict=True
        )
    ]
    return {
        "image": image.name,
        "size": list(masks.image_size),
        "model": segmenter.bundle.name,
        "masks": records,
    }
