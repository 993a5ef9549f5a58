"""The inputs in the engine fuzzer's corpus run through the compiled engine without a fault."""

from pathlib import Path

import pytest

from tests.fuzz.fuzz_engine import Machine

CORPUS = sorted((Path(__file__).parent / "engine_corpus").iterdir())


@pytest.mark.parametrize("path", CORPUS, ids=lambda path: path.name)
def test_kept_programs(path: Path) -> None:
    Machine().run(path.read_bytes())
