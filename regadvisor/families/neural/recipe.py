"""How a network is trained: the numbers that stay the same for every candidate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from regadvisor.errors import ParameterError
from regadvisor.regularizer import Coupling
from regadvisor.rules import CALLABLE, Rule, check, choice, is_number, number, optional, whole

if TYPE_CHECKING:
    from torch import Tensor

    from regadvisor.families.neural.losses import LossFunction
    from regadvisor.families.neural.module.outputs import Output

OPTIMIZERS = ("adamw", "adam", "sgd")
#: Adam's averages where none are given: torch's defaults, and those of the paper (Kingma and Ba 2015).
BETAS = (0.9, 0.999)
#: Learning rate schedules; see ``schedule.learning_rates``.
SCHEDULES = ("flat-cosine", "cosine", "constant", "one-cycle")
COUPLINGS = ("decoupled", "loss")
TRANSFORMS = ("standard", "none")
#: Layouts of sequences.
SEQUENCES = ("sequence", "channels", "steps-first", "channels-first")
#: How rows enter a module; see ``module/inputs.py``.
LAYOUTS = ("flat", *SEQUENCES, "image", "image-last", "tokens", "codes", "inputs", "inputs-as-floats")

#: A schedule's name, or a function of the share of the steps that is done.
Schedule = str | Callable[[float], float]


def _is_pair(value: Any) -> bool:
    return (
        isinstance(value, tuple | list) and len(value) == 2 and all(is_number(each, 0, 1) for each in value)
    )


_COUNT = whole(1, "at least 1, a whole number")
_POSITIVE = Rule(lambda value: is_number(value, 0) and value > 0, "a positive finite number")
#: What the values have to be, each by itself.
_RULES: dict[str, Rule] = {
    "optimizer": choice(
        *OPTIMIZERS, do="take the nearest, or train with yours: model=regadvisor.fit_function(fit)"
    ),
    "schedule": choice(
        *SCHEDULES,
        also=", or a function of the share that is done",
        do="write others as functions: schedule=lambda share: 1 - share, or 0.1 ** (share > 0.5)",
    ),
    "coupling": optional(choice(*COUPLINGS)),
    "transform": optional(choice(*TRANSFORMS)),
    "layout": optional(choice(*LAYOUTS)),
    "betas": optional(Rule(_is_pair, "two numbers of at least 0 and below 1")),
    "warmup": number(
        0, 1, "a share of the steps of at least 0 and below 1", "for 500 of 10,000 steps write warmup=0.05"
    ),
    "augment": optional(CALLABLE),
    "lr": _POSITIVE,
    "momentum": number(0, 1, "at least 0 and below 1"),
    "clip_norm": optional(_POSITIVE),
    "batch_size": _COUNT,
    "accumulate": _COUNT,
    "epochs": optional(_COUNT),
    "hidden": Rule(
        lambda value: isinstance(value, tuple | list) and all(map(_COUNT.test, value)),
        "numbers of units of at least 1",
        "write hidden=(128, 64)",
    ),
    "output": optional(
        Rule(
            lambda value: callable(value) or (isinstance(value, int | str) and not isinstance(value, bool)),
            "a number, a name, a callable",
        )
    ),
    "loss": optional(CALLABLE),
}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one full run trains the network.

    Parameters
    ----------
    optimizer : {"adamw", "adam", "sgd"}, default "adamw"
        Adam, or gradient descent with momentum; also "AdamW", or ``torch.optim.AdamW``. The penalty is added
        as `coupling` says, never by the optimizer's own ``weight_decay``. "adam" is "adamw" with the penalty
        in the loss, as ``torch.optim.Adam(weight_decay=...)`` has it.
    momentum : float, default 0.9
        Of "sgd"; Adam has its own.
    nesterov : bool, default False
        Whether momentum of "sgd" is Nesterov's.
    betas : tuple of float or None, default None
        Adam's two averages; ``None``: 0.9 and 0.999. Its epsilon is 1e-8.
    lr : float, default 2e-3
        Highest learning rate.
    batch_size : int, default 128
        Most rows per pass. An epoch is cut into as few equal batches as this allows.
    accumulate : int, default 1
        Passes whose gradients are averaged for one step, which then sees ``accumulate · batch_size`` rows.
    epochs : int or None, default None
        Epochs of one full run on all rows, trained to the end. ``None``: planned from the number of rows, and
        stopped where the held-out loss is within 0.5% of the best (``schedule.planned_epochs``).
    early_stopping : bool, default False
        Whether `epochs` are the most that are trained: where to stop is chosen as without them.
    schedule : {"flat-cosine", "cosine", "constant", "one-cycle"} or callable, default "flat-cosine"
        Constant for the first half of the steps, then a cosine to zero; a cosine from the first step on;
        constant throughout; or as torch's ``OneCycleLR`` (up to `lr` for 30% of the steps, then down). Or
        your own function: share of the steps that are done, from 0 to 1 → factor of `lr`.
    warmup : float, default 0.0
        Share of the steps over which the learning rates rise in a line from 0 to those of the schedule.
    clip_norm : float or None, default None
        Longest gradient of a network, over all its parameters; longer ones are scaled down to it. With
        ``coupling="loss"`` the penalty's gradient is part of it.
    coupling : {"decoupled", "loss"} or None, default None
        What penalties are: shrinking per step, or a term of the loss; see
        :class:`~regadvisor.regularizer.Regularizer`. Only the decoupled L1 gives exact zeros. ``None``:
        "loss" for "adam", else "decoupled".
    exempt : tuple of str, default ()
        Patterns (as in ``fnmatch``) of parameter names that no penalty acts on, besides biases, layers that
        normalise and embeddings. Networks of the mlp family have the names of an ``nn.Sequential`` of linear
        and rectified layers: ``"0.weight"``, ``"0.bias"``, ``"2.weight"``, …
    penalised : tuple of str or None, default None
        Patterns of the parameters that penalties act on: all these (biases, too, if they are named) less
        the exempt ones. ``None``: all but the usual exemptions.
    lr_scale : mapping of str to float, default empty
        Factors of the learning rate by pattern of names, as ``{"backbone.*": 0.1}``; the last that fits
        counts. Decay and threshold of decoupled penalties are in proportion to it.
    towards_start : bool or tuple of str, default False
        Whether L1 and L2 pull parameters towards the values that training starts from, not towards 0 (L2-SP:
        Li, Grandvalet and Davoine 2018, arXiv:1802.01483): ``True``, or patterns of the parameters for which.
        For a pretrained module, whose new head is left out: ``("backbone.*",)``.
    augment : callable or None, default None
        ``augment(x)`` of a training batch as the module gets it, which returns one of the same shape. Torch's
        random numbers are seeded for it, so that all candidates see the same.
    loss : callable or None, default None
        Your own loss ``loss(outputs, target)`` of two (batch, n_outputs) tensors: a tensor (batch,) with a
        number per row, or their mean; smaller is better, not below 0. Class targets are one-hot, or codes for
        losses that take those (two classes and a module of one output: a column of 0 and 1). Numeric ones
        come as they are, such as counts for ``nn.PoissonNLLLoss()``, or columns of 0 and 1 for
        ``nn.BCEWithLogitsLoss()`` (several labels per row: ``task="regression"``). Only for a loss of
        differences (squared and absolute errors, quantiles, Huber's: one that stays the same when outputs and
        target move alike) they are standardised, as networks learn that far faster; a width, such as Huber's
        delta, is in standard deviations then. It also scores held-out rows. ``None``: log loss, or half the
        squared error of the standardised target.
    transform : {"standard", "none"} or None, default None
        Preprocess as our networks do (numbers scaled, gaps filled, categories one-hot; images scaled by
        channel), or take numeric features without missing values as they are. ``None``: your own module gets
        them as they are if they are on a common scale already (standardised, or between -1 and 1 as pixels
        divided by 255 are), else preprocessed; the report says which. Our own networks: "standard".
    layout : str or None, default None
        How rows enter your own module. ``None``: found by trying; the report says what was found.

        - "flat": (rows, features).
        - "sequence": (rows, steps, channels), "channels": (rows, channels, steps), "steps-first":
          (steps, rows, channels). X is (n, steps, channels), or (n, steps) of one channel.
          "channels-first": X is (n, channels, steps), and passed like that.
        - "tokens": (rows, tokens) as int64, for X (n, tokens) of whole numbers.
        - "image": (rows, channels, height, width); "image-last": the channels last.
        - "codes": two tensors, numbers scaled as usual and the codes of the categories as int64 (0: missing
          or unknown). A factory that names ``cardinalities`` gets it, with the codes of each category.
        - "inputs": a tensor for each array of a dict (passed by name) or tuple, integers as int64;
          "inputs-as-floats": all of them as float32.
    output : int, str, callable or None, default None
        Which of the things that your module returns is the prediction: its place, its name, or a function
        that takes it out. ``None``: the first (of a mapping "logits").
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
    nesterov: bool = False
    betas: tuple[float, float] | None = None
    lr: float = 2e-3
    batch_size: int = 128
    accumulate: int = 1
    epochs: int | None = None
    early_stopping: bool = False
    schedule: Schedule = "flat-cosine"
    warmup: float = 0.0
    clip_norm: float | None = None
    coupling: Coupling = None  # type: ignore[assignment]  # known once it is made
    exempt: tuple[str, ...] = ()
    penalised: tuple[str, ...] | None = None
    lr_scale: Mapping[str, float] | tuple[tuple[str, float], ...] = ()
    towards_start: bool | tuple[str, ...] = False
    augment: Callable[[Tensor], Tensor] | None = None
    loss: LossFunction | None = None
    transform: str | None = None
    layout: str | None = None
    output: Output = None
    hidden: tuple[int, ...] = (128, 64)

    def __post_init__(self) -> None:
        own = getattr(self.optimizer, "__name__", self.optimizer)
        if isinstance(own, str):  # torch.optim.Adam and "Adam", too
            object.__setattr__(self, "optimizer", own.lower())
        for name in _RULES:
            check(_RULES, name, getattr(self, name))
        for name in ("lr", "momentum", "warmup", "clip_norm"):
            given = getattr(self, name)
            if is_number(given):  # float32 holds too small a range
                object.__setattr__(self, name, float(given))
        coupling: object = self.coupling
        if coupling is None:
            object.__setattr__(self, "coupling", "loss" if self.optimizer == "adam" else "decoupled")
        if self.nesterov and (self.optimizer != "sgd" or self.momentum == 0):
            raise ParameterError("nesterov must be False unless optimizer='sgd' with a momentum, got True")
        if self.betas is not None and self.optimizer == "sgd":
            raise ParameterError("betas must be None for optimizer='sgd', got a pair; set momentum instead")
        if self.early_stopping and self.epochs is None:
            raise ParameterError(
                "early_stopping must be False without epochs, got True: training stops early then anyway"
            )
        named = getattr(self.loss, "named_parameters", tuple)
        trained = [name for name, value in named() if value.requires_grad]
        if trained:
            raise ParameterError(
                f"loss must have no parameters to train, got {type(self.loss).__name__} with {trained[0]!r}, "
                "which would stay as it is; put it into the model, or call requires_grad_(False) on the loss"
            )
        self._check_patterns()
        self._check_groups()

    def _check_patterns(self) -> None:
        """Check the patterns of parameter names."""
        for name, others in (("exempt", ()), ("penalised", (None,)), ("towards_start", (True, False))):
            given = getattr(self, name)
            if isinstance(given, str):
                raise ParameterError(
                    f"{name} must be a tuple of patterns, got {given!r}; write {name}=({given!r},)"
                )
            is_tuple = isinstance(given, tuple | list) and all(isinstance(each, str) for each in given)
            if not (is_tuple or any(given is other for other in others)):
                raise ParameterError(f"{name} must be a tuple of patterns, which are text, got {given!r}")

    def _check_groups(self) -> None:
        """Check the learning rates by name; they are kept as pairs, since a recipe is frozen."""
        given = self.lr_scale
        try:
            pairs = tuple(given.items()) if isinstance(given, Mapping) else tuple(map(tuple, given))
            is_right = all(isinstance(name, str) and is_number(scale, 0) for name, scale in pairs)
        except (TypeError, ValueError):
            is_right = False
        if not is_right:
            raise ParameterError(
                "lr_scale must map patterns of names to factors of at least 0, as {'backbone.*': 0.1}, got "
                f"{given!r}"
            )
        object.__setattr__(self, "lr_scale", pairs)

    @property
    def rows_per_step(self) -> int:
        """Most rows whose gradient one step follows."""
        return self.batch_size * self.accumulate

    @property
    def start_patterns(self) -> tuple[str, ...]:
        """Patterns of the parameters that penalties pull towards their starting values."""
        if isinstance(self.towards_start, bool):
            return ("*",) if self.towards_start else ()
        return tuple(self.towards_start)


RECIPE_NAMES = tuple(each.name for each in fields(Recipe))
