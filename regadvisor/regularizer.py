"""The value at the centre of the library: a regularizer with its strengths."""

from __future__ import annotations

import math
import numbers
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, Literal

from regadvisor.errors import ParameterError, StrengthError

if TYPE_CHECKING:
    import torch

    from regadvisor.families.neural.proximal import ProximalAdamW, ProximalSGD

Kind = Literal["none", "l2", "l1", "dropout", "elasticnet", "dropout_l2", "dropout_l1"]
Coupling = Literal["loss", "decoupled"]


@dataclass(frozen=True, kw_only=True)
class KindSpec:
    """What there is to know of a kind, wherever it is searched, compared, told or drawn."""

    #: As people write it.
    label: str
    #: The strengths that it has, by the name of the field of :class:`Regularizer`.
    strengths: tuple[str, ...] = ()
    #: Colour, dash (as matplotlib takes it) and marker in pictures.
    colour: str
    dash: str | tuple[int, tuple[int, ...]]
    marker: str

    @property
    def has_dropout(self) -> bool:
        """Whether only a network can use it."""
        return "dropout" in self.strengths


#: Every kind, simplest first: the order in which ties are broken (``prefer="sparse"`` puts l1 first).
KIND_SPECS: dict[Kind, KindSpec] = {
    "none": KindSpec(label="no regularizer", colour="#555555", dash="-", marker="o"),
    "l2": KindSpec(label="L2", strengths=("l2",), colour="#0072B2", dash="-", marker="o"),
    "l1": KindSpec(label="L1", strengths=("l1",), colour="#D55E00", dash="--", marker="s"),
    "dropout": KindSpec(label="dropout", strengths=("dropout",), colour="#CC79A7", dash="-.", marker="^"),
    "elasticnet": KindSpec(
        label="L1+L2 (elastic net)", strengths=("l1", "l2"), colour="#009E73", dash=":", marker="D"
    ),
    "dropout_l2": KindSpec(
        label="dropout+L2", strengths=("l2", "dropout"), colour="#56B4E9", dash=(0, (5, 1)), marker="v"
    ),
    "dropout_l1": KindSpec(
        label="dropout+L1", strengths=("l1", "dropout"), colour="#E69F00", dash=(0, (3, 1, 1, 1)), marker="P"
    ),
}

KINDS: tuple[Kind, ...] = tuple(KIND_SPECS)
#: Kinds that only a network can use.
DROPOUT_KINDS: tuple[Kind, ...] = tuple(kind for kind in KINDS if KIND_SPECS[kind].has_dropout)
LABELS: dict[Kind, str] = {kind: spec.label for kind, spec in KIND_SPECS.items()}
STRENGTHS: dict[Kind, tuple[str, ...]] = {kind: spec.strengths for kind, spec in KIND_SPECS.items()}


def label(side: str) -> str:
    """Return a kind, or another side of a comparison, as people write it.

    >>> label("dropout_l2"), label("constant"), label("any")
    ('dropout+L2', 'always guessing', 'the best model')
    """
    special = {"any": "the best model", "constant": "always guessing", "no signal": "no signal"}
    return special.get(side) or LABELS[side]  # type: ignore[index]


def plain_label(side: str) -> str:
    """Return :func:`label` without its explanation, as part of a sentence.

    >>> plain_label("elasticnet"), plain_label("none")
    ('L1+L2', 'no regularizer')
    """
    return label(side).partition(" (")[0]


@dataclass(frozen=True, kw_only=True, repr=False)
class Regularizer:
    """A regularizer and how strong it is.

    With ``coupling="loss"`` the strengths mean: minimise ``mean loss + l1·Σ|w| + (l2/2)·Σw²`` on
    standardised features (and a standardised target for regression, with half the squared error).
    With ``coupling="decoupled"`` (networks trained by AdamW) they mean, per step,
    ``w ← soft((1 − lr·l2)·w, lr·l1)``. The two are never converted into each other.

    Parameters
    ----------
    l1, l2 : float or None, default 0.0
        Strengths, at least 0. ``None``: present, but the strength is unknown (advice without data).
    dropout : float or None, default 0.0
        Share of hidden units dropped, in [0, 1).
    coupling : {"loss", "decoupled"}, default "loss"
        What the strengths mean; see above.

    Raises
    ------
    ParameterError
        If a strength is negative, not finite, or (dropout) at least 1.

    Examples
    --------
    >>> Regularizer(l2=3e-4).kind
    'l2'
    >>> Regularizer(l1=1e-3, l2=1e-3).label
    'L1+L2 (elastic net)'
    >>> Regularizer(l2=3e-4)
    Regularizer(l2=0.0003)
    """

    l1: float | None = 0.0
    l2: float | None = 0.0
    dropout: float | None = 0.0
    coupling: Coupling = "loss"

    def __repr__(self) -> str:
        own = ((each.name, getattr(self, each.name), each.default) for each in fields(self))
        return (
            f"Regularizer({', '.join(f'{name}={value!r}' for name, value, usual in own if value != usual)})"
        )

    def __post_init__(self) -> None:
        for name in ("l1", "l2", "dropout"):
            value = getattr(self, name)
            if value is not None and not (_is_finite(value) and value >= 0):
                raise ParameterError(f"{name} must be a finite number of at least 0 or None, got {value!r}")
        if self.dropout is not None and self.dropout >= 1:
            raise ParameterError(f"dropout must be below 1, got {self.dropout!r}")
        if self.coupling not in ("loss", "decoupled"):
            raise ParameterError(f"coupling must be 'loss' or 'decoupled', got {self.coupling!r}")
        present = {name for name in ("l1", "l2", "dropout") if getattr(self, name) != 0}
        if present not in [set(names) for names in STRENGTHS.values()]:
            raise ParameterError(f"the strengths must be those of one kind in {KINDS}, got {sorted(present)}")

    @classmethod
    def unknown(cls, kind: Kind, coupling: Coupling = "loss") -> Regularizer:
        """Return the regularizer of `kind` whose strengths are not known yet.

        Examples
        --------
        >>> Regularizer.unknown("l2")
        Regularizer(l2=None)
        """
        return cls(**dict.fromkeys(STRENGTHS[kind]), coupling=coupling)

    @property
    def kind(self) -> Kind:
        """The kind: which of the strengths are present."""
        present = {name for name in ("l1", "l2", "dropout") if getattr(self, name) != 0}
        return next(kind for kind, names in STRENGTHS.items() if set(names) == present)

    @property
    def label(self) -> str:
        """The kind as people write it, as in ``"dropout+L2"``."""
        return LABELS[self.kind]

    @property
    def has_strengths(self) -> bool:
        """Whether every strength is a number."""
        return None not in (self.l1, self.l2, self.dropout)

    def times(self, factor: float) -> Regularizer:
        """Return the regularizer with its penalties times a factor; dropout stays as it is.

        Examples
        --------
        >>> Regularizer(l2=0.5, dropout=0.1).times(2.0)
        Regularizer(l2=1.0, dropout=0.1)
        """
        l1, l2 = (None if own is None else own * factor for own in (self.l1, self.l2))
        return replace(self, l1=l1, l2=l2)

    def strengths(self) -> dict[str, float]:
        """Return the strengths of this kind by name.

        Raises
        ------
        StrengthError
            If a strength is unknown, because the advice was given without data.

        Examples
        --------
        >>> Regularizer(l2=0.5).strengths()
        {'l2': 0.5}
        """
        if not self.has_strengths:
            raise StrengthError(
                f"the strength of {self.label} is unknown: this advice was given without data. "
                "Call advise(X, y) with data, or give numbers: Regularizer(l1=..., l2=..., dropout=...)"
            )
        return {name: getattr(self, name) for name in STRENGTHS[self.kind]}

    # ------------------------------------------------------------------------------------ used on its own

    def to(
        self,
        target: str,
        *,
        n_rows: float | None = None,
        batch_size: float | None = None,
        target_sd: float = 1.0,
        loss: Literal["mse"] | None = None,
    ) -> dict[str, dict[str, float]]:
        """Return these strengths as the parameters of another library, by the call that takes them.

        docs/conversions.md holds all formulas with their sources. Features are standardised, whatever takes
        the parameters; intercepts and biases are not penalised.

        Parameters
        ----------
        target : str
            "sklearn", "statsmodels", "glmnet", "h2o", "lightgbm", "keras", "tensorflow", "jax/optax" or
            "pytorch". Models of scikit-learn and the like are each an answer; for networks all calls together
            are one. LightGBM's parameters act on the values of leaves, not on weights of features: only the
            unit is converted, and the best strength there is another one.
        n_rows : float, optional
            Training rows (with sample weights their sum), for libraries whose loss is a sum over rows.
        batch_size : float, optional
            Rows of a step, for scikit-learn's MLP; by default its own: 200, or all rows if there are fewer.
        target_sd : float, default 1.0
            Standard deviation of a numeric target that is not standardised (linear models).
        loss : {"mse"}, optional
            For networks: "mse" if the loss is the squared error without the ½, which doubles strengths of
            coupling "loss".

        Raises
        ------
        ParameterError
            If `target` is unknown or cannot say these strengths, or `n_rows` is needed.
        StrengthError
            If a strength is unknown.

        Examples
        --------
        >>> Regularizer(l2=0.01).to("sklearn", n_rows=1000)["LogisticRegression"]
        {'C': 0.1, 'l1_ratio': 0.0}
        >>> Regularizer(l1=0.25, l2=0.75).to("statsmodels", n_rows=1000)["OLS.fit_regularized"]
        {'alpha': 1.0, 'L1_wt': 0.25}
        >>> Regularizer(l2=0.02, dropout=0.1).to("keras")
        {'regularizers.L1L2': {'l1': 0.0, 'l2': 0.01}, 'layers.Dropout': {'rate': 0.1}}
        """
        _check_sizes(n_rows=n_rows, batch_size=batch_size, target_sd=target_sd)
        if loss not in (None, "mse"):
            raise ParameterError(f"loss must be 'mse' or None, got {loss!r}")
        n = math.nan if n_rows is None else float(n_rows)
        from regadvisor.conversions import Given, converted

        given = Given(
            **{"l1": 0.0, "l2": 0.0, "dropout": 0.0, **self.strengths()},
            n=n,
            batch=min(200.0, n) if batch_size is None else float(batch_size),
            sd=float(target_sd),
        )
        return converted(target, given, self.coupling, is_mse=loss == "mse")

    def apply(self, target: Any, *, n_rows: float | None = None, target_sd: float = 1.0) -> Any:
        """Return a copy of a model of your own with this regularizer; `target` is not changed.

        Parameters
        ----------
        target : scikit-learn estimator, Pipeline, torch.nn.Module, keras.Model or skorch net
            An estimator gets the strengths as its parameters, a pipeline in its last step, whose features
            have to be standardised. A module of torch gets the dropout; the penalty belongs to its
            :meth:`optimizer`. A Keras model is made again: dropout rates, and ``L1L2`` as
            ``kernel_regularizer`` or, for decoupled strengths, the ``weight_decay`` of its optimizer and a
            soft threshold after each step. A skorch net gets dropout and an optimizer with the penalty.
        n_rows : float, optional
            Training rows; needed for an estimator.
        target_sd : float, default 1.0
            Standard deviation of a numeric target that is not standardised (estimators).

        Raises
        ------
        ParameterError
            If `target` cannot express the regularizer.
        StrengthError
            If a strength is unknown.

        Examples
        --------
        >>> from sklearn.linear_model import Ridge
        >>> Regularizer(l2=0.5).apply(Ridge(), n_rows=200)
        Ridge(alpha=100.0)
        """
        from regadvisor.export.alone import applied_alone

        _check_sizes(n_rows=n_rows, target_sd=target_sd)
        return applied_alone(target, self, n_rows=n_rows, target_sd=target_sd)

    def optimizer(
        self,
        module: torch.nn.Module,
        *,
        lr: float,
        optimizer: Literal["adamw", "sgd"] = "adamw",
        momentum: float = 0.9,
    ) -> ProximalAdamW | ProximalSGD:
        """Return an optimizer of torch with these penalties, for a loop of your own.

        Decoupled strengths act around each step, and L1 gives exact zeros; those in the loss are added to the
        gradients, so leave them out of your loss. Weights of two or more dimensions are penalised; biases,
        norms and embeddings are not. Schedulers of torch work as usual.

        Parameters
        ----------
        module : torch.nn.Module
        lr : float
        optimizer : {"adamw", "sgd"}, default "adamw"
            With strengths in the loss, "adamw" is Adam.
        momentum : float, default 0.9
            Of "sgd".

        Examples
        --------
        >>> import torch
        >>> net = torch.nn.Linear(3, 1)
        >>> optimizer = Regularizer(l1=10.0, coupling="decoupled").optimizer(net, lr=0.1)
        >>> net(torch.zeros(1, 3)).sum().backward()
        >>> _ = optimizer.step()
        >>> int((net.weight == 0).sum())
        3
        """
        from regadvisor.export.alone import optimizer_alone

        return optimizer_alone(module, self, lr=lr, optimizer=optimizer, momentum=momentum)

    def snippet(
        self,
        target: Literal["sklearn", "torch", "keras", "skorch", "jax"],
        *,
        n_rows: float | None = None,
        target_sd: float = 1.0,
    ) -> str:
        """Return the lines that give a model of your own this regularizer; they do not need regadvisor.

        Parameters
        ----------
        target : {"sklearn", "torch", "keras", "skorch", "jax"}
        n_rows, target_sd : float, optional
            For "sklearn", as in :meth:`to`.

        Examples
        --------
        >>> print(Regularizer(l2=0.02).snippet("keras"))
        # L2
        import keras
        <BLANKLINE>
        penalty = keras.regularizers.L1L2(l1=0.0, l2=0.02 / 2)
        # Every Dense, Conv and recurrent layer of your model:
        layers = [keras.layers.Dense(64, 'relu', kernel_regularizer=penalty)]
        <BLANKLINE>
        """
        from regadvisor.export.alone import penalty_lines

        return penalty_lines(self, target, n_rows=n_rows, target_sd=target_sd)


def _is_finite(value: Any) -> bool:
    return type(value) is not bool and isinstance(value, numbers.Real) and math.isfinite(float(value))


def _check_sizes(**sizes: float | None) -> None:
    """Raise ParameterError unless all are finite numbers above 0, or None."""
    for name, value in sizes.items():
        if value is not None and not (_is_finite(value) and value > 0):
            raise ParameterError(f"{name} must be a finite number above 0, got {value!r}")
