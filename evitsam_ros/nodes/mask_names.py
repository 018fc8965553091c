# SPDX-License-Identifier: Apache-2.0
"""Name the masks of a frame by the class that a semantic network sees under them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from ..dense import SemanticSegmenter
from ..segment import Frame, Masks
from ..segment.timing import add_timings


class MaskNames:
    """Add class names to the masks of one camera. Used by the inference thread.

    Args:
        semantic: shared by all cameras; None: names stay as they are.
        report_error: called with the counter and the text of a failure.
    """

    def __init__(self, semantic: SemanticSegmenter | None, report_error: Callable[[str, str], None]) -> None:
        self._semantic, self._report_error = semantic, report_error

    def add(self, frame: Frame, masks: Masks, names: Mapping[int, str]) -> tuple[Masks, dict[int, str]]:
        """Name the objects that have no name yet; masks of void pixels stay without.

        A failure of the semantic network is reported, and the masks are published without class names.

        Args:
            frame: the image.
            masks: of the image.
            names: of the objects by id, as their prompts give them; an empty name is none.

        Returns:
            The masks, with the stage ``classify`` in their timings, and all names.
        """
        if self._semantic is None or all(names.get(i) for i in masks.object_ids.tolist()):
            return masks, dict(names)
        try:
            found = self._semantic.classify(frame.image, masks)
        except Exception as error:
            self._report_error("semantic_errors", f"semantic_model: {type(error).__name__}: {error}")
            return masks, dict(names)
        timings = add_timings(masks.timings, {"classify": sum(found.timings.values())})
        added = {identity: name for identity, name in found.names.items() if not names.get(identity)}
        return replace(masks, timings=timings), {**names, **added}
