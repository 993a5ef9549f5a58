"""Checks the English of the house: docstrings begin with a noun or a verb, and texts avoid phrases with a better word.

codespell finds misspellings (its settings are in pyproject.toml); this finds what it cannot know.
"""

import ast
import contextlib
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from parley.cli import main as parley

ROOT = Path(__file__).parents[1]
QUESTIONS = {"What", "Which", "Who", "Whose", "Whom", "Whether", "How", "When", "Where", "Why"}
PACKAGES = (".ci", "bench", "control", "deploy", "docs", "inference", "recorder", "sfu", "tests")
BETTER = {
    "trying on": "retrying",
    "come whole": "load completely",
    "says nonsense": "is invalid",
    "by other means": "another way",
    "is told of": "receives, learns of",
    "amid": "during",
    "whosoever": "anyone who",
    "lest": "so that … not",
    "thereof": "of it",
    "goes along": "continues, comes too",
}
"""By phrase that readers stumble over: what to write instead."""
_PHRASES = re.compile(rf"\b({'|'.join(BETTER)})\b", re.IGNORECASE)


def docstrings(source: str) -> Iterator[tuple[int, str]]:
    """Yield (line, complaint) for each docstring, of attributes too, that begins with a question word."""
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else ():
            match statement:
                case ast.Expr(value=ast.Constant(value=str(text))) if text.split():
                    first = text.split()[0].rstrip(".,:;")
                    if first in QUESTIONS:
                        yield statement.lineno, f"a docstring begins with {first!r}, not with a noun or a verb"


def phrases(text: str) -> Iterator[tuple[int, str]]:
    """Yield (line, complaint) for each phrase that has a better word."""
    for number, line in enumerate(text.splitlines(), 1):
        for found in _PHRASES.findall(line):
            yield number, f"{found!r}: say {BETTER[found.lower()]}"


def help_texts() -> str:
    """Return what `parley --help` and `parley up --help` print."""
    shown = io.StringIO()
    for arguments in (["--help"], ["up", "--help"]):
        with contextlib.redirect_stdout(shown), contextlib.suppress(SystemExit):
            parley(arguments)
    return shown.getvalue()


def complaints() -> Iterator[str]:
    """Yield every complaint, with its place."""
    for package in PACKAGES:
        for path in _files(ROOT / package, "*.py"):
            yield from _at(path, docstrings(path.read_text()))
    for path in _texts():
        yield from _at(path, phrases(path.read_text()))
    yield from _at(Path("parley --help"), phrases(help_texts()))


def _texts() -> list[Path]:
    """Return the documents, package READMEs and sources of the page."""
    folders = [ROOT / folder for folder in (*PACKAGES, "web")]
    found = [path for folder in folders for kind in ("*.md", "*.js", "*.html") for path in _files(folder, kind)]
    return sorted({*ROOT.glob("*.md"), *found})


def _files(folder: Path, pattern: str) -> list[Path]:
    """Return the files below a folder that somebody wrote: none that was built, fetched or recorded."""
    others = {"build", "fixtures", "node_modules", "reference", "site"}
    return sorted(path for path in folder.rglob(pattern) if not others & set(path.relative_to(ROOT).parts))


def _at(path: Path, found: Iterator[tuple[int, str]]) -> Iterator[str]:
    name = path.relative_to(ROOT) if path.is_absolute() else path
    return (f"{name}:{line}: {complaint}" for line, complaint in found)


if __name__ == "__main__":
    listed = list(complaints())
    sys.exit("\n".join(listed) or 0)
