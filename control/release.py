"""The running release, from the package metadata."""

from importlib.metadata import PackageNotFoundError, version


def release() -> str:
    """Return the version, or "unreleased" if the packages are not installed."""
    try:
        return version("parley-sfu")
    except PackageNotFoundError:
        return "unreleased"
