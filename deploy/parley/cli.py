"""The `parley` command: its verbs and flags. What a verb does lives in the part it starts.

Each verb imports only what it runs, so that a process holds nothing of the other parts.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from foundation.setting_groups import GROUPS, Setting
from foundation.settings import Settings, SettingsError, resolve
from foundation.worker_count import WorkerCount
from parley.admin_flags import add_admin_flags
from parley.nginx_command import add_nginx_flags
from parley.nodes_command import add_nodes_flags

Verb = Callable[[Settings, argparse.Namespace], int]
_METAVARS = {bool: "on|off", int: "N", float: "N", Path: "PATH", WorkerCount: "N|auto"}
_PRECEDENCE = (
    "No setting is required. A flag overrides the environment (PARLEY_SETTING, or PARLEY_SETTING_FILE with the name of"
    " a file that holds the value), which overrides the TOML file. Passwords and other secrets have no flags: `parley"
    " config` lists them with all settings. Repeat a flag to give several values."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb; returns the process's exit code."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    flags = {name: value for name, value in vars(chosen).items() if value is not None}
    toml = Path(chosen.config) if chosen.config else None
    try:
        settings = resolve(flags, os.environ, toml)
        _tell_renamed(settings)
        verb: Verb = chosen.verb
        return verb(settings, chosen)
    except SettingsError as error:
        print(f"parley: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="parley", description="Self-hosted video meetings.")
    parser.add_argument("--version", action="version", version=f"parley {version('parley-sfu')}")
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB")
    common = _common_flags()
    for name, verb, meaning in (
        ("up", _up, "start everything on this machine, until Ctrl-C"),
        ("sfu", _sfu, "run one sfu node"),
        ("control", _control, "run the control plane: page, REST, database"),
        ("recorder", _recorder, "run the recorder for the sfu on this machine"),
        ("inference", _inference, "run captions and other inference for the sfu on this machine"),
        ("config", _config, "show every setting with its value and source"),
        ("migrate", _migrate, "upgrade the database to this version"),
        ("openapi", _openapi, "print the OpenAPI document of the REST API"),
        ("make-keys", _make_keys, "create control's keys if they are missing, for external stores"),
    ):
        sub = verbs.add_parser(
            name,
            help=meaning,
            usage=f"parley {name} [--config FILE] [--SETTING VALUE]...",
            description=f"{meaning[0].upper()}{meaning[1:]}.",
            epilog=_PRECEDENCE,
            parents=[common],
        )
        sub.set_defaults(verb=verb)
        if name == "migrate":
            sub.add_argument("--dry-run", action="store_true", help="list the migrations without applying them")
    _add_verbs_of_own_flags(verbs, common)
    return parser


def _add_verbs_of_own_flags(
    verbs: "argparse._SubParsersAction[argparse.ArgumentParser]", common: argparse.ArgumentParser
) -> None:
    gateway = verbs.add_parser("nginx-config", help="write the gateway's nginx.conf", parents=[common])
    add_nginx_flags(gateway)
    gateway.set_defaults(verb=_nginx_config)
    for name, meaning, act, what, verb in (
        ("recording", "restore recordings in the database from their files",
         "rescan", "find recordings by their files", _recording),
        ("events", "publish events again that Kafka refused",
         "replay", "publish the events of the dead-letter topic again", _events),
    ):  # fmt: skip
        acts = verbs.add_parser(name, help=meaning).add_subparsers(title="acts", required=True, metavar="ACT")
        acts.add_parser(act, help=what, parents=[common]).set_defaults(verb=verb)
    admin = verbs.add_parser("admin", help="create administrators, reset passwords, export and delete accounts")
    add_admin_flags(admin, common)
    admin.set_defaults(verb=_admin)
    nodes = verbs.add_parser("nodes", help="list or drain sfu nodes")
    add_nodes_flags(nodes, common)
    nodes.set_defaults(verb=_nodes)
    for name, passed_on, meaning in (
        ("flight", _flight, "fetch, read and replay a room's flight recording"),
        ("models", _models, "fetch, build, list and verify AI models"),
    ):
        rest = verbs.add_parser(name, help=meaning, add_help=False)
        rest.add_argument("rest", nargs=argparse.REMAINDER)
        rest.set_defaults(verb=passed_on, config=None)


def _common_flags() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config", metavar="FILE", default=os.environ.get("PARLEY_CONFIG"), help="TOML file")
    for group in GROUPS:
        arguments = common.add_argument_group(group.title)
        for setting in group.settings:
            if not setting.secret:  # command lines are visible to every user of a machine
                _add_flag(arguments, setting)
    return common


def _add_flag(arguments: argparse._ArgumentGroup, setting: Setting) -> None:
    default = ("off", "on")[setting.default] if setting.kind is bool else setting.default
    shown = "" if setting.default in (None, (), "") else f" (default: {default})"
    help_text = f"{setting.meaning}{shown}".replace("%", "%%")
    names = ((setting.name, help_text), *(((setting.old_name, argparse.SUPPRESS),) if setting.old_name else ()))
    for name, text in names:
        flag = f"--{name.replace('_', '-')}"
        if setting.kind is list:
            arguments.add_argument(flag, action="append", default=[], metavar="VALUE", help=text)
        else:
            arguments.add_argument(flag, metavar=_METAVARS.get(setting.kind, "VALUE"), help=text)


def _tell_renamed(settings: Settings) -> None:
    renamed = settings.renamed()
    if renamed:
        names = ", ".join(f"{old} is now {new}" for old, new in renamed.items())
        print(f"parley: renamed settings: {names}; the old names stop working in the next release", file=sys.stderr)


def _up(settings: Settings, _: argparse.Namespace) -> int:
    from parley.supervisor import CannotStart, up

    try:
        return up(settings)
    except CannotStart as error:
        print(f"parley: {error}", file=sys.stderr)
        return 1


def _sfu(settings: Settings, _: argparse.Namespace) -> int:
    from parley import part_process
    from parley.part_configs import sfu_config
    from sfu.server import main as sfu_main

    if settings["workers"] > 1:
        from parley import workers

        return workers.run(settings)
    config = sfu_config(settings)
    tuning = sfu_main.Tuning()
    return part_process.run(
        settings,
        "sfu",
        lambda ready: sfu_main.run(config, ready, tuning),
        stop_seconds=config.drain_seconds or 0,
        live={"max_participants": tuning.limit_participants},
    )


def _control(settings: Settings, _: argparse.Namespace) -> int:
    from control import main as control_main
    from control.tuning import Tuning
    from parley import part_process
    from parley.part_configs import control_config

    config = control_config(settings)
    tuning = Tuning(settings["max_participants"])
    return part_process.run(
        settings,
        "control",
        lambda ready: control_main.run(config, ready, tuning=tuning),
        live={"max_participants": tuning.limit_participants},
    )


def _recorder(settings: Settings, _: argparse.Namespace) -> int:
    from parley import part_process
    from parley.part_configs import recorder_config
    from recorder import main as recorder_main
    from recorder.config import SEAL_SECONDS

    config = recorder_config(settings)
    return part_process.run(
        settings,
        "recorder",
        lambda ready: recorder_main.run(config, ready),
        settings["recorder_port"],
        stop_seconds=SEAL_SECONDS,
    )


def _inference(settings: Settings, _: argparse.Namespace) -> int:
    from inference import main as inference_main
    from parley import part_process
    from parley.part_configs import inference_config

    config = inference_config(settings)
    os.setpriority(os.PRIO_PROCESS, 0, config.nice)  # forwarding goes first
    return part_process.run(settings, "inference", lambda ready: inference_main.run(config, ready))


def _config(settings: Settings, _: argparse.Namespace) -> int:
    from foundation.etcd import EtcdUnavailable
    from foundation.hot_settings import overridden

    try:
        settings = overridden(settings)
    except EtcdUnavailable as error:
        print(f"parley: cannot read the live settings: {error}", file=sys.stderr)
    rows = settings.rows()
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    for name, value, source in rows:
        print(f"{name:<{widths[0]}}  {value:<{widths[1]}}  {source}")
    return 0


def _recording(settings: Settings, _: argparse.Namespace) -> int:
    from parley import recording_command

    return recording_command.main(settings)


def _events(settings: Settings, _: argparse.Namespace) -> int:
    from parley import events_command

    return events_command.main(settings)


def _migrate(settings: Settings, chosen: argparse.Namespace) -> int:
    import asyncio

    from control.migrations import MigrationError, migrate
    from parley.part_configs import embedded_postgres

    dsn = settings["database_url"] or embedded_postgres(settings).dsn
    try:
        applied = asyncio.run(migrate(dsn, dry_run=chosen.dry_run))
    except (MigrationError, OSError) as error:
        print(f"parley: cannot migrate: {error}", file=sys.stderr)
        return 1
    verb = "would apply" if chosen.dry_run else "applied"
    print(*(f"{verb} {name}" for name in applied) if applied else ["the database is up to date"], sep="\n")
    return 0


def _openapi(_: Settings, __: argparse.Namespace) -> int:
    import json

    from control.app import openapi_document

    print(json.dumps(openapi_document(), indent=2))
    return 0


def _make_keys(settings: Settings, _: argparse.Namespace) -> int:
    from control.identity import keys

    directory = settings["data_dir"] / "control"
    try:
        loaded = keys.load(directory, may_create=True)
    except (OSError, ValueError) as error:
        print(f"parley: cannot create keys: {error}", file=sys.stderr)
        return 1
    print(f"keys are in {directory}; join tokens are signed by {loaded.kid}")
    return 0


def _admin(settings: Settings, chosen: argparse.Namespace) -> int:
    from parley import admin_command

    return admin_command.main(settings, chosen)


def _nginx_config(settings: Settings, chosen: argparse.Namespace) -> int:
    from parley import nginx_command

    return nginx_command.main(settings, chosen)


def _flight(_: Settings, chosen: argparse.Namespace) -> int:
    from parley.flight_command import main as flight_main

    return flight_main(chosen.rest)


def _nodes(settings: Settings, chosen: argparse.Namespace) -> int:
    from parley import nodes_command

    return nodes_command.main(settings, chosen)


def _models(_: Settings, chosen: argparse.Namespace) -> int:
    from parley import models_command

    return models_command.main(chosen.rest)
