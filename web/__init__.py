"""Static files of the page and the SDK: `web.root()` is the directory to serve, `web.ROOT` that of the sources.

The page is served in one of two forms. Bundled (`sh web/build.sh` makes `built/`; wheels carry it): what installations
serve. As it stands in the sources: what a checkout serves where nothing was built, or something else was, so that
nobody looks at a page older than its sources. The modules are the same, and so is the way in: `index.html` is the
answer to every path of the page.
"""

import hashlib
import json
from pathlib import Path

ROOT = Path(__file__).parent
BUILT = ROOT / "built"
_SOURCES = ("api-docs", "app", "index.html", "sdk", "tools", "vendor")


def root() -> Path:
    """Return the directory of the bundled page if it was made from these sources, or else that of the sources."""
    try:
        made_from = json.loads((BUILT / "build.json").read_bytes())["sources"]
    except (OSError, ValueError, KeyError):
        return ROOT
    return BUILT if made_from == sources_digest() else ROOT


def sources_digest() -> str:
    """Return what the build notes as its sources (tools/page.js computes the same)."""
    paths = {
        path.relative_to(ROOT).as_posix(): path
        for source in _SOURCES
        for path in (ROOT / source, *(ROOT / source).rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    digest = hashlib.sha256()
    for name, path in sorted(paths.items(), key=lambda item: item[0].encode()):
        digest.update(f"{name}\n{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()
