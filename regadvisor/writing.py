"""Files written whole or not at all."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from regadvisor.errors import ParameterError, StorageError, reason_of


def write_whole(text: str, path: str | Path) -> None:
    """Write `text` to `path`; an older file there stays as it is until the new one is complete.

    Raises StorageError if it cannot be written; nothing half written is left behind.
    """
    if not isinstance(path, str | os.PathLike):
        raise ParameterError(f"path must be the path of a file, got {path!r}")
    path = Path(path)
    try:
        if path.exists() and not path.is_file():  # a device or a pipe takes what comes
            path.write_bytes(text.encode())
            return
        part = path.with_name(f"{path.name}.part")
    except (OSError, ValueError) as error:
        raise _refused(path, error) from error
    try:
        part.write_bytes(text.encode())
        part.replace(path)
    except (OSError, ValueError) as error:
        with suppress(OSError, ValueError):
            part.unlink(missing_ok=True)
        raise _refused(path, error) from error


def _refused(path: Path, error: Exception) -> StorageError:
    return StorageError(
        f"path must be a file that can be written, got {str(path)!r} ({reason_of(error)}); free some space, "
        "or give another path in an existing folder"
    )
