"""A participant's camera and microphone, which C sends through a publish peer."""

import random
import time

from bench.light.camera import MeetingTracks
from bench.light.library import LightClient, Performance
from bench.light.recording import AUDIO_NS, evenly, recording

SPEAKING, SILENT = 20, 127


class Performer:
    """Sends a recording through a publish peer, from `begin` to `end`; the microphone is silent at first."""

    def __init__(self, client: LightClient, peer: int, tracks: MeetingTracks) -> None:
        self.microphone = client.track(peer, tracks.microphone)
        self.layers = [client.track(peer, layer) for layer in tracks.layers]
        self._client = client
        self._peer = peer
        self.speak(loud=False)

    def begin(self, in_ns: int = 0) -> None:
        """Start sending after a delay, at a random position in the recording."""
        recorded = recording()
        at = time.monotonic_ns() + in_ns
        self._client.begin(Performance([self.microphone], evenly([[size] for size in recorded.audio], AUDIO_NS), at))
        frames = [k for k, burst in enumerate(recorded.bursts) if burst.begins and burst.layer == 0]
        self._client.begin(Performance(self.layers, recorded, at), first=random.choice(frames))

    def end(self) -> None:
        """Stop sending."""
        self._client.end(self._peer)

    def speak(self, *, loud: bool) -> None:
        """Set whether the person speaks or is silent."""
        self._client.speak(self.microphone, SPEAKING if loud else SILENT)

    def rest(self, layer: int, *, rests: bool) -> None:
        """Pause a layer of the camera, or resume it."""
        self._client.rest(self.layers[layer], rests=rests)
