"""The metrics of ingress. None has a label for rooms or streams, whose number is unbounded."""

from prometheus_client import Counter, Gauge

STREAMS = Gauge("parley_ingress_streams", "Streams that are being taken in", ["protocol"])
CONNECTIONS = Gauge("parley_ingress_connections", "RTMP connections")
REFUSED = Counter("parley_ingress_refused_total", "Connections and streams refused, by reason", ["reason"])
BYTES = Counter("parley_ingress_bytes_total", "Bytes of media that arrived", ["protocol"])
DROPPED = Counter("parley_ingress_dropped_pictures_total", "Pictures that were not sent into the room", ["reason"])
RESENT = Counter("parley_ingress_resent_packets_total", "Packets sent again because the node missed them")
FETCHES = Counter("parley_ingress_fetches_total", "Requests for content of URLs, by outcome", ["outcome"])
