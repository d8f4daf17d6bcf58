"""The door for what advise() is given as X and y: in memory, a file, or a source read in parts."""

from __future__ import annotations

import math
import time as clock
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from regadvisor.data.files import read_frame, split_columns
from regadvisor.data.frames import as_frame
from regadvisor.data.source import make_table
from regadvisor.data.table import Table
from regadvisor.data.thinning import Thinning
from regadvisor.errors import ParameterError
from regadvisor.progress import Progress
from regadvisor.records import Note
from regadvisor.scale.parts import Source
from regadvisor.scale.sources import find_source
from regadvisor.scale.table import Roles, Scanned


@dataclass(kw_only=True, eq=False)
class Door:
    """What the caller passed.

    `rows`: groups, time and sample_weight, one value a row or (the first two) names of columns. `sample`:
    the caller's ``sample=``. `read_within_s`: seconds that reading from memory may take; if it would take
    longer, some rows are read. `scan_s`: seconds that a pass over the source has taken; `read_s`: that
    reading from memory has taken.
    """

    X: Any
    y: Any
    rows: dict[str, Any]
    sample: Any = "auto"
    seed: int = 0
    executor: Any = None
    progress: Progress | None = None
    read_within_s: float = math.inf
    scan_s: float = 0.0
    read_s: float = 0.0
    _scanned: Scanned | None = field(default=None, init=False)

    def table(self, task: str) -> tuple[Table, Any]:
        """Return the checked table, and X row by row the same as it was passed or read.

        Raises DataError, ParameterError if they cannot be used; the message says what to change.
        """
        source = find_source(self.X)
        if source is not None:
            return self._in_parts(source, task)
        begin = clock.monotonic()
        try:
            return self._in_memory(task)
        finally:
            self.read_s += clock.monotonic() - begin

    def _in_memory(self, task: str) -> tuple[Table, Any]:
        thinning = Thinning(within_s=self.read_within_s, seed=self.seed)
        notes: tuple[Note, ...] = ()
        columns = {
            key: self.rows[key] if isinstance(self.rows[key], str) else None for key in ("groups", "time")
        }
        has_target = True
        if isinstance(self.X, str | Path):
            self._check_names("a path")
            file = read_frame(self.X)
            frame, notes = file.frame, file.notes
        else:
            named = as_frame(self.X)
            has_target = isinstance(self.y, str)
            if named is not None and _are_names(self.y):  # labels of its rows are as many as these
                has_target = 0 < len(self.y) != len(named) and set(self.y) <= set(named.columns)
            if named is None or not (has_target or any(columns.values())):
                return make_table(self.X, self.y, task=task, thinning=thinning, **self.rows), self.X
            frame = named
        split = split_columns(
            frame, target=self.y if has_target else None, groups=columns["groups"], time=columns["time"]
        )
        table = make_table(
            split.X,
            split.y if has_target else self.y,
            target_name=self.y if isinstance(self.y, str) else None,
            task=task,
            sample_weight=self.rows["sample_weight"],
            groups=self.rows["groups"] if columns["groups"] is None else split.groups,
            time=self.rows["time"] if columns["time"] is None else split.time,
            thinning=thinning,
        )
        return replace(table, notes=(*notes, *table.notes)), split.X

    def _check_names(self, what: str) -> None:
        if not isinstance(self.y, str) and not _are_names(self.y):
            raise ParameterError(
                f"y must be the name of the target column, or a list of names, when X is {what}, got "
                f"{type(self.y).__name__}"
            )

    def _in_parts(self, source: Source, task: str) -> tuple[Table, Any]:
        self._check_names("read in parts")
        for name, value in self.rows.items():
            if value is not None and (name == "sample_weight" or not isinstance(value, str)):
                how = "None" if name == "sample_weight" else "the name of a column"
                raise ParameterError(
                    f"{name} must be {how} when X is read in parts, got {type(value).__name__}; "
                    "read the table into memory to pass one value a row"
                )
        if not isinstance(self.sample, str | bool | int | float | np.bool_ | np.integer | np.floating):
            raise ParameterError(
                'sample must be "auto", a number of rows, a share in (0, 1] or False when X is read in '
                f"parts, got {type(self.sample).__name__}; read the table into memory to name its rows"
            )
        begin = clock.monotonic()
        if self._scanned is None:
            self._scanned = Scanned(source, seed=self.seed, executor=self.executor, progress=self.progress)
        targets = (self.y,) if isinstance(self.y, str) else tuple(self.y)
        roles = Roles(targets=targets, groups=self.rows["groups"], time=self.rows["time"])
        found = self._scanned.table(roles, task)
        self.scan_s += clock.monotonic() - begin
        return found


def _are_names(y: Any) -> bool:
    return isinstance(y, list | tuple) and all(isinstance(name, str) for name in y)
