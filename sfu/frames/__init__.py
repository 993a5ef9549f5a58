"""Frame assembly: turns RTP packets of one stream into complete encoded frames and explicit losses. No I/O, no
clock.
"""
