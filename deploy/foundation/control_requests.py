"""Requests of a part to control's internal listener, and its reports, which control answers with orders."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import aiohttp
import msgspec

from foundation import control_outage
from foundation.answer_body import read_body
from foundation.part_tls import PartTls, part_session

_TIMEOUT = aiohttp.ClientTimeout(total=10, connect=3)
_REPORT_SECONDS = 1.0
_MAX_ANSWER = 1 << 20
_Answer = TypeVar("_Answer")


class ControlUnavailable(Exception):
    """Control did not answer."""


class ControlRequests:
    """Requests below `/internal/v1/{part}/`."""

    def __init__(self, part: str, url: str, node_secret: str, tls: PartTls | None = None) -> None:
        self._url = f"{url.rstrip('/')}/internal/v1/{part}/"
        self._http = part_session(node_secret, tls, _TIMEOUT)

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()

    async def ask(self, path: str, wish: msgspec.Struct, kind: type[_Answer]) -> _Answer:
        """Return control's answer; raises ControlUnavailable."""
        try:
            async with self._http.post(self._url + path, data=msgspec.json.encode(wish)) as answer:
                answer.raise_for_status()
                return msgspec.json.decode(await read_body(answer, _MAX_ANSWER), type=kind)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise ControlUnavailable("The server of the meeting does not answer.") from error


async def keep_reporting(report: Callable[[], Awaitable[None]], what: str) -> None:
    """Report every second until cancelled; an outage of control is logged once."""
    while True:
        try:
            await report()
            control_outage.note(what, None)
        except ControlUnavailable as error:
            control_outage.note(what, error)
        await asyncio.sleep(_REPORT_SECONDS)
