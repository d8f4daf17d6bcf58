"""The words of a report for somebody in a shell: options in place of arguments."""

from __future__ import annotations

import re
from dataclasses import replace
from shlex import quote

from regadvisor.records import Record
from regadvisor.report.sections import missing
from regadvisor.report.view import View, mapped

#: Arguments that the shell has as options, with what stands after each if a sentence gives no value.
_OPTIONS = {"time": " COL", "groups": " COL", "task": " TASK", "budget": " SECONDS", "model": " MODEL"}
_ARGUMENT = re.compile(
    rf"(?<![\w-])({'|'.join(_OPTIONS)})=(?:'([^']+)'|\"([^\"]+)\"|(\d[\d.]*\d|\d)|(?![\w'\"]))"
)

#: What errors say of arguments and of Python, and what a shell says instead; in this order.
_ERRORS = tuple(
    (re.compile(said), typed)
    for said, typed in (
        (r"^target must be (?='(sklearn|torch)')", "--for must be "),
        (r"^snippet\('(\w+)'\) must", r"--for \1 must"),
        (r"; its parameters are in advice\.regularizer.*", "; the report has its parameters"),
        (r"; (use )?advice\.(build|optimizer)\(.*", ""),
        (r"with advice\.to_json\(path\) or `", "with `"),
        (r"^path must be (an|a readable) advice", r"ADVICE must be \1 advice"),
        (r"advice\.to_json\(path\) wrote to", "-o wrote to"),
        (r"^y must be (?=the name|given)", "target must be "),
        (r"^(target|groups|time|drop|unpenalised|task|storage|prefer|model) must", r"--\1 must"),
        (r"\bas (target|groups|time|drop)\b", r"as --\1"),
        (r"^(path|X) must (?=be|name)", "DATA must "),
        (r"^X must", "the table must"),
        (r"^y (?=must|has)|(?<=, )y (?=has)", "the target "),
        (r"\b(in|of|convert) y\b", r"\1 the target"),
        (r"\bof X\b", "of the table"),
        (r"leave groups out", "leave --groups out"),
        (r"(?<=must )be None (but for|unless)", r"be left out \1"),
        (r"unless X is", "unless DATA is"),
        (r"got NaN or None in", "got none in"),
        (r"got None\b", "got nothing"),
        (r"(?<=got [01]) sample\(s\) .*?(?=;| while)", ""),
        (r"call advise\(\) once", "run it once"),
        (r" \(pandas\.get_dummies\)", ""),
        (r"call advise\(X, y\)", "run regadvisor advise"),
        (r"convert it with pandas\.to_datetime", "write it that way"),
        (r"reshape X, or use", "use"),
        (r", or a classifier as model=|; in a module of your own.*", ""),
        (r"pass an array, or another \.npy file", "name another .npy file"),
        (r"; pass (?=\w+\.astype).*", ""),
        (r"; pass seconds, such as pandas.*", "; write them in seconds"),
    )
)


#: What is quoted, but for the values of arguments and the names of libraries.
_QUOTED = re.compile(r"(?<![=(\w])'(?!(?:sklearn|torch)')[^']*'")
#: What only Python can do where a file may be written otherwise.
_PYTHON_ONLY = re.compile(
    r"pass X\[.*?\]\.astype\('category'\), or (?=write)"
    r"|, or use (?:its|their) words with steps of your own, .* for a number(?=\.)"
)


def complaint(error: str) -> str:
    """Return what an error says, in the words of a shell; what it quotes of the data stays as it is.

    >>> complaint("groups must have at least 2 different values, got 1; leave groups out")
    '--groups must have at least 2 different values, got 1; leave --groups out'
    >>> complaint("values of column 'size of X' of X must be text, got lists")
    "values of column 'size of X' of the table must be text, got lists"
    """
    quoted = iter(_QUOTED.findall(error))
    error = _QUOTED.sub("'\0'", error)
    for said, typed in _ERRORS:
        error = said.sub(typed, error)
    return re.sub("'\0'", lambda _: next(quoted), in_options(error))


def in_options(text: str) -> str:
    """Return `text` with the names of arguments as options.

    >>> in_options("pass time=."), in_options("task='regression' takes it as a number")
    ('pass --time COL.', '--task regression takes it as a number')
    >>> in_options('With more time (budget=60), …'), in_options('budget="auto"')
    ('With more time (--budget 60), …', '--budget auto')
    >>> in_options("pass time='order date'.")
    "pass --time 'order date'."
    """

    def option(found: re.Match[str]) -> str:
        value = next((f" {quote(group)}" for group in found.groups()[1:] if group), _OPTIONS[found[1]])
        return f"--{found[1]}{value}"

    return _ARGUMENT.sub(option, _PYTHON_ONLY.sub("", text))


def for_shell(view: View, record: Record, *, saved: str | None = None, is_demo: bool = False) -> View:
    """Return a view in the words of a shell; `saved` is the file that holds the advice."""
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
