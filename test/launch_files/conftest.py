# SPDX-License-Identifier: Apache-2.0
"""The package's share folder as setup.py installs it, and launch files run from there."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import pytest

from .stand_in import Context, launch

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def setup_arguments() -> dict:
    """What setup.py tells setuptools."""
    import runpy

    import setuptools

    given: dict = {}
    here = Path.cwd()
    os.chdir(ROOT)
    try:
        with mock.patch.object(setuptools, "setup", lambda **arguments: given.update(arguments)):
            runpy.run_path(str(ROOT / "setup.py"))
    finally:
        os.chdir(here)
    return given


@pytest.fixture(scope="session")
def share(tmp_path_factory, setup_arguments) -> Path:
    """``share/evitsam_ros`` with exactly the files that setup.py installs (engines but by their names)."""
    prefix = tmp_path_factory.mktemp("prefix")
    for folder, files in setup_arguments["data_files"]:
        (prefix / folder).mkdir(parents=True, exist_ok=True)
        for file in files:
            if "engines" in Path(file).parts:
                (prefix / folder / Path(file).name).touch()
            else:
                shutil.copy(ROOT / file, prefix / folder)
    return prefix / "share" / "evitsam_ros"


@pytest.fixture(scope="session")
def windows(tmp_path_factory) -> dict[str, Path]:
    """Share folders of RViz and rqt, whose executables exist."""
    prefix = tmp_path_factory.mktemp("windows")
    for name in ("rviz2", "rqt_gui"):
        (prefix / "lib" / name).mkdir(parents=True)
        (prefix / "lib" / name / name).touch()
    return {name: prefix / "share" / name for name in ("rviz2", "rqt_gui")}


@pytest.fixture(scope="session")
def launched(share, windows) -> Callable[..., Context]:
    """Run one of our launch files, by its name before ``.launch.py``, with arguments.

    ``without``: packages that are not installed.
    """

    def run(name: str, without: tuple[str, ...] = (), **given: str) -> Context:
        packages = {"evitsam_ros": share, **windows}
        there = {package: path for package, path in packages.items() if package not in without}
        return launch(share / "launch" / f"{name}.launch.py", there, **given)

    return run


@pytest.fixture(scope="session")
def live(tmp_path_factory) -> Callable[[str], object]:
    """The graph of a node: ``segmenter``, ``camera``, ``semantic``, ``web``, or ``cameras`` (front, rear)."""
    from .live import live_camera, live_segmenter, live_semantic, live_web

    folder = tmp_path_factory.mktemp("logs")
    makers = {
        "segmenter": lambda: live_segmenter(folder),
        "camera": lambda: live_camera(folder),
        "semantic": lambda: live_semantic(folder),
        "web": lambda: live_web(folder),
        "cameras": lambda: live_segmenter(folder, ("front", "rear")),
    }
    return functools.cache(lambda name: makers[name]())
