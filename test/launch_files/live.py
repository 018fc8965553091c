# SPDX-License-Identifier: Apache-2.0
"""Real nodes over real DDS, and what the ROS graph says of them.

Each is started in every way that makes it publish, subscribe or serve something else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from ..nodes.colour_classes import write_colour_classes
from ..nodes.harness import Peer, Process, next_domain

#: A graph that has not changed for so long is complete, seconds.
SETTLED = 1.5


@dataclass(frozen=True)
class Graph:
    """What a node has, by fully qualified names.

    ``offered`` has (topic, type, reliability) of every publisher, as ``/image``, ``sensor_msgs/msg/Image``,
    ``RELIABLE``; ``types`` has (name, type) of every topic and service.
    """

    publish: frozenset[str]
    subscribe: frozenset[str]
    reply: frozenset[str]
    request: frozenset[str]
    offered: frozenset[tuple[str, str, str]] = frozenset()
    types: frozenset[tuple[str, str]] = frozenset()

    def __or__(self, other: Graph) -> Graph:
        return Graph(*(getattr(self, name) | getattr(other, name) for name in Graph.__dataclass_fields__))


def graph_of(peer: Peer, node: str, namespace: str = "/") -> Graph:
    """What the node has now; empty where it has not been discovered yet."""
    queries: tuple[Callable[[str, str], Iterable], ...] = (
        peer.node.get_publisher_names_and_types_by_node,
        peer.node.get_subscriber_names_and_types_by_node,
        peer.node.get_service_names_and_types_by_node,
        peer.node.get_client_names_and_types_by_node,
    )
    if (node, namespace) not in peer.node.get_node_names_and_namespaces():
        return Graph(*[frozenset()] * 4)
    found = [query(node, namespace) for query in queries]
    names = [frozenset(name for name, _ in each) for each in found]
    types = frozenset((name, kind) for each in found for name, kinds in each for kind in kinds)
    offered = frozenset(
        (topic, info.topic_type, info.qos_profile.reliability.name)
        for topic in names[0]
        for info in peer.node.get_publishers_info_by_topic(topic)
        if (info.node_name, info.node_namespace) == (node, namespace)
    )
    return Graph(*names, offered, types)


def live_graph(folder: Path, module: str, parameters: dict, needs: str, extra: tuple[str, ...] = ()) -> Graph:
    """Start a node, wait until it publishes ``needs`` and nothing comes any more; its graph."""
    domain = next_domain()
    process = Process(module, domain, folder / f"{module}_{domain}.log", parameters, extra)
    peer = Peer(domain)
    try:
        return _settled(peer, module, needs, process)
    finally:
        process.stop()
        peer.close()


def _settled(peer: Peer, node: str, needs: str, process: Process, seconds: float = 60.0) -> Graph:
    deadline = time.monotonic() + seconds
    last, since = graph_of(peer, node), time.monotonic()
    while time.monotonic() < deadline:
        peer.until(lambda: False, 0.2)
        now = graph_of(peer, node)
        if now != last:
            last, since = now, time.monotonic()
        elif needs in now.publish and time.monotonic() - since > SETTLED:
            return now
    raise AssertionError(f"{node} does not publish {needs} but {sorted(last.publish)}\n{process.output}")


def live_segmenter(folder: Path, cameras: tuple[str, ...] = ()) -> Graph:
    """All that the segmenter ever has: raw or compressed images and depth, clicks, simulated time."""
    common = {"backend": "onnxruntime", "diagnostics_period_s": 0.2, "output_scale": "network"}
    several = {"cameras": f"[{', '.join(cameras)}]"} if cameras else {}
    needs = f"/segmenter/{''.join(f'{name}/' for name in cameras[:1])}label_map"
    space = {"enable_depth": True, "enable_3d_clicks": True, "use_sim_time": True}
    compressed = {"image_transport": "compressed", "enable_depth": True, "depth_transport": "compressed"}
    ways = [space, compressed, {"enable_depth": True, "depth_transport": "compressedDepth"}]
    graphs = [live_graph(folder, "segmenter", common | several | way, needs) for way in ways]
    return graphs[0] | graphs[1] | graphs[2]


def live_semantic(folder: Path) -> Graph:
    """All that the semantic node ever has."""
    common = {"backend": "onnxruntime", "diagnostics_period_s": 0.2, "enable_depth": True}
    common["model"] = write_colour_classes(folder / "colours")
    compressed = {"image_transport": "compressed", "depth_transport": "compressed"}
    ways: list[dict] = [{"use_sim_time": True}, compressed, {"depth_transport": "compressedDepth"}]
    graphs = [live_graph(folder, "semantic", common | way, "/semantic/label_map") for way in ways]
    return graphs[0] | graphs[1] | graphs[2]


def live_camera(folder: Path) -> Graph:
    """All that the desk camera ever has."""
    raw = live_graph(folder, "camera", {"use_sim_time": True, "source": "scene:room"}, "/image")
    return raw | live_graph(folder, "camera", {"compressed": True}, "/image/compressed")


def live_web(folder: Path) -> Graph:
    """All that the page ever has: what it has while somebody looks."""
    from ..nodes.web_process import WebProcess
    from ..web.page_client import PageClient

    domain = next_domain()
    process = WebProcess(domain, folder, use_sim_time=True)
    peer = Peer(domain)
    try:
        with PageClient(process.url):
            return _settled(peer, "web", "/segmenter/prompts", process)
    finally:
        process.stop()
        peer.close()


def expanded(name: str, node: str, namespace: str) -> str:
    """An expression of the policy as a fully qualified name, by the rules that sros2 has for it."""
    base = namespace.rstrip("/")
    if name.startswith("/"):
        return name
    return f"{base}/{node}{name[1:]}" if name.startswith("~/") else f"{base}/{name}"
