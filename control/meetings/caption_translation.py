"""Captions of a meeting in a reader's language.

The texts come from the database, never from the reader, so nobody can use the operator's model for anything else.
"""

import asyncio
from collections.abc import Iterator

from control.ai.language_model import LanguageModelFailed
from control.ai.translation import same_language
from control.ai.translator import Key, Made
from control.problem import Problem
from control.services import Services
from control.store import caption_translations
from control.store.caption_translations import LineRow
from control.store.meetings import MeetingRow

_PATIENCE_SECONDS = 2.0
_LOOK_SECONDS = 0.2
_CONTEXT_LINES = 4
_MAX_LETTERS = 6000
_READER_CALLS = 120
_MEETING_CALLS = 300
_WINDOW = 60


async def translate(
    services: Services, meeting: MeetingRow, reader: str, language: str, utterances: list[str]
) -> dict[str, str]:
    """Return translations by utterance; captions in that language already, and unknown ones, are absent.

    A participant has a caption a moment before it is stored, so this waits for it. `reader` is whom calls of the model
    count against. Raises Problem 429 after too many, 502 if the model fails.
    """
    rows = [
        row for row in await _stored(services, meeting, language, utterances) if not same_language(row.lang, language)
    ]
    found = {row.utterance: row.translated for row in rows if row.translated is not None}
    missing = {(meeting.id, row.utterance, language): row for row in _first([r for r in rows if r.translated is None])}
    if not missing:
        return found

    async def make(keys: list[Key]) -> Made:
        await services.limits.spend("translation", reader, _READER_CALLS, _WINDOW)
        await services.limits.spend("translation-meeting", meeting.id, _MEETING_CALLS, _WINDOW)
        return await _make(services, meeting.id, language, [missing[key] for key in keys])

    try:
        made = await services.translator.once(missing, make)
    except LanguageModelFailed as failed:
        raise Problem(502, "translation_failed", "The language model does not translate right now.") from failed
    return found | {utterance: text for (_, utterance, _), text in made.items()}


async def _stored(services: Services, meeting: MeetingRow, language: str, utterances: list[str]) -> list[LineRow]:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + (_PATIENCE_SECONDS if meeting.status == "active" else 0.0)
    wanted = list(dict.fromkeys(utterances))
    while True:
        async with services.pool.acquire() as connection:
            rows = await caption_translations.lines(connection, meeting.id, wanted, language)
        if len(rows) == len(wanted) or loop.time() >= deadline:
            return rows
        await asyncio.sleep(_LOOK_SECONDS)


def _first(rows: list[LineRow]) -> Iterator[LineRow]:
    """Yield as many rows as one call of the model takes."""
    letters = 0
    for row in rows:
        letters += len(row.text)
        if letters > _MAX_LETTERS:
            return
        yield row


async def _make(services: Services, meeting: str, language: str, rows: list[LineRow]) -> Made:
    async with services.pool.acquire() as connection:
        context = await caption_translations.before(connection, meeting, rows[0], _CONTEXT_LINES)
    answered = await services.translator.translate(language, context, [row.text for row in rows])
    made = {row.utterance: text for row, text in zip(rows, answered, strict=True) if text is not None}
    async with services.pool.acquire() as connection:
        await caption_translations.keep(connection, meeting, language, made, {r.utterance: r.text for r in rows})
    return {(meeting, utterance, language): text for utterance, text in made.items()}
