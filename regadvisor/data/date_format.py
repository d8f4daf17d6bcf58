"""The one format in which all dates of a column are written, for scripts: pandas alone reads them by it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.tseries.api import guess_datetime_format

from regadvisor.quiet import ignoring


def common_format(texts: Sequence[str], stamps: NDArray[np.datetime64], *, is_day_first: bool) -> str | None:
    """Return a format of ``strptime`` by which pandas reads all texts as we do; None if it knows none.

    `texts`: distinct ones. `stamps`: what they are to us, in UTC; NaT is no date.

    >>> two = np.array(["2024-02-01", "2024-02-13"], dtype="M8[us]")
    >>> common_format(["01/02/2024", "13/02/2024"], two, is_day_first=True)
    '%d/%m/%Y'
    >>> common_format(["01/02/2024", "13 Feb 2024"], two, is_day_first=True)
    """
    with ignoring(UserWarning):  # that the example cannot be read in this order
        found = guess_datetime_format(texts[int(np.argmax(~np.isnat(stamps)))], dayfirst=is_day_first)
    try:
        times = pd.to_datetime(pd.Series(texts, dtype=object), format=found, utc=True) if found else None
    except ValueError:
        return None
    if times is None:
        return None
    read = times.dt.tz_localize(None).to_numpy().astype("M8[us]")
    return found if np.array_equal(read, stamps, equal_nan=True) else None
