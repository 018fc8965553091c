# SPDX-License-Identifier: Apache-2.0
"""From INPUT... to units: paths, globs, list files and URLs; folders of images, videos, bags, tar shards."""

from __future__ import annotations

import fnmatch
import glob
from pathlib import Path
from typing import TYPE_CHECKING

from ..installed import expand_user
from ..io.bags import BagError, is_bag, open_bag
from ..io.bags.reader import ANSWERS
from ..io.image_files import IMAGES
from ..io.natural_order import natural_order
from ..io.sources import is_sequence
from ..io.video_files import VIDEOS, Video
from . import unit as units
from .job import Job, JobError
from .places import FILE, FOLDER, MISSING, Place, is_url
from .unit import Unit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

#: Images of a unit where they are no sequence.
CHUNK = 64
SHARDS, LISTS, BAG_FILES = (".tar",), (".txt",), (".mcap", ".db3", ".mcap.zstd", ".db3.zstd")


class InputError(JobError):
    """Report an input that is missing or cannot be labelled."""


def find_units(inputs: Sequence[str], job: Job, chunk: int = CHUNK) -> Iterator[Unit]:
    """Yield the units of all inputs, each once.

    Args:
        inputs: paths, globs, URLs, or ``.txt`` files that list these line by line.
        job: topics, and whether sequences may be cut.
        chunk: max number of images of a unit, where they are no sequence.

    Raises:
        InputError: An input is missing, cannot be reached, or cannot be labelled.
    """
    seen: set[str] = set()
    loose: dict[str, list[str]] = {}
    for text in inputs:
        for unit in _units_of(text, job, loose, chunk):
            if unit.key not in seen:
                seen.add(unit.key)
                yield unit
    for folder, names in loose.items():
        listed = list(dict.fromkeys(names))
        for unit in _image_units(folder, listed, chunk, sequence=False):
            if unit.key not in seen:
                seen.add(unit.key)
                yield unit


def _units_of(
    text: str, job: Job, loose: dict[str, list[str]], chunk: int, above: tuple[str, ...] = ()
) -> Iterator[Unit]:
    """Yield the units of an input; image files are collected in ``loose``, by folder.

    ``above`` are the lists that the input is in.
    """
    for place in _expanded(text):
        try:
            found = place.info()
        except OSError as error:
            raise InputError(f"{place.text} cannot be reached: {error}") from error
        if found.kind == MISSING:
            raise InputError(f"{place.text} does not exist; expected a file, a folder, a glob or a URL")
        if found.kind == FOLDER:
            yield from _folder(place, job, chunk)
        elif _ending(place.path) in LISTS:
            if place.source in above:
                raise InputError(f"the list {place.text} contains itself")
            for line in _lines(place):
                yield from _units_of(line, job, loose, chunk, (*above, place.source))
        elif _ending(place.path) in IMAGES:
            folder, _, name = _parent(place)
            loose.setdefault(folder, []).append(name)
        else:
            yield from _file(place, job, found.size)


def _lines(place: Place) -> list[str]:
    """Return the lines of a list, without empty ones and comments."""
    content = place.read_bytes()
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in content:
        raise InputError(f"{place.text} is no list: expected a text in UTF-8 with a path or URL on each line")
    lines = content.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape").split("\n")
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _expanded(text: str) -> list[Place]:
    """Return the paths or URLs that a path, URL or glob names."""
    if not text:
        raise InputError("an input is an empty string; expected a path or a URL")
    if is_url(text):
        place = Place(text)
        if not any(sign in place.path for sign in "*?["):
            return [place]
        base = place.path[: min(place.path.find(sign) for sign in "*?[" if sign in place.path)].rpartition(
            "/"
        )[0]
        above = text.partition("?")[0]
        root = Place(above[: above.find(base) + len(base)] + place.query)
        matched = [
            root.join(name)
            for name, _ in root.listed(recursive=True)
            if fnmatch.fnmatchcase(f"{base}/{name}", place.path)
        ]
    else:
        path = expand_user(text)
        if path.exists() or not glob.has_magic(text):
            return [Place(str(path))]
        found = glob.glob(str(path), recursive=True)  # noqa: PTH207 (absolute patterns)
        names = sorted(found, key=lambda name: natural_order(Path(name)))
        matched = [Place(name) for name in names]
    if not matched:
        raise InputError(f"{text} matches no file")
    return matched


def _ending(path: str) -> str:
    return Path(path).suffix.lower()


def _parent(place: Place) -> tuple[str, str, str]:
    base, slash, name = place.source.partition("?")[0].rpartition("/")
    return f"{base}{place.query}" or "/", slash, name


def _folder(place: Place, job: Job, chunk: int) -> Iterator[Unit]:
    """Yield the units of a bag, or of a folder of images, recordings and shards; inner ones may be bags."""
    if place.is_local and is_bag(place.local) and not _holds_several(place):
        yield from _bag(place, job, -1)
        return
    entries = [(name, info) for name, info in place.listed() if not name.startswith(".")]
    files = sorted((n for n, info in entries if info.kind == FILE), key=lambda n: natural_order(Path(n)))
    images = [name for name in files if _ending(name) in IMAGES]
    count = 0
    for unit in _image_units(place.source, images, chunk, sequence=job.track):
        count += 1
        yield unit
    sizes = {name: info.size for name, info in entries}
    for name in files:
        if _ending(name) in (*VIDEOS, *SHARDS) or name.endswith(BAG_FILES):
            count += 1
            yield from _file(place.join(name), job, sizes[name])
    for name, info in entries:
        inner = place.join(name)
        if info.kind == FOLDER and _is_bag_folder(inner):
            count += 1
            yield from _bag(inner, job, -1)
    if not count:
        raise InputError(
            f"{place.text} is a folder without images, videos, bags or tar shards; give its folders by a "
            "glob, as 'FOLDER/**'"
        )


def _holds_several(place: Place) -> bool:
    """Whether a folder without metadata holds several recordings, and is not one that was split."""
    if (place.local / "metadata.yaml").is_file():
        return False
    stems = {file.name for file in place.local.iterdir() if file.name.endswith(BAG_FILES)}
    return len(stems) > 1


def _is_bag_folder(place: Place) -> bool:
    return place.join("metadata.yaml").exists()


def _image_units(folder: str, names: Sequence[str], chunk: int, *, sequence: bool) -> Iterator[Unit]:
    if sequence and names:
        yield Unit(units.IMAGES, folder, names=tuple(names), sequence=True, count=len(names))
        return
    for first in range(0, len(names), chunk):
        part = tuple(names[first : first + chunk])
        yield Unit(units.IMAGES, folder, names=part, count=len(part))


def _file(place: Place, job: Job, size: int) -> Iterator[Unit]:
    if _ending(place.path) in SHARDS:
        if job.track:
            raise InputError(
                f"{place.text} is a tar shard, and its images are no sequence; --track is for sequences"
            )
        yield Unit(units.SHARD, place.source, size=size)
    elif place.path.endswith(BAG_FILES):
        yield from _bag(place, job, size)
    elif _ending(place.path) == ".bag":
        raise InputError(f"{place.text} is a bag of ROS 1; convert it first by rosbags-convert")
    elif _ending(place.path) in VIDEOS or (place.is_local and is_sequence(place.local)):
        if job.detections:
            raise InputError(f"{place.text} is a video; --detections is for bags")
        yield from _cut(Unit(units.VIDEO, place.source, size=size), job, _video_frames(place))
    else:
        raise InputError(
            f"{place.text} has the ending {_ending(place.path)!r}; expected an image, a video, a bag, a tar "
            "shard or a list (.txt)"
        )


def _video_frames(place: Place) -> int:
    """Return how many frames a video claims to have; 0 if unknown."""
    if not place.is_local:
        return 0
    try:
        return Video(place.local).count
    except ValueError:
        return 0  # its worker reports the fault


def _bag(place: Place, job: Job, size: int) -> Iterator[Unit]:
    """Yield the units of a bag; one that cannot be read is left to its worker, which sets it aside."""
    if not place.is_local:
        for topic in job.image_topics or ("",):
            yield Unit(units.BAG, place.source, topic, size=size)
        return
    try:
        with open_bag(place.local) as bag:
            size = bag.size if size < 0 else size
            counts: dict[str, int] = {}
            for channel in bag.channels:
                if channel.image_type and channel.count and not channel.topic.startswith(ANSWERS):
                    counts[channel.topic] = channel.count
    except BagError:
        counts = {}
    if missing := [topic for topic in job.image_topics if counts and topic not in counts]:
        raise InputError(
            f"bag {place.text} has no image topic {missing[0]!r}; its image topics: "
            f"{', '.join(sorted(counts))}"
        )
    for topic in job.image_topics or sorted(counts) or ("",):
        yield from _cut(Unit(units.BAG, place.source, topic, size=size), job, counts.get(topic, 0))


def _cut(unit: Unit, job: Job, count: int) -> Iterator[Unit]:
    """Cut a sequence of ``count`` frames into parts, if its ids do not need all of it."""
    from dataclasses import replace

    if not job.cut or count <= job.cut:
        yield replace(unit, count=count)
        return
    starts = range(0, count, job.cut)
    for first in starts:
        is_last = first == starts[-1]
        last = None if is_last else first + job.cut
        yield replace(unit, first=first, last=last, count=count - first if is_last else job.cut)
