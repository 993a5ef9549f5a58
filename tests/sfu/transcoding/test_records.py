"""Records between an sfu and its transcoder."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.formats.codecs import Codec
from sfu.transcoding import records
from sfu.transcoding.records import Begin, Converted, Dropped, End, Packet, Ping, Ready
from sfu.transcoding.worker import STALE_NS, Transcoder
from tests.sfu.transcoding.sound import FRAME_NS, spoken

BEGIN = Begin(5, Codec.G711_ULAW, Codec.OPUS, 0, 111, 99)


@pytest.mark.parametrize(
    "record",
    [
        Packet(1, 2, -3, 4 << 40, b"rtp"),
        Converted(7, b"rtp"),
        BEGIN,
        End(5),
        Ping(),
        Ready(("seccomp",)),
        Dropped({"undecodable": 3}),
    ],
)
def test_a_record_is_read_as_it_was_written(record: records.Record) -> None:
    assert records.decode(records.encode(record)) == record


@given(st.binary(max_size=60) | st.binary(max_size=60).map(lambda data: b"\x01" + data))
def test_nonsense_is_refused(data: bytes) -> None:
    try:
        records.decode(data)
    except ValueError:
        return


def test_a_transcoder_converts_what_has_begun_and_counts_the_rest() -> None:
    transcoder = Transcoder()
    assert transcoder.take(records.encode(BEGIN), 0) == []
    packets = list(spoken(Codec.G711_ULAW, 10, 0))
    sent = [
        out
        for n, rtp in enumerate(packets)
        for out in transcoder.take(records.encode(Packet(5, 1, n, n * FRAME_NS, rtp)), n * FRAME_NS)
    ]
    assert len(sent) == 10
    assert all(isinstance(out, Converted) and out.conversion == 5 for out in sent)
    transcoder.take(b"", 0)
    transcoder.take(records.encode(Packet(5, 1, 10, 0, b"no RTP")), 0)
    transcoder.take(records.encode(End(5)), 0)
    transcoder.take(records.encode(Packet(5, 1, 11, 0, packets[0])), 0)
    transcoder.take(records.encode(Packet(5, 1, 12, 0, packets[0])), STALE_NS + 1)
    dropped = Dropped({"bad_record": 1, "malformed": 1, "stale": 1, "unknown_conversion": 1})
    assert transcoder.take(records.encode(Ping()), 0) == [dropped]
    assert transcoder.take(records.encode(Ping()), 0) == [Dropped({})]
