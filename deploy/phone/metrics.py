"""The metrics of phone. None has a label for meetings or numbers, whose number is unbounded."""

from prometheus_client import Counter, Gauge

CALLS = Gauge("parley_phone_calls", "Calls under way", ["direction"])
ENDED = Counter("parley_phone_ended_calls_total", "Calls that have ended, by reason", ["direction", "reason"])
REFUSED = Counter("parley_phone_refused_total", "Messages of SIP refused, by reason", ["reason"])
DROPPED = Counter("parley_phone_dropped_packets_total", "Datagrams of phones not played, by reason", ["reason"])
CONCEALED = Counter("parley_phone_concealed_seconds_total", "Audio of phones that was made up for lost packets")
LATE_FRAMES = Counter("parley_phone_skipped_frames_total", "Frames of 20 ms skipped because this process was too busy")
REGISTERED = Gauge("parley_phone_registered", "1 while the trunk has registered us, 0 while it has not", ["trunk"])
