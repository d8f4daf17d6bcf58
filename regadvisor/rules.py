"""Rules for values that callers pass, each by itself: *name* must *rule*, got *value*; what to do."""

from __future__ import annotations

import math
import numbers
import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from regadvisor.errors import ParameterError


class Rule(NamedTuple):
    """What a value has to be: the test, the rule in words, and what to do about others."""

    test: Callable[[Any], bool]
    text: str
    do: str = ""


def check(rules: Mapping[str, Rule], name: str, value: Any) -> Any:
    """Return a value that is by its rule.

    Raises ParameterError if it is not.

    >>> check({"folds": whole(2, "an integer of at least 2")}, "folds", 1)
    Traceback (most recent call last):
    ...
    regadvisor.errors.ParameterError: folds must be an integer of at least 2, got 1
    """
    rule = rules[name]
    if rule.test(value):
        return value
    do = f"; {rule.do}" if rule.do else ""
    raise ParameterError(f"{name} must be {rule.text}, got {value!r}{do}")


def optional(rule: Rule) -> Rule:
    """Return the rule of a value that may also be None."""
    return Rule(lambda value: value is None or rule.test(value), f"{rule.text} or None", rule.do)


def choice(*known: str, also: str = "", do: str = "") -> Rule:
    """Return the rule of one of some texts; `also`: what else it may be, a function of the caller's."""
    text = f"one of {', '.join(map(repr, known))}{also}"

    def test(value: Any) -> bool:
        is_function = bool(also) and callable(value) and not isinstance(value, type)
        return is_function or (isinstance(value, str) and value in known)

    return Rule(test, text, do)


def is_number(value: Any, low: float = -sys.float_info.max, below: float = math.inf) -> bool:
    """Return whether a value is a finite number from `low` up to, but not including, `below`."""
    is_one = isinstance(value, numbers.Real) and not isinstance(value, bool)
    value = value.item() if hasattr(value, "item") else value  # float32 cannot hold the largest float
    return is_one and bool(low <= value < below and value <= sys.float_info.max)


def number(low: float, below: float, text: str, do: str = "") -> Rule:
    """Return the rule of a number in [low, below)."""
    return Rule(lambda value: is_number(value, low, below), text, do)


def whole(low: int, text: str, do: str = "") -> Rule:
    """Return the rule of a whole number of at least `low`."""
    return Rule(lambda value: isinstance(value, numbers.Integral) and is_number(value, low), text, do)


CALLABLE = Rule(
    lambda value: callable(value) and not isinstance(value, type),
    "a callable",
    "of a class pass an object, as loss=nn.HuberLoss()",
)
FLAG = Rule(lambda value: isinstance(value, bool), "True, False")
