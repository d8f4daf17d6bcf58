"""The journal behind ``storage=``: finished fits in, finished fits out, whatever moment a run is killed at.

The file is an SQLite database of one table, key → blob. Every fit is a transaction: it is there whole or not
at all. SQLite's write-ahead log survives kills and losses of power without waiting for the disk at every fit
(0.3 instead of 14 ms). While a run is going, and after a kill, the newest fits stand in ``NAME-wal`` beside
the journal; the next run takes them in. A run that ends, also by an error or Ctrl-C, leaves one file.
"""

from __future__ import annotations

import json
import re
import sqlite3
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from regadvisor.errors import StorageError, reason_of
from regadvisor.families.base import Fit, Job, Prepared

#: SQLite's mark of whose file it is: "REG" and the format, which is raised when older journals are of no use.
_MARK = int.from_bytes(b"REG\x02", "big")
#: Errors of damaged files; the last one: the table is not there.
_DAMAGES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)
#: Seconds to wait for a run that is just ending.
_WAIT_S = 2.0

Setting = str | int | float | bool
Settings = dict[str, Setting]
Value = TypeVar("Value")


class Journal:
    """The fits of a run, by what was trained; made by :func:`opened`."""

    def __init__(self, path: Path, database: sqlite3.Connection) -> None:
        self._path, self._database = path, database

    def get(self, key: str, kind: type[Value]) -> Value | None:
        """Return what is stored under a key, or None."""
        with _in_our_words(self._path):
            row = self._database.execute(
                "SELECT CAST(value AS BLOB) FROM journal WHERE key = ?", (key,)
            ).fetchone()
            if row is None:
                return None
            return msgspec.msgpack.decode(zlib.decompress(row[0]), type=kind, dec_hook=_array)

    def put(self, key: str, value: object) -> None:
        """Store a value under a key, in place of an earlier one."""
        packed = zlib.compress(msgspec.msgpack.encode(value, enc_hook=_bytes_or_number), 1)
        with _in_our_words(self._path):
            self._database.execute("INSERT OR REPLACE INTO journal VALUES (?, ?)", (key, packed))

    def claim(self, identity: Mapping[str, Setting]) -> None:
        """Bind the journal to this run's data and settings; StorageError if it belongs to others."""
        earlier = self.get("identity", Settings)
        if earlier is None:
            self.put("identity", dict(identity))
            return
        differing = [name for name in identity if earlier.get(name) != identity[name]]
        if differing:
            raise StorageError(
                f"storage must be the journal of a run on the same data with the same settings, "
                f"got {str(self._path)!r}: "
                + ", ".join(f"{name} was {earlier.get(name)!r}, now {identity[name]!r}" for name in differing)
                + "; give what it was started with, or delete the file to start anew"
            )

    def find(self, study: str, job: Job, folds: Sequence[int] | None, prepared: Prepared) -> Fit | None:
        """Return the stored fit of a job on these folds (None: on all) of `prepared`.

        Raises StorageError if another one stands under its key.
        """
        fit = self.get(_key(study, job, folds), Fit)
        if fit is not None and not _is_of(fit, job, folds, prepared):
            raise StorageError(_damaged(self._path, "a fit is not what it is called"))
        return fit

    def append(self, study: str, fit: Fit) -> None:
        """Store a finished fit; `study` is its kind, or another name for fits that are no candidates."""
        self.put(_key(study, fit.job, fit.folds), fit)


@contextmanager
def opened(storage: str | Path) -> Iterator[Journal]:
    """Open a journal for this run alone; a new one if there is none.

    Raises StorageError if it is no journal of ours (it is left as it is), cannot be written, or another run
    holds it.
    """
    with _in_our_words(Path(storage)):
        path = Path(storage).absolute()
        check_ours(path)
        # Whichever thread trained a fit hands it over; sqlite3 itself takes one call at a time.
        database = sqlite3.connect(path, timeout=_WAIT_S, isolation_level=None, check_same_thread=False)
    with closing(database):
        with _in_our_words(path):
            # The lock is the system's and kept until the end; a killed run leaves none behind.
            for setting in ("PRAGMA locking_mode=EXCLUSIVE", "PRAGMA synchronous=NORMAL", "BEGIN EXCLUSIVE"):
                database.execute(setting)
            if _number(database, "application_id") != _MARK:  # new
                database.execute(f"PRAGMA application_id={_MARK}")
                database.execute("CREATE TABLE journal (key TEXT PRIMARY KEY, value BLOB NOT NULL)")
            database.execute("COMMIT")
            database.execute("PRAGMA journal_mode=WAL")
        yield Journal(path, database)


def read_settings(storage: str | Path) -> Settings | None:
    """Return the settings that an earlier run left in its journal, or None if there is no such run."""
    if not Path(storage).exists():
        return None
    with opened(storage) as journal:
        return journal.get("settings", Settings)


def write_settings(storage: str | Path, settings: Mapping[str, Setting]) -> None:
    """Leave settings (the effort chosen, say) for the run that continues this one."""
    with opened(storage) as journal:
        journal.put("settings", dict(settings))


def check_ours(path: Path) -> None:
    """Raise unless the file is new or ours. It only reads: of what is not ours no byte changes."""
    if not path.exists():
        return
    if not path.is_file():
        raise StorageError(
            f"storage must be a file that can be written, got {str(path)!r}, which is a folder, a device or "
            "a pipe; give the name of a new file"
        )
    mark, line = 0, b""
    try:
        # SQLite reads it, since closing a file by other means drops the locks that this process has on it.
        with closing(
            sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
        ) as database:
            # A file that a kill left in the middle of a change is shorter than it says; reading goes on.
            database.execute("PRAGMA writable_schema=ON")
            mark = _number(database, "application_id")
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
            raise
        with path.open("rb") as file:
            line = file.readline(1000)
    if mark == _MARK or not path.stat().st_size:
        return
    is_older = mark >> 8 == _MARK >> 8 or re.match(rb'\{"op_code":0,.*"study_name":"regadvisor"', line)
    was = "another version of regadvisor wrote; delete it or" if is_older else "holds something else;"
    raise StorageError(
        f"storage must be a new file or the journal of an earlier run, got {str(path)!r}, which {was} "
        "give another file name"
    )


def _number(database: sqlite3.Connection, name: str) -> int:
    return int(database.execute(f"PRAGMA {name}").fetchone()[0])


@contextmanager
def _in_our_words(path: Path) -> Iterator[None]:
    """Turn errors of locks, of damaged files and of the disk into ours."""
    try:
        yield
    except StorageError:
        raise
    except (sqlite3.Error, zlib.error, msgspec.MsgspecError, OSError, ValueError) as error:
        file, reason = repr(str(path)), reason_of(error)
        kind = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the other bytes are details
        if kind in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            said = (
                f"used by one run at a time, but another one holds {file}; wait for it or give another file"
            )
        elif kind in _DAMAGES or isinstance(error, zlib.error | msgspec.MsgspecError):
            raise StorageError(_damaged(path, reason)) from error
        else:
            said = (
                f"a file that can be written, got {file} ({reason}); give a file in a folder that can be "
                "written, or free some space and run the same again with this storage (on the command line: "
                "with --resume): what was stored is whole"
            )
        raise StorageError(f"storage must be {said}") from error


def _damaged(path: Path, reason: str) -> str:
    return (
        f"storage must be an undamaged journal, but {str(path)!r} cannot be read ({reason}); give another "
        "file name, or delete the file to start anew"
    )


def _is_of(fit: Fit, job: Job, folds: Sequence[int] | None, prepared: Prepared) -> bool:
    """Return whether a stored fit is that of a job on these folds, as far as can be told without training."""
    by_fold = (fit.train_losses, *(() if fit.epochs is None else (fit.epochs,)))
    return (
        (fit.job, fit.folds) == (job, None if folds is None else tuple(folds))
        and len(fit.losses) == prepared.n_rows
        and all(len(each) == len(prepared.folds) for each in by_fold)
    )


def _key(study: str, job: Job, folds: Sequence[int] | None) -> str:
    """Return what identifies a fit; numbers as JSON, which keeps every bit."""
    return json.dumps([study, sorted(job.regularizer.strengths().items()), job.seed, folds])


def _bytes_or_number(value: NDArray[np.float64] | np.generic) -> object:
    """Return an array as its bytes, a number of NumPy as one of Python."""
    return value.astype("<f8").tobytes() if isinstance(value, np.ndarray) else value.item()


def _array(kind: object, packed: bytes) -> NDArray[np.float64]:
    """Return the array of which these are the bytes."""
    return np.frombuffer(packed, dtype="<f8").astype(np.float64)
