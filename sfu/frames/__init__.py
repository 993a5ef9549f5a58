"""Frame assembly: RTP packets of one stream to whole encoded frames and explicit losses. No I/O, no clock."""
