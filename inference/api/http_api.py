"""Inference's HTTP API on a private address: files for control; health and metrics for everyone who can reach it.

    GET  /health, /health/live, /metrics
    GET  /ai/v1/{info,health,streams,stats}
    GET  /ai/v1/streams/{room}/{track}    the analysis of a live track; 404 if it is not analysed
    POST /ai/v1/asr?language=en,es    body: a media file; answer: lines of JSON, {"segment": …} and {"progress": …},
                                      the last one {"done": …} or {"error": "…"}
    POST /ai/v1/emotion                   body: a media file; answer: lines, {"progress": …}, then {"findings": …} or
                                          {"error": "…"}; 409 with the reason while emotion is off
    POST /ai/v1/synthesis?medium=voice    body: a media file; answer: {"verdict": …}, even without a model

Everything below /ai/ needs `Authorization: Bearer <node secret>`. The API does not know users; control authorises them.
"""

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import IO, Any, Protocol

import msgspec
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from foundation.node_secret import carries_node_secret
from foundation.part_tls import PartTls, require_certificate
from inference.analysis.analysis import Analysis
from inference.files.emotions import emotions_of_file
from inference.files.read import FileError
from inference.files.transcribe import Progress, Segment, transcribe_file
from inference.model_error import ModelError
from inference.recognisers.recogniser import Recogniser
from inference.synthetic.assess import assess_faces, assess_voice
from inference.synthetic.detector import Medium, without_model
from sfu.api.sink_records import TrackOpened

_log = logging.getLogger(__name__)

MAX_FILE_BYTES = 2 << 30
MAX_FILES = 2
_BLOCK = 1 << 20
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Captioning(Protocol):
    """The part of the running process that the API shows."""

    @property
    def recogniser(self) -> Recogniser:
        """The recogniser for speech in files."""
        ...

    @property
    def state(self) -> tuple[bool, str | None]:
        """Return True if captions are available, else False and the reason."""
        ...

    @property
    def voice_model(self) -> Path | None:
        """The voice activity model, once fetched."""
        ...

    @property
    def analysis(self) -> Analysis:
        """The analysis of faces and voices."""
        ...

    def streams(self) -> list[TrackOpened]:
        """The tracks that are being tapped."""
        ...

    def models(self) -> list[dict[str, Any]]:
        """Return the models and their origins."""
        ...


class InferenceApi:
    """The API's application. `serve` runs it until cancelled."""

    def __init__(
        self, captioning: Captioning, node_secret: str, nice: int, scratch: Path | None, tls: PartTls | None = None
    ) -> None:
        self._captioning = captioning
        self._secret = node_secret
        self._tls = tls
        self._nice = nice
        self._scratch = scratch
        self._files = asyncio.Semaphore(MAX_FILES)
        self._transcribed = {"files": 0, "segments": 0, "failed": 0}
        self.port = 0

    async def serve(self, host: str, port: int) -> None:
        """Listen on `host` and `port` (0 allocates one; see `port`) until cancelled; raises OSError if that fails."""
        application = web.Application(middlewares=[require_certificate, self._authorise], client_max_size=_BLOCK)
        application.add_routes(
            [
                web.get("/health", self._health),
                web.get("/health/live", self._live),
                web.get("/metrics", self._metrics),
                web.get("/ai/v1/health", self._health),
                web.get("/ai/v1/info", self._info),
                web.get("/ai/v1/streams", self._streams),
                web.get("/ai/v1/streams/{room}/{track}", self._stream),
                web.get("/ai/v1/stats", self._stats),
                web.post("/ai/v1/emotion", self._emotion),
                web.post("/ai/v1/asr", self._asr),
                web.post("/ai/v1/synthesis", self._synthesis),
            ]
        )
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        try:
            site = web.TCPSite(runner, host, port, ssl_context=None if self._tls is None else self._tls.lenient_server)
            await site.start()
            self.port = runner.addresses[0][1]
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()

    @web.middleware
    async def _authorise(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization", "")
        if request.path.startswith("/ai/") and not carries_node_secret(given, self._secret):
            return _problem(401, "the node secret is missing or wrong")
        return await handler(request)

    async def _live(self, _: web.Request) -> web.Response:
        return _json({"status": "ok"})

    async def _health(self, _: web.Request) -> web.Response:
        available, reason = self._captioning.state
        return _json(
            {"status": "ok", "captions": available, "reason": reason, "model": self._captioning.recogniser.model}
        )

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _info(self, _: web.Request) -> web.Response:
        return _json(
            {
                "models": self._captioning.models(),
                "recogniser": self._captioning.recogniser.model,
                "synthesis": self._detectors(),
                "emotion": self._captioning.analysis.emotion_state(),
            }
        )

    def _detectors(self) -> dict[str, Any]:
        cards = self._captioning.analysis.detection.cards
        return {
            medium.value: msgspec.to_builtins(cards[medium]) if medium in cards else without_model(medium).text
            for medium in Medium
        }

    async def _streams(self, _: web.Request) -> web.Response:
        streams = [
            {
                "room": track.room,
                "participant": track.participant,
                "track": track.track,
                "media": track.media,
                "codec": track.codec,
                "uses": list(track.uses),
            }
            for track in self._captioning.streams()
        ]
        return _json({"streams": streams})

    async def _stream(self, request: web.Request) -> web.Response:
        found = self._captioning.analysis.report(request.match_info["room"], request.match_info["track"])
        return _problem(404, "this track is not analysed") if found is None else _json(found)

    async def _stats(self, _: web.Request) -> web.Response:
        return _json({"streams": len(self._captioning.streams()), **self._transcribed})

    async def _synthesis(self, request: web.Request) -> web.StreamResponse:
        try:
            medium = Medium(request.query.get("medium", "voice"))
        except ValueError:
            return _problem(400, f"medium is one of {', '.join(Medium)}")
        analysis = self._captioning.analysis
        detector = analysis.detection.detector(medium)
        nets = self._captioning.voice_model if medium is Medium.VOICE else analysis.faces
        if detector is None or nets is None:
            return _json({"verdict": msgspec.to_builtins(without_model(medium))})
        assess = assess_voice if medium is Medium.VOICE else assess_faces

        async def judge(file: IO[bytes]) -> web.StreamResponse:
            try:
                verdict = await assess(file.fileno(), detector, nets, self._nice)
            except (FileError, ModelError, OSError) as error:
                return _problem(422, str(error))
            return _json({"verdict": msgspec.to_builtins(verdict)})

        return await self._with_file(request, judge)

    async def _emotion(self, request: web.Request) -> web.StreamResponse:
        analysis = self._captioning.analysis
        faces, voice = analysis.faces, self._captioning.voice_model
        if faces is None or not analysis.emotion:
            return _problem(409, f"emotion is off: {missing(analysis.emotion_state())}")

        async def look(file: IO[bytes]) -> web.StreamResponse:
            found = emotions_of_file(file.fileno(), faces, voice, self._nice)
            return await self._lines(request, found)

        return await self._with_file(request, look)

    async def _asr(self, request: web.Request) -> web.StreamResponse:
        voice = self._captioning.voice_model
        if voice is None or self._captioning.recogniser.model is None:
            return _problem(503, self._captioning.state[1] or "the recogniser is starting")
        languages = [code for code in request.query.get("language", "").split(",") if code]

        async def transcribe(file: IO[bytes]) -> web.StreamResponse:
            found = transcribe_file(file.fileno(), self._captioning.recogniser, voice, self._nice, languages)
            return await self._lines(request, found)

        return await self._with_file(request, transcribe)

    async def _with_file(
        self, request: web.Request, use: Callable[[IO[bytes]], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Receive the body into an unnamed file and answer with `use`."""
        if self._files.locked():
            return _problem(429, f"{MAX_FILES} files are being read; try again later")
        async with self._files:
            with tempfile.TemporaryFile(dir=self._scratch) as file:
                if await _receive(request, file) > MAX_FILE_BYTES:
                    return _problem(413, f"the file is larger than {MAX_FILE_BYTES} bytes")
                file.seek(0)
                return await use(file)

    async def _lines(
        self, request: web.Request, found: AsyncIterator[Segment | Progress | dict[str, Any]]
    ) -> web.StreamResponse:
        """Answer with a line for each result in a file, and one for an error."""
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        self._transcribed["files"] += 1
        try:
            async for item in found:
                self._transcribed["segments"] += isinstance(item, Segment)
                await response.write(_line(item))
        except (FileError, ModelError, OSError) as error:
            self._transcribed["failed"] += 1
            _log.info("cannot process a file: %s", error)
            await response.write(msgspec.json.encode({"error": str(error)}) + b"\n")
        await response.write_eof()
        return response


def missing(state: dict[str, bool]) -> str:
    """Return the first requirement of emotion that is not met."""
    if not state["installed"]:
        return "the extra `parley-sfu[emotion]` is not installed"
    if not state["model"]:
        return "its model is missing: run `parley models fetch faces`"
    return "an administrator must switch it on"


async def _receive(request: web.Request, file: IO[bytes]) -> int:
    """Write the body to `file`, at most one block more than allowed, and return its size."""
    size = 0
    async for block in request.content.iter_chunked(_BLOCK):
        size += len(block)
        if size > MAX_FILE_BYTES:
            break
        await asyncio.to_thread(file.write, block)
    return size


def _line(item: Segment | Progress | dict[str, Any]) -> bytes:
    if isinstance(item, dict):
        return msgspec.json.encode({"findings": item}) + b"\n"
    name = "segment" if isinstance(item, Segment) else "done" if item.done else "progress"
    return msgspec.json.encode({name: item}) + b"\n"


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")


def _problem(status: int, detail: str) -> web.Response:
    body = msgspec.json.encode({"status": status, "detail": detail})
    return web.Response(body=body, status=status, content_type="application/problem+json")
