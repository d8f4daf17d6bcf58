"""The command line: arguments in, report and exit code out.

Everything heavy is imported inside the commands, so ``regadvisor --help`` answers at once. Results go to
stdout, progress and complaints to stderr.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal

import click

from regadvisor import __version__
from regadvisor.cli import terminal
from regadvisor.cli.advise import advise
from regadvisor.errors import ParameterError, RegadvisorError, StorageError, enough_memory
from regadvisor.export.targets import TARGETS
from regadvisor.flowchart.chart import Chart
from regadvisor.models import MAKERS
from regadvisor.progress import is_watched, watching


class _Program(click.Group):
    """A group whose errors become one line and an exit code, never a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with enough_memory():
                return super().invoke(ctx)
        except KeyboardInterrupt:
            terminal.complain("interrupted")
            ctx.exit(terminal.INTERRUPTED)
        except RegadvisorError as error:
            from regadvisor.report.shell import complaint

            terminal.complain(complaint(str(error)))
            ctx.exit(
                terminal.USAGE if isinstance(error, ParameterError | StorageError) else terminal.DATA_ERROR
            )


@click.group(cls=_Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="regadvisor")
def main() -> None:
    """Which regularizer should this model on this data start with?

    None, L1, L2, elastic net or dropout: how strong, how sure, and what would change it. On small data the
    advice takes seconds, or up to two minutes for networks. On more than 6,000 rows it takes up to a minute,
    or as long as one full training.

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
      130  interrupted; 143 terminated (SIGTERM)

    
    Completion of commands and options with the tab key, in bash (zsh and fish alike):
      eval "$(_REGADVISOR_COMPLETE=bash_source regadvisor)"
    """


main.add_command(advise)


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
        terminal.report(advice, verbose=verbose, saved=str(path))


@main.command()
def schema() -> None:
    """Print the JSON Schema of a saved advice."""
    from regadvisor.report.serial import json_schema

    terminal.say(json_schema())


@main.command()
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
def compare(before: Path, after: Path) -> None:
    """Say what changed between two saved advices.

    
    Example:
      regadvisor compare monday.json tuesday.json
    """
    from regadvisor.advice import Advice
    from regadvisor.report.changes import changes

    records = [Advice.load(path).record for path in (before, after)]
    terminal.say("".join(f"{line}\n" for line in changes(*records)))


@main.command()
@click.argument("path", metavar="ADVICE.json", type=click.Path(path_type=Path))
@click.option(
    "--for",
    "library",
    type=click.Choice(list(TARGETS)),
    help="Default: sklearn for a linear model, torch for a network, or the library of your own.",
)
def snippet(path: Path, library: Any) -> None:
    """Print code that trains the model of a saved advice.

    \b
    Example:
      regadvisor snippet advice.json --for sklearn > train.py
    """
    from regadvisor.advice import Advice

    advice = Advice.load(path)
    training = advice.record.training
    own: Any = "sklearn" if training is None else training.library
    terminal.say(advice.snippet(library or own).rstrip("\n") + "\n")


@main.command()
@click.argument("path", metavar="ADVICE", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    metavar="PATH",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to: .html (one page with pictures), .md or .txt.",
)
@click.option("--open", "is_opened", is_flag=True, help="Open it, too.")
def report(path: Path, output: Path, is_opened: bool) -> None:
    """Write the report of a saved advice to a file.

    \b
    Example:
      regadvisor report advice.json -o report.html
    """
    from regadvisor.advice import Advice
    from regadvisor.cli.advise import check_output, write

    check_output(output)
    failed = write(Advice.load(path), output)
    if failed is not None:
        terminal.complain(failed)
        raise click.exceptions.Exit(terminal.DATA_ERROR)
    if is_opened:
        click.launch(str(output))


@main.command()
@click.option("--chart", type=terminal.CHART, default="extended", show_default=True)
@click.option("--svg", is_flag=True, help="As a picture, for pages.")
def explain(chart: str, svg: bool) -> None:
    """Draw the flowchart."""
    from regadvisor.flowchart.draw import to_ascii, to_svg

    terminal.say(f"{(to_svg if svg else to_ascii)(_chart(chart))}\n")


@main.command()
@click.option(
    "--model",
    type=click.Choice(list(MAKERS)),
    default="linear",
    show_default=True,
    help="linear and mlp: breast cancer data (569 rows); cnn: digits (500 images of 8 × 8).",
)
def demo(model: str) -> None:
    """Advise on data that come with scikit-learn.

    It takes seconds, with networks a minute.
    """
    from sklearn.datasets import load_breast_cancer, load_digits

    import regadvisor

    X: Any
    if model == "cnn":
        digits = load_digits()
        X, y = digits.images[:500], digits.target[:500]
        terminal.say(f"Data: scikit-learn's digits, {len(X)} images of 8 × 8.\n")
    else:
        X, y = load_breast_cancer(return_X_y=True, as_frame=True)
        terminal.say(f"Data: scikit-learn's breast cancer set, {X.shape[0]} rows, {X.shape[1]} features.\n")
    effort: Literal["quick", "standard"] = "standard" if model == "linear" else "quick"
    with watching(is_watched()) as progress:
        advice = regadvisor.advise(X, y, model=model, effort=effort, progress=progress)
    terminal.report(advice, is_demo=True)
    terminal.leave(advice.record)


@main.command()
@click.option("--chart", type=terminal.CHART, default="extended", show_default=True)
@click.option(
    "--correlated", type=terminal.YES_NO, help="Whether the features are correlated, instead of being asked."
)
@click.option(
    "--whole-picture",
    type=terminal.YES_NO,
    help="Whether they form one picture, as pixels and spectra do, instead of being asked.",
)
def ask(chart: str, correlated: str | None, whole_picture: str | None) -> None:
    """Advise without data, by what you know.

    You are asked about the features; answer y, n, or ? for don't know.

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
        is_asked = sys.stdin is not None and sys.stdin.isatty()  # else nobody was there to answer
        raise click.exceptions.Exit(terminal.INTERRUPTED if is_asked else terminal.USAGE) from None

    import regadvisor

    def said(name: str) -> bool | None:
        return {"yes": True, "no": False}.get(replies.get(name, "unsure"))

    terminal.report(
        regadvisor.advise_without_data(
            chart=chart,
            correlated=said("Q3a"),
            whole_picture=said("Q3b"),
            prior_knowledge=replies.get("Q3") == "yes",
        )
    )


def _chart(name: str) -> Chart:
    from regadvisor.flowchart.chart import NAMED

    return NAMED[name]
