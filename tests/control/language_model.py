"""A scripted language model behind an OpenAI-compatible endpoint on loopback."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp.web

from control.config import LanguageModelConfig


class Model:
    """Answers like an OpenAI-compatible endpoint: with `answer`, or what `script` makes of the user's message."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.status = 200
        self.answer: Any = {"choices": [{"message": {"role": "assistant", "content": " They greeted. "}}]}
        self.script: Callable[[str], str] | None = None
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def handle(self, request: aiohttp.web.Request) -> aiohttp.web.Response:
        asked = await request.json()
        self.asked.append((request.headers.get("Authorization"), asked))
        await self.may_answer.wait()
        answer = self.answer
        if self.script is not None:
            content = self.script(asked["messages"][1]["content"])
            answer = {"choices": [{"message": {"role": "assistant", "content": content}}]}
        return aiohttp.web.json_response(answer, status=self.status)


@contextlib.asynccontextmanager
async def running_model() -> AsyncIterator[tuple[Model, LanguageModelConfig]]:
    """Run a model; yields it with the configuration that leads to it."""
    answering, app = Model(), aiohttp.web.Application()
    app.router.add_post("/v1/chat/completions", answering.handle)
    runner = aiohttp.web.AppRunner(app)
    await runner.setup()
    await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield answering, LanguageModelConfig(url=url, model="llm-1", key="k", private=True)
    finally:
        await runner.cleanup()
