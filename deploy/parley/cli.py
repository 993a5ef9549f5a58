"""The `parley` command: its verbs and flags. Each verb has a separate module.

`parley.NAME_command` runs the verb NAME. It is imported only when that verb is chosen, so a process loads no code of
parts that it does not run.
"""

import argparse
import gc
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from foundation.pictures import Picture
from foundation.setting_groups import GROUPS, REMOVED, Setting
from foundation.settings import Settings, SettingsError, resolve
from foundation.worker_count import WorkerCount
from parley.admin_flags import add_admin_flags
from parley.operator_flags import (
    add_backup_flags,
    add_bundle_flags,
    add_doctor_flags,
    add_inspect_flags,
    add_install_flags,
    add_nginx_flags,
    add_nodes_flags,
    add_restore_flags,
    add_upgrade_flags,
)

Verb = Callable[[Settings, argparse.Namespace], int]
"""The `main` of a verb's module: takes the settings and the parsed flags, returns the process's exit code."""

_METAVARS = {bool: "on|off", int: "N", float: "N", Path: "PATH", Picture: "PATH", WorkerCount: "N|auto"}
_PRECEDENCE = (
    "No setting is required. A flag overrides the environment (PARLEY_SETTING, or PARLEY_SETTING_FILE with the name of"
    " a file that contains the value), which overrides the TOML file. Passwords and other secrets have no flags:"
    " `parley config` lists them with all settings. Repeat a flag to give several values."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a verb; return the process's exit code."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    flags = {name: value for name, value in vars(chosen).items() if value is not None}
    toml = Path(chosen.config) if chosen.config else None
    try:
        settings = resolve(flags, os.environ, toml)
        _warn(settings)
        return _verb(chosen.verb)(settings, chosen)
    except SettingsError as error:
        print(f"parley: {error}", file=sys.stderr)
        return 2


def _verb(name: str) -> Verb:
    """Return a verb, imported without garbage collections: they would find nothing, in a tenth of the time to start."""
    gc.disable()
    try:
        verb: Verb = importlib.import_module(f"parley.{name.replace('-', '_')}_command").main
    finally:
        gc.enable()
    return verb


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="parley", description="Self-hosted video meetings.")
    parser.add_argument("--version", action="version", version=f"parley {version('parley-sfu')}")
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB", dest="verb")
    common = _common_flags()
    for name, meaning in (
        ("up", "start everything on this machine, until Ctrl-C"),
        ("sfu", "run one sfu node"),
        ("control", "run the control plane: page, REST, database"),
        ("recorder", "run the recorder for the sfu on this machine"),
        ("film-worker", "make combined videos of recordings in S3, on any machine"),
        ("inference", "run captions and other inference for the sfu on this machine"),
        ("ingress", "run ingress, which receives streams over RTMP and SRT, and reads URLs"),
        ("phone", "run phone, which connects telephones by SIP"),
        ("config", "show every setting with its value and source"),
        ("migrate", "upgrade the database to this version"),
        ("openapi", "print the OpenAPI document of the REST API"),
        ("make-keys", "create control's keys if they are missing, for external stores"),
    ):
        sub = verbs.add_parser(
            name,
            help=meaning,
            usage=f"parley {name} [--config FILE] [--SETTING VALUE]...",
            description=f"{meaning[0].upper()}{meaning[1:]}.",
            epilog=_PRECEDENCE,
            parents=[common],
        )
        if name == "migrate":
            sub.add_argument("--dry-run", action="store_true", help="list the migrations without applying them")
        if name == "make-keys":
            rotation = "rotate the keys: first add the next ones, then use them; restart each control after each step"
            sub.add_argument("--rotate", choices=("add", "use"), help=rotation)
    _add_verbs_of_own_flags(verbs, _common_flags(is_shown=False))
    return parser


def _add_verbs_of_own_flags(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser
) -> None:
    meaning = "make a certificate for TLS between the parts"
    certificates = verbs.add_parser("make-certificates", help=meaning, parents=[common])
    certificates.add_argument("directory", metavar="DIRECTORY", help="where the files are, and the authority is kept")
    gateway = verbs.add_parser("nginx-config", help="write the gateway's nginx.conf", parents=[common])
    add_nginx_flags(gateway)
    for name, meaning, act, what in (
        ("recording", "verify recordings, or restore them in the database from their files",
         "rescan", "find recordings by their files"),
        ("events", "publish events again that Kafka refused",
         "replay", "publish the events of the dead-letter topic again"),
    ):  # fmt: skip
        acts = verbs.add_parser(name, help=meaning).add_subparsers(title="acts", required=True, metavar="ACT")
        acts.add_parser(act, help=what, parents=[common]).set_defaults(act=act)
        if name == "recording":
            _add_recording_flags(acts, common)
    admin = verbs.add_parser("admin", help="create administrators, reset passwords, export and delete accounts")
    add_admin_flags(admin, common)
    nodes = verbs.add_parser("nodes", help="list or drain sfu nodes")
    add_nodes_flags(nodes, common)
    doctor = verbs.add_parser("doctor", help="find problems that prevent meetings on this machine", parents=[common])
    add_doctor_flags(doctor)
    backup = verbs.add_parser("backup", help="save everything of a running server, encrypted", parents=[common])
    add_backup_flags(backup)
    restore = verbs.add_parser("restore", help="make an installation from a backup", parents=[common])
    add_restore_flags(restore)
    upgrade = verbs.add_parser("upgrade", help="check what an upgrade to this release changes", parents=[common])
    add_upgrade_flags(upgrade)
    bundle = verbs.add_parser("support-bundle", help="write a file for support, without secrets", parents=[common])
    add_bundle_flags(bundle)
    service = verbs.add_parser("install-service", help="write a systemd unit that runs `parley up`", parents=[common])
    add_install_flags(service)
    inspect = verbs.add_parser("inspect", help="show what a running part is doing", parents=[common])
    add_inspect_flags(inspect)
    for name, meaning in (
        ("flight", "fetch, read and replay a room's flight recording"),
        ("models", "fetch, build, list and verify AI models"),
    ):
        rest = verbs.add_parser(name, help=meaning, add_help=False)
        rest.add_argument("rest", nargs=argparse.REMAINDER)
        rest.set_defaults(config=None)


def _add_recording_flags(
    acts: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser
) -> None:
    """Add `verify` with its flags, and `rewrap`."""
    again = "encrypt the keys of recordings with the newest key of recordings_keys"
    acts.add_parser("rewrap", help=again, description=again, parents=[common]).set_defaults(act="rewrap")
    meaning = "check a recording's signature and hashes, decode its files, and find gaps"
    verifying = acts.add_parser("verify", help=meaning, description=meaning, parents=[common])
    verifying.add_argument("recording", help="its id")
    verifying.add_argument("--public-key", type=Path, help="PEM key that must have signed it (default: this server's)")
    verifying.add_argument("--json", action="store_true", help="print JSON instead of a table")
    verifying.set_defaults(act="verify")


def _common_flags(*, is_shown: bool = True) -> argparse.ArgumentParser:
    """Return the flags for settings. Verbs with flags of their own take them too, but their help does not list them."""
    common = argparse.ArgumentParser(add_help=False)
    meaning = "TOML file" if is_shown else "TOML file of settings; each can also be given here, as for `parley up`"
    common.add_argument("--config", metavar="FILE", default=os.environ.get("PARLEY_CONFIG"), help=meaning)
    for group in GROUPS:
        arguments = common.add_argument_group(group.title)
        for setting in group.settings:
            if not setting.secret:  # command lines are visible to every user of a machine
                _add_flag(arguments, setting, is_shown=is_shown)
    for name in REMOVED:
        common.add_argument(f"--{name.replace('_', '-')}", help=argparse.SUPPRESS)
    return common


def _add_flag(arguments: argparse._ArgumentGroup, setting: Setting, *, is_shown: bool) -> None:
    default = ("off", "on")[setting.default] if setting.kind is bool else setting.default
    shown = "" if setting.default in (None, (), "") else f" (default: {default})"
    help_text = f"{setting.meaning}{shown}".replace("%", "%%")
    if not is_shown:
        help_text = argparse.SUPPRESS
    names = ((setting.name, help_text), *(((setting.old_name, argparse.SUPPRESS),) if setting.old_name else ()))
    for name, text in names:
        flag = f"--{name.replace('_', '-')}"
        if setting.kind is list:
            arguments.add_argument(flag, action="append", default=[], metavar="VALUE", help=text)
        else:
            arguments.add_argument(flag, metavar=_METAVARS.get(setting.kind, "VALUE"), help=text)


def _warn(settings: Settings) -> None:
    """Warn of renamed settings and of those without effect. Children of `parley up` leave that to their parent."""
    if "PARLEY_SUPERVISOR_PID" in os.environ:
        return
    if renamed := settings.renamed():
        names = ", ".join(f"{old} is now {new}" for old, new in renamed.items())
        print(f"parley: renamed settings: {names}; the old names stop working in the next release", file=sys.stderr)
    if settings.removed:
        names = ", ".join(f"{name} ({REMOVED[name]})" for name in settings.removed)
        print(f"parley: settings without effect: {names}; the next release refuses them", file=sys.stderr)
