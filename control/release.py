"""The release that runs, as its distribution says it."""

from importlib.metadata import PackageNotFoundError, version


def release() -> str:
    """Return the version, or "unreleased" where the packages were not installed."""
    try:
        return version("parley-sfu")
    except PackageNotFoundError:
        return "unreleased"
