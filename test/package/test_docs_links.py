# SPDX-License-Identifier: Apache-2.0
"""The links of the documentation: files and headings that exist, and a navigation that has every page."""

from pathlib import Path

import pytest
import yaml

from tools.docs.links import OUTSIDE, Link, anchors, links, replace_links

ROOT = Path(__file__).parents[2]
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))
FILES = sorted({"README.md", *OUTSIDE, *PAGES})


@pytest.mark.parametrize("name", FILES)
def test_links_can_be_followed(name):
    found = list(links(name, (ROOT / name).read_text()))
    assert [fault for link in found if (fault := link.fault())] == []


def test_navigation_has_every_page_once():
    class Loader(yaml.SafeLoader):
        """Reads mkdocs.yml, which names Python functions."""

    Loader.add_multi_constructor("tag:yaml.org,2002:python/name:", lambda loader, suffix, node: suffix)
    configuration = yaml.load((ROOT / "mkdocs.yml").read_text(), Loader)
    listed = list(_leaves(configuration["nav"]))
    assert sorted(listed) == sorted([*(page.removeprefix("docs/") for page in PAGES), *OUTSIDE.values()])


def _leaves(nav) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    return [leaf for part in parts for leaf in _leaves(part)]


TEXT = """\
# A title, with `code`
See [the page](b.md#part-two), ![an image](c.png) and `[no link](x.md)`; [`code`](../d/) and <https://e.example>.
```
[no link](y.md)
```
[here](#a-title-with-code) [web](https://f.example/g.md)
"""


def test_links_of_a_text():
    found = list(links("docs/a.md", TEXT))
    assert [(link.path, link.anchor, link.is_image) for link in found] == [
        ("docs/b.md", "part-two", False),
        ("docs/c.png", "", True),
        ("d", "", False),
        ("docs/a.md", "a-title-with-code", False),
    ]
    assert anchors(TEXT) == {"a-title-with-code"}
    replaced = replace_links("docs/a.md", TEXT, lambda link: f"<{link.text}>")
    assert "See <the page>, <an image> and `[no link](x.md)`; <`code`> and" in replaced
    assert "<here> [web](https://f.example/g.md)" in replaced and "[no link](y.md)" in replaced


def test_faults_of_links(tmp_path):
    (tmp_path / "b.md").write_text("## Part two\n")
    link = Link("a.md", "b", "b.md#part-two", "b.md", "part-two", is_image=False)
    assert link.fault(tmp_path) == ""
    missing = Link("a.md", "b", "b.md#three", "b.md", "three", is_image=False)
    assert missing.fault(tmp_path) == "a.md: b.md#three: b.md has no heading with this anchor"
    assert "does not exist" in Link("a.md", "c", "c.md", "c.md", "", is_image=False).fault(tmp_path)
    assert "does not exist" in Link("a.md", "c", "../b.md", "../b.md", "", is_image=False).fault(tmp_path)
