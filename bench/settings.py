# SPDX-License-Identifier: Apache-2.0
"""How much is measured: all of it, or what fits into a minute."""

from __future__ import annotations

from dataclasses import dataclass

#: The bundle that is measured; it has stayed the same while others came, so figures can be compared.
MODEL = "lite_sam"


@dataclass(frozen=True)
class Settings:
    """How often things are repeated, after a warm-up.

    Attributes:
        networks, l0, semantic: turns.
        semantic_sizes: how many of the semantic networks' input sizes are measured.
        everything: turns of everything mode; ``grids``: with the 32 x 32 grids, which take most of the time;
            ``slow_every``: they have every so manyth turn only.
        frames: sent for each ROS figure.
        sizes: of the images sent over ROS, names of :data:`~bench.ros.sizes.SIZES`.
        compressed: over ROS, too.
        starts: of the segmenter; ``imports``: of its modules.
    """

    networks: int = 15
    everything: int = 21
    grids: bool = True
    slow_every: int = 1
    l0: int = 15
    semantic: int = 7
    semantic_sizes: int = 2
    frames: int = 60
    sizes: tuple[str, ...] = ("VGA", "720p", "1080p")
    compressed: bool = True
    starts: int = 11
    imports: int = 7


FULL = Settings()
QUICK = Settings(
    networks=3,
    everything=3,
    grids=False,
    slow_every=3,
    l0=3,
    semantic=3,
    semantic_sizes=1,
    frames=25,
    sizes=("720p",),
    compressed=False,
    starts=1,
    imports=3,
)
