"""No file imports one that imports it back, over however many others: for types only and inside functions, too."""

import ast
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGES = {
    "sfu": ROOT,
    "control": ROOT,
    "recorder": ROOT,
    "inference": ROOT,
    "foundation": ROOT / "deploy",
    "parley": ROOT / "deploy",
    "parley_client": ROOT / "deploy/client",
}


def test_files_form_no_circle() -> None:
    modules = dict(_modules())
    assert {name.partition(".")[0] for name in modules} == PACKAGES.keys()
    imports = {name: _imports(path, modules.keys()) - {name} for name, path in modules.items()}
    assert list(_circles(imports)) == []


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
