"""Mails of a running server: confirmation, invitation, reminder, a film that is ready, a new device."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from email.message import Message

import aiohttp
import pytest

from parley_client import Api
from tests.control.smtp_server import SmtpServer
from tests.support.call import PASSWORD, become_admin, call
from tests.support.server import running_server

pytestmark = pytest.mark.asyncio
ADDRESS = "ada@example.org"


async def test_a_running_server_sends_what_people_asked_for() -> None:
    async with SmtpServer() as mails:
        with running_server(
            smtp_host="127.0.0.1", smtp_port=str(mails.port), smtp_sender="parley@example.org", smtp_tls="none",
            inference="false",
        ) as server:  # fmt: skip
            async with Api(server.url) as ada:
                await become_admin(ada, server.setup_token)
                await _confirm(ada, mails)
                await _invite(ada, mails)
                await _remind(ada, mails)
                await _record(ada, mails)
                await _sign_in_elsewhere(server.url, mails)


async def _mail(mails: SmtpServer, subject: str, seconds: float = 150) -> str:
    """Return the text of the next mail, which has this in its subject; its first part if there are several."""
    async with asyncio.timeout(seconds):
        while mails.waiting == 0:
            await asyncio.sleep(0.2)
    mail = await mails.next()
    assert subject in _subject(mail), _subject(mail)
    assert mail["From"] == "parley@example.org"
    part = next(one for one in mail.walk() if one.get_content_type() == "text/plain")
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    print(f"\n--- {mail['To']}: {_subject(mail)}\n{content.decode()}")
    return content.decode()


def _subject(mail: Message) -> str:
    return re.sub(r"\s+", " ", str(mail["Subject"]))


async def _confirm(ada: Api, mails: SmtpServer) -> None:
    await ada.request("PUT", "/users/profile", {"email": ADDRESS})
    found = re.search(r"token=([\w-]+)", await _mail(mails, ""))
    assert found
    await ada.request("POST", "/auth/verify-email", {"token": found[1]})
    switches = dict.fromkeys(("film", "reminder", "sign_in"), True)
    await ada.request("PUT", "/users/notifications", switches)


async def _invite(ada: Api, mails: SmtpServer) -> None:
    meeting = await ada.create_meeting("Design review")
    await ada.request("POST", f"/meetings/{meeting}/invitations", {"emails": ["grace@example.org"]})
    assert f"/m/{meeting}" in await _mail(mails, "Design review")


async def _remind(ada: Api, mails: SmtpServer) -> None:
    start = datetime.now(UTC) + timedelta(minutes=9)
    body = {"title": "Weekly sync", "scheduled_start": start.isoformat()}
    meeting = (await ada.request("POST", "/meetings", body))["id"]
    assert f"/m/{meeting}" in await _mail(mails, "Weekly sync")


async def _record(ada: Api, mails: SmtpServer) -> None:
    meeting = await ada.create_meeting("Demo", consent="implied")
    async with call(ada, meeting):
        await ada.start_recording(meeting)
        await asyncio.sleep(4)  # a recording of some length
        recording = (await ada.stop_recording(meeting))["id"]
    await _when_ready(ada, recording)
    await ada.request("POST", f"/recordings/{recording}/composition")
    assert "/recordings/" in await _mail(mails, "Demo")


async def _when_ready(ada: Api, recording: str) -> None:
    async with asyncio.timeout(60):
        while (await ada.request("GET", f"/recordings/{recording}"))["recording"]["state"] in {"recording", "sealing"}:
            await asyncio.sleep(0.5)


async def _sign_in_elsewhere(url: str, mails: SmtpServer) -> None:
    """From the same address, but with another browser."""
    async with aiohttp.ClientSession(headers={"User-Agent": "Firefox on a phone"}) as phone:
        credentials = {"username": "admin", "password": PASSWORD}
        async with phone.post(f"{url}/api/v1/auth/login", json=credentials) as answer:
            assert answer.status == 200
    assert "Firefox on a phone" in await _mail(mails, "new device")
