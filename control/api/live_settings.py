"""The settings that administrators change while the server runs."""

from typing import Any, Literal

from control.api.types import Answer, Body, Time
from control.auth.access import Access
from control.endpoint import Call, Endpoints
from control.problem import Problem
from control.services import Services
from control.store import audit, live_settings
from control.store.live_settings import LiveSettingRow
from foundation.hot_settings import STORED
from foundation.pictures import Picture
from foundation.setting_forms import CHOICES, MINIMA
from foundation.setting_groups import GROUPS, Setting
from foundation.settings import LIVE, SettingsError, from_json

endpoints = Endpoints("administration", scope="admin")
_GROUP_OF = {setting.name: group.key for group in GROUPS for setting in group.settings}
_Kind = Literal["boolean", "integer", "list", "string", "picture"]
_TYPES: dict[type, _Kind] = {bool: "boolean", int: "integer", list: "list", Picture: "picture"}

Value = bool | int | str | list[str] | None


class ServerSetting(Answer, frozen=True, kw_only=True):
    """A setting. `value` is in force; `default` would be if nobody had set it.

    `source` says where the value comes from. With `environment` (also flags), `file` or `etcd` the setting is `locked`:
    it can be changed only there, and `origin` says where exactly. `changed_at` and `changed_by` are of the last change
    by an administrator; they are null if the default is in force. A `picture` is set as a data: URL (SVG, PNG or WebP
    in Base64), and is null here if it is a file of the server.
    """

    name: str
    group: str
    description: str
    type: _Kind
    choices: list[str]
    minimum: int | None
    value: Value
    default: Value
    source: Literal["default", "admin", "environment", "file", "etcd"]
    origin: str | None
    locked: bool
    changed_at: Time | None
    changed_by: str | None


class ServerSettings(Answer, frozen=True, kw_only=True):
    settings: list[ServerSetting]


class ChangeServerSettings(Body, frozen=True, kw_only=True):
    """New values by name; null restores the default. Either all are applied or, if one is refused, none."""

    settings: dict[str, Value]


@endpoints.route("GET", "/api/v1/admin/settings", Access.ADMIN, answer=ServerSettings)
async def get_server_settings(call: Call) -> ServerSettings:
    """Return the settings that can change while the server runs."""
    await call.services.runtime.look(call.services.pool)
    return await _answer(call.services)


@endpoints.route("PATCH", "/api/v1/admin/settings", Access.ADMIN, body=ChangeServerSettings, answer=ServerSettings)
async def change_server_settings(call: Call, body: ChangeServerSettings) -> ServerSettings:
    """Change settings. Control applies them at once, and the other parts within five seconds.

    The response is 404 for a name that is not in the list, 409 for a locked setting, and 422 for an invalid value.
    """
    runtime = call.services.runtime
    wanted = {name: _checked(call.services, name, value) for name, value in body.settings.items()}
    async with call.services.pool.acquire() as connection, connection.transaction():
        await live_settings.lock(connection)
        stored = await live_settings.values(connection)
        try:
            runtime.check({name: stored.get(name) for name in LIVE if not runtime.live.is_locked(name)} | wanted)
        except SettingsError as error:
            raise _invalid(error) from error
        changes = {
            name: {"from": stored.get(name), "to": value} for name, value in wanted.items() if value != stored.get(name)
        }
        for name, change in changes.items():
            if change["to"] is None:
                await live_settings.remove(connection, name)
            else:
                await live_settings.put(connection, name, change["to"], call.user.user)
        if changes:
            await audit.write(connection, call.actor, "change_settings", None, call.address, changes=_noted(changes))
    await runtime.look(call.services.pool)
    return await _answer(call.services)


def _checked(services: Services, name: str, value: Value) -> Any:
    """Return the value as stored; raises Problem."""
    setting = LIVE.get(name)
    if setting is None:
        raise Problem(
            404, "no_such_setting", f"There is no setting {name!r:.80} that can change while the server runs."
        )
    live = services.runtime.live
    if live.is_locked(name):
        origin = live.current.source(name)
        raise Problem(409, "setting_locked", f"{name} is set by {origin}, and can be changed only there.")
    if value is None:
        return None
    try:
        converted = from_json(setting, value)
    except SettingsError as error:
        raise _invalid(error) from error
    return _stored(converted)


def _noted(changes: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return changes for the audit log, with the type and size of pictures."""
    pictures = {name for name in changes if LIVE[name].kind is Picture}
    shown = {name: {key: value and Picture(value).shown() for key, value in changes[name].items()} for name in pictures}
    return changes | shown


def _stored(value: Any) -> Any:
    """Return a value in the types of JSON."""
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, Picture) else value


def _invalid(error: SettingsError) -> Problem:
    return Problem(422, "invalid_setting", str(error))


async def _answer(services: Services) -> ServerSettings:
    async with services.pool.acquire() as connection:
        rows = {row.name: row for row in await live_settings.rows(connection)}
    return ServerSettings(settings=[_one(services, LIVE[name], rows.get(name)) for name in LIVE])


def _one(services: Services, setting: Setting, row: LiveSettingRow | None) -> ServerSetting:
    live = services.runtime.live
    name, source = setting.name, live.current.source(setting.name)
    mine = source == STORED
    return ServerSetting(
        name=name,
        group=_GROUP_OF[name],
        description=setting.meaning,
        type=_TYPES.get(setting.kind, "string"),
        choices=list(CHOICES.get(name, ())),
        minimum=MINIMA.get(name),
        value=_plain(live.current[name]),
        default=_plain(live.preview({name: None})[name]),
        source=_kind(source),
        origin=source if live.is_locked(name) else None,
        locked=live.is_locked(name),
        changed_at=row.changed_at if row and mine else None,
        changed_by=row.changed_by if row and mine else None,
    )


def _kind(source: str) -> Literal["default", "admin", "environment", "file", "etcd"]:
    if source == STORED:
        return "admin"
    if source == "default":
        return "default"
    if source.startswith("etcd "):
        return "etcd"
    return "environment" if source == "flag" or source.startswith("environment ") else "file"


def _plain(value: Any) -> Value:
    hidden = isinstance(value, Picture) and not value.is_inline
    stored: Value = None if hidden else _stored(value)
    return stored
