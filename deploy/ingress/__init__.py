"""Live streams that come in by RTMP or from URLs, as participants of rooms."""
