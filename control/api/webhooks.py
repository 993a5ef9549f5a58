"""Webhooks for a host's meetings or, created by administrators, for all; their deliveries and tests."""

import secrets
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec

from control.api.paging import PageQuery, cut, page_of, window_of
from control.api.types import Answer, Body, Done, Time
from control.auth.access import Access
from control.database import Connection
from control.endpoint import Call, Endpoints
from control.events import catalogue
from control.events.outgoing import check_url
from control.identifiers import new_id
from control.problem import Problem, forbidden, not_found
from control.store import audit, webhooks
from control.store.webhooks import DeliveryRow, WebhookRow

endpoints = Endpoints("webhooks", scope="webhooks")
_MAX = 20
_OVERLAP_SECONDS = 86_400
_MAX_TESTS = 20
"""Maximum number of tests of a webhook per minute."""


Kind = Annotated[str, msgspec.Meta(min_length=1, max_length=64, pattern=r"^(\*|[a-z_.]+)$")]


class CreateWebhook(Body, frozen=True, kw_only=True):
    """`kinds` are event kinds such as `meeting.ended`, or `*`. `all_meetings` is reserved for administrators.

    With `livekit_key`, the name of an API key of LiveKit's SDKs, deliveries have the form of LiveKit's webhooks and are
    signed with that key. This, too, is reserved for administrators.
    """

    url: Annotated[str, msgspec.Meta(min_length=8, max_length=2000)]
    kinds: Annotated[tuple[Kind, ...], msgspec.Meta(min_length=1, max_length=50)] = ("*",)
    all_meetings: bool = False
    livekit_key: Annotated[str, msgspec.Meta(max_length=200)] | None = None


class Webhook(Answer, frozen=True, kw_only=True):
    """`secret` signs deliveries. It is shown once.

    With `livekit_key`, that API key signs them instead, in LiveKit's form.
    """

    id: str
    url: str
    kinds: list[str]
    all_meetings: bool
    created_at: Time
    livekit_key: str | None = None
    secret: str | None = None


class WebhookQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`search` matches part of the URL. `sort` is a field of the entries; a minus reverses the order."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 200
    sort: Literal["created_at", "-created_at", "url", "-url"] = "-created_at"
    search: Annotated[str, msgspec.Meta(max_length=200)] = ""


class Webhooks(Answer, frozen=True, kw_only=True):
    webhooks: list[Webhook]
    next: str | None


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
    """`next` is the cursor of the next page, null at the end."""

    deliveries: list[Delivery]
    next: str | None = None


class DeliveryQuery(PageQuery, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`state` and `kind` select deliveries. `sort` is a field of the entries; a minus reverses the order."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 200
    sort: Literal["id", "-id"] = "-id"
    state: Literal["waiting", "delivered", "failed"] | None = None
    kind: Annotated[str, msgspec.Meta(max_length=64)] | None = None


class EventKind(Answer, frozen=True, kw_only=True):
    """`event_schema` is the JSON Schema of the body that a webhook receives."""

    kind: str
    version: int
    event_schema: dict[str, Any]


class EventKinds(Answer, frozen=True, kw_only=True):
    kinds: list[EventKind]


class Replayed(Answer, frozen=True, kw_only=True):
    """The number of deliveries that will be retried."""

    deliveries: int


@endpoints.route("POST", "/api/v1/webhooks", Access.USER, body=CreateWebhook, answer=Webhook, status=201)
async def create_webhook(call: Call, body: CreateWebhook) -> Webhook:
    """Create a webhook that POSTs events of the caller's meetings to a URL."""
    check_url(body.url, call.services.config.allow_private_webhooks)
    if (body.all_meetings or body.livekit_key is not None) and call.user.role != "admin":
        raise forbidden("Only administrators may subscribe to all meetings, or use an API key of LiveKit's SDKs.")
    if body.livekit_key is not None and await call.services.livekit_keys.secret(body.livekit_key) is None:
        raise Problem(400, "invalid_request", "There is no such API key of LiveKit's SDKs.")
    row = WebhookRow(
        id=new_id("webhook"),
        user_id=call.user.user,
        url=body.url,
        secret=secrets.token_urlsafe(32),
        kinds=sorted(set(body.kinds)),
        all_meetings=body.all_meetings,
        created_at=datetime.now(UTC),
        livekit_key=body.livekit_key,
    )
    async with call.services.pool.acquire() as connection, connection.transaction():
        if len(await webhooks.of_user(connection, call.user.user)) >= _MAX:
            raise Problem(409, "too_many_webhooks", "The account has too many webhooks. Delete one first.")
        await webhooks.create(connection, row)
        await audit.write(connection, call.actor, "create_webhook", row.id, call.address, url=row.url)
    return Webhook.from_row(row, secret=row.secret if row.livekit_key is None else None)


@endpoints.route("GET", "/api/v1/webhooks", Access.USER, query=WebhookQuery, answer=Webhooks)
async def list_webhooks(call: Call, query: WebhookQuery) -> Webhooks:
    """List the caller's webhooks."""
    async with call.services.pool.acquire() as connection:
        rows = await webhooks.of_user(connection, call.user.user)
    page, following = cut(Webhook, [Webhook.from_row(row, secret=None) for row in rows], query)
    return Webhooks(webhooks=page, next=following)


@endpoints.route("DELETE", "/api/v1/webhooks/<webhook>", Access.USER, answer=Done)
async def delete_webhook(call: Call, webhook: str) -> Done:
    """Delete a webhook with its deliveries."""
    async with call.services.pool.acquire() as connection, connection.transaction():
        await _own(call, connection, webhook)
        await webhooks.delete(connection, webhook)
        await audit.write(connection, call.actor, "delete_webhook", webhook, call.address)
    return Done()


@endpoints.route("GET", "/api/v1/webhooks/kinds", Access.USER, answer=EventKinds)
async def list_event_kinds(call: Call) -> EventKinds:
    """List all kinds of events at once, with the version and the JSON Schema of each."""
    known = sorted((catalogue.KINDS | catalogue.ONLY_WEBHOOKS).items())
    return EventKinds(
        kinds=[
            EventKind(kind=name, version=kind.version, event_schema=catalogue.event_schema(name, kind))
            for name, kind in known
        ]
    )


@endpoints.route("POST", "/api/v1/webhooks/<webhook>/secret", Access.USER, answer=Webhook)
async def rotate_webhook_secret(call: Call, webhook: str) -> Webhook:
    """Replace the secret and return the new one, once. For a day, deliveries are also signed with the old one."""
    async with call.services.pool.acquire() as connection, connection.transaction():
        row = await _own(call, connection, webhook)
        if row.livekit_key is not None:
            raise Problem(400, "invalid_request", "A LiveKit API key signs this webhook, which has no secret.")
        secret = secrets.token_urlsafe(32)
        await webhooks.replace_secret(connection, webhook, secret, _OVERLAP_SECONDS)
        await audit.write(connection, call.actor, "rotate_webhook_secret", webhook, call.address)
    return Webhook.from_row(row, secret=secret)


@endpoints.route("GET", "/api/v1/webhooks/<webhook>/deliveries", Access.USER, query=DeliveryQuery, answer=Deliveries)
async def list_deliveries(call: Call, webhook: str, query: DeliveryQuery) -> Deliveries:
    """List a webhook's deliveries with their outcome, newest first."""
    window = window_of(query, DeliveryRow)
    async with call.services.pool.acquire() as connection:
        await _own(call, connection, webhook)
        rows = await webhooks.deliveries(connection, webhook, window, state=query.state, kind=query.kind)
    page, following = page_of(rows, query)
    return Deliveries(
        deliveries=[Delivery.from_row(row, event=msgspec.json.decode(row.body, type=dict)) for row in page],
        next=following,
    )


@endpoints.route("POST", "/api/v1/webhooks/<webhook>/deliveries/replay-failed", Access.USER, answer=Replayed)
async def replay_failed_deliveries(call: Call, webhook: str) -> Replayed:
    """Retry all failed deliveries, for example after the receiver was down."""
    async with call.services.pool.acquire() as connection:
        await _own(call, connection, webhook)
        return Replayed(deliveries=await webhooks.replay_failed(connection, webhook))


@endpoints.route("POST", "/api/v1/webhooks/<webhook>/deliveries/<int:delivery>/replay", Access.USER, answer=Done)
async def replay_delivery(call: Call, webhook: str, delivery: int) -> Done:
    """Repeat a delivery, whether or not it succeeded."""
    async with call.services.pool.acquire() as connection:
        await _own(call, connection, webhook)
        if delivery >= 2**63 or not await webhooks.replay(connection, webhook, delivery):
            raise not_found("There is no such delivery.")
    return Done()


@endpoints.route("POST", "/api/v1/webhooks/<webhook>/test", Access.USER, answer=Done)
async def send_test_event(call: Call, webhook: str) -> Done:
    """Send an event `webhook.test` to the webhook, regardless of its kinds. The deliveries show the outcome."""
    async with call.services.pool.acquire() as connection, connection.transaction():
        row = await _own(call, connection, webhook)
        if row.livekit_key is not None:
            raise Problem(400, "invalid_request", "Webhooks in LiveKit's format have no test event.")
        await call.services.limits.spend("webhook-test", webhook, _MAX_TESTS, 60)
        await webhooks.enqueue_test(connection, row)
    return Done()


async def _own(call: Call, connection: Connection, webhook: str) -> WebhookRow:
    row = await webhooks.own(connection, call.user.user, webhook)
    if row is None:
        raise not_found("There is no such webhook.")
    return row
