"""The metrics of ingress. None has a label for rooms or streams, whose number is unbounded."""

from prometheus_client import Counter, Gauge

STREAMS = Gauge("parley_ingress_streams", "Running streams", ["protocol"])
CONNECTIONS = Gauge("parley_ingress_connections", "RTMP connections")
REFUSED = Counter("parley_ingress_refused_total", "Connections and streams refused, by reason", ["reason"])
BYTES = Counter("parley_ingress_bytes_total", "Bytes of media received", ["protocol"])
DROPPED = Counter("parley_ingress_dropped_frames_total", "Frames of video skipped, by reason", ["reason"])
RESENT = Counter("parley_ingress_resent_packets_total", "Packets retransmitted because the sfu requested them")
FETCHES = Counter("parley_ingress_fetches_total", "HTTP requests for content of URLs, by outcome", ["outcome"])
