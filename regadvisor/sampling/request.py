"""What the caller's ``sample=`` asks for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Never

import numpy as np
from numpy.typing import NDArray

from regadvisor.errors import ParameterError

SampleArgument = Literal["auto"] | bool | int | float | NDArray[Any] | Sequence[int]

_RULE = 'sample must be "auto", a number of rows, a share in (0, 1], row numbers, a boolean mask or False'


@dataclass(frozen=True, kw_only=True, eq=False)
class SampleRequest:
    """A number of rows to draw, or given rows, or neither (no sample can be taken)."""

    #: Rows to draw, at most the source's; 0 if rows are given or none may be taken.
    n_rows: int
    #: Given rows, sorted.
    rows: NDArray[np.intp] | None = None
    #: Rows asked for before the source's size cut them.
    n_asked: int = 0
    #: Whether the caller chose the size (``sample`` is not ``"auto"``).
    is_asked: bool = True
    is_allowed: bool = True


def read_request(
    sample: SampleArgument, *, n_rows: int, n_source: int, kept: NDArray[np.bool_] | None = None
) -> SampleRequest:
    """Return what `sample` asks for.

    `n_rows`: rows that ``"auto"`` takes. `n_source`: rows of the source. `kept` (n_given,): which of the rows
    that the caller passed are the source; rows are named as the caller counts them.

    Raises ParameterError if `sample` is none of these, or names rows that do not exist or twice.

    >>> read_request(0.25, n_rows=1500, n_source=1000).n_rows
    250
    >>> read_request("auto", n_rows=1500, n_source=1000).n_rows
    1000
    """
    if isinstance(sample, str):
        if sample != "auto":
            _refuse(sample)
        return _sized(n_rows, n_source, is_asked=False)
    if isinstance(sample, bool | np.bool_):
        if sample:
            _refuse(sample)
        return SampleRequest(n_rows=0, is_allowed=False)
    if isinstance(sample, int | np.integer):
        if sample < 1:
            _refuse(sample)
        return _sized(int(sample), n_source, is_asked=True)
    if isinstance(sample, float | np.floating):
        if not 0.0 < sample <= 1.0:
            _refuse(sample)
        return _sized(max(1, round(float(sample) * n_source)), n_source, is_asked=True)
    rows = _given_rows(sample, n_source if kept is None else len(kept))
    if kept is not None:
        rows = (np.cumsum(kept) - 1)[rows[kept[rows]]]
    if not len(rows):
        raise ParameterError(
            "sample must name at least one row that has a target and a weight, got none; sample=False says "
            "none can be taken"
        )
    return SampleRequest(n_rows=0, rows=rows, n_asked=len(rows))


def _refuse(sample: object) -> Never:
    raise ParameterError(f"{_RULE}, got {sample!r}; leave it out to have a size chosen")


def _sized(n_rows: int, n_source: int, *, is_asked: bool) -> SampleRequest:
    return SampleRequest(n_rows=min(n_rows, n_source), n_asked=n_rows, is_asked=is_asked)


def _given_rows(sample: Any, n_source: int) -> NDArray[np.intp]:
    """Return given rows, sorted and checked."""
    try:
        given = np.asarray(sample)
    except (ValueError, TypeError, RuntimeError):
        _refuse(type(sample).__name__)
    if given.ndim != 1:
        _refuse(f"an array of shape {given.shape}" if given.ndim else sample)
    if given.dtype == np.bool_:
        if len(given) != n_source:
            raise ParameterError(
                f"sample must have one entry per row ({n_source:,}) if it is a mask, got {len(given):,}; "
                "make the mask from the rows that are passed as X"
            )
        given = np.flatnonzero(given)
    elif not np.issubdtype(given.dtype, np.integer):
        _refuse(f"an array of {given.dtype}")
    if not len(given):
        return np.empty(0, dtype=np.intp)
    rows = np.sort(given.astype(np.intp))
    if rows[0] < 0 or rows[-1] >= n_source:
        wrong = int(rows[0]) if rows[0] < 0 else int(rows[-1])
        raise ParameterError(
            f"sample must hold row numbers from 0 to {n_source - 1:,}, got {wrong}; count rows from 0"
        )
    repeated = rows[1:][rows[1:] == rows[:-1]]
    if len(repeated):
        raise ParameterError(
            f"sample must name every row once, got row {int(repeated[0])} twice; pass np.unique(rows)"
        )
    return rows
