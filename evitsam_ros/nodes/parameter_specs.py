# SPDX-License-Identifier: Apache-2.0
"""The ROS parameters of the segmenter: names, defaults, descriptions, choices and ranges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

from ..backends import BACKENDS
from ..bundle import DEFAULT_MODEL


@dataclass(frozen=True)
class Spec:
    """One parameter.

    Attributes:
        default: value where none is given; its type is the parameter's.
        description: shown by ``ros2 param describe``.
        choices: allowed values; empty: any.
        low, high: allowed range; None: any.
        live: a change takes effect while the node is active; otherwise at the next configuration.
        fixed: it is read once, at start, and cannot be set later.
    """

    default: Any
    description: str
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    live: bool = False
    fixed: bool = False

    def descriptor(self) -> ParameterDescriptor:
        """Return the parameter's descriptor."""
        descriptor = ParameterDescriptor(description=self.description, read_only=self.fixed)
        constraints = [f"one of: {', '.join(self.choices)}"] if self.choices else []
        if not self.live and not self.fixed:
            constraints.append("takes effect at the next configuration of the node")
        descriptor.additional_constraints = "; ".join(constraints)
        if self.low is not None and isinstance(self.default, int):
            descriptor.integer_range = [
                IntegerRange(from_value=int(self.low), to_value=int(self.high), step=0)
            ]
        elif self.low is not None:
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=self.low, to_value=self.high, step=0.0)
            ]
        return descriptor


PARAMETERS: dict[str, Spec] = {
    "model": Spec(DEFAULT_MODEL, "Bundle: a name ('evitsam models' lists them) or a folder."),
    "backend": Spec("auto", "Runtime.", ("auto", *BACKENDS)),
    "build_engines": Spec(
        False, "On a GPU without engines: build them in the background, and switch when they are ready."
    ),
    "threads": Spec(0, "CPU threads for a network; 0: as many as cores.", low=0, high=256),
    "cameras": Spec(
        [""],
        "Names of several cameras, each with its topics (NAME/image, ~/NAME/label_map); none: one, without.",
        fixed=True,
    ),
    "mode": Spec("prompt", "Segment what is prompted, or everything.", ("prompt", "everything"), live=True),
    "top_n": Spec(64, "Prompts to decode in everything mode, at most.", low=1, high=1024, live=True),
    "latency_budget_ms": Spec(
        0.0,
        "Everything mode decodes as many prompts as fit into this time, the best first; 0: top_n, always.",
        low=0.0,
        high=60000.0,
        live=True,
    ),
    "score_threshold": Spec(
        -1.0, "Least predicted IoU in everything mode; -1: the bundle's.", low=-1.0, high=1.0, live=True
    ),
    "stability_threshold": Spec(
        -1.0, "Least stability score in everything mode; -1: the bundle's.", low=-1.0, high=1.0, live=True
    ),
    "nms_threshold": Spec(
        -1.0,
        "Largest box IoU of two masks in everything mode; -1: the bundle's.",
        low=-1.0,
        high=1.0,
        live=True,
    ),
    "min_region": Spec(
        -1.0,
        "Holes and specks smaller than this share of their mask are removed; 0: none; -1: the bundle's.",
        low=-1.0,
        high=1.0,
        live=True,
    ),
    "track": Spec(
        True,
        "Objects keep their ids while camera and objects move, and prompts follow their objects; off: every "
        "frame by itself, prompts stay at their pixels.",
        live=True,
    ),
    "unknown_stamp": Spec(
        "refuse",
        "Prompts whose stamp no image has that is kept: refuse them, or take the nearest image.",
        ("refuse", "nearest"),
        live=True,
    ),
    "history_frames": Spec(16, "Images that are kept for prompts with stamps, at most.", low=1, high=256),
    "history_mb": Spec(
        128.0,
        "Memory for the images that are kept, 10^6 bytes; the newest is kept whatever its size.",
        low=0.0,
        high=65536.0,
    ),
    "history_s": Spec(
        2.0, "How long images are kept for prompts, and prompts for images, seconds.", low=0.0, high=60.0
    ),
    "clicks_in_space": Spec(False, "Subscribe clicked_point (RViz), camera_info, /tf and /tf_static."),
    "max_age_s": Spec(
        0.0,
        "Masks that come later than this after their images are counted, with a warning; 0: never.",
        low=0.0,
        high=3600.0,
        live=True,
    ),
    "depth": Spec(
        False,
        "Subscribe depth, camera_info and, for depth in another frame, depth_camera_info; publish ~/points, "
        "~/boxes_3d and ~/detections_3d.",
    ),
    "depth_transport": Spec(
        "raw",
        "Subscribe depth, depth/compressedDepth (PNG or RVL) or depth/compressed (16-bit PNG or TIFF).",
        ("raw", "compressedDepth", "compressed"),
    ),
    "depth_slop_s": Spec(
        0.05, "Largest difference of the stamps of an image and its depth, seconds.", low=0.0, high=10.0
    ),
    "image_rectified": Spec(False, "The image is rectified: camera_info's p describes it, not k and d."),
    "organised_points": Spec(False, "~/points has a point for every pixel; else only those under masks."),
    "image_transport": Spec("raw", "Subscribe image, or image/compressed.", ("raw", "compressed")),
    "intensity_range": Spec(
        [0.0, 0.0],
        "Values shown as black and white of images with 16 bits or floats; [0.0, 0.0]: percentiles of each.",
        live=True,
    ),
    "reliability": Spec("best_effort", "QoS of the image subscription.", ("best_effort", "reliable")),
    "frame_policy": Spec(
        "latest",
        "latest: take the newest frame at once; next: wait for the next one, lower latency at high load.",
        ("latest", "next"),
    ),
    "max_rate_hz": Spec(
        0.0, "Answer at most so many frames a second; 0: all that come.", low=0.0, high=1000.0, live=True
    ),
    "overlay_alpha": Spec(0.5, "Opacity of the overlay.", low=0.0, high=1.0, live=True),
    "diagnostics_period_s": Spec(1.0, "Seconds between diagnostics.", low=0.1, high=60.0, fixed=True),
    "malloc_tuning": Spec(True, "Keep image-sized blocks in the heap (glibc): less time for every message."),
    "autostart": Spec(True, "Configure and activate at start, without a lifecycle manager.", fixed=True),
}
