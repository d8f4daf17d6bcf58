"""regadvisor: which regularizer should this model on this data start with?

The public names are loaded when they are first used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

import importlib
import random
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if TYPE_CHECKING:
    from regadvisor.advice import Advice
    from regadvisor.api import advise
    from regadvisor.errors import (
        DataError,
        MissingDependencyError,
        OutOfMemoryError,
        ParameterError,
        RecordError,
        RegadvisorError,
        StorageError,
        StrengthError,
    )
    from regadvisor.estimator import AdvisedClassifier, AdvisedRegressor, RegularizationAdvisor
    from regadvisor.families.fitted.function import fit_function
    from regadvisor.families.neural.estimator import NetworkClassifier, NetworkRegressor
    from regadvisor.families.neural.module.audit import audit
    from regadvisor.families.neural.recipe import Recipe
    from regadvisor.flowchart.chart import CLASSIC, EXTENDED, Chart, Edge, Question
    from regadvisor.regularizer import Regularizer
    from regadvisor.without_data import advise_without_data

_HOME = {
    "Advice": "advice",
    "AdvisedClassifier": "estimator",
    "AdvisedRegressor": "estimator",
    "CLASSIC": "flowchart.chart",
    "Chart": "flowchart.chart",
    "DataError": "errors",
    "EXTENDED": "flowchart.chart",
    "Edge": "flowchart.chart",
    "MissingDependencyError": "errors",
    "NetworkClassifier": "families.neural.estimator",
    "NetworkRegressor": "families.neural.estimator",
    "ParameterError": "errors",
    "Question": "flowchart.chart",
    "Recipe": "families.neural.recipe",
    "RecordError": "errors",
    "RegadvisorError": "errors",
    "RegularizationAdvisor": "estimator",
    "Regularizer": "regularizer",
    "OutOfMemoryError": "errors",
    "StorageError": "errors",
    "StrengthError": "errors",
    "advise": "api",
    "advise_without_data": "without_data",
    "fit_function": "families.fitted.function",
    "audit": "families.neural.module.audit",
}

__all__ = [
    "CLASSIC",
    "EXTENDED",
    "Advice",
    "AdvisedClassifier",
    "AdvisedRegressor",
    "Chart",
    "DataError",
    "Edge",
    "MissingDependencyError",
    "NetworkClassifier",
    "NetworkRegressor",
    "OutOfMemoryError",
    "ParameterError",
    "Question",
    "Recipe",
    "RecordError",
    "RegadvisorError",
    "RegularizationAdvisor",
    "Regularizer",
    "StorageError",
    "StrengthError",
    "__version__",
    "advise",
    "advise_without_data",
    "audit",
    "fit_function",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    state = random.getstate()  # rich, which scikit-learn imports, draws a number while it is imported
    try:
        value = getattr(importlib.import_module(f"regadvisor.{_HOME[name]}"), name)
    finally:
        random.setstate(state)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
