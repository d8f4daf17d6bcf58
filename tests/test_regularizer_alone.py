"""A regularizer without an advice: applied, as an optimizer, and as lines that run without regadvisor."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
import torch
from minimiser import minimiser
from sklearn.datasets import make_classification, make_regression
from sklearn.linear_model import ElasticNet, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from regadvisor import MissingDependencyError, ParameterError, Regularizer, StrengthError, advise
from regadvisor.errors import import_optional

X, CODES = make_classification(200, 6, random_state=0)
FEATURES = StandardScaler().fit_transform(X)
REGULARIZERS = {
    "l2 decoupled": Regularizer(l2=2.0, coupling="decoupled"),
    "l1+l2 decoupled": Regularizer(l1=0.5, l2=2.0, coupling="decoupled"),
    "l2 in the loss": Regularizer(l2=0.1),
    "l1+l2 in the loss": Regularizer(l1=0.01, l2=0.1),
}


def network(rate: float = 0.0) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.LayerNorm(8), nn.ReLU(), nn.Dropout(rate), nn.Linear(8, 2))


def test_estimators_get_the_strengths() -> None:
    X, y = make_regression(120, 5, noise=20.0, random_state=0)
    features, sd = StandardScaler().fit_transform(X), y.std()
    w, _ = minimiser(features, (y - y.mean()) / sd, l1=0.1, l2=0.2)
    given = make_pipeline(StandardScaler(), ElasticNet(tol=1e-12))
    model = Regularizer(l1=0.1, l2=0.2).apply(given, n_rows=120, target_sd=sd).fit(X, y)
    np.testing.assert_allclose(model[-1].coef_, sd * w, atol=1e-4)
    assert given[-1].alpha == 1.0
    w, _ = minimiser(FEATURES, CODES, l1=0.0, l2=0.2, is_logistic=True)
    search = GridSearchCV(LogisticRegression(tol=1e-10), {"C": [1, 10]})  # ends in what is searched
    model = Regularizer(l2=0.2).apply(search, n_rows=200).fit(FEATURES, CODES)
    np.testing.assert_allclose(model.coef_[0], w, atol=1e-5)


def test_a_module_gets_the_dropout_and_its_optimizer_the_penalty() -> None:
    module = network(0.5)
    assert Regularizer(dropout=0.2).apply(module)[3].p == 0.2
    assert module[3].p == 0.5
    # One step of SGD, by hand: w - lr (g + l2 w + l1 sign w).
    regularizer = Regularizer(l1=0.01, l2=0.1)
    step = regularizer.optimizer(module, lr=0.5, optimizer="sgd", momentum=0.0)
    before = [own.detach().clone() for own in module.parameters()]
    nn.functional.cross_entropy(
        module.eval()(torch.as_tensor(FEATURES).float()), torch.as_tensor(CODES)
    ).backward()
    slopes = [own.grad.clone() for own in module.parameters()]
    step.step()
    for own, start, slope in zip(module.parameters(), before, slopes, strict=True):
        penalty = 0.1 * start + 0.01 * start.sign() if own.ndim > 1 else 0.0
        torch.testing.assert_close(own.detach(), start - 0.5 * (slope + penalty))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Regularizer(l2=0.1).apply(Ridge()), r"n_rows must be .*apply\(estimator, n_rows=len\(X\)\)"),
        (lambda: Regularizer(l2=0.1).apply(Ridge(), n_rows="all"), "n_rows must be a finite number above 0"),
        (lambda: Regularizer(l2="0.1"), "l2 must be a finite number of at least 0 or None, got '0.1'"),
        (lambda: Regularizer(dropout=0.1).apply(Ridge(), n_rows=9), "target must be a network for dropout"),
        (lambda: REGULARIZERS["l2 decoupled"].apply(Ridge(), n_rows=9), "coupling must be 'loss'"),
        (lambda: Regularizer(l2=0.1).apply(3), "target must be a scikit-learn estimator, .* got int"),
        (
            lambda: Regularizer(l2=0.1).optimizer(Ridge(), lr=1.0),
            "module must be a torch.nn.Module, got Ridge",
        ),
        (lambda: Regularizer(l2=0.1).optimizer(network(), lr=-1.0), "lr must be a positive"),
        (lambda: Regularizer(l2=0.1).snippet("mxnet"), "target must be one of 'sklearn', 'torch'.*'mxnet'"),
    ],
)
def test_what_it_cannot_do(call: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        call()


def test_unknown_strengths_go_nowhere() -> None:
    for use in (lambda own: own.apply(network()), lambda own: own.snippet("torch")):
        with pytest.raises(StrengthError):
            use(Regularizer.unknown("l2"))


def test_the_advised_regularizer_is_one() -> None:
    advice = advise(X, CODES, model="linear", budget=0)
    C = advice.regularizer.to("sklearn", n_rows=200)["LogisticRegression"]["C"]
    assert pytest.approx(C) == advice.build()[-1].C


# ------------------------------------------------------------------------------------------------- lines


@pytest.mark.parametrize("name", REGULARIZERS)
def test_lines_for_torch_train_what_our_optimizer_trains(name: str) -> None:
    regularizer, target = REGULARIZERS[name], torch.as_tensor(CODES)
    code = regularizer.snippet("torch")
    assert "regadvisor" not in code
    assert len(code.splitlines()) <= 18
    rows, module = torch.as_tensor(FEATURES, dtype=torch.float32), network()
    loss_of = nn.functional.cross_entropy
    space = {"module": module, "lr": 0.01, "batches": [(rows, target)] * 6, "loss_of": loss_of}
    exec(compile(code, "lines", "exec"), space)
    ours = network()
    step = regularizer.optimizer(ours, lr=0.01)
    for _ in range(6):
        step.zero_grad()
        loss_of(ours(rows), target).backward()
        step.step()
    for mine, theirs in zip(ours.parameters(), module.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-4)


def test_lines_for_torch_set_the_dropout() -> None:
    space = {"module": network(0.5), "lr": 0.01, "batches": []}
    exec(compile(Regularizer(l2=0.1, dropout=0.2).snippet("torch"), "lines", "exec"), space)
    assert space["module"][3].p == 0.2  # type: ignore[index]


@pytest.mark.parametrize("name", ["l2 in the loss", "l1+l2 in the loss"])
def test_lines_for_scikit_learn_are_at_the_minimum(name: str) -> None:
    regularizer = REGULARIZERS[name]
    space: dict[str, Any] = {}
    exec(compile(regularizer.snippet("sklearn", n_rows=200), "lines", "exec"), space)
    w, _ = minimiser(FEATURES, CODES, l1=regularizer.l1, l2=regularizer.l2, is_logistic=True)
    np.random.seed(0)  # noqa: NPY002 (SAGA draws rows from there)
    np.testing.assert_allclose(space["classifier"].fit(X, CODES)[-1].coef_[0], w, atol=1e-3)
    y = (CODES - CODES.mean()) / CODES.std()
    w, _ = minimiser(FEATURES, y, l1=regularizer.l1, l2=regularizer.l2)
    np.testing.assert_allclose(space["regressor"].fit(X, y)[-1].coef_, w, atol=5e-4)


@pytest.mark.parametrize("name", REGULARIZERS)
def test_lines_for_skorch(name: str) -> None:
    pytest.importorskip("skorch", reason="skorch is not installed")
    regularizer, module = REGULARIZERS[name], network()
    space: dict[str, Any] = {"module": module}
    exec(compile(regularizer.snippet("skorch"), "lines", "exec"), space)
    net = space["net"].set_params(lr=0.01, max_epochs=6, batch_size=-1, train_split=None, verbose=0)
    rows = FEATURES.astype(np.float32)
    net.fit(rows, CODES.astype(np.int64))
    ours = network()
    step = regularizer.optimizer(ours, lr=0.01)
    for _ in range(6):
        step.zero_grad()
        nn.functional.cross_entropy(ours(torch.as_tensor(rows)), torch.as_tensor(CODES)).backward()
        step.step()
    for mine, theirs in zip(ours.parameters(), net.module_.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("library", ["torch", "skorch"])
def test_lines_leave_alone_what_our_optimizer_leaves_alone(library: str) -> None:
    """Frozen weights, embeddings and norms stay as they are, where nothing but a penalty moves weights."""
    pytest.importorskip(library, reason=f"{library} is not installed")

    class Looked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.frozen, self.last = nn.Embedding(5, 4), nn.Linear(4, 4), nn.Linear(4, 2)
            self.bag, self.norm = nn.EmbeddingBag(5, 4), nn.LayerNorm((3, 4))
            self.frozen.requires_grad_(False)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(self.frozen(self.norm(self.table(x)).mean(1) + self.bag(x)))

    torch.manual_seed(0)
    module, target = Looked(), torch.zeros(6, dtype=torch.int64)
    before = {name: own.detach().clone() for name, own in module.named_parameters()}
    rows = torch.zeros(6, 3, dtype=torch.int64)
    space: dict[str, Any] = {
        "module": module,
        "lr": 1e-9,
        "batches": [(rows, target)] * 3,
        "loss_of": nn.functional.cross_entropy,
    }
    regularizer = Regularizer(l1=1e6, l2=1e7, coupling="decoupled")
    exec(compile(regularizer.snippet(library), "lines", "exec"), space)
    if library == "skorch":
        net = space["net"].set_params(lr=1e-9, max_epochs=3, train_split=None, verbose=0)
        net.fit(rows.numpy(), target.numpy())
        module = net.module_
    for name, own in module.named_parameters():
        is_moved = float((own.detach() - before[name]).abs().max()) > 1e-5
        assert is_moved == (name == "last.weight"), name


@pytest.mark.parametrize("name", REGULARIZERS)
def test_lines_for_keras(name: str) -> None:
    keras = pytest.importorskip("keras", reason="Keras is not installed")
    regularizer = REGULARIZERS[name]
    space: dict[str, Any] = {"lr": 0.01}
    exec(compile(regularizer.snippet("keras"), "lines", "exec"), space)
    inputs = keras.Input((6,))
    model = keras.Sequential([inputs, space["layers"][0]])
    optimizer = space.get("optimizer", keras.optimizers.Adam(0.01))
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    start = model.layers[0].kernel.value.detach().clone()
    penalty = sum(loss.detach() for loss in model.losses) if model.losses else 0.0
    in_loss = regularizer.coupling == "loss"
    wanted = (
        regularizer.l1 * start.abs().sum() + regularizer.l2 / 2 * start.square().sum() if in_loss else 0.0
    )
    assert float(penalty) == pytest.approx(float(wanted), rel=1e-5)
    if not in_loss:
        # A step without a gradient only shrinks: soft((1 - lr l2) w, lr l1), and leaves biases alone.
        weights = model.trainable_variables
        optimizer.apply([keras.ops.zeros(w.shape) for w in weights], weights)
        kept = (1 - 0.01 * regularizer.l2) * start
        soft = kept.sign() * (kept.abs() - 0.01 * regularizer.l1).clamp(min=0)
        torch.testing.assert_close(model.layers[0].kernel.value.detach(), soft, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("name", REGULARIZERS)
def test_lines_for_jax(name: str) -> None:
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    optax = pytest.importorskip("optax", reason="Optax is not installed")
    regularizer, lr = REGULARIZERS[name], 0.01
    space: dict[str, Any] = {"lr": lr}
    exec(compile(regularizer.snippet("jax"), "lines", "exec"), space)
    layer = nn.Linear(6, 2)
    params = {
        "w": jax.numpy.array(layer.weight.detach().numpy()),
        "b": jax.numpy.array(layer.bias.detach().numpy()),
    }
    slopes = {key: jax.numpy.ones_like(value) for key, value in params.items()}

    def loss(own: Any) -> Any:
        plain = sum((own[key] * slopes[key]).sum() for key in own)
        return plain + (space["penalty"](own) if "penalty" in space else 0.0)

    state, step = space["optimizer"].init(params), regularizer.optimizer(layer, lr=lr)
    for _ in range(4):
        updates, state = space["optimizer"].update(jax.grad(loss)(params), state, params)
        params = optax.apply_updates(params, updates)
        params = jax.tree.map(space["soften"], params) if "soften" in space else params
        step.zero_grad()
        (layer.weight.sum() + layer.bias.sum()).backward()
        step.step()
    np.testing.assert_allclose(params["w"], layer.weight.detach(), atol=1e-5)
    np.testing.assert_allclose(params["b"], layer.bias.detach(), atol=1e-5)


# ----------------------------------------------------------------------------------- libraries not there


@pytest.mark.parametrize("library", ["keras", "skorch"])
def test_a_library_that_is_not_there_is_named(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    model = type("Model", (), {"__module__": f"{library}.models"})()
    words = rf"{library} must be installed for .*pip install 'regadvisor\[{library}\]'"
    with pytest.raises(MissingDependencyError, match=words):
        Regularizer(l2=0.1).apply(model)
    with pytest.raises(MissingDependencyError, match=words):
        advise(X, CODES, model=model)
    # The code for it needs nothing.
    assert f"import {library}" in Regularizer(l2=0.1).snippet(library)  # type: ignore[arg-type]
    with pytest.raises(MissingDependencyError):
        import_optional(library, extra=library, purpose="a test")


@pytest.mark.parametrize(
    ("name", "usual"),
    [("torch", "pytorch"), ("PyTorch", "pytorch"), ("jax", "jax/optax"), ("scikit-learn", "sklearn")],
)
def test_libraries_are_known_by_all_their_names(name: str, usual: str) -> None:
    regularizer = Regularizer(l2=0.1)
    assert regularizer.to(name, n_rows=10) == regularizer.to(usual, n_rows=10)
    assert regularizer.snippet(name, n_rows=10) == regularizer.snippet(usual, n_rows=10)
    with pytest.raises(ParameterError, match="target must be one of"):
        regularizer.to("caffe")


def test_no_regularizer_is_the_same_for_linear_models_whichever_way_it_was_coupled() -> None:
    of_network, usual = Regularizer(coupling="decoupled"), Regularizer()
    assert of_network.to("sklearn", n_rows=100) == usual.to("sklearn", n_rows=100)
    assert of_network.snippet("sklearn", n_rows=100) == usual.snippet("sklearn", n_rows=100)
