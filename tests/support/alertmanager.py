"""The shipped Alertmanager configuration, in a form that the installed Alertmanager reads."""

import functools
import re
import subprocess
from pathlib import Path

SHIPPED = Path(__file__).parents[2] / "deploy" / "alertmanager" / "alertmanager.yml"
# The first release that can read a webhook's address from a file.
_KNOWS_URL_FILE = (0, 26)


@functools.cache
def version() -> tuple[int, int]:
    """Return (major, minor) of the installed Alertmanager; Debian 12 has 0.25."""
    said = subprocess.run(["prometheus-alertmanager", "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"version (\d+)\.(\d+)", said.stdout + said.stderr)
    assert found, said
    return int(found[1]), int(found[2])


def configuration(text: str | None = None, webhook: Path | None = None, release: tuple[int, int] | None = None) -> str:
    """Return `text`, by default the shipped file, with `webhook` as the file that holds the address.

    For a release without `url_file`, each such line becomes a `url` with the file's content, or with an address without
    a listener. Everything else is as shipped.
    """
    text = SHIPPED.read_text() if text is None else text
    if (release or version()) >= _KNOWS_URL_FILE:
        return text if webhook is None else re.sub(r"url_file: \S+", f"url_file: {webhook}", text)
    address = webhook.read_text() if webhook else "http://127.0.0.1:9/"
    return re.sub(r"url_file: \S+", f"url: {address}", text)
