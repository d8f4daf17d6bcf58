"""The command ``regadvisor advise``: read a table, ask for advice, print and write it."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal

import click

from regadvisor.cli import terminal
from regadvisor.errors import RegadvisorError, StorageError, reason_of
from regadvisor.models import MAKERS
from regadvisor.progress import PATIENCE_S, Progress, is_watched, watching
from regadvisor.report.phrases import clean
from regadvisor.writing import write_whole

if TYPE_CHECKING:
    from regadvisor.advice import Advice


def _seconds(ctx: click.Context, param: click.Parameter, value: str) -> float | Literal["auto"]:
    """Return a number of seconds of at least 0, or "auto"."""
    if value == "auto":
        return "auto"
    with suppress(ValueError):
        if 0 <= float(value) < math.inf:
            return float(value)
    raise click.BadParameter(f"must be a number of seconds of at least 0 or 'auto', got {value!r}")


def _one(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> str | None:
    """Return the only column; the last of several would silently take the place of the others."""
    if len(set(value)) > 1:
        what = f"{', '.join(map(repr, value[:-1]))} and {value[-1]!r}"
        raise click.BadParameter(f"must name one column, got {what}; join them into one column of the table")
    return value[0] if value else None


class _Options(SimpleNamespace):
    """The options of ``regadvisor advise`` by their names, as click checked them."""


@click.command(no_args_is_help=True)
@click.argument("data")
@click.option(
    "-t",
    "--target",
    metavar="COL",
    multiple=True,
    help="The column to predict. May be repeated: several numbers, or several columns of classes, are "
    "learned together.",
)
@click.option("--model", type=click.Choice(["auto", *MAKERS]), default="auto", show_default=True)
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
    help="Seconds for the advice. auto: up to two minutes for 6,000 rows or fewer; for more up to a minute, "
    "or as long as one full training. 0: train nothing.",
)
@click.option(
    "--effort",
    type=click.Choice(["quick", "standard", "thorough"]),
    help="How much to try; equal calls then give equal advice, and there is no time limit unless --budget "
    "says so. Default: what fits the budget.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--chart", type=terminal.CHART, default="extended", show_default=True)
@click.option("--correlated", type=terminal.YES_NO, help="Are your features correlated? Default: measured.")
@click.option(
    "--whole-picture", type=terminal.YES_NO, help='Do you need the "entire picture"? Default: measured.'
)
@click.option(
    "--groups",
    metavar="COL",
    multiple=True,
    callback=_one,
    help="Rows with the same value stay in one fold; no feature.",
)
@click.option(
    "--time",
    metavar="COL",
    multiple=True,
    callback=_one,
    help="Validate forward along this column; no feature.",
)
@click.option("--drop", metavar="COL", multiple=True, help="A column to leave out. May be repeated.")
@click.option("--prefer", type=click.Choice(["sparse"]), help="Break ties in favour of L1.")
@click.option(
    "--unpenalised", metavar="COL", multiple=True, help="A column that no penalty acts on. May be repeated."
)
@click.option(
    "--fail-under",
    metavar="SHARE",
    type=click.FloatRange(0.0, 0.99),
    help="Exit with 3 if the support of the verdict is below this: of a tie, of the weakest claim. (Advice "
    "without training has none.)",
)
@click.option(
    "--storage", metavar="PATH", type=click.Path(path_type=Path, dir_okay=False), help="Journal file."
)
@click.option("--resume", is_flag=True, help="Go on with the journal of an interrupted run.")
@click.option(
    "--workers",
    metavar="N",
    type=click.IntRange(min=1),
    help="Processes that read the parts of a folder or a large file, and train. Default: this one.",
)
@click.option("--dask", metavar="ADDRESS", help="A Dask scheduler whose workers do that, as tcp://host:8786.")
@click.option("--json", "as_json", is_flag=True, help="Print the record as JSON instead of the report.")
@click.option(
    "-o",
    "--output",
    "outputs",
    metavar="PATH",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the advice as well: .html (with pictures), .json (can be loaded again), .md or .txt. May be "
    "repeated.",
)
@click.option("--open", "is_opened", is_flag=True, help="Open the .html file that -o writes.")
@click.option(
    "-q",
    "--quiet",
    is_flag=True,
    help="No progress; only the verdict, on one line, and what is odd about the data.",
)
@click.option("-v", "--verbose", is_flag=True, help="Every comparison, candidate and fold.")
def advise(**given: Any) -> None:
    """Advise on a table.

    DATA is a CSV, Parquet or JSON file, a folder of them, or - for stdin. The model is linear, or
    for images an mlp, unless --model says otherwise.

    Folders, and files of more than a gigabyte in memory, are read in parts, once, in little memory. Images
    are a .npz file of arrays X and y (or -t NAME), a .npy file with -t LABELS.npy, or a folder with one
    subfolder of images of one size for each class.

    Nothing is written that was not asked for. With -o PATH the run keeps a journal in PATH.journal (beside
    the first PATH), which is removed at the end; if the run is interrupted, the same command with --resume
    goes on. --storage puts the journal elsewhere and keeps it. An old journal is never overwritten.

    \b
    Examples:
      regadvisor advise data.csv -t price --drop id -o advice.json -o report.html
      regadvisor advise data.csv --target slump --target flow
      regadvisor advise data.csv --target sick --groups patient --effort thorough -o advice.json
      regadvisor advise folder/ --target y --workers 4
      regadvisor advise digits.npz --model cnn
      cat data.csv | regadvisor advise - --target y --budget 20 --json > advice.json
      regadvisor advise data.csv --target y -q --fail-under 0.8 || echo "have a look"
    """
    _run(_Options(**given))


def _run(request: _Options) -> None:
    if request.workers is not None and request.dask is not None:
        raise click.UsageError("--workers and --dask exclude each other: give one of them.")
    for output in request.outputs:
        check_output(output)
        if _holds_anything(output) and os.path.exists(request.data) and output.samefile(request.data):
            raise click.BadParameter(f"must not be the file that is read, got {output}", param_hint="'-o'")
    pages = [output for output in request.outputs if output.suffix == ".html"]
    if request.is_opened and not pages:
        raise click.UsageError("--open must come with -o PATH.html, which it opens.")
    journal = _journal(request)
    existed = journal is not None and journal.exists()
    is_ours = journal is not None and request.storage is None and not existed
    try:
        with terminal.ended_kindly() as signals:
            advice = _advice(request, journal)
    except terminal.TerminatedError:
        terminal.complain(f"terminated; {_saved(journal)}")
        raise click.exceptions.Exit(terminal.TERMINATED) from None
    except KeyboardInterrupt:
        terminal.complain(f"interrupted; {_saved(journal)}")
        raise click.exceptions.Exit(terminal.INTERRUPTED) from None
    except RegadvisorError as error:
        # A journal of a run that could not start would only stand in the way of the next one.
        if is_ours and journal is not None and not isinstance(error, StorageError):
            journal.unlink(missing_ok=True)
        raise
    problems = [problem for path in request.outputs if (problem := write(advice, path)) is not None]
    is_interrupted = any(note.code == "interrupted" for note in advice.record.notes)
    if not problems and not is_interrupted and journal is not None and request.storage is None:
        journal.unlink(missing_ok=True)
    _show(advice, request)
    if request.is_opened and not problems:
        click.launch(str(pages[0]))
    if problems:
        raise RegadvisorError(f"{'; '.join(problems)}; {_saved(journal)}")
    if is_interrupted:
        said, code = ("terminated", terminal.TERMINATED) if signals else ("interrupted", terminal.INTERRUPTED)
        terminal.complain(f"{said}; this is the best of what was known then; {_saved(journal)}")
        raise click.exceptions.Exit(code)
    terminal.leave(advice.record, request.fail_under)


def _advice(request: _Options, journal: Path | None) -> Advice:
    """Read the table, ask for advice, and add what reading had to say."""
    if request.quiet:
        return _read_and_advised(request, journal, None)
    announced = terminal.announced(f"regadvisor: reading {clean(request.data)} …")
    with announced as take_away, watching(is_watched()) as progress:
        return _read_and_advised(request, journal, _after(take_away, progress))


def _after(first: Callable[[], None], progress: Progress | None) -> Progress | None:
    """Return a progress that takes away what was announced as soon as the bar has something to show."""
    if progress is None:
        return None
    since_s = time.monotonic()

    def told(stage: str, share: float) -> None:
        if time.monotonic() - since_s >= PATIENCE_S:
            first()
        progress(stage, share)

    return told


def _read_and_advised(request: _Options, journal: Path | None, progress: Progress | None) -> Advice:
    from dataclasses import replace

    from regadvisor.data.datasets import holds_arrays
    from regadvisor.data.files import read_frame, split_columns
    from regadvisor.scale.sources import find_source, without

    if holds_arrays(request.data):
        if request.groups or request.time or request.drop or len(request.target) > 1:
            raise click.UsageError("--groups, --time, --drop and several targets are for tables of columns.")
        return _asked(request, journal, progress, X=request.data, y=next(iter(request.target), None))
    source = find_source(request.data)
    if source is not None:
        if not request.target:
            raise click.UsageError(_target_wanted(list(source.kinds)))
        return _asked(
            request,
            journal,
            progress,
            X=without(source, request.drop),
            y=list(request.target) if len(request.target) > 1 else request.target[0],
            groups=request.groups,
            time=request.time,
        )
    file = read_frame(request.data)
    if not request.target:
        raise click.UsageError(_target_wanted(list(file.frame.columns)))
    split = split_columns(
        file.frame, target=request.target, drop=request.drop, groups=request.groups, time=request.time
    )
    advice = _asked(request, journal, progress, X=split.X, y=split.y, groups=split.groups, time=split.time)
    if not file.notes:
        return advice
    return type(advice)(replace(advice.record, notes=(*file.notes, *advice.record.notes)))


def _asked(request: _Options, journal: Path | None, progress: Progress | None, **data: Any) -> Advice:
    import regadvisor

    with _executor(request) as executor:
        return regadvisor.advise(
            **data,
            executor=executor,
            model=request.model,
            task=request.task,
            budget=request.budget,
            effort=request.effort,
            chart=request.chart,
            correlated=_flag(request.correlated),
            whole_picture=_flag(request.whole_picture),
            prefer=request.prefer,
            unpenalised=list(request.unpenalised) or None,
            random_state=request.seed,
            storage=journal,
            progress=False if progress is None else progress,
        )


@contextmanager
def _executor(request: _Options) -> Iterator[Any]:
    """Yield what reads parts and trains."""
    if request.dask is None:
        yield request.workers
        return
    from regadvisor.errors import import_optional

    distributed = import_optional("distributed", extra="dask", purpose="--dask")
    try:
        client = distributed.Client(request.dask, timeout="10s")
    except (OSError, ValueError) as error:
        raise click.UsageError(f"no Dask scheduler answers at {clean(request.dask)}: {error}") from error
    with client:
        yield client


def _target_wanted(columns: Sequence[object], most: int = 40) -> str:
    """Return what to say where no target is named, with the columns as they may stand in a shell."""
    names = [clean(str(name)) for name in columns]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"name the column to predict with -t; the columns are {', '.join(names[:most])}{more}"


def _flag(answer: str | None) -> bool | None:
    return None if answer is None else answer == "yes"


def _journal(request: _Options) -> Path | None:
    """Return the path of the journal, if there is to be one; see the help of ``advise``."""
    path: Path | None = request.storage
    if path is None and request.outputs:
        path = request.outputs[0].with_name(f"{request.outputs[0].name}.journal")
    if path is None:
        if request.resume:
            raise click.UsageError(
                "--resume must come with --storage PATH or -o PATH, which name the journal."
            )
        return None
    is_there = _holds_anything(path)
    if is_there and not request.resume:
        from regadvisor.search.store import check_ours

        check_ours(path)
        raise click.UsageError(
            f"{path} is the journal of an interrupted run: give --resume to go on with it, or delete it."
        )
    if request.resume and not is_there and not request.quiet:
        click.echo(f"nothing to resume in {path}; starting from the beginning", err=True)
    return path


def _holds_anything(path: Path) -> bool:
    """Return whether there is such a file, and not an empty one; raise for what cannot be the name of one."""
    try:
        return path.exists() and path.stat().st_size > 0
    except OSError as error:
        raise click.UsageError(f"a file cannot be called {str(path)!r}: {reason_of(error)}.") from error


def _saved(journal: Path | None) -> str:
    """Return what an interrupted run leaves behind, and how to go on."""
    if journal is None:
        return "nothing was saved (-o PATH or --storage PATH would keep what is known)"
    if not _holds_anything(journal):
        return "nothing was known yet"
    return f"what is known is saved in {journal}: run the same command with --resume"


def _show(advice: Advice, request: _Options) -> None:
    if request.as_json:
        terminal.say(advice.to_json().encode())
    elif request.quiet:
        from regadvisor.report.shell import in_options

        terminal.say("".join(f"{in_options(line)}\n" for line in (advice.verdict, *advice.warnings)))
    else:
        saved = next((str(path) for path in request.outputs if path.suffix == ".json"), None)
        terminal.report(advice, verbose=request.verbose, saved=saved)


def check_output(path: Path) -> None:
    """Raise before anything costly is done for a file that could not be written."""
    from regadvisor.advice import FORMATS

    if path.suffix not in FORMATS:
        raise click.BadParameter(f"must end in {', '.join(FORMATS)}, got {str(path)!r}", param_hint="'-o'")
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise click.BadParameter(
            f"must be in a folder that exists and can be written, got {str(path)!r}", param_hint="'-o'"
        )


def write(advice: Advice, path: Path) -> str | None:
    """Write the advice in the format its ending names, whole or not at all; return what went wrong."""
    from regadvisor.advice import FORMATS

    try:
        write_whole(FORMATS[path.suffix](advice), path)
    except StorageError as error:
        return str(error)
    return None
