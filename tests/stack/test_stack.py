"""The whole topology at once: a browser's call through the gateway, monitoring of all parts, an alert and its end."""

import asyncio
import json
import os
import signal
import time
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from playwright.async_api import Page
from prometheus_client.parser import text_string_to_metric_families

from control.store.outbox import MEETING_EVENTS
from objects.s3 import S3Store
from parley_client import Api, Room
from sfu.server import event_metrics
from tests.inference.chromium_speaker import write_speech
from tests.inference.material import prompt
from tests.support.call import become_admin, call
from tests.support.chromium import LOOPBACK_FLAG, chromium, inbound, open_page
from tests.support.stack import Stack, running_stack
from tests.support.waiting import eventually, until

PARTS = {"control": "control", "sfu": "sfu_http", "recorder": "recorder", "inference": "inference"}
HOPS = {
    "POST /api/v1/meetings/<meeting>/join",
    "sfu.join",
    "sfu.first_packet_in",
    "recorder.first_frame",
    "inference.tapped",
    "bus.publish",
}
# Families that a call in which nothing goes wrong leaves at zero, or moves too briefly for Prometheus: losses and
# refusals, queues, and what nobody asked for here (mails, webhooks, pictures of people, analysis of cameras, films of
# what is not over).
QUIET = {
    "parley_control_dependency_down",
    "parley_control_egress_uploads",
    "parley_control_events_dead",
    "parley_control_events_publish_failures",
    "parley_control_facts_dropped",
    "parley_control_http_connections_closed",
    "parley_control_jobs",
    "parley_control_mails",
    "parley_control_node_probes",  # who doubts a node asks it
    "parley_control_outbox_backlog",
    "parley_control_outbox_oldest_seconds",
    "parley_control_pictures",
    "parley_control_signaling_proxied",  # nginx goes to the node itself
    "parley_control_signaling_refused",
    "parley_control_translated_lines",
    "parley_control_webhook_deliveries",
    "parley_background_failures",
    "parley_control_fact_batches_repeated",
    "parley_control_redis_failures",
    "parley_inference_drops",
    "parley_inference_faces",
    "parley_inference_fallbacks",
    "parley_inference_pictures",
    "parley_inference_triton_hedges",
    "parley_inference_cameras_open",
    "parley_inference_facts_waiting",
    "parley_inference_finals_waiting",
    "parley_inference_utterances_open",
    "parley_inference_wordless",
    "parley_inference_worker_restarts",
    "parley_log_lines_left_out",
    "parley_recorder_broadcast_bits_per_second",
    "parley_recorder_broadcast_bytes",
    "parley_recorder_broadcast_delay_seconds",
    "parley_recorder_broadcast_dropped_frames",
    "parley_recorder_broadcast_failures",
    "parley_recorder_broadcast_outputs",
    "parley_recorder_broadcasts",
    "parley_recorder_disk_errors",
    "parley_recorder_dropped_frames",  # a camera of one layer begins with a keyframe
    "parley_recorder_dropped_records",
    "parley_recorder_finish_seconds",  # it still records
    "parley_recorder_followed_recordings",  # not in its first half minute
    "parley_recorder_lost_packets",
    "parley_sfu_marked_datagrams",  # nothing here marks
    "parley_sfu_facts_waiting",
    "parley_sfu_http_refused",
    "parley_sfu_loss_ratio",
    "parley_sfu_receive_buffer_drops",
    "parley_sfu_receive_buffer_held_bytes",
    "parley_sfu_recordings_stalled",
    "parley_sfu_recovered",
    "parley_sfu_converted_tracks",
    "parley_sfu_transcoder_drops",
    "parley_sfu_replay_given_up",
    "parley_sfu_retransmitted",
    "parley_sfu_signaling_refused",
    "parley_sfu_sink_dropped",
    "parley_sfu_sink_queue_bytes",
    "parley_sfu_sink_queue_records",
    "parley_sfu_shedding",
    "parley_sfu_standing_wait_seconds",
    "parley_sfu_policy_wait_seconds",
} | event_metrics.NAMES


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with running_stack() as running:
        yield running


def asked(stack: Stack, query: str) -> list[Any]:
    """Return Prometheus' answer."""
    url = f"{stack.monitoring.prometheus}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    with urllib.request.urlopen(url, timeout=5) as answer:
        found: list[Any] = json.load(answer)["data"]["result"]
    return found


def own_families(stack: Stack) -> set[str]:
    """Every metric family that our parts define, from their own pages."""
    found = set()
    for port in (stack.gateway.ports[name] for name in PARTS.values()):
        request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics")
        with urllib.request.urlopen(request, timeout=10) as answer:
            families = text_string_to_metric_families(answer.read().decode())
            found |= {f.name for f in families if not f.name.startswith(("python_", "process_"))}
    return found


def unmoved(stack: Stack) -> set[str]:
    """Families that Prometheus has seen no sample above zero of."""
    moved = {row["metric"]["__name__"] for row in asked(stack, '{job=~"control|sfu|recorder|inference"} > 0')}
    return {name for name in own_families(stack) if not any(one.startswith(name) for one in moved)}


@asynccontextmanager
async def speaking_browser(stack: Stack, meeting: str, scratch: Path) -> AsyncIterator[Page]:
    """A browser in the meeting that sends its camera and is heard speaking, and agreed to be recorded and captioned."""
    file = scratch / "speech.wav"
    write_speech(file, [prompt("vm-options"), prompt("demo-thanks")])
    flags = [LOOPBACK_FLAG, f"--use-file-for-fake-audio-capture={file}"]
    async with chromium(flags=flags, small_camera=True) as browser:
        page = await open_page(browser, f"{stack.url}/m/{meeting}")
        await page.get_by_label("Your name").fill("Browser")
        for agreed in ("I agree to be recorded", "I agree to captions of what I say"):
            await page.get_by_label(agreed).check()
        await page.locator("#join:not([disabled])").click()
        await page.locator(".tile").first.wait_for()
        yield page


async def test_a_browsers_call_through_everything(stack: Stack, tmp_path: Path) -> None:
    async with Api(stack.url, verify_tls=False) as api:
        await become_admin(api, stack.gateway.server.setup_token)
        meeting = await api.create_meeting("The whole stack")
        async with Api(stack.url, verify_tls=False) as guest:
            joined = await guest.join(meeting, "Listener")
        async with (
            call(api, meeting, verify_tls=False),
            Room(api.signaling_url(joined), token=joined.token, verify_tls=False) as listener,
            speaking_browser(stack, meeting, tmp_path) as page,
        ):
            await api.start_recording(meeting)
            deadline = time.monotonic() + 20
            while not [r for r in await inbound(page) if r["kind"] == "video" and r["framesDecoded"] > 20]:
                assert time.monotonic() < deadline, await inbound(page)
                await asyncio.sleep(0.2)
            await eventually(lambda: [c for c in listener.state.captions if c.final], 120, "nobody was captioned")
            whole = lambda: [t for t in stack.traces.traces().values() if set(t) >= HOPS]  # noqa: E731
            await eventually(whole, why=lambda: [sorted(t) for t in stack.traces.traces().values()])
            await every_family_moves(stack)
            await api.stop_recording(meeting)
        (recording, *_) = (await api.recordings(meeting))["recordings"]
        assert recording["state"] in {"recording", "sealing", "finishing", "ready"}
        kept = S3Store(stack.s3.config, "")
        await eventually(
            lambda: asyncio.to_thread(lambda: [o for o in kept.list("") if recording["id"] in o.key]),
            why="nothing of it is in the store",
        )
        await gapless(stack, meeting)
    assert "node" in json.loads(next(line for line in stack.gateway.events().splitlines() if "/ws/signaling" in line))


async def every_family_moves(stack: Stack) -> None:
    def at_zero() -> list[str]:
        return sorted(unmoved(stack) - QUIET)

    await asyncio.to_thread(until, lambda: not at_zero(), why=at_zero)


async def gapless(stack: Stack, meeting: str) -> None:
    """The broker has the meeting's events, numbered, some of them with the trace that they are part of."""
    consumer = AIOKafkaConsumer(
        MEETING_EVENTS, bootstrap_servers=stack.broker.address, auto_offset_reset="earliest", group_id=None
    )
    await consumer.start()
    try:
        numbers, traced = [], 0
        async with asyncio.timeout(30):
            while not traced or len(numbers) < 3:
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    for record in records:
                        if record.key == meeting.encode():
                            numbers.append(json.loads(record.value)["seq"])
                            traced += "traceparent" in dict(record.headers)
        assert numbers == sorted(set(numbers))
    finally:
        await consumer.stop()


async def test_an_alert_fires_and_resolves(stack: Stack) -> None:
    """A recorder that hangs is reported down; once it runs again that is reported, too."""

    def sent(status: str) -> Callable[[], bool]:
        return lambda: any(
            alert["status"] == status and alert["labels"]["alertname"] == "PartDown" for alert in stack.alerts
        )

    recorder = stack.gateway.server.part_pid("recorder")
    os.kill(recorder, signal.SIGSTOP)
    try:
        await eventually(sent("firing"), why="no alert fired")
    finally:
        os.kill(recorder, signal.SIGCONT)
    await eventually(sent("resolved"), why="the alert did not resolve")
