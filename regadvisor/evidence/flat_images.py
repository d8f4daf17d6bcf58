"""Images that were flattened into a table: the columns still tell."""

from __future__ import annotations

import re

import numpy as np

from regadvisor.data.table import Table
from regadvisor.evidence.associations import draw_rows
from regadvisor.evidence.layout import find_layout
from regadvisor.records import Note
from regadvisor.thresholds import FEWEST_ROWS_TO_MEASURE

_ROWS = 500
_GRID = re.compile(r"(\d+)x(\d+) grid(, 3 channels)?")


def flat_images(table: Table, *, seed: int) -> tuple[Note, ...]:
    """Return what to say of a table whose columns fill a grid in which neighbours belong together.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from regadvisor.data.source import make_table
    >>> (note,) = flat_images(make_table(*load_digits(return_X_y=True)), seed=0)
    >>> note.text.partition(";")[0]
    'The 64 columns look like images of 8×8 pixels'
    """
    facts = table.facts
    if facts.image_shape is not None or facts.inputs or table.n_rows < FEWEST_ROWS_TO_MEASURE:
        return ()
    rng = np.random.default_rng(seed)
    layout = find_layout(table.take(draw_rows(table.n_rows, _ROWS, rng)), rng)
    grid = _GRID.fullmatch(layout.label) if layout is not None and layout.is_seen else None
    if grid is None:
        return ()
    height, width, channels = grid.groups()
    shape = f"{height}, {width}" + (", 3" if channels else "")
    text = (
        f"The {facts.n_features:,} columns look like images of {height}×{width} pixels; "
        f"X.reshape(-1, {shape}) keeps their shape, for model='cnn' or a convolutional module of yours."
    )
    return (Note(code="flat-images", text=text),)
