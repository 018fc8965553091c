# SPDX-License-Identifier: Apache-2.0
"""One request of the service ``~/segment``: its image and prompts, and the masks as a response."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from ..io.encodings import ImageError, compressed_to_frame, image_to_frame
from ..segment import Frame, Masks, PromptError, Segmenter
from ..segment.prompt import check_prompts
from .deferred_service import Reply
from .instances import ObjectLabel, Space, instances_message
from .messages import label_map_message
from .parameters import SegmenterParameters
from .prompt_messages import ObjectPrompt


@dataclass(frozen=True, eq=False)
class Question:
    """Hold the options of a request.

    Attributes:
        objects: the prompts; empty for everything mode.
        max_prompts: number of prompts of everything mode.
        multimask: return the three masks of each prompt.
        wants_label_map: return the label map.
    """

    objects: tuple[ObjectPrompt, ...]
    max_prompts: int
    multimask: bool
    wants_label_map: bool


class SegmentTask:
    """Answer a question about one image. Run by the inference thread; other threads may reply before.

    Args:
        question: the request.
        message: the image.
        parameters: as they are when the work begins.
        reply: of the request.
        locate: returns where the objects of the camera's image are; None for other images.
    """

    def __init__(
        self,
        question: Question,
        message: Image | CompressedImage,
        parameters: SegmenterParameters,
        reply: Reply,
        locate: Callable[[Header, Masks], Space] | None = None,
    ) -> None:
        self._question, self._message, self._parameters, self._reply = question, message, parameters, reply
        self._locate = locate

    def run(self, segmenter: Segmenter) -> bool:
        """Reply with masks or with an error; return whether the networks have run.

        Raises:
            Exception: inference failed; the reply was sent.
        """
        if self._reply.is_sent:  # the time is over
            return False
        try:
            frame = self._frame()
            self._reply.send(self._response(frame, self._masks(segmenter, frame)))
        except ImageError as error:
            self.fail("BAD_IMAGE", str(error))
            return False
        except PromptError as error:
            self.fail("BAD_REQUEST", str(error))
        except Exception as error:
            self.fail("FAILED", f"{type(error).__name__}: {error}")
            raise
        return True

    def fail(self, code: str, text: str) -> None:
        """Reply with a code of evitsam_interfaces/Status by its name."""
        fail(self._reply, code, text)

    def _frame(self) -> Frame:
        limits = self._parameters.intensity_range
        if isinstance(self._message, CompressedImage):
            return compressed_to_frame(self._message, limits)
        return image_to_frame(self._message, limits)

    def _masks(self, segmenter: Segmenter, frame: Frame) -> Masks:
        question = self._question
        limits = segmenter.thresholds().replace(**self._parameters.thresholds())
        prompts = check_prompts([item.prompt for item in question.objects], frame.size)
        for prompt in prompts:
            segmenter.check(prompt)
        embedding = segmenter.embed(frame)
        if not prompts:
            masks = segmenter.everything(embedding, question.max_prompts, limits)
        else:
            masks = segmenter.decode(
                embedding, prompts, multimask=question.multimask, min_region=limits.min_region
            )
        return masks.select(masks.areas > 0)

    def _response(self, frame: Frame, masks: Masks) -> Any:
        response = self._reply.new_response()
        header = self._message.header
        labels = {
            index: ObjectLabel(item.name, item.sender_id, item.score)
            for index, item in enumerate(self._question.objects, start=1)
        }
        space = None
        if self._locate is not None and not self._question.multimask:  # its masks overlap
            space = self._locate(header, masks)
        response.instances = instances_message(header, masks, labels, space=space)
        if self._question.wants_label_map:
            response.label_map = label_map_message(header, masks.label_map())
        return response


def fail(reply: Reply, code: str, text: str) -> None:
    """Reply with a code of evitsam_interfaces/Status by its name, and a reason."""
    from evitsam_interfaces.msg import Status

    response = reply.new_response()
    response.status = Status(code=getattr(Status, code), message=text)
    reply.send(response)
