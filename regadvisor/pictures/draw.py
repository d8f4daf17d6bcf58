"""From the numbers of a picture to matplotlib axes and to SVG.

One path serves notebooks and HTML. A kind is told apart by colour (the colour-blind safe set of Okabe and Ito
2008), by dash and marker, and by its label at the end of the line.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import product
from typing import TYPE_CHECKING, Any

from regadvisor.errors import ParameterError
from regadvisor.flowchart import draw as flowchart_draw
from regadvisor.flowchart.chart import Chart, limited, resolve, sparse_first
from regadvisor.quiet import ignoring
from regadvisor.records import Record, Step
from regadvisor.regularizer import DROPOUT_KINDS, KIND_SPECS, KINDS, Kind
from regadvisor.report.html import to_page
from regadvisor.report.phrases import clean
from regadvisor.report.picture_data import (
    FeaturesPicture,
    GrowthPicture,
    KindsPicture,
    SamplePicture,
    StrengthPicture,
    features_picture,
    growth_picture,
    kinds_picture,
    sample_picture,
    strength_picture,
)
from regadvisor.report.view import mapped, view
from regadvisor.thresholds import INTERVAL, REPLY_MASS
from regadvisor.words import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes


#: Inches around a picture of a page, whose letters are a little wider than those that it was laid out with.
_PAD = 0.1
_INK, _FAINT, _BAND = "#1f2937", "#6b7280", "#e5e7eb"
#: A kind that loses more than so many times the middle one would squeeze all others together.
_FARTHEST = 4.0
#: No regularizer is what all are compared with, so it is drawn up to this percentage.
_FARTHEST_NONE = 30.0
#: The axis of losses is so many times as high as three quarters of the candidates need, or this share of the
#: lowest loss: differences of a per mille are not to look like mountains.
_HEIGHT, _LEAST_HEIGHT = 2.0, 0.05


def plot(record: Record, kind: str, ax: Axes | None = None) -> Axes:
    """Draw a picture of a record and return its axes; see :meth:`regadvisor.advice.Advice.plot`."""
    draw = _drawing(record, kind)
    if ax is None:
        from matplotlib import pyplot

        _, ax = pyplot.subplots(figsize=_size(kind), layout="constrained")
    draw(ax)
    return ax


def to_svg(record: Record, kind: str) -> str:
    """Return a picture as SVG: text as text, and the same bytes for the same record."""
    from matplotlib.figure import Figure

    draw = _drawing(record, kind)
    with _svg_settings(), ignoring(RuntimeWarning):  # of huge numbers in a record that somebody edited
        figure = Figure(figsize=_size(kind))
        figure.set_layout_engine("constrained", h_pad=_PAD, w_pad=_PAD)
        axes = figure.subplots()
        draw(axes)
        axes.set_title("", loc="left")  # a page has a heading
        file = io.StringIO()
        with ignoring(UserWarning):  # a name in letters that the font lacks; the browser has them
            figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    # Inside a page an SVG has no prologue of its own.
    return text[text.index("<svg") :]


@contextmanager
def _svg_settings() -> Iterator[None]:
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # a caller's style must not change what a file holds
        matplotlib.rcParams["svg.fonttype"] = "none"
        matplotlib.rcParams["svg.hashsalt"] = "regadvisor"
        yield


def _drawing(record: Record, kind: str) -> Callable[[Axes], None]:
    """Return what draws the picture; its numbers are worked out first, so that nothing is drawn in vain."""
    if kind not in _PICTURES:
        names = ", ".join(map(repr, (*_PICTURES, "chart")))
        raise ParameterError(f"kind must be one of {names}, got {kind!r}")
    numbers, draw = _PICTURES[kind]
    picture = numbers(record)
    return lambda ax: draw(picture, ax)


def _size(kind: str) -> tuple[float, float]:
    return (7.0, 6.0) if kind == "features" else (7.0, 3.6)


def draw_strength(picture: StrengthPicture, ax: Axes) -> None:
    """Draw loss against strength: the flat range shaded, the pick marked."""
    if picture.flat is not None:
        ax.axvspan(*picture.flat, color=_BAND, zorder=0, label="not clearly worse")
    has_band = False
    for line in picture.lines:
        looks = KIND_SPECS[line.kind]
        x = [point.at for point in line.points]
        y = [point.value for point in line.points]
        # Points of L1+L2 and the like lie on a plane, not on a line.
        is_curve = line.kind in ("l1", "l2", "dropout")
        line_style: Any = looks.dash if is_curve else "none"
        ax.plot(
            x,
            y,
            linestyle=line_style,
            marker=looks.marker,
            markersize=4,
            color=looks.colour,
            label=line.label,
        )
        if is_curve:
            low, high = ([point[end] for point in line.points] for end in (2, 3))
            band = "" if has_band else "± standard error"
            ax.fill_between(x, low, high, color=looks.colour, alpha=0.15, linewidth=0, label=band)
            has_band = True
    bottom, top = _loss_limits(picture)
    for loss, name, style in ((picture.none_loss, "none", "-"), (picture.constant_loss, "always guess", ":")):
        if loss is not None and math.isfinite(loss):
            above = f" ({number(loss)}, above)" if loss > top else ""
            colour = KIND_SPECS["none"].colour
            ax.axhline(loss, color=colour, linestyle=style, linewidth=1, label=f"{name}{above}")
    if picture.pick is not None:
        _, x_pick, y_pick = picture.pick
        ax.plot([x_pick], [y_pick], marker="o", markersize=11, fillstyle="none", color=_INK, linestyle="none")
        ax.annotate("advised", (x_pick, y_pick), xytext=(0, -14), textcoords="offset points", ha="center")
    _log_x(ax)
    ax.set_ylim(bottom, top)
    ax.set_xlabel("strength (L1+L2: the sum; with dropout: the penalty)")
    ax.set_ylabel(f"held-out {picture.loss_name}")
    ax.set_title("How strong", loc="left", fontsize=11)
    _tidy(ax)
    ax.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _loss_limits(picture: StrengthPicture) -> tuple[float, float]:
    """Return limits that hold the best losses well: one that exploded would flatten the rest."""
    losses = sorted(point.value for line in picture.lines for point in line.points)
    lowest = losses[0]
    usual = losses[(3 * len(losses)) // 4]
    top = max(usual, lowest + _HEIGHT * max(usual - lowest, _LEAST_HEIGHT * abs(lowest)))
    margin = 0.08 * (top - lowest) or 0.05 * abs(lowest) or 1.0
    return lowest - 1.5 * margin, top + margin


def draw_kinds(picture: KindsPicture, ax: Axes) -> None:
    """Draw what each kind loses against the advised one, with the band of ties."""
    ax.axvspan(-picture.tie, picture.tie, color=_BAND, zorder=0)
    farthest = _right_end(picture)
    for place, row in enumerate(reversed(picture.rows)):
        colour = "#0072B2" if row.is_pick else _FAINT
        if row.extra > farthest:
            ax.annotate(
                f"+{row.extra:,.0f}% →", (farthest, place), ha="right", va="center", fontsize=8, color=colour
            )
            continue
        ax.plot([row.low, row.high], [place, place], color=colour, linewidth=2)
        ax.plot([row.extra], [place], marker="D" if row.is_pick else "o", color=colour)
    ax.set_yticks(range(len(picture.rows)))
    ax.set_ylim(-0.6, len(picture.rows) - 0.4)
    names = [f"{row.label}{' (advised)' if row.is_pick else ''}" for row in reversed(picture.rows)]
    ax.set_yticklabels(names)
    ax.set_xlim(right=farthest * 1.03)
    ax.xaxis.set_major_formatter(lambda value, place: number(value))
    ax.set_xlabel(
        f"% more held-out loss than what is advised ({2 * REPLY_MASS - 1:.0%} intervals; shaded: a tie)"
    )
    ax.set_title("What else is as good", loc="left", fontsize=11)
    _tidy(ax)


def _right_end(picture: KindsPicture) -> float:
    """Return the end of the axis: a kind far behind is named there instead of squeezing the others."""
    extras = sorted(row.extra for row in picture.rows)
    middle = extras[len(extras) // 2]
    farthest = _FARTHEST * max(middle, picture.tie)
    near = [
        row
        for row in picture.rows
        if row.extra <= (max(farthest, _FARTHEST_NONE) if row.label == "none" else farthest)
    ]
    return max([2 * picture.tie, *(max(row.extra, row.high) for row in near)])


def draw_growth(picture: GrowthPicture, ax: Axes) -> None:
    """Draw the gain of the pick on the sizes that were measured, and what is expected of all rows."""
    ax.axhspan(-picture.tie, picture.tie, color=_BAND, zorder=0)
    for points, colour, fill, name in (
        (picture.measured, "#0072B2", "full", "measured"),
        ((picture.expected,), "#D55E00", "none", "expected at all rows"),
    ):
        x, y = [point.at for point in points], [point.value for point in points]
        below = [max(point.value - point.low, 0.0) for point in points]
        above = [max(point.high - point.value, 0.0) for point in points]
        if points:
            ax.errorbar(
                x, y, yerr=[below, above], fmt="o", fillstyle=fill, color=colour, capsize=3, label=name
            )
    _log_x(ax)
    ax.set_xticks(sorted({point.at for point in (*picture.measured, picture.expected)}))
    ax.minorticks_off()
    ax.set_xlabel("rows")
    ax.set_ylabel(f"gain of {picture.label} over none, % ({INTERVAL:.0%} intervals)")
    ax.set_title("Does the gain last", loc="left", fontsize=11)
    _tidy(ax)
    ax.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))


def draw_features(picture: FeaturesPicture, ax: Axes) -> None:
    """Draw how strongly features go together."""
    shown = ax.imshow(picture.strengths, cmap="RdBu_r", vmin=-1, vmax=1, interpolation="none")
    n = len(picture.names)
    size = 8 if n <= 15 else 6
    ax.set_xticks(range(n), picture.names, rotation=90, fontsize=size, parse_math=False)
    ax.set_yticks(range(n), picture.names, fontsize=size, parse_math=False)
    bar = ax.figure.colorbar(shown, ax=ax, shrink=0.6)
    bar.set_label("correlation", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    ax.set_title("Which features go together", loc="left", fontsize=11)
    for side in ax.spines.values():
        side.set_visible(False)


def draw_sample(picture: SamplePicture, ax: Axes) -> None:
    """Draw how far the sample's means are from the whole's."""
    places = range(len(picture.names))[::-1]
    ax.axvspan(0, picture.limit, color=_BAND, zorder=0)
    ax.hlines(places, 0, picture.shifts, color="#0072B2", linewidth=2)
    ax.plot(picture.shifts, places, "o", color="#0072B2", markersize=5)
    ax.set_yticks(places, picture.names, parse_math=False)
    ax.set_xlim(0, 1.15 * max(picture.limit, *picture.shifts))
    ax.set_xlabel("mean of the sample against the whole, in standard deviations (shaded: equal)")
    ax.set_title("Was the sample fair", loc="left", fontsize=11)
    _tidy(ax)


_PICTURES: dict[str, tuple[Callable[[Record], Any], Callable[[Any, Axes], None]]] = {
    "strength": (strength_picture, draw_strength),
    "kinds": (kinds_picture, draw_kinds),
    "growth": (growth_picture, draw_growth),
    "features": (features_picture, draw_features),
    "sample": (sample_picture, draw_sample),
}


def _log_x(ax: Axes) -> None:
    """Make the x axis logarithmic, with plain numbers on it, few enough that none lies on another."""
    from matplotlib.ticker import LogLocator, NullFormatter

    ax.set_xscale("log")
    low, high = ax.get_xlim()
    decades = math.log10(high / low)
    subs = (1.0,) if decades > 3.0 else (1.0, 3.0) if decades > 1.5 else (1.0, 2.0, 5.0)
    ax.xaxis.set_major_locator(LogLocator(subs=subs if decades > 0.5 else range(1, 10), numticks=9))
    ax.xaxis.set_major_formatter(lambda value, place: number(value))
    ax.xaxis.set_minor_formatter(NullFormatter())


def _tidy(ax: Axes) -> None:
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    ax.tick_params(labelsize=8)
    ax.xaxis.label.set_fontsize(9)
    ax.yaxis.label.set_fontsize(9)


def page(record: Record, *, snippets: Mapping[str, str] | None = None) -> str:
    """Return the whole report as one HTML page; `snippets` is code that uses the advice, by library."""
    return to_page(view(record), record, pictures=dict(_pictures(record)), snippets=snippets)


class Svg(str):
    """SVG text, which a notebook shows as a picture."""

    def _repr_svg_(self) -> str:
        return str(self)


def chart_svg(record: Record) -> Svg:
    """Return the chart that was walked as SVG, the path thick; it has to be one of ours."""
    return Svg(flowchart_draw.to_svg(_chart(record), mapped(record.walk, clean)))


def _pictures(record: Record) -> Iterator[tuple[str, str]]:
    with suppress(ParameterError):  # a chart of the caller's own
        yield "chart", chart_svg(record)
    for kind in ("kinds", "strength", "growth", "features", "sample"):
        with suppress(ParameterError):  # nothing of the kind was measured
            yield kind, to_svg(record, kind)


#: Which penalties a model may lack; the chart is then another one.
_EXPRESSED: tuple[tuple[Kind, ...], ...] = (KINDS, ("none", "l2"), ("none", "l1"), ("none", "l2", "l1"))


def _chart(record: Record) -> Chart:
    """Return the chart by the name that the record has, for penalties with which it has the path."""
    scores = record.evidence.scores
    has_dropout = record.settings.model == "mlp" or (
        scores is not None and any(score.kind in DROPOUT_KINDS for score in scores.scores)
    )
    tried = () if scores is None else tuple(dict.fromkeys(score.kind for score in scores.scores))
    training = record.training
    is_callers = training is not None and (training.estimator or training.family == "fitted")
    known = (tried,) if tried and is_callers else ()
    # A model that lacks a penalty is said to; its path may be one of the whole chart, too.
    lacks = any(note.code == "kinds-of-model" for note in record.notes)
    expressed = known + (_EXPRESSED[1:] if lacks else ()) + _EXPRESSED
    # A deadline may have left out every fit with dropout.
    for with_dropout, kinds in product((has_dropout, not has_dropout), expressed):
        chart = limited(resolve(record.settings.chart, has_dropout=with_dropout), kinds)
        chart = sparse_first(chart) if record.settings.prefer == "sparse" else chart
        if all(_is_on(step, chart) for step in record.walk.steps):
            return chart
    raise ParameterError(
        "kind must not be 'chart' where another chart was walked, got one that is not in the record; draw it "
        "with regadvisor.flowchart.draw.to_svg(chart, walk)"
    )


def _is_on(step: Step, chart: Chart) -> bool:
    """Return whether a step is one of the chart."""
    question = chart.questions.get(step.question)
    return question is not None and step.reply in question.edges and question.edges[step.reply].to == step.to
