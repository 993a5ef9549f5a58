"""Join tokens signed with keys unknown to a node: how often control is asked, and who waits for whom."""

import asyncio
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sfu.api.refusal import Code, Refused
from sfu.rooms.admission import Admission
from sfu.server.control_client import ControlUnavailable
from sfu.server.key_ring import KeyRing


class Control:
    """Has no keys, counts who asks, and does not answer the first `away` times."""

    def __init__(self, away: int = 0) -> None:
        self.asked = 0
        self.away = away

    async def keys(self) -> list[dict[str, Any]]:
        self.asked += 1
        await asyncio.sleep(0)
        if self.asked <= self.away:
            raise ControlUnavailable("refused")
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


async def test_an_sfu_that_starts_before_control_asks_again(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a join, nothing else would ask, and the log would say that control is away."""
    monkeypatch.setattr("sfu.server.key_ring._MIN_INTERVAL_SECONDS", 0.01)
    control = Control(away=3)
    async with asyncio.timeout(30):
        await KeyRing(Admission(), control).pull_first()  # type: ignore[arg-type]  # what it needs of a ControlClient
    assert control.asked == 4
    assert [message.rpartition(": ")[2] for message in caplog.messages] == ["refused", "recovered after 0 s"]
