"""Datasets and loaders of torch, read into memory: features and target of every row."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regadvisor.data.arrays import plain_array
from regadvisor.errors import DataError

#: A data set that takes more memory is refused.
MOST_BYTES = 2_000_000_000


def is_dataset(X: Any) -> bool:
    """Return whether X is a Dataset or a DataLoader of torch; torch is not imported for that.

    Examples
    --------
    >>> is_dataset([[1.0], [2.0]])
    False
    """
    data = sys.modules.get("torch.utils.data")
    return data is not None and isinstance(X, data.Dataset | data.DataLoader)


def unpacked(X: Any, y: Any) -> tuple[Any, Any]:
    """Return features and target: those that a data set holds, else X and y as they are.

    Parameters
    ----------
    X : torch.utils.data.Dataset or DataLoader, or anything else
        Gives pairs (features, target); features may be a tuple or a dict of tensors. Of a loader the batches
        are read in its order. What a data set draws at random (augmentation) is read once.
    y : None for a data set

    Raises
    ------
    DataError
        If `y` is given as well, a row is no pair, or all rows take more than 2 GB.

    Examples
    --------
    >>> import torch
    >>> pairs = torch.utils.data.TensorDataset(torch.zeros(4, 3), torch.arange(4))
    >>> X, y = unpacked(pairs, None)
    >>> X.shape, y.tolist()
    ((4, 3), [0, 1, 2, 3])
    """
    if not is_dataset(X):
        if y is None:
            raise DataError(
                "y must be the target, or of a frame the name of its column, got None; only a Dataset or "
                "DataLoader of torch holds it by itself"
            )
        return X, y
    if y is not None:
        raise DataError(
            f"y must be None for a {type(X).__name__}, which holds the target, got {type(y).__name__}"
        )
    import torch

    # A loader draws a seed even where it does not shuffle.
    generator = getattr(X, "generator", None)
    state = None if generator is None else generator.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            return _read(X)
    finally:
        if generator is not None:
            generator.set_state(state)


def _read(X: Any) -> tuple[Any, NDArray[Any]]:
    """Return features and target of all rows of a data set, or of all batches of a loader."""
    name = type(X).__name__
    has_batches = getattr(X, "batch_sampler", None) is not None
    features: list[dict[Any, NDArray[Any]]] = []
    targets: list[NDArray[Any]] = []
    n_bytes = 0
    for pair in _pairs(X):
        if not isinstance(pair, tuple | list) or len(pair) < 2:
            raise DataError(
                f"a {name} must give pairs (features, target), got {type(pair).__name__}; pass X and y as "
                f"arrays"
            )
        *given, target = pair
        row = {key: _array(value) for key, value in _named(given[0] if len(given) == 1 else tuple(given))}
        n_bytes += sum(value.nbytes for value in row.values())
        if n_bytes > MOST_BYTES:
            raise DataError(
                f"a {name} must take at most {MOST_BYTES / 1e9:g} GB in memory, got more after "
                f"{len(targets):,} "
                f"{'batches' if has_batches else 'rows'}; pass a part of it: "
                "torch.utils.data.Subset(dataset, rows)"
            )
        features.append(row)
        targets.append(_array(target))
    if not targets:
        raise DataError(f"a {name} must hold at least 2 rows, got none")
    join = np.concatenate if has_batches else np.stack
    try:
        return _as_given({key: join([row[key] for row in features]) for key in features[0]}), join(targets)
    except (ValueError, KeyError) as error:
        raise DataError(
            f"the rows of a {name} must have one shape, got {error}; resize images to one size, and pad "
            f"or cut "
            "sequences to one length"
        ) from error


def _pairs(X: Any) -> Iterator[Any]:
    if isinstance(X, Iterable) or not hasattr(X, "__len__"):
        yield from X
        return
    yield from (X[row] for row in range(len(X)))


def _named(given: Any) -> list[tuple[str | int | None, Any]]:
    if isinstance(given, dict):
        return list(given.items())
    return list(enumerate(given)) if isinstance(given, tuple | list) else [(None, given)]


def _as_given(found: dict[Any, NDArray[Any]]) -> Any:
    if None in found:
        return found[None]
    return tuple(found.values()) if 0 in found else found


def _array(value: Any) -> NDArray[Any]:
    return plain_array(value, name="a row of X")
