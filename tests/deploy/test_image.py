"""The image's build context: the ignore file admits everything that the Dockerfile copies."""

import re
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "deploy" / "docker"


def copied(dockerfile: str) -> list[str]:
    """Sources of each COPY from the build context."""
    lines = dockerfile.replace("\\\n", " ").splitlines()
    return [
        source for line in lines if line.startswith("COPY ") and "--from=" not in line for source in line.split()[1:-1]
    ]


def lets_through(ignore: str, path: str) -> bool:
    """Return True if a path is in the context: the last rule that matches it, or a folder above it, decides."""
    kept = True
    places = [str(place) for place in (PurePosixPath(path), *PurePosixPath(path).parents)]
    for rule in ignore.splitlines():
        if not rule or rule.startswith("#"):
            continue
        pattern = re.escape(rule.lstrip("!")).replace(r"\*\*/", "(.*/)?").replace(r"\*", "[^/]*")
        if any(re.fullmatch(pattern, place) for place in places if place != "."):
            kept = rule.startswith("!")
    return kept


def test_everything_that_is_copied_is_there_and_in_the_context() -> None:
    ignore = (DOCKER / "Dockerfile.dockerignore").read_text()
    sources = copied((DOCKER / "Dockerfile").read_text())
    assert "deploy/objects" in sources
    assert [source for source in sources if not (ROOT / source).exists()] == []
    assert [source for source in sources if not lets_through(ignore, source)] == []


def test_nothing_is_let_through_that_is_not_there() -> None:
    ignore = (DOCKER / "Dockerfile.dockerignore").read_text()
    assert [name for name in re.findall(r"^!(\S+)", ignore, re.M) if not (ROOT / name).exists()] == []


def test_the_check_can_fail() -> None:
    ignore = "*\n!sfu\n!objects\n"
    assert lets_through(ignore, "sfu")
    assert not lets_through(ignore, "deploy/objects")
    assert not lets_through(ignore + "**/*.so\n", "sfu/engine/compiled.so")
