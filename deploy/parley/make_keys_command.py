"""`parley make-keys`: create control's keys if they are missing, for external stores."""

import argparse
import sys

from control.identity import keys
from foundation.settings import Settings


def main(settings: Settings, _: argparse.Namespace) -> int:
    """Create the keys; return the exit code."""
    directory = settings["data_dir"] / "control"
    try:
        loaded = keys.load(directory, may_create=True)
    except (OSError, ValueError) as error:
        print(f"parley: cannot create keys: {error}", file=sys.stderr)
        return 1
    print(f"keys are in {directory}; join tokens are signed by {loaded.kid}")
    return 0
