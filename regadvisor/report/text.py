"""A view as text for a terminal or a file, and as Markdown for a pull request, a wiki or a notebook."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from regadvisor.report.view import COMPARISON_COLUMNS, INTERVALS, SCORE_COLUMNS, View
from regadvisor.words import capital

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table


_REPLY_STYLES = {"yes": "green", "better": "green", "no": "red", "worse": "red", "same": "cyan"}
#: A narrower console would break every cell of the tables.
_NARROWEST = 48


def to_text(view: View, *, width: int = 88, color: bool = False, verbose: bool = False) -> str:
    """Return the report as text, at least 48 columns wide; nothing is said by colour (ANSI codes) alone."""
    console = _console(max(width, _NARROWEST), color=color)
    console.print(_headline(view))
    _warnings(console, view)
    console.print(view.context, style="dim")
    _path(console, view, verbose=verbose)
    _candidates(console, view)
    _sections(console, view)
    if verbose:
        _whole_table(console, "Every comparison", COMPARISON_COLUMNS, view.comparisons)
        _whole_table(console, "Every fit", SCORE_COLUMNS, view.scores)
    file = console.file
    assert isinstance(file, io.StringIO)
    return "\n".join(line.rstrip() for line in file.getvalue().splitlines()) + "\n"


def _console(width: int, *, color: bool) -> Console:
    from rich.console import Console

    # An empty environment: COLUMNS, NO_COLOR or TERM must not change what a file holds.
    return Console(
        file=io.StringIO(),
        width=width,
        force_terminal=color,
        color_system="standard" if color else None,
        legacy_windows=False,
        highlight=False,
        markup=False,
        emoji=False,
        _environ={},
    )


def _title(console: Console, title: str) -> None:
    console.print()
    console.print(title, style="bold")


def _headline(view: View) -> RenderableType:
    from rich.panel import Panel
    from rich.text import Text

    text = Text()
    for place, line in enumerate(view.headline):
        text.append(f"{line}\n", style="bold" if place == 0 else "")
    text.rstrip()
    return Panel(text, title=view.title, title_align="left")


def _warnings(console: Console, view: View) -> None:
    from rich.text import Text

    if not view.warnings:
        return
    grid = _grid()
    for line in view.warnings:
        grid.add_row(Text("!", style="bold yellow"), Text(line))
    console.print(grid)


def _path(console: Console, view: View, *, verbose: bool) -> None:
    from rich.text import Text

    if not view.path:
        return
    _title(console, "Why")
    grid = _grid()
    for row in view.path:
        reply = Text(row.reply, style=f"bold {_REPLY_STYLES.get(row.reply, 'yellow')}")
        grid.add_row(Text(f"  {row.question}"), reply, Text(row.text))
        because = Text(row.because, style="dim")
        if verbose and row.action:
            because.append(f" Then {row.action}.")
        if row.pick:
            because.append(f" {capital(row.pick)}.", style="bold not dim")
        grid.add_row("", "", because)
    console.print(grid)


def _candidates(console: Console, view: View) -> None:
    from rich.padding import Padding

    if not view.candidates:
        return
    _title(console, f"Held-out {view.loss_name} ({INTERVALS})")
    headers = ("  kind", "loss", "gain over none", "reply", "best tried", "runs")
    rows = [
        (f"{'>' if row.is_pick else ' '} {row.kind}", row.loss, row.gain, row.reply, row.strength, row.tried)
        for row in view.candidates
    ]
    widths = [max(map(len, column)) for column in zip(headers, *rows, strict=True)]
    # As many columns as fit: cells that wrap would double the rows.
    n = next((n for n in (6, 5) if sum(widths[:n]) + 2 * (n - 1) <= console.width), 4)
    table = _table(*headers[:n])
    for row, cells in zip(view.candidates, rows, strict=True):
        _add(table, *cells[:n], style="bold" if row.is_pick else "")
    console.print(table)
    remarks = [f"{row.kind}: {row.remarks}" for row in view.candidates if row.remarks]
    below = [*([] if view.disagreement is None else [view.disagreement]), "; ".join(remarks)]
    for line in filter(None, below):
        console.print(Padding(line, (0, 0, 0, 2)))


def _sections(console: Console, view: View) -> None:
    """Print the lists of sentences beside their titles."""
    from rich.text import Text

    console.print()
    grid = _grid()
    for title, lines in view.sections:
        for place, line in enumerate(lines):
            grid.add_row(Text("" if place else title, style="bold"), Text(line))
    console.print(grid)


def _grid() -> Table:
    """Return a grid whose last column wraps."""
    from rich.table import Table

    return Table.grid(padding=(0, 2, 0, 0))


def _whole_table(
    console: Console, title: str, columns: tuple[str, ...], rows: tuple[tuple[str, ...], ...]
) -> None:
    if not rows:
        return
    _title(console, title)
    table = _table(*columns)
    for row in rows:
        _add(table, *row)
    console.print(table)


def _table(*headers: str) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for header in headers:
        right = header in ("loss", "training", "runs", "rows")
        table.add_column(header, justify="right" if right else "left", overflow="fold")
    return table


def _add(table: Table, *cells: str, style: str = "") -> None:
    from rich.text import Text

    table.add_row(*(Text(cell) for cell in cells), style=style)


_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~])")


def to_markdown(view: View) -> str:
    """Return the report as GitHub-flavoured Markdown, ending in a newline.

    Text from the data (names of columns and classes) is escaped, so it cannot become markup.
    """
    parts = [
        "# regadvisor",
        f"**{_plain(view.headline[0])}** {_plain(' '.join(view.headline[1:]))}".rstrip(),
        *_section("Look at first", view.warnings),
        _plain(view.context),
        *_path_lines(view),
        *_kinds(view),
        *(part for title, lines in view.sections for part in _section(title, lines)),
    ]
    return "\n\n".join(parts) + "\n"


def _plain(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)


def _path_lines(view: View) -> list[str]:
    if not view.path:
        return []
    rows = []
    for row in view.path:
        follows = "".join(f" → {_plain(part)}" for part in (row.action, row.pick) if part)
        rows.append(
            f"- **{_plain(row.question)}** {_plain(row.text)} **{row.reply}**{follows}  \n"
            f"  {_plain(row.because)}"
        )
    return ["## Why", "\n".join(rows)]


def _kinds(view: View) -> list[str]:
    if not view.candidates:
        return []
    lines = [_row(["kind", "best tried", "loss", "gain over none", "reply", "runs", "remarks"])]
    lines.append("|---|---|--:|---|---|--:|---|")
    for row in view.candidates:
        cells = [row.kind, row.strength, row.loss, row.gain, row.reply, row.tried, row.remarks]
        lines.append(_row(cells, is_bold=row.is_pick))
    parts = [f"## Held-out {_plain(view.loss_name)} ({INTERVALS})", "\n".join(lines)]
    return parts if view.disagreement is None else [*parts, _plain(view.disagreement)]


def _row(cells: Iterable[str], *, is_bold: bool = False) -> str:
    marked = (f"**{_plain(cell)}**" if is_bold and cell else _plain(cell) for cell in cells)
    return f"| {' | '.join(marked)} |"


def _section(title: str, lines: tuple[str, ...]) -> list[str]:
    return [f"## {title}", "\n".join(f"- {_plain(line)}" for line in lines)] if lines else []
