"""Code of the caller that runs inside ours: its errors are said to be its own, and are quoted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from regadvisor.errors import ParameterError, RegadvisorError, is_out_of_memory, reason_of


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
