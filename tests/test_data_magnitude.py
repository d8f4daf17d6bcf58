"""Numbers that are too large or too small to have squares are refused; all others work."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from regadvisor import DataError, Recipe, advise
from regadvisor.data.source import make_table

N = 60
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 3))
Y = X[:, 0] + 0.3 * RNG.normal(size=N)


@pytest.mark.parametrize("factor", [1e-300, 1e-160, 1e160, 1e300])
def test_numbers_without_squares_are_refused(factor: float) -> None:
    with pytest.raises(DataError, match=r"column 0 of X must hold numbers whose largest.*change the unit"):
        make_table(X * factor, Y)
    with pytest.raises(DataError, match=r"column 'b' of X must hold numbers whose largest"):
        make_table(pd.DataFrame({"a": X[:, 0], "b": X[:, 1] * factor}), Y)
    with pytest.raises(DataError, match=r"^y must hold numbers whose largest"):
        make_table(X, Y * factor)
    with pytest.raises(DataError, match=r"^target 1 must hold numbers whose largest"):
        make_table(X, np.column_stack([Y, Y * factor]))


@pytest.mark.parametrize("factor", [1e-20, 1e20])
def test_sparse_numbers_have_to_be_squared_in_their_own_dtype(factor: float) -> None:
    with pytest.raises(DataError, match="between 1e-14 and 1e"):
        make_table(sparse.csr_array((np.where(X > 0, X, 0) * factor).astype(np.float32)), Y)


@pytest.mark.parametrize("model", ["linear", "mlp"])
@pytest.mark.parametrize("factors", [(1e-99, 1e99), (1e99, 1e-99)])
def test_numbers_up_to_the_bounds_are_learned_as_well_as_any(
    model: str, factors: tuple[float, float]
) -> None:
    features, target = X * factors[0], Y * factors[1]
    fitted = advise(features, target, model=model, effort="quick", folds=2).build().fit(features, target)
    assert fitted.score(features, target) > 0.6


def test_single_precision_is_not_squared_as_such() -> None:
    features = (X * 1e30).astype(np.float32)
    assert advise(features, Y, effort="quick", folds=2).build().fit(features, Y).score(features, Y) > 0.6


def test_one_value_beyond_all_others_is_no_error() -> None:
    target = Y.copy()
    target[7] = 1e99
    for model in ("linear", "mlp"):
        built = advise(X, target, model=model, effort="quick", folds=2).build().fit(X, target)
        assert np.isfinite(built.predict(X)).all()


def test_zeros_and_missing_values_have_no_size() -> None:
    table = make_table(np.column_stack([np.zeros(N), np.full(N, np.nan), Y]), Y)
    assert [column.is_constant for column in table.facts.columns] == [True, True, False]


def test_numbers_taken_as_they_are_have_to_fit_into_float32() -> None:
    recipe = Recipe(transform="none", epochs=1)
    with pytest.raises(DataError, match=r"below 3e38 in size.*transform='standard'"):
        advise(X * 1e60, Y, model="mlp", recipe=recipe, effort="quick", folds=2)


@pytest.mark.parametrize("digits", [400, 5000])
def test_whole_numbers_beyond_floats_are_refused(digits: int) -> None:
    frame = pd.DataFrame({"a": X[:, 0], "b": pd.Series([10**digits, 1] * (N // 2), dtype=object)})
    with pytest.raises(DataError, match="column 'b' must hold numbers below 1e308"):
        make_table(frame, Y)
