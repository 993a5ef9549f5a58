"""A room's last minute is kept, bounded, without secrets, and gives the same decisions when replayed."""

import contextlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.api import signaling
from sfu.flight import dump as flight_dump
from sfu.flight.recorder import SPAN_NS, Entry, FlightRecorder, Kind, entries
from sfu.flight.replay import replay
from tests.sfu.rooms.simulcast_call import Call
from tests.sfu.rooms.stage import MS, SECOND, Stage
from tests.support.link_model import LinkSettings


def kept(flight: FlightRecorder) -> list[Entry]:
    return list(entries(flight.raw()))


def dumped(stage: Stage) -> tuple[flight_dump.Header, list[Entry]]:
    return flight_dump.read(stage.node.rooms["r"].dump_flight("asked for", stage.now))


@given(st.lists(st.tuples(st.sampled_from(Kind), st.text(max_size=40), st.binary(max_size=300)), max_size=50))
def test_what_was_noted_is_read_back(notes):
    flight = FlightRecorder()
    told = [Entry(at, kind, who, data) for at, (kind, who, data) in enumerate(notes)]
    for entry in told:
        flight.note(*entry)
    assert kept(flight) == told


@given(st.binary(max_size=200))
def test_whatever_the_bytes_they_are_read_or_refused(data):
    with contextlib.suppress(ValueError):
        flight_dump.read(data)
    with contextlib.suppress(ValueError):
        assert all(isinstance(entry, Entry) for entry in entries(data))


def test_what_is_over_a_minute_old_is_forgotten():
    flight = FlightRecorder()
    for second in range(200):
        flight.note(second * SECOND, Kind.RTCP, "ann", bytes(100))
    ages = [199 * SECOND - entry.at for entry in kept(flight)]
    assert max(ages) == SPAN_NS
    assert flight.forgotten_before == 199 * SECOND - SPAN_NS


def test_memory_is_bounded_whatever_is_noted():
    flight = FlightRecorder(max_bytes=300_000)
    for number in range(20_000):
        flight.note(number * MS // 10, Kind.RTCP, "ann", bytes(1000))
    assert len(flight.raw()) <= 300_000 + 66_000
    assert kept(flight)[-1].at == 19_999 * MS // 10
    assert flight.forgotten_before == kept(flight)[0].at


def test_a_calls_decisions_are_kept_and_come_out_the_same_when_run_again():
    call = Call(LinkSettings(rate=5_000_000, delay=20 * MS))
    call.run(4)
    for rate in (600_000, 5_000_000):
        call.viewer.link.change(call.stage.now, rate=rate)
        call.run(6)
    header, notes = dumped(call.stage)
    assert (header.room, header.complete_since_ms) == ("r", 0)
    assert set(Kind) == {note.kind for note in notes}
    done = replay(notes)
    assert min(len(done.grants), len(done.estimates)) > 20
    assert len({tuple(result.recorded.values()) for result in done.grants}) > 1
    assert len({result.recorded for result in done.estimates}) > 10
    assert all(result.recorded == result.replayed for result in (*done.grants, *done.estimates))


def test_a_replay_tells_when_the_machines_decide_otherwise():
    call = Call(LinkSettings(rate=5_000_000, delay=20 * MS))
    call.run(3)
    notes = dumped(call.stage)[1]
    place, last = [(place, note) for place, note in enumerate(notes) if note.kind is Kind.ALLOCATION][-1]
    asked = msgspec.json.decode(last.data)
    asked["estimate"] = 1.0
    notes[place] = last._replace(data=msgspec.json.encode(asked))
    last_grant = replay(notes).grants[-1]
    assert last_grant.recorded != last_grant.replayed


def test_of_an_estimator_whose_beginning_is_lost_nothing_is_told():
    call = Call(LinkSettings(rate=5_000_000, delay=20 * MS))
    call.run(2)
    notes = dumped(call.stage)[1]
    begun = next(place for place, note in enumerate(notes) if note.kind is Kind.ESTIMATOR)
    assert replay(notes[begun + 1 :]).estimates == []


def test_a_dump_is_readable_and_holds_no_secret_and_nothing_that_was_written():
    call = Call(LinkSettings(rate=5_000_000, delay=20 * MS))
    call.run(1)
    resume = call.bob.last(signaling.RoomInfo).resume
    passwords = [line for line in call.bob.last(signaling.Offer).sdp.splitlines() if "ice-pwd" in line]
    call.stage.say(call.bob, signaling.Chat(text="between us"))
    dump = call.stage.node.rooms["r"].dump_flight("asked for", call.stage.now)
    text = b"".join(flight_dump.lines(dump)).decode()
    assert all(msgspec.json.decode(line) for line in text.splitlines())
    assert "transport_feedback" in text.lower() or "TransportFeedback" in text
    assert '"kind":"client_said","who":"bob"' in text
    for secret in (resume, "between us", *passwords):
        assert secret not in text
        assert secret.encode() not in dump


def test_a_fault_keeps_what_led_to_it():
    stage = Stage()
    stage.join("ann")
    stage.node.fault(stage.now)
    (failure,) = stage.node.context.outbox.failures
    assert flight_dump.read(failure.dump)[0].reason == "fault"


@pytest.mark.parametrize("dump", [b"", b"{}", b'{"parley":"flight"}\n', b"PK\n"])
def test_other_files_are_refused(dump):
    with pytest.raises(ValueError):
        flight_dump.read(dump)
