"""A caller's model and data on their way to another process: the one place where anything is pickled.

What arrives was sent by the process that called ``advise``, or goes back to it. No file is read like this.
"""

from __future__ import annotations

import pickle
from contextlib import suppress
from typing import Any

from joblib import wrap_non_picklable_objects

from regadvisor.errors import ParameterError, RegadvisorError, reason_of
from regadvisor.quiet import ignoring


def packed(value: Any, *, argument: str) -> bytes:
    """Return a value as bytes; functions and classes of a notebook, which have no file, are sent whole.

    `argument`: the caller's argument that sends it, and its value that sends nothing: "executor must be
    None".

    Raises ParameterError if it cannot be sent.
    """
    try:
        return pickle.dumps(wrap_non_picklable_objects(value, keep_wrapper=False))
    except Exception as error:  # whatever the objects of a caller may raise
        raise ParameterError(
            f"{argument} where the model or the data cannot be sent to another process, got one that cannot "
            f"({reason_of(error)}); leave it out, or keep open files and locks out of the model"
        ) from error


def unpacked(content: bytes) -> Any:
    """Return what :func:`packed` was given.

    >>> unpacked(packed([1, 2], argument="executor must be None"))
    [1, 2]
    """
    with ignoring(UserWarning):  # Keras says that the state of an optimizer, which nobody needs, is lost
        return pickle.loads(content)  # noqa: S301 (from the process that calls)


def sendable(error: Exception) -> Exception:
    """Return an error that arrives: those of other libraries may not survive the way between processes.

    >>> sendable(ZeroDivisionError("no rows"))
    ZeroDivisionError('no rows')
    """
    if isinstance(error, RegadvisorError):
        return error
    known = next(kind for kind in type(error).__mro__ if kind.__module__ == "builtins")
    if known is type(error) or known is MemoryError:  # NumPy has one of its own
        with suppress(TypeError):  # it wants more than a text
            return known(str(error))
    return RuntimeError(f"{type(error).__name__}: {error}")
