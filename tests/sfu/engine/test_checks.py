"""Consent checks: the engine answers repetitions of a known one, and leaves everything else to policy."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sfu.engine.checks import MAX_ATTRIBUTES_BYTES, MAX_KEY_BYTES
from sfu.engine.contract import ConsentCheck, Datagram, Engine, LeftoverKind, Outgoing, PeerEntry
from sfu.formats import stun

KEY = b"password-of-the-node"
SOURCES = [("192.0.2.7", 5000), ("2001:db8::7", 5001)]
ELSEWHERE = ("192.0.2.8", 5000)


def check(transaction: bytes = bytes(12), *, priority: int = 100, fingerprint: bool = True) -> bytes:
    message = stun.Message(
        stun.MessageClass.REQUEST, transaction, username="ours:theirs", priority=priority, controlling=7
    )
    return stun.serialize(message, KEY, fingerprint=fingerprint)


def known(mapped: tuple[str, int] = SOURCES[0]) -> ConsentCheck:
    return ConsentCheck(stun.attributes_of(check()), KEY, mapped)


def answering(engine: Engine, source: tuple[str, int] = SOURCES[0]) -> None:
    engine.set_peer(PeerEntry(1))
    for each in (source, ELSEWHERE):
        engine.admit_source(1, each, 0)
    engine.set_address(1, source, 0)
    engine.answer_checks(1, known(source))


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("fingerprint", [True, False])
def test_a_repeated_check_is_answered(engine: Engine, source: tuple[str, int], fingerprint: bool) -> None:
    answering(engine, source)
    assert engine.checked_at(1) == 0
    data = check(b"another one!", fingerprint=fingerprint)
    result = engine.process([Datagram(data, source, 0, 70), Datagram(data, source, 0, 50)], 90)
    response = stun.Message(stun.MessageClass.SUCCESS, b"another one!", xor_mapped_address=source)
    assert result.outgoing == [Outgoing(stun.serialize(response, KEY), source, 0)] * 2
    assert not result.leftovers
    assert engine.checked_at(1) == 70
    assert engine.counters["datagrams_out"] == 2


def test_the_address_of_a_client_behind_us_is_reported(engine: Engine) -> None:
    answering(engine)
    engine.answer_checks(1, known(SOURCES[1]))
    (response,) = engine.process([Datagram(check(), SOURCES[0], 0, 0)], 0).outgoing
    assert stun.parse(response.data).xor_mapped_address == SOURCES[1]


def left(engine: Engine, data: bytes, source: tuple[str, int] = SOURCES[0], local: int = 0) -> bool:
    """Return whether the engine leaves a datagram unchanged to policy."""
    result = engine.process([Datagram(data, source, local, 5)], 5)
    return not result.outgoing and [entry.data for entry in result.leftovers if entry.kind is LeftoverKind.STUN] == [
        data
    ]


def test_everything_else_is_left_to_policy(engine: Engine) -> None:
    answering(engine)
    assert left(engine, check(), ELSEWHERE)
    assert left(engine, check(), local=1)
    assert left(engine, check(priority=101))
    data = check()
    for where in set(range(1, len(data))) - set(range(8, 20)):  # except the transaction id
        assert left(engine, data[:where] + bytes([data[where] ^ 1]) + data[where + 1 :])
    assert left(engine, data[:-8] + data[-8:] * 2)
    forged = data[: -8 - 20] + bytes(20)
    assert left(engine, forged + stun.serialize(stun.Message(stun.MessageClass.REQUEST, bytes(12)))[-8:])
    assert left(engine, forged[:2] + (len(forged) - 20).to_bytes(2, "big") + forged[4:])
    assert engine.checked_at(1) == 0
    engine.set_address(1, ELSEWHERE, 0)
    assert left(engine, data)
    engine.answer_checks(1, None)
    assert left(engine, data, ELSEWHERE)


def test_checks_that_are_too_long_are_refused(engine: Engine) -> None:
    answering(engine)
    for attributes, key in ((bytes(MAX_ATTRIBUTES_BYTES + 1), KEY), (b"", bytes(MAX_KEY_BYTES + 1))):
        with pytest.raises(ValueError, match="a check has at most"):
            engine.answer_checks(1, ConsentCheck(attributes, key, SOURCES[0]))
    with pytest.raises(KeyError):
        engine.answer_checks(2, None)
    assert not left(engine, check())


@given(st.binary(max_size=300), st.integers(0, 150), st.integers(0, 255))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_tolerated(engine: Engine, tail: bytes, where: int, value: int) -> None:
    answering(engine)
    data = bytearray(check() + tail)
    data[where % len(data)] = value
    engine.process([Datagram(bytes(data), SOURCES[0], 0, 0), Datagram(bytes(tail), SOURCES[0], 0, 0)], 0)
