"""Imports modules that a library would import only on use, because a confined worker cannot read files."""

import importlib
import pkgutil
from types import ModuleType


def whole_package(package: ModuleType, besides: frozenset[str] = frozenset()) -> None:
    """Import every module of a package, except those named."""
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if module.name not in besides:
            importlib.import_module(module.name)
