"""Hypothesis strategies for what people pass to ``advise()``: tables, targets, and what belongs to rows.

A small vocabulary: columns of one kind each, :func:`tables` of them in some container, targets, and
:func:`options`; :func:`cases` are all of it. Values come from a seed that is drawn, so that an example is
small to shrink and its numbers are like data.
"""

from __future__ import annotations

import datetime as dt
import decimal
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from hypothesis import strategies as st
from scipy import sparse

Column = Callable[[np.random.Generator, int], Any]


def _objects(rng: np.random.Generator, n: int, pool: list[Any]) -> pd.Series[Any]:
    return pd.Series([pool[i] for i in rng.integers(len(pool), size=n)], dtype=object)


def _holes(rng: np.random.Generator, values: Any, dtype: Any, hole: Any = None) -> pd.Series[Any]:
    kept = [
        hole if gone else value for value, gone in zip(values, rng.random(len(values)) < 0.2, strict=True)
    ]
    return pd.Series(kept, dtype=dtype)


def _sparse(rng: np.random.Generator, n: int, fill: float) -> pd.Series[Any]:
    values = np.where(rng.random(n) < 0.7, fill, rng.normal(size=n))
    return pd.Series(pd.arrays.SparseArray(values, fill_value=fill))


#: Columns by name. What is refused ("complex", "lists", "infinite", …) is among them.
COLUMNS: dict[str, Column] = {
    "float64": lambda rng, n: rng.normal(size=n),
    "float32": lambda rng, n: rng.normal(size=n).astype(np.float32),
    "float16": lambda rng, n: rng.normal(size=n).astype(np.float16),
    "int8": lambda rng, n: rng.integers(-128, 128, n).astype(np.int8),
    "uint64": lambda rng, n: rng.integers(2**63, 2**64, n, dtype=np.uint64),
    "bool": lambda rng, n: rng.random(n) < 0.5,
    "missing": lambda rng, n: np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n)),
    "all missing": lambda rng, n: np.full(n, np.nan),
    "constant": lambda rng, n: np.full(n, 3.0),
    "offset": lambda rng, n: rng.normal(size=n) + 1e12,
    "large": lambda rng, n: rng.normal(size=n) * 1e90,
    "small": lambda rng, n: rng.normal(size=n) * 1e-90,
    "too large": lambda rng, n: rng.normal(size=n) * 1e300,
    "too small": lambda rng, n: rng.normal(size=n) * 1e-310,
    "infinite": lambda rng, n: np.where(rng.random(n) < 0.2, np.inf, rng.normal(size=n)),
    "Int64": lambda rng, n: _holes(rng, rng.integers(9, size=n), "Int64"),
    "boolean": lambda rng, n: _holes(rng, rng.random(n) < 0.5, "boolean"),
    "string": lambda rng, n: _holes(rng, rng.choice(["a", "b", "", "nan", "ä\u202e"], n), "string"),
    "numbers as string": lambda rng, n: _holes(rng, [f"{v:.2f}" for v in rng.normal(size=n)], "string"),
    "numbers as text": lambda rng, n: _holes(rng, [f"{v:.2f}" for v in rng.normal(size=n)], object, pd.NA),
    "text": lambda rng, n: _holes(rng, rng.choice(["a", "b", "x\ny", "None"], n), object, np.nan),
    "category": lambda rng, n: _holes(rng, rng.choice(["a", "b"], n), object).astype("category"),
    "ordered": lambda rng, n: pd.Series(
        pd.Categorical(rng.choice([1, 2], n), categories=[1, 2, 9], ordered=True)
    ),
    "mixed": lambda rng, n: _objects(
        rng, n, [1, 2.5, "x", None, True, b"q", dt.date(2020, 1, 1), pd.NaT, pd.NA]
    ),
    "decimals": lambda rng, n: pd.Series(
        [decimal.Decimal(f"{v:.3f}") for v in rng.normal(size=n)], dtype=object
    ),
    "whole and NA": lambda rng, n: _objects(rng, n, [1, 2, 3, pd.NA]),
    "big whole": lambda rng, n: pd.Series([10 ** int(e) for e in rng.integers(0, 40, n)], dtype=object),
    "dates": lambda rng, n: pd.Timestamp("2000-01-01") + pd.to_timedelta(rng.integers(0, 5000, n), "D"),
    "dates with zone": lambda rng, n: pd.date_range("2000-01-01", periods=n, tz="Asia/Tokyo"),
    "durations": lambda rng, n: pd.to_timedelta(rng.integers(0, 10**6, n), "s"),
    "days": lambda rng, n: _holes(rng, pd.date_range("2000-01-01", periods=n).date, object),
    "periods": lambda rng, n: pd.period_range("2000-01", periods=n, freq="M"),
    "intervals": lambda rng, n: pd.interval_range(0, n),
    "bytes": lambda rng, n: _objects(rng, n, [b"A", b"B"]),
    "sparse": lambda rng, n: _sparse(rng, n, 0.0),
    "sparse, NaN": lambda rng, n: _sparse(rng, n, np.nan),
    "identifiers": lambda rng, n: [f"id-{i}" for i in rng.permutation(n)],
    "complex": lambda rng, n: rng.normal(size=n) + 1j,
    "lists": lambda rng, n: pd.Series([[1, 2]] * n, dtype=object),
}
_POLARS = (
    "float64",
    "missing",
    "int8",
    "bool",
    "string",
    "numbers as string",
    "dates",
    "category",
    "all missing",
)

#: Names of columns of a frame with `p` columns.
NAMES: dict[str, Callable[[int], list[Any]]] = {
    "plain": lambda p: [f"f{j}" for j in range(p)],
    "numbers": lambda p: list(np.arange(p, dtype=np.int32)),
    "hostile": lambda p: [f"{j}__x'\"\n\x1b[31m<b>|`\u202e" for j in range(p)],
    "blank": lambda p: [" " * j for j in range(p)],
    "twice": lambda p: ["same"] * p,
    "mixed": lambda p: [j if j % 2 else f"f{j}" for j in range(p)],
}


@st.composite
def tables(draw: Any, n: int) -> tuple[Any, np.random.Generator]:
    """Features of `n` rows in one of the containers, and the generator for what else belongs to the rows."""
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    container = draw(
        st.sampled_from(["frame", "frame", "array", "sparse", "objects", "list", "polars", "images"])
    )
    p = draw(st.integers(1, 5))
    if container in ("frame", "polars"):
        kinds = draw(
            st.lists(
                st.sampled_from(_POLARS if container == "polars" else list(COLUMNS)), min_size=1, max_size=5
            )
        )
        frame = pd.concat([pd.Series(COLUMNS[kind](rng, n)).reset_index(drop=True) for kind in kinds], axis=1)
        if container == "polars":
            frame.columns = NAMES["plain"](len(kinds))
            return pl.from_pandas(frame), rng
        frame.columns = pd.Index(NAMES[draw(st.sampled_from(list(NAMES)))](len(kinds)), dtype=object)
        if draw(st.booleans()):
            frame.index = pd.Index([0] * n)
        return frame, rng
    if container == "objects":
        return np.column_stack([_objects(rng, n, [1, "x", None, 2.5, "3"]) for _ in range(p)]), rng
    if container == "images":
        return rng.integers(0, 255, (n, 4, 4, 3)).astype(np.uint8), rng
    dtype = draw(st.sampled_from(["float64", "float32", ">f8", "longdouble"]))
    values = rng.normal(size=(n, p)) * draw(st.sampled_from([1.0, 1.0, 1e30, 1e-30, 1e90, 1e-90, 1e200]))
    if container == "list":
        return values.tolist(), rng
    if container == "sparse":
        form = draw(st.sampled_from(["csr_array", "csc_matrix", "coo_matrix", "lil_array"]))
        return getattr(sparse, form)(np.where(values > 0, values, 0)), rng
    values[rng.random(values.shape) < draw(st.sampled_from([0.0, 0.1]))] = np.nan
    with np.errstate(over="ignore"):
        return values.astype(dtype), rng


TARGETS: dict[str, Column] = {
    "numbers": lambda rng, n: rng.normal(size=n),
    "single": lambda rng, n: rng.normal(size=n).astype(np.float32),
    "long tail": lambda rng, n: np.exp(5 * rng.normal(size=n)),
    "large": lambda rng, n: rng.normal(size=n) * 1e90,
    "small": lambda rng, n: rng.normal(size=n) * 1e-90,
    "too large": lambda rng, n: rng.normal(size=n) * 1e300,
    "too small": lambda rng, n: rng.normal(size=n) * 1e-300,
    "with holes": lambda rng, n: np.where(rng.random(n) < 0.3, np.nan, rng.normal(size=n)),
    "column": lambda rng, n: rng.normal(size=(n, 1)),
    "several": lambda rng, n: pd.DataFrame({"t": rng.normal(size=n), "u": rng.normal(size=n)}),
    "decimals": lambda rng, n: [decimal.Decimal(f"{v:.3f}") for v in rng.normal(size=n)],
    "infinite": lambda rng, n: np.where(rng.random(n) < 0.1, np.inf, rng.normal(size=n)),
    "booleans": lambda rng, n: rng.random(n) < 0.5,
    "codes": lambda rng, n: rng.integers(0, 3, n),
    "rare": lambda rng, n: np.r_[1, np.zeros(n - 1, dtype=int)],
    "labels": lambda rng, n: rng.choice(["no", "yes"], n),
    "labels with holes": lambda rng, n: _holes(rng, rng.choice(["no", "yes"], n), object, np.nan),
    "bytes": lambda rng, n: rng.choice([b"no", b"yes"], n),
    "string": lambda rng, n: _holes(rng, rng.choice(["no", "yes"], n), "string"),
    "Int64": lambda rng, n: _holes(rng, rng.integers(0, 2, n), "Int64"),
    "category": lambda rng, n: pd.Series(
        pd.Categorical(rng.choice(["a", "b"], n), categories=["z", "b", "a"])
    ),
    "one class": lambda rng, n: ["x"] * n,
    "complex": lambda rng, n: rng.normal(size=n) + 1j,
    "dates": lambda rng, n: pd.date_range("2000", periods=n),
}


@st.composite
def options(draw: Any, n: int, rng: np.random.Generator) -> dict[str, Any]:
    """Some of the arguments of ``advise()`` that belong to rows or to the way."""
    given = {
        "sample_weight": rng.random(n) * (rng.random(n) < 0.8),
        "groups": rng.integers(0, max(1, n // 4), n),
        "time": rng.permutation(n),
        "sample": 0.5,
        "chart": "classic",
        "prefer": "sparse",
        "folds": 3,
    }
    return {name: given[name] for name in draw(st.lists(st.sampled_from(list(given)), max_size=1))}


@st.composite
def cases(draw: Any) -> tuple[Any, Any, dict[str, Any]]:
    """What ``advise()`` is called with: features, target, options."""
    n = draw(st.sampled_from([2, 4, 8, 24, 30, 40]))
    X, rng = draw(tables(n))
    y = TARGETS[draw(st.sampled_from(list(TARGETS)))](rng, n)
    return X, y, draw(options(n, rng))
