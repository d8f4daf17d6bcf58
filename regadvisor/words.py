"""Numbers, counts and names as people write them, the same in every reason, report and error."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

#: Characters of a name or value in a message.
_LONGEST = 80


def number(value: float) -> str:
    """Return `value` with three significant digits.

    Examples
    --------
    >>> number(0.000312), number(0.0000305), number(1234.6), number(12.0), number(0)
    ('0.000312', '3.05e-5', '1,235', '12', '0')
    """
    if value == 0:
        return "0"
    if not math.isfinite(value):
        return str(value)
    if abs(value) >= 1000:
        return f"{value:,.0f}" if abs(value) < 1e9 else f"{value:.3g}".replace("e+0", "e").replace("e+", "e")
    return f"{value:.3g}".replace("e-0", "e-")


def adjusted(drift: float) -> str:
    """Return what smaller samples added to the powers, as a clause; nothing if it is nothing.

    Examples
    --------
    >>> adjusted(0.125), adjusted(0.0)
    (', +0.12 to the power as smaller samples showed', '')
    """
    return f", {drift:+.2f} to the power as smaller samples showed" if drift else ""


def capital(text: str) -> str:
    """Return `text` with a capital first letter.

    Examples
    --------
    >>> capital("dropout+L2 wins")
    'Dropout+L2 wins'
    """
    return text[:1].upper() + text[1:]


def shown(name: object) -> str:
    """Return one name or value as people write it: NumPy's numbers as plain ones.

    Examples
    --------
    >>> import numpy as np
    >>> shown(np.int64(17)), shown("age")
    ('17', "'age'")
    """
    is_numpy = type(name).__module__ == "numpy" and hasattr(name, "item")
    text = repr(name.item() if is_numpy else name)  # type: ignore[attr-defined]
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def listed(names: Sequence[object], *, limit: int = 5) -> str:
    """Return names as people list them, at most `limit` of them.

    Examples
    --------
    >>> listed(["age", "sex"])
    "'age' and 'sex'"
    >>> listed([3])
    '3'
    >>> listed(["a", "b", "c", "d"], limit=2)
    "'a', 'b' and 2 more"
    """
    return joined([shown(name) for name in names], most=limit)


def joined(texts: Iterable[str], *, most: int = 8) -> str:
    """Return texts as people list them; of more than `most` only the first are named.

    Examples
    --------
    >>> joined(["L2", "L1", "dropout"]), joined("abcd", most=2)
    ('L2, L1 and dropout', 'a, b and 2 more')
    """
    items = list(texts)
    if len(items) > most:
        items = [*items[:most], f"{len(items) - most:,} more"]
    return f"{', '.join(items[:-1])} and {items[-1]}" if len(items) > 1 else "".join(items)


def counted(n: int, noun: str, plural: str | None = None) -> str:
    """Return a count with its noun.

    Examples
    --------
    >>> counted(1, "row"), counted(1200, "row"), counted(2, "class", "classes")
    ('1 row', '1,200 rows', '2 classes')
    """
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def agreed(n: int, one: str, many: str) -> str:
    """Return the words that agree with a count.

    Examples
    --------
    >>> agreed(1, "was", "were"), agreed(2, "it carries", "they carry")
    ('was', 'they carry')
    """
    return one if n == 1 else many
