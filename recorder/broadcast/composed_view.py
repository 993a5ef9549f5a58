"""One view of a broadcast: the picture and sound of some of the room's tracks, in the forms that its outputs need."""

from collections.abc import Iterator

import numpy as np

from foundation.media_units import Unit, UnitKind
from recorder.broadcast.cast import Cast
from recorder.broadcast.contract import Images, View
from recorder.broadcast.encoders import AudioEncoder, VideoEncoder, jpeg
from recorder.broadcast.picture import Picture
from recorder.broadcast.sound import Mixer
from recorder.compose.samples import RATE, Samples


class ComposedView:
    """Makes a view from the picture `index` on, at `rate` pictures per second. Images begin a second later.

    Of its order, only the images may change.
    """

    def __init__(self, order: View, index: int, rate: int) -> None:
        self.order = order
        self._rate = rate
        self._heard = index * RATE // rate
        self._picture = Picture(order.film)
        self._mixer = Mixer()
        self._video = VideoEncoder(order.film, order.bits, rate) if order.encoded else None
        self._audio = AudioEncoder(self._heard) if order.encoded else None
        self._image_at: dict[str, int] = {}
        self._silent = False

    def begin(self) -> Iterator[Unit]:
        """Yield the units that come first."""
        if self._video is not None and self._audio is not None:
            yield Unit(UnitKind.OUTPUTS, False, 0, self.order.name.encode())
            yield self._video.setup()
            yield self._audio.setup()

    def make(self, cast: Cast, index: int) -> Iterator[Unit]:
        """Yield the units of a picture, and of the sound up to it."""
        us = index * 1_000_000 // self._rate
        position = index * RATE // self._rate
        heard = self._mixer.mix(cast.sounds(self.order.film), self._heard, position - self._heard)
        self._heard = position
        self._picture.heard(heard.level)
        if self.order.encoded or self.order.pcm:
            yield Unit(UnitKind.OUTPUTS, False, us, self.order.name.encode())
        if self.order.pcm:
            yield from self._samples(cast, us, heard.samples)
        if self._audio is not None:
            yield from self._audio.encode(heard.samples)
        due = [images for images in self.order.images if self._is_due(images, index)]
        if self._video is None and not due:
            return
        picture = self._picture.at(cast, us, self._mixer.speaker)
        if self._video is not None:
            yield from self._video.encode(picture, index)
        for images in due:
            yield Unit(UnitKind.OUTPUTS, False, us, images.name.encode())
            yield Unit(UnitKind.IMAGE, True, us, jpeg(picture, images.width, images.height))

    def _is_due(self, images: Images, index: int) -> bool:
        at = self._image_at.setdefault(images.name, index + self._rate)
        if index < at:
            return False
        self._image_at[images.name] = index + images.seconds * self._rate
        return True

    def _samples(self, cast: Cast, us: int, samples: Samples) -> Iterator[Unit]:
        """Yield sound as samples, and when its microphone is muted or unmuted."""
        silent = cast.is_silent(self.order.film)
        if silent != self._silent:
            self._silent = silent
            yield Unit(UnitKind.MUTED, True, us, b"1" if silent else b"0")
        whole = np.rint(samples.T * 32767).clip(-32768, 32767).astype("<i2")
        yield Unit(UnitKind.PCM, True, us, whole.tobytes())
