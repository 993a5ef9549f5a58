"""onnxruntime sends no telemetry: each module that imports it does so after the switch is set."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("inference", "control", "sfu", "recorder", "deploy")

SEEN = """
import ctypes, importlib, json, sys

getenv = ctypes.CDLL(None).getenv
getenv.restype = ctypes.c_char_p

class Watch:
    # Notes, when onnxruntime is looked for, what its library would read (getenv(3), not Python's copy).
    def find_spec(self, name, path=None, target=None):
        if name == "onnxruntime":
            print(json.dumps((getenv(b"ORT_DISABLE_TELEMETRY") or b"").decode()))
        return None

sys.meta_path.insert(0, Watch())
importlib.import_module(sys.argv[1])
"""


def importing() -> list[str]:
    """The modules of ours that import onnxruntime."""
    found = []
    for part in PARTS:
        for path in sorted((ROOT / part).rglob("*.py")):
            text = path.read_text()
            if "onnxruntime" not in text:  # parsing everything would take each worker five seconds
                continue
            tree = ast.parse(text)
            names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
            names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
            if any(name.split(".")[0] == "onnxruntime" for name in names):
                found.append(".".join(path.relative_to(ROOT).with_suffix("").parts))
    return found


def test_some_do() -> None:
    assert "inference.speech.session" in importing()


@pytest.mark.parametrize("module", importing())
def test_the_switch_is_set_before(module: str) -> None:
    told = subprocess.run([sys.executable, "-c", SEEN, module], capture_output=True, text=True, check=True, timeout=60)
    assert json.loads(told.stdout) == "1"
