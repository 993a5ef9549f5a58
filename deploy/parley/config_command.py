"""`parley config`: show every setting with its value and source."""

import argparse
import sys

from foundation.etcd import EtcdUnavailable
from foundation.hot_settings import overridden
from foundation.settings import Settings


def main(settings: Settings, _: argparse.Namespace) -> int:
    """Print the settings; return the exit code."""
    try:
        settings = overridden(settings)
    except EtcdUnavailable as error:
        print(f"parley: cannot read the live settings: {error}", file=sys.stderr)
    rows = settings.rows()
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for name, value, source in rows:
        print(f"{name:<{widths[0]}}  {value:<{widths[1]}}  {source}")
    return 0
