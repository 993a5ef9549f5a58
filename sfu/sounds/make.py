"""Makes the notices with espeak-ng, a program that is needed for this only: `python sfu/sounds/make.py`.

A notice is a tone of two pitches, then the text below. espeak-ng's licence (GPL) covers the program, not what it says.
"""

import subprocess
import tempfile
from pathlib import Path

import av
import numpy as np

HERE = Path(__file__).resolve().parent
VOICES = {"en": ("en-gb", 155), "zh-CN": ("cmn-latn-pinyin", 190)}
TEXTS = {"en": "This meeting is being recorded.", "zh-CN": "本次会议正在录制。"}
RATE = 48_000
_FRAME = 960
_TONE = ((660.0, 0.18), (880.0, 0.28))
_LEVEL = 0.16
_PAUSE = 0.35
_FADE = 0.02


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        wav = Path(directory, "said.wav")
        for language, (voice, speed) in VOICES.items():
            command = ["espeak-ng", "-v", voice, "-s", str(speed), "-a", "90", "-w", str(wav), TEXTS[language]]
            subprocess.run(command, check=True)  # noqa: S603  a fixed command
            pause = np.zeros(int(_PAUSE * RATE), np.float32)
            whole = np.concatenate([*(_tone(*part) for part in _TONE), pause, _read(wav), pause])
            _encode(whole, HERE / f"recording-{language}.opus")


def _tone(pitch: float, seconds: float) -> "np.typing.NDArray[np.float32]":
    time = np.arange(int(seconds * RATE)) / RATE
    fade = np.minimum(1.0, np.minimum(time, seconds - time) / _FADE)
    return np.asarray(_LEVEL * fade * np.sin(2 * np.pi * pitch * time), np.float32)


def _read(wav: Path) -> "np.typing.NDArray[np.float32]":
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    with av.open(str(wav)) as said:
        frames = [piece for frame in [*said.decode(audio=0), None] for piece in resampler.resample(frame)]
    return np.concatenate([frame.to_ndarray()[0] for frame in frames])


def _encode(samples: "np.typing.NDArray[np.float32]", target: Path) -> None:
    padded = np.concatenate([samples, np.zeros(-samples.size % _FRAME, np.float32)])
    with av.open(str(target), "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=RATE)
        stream.bit_rate, stream.layout, stream.format = 24_000, "mono", "flt"
        stream.codec_context.options = {"application": "voip"}
        for start in range(0, padded.size, _FRAME):
            frame = av.AudioFrame.from_ndarray(padded[np.newaxis, start : start + _FRAME], "flt", "mono")
            frame.sample_rate, frame.pts = RATE, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


if __name__ == "__main__":
    main()
