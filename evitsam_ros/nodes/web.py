# SPDX-License-Identifier: Apache-2.0
"""Serve a page on which a person watches and prompts a segmenter: by default at http://127.0.0.1:8765/.

The node knows the segmenter by its topics, services and parameters only. Without viewers of the page, it has
no subscriptions.
"""

from __future__ import annotations

import sys
import time
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rcl_interfaces.msg import Parameter, ParameterDescriptor, ParameterType, ParameterValue
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.clock import Clock, ClockType
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

from ..web.access import Access
from ..web.commands import AddBox, AddPoint, Clear, Command, CommandError, Remove, SetMode
from ..web.prompt_set import PromptSet
from ..web.state import CameraStatus, PageState
from .fastdds import use_profile
from .runtime import ros, spin, started
from .web_camera import WebCamera

try:
    from ..web.server import PageServer
except ImportError:  # aiohttp is optional
    PageServer = None  # type: ignore[assignment, misc]

PARAMETERS = {
    "segmenter": ("segmenter", "Name of the segmenter; a relative name is in the namespace of this node."),
    "host": ("127.0.0.1", "Address on which the page is served; one that other computers reach needs token."),
    "port": (8765, "TCP port of the page."),
    "token": ("", "Secret of 16 characters or more, which the address of the page has to end with: ?token=…"),
    "max_viewers": (20, "Maximum number of pages that are open at a time."),
    "max_rate_hz": (20.0, "Maximum number of frames a second on a page."),
}
#: Parameter -> (min, max).
RANGES = {"max_viewers": (1, 1000), "max_rate_hz": (0.1, 1000.0)}
#: Seconds between two checks of the segmenter.
PERIOD = 1.0
#: Seconds after which diagnostics and an answer of the segmenter count as missing.
STALE = 5.0
#: Parameters of the segmenter that a page shows.
SHOWN_PARAMETERS = ("model", "mode")


class WebNode(Node):
    """Connect the page's server, which has a thread of its own, with the segmenter.

    Raises:
        ValueError: A parameter cannot be used, the address is in use, or aiohttp is not installed.
    """

    def __init__(self) -> None:
        super().__init__("web")
        self._server: Any = None
        try:
            self._set_up()
        except Exception:
            self.destroy_node()
            raise

    def _set_up(self) -> None:
        for name, (default, description) in PARAMETERS.items():
            self.declare_parameter(name, default, ParameterDescriptor(description=description))
        options = {name: self.get_parameter(name).value for name in PARAMETERS}
        for name, (low, high) in RANGES.items():
            if not low <= options[name] <= high:
                raise ValueError(f"parameter {name} is {options[name]}; expected {low} to {high}")
        if PageServer is None:
            raise ValueError("the page needs aiohttp: apt install python3-aiohttp, or pip install aiohttp")
        access = Access(options["host"], options["port"], options["token"])
        self._max_rate: float = options["max_rate_hz"]
        self._segmenter = self.resolve_topic_name(options["segmenter"])
        self._requests: SimpleQueue[frozenset[str] | tuple[int, Command]] = SimpleQueue()
        self._wake = self.create_guard_condition(self._on_requests)
        self._cameras: dict[str, WebCamera] = {}
        self._prompts: dict[str, PromptSet] = {}
        self._watched: frozenset[str] = frozenset()
        self._diagnostics: Any = None
        self._timer: Any = None
        self._status: dict[str, tuple[float, CameraStatus]] = {}
        self._shown_parameters: dict[str, str] = {}
        self._asked: tuple[float, Any] | None = None
        self._get = self.create_client(GetParameters, f"{self._segmenter}/get_parameters")
        self._set = self.create_client(SetParameters, f"{self._segmenter}/set_parameters")
        self._server = PageServer(access, options["max_viewers"], self._on_command, self._on_watched)
        self._server.start()
        more = "?token=…" if access.token else ""
        self.get_logger().info(f"page of {self._segmenter}: {self._server.url}{more}")

    @property
    def url(self) -> str:
        """Return the address of the page, without a token."""
        return str(self._server.url)

    def destroy_node(self) -> None:
        """Close all pages, and destroy the node."""
        if self._server is not None:
            self._server.stop()
        super().destroy_node()

    # Server's thread -------------------------------------------------------------------------------

    def _on_command(self, viewer: int, command: Command) -> None:
        self._requests.put((viewer, command))
        self._wake.trigger()

    def _on_watched(self, cameras: frozenset[str]) -> None:
        self._requests.put(cameras)
        self._wake.trigger()

    # Executor's thread -----------------------------------------------------------------------------

    def _on_requests(self) -> None:
        """Process the pages' requests since the last call."""
        while True:
            try:
                request = self._requests.get_nowait()
            except Empty:
                return
            if isinstance(request, frozenset):
                self._watch(request)
                continue
            viewer, command = request
            try:
                self._do(viewer, command)
            except CommandError as error:
                self._server.show_text(str(error), viewer)

    def _do(self, viewer: int, command: Command) -> None:
        if isinstance(command, SetMode):
            self._set_mode(viewer, command.mode)
            return
        name = getattr(command, "camera", "")
        camera = self._cameras.get(name)
        if camera is None:
            raise CommandError(f"camera {name!r} is not shown; choose one of {', '.join(self._names())}")
        mode = self._shown_parameters.get("mode", "")
        on_rejected = partial(self._server.show_text, viewer=viewer)
        if isinstance(command, AddPoint):
            camera.add_point(command, mode, on_rejected)
        elif isinstance(command, AddBox):
            camera.add_box(command, mode, on_rejected)
        elif isinstance(command, Remove):
            camera.remove(command)
        elif isinstance(command, Clear):
            camera.clear(command)

    def _watch(self, cameras: frozenset[str]) -> None:
        """Subscribe to the cameras that pages show, and to no others."""
        self._watched = cameras
        if cameras and self._diagnostics is None:
            self._diagnostics = self.create_subscription(
                DiagnosticArray, "/diagnostics", self._on_diagnostics, 10
            )
            steady = Clock(clock_type=ClockType.STEADY_TIME)
            self._timer = self.create_timer(PERIOD, self._tick, clock=steady)
        elif not cameras and self._diagnostics is not None:
            self.destroy_subscription(self._diagnostics)
            self.destroy_timer(self._timer)
            self._diagnostics = self._timer = None
            self._status.clear()
        self._tick()

    def _tick(self) -> None:
        """Update the segmenter's cameras and parameters."""
        old = time.monotonic() - STALE
        self._status = {name: each for name, each in self._status.items() if each[0] > old}
        self._match_cameras()
        self._ask_parameters()
        for name in self._watched:
            self._show(name)

    def _match_cameras(self) -> None:
        """Have the topics of the cameras that are looked at, as far as the segmenter has these cameras."""
        wanted = self._watched & set(self._names())
        for name in self._cameras.keys() - wanted:
            self._cameras.pop(name).destroy()
        for name in wanted - self._cameras.keys():
            self._cameras[name] = WebCamera(
                self,
                f"{self._segmenter}/{name}" if name else self._segmenter,
                self._prompts.setdefault(name, PromptSet()),
                partial(self._server.show_frame, name),
                partial(self._show, name),
                self._max_rate,
            )

    def _names(self) -> list[str]:
        """Return the names of the segmenter's cameras; one without a name until they are known."""
        return sorted(self._status) or [*self._cameras] or [""]

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        prefix, now = f"{self._segmenter}: segmentation", time.monotonic()
        found = [each for each in message.status if each.name.startswith(prefix)]
        for status in found:
            name = status.name[len(prefix) :].strip()
            values = {entry.key: entry.value for entry in status.values}
            is_ok = status.level == DiagnosticStatus.OK
            self._status[name] = now, CameraStatus(is_ok, status.message, values)
        if found:
            self._match_cameras()
            for name in self._watched:
                self._show(name)

    def _show(self, name: str) -> None:
        camera, status = self._cameras.get(name), self._status.get(name)
        state = PageState(
            self._segmenter,
            name,
            self._names(),
            is_found=status is not None or self._get.service_is_ready(),
            status=status[1] if status is not None else None,
            parameters=self._shown_parameters,
            objects=camera.objects if camera is not None else (),
            own=self._prompts[name].names if name in self._prompts else (),
        )
        self._server.show_state(name, state.to_json())

    # The segmenter's parameters --------------------------------------------------------------------

    def _ask_parameters(self) -> None:
        """Request the parameters, unless a request is pending."""
        now = time.monotonic()
        if self._asked is not None and now - self._asked[0] < STALE:
            return
        if self._asked is not None:
            self._get.remove_pending_request(self._asked[1])
            self._asked = None
        if self._watched and self._get.service_is_ready():
            future = self._get.call_async(GetParameters.Request(names=list(SHOWN_PARAMETERS)))
            self._asked = now, future
            future.add_done_callback(self._on_parameters)

    def _on_parameters(self, future: Any) -> None:
        self._asked = None
        if future.cancelled() or future.result() is None:
            return
        values = [each.string_value for each in future.result().values]
        if len(values) == len(SHOWN_PARAMETERS):
            self._shown_parameters = dict(zip(SHOWN_PARAMETERS, values, strict=True))

    def _set_mode(self, viewer: int, mode: str) -> None:
        if not self._set.service_is_ready():
            raise CommandError(f"the mode cannot be set: {self._segmenter} does not answer")
        value = ParameterValue(type=ParameterType.PARAMETER_STRING, string_value=mode)
        request = SetParameters.Request(parameters=[Parameter(name="mode", value=value)])
        self._set.call_async(request).add_done_callback(partial(self._on_mode_set, viewer, mode))

    def _on_mode_set(self, viewer: int, mode: str, future: Any) -> None:
        result = future.result().results[0] if future.result() is not None else None
        if result is None or not result.successful:
            reason = result.reason if result is not None else "no answer"
            self._server.show_text(f"the mode was not set to {mode}: {reason}", viewer)
            return
        self._shown_parameters["mode"] = mode
        for name in self._watched:
            self._show(name)


def main(args: list[str] | None = None) -> int:
    """Run the node; return the exit code."""
    use_profile()
    with ros(args):
        node = started("web", WebNode)
        executor = SingleThreadedExecutor()
        executor.add_node(node)

        def failed(error: Exception) -> None:
            node.get_logger().error(f"{type(error).__name__}: {error}", throttle_duration_sec=2.0)

        try:
            spin(executor, failed)
        finally:
            executor.shutdown()
            node.destroy_node()
    return 0


if __name__ == "__main__":
    sys.exit(main())
