"""Words invented where nobody speaks, and speech missed, at the thresholds in use: sounds never used to choose them."""

import asyncio
from collections.abc import Iterator

import numpy as np

from bench.file_captions import joined, listening
from bench.report import Report, progress
from tests.inference.material import RATE, Floats, words
from tests.inference.voices import voices

_SEED = 977
"""Not the seed of the noises in the tests."""
_SECONDS = 150
_MISSED = 0.03


def _music(dice: np.random.Generator, count: int) -> Floats:
    """Chords with overtones, vibrato and a beat: what hold music and a film in the background are made of."""
    time = np.arange(count) / RATE
    sound = np.zeros(count)
    for beat in range(count // (RATE // 2)):
        begin = beat * (RATE // 2)
        length = min(RATE, count - begin)
        own = time[:length]
        root = 110 * 2 ** (dice.choice([0, 3, 5, 7, 10]) / 12)
        for interval in (1, 1.25, 1.5, 2):
            vibrato = 1 + 0.004 * np.sin(2 * np.pi * 5.5 * own)
            for part in range(1, 6):
                tone = np.sin(2 * np.pi * root * interval * part * np.cumsum(vibrato) / RATE)
                sound[begin : begin + length] += tone * np.exp(-own * 2) / part
        drum = dice.standard_normal(min(2000, length)) * np.exp(-np.arange(min(2000, length)) / 300)
        sound[begin : begin + len(drum)] += drum * 2
    return (0.2 * sound / np.abs(sound).max()).astype(np.float32)


def _typing(dice: np.random.Generator, count: int) -> Floats:
    """Key presses and releases in bursts, with the room's hum behind them."""
    sound = 0.002 * dice.standard_normal(count)
    at = 0.0
    while at < count / RATE - 1:
        for _ in range(int(dice.integers(4, 30))):
            at += float(dice.gamma(4, 0.03))
            for offset, level in ((0.0, 0.25), (0.07, 0.12)):
                begin = int((at + offset) * RATE)
                if begin + 600 < count:
                    click = dice.standard_normal(600) * np.exp(-np.arange(600) / dice.uniform(30, 120))
                    sound[begin : begin + 600] += click * level * dice.uniform(0.5, 1.5)
        at += float(dice.exponential(0.8))
    return sound.astype(np.float32)


def _noise(dice: np.random.Generator, count: int) -> Floats:
    """Fans, traffic, wind: brown, band and modulated noise, swelling and fading."""
    white = dice.standard_normal(count)
    spectrum = np.fft.rfft(white)
    bins = np.maximum(np.arange(len(spectrum)), 1)
    brown = np.fft.irfft(spectrum / bins, count)
    band = np.fft.irfft(spectrum * np.exp(-(((bins * RATE / count - 700) / 400) ** 2)), count)
    swell = 0.5 + 0.5 * np.sin(2 * np.pi * 0.4 * np.arange(count) / RATE) ** 2
    mixed = brown / np.abs(brown).max() * 0.4 + band / np.abs(band).max() * 0.3 * swell + white * 0.01
    return mixed.astype(np.float32)


def wordless(seconds: int) -> Iterator[tuple[str, Floats]]:
    """Silence, music, typing and noise, each so long."""
    count = seconds * RATE
    yield "silence", (np.random.default_rng(_SEED).standard_normal(count) * 0.0005).astype(np.float32)
    for name, make in (("music", _music), ("typing", _typing), ("noise", _noise)):
        yield name, make(np.random.default_rng(_SEED), count)


async def _measure(report: Report, *, quick: bool) -> None:
    async with listening() as listener:
        invented = 0
        for name, sound in progress(list(wordless(20 if quick else _SECONDS)), "no speech"):
            heard = await listener.segments(sound)
            count = sum(len(words(segment.text)) for segment in heard)
            invented += count
            report.add(f"{name}, {len(sound) / RATE / 60:.1f} min", "words invented", count, "")
        report.at_most("all of it", "words invented", invented, "", 0)
        spoken = [one for voice in voices() for one in voice.spoken[:: 60 if quick else 12]]
        heard_of = await listener.hear(spoken, joined(spoken))
        missed = sum(len(one.prompt.samples) for one in heard_of if not one.text)
        report.at_most(
            f"{len(spoken)} prompts of five voices", "speech missed", missed / sum(len(one.samples) for one in spoken),
            "of time", _MISSED,
        )  # fmt: skip


def run(*, quick: bool) -> Report:
    """Ten minutes without speech, and a few with it (a minute of each when quick)."""
    report = Report()
    asyncio.run(_measure(report, quick=quick))
    return report
