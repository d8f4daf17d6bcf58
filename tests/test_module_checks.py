"""What is said about a module that does not fit, before anything is trained."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from torch import Tensor, nn
from torch.nn import functional

from regadvisor import DataError, ParameterError, Recipe, advise
from regadvisor.data.source import make_table
from regadvisor.families.neural.image_encoding import ChannelScaler
from regadvisor.families.neural.module.checks import check_parameters
from regadvisor.families.neural.module.dropout import places_of
from regadvisor.families.neural.module.family import ModuleFamily
from regadvisor.families.neural.module.inputs import Inputs
from regadvisor.families.neural.module.source import ModuleSource
from regadvisor.families.neural.module.trial import examine
from regadvisor.models import resolve_model
from regadvisor.records import DataFacts
from regadvisor.regularizer import DROPOUT_KINDS, KINDS

ROWS = torch.randn(20, 8, generator=torch.Generator().manual_seed(0))


def look_at(
    model: Any, *, n_outputs: int = 2, is_classification: bool = True, recipe: Recipe | None = None
) -> Any:
    source = ModuleSource(model=model, inputs=Inputs(n_flat=8), n_outputs=n_outputs)
    return examine(source, ROWS, recipe=recipe or Recipe(), is_classification=is_classification)


class AlwaysDropping(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return functional.dropout(self.layer(x), 0.5)


class SameAgain:
    """A factory that returns one module in every call."""

    def __init__(self) -> None:
        self.module = nn.Linear(8, 2)

    def __call__(self) -> nn.Module:
        return self.module


class TwoInputs(AlwaysDropping):
    def forward(self, u: Tensor, v: Tensor) -> Tensor:  # type: ignore[override]
        return self.layer(u) + v


class Codes(AlwaysDropping):
    def __init__(self) -> None:
        super().__init__()
        self.codes = nn.Embedding(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.codes(x).mean(1)


class Unlimited(AlwaysDropping):
    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) / 0.0


class AsHalf(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.half()


class WithLabels(nn.Linear):
    def __init__(self) -> None:
        super().__init__(8, 2)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:  # type: ignore[override]
        return nn.functional.cross_entropy(super().forward(x), labels)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Linear(9, 2), r"8 encoded features.*takes 9 features, and got shape \(5, 8\).*names n_features"),
        (nn.Linear(8, 5), r"\(rows, 2\) for 2 classes, got \(7, 5\)"),
        (nn.Sequential(nn.Linear(8, 2), nn.Softmax(1)), "logits"),
        (nn.Sequential(nn.Linear(8, 1), nn.Sigmoid()), "logits"),
        (nn.Linear(8, 2).double(), "float32, got torch.float64 in 'weight'; call .float"),
        (nn.Linear(8, 2, dtype=torch.cfloat), "got torch.complex64 in 'weight'; hold real and imaginary"),
        (
            nn.Linear(8, 2, device="meta"),
            "numbers in its parameters, got none in 'weight'.*make it on the CPU",
        ),
        (
            nn.Sequential(nn.Linear(8, 4), nn.Linear(5, 2)),
            r"its layer 1, Linear, takes 5 features, and got shape \(5, 4\)\); the layers before that one",
        ),
        (lambda: 3, "got int from your lambda"),
        (lambda width: nn.Linear(width, 2), "may ask for n_features, n_outputs, input_shape"),
        (nn.Flatten(), "parameters to train"),
        (nn.Dropout(), "got a dropout layer|parameters to train"),
        (AlwaysDropping, "training=self.training"),
        (WithLabels, r"forward\(x\) must return the predictions; the loss goes into Recipe\(loss="),
        (nn.Sequential(nn.Linear(8, 8), nn.Unflatten(1, (2, 2, 2))), r"take it out by Recipe\(output="),
        (TwoInputs, r"TypeError: .*'v'.*; pass several inputs as a dict or a tuple"),
        (Codes, r"FloatTensor.*codes, Embedding, takes 5 different.*\(rows, tokens\) of integers"),
        (
            nn.Sequential(nn.Linear(8, 2), AsHalf()),
            r"return float32, got torch.float16; return outputs.float",
        ),
        (Unlimited, "finite.*, first in the module itself"),
        (SameAgain(), "new module in every call, got the same object twice"),
    ],
)
def test_what_does_not_fit_is_said_with_the_numbers(model: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        look_at(model)


def test_misspelt_patterns_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"got 'wieght'"):
        look_at(nn.Linear(8, 2), recipe=Recipe(exempt=("wieght",)))


def test_one_output_is_enough_for_two_classes_and_right_for_numbers() -> None:
    single = look_at(nn.Linear(8, 1))
    assert single.has_one_logit
    stack = single.stack(single.initial(torch.Generator()), batch=2, loss="log")
    logits = stack.outputs(slice(0, 1), ROWS)[0]
    assert logits.shape == (20, 2)
    assert bool((logits[:, 0] == 0).all())
    assert not look_at(nn.Linear(8, 1), n_outputs=1, is_classification=False).has_one_logit


def test_a_factory_gets_what_its_signature_names() -> None:
    seen: list[dict[str, Any]] = []

    def factory(input_shape: tuple[int, ...], n_outputs: int, width: int = 4) -> nn.Module:
        seen.append({"input_shape": input_shape, "n_outputs": n_outputs, "width": width})
        return nn.Sequential(nn.Linear(input_shape[0], width), nn.Linear(width, n_outputs))

    look_at(factory, n_outputs=5)
    assert seen[0] == {"input_shape": (8,), "n_outputs": 5, "width": 4}

    class Net(nn.Linear):
        def __init__(self, n_features: int, n_outputs: int) -> None:
            super().__init__(n_features, n_outputs)

    assert look_at(Net).source.n_flat == 8


def test_inputs_of_dropout_need_one_axis_for_the_rows() -> None:
    with pytest.raises(ParameterError, match="one axis for the rows"):
        places_of([(5, 5)], [(7, 7)], (5, 7))
    with pytest.raises(ParameterError, match="equally often"):
        places_of([(5, 5)], [], (5, 7))
    (place,) = places_of([(3, 4)], [(3, 4)], (5, 7))
    assert place.fitted(torch.ones(5, 3, 4)).shape == (3, 4)


@pytest.mark.parametrize(("with_dropout", "n_kinds"), [(True, len(KINDS)), (False, len(KINDS) - 3)])
def test_a_module_without_dropout_has_no_dropout_kinds(with_dropout: bool, n_kinds: int) -> None:
    facts = make_table(ROWS.numpy(), np.arange(20) % 2).facts
    layers = [nn.Linear(8, 4), *([nn.Dropout()] if with_dropout else []), nn.Linear(4, 2)]
    for model in (nn.Sequential(*layers), lambda: nn.Sequential(*layers)):
        kinds = ModuleFamily(model, facts).kinds
        assert len(kinds) == n_kinds
        assert (set(DROPOUT_KINDS) <= set(kinds)) == with_dropout


# --------------------------------------------------------------------------------- what model= may be


def facts_of(task: str) -> DataFacts:
    y = np.arange(20) % 2 if task == "binary" else np.linspace(0, 1, 20) ** 2
    return make_table(ROWS.numpy(), y, task=task).facts


@pytest.mark.parametrize(
    ("model", "task", "family"),
    [
        (LogisticRegression(), "binary", "linear"),
        (make_pipeline(StandardScaler(), LogisticRegression()), "binary", "linear"),
        (SGDClassifier(loss="log_loss"), "binary", "linear"),
        (Ridge(), "regression", "linear"),
        (MLPRegressor(), "regression", "fitted"),
        (nn.Linear(8, 2), "binary", "module"),
        (lambda: nn.Linear(8, 1), "regression", "module"),
    ],
)
def test_an_estimator_or_module_finds_its_family(model: Any, task: str, family: str) -> None:
    assert resolve_model(model, facts_of(task), recipe=None, device="cpu").name == family


@pytest.mark.parametrize(
    ("model", "task", "message"),
    [
        (SVC(), "binary", r"got SVC"),
        (Ridge(), "binary", r"model must be a classifier for task='binary', got Ridge"),
        (LogisticRegression(), "regression", r"must be a regressor"),
        ("cnn", "binary", r"images of shape .* got a table of 8 columns"),
        ("random forest", "binary", r"got 'random forest'; its trees have no weights"),
        ("CatBoostClassifier", "binary", r"its trees have no weights"),
        ("Logistic", "binary", r"model=LogisticRegression\(\)"),
        ("Ridge()", "regression", r"model=Ridge\(\)"),
        ("neural network", "binary", r"pass model='mlp'"),
        ("resnet18", "binary", r"pass the model itself, or a function that trains it"),
        (3, "binary", r"got 3; of any other model"),
    ],
)
def test_other_models_are_refused_with_what_is_supported(model: Any, task: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        resolve_model(model, facts_of(task), recipe=None, device="cpu")


def advised_with(loss: Any, y: Any) -> Any:
    X = np.asarray(ROWS)
    return advise(
        X, y[:20], model=lambda n_outputs: nn.Linear(8, n_outputs), recipe=Recipe(loss=loss), budget=5
    )


def test_a_loss_that_is_not_finite_from_the_start_is_named() -> None:
    y = np.linspace(-3.0, 3.0, 20)
    with pytest.raises(ParameterError, match=r"finite numbers, got nan for outputs .* targets from -\d"):
        advised_with(lambda outputs, target: (outputs - target.log()).square(), y)
    with pytest.raises(
        ParameterError, match="finite numbers, got"
    ):  # finite for a constant, not for a network
        advised_with(lambda outputs, target: 1.0 / (outputs.std() == 0).float() + (outputs - target) ** 2, y)


def test_bytes_are_not_mixed_with_shares_of_grey() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, size=(20, 64))
    scaler = ChannelScaler().fit(pixels)
    assert np.isfinite(scaler.transform(np.zeros((3, 64)))).all()
    with pytest.raises(DataError, match=r"pixels from 0 to 255, as those of fit\(\), got pixels from 0 to 1"):
        scaler.transform(pixels / 255)
    with pytest.raises(DataError, match="from 0 to 1, as those"):
        ChannelScaler().fit(pixels / 255).transform(pixels)


def test_an_embedding_with_sparse_gradients_is_trained_as_a_dense_one() -> None:
    def factory(is_sparse: bool) -> nn.Module:
        return nn.Sequential(nn.Embedding(9, 4, sparse=is_sparse), nn.Flatten(), nn.Linear(32, 2))

    tokens, target = torch.arange(40 * 8).reshape(40, 8) % 9, torch.eye(2)[torch.arange(40) % 2]
    found = []
    for is_sparse in (True, False):
        source = ModuleSource(
            model=functools.partial(factory, is_sparse), inputs=Inputs(layout="tokens", n_flat=8), n_outputs=2
        )
        looked_at = examine(source, tokens.float(), recipe=Recipe(), is_classification=True)
        stack = looked_at.stack(looked_at.initial(torch.Generator().manual_seed(0)), batch=40, loss="log")
        stack.compute_gradient(tokens.float()[None], target[None])
        found.append(stack.gradient)
    torch.testing.assert_close(found[0], found[1])
    assert float(found[0].abs().max()) > 0


def test_a_layer_that_is_called_as_a_method_of_torch_is_named() -> None:
    """As `self.parameters = nn.ParameterList(...)`: functional calls find the method."""
    net = nn.Linear(3, 1)
    net.parameters = nn.ParameterList([net.weight])  # type: ignore[assignment]
    with pytest.raises(ParameterError, match="got 'parameters' in Linear; rename it"):
        check_parameters(net)
