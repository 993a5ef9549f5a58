"""Switches of the mails that an account gets."""

from typing import Literal

import msgspec

from control.api.types import Answer, Body
from control.auth.access import Access, sign_in_required
from control.endpoint import Call, Endpoints
from control.store import notifications, users

endpoints = Endpoints("accounts")


class SetNotifications(Body, frozen=True, kw_only=True):
    """Omitted fields stay as they are. `language` is that of the mails."""

    film: bool | msgspec.UnsetType = msgspec.UNSET
    minutes: bool | msgspec.UnsetType = msgspec.UNSET
    sign_in: bool | msgspec.UnsetType = msgspec.UNSET
    reminder: bool | msgspec.UnsetType = msgspec.UNSET
    lobby: bool | msgspec.UnsetType = msgspec.UNSET
    language: Literal["en", "zh-CN"] | msgspec.UnsetType = msgspec.UNSET


class Notifications(Answer, frozen=True, kw_only=True):
    """True for what the account gets mail about.

    `film`: the video of a recording is ready; `minutes`: minutes are; `sign_in`: somebody signed in from a new device;
    `reminder`: a meeting of the account begins in ten minutes; `lobby`: somebody waits while no host is there.
    `address` is where mail goes, null without a confirmed one. `language` is empty until it is set.
    """

    film: bool
    minutes: bool
    sign_in: bool
    reminder: bool
    lobby: bool
    language: str
    address: str | None


@endpoints.route("GET", "/api/v1/users/notifications", Access.USER, answer=Notifications)
async def get_notifications(call: Call) -> Notifications:
    """Return what the account gets mail about."""
    return await _changed(call, {})


@endpoints.route("PUT", "/api/v1/users/notifications", Access.USER, body=SetNotifications, answer=Notifications)
async def set_notifications(call: Call, body: SetNotifications) -> Notifications:
    """Change what the account gets mail about."""
    return await _changed(call, msgspec.to_builtins(body))


async def _changed(call: Call, changes: dict[str, bool | str]) -> Notifications:
    async with call.services.pool.acquire() as connection, connection.transaction():
        user = await users.by_id(connection, call.user.user)
        if user is None:
            raise sign_in_required()
        found = await (
            notifications.change(connection, user.id, changes) if changes else notifications.of(connection, user.id)
        )
    return Notifications.from_row(found, address=user.email if user.email_verified_at is not None else None)
