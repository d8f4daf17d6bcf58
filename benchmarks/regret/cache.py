"""Results on disk: one folder of references, JSON lines of runs. Nothing is ever recomputed or rewritten."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Arrays = dict[str, NDArray[Any]]


def digest(*parts: object) -> str:
    """Return a short hash of anything that prints the same on every machine.

    Examples
    --------
    >>> digest("a", 1) == digest("a", 1) != digest("a", 2)
    True
    """
    return hashlib.blake2b(json.dumps(parts, default=str).encode(), digest_size=6).hexdigest()


def code_version(package: Path) -> str:
    """Return a hash of the package's source: results of other code are other results."""
    found = hashlib.blake2b(digest_size=5)
    for path in sorted(package.rglob("*.py")):
        found.update(path.relative_to(package).as_posix().encode() + b"\0" + path.read_bytes())
    return found.hexdigest()


def save_arrays(path: Path, meta: dict[str, Any], arrays: Arrays) -> None:
    """Write ``path.npz`` with the meta data inside, all at once: a killed run leaves no half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.partial.npz")
    stored: dict[str, Any] = {"meta": np.array(json.dumps(meta)), **arrays}
    np.savez_compressed(partial, **stored)
    partial.replace(path)


def load_arrays(path: Path) -> tuple[dict[str, Any], Arrays]:
    """Return what :func:`save_arrays` wrote."""
    with np.load(path) as stored:
        arrays = {name: stored[name] for name in stored.files if name != "meta"}
        return json.loads(str(stored["meta"])), arrays


def append_line(path: Path, record: dict[str, Any]) -> None:
    """Add one record to a file of JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of a file of JSON lines; none if there is no file."""
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            yield json.loads(line)
