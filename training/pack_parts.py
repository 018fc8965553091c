# SPDX-License-Identifier: Apache-2.0
"""Select images of a data set, shrink them, and divide them into parts of limited size for transfer.

``python -m training.pack_parts --data DATA --out PARTS --recipe RECIPE --parts 4 --mib 40``

The parts are folders with ``images/`` and ``annotations/`` with files of different names, so that they can be
merged by copying: the annotation file ``coco_train`` becomes ``coco_train0`` in the first part,
``coco_train1`` in the second.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from tqdm import tqdm

from .annotations import read_folder
from .command import run_command
from .pack import shrink
from .recipe import read_recipe

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .records import Record

log = logging.getLogger(__name__)


def sample_records(records: list[Record], weights: dict[str, float], seed: int) -> Iterator[Record]:
    """Yield records without repetition, as often from each source as a training samples it.

    A source has the weight of the recipe times the square root of its number of images, see
    :class:`.dataset.RecordSampler`; the share of an exhausted source goes to the others.

    Args:
        records: of all sources.
        weights: weight by source; missing: 1.
        seed: of the order.
    """
    rng = np.random.default_rng(seed)
    sources: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        sources[record.source].append(record)
    shares = {name: len(each) ** 0.5 * weights.get(name, 1.0) for name, each in sources.items()}
    for each in sources.values():
        rng.shuffle(each)
    while sources:
        names = list(sources)
        chances = np.array([shares[name] for name in names])
        name = names[rng.choice(len(names), p=chances / chances.sum())]
        yield sources[name].pop()
        if not sources[name]:
            del sources[name]


class Part:
    """Collect one part.

    Args:
        folder: of the part; it is created.
        number: of the part; the suffix of its annotation files.
    """

    def __init__(self, folder: Path, number: int) -> None:
        self.folder, self.number, self.size = folder, number, 0
        self._content: dict[str, dict[str, Any]] = {}
        self._sources: dict[str, str] = {}

    def add(self, record: Record, pixels: int, quality: int) -> None:
        """Write the shrunk image of a record as WebP, and collect its masks.

        Raises:
            ValueError: the image cannot be read or written.
        """
        image, annotations = shrink(record, pixels)
        name = str(Path(record.name).with_suffix(".webp"))
        if self._sources.setdefault(name, record.name) != record.name:  # the same name with another ending
            name = f"{record.name}.webp"
        done, data = cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, quality])
        if not done:
            raise ValueError(f"{record.name}: the image cannot be written as WebP")
        if not annotations:
            return
        target = self.folder / "images" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data.tobytes())
        content = self._content.setdefault(record.source, {"images": [], "annotations": []})
        number, (height, width) = len(content["images"]) + 1, image.shape[:2]
        content["images"].append({"id": number, "file_name": name, "height": height, "width": width})
        for annotation in annotations:
            ids = {"id": len(content["annotations"]) + 1, "image_id": number}
            content["annotations"].append({**ids, "category_id": 1, "iscrowd": 0, **annotation})
        # A mask takes its run lengths and about 180 bytes of keys and numbers.
        masks = sum(180 + len(annotation["segmentation"]["counts"]) for annotation in annotations)
        self.size += len(data) + masks + 120

    def close(self) -> int:
        """Write the annotation files; return the number of images."""
        (self.folder / "annotations").mkdir(parents=True, exist_ok=True)
        for source, content in self._content.items():
            content["categories"] = [{"id": 1, "name": "object"}]
            path = self.folder / "annotations" / f"{source}_train{self.number}.json"
            path.write_text(json.dumps(content))
        return sum(len(content["images"]) for content in self._content.values())


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with images/ and annotations/")
    parser.add_argument("--out", type=Path, required=True, help="folder for part0, part1 and so on")
    parser.add_argument(
        "--recipe", type=Path, required=True, help="recipe with the sources and weights to use"
    )
    parser.add_argument("--parts", type=int, default=4, help="number of parts (default 4)")
    parser.add_argument("--mib", type=float, default=40.0, help="maximum size of a part in MiB (default 40)")
    parser.add_argument("--size", type=int, default=384, help="longest side in pixels (default 384)")
    parser.add_argument("--quality", type=int, default=80, help="quality of WebP (default 80)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the order of the images")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    return run_command("pack_parts", lambda: _pack(options))


def _pack(options: argparse.Namespace) -> int:
    recipe = read_recipe(options.recipe)
    records = read_folder(options.data, list(recipe.data.train))
    stream = sample_records(records, recipe.data.source_weights, options.seed)
    for number in range(options.parts):
        part = Part(options.out / f"part{number}", number)
        limit = options.mib * 2**20
        bar = tqdm(total=round(limit / 2**20, 1), desc=f"part {number}", unit="MiB", mininterval=2)
        for record in stream:
            try:
                part.add(record, options.size, options.quality)
            except ValueError as error:
                log.warning("skipped: %s", error)
            bar.n = round(part.size / 2**20, 1)
            bar.refresh()
            if part.size > limit - 0.2 * 2**20:
                break
        bar.close()
        log.info("part %d: %d images, %.1f MiB", number, part.close(), part.size / 2**20)
    return 0


if __name__ == "__main__":
    sys.exit(main())
