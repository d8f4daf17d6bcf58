"""Targets that come as text and are numbers: read as those of features are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pandas.api import types as dtypes

from regadvisor import thresholds
from regadvisor.data.frames import are_plain_numbers, parsed_numbers, way_of
from regadvisor.data.written import written_around
from regadvisor.errors import DataError
from regadvisor.records import Note
from regadvisor.words import counted, level_text, listed, means_missing, shown

if TYPE_CHECKING:
    AnySeries = pd.Series[Any]
    Values = AnySeries | pd.DataFrame

#: Different texts by which the unit is told.
_MOST_ASKED = 1_000


def with_numbers(values: Values, *, task: str) -> tuple[Values, tuple[Note, ...]]:
    """Return a target with text that holds numbers as numbers, and what is worth saying of that.

    Words for a missing value are missing ones then. Few different texts are classes where nobody says that
    they are numbers, and so are whole numbers without a unit of which each is met often.

    `values` (n_rows,) or (n_rows, n_targets). `task`: as for :func:`regadvisor.data.target.read_target`.

    Raises DataError if most of very many texts are numbers, and some are not.

    >>> prices = pd.Series(["$1,200", "?", *(f"${k}" for k in range(98))])
    >>> with_numbers(prices, task="auto")[0].head(3).tolist()
    [1200.0, nan, 0.0]
    >>> with_numbers(pd.Series(["1", "2", "1", "2"]), task="auto")[0].tolist()
    ['1', '2', '1', '2']
    """
    if task not in ("auto", "regression") or are_plain_numbers(values):
        return values, ()
    if not isinstance(values, pd.DataFrame):
        return column_with_numbers(values, task=task)
    read = [
        column_with_numbers(values.iloc[:, j], task=task, name=name) for j, name in enumerate(values.columns)
    ]
    if not any(notes for _, notes in read):
        return values, ()
    frame = pd.concat([own for own, _ in read], axis=1)
    frame.columns = values.columns
    return frame, tuple(note for _, notes in read for note in notes)


def column_with_numbers(
    values: AnySeries, *, task: str, name: object = None
) -> tuple[AnySeries, tuple[Note, ...]]:
    """Return one target column as :func:`with_numbers` does; `name`: of one of several."""
    is_text = dtypes.is_object_dtype(values.dtype) or dtypes.is_string_dtype(values.dtype)
    if not is_text or isinstance(values.dtype, pd.CategoricalDtype):
        return values, ()
    where = "y" if name is None else f"column {shown(name)} of y"
    held = dtypes.infer_dtype(values.dropna())
    is_mixed = held.startswith("mixed")  # such as a row of units, or "", among numbers
    if held not in ("string", "bytes") and not is_mixed:
        return values, ()
    as_text = values
    if held != "string":
        as_text = values.astype(object)  # map() would fail at a text that UTF-8 cannot hold, told later
        as_text.iloc[np.flatnonzero(values.notna())] = [level_text(value) for value in values.dropna()]
    present = as_text.dropna()
    different: Any = pd.unique(present)
    texts = [text for text in different if not means_missing(text)]
    may_be_classes = task == "auto" and not is_mixed
    few = min(thresholds.GUESS_MOST_CLASSES, len(present) / thresholds.GUESS_ROWS_PER_CLASS)
    if len(texts) < 2 or (may_be_classes and len(texts) <= few):
        return values, ()
    numbers = parsed_numbers(pd.Series(texts, dtype=object))
    if numbers is None:
        if task == "auto":
            _check_not_almost(present, texts, where)
        return values, ()
    if may_be_classes and _are_classes(texts, len(present)):
        return values, ()
    unit = way_of(pd.Series(texts[:_MOST_ASKED], dtype=object)).unit
    what = "The target" if name is None else f"The target {shown(name)}"
    text = f"{what} came as text, as {shown(texts[0])}, and is read as numbers{unit}."
    read = as_text.map(dict(zip(texts, numbers.tolist(), strict=True))).astype(np.float64)
    return read, (Note(code="parsed-target", text=text),)


def _are_classes(numbers: list[str], n_rows: int) -> bool:
    """Whether whole numbers without a unit, as text, are met often."""
    are_whole = all(text.strip().lstrip("+-").isdecimal() for text in numbers)
    return are_whole and n_rows >= thresholds.TEXT_ROWS_PER_CLASS * len(numbers)


def _check_not_almost(present: AnySeries, texts: list[str], where: str) -> None:
    """Raise DataError if a few texts keep a target from being a number."""
    are_numbers = [written_around(text) is not None for text in texts]
    numbers = [text for text, is_number in zip(texts, are_numbers, strict=True) if is_number]
    others = [text for text, is_number in zip(texts, are_numbers, strict=True) if not is_number]
    n_others = int(present.isin(others).sum())
    is_almost = len(numbers) > thresholds.GUESS_MOST_CLASSES and not _are_classes(numbers, len(present))
    if is_almost and n_others < (1.0 - thresholds.ALMOST_NUMBERS) * len(present):
        units = {written_around(text): text for text in reversed(numbers)}
        what = f"got {listed(others or list(units.values())[::-1], limit=3)}"
        raise DataError(
            f"{where} must be numbers in every row, or labels that repeat, {what} among "
            f"{counted(len(present) - n_others, 'number')}; correct these rows, or pass None for a missing "
            "target"
        )
