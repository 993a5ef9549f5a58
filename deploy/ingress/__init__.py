"""Ingress: live streams over RTMP and from URLs, as participants of rooms."""
