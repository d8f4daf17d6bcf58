"""The command line: arguments in, report and exit code out.

Everything heavy is imported inside the commands, so ``regadvisor --help`` answers at once. Results go to
stdout, progress and complaints to stderr.
"""

from __future__ import annotations

import math
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from regadvisor import __version__, terminal
from regadvisor.errors import ParameterError, RegadvisorError, StorageError

if TYPE_CHECKING:
    from regadvisor.advice import Advice
    from regadvisor.flowchart.chart import Chart
    from regadvisor.records import Record

DATA_ERROR, USAGE, BELOW_SUPPORT, CANT_TELL, INTERRUPTED = 1, 2, 3, 4, 130
_EXTENSIONS = (".json", ".md", ".txt")

YesNo = click.Choice(["yes", "no"])
ChartName = click.Choice(["classic", "extended"])


class _Program(click.Group):
    """A group whose errors become one line and an exit code, never a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            terminal.complain("interrupted")
            ctx.exit(INTERRUPTED)
        except RegadvisorError as error:
            terminal.complain(str(error))
            ctx.exit(USAGE if isinstance(error, ParameterError | StorageError) else DATA_ERROR)


def _seconds(ctx: click.Context, param: click.Parameter, value: str) -> float | Literal["auto"]:
    """Return a number of seconds of at least 0, or "auto"."""
    if value == "auto":
        return "auto"
    with suppress(ValueError):
        if 0 <= float(value) < math.inf:
            return float(value)
    raise click.BadParameter(f"must be a number of seconds of at least 0 or 'auto', got {value!r}")


@click.group(cls=_Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="regadvisor")
def main() -> None:
    """Which regularizer should this model on this data start with?

    None, L1, L2, elastic net or dropout: how strong, how sure, and what would change it. The advice costs
    less than one full training run.

    \b
    Examples:
      regadvisor advise data.csv --target y
      regadvisor advise data.parquet --target y --model mlp -o advice.json
      regadvisor snippet advice.json --for sklearn
      regadvisor demo

    \b
    Exit codes:
      0    advice (a tie or "no signal" is advice, too)
      1    the data or a file cannot be used; the message says what to change
      2    wrong usage
      3    the support is below --fail-under
      4    can't tell yet
      130  interrupted
    """


# -------------------------------------------------------------------------------------------- advise


@dataclass(frozen=True, kw_only=True)
class _Request:
    """The options of ``regadvisor advise``, as click checked them."""

    data: str
    target: str
    model: str
    task: str
    budget: float | Literal["auto"]
    effort: Literal["quick", "standard", "thorough"] | None
    seed: int
    chart: str
    correlated: str | None
    whole_picture: str | None
    groups: str | None
    time: str | None
    drop: tuple[str, ...]
    prefer: Literal["sparse"] | None
    fail_under: float | None
    storage: Path | None
    resume: bool
    as_json: bool
    output: Path | None
    quiet: bool
    verbose: bool


@main.command(no_args_is_help=True)
@click.argument("data")
@click.option("--target", metavar="COL", required=True, help="The column to predict.")
@click.option("--model", type=click.Choice(["auto", "linear", "mlp"]), default="auto", show_default=True)
@click.option(
    "--task",
    type=click.Choice(["auto", "classification", "binary", "multiclass", "regression"]),
    default="auto",
    show_default=True,
)
@click.option(
    "--budget",
    metavar="SECONDS",
    callback=_seconds,
    default="auto",
    show_default=True,
    help="Seconds for the advice. auto: the cost of one full run, 5 to 60 s. 0: train nothing.",
)
@click.option(
    "--effort",
    type=click.Choice(["quick", "standard", "thorough"]),
    help="How much to try; equal calls then give equal advice, and there is no time limit unless --budget "
    "says so. Default: what fits the budget.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--chart", type=ChartName, default="extended", show_default=True)
@click.option("--correlated", type=YesNo, help="Are your features correlated? Default: measured.")
@click.option("--whole-picture", type=YesNo, help='Do you need the "entire picture"? Default: measured.')
@click.option("--groups", metavar="COL", help="Rows with the same value stay in one fold; no feature.")
@click.option("--time", metavar="COL", help="Validate forward along this column; no feature.")
@click.option("--drop", metavar="COL", multiple=True, help="A column to leave out. May be repeated.")
@click.option("--prefer", type=click.Choice(["sparse"]), help="Break ties in favour of L1.")
@click.option(
    "--fail-under",
    metavar="SHARE",
    type=click.FloatRange(0.0, 0.99),
    help="Exit with 3 if the support is below this (prior advice has none).",
)
@click.option(
    "--storage", metavar="PATH", type=click.Path(path_type=Path, dir_okay=False), help="Journal file."
)
@click.option("--resume", is_flag=True, help="Go on with the journal of an interrupted run.")
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON instead of the report.")
@click.option(
    "-o",
    "--output",
    metavar="PATH",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the advice as well: .json (can be loaded again), .md or .txt.",
)
@click.option("-q", "--quiet", is_flag=True, help="No progress; only the verdict on one line.")
@click.option("-v", "--verbose", is_flag=True, help="Every comparison, candidate and fold.")
def advise(**given: Any) -> None:
    """Advise on the table in DATA: a CSV, Parquet or JSON Lines file, or - for stdin.

    Nothing is written that was not asked for. With -o PATH the run keeps a journal in PATH.journal, which
    is removed at the end; if the run is interrupted, the same command with --resume goes on. --storage puts
    the journal elsewhere and keeps it. An old journal is never overwritten.

    \b
    Examples:
      regadvisor advise data.csv --target price --drop id
      regadvisor advise data.csv --target sick --groups patient --effort thorough -o advice.json
      cat data.csv | regadvisor advise - --target y --budget 20 --json > advice.json
      regadvisor advise data.csv --target y -q --fail-under 0.8 || echo "have a look"
    """
    _advise(_Request(**given))


def _advise(request: _Request) -> None:
    if request.output is not None:
        _check_output(request.output)
    journal = _journal(request)
    existed = journal is not None and journal.exists()
    is_ours = journal is not None and request.storage is None and not existed
    try:
        advice = _run(request, journal)
    except KeyboardInterrupt:
        terminal.complain(f"interrupted; {_saved(journal)}")
        raise click.exceptions.Exit(INTERRUPTED) from None
    except RegadvisorError:
        # A journal of a run that could not start would only stand in the way of the next one.
        if is_ours and journal is not None:
            journal.unlink(missing_ok=True)
        raise
    if request.output is not None:
        _write(advice, request.output)
    if journal is not None and request.storage is None:
        journal.unlink(missing_ok=True)
    _show(advice, request)
    _exit(advice.record, request.fail_under)


def _run(request: _Request, journal: Path | None) -> Advice:
    """Read the table, ask for advice, and add what reading had to say."""
    from dataclasses import replace

    import regadvisor
    from regadvisor.data.files import read_frame, split_columns

    stdin = click.get_binary_stream("stdin") if request.data == "-" else None
    file = read_frame(request.data, stdin=stdin)
    split = split_columns(
        file.frame, target=request.target, drop=request.drop, groups=request.groups, time=request.time
    )
    with terminal.progress(is_shown=not request.quiet) as progress:
        advice = regadvisor.advise(
            split.X,
            split.y,
            model=request.model,
            task=request.task,
            budget=request.budget,
            effort=request.effort,
            chart=request.chart,
            correlated=_flag(request.correlated),
            whole_picture=_flag(request.whole_picture),
            prefer=request.prefer,
            groups=split.groups,
            time=split.time,
            random_state=request.seed,
            storage=journal,
            progress=progress,
        )
    if not file.notes:
        return advice
    return type(advice)(replace(advice.record, notes=(*file.notes, *advice.record.notes)))


def _flag(answer: str | None) -> bool | None:
    return None if answer is None else answer == "yes"


def _journal(request: _Request) -> Path | None:
    """Return the path of the journal, if there is to be one; see the help of ``advise``."""
    path = request.storage
    if path is None and request.output is not None:
        path = request.output.with_name(f"{request.output.name}.journal")
    if path is None:
        if request.resume:
            raise click.UsageError(
                "--resume must come with --storage PATH or -o PATH, which name the journal."
            )
        return None
    is_there = path.exists() and path.stat().st_size > 0
    if is_there and not request.resume:
        raise click.UsageError(
            f"{path} is the journal of an interrupted run: give --resume to go on with it, or delete it."
        )
    if request.resume and not is_there and not request.quiet:
        click.echo(f"nothing to resume in {path}; starting from the beginning", err=True)
    return path


def _saved(journal: Path | None) -> str:
    """Return what an interrupted run leaves behind, and how to go on."""
    if journal is None:
        return "nothing was saved (-o PATH or --storage PATH would keep what is known)"
    if not journal.exists() or journal.stat().st_size == 0:
        return "nothing was known yet"
    return f"what is known is saved in {journal}: run the same command with --resume"


# ----------------------------------------------------------------------------------- what comes out


def _show(advice: Advice, request: _Request) -> None:
    if request.as_json:
        terminal.say(advice.to_json().encode())
    elif request.quiet:
        terminal.say(f"{advice.verdict}\n")
    else:
        _report(advice, verbose=request.verbose)


def _report(advice: Advice, *, verbose: bool = False) -> None:
    width, color = terminal.look()
    terminal.say(advice.to_text(width=width, color=color, verbose=verbose))


def _check_output(path: Path) -> None:
    """Raise before anything costly is done for a file that could not be written."""
    if path.suffix not in _EXTENSIONS:
        raise click.BadParameter(
            f"must end in {', '.join(_EXTENSIONS)}, got {str(path)!r}", param_hint="'-o'"
        )
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise click.BadParameter(
            f"must be in a folder that exists and can be written, got {str(path)!r}", param_hint="'-o'"
        )


def _write(advice: Advice, path: Path) -> None:
    """Write the advice in the format its ending names, whole or not at all."""
    render = {".json": advice.to_json, ".md": advice.to_markdown, ".txt": advice.to_text}[path.suffix]
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_bytes(render().encode())
        part.replace(path)
    except OSError as error:
        raise RegadvisorError(f"cannot write {path}: {error.strerror}") from error


def _exit(record: Record, fail_under: float | None = None) -> None:
    """Leave with the code of the record; see the help of the program."""
    if record.status == "cant_tell":
        raise click.exceptions.Exit(CANT_TELL)
    if fail_under is None:
        return
    from regadvisor.report.verdict import main_claim

    claim = main_claim(record)
    support = None if claim is None else claim.support
    if support is None or support < fail_under:
        got = "there is none" if support is None else f"it is {support:.2f}"
        click.echo(f"the support must be at least {fail_under}: {got}", err=True)
        raise click.exceptions.Exit(BELOW_SUPPORT)


# ------------------------------------------------------------------------------------ other commands


@main.command()
@click.argument("path", metavar="ADVICE.json", type=click.Path(path_type=Path))
@click.option("-v", "--verbose", is_flag=True, help="Every comparison, candidate and fold.")
@click.option("--markdown", is_flag=True, help="As Markdown.")
def show(path: Path, verbose: bool, markdown: bool) -> None:
    """Print the report of a saved advice."""
    from regadvisor.advice import Advice

    advice = Advice.load(path)
    if markdown:
        terminal.say(advice.to_markdown())
    else:
        _report(advice, verbose=verbose)


@main.command()
@click.argument("path", metavar="ADVICE.json", type=click.Path(path_type=Path))
@click.option(
    "--for",
    "library",
    type=click.Choice(["sklearn", "torch"]),
    help="Default: sklearn for a linear model, torch for a network.",
)
def snippet(path: Path, library: Literal["sklearn", "torch"] | None) -> None:
    """Print code that trains the model of a saved advice.

    \b
    Example:
      regadvisor snippet advice.json --for sklearn > train.py
    """
    from regadvisor.advice import Advice

    advice = Advice.load(path)
    training = advice.record.training
    own: Literal["sklearn", "torch"] = "torch" if training and training.family == "mlp" else "sklearn"
    terminal.say(advice.snippet(library or own).rstrip("\n") + "\n")


@main.command()
@click.option("--chart", type=ChartName, default="extended", show_default=True)
@click.option("--mermaid", is_flag=True, help="As Mermaid text, for Markdown pages.")
def explain(chart: str, mermaid: bool) -> None:
    """Draw the flowchart."""
    from regadvisor.flowchart.draw import to_ascii, to_mermaid

    drawn = to_mermaid(_chart(chart)) if mermaid else to_ascii(_chart(chart))
    terminal.say(drawn.rstrip("\n") + "\n")


@main.command()
def demo() -> None:
    """Advise on scikit-learn's breast cancer data (569 rows); takes seconds."""
    from sklearn.datasets import load_breast_cancer

    import regadvisor

    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    terminal.say(f"Data: scikit-learn's breast cancer set, {X.shape[0]} rows, {X.shape[1]} features.\n")
    with terminal.progress(is_shown=True) as progress:
        advice = regadvisor.advise(X, y, effort="standard", progress=progress)
    _report(advice)
    _exit(advice.record)


@main.command()
@click.option("--chart", type=ChartName, default="extended", show_default=True)
@click.option("--correlated", type=YesNo, help="Answers Q3a without asking.")
@click.option("--whole-picture", type=YesNo, help="Answers Q3b without asking.")
def ask(chart: str, correlated: str | None, whole_picture: str | None) -> None:
    """Advise without data: answer what you know about the features (y, n, or ? for don't know).

    The kind follows from the flowchart; how strong it has to be stays unknown without data.
    """
    known = {"Q3a": correlated, "Q3b": whole_picture}
    try:
        replies = terminal.ask(
            _chart(chart), {name: reply for name, reply in known.items() if reply is not None}
        )
    except click.Abort:
        click.echo(err=True)
        terminal.complain(
            "no answer; answer in a terminal, or give --correlated yes|no and --whole-picture yes|no"
        )
        raise click.exceptions.Exit(INTERRUPTED) from None

    import regadvisor

    def said(name: str) -> bool | None:
        return {"yes": True, "no": False}.get(replies.get(name, "unsure"))

    _report(regadvisor.advise_without_data(chart=chart, correlated=said("Q3a"), whole_picture=said("Q3b")))


def _chart(name: str) -> Chart:
    from regadvisor.flowchart.chart import CLASSIC, EXTENDED

    return {"classic": CLASSIC, "extended": EXTENDED}[name]
