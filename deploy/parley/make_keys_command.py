"""`parley make-keys`: create control's keys if they are missing, for external stores, or rotate them."""

import argparse
import sys

from control.identity import keys
from foundation.settings import Settings


def main(settings: Settings, flags: argparse.Namespace) -> int:
    """Create the keys, or rotate them; return the exit code."""
    directory = settings["data_dir"] / "control"
    try:
        if flags.rotate == "add":
            keys.add_next(directory)
        elif flags.rotate == "use":
            keys.use_next(directory)
        loaded = keys.load(directory, may_create=not flags.rotate)
    except (OSError, ValueError) as error:
        print(f"parley: cannot create keys: {error}", file=sys.stderr)
        return 1
    print(f"keys are in {directory}; join tokens are signed by {loaded.kid}")
    return 0
