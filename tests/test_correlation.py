"""Q3a against SciPy, scikit-learn, closed forms and data whose answer is known."""

from __future__ import annotations

import os
from io import StringIO
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse, stats
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.linear_model import LinearRegression

from regadvisor.data.table import Table
from regadvisor.evidence import correlation
from regadvisor.evidence.associations import (
    Blocks,
    association_matrix,
    categorical_basis,
    correlation_matrix,
    encode,
    standardised_ranks,
)
from regadvisor.evidence.correlation import common_factors, measure_correlation, variance_inflation
from regadvisor.records import Column, CorrelationEvidence, DataFacts

# Longley (1967): deflator, GNP, unemployed, armed forces, population, year; the classic collinear data.
LONGLEY = np.loadtxt(
    StringIO("""
    83 234289 2356 1590 107608 1947  88.5 259426 2325 1456 108632 1948
    88.2 258054 3682 1616 109773 1949  89.5 284599 3351 1650 110929 1950
    96.2 328975 2099 3099 112075 1951  98.1 346999 1932 3594 113270 1952
    99 365385 1870 3547 115094 1953  100 363112 3578 3350 116219 1954
    101.2 397469 2904 3048 117388 1955  104.6 419180 2822 2857 118734 1956
    108.4 442769 2936 2798 120445 1957  110.8 444546 4681 2637 121950 1958
    112.6 482704 3813 2552 123366 1959  114.2 502601 3931 2514 125368 1960
    115.7 518173 4806 2572 127852 1961  116.9 554894 4007 2827 130081 1962
    """)
).reshape(16, 6)


def table_of(X) -> Table:
    """Return a regression table with a target of zeros, which Q3a never reads."""
    container: Literal["array", "frame", "sparse"]
    if isinstance(X, pd.DataFrame):
        container = "frame"
        columns = tuple(Column(name=str(name), kind=_kind(X[name])) for name in X)
    else:
        container = "array" if isinstance(X, np.ndarray) else "sparse"
        columns = tuple(Column(name=j, kind="numeric") for j in range(X.shape[1]))
    facts = DataFacts(container=container, task="regression", n_rows=X.shape[0], columns=columns)
    return Table(X=X, y=np.zeros(X.shape[0]), facts=facts)


def _kind(column: pd.Series) -> Literal["numeric", "categorical", "date"]:
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return "date"
    return "numeric" if pd.api.types.is_numeric_dtype(column.dtype) else "categorical"


def blocks_of(X) -> Blocks:
    return encode(table_of(X), rng=np.random.default_rng(0), max_rows=10**6, max_columns=10**6)


def measure(X, seed: int = 0) -> CorrelationEvidence:
    return measure_correlation(table_of(X), seed=seed)


def mixed_frame(n_rows: int, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 4, n_rows)
    b = np.where(rng.random(n_rows) < 0.6, a, rng.integers(0, 3, n_rows))
    return pd.DataFrame(
        {
            "a": np.array(list("wxyz"))[a],
            "b": np.array(list("pqrs"))[b],
            "u": a + rng.standard_normal(n_rows),
            "v": rng.standard_normal(n_rows),
        }
    )


# ----------------------------------------------------------------------------------------- associations


def test_numeric_association_is_spearman() -> None:
    rng = np.random.default_rng(1)
    X = np.round(rng.standard_normal((200, 6)) + rng.standard_normal((200, 1)), 1)  # with ties
    expected = stats.spearmanr(X).statistic
    np.testing.assert_allclose(correlation_matrix(blocks_of(X)), expected, atol=1e-12)


def test_categorical_association_is_bias_corrected_cramers_v() -> None:
    frame = mixed_frame(300, seed=2)
    blocks = blocks_of(frame)
    measured = association_matrix(blocks, correlation_matrix(blocks))[0, 1]
    counts = pd.crosstab(frame["a"], frame["b"]).to_numpy()
    n = counts.sum()
    r, c = counts.shape
    phi2 = stats.chi2_contingency(counts, correction=False).statistic / n
    phi2 = max(0.0, phi2 - (r - 1) * (c - 1) / (n - 1))
    r, c = r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)
    assert measured == pytest.approx(np.sqrt(phi2 / (min(r, c) - 1)))


def test_mixed_association_is_correlation_ratio_of_ranks() -> None:
    frame = mixed_frame(300, seed=3)
    blocks = blocks_of(frame)
    measured = association_matrix(blocks, correlation_matrix(blocks))[0, 2]
    ranks = stats.rankdata(frame["u"])
    groups = [ranks[(frame["a"] == level).to_numpy()] for level in "wxyz"]
    between = sum(len(g) * (g.mean() - ranks.mean()) ** 2 for g in groups)
    eta2 = between / ((ranks - ranks.mean()) ** 2).sum()
    epsilon2 = 1 - (1 - eta2) * (len(ranks) - 1) / (len(ranks) - 4)  # Kelley 1935
    assert measured == pytest.approx(np.sqrt(epsilon2))


def test_association_matrix_is_symmetric_with_unit_diagonal() -> None:
    blocks = blocks_of(mixed_frame(80, seed=4))
    matrix = association_matrix(blocks, correlation_matrix(blocks))
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-12)
    np.testing.assert_array_equal(np.diag(matrix), 1.0)
    assert matrix.min() >= 0
    assert matrix.max() <= 1


@settings(deadline=None)
@given(st.lists(st.sampled_from("abcdefghijklmnop"), min_size=20, max_size=120))
def test_categorical_basis_is_orthonormal(levels: list[str]) -> None:
    basis = categorical_basis(pd.Series(levels))
    n_rows, n_columns = basis.shape
    np.testing.assert_allclose(basis.mean(axis=0), 0.0, atol=1e-10)
    np.testing.assert_allclose(basis.T @ basis / n_rows, np.eye(n_columns), atol=1e-10)


def test_rare_levels_join_the_most_frequent_one() -> None:
    common = ["a"] * 50 + ["b"] * 48
    rare = pd.Series([*common, "x", "y"])
    expected = categorical_basis(pd.Series([*common, "a", "a"]))
    np.testing.assert_allclose(np.abs(categorical_basis(rare)), np.abs(expected), atol=1e-12)


def test_missing_values_get_the_mean_rank() -> None:
    values = np.array([[3.0], [np.nan], [1.0], [2.0]])
    ranks, varies = standardised_ranks(values)
    assert varies.tolist() == [True]
    np.testing.assert_allclose(ranks[:, 0], np.array([1, 0, -1, 0]) / np.sqrt(0.5), atol=1e-12)


def test_nearly_constant_columns_are_left_out() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((100, 5))
    X[:, 1] = 7.0
    X[:, 2] = np.arange(100) < 4
    X[:, 3] = np.arange(100) < 5
    X[:, 4] = np.nan
    assert blocks_of(X).names == (0, 3)


# ------------------------------------------------------------------------------ inflation and factors


def test_vif_is_adjusted_r_squared_of_a_regression() -> None:
    rng = np.random.default_rng(5)
    X = rng.standard_normal((120, 7)) + rng.standard_normal((120, 1))
    blocks = blocks_of(X)
    measured = variance_inflation(blocks, correlation_matrix(blocks))
    n_rows, p = blocks.values.shape
    expected = []
    for j in range(p):
        others = np.delete(blocks.values, j, axis=1)
        r2 = LinearRegression().fit(others, blocks.values[:, j]).score(others, blocks.values[:, j])
        expected.append(1 / ((1 - r2) * (n_rows - 1) / (n_rows - p)))
    np.testing.assert_allclose(measured, np.maximum(expected, 1.0), rtol=1e-4)


def test_categorical_vif_is_fox_and_monette() -> None:
    frame = mixed_frame(400, seed=6)
    blocks = blocks_of(frame)
    measured = variance_inflation(blocks, correlation_matrix(blocks))[0]
    # The definition, on plain dummy variables: det(R_jj) det(R_-j) / det(R).
    others = pd.concat(
        [pd.get_dummies(frame["b"], drop_first=True, dtype=float), frame[["u", "v"]].rank()], axis=1
    )
    own = pd.get_dummies(frame["a"], drop_first=True, dtype=float)
    R = np.corrcoef(np.column_stack([own, others]), rowvar=False)
    k = own.shape[1]
    gvif = np.linalg.det(R[:k, :k]) * np.linalg.det(R[k:, k:]) / np.linalg.det(R)
    p = len(R)
    assert measured == pytest.approx(gvif ** (1 / k) * (400 - p) / 399, rel=1e-4)


def test_explained_is_the_correlation_of_equicorrelated_columns() -> None:
    rng = np.random.default_rng(7)
    X = rng.standard_normal((2000, 20)) + rng.standard_normal((2000, 1))
    blocks = blocks_of(X)
    factors = common_factors(blocks, correlation_matrix(blocks), rng)
    spearman = 6 / np.pi * np.arcsin(0.5 / 2)  # of normal columns with Pearson correlation 1/2
    assert factors.n_factors == 1
    assert factors.explained == pytest.approx(spearman, abs=0.02)


def test_effective_rank_spans_one_to_all_columns() -> None:
    rng = np.random.default_rng(8)
    column = rng.standard_normal((3000, 1))
    identical = measure(column @ np.ones((1, 6)))
    assert identical.effective_rank == pytest.approx(1.0, abs=1e-6)
    assert identical.explained == pytest.approx(1.0, abs=0.01)
    assert identical.vif == pytest.approx(1e6, rel=0.5)
    independent = measure(rng.standard_normal((3000, 6))).effective_rank
    assert independent == pytest.approx(6.0, abs=0.02)


def test_edge_is_near_marchenko_pastur_for_large_light_tails() -> None:
    rng = np.random.default_rng(10)
    blocks = blocks_of(rng.standard_normal((1500, 300)))
    edge = common_factors(blocks, correlation_matrix(blocks), rng).edge
    assert edge == pytest.approx((1 + np.sqrt(300 / 1500)) ** 2, rel=0.03)


# --------------------------------------------------------------------------------------- known answers

TAILS = {
    "normal": lambda rng, shape: rng.standard_normal(shape),
    "t3": lambda rng, shape: rng.standard_t(3, shape),
    "lognormal": lambda rng, shape: rng.lognormal(size=shape),
    "counts": lambda rng, shape: rng.poisson(0.1, shape).astype(float),
}


@pytest.mark.parametrize("tail", TAILS)
@pytest.mark.parametrize(
    ("n_rows", "p"), [(50, 2), (50, 10), (50, 100), (50, 500), (500, 2), (500, 100), (2000, 10)]
)
def test_independent_columns_are_not_correlated(tail: str, n_rows: int, p: int) -> None:
    rng = np.random.default_rng(11)
    assert measure(TAILS[tail](rng, (n_rows, p))).measured == "no"


@pytest.mark.parametrize("tail", ["normal", "t3", "lognormal"])
@pytest.mark.parametrize(("n_rows", "p"), [(50, 10), (50, 500), (500, 2), (500, 100), (2000, 10)])
def test_one_strong_factor_is_correlated(tail: str, n_rows: int, p: int) -> None:
    rng = np.random.default_rng(12)
    X = TAILS[tail](rng, (n_rows, p)) + TAILS[tail](rng, (n_rows, 1))
    evidence = measure(X)
    assert evidence.measured == "yes"
    assert evidence.n_factors == 1


@pytest.mark.parametrize("n_rows", [80, 500, 2000])
def test_two_collinear_columns_among_independent_ones_are_named(n_rows: int) -> None:
    rng = np.random.default_rng(13)
    X = rng.standard_normal((n_rows, 32))
    X[:, 20] = X[:, 5] + 0.05 * rng.standard_normal(n_rows)
    evidence = measure(X)
    assert evidence.measured == "yes"
    assert evidence.vif_column in ("x5", "x20")
    assert evidence.explained is not None
    assert evidence.explained < 0.2


def test_a_collinear_pair_among_hundreds_is_only_unsure() -> None:
    rng = np.random.default_rng(14)
    X = rng.standard_normal((1000, 200))
    X[:, 20] = X[:, 5]
    assert measure(X).measured == "unsure"


@pytest.mark.parametrize("n_rows", [500, 2000])
def test_weak_correlation_is_not_correlated(n_rows: int) -> None:
    rng = np.random.default_rng(15)
    X = np.sqrt(0.95) * rng.standard_normal((n_rows, 40)) + np.sqrt(0.05) * rng.standard_normal((n_rows, 1))
    assert measure(X).measured == "no"


def test_blocks_of_columns_are_correlated() -> None:
    rng = np.random.default_rng(16)
    common = rng.standard_normal((500, 8, 1))
    X = (np.sqrt(0.3) * rng.standard_normal((500, 8, 5)) + np.sqrt(0.7) * common).reshape(500, 40)
    evidence = measure(X)
    assert evidence.measured == "yes"
    assert evidence.n_factors == 8


@pytest.mark.parametrize("load", [load_breast_cancer, load_diabetes, load_wine])
def test_known_correlated_data(load) -> None:
    assert measure(load().data).measured == "yes"


def test_longley_is_correlated() -> None:
    assert measure(LONGLEY).measured == "yes"


def test_independent_categories_are_not_correlated_and_copies_are() -> None:
    rng = np.random.default_rng(17)
    frame = pd.DataFrame({f"c{j}": rng.choice(list("abcde"), 600) for j in range(6)})
    assert measure(frame).measured == "no"
    copied = frame.assign(copy=frame["c2"].str.upper())
    evidence = measure(copied)
    assert evidence.measured == "yes"
    assert evidence.vif_column in ("c2", "copy")


def test_rare_levels_that_meet_by_chance_do_not_inflate() -> None:
    rng = np.random.default_rng(18)
    frame = pd.DataFrame({f"c{j}": rng.choice(list("ab"), 400) for j in range(5)})
    frame.loc[[3, 7], :] = "unknown"  # the same two rows in every column
    assert measure(frame).measured == "no"


@pytest.mark.parametrize(("n_shared", "inflation"), [(9, 3.0), (24, 8.0), (90, 30.0)])
def test_rare_columns_show_a_third_of_their_rows_as_inflation(n_shared: int, inflation: float) -> None:
    rng = np.random.default_rng(24)
    X = rng.standard_normal((1000, 6))
    X[:, 4] = X[:, 5] = np.arange(1000) < n_shared  # words of a signature: always together
    evidence = measure(X)
    # The rule of three: k rows without an exception leave up to 3/k of a column unshared.
    assert evidence.vif == pytest.approx(inflation)
    assert evidence.measured == ("no" if inflation < 5 else "unsure" if inflation < 10 else "yes")


def test_rare_levels_show_a_third_of_their_rows_as_inflation() -> None:
    rng = np.random.default_rng(25)
    level = np.where(np.arange(600) < 6, "rare", np.where(np.arange(600) < 15, "odd", "usual"))
    frame = pd.DataFrame({"a": level, "b": np.char.upper(level), "c": rng.standard_normal(600)})
    assert measure(frame).vif == pytest.approx(15 / 3)


def test_columns_without_a_majority_value_are_not_capped() -> None:
    rng = np.random.default_rng(26)
    X = rng.standard_normal((16, 4))
    X[:, 3] = X[:, 2]
    # The inverse of two equal columns with 1e-6 on the diagonal, adjusted for 4 columns of 16 rows.
    assert measure(X).vif == pytest.approx(0.5e6 * 12 / 15, rel=1e-3)


# --------------------------------------------------------------------------------------------- edges


def test_one_or_no_column_is_not_correlated() -> None:
    evidence = measure(np.arange(40.0)[:, None])
    assert (evidence.measured, evidence.n_columns, evidence.vif) == ("no", 1, None)
    assert measure(np.ones((40, 5))).n_columns == 0


def test_few_rows_are_unsure() -> None:
    assert measure(np.random.default_rng(0).standard_normal((6, 4))).measured == "unsure"


def test_same_seed_same_answer_and_the_input_is_not_touched() -> None:
    X = np.random.default_rng(19).standard_normal((300, 12))
    X[0, 0] = np.nan
    before = X.copy()
    X.flags.writeable = False
    assert measure(X, seed=3) == measure(X, seed=3)
    np.testing.assert_array_equal(X, before)


def test_only_ranks_count() -> None:
    X = np.random.default_rng(20).standard_normal((300, 12))
    assert measure(X) == measure(np.exp(X))


def test_sparse_is_dense() -> None:
    X = np.random.default_rng(21).poisson(0.3, (300, 15)).astype(float)
    assert measure(sparse.csr_array(X)) == measure(X)


def test_dates_are_numbers() -> None:
    rng = np.random.default_rng(22)
    days = pd.Series(pd.date_range("2020-01-01", periods=200)).where(rng.random(200) > 0.05)
    frame = pd.DataFrame({"day": days, "trend": np.arange(200.0), "noise": rng.standard_normal(200)})
    evidence = measure(frame)
    assert evidence.measured == "yes"
    assert evidence.vif_column in ("day", "trend")


def test_of_more_rows_and_columns_some_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(correlation, "MEASURED_ROWS", 100)
    monkeypatch.setattr(correlation, "MEASURED_COLUMNS", 20)
    X = np.random.default_rng(23).standard_normal((400, 50))
    evidence = measure_correlation(table_of(X), seed=0)
    assert evidence.n_columns == 20
    assert evidence == measure_correlation(table_of(X), seed=0)
    assert evidence != measure_correlation(table_of(X[:100]), seed=0)


@settings(max_examples=30, deadline=None)
@given(st.integers(10, 60), st.integers(2, 30), st.floats(0, 2), st.integers(0, 10**6))
def test_statistics_are_in_range_and_the_margin_agrees(n_rows: int, p: int, common: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    evidence = measure(rng.standard_normal((n_rows, p)) + common * rng.standard_normal((n_rows, 1)))
    assert evidence.explained is not None
    assert evidence.vif is not None
    assert evidence.margin is not None
    assert 0 <= evidence.explained <= 1
    assert evidence.vif >= 1
    assert evidence.effective_rank is not None
    assert 1 <= evidence.effective_rank <= p + 1e-9
    assert (evidence.margin >= 0) == (evidence.measured == "yes")
    assert evidence.given is None


def test_record_holds_plain_numbers() -> None:
    evidence = measure(load_wine().data)
    values = [getattr(evidence, name) for name in CorrelationEvidence.__dataclass_fields__]
    assert {type(value) for value in values} <= {float, int, str, bool, type(None)}


REAL = {
    "nir_gasoline": "yes",
    "chicago_ridership": "yes",
    "diamonds": "yes",
    "pd_speech": "yes",
    "smarket": "no",
    "newsgroup_pcmac": "no",
}


@pytest.mark.skipif("REGADVISOR_DATA" not in os.environ, reason="REGADVISOR_DATA names a folder of real data")
@pytest.mark.parametrize(("name", "reply"), REAL.items())
def test_real_data(name: str, reply: str) -> None:
    frame = pd.read_parquet(Path(os.environ["REGADVISOR_DATA"]) / f"{name}.parquet")
    features = frame[[c for c in frame if not str(c).startswith(("target", "__"))]]
    assert measure(features).measured == reply
