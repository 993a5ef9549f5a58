"""One phone call: what the caller hears and presses, from the PIN to the end of the meeting."""

import asyncio
import contextlib
import logging
import socket
import ssl
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple

from foundation.background import cancel_all, note_failure
from foundation.backoff import Backoff
from foundation.control_requests import ControlUnavailable
from parley_client.media import OPUS_RATE
from phone import metrics
from phone.control_client import ControlClient
from phone.media.audio_codecs import Samples
from phone.media.description import FRAME_MS, Stream
from phone.media.dialtone import Dialtone
from phone.media.mixer import Mixer
from phone.media.rtp_leg import RtpLeg
from phone.prompts import Prompts
from phone.room_presence import Notice, RoomPresence
from sfu.api.phone import STATUSES, Entered, EnterMeeting, PhoneDirection, PhonePhase, PhoneState, PhoneTransfer

_log = logging.getLogger(__name__)
_FRAME_SECONDS = FRAME_MS / 1000
_MOST_BEHIND = 0.2
_SILENT_SECONDS = 60.0
_KEY_SECONDS = 10.0
_PIN_ATTEMPTS = 3
_LONGEST_PIN = 16
_LOBBY_POLL_SECONDS = 2.0
_LOBBY_SAY_SECONDS = 20.0
_REJOIN_SECONDS = 60.0
_DUCKED = 0.25
_STAR_SECONDS = 3.0
_GONE = {
    "removed": "removed",
    "banned": "removed",
    "consent_required": "removed",
    "ended": "ended",
    "left": "ended",
    "replaced": "ended",
}
"""The prompts of reasons for which a call ends, by the room's code."""
_MOVED = "moved"


class Inbound(NamedTuple):
    """The way by which an application's call came in: its trunk, the called number, and the caller's server."""

    trunk: str
    called: str
    host: str


class MediaSocket(asyncio.DatagramProtocol):
    """The UDP socket of a call's audio."""

    def __init__(self) -> None:
        self.receive: Callable[[bytes, tuple[str, int]], None] = lambda _data, _source: None
        self._transport: asyncio.DatagramTransport | None = None

    async def open(self, host: str, ports: tuple[int, int], first: int) -> int:
        """Bind to a free port of a range ((0, 0): any), beginning with `first`; return it. Raises OSError."""
        loop = asyncio.get_running_loop()
        low, high = ports
        candidates = [0] if not low else [low + (first + i) % (high - low + 1) for i in range(high - low + 1)]
        error: OSError = OSError("there is no free port for audio")
        for port in candidates:
            try:
                self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(host, port))
            except OSError as failed:
                error = failed
                continue
            sock = self._transport.get_extra_info("socket")
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0xB8)  # expedited forwarding (RFC 3246)
            return int(self._transport.get_extra_info("sockname")[1])
        raise error

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.receive(data, (addr[0], addr[1]))

    def error_received(self, exc: Exception) -> None:
        """Ignore network errors: a phone that stays silent is hung up."""

    def send(self, data: bytes, address: tuple[str, int]) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.sendto(data, address)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class Call:
    """A call. `hang_up` ends its dialog; `id` is control's name for it, "" until it has entered a meeting.

    A call of ours may be in its meeting before it is answered: then the meeting hears what the phone's side plays, or
    with `dialtone` a tone. A call of an application came in through its `inbound` trunk.
    """

    def __init__(
        self,
        direction: PhoneDirection,
        instance: str,
        control: ControlClient,
        prompts: Prompts,
        media: MediaSocket,
        *,
        hang_up: Callable[[], None],
        caller: str = "",
        call: str = "",
        dialtone: bool = False,
        inbound: Inbound | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.id = call
        self.status = 0
        self.transfer: PhoneTransfer = ""
        self.transfer_status = 0
        self.phase: PhonePhase = "waiting" if direction == "in" else "dialling"
        self.reason = ""
        self.direction = direction
        self._instance = instance
        self._control = control
        self._prompts = prompts
        self._media = media
        self._hang_up = hang_up
        self._caller = caller
        self._tls = tls
        self._inbound = inbound
        self._is_answered = direction == "in"
        self._dialtone = Dialtone() if dialtone else None
        self._forwards_keys = False
        self._leg: RtpLeg | None = None
        self._room: RoomPresence | None = None
        self._mixer = Mixer()
        self._saying: deque[Samples] = deque()
        self._said = asyncio.Event()
        self._keys: asyncio.Queue[str] = asyncio.Queue(64)
        self._consent = "ask"
        self._acting: set[asyncio.Task[None]] = set()
        self._star_at = 0.0
        media.receive = self._take_datagram

    def state(self) -> PhoneState:
        leg = self._leg
        return PhoneState(
            phase=self.phase,
            reason=self.reason,
            codec=leg.stream.codec.encoding if leg is not None else "",
            encrypted=leg is not None and leg.stream.theirs is not None,
            status=self.status,
            transfer=self.transfer,
            transfer_status=self.transfer_status,
        )

    def agree(self, stream: Stream) -> None:
        """Use a newly agreed stream."""
        before = self._rate
        if self._leg is None:
            self._leg = RtpLeg(stream, time.monotonic())
        else:
            self._leg.change(stream)
        if self._rate != before:
            self._saying.clear()
            self._said.set()
            if self._room is not None:
                self._room.change_rate(self._rate)

    @property
    def _rate(self) -> int:
        return self._leg.rate if self._leg is not None else OPUS_RATE

    def note(self, phase: PhonePhase) -> None:
        """Take how far a call of ours is that is not answered yet."""
        if not self._is_answered:
            self.phase = phase
            self._tell()

    def answered(self, keys: str) -> None:
        """Take the answer to a call of ours, and press keys."""
        if self._is_answered or self._leg is None:
            return
        self._is_answered = True
        self._leg.heard_at = time.monotonic()
        if keys:
            self._leg.press(keys)
        if self._room is not None:
            self._do(self._room.let_everybody_hear())
            self._greet()

    def _tell(self) -> None:
        """Tell the room how far the call is."""
        if self._room is not None and self.phase in STATUSES:
            self._do(self._room.tell(STATUSES[self.phase]))

    def _do(self, act: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._act(act))
        self._acting.add(task)
        task.add_done_callback(self._acting.discard)

    def press(self, key: str) -> None:
        """Take a key of the phone."""
        with contextlib.suppress(asyncio.QueueFull):
            self._keys.put_nowait(key)

    async def run(self) -> None:
        """Carry the call to its end, when the dialog is hung up."""
        audio = asyncio.create_task(self._carry_audio())
        talk = asyncio.create_task(self._talk())
        try:
            await asyncio.wait((audio, talk), return_when=asyncio.FIRST_COMPLETED)
            if talk.done():
                talk.result()
                await self._finish_saying()
            else:
                audio.result()
        except Exception as error:
            note_failure("phone call", error, "failed; it is hung up")
            self.reason = self.reason or "failed"
        finally:
            await cancel_all([audio, talk, *self._acting])
            self._hang_up()

    async def _talk(self) -> None:
        """Lead the caller into the meeting, and stay there until it ends."""
        if self.direction == "out":
            entered = await self._enter()
        else:
            entered = await (self._ask_for_pin() if self._inbound is None else self._follow_rules())
        if entered is None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(entered.longest_seconds or None):
                await self._attend(entered)
                return
        self._give_up("ended", "too_long")

    # The way in

    async def _ask_for_pin(self) -> Entered | None:
        """Ask for the PIN until it is right; return None if the call is over."""
        prompt = "enter-pin"
        for _ in range(_PIN_ATTEMPTS):
            pin = await self._read_pin(prompt)
            if not pin:
                self._give_up("goodbye", "no_pin")
                return None
            entered = await self._ask(self._wish(pin))
            if entered is None:
                self._give_up("cannot-join", "unavailable")
                return None
            if entered.code != "wrong_pin":
                return await self._admitted(entered)
            prompt = "wrong-pin"
        self._give_up("too-many-attempts", "wrong_pin")
        return None

    async def _follow_rules(self) -> Entered | None:
        """Enter the room that an application's rules name; ask for a PIN if they do."""
        entered = await self._ask(self._wish(""))
        if entered is not None and entered.code == "pin_wanted":
            return await self._ask_for_pin()
        if entered is None:
            self._give_up("cannot-join", "unavailable")
            return None
        return await self._admitted(entered)

    def _wish(self, pin: str) -> EnterMeeting:
        """Return the first request of a call that came in."""
        if self._inbound is None:
            return EnterMeeting(instance=self._instance, pin=pin, caller=self._caller)
        trunk, called, host = self._inbound
        return EnterMeeting(
            instance=self._instance, pin=pin, caller=self._caller, trunk=trunk, called=called, host=host
        )

    async def _read_pin(self, prompt: str) -> str:
        """Return the digits pressed up to #, "" if nothing was pressed in time. Pressing a key ends the prompt."""
        self._say(prompt)
        pin = ""
        while True:
            seconds = _KEY_SECONDS + (self._left_to_say() if not pin else 0)
            try:
                async with asyncio.timeout(seconds):
                    key = await self._keys.get()
            except TimeoutError:
                return pin
            self._saying.clear()
            if key == "#":
                if pin:
                    return pin
            elif key.isdecimal() and len(pin) < _LONGEST_PIN:
                pin += key

    async def _enter(self) -> Entered | None:
        entered = await self._ask(EnterMeeting(instance=self._instance, call=self.id))
        if entered is None:
            self._give_up("cannot-join", "unavailable")
            return None
        return await self._admitted(entered)

    async def _admitted(self, entered: Entered) -> Entered | None:
        """Wait in the lobby if need be; return the admission, None if there is none."""
        self.id = entered.call or self.id
        said_at = 0.0
        while entered.outcome == "wait":
            self.phase = "lobby"
            if time.monotonic() - said_at > _LOBBY_SAY_SECONDS:
                said_at = time.monotonic()
                self._say("lobby")
            await asyncio.sleep(_LOBBY_POLL_SECONDS)
            again = await self._ask(EnterMeeting(instance=self._instance, call=self.id))
            entered = again if again is not None else entered
        if entered.outcome == "in":
            return entered
        prompts = {"denied": "denied", "removed": "removed", "ended": "ended", "too_many_attempts": "too-many-attempts"}
        self._give_up(prompts.get(entered.code, "cannot-join"), entered.code)
        return None

    async def _ask(self, wish: EnterMeeting) -> Entered | None:
        """Return control's answer; None if it does not answer."""
        backoff = Backoff(2.0, 0.3)
        for _ in range(4):
            with contextlib.suppress(ControlUnavailable):
                entered = await self._control.enter(wish)
                if entered.outcome != "refused" or not entered.again:
                    return entered
            await backoff.wait()
        return None

    def _give_up(self, prompt: str, reason: str) -> None:
        """Say why the call ends."""
        self._say(prompt)
        self.reason = self.reason or reason

    # In the meeting

    async def _attend(self, entered: Entered) -> None:
        self._consent = entered.consent
        self._forwards_keys = entered.forwards_keys
        room = self._room = RoomPresence(
            self._rate,
            self._notice,
            muted=entered.start_muted,
            heard_by="" if self._is_answered else entered.heard_by,
            status=STATUSES.get(self.phase, STATUSES["live"]) if entered.forwards_keys else "",
            press=self._press_for_room,
            tls=self._tls,
        )
        listening = asyncio.create_task(self._obey_keys(room))
        lost_at = 0.0
        backoff = Backoff(5.0, 0.3)
        try:
            while True:
                begun = time.monotonic()
                code = await room.run(entered.signaling_url, entered.token)
                now = time.monotonic()
                if code in _GONE:
                    self._give_up(_GONE[code], code)
                    return
                if now - begun > _REJOIN_SECONDS or code == _MOVED:
                    lost_at = 0.0
                    backoff.reset()
                lost_at = lost_at or now
                if now - lost_at > _REJOIN_SECONDS:
                    self._give_up("lost", "lost")
                    return
                await backoff.wait()
                again = await self._ask(EnterMeeting(instance=self._instance, call=self.id))
                if again is not None and again.outcome == "refused":
                    self._give_up(_GONE.get(again.code, "cannot-join"), again.code)
                    return
                entered = again if again is not None and again.outcome == "in" else entered
        finally:
            await cancel_all([listening])
            self._room = None

    def _notice(self, notice: Notice) -> None:
        if notice == "joined":
            self._greet()
        elif self._is_answered and (notice != "recording" or self._consent == "ask"):
            self._say(notice)

    def _greet(self) -> None:
        """Say that the meeting is reached, once both sides are there. Applications greet their callers themselves."""
        room = self._room
        if room is None or not room.is_joined or not self._is_answered or self.phase == "live":
            return
        self.phase = "live"
        self._tell()
        if self._forwards_keys:
            return
        self._say("joined")
        if room.muted or room.muted_by_host:
            self._say("muted")
        if self._consent == "required" and not room.has_consented:
            self._say("consent-required")

    def _press_for_room(self, key: str) -> None:
        """Press a key that an application sends."""
        if self._leg is not None and self._is_answered:
            self._leg.press(key)

    async def _obey_keys(self, room: RoomPresence) -> None:
        """Obey *6 (mute), *9 (hand) and 1 (consent)."""
        while True:
            key = await self._keys.get()
            if self._forwards_keys:
                await self._act(room.send_key(key))
                continue
            now = time.monotonic()
            after_star = now - self._star_at < _STAR_SECONDS
            self._star_at = now if key == "*" else 0.0
            if after_star and key == "6":
                await self._act(self._toggle_mute(room))
            elif after_star and key == "9":
                raised = not room.hand_raised
                await self._act(room.raise_hand(raised))
                self._say("hand-raised" if raised else "hand-lowered")
            elif key == "1" and not room.has_consented:
                await self._act(room.consent())
                self._saying.clear()

    async def _toggle_mute(self, room: RoomPresence) -> None:
        if room.muted_by_host:
            self._say("muted-by-host")
            return
        await room.mute(not room.muted)
        self._say("muted" if room.muted else "unmuted")

    @staticmethod
    async def _act(act: Awaitable[None]) -> None:
        """Send a message to the room; if the connection is just being lost, joining again sends what counts."""
        with contextlib.suppress(Exception):
            await act

    # Audio

    def _say(self, prompt: str) -> None:
        """Queue a prompt."""
        if self._leg is not None:
            self._saying.append(self._prompts.samples(prompt, self._leg.rate))
            self._said.clear()

    def _left_to_say(self) -> float:
        rate = self._leg.rate if self._leg is not None else 1
        return sum(len(samples) for samples in self._saying) / rate

    async def _finish_saying(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._left_to_say() + 1):
                if self._saying:
                    await self._said.wait()
                await asyncio.sleep(0.2)

    async def _carry_audio(self) -> None:
        """Every 20 ms, carry audio from the phone to the room and back. Returns when the phone is silent for long."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        drops: dict[str, int] = {}
        while True:
            due += _FRAME_SECONDS
            now = loop.time()
            if due > now:
                await asyncio.sleep(due - now)
            else:
                await asyncio.sleep(0)  # what arrived meanwhile comes first
                if now - due > _MOST_BEHIND:
                    metrics.LATE_FRAMES.inc(int((now - due) / _FRAME_SECONDS))
                    due = now
            leg = self._leg
            if leg is None or not self._is_answered:
                self._frame_before_answer(leg, due)
                continue
            self._frame(leg, due)
            while leg.keys:
                self.press(leg.keys.popleft())
            if leg.stream.receives and time.monotonic() - leg.heard_at > _SILENT_SECONDS:
                self.reason = self.reason or "silent"
                return
            if not leg.stream.receives:
                leg.heard_at = time.monotonic()
            for reason, count in (leg.drops + leg.playout.drops).items():
                metrics.DROPPED.labels(reason).inc(max(0, count - drops.get(reason, 0)))
                drops[reason] = count

    def _frame_before_answer(self, leg: RtpLeg | None, due: float) -> None:
        """Let the room hear what the phone's side plays while it rings."""
        spoken = leg.pull(due) if leg is not None else None
        if leg is not None:
            leg.skip()
        if spoken is None and self._dialtone is not None:
            spoken = self._dialtone.samples(self._rate)
        if self._room is not None:
            self._room.say(spoken)

    def _frame(self, leg: RtpLeg, due: float) -> None:
        spoken = leg.pull(due)
        room = self._room
        if room is not None:
            room.say(spoken)
        voices = room.voices(leg.frame, due) if room is not None else []
        prompt = self._next_of_prompt(leg.frame)
        if not leg.stream.sends:
            leg.skip()
            return
        if prompt is not None:
            voices = [(voice * _DUCKED).astype(prompt.dtype) for voice in voices]
            voices.append(prompt)
        for datagram in leg.send(self._mixer.mix(voices, leg.frame)):
            self._media.send(datagram, leg.destination)

    def _next_of_prompt(self, count: int) -> Samples | None:
        if not self._saying:
            return None
        samples = self._saying[0]
        piece, rest = samples[:count], samples[count:]
        if len(rest):
            self._saying[0] = rest
        else:
            self._saying.popleft()
            if not self._saying:
                self._said.set()
        if len(piece) < count:
            padded = samples[:0].copy()
            padded.resize(count, refcheck=False)
            padded[: len(piece)] = piece
            piece = padded
        return piece

    def _take_datagram(self, data: bytes, source: tuple[str, int]) -> None:
        if self._leg is not None:
            self._leg.receive(data, source, time.monotonic())
