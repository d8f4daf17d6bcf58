"""The advised network as a plain torch script: the same model as ``build()``, written out."""

from __future__ import annotations

from typing import Any

from regadvisor.adapters.code import comment, estimator_code
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

_NETWORK = """\
generator = torch.Generator().manual_seed(seed)
widths = [features.shape[1], *hidden, n_outputs]
layers = [torch.nn.Linear(n_in, n_out) for n_in, n_out in zip(widths, widths[1:])]
for layer in layers:
    bound = layer.in_features**-0.5
    weight = (2 * torch.rand(layer.in_features, layer.out_features, generator=generator) - 1) * bound
    layer.weight.data = weight.T.contiguous()
    layer.bias.data = (2 * torch.rand(layer.out_features, generator=generator) - 1) * bound
optimizer = torch.optim.AdamW(
    [
        {"params": [layer.weight for layer in layers], "weight_decay": l2},
        {"params": [layer.bias for layer in layers], "weight_decay": 0.0},  # biases are exempt
    ],
    lr=lr,
)

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
        loss_of(forward(features[rows]{training}), target[rows]).backward()
        optimizer.step()
"""

_SOFTEN = """\
        for layer in layers:  # the proximal step of L1: exact zeros
            weight = layer.weight.data
            layer.weight.data = weight - weight.clamp(-rate * l1, rate * l1)
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


def mlp_torch_snippet(
    preprocessor: Any,
    *,
    training: Training,
    regularizer: Regularizer,
    task: str,
    n_classes: int,
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
        Strengths for the full data, coupling "decoupled".
    task : {"binary", "multiclass", "regression"}
    n_classes : int
        Classes of the data (0 for regression); the script counts those in its own `y`.
    verdict_comment : str, optional
        Put on top as a comment.

    Raises
    ------
    StrengthError
        If a strength is unknown.
    ParameterError
        If the preprocessor holds something that has no code.
    """
    is_regression = task == "regression"
    code = estimator_code(preprocessor)
    needed = {*code.imports, "import math", "import numpy as np", "import torch"}
    imports = sorted(needed, key=lambda line: (line[0] == "f", line))
    strengths = regularizer.strengths()
    has_l1, has_dropout = "l1" in strengths, "dropout" in strengths
    forward = _FORWARD_DROPOUT.replace("{offset}", f"{DROPOUT_SEED_OFFSET}") if has_dropout else _FORWARD
    loop = _LOOP.replace("{rate}", _RATE[str(training.schedule)])
    loop = loop.replace("{training}", ", is_training=True" if has_dropout else "")
    head = [*comment(verdict_comment), *imports, "", f"preprocess = {code.expression}"]
    parts = [
        "\n".join(head) + "\n",
        _DATA,
        _NUMBERS if is_regression else _CLASSES,
        _settings(training, strengths),
        _NETWORK,
        forward,
        loop + (_SOFTEN if has_l1 else ""),
        _PREDICT_NUMBERS if is_regression else _PREDICT_CLASSES,
    ]
    return "".join(parts)


def _settings(training: Training, strengths: dict[str, float]) -> str:
    """Return the lines that set how to train and how strong the regularizer is."""
    lines = [
        f"hidden, lr, batch_size = {training.hidden!r}, {training.lr!r}, {training.batch_size!r}",
        f"epochs, seed = {training.epochs!r}, {training.seed!r}",
        f"l2 = {strengths.get('l2', 0.0)!r}  # decoupled: w ← (1 − lr·l2)·w in every step",
    ]
    if "l1" in strengths:
        lines.append(f"l1 = {strengths['l1']!r}  # decoupled: w ← soft(w, lr·l1) in every step")
    if "dropout" in strengths:
        lines.append(f"dropout = {strengths['dropout']!r}")
    return "\n".join(lines) + "\n\n"
