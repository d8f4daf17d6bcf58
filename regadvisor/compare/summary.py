"""Sentences and lists about the fits: over- and underfit, and the features that were zeroed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from regadvisor import thresholds
from regadvisor.records import FitFacts, Note, ZeroedFeature
from regadvisor.regularizer import LABELS, Kind
from regadvisor.words import number


def exploded_from(constant_loss: float) -> float:
    """Return the loss from which on a run exploded; the constant's own may be negative (a likelihood).

    >>> exploded_from(1.0), exploded_from(-1.0)
    (3.0, 1.0)
    """
    return constant_loss + (thresholds.EXPLODED - 1.0) * abs(constant_loss)


def fit_facts(kind: Kind, *, train_loss: float, held_out_loss: float, constant_loss: float) -> FitFacts:
    """Say whether a kind at its best strength over- or underfits.

    `train_loss`, `held_out_loss`: mean losses of the best strength, in the same unit. `constant_loss`: mean
    held-out loss of predicting the mean or the class shares.

    With `gap` as the share of the held-out loss that training does not show (0 for a perfect fit).

    >>> fit_facts("none", train_loss=0.02, held_out_loss=0.41, constant_loss=0.69).text
    'With no regularizer the model overfits: train loss 0.02, held out 0.41, guessing 0.69.'
    """
    behind = held_out_loss - train_loss
    gap = behind / held_out_loss if held_out_loss > 0 else 0.0
    if not held_out_loss <= exploded_from(constant_loss):
        what = "explodes"
    elif overfits(train_loss, held_out_loss, constant_loss):
        what = "overfits"
    elif train_loss > constant_loss - thresholds.UNDERFIT_GAIN * abs(constant_loss):
        what = "hardly learns the training rows"
    elif gap > thresholds.BY_HEART_GAP:
        what = "fits the training rows much better than new ones"
    else:
        what = "fits"
    text = (
        f"With {LABELS[kind]} the model {what}: train loss {number(train_loss)}, "
        f"held out {number(held_out_loss)}, guessing {number(constant_loss)}."
    )
    return FitFacts(kind=kind, train_loss=train_loss, held_out_loss=held_out_loss, gap=gap, text=text)


def overfits(train_loss: float, held_out_loss: float, constant_loss: float) -> bool:
    """Return whether a model does much better on the rows that it was trained on.

    >>> overfits(0.02, 0.41, 0.69), overfits(0.3, 0.31, 0.69)
    (True, False)
    """
    behind = held_out_loss - train_loss
    is_large = behind > thresholds.OVERFIT_OF_CONSTANT * abs(constant_loss)
    return is_large and behind > thresholds.OVERFIT_GAP * held_out_loss > 0


def still_learning(
    halfway: tuple[float, float], end: tuple[float, float], constant_loss: float, *, epochs: float
) -> Note | None:
    """Return the note that a network's training ends too early, with the losses that show it.

    It does not overfit, and over the second half of its epochs both losses fell by
    ``thresholds.STILL_FALLING``.

    `halfway`, `end`: train and held-out loss of the advised model. `constant_loss`: mean held-out loss of
    predicting the mean or the class shares. `epochs`: how long it was trained.

    >>> still_learning((0.6, 0.62), (0.4, 0.55), 0.69, epochs=6)
    >>> still_learning((0.6, 0.62), (0.4, 0.45), 0.69, epochs=6).code
    'still-learning'
    """
    is_falling = np.subtract(halfway, end) >= thresholds.STILL_FALLING * np.abs(halfway)
    if not is_falling.all() or overfits(*end, constant_loss):
        return None
    (train, held_out), (last_train, last_held_out) = halfway, end
    text = (
        f"The network still learns when its training ends: over the second half of its {epochs:.0f} epochs, "
        f"the loss fell from {number(train)} to {number(last_train)} in training and from {number(held_out)} "
        f"to {number(last_held_out)} held out. Train longer, then ask "
        "again: the best regularizer depends on it."
    )
    return Note(code="still-learning", text=text)


def zeroed_features(names: Sequence[str], shares: NDArray[np.float64]) -> tuple[ZeroedFeature, ...]:
    """Return the features zeroed in at least ``ZEROED_SHARE`` of the folds, most often first, then as given.

    `names` (n_encoded_features,). `shares` (n_encoded_features,): share of the folds in which all weights of
    the feature were zero.

    >>> [f.name for f in zeroed_features(["age", "pay", "zip"], np.array([0.6, 0.0, 1.0]))]
    ['zip', 'age']
    """
    order = np.argsort(-np.asarray(shares), kind="stable")
    often = order[shares[order] >= thresholds.ZEROED_SHARE]
    return tuple(ZeroedFeature(name=names[i], share=float(shares[i])) for i in often)
