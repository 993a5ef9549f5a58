"""Build of the wheel: the client together with the formats and state machines that it shares with the server.

In a checkout, the client imports them from `sfu` and `foundation`. A wheel must neither need the server nor share its
packages, so it contains copies of the modules that the client imports, in `parley_client/_shared`.
"""

import ast
import re
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
ROOTS = {"sfu": HERE.parents[1], "foundation": HERE.parent, "parley_client": HERE}
SHARED = "parley_client._shared"
_IMPORT = re.compile(r"^(\s*)(from|import) (?=(?:sfu|foundation)[. ])", re.MULTILINE)


def source(module: str) -> Path | None:
    """Return the file of one of our modules or packages; None for any other name."""
    root = ROOTS.get(module.partition(".")[0])
    if root is None:
        return None
    path = root.joinpath(*module.split("."))
    return next((found for found in (path.with_suffix(".py"), path / "__init__.py") if found.exists()), None)


def reached(module: str, found: dict[str, Path]) -> dict[str, Path]:
    """Add a module, its packages and all our modules that it imports to `found`, and return it."""
    path = source(module)
    if path is None or module in found:
        return found
    found[module] = path
    if "." in module:
        reached(module.rpartition(".")[0], found)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                reached(name, found)
        elif isinstance(node, ast.Import):
            for alias in node.names:
                reached(alias.name, found)
    return found


def relocated(text: str) -> str:
    """Return a module's text with its imports of shared modules pointing to their copies."""
    return _IMPORT.sub(rf"\1\2 {SHARED}.", text)


class BuildWithShared(build_py):
    """Build of the package, with the shared modules; an editable installation uses the checkout's."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        found: dict[str, Path] = {}
        for path in (HERE / "parley_client").glob("*.py"):
            reached(f"parley_client.{path.stem}".removesuffix(".__init__"), found)
        target = Path(self.build_lib)
        shutil.rmtree(target.joinpath(*SHARED.split(".")), ignore_errors=True)  # from an earlier build
        for module, path in found.items():
            shared = not module.startswith("parley_client")
            name = f"{SHARED}.{module}" if shared else module
            place = target.joinpath(*name.split("."))
            place = place / "__init__.py" if path.name == "__init__.py" else place.with_suffix(".py")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(relocated(path.read_text(encoding="utf-8")), encoding="utf-8")
        (target.joinpath(*SHARED.split(".")) / "__init__.py").write_text(
            '"""Formats and state machines that the client shares with the server; not an interface."""\n'
        )


setup(cmdclass={"build_py": BuildWithShared})
