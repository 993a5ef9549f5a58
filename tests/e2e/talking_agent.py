"""A worker of livekit-agents that answers: it speaks when somebody has spoken and is silent again.

Its ear is the level of the sound, and its voice a buzz with the formants of a vowel, so that it needs no models.
"""

import asyncio
import math
import struct

from livekit import agents, rtc

RATE, FRAME = 48_000, 480
LOUD, QUIET_FRAMES = 1000, 20
PITCH, FORMANTS = 120, ((700, 1.0), (1220, 0.5), (2600, 0.25))
SECONDS = 3


def voice() -> list[bytes]:
    """Return 10 ms frames of 16-bit samples: harmonics of a pitch, weighted by the formants of an "a"."""
    weights = [
        (k * PITCH, sum(weight / (1 + ((k * PITCH - at) / 90) ** 2) for at, weight in FORMANTS)) for k in range(1, 28)
    ]
    loudest = sum(weight for _, weight in weights)
    cycle = [
        int(12_000 / loudest * sum(w * math.sin(2 * math.pi * f * n / RATE) for f, w in weights))
        for n in range(RATE // PITCH)
    ]
    samples = [cycle[n % len(cycle)] for n in range(RATE * SECONDS)]
    frames = [samples[at : at + FRAME] for at in range(0, len(samples), FRAME)]
    return [struct.pack(f"<{FRAME}h", *frame) for frame in frames]


async def listen(track: rtc.Track, source: rtc.AudioSource) -> None:
    """Answer whenever the track was loud, and then quiet."""
    spoken, quiet, frames = False, 0, voice()
    async for event in rtc.AudioStream(track, sample_rate=RATE, num_channels=1):
        loudest = max(abs(sample) for sample in memoryview(event.frame.data).cast("B").cast("h"))
        spoken, quiet = spoken or loudest > LOUD, 0 if loudest > LOUD else quiet + 1
        if spoken and quiet > QUIET_FRAMES:
            spoken = False
            for frame in frames:
                await source.capture_frame(rtc.AudioFrame(frame, RATE, 1, FRAME))


async def answer(job: agents.JobContext) -> None:
    source, listening = rtc.AudioSource(RATE, 1), set()

    def subscribed(track: rtc.Track, *_: object) -> None:
        if track.kind == rtc.TrackKind.KIND_AUDIO:
            listening.add(asyncio.create_task(listen(track, source)))

    job.room.on("track_subscribed", subscribed)
    await job.connect()
    microphone = rtc.TrackPublishOptions(source=rtc.TrackSource.SOURCE_MICROPHONE)
    await job.room.local_participant.publish_track(rtc.LocalAudioTrack.create_audio_track("voice", source), microphone)


if __name__ == "__main__":
    # A worker on a busy machine, as one that runs browsers is, would take no job by default.
    options = agents.WorkerOptions(entrypoint_fnc=answer, num_idle_processes=1, port=0, load_threshold=math.inf)
    agents.cli.run_app(options)
