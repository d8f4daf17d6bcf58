"""The printed torch script gives the model of ``build()``."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_diabetes, load_digits, load_iris
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from torch import nn

import regadvisor
from regadvisor.data.source import make_table
from regadvisor.errors import ParameterError, StrengthError
from regadvisor.export.build import build_network
from regadvisor.export.torch_snippet import torch_snippet
from regadvisor.families.base import Fold
from regadvisor.families.neural.module.family import ModuleFamily
from regadvisor.families.neural.recipe import Recipe
from regadvisor.records import Training
from regadvisor.regularizer import Regularizer

TRAINING = Training(
    family="mlp",
    seed=11,
    hidden=(24, 12),
    optimizer="adamw",
    lr=3e-3,
    batch_size=64,
    epochs=25,
    schedule="flat-cosine",
)
REGULARIZERS = {
    "none": Regularizer(coupling="decoupled"),
    "l2": Regularizer(l2=2.0, coupling="decoupled"),
    "l1": Regularizer(l1=0.1, coupling="decoupled"),
    "dropout_l2": Regularizer(l2=1.0, dropout=0.25, coupling="decoupled"),
}

FACTS = make_table(*load_iris(return_X_y=True)).facts


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny products on several threads of a shared machine mostly wait for each other."""
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(n_threads)


def both(
    X: Any, y: Any, regularizer: Regularizer, training: Training, sample_weight: Any = None
) -> tuple[Any, dict[str, Any]]:
    """Return the fitted pipeline of ``build`` and the names that the script leaves."""
    facts = make_table(X, y, sample_weight=sample_weight).facts
    pipeline = build_network(facts, regularizer, training)
    script = torch_snippet(
        Pipeline(pipeline.steps[:-1]),
        facts,
        training=training,
        regularizer=regularizer,
        verdict_comment="Start with this.",
    )
    assert script.startswith("# Start with this.\n")
    names: dict[str, Any] = {"X": X, "y": y, "sample_weight": sample_weight}
    exec(compile(script, "script", "exec"), names)
    weights = {} if sample_weight is None else {pipeline.weight_name: sample_weight}
    return pipeline.fit(X, y, **weights), names


@pytest.mark.parametrize("kind", REGULARIZERS)
def test_classes(kind: str) -> None:
    X, codes = load_iris(return_X_y=True)
    y = np.array(["a", "b", "c"])[codes]
    pipeline, names = both(X, y, REGULARIZERS[kind], TRAINING)
    np.testing.assert_allclose(names["predict_proba"](X), pipeline.predict_proba(X), atol=1e-4)
    assert (names["predict"](X) == pipeline.predict(X)).all()


@pytest.mark.parametrize("are_missing", [False, True])
def test_weights(are_missing: bool) -> None:
    X, y = load_diabetes(return_X_y=True)
    if are_missing:
        y[::9] = np.nan
    weight = np.random.default_rng(0).gamma(1.0, size=len(y))
    pipeline, names = both(X, y, REGULARIZERS["l2"], TRAINING, weight)
    sd = np.nanstd(y)
    np.testing.assert_allclose(names["predict"](X) / sd, pipeline.predict(X) / sd, atol=1e-4)
    X, y = load_iris(return_X_y=True)
    pipeline, names = both(X, y, REGULARIZERS["l2"], TRAINING, weight[: len(y)])
    np.testing.assert_allclose(names["predict_proba"](X), pipeline.predict_proba(X), atol=1e-4)


@pytest.mark.parametrize("kind", REGULARIZERS)
def test_numbers(kind: str) -> None:
    X, y = load_diabetes(return_X_y=True)
    pipeline, names = both(X, y, REGULARIZERS[kind], TRAINING)
    np.testing.assert_allclose(names["predict"](X) / y.std(), pipeline.predict(X) / y.std(), atol=1e-4)


def test_frames_with_categories_and_a_constant_schedule() -> None:
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"size": rng.normal(size=120), "colour": rng.choice(["red", "blue"], 120)})
    X.loc[5:9, "size"] = np.nan
    y = (X["colour"] == "red").to_numpy() ^ (rng.random(120) < 0.1)
    training = Training(
        family="mlp",
        seed=0,
        hidden=(),
        optimizer="adamw",
        lr=1e-2,
        batch_size=500,
        epochs=30,
        schedule="constant",
    )
    pipeline, names = both(X, y, REGULARIZERS["none"], training)
    np.testing.assert_allclose(names["predict_proba"](X), pipeline.predict_proba(X), atol=1e-4)


LOSS_REGULARIZERS = {
    "none": Regularizer(),
    "l2": Regularizer(l2=0.02),
    "elasticnet": Regularizer(l1=1e-3, l2=1e-2),
    "dropout_l1": Regularizer(l1=1e-3, dropout=0.2),
}


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("coupling", ["decoupled", "loss"])
@pytest.mark.parametrize("kind", LOSS_REGULARIZERS)
def test_every_option_of_the_recipe_is_written_out(optimizer: str, coupling: str, kind: str) -> None:
    training = replace(
        TRAINING,
        optimizer=optimizer,
        momentum=0.8 if optimizer == "sgd" else None,
        coupling=coupling,  # type: ignore[arg-type]
        clip_norm=0.5,
        schedule="cosine",
        exempt=("2.weight",),
        epochs=10,
    )
    regularizer = replace(LOSS_REGULARIZERS[kind], coupling=training.coupling)
    X, y = load_iris(return_X_y=True)
    pipeline, names = both(X, y, regularizer, training)
    np.testing.assert_allclose(names["predict_proba"](X), pipeline.predict_proba(X), atol=1e-4)


_RATES = {"lr_scale": (("0.*", 0.3), ("0.bias", 0.0))}
_START = {"towards_start": ("0.*",)}


@pytest.mark.parametrize(
    ("optimizer", "coupling", "given"),
    [
        ("adamw", "decoupled", _RATES),
        ("sgd", "decoupled", _RATES),
        ("adamw", "loss", _RATES),
        ("adamw", "decoupled", _START),
        ("sgd", "decoupled", _RATES | _START),
        ("adamw", "loss", _START),
    ],
)
def test_what_differs_by_parameter_is_written_out(optimizer: str, coupling: Any, given: Any) -> None:
    training = replace(
        TRAINING,
        optimizer=optimizer,
        momentum=0.8 if optimizer == "sgd" else None,
        coupling=coupling,
        lr=0.05 if optimizer == "sgd" else TRAINING.lr,
        epochs=10,
        **given,
    )
    X, y = load_iris(return_X_y=True)
    unit = 0.3 / training.lr if coupling == "decoupled" else 1.0
    regularizer = Regularizer(l1=3e-3 * unit, l2=3e-2 * unit, coupling=coupling)
    pipeline, names = both(X, y, regularizer, training)
    np.testing.assert_allclose(names["predict_proba"](X), pipeline.predict_proba(X), atol=1e-4)
    usual, _ = both(X, y, regularizer, replace(training, lr_scale=(), towards_start=()))
    assert np.abs(usual.predict_proba(X) - pipeline.predict_proba(X)).max() > 0.01


@pytest.mark.parametrize("family", ["mlp", "module"])
@pytest.mark.parametrize(("momentum", "written"), [(0.0, 0.0), (0.8, 0.8), (None, 0.9)])
def test_the_momentum_is_that_of_the_recipe(family: Any, momentum: float | None, written: float) -> None:
    training = replace(TRAINING, family=family, optimizer="sgd", momentum=momentum)
    script = torch_snippet(FunctionTransformer(), FACTS, training=training, regularizer=REGULARIZERS["l2"])
    assert f"momentum={written}" in script


def test_features_as_they_are() -> None:
    X, y = load_iris(return_X_y=True)
    pipeline, names = both(X, y, REGULARIZERS["l2"], replace(TRAINING, transform="none"))
    assert np.array_equal(pipeline[0].fit_transform(X), X)
    np.testing.assert_allclose(names["predict_proba"](X), pipeline.predict_proba(X), atol=1e-4)


def test_functions_of_the_caller_have_no_place_in_other_scripts() -> None:
    training = replace(TRAINING, has_own_loss=True, own_functions=("schedule",))
    with pytest.raises(ParameterError, match=r"your own loss and schedule; use snippet\('torch'\)"):
        torch_snippet(
            FunctionTransformer(), FACTS, training=training, regularizer=REGULARIZERS["l2"], library="keras"
        )


def test_a_loss_of_numbers_that_nobody_tried_has_no_script() -> None:
    facts = make_table(*load_diabetes(return_X_y=True)).facts
    training = replace(TRAINING, has_own_loss=True)
    with pytest.raises(ParameterError, match="whether it sees the target standardised is not known"):
        torch_snippet(FunctionTransformer(), facts, training=training, regularizer=REGULARIZERS["l2"])


def test_unknown_strengths_have_no_script() -> None:
    with pytest.raises(StrengthError):
        torch_snippet(FunctionTransformer(), FACTS, training=TRAINING, regularizer=Regularizer.unknown("l2"))


@pytest.mark.parametrize("library", ["torch", "skorch"])
def test_patterns_hold_for_a_module_that_was_never_looked_at(library: Any) -> None:
    training = replace(TRAINING, family="module", exempt=("2.*",), penalised=("0.*", "2.*"))
    script = torch_snippet(
        FunctionTransformer(), FACTS, training=training, regularizer=REGULARIZERS["l2"], library=library
    )
    assert "from fnmatch import fnmatchcase" in script
    line = next(line for line in script.splitlines() if line.startswith("names = "))
    named = [(f"{k}.{end}", torch.zeros(2, 2)) for k in (0, 2, 4) for end in ("weight", "bias")]
    names: dict[str, Any] = {"named": named}
    exec(f"from fnmatch import fnmatchcase\n{line}", names)
    assert names["names"] == ["0.weight", "0.bias"]


# ------------------------------------------------------------------------------------ modules of the caller


class Returning(nn.Module):
    """A module that returns its outputs in some form."""

    def __init__(self, n_out: int, form: Any) -> None:
        super().__init__()
        self.body, self.form = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, n_out)), form

    def forward(self, x: torch.Tensor) -> Any:
        return self.form(self.body(x), x)


FORMS: dict[str, tuple[int, int, Any, Any]] = {
    "one logit": (2, 1, None, lambda out, x: out),
    "one logit, flat": (2, 1, None, lambda out, x: out[:, 0]),
    "a number, flat": (0, 1, None, lambda out, x: out[:, 0]),
    "first of two": (3, 3, None, lambda out, x: (out, x)),
    "second of two": (3, 3, 1, lambda out, x: (x, out)),
    "first of two, in training": (3, 3, None, lambda out, x: (out, x) if torch.is_grad_enabled() else out),
    "by name": (3, 3, None, lambda out, x: {"x": x, "logits": out}),
    "an attribute": (3, 3, "found", lambda out, x: SimpleNamespace(found=out)),
    "logits": (3, 3, None, lambda out, x: SimpleNamespace(hidden=x, logits=out)),
    "heads": (3, 6, None, lambda out, x: out.view(-1, 2, 3)),
    "heads of a number": (0, 2, None, lambda out, x: out.view(-1, 2, 1)),
    "heads of a logit": (2, 2, None, lambda out, x: out.view(-1, 2, 1)),
    "several axes": (3, 3, None, lambda out, x: out.view(-1, 3, 1, 1)),
}


@pytest.mark.parametrize("library", ["torch", "skorch"])
@pytest.mark.parametrize("form", FORMS)
def test_what_a_module_returns_is_taken_as_it_was_in_training(form: str, library: Any) -> None:
    """All rows in one step, from the same weights: the order of the rows does not count."""
    pytest.importorskip(library, reason=f"{library} is not installed")
    n_classes, n_out, output, shaped = FORMS[form]
    X, codes = load_iris(return_X_y=True)
    y = X @ [1.0, -1.0, 0.5, 0.2] if n_classes == 0 else np.minimum(codes, n_classes - 1)
    torch.manual_seed(0)
    module = Returning(n_out, shaped)
    recipe = Recipe(epochs=30, batch_size=200, lr=0.02, output=output, schedule="constant")
    table = make_table(X, y)
    family = ModuleFamily(module, table.facts, recipe=recipe, features=table.X)
    family.prepare(table, [Fold(train=np.arange(100), test=np.arange(100, 150))], seed=0)
    training = family.training(None, n_sample=150, n_rows=150, seed=0)
    advised = Regularizer(l2=1.0, coupling="decoupled")
    pipeline = build_network(table.facts, advised, training, module=module)
    ask = {"training": training, "regularizer": advised, "library": library}
    if library == "skorch" and (training.output is not None or len(training.output_shape or ()) > 1):
        with pytest.raises(ParameterError, match=r"use snippet\('torch'\)"):
            torch_snippet(Pipeline(pipeline.steps[:-1]), table.facts, **ask)
        return
    script = torch_snippet(Pipeline(pipeline.steps[:-1]), table.facts, **ask)
    names = {"X": X, "y": y, "own": deepcopy(module)}
    exec(compile(script.replace("module = ...", "module = own"), "script", "exec"), names)
    found = pipeline.fit(X, y)
    if n_classes:
        np.testing.assert_allclose(names["predict_proba"](X), found.predict_proba(X), atol=2e-3)  # type: ignore[operator]
    else:
        np.testing.assert_allclose(names["predict"](X), found.predict(X), atol=5e-3)  # type: ignore[operator]


class Joining(nn.Module):
    """A module of several tensors, which it puts side by side."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.last = nn.Linear(n_in, n_out)

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        assert b.dtype in (torch.float32, torch.int64)
        return self.last(torch.cat([a.flatten(1), b.flatten(1).float()], dim=1))  # type: ignore[no-any-return]


class ByStep(nn.Module):
    """A module whose rows are the second axis."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(x.mean(0))  # type: ignore[no-any-return]


class Centring(nn.Module):
    """A module that gives its buffer anew."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(4, 3)
        self.register_buffer("mean", torch.zeros(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.mean = 0.5 * self.mean + 0.5 * x.mean(0)
        return self.last(x - self.mean)  # type: ignore[no-any-return]


def _halving(share: float) -> float:
    return 0.5 ** round(4 * share)


def _scaled(x: torch.Tensor) -> torch.Tensor:
    return 1.1 * x


def _focal(outputs: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    p = (torch.log_softmax(outputs, -1) * target).sum(-1)
    return -((1 - p.exp()) ** 2) * p


_IRIS, _SPECIES = load_iris(return_X_y=True)
_LENGTH = _IRIS @ [1.0, -1.0, 0.5, 0.2]
_CODED = pd.DataFrame(_IRIS, columns=list("abcd")).assign(s=np.array(["u", "v", "w"])[_SPECIES])
_AUGMENTED = {"augment": _scaled, "schedule": _halving}
#: Data, module and recipe.
OWN: dict[str, tuple[Any, Any, Any, dict[str, Any]]] = {
    "two arrays": ((_IRIS[:, :3], _IRIS[:, 3:] * 5), _SPECIES, Joining(4, 3), {}),
    "arrays by name": (
        {"b": (_IRIS * 2).astype(int), "a": _IRIS.reshape(150, 2, 2)},
        _SPECIES,
        Joining(8, 3),
        {},
    ),
    "codes": (_CODED, _LENGTH, Joining(5, 1), {"layout": "codes"}),
    "steps first": (_IRIS.reshape(150, 2, 2), _SPECIES > 0, ByStep(), {"layout": "steps-first"}),
    "a buffer given anew": (_IRIS + 9.0, _SPECIES, Centring(), {"transform": "none"}),
    "loss of classes": (_IRIS, _SPECIES, nn.Linear(4, 3), {"loss": _focal}),
    "loss of a logit": (_IRIS, _SPECIES > 0, nn.Linear(4, 1), {"loss": nn.BCEWithLogitsLoss(), **_AUGMENTED}),
    "loss of counts": (_IRIS, np.round(np.exp(_LENGTH / 2)), nn.Linear(4, 1), {"loss": nn.PoissonNLLLoss()}),
    "loss of differences": (_IRIS, 50 * _LENGTH, nn.Linear(4, 1), {"loss": nn.HuberLoss()}),
    "output": (
        _IRIS,
        _SPECIES,
        Returning(3, lambda out, x: (x, [out])),
        {"output": lambda found: found[1][0]},
    ),
}


@pytest.mark.parametrize("case", OWN)
def test_several_inputs_and_functions_of_the_caller_have_a_place(case: str) -> None:
    X, y, module, given = OWN[case]
    recipe = Recipe(epochs=30, batch_size=200, lr=0.02, **{"schedule": "constant", **given})
    table = make_table(X, y)
    family = ModuleFamily(module, table.facts, recipe=recipe, features=table.X)
    family.prepare(table, [Fold(train=np.arange(0, 150, 2), test=np.arange(1, 150, 2))], seed=0)
    training = family.training(None, n_sample=150, n_rows=150, seed=0)
    advised = Regularizer(l2=1.0, coupling="decoupled")
    functions = {name: value for name, value in given.items() if callable(value)}
    pipeline = build_network(table.facts, advised, training, module=module, functions=functions)
    script = torch_snippet(Pipeline(pipeline.steps[:-1]), table.facts, training=training, regularizer=advised)
    assert "regadvisor" not in script
    own = {"own_loss" if name == "loss" else name: value for name, value in functions.items()}
    names: dict[str, Any] = {"X": X, "y": y, "own": {"module": deepcopy(module), **own}}
    for name in names["own"]:
        script = script.replace(f"\n{name} = ...", f"\n{name} = own[{name!r}]")
    assert "= ..." not in script
    exec(compile(script, "script", "exec"), names)
    found = pipeline.fit(X, y)
    if table.facts.classes:
        np.testing.assert_allclose(names["predict_proba"](X), found.predict_proba(X), atol=2e-3)
    else:
        np.testing.assert_allclose(names["predict"](X), found.predict(X), rtol=5e-3, atol=5e-3)


def test_the_network_for_images_is_written_out() -> None:
    digits = load_digits()
    X, y = digits.images[:80], digits.target[:80]
    advice = regadvisor.advise(X, y, model="cnn", recipe=Recipe(epochs=2), budget=0)
    script = advice.snippet("torch")
    names: dict[str, Any] = {"X": X, "y": y}
    exec(compile(script, "script", "exec"), names)
    assert "regadvisor" not in script
    assert names["predict_proba"](X).shape == (80, 10)
    built = advice.build().fit(X, y)
    assert [each.shape for each in names["module"].parameters()] == [
        each.shape for each in built[-1].module_.parameters()
    ]
