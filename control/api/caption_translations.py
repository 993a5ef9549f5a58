"""Captions in the reader's language."""

from typing import Annotated

import msgspec

from control.api.types import Answer, Body
from control.auth.access import Access
from control.endpoint import Call, Endpoints
from control.meetings import caption_translation
from control.problem import Problem

endpoints = Endpoints("captions and chat", scope="meetings")
_Utterance = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class TranslateCaptions(Body, frozen=True, kw_only=True):
    """`language` is one of `translation` in `GET /api/v1/ai/analysis`, `utterances` are of the meeting's captions."""

    language: Annotated[str, msgspec.Meta(min_length=2, max_length=16)]
    utterances: Annotated[list[_Utterance], msgspec.Meta(min_length=1, max_length=20)]


class TranslatedCaption(Answer, frozen=True, kw_only=True):
    utterance: str
    text: str


class TranslatedCaptions(Answer, frozen=True, kw_only=True):
    """Captions that are in the language already, or that the model left out, are absent."""

    language: str
    captions: list[TranslatedCaption]


@endpoints.route(
    "POST",
    "/api/v1/meetings/<meeting>/captions/translate",
    Access.TEXT,
    body=TranslateCaptions,
    answer=TranslatedCaptions,
)
async def translate_captions(call: Call, meeting: str, body: TranslateCaptions) -> TranslatedCaptions:
    """Translate captions by the operator's language model, if there is one (409 `no_translation`).

    A caption is translated once for all readers of a language. One that is not stored yet is waited for, at most two
    seconds.
    """
    offered = call.services.translator.languages
    if not offered:
        raise Problem(409, "no_translation", "This server has no language model that translates.")
    if body.language not in offered:
        raise Problem(400, "unknown_language", f"Captions are translated to {', '.join(offered)}.")
    found = await caption_translation.translate(
        call.services, call.standing.meeting, call.actor, body.language, body.utterances
    )
    return TranslatedCaptions(
        language=body.language,
        captions=[TranslatedCaption(utterance=one, text=found[one]) for one in body.utterances if one in found],
    )
