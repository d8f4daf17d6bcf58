"""The lines that give a model of one's own a regularizer, by library; none of them needs regadvisor."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from regadvisor.errors import ParameterError
from regadvisor.export.code import estimator_code
from regadvisor.regularizer import Regularizer

_WEIGHTS = "weights = [w for w in module.parameters() if w.ndim >= 2]  # no biases, no norms"


def penalty_lines(regularizer: Regularizer, target: str, *, n_rows: float | None, target_sd: float) -> str:
    """Return the code; see :meth:`regadvisor.Regularizer.snippet`.

    Raises
    ------
    ParameterError
        If there is none for `target`.
    """
    if target == "sklearn":
        return _sklearn(regularizer, n_rows=n_rows, target_sd=target_sd)
    if target not in _LINES:
        known = ", ".join(map(repr, ("sklearn", *_LINES)))
        raise ParameterError(
            f"target must be one of {known}, got {target!r}; others are in docs/conversions.md"
        )
    found = {"l1": 0.0, "l2": 0.0, "dropout": 0.0, **regularizer.strengths()}
    strengths = {name: float(f"{value:.4g}") for name, value in found.items()}  # no more digits matter
    lines = _LINES[target](is_decoupled=regularizer.coupling == "decoupled", **strengths)
    return f"# {regularizer.label}\n" + "\n".join(lines) + "\n"


def _sklearn(regularizer: Regularizer, *, n_rows: float | None, target_sd: float) -> str:
    """Return the models of scikit-learn that have this penalty, on standardised features."""
    from sklearn import linear_model

    found = regularizer.to("sklearn", n_rows=n_rows, target_sd=target_sd)
    name = "Ridge" if not regularizer.l1 else "Lasso" if not regularizer.l2 else "ElasticNet"
    models = [
        linear_model.LogisticRegression(
            **found["LogisticRegression"], max_iter=10_000, **({"solver": "saga"} if regularizer.l1 else {})
        ),
        getattr(linear_model, name)(**found[name]),
    ]
    codes = [estimator_code(model) for model in models]
    return "\n".join(
        [
            f"# {regularizer.label}",
            *sorted(line for code in codes for line in code.imports),
            "from sklearn.pipeline import make_pipeline",
            "from sklearn.preprocessing import StandardScaler",
            "",
            f"classifier = make_pipeline(StandardScaler(), {codes[0].expression})",
            f"regressor = make_pipeline(StandardScaler(), {codes[1].expression})",
            "",
        ]
    )


def _torch(*, l1: float, l2: float, dropout: float, is_decoupled: bool) -> Iterator[str]:
    yield from ("import torch", "")
    if dropout:
        yield "for layer in module.modules():"
        yield "    if isinstance(layer, torch.nn.modules.dropout._DropoutNd):"
        yield f"        layer.p = {dropout}"
    if l1 or l2:
        yield _WEIGHTS
    if is_decoupled and l2:
        yield "others = [w for w in module.parameters() if w.ndim < 2]"
        yield f'decayed = [{{"params": weights, "weight_decay": {l2}}}, {{"params": others}}]'
        yield "optimizer = torch.optim.AdamW(decayed, lr=lr, weight_decay=0.0)"
    else:
        yield "optimizer = torch.optim.Adam(module.parameters(), lr=lr)"
    yield from (
        "",
        "for rows, target in batches:",
        "    optimizer.zero_grad()",
        "    loss = loss_of(module(rows), target)",
    )
    if not is_decoupled and l2:
        yield f"    loss = loss + {l2} / 2 * sum(w.square().sum() for w in weights)"
    if not is_decoupled and l1:
        yield f"    loss = loss + {l1} * sum(w.abs().sum() for w in weights)"
    yield from ("    loss.backward()", "    optimizer.step()")
    if is_decoupled and l1:
        yield "    with torch.no_grad():  # L1: exact zeros"
        yield "        for w in weights:"
        yield f"            w -= w.clamp(-lr * {l1}, lr * {l1})"


def _keras(*, l1: float, l2: float, dropout: float, is_decoupled: bool) -> Iterator[str]:
    yield from ("import keras", "")
    layer = "keras.layers.Dense(64, 'relu')"
    if is_decoupled:
        decay = f", weight_decay={l2}" if l2 else ""
        yield f"optimizer = keras.optimizers.Adam(lr{decay})"
        if l2:
            yield 'optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta", "embeddings"])'
        if l1:
            yield from ("", "", "class Soft(keras.constraints.Constraint):  # L1: exact zeros")
            yield "    def __call__(self, w):"
            yield f"        threshold = optimizer.learning_rate * {l1}"
            yield "        return keras.ops.sign(w) * keras.ops.relu(keras.ops.abs(w) - threshold)"
            yield from ("", "")
            layer = "keras.layers.Dense(64, 'relu', kernel_constraint=Soft())"
    elif l1 or l2:
        yield f"penalty = keras.regularizers.L1L2(l1={l1}, l2={l2} / 2)"
        layer = "keras.layers.Dense(64, 'relu', kernel_regularizer=penalty)"
    if l1 or l2:
        yield "# Every Dense, Conv and recurrent layer of your model:"
    yield f"layers = [{layer}{f', keras.layers.Dropout({dropout})' if dropout else ''}]"


def _skorch(*, l1: float, l2: float, dropout: float, is_decoupled: bool) -> Iterator[str]:
    yield from ("import skorch", "import torch", "")
    optimizer = "AdamW" if is_decoupled else "Adam"
    if dropout:
        yield "for layer in module.modules():"
        yield "    if isinstance(layer, torch.nn.modules.dropout._DropoutNd):"
        yield f"        layer.p = {dropout}"
    yield "names = [name for name, w in module.named_parameters() if w.ndim >= 2]  # no biases, no norms"
    if l1:
        yield from ("", "", "class L1(skorch.callbacks.Callback):")
        if is_decoupled:
            yield "    def on_batch_end(self, net, training, **kwargs):"
            yield '        threshold = net.optimizer_.param_groups[0]["lr"] * ' + str(l1)
            yield "        for name, w in net.module_.named_parameters() if training else ():"
        else:
            yield "    def on_grad_computed(self, net, named_parameters, **kwargs):"
            yield "        for name, w in named_parameters:"
        yield "            if name in names:"
        if is_decoupled:
            yield "                w.data -= w.data.clamp(-threshold, threshold)  # exact zeros"
        else:
            yield f"                w.grad += {l1} * w.data.sign()"
        yield from ("", "")
    yield "net = skorch.NeuralNetClassifier("
    yield "    module,"
    yield "    criterion=torch.nn.CrossEntropyLoss,"
    yield f"    optimizer=torch.optim.{optimizer},"
    yield f'    optimizer__param_groups=[(name, {{"weight_decay": {l2}}}) for name in names],'
    yield "    optimizer__weight_decay=0.0,"
    yield from (("    callbacks=[L1()],",) if l1 else ())
    yield ")"


def _jax(*, l1: float, l2: float, dropout: float, is_decoupled: bool) -> Iterator[str]:
    yield from ("import jax", "import optax", "", "")
    yield "def is_weight(params):  # no biases, no norms"
    yield "    return jax.tree.map(lambda w: w.ndim >= 2, params)"
    yield from ("", "")
    if is_decoupled:
        yield f"optimizer = optax.adamw(lr, weight_decay={l2}, mask=is_weight)"
    else:
        yield f"optimizer = optax.chain(optax.add_decayed_weights({l2}, mask=is_weight), optax.adam(lr))"
    if l1 and is_decoupled:
        yield from (
            "",
            "",
            "def soften(w):  # after optax.apply_updates: params = jax.tree.map(soften, params)",
        )
        yield f"    return w - jax.numpy.clip(w, -lr * {l1}, lr * {l1}) if w.ndim >= 2 else w"
    elif l1:
        yield from ("", "", "def penalty(params):  # add it to your loss")
        yield f"    return {l1} * sum(abs(w).sum() for w in jax.tree.leaves(params) if w.ndim >= 2)"
    if dropout:
        yield f"# Dropout: flax.nnx.Dropout({dropout}, rngs=rngs) after hidden layers"


_LINES: dict[str, Callable[..., Iterator[str]]] = {
    "torch": _torch,
    "keras": _keras,
    "skorch": _skorch,
    "jax": _jax,
}
