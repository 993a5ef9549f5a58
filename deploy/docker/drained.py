#!/usr/bin/env python3
"""Wait until this sfu's rooms are empty, or until the sfu has ended: the preStop hook of its pod.

Arguments: the address of its metrics, and the maximum number of seconds to wait. The wait must end before the
orchestrator's grace period, so that the sfu has time to hand over its rooms after the signal to stop.
"""

import re
import ssl
import sys
import time
import urllib.error
import urllib.request

POLL_SECONDS = 5.0
UNCHECKED = ssl.create_default_context()  # it asks this pod
UNCHECKED.check_hostname, UNCHECKED.verify_mode = False, ssl.CERT_NONE
REFUSALS = 3
"""An sfu counts as ended after this many refused connections in a row. A slow answer means that it is busy."""


def participants(url: str) -> int | None:
    """Return the number of people in rooms, None if the connection is refused. Other failures count as one person."""
    try:
        with urllib.request.urlopen(url, timeout=5, context=UNCHECKED) as answer:  # noqa: S310  an address of our own
            found = re.search(rb"^parley_sfu_participants (\d+)", answer.read(), re.M)
    except urllib.error.URLError as error:
        return None if isinstance(error.reason, ConnectionRefusedError) else 1
    except OSError:
        return 1
    return int(found[1]) if found else 1


if __name__ == "__main__":
    address = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8084/metrics"
    patience = float(sys.argv[2]) if len(sys.argv) > 2 else float("inf")
    ends = time.monotonic() + patience
    refused = 0
    while time.monotonic() < ends and refused < REFUSALS:
        present = participants(address)
        if present == 0:
            break
        refused = refused + 1 if present is None else 0
        time.sleep(POLL_SECONDS)
