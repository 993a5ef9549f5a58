"""Join tokens signed with keys unknown to a node: how often control is asked, and who waits for whom."""

import asyncio
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sfu.api.refusal import Code, Refused
from sfu.rooms.admission import Admission
from sfu.server.key_ring import KeyRing


class Control:
    """Has no keys, and counts who asks."""

    def __init__(self) -> None:
        self.asked = 0

    async def keys(self) -> list[dict[str, Any]]:
        self.asked += 1
        await asyncio.sleep(0)
        return []


async def test_many_unknown_keys_at_once_are_asked_for_together() -> None:
    control = Control()
    ring = KeyRing(Admission(), control)  # type: ignore[arg-type]  # what it needs of a ControlClient
    key = Ed25519PrivateKey.generate()
    tokens = [jwt.encode({}, key, algorithm="EdDSA", headers={"kid": f"k{number}"}) for number in range(40)]

    async def refused(token: str) -> Code:
        with pytest.raises(Refused) as caught:
            async with ring.admitted(token):
                raise AssertionError("a token of an unknown key admits nobody")
        return caught.value.code

    async with asyncio.timeout(30):
        codes = await asyncio.gather(*map(refused, tokens))
    assert set(codes) == {Code.FOREIGN_TOKEN}
    assert control.asked <= 2
