"""Admission with keys pulled from control, at the start and when a token names an unknown key.

Encoders and players may use stream keys instead, which control exchanges for join tokens.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from foundation import control_outage
from sfu.api.join_token import JoinClaims
from sfu.api.refusal import Code, Refused
from sfu.api.stream_key import StreamKeyUse, StreamRole, is_stream_key, key_hash
from sfu.rooms.admission import Admission, key_id
from sfu.server.control_client import ControlClient, ControlUnavailable, MeetingUnknown

_MIN_INTERVAL_SECONDS = 1.0
_log = logging.getLogger(__name__)


class KeyRing:
    """Verifies join tokens. However many unknown keys tokens name, control is asked at most once a second."""

    def __init__(self, admission: Admission, control: ControlClient) -> None:
        self._admission = admission
        self._control = control
        self._lock = asyncio.Lock()
        self._asked_at = float("-inf")

    @asynccontextmanager
    async def admitted(self, token: str) -> AsyncIterator[JoinClaims]:
        """Use up a token; if the body of the context fails, it may be used again. Raises Refused."""
        kid = key_id(token)
        if not self._admission.knows(kid):
            await self.refresh(kid)
        claims = self._admission.admit(token, time.time())
        try:
            yield claims
        except BaseException:
            self._admission.give_back(claims)
            raise

    async def join_token(self, bearer: str, role: StreamRole, room: str) -> str:
        """Return a join token unchanged, and for a stream key the join token from control; raises Refused."""
        if not is_stream_key(bearer):
            return bearer
        use = StreamKeyUse(key_hash=key_hash(bearer).hex(), role=role, room=room)
        try:
            admission = await self._control.admit_by_stream_key(use)
        except ControlUnavailable as error:
            raise Refused(Code.NOT_READY, "The stream key cannot be checked; try again soon.", fatal=True) from error
        if admission.code:
            code = Code(admission.code) if admission.code in set(Code) else Code.NOT_PERMITTED
            raise Refused(code, admission.detail, fatal=True)
        return admission.token

    async def pull_first(self) -> None:
        """Pull the keys until control has answered once: this part may start before it."""
        while (failure := await self.refresh()) is not None:
            control_outage.note("keys", failure)
        control_outage.note("keys", None)

    async def refresh(self, kid: str = "") -> Exception | None:
        """Pull the keys, unless `kid` has become known meanwhile; return the failure, after which known keys stay. All
        who wait for a key share one request, which begins after they started waiting.
        """
        came = time.monotonic()
        async with self._lock:
            if kid and (self._admission.knows(kid) or self._asked_at > came):
                return None
            wait = self._asked_at + _MIN_INTERVAL_SECONDS - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            self._asked_at = time.monotonic()
            try:
                self._admission.set_keys(await self._control.keys())
            except (ControlUnavailable, MeetingUnknown) as error:
                return error
            return None
