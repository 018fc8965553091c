# SPDX-License-Identifier: Apache-2.0
"""The page of the command line, from the parser of ``evitsam``."""

from __future__ import annotations

import argparse

from evitsam_ros.backends import backend_choices
from evitsam_ros.cli.program import build_parser

from .markdown import code, page, sentence, table

INTRODUCTION = """\
`evitsam COMMAND --help` prints the options of a command. In a checkout, run `./env.sh evitsam COMMAND`. On
a robot, `ros2 run evitsam_ros evitsam COMMAND` works as well.

An error is one line on stderr, with exit code 1. `--traceback`, or `EVITSAM_DEBUG=1`, shows where it
occurred. Where argcomplete is installed, `eval "$(register-python-argcomplete evitsam)"` makes bash
complete the commands.

BACKEND is one of the values of the parameter `backend`: see [Parameters](parameters.md#segmenter).
"""


def commands_page() -> str:
    """Return the page."""
    parser = build_parser()
    (subparsers,) = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    helps = {choice.dest: choice.help or "" for choice in subparsers._choices_actions}
    overview = table(
        ["command", "description"],
        [[f"[{code(f'evitsam {name}')}](#evitsam-{name})", sentence(text)] for name, text in helps.items()],
    )
    sections = [_section(name, helps[name], subparsers.choices[name]) for name in helps]
    return page("Commands", INTRODUCTION, overview, *sections)


def _section(name: str, about: str, parser: argparse.ArgumentParser) -> str:
    actions = [each for each in parser._actions if each.help is not argparse.SUPPRESS and each.dest != "help"]
    positional = [_name(each) for each in actions if not each.option_strings]
    required = [f"{each.option_strings[0]} {_metavar(each)}" for each in actions if _is_required(each)]
    usage = " ".join([f"evitsam {name}", *required, "[options]", *positional])
    rows = [[_forms(each), sentence(_help(each))] for each in actions]
    options = table(["option", "description"], rows) if rows else "No options."
    about = sentence(parser.description or about)
    return f"## evitsam {name}\n\n{about}\n\n```\n{usage}\n```\n\n{options}"


def _is_required(action: argparse.Action) -> bool:
    return bool(action.option_strings) and action.required


def _name(action: argparse.Action) -> str:
    name = action.metavar if isinstance(action.metavar, str) else action.dest
    many = {"*": f"[{name} ...]", "+": f"{name} [...]", "?": f"[{name}]"}
    return many.get(str(action.nargs), name)


def _metavar(action: argparse.Action) -> str:
    if action.nargs == 0:
        return ""
    if action.choices == backend_choices():
        return "BACKEND"
    if action.choices is not None and not action.metavar:
        return "{" + ",".join(map(str, action.choices)) + "}"
    name = action.metavar if isinstance(action.metavar, str) else action.dest.upper()
    return f"{name} ..." if action.nargs in ("*", "+") else name


def _forms(action: argparse.Action) -> str:
    if not action.option_strings:
        return code(_name(action))
    return ", ".join(code(f"{option} {_metavar(action)}".strip()) for option in action.option_strings)


def _help(action: argparse.Action) -> str:
    """Return the help text with its placeholders filled in, as argparse does."""
    values = {name: getattr(value, "__name__", value) for name, value in vars(action).items()}
    return (action.help or "") % values
