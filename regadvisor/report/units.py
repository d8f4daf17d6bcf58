"""The advice in the user's own unit: what to type, by library."""

from __future__ import annotations

import math
from collections.abc import Mapping

from regadvisor.conversions import elasticnet_params, logistic_params, raw_target, ridge_alpha
from regadvisor.family_spec import spec_of
from regadvisor.records import Record, Training
from regadvisor.regularizer import Regularizer
from regadvisor.words import joined, number, titled

#: Estimators of the caller's own whose parameters are those of the linear family.
_OURS = ("LogisticRegression", "Ridge", "Lasso", "ElasticNet", "LinearRegression")
#: Own objectives whose strengths are in the usual unit: balanced weights of rows have a mean of 1.
_SAME_UNIT = ((), ("class_weight='balanced'",))


def parameters(record: Record) -> Mapping[str, Mapping[str, float | str]]:
    """Return the parameters that set the advised strengths, by the name of what takes them.

    With weights of rows, for these as they were given; L1 of several targets, for standardised ones. Empty
    where no plain number says it: unknown strengths or weights, own objectives.

    >>> from regadvisor.api import advise
    >>> from sklearn.datasets import load_diabetes
    >>> advice = advise(*load_diabetes(return_X_y=True), effort="quick", budget=0)
    >>> list(parameters(advice.record))
    ['Ridge']
    """
    regularizer, training = record.strength.regularizer, record.training
    if not regularizer.has_strengths or training is None or record.data is None:
        return {}
    if training.family == "fitted" and training.engine is None:
        return training.parameters
    if training.engine == "keras" or training.engine == "skorch":
        # A regression's loss may have no ½, which the record does not know; L1 is a parameter of L1L2 alone.
        has_call = not regularizer.l1 or (training.engine == "keras" and training.coupling == "loss")
        is_known = record.data.task != "regression" and has_call
        found = regularizer.to({"keras": "keras", "skorch": "pytorch"}[training.engine]) if is_known else {}
        return {_with_own_optimizer(name, training): own for name, own in found.items()}
    if not spec_of(training.family).is_network:
        return _linear(record)
    return _network(regularizer, training)


def _with_own_optimizer(name: str, training: Training) -> str:
    """Return the name of what takes a parameter; an optimizer is the caller's own."""
    place, _, optimizer = name.rpartition(".")
    return (
        f"{place}.{training.own_optimizer or optimizer}"
        if place.endswith("optim") or place == "optimizers"
        else name
    )


def _network(regularizer: Regularizer, training: Training) -> dict[str, dict[str, float]]:
    """Return the parameters of a network, all of them or none: half an answer would mislead."""
    l2, dropout = float(regularizer.l2 or 0.0), float(regularizer.dropout or 0.0)
    if regularizer.l1:
        return {}  # no optimizer of torch or Keras has it
    is_decoupled = training.coupling == "decoupled"
    optimizer = {("adam", True): "AdamW", ("adam", False): "Adam", ("sgd", False): "SGD"}
    own = "adam" if training.optimizer == "adamw" else training.optimizer or ""
    # Towards other values than 0 no optimizer of torch decays.
    name = None if training.towards_start else optimizer.get((own, is_decoupled))
    if l2 and name is None:
        return {}
    found = {name: {"weight_decay": l2}} if l2 and name is not None else {}
    return found | ({"Dropout": {"p": dropout}} if dropout else {})


def _linear(record: Record) -> Mapping[str, Mapping[str, float | str]]:
    data, training = record.data, record.training
    assert data is not None
    assert training is not None
    is_own = training.estimator is not None and training.estimator not in _OURS
    if training.parameters:
        return training.parameters
    l1, l2 = float(record.strength.regularizer.l1 or 0.0), float(record.strength.regularizer.l2 or 0.0)
    if data.mean_weight is None or is_own or training.objective not in _SAME_UNIT:
        return {}
    if data.task != "regression":
        params = logistic_params(l1, l2, data.n_rows * data.mean_weight)
        return {"LogisticRegression": params if l1 else {"C": params["C"]}}
    l1, l2 = raw_target(l1, l2, data.target_sd or 1.0)
    if not l1:
        return {"Ridge": {"alpha": ridge_alpha(l2, data.n_rows * data.mean_weight)}} if l2 else {}
    return {"ElasticNet": elasticnet_params(l1, l2)} if l2 else {"Lasso": {"alpha": l1}}


def in_code(record: Record) -> str:
    """Return :func:`parameters` as code, such as ``LogisticRegression(C=0.82)``; empty if there are none.

    Strengths are never known to more than two digits, and defaults to one. Weight decay that is decoupled
    from the loss means nothing without the learning rate, and no optimizer of torch has L1.
    """
    digits = 1 if record.strength.source == "default" else 2
    training, own = record.training, record.strength.regularizer
    is_adamw = training is not None and (training.optimizer, training.coupling) == ("adamw", "decoupled")
    lr = training.lr if training is not None and is_adamw and not training.towards_start else None
    rate = {} if lr is None else {"lr": lr}
    said = []
    for name, each in parameters(record).items():
        first = rate if name == "AdamW" else {}
        # The default solver of scikit-learn refuses L1.
        last = {"solver": "saga"} if name == "LogisticRegression" and each.get("l1_ratio") else {}
        said.append(_call(name, {**first, **each, **last}, digits))
    if lr is not None and own.l1:  # then there are no parameters
        penalties = {name: value for name, value in own.strengths().items() if name != "dropout"}
        optimizer = _call("optimizer", rate, digits, first="net, ")
        said = [f"{_call('Regularizer', penalties, digits)}.{optimizer}"]
        said += [_call("Dropout", {"p": own.dropout}, digits)] if own.dropout else []
    return ", ".join(said)


def where(record: Record) -> str:
    """Return which features and targets the strength is for where the caller's own model does not say so."""
    training, data = record.training, record.data
    free = () if data is None else data.unpenalised
    is_linear = training is not None and (training.family == "linear" or training.estimator is not None)
    # Steps may also stand inside of a wrapper, such as OneVsRestClassifier(make_pipeline(...)).
    has_steps = bool(training and training.steps) or any(note.code == "own-steps" for note in record.notes)
    names = joined(map(titled, free), most=3)
    is_ours = training is not None and training.family == "linear"  # labels are not standardised, either
    by_targets = is_ours and data is not None and bool(data.targets and record.strength.regularizer.l1)
    scaled = [*["features"] * (not has_steps), *["targets"] * by_targets] if is_linear else []
    said = f" on standardised {joined(scaled)}" if scaled else ""
    return said + (f", {names} without a penalty" if free else "")


def _call(name: str, arguments: Mapping[str, float | str], digits: int, *, first: str = "") -> str:
    typed = ", ".join(f"{key}={_typed(value, digits, key)}" for key, value in arguments.items())
    return f"{name}({first}{typed})"


def range_in_own_unit(record: Record) -> list[str]:
    """Return the strengths that do as well, in the parameter of the headline; one sentence or none."""
    facts = record.strength
    full, sample = facts.regularizer, facts.on_sample
    if sample is None or len(facts.ties) != 1 or len(full.strengths()) != 1:
        return []
    ((name, ends),) = facts.ties.items()
    picked, advised = sample.strengths().get(name), full.strengths().get(name)
    if not picked or not advised or name == "dropout" or ends[0] >= ends[1]:
        return []
    told = [(model, *each) for model, own in parameters(record).items() for each in own.items()]
    for model, key, value in told:
        if key == "l1_ratio" or isinstance(value, str) or not value:  # Keras: both, one of them 0
            continue
        # The whole range moves with the strength that was picked; C is one over a strength.
        low, high = sorted(value * (picked / end if key == "C" else end / picked) for end in ends)
        return [f"For {model} that is {key} from {number(low, 2)} to {number(high, 2)}."]
    return []


def _typed(value: float | str, digits: int, key: str = "") -> str:
    """Return a number as it is typed in code, without commas; a mix of L1 and L2 never as L1 or L2 alone.

    >>> _typed(0.0606, 1), _typed(1234.6, 2), _typed(float("inf"), 3)
    ('0.06', '1200', 'inf')
    >>> _typed(0.99931, 1, "l1_ratio")
    '0.999'
    """
    if isinstance(value, str):
        return f'"{value}"'
    if key == "lr":  # the caller's own
        return f"{value:g}"
    if key == "l1_ratio" and value not in (0.0, 1.0):
        digits = next((more for more in range(digits, 16) if number(value, more) not in ("0", "1")), 16)
    if math.isfinite(value) and 1_000 <= abs(value) < 1e9:
        return str(round(value, digits - len(str(int(abs(value))))).__trunc__())
    return number(value, digits)
