"""The words of a report for somebody in a shell: options in place of arguments."""

from __future__ import annotations

import re
from dataclasses import replace

from regadvisor.records import Record
from regadvisor.report.sections import missing
from regadvisor.report.view import View, mapped

#: Arguments that the shell has as options, with what stands after each if a sentence gives no value.
_OPTIONS = {"time": " COL", "groups": " COL", "task": " TASK", "budget": " SECONDS", "model": " MODEL"}
_ARGUMENT = re.compile(rf"(?<![\w-])({'|'.join(_OPTIONS)})=(?:'(\w+)'|\"(\w+)\"|(\d[\d.]*\d|\d)|(?![\w'\"]))")


def in_options(text: str) -> str:
    """Return `text` with the names of arguments as options.

    Examples
    --------
    >>> in_options("pass time=."), in_options("task='regression' takes it as a number")
    ('pass --time COL.', '--task regression takes it as a number')
    >>> in_options('With more time (budget=60), …'), in_options('budget="auto"')
    ('With more time (--budget 60), …', '--budget auto')
    """

    def option(found: re.Match[str]) -> str:
        value = next((f" {group}" for group in found.groups()[1:] if group), _OPTIONS[found[1]])
        return f"--{found[1]}{value}"

    return _ARGUMENT.sub(option, text)


def for_shell(view: View, record: Record, *, saved: str | None = None, is_demo: bool = False) -> View:
    """Return a view in the words of a shell.

    Parameters
    ----------
    view : View
        The words of `record`.
    record : Record
    saved : str, optional
        The file that holds the advice, where there is one.
    is_demo : bool, default False
        The data are not the reader's own.
    """
    own = "regadvisor advise data.csv -t COL -o report.html advises on data of your own."
    steps = (own,) if is_demo else _next_steps(record, saved)
    return mapped(replace(view, next_steps=steps), in_options)


def _next_steps(record: Record, saved: str | None) -> tuple[str, ...]:
    training = record.training
    if not record.strength.regularizer.has_strengths or training is None:
        return ("regadvisor advise data.csv -t COL finds the strength from your data.",)
    path = saved or "advice.json"
    lines = [] if saved else ["Add -o advice.json to keep this advice."]
    if training.has_code:
        code = f"regadvisor snippet {path} --for {training.library}"
        lines.append(f"{code} prints code that trains the advised model.")
    page = f"regadvisor report {path} -o report.html --open shows this report with pictures."
    return (*lines, page, *missing(record))
