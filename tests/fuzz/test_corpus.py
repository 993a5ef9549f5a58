"""Every input in the corpus gives a value or ValueError, and so does a short run of mutations of it."""

import random
from pathlib import Path

import pytest

from tests.fuzz.mutate import mutate
from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).parent / "corpus"
FILES = sorted(path for path in CORPUS.rglob("*") if path.is_file())


def accepts(target, data):
    """Return True if the target takes the input; ValueError is a refusal, anything else fails the test."""
    try:
        target(data)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CORPUS)))
def test_kept_inputs(path):
    accepted = accepts(TARGETS[path.parent.name], path.read_bytes())
    if path.name.startswith("good-"):
        assert accepted
    if path.name.startswith("bad-"):
        assert not accepted


@pytest.mark.parametrize("name", TARGETS)
def test_mutations_of_kept_inputs(name):
    dice = random.Random(1)
    corpus = [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]
    accepted = sum(accepts(TARGETS[name], mutate(corpus, dice)) for _ in range(2000))
    assert accepted > 0
