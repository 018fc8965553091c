# SPDX-License-Identifier: Apache-2.0
"""The unit of work: one camera's sequence or a part of it, a shard, or some images of a folder."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import asdict, dataclass, replace
from typing import Any

IMAGES, VIDEO, BAG, SHARD = "images", "video", "bag", "shard"


@dataclass(frozen=True)
class Unit:
    """Define the work that one worker labels without a break, into one file of rows.

    Attributes:
        kind: ``images``, ``video``, ``bag`` or ``shard``.
        source: absolute path or URL of the file or folder.
        topic: image topic of a bag.
        first, last: frames from ``first`` up to and excluding ``last``; None: to the end.
        names: files of a folder of images, in their order.
        sequence: the images of the folder are frames of one camera.
        size: bytes of the source; -1 where unknown. A source of another size has changed.
        count: number of images as far as is known; 0 if not.
    """

    kind: str
    source: str
    topic: str = ""
    first: int = 0
    last: int | None = None
    names: tuple[str, ...] = ()
    sequence: bool = False
    size: int = -1
    count: int = 0

    @property
    def key(self) -> str:
        """Name of its files: equal for the same work, in every run."""
        chosen = "" if self.sequence else "\n".join(self.names)
        parts = [self.kind, self.source, self.topic, str(self.first), str(self.last), chosen]
        digest = hashlib.sha256(json.dumps(parts).encode("utf-8", "surrogatepass")).hexdigest()[:20]
        stem = re.sub(r"[^A-Za-z0-9._-]+", "_", self.source.partition("?")[0].rstrip("/").rpartition("/")[2])
        return f"{stem[:40] or 'root'}-{digest}"

    @property
    def content(self) -> str:
        """The marks of a source that show a change since it was labelled."""
        if self.names:
            return hashlib.sha256("\n".join(self.names).encode("utf-8", "surrogatepass")).hexdigest()[:16]
        return str(self.size)

    @property
    def title(self) -> str:
        """For messages: source, topic, and frames of a part."""
        topic = f":{self.topic}" if self.topic else ""
        part = f", frames {self.first} to {'the end' if self.last is None else self.last - 1}"
        cut = self.first or self.last is not None
        if self.kind == IMAGES and not self.sequence and len(self.names) > 1:
            part, cut = f", {self.names[0]} to {self.names[-1]}", True
        elif self.kind == IMAGES and self.names and not self.sequence:
            return f"{self.source}/{self.names[0]}"
        return f"{self.source}{topic}{part if cut else ''}"

    def of_names(self, names: tuple[str, ...]) -> Unit:
        """Return the unit with other files of its folder."""
        return replace(self, names=names, count=len(names))

    def to_json(self) -> str:
        """Return the unit as a line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Unit:
        """Return the unit that :meth:`to_json` wrote."""
        fields: dict[str, Any] = json.loads(text)
        return cls(**{**fields, "names": tuple(fields["names"])})
