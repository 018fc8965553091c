# SPDX-License-Identifier: Apache-2.0
"""One grammar for all commands: an option has one type and one meaning wherever it is accepted."""

from __future__ import annotations

import argparse
from collections import defaultdict

import pytest

from bench.__main__ import build_parser as benchmark_parser
from evitsam_ros.backends import BACKENDS
from evitsam_ros.cli import build_parser
from evitsam_ros.cli.program import COMMANDS


def commands() -> dict[str, argparse.ArgumentParser]:
    (subparsers,) = (a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction))
    return subparsers.choices


def uses() -> dict[str, dict[str, argparse.Action]]:
    """Return the actions of each option string, by command."""
    found: dict[str, dict[str, argparse.Action]] = defaultdict(dict)
    for command, parser in commands().items():
        for action in parser._actions:
            for option in action.option_strings:
                found[option][command] = action
    return found


def grammar_of(action: argparse.Action) -> tuple:
    """Return what may follow an option, and the part of its help that all commands share."""
    meaning = action.help.partition(";")[0].partition(" (default")[0].partition(": compare")[0]
    kind = (type(action), action.type, action.nargs, action.const, tuple(action.choices or ()))
    return (*kind, action.metavar, action.dest, meaning)


@pytest.mark.parametrize("option", sorted(uses()))
def test_an_option_has_one_type_and_one_meaning(option):
    grammars = {
        command: grammar_of(action)
        for command, action in uses()[option].items()
        if (command, option) != ("label", "--out")  # a URL, which a path would change
    }
    assert len(set(grammars.values())) == 1, grammars


def test_every_command_is_there():
    assert tuple(commands()) == COMMANDS


def test_no_command_has_a_visible_positional_model():
    for command, parser in commands().items():
        shown = [a.metavar or a.dest for a in parser._actions if not a.option_strings]
        hidden = [a.metavar for a in parser._actions if a.help == argparse.SUPPRESS]
        assert set(shown) - set(hidden) <= {"image", "bag", "NAME", "INPUT"}, command
    assert {
        "segment",
        "upscale",
        "bag",
        "label",
        "pack",
        "export",
        "quantize",
        "build",
        "verify",
        "bench",
        "profile",
    } == set(uses()["--model"])


def test_everything_is_a_flag_and_json_a_path():
    assert all(action.nargs == 0 for action in uses()["--everything"].values())
    assert all(action.metavar == "PATH" for action in uses()["--json"].values())
    writers = {"segment", "ask", "label", "models", "doctor", "engines", "verify", "bench", "profile"}
    assert writers == set(uses()["--json"])


def test_the_backends_are_those_of_the_registry():
    for action in uses()["--backend"].values():
        assert action.choices == ("auto", *BACKENDS)


def test_every_option_is_explained():
    for option, by_command in uses().items():
        for command, action in by_command.items():
            assert action.help, f"{command} {option}"


def test_a_range_and_a_number_of_prompts_are_the_same_type():
    for command in ("build", "profile"):
        options = build_parser().parse_args([command, "--prompts", "1..16,64"])
        assert options.prompts == ((1, 16), (64, 64))


def test_the_benchmark_of_the_project_has_the_same_grammar():
    (json,) = (a for a in benchmark_parser()._actions if "--json" in a.option_strings)
    assert grammar_of(json) == grammar_of(uses()["--json"]["profile"])
    shared = {o for a in benchmark_parser()._actions for o in a.option_strings} & set(uses())
    assert shared == {"-h", "--help", "--json"}
