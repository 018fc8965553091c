# SPDX-License-Identifier: Apache-2.0
"""Label units in a separate process, so that a crash of native code ends only that process.

A unit that ends its process is tried again. An image that does so twice is skipped where its reader can, and
else its unit is set aside.
"""

from __future__ import annotations

import errno
import logging
import multiprocessing
import os
import signal
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import TYPE_CHECKING, Any

from . import unit as units
from .job import JobError
from .outcome import Outcome
from .unit import Unit

if TYPE_CHECKING:
    from types import TracebackType

    from .job import Job
    from .labeller import Labeller

#: Tries of an image or a unit.
TRIES = 2
#: Images of a unit that are skipped at most; more of them are a fault of the machine.
MAX_SKIPPED = 16
#: Warnings of a unit that are passed on.
MAX_WARNINGS = 20
#: Readers that can pass over an image without decoding it.
_SKIPPABLE = (units.IMAGES, units.SHARD, units.BAG)


class IsolatedLabeller:
    """A :class:`~.labeller.Labeller` in a child process, which is started again when it dies.

    Args:
        job: options of the run.
        out: the output folder.
        threads: CPU threads of a network; 0: one for each core.
    """

    def __init__(self, job: Job, out: str, threads: int) -> None:
        self._given = job, out, threads
        self._context = multiprocessing.get_context("spawn")
        self._position = self._context.Value("q", -1)
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> IsolatedLabeller:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child process."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def label(self, unit: Unit) -> Outcome:
        """Label a unit; its faults are in the outcome."""
        died: dict[int, int] = {}
        skip: list[int] = []
        failures = 0
        while True:
            self._position.value = -1
            try:
                return self._submit(unit, skip)
            except BrokenProcessPool:
                self.close()
                at = self._position.value
                died[at] = died.get(at, 0) + 1
                if died[at] < TRIES:
                    continue
                if at < 0 or at in skip or unit.kind not in _SKIPPABLE or len(skip) >= MAX_SKIPPED:
                    return _failed(
                        unit,
                        f"its process died {TRIES} times{_place(unit, at)}; expected data that "
                        "native code can read, and enough memory",
                    )
                skip.append(at)
            except (OSError, MemoryError) as error:
                failures += 1
                self.close()
                if failures >= TRIES:
                    return _failed(unit, _reason(error))
            except JobError as error:
                return _failed(unit, str(error), fatal=True)
            except ValueError as error:
                return _failed(unit, _one_line(error))
            except Exception as error:  # what libraries raise on a file costs this file alone
                return _failed(unit, f"{type(error).__name__}: {_one_line(error)}")

    def _submit(self, unit: Unit, skip: list[int]) -> Outcome:
        if self._pool is None:
            job, out, threads = self._given
            arguments = (job, out, threads, self._position, os.getpid())
            self._pool = ProcessPoolExecutor(1, self._context, _start, arguments)
        return Outcome.from_json(self._pool.submit(_label, unit.to_json(), skip).result())


def _failed(unit: Unit, error: str, *, fatal: bool = False) -> Outcome:
    return Outcome(unit.key, unit.title, error=error, fatal=fatal)


def _place(unit: Unit, at: int) -> str:
    if at < 0:
        return ""
    return f" at {unit.names[at]}" if unit.names else f" at image {at}"


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError):
        return f"not enough memory{f': {text}' if text else ''}; use fewer workers, or a machine with more"
    return f"cannot be reached: {text}"


_child: dict[str, Any] = {}


def _start(job: Job, out: str, threads: int, position: Any, parent: int) -> None:
    """Prepare the child: it ends with its parent, and leaves Ctrl-C to it."""
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    cv2.setNumThreads(threads or (os.cpu_count() or 1))
    if logs := getattr(getattr(cv2, "utils", None), "logging", None):
        logs.setLogLevel(logs.LOG_LEVEL_SILENT)
    _child.update(job=job, out=out, threads=threads, position=position, labeller=None)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _label(text: str, skip: list[int]) -> str:
    """Label a unit in the child."""
    from .labeller import open_labeller
    from .store import Store

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if len(lines) < MAX_WARNINGS:
                lines.append(record.getMessage())

    lines: list[str] = []
    handler = Lines(logging.WARNING)
    logging.getLogger().addHandler(handler)
    try:
        if _child["labeller"] is None:
            _child["labeller"] = _opened(open_labeller, Store(_child["out"]))
        labeller: Labeller = _child["labeller"]
        outcome = labeller.label(Unit.from_json(text), frozenset(skip), _note_position)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise JobError(
                f"the disk of temporary files is full: {error}; set TMPDIR to a larger one"
            ) from None
        raise OSError(_one_line(error)) from None  # picklable for every class
    finally:
        logging.getLogger().removeHandler(handler)
    from dataclasses import replace

    return replace(outcome, warnings=tuple(lines)).to_json()


def _opened(opener: Any, store: Any) -> Labeller:
    """Open the networks; a fault of theirs is one of every unit."""
    try:
        return opener(_child["job"], store, _child["threads"])
    except JobError:
        raise
    except (ValueError, OSError, ImportError) as error:
        raise JobError(_one_line(error)) from None


def _note_position(number: int) -> None:
    _child["position"].value = number


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
