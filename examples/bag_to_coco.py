# SPDX-License-Identifier: Apache-2.0
"""Segment the images of a bag, and write them as a data set in COCO's format; needs no ROS.

    python examples/bag_to_coco.py drive.mcap --topic /camera/image_raw --out dataset

`dataset/images` and `dataset/annotations/bag_train.json` are in the layout that training reads. For many
recordings use `evitsam label`, which continues after an interruption and runs on many machines.
"""

import argparse
import json
from pathlib import Path

import cv2

from evitsam_ros.io.bags import read_frames
from evitsam_ros.io.image_files import write_image
from evitsam_ros.segment import Segmenter
from evitsam_ros.segment.rle import encode_rle
from evitsam_ros.tracking import TrackedCamera


def main() -> None:
    """Write one JPEG and its annotations for each image; an object keeps its `track_id` in all images."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bag", type=Path, help="folder, .mcap or .db3")
    parser.add_argument("--topic", default="", help="image topic (default: the only one)")
    parser.add_argument("--model", default="efficientnet_sam_lite2", help="name or folder of a bundle")
    parser.add_argument("--out", type=Path, default=Path("dataset"))
    options = parser.parse_args()
    for name in ("images", "annotations"):
        (options.out / name).mkdir(parents=True, exist_ok=True)

    camera = TrackedCamera(Segmenter.open(options.model))
    images, annotations = [], []
    for number, frame in enumerate(read_frames(options.bag, options.topic), start=1):
        name, (height, width) = f"{number:06}.jpg", frame.size
        write_image(options.out / "images" / name, cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR))
        images.append({"id": number, "file_name": name, "height": height, "width": width})
        masks = camera.everything(frame)
        for identity, score, mask in zip(masks.object_ids, masks.scores, masks.full(), strict=True):
            x, y, w, h = cv2.boundingRect(mask.astype("uint8"))
            entry = {"id": len(annotations) + 1, "image_id": number, "category_id": 1, "iscrowd": 0}
            entry |= {"bbox": [x, y, w, h], "area": int(mask.sum()), "segmentation": encode_rle(mask)}
            annotations.append(entry | {"track_id": int(identity), "score": float(score)})
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "object"}]}
    (options.out / "annotations" / "bag_train.json").write_text(json.dumps(content))
    print(f"{len(images)} images, {len(annotations)} masks -> {options.out}")


if __name__ == "__main__":
    main()
