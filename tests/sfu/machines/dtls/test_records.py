"""Records in datagrams: framing, accepted records, packing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.machines.dtls.records import HANDSHAKE, is_sane, pack, records


def record(content_type: int, epoch: int, body: bytes) -> bytes:
    return bytes([content_type, 0xFE, 0xFD]) + epoch.to_bytes(2, "big") + bytes(6) + len(body).to_bytes(2, "big") + body


@given(st.binary(max_size=300))
def test_any_bytes_are_records_or_value_error(data: bytes) -> None:
    for candidate in (data, record(HANDSHAKE, 0, data), record(HANDSHAKE, 0, data)[:-1]):
        try:
            found = records(candidate)
        except ValueError:
            continue
        assert found[0].start == 0
        assert found[-1].end == len(candidate)
        is_sane(candidate, found)


@given(st.lists(st.binary(max_size=700), max_size=8))
def test_packing_keeps_records_whole_and_in_order(bodies: list[bytes]) -> None:
    stream = b"".join(record(HANDSHAKE, 0, body) for body in bodies)
    datagrams = pack(stream, 1200)
    assert b"".join(datagrams) == stream
    for datagram in datagrams:
        assert len(datagram) <= 1200
        assert records(datagram)


@pytest.mark.parametrize(
    ("data", "sane"),
    [
        (record(21, 0, b"\x01\x00"), True),
        (record(21, 1, bytes(26)), True),
        (record(23, 1, bytes(16)), True),
        (record(23, 1, bytes(15)), False),
        (record(23, 1, b""), False),
        (record(23, 0, bytes(40)), False),
        (record(24, 1, bytes(40)), False),
        (record(25, 1, bytes(40)), False),
        (record(22, 0, bytes(11)), False),
    ],
)
def test_what_openssl_may_see(data: bytes, sane: bool) -> None:
    assert is_sane(data, records(data)) is sane
