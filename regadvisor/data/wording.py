"""How names and counts are written in messages about data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: Characters of a name or value in a message.
_LONGEST = 80


def shown(name: object) -> str:
    """Return one name or value as people write it: NumPy's numbers as plain ones.

    Examples
    --------
    >>> import numpy as np
    >>> shown(np.int64(17)), shown("age")
    ('17', "'age'")
    """
    text = repr(name.item() if isinstance(name, np.generic) else name)
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
    texts = [shown(name) for name in names[:limit]]
    if len(names) > limit:
        return ", ".join(texts) + f" and {len(names) - limit} more"
    return texts[0] if len(texts) == 1 else ", ".join(texts[:-1]) + f" and {texts[-1]}"


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
