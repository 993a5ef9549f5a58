"""Flags of the verbs by which an operator looks after a server, apart from their code: each loads only its own."""

import argparse
from pathlib import Path

PARTS = ("control", "sfu", "recorder", "inference")
ANSWERS = ("stacks", "profile", "heap")


def add_inspect_flags(parser: argparse.ArgumentParser) -> None:
    """Add what can be asked, and of whom."""
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("what", choices=ANSWERS)
    parser.add_argument("--seconds", type=float, default=5.0, help="how long to sample a profile or allocations")


def add_doctor_flags(parser: argparse.ArgumentParser) -> None:
    """Add the servers elsewhere, which are asked only if they are named."""
    parser.add_argument("--stun", metavar="HOST:PORT", help="STUN server that tells how others see this machine")
    parser.add_argument("--ntp", metavar="HOST", help="NTP server to compare the clock with")


def add_bundle_flags(parser: argparse.ArgumentParser) -> None:
    """Add where it is written, and logs to put in."""
    parser.add_argument("--out", type=Path, metavar="FILE", help="where to write it; unset: parley-support-TIME.tar.gz")
    parser.add_argument("--log", type=Path, action="append", default=[], metavar="FILE", help="a log to put in")


def add_install_flags(parser: argparse.ArgumentParser) -> None:
    """Add where the unit and its settings are written."""
    parser.add_argument("--unit", type=Path, default=Path("/etc/systemd/system/parley.service"), metavar="FILE")
    parser.add_argument("--configuration", type=Path, default=Path("/etc/parley/parley.toml"), metavar="FILE")
    parser.add_argument("--print", action="store_true", help="print the unit and write nothing")
