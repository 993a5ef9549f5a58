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


def add_nginx_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of the verb; without flags, the servers behind the gateway come from the settings."""
    group = parser.add_argument_group("gateway")
    group.add_argument("--out", metavar="FILE", help="output file (0600); unset: standard output")
    group.add_argument("--nginx", metavar="PATH", default="nginx", help="nginx program that will read the file")
    group.add_argument("--nginx-version", metavar="VERSION", help="version of nginx, if it cannot be run here")
    group.add_argument("--with-http3", action="store_true", help="the given version has the HTTP/3 module")
    group.add_argument("--listen-http", metavar="ADDRESS", action="append", default=[], help="HOST:PORT of plain HTTP")
    group.add_argument("--listen-https", metavar="ADDRESS", action="append", default=[], help="HOST:PORT of HTTPS")
    group.add_argument("--https-port-outside", metavar="PORT", type=int, default=443, help="public port of HTTPS")
    group.add_argument("--no-redirect", action="store_true", help="serve plain HTTP to everybody")
    group.add_argument("--certificate", metavar="FILE", type=Path, help="PEM chain")
    group.add_argument(
        "--tls", metavar="DIRECTORY", type=Path, help="directory for a self-signed certificate, if none is given"
    )
    group.add_argument("--private-key", metavar="FILE", type=Path, help="PEM key")
    group.add_argument("--control", metavar="ADDRESS", action="append", help="HOST:PORT of control; may be repeated")
    group.add_argument("--internal", metavar="ADDRESS", help="HOST:PORT of control's internal listener")
    group.add_argument("--ai", metavar="ADDRESS", action="append", default=[], help="HOST:PORT of an inference node")
    group.add_argument(
        "--listen-ai",
        metavar="ADDRESS",
        action="append",
        default=[],
        help="HOST:PORT for control's inference_url",
    )
    group.add_argument("--resolver", metavar="ADDRESS", default="", help="DNS server, if sfu nodes have host names")
    group.add_argument(
        "--proxy", metavar="NETWORK", action="append", default=[], help="network of a proxy before this gateway"
    )
    group.add_argument(
        "--state",
        metavar="DIRECTORY",
        type=Path,
        default=Path("/var/lib/nginx"),
        help="directory that nginx can write (default: %(default)s)",
    )
    group.add_argument(
        "--pid",
        metavar="FILE",
        type=Path,
        default=Path("/run/nginx.pid"),
        help="pid file of nginx (default: %(default)s, as distributions' units expect)",
    )


def add_nodes_flags(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Add the acts of `parley nodes`."""
    acts = parser.add_subparsers(title="acts", required=True, metavar="ACT", dest="act")
    acts.add_parser("list", help="show every node, its load and its region", parents=[common])
    drain = acts.add_parser("drain", help="stop placing rooms on a node", parents=[common])
    drain.add_argument("name", metavar="NODE")
    meaning = "seconds before the remaining rooms move to other nodes; unset: they stay until they end"
    drain.add_argument("--grace", type=float, metavar="SECONDS", help=meaning)
    undrain = acts.add_parser("undrain", help="place rooms on a node again", parents=[common])
    undrain.add_argument("name", metavar="NODE")
