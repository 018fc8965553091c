# SPDX-License-Identifier: Apache-2.0
"""Boxes of a page as objects of ``~/add_objects``: the arrays of a detector do not replace them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from rclpy.node import Node

from ..web.prompt_set import PlacedPrompt
from .interfaces import HAS_INTERFACES


@dataclass(frozen=True)
class _Change:
    """A prompt to send, whether the segmenter has no such object yet, and what to call after a rejection."""

    prompt: PlacedPrompt
    is_new: bool
    on_rejected: Callable[[str], None]


class ObjectClient:
    """Add and change objects of one camera; both need evitsam_interfaces.

    An object is changed by removing it and adding it again. Services have no order among each other, so there
    is one request at a time for an object, and the newest of the changes that wait is sent next.

    Args:
        node: makes the clients.
        base: name of the segmenter, and of the camera below it where there are several.
        sender: before the names of the objects.
    """

    def __init__(self, node: Node, base: str, sender: str) -> None:
        self._node, self._base, self._sender = node, base, sender
        self._clients: list[Any] = []
        #: Changes to send by the name of their object, and names with a request that has no reply yet.
        self._waiting: dict[str, _Change] = {}
        self._busy: set[str] = set()
        if HAS_INTERFACES:
            from evitsam_interfaces.srv import AddObjects, RemoveObjects

            self._clients = [
                node.create_client(AddObjects, f"{base}/add_objects"),
                node.create_client(RemoveObjects, f"{base}/remove_objects"),
            ]

    @property
    def is_ready(self) -> bool:
        """Return whether the segmenter has the services."""
        return bool(self._clients) and all(client.service_is_ready() for client in self._clients)

    def destroy(self) -> None:
        """Remove the clients; replies that are on their way are dropped."""
        for client in self._clients:
            self._node.destroy_client(client)

    def put(self, prompt: PlacedPrompt, on_rejected: Callable[[str], None], *, is_new: bool) -> None:
        """Add an object, or replace the one of that name.

        Args:
            prompt: of the object.
            on_rejected: called with the reason if the segmenter does not take it.
            is_new: the segmenter has no object of that name.
        """
        self._waiting[prompt.name] = _Change(prompt, is_new, on_rejected)
        if prompt.name not in self._busy:
            self._send(prompt.name)

    def forget(self, name: str) -> None:
        """Do not send what waits for an object, which is removed."""
        self._waiting.pop(name, None)

    def _send(self, name: str) -> None:
        self._busy.add(name)
        if self._waiting[name].is_new:
            self._add(name)
            return
        from evitsam_interfaces.srv import RemoveObjects

        future = self._clients[1].call_async(RemoveObjects.Request(names=[self._sender + name]))
        future.add_done_callback(lambda _: self._add(name))

    def _add(self, name: str) -> None:
        change = self._waiting.pop(name, None)
        if change is None:
            self._busy.discard(name)
            return
        from evitsam_interfaces.srv import AddObjects

        future = self._clients[0].call_async(AddObjects.Request(objects=[self._message(change.prompt)]))
        future.add_done_callback(partial(self._on_added, name, change.on_rejected))

    def _on_added(self, name: str, on_rejected: Callable[[str], None], future: Any) -> None:
        self._busy.discard(name)
        reply = None if future.cancelled() else future.result()
        if name in self._waiting:
            self._send(name)
        elif reply is None:
            on_rejected(f"{self._base}/add_objects did not reply")
        elif reply.status.code:
            on_rejected(f"{self._base}/add_objects: {reply.status.message}")

    def _message(self, prompt: PlacedPrompt) -> Any:
        from evitsam_interfaces.msg import ObjectPrompt

        return ObjectPrompt(
            name=self._sender + prompt.name,
            class_name=prompt.name,
            score=1.0,
            box=[] if prompt.box is None else [float(value) for value in prompt.box],
            points=[float(value) for x, y, _ in prompt.points for value in (x, y)],
            labels=[int(is_foreground) for *_, is_foreground in prompt.points],
        )
