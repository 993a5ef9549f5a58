"""STUN: round trip, the RFC's own vectors, hostile lengths, and agreement with an independent implementation."""

from dataclasses import replace

import pytest
from aioice import stun as aioice_stun
from hypothesis import given
from hypothesis import strategies as st

from sfu.formats import stun
from sfu.formats.stun import Message, MessageClass

addresses = st.tuples(st.ip_addresses().map(str), st.integers(0, 0xFFFF))
text = st.text(max_size=100)
u64 = st.integers(0, 2**64 - 1)
messages = st.builds(
    Message,
    message_class=st.sampled_from(MessageClass),
    transaction_id=st.binary(min_size=12, max_size=12),
    method=st.integers(0, 0xFF),
    username=st.none() | text,
    priority=st.none() | st.integers(0, 0xFFFFFFFF),
    use_candidate=st.booleans(),
    controlling=st.none() | u64,
    controlled=st.none() | u64,
    xor_mapped_address=st.none() | addresses,
    error=st.none() | st.tuples(st.integers(300, 699), text),
    software=st.none() | text,
    unknown_attributes=st.lists(st.integers(0, 0xFFFF), max_size=5).map(tuple),
    unknown_required=st.just(()),
    has_integrity=st.just(False),
    has_fingerprint=st.just(False),
)
keys = st.none() | st.binary(min_size=1, max_size=32)

# RFC 5769, section 2.1 and 2.2 (also RFC 8489's appendix): short-term password VOkJxbRl1RmTxUk/WvJxBt.
PASSWORD = b"VOkJxbRl1RmTxUk/WvJxBt"
REQUEST = bytes.fromhex(
    "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff80290008932ff9b151"
    "263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf"
)
RESPONSE = bytes.fromhex(
    "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220002000080001a147e112a643000800142b91f599fd"
    "9e90c38c7489f92af9ba53f06be7d780280004c07d4c96"
)


@given(messages, keys, st.booleans())
def test_what_is_written_is_read(message, key, fingerprint):
    data = stun.serialize(message, key, fingerprint)
    assert stun.is_stun(data)
    assert stun.parse(data) == replace(message, has_integrity=key is not None, has_fingerprint=fingerprint)
    if key is not None:
        assert stun.verify_integrity(data, key)
        assert not stun.verify_integrity(data, key + b"x")


def test_the_request_of_rfc_5769():
    message = stun.parse(REQUEST)
    assert message == Message(
        MessageClass.REQUEST,
        bytes.fromhex("b7e7a701bc34d686fa87dfae"),
        username="evtj:h6vY",
        priority=0x6E0001FF,
        controlled=0x932FF9B151263B36,
        software="STUN test client",
        has_integrity=True,
        has_fingerprint=True,
    )
    assert stun.verify_integrity(REQUEST, PASSWORD)


def test_the_response_of_rfc_5769():
    message = stun.parse(RESPONSE)
    assert message.message_class is MessageClass.SUCCESS
    assert message.xor_mapped_address == ("192.0.2.1", 32853)
    assert stun.verify_integrity(RESPONSE, PASSWORD)


@given(messages)
def test_aioice_reads_the_same(message):
    message = replace(
        message, method=stun.BINDING, unknown_attributes=(), xor_mapped_address=message.xor_mapped_address or ("::1", 9)
    )
    theirs = aioice_stun.parse_message(stun.serialize(message, b"key"))
    assert theirs.check_message_integrity(b"key")
    attributes = theirs.attributes
    assert theirs.transaction_id == message.transaction_id
    assert attributes["XOR-MAPPED-ADDRESS"] == message.xor_mapped_address
    assert attributes.get("USERNAME") == message.username
    assert attributes.get("PRIORITY") == message.priority
    assert ("USE-CANDIDATE" in attributes) is message.use_candidate
    assert attributes.get("ICE-CONTROLLING") == message.controlling
    assert attributes.get("ICE-CONTROLLED") == message.controlled


@given(st.binary(max_size=100))
def test_any_bytes_give_a_message_or_value_error(data):
    try:
        stun.parse(data)
    except ValueError:
        return


@given(messages, st.data())
def test_a_damaged_message_gives_a_message_or_value_error(message, data):
    damaged = bytearray(stun.serialize(message, b"key", fingerprint=False))
    for _ in range(3):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        stun.parse(bytes(damaged))
    except ValueError:
        return
    stun.verify_integrity(bytes(damaged), b"key")


@given(st.integers(0, len(REQUEST) - 1), st.integers(1, 255))
def test_a_changed_byte_never_passes_the_fingerprint(index, change):
    damaged = bytearray(REQUEST)
    damaged[index] ^= change
    try:
        message = stun.parse(bytes(damaged))
    except ValueError:
        return
    assert not message.has_fingerprint


def header(length, kind="0001"):
    return bytes.fromhex(f"{kind}{length:04x}2112a442") + bytes(12)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a STUN"),
        (header(4), "not a STUN"),
        (b"\x80" + header(0)[1:], "not a STUN"),
        (header(0)[:4] + bytes(16), "not a STUN"),
        (header(4) + bytes.fromhex("00060001"), "runs past"),
        (header(8) + bytes.fromhex("0024000200000000"), "priority"),
        (header(8) + bytes.fromhex("8029000400000000"), "tie-breaker"),
        (header(8) + bytes.fromhex("0008000400000000"), "integrity"),
        (header(8) + bytes.fromhex("0020000400010000"), "address"),
        (header(8) + bytes.fromhex("0009000400000763"), "error"),
        (header(8) + bytes.fromhex("000a000300010002"), "unknown"),
        (header(8) + bytes.fromhex("8028000400000000"), "fingerprint"),
        (header(8) + bytes.fromhex("00060001ff000000"), "utf-8"),
    ],
)
def test_malformed_messages_are_refused(data, reason):
    with pytest.raises(ValueError, match=reason):
        stun.parse(data)


def test_attributes_after_integrity_are_ignored():
    plain = Message(MessageClass.REQUEST, bytes(12), username="a:b")
    signed = stun.serialize(plain, b"key", fingerprint=False)
    added = bytes.fromhex("0025000000240004000000ff")
    data = signed[:2] + (len(signed) - 20 + len(added)).to_bytes(2, "big") + signed[4:] + added
    assert stun.parse(data) == replace(plain, has_integrity=True)
    assert stun.verify_integrity(data, b"key")


def test_unknown_required_attributes_are_listed():
    data = header(12) + bytes.fromhex("7f000000 80ff0000 7f010000".replace(" ", ""))
    assert stun.parse(data).unknown_required == (0x7F00, 0x7F01)


def test_a_message_without_integrity_verifies_with_no_key():
    assert not stun.verify_integrity(stun.serialize(Message(MessageClass.REQUEST, bytes(12))), b"")


@pytest.mark.parametrize(
    "message",
    [
        Message(MessageClass.REQUEST, b"short"),
        Message(MessageClass.REQUEST, bytes(12), method=0x100),
        Message(MessageClass.REQUEST, bytes(12), priority=-1),
        Message(MessageClass.REQUEST, bytes(12), xor_mapped_address=("not an address", 1)),
        Message(MessageClass.REQUEST, bytes(12), xor_mapped_address=("::1", 65536)),
        Message(MessageClass.REQUEST, bytes(12), software="x" * 70000),
    ],
)
def test_fields_that_do_not_fit_are_refused(message):
    with pytest.raises(ValueError):
        stun.serialize(message)
