"""A sample encoded for networks: preprocessed inside every fold, as one table of float32."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from torch import Tensor

from regadvisor.data.table import Table
from regadvisor.errors import DataError, ParameterError
from regadvisor.families.base import Fold, Prepared
from regadvisor.families.estimator.encoder import Encoder, make_encoder
from regadvisor.families.fitted.losses import constant_losses, usual_loss
from regadvisor.families.neural.architecture import Architecture
from regadvisor.families.neural.losses import LossFunction, are_logarithms, mean_loss, row_losses
from regadvisor.families.neural.own_loss import check_finite, constant_outputs, name_of_loss, sees_raw
from regadvisor.families.neural.recipe import Recipe
from regadvisor.families.neural.schedule import RunPlan
from regadvisor.families.neural.trainer import TrainingRows
from regadvisor.families.preprocess import Joined, Steps, as_numbers, flatten, make_preprocessor
from regadvisor.records import DataFacts
from regadvisor.thresholds import LARGEST_SINGLE, PROBABILITY_FLOOR

#: Encoded folds larger than this are refused.
MOST_BYTES = 2_000_000_000
#: Rows on which the caller's loss is tried before training.
_MOST_LOOKED_AT = 64

Float32 = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class NetworkPrepared(Prepared):
    """The encoded folds of a sample and the plan by which all candidates are trained on them."""

    #: Row ``f · n_rows + i`` is row i of the sample as fold f encodes it.
    rows: TrainingRows
    #: (n_folds, n_outputs): turns squared errors on the fold's standardised targets into the unit of the
    #: losses (1 for classes and for the caller's own loss).
    loss_scale: NDArray[np.float64]
    #: (n_rows,): row weights, for means of held-out losses.
    weight: NDArray[np.float64]
    #: How it is trained; its loss is called as the module's outputs need.
    recipe: Recipe
    plan: RunPlan
    #: What is trained.
    architecture: Architecture
    seed: int
    #: Rows of the data that the sample was drawn from.
    n_source: int
    #: How many times the usual a run lasts whose epochs nobody gave.
    longer: int = 1
    #: What training has shown: seconds of one network ("network_s"), how often memory ran out ("halved").
    observed: dict[str, float] = field(default_factory=dict)

    @property
    def n_folds(self) -> int:
        """Number of folds."""
        return len(self.folds)


def dense(encoded: Any) -> Float32:
    """Return encoded features as a dense array of float32, a copy only where it has to be.

    Raises DataError if it would take more than ``MOST_BYTES``, or a number is too large.
    """
    _check_size(encoded.shape[0] * encoded.shape[1])
    filled = encoded.toarray() if hasattr(encoded, "toarray") else encoded
    if filled.dtype == np.float64 and filled.size:
        largest = max(filled.max(), -filled.min())
        if largest > np.finfo(np.float32).max:
            raise DataError(
                f"X must hold numbers below 3e38 in size for a network, which counts in float32, got "
                f"{largest:.3g}; use transform='standard', or change the unit"
            )
    # Writable, though nothing writes into it: torch warns of tensors that share a read-only array.
    return np.require(filled, np.float32, ["C", "W"])


def _check_size(n_values: int) -> None:
    if 4 * n_values > MOST_BYTES:
        raise DataError(
            f"the encoded features must take at most {MOST_BYTES / 1e9:g} GB as float32 in all folds, got "
            f"{4 * n_values / 1e9:.1f} GB; use a smaller sample, drop columns with very many levels, or "
            "model='linear'"
        )


def network_preprocessor(facts: DataFacts, transform: str) -> Pipeline | ColumnTransformer:
    """Return the unfitted preprocessing in front of a network.

    `transform`: see :class:`~regadvisor.families.neural.recipe.Recipe`.

    Raises DataError if features are to be taken as they are and are not all numbers.
    """
    if transform == "standard":
        return make_preprocessor(facts, for_network=True)
    for column in facts.columns:
        if column.kind != "numeric" or column.has_missing:
            what = "missing values" if column.kind == "numeric" else f"{column.kind} values"
            raise DataError(
                f"X must hold numbers without missing values for transform='none', got {what} in column "
                f"{column.name!r}; use transform='standard' or encode them"
            )
    steps: Steps = [] if facts.image_shape is None else [("flatten", FunctionTransformer(flatten))]
    if facts.inputs:
        steps = [("join", Joined())]
    steps += as_numbers(facts)
    return Pipeline([*steps, ("as_is", FunctionTransformer(validate=True, accept_sparse=True))])


def encode_folds(
    sample: Table, folds: Sequence[Fold], preprocessor: Callable[[], Any]
) -> tuple[Float32, tuple[str, ...]]:
    """Return every row of the sample as every fold encodes it, and the names of the encoded features.

    The columns are those of the preprocessing fitted on the whole sample; one that a fold lacks (a level
    that only its test rows have) is 0 there.

    `preprocessor`: makes the preprocessing of the family, unfitted.

    Returns the rows (n_folds, n_rows, n_features) and the names.
    """

    def encoder() -> Encoder:
        return make_encoder(sample, preprocessor)

    whole = encoder()
    whole.fit_transform(sample)
    names = whole.names
    _check_size(len(folds) * sample.n_rows * len(names))
    table = np.zeros((len(folds), sample.n_rows, len(names)), dtype=np.float32)
    for fold, out in zip(folds, table, strict=True):
        fitted = encoder()
        fitted.fit_transform(sample.take(fold.train))
        encoded = dense(fitted.transform(sample))
        own_names = fitted.names
        if own_names == names:
            out[:] = encoded
        else:
            _, at, own_at = np.intersect1d(names, own_names, return_indices=True)
            out[:, at] = encoded[:, own_at]
    return table, names


def encode_target(
    sample: Table, folds: Sequence[Fold], own_loss: LossFunction | None = None
) -> tuple[Float32, NDArray[np.float64], NDArray[np.float64]]:
    """Return the target as every fold encodes it.

    Returns `target` (n_folds, n_rows, n_outputs): one-hot classes, or the targets standardised by the
    (weighted) training rows; as they are where the caller's own loss needs that. `loss_scale` (n_folds,
    n_outputs). `constant_losses` (n_rows,): held-out loss of predicting the training rows' class shares or
    mean (with the caller's own loss: of the constant outputs that suit it best); NaN in no test fold.
    """
    weight = row_weight(sample)
    n_outputs = sample.n_classes if sample.is_classification else sample.n_targets
    target = np.empty((len(folds), sample.n_rows, n_outputs), dtype=np.float32)
    loss_scale = np.ones((len(folds), n_outputs))
    constant = constant_losses(usual_loss(sample), sample, folds)
    is_raw = own_loss is not None and not sample.is_classification and sees_raw(own_loss, sample.targets)
    for number, fold in enumerate(folds):
        w, shares = weight[fold.train], None
        if sample.is_classification:
            target[number] = np.eye(n_outputs, dtype=np.float32)[sample.y]
            shares = np.bincount(sample.y[fold.train], weights=w, minlength=n_outputs) / w.sum()
            shares = np.log(np.clip(shares, PROBABILITY_FLOOR, 1.0))
        else:
            for j, y in enumerate(sample.targets.T):
                mean, sd = (0.0, 1.0) if is_raw else weighted_moments(y[fold.train], w)
                variance = float(np.var(y)) or 1.0
                # A held-out value beyond all training ones has to have a square in float32.
                target[number, :, j] = np.clip((y - mean) / sd, -LARGEST_SINGLE, LARGEST_SINGLE)
                loss_scale[number, j] = 1.0 if own_loss else sd**2 / variance
        if own_loss is not None:
            given = None if sample.weight is None else w / w.mean()
            constant[fold.test] = _own_constant_losses(own_loss, target[number], fold, shares, given)
    return target, loss_scale, constant


def _own_constant_losses(
    loss: LossFunction,
    target: Float32,
    fold: Fold,
    shares: NDArray[np.float64] | None,
    weight: NDArray[np.float64] | None,
) -> NDArray[np.float32]:
    """Return held-out losses (n_test,) of the best constant; `shares`: logarithms of those of classes."""
    train, test = torch.from_numpy(target[fold.train]), torch.from_numpy(target[fold.test])
    start = torch.as_tensor(np.zeros(target.shape[1]) if shares is None else shares, dtype=torch.float32)
    given = None if weight is None else torch.as_tensor(weight, dtype=torch.float32)
    outputs = constant_outputs(loss, train, start, weight=given)
    if shares is not None and float(mean_loss(loss, outputs.expand_as(train), train, given)) < 0:
        outputs = start  # NLLLoss has no best constant but among logarithms of probabilities
    losses: NDArray[np.float32] = row_losses(
        outputs.expand(1, len(test), -1), test, is_classification=False, own=loss
    )[0]
    check_finite(float(losses.sum()), outputs, test)
    return losses


def weighted_moments(values: NDArray[np.float64], weight: NDArray[np.float64]) -> tuple[float, float]:
    """Return weighted mean and standard deviation; a deviation of 0 (a constant) becomes 1.

    >>> weighted_moments(np.array([1.0, 3.0]), np.array([1.0, 1.0]))
    (2.0, 1.0)
    """
    mean = float(np.average(values, weights=weight))
    sd = float(np.sqrt(np.average((values - mean) ** 2, weights=weight)))
    return mean, sd if sd > 0 else 1.0


def row_weight(sample: Table) -> NDArray[np.float64]:
    """Return the weights of the sample's rows, shape (n_rows,); ones where it has none."""
    return np.ones(sample.n_rows) if sample.weight is None else sample.weight


def stacked_rows(x: Tensor, target: Float32, sample: Table, folds: Sequence[Fold]) -> TrainingRows:
    """Return the folds' tables, which are one below the other, with the rows that each fold trains on.

    Weights are scaled to a mean of 1 over each fold's training rows.
    """
    n_rows, weight = sample.n_rows, None
    if sample.weight is not None:
        scaled = [sample.weight / sample.weight[fold.train].mean() for fold in folds]
        weight = torch.as_tensor(np.concatenate(scaled), dtype=torch.float32).to(x.device)
    return TrainingRows(
        x=x,
        target=torch.from_numpy(target.reshape(len(x), -1)).to(x.device),
        weight=weight,
        parts=tuple(
            torch.from_numpy(number * n_rows + fold.train.astype(np.int64))
            for number, fold in enumerate(folds)
        ),
        is_classification=sample.is_classification,
    )


def check_first_loss(prepared: NetworkPrepared, loss: LossFunction) -> None:
    """Raise ParameterError if the caller's loss is not one of what an untrained network returns."""
    initial = prepared.architecture.initial(torch.Generator().manual_seed(0)).to(prepared.rows.x.device)
    stack = prepared.architecture.stack(initial, batch=1, loss=loss)
    few = slice(0, min(prepared.n_rows, _MOST_LOOKED_AT))
    outputs, target = stack.outputs(slice(0, 1), prepared.rows.x[few])[0], prepared.rows.target[few]
    far = 0.0
    with torch.no_grad():
        check_finite(float(mean_loss(loss, outputs, target)), outputs, target)
        if prepared.rows.is_classification and not are_logarithms(outputs):
            with suppress(ParameterError):  # a loss may take shares only
                far = float(mean_loss(loss, outputs + 100, target))
    if far < 0:
        raise ParameterError(
            f"loss must be one of logits, got {name_of_loss(loss)}, which falls without end where they are "
            "not logarithms of probabilities; end the module in log_softmax, or use nn.CrossEntropyLoss()"
        )
