#!/usr/bin/env python3
"""Exit 0 while the part in this container is healthy. Arguments: its health addresses; none: all parts' defaults."""

import sys
import urllib.error
import urllib.request

DEFAULTS = (
    "http://127.0.0.1:8800/health/ready",  # control
    "http://127.0.0.1:8084/health/ready",  # sfu
    "http://127.0.0.1:8086/health/live",  # recorder
    "http://127.0.0.1:8085/health/live",  # inference
)


def is_healthy(url: str) -> bool:
    """Return True if the address answers 200 within three seconds; control needs one, whatever store is away."""
    try:
        with urllib.request.urlopen(url, timeout=3) as answer:  # noqa: S310  an address of our own
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


if __name__ == "__main__":
    sys.exit(0 if any(is_healthy(url) for url in sys.argv[1:] or DEFAULTS) else 1)
