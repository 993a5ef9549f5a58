"""HTTP/3 beside HTTPS: the page, REST and recordings by Range, from an independent client."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest_asyncio
from prometheus_client import REGISTRY

from control.config import ControlConfig
from control.http import file_response
from tests.control.harness import People, Server, serving
from tests.control.test_https import trust
from tests.control.test_recordings import DATA, recorded
from tests.control.tls import write_certificate
from tests.support.http3 import fetch, flooded
from tests.support.waiting import eventually


@pytest_asyncio.fixture
async def secure(config: ControlConfig, tmp_path: Path) -> AsyncIterator[Server]:
    certificate, key = write_certificate(tmp_path)
    changed = replace(config, https_binds=("127.0.0.1:0",), certificate=certificate, private_key=key)
    async with serving(changed) as server:
        yield server


def port(server: Server) -> int:
    return int(server.addresses.https[0].rpartition(":")[2])


async def test_https_tells_of_http3_which_serves_the_same(secure: Server) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.get(f"https://{secure.addresses.https[0]}/", ssl=trust(secure)) as answer:
            assert answer.headers["Alt-Svc"] == f'h3=":{port(secure)}"; ma=3600'
            page = await answer.read()
        head, content = await fetch(port(secure), "/")
        assert (head[":status"], content) == ("200", page)
        ada = await People(session, secure).user("ada")
        head, content = await fetch(port(secure), "/api/v1/users/profile", authorization=ada.headers["Authorization"])
        assert (head[":status"], json.loads(content)["username"]) == ("200", "ada")
        head, content = await fetch(port(secure), "/api/v1/users/profile")
        assert (head[":status"], json.loads(content)["code"]) == ("401", "not_signed_in")


async def test_recordings_by_range(secure: Server, config: ControlConfig, monkeypatch) -> None:
    async with aiohttp.ClientSession() as session:
        ada = await People(session, secure).user("ada")
        _, recording = await recorded(ada, config)
        path = f"/api/v1/recordings/{recording}/files/track0.webm"
        given = {"authorization": ada.headers["Authorization"]}
        head, content = await fetch(port(secure), path, **given)
        assert (head[":status"], content) == ("200", DATA)
        head, content = await fetch(port(secure), path, range="bytes=1000-500999", **given)
        assert (head[":status"], content) == ("206", DATA[1000:501000])
        # A longer answer would wait in memory for its client: part of the range, or word to come over TCP.
        monkeypatch.setattr(file_response, "_MAX_QUIC", 100_000)
        head, content = await fetch(port(secure), path, range="bytes=1000-", **given)
        assert (head["content-range"], content) == (f"bytes 1000-100999/{len(DATA)}", DATA[1000:101000])
        head, _ = await fetch(port(secure), path, **given)
        assert head[":status"] == "421"


async def test_those_who_only_begin_keep_nobody_else_out(secure: Server) -> None:
    def count(outcome: str) -> float:
        return REGISTRY.get_sample_value("control_quic_datagrams_total", {"outcome": outcome}) or 0.0

    before = {outcome: count(outcome) for outcome in ("quic_admitted", "quic_retry_sent", "quic_admitted_by_retry")}
    flooding = asyncio.create_task(flooded(port(secure), 100_000))
    await eventually(lambda: count("quic_retry_sent") - before["quic_retry_sent"] >= 100)
    head, _ = await fetch(port(secure), "/")
    flooding.cancel()
    assert head[":status"] == "200"
    assert count("quic_admitted_by_retry") > before["quic_admitted_by_retry"]
    assert count("quic_admitted") - before["quic_admitted"] < 100


async def test_http3_can_be_left_out(config: ControlConfig, tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    changed = replace(config, https_binds=("127.0.0.1:0",), certificate=certificate, private_key=key, http3=False)
    async with (
        serving(changed) as server,
        aiohttp.ClientSession() as session,
        session.get(f"https://{server.addresses.https[0]}/", ssl=trust(server)) as answer,
    ):
        assert "Alt-Svc" not in answer.headers
