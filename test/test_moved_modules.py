# SPDX-License-Identifier: Apache-2.0
"""Modules that moved can be imported by their old names: the same objects, with a warning."""

import importlib
import subprocess
import sys
import textwrap
import warnings

import pytest

from evitsam_ros.moved_modules import MOVED, PACKAGE, new_name

from .conftest import ROOT


def test_every_new_name_exists_and_no_old_one_does():
    for old, new in MOVED.items():
        for name, exists in ((old, False), (new, True)):
            path = ROOT / PACKAGE / name.replace(".", "/")
            assert (path.is_dir() or path.with_suffix(".py").is_file()) == exists, name


def test_other_names_are_unchanged():
    assert new_name("evitsam_ros.segment") is None and new_name("evitsam_ros.spaces") is None
    assert new_name("other.space") is None
    assert new_name("evitsam_ros.space.lens") == "evitsam_ros.geometry3d.lens"


@pytest.mark.parametrize("old", [*MOVED, "bags.reader", "space.lens"])
def test_an_old_name_is_the_same_module_and_warns(old):
    """In a new process, so that nothing is imported yet; from the line that imports, as pytest shows it."""
    code = f"""
        import importlib, sys, warnings
        warnings.simplefilter("always")
        with warnings.catch_warnings(record=True) as caught:
            old = importlib.import_module("{PACKAGE}.{old}")
        new = importlib.import_module("{new_name(f"{PACKAGE}.{old}")}")
        assert old is new and new.__name__ == new.__spec__.name, (new.__name__, new.__spec__)
        texts = [str(each.message) for each in caught if each.category is DeprecationWarning]
        wanted = "{PACKAGE}.{old} is deprecated; use {new_name(f"{PACKAGE}.{old}")}"
        assert texts.count(wanted) == 1, texts
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=300, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr


def test_new_names_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for new in MOVED.values():
            importlib.import_module(f"{PACKAGE}.{new}")
