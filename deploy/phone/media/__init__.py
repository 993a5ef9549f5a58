"""Audio of phone calls without I/O: session descriptions, RTP, jitter buffers, codecs, keys, mixing."""
