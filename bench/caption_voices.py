"""Word error rate of further speech: five voices in four languages, in noise, through loss, one over another."""

import asyncio
from collections.abc import Callable, Sequence

import numpy as np

from bench.file_captions import Heard, Listener, interval, joined, listening, rate
from bench.report import Report, progress
from inference.audio.track_audio import TrackAudio
from tests.inference.material import RATE, Floats, Prompt, opus_packets, rtp
from tests.inference.voices import Voice, voices

_MINUTES = 5
_WORSE_IN_NOISE = 1.5
_WORSE_BY_LOSS = 1.3
_LOSS = 0.05
_BELOW_DB = 15
_FRAME_NS = 20_000_000
Spoil = Callable[[Floats], Floats]


def pink_noise(count: int, seed: int) -> Floats:
    """Noise with the spectrum of rooms and crowds, of mean power 1."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(count))
    noise = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1)), count)
    return (noise / np.sqrt(np.mean(noise**2))).astype(np.float32)


def in_noise(decibels: float) -> Spoil:
    """Add pink noise; the ratio is that of the speech's mean power, pauses left out."""

    def spoil(sound: Floats) -> Floats:
        loud = float(np.mean(sound[np.abs(sound) > 0.001] ** 2))
        noise = pink_noise(len(sound), len(sound)) * np.sqrt(loud / 10 ** (decibels / 10))
        return (sound + noise).astype(np.float32)

    return spoil


def through_opus(lost: float) -> Spoil:
    """Encode as browsers do, lose packets for good, decode as the tap does."""

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
    """Let another voice speak at the same time, so much quieter, into the same microphone."""

    def spoil(sound: Floats) -> Floats:
        voice = np.resize(other, len(sound))
        scale = np.sqrt(np.mean(sound**2) / np.mean(voice**2) / 10 ** (decibels / 10))
        return (sound + voice * scale).astype(np.float32)

    return spoil


def shortened(voice: Voice, minutes: float) -> list[Prompt]:
    """Prompts from all over the voice's list, `minutes` of them."""
    order = np.random.default_rng(3).permutation(len(voice.spoken))
    chosen: list[Prompt] = []
    length = 0.0
    for index in order:
        if length >= minutes * 60 * RATE:
            break
        chosen.append(voice.spoken[index])
        length += len(voice.spoken[index].samples)
    return chosen


async def _hear(listener: Listener, spoken: Sequence[tuple[Voice, list[Prompt]]], spoil: Spoil) -> list[Heard]:
    heard: list[Heard] = []
    for voice, own in progress(spoken, "voices"):
        heard += await listener.hear(own, spoil(joined(own)), (voice.language,))
    return heard


async def _measure(report: Report, *, quick: bool) -> None:
    spoken = [(voice, shortened(voice, 0.2 if quick else _MINUTES)) for voice in voices()[: 1 if quick else None]]
    others = joined(spoken[-1][1]), joined(spoken[0][1])
    rates: dict[str, float] = {}
    async with listening() as listener:
        conditions: dict[str, Spoil] = {
            "clean": lambda sound: sound,
            "through Opus, no loss": through_opus(0.0),
            "through Opus, 5 % lost": through_opus(_LOSS),
            "20 dB": in_noise(20),
            "10 dB": in_noise(10),
            "5 dB": in_noise(5),
            f"another voice {_BELOW_DB} dB below": over(others[0], _BELOW_DB),
        }
        for name, spoil in list(conditions.items())[: 3 if quick else None]:
            heard = await _hear(listener, spoken, spoil)
            counts = [one.counts for one in heard]
            rates[name] = rate(counts)
            low, high = interval(counts)
            report.add(name, "word error rate", rates[name], "")
            report.add(name, "95 % interval, from", low, "")
            report.add(name, "95 % interval, to", high, "")
            if name == "clean":
                _each_voice(report, spoken, heard)
    words_said = sum(one.counts[1] for one in heard)
    report.add("material", "speech", sum(len(one.prompt.samples) for one in heard) / RATE / 60, "min")
    report.add("material", "words", words_said, "")
    least = 1 / words_said  # a single error, where there is none
    lossless = max(rates["through Opus, no loss"], least)
    report.at_most("5 % lost", "of lossless", rates["through Opus, 5 % lost"] / lossless, "x", _WORSE_BY_LOSS)
    if not quick:
        report.at_most("10 dB", "of clean", rates["10 dB"] / max(rates["clean"], least), "x", _WORSE_IN_NOISE)


def _each_voice(report: Report, spoken: Sequence[tuple[Voice, list[Prompt]]], heard: Sequence[Heard]) -> None:
    start = 0
    for voice, own in spoken:
        report.add(
            f"clean, {voice.name}", "word error rate", rate([one.counts for one in heard[start:][: len(own)]]), ""
        )
        start += len(own)


def run(*, quick: bool) -> Report:
    """Twenty minutes of speech in seven conditions, some twelve minutes of work (one voice for 12 s when quick)."""
    report = Report()
    asyncio.run(_measure(report, quick=quick))
    return report
