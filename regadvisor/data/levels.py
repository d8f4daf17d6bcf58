"""One form for categories, whatever library and dtype they come in.

Categories become text, so that ``1``, ``1.0``, ``"1"`` and their nullable, pandas, polars and object
relatives are the same category in training and in prediction.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from regadvisor.errors import DataError
from regadvisor.words import level_text, listed, shown

if TYPE_CHECKING:
    AnySeries = pd.Series[Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Levels:
    """A categorical column as codes and texts."""

    #: (n_rows,): position in `texts`; -1 is missing.
    codes: NDArray[np.intp]
    #: (n_levels,): distinct categories in the order of their first row.
    texts: NDArray[np.object_]

    def values(self) -> NDArray[np.object_]:
        """Return the text of every row; NaN where it is missing."""
        with_missing = np.append(self.texts, np.array([np.nan], dtype=object))
        return with_missing[self.codes]


def check_no_containers(column: AnySeries) -> None:
    """Raise DataError if the dtype of a column is one of lists, dicts or the like, as Arrow has them."""
    dtype = column.dtype
    if not isinstance(dtype, pd.ArrowDtype):
        return
    from pyarrow import types

    if types.is_nested(dtype.pyarrow_dtype) or types.is_interval(dtype.pyarrow_dtype):
        raise _containers(column)


def _containers(column: AnySeries) -> DataError:
    return DataError(
        f"every value of column {shown(column.name)} must be text, a number or a date, got lists or "
        "other containers; split them into columns of their own, or leave the column out"
    )


def text_levels(column: AnySeries) -> Levels:
    """Return a column of any dtype as text categories.

    Raises DataError if a value cannot be a category because it is a list, a dict or another container.

    >>> levels = text_levels(pd.Series(["b", 1, 1.0, None], dtype=object))
    >>> levels.codes.tolist(), levels.texts.tolist()
    ([0, 1, 1, -1], ['b', '1'])
    """
    try:
        codes, distinct = pd.factorize(column, use_na_sentinel=True)
    except TypeError as error:
        raise _containers(column) from error
    texts = np.array([level_text(value) for value in np.asarray(distinct, dtype=object)], dtype=object)
    if texts.size == 0:
        return Levels(codes=codes.astype(np.intp), texts=texts)
    # 1 and "1" are distinct objects with one text: give them one code.
    merged, unique = pd.factorize(texts)
    return Levels(codes=np.append(merged, -1)[codes].astype(np.intp), texts=np.asarray(unique, dtype=object))


#: Words that people shorten to their first letter.
_SHORTENED = ("yes", "no", "true", "false", "male", "female", "ja", "nein", "oui", "non")


def alike(texts: Iterable[object]) -> list[list[str]]:
    """Return groups of texts that differ in how they are written only, each of two or more.

    In case, in blanks, in how accents are stored or misread, or a word for yes or no and its first letter.

    >>> alike(["Yes", "no", "yes ", "a  b", "a b", "N"])
    [['Yes', 'yes '], ['no', 'N'], ['a  b', 'a b']]
    """
    groups: dict[str, list[str]] = {}
    for text in texts:
        if isinstance(text, str):
            meant = text
            with suppress(UnicodeError):  # UTF-8 that was read in the encoding of Windows
                meant = text.encode("cp1252").decode()
            stored = unicodedata.normalize("NFKC", meant.replace("\u200b", ""))
            groups.setdefault(" ".join(stored.split()).casefold(), []).append(text)
    for word in _SHORTENED:
        if word in groups and word[0] in groups:
            groups[word] += groups.pop(word[0])
    return [group for group in groups.values() if len(group) > 1]


Label = float | int | str | bool


def labels_of(values: AnySeries) -> tuple[NDArray[np.intp], list[Label]]:
    """Return labels as codes (n_rows,) and the plain label of each, in the order of their first row.

    Raises DataError if they are no labels, or text and numbers.

    >>> codes, labels = labels_of(pd.Series([b"no", "yes", "no"], dtype=object))
    >>> codes.tolist(), labels
    ([0, 1, 0], ['no', 'yes'])
    """
    try:
        codes, distinct = pd.factorize(values)
    except TypeError as error:
        raise DataError(
            "y must be text, numbers or booleans, got lists. Unknown label type: unknown; pass one label "
            "a row, or a column of 0 and 1 for each: MultiLabelBinarizer().fit_transform(y)"
        ) from error
    plain = [_plain(label) for label in np.asarray(distinct, dtype=object)]
    if len({isinstance(label, str) for label in plain}) > 1:
        raise DataError(
            f"labels in y must be all text or all numbers, got both, as in {listed(plain[:4])}. "
            "Unknown label type: unknown; convert them with y.astype(str)"
        )
    # b"no" and "no" are distinct objects and one label.
    labels = list(dict.fromkeys(plain))
    position = {label: code for code, label in enumerate(labels)}
    merged = np.array([position[label] for label in plain], dtype=np.intp)
    return merged[codes], labels


def _plain(label: object) -> Label:
    if isinstance(label, bool | np.bool_):
        return bool(label)
    if isinstance(label, int | np.integer):
        return int(label)
    if isinstance(label, float | np.floating | Decimal):
        return float(label)
    if isinstance(label, bytes | str):
        try:
            return label.decode("utf-8") if isinstance(label, bytes) else label.encode("utf-8").decode()
        except UnicodeError as error:
            raise DataError(
                f"labels in y must be text that UTF-8 can hold, got {shown(label)}; read the file with the "
                "encoding that it has, or rename these labels"
            ) from error
    raise DataError(
        f"labels in y must be text, numbers or booleans, got {type(label).__name__}. Unknown label "
        "type: unknown; convert them with float() or str()"
    )


def label_array(labels: Sequence[Label]) -> NDArray[Any]:
    """Return labels as an array: of objects if they are text."""
    is_text = bool(labels) and isinstance(labels[0], str)
    return np.array(labels, dtype=object if is_text else None)


def side_by_side(columns: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return columns of labels as one array, of whole numbers if they are all of these.

    >>> side_by_side([np.array(["a", "b"]), np.array([1, 2])]).tolist()
    [['a', 1], ['b', 2]]
    """
    kinds = {own.dtype.kind for own in columns}
    is_number = kinds <= set("biuf")
    if is_number and ("b" not in kinds or all(np.isin(own, (0, 1)).all() for own in columns)):
        numbers = np.column_stack(columns)
        return numbers.astype(np.intp) if (numbers == np.round(numbers)).all() else numbers
    joined_up = np.empty((len(columns[0]), len(columns)), dtype=object)
    for j, own in enumerate(columns):
        joined_up[:, j] = own
    return joined_up
