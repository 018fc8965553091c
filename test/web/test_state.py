# SPDX-License-Identifier: Apache-2.0
"""What a page shows: plain words for what is wrong, and JSON that a browser can read."""

import json

import pytest

from evitsam_ros.web.state import CameraStatus, PageState, ShownObject, headline

ACTIVE = {"state": "active", "rate_in_hz": "9.90", "latency_encode_ms": "31.5", "backend": "openvino"}


def state(values=None, *, is_ok=True, message="active", **more) -> PageState:
    status = CameraStatus(is_ok, message, values) if values is not None else None
    return PageState("/segmenter", "", **{"is_found": True} | more, status=status)


@pytest.mark.parametrize(
    ("shown", "level", "text"),
    [
        (state(is_found=False), "error", "ros2 launch evitsam_ros segmenter.launch.py"),
        (state(), "warn", "Waiting for the diagnostics"),
        (state(ACTIVE), "ok", ""),
        (state(ACTIVE, is_ok=False, message="masks come late"), "warn", "masks come late"),
        (state(ACTIVE | {"state": "inactive"}), "warn", "ros2 lifecycle set /segmenter activate"),
        (state(ACTIVE | {"state": "disabled"}), "warn", "/segmenter/enable"),
        (state(ACTIVE | {"rate_in_hz": "0.00"}), "warn", "No image arrives"),
        (state(ACTIVE, parameters={"mode": "on_request"}), "warn", "Press Everything"),
        (state(ACTIVE, parameters={"mode": "everything"}), "ok", ""),
    ],
)
def test_errors_are_shown_with_the_remedy(shown, level, text):
    assert headline(shown)[0] == level and text in headline(shown)[1]


def test_the_state_is_json_of_bounded_length():
    objects = [
        ShownObject(i + 1, "<b>" * 1000, float("nan"), (0, 0, float("inf"), 1), "#010203") for i in range(999)
    ]
    text = state(ACTIVE | {"last_error": "x" * 10**6}, objects=objects, own=["<b>" * 1000]).to_json()
    assert len(text) < 100_000
    read = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert read["stages"] == {"encode": "31.5"} and read["backend"] == "openvino"
    assert read["objects"][0] == {
        "id": 1,
        "name": ("<b>" * 1000)[:64],
        "score": None,
        "box": [0, 0, 0.0, 1],
        "colour": "#010203",
        "is_own": True,
    }
