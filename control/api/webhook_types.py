"""Requests and responses of webhooks."""

from typing import Annotated, Any, Literal

import msgspec

from control.api.types import Answer, Body, Time

Kind = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^(\*|[a-z_.]+)$")]


class CreateWebhook(Body, frozen=True, kw_only=True):
    """`kinds` are event kinds such as `meeting.ended`, or `*`. `all_meetings` is for administrators."""

    url: Annotated[str, msgspec.Meta(min_length=8, max_length=2000)]
    kinds: Annotated[tuple[Kind, ...], msgspec.Meta(min_length=1, max_length=50)] = ("*",)
    all_meetings: bool = False


class Webhook(Answer, frozen=True, kw_only=True):
    """`secret` signs deliveries. It is shown once."""

    id: str
    url: str
    kinds: list[str]
    all_meetings: bool
    created_at: Time
    secret: str | None = None


class Webhooks(Answer, frozen=True, kw_only=True):
    webhooks: list[Webhook]


class Delivery(Answer, frozen=True, kw_only=True):
    id: int
    kind: str
    state: Literal["waiting", "delivered", "failed"]
    attempts: int
    next_at: Time
    last_status: int | None
    last_error: str | None
    created_at: Time
    delivered_at: Time | None
    event: dict[str, Any]


class Deliveries(Answer, frozen=True, kw_only=True):
    deliveries: list[Delivery]
