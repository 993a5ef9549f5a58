"""Invented words without speech, and missed speech, with the thresholds in use: on sounds not used to choose them."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.file_captions import joined, listening
from bench.report import Report, progress
from tests.inference.material import RATE, Floats, read_audio, words
from tests.inference.voices import voices

_SEED = 977
"""The seed, which differs from that of the noises in the tests."""
_SECONDS = 150
_MISSED = 0.03
_MUSIC = Path("/usr/share/asterisk/moh")
_KEYS = Path("/usr/share/buckle/wav")
_NEEDS = "apt-get install asterisk-moh-opsound-g722 bucklespring-data"


def _music(seconds: int) -> Floats:
    """Return music on hold of telephone systems, the same duration of each piece."""
    pieces = sorted(_MUSIC.glob("*.g722"))
    assert pieces, f"music is missing: {_NEEDS}"
    each = -(-seconds * RATE // len(pieces))
    return np.concatenate([np.resize(read_audio(piece), each) for piece in pieces])[: seconds * RATE]


def _typing(dice: np.random.Generator, count: int) -> Floats:
    """Return recorded keys of a loud keyboard, in bursts."""
    keys = [read_audio(key) for key in sorted(_KEYS.glob("*.wav"))]
    assert keys, f"the sound of keys is missing: {_NEEDS}"
    sound = np.zeros(count)
    at = 0.0
    while at < count / RATE - 1:
        for _ in range(int(dice.integers(4, 30))):
            at += float(dice.gamma(4, 0.03))
            key = keys[dice.integers(len(keys))][: max(0, count - int(at * RATE))]
            sound[int(at * RATE) :][: len(key)] += key
        at += float(dice.exponential(0.8))
    return (0.5 * sound / np.abs(sound).max()).astype(np.float32)


def _noise(dice: np.random.Generator, count: int) -> Floats:
    """Return noise like fans, traffic and wind: brown, band-limited and modulated, swelling and fading."""
    white = dice.standard_normal(count)
    spectrum = np.fft.rfft(white)
    bins = np.maximum(np.arange(len(spectrum)), 1)
    brown = np.fft.irfft(spectrum / bins, count)
    band = np.fft.irfft(spectrum * np.exp(-(((bins * RATE / count - 700) / 400) ** 2)), count)
    swell = 0.5 + 0.5 * np.sin(2 * np.pi * 0.4 * np.arange(count) / RATE) ** 2
    mixed = brown / np.abs(brown).max() * 0.4 + band / np.abs(band).max() * 0.3 * swell + white * 0.01
    return mixed.astype(np.float32)


def wordless(seconds: int) -> Iterator[tuple[str, Floats]]:
    """Return silence, music, typing and noise, each of the given duration."""
    count = seconds * RATE
    yield "silence", (np.random.default_rng(_SEED).standard_normal(count) * 0.0005).astype(np.float32)
    yield "music", _music(seconds)
    for name, make in (("typing", _typing), ("noise", _noise)):
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
            f"{len(spoken)} prompts of six voices", "speech missed", missed / sum(len(one.samples) for one in spoken),
            "of time", _MISSED,
        )  # fmt: skip


def run(*, quick: bool) -> Report:
    """Ten minutes without speech, and a few with it (a minute of each if quick)."""
    report = Report()
    asyncio.run(_measure(report, quick=quick))
    return report
