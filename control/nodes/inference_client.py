"""Client of inference's HTTP API. Control authorizes requests, since inference does not know users."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from control.problem import Problem
from foundation.answer_body import read_body
from foundation.failures import describe

_SHORT = aiohttp.ClientTimeout(total=10, connect=3)
_LONG = aiohttp.ClientTimeout(total=None, connect=5, sock_read=300)
_MAX_LINE = 1024 * 1024


class InferenceFailed(Exception):
    """Inference failed; `again` is true if a retry may help."""

    def __init__(self, detail: str, *, again: bool) -> None:
        super().__init__(detail)
        self.again = again


class InferenceClient:
    """Client of one inference process."""

    def __init__(self, url: str, secret: str, http: aiohttp.ClientSession) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {secret}"}
        self._http = http

    async def ask(self, what: str) -> dict[str, Any]:
        """Return the JSON of `/ai/v1/{what}`; raises Problem 503 if inference does not answer."""
        try:
            async with self._http.get(f"{self._url}/ai/v1/{what}", headers=self._headers, timeout=_SHORT) as answer:
                data = await answer.read()
                if answer.status == 200:
                    return msgspec.json.decode(data, type=dict[str, Any])
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
            raise _unavailable() from error
        raise _unavailable()

    def transcribe(self, path: Path, languages: list[str]) -> AsyncIterator[dict[str, Any]]:
        """Recognise speech in a file and yield the records `segment`, `progress`, `done`; raises InferenceFailed."""
        return self._lines("asr", path, {"language": ",".join(languages)})

    def emotions(self, path: Path) -> AsyncIterator[dict[str, Any]]:
        """Analyse a file and yield the records `progress`, then `findings`; raises InferenceFailed."""
        return self._lines("emotion", path, {})

    async def _lines(self, what: str, path: Path, params: dict[str, str]) -> AsyncIterator[dict[str, Any]]:
        url = f"{self._url}/ai/v1/{what}"
        try:
            with path.open("rb") as file:
                async with self._http.post(
                    url, data=file, params=params, headers=self._headers, timeout=_LONG
                ) as answer:
                    await _check(answer)
                    async for line in answer.content:
                        said = msgspec.json.decode(line, type=dict[str, Any])
                        if "error" in said:
                            raise InferenceFailed(str(said["error"]), again=False)
                        yield said
        except (aiohttp.ClientError, TimeoutError, ValueError, OSError) as error:
            raise InferenceFailed(describe(error), again=True) from error

    async def judge_synthesis(self, path: Path, medium: str) -> dict[str, Any]:
        """Return the verdict on whether a file is synthetic; raises InferenceFailed."""
        url = f"{self._url}/ai/v1/synthesis"
        try:
            with path.open("rb") as file:
                async with self._http.post(
                    url, data=file, params={"medium": medium}, headers=self._headers, timeout=_LONG
                ) as answer:
                    await _check(answer)
                    return msgspec.json.decode(await answer.read(), type=dict[str, Any])
        except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError, OSError) as error:
            raise InferenceFailed(describe(error), again=True) from error


async def _check(answer: aiohttp.ClientResponse) -> None:
    if answer.status == 200:
        return
    text = (await read_body(answer, _MAX_LINE)).decode(errors="replace")
    try:
        detail = str(msgspec.json.decode(text, type=dict[str, Any]).get("detail", text))
    except msgspec.DecodeError:
        detail = text[:200]
    raise InferenceFailed(detail, again=answer.status in {429, 502, 503})


def _unavailable() -> Problem:
    return Problem(503, "ai_unavailable", "Inference is not answering.", {"Retry-After": "10"})
