"""The watermark and captions lie translucently over the picture, and leave no trace in the next one."""

import base64
import io
from pathlib import Path

import av
import msgspec
import numpy as np
import pytest
from PIL import Image

from foundation.film_options import FilmOptions, Format, Watermark
from foundation.jobs import Said
from recorder.compose import caption_track, lettering
from recorder.compose.canvas import Canvas
from recorder.compose.caption_track import Cue, cues
from recorder.compose.cuts import Cuts
from recorder.compose.layouts import Moment, Seen, arrange
from recorder.compose.overlays import wrapped
from recorder.compose.scenes import Scene


def picture(canvas: Canvas, ms: float = 0) -> np.ndarray:
    canvas.resume()
    drawn: np.ndarray = canvas.finish(ms).to_ndarray(format="rgb24").astype(int)
    return drawn


def canvas_with(options: FilmOptions, said: tuple[Said, ...] = ()) -> Canvas:
    canvas = Canvas(options, said)
    canvas.begin(Scene(0, 10_000, arrange(Moment((Seen("ada", "Ada", None),)), options)))
    return canvas


def red_square() -> str:
    data = io.BytesIO()
    Image.new("RGBA", (40, 40), (255, 0, 0, 255)).save(data, "PNG")
    return base64.b64encode(data.getvalue()).decode()


def changed(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows and columns where two pictures differ."""
    rows, columns = np.where(np.abs(one - other).max(axis=2) > 6)
    return rows, columns


@pytest.mark.parametrize(
    ("position", "left", "top"), [("top-left", True, True), ("bottom-right", False, False), ("top-right", False, True)]
)
def test_a_watermark_is_in_its_corner(position: str, left: bool, top: bool) -> None:
    plain = picture(canvas_with(FilmOptions()))
    mark = Watermark(text="Draft 草稿", position=position)  # type: ignore[arg-type]
    rows, columns = changed(plain, picture(canvas_with(FilmOptions(watermark=mark))))
    assert rows.size > 100
    assert bool(columns.max() < 640) is left
    assert bool(rows.max() < 360) is top


def test_opacity_is_that_of_the_watermark() -> None:
    plain = picture(canvas_with(FilmOptions()))
    for opacity in (0.25, 1.0):
        mark = Watermark(image=red_square(), position="centre", opacity=opacity)
        marked = picture(canvas_with(FilmOptions(watermark=mark)))
        wanted = (1 - opacity) * plain[360, 640] + opacity * np.array([255, 0, 0])
        assert np.abs(marked[360, 640] - wanted).max() < 14


def test_a_still_picture_does_not_become_brighter() -> None:
    canvas = canvas_with(FilmOptions(watermark=Watermark(text="Draft", opacity=0.5)))
    first = picture(canvas)
    for _ in range(5):
        assert np.array_equal(picture(canvas), first)


def test_a_caption_is_shown_in_its_time() -> None:
    said = (Said(start_ms=1000, end_ms=2000, name="Ada", text="大家好，我们开始吧"),)
    canvas = canvas_with(FilmOptions(captions="burnt"), said)
    before, during, after = (picture(canvas, ms) for ms in (999, 1000, 2000))
    assert np.array_equal(before, after)
    rows, columns = changed(before, during)
    assert rows.min() > 560
    assert abs((columns.min() + columns.max()) / 2 - 640) < 12


@pytest.mark.parametrize("text", ["word " * 60, "我们今天讨论一下这个项目的进度，" * 8, "x" * 300])
def test_long_captions_are_broken(text: str) -> None:
    lines = wrapped(text, 32, 1000)
    assert "".join(lines).replace(" ", "") == lettering.printable(text, 400).replace(" ", "")
    if "x" not in text:
        assert max(lettering.width(line, 32) for line in lines) <= 1000
    assert not any(line.startswith("，") for line in lines)


@pytest.mark.parametrize("mark", [Watermark(), Watermark(text="a", image="b")])
def test_a_watermark_is_a_text_or_an_image(mark: Watermark) -> None:
    assert FilmOptions(watermark=mark).problem() is not None


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(ValueError, match="neither a PNG nor a JPEG"):
        Canvas(FilmOptions(watermark=Watermark(image="AAAA")))


def test_options_survive_a_job() -> None:
    options = FilmOptions(watermark=Watermark(text="Draft", position="top", opacity=0.3), captions="burnt")
    assert msgspec.convert(msgspec.to_builtins(options), FilmOptions) == options


def said(start: int, end: int, text: str, name: str = "Ada") -> Said:
    return Said(start_ms=start, end_ms=end, name=name, text=text)


def test_cues_do_not_overlap_and_follow_the_cuts() -> None:
    lines = [said(1000, 3000, "one"), said(2000, 4000, "two", "Bo"), said(9000, 9500, "cut away")]
    found = cues(lines, Cuts([(500, 3500), (5000, 6000)], 10_000))
    assert found == [
        Cue(500, 1500, "Ada: one"),
        Cue(1500, 2500, "Ada: one\nBo: two"),
        Cue(2500, 3000, "Bo: two"),
    ]


@pytest.mark.parametrize("kind", ["mp4", "webm"])
def test_captions_are_a_track(kind: Format, tmp_path: Path) -> None:
    path = tmp_path / f"film.{kind}"
    found = cues([said(100, 700, "a <b> & 你好"), said(1200, 1800, "later")], Cuts([], 2000))
    with av.open(str(path), "w", format=kind) as container:
        stream = caption_track.add_captions(container, kind)
        for packet in caption_track.packets(found, kind, stream):
            container.mux(packet)
    with av.open(str(path)) as container:
        track = container.streams.subtitles[0]
        read = [
            (round(p.pts * p.time_base * 1000), round((p.duration or 0) * p.time_base * 1000), bytes(p))
            for p in container.demux(track)
            if p.pts is not None and p.time_base is not None and len(bytes(p)) > 2
        ]
    texts = ["Ada: a <b> & 你好", "Ada: later"] if kind == "mp4" else ["Ada: a &lt;b&gt; &amp; 你好", "Ada: later"]
    assert [(start, length) for start, length, _ in read] == [(100, 600), (1200, 600)]
    assert [data[2 if kind == "mp4" else 0 :].decode() for _, _, data in read] == texts
