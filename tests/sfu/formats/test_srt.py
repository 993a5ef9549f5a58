"""SRT: handshakes, and content through a link that loses, repeats and reorders packets."""

import hashlib
import struct

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap
from hypothesis import given
from hypothesis import strategies as st

from sfu.formats import srt
from sfu.formats.srt import SEQUENCES, Control, Handshake, Kind
from sfu.formats.srt_cipher import SrtCipher
from sfu.formats.srt_receiver import Receiver
from sfu.formats.srt_sender import Caller

MS = 1000
FIRST = SEQUENCES - 20  # numbers wrap soon
REQUEST = struct.pack("!HHIIHH", 1, 3, 0x010503, 0xBF, 120, 200)


def handshake_of(*extensions: bytes, kind: int = Kind.CONCLUSION, encryption: int = 0) -> bytes:
    content = struct.pack("!IHHIIIIII16s", 5, encryption, 5, FIRST, 1500, 8192, kind, 77, 99, bytes(16))
    return srt.control(Control.HANDSHAKE, 0, 0, 0, content + b"".join(extensions))


def stream_id(text: str) -> bytes:
    padded = text.encode() + bytes(-len(text) % 4)
    turned = b"".join(padded[at : at + 4][::-1] for at in range(0, len(padded), 4))
    return struct.pack("!HH", 5, len(turned) // 4) + turned


def data_of(sequence: int, content: bytes, encrypted: bool = False) -> bytes:
    return struct.pack("!IIII", sequence % SEQUENCES, 0xC0000001 | encrypted << 27, 0, 5) + content


@pytest.mark.parametrize(
    ("text", "key"),
    [("stream_abc", "stream_abc"), ("#!::r=stream_x,m=publish", "stream_x"), ("#!::m=publish,u=me", "me"), ("", "")],
)
def test_a_request_has_its_key(text: str, key: str) -> None:
    theirs = srt.read_handshake(handshake_of(REQUEST, stream_id(text)))
    assert (theirs.socket, theirs.cookie, theirs.sequence, theirs.latency) == (77, 99, FIRST, 200)
    assert srt.key_of(theirs.stream_id) == key and not theirs.encrypts and theirs.is_message
    assert srt.read_handshake(handshake_of(REQUEST, struct.pack("!HH", 3, 1) + bytes(4))).encrypts
    assert srt.read_handshake(handshake_of(REQUEST, encryption=2)).encrypts


@given(st.binary(max_size=120))
def test_any_packet_is_read_or_refused(junk: bytes) -> None:
    receiver = Receiver(5, 0, 120, 0)
    for data in (junk, handshake_of()[:64] + junk, data_of(3, b"")[:16] + junk, bytes((0x80, 7)) + junk):
        srt.read_header(data)
        receiver.receive(data, 1)
        try:
            srt.read_handshake(data)
        except ValueError:
            continue
    receiver.tick(10_000_000)


def test_answers() -> None:
    made = Handshake(5, Kind.CONCLUSION, FIRST, 5, 0, latency=150)
    data = srt.handshake(made, 77)
    header = srt.read_header(data)
    assert header is not None and (header.sequence, header.kind, header.destination) == (None, 0, 77)
    assert struct.unpack_from("!HHIIHH", data, 16 + 48) == (2, 3, 0x010503, 0x3F, 150, 150)
    refused = srt.handshake(made._replace(kind=srt.Refusal.UNAUTHORIZED), 77)
    assert len(refused) == 16 + 48 and struct.unpack_from("!I", refused, 16 + 20)[0] == 1401


@given(
    fates=st.lists(st.sampled_from(["arrives", "is late", "is lost", "comes twice"]), min_size=1, max_size=60),
    repairs=st.booleans(),
)
def test_content_arrives_in_order_or_is_skipped_after_the_latency(fates: list[str], repairs: bool) -> None:
    receiver, got, late, now = Receiver(5, FIRST, 200, 0), [], [], 0
    packets = {FIRST + index: f"{index:03}".encode() for index in range(len(fates))}
    asked: set[int] = set()
    for (sequence, content), fate in zip(packets.items(), fates, strict=True):
        now += 5 * MS
        late = [one for one in late if not _came(receiver, got, one, packets, now)] if fate == "arrives" else late
        if fate in {"arrives", "comes twice"}:
            for _ in range(1 + (fate == "comes twice")):
                got += receiver.receive(data_of(sequence, content), now)
        elif fate == "is late":
            late.append(sequence)
        asked |= _reported(receiver)
        if repairs:
            for one in sorted(asked):
                got += receiver.receive(data_of(one, packets[_index(one)]), now)
            asked.clear()
    end = now + 300 * MS
    while now < end:
        now += 10 * MS
        got += receiver.tick(now)
        for one in sorted(_reported(receiver)) if repairs else ():
            got += receiver.receive(data_of(one, packets[_index(one)]), now)
    assert got == sorted(set(got))
    last = max((index for index, fate in enumerate(fates) if fate in {"arrives", "comes twice"}), default=-1)
    if repairs:
        assert [int(one) for one in got][: last + 1] == [*range(last + 1)]
        assert receiver.skipped == 0
    else:
        assert receiver.skipped + len(got) >= last + 1


def _came(receiver: Receiver, got: list[bytes], sequence: int, packets: dict[int, bytes], now: int) -> bool:
    got += receiver.receive(data_of(sequence, packets[sequence]), now)
    return True


def _index(wire: int) -> int:
    return wire if wire >= FIRST else wire + SEQUENCES


def _reported(receiver: Receiver) -> set[int]:
    """Return the losses in the reports that a receiver sends."""
    found: set[int] = set()
    for packet in receiver.output():
        if packet[:2] == bytes((0x80, Control.NAK)):
            words = struct.unpack(f"!{(len(packet) - 16) // 4}I", packet[16:])
            position = 0
            while position < len(words):
                first = words[position] % SEQUENCES
                is_range = words[position] >> 31
                last = words[position + 1] if is_range else first
                found |= {(first + step) % SEQUENCES for step in range((last - first) % SEQUENCES + 1)}
                position += 1 + is_range
    return found


def test_it_acknowledges_keeps_alive_and_ends() -> None:
    receiver = Receiver(5, FIRST, 0, 0)
    assert receiver.latency_ms == 120
    for index in range(3):
        receiver.receive(data_of(FIRST + index, b"x"), 1000)
    receiver.tick(12 * MS)
    (ack,) = receiver.output()
    assert ack[:2] == bytes((0x80, Control.ACK)) and struct.unpack_from("!I", ack, 16)[0] == FIRST + 3
    receiver.receive(srt.control(Control.ACKACK, 1, 0, 5), 32 * MS)
    receiver.tick(1500 * MS)
    assert [packet[1] for packet in receiver.output()] == [Control.KEEPALIVE]
    assert receiver.receive(data_of(FIRST + 3, b"secret", encrypted=True), 1600 * MS) == []
    receiver.receive(srt.control(Control.SHUTDOWN, 0, 0, 5), 1700 * MS)
    assert receiver.is_over


def accepted(caller: Caller, now: int, **about: int) -> Handshake:
    """Answer a caller's two packets as a listener does; return its wish."""
    (first,) = caller.output()
    answer = srt.read_handshake(first)._replace(kind=Kind.INDUCTION, cookie=4711)
    caller.receive(srt.handshake(answer, answer.socket), now)
    (second,) = caller.output()
    wish = srt.read_handshake(second)
    assert (wish.kind, wish.cookie) == (Kind.CONCLUSION, 4711)
    reply = wish._replace(kind=about.get("kind", Kind.CONCLUSION), socket=88, latency=about.get("latency", 200))
    caller.receive(srt.handshake(reply, wish.socket), now)
    return wish


@given(lost=st.sets(st.integers(0, 59)), lost_again=st.booleans())
def test_a_caller_sends_again_what_was_lost(lost: set[int], lost_again: bool) -> None:
    caller = Caller("room/1", 120, 0, sequence=FIRST, socket=77)
    wish = accepted(caller, 0)
    assert (wish.stream_id, wish.sequence, wish.socket, wish.latency) == ("room/1", FIRST, 77, 120)
    receiver, got, seen, now = Receiver(77, FIRST, 200, 0), [], set(), 0
    for index in range(200):
        now += 5 * MS
        if index < 62:  # two more, which arrive, show the loss of the last
            caller.send(f"{index:03}".encode(), now)
        caller.tick(now)
        for packet in caller.output():
            header = srt.read_header(packet)
            assert header is not None and header.destination == 88
            number = None if header.sequence is None else (header.sequence - FIRST) % SEQUENCES
            is_lost = number in lost and (number not in seen or (lost_again and not header.info & srt.RESENT))
            if number is not None:
                seen.add(number)
            if not is_lost:
                got += receiver.receive(packet, now)
        got += receiver.tick(now)
        for packet in receiver.output():
            caller.receive(packet, now)
    assert got == [f"{index:03}".encode() for index in range(62)]
    assert (caller.waiting, caller.dropped, receiver.skipped, caller.over) == (0, 0, 0, "")


def test_a_caller_gives_up_what_is_too_late_and_a_server_that_is_silent() -> None:
    caller = Caller("", 120, 0, sequence=FIRST, socket=77)
    accepted(caller, 0, latency=500)
    caller.send(b"never acknowledged", 0)
    caller.output()
    caller.tick(1_600 * MS)
    assert (caller.dropped, caller.waiting) == (1, 0)
    (told,) = caller.output()
    assert struct.unpack("!II", told[16:]) == (FIRST, FIRST)
    caller.tick(5_100 * MS)
    assert caller.over == "The server does not answer."
    refused = Caller("", 120, 0, sequence=1, socket=7)
    accepted(refused, 0, kind=srt.Refusal.UNAUTHORIZED)
    assert "stream id" in refused.over and not refused.is_connected


def test_who_knows_the_passphrase_reads_what_is_encrypted() -> None:
    cipher = SrtCipher("correct horse battery")
    material = cipher.material
    salt, wrapped = material[16:32], material[32:]
    wrapping = hashlib.pbkdf2_hmac("sha1", b"correct horse battery", salt[8:], 2048, 16)
    key = aes_key_unwrap(wrapping, wrapped)
    counter = bytes(a ^ b for a, b in zip(salt[:14], bytes(10) + struct.pack("!I", FIRST), strict=True)) + bytes(2)
    assert Cipher(AES(key), CTR(counter)).decryptor().update(cipher.encrypt(FIRST, b"media" * 9)) == b"media" * 9
    caller = Caller("", 120, 0, sequence=FIRST, socket=77, cipher=cipher)
    assert accepted(caller, 0).encrypts
    caller.send(b"media" * 9, 0)
    (sent,) = caller.output()
    assert sent[16:] == cipher.encrypt(FIRST, b"media" * 9) and sent[4] >> 3 & 3 == 1
    with pytest.raises(ValueError, match="10 to 79"):
        SrtCipher("short")
