"""The recorder's metrics. None has a label for rooms, recordings or participants, whose number is unbounded."""

import errno

from prometheus_client import Counter, Gauge, Histogram

from foundation.broadcasts import OutputState

ATTACHED = Gauge("parley_recorder_attached", "Sfu processes that the recorder is attached to")
RECORDINGS = Gauge("parley_recorder_recordings", "Recordings on this machine that are not finished", ["state"])
STREAMS = Gauge("parley_recorder_streams", "Streams being captured")
SEGMENTS = Counter("parley_recorder_segments_total", "Segments closed")
BYTES = Counter("parley_recorder_bytes_total", "Bytes of media written to segments")
FRAMES = Counter("parley_recorder_frames_total", "Frames written", ["media"])
LOST_PACKETS = Counter("parley_recorder_lost_packets_total", "Packets outside complete frames", ["reason"])
DROPPED_FRAMES = Counter("parley_recorder_dropped_frames_total", "Complete frames that were not written", ["reason"])
DROPPED_RECORDS = Counter("parley_recorder_dropped_records_total", "Sink records that were ignored", ["reason"])
DISK_ERRORS = Counter(
    "parley_recorder_disk_errors_total", "Writes that the disk refused, by the name of the error", ["errno"]
)
UPLOADS = Counter(
    "parley_recorder_uploads_total", "Segments by the outcome of their upload to the object store", ["outcome"]
)
LAG = Gauge("parley_recorder_lag_seconds", "Time from the last packet's arrival at the sfu until its frame was written")
SYNC_SECONDS = Histogram("parley_recorder_sync_seconds", "Duration of syncing segments to disk")
FINISH_SECONDS = Histogram(
    "parley_recorder_finish_seconds",
    "Duration of finishing a recording",
    buckets=(0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000),
)
FACTS = Counter("parley_recorder_facts_total", "Facts for control, by outcome", ["outcome"])
FOLLOWED = Gauge("parley_recorder_followed_recordings", "Running recordings whose films are being made")
BROADCASTS = Gauge("parley_recorder_broadcasts", "Rooms that are being broadcast")
BROADCAST_OUTPUTS = Gauge("parley_recorder_broadcast_outputs", "Outputs of broadcasts, by phase", ["phase"])
BROADCAST_BITS = Gauge("parley_recorder_broadcast_bits_per_second", "Bits per second that all outputs deliver")
BROADCAST_DELAY = Gauge(
    "parley_recorder_broadcast_delay_seconds", "Longest delay from capture to delivery by an output"
)
BROADCAST_BYTES = Counter("parley_recorder_broadcast_bytes_total", "Bytes delivered by outputs", ["kind"])
BROADCAST_DROPPED = Counter(
    "parley_recorder_broadcast_dropped_frames_total", "Pictures that an output could not deliver in time", ["kind"]
)
BROADCAST_FAILURES = Counter(
    "parley_recorder_broadcast_failures_total",
    "Connections to targets that outputs lost or could not establish",
    ["kind"],
)
# Start at 0: an alert needs a value from before a change, and a dashboard shows 0 instead of no data.
for _family, _labels in (
    (FRAMES, ("audio", "video")),
    (LOST_PACKETS, ("expired", "missed", "overflow", "incomplete", "malformed")),
    (DROPPED_FRAMES, ("before_keyframe", "disk")),
    (DISK_ERRORS, ("ENOSPC", "EIO", "EDQUOT", "EROFS")),
    (UPLOADS, ("stored", "refused", "missing", "overflowed")),
    (BROADCAST_OUTPUTS, ("waiting", "connecting", "live", "retrying")),
    (BROADCAST_BYTES, ("rtmp", "hls", "srt")),
    (BROADCAST_DROPPED, ("rtmp", "hls", "srt")),
    (BROADCAST_FAILURES, ("rtmp", "hls", "srt")),
    (FACTS, ("acknowledged", "refused", "dropped", "overflowed")),
):
    for _label in _labels:
        _family.labels(_label)


_outputs: dict[str, list[OutputState]] = {}


def note_outputs(broadcast: str, states: list[OutputState]) -> None:
    """Update the metrics of a broadcast's outputs; an ended broadcast has none."""
    _outputs[broadcast] = states
    if not states:
        del _outputs[broadcast]
    known = [state for of_one in _outputs.values() for state in of_one]
    for phase in ("waiting", "connecting", "live", "retrying"):
        BROADCAST_OUTPUTS.labels(phase).set(sum(state.phase == phase for state in known))
    BROADCAST_BITS.set(sum(state.bits_per_second for state in known))
    BROADCAST_DELAY.set(max((state.delay_ms for state in known), default=0) / 1000)


def name_of(error: OSError) -> str:
    """Return the name of a disk's error, such as ENOSPC."""
    return errno.errorcode.get(error.errno or 0, "other")


def count_facts(outcome: str, number: int) -> None:
    """Count facts that had an outcome (sfu.api.fact_reporter)."""
    FACTS.labels(outcome).inc(number)


def drop_unsent(reason: str) -> None:
    """Count a record that the sfu did not accept (sfu.api.sink_client)."""
    DROPPED_RECORDS.labels(f"send_{reason}").inc()
