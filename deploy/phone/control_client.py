"""Client of control's internal listener."""

from typing import TypeVar

import aiohttp
import msgspec

from foundation.answer_body import read_body
from foundation.part_tls import PartTls, part_session
from sfu.api.phone import Entered, EnterMeeting, PhoneOrders, PhoneReport

_TIMEOUT = aiohttp.ClientTimeout(total=10, connect=3)
_MAX_ANSWER = 1 << 20
_Answer = TypeVar("_Answer")


class ControlUnavailable(Exception):
    """Control did not answer."""


class ControlClient:
    """The requests of phone to control. Each raises ControlUnavailable."""

    def __init__(self, url: str, node_secret: str, tls: PartTls | None = None) -> None:
        self._url = f"{url.rstrip('/')}/internal/v1/phone/"
        self._http = part_session(node_secret, tls, _TIMEOUT)

    async def enter(self, wish: EnterMeeting) -> Entered:
        return await self._ask("enter", wish, Entered)

    async def report(self, report: PhoneReport) -> PhoneOrders:
        return await self._ask("report", report, PhoneOrders)

    async def close(self) -> None:
        """Close all connections."""
        await self._http.close()

    async def _ask(self, path: str, wish: msgspec.Struct, kind: type[_Answer]) -> _Answer:
        try:
            async with self._http.post(self._url + path, data=msgspec.json.encode(wish)) as answer:
                answer.raise_for_status()
                return msgspec.json.decode(await read_body(answer, _MAX_ANSWER), type=kind)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise ControlUnavailable("The server of the meeting does not answer.") from error
