# SPDX-License-Identifier: Apache-2.0
"""config/sros2/policy.xml against the real nodes over DDS: what they have, no more and no less.

Where this fails, the message has the lines to put in and to take out.
"""

import xml.etree.ElementTree as ElementTree
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")

from .live import Graph, expanded

POLICY = Path(__file__).parents[2] / "config" / "sros2" / "policy.xml"
#: Permission -> (element around, element).
KINDS = {
    "publish": ("topics", "topic"),
    "subscribe": ("topics", "topic"),
    "reply": ("services", "service"),
    "request": ("services", "service"),
}
#: Services of newer distributions (this one came with Iron).
NOT_HERE = set() if find_spec("rclpy.type_description_service") else {"~/get_type_description"}

pytestmark = pytest.mark.ros


#: What the semantic node subscribes to once depth in another frame than the image's has come.
LATER = Graph(frozenset(), frozenset({"/tf", "/tf_static"}), frozenset(), frozenset())


def profiles(enclave: str) -> dict[str, ElementTree.Element]:
    """The profiles of an enclave, by the node's name."""
    root = ElementTree.parse(POLICY).getroot()
    (found,) = [e for e in root.iter("enclave") if e.get("path") == f"/evitsam_ros/{enclave}"]
    return {profile.get("node"): profile for profile in found.iter("profile")}


def allowed(profile: ElementTree.Element) -> Graph:
    """What a profile allows, but for services that this distribution's rclpy does not have."""
    found = {}
    for permission, (around, element) in KINDS.items():
        lists = [each for each in profile.iter(around) if each.get(permission) == "ALLOW"]
        names = [item.text.strip() for each in lists for item in each.iter(element)]
        assert len(names) == len(set(names)), f"{permission}: twice in {names}"
        names = [name for name in names if name not in NOT_HERE]
        found[permission] = frozenset(expanded(n, profile.get("node"), profile.get("ns")) for n in names)
    return Graph(**found)


def difference(graph: Graph, profile: ElementTree.Element) -> list[str]:
    """The lines of the policy that are missing (+) and those too many (-)."""
    policy, private = allowed(profile), f"/{profile.get('node')}/"
    lines = []
    for permission, (_, element) in KINDS.items():
        live, listed = getattr(graph, permission), getattr(policy, permission)
        for sign, names in (("+", live - listed), ("-", listed - live)):
            for name in sorted(names):
                short = f"~/{name.removeprefix(private)}" if name.startswith(private) else name
                lines.append(f'{sign} {permission}="ALLOW": <{element}>{short}</{element}>')
    return lines


@pytest.mark.parametrize(
    ("enclave", "node", "of"),
    [
        ("segmenter", "segmenter", "segmenter"),
        ("camera", "camera", "camera"),
        ("semantic", "semantic", "semantic"),
        ("multi_camera", "segmenter", "cameras"),
        ("web", "web", "web"),
    ],
)
def test_policy_lists_the_entities_of_the_node(live, enclave, node, of):
    graph = live(of) | LATER if of == "semantic" else live(of)
    lines = difference(graph, profiles(enclave)[node])
    assert not lines, f"enclave /evitsam_ros/{enclave}, profile {node}:\n" + "\n".join(lines)


def test_composed_nodes_have_both_profiles():
    composed = {name: allowed(profile) for name, profile in profiles("compose").items()}
    assert composed == {name: allowed(profiles(name)[name]) for name in ("camera", "segmenter", "semantic")}


def test_policy_has_the_form_of_its_schema():
    """The elements and attributes that sros2's policy.xsd, version 0.2.0, asks for."""
    root = ElementTree.parse(POLICY).getroot()
    assert (root.tag, root.attrib) == ("policy", {"version": "0.2.0"})
    (enclaves,) = root
    for enclave in enclaves:
        assert (enclave.tag, set(enclave.attrib)) == ("enclave", {"path"})
        (around,) = enclave
        for profile in around:
            assert (profile.tag, set(profile.attrib)) == ("profile", {"ns", "node"})
            for rules in profile:
                assert len(rules) > 0 and set(rules.attrib.values()) == {"ALLOW"}
                known = {p for p, (name, _) in KINDS.items() if name == rules.tag}
                assert set(rules.attrib) <= known and {item.tag for item in rules} == {rules.tag[:-1]}
