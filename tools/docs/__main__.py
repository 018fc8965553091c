# SPDX-License-Identifier: Apache-2.0
"""Write the generated pages, or list those that are not up to date (``--check``)."""

from __future__ import annotations

import argparse
from pathlib import Path

from .bundles import bundle_page
from .commands import commands_page
from .launch_files import launch_page
from .messages import messages_page
from .models import models_page
from .parameters import parameters_page
from .topics import topics_page

FOLDER = Path(__file__).parents[2] / "docs" / "reference"
#: File -> its text.
PAGES = {
    "topics.md": topics_page,
    "parameters.md": parameters_page,
    "launch.md": launch_page,
    "commands.md": commands_page,
    "messages.md": messages_page,
    "bundle.md": bundle_page,
    "models.md": models_page,
}


def outdated() -> dict[str, str]:
    """Return the pages that differ from the code, with the text that they should have."""
    made = {name: make() for name, make in PAGES.items()}
    return {
        name: text
        for name, text in made.items()
        if not (FOLDER / name).is_file() or (FOLDER / name).read_text() != text
    }


def main() -> int:
    """Run the command line; return the exit code: 1 with ``--check`` and pages that are not up to date."""
    parser = argparse.ArgumentParser(prog="python -m tools.docs", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args()
    changed = outdated()
    for name, text in changed.items():
        print(f"docs/reference/{name}: {'not up to date' if options.check else 'written'}")
        if not options.check:
            (FOLDER / name).write_text(text)
    return 1 if options.check and changed else 0


if __name__ == "__main__":
    raise SystemExit(main())
