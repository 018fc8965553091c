# SPDX-License-Identifier: Apache-2.0
"""ROS entities that a node creates together, and destroys together: a lifecycle node at its cleanup."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.lifecycle import LifecycleNode
from rclpy.node import Node
from rclpy.qos import QoSProfile, qos_policy_name_from_kind

from .deferred_service import Reply, deferred_service
from .qos import CameraQoS

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # ROS 2 Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks


class ManagedEntities:
    """Create publishers, subscriptions and services of a node, and destroy them together.

    Args:
        node: owns them.
        report_error: called with ``("qos_mismatch", text)`` when a peer's quality of service does not fit.
    """

    def __init__(self, node: Node, report_error: Callable[[str, str], None]) -> None:
        self._node, self._report_error = node, report_error
        self._made: list[tuple[Callable[[Any], Any], Any]] = []

    def subscription(self, kind: type, topic: str, callback: Callable, qos: QoSProfile | int) -> None:
        """Create a subscription; report publishers with an incompatible quality of service."""

        def mismatch(event: Any) -> None:
            policy = qos_policy_name_from_kind(event.last_policy_kind)
            by_parameter = policy == "RELIABILITY" and isinstance(qos, CameraQoS)
            remedy = "set the parameter reliability to best_effort, or change" if by_parameter else "change"
            offered = {"RELIABILITY": " to reliable", "DURABILITY": " to transient_local"}.get(policy, "")
            self._report_error(
                "qos_mismatch",
                f"{topic}: a publisher's {policy} is less strict than this subscription requires, so its "
                f"messages are not received; {remedy} the publisher{offered} "
                f"(ros2 topic info -v {self._node.resolve_topic_name(topic)})",
            )

        events = SubscriptionEventCallbacks(incompatible_qos=mismatch, use_default_callbacks=False)
        made = self._node.create_subscription(kind, topic, callback, qos, event_callbacks=events)
        self._made.append((self._node.destroy_subscription, made))

    def publisher(self, kind: type, topic: str, qos: QoSProfile) -> Any:
        """Create a publisher, a managed one on a lifecycle node; report subscribers that do not fit."""

        def mismatch(event: Any) -> None:
            policy = qos_policy_name_from_kind(event.last_policy_kind)
            self._report_error(
                "qos_mismatch",
                f"{topic}: a subscriber requires a stricter {policy} than is offered and receives "
                f"no messages; change it (ros2 topic info -v {self._node.resolve_topic_name(topic)})",
            )

        events = PublisherEventCallbacks(incompatible_qos=mismatch, use_default_callbacks=False)
        if isinstance(self._node, LifecycleNode):
            made = self._node.create_lifecycle_publisher(kind, topic, qos, event_callbacks=events)
            self._made.append((self._node.destroy_lifecycle_publisher, made))
        else:
            made = self._node.create_publisher(kind, topic, qos, event_callbacks=events)
            self._made.append((self._node.destroy_publisher, made))
        return made

    def service(self, kind: type, name: str, callback: Callable) -> None:
        """Create a service."""
        self._made.append((self._node.destroy_service, self._node.create_service(kind, name, callback)))

    def deferred_service(self, kind: type, name: str, callback: Callable[[Any, Reply], None]) -> None:
        """Create a service that replies later, see :mod:`.deferred_service`."""
        made = deferred_service(lambda call: self._node.create_service(kind, name, call), callback)
        self._made.append((self._node.destroy_service, made))

    def keep(self, destroy: Callable[[Any], Any], entity: Any) -> None:
        """Keep an entity that was created elsewhere; ``destroy`` is called with it."""
        self._made.append((destroy, entity))

    def destroy(self) -> None:
        """Destroy all entities."""
        for destroy, entity in self._made:
            destroy(entity)
        self._made.clear()
