"""What the data are, and what is worth saying of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Task = Literal["binary", "multiclass", "regression"]
Number = float | int | str | bool | None


@dataclass(frozen=True, kw_only=True)
class Column:
    """One feature column as the preprocessing sees it.

    ``date`` columns become numbers (parts of the date); ``categorical`` ones are one-hot encoded.
    """

    name: str | int
    kind: Literal["numeric", "categorical", "date"]
    has_missing: bool = False
    #: Distinct values (categorical columns only).
    n_levels: int | None = None
    is_constant: bool = False
    #: How dates that came as text or as numbers (20240531) are read; None: they came as dates.
    date_order: Literal["ymd", "dmy", "mdy"] | None = None
    #: The format of ``strptime`` in which all of these are written; None: none is known. Scripts need it.
    date_format: str | None = None


@dataclass(frozen=True, kw_only=True)
class Note:
    """Something about the data or the run that the reader should know, and what was done about it."""

    #: A stable name for programs, as in ``"duplicate-columns"``.
    code: str
    #: One sentence for people.
    text: str
    #: Whether the advice may be about something else than the reader thinks: a leak, rows that share a
    #: source, a target that was read as classes. Such notes stand right below the verdict.
    is_warning: bool = False


#: Codes of the notes that say why "no signal" is not said: extreme values hide one, the model missed it, a
#: linear model cannot see it, or training explodes.
HIDDEN_SIGNAL, UNLEARNED_SIGNAL, EXPLODED = "hidden-signal", "unlearned-signal", "training-explodes"
CURVED_SIGNAL, OTHER_ORDER = "curved-signal", "rows-in-other-order"
UNSEEN_SIGNAL = (HIDDEN_SIGNAL, UNLEARNED_SIGNAL, CURVED_SIGNAL, OTHER_ORDER, EXPLODED)
#: Code of the note on columns of sentences: steps of the caller's may read them.
FREE_TEXT = "free-text"
#: Code of the note that says that all rows tested belong together: a deadline came after one fold.
ONE_CLUSTER = "one-cluster"
#: Codes of the notes that say that a few rows rule the loss: how many more would decide cannot be told then.
FEW_RULE = ("extreme-features", "extreme-target", "skewed-target")


@dataclass(frozen=True, kw_only=True)
class TargetFacts:
    """One of several targets."""

    #: Its number, counted from 0, where the columns have no names.
    name: str | int
    mean: float
    sd: float


@dataclass(frozen=True, kw_only=True)
class ClassColumn:
    """One of several target columns of classes."""

    #: As in `TargetFacts`.
    name: str | int
    #: Labels in the order of the codes, and the rows of each.
    classes: tuple[float | int | str | bool, ...]
    counts: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class InputFacts:
    """One of several arrays that a row is made of."""

    #: The argument of the module that it is for; None: arguments in order.
    name: str | None
    #: What one row of it holds.
    shape: tuple[int, ...]
    #: Whether it came as integers that may be numbers of an embedding.
    is_whole: bool = False


@dataclass(frozen=True, kw_only=True)
class DataFacts:
    """What the data are: enough to build a pipeline and to recognise the same data again."""

    #: ``array``: a numeric 2-D array; ``sparse``: a SciPy sparse matrix; ``frame``: a data frame.
    container: Literal["array", "sparse", "frame"]
    task: Task
    n_rows: int
    columns: tuple[Column, ...]
    #: Of a single target, as are its mean and standard deviation (regression).
    target_name: str | None = None
    #: Class labels in the order of the codes (classification only), as text or numbers.
    classes: tuple[Number, ...] | None = None
    #: Rows of each class, in the order of `classes`.
    class_counts: tuple[int, ...] | None = None
    target_mean: float | None = None
    target_sd: float | None = None
    #: What the target could be as well: few whole numbers are read as classes or as a number, and nobody said
    #: which.
    other_task: Literal["classification", "regression"] | None = None
    #: Several targets, in the order of the columns (regression only); empty where there is one.
    targets: tuple[TargetFacts, ...] = ()
    #: Several columns of classes: the task is "regression", and `targets` has a column of 0 and 1 for every
    #: class of each, in this order.
    class_columns: tuple[ClassColumn, ...] = ()
    n_groups: int | None = None
    has_time: bool = False
    has_weights: bool = False
    #: Mean weight of the rows, as they were given: of each class, or of all; empty without weights.
    mean_weights: tuple[float, ...] = ()
    #: (height, width) or (channels, height, width) if the rows are images; (steps, channels) of sequences.
    image_shape: tuple[int, ...] | None = None
    #: Columns whose weights no penalty acts on.
    unpenalised: tuple[str | int, ...] = ()
    #: The arrays of a tuple or dict, one after the other in a row; empty where X is one array or frame.
    inputs: tuple[InputFacts, ...] = ()
    #: Whether scikit-learn reads the numbers of X, or y, by itself. If not, what is fitted to these data
    #: reads them first, as advise() did: text, objects, nullable and sparse columns; rows without a target.
    is_plain_x: bool = True
    is_plain_y: bool = True
    #: Whether numbers of X are float32, in which scikit-learn would then keep the target, too.
    is_single: bool = False
    #: Hash over shapes, types and values; the same data give the same text on every machine.
    fingerprint: str = ""

    @property
    def n_features(self) -> int:
        """Feature columns before encoding."""
        return len(self.columns)

    def of_kind(self, kind: str) -> list[int]:
        """Return the places of the columns of a kind."""
        return [j for j, column in enumerate(self.columns) if column.kind == kind]

    @property
    def mean_weight(self) -> float | None:
        """Mean weight of the rows, as they were given; None if that was not kept."""
        if not self.mean_weights:
            return None if self.has_weights else 1.0
        counts = self.class_counts or (1,)
        weights = zip(self.mean_weights, counts, strict=True)
        return sum(weight * n for weight, n in weights) / sum(counts)

    @property
    def n_targets(self) -> int:
        """Columns of the target."""
        return max(1, len(self.targets))

    @property
    def block_sizes(self) -> tuple[int, ...]:
        """How many classes each of several columns of classes has."""
        return tuple(len(column.classes) for column in self.class_columns)
