"""How a network is trained: the numbers that stay the same for every candidate."""

from __future__ import annotations

import numbers
import sys
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from regadvisor.errors import ParameterError
from regadvisor.regularizer import Coupling

if TYPE_CHECKING:
    from regadvisor.families.neural.losses import LossFunction

OPTIMIZERS = ("adamw", "sgd")
#: Learning rate schedules; see ``schedule.learning_rates``.
SCHEDULES = ("flat-cosine", "cosine", "constant")
COUPLINGS = ("decoupled", "loss")
TRANSFORMS = ("standard", "none")


_LARGEST = sys.float_info.max


def _is_number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _is_count(value: object) -> bool:
    return _is_number(value) and isinstance(value, numbers.Integral) and int(value) >= 1


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one full run trains the network.

    Parameters
    ----------
    optimizer : {"adamw", "sgd"}, default "adamw"
        Adam (betas 0.9 and 0.999, epsilon 1e-8), or gradient descent with momentum. The penalty is added
        as `coupling` says, never by the optimizer's own ``weight_decay``.
    momentum : float, default 0.9
        Of "sgd" (not Nesterov's); Adam has its own.
    lr : float, default 2e-3
        Highest learning rate.
    batch_size : int, default 128
        Most rows per step. An epoch is cut into as few equal batches as this allows.
    epochs : int or None, default None
        Epochs of one full run on all rows, trained to the end. ``None``: planned from the number of rows, and
        stopped where the held-out loss is within 0.5% of the best (``schedule.planned_epochs``).
    schedule : {"flat-cosine", "cosine", "constant"}, default "flat-cosine"
        Constant for the first half of the steps, then a cosine to zero; a cosine from the first step on; or
        constant throughout.
    clip_norm : float or None, default None
        Longest gradient of a network, over all its parameters; longer ones are scaled down to it. With
        ``coupling="loss"`` the penalty's gradient is part of it.
    coupling : {"decoupled", "loss"}, default "decoupled"
        What penalties are: shrinking per step, or a term of the loss; see
        :class:`~regadvisor.regularizer.Regularizer`. Only the decoupled L1 gives exact zeros.
    exempt : tuple of str, default ()
        Patterns (as in ``fnmatch``) of parameter names that no penalty acts on, besides biases, layers that
        normalise and embeddings. Networks of the mlp family have the names of an ``nn.Sequential`` of linear
        and rectified layers: ``"0.weight"``, ``"0.bias"``, ``"2.weight"``, …
    penalised : tuple of str or None, default None
        Patterns of the parameters that penalties act on: all these (biases, too, if they are named) less
        the exempt ones. ``None``: all but the usual exemptions.
    loss : callable or None, default None
        Your own loss ``loss(outputs, target)`` of two (batch, n_outputs) tensors: a tensor (batch,) with a
        number per row, or their mean; smaller is better, not below 0. Class targets are one-hot (two classes
        and a module of one output: a column of 0 and 1). Numeric ones come as they are, such as counts for
        ``nn.PoissonNLLLoss()``, or columns of 0 and 1 for ``nn.BCEWithLogitsLoss()`` (several labels per row:
        ``task="regression"``). Only for a loss of differences (squared and absolute errors, quantiles,
        Huber's: one that stays the same when outputs and target move alike) they are standardised, as
        networks learn that far faster; a width, such as Huber's delta, is in standard deviations then. It
        also scores held-out rows. ``None``: log loss, or half the squared error of the standardised target.
    transform : {"standard", "none"} or None, default None
        Preprocess as our networks do (numbers scaled, gaps filled, categories one-hot; images scaled by
        channel), or take numeric features without missing values as they are. ``None``: your own module gets
        them as they are if they are on a common scale already (standardised, or between -1 and 1 as pixels
        divided by 255 are), else preprocessed; the report says which. Our own networks: "standard".
    hidden : tuple of int, default (128, 64)
        Units of each hidden layer (mlp family).

    Raises
    ------
    ParameterError
        If a value is out of its rule.

    Examples
    --------
    >>> Recipe(epochs=20).lr
    0.002
    >>> Recipe(lr=-1)
    Traceback (most recent call last):
    ...
    regadvisor.errors.ParameterError: lr must be a positive finite number, got -1
    """

    optimizer: str = "adamw"
    momentum: float = 0.9
    lr: float = 2e-3
    batch_size: int = 128
    epochs: int | None = None
    schedule: str = "flat-cosine"
    clip_norm: float | None = None
    coupling: Coupling = "decoupled"
    exempt: tuple[str, ...] = ()
    penalised: tuple[str, ...] | None = None
    loss: LossFunction | None = None
    transform: str | None = None
    hidden: tuple[int, ...] = (128, 64)

    def __post_init__(self) -> None:
        choices = {
            "optimizer": OPTIMIZERS,
            "schedule": SCHEDULES,
            "coupling": COUPLINGS,
            "transform": (*TRANSFORMS, None),
        }
        for name, known in choices.items():
            given = getattr(self, name)
            if not ((given is None or isinstance(given, str)) and given in known):
                raise ParameterError(f"{name} must be one of {known}, got {given!r}")
        if not (_is_number(self.lr) and 0 < self.lr <= _LARGEST):
            raise ParameterError(f"lr must be a positive finite number, got {self.lr!r}")
        if not (_is_number(self.momentum) and 0 <= self.momentum < 1):
            raise ParameterError(f"momentum must be at least 0 and below 1, got {self.momentum!r}")
        if self.clip_norm is not None and not (_is_number(self.clip_norm) and 0 < self.clip_norm <= _LARGEST):
            raise ParameterError(
                f"clip_norm must be a positive finite number or None, got {self.clip_norm!r}"
            )
        if not _is_count(self.batch_size):
            raise ParameterError(f"batch_size must be at least 1, a whole number, got {self.batch_size!r}")
        if self.epochs is not None and not _is_count(self.epochs):
            raise ParameterError(f"epochs must be at least 1, a whole number, or None, got {self.epochs!r}")
        if not isinstance(self.hidden, tuple | list) or not all(_is_count(units) for units in self.hidden):
            raise ParameterError(
                f"hidden must hold numbers of units of at least 1, got {self.hidden!r}; "
                "write hidden=(128, 64)"
            )
        for name in ("exempt", "penalised"):
            given = getattr(self, name)
            if isinstance(given, str):
                raise ParameterError(
                    f"{name} must be a tuple of patterns, got {given!r}; write {name}=({given!r},)"
                )
            is_tuple = isinstance(given, tuple | list) and all(isinstance(each, str) for each in given)
            if not (is_tuple or (name == "penalised" and given is None)):
                raise ParameterError(f"{name} must be a tuple of patterns, which are text, got {given!r}")
        if self.loss is not None and not callable(self.loss):
            raise ParameterError(f"loss must be a callable or None, got {self.loss!r}")


RECIPE_NAMES = tuple(each.name for each in fields(Recipe))
