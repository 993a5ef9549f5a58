"""Word error rate of captions: 30 prompts played by Chromium into a real call, and the recogniser alone in noise."""

import asyncio
from collections.abc import Callable, Sequence

import numpy as np

from bench.file_captions import interval, rate
from bench.report import Report, progress
from inference.models import catalogue, store
from inference.speech.whisper import Clip, WhisperModel
from parley_client import Api
from tests.inference.chromium_speaker import captions_of
from tests.inference.conftest import fetched_models
from tests.inference.material import Floats, Prompt, prompts, word_errors, words
from tests.support.call import become_admin
from tests.support.server import running_server

BAR = 0.08
Spoil = Callable[[Floats], Floats]


def with_noise(decibels: float) -> Spoil:
    """Add white noise at a signal-to-noise ratio."""

    def spoil(samples: Floats) -> Floats:
        noise = np.random.default_rng(len(samples)).standard_normal(len(samples))
        power = float(np.mean(samples**2)) / 10 ** (decibels / 10)
        return (samples + noise * np.sqrt(power)).astype(np.float32)

    return spoil


def _alone(model: WhisperModel, spoken: Sequence[Prompt], spoil: Spoil, what: str) -> list[tuple[int, int]]:
    """Return (errors, words) of each prompt, recognised alone."""
    counts = []
    for one in progress(spoken, what):
        heard = model.transcribe([Clip(spoil(one.samples))])[0]
        counts.append((word_errors(one.text, heard.text), len(words(one.text))))
    return counts


async def _call(spoken: Sequence[Prompt]) -> float:
    with running_server(models_dir=str(fetched_models())) as server:
        async with Api(server.url) as admin:
            await become_admin(admin, server.setup_token)
            text = await captions_of(server, admin, spoken)
    expected = " ".join(one.text for one in spoken)
    return word_errors(expected, text) / len(words(expected))


def run(*, quick: bool) -> Report:
    """Five minutes of speech in real time (20 s if quick)."""
    report = Report()
    spoken = prompts(30)
    model = WhisperModel(store.directory(fetched_models(), catalogue.load().named(catalogue.SPEECH_MODEL)), threads=2)
    conditions: list[tuple[str, Spoil]] = [("clean", lambda samples: samples)]
    conditions += [] if quick else [(f"{level} dB", with_noise(level)) for level in (20, 10, 5)]
    for name, spoil in conditions:
        counts = _alone(model, spoken[-8:] if quick else spoken, spoil, f"recogniser, {name}")
        low, high = interval(counts)
        if name == "clean":
            report.at_most("recogniser alone, clean", "word error rate", rate(counts), "", BAR)
        else:
            report.add(f"recogniser alone, {name}", "word error rate", rate(counts), "")
        report.add(f"recogniser alone, {name}", "95 % interval, width", high - low, "")
    short = [one for one in spoken if len(one.samples) < 8 * 16_000][:3]
    report.at_most("Chromium's call", "word error rate", asyncio.run(_call(short if quick else spoken)), "", BAR)
    return report
