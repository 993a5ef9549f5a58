"""Webhooks: events of meetings, POSTed and signed.

`X-Parley-Signature: t=<unix seconds>,v1=<hex>` is HMAC-SHA256 with the webhook's secret over `<t>.<body>`. A delivery
is repeated with growing pauses until it is answered with 2xx, so receivers drop an event id that they have seen.
"""

import asyncio
import hmac
import logging
import time
from collections.abc import Sequence

import aiohttp
import msgspec
from prometheus_client import Counter

from control.bus import BusAway, Progress
from control.database import UNAVAILABLE, Pool
from control.store import webhooks
from control.store.outbox import Event
from control.store.webhooks import Due, Outcome
from sfu.api.failures import describe

_LOG = logging.getLogger(__name__)
_DELIVERIES = Counter("control_webhook_deliveries_total", "Attempts to deliver", ["outcome"])
_PAUSES = (5, 30, 120, 600, 3600, 6 * 3600, 12 * 3600)
_LEASE_SECONDS = 60
_BATCH = 10
_POLL_SECONDS = 1.0


class Enqueuer:
    """The bus that turns events into deliveries."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def publish(self, events: Sequence[Event]) -> Progress:
        """Make all deliveries, or none while the database is away (BusAway)."""
        if not events:
            return Progress()
        bodies = [_body(event) for event in events]
        try:
            async with self._pool.acquire() as connection:
                await webhooks.enqueue(connection, events, bodies)
        except UNAVAILABLE as error:
            raise BusAway(f"the database: {describe(error)}") from error
        return Progress(safe={event.id for event in events})


def _body(event: Event) -> str:
    told = {"id": event.id, "kind": event.kind, "seq": event.seq, "at": event.created_at, "data": event.payload}
    return msgspec.json.encode(told).decode()


async def run(pool: Pool, http: aiohttp.ClientSession) -> None:
    """Deliver until cancelled; a lost database is waited for."""
    while True:
        delivered = 0
        try:
            delivered = await deliver_due(pool, http)
        except UNAVAILABLE as error:
            _LOG.warning("webhooks wait for the database: %s", describe(error))
        if delivered < _BATCH:
            await asyncio.sleep(_POLL_SECONDS)


async def deliver_due(pool: Pool, http: aiohttp.ClientSession) -> int:
    """Attempt what is due and return how many that were."""
    async with pool.acquire() as connection:
        due = await webhooks.claim(connection, _BATCH, _LEASE_SECONDS)
    await asyncio.gather(*(_attempt(pool, http, one) for one in due))
    return len(due)


def signature(secret: str, at: int, body: str) -> str:
    """Return the value of X-Parley-Signature."""
    mac = hmac.digest(secret.encode(), f"{at}.{body}".encode(), "sha256")
    return f"t={at},v1={mac.hex()}"


async def _attempt(pool: Pool, http: aiohttp.ClientSession, due: Due) -> None:
    status, error = await _post(http, due)
    done = status is not None and 200 <= status < 300
    last = due.attempts > len(_PAUSES)
    state: webhooks.DeliveryState = "delivered" if done else "failed" if last else "waiting"
    _DELIVERIES.labels(state).inc()
    pause = 0 if done or last else _PAUSES[due.attempts - 1]
    async with pool.acquire() as connection:
        await webhooks.settle(connection, due, Outcome(state, status, error, pause))


async def _post(http: aiohttp.ClientSession, due: Due) -> tuple[int | None, str | None]:
    """Return the status that came, and what the owner of the webhook is told: no more than an outsider may know."""
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Parley-Webhook",
        "X-Parley-Event": due.kind,
        "X-Parley-Delivery": str(due.id),
        "X-Parley-Signature": signature(due.secret, int(time.time()), due.body),
    }
    try:
        async with http.post(due.url, data=due.body.encode(), headers=headers, allow_redirects=False) as answer:
            return answer.status, None if answer.ok else f"refused our request with {answer.status}"
    except TimeoutError:
        return None, "took too long"
    except Exception as error:  # whatever it is, the delivery must be settled
        _LOG.info("delivery %d could not be made: %s", due.id, describe(error))
        return None, "could not be reached"
