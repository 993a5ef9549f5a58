"""Webhooks: events of meetings, POSTed and signed.

`X-Parley-Signature: t=<unix seconds>,v1=<hex>` is HMAC-SHA256 with the webhook's secret over `<t>.<body>`. For a day
after the secret was replaced, the header has a second `v1`, signed with the old secret. A delivery is retried at
growing intervals until the response is 2xx, so receivers must drop event ids that they have already seen.
"""

import asyncio
import hmac
import logging
import time
from collections.abc import Mapping, Sequence

import aiohttp
import msgspec
from prometheus_client import Counter

from control import database_outage
from control.database import UNAVAILABLE, Pool
from control.events import livekit_webhooks
from control.events.bus import BusAway, Progress
from control.events.catalogue import version_of
from control.livekit_keys import LiveKitKeys
from control.store import webhooks
from control.store.outbox import Event
from control.store.webhooks import Due, Outcome
from foundation.background import cancel_all
from foundation.failures import describe

_log = logging.getLogger(__name__)
_DELIVERIES = Counter("parley_control_webhook_deliveries_total", "Attempts to deliver a webhook", ["outcome"])
for _outcome in ("delivered", "waiting", "failed"):  # an alert needs the counter to exist before it first rises
    _DELIVERIES.labels(_outcome)
_PAUSES = (5, 30, 120, 600, 3600, 6 * 3600, 12 * 3600)
_LEASE_SECONDS = 60
_AT_ONCE = 20
_OF_ONE = 4
"""Concurrent deliveries per account, so that a slow receiver does not delay others."""
_POLL_SECONDS = 1.0
_AGENT = "Parley-Webhook"


class Enqueuer:
    """The bus that turns events into deliveries."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def publish(self, events: Sequence[Event]) -> Progress:
        """Enqueue all deliveries, or none while the database is away (BusAway)."""
        if not events:
            return Progress()
        bodies = [_body(event) for event in events]
        try:
            async with self._pool.acquire() as connection:
                theirs: list[str | None] = [None] * len(events)
                if await webhooks.any_for_livekit(connection):
                    theirs = await livekit_webhooks.bodies(connection, events)
                await webhooks.enqueue(connection, events, bodies, theirs)
        except UNAVAILABLE as error:
            raise BusAway(f"the database: {describe(error)}") from error
        return Progress(safe={event.id for event in events})


def _body(event: Event) -> str:
    told = {"id": event.id, "kind": event.kind, "v": version_of(event.kind), "seq": event.seq}
    return msgspec.json.encode(told | {"at": event.created_at, "data": event.payload}).decode()


class Deliveries:
    """Sender of due deliveries: a few per account at a time, so that slow receivers delay only their owner."""

    def __init__(self, pool: Pool, http: aiohttp.ClientSession, livekit_keys: LiveKitKeys) -> None:
        self._pool = pool
        self._http = http
        self._keys = livekit_keys
        self._running: dict[asyncio.Task[None], str] = {}

    async def run(self) -> None:
        """Deliver until cancelled. While the database is unreachable, wait for it."""
        try:
            while True:
                try:
                    await self._begin()
                except UNAVAILABLE as error:
                    database_outage.note(error)
                await self._wait()
        finally:
            await cancel_all(self._running)
            self._running.clear()

    async def _begin(self) -> None:
        """Start the due deliveries of accounts that have none in progress."""
        free = _AT_ONCE - len(self._running)
        if free <= 0:
            return
        async with self._pool.acquire() as connection:
            busy = sorted(set(self._running.values()))
            due = await webhooks.claim(connection, free, _OF_ONE, busy, _LEASE_SECONDS)
        for one in due:
            self._running[asyncio.create_task(self._attempt(one))] = one.user_id

    async def _wait(self) -> None:
        """Wait at most a second for a delivery to finish. A failed one is retried when its lease has expired."""
        if not self._running:
            await asyncio.sleep(_POLL_SECONDS)
            return
        done, _ = await asyncio.wait(self._running, timeout=_POLL_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            del self._running[task]
            error = task.exception()
            if isinstance(error, UNAVAILABLE):
                _log.warning("cannot store the outcome of a delivery: %s", describe(error))
            elif error is not None:
                _log.error("a delivery failed with a bug", exc_info=error)

    async def _attempt(self, due: Due) -> None:
        status, error = await _post(self._http, due, await self._headers(due))
        done = status is not None and 200 <= status < 300
        last = due.attempts > len(_PAUSES)
        state: webhooks.DeliveryState = "delivered" if done else "failed" if last else "waiting"
        _DELIVERIES.labels(state).inc()
        pause = 0 if done or last else _PAUSES[due.attempts - 1]
        async with self._pool.acquire() as connection:
            await webhooks.settle(connection, due, Outcome(state, status, error, pause))

    async def _headers(self, due: Due) -> dict[str, str] | None:
        """Return the headers that identify and sign a delivery; None if its API key no longer exists."""
        if due.livekit_key is None:
            return _headers(due)
        secret = await self._keys.secret(due.livekit_key)
        if secret is None:
            return None
        token = livekit_webhooks.authorization(due.livekit_key, secret, due.body.encode())
        return {"Content-Type": livekit_webhooks.CONTENT_TYPE, "Authorization": token, "User-Agent": _AGENT}


def signature(secrets: Sequence[str], at: int, body: str) -> str:
    """Return the value of X-Parley-Signature."""
    signed = f"{at}.{body}".encode()
    return ",".join([f"t={at}", *(f"v1={hmac.digest(one.encode(), signed, 'sha256').hex()}" for one in secrets)])


def _headers(due: Due) -> dict[str, str]:
    """Return the headers that identify and sign a delivery in our own form."""
    return {
        "Content-Type": "application/json",
        "User-Agent": _AGENT,
        "X-Parley-Event": due.kind,
        "X-Parley-Delivery": str(due.id),
        "X-Parley-Signature": signature([due.secret, *filter(None, [due.old_secret])], int(time.time()), due.body),
    }


async def _post(
    http: aiohttp.ClientSession, due: Due, headers: Mapping[str, str] | None
) -> tuple[int | None, str | None]:
    """Return the response status, and an error for the webhook's owner that reveals nothing internal."""
    if headers is None:
        return None, "the API key that signs this webhook no longer exists"
    try:
        async with http.post(due.url, data=due.body.encode(), headers=headers, allow_redirects=False) as answer:
            return answer.status, None if answer.ok else f"the receiver answered with status {answer.status}"
    except TimeoutError:
        return None, "the receiver took too long to answer"
    except Exception as error:  # the delivery must be settled after any error
        _log.info("cannot make delivery %d: %s", due.id, describe(error))
        return None, "the receiver could not be reached"
