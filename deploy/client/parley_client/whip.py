"""Publishing by WHIP (RFC 9725), with a stream key: a camera that needs no signaling connection."""

import asyncio
import contextlib
import secrets
from types import TracebackType
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp

from parley_client.client_peer import ClientPeer, Received
from parley_client.descriptions import publish_offer, remote_side
from parley_client.peer_endpoint import PeerEndpoint
from parley_client.publishing import Publication, TransportSequence
from sfu.api.join_token import Source
from sfu.formats.codecs import Codec
from sfu.formats.rtcp import Nack, PictureLoss
from sfu.formats.rtcp import parse as parse_rtcp
from sfu.formats.sdp import parse as parse_sdp
from sfu.machines.dtls.certificate import generate_certificate

_REPORT_SECONDS = 1.0


class WhipRefused(ConnectionError):
    """The server refused the offer; `status` is the HTTP status."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"{status}: {detail}")
        self.status = status


class WhipPublisher:
    """An async context manager; while it is open, `camera` and `microphone` can send."""

    def __init__(self, url: str, key: str, *, codec: Codec = Codec.VP8, verify_tls: bool = True) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {key}"}
        self._verify_tls = verify_tls
        self._session: aiohttp.ClientSession | None = None
        self._resource: str | None = None
        self._endpoint: PeerEndpoint | None = None
        self._reporting: asyncio.Task[None] | None = None
        cname, sequence = secrets.token_hex(8), TransportSequence()
        self.microphone = Publication(Source.MICROPHONE, Codec.OPUS, "0", cname, sequence, self._send)
        self.camera = Publication(Source.CAMERA, codec, "1", cname, sequence, self._send)

    async def __aenter__(self) -> "WhipPublisher":
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=self._verify_tls))
        try:
            await self._open()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        self._reporting = asyncio.create_task(self._report())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._reporting is not None:
            self._reporting.cancel()
            await asyncio.gather(self._reporting, return_exceptions=True)
        if self._session is not None:
            if self._resource is not None:
                with contextlib.suppress(aiohttp.ClientError, TimeoutError):  # the server notices the silence
                    async with self._session.delete(self._resource, headers=self._headers):
                        pass
            await self._session.close()
        if self._endpoint is not None:
            self._endpoint.close()

    async def _open(self) -> None:
        assert self._session is not None
        peer = ClientPeer(generate_certificate())
        offer = publish_offer(peer.local, [self.microphone.offered, self.camera.offered], 1)
        headers: dict[str, Any] = self._headers | {"Content-Type": "application/sdp"}
        async with self._session.post(self._url, data=offer.encode(), headers=headers) as answer:
            text = await answer.text()
            if answer.status != 201:
                raise WhipRefused(answer.status, text)
            self._resource = urljoin(str(answer.url), answer.headers["Location"])
        self._endpoint = PeerEndpoint(peer, self._on_packet)
        await self._endpoint.open(*remote_side(parse_sdp(text), urlsplit(self._url).hostname or ""))

    def _send(self, packet: bytes) -> bool:
        return self._endpoint is not None and self._endpoint.send(packet)

    def _on_packet(self, received: Received, _: int) -> None:
        if not received.rtcp:
            return
        try:
            packets = parse_rtcp(received.data)
        except ValueError:
            return
        by_ssrc = {one.ssrc: one for one in (self.microphone, self.camera)}
        for packet in packets:
            if isinstance(packet, Nack) and packet.media_ssrc in by_ssrc:
                by_ssrc[packet.media_ssrc].retransmit(packet)
            elif isinstance(packet, PictureLoss) and packet.media_ssrc in by_ssrc:
                by_ssrc[packet.media_ssrc].picture_loss(packet)

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(_REPORT_SECONDS)
            for publication in (self.microphone, self.camera):
                report = publication.sender_report()
                if report:
                    self._send(report)
