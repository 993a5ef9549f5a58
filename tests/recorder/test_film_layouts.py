"""Layouts, sizes, formats and cuts of films."""

import base64
import io
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from foundation.film_options import SIZES, FilmOptions, Region, from_job, to_job
from recorder.compose.canvas import Canvas, Scaled, Scaler, _to_planes, fit
from recorder.compose.cuts import Cuts
from recorder.compose.film import compose
from recorder.compose.layouts import WAVE, Box, Moment, Seen, arrange, grid
from recorder.compose.levels import LEVEL_MS, speech
from recorder.compose.scenes import Scene, film_chapters
from tests.recorder.test_compose import BLUE, RED, camera_file, is_near, manifest_of, sound_file, track

PEOPLE = tuple(Seen(f"p{index}", f"Name {9 - index}", None if index == 2 else f"c{index}") for index in range(4))
SCREEN = Seen("p1", "Bob: screen", "screen")
REGIONS = [
    Region(x=0, y=0, width=0.75, height=1, shows="screen"),
    Region(x=0.75, y=0, width=0.25, height=0.25, shows="speaker"),
    Region(x=0.75, y=0.25, width=0.25, height=0.75, shows="people"),
]


@given(
    st.sampled_from(["grid", "speaker", "screen", "single", "waveform", "custom"]),
    st.sampled_from(sorted(SIZES)),
    st.integers(0, 30),
    st.booleans(),
)
def test_tiles_lie_within_the_picture(layout, size, count: int, shared: bool) -> None:
    people = tuple(Seen(f"p{index}", "Ada", f"c{index}") for index in range(count))
    options = FilmOptions(layout=layout, size=size, regions=REGIONS if layout == "custom" else [])
    tiles = arrange(Moment(people, SCREEN if shared else None, "p1"), options)
    for tile in tiles:
        box = tile.box
        assert not (box.x % 2 or box.y % 2 or box.width % 2 or box.height % 2)
        assert box.x + box.width <= options.width and box.y + box.height <= options.height
        assert min(box.width, box.height) >= 32
    if layout == "grid" and not shared:
        assert len(tiles) == min(count, 25)


def first(layout, speaker: str = "", screen: Seen | None = None, **other) -> list[tuple[str | None, Box]]:
    tiles = arrange(Moment(PEOPLE, screen, speaker), FilmOptions(layout=layout, **other))
    return [(tile.track, tile.box) for tile in tiles]


def test_layouts_show_who_they_say() -> None:
    assert [track for track, _ in first("speaker", "p3")] == ["c3", "c0", "c1", None]
    assert first("speaker", "p3")[0][1].width > 1000
    shared = first("screen", "p3", SCREEN)
    assert [track for track, _ in shared] == ["screen", "c3"] and shared[0][1] == Box(0, 0, 1280, 720)
    assert first("single", participant="p1") == [("c1", Box(0, 0, 1280, 720))]
    assert first("single", "p3") == [("c3", Box(0, 0, 1280, 720))]
    assert [track for track, _ in first("waveform")] == [None] * 4 + [WAVE]
    custom = first("custom", "p0", SCREEN, regions=REGIONS)
    assert [track for track, _ in custom] == ["screen", "c0", "c1", None, "c3"]
    names = arrange(Moment(PEOPLE), FilmOptions(order="name"))
    assert [tile.participant for tile in names] == ["p3", "p2", "p1", "p0"]
    assert len({tile.box.x for tile in arrange(Moment(PEOPLE), FilmOptions(size="vertical"))}) == 1


def test_an_inset_stays_above_a_picture_that_changes() -> None:
    options = FilmOptions(layout="screen")
    tiles = arrange(Moment((Seen("ada", "Ada", "acam"),), Seen("ada", "Ada", "screen"), "ada"), options)
    canvas = Canvas(options)
    canvas.begin(Scene(0, 1000, tiles))

    def show(index: int, level: int) -> None:
        box = tiles[index].box
        picture = Image.new("RGB", (box.width, box.height), (level, level, level))
        canvas.show(tiles[index], Scaled(box, _to_planes(picture)))

    def seen(x: int, y: int) -> int:
        return int(canvas.finish().to_ndarray()[y, x])

    inset = tiles[1].box
    middle = inset.x + inset.width // 2, inset.y + inset.height // 2
    show(0, 80)
    show(1, 250)
    bright = seen(*middle)
    show(0, 20)
    assert seen(*middle) == bright > seen(100, 100) + 100
    canvas.placard(tiles[0], "Camera off")
    assert seen(*middle) == bright


@pytest.mark.parametrize(
    ("options", "taken"),
    [
        (FilmOptions(), {"a-camera", "a-screen", "a-screen-audio", "b-camera", "b-screen"}),
        (FilmOptions(layout="screen"), {"a-camera", "a-screen", "a-screen-audio", "b-camera", "b-screen"}),
        (FilmOptions(layout="screen", participant="a"), {"a-screen", "a-screen-audio"}),
        (FilmOptions(layout="single", participant="a"), {"a-camera", "a-screen", "a-screen-audio"}),
        (FilmOptions(tracks=["b-screen"]), {"b-screen"}),
    ],
)
def test_a_film_of_one_participant_has_no_other_tracks(options: FilmOptions, taken: set[str]) -> None:
    tracks = [("a", "camera"), ("a", "screen"), ("a", "screen-audio"), ("b", "camera"), ("b", "screen")]
    found = {f"{who}-{source}" for who, source in tracks if options.takes(f"{who}-{source}", who, source)}
    assert found == taken


@pytest.mark.parametrize(
    "options",
    [
        FilmOptions(layout="custom"),
        FilmOptions(regions=REGIONS),
        FilmOptions(layout="custom", regions=[Region(x=0.5, y=0, width=0.6, height=1, shows="people")]),
        FilmOptions(layout="custom", regions=[Region(x=0, y=0, width=1, height=1, shows="participant")]),
        FilmOptions(ranges=[(0, 500), (400, 900)]),
        FilmOptions(ranges=[(5, 5)]),
    ],
)
def test_contradictory_options_are_refused(options: FilmOptions) -> None:
    assert options.problem() is not None


def test_options_survive_their_job() -> None:
    options = FilmOptions(layout="custom", regions=REGIONS, ranges=[(0, 10), (20, 30)], logo="AA==")
    assert options.problem() is None and from_job(to_job(options)) == options
    with pytest.raises(ValueError):
        from_job({"layout": "circle"})


def test_cuts_map_times_both_ways() -> None:
    cuts = Cuts([(1000, 2000), (5000, 9000)], 8000)
    assert cuts.total_ms == 4000 and cuts.spans == [(1000, 2000), (5000, 8000)]
    assert [cuts.at(ms) for ms in (0, 999, 1000, 3999)] == [1000, 1999, 5000, 7999]
    assert [cuts.film_time(ms) for ms in (1500, 3000, 5000, 8000)] == [500, None, 1000, None]
    with pytest.raises(ValueError, match="ranges"):
        Cuts([(9000, 9500)], 8000)


def test_who_speaks_is_who_goes_on_speaking() -> None:
    powers = np.full((2, 200), 1e-7, np.float32)
    powers[0, 20:100] = 1e-2
    powers[1, 60:64] = 1e-1  # a cough
    powers[1, 120:200] = 1e-2
    found = speech(powers, ["ada", "bob"])
    assert [said.participant for said in found] == ["ada", "bob"]
    assert abs(found[0].start_ms - 20 * LEVEL_MS) <= 250 and abs(found[1].start_ms - 120 * LEVEL_MS) <= 250


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ada speaks in the first 2 s, Bob in the others."""
    root = tmp_path_factory.mktemp("layouts")
    (root / "rec").mkdir()
    camera_file(root / "rec" / "acam.webm", BLUE, 4, [])
    camera_file(root / "rec" / "bcam.webm", RED, 4, [])
    sound_file(root / "rec" / "amic.webm", 4, [at / 10 for at in range(20)])
    sound_file(root / "rec" / "bmic.webm", 4, [at / 10 for at in range(20, 40)])
    return root


MANIFEST = manifest_of(
    4000,
    track("acam", "ada", "camera", 0, 4000),
    track("amic", "ada", "microphone", 0, 4000),
    track("bcam", "bob", "camera", 0, 4000),
    track("bmic", "bob", "microphone", 0, 4000),
)


def made(root: Path, where: Path, options: FilmOptions) -> Path:
    out = where / f"film.{options.format}"
    assert compose(root, MANIFEST, out, parts=where, report=lambda _: None, options=options)
    return out


def test_a_vertical_webm_of_the_speaker_is_cut_to_two_ranges(recorded: Path, tmp_path: Path) -> None:
    picture = io.BytesIO()
    Image.new("RGB", (60, 60), (0, 135, 0)).save(picture, "PNG")
    options = FilmOptions(
        layout="speaker", size="vertical", format="webm", names=False,
        ranges=[(1000, 1600), (2900, 3900)], logo=base64.b64encode(picture.getvalue()).decode(),
    )  # fmt: skip
    film = made(recorded, tmp_path, options)
    with av.open(film) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        assert video.codec_context.codec.canonical_name == "vp9" and audio.codec_context.codec.canonical_name == "opus"
        images = [frame.to_ndarray() for frame in container.decode(video)]
    assert len(images) == 40 and images[0].shape == (1920, 720)

    def colour(image: np.ndarray, x: int, y: int) -> np.ndarray:
        chroma = 1280 * 720 + (y // 2) * 360 + x // 2
        return np.array([image[y, x], image.reshape(-1)[chroma], image.reshape(-1)[chroma + 640 * 360]])

    for image, large, small in ((images[7], BLUE, RED), (images[30], RED, BLUE)):
        assert is_near(colour(image, 360, 560), large)
        assert is_near(colour(image, 120, 1080), small)
        assert is_near(colour(image, 660, 50), (78, 91, 82)), colour(image, 660, 50)  # the logo
    sheet, cues = film.with_suffix(".jpg"), film.with_suffix(".vtt").read_text()
    assert cues.startswith("WEBVTT") and f"{sheet.name}#xywh=0,0,90,160" in cues
    with Image.open(sheet) as board:
        assert board.size == (90, 160)


def test_a_participant_who_shares_no_screen_is_not_shown_instead_of_it(recorded: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="empty"):
        made(recorded, tmp_path, FilmOptions(layout="screen", participant="ada"))


@pytest.mark.parametrize(("format", "codec"), [("m4a", "aac"), ("mp3", "mp3")])
def test_sound_alone(recorded: Path, tmp_path: Path, format, codec: str) -> None:
    film = made(recorded, tmp_path, FilmOptions(format=format))
    with av.open(film) as container:
        assert not container.streams.video and container.streams.audio[0].codec_context.name.startswith(codec)
        assert container.duration is not None and abs(container.duration / 1e6 - 4) < 0.2


def test_a_fragmented_wave_has_bars_and_chapters(recorded: Path, tmp_path: Path) -> None:
    options = FilmOptions(layout="waveform", fragmented=True, ranges=[(0, 1000)])
    film = made(recorded, tmp_path, options)
    assert b"moof" in film.read_bytes()
    with av.open(film) as container:
        image = next(container.decode(video=0)).to_ndarray()[:720]
    above = image[540:620]  # the line in the middle of the wave is always there
    assert (above[:, :640] < 40).all() and (above[:, 640:] > 70).sum() > 500  # nothing was heard yet, and much comes


def test_chapters_tell_who_came_in_the_films_time() -> None:
    manifest = manifest_of(
        60_000,
        track("acam", "ada", "camera", 0, 60_000),
        track("bcam", "bob", "camera", 20_000, 30_000),
        track("screen", "ada", "screen", 40_000, 5000),
    )
    found = film_chapters(manifest, FilmOptions(ranges=[(0, 1000), (15_000, 60_000)]))
    assert [tuple(one) for one in found] == [(0, "Start"), (6000, "Bob joined"), (26_000, "Ada: screen")]


def test_a_name_is_on_the_picture_and_its_margins_are_ground() -> None:
    options = FilmOptions(background="#203040")
    people = (Seen("ada", "Ada", "acam"), Seen("bob", "Bob", "bcam"))
    tiles = arrange(Moment(people), options)
    canvas = Canvas(options)
    canvas.begin(Scene(0, 1000, tiles))
    ground = canvas.finish().to_ndarray(format="rgb24")[2, 2].astype(int)
    white = av.VideoFrame.from_ndarray(np.full((180, 320, 3), 255, np.uint8), "rgb24")
    shown = fit(white.width, white.height, tiles[0].box)
    assert tiles[0].box.height > shown.height  # there are margins above and below
    canvas.show(tiles[0], Scaler().scale(white, tiles[0].box))
    drawn = canvas.finish().to_ndarray(format="rgb24").astype(int)
    column = shown.x + shown.width // 2
    assert np.abs(drawn[tiles[0].box.y + 6, column] - ground).max() < 8
    assert drawn[shown.y + 6, column].min() > 240
    below = tiles[0].box.y + tiles[0].box.height
    beside = drawn[shown.y : below, shown.x + 8].max(axis=1)
    label = np.flatnonzero(beside < 40)  # darker than the picture and the ground
    assert 20 <= label.size <= 24 and shown.height - 26 <= label.min() and label.max() < shown.height


@pytest.mark.parametrize(("width", "height", "highest"), [(1280, 720, 480), (720, 1280, 640)])
def test_people_beside_each_other_are_not_towers(width: int, height: int, highest: int) -> None:
    first, second = grid(2, Box(0, 0, width, height))
    assert first.height == second.height == highest
    assert first.y + second.y + second.height == height
