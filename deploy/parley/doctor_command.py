"""`parley doctor`: checks for problems that would prevent meetings on this machine."""

import argparse
import asyncio
import sys

from foundation.settings import Settings
from parley.doctor import Finding, look

_SIGNS = {"ok": "  ok", "note": "note", "bad": " BAD"}


def main(settings: Settings, chosen: argparse.Namespace) -> int:
    """Print the findings; return the exit code: 1 if a check failed."""
    return report(asyncio.run(look(settings, chosen.stun, chosen.ntp)))


def report(findings: list[Finding]) -> int:
    """Print findings; return the exit code."""
    for one in findings:
        print(f"{_SIGNS[one.weight]}  {one.what}: {one.said}")
    bad = sum(one.weight == "bad" for one in findings)
    print(f"{bad} of {len(findings)} are bad" if bad else "nothing is bad", file=sys.stderr)
    return 1 if bad else 0
