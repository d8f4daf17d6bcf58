"""The advised linear model as a torch script: the same model, written out."""

from __future__ import annotations

from typing import Any

from regadvisor.adapters.code import READ_ROWS_IMPORT, comment, estimator_code, read_rows

_DATA = """\
A = preprocess.fit_transform(X)
A = torch.tensor(A.toarray() if hasattr(A, "toarray") else np.asarray(A), dtype=torch.float64)
center = A.mean(0)  # the bias is not penalised, so this only speeds things up
A = A - center
"""

_TARGET = {
    "regression": """\
y_mean, y_sd = float(np.mean(y)), float(np.std(y))
target = torch.tensor((np.asarray(y) - y_mean) / y_sd, dtype=torch.float64)[:, None]
n_outputs, curvature = 1, 1.0


def loss_of(z):
    return 0.5 * torch.nn.functional.mse_loss(z, target)
""",
    "several": """\
values = np.asarray(y, dtype=float)
y_mean, y_sd = values.mean(axis=0), values.std(axis=0)
target = torch.tensor((values - y_mean) / y_sd, dtype=torch.float64)
n_outputs, curvature = target.shape[1], 1.0


def loss_of(z):  # mean over rows, sum over targets: the penalty is of each target's own weights
    return 0.5 * torch.nn.functional.mse_loss(z, target) * n_outputs
""",
    "binary": """\
classes, codes = np.unique(y, return_inverse=True)
target = torch.tensor(codes, dtype=torch.float64)[:, None]
n_outputs, curvature = 1, 0.25


def loss_of(z):
    return torch.nn.functional.binary_cross_entropy_with_logits(z, target)
""",
    "multiclass": """\
classes, codes = np.unique(y, return_inverse=True)
target = torch.tensor(codes)
n_outputs, curvature = len(classes), 0.5


def loss_of(z):
    return torch.nn.functional.cross_entropy(z, target)
""",
}

_LAYER = """\
layer = torch.nn.Linear(A.shape[1], n_outputs, dtype=torch.float64)
torch.nn.init.zeros_(layer.weight)
torch.nn.init.zeros_(layer.bias)
"""

_SMOOTH = """\
optimizer = torch.optim.LBFGS(
    layer.parameters(), max_iter=20_000, tolerance_grad=1e-7, tolerance_change=1e-14,
    history_size=50, line_search_fn="strong_wolfe",
)


def closure():
    optimizer.zero_grad()
    loss = loss_of(layer(A)) + l2 / 2 * layer.weight.square().sum()  # the bias is not penalised
    loss.backward()
    return loss


optimizer.step(closure)
"""

_PROXIMAL = """\
# Accelerated proximal gradient: gives exact zeros, which a plain optimizer does not.
L = curvature * float(torch.linalg.matrix_norm(A, 2)) ** 2 / len(A) or 1.0
W, b, t = layer.weight.detach().clone(), layer.bias.detach().clone(), 1.0
V, c = W, b
for _ in range(100_000):
    V, c = V.requires_grad_(), c.requires_grad_()
    grad_V, grad_c = torch.autograd.grad(loss_of(A @ V.T + c), (V, c))
    with torch.no_grad():
        step = V - grad_V / L
        W_new = step.sign() * (step.abs() - l1 / L).clamp(min=0) / (1 + l2 / L)
        b_new = c - grad_c / curvature  # the bias is not penalised
        if max(float((W_new - V).abs().max()) * L, float(grad_c.abs().max())) < 1e-7:
            break
        if float(((V - W_new) * (W_new - W)).sum()) > 0:  # momentum points uphill: forget it
            t = 1.0
        t_new = (1 + (1 + 4 * t * t) ** 0.5) / 2
        V, c = W_new + (t - 1) / t_new * (W_new - W), b_new + (t - 1) / t_new * (b_new - b)
        W, b, t = W_new, b_new, t_new
with torch.no_grad():
    layer.weight.copy_(W_new)
    layer.bias.copy_(b_new)
"""

_SCORES = """\


def scores(X_new):
    A_new = preprocess.transform(X_new)
    A_new = torch.tensor(
        A_new.toarray() if hasattr(A_new, "toarray") else np.asarray(A_new), dtype=torch.float64
    )
    with torch.no_grad():
        return layer(A_new - center)
"""

_PREDICT = {
    "regression": """\


def predict(X_new):
    return y_mean + y_sd * scores(X_new)[:, 0].numpy()
""",
    "several": """\


def predict(X_new):
    return y_mean + y_sd * scores(X_new).numpy()
""",
    "binary": """\


def predict_proba(X_new):
    p = torch.sigmoid(scores(X_new)).numpy()
    return np.hstack([1 - p, p])


def predict(X_new):
    return classes[predict_proba(X_new).argmax(1)]
""",
    "multiclass": """\


def predict_proba(X_new):
    return torch.softmax(scores(X_new), dim=1).numpy()


def predict(X_new):
    return classes[predict_proba(X_new).argmax(1)]
""",
}


def linear_torch_snippet(
    preprocessor: Any,
    *,
    task: str,
    l1: float,
    l2: float,
    n_classes: int,
    n_targets: int = 1,
    is_plain_y: bool = True,
    verdict_comment: str = "",
) -> str:
    """Return a script that trains the advised linear model in torch on `X` and `y`, which have to exist.

    Full batch, float64, to convergence: L-BFGS without L1, accelerated proximal gradient with it. It
    leaves ``predict(X_new)`` and, for classes, ``predict_proba(X_new)``.

    Parameters
    ----------
    preprocessor : transformer
        Unfitted; written as scikit-learn code.
    task : {"binary", "multiclass", "regression"}
    l1, l2 : float
        Strengths for standardised features and a standardised target.
    n_classes : int
        Number of classes (0 for regression); two classes share one weight vector.
    n_targets : int, default 1
        Columns of a numeric `y`.
    is_plain_y : bool, default True
        Whether every row has a target, and as a plain number or label.
    verdict_comment : str, optional
        Put on top as a comment.

    Raises
    ------
    ParameterError
        If the preprocessor holds something that has no code.
    """
    form = "binary" if n_classes == 2 else "multiclass"
    if task == "regression":
        form = "regression" if n_targets == 1 else "several"
    code = estimator_code(preprocessor)
    needed = {*code.imports, "import numpy as np", "import torch"} | (
        set() if is_plain_y else {READ_ROWS_IMPORT}
    )
    imports = sorted(needed, key=lambda line: (line[0] == "f", line))
    head = "\n".join([*comment(verdict_comment), *imports, "", f"preprocess = {code.expression}", ""])
    strengths = f"l1, l2 = {l1!r}, {l2!r}  # mean loss + l1·Σ|w| + (l2/2)·Σw²\n"
    fit = _PROXIMAL if l1 > 0 else _SMOOTH
    reading = [] if is_plain_y else [read_rows(task)]
    body = [*reading, _DATA, strengths, _TARGET[form], "", _LAYER, fit, _SCORES, _PREDICT[form]]
    return head + "\n".join(part.rstrip("\n") if part else "" for part in body).rstrip() + "\n"
