"""A call in a process of its own, for ``isolate=`` and ``memory_limit=``: it can be ended at any moment.

Once its time is up, the process is asked to end as by Ctrl-C, which leaves the best answer so far. If it does
not answer then, it is killed. A process that dies (a crash in a library, too little memory) is an error here,
not the end of the program.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

from regadvisor.errors import ParameterError, RegadvisorError
from regadvisor.progress import Progress
from regadvisor.scale.sending import packed, sendable, unpacked
from regadvisor.scale.workers import check_may_start, end_with_parent

#: Seconds over its time after which a call is asked to end, and further ones after which it is killed.
GRACE_S = 0.5
ANSWER_S = 2.0
#: Python with the libraries that are loaded takes about half of it.
LEAST_BYTES = 500_000_000
#: No system counts further.
_MOST_BYTES = 2**62
_STARTING = "starting"


class IsolatedError(RegadvisorError):
    """The process that did the work died, or was killed because its time was up."""


def run_apart(
    function: Callable[..., Any],
    given: Mapping[str, Any],
    *,
    left_s: Callable[[], float],
    memory_limit: int | None = None,
    progress: Progress | None = None,
) -> Any:
    """Return ``function(**given)``, worked out in a process of its own.

    `function`: takes `progress` as well. `left_s`: returns the seconds that are left; infinite without a
    limit. `memory_limit`: bytes of data that the process may have. `progress`: called here as the work
    goes on there.

    Raises IsolatedError if the process died, or did not answer in time, and what the function raises.
    """
    check_may_start("isolate and memory_limit")
    content = packed((function, dict(given)), argument="isolate must be False")
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_work, args=(there, memory_limit), daemon=False)
    with _ctrl_c_kept_back():  # the process inherits that, until it can answer
        process.start()
    there.close()
    try:
        return _talk(here, process, content, left_s, memory_limit=memory_limit, progress=progress)
    finally:
        process.kill()
        process.join()
        here.close()


def _talk(
    here: Connection,
    process: SpawnProcess,
    content: bytes,
    left_s: Callable[[], float],
    *,
    memory_limit: int | None,
    progress: Progress | None,
) -> Any:
    """Send the process its work, hand on what it tells, and return its answer; ask it to end in time."""
    stage = _STARTING

    @contextmanager
    def alive() -> Iterator[None]:
        try:
            yield
        except (EOFError, OSError) as error:
            process.join()
            raise IsolatedError(_died(process.exitcode, stage, memory_limit)) from error

    with alive():
        here.send_bytes(content)
    is_asked = is_interrupted = False
    while True:
        wait_s = left_s() + GRACE_S + (ANSWER_S if is_asked else 0.0)
        try:
            is_there = here.poll(None if math.isinf(wait_s) else max(wait_s, 0.0))
        except KeyboardInterrupt:  # the answer is on its way then, if there is one
            if is_interrupted:  # there is none: a second time means it
                raise
            _ask_to_end(process.pid)
            is_interrupted = True
            continue
        if not is_there:
            if is_asked:
                raise IsolatedError(_too_slow(stage))
            _ask_to_end(process.pid)
            is_asked = True
            continue
        with alive():
            what, value = here.recv()
        if what == "progress":
            stage = value[0]
            if progress is not None:
                progress(*value)
        elif what == "result":
            return unpacked(value)
        elif isinstance(value, KeyboardInterrupt) and is_asked:
            raise IsolatedError(_too_slow(stage))
        elif isinstance(value, MemoryError) and memory_limit is not None:
            raise IsolatedError(_too_large(value, stage, memory_limit)) from value
        else:
            raise value


def check_memory_limit(value: object) -> int | None:
    """Return ``memory_limit=`` in bytes.

    Raises ParameterError if it is no number of bytes that a run could do with, or this system has no such
    limits.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not LEAST_BYTES <= value < math.inf:
        raise ParameterError(
            f"memory_limit must be a number of bytes, at least {LEAST_BYTES:,}, got {value!r}; "
            "2_000_000_000 is 2 GB"
        )
    if os.name != "posix":
        raise ParameterError("memory_limit must be None on this system, which has no limits for a process")
    return int(value)


def memory_bytes() -> float:
    """Return the bytes of data that this process may have; infinite if nobody set a limit.

    Limits are those of the process (``ulimit -d``; of ``ulimit -v`` what is left) and of its control group,
    as containers have them.
    """
    try:
        import resource
    except ImportError:
        return math.inf
    soft, space = (resource.getrlimit(each)[0] for each in (resource.RLIMIT_DATA, resource.RLIMIT_AS))
    limits = [math.inf if soft == resource.RLIM_INFINITY else float(soft), *_group_limits()]
    if space != resource.RLIM_INFINITY:
        with suppress(OSError):
            n_pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
            limits.append(max(float(space) - n_pages * resource.getpagesize(), 0.0))
    return min(limits)


def _group_limits() -> Iterator[float]:
    """Yield what the control groups of this process allow, where the system has such."""
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, group = line.split(":", 2)
            is_old = "memory" in controllers.split(",")
            root, name = ("/memory", "memory.limit_in_bytes") if is_old else ("", "memory.max")
            # In a container its own group is the root, whatever it is called outside.
            for place in {group, "/"} if is_old or not controllers else ():
                with suppress(OSError, ValueError):  # "max" is no limit
                    path = Path(f"/sys/fs/cgroup{root}{place}") / name
                    yield float(int(path.read_text(encoding="ascii")))


def _too_slow(stage: str) -> str:
    return (
        f"the model must give an answer within the budget, got none before the time was up (while: {stage}); "
        "its process was ended. Give more budget (a process starts in some seconds), or look at what the "
        "model does for so long"
    )


def _too_large(error: MemoryError, stage: str, memory_limit: int) -> str:
    return (
        f"memory_limit must be enough for the data and the model, got {memory_limit:,} bytes, which were not "
        f"(while: {stage}; {error}); give more, or fewer rows"
    )


def _died(code: int | None, stage: str, memory_limit: int | None) -> str:
    how = f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"
    if stage == _STARTING:
        do = "in a script, put what is run under: if __name__ == '__main__':"
    else:
        do = "look for a crash in the model's library, or for too little memory"
    limited = "" if memory_limit is None else f" (its memory was limited to {memory_limit:,} bytes)"
    return (
        f"the process that worked must live until its answer, got one that died with {how} (while: {stage})"
        f"{limited}; {do}"
    )


@contextmanager
def _ctrl_c_kept_back() -> Iterator[None]:
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ask_to_end(pid: int | None) -> None:
    if pid is not None:
        os.kill(pid, signal.SIGINT)


# ---------------------------------------------------------------------------------- in the process


def _work(pipe: Connection, memory_limit: int | None) -> None:
    if hasattr(os, "setsid"):
        os.setsid()  # Ctrl-C in a terminal goes to the caller, who passes it on
    end_with_parent()
    try:
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        if memory_limit is not None:
            _limit(memory_limit)
        function, given = unpacked(pipe.recv_bytes())

        def say(stage: str, share: float) -> None:
            pipe.send(("progress", (stage, share)))

        found = packed(function(**given, progress=say), argument="isolate must be False")
        answer: tuple[str, Any] = ("result", found)
    except KeyboardInterrupt:
        answer = ("error", KeyboardInterrupt())
    except Exception as error:  # whatever a caller's own model may raise
        answer = ("error", sendable(error))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    pipe.send(answer)
    pipe.close()


def _limit(n_bytes: int) -> None:
    import resource

    # Of data, not of addresses: libraries reserve many of those that they never use.
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard == resource.RLIM_INFINITY or n_bytes < hard:
        resource.setrlimit(resource.RLIMIT_DATA, (min(n_bytes, _MOST_BYTES), hard))
