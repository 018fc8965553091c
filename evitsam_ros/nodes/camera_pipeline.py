# SPDX-License-Identifier: Apache-2.0
"""One camera of a configured node: its images and prompts in, its masks out.

Names are relative, so that they can be remapped: ``image`` and ``~/label_map`` of a node with one camera,
``front/image`` and ``~/front/label_map`` of the camera ``front``.
"""

from __future__ import annotations

from typing import Any

from sensor_msgs.msg import CompressedImage, Image
from std_srvs.srv import Trigger

from ..dense import SemanticSegmenter
from ..segment import Frame, Masks, Segmenter
from ..segment.mask_grid import GRIDS
from ..tracking.tracker import LAST_ID
from .calibration import Calibration
from .camera_context import CameraContext
from .camera_info_output import CameraInfoOutput
from .depth_output import DepthOutput
from .empty_outputs import EmptyOutputs
from .frame_processor import FrameProcessor
from .frame_request import FrameRequest, PreparedFrame, RequestQueue
from .frame_segmenter import FrameSegmenter
from .image_intake import ImageIntake
from .instances_output import InstancesOutput
from .interfaces import HAS_INTERFACES
from .managed_entities import ManagedEntities
from .mask_names import MaskNames
from .messages import MAX_SMALL_ID
from .object_clicks import ObjectClicks, ShownObjects
from .parameters import SegmenterParameters
from .pending_prompts import PendingPrompts
from .prompt_topics import PromptTopics
from .publish_point import PointTarget
from .publishers import Publishers
from .qos import newest_only, transport_topic
from .recent_images import RecentImages
from .services import RequestServices


class CameraPipeline:
    """The parts of one camera, from its subscriptions to its publishers; complete from the start.

    Args:
        node: resolves topics and has a running executor.
        context: of the camera.
        entities: makes topics and services.
        segmenter: shared by all cameras.
        requests: where the camera's frames are submitted.
        parameters: as configured.
        subscribe: to the images; otherwise they come through :meth:`on_image` only.
        semantic: names the masks, shared by all cameras; None: masks have no names.
    """

    def __init__(
        self,
        node: Any,
        context: CameraContext,
        entities: ManagedEntities,
        segmenter: Segmenter,
        requests: RequestQueue,
        parameters: SegmenterParameters,
        *,
        subscribe: bool = True,
        semantic: SemanticSegmenter | None = None,
    ) -> None:
        self.context, self._requests = context, requests
        topic = transport_topic(node, context.inputs + "image", parameters.image_transport)
        calibration, grid = _calibration(context, entities, parameters), GRIDS[parameters.output_scale]
        depth = None
        if parameters.enable_depth and calibration is not None:
            depth = DepthOutput(node, entities, context, calibration, parameters)
        self._images = RecentImages(parameters.history_frames, parameters.history_s, parameters.history_bytes)
        self._pending = PendingPrompts(context, self._images, requests, parameters.history_s)
        self._intake = ImageIntake(context, topic, self._images, self._pending, requests)
        instances = camera_info = None
        if HAS_INTERFACES:
            instances = InstancesOutput(node, entities, context, grid, depth, parameters.target_frame)
        if parameters.output_scale != "image" and calibration is not None:
            camera_info = CameraInfoOutput(entities, context.outputs, calibration, grid)
        self._publishers = Publishers(node, entities, context, parameters, depth, instances, camera_info)
        shown = ShownObjects()
        self._empty = EmptyOutputs[Masks](context.parameters, self._publishers, shown.clear)
        max_id = MAX_SMALL_ID if parameters.label_encoding == "mono8" else LAST_ID
        mask_names = MaskNames(semantic, context.report_error)
        self._segmenter = FrameSegmenter(segmenter, context, mask_names, max_id)
        self._processor = FrameProcessor(
            context, topic, self._pending, requests, self._segmenter, self._publishers, self._empty, shown
        )
        prompts = PromptTopics(entities, context, self._images, self._pending, ObjectClicks(context, shown))
        locate = None if instances is None or depth is None else instances.locate
        self._services = RequestServices(entities, context, self._images, requests, self._pending, locate)
        entities.service(Trigger, context.outputs + "reset", self._on_reset)
        #: Where points in space are clicked; empty where the camera has no calibration.
        self.point_targets = (
            []
            if calibration is None
            else [PointTarget(context.name, calibration, self._images.newest, prompts.click)]
        )
        if subscribe:
            kind = Image if parameters.image_transport == "raw" else CompressedImage
            entities.subscription(kind, topic, self.on_image, newest_only(parameters.reliability))

    # Executor's thread -----------------------------------------------------------------------------

    def on_image(self, message: Image | CompressedImage) -> None:
        """Receive a frame, see :meth:`ImageIntake.on_image`."""
        self._intake.on_image(message)
        if self.context.is_accepting():
            self._services.on_image(message)

    def _on_reset(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        number = self._pending.clear()
        self._segmenter.forget_objects()
        response.success, response.message = True, f"{number} prompts cleared, all objects forgotten"
        return response

    def tick(self) -> None:
        """Forget old images, prompts without an image in time, and answers that are no longer true."""
        self._images.forget_old()
        self._pending.expire()
        self._services.expire()
        self._empty.tick()

    def pause(self, reason: str) -> None:
        """Publish no masks from now on, not even of the frame in work; drop pending requests, with the
        reason.

        Empty outputs replace the last answer.
        """
        self._requests.end_session()
        self._empty.clear(reason)
        self._images.clear()
        self._pending.drop_all(reason)
        self._services.end_all(reason)

    def resume(self) -> None:
        """Prepare for the activation of the node."""
        self._publishers.resume()
        self._empty.resume()

    def release(self) -> None:
        """Pause for good; stored prompts stay, except those that refer to one image."""
        self.pause("the node is cleaned up")
        self._publishers.stop()
        self.context.prompts.forget_stamped()

    # Inference thread ------------------------------------------------------------------------------

    def prepare(self, request: FrameRequest) -> Frame | None:
        """Convert a frame for a common encoder call, see :meth:`FrameProcessor.prepare`."""
        if request.task is not None:
            return None
        return self._processor.prepare(request)

    def process(self, request: FrameRequest, prepared: PreparedFrame | None = None) -> bool:
        """Do the task of a frame, or publish its masks, see :meth:`FrameProcessor.process`."""
        if request.task is not None:
            return request.task.run(self._segmenter.segmenter)
        return self._processor.process(request, prepared)

    def use(self, segmenter: Segmenter) -> None:
        """Continue with another runtime."""
        self._segmenter.use(segmenter)


def _calibration(
    context: CameraContext, entities: ManagedEntities, parameters: SegmenterParameters
) -> Calibration | None:
    """Subscribe the camera's calibration where an output needs it."""
    in_space = parameters.enable_depth or parameters.enable_3d_clicks
    if not in_space and parameters.output_scale == "image":
        return None
    topic = context.inputs + "camera_info"
    return Calibration(entities, topic, parameters.reliability, rectified=parameters.image_rectified)
