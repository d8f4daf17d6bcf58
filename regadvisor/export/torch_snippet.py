"""The advised model as a script for torch, Keras or skorch: one template each."""

from __future__ import annotations

from typing import Any, Literal

from regadvisor.errors import ParameterError
from regadvisor.export.build import function_names, recipe_of
from regadvisor.export.code import comment, estimator_code, rendered, unnamed
from regadvisor.records import DataFacts, Training
from regadvisor.regularizer import Regularizer
from regadvisor.words import counted

_LIBRARIES = {"torch": ("torch",), "keras": ("keras",), "skorch": ("skorch", "torch")}
_MEANING = {
    "decoupled": {
        "l1": "decoupled: w ← soft(w, lr·l1) in every step",
        "l2": "decoupled: w ← (1 − lr·l2)·w in every step",
    },
    "loss": {"l1": "in the loss: l1·Σ|w|", "l2": "in the loss: (l2/2)·Σw²"},
}


#: Functions that a recipe may have, and what they are.
_YOURS = {
    "loss": "of outputs and target, both (rows, outputs; codes of classes: target.argmax(1)): a number for "
    "each row, or their mean",
    "schedule": "share of the steps that is done → factor of lr",
    "augment": "a batch as the module gets it → one of the same shape",
    "output": "what the module returns → its prediction",
}


def torch_snippet(
    preprocessor: Any,
    facts: DataFacts,
    *,
    training: Training,
    regularizer: Regularizer,
    verdict_comment: str = "",
    library: Literal["torch", "keras", "skorch"] = "torch",
) -> str:
    """Return a script that trains the advised model on `X` and `y`, which have to exist.

    It leaves ``predict(X)`` and, for classes, ``predict_proba(X)``. A linear model is fitted in float64 to
    convergence, by L-BFGS without L1 and by accelerated proximal gradient with it. Our network draws the same
    numbers from the same generators as the estimator of ``build()``, so it is the same model up to rounding.
    For a module of your own, the script is a loop around it. Where the advice is for weights, the array
    ``sample_weight`` has to exist, too. Keras and skorch train the same network by the
    same recipe, from starting values and in an order of their own. No script needs regadvisor, unless `y` has
    to be read as ``advise`` reads it.
    """
    _check(training, facts, library)
    code = estimator_code(preprocessor if training.estimator is not None else unnamed(preprocessor))
    is_linear = training.family == "linear"
    n_classes, shape = len(facts.classes or ()), training.output_shape
    is_one_number = shape is not None and shape[-1:] in ((), (1,))  # of a row
    values: dict[str, Any] = {
        "head": "\n".join([*comment(verdict_comment), *_imports(facts, training, code.imports, library)]),
        "preprocess": code.expression,
        "definitions": code.before,
        "facts": facts,
        "training": training,
        "is_regression": facts.task == "regression" and not training.block_sizes,
        "has_one_logit": n_classes == 2 and (is_linear or is_one_number),
        "dtype": "float64" if is_linear else "float32",
        "is_decoupled": training.coupling == "decoupled",
        "meaning": _MEANING[training.coupling],
        "momentum": 0.9 if training.momentum is None else training.momentum,
        "optimizer_options": "",
        "shaping": "",
        "yours": {name: _YOURS[name] for name in function_names(training)},
        "heads": "",
        "is_flat": False,
        "drops": False,
        "layers": (),
        "n_heads": 1,
        "l1": 0.0,
        "l2": 0.0,
        "dropout": 0.0,
        **regularizer.strengths(),
    }
    if training.family != "linear":
        values["rows_per_step"] = (training.batch_size or 1) * training.accumulate
        values["betas"] = training.betas
    if training.family == "mlp":
        values |= _network(training)
    if library == "keras":
        values["optimizer_options"] = _keras_options(training, has_decay=bool(values["l2"]))
    if training.family == "module":
        shaping, called = _shaping(training, facts, library)
        values["layers"] = _layers(facts, training) if training.module == "cnn" else ()
        values |= {**_returned(training, facts), "names": _names(training)}
        values |= {"shaping": shaping, "called": called}
        values["drops"] = training.audit is None or any(each.is_set for each in training.audit.dropout)
    return rendered(f"{library}.py.jinja", **values)


def _check(training: Training, facts: DataFacts, library: str) -> None:
    """Raise where no script of this library trains the advised model."""
    functions = function_names(training)
    if functions and library != "torch":
        raise ParameterError(
            f"snippet({library!r}) must be asked of advice without functions of yours, got your own "
            f"{' and '.join(functions)}; use snippet('torch'), which has a place for each"
        )
    if training.has_own_loss and facts.task == "regression" and training.has_scaled_target is None:
        raise ParameterError(
            "snippet('torch') must be asked of advice for which networks were trained, got a loss of yours "
            "that nobody tried: whether it sees the target standardised is not known; give more budget"
        )
    if (training.has_label_loss or training.block_sizes) and library != "torch":
        what = "columns of classes" if training.block_sizes else "labels"
        raise ParameterError(f"target must be 'torch' for a network of several {what}, got {library!r}")
    has_heads = len(training.output_shape or ()) > 1
    if library == "skorch" and (training.output is not None or has_heads):
        got = "several predictions for each row" if has_heads else f"output={training.output!r}"
        raise ParameterError(
            "snippet('skorch') must be asked about a module that returns nothing but a prediction for each "
            f"row, got {got}; use snippet('torch')"
        )
    if library == "skorch" and facts.has_weights:
        raise ParameterError(
            "snippet('skorch') must be asked of advice without sample_weight, which nets do not take, got "
            "some; use snippet('torch')"
        )
    if training.family == "linear" and library != "torch":
        raise ParameterError(
            f"target must be 'sklearn' or 'torch' for a linear model, got {library!r}, which would not "
            "find the minimum; its parameters are in advice.regularizer.to(...)"
        )
    if library == "keras" and (
        training.family == "module" or training.exempt or training.penalised is not None
    ):
        raise ParameterError(
            "target must be 'torch' or 'skorch' for a module of torch, or patterns of its parameters, "
            "got 'keras'"
        )
    if library != "torch":
        _check_recipe(training, library)


def _check_recipe(training: Training, library: str) -> None:
    """Raise ParameterError if a script of this library has not what the recipe says."""
    usual = Training(family="mlp", seed=0)
    missing = ["towards_start", "lr_scale", "nesterov", "betas", "accumulate", "warmup"]
    found = [name for name in missing if getattr(training, name) != getattr(usual, name)]
    if training.schedule == "one-cycle":
        found.append("schedule='one-cycle'")
    if found:
        raise ParameterError(
            f"snippet({library!r}) must be asked of advice without {' and '.join(found)}, for which it has "
            "no code; use snippet('torch'), or advice.optimizer(module, lr=..., steps=...) in your own loop"
        )


def _imports(facts: DataFacts, training: Training, needed: tuple[str, ...], library: str) -> list[str]:
    """Return the import lines: whole modules first, then names."""
    lines = {*needed, "import numpy as np", *(f"import {name}" for name in _LIBRARIES[library])}
    if training.family != "linear":
        lines.add("import math")
    uses_patterns = training.lr_scale or training.towards_start
    if uses_patterns or (training.family == "module" and "fnmatchcase" in _names(training)):
        lines.add("from fnmatch import fnmatchcase")
    if library == "keras" and facts.task != "regression":
        lines.add("from scipy.special import softmax")
    if not facts.is_plain_y:
        lines.add("from regadvisor.data.training import training_rows")
    return sorted(lines, key=lambda line: (line[0] == "f", line))


def _network(training: Training) -> dict[str, Any]:
    """Return what only the script of our own network holds."""
    from regadvisor.families.neural.nets import NetArchitecture
    from regadvisor.families.neural.trainer import DROPOUT_SEED_OFFSET

    layout = NetArchitecture.of(recipe_of(training), 1, 1).layout
    return {"penalised": layout.penalised_names, "dropout_seed_offset": DROPOUT_SEED_OFFSET}


def _layers(facts: DataFacts, training: Training) -> tuple[str, ...]:
    """Return the layers of our network for images, each as code."""
    from regadvisor.families.neural.module.family import n_outputs_of
    from regadvisor.families.neural.module.inputs import inputs_of
    from regadvisor.families.neural.nets import cnn

    made = cnn(n_outputs_of(facts), inputs_of(facts, training.layout).asked()["input_shape"])
    return tuple(f"torch.nn.{layer}" for layer in made)


def _shaping(training: Training, facts: DataFacts, library: str) -> tuple[str, str]:
    """Return what is called on flat rows (a tensor's methods, or an array's), and the module with."""
    from regadvisor.families.neural.module.inputs import inputs_of

    shaping, called = inputs_of(facts, training.layout).code(facts.n_features)
    if called != "rows" and library != "torch":
        raise ParameterError(
            f"snippet({library!r}) must be asked about a module that takes one tensor of rows, got layout "
            f"{training.layout!r}; use snippet('torch')"
        )
    named = {".view(": ".reshape(", ".permute(": ".transpose(", ".long()": ".astype(np.int64)"}
    for torch_name, numpy_name in named.items() if library != "torch" else ():
        shaping = shaping.replace(torch_name, numpy_name)
    return shaping, called


def _returned(training: Training, facts: DataFacts) -> dict[str, Any]:
    """Return what the script says and does about what a module returns."""
    from regadvisor.families.neural.module.outputs import is_spread

    output, shape = training.output, training.output_shape
    taken = "returned"
    if isinstance(output, str):
        taken = f"(returned[{output!r}] if isinstance(returned, dict) else returned.{output})"
    elif "output" in training.own_functions:
        taken = "output(returned)"
    elif output is not None:
        taken = f"(returned if torch.is_tensor(returned) else returned[{output}])"
    n_outputs = len(facts.classes or ()) or facts.n_targets
    if shape is not None and is_spread(shape, n_outputs):
        taken, shape = f"{taken}.flatten(1)", (n_outputs,)
    is_flat, n_heads = shape == (), shape[0] if shape is not None and len(shape) > 1 else 1
    if is_flat or n_heads > 1:
        taken += ".unsqueeze(1)" if is_flat else ".flatten(0, 1)"
    if shape is not None:
        n_outputs = shape[-1] if shape else 1
    what = "number" if facts.task == "regression" and not training.block_sizes else "logit"
    return {
        "taken": taken,
        "returned": counted(n_outputs, what) if n_outputs > 1 else f"one {what}",
        "is_flat": is_flat,
        "n_heads": n_heads,
        "heads": f".view(-1, {n_heads}, {n_outputs}).mean(1)" if n_heads > 1 else "",
    }


def _names(training: Training) -> str:
    """Return code for the names of a module's penalised parameters; they are known once it was looked at."""
    if training.penalised_names:
        return str(training.penalised_names)
    fits = "any(fnmatchcase(name, pattern) for pattern in {})"
    rule = "own.ndim >= 2" if training.penalised is None else fits.format(tuple(training.penalised))
    rule += f" and not {fits.format(tuple(training.exempt))}" if training.exempt else ""
    return f"[name for name, own in named if {rule}]"


def _keras_options(training: Training, *, has_decay: bool) -> str:
    """Return the options of a Keras optimizer with the step of torch's, as code behind its first argument."""
    options = {
        "momentum": training.momentum if training.optimizer == "sgd" else None,
        "epsilon": None if training.optimizer == "sgd" else 1e-8,
        "weight_decay": "l2" if has_decay and training.coupling == "decoupled" else None,
        "global_clipnorm": training.clip_norm,
    }
    return "".join(f", {name}={value}" for name, value in options.items() if value is not None)
