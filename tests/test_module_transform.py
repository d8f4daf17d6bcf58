"""Features of a caller's module: as they are if they are on a common scale already, else scaled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from torch import Tensor, nn

from regadvisor import Advice, Recipe, advise
from regadvisor.data.source import make_table
from regadvisor.export.build import recipe_of
from regadvisor.families.neural.common_scale import is_on_common_scale
from regadvisor.families.neural.family import MLPFamily
from regadvisor.families.neural.module.family import ModuleFamily
from regadvisor.models import resolve_model
from regadvisor.sampling.folds import make_folds

CANCER, DIAGNOSIS = (each[:240] for each in load_breast_cancer(return_X_y=True))
DIGITS = load_digits().images[:400]
STANDARDISED = StandardScaler().fit_transform(CANCER)
RNG = np.random.default_rng(0)


def indicators(n_columns: int) -> Any:
    return RNG.integers(0, 2, (240, n_columns)).astype(float)


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(STANDARDISED[:, :3], columns=["a", "b", "c"]).assign(**columns)


def with_gap() -> Any:
    X = STANDARDISED.copy()
    X[3, 5] = np.nan
    return X


CASES: dict[str, tuple[Any, bool]] = {
    "raw": (CANCER, False),
    "standardised": (STANDARDISED, True),
    "standardised on other rows": (StandardScaler().fit(CANCER[:120]).transform(CANCER), True),
    "one column is not": (STANDARDISED * np.r_[100.0, np.ones(29)], False),
    "one column is off": (STANDARDISED + np.r_[50.0, np.zeros(29)], False),
    "tiny": (STANDARDISED / 100, False),
    "one constant": (np.hstack([STANDARDISED, np.full((240, 1), 1e6)]), True),
    "between 0 and 1": (MinMaxScaler().fit_transform(CANCER), True),
    "between -1 and 1": (MinMaxScaler((-1, 1)).fit_transform(CANCER), True),
    "standardised and indicators": (np.hstack([STANDARDISED, indicators(5)]), True),
    "missing": (with_gap(), False),
    "frame": (frame(), True),
    "categories": (frame(d=np.where(STANDARDISED[:, 0] > 0, "x", "y")), False),
    "dates": (frame(d=pd.date_range("2024-01-01", periods=240)), False),
    "integers": (RNG.integers(0, 50, (240, 4)), False),
    "sparse indicators": (sparse.csr_array(indicators(20)), True),
    "sparse counts": (sparse.csr_array(30.0 * indicators(20)), False),
    "float32": (STANDARDISED.astype(np.float32), True),
    "pixels to 255": (DIGITS[:240] * 255 / 16, False),
    "pixels to 1": (DIGITS[:240] / 16, True),
    "pixels of float32 to 1": ((DIGITS[:240] / 16).astype(np.float32), True),
    "pixels by mean and deviation": ((DIGITS[:240] - DIGITS.mean()) / DIGITS.std(), True),
    "flat pixels to 1": (DIGITS[:240].reshape(240, 64) / 16, True),
    "flat pixels to 16": (DIGITS[:240].reshape(240, 64), False),
    "colours": (RNG.random((240, 4, 4, 3)), True),
    "one colour is not": (RNG.random((240, 4, 4, 3)) * [1.0, 255.0, 1.0], False),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_on_a_common_scale(case: str) -> None:
    X, expected = CASES[case]
    table = make_table(X, DIAGNOSIS)
    assert is_on_common_scale(table.X, table.facts) == expected
    order = np.random.default_rng(1).permutation(240)
    assert is_on_common_scale(table.take(order).X, table.facts) == expected


class Seen(nn.Module):
    """Keeps the largest number that it was given."""

    largest = 0.0

    def __init__(self, n_features: int, n_outputs: int) -> None:
        super().__init__()
        self.last = nn.Linear(n_features, n_outputs)

    def forward(self, x: Tensor) -> Tensor:
        Seen.largest = max(Seen.largest, float(x.detach().abs().max()))
        return self.last(x.flatten(1))


@pytest.mark.parametrize(
    ("given", "case", "expected"),
    [
        (None, "raw", "standard"),
        (None, "standardised", "none"),
        (None, "categories", "standard"),
        (None, "missing", "standard"),
        (None, "pixels to 255", "standard"),
        (None, "pixels to 1", "none"),
        ("standard", "standardised", "standard"),
        ("none", "raw", "none"),
    ],
)
def test_a_module_gets_its_features_as_decided_in_every_fold(
    given: str | None, case: str, expected: str
) -> None:
    table = make_table(CASES[case][0], DIAGNOSIS)
    family = resolve_model(Seen, table.facts, recipe=Recipe(transform=given), device="cpu", features=table.X)
    assert family.training(None, n_sample=100, n_rows=240, seed=0).transform == expected
    # A sample that looks otherwise changes nothing.
    sample = table.take(np.arange(0, 240, 2))
    folds = make_folds(sample, folds=3, seed=0).folds
    encoded = family.prepare(sample, folds, seed=0).rows.x.numpy()  # type: ignore[attr-defined]
    if expected == "none":
        flat = np.asarray(sample.X, dtype=np.float32).reshape(120, -1)
        assert all(np.array_equal(own, flat) for own in encoded.reshape(3, 120, -1))
    else:
        assert float(np.abs(encoded).max()) < 30


def test_our_own_networks_are_always_given_scaled_features() -> None:
    table = make_table(STANDARDISED, DIAGNOSIS)
    assert MLPFamily().training(None, n_sample=9, n_rows=9, seed=0).transform == "standard"
    for model in ("mlp", "auto"):
        family = resolve_model(model, table.facts, recipe=Recipe(), device="cpu", features=table.X)
        assert family.training(None, n_sample=9, n_rows=9, seed=0).transform == "standard"
    images = make_table(DIGITS[:240] / 16, DIAGNOSIS)
    cnn = resolve_model("cnn", images.facts, recipe=None, device="cpu", features=images.X)
    assert cnn.training(None, n_sample=9, n_rows=9, seed=0).transform == "standard"
    assert (
        ModuleFamily(Seen, table.facts).training(None, n_sample=9, n_rows=9, seed=0).transform == "standard"
    )


def advised(X: Any) -> Advice:
    return advise(X, DIAGNOSIS, model=Seen, recipe=Recipe(epochs=6, lr=0.02), effort="quick", folds=2)


def said(advice: Advice) -> str:
    return " ".join(advice.to_text().split())


def test_build_and_snippet_do_the_same_and_the_report_says_which(tmp_path: Any) -> None:
    Seen.largest = 0.0
    plain, scaled = advised(STANDARDISED), advised(CANCER)
    assert plain.record.training is not None
    assert plain.record.training.transform == "none"
    assert "Seen gets the features as they are; in your own loop, do the same." in said(plain)
    assert recipe_of(plain.record.training).transform == "none"
    plain.to_json(tmp_path / "advice.json")
    again = Advice.load(tmp_path / "advice.json")
    model = again.build(module=Seen)
    assert isinstance(model, Pipeline)
    np.testing.assert_array_equal(model[0].fit_transform(STANDARDISED), STANDARDISED)
    assert model.fit(STANDARDISED, DIAGNOSIS).score(STANDARDISED, DIAGNOSIS) > 0.9
    assert scaled.record.training is not None
    assert scaled.record.training.transform == "standard"
    assert (
        "Seen gets scaled features; in your own loop, scale them by "
        'advice.build()["preprocess"].fit_transform(X).'
    ) in said(scaled)
    assert Seen.largest < 30


@pytest.mark.parametrize(
    ("X", "is_scaled"), [(STANDARDISED, False), (CANCER, True)], ids=["none", "standard"]
)
def test_the_snippet_gives_a_module_the_same_features(X: Any, is_scaled: bool) -> None:
    script = advised(X).snippet("torch")
    assert "dropout" not in script  # it has no such layer
    module = nn.Linear(30, 2)
    names: dict[str, Any] = {"X": X, "y": DIAGNOSIS}
    exec(
        compile(script.replace("module = ...", "module = given", 1), "snippet", "exec"),
        names | {"given": module},
    )
    seen = dict(names)
    exec(compile(script.split("classes, codes")[0], "snippet", "exec"), seen)
    features = seen["features"]
    assert isinstance(features, Tensor)
    assert torch.allclose(features, torch.as_tensor(X, dtype=torch.float32)) is not is_scaled
    assert float(features.abs().max()) < 30


def test_columns_that_never_vary_are_on_no_scale() -> None:
    X = np.zeros((20, 3))
    assert not is_on_common_scale(X, make_table(X, np.arange(20.0)).facts)
