"""Telephone audio (RFC 3551): the codecs' static payload types, and their RTP clock."""

from sfu.formats.codecs import Codec

PAYLOAD_TYPES = {Codec.G711_ULAW: 0, Codec.G711_ALAW: 8, Codec.G722: 9}
CLOCK_RATE = 8000
"""The RTP clock rate of all these codecs. G.722's is half its sampling rate, a historical error (RFC 3551, section
4.5.2).
"""
