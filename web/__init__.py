"""Static files of the page and the SDK: `web.root()` is the directory to serve, `web.ROOT` that of the sources.

The page has two forms. Installations serve the bundle (`sh web/build.sh` makes `built/`; wheels contain it). A checkout
serves its sources if they have not been built or have changed since, so that nobody sees a page older than its sources.
Both contain the same modules, and in both `index.html` is the response to every path of the page.
"""

import hashlib
import json
from pathlib import Path

ROOT = Path(__file__).parent
BUILT = ROOT / "built"
_SOURCES = ("api-docs", "app", "index.html", "sdk", "service-worker.js", "tools", "vendor")


def root() -> Path:
    """Return the directory of the bundle if it was built from these sources, otherwise that of the sources.

    An installation without sources has only the bundle.
    """
    if not (ROOT / "app").is_dir():
        return BUILT
    try:
        made_from = json.loads((BUILT / "build.json").read_bytes())["sources"]
    except (OSError, ValueError, KeyError):
        return ROOT
    return BUILT if made_from == sources_digest() else ROOT


def sources_digest() -> str:
    """Return the digest of the sources, which the build records (tools/page.js computes the same)."""
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
