# SPDX-License-Identifier: Apache-2.0
"""Old forms of the commands mean what they meant, and each logs one warning that names the new form."""

from __future__ import annotations

import json

import pytest

from evitsam_ros.cli import build_parser, main
from evitsam_ros.cli.deprecated import rewrite, settle_model
from evitsam_ros.cli.program import COMMANDS

SAME = [
    ("build lite_sam --target sm86", "build --model lite_sam --target sm86"),
    ("build --target sm86 lite_sam", "build --model lite_sam --target sm86"),
    ("verify lite_sam --backend torch", "verify --model lite_sam --backend torch"),
    ("export lite_sam --out x", "export --model lite_sam --out x"),
    ("export --model lite_sam --out x --describe y", "export --model lite_sam --out x --metadata y"),
    ("build --prompts 1..16 64..256 300..400", "build --prompts 1..16,64..256,300..400"),
    ("segment a.jpg --everything --top-n 5", "segment a.jpg --everything --max-prompts 5"),
    (
        "bag a.mcap --everything --out b.mcap --top-n=5",
        "bag a.mcap --everything --out b.mcap --max-prompts 5",
    ),
    ("bench --everything a.jpg", "bench --everything --images a.jpg"),
    ("bench --everything=a.jpg", "bench --everything --images a.jpg"),
    ("bench --repeats 3", "bench --runs 3"),
    ("profile --everything 32", "profile --max-prompts 32"),
    ("engines --trust x --of m:n", "engines --trust x --network m:n"),
    ("models --json", "models --json -"),
    ("--traceback engines --json --prune", "--traceback engines --json - --prune"),
]


def parsed(line: str) -> dict:
    options = build_parser().parse_args(rewrite(line.split(), COMMANDS))
    settle_model(options)
    return {name: value for name, value in vars(options).items() if name not in ("run", "positional_model")}


@pytest.mark.parametrize(("old", "new"), SAME)
def test_an_old_form_means_the_new_one_and_warns_once(old, new, caplog):
    expected = parsed(new)
    assert not caplog.records
    assert parsed(old) == expected
    warnings = [record.getMessage() for record in caplog.records]
    assert warnings and all("is deprecated: write '" in warning for warning in warnings)
    assert len(warnings) == 1 or "300..400" in old


def test_current_forms_are_unchanged(caplog):
    for line in (
        "bench --everything",
        "bench --everything --runs 3",
        "models --json a.json",
        "segment build",
    ):
        assert rewrite(line.split(), COMMANDS) == line.split()
    assert not caplog.records


def test_the_warning_does_not_mix_with_the_json(capsys):
    assert main(["models", "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)[0]["name"]
    assert printed.err == "evitsam models: '--json' is deprecated: write '--json -'\n"
