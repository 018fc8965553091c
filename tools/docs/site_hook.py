# SPDX-License-Identifier: Apache-2.0
"""Hook of MkDocs: files outside of docs/ become pages, and links to files of the repository become text.

It is run by ``make docs`` in an environment without the package.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from mkdocs.plugins import get_plugin_logger
from mkdocs.structure.files import File, Files

sys.path.insert(0, str(Path(__file__).parents[2]))
from tools.docs.links import OUTSIDE, ROOT, Link, replace_links

log = get_plugin_logger("links")
#: Place in the site -> file below the root.
SOURCES = {page: source for source, page in OUTSIDE.items()}


def on_files(files: Files, *, config: Any) -> Files:
    """Add the files outside of docs/."""
    for source, page in OUTSIDE.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, *, page: Any, **_: Any) -> str:
    """Rewrite the links: to pages of the site, or to text; a broken one is a warning."""
    place = page.file.src_uri
    source = SOURCES.get(place, f"docs/{place}")
    return replace_links(source, markdown, lambda link: _rewritten(link, place))


def _rewritten(link: Link, place: str) -> str:
    if fault := link.fault():
        log.warning(fault)
    anchor = f"#{link.anchor}" if link.anchor else ""
    target = OUTSIDE.get(link.path) or (link.path.removeprefix("docs/") if _is_in_docs(link) else "")
    if not target:  # a file of the repository that the site does not have
        return link.text if link.text.strip("`") == link.path else f"{link.text} (`{link.path}`)"
    relative = os.path.relpath(target, Path(place).parent)
    return f"{'!' if link.is_image else ''}[{link.text}]({relative}{anchor})"


def _is_in_docs(link: Link) -> bool:
    return link.path.startswith("docs/") and (ROOT / link.path).is_file()
