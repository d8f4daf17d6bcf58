"""From an unfitted scikit-learn object to the Python code that makes it."""

from __future__ import annotations

import functools
import importlib
import inspect
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np
from sklearn.compose import ColumnTransformer, make_column_transformer
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline, make_pipeline

from regadvisor.errors import ParameterError
from regadvisor.families import plain

#: Longest line of generated code.
WIDTH = 100


@dataclass(frozen=True, kw_only=True)
class Code:
    """Runnable Python: import lines, sorted, and one expression (possibly over several lines)."""

    imports: tuple[str, ...]
    expression: str
    #: Source of steps of ours that the expression names, each a class or a function.
    definitions: tuple[str, ...] = ()

    @property
    def before(self) -> str:
        """The definitions, with the blank lines around them that Python code has."""
        return "".join(f"\n\n{each}" for each in self.definitions) + ("\n\n" if self.definitions else "\n")


@dataclass(frozen=True)
class _Needs:
    """What an expression needs in front of it."""

    imports: set[str] = field(default_factory=set)
    definitions: dict[str, str] = field(default_factory=dict)

    def define(self, value: Any) -> str:
        """Note the source of a step of ours and what that imports, and return its name."""
        try:
            source = inspect.getsource(value)
        except OSError:  # a program that was frozen holds no sources
            self.imports.add(f"from {value.__module__} import {value.__name__}")
            return str(value.__name__)
        self.definitions[value.__name__] = source
        self.imports.update(line for name, line in _SCRIPT_IMPORTS.items() if name in source)
        return str(value.__name__)


#: Import lines of the steps in ``plain.py``, by what asks for them.
_SCRIPT_IMPORTS = {
    "np.": "import numpy as np",
    "pd.": "import pandas as pd",
    "BaseEstimator": "from sklearn.base import BaseEstimator, TransformerMixin",
}


class _Literal:
    """Code that stands in an expression as it is."""

    def __init__(self, code: str) -> None:
        self._code = code

    def __repr__(self) -> str:
        return self._code


class _Named(NamedTuple):
    """An argument by name."""

    name: str
    value: Any


def _call(name: str, items: Sequence[Any]) -> Any:
    """Return what rich prints as a call of `name`."""
    # Rich takes a pair for a name and a value, and a tuple of one for a value alone.
    pairs = [tuple(item) if isinstance(item, _Named) else (item,) for item in items]
    return type(name, (), {"__rich_repr__": lambda self: iter(pairs)})()


def estimator_code(estimator: Any) -> Code:
    """Return the code that makes an equal unfitted object, naming only parameters that are not the default.

    `estimator`: a scikit-learn estimator, transformer or pipeline, of classes and functions that can be
    imported.

    Raises ParameterError if a parameter has no code: a lambda, a local function, an object of unknown state.

    >>> from sklearn.linear_model import LogisticRegression
    >>> code = estimator_code(LogisticRegression(C=np.inf))
    >>> code.imports
    ('from sklearn.linear_model import LogisticRegression',)
    >>> code.expression
    'LogisticRegression(C=float("inf"))'
    """
    from rich.pretty import pretty_repr

    needs = _Needs()
    expression = pretty_repr(_node(estimator, needs), max_width=WIDTH)
    return Code(
        expression=expression, imports=_joined(needs.imports), definitions=tuple(needs.definitions.values())
    )


def _joined(lines: set[str]) -> tuple[str, ...]:
    """Return import lines, sorted, with the names of a module on one line as far as they fit.

    >>> _joined({"from a import c", "import numpy as np", "from a import b"})
    ('import numpy as np', 'from a import b, c')
    """
    whole = sorted(line for line in lines if line.startswith("import"))
    names: dict[str, str] = {}
    for line in sorted(lines - {*whole}):
        module, name = line.split(" import ")
        longer = f"{names[module]}, {name}" if module in names else name
        if len(f"{module} import {longer}") > WIDTH:  # the same module once more
            whole.append(f"{module} import {names[module]}")
            longer = name
        names[module] = longer
    return (*whole, *(f"{module} import {name}" for module, name in names.items()))


def unnamed(step: Any) -> Any:
    """Return the same steps without names of ours and without pipelines of one step, which makes short code.

    >>> from sklearn.preprocessing import StandardScaler
    >>> steps = Pipeline([("preprocess", Pipeline([("scale", StandardScaler())]))])
    >>> estimator_code(unnamed(steps)).expression
    'StandardScaler()'
    """
    if isinstance(step, ColumnTransformer):
        parts = [(unnamed(each), columns) for _, each, columns in step.transformers]
        made = make_column_transformer(*parts)
        return made.set_params(
            **{k: v for k, v in step.get_params(deep=False).items() if k != "transformers"}
        )
    if type(step) is not Pipeline:
        return step
    steps = [unnamed(each) for _, each in step.steps]
    flat = [
        part for each in steps for part in ([p for _, p in each.steps] if type(each) is Pipeline else [each])
    ]
    return flat[0] if len(flat) == 1 else make_pipeline(*flat, memory=step.memory)


def sklearn_snippet(pipeline: Any, *, task: str, verdict_comment: str, weights: str | None = None) -> str:
    """Return a script that makes `pipeline`, and fits it on `X` and `y`, which have to exist.

    `weights`: the name under which it takes those of the rows; the array ``sample_weight`` has to exist, too.
    """
    code = estimator_code(pipeline)
    use = "model.predict(X_new)" if task == "regression" else "model.predict_proba(X_new)"
    return "\n".join(
        [
            *comment(verdict_comment),
            *code.imports,
            f"{code.before}model = {code.expression}",
            *_output_lines(pipeline, "model"),
            *(["model.fit(X, y)"] if weights is None else _weighted_fit(weights)),
            f"# Then: {use}",
            "",
        ]
    )


def _output_lines(pipeline: Any, name: str) -> list[str]:
    """Return what sets the containers that steps return: these are no parameters."""
    lines: list[str] = []
    for step_name, step in pipeline.steps if isinstance(pipeline, Pipeline) else ():
        own, inside = getattr(step, "_sklearn_output_config", {}), f"{name}[{_quoted(step_name)!r}]"
        if own.get("transform"):
            lines.append(f"{inside}.set_output(transform={_quoted(own['transform'])!r})")
        lines += _output_lines(step, inside)
    return lines


def _weighted_fit(name: str) -> list[str]:
    return [
        "# The strengths are for weights with a mean of 1.",
        "weight = sample_weight / sample_weight[sample_weight > 0].mean()",
        f"model.fit(X, y, {name}=weight)",
    ]


def rendered(template: str, **values: Any) -> str:
    """Return Python code from a template; values of the data come in as literals only."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(  # noqa: S701  # Python, not HTML: nothing to escape
        loader=PackageLoader("regadvisor.export"),
        trim_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    return environment.get_template(template).render(values)


def comment(text: str) -> list[str]:
    """Return text as comment lines.

    >>> comment("one\\ntwo")
    ['# one', '# two']
    """
    return [f"# {line}".rstrip() for line in text.splitlines()]


def _node(value: Any, needs: _Needs) -> Any:
    """Return what rich prints as the code of a value, and note what that imports."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, float) and not math.isfinite(value):
        return _Literal(f'float("{value}")')
    if value is None or isinstance(value, (bool, int, float, complex, bytes, slice, range)):
        return value
    if isinstance(value, dict):
        return {_node(key, needs): _node(item, needs) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        items = [_node(item, needs) for item in value]
        return type(value)(items) if type(value) in (list, tuple, set, frozenset) else tuple(items)
    if isinstance(value, (np.ndarray, np.dtype, np.ufunc)):
        return _numpy(value, needs)
    if inspect.isclass(value) or inspect.isroutine(value):
        return _Literal(_imported(value, needs))
    if isinstance(value, np.random.RandomState | np.random.Generator | FrozenEstimator):
        raise ParameterError(
            f"what a model holds must be written as code, got a {type(value).__name__}, whose state is none. "
            "Pass a whole number as random_state, and steps to be fitted, or use the model object itself"
        )
    if isinstance(value, functools.partial):
        return _partial(value, needs)
    return _constructor(value, needs)


def _quoted(text: str) -> _Literal:
    """Return a string literal, in double quotes where that needs no escaping."""
    literal = repr(text)
    is_plain = literal[0] == "'" and '"' not in literal and "\\" not in literal
    return _Literal(f'"{literal[1:-1]}"' if is_plain else literal)


def _numpy(value: Any, needs: _Needs) -> Any:
    """Return an array, a dtype or a universal function."""
    needs.imports.add("import numpy as np")
    if isinstance(value, np.ufunc):
        return _Literal(f"np.{value.__name__}")
    if isinstance(value, np.dtype):
        return _call("np.dtype", [_quoted(value.str if value.names is None else str(value))])
    dtype = _Literal("object") if value.dtype == object else _quoted(str(value.dtype))
    return _call("np.array", [_node(value.tolist(), needs), _Named("dtype", dtype)])


def _imported(value: Any, needs: _Needs, *, may_define: bool = True) -> str:
    """Return the name of a class or function and note its import, or its source where it is ours."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", "<unknown>")
    if module == "builtins":
        return str(name)
    if may_define and (own := _written_out(value)) is not None:
        return needs.define(own)
    if (module or "").partition(".")[0] == "numpy" and getattr(np, name, None) is value:
        needs.imports.add("import numpy as np")
        return f"np.{name}"
    public = _public_module(module, name, value) if module else None
    if public is None:
        raise ParameterError(
            f"every function and class in the model must be importable to be written as code, got {name!r}. "
            "Write it with def or class outside of any function, or use the model object itself"
        )
    needs.imports.add(f"from {public} import {name}")
    return str(name)


def _written_out(value: Any) -> Any:
    """Return what scripts have for a class or function of ours; None: they import it."""
    is_ours = str(getattr(value, "__module__", None)).startswith("regadvisor.")
    return getattr(plain, value.__name__, None) if is_ours else None


def _public_module(module: str, name: str, value: Any) -> str | None:
    """Return the shortest public module that offers `value` as `name`, or None."""
    if "<" in name or "." in name:
        return None
    parts = module.split(".")
    first_private = next((i for i, part in enumerate(parts) if part.startswith("_")), len(parts))
    for n_parts in (*range(first_private, 0, -1), len(parts)):
        candidate = ".".join(parts[:n_parts])
        if getattr(importlib.import_module(candidate), name, None) is value:
            return candidate
    return None


def _partial(value: functools.partial[Any], needs: _Needs) -> Any:
    """Return a ``functools.partial``."""
    needs.imports.add("from functools import partial")
    items = [_node(each, needs) for each in (value.func, *value.args)]
    return _call(
        "partial", [*items, *(_Named(key, _node(arg, needs)) for key, arg in value.keywords.items())]
    )


def _constructor(value: Any, needs: _Needs) -> Any:
    """Return the constructor call of an object that keeps its parameters under their names."""
    if _has_given_names(value):
        return _made(value, needs)
    kind = getattr(value, "written_as", type(value))
    own = _written_out(kind) if _has_formats(value) else None
    signature = inspect.signature((own or kind).__init__)
    name = needs.define(own) if own else _imported(kind, needs, may_define=False)
    items: list[Any] = []
    may_be_positional = True
    for parameter in list(signature.parameters.values())[1:]:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        given = _parameter(value, parameter.name)
        is_required = parameter.default is parameter.empty
        if not is_required and _is_same(given, parameter.default):
            may_be_positional = False
            continue
        may_be_positional &= is_required and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
        may_be_positional &= not isinstance(given, tuple)  # rich takes one for a name and a value
        node = _node(given, needs)
        items.append(node if may_be_positional else _Named(parameter.name, node))
    return _call(name, items)


def _has_formats(step: Any) -> bool:
    """Whether pandas reads the dates of a step, if it has any, as it does: text needs a format."""
    orders, formats = (getattr(step, name, None) or () for name in ("orders", "formats"))
    return all(form for order, form in zip_longest(orders, formats) if order)


def _has_given_names(value: Any) -> bool:
    """Return whether a pipeline or column transformer has the names that scikit-learn gives."""
    if type(value) is Pipeline:
        return [*value.steps] == [*make_pipeline(*(step for _, step in value.steps)).steps]
    if type(value) is not ColumnTransformer or value.transformer_weights:  # these are by name
        return False
    made = make_column_transformer(*((step, columns) for _, step, columns in value.transformers))
    return [name for name, *_ in value.transformers] == [name for name, *_ in made.transformers]


def _made(value: Any, needs: _Needs) -> Any:
    """Return the call of the function that makes a pipeline or column transformer without names."""
    is_pipeline = type(value) is Pipeline
    name = "make_pipeline" if is_pipeline else "make_column_transformer"
    needs.imports.add(f"from sklearn.{'pipeline' if is_pipeline else 'compose'} import {name}")
    if is_pipeline:
        parts = [_node(step, needs) for _, step in value.steps]
    else:  # a call without a name is a tuple
        parts = [_call("", [_node(part, needs) for part in each[1:]]) for each in value.transformers]
    defaults = type(value)([]).get_params(deep=False)
    named = [
        _Named(key, _node(given, needs))
        for key, given in value.get_params(deep=False).items()
        if key not in ("steps", "transformers") and not _is_same(given, defaults[key])
    ]
    return _call(name, [*parts, *named])


def _parameter(value: Any, name: str) -> Any:
    """Return a constructor parameter of an object, which has to keep it."""
    if not hasattr(value, name):
        raise ParameterError(
            f"every object in the model must keep its constructor's parameters to be written as code, "
            f"got {value!r} without {name!r}. Use the model object itself"
        )
    return getattr(value, name)


def _is_same(given: Any, default: Any) -> bool:
    """Whether a parameter has its default value (arrays never count as default)."""
    if given is default:
        return True
    if type(given) is not type(default) or isinstance(given, np.ndarray):
        return False
    if isinstance(given, float) and math.isnan(given):
        return math.isnan(default)
    return isinstance(given, (bool, int, float, str, tuple, list, dict)) and bool(given == default)
