# SPDX-License-Identifier: Apache-2.0
"""A bag in, the same bag with masks out, by rosbags: no ROS has to be installed.

Everything that was recorded is copied as it is; each frame's masks follow it with its header and its time.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from .bags import IMAGE, SUFFIXES, BagError, choose_connection, decode, open_bag
from .segment import Frame, Masks, Prompt, Segmenter, draw_overlay
from .tracking import TrackedCamera

#: Topics of the answers, as the node names them.
LABEL_MAP, DETECTIONS = "/segmenter/label_map", "/segmenter/detections"
OVERLAY = "/segmenter/overlay/compressed"
DETECTIONS_TYPE = "vision_msgs/msg/Detection2DArray"


@dataclass
class Summary:
    """What was done: frames answered, masks, distinct ids; whether there are detections."""

    frames: int = 0
    masks: int = 0
    ids: int = 0
    detections: bool = True


def answer_bag(
    segmenter: Segmenter,
    source: Path,
    out: Path,
    topic: str = "",
    *,
    prompts: Mapping[int, Prompt] | None = None,
    top_n: int = 64,
) -> Summary:
    """Segment an image topic of a bag.

    Args:
        segmenter: an opened bundle.
        source: the bag's folder or file.
        out: ``.mcap`` or ``.db3`` for a single file, else a folder; it must not exist.
        topic: the image topic; by default the only one.
        prompts: by object id, on the first frame, followed from there; everything if None.
        top_n: prompts a frame in everything mode.

    Raises:
        BagError: the bag cannot be read, has no such topic, or ``out`` exists.
    """
    if out.exists():
        raise BagError(f"{out} exists already; a bag is never written over")
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
    try:
        with open_bag(source) as reader:
            chosen = choose_connection(reader.connections, source, topic)
            with _Writer(folder / "bag", out, reader) as writer:
                camera, ids, summary = TrackedCamera(segmenter), set(), Summary()
                summary.detections = writer.has_detections
                for connection, time, raw in reader.messages():
                    writer.copy(connection, time, raw)
                    if connection.topic != chosen.topic:
                        continue
                    message = reader.deserialize(raw, connection.msgtype)
                    frame = decode(message, connection, summary.frames, source)
                    masks = _answer(camera, frame, prompts, top_n)
                    writer.answer(time, message.header, frame, masks)
                    summary.frames += 1
                    summary.masks += len(masks)
                    ids.update(masks.object_ids.tolist())
                summary.ids = len(ids)
        _put(folder / "bag", out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return summary


def _answer(camera: TrackedCamera, frame: Frame, prompts: Mapping[int, Prompt] | None, top_n: int) -> Masks:
    return camera.everything(frame, top_n) if prompts is None else camera.prompted(frame, prompts)


def _put(bag: Path, out: Path) -> None:
    """The bag's only file as ``out``, or its folder."""
    if out.suffix not in SUFFIXES:
        os.replace(bag, out)
        return
    (content,) = (file for file in bag.iterdir() if file.suffix == out.suffix)
    os.replace(content, out)


class _Writer:
    """The new bag: copied topics, and the answers'."""

    def __init__(self, folder: Path, out: Path, reader: Any) -> None:
        from rosbags.rosbag2 import StoragePlugin, Writer
        from rosbags.typesys import Stores, get_typestore

        plugin = StoragePlugin.SQLITE3 if out.suffix == ".db3" else StoragePlugin.MCAP
        self.bag = Writer(folder, version=9, storage_plugin=plugin)
        self.store = get_typestore(Stores.ROS2_JAZZY)
        self.reader = reader
        self.has_detections = _register_vision_msgs(self.store)

    def __enter__(self) -> _Writer:
        self.bag.open()
        self.copies = {}
        for connection in self.reader.connections:
            self.copies[connection.id] = self.bag.add_connection(
                connection.topic,
                connection.msgtype,
                typestore=self.reader.typestore,
                serialization_format=connection.ext.serialization_format,
                offered_qos_profiles=connection.ext.offered_qos_profiles,
            )
        kinds = {LABEL_MAP: IMAGE, OVERLAY: "sensor_msgs/msg/CompressedImage"}
        if self.has_detections:
            kinds[DETECTIONS] = DETECTIONS_TYPE
        self.answers = {
            topic: self.bag.add_connection(topic, kind, typestore=self.store) for topic, kind in kinds.items()
        }
        return self

    def __exit__(self, *_: object) -> None:
        self.bag.close()

    def copy(self, connection: Any, time: int, raw: bytes) -> None:
        self.bag.write(self.copies[connection.id], time, raw)

    def answer(self, time: int, header: Any, frame: Frame, masks: Masks) -> None:
        types = self.store.types
        stamp = types["builtin_interfaces/msg/Time"](header.stamp.sec, header.stamp.nanosec)
        head = types["std_msgs/msg/Header"](stamp, header.frame_id)
        labels = masks.label_map()
        height, width = labels.shape
        self._write(
            LABEL_MAP,
            time,
            types[IMAGE](head, height, width, "mono16", 0, 2 * width, labels.view(np.uint8).reshape(-1)),
        )
        drawn = cv2.cvtColor(draw_overlay(frame.image, masks), cv2.COLOR_RGB2BGR)
        jpeg = cv2.imencode(".jpg", drawn)[1].reshape(-1)
        self._write(OVERLAY, time, types["sensor_msgs/msg/CompressedImage"](head, "jpeg", jpeg))
        if self.has_detections:
            self._write(DETECTIONS, time, _detections(types, head, masks))

    def _write(self, topic: str, time: int, message: Any) -> None:
        connection = self.answers[topic]
        self.bag.write(connection, time, self.store.serialize_cdr(message, connection.msgtype))


def _register_vision_msgs(store: Any) -> bool:
    """Whether Detection2DArray's definition is on this machine, installed or in the checkout."""
    from rosbags.typesys import get_types_from_msg

    prefixes = [Path(p) / "share" for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    checkout = Path(__file__).resolve().parent.parent / "interfaces"
    for base in [*prefixes, checkout]:
        files = sorted((base / "vision_msgs" / "msg").glob("*.msg"))
        if any(file.stem == "Detection2DArray" for file in files):
            types: dict = {}
            for file in files:
                types.update(get_types_from_msg(file.read_text(), f"vision_msgs/msg/{file.stem}"))
            store.register({name: value for name, value in types.items() if name not in store.types})
            return True
    return False


def _detections(types: Mapping[str, Any], head: Any, masks: Masks) -> Any:
    """One Detection2D a mask, as the node's ``~/detections``."""
    found = []
    for box, score, identity in zip(
        masks.boxes.tolist(), masks.scores.tolist(), masks.object_ids, strict=True
    ):
        x, y, width, height = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, box[2] - box[0], box[3] - box[1]
        hypothesis = types["vision_msgs/msg/ObjectHypothesisWithPose"](
            types["vision_msgs/msg/ObjectHypothesis"]("object", score), _pose(types)
        )
        centre = types["vision_msgs/msg/Pose2D"](types["vision_msgs/msg/Point2D"](x, y), 0.0)
        place = types["vision_msgs/msg/BoundingBox2D"](centre, width, height)
        found.append(types["vision_msgs/msg/Detection2D"](head, [hypothesis], place, str(identity)))
    return types[DETECTIONS_TYPE](head, found)


def _pose(types: Mapping[str, Any]) -> Any:
    """No pose: the covariance is unknown."""
    point = types["geometry_msgs/msg/Point"](0.0, 0.0, 0.0)
    pose = types["geometry_msgs/msg/Pose"](point, types["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0))
    return types["geometry_msgs/msg/PoseWithCovariance"](pose, np.zeros(36))
