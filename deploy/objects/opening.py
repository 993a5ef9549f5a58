"""Opening of a store: S3 if it is configured, otherwise a directory."""

from pathlib import Path

from objects.directory import DirectoryStore
from objects.recording_keys import OperatorKeys
from objects.s3_config import S3Config
from objects.sealed_store import SealedStore
from objects.store import ObjectStore


def open_store(s3: S3Config | None, directory: Path, prefix: str) -> ObjectStore:
    """Return the objects below `prefix` in the bucket of `s3`, or those in `directory` if `s3` is None."""
    if s3 is None:
        return DirectoryStore(directory)
    from objects.s3 import S3Store  # noqa: PLC0415  its client takes a while to load

    return S3Store(s3, prefix)


def open_recordings(s3: S3Config | None, directory: Path, operator: OperatorKeys) -> SealedStore:
    """Return the content of recordings, encrypted or not."""
    return SealedStore(open_store(s3, directory, "recordings/"), operator)
