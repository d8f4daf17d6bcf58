"""One form for categories, whatever library and dtype they come in.

Categories become text, so that ``1``, ``1.0``, ``"1"`` and their nullable, pandas, polars and object
relatives are the same category in training and in prediction.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from regadvisor.errors import DataError
from regadvisor.words import shown

if TYPE_CHECKING:
    AnySeries = pd.Series[Any]

#: Words that stand for a missing value more often than for a category, in small letters.
_MISSING_WORDS = frozenset(
    {
        "",
        "?",
        "-",
        "--",
        ".",
        "na",
        "n/a",
        "#n/a",
        "nan",
        "nat",
        "none",
        "null",
        "missing",
        "unknown",
        "0000-00-00",
    }
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Levels:
    """A categorical column as codes and texts.

    Attributes
    ----------
    codes : ndarray of intp, shape (n_rows,)
        Position in `texts`; -1 is missing.
    texts : ndarray of object (str), shape (n_levels,)
        Distinct categories in the order of their first row.
    """

    codes: NDArray[np.intp]
    texts: NDArray[np.object_]

    def values(self) -> NDArray[np.object_]:
        """Return the text of every row; NaN where it is missing."""
        with_missing = np.append(self.texts, np.array([np.nan], dtype=object))
        return with_missing[self.codes]


def level_text(value: object) -> str:
    """Return one category as text; whole floats lose their ``.0``.

    Examples
    --------
    >>> level_text(3.0), level_text(3), level_text(2.5), level_text(b"male"), level_text(True)
    ('3', '3', '2.5', 'male', 'True')
    """
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def text_levels(column: AnySeries) -> Levels:
    """Return a column of any dtype as text categories.

    Raises
    ------
    DataError
        If a value cannot be a category because it is a list, a dict or another container.

    Examples
    --------
    >>> levels = text_levels(pd.Series(["b", 1, 1.0, None], dtype=object))
    >>> levels.codes.tolist(), levels.texts.tolist()
    ([0, 1, 1, -1], ['b', '1'])
    """
    try:
        codes, distinct = pd.factorize(column, use_na_sentinel=True)
    except TypeError as error:
        raise DataError(
            f"every value of column {shown(column.name)} must be text, a number or a date, got lists or "
            "other containers; split them into columns of their own, or leave the column out"
        ) from error
    texts = np.array([level_text(value) for value in np.asarray(distinct, dtype=object)], dtype=object)
    if texts.size == 0:
        return Levels(codes=codes.astype(np.intp), texts=texts)
    # 1 and "1" are distinct objects with one text: give them one code.
    merged, unique = pd.factorize(texts)
    return Levels(codes=np.append(merged, -1)[codes].astype(np.intp), texts=np.asarray(unique, dtype=object))


def means_missing(text: str) -> bool:
    """Whether a text probably stands for a missing value.

    Examples
    --------
    >>> means_missing(" ? "), means_missing("N/A"), means_missing("no")
    (True, True, False)
    """
    return text.strip().casefold() in _MISSING_WORDS


def alike(texts: Iterable[object]) -> list[list[str]]:
    """Return groups of texts that differ in case and blanks only, each of two or more.

    Examples
    --------
    >>> alike(["Yes", "no", "yes ", "a  b", "a b"])
    [['Yes', 'yes '], ['a  b', 'a b']]
    """
    groups: dict[str, list[str]] = {}
    for text in texts:
        if isinstance(text, str):
            groups.setdefault(" ".join(text.split()).casefold(), []).append(text)
    return [group for group in groups.values() if len(group) > 1]
