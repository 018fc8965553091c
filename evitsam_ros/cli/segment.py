# SPDX-License-Identifier: Apache-2.0
"""``evitsam segment``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import semantic
from .measuring import measure_before
from .options import (
    add_backend,
    add_closer_looks,
    add_json,
    add_model,
    add_out,
    add_precision,
    add_prompts,
    closer_looks_of,
    path,
    prompts_of,
)
from .outputs import OutputError, check_file, check_folder

if TYPE_CHECKING:
    import argparse
    from pathlib import Path


def add(commands) -> None:
    """Add the command's parser."""
    parser = commands.add_parser("segment", help="segment an image, a video or a folder of frames")
    parser.add_argument("image", type=path, help="image, video file or folder of frames")
    add_prompts(parser)
    add_closer_looks(parser)
    add_model(parser)
    add_backend(parser)
    add_precision(parser)
    semantic.add_options(parser)
    parser.add_argument(
        "--track",
        action="store_true",
        help="track objects through a video or a folder: ids stay the same and prompts follow their object",
    )
    add_out(
        parser,
        "an image with the masks drawn in (default: IMAGE_masks.png); for a video or a folder, a video "
        "(.avi .mp4 .mkv .mov; default: IMAGE_masks.avi) or a folder",
    )
    add_json(parser, "; masks as RLE with boxes and scores, for a video or a folder in COCO format")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the command; return its exit code."""
    from ..io.bags import is_bag
    from ..io.sources import is_sequence

    if semantic.is_asked_alone(options):
        return semantic.run(options)
    prompts = prompts_of(options)
    if is_bag(options.image):
        raise ValueError(f"{options.image} is a bag; 'evitsam bag' segments it")
    if options.image.exists() and is_sequence(options.image):
        return _segment_sequence(options, prompts)
    if options.track:
        raise ValueError("--track is for a video or a folder of frames")
    return _segment_image(options, prompts)


def _segment_image(options: argparse.Namespace, prompts: list) -> int:
    import cv2

    from ..io.image_files import check_image_ending, read_image, write_image
    from ..segment import Segmenter, draw_overlay, look_closer

    closer = closer_looks_of(options)
    image = cv2.cvtColor(read_image(options.image), cv2.COLOR_BGR2RGB)
    out = options.out or beside(options.image, "_masks.png")
    check_file(out)
    check_image_ending(out)
    segmenter = Segmenter.open(options.model, options.backend, precision=options.precision)
    if options.everything:
        masks = segmenter.everything(image, options.max_prompts)
        timings = masks.timings
    else:
        embedding = segmenter.embed(image)
        masks = segmenter.decode(embedding, prompts)
        if closer is not None:
            masks = look_closer(segmenter, image, masks, closer)
        timings = {**embedding.timings, **masks.timings}
    names = semantic.mask_namer(options)(image, masks) if options.semantic else {}
    overlay = draw_overlay(image, masks, prompts=prompts)
    write_image(out, cv2.cvtColor(overlay, cv2.COLOR_RGB2BGR))
    if options.json:
        options.json.write(_as_json(masks, segmenter, options.image, names))
    print(f"{segmenter.description}")
    for box, score, identity in zip(masks.boxes, masks.scores, masks.object_ids, strict=True):
        name = f"  {names[int(identity)]}" if int(identity) in names else ""
        print(f"{identity:4d}  score {score:.3f}  box {', '.join(f'{v:.1f}' for v in box)}{name}")
    stages = ", ".join(f"{name} {seconds * 1e3:.1f} ms" for name, seconds in timings.items())
    print(f"{len(masks)} masks ({stages}) -> {out}")
    return 0


def _segment_sequence(options: argparse.Namespace, prompts: list) -> int:
    from ..io.sources import open_sequence
    from ..segment import Segmenter
    from .sequence import segment_sequence

    closer = closer_looks_of(options)
    sequence = open_sequence(options.image)
    out = options.out or beside(options.image, "_masks.avi")
    check_sequence_out(out)
    measure_before(options, sequence.count, options.model)
    segmenter = Segmenter.open(options.model, options.backend, precision=options.precision)
    numbered = {number: prompt for number, prompt in enumerate(prompts, start=1)} or None
    report = segment_sequence(
        segmenter,
        sequence,
        out,
        prompts=numbered,
        top_n=options.max_prompts,
        track=options.track,
        closer=closer,
        name_masks=semantic.mask_namer(options) if options.semantic else None,
    )
    if options.json:
        options.json.write(report)
    objects = {annotation["track_id"] for annotation in report["annotations"]}
    print(f"{segmenter.description}")
    frames, masks = len(report["images"]), len(report["annotations"])
    print(f"{frames} frames, {masks} masks, {len(objects)} ids -> {out}")
    return 0


def check_sequence_out(out: Path) -> None:
    """A video of a kind that is written, or a folder: a new one has no ending."""
    from ..io.video_files import CODECS, native_name

    if out.suffix.lower() in CODECS:
        native_name(out)
        check_file(out)
    elif out.is_dir():
        check_folder(out, out)
    elif out.suffix or out.exists():
        raise OutputError(
            f"{out} is neither a video ({', '.join(CODECS)}) nor a folder; a new folder has no ending"
        )
    else:
        check_folder(out.parent, out)


def beside(path: Path, ending: str) -> Path:
    """Return the default output: ``drive.mp4`` -> ``drive_masks.avi``; also for a folder called ``.``."""
    named = path if path.name not in ("", "..") else path.resolve()
    stem = named.name if path.is_dir() else named.stem
    return named.with_name(f"{stem}{ending}")


def _as_json(masks, segmenter, image: Path, names: dict[int, str]) -> dict:
    records = [
        {"id": int(identity), "score": float(score), "box": [float(v) for v in box], "segmentation": rle}
        for identity, score, box, rle in zip(
            masks.object_ids, masks.scores, masks.boxes, masks.rle(), strict=True
        )
    ]
    for record in records:
        if record["id"] in names:
            record["class"] = names[record["id"]]
    return {
        "image": image.name,
        "size": list(masks.image_size),
        "model": segmenter.bundle.name,
        "masks": records,
    }
