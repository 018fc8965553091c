# SPDX-License-Identifier: Apache-2.0
"""The prose of README, documentation and model cards: short sentences, plain words."""

from pathlib import Path

import pytest

from .prose import MAX_MEAN_WORDS, Sentence, mean_words, sentences

ROOT = Path(__file__).parents[2]
PLACES = (
    *("README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/**/*.md", "engines/*/MODEL_CARD.md"),
    *("training/README.md", "examples/README.md", "requirements/README.md", "tools/gpu/README.md"),
)
FILES = sorted(path.relative_to(ROOT).as_posix() for place in PLACES for path in ROOT.glob(place))


@pytest.mark.parametrize("name", FILES)
def test_sentences_are_short_and_plain(name):
    found = sentences((ROOT / name).read_text())
    faults = [fault for sentence in found for fault in sentence.faults()]
    assert not faults, "\n".join([name, *faults])
    assert mean_words(found) <= MAX_MEAN_WORDS, name


MARKDOWN = """\
---
title: told
---
# What a heading told
The node said `told me`. What fails is counted; see [the page whose name](x.md) is long.

- A list item.
  It goes on
- What is a mask?

| a cell | anew |
|---|---|

```
nobody
```
"""


def test_sentences_of_a_text():
    found = sentences(MARKDOWN)
    assert found == [
        Sentence("The node said Code.", in_table=False),
        Sentence("What fails is counted; see the page whose name is long.", in_table=False),
        Sentence("A list item.", in_table=False),
        Sentence("It goes on", in_table=False),
        Sentence("What is a mask?", in_table=False),
        Sentence("a cell", in_table=True),
        Sentence("anew", in_table=True),
    ]
    assert [len(each.faults()) for each in found] == [1, 2, 0, 0, 0, 0, 1]
    assert mean_words(found) == pytest.approx((4 + 11 + 3 + 3 + 4) / 5)
    assert Sentence("a " * 36, in_table=False).faults() == [f"36 words: {'a ' * 36}"]
