"""One trace from a join to the first packet, through every part, sent to a real OTLP receiver."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from foundation import trace_export as parley_tracing
from foundation import tracing
from foundation.settings import SettingsError, resolve
from parley.network import allocate_port
from parley_client import Api, Room
from sfu.api.signaling import Consent
from tests.inference.conftest import fetched_models
from tests.support.call import become_admin, call
from tests.support.otlp import TraceReceiver, running_trace_receiver
from tests.support.server import RunningServer, running_server
from tests.support.waiting import eventually

HOPS = {
    "POST /api/v1/meetings/<meeting>/join",
    "sfu.join",
    "sfu.first_packet_in",
    "recorder.first_frame",
    "inference.tapped",
    "bus.publish",
}
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@asynccontextmanager
async def traced_call(otlp_url: str, **settings: str) -> AsyncIterator[tuple[RunningServer, str]]:
    """Run a recorded and captioned call whose every request is traced; yield the server and the meeting."""
    models = str(fetched_models())  # without a recogniser nothing is tapped
    traced = {"otlp_url": otlp_url, "trace_ratio": "1", "https_port": "-1", "models_dir": models}
    with running_server(**traced, **settings) as server:
        async with Api(server.url) as api:
            await become_admin(api, server.setup_token)
            meeting = await api.create_meeting("Traced")
            async with call(api, meeting) as (speaker, _):
                await speaker.send(Consent(text="1", recording=True, captions=True))
                await api.start_recording(meeting)
                yield server, meeting


async def join_like_a_browser(url: str, meeting: str) -> None:
    """Ask to join below a trace of one's own, as the page does."""
    async with aiohttp.ClientSession() as http:
        body, headers = {"name": "Browser"}, {"traceparent": PARENT}
        async with http.post(f"{url}/api/v1/meetings/{meeting}/join", json=body, headers=headers) as answer:
            assert answer.status == 200


def linked(receiver: TraceReceiver) -> bool:
    """Return True once a request points to the browser's trace, which is not ours."""
    callers = {link.trace_id.hex() for span in receiver.spans for link in span.links}
    assert PARENT.split("-")[1] not in receiver.traces(), "a stranger named a trace of ours"
    return PARENT.split("-")[1] in callers


async def test_one_trace_has_every_hop() -> None:
    with running_trace_receiver() as receiver:
        async with traced_call(receiver.url) as (server, meeting):
            await join_like_a_browser(server.url, meeting)
            deadline = time.monotonic() + 30
            while not (whole := [t for t in receiver.traces().values() if set(t) >= HOPS]):
                seen = [sorted(t) for t in receiver.traces().values()]
                assert time.monotonic() < deadline, seen
                await asyncio.sleep(0.2)
            await eventually(lambda: linked(receiver))
    traces = receiver.traces()
    (trace,) = whole
    assert not any(span.status.code for span in trace.values()), "nothing failed"
    request, join = trace["POST /api/v1/meetings/<meeting>/join"], trace["sfu.join"]
    assert not request.parent_span_id
    assert join.parent_span_id == request.span_id
    assert {"postgresql"} <= set(trace)
    noted = {a.key: a.value.string_value or a.value.int_value for a in request.attributes}
    assert noted["http.route"] == "/api/v1/meetings/<meeting>/join" and noted["http.response.status_code"] == 200
    assert trace["sfu.first_packet_in"].parent_span_id == join.span_id
    assert join.start_time_unix_nano >= request.start_time_unix_nano
    listener = [t for t in traces.values() if "sfu.first_packet_out" in t and "sfu.join" in t]
    assert any(not t["sfu.first_packet_out"].status.code for t in listener), "nobody received anything"
    attributes = {a.key: a.value.string_value for a in join.attributes}
    assert attributes["meeting"] == meeting
    secrets = json.dumps([str(span) for span in receiver.spans])
    assert server.setup_token not in secrets
    assert "eyJ" not in secrets


async def test_without_a_receiver_meetings_go_on() -> None:
    unheard = f"http://127.0.0.1:{allocate_port()}"
    with running_server(otlp_url=unheard, trace_ratio="1", https_port="-1") as server:
        async with Api(server.url) as api:
            await become_admin(api, server.setup_token)
            joined = await api.join(await api.create_meeting("Unheard"), "Ada")
            async with Room(api.signaling_url(joined), token=joined.token) as room:
                assert room.state.info is not None


def test_contexts_from_outside_are_read_strictly() -> None:
    assert tracing.read(PARENT) == PARENT
    for wrong in ("", "00-0-0-01", PARENT.upper(), PARENT + "-x", f"00-{'0' * 32}-00f067aa0ba902b7-01", "é" * 55):
        assert tracing.read(wrong) == ""


def test_nothing_is_recorded_by_default() -> None:
    with tracing.span("work", PARENT) as span:
        assert span.traceparent == ""
        assert tracing.current() == ""
    with parley_tracing.recording(resolve({}, {"HOME": "/nowhere"}), "sfu"):
        assert tracing.start("work", PARENT).traceparent == ""


@pytest.mark.parametrize(("part", "parent", "recorded"), [("control", "", 0), ("sfu", "", 0), ("sfu", PARENT, 1)])
def test_control_samples_and_the_others_follow(part: str, parent: str, recorded: int) -> None:
    """With a ratio of 0 control begins no trace; every part continues one that control signed."""
    wanted = {"HOME": "/nowhere", "PARLEY_OTLP_URL": "http://127.0.0.1:9", "PARLEY_TRACE_RATIO": "0"}
    with parley_tracing.recording(resolve({}, wanted), part), tracing.span("work", parent) as span:
        assert bool(span.traceparent) == bool(recorded)
        assert parley_tracing.log_fields().get("trace", "") == (parent.split("-")[1] if recorded else "")
    assert tracing.start("after", PARENT).traceparent == ""


def test_a_caller_decides_nothing() -> None:
    """Not even by an id that a share of all ids would let through."""
    wanted = {"HOME": "/nowhere", "PARLEY_OTLP_URL": "http://127.0.0.1:9", "PARLEY_TRACE_RATIO": "0.001"}
    small = f"00-{1:032x}-00f067aa0ba902b7-01"
    with parley_tracing.recording(resolve({}, wanted), "control"):
        begun = [tracing.start("work", caller=small).traceparent for _ in range(300)]
        assert sum(map(bool, begun)) < 30


def test_a_ratio_beyond_one_is_refused() -> None:
    wanted = {"HOME": "/nowhere", "PARLEY_OTLP_URL": "http://127.0.0.1:9", "PARLEY_TRACE_RATIO": "7"}
    with pytest.raises(SettingsError, match="trace_ratio"), parley_tracing.recording(resolve({}, wanted), "control"):
        pass
