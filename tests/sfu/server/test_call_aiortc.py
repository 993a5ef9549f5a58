"""A call between two clients of a different implementation (aiortc): each decodes what the other publishes."""

from pathlib import Path

import pytest

from sfu.api import signaling
from tests.sfu.server.aiortc_caller import Caller
from tests.sfu.server.harness import client, host
from tests.support.waiting import eventually

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")


async def test_two_aiortc_clients_decode_each_other(tmp_path: Path) -> None:
    async with (
        host(tmp_path) as h,
        client(h, h.control.token("r", "ann")) as ann_client,
        client(h, h.control.token("r", "bob")) as bob_client,
    ):
        ann, bob = Caller(ann_client), Caller(bob_client)
        try:
            await ann_client.until(signaling.RoomInfo)
            await bob_client.until(signaling.RoomInfo)
            sent = await ann.publish_both()
            await bob.publish_both()
            await eventually(lambda: bob.frames_of(sent["microphone"]) > 50 and bob.frames_of(sent["camera"]) > 30, 30)
            metrics = await h.metrics()
            assert metrics["parley_sfu_forwarded_total"] > 80
            assert metrics["parley_sfu_engine_seconds_total"] > 0
            assert metrics["parley_sfu_engine_step_seconds_count"] > 80
            assert metrics['parley_sfu_drops_total{reason="authentication"}'] == 0
        finally:
            await ann.close()
            await bob.close()
