"""Progress of web pages: the states of their streams begin and end their egresses."""

import functools
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import msgspec
from livekit.protocol import egress as protocol

from control.identity.livekit_tokens import AccessToken
from control.problem import Problem
from control.recurring import for_each
from control.services import Services
from control.store import egress_pages
from control.store.egress_pages import PageRow
from control.twirp import web_pages
from control.twirp.egress import begin_page
from control.twirp.live_egress import ShownPage
from control.twirp.service import Caller, TwirpError
from sfu.api.ingress import IngressReport, StreamState

_SILENT = timedelta(seconds=30)
_BEGINNING = timedelta(minutes=1)


async def take_report(services: Services, report: IngressReport) -> None:
    """Begin and end egresses as the pages of an ingress demand."""
    if pages := [stream for stream, state in report.streams.items() if state.protocol == "page"]:
        await look(services, pages)


async def look(services: Services, streams: Collection[str] | None = None) -> None:
    """Begin and end the egresses of pages as the states of their streams demand: of these streams, or of all."""
    async with services.pool.acquire() as connection:
        found = await egress_pages.unfinished(connection, streams)
    await for_each("web pages", found, functools.partial(_settle, services))


async def _settle(services: Services, page: PageRow) -> None:
    now = datetime.now(UTC)
    state = None if page.report is None else msgspec.convert(page.report, StreamState)
    if page.ended_at is not None:  # its streams have failed, say
        await web_pages.finish(services, page.egress, "")
    elif state is not None and state.phase == "ended":
        await web_pages.finish(services, page.egress, state.error)
    elif now - (page.reported_at or page.started_at) > _SILENT:
        await web_pages.finish(services, page.egress, "no browser was free, or its ingress has ended")
    elif page.is_waiting and state is not None and state.phase == "live":
        await _begin(services, page)
    elif not (page.is_waiting or page.has_begun) and now - page.started_at > _BEGINNING:
        await web_pages.finish(services, page.egress, "the server was interrupted while the egress began")


async def _begin(services: Services, page: PageRow) -> None:
    """Begin the egress of a page that has started, at most once."""
    async with services.pool.acquire() as connection:
        sealed = await egress_pages.take_order(connection, page.egress)
    if not sealed:
        return
    order = msgspec.json.decode(services.broadcast_seal.open(page.egress, sealed), type=web_pages.Order)
    asked = protocol.RoomCompositeEgressRequest.FromString(order.request)
    caller = Caller(services, AccessToken(iss=order.key), order.address)
    try:
        await begin_page(caller, asked, ShownPage(page.egress, page.meeting_id))
    except TwirpError as error:
        await web_pages.finish(services, page.egress, error.text)
    except Problem as problem:
        await web_pages.finish(services, page.egress, problem.detail)
