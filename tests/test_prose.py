"""The check of prose: it finds its phrases, and `make check` runs it over documents, help and page."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def prose() -> ModuleType:
    spec = importlib.util.spec_from_file_location("prose", ROOT / ".ci" / "prose.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_docstring_that_begins_with_a_question_is_found(prose: ModuleType) -> None:
    source = """'What it is.'
class A:
    'A thing.'
    x: int
    'Whether it is.'
    def f(self):
        'How.'
"""
    assert [line for line, _ in prose.docstrings(source)] == [1, 5, 7]


def test_a_worn_phrase_is_found_with_a_better_word(prose: ModuleType) -> None:
    ((line, complaint),) = prose.phrases("All is well.\nIt failed; trying on.")
    assert line == 2
    assert "retrying" in complaint


def test_help_is_looked_at(prose: ModuleType) -> None:
    assert "--public-hosts" in prose.help_texts()


def test_make_check_runs_it() -> None:
    check = (ROOT / "Makefile").read_text().partition("\ncheck:")[2].partition("\n\n")[0]
    assert all(part in check for part in ("codespell", "parley up --help", ".ci/prose.py"))
