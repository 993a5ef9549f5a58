"""Flags of the maintenance verbs, separate from their code, so a process loads only the code of its verb."""

import argparse
from pathlib import Path

PARTS = ("control", "sfu", "recorder", "inference", "ingress", "phone")
ANSWERS = ("stacks", "profile", "heap")


def add_inspect_flags(parser: argparse.ArgumentParser) -> None:
    """Add the part to inspect and the kind of output."""
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("what", choices=ANSWERS)
    parser.add_argument("--seconds", type=float, default=5.0, help="how long to sample a profile or allocations")


def add_doctor_flags(parser: argparse.ArgumentParser) -> None:
    """Add external servers, which are asked only if they are given."""
    parser.add_argument("--stun", metavar="HOST:PORT", help="STUN server that reports this machine's public address")
    parser.add_argument("--ntp", metavar="HOST", help="NTP server for checking the clock")


def add_bundle_flags(parser: argparse.ArgumentParser) -> None:
    """Add the output file, and logs to include."""
    parser.add_argument("--out", type=Path, metavar="FILE", help="output file; unset: parley-support-TIME.tar.gz")
    parser.add_argument(
        "--log", type=Path, action="append", default=[], metavar="FILE", help="log to include; repeatable"
    )


def add_install_flags(parser: argparse.ArgumentParser) -> None:
    """Add the paths of the unit and its settings."""
    parser.add_argument("--unit", type=Path, default=Path("/etc/systemd/system/parley.service"), metavar="FILE")
    parser.add_argument("--configuration", type=Path, default=Path("/etc/parley/parley.toml"), metavar="FILE")
    parser.add_argument("--print", action="store_true", help="print the unit and write nothing")


def add_backup_flags(parser: argparse.ArgumentParser) -> None:
    """Add the target, and the number of backups to keep."""
    _add_target(parser)
    parser.add_argument("--keep", type=_positive, metavar="N", help="delete all but the N newest; unset: delete none")


def add_restore_flags(parser: argparse.ArgumentParser) -> None:
    """Add the target, the backup's name, and the flag to verify only."""
    _add_target(parser)
    parser.add_argument("--name", metavar="NAME", help="the backup, such as parley-20260131-040000; unset: the newest")
    parser.add_argument("--verify", action="store_true", help="read and verify the backup, and write nothing")


def add_upgrade_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flag of the check, the only mode so far, and the place of backups."""
    parser.add_argument("--check", action="store_true", required=True, help="show what would change; change nothing")
    parser.add_argument("--backup", metavar="TARGET", help="place of backups: the newest must be less than a day old")


def _add_target(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="TARGET", help="a directory, or s3:BUCKET[/PREFIX]")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number
