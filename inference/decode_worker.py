"""The worker that decodes audio: sink records in, speech out. No network, no secrets, no database, no files.

Started as `python -m inference.decode_worker FD VAD_MODEL NICE` with a Unix stream socket at FD. It decodes Opus with
libopus, detects speech and cuts it into utterances. It ends when its socket closes.
"""

import sys
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from foundation import confinement
from inference import messages
from inference.audio.opus import SAMPLE_RATE, Samples
from inference.audio.track_audio import Span, TrackAudio
from inference.speech.endpointing import CHUNK, Endpointer, Piece
from inference.speech.voice_activity import VoiceActivity, VoiceState
from inference.workers.loop import confined_channel, serve
from sfu.api import sink_records
from sfu.api.sink_records import MissedRecord, PacketRecord, TrackClosed, TrackMuteChanged, TrackOpened

MEMORY_BYTES = 3 << 30
MAX_TRACKS = 1000
_MILLISECOND = 1_000_000


@dataclass(slots=True)
class _Track:
    """One open stream: its decoder, chunks waiting for the model, the model's state, and the current utterance."""

    opened: TrackOpened
    audio: TrackAudio = field(default_factory=TrackAudio)
    voice: VoiceState = field(default_factory=VoiceState)
    endpointer: Endpointer = field(default_factory=Endpointer)
    chunks: deque[tuple[int, Samples]] = field(default_factory=deque)
    rest: Samples = field(default_factory=lambda: np.zeros(0, np.int16))
    rest_start: int = 0
    counted_late: int = 0
    counted_undecodable: int = 0


class SpeechFinder:
    """State of all tracks of a worker. Each record or tick returns messages to send. Times are CLOCK_MONOTONIC ns."""

    def __init__(self, activity: VoiceActivity) -> None:
        self._activity = activity
        self._tracks: dict[int, _Track] = {}
        self._drops: Counter[str] = Counter()
        self._decoded = 0
        self._voiced = 0

    def take(self, data: bytes) -> list[messages.AnyMessage]:
        """Process one sink record."""
        out: list[messages.AnyMessage] = []
        try:
            record = sink_records.decode(data)
        except ValueError:
            self._drops["bad_record"] += 1
            return out
        match record:
            case PacketRecord(handle, ext_seq, arrival, rtp) if handle in self._tracks:
                out = self._packet(self._tracks[handle], ext_seq, arrival, rtp)
            case PacketRecord():
                self._drops["unknown_track"] += 1
            case MissedRecord(handle, first, count) if handle in self._tracks:
                self._drops["missed"] += count
                out = self._queue(self._tracks[handle], self._tracks[handle].audio.missed(first, count))
            case TrackOpened(media="audio"):
                out = self._open(record)
            case TrackClosed(handle=handle):
                out = [*self._close(handle), messages.TrackEnded(handle=handle)]
            case TrackMuteChanged(handle=handle, muted=True) if handle in self._tracks:
                out = self._flush(self._tracks[handle])
            case _:
                pass  # video, and records for other sinks
        return out

    def tick(self, now: int) -> list[messages.AnyMessage]:
        """Do the work that is due: give up late packets, fill stalls with silence, detect speech in new audio."""
        out: list[messages.AnyMessage] = []
        for track in self._tracks.values():
            out += self._queue(track, track.audio.advance(now))
        return out + self._listen()

    def counts(self) -> messages.DecodeCounts:
        """Return and reset the counters."""
        for track in self._tracks.values():
            self._count(track)
        rate = SAMPLE_RATE // 1000
        report = messages.DecodeCounts(
            decoded_ms=self._decoded // rate, voiced_ms=self._voiced * CHUNK // rate, drops=dict(self._drops)
        )
        self._decoded, self._voiced = 0, 0
        self._drops.clear()
        return report

    def _open(self, opened: TrackOpened) -> list[messages.AnyMessage]:
        out = self._close(opened.handle)
        if opened.codec.lower() != "opus":
            self._drops["codec"] += 1
        elif len(self._tracks) >= MAX_TRACKS:
            self._drops["too_many_tracks"] += 1
        else:
            self._tracks[opened.handle] = _Track(opened)
        return out

    def _close(self, handle: int) -> list[messages.AnyMessage]:
        track = self._tracks.get(handle)
        if track is None:
            return []
        out = self._queue(track, track.audio.drain())
        out += self._flush(track)
        self._count(track)
        del self._tracks[handle]
        return out

    def _count(self, track: _Track) -> None:
        late, undecodable = track.audio.late, track.audio.undecodable
        self._drops["late"] += late - track.counted_late
        self._drops["undecodable"] += undecodable - track.counted_undecodable
        track.counted_late, track.counted_undecodable = late, undecodable

    def _packet(self, track: _Track, ext_seq: int, arrival: int, rtp: bytes) -> list[messages.AnyMessage]:
        try:
            return self._queue(track, track.audio.push(ext_seq, arrival, rtp))
        except ValueError:
            self._drops["malformed"] += 1
            return []

    def _queue(self, track: _Track, spans: list[Span]) -> list[messages.AnyMessage]:
        out: list[messages.AnyMessage] = []
        for span in spans:
            if span.restarted:
                out += self._flush(track)
                track.rest_start = span.start
            self._decoded += len(span.samples)
            samples = np.concatenate((track.rest, span.samples))
            whole = len(samples) // CHUNK * CHUNK
            for offset in range(0, whole, CHUNK):
                track.chunks.append((track.rest_start + offset, samples[offset : offset + CHUNK]))
            track.rest = samples[whole:]
            track.rest_start += whole
        return out

    def _flush(self, track: _Track) -> list[messages.AnyMessage]:
        """Run the model on the queued chunks and close the utterance, since a pause has begun."""
        out: list[messages.AnyMessage] = []
        while track.chunks:
            out += self._judge([track])
        out += [self._speech(track, piece) for piece in track.endpointer.finish()]
        track.rest_start += len(track.rest)
        track.rest = np.zeros(0, np.int16)
        return out

    def _listen(self) -> list[messages.AnyMessage]:
        out: list[messages.AnyMessage] = []
        while waiting := [track for track in self._tracks.values() if track.chunks]:
            out += self._judge(waiting)
        return out

    def _judge(self, tracks: list[_Track]) -> list[messages.AnyMessage]:
        """Run the model on the next chunk of each track."""
        heads = [track.chunks.popleft() for track in tracks]
        probabilities = self._activity.probabilities([samples for _, samples in heads], [t.voice for t in tracks])
        out: list[messages.AnyMessage] = []
        for track, (start, samples), probability in zip(tracks, heads, probabilities, strict=True):
            self._voiced += probability >= track.endpointer.thresholds.on
            out += [self._speech(track, piece) for piece in track.endpointer.push(start, samples, probability)]
        return out

    def _speech(self, track: _Track, piece: Piece) -> messages.Speech:
        return messages.Speech(
            handle=track.opened.handle,
            begin=piece.begin,
            start_ms=self._meeting_ms(track, piece.begin),
            end_ms=self._meeting_ms(track, piece.end),
            samples=piece.end - piece.begin,
            voiced_ms=piece.voiced_ms,
            pcm=piece.samples.astype("<i2").tobytes(),
            paused=piece.paused,
            final=piece.final,
            discard=piece.discard,
        )

    def _meeting_ms(self, track: _Track, sample: int) -> int:
        return max(0, (track.audio.clock.at(sample) - track.opened.opened_at) // _MILLISECOND)


def main(arguments: list[str]) -> None:
    """Run the worker until its socket closes."""
    descriptor, model, nice = int(arguments[0]), Path(arguments[1]), int(arguments[2])
    confinement.limit(memory_bytes=MEMORY_BYTES, nice=nice)
    activity = VoiceActivity(model)
    activity.probabilities([np.full(CHUNK, 1000, np.int16)], [VoiceState()])
    TrackAudio()
    with confined_channel(descriptor) as channel:
        serve(channel, SpeechFinder(activity))


if __name__ == "__main__":
    main(sys.argv[1:])
