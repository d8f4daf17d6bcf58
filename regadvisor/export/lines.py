"""The lines that give a model of one's own a regularizer, by library; none of them needs regadvisor."""

from __future__ import annotations

from regadvisor.conversions import known_as
from regadvisor.errors import ParameterError
from regadvisor.export.code import estimator_code, rendered
from regadvisor.regularizer import Regularizer

_LIBRARIES = ("torch", "keras", "skorch", "jax")


def penalty_lines(regularizer: Regularizer, target: str, *, n_rows: float | None, target_sd: float) -> str:
    """Return the code; see :meth:`regadvisor.Regularizer.snippet`."""
    target = known_as(target, ("sklearn", *_LIBRARIES))
    if target == "sklearn":
        return _sklearn(regularizer, n_rows=n_rows, target_sd=target_sd)
    if target not in _LIBRARIES:
        known = ", ".join(map(repr, ("sklearn", *_LIBRARIES)))
        raise ParameterError(
            f"target must be one of {known}, got {target!r}; others are in docs/conversions.md"
        )
    found = {"l1": 0.0, "l2": 0.0, "dropout": 0.0, **regularizer.strengths()}
    strengths = {name: float(f"{value:.4g}") for name, value in found.items()}  # no more digits matter
    is_decoupled = regularizer.coupling == "decoupled"
    code = rendered("penalty.jinja", target=target, is_decoupled=is_decoupled, **strengths)
    return f"# {regularizer.label}\n{code}"


def _sklearn(regularizer: Regularizer, *, n_rows: float | None, target_sd: float) -> str:
    """Return the models of scikit-learn that have this penalty, on standardised features."""
    from sklearn import linear_model

    found = regularizer.to("sklearn", n_rows=n_rows, target_sd=target_sd)
    name = "Ridge" if not regularizer.l1 else "Lasso" if not regularizer.l2 else "ElasticNet"
    models = [
        linear_model.LogisticRegression(
            **found["LogisticRegression"], max_iter=10_000, **({"solver": "saga"} if regularizer.l1 else {})
        ),
        getattr(linear_model, name)(**found[name]),
    ]
    codes = [estimator_code(model) for model in models]
    return "\n".join(
        [
            f"# {regularizer.label}",
            *sorted(line for code in codes for line in code.imports),
            "from sklearn.pipeline import make_pipeline",
            "from sklearn.preprocessing import StandardScaler",
            "",
            f"classifier = make_pipeline(StandardScaler(), {codes[0].expression})",
            f"regressor = make_pipeline(StandardScaler(), {codes[1].expression})",
            "",
        ]
    )
