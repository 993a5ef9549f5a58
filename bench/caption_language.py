"""Languages of utterances after a participant's first four seconds, across a switch from English to Spanish."""

import asyncio

import numpy as np

from bench.file_captions import joined, listening
from bench.report import Report, progress
from tests.inference.material import RATE, Prompt
from tests.inference.voices import voices

_FIRST_SECONDS = 4.0
_EACH = 10
_CALLS = 8


def calls(count: int) -> list[list[tuple[str, Prompt]]]:
    """Return calls of one participant each: prompts in English, then in Spanish, each used at most once."""
    spoken = {voice.language: [one for one in voice.spoken if len(one.samples) > RATE] for voice in voices()[:2]}
    dice = np.random.default_rng(11)
    orders = {language: dice.permutation(len(own)) for language, own in spoken.items()}
    made = []
    for number in range(count):
        call = []
        for language in ("en", "es"):
            chosen = orders[language][number * _EACH : (number + 1) * _EACH]
            call += [(language, spoken[language][index]) for index in chosen]
        made.append(call)
    return made


async def _measure(report: Report, *, quick: bool) -> None:
    for languages in ((), ("en", "es")):
        right = total = 0
        async with listening() as listener:
            for call in progress(calls(1 if quick else _CALLS), "calls"):
                spoken = [one for _, one in call]
                heard = await listener.hear(spoken, joined(spoken), languages)
                before = 0.0
                for (language, one), said in zip(call, heard, strict=True):
                    if before >= _FIRST_SECONDS:
                        right += sum(found == language for found in said.languages)
                        total += len(said.languages)
                    before += len(one.samples) / RATE
        case = "the meeting names en, es" if languages else "no languages named"
        report.add(case, "utterances", total, "")
        if languages:
            report.at_least(case, "in the right language", right / max(total, 1), "of utterances", 0.98)
        else:
            report.add(case, "in the right language", right / max(total, 1), "of utterances")


def run(*, quick: bool) -> Report:
    """Eight calls with a switch in the middle, with and without the meeting's list (one if quick)."""
    report = Report()
    asyncio.run(_measure(report, quick=quick))
    return report
