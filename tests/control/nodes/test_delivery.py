"""Delivery of desired states: what a node that is away costs in the log."""

import asyncio
from dataclasses import replace

import pytest

from control.config import ControlConfig
from control.services import Services, open_services
from sfu.api.desired_state import DesiredState
from sfu.api.placement import Placement
from tests.control.registry.world import FakeNode

ROOM = "abcd-efgh-ijkl"


async def pushed(services: Services, version: int) -> None:
    """Send a state, and wait until it is delivered or given up."""
    state = DesiredState(room=ROOM, version=version, placement=Placement(node="sfu-1", epoch=1))
    await asyncio.wait(services.nodes.push(state))


async def test_a_node_that_is_away_is_logged_at_the_start_and_the_end(
    config: ControlConfig, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("control.nodes.node_client._RETRY_SECONDS", (0.01, 0.02))
    node = FakeNode("sfu-1")
    await node.start()
    services = await open_services(replace(config, nodes=(node.record,)))
    try:
        await pushed(services, 1)
        await node.kill()
        await pushed(services, 2)
        await pushed(services, 3)
        assert len(caplog.messages) == 1
        await node.start()
        await pushed(services, 4)
    finally:
        await services.close()
        await node.kill()
    started, ended = caplog.messages
    assert started.startswith("node sfu-1 does not take the state of its rooms: Cannot connect")
    assert ended == "node sfu-1 does not take the state of its rooms: recovered after 0 s"
    assert [state.version for state in node.told] == [1, 4]
