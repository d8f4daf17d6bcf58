"""A training loop around the caller's own module, with the advised penalties and dropout."""

from __future__ import annotations

from regadvisor.adapters.code import READ_ROWS_IMPORT, comment, estimator_code, read_rows
from regadvisor.errors import ParameterError
from regadvisor.families.neural.image_encoding import channels_first, module_preprocessor
from regadvisor.records import DataFacts, Training
from regadvisor.regularizer import Regularizer

_DATA = """\
rows = preprocess.fit_transform(X)
rows = rows.toarray() if hasattr(rows, "toarray") else np.asarray(rows)
features = torch.as_tensor(rows, dtype=torch.float32){shape}
"""

_CLASSES = """\
classes, codes = np.unique(y, return_inverse=True)
target = torch.as_tensor(codes)
loss_of = torch.nn.functional.cross_entropy
"""

_NUMBERS = """\
target = torch.as_tensor((np.asarray(y) - np.mean(y)) / np.std(y), dtype=torch.float32)[:, None]


def loss_of(outputs, target):
    return 0.5 * torch.nn.functional.mse_loss(outputs, target)


"""

_SEVERAL = """\
values = np.asarray(y, dtype=float)
target = torch.as_tensor((values - values.mean(axis=0)) / values.std(axis=0), dtype=torch.float32)


def loss_of(outputs, target):
    return 0.5 * torch.nn.functional.mse_loss(outputs, target)  # mean over rows and targets


"""

_MODULE = """\
module = ...  # yours: rows in, {outputs} out

set_dropout(module, {dropout!r})

"""

_LOOP = """\
batch_size, epochs = {batch_size!r}, {epochs!r}
steps_per_epoch = math.ceil(len(features) / batch_size)
batch = len(features) // steps_per_epoch
optimizer = make_optimizer(
    module,
    optimizer={optimizer!r},
    momentum={momentum!r},
    l1={l1!r},
    l2={l2!r},
    rates=learning_rates(epochs * steps_per_epoch, lr={lr!r}, schedule={schedule!r}),
    coupling={coupling!r},
    clip_norm={clip_norm!r},
    exempt={exempt!r},
    penalised={penalised!r},
)
torch.manual_seed({seed!r})
module.train()
for _ in range(epochs):
    order = torch.randperm(len(features))[: steps_per_epoch * batch]
    for chosen in order.view(steps_per_epoch, batch):
        optimizer.zero_grad()
        loss_of(module(features[chosen]), target[chosen]).backward()
        optimizer.step()
module.eval()
"""


def module_torch_snippet(
    facts: DataFacts, *, training: Training, regularizer: Regularizer, verdict_comment: str = ""
) -> str:
    """Return a script that trains the caller's module on `X` and `y`, which have to exist.

    Parameters
    ----------
    facts : DataFacts
    training : Training
        How to train; see ``ModuleFamily.training``.
    regularizer : Regularizer
        Strengths for the full data.
    verdict_comment : str, optional
        Put on top as a comment.

    Raises
    ------
    StrengthError
        If a strength is unknown.
    ParameterError
        If the recipe had a loss of its own, or the preprocessing has no code.
    """
    if training.has_own_loss:
        raise ParameterError(
            "snippet() must be asked of advice without a loss of your own, which has no code; use "
            "advice.optimizer(module, lr=..., steps=...) in your own loop"
        )
    strengths = {"l1": 0.0, "l2": 0.0, "dropout": 0.0, **regularizer.strengths()}
    code = estimator_code(module_preprocessor(facts, training.transform))
    imports = {
        *code.imports,
        "import math",
        "import numpy as np",
        "import torch",
        "from regadvisor.adapters.torch_dropout import set_dropout",
        "from regadvisor.adapters.torch_optimizers import make_optimizer",
        "from regadvisor.families.neural.schedule import learning_rates",
    }
    imports |= set() if facts.is_plain_y else {READ_ROWS_IMPORT}
    image = channels_first(facts)
    loop = {name: getattr(training, name) for name in ("batch_size", "epochs", "lr", "schedule", "coupling")}
    loop |= {name: getattr(training, name) for name in ("clip_norm", "exempt", "penalised", "seed")}
    head = [*comment(verdict_comment), *sorted(imports, key=lambda line: (line[0] == "f", line))]
    parts = [
        "\n".join([*head, "", f"preprocess = {code.expression}"]) + "\n\n",
        "" if facts.is_plain_y else read_rows(facts.task),
        _DATA.format(shape="" if image is None else f".view(-1, {', '.join(map(str, image))})"),
        _target(facts),
        _MODULE.format(outputs=_outputs(facts), dropout=strengths["dropout"]),
        _LOOP.format(
            **loop,
            l1=strengths["l1"],
            l2=strengths["l2"],
            optimizer=training.optimizer or "adamw",
            momentum=0.9 if training.momentum is None else training.momentum,
        ),
    ]
    return "".join(parts)


def _target(facts: DataFacts) -> str:
    if facts.task != "regression":
        return _CLASSES
    return _NUMBERS if facts.n_targets == 1 else _SEVERAL


def _outputs(facts: DataFacts) -> str:
    if facts.task != "regression":
        return f"{len(facts.classes or ())} logits"
    return "one number" if facts.n_targets == 1 else f"{facts.n_targets} numbers"
