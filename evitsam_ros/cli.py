# SPDX-License-Identifier: Apache-2.0
"""The command line: ``evitsam segment | bag | models | export | build | engines | bench | profile …``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from . import __version__
from .profiler.commands import add_profile, run_profile
from .tensorrt.commands import add_commands, run_build, run_engines, run_verify


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="evitsam", description="Segment anything on a robot.")
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    _add_segment(commands)
    _add_bag(commands)
    _add_models(commands)
    _add_export(commands)
    add_commands(commands)
    _add_bench(commands)
    add_profile(commands)
    doctor = commands.add_parser("doctor", help="what is installed, what is missing, and how to add it")
    doctor.add_argument("--json", action="store_true", help="machine-readable")
    return parser


def _add_segment(commands) -> None:
    parser = commands.add_parser("segment", help="segment a picture, a video or a folder of frames")
    parser.add_argument("image", type=Path, help="picture, video file or folder")
    _add_prompts(parser)
    _add_model(parser)
    parser.add_argument(
        "--track", action="store_true", help="of a video or a folder: objects keep their ids, prompts follow"
    )
    parser.add_argument(
        "--out", type=Path, help="picture with the masks drawn in (default: IMAGE_masks.png); video or folder"
    )
    parser.add_argument("--json", type=Path, help="masks as RLE, with boxes and scores; a sequence: as COCO")


def _add_bag(commands) -> None:
    parser = commands.add_parser(
        "bag", help="a bag in, the same bag with masks out; ROS need not be installed"
    )
    parser.add_argument("bag", type=Path, help="a bag's folder, or its .mcap or .db3 file")
    parser.add_argument("--image-topic", default="", help="default: the only one")
    parser.add_argument("--out", type=Path, required=True, help=".mcap or .db3 file, or a folder; a new one")
    _add_prompts(parser)
    _add_model(parser)


def _add_prompts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--point",
        type=_point,
        action="append",
        default=[],
        metavar="X,Y[,LABEL]",
        help="a point of the object (label 1) or of the background (0); all points are one object",
    )
    parser.add_argument(
        "--box",
        type=_box,
        action="append",
        default=[],
        metavar="X0,Y0,X1,Y1",
        help="a box around an object; each box is an object",
    )
    parser.add_argument("--everything", action="store_true", help="all objects")
    parser.add_argument("--top-n", type=int, default=64, help="prompts in everything mode (default 64)")


def _add_models(commands) -> None:
    parser = commands.add_parser("models", help="the models, their size, and which are installed")
    parser.add_argument("--json", action="store_true", help="machine-readable")


def _add_export(commands) -> None:
    parser = commands.add_parser("export", help="checkpoint -> bundle (needs torch)")
    parser.add_argument("model", help="a name that 'evitsam models' lists")
    parser.add_argument("--checkpoint", type=Path, help=".pt or .safetensors; random weights without one")
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle")
    parser.add_argument(
        "--storage", choices=("fp32", "fp16"), default="fp32", help="of the weights in the files"
    )
    parser.add_argument("--decoder-form", choices=("plain", "shared", "folded"), default="folded")
    parser.add_argument("--with-weights", action="store_true", help="also write model.safetensors")
    parser.add_argument(
        "--image-size", type=int, help="side of the input in pixels, a multiple of 32 (default: the model's)"
    )
    parser.add_argument(
        "--box-prior",
        action="store_true",
        default=None,
        help="give a checkpoint without one a box prior: boxes start as rounded boxes",
    )
    parser.add_argument(
        "--describe",
        type=Path,
        help="YAML with licence, weights, quality, thresholds, proposals_as, expected_iou for model.yaml; or "
        "the model.yaml of a bundle like it, of which it takes the last three",
    )


def _add_bench(commands) -> None:
    parser = commands.add_parser("bench", help="latency by stage and runtime on this machine")
    parser.add_argument("--model", default="lite_sam")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument(
        "--everything",
        type=Path,
        metavar="IMAGE",
        help="everything mode against grids, a box against its floor",
    )
    parser.add_argument("--json", type=Path)


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", default="lite_sam", help="a bundle's name or folder (default lite_sam)")
    parser.add_argument("--backend", default="auto", help="auto, tensorrt, onnxruntime, openvino or torch")


def _numbers(text: str, counts: tuple[int, ...], form: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in counts:
        raise argparse.ArgumentTypeError(f"{text!r} is not {form}")
    return numbers


def _point(text: str) -> list[float]:
    numbers = _numbers(text, (2, 3), "X,Y or X,Y,LABEL")
    return numbers if len(numbers) == 3 else [*numbers, 1.0]


def _box(text: str) -> list[float]:
    return _numbers(text, (4,), "X0,Y0,X1,Y1")


def main(argv: list[str] | None = None) -> int:
    """Run a command; returns 0, or 1 with one line on stderr when the input is wrong."""
    options = build_parser().parse_args(argv)
    try:
        return COMMANDS[options.command](options)
    except ValueError as error:
        print(f"evitsam {options.command}: {error}", file=sys.stderr)
        return 1
    except ImportError as error:
        print(f"evitsam {options.command}: {error}; 'evitsam doctor' says how to install it", file=sys.stderr)
        return 1


def _prompts(options: argparse.Namespace) -> list:
    """What was asked for; empty for everything."""
    from .segment import Prompt

    prompts = [Prompt(box=box) for box in options.box]
    if options.point:
        points = [point[:2] for point in options.point]
        prompts.append(Prompt(points=points, labels=[int(point[2]) for point in options.point]))
    if bool(prompts) == options.everything:
        raise ValueError("give --point or --box, or else --everything")
    return prompts


def run_segment(options: argparse.Namespace) -> int:
    import cv2

    from .segment import Segmenter, draw_overlay
    from .sources import VIDEOS

    prompts = _prompts(options)
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
    from .segment import Segmenter
    from .sources import open_source
    from .tracking.sequence import segment_sequence

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


def run_bag(options: argparse.Namespace) -> int:
    from .bag_answers import DETECTIONS, LABEL_MAP, OVERLAY, answer_bag
    from .segment import Segmenter

    numbered = dict(enumerate(_prompts(options), start=1)) or None
    segmenter = Segmenter.open(options.model, options.backend)
    done = answer_bag(
        segmenter, options.bag, options.out, options.image_topic, prompts=numbered, top_n=options.top_n
    )
    print(segmenter.description)
    topics = [LABEL_MAP, OVERLAY, *([DETECTIONS] if done.detections else [])]
    print(f"{done.frames} frames, {done.masks} masks, {done.ids} ids -> {options.out}: {', '.join(topics)}")
    if not done.detections:
        print("No detections: vision_msgs is not installed (apt install ros-$ROS_DISTRO-vision-msgs)")
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


def run_models(options: argparse.Namespace) -> int:
    from .bundle import installed_bundles
    from .models.specs import SPECS

    installed = installed_bundles()
    rows = [
        {
            "name": spec.name,
            "params": spec.params,
            "encoder_macs": spec.macs,
            "input": spec.image_size,
            "embedding": list(spec.embedding),
            "proposals": spec.has_proposals,
            "installed": str(installed[spec.name]) if spec.name in installed else None,
        }
        for spec in SPECS.values()
    ]
    if options.json:
        print(json.dumps(rows, indent=2))
        return 0
    print(f"{'model':22} {'params':>9} {'encoder':>10} {'input':>6}  everything by  bundle")
    for row in rows:
        params, macs = f"{row['params'] / 1e6:.2f} M", f"{row['encoder_macs'] / 1e9:.1f} G"
        by = "AutoPPN" if row["proposals"] else "grid"
        print(
            f"{row['name']:22} {params:>9} {macs:>10} {row['input']:>6}  {by:13}  {row['installed'] or '-'}"
        )
    return 0


def run_export(options: argparse.Namespace) -> int:
    from .export import export

    folder = export(
        options.model,
        options.checkpoint,
        options.out,
        storage=options.storage,
        decoder_form=options.decoder_form,
        box_prior=options.box_prior,
        image_size=options.image_size,
        with_weights=options.with_weights,
        extra=_read_description(options.describe),
    )
    if options.checkpoint is None:
        print("warning: no --checkpoint: the weights are random", file=sys.stderr)
    print(folder)
    return 0


def _read_description(path: Path | None) -> dict:
    import yaml

    if path is None:
        return {}
    try:
        description = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise ValueError(f"{path} cannot be read: {error}") from error
    usage = ("thresholds", "proposals_as", "expected_iou")
    allowed = {"licence", "weights", "quality", *usage}
    if isinstance(description, dict) and "networks" in description:  # a bundle's: how it is used, not its own
        return {key: description[key] for key in usage if key in description}
    if not isinstance(description, dict) or set(description) - allowed:
        raise ValueError(f"{path}: expected a mapping with some of {', '.join(sorted(allowed))}")
    return description


def run_bench(options: argparse.Namespace) -> int:
    from .profiler.cpu import bench

    if options.everything:
        return _bench_everything(options)
    return bench(options.model, options.repeats, options.threads, options.json)


def _bench_everything(options: argparse.Namespace) -> int:
    import cv2

    from .bundle import open_bundle
    from .models.specs import model_spec
    from .profiler.everything import bench_everything

    picture = cv2.imread(str(options.everything), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError(f"{options.everything} cannot be read as a picture")
    # A decoded prompt is some 5 % of the encoder's work: the floor leaves it out.
    macs = model_spec(open_bundle(options.model).name).macs
    image = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
    return bench_everything(options.model, image, max(options.repeats, 1), macs, options.json)


def run_doctor(options: argparse.Namespace) -> int:
    from .doctor import main as doctor

    return doctor(as_json=options.json)


COMMANDS = {
    "segment": run_segment,
    "bag": run_bag,
    "models": run_models,
    "export": run_export,
    "build": run_build,
    "verify": run_verify,
    "engines": run_engines,
    "bench": run_bench,
    "profile": run_profile,
    "doctor": run_doctor,
}

if __name__ == "__main__":
    sys.exit(main())
