"""Makes the prompts with espeak-ng, a program that is needed for this only: `python deploy/phone/prompts/make.py`.

The texts below are what callers hear. espeak-ng's licence (GPL) covers the program, not what it says.
"""

import subprocess
import tempfile
from pathlib import Path

import av

HERE = Path(__file__).resolve().parent
VOICES = {"en": ("en-gb", 155), "zh-CN": ("cmn-latn-pinyin", 190)}
TEXTS = {
    "enter-pin": (
        "Welcome. Please enter your meeting PIN, followed by the hash key.",
        "欢迎。请输入会议密码，按井号键结束。",
    ),
    "wrong-pin": (
        "There is no meeting with this PIN. Please try again, and finish with the hash key.",
        "没有使用此密码的会议。请重新输入，按井号键结束。",
    ),
    "too-many-attempts": ("Too many wrong PINs. Please call again later.", "密码错误次数过多。请稍后再拨。"),
    "cannot-join": ("You cannot join this meeting at the moment. Goodbye.", "目前无法加入此会议。再见。"),
    "lobby": ("Please wait until the host lets you in.", "请等待主持人允许您加入。"),
    "denied": ("The host did not let you in. Goodbye.", "主持人未允许您加入。再见。"),
    "joined": (
        "You are in the meeting. Press star six to mute or unmute yourself, and star nine to raise or lower your hand.",
        "您已加入会议。按星号六静音或取消静音，按星号九举手或放下手。",
    ),
    "muted": ("You are muted.", "您已静音。"),
    "unmuted": ("You are no longer muted.", "您已取消静音。"),
    "muted-by-host": ("The host muted you.", "主持人已将您静音。"),
    "unmuted-by-host": ("The host lets you speak again.", "主持人允许您发言。"),
    "hand-raised": ("Your hand is raised.", "您已举手。"),
    "hand-lowered": ("Your hand is lowered.", "您的手已放下。"),
    "recording": (
        "This meeting is recorded and transcribed. Press one to agree. If you do not, your voice is left out.",
        "此会议正在录制并转写。同意请按一。否则您的声音不会被录制。",
    ),
    "consent-required": (
        "This meeting is recorded and transcribed. Press one to agree and take part, or hang up.",
        "此会议将被录制并转写。同意并参加请按一，否则请挂机。",
    ),
    "removed": ("The host removed you from the meeting. Goodbye.", "主持人已将您移出会议。再见。"),
    "ended": ("The meeting has ended. Goodbye.", "会议已结束。再见。"),
    "lost": ("The connection to the meeting was lost. Goodbye.", "与会议的连接已断开。再见。"),
    "goodbye": ("Nothing was entered. Goodbye.", "未收到输入。再见。"),
}


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        wav = Path(directory, "said.wav")
        for index, (language, (voice, speed)) in enumerate(VOICES.items()):
            folder = HERE / language
            folder.mkdir(exist_ok=True)
            for name, texts in TEXTS.items():
                command = ["espeak-ng", "-v", voice, "-s", str(speed), "-a", "90", "-w", str(wav), texts[index]]
                subprocess.run(command, check=True)  # noqa: S603  a fixed command
                _encode(wav, folder / f"{name}.opus")


def _encode(wav: Path, target: Path) -> None:
    with av.open(str(wav)) as said, av.open(str(target), "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=48_000)
        stream.bit_rate = 16_000
        stream.codec_context.options = {"application": "voip"}
        stream.layout = "mono"
        resampler = av.AudioResampler(format="s16", layout="mono", rate=48_000, frame_size=960)
        for frame in [*said.decode(audio=0), None]:
            for piece in resampler.resample(frame):
                piece.pts = None
                container.mux(stream.encode(piece))
        container.mux(stream.encode(None))


if __name__ == "__main__":
    main()
