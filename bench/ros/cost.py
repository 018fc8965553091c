# SPDX-License-Identifier: Apache-2.0
"""The part ``ros``: camera publish to mask received, by size, transport, and number of processes.

The segmenter has a bundle whose networks cost next to nothing; what it tells of its stages is kept with each
figure, so that one sees how little. A stand-in that answers at once takes turns with it: the floor.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from evitsam_ros.profiler.measurements import Figure, Part

from ..cache import cached_bundle
from ..known_bundle import write_known_bundle
from ..processes import background, environment, ros_arguments
from ..settings import Settings
from .camera import SEGMENTER, STAND_IN, Options

FLOOR = "a node that answers at once"
#: Stages that would be there without ROS.
INFERENCE = ("preprocess", "encode", "decode")
HOW = (
    "ros: from just before publish() of a filled message to the callback that gets its label map, one clock, "
    "one frame at a time, an object in a twentieth of the picture; a camera driver's filling of the message "
    "is not in it. The networks do next to nothing; minus inference: without the medians that the segmenter "
    "tells of preprocess, encode and decode. One process: images are handed over, masks go through DDS."
)


def options_of(settings: Settings) -> Iterator[Options]:
    """The configurations, in order."""
    bundle = str(cached_bundle("known", write_known_bundle))
    for one in (False, True):
        for compressed in (False, True) if settings.compressed else (False,):
            for size in settings.sizes:
                yield Options(size, settings.frames, compressed, one, bundle=bundle)
    if "720p" in settings.sizes:
        yield Options("720p", settings.frames, bundle=bundle, network_scale=True)
    for size in settings.sizes:
        yield Options(size, settings.frames // 2, profile=False, stand_in=False, bundle=bundle)


def ros_cost(settings: Settings) -> Part:
    """The part ``ros``."""
    part = Part(notes=[HOW])
    for options in options_of(settings):
        _add(part, options, round_trips(options))
    return part


def round_trips(options: Options) -> dict[str, dict]:
    """Start what belongs to a configuration, run it, end it; see :func:`bench.ros.camera.run`.

    Raises:
        RuntimeError: a node did not answer, with what it said.
    """
    with ExitStack() as stack:
        others = [stack.enter_context(background(*command)) for command in _commands(options)]
        out = stack.enter_context(tempfile.NamedTemporaryFile("r", suffix=".json"))
        command = [sys.executable, "-m", "bench.ros.camera", options.as_text(), out.name]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=300)
        if done.returncode:
            said = "\n".join([done.stderr[-2000:], *(other.said() for other in others)])
            raise RuntimeError(f"no round trips with {options}:\n{said}")
        return json.loads(Path(out.name).read_text())


def _commands(options: Options) -> Iterator[list[str]]:
    """Module and arguments of the nodes that run in processes of their own."""
    nodes = (
        (SEGMENTER, options.segmenter, "evitsam_ros.nodes.segmenter", options.segmenter_parameters()),
        (STAND_IN, options.stand_in, "bench.ros.stand_in", options.stand_in_parameters()),
    )
    for name, wanted, module, parameters in nodes:
        if wanted and not options.one:
            remaps = [f"{options.image_topic}:={options.topic(name)}"]
            yield [module, *ros_arguments(parameters, remaps)]


def name_of(options: Options) -> str:
    """``720p/raw/two``, with ``/stock profile`` where the camera takes none."""
    transport = "compressed" if options.compressed else "raw"
    name = f"{options.size}/{transport}/{'one' if options.one else 'two'}"
    if options.network_scale:
        return f"{name}/network"
    return name if options.profile else f"{name}/stock profile"


def title_of(options: Options) -> str:
    transport = "compressed" if options.compressed else "raw"
    processes = "one process" if options.one else "two processes"
    stock = "" if options.profile else ", stock Fast DDS profile"
    scale = ", output_scale: network" if options.network_scale else ""
    return f"{options.size} {transport}, {processes}{scale}{stock}"


def _add(part: Part, options: Options, found: dict[str, dict]) -> None:
    """The figure of a configuration, of the turns that both answered; and the frames lost."""
    measured, floor = found[SEGMENTER]["ms"], found.get(STAND_IN, {}).get("ms")
    turns = list(zip(measured, floor or [0.0] * len(measured), strict=True))
    answered = [turn for turn in turns if None not in turn]
    lost = [100.0 * (taken is None) for taken in measured]
    name, title = name_of(options), title_of(options)
    details = {"lost": sum(ms is None for ms in measured), "sent": len(measured)}
    details["stages_ms"] = found[SEGMENTER]["stages"]
    if answered:
        samples, below = map(list, zip(*answered, strict=True))
        figure = Figure(f"ros/{name}", title, "ms", samples, below if floor else [], FLOOR, details)
        if options.network_scale:  # two small times: their difference says more than their ratio
            part.figures.append(figure)
        else:
            part.add(figure)
        inferred = sum(details["stages_ms"].get(stage, 0.0) for stage in INFERENCE)
        cost = [ms - inferred for ms in samples]
        part.figures.append(Figure(f"ros/{name}: cost", f"{title}, minus inference", "ms", cost))
        if options.network_scale and floor:
            above = [ms - least for ms, least in zip(cost, below, strict=True)]
            what = f"{title}, minus inference and {FLOOR}"
            part.figures.append(Figure(f"ros/{name}: above floor", what, "ms", above))
    lost = Figure(f"ros/{name}: lost", f"{title}: frames lost", "%", [sum(lost) / len(lost)])
    part.figures.append(lost)
