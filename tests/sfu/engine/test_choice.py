"""The choice of the engine, and the notice at a node's start."""

import subprocess
import sys

import pytest

from sfu.engine import available_engines, create_engine, engine_notice

NOTICE = """
import sys
{before}
from sfu.engine import create_engine, engine_notice
print(engine_notice(create_engine({asked!r})))
"""
NOT_BUILT = "sys.modules['sfu.engine.compiled'] = None"
WITHOUT_LIBCRYPTO = """
class Finder:
    def find_spec(name, path=None, target=None):
        if name == "sfu.engine.compiled":
            raise ImportError("libcrypto of OpenSSL 1.1 or later; not found here: libcrypto")
sys.meta_path.insert(0, Finder)
"""
BUILT_OF_AN_OLDER_TREE = """
class Finder:
    def find_spec(name, path=None, target=None):
        if name == "sfu.engine.compiled":
            raise ModuleNotFoundError("No module named 'sfu.moved'", name="sfu.moved")
sys.meta_path.insert(0, Finder)
"""


def notice(before: str = "", asked: str | None = "auto") -> str:
    code = NOTICE.format(before=before, asked=asked)
    return subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True).stdout


def test_where_it_was_not_built_python_serves_and_says_what_to_install() -> None:
    told = notice(NOT_BUILT)
    assert told.startswith("engine: plain Python; ")
    assert "C compiler" in told
    assert "headers" in told
    assert told.count("\n") == 1


@pytest.mark.parametrize(
    ("before", "reason"), [(WITHOUT_LIBCRYPTO, "libcrypto"), (BUILT_OF_AN_OLDER_TREE, "sfu.moved")]
)
def test_where_it_does_not_load_the_reason_is_told(before: str, reason: str) -> None:
    told = notice(before)
    assert told.startswith("engine: plain Python; ")
    assert reason in told
    assert "compiler" not in told


def test_the_fastest_serves_unless_another_was_asked_for() -> None:
    assert create_engine("auto").name == available_engines()[0] == "compiled"
    assert engine_notice(create_engine("auto")) == "engine: compiled"
    assert "compiled is available" in engine_notice(create_engine("python"))


def test_the_environment_decides_where_nothing_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_SFU_ENGINE", "python")
    assert create_engine().name == "python"
    assert create_engine("compiled").name == "compiled"


def test_what_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="auto, compiled, python"):
        create_engine("fast")
