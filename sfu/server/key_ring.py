"""Admission with keys pulled from control: at the start, and when a token names a key that is not known yet."""

import asyncio
import logging
import time

from sfu.api.failures import describe
from sfu.api.join_token import JoinClaims
from sfu.rooms.admission import Admission, key_id
from sfu.server.control_client import ControlClient, ControlUnavailable, MeetingUnknown

_MIN_INTERVAL_SECONDS = 1.0
_log = logging.getLogger(__name__)


class KeyRing:
    """Verifies join tokens. However many unknown keys are named, control is asked once a second at most."""

    def __init__(self, admission: Admission, control: ControlClient) -> None:
        self._admission = admission
        self._control = control
        self._lock = asyncio.Lock()
        self._asked_at = float("-inf")

    async def admit(self, token: str) -> JoinClaims:
        """Return the claims of a token and use it up; raises Refused."""
        kid = key_id(token)
        if not self._admission.knows(kid):
            await self.refresh(kid)
        return self._admission.admit(token, time.time())

    async def refresh(self, kid: str = "") -> None:
        """Pull the keys, unless `kid` turned up meanwhile; what is known stays when control does not answer.

        All who wait for a key share one question that begins after they came: nobody waits for all before.
        """
        came = time.monotonic()
        async with self._lock:
            if kid and (self._admission.knows(kid) or self._asked_at > came):
                return
            wait = self._asked_at + _MIN_INTERVAL_SECONDS - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            self._asked_at = time.monotonic()
            try:
                self._admission.set_keys(await self._control.keys())
            except (ControlUnavailable, MeetingUnknown) as error:
                _log.warning("no keys from control: %s", describe(error))
