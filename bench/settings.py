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
        networks, l0: turns.
        everything: turns of everything mode; ``grids``: with the 32 x 32 grids, which take most of the time;
            ``slow_every``: they have every so manyth turn only.
        frames: sent for each ROS figure.
        sizes: of the images sent over ROS, names of :data:`~bench.ros.sizes.SIZES`.
        compressed: over ROS, too.
        fleet_turns, fleet_images: turns of labelling, and images in each; ``fleet_few``, ``fleet_many``:
            inputs of which the driver's memory is compared; ``fleet_nodes``, ``fleet_units``: pretended
            nodes, and units for each.
        starts: of the segmenter; ``imports``: of its modules.
    """

    networks: int = 15
    everything: int = 21
    grids: bool = True
    slow_every: int = 1
    l0: int = 15
    frames: int = 60
    sizes: tuple[str, ...] = ("VGA", "720p", "1080p")
    compressed: bool = True
    starts: int = 11
    imports: int = 7
    fleet_turns: int = 2
    fleet_images: int = 60
    fleet_few: int = 1000
    fleet_many: int = 100_000
    fleet_nodes: int = 32
    fleet_units: int = 5


FULL = Settings()
QUICK = Settings(
    networks=3,
    everything=3,
    grids=False,
    slow_every=3,
    l0=3,
    frames=25,
    sizes=("720p",),
    compressed=False,
    starts=1,
    imports=3,
    fleet_turns=1,
    fleet_images=16,
    fleet_many=5000,
    fleet_nodes=4,
    fleet_units=3,
)
