# SPDX-License-Identifier: Apache-2.0
"""The page of the launch files, from the arguments that they declare."""

from __future__ import annotations

import ast
from pathlib import Path

from evitsam_ros.backends import backend_choices
from test.launch_files.stand_in import Context, DeclareLaunchArgument, launch, performed

from .markdown import code, page, sentence, table, value

ROOT = Path(__file__).parents[2]
#: In their order on the page; the first one is included by all but the last.
NAMES = ("segmenter", "everything", "rgbd", "multi_camera", "demo", "live", "semantic")
BOOLEAN = {"true", "false", "True", "False"}
INTRODUCTION = """\
`ros2 launch evitsam_ros segmenter.launch.py --show-args` lists the arguments on your machine. [Launch
files](../launch_files.md) describes their use.

All files but `semantic.launch.py` include `segmenter.launch.py`, so its arguments are theirs too. The
tables of those files list the arguments that they add, or of which they change the default. A value on the
command line has precedence over `params_file`, and an argument that is not given leaves the parameter to
that file. Paths are below the package's share folder.
"""


def launch_page() -> str:
    """Return the page."""
    shared = declared_arguments("segmenter")
    sections = [_section(name, {} if name in ("segmenter", "semantic") else shared) for name in NAMES]
    return page("Launch arguments", INTRODUCTION, *sections)


def declared_arguments(name: str) -> dict[str, tuple[DeclareLaunchArgument, str]]:
    """Return the arguments of a launch file, each with its default."""
    context = launch(ROOT / "launch" / f"{name}.launch.py", {"evitsam_ros": ROOT})
    return {key: (each, _default(each, context)) for key, each in context.declared.items()}


def _default(argument: DeclareLaunchArgument, context: Context) -> str:
    return performed(argument.default, context).removeprefix(f"{ROOT}/")


def _section(name: str, shared: dict[str, tuple[DeclareLaunchArgument, str]]) -> str:
    rows = []
    for key, (argument, default) in declared_arguments(name).items():
        if key in shared and shared[key][1] == default:
            continue
        rows.append(
            [code(key), _shown(name, key, default), _choices(argument), sentence(argument.description)]
        )
    text = ast.get_docstring(ast.parse((ROOT / "launch" / f"{name}.launch.py").read_text())) or ""
    about = "\n\n".join(
        f"```\n{part.strip()}\n```" if part.startswith("    ") else part for part in text.split("\n\n")
    )
    arguments = table(["argument", "default", "values", "description"], rows)
    return f"## {name}.launch.py\n\n{about}\n\n{arguments}"


def _shown(name: str, key: str, default: str) -> str:
    if (name, key) == ("live", "source"):  # the other scene where scikit-image is not installed
        return value("scene:motorcycle")
    return value(default)


def _choices(argument: DeclareLaunchArgument) -> str:
    choices = [choice for choice in argument.choices or () if choice]
    if set(choices) == set(backend_choices()):
        return "see [Parameters](parameters.md#segmenter)"
    if set(choices) >= BOOLEAN:
        choices = ["true", "false"]
    return ", ".join(map(code, choices))
