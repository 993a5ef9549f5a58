"""A sink of live media that prints, for each picture, its timestamp (s) and how old it is (ms).

python -m tests.parley.clock_sink rtmp://127.0.0.1:PORT/live/KEY    as an RTMP server for one publisher
gst-launch-1.0 -q srtsrc … ! fdsink | python -m tests.parley.clock_sink -    an MPEG transport stream
"""

import sys

import av

from tests.support.clock_pictures import age


def watch(source: str) -> None:
    options = {"fflags": "nobuffer", "probesize": "100000"}
    if source != "-":
        options |= {"listen": "1", "timeout": "60"}
    where = sys.stdin.buffer if source == "-" else source
    with av.open(where, format="mpegts" if source == "-" else None, options=options) as container:
        container.streams.video[0].codec_context.options = {"flags": "low_delay"}
        for frame in container.decode(video=0):
            print(f"{frame.time:.3f} {age(frame.to_ndarray()[: frame.height])}", flush=True)


if __name__ == "__main__":
    watch(sys.argv[1])
