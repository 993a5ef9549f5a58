"""Client of a language model behind an OpenAI-compatible endpoint (`POST {url}/chat/completions`).

There is no default endpoint. It is an operator's setting, but still subject to the rules of outgoing requests: HTTPS,
and an address on the public internet, unless it is configured as private.
"""

import aiohttp
import msgspec

from control.config import LanguageModelConfig
from control.events import outgoing
from control.problem import Problem
from foundation.answer_body import read_body

_SECONDS = 300.0
_CONNECT_SECONDS = 10.0
_MAX_ANSWER = 1 << 20
MAX_TEXT = 20_000


class LanguageModelFailed(Exception):
    """The model gave no answer; `again` is true if a retry may help."""

    def __init__(self, detail: str, *, again: bool) -> None:
        super().__init__(detail)
        self.again = again


class _Message(msgspec.Struct, frozen=True):
    content: str | None = None


class _Choice(msgspec.Struct, frozen=True):
    message: _Message


class _Completion(msgspec.Struct, frozen=True):
    choices: list[_Choice]


async def complete(config: LanguageModelConfig, instruction: str, text: str, seconds: float = _SECONDS) -> str:
    """Return the model's answer to `text`, at most MAX_TEXT characters; raises LanguageModelFailed.

    The answer may take `seconds`.
    """
    try:
        outgoing.check_url(config.url, config.private)
    except Problem as problem:
        raise LanguageModelFailed(f"the endpoint may not be called: {problem.detail}", again=False) from problem
    body = {
        "model": config.model,
        "messages": [{"role": "system", "content": instruction}, {"role": "user", "content": text}],
        "temperature": 0.2,
    }
    timeout = aiohttp.ClientTimeout(total=seconds, connect=min(seconds, _CONNECT_SECONDS))
    headers = {"Content-Type": "application/json", "User-Agent": "Parley"}
    if config.key:
        headers["Authorization"] = f"Bearer {config.key}"
    try:
        async with (
            outgoing.session(config.private) as http,
            http.post(
                config.url.rstrip("/") + "/chat/completions",
                data=msgspec.json.encode(body), headers=headers, timeout=timeout, allow_redirects=False,
            ) as answer,
        ):  # fmt: skip
            return _text(answer.status, await read_body(answer, _MAX_ANSWER + 1))
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        cause = error.__cause__ or error
        raise LanguageModelFailed(f"{type(cause).__name__}: {cause}"[:300], again=True) from error


def _text(status: int, data: bytes) -> str:
    if len(data) > _MAX_ANSWER:
        raise LanguageModelFailed("the endpoint's answer is too long", again=False)
    if status != 200:
        raise LanguageModelFailed(f"the endpoint answered {status}", again=status == 429 or status >= 500)
    try:
        completion = msgspec.json.decode(data, type=_Completion)
    except ValueError as error:
        raise LanguageModelFailed("the endpoint's answer is not a completion", again=False) from error
    text = next((choice.message.content for choice in completion.choices if choice.message.content), "").strip()
    if not text:
        raise LanguageModelFailed("the model's answer is empty", again=False)
    return text[:MAX_TEXT]
