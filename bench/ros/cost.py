# SPDX-License-Identifier: Apache-2.0
"""Measure the suite ``ros``: camera publish to mask received, by size, transport and number of processes.

The segmenter runs a bundle with almost no computation. Its stage latencies are kept with each figure and show
how little that is. A stand-in that answers at once is measured alternately: the lower bound.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from evitsam_ros.profiler.measurements import Figure, Suite

from ..known_bundle import cached_bundle, write_known_bundle
from ..processes import background, environment, ros_arguments
from .camera import SEGMENTER, STAND_IN, Options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..workload import Settings

LOWER_BOUND = "a node that answers at once"
#: Stages that exist without ROS as well.
INFERENCE = ("preprocess", "encode", "decode")
HOW = (
    "ros: from just before publish() of a filled message to the callback that receives its label map, one "
    "clock, one frame at a time, an object in a twentieth of the image; filling the message, a camera "
    "driver's work, is excluded. The networks compute almost nothing; minus inference: without the median "
    "latencies that the segmenter reports of preprocess, encode and decode. One process: images are handed "
    "over, masks go through DDS."
)


def options_of(settings: Settings) -> Iterator[Options]:
    """Yield the configurations, in order."""
    bundle = str(cached_bundle("known", write_known_bundle))
    for one in (False, True):
        for compressed in (False, True) if settings.compressed else (False,):
            for size in settings.sizes:
                yield Options(size, settings.frames, compressed, one, bundle=bundle)
    if "720p" in settings.sizes:
        yield Options("720p", settings.frames, bundle=bundle, network_scale=True)
    for size in settings.sizes:
        yield Options(size, settings.frames // 2, profile=False, stand_in=False, bundle=bundle)


def ros_cost(settings: Settings) -> Suite:
    """Measure the suite ``ros``."""
    suite = Suite(notes=[HOW])
    for options in options_of(settings):
        add_figures(suite, options, round_trips(options))
    return suite


def round_trips(options: Options) -> dict[str, dict]:
    """Start the processes of a configuration, measure it and stop them; see :func:`bench.ros.camera.run`.

    Raises:
        RuntimeError: a node did not answer; has the logs of all nodes.
    """
    with ExitStack() as stack:
        others = [stack.enter_context(background(*command)) for command in _commands(options)]
        out = stack.enter_context(tempfile.NamedTemporaryFile("r", suffix=".json"))
        command = [sys.executable, "-m", "bench.ros.camera", options.as_text(), out.name]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=300)
        if done.returncode:
            log = "\n".join([done.stderr[-2000:], *(other.log_tail() for other in others)])
            raise RuntimeError(f"no round trips with {options}:\n{log}")
        return json.loads(Path(out.name).read_text())


def _commands(options: Options) -> Iterator[list[str]]:
    """Yield module and arguments of the nodes that run in processes of their own."""
    nodes = (
        (SEGMENTER, options.segmenter, "evitsam_ros.nodes.segmenter", options.segmenter_parameters()),
        (STAND_IN, options.stand_in, "bench.ros.stand_in", options.stand_in_parameters()),
    )
    for name, wanted, module, parameters in nodes:
        if wanted and not options.one:
            remaps = [f"{options.image_topic}:={options.topic(name)}"]
            yield [module, *ros_arguments(parameters, remaps)]


def name_of(options: Options) -> str:
    """Return ``720p/raw/two``, with ``/stock profile`` if the camera uses the stock profile."""
    transport = "compressed" if options.compressed else "raw"
    name = f"{options.size}/{transport}/{'one' if options.one else 'two'}"
    if options.network_scale:
        return f"{name}/network"
    return name if options.profile else f"{name}/stock profile"


def title_of(options: Options) -> str:
    """Return the name of a configuration for people."""
    transport = "compressed" if options.compressed else "raw"
    processes = "one process" if options.one else "two processes"
    stock = "" if options.profile else ", stock Fast DDS profile"
    scale = ", output_scale: network" if options.network_scale else ""
    return f"{options.size} {transport}, {processes}{scale}{stock}"


def add_figures(suite: Suite, options: Options, found: dict[str, dict]) -> None:
    """Add the figure of a configuration, of the rounds that both nodes answered, and the lost frames."""
    measured, lower_bound = found[SEGMENTER]["ms"], found.get(STAND_IN, {}).get("ms")
    pairs = list(zip(measured, lower_bound or [0.0] * len(measured), strict=True))
    answered = [pair for pair in pairs if None not in pair]
    lost = [100.0 * (taken is None) for taken in measured]
    name, title = name_of(options), title_of(options)
    details = {"lost": sum(ms is None for ms in measured), "sent": len(measured)}
    details["stages_ms"] = found[SEGMENTER]["stages"]
    if answered:
        samples, below = map(list, zip(*answered, strict=True))
        bound = below if lower_bound else []
        figure = Figure(f"ros/{name}", title, "ms", samples, bound, LOWER_BOUND, details)
        if options.network_scale:  # two small times: their difference says more than their ratio
            suite.figures.append(figure)
        else:
            suite.add(figure)
        inferred = sum(details["stages_ms"].get(stage, 0.0) for stage in INFERENCE)
        cost = [ms - inferred for ms in samples]
        suite.figures.append(Figure(f"ros/{name}: cost", f"{title}, minus inference", "ms", cost))
        if options.network_scale and lower_bound:
            above = [ms - least for ms, least in zip(cost, below, strict=True)]
            what = f"{title}, minus inference and {LOWER_BOUND}"
            suite.figures.append(Figure(f"ros/{name}: above lower bound", what, "ms", above))
    lost = Figure(f"ros/{name}: lost", f"{title}: frames lost", "%", [sum(lost) / len(lost)])
    suite.figures.append(lost)
