"""The libraries that an advice can be written down for: one function each, and one table of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from regadvisor.conversions import known_as, raw_target
from regadvisor.errors import ParameterError
from regadvisor.records import DataFacts, Training
from regadvisor.regularizer import Regularizer

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

    from regadvisor.families.pipeline import AdvisedPipeline


@dataclass(frozen=True, kw_only=True)
class Request:
    """What code is asked for."""

    facts: DataFacts
    training: Training
    regularizer: Regularizer
    #: What the code begins with, as a comment.
    verdict: str
    #: Returns the unfitted pipeline of the advice.
    build: Callable[[], AdvisedPipeline]


def _sklearn(request: Request) -> str:
    """Return code of the same pipeline as ``advice.build()``."""
    from sklearn.pipeline import Pipeline

    from regadvisor.export.code import sklearn_snippet, unnamed

    if request.training.family == "module":
        raise ParameterError(
            "target must be 'torch' for advice about a module of your own, got 'sklearn'; advice.build() "
            "is a scikit-learn pipeline with it"
        )
    pipeline = request.build()
    weights = pipeline.weight_name if request.facts.has_weights else None
    if request.facts.is_plain_y:  # what build() does more is not needed
        pipeline = Pipeline(pipeline.steps, memory=pipeline.memory)
    if request.training.estimator is None:
        pipeline = _in_own_unit(pipeline, request)
    if request.facts.is_plain_y and request.training.estimator is None:
        pipeline = unnamed(pipeline)
        written = getattr(pipeline[-1], "written_as", type(pipeline[-1]))  # make_pipeline calls it so
        weights = weights and weights.replace("model__", f"{written.__name__.lower()}__", 1)
    return sklearn_snippet(
        pipeline, task=request.facts.task, verdict_comment=request.verdict, weights=weights
    )


def _in_own_unit(pipeline: Pipeline, request: Request) -> Pipeline:
    """Return the pipeline of a linear regression with L1 for the target as it is, with the report's alpha."""
    from regadvisor.families.linear.build import linear_model

    facts, strengths = request.facts, request.regularizer.strengths()
    is_turned = request.training.family == "linear" and facts.task == "regression" and "l1" in strengths
    if not is_turned or facts.n_targets > 1 or facts.has_weights or not facts.target_sd:
        return pipeline
    l1, l2 = raw_target(strengths["l1"], strengths.get("l2", 0.0), facts.target_sd)
    return pipeline.set_params(model=linear_model(task=facts.task, l1=l1, l2=l2, n_rows=facts.n_rows))


def _network(request: Request, library: Literal["torch", "keras", "skorch"]) -> str:
    """Return a script that trains the advised network."""
    from sklearn.pipeline import Pipeline

    from regadvisor.export.torch_snippet import torch_snippet

    training = request.training
    if training.family == "fitted" or training.steps or training.objective:
        own = ", ".join((*training.steps, *training.objective)) or "its own objective"
        raise ParameterError(
            f"target must be 'sklearn' for advice about {training.estimator} with {own}, got {library!r}: "
            "a plain loop has none of these"
        )
    if training.family == "module":
        from regadvisor.families.neural.image_encoding import module_preprocessor

        preprocessor = module_preprocessor(request.facts, training.transform, training.layout)
    else:
        preprocessor = Pipeline(request.build().steps[:-1])
    return torch_snippet(
        preprocessor,
        request.facts,
        training=training,
        regularizer=request.regularizer,
        verdict_comment=request.verdict,
        library=library,
    )


#: How code is written, by the ``target`` of ``advice.snippet``.
TARGETS: dict[str, Callable[[Request], str]] = {
    "sklearn": _sklearn,
    "torch": partial(_network, library="torch"),
    "keras": partial(_network, library="keras"),
    "skorch": partial(_network, library="skorch"),
}


def written(request: Request, target: Any) -> str:
    """Return the code for a library; see :meth:`regadvisor.Advice.snippet`."""
    training, name = request.training, known_as(target, TARGETS)
    if training.engine in ("keras", "skorch") and name != "sklearn":
        return request.regularizer.snippet(target)
    if training.family == "fitted" and training.estimator is None:
        raise ParameterError(
            "snippet() must be asked of advice about a model that regadvisor can write down, got "
            f"{training.module}, a function of yours, and {target!r}; call it with advice.regularizer, "
            "or use advice.build()"
        )
    if name not in TARGETS:
        raise ParameterError(f"target must be one of {', '.join(map(repr, TARGETS))}, got {target!r}")
    return TARGETS[name](request)
