"""`parley make-certificates`: make a certificate for TLS between the parts, and the authority that signs it."""

import argparse
import datetime
import sys
from pathlib import Path

from foundation.settings import Settings
from parley import part_certificates as parts


def main(_: Settings, flags: argparse.Namespace) -> int:
    """Write the files; return the exit code."""
    directory = Path(flags.directory).absolute()
    now = datetime.datetime.now(datetime.UTC)
    try:
        is_new = parts.make(directory, now)
    except (OSError, ValueError) as error:
        print(f"parley: cannot make certificates: {error}", file=sys.stderr)
        return 1
    if is_new:
        print(f"{directory / parts.AUTHORITY_KEY} signs the certificates of all parts: keep it, away from the servers")
    for name, file in (("CERTIFICATE", parts.CERTIFICATE), ("KEY", parts.KEY), ("CA", parts.AUTHORITY)):
        print(f"PARLEY_PARTS_{name}={directory / file}")
    print(f"valid until {now + parts.LIFETIME:%Y-%m-%d}; run this again before, and parts use the new one within 30 s")
    return 0
