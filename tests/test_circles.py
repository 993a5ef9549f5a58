"""Imports between files form no cycle, even for types; only imports of optional extras are inside functions."""

import ast
import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "sfu": ROOT,
    "control": ROOT,
    "recorder": ROOT,
    "inference": ROOT,
    "ingress": ROOT / "deploy",
    "phone": ROOT / "deploy",
    "foundation": ROOT / "deploy",
    "objects": ROOT / "deploy",
    "parley": ROOT / "deploy",
    "parley_client": ROOT / "deploy/client",
}

INSIDE_FUNCTIONS = {
    "foundation.trace_export": {"opentelemetry"},  # the extra `traces`
    "parley.events_command": {"aiokafka", "control.events.dead_letters"},
    "control.services": {"control.ai.mongo_results", "control.events.kafka_bus"},  # the extras `mongodb` and `kafka`
    "parley.part_configs": {"pymongo"},
    "parley.doctor": {"control.ai.mongo_results", "control.events.kafka_producers"},
    "inference.analysis.detectors": {"inference.triton.detector_client"},  # the extra `triton`
    "inference.main": {"inference.recognisers.triton"},
    "inference.analysis.looking": {"inference.analysis.prosody"},  # the extra `emotion`
    "parley.phone_command": {"phone"},  # the extra `phone`
    "parley.flight_plot": {"matplotlib"},  # the extra `plots`
    "objects.buckets": {"minio", "google", "azure"},  # the same 7 MB, and the extras `gcp` and `azure`
    "objects.opening": {"objects.s3"},  # 7 MB in control and recorder that stores in directories do without
    "inference.triton.encoder_model": {"inference"},  # Triton's copies find what lies beside them by a path set first
    "inference.triton.decoder_model": {"inference"},
    "inference.triton.detector_model": {"inference"},
}
"""By module: the packages that it imports inside functions, because an installation may be without them."""
_INDENTED = re.compile(r"^\s+(?:import|from)\s", re.MULTILINE)


def test_files_form_no_circle() -> None:
    modules = dict(_modules())
    assert {name.partition(".")[0] for name in modules} == PACKAGES.keys()
    imports = {name: _imports(path, modules.keys()) - {name} for name, path in modules.items()}
    assert list(_circles(imports)) == []


def test_imports_stand_at_the_top_of_files() -> None:
    found = {name: _inside_functions(path) for name, path in _modules()}
    found = {name: imported for name, imported in found.items() if imported}
    assert found.keys() == INSIDE_FUNCTIONS.keys()
    for name, imported in found.items():
        for one in imported:
            assert any(one == known or one.startswith(f"{known}.") for known in INSIDE_FUNCTIONS[name]), (name, one)


def test_a_circle_is_found() -> None:
    imports = {"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": {"e"}, "e": set()}
    assert list(_circles(imports)) == [{"a", "b", "c"}]


def _modules() -> Iterator[tuple[str, Path]]:
    for package, folder in PACKAGES.items():
        for path in (folder / package).rglob("*.py"):
            parts = path.relative_to(folder).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def _imports(path: Path, modules: AbstractSet[str]) -> set[str]:
    """Return the modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found.update(names & modules or {node.module})
    return found & modules


def _inside_functions(path: Path) -> set[str]:
    """Return the modules that functions of a file import."""
    found: set[str] = set()
    text = path.read_text()
    if not _INDENTED.search(text):  # as in most files, which need not be parsed
        return found
    for function in ast.walk(ast.parse(text)):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Import):
                    found.update(alias.name for alias in node.names)
                elif isinstance(node, ast.ImportFrom):
                    found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def _circles(imports: dict[str, set[str]]) -> Iterator[set[str]]:
    """Yield the groups of modules that reach each other (Tarjan's strongly connected components)."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    open_ones: list[str] = []
    for root in imports:
        if root not in order:
            yield from _circles_from(root, imports, order, lowest, open_ones)


def _circles_from(
    name: str, imports: dict[str, set[str]], order: dict[str, int], lowest: dict[str, int], open_ones: list[str]
) -> Iterator[set[str]]:
    order[name] = lowest[name] = len(order)
    open_ones.append(name)
    for other in sorted(imports[name]):
        if other not in order:
            yield from _circles_from(other, imports, order, lowest, open_ones)
            lowest[name] = min(lowest[name], lowest[other])
        elif other in open_ones:
            lowest[name] = min(lowest[name], order[other])
    if lowest[name] == order[name]:
        circle = set(open_ones[open_ones.index(name) :])
        del open_ones[open_ones.index(name) :]
        if len(circle) > 1:
            yield circle
