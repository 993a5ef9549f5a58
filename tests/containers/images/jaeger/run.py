"""Stand-in for Jaeger: it takes OTLP over HTTP and counts spans by name; ports 16686 and 13133 return the counts.

Arguments are ignored.
"""

import asyncio
import collections
import http.server
import json
import pathlib
import threading

from oteltap import OtelTapHttpProtobufReceiver, OtelTapHttpProtobufReceiverSettings

seen: collections.Counter[str] = collections.Counter()


class Counts(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps(dict(seen)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


async def main() -> None:
    settings = OtelTapHttpProtobufReceiverSettings(http_port=4318, listen_on_all_interfaces=True)
    async with OtelTapHttpProtobufReceiver(settings) as tap:
        print("receiving", flush=True)
        async for span in tap.stream_traces():
            seen[span.name] += 1


# The volume must be writable, as it must be for Jaeger's own store.
pathlib.Path("/badger/probe").write_text("ok")
for port in (13133, 16686):
    server = http.server.ThreadingHTTPServer(("0.0.0.0", port), Counts)
    threading.Thread(target=server.serve_forever, daemon=True).start()
asyncio.run(main())
