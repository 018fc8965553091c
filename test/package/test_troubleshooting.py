# SPDX-License-Identifier: Apache-2.0
"""The messages that the troubleshooting page quotes are those of the code; … stands for a value."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
#: Messages of other software.
FOREIGN = {"A module that was compiled using NumPy 1.x"}
VALUE = "…"


def quoted_messages() -> list[str]:
    """Return the inline code in the first column of the tables of messages, and after **Message**."""
    found = re.findall(r"\*\*Message\*\*: `([^`]+)`", PAGE)
    for table in re.findall(r"^\| message \|.*\n\|.*\n((?:\|.*\n)+)", PAGE, re.MULTILINE):
        for row in table.splitlines():
            found += re.findall(r"`([^`]+)`", row.split(" | ")[0])
    return [message for message in dict.fromkeys(found) if message not in FOREIGN]


@pytest.fixture(scope="module")
def literals() -> list[str]:
    """Return every text of the code, with … in the place of each value."""
    texts = []
    for file in (*(ROOT / "evitsam_ros").rglob("*.py"), *(ROOT / "launch").glob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                texts.append(re.sub(r"%(\.\d+)?[sdrf]", VALUE, node.value))
            elif isinstance(node, ast.JoinedStr):
                parts = (part.value if isinstance(part, ast.Constant) else VALUE for part in node.values)
                texts.append("".join(map(str, parts)))
    return texts


@pytest.mark.parametrize("message", quoted_messages())
def test_quoted_message_is_one_of_the_code(message, literals):
    pattern = re.compile(".*".join(re.escape(part.strip()) for part in message.split(VALUE)), re.DOTALL)
    longest = max(map(len, message.split(VALUE)))
    assert longest >= 8, f"{message}: quote more of it"
    assert any(pattern.search(text) for text in literals)


def test_messages_are_found():
    assert len(quoted_messages()) > 50
