# SPDX-License-Identifier: Apache-2.0
"""Old forms of the commands. They work for one more release; each logs one warning."""

from __future__ import annotations

import argparse
import logging
import re
from itertools import pairwise

_log = logging.getLogger(__name__)

#: Old and new name of an option, by command; ``*``: of every command.
RENAMED = {
    "*": {"--top-n": "--max-prompts"},
    "bench": {"--repeats": "--runs"},
    "export": {"--describe": "--metadata"},
    "engines": {"--of": "--network"},
}
#: Commands with ``--json`` as a flag in earlier releases.
JSON_FLAG = ("models", "doctor", "engines")


def rewrite(words: list[str], commands: tuple[str, ...]) -> list[str]:
    """Return the words of a command line with old forms replaced by new ones, and warn about each."""
    at = next((number for number, word in enumerate(words) if word in commands), None)
    if at is None:
        return words
    command, rest = words[at], words[at + 1 :]
    rest = rename_options(rest, RENAMED["*"] | RENAMED.get(command, {}))
    if command in JSON_FLAG:
        rest = _json_paths(rest)
    if command == "bench":
        rest = _value_of(rest, "--everything", r"[^-].*", ["--everything", "--images"])
    elif command == "profile":
        rest = _value_of(rest, "--everything", r"\d+", ["--max-prompts"])
    elif command == "build":
        rest = _ranges(rest)
    return [*words[: at + 1], *rest]


def take_positional_model(parser: argparse.ArgumentParser) -> None:
    """Accept the model as a positional argument, as some commands did."""
    parser.add_argument("positional_model", nargs="?", metavar="MODEL", help=argparse.SUPPRESS)


def settle_model(options: argparse.Namespace) -> None:
    """Move a positional model to ``options.model``.

    Raises:
        ValueError: no model was given to a command that needs one.
    """
    given = getattr(options, "positional_model", None)
    if given is not None:
        _warn(given, f"--model {given}")
        options.model = given
    if getattr(options, "model", "") is None:
        raise ValueError("--model is missing: expected a name that 'evitsam models' lists")


def _warn(old: str, new: str) -> None:
    _log.warning("'%s' is deprecated: write '%s'", old, new)


def rename_options(words: list[str], names: dict[str, str]) -> list[str]:
    """Return the words with the options of ``names`` replaced by their new names; warn about each."""
    found = []
    for word in words:
        name, separator, value = word.partition("=")
        if name in names:
            _warn(name, names[name])
        found.append(names.get(name, name) + separator + value)
    return found


def _json_paths(words: list[str]) -> list[str]:
    """Give a ``--json`` without a path the path ``-``."""
    found = []
    for number, word in enumerate(words):
        found.append(word)
        following = words[number + 1] if number + 1 < len(words) else None
        if word == "--json" and (following is None or re.match("-.", following)):
            _warn("--json", "--json -")
            found.append("-")
    return found


def _value_of(words: list[str], option: str, pattern: str, new: list[str]) -> list[str]:
    """Replace ``option VALUE`` by the words of ``new`` and the value."""
    spread = [part for word in words for part in _split(word, option)]
    for number, (word, value) in enumerate(pairwise(spread)):
        if word == option and re.fullmatch(pattern, value):
            _warn(f"{option} {value}", " ".join([*new, value]))
            return [*spread[:number], *new, *spread[number + 1 :]]
    return words


def _split(word: str, option: str) -> list[str]:
    return word.split("=", 1) if word.startswith(f"{option}=") else [word]


def _ranges(words: list[str]) -> list[str]:
    """Join ``--prompts 1..16 64..256`` by commas."""
    found: list[str] = []
    for word in words:
        if re.fullmatch(r"\d+\.\.\d+", word) and len(found) > 1 and found[-2] == "--prompts":
            _warn(f"--prompts {found[-1]} {word}", f"--prompts {found[-1]},{word}")
            found[-1] += f",{word}"
        else:
            found.append(word)
    return found
