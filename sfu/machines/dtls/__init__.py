"""DTLS-SRTP (RFC 5764) without a socket."""
