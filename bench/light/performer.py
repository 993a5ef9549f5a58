"""Somebody's own camera and microphone, as C sends them by a publish peer."""

import random
import time

from bench.light.camera import MeetingTracks
from bench.light.library import LightClient, Performance
from bench.light.recording import AUDIO_NS, evenly, recording

SPEAKING, SILENT = 20, 127


class Performer:
    """Sends what was recorded by a publish peer, from `begin` to `end`; silent at first."""

    def __init__(self, client: LightClient, peer: int, tracks: MeetingTracks) -> None:
        self.microphone = client.track(peer, tracks.microphone)
        self.layers = [client.track(peer, layer) for layer in tracks.layers]
        self._client = client
        self._peer = peer
        self.speak(loud=False)

    def begin(self, in_ns: int = 0) -> None:
        """Send, so much later, from anywhere in the recording on."""
        recorded = recording()
        at = time.monotonic_ns() + in_ns
        self._client.begin(Performance([self.microphone], evenly([[size] for size in recorded.audio], AUDIO_NS), at))
        frames = [k for k, burst in enumerate(recorded.bursts) if burst.begins and burst.layer == 0]
        self._client.begin(Performance(self.layers, recorded, at), first=random.choice(frames))

    def end(self) -> None:
        """Send nothing more."""
        self._client.end(self._peer)

    def speak(self, *, loud: bool) -> None:
        """Speak, or be silent."""
        self._client.speak(self.microphone, SPEAKING if loud else SILENT)

    def rest(self, layer: int, *, rests: bool) -> None:
        """Let a layer of the camera rest, or go on."""
        self._client.rest(self.layers[layer], rests=rests)
