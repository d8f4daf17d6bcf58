"""Numbers as people write them, the same in every reason, report and error."""

from __future__ import annotations

import math


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
