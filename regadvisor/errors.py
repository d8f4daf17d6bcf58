"""Every error regadvisor raises on purpose, as one tree.

Messages follow one form: *name* must be *rule*, got *value*; then what to do. Errors about data and
arguments are also ``ValueError``, so callers who expect scikit-learn's behaviour need not know this tree.

- :class:`RegadvisorError`

  - :class:`DataError`: the data cannot be used as it is (exit code 1 on the command line)
  - :class:`ParameterError`: an argument is out of its rule (exit code 2)
  - :class:`StrengthError`: the advice has no strengths, so nothing can be built from it
  - :class:`RecordError`: a saved advice cannot be read
  - :class:`StorageError`: a file cannot be written, or the journal of an earlier run does not fit this one
  - :class:`MissingDependencyError`: an optional package is not installed
  - :class:`OutOfMemoryError`: memory did not suffice
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


class RegadvisorError(Exception):
    """Base of every error that regadvisor raises on purpose."""


class DataError(RegadvisorError, ValueError):
    """The data cannot be used as it is; the message says what to change."""


class ParameterError(RegadvisorError, ValueError):
    """An argument is out of its rule; the message names the rule and the value."""


class StrengthError(RegadvisorError, ValueError):
    """The advice has no strengths (it was given without data), so nothing can be built from it."""


class RecordError(RegadvisorError, ValueError):
    """A saved advice cannot be read: damaged, or written in another format."""


class StorageError(RegadvisorError, ValueError):
    """A file cannot be written, or the journal of an earlier run does not fit these data or settings."""


class MissingDependencyError(RegadvisorError, ImportError):
    """An optional package is needed here and is not installed."""


class OutOfMemoryError(RegadvisorError, MemoryError):
    """Memory did not suffice for the data and the model."""


#: Letters of another library's error that are quoted.
_MOST_SAID = 500


def reason_of(error: Exception) -> str:
    """Return what an error says, without colours; of the operating system without the number and the path.

    Of pages of text the beginning.

    >>> reason_of(OSError(28, "No space left on device")), reason_of(ValueError("embedded null byte"))
    ('No space left on device', 'embedded null byte')
    >>> len(reason_of(RuntimeError(1000 * "no ")))
    502
    """
    said = re.sub(r"\x1b\[[0-9;]*m", "", str(getattr(error, "strerror", None) or error))
    return said if len(said) <= _MOST_SAID else said[:_MOST_SAID] + " …"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out; a library that cannot be loaded for that counts, too.

    >>> is_out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory"))
    True
    """
    if isinstance(error, MemoryError):
        return True
    text = str(error).lower()
    signs = ("out of memory", "allocate memory", "failed to map segment")
    return isinstance(error, RuntimeError | OSError | ImportError) and any(sign in text for sign in signs)


@contextmanager
def enough_memory() -> Iterator[None]:
    """Turn whatever says that memory ran out into one error of ours."""
    try:
        yield
    except RegadvisorError:
        raise
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemoryError(
            f"memory must suffice for the data and the model, got too little ({reason_of(error)}); give the "
            "process more, or pass fewer rows or columns, or float32; folders of files are read in little "
            "memory"
        ) from error


@contextmanager
def callers_code(rule: str, do: str) -> Iterator[None]:
    """Turn errors of the caller's module or loss into a ParameterError: `rule`, the error, what to `do`.

    Raises ParameterError unless memory ran out, which has its own way out (smaller batches).
    """
    try:
        yield
    except RegadvisorError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise ParameterError(f"{rule}, got {type(error).__name__}: {reason_of(error)}; {do}") from error


def import_optional(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import an optional package, or say how to install it.

    `module`: dotted name of the module to import. `extra`: the extra of regadvisor that installs it.
    `purpose`: what it is needed for, as in "reading polars frames".

    Raises MissingDependencyError if the module cannot be imported; the message is the install command.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise MissingDependencyError(
            f"{package} must be installed for {purpose}: pip install 'regadvisor[{extra}]'"
        ) from error
