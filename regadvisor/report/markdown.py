"""A view as Markdown, for a pull request, a wiki or a notebook."""

from __future__ import annotations

import re
from collections.abc import Iterable

from regadvisor.report.view import INTERVALS, View

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
        *_path(view),
        *_candidates(view),
        *(part for title, lines in view.sections for part in _section(title, lines)),
    ]
    return "\n\n".join(parts) + "\n"


def _plain(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)


def _path(view: View) -> list[str]:
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


def _candidates(view: View) -> list[str]:
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
