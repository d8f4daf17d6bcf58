"""A view as one HTML page without scripts, and as a card for notebooks.

Everything is inside the page: it opens offline, and asks for nothing. Text from the data is escaped by
jinja2. Pictures come in as finished SVG, so a page without them needs nothing heavy.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from regadvisor.records import Record
from regadvisor.report.sections import model_name
from regadvisor.report.view import INTERVALS, View
from regadvisor.words import seconds

if TYPE_CHECKING:
    from jinja2 import Environment

_TEMPLATES = files("regadvisor.report") / "templates"


def to_page(
    view: View,
    record: Record,
    *,
    pictures: Mapping[str, str] | None = None,
    snippets: Mapping[str, str] | None = None,
) -> str:
    """Return the report as an HTML page; the same record gives the same page.

    `pictures`: finished SVG by "chart", "kinds", "strength", "growth", "features", "sample". `snippets`: code
    by library.
    """
    from markupsafe import Markup

    drawn = {name: Markup(svg) for name, svg in (pictures or {}).items()}  # noqa: S704 (escaped when drawn)
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
    settings, data, training = record.settings, record.data, record.training
    if data is None:
        return {"regadvisor": settings.version, "chart": settings.chart}
    names = ("effort", "chart", "folds", "random_state", "prefer", "correlated", "whole_picture")
    told = {name: getattr(settings, name) for name in names} | {"unpenalised": list(data.unpenalised) or None}
    usual = (("chart", "extended"), ("folds", 5))
    given = [
        f"{name}={value!r}"
        for name, value in told.items()
        if value is not None and (name, value) not in usual
    ]
    model = "linear" if training is None else model_name(training)
    own = {"linear": "", "mlp": "model='mlp', ", "cnn": "model='cnn', "}.get(model, "model=..., ")
    rows = {"groups": data.n_groups is not None, "time": data.has_time, "sample_weight": data.has_weights}
    arguments = ", ".join([*given, *(f"{name}=..." for name, has in rows.items() if has)])
    return {
        "regadvisor": settings.version,
        "call": f"regadvisor.advise(X, y, {own}{arguments})",
        "model": model,
        "budget": "no limit" if settings.budget_s is None else seconds(settings.budget_s),
        "fingerprint of the data": data.fingerprint,
    }
