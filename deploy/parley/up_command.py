"""`parley up`: start everything on this machine, until Ctrl-C."""

import argparse
import sys

from foundation.settings import Settings
from parley.supervisor import CannotStart, up


def main(settings: Settings, _: argparse.Namespace) -> int:
    """Run until SIGINT or SIGTERM; return the exit code."""
    try:
        return up(settings)
    except CannotStart as error:
        print(f"parley: {error}", file=sys.stderr)
        return 1
