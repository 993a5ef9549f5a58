"""Captions reach LiveKit's clients in both forms of their protocol: transcriptions, and text streams of a topic."""

from livekit.protocol import models

from sfu.api.signaling import Caption
from sfu.livekit.chat import ChatReader, caption_packets


def caption(rev: int, text: str, *, final: bool) -> Caption:
    return Caption(
        v=1, meeting="m", participant="p", track="t", utterance="u", rev=rev, final=final, start_ms=1000, end_ms=2000,
        lang="fr", text=text, model="script",
    )  # fmt: skip


def packets(said: Caption) -> list[models.DataPacket]:
    found = [models.DataPacket.FromString(data) for data in caption_packets(said, "ada", "PA_p", "TR_t", 5)]
    assert {(packet.participant_identity, packet.participant_sid) for packet in found} == {("ada", "PA_p")}
    return found


def test_a_caption_is_a_transcription_and_a_text_stream() -> None:
    transcription, header, chunk, trailer = packets(caption(2, "à demain", final=True))
    (segment,) = transcription.transcription.segments
    assert (transcription.transcription.track_id, segment.id, segment.text, segment.final, segment.language) == (
        "TR_t",
        "u",
        "à demain",
        True,
        "fr",
    )
    begun = header.stream_header
    assert (begun.topic, begun.timestamp, begun.total_length) == ("lk.transcription", 5, len("à demain".encode()))
    assert begun.attributes == {
        "lk.segment_id": "u",
        "lk.transcribed_track_id": "TR_t",
        "lk.transcription_final": "true",
    }
    assert chunk.stream_chunk.content.decode() == "à demain"
    assert {begun.stream_id, chunk.stream_chunk.stream_id, trailer.stream_trailer.stream_id} == {begun.stream_id}


def test_each_revision_is_a_stream_of_its_own() -> None:
    first, last = (packets(caption(rev, "x", final=bool(rev)))[1].stream_header for rev in (0, 1))
    assert first.stream_id != last.stream_id
    assert [one.attributes["lk.transcription_final"] for one in (first, last)] == ["false", "true"]


def test_captions_are_not_read_as_chat() -> None:
    reader = ChatReader()
    assert [reader.take(packet) for packet in packets(caption(0, "hello", final=True))] == [None] * 4
