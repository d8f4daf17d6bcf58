"""Columns of Arrow tables as NumPy arrays: numbers, labels, and which rows have a target."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from regadvisor.data.written import THOUSANDS

Label: TypeAlias = Any
Counts: TypeAlias = dict[Label, int]


def _one_array(column: Any) -> Any:
    """Return a column of a table or batch as one array."""
    if hasattr(column, "combine_chunks"):
        column = column.combine_chunks()
        if hasattr(column, "num_chunks"):
            column = column.chunk(0)
    return column


def numbers_of(column: Any, decimal: str = ".") -> tuple[NDArray[Any], int]:
    """Return numbers, NaN where missing, and how many values are no numbers (these are NaN as well)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = _one_array(column)
    kind = column.type
    if pa.types.is_floating(kind) or pa.types.is_integer(kind):
        return column.to_numpy(zero_copy_only=False), 0
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        column = pc.utf8_trim_whitespace(column)
        column = column if decimal == "." else _with_decimal_point(column)
    try:
        return column.cast(pa.float64()).to_numpy(zero_copy_only=False), 0
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        import pandas as pd

        read = pd.to_numeric(column.to_pandas(), errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        return read, int(np.isnan(read).sum()) - column.null_count


def _with_decimal_point(column: Any) -> Any:
    """Return texts with a point for the decimal comma, and none between thousands."""
    import pyarrow.compute as pc

    has_point = pc.match_substring(column, ".")
    is_thousands = pc.match_substring_regex(column, f"^{THOUSANDS.pattern}$")
    if not pc.any(pc.and_not(has_point, is_thousands)).as_py():
        column = pc.replace_substring(column, ".", "")
    return pc.replace_substring(column, ",", ".")


def label_codes(column: Any) -> tuple[NDArray[np.intp], list[Label]]:
    """Return the labels of a column without missing values, and which of them each row has."""
    column = _one_array(column)
    encoded = column if hasattr(column, "indices") else column.dictionary_encode()
    return encoded.indices.to_numpy(zero_copy_only=False).astype(np.intp), encoded.dictionary.to_pylist()


def value_counts(column: Any) -> Counts:
    """Return how often each value of a column occurs; missing values are left out."""
    import pyarrow.compute as pc

    return counted(*label_codes(pc.drop_null(_one_array(column))))


def counted(codes: NDArray[np.intp], labels: list[Label]) -> Counts:
    """Return how many rows have each label that occurs."""
    counts = np.bincount(codes, minlength=len(labels)).tolist()
    return {label: count for label, count in zip(labels, counts, strict=True) if count}


def has_targets(rows: Any, targets: tuple[str, ...]) -> NDArray[np.bool_] | None:
    """Return which rows have all targets; None if every row does."""
    import pyarrow.compute as pc

    missing: NDArray[np.bool_] | None = None
    for name in targets:
        column = _one_array(rows[name])
        is_null = pc.is_null(column, nan_is_null=True).to_numpy(zero_copy_only=False)
        if is_null.any():
            missing = is_null if missing is None else missing | is_null
    return None if missing is None else ~missing


def taken(rows: Any, chosen: NDArray[np.intp]) -> Any:
    """Return some rows of a table or batch as a table."""
    import pyarrow as pa

    part = rows.take(chosen)
    return part if isinstance(part, pa.Table) else pa.Table.from_batches([part])
