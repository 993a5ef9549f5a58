"""Training of the demonstration detector of generated voices, which exercises the pipeline.

The data are people's prompts, the same prompts through vocoders, and transcripts read by synthesisers. Every speaker
is held out once: a network trained without the speaker scores their windows. These scores set the calibration, the
thresholds and the rates in the model card. One vocoder and one synthesiser are never trained on. The network that is
written is trained on all speakers. Its verdicts are no evidence: a handful of speakers and textbook generators say
little about real ones.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from bench.detector_training import channel, network, speech
from bench.detector_training.network import Doubles, Network
from bench.detector_training.resynthesis import VOCODERS
from inference.synthetic.detector import Medium, ModelCard, OperatingPoint
from inference.synthetic.features import COUNT, RATE, Floats, features
from inference.synthetic.voice_model import GRAPH

NAME, VERSION = "synthetic_voice", "1"
CARD = "card.toml"
_SEED = 20_260_101
_WINDOW = 4 * RATE
_LEAST = 1 * RATE
_LEARNT = ("Griffin-Lim", "source-filter", "random phase")
_NEVER_LEARNT = "channel vocoder"
_ALLOWED = 0.05
_HIDDEN = 24
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Voice:
    """Features of a speaker's windows, of generated windows to train on, and of generated ones held out."""

    name: str
    natural: Doubles
    generated: Doubles
    unheard: Doubles


def train(directory: Path, say: Say, *, prompts: int = 100, epochs: int = 120) -> ModelCard:
    """Write GRAPH and CARD to `directory` and return the card; raises ValueError if there is no speech to train on.

    At most `prompts` of each speaker are used. The same data and numpy give the same bytes on the same processor.
    """
    dice = np.random.default_rng(_SEED)
    voices = gather(prompts, dice, say)
    flite = rows_of(map(channel.through_g722, speech.read_by_flite(prompts, dice)), dice)
    say(f"training on {sum(len(one.natural) + len(one.generated) for one in voices)} windows, speaker by speaker")
    held = held_out(voices, epochs)
    natural, generated, unheard = (np.concatenate([scores[part] for scores in held]) for part in range(3))
    slope, offset = network.calibration(np.concatenate((natural, generated)), labels(natural, generated))
    fitted = _fit(voices, epochs).calibrated(slope, offset)
    unheard = np.concatenate((unheard * slope + offset, fitted.logits(flite)))
    card = card_of(
        voices,
        natural=network.sigmoid(natural * slope + offset),
        generated=network.sigmoid(generated * slope + offset),
        unheard=network.sigmoid(unheard),
    )
    directory.mkdir(parents=True, exist_ok=True)
    (directory / GRAPH).write_bytes(network.as_onnx(fitted))
    (directory / CARD).write_text(as_toml(card), "utf-8")
    return card


def gather(most: int, dice: np.random.Generator, say: Say) -> list[Voice]:
    """Make the data, speaker by speaker; raises ValueError if there are fewer than two."""
    voices = []
    for speaker in speech.SPEAKERS:
        own = speech.spoken_by(speaker, most, dice)
        if not own:
            continue
        read = map(channel.through_g722, speech.read_by_espeak((speaker.language,), max(1, most // 3), dice))
        say(f"{speaker.name}: {len(own)} prompts and generated versions")
        voices.append(_voice(speaker.name, own, read, dice))
    voices.append(_voice("a LibriVox reader", speech.spoken_by_reader(most, dice), (), dice))
    found = [one for one in voices if len(one.natural) and len(one.generated)]
    if len(found) < 2:
        raise ValueError(f"there is no speech to train on: {speech.NEEDS}")
    return found


def _voice(name: str, own: Sequence[Floats], read: Iterable[Floats], dice: np.random.Generator) -> Voice:
    def through(vocoders: Sequence[str]) -> list[Floats]:
        """Return each prompt through one of the vocoders, in turn."""
        return [
            channel.through_g722(VOCODERS[vocoders[index % len(vocoders)]](sound, dice))
            for index, sound in enumerate(own)
        ]

    generated = rows_of([*through(_LEARNT), *read], dice)
    return Voice(name, rows_of(own, dice), generated, rows_of(through([_NEVER_LEARNT])[::2], dice))


def rows_of(sounds: Iterable[Floats], dice: np.random.Generator) -> Doubles:
    """Return the features of the sounds' windows after the effects of a call, [windows, COUNT]."""
    rows = []
    for sound in sounds:
        heard = channel.as_called(sound, dice)
        for start in range(0, len(heard), _WINDOW):
            window = heard[start : start + _WINDOW]
            found = features(window) if len(window) >= _LEAST else None
            if found is not None:
                rows.append(found.astype(np.float64))
    return np.array(rows).reshape(len(rows), COUNT)


def held_out(voices: Sequence[Voice], epochs: int) -> list[tuple[Doubles, Doubles, Doubles]]:
    """Return logits of each speaker's windows (natural, generated, held out) by a network trained without the speaker.

    Two languages of one person are held out together.
    """
    scores = []
    for voice in voices:
        person = voice.name.split()[0]
        others = [one for one in voices if one.name.split()[0] != person]
        judge = _fit(others, epochs)
        scores.append((judge.logits(voice.natural), judge.logits(voice.generated), judge.logits(voice.unheard)))
    return scores


def _fit(voices: Sequence[Voice], epochs: int) -> Network:
    natural = np.concatenate([one.natural for one in voices])
    generated = np.concatenate([one.generated for one in voices])
    rows = np.concatenate((natural, generated))
    return network.fit(rows, labels(natural, generated), hidden=_HIDDEN, epochs=epochs, seed=_SEED)


def labels(natural: Doubles, generated: Doubles) -> Doubles:
    """Return 0 for each natural window and 1 for each generated one."""
    return np.concatenate((np.zeros(len(natural)), np.ones(len(generated))))


def card_of(voices: Sequence[Voice], *, natural: Doubles, generated: Doubles, unheard: Doubles) -> ModelCard:
    """Return the card for scores of held-out speakers; `unheard` are windows of generators never trained on."""
    upper = float(np.quantile(natural, 1 - _ALLOWED))
    lower = float(np.quantile(generated, _ALLOWED))
    if lower > upper:  # The classes do not overlap: the threshold is in the middle.
        upper = lower = (lower + upper) / 2
    synthetic_from, authentic_below = round(upper, 3), round(lower, 3)
    missed = float(np.mean(np.concatenate((generated, unheard)) < synthetic_from))
    people = f"{len(voices)} voices ({', '.join(one.name for one in voices)})"
    return ModelCard(
        name=NAME,
        version=VERSION,
        medium=Medium.VOICE,
        licence="Apache-2.0; the prompts it learnt from: CC BY-SA 3.0 (asterisk-core-sounds), public domain (LibriVox)",
        training_data=(
            f"{len(natural)} windows of 4 s of {people}, of Debian's asterisk-core-sounds and pocketsphinx-testdata; "
            f"{len(generated)} generated: the same prompts through vocoders ({', '.join(_LEARNT)}), transcripts read "
            "by espeak-ng; all through G.722, noise and Opus"
        ),
        evaluation_data=(
            "every speaker once, scored by a network that never heard them: equal error rate "
            f"{equal_error_rate(natural, generated):.3f} of windows; with generators that were never learnt from "
            f"({len(unheard)} windows of a {_NEVER_LEARNT} and of flite) {equal_error_rate(natural, unheard):.3f}"
        ),
        calibration=(
            "Platt scaling of the scores of held-out speakers; a score is the probability where one window in two is "
            "generated"
        ),
        operating_point=OperatingPoint(
            synthetic_from=synthetic_from,
            authentic_below=authentic_below,
            false_alarm_rate=round(float(np.mean(natural >= synthetic_from)), 3),
            miss_rate=round(missed, 3),
        ),
        least_evidence_ms=8000,
        evidential=False,
    )


def equal_error_rate(natural: Doubles, generated: Doubles) -> float:
    """Return the error rate at the threshold where both kinds of error are equally frequent."""
    thresholds = np.sort(np.concatenate((natural, generated)))
    alarms = 1 - np.searchsorted(np.sort(natural), thresholds) / len(natural)
    misses = np.searchsorted(np.sort(generated), thresholds) / max(len(generated), 1)
    return float(np.min(np.maximum(alarms, misses)))


def as_toml(card: ModelCard) -> str:
    """Return the card as inference.synthetic.detector.load_card reads it."""
    fields = msgspec.to_builtins(card)
    point = fields.pop("operating_point")
    # A JSON string, number or boolean is one of TOML's.
    lines = [f"{name} = {msgspec.json.encode(value).decode()}" for name, value in fields.items()]
    lines += ["", "[operating_point]"]
    lines += [f"{name} = {msgspec.json.encode(value).decode()}" for name, value in point.items()]
    return "\n".join(lines) + "\n"
