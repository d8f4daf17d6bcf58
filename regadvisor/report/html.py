"""A view as one HTML page without scripts, and as a card for notebooks.

Everything is inside the page: it opens offline, and asks for nothing. Text from the data is escaped by
jinja2. Pictures come in as finished SVG, so a page without them needs nothing heavy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from regadvisor.records import Record
from regadvisor.report.view import INTERVALS, View

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES = files("regadvisor.report") / "templates"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A finished picture: SVG that may stand in a page as it is, and what a person reads off it."""

    svg: str
    caption: str = ""


def to_page(
    view: View,
    record: Record,
    *,
    pictures: Mapping[str, Picture] | None = None,
    snippets: Mapping[str, str] | None = None,
) -> str:
    """Return the report as an HTML page; the same record gives the same page.

    `pictures`: by "chart", "kinds", "strength", "growth", "features", "sample". `snippets`: code by library.
    """
    from markupsafe import Markup

    drawn = {
        name: {"svg": Markup(picture.svg), "caption": picture.caption}  # noqa: S704 (escaped when drawn)
        for name, picture in (pictures or {}).items()
    }
    return _filled(
        "report.html", view=view, pictures=drawn, snippets=dict(snippets or {}), reproduce=_reproduce(record)
    )


def to_card(view: View) -> str:
    """Return verdict, warnings, candidates and path as a piece of HTML for a notebook."""
    return _filled("card.html", view=view)


def _filled(name: str, **values: object) -> str:
    from markupsafe import Markup

    style = Markup(_read("style.css"))  # noqa: S704 (our own file)
    return _environment().get_template(name).render(style=style, intervals=INTERVALS, **values)


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    return Environment(
        loader=FunctionLoader(_read),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _read(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _reproduce(record: Record) -> dict[str, str]:
    """Return what has to be the same for the same advice."""
    settings = record.settings
    budget = "no limit" if settings.budget_s is None else f"{settings.budget_s:.3g} s"
    facts = {
        "regadvisor": settings.version,
        "model": settings.model,
        "chart": settings.chart,
        "effort": f"{settings.effort} ({settings.effort_source})",
        "budget": budget,
        "folds": str(settings.folds),
        "random_state": str(settings.random_state),
        "data": "" if record.data is None else record.data.fingerprint,
    }
    return {name: value for name, value in facts.items() if value}
