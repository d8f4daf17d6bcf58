"""Objects and dtypes that people seldom pass: each is read, or refused in words that say what to do."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from regadvisor import DataError
from regadvisor.data.source import make_table
from regadvisor.data.table import is_column
from regadvisor.words import shown

N = 12
Y = np.arange(N) + 0.5
pa = pytest.importorskip("pyarrow")


def _column(values: Any, dtype: Any) -> pd.DataFrame:
    own = pd.ArrowDtype(dtype) if isinstance(dtype, pa.DataType) else dtype
    return pd.DataFrame({"a": Y, "own": pd.Series(values, dtype=own)})


def _zero_axes() -> Any:
    column = np.empty(N, dtype=object)
    for i in range(N):
        column[i] = np.array(float(i))
    return column


CONTAINERS = {
    "list": ([[1, 2]] * N, pa.list_(pa.int64())),
    "list of one size": ([[1, 2]] * N, pa.list_(pa.int64(), 2)),
    "struct": ([{"q": 1}] * N, pa.struct([("q", pa.int64())])),
    "map": ([[("q", 1)]] * N, pa.map_(pa.string(), pa.int64())),
    "interval": ([(1, 2, 3)] * N, pa.month_day_nano_interval()),
}


@pytest.mark.parametrize("kind", CONTAINERS)
def test_containers_of_arrow_are_refused(kind: str) -> None:
    with pytest.raises(
        DataError, match=r"column 'own' must be text, .* got lists or other containers; split"
    ):
        make_table(_column(*CONTAINERS[kind]), Y)
    with pytest.raises(DataError, match=r"column 'y' must be text, .* got lists or other containers; split"):
        make_table(Y[:, None], _column(*CONTAINERS[kind]).own)


@pytest.mark.parametrize(
    ("X", "options", "do"),
    [
        (pd.Series(Y), {"y": Y}, r"Pass X\.to_frame\(\)"),
        ([{"a": 1}] * N, {"y": Y}, r"Pass pandas\.DataFrame\(X\)"),
        (Y[:, None], {"y": Y, "groups": "g"}, r"groups=X\['g'\]"),
        (Y[:, None], {"y": [["a"], ["a", "b"]] * 6}, "MultiLabelBinarizer"),
    ],
)
def test_what_is_nearly_right_is_told_how_to_be_right(X: Any, options: dict[str, Any], do: str) -> None:
    with pytest.raises(DataError, match=do):
        make_table(X, **options)


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ([Decimal("sNaN"), *range(N - 1)], "InvalidOperation"),
        ([Fraction(10**400 + i, 7) for i in range(N)], "OverflowError"),
        (_zero_axes(), "TypeError"),
    ],
)
def test_objects_that_nobody_can_read_are_refused_by_column(values: Any, error: str) -> None:
    with pytest.raises(DataError, match=rf"column 'own' must be text.*\({error}: .*\); convert the column"):
        make_table(_column(values, object), Y)


def test_a_decimal_that_signals_is_no_target() -> None:
    with pytest.raises(DataError, match=r"y must hold numbers or labels, got Decimal\('sNaN'\)"):
        make_table(Y[:, None], [Decimal("sNaN"), *range(N - 1)])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: torch.ones(N, 2, requires_grad=True), r"requires gradients; pass X.detach\(\)"),
        (lambda: torch.empty(N, 2, device="meta"), "got Tensor: Cannot copy out of meta tensor"),
    ],
)
def test_tensors_without_plain_numbers_are_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        make_table(make(), Y)
    with pytest.raises(DataError, match=message.replace("X", "y")):
        make_table(Y[:, None], make()[:, 0])


def test_a_sparse_matrix_of_one_axis_is_no_column_of_texts() -> None:
    assert not is_column(sparse.coo_array(Y))
    with pytest.raises(DataError, match=r"must be two-dimensional, got shape \(12,\)"):
        make_table(sparse.coo_array(Y), Y)


def test_complex_weights_are_refused() -> None:
    with pytest.raises(DataError, match="sample_weight must be real numbers, got complex ones"):
        make_table(Y[:, None], Y, sample_weight=np.ones(N) + 1j)


def test_an_array_is_shown_as_one() -> None:
    assert shown(np.array([1, 2])) == "array([1, 2])"
