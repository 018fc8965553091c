# SPDX-License-Identifier: Apache-2.0
"""Test that mutated annotation files are read as valid records, or rejected with their name."""

import copy
import json
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from training.annotations import read_annotations
from training.sa1b import record_from_json

from .annotation_files import HEIGHT, WIDTH, check, compressed, content, make_folder, read, squares

NAN, INF = math.nan, math.inf


WHOLE = json.dumps(content())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_folder(tmp_path_factory.mktemp("annotations"))


HOSTILE = st.one_of(
    st.sampled_from([None, True, "", "1", "../x", "\ud800", [], {}, [[]], [{}], [None], NAN, INF, -INF, 0]),
    st.sampled_from([-1, 1e9, -1e9, 1e308, 2**31, 2**63, 10**30, 10**400, [NAN] * 6, [1, 2, 3, 4], "0" * 50]),
    st.integers(-100, 3000),
    st.floats(-200, 200),
    st.lists(st.integers(-5, 3000), max_size=8),
    st.text(st.characters(min_codepoint=48, max_codepoint=112), max_size=30),
)


def places(value, path=()) -> list[tuple]:
    """The paths of all entries of nested lists and objects."""
    found = [path] if path else []
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, entry in inner:
        found += places(entry, (*path, key))
    return found


@st.composite
def mutated(draw, whole: dict) -> dict:
    """A copy of ``whole`` with one to five entries replaced, taken out, or put twice."""
    result = copy.deepcopy(whole)
    for _ in range(draw(st.integers(1, 5))):
        paths = places(result)
        if not paths:
            break
        *way, last = draw(st.sampled_from(paths))
        holder = result
        for key in way:
            holder = holder[key]
        action = draw(st.sampled_from(["replace", "replace", "remove", "repeat"]))
        if action == "replace":
            holder[last] = copy.deepcopy(draw(HOSTILE))  # the next change may be inside
        elif action == "remove":
            del holder[last]
        elif isinstance(holder, list):
            holder.insert(0, copy.deepcopy(holder[last]))
    return result


EXAMPLES = settings(
    max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


@EXAMPLES
@given(data=mutated(content()))
def test_reading_mutated_files_gives_valid_records_or_an_error_that_names_the_file(folder, data):
    try:
        records, _ = read(folder, data, "mutated_train")
    except ValueError as error:
        assert "mutated_train.json" in str(error)
    else:
        check(records)


@EXAMPLES
@given(place=st.floats(0, 1), extra=st.binary(max_size=4), cut=st.booleans())
def test_reading_damaged_bytes_gives_valid_records_or_an_error_that_names_the_file(folder, place, extra, cut):
    at = int(place * len(WHOLE))
    file = folder / "annotations" / "damaged_train.json"
    file.write_bytes(WHOLE.encode()[:at] + extra + (b"" if cut else WHOLE.encode()[at + len(extra) :]))
    try:
        check(read_annotations(file, folder / "images"))
    except ValueError as error:
        assert "damaged_train.json" in str(error)


def published() -> dict:
    """One image in SA-1B's layout."""
    mask, other, _ = squares()
    annotations = [
        {"id": 1, "bbox": [10, 5, 20, 10], "area": 200, "segmentation": compressed(mask)},
        {"id": 2, "bbox": [30, 20, 20, 10], "area": 200, "segmentation": compressed(other)},
    ]
    return {"image": {"image_id": 7, "height": HEIGHT, "width": WIDTH}, "annotations": annotations}


@EXAMPLES
@given(data=mutated(published()))
def test_mutated_records_of_sa1b_are_valid_or_an_error_that_names_them(data):
    try:
        record = record_from_json(json.dumps(data).encode(), b"", "sa_7")
    except ValueError as error:
        assert "sa_7" in str(error)
    else:
        check([record])


def test_a_bad_mask_of_sa1b_leaves_the_others(caplog):
    data = published()
    data["annotations"][0]["segmentation"]["counts"] = "PPP"
    record = record_from_json(json.dumps(data).encode(), b"", "sa_7")
    np.testing.assert_array_equal(record.read_mask(0), squares()[1])
    [line] = record.left_out
    assert line.startswith("damaged RLE masks: sa_7 annotation 1: ")
