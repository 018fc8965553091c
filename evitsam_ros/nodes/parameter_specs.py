# SPDX-License-Identifier: Apache-2.0
"""The ROS parameters of the segmenter: names, defaults, descriptions, choices and ranges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

from ..backends import PRECISION_CHOICES, backend_choices
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
                IntegerRange(from_value=int(self.low), to_value=int(cast("float", self.high)), step=0)
            ]
        elif self.low is not None:
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=self.low, to_value=self.high, step=0.0)
            ]
        return descriptor


PARAMETERS: dict[str, Spec] = {
    "model": Spec(DEFAULT_MODEL, "Bundle: a name ('evitsam models' lists them) or a folder."),
    "semantic_model": Spec(
        "",
        "Semantic bundle: masks without a name get the class that most of their pixels have; empty: none.",
    ),
    "backend": Spec("auto", "Runtime of the networks.", backend_choices()),
    "precision": Spec(
        "auto",
        "Precision of the networks. auto: on a CPU the fastest that was measured here to give the same "
        "masks, float32 until then; on a GPU the engines' own.",
        PRECISION_CHOICES,
    ),
    "build_engines": Spec(
        False, "On a GPU without engines: build them in the background, and switch when they are ready."
    ),
    "threads": Spec(0, "CPU threads of a network; 0: as many as cores.", low=0, high=256),
    "cameras": Spec(
        [""],
        'Names of several cameras, each with its own topics (NAME/image, ~/NAME/label_map); [""]: one camera '
        "without a name.",
        fixed=True,
    ),
    "mode": Spec(
        "prompt",
        "Segment prompted objects, all objects, or only on request of a service.",
        ("prompt", "everything", "on_request"),
        live=True,
    ),
    "max_prompts": Spec(
        64, "Maximum number of prompts to decode in everything mode.", low=1, high=1024, live=True
    ),
    "min_prompts": Spec(
        32,
        "Minimum number of prompts to decode in everything mode, for any latency_budget_ms.",
        low=1,
        high=1024,
        live=True,
    ),
    "latency_budget_ms": Spec(
        0.0,
        "Everything mode decodes as many prompts as fit into this time, objects on show first, then the best "
        "proposals, and prompt mode looks closer at as many objects; 0: no limit but max_prompts and "
        "closer_looks.",
        low=0.0,
        high=60000.0,
        live=True,
    ),
    "closer_looks": Spec(
        0,
        "In prompt mode, encode a square around so many objects of each image once more, the smallest "
        "first, as far as latency_budget_ms allows; 0: none.",
        low=0,
        high=64,
        live=True,
    ),
    "score_threshold": Spec(
        -1.0,
        "Minimum predicted IoU in everything mode; -1: the bundle's value.",
        low=-1.0,
        high=1.0,
        live=True,
    ),
    "stability_threshold": Spec(
        -1.0,
        "Minimum stability score in everything mode; -1: the bundle's value.",
        low=-1.0,
        high=1.0,
        live=True,
    ),
    "nms_threshold": Spec(
        -1.0,
        "Maximum box IoU of two masks in everything mode; -1: the bundle's value.",
        low=-1.0,
        high=1.0,
        live=True,
    ),
    "min_region": Spec(
        -1.0,
        "Remove holes and specks smaller than this share of their mask; 0: none; -1: the bundle's value.",
        low=-1.0,
        high=1.0,
        live=True,
    ),
    "enable_tracking": Spec(
        True,
        "Objects keep their ids while camera and objects move, and prompts follow their objects. Without it "
        "each frame is segmented by itself, and prompts stay at their pixels.",
        live=True,
    ),
    "missing_image_policy": Spec(
        "reject",
        "If no buffered image has the stamp of a prompt: reject the prompt, or use the nearest image.",
        ("reject", "nearest"),
        live=True,
    ),
    "history_frames": Spec(
        16, "Maximum number of images that are buffered for prompts with stamps.", low=1, high=256
    ),
    "history_mb": Spec(
        128.0,
        "Maximum memory of buffered images, 10^6 bytes; the newest image is buffered at any size.",
        low=0.0,
        high=65536.0,
    ),
    "history_s": Spec(
        2.0,
        "How long images are buffered for prompts, and prompts wait for images, seconds.",
        low=0.0,
        high=60.0,
    ),
    "enable_3d_clicks": Spec(False, "Subscribe to clicked_point (RViz), camera_info, /tf and /tf_static."),
    "max_latency_s": Spec(
        0.0,
        "Count masks that are published later than this after their images, with a warning; 0: never.",
        low=0.0,
        high=3600.0,
        live=True,
    ),
    "enable_depth": Spec(
        False,
        "Subscribe to depth, camera_info and, for depth in another frame, depth_camera_info; publish "
        "~/points, ~/boxes_3d and ~/detections_3d.",
    ),
    "depth_transport": Spec(
        "raw",
        "Subscribe to depth, depth/compressedDepth (PNG or RVL) or depth/compressed (16-bit PNG or TIFF).",
        ("raw", "compressedDepth", "compressed"),
    ),
    "depth_slop_s": Spec(
        0.05, "Maximum difference between the stamps of an image and its depth, seconds.", low=0.0, high=10.0
    ),
    "image_rectified": Spec(False, "The image is rectified: use p of camera_info instead of k and d."),
    "organized_cloud": Spec(
        False, "~/points has a point for each pixel; otherwise only for pixels under masks."
    ),
    "target_frame": Spec(
        "",
        "Coordinate frame of points and boxes in space of ~/instances, by /tf and /tf_static; empty: the "
        "camera's.",
    ),
    "output_scale": Spec(
        "image",
        "Pixels of ~/label_map, ~/mask and ~/instances: the image's, or those of the network's output, with "
        "~/camera_info to match.",
        ("image", "network"),
    ),
    "label_encoding": Spec(
        "mono16", "Encoding of ~/label_map; mono8 has ids up to 255.", ("mono16", "mono8")
    ),
    "image_transport": Spec("raw", "Subscribe to image, or to image/compressed.", ("raw", "compressed")),
    "intensity_range": Spec(
        [0.0, 0.0],
        "Values shown as black and white for images with 16 bits or floats; [0.0, 0.0]: percentiles of each "
        "image.",
        live=True,
    ),
    "reliability": Spec(
        "best_effort", "QoS reliability of the image subscription.", ("best_effort", "reliable")
    ),
    "frame_policy": Spec(
        "latest",
        "latest: process the newest frame at once. next: wait for the next frame, which lowers the latency "
        "at high load.",
        ("latest", "next"),
    ),
    "max_rate_hz": Spec(
        0.0, "Maximum number of frames to process per second; 0: no limit.", low=0.0, high=1000.0, live=True
    ),
    "overlay_alpha": Spec(0.5, "Opacity of the overlay.", low=0.0, high=1.0, live=True),
    "overlay_ids": Spec(False, "Draw the objects' ids in the overlay where there is room.", live=True),
    "filled_boxes": Spec(
        False, "~/boxes_3d has faces too, which catch clicks in RViz; otherwise edges and texts.", live=True
    ),
    "jpeg_quality": Spec(80, "JPEG quality of ~/overlay/compressed.", low=1, high=100, live=True),
    "output_timeout_s": Spec(
        2.0,
        "Publish empty outputs when no image was answered for so long, and for four usual intervals; 0: "
        "never.",
        low=0.0,
        high=3600.0,
        live=True,
    ),
    "diagnostics_period_s": Spec(1.0, "Period of the diagnostics, seconds.", low=0.1, high=60.0, fixed=True),
    "malloc_tuning": Spec(True, "Keep image-sized blocks in the heap (glibc): less time for each message."),
    "autostart": Spec(True, "Configure and activate at start, without a lifecycle manager.", fixed=True),
}

#: Deprecated names, which are accepted for one release, and the parameters that they mean.
RENAMED = {
    "clicks_in_space": "enable_3d_clicks",
    "depth": "enable_depth",
    "max_age_s": "max_latency_s",
    "organised_points": "organized_cloud",
    "top_n": "max_prompts",
    "track": "enable_tracking",
    "unknown_stamp": "missing_image_policy",
}
#: Values of parameters under their deprecated names that have another name now.
RENAMED_VALUES = {"unknown_stamp": {"refuse": "reject"}}
