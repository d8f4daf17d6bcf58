"""Nothing of the process is changed by advice: random numbers, filters of warnings, numbers of threads."""

from __future__ import annotations

import random
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures
from threadpoolctl import threadpool_info, threadpool_limits
from torch import nn

from regadvisor import Recipe, advise
from regadvisor.families.neural.nets import cnn
from regadvisor.global_state import left_as_found

N = 80
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 6))
Y = X[:, 0] + 0.5 * RNG.normal(size=N)


def random_states() -> tuple[Any, ...]:
    name, keys, *rest = np.random.get_state()  # noqa: NPY002
    return random.getstate(), (name, keys.tolist(), *rest), torch.get_rng_state().tolist()


def noisy_net(n_features: int, n_outputs: int) -> nn.Module:
    """A module that draws from torch's own generator, in its making and in training."""
    lstm_like = nn.TransformerEncoderLayer(n_features, nhead=1, dim_feedforward=4, batch_first=True)
    return nn.Sequential(
        nn.Unflatten(1, (1, n_features)), lstm_like, nn.Flatten(), nn.Linear(n_features, n_outputs)
    )


@pytest.mark.parametrize(
    ("features", "target", "options"),
    [
        (X, Y, {"prefer": "sparse"}),
        (X, Y > 0, {"prefer": "sparse"}),
        (sparse.csr_array(np.where(X > 0.5, X, 0)), Y, {}),
        (sparse.csr_array(np.where(X > 0.5, X, 0)), Y > 0, {}),
        (X, np.column_stack([Y, X[:, 1]]), {}),
        (X, Y, {"model": "mlp"}),
        (X, Y, {"model": noisy_net, "recipe": Recipe(epochs=1)}),
    ],
    ids=["l1", "classes", "sparse", "sparse classes", "several", "mlp", "module"],
)
def test_global_random_numbers_are_left_alone(features: Any, target: Any, options: Any) -> None:
    before = random_states()
    advice = advise(features, target, effort="quick", folds=2, **options)
    assert random_states() == before
    advice.build().fit(features, target).predict(features)
    assert random_states() == before


@pytest.fixture
def busy_switching() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def shared_state() -> tuple[Any, ...]:
    blas = [each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"]
    return id(warnings.filters), list(warnings.filters), blas, torch.get_num_threads()


def test_two_advices_in_two_threads_leave_filters_and_threads_as_they_were(busy_switching: None) -> None:
    before = shared_state()
    threads = [
        threading.Thread(target=advise, args=(X, target), kwargs={"effort": "quick", "folds": 2})
        for target in (Y, Y > 0)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shared_state() == before


def test_what_overlapping_calls_leave_behind_is_put_back_by_the_last() -> None:
    """The order in which plain save and restore goes wrong: the second saves what the first has set."""
    before = shared_state()
    first, second = left_as_found(), left_as_found()
    outer, inner = warnings.catch_warnings(), warnings.catch_warnings()
    first.__enter__()
    outer.__enter__()
    warnings.simplefilter("ignore")
    limits = threadpool_limits(limits=1, user_api="blas")
    second.__enter__()
    inner.__enter__()
    outer.__exit__(None, None, None)
    first.__exit__(None, None, None)
    inner.__exit__(None, None, None)
    assert warnings.filters != before[1]
    second.__exit__(None, None, None)
    assert shared_state() == before
    limits.restore_original_limits()


def test_a_call_alone_touches_nothing() -> None:
    with warnings.catch_warnings():
        with left_as_found():
            warnings.simplefilter("always")
        assert warnings.filters[0][0] == "always"


@pytest.mark.parametrize("model", ["linear", "mlp"])
def test_the_callers_settings_of_numpy_and_torch_do_not_matter(model: str) -> None:
    plain = advise(X, Y, effort="quick", folds=2, model=model).regularizer
    torch.set_default_dtype(torch.float64)
    try:
        with np.errstate(all="raise"):
            assert advise(X, Y, effort="quick", folds=2, model=model).regularizer == plain
        cnn(2, (1, 8, 8))(torch.zeros(2, 1, 8, 8, dtype=torch.float32))
    finally:
        torch.set_default_dtype(torch.float32)


def test_steps_that_draw_from_the_generator_of_the_process_draw_from_their_own() -> None:
    class Jitter(TransformerMixin, BaseEstimator):  # type: ignore[misc]
        """As TargetEncoder, which has no random_state any more."""

        def fit(self, X: Any, y: Any = None) -> Any:
            self.shift_ = np.random.normal(size=X.shape[1])  # noqa: NPY002
            return self

        def transform(self, X: Any) -> Any:
            return X + self.shift_

    before = random_states()
    model = make_pipeline(Jitter(), PolynomialFeatures(), Ridge())
    first, again = (advise(X, Y, model=model, effort="quick") for _ in range(2))
    assert random_states() == before
    assert first.regularizer == again.regularizer
