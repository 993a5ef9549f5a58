"""Admission to a QUIC listener in simulated time: immediate handshakes, retries, and the state kept per client."""

import os
from collections import Counter

import pytest
from aioquic.h3.connection import H3_ALPN
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from hypothesis import given
from hypothesis import strategies as st

from sfu.api.quic_admission import Outcome, QuicAdmission, Verdict

SECOND = 1_000_000_000
HERE = ("192.0.2.1", 4000)
SERVER = ("192.0.2.9", 443)
VERSIONS = QuicConfiguration().supported_versions


def client() -> QuicConnection:
    made = QuicConnection(configuration=QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN, server_name="x"))
    made.connect(SERVER, now=0.0)
    return made


def first(one: QuicConnection) -> bytes:
    return one.datagrams_to_send(now=0.0)[0][0]


def busy(at: int = 0) -> QuicAdmission:
    """An admission in which at `at` as many handshakes have begun as are allowed without address validation."""
    door = QuicAdmission(VERSIONS)
    data = first(client())
    while door.judge(data, HERE, {}, at).outcome is Outcome.ADMITTED:
        pass
    return door


def test_a_few_begin_at_once_and_many_are_asked_to_come_back() -> None:
    door, data = QuicAdmission(VERSIONS), first(client())
    seen = Counter(door.judge(data, (f"192.0.2.{n % 250}", n), {}, n * SECOND // 500).outcome for n in range(500))
    assert seen[Outcome.ADMITTED] < 15
    assert seen[Outcome.RETRY] > 480


def test_who_comes_back_with_the_token_begins_with_the_ids_that_the_library_needs() -> None:
    door, one = busy(), client()
    sent = first(one)
    asked = door.judge(sent, HERE, {}, 0)
    assert asked.outcome is Outcome.RETRY
    assert len(asked.answer) < len(sent)
    one.receive_datagram(asked.answer, SERVER, now=0.0)
    again = first(one)
    begun = door.judge(again, HERE, {}, SECOND // 100)
    assert begun.outcome is Outcome.PROVED
    assert begun.original_destination == one.original_destination_connection_id
    assert begun.destination == begun.retry_source == again[6 : 6 + again[5]]


@pytest.mark.parametrize("address", [("192.0.2.2", 4000), ("192.0.2.1", 4001)])
def test_a_token_holds_for_its_address_alone(address: tuple[str, int]) -> None:
    door, one = busy(), client()
    one.receive_datagram(door.judge(first(one), HERE, {}, 0).answer, SERVER, now=0.0)
    assert door.judge(first(one), address, {}, SECOND // 100).outcome is Outcome.RETRY


def test_a_token_does_not_hold_for_ever() -> None:
    door, one = busy(), client()
    one.receive_datagram(door.judge(first(one), HERE, {}, 0).answer, SERVER, now=0.0)
    late = 40 * SECOND
    while door.judge(first(client()), HERE, {}, late).outcome is Outcome.ADMITTED:
        pass
    assert door.judge(first(one), HERE, {}, late).outcome is Outcome.RETRY


def proven(door: QuicAdmission, now: int) -> bytes:
    one = client()
    one.receive_datagram(door.judge(first(one), HERE, {}, now).answer, SERVER, now=0.0)
    return first(one)


def test_those_too_begin_at_a_rate_and_may_ask_again() -> None:
    door = busy()
    datagrams = [proven(door, n * SECOND // 1000) for n in range(40)]
    seen = [door.judge(data, HERE, {}, SECOND).outcome for data in datagrams]
    assert 0 < seen.count(Outcome.PROVED) < 10
    assert set(seen) == {Outcome.PROVED, Outcome.BUSY}
    assert door.judge(datagrams[-1], HERE, {}, 2 * SECOND).outcome is Outcome.PROVED


def test_what_belongs_to_a_connection_passes_and_a_full_listener_takes_no_more() -> None:
    door, data = busy(), first(client())
    known = {data[6 : 6 + data[5]], b"12345678"}
    for one in (data, data[:600], b"\x40" + b"12345678" + bytes(30)):
        assert door.judge(one, HERE, known, 0).outcome is Outcome.KNOWN
    assert QuicAdmission(VERSIONS).judge(data, HERE, {}, 0, is_full=True).outcome is Outcome.FULL


def test_other_versions_are_left_to_the_library_at_a_rate_and_only_when_the_datagram_is_long() -> None:
    data = first(client())
    other = data[:1] + b"\x1a\x2a\x3a\x4a" + data[5:]
    door = QuicAdmission(VERSIONS)
    assert door.judge(other, HERE, {}, 0) == Verdict(Outcome.OTHER_VERSION)
    assert door.judge(other[:1100], HERE, {}, 0).outcome is Outcome.STRAY
    seen = {door.judge(other, HERE, {}, 0).outcome for _ in range(500)}
    assert seen == {Outcome.OTHER_VERSION, Outcome.STRAY}


@given(st.binary(max_size=60), st.integers(0, 1500), st.integers(0, 1500))
def test_nothing_that_comes_makes_a_door_fail_or_answer_more_than_it_got(start: bytes, length: int, cut: int) -> None:
    door, real = busy(), first(client())
    for data in (start + bytes(length), real[:cut], real[:7] + start + real[7 + len(start) :]):
        verdict = door.judge(data, HERE, {}, 0)
        assert len(verdict.answer) <= len(data)
        assert verdict.outcome is not Outcome.KNOWN


def test_ids_of_other_lengths_do_not_confuse() -> None:
    door = busy()
    data = first(client())
    for length in (0, 1, 20):
        long = data[:5] + bytes((length,)) + os.urandom(length) + data[6 + data[5] :]
        assert door.judge(long, HERE, {}, 0).outcome in {Outcome.RETRY, Outcome.STRAY}
