"""Arrays, lists, sparse matrices and images, brought into one of the containers of a table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from regadvisor.data.frames import as_frame
from regadvisor.errors import DataError, reason_of
from regadvisor.records import InputFacts
from regadvisor.words import listed

if TYPE_CHECKING:
    Values = NDArray[Any] | sparse.csr_array | pd.DataFrame

#: Numbers of channels by which an image axis is told from height and width.
_CHANNELS = (1, 2, 3, 4)
#: A tuple of so many arrays at most is taken as several inputs of a module.
MOST_INPUTS = 9
#: Integers of fewer bytes are pixels, not numbers of an embedding.
FEWEST_BYTES_OF_CODES = 4


@dataclass(frozen=True, kw_only=True, eq=False)
class Container:
    """What the caller passed as X, in one of three containers, not yet looked into.

    `is_from_array` marks a frame that was made from an array of objects or texts.
    """

    values: Values
    kind: Literal["array", "sparse", "frame"]
    image_shape: tuple[int, ...] | None = None
    is_from_array: bool = False
    inputs: tuple[InputFacts, ...] = ()

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        n_rows, n_columns = self.values.shape
        return int(n_rows), int(n_columns)

    def take(self, rows: NDArray[np.intp]) -> Container:
        """Return the container of the given rows."""
        values = self.values.iloc[rows] if isinstance(self.values, pd.DataFrame) else self.values[rows]
        return replace(self, values=values)


def contain(X: Any) -> Container:
    """Return X in its container; nothing is copied unless it must be converted.

    `X`: images are arrays of shape (n, h, w), (n, h, w, c) or (n, c, h, w); sequences (n, steps, channels).
    Several inputs of a module are a dict of arrays, or a tuple of them (see :func:`as_inputs`).

    Raises DataError if X is no table of at least one column and two rows.

    >>> contain(np.zeros((3, 8, 8))).image_shape
    (8, 8)
    """
    frame, inputs = as_frame(X), as_inputs(X)
    if frame is not None:
        container = Container(values=frame, kind="frame")
    elif inputs is not None:
        container = _joined(inputs)
    elif sparse.issparse(X):
        container = Container(values=_csr(X), kind="sparse")
    else:
        container = _from_array(_as_array(X))
    _check_shape(container.shape)
    return container


def _check_shape(shape: tuple[int, int]) -> None:
    n_rows, n_columns = shape
    if n_columns == 0:
        raise DataError(
            f"X must have at least one column, got 0 feature(s) (shape={shape}) while a minimum of 1 is "
            "required"
        )
    if n_rows == 0:
        raise DataError(
            f"X must have at least 2 rows, got 0 sample(s) (shape={shape}) while a minimum of 1 is required"
        )
    if n_rows == 1:
        raise DataError(
            f"X must have at least 2 rows, got 1 sample(s) (shape={shape}, n_samples=1); nothing can be "
            "learned from one row"
        )


def plain_array(values: Any, *, name: str, dtype: Any = None) -> NDArray[Any]:
    """Return an array of what the caller passed as `name`.

    Raises DataError if it cannot be one, or is of a kind that scikit-learn does not take.
    """
    if isinstance(values, np.ma.MaskedArray):
        raise DataError(
            f"{name} must be a plain array, got a masked one; pass {name}.astype(float).filled(numpy.nan)"
        )
    if isinstance(values, np.matrix):
        raise DataError(f"{name} must be a plain array, got a numpy.matrix; pass numpy.asarray({name})")
    is_tensor = hasattr(values, "detach") and hasattr(values, "cpu")
    if is_tensor and values.requires_grad:  # what build() returns could not be fitted on it
        raise DataError(
            f"{name} must be plain numbers, got a tensor that requires gradients; pass {name}.detach()"
        )
    try:
        values = values.cpu() if is_tensor else values  # from a GPU
        is_brief = is_tensor and str(values.dtype) == "torch.bfloat16"  # NumPy has no such
        values = values.float() if is_brief else values
        array = np.asarray(values, dtype=dtype)
    except (ValueError, TypeError, RuntimeError) as error:  # of ragged lists, of tensors without values
        shapes = sorted({tuple(each.shape) for each in _arrays_of(values)})
        if len(shapes) > 1:
            are_inputs = len({shape[:1] for shape in shapes}) == 1
            raise DataError(
                f"{name} must hold arrays of one shape, got {shapes[0]} and {shapes[1]}; resize images to "
                "one size, and pad or cut sequences to one length"
                + (", or pass several inputs as a tuple or a dict" if are_inputs else "")
            ) from error
        raise DataError(
            f"every row of {name} must have the same number of values, got {type(values).__name__}: {error}; "
            "pass an array, a list of equal rows or a data frame"
        ) from error
    if array.dtype.kind in "mM":
        _check_dates(array, name)
    if array.dtype.kind == "V":
        raise DataError(
            f"{name} must be a plain array, got a structured one with the fields "
            f"{listed(array.dtype.names or [])}; pass one of them, {name}['field'], or "
            f"pandas.DataFrame({name})"
        )
    return array


def _check_dates(array: NDArray[Any], name: str) -> None:
    """Raise DataError for dates and durations that NumPy can hold, but pandas cannot."""
    try:
        pd.Series(array.ravel())
    except (ValueError, TypeError) as error:  # out of bounds; of no unit
        raise DataError(
            f"{name} must hold dates and durations of a calendar, got {array.dtype} that no frame can hold "
            f"({reason_of(error)}); pass years or days as numbers"
        ) from error


def _arrays_of(values: Any) -> list[Any]:
    """Return the elements of a list if all are arrays or tensors of two axes or more, else nothing."""
    elements = list(values) if isinstance(values, list | tuple) else []
    are_arrays = all(len(getattr(each, "shape", ())) > 1 for each in elements)
    return elements if are_arrays else []


def as_inputs(X: Any) -> dict[str, Any] | tuple[Any, ...] | None:
    """Return X if it holds several inputs of a module: a dict of arrays, or a tuple of a few of them.

    A tuple of more than ``MOST_INPUTS`` arrays is a row of images, as a list is.

    >>> as_inputs([np.zeros((2, 3)), np.zeros((2, 4))]) is None
    True
    >>> len(as_inputs((np.zeros((2, 3)), np.zeros((2, 4)))))
    2
    """
    if (
        isinstance(X, dict)
        and not sparse.issparse(X)  # one of SciPy's is a dict
        and X
        and all(hasattr(each, "shape") or isinstance(each, list) for each in X.values())
    ):
        return X
    parts: tuple[Any, ...] = X if isinstance(X, tuple) else ()
    are_arrays = all(getattr(each, "shape", ()) for each in parts)
    return parts if 1 < len(parts) <= MOST_INPUTS and are_arrays else None


def _joined(X: dict[str, Any] | tuple[Any, ...]) -> Container:
    """Return several inputs side by side, as one array of numbers."""
    names = list(X) if isinstance(X, dict) else [None] * len(X)
    facts: list[InputFacts] = []
    blocks: list[NDArray[Any]] = []
    for number, (name, values) in enumerate(
        zip(names, X.values() if isinstance(X, dict) else X, strict=True)
    ):
        where = f"X[{number if name is None else name!r}]"
        if name is not None and not (isinstance(name, str) and name.isidentifier()):
            raise DataError(f"the names of X must be those of arguments of the module, got {name!r}")
        array = plain_array(values, name=where)
        if array.dtype.kind not in "biuf" or array.ndim < 1:
            raise DataError(
                f"{where} must be an array of numbers with one row for each of y, got shape {array.shape} of "
                f"{array.dtype}; encode categories as integers"
            )
        if blocks and len(array) != len(blocks[0]):
            raise DataError(
                f"the arrays of X must have equally many rows, got {len(blocks[0])} and {len(array)}"
            )
        is_whole = array.dtype.kind in "iu" and array.dtype.itemsize >= FEWEST_BYTES_OF_CODES
        shape = array.shape[1:]
        facts.append(InputFacts(name=name, shape=shape, is_whole=is_whole))
        blocks.append(as_floats(array.reshape(len(array), int(np.prod(shape)))))
    return Container(values=np.hstack(blocks), kind="array", inputs=tuple(facts))


def _as_array(X: Any) -> NDArray[Any]:
    if isinstance(X, str | bytes | dict) or X is None:
        raise DataError(
            f"X must be a table, got {type(X).__name__}; pass an array, a sparse matrix or a data frame"
        )
    array = plain_array(X, name="X")
    if array.dtype.kind in "US" and not isinstance(X, np.ndarray):
        # A list with numbers and texts: NumPy would turn the numbers into text.
        array = np.asarray(X, dtype=object)
    if array.ndim < 2:
        what = f"X must be two-dimensional (rows, features), got an array of shape {array.shape}. "
        if hasattr(X, "to_frame"):
            raise DataError(f"{what}Pass X.to_frame()")
        if array.ndim and all(isinstance(row, dict) for row in array):
            raise DataError(f"{what}Pass pandas.DataFrame(X)")
        raise DataError(
            f"{what}Reshape your data with X.reshape(-1, 1) if it has a single feature, X.reshape(1, -1) if "
            "it is a single row"
        )
    if array.ndim > 4:
        raise DataError(
            f"X must have 2 dimensions, or 3 or 4 for images, got an array of shape {array.shape}; reshape "
            "it to (rows, features), or name the argument of your module that takes it: X={'x': array}"
        )
    return array


def _from_array(array: NDArray[Any]) -> Container:
    if array.dtype.kind == "c":
        raise DataError(
            "X must hold real numbers, got complex ones. Complex data not supported: pass real and imaginary "
            "parts as columns"
        )
    image_shape = None
    if array.ndim > 2:
        array, image_shape = flatten_images(array)
    if array.dtype.kind in "OUSMmT":
        if image_shape is not None:
            raise DataError(f"images must hold numbers, got dtype {array.dtype}")
        texts = array if array.dtype.kind in "Mm" else array.astype(object)
        return Container(values=pd.DataFrame(texts, copy=False), kind="frame", is_from_array=True)
    return Container(values=as_floats(array), kind="array", image_shape=image_shape)


def as_floats(array: NDArray[Any]) -> NDArray[Any]:
    """Return numbers as float32 or float64, whichever holds them exactly (integers up to 2**53).

    >>> as_floats(np.array([1, 2], dtype=np.uint8)).dtype, as_floats(np.array([1, 2])).dtype
    (dtype('float32'), dtype('float64'))
    """
    dtype = array.dtype
    if dtype in (np.float32, np.float64) and dtype.isnative:
        return array
    is_small = dtype.kind in "biuf" and (dtype.itemsize < 4 or dtype.kind == "b")
    return array.astype(np.float32 if is_small or (dtype.kind == "f" and dtype.itemsize == 4) else np.float64)


def image_layout(shape: tuple[int, ...]) -> tuple[tuple[int, ...], bool]:
    """Return (channels, height, width) or (height, width) of one row, and whether channels come last.

    Channels come last if only the last axis is as short as channels are; one channel is no channel axis.

    >>> image_layout((32, 32, 3)), image_layout((3, 32, 32)), image_layout((28, 28, 1))
    (((3, 32, 32), True), ((3, 32, 32), False), ((28, 28), False))
    """
    if len(shape) == 2:
        return shape, False
    first, middle, last = shape
    is_last = last in _CHANNELS and first not in _CHANNELS
    n_channels, height, width = (last, first, middle) if is_last else (first, middle, last)
    if n_channels == 1:
        return (height, width), False
    return (n_channels, height, width), is_last


def flatten_images(array: NDArray[Any]) -> tuple[NDArray[Any], tuple[int, ...]]:
    """Return images as rows, and the shape to which one row can be put back.

    `array` (n, h, w).

    `rows` (n, c * h * w): a view, unless channels come last: those are moved to the front. `image_shape`:
    ``(h, w)`` or ``(c, h, w)``.
    """
    image_shape, is_last = image_layout(array.shape[1:])
    if is_last:
        array = np.moveaxis(array, -1, 1)
    return array.reshape(array.shape[0], int(np.prod(image_shape))), image_shape


def _csr(matrix: Any) -> sparse.csr_array:
    if matrix.dtype.kind == "c":
        raise DataError("X must hold real numbers, got complex ones. Complex data not supported")
    if matrix.dtype.kind not in "biuf":
        raise DataError(f"a sparse X must hold numbers, got dtype {matrix.dtype}")
    if matrix.ndim != 2:
        raise DataError(f"a sparse X must be two-dimensional, got shape {matrix.shape}. Reshape your data")
    csr = sparse.csr_array(matrix)
    if csr.dtype not in (np.float32, np.float64):
        csr = csr.astype(np.float64)
    if not csr.has_canonical_format:
        csr = csr.copy()
        csr.sum_duplicates()
    # scikit-learn's solvers take 32-bit indices only.
    if csr.indices.dtype != np.int32 and max(csr.nnz, *csr.shape) < 2**31:
        parts = (csr.data, csr.indices.astype(np.int32), csr.indptr.astype(np.int32))
        csr = sparse.csr_array(parts, shape=csr.shape)
    return csr
