# SPDX-License-Identifier: Apache-2.0
"""CONTRIBUTING, SECURITY, CITATION and the issue templates: their form, and the files that they name."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
TEMPLATES = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
FORMS = [path for path in TEMPLATES if path.name != "config.yml"]
#: What https://docs.github.com calls the types of a form's elements.
ELEMENTS = {"markdown", "textarea", "input", "dropdown", "checkboxes"}


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "SECURITY.md"])
def test_paths_and_make_targets_that_it_names_exist(name):
    text = (ROOT / name).read_text()
    paths = re.findall(r"`((?:[\w.]+/)+[\w.]*)`", text)
    assert paths
    assert [path for path in paths if not (ROOT / path).exists()] == []
    targets = re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE)
    makefile = (ROOT / "Makefile").read_text()
    assert [target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)] == []


def test_code_that_the_recipes_name_exists():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    recipes = re.findall(r"^### (.*)$", text, re.MULTILINE)
    assert recipes == [
        f"Add a {kind}" for kind in ("model", "backend", "topic", "parameter", "data set", "command")
    ]
    for file, name in re.findall(r"`((?:evitsam_ros|training)/[\w/]+\.py)`: an entry of `(\w+)`", text):
        assert re.search(rf"^{name}\b", (ROOT / file).read_text(), re.MULTILINE), f"{name} in {file}"


def test_names_of_the_architecture_table_are_defined_in_their_files():
    text = (ROOT / "docs" / "architecture.md").read_text()
    text = text.partition("\n## Behaviours\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| [^|]+ \| `([\w/]+\.py)` \| `(\w+)` \|$", text, re.MULTILINE)
    assert len(rows) == text.count("\n| ") - 1 >= 20
    for file, name in rows:
        defined = rf"^\s*(def|class) {name}\b"
        assert re.search(defined, (ROOT / file).read_text(), re.MULTILINE), f"{name} in {file}"


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_issue_form_is_one_that_github_accepts(path):
    form = yaml.safe_load(path.read_text())
    assert {"name", "description", "body"} <= set(form)
    ids = [element["id"] for element in form["body"] if element["type"] != "markdown"]
    assert len(ids) == len(set(ids)) >= 1
    for element in form["body"]:
        assert element["type"] in ELEMENTS
        assert element["attributes"]["label"]


def test_citation_is_of_this_version_and_licence():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    manifest = ElementTree.parse(ROOT / "package.xml").getroot()
    assert citation["version"] == manifest.findtext("version")
    assert citation["license"] == manifest.findtext("license")
    required = {"cff-version", "message", "title", "authors"}  # by the schema of version 1.2.0
    assert required <= set(citation)
    assert all({"type", "title", "authors"} <= set(each) for each in citation["references"])


def test_folders_of_the_architecture_table_exist():
    text = (ROOT / "docs" / "architecture.md").read_text()
    text = text.partition("\n## Folders\n")[2].partition("\n## ")[0]
    paths = re.findall(r"`((?:[\w.]+/)+(?:\w+\.py)?)`", text)
    assert len(paths) > 20
    listed = {path for path in paths if path != "examples/"}
    assert [path for path in listed if not (ROOT / path).exists()] == []
    packages = {f"evitsam_ros/{path.parent.name}/" for path in (ROOT / "evitsam_ros").glob("*/__init__.py")}
    assert not packages - listed
