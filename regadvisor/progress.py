"""Who watches an advice: the caller's own function, a bar in a terminal or a notebook, or nobody.

A bar appears by itself only where a person is looking, and only once an advice has taken two seconds: most
are done by then.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

Progress = Callable[[str, float], None]

#: Seconds after which a bar appears by itself.
PATIENCE_S = 2.0
#: Steps of a bar: shares are between 0 and 1.
_STEPS = 1_000
#: Where reading in parts and training end, and where stages begin that follow: shares of the whole advice.
_SCANNED, _TRAINED = 0.3, 0.9
_LATE = {"growth": _TRAINED, "traps": 0.94, "decide": 0.97, "done": 1.0}


@contextmanager
def watching(progress: Progress | bool | None) -> Iterator[Progress | None]:
    """Yield what is to be called with a stage and the share of the work that is done; None: nothing.

    `progress`: a function is called as it is. True: a bar. False: nothing. None: a bar after two seconds, in
    a terminal or a notebook.

    >>> with watching(False) as say:
    ...     say is None
    True
    """
    if callable(progress) or progress is False or (progress is None and not is_watched()):
        yield progress if callable(progress) else None
        return
    bar = _Bar(patience_s=0.0 if progress else PATIENCE_S)
    try:
        yield bar
    finally:
        bar.close()


def rising(progress: Progress) -> Progress:
    """Return what is told each stage's own share and passes on that of the whole advice, which never falls.

    >>> told = []
    >>> say = rising(lambda stage, share: told.append(round(share, 2)))
    >>> for stage, share in [("scan", 1.0), ("scores", 0.0), ("training", 0.5), ("correlation", 0.0)]:
    ...     say(stage, share)
    >>> told
    [0.3, 0.3, 0.6, 0.6]
    """
    reached, started = 0.0, None

    def told(stage: str, share: float) -> None:
        nonlocal reached, started
        if stage == "scan":
            reached = max(reached, _SCANNED * share)
        elif stage.startswith("training"):
            started = reached if started is None else started
            reached = max(reached, started + (_TRAINED - started) * min(share, 1.0))
        reached = max(reached, _LATE.get(stage, 0.0))
        progress(stage, reached)

    return told


def is_watched() -> bool:
    """Whether a person is looking: a terminal, or a notebook's kernel."""
    return _is_notebook() or bool(sys.stderr is not None and sys.stderr.isatty())


def _is_notebook() -> bool:
    shell = sys.modules.get("IPython")
    own = None if shell is None else shell.get_ipython()
    return type(own).__name__ == "ZMQInteractiveShell"


class _Bar:
    """A bar that appears when it has been waited for long enough."""

    def __init__(self, *, patience_s: float) -> None:
        self._appears_s = time.monotonic() + patience_s
        self._bar: Any = None

    def __call__(self, stage: str, share_done: float) -> None:
        if self._bar is None:
            if time.monotonic() < self._appears_s:
                return
            self._bar = _bar()
        self._bar.set_description_str(stage.removeprefix("training, ").replace("_", " "), refresh=False)
        self._bar.n = round(_STEPS * share_done)
        self._bar.refresh()

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()


def _bar() -> Any:
    """Return tqdm's bar: its widget in a notebook that can show one."""
    # In a terminal what is best so far comes last and the bar is short: 80 columns have to do.
    shown = "{percentage:3.0f}%|{bar:6}| {elapsed}, {remaining} left, {desc}"
    if _is_notebook() and find_spec("ipywidgets") is not None:
        from tqdm.notebook import tqdm

        shown = "{desc} {percentage:3.0f}%|{bar}| {elapsed}, about {remaining} left"
    else:
        from tqdm.std import tqdm
    return tqdm(total=_STEPS, leave=False, file=sys.stderr, bar_format=shown)
