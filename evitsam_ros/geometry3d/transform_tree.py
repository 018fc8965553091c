# SPDX-License-Identifier: Apache-2.0
"""Keep transforms from /tf and /tf_static, and look them up (REP 105).

A replacement of tf2's buffer for machines without it: a tree of frames, each with a history of poses in its
parent, interpolated between two times.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass, field

import numpy as np

#: Seconds of history, as tf2 keeps by default.
HISTORY = 10.0
#: Maximum delay in seconds of a transform behind a newer one.
MAX_DELAY = 2.0
#: Maximum number of frames; a robot has fewer.
MAX_FRAMES = 2000


class TransformError(ValueError):
    """A transform is invalid, or not known."""


@dataclass
class _Edge:
    """Poses of a frame in its parent: times in seconds, ascending; poses ``(7,)``: x y z, quaternion."""

    parent: str
    static: bool
    times: list[float] = field(default_factory=list)
    poses: dict[float, np.ndarray] = field(default_factory=dict)
    late: float | None = None

    def put(self, time: float, pose: np.ndarray) -> None:
        """Add a pose; a static frame keeps only the last one."""
        if self.static:
            self.times.clear()
            self.poses.clear()
        if time not in self.poses:
            insort(self.times, time)
        self.poses[time] = pose
        while self.times[0] < self.times[-1] - HISTORY:
            del self.poses[self.times.pop(0)]

    def began_again(self, time: float) -> float | None:
        """Return the time of the first pose of a new run, if the next pose's time was set back; else None.

        One message may be delayed; two in a row, in order but earlier than the newest one, are a new run.
        """
        before, self.late = self.late, None
        if self.static or time >= self.times[-1]:
            return None
        self.late = time
        if before is not None and before < time:
            return before
        return time if time < self.times[-1] - MAX_DELAY else None

    def matrix(self, time: float | None, name: str) -> np.ndarray:
        """Return the ``(4, 4)`` transform to the parent at a time in seconds; None: the newest.

        Raises:
            TransformError: The time is outside the history; the message calls the frame ``name``.
        """
        if self.static or time is None:
            return pose_matrix(self.poses[self.times[-1]])
        if not self.times[0] <= time <= self.times[-1]:
            raise TransformError(
                f"{name!r} in {self.parent!r} is known from {self.times[0]:.3f} to {self.times[-1]:.3f} s, "
                f"not at {time:.3f} s"
            )
        after = bisect_left(self.times, time)
        if self.times[after] == time:
            return pose_matrix(self.poses[time])
        low, high = self.times[after - 1], self.times[after]
        first, second = self.poses[low], self.poses[high]
        from scipy.spatial.transform import Rotation, Slerp  # costs a good part of the node's start

        share = (time - low) / (high - low)
        turn = Slerp([0, 1], Rotation.from_quat([first[3:], second[3:]]))(share)
        return pose_matrix(np.concatenate([first[:3] + share * (second[:3] - first[:3]), turn.as_quat()]))


class TransformTree:
    """Frames by name; every frame has one parent."""

    def __init__(self) -> None:
        self._edges: dict[str, _Edge] = {}

    def add(
        self,
        parent: str,
        child: str,
        time: float,
        translation: np.ndarray,
        rotation: np.ndarray,
        static: bool = False,
    ) -> None:
        """Add the pose of ``child`` in ``parent``.

        Args:
            parent: Name of the parent frame; a leading slash is dropped.
            child: Name of the frame.
            time: seconds; if it was set back, all frames but static ones are forgotten, as two runs of a
                simulation are independent.
            translation: ``(3,)`` metres.
            rotation: ``(4,)`` quaternion x, y, z, w.
            static: The pose holds for all times.

        Raises:
            TransformError: The numbers are not finite, the quaternion is not a rotation, or both frames are
                the same.
        """
        child, parent = child.lstrip("/"), parent.lstrip("/")
        pose = np.concatenate([translation, rotation]).astype(float)
        length = np.linalg.norm(pose[3:])
        if not child or not parent or child == parent:
            raise TransformError(f"transform from {parent!r} to {child!r}; expected two names")
        if not np.isfinite(pose).all() or not 0.9 < length < 1.1:
            raise TransformError(
                f"transform from {parent!r} to {child!r} is {pose.tolist()}; expected a pose"
            )
        pose[3:] /= length
        edge = self._edges.get(child)
        if edge is None and len(self._edges) >= MAX_FRAMES:
            raise TransformError(
                f"frame {child!r} is rejected: {MAX_FRAMES} frames are known already; expected fewer"
            )
        if edge is None or edge.parent != parent or edge.static != static:
            edge = self._edges[child] = _Edge(parent, static)
        elif (first := edge.began_again(time)) is not None:
            self.clear()
            fresh = self._edges[child] = _Edge(parent, static)
            if first < time:
                fresh.put(first, edge.poses[first])
            edge = fresh
        edge.put(time, pose)

    def clear(self) -> None:
        """Forget all frames but static ones."""
        self._edges = {name: edge for name, edge in self._edges.items() if edge.static}

    def lookup(self, target: str, source: str, time: float | None = None) -> np.ndarray:
        """Return the ``(4, 4)`` float64 transform of points in ``source`` to points in ``target``.

        Args:
            target: Name of the frame that points are wanted in.
            source: Name of the frame that points are given in.
            time: seconds; None: the newest of every frame.

        Raises:
            TransformError: The frames are not connected, or were not known at that time.
        """
        up_source, up_target = self._to_root(source), self._to_root(target)
        common = next((name for name in up_source if name in up_target), None)
        if common is None:
            known = ", ".join(sorted(self.frames())) or "none"
            raise TransformError(f"no transform from {source!r} to {target!r}; frames known: {known}")
        return np.linalg.inv(self._along(up_target, common, time)) @ self._along(up_source, common, time)

    def frames(self) -> set[str]:
        """Return the names of all frames."""
        return set(self._edges) | {edge.parent for edge in self._edges.values()}

    def _to_root(self, frame: str) -> list[str]:
        path = [frame.lstrip("/")]
        while (edge := self._edges.get(path[-1])) is not None:
            if edge.parent in path:
                raise TransformError(f"the frames form a cycle: {' -> '.join([*path, edge.parent])}")
            path.append(edge.parent)
        return path

    def _along(self, path: list[str], until: str, time: float | None) -> np.ndarray:
        """Return the transform from the first frame of a path to a later one."""
        whole = np.eye(4)
        for name in path[: path.index(until)]:
            whole = self._edges[name].matrix(time, name) @ whole
        return whole


def pose_matrix(pose: np.ndarray) -> np.ndarray:
    """Convert ``(7,)`` translation x y z and quaternion x y z w to a ``(4, 4)`` float64 matrix."""
    from scipy.spatial.transform import Rotation

    whole = np.eye(4)
    whole[:3, :3] = Rotation.from_quat(pose[3:]).as_matrix()
    whole[:3, 3] = pose[:3]
    return whole
