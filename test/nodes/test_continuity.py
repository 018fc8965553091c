# SPDX-License-Identifier: Apache-2.0
"""What is a pause between the frames of a camera, and what its rhythm."""

import pytest

from evitsam_ros.nodes.continuity import Continuity


def pauses(stamps: list[float], sessions: list[int] | None = None) -> list[int]:
    """Numbers of the frames before which a pause lies; the first frame left out."""
    continuity = Continuity()
    sessions = sessions or [0] * len(stamps)
    found = [continuity.is_broken(stamp, of) for stamp, of in zip(stamps, sessions, strict=True)]
    assert found[0]
    return [number for number, broken in enumerate(found) if broken and number]


@pytest.mark.parametrize(
    ("stamps", "expected"),
    [
        ([n / 30 for n in range(90)], []),
        ([0, 0.1, 0.2, 1.9, 2.0, 5.0, 5.1], [5]),  # a gap of three seconds
        ([0, 0.1, 0.2, 0.3, 60.0, 60.1], [4]),
        ([100.0, 100.1, 100.2, 3.0, 3.1], [3]),  # a bag that starts again
        ([10.0, 10.1, 9.2, 10.2], []),  # a late detector's image between
        ([0, 5, 10, 15, 20, 25], [1]),  # a slow camera, or a slow network
        ([0, 5, 10, 15, 60, 65], [1, 4]),
    ],
)
def test_gaps_in_the_stamps(stamps, expected):
    assert pauses(stamps) == expected


def test_another_session_follows_a_pause():
    assert pauses([1.0, 1.1, 1.2, 1.3], [3, 3, 4, 4]) == [2]
