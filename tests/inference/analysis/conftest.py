"""The nets for faces, fetched once per machine."""

from pathlib import Path

import pytest

from tests.inference.portrait import fetched_faces


@pytest.fixture(scope="session")
def faces_dir() -> Path:
    return fetched_faces()
