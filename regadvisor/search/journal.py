"""The file behind ``storage=``: one run at a time, repaired after a kill, and fits as text without loss.

The file is an Optuna journal: one JSON object per line, appended. A process that is killed while it
writes leaves a last line without its end, which has to go before anything is appended behind it.
Nothing in this file imports Optuna.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import re
import stat
import sys
import time
import zlib
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from regadvisor.errors import StorageError, reason_of
from regadvisor.families.base import Family, Fit, Fold, Job, Prepared
from regadvisor.families.caller import text_of

#: The first study of every journal of ours; it carries what the run was asked for.
MAIN_STUDY = "regadvisor"
#: Raised when a journal written before can no longer be continued.
FORMAT = 1
#: How every journal line begins.
_LINE_START = b'{"op_code":'
#: Seconds to wait for a run that is just ending (a killed process gives its lock back when it is gone).
_LOCK_WAIT_S = 2.0

#: Seconds between two waits for the disk.
_SYNC_EVERY_S = 1.0
#: Bytes read at once when looking for the last line.
_BLOCK_BYTES = 1 << 16

#: What may be stored: plain JSON values.
Attribute = str | int | float | bool | list[int] | None


# ------------------------------------------------------------------------------------------- the file


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the journal for this run alone, creating an empty one if there is none.

    The lock is the operating system's on the file itself, so a killed run leaves no lock behind.
    (Optuna's own lock is a second file; left over by a kill it blocks the next run for 30 s, and with a
    relative path for ever.) Where there are no such locks (Windows, some network drives) there is none.

    Raises
    ------
    StorageError
        If another run holds the file, or it cannot be opened for writing.
    """
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except (OSError, ValueError) as error:
        raise StorageError(
            f"storage must be a file that can be written, got {str(path)!r} ({reason_of(error)}); "
            "give a file name in an existing folder"
        ) from error
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise StorageError(
                f"storage must be a plain file, got {str(path)!r}, which is a device or a pipe; give the "
                "name of a new file"
            )
        _lock(handle, path)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, path: Path) -> None:
    """Lock an open file, waiting a moment for a run that is just ending."""
    if sys.platform == "win32":
        return
    import fcntl

    give_up_s = time.monotonic() + _LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() >= give_up_s:
                raise StorageError(
                    f"storage must be used by one run at a time, but another one holds {str(path)!r}; "
                    "wait for it to end or give another file"
                ) from error
            time.sleep(0.05)
        except OSError:  # a file system without locks
            return


class JournalFile:
    """Reads and appends journal lines; what Optuna asks of a journal's backend.

    Optuna's own backend opens the file for every question and waits for the disk after every line, 10 ms
    a fit where this was measured. Here the run holds the file alone, so that only its own lines are ever
    new, and a killed process loses nothing it has handed to the operating system; the disk is waited for
    now and then, against a loss of power.

    Parameters
    ----------
    path : Path
        A repaired journal.

    Raises
    ------
    ValueError
        If a line is not JSON.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as file:
            self._unread: list[dict[str, Any]] = [json.loads(line) for line in file]
        self._n_read = 0
        self._synced_s = time.monotonic()

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """Yield the entries from a number on; earlier ones are forgotten."""
        del self._unread[: log_number_from - self._n_read]
        self._n_read = log_number_from
        yield from tuple(self._unread)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Write entries at the end of the file."""
        lines = [json.dumps(log, separators=(",", ":")) for log in logs]
        try:
            with self._path.open("ab") as file:
                file.write("".join(f"{line}\n" for line in lines).encode())
                file.flush()
                if time.monotonic() - self._synced_s > _SYNC_EVERY_S:
                    os.fsync(file.fileno())
                    self._synced_s = time.monotonic()
        except OSError as error:
            raise StorageError(
                f"storage must be a file that can be written to the end, got {str(self._path)!r} "
                f"({reason_of(error)}); what was stored is whole: free some space, then run the same again "
                "with this storage (on the command line: with --resume) to go on"
            ) from error
        self._unread += [json.loads(line) for line in lines]


def repair(path: Path) -> int:
    """Remove a torn last line, or add the line end that a whole one lacks.

    Returns
    -------
    int
        Bytes removed.

    Raises
    ------
    StorageError
        If the file is not a journal of ours (it is left as it is), or is damaged before its last line.
    """
    with _to_repair(path) as file:
        _check_first_line(file.readline(), path)
        start, line = _last_line(file)
        if not line:
            return 0
        if _is_entry(line):
            if not line.endswith(b"\n"):
                file.seek(0, os.SEEK_END)
                file.write(b"\n")
            return 0
        file.truncate(start)
        removed = len(line)
        _, line = _last_line(file)
        if line and not _is_entry(line):
            raise damaged(path)
    return removed


@contextmanager
def _to_repair(path: Path) -> Iterator[BinaryIO]:
    """Open a journal; errors of the disk become ours."""
    try:
        with path.open("r+b") as file:
            yield file
    except OSError as error:
        raise StorageError(
            f"storage must be a file that can be read and written, got {str(path)!r} ({reason_of(error)}); "
            "free some space, or give another file"
        ) from error


def _last_line(file: BinaryIO) -> tuple[int, bytes]:
    """Return where the last line starts and the line; it may lack its end. Reads backwards, in blocks."""
    end = file.seek(0, os.SEEK_END)
    start, tail = end, b""
    while start > 0:
        step = min(_BLOCK_BYTES, start)
        start -= step
        file.seek(start)
        tail = file.read(step) + tail
        cut = tail.rfind(b"\n", 0, len(tail) - 1)
        if cut >= 0:
            return start + cut + 1, tail[cut + 1 :]
    return start, tail


def _is_entry(line: bytes) -> bool:
    """Whether a line is a whole journal entry. No part of a JSON object is itself one."""
    if not line.startswith(_LINE_START):
        return False
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _check_first_line(line: bytes, path: Path) -> None:
    """Raise unless a file that starts with this line is ours (or was about to be, when it was killed)."""
    is_torn = not line.endswith(b"\n") and not _is_entry(line)
    if is_torn and (line.startswith(_LINE_START) or _LINE_START.startswith(line)):
        return
    if _is_entry(line) and json.loads(line).get("study_name") == MAIN_STUDY:
        return
    raise StorageError(
        f"storage must be a new file or the journal of an earlier regadvisor run, got {str(path)!r}, which "
        "holds something else; give another file name"
    )


def damaged(path: Path) -> StorageError:
    """Return the error for a journal that cannot be read."""
    return StorageError(
        f"storage must be an undamaged journal, but {str(path)!r} has lines that cannot be read; "
        "delete the file to start anew"
    )


# ------------------------------------------------------------------------------------- what is in it


def folds_digest(folds: Sequence[Fold]) -> str:
    """Return a short hash of the folds: fits may be compared only if they share them."""
    digest = hashlib.sha256()
    for fold in folds:
        for rows in (fold.train, fold.test):
            digest.update(len(rows).to_bytes(8, "little"))
            digest.update(np.ascontiguousarray(rows, dtype="<i8").tobytes())
    return digest.hexdigest()[:16]


def identity(
    family: Family, prepared: Prepared, effort: str, seed: int, fingerprint: str
) -> dict[str, str | int | float]:
    """Return what two runs must share for their fits to be exchangeable, by the name people know it."""
    return {
        "format": FORMAT,
        "model": family.name,
        "recipe": _described(getattr(family, "recipe", None)),
        "module": _described(getattr(family, "model", None)),
        "effort": effort,
        "random_state": seed,
        "rows": prepared.n_rows,
        "folds": folds_digest(prepared.folds),
        "fingerprint": fingerprint,
    }


def _described(value: object) -> str:
    """Return a recipe or a module as text that is the same in another process: no addresses."""
    if value is None or isinstance(value, str):
        return str(value)
    if is_dataclass(value):
        parts = (f"{each.name}={_described(getattr(value, each.name))}" for each in fields(value))
        return f"{type(value).__name__}({', '.join(parts)})"
    if isinstance(value, int | float | tuple):
        return repr(value)
    if hasattr(value, "get_params"):
        return text_of(value)
    name = getattr(value, "__qualname__", None)
    # A module tells its layers, a function or class its name.
    return re.sub(r" at 0x[0-9a-f]+", "", repr(value)) if name is None else f"{value.__module__}.{name}"


def encode_fit(fit: Fit) -> dict[str, Attribute]:
    """Return a fit as JSON values from which :func:`decode_fit` makes the same fit, to the last bit."""
    return {
        "seed": fit.job.seed,
        "losses": _pack(fit.losses),
        "train_losses": _pack(fit.train_losses),
        "zeroed": _pack(fit.zeroed),
        "epochs": None if fit.epochs is None else _pack(fit.epochs),
        "sum_lr": None if fit.sum_lr is None else float(fit.sum_lr),
        "converged": bool(fit.converged),
        "is_limit": bool(fit.is_limit),
        "fit_s": float(fit.fit_s),
        "folds": None if fit.folds is None else list(fit.folds),
    }


def decode_fit(values: Mapping[str, Attribute], job: Job) -> Fit:
    """Return the fit of `job` that :func:`encode_fit` stored.

    Raises
    ------
    KeyError, ValueError
        If the values are not those of a fit.
    """
    sum_lr, folds = values["sum_lr"], values.get("folds")
    if isinstance(sum_lr, list) or not isinstance(folds, list | None):
        raise ValueError("not a fit")
    return Fit(
        job=job,
        losses=_unpack(values["losses"]),
        train_losses=_unpack(values["train_losses"]),
        zeroed=_unpack(values["zeroed"]),
        epochs=None if values["epochs"] is None else _unpack(values["epochs"]),
        sum_lr=None if sum_lr is None else float(sum_lr),
        converged=bool(values["converged"]),
        is_limit=bool(values["is_limit"]),
        fit_s=float(str(values["fit_s"])),
        folds=None if folds is None else tuple(int(fold) for fold in folds),
    )


def _pack(values: NDArray[np.float64]) -> str:
    """Return the bytes of an array as text, compressed."""
    raw = np.ascontiguousarray(values, dtype="<f8").tobytes()
    return base64.b64encode(zlib.compress(raw, 1)).decode("ascii")


def _unpack(text: Attribute) -> NDArray[np.float64]:
    """Return the array that :func:`_pack` stored."""
    try:
        raw = zlib.decompress(base64.b64decode(str(text), validate=True))
    except (binascii.Error, zlib.error) as error:
        raise ValueError("not a packed array") from error
    return np.frombuffer(raw, dtype="<f8").astype(np.float64)
