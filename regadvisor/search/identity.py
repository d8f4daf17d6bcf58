"""What two runs must share for the fits of one to stand for those of the other."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import fields, is_dataclass

import numpy as np

from regadvisor.families.base import Family, Fold, Prepared
from regadvisor.families.estimator.names import code_mark, text_of


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
    if name is None:
        return re.sub(r" at 0x[0-9a-f]+", "", repr(value))
    return f"{value.__module__}.{name}{code_mark(value)}"
