"""Word error rate of further speech: six voices in five languages, in noise, with loss, over another voice."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from bench.file_captions import Listener, interval, joined, listening, rate
from bench.report import Report, progress
from inference.audio.track_audio import TrackAudio
from tests.inference.material import RATE, Floats, Prompt, opus_packets, rtp
from tests.inference.voices import Voice, voices

_MINUTES = 5
_WORSE_IN_NOISE = 1.5
_WORSE_BY_LOSS = 1.3
_LOSS = 0.05
_LEVELS = (20, 10, 5)
_FRAME_NS = 20_000_000
Spoil = Callable[[Floats], Floats]


def pink_noise(count: int, seed: int) -> Floats:
    """Return noise with the spectrum of rooms and crowds, of mean power 1."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(count))
    noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1)), count)
    return (noise / np.sqrt(np.mean(noise**2))).astype(np.float32)


def in_noise(decibels: float) -> Spoil:
    """Add pink noise; the ratio refers to the mean power of speech without pauses."""

    def spoil(sound: Floats) -> Floats:
        loud = float(np.mean(sound[np.abs(sound) > 0.001] ** 2))
        noise = pink_noise(len(sound), len(sound)) * np.sqrt(loud / 10 ** (decibels / 10))
        return (sound + noise).astype(np.float32)

    return spoil


def through_opus(lost: float) -> Spoil:
    """Encode like a browser, lose packets permanently, decode like the tap."""

    def spoil(sound: Floats) -> Floats:
        dice, audio, parts = np.random.default_rng(5), TrackAudio(), []
        packets = opus_packets(sound, fec="1", packet_loss="10")
        for index, packet in enumerate(packets):
            now = index * _FRAME_NS
            if index == 0 or dice.random() >= lost:
                parts += audio.push(1000 + index, now, rtp(1000 + index, 960 * index, packet))
            parts += audio.advance(now)
        parts += audio.drain()
        heard = np.zeros(len(sound), np.float32)
        for part in parts:
            kept = part.samples[: max(0, len(heard) - part.start)]
            heard[part.start : part.start + len(kept)] = kept / np.float32(32768)
        return heard

    return spoil


def over(other: Floats, decibels: float) -> Spoil:
    """Add another, quieter voice to the same microphone whenever this one speaks.

    It is silent in the pauses between prompts, where it would rightly be recognised and counted as errors.
    """

    def spoil(sound: Floats) -> Floats:
        speaking = np.convolve(sound != 0, np.ones(RATE // 20), "same") > 0.5
        voice = np.resize(other, len(sound)) * speaking
        scale = np.sqrt(np.mean(sound**2) / np.mean(voice**2) / 10 ** (decibels / 10))
        return (sound + voice * scale).astype(np.float32)

    return spoil


def shortened(voice: Voice, minutes: float) -> list[Prompt]:
    """Return `minutes` of prompts from the complete list of the voice."""
    order = np.random.default_rng(3).permutation(len(voice.spoken))
    chosen: list[Prompt] = []
    length = 0.0
    for index in order:
        if length >= minutes * 60 * RATE:
            break
        chosen.append(voice.spoken[index])
        length += len(voice.spoken[index].samples)
    return chosen


class Measured:
    """Counts of (errors, words), prompt by prompt, of each voice under each condition; kept in a file if there is one,
    so that a run which was cut off goes on where it was."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._counts: dict[str, list[tuple[int, int]]] = {}
        if path is not None and path.exists():
            self._counts = msgspec.json.decode(path.read_bytes(), type=dict[str, list[tuple[int, int]]])

    def get(self, condition: str, voice: Voice) -> list[tuple[int, int]] | None:
        return self._counts.get(f"{condition}: {voice.name}")

    def put(self, condition: str, voice: Voice, counts: list[tuple[int, int]]) -> None:
        self._counts[f"{condition}: {voice.name}"] = counts
        if self._path is not None:
            partial = self._path.with_suffix(".partial")
            partial.write_bytes(msgspec.json.encode(self._counts))
            partial.replace(self._path)


Spoken = Sequence[tuple[Voice, list[Prompt]]]


async def _hear(listener: Listener, spoken: Spoken, condition: str, spoil: Spoil, kept: Measured) -> None:
    for voice, own in progress(spoken, condition):
        if kept.get(condition, voice) is None:
            heard = await listener.hear(own, spoil(joined(own)), (voice.language,))
            kept.put(condition, voice, [one.counts for one in heard])


def _conditions(spoken: Spoken) -> dict[str, Spoil]:
    others = joined(spoken[-1][1])
    return {
        "clean": lambda sound: sound,
        "through Opus, no loss": through_opus(0.0),
        "through Opus, 5 % lost": through_opus(_LOSS),
        **{f"{level} dB": in_noise(level) for level in _LEVELS},
        **{f"another voice {level} dB below": over(others, level) for level in _LEVELS},
    }


async def _measure(report: Report, kept: Measured, *, quick: bool) -> None:
    spoken = [(voice, shortened(voice, 0.2 if quick else _MINUTES)) for voice in voices()[: 1 if quick else None]]
    rates: dict[str, float] = {}
    async with listening() as listener:
        for name, spoil in list(_conditions(spoken).items())[: 3 if quick else None]:
            await _hear(listener, spoken, name, spoil, kept)
            each = {voice.name: kept.get(name, voice) or [] for voice, _ in spoken}
            counts = [one for own in each.values() for one in own]
            rates[name] = rate(counts)
            low, high = interval(counts)
            report.add(name, "word error rate", rates[name], "")
            report.add(name, "95 % interval, from", low, "")
            report.add(name, "95 % interval, to", high, "")
            if name == "clean":
                for voice, own in each.items():
                    report.add(f"clean, {voice}", "word error rate", rate(own), "")
    words_said = sum(total for _, total in counts)
    report.add("material", "speech", sum(len(one.samples) for _, own in spoken for one in own) / RATE / 60, "min")
    report.add("material", "words", words_said, "")
    least = 1 / words_said  # a single error, where there is none
    lossless = max(rates["through Opus, no loss"], least)
    report.at_most("5 % lost", "of lossless", rates["through Opus, 5 % lost"] / lossless, "x", _WORSE_BY_LOSS)
    if not quick:
        report.at_most("10 dB", "of clean", rates["10 dB"] / max(rates["clean"], least), "x", _WORSE_IN_NOISE)


def run(*, quick: bool, keep: Path | None = None) -> Report:
    """Twenty minutes of speech in nine conditions, some fifteen minutes of work (one voice for 12 s if quick).

    `keep` is a file for what is measured: run again with it, a run that was cut off goes on.
    """
    report = Report()
    asyncio.run(_measure(report, Measured(keep), quick=quick))
    return report
