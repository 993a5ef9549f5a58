"""Files that only their owner can read (0600), written atomically."""

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
        pass  # another process was first, and its file is just as good
    finally:
        temporary.unlink()


def replace(path: Path, content: bytes) -> None:
    """Write a file, replacing an earlier one."""
    _beside(path, content).replace(path)


def _beside(path: Path, content: bytes) -> Path:
    """Write a file under a temporary name, which is random because processes in containers share the same pid."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return temporary
