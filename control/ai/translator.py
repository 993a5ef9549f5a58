"""Translator of captions: a few calls of the language model at once, and one per caption and language.

A model that failed is left alone for a moment, so that neither it nor readers wait for each line.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from prometheus_client import Counter

from control.ai import translation
from control.ai.language_model import LanguageModelFailed, complete
from control.config import LanguageModelConfig
from foundation.background import cancel_all

_log = logging.getLogger(__name__)
_LINES = Counter("parley_control_translated_lines_total", "Captions given to the language model", ["outcome"])
for _outcome in ("translated", "omitted", "failed", "refused"):
    _LINES.labels(_outcome)
_MAX_CALLS = 4
_MAX_WAITING = 40
_CALL_SECONDS = 10.0
_LINE_SECONDS = 1.0
_PAUSE_SECONDS = 5.0
_LONG_PAUSE_SECONDS = 60.0

Key = tuple[str, str, str]
"""A meeting, an utterance and a language."""
Made = dict[Key, str]


@dataclass(eq=False)
class Translator:
    """Translator with the model of `config`; without one, nothing is translated."""

    config: LanguageModelConfig | None
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_MAX_CALLS))
    _waiting: int = 0
    _resumes_at: float = 0.0
    _flights: dict[Key, asyncio.Task[Made]] = field(default_factory=dict)

    @property
    def languages(self) -> list[str]:
        """Tags (BCP 47) of the languages that it translates to."""
        return [] if self.config is None else list(translation.LANGUAGES)

    async def once(self, keys: Iterable[Key], make: Callable[[list[Key]], Awaitable[Made]]) -> Made:
        """Return the translations of `keys`; `make` is called with those that no other reader is waiting for.

        A reader that goes away does not interrupt what others wait for. Raises what `make` raises.
        """
        wanted = list(keys)
        fresh = [key for key in wanted if key not in self._flights]
        if fresh:
            task: asyncio.Task[Made] = asyncio.ensure_future(_run(make, fresh))
            self._flights.update(dict.fromkeys(fresh, task))
            task.add_done_callback(lambda ended: self._land(fresh, ended))
        flights = {self._flights[key] for key in wanted}
        await asyncio.wait(flights)
        made = {key: text for flight in flights for key, text in flight.result().items()}
        return {key: made[key] for key in wanted if key in made}

    async def translate(self, language: str, before: Sequence[str], lines: Sequence[str]) -> list[str | None]:
        """Return the translation of each line, None for those that the model left out; raises LanguageModelFailed."""
        if self.config is None or self._waiting >= _MAX_WAITING or time.monotonic() < self._resumes_at:
            _LINES.labels("refused").inc(len(lines))
            raise LanguageModelFailed("the model has failed or has too much to do", again=True)
        instruction, text = translation.request_for(language, before, lines)
        self._waiting += 1
        try:
            async with self._slots:
                answer = await complete(self.config, instruction, text, _CALL_SECONDS + _LINE_SECONDS * len(lines))
        except LanguageModelFailed as failed:
            self._pause(failed)
            _LINES.labels("failed").inc(len(lines))
            raise
        finally:
            self._waiting -= 1
        if self._resumes_at:
            _log.info("the language model translates again")
            self._resumes_at = 0.0
        translated = translation.read_answer(answer, lines)
        omitted = translated.count(None)
        _LINES.labels("translated").inc(len(lines) - omitted)
        _LINES.labels("omitted").inc(omitted)
        return translated

    async def close(self) -> None:
        await cancel_all(set(self._flights.values()))

    def _pause(self, failed: LanguageModelFailed) -> None:
        if not self._resumes_at:
            _log.warning("captions cannot be translated: %s", failed)
        self._resumes_at = time.monotonic() + (_PAUSE_SECONDS if failed.again else _LONG_PAUSE_SECONDS)

    def _land(self, keys: list[Key], ended: asyncio.Task[Made]) -> None:
        for key in keys:
            self._flights.pop(key, None)
        if not ended.cancelled():
            ended.exception()  # retrieved even if every reader has gone


async def _run(make: Callable[[list[Key]], Awaitable[Made]], keys: list[Key]) -> Made:
    return await make(keys)
