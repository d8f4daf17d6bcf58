"""Talking to a person in a terminal: print, complain, show progress, ask.

Results go to stdout, everything else to stderr.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn

import click

if TYPE_CHECKING:
    from regadvisor.advice import Advice
    from regadvisor.flowchart.chart import Chart
    from regadvisor.records import Record

#: Exit codes; 0 is advice, a tie or no signal included.
DATA_ERROR, USAGE, BELOW_SUPPORT, CANT_TELL, INTERRUPTED, TERMINATED = 1, 2, 3, 4, 130, 143

YES_NO = click.Choice(["yes", "no"])
CHART = click.Choice(["classic", "extended"])

#: Columns of a report in a file, and the most in a wide terminal: long lines are hard to read.
_WIDTH, _WIDEST = 88, 110

#: What a terminal shows that has no such characters.
_PLAIN = str.maketrans(
    {
        **dict.fromkeys("╭╮╰╯┌┐└┘├┤┬┴┼", "+"),
        **dict.fromkeys("─–—━·•−", "-"),
        **dict.fromkeys("│┃", "|"),
        "×": "x",
        "→": "->",
        "…": "...",
        "±": "+-",
        "Σ": "sum",
        "²": "^2",
        "√": "sqrt ",
        "≤": "<=",
        "’": "'",
        "‘": "'",
        "“": '"',
        "”": '"',
        "≥": ">=",
        "α": "alpha",
        "ρ": "rho",
        "λ": "lambda",
    }
)

_HINTS = {
    "Q3": "Anything at all: that they move together, that they are pixels, that most are noise.",
    "Q3a": "yes: many move together (lengths, neighbouring pixels); no: each tells its own story.",
    "Q3b": "yes: they form one picture, as in images, spectra, time series; no: some may be left out.",
}
_LETTERS = {"y": "yes", "n": "no", "?": "unsure"}
#: What "don't know" leads to where a chart has no way of its own for it: as the judges lean.
_UNSURE = {"Q3": "no", "Q3a": "no", "Q3b": "yes"}


def say(text: str | bytes) -> None:
    """Print to stdout, if there is one. A reader who left (``| head``) is no error, nor a lack of UTF-8."""
    if sys.stdout is None:  # closed by the shell (``>&-``), or a program without a console
        return
    try:
        encoding = sys.stdout.encoding or "ascii"
        if isinstance(text, str):
            unknown = {ord(c): _PLAIN.get(ord(c), c) for c in set(text) if not _has(encoding, c)}
            if unknown:  # click would write UTF-8
                text = text.translate(unknown).encode(encoding, "replace")
        click.echo(text, nl=False)
    except OSError as error:
        # Whatever is still buffered goes nowhere, or Python complains at its exit.
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            complain(f"stdout must take what is printed, got {error.strerror}; send it elsewhere")
            raise click.exceptions.Exit(DATA_ERROR) from error


def _has(encoding: str, character: str) -> bool:
    try:
        character.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def complain(message: str) -> None:
    """Print an error to stderr."""
    click.echo(f"error: {message}", err=True)


def look() -> tuple[int, bool]:
    """Return the width and whether to use colours: COLUMNS, else those of the terminal or of a file."""
    import shutil

    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    # It reads COLUMNS first, and 0 or nonsense there counts for nothing.
    columns = shutil.get_terminal_size(fallback=(_WIDTH, 24)).columns
    if not is_terminal and not os.environ.get("COLUMNS", "").isdigit():
        columns = _WIDTH
    return min(columns, _WIDEST), is_terminal and "NO_COLOR" not in os.environ


def report(advice: Advice, *, verbose: bool = False, saved: str | None = None, is_demo: bool = False) -> None:
    """Print the report of an advice, in the words of a shell; `saved` is the file that holds it."""
    from regadvisor.report.shell import for_shell
    from regadvisor.report.text import to_text
    from regadvisor.report.view import view

    width, color = look()
    shown = for_shell(view(advice.record), advice.record, saved=saved, is_demo=is_demo)
    say(to_text(shown, width=width, color=color, verbose=verbose))


@contextmanager
def announced(text: str) -> Iterator[Callable[[], None]]:
    """Show what is being done at once, before anything is loaded; yields what takes it away again."""
    is_there = sys.stderr is not None and sys.stderr.isatty()
    if is_there:
        click.echo(text, err=True, nl=False)
        sys.stderr.flush()

    def take_away() -> None:
        nonlocal is_there
        if is_there:
            click.echo("\r" + " " * len(text) + "\r", err=True, nl=False)
        is_there = False

    try:
        yield take_away
    finally:
        take_away()


def leave(record: Record, fail_under: float | None = None) -> None:
    """Leave with the code of the record; see the help of the program."""
    if record.status == "cant_tell":
        raise click.exceptions.Exit(CANT_TELL)
    if fail_under is None:
        return
    from regadvisor.report.verdict import weakest_claim

    claim = weakest_claim(record)
    support = None if claim is None else claim.support
    if support is None or support < fail_under:
        got = "there is none" if support is None else f"it is {support:.2f}"
        click.echo(f"the support must be at least {fail_under}: {got}", err=True)
        raise click.exceptions.Exit(BELOW_SUPPORT)


class TerminatedError(KeyboardInterrupt):
    """The process was asked to end (SIGTERM), as job schedulers do."""


@contextmanager
def ended_kindly() -> Iterator[list[int]]:
    """Inside, SIGTERM is an exception, as Ctrl-C is; only the main thread can have it so.

    Yields a list that the signal's number is added to when it comes.
    """
    came: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield came
        return

    def end(number: int, frame: object) -> NoReturn:
        came.append(number)
        raise TerminatedError

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield came
    finally:
        signal.signal(signal.SIGTERM, before)


def ask(chart: Chart, replies: dict[str, str]) -> dict[str, str]:
    """Walk the chart from Q3, asking each question it gets to; return the replies by question."""
    replies = {**replies, "Q3": "yes"} if replies else dict(replies)
    name, n_asked = "Q3", 0
    while name in chart.questions:
        question = chart.questions[name]
        if name not in replies:
            n_asked += 1
            click.echo(f"{n_asked}  {question.text}\n   {_HINTS[name]}", err=True)
            if sys.stdin is None:  # closed by the shell
                raise click.Abort
            letter = click.prompt("  ", type=click.Choice([*_LETTERS], case_sensitive=False), err=True)
            replies[name] = _LETTERS[letter]
        reply = replies[name] if replies[name] in question.edges else _UNSURE[name]
        name = next(edge.to for known, edge in question.edges.items() if known == reply)
    return replies
