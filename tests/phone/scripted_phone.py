"""A telephone for tests: it calls, answers, presses keys, says a tone, and measures what it hears."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import numpy as np

from phone.media import description
from phone.media.audio_codecs import Samples
from phone.media.description import Stream
from phone.media.rtp_leg import RtpLeg
from phone.sip.dialog import Dialog
from phone.sip.events import Answered, Ended, Invited, Offered
from phone.sip.messages import Flow
from phone.sip.user_agent import UserAgent

HOST = "127.0.0.1"


class ScriptedPhone:
    """A phone. It says a tone of `tone` Hz, silence if that is 0.

    It answers calls at once, or `refuses` them with a status; if it `rings`, it can be heard before it answers.
    """

    def __init__(self) -> None:
        self.tone = 0.0
        self.refuses = 0
        self.rings = False
        self.ended: int | None = None
        self.leg: RtpLeg | None = None
        self.dialog: Dialog | None = None
        self.agent = UserAgent(lambda _: (HOST, self.port))
        self.port = self._media_port = 0
        self._heard: list[Samples] = []
        self._said = 0
        self._key: description.Key | None = None
        self._media: asyncio.Task[None] | None = None

    def call(self, port: int, codec: str, caller: str, called: str = "room") -> None:
        """Call a SIP port, and offer one codec."""
        text, self._key = description.offer(HOST, self._media_port, 1, 1, encrypted=False)
        types = {"opus": "96 97", "G722": "9 101", "PCMA": "8 101", "PCMU": "0 101"}[codec]
        text = text.replace("RTP/AVP 96 9 8 0 97 101", f"RTP/AVP {types}")
        uri, flow = f"sip:{called}@{HOST}:{port}", Flow("udp", HOST, port)
        self.ended = None
        self.dialog = self.agent.dial(uri, flow, f"sip:{caller}@{HOST}", text, time.monotonic_ns())
        self._settle()

    def hang_up(self) -> None:
        assert self.dialog is not None
        self.agent.hang_up(self.dialog, time.monotonic_ns())
        self._settle()

    def pick_up(self) -> None:
        assert self.dialog is not None and self.leg is not None
        self.agent.answer(self.dialog, self._answer(self.leg.stream), time.monotonic_ns())
        self._settle()

    def _answer(self, stream: Stream) -> str:
        return description.answer(stream, HOST, self._media_port, 2, 1)

    def loudest(self) -> float:
        """Return the loudest frequency of the latest half second, 0 in silence."""
        if self.leg is None or len(self._heard) < 25:
            return 0.0
        samples = np.concatenate(self._heard[-25:])
        if np.abs(samples.astype(int)).max() < 500:
            return 0.0
        spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
        return float(np.argmax(spectrum) * self.leg.rate / len(samples))

    def receive(self, data: bytes, source: tuple[str, int], *, is_media: bool) -> None:
        if not is_media:
            self.agent.receive(data, Flow("udp", *source), time.monotonic_ns())
            self._settle()
        elif self.leg is not None:
            self.leg.receive(data, source, time.monotonic())

    def _settle(self) -> None:
        now = time.monotonic_ns()
        while self.agent.events:
            match self.agent.events.popleft():
                case Invited(dialog=dialog) if self.refuses:
                    self.agent.reject(dialog, self.refuses, now)
                case Invited(dialog=dialog, offer=offer):
                    self.dialog, self.ended = dialog, None
                    self._agree(description.take_offer(offer))
                    assert self.leg is not None
                    if self.rings and dialog.invite is not None:
                        body, kind = self._answer(self.leg.stream).encode(), [("Content-Type", "application/sdp")]
                        self.agent._incoming._respond(dialog.invite, 183, now, kind, body, tag=dialog.local_tag)
                    else:
                        self.agent.answer(dialog, self._answer(self.leg.stream), now)
                case Answered(description=text):
                    self._agree(description.take_answer(text, self._key))
                case Offered(dialog=dialog):
                    self.agent.refuse_offer(dialog, now)
                case Ended(code=code):
                    self.ended = code
                case _:
                    pass
        while self.agent.output:
            flow, data = self.agent.output.popleft()
            self._signaling.sendto(data, (flow.host, flow.port))

    def _agree(self, stream: Stream) -> None:
        self.leg = RtpLeg(stream, time.monotonic())
        self._heard.clear()

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        self._signaling, _ = await loop.create_datagram_endpoint(lambda: _Port(self, False), local_addr=(HOST, 0))
        self._sound, _ = await loop.create_datagram_endpoint(lambda: _Port(self, True), local_addr=(HOST, 0))
        self.port = self._signaling.get_extra_info("sockname")[1]
        self._media_port = self._sound.get_extra_info("sockname")[1]

    async def _run(self) -> None:
        due = time.monotonic()
        while True:
            due += 0.02
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self.agent.handle_timer(time.monotonic_ns())
            self._settle()
            if self.leg is None:
                continue
            samples = self.leg.pull(due)
            self._heard = [*self._heard[-49:], np.zeros(self.leg.frame, np.int16) if samples is None else samples]
            at = np.arange(self._said, self._said + self.leg.frame) / self.leg.rate
            self._said += self.leg.frame
            said = (8000 * np.sin(2 * np.pi * self.tone * at)).astype(np.int16)
            for data in self.leg.send(said):
                self._sound.sendto(data, self.leg.destination)


class _Port(asyncio.DatagramProtocol):
    def __init__(self, phone: ScriptedPhone, is_media: bool) -> None:
        self._phone, self._is_media = phone, is_media

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._phone.receive(data, addr, is_media=self._is_media)


@contextlib.asynccontextmanager
async def scripted_phone() -> AsyncIterator[ScriptedPhone]:
    """Yield a phone that listens."""
    phone = ScriptedPhone()
    await phone._open()
    running = asyncio.create_task(phone._run())
    try:
        yield phone
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        phone._signaling.close()
        phone._sound.close()
