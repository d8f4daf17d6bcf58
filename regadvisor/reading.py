"""A record to be read: its verdict, its numbers, the report in every format, the file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from regadvisor.errors import ParameterError
from regadvisor.records import Claim, Record, Step
from regadvisor.regularizer import Regularizer
from regadvisor.report.serial import brief, read_json, to_json
from regadvisor.report.text import to_markdown, to_text
from regadvisor.report.view import view
from regadvisor.writing import write_whole

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes


class Reading:
    """What can be read in a record. Neither the data nor torch nor scikit-learn is needed for it."""

    def __init__(self, record: Record) -> None:
        self._record = record

    @property
    def record(self) -> Record:
        """Everything that happened, as plain data."""
        return self._record

    @property
    def status(self) -> Literal["advice", "tie", "no_signal", "cant_tell"]:
        """Whether one kind stands out, several tie, nothing beats the constant, or rows are too few."""
        return self._record.status

    @property
    def regularizer(self) -> Regularizer:
        """The regularizer to start with; strengths are for the full data."""
        return self._record.strength.regularizer

    @property
    def verdict(self) -> str:
        """The sentences a person reads first."""
        return " ".join(view(self._record).headline)

    @property
    def summary(self) -> dict[str, Any]:
        """The advice as plain data: verdict, kind, strengths, parameters by library, gain, how sure, ties.

        It stands at the top of the JSON as well; :func:`regadvisor.report.serial.brief` lists the fields.
        """
        return brief(self._record)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is odd about the data and may change what the verdict is worth; read these second."""
        return view(self._record).warnings

    @property
    def confidence(self) -> dict[str, Claim]:
        """The claims by name: regularize, kind, strength; each with its own support."""
        return {claim.name: claim for claim in self._record.claims}

    @property
    def path(self) -> tuple[Step, ...]:
        """The questions answered, in order."""
        return self._record.walk.steps

    @property
    def scores(self) -> pd.DataFrame:
        """Every candidate that was trained, one row each.

        Columns: kind, l1, l2, dropout, loss (mean held-out), train_loss, fold_0 … fold_k, n_rows, seed,
        converged, is_limit, exploded, is_stopped (behind on the first folds, so not trained on the others),
        epochs, sum_lr, share_zeroed, fit_s.
        """
        import pandas as pd

        scores = () if self._record.evidence.scores is None else self._record.evidence.scores.scores
        after = ("n_rows", "seed", "converged", "is_limit", "exploded", "is_stopped", "epochs", "sum_lr")
        return pd.DataFrame(
            [
                {
                    **{name: getattr(score.regularizer, name) for name in ("kind", "l1", "l2", "dropout")},
                    **{name: getattr(score, name) for name in ("loss", "train_loss")},
                    **{f"fold_{i}": loss for i, loss in enumerate(score.fold_losses)},
                    **{name: getattr(score, name) for name in (*after, "share_zeroed", "fit_s")},
                }
                for score in scores
            ]
        )

    def __repr__(self) -> str:
        shown = view(self._record)
        lines = (*shown.headline, *(f"! {line}" for line in shown.warnings))
        return "\n".join(["Advice:", *(f"  {line}" for line in lines)])

    def to_text(self, *, width: int = 88, color: bool = False, verbose: bool = False) -> str:
        """Return the report as text for a terminal of `width` columns."""
        if not isinstance(width, int) or not 20 <= width <= 1000:
            raise ParameterError(f"width must be a number of columns from 20 to 1000, got {width!r}")
        return to_text(view(self._record), width=width, color=color, verbose=verbose)

    def to_markdown(self, path: str | Path | None = None) -> str:
        """Return the report as Markdown; with `path`, write it there as well."""
        return _written(to_markdown(view(self._record)), path)

    def to_html(self, path: str | Path | None = None) -> str:
        """Return the report as one HTML page with pictures; with `path`, write it there as well.

        The page has no scripts, opens offline, and needs nothing beside it. The same record gives the same
        page.
        """
        from regadvisor.pictures.draw import page

        return _written(page(self._record, snippets=self._snippets()), path)

    def plot(
        self,
        kind: Literal["strength", "kinds", "growth", "features", "sample", "chart"] = "strength",
        ax: Axes | None = None,
    ) -> Axes | str:
        """Draw a picture of the advice.

        Parameters
        ----------
        kind : {"strength", "kinds", "growth", "features", "sample", "chart"}, default "strength"
            "strength": held-out loss against strength. "kinds": what each kind loses against the best.
            "growth": the gain over no regularizer against rows. "features": which features go together.
            "sample": how far the sample is from the whole. "chart": the flowchart with the path taken, which
            is returned as SVG text that a notebook shows.
        ax : matplotlib.axes.Axes, optional
            Where to draw; by default a new figure.

        Returns
        -------
        matplotlib.axes.Axes, or str for "chart"

        Raises
        ------
        ParameterError
            If there is no such picture, or this advice lacks the numbers for it.
        """
        if kind == "chart":
            from regadvisor.pictures.draw import chart_svg

            return chart_svg(self._record)
        from regadvisor.pictures.draw import plot

        return plot(self._record, kind, ax)

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        from regadvisor.report.html import to_card

        return to_card(view(self._record))

    def _repr_markdown_(self) -> str:
        """Return what a notebook without HTML shows."""
        return self.to_markdown()

    def _snippets(self) -> dict[str, str]:
        """Return the code that the page shows, by library."""
        return {}

    def to_json(self, path: str | Path | None = None) -> str:
        """Return the record as JSON; with `path`, write it there as well (see :meth:`load`)."""
        return _written(to_json(self._record), path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Return the advice that ``to_json(path)`` wrote.

        A module or loss of your own is not in the file: hand it to :meth:`build`.

        Raises
        ------
        RecordError
            If the file is not an advice, is damaged, or was written by a newer regadvisor.
        """
        return cls(read_json(path))


def _written(text: str, path: str | Path | None) -> str:
    if path is not None:
        write_whole(text, path)
    return text
