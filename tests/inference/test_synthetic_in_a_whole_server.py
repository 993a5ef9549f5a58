"""Detection of generated voices through a whole server: the answer, the kept row, the event and what a participant sees
say that the model is no evidence; before it was fetched there is no verdict."""

import asyncio
import io
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from inference.models import catalogue
from inference.models.fetch import fetch
from inference.synthetic.detector import NO_MODEL
from parley_client import Api, Publication, Room
from sfu.api.join_token import Source
from sfu.api.signaling import Consent
from sfu.formats.codecs import Codec
from tests.inference.detecting import generated, linked, marked, natural
from tests.inference.material import opus_packets
from tests.inference.test_http_api import wav
from tests.support.call import become_admin
from tests.support.server import RunningServer, running_server
from tests.support.waiting import eventually


@pytest.fixture
def server(models_dir: Path, tmp_path: Path) -> Iterator[RunningServer]:
    with running_server(models_dir=str(linked(models_dir, tmp_path / "models"))) as running:
        yield running


async def speak(microphone: Publication, packets: list[bytes]) -> None:
    begun = time.monotonic()
    for index, packet in enumerate(packets):
        await asyncio.sleep(max(0.0, begun + index / 50 - time.monotonic()))
        microphone.send_frame(packet, index * 960)


async def upload(api: Api, body: bytes) -> str:
    headers = {"Authorization": f"Bearer {api.bearer}"}
    url = f"{api.base}/api/v1/media/upload?name=voice.wav"
    async with aiohttp.ClientSession(headers=headers) as session, session.post(url, data=io.BytesIO(body)) as answer:
        assert answer.status == 201, await answer.text()
        return str((await answer.json())["id"])


async def judged(api: Api, file: str) -> dict[str, Any]:
    job = await api.request("POST", "/ai/synthesis", {"file": file})

    async def ended() -> Any:
        found = await api.request("GET", f"/jobs/{job['id']}")
        return found if found["state"] in {"done", "failed"} else None

    found = await eventually(ended, 120)
    assert found["state"] == "done", found
    return dict(found["result"]["verdict"])


async def test_every_verdict_says_what_it_is_worth(server: RunningServer, tmp_path: Path) -> None:
    sound = generated(natural())
    async with Api(server.url) as api:
        await become_admin(api, server.setup_token)

        async def captions() -> bool:
            return bool((await api.request("GET", "/ai/health"))["captions"])

        await eventually(captions, 120)
        file = await upload(api, wav(sound))
        assert (await judged(api, file))["text"] == NO_MODEL
        assert (await api.request("GET", "/ai/analysis"))["synthesis"] is False
        fetch(catalogue.load().named("synthetic-voice"), tmp_path / "models", lambda _: None)

        async def offered() -> bool:
            return bool((await api.request("GET", "/ai/analysis"))["synthesis"])

        await eventually(offered, 120)
        verdict = await judged(api, file)
        assert marked(verdict), verdict
        kept = (await api.request("GET", f"/ai/results/{file}"))["results"]
        assert [one["result"]["verdict"]["text"] for one in kept] == [NO_MODEL, verdict["text"]]
        assert marked(kept[1]["result"]["verdict"])
        assert marked(await live_verdict(api, sound))


async def live_verdict(api: Api, sound: Any) -> dict[str, Any]:
    """Return what the hosts' page is told of somebody who speaks and agreed."""
    meeting = await api.create_meeting("Judged")
    async with Api(api.base) as guest:
        ada = await guest.join(meeting, "Ada")
    async with Room(api.signaling_url(ada), token=ada.token) as room:
        (microphone,) = await room.publish((Source.MICROPHONE, Codec.OPUS))
        await room.send(Consent(text="1", analysis=True))
        speaking = asyncio.create_task(speak(microphone, opus_packets(sound)))

        async def scored() -> Any:
            tracks = (await api.request("GET", f"/meetings/{meeting}/analysis"))["tracks"]
            return tracks and tracks[0]["synthesis"]["score"] is not None and tracks[0]["synthesis"]

        found = await eventually(scored, 120)
        await speaking
    return dict(found)
