"""Datasets and loaders of torch, read into memory: features and target of every row."""

from __future__ import annotations

import operator
import sys
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from regadvisor.data.arrays import plain_array
from regadvisor.errors import DataError, reason_of
from regadvisor.quiet import ignoring
from regadvisor.words import listed

#: A data set that takes more memory is refused.
MOST_BYTES = 2_000_000_000
#: Names of the target in rows that are dicts, as those of Hugging Face, and in an archive of arrays.
_TARGETS = ("y", "labels", "label", "target", "targets", "y_train")
#: Of a data set without a length, which may never end, more rows are not waited for (some seconds).
MOST_UNCOUNTED = 100_000


def is_dataset(X: Any) -> bool:
    """Return whether X is a Dataset or a DataLoader of torch; torch is not imported for that.

    >>> is_dataset([[1.0], [2.0]])
    False
    """
    data = sys.modules.get("torch.utils.data")
    return data is not None and isinstance(X, data.Dataset | data.DataLoader)


def unpacked(X: Any, y: Any) -> tuple[Any, Any]:
    """Return features and target: those that a data set holds, else X and y as they are.

    `X`: gives pairs (features, target); features may be a tuple or a dict of tensors. A dict with the target
    under a usual name will do, too. Of a loader the batches are read in its order. What a data set draws at
    random (augmentation) is read once.

    Raises DataError if `y` is given as well, a row is no pair, or all rows take more than 2 GB.

    >>> import torch
    >>> pairs = torch.utils.data.TensorDataset(torch.zeros(4, 3), torch.arange(4))
    >>> X, y = unpacked(pairs, None)
    >>> X.shape, y.tolist()
    ((4, 3), [0, 1, 2, 3])
    """
    if not is_dataset(X):
        if y is None and hasattr(X, "train_dataloader"):
            raise DataError(f"X must be a table or loader, got {type(X).__name__}; pass X.train_dataloader()")
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
    n_bytes = n_rows = 0
    has_end = operator.length_hint(X, -1) >= 0  # a loader has a length if its data set has
    for given in _pairs(X):
        pair = _pair_of(given) if isinstance(given, dict) else given
        if not isinstance(pair, tuple | list) or len(pair) < 2:
            got = listed(list(given)) if isinstance(given, dict) else type(given).__name__
            raise DataError(
                f"a {name} must give pairs (features, target), or dicts with one key of "
                f"{', '.join(map(repr, _TARGETS))}, got {got}; pass X and y as arrays"
            )
        *parts, target = pair
        row = {key: _array(value) for key, value in _named(parts[0] if len(parts) == 1 else tuple(parts))}
        n_bytes += sum(value.nbytes for value in row.values())
        if n_bytes > MOST_BYTES:
            raise DataError(
                f"a {name} must take at most {MOST_BYTES / 1e9:g} GB in memory, got more after "
                f"{len(targets):,} {'batches' if has_batches else 'rows'}; pass a part of it: "
                "torch.utils.data.Subset(dataset, rows)"
            )
        features.append(row)
        targets.append(_array(target))
        n_rows += len(targets[-1]) if has_batches and targets[-1].ndim else 1
        if n_rows > MOST_UNCOUNTED and not has_end:
            raise DataError(
                f"a {name} without a length must end within {MOST_UNCOUNTED:,} rows, got more; give it "
                "__len__, or pass rows that stand for all as arrays: itertools.islice(dataset, 20_000)"
            )
    if not targets:
        raise DataError(f"a {name} must hold at least 2 rows, got none")
    join = np.concatenate if has_batches else np.stack
    try:
        return _as_given({key: join([row[key] for row in features]) for key in features[0]}), join(targets)
    except (ValueError, KeyError) as error:
        raise DataError(
            f"the rows of a {name} must have one shape, got {error}; resize images to one size, and pad or "
            "cut sequences to one length"
        ) from error


def _pairs(X: Any) -> Iterator[Any]:
    if isinstance(X, Iterable) or not hasattr(X, "__len__"):
        yield from X
        return
    yield from (X[row] for row in range(len(X)))


def _pair_of(row: dict[Any, Any]) -> tuple[Any, ...]:
    """Return features and target of a row by names; nothing if there is no telling which is the target."""
    names = [name for name in _TARGETS if name in row]
    rest = {name: value for name, value in row.items() if name not in names}
    if len(names) != 1 or not rest:
        return ()
    return (rest if len(rest) > 1 else next(iter(rest.values()))), row[names[0]]


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


T = TypeVar("T")

_ENDINGS = (".npz", ".npy")
#: What NumPy and zipfile raise where a file is damaged, packed in an unknown way or encrypted, or claims a
#: size that no memory has.
_DAMAGE: tuple[type[Exception], ...] = (
    *(OSError, ValueError, EOFError, MemoryError, RuntimeError, SyntaxError),
    *(tokenize.TokenError, zipfile.BadZipFile, zlib.error),
)
_IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
#: Names of the features in an archive of arrays, where several may be meant.
_FEATURES = ("X", "x", "images", "data", "features", "x_train", "X_train")


def holds_arrays(path: Any) -> bool:
    """Return whether a path is a file of arrays, or a folder with subfolders of images.

    >>> holds_arrays("digits.npz"), holds_arrays("table.csv")
    (True, False)
    """
    if not isinstance(path, str | Path) or str(path) == "-":
        return False
    if Path(path).suffix.lower() in _ENDINGS:
        return True
    try:
        subs = [sub for sub in Path(path).iterdir() if sub.is_dir()] if Path(path).is_dir() else []
        return any(each.suffix.lower() in _IMAGES for sub in subs for each in sub.iterdir())
    except (OSError, ValueError):  # what reads tables says what is wrong with it
        return False


def read_arrays(path: str | Path, target: Any = None) -> tuple[NDArray[Any], Any]:
    """Return features and target from a file of arrays or a folder of images.

    `path`: ``.npz``: arrays by name. ``.npy``: the features. A folder: images of one size in one subfolder
    for each class, whose name is the class. `target`: ``.npz``: the name of the target (by default "y",
    "labels" or "target"). ``.npy``: the target itself, or the path of another such file. A folder has its
    own.

    Raises DataError if it cannot be read, or holds no such arrays.
    """
    path = Path(path)
    if path.is_dir():
        if target is not None:
            raise DataError(f"y must be None for a folder, whose subfolders are the classes, got {target!r}")
        return _read_folder(path)
    arrays = _loaded(path)
    if path.suffix.lower() == ".npz":
        return _features_and_target(arrays, path, target)
    if isinstance(target, str | Path):
        if Path(target).suffix.lower() != ".npy":
            raise DataError(f"y must be an array or the path of a .npy file, as X is, got {target!r}")
        target = next(iter(_loaded(Path(target)).values()))
    if target is None:
        raise DataError(f"y must be given beside {path.name}, got None; pass an array, or another .npy file")
    return next(iter(arrays.values())), target


def _loaded(path: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file by name; nothing in it is executed."""
    try:
        if path.suffix.lower() == ".npz":
            with zipfile.ZipFile(path) as archive:
                _check_size(sum(entry.file_size for entry in archive.infolist()), path)
        else:
            _check_size(path.stat().st_size, path)
        with ignoring(Warning), path.open("rb") as file:  # of headers that Python 2 wrote, or nobody
            found = np.load(file, allow_pickle=False)
            whole = {path.stem: found} if isinstance(found, np.ndarray) else dict(found)
        # An archive may hold other files, too.
        return {name: _of_characters(each) for name, each in whole.items() if isinstance(each, np.ndarray)}
    except _DAMAGE as error:
        raise DataError(
            f"{path} must be a file of NumPy arrays of numbers or texts, got an error: {reason_of(error)}; "
            "save them by numpy.savez(path, X=X, y=y)"
        ) from error


def _of_characters(array: NDArray[Any]) -> NDArray[Any]:
    """Return the array; ValueError if it has texts of numbers that are no characters."""
    if array.dtype.kind == "U" and array.size:
        array.astype("<U").tobytes().decode("utf-32-le", "surrogatepass")
    return array


def _check_size(n_bytes: int, path: Path) -> None:
    if n_bytes > MOST_BYTES:
        raise DataError(
            f"{path} must take at most {MOST_BYTES / 1e9:g} GB in memory, got {n_bytes / 1e9:.1f} GB; "
            "save a part of the rows"
        )


def _features_and_target(
    arrays: dict[str, NDArray[Any]], path: Path, target: Any
) -> tuple[NDArray[Any], NDArray[Any]]:
    shapes = ", ".join(f"{name} {array.shape}" for name, array in arrays.items())
    names = [name for name in _TARGETS if name in arrays] if target is None else [str(target)]
    if not names or names[0] not in arrays:
        raise DataError(
            f"y must be the name of the target in {path.name}, got {target!r}; it holds {shapes or 'nothing'}"
        )
    y = arrays[names[0]]
    others = {
        name: array for name, array in arrays.items() if name != names[0] and array.shape[:1] == y.shape[:1]
    }
    known = [name for name in _FEATURES if name in others]
    if not known and len(others) != 1:
        raise DataError(
            f"{path.name} must hold one array of features beside {names[0]!r}, called X, with as many rows; "
            f"it holds {shapes}"
        )
    return others[known[0] if known else next(iter(others))], y


def _read_folder(folder: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return images as (n, height, width) or (n, height, width, 3), and the name of each one's subfolder."""
    files = [
        (each, sub.name)
        for sub in sorted(folder.iterdir())
        if sub.is_dir() and not sub.name.startswith(".")
        for each in sorted(sub.iterdir())
        if each.suffix.lower() in _IMAGES
    ]
    if len({name for _, name in files}) < 2:
        raise DataError(
            f"{folder} must hold a subfolder of images for each of two classes or more, got "
            f"{listed(sorted({name for _, name in files})) or 'none'}; images are {', '.join(_IMAGES)}"
        )
    modes = {_read_image(path, lambda image: image.mode) for path, _ in files}
    deep = modes & {"I", "I;16", "I;16B", "F"}  # as "L" their values would be cut off at 255
    if deep and deep != modes:
        raise DataError(f"images must have one depth, got {listed(sorted(modes))}; convert them to one mode")
    mode = "F" if deep else "L" if modes <= {"1", "L", "LA"} else "RGB"
    images: list[NDArray[Any]] = []
    for path, _ in files:
        image = _read_image(path, lambda image: np.asarray(image.convert(mode)))
        if images and image.shape != images[0].shape:
            raise DataError(
                f"images must have one size, got {images[0].shape[:2]} in {files[0][0].name} and "
                f"{image.shape[:2]} in {path.name}; resize them to one"
            )
        if not images:
            _check_size(4 * image.size * len(files), folder)
        images.append(image)
    return np.stack(images), np.array([name for _, name in files])


def _read_image(path: Path, what: Callable[[Any], T]) -> T:
    """Return what is wanted of one image."""
    from PIL import Image

    try:
        with ignoring(Warning), Image.open(path) as image:
            return what(image)
    except Exception as error:  # whatever the decoders of a dozen formats raise
        raise DataError(f"{path} must be a whole image, got an error: {reason_of(error)}") from error
