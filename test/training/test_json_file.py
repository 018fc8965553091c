# SPDX-License-Identifier: Apache-2.0
"""JSON files that are huge, or no JSON: test_annotations.py has what is in them."""

import json
import tracemalloc

import pytest

from training.json_file import available_memory, estimate_memory, parse_json, read_json
from training.records import DataError

CONTENTS = {
    "lists": b'{"a": [' + b"[]," * 50_000 + b"0]}",
    "objects": b'{"a": [' + b"{}," * 50_000 + b"0]}",
    "numbers": b'{"a": [' + b"1000," * 50_000 + b"0]}",
    "floats": b'{"a": [' + b"1e9," * 50_000 + b"0]}",
    "texts": json.dumps({"a": [f"{number}" for number in range(50_000)]}).encode(),
    "entries": json.dumps({"a": [{f"k{i}": i + n / 2 for i in range(9)} for n in range(5_000)]}).encode(),
    "wide text": json.dumps({"a": "é" * 100_000}, ensure_ascii=False).encode(),
}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_memory_is_estimated_from_above_and_not_by_much(content):
    tracemalloc.start()
    try:
        found = parse_json(content, "x", "anything")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found and peak < estimate_memory(content) + 10_000 < 5 * peak


def test_files_beyond_the_memory_are_not_read(tmp_path, monkeypatch):
    file = tmp_path / "x.json"
    file.write_bytes(CONTENTS["lists"])
    monkeypatch.setattr("training.json_file.available_memory", lambda: 3 * len(CONTENTS["lists"]))
    with pytest.raises(DataError, match=r"x\.json: expected anything; it needs some .* GB of memory"):
        read_json(file, "anything")
    with file.open("r+b") as opened:
        opened.truncate(2**42)
    monkeypatch.undo()
    assert 2**26 < available_memory() < 2**42
    with pytest.raises(DataError, match=r"it needs some 8796\.1 GB of memory"):
        read_json(file, "anything")
