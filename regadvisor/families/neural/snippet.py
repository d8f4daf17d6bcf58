"""The advised network as a plain torch script: the same model as ``build()``, written out."""

from __future__ import annotations

from typing import Any

from regadvisor.adapters.code import READ_ROWS_IMPORT, comment, estimator_code, read_rows
from regadvisor.adapters.torch_module import penalised_names
from regadvisor.errors import ParameterError
from regadvisor.families.neural.trainer import DROPOUT_SEED_OFFSET
from regadvisor.records import Training
from regadvisor.regularizer import Regularizer

_DATA = """\


def encode(rows):
    rows = rows.toarray() if hasattr(rows, "toarray") else rows
    return torch.as_tensor(np.asarray(rows, dtype=np.float32))


features = encode(preprocess.fit_transform(X))
"""

_CLASSES = """\
classes, codes = np.unique(y, return_inverse=True)
target, n_outputs = torch.as_tensor(codes), len(classes)
loss_of = torch.nn.functional.cross_entropy
"""

_NUMBERS = """\
y_mean, y_scale = np.mean(y), np.std(y)
target = torch.as_tensor((np.asarray(y) - y_mean) / y_scale, dtype=torch.float32)[:, None]
n_outputs = 1


def loss_of(outputs, target):
    return 0.5 * torch.nn.functional.mse_loss(outputs, target)

"""

_SEVERAL = """\
values = np.asarray(y, dtype=float)
y_mean, y_scale = values.mean(axis=0), values.std(axis=0)
target = torch.as_tensor((values - y_mean) / y_scale, dtype=torch.float32)
n_outputs = target.shape[1]


def loss_of(outputs, target):
    return 0.5 * torch.nn.functional.mse_loss(outputs, target)  # mean over rows and targets

"""

_NETWORK = """\
generator = torch.Generator().manual_seed(seed)
widths = [features.shape[1], *hidden, n_outputs]
layers = [torch.nn.Linear(n_in, n_out) for n_in, n_out in zip(widths, widths[1:])]
for layer in layers:
    bound = layer.in_features**-0.5
    weight = (2 * torch.rand(layer.in_features, layer.out_features, generator=generator) - 1) * bound
    layer.weight.data = weight.T.contiguous()
    layer.bias.data = (2 * torch.rand(layer.out_features, generator=generator) - 1) * bound
{optimizer}
"""

_ADAMW = """\
optimizer = torch.optim.AdamW(
    [{"params": penalised, "weight_decay": {decay}}, {"params": exempt, "weight_decay": 0.0}], lr=lr
)
"""

_SGD = """\
optimizer = torch.optim.SGD(penalised + exempt, lr=lr, momentum={momentum})
"""

_PENALISED = """\
penalised = [layer.weight for layer in layers]
exempt = [layer.bias for layer in layers]  # no penalty acts on these
"""

_PENALISED_BY_NAME = """\
named = [(f"{2 * k}.{name}", own) for k, layer in enumerate(layers) for name, own in layer.named_parameters()]
names = {names!r}  # as in nn.Sequential(Linear, ReLU, Linear, …)
penalised = [own for name, own in named if name in names]
exempt = [own for name, own in named if name not in names]  # no penalty acts on these
"""

_FORWARD = """\

def forward(x):
    for layer in layers[:-1]:
        x = torch.relu(layer(x))
    return layers[-1](x)

"""

_FORWARD_DROPOUT = """\
noise = torch.Generator().manual_seed(seed + {offset})


def forward(x, is_training=False):
    for layer in layers[:-1]:
        x = torch.relu(layer(x))
        if is_training:
            x = x * (torch.rand(x.shape, generator=noise) >= dropout) / (1 - dropout)
    return layers[-1](x)

"""

_RATE = {
    "flat-cosine": """\
def rate_at(step):  # constant for the first half, then a cosine to zero
    flat = n_steps // 2
    return lr * 0.5 * (1 + math.cos(math.pi * max(0.0, (step - flat) / (n_steps - flat))))
""",
    "cosine": """\
def rate_at(step):  # a cosine to zero
    return lr * 0.5 * (1 + math.cos(math.pi * step / n_steps))
""",
    "constant": """\
def rate_at(step):
    return lr
""",
}

_LOOP = """\

steps_per_epoch = math.ceil(len(features) / batch_size)
batch = len(features) // steps_per_epoch
n_steps = epochs * steps_per_epoch


{rate}

for epoch in range(epochs):
    order = torch.randperm(len(features), generator=generator)[: steps_per_epoch * batch]
    for step, rows in enumerate(order.view(steps_per_epoch, batch), start=epoch * steps_per_epoch):
        rate = rate_at(step)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        loss = loss_of(forward(features[rows]{training}), target[rows])
{penalty}        loss.backward()
{clip}{decay}        optimizer.step()
{soften}"""

_PENALTY_L2 = """\
        loss = loss + l2 / 2 * sum(own.square().sum() for own in penalised)
"""
_PENALTY_L1 = """\
        loss = loss + l1 * sum(own.abs().sum() for own in penalised)
"""
_CLIP = """\
        torch.nn.utils.clip_grad_norm_(penalised + exempt, {clip_norm})
"""
_DECAY = """\
        for own in penalised:  # decoupled L2: the decay of SGD itself is not
            own.data *= 1 - rate * l2
"""
_SOFTEN = """\
        for own in penalised:  # the proximal step of L1: exact zeros
            own.data = own.data - own.data.clamp(-rate * l1, rate * l1)
"""

_PREDICT_CLASSES = """\


def predict_proba(X):
    with torch.no_grad():
        return torch.softmax(forward(encode(preprocess.transform(X))).double(), dim=1).numpy()


def predict(X):
    return classes[predict_proba(X).argmax(axis=1)]
"""

_PREDICT_NUMBERS = """\


def predict(X):
    with torch.no_grad():
        return forward(encode(preprocess.transform(X)))[:, 0].double().numpy() * y_scale + y_mean
"""

_PREDICT_SEVERAL = """\


def predict(X):
    with torch.no_grad():
        return forward(encode(preprocess.transform(X))).double().numpy() * y_scale + y_mean
"""


_MEANING = {
    "decoupled": {
        "l1": "decoupled: w ← soft(w, lr·l1) in every step",
        "l2": "decoupled: w ← (1 − lr·l2)·w in every step",
    },
    "loss": {"l1": "in the loss: l1·Σ|w|", "l2": "in the loss: (l2/2)·Σw²"},
}


def mlp_torch_snippet(
    preprocessor: Any,
    *,
    training: Training,
    regularizer: Regularizer,
    task: str,
    n_classes: int,
    n_targets: int = 1,
    is_plain_y: bool = True,
    verdict_comment: str = "",
) -> str:
    """Return a script that trains the advised network in torch on `X` and `y`, which have to exist.

    It draws the same numbers from the same generators as the estimator of ``build()``, so it gives the same
    model up to rounding. It leaves ``predict(X)`` and, for classes, ``predict_proba(X)``.

    Parameters
    ----------
    preprocessor : transformer
        Unfitted; written as scikit-learn code.
    training : Training
        How to train; see ``MLPFamily.training``.
    regularizer : Regularizer
        Strengths for the full data, in the coupling of `training`.
    task : {"binary", "multiclass", "regression"}
    n_classes : int
        Classes of the data (0 for regression); the script counts those in its own `y`.
    n_targets : int, default 1
        Columns of a numeric `y`.
    is_plain_y : bool, default True
        Whether every row has a target, and as a plain number or label.
    verdict_comment : str, optional
        Put on top as a comment.

    Raises
    ------
    StrengthError
        If a strength is unknown.
    ParameterError
        If the preprocessor holds something that has no code, or the caller's own loss was trained.
    """
    if training.has_own_loss:
        raise ParameterError(
            "snippet('torch') must be asked of advice with a built-in loss, got your own loss function, "
            "whose code is not known; use advice.optimizer() in your own loop"
        )
    target, predict = _CLASSES, _PREDICT_CLASSES
    if task == "regression":
        is_single = n_targets == 1
        target = _NUMBERS if is_single else _SEVERAL
        predict = _PREDICT_NUMBERS if is_single else _PREDICT_SEVERAL
    code = estimator_code(preprocessor)
    needed = {*code.imports, "import math", "import numpy as np", "import torch"}
    needed |= set() if is_plain_y else {READ_ROWS_IMPORT}
    imports = sorted(needed, key=lambda line: (line[0] == "f", line))
    strengths = regularizer.strengths()
    has_dropout = "dropout" in strengths
    forward = _FORWARD_DROPOUT.replace("{offset}", f"{DROPOUT_SEED_OFFSET}") if has_dropout else _FORWARD
    head = [*comment(verdict_comment), *imports, "", f"preprocess = {code.expression}"]
    parts = [
        "\n".join(head) + "\n",
        "" if is_plain_y else read_rows(task),
        _DATA,
        target,
        _settings(training, strengths),
        _NETWORK.replace("{optimizer}\n", _penalised(training) + _optimizer(training)),
        forward,
        _loop(training, strengths),
        predict,
    ]
    return "".join(parts)


def _penalised(training: Training) -> str:
    """Return the lines that part the penalised parameters from the others."""
    if training.penalised is None and not training.exempt:
        return _PENALISED
    by_default = {
        f"{2 * k}.{what}": what == "weight"
        for k in range(len(training.hidden) + 1)
        for what in ("weight", "bias")
    }
    names = penalised_names(by_default, exempt=training.exempt, penalised=training.penalised)
    return _PENALISED_BY_NAME.replace("{names!r}", repr(names))


def _optimizer(training: Training) -> str:
    """Return the lines that make the optimizer."""
    if training.optimizer == "sgd":
        return _SGD.replace("{momentum}", repr(training.momentum))
    return _ADAMW.replace("{decay}", "l2" if training.coupling == "decoupled" else "0.0")


def _loop(training: Training, strengths: dict[str, float]) -> str:
    """Return the training loop, with the penalties where the coupling has them."""
    is_decoupled, is_sgd = training.coupling == "decoupled", training.optimizer == "sgd"
    has_l1, has_l2 = "l1" in strengths, "l2" in strengths
    penalty = (_PENALTY_L2 if has_l2 else "") + (_PENALTY_L1 if has_l1 else "")
    clip = "" if training.clip_norm is None else _CLIP.replace("{clip_norm}", repr(training.clip_norm))
    parts = {
        "{rate}": _RATE[str(training.schedule)],
        "{training}": ", is_training=True" if "dropout" in strengths else "",
        "{penalty}": "" if is_decoupled else penalty,
        "{clip}": clip,
        "{decay}": _DECAY if is_decoupled and is_sgd and has_l2 else "",
        "{soften}": _SOFTEN if is_decoupled and has_l1 else "",
    }
    loop = _LOOP
    for place, code in parts.items():
        loop = loop.replace(place, code)
    return loop


def _settings(training: Training, strengths: dict[str, float]) -> str:
    """Return the lines that set how to train and how strong the regularizer is."""
    meaning = _MEANING[training.coupling]
    lines = [
        f"hidden, lr, batch_size = {training.hidden!r}, {training.lr!r}, {training.batch_size!r}",
        f"epochs, seed = {training.epochs!r}, {training.seed!r}",
        f"l2 = {strengths.get('l2', 0.0)!r}  # {meaning['l2']}",
    ]
    if "l1" in strengths:
        lines.append(f"l1 = {strengths['l1']!r}  # {meaning['l1']}")
    if "dropout" in strengths:
        lines.append(f"dropout = {strengths['dropout']!r}")
    return "\n".join(lines) + "\n\n"
