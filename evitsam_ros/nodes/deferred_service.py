# SPDX-License-Identifier: Apache-2.0
"""Create services that reply later, by any thread, without blocking the executor.

A callback of rclpy has to return the response; a coroutine that waits keeps the executor busy. Here the
executor's call to ``send_response`` starts the work instead, and the response follows when it is ready.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


class Reply:
    """The reply to one request; the first one counts. Thread-safe.

    Args:
        make: returns an empty response.
        send: sends a response.
    """

    def __init__(self, make: Callable[[], Any], send: Callable[[Any], None]) -> None:
        self.new_response = make
        self._send = send
        self._lock = threading.Lock()
        self._is_sent = False

    @property
    def is_sent(self) -> bool:
        """Return whether the reply was sent; later ones are ignored."""
        return self._is_sent

    def send(self, response: Any) -> bool:
        """Send the response; return False if another one was sent before."""
        with self._lock:
            if self._is_sent:
                return False
            self._is_sent = True
        self._send(response)
        return True


def deferred_service(create: Callable[[Callable], Any], callback: Callable[[Any, Reply], None]) -> Any:
    """Create a service with a callback that gets the request and a :class:`Reply`.

    Args:
        create: creates the service with a given callback, and returns it.
        callback: called by the executor; the reply may be sent at any time, by any thread.
    """
    service = create(lambda request, response: request)
    send = service.send_response

    def start(request: Any, header: Any) -> None:
        callback(request, Reply(service.srv_type.Response, lambda response: send(response, header)))

    # The executor calls it with the callback's return value, the request, and its header.
    service.send_response = start
    return service
