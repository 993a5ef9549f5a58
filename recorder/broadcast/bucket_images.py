"""Output of single images into an application's bucket."""

from foundation.broadcasts import OutputOrder
from recorder.broadcast.bucket_output import BucketOutput
from recorder.broadcast.image_output import Images


class BucketImages(BucketOutput, Images):
    """Stores JPEG images as they come; after an interruption their numbers continue."""

    def __init__(self, order: OutputOrder, zero: int) -> None:
        super().__init__(order, zero)
        self._first = self.first_number(self._options.seconds)
