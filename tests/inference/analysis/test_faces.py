"""Faces are found, cut out, and classified by two nets that agree on clear expressions."""

from pathlib import Path

import numpy as np
import pytest

from inference.analysis.expressions import Expressions
from inference.analysis.faces import FaceFinder, crop
from inference.analysis.mood import EXPRESSIONS
from tests.inference.portrait import empty, portrait


@pytest.fixture(scope="module")
def finder(faces_dir: Path) -> FaceFinder:
    return FaceFinder(faces_dir / "blazeface.onnx")


@pytest.mark.parametrize(("width", "height"), [(320, 240), (240, 320), (640, 480), (1280, 720)])
def test_a_face_is_found_in_the_middle_of_the_portrait(finder: FaceFinder, width: int, height: int) -> None:
    (face,) = finder.find(portrait(width, height))
    assert face.left < width / 2 < face.left + face.side
    assert face.top < height / 2 < face.top + face.side
    assert 0.15 * min(width, height) < face.side < 0.6 * max(width, height)


def test_no_face_is_found_where_there_is_none(finder: FaceFinder) -> None:
    noise = np.random.default_rng(3).integers(0, 255, (240, 320, 3)).astype(np.uint8)
    stripes = np.tile(np.arange(320, dtype=np.uint8)[None, :, None] % 32 * 8, (240, 1, 3))
    for picture in (empty(), noise, stripes, empty(2, 2)):
        assert finder.find(picture) == []


def test_two_faces_are_two(finder: FaceFinder) -> None:
    both = np.concatenate((portrait(), portrait()), axis=1)
    left, right = sorted(finder.find(both), key=lambda face: face.left)
    assert left.left + left.side < right.left


def test_a_face_that_sticks_out_is_cut_out_whole(finder: FaceFinder) -> None:
    (face,) = finder.find(portrait())
    cut = crop(portrait(), face._replace(left=-face.side // 2), 64)
    assert cut.shape == (64, 64, 3)
    assert np.array_equal(cut[:, 0], cut[:, 20])


def test_the_portrait_looks_neutral(finder: FaceFinder, faces_dir: Path) -> None:
    picture = portrait(640, 480)
    probabilities = Expressions(faces_dir).of(picture, finder.find(picture)[0])
    assert probabilities.sum() == pytest.approx(1, abs=1e-3)
    assert EXPRESSIONS[int(probabilities.argmax())] == "neutral"
