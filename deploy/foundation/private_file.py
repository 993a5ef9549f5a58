"""Files that only their owner can read (0600), written completely or not at all."""

import os
import secrets
from pathlib import Path


def create(path: Path, content: bytes) -> None:
    """Write a file unless it exists, even if two processes start at once."""
    if path.exists():
        return
    temporary = _beside(path, content)
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        pass  # another process was first, and its file is as good
    finally:
        temporary.unlink()


def replace(path: Path, content: bytes) -> None:
    """Write a file in place of an earlier one."""
    _beside(path, content).replace(path)


def _beside(path: Path, content: bytes) -> Path:
    """Write a file of another name. At random: in containers every process has the same number."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return temporary
