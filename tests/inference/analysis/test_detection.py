"""Detectors on live tracks: the latest piece is scored, verdicts have card and windows, all end with consent."""

import asyncio
from collections.abc import Sequence

import msgspec

from inference.analysis.detection import Detection
from inference.analysis.live import LiveAnalysis
from inference.messages import PictureSeen, SeenFace
from inference.model_error import ModelError
from inference.synthetic.detector import Medium, ModelCard, Window
from tests.inference.material import track_opened
from tests.inference.synthetic.test_detector import CARD
from tests.support.waiting import eventually

FACE_CARD = msgspec.structs.replace(msgspec.toml.decode(CARD, type=ModelCard), medium=Medium.FACE)


class Slow:
    """A detector that scores when the test lets it, and fails on empty input."""

    card = FACE_CARD

    def __init__(self) -> None:
        self.scored: list[bytes] = []
        self.go_on = asyncio.Event()

    async def score(self, windows: Sequence[tuple[int, int, bytes]]) -> list[Window]:
        await self.go_on.wait()
        ((start, end, data),) = windows
        self.scored.append(data)
        if not data:
            raise ModelError("nothing to look at")
        return [Window(start, end, 0.9)]


async def test_only_the_latest_piece_of_a_track_waits() -> None:
    made: list[tuple[int, Window]] = []
    detection, slow = Detection(lambda handle, window: made.append((handle, window))), Slow()
    detection.put(1, Medium.FACE, (0, 1000, b"before there is a detector"))
    detection.add(slow)
    running = asyncio.create_task(detection.run())
    for second, (handle, data) in enumerate([(1, b"a"), (2, b""), (2, b"b"), (1, b"c"), (3, b""), (1, b"d")]):
        detection.put(handle, Medium.FACE, (second * 1000, second * 1000 + 1000, data))
    detection.put(4, Medium.FACE, (0, 1000, b"taken back"))
    detection.put(5, Medium.VOICE, (0, 1000, b"no detector of this"))
    detection.forget(4)
    slow.go_on.set()
    await eventually(lambda: len(slow.scored) >= 3)
    running.cancel()
    assert slow.scored == [b"b", b"", b"d"]
    assert [(handle, window.start_ms) for handle, window in made] == [(2, 2000), (1, 5000)]


def camera(handle: int = 7) -> LiveAnalysis:
    live = LiveAnalysis()
    live.opened(track_opened(handle, media="video", uses=("analysis",)))
    return live


def test_a_verdict_names_its_card_and_windows_and_is_marked() -> None:
    live = camera()
    for second in range(10):
        live.window(7, Window(second * 1000, second * 1000 + 1000, 0.99))
    report = live.report("r", "t7", {Medium.FACE: FACE_CARD})
    assert report is not None
    verdict = report["synthesis"]
    assert verdict["outcome"] == "likely synthetic"
    assert "not evidence" in verdict["text"]
    assert len(verdict["windows"]) == 10
    assert verdict["card"]["operating_point"]["synthetic_from"] == FACE_CARD.operating_point.synthetic_from


def test_without_a_model_or_consent_there_is_no_verdict() -> None:
    live = camera()
    report = live.report("r", "t7", {})
    assert report is not None
    assert report["synthesis"]["text"] == "no verdict (no model)"
    assert report["emotion"] is None, "not switched on"
    live.closed(7)
    live.window(7, Window(0, 1000, 1.0))
    live.picture(PictureSeen(handle=7, at_ms=0, faces=()))
    assert live.report("r", "t7", {}) is None
    assert live.report("another room", "t7", {}) is None


def test_a_face_that_is_gone_is_said_to_be() -> None:
    live = camera()
    live.emotion = True
    face = SeenFace(left=0, top=0, width=1, height=1, score=1, expressions=(0.95, 0.05, 0, 0, 0, 0, 0))
    for second in range(4):
        live.picture(PictureSeen(handle=7, at_ms=second * 1000, faces=(face,)))
    report = live.report("r", "t7", {})
    assert report is not None
    assert report["emotion"]["expression"] == "neutral"
    for second in range(4, 14):
        live.picture(PictureSeen(handle=7, at_ms=second * 1000, faces=()))
    report = live.report("r", "t7", {})
    assert report is not None
    assert (report["emotion"]["expression"], report["emotion"]["faces"]) == (None, 0)
