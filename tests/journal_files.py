"""What tests know of a journal's file: an SQLite table, and a log beside it while a run is going."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path

FITS = "key NOT IN ('identity', 'settings')"


def n_stored(path: Path) -> int:
    """Fits in a journal; looked up in a copy, so that nothing changes that a kill left."""
    copied = copy_of(path, path.parent / "copies")
    with closing(sqlite3.connect(copied)) as database:
        return int(database.execute(f"SELECT count(*) FROM journal WHERE {FITS}").fetchone()[0])


def copy_of(path: Path, folder: Path) -> Path:
    """Copy a journal as it lies on the disk, with the log beside it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for part in (path, wal(path)):
        if part.exists():
            shutil.copy(part, folder / part.name)
    return folder / path.name


def keep(path: Path, n_fits: int) -> None:
    """Leave what a kill after so many fits leaves."""
    with closing(sqlite3.connect(path)) as database:
        database.execute(
            f"DELETE FROM journal WHERE {FITS} AND rowid NOT IN "
            f"(SELECT rowid FROM journal WHERE {FITS} ORDER BY rowid LIMIT {n_fits})"
        )
        database.commit()


def wal(path: Path) -> Path:
    """The log that SQLite writes ahead."""
    return path.with_name(f"{path.name}-wal")


def size(path: Path) -> int:
    """Bytes on the disk: they grow with every fit."""
    total = 0
    for part in (path, wal(path)):
        with suppress(FileNotFoundError):
            total += part.stat().st_size
    return total
