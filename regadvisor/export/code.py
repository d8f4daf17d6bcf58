"""From an unfitted scikit-learn object to the Python code that makes it."""

from __future__ import annotations

import functools
import importlib
import inspect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from sklearn.pipeline import Pipeline

from regadvisor.errors import ParameterError

#: Longest line of generated code.
WIDTH = 100


@dataclass(frozen=True, kw_only=True)
class Code:
    """Runnable Python: import lines, sorted, and one expression (possibly over several lines)."""

    imports: tuple[str, ...]
    expression: str


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

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> code = estimator_code(LogisticRegression(C=np.inf))
    >>> code.imports
    ('from sklearn.linear_model import LogisticRegression',)
    >>> code.expression
    'LogisticRegression(C=float("inf"))'
    """
    from rich.pretty import pretty_repr

    imports: set[str] = set()
    expression = pretty_repr(_node(estimator, imports), max_width=WIDTH)
    return Code(expression=expression, imports=tuple(sorted(imports)))


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
            "",
            f"model = {code.expression}",
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

    # Python, not HTML: nothing to escape.
    environment = Environment(  # noqa: S701
        loader=PackageLoader("regadvisor.export"),
        trim_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    )
    return environment.get_template(template).render(values)


def comment(text: str) -> list[str]:
    """Return text as comment lines.

    Examples
    --------
    >>> comment("one\\ntwo")
    ['# one', '# two']
    """
    return [f"# {line}".rstrip() for line in text.splitlines()]


# ------------------------------------------------------------------------------------ values into nodes


def _node(value: Any, imports: set[str]) -> Any:
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
        return {_node(key, imports): _node(item, imports) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        items = [_node(item, imports) for item in value]
        return type(value)(items) if type(value) in (list, tuple, set, frozenset) else tuple(items)
    if isinstance(value, (np.ndarray, np.dtype, np.ufunc)):
        return _numpy(value, imports)
    if inspect.isclass(value) or inspect.isroutine(value):
        return _Literal(_imported(value, imports))
    if isinstance(value, np.random.RandomState | np.random.Generator):
        raise ParameterError(
            f"random_state must be a whole number to be written as code, got a {type(value).__name__}, whose "
            "state is no code. Pass a number, or use the model object itself"
        )
    if isinstance(value, functools.partial):
        return _partial(value, imports)
    return _constructor(value, imports)


def _quoted(text: str) -> _Literal:
    """Return a string literal, in double quotes where that needs no escaping."""
    literal = repr(text)
    is_plain = literal[0] == "'" and '"' not in literal and "\\" not in literal
    return _Literal(f'"{literal[1:-1]}"' if is_plain else literal)


def _numpy(value: Any, imports: set[str]) -> Any:
    """Return an array, a dtype or a universal function."""
    imports.add("import numpy as np")
    if isinstance(value, np.ufunc):
        return _Literal(f"np.{value.__name__}")
    if isinstance(value, np.dtype):
        return _call("np.dtype", [_quoted(value.str if value.names is None else str(value))])
    dtype = _Literal("object") if value.dtype == object else _quoted(str(value.dtype))
    return _call("np.array", [_node(value.tolist(), imports), _Named("dtype", dtype)])


def _imported(value: Any, imports: set[str]) -> str:
    """Return the name of a class or function and note its import."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", "<unknown>")
    if module == "builtins":
        return str(name)
    if (module or "").partition(".")[0] == "numpy" and getattr(np, name, None) is value:
        imports.add("import numpy as np")
        return f"np.{name}"
    public = _public_module(module, name, value) if module else None
    if public is None:
        raise ParameterError(
            f"every function and class in the model must be importable to be written as code, got {value!r}. "
            "Define it in a module, or use the model object itself"
        )
    imports.add(f"from {public} import {name}")
    return str(name)


def _public_module(module: str, name: str, value: Any) -> str | None:
    """Return the shortest public module that offers `value` as `name`, or None."""
    if module == "__main__" or "<" in name or "." in name:
        return None
    parts = module.split(".")
    first_private = next((i for i, part in enumerate(parts) if part.startswith("_")), len(parts))
    for n_parts in (*range(first_private, 0, -1), len(parts)):
        candidate = ".".join(parts[:n_parts])
        if getattr(importlib.import_module(candidate), name, None) is value:
            return candidate
    return None


def _partial(value: functools.partial[Any], imports: set[str]) -> Any:
    """Return a ``functools.partial``."""
    imports.add("from functools import partial")
    items = [_node(each, imports) for each in (value.func, *value.args)]
    return _call(
        "partial", [*items, *(_Named(key, _node(arg, imports)) for key, arg in value.keywords.items())]
    )


def _constructor(value: Any, imports: set[str]) -> Any:
    """Return the constructor call of an object that keeps its parameters under their names."""
    signature = inspect.signature(type(value).__init__)
    name = _imported(type(value), imports)
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
        node = _node(given, imports)
        items.append(node if may_be_positional else _Named(parameter.name, node))
    return _call(name, items)


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
