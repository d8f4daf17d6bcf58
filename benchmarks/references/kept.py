"""How references are kept: one compressed file for a set and a model, and one table of all of them.

A file holds arrays in single precision and, as JSON, everything that is no array. Arrays of several sizes lie
one behind the other; the shapes stand in the JSON.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from regret.cache import load_arrays, save_arrays
from regret.grids import Config

from regadvisor.regularizer import STRENGTHS

Floats = NDArray[np.float32]

#: Raised when the layout changes: files of another one are refused.
FORMAT = 1
#: Arrays that tell how sure means are: so many significant bits suffice.
COARSE, BITS = ("factor", "test_blocks"), 12
MODELS = ("linear", "module", "mlp")
#: Where the references of this repository lie.
KEPT = Path(__file__).parent / "kept"


@dataclass(frozen=True, kw_only=True, eq=False)
class Size:
    """What the grid gave on one number of training rows.

    Losses are log losses, or squared errors over the variance of the target on all training rows (of several
    targets the mean of these).

    Attributes
    ----------
    cv_losses : ndarray of float32, shape (n_configs, n_folds)
        Mean held-out loss by fold.
    fold_rows : ndarray of float32, shape (n_folds,)
        Rows that the fold tests.
    cv_constant : ndarray of float32, shape (n_folds,)
        The same of predicting the mean or the class shares.
    factor : ndarray of float32, shape (n_configs, rank)
        ``factor @ factor.T`` is the covariance of the held-out losses per row; see :attr:`covariance`.
    test_losses : ndarray of float32, shape (n_configs, n_seeds)
        Mean loss on the test rows after training on all rows of the size.
    test_blocks : ndarray of float32, shape (n_configs, n_blocks)
        The same, mean over seeds, by blocks of test rows: how they differ tells how sure the means are.
    test_constant, block_rows : ndarray of float32, shape (n_blocks,)
    converged : ndarray of float32, shape (n_configs,)
        1 if every fit on the folds converged, else 0.
    """

    n_rows: int
    cv_losses: Floats
    fold_rows: Floats
    cv_constant: Floats
    factor: Floats
    test_losses: Floats
    test_blocks: Floats
    test_constant: Floats
    block_rows: Floats
    converged: Floats

    @property
    def covariance(self) -> NDArray[np.float64]:
        """Covariance of held-out losses over candidates, shape (n_configs, n_configs).

        Over the tested rows it is the covariance of the mean losses' errors. Where rows are not independent
        (groups, blocks of time, copies), it is inflated so that this still holds. What it lacks is less than
        ``dense.LOST`` of the variance of the candidates' differences.
        """
        factor = self.factor.astype(np.float64)
        return factor @ factor.T

    @property
    def cv_means(self) -> NDArray[np.float64]:
        """Mean held-out loss over all tested rows, shape (n_configs,)."""
        return self.cv_losses @ (self.fold_rows / self.fold_rows.sum(dtype=np.float64))


@dataclass(frozen=True, kw_only=True, eq=False)
class Reference:
    """What is kept of one set and one model.

    Attributes
    ----------
    configs : tuple of Config
        The grid, the same at every size. Strengths of linear models are the library's own; those of networks
        are in units of 1 / Σ lr of the training.
    sizes : tuple of Size
        Largest first.
    meta : dict
        Set, origin, kind, model, task, rows and columns; ``correlation`` and ``whole_picture`` as measured on
        the training rows; ``cpu_s``: processor seconds of every stage at every size.
    """

    configs: tuple[Config, ...]
    sizes: tuple[Size, ...]
    meta: dict[str, Any]

    def save(self, path: Path) -> None:
        """Write the file, all at once."""
        arrays, shapes = {}, {}
        for name in _array_names():
            values = [getattr(size, name) for size in self.sizes]
            flat = np.concatenate([value.ravel() for value in values]).astype(np.float32)
            arrays[name] = _coarse(flat) if name in COARSE else flat
            shapes[name] = [list(value.shape) for value in values]
        meta = {
            "format": FORMAT,
            **self.meta,
            "configs": [[config.kind, config.values, config.fixed] for config in self.configs],
            "n_rows": [size.n_rows for size in self.sizes],
            "shapes": shapes,
        }
        save_arrays(path, meta, arrays)


def _coarse(values: Floats) -> Floats:
    """Return the values with ``BITS`` significant bits: what is zero after them takes little space."""
    mantissa, exponent = np.frexp(values)
    return np.ldexp(np.round(mantissa * 2**BITS) / 2**BITS, exponent).astype(np.float32)


def _array_names() -> list[str]:
    return [field.name for field in fields(Size) if field.name != "n_rows"]


def load_reference(path: Path) -> Reference:
    """Read one file.

    Raises
    ------
    ValueError
        If it has another format.
    """
    meta, arrays = load_arrays(path)
    found = meta.pop("format", None)
    if found != FORMAT:
        raise ValueError(f"{path.name} must have format {FORMAT}, got {found}; make it again")
    shapes, n_rows = meta.pop("shapes"), meta.pop("n_rows")
    configs = tuple(
        Config(kind=kind, values=tuple(values), fixed=fixed) for kind, values, fixed in meta.pop("configs")
    )
    parts: dict[str, list[Floats]] = {}
    for name in _array_names():
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes[name]])
        pieces = np.split(arrays[name], ends[:-1])
        parts[name] = [piece.reshape(shape) for piece, shape in zip(pieces, shapes[name], strict=True)]
    sizes = tuple(
        Size(n_rows=n, **{name: parts[name][number] for name in parts}) for number, n in enumerate(n_rows)
    )
    return Reference(configs=configs, sizes=sizes, meta=meta)


def references(folder: Path = KEPT, model: str | None = None) -> Iterator[Reference]:
    """Yield the references of a folder, of one model or of all."""
    for path in sorted(folder.glob(f"{model or '*'}/*.npz")):
        yield load_reference(path)


def table(folder: Path = KEPT, model: str | None = None) -> pd.DataFrame:
    """Return all references as one table: a row for every set, model, size and candidate.

    Columns: ``set, origin, kind, model, task, n_columns``; ``share`` (1, 1/4 or 1/16), ``n_rows`` and
    ``n_test``; ``candidate`` (its number in the grid), ``regularizer``, ``l1``, ``l2``, ``dropout``,
    ``fixed``; ``cv_loss`` and ``test_loss`` with ``cv_constant`` and ``test_constant``; ``cv_error``, the
    standard error of the difference of its held-out loss to the lowest one; ``converged``;
    ``correlated``, ``explained``, ``whole_picture`` and ``density``, as measured for Q3a and Q3b.
    """
    parts = [_rows(reference) for reference in references(folder, model)]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _rows(reference: Reference) -> pd.DataFrame:
    meta = reference.meta
    named = [dict(zip(STRENGTHS[each.kind], each.values, strict=True)) for each in reference.configs]
    about = {name: meta[name] for name in ("set", "origin", "kind", "model", "task", "n_columns", "n_test")}
    about |= {
        "correlated": meta["correlation"]["measured"],
        "explained": meta["correlation"]["explained"],
        "whole_picture": meta["whole_picture"]["measured"],
        "density": meta["whole_picture"]["density"],
    }
    grid = {
        "candidate": np.arange(len(named)),
        "regularizer": [each.kind for each in reference.configs],
        **{name: [each.get(name, 0.0) for each in named] for name in ("l1", "l2", "dropout")},
        "fixed": [each.fixed for each in reference.configs],
    }
    frames = []
    for share, size in zip(meta["shares"], reference.sizes, strict=True):
        means = size.cv_means
        best = int(np.nanargmin(means))
        apart = size.factor.astype(np.float64) - size.factor[best]
        measured = {
            "share": share,
            "n_rows": size.n_rows,
            "cv_loss": means,
            "cv_error": np.sqrt(np.square(apart).sum(axis=1) / size.fold_rows.sum()),
            "test_loss": size.test_losses.mean(axis=1),
            "cv_constant": np.average(size.cv_constant, weights=size.fold_rows),
            "test_constant": np.average(size.test_constant, weights=size.block_rows),
            "converged": size.converged == 1,
        }
        frames.append(pd.DataFrame({**about, **grid, **measured}))
    return pd.concat(frames, ignore_index=True)
