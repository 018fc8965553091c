# SPDX-License-Identifier: Apache-2.0
"""Every row of the table of ``docs/event_order.md`` has a test over a real node that names it."""

import re
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs" / "event_order.md"


def test_every_row_has_a_test():
    rows = set(re.findall(r"^\| ([a-z ]+, [a-z ]+) \|", DOCUMENT.read_text(), re.M))
    tested: set[str] = set()
    for module in Path(__file__).parent.glob("test_event_order_*.py"):
        for names, test in re.findall(r"^@row\(([^)]*)\)\n(?:@.*\n)*def (\w+)", module.read_text(), re.M):
            assert test.startswith("test_")
            tested |= set(re.findall(r'"([^"]*)"', names))
    assert len(rows) == 55 and rows == tested
