"""What the tests run in a process of its own, which imports this file: nothing heavy is imported here."""

from __future__ import annotations

import os
import signal
import time
from typing import Any


def told(progress: Any, x: int) -> tuple[int, int]:
    progress("half", 0.5)
    return x + 1, os.getpid()


def failing(progress: Any, error: Exception) -> None:
    raise error


class OwnError(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def told_to_a_closed_pipe(stage: str, share: float) -> None:
    raise BrokenPipeError("of the caller")


def refused_in_a_daemon(answers: Any) -> None:
    from sklearn.datasets import load_wine

    from regadvisor import ParameterError, advise

    X, y = load_wine(return_X_y=True)
    for own in ({"isolate": True}, {"executor": 2}):
        try:
            advise(X, y, effort="quick", **own)
        except ParameterError as error:
            answers.put(str(error))


def failing_oddly(progress: Any) -> None:
    raise OwnError(1, 2)


def sleeping(progress: Any) -> str:
    progress("asleep", 0.0)
    try:
        time.sleep(600)
    except KeyboardInterrupt:
        return "best so far"
    return "slept"


def deaf(progress: Any) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    progress("a loop in C", 0.0)
    time.sleep(600)


def interrupted(progress: Any) -> None:
    progress("first look", 0.0)
    time.sleep(600)


def crashing(progress: Any) -> None:
    progress("a library", 0.0)
    os.kill(os.getpid(), signal.SIGSEGV)


def hungry(progress: Any, n_bytes: int) -> tuple[float, float]:
    import numpy as np

    from regadvisor.scale.apart import memory_bytes

    return float(np.ones(n_bytes, dtype=np.uint8)[-1]), memory_bytes()
