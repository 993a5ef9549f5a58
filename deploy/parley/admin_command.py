"""`parley admin`: administration of accounts from the command line, whether or not the server runs.

Passwords come from standard input, never from a flag: command lines are visible to every user of a machine.
"""

import argparse
import asyncio
import getpass
import json
import shutil
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import asyncpg

from control import admin_tools, removal
from control.problem import Problem
from control.services import Services, open_services
from foundation import private_file
from foundation.settings import Settings, with_secrets
from parley.part_configs import control_config, embedded_postgres

MIN_PASSWORD = 8
Verb = Callable[[Settings, argparse.Namespace], Coroutine[Any, Any, str]]


class Refused(Exception):
    """The command failed; the message says why."""


def main(settings: Settings, chosen: argparse.Namespace) -> int:
    """Run one verb; return the process's exit code."""
    try:
        print(asyncio.run(_VERBS[chosen.admin](settings, chosen)))
    except admin_tools.NoSuchUser as error:
        print(f"parley: no such account: {error}", file=sys.stderr)
    except Problem as error:
        print(f"parley: {error.detail}", file=sys.stderr)
    except Refused as error:
        print(f"parley: {error}", file=sys.stderr)
    except (OSError, asyncpg.PostgresError) as error:
        print(f"parley: {error} (the database must run: start `parley up`, or set database_url)", file=sys.stderr)
    else:
        return 0
    return 1


def _dsn(settings: Settings) -> str:
    return settings["database_url"] or embedded_postgres(settings).dsn


async def _create(settings: Settings, chosen: argparse.Namespace) -> str:
    password = await asyncio.to_thread(_password)
    user = await admin_tools.create_admin(_dsn(settings), chosen.username, password, chosen.email)
    return f"created the administrator {chosen.username} ({user})"


async def _reset(settings: Settings, chosen: argparse.Namespace) -> str:
    await admin_tools.reset_password(_dsn(settings), chosen.login, await asyncio.to_thread(_password))
    return f"set the password of {chosen.login} and ended its sessions"


async def _export(settings: Settings, chosen: argparse.Namespace) -> str:
    directory: Path = chosen.directory
    data = await admin_tools.export_user(_dsn(settings), chosen.login)
    files = directory / "files"
    await asyncio.to_thread(_make, files)
    document = json.dumps(data, indent=2, default=_plain).encode()
    await asyncio.to_thread(private_file.replace, directory / "data.json", document)
    async with _Services(settings) as services:
        for row in data["media_files"]:
            async with services.media.local(row["id"]) as path:
                await asyncio.to_thread(shutil.copyfile, path, files / f"{row['id']}-{row['name']}")
        avatar = data["users"][0]["avatar"]
        if avatar is not None:
            async with services.media.local(avatar) as path:
                await asyncio.to_thread(shutil.copyfile, path, files / "avatar.jpg")
    rows = sum(len(found) for found in data.values())
    return f"wrote {rows} rows and {len(data['media_files'])} files into {directory}"


async def _delete(settings: Settings, chosen: argparse.Namespace) -> str:
    user = await admin_tools.find_user(_dsn(settings), chosen.login)
    if not chosen.yes:
        print(f"Type {user.username} to delete this account and all its data:", file=sys.stderr)
        if (await asyncio.to_thread(sys.stdin.readline)).strip() != user.username:
            raise Refused("nothing was deleted")
    async with _Services(settings) as services:
        await removal.delete_account(services, user.id)
    await admin_tools.note(_dsn(settings), "delete_user", user.id)
    return f"deleted {user.username}"


_VERBS: dict[str, Verb] = {"create": _create, "reset-password": _reset, "export": _export, "delete": _delete}


class _Services:
    """Control's stores, open for one command."""

    def __init__(self, settings: Settings) -> None:
        self._settings = with_secrets(settings)

    async def __aenter__(self) -> Services:
        self._services = await open_services(control_config(self._settings))
        return self._services

    async def __aexit__(self, *_: object) -> None:
        await self._services.close()


def _password() -> str:
    """Read a password from the terminal, or from a pipe; raises Refused if it is too short."""
    if sys.stdin.isatty():
        given = getpass.getpass("Password: ")
        if getpass.getpass("Again: ") != given:
            raise Refused("the passwords differ")
    else:
        given = sys.stdin.readline().rstrip("\n")
    if len(given) < MIN_PASSWORD:
        raise Refused(f"a password needs at least {MIN_PASSWORD} characters")
    return given


def _make(directory: Path) -> None:
    if directory.parent.exists() and any(directory.parent.iterdir()):
        raise Refused(f"{directory.parent} is not empty")
    directory.mkdir(parents=True, mode=0o700)


def _plain(value: Any) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
