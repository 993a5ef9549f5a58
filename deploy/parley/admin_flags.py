"""The flags of `parley admin`, separate from the code of its verbs, which needs control."""

import argparse
from pathlib import Path


def add_admin_flags(parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
    """Add the verbs of `parley admin`; the chosen one is stored as `admin`. `common` has the flags of every verb."""
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")

    def add(name: str, meaning: str) -> argparse.ArgumentParser:
        sub = verbs.add_parser(name, help=meaning, description=meaning, parents=[common])
        sub.set_defaults(admin=name)
        return sub

    create = add("create", "create an administrator; the password is read from standard input")
    create.add_argument("username")
    create.add_argument("--email")
    reset = add("reset-password", "set a password, read from standard input, and end every session")
    reset.add_argument("login", help="user name or e-mail address")
    export = add("export", "write an account's data and files to a directory")
    export.add_argument("login", help="user name or e-mail address")
    export.add_argument("directory", type=Path, help="created if it is missing; must be empty")
    delete = add("delete", "delete an account with its meetings, recordings and files")
    delete.add_argument("login", help="user name or e-mail address")
    delete.add_argument("--yes", action="store_true", help="do not ask")
