# SPDX-License-Identifier: Apache-2.0
"""Measure a running segmenter: the latency from an image's stamp to its mask, and the stages in between.

Latencies come from the stamps of images and masks, as any subscriber receives them. Stages come from the
segmenter's /diagnostics. The node subscribes to masks, so the segmenter makes them.
"""

from __future__ import annotations

import json
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rcl_interfaces.msg import ParameterDescriptor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import Trigger

from ..profiler.live import LiveLatency
from .qos import results, transport_topic
from .recent_images import stamp_ns
from .runtime import spin_node

PARAMETERS = {
    "segmenter": ("/segmenter", "Name of the segmenter to measure."),
    "cameras": ([""], 'Cameras of the segmenter; [""]: one camera without a name.'),
    "output": ("label_map", "Output that counts as the mask: label_map, mask or overlay."),
    "watch_images": (
        True,
        "Subscribe to the images too, to count those without a mask; this costs their transport.",
    ),
    "image_transport": ("raw", "raw: image; compressed: image/compressed."),
    "late_ms": (200.0, "A mask that arrives later than this after its image's stamp is late."),
    "period_s": (1.0, "Period of the diagnostics, seconds."),
    "report_file": ("", "File to which ~/report writes its JSON; empty: none."),
}


class ProfilerNode(Node):
    """Publish /diagnostics, and answer ``~/report`` (std_srvs/Trigger) with a table."""

    def __init__(self) -> None:
        super().__init__("profiler")
        for name, (default, description) in PARAMETERS.items():
            self.declare_parameter(name, default, ParameterDescriptor(description=description))
        self.options: dict[str, Any] = {name: self.get_parameter(name).value for name in PARAMETERS}
        names = [name for name in self.options["cameras"] if name] or [""]
        self.cameras = {name: LiveLatency(self.options["late_ms"] / 1e3) for name in names}
        self._stages: dict[str, dict[str, str]] = {name: {} for name in names}
        #: Stamp of the newest mask, by camera.
        self._newest: dict[str, int] = {}
        for name in names:
            self._watch(name)
        self.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_service(Trigger, "~/report", self._on_report)
        self.create_timer(self.options["period_s"], self._publish)

    def _watch(self, camera: str) -> None:
        prefix = f"{camera}/" if camera else ""
        topic = f"{self.options['segmenter']}/{prefix}{self.options['output']}"
        self.create_subscription(Image, topic, partial(self._on_mask, camera), results(10))
        if not self.options["watch_images"]:
            return
        transport = self.options["image_transport"]
        kind = Image if transport == "raw" else CompressedImage
        image = transport_topic(self, prefix + "image", transport)
        self.create_subscription(kind, image, partial(self._on_image, camera), qos_profile_sensor_data)

    def _on_image(self, camera: str, message: Image | CompressedImage) -> None:
        self.cameras[camera].image(stamp_ns(message.header), time.monotonic())

    def _on_mask(self, camera: str, message: Image) -> None:
        stamp = stamp_ns(message.header)
        if stamp == self._newest.get(camera) and not any(message.data):
            return  # it replaces an answer that is no longer true, and answers no image
        self._newest[camera] = stamp
        age = (self.get_clock().now().nanoseconds - stamp) / 1e9
        self.cameras[camera].mask(stamp, age, time.monotonic())

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        """Keep the stages that the segmenter publishes."""
        for camera in self.cameras:
            wanted = f"{self.options['segmenter']}: segmentation{f' {camera}' if camera else ''}"
            for status in message.status:
                if status.name == wanted:
                    values = {entry.key: entry.value for entry in status.values}
                    kept = ("latency_", "frames_", "rate_", "backend")
                    self._stages[camera] = {k: v for k, v in values.items() if k.startswith(kept)}

    def report(self) -> dict[str, Any]:
        """Return, by camera, the measured latencies and the stages that the segmenter published."""
        return {
            "segmenter": self.options["segmenter"],
            "cameras": {
                name: {"seen": watched.summary(), "told": self._stages[name]}
                for name, watched in self.cameras.items()
            },
        }

    def _on_report(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        report = self.report()
        response.success, response.message = True, table(report)
        if path := self.options["report_file"]:
            try:
                Path(path).write_text(json.dumps(report, indent=2))
            except OSError as error:
                response.success = False
                response.message = f"report_file {path} cannot be written: {error}\n{response.message}"
        return response

    def _publish(self) -> None:
        message = DiagnosticArray()
        message.header.stamp = self.get_clock().now().to_msg()
        name = self.get_fully_qualified_name()
        for camera, watched in self.cameras.items():
            seen = watched.summary()
            status = DiagnosticStatus(
                name=f"{name}: latency{f' {camera}' if camera else ''}", hardware_id=name
            )
            status.level = DiagnosticStatus.OK if watched.masks else DiagnosticStatus.STALE
            status.message = "watching" if watched.masks else "no mask has arrived yet"
            status.values = [KeyValue(key=key, value=str(value)) for key, value in seen.items()]
            message.status.append(status)
        self._diagnostics.publish(message)


def table(report: dict[str, Any]) -> str:
    """Format a report as text."""
    lines = [f"{report['segmenter']}, from the image's stamp to its mask:"]
    for camera, parts in report["cameras"].items():
        lines.append(f"camera {camera}:" if camera else "the camera:")
        for part in ("seen", "told"):
            lines += [f"  {key:28} {value}" for key, value in parts[part].items()]
    return "\n".join(lines)


def main(args: list[str] | None = None) -> int:
    """Run the node; return the exit code."""
    return spin_node("profiler", ProfilerNode, args)


if __name__ == "__main__":
    sys.exit(main())
